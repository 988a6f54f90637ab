#include "search/budgets.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "models/base/text.hpp"
#include "models/config/yaml_reader.hpp"
#include "search/milp.hpp"
#include "search/relaxation.hpp"
#include "search/solver_limits.hpp"

namespace widthwise {

namespace {

/// Least total of a metric times `sign`.
double least_total(const Problem& problem, MetricId metric, double sign) {
  search::Rows rows;
  rows.objective.loss = metric == kLoss ? sign : 0;
  rows.objective.costs.assign(problem.costs.size(), 0);
  if (metric != kLoss) rows.objective.costs[metric] = sign;
  const search::ReducedProblem reduced = search::reduce(problem, rows);
  const auto relaxation = problem.is_linked()
                              ? search::linked_relaxation(reduced, search::kMostTableEntries)
                              : search::separable_relaxation(reduced);
  Choice choice;
  if (relaxation != nullptr) {
    search::Point point;
    relaxation->minimize(std::array{1.0}, point);
    choice = reduced.original(relaxation->all_options(point.options), problem.groups.size());
  } else {
    const search::MilpResult result =
        search::solve_by_cbc(problem, reduced, search::kReachTimeLimit, 0);
    ensure(result.choice.has_value(), "a problem without budgets has an answer");
    choice = *result.choice;
  }
  return totals(problem, choice).of(metric);
}

std::string shown(LayerWidths widths) {
  return fmt::format("w{}a{}", widths.weight, widths.activation);
}

}  // namespace

Reach reachable(const Problem& problem, MetricId metric) {
  return {least_total(problem, metric, 1), least_total(problem, metric, -1)};
}

double total_at(const Problem& problem, MetricId metric, LayerWidths widths,
                const SourcePlace& place, const std::string& key, Diagnostics& problems) {
  Choice choice;
  std::vector<std::string> lacking;
  for (const Group& group : problem.groups) {
    const auto found =
        std::find_if(group.options.begin(), group.options.end(),
                     [&](const Option& option) { return option.widths() == widths; });
    // A group with a single option has no other widths: it is pinned.
    choice.push_back(
        group.options.size() == 1 ? 0 : static_cast<std::size_t>(found - group.options.begin()));
  }
  for (const Pin& pin : problem.pins) choice[pin.group] = pin.option;
  for (std::size_t g = 0; g < choice.size(); ++g) {
    if (choice[g] == problem.groups[g].options.size()) lacking.push_back(problem.groups[g].name);
  }
  if (lacking.empty()) return totals(problem, choice).of(metric);
  constexpr std::size_t kShown = 5;
  const std::size_t count = std::min(kShown, lacking.size());
  std::string names = quoted_list(std::span(lacking).first(count));
  if (lacking.size() > count) names += fmt::format(" and {} more", lacking.size() - count);
  problems.error(place, key, fmt::format("{} have no option {}", names, shown(widths)));
  return 0;
}

void resolve_budgets(Problem& problem, Diagnostics& problems) {
  for (Budget& budget : problem.budgets) {
    const BudgetForm& form = budget.form;
    switch (form.kind) {
      case BudgetForm::Kind::max:
        budget.limit = form.value;
        break;
      case BudgetForm::Kind::fraction: {
        const Reach reach = reachable(problem, budget.metric);
        budget.limit = reach.least + form.value * (reach.greatest - reach.least);
        break;
      }
      case BudgetForm::Kind::share:
        budget.limit = form.value *
                       total_at(problem, budget.metric, form.reference, budget.place,
                                join_path(join_path("budgets", problem.metric_name(budget.metric)),
                                          "relative_to"),
                                problems);
        break;
    }
  }
}

}  // namespace widthwise
