#include "search/solver.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "search/branch_and_bound.hpp"
#include "search/budgets.hpp"
#include "search/milp.hpp"

namespace widthwise {

namespace {

using search::Clock;

constexpr double kExcessGap = 1e-6;  // of the limit

Clock::time_point deadline_after(Clock::time_point begin, double seconds) {
  constexpr double kForever = 1e9;
  return begin + std::chrono::duration_cast<Clock::duration>(
                     std::chrono::duration<double>(std::clamp(seconds, 0.0, kForever)));
}

std::vector<std::size_t> all_budgets(const Problem& problem) {
  std::vector<std::size_t> budgets;
  for (std::size_t b = 0; b < problem.budgets.size(); ++b) budgets.push_back(b);
  return budgets;
}

class Solver {
 public:
  Solver(const Problem& problem, const SolveOptions& options)
      : problem_(problem),
        options_(options),
        begin_(Clock::now()),
        deadline_(deadline_after(begin_, options.time_limit_s)),
        reduced_(search::reduce(problem, {problem.objective, all_budgets(problem)})) {}

  Solution run() {
    for (const Budget& budget : problem_.budgets) {
      solution_.budgets.push_back({0, budget.limit, false, 0});
    }
    auto relaxation = problem_.is_linked()
                          ? search::linked_relaxation(reduced_, options_.most_table_entries)
                          : search::separable_relaxation(reduced_);
    if (relaxation == nullptr) {
      solve_whole();
    } else if (!miss_alone(*relaxation)) {
      solve_by_bounds(std::move(relaxation));
    }
    solution_.solve_s = std::chrono::duration<double>(Clock::now() - begin_).count();
    return std::move(solution_);
  }

 private:
  // ---- infeasible

  /// Whether a budget can not be met even alone.
  bool miss_alone(search::Relaxation& relaxation) {
    Shortfall shortfall;
    std::vector<double> weights(reduced_.rows(), 0);
    for (std::size_t k = 0; k < reduced_.limits.size(); ++k) {
      weights[k + 1] = 1;
      search::Point point;
      relaxation.minimize(weights, point);
      weights[k + 1] = 0;
      const Choice choice =
          reduced_.original(relaxation.all_options(point.options), problem_.groups.size());
      const Totals sums = totals(problem_, choice);
      least_choices_.push_back(choice);
      add_miss(reduced_.budgets[k], sums, shortfall);
    }
    if (shortfall.misses.empty()) return false;
    solution_.status = SolveStatus::infeasible;
    solution_.shortfall = std::move(shortfall);
    return true;
  }

  void add_miss(std::size_t b, const Totals& sums, Shortfall& shortfall) const {
    const Budget& budget = problem_.budgets[b];
    const double used = sums.of(budget.metric);
    if (!fits(used, budget.limit)) shortfall.misses.push_back({b, used, used - budget.limit});
  }

  void miss_jointly(const Choice& closest, double excess, bool proven) {
    Shortfall shortfall;
    shortfall.jointly = true;
    shortfall.excess = excess;
    shortfall.proven = proven;
    const Totals sums = totals(problem_, closest);
    for (const std::size_t b : reduced_.budgets) add_miss(b, sums, shortfall);
    solution_.status = SolveStatus::infeasible;
    solution_.shortfall = std::move(shortfall);
  }

  // ---- by Lagrangian bounds

  [[nodiscard]] std::unique_ptr<search::Relaxation> fresh_relaxation() const {
    return problem_.is_linked() ? search::linked_relaxation(reduced_, options_.most_table_entries)
                                : search::separable_relaxation(reduced_);
  }

  /// A choice that meets the budgets, or the proof that there is none.
  std::optional<Choice> find_feasible() {
    search::SearchOptions options;
    options.aim = search::Aim::excess;
    options.gap = kExcessGap;
    options.deadline = deadline_;
    options.starts = least_choices_;
    if (options_.start) options.starts.push_back(*options_.start);
    const search::SearchResult result =
        search::branch_and_bound(problem_, reduced_, fresh_relaxation(), options);
    solution_.nodes += result.nodes;
    if (result.choice && result.value <= 0) return result.choice;
    if (result.choice && result.bound > 0) {
      miss_jointly(*result.choice, result.value, result.complete);
    }
    return std::nullopt;
  }

