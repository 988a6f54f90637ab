// The importer as the handlers of the operators see it. Internal to models/network.
//
// onnx_import.cpp walks the graph; for every node it calls the handler of the operator, which
// infers the shapes and says what the outputs stand for: a constant, the data of another name, or
// the output of a layer that it adds. The handlers are in onnx_compute.cpp (multiply-accumulates),
// onnx_vector.cpp (element-wise functions, normalizations, reductions) and onnx_move.cpp (moving
// data and computing shapes); the table of operators is in onnx_operators.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "models/base/error.hpp"
#include "models/network/network_builder.hpp"
#include "models/network/onnx_graph.hpp"
#include "models/network/onnx_import.hpp"
#include "models/network/shape_inference.hpp"

namespace widthwise::onnx_import {

/// Bound on kernels, strides, pads and blocks.
inline constexpr std::int64_t kMaxWindow = std::int64_t{1} << 20;

/// What a name in the file stands for.
struct Value {
  enum class Kind { unknown, constant, activation };

  Kind kind = Kind::unknown;  // unknown: an error about it has been reported
  Shape shape;
  std::shared_ptr<const OnnxConstant> constant;
  TensorId tensor = 0;

  /// Of an activation: nobody but the one consumer of this name reads the tensor.
  bool is_exclusive = false;

  [[nodiscard]] bool is_constant() const { return kind == Kind::constant; }
  [[nodiscard]] bool is_activation() const { return kind == Kind::activation; }
};

/// One node with its inputs, and what the handlers of the operators need of it.
struct Site {
  const OnnxNode& node;
  std::vector<Value> inputs;  // unknown where an optional one is left out

  [[nodiscard]] bool has_input(std::size_t index) const {
    return index < node.inputs.size() && !node.inputs[index].empty();
  }
};

/// What is wrong with a node; the importer adds which.
class NodeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Importer {
 public:
  Importer(OnnxGraph graph, std::string file, const OnnxOptions& options);

  Network run();

  /// After run(), of a graph that keeps its data: by layer, its weights in the order of its
  /// ComputeShape.
  [[nodiscard]] std::unordered_map<std::string, OnnxConstant> weights() const;

  // What the handlers call.
  const Value& activation(const Site& site, std::size_t index) const;
  const Value& constant(const Site& site, std::size_t index) const;
  std::optional<std::vector<std::int64_t>> integers(const Site& site, std::size_t index) const;
  bool is_used(const Site& site, std::size_t output) const;

  void set_constant(const Site& site, OnnxConstant constant, std::size_t output = 0);
  void set_alias(const Site& site, const Value& input, Shape shape, std::size_t output = 0);

  /// A layer of the node's name with this work, without inputs yet.
  Layer vector_layer(const Site& site, LayerKind kind, const VectorShape& work) const;

  /// Adds a layer and the tensor that it writes: the output of the node with this index, or none.
  TensorId add_layer(const Site& site, Layer layer, Shape shape, std::optional<std::size_t> output);

  void add_compute(const Site& site, LayerKind kind, const InferredLayer& inferred,
                   const std::vector<std::size_t>& inputs, std::int64_t biases,
                   const OnnxConstant* weights = nullptr);

  /// The weights of the layer that makes the tensor; elements in the order of its ComputeShape.
  void record_weights(TensorId output, const OnnxConstant& weights);

  void add_vector(const Site& site, LayerKind kind, const InferredVector& inferred,
                  std::int64_t biases = 0, std::vector<std::string> fused = {});

  /// The layer that makes the activation, if an operator may be fused into it.
  Layer* fusable_producer(const Value& value);

  std::string layer_name(const Site& site, bool has_weights) const;

  /// Gives a layer the name of the module that its bias belongs to, "fc" for "fc.bias", where the
  /// name of its weights did not say.
  void name_after_bias(Layer& layer, const std::string& bias);

 private:
  void read_inputs();
  void read_constants();
  std::vector<std::size_t> needed_nodes();
  void count_uses(const std::vector<std::size_t>& nodes);
  void import_node(const OnnxNode& node);
  bool pass_ignored(const Site& site);
  void check_stated(const OnnxNode& node);
  void mark_outputs();
  void set_unknown(const OnnxNode& node);
  void problem(const OnnxNode& node, const std::string& message);
  void set(const std::string& name, Value value);
  std::string free_name(const Site& site, const std::string& wanted);

