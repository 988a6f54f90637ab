#include "cli/solution_report.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/print_table.hpp"
#include "cli/report_csv.hpp"
#include "cli/text_layout.hpp"
#include "models/base/units.hpp"
#include "search/baselines.hpp"

namespace widthwise {

namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kLabelColumns = 16;
constexpr std::size_t kMostCostColumns = 4;

std::string widths_text(const Option& option) {
  return fmt::format("w{}a{}", option.weight_bits, option.activation_bits);
}

std::string gap_text(double gap) { return gap == 0 ? "0" : fmt::format("{:.2g} %", 100 * gap); }

/// Relative to the optimum's bound.
double distance(double objective, const Solution& solution) {
  const double scale = std::abs(solution.objective);
  return scale > 0 ? (objective - solution.objective) / scale : objective - solution.objective;
}

/// A number that JSON has a word for.
Json number(double value) {
  if (!std::isfinite(value)) {
    return nullptr;
  }
  return value;
}

std::string metric_name(const Problem& problem, MetricId metric) {
  return metric == kLoss ? "loss" : problem.costs[metric];
}

std::string status_line(const Solution& solution) {
  switch (solution.status) {
    case SolveStatus::optimal:
      return "optimal: no choice is better";
    case SolveStatus::feasible:
      return "within the gap that was asked for";
    case SolveStatus::infeasible:
      return "infeasible: no choice meets the budgets";
    case SolveStatus::time_limit:
      return solution.choice ? "time ran out before the proof: the best choice so far"
                             : "time ran out before a choice was found";
  }
  return "";
}

std::vector<std::string> shortfall_lines(const Problem& problem, const Shortfall& shortfall) {
  std::vector<std::string> lines;
  for (const Shortfall::Miss& miss : shortfall.misses) {
    const Budget& budget = problem.budgets[miss.budget];
    lines.push_back(fmt::format("{}: {} is the least {}, {} over the limit of {}",
                                metric_name(problem, budget.metric), figure(miss.least),
                                shortfall.jointly ? "together with the others" : "reachable",
                                figure(miss.over), figure(budget.limit)));
  }
  if (shortfall.jointly) {
    lines.push_back(
        fmt::format("each alone can be met, all together can not: at best one is {} over",
                    percent_text(shortfall.excess)));
  }
  return lines;
}

std::string label(std::string_view text) { return fmt::format("{:<{}}", text, kLabelColumns); }

std::vector<std::string> assignment_widths(const Problem& problem, const Choice& choice) {
  std::vector<std::string> widths;
  for (std::size_t g = 0; g < choice.size(); ++g) {
    widths.push_back(widths_text(problem.groups[g].options[choice[g]]));
  }
  return widths;
}

}  // namespace

std::string quoted_yaml(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
    }
    quoted += c;
  }
  return quoted + '"';
}

std::vector<BaselineResult> run_baselines(const Problem& problem) {
  std::vector<BaselineResult> results;
  for (const auto& [name, method] : baselines()) {
    const auto begin = Clock::now();
    BaselineResult result{std::string(name), method(problem, {}), {}, 0, 0};
    result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (result.choice) {
      result.totals = totals(problem, *result.choice);
      result.objective = objective_value(problem, result.totals);
    }
    results.push_back(std::move(result));
  }
  return results;
}

Problem without_budget_on(const Problem& problem, MetricId cost) {
  Problem without = problem;
  std::erase_if(without.budgets, [&](const Budget& budget) { return budget.metric == cost; });
  return without;
}

