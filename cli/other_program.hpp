// Commands that need large libraries are programs of their own beside this one, and `widthwise`
// becomes them: libtorch alone makes a program start half a second slower.
#pragma once

#include <string>

namespace widthwise {

/// Replaces this process by the program of the name ("widthwise-train") with the words after
/// `widthwise COMMAND`. Throws InputError where it is not there: `without` says what this widthwise
/// was built without ("training (WIDTHWISE_WITH_TORCH=OFF)").
[[noreturn]] void become_program(const std::string& name, const std::string& without, int argc,
                                 char** argv);

/// Whether a launcher of MPI jobs (mpirun, srun) started this process.
bool is_rank_of_job();

}  // namespace widthwise
