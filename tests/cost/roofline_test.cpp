#include "models/cost/roofline.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/cost/analytic.hpp"
#include "tests/cost/machines.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

constexpr double kRounding = 1e-9;

LayerCost layer_at(LayerWidths widths, std::int64_t macs, std::int64_t cycles, std::int64_t bytes) {
  LayerCost layer;
  layer.widths = layer.computed = widths;
  layer.macs = macs;
  layer.latency = Cycles(cycles);
  layer.activity.dram_read = Bytes(bytes - bytes / 4);
  layer.activity.dram_write = Bytes(bytes / 4);
  return layer;
}

/// 16 PEs at 1 GHz: 32 Gop/s, four times as many at 4 x 4 bits; 1 GB/s.
Accelerator fused_machine() {
  Accelerator machine = example_machine();
  machine.engine.scaling = Scaling::fusion;
  machine.engine.supported_bits = {4, 8};
  return machine;
}

CostReport report_of(std::vector<LayerCost> layers) {
  CostReport report;
  report.clock = Hertz(1e9);
  report.layers = std::move(layers);
  return report;
}

}  // namespace

TEST_CASE("roofs, slope and points of a machine are worked out by hand") {
  const CostReport report =
      report_of({layer_at({8, 8}, 1000, 100, 400), LayerCost{}, layer_at({4, 4}, 1000, 50, 100),
                 layer_at({8, 4}, 640, 20, 64)});
  const Roofline lines = roofline(report, fused_machine());
  CHECK(lines.dram_bytes_per_s == 1e9);
  REQUIRE(lines.roofs.size() == 3);  // highest first
  CHECK(lines.roofs[0].ops_per_s == Approx(128e9));
  CHECK(lines.roofs[0].widths == std::vector<LayerWidths>{{4, 4}});
  CHECK(lines.roofs[1].ops_per_s == Approx(64e9));
  CHECK(lines.roofs[2].ops_per_s == Approx(32e9));
  REQUIRE(lines.points.size() == 3);  // the layer without MACs has none
  CHECK(lines.points[0].layer == 0);
  CHECK(lines.points[0].roof == 2);
  CHECK(lines.points[0].ops_per_s == Approx(2000 / 100e-9));
  CHECK(lines.points[0].ops_per_byte == Approx(2000.0 / 400));
  CHECK(lines.points[1].layer == 2);
  CHECK(lines.points[1].roof == 0);
  CHECK(lines.points[1].ops_per_s == Approx(2000 / 50e-9));
  CHECK(lines.points[1].ops_per_byte == Approx(20));
  CHECK(lines.points[2].roof == 1);
  CHECK(lines.without_traffic == 0);
}

TEST_CASE("widths that the array does as fast share a roof") {
  const CostReport report = report_of(
      {layer_at({8, 8}, 10, 10, 10), layer_at({2, 3}, 10, 10, 10), layer_at({8, 8}, 10, 10, 10)});
  const Roofline lines = roofline(report, example_machine());  // PEs of a fixed width
  REQUIRE(lines.roofs.size() == 1);
  CHECK(lines.roofs[0].widths == std::vector<LayerWidths>{{8, 8}, {2, 3}});
}

TEST_CASE("layers without DRAM traffic have no place, and memory without limits no slope") {
  const CostReport report = report_of({layer_at({8, 8}, 10, 10, 0), layer_at({8, 8}, 10, 10, 10)});
  Accelerator machine = example_machine();
  machine.ideal_memory = true;
  const Roofline lines = roofline(report, machine);
  CHECK_FALSE(lines.dram_bytes_per_s);
  CHECK(lines.without_traffic == 1);
  REQUIRE(lines.points.size() == 1);
  CHECK(lines.points[0].layer == 1);
  CHECK(roofline(report_of({}), machine).points.empty());
}

TEST_CASE("a layer's rate is its utilization of its roof, and no layer is above roof or slope") {
  unsigned seed = 0;
  for (const std::string& name : shipped_names()) {
    const Accelerator machine = shipped(name);
    const EnergyTable energy = energy_of(machine);
    Random random(++seed);
    for (int i = 0; i < 20; ++i) {
      const LayerWidths widths{static_cast<int>(random(1, 8)), static_cast<int>(random(1, 8))};
      const Workload work = random_layer(random, 28, 64, widths);
      const CostReport report = analytic_cost(work.network, work.widths, machine, energy);
      const Roofline lines = roofline(report, machine);
      for (const Roofline::Point& point : lines.points) {
        const double roof = lines.roofs.at(point.roof).ops_per_s;
        INFO(name << " " << describe(*work.network.layers()[point.layer].compute));
        CHECK(point.ops_per_s == Approx(report.layers[point.layer].utilization * roof));
        CHECK(point.ops_per_s <= roof * (1 + kRounding));
        CHECK(point.ops_per_s <= point.ops_per_byte * *lines.dram_bytes_per_s * (1 + kRounding));
      }
      CHECK(lines.points.size() == 1);
    }
  }
}
