// The solver against brute force and against Cbc, edges of budgets, infeasible problems, shadow
// prices, starts.

#include "search/solver.hpp"

#include <cmath>
#include <random>

#include <catch2/catch.hpp>

#include "models/network/network_yaml.hpp"
#include "models/network/stored_widths.hpp"
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
    const Reach reach = reachable(problem, budget.metric);
    const double range = reach.greatest - reach.least;
    const double unit = budget.limit > 1e-6 * range ? budget.limit : range;
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

TEST_CASE("The solver equals brute force where groups are alike") {
  for (std::uint32_t seed = 0; seed < 1500; ++seed) {
    INFO("seed " << seed);
    Problem problem = synthetic::small(
        {.most_groups = 2, .most_options = 5, .whole_numbers = seed % 2 == 0}, seed);
    const std::vector<Group> groups = problem.groups;
    for (const Group& group : groups) {
      for (const std::string copy : {"b", "c"}) {
        problem.groups.push_back(group);
        problem.groups.back().name += copy;
      }
    }
    for (Budget& budget : problem.budgets) budget.limit *= 2.9;
    compare(problem);
  }
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

TEST_CASE("A mixture whose mean rounds beyond its points is divided all the same") {
  const Problem problem = synthetic::small({.most_groups = 5,
                                            .most_options = 5,
                                            .costs = 3,
                                            .whole_numbers = true,
                                            .loss_budget = true,
                                            .linked = true},
                                           485573);
  const Solution solution = solve(problem, {.time_limit_s = 20});
  CHECK(solution.status == SolveStatus::optimal);
  CHECK(solution.nodes < 1000);
}

TEST_CASE("The solver equals Cbc on the whole model") {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    INFO("seed " << seed);
    const Problem problem = seed % 2 == 0
                                ? synthetic::network_like(10, {2, 4, 8}, {2, 4, 8}, 0.4, seed)
                                : synthetic::linked_network(6, {2, 4, 8}, 0.4, seed);
    const Solution solution = solve(problem);
    REQUIRE(solution.status == SolveStatus::optimal);
    const search::ReducedProblem plain =
        search::reduce(problem, {problem.objective, {0, 1}}, search::Reduction::ties_only);
    const search::MilpResult cbc = search::solve_by_cbc(problem, plain, 60, 0);
    REQUIRE(cbc.finished);
    REQUIRE(cbc.choice);
    const Totals sums = totals(problem, *cbc.choice);
    REQUIRE(fits(problem, sums));
    CHECK(solution.objective == Approx(objective_value(problem, sums)).epsilon(1e-6));
    CHECK(solution.objective <= objective_value(problem, sums) * (1 + 1e-9));
  }
}

TEST_CASE("Where the dynamic program would be too large, Cbc solves the whole model") {
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    INFO("seed " << seed);
    const Problem problem =
        synthetic::small({.most_groups = 4, .most_options = 4, .linked = true}, seed);
    const BruteForce expected = brute_force(problem);
    const Solution solution = solve(problem, {.most_table_entries = 0});
    if (!expected.choice) {
      CHECK(solution.status != SolveStatus::optimal);
      CHECK_FALSE(solution.choice);
      continue;
    }
    REQUIRE(solution.choice);
    CHECK(solution.objective == Approx(expected.objective).epsilon(1e-5).margin(1e-6));
    CHECK(solution.bound <= solution.objective);
  }
}

// ---- budgets

/// Two groups, w4 or w8: costs 1 or 2 and 10 or 20, losses 2 or 1 and 5 or 1.
Problem two_layers(double limit) {
  Problem problem;
  problem.costs = {"size"};
  problem.groups = {{"a", {{4, 4, 2, {1}, {}}, {8, 8, 1, {2}, {}}}, {}},
                    {"b", {{4, 4, 5, {10}, {}}, {8, 8, 1, {20}, {}}}, {}}};
  Budget budget;
  budget.metric = 0;
  budget.limit = limit;
  problem.budgets = {budget};
  return problem;
}