std::vector<NamedFront> baseline_fronts(const Problem& problem, MetricId cost,
                                        const std::vector<FrontPoint>& front) {
  std::vector<NamedFront> fronts;
  for (const auto& [name, method] : baselines()) {
    NamedFront drawn{std::string(name), {}};
    for (const FrontPoint& point : front) {
      Problem limited = without_budget_on(problem, cost);
      limited.objective = {};
      limited.budgets.push_back({cost, {BudgetForm::Kind::max, point.limit, {}}, point.limit, {}});
      if (const auto choice = method(limited, {})) {
        const Totals sums = totals(limited, *choice);
        drawn.points.emplace_back(sums.of(cost), sums.loss);
      }
    }
    // Of the method's own points those that no other one beats.
    std::sort(drawn.points.begin(), drawn.points.end());
    std::vector<std::pair<double, double>> best;
    for (const auto& point : drawn.points) {
      if (best.empty() || point.second < best.back().second) {
        best.push_back(point);
      }
    }
    drawn.points = std::move(best);
    if (!drawn.points.empty()) {
      fronts.push_back(std::move(drawn));
    }
  }
  return fronts;
}

std::string objective_name(const Problem& problem) {
  std::string name;
  const auto add = [&](double weight, const std::string& metric) {
    if (weight == 0) {
      return;
    }
    name += name.empty() ? "" : " + ";
    name += weight == 1 ? metric : format_number(weight) + " " + metric;
  };
  add(problem.objective.loss, "loss");
  for (std::size_t c = 0; c < problem.objective.costs.size(); ++c) {
    add(problem.objective.costs[c], problem.costs[c]);
  }
  return name.empty() ? "nothing" : name;
}

std::string solution_text(const Problem& problem, const Solution& solution) {
  std::string text = label("status") + status_line(solution) + '\n';
  if (solution.shortfall) {
    for (const std::string& line : shortfall_lines(problem, *solution.shortfall)) {
      text += label("") + line + '\n';
    }
  }
  text += label("minimized") + objective_name(problem);
  if (solution.choice) {
    text += fmt::format(": {}; no choice has less than {} (gap {})", figure(solution.objective),
                        figure(solution.bound), gap_text(solution.gap));
  }
  text += '\n';
  if (!solution.choice) {
    return text;
  }
  text += label("totals") + "loss " + figure(solution.totals.loss);
  for (std::size_t c = 0; c < problem.costs.size(); ++c) {
    text += fmt::format("; {} {}", problem.costs[c], figure(solution.totals.costs[c]));
  }
  text += '\n';
  for (std::size_t b = 0; b < problem.budgets.size(); ++b) {
    const BudgetUse& use = solution.budgets[b];
    const std::string name = metric_name(problem, problem.budgets[b].metric);
    text += label(b == 0 ? "budgets" : "") +
            fmt::format("{}: {} of {} ({})", name, figure(use.used), figure(use.limit),
                        percent_text(use.limit > 0 ? use.used / use.limit : 0));
    text += use.binding ? fmt::format("; binds: one more buys {} less", figure(use.shadow_price))
                        : "; does not bind";
    text += '\n';
  }
  return text;
}

std::string choice_text(const Problem& problem, const Solution& solution) {
  if (!solution.choice) {
    return "";
  }
  const std::size_t shown = std::min(problem.costs.size(), kMostCostColumns);
  std::vector<Column> columns{{"group", Align::left, 12},
                              {"weights", Align::right},
                              {"activations", Align::right},
                              {"loss", Align::right}};
  for (std::size_t c = 0; c < shown && !problem.is_linked(); ++c) {
    columns.push_back({problem.costs[c], Align::right});
  }
  std::vector<std::vector<std::string>> rows;
  for (std::size_t g = 0; g < problem.groups.size(); ++g) {
    const Option& option = problem.groups[g].options[(*solution.choice)[g]];
    rows.push_back({printable(problem.groups[g].name), fmt::to_string(option.weight_bits),
                    fmt::to_string(option.activation_bits), figure(option.loss)});
    for (std::size_t c = 0; c < shown && !problem.is_linked(); ++c) {
      rows.back().push_back(figure(option.costs[c]));
    }
  }
  return table_text(columns, rows, kReportColumns);
}

