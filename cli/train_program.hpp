// Training is a program of its own, widthwise-train, beside this one: libtorch makes a program
// start half a second slower.
#pragma once

namespace widthwise {

/// Replaces this process by widthwise-train with the words after `widthwise train`. Throws
/// InputError where that program is not there.
[[noreturn]] void become_train_program(int argc, char** argv);

}  // namespace widthwise