TEST_CASE("A limit that equals a total admits it, and one just below does not") {
  struct Edge {
    double total;
    double at;     // least loss with that total
    double below;  // and with less
  };
  for (const Edge& edge : {Edge{22, 2, 3}, Edge{21, 3, 6}, Edge{12, 6, 7}}) {
    CHECK(solve(two_layers(edge.total)).objective == edge.at);
    CHECK(solve(two_layers(edge.total * (1 - 1e-8))).objective == edge.below);
    CHECK(solve(two_layers(edge.total * (1 + 1e-8))).objective == edge.at);
  }
  CHECK(solve(two_layers(11)).objective == 7);
  CHECK(solve(two_layers(11 * (1 - 1e-8))).status == SolveStatus::infeasible);
}

TEST_CASE("Every total is an edge of its own budget, on random problems") {
  for (std::uint32_t seed = 0; seed < 100; ++seed) {
    Problem problem = synthetic::small({.most_groups = 4, .most_options = 4, .costs = 1}, seed);
    for_each_choice(problem, [&](const Choice& choice) {
      const double total = totals(problem, choice).costs[0];
      for (const double limit : {total, total * (1 - 1e-8)}) {
        problem.budgets[0].limit = limit;
        const BruteForce expected = brute_force(problem);
        const Solution solution = solve(problem);
        REQUIRE(solution.choice.has_value() == expected.choice.has_value());
        if (expected.choice) REQUIRE(solution.objective == Approx(expected.objective));
      }
    });
  }
}

TEST_CASE("Without budgets every group has its best option") {
  Problem problem = two_layers(0);
  problem.budgets.clear();
  const Solution solution = solve(problem);
  CHECK(solution.status == SolveStatus::optimal);
  CHECK(solution.choice == Choice{1, 1});
  CHECK(solution.objective == 2);
}

TEST_CASE("A budget that nothing exceeds is not binding and has no price") {
  const Solution loose = solve(two_layers(22));
  CHECK_FALSE(loose.budgets[0].binding);
  CHECK(loose.budgets[0].shadow_price == 0);
  CHECK(loose.budgets[0].used == 22);
  CHECK(loose.budgets[0].limit == 22);
  const Solution tight = solve(two_layers(21.5));
  CHECK(tight.budgets[0].binding);
  CHECK(tight.budgets[0].used == 21);
  // Of the two ways to spend less, giving up 1 of a's 2 for a loss of 1, or 10 of b's 20 for 4, b's
  // is the cheaper one: 0.4 for a unit.
  CHECK(tight.budgets[0].shadow_price == Approx(0.4));
  CHECK(tight.relaxation == Approx(2 + 0.5 * 0.4));
}

TEST_CASE("An objective may be a cost with a budget on the loss") {
  Problem problem = two_layers(0);
  problem.objective = {0, {1}};
  problem.budgets[0].metric = kLoss;
  problem.budgets[0].limit = 3;
  const Solution solution = solve(problem);
  CHECK(solution.status == SolveStatus::optimal);
  CHECK(solution.objective == 21);
  CHECK(solution.totals.loss == 3);
}

// ---- infeasible

TEST_CASE("A budget that can not be met alone is named with the least total and what is missing") {
  Problem problem = two_layers(10);
  Budget loss;
  loss.metric = kLoss;
  loss.limit = 1.5;
  problem.budgets.push_back(loss);
  const Solution solution = solve(problem);
  CHECK(solution.status == SolveStatus::infeasible);
  CHECK_FALSE(solution.choice);
  REQUIRE(solution.shortfall);
  CHECK_FALSE(solution.shortfall->jointly);
  REQUIRE(solution.shortfall->misses.size() == 2);
  CHECK(solution.shortfall->misses[0].budget == 0);
  CHECK(solution.shortfall->misses[0].least == 11);
  CHECK(solution.shortfall->misses[0].over == 1);
  CHECK(solution.shortfall->misses[1].least == 2);
  CHECK(solution.shortfall->misses[1].over == 0.5);
}

