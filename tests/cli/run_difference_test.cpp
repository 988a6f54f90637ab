#include "cli/run_difference.hpp"

#include <catch2/catch.hpp>

#include "tests/cli/sample_report.hpp"

using namespace widthwise;

namespace {

std::vector<std::string> names_of(const RunDifference& difference) {
  std::vector<std::string> names;
  for (const LayerChange& change : difference.layers) {
    const std::string only = change.a == nullptr ? "+" : change.b == nullptr ? "-" : "";
    names.push_back(only + change.layer().name);
  }
  return names;
}

std::vector<std::string> texts(const std::vector<ValueChange>& changes) {
  std::vector<std::string> all;
  for (const ValueChange& change : changes) {
    all.push_back(change.key + ": " + change.a.value_or("-") + " -> " + change.b.value_or("-"));
  }
  return all;
}

CostReport named_layers(const std::vector<std::string>& names) {
  CostReport report = sample_report();
  const LayerCost layer = report.layers[1];
  report.layers.clear();
  for (const std::string& name : names) {
    report.layers.push_back(layer);
    report.layers.back().name = name;
  }
  return report;
}

}  // namespace

TEST_CASE("a run does not differ from itself") {
  const CostReport report = sample_report();
  const RunDifference difference = run_difference(report, report);
  CHECK(difference.identical);
  CHECK(difference.settings.empty());
  CHECK(difference.accelerator.empty());
  CHECK(difference.cycles == CycleBreakdown());
  CHECK(difference.energy.total() == Picojoules());
}

TEST_CASE("whatever reports state makes runs differ") {
  const CostReport a = sample_report();
  const auto differs = [&](auto change) {
    CostReport b = a;
    change(b);
    return !run_difference(a, b).identical;
  };
  CHECK(differs([](CostReport& b) { b.assignment = "w8a8"; }));
  CHECK(differs([](CostReport& b) { b.layers[0].bottleneck = "DRAM"; }));
  CHECK(differs([](CostReport& b) { b.layers[0].fused.clear(); }));
  CHECK(differs([](CostReport& b) { b.layers[2].numerics->wrong_outputs = 0; }));
  CHECK(differs([](CostReport& b) { b.layers[0].energy.post = Picojoules(1); }));
  CHECK(differs([](CostReport& b) { b.layers[0].tile->out_h = 7; }));
  CHECK(differs([](CostReport& b) { b.layers.pop_back(); }));
  CHECK(differs([](CostReport& b) { b.resolved_accelerator.pop_back(); }));
}

TEST_CASE("layers are matched by name, those of one name in their order") {
  CostReport a = named_layers({"x", "y", "x"});
  CostReport b = named_layers({"y", "x", "x", "x"});
  a.layers[2].macs = 1;
  b.layers[2].macs = 1;
  const RunDifference difference = run_difference(a, b);
  CHECK(names_of(difference) == std::vector<std::string>{"y", "x", "x", "+x"});
  CHECK(difference.layers[1].a == &a.layers[0]);
  CHECK(difference.layers[2].a == &a.layers[2]);
  CHECK(difference.layers[2].b == &b.layers[2]);
}

TEST_CASE("layers that one run has alone stand where they are executed") {
  const CostReport a = named_layers({"first", "conv", "bn", "relu", "fc"});
  const CostReport b = named_layers({"conv", "pool", "fc", "softmax"});
  CHECK(names_of(run_difference(a, b)) ==
        std::vector<std::string>{"-first", "conv", "-bn", "-relu", "+pool", "fc", "+softmax"});
  CHECK(names_of(run_difference(a, named_layers({}))).size() == 5);
  CHECK(names_of(run_difference(named_layers({}), named_layers({}))).empty());
}

TEST_CASE("changes of layers sum to those of the runs, part by part") {
  const CostReport a = sample_report();
  CostReport b = a;
  b.layers[0].cycles.busy = Cycles(10'000);
  b.layers[0].cycles.stall_input = Cycles(1'300);
  b.layers[0].latency = Cycles(17'000);
  b.layers[0].energy.dram = Picojoules(3e6);
  b.layers.erase(b.layers.begin() + 1);
  const RunDifference difference = run_difference(a, b);
  CHECK(difference.cycles.busy == Cycles(-14'000));
  CHECK(difference.cycles.stall_input == Cycles(1'000 - 6'000));
  CHECK(difference.cycles.post == Cycles(-2'000));
  CHECK(difference.cycles.total().count() == b.latency().count() - a.latency().count());
  CHECK(difference.energy.dram.count() == Approx(-5e6 - 3e6));
  CHECK(difference.energy.total().count() ==
        Approx(b.energy().total().count() - a.energy().total().count()));
  CHECK(difference.layers[0].latency() == Cycles(-13'000));
  CHECK(difference.layers[0].seconds == Approx(-13'000 / 500e6));
  CHECK(difference.layers[1].dram_bytes == -250'999);  // of the pool
}

TEST_CASE("causes are what differs between the two settings of a layer") {
  const CostReport a = sample_report();
  CostReport b = a;
  b.layers[0].widths = {4, 4};
  b.layers[0].stored_input = 4;
  b.layers[0].tile->order = LoopOrder::mnk;
  b.layers[2].computed = {8, 4};
  b.layers[2].tile.reset();
  const RunDifference difference = run_difference(a, b);
  CHECK(texts(difference.layers[0].causes) ==
        std::vector<std::string>{"widths: w3a4 -> w4a4", "stored_input_bits: 8 -> 4",
                                 "tile: 1x14x28x64x32:nmk -> 1x14x28x64x32:mnk"});
  CHECK(difference.layers[1].causes.empty());
  CHECK(texts(difference.layers[2].causes) ==
        std::vector<std::string>{"computed: w8a8 -> w8a4", "tile: 1x1x1x10x1000:mnk -> "});
}

TEST_CASE("settings and keys of the accelerator are compared") {
  const CostReport a = sample_report();
  CostReport b = a;
  b.fidelity = Fidelity::analytic;
  b.clock = Hertz(250e6);
  b.batch = 4;
  b.leaves_out.emplace_back("limits");
  b.resolved_accelerator[2].second = "8";
  b.resolved_accelerator.pop_back();
  b.resolved_accelerator.emplace_back("engine.tiles", "2");
  const RunDifference difference = run_difference(a, b);
  CHECK(texts(difference.settings) ==
        std::vector<std::string>{
            "fidelity: tile -> analytic", "batch: 1 -> 4", "clock: 500 MHz -> 250 MHz",
            "leaves_out: [instruction fetch, refresh of the DRAM] -> [instruction fetch, refresh "
            "of the DRAM, limits]"});
  CHECK(texts(difference.accelerator) ==
        std::vector<std::string>{"engine.rows: 16 -> 8",
                                 "tiling.fixed.\"layer1.0.conv1\".batch: 1 -> -",
                                 "engine.tiles: - -> 2"});
  CHECK(difference.cycles == CycleBreakdown());
  CHECK(difference.layers[0].seconds == Approx(30'000 / 500e6));  // at half the clock
}
