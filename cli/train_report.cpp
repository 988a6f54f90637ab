#include "cli/train_report.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/html_page.hpp"
#include "cli/plane_report.hpp"
#include "cli/print_table.hpp"
#include "cli/text_layout.hpp"
#include "models/base/units.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kLabelColumns = 16;
constexpr double kPico = 1e-12;
/// Of the page's table of layers, besides those of targets; the JSON has all.
constexpr std::string_view kLayerMetrics[] = {"latency_cycles", "energy_pj", "dram_bytes", "bitops",
                                              "weight_bytes"};
constexpr double kBitsPerByte = 8;

std::string accuracy_text(double share) { return fmt::format("{:.2f} %", 100 * share); }
std::string off_text(double share) { return fmt::format("{:+.2f} %", 100 * share); }
std::string whole_text(double value) {
  return with_separators(static_cast<std::int64_t>(std::llround(value)));
}

/// What a training's network costs in a metric; nothing if it was not costed.
std::optional<double> total_of(const TrainResult& result, std::string_view metric) {
  const auto found = std::find(result.metrics.begin(), result.metrics.end(), metric);
  if (found == result.metrics.end()) {
    return std::nullopt;
  }
  return result.totals[static_cast<std::size_t>(found - result.metrics.begin())];
}

std::optional<double> cost_of(const TrainResult& result, const LayerCostRow& row,
                              std::string_view metric) {
  const auto found = std::find(result.metrics.begin(), result.metrics.end(), metric);
  if (found == result.metrics.end()) {
    return std::nullopt;
  }
  return row.values[static_cast<std::size_t>(found - result.metrics.begin())];
}

double mean_weight_bits(const TrainedLayer& layer) {
  double sum = 0;
  for (const BitWidth width : layer.weight_bits) {
    sum += width;
  }
  return layer.weight_bits.empty() ? 0 : sum / static_cast<double>(layer.weight_bits.size());
}

/// "3/4"; "3.42/4" where channels differ; "32/32" in floats.
std::string widths_text(const TrainedLayer& layer) {
  const std::string weights = layer.weight_bits.empty() ? layer.weights > 0 ? "32" : "-"
                              : layer.weight_bits.size() == 1
                                  ? fmt::to_string(layer.weight_bits.front())
                                  : fmt::format("{:.2f}", mean_weight_bits(layer));
  return fmt::format("{}/{}", weights, layer.activation_bits);
}

/// Means over layers with weights, each layer once.
std::pair<double, double> mean_widths(const TrainResult& result) {
  double weights = 0;
  double activations = 0;
  double layers = 0;
  for (const TrainedLayer& layer : result.layers) {
    if (!layer.weight_bits.empty()) {
      weights += mean_weight_bits(layer);
      activations += layer.activation_bits;
      layers += 1;
    }
  }
  return layers > 0 ? std::pair(weights / layers, activations / layers) : std::pair(0.0, 0.0);
}

std::string mean_widths_text(const TrainResult& result) {
  const auto [weights, activations] = mean_widths(result);
  return weights > 0 || activations > 0 ? fmt::format("{:.2f}/{:.2f}", weights, activations)
                                        : std::string("32/32");
}

bool is_per_channel(const TrainResult& result) {
  return std::any_of(result.layers.begin(), result.layers.end(),
                     [](const TrainedLayer& layer) { return layer.weight_bits.size() > 1; });
}

bool has_sensitivities(const TrainResult& result) {
  return std::any_of(result.layers.begin(), result.layers.end(),
                     [](const TrainedLayer& layer) { return layer.sensitivity != 0; });
}

const TrainedLayer* layer_named(const TrainResult& result, const std::string& name) {
  const auto found = std::find_if(result.layers.begin(), result.layers.end(),
                                  [&](const TrainedLayer& layer) { return layer.name == name; });
  return found == result.layers.end() ? nullptr : &*found;
}

/// How many channels of each layer have each width: a row per layer, a column per width.
struct ChannelCounts {
  std::vector<BitWidth> widths;  // that there are, ascending
  std::vector<std::pair<std::string, std::map<BitWidth, std::size_t>>> layers;
};

ChannelCounts channel_counts(const TrainResult& result) {
  ChannelCounts counts;
  std::map<BitWidth, bool> seen;
  for (const TrainedLayer& layer : result.layers) {
    if (layer.weight_bits.size() < 2) {
      continue;
    }
    auto& row = counts.layers.emplace_back(layer.name, std::map<BitWidth, std::size_t>{}).second;
    for (const BitWidth width : layer.weight_bits) {
      ++row[width];
      seen[width] = true;
    }
  }
  for (const auto& [width, unused] : seen) {
    counts.widths.push_back(width);
  }
  return counts;
}

