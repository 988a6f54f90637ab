#include "search/baselines.hpp"

#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "search/solver.hpp"
#include "tests/search/brute_force.hpp"
#include "tests/search/random_problem.hpp"

namespace widthwise {
namespace {

std::optional<Choice> run(std::string_view name, const Problem& problem,
                          const BaselineOptions& options = {}) {
  for (const auto& [known, baseline] : baselines()) {
    if (known == name) return baseline(problem, options);
  }
  FAIL("no baseline of that name");
  return std::nullopt;
}

double loss(const Problem& problem, const Choice& choice) { return totals(problem, choice).loss; }

TEST_CASE("No baseline is better than the optimum, and all keep ties, pins and budgets") {
  std::map<std::string_view, int> found;
  int feasible = 0;
  for (std::uint32_t seed = 0; seed < 600; ++seed) {
    INFO("seed " << seed);
    const Problem problem = synthetic::small({.most_groups = 6,
                                              .most_options = 4,
                                              .negative = seed % 5 == 0,
                                              .ties = true,
                                              .pins = seed % 2 == 0,
                                              .loss_budget = seed % 3 == 0,
                                              .weighted = seed % 7 == 0,
                                              .linked = seed % 4 == 0},
                                             seed);
    const Solution best = solve(problem);
    if (best.choice) ++feasible;
    for (const auto& [name, baseline] : baselines()) {
      INFO(name);
      const auto choice = baseline(problem, {.steps = 300});
      if (!choice) continue;
      ++found[name];
      REQUIRE(is_allowed(problem, *choice));
      const Totals sums = totals(problem, *choice);
      REQUIRE(fits(problem, sums));
      REQUIRE(best.choice);
      REQUIRE(objective_value(problem, sums) >= best.objective - 1e-9);
    }
  }
  CHECK(found.size() == baselines().size());
  for (const auto& [name, count] : found) {
    INFO(name);
    CHECK(count * 5 > feasible);
  }
}

TEST_CASE("All baselines find something on a network with moderate budgets") {
  const Problem problem = synthetic::network_like(20, {2, 3, 4, 6, 8}, {2, 3, 4, 6, 8}, 0.4, 1);
  const Solution best = solve(problem);
  for (const auto& [name, baseline] : baselines()) {
    INFO(name);
    const auto choice = baseline(problem, {});
    REQUIRE(choice);
    CHECK(loss(problem, *choice) >= best.objective);
  }
}

TEST_CASE("Uniform widths are the best that all groups have, pins aside") {
  const Problem problem = synthetic::network_like(6, {2, 4, 8}, {2, 4, 8}, 0.5, 2);
  double least = 1e300;
  for (std::size_t o = 0; o < 9; ++o) {
    const Choice choice(6, o);
    const Totals sums = totals(problem, choice);
    if (fits(problem, sums)) least = std::min(least, sums.loss);
  }
  const auto choice = run("uniform", problem);
  REQUIRE(choice);
  CHECK(loss(problem, *choice) == least);
  Problem pinned = problem;
  pinned.pins = {{0, 0, {}}};
  const auto beside = run("uniform", pinned);
  REQUIRE(beside);
  CHECK((*beside)[0] == 0);
}

/// Three groups at 8, 4 or 2 bit of costs 8, 4 or 2; what 4 and 2 bit lose is as listed.
Problem three(const std::vector<std::pair<double, double>>& losses, double limit) {
  Problem problem;
  problem.costs = {"size"};
  for (std::size_t g = 0; g < losses.size(); ++g) {
    problem.groups.push_back(
        {"g" + std::to_string(g),
         {{8, 8, 0, {8}, {}}, {4, 4, losses[g].first, {4}, {}}, {2, 2, losses[g].second, {2}, {}}},
         {}});
  }
  Budget budget;
  budget.metric = 0;
  budget.limit = limit;
  problem.budgets = {budget};
  return problem;
}

TEST_CASE("The shortest prefix of the least sensitive groups is lowered") {
  // In order of what 4 bit loses: g2, g0, g1.
  const std::vector<std::pair<double, double>> losses{{2, 9}, {3, 7}, {1, 8}};
  CHECK(run("prefix_bisection", three(losses, 24)) == Choice{0, 0, 0});
  CHECK(run("prefix_bisection", three(losses, 23)) == Choice{0, 0, 1});
  CHECK(run("prefix_bisection", three(losses, 20)) == Choice{0, 0, 1});
  CHECK(run("prefix_bisection", three(losses, 19)) == Choice{1, 0, 1});
  CHECK(run("prefix_bisection", three(losses, 12)) == Choice{1, 1, 1});
  // All at 4; then by what 2 bit loses more: g1 (4), g0 (7), g2 (7).
  CHECK(run("prefix_bisection", three(losses, 11)) == Choice{1, 2, 1});
  CHECK(run("prefix_bisection", three(losses, 6)) == Choice{2, 2, 2});
  CHECK(run("prefix_bisection", three(losses, 5)) == std::nullopt);
}

TEST_CASE("The longest prefix within a budget on the loss is lowered") {
  Problem problem = three({{2, 9}, {3, 7}, {1, 8}}, 3);
  problem.objective = {0, {1}};
  problem.budgets[0].metric = kLoss;
  CHECK(run("prefix_bisection", problem) == Choice{1, 0, 1});
}

TEST_CASE("Rounds lower one width after the other, the last group first") {
  const std::vector<std::pair<double, double>> losses{{2, 9}, {3, 7}, {1, 8}};
  CHECK(run("budget_rounds", three(losses, 24)) == Choice{0, 0, 0});
  CHECK(run("budget_rounds", three(losses, 23)) == Choice{0, 0, 1});
  CHECK(run("budget_rounds", three(losses, 19)) == Choice{0, 1, 1});
  CHECK(run("budget_rounds", three(losses, 11)) == Choice{1, 1, 2});
  CHECK(run("budget_rounds", three(losses, 5)) == std::nullopt);
}

TEST_CASE("The list is walked from the least loss on, whichever group it concerns") {
  // g2 at 4 (1), g0 at 4 (2), g0 at 2 (2.5), g1 at 4 (3), ...
  const std::vector<std::pair<double, double>> losses{{2, 2.5}, {3, 7}, {1, 8}};
  CHECK(run("pareto_list", three(losses, 20)) == Choice{0, 0, 1});
  CHECK(run("pareto_list", three(losses, 16)) == Choice{1, 0, 1});
  CHECK(run("pareto_list", three(losses, 15)) == Choice{2, 0, 1});
  CHECK(run("pareto_list", three(losses, 11)) == Choice{2, 1, 1});
}

TEST_CASE("The change with the least loss per cost is taken first") {
  // Per unit of size: g0 to 4 0.5, to 2 1.5; g1 to 4 0.75, to 2 7/6; g2 to 4 0.25, to 2 8/6.
  const std::vector<std::pair<double, double>> losses{{2, 9}, {3, 7}, {1, 8}};
  CHECK(run("greedy_ratio", three(losses, 20)) == Choice{0, 0, 1});
  CHECK(run("greedy_ratio", three(losses, 16)) == Choice{1, 0, 1});
  CHECK(run("greedy_ratio", three(losses, 12)) == Choice{1, 1, 1});
}

TEST_CASE("The random walk keeps to its widths and is the same for the same seed") {
  const Problem problem = synthetic::network_like(10, {2, 3, 4, 5, 8}, {2, 3, 4, 5, 8}, 0.5, 3);
  const BaselineOptions options{.widths = {3, 8}, .steps = 2000, .seed = 7};
  const auto choice = run("metropolis", problem, options);
  REQUIRE(choice);
  for (std::size_t g = 0; g < choice->size(); ++g) {
    const LayerWidths widths = problem.groups[g].options[(*choice)[g]].widths();
    CHECK((widths.weight == 3 || widths.weight == 8));
    CHECK((widths.activation == 3 || widths.activation == 8));
  }
  CHECK(run("metropolis", problem, options) == choice);
}

TEST_CASE("A longer walk is no worse") {
  const Problem problem = synthetic::network_like(10, {2, 4, 8}, {2, 4, 8}, 0.4, 3);
  double before = 1e300;
  for (const std::size_t steps : {100U, 1000U, 10000U}) {
    const auto choice = run("metropolis", problem, {.steps = steps});
    if (!choice) continue;
    CHECK(loss(problem, *choice) <= before);
    before = loss(problem, *choice);
  }
  CHECK(before < 1e300);
}

}  // namespace
}  // namespace widthwise
