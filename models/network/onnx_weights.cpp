#include "models/network/onnx_weights.hpp"

#include <unordered_map>
#include <utility>

#include "models/base/error.hpp"
#include "models/network/onnx_constants.hpp"
#include "models/network/onnx_graph.hpp"
#include "models/network/onnx_importer.hpp"
#include "models/network/onnx_values.hpp"

namespace widthwise {

struct OnnxWeights::Data {
  Data(OnnxGraph graph, std::string path, const OnnxOptions& options)
      : file(std::move(path)), tensors(graph.tensors) {
    onnx_import::Importer importer(std::move(graph), file, options);
    network = importer.run();
    weights = importer.weights();
  }

  std::string file;
  std::shared_ptr<const OnnxTensors> tensors;
  std::optional<Network> network;
  std::unordered_map<std::string, OnnxConstant> weights;  // in the order of the ComputeShape
};

OnnxWeights::OnnxWeights(const std::string& path, const OnnxOptions& options)
    : data_(std::make_shared<const Data>(read_onnx_graph(path, OnnxDataUse::kept), path, options)) {
}

OnnxWeights::OnnxWeights(std::span<const std::byte> bytes, const std::string& file,
                         const OnnxOptions& options)
    : data_(std::make_shared<const Data>(parse_onnx_graph(bytes, file, OnnxDataUse::kept), file,
                                         options)) {}

const Network& OnnxWeights::network() const { return *data_->network; }

std::optional<std::vector<float>> OnnxWeights::of(const Layer& layer) const {
  // What a layer holds; a file that expands a scalar to more is not read into memory.
  constexpr std::int64_t kMostValues = std::int64_t{1} << 32;
  const auto found = data_->weights.find(layer.name);
  if (!layer.compute || layer.weights == 0 || found == data_->weights.end()) return std::nullopt;
  const OnnxConstant& weights = found->second;
  ensure(constant_count(weights.shape) == layer.weights, "the layer is one of this file");
  const OriginPointer origin = origin_of(weights);
  if (!origin || layer.weights > kMostValues) {
    throw InputError({data_->file}, "layer '" + layer.name + "'",
                     origin ? "has too many weights to read their values"
                            : "the values of its weights are computed by operators that are not "
                              "evaluated; fold constants when exporting the network");
  }
  std::vector<float> values = compute(*origin, *data_->tensors);
  ensure(static_cast<std::int64_t>(values.size()) == layer.weights, "every weight has a value");
  return values;
}

}  // namespace widthwise