/// Titles, then rows, of the table of channels by width; a width without channels is "-".
std::pair<std::vector<std::string>, std::vector<std::vector<std::string>>> channel_rows(
    const TrainResult& result) {
  const ChannelCounts counts = channel_counts(result);
  std::vector<std::string> titles{"layer"};
  for (const BitWidth width : counts.widths) {
    titles.push_back(width == 0 ? std::string("pruned") : fmt::format("{} bit", width));
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, row] : counts.layers) {
    rows.push_back({name});
    for (const BitWidth width : counts.widths) {
      const auto found = row.find(width);
      rows.back().push_back(found == row.end() ? "-" : fmt::to_string(found->second));
    }
  }
  return {std::move(titles), std::move(rows)};
}

std::string layer_table(const TrainResult& result) {
  const bool sensitive = has_sensitivities(result);
  const bool costed = !result.layer_costs.empty();
  std::vector<Column> columns{{"layer", Align::left, 12},
                              {"bits", Align::left},
                              {"MACs", Align::right},
                              {"weights", Align::right}};
  if (costed) {
    columns.push_back({"cycles", Align::right});
    columns.push_back({"share", Align::right});
    columns.push_back({"energy", Align::right});
  }
  if (sensitive) {
    columns.push_back({"sensitivity", Align::right});
  }
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const std::string& name, const TrainedLayer* layer,
                       const LayerCostRow* row) {
    rows.push_back(
        {printable(name), layer != nullptr ? widths_text(*layer) : "-",
         layer != nullptr ? si_text(static_cast<double>(layer->macs), "", true) : "-",
         layer != nullptr ? si_text(static_cast<double>(layer->weights), "", true) : "-"});
    if (row != nullptr) {
      const auto cycles = cost_of(result, *row, "latency_cycles");
      const auto energy = cost_of(result, *row, "energy_pj");
      const double whole = total_of(result, "latency_cycles").value_or(0);
      rows.back().push_back(cycles ? whole_text(*cycles) : "-");
      rows.back().push_back(cycles && whole > 0 ? percent_text(*cycles / whole) : "-");
      rows.back().push_back(energy ? si_text(*energy * kPico, "J") : "-");
    }
    if (sensitive) {
      rows.back().push_back(layer != nullptr ? fmt::format("{:.3g}", layer->sensitivity) : "-");
    }
  };
  if (costed) {
    for (const LayerCostRow& row : result.layer_costs) {
      add(row.name, layer_named(result, row.name), &row);
    }
  } else {
    for (const TrainedLayer& layer : result.layers) {
      add(layer.name, &layer, nullptr);
    }
  }
  return table_text(columns, rows, kReportColumns);
}

std::string target_text(const ReachedTarget& target) {
  std::string text =
      fmt::format("{}: {} simulated; target {} ({})", target.metric, figure(target.simulated),
                  figure(target.target), off_text(target.simulated / target.target - 1));
  if (target.least > 0 || target.greatest > 0) {
    text += fmt::format("; {} .. {} can be reached", figure(target.least), figure(target.greatest));
  }
  return text;
}

std::string parameters_text(const TrainResult& result) {
  std::string text = si_text(result.parameter_bits / kBitsPerByte, "B", true);
  if (result.parameter_bits > 0 && result.float_parameter_bits > result.parameter_bits) {
    text += fmt::format(", {:.2f} times smaller than in floats",
                        result.float_parameter_bits / result.parameter_bits);
  }
  return text;
}

std::string training_text(const TrainResult& result) {
  return fmt::format("{} of {} images in batches of {}, seed {}; {} s, {:.4g} images/s",
                     counted(static_cast<std::size_t>(result.epochs), "epoch"),
                     with_separators(result.images), result.batch, result.seed,
                     figure(std::round(result.train_seconds)), result.images_per_s);
}

std::string accuracy_line(const TrainResult& result) {
  std::string text = fmt::format("{} of {} test images", accuracy_text(result.accuracy),
                                 with_separators(result.test_images));
  if (result.accuracy_float > 0) {
    text += fmt::format(", {} before quantization", accuracy_text(result.accuracy_float));
  }
  return text;
}

