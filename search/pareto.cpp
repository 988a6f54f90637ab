#include "search/pareto.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace widthwise {

namespace {

using Clock = std::chrono::steady_clock;

class Front {
 public:
  Front(const Problem& problem, MetricId cost, SolveOptions options)
      : least_loss_(problem), least_cost_(problem), cost_(cost), options_(std::move(options)) {
    least_loss_.objective = {1, {}};
    least_cost_.objective = {0, std::vector<double>(problem.costs.size(), 0)};
    least_cost_.objective.costs[cost] = 1;
    begin_ = Clock::now();
    Budget limit;
    limit.metric = cost;
    least_loss_.budgets.push_back(limit);
    limit.metric = kLoss;
    least_cost_.budgets.push_back(limit);
  }

  std::vector<FrontPoint> run(std::size_t points) {
    // The ends are found without the limit that each problem has as its last budget.
    const Solution cheapest = without_limit(least_cost_);
    if (!cheapest.choice) return {};
    const Solution best = without_limit(least_loss_);
    if (!best.choice) return {};
    const double low = cheapest.totals.of(cost_);
    const Solution best_cost = solve_at(least_cost_, best.totals.loss, best.choice);
    const double high = std::max(low, best_cost.totals.of(cost_));
    std::optional<Choice> start = cheapest.choice;
    std::vector<double> multipliers;
    for (std::size_t i = 0; i < points; ++i) {
      const double share =
          points == 1 ? 1 : static_cast<double>(i) / static_cast<double>(points - 1);
      const double limit = i + 1 == points ? high : low + share * (high - low);
      Solution solution = solve_at(least_loss_, limit, start, multipliers);
      if (!solution.choice) continue;
      start = solution.choice;
      multipliers = solution.shadow_prices();
      add(std::move(solution), limit);
    }
    return std::move(points_);
  }

 private:
  [[nodiscard]] SolveOptions options(std::optional<Choice> start) const {
    SolveOptions options = options_;
    options.start = std::move(start);
    options.time_limit_s -= std::chrono::duration<double>(Clock::now() - begin_).count();
    return options;
  }

  [[nodiscard]] Solution without_limit(Problem problem) const {
    problem.budgets.pop_back();
    return solve_checked(problem, options(options_.start));
  }

  Solution solve_at(Problem& problem, double limit, std::optional<Choice> start,
                    std::vector<double> multipliers = {}) const {
    problem.budgets.back().limit = limit;
    SolveOptions with_start = options(std::move(start));
    with_start.multipliers = std::move(multipliers);
    return solve_checked(problem, with_start);
  }

  [[nodiscard]] bool is_proven(const Solution& solution) const {
    return solution.status == SolveStatus::optimal || solution.status == SolveStatus::feasible;
  }

  void add(Solution solution, double limit) {
    const double loss = solution.totals.loss;
    const double rounding = 1e-9 * std::max(std::abs(loss), 1e-300);
    if (!points_.empty() && loss >= points_.back().loss - rounding) return;  // the same again
    FrontPoint point;
    point.limit = limit;
    const Solution cheapest = solve_at(least_cost_, loss, solution.choice);
    point.proven = is_proven(solution) && is_proven(cheapest);
    if (cheapest.choice && cheapest.totals.of(cost_) < solution.totals.of(cost_)) {
      solution.choice = cheapest.choice;
      solution.totals = cheapest.totals;
      solution.objective = cheapest.totals.loss;  // the same but for rounding
      solution.bound = std::min(solution.bound, solution.objective);
      for (std::size_t b = 0; b < solution.budgets.size(); ++b) {
        solution.budgets[b].used = solution.totals.of(least_loss_.budgets[b].metric);
      }
    }
    point.cost = solution.totals.of(cost_);
    point.loss = solution.totals.loss;
    // Within the gap that was asked for, a dearer point may come out before a cheaper one.
    while (!points_.empty() && points_.back().cost >= point.cost) points_.pop_back();
    point.solution = std::move(solution);
    points_.push_back(std::move(point));
  }

  Problem least_loss_;
  Problem least_cost_;
  MetricId cost_;
  SolveOptions options_;
  Clock::time_point begin_;
  std::vector<FrontPoint> points_;
};

}  // namespace

std::vector<FrontPoint> front(const Problem& problem, MetricId cost, std::size_t points,
                              const SolveOptions& options) {
  check(problem);
  ensure(cost < problem.costs.size(), "the front is against a cost of the problem");
  if (points == 0) return {};
  return Front(problem, cost, options).run(points);
}

}  // namespace widthwise
