// What a target of a training comes to in its metric's unit.
#pragma once

#include <string>
#include <string_view>

#include "models/base/error.hpp"
#include "train/settings.hpp"

namespace widthwise {

struct ResolvedTarget {
  std::string metric;
  double target = 0;    // in the metric's unit
  double least = 0;     // with every width the narrowest above 0
  double greatest = 0;  // with every width the widest
  double weight = 1;
};

/// `at_reference`: the cost at the widths that a `share` is relative to; not looked at otherwise.
ResolvedTarget resolve_target(const TrainTarget& said, double least, double greatest,
                              double at_reference);

/// Adds to `problems`: a target below the least cost that can be reached ("expected at least 17932
/// latency_cycles (all layers at their narrowest), got 12000"), `where` being that in brackets.
void check_reachable(const ResolvedTarget& target, const TrainTarget& said, double reachable,
                     std::string_view where, Diagnostics& problems);

/// "train.targets.latency_cycles".
std::string target_key(const TrainTarget& said);

}  // namespace widthwise
