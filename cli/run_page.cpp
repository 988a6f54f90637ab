#include "cli/run_page.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

#include <fmt/format.h>

#include "cli/cost_words.hpp"
#include "cli/print_table.hpp"
#include "cli/text_layout.hpp"
#include "models/base/units.hpp"
#include "models/cost/roofline.hpp"
#include "models/hardware/accelerator_reader.hpp"

namespace widthwise {

namespace {

constexpr double kGiga = 1e9;
constexpr std::size_t kMostPointSeries = 3;  // of a roofline: with their roofs one colour each
constexpr std::size_t kMostWidthsNamed = 4;

std::string joined(const ReportFact& fact) {
  std::string text;
  for (const std::string& item : fact.items) {
    text += text.empty() ? item : fmt::format("{} {}", fact.separator, item);
  }
  return text;
}

bool is_zero(const Series& series) {
  return std::all_of(series.y.begin(), series.y.end(), [](double y) { return y == 0; });
}

/// Bars of all layers, without series that have nothing to show.
Chart layer_bars(const CostReport& report, std::string title, std::string y_label,
                 std::vector<Series> series) {
  Chart chart;
  chart.kind = Chart::Kind::stacked_bars;
  chart.title = std::move(title);
  chart.x_label = "layer";
  chart.y_label = std::move(y_label);
  for (const LayerCost& layer : report.layers) {
    chart.categories.push_back(layer.name);
  }
  std::erase_if(series, is_zero);
  chart.series = std::move(series);
  return chart;
}

Chart cycles_chart(const CostReport& report) {
  std::vector<Series> series;
  for (const CyclePart& part : kCycleParts) {
    series.push_back({std::string(part.name), {}, {}, {}});
    for (const LayerCost& layer : report.layers) {
      series.back().y.push_back(static_cast<double>((layer.cycles.*part.cycles).count()));
    }
  }
  Chart chart = layer_bars(report, "Cycles per layer", "cycles", std::move(series));
  chart.caption =
      "Every cycle of a layer stands in one category. Busy: the array issues work, whatever share "
      "of its lanes is useful.";
  return chart;
}

/// Of engines whose timing names phases.
Chart phases_chart(const CostReport& report) {
  std::vector<Series> series;
  for (const auto& [name, total] : report.phases()) {
    series.push_back({name, {}, {}, {}});
    for (const LayerCost& layer : report.layers) {
      const auto found = std::find_if(layer.phases.begin(), layer.phases.end(),
                                      [&](const auto& phase) { return phase.first == name; });
      series.back().y.push_back(
          found == layer.phases.end() ? 0.0 : static_cast<double>(found->second.count()));
    }
  }
  Chart chart = layer_bars(report, "Phases per layer", "cycles", std::move(series));
  chart.caption = "What the array does while it is busy, fills or drains.";
  return chart;
}

EnergyUnit unit_of_layers(const CostReport& report) {
  Picojoules greatest;
  for (const LayerCost& layer : report.layers) {
    greatest = std::max(greatest, layer.energy.total());
  }
  return energy_unit(greatest);
}

Chart energy_chart(const CostReport& report) {
  const EnergyUnit unit = unit_of_layers(report);
  std::vector<Series> series;
  for (const EnergyPart& part : kEnergyParts) {
    series.push_back({std::string(part.name), {}, {}, {}});
    for (const LayerCost& layer : report.layers) {
      series.back().y.push_back(unit.of(layer.energy.*part.energy));
    }
  }
  return layer_bars(report, "Energy per layer", fmt::format("energy in {}", unit.name),
                    std::move(series));
}

/// "w8a8, w4a4".
std::string names_of(const Roofline::Roof& roof) {
  std::string text;
  for (std::size_t i = 0; i < std::min(roof.widths.size(), kMostWidthsNamed); ++i) {
    text += (i > 0 ? ", " : "") + widths_text(roof.widths[i]);
  }
  if (roof.widths.size() > kMostWidthsNamed) {
    text += fmt::format(" and {} more", roof.widths.size() - kMostWidthsNamed);
  }
  return text;
}

/// Nothing if no layer has a place on it.
std::optional<Chart> roofline_chart(const CostReport& report, const Accelerator& accelerator) {
  const Roofline lines = roofline(report, accelerator);
  if (lines.points.empty()) {
    return std::nullopt;
  }
  Chart chart;
  chart.title = "Roofline";
  chart.x_label = "operations per byte of DRAM traffic";
  chart.y_label = "Gop/s";
  chart.log_x = chart.log_y = true;
  chart.caption =
      "An operation is half a MAC, at whatever widths: narrower ones move a layer to the right, "
      "under a higher roof. Below its roof and the slope, a layer waits for something else, or its "
      "shape does not fit the array.";

  // Layers that share a roof are one series, unless there are too many roofs.
  const bool by_roof = lines.roofs.size() <= kMostPointSeries;
  for (std::size_t r = 0; r < (by_roof ? lines.roofs.size() : 1); ++r) {
    chart.series.push_back(
        {by_roof ? "layers at " + names_of(lines.roofs[r]) : "layers", {}, {}, {}, false});
  }
  double least = lines.points.front().ops_per_byte;
  double greatest = least;
  for (const Roofline::Point& point : lines.points) {
    const LayerCost& layer = report.layers[point.layer];
    Series& series = chart.series[by_roof ? point.roof : 0];
    series.x.push_back(point.ops_per_byte);
    series.y.push_back(point.ops_per_s / kGiga);
    series.notes.push_back(fmt::format("{} at {}: {} of its roof, bottleneck {}", layer.name,
                                       widths_text(layer.computed), percent_text(layer.utilization),
                                       layer.bottleneck));
    least = std::min(least, point.ops_per_byte);
    greatest = std::max(greatest, point.ops_per_byte);
  }
  std::erase_if(chart.series, [](const Series& series) { return series.x.empty(); });

  if (lines.dram_bytes_per_s) {
    const double bandwidth = *lines.dram_bytes_per_s;
    const double lowest_ridge = lines.roofs.back().ops_per_s / bandwidth;
    const double highest_ridge = lines.roofs.front().ops_per_s / bandwidth;
    least = std::min(least, lowest_ridge);
    greatest = std::max(greatest, highest_ridge);
    const double start = least / 2;
    chart.series.push_back({fmt::format("DRAM, {}", si_text(bandwidth, "B/s")),
                            {start, highest_ridge},
                            {start * bandwidth / kGiga, lines.roofs.front().ops_per_s / kGiga},
                            {}});
  }
  for (const Roofline::Roof& roof : lines.roofs) {
    const double start =
        lines.dram_bytes_per_s ? roof.ops_per_s / *lines.dram_bytes_per_s : least / 2;
    chart.series.push_back(
        {fmt::format("roof of {}, {}", names_of(roof), si_text(roof.ops_per_s, "op/s")),
         {start, greatest * 2},
         {roof.ops_per_s / kGiga, roof.ops_per_s / kGiga},
         {}});
  }
  if (!lines.dram_bytes_per_s) {
    chart.caption += " The memory of this run has no limits, so that there is no slope.";
  }
  if (lines.without_traffic > 0) {
    chart.caption += fmt::format(" Left out: {} that the DRAM has no part in.",
                                 counted(lines.without_traffic, "layer"));
  }
  return chart;
}

std::optional<Chart> widths_chart(const CostReport& report) {
  Chart chart;
  chart.kind = Chart::Kind::bars;
  chart.title = "Widths per layer";
  chart.x_label = "layer";
  chart.y_label = "bits";
  chart.caption =
      "Of layers with MACs. A tensor is stored once, at the greatest width that any of its readers "
      "asks for.";
  chart.series = {
      {"weights", {}, {}, {}}, {"activations", {}, {}, {}}, {"stored input", {}, {}, {}}};
  for (const LayerCost& layer : report.layers) {
    if (layer.macs == 0) {
      continue;
    }
    chart.categories.push_back(layer.name);
    chart.series[0].y.push_back(layer.widths.weight);
    chart.series[1].y.push_back(layer.widths.activation);
    chart.series[2].y.push_back(layer.stored_input);
  }
  return chart.categories.empty() ? std::nullopt : std::optional(chart);
}

HtmlTable layer_table(const CostReport& report) {
  const auto any = [&](auto has) {
    return std::any_of(report.layers.begin(), report.layers.end(), has);
  };
  const bool rounded =
      any([](const LayerCost& layer) { return layer.macs > 0 && layer.computed != layer.widths; });
  const bool stepped = any([](const LayerCost& layer) { return layer.numerics.has_value(); });
  const EnergyUnit unit = unit_of_layers(report);
  const auto latency = static_cast<double>(report.latency().count());

  HtmlTable table;
  table.title = "Layers";
  table.columns = {"layer", "kind", "MACs", "weight bits", "activation bits"};
  if (rounded) {
    table.columns.emplace_back("computed");
  }
  for (const char* title :
       {"stored input", "stored output", "cycles", "share", "use", "bottleneck"}) {
    table.columns.emplace_back(title);
  }
  table.columns.push_back(fmt::format("energy in {}", unit.name));
  for (const char* title : {"DRAM bytes", "tile", "loops", "steps"}) {
    table.columns.emplace_back(title);
  }
  if (stepped) {
    table.columns.emplace_back("wrong outputs");
  }
  for (const LayerCost& layer : report.layers) {
    const bool on_engine = layer.macs > 0;
    const auto cell = [&](std::int64_t value) {
      return on_engine ? with_separators(value) : std::string("-");
    };
    const auto cycles = static_cast<double>(layer.latency.count());
    std::vector<std::string> row{layer.name, std::string(to_string(layer.kind)), cell(layer.macs),
                                 cell(layer.widths.weight), cell(layer.widths.activation)};
    if (rounded) {
      row.push_back(on_engine ? widths_text(layer.computed) : "-");
    }
    row.push_back(fmt::to_string(layer.stored_input));
    row.push_back(fmt::to_string(layer.stored_output));
    row.push_back(with_separators(layer.latency.count()));
    row.push_back(percent_text(latency > 0 ? cycles / latency : 0));
    row.push_back(on_engine ? percent_text(layer.utilization) : "-");
    row.push_back(layer.bottleneck);
    row.push_back(fmt::format("{:.4g}", unit.of(layer.energy.total())));
    row.push_back(with_separators((layer.activity.dram_read + layer.activity.dram_write).count()));
    row.push_back(layer.tile ? tile_sizes(*layer.tile) : "-");
    row.emplace_back(layer.tile ? to_string(layer.tile->order) : "-");
    row.push_back(layer.tile ? with_separators(layer.tiles) : "-");
    if (stepped) {
      row.push_back(layer.numerics ? with_separators(layer.numerics->wrong_outputs) : "-");
    }
    table.rows.push_back(std::move(row));
  }
  table.caption =
      "Use: of what the array could do at these widths in the layer's time. Tile: images x rows x "
      "columns x output channels x input channels, and x groups where several are side by side. "
      "Loops: over tiles, outermost first (m: output positions, n: output channels, k: input "
      "channels).";
  return table;
}

}  // namespace

void add_run(std::vector<std::pair<std::string, std::string>>& facts, std::vector<HtmlPart>& parts,
             const CostReport& report, const Accelerator& accelerator) {
  for (const ReportFact& fact : report_facts(report)) {
    facts.emplace_back(fact.label, joined(fact));
  }
  parts.emplace_back(cycles_chart(report));
  if (!report.phases().empty()) {
    parts.emplace_back(phases_chart(report));
  }
  parts.emplace_back(energy_chart(report));
  if (auto chart = roofline_chart(report, accelerator)) {
    parts.emplace_back(std::move(*chart));
  }
  if (auto chart = widths_chart(report)) {
    parts.emplace_back(std::move(*chart));
  }
  parts.emplace_back(layer_table(report));
}

std::string run_page(const CostReport& report, const Accelerator& accelerator) {
  HtmlPage page;
  page.title = fmt::format("{} at {} on {}", report.network, report.assignment, report.accelerator);
  page.facts.emplace_back("fidelity", fmt::format("{}, {}", to_string(report.fidelity),
                                                  format_quantity(report.clock, kFrequency)));
  add_run(page.facts, page.parts, report, accelerator);
  return html_text(page);
}

}  // namespace widthwise
