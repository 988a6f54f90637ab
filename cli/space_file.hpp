// Reads `space/1` files: hardware design spaces for `widthwise sweep`. See docs/file_formats.md.
#pragma once

#include <string>

#include "sweep/space.hpp"

namespace widthwise {

/// Throws InputError with all mistakes of the file. Files that it names are looked for beside it
/// first; whether they are there, and whether machines take the values, is checked later
/// (DesignSpace, Evaluator).
Space read_space(const std::string& path);

}  // namespace widthwise
