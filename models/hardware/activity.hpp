// Counted events of a layer and the energy that follows from them.
#pragma once

#include "models/base/quantity.hpp"

namespace widthwise {

/// Where a layer's energy went; the members sum to the total.
struct EnergyBreakdown {
  Picojoules compute;  // products and accumulations
  Picojoules array;    // clock of the array while it runs
  Picojoules input_buffer;
  Picojoules weight_buffer;
  Picojoules output_buffer;
  Picojoules scratchpad;
  Picojoules dram;
  Picojoules post;
  Picojoules leakage;

  [[nodiscard]] Picojoules total() const {
    return compute + array + input_buffer + weight_buffer + output_buffer + scratchpad + dram +
           post + leakage;
  }
  EnergyBreakdown& operator+=(const EnergyBreakdown& other);
};

/// Counted events of a layer, from which its energy follows. Bits are those really moved.
struct Activity {
  double operations = 0;  // operations of the PE at `operation_*_bits`
  BitWidth operation_weight_bits = 0;
  BitWidth operation_activation_bits = 0;
  double operations_per_accumulation = 1;  // that are summed before they reach an accumulator
  BitWidth accumulator_bits = 0;           // of the layer
  Cycles array_active;                     // cycles in which the array is clocked
  Bits input_buffer_read, input_buffer_write;
  Bits weight_buffer_read, weight_buffer_write;
  Bits output_buffer_read, output_buffer_write;
  Bits scratchpad_read, scratchpad_write;
  Bytes dram_read, dram_write;
  double post_outputs = 0;     // outputs requantized
  double post_operations = 0;  // further element operations
};

}  // namespace widthwise
