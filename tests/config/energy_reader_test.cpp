#include "models/hardware/energy_reader.hpp"

#include <catch2/catch.hpp>

#include "tests/config/reading.hpp"

namespace widthwise {
namespace {

const std::string kTable = R"(schema: energy/1
name: example
description: round numbers
node: 45 nm
voltage: 1.1 V
units:
  - name: mac8
    clock: 0.12 pJ/cycle
    leakage: 43 uW
    area: 879 um2
    source: a
    operations:
      - {weight_bits: 8, activation_bits: 8, energy: 996 fJ, source: b}
      - {weight_bits: 4, activation_bits: 8, energy: 0.5 pJ, source: c}
srams:
  - name: sram
    macros:
      - {capacity: 8 KiB, read: 50 fJ/bit, write: 60 fJ/bit, leakage: 1.2 mW, area: 0.04 mm2, source: d}
      - {capacity: 64 KiB, read: 0.1 pJ/bit, write: 0.12 pJ/bit, leakage: 9 mW, area: 0.3 mm2, source: e}
drams:
  - {name: ddr3, read: 20 pJ/bit, write: 21 pJ/bit, source: f}
post_processing: {requantize: 1.1 pJ, operation: 0.2 pJ, leakage_per_lane: 3 uW, area_per_lane: 400 um2, source: g}
)";

std::string read(const std::string& text) {
  return complaints([&] { parse_energy_table(text, "f.yaml"); });
}

TEST_CASE("Accumulators of units, and what a bit of one takes, are optional") {
  const EnergyTable without = parse_energy_table(kTable, "f.yaml");
  CHECK_FALSE(without.units[0].accumulator_bits);
  CHECK_FALSE(without.accumulator_bit);
  const std::string bit =
      "accumulator_bit: {clock: 3 fJ/cycle, accumulation: 4 fJ, leakage: 1 uW, area: 20 um2, "
      "source: h}\n";
  const std::string text =
      with(with(kTable, "    source: a\n", "    source: a\n    accumulator_bits: 32\n"), "srams:\n",
           bit + "srams:\n");
  const EnergyTable table = parse_energy_table(text, "f.yaml");
  CHECK(table.units[0].accumulator_bits == 32);
  REQUIRE(table.accumulator_bit);
  CHECK(table.accumulator_bit->clock_per_cycle == Picojoules(0.003));
  CHECK(table.accumulator_bit->accumulation == Picojoules(0.004));
  CHECK(table.accumulator_bit->leakage == Milliwatts(0.001));
  CHECK(table.accumulator_bit->area == SquareMicrometres(20));
  CHECK(table.accumulator_bit->source == "h");
  CHECK(read(with(text, ", source: h", "")) ==
        "f.yaml:16:1: error: accumulator_bit: missing key 'source'");
  CHECK(read(with(text, "accumulator_bits: 32", "accumulator_bits: 65")) ==
        "f.yaml:12:5: error: units[0].accumulator_bits: expected 1..64, got 65");
  CHECK(
      read(with(with(text, "area: 20 um2", "area: 28 um2"), "clock: 3", "clock: 4")) ==
      "f.yaml:16:1: error: accumulator_bit: clock of the 32 bits of unit 'mac8' is more than that "
      "of the whole unit\n"
      "f.yaml:16:1: error: accumulator_bit: area of the 32 bits of unit 'mac8' is more than that "
      "of the whole unit");
}

TEST_CASE("Every value of an energy table arrives where it belongs") {
  const EnergyTable table = parse_energy_table(kTable, "f.yaml");
  CHECK(table.path == "f.yaml");
  CHECK(table.name == "example");
  CHECK(table.description == "round numbers");
  CHECK(table.node_nm == 45);
  CHECK(table.voltage == 1.1);
  REQUIRE(table.units.size() == 1);
  const UnitEnergy& unit = table.units[0];
  CHECK(unit.name == "mac8");
  CHECK(unit.clock_per_cycle == Picojoules(0.12));
  CHECK(unit.leakage == Milliwatts(0.043));
  CHECK(unit.area == SquareMicrometres(879));
  CHECK(unit.source == "a");
  REQUIRE(unit.operations.size() == 2);
  CHECK(unit.operations[0].energy == Picojoules(0.996));
  CHECK(unit.operations[0].source == "b");
  CHECK(unit.operations[1].weight_bits == 4);
  CHECK(unit.operations[1].activation_bits == 8);
  REQUIRE(table.srams.size() == 1);
  REQUIRE(table.srams[0].macros.size() == 2);
  const SramEnergy& macro = table.srams[0].macros[1];
  CHECK(macro.capacity == Bytes(65536));
  CHECK(macro.read_per_bit == Picojoules(0.1));
  CHECK(macro.write_per_bit == Picojoules(0.12));
  CHECK(macro.leakage == Milliwatts(9));
  CHECK(macro.area == SquareMicrometres(3e5));
  CHECK(macro.source == "e");
  REQUIRE(table.drams.size() == 1);
  CHECK(table.drams[0].read_per_bit == Picojoules(20));
  CHECK(table.drams[0].write_per_bit == Picojoules(21));
  CHECK(table.post.requantize == Picojoules(1.1));
  CHECK(table.post.operation == Picojoules(0.2));
  CHECK(table.post.leakage_per_lane == Milliwatts(0.003));
  CHECK(table.post.area_per_lane == SquareMicrometres(400));
  CHECK(table.post.source == "g");
}

TEST_CASE("Units of a family have lanes of their own and operations alike") {
  const std::string second = R"(  - name: mac8_L2
    family: mac
    lanes: 2
    clock: 0.2 pJ/cycle
    leakage: 0.05 mW
    area: 900 um2
    source: a
    operations:
      - {weight_bits: 8, activation_bits: 8, energy: 0.9 pJ, source: b}
      - {weight_bits: 4, activation_bits: 8, energy: 0.8 pJ, source: c}
srams:)";
  const std::string text =
      with(with(kTable, "  - name: mac8\n", "  - name: mac8\n    family: mac\n    lanes: 1\n"),
           "srams:", second);
  CHECK(read(text) == kNoComplaint);
  const EnergyTable table = parse_energy_table(text, "f.yaml");
  CHECK(table.units[1].family == "mac");
  CHECK(table.units[1].lanes == 2);
  CHECK(read(with(kTable, "  - name: mac8\n", "  - name: mac8\n    family: mac\n")) ==
        "f.yaml:6:1: error: units: family 'mac' has one unit; expected at least two\n"
        "f.yaml:7:5: error: units[0]: missing key 'lanes'");
  CHECK(read(with(kTable, "  - name: mac8\n", "  - name: mac8\n    lanes: 2\n")) ==
        "f.yaml:8:5: error: units[0].lanes: not allowed without 'family'");
  CHECK(read(with(text, "lanes: 2", "lanes: 1")) ==
        "f.yaml:6:1: error: units: family 'mac' has two units of 1 lanes");
  CHECK(read(with(text, "      - {weight_bits: 4, activation_bits: 8, energy: 0.8 pJ, source: c}\n",
                  "")) ==
        "f.yaml:6:1: error: units: family 'mac': units 'mac8' and 'mac8_L2' differ in operations "
        "or accumulator");
  CHECK(read(with(text, "name: mac8_L2", "name: mac")) ==
        "f.yaml:6:1: error: units: family 'mac' has the name of a unit");
}

