// How the user's mistakes are shown.
#pragma once

#include <string_view>

#include "models/base/error.hpp"

namespace widthwise {

/// One line per mistake on standard error, then "2 errors; nothing was simulated."
void print_errors(const InputError& error, std::string_view consequence);

}  // namespace widthwise
