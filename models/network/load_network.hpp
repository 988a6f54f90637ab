// A network by whatever names it: a file, a shipped name, or a single layer spelt out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/config/shipped_data.hpp"
#include "models/network/network.hpp"
#include "models/network/network_yaml.hpp"
#include "models/network/onnx_weights.hpp"

namespace widthwise {

/// What a network leaves open, and what else its kind takes.
struct NetworkSource {
  std::optional<std::int64_t> batch;  // inputs worked on together
  NetworkParameters parameters;       // of a YAML file
  std::vector<std::string> ignore;    // operators of an ONNX file to take as costing nothing
};

inline constexpr std::int64_t kMostBatch = 1'000'000;

/// A .yaml or .onnx file, the name of a shipped network, "gemm:64x128x512" or
/// "conv:56x56x64x128x3:2" (single_layer.hpp). Throws InputError, also for what the kind of network
/// does not take.
Network load_network(const Given& given, const NetworkSource& source = {});

/// A network and, where it comes from an ONNX file, the values of its weights.
struct NetworkWithWeights {
  Network network;
  std::optional<OnnxWeights> weights;
};
NetworkWithWeights load_network_with_weights(const Given& given, const NetworkSource& source = {});

}  // namespace widthwise