/// What a report says of the training itself: label, text.
std::vector<std::pair<std::string, std::string>> facts(const TrainReport& report) {
  const TrainResult& main = report.main;
  std::vector<std::pair<std::string, std::string>> lines;
  lines.emplace_back("accuracy", accuracy_line(main));
  for (const ReachedTarget& target : main.targets) {
    lines.emplace_back("target", target_text(target));
  }
  if (const auto cycles = total_of(main, "latency_cycles")) {
    std::string text = whole_text(*cycles) + " cycles";
    if (report.clock.count() > 0) {
      text += fmt::format(" = {} at {}", si_text(*cycles / report.clock.count(), "s"),
                          format_quantity(report.clock, kFrequency));
    }
    lines.emplace_back("latency", text);
  }
  if (const auto energy = total_of(main, "energy_pj")) {
    lines.emplace_back("energy", si_text(*energy * kPico, "J"));
  }
  lines.emplace_back("parameters", parameters_text(main));
  lines.emplace_back("mean widths", mean_widths_text(main));
  lines.emplace_back("training", training_text(main));
  return lines;
}

/// Titles, then a row per training.
struct Comparison {
  std::vector<std::string> titles;
  std::vector<std::vector<std::string>> rows;
};

/// Figures with one unit per column, as they sort in a page, or as people read them.
Comparison comparison(const TrainReport& report, bool readable) {
  const std::vector<ReachedTarget>& targets = report.main.targets;
  Comparison table;
  table.titles = {"training", "accuracy"};
  for (const ReachedTarget& target : targets) {
    table.titles.push_back("from " + target.metric);
  }
  const std::vector<std::string> figures =
      readable ? std::vector<std::string>{"cycles", "energy", "parameters", "bits"}
               : std::vector<std::string>{"latency in cycles",    "energy in uJ",
                                          "parameters in kB",     "mean weight bits",
                                          "mean activation bits", "training in s"};
  table.titles.insert(table.titles.end(), figures.begin(), figures.end());
  const auto add = [&](const TrainResult& result) {
    std::vector<std::string> row{readable ? printable(result.label) : result.label,
                                 accuracy_text(result.accuracy)};
    for (const ReachedTarget& target : targets) {
      const auto total = total_of(result, target.metric);
      row.push_back(total ? off_text(*total / target.target - 1) : "-");
    }
    const auto cycles = total_of(result, "latency_cycles");
    const auto energy = total_of(result, "energy_pj");
    row.push_back(cycles ? whole_text(*cycles) : "-");
    const double bytes = result.parameter_bits / kBitsPerByte;
    if (readable) {
      row.push_back(energy ? si_text(*energy * kPico, "J") : "-");
      row.push_back(si_text(bytes, "B", true));
      row.push_back(mean_widths_text(result));
    } else {
      const auto [weights, activations] = mean_widths(result);
      row.push_back(energy ? fmt::format("{:.4g}", *energy * 1e-6) : "-");
      row.push_back(fmt::format("{:.4g}", bytes / 1000));
      row.push_back(weights > 0 ? fmt::format("{:.2f}", weights) : "32");
      row.push_back(activations > 0 ? fmt::format("{:.2f}", activations) : "32");
      row.push_back(fmt::format("{:.0f}", result.train_seconds));
    }
    table.rows.push_back(std::move(row));
  };
  add(report.main);
  for (const TrainResult& result : report.compared) {
    add(result);
  }
  return table;
}

Chart line_chart(std::string title, std::string y_label) {
  Chart chart;
  chart.kind = Chart::Kind::lines;
  chart.title = std::move(title);
  chart.x_label = "epoch";
  chart.y_label = std::move(y_label);
  return chart;
}

template <class Value>
Series series_of(std::string name, const TrainResult& result, Value value) {
  Series series;
  series.name = std::move(name);
  for (const EpochRecord& record : result.history) {
    series.x.push_back(static_cast<double>(record.epoch));
    series.y.push_back(value(record));
  }
  return series;
}

void add_curves(HtmlPage& page, const TrainReport& report) {
  const TrainResult& main = report.main;
  Chart loss = line_chart("Loss per epoch", "cross entropy, mean over the epoch");
  Chart accuracy = line_chart("Accuracy per epoch", "accuracy in percent");
  accuracy.series.push_back(
      series_of(main.label + ", training images", main,
                [](const EpochRecord& record) { return 100 * record.train_accuracy; }));
  const auto add = [&](const TrainResult& result) {
    loss.series.push_back(series_of(result.label, result,
                                    [](const EpochRecord& record) { return record.train_loss; }));
    accuracy.series.push_back(
        series_of(result.label + (&result == &main ? ", test images" : ""), result,
                  [](const EpochRecord& record) { return 100 * record.test_accuracy; }));
  };
  add(main);
  for (const TrainResult& result : report.compared) {
    add(result);
  }
  accuracy.caption =
      "Of training images: over the epoch's augmented mini-batches, while parameters move. Of test "
      "images: at the widths at the epoch's end.";
  page.parts.emplace_back(std::move(loss));
  page.parts.emplace_back(std::move(accuracy));
}

