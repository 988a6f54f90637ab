#include "cli/run_page.hpp"

#include <numeric>

#include <catch2/catch.hpp>

#include "models/hardware/accelerator_reader.hpp"
#include "tests/cli/sample_report.hpp"

using namespace widthwise;

namespace {

/// Fused units; the sample's layers compute at w4a4 and w8a8.
Accelerator machine() {
  return read_accelerator(std::string(WIDTHWISE_SOURCE_DIR) +
                          "/configs/accelerators/bitfusion_16x32.yaml");
}

struct Page {
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<HtmlPart> parts;

  explicit Page(const CostReport& report, const Accelerator& accelerator = machine()) {
    add_run(facts, parts, report, accelerator);
  }

  /// Null if there is no such part.
  template <class Part>
  const Part* find(const std::string& title) const {
    for (const HtmlPart& part : parts) {
      const Part* one = std::get_if<Part>(&part);
      if (one != nullptr && one->title == title) {
        return one;
      }
    }
    return nullptr;
  }
};

std::vector<std::string> names_of(const Chart& chart) {
  std::vector<std::string> names;
  for (const Series& series : chart.series) {
    names.push_back(series.name);
  }
  return names;
}

double sum_at(const Chart& chart, std::size_t category) {
  return std::accumulate(
      chart.series.begin(), chart.series.end(), 0.0,
      [&](double sum, const Series& series) { return sum + series.y.at(category); });
}

}  // namespace

TEST_CASE("a page of a run states its totals as the table report does") {
  const Page page(sample_report());
  CHECK(page.facts.at(0) ==
        std::pair<std::string, std::string>{
            "latency", "40,000 cycles = 80.00 us at 500 MHz; 12.50 k frames/s"});
  CHECK(page.facts.at(1).first == "energy");
  CHECK(page.facts.back().second == "instruction fetch; refresh of the DRAM");
}

TEST_CASE("the bars of a layer's cycles sum to its latency") {
  const CostReport report = sample_report();
  const Page page(report);
  const Chart& chart = *page.find<Chart>("Cycles per layer");
  CHECK(chart.categories == std::vector<std::string>{"layer1.0.conv1", "pool", "fc"});
  for (std::size_t i = 0; i < report.layers.size(); ++i) {
    CHECK(sum_at(chart, i) == static_cast<double>(report.layers[i].latency.count()));
  }
}

TEST_CASE("categories and components that are zero everywhere are left out") {
  CostReport report = sample_report();
  report.layers.erase(report.layers.begin());
  const Page page(report);
  CHECK(names_of(*page.find<Chart>("Cycles per layer")) ==
        std::vector<std::string>{"busy", "waiting for inputs", "waiting for weights",
                                 "post-processing"});
  CHECK(names_of(*page.find<Chart>("Energy per layer")) ==
        std::vector<std::string>{"compute", "DRAM", "post-processing"});
}

TEST_CASE("energy has a unit that fits the greatest layer") {
  CostReport report = sample_report();
  const Page page(report);
  const Chart& chart = *page.find<Chart>("Energy per layer");
  CHECK(chart.y_label == "energy in uJ");
  CHECK(sum_at(chart, 0) == Approx(15));
  for (LayerCost& layer : report.layers) {
    layer.energy = {};
    layer.energy.dram = Picojoules(500);
  }
  CHECK(Page(report).find<Chart>("Energy per layer")->y_label == "energy in pJ");
}

TEST_CASE(
    "the roofline has every layer with MACs, and roofs that begin where the slope meets them") {
  const Page page(sample_report());
  const Chart& chart = *page.find<Chart>("Roofline");
  CHECK(chart.log_x);
  CHECK(chart.log_y);
  REQUIRE(names_of(chart) ==
          std::vector<std::string>{"layers at w4a4", "layers at w8a8", "DRAM, 12.00 GB/s",
                                   "roof of w4a4, 2.048 Top/s", "roof of w8a8, 512.0 Gop/s"});
  CHECK_FALSE(chart.series[0].line);
  CHECK(chart.series[0].x.at(0) == Approx(2e6 / 1.75e6));  // operations, DRAM bytes
  CHECK(chart.series[0].y.at(0) == Approx(2e6 / 60e-6 / 1e9));
  CHECK(chart.series[0].notes.at(0) ==
        "layer1.0.conv1 at w4a4: 81.2 % of its roof, bottleneck compute");
  CHECK(chart.series[2].line);
  CHECK(chart.series[2].y.back() == Approx(2048));
  CHECK(chart.series[4].x.front() == Approx(512.0 / 12));
  CHECK(chart.series[4].y == std::vector<double>(2, chart.series[4].y[0]));
  CHECK(chart.series[3].x.back() == chart.series[4].x.back());
}