std::string baselines_text(const Problem& problem, const Solution& solution,
                           const std::vector<BaselineResult>& baselines) {
  std::vector<Column> columns{{"method", Align::left}, {"loss", Align::right}};
  const std::size_t shown = std::min(problem.costs.size(), kMostCostColumns);
  for (std::size_t c = 0; c < shown; ++c) {
    columns.push_back({problem.costs[c], Align::right});
  }
  columns.push_back({"above optimum", Align::right});
  columns.push_back({"time", Align::right});
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const std::string& name, const Totals* sums, const std::string& above,
                       double seconds) {
    rows.push_back({name, sums != nullptr ? figure(sums->loss) : "-"});
    for (std::size_t c = 0; c < shown; ++c) {
      rows.back().push_back(sums != nullptr ? figure(sums->costs[c]) : "-");
    }
    rows.back().push_back(above);
    rows.back().push_back(si_text(seconds, "s"));
  };
  if (solution.choice) {
    add("proven", &solution.totals, gap_text(solution.gap), solution.solve_s);
  }
  for (const BaselineResult& baseline : baselines) {
    if (baseline.choice && solution.choice) {
      add(baseline.name, &baseline.totals, percent_text(distance(baseline.objective, solution)),
          baseline.seconds);
    } else {
      add(baseline.name, nullptr, "none found", baseline.seconds);
    }
  }
  return table_text(columns, rows, kReportColumns);
}

std::string front_text(const Problem& problem, MetricId cost,
                       const std::vector<FrontPoint>& front) {
  std::vector<std::vector<std::string>> rows;
  for (const FrontPoint& point : front) {
    rows.push_back({figure(point.cost), figure(point.loss), gap_text(point.solution.gap),
                    point.proven ? "yes" : "no"});
  }
  return table_text({{metric_name(problem, cost), Align::right},
                     {"loss", Align::right},
                     {"gap", Align::right},
                     {"proven", Align::left}},
                    rows, kReportColumns);
}

std::string front_csv(const Problem& problem, MetricId cost, const std::vector<FrontPoint>& front) {
  std::string csv = metric_name(problem, cost) + ",loss,bound,gap,proven";
  for (const Group& group : problem.groups) {
    csv += ',' + csv_field(group.name);
  }
  csv += '\n';
  for (const FrontPoint& point : front) {
    csv += fmt::format("{},{},{},{},{}", format_number(point.cost), format_number(point.loss),
                       format_number(point.solution.bound), format_number(point.solution.gap),
                       point.proven ? 1 : 0);
    for (const std::string& widths : assignment_widths(problem, point.solution.choice.value())) {
      csv += ',' + widths;
    }
    csv += '\n';
  }
  return csv;
}

