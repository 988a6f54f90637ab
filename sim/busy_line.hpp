// A resource that serves one piece of work after the other, each taking a time that need not be
// whole.
//
// Times are kept from the moment at which the line was last idle, which is a whole tick, so that a
// layer takes the same time whenever it is run: sums of fractions depend on nothing before.
#pragma once

#include <cmath>

#include "sim/listener.hpp"

namespace widthwise::sim {

class BusyLine {
 public:
  /// Work of so many cycles that arrives at `at` (never before the one before). Returns when it is
  /// done, in ticks, not rounded.
  struct Done {
    Ticks since;   // whole
    double after;  // ticks
    /// Rounded up; a millionth of a tick absorbs the rounding of what came before.
    [[nodiscard]] Ticks rounded_up() const {
      return since + static_cast<Ticks>(std::ceil(after - 1e-6));
    }
  };
  Done serve(Ticks at, double cycles) {
    if (static_cast<double>(at - since_) >= busy_) {
      since_ = at;
      busy_ = 0;
    }
    busy_ += cycles * static_cast<double>(kTicksPerCycle);
    return {since_, busy_};
  }

 private:
  Ticks since_ = 0;  // the line was idle
  double busy_ = 0;  // ticks of work since then
};

}  // namespace widthwise::sim