void add_costs_per_epoch(HtmlPage& page, const TrainResult& main) {
  if (main.targets.empty() || main.history.empty()) {
    return;
  }
  Chart chart = line_chart("Cost against target per epoch", "percent of the target");
  for (std::size_t t = 0; t < main.targets.size(); ++t) {
    const double target = main.targets[t].target;
    chart.series.push_back(series_of(main.targets[t].metric, main, [&](const EpochRecord& record) {
      return 100 * record.costs[t] / target;
    }));
    for (const EpochRecord& record : main.history) {
      chart.series.back().notes.push_back(fmt::format("{} {}{}", main.targets[t].metric,
                                                      figure(record.costs[t]),
                                                      record.frozen ? "" : ", widths move"));
    }
  }
  chart.series.push_back(series_of("target", main, [](const EpochRecord&) { return 100.0; }));
  chart.caption = "At the widths at each epoch's end; interpolated where they are fractional.";
  page.parts.emplace_back(std::move(chart));

  Chart widths = line_chart("Mean widths per epoch", "bits");
  widths.series.push_back(series_of(
      "weights", main, [](const EpochRecord& record) { return record.mean_weight_bits; }));
  widths.series.push_back(series_of(
      "activations", main, [](const EpochRecord& record) { return record.mean_activation_bits; }));
  page.parts.emplace_back(std::move(widths));
}

void add_widths(HtmlPage& page, const TrainResult& main) {
  const bool quantized =
      std::any_of(main.layers.begin(), main.layers.end(),
                  [](const TrainedLayer& layer) { return !layer.weight_bits.empty(); });
  if (!quantized) {
    return;
  }
  const bool sensitive = has_sensitivities(main);
  Chart chart;
  chart.kind = Chart::Kind::bars;
  chart.title = "Widths per layer";
  chart.x_label = "layer";
  chart.y_label = "bits";
  if (is_per_channel(main)) {
    chart.caption = "Of weights: the mean over the layer's output channels.";
  }
  Series weights{"weights", {}, {}, {}};
  Series activations{"activations", {}, {}, {}};
  HtmlTable table{"Layers with multiply-accumulates",
                  {"layer", "kind", "MACs", "weights", "weight bits", "activation bits"},
                  {},
                  ""};
  if (sensitive) {
    table.columns.emplace_back("sensitivity");
  }
  for (const TrainedLayer& layer : main.layers) {
    chart.categories.push_back(layer.name);
    weights.y.push_back(mean_weight_bits(layer));
    activations.y.push_back(layer.activation_bits);
    table.rows.push_back(
        {layer.name, layer.kind, with_separators(layer.macs), with_separators(layer.weights),
         layer.weight_bits.empty() ? std::string("-")
                                   : fmt::format("{:.4g}", mean_weight_bits(layer)),
         fmt::to_string(layer.activation_bits)});
    if (sensitive) {
      table.rows.back().push_back(fmt::format("{:.4g}", layer.sensitivity));
    }
  }
  chart.series = {std::move(weights), std::move(activations)};
  page.parts.emplace_back(std::move(chart));
  page.parts.emplace_back(std::move(table));
  if (is_per_channel(main)) {
    auto [titles, rows] = channel_rows(main);
    page.parts.emplace_back(
        HtmlTable{"Output channels by width", std::move(titles), std::move(rows), ""});
  }
}

void add_layer_costs(HtmlPage& page, const TrainResult& main) {
  if (!total_of(main, "latency_cycles")) {
    return;
  }
  Chart chart;
  chart.kind = Chart::Kind::bars;
  chart.title = "Simulated latency per layer";
  chart.x_label = "layer";
  chart.y_label = "cycles";
  Series series{"cycles", {}, {}, {}};
  std::vector<std::string> shown;
  for (const std::string& metric : main.metrics) {
    const bool wanted = std::any_of(main.targets.begin(), main.targets.end(),
                                    [&](const auto& target) { return target.metric == metric; });
    if (wanted || std::find(std::begin(kLayerMetrics), std::end(kLayerMetrics), metric) !=
                      std::end(kLayerMetrics)) {
      shown.push_back(metric);
    }
  }
  HtmlTable table{"Simulated costs per layer", {"layer", "kind"}, {}, ""};
  table.columns.insert(table.columns.end(), shown.begin(), shown.end());
  for (const LayerCostRow& row : main.layer_costs) {
    chart.categories.push_back(row.name);
    series.y.push_back(*cost_of(main, row, "latency_cycles"));
    std::vector<std::string> cells{row.name, row.kind};
    for (const std::string& metric : shown) {
      cells.push_back(figure(*cost_of(main, row, metric)));
    }
    table.rows.push_back(std::move(cells));
  }
  chart.series = {std::move(series)};
  page.parts.emplace_back(std::move(chart));
  page.parts.emplace_back(std::move(table));
}

