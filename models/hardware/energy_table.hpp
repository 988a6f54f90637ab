// An energy table as plain data: one struct per mapping of an `energy/1` file. Every value of the
// file carries its source; the reader refuses a row without one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/base/quantity.hpp"

namespace widthwise {

/// One operation of a processing element: a product of so many bits, accumulated. The energy of the
/// clock is not in it.
struct OperationEnergy {
  BitWidth weight_bits = 0;
  BitWidth activation_bits = 0;
  Picojoules energy{0};
  std::string source;
};

/// A processing element or bit-serial dot-product unit.
struct UnitEnergy {
  std::string name;
  Picojoules clock_per_cycle{0};  // clock tree and registers of one unit while the array runs
  Milliwatts leakage{0};          // of one unit
  SquareMicrometres area{0};      // of one unit
  std::vector<OperationEnergy> operations;
  std::string source;
  /// Units that differ in their lanes alone are a family; an engine may name that and have the
  /// figures of its own lanes. Empty: of none.
  std::string family = {};
  int lanes = 0;  // products a cycle; 0 without a family
  /// Of the unit that the figures are of; none: they are taken for any accumulator.
  std::optional<BitWidth> accumulator_bits = std::nullopt;
};

/// What one bit of an accumulator adds to a unit.
struct AccumulatorBitEnergy {
  Picojoules clock_per_cycle{0};
  Picojoules accumulation{0};  // of one cycle of a unit with work, without the clock
  Milliwatts leakage{0};
  SquareMicrometres area{0};
  std::string source;
};

/// One memory macro; between the capacities given, energy per bit is interpolated log-log.
struct SramEnergy {
  Bytes capacity{0};
  Picojoules read_per_bit{0};
  Picojoules write_per_bit{0};
  Milliwatts leakage{0};
  SquareMicrometres area{0};
  std::string source;
};

struct SramFamily {
  std::string name;
  std::vector<SramEnergy> macros;  // ascending capacity
};

struct DramEnergy {
  std::string name;
  Picojoules read_per_bit{0};
  Picojoules write_per_bit{0};
  std::string source;
};

/// Element operations of the post-processing unit.
struct PostEnergy {
  Picojoules requantize{0};  // scale, round and clip one output
  Picojoules operation{0};   // one addition, comparison or function value
  Milliwatts leakage_per_lane{0};
  SquareMicrometres area_per_lane{0};
  std::string source;
};

struct EnergyTable {
  std::string name;
  std::string description;
  double node_nm = 0;
  double voltage = 0;
  std::vector<UnitEnergy> units;
  std::optional<AccumulatorBitEnergy> accumulator_bit;  // units are scaled to other accumulators
  std::vector<SramFamily> srams;
  std::vector<DramEnergy> drams;
  PostEnergy post;
  std::string path;
};

}  // namespace widthwise
