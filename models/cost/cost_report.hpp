// What a run costs: the figures that every fidelity produces and every report prints.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/base/quantity.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/hardware/activity.hpp"
#include "models/hardware/area.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

/// Closed form, SystemC tile by tile, or SystemC with the array stepped every cycle on integers.
enum class Fidelity { analytic, tile, cycle };

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

/// What came out of an array that was stepped on integers, compared with plain integer arithmetic.
struct LayerNumerics {
  std::int64_t outputs = 0;              // compared
  std::int64_t wrong_outputs = 0;        // that differ, because an accumulator was too narrow
  std::int64_t overflows = 0;            // additions that left the accumulator's range
  std::int64_t least = 0, greatest = 0;  // of the exact outputs
  bool network_weights = false;          // the network's own, quantized; else random
  bool operator==(const LayerNumerics&) const = default;
};

struct LayerCost {
  std::string name;
  LayerKind kind = LayerKind::convolution;
  std::int64_t macs = 0;
  LayerWidths widths;         // asked for
  LayerWidths computed;       // that the engine computes with, after rounding up
  BitWidth stored_input = 0;  // widths that the tensors are stored at
  BitWidth stored_output = 0;
  std::optional<BitWidth> accumulator_bits;  // of partial sums; layers on the engine
  /// That no weights and activations of these widths make overflow; layers on the engine.
  std::optional<BitWidth> safe_accumulator_bits;
  Cycles latency;
  CycleBreakdown cycles;
  double utilization = 0;    // macs / (what the array could do at these widths in `latency`)
  std::optional<Tile> tile;  // layers on the engine
  std::int64_t tiles = 0;    // steps of the tile loops
  Activity activity;
  EnergyBreakdown energy;
  double bitops = 0;
  std::int64_t parameter_bits = 0;
  /// Cycles of the phases that the engine's timing names, in its order; they sum to busy + fill +
  /// drain. Empty for other engines and for layers without MACs.
  std::vector<std::pair<std::string, Cycles>> phases;
  std::string bottleneck;  // "compute", "DRAM", "fill", "post", "weight port", ...
  std::vector<std::string> fused;
  std::optional<LayerNumerics> numerics;  // fidelity `cycle`, layers on the engine
};

struct CostReport {
  std::string accelerator;
  std::string network;
  std::string assignment;
  Fidelity fidelity = Fidelity::tile;
  Hertz clock{0};
  std::vector<std::pair<std::string, std::string>> resolved_accelerator;
  AreaEstimate area;
  std::vector<LayerCost> layers;     // in execution order
  std::vector<std::string> ignored;  // operators that the user asked to ignore
  std::vector<std::string> leaves_out;

  [[nodiscard]] Cycles latency() const;
  [[nodiscard]] CycleBreakdown cycles() const;
  [[nodiscard]] std::vector<std::pair<std::string, Cycles>> phases() const;
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