  OnnxGraph graph_;
  std::string file_;
  const OnnxOptions& options_;
  NetworkBuilder builder_;
  Diagnostics problems_;
  std::unordered_map<std::string, Value> values_;
  std::unordered_map<std::string, int> uses_;  // of activations, by name
  std::unordered_set<std::string> output_names_;
  std::unordered_set<std::string> layer_names_;
  std::unordered_map<std::string, int> copies_;            // of a layer name, beyond the first
  std::vector<std::pair<LayerId, OnnxConstant>> weights_;  // while the builder is open
  std::unordered_map<std::string, OnnxConstant> weights_by_name_;
};

/// An attribute of the node; throws NodeError if it has another type.
template <class T>
std::optional<T> attribute(const OnnxNode& node, const std::string& name) {
  const auto found = node.attributes.find(name);
  if (found == node.attributes.end()) return std::nullopt;
  const T* value = std::get_if<T>(&found->second.value);
  if (value == nullptr) throw NodeError("attribute '" + name + "' has the wrong type");
  return *value;
}

std::int64_t integer_attribute(const OnnxNode& node, const std::string& name,
                               std::int64_t fallback);
std::string text_attribute(const OnnxNode& node, const std::string& name,
                           const std::string& fallback);
std::optional<std::vector<std::int64_t>> list_attribute(const OnnxNode& node,
                                                        const std::string& name);

/// "input 2" for index 1.
std::string ordinal(std::size_t index);

/// The input, of whatever kind; throws NodeError if it is left out.
const Value& any_input(const Site& site, std::size_t index);

/// Of the inputs at these places, the tensors.
std::vector<TensorId> tensors_of(const Site& site, const std::vector<std::size_t>& indices);

/// The places of the inputs that are activations.
std::vector<std::size_t> activation_indices(const Site& site);

/// Elements of a constant operand that has to be stored: scalars and integers are not parameters.
std::int64_t stored_elements(const Value& value);

/// Throws NodeError unless the shapes are the same; `what` is a plural.
void check_shape(const char* what, const Shape& shape, const Shape& expected);

using Handler = void (*)(Importer&, const Site&);

/// The handlers by operator.
const std::map<std::string, Handler, std::less<>>& handlers();

// onnx_compute.cpp
void import_convolution(Importer& importer, const Site& site);
void import_pool(Importer& importer, const Site& site);
void import_global_pool(Importer& importer, const Site& site);
void import_matmul(Importer& importer, const Site& site);
void import_gemm(Importer& importer, const Site& site);
void import_einsum(Importer& importer, const Site& site);
void import_recurrent(Importer& importer, const Site& site);

// onnx_vector.cpp
void import_elementwise(Importer& importer, const Site& site);
void import_batch_normalization(Importer& importer, const Site& site);
void import_normalization(Importer& importer, const Site& site);
void import_softmax(Importer& importer, const Site& site);
void import_reduce(Importer& importer, const Site& site);

// onnx_move.cpp
void import_identity(Importer& importer, const Site& site);
void import_cast(Importer& importer, const Site& site);
void import_reshape(Importer& importer, const Site& site);
void import_flatten(Importer& importer, const Site& site);
void import_squeeze(Importer& importer, const Site& site);
void import_unsqueeze(Importer& importer, const Site& site);
void import_transpose(Importer& importer, const Site& site);
void import_slice(Importer& importer, const Site& site);
void import_split(Importer& importer, const Site& site);
void import_pad(Importer& importer, const Site& site);
void import_gather(Importer& importer, const Site& site);
void import_concat(Importer& importer, const Site& site);
void import_expand(Importer& importer, const Site& site);
void import_tile(Importer& importer, const Site& site);
void import_resize(Importer& importer, const Site& site);
void import_depth_to_space(Importer& importer, const Site& site);
void import_shape(Importer& importer, const Site& site);
void import_size(Importer& importer, const Site& site);
void import_constant(Importer& importer, const Site& site);
void import_constant_of_shape(Importer& importer, const Site& site);
void import_range(Importer& importer, const Site& site);
void import_constant_like_first(Importer& importer, const Site& site);

/// Element-wise functions that may have several activation operands, and what they then are.
struct ElementwiseKind {
  std::string_view op;
  LayerKind kind;
};
std::span<const ElementwiseKind> elementwise_kinds();

}  // namespace widthwise::onnx_import
