#include "cli/print_table.hpp"

#include <sstream>

#include <catch2/catch.hpp>

#include "cli/text_layout.hpp"
#include "tests/cli/sample_report.hpp"

using namespace widthwise;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

}  // namespace

TEST_CASE("the table shows every layer, the totals and where they come from") {
  CHECK(table_report(sample_report()) ==
        R"(tiny at mixed on tiny_array, tile fidelity, 500 MHz

layer           bits     MACs  cycles   share     use      DRAM    energy  bottleneck
layer1.0.conv1  3/4   1.000 M  30,000  75.0 %  81.2 %  1.750 MB  15.00 uJ  compute
pool            4           -   8,000  20.0 %       -  251.0 kB  4.000 uJ  DRAM
fc              8/8   10.00 k   2,000   5.0 %   4.0 %  10.24 kB  1.000 uJ  DRAM

latency         40,000 cycles = 80.00 us at 500 MHz; 12.50 k frames/s
energy          20.00 uJ; EDP 1.6e-09 J s; 0.101 TOPS/W
operations      1,010,000 MACs; 12.64 M BitOPs
computed        3 of 1,000 outputs wrong; 4 additions overflow in 1 layer
DRAM            1.760 MB read; 251.0 kB written
parameters      13.50 kB (weights at their widths, biases at 32 bits)
area            1 mm2: array 60.0 %, buffers 35.0 %, post-processing 5.0 %
bottleneck      compute (layers that it bounds take 75.0 % of the cycles)
cycles          busy 61.3 %, waiting for inputs 15.8 %, waiting for weights 8.8 %,
                waiting for output room 7.5 %, post-processing 5.2 %, fill 1.2 %, drain 0.2 %
energy goes to  DRAM 59.0 %, compute 21.0 %, post-processing 7.5 %, array clock 5.0 %,
                input buffer 2.5 %, leakage 2.5 %, weight buffer 1.2 %, output buffer 1.2 %
rounded up      3/4 as 4/4 in 1 layer
ignored         Dropout (drop)
not modelled    instruction fetch; refresh of the DRAM
)");
}

TEST_CASE("the network's bottleneck bounds the layers with the most cycles") {
  CostReport report = sample_report();
  CHECK(network_bottleneck(report).name == "compute");
  CHECK(network_bottleneck(report).share == 0.75);
  report.layers[0].latency = Cycles(9'999);  // the DRAM layers take 8,000 + 2,000
  CHECK(network_bottleneck(report).name == "DRAM");
  report.layers[0].latency = Cycles(10'000);
  CHECK(network_bottleneck(report).name == "compute");  // a tie goes to the earlier layer
}

TEST_CASE("no line is wider than 100 columns, whatever stands in the report") {
  const std::string long_name(300, 'x');
  CostReport report = sample_report();
  report.network = report.accelerator = report.assignment = long_name;
  report.clock = Hertz(1'234'567'891.0);
  report.batch = 1'000'000;
  report.ignored.assign(50, long_name);
  report.leaves_out = {long_name, "short", long_name, long_name, "last"};
  report.area.array = SquareMicrometres(1.23456e15);
  report.area.weight_buffer = report.area.scratchpad = report.area.post = report.area.array;
  LayerCost& layer = report.layers[0];
  layer.name = "a/" + long_name + "/b";
  layer.bottleneck = long_name;
  layer.macs = 8'999'999'999'999'999;
  layer.widths = layer.computed = {16, 16};
  layer.latency = Cycles(40'000'000'000'000'000);
  layer.cycles.busy = layer.latency;
  layer.activity.dram_read = Bytes(40'000'000'000'000'000);
  layer.energy.compute = Picojoules(1e300);
  layer.bitops = 1e300;
  report.layers[1].name = "a\nb\x1b[31mred\x1b[0m\ttab \xff\xfe \xe2\x80\xae flipped";
  report.layers[2].name = "";
  for (int i = 0; i < 40; ++i) {
    report.layers[2].name += "\xe5\xb1\xa4";  // a character of two columns
  }
  report.layers.insert(report.layers.end(), 40, report.layers[0]);
  for (LayerCost& each : report.layers) {
    each.computed = {16, 15};
    each.latency = Cycles(9'000'000'000'000'000);
  }

  const std::string text = table_report(report);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("\na?b?") != std::string::npos);
  for (const std::string& line : lines_of(text)) {
    INFO(line);
    CHECK(text_width(line) <= 100);
    CHECK(text_width(line) == text_width(printable(line)));
  }
  CHECK(text.find("and 49 more") != std::string::npos);  // ignored operators
}

TEST_CASE("a name that is too long keeps both its ends") {
  CostReport report = sample_report();
  report.layers[0].name = "encoder/" + std::string(200, 'x') + "/query";
  const std::string text = table_report(report);
  CHECK(text.find("\nencoder/") != std::string::npos);
  CHECK(text.find("xxx/query  3/4") != std::string::npos);
}

TEST_CASE("without areas in the energy table no area is shown") {
  CostReport report = sample_report();
  CHECK(table_report(report).find("\narea ") != std::string::npos);
  report.area = AreaEstimate{};
  CHECK(table_report(report).find("\narea ") == std::string::npos);
}

TEST_CASE("a network without layers has a report too") {
  CostReport report = sample_report();
  report.layers.clear();
  const std::string text = table_report(report);
  CHECK(text.find("0 cycles = 0 s at 500 MHz") != std::string::npos);
  CHECK(text.find("bottleneck  ") == std::string::npos);
  CHECK(text.find("nan") == std::string::npos);
}

TEST_CASE("phases of all layers are summed in a line of their own, in their order") {
  CostReport report = sample_report();
  CHECK(table_report(report).find("\nphases ") == std::string::npos);
  report.layers[0].phases = {{"load", Cycles(600)}, {"compute", Cycles(24'000)}};
  report.layers[2].phases = {{"load", Cycles(100)}, {"compute", Cycles(400)}};
  CHECK(table_report(report).find("\nphases          load 700, compute 24,400\n") !=
        std::string::npos);
}
