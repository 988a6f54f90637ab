// Prints a page to look at and to test in a browser: what a report of a search would hold, or, with
// the argument "hostile", texts that try to break out of it.
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
  return {.title = evil, .facts = {{evil, evil}}, .parts = {bars, points, nothing, table, no_rows}};
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_hostile = argc > 1 && std::string_view(argv[1]) == "hostile";
  const std::string text = html_text(is_hostile ? hostile() : report());
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}
