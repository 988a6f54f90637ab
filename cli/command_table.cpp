#include "cli/command_table.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "cli/error_output.hpp"
#include "cli/exit_code.hpp"
#include "cli/output_files.hpp"
#include "cli/print_table.hpp"
#include "cli/progress.hpp"
#include "cli/read_request.hpp"
#include "cli/table_json.hpp"
#include "cli/text_layout.hpp"
#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "models/cost/cost_cache.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/table/table_csv.hpp"
#include "models/table/table_model.hpp"
#include "models/table/table_points.hpp"
#include "sim/simulated_model.hpp"

namespace widthwise {

namespace {

constexpr BitWidth kDefaultMost = 8;
constexpr std::int64_t kMostSeconds = 1'000'000;
constexpr std::int64_t kMostSteps = 64;
constexpr std::size_t kMostPoints = 20'000'000;

/// "2,4,8", "1..8" or both, ascending.
std::vector<BitWidth> read_widths(const Given& given) {
  std::set<BitWidth> widths;
  std::string_view rest = given.text;
  bool valid = !rest.empty();
  while (valid && !rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view item = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    valid = comma + 1 != given.text.size() || given.text.back() != ',';
    const std::size_t dots = item.find("..");
    const auto first = parse_integer(item.substr(0, dots));
    const auto last = dots == std::string_view::npos ? first : parse_integer(item.substr(dots + 2));
    valid = valid && first && last && *first >= kMinOperandWidth && *last <= kMaxOperandWidth &&
            *first <= *last;
    for (std::int64_t width = valid ? *first : 1; valid && width <= *last; ++width) {
      widths.insert(static_cast<BitWidth>(width));
    }
  }
  if (!valid || given.text.back() == ',') {
    refuse(given, fmt::format("expected widths of {}..{} bit such as '2,4,8' or '1..8', got '{}'",
                              kMinOperandWidth, kMaxOperandWidth, given.text));
  }
  return {widths.begin(), widths.end()};
}

/// Widths up to 8 bits that the engine computes with, for weights and for activations.
std::pair<std::vector<BitWidth>, std::vector<BitWidth>> default_widths(const Engine& engine) {
  std::set<BitWidth> weights;
  std::set<BitWidth> activations;
  for (BitWidth weight = 1; weight <= kDefaultMost; ++weight) {
    for (BitWidth activation = 1; activation <= kDefaultMost; ++activation) {
      if (!width_mode(engine, {weight, activation})) {
        continue;
      }
      weights.insert(weight);
      activations.insert(activation);
    }
  }
  return {{weights.begin(), weights.end()}, {activations.begin(), activations.end()}};
}

/// The files of a table, staged before it is computed.
class TableFiles {
 public:
  TableFiles(const std::vector<Given>& outputs, Diagnostics& problems) : files_(problems) {
    for (const Given& given : outputs) {
      const std::string extension = std::filesystem::path(given.text).extension().string();
      if (extension != ".csv" && extension != ".json" && !given.text.starts_with("/dev/")) {
        problems.error(given.place, given.key,
                       "expected a name that ends in .csv or .json, got '" + given.text + "'");
        continue;
      }
      staged_.emplace_back(&files_.stage(given), extension == ".json");
    }
  }

  void finish(const MadeTable& made) {
    for (auto& [file, is_json] : staged_) {
      (*file)->write(is_json ? table_json(made) : cost_table_csv(made.table));
    }
    files_.commit();
  }

