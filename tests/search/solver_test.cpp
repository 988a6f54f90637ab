// The solver against brute force and against Cbc, edges of budgets, infeasible problems, shadow
// prices, starts.

#include "search/solver.hpp"

#include <cmath>

#include <catch2/catch.hpp>

#include "search/budgets.hpp"
#include "search/milp.hpp"
#include "tests/search/brute_force.hpp"
#include "tests/search/random_problem.hpp"

namespace widthwise {
namespace {

using synthetic::SmallForm;

/// Greatest excess over a limit as the solver measures it.
double excess(const Problem& problem, const Totals& sums) {
  double worst = -1e300;
  for (const Budget& budget : problem.budgets) {
    const double total = sums.of(budget.metric);
    const double unit = budget.limit > 0 ? budget.limit : [&] {
      const Reach reach = reachable(problem, budget.metric);
      return reach.greatest - reach.least;
    }();
    worst = std::max(worst, (total - highest_allowed(budget.limit)) / unit);
  }
  return worst;
}

void compare(const Problem& problem) {
  const BruteForce expected = brute_force(problem);
  const Solution solution = solve(problem);
  if (!expected.choice) {
    REQUIRE(solution.status == SolveStatus::infeasible);
    REQUIRE(solution.shortfall);
    const Shortfall& shortfall = *solution.shortfall;
    REQUIRE(shortfall.proven);
    REQUIRE_FALSE(shortfall.misses.empty());
    for (const Shortfall::Miss& miss : shortfall.misses) {
      const Budget& budget = problem.budgets[miss.budget];
      REQUIRE(miss.over == miss.least - budget.limit);
      REQUIRE(miss.over > 0);
      if (shortfall.jointly) continue;
      double least = 1e300;
      for_each_choice(problem, [&](const Choice& choice) {
        least = std::min(least, totals(problem, choice).of(budget.metric));
      });
      REQUIRE(miss.least == Approx(least));
    }
    const bool has_zero = std::any_of(problem.budgets.begin(), problem.budgets.end(),
                                      [](const Budget& budget) { return budget.limit == 0; });
    if (shortfall.jointly && !(has_zero && problem.is_linked())) {
      double least = 1e300;
      for_each_choice(problem, [&](const Choice& choice) {
        least = std::min(least, excess(problem, totals(problem, choice)));
      });
      REQUIRE(std::abs(shortfall.excess - least) < 2e-6);
    }
    return;
  }
  REQUIRE(solution.status == SolveStatus::optimal);
  REQUIRE(solution.objective == Approx(expected.objective).epsilon(1e-9).margin(1e-9));
  REQUIRE(solution.bound == solution.objective);
  REQUIRE(solution.gap == 0);
  REQUIRE(is_allowed(problem, *solution.choice));
  REQUIRE(fits(problem, solution.totals));
}

void compare_many(const SmallForm& form, std::uint32_t count) {
  for (std::uint32_t seed = 0; seed < count; ++seed) {
    INFO("seed " << seed);
    compare(synthetic::small(form, seed));
  }
}

TEST_CASE("The solver equals brute force on thousands of random problems") {
  compare_many({}, 3000);
  compare_many({.most_groups = 7, .most_options = 4, .costs = 1}, 1000);
  compare_many({.most_groups = 6, .most_options = 4, .costs = 3}, 1000);
}

TEST_CASE("The solver equals brute force where many totals are equal") {
  compare_many({.most_groups = 6, .most_options = 5, .whole_numbers = true}, 3000);
}

TEST_CASE("The solver equals brute force with losses and costs of either sign") {
  compare_many({.negative = true}, 1500);
  compare_many({.whole_numbers = true, .negative = true}, 1500);
}

TEST_CASE("The solver equals brute force with ties and pins") {
  compare_many({.most_groups = 6, .ties = true, .pins = true}, 3000);
}

TEST_CASE("The solver equals brute force with a budget on the loss and with weighted objectives") {
  compare_many({.loss_budget = true, .weighted = true}, 2000);
  compare_many({.whole_numbers = true, .ties = true, .loss_budget = true, .weighted = true}, 1000);
}

TEST_CASE("The solver equals brute force with linked costs") {
  compare_many({.linked = true}, 2000);
  compare_many({.whole_numbers = true, .linked = true}, 1000);
  compare_many({.costs = 3,
                .ties = true,
                .pins = true,
                .loss_budget = true,
                .weighted = true,
                .linked = true},
               1500);
}

}  // namespace
}  // namespace widthwise
