// A solved bit-width problem, for people, as JSON, CSV and as parts of a page. Everything that is
// printed was computed before; here are only sums of strings.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/html_page.hpp"
#include "models/network/widths.hpp"
#include "search/pareto.hpp"
#include "search/problem.hpp"
#include "search/solver.hpp"

namespace widthwise {

/// What another method found; no choice: nothing within the budgets.
struct BaselineResult {
  std::string name;
  std::optional<Choice> choice;
  Totals totals;
  double objective = 0;
  double seconds = 0;
};

/// Runs all of them.
std::vector<BaselineResult> run_baselines(const Problem& problem);

/// The problem without its budgets on a cost: the front's own limits take their place.
Problem without_budget_on(const Problem& problem, MetricId cost);

/// A front as one of the methods draws it.
struct NamedFront {
  std::string name;
  std::vector<std::pair<double, double>> points;  // cost, loss; cost ascending
};

/// The fronts of the methods that take budgets, at the limits of the proven front.
std::vector<NamedFront> baseline_fronts(const Problem& problem, MetricId cost,
                                        const std::vector<FrontPoint>& front);

std::string objective_name(const Problem& problem);  // "loss", "loss + 0.01 latency_ms"

/// Status, objective with its bound, totals, budgets with what they would buy, and why there is no
/// answer. Lines of a report.
std::string solution_text(const Problem& problem, const Solution& solution);

/// Widths and figures of every group. Empty without a choice.
std::string choice_text(const Problem& problem, const Solution& solution);

std::string baselines_text(const Problem& problem, const Solution& solution,
                           const std::vector<BaselineResult>& baselines);

std::string front_text(const Problem& problem, MetricId cost, const std::vector<FrontPoint>& front);

/// "cost,loss,bound,gap,proven" and a column of widths ("w4a8") per group.
std::string front_csv(const Problem& problem, MetricId cost, const std::vector<FrontPoint>& front);

/// "solution/1": see docs/file_formats.md. Without the closing line feed.
std::string solution_json(const Problem& problem, const Solution& solution,
                          const std::vector<BaselineResult>& baselines,
                          const std::vector<FrontPoint>& front, MetricId front_cost);

/// In quotes, as YAML reads it back.
std::string quoted_yaml(const std::string& text);

/// An `assignment/1` file that `widthwise run --bits` reads.
std::string assignment_yaml(const Assignment& assignment);

/// Facts and parts of a page.
void add_solution(HtmlPage& page, const Problem& problem, const Solution& solution,
                  const std::vector<BaselineResult>& baselines);
void add_front(HtmlPage& page, const Problem& problem, MetricId cost,
               const std::vector<FrontPoint>& front, const std::vector<NamedFront>& others,
               const Solution& solution);

}  // namespace widthwise
