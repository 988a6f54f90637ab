// Area of an accelerator: what an energy table says of its parts.
//
// Models: every processing element or dot-product unit of the array, the memory macros of the
// buffers and of the scratchpad (table_lookup.hpp), the lanes of the post-processing unit.
// Ignores: wires, placement (rows of cells are never full), clock tree, registers that skew
// operands, control, DMA and the DRAM's interface. Errs low.
//
// Source: the rows of the table, each with its own; areas of units are sums of cells after
// synthesis.
#pragma once

#include "models/base/quantity.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/hardware/energy_table.hpp"

namespace widthwise {

struct AreaEstimate {
  SquareMicrometres array;
  SquareMicrometres input_buffer;
  SquareMicrometres weight_buffer;
  SquareMicrometres output_buffer;
  SquareMicrometres scratchpad;  // 0 without one
  SquareMicrometres post;

  [[nodiscard]] SquareMicrometres total() const {
    return array + input_buffer + weight_buffer + output_buffer + scratchpad + post;
  }
};

/// Throws InputError that names every entry which the accelerator needs and the table lacks.
AreaEstimate estimate_area(const Accelerator& accelerator, const EnergyTable& table);

}  // namespace widthwise