TEST_CASE("Budgets that can only not be met together are named with the least excess") {
  Problem problem = two_layers(20);
  Budget loss;
  loss.metric = kLoss;
  loss.limit = 2.5;
  problem.budgets.push_back(loss);
  // (size, loss) can be (22, 2), (21, 3), (12, 6), (11, 7): excess 10 %, 20 %, 140 %, 180 %.
  const Solution solution = solve(problem);
  CHECK(solution.status == SolveStatus::infeasible);
  REQUIRE(solution.shortfall);
  CHECK(solution.shortfall->jointly);
  CHECK(solution.shortfall->proven);
  CHECK(solution.shortfall->excess == Approx(0.1));
  REQUIRE(solution.shortfall->misses.size() == 1);
  CHECK(solution.shortfall->misses[0].budget == 0);
  CHECK(solution.shortfall->misses[0].least == 22);
  CHECK(solution.shortfall->misses[0].over == 2);
}

TEST_CASE("An unsound problem is refused before anything is solved") {
  Problem problem = two_layers(20);
  problem.budgets[0].limit = -1;
  CHECK_THROWS_AS(solve(problem), InputError);
}

// ---- shadow prices

TEST_CASE(
    "No change of limits lowers the optimum below the relaxation by more than the prices say") {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> unit(0, 1);
  for (std::uint32_t seed = 0; seed < 30; ++seed) {
    Problem problem = seed % 3 == 2
                          ? synthetic::linked_network(8, {2, 4, 8}, 0.4, seed)
                          : synthetic::network_like(12, {2, 3, 4, 8}, {2, 4, 8}, 0.4, seed);
    const Solution first = solve(problem);
    REQUIRE(first.choice);
    CHECK(first.relaxation <= first.objective * (1 + 1e-9));
    for (int change = 0; change < 5; ++change) {
      Problem other = problem;
      double least = first.relaxation;
      for (std::size_t b = 0; b < other.budgets.size(); ++b) {
        const double limit = problem.budgets[b].limit;
        other.budgets[b].limit = limit * (0.7 + 0.6 * unit(random));
        least -= (other.budgets[b].limit - limit) * first.budgets[b].shadow_price;
      }
      const Solution second = solve(other);
      if (second.choice) CHECK(second.objective >= least - 1e-9 * std::abs(first.objective));
    }
  }
}

TEST_CASE("In a large problem one more unit of a budget buys what its shadow price says") {
  Problem problem = synthetic::network_like(500, {2, 3, 4, 5, 6, 8}, {2, 4, 6, 8}, 0.4, 3);
  const Solution before = solve(problem, {.gap = 1e-6});
  for (std::size_t b = 0; b < 2; ++b) {
    REQUIRE(before.budgets[b].binding);
    Problem more = problem;
    const double step = 0.01 * problem.budgets[b].limit;
    more.budgets[b].limit += step;
    const Solution after = solve(more, {.gap = 1e-6});
    CHECK((before.objective - after.objective) / step ==
          Approx(before.budgets[b].shadow_price).epsilon(0.1));
  }
}

// ---- larger problems

TEST_CASE("The optimum of problems with the size of networks is proven") {
  for (std::uint32_t seed = 0; seed < 5; ++seed) {
    const Problem problem =
        synthetic::network_like(52, {2, 3, 4, 5, 6}, {2, 3, 4, 5, 6}, 0.4, seed);
    const Solution solution = solve(problem);
    CHECK(solution.status == SolveStatus::optimal);
    CHECK(solution.bound == solution.objective);
  }
}

TEST_CASE("The gap that is asked for is proven for thousands of groups") {
  const Problem problem = synthetic::network_like(5000, {4, 8}, {2, 4, 6, 8}, 0.4, 1);
  const Solution solution = solve(problem, {.gap = 1e-4});
  CHECK((solution.status == SolveStatus::feasible || solution.status == SolveStatus::optimal));
  CHECK(solution.gap <= 1e-4);
  CHECK(solution.objective - solution.bound <= 1e-4 * solution.objective);
}

TEST_CASE("Costs linked by stored widths are solved with proof at the size of ResNet-18") {
  const Problem problem = synthetic::linked_network(21, {2, 3, 4, 5, 6, 7, 8}, 0.4, 1);
  const Solution solution = solve(problem, {.gap = 1e-4});
  CHECK(solution.gap <= 1e-4);
  // A search by single changes finds nothing better.
  for (std::size_t g = 0; g < problem.groups.size(); ++g) {
    for (std::size_t o = 0; o < problem.groups[g].options.size(); ++o) {
      Choice choice = *solution.choice;
      choice[g] = o;
      const Totals sums = totals(problem, choice);
      if (fits(problem, sums)) CHECK(objective_value(problem, sums) >= solution.bound - 1e-12);
    }
  }
}

