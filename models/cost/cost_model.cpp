#include "models/cost/cost_model.hpp"

#include <algorithm>

#include "models/base/error.hpp"
#include "models/base/text.hpp"

namespace widthwise {

std::size_t metric_index(const std::vector<std::string>& metrics, std::string_view name) {
  const auto found = std::find(metrics.begin(), metrics.end(), name);
  if (found == metrics.end()) {
    throw InputError({}, "metric",
                     "expected one of " + quoted_list(metrics) + ", got '" + std::string(name) +
                         "'" + suggestion(name, metrics));
  }
  return static_cast<std::size_t>(found - metrics.begin());
}

std::vector<double> total_cost(CostModel& model, std::span<const LayerPoint> points) {
  const std::vector<PointCost> costs = model.costs(points);
  ensure(costs.size() == points.size(), "a model answers every point");
  std::vector<double> total(model.metrics().size());
  Diagnostics problems;
  for (std::size_t i = 0; i < costs.size(); ++i) {
    if (!costs[i].failure.empty()) {
      const LayerPoint& point = points[i];
      problems.error({},
                     "layer " + std::to_string(point.layer) + " at w" +
                         std::to_string(point.widths.weight) + "a" +
                         std::to_string(point.widths.activation),
                     "has no cost: " + costs[i].failure);
      continue;
    }
    ensure(costs[i].values.size() == total.size(), "a cost has a value per metric");
    for (std::size_t metric = 0; metric < total.size(); ++metric) {
      total[metric] += costs[i].values[metric];
    }
  }
  problems.throw_if_any();
  return total;
}

}  // namespace widthwise
