#include "cli/error_output.hpp"

#include <iostream>

#include <fmt/format.h>

#include "cli/text_layout.hpp"

namespace widthwise {

void print_errors(const InputError& error, std::string_view consequence) {
  for (const Diagnostic& diagnostic : error.diagnostics()) {
    std::cerr << printable(to_string(diagnostic)) << '\n';
  }
  std::cerr << counted(error.diagnostics().size(), "error") << "; " << consequence << ".\n";
}

}  // namespace widthwise
