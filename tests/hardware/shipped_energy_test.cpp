// The shipped energy tables: every value has a source, widths are monotone, and the derived rows
// follow from the figures that their sources name.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/hardware/energy_reader.hpp"
#include "models/hardware/table_lookup.hpp"

using namespace widthwise;

namespace {

const std::string kFolder = std::string(WIDTHWISE_SOURCE_DIR) + "/configs/energy/";

std::vector<EnergyTable> all_tables() {
  std::vector<EnergyTable> tables;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    tables.push_back(read_energy_table(entry.path().string()));
  }
  return tables;
}

template <class Rows>
const auto& named(const Rows& rows, const std::string& name) {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return row.name == name; });
  INFO(name);
  REQUIRE(found != rows.end());
  return *found;
}

double operation_fj(const UnitEnergy& unit, BitWidth weight, BitWidth activation) {
  const auto row = std::find_if(
      unit.operations.begin(), unit.operations.end(), [&](const OperationEnergy& operation) {
        return operation.weight_bits == weight && operation.activation_bits == activation;
      });
  REQUIRE(row != unit.operations.end());
  return row->energy.count() * 1e3;
}

double clock_fj(const UnitEnergy& unit) { return unit.clock_per_cycle.count() * 1e3; }

/// Gate-level, zero delay, Nangate45: energy of a cycle, of it the clock, and its operations.
struct GateLevel {
  const char* unit;
  BitWidth weight, activation;
  double cycle_fj, clock_fj;
  int operations;
};

constexpr GateLevel kGateLevel[] = {
    {"pe_fixed_8x8_acc32", 8, 8, 1914.587, 498.141, 1},
    {"pe_fixed_16x16_acc32", 16, 16, 5109.342, 664.188, 1},
    {"pe_fu_own_acc32", 2, 2, 4061.767, 996.282, 16},
    {"pe_fu_own_acc32", 4, 2, 4092.242, 996.282, 8},
    {"pe_fu_own_acc32", 8, 2, 4119.587, 996.282, 4},
    {"pe_fu_own_acc32", 2, 4, 4171.529, 996.282, 8},
    {"pe_fu_own_acc32", 4, 4, 3884.62, 996.282, 4},
    {"pe_fu_own_acc32", 8, 4, 3781.459, 996.282, 2},
    {"pe_fu_own_acc32", 2, 8, 4235.428, 996.282, 4},
    {"pe_fu_own_acc32", 4, 8, 3812.974, 996.282, 2},
    {"pe_fu_own_acc32", 8, 8, 3582.38, 996.282, 1},
    {"pe_bs11_L8", 1, 1, 1005.026, 498.141, 8},
    {"pe_bs11_L16", 1, 1, 1306.47, 664.188, 16},
    {"pe_bs11_L32", 1, 1, 2000.858, 996.282, 32},
    {"pe_bs11_L64", 1, 1, 3375.626, 1660.471, 64},
    {"bismo_dpu_64", 1, 1, 4095.144, 2158.612, 64},
    {"pe_sip_L8_W8", 8, 1, 2186.347, 996.282, 8},
    {"pe_sip_L16_W8", 8, 1, 3529.157, 1660.471, 16},
    {"pe_sip_L8_W16", 16, 1, 3464.208, 1660.471, 8},
    {"pe_sip_L16_W16", 16, 1, 6160.676, 2988.847, 16},
};

constexpr double kFiveDigits = 1e-4;

}  // namespace

TEST_CASE("every row of the shipped energy tables names its source") {
  const auto tables = all_tables();
  REQUIRE(tables.size() >= 2);
  for (const EnergyTable& table : tables) {
    INFO(table.path);
    std::vector<std::string> sources{table.post.source};
    for (const UnitEnergy& unit : table.units) {
      sources.push_back(unit.source);
      for (const OperationEnergy& operation : unit.operations) {
        sources.push_back(operation.source);
      }
    }
    for (const SramFamily& family : table.srams) {
      for (const SramEnergy& macro : family.macros) {
        sources.push_back(macro.source);
      }
    }
    for (const DramEnergy& dram : table.drams) {
      sources.push_back(dram.source);
    }
    for (const std::string& source : sources) {
      CHECK(source.size() >= 10);
    }
  }
}

