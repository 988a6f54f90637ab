// What the program tells the shell.
#pragma once

namespace widthwise {

enum ExitCode : int {
  kDone = 0,
  kDiverged = 1,    // a training met a value that is not a number
  kBadInput = 2,    // the user's mistake
  kInfeasible = 3,  // a legitimate negative answer
  kOurBug = 70,
  kSignalled = 128,  // plus the signal's number: a training was interrupted and can go on
};

}  // namespace widthwise