std::string solution_json(const Problem& problem, const Solution& solution,
                          const std::vector<BaselineResult>& baselines,
                          const std::vector<FrontPoint>& front, MetricId front_cost) {
  Json json;
  json["schema"] = "solution/1";
  json["problem"] = problem.name;
  json["status"] = to_string(solution.status);
  json["minimize"] = objective_name(problem);
  json["objective"] = number(solution.objective);
  json["bound"] = number(solution.bound);
  json["gap"] = number(solution.gap);
  json["assignment"] = Json::object();
  json["costs"] = Json::object();
  if (solution.choice) {
    for (std::size_t g = 0; g < problem.groups.size(); ++g) {
      const Option& option = problem.groups[g].options[(*solution.choice)[g]];
      json["assignment"][problem.groups[g].name] = {{"weight_bits", option.weight_bits},
                                                    {"activation_bits", option.activation_bits}};
    }
    json["costs"]["loss"] = solution.totals.loss;
    for (std::size_t c = 0; c < problem.costs.size(); ++c) {
      json["costs"][problem.costs[c]] = solution.totals.costs[c];
    }
  }
  json["budgets"] = Json::array();
  for (std::size_t b = 0; b < problem.budgets.size(); ++b) {
    Json line = {{"metric", metric_name(problem, problem.budgets[b].metric)},
                 {"limit", problem.budgets[b].limit}};
    if (solution.choice) {
      const BudgetUse& use = solution.budgets[b];
      line["used"] = use.used;
      line["binding"] = use.binding;
      line["shadow_price"] = use.shadow_price;
    }
    json["budgets"].push_back(std::move(line));
  }
  if (solution.shortfall) {
    Json misses = Json::array();
    for (const Shortfall::Miss& miss : solution.shortfall->misses) {
      misses.push_back({{"metric", metric_name(problem, problem.budgets[miss.budget].metric)},
                        {"least", miss.least},
                        {"over", miss.over}});
    }
    json["shortfall"] = {{"jointly", solution.shortfall->jointly}, {"misses", std::move(misses)}};
  }
  if (!baselines.empty()) {
    json["baselines"] = Json::array();
    for (const BaselineResult& baseline : baselines) {
      Json line = {{"method", baseline.name}, {"found", baseline.choice.has_value()}};
      if (baseline.choice) {
        line["objective"] = baseline.objective;
        line["loss"] = baseline.totals.loss;
        for (std::size_t c = 0; c < problem.costs.size(); ++c) {
          line[problem.costs[c]] = baseline.totals.costs[c];
        }
      }
      line["solve_s"] = baseline.seconds;
      json["baselines"].push_back(std::move(line));
    }
  }
  if (!front.empty()) {
    json["front"] = Json::array();
    for (const FrontPoint& point : front) {
      json["front"].push_back({{metric_name(problem, front_cost), point.cost},
                               {"loss", point.loss},
                               {"bound", number(point.solution.bound)},
                               {"gap", number(point.solution.gap)},
                               {"proven", point.proven}});
    }
  }
  json["solve_s"] = solution.solve_s;
  return json.dump(1);
}

std::string assignment_yaml(const Assignment& assignment) {
  std::string yaml = fmt::format("schema: assignment/1\nname: {}\ndefault: w8a8\nlayers:\n",
                                 quoted_yaml(assignment.name));
  for (const WidthRule& rule : assignment.rules) {
    yaml += fmt::format("  {}: ", quoted_yaml(rule.pattern));
    if (rule.weight && rule.activation) {
      yaml += fmt::format("w{}a{}\n", *rule.weight, *rule.activation);
    } else {
      yaml += fmt::format("{{activation_bits: {}}}\n", rule.activation.value_or(0));
    }
  }
  return yaml;
}