TEST_CASE("no operation of a shipped unit costs more than a wider one") {
  for (const EnergyTable& table : all_tables()) {
    for (const UnitEnergy& unit : table.units) {
      for (const OperationEnergy& narrow : unit.operations) {
        for (const OperationEnergy& wide : unit.operations) {
          if (narrow.weight_bits <= wide.weight_bits &&
              narrow.activation_bits <= wide.activation_bits) {
            INFO(table.name << " " << unit.name << " w" << narrow.weight_bits << "a"
                            << narrow.activation_bits);
            CHECK(narrow.energy.count() <= wide.energy.count());
          }
        }
      }
    }
  }
}

TEST_CASE("a larger memory of one family never costs less per bit") {
  for (const EnergyTable& table : all_tables()) {
    for (const SramFamily& family : table.srams) {
      for (std::size_t i = 1; i < family.macros.size(); ++i) {
        const SramEnergy& small = family.macros[i - 1];
        const SramEnergy& large = family.macros[i];
        INFO(table.name << " " << family.name << " " << large.capacity.count());
        CHECK(small.read_per_bit.count() <= large.read_per_bit.count());
        CHECK(small.write_per_bit.count() <= large.write_per_bit.count());
        CHECK(small.leakage.count() <= large.leakage.count());
        CHECK(small.area.count() <= large.area.count());
      }
    }
  }
}

TEST_CASE("operations at 45 nm are the gate-level energy of a cycle less its clock") {
  const EnergyTable table = read_energy_table(kFolder + "nangate45.yaml");
  for (const GateLevel& row : kGateLevel) {
    INFO(row.unit << " w" << row.weight << "a" << row.activation);
    const UnitEnergy& unit = named(table.units, row.unit);
    CHECK(clock_fj(unit) == Approx(row.clock_fj).epsilon(kFiveDigits));
    CHECK(operation_fj(unit, row.weight, row.activation) ==
          Approx((row.cycle_fj - row.clock_fj) / row.operations).epsilon(kFiveDigits));
  }
}

TEST_CASE("a bit of accumulator is fitted to pairs of units that differ in nothing else") {
  // Gate-level, zero delay, Nangate45: energy of a cycle and of its clock, leakage, area.
  struct Unit {
    int bits;
    double cycle_fj, clock_fj, leakage_nw, area_um2;
  };
  struct Pair {
    Unit wide, narrow;
  };
  constexpr Pair kPairs[] = {
      {{32, 687.913, 373.606, 8045.14, 389.158}, {14, 361.725, 186.803, 3691.29, 179.816}},
      {{32, 996.862, 415.118, 9637.68, 467.362}, {18, 742.006, 269.826, 6930.62, 334.096}},
      {{32, 1914.587, 498.141, 18637.13, 879.396}, {26, 1899.034, 435.874, 18551.96, 863.702}},
      {{42, 5384.206, 767.968, 54962.27, 2493.75}, {32, 5109.342, 664.188, 52308.37, 2352.77}}};
  const auto fitted = [&](auto figure) {
    double products = 0;
    double squares = 0;
    for (const Pair& pair : kPairs) {
      const double bits = pair.wide.bits - pair.narrow.bits;
      products += bits * (figure(pair.wide) - figure(pair.narrow));
      squares += bits * bits;
    }
    return products / squares;
  };
  const double clock = fitted([](const Unit& unit) { return unit.clock_fj; });
  const double accumulation =
      fitted([](const Unit& unit) { return unit.cycle_fj - unit.clock_fj; });
  const double leakage = fitted([](const Unit& unit) { return unit.leakage_nw; });
  const double area = fitted([](const Unit& unit) { return unit.area_um2; });
  constexpr double kEnergyAt65 = 1.385;
  constexpr double kAreaAt65 = 1.5;
  for (const EnergyTable& table : all_tables()) {
    INFO(table.name);
    const bool is_scaled = table.node_nm == 65;
    const double energy_scale = is_scaled ? kEnergyAt65 : 1;
    REQUIRE(table.accumulator_bit);
    const AccumulatorBitEnergy& bit = *table.accumulator_bit;
    CHECK(bit.source.size() >= 10);
    CHECK(bit.clock_per_cycle.count() * 1e3 == Approx(energy_scale * clock).epsilon(kFiveDigits));
    CHECK(bit.accumulation.count() * 1e3 ==
          Approx(energy_scale * accumulation).epsilon(kFiveDigits));
    CHECK(bit.leakage.count() * 1e6 == Approx(leakage).epsilon(kFiveDigits));
    CHECK(bit.area.count() == Approx((is_scaled ? kAreaAt65 : 1) * area).epsilon(kFiveDigits));
    for (const UnitEnergy& unit : table.units) CHECK(unit.accumulator_bits == 32);
  }
  // How far it is off: a 2x2 unit of 14 bits from the one of 32, the same of 16x16 with 42.
  const auto scaled = [&](const Unit& from, int bits) { return from.area_um2 + bits * area; };
  CHECK(scaled(kPairs[0].wide, 14 - 32) == Approx(kPairs[0].narrow.area_um2).epsilon(0.08));
  CHECK(scaled(kPairs[1].wide, 18 - 32) == Approx(kPairs[1].narrow.area_um2).epsilon(0.06));
  CHECK(scaled(kPairs[2].wide, 26 - 32) == Approx(kPairs[2].narrow.area_um2).epsilon(0.06));
  CHECK(scaled(kPairs[3].narrow, 42 - 32) == Approx(kPairs[3].wide.area_um2).epsilon(0.02));
}