 private:
  OutputFiles files_;
  std::vector<std::pair<std::optional<StagedFile>*, bool>> staged_;  // of files_; JSON, else CSV
};

struct Prepared {
  Accelerator accelerator;
  EnergyTable energy;
  Network network;
  Fidelity fidelity = Fidelity::tile;
  TableRequest request;
  MachineModelOptions options;
};

std::optional<Prepared> prepare(const TableCommand& command, Diagnostics& problems) {
  const auto fidelity = collecting(problems, [&] { return read_fidelity(command.run.fidelity); });
  auto accelerator = collecting(problems, [&] { return read_accelerator_of(command.run); });
  std::optional<EnergyTable> energy;
  if (accelerator) {
    energy = collecting(problems, [&] { return read_energy_table(accelerator->energy_table); });
  }
  auto network = collecting(problems, [&] {
    const NetworkSource source = read_network_source(command.run);
    return load_network(named_network(command.run), source);
  });
  TableRequest request;
  if (accelerator) {
    std::tie(request.weight_bits, request.activation_bits) = default_widths(accelerator->engine);
  }
  const auto read = [&](const std::optional<Given>& given, auto&& take) {
    if (given) {
      collecting(problems, [&] {
        take(*given);
        return true;
      });
    }
  };
  read(command.weight_bits, [&](const Given& given) { request.weight_bits = read_widths(given); });
  read(command.activation_bits,
       [&](const Given& given) { request.activation_bits = read_widths(given); });
  read(command.channel_steps, [&](const Given& given) {
    request.channel_steps = static_cast<int>(read_integer_in(given, 1, kMostSteps));
  });
  request.stored = command.stored;
  MachineModelOptions options;
  options.jobs = collecting(problems, [&] { return read_jobs(command.jobs); }).value_or(1);
  read(command.time_limit, [&](const Given& given) {
    options.time_limit = std::chrono::seconds(read_integer_in(given, 1, kMostSeconds));
  });
  if (command.cache && command.no_cache) {
    problems.error(command.cache->place, command.cache->key, "does not go with --no-cache");
  }
  if (!fidelity || !accelerator || !energy || !network) {
    return std::nullopt;
  }
  return Prepared{std::move(*accelerator), std::move(*energy), std::move(*network), *fidelity,
                  std::move(request),      std::move(options)};
}

std::unique_ptr<CostCache> open_cache(const TableCommand& command) {
  if (command.no_cache) {
    return nullptr;
  }
  const std::string folder = command.cache ? command.cache->text : CostCache::default_folder();
  if (folder.empty()) {
    return nullptr;
  }
  auto cache = std::make_unique<CostCache>(folder);
  if (command.cache && !cache->warning().empty()) {
    refuse(*command.cache, cache->warning());
  }
  return cache;
}

/// One line per weight width, one column per activation width.
std::string uniform_totals(const CostTable& table, const Network& network,
                           const Accelerator& accelerator, const TableRequest& request,
                           std::string_view metric, std::string_view title, double scale,
                           std::string_view unit) {
  TableCostModel model(network, table);
  const std::size_t figure = metric_index(model.metrics(), metric);
  std::vector<Column> columns{{std::string(title), Align::left}};
  for (const BitWidth activation : request.activation_bits) {
    columns.push_back({fmt::format("a{}", activation), Align::right});
  }
  std::vector<std::vector<std::string>> rows;
  for (const BitWidth weight : request.weight_bits) {
    rows.push_back({fmt::format("w{}", weight)});
    for (const BitWidth activation : request.activation_bits) {
      Assignment uniform;
      uniform.defaults = {weight, activation};
      uniform.output_bits = request.output_bits;
      const auto points = layer_points(network, resolve_widths(network, uniform), accelerator);
      rows.back().push_back(si_text(total_cost(model, points)[figure] * scale, unit, unit.empty()));
    }
  }
  return table_text(columns, rows, kReportColumns);
}

std::string summary(const MadeTable& made, const Prepared& prepared) {
  const CostTable& table = made.table;
  std::string text = fmt::format(
      "{} on {}, {} fidelity, {}\n{} of {}, {} each\n", printable(prepared.network.name()),
      printable(prepared.accelerator.name), to_string(prepared.fidelity),
      format_quantity(prepared.accelerator.clock, kFrequency), counted(table.rows.size(), "row"),
      counted(table.layers.size(), "layer"), counted(table.metrics.size(), "metric"));
  if (!made.failures.empty()) {
    return text;  // sums would lack something
  }
  constexpr double kPico = 1e-12;
  text += "\nThe network at uniform widths:\n\n";
  text += uniform_totals(table, prepared.network, prepared.accelerator, prepared.request,
                         "latency_cycles", "cycles", 1, "");
  text += '\n';
  text += uniform_totals(table, prepared.network, prepared.accelerator, prepared.request,
                         "energy_pj", "energy", kPico, "J");
  return text;
}

void print_failures(const MadeTable& made) {
  constexpr std::size_t kMostLines = 20;
  const auto& failures = made.failures;
  for (std::size_t i = 0; i < std::min(failures.size(), kMostLines); ++i) {
    std::string at;
    for (const Axis axis : made.table.axes) {
      at += fmt::format("{}{} {}", at.empty() ? "" : ", ", to_string(axis),
                        format_number(failures[i].at[index_of(axis)]));
    }
    std::cerr << printable(
                     fmt::format("layer '{}' at {}: {}", failures[i].layer, at, failures[i].reason))
              << '\n';
  }
  if (failures.size() > kMostLines) {
    std::cerr << "and " << failures.size() - kMostLines << " more\n";
  }
  std::cerr << counted(failures.size(), "point") << " failed; the table has the others.\n";
}

}  // namespace

int table_command(const TableCommand& command) {
  Diagnostics problems;
  auto prepared = prepare(command, problems);
  TableFiles files(command.outputs, problems);
  if (command.outputs.empty() && command.quiet) {
    problems.error({"--output"}, "", "is missing; without it and quietly there is nothing to do");
  }
  problems.throw_if_any();
  ensure(prepared.has_value(), "a table that is not ready says why");
  const std::unique_ptr<CostCache> cache = open_cache(command);

  MachineModelOptions options = prepared->options;
  options.cache = cache.get();
  MadeTable made;
  {
    Progress progress;
    options.progress = [&](std::size_t done, std::size_t total, const std::string& layer) {
      progress.show(done, total, layer);
    };
    const std::size_t points =
        table_points(prepared->network, prepared->accelerator, prepared->request).size();
    if (points > kMostPoints) {
      throw InputError({"table"}, "",
                       fmt::format("expected at most {} points, got {}; fewer widths or channel "
                                   "steps will do",
                                   kMostPoints, points));
    }
    const auto model = machine_cost_model(prepared->network, prepared->accelerator,
                                          prepared->energy, prepared->fidelity, options);
    made = make_table(*model, prepared->request);
  }
  if (cache && !cache->warning().empty()) {
    std::cerr << printable("widthwise: warning: " + cache->warning()) << '\n';
  }
  if (!command.quiet) {
    std::cout << summary(made, *prepared) << std::flush;
  }
  try {
    files.finish(made);
  } catch (const InputError& error) {
    print_errors(error, "the files of this table are not complete");
    return kBadInput;
  }
  if (!made.failures.empty()) {
    print_failures(made);
    return kOurBug;
  }
  return kDone;
}

namespace {

/// A table of costs that are looked up: a column for each metric that has room.
std::string priced_text(const Network& network, const Assignment& assignment,
                        const std::vector<LayerPoint>& points, const std::vector<PointCost>& costs,
                        const TableCostModel& model, const CostTable& table) {
  constexpr std::size_t kMostMetrics = 4;
  const std::size_t shown = std::min(model.metrics().size(), kMostMetrics);
  std::vector<Column> columns{{"layer", Align::left, 12}, {"bits", Align::left}};
  for (std::size_t m = 0; m < shown; ++m) {
    columns.push_back({model.metrics()[m], Align::right});
  }
  const auto number = [](double value) { return fmt::format("{:.6g}", value); };
  std::vector<std::vector<std::string>> rows;
  std::vector<double> totals(model.metrics().size(), 0.0);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Layer& layer = network.layers()[points[i].layer];
    rows.push_back({printable(layer.name),
                    layer.compute
                        ? fmt::format("{}/{}", points[i].widths.weight, points[i].widths.activation)
                        : fmt::format("{}", points[i].widths.activation)});
    for (std::size_t m = 0; m < totals.size(); ++m) {
      totals[m] += costs[i].values[m];
      if (m < shown) {
        rows.back().push_back(number(costs[i].values[m]));
      }
    }
  }
  std::string text = fmt::format("{} at {} by {}\n\n", printable(network.name()),
                                 printable(assignment.name), printable(table.source));
  text += table_text(columns, rows, kReportColumns) + '\n';
  for (std::size_t m = 0; m < totals.size(); ++m) {
    text += fmt::format("{:<22}{}\n", model.metrics()[m], number(totals[m]));
  }
  for (const auto& [key, value] : table.provenance) {
    text += fmt::format("{:<22}{}\n", printable(key), printable(value));
  }
  if (!model.unpriced().empty()) {
    text += list_text("costs nothing", model.unpriced(), ", ", 22, kReportColumns, 3);
  }
  return text;
}

}  // namespace