void add_comparison(HtmlPage& page, const TrainReport& report) {
  if (report.compared.empty()) {
    return;
  }
  Chart chart;
  chart.kind = Chart::Kind::scatter;
  chart.title = "Accuracy against simulated latency";
  chart.x_label = "latency in cycles";
  chart.y_label = "accuracy on the test set in percent";
  chart.caption =
      "Trained with the same images, epochs and seed. A training in floats has no "
      "latency on this machine and is in the table alone.";
  const auto add = [&](const TrainResult& result) {
    if (const auto cycles = total_of(result, "latency_cycles")) {
      chart.series.push_back({result.label,
                              {*cycles},
                              {100 * result.accuracy},
                              {fmt::format("{}: {}, {} cycles", result.label,
                                           accuracy_text(result.accuracy), whole_text(*cycles))}});
    }
  };
  add(report.main);
  for (const TrainResult& result : report.compared) {
    add(result);
  }
  if (!chart.series.empty()) {
    page.parts.emplace_back(std::move(chart));
  }
  Comparison table = comparison(report, false);
  page.parts.emplace_back(
      HtmlTable{"Trainings", std::move(table.titles), std::move(table.rows), ""});
}

std::vector<const TrainResult*> trainings(const TrainReport& report) {
  std::vector<const TrainResult*> all{&report.main};
  for (const TrainResult& result : report.compared) {
    all.push_back(&result);
  }
  return all;
}

}  // namespace

std::string train_text(const TrainReport& report) {
  const TrainResult& main = report.main;
  std::string text = shortened(printable(fmt::format("{} on {}: {} on {}", main.network,
                                                     main.accelerator, main.label, main.data)),
                               kReportColumns);
  text += "\n\n" + layer_table(main) + '\n';
  if (is_per_channel(main)) {
    auto [titles, rows] = channel_rows(main);
    std::vector<Column> columns;
    for (const std::string& title : titles) {
      columns.push_back({title, columns.empty() ? Align::left : Align::right,
                         columns.empty() ? std::size_t{12} : std::size_t{0}});
    }
    for (std::vector<std::string>& row : rows) {
      row.front() = printable(row.front());
    }
    text += table_text(columns, rows, kReportColumns) + '\n';
  }
  for (const auto& [label, line] : facts(report)) {
    text += list_text(label, {printable(line)}, ";", kLabelColumns, kReportColumns, 2);
  }
  for (const TrainResult* result : trainings(report)) {
    if (result->planes) {
      text += '\n' + plane_text(*result->planes);
    }
  }
  if (report.compared.empty()) {
    return text;
  }
  const Comparison table = comparison(report, true);
  std::vector<Column> columns;
  for (const std::string& title : table.titles) {
    columns.push_back({title, columns.empty() ? Align::left : Align::right,
                       columns.empty() ? std::size_t{12} : std::size_t{0}});
  }
  return text + '\n' + table_text(columns, table.rows, kReportColumns);
}

std::string train_json(const TrainReport& report) {
  using Json = nlohmann::ordered_json;
  Json json;
  json["schema"] = "train/1";
  json["clock_hz"] = report.clock.count();
  json["main"] = Json::parse(result_json(report.main));
  json["compared"] = Json::array();
  for (const TrainResult& result : report.compared) {
    json["compared"].push_back(Json::parse(result_json(result)));
  }
  return json.dump(1) + '\n';
}

std::string train_page(const TrainReport& report) {
  const TrainResult& main = report.main;
  HtmlPage page;
  page.title = fmt::format("{} on {}: {}", main.network, main.accelerator, main.label);
  page.facts.emplace_back("data", main.data);
  for (auto& fact : facts(report)) {
    page.facts.push_back(std::move(fact));
  }
  add_comparison(page, report);
  for (const TrainResult* result : trainings(report)) {
    if (result->planes) {
      add_planes(page, *result->planes);
    }
  }
  add_curves(page, report);
  add_costs_per_epoch(page, main);
  add_widths(page, main);
  add_layer_costs(page, main);
  return html_text(page);
}

}  // namespace widthwise