TEST_CASE("operations of sub-word units are multipliers and the rest of a fixed unit") {
  const EnergyTable table = read_energy_table(kFolder + "nangate45.yaml");
  constexpr double kMultiplier[] = {17.314, 154.183, 762.361, 3341.855};  // 2, 4, 8, 16 bits
  constexpr double kSumTogether = 903.07 / 690.27;  // area over that of a conventional MAC
  const auto check = [&](const char* subword, const char* fixed, int max_bits, int full) {
    const UnitEnergy& unit = named(table.units, subword);
    const UnitEnergy& plain = named(table.units, fixed);
    const double rest = operation_fj(plain, max_bits, max_bits) - kMultiplier[full];
    for (int i = full; i > full - 3; --i) {
      const int parts = 1 << (full - i);
      CHECK(operation_fj(unit, max_bits / parts, max_bits / parts) ==
            Approx(kSumTogether * (parts * kMultiplier[i] + rest) / parts).epsilon(kFiveDigits));
    }
    CHECK(unit.area.count() == Approx(kSumTogether * plain.area.count()).epsilon(kFiveDigits));
    CHECK(unit.leakage.count() ==
          Approx(kSumTogether * plain.leakage.count()).epsilon(kFiveDigits));
  };
  check("pe_subword_16", "pe_fixed_16x16_acc32", 16, 3);
  check("pe_subword_8", "pe_fixed_8x8_acc32", 8, 2);
}

TEST_CASE("units of 256 lanes lie on the straight line through 32 and 64 lanes") {
  const EnergyTable table = read_energy_table(kFolder + "nangate45.yaml");
  const UnitEnergy& l32 = named(table.units, "pe_bs11_L32");
  const UnitEnergy& l64 = named(table.units, "pe_bs11_L64");
  const UnitEnergy& l256 = named(table.units, "pe_bs11_L256");
  const auto at_256 = [](double at_32, double at_64) { return at_64 + (at_64 - at_32) / 32 * 192; };
  const double operations = at_256(32 * operation_fj(l32, 1, 1), 64 * operation_fj(l64, 1, 1));
  CHECK(256 * operation_fj(l256, 1, 1) == Approx(operations).epsilon(1e-3));
  CHECK(clock_fj(l256) == Approx(at_256(clock_fj(l32), clock_fj(l64))).epsilon(1e-3));
  CHECK(l256.area.count() == Approx(at_256(l32.area.count(), l64.area.count())).epsilon(1e-3));

  const UnitEnergy& dpu64 = named(table.units, "bismo_dpu_64");
  const UnitEnergy& dpu256 = named(table.units, "bismo_dpu_256");
  CHECK(operation_fj(dpu256, 1, 1) / operation_fj(dpu64, 1, 1) ==
        Approx(operation_fj(l256, 1, 1) / operation_fj(l64, 1, 1)).epsilon(1e-3));
  CHECK(clock_fj(dpu256) / clock_fj(dpu64) == Approx(clock_fj(l256) / clock_fj(l64)).epsilon(1e-3));
}

