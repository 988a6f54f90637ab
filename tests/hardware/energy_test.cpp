// Energy and area of units with other accumulators than the table's, against sums by hand.
#include "models/hardware/energy.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "models/hardware/area.hpp"
#include "models/hardware/table_lookup.hpp"

using namespace widthwise;

namespace {

/// A unit with 32 bits of accumulator: 100 pJ of clock, 20 pJ an operation, 1 mW, 1,000 um2. A bit:
/// 2 pJ of clock, 0.5 pJ an accumulation, 0.01 mW, 10 um2.
EnergyTable example_table() {
  EnergyTable table;
  table.path = "example";
  UnitEnergy unit;
  unit.name = "pe";
  unit.clock_per_cycle = Picojoules(100);
  unit.leakage = Milliwatts(1);
  unit.area = SquareMicrometres(1000);
  unit.operations = {{8, 8, Picojoules(20), "example"}};
  unit.accumulator_bits = 32;
  table.units = {unit};
  table.accumulator_bit = AccumulatorBitEnergy{Picojoules(2), Picojoules(0.5), Milliwatts(0.01),
                                               SquareMicrometres(10), "example"};
  SramEnergy macro;
  macro.capacity = Bytes(1024);
  table.srams = {{"sram", {macro}}};
  table.drams = {{"dram", Picojoules(1), Picojoules(1), "example"}};
  return table;
}

Accelerator machine_with(int accumulator_bits) {
  Accelerator machine;
  machine.clock = Hertz(1e9);
  machine.engine.rows = 2;
  machine.engine.columns = 3;
  machine.engine.unit = "pe";
  machine.engine.accumulator_bits = accumulator_bits;
  machine.memory.dram.technology = "dram";
  for (Buffer* buffer : {&machine.memory.input_buffer, &machine.memory.weight_buffer,
                         &machine.memory.output_buffer}) {
    buffer->capacity = Bytes(1024);
  }
  return machine;
}

/// 70 cycles of the array, 400 operations of which 4 reach the accumulator at once.
Activity activity_with(BitWidth accumulator_bits) {
  Activity activity;
  activity.operations = 400;
  activity.operation_weight_bits = activity.operation_activation_bits = 8;
  activity.operations_per_accumulation = 4;
  activity.accumulator_bits = accumulator_bits;
  activity.array_active = Cycles(70);
  return activity;
}

EnergyBreakdown energy_with(int engine, BitWidth layer) {
  return EnergyModel(machine_with(engine), example_table())
      .energy(activity_with(layer), Cycles(1000));
}

}  // namespace

TEST_CASE("the table's accumulator takes the table's figures") {
  const EnergyBreakdown energy = energy_with(32, 32);
  CHECK(energy.compute.count() == 400 * 20);
  CHECK(energy.array.count() == 70 * 6 * 100);
  CHECK(energy.leakage.count() == Approx(6 * 1 * 1000));  // 1 mW for 1 ns is 1 pJ
}

TEST_CASE("a wider engine has more of everything for every further bit") {
  const EnergyBreakdown energy = energy_with(48, 48);
  CHECK(energy.compute.count() == Approx(400 * 20 + 100 * 16 * 0.5));
  CHECK(energy.array.count() == Approx(70 * 6 * (100 + 16 * 2)));
  CHECK(energy.leakage.count() == Approx(6 * 1.16 * 1000));
  CHECK(estimate_area(machine_with(48), example_table()).array.count() ==
        Approx(6 * (1000 + 16 * 10)));
}

TEST_CASE("a narrower engine has less") {
  const EnergyBreakdown energy = energy_with(20, 20);
  CHECK(energy.compute.count() == Approx(400 * 20 - 100 * 12 * 0.5));
  CHECK(energy.array.count() == Approx(70 * 6 * (100 - 12 * 2)));
  CHECK(energy.leakage.count() == Approx(6 * 0.88 * 1000));
  CHECK(estimate_area(machine_with(20), example_table()).array.count() ==
        Approx(6 * (1000 - 12 * 10)));
}