/// Bits moved and computed by a network's layers with weights, with its own rules of storage.
Problem stored_network(const Network& network, const std::vector<BitWidth>& widths) {
  Problem problem;
  problem.costs = {"traffic", "bitops"};
  std::vector<std::size_t> group_of(network.layers().size());
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    const Layer& layer = network.layers()[id];
    if (!layer.compute) continue;
    group_of[id] = problem.groups.size();
    Group group{layer.name, {}, {}};
    const double sensitivity = 1 + std::sin(3.0 * static_cast<double>(id));
    for (const BitWidth w : widths) {
      for (const BitWidth a : widths) {
        const double loss = (0.1 + sensitivity) * (std::pow(4.0, -w) + 0.3 * std::pow(4.0, -a));
        const double weights = static_cast<double>(layer.compute->weight_elements());
        group.options.push_back(
            {w, a, loss, {weights * w, static_cast<double>(layer.macs()) * w * a}, {}});
      }
    }
    problem.groups.push_back(std::move(group));
  }
  for (const StorageRule& rule : storage_rules(network)) {
    StoredTensor tensor{"t" + std::to_string(problem.tensors.size()), widths, rule.floor, {}};
    for (const LayerId reader : rule.readers) tensor.readers.push_back(group_of[reader]);
    problem.tensors.push_back(std::move(tensor));
  }
  // Every layer pays for its inputs and its output at their stored widths; squared, so that it is
  // not linear.
  for (const Layer& layer : network.layers()) {
    LinkedCost link;
    std::size_t count = 1;
    for (const TensorId input : layer.inputs) link.tensors.push_back(input);
    link.tensors.push_back(layer.output);
    if (link.tensors.size() > kMostLinkedTensors) link.tensors.resize(kMostLinkedTensors);
    for (std::size_t i = 0; i < link.tensors.size(); ++i) count *= widths.size();
    for (std::size_t i = 0; i < count; ++i) {
      double traffic = 0;
      std::size_t rest = i;
      for (std::size_t t = link.tensors.size(); t-- > 0;) {
        const double bits = widths[rest % widths.size()];
        traffic += static_cast<double>(network.tensors()[link.tensors[t]].elements()) * bits *
                   (1 + bits / 16);
        rest /= widths.size();
      }
      link.values.push_back(traffic);
      link.values.push_back(0);
    }
    problem.linked.push_back(std::move(link));
  }
  const Choice low(problem.groups.size(), 0);
  const Choice high(problem.groups.size(), widths.size() * widths.size() - 1);
  for (const MetricId metric : {std::size_t{0}, std::size_t{1}}) {
    Budget budget;
    budget.metric = metric;
    budget.limit = 0.6 * totals(problem, low).of(metric) + 0.4 * totals(problem, high).of(metric);
    problem.budgets.push_back(budget);
  }
  return problem;
}

TEST_CASE("Shipped networks with their own rules of storage are solved with proof") {
  for (const std::string name : {"resnet18", "mobilenet_v2"}) {
    INFO(name);
    const Problem problem = stored_network(
        read_network(std::string(WIDTHWISE_SOURCE_DIR) + "/workloads/" + name + ".yaml"),
        {2, 3, 4, 5, 6, 7, 8});
    const Solution solution = solve(problem, {.gap = 1e-4});
    REQUIRE(solution.choice);
    CHECK(solution.gap <= 1e-4);
    CHECK(solution.budgets[0].binding);
    CHECK(solution.budgets[1].binding);
  }
}