  void solve_by_bounds(std::unique_ptr<search::Relaxation> relaxation) {
    std::optional<Choice> feasible;
    if (options_.start && is_allowed(problem_, *options_.start) &&
        fits(problem_, totals(problem_, *options_.start))) {
      feasible = options_.start;
    } else if (!reduced_.limits.empty()) {
      feasible = find_feasible();
      if (!feasible) return;  // status and shortfall are set, or it is the time limit
    }
    search::SearchOptions options;
    options.gap = options_.gap;
    options.deadline = deadline_;
    if (feasible) options.starts.push_back(*feasible);
    if (options_.multipliers.size() == problem_.budgets.size()) {
      for (const std::size_t b : reduced_.budgets) {
        options.multipliers.push_back(options_.multipliers[b]);
      }
    }
    const search::SearchResult result =
        search::branch_and_bound(problem_, reduced_, std::move(relaxation), options);
    solution_.nodes += result.nodes;
    ensure(result.choice.has_value(), "a feasible start leaves an answer");
    for (std::size_t k = 0; k < result.multipliers.size(); ++k) {
      BudgetUse& use = solution_.budgets[reduced_.budgets[k]];
      use.shadow_price = result.multipliers[k];
      use.binding = use.shadow_price > 0;
    }
    solution_.relaxation = result.root_bound;
    take(*result.choice, result.value, result.bound, result.complete);
  }

  /// The answer: verified here, always.
  void take(const Choice& choice, double objective, double bound, bool complete) {
    solution_.totals = verify(problem_, choice, objective);
    solution_.choice = choice;
    solution_.objective = objective;
    solution_.bound = std::min(bound, objective);
    const double difference = objective - solution_.bound;
    solution_.gap = difference > 0 ? difference / std::max(std::abs(objective), 1e-300) : 0;
    for (std::size_t b = 0; b < problem_.budgets.size(); ++b) {
      solution_.budgets[b].used = solution_.totals.of(problem_.budgets[b].metric);
    }
    solution_.status = difference == 0 ? SolveStatus::optimal
                       : complete      ? SolveStatus::feasible
                                       : SolveStatus::time_limit;
  }

  // ---- by Cbc on the whole model

  void solve_whole() {
    const search::MilpResult result =
        search::solve_by_cbc(problem_, reduced_, options_.time_limit_s, options_.gap);
    if (result.infeasible) {
      solution_.status = SolveStatus::infeasible;
      Shortfall shortfall;
      shortfall.proven = false;
      for (const std::size_t b : reduced_.budgets) {
        const double least = reachable(problem_, problem_.budgets[b].metric).least;
        if (!fits(least, problem_.budgets[b].limit)) {
          shortfall.misses.push_back({b, least, least - problem_.budgets[b].limit});
        }
      }
      shortfall.jointly = shortfall.misses.empty();
      solution_.shortfall = std::move(shortfall);
      return;
    }
    if (!result.choice || !is_allowed(problem_, *result.choice)) return;
    const Totals sums = totals(problem_, *result.choice);
    if (!fits(problem_, sums)) return;  // beyond our tolerance: no answer
    const double objective = objective_value(problem_, sums);
    const double bound = reduced_.shift[0] + reduced_.scale[0] * result.bound;
    const bool complete = objective - bound <= std::max(options_.gap, 1e-6) * std::abs(objective);
    take(*result.choice, objective, bound, complete);
  }

  const Problem& problem_;
  const SolveOptions& options_;
  Clock::time_point begin_;
  Clock::time_point deadline_;
  search::ReducedProblem reduced_;
  std::vector<Choice> least_choices_;
  Solution solution_;
};

}  // namespace

std::string_view to_string(SolveStatus status) {
  switch (status) {
    case SolveStatus::optimal:
      return "optimal";
    case SolveStatus::feasible:
      return "feasible";
    case SolveStatus::infeasible:
      return "infeasible";
    case SolveStatus::time_limit:
      return "time_limit";
  }
  return "";
}

std::vector<double> Solution::shadow_prices() const {
  std::vector<double> prices;
  for (const BudgetUse& use : budgets) prices.push_back(use.shadow_price);
  return prices;
}

Solution solve(const Problem& problem, const SolveOptions& options) {
  check(problem);
  return solve_checked(problem, options);
}

Solution solve_checked(const Problem& problem, const SolveOptions& options) {
  return Solver(problem, options).run();
}

Resolver::Resolver(Problem problem, SolveOptions options)
    : problem_(std::move(problem)), options_(std::move(options)) {
  check(problem_);
}

const Solution& Resolver::solve(const std::vector<std::vector<double>>& losses) {
  ensure(losses.size() == problem_.groups.size(), "losses of every group");
  for (std::size_t g = 0; g < losses.size(); ++g) {
    std::vector<Option>& options = problem_.groups[g].options;
    ensure(losses[g].size() == options.size(), "losses of every option");
    for (std::size_t o = 0; o < options.size(); ++o) {
      if (!std::isfinite(losses[g][o])) {
        throw InputError({}, problem_.groups[g].name, "expected finite losses");
      }
      options[o].loss = losses[g][o];
    }
  }
  return solve();
}

const Solution& Resolver::solve() {
  last_ = Solver(problem_, options_).run();
  if (last_.choice) {
    options_.start = last_.choice;
    options_.multipliers = last_.shadow_prices();
  }
  return last_;
}

}  // namespace widthwise