TEST_CASE("a layer with a narrower accumulator saves clock and accumulation, not leakage") {
  const EnergyBreakdown energy = energy_with(32, 20);
  CHECK(energy.compute.count() == Approx(400 * 20 - 100 * 12 * 0.5));
  CHECK(energy.array.count() == Approx(70 * 6 * (100 - 12 * 2)));
  CHECK(energy.leakage.count() == Approx(6 * 1 * 1000));
}

TEST_CASE("an accumulation never takes less than nothing") {
  Activity activity = activity_with(2);
  activity.operations_per_accumulation = 0.5;  // 10 pJ, of which 15 pJ would be saved
  const EnergyModel model(machine_with(32), example_table());
  CHECK(model.energy(activity, Cycles(1000)).compute.count() == 0);
}

TEST_CASE("a unit that states no accumulator is taken for any") {
  EnergyTable table = example_table();
  table.units[0].accumulator_bits.reset();
  const EnergyBreakdown energy =
      EnergyModel(machine_with(48), table).energy(activity_with(20), Cycles(1000));
  CHECK(energy.compute.count() == 400 * 20);
  CHECK(energy.array.count() == 70 * 6 * 100);
  CHECK(estimate_area(machine_with(48), table).array.count() == 6 * 1000);
}

TEST_CASE("another accumulator than the table's needs the figures of a bit") {
  EnergyTable table = example_table();
  table.accumulator_bit.reset();
  CHECK_NOTHROW(EnergyModel(machine_with(32), table));
  const std::string message =
      "example: error: accumulator_bit: missing: unit 'pe' has an accumulator of 32 bits, the "
      "engine one of 48";
  CHECK_THROWS_WITH(EnergyModel(machine_with(48), table), message);
  CHECK_THROWS_WITH(estimate_area(machine_with(48), table), message);
}

TEST_CASE(
    "a unit of a family has the figures of its lanes, on lines through those on either side") {
  EnergyTable table = example_table();
  table.units.clear();
  const auto add = [&](int lanes, double clock, double energy, double area) {
    UnitEnergy unit;
    unit.name = "pe_" + std::to_string(lanes);
    unit.family = "pe";
    unit.lanes = lanes;
    unit.clock_per_cycle = Picojoules(clock);
    unit.leakage = Milliwatts(clock / 10);
    unit.area = SquareMicrometres(area);
    unit.operations = {{1, 1, Picojoules(energy), "example"}};
    table.units.push_back(unit);
  };
  add(8, 20, 5, 100);   // 40 pJ of operations a cycle
  add(32, 60, 3, 400);  // 96 pJ
  add(16, 40, 4, 200);  // 64 pJ
  const auto at = [&](int lanes) {
    Diagnostics diagnostics;
    const UnitEnergy unit = find_unit(table, "pe", lanes, 32, diagnostics);
    CHECK(diagnostics.empty());
    return unit;
  };
  const auto check = [&](int lanes, double clock, double per_cycle, double area) {
    INFO(lanes << " lanes");
    const UnitEnergy unit = at(lanes);
    CHECK(unit.clock_per_cycle.count() == Approx(clock));
    CHECK(unit.leakage.count() == Approx(clock / 10));
    CHECK(lanes * unit.operations.at(0).energy.count() == Approx(per_cycle));
    CHECK(unit.area.count() == Approx(area));
  };
  check(8, 20, 40, 100);
  check(12, 30, 52, 150);
  check(16, 40, 64, 200);
  check(24, 50, 80, 300);
  check(32, 60, 96, 400);
  check(64, 100, 160, 800);
  check(4, 10, 28, 50);
  CHECK(at(1).area.count() == Approx(12.5));
  // A unit of the family by its own name is as the table has it, whatever the lanes.
  Diagnostics diagnostics;
  CHECK(find_unit(table, "pe_32", 8, 32, diagnostics).area.count() == 400);
}
