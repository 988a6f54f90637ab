#include "search/pareto.hpp"

#include <map>

#include <catch2/catch.hpp>

#include "tests/search/brute_force.hpp"
#include "tests/search/random_problem.hpp"

namespace widthwise {
namespace {

/// The whole front: least loss by cost, dominated ones gone.
std::map<double, double> whole_front(const Problem& problem, MetricId cost) {
  std::map<double, double> least;
  for_each_choice(problem, [&](const Choice& choice) {
    const Totals sums = totals(problem, choice);
    if (!fits(problem, sums)) return;
    const auto [at, is_new] = least.emplace(sums.of(cost), sums.loss);
    if (!is_new) at->second = std::min(at->second, sums.loss);
  });
  std::map<double, double> front;
  double best = 1e300;
  for (const auto& [total, loss] : least) {
    if (loss >= best) continue;
    front.emplace(total, loss);
    best = loss;
  }
  return front;
}

void check_monotone(const std::vector<FrontPoint>& points) {
  for (std::size_t i = 1; i < points.size(); ++i) {
    REQUIRE(points[i].cost > points[i - 1].cost);
    REQUIRE(points[i].loss < points[i - 1].loss);
  }
}

TEST_CASE("With steps of one unit the front of whole costs is brute force's, point by point") {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    INFO("seed " << seed);
    Problem problem =
        synthetic::small({.most_groups = 4, .most_options = 4, .whole_numbers = true}, seed);
    problem.budgets.erase(problem.budgets.begin());  // of the cost; the other one stays
    const std::map<double, double> expected = whole_front(problem, 0);
    if (expected.empty()) {
      CHECK(front(problem, 0, 5).empty());
      continue;
    }
    const double span = expected.rbegin()->first - expected.begin()->first;
    const std::vector<FrontPoint> points =
        front(problem, 0, static_cast<std::size_t>(span) + 1 + (span > 0 ? 0 : 1));
    check_monotone(points);
    REQUIRE(points.size() == expected.size());
    auto point = points.begin();
    for (const auto& [cost, loss] : expected) {
      REQUIRE(point->proven);
      REQUIRE(point->cost == Approx(cost).margin(1e-9));
      REQUIRE(point->loss == Approx(loss).margin(1e-9));
      ++point;
    }
  }
}

TEST_CASE("Points of a front are on brute force's, its ends among them") {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    INFO("seed " << seed);
    const Problem problem = synthetic::small(
        {.most_groups = 5, .most_options = 4, .negative = seed % 2 == 0, .linked = seed % 3 == 0},
        seed);
    const std::map<double, double> expected = whole_front(problem, 0);
    const std::vector<FrontPoint> points = front(problem, 0, 7);
    REQUIRE(points.empty() == expected.empty());
    if (points.empty()) continue;
    check_monotone(points);
    const auto on_front = [&](const FrontPoint& point) {
      return std::any_of(expected.begin(), expected.end(), [&](const auto& entry) {
        return point.cost == Approx(entry.first).margin(1e-8) &&
               point.loss == Approx(entry.second).margin(1e-8);
      });
    };
    for (const FrontPoint& point : points) {
      REQUIRE(point.proven);
      REQUIRE(on_front(point));
      REQUIRE(point.cost == Approx(point.solution.totals.of(0)));
      REQUIRE(is_allowed(problem, *point.solution.choice));
    }
    REQUIRE(points.front().cost == Approx(expected.begin()->first).margin(1e-8));
    REQUIRE(points.back().loss == Approx(expected.rbegin()->second).margin(1e-8));
  }
}

TEST_CASE("The front of a network is convex but for steps of single layers") {
  const Problem problem = synthetic::network_like(52, {2, 3, 4, 5, 6}, {2, 3, 4, 5, 6}, 1, 1);
  const std::vector<FrontPoint> points = front(problem, 0, 20);
  CHECK(points.size() == 20);
  check_monotone(points);
  for (const FrontPoint& point : points) CHECK(point.proven);
}

TEST_CASE("No points are none") {
  CHECK(front(synthetic::network_like(3, {4, 8}, {8}, 1, 1), 0, 0).empty());
}

}  // namespace
}  // namespace widthwise
