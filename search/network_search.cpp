#include "search/network_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "models/base/text.hpp"
#include "models/cost/plan.hpp"
#include "models/network/widths.hpp"
#include "search/budgets.hpp"

namespace widthwise {

namespace {

constexpr const char* kLossName = "loss";

// Of the rough problem that says which options matter: how well it is solved, and by what share of
// its objective an option may be worse than the best of its group and still matter (chosen by trial:
// docs/decisions/0029-options-that-matter.md).
constexpr double kRoughGap = 0.01;
constexpr double kRoughTime = 1;
constexpr double kMatteringShare = 0.05;
constexpr double kMoreMatters = 5;  // times as much after every answer that was not confirmed

/// Costs that the request names, each once, and those that are reported besides.
std::vector<std::string> cost_names(const SearchRequest& request) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (name != kLossName && std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  };
  for (const auto& [name, weight] : request.minimize) add(name);
  for (const MetricBudget& budget : request.budgets) add(budget.metric);
  for (const std::string& name : request.report_costs) add(name);
  return names;
}

MetricId metric_of(const std::vector<std::string>& costs, const std::string& name) {
  if (name == kLossName) return kLoss;
  return static_cast<MetricId>(std::find(costs.begin(), costs.end(), name) - costs.begin());
}

/// ObjectiveWeights, budgets and ties onto a problem that has its groups.
void complete(Problem& problem, const SearchRequest& request, const std::vector<double>& limits,
              Diagnostics& problems) {
  problem.objective.loss = 0;
  problem.objective.costs.assign(problem.costs.size(), 0.0);
  for (const auto& [name, weight] : request.minimize) {
    const MetricId metric = metric_of(problem.costs, name);
    (metric == kLoss ? problem.objective.loss : problem.objective.costs[metric]) = weight;
  }
  for (std::size_t b = 0; b < request.budgets.size(); ++b) {
    const MetricBudget& said = request.budgets[b];
    Budget budget{metric_of(problem.costs, said.metric), said.form, 0, said.place};
    if (!limits.empty()) budget.form = {BudgetForm::Kind::max, limits[b], {}};
    problem.budgets.push_back(budget);
  }
  std::vector<std::string> names;
  for (const Group& group : problem.groups) names.push_back(group.name);
  for (const auto& layers : request.ties) {
    Tie tie;
    for (const std::string& layer : layers) {
      const auto found = std::find(names.begin(), names.end(), layer);
      if (found == names.end()) {
        problems.error(
            {"ties"}, layer,
            "no layer with multiply-accumulates has this name" + suggestion(layer, names));
        continue;
      }
      tie.groups.push_back(static_cast<std::size_t>(found - names.begin()));
    }
    problem.ties.push_back(std::move(tie));
  }
  if (!problems.empty()) return;
  resolve_budgets(problem, problems);
}

class Search {
 public:
  Search(const Network& network, const Accelerator& accelerator, const SearchModels& models,
         const CostTable& losses, const SearchRequest& request,
         const std::function<void(const std::string&)>& progress)
      : network_(network),
        accelerator_(accelerator),
        models_(models),
        losses_(losses),
        request_(request),
        progress_(progress) {
    problem_request_.weight_bits = request.weight_bits;
    problem_request_.activation_bits = request.activation_bits;
    problem_request_.pins = request.pins;
    problem_request_.costs = cost_names(request);
    problem_request_.stored_width_error = request.stored_width_error;
    for (const std::string& name : problem_request_.costs) {
      metrics_.push_back(metric_index(models.fast->metrics(), name));
      confirm_metrics_.push_back(metric_index(models.confirm->metrics(), name));
    }
    for (const Layer& layer : network.layers()) outcome_.layers.push_back(layer.name);
  }

  SearchOutcome run() {
    // Homes as they are where every tensor is as wide as it can be.
    Assignment widest;
    widest.defaults = {request_.weight_bits.back(), request_.activation_bits.back()};
    problem_request_.homes =
        place_tensors(network_, resolve_widths(network_, widest), accelerator_);
    for (int round = 0; round < request_.most_rounds; ++round) {
      // In the end all options matter.
      problem_request_.matters = nullptr;
      if (round + 2 < request_.most_rounds && may_leave_out()) {
        problem_request_.matters = [this](const LeastCosts& least) { return what_matters(least); };
      }
      solve();
      if (!outcome_.solution.choice) return std::move(outcome_);
      if (confirm()) break;
    }
    return std::move(outcome_);
  }