TEST_CASE("many roofs share one series of layers") {
  CostReport report = sample_report();
  for (const LayerWidths widths : {LayerWidths{2, 2}, {2, 4}, {2, 8}}) {
    report.layers.push_back(report.layers[0]);
    report.layers.back().widths = report.layers.back().computed = widths;
  }
  const auto names = names_of(*Page(report).find<Chart>("Roofline"));
  CHECK(names.at(0) == "layers");
  CHECK(names.size() == 2 + 4);  // w4a4 and w2a8 are as fast
}

TEST_CASE("memory without limits has no slope, and a network without MACs no roofline") {
  CostReport report = sample_report();
  Accelerator ideal = machine();
  ideal.ideal_memory = true;
  const Page page(report, ideal);
  const Chart& chart = *page.find<Chart>("Roofline");
  CHECK(names_of(chart).at(2) == "roof of w4a4, 2.048 Top/s");
  CHECK(chart.caption.find("no slope") != std::string::npos);
  report.layers = {report.layers[1]};
  const Page pools(report);
  CHECK(pools.find<Chart>("Roofline") == nullptr);
  CHECK(pools.find<Chart>("Widths per layer") == nullptr);
  report.layers.clear();
  CHECK_NOTHROW(run_page(report, machine()));
}

TEST_CASE("widths are those of layers with MACs, with what the input is stored at") {
  const Page page(sample_report());
  const Chart& chart = *page.find<Chart>("Widths per layer");
  CHECK(chart.categories == std::vector<std::string>{"layer1.0.conv1", "fc"});
  CHECK(chart.series.at(0).y == std::vector<double>{3, 8});
  CHECK(chart.series.at(1).y == std::vector<double>{4, 8});
  CHECK(chart.series.at(2).y == std::vector<double>{8, 8});
}

TEST_CASE("the table has a row per layer") {
  const Page page(sample_report());
  const HtmlTable& table = *page.find<HtmlTable>("Layers");
  CHECK(table.columns == std::vector<std::string>{"layer", "kind", "MACs", "weight bits",
                                                  "activation bits", "computed", "stored input",
                                                  "stored output", "cycles", "share", "use",
                                                  "bottleneck", "energy in uJ", "DRAM bytes",
                                                  "tile", "loops", "steps", "wrong outputs"});
  CHECK(table.rows.at(0) == std::vector<std::string>{"layer1.0.conv1", "convolution", "1,000,000",
                                                     "3", "4", "w4a4", "8", "4", "30,000", "75.0 %",
                                                     "81.2 %", "compute", "15", "1,750,000",
                                                     "1x14x28x64x32", "nmk", "12", "-"});
  CHECK(table.rows.at(1) == std::vector<std::string>{"pool", "pool", "-", "-", "-", "-", "4", "4",
                                                     "8,000", "20.0 %", "-", "DRAM", "4", "250,999",
                                                     "-", "-", "-", "-"});
  CHECK(table.rows.at(2).back() == "3");
}

TEST_CASE("phases are bars of their own where an engine has them") {
  CostReport report = sample_report();
  CHECK(Page(report).find<Chart>("Phases per layer") == nullptr);
  report.layers[0].phases = {{"load", Cycles(600)}, {"compute", Cycles(24'000)}};
  report.layers[2].phases = {{"load", Cycles(100)}, {"compute", Cycles(400)}};
  const Page page(report);
  const Chart& chart = *page.find<Chart>("Phases per layer");
  CHECK(names_of(chart) == std::vector<std::string>{"load", "compute"});
  CHECK(chart.series[1].y == std::vector<double>{24'000, 0, 400});
}

TEST_CASE("the same run gives the same page") {
  CHECK(run_page(sample_report(), machine()) == run_page(sample_report(), machine()));
  CHECK(run_page(sample_report(), machine()).find("<title>tiny at mixed on tiny_array") !=
        std::string::npos);
}
