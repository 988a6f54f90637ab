#include "cli/command_solve.hpp"

#include <algorithm>
#include <iostream>
#include <utility>

#include <fmt/format.h>

#include "cli/exit_code.hpp"
#include "cli/html_page.hpp"
#include "cli/output_files.hpp"
#include "cli/read_request.hpp"
#include "cli/solution_report.hpp"
#include "cli/text_layout.hpp"
#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "search/problem_reader.hpp"

namespace widthwise {

namespace {

/// The cost that a front is over.
MetricId front_cost_of(const Problem& problem, const std::optional<Given>& given) {
  if (given) {
    return read_name(*given, problem.costs);
  }
  for (const Budget& budget : problem.budgets) {
    if (budget.metric != kLoss) {
      return budget.metric;
    }
  }
  return 0;
}

std::string html_of(const Problem& problem, const Solution& solution,
                    const std::vector<BaselineResult>& others,
                    const std::vector<FrontPoint>& points, MetricId cost) {
  HtmlPage page;
  page.title = problem.name.empty() ? "Bit-width problem" : problem.name;
  page.facts.emplace_back("problem", fmt::format("{}, {}", counted(problem.groups.size(), "group"),
                                                 counted(problem.budgets.size(), "budget")));
  add_solution(page, problem, solution, others);
  if (!points.empty()) {
    add_front(page, problem, cost, points,
              others.empty() ? std::vector<NamedFront>{} : baseline_fronts(problem, cost, points),
              solution);
  }
  return html_text(page);
}

}  // namespace

SolveOptions read_solve_options(const std::optional<Given>& gap,
                                const std::optional<Given>& time_limit, Diagnostics& problems) {
  SolveOptions options;
  const auto number = [&](const std::optional<Given>& given, double least, double greatest,
                          double& target) {
    if (!given) {
      return;
    }
    const auto value = parse_number(given->text);
    if (!value || *value < least || *value > greatest) {
      problems.error(
          given->place, given->key,
          fmt::format("expected a number of {}..{}, got '{}'", least, greatest, given->text));
      return;
    }
    target = *value;
  };
  number(gap, 0, 1, options.gap);
  number(time_limit, 0.001, 1e6, options.time_limit_s);
  return options;
}

int solve_command(const SolveCommand& command) {
  Diagnostics problems;
  const auto problem = collecting(
      problems, [&] { return read_problem(find_file(Shipped::problems, command.problem)); });
  const SolveOptions options = read_solve_options(command.gap, command.time_limit, problems);
  const std::size_t wanted =
      collecting(problems, [&] { return read_front_points(command.front); }).value_or(0);
  MetricId cost = 0;
  if (problem && wanted > 0) {
    if (problem->costs.empty()) {
      problems.error(command.front->place, command.front->key, "the problem has no costs");
    } else {
      collecting(problems, [&] {
        cost = front_cost_of(*problem, command.front_cost);
        return true;
      });
    }
  }
  OutputFiles files(problems);
  auto& json = files.stage(command.json);
  auto& report = files.stage(command.report);
  auto& assignment = files.stage(command.assignment);
  auto& csv = files.stage(command.csv);
  if (command.csv && wanted == 0) {
    problems.error(command.csv->place, command.csv->key, "is the front's, which --front asks for");
  }
  problems.throw_if_any();

  const Solution solution = solve(*problem, options);
  std::vector<BaselineResult> others;
  if (command.baselines || command.report) {
    others = run_baselines(*problem);
  }
  std::vector<FrontPoint> points;
  if (wanted > 0) {
    points = front(without_budget_on(*problem, cost), cost, wanted, options);
  }
  if (!command.quiet) {
    std::cout << fmt::format("{}: {}, {}\n\n",
                             problem->name.empty() ? "problem" : printable(problem->name),
                             counted(problem->groups.size(), "group"),
                             counted(problem->budgets.size(), "budget"))
              << choice_text(*problem, solution) << (solution.choice ? "\n" : "")
              << solution_text(*problem, solution);
    if (command.baselines) {
      std::cout << '\n' << baselines_text(*problem, solution, others);
    }
    if (!points.empty()) {
      std::cout << '\n' << front_text(*problem, cost, points);
    }
    std::cout << std::flush;
  }
  if (json) {
    json->write(solution_json(*problem, solution, others, points, cost) + '\n');
  }
  if (report) {
    report->write(html_of(*problem, solution, others, points, cost));
  }
  if (csv) {
    csv->write(front_csv(*problem, cost, points));
  }
  if (assignment && solution.choice) {
    Assignment widths;
    widths.name = problem->name;
    for (std::size_t g = 0; g < problem->groups.size(); ++g) {
      const Option& option = problem->groups[g].options[(*solution.choice)[g]];
      widths.rules.push_back(
          {problem->groups[g].name, option.weight_bits, option.activation_bits, {}});
    }
    assignment->write(assignment_yaml(widths));
  } else {
    assignment.reset();  // there is none to write
  }
  files.commit();
  return solution.choice ? kDone : kInfeasible;
}

}  // namespace widthwise
