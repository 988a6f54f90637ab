// The area of an accelerator against sums by hand.
#include "models/hardware/area.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"

using namespace widthwise;

namespace {

constexpr std::int64_t kKibibyte = 1024;

/// Units of 100 um2; macros of 1 KiB with 1,000 um2 and of 4 KiB with 2,000 um2.
EnergyTable example_table() {
  EnergyTable table;
  table.path = "example";
  UnitEnergy unit;
  unit.name = "pe";
  unit.area = SquareMicrometres(100);
  table.units = {unit};
  SramEnergy small;
  small.capacity = Bytes(1 * kKibibyte);
  small.area = SquareMicrometres(1000);
  SramEnergy large;
  large.capacity = Bytes(4 * kKibibyte);
  large.area = SquareMicrometres(2000);
  table.srams = {{"sram", {small, large}}};
  table.post.area_per_lane = SquareMicrometres(7);
  return table;
}

Accelerator example_machine() {
  Accelerator machine;
  machine.engine.rows = 3;
  machine.engine.columns = 5;
  machine.engine.unit = "pe";
  machine.memory.input_buffer.capacity = Bytes(1 * kKibibyte);
  machine.memory.weight_buffer.capacity = Bytes(4 * kKibibyte);
  machine.memory.output_buffer.capacity = Bytes(2 * kKibibyte);
  machine.post_processing.lanes = 8;
  return machine;
}

double input_buffer_area(Bytes capacity) {
  Accelerator machine = example_machine();
  machine.memory.input_buffer.capacity = capacity;
  return estimate_area(machine, example_table()).input_buffer.count();
}

}  // namespace

TEST_CASE("area is units, memory macros and lanes") {
  const AreaEstimate area = estimate_area(example_machine(), example_table());
  CHECK(area.array.count() == 3 * 5 * 100);
  CHECK(area.input_buffer.count() == 1000);
  CHECK(area.weight_buffer.count() == 2000);
  CHECK(area.output_buffer.count() == Approx(1414.2136));  // 1,000 x 2^(1/2): half way in log-log
  CHECK(area.scratchpad.count() == 0);
  CHECK(area.post.count() == 8 * 7);
  CHECK(area.total().count() == Approx(1500 + 1000 + 2000 + 1414.2136 + 56));
}

TEST_CASE(
    "a memory smaller than the smallest macro takes its area, a larger one banks of the largest") {
  CHECK(input_buffer_area(Bytes(16)) == 1000);
  CHECK(input_buffer_area(Bytes(4 * kKibibyte - 1)) == Approx(2000).epsilon(1e-3));
  CHECK(input_buffer_area(Bytes(4 * kKibibyte)) == 2000);
  CHECK(input_buffer_area(Bytes(4 * kKibibyte + 1)) == 2 * 2000);
  CHECK(input_buffer_area(Bytes(8 * kKibibyte)) == 2 * 2000);
  CHECK(input_buffer_area(Bytes(8 * kKibibyte + 1)) == 3 * 2000);
}

TEST_CASE("a scratchpad adds its macros") {
  Accelerator machine = example_machine();
  const double before = estimate_area(machine, example_table()).total().count();
  machine.memory.scratchpad = Scratchpad{.capacity = Bytes(12 * kKibibyte)};
  const AreaEstimate area = estimate_area(machine, example_table());
  CHECK(area.scratchpad.count() == 3 * 2000);
  CHECK(area.total().count() == Approx(before + 3 * 2000));
}

TEST_CASE("an area that the table lacks is an error, not zero") {
  Accelerator machine = example_machine();
  machine.engine.unit = "pf";
  machine.memory.scratchpad = Scratchpad{.capacity = Bytes(64), .sram = "rams"};
  try {
    estimate_area(machine, example_table());
    FAIL("no error");
  } catch (const InputError& error) {
    const std::string text = error.what();
    CHECK_THAT(text, Catch::Contains("units: no entry 'pf'; the table has 'pe'"));
    CHECK_THAT(text, Catch::Contains("srams: no entry 'rams'; the table has 'sram'"));
  }
}

TEST_CASE("the shipped 16 x 16 mesh has the area of its parts in Nangate45") {
  const std::string configs = std::string(WIDTHWISE_SOURCE_DIR) + "/configs/accelerators/";
  const Accelerator mesh = read_accelerator(configs + "systolic_16x16_int8.yaml");
  const AreaEstimate area = estimate_area(mesh, read_energy_table(mesh.energy_table));
  // 879.4 um2 an element; banks of 16 KiB with 0.10858 mm2: 8, 8, 4 and 32; 7832.1 um2 a lane.
  CHECK(area.array.count() == Approx(256 * 879.4));
  CHECK(area.input_buffer.count() == Approx(8 * 108580.0));
  CHECK(area.weight_buffer.count() == Approx(8 * 108580.0));
  CHECK(area.output_buffer.count() == Approx(4 * 108580.0));
  CHECK(area.scratchpad.count() == Approx(32 * 108580.0));
  CHECK(area.post.count() == Approx(16 * 7832.1));
}
