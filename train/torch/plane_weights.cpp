#include "train/torch/plane_weights.hpp"

#include <algorithm>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

std::vector<float> values_of(const torch::Tensor& tensor) {
  if (!tensor.defined()) return {};
  const torch::Tensor dense = tensor.detach().to(torch::kFloat32).contiguous();
  const auto* data = dense.data_ptr<float>();
  return {data, data + dense.numel()};
}

void fill(PlaneLayer& layer, std::vector<QuantizedLayer>& trained) {
  const auto found = std::ranges::find(trained, layer.name, &QuantizedLayer::name);
  ensure(found != trained.end(), "bit-planes are of the trained network's layers");
  layer.weights = values_of(found->weight);
  layer.bias = values_of(found->bias);
}

}  // namespace

PlaneNetwork plane_weights(PlaneNetwork structure, QuantizedNetwork& network) {
  if (structure.lstm) {
    fill(structure.lstm->input, network.layers());
    fill(structure.lstm->recurrent, network.layers());
  }
  for (PlaneLayer& layer : structure.layers) fill(layer, network.layers());
  return structure;
}

}  // namespace widthwise
