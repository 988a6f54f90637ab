// What the sections `search` and `train` of an experiment file have in common.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/run_request.hpp"
#include "models/base/error.hpp"
#include "models/config/yaml_reader.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

/// Reads the file's request into `run` and hands the document to `read_section`, whose mistakes go
/// to the document's problems. Throws InputError with all mistakes of both, each once.
void read_experiment_with_section(const std::string& path, RunRequest& run,
                                  const std::function<void(YamlDocument&)>& read_section);

/// A list of operand widths in ascending order, "[2, 4, 8]"; `target` stays if the key is not there
/// or nothing in it is a width.
void read_width_list(MapReader& section, std::string_view key, std::vector<BitWidth>& target);

/// A map from layers or patterns to widths ("w8a8"). False if the key `pins` is not there.
bool read_pins(MapReader& section, std::vector<WidthRule>& pins);

}  // namespace widthwise
