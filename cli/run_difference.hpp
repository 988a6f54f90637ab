// How two runs differ, layer by layer. Changes are b - a.
//
// Layers are matched by name, those of one name in their order. A layer that only one run has
// changes the sums by all that it costs, so that the layers' changes sum to those of the runs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/cost/cost_report.hpp"

namespace widthwise {

/// A setting or a property of a layer in both runs; nothing where a run does not have it.
struct ValueChange {
  std::string key;
  std::optional<std::string> a, b;
};

struct LayerChange {
  const LayerCost* a = nullptr;  // null: only b has the layer
  const LayerCost* b = nullptr;
  CycleBreakdown cycles;
  EnergyBreakdown energy;
  double seconds = 0;
  std::int64_t dram_bytes = 0;
  /// Of a layer that both have, what its cost follows from: "kind", "macs", "widths", "computed",
  /// "stored_input_bits", "stored_output_bits", "accumulator_bits", "tile".
  std::vector<ValueChange> causes;

  [[nodiscard]] const LayerCost& layer() const { return b != nullptr ? *b : *a; }
  [[nodiscard]] Cycles latency() const { return cycles.total(); }
};

struct RunDifference {
  /// "network", "assignment", "fidelity", "batch", "clock", "ignored", "leaves_out".
  std::vector<ValueChange> settings;
  std::vector<ValueChange> accelerator;  // its other resolved keys
  std::vector<LayerChange> layers;  // in the order of b; one that only a has after the one before
  CycleBreakdown cycles;            // sums over the layers
  EnergyBreakdown energy;
  bool identical = false;  // nothing differs that reports state
};

/// Points into both reports, which outlive it.
RunDifference run_difference(const CostReport& a, const CostReport& b);

}  // namespace widthwise
