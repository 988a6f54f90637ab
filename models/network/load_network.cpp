#include "models/network/load_network.hpp"

#include <filesystem>
#include <utility>

#include "models/network/onnx_import.hpp"
#include "models/network/single_layer.hpp"

namespace widthwise {

namespace {

constexpr const char* kBatch = "batch";

/// At the place where the network is named, when options do not go with its kind.
void refuse_options(const Given& network, bool unwanted, const std::string& message) {
  if (unwanted) throw InputError(network.place, network.key, message);
}

NetworkWithWeights load(const Given& given, const NetworkSource& source, bool with_weights) {
  if (names_single_layer(given.text)) {
    refuse_options(given, source.batch || !source.parameters.empty() || !source.ignore.empty(),
                   "a single layer takes no batch, parameters or operators to ignore");
    return {placed_at(given, [&] { return parse_single_layer(given.text); }), std::nullopt};
  }
  const std::string path =
      find_file(Shipped::networks, given, "no product such as 'gemm:64x128x512'");
  if (std::filesystem::path(path).extension() == ".onnx") {
    refuse_options(given, !source.parameters.empty(),
                   "an ONNX file takes no parameters but the batch");
    const OnnxOptions options{source.ignore, source.batch};
    if (!with_weights) return {import_onnx(path, options), std::nullopt};
    OnnxWeights weights(path, options);
    return {weights.network(), weights};
  }
  refuse_options(given, !source.ignore.empty(),
                 "only operators of an ONNX file can be ignored, and this is none");
  NetworkParameters parameters = source.parameters;
  if (source.batch) parameters[kBatch] = *source.batch;
  return {read_network(path, parameters), std::nullopt};
}

}  // namespace

Network load_network(const Given& given, const NetworkSource& source) {
  return load(given, source, false).network;
}

NetworkWithWeights load_network_with_weights(const Given& given, const NetworkSource& source) {
  return load(given, source, true);
}

}  // namespace widthwise