TEST_CASE("Bit Fusion's published buffer energies are those of its banks") {
  // pJ/bit read and written, from the notebook of Bit Fusion's simulator.
  struct Published {
    const char* family;
    double read, write;
  };
  const EnergyTable table = read_energy_table(kFolder + "nangate45.yaml");
  for (const Published& row :
       {Published{"banks_128B", 0.021, 0.029}, Published{"banks_2KiB", 0.059, 0.114},
        Published{"banks_512B", 0.033, 0.073}}) {
    INFO(row.family);
    const SramFamily& family = named(table.srams, row.family);
    REQUIRE(family.macros.size() == 1);
    constexpr double kHalfOfLastDigit = 0.0005;
    CHECK(family.macros[0].read_per_bit.count() == Approx(row.read).margin(kHalfOfLastDigit));
    CHECK(family.macros[0].write_per_bit.count() == Approx(row.write).margin(kHalfOfLastDigit));
  }
}

TEST_CASE("65 nm energies are 1.385 and areas 1.5 times those of 45 nm") {
  const EnergyTable at45 = read_energy_table(kFolder + "nangate45.yaml");
  const EnergyTable at65 = read_energy_table(kFolder + "scaled_65nm.yaml");
  // Polynomials of Stillmaker and Baas, Integration 58 (2017), at 1.1 V.
  constexpr double kVolt = 1.1;
  constexpr double kEnergy = (3.755 * kVolt * kVolt - 4.398 * kVolt + 1.975) /
                             (1.103 * kVolt * kVolt - 0.362 * kVolt + 0.2767);
  constexpr double kArea = 1.5;
  CHECK(kEnergy == Approx(1.385).margin(0.0005));
  for (const char* name :
       {"pe_fixed_16x16_acc32", "pe_bs11_L16", "pe_bs11_L64", "pe_sip_L16_W16"}) {
    INFO(name);
    const UnitEnergy& small = named(at45.units, name);
    const UnitEnergy& large = named(at65.units, name);
    CHECK(clock_fj(large) == Approx(kEnergy * clock_fj(small)).epsilon(1e-3));
    CHECK(large.operations[0].energy.count() ==
          Approx(kEnergy * small.operations[0].energy.count()).epsilon(1e-3));
    CHECK(large.area.count() == Approx(kArea * small.area.count()).epsilon(1e-3));
  }
  const auto& small = named(at45.srams, "sram").macros;
  const auto& large = named(at65.srams, "sram").macros;
  REQUIRE(small.size() == large.size());
  for (std::size_t i = 0; i < small.size(); ++i) {
    CHECK(large[i].capacity == small[i].capacity);
    CHECK(large[i].read_per_bit.count() ==
          Approx(kEnergy * small[i].read_per_bit.count()).epsilon(1e-3));
    CHECK(large[i].area.count() == Approx(kArea * small[i].area.count()).epsilon(1e-3));
  }
}

TEST_CASE("UNPU's unit takes 0.769 of the energy of a fixed multiplier at 16 bits") {
  // JSSC 2019, abstract: 23.1 % less than a fixed-point MAC. 16 lanes, 16 passes: one product a
  // cycle on average.
  const EnergyTable table = read_energy_table(kFolder + "scaled_65nm.yaml");
  const UnitEnergy& unpu = named(table.units, "unpu_lbpe_L16");
  const UnitEnergy& fixed = named(table.units, "pe_fixed_16x16_acc32");
  const double serial = 16 * operation_fj(unpu, 1, 16) + clock_fj(unpu);
  const double parallel = operation_fj(fixed, 16, 16) + clock_fj(fixed);
  CHECK(serial == Approx(0.769 * parallel).epsilon(1e-3));
}

TEST_CASE("units of 16 lanes lie within a twentieth of the line through 8 and 32 lanes") {
  EnergyTable table = read_energy_table(kFolder + "nangate45.yaml");
  const UnitEnergy l16 = named(table.units, "pe_bs11_L16");
  std::erase_if(table.units, [](const UnitEnergy& unit) { return unit.name == "pe_bs11_L16"; });
  Diagnostics diagnostics;
  const UnitEnergy line =
      find_unit(table, "pe_bs11", 16, l16.accumulator_bits.value_or(32), diagnostics);
  CHECK(clock_fj(line) == Approx(clock_fj(l16)).epsilon(0.05));
  CHECK(operation_fj(line, 1, 1) == Approx(operation_fj(l16, 1, 1)).epsilon(0.05));
  CHECK(line.area.count() == Approx(l16.area.count()).epsilon(0.05));
}
