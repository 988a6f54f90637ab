// `widthwise check`: reads files as the other commands would, without running anything.
#pragma once

#include <string>
#include <vector>

namespace widthwise {

/// Prints "FILE: ok (accelerator/1)" or the mistakes of every file; returns an exit code.
int check_command(const std::vector<std::string>& paths);

}  // namespace widthwise
