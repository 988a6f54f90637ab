// The figures of a layer that add up over a network, under the names that tables have for them.
#pragma once

#include <string>
#include <vector>

#include "models/base/quantity.hpp"
#include "models/cost/cost_report.hpp"

namespace widthwise {

/// latency_cycles, latency_s, energy_pj, dram_bytes, bitops, weight_bytes (weights at their widths
/// and biases at 32 bits), macs; then latency by where the cycles went and energy by component.
const std::vector<std::string>& machine_metrics();

/// In the same order.
std::vector<double> metric_values(const LayerCost& cost, Hertz clock);

}  // namespace widthwise
