// What a run costs: the figures that every fidelity produces and every report prints.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/base/quantity.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

enum class Fidelity { analytic, tile };

std::string_view to_string(Fidelity fidelity);

/// Where a layer's cycles went. Every cycle stands in exactly one member:
/// busy + fill + drain + stalls + post = latency.
struct CycleBreakdown {
  Cycles busy;          // the array issues work, whatever share of its lanes is useful
  Cycles fill;          // start-up of the array and preloads of operands that are not hidden
  Cycles drain;         // emptying of the array that is not hidden
  Cycles stall_input;   // waiting for input activations
  Cycles stall_weight;  // waiting for weights
  Cycles stall_output;  // waiting for room in the output buffer, or for the last results to leave
  Cycles post;          // post-processing that is not hidden under the array's work

  [[nodiscard]] Cycles total() const {
    return busy + fill + drain + stall_input + stall_weight + stall_output + post;
  }
  CycleBreakdown& operator+=(const CycleBreakdown& other);
  bool operator==(const CycleBreakdown&) const = default;
};

/// Where a layer's energy went; the members sum to the total.
struct EnergyBreakdown {
  Picojoules compute;        // products and accumulations
  Picojoules array;          // clock of the array while it runs
  Picojoules input_buffer;
  Picojoules weight_buffer;
  Picojoules output_buffer;
  Picojoules scratchpad;
  Picojoules dram;
  Picojoules post;
  Picojoules leakage;

  [[nodiscard]] Picojoules total() const {
    return compute + array + input_buffer + weight_buffer + output_buffer + scratchpad + dram + post +
           leakage;
  }
  EnergyBreakdown& operator+=(const EnergyBreakdown& other);
};

/// Counted events of a layer, from which its energy follows. Bits are those really moved.
struct Activity {
  double operations = 0;               // operations of the PE at `operation_*_bits`
  BitWidth operation_weight_bits = 0;
  BitWidth operation_activation_bits = 0;
  Cycles array_active;                 // cycles in which the array is clocked
  Bits input_buffer_read, input_buffer_write;
  Bits weight_buffer_read, weight_buffer_write;
  Bits output_buffer_read, output_buffer_write;
  Bits scratchpad_read, scratchpad_write;
  Bytes dram_read, dram_write;
  double post_outputs = 0;             // outputs requantized
  double post_operations = 0;          // further element operations
};

struct LayerCost {
  std::string name;
  LayerKind kind = LayerKind::convolution;
  std::int64_t macs = 0;
  LayerWidths widths;             // asked for
  LayerWidths computed;           // that the engine computes with, after rounding up
  BitWidth stored_input = 0;      // widths that the tensors are stored at
  BitWidth stored_output = 0;
  Cycles latency;
  CycleBreakdown cycles;
  double utilization = 0;         // macs / (what the array could do at these widths in `latency`)
  std::optional<Tile> tile;       // layers on the engine
  std::int64_t tiles = 0;         // steps of the tile loops
  Activity activity;
  EnergyBreakdown energy;
  double bitops = 0;
  std::int64_t parameter_bits = 0;
  std::string bottleneck;         // "compute", "DRAM", "fill", "post", "weight port", ...
  std::vector<std::string> fused;
};

struct CostReport {
  std::string accelerator;
  std::string network;
  std::string assignment;
  Fidelity fidelity = Fidelity::tile;
  Hertz clock{0};
  std::vector<std::pair<std::string, std::string>> resolved_accelerator;
  std::vector<LayerCost> layers;  // in execution order
  std::vector<std::string> ignored;  // operators that the user asked to ignore
  std::vector<std::string> leaves_out;

  [[nodiscard]] Cycles latency() const;
  [[nodiscard]] CycleBreakdown cycles() const;
  [[nodiscard]] EnergyBreakdown energy() const;
  [[nodiscard]] std::int64_t macs() const;
  [[nodiscard]] double bitops() const;
  [[nodiscard]] Bytes dram_read() const;
  [[nodiscard]] Bytes dram_write() const;
  [[nodiscard]] Bytes parameter_bytes() const;
  [[nodiscard]] double edp_js() const;             // energy x latency, in joule seconds
  [[nodiscard]] double frames_per_second() const;  // batches of the network per second x batch
  [[nodiscard]] double tops_per_watt() const;      // 2 macs / energy
  std::int64_t batch = 1;
};

}  // namespace widthwise
