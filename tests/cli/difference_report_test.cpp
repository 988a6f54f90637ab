#include "cli/difference_report.hpp"

#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/text_layout.hpp"
#include "tests/cli/sample_report.hpp"

using namespace widthwise;
using Json = nlohmann::ordered_json;

namespace {

struct Compared {
  ComparedRuns runs;
  RunDifference difference;

  explicit Compared(CostReport b)
      : runs{"a.json", "b.json", sample_report(), std::move(b)},
        difference(run_difference(runs.a, runs.b)) {}

  [[nodiscard]] std::string text() const { return difference_text(runs, difference); }
  [[nodiscard]] Json json() const { return Json::parse(difference_json(runs, difference)); }
  [[nodiscard]] std::string page() const { return difference_page(runs, difference); }

  [[nodiscard]] bool has_line(const std::string& line) const {
    return ('\n' + text()).find('\n' + line + '\n') != std::string::npos;
  }
};

/// The first layer with narrower activations: 20,000 cycles of 30,000, 10 uJ of 15.
CostReport narrower() {
  CostReport report = sample_report();
  report.assignment = "narrow";
  LayerCost& conv = report.layers[0];
  conv.widths = {3, 2};
  conv.computed = {4, 2};
  conv.cycles.busy = Cycles(12'000);
  conv.cycles.stall_input = Cycles(2'300);
  conv.latency = Cycles(20'000);
  conv.energy.dram = Picojoules(3e6);
  conv.activity.dram_read = Bytes(500'000);
  conv.tile->out_w = 56;
  return report;
}

}  // namespace

TEST_CASE("what differs is told from the settings down to the layers") {
  const Compared compared(narrower());
  CHECK(compared.text() ==
        R"(a  tiny at mixed on tiny_array, tile fidelity, 500 MHz
b  tiny at narrow on tiny_array, tile fidelity, 500 MHz

assignment      mixed -> narrow

                     a         b     change   b / a
latency       80.00 us  60.00 us  -20.00 us    0.75
cycles          40,000    30,000    -10,000    0.75
frames/s       12.50 k   16.67 k   +4.167 k   1.333
energy        20.00 uJ  15.00 uJ  -5.000 uJ    0.75
EDP in J s     1.6e-09     9e-10     -7e-10  0.5625
TOPS/W           0.101    0.1347   +0.03367   1.333
DRAM          2.011 MB  1.011 MB  -1.000 MB  0.5028
DRAM read     1.760 MB  760.2 kB  -1.000 MB  0.4319
DRAM written  251.0 kB  251.0 kB          0       1
MACs           1.010 M   1.010 M          0       1
BitOPs         12.64 M   12.64 M          0       1
parameters    13.50 kB  13.50 kB          0       1
area             1 mm2     1 mm2          0       1

cycles                        a       b   change   of all
busy                     24,500  12,500  -12,000  120.0 %
fill                        500     500        0    0.0 %
drain                       100     100        0    0.0 %
waiting for inputs        6,300   8,300   +2,000  -20.0 %
waiting for weights       3,500   3,500        0    0.0 %
waiting for output room   3,000   3,000        0    0.0 %
post-processing           2,100   2,100        0    0.0 %
total                    40,000  30,000  -10,000  100.0 %

energy                  a         b     change   of all
compute          4.200 uJ  4.200 uJ          0    0.0 %
array clock      1.000 uJ  1.000 uJ          0    0.0 %
input buffer     500.0 nJ  500.0 nJ          0    0.0 %
weight buffer    250.0 nJ  250.0 nJ          0    0.0 %
output buffer    250.0 nJ  250.0 nJ          0    0.0 %
DRAM             11.80 uJ  6.800 uJ  -5.000 uJ  100.0 %
post-processing  1.500 uJ  1.500 uJ          0    0.0 %
leakage          500.0 nJ  500.0 nJ          0    0.0 %
total            20.00 uJ  15.00 uJ  -5.000 uJ  100.0 %

layer           bits           cycles   of all  most of it, and what changed
layer1.0.conv1  w3a4 -> w3a2  -10,000  100.0 %  busy -12,000; computed w4a4 -> w4a2; tile
)");
}

TEST_CASE("runs that do not differ are told to be the same") {
  const Compared compared(sample_report());
  CHECK(compared.text() ==
        "a  tiny at mixed on tiny_array, tile fidelity, 500 MHz\n"
        "b  tiny at mixed on tiny_array, tile fidelity, 500 MHz\n"
        "\n"
        "The runs do not differ.\n");
  CHECK(compared.json()["identical"] == true);
  CHECK(compared.page().find("<dd>none</dd>") != std::string::npos);
}

TEST_CASE("changes in JSON sum to the totals") {
  const Json json = Compared(narrower()).json();
  CHECK(json["schema"] == "diff/1");
  CHECK(json["identical"] == false);
  CHECK(json["a"]["file"] == "a.json");
  CHECK(json["b"]["assignment"] == "narrow");
  CHECK(json["settings"].dump() == R"([{"key":"assignment","a":"mixed","b":"narrow"}])");
  CHECK(json["total"]["latency_cycles"].dump() ==
        R"({"a":40000,"b":30000,"change":-10000,"ratio":0.75})");
  CHECK(json["total"]["dram_bytes"]["change"] == -1'000'000);
  std::int64_t cycles = 0;
  for (const auto& [name, change] : json["cycles"].items()) {
    cycles += change.get<std::int64_t>();
  }
  CHECK(cycles == json["total"]["latency_cycles"]["change"]);
  double energy = 0;
  for (const auto& [name, change] : json["energy_by_component_pj"].items()) {
    energy += change.get<double>();
  }
  CHECK(energy == json["total"]["energy_pj"]["change"].get<double>());
  REQUIRE(json["layers"].size() == 3);
  const Json& conv = json["layers"][0];
  CHECK(conv["name"] == "layer1.0.conv1");
  CHECK(conv["in"] == "both");
  CHECK(conv["causes"][0].dump() == R"({"key":"widths","a":"w3a4","b":"w3a2"})");
  CHECK(conv["change"]["cycles"]["busy"] == -12'000);
  CHECK(conv["change"]["cycles"]["stall_input"] == 2'000);
  CHECK(conv["change"]["latency_cycles"] == -10'000);
  CHECK(conv["change"]["dram_bytes"] == -1'000'000);
  CHECK(conv["a"]["latency_cycles"] == 30'000);
}

TEST_CASE("layers that one run has alone are listed, and null in JSON") {
  CostReport b = sample_report();
  b.layers[1].name = "average";
  const Compared compared(b);
  CHECK(compared.has_line("only in a       pool"));
  CHECK(compared.has_line("only in b       average"));
  const Json json = compared.json();
  CHECK(json["layers"][1]["in"] == "a");
  CHECK(json["layers"][1]["b"].is_null());
  CHECK(json["layers"][2]["a"].is_null());
}

TEST_CASE("other clocks make layers differ in time") {
  CostReport b = sample_report();
  b.clock = Hertz(250e6);
  const Compared compared(b);
  CHECK(compared.has_line("clock           500 MHz -> 250 MHz"));
  CHECK(compared.text().find("layer           bits  cycles       time  of all") !=
        std::string::npos);
}

TEST_CASE("where no latency changes the layers are those whose energy does") {
  CostReport b = sample_report();
  b.layers[1].energy.dram = Picojoules(1e6);
  const Compared compared(b);
  CHECK(compared.has_line("pool   4     -2.000 uJ  100.0 %  DRAM -2.000 uJ"));
  b.layers[1].energy.dram = sample_report().layers[1].energy.dram;
  b.network = "other";
  CHECK(Compared(b).has_line("No layer takes other cycles or energy."));
}

TEST_CASE("lines have at most 100 columns, whatever stands in the reports") {
  CostReport b = narrower();
  b.network = std::string(300, 'n') + "\n\x1b[31m";
  b.leaves_out.emplace_back(500, 'l');
  b.layers[0].cycles.stall_output = Cycles(1'000'000'000'000);
  b.layers[0].latency = b.layers[0].cycles.total();
  for (int i = 0; i < 200; ++i) {
    b.layers.push_back(b.layers[0]);
    b.layers.back().name = std::string(100, 'x') + std::to_string(i);
    b.resolved_accelerator.emplace_back("engine.key" + std::to_string(i), "a value");
  }
  const std::string text = Compared(b).text();
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    INFO(line);
    CHECK(text_width(line) <= 100);
    CHECK(line.find('\x1b') == std::string::npos);
  }
  CHECK(count < 100);
  CHECK(text.find("\nand 181 more, together +") != std::string::npos);
}

TEST_CASE("the page of two runs has the changes as bars and tables") {
  const std::string page = Compared(narrower()).page();
  for (const char* title :
       {"What is set otherwise", "Totals", "Where the cycles went", "Where the energy went",
        "Change of cycles per layer", "Change of energy per layer", "Layers"}) {
    CHECK(page.find(std::string("<h2>") + title + "</h2>") != std::string::npos);
  }
  CHECK(page == Compared(narrower()).page());
}
