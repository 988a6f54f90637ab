// How reports call what a cost is made of.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "models/cost/cost_report.hpp"

namespace widthwise {

/// A category of cycles; a layer's sum to its latency.
struct CyclePart {
  std::string_view key;   // in JSON
  std::string_view name;  // for people
  Cycles CycleBreakdown::*cycles;
};

inline constexpr std::array<CyclePart, 7> kCycleParts{
    {{"busy", "busy", &CycleBreakdown::busy},
     {"fill", "fill", &CycleBreakdown::fill},
     {"drain", "drain", &CycleBreakdown::drain},
     {"stall_input", "waiting for inputs", &CycleBreakdown::stall_input},
     {"stall_weight", "waiting for weights", &CycleBreakdown::stall_weight},
     {"stall_output", "waiting for output room", &CycleBreakdown::stall_output},
     {"post", "post-processing", &CycleBreakdown::post}}};

/// A component of energy; a layer's sum to its energy.
struct EnergyPart {
  std::string_view key;   // in JSON
  std::string_view name;  // for people
  Picojoules EnergyBreakdown::*energy;
};

inline constexpr std::array<EnergyPart, 9> kEnergyParts{
    {{"compute", "compute", &EnergyBreakdown::compute},
     {"array", "array clock", &EnergyBreakdown::array},
     {"input_buffer", "input buffer", &EnergyBreakdown::input_buffer},
     {"weight_buffer", "weight buffer", &EnergyBreakdown::weight_buffer},
     {"output_buffer", "output buffer", &EnergyBreakdown::output_buffer},
     {"scratchpad", "scratchpad", &EnergyBreakdown::scratchpad},
     {"dram", "DRAM", &EnergyBreakdown::dram},
     {"post", "post-processing", &EnergyBreakdown::post},
     {"leakage", "leakage", &EnergyBreakdown::leakage}}};

/// "w4a8".
std::string widths_text(LayerWidths widths);

/// "1x14x28x64x32": images x rows x columns x output channels x input channels, and x groups where
/// several are side by side.
std::string tile_sizes(const Tile& tile);

/// The same and the order of the loops: "1x14x28x64x32:nmk".
std::string tile_text(const Tile& tile);

/// A unit that makes a figure of at least 1 of the greatest energy shown, down to pJ.
struct EnergyUnit {
  std::string_view name;
  double picojoules = 1;

  [[nodiscard]] double of(Picojoules energy) const { return energy.count() / picojoules; }
};
EnergyUnit energy_unit(Picojoules greatest);

}  // namespace widthwise
