#include "models/cost/layer_point.hpp"

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"
#include "models/cost/plan.hpp"

namespace widthwise {

namespace {

/// What is left of `all` things, whole ones and at least one.
std::int64_t left(std::int64_t all, double share) {
  constexpr double kRounding = 1e-9;  // 0.7 x 10 is 7
  const double kept = std::ceil(share * static_cast<double>(all) * (1 - kRounding));
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(kept), std::min<std::int64_t>(1, all),
                                  all);
}

}  // namespace

std::vector<LayerPoint> layer_points(const Network& network, const WidthPlan& widths,
                                     const Accelerator& accelerator) {
  ensure(widths.layers.size() == network.layers().size() &&
             widths.stored.size() == network.tensors().size(),
         "the width plan belongs to the network");
  const std::vector<Home> homes = place_tensors(network, widths, accelerator);
  std::vector<LayerPoint> points;
  points.reserve(network.layers().size());
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    const Layer& layer = network.layers()[id];
    LayerPoint point;
    point.layer = id;
    point.widths = widths.layers[id];
    point.stored_output = widths.stored[layer.output];
    point.output_home = homes[layer.output];
    point.accumulator = widths.accumulator(id);
    for (const TensorId input : layer.inputs) {
      point.stored_inputs.push_back(widths.stored[input]);
      point.input_homes.push_back(homes[input]);
    }
    points.push_back(std::move(point));
  }
  return points;
}

Layer pruned_layer(const Layer& layer, double input_share, double output_share) {
  ensure(input_share > 0 && input_share <= 1 && output_share > 0 && output_share <= 1,
         "a share of channels is above 0 and at most 1");
  Layer pruned = layer;
  if (input_share == 1 && output_share == 1) return pruned;
  double weights = 1;
  double biases = output_share;
  if (pruned.compute) {
    ComputeShape& shape = *pruned.compute;
    const ComputeShape whole = shape;
    if (whole.groups > 1) {
      shape.groups = left(whole.groups, output_share);
    } else {
      shape.in_channels = left(whole.in_channels, input_share);
      shape.out_channels = left(whole.out_channels, output_share);
    }
    weights =
        static_cast<double>(shape.weight_elements()) / static_cast<double>(whole.weight_elements());
    biases = static_cast<double>(shape.groups * shape.out_channels) /
             static_cast<double>(whole.groups * whole.out_channels);
  }
  if (pruned.vector) {
    VectorShape& shape = *pruned.vector;
    shape.input_elements = left(shape.input_elements, input_share);
    shape.output_elements = left(shape.output_elements, output_share);
    shape.operations = left(shape.operations, output_share);
    weights = output_share;
  }
  const auto scaled = [](std::int64_t count, double share) {
    return static_cast<std::int64_t>(std::llround(static_cast<double>(count) * share));
  };
  pruned.weights = scaled(layer.weights, weights);
  pruned.biases = scaled(layer.biases, biases);
  return pruned;
}

}  // namespace widthwise