 private:
  void say(const std::string& what) const {
    if (progress_) progress_(what);
  }

  /// Ties and limits that are shares of what is reachable take all options into account.
  [[nodiscard]] bool may_leave_out() const {
    return request_.stored_width_error > 0 && request_.ties.empty() &&
           std::none_of(request_.budgets.begin(), request_.budgets.end(),
                        [](const MetricBudget& budget) {
                          return budget.form.kind == BudgetForm::Kind::fraction;
                        });
  }

  /// Options whose charged objective, at their least costs, comes near that of the best option of
  /// their group. Multipliers are those of the problem of least costs.
  [[nodiscard]] std::vector<std::vector<bool>> what_matters(const LeastCosts& least) const {
    Problem rough;
    rough.costs = problem_request_.costs;
    rough.groups = least.groups;
    rough.groups.push_back({"", {{8, 8, 0, least.others}}});
    Diagnostics problems;
    complete(rough, request_, limits_, problems);
    if (!problems.empty()) return {};
    SolveOptions options;
    options.gap = kRoughGap;
    options.time_limit_s = kRoughTime;
    const Solution solution = solve_checked(rough, options);
    if (!solution.choice) return {};
    const std::vector<double> prices = solution.shadow_prices();
    const auto charged = [&](const Option& option) {
      double value = rough.objective.loss * option.loss;
      for (std::size_t c = 0; c < rough.costs.size(); ++c) {
        value += rough.objective.costs[c] * option.costs[c];
      }
      for (std::size_t b = 0; b < rough.budgets.size(); ++b) {
        const MetricId metric = rough.budgets[b].metric;
        value += prices[b] * (metric == kLoss ? option.loss : option.costs[metric]);
      }
      return value;
    };
    const double slack = std::abs(solution.objective) * kMatteringShare *
                         std::pow(kMoreMatters, static_cast<double>(outcome_.rounds.size()));
    std::vector<std::vector<bool>> matters;
    for (std::size_t g = 0; g < least.groups.size(); ++g) {
      double best = std::numeric_limits<double>::infinity();
      for (const Option& option : least.groups[g].options) best = std::min(best, charged(option));
      auto& of_group = matters.emplace_back();
      for (const Option& option : least.groups[g].options) {
        of_group.push_back(charged(option) <= best + slack || is_named(g, option));
      }
    }
    return matters;
  }

  /// Whether a limit refers to these widths, or an answer before had them.
  [[nodiscard]] bool is_named(std::size_t group, const Option& option) const {
    for (const MetricBudget& budget : request_.budgets) {
      if (budget.form.kind == BudgetForm::Kind::share && budget.form.reference == option.widths()) {
        return true;
      }
    }
    return std::find(answers_.begin(), answers_.end(), std::pair{group, option.widths()}) !=
           answers_.end();
  }

  void solve() {
    say("costs of all layers");
    std::optional<ScaledCostModel> scaled;
    if (!factors_.empty()) scaled.emplace(*models_.fast, factors_);
    CostModel& model = scaled ? static_cast<CostModel&>(*scaled) : *models_.fast;
    outcome_.network_problem = network_problem(network_, model, losses_, problem_request_);
    Problem& problem = outcome_.network_problem.problem;
    Diagnostics problems;
    complete(problem, request_, limits_, problems);
    problems.throw_if_any();
    limits_.clear();
    for (const Budget& budget : problem.budgets) limits_.push_back(budget.limit);
    say("solving");
    SolveOptions options = request_.solve;
    if (outcome_.solution.choice) {
      options.start = outcome_.solution.choice;
      options.multipliers = outcome_.solution.shadow_prices();
    }
    outcome_.solution = widthwise::solve(problem, options);
  }

