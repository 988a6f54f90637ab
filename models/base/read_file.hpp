// The bytes of a file that the user named.
#pragma once

#include <cstddef>
#include <string>

namespace widthwise {

/// Throws InputError at the path: no such file, a directory, not readable, larger than so many MiB.
std::string read_file(const std::string& path, std::size_t most_mebibytes);

}  // namespace widthwise