void add_solution(HtmlPage& page, const Problem& problem, const Solution& solution,
                  const std::vector<BaselineResult>& baselines) {
  page.facts.emplace_back("status", status_line(solution));
  if (solution.shortfall) {
    for (const std::string& line : shortfall_lines(problem, *solution.shortfall)) {
      page.facts.emplace_back("shortfall", line);
    }
  }
  page.facts.emplace_back("minimized", objective_name(problem));
  if (!solution.choice) {
    return;
  }
  page.facts.emplace_back("objective", fmt::format("{}; no choice has less than {} (gap {})",
                                                   figure(solution.objective),
                                                   figure(solution.bound), gap_text(solution.gap)));
  for (std::size_t b = 0; b < problem.budgets.size(); ++b) {
    const BudgetUse& use = solution.budgets[b];
    page.facts.emplace_back("budget on " + metric_name(problem, problem.budgets[b].metric),
                            fmt::format("{} of {}; {}", figure(use.used), figure(use.limit),
                                        use.binding ? fmt::format("binds: one more buys {} less",
                                                                  figure(use.shadow_price))
                                                    : "does not bind"));
  }
  Chart widths;
  widths.kind = Chart::Kind::bars;
  widths.title = "Widths per layer";
  widths.x_label = "layer";
  widths.y_label = "bits";
  Series weights{"weights", {}, {}, {}};
  Series activations{"activations", {}, {}, {}};
  HtmlTable groups{"Layers", {"layer", "weight bits", "activation bits", "loss"}, {}, ""};
  for (std::size_t g = 0; g < problem.groups.size(); ++g) {
    const Option& option = problem.groups[g].options[(*solution.choice)[g]];
    widths.categories.push_back(problem.groups[g].name);
    weights.y.push_back(option.weight_bits);
    activations.y.push_back(option.activation_bits);
    groups.rows.push_back({problem.groups[g].name, fmt::to_string(option.weight_bits),
                           fmt::to_string(option.activation_bits), figure(option.loss)});
  }
  widths.series = {std::move(weights), std::move(activations)};
  page.parts.emplace_back(std::move(widths));
  if (!baselines.empty()) {
    HtmlTable table{"Methods on the same problem", {"method", "loss"}, {}, ""};
    for (const std::string& cost : problem.costs) {
      table.columns.push_back(cost);
    }
    table.columns.emplace_back("above optimum");
    table.columns.emplace_back("time in ms");
    const auto add = [&](const std::string& name, const Totals* sums, const std::string& above,
                         double seconds) {
      std::vector<std::string> row{name, sums != nullptr ? figure(sums->loss) : "-"};
      for (std::size_t c = 0; c < problem.costs.size(); ++c) {
        row.push_back(sums != nullptr ? figure(sums->costs[c]) : "-");
      }
      row.push_back(above);
      row.push_back(fmt::format("{:.3g}", 1e3 * seconds));
      table.rows.push_back(std::move(row));
    };
    add("proven", &solution.totals, "0 %", solution.solve_s);
    for (const BaselineResult& baseline : baselines) {
      add(baseline.name, baseline.choice ? &baseline.totals : nullptr,
          baseline.choice ? percent_text(distance(baseline.objective, solution)) : "-",
          baseline.seconds);
    }
    page.parts.emplace_back(std::move(table));
  }
  page.parts.emplace_back(std::move(groups));
}

void add_front(HtmlPage& page, const Problem& problem, MetricId cost,
               const std::vector<FrontPoint>& front, const std::vector<NamedFront>& others,
               const Solution& solution) {
  Chart chart;
  chart.kind = Chart::Kind::lines;
  chart.title = "Loss against " + metric_name(problem, cost);
  chart.x_label = metric_name(problem, cost);
  chart.y_label = "loss";
  Series proven{"proven front", {}, {}, {}};
  HtmlTable table{"Front", {metric_name(problem, cost), "loss", "bound", "proven"}, {}, ""};
  for (const FrontPoint& point : front) {
    proven.x.push_back(point.cost);
    proven.y.push_back(point.loss);
    proven.notes.push_back(fmt::format("loss {}, {} {}{}", figure(point.loss),
                                       metric_name(problem, cost), figure(point.cost),
                                       point.proven ? ", proven" : ", not proven"));
    table.rows.push_back({figure(point.cost), figure(point.loss), figure(point.solution.bound),
                          point.proven ? "yes" : "no"});
  }
  chart.series.push_back(std::move(proven));
  for (const NamedFront& other : others) {
    Series series{other.name, {}, {}, {}};
    series.line = false;  // between their points there is nothing that they found
    for (const auto& [x, y] : other.points) {
      series.x.push_back(x);
      series.y.push_back(y);
    }
    chart.series.push_back(std::move(series));
  }
  if (solution.choice) {
    Series answer{"answer", {solution.totals.of(cost)}, {solution.totals.loss}, {}};
    answer.line = false;
    chart.series.push_back(std::move(answer));
  }
  chart.log_y = true;
  for (const Series& series : chart.series) {
    chart.log_y = chart.log_y && std::all_of(series.y.begin(), series.y.end(),
                                             [](double loss) { return loss > 0; });
  }
  chart.caption =
      "Every point of the proven front has the least loss at its cost; between them nothing was "
      "solved. The other methods' points are what they find within the same limits.";
  page.parts.emplace_back(std::move(chart));
  page.parts.emplace_back(std::move(table));
}

}  // namespace widthwise
