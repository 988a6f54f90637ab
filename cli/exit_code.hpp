// What the program tells the shell.
#pragma once

namespace widthwise {

enum ExitCode : int {
  kDone = 0,
  kBadInput = 2,    // the user's mistake
  kInfeasible = 3,  // a legitimate negative answer
  kOurBug = 70,
};

}  // namespace widthwise
