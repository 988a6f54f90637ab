// The front of loss against one cost.
//
// Ends: the least cost that is reachable within the other budgets, and the least cost at which the
// least loss is reached. Between them the least loss is found for limits on the cost in equal
// steps, each from the answer and the multipliers of the one below, and then the least cost with
// that loss: a point that is both is on the front. Steps that lead to the same point are one point.
#pragma once

#include <vector>

#include "search/solver.hpp"

namespace widthwise {

struct FrontPoint {
  double cost = 0;
  double loss = 0;
  double limit = 0;     // of the cost, that it was found at
  Solution solution;    // least loss at that limit, with its proof; the last budget is the limit
  bool proven = false;  // both that no choice at the limit has less loss, and that none with this
                        // loss has less cost
};

/// Cost ascending, loss descending. Budgets of the problem hold; its objective is not looked at.
/// Empty if they can not be met. The options' time limit is for all points together: what is not
/// proven within it is marked. Throws InputError.
std::vector<FrontPoint> front(const Problem& problem, MetricId cost, std::size_t points,
                              const SolveOptions& options = {});

}  // namespace widthwise
