// Fractional widths to whole ones whose costs meet targets: how WidthLearner freezes
// (width_learner.hpp says what it promises).
//
//   1. round(widths + offset), the greatest offset at which all costs are met, by bisection.
//   2. Single steps from there to the next permitted width: of one layer's width, or of some of a
//      layer's channels. Up to three at once, which also makes swaps: one up, another down. What a
//      step does to the costs is taken from the interpolated ones, times what the exact costs have
//      shown them to be off by; of all combinations that should hit the targets the one that goes
//      least far from the widths learned is computed exactly. Again from the best, until one hits.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "models/base/quantity.hpp"

namespace widthwise {

/// Widths that have one set to end in: a layer's weights, channel by channel or as one, or its
/// activations.
struct RoundedPart {
  std::size_t begin = 0, count = 1;  // of the widths
  std::vector<BitWidth> permitted;   // ascending; one: pinned
};

struct RoundingTask {
  std::vector<RoundedPart> parts;
  std::vector<double> widths;   // fractional
  std::vector<double> targets;  // above 0
  /// Costs, one per target.
  std::function<std::vector<double>(std::span<const double> widths)> predicted, exact;
  double tolerance = 0.01;
  int bisections = 12, refinements = 60;  // evaluations of `exact` at most
};

struct RoundedWidths {
  std::vector<double> widths;  // whole
  std::vector<double> costs;   // exact
  double offset = 0;
  double ratio = 0;  // the greatest of cost / target
  int evaluations = 0;
};

RoundedWidths round_widths(const RoundingTask& task);

/// Each to the nearest permitted one, the greater of two as near. Of a part that has channels some
/// are left: if all are nearest to 0, the widest of them gets the least width above.
std::vector<double> nearest_widths(std::span<const RoundedPart> parts,
                                   std::span<const double> widths);

}  // namespace widthwise
