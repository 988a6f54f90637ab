// Reads `energy/1` files. Every row carries a `source:`; a row without one is an error, as are two
// rows for the same unit or widths. Energy given as 0 is allowed only where it is written down.
//
//   schema: energy/1
//   name: nangate45
//   description: Placed and routed in Nangate 45 nm      # optional
//   node: 45 nm
//   voltage: 1.1 V
//   units:                                               # one per processing element
//     - name: mac8
//       clock: 0.12 pJ/cycle
//       leakage: 43 uW
//       area: 879 um2
//       source: Table 2 of ...
//       operations:                                      # at least one
//         - {weight_bits: 8, activation_bits: 8, energy: 996 fJ, source: Table 2 of ...}
//   srams:                                               # macros of a family by ascending capacity
//     - name: sram
//       macros:
//         - {capacity: 8 KiB, read: 0.05 pJ/bit, write: 0.06 pJ/bit, leakage: 1.2 mW, area: 0.04
//         mm2, source: ...}
//   drams:
//     - {name: ddr3, read: 20 pJ/bit, write: 20 pJ/bit, source: ...}
//   post_processing: {requantize: 1.1 pJ, operation: 0.2 pJ, leakage_per_lane: 3 uW, area_per_lane:
//   400 um2, source: ...}
#pragma once

#include <string>
#include <string_view>

#include "models/hardware/energy_table.hpp"

namespace widthwise {

/// Throws InputError.
EnergyTable read_energy_table(const std::string& path);

/// The same from text; `file` names it in messages.
EnergyTable parse_energy_table(std::string_view text, const std::string& file);

}  // namespace widthwise
