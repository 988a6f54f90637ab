// The plain reference: every choice is looked at.
#pragma once

#include <functional>
#include <limits>
#include <optional>

#include "search/problem.hpp"

namespace widthwise {

struct BruteForce {
  std::optional<Choice> choice;
  double objective = std::numeric_limits<double>::infinity();
};

/// Calls `visit` with every choice that keeps ties and pins.
inline void for_each_choice(const Problem& problem,
                            const std::function<void(const Choice&)>& visit) {
  Choice choice(problem.groups.size(), 0);
  while (true) {
    if (is_allowed(problem, choice)) visit(choice);
    std::size_t g = 0;
    while (g < choice.size() && ++choice[g] == problem.groups[g].options.size()) choice[g++] = 0;
    if (g == choice.size()) return;
  }
}

inline BruteForce brute_force(const Problem& problem) {
  BruteForce best;
  for_each_choice(problem, [&](const Choice& choice) {
    const Totals sums = totals(problem, choice);
    if (!fits(problem, sums)) return;
    const double value = objective_value(problem, sums);
    if (value < best.objective) {
      best.objective = value;
      best.choice = choice;
    }
  });
  return best;
}

}  // namespace widthwise