  /// Simulates the answer. True if it is what was predicted; else the costs have been corrected.
  bool confirm() {
    say("simulating the answer");
    const Problem& problem = outcome_.network_problem.problem;
    outcome_.assignment = outcome_.network_problem.assignment(*outcome_.solution.choice, "search");
    const WidthPlan widths = resolve_widths(network_, outcome_.assignment);
    const std::vector<LayerPoint> points = layer_points(network_, widths, accelerator_);
    const std::vector<PointCost> fast = models_.fast->costs(points);
    const std::vector<PointCost> simulated = models_.confirm->costs(points);
    Diagnostics problems;
    for (std::size_t i = 0; i < points.size(); ++i) {
      const std::string& failure = fast[i].failure.empty() ? simulated[i].failure : fast[i].failure;
      if (failure.empty()) continue;
      problems.error({"layer '" + outcome_.layers[points[i].layer] + "'"}, "",
                     "could not be costed: " + failure);
    }
    problems.throw_if_any();
    Confirmation round;
    round.predicted = outcome_.solution.totals.costs;
    round.simulated.assign(problem.costs.size(), 0.0);
    outcome_.simulated_layers.assign(points.size(), {});
    for (std::size_t i = 0; i < points.size(); ++i) {
      for (std::size_t c = 0; c < problem.costs.size(); ++c) {
        const double value = simulated[i].values[confirm_metrics_[c]];
        outcome_.simulated_layers[i].push_back(value);
        round.simulated[c] += value;
      }
    }
    round.within_tolerance = true;
    for (std::size_t c = 0; c < problem.costs.size(); ++c) {
      const bool matters = problem.objective.costs[c] > 0 ||
                           std::any_of(problem.budgets.begin(), problem.budgets.end(),
                                       [&](const Budget& budget) { return budget.metric == c; });
      const double off = std::abs(round.predicted[c] - round.simulated[c]);
      if (matters && off > request_.tolerance * std::abs(round.simulated[c])) {
        round.within_tolerance = false;
      }
    }
    round.within_budgets =
        std::all_of(problem.budgets.begin(), problem.budgets.end(), [&](const Budget& budget) {
          return budget.metric == kLoss || fits(round.simulated[budget.metric], budget.limit);
        });
    outcome_.rounds.push_back(round);
    outcome_.confirmed = round.within_tolerance && round.within_budgets;
    if (outcome_.confirmed) return true;

    problem_request_.homes = place_tensors(network_, widths, accelerator_);
    if (request_.stored_width_error > 0) {
      problem_request_.exact_at.push_back(widths);
      for (std::size_t g = 0; g < problem.groups.size(); ++g) {
        answers_.emplace_back(g,
                              problem.groups[g].options[(*outcome_.solution.choice)[g]].widths());
      }
    }
    factors_.assign(network_.layers().size(),
                    std::vector<double>(models_.fast->metrics().size(), 1.0));
    for (std::size_t i = 0; i < points.size(); ++i) {
      for (std::size_t c = 0; c < problem.costs.size(); ++c) {
        const double before = fast[i].values[metrics_[c]];
        const double after = simulated[i].values[confirm_metrics_[c]];
        if (before > 0) factors_[points[i].layer][metrics_[c]] = after / before;
      }
    }
    return false;
  }

  const Network& network_;
  const Accelerator& accelerator_;
  const SearchModels& models_;
  const CostTable& losses_;
  const SearchRequest& request_;
  const std::function<void(const std::string&)>& progress_;
  NetworkProblemRequest problem_request_;
  std::vector<std::size_t> metrics_, confirm_metrics_;  // of the problem's costs
  std::vector<double> limits_;                          // of the first round, kept
  std::vector<std::vector<double>> factors_;
  std::vector<std::pair<std::size_t, LayerWidths>> answers_;  // of rounds before, by group
  SearchOutcome outcome_;
};

}  // namespace

SearchOutcome search_network(const Network& network, const Accelerator& accelerator,
                             const SearchModels& models, const CostTable& losses,
                             const SearchRequest& request,
                             const std::function<void(const std::string&)>& progress) {
  return Search(network, accelerator, models, losses, request, progress).run();
}

}  // namespace widthwise
