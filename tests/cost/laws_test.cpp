// Laws of the analytic cost that hold for every machine: what is better never costs more, and every
// cycle and picojoule stands in exactly one place.
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/cost/analytic.hpp"
#include "tests/cost/machines.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

constexpr BitWidth kWidest = 16;
constexpr int kLayers = 60;
/// Sums of doubles in another order.
constexpr double kRounding = 1e-9;

double cost(const Workload& work, const Accelerator& machine, const EnergyTable& energy) {
  const CostReport report = analytic_cost(work.network, work.widths, machine, energy);
  switch (machine.tiling.objective) {
    case Objective::latency:
      return static_cast<double>(report.latency().count());
    case Objective::energy:
      return report.energy().total().count();
    case Objective::edp:
      return report.edp_js();
  }
  return 0;
}

Workload at_widths(Workload work, LayerWidths widths) {
  work.widths.layers[0] = widths;
  work.widths.stored[work.network.layers()[0].inputs[0]] = widths.activation;
  return work;
}

/// Layers of all kinds: small ones and ones that need many tiles.
std::vector<Workload> random_layers(unsigned seed, int count) {
  Random random(seed);
  std::vector<Workload> layers;
  for (int i = 0; i < count; ++i) {
    const std::int64_t channels = random.pick<std::int64_t>({8, 64, 256});
    const LayerWidths widths{static_cast<int>(random(1, 8)), static_cast<int>(random(1, 8))};
    layers.push_back(random_layer(random, channels > 100 ? 14 : 40, channels, widths));
  }
  return layers;
}

std::string text_of(const Workload& work) {
  const LayerWidths widths = work.widths.layers[0];
  return describe(*work.network.layers()[0].compute) + " w" + std::to_string(widths.weight) + "a" +
         std::to_string(widths.activation);
}

void check_bandwidth(Objective objective) {
  unsigned seed = 0;
  for (const std::string& name : shipped_names()) {
    Accelerator machine = shipped(name);
    machine.tiling.objective = objective;
    const EnergyTable energy = energy_of(machine);
    for (const Workload& work : random_layers(++seed, kLayers)) {
      INFO(name << " " << text_of(work));
      Accelerator faster = machine;
      double before = cost(work, machine, energy);
      for (int doubling = 0; doubling < 4; ++doubling) {
        faster.memory.dram.bandwidth *= 2;
        const double after = cost(work, faster, energy);
        INFO("bandwidth " << faster.memory.dram.bandwidth);
        CHECK(after <= before * (1 + kRounding));
        before = after;
      }
    }
  }
}

