// `widthwise list`: the accelerators, networks, assignments and energy tables that come with the
// program.
#pragma once

#include <string>

namespace widthwise {

/// Of one kind, or of all if `kind` is empty. Returns an exit code; throws InputError.
int list_command(const std::string& kind);

}  // namespace widthwise
