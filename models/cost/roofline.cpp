#include "models/cost/roofline.hpp"

#include <algorithm>

#include "models/base/error.hpp"
#include "models/hardware/engine.hpp"

namespace widthwise {

namespace {

constexpr double kOperationsPerMac = 2;

}  // namespace

Roofline roofline(const CostReport& report, const Accelerator& accelerator) {
  const double clock = report.clock.count();
  Roofline roofline;
  if (!accelerator.ideal_memory) {
    roofline.dram_bytes_per_s = accelerator.memory.dram.bandwidth / 8 * clock;
  }
  const auto height_of = [&](const LayerCost& layer) {
    const auto mode = width_mode(accelerator.engine, layer.widths);
    ensure(mode.has_value(), "a layer of the report runs on its accelerator");
    return kOperationsPerMac * peak_macs_per_cycle(accelerator.engine, *mode) * clock;
  };
  const auto roof_at = [&](double height) {
    return std::find_if(roofline.roofs.begin(), roofline.roofs.end(),
                        [&](const auto& roof) { return roof.ops_per_s == height; });
  };
  std::vector<double> heights;  // per layer
  for (const LayerCost& layer : report.layers) {
    heights.push_back(layer.macs > 0 ? height_of(layer) : 0);
    if (layer.macs == 0) continue;
    auto roof = roof_at(heights.back());
    if (roof == roofline.roofs.end()) {
      roof = roofline.roofs.insert(roof, {heights.back(), {}});
    }
    if (std::find(roof->widths.begin(), roof->widths.end(), layer.computed) == roof->widths.end()) {
      roof->widths.push_back(layer.computed);
    }
  }
  std::sort(roofline.roofs.begin(), roofline.roofs.end(),
            [](const auto& a, const auto& b) { return a.ops_per_s > b.ops_per_s; });
  for (std::size_t i = 0; i < report.layers.size(); ++i) {
    const LayerCost& layer = report.layers[i];
    if (layer.macs == 0) continue;
    const Bytes traffic = layer.activity.dram_read + layer.activity.dram_write;
    if (traffic.count() == 0) {
      ++roofline.without_traffic;
      continue;
    }
    const double operations = kOperationsPerMac * static_cast<double>(layer.macs);
    roofline.points.push_back(
        {i, static_cast<std::size_t>(roof_at(heights[i]) - roofline.roofs.begin()),
         operations / seconds_at(layer.latency, report.clock).count(),
         operations / static_cast<double>(traffic.count())});
  }
  return roofline;
}

}  // namespace widthwise
