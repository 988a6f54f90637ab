// Looks up what an accelerator names in an energy table. A name that the table lacks is reported to
// the diagnostics, with the names that it has; the figures are then all zero.
#pragma once

#include <string>

#include "models/base/error.hpp"
#include "models/hardware/energy_table.hpp"

namespace widthwise {

/// With clock, leakage and area of a unit with such an accumulator, and its operations as the table
/// has them. Reports to the diagnostics where the unit states another width and the table does not
/// say what a bit takes. The name of a family: of a unit with so many lanes, on straight lines over
/// lanes through the units of the family (of figures per cycle), at least 0.
UnitEnergy find_unit(const EnergyTable& table, const std::string& name, int lanes,
                     BitWidth accumulator_bits, Diagnostics& diagnostics);
DramEnergy find_dram(const EnergyTable& table, const std::string& name, Diagnostics& diagnostics);

/// A memory of a given capacity.
struct MemoryFigures {
  Picojoules read_per_bit{0};
  Picojoules write_per_bit{0};
  Milliwatts leakage{0};
  SquareMicrometres area{0};
};

/// Power laws of the capacity between two macros of the family. Smaller than the smallest macro:
/// that macro (errs high). Larger than the largest: banks of the largest, without the wires between
/// them (errs low).
MemoryFigures find_memory(const EnergyTable& table, const std::string& family, Bytes capacity,
                          Diagnostics& diagnostics);

}  // namespace widthwise
