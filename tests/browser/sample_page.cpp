// Prints a page to look at and to test in a browser, by its argument:
//   report   what a report of a search would hold
//   sweep    1,024 machines on parallel axes, their front, and details of some
//   large    5,000 machines and 60 details
//   hostile  texts that try to break out of the page
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/html_page.hpp"
#include "cli/text_layout.hpp"

using namespace widthwise;

namespace {

/// The convolutions and the classifier of ResNet-50, 54 layers.
std::vector<std::string> layer_names() {
  std::vector<std::string> names{"conv1"};
  const int blocks[] = {3, 4, 6, 3};
  for (int stage = 1; stage <= 4; ++stage) {
    for (int block = 0; block < blocks[stage - 1]; ++block) {
      for (int conv = 1; conv <= 3; ++conv) {
        names.push_back(fmt::format("layer{}.{}.conv{}", stage, block, conv));
      }
      if (block == 0) {
        names.push_back(fmt::format("layer{}.0.downsample.convolution_of_the_shortcut", stage));
      }
    }
  }
  names.emplace_back("fc");
  return names;
}

/// Numbers in 0..1 that look like noise.
double wobble(std::size_t i, std::size_t seed) {
  const double value = std::sin(12.9898 * static_cast<double>(i + 1) + 78.233 * double(seed + 1));
  return std::abs(value * 43758.5453 - std::floor(value * 43758.5453));
}

Series named(std::string name, std::vector<double> y = {}, std::vector<std::string> notes = {}) {
  Series series;
  series.name = std::move(name);
  series.y = std::move(y);
  series.notes = std::move(notes);
  return series;
}

Chart front() {
  Chart chart;
  chart.title = "Latency and error of assignments";
  chart.x_label = "latency (ms)";
  chart.y_label = "estimated error (loss)";
  chart.log_x = true;
  chart.caption =
      "Each point is an assignment of widths that no other of its method beats in both figures; "
      "down and to the left is better. Points say their mean widths.";
  const char* const methods[] = {"integer program", "genetic search", "greedy",
                                 "one width for all"};
  for (std::size_t m = 0; m < 4; ++m) {
    Series series = named(methods[m]);
    series.stepped = m < 3;
    const std::size_t points = m == 3 ? 7 : 22;
    for (std::size_t i = 0; i < points; ++i) {
      const double at = (static_cast<double>(i) + 0.4 * wobble(i, m)) / double(points);
      series.x.push_back(2.1 * std::pow(9, at));
      series.y.push_back(0.02 + (0.35 + 0.05 * double(m)) * std::exp(-3.2 * at) +
                         0.013 * double(m));
      series.notes.push_back(
          fmt::format("weights {:.2f} bits, activations {:.2f} bits", 2 + 6 * at, 3 + 5 * at));
    }
    chart.series.push_back(series);
  }
  return chart;
}

Chart cloud() {
  Chart chart;
  chart.kind = Chart::Kind::scatter;
  chart.title = "Simulated and estimated cycles";
  chart.x_label = "estimated (cycles)";
  chart.y_label = "simulated (cycles)";
  chart.log_x = chart.log_y = true;
  chart.series = {named("on the engine"), named("bound by DRAM")};
  for (std::size_t i = 0; i < 240; ++i) {
    Series& series = chart.series[i % 2];
    series.x.push_back(std::floor(900 * std::pow(2000, wobble(i, 1))));
    series.y.push_back(std::floor(series.x.back() * (1 + 0.3 * wobble(i, 2) * double(i % 2 + 1))));
  }
  return chart;
}

Chart widths() {
  Chart chart;
  chart.kind = Chart::Kind::bars;
  chart.title = "Widths per layer";
  chart.x_label = "layer";
  chart.y_label = "width (bits)";
  chart.categories = layer_names();
  chart.series = {named("weights"), named("activations")};
  for (std::size_t i = 0; i < chart.categories.size(); ++i) {
    chart.series[0].y.push_back(i == 0 ? 8 : 2 + std::floor(5 * wobble(i, 3)));
    chart.series[1].y.push_back(i == 0 ? 8 : 3 + std::floor(5 * wobble(i, 4)));
  }
  return chart;
}

Chart energy() {
  Chart chart;
  chart.kind = Chart::Kind::stacked_bars;
  chart.title = "Energy per layer";
  chart.x_label = "layer";
  chart.y_label = "energy (uJ)";
  chart.categories = layer_names();
  chart.caption = "Leakage is shared out by time.";
  const char* const parts[] = {"compute", "array", "buffers", "DRAM", "leakage"};
  for (std::size_t p = 0; p < 5; ++p) {
    Series series = named(parts[p]);
    for (std::size_t i = 0; i < chart.categories.size(); ++i) {
      series.y.push_back((80 + 900 * wobble(i, p + 5)) / (1 + double((p + 3) % 5)));
    }
    chart.series.push_back(series);
  }
  return chart;
}

Chart few_bars() {
  Chart chart;
  chart.kind = Chart::Kind::bars;
  chart.title = "Area";
  chart.x_label = "unit";
  chart.y_label = "area (um2)";
  chart.categories = {"multipliers", "accumulators", "buffers"};
  chart.series = {named("", {1234567, 345678, 2345678})};
  return chart;
}

Chart log_bars() {
  Chart chart;
  chart.kind = Chart::Kind::bars;
  chart.title = "Cycles by cause";
  chart.x_label = "cause";
  chart.y_label = "time (cycles)";
  chart.log_y = true;
  chart.categories = {"busy", "fill", "stalls for weights", "stalls for inputs"};
  chart.series = {named("estimated", {1e6, 1000, 24000, 5100}),
                  named("simulated", {1e6, 1024, 26100, 4990})};
  return chart;
}

HtmlTable layers() {
  HtmlTable table{.title = "Layers",
                  .columns = {"layer", "kind", "MACs", "weights (bits)", "activations (bits)",
                              "latency (cycles)", "energy (uJ)", "share", "stalls"},
                  .rows = {},
                  .caption = "Shares are of the latency of the network."};
  std::vector<std::string> names = layer_names();
  for (const char* const name :
       {"avgpool", "maxpool", "layer1.add", "layer2.add", "layer3.add", "layer4.add"}) {
    names.emplace_back(name);
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool on_engine = i < 54;
    const auto macs = static_cast<std::int64_t>(1e8 * wobble(i, 20));
    table.rows.push_back(
        {names[i], on_engine ? "convolution" : "pool", on_engine ? with_separators(macs) : "-",
         on_engine ? fmt::to_string(2 + i % 7) : "", on_engine ? fmt::to_string(3 + i % 5) : "",
         with_separators(macs / 512 + 900), fmt::format("{:.2f}", 1500 * wobble(i, 21)),
         percent_text(wobble(i, 22) / 30), i % 3 == 0 ? "weights" : "none"});
  }
  return table;
}

HtmlPage report() {
  return {.title = "Widths for resnet50 on bit_fusion",
          .facts = {{"Network", "resnet50, 54 layers, 4,089,184,256 MACs"},
                    {"Accelerator", "bit_fusion, 32 x 16 units at 500 MHz"},
                    {"Objective", "least error within 6.0 ms"},
                    {"Best found", "5.97 ms, error 0.081, mean widths 4.3 and 5.1 bits"},
                    {"Lower bound", "error 0.079 (gap 2.5 %)"},
                    {"Time", "12.4 s on 8 threads"}},
          .parts = {front(), widths(), energy(), cloud(), few_bars(), log_bars(), layers()}};
}

// ---- machines

struct Machine {
  std::string id;
  double rows = 0, columns = 0, buffer = 0, bandwidth = 0, engine = 0;
  double area = 0, energy = 0, latency = 0;
  bool on_front = false;
};

const std::vector<std::string> kEngines{"fused", "bit-serial", "fixed 8 bits"};

/// Sizes at random, figures that follow from them; sorted by latency. On the front are those that
/// none is faster than with less area.
std::vector<Machine> machines(std::size_t count) {
  std::vector<Machine> all(count);
  for (std::size_t i = 0; i < count; ++i) {
    Machine& machine = all[i];
    machine.rows = std::exp2(3 + std::floor(5 * wobble(i, 31)));
    machine.columns = std::exp2(3 + std::floor(5 * wobble(i, 32)));
    machine.buffer = std::exp2(4 + std::floor(7 * wobble(i, 33)));
    machine.bandwidth = std::exp2(1 + std::floor(5 * wobble(i, 34)));
    machine.engine = std::floor(3 * wobble(i, 35));
    const double units = machine.rows * machine.columns;
    machine.area = 0.002 * units * (1 + machine.engine / 3) + 0.004 * machine.buffer + 0.1;
    machine.latency = 900 / units * (1 + machine.engine) + 40 / machine.bandwidth +
                      60 / machine.buffer + wobble(i, 36);
    machine.energy = 4 + 0.02 * machine.latency * machine.area + 12 / std::sqrt(machine.buffer);
  }
  std::sort(all.begin(), all.end(),
            [](const Machine& a, const Machine& b) { return a.latency < b.latency; });
  double least_area = all.front().area + 1;
  for (std::size_t i = 0; i < count; ++i) {
    all[i].id = fmt::format("machine-{}", i + 1);
    all[i].on_front = all[i].area < least_area;
    least_area = std::min(least_area, all[i].area);
  }
  return all;
}

std::string name_of(const Machine& machine) {
  return fmt::format("{}: {} x {}, {} KiB", machine.id, machine.rows, machine.columns,
                     machine.buffer);
}

ParallelAxes axes_of(const std::vector<Machine>& all) {
  ParallelAxes axes;
  axes.title = "Machines";
  axes.axes = {
      {"engine", false, kEngines}, {"rows", true},       {"columns", true}, {"buffer (KiB)", true},
      {"DRAM (GB/s)", true},       {"area (mm2)", true}, {"energy (mJ)"},   {"latency (ms)", true}};
  for (const Machine& machine : all) {
    axes.lines.push_back({name_of(machine),
                          {machine.engine, machine.rows, machine.columns, machine.buffer,
                           machine.bandwidth, machine.area, machine.energy, machine.latency},
                          machine.on_front,
                          machine.id});
  }
  axes.lines_name = "machines";
  axes.marked_name = "on the front";
  axes.caption = "Every line is a machine.";
  return axes;
}

Chart area_and_latency(const std::vector<Machine>& all) {
  Chart chart;
  chart.title = "Area and latency";
  chart.x_label = "latency (ms)";
  chart.y_label = "area (mm2)";
  chart.log_x = chart.log_y = true;
  chart.series = {named("on the front"), named("fused"), named("bit-serial"),
                  named("fixed 8 bits")};
  chart.series[0].stepped = true;
  for (std::size_t i = 1; i < 4; ++i) {
    chart.series[i].faint = true;
  }
  for (const Machine& machine : all) {
    Series& series = chart.series[machine.on_front ? 0 : 1 + std::size_t(machine.engine)];
    series.x.push_back(machine.latency);
    series.y.push_back(machine.area);
    series.notes.push_back(name_of(machine));
    series.keys.push_back(machine.id);
  }
  return chart;
}

Chart front_energy(const std::vector<Machine>& all) {
  Chart chart;
  chart.kind = Chart::Kind::bars;
  chart.title = "Energy of the front";
  chart.x_label = "machine";
  chart.y_label = "energy (mJ)";
  chart.series = {named("energy")};
  for (const Machine& machine : all) {
    if (machine.on_front) {
      chart.categories.push_back(machine.id);
      chart.series[0].y.push_back(machine.energy);
      chart.series[0].keys.push_back(machine.id);
    }
  }
  return chart;
}

HtmlTable table_of(const std::vector<Machine>& all) {
  HtmlTable table{.title = "All machines",
                  .columns = {"machine", "engine", "area (mm2)", "energy (mJ)", "latency (ms)"},
                  .rows = {},
                  .caption = "Those with a link have details.",
                  .keys = {}};
  for (const Machine& machine : all) {
    table.rows.push_back(
        {machine.id, kEngines[std::size_t(machine.engine)], fmt::format("{:.3f}", machine.area),
         fmt::format("{:.2f}", machine.energy), fmt::format("{:.2f}", machine.latency)});
    table.keys.push_back(machine.id);
  }
  return table;
}

/// Layers as many as those of a large transformer.
HtmlDetail detail_of(const Machine& machine, std::size_t seed) {
  HtmlTable table{.title = "Widths",
                  .columns = {"layer", "weights (bits)", "activations (bits)"},
                  .rows = {},
                  .caption = ""};
  Chart energy;
  energy.kind = Chart::Kind::stacked_bars;
  energy.title = "Energy per layer";
  energy.x_label = "layer";
  energy.y_label = "energy (uJ)";
  energy.series = {named("compute"), named("buffers"), named("DRAM")};
  for (std::size_t i = 0; i < 150; ++i) {
    const std::string layer = fmt::format("encoder.layer.{}.attention.{}", i / 12, i % 12);
    table.rows.push_back({layer, fmt::to_string(2 + (i + seed) % 7), fmt::to_string(4 + i % 5)});
    energy.categories.push_back(layer);
    for (std::size_t p = 0; p < 3; ++p) {
      energy.series[p].y.push_back(std::floor(900 * wobble(i, p + seed)));
    }
  }
  Chart cycles = energy;
  cycles.kind = Chart::Kind::bars;
  cycles.title = "Cycles per layer";
  cycles.y_label = "time (kcycles)";
  HtmlDetail detail{.id = machine.id,
                    .title = name_of(machine),
                    .facts = {{"Area", fmt::format("{:.3f} mm2", machine.area)},
                              {"Latency", fmt::format("{:.2f} ms", machine.latency)}},
                    .parts = {front(), few_bars(), energy, cycles, table}};
  return detail;
}

HtmlPage sweep(std::size_t machine_count, std::size_t detail_count) {
  const std::vector<Machine> all = machines(machine_count);
  HtmlPage page{.title = "Machines for resnet50",
                .facts = {{"Network", "resnet50"}, {"Machines", fmt::to_string(all.size())}},
                .parts = {axes_of(all), area_and_latency(all), front_energy(all), table_of(all)}};
  for (const bool on_front : {true, false}) {
    for (const Machine& machine : all) {
      if (machine.on_front == on_front && page.details.size() < detail_count) {
        page.details.push_back(detail_of(machine, page.details.size()));
      }
    }
  }
  return page;
}

// ---- texts that try to break out

HtmlPage hostile() {
  const std::string evil =
      "</script><b onmouseover='alert(1)'>\"&amp;<!--\n<script>alert(2)</script>";
  Chart bars;
  bars.kind = Chart::Kind::stacked_bars;
  bars.title = bars.x_label = bars.y_label = evil;
  bars.categories = {evil, "__proto__", "=1+1"};
  bars.series = {named(evil, {1, 2, 3}, {evil, evil, evil}), named("toString", {0, -1, 0.5})};
  bars.caption = evil;
  Chart points;
  points.title = points.x_label = points.y_label = evil;
  points.series = {named(evil, {1}, {evil}), named("constructor")};
  points.series[0].x = {1};
  Chart nothing;
  nothing.title = "nothing";
  const HtmlTable table{.title = evil,
                        .columns = {evil, "value"},
                        .rows = {{evil, "2"}, {"a,\"b\"", "-10"}, {"", "-"}, {"x10", "1,000"}},
                        .caption = evil};
  const HtmlTable no_rows{.title = "no rows", .columns = {"a"}, .rows = {}, .caption = ""};
  ParallelAxes axes;
  axes.title = axes.lines_name = axes.marked_name = axes.caption = evil;
  axes.axes = {{evil, false, {evil, "__proto__"}}, {"a"}, {"b", true}};
  axes.lines = {{evil, {0, 1, 1}, true, evil}, {"constructor", {1, 1, 5}, false, "__proto__"}};
  ParallelAxes no_lines;
  no_lines.title = "no lines";
  no_lines.axes = {{"a"}, {"b"}};
  const HtmlTable keyed{.title = "keyed",
                        .columns = {"a"},
                        .rows = {{evil}, {"1"}, {"2"}},
                        .caption = "",
                        .keys = {evil, "__proto__", "constructor"}};
  return {.title = evil,
          .facts = {{evil, evil}},
          .parts = {bars, points, nothing, table, no_rows, axes, no_lines, keyed},
          .details = {{"constructor", evil, {{evil, evil}}, {table}}, {"__proto__", evil, {}, {}}}};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "report";
  const std::string text = html_text(name == "sweep"     ? sweep(1024, 12)
                                     : name == "large"   ? sweep(5000, 60)
                                     : name == "hostile" ? hostile()
                                                         : report());
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}