/// All 16 x 16 widths of some layers against their narrower neighbours.
void check_widths(const std::string& name, Objective objective, int count) {
  Accelerator machine = shipped(name);
  machine.tiling.objective = objective;
  const EnergyTable energy = energy_of(machine);
  for (const Workload& work : random_layers(100 + static_cast<unsigned>(name.size()), count)) {
    std::array<std::array<double, kWidest + 1>, kWidest + 1> costs{};
    for (BitWidth weight = 1; weight <= kWidest; ++weight) {
      for (BitWidth activation = 1; activation <= kWidest; ++activation) {
        const double now = cost(at_widths(work, {weight, activation}), machine, energy);
        costs[static_cast<std::size_t>(weight)][static_cast<std::size_t>(activation)] = now;
        INFO(name << " " << text_of(work) << ": w" << weight << "a" << activation);
        if (weight > 1) {
          CHECK(costs[static_cast<std::size_t>(weight) - 1][static_cast<std::size_t>(activation)] <=
                now * (1 + kRounding));
        }
        if (activation > 1) {
          CHECK(costs[static_cast<std::size_t>(weight)][static_cast<std::size_t>(activation) - 1] <=
                now * (1 + kRounding));
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("more DRAM bandwidth never costs latency") { check_bandwidth(Objective::latency); }

TEST_CASE("more DRAM bandwidth never costs energy where tiles are chosen for energy") {
  check_bandwidth(Objective::energy);
}

TEST_CASE("more DRAM bandwidth never costs energy-delay product where tiles are chosen for it") {
  check_bandwidth(Objective::edp);
}

TEST_CASE("fewer bits never cost latency, at all 256 widths") {
  for (const std::string& name : shipped_names()) check_widths(name, Objective::latency, 12);
}

TEST_CASE("fewer bits never cost energy where tiles are chosen for energy, at all 256 widths") {
  for (const std::string& name : shipped_names()) check_widths(name, Objective::energy, 8);
}

void check_accumulators(Objective objective) {
  unsigned seed = 150;
  for (const std::string& name : shipped_names()) {
    Accelerator machine = shipped(name);
    machine.tiling.objective = objective;
    const EnergyTable energy = energy_of(machine);
    for (Workload& work : random_layers(++seed, kLayers)) {
      INFO(name << " " << text_of(work));
      double before = cost(work, machine, energy);
      for (BitWidth bits = machine.engine.accumulator_bits; bits >= 2; bits -= bits > 20 ? 7 : 3) {
        work.widths.accumulators = {bits};
        const double after = cost(work, machine, energy);
        INFO("accumulators of " << bits);
        CHECK(after <= before * (1 + kRounding));
        before = after;
      }
    }
  }
}

TEST_CASE("narrower accumulators never cost latency") { check_accumulators(Objective::latency); }

TEST_CASE("narrower accumulators never cost energy where tiles are chosen for energy") {
  check_accumulators(Objective::energy);
}

TEST_CASE("the engine's accumulator width is that of layers that name none, and the greatest") {
  Accelerator machine = shipped("systolic_16x16_int8");
  const EnergyTable energy = energy_of(machine);
  Workload work = random_layers(160, 1).front();
  const CostReport narrow = [&] {
    Accelerator other = machine;
    other.engine.accumulator_bits = 24;
    return analytic_cost(work.network, work.widths, other, energy);
  }();
  CHECK(narrow.layers[0].accumulator_bits == 24);
  work.widths.accumulators = {33};
  CHECK_THROWS_WITH(analytic_cost(work.network, work.widths, machine, energy),
                    machine.source +
                        ": error: layer 'layer': expected accumulator_bits of at most "
                        "engine.accumulator_bits (32), got 33");
}

// Larger buffers rule small tiles out, whose first operands are there sooner.
TEST_CASE("a larger buffer costs no more than the lead-in of larger tiles") {
  constexpr double kLeadIn = 1.10;
  constexpr double kShortLayer = 500;  // cycles
  unsigned seed = 200;
  for (const std::string& name : shipped_names()) {
    const Accelerator machine = shipped(name);
    const EnergyTable energy = energy_of(machine);
    for (const Workload& work : random_layers(++seed, kLayers)) {
      INFO(name << " " << text_of(work));
      const double before = cost(work, machine, energy);
      for (Buffer Memory::*buffer :
           {&Memory::input_buffer, &Memory::weight_buffer, &Memory::output_buffer}) {
        for (const double factor : {1.5, 2.0, 8.0}) {
          Accelerator larger = machine;
          Bytes& capacity = (larger.memory.*buffer).capacity;
          capacity =
              Bytes(static_cast<std::int64_t>(static_cast<double>(capacity.count()) * factor));
          INFO("capacity " << capacity.count());
          CHECK(cost(work, larger, energy) <= before * kLeadIn + kShortLayer);
        }
      }
    }
  }
}

TEST_CASE("ideal memory leaves the array's own cycles, and is never slower") {
  unsigned seed = 300;
  for (const std::string& name : shipped_names()) {
    const Accelerator machine = shipped(name);
    Accelerator ideal = machine;
    ideal.ideal_memory = true;
    const EnergyTable energy = energy_of(machine);
    for (const Workload& work : random_layers(++seed, kLayers)) {
      INFO(name << " " << text_of(work));
      const CostReport report = analytic_cost(work.network, work.widths, ideal, energy);
      const CycleBreakdown cycles = report.cycles();
      CHECK(cycles.busy + cycles.fill + cycles.drain == report.latency());
      CHECK(static_cast<double>(report.latency().count()) <= cost(work, machine, energy));
    }
  }
}

TEST_CASE(
    "every cycle of a shipped machine stands in one category, every picojoule in one component") {
  unsigned seed = 400;
  for (const std::string& name : shipped_names()) {
    const Accelerator machine = shipped(name);
    const EnergyTable energy = energy_of(machine);
    for (const Workload& work : random_layers(++seed, 20)) {
      INFO(name << " " << text_of(work));
      const CostReport report = analytic_cost(work.network, work.widths, machine, energy);
      const LayerCost& layer = report.layers[0];
      const CycleBreakdown& c = layer.cycles;
      CHECK(c.busy + c.fill + c.drain + c.stall_input + c.stall_weight + c.stall_output + c.post ==
            layer.latency);
      for (const Cycles part :
           {c.busy, c.fill, c.drain, c.stall_input, c.stall_weight, c.stall_output, c.post}) {
        CHECK(part >= Cycles(0));
      }
      const EnergyBreakdown& e = layer.energy;
      CHECK((e.compute + e.array + e.input_buffer + e.weight_buffer + e.output_buffer +
             e.scratchpad + e.dram + e.post + e.leakage)
                .count() == Approx(e.total().count()).epsilon(kRounding));
      CHECK(layer.utilization > 0);
      CHECK(layer.utilization <= 1);
    }
  }
}

TEST_CASE("the totals of a report are the sums of its layers") {
  const Accelerator machine = shipped("systolic_16x16_int8");
  const Network network = workload("resnet18_cifar");
  const WidthPlan plan = resolve_widths(network, parse_uniform_assignment("w4a8"));
  const CostReport report = analytic_cost(network, plan, machine, energy_of(machine));
  Cycles latency;
  double energy = 0;
  Bytes read, written;
  for (const LayerCost& layer : report.layers) {
    latency += layer.latency;
    energy += layer.energy.total().count();
    read += layer.activity.dram_read;
    written += layer.activity.dram_write;
    CHECK(layer.cycles.total() == layer.latency);
  }
  CHECK(report.latency() == latency);
  CHECK(report.energy().total().count() == Approx(energy).epsilon(kRounding));
  CHECK(report.dram_read() == read);
  CHECK(report.dram_write() == written);
  CHECK(report.edp_js() ==
        Approx(energy * 1e-12 * static_cast<double>(latency.count()) / machine.clock.count()));
}

TEST_CASE("energy of a layer worked out by hand") {
  // 8 x 4 outputs of K 16 on 4 x 4 units: two blocks of 16 steps; all operands are one tile.
  Accelerator machine = example_machine();
  machine.memory.input_buffer.capacity = machine.memory.weight_buffer.capacity =
      machine.memory.output_buffer.capacity = Bytes(1024);
  machine.tiling.fixed["gemm0"] = {.out_h = 8, .out_channels = 4, .in_channels = 16};
  const Workload work = gemms({{8, 4, 16, {8, 8}}});
  const CostReport report = analytic_cost(work.network, work.widths, machine, example_energy());
  const LayerCost& layer = report.layers[0];
  CHECK(layer.tiles == 1);
  const EnergyBreakdown& e = layer.energy;
  CHECK(e.compute.count() == Approx(8 * 4 * 16 * 64 / 64.0));
  CHECK(e.array.count() == Approx(32 * 16 * 0.5));                       // cycles x units
  CHECK(e.input_buffer.count() == Approx(8 * (8 * 16) + 8 * (8 * 16)));  // in once, out once
  CHECK(e.weight_buffer.count() ==
        Approx(8 * (4 * 16) + 2 * 8 * (4 * 16)));  // out per block of rows
  CHECK(e.output_buffer.count() == Approx(2 * 32 * (8 * 4)));
  CHECK(e.dram.count() == Approx(10 * 8 * (8 * 16 + 4 * 16 + 8 * 4)));
  CHECK(e.post.count() == Approx(8 * 4));
  // Units 16 x 1 uW, three buffers 10 uW each, at 1 GHz: pJ per cycle = mW.
  CHECK(e.leakage.count() ==
        Approx((16 * 0.001 + 3 * 0.01) * static_cast<double>(layer.latency.count())));
}