int run_by_table(const RunRequest& request, bool quiet) {
  Diagnostics problems;
  for (const auto* option : {&request.accelerator, &request.fidelity, &request.trace, &request.vcd,
                             &request.json, &request.report, &request.seed, &request.weights}) {
    if (*option) {
      problems.error((*option)->place, (*option)->key, "does not go with --table");
    }
  }
  for (const std::string& override_text : request.overrides) {
    problems.error({"--set " + override_text}, "", "does not go with --table");
  }
  auto network = collecting(problems, [&] {
    const NetworkSource source = read_network_source(request);
    return load_network(named_network(request), source);
  });
  const auto table = collecting(
      problems, [&] { return read_cost_table(find_file(Shipped::tables, *request.table)); });
  const auto assignment = collecting(problems, [&] { return read_assignment_of(request.bits); });
  OutputFiles files(problems);
  const auto& csv = files.stage(request.csv);
  problems.throw_if_any();
  TableCostModel model(*network, *table);
  // Where tensors lie is a machine's to say: the table's, if it has one with a scratchpad.
  Accelerator machine;
  if (const auto bytes = table->said("scratchpad_bytes")) {
    machine.memory.scratchpad = Scratchpad{.capacity = Bytes(parse_integer(*bytes).value_or(0))};
  }
  const auto points = layer_points(*network, resolve_widths(*network, *assignment), machine);
  const std::vector<PointCost> costs = model.costs(points);
  if (!quiet) {
    std::cout << priced_text(*network, *assignment, points, costs, model, *table) << std::flush;
  }
  if (csv) {
    CostTable priced;
    priced.provenance = table->provenance;
    priced.provenance.emplace_back("table", table->source);
    priced.provenance.emplace_back("assignment", assignment->name);
    priced.axes = {Axis::weight_bits, Axis::activation_bits};
    priced.metrics = model.metrics();
    for (std::size_t i = 0; i < points.size(); ++i) {
      const Layer& layer = network->layers()[points[i].layer];
      AxisValues at{};
      at[index_of(Axis::weight_bits)] = points[i].widths.weight;
      at[index_of(Axis::activation_bits)] = points[i].widths.activation;
      priced.layers.push_back(layer.name);
      priced.kinds.emplace_back(to_string(layer.kind));
      priced.rows.push_back({i, at, costs[i].values, {}});
    }
    csv->write(cost_table_csv(priced));
  }
  files.commit();
  return kDone;
}

}  // namespace widthwise
