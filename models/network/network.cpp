#include "models/network/network.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "models/base/error.hpp"
#include "models/network/network_data.hpp"

namespace widthwise {

std::string_view to_string(LayerKind kind) {
  switch (kind) {
    case LayerKind::convolution:
      return "convolution";
    case LayerKind::fully_connected:
      return "fully_connected";
    case LayerKind::matmul:
      return "matmul";
    case LayerKind::recurrent:
      return "recurrent";
    case LayerKind::pool:
      return "pool";
    case LayerKind::add:
      return "add";
    case LayerKind::mul:
      return "mul";
    case LayerKind::concat:
      return "concat";
    case LayerKind::normalization:
      return "normalization";
    case LayerKind::activation:
      return "activation";
    case LayerKind::softmax:
      return "softmax";
    case LayerKind::reduce:
      return "reduce";
    case LayerKind::move:
      return "move";
  }
  fail_invariant("unknown layer kind", std::source_location::current());
}

bool has_macs(LayerKind kind) {
  return kind == LayerKind::convolution || kind == LayerKind::fully_connected ||
         kind == LayerKind::matmul || kind == LayerKind::recurrent;
}

std::int64_t Tensor::elements() const {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

Network::Network(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

const std::vector<Layer>& Network::layers() const { return data_->layers; }
const std::vector<Tensor>& Network::tensors() const { return data_->tensors; }
const std::string& Network::name() const { return data_->name; }
const std::vector<std::string>& Network::ignored() const { return data_->ignored; }

std::optional<LayerId> Network::find_layer(std::string_view name) const {
  const auto found = std::find_if(data_->layers.begin(), data_->layers.end(),
                                  [name](const Layer& layer) { return layer.name == name; });
  if (found == data_->layers.end()) return std::nullopt;
  return static_cast<LayerId>(found - data_->layers.begin());
}

namespace {

template <class Value>
std::int64_t sum_over(const std::vector<Layer>& layers, Value value) {
  std::int64_t sum = 0;
  for (const Layer& layer : layers) sum += value(layer);
  return sum;
}

}  // namespace

std::int64_t Network::macs() const {
  return sum_over(data_->layers, [](const Layer& layer) { return layer.macs(); });
}

std::int64_t Network::weights() const {
  return sum_over(data_->layers, [](const Layer& layer) { return layer.weights; });
}

std::int64_t Network::biases() const {
  return sum_over(data_->layers, [](const Layer& layer) { return layer.biases; });
}

}  // namespace widthwise
