// What a layer costs at given widths: the one interface behind which stand the closed form, the
// simulations and tables measured elsewhere. Searches know nothing else of the hardware.
//
//   auto model = ...;                                        // analytic, tile, cycle or a table
//   const auto points = layer_points(network, widths, accelerator);
//   const std::vector<PointCost> costs = model->costs(points);
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/cost/layer_point.hpp"

namespace widthwise {

struct PointCost {
  std::vector<double> values;  // one per metric of the model; empty if the point failed
  std::string failure;         // why: a worker process crashed or hung; empty otherwise
};

class CostModel {
 public:
  CostModel() = default;
  virtual ~CostModel() = default;
  CostModel(const CostModel&) = delete;
  CostModel& operator=(const CostModel&) = delete;

  /// Names of what is costed, with their units ("latency_cycles", "energy_pj"). Every metric of a
  /// network is the sum over its layers.
  [[nodiscard]] virtual const std::vector<std::string>& metrics() const = 0;

  /// One answer per point, in their order; the more points at once, the better. Throws InputError,
  /// all points' mistakes at once: widths that the machine does not support, no tile that fits the
  /// buffers, an energy entry or a row of the table that is missing.
  [[nodiscard]] virtual std::vector<PointCost> costs(std::span<const LayerPoint> points) = 0;
};

/// Index of a metric. Throws InputError that lists the metrics there are and the nearest.
std::size_t metric_index(const std::vector<std::string>& metrics, std::string_view name);

/// Sum over the points, one value per metric. Throws InputError if a point failed.
std::vector<double> total_cost(CostModel& model, std::span<const LayerPoint> points);

}  // namespace widthwise
