// Builds and validates a Network from layers that a source (YAML, ONNX, a test) describes.
//
// Usage:
//   NetworkBuilder builder("tiny", place);
//   const TensorId image = builder.add_input("image", {1, 3, 8, 8});
//   const TensorId out = builder.add_tensor("conv", {1, 4, 8, 8});
//   Layer layer; ... layer.inputs = {image}; layer.output = out;
//   builder.add_layer(layer, place);
//   builder.mark_output(out);
//   Network network = builder.build();
//
// build() reports the mistakes of the source as InputError (no layers, names used twice, cycles,
// sizes beyond the bounds) and our own contradictions between a layer's loop nest and its tensors
// as InternalError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "models/base/error.hpp"
#include "models/network/network.hpp"

namespace widthwise {

/// A tensor or a layer's weights beyond this many elements is taken for a mistake.
inline constexpr std::int64_t kMaxElements = std::int64_t{1} << 48;

/// The same for the multiply-accumulates of a whole network: 12 times GPT-3 over 2048 tokens.
inline constexpr std::int64_t kMaxMacs = std::int64_t{1} << 52;

inline constexpr std::int64_t kMaxParameters = std::int64_t{1} << 52;

/// Of `order` and `cycle` exactly one is filled (neither when there are no nodes).
struct DependencyOrder {
  std::vector<std::size_t> order;  // everyone after those it depends on; ties in order of index
  std::vector<std::size_t> cycle;  // each the dependency of the next, the last that of the first
};

/// Edges are (dependency, dependent), both below `count`.
DependencyOrder dependency_order(std::size_t count,
                                 const std::vector<std::pair<std::size_t, std::size_t>>& edges);

/// "a -> b -> a" for the cycle {a, b}; long cycles are shortened in the middle.
std::string describe_cycle(const std::vector<std::string>& names);

class NetworkBuilder {
 public:
  explicit NetworkBuilder(std::string name, SourcePlace place = {});

  TensorId add_input(std::string name, std::vector<std::int64_t> shape);
  TensorId add_tensor(std::string name, std::vector<std::int64_t> shape);

  /// The layer becomes the producer of its output tensor, which must have none yet.
  LayerId add_layer(Layer layer, SourcePlace place = {});

  void mark_output(TensorId tensor);
  void add_ignored(std::string what);

  [[nodiscard]] const Tensor& tensor(TensorId id) const { return tensors_.at(id); }
  [[nodiscard]] const Layer& layer(LayerId id) const { return layers_.at(id); }

  /// For fusing an operator into a layer that is there already.
  [[nodiscard]] Layer& layer(LayerId id) { return layers_.at(id); }

  /// Validates, sorts and hands the network over; the builder is empty afterwards.
  Network build();

 private:
  std::string name_;
  SourcePlace place_;
  std::vector<Tensor> tensors_;
  std::vector<Layer> layers_;
  std::vector<SourcePlace> layer_places_;
  std::vector<std::string> ignored_;
};

}  // namespace widthwise