TEST_CASE("Every row of an energy table says where it comes from") {
  CHECK(read(with(kTable, "    source: a\n", "")) ==
        "f.yaml:7:5: error: units[0]: missing key 'source'");
  CHECK(read(with(kTable, ", source: b", "")) ==
        "f.yaml:13:9: error: units[0].operations[0]: missing key 'source'");
  CHECK(read(with(kTable, ", source: d", "")) ==
        "f.yaml:18:9: error: srams[0].macros[0]: missing key 'source'");
  CHECK(read(with(kTable, ", source: f", "")) ==
        "f.yaml:21:5: error: drams[0]: missing key 'source'");
  CHECK(read(with(kTable, ", source: g", "")) ==
        "f.yaml:22:1: error: post_processing: missing key 'source'");
  CHECK(read(with(kTable, "source: a", "source: ''")) ==
        "f.yaml:11:5: error: units[0].source: expected text, got ''");
}

TEST_CASE("An energy is never zero for want of a value") {
  CHECK(read(with(kTable, ", energy: 996 fJ", "")) ==
        "f.yaml:13:9: error: units[0].operations[0]: missing key 'energy'");
  CHECK(read(with(kTable, "    leakage: 43 uW\n", "")) ==
        "f.yaml:7:5: error: units[0]: missing key 'leakage'");
  CHECK(read(with(kTable, ", write: 21 pJ/bit", "")) ==
        "f.yaml:21:5: error: drams[0]: missing key 'write'");
}

