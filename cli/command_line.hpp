// What the programs' main functions share: taking options as they were given, and turning what goes
// wrong into an exit code.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/config/shipped_data.hpp"

namespace CLI {
class App;
}

namespace widthwise {

/// What was given for an option, if it was.
std::optional<Given> given(const CLI::App& command, const std::string& option,
                           const std::string& text);

/// An option that can be given several times, each time with one value.
void add_list(CLI::App& command, const std::string& name, std::vector<std::string>& target,
              const std::string& text);

/// What `run` returns; 2 after the user's mistakes, which are printed with their consequence
/// ("nothing was simulated"), and if standard output can not be written; 70 after one of ours.
int guarded(std::string_view consequence, const std::function<int()>& run);

}  // namespace widthwise