TEST_CASE("Groups that are all alike are no harder than others") {
  Problem problem = synthetic::scattered(1, 25, 2, 0.4, 1);
  const Group group = problem.groups.front();
  problem.groups.clear();
  for (int i = 0; i < 50; ++i) {
    problem.groups.push_back(group);
    problem.groups.back().name += std::to_string(i);
  }
  for (Budget& budget : problem.budgets) budget.limit *= 50 * 0.973;
  const Solution solution = solve(problem);
  CHECK(solution.status == SolveStatus::optimal);
  CHECK(solution.nodes < 20'000);
}

// ---- starts, time

TEST_CASE("A start does not change the optimum, be it good, bad or no choice at all") {
  const Problem problem = synthetic::network_like(20, {2, 4, 8}, {2, 4, 8}, 0.4, 5);
  const Solution fresh = solve(problem);
  for (const Choice& start : {*fresh.choice, Choice(20, 0), Choice(20, 8), Choice{1}, Choice{}}) {
    const Solution again = solve(problem, {.start = start, .multipliers = {1, 1e9}});
    CHECK(again.status == SolveStatus::optimal);
    CHECK(again.objective == Approx(fresh.objective));
  }
}

TEST_CASE("When time runs out the bound still holds and the answer still meets the budgets") {
  const Problem problem = synthetic::scattered(60, 16, 8, 0.3, 1);
  for (const double seconds : {0.0, 0.01, 0.1}) {
    const Solution solution = solve(problem, {.time_limit_s = seconds});
    if (solution.status != SolveStatus::time_limit) continue;
    if (!solution.choice) continue;
    CHECK(fits(problem, solution.totals));
    CHECK(solution.bound <= solution.objective);
    CHECK(solution.gap >= 0);
  }
  CHECK(solve(problem, {.time_limit_s = 0}).status == SolveStatus::time_limit);
}

TEST_CASE("The same problem has the same answer each time") {
  const Problem problem = synthetic::network_like(60, {2, 4, 8}, {2, 4, 8}, 0.3, 9);
  const Solution first = solve(problem);
  for (int i = 0; i < 3; ++i) CHECK(solve(problem).choice == first.choice);
}

TEST_CASE("Solving again with other losses equals solving afresh") {
  for (const bool linked : {false, true}) {
    Problem problem =
        linked ? synthetic::linked_network(8, {2, 4, 8}, 0.4, 2)
               : synthetic::network_like(21, {2, 3, 4, 5, 6, 7, 8}, {2, 3, 4, 5, 6, 7, 8}, 0.4, 2);
    Resolver resolver(problem);
    resolver.solve();
    std::mt19937 random(4);
    std::uniform_real_distribution<double> change(0.9, 1.1);
    for (int epoch = 0; epoch < 10; ++epoch) {
      std::vector<std::vector<double>> losses;
      for (Group& group : problem.groups) {
        losses.emplace_back();
        const double factor = change(random);
        for (Option& option : group.options) {
          option.loss *= factor;
          losses.back().push_back(option.loss);
        }
      }
      const Solution& again = resolver.solve(losses);
      const Solution fresh = solve(problem);
      CHECK(again.status == SolveStatus::optimal);
      CHECK(again.objective == Approx(fresh.objective).epsilon(1e-9));
    }
  }
}

TEST_CASE("Losses that are not numbers are refused when solving again") {
  Resolver resolver(two_layers(21));
  CHECK_THROWS_AS(resolver.solve({{1, 2}, {std::nan(""), 1}}), InputError);
}

// ---- what can be reached

TEST_CASE("The reachable range of a total equals brute force") {
  for (std::uint32_t seed = 0; seed < 500; ++seed) {
    INFO("seed " << seed);
    const Problem problem = synthetic::small(
        {.most_options = 4, .ties = true, .pins = true, .linked = seed % 2 == 0}, seed);
    for (const MetricId metric : {std::size_t{0}, std::size_t{1}, kLoss}) {
      double least = 1e300;
      double greatest = -1e300;
      for_each_choice(problem, [&](const Choice& choice) {
        const double total = totals(problem, choice).of(metric);
        least = std::min(least, total);
        greatest = std::max(greatest, total);
      });
      const Reach reach = reachable(problem, metric);
      REQUIRE(reach.least == Approx(least).margin(1e-12));
      REQUIRE(reach.greatest == Approx(greatest).margin(1e-12));
    }
  }
}

}  // namespace
}  // namespace widthwise