TEST_CASE("Names of an energy table stand once") {
  std::string text = with(kTable, "drams:\n",
                          "drams:\n  - {name: ddr3, read: 1 pJ/bit, write: 1 pJ/bit, source: x}\n");
  CHECK(read(text) == "f.yaml:22:6: error: drams[1].name: 'ddr3' stands twice; first on line 21");
}

TEST_CASE("A pair of widths stands once in a unit") {
  CHECK(read(with(kTable, "weight_bits: 4", "weight_bits: 8")) ==
        "f.yaml:14:10: error: units[0].operations[1].weight_bits: w8a8 stands twice; first on line "
        "13");
}

TEST_CASE("Macros of a family ascend in capacity") {
  for (const std::string capacity : {"8 KiB", "4 KiB"}) {
    CHECK(read(with(kTable, "64 KiB", capacity)) ==
          "f.yaml:19:10: error: srams[0].macros[1].capacity: expected more than the 8 KiB of the "
          "macro before, got '" +
              capacity + "'");
  }
}

TEST_CASE("A list of an energy table has at least one row") {
  const std::string row = "\n  - {name: ddr3, read: 20 pJ/bit, write: 21 pJ/bit, source: f}";
  CHECK(read(with(kTable, row, " []")) == "f.yaml:20:1: error: drams: expected at least one row");
  CHECK(read(with(kTable, row, " ddr3")) ==
        "f.yaml:20:1: error: drams: expected a list of mappings, got 'ddr3'");
}

TEST_CASE("Values of an energy table have a unit and a range") {
  CHECK(read(with(kTable, "45 nm", "45")) ==
        "f.yaml:4:1: error: node: expected a length such as '45 nm', got '45'");
  CHECK(read(with(kTable, "996 fJ", "-1 fJ")) ==
        "f.yaml:13:46: error: units[0].operations[0].energy: expected 0 pJ .. 1 uJ, got '-1 fJ'");
  CHECK(read(with(kTable, "weight_bits: 4", "weight_bits: 17")) ==
        "f.yaml:14:10: error: units[0].operations[1].weight_bits: expected 1..16, got 17");
  CHECK(read(with(kTable, "50 fJ/bit", "50 fJ")) ==
        "f.yaml:18:27: error: srams[0].macros[0].read: expected an energy per bit such as '2.58 "
        "pJ/bit', got '50 fJ'; known units: 'aJ/bit', 'fJ/bit', 'pJ/bit', 'nJ/bit'");
}

TEST_CASE("All mistakes of an energy table come at once") {
  std::string text = with(kTable, "voltage: 1.1 V", "voltag: 1.1 V");
  text = with(text, ", source: b", "");
  CHECK(read(text) ==
        "f.yaml:1:1: error: missing key 'voltage'\n"
        "f.yaml:5:1: error: unknown key 'voltag'; did you mean 'voltage'?\n"
        "f.yaml:13:9: error: units[0].operations[0]: missing key 'source'");
}

TEST_CASE("An energy table is read from a file") {
  const TemporaryFolder folder("energy_reader");
  const std::string path = folder.write("table.yaml", kTable);
  CHECK(read_energy_table(path).path == path);
}

}  // namespace
}  // namespace widthwise
