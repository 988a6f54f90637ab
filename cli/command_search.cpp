#include "cli/command_search.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/command_solve.hpp"
#include "cli/exit_code.hpp"
#include "cli/html_page.hpp"
#include "cli/output_files.hpp"
#include "cli/print_table.hpp"
#include "cli/progress.hpp"
#include "cli/read_request.hpp"
#include "cli/solution_report.hpp"
#include "cli/text_layout.hpp"
#include "models/cost/cost_cache.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/table/table_csv.hpp"
#include "sim/simulated_model.hpp"

namespace widthwise {

namespace {

/// All that a search works on, read.
struct Prepared {
  Accelerator accelerator;
  EnergyTable energy;
  NetworkWithWeights network;
  Fidelity fidelity = Fidelity::analytic;  // of the costs
  CostTable losses;
};

/// Reads the files; what is wrong stands in `problems`.
std::optional<Prepared> prepare(SearchCommand& command, Diagnostics& problems) {
  SearchExperiment& experiment = command.experiment;
  const auto fidelity = collecting(problems, [&] {
    return experiment.run.fidelity ? read_fidelity(experiment.run.fidelity) : Fidelity::analytic;
  });
  auto accelerator = collecting(problems, [&] { return read_accelerator_of(experiment.run); });
  std::optional<EnergyTable> energy;
  if (accelerator) {
    energy = collecting(problems, [&] { return read_energy_table(accelerator->energy_table); });
  }
  auto network = collecting(problems, [&] {
    const NetworkSource source = read_network_source(experiment.run);
    return load_network_with_weights(named_network(experiment.run), source);
  });
  SensitivityRequest& sensitivity = experiment.sensitivity;
  if (experiment.sensitivity_file) {
    collecting(problems, [&] {
      sensitivity.file = find_file(Shipped::sensitivities, *experiment.sensitivity_file);
      return true;
    });
  }
  if (!fidelity || !accelerator || !energy || !network || !problems.empty()) {
    return std::nullopt;
  }
  sensitivity.weight_bits = experiment.request.weight_bits;
  sensitivity.activation_bits = experiment.request.activation_bits;
  auto found = collecting(problems, [&] {
    return losses(network->network, network->weights ? &*network->weights : nullptr, sensitivity);
  });
  if (!found) {
    return std::nullopt;
  }
  return Prepared{std::move(*accelerator), std::move(*energy), std::move(*network), *fidelity,
                  std::move(*found)};
}

/// Predicted and simulated totals, round by round.
std::string confirmation_text(const SearchOutcome& outcome) {
  std::string text;
  const Problem& problem = outcome.network_problem.problem;
  for (std::size_t r = 0; r < outcome.rounds.size(); ++r) {
    const Confirmation& round = outcome.rounds[r];
    for (std::size_t c = 0; c < problem.costs.size(); ++c) {
      const double off = round.simulated[c] > 0 ? round.predicted[c] / round.simulated[c] - 1 : 0;
      text += fmt::format("{:<16}{}: predicted {}, simulated {} ({:+.3f} %)\n",
                          c > 0    ? ""
                          : r == 0 ? "confirmed"
                                   : "refined",
                          problem.costs[c], figure(round.predicted[c]), figure(round.simulated[c]),
                          100 * off);
    }
  }
  if (!outcome.rounds.empty() && !outcome.confirmed) {
    text +=
        fmt::format("{:<16}the simulation differs from what was predicted, or is over a budget\n",
                    "not confirmed");
  }
  return text;
}

std::string search_json(const Prepared& prepared, const SearchOutcome& outcome,
                        const std::vector<BaselineResult>& others,
                        const std::vector<FrontPoint>& points, MetricId cost) {
  using Json = nlohmann::ordered_json;
  const Problem& problem = outcome.network_problem.problem;
  Json json = Json::parse(solution_json(problem, outcome.solution, others, points, cost));
  Json whole;
  whole["schema"] = "search/1";
  whole["accelerator"] = prepared.accelerator.name;
  whole["network"] = prepared.network.network.name();
  whole["fidelity"] = to_string(prepared.fidelity);
  whole["losses"] = Json::object();
  for (const auto& [key, value] : prepared.losses.provenance) {
    whole["losses"][key] = value;
  }
  json.erase("schema");
  whole.update(json);
  whole["rounds"] = Json::array();
  for (const Confirmation& round : outcome.rounds) {
    Json line;
    for (std::size_t c = 0; c < problem.costs.size(); ++c) {
      line[problem.costs[c]] = {{"predicted", round.predicted[c]},
                                {"simulated", round.simulated[c]}};
    }
    whole["rounds"].push_back(std::move(line));
  }
  whole["confirmed"] = outcome.confirmed;
  return whole.dump(1) + '\n';
}

std::string search_page(const Prepared& prepared, const SearchOutcome& outcome,
                        const std::vector<BaselineResult>& others,
                        const std::vector<FrontPoint>& points, MetricId cost) {
  const Problem& problem = outcome.network_problem.problem;
  HtmlPage page;
  page.title = prepared.network.network.name() + " on " + prepared.accelerator.name;
  page.facts.emplace_back("widths looked for",
                          fmt::format("{} in {}", counted(problem.groups.size(), "layer"),
                                      prepared.network.network.name()));
  page.facts.emplace_back("losses", prepared.losses.said("rule").value_or("of a file"));
  page.facts.emplace_back("costs", std::string(to_string(prepared.fidelity)) +
                                       ", confirmed by simulation tile by tile");
  add_solution(page, problem, outcome.solution, others);
  if (!outcome.rounds.empty()) {
    const Confirmation& last = outcome.rounds.back();
    HtmlTable table{"Predicted and simulated", {"metric", "predicted", "simulated", "off"}, {}, ""};
    for (std::size_t c = 0; c < problem.costs.size(); ++c) {
      const double off = last.simulated[c] > 0 ? last.predicted[c] / last.simulated[c] - 1 : 0;
      table.rows.push_back({problem.costs[c], figure(last.predicted[c]), figure(last.simulated[c]),
                            fmt::format("{:+.3f} %", 100 * off)});
    }
    page.parts.emplace_back(std::move(table));
    Chart chart;
    chart.kind = Chart::Kind::bars;
    const std::size_t shown = cost < problem.costs.size() ? cost : 0;
    chart.title = "Simulated " + problem.costs[shown] + " per layer";
    chart.x_label = "layer";
    chart.y_label = problem.costs[shown];
    Series series{problem.costs[shown], {}, {}, {}};
    for (std::size_t i = 0; i < outcome.layers.size(); ++i) {
      chart.categories.push_back(outcome.layers[i]);
      series.y.push_back(outcome.simulated_layers[i][shown]);
    }
    chart.series = {std::move(series)};
    page.parts.emplace_back(std::move(chart));
  }
  if (!points.empty()) {
    add_front(page, problem, cost, points, baseline_fronts(problem, cost, points),
              outcome.solution);
  }
  return html_text(page);
}

}  // namespace

int search_command(SearchCommand command) {
  Diagnostics problems;
  auto prepared = prepare(command, problems);
  SearchRequest& request = command.experiment.request;
  const SolveOptions said = read_solve_options(command.gap, command.time_limit, problems);
  if (command.gap) {
    request.solve.gap = said.gap;
  }
  if (command.time_limit) {
    request.solve.time_limit_s = said.time_limit_s;
  }
  const std::size_t wanted = collecting(problems, [&] {
                               return read_front_points(command.experiment.front_points);
                             }).value_or(0);
  MachineModelOptions options;
  options.jobs = collecting(problems, [&] { return read_jobs(command.jobs); }).value_or(1);
  OutputFiles files(problems);
  auto& json = files.stage(command.json);
  auto& report = files.stage(command.report);
  auto& assignment = files.stage(command.assignment);
  auto& csv = files.stage(command.csv);
  auto& losses_file = files.stage(command.losses);
  problems.throw_if_any();
  ensure(prepared.has_value(), "a search that is not ready says why");

  const std::string folder = command.no_cache ? "" : CostCache::default_folder();
  const auto cache = folder.empty() ? nullptr : std::make_unique<CostCache>(folder);
  options.cache = cache.get();
  Progress progress;
  options.progress = [&](std::size_t done, std::size_t total, const std::string& layer) {
    progress.show(done, total, layer);
  };
  const Network& network = prepared->network.network;
  const auto fast = machine_cost_model(network, prepared->accelerator, prepared->energy,
                                       prepared->fidelity, options);
  const auto confirm =
      machine_cost_model(network, prepared->accelerator, prepared->energy, Fidelity::tile, options);
  for (const char* metric : {"latency_cycles", "energy_pj", "weight_bytes"}) {
    request.report_costs.emplace_back(metric);
  }
  const SearchOutcome outcome = search_network(
      network, prepared->accelerator, {fast.get(), confirm.get()}, prepared->losses, request);
  const Problem& problem = outcome.network_problem.problem;
  MetricId cost = 0;
  if (command.experiment.front_cost) {
    cost = read_name(*command.experiment.front_cost, problem.costs);
  } else {
    for (const Budget& budget : problem.budgets) {
      if (budget.metric != kLoss) {
        cost = budget.metric;
        break;
      }
    }
  }
  const std::vector<BaselineResult> others = run_baselines(problem);
  std::vector<FrontPoint> points;
  if (wanted > 0 && outcome.solution.choice) {
    points = front(without_budget_on(problem, cost), cost, wanted, request.solve);
  }
  if (cache && !cache->warning().empty()) {
    std::cerr << printable("widthwise: warning: " + cache->warning()) << '\n';
  }
  if (!command.quiet) {
    std::cout << fmt::format("{} on {}: widths of {}\n\n", printable(network.name()),
                             printable(prepared->accelerator.name),
                             counted(problem.groups.size(), "layer"))
              << choice_text(problem, outcome.solution) << (outcome.solution.choice ? "\n" : "")
              << solution_text(problem, outcome.solution) << confirmation_text(outcome) << '\n'
              << baselines_text(problem, outcome.solution, others);
    if (!points.empty()) {
      std::cout << '\n' << front_text(problem, cost, points);
    }
    std::cout << std::flush;
  }
  if (json) {
    json->write(search_json(*prepared, outcome, others, points, cost));
  }
  if (report) {
    report->write(search_page(*prepared, outcome, others, points, cost));
  }
  if (csv) {
    csv->write(front_csv(problem, cost, points));
  }
  if (losses_file) {
    losses_file->write(cost_table_csv(prepared->losses));
  }
  if (assignment && outcome.solution.choice) {
    Assignment named = outcome.assignment;
    named.name = network.name() + " searched";
    assignment->write(assignment_yaml(named));
  } else {
    assignment.reset();  // there is none to write
  }
  files.commit();
  return outcome.solution.choice ? kDone : kInfeasible;
}

}  // namespace widthwise
