// Exact search on a reduced problem: Lagrangian bounds, options fixed by what they would add to the
// bound, branching on what the mixture of points disagrees about.
//
// Every bound is computed by us from multipliers, whatever they are (relaxation.hpp), and every
// answer's totals are computed on the problem itself. Pruning leaves a rounding of 1e-10 of the
// range between the least and the greatest objective.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "search/relaxation.hpp"

namespace widthwise::search {

using Clock = std::chrono::steady_clock;

enum class Aim {
  objective,  // the least objective within the budgets
  excess,     // the least of the greatest relative excess over the limits; stops where all are met
};

struct SearchOptions {
  Aim aim = Aim::objective;
  double gap = 0;  // relative to the objective; aim excess: absolute
  Clock::time_point deadline = Clock::time_point::max();
  std::vector<Choice> starts;       // looked at first; need not be feasible
  std::vector<double> multipliers;  // to start from, per kept budget, in units of the problem
};

struct SearchResult {
  std::optional<Choice> choice;
  double value = 0;                 // of it: objective, or excess as a share of the limit
  double bound = 0;                 // no choice has less
  double root_bound = 0;            // before branching
  bool complete = false;            // the gap asked for is proven (or no choice exists)
  std::vector<double> multipliers;  // per kept budget, at the root, in units of the problem
  std::size_t nodes = 0;
};

/// `root`: of `reduced`, which is of `problem`.
SearchResult branch_and_bound(const Problem& problem, const ReducedProblem& reduced,
                              std::unique_ptr<Relaxation> root, const SearchOptions& options);

}  // namespace widthwise::search
