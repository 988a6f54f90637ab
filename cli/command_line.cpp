#include "cli/command_line.hpp"

#include <exception>
#include <iostream>

#include <CLI/CLI.hpp>

#include "cli/error_output.hpp"
#include "cli/exit_code.hpp"
#include "cli/text_layout.hpp"
#include "models/base/error.hpp"

namespace widthwise {

std::optional<Given> given(const CLI::App& command, const std::string& option,
                           const std::string& text) {
  if (command.count(option) == 0) {
    return std::nullopt;
  }
  return Given{text, SourcePlace{option}, ""};
}

void add_list(CLI::App& command, const std::string& name, std::vector<std::string>& target,
              const std::string& text) {
  command.add_option(name, target, text)->allow_extra_args(false)->take_all();
}

int guarded(std::string_view consequence, const std::function<int()>& run) {
  try {
    const int code = run();
    if (!std::cout.flush()) {
      std::cerr << "widthwise: error: cannot write to standard output\n";
      return code == kDone ? static_cast<int>(kBadInput) : code;
    }
    return code;
  } catch (const InputError& error) {
    print_errors(error, consequence);
    return kBadInput;
  } catch (const std::exception& error) {
    std::cerr << "widthwise: " << printable(error.what())
              << "\nThis is a mistake in widthwise, not in your input; please report it with the "
                 "command line and the files that led to it.\n";
  } catch (...) {
    std::cerr << "widthwise: unknown exception; this is a mistake in widthwise\n";
  }
  return kOurBug;
}

}  // namespace widthwise
