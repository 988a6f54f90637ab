#include "models/network/onnx_import.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "models/base/error.hpp"
#include "models/base/quantity.hpp"
#include "models/network/network_builder.hpp"
#include "models/network/onnx_constants.hpp"
#include "models/network/onnx_graph.hpp"
#include "models/network/onnx_patterns.hpp"
#include "models/network/shape_inference.hpp"

namespace widthwise {

namespace {

constexpr std::int64_t kMaxWindow = std::int64_t{1} << 20;
constexpr std::int64_t kMaxListed = 64;  // axes, pads

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
  Importer(OnnxGraph graph, std::string file, const OnnxOptions& options)
      : graph_(std::move(graph)),
        file_(std::move(file)),
        options_(options),
        builder_(std::filesystem::path(file_).stem().string(), {file_}) {}

  Network run();

  // What the handlers call.
  const Value& activation(const Site& site, std::size_t index) const;
  const Value& constant(const Site& site, std::size_t index) const;
  std::optional<std::vector<std::int64_t>> integers(const Site& site, std::size_t index) const;
  bool is_used(const Site& site, std::size_t output) const;

  void set_constant(const Site& site, OnnxConstant constant, std::size_t output = 0);
  void set_alias(const Site& site, const Value& input, Shape shape, std::size_t output = 0);

  /// Adds a layer; `output` says which output of the node it produces.
  TensorId add_layer(const Site& site, const std::string& name, LayerKind kind,
                     std::optional<ComputeShape> compute, std::optional<VectorShape> vector,
                     Shape shape, std::vector<TensorId> inputs, std::int64_t weights,
                     std::int64_t biases, std::vector<std::string> fused,
                     std::optional<std::size_t> output);
  void add_compute(const Site& site, LayerKind kind, const InferredLayer& inferred,
                   const std::vector<std::size_t>& inputs, std::int64_t biases);
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
};

// Attributes.

const OnnxAttribute* find_attribute(const OnnxNode& node, const std::string& name) {
  const auto found = node.attributes.find(name);
  return found == node.attributes.end() ? nullptr : &found->second;
}

template <class T>
std::optional<T> attribute(const OnnxNode& node, const std::string& name) {
  const OnnxAttribute* found = find_attribute(node, name);
  if (found == nullptr) return std::nullopt;
  const T* value = std::get_if<T>(&found->value);
  if (value == nullptr) throw NodeError("attribute '" + name + "' has the wrong type");
  return *value;
}

std::int64_t integer_attribute(const OnnxNode& node, const std::string& name,
                               std::int64_t fallback) {
  return attribute<std::int64_t>(node, name).value_or(fallback);
}

std::string text_attribute(const OnnxNode& node, const std::string& name,
                           const std::string& fallback) {
  return attribute<std::string>(node, name).value_or(fallback);
}

std::optional<std::vector<std::int64_t>> list_attribute(const OnnxNode& node,
                                                        const std::string& name) {
  return attribute<std::vector<std::int64_t>>(node, name);
}

// Access for handlers.

std::string ordinal(std::size_t index) { return "input " + std::to_string(index + 1); }

const Value& Importer::activation(const Site& site, std::size_t index) const {
  if (!site.has_input(index)) throw NodeError(ordinal(index) + " is missing");
  if (!site.inputs[index].is_activation()) {
    throw NodeError(ordinal(index) + " is a constant, expected an activation");
  }
  return site.inputs[index];
}

const Value& Importer::constant(const Site& site, std::size_t index) const {
  if (!site.has_input(index)) throw NodeError(ordinal(index) + " is missing");
  if (!site.inputs[index].is_constant()) {
    throw NodeError(ordinal(index) + " ('" + site.node.inputs[index] +
                    "') is computed from activations; only constants are modelled here");
  }
  return site.inputs[index];
}

const Value& any_input(const Site& site, std::size_t index) {
  if (!site.has_input(index)) throw NodeError(ordinal(index) + " is missing");
  return site.inputs[index];
}

/// The integers of a constant input; nothing if it is left out.
std::optional<std::vector<std::int64_t>> Importer::integers(const Site& site,
                                                            std::size_t index) const {
  if (!site.has_input(index)) return std::nullopt;
  const auto* values = constant(site, index).constant->integers();
  if (values == nullptr) {
    throw NodeError(ordinal(index) + " ('" + site.node.inputs[index] +
                    "') has values that are not known before the network runs");
  }
  return *values;
}

bool Importer::is_used(const Site& site, std::size_t output) const {
  if (output >= site.node.outputs.size()) return false;
  const std::string& name = site.node.outputs[output];
  return !name.empty() && (uses_.contains(name) || output_names_.contains(name));
}

void Importer::set(const std::string& name, Value value) {
  if (!name.empty()) values_[name] = std::move(value);
}

void Importer::set_constant(const Site& site, OnnxConstant constant, std::size_t output) {
  if (output >= site.node.outputs.size()) return;
  Value value;
  value.kind = Value::Kind::constant;
  value.shape = constant.shape;
  value.constant = std::make_shared<const OnnxConstant>(std::move(constant));
  set(site.node.outputs[output], std::move(value));
}

void Importer::set_alias(const Site& site, const Value& input, Shape shape, std::size_t output) {
  if (output >= site.node.outputs.size()) return;
  const std::string& name = site.node.outputs[output];
  const auto uses = uses_.find(name);
  Value value = input;
  value.shape = std::move(shape);
  value.is_exclusive = input.is_exclusive && uses != uses_.end() && uses->second == 1 &&
                       !output_names_.contains(name);
  set(name, std::move(value));
}

std::string without_suffix(const std::string& text, std::string_view suffix) {
  return text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : "";
}

// torch.onnx names nodes by scope, "/layer1/layer1.0/conv1/Conv"; the module is "layer1.0.conv1".
std::string module_of(const std::string& scope) {
  std::string module;
  std::size_t begin = 1;
  for (std::size_t end = scope.find('/', begin); end != std::string::npos;
       begin = end + 1, end = scope.find('/', begin)) {
    const std::string part = scope.substr(begin, end - begin);
    // A part may repeat the end of what stands before it: "layer1", "layer1.0".
    std::string_view overlap = module;
    while (!overlap.empty() && !(part.starts_with(overlap) && part.size() > overlap.size() &&
                                 part[overlap.size()] == '.')) {
      const std::size_t dot = overlap.find('.');
      overlap = dot == std::string_view::npos ? std::string_view() : overlap.substr(dot + 1);
    }
    if (!overlap.empty()) {
      module += part.substr(overlap.size());
    } else {
      module += (module.empty() ? "" : ".") + part;
    }
  }
  return module;
}

std::string Importer::layer_name(const Site& site, bool has_weights) const {
  const OnnxNode& node = site.node;
  if (has_weights) {
    for (std::size_t index = 0; index < node.inputs.size(); ++index) {
      const std::string module = without_suffix(node.inputs[index], ".weight");
      if (!module.empty() && site.inputs[index].is_constant()) return module;
    }
  }
  if (!node.name.starts_with('/')) return node.name;
  const std::string module = module_of(node.name);
  if (has_weights && !module.empty()) return module;
  const std::string leaf = node.name.substr(node.name.rfind('/') + 1);
  return module.empty() ? leaf : module + "/" + leaf;
}

std::string Importer::free_name(const Site& site, const std::string& wanted) {
  std::string name = wanted;
  if (layer_names_.contains(name) && site.node.name.starts_with('/')) {
    name = layer_name(site, false);  // the second weights that one module uses
  }
  const std::string base = name;
  for (int copy = 2; !layer_names_.insert(name).second; ++copy) {
    name = base + "#" + std::to_string(copy);
  }
  return name;
}

void Importer::name_after_bias(Layer& layer, const std::string& bias) {
  const std::string module = without_suffix(bias, ".bias");
  if (module.empty() || !layer_names_.insert(module).second) return;
  layer_names_.erase(layer.name);
  layer.name = module;
}

TensorId Importer::add_layer(const Site& site, const std::string& name, LayerKind kind,
                             std::optional<ComputeShape> compute, std::optional<VectorShape> vector,
                             Shape shape, std::vector<TensorId> inputs, std::int64_t weights,
                             std::int64_t biases, std::vector<std::string> fused,
                             std::optional<std::size_t> output) {
  element_count(shape);
  Layer layer;
  layer.name = free_name(site, name);
  layer.kind = kind;
  layer.op = site.node.op;
  layer.compute = compute;
  layer.vector = vector;
  layer.inputs = std::move(inputs);
  layer.weights = weights;
  layer.biases = biases;
  layer.fused = std::move(fused);
  const std::string& tensor_name =
      output ? site.node.outputs.at(*output) : static_cast<const std::string&>(layer.name);
  layer.output = builder_.add_tensor(tensor_name, shape);
  Value value;
  value.kind = Value::Kind::activation;
  value.shape = std::move(shape);
  value.tensor = layer.output;
  value.is_exclusive = true;
  builder_.add_layer(std::move(layer), {file_});
  if (output) set_alias(site, value, value.shape, *output);
  return value.tensor;
}

// Of the inputs at these places, the tensors; each once.
std::vector<TensorId> tensors_of(const Site& site, const std::vector<std::size_t>& indices) {
  std::vector<TensorId> tensors;
  for (const std::size_t index : indices) tensors.push_back(site.inputs[index].tensor);
  return tensors;
}

std::vector<std::size_t> activation_indices(const Site& site) {
  std::vector<std::size_t> indices;
  for (std::size_t index = 0; index < site.inputs.size(); ++index) {
    if (site.inputs[index].is_activation()) indices.push_back(index);
  }
  return indices;
}

void Importer::add_compute(const Site& site, LayerKind kind, const InferredLayer& inferred,
                           const std::vector<std::size_t>& inputs, std::int64_t biases) {
  const bool has_weights = !inferred.compute.second_operand_is_activation;
  add_layer(site, layer_name(site, has_weights), kind, inferred.compute, std::nullopt,
            inferred.output, tensors_of(site, inputs),
            has_weights ? inferred.compute.weight_elements() : 0, biases, {}, 0);
}

void Importer::add_vector(const Site& site, LayerKind kind, const InferredVector& inferred,
                          std::int64_t biases, std::vector<std::string> fused) {
  add_layer(site, layer_name(site, kind == LayerKind::normalization), kind, std::nullopt,
            inferred.vector, inferred.output, tensors_of(site, activation_indices(site)), 0, biases,
            std::move(fused), 0);
}

Layer* Importer::fusable_producer(const Value& value) {
  if (!value.is_activation() || !value.is_exclusive) return nullptr;
  const auto producer = builder_.tensor(value.tensor).producer;
  return producer ? &builder_.layer(*producer) : nullptr;
}

// Elements of a constant operand that has to be stored: scalars and integers are not parameters.
std::int64_t stored_elements(const Value& value) {
  const std::int64_t elements = constant_count(value.shape);
  return elements > 1 && !value.constant->is_integral ? elements : 0;
}

// Convolutions and pools.

void read_pair(const OnnxNode& node, const std::string& name, std::size_t axes,
               std::int64_t (&target)[2]) {
  const auto values = list_attribute(node, name);
  if (!values) return;
  if (values->size() != axes) {
    throw NodeError("attribute '" + name + "' has " + std::to_string(values->size()) +
                    " values for " + std::to_string(axes) + " spatial axes");
  }
  for (std::size_t i = 0; i < axes; ++i) {
    if ((*values)[i] < 1 || (*values)[i] > kMaxWindow) {
      throw NodeError("attribute '" + name + "' is out of range: " + to_string(*values));
    }
    target[2 - axes + i] = (*values)[i];
  }
}

Window read_window(const OnnxNode& node, const Shape& input) {
  if (input.size() != 3 && input.size() != 4) {
    throw NodeError("one or two spatial axes are modelled, the input is " + to_string(input));
  }
  const std::size_t axes = input.size() - 2;
  Window window;
  read_pair(node, "kernel_shape", axes, window.kernel);
  read_pair(node, "strides", axes, window.stride);
  read_pair(node, "dilations", axes, window.dilation);
  const std::string padding = text_attribute(node, "auto_pad", "NOTSET");
  if (padding == "SAME_UPPER") {
    window.auto_pad = AutoPad::same_upper;
  } else if (padding == "SAME_LOWER") {
    window.auto_pad = AutoPad::same_lower;
  } else if (padding == "NOTSET") {
    const auto pads = list_attribute(node, "pads").value_or(Shape(2 * axes, 0));
    if (pads.size() != 2 * axes || std::any_of(pads.begin(), pads.end(), [](std::int64_t pad) {
          return pad < 0 || pad > kMaxWindow;
        })) {
      throw NodeError("attribute 'pads' is out of range: " + to_string(pads));
    }
    for (std::size_t i = 0; i < axes; ++i) {
      window.pad_begin[2 - axes + i] = pads[i];
      window.pad_end[2 - axes + i] = pads[axes + i];
    }
  } else if (padding != "VALID") {
    throw NodeError("attribute 'auto_pad' is unknown: '" + padding + "'");
  }
  window.ceil_mode = integer_attribute(node, "ceil_mode", 0) != 0;
  return window;
}

std::int64_t bias_elements(Importer& importer, const Site& site, std::size_t index,
                           std::int64_t expected) {
  if (!site.has_input(index)) return 0;
  const std::int64_t elements = constant_count(importer.constant(site, index).shape);
  if (elements != expected) {
    throw NodeError("the bias has " + std::to_string(elements) + " elements, expected " +
                    std::to_string(expected));
  }
  return elements;
}

void import_convolution(Importer& importer, const Site& site) {
  const Value& input = importer.activation(site, 0);
  const Shape& weight = importer.constant(site, 1).shape;
  element_count(weight);
  Window window = read_window(site.node, input.shape);
  window.ceil_mode = false;
  if (weight.size() != input.shape.size()) {
    throw NodeError("the weights " + to_string(weight) + " do not fit the input " +
                    to_string(input.shape));
  }
  const std::size_t axes = weight.size() - 2;
  for (std::size_t i = 0; i < axes; ++i) {
    std::int64_t& stated = window.kernel[2 - axes + i];
    if (find_attribute(site.node, "kernel_shape") != nullptr && stated != weight[2 + i]) {
      throw NodeError("attribute 'kernel_shape' does not fit the weights " + to_string(weight));
    }
    stated = weight[2 + i];
  }
  const std::int64_t groups = integer_attribute(site.node, "group", 1);
  const InferredLayer inferred = infer_convolution(input.shape, weight[0], groups, window);
  if (inferred.compute.in_channels != weight[1]) {
    throw NodeError("the weights " + to_string(weight) + " in " + std::to_string(groups) +
                    " groups do not fit the input " + to_string(input.shape));
  }
  importer.add_compute(site, LayerKind::convolution, inferred, {0},
                       bias_elements(importer, site, 2, weight[0]));
}

void import_pool(Importer& importer, const Site& site) {
  const Value& input = importer.activation(site, 0);
  if (importer.is_used(site, 1)) throw NodeError("the indices of a pool are not modelled");
  if (list_attribute(site.node, "kernel_shape") == std::nullopt) {
    throw NodeError("attribute 'kernel_shape' is missing");
  }
  const InferredVector inferred = infer_pool(input.shape, read_window(site.node, input.shape));
  if (inferred.output == input.shape && inferred.vector.operations == element_count(input.shape)) {
    importer.set_alias(site, input, input.shape);  // a window of one element
    return;
  }
  importer.add_vector(site, LayerKind::pool, inferred);
}

void import_global_pool(Importer& importer, const Site& site) {
  importer.add_vector(site, LayerKind::pool, infer_global_pool(importer.activation(site, 0).shape));
}

// Matrix products.

Shape swapped(Shape shape) {
  if (shape.size() >= 2) std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  return shape;
}

std::int64_t batch_elements(const Shape& shape) {
  return element_count(Shape(shape.begin(), shape.end() - 2));
}

// Activations times constant weights, [..., M, K] x [..., K, N]. A weight matrix per batch makes a
// group; the same for all makes a fully connected layer.
InferredLayer infer_constant_right(const Shape& left, const Shape& right) {
  InferredLayer inferred = infer_matmul(left, right);
  ComputeShape& compute = inferred.compute;
  compute.second_operand_is_activation = false;
  const std::int64_t matrices = batch_elements(inferred.output);
  compute.groups = batch_elements(right);
  compute.batch = matrices / compute.groups;
  if (compute.groups == 1) {
    // As infer_fully_connected: the first axis is the batch, the rest are positions.
    compute.batch = left.front();
    compute.out_h = element_count(Shape(left.begin(), left.end() - 1)) / left.front();
    compute.in_h = compute.out_h;
  }
  return inferred;
}

// Constant weights times activations, [..., M, K] x [..., K, N]: M output channels at N positions.
InferredLayer infer_constant_left(const Shape& left, const Shape& right) {
  InferredLayer inferred = infer_matmul(left, right);
  ComputeShape& compute = inferred.compute;
  compute.second_operand_is_activation = false;
  compute.groups = batch_elements(left);
  compute.batch = batch_elements(inferred.output) / compute.groups;
  compute.out_channels = left[left.size() - 2];
  compute.in_h = right.back();
  compute.out_h = right.back();
  return inferred;
}

void import_matmul(Importer& importer, const Site& site) {
  for (const std::size_t index : {std::size_t{0}, std::size_t{1}}) {
    if (!site.has_input(index)) throw NodeError(ordinal(index) + " is missing");
  }
  Shape left = site.inputs[0].shape;
  Shape right = site.inputs[1].shape;
  if (left.empty() || right.empty()) throw NodeError("cannot multiply scalars as matrices");
  // A vector is a row on the left, a column on the right, and leaves no axis behind.
  const bool is_row = left.size() == 1;
  const bool is_column = right.size() == 1;
  if (is_row) left.insert(left.begin(), 1);
  if (is_column) right.push_back(1);

  const bool left_is_constant = site.inputs[0].is_constant();
  const bool right_is_constant = site.inputs[1].is_constant();
  InferredLayer inferred;
  LayerKind kind = LayerKind::fully_connected;
  std::vector<std::size_t> inputs = {0};
  if (left_is_constant && right_is_constant) {
    inferred = infer_matmul(left, right);
  } else if (right_is_constant) {
    inferred = infer_constant_right(left, right);
  } else if (left_is_constant) {
    inferred = infer_constant_left(left, right);
    inputs = {1};
  } else {
    inferred = infer_matmul(left, right);
    kind = LayerKind::matmul;
    inputs = {0, 1};
  }
  if (is_column) inferred.output.pop_back();
  if (is_row) inferred.output.erase(inferred.output.end() - (is_column ? 1 : 2));
  if (left_is_constant && right_is_constant) {
    importer.set_constant(site, {inferred.output, false, {}});
    return;
  }
  importer.add_compute(site, kind, inferred, inputs, 0);
}

void import_gemm(Importer& importer, const Site& site) {
  const Value& input = importer.activation(site, 0);
  if (!site.has_input(1)) throw NodeError(ordinal(1) + " is missing");
  const Value& other = site.inputs[1];
  const bool transposes_left = integer_attribute(site.node, "transA", 0) != 0;
  const bool transposes_right = integer_attribute(site.node, "transB", 0) != 0;
  const Shape left = transposes_left ? swapped(input.shape) : input.shape;
  const Shape right = transposes_right ? swapped(other.shape) : other.shape;
  if (left.size() != 2 || right.size() != 2) {
    throw NodeError("expected two matrices, got " + to_string(left) + " and " + to_string(right));
  }
  std::int64_t biases = 0;
  if (site.has_input(2)) {
    const Shape& bias = importer.constant(site, 2).shape;
    biases = constant_count(bias);
    if (broadcast(bias, {left[0], right[1]}) != Shape{left[0], right[1]}) {
      throw NodeError("the bias " + to_string(bias) + " does not fit the output");
    }
  }
  if (other.is_constant()) {
    importer.add_compute(site, LayerKind::fully_connected, infer_constant_right(left, right), {0},
                         biases);
  } else {
    importer.add_compute(site, LayerKind::matmul, infer_matmul(left, right), {0, 1}, biases);
  }
}

// The axes of an operand or result of Einsum by their letters.
using LetteredShape = std::vector<std::pair<char, std::int64_t>>;

LetteredShape letter_axes(const std::string& letters, const Shape& shape) {
  if (letters.size() != shape.size()) {
    throw NodeError("the letters '" + letters + "' do not fit an operand " + to_string(shape));
  }
  LetteredShape result;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (letters.find(letters[axis]) != axis) {
      throw NodeError("a letter that stands twice in one operand is not modelled");
    }
    result.emplace_back(letters[axis], shape[axis]);
  }
  return result;
}

// Products of two operands, such as "bhid,bhjd->bhij": letters of both operands and the result
// count groups, of both operands alone the reduction, of one operand rows or columns. The operands
// are read in place, in whatever order their axes are.
void import_einsum(Importer& importer, const Site& site) {
  std::string equation = text_attribute(site.node, "equation", "");
  std::erase(equation, ' ');
  const std::size_t comma = equation.find(',');
  const std::size_t arrow = equation.find("->");
  if (site.inputs.size() != 2 || comma == std::string::npos || arrow == std::string::npos ||
      comma > arrow || equation.find(',', comma + 1) != std::string::npos ||
      equation.find('.') != std::string::npos) {
    throw NodeError("only products of two operands such as 'bij,bjk->bik' are modelled, got '" +
                    equation + "'");
  }
  const Value& first = any_input(site, 0);
  const Value& second = any_input(site, 1);
  // Constant weights are the right-hand operand.
  const bool is_swapped = first.is_constant();
  const std::string left_letters = equation.substr(0, comma);
  const std::string right_letters = equation.substr(comma + 1, arrow - comma - 1);
  const std::string out_letters = equation.substr(arrow + 2);
  LetteredShape left = letter_axes(left_letters, first.shape);
  LetteredShape right = letter_axes(right_letters, second.shape);
  if (is_swapped) std::swap(left, right);
  std::map<char, std::int64_t> left_sizes(left.begin(), left.end());
  std::map<char, std::int64_t> right_sizes(right.begin(), right.end());

  Shape groups;
  Shape rows;
  Shape columns;
  Shape reduction;
  for (const auto& [letter, size] : left_sizes) {
    const bool is_kept = out_letters.find(letter) != std::string::npos;
    const auto other = right_sizes.find(letter);
    if (other != right_sizes.end() && other->second != size) {
      throw NodeError(std::string("the letter '") + letter + "' stands for " +
                      std::to_string(size) + " and " + std::to_string(other->second));
    }
    if (!is_kept && other == right_sizes.end()) {
      throw NodeError("a sum over an axis of one operand is not modelled");
    }
    (other == right_sizes.end() ? rows : is_kept ? groups : reduction).push_back(size);
  }
  for (const auto& [letter, size] : right_sizes) {
    if (left_sizes.contains(letter)) continue;
    if (out_letters.find(letter) == std::string::npos) {
      throw NodeError("a sum over an axis of one operand is not modelled");
    }
    columns.push_back(size);
  }
  Shape output;
  for (const char letter : out_letters) {
    const auto in_left = left_sizes.find(letter);
    const auto in_right = right_sizes.find(letter);
    if (in_left == left_sizes.end() && in_right == right_sizes.end()) {
      throw NodeError(std::string("the letter '") + letter + "' stands in the result only");
    }
    output.push_back(in_left != left_sizes.end() ? in_left->second : in_right->second);
  }
  if (output.size() != groups.size() + rows.size() + columns.size()) {
    throw NodeError("a letter that stands twice in the result is not modelled");
  }
  InferredLayer inferred =
      infer_matmul({element_count(groups), element_count(rows), element_count(reduction)},
                   {element_count(groups), element_count(reduction), element_count(columns)});
  inferred.output = std::move(output);
  const bool has_weights = first.is_constant() || second.is_constant();
  inferred.compute.second_operand_is_activation = !has_weights;
  if (first.is_constant() && second.is_constant()) {
    importer.set_constant(site, {inferred.output, false, {}});
  } else if (has_weights) {
    importer.add_compute(site, LayerKind::fully_connected, inferred,
                         {is_swapped ? std::size_t{1} : std::size_t{0}}, 0);
  } else {
    importer.add_compute(site, LayerKind::matmul, inferred, {0, 1}, 0);
  }
}

// Recurrent networks.

struct RecurrentKind {
  std::string_view op;
  std::int64_t gates;
  std::vector<std::string> gate_work;  // per hidden unit and step
};

const RecurrentKind& recurrent_kind(const std::string& op) {
  static const std::array<RecurrentKind, 3> kinds = {{
      {"LSTM", 4, {"Sigmoid", "Sigmoid", "Sigmoid", "Tanh", "Mul", "Mul", "Add", "Tanh", "Mul"}},
      {"GRU", 3, {"Sigmoid", "Sigmoid", "Mul", "Tanh", "Mul", "Mul", "Add"}},
      {"RNN", 1, {"Tanh"}},
  }};
  const auto found = std::find_if(kinds.begin(), kinds.end(),
                                  [&](const RecurrentKind& kind) { return kind.op == op; });
  ensure(found != kinds.end(), "a recurrent operator is known");
  return *found;
}

void check_shape(const char* what, const Shape& shape, const Shape& expected) {
  if (shape != expected) {
    throw NodeError(std::string(what) + " have the shape " + to_string(shape) + ", expected " +
                    to_string(expected));
  }
}

void import_recurrent(Importer& importer, const Site& site) {
  const RecurrentKind& kind = recurrent_kind(site.node.op);
  const Value& input = importer.activation(site, 0);
  const Shape& weights = importer.constant(site, 1).shape;
  const Shape& recurrence = importer.constant(site, 2).shape;
  const bool is_batch_first = integer_attribute(site.node, "layout", 0) != 0;
  const std::string direction = text_attribute(site.node, "direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    throw NodeError("attribute 'direction' is unknown: '" + direction + "'");
  }
  const std::int64_t directions = direction == "bidirectional" ? 2 : 1;
  if (input.shape.size() != 3 || recurrence.size() != 3) {
    throw NodeError("expected an input and weights of three axes, got " + to_string(input.shape) +
                    " and " + to_string(recurrence));
  }
  Shape sequence = input.shape;
  if (is_batch_first) std::swap(sequence[0], sequence[1]);
  const std::int64_t hidden = recurrence[2];
  element_count({kind.gates, std::max<std::int64_t>(hidden, 0)});
  if (integer_attribute(site.node, "hidden_size", hidden) != hidden) {
    throw NodeError("attribute 'hidden_size' does not fit the weights " + to_string(recurrence));
  }
  InferredRecurrent inferred = infer_recurrent(sequence, hidden, kind.gates, directions);
  check_shape("the weights", weights, {directions, kind.gates * hidden, sequence[2]});
  check_shape("the recurrent weights", recurrence, {directions, kind.gates * hidden, hidden});
  std::int64_t biases = 0;
  if (site.has_input(3)) {
    check_shape("the biases", importer.constant(site, 3).shape,
                {directions, 2 * kind.gates * hidden});
    biases = directions * kind.gates * hidden;
  }
  if (site.has_input(4) && !site.inputs[4].is_constant()) {
    throw NodeError("sequence lengths that are known only when the network runs are not modelled");
  }
  std::int64_t peepholes = 0;
  if (site.has_input(7)) peepholes = constant_count(importer.constant(site, 7).shape);

  const std::int64_t steps = sequence[0];
  const std::int64_t batch = sequence[1];
  const std::string name = importer.layer_name(site, true);
  if (is_batch_first) std::swap(inferred.input.output[0], inferred.input.output[1]);
  const TensorId gates =
      importer.add_layer(site, name + "/input", LayerKind::recurrent, inferred.input.compute,
                         std::nullopt, inferred.input.output, {input.tensor},
                         inferred.input.compute.weight_elements(), biases, {}, std::nullopt);
  std::vector<TensorId> states = {gates};
  for (const std::size_t index : {std::size_t{5}, std::size_t{6}}) {
    if (site.has_input(index) && site.inputs[index].is_activation()) {
      states.push_back(site.inputs[index].tensor);
    }
  }
  const Shape all_states =
      is_batch_first ? Shape{batch, steps, directions, hidden} : inferred.states;
  const Shape last_state =
      is_batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
  const bool has_sequence = !site.node.outputs.empty() && !site.node.outputs[0].empty();
  const TensorId output = importer.add_layer(
      site, name + "/recurrent", LayerKind::recurrent, inferred.recurrent.compute, std::nullopt,
      all_states, std::move(states), inferred.recurrent.compute.weight_elements(),
      biases + peepholes, kind.gate_work,
      has_sequence ? std::optional<std::size_t>(0) : std::nullopt);
  constexpr std::array<const char*, 3> kStateNames = {"", "/last_state", "/last_cell"};
  for (const std::size_t index : {std::size_t{1}, std::size_t{2}}) {
    if (!importer.is_used(site, index)) continue;
    importer.add_layer(site, name + kStateNames[index], LayerKind::move, std::nullopt,
                       infer_move(all_states, last_state).vector, last_state, {output}, 0, 0, {},
                       index);
  }
}

// Element-wise functions.

struct ElementwiseKind {
  std::string_view op;
  LayerKind kind;  // of two or more activations
};

constexpr std::array<ElementwiseKind, 20> kElementwise = {{
    {"Add", LayerKind::add},         {"Sub", LayerKind::add},
    {"Sum", LayerKind::add},         {"Mean", LayerKind::add},
    {"Max", LayerKind::add},         {"Min", LayerKind::add},
    {"Where", LayerKind::add},       {"Equal", LayerKind::add},
    {"Greater", LayerKind::add},     {"Less", LayerKind::add},
    {"And", LayerKind::add},         {"Or", LayerKind::add},
    {"Xor", LayerKind::add},         {"GreaterOrEqual", LayerKind::add},
    {"LessOrEqual", LayerKind::add}, {"Mul", LayerKind::mul},
    {"Div", LayerKind::mul},         {"Pow", LayerKind::mul},
    {"Mod", LayerKind::mul},         {"PRelu", LayerKind::mul},
}};

// An element-wise function of one activation: done on the fly by the unit that writes it, if nobody
// else reads what it is applied to.
void import_function(Importer& importer, const Site& site, const Value& input, Shape output,
                     std::int64_t stored) {
  Layer* producer = importer.fusable_producer(input);
  if (producer != nullptr && output == input.shape) {
    const bool is_shift = site.node.op == "Add" || site.node.op == "Sub";
    const bool is_bias = is_shift && producer->fused.empty() && producer->weights > 0 &&
                         producer->compute.has_value() &&
                         stored == producer->compute->groups * producer->compute->out_channels;
    producer->biases += stored;
    if (is_bias) {
      for (std::size_t index = 0; index < site.inputs.size(); ++index) {
        if (site.inputs[index].is_constant()) {
          importer.name_after_bias(*producer, site.node.inputs[index]);
        }
      }
    } else {
      producer->fused.push_back(site.node.op);
    }
    importer.set_alias(site, input, input.shape);
    return;
  }
  const std::int64_t elements = element_count(output);
  importer.add_vector(site, LayerKind::activation,
                      {std::move(output), {element_count(input.shape), elements, elements}}, stored,
                      {site.node.op});
}

void import_elementwise(Importer& importer, const Site& site) {
  if (site.inputs.empty()) throw NodeError("has no inputs");
  std::vector<const OnnxConstant*> constants;
  std::vector<Shape> shapes;
  std::vector<Shape> read;
  std::vector<TensorId> tensors;
  const Value* first = nullptr;
  std::int64_t stored = 0;
  for (std::size_t index = 0; index < site.inputs.size(); ++index) {
    if (!site.has_input(index)) {
      if (index == 0) throw NodeError(ordinal(0) + " is missing");
      continue;
    }
    const Value& value = site.inputs[index];
    if (value.is_constant()) {
      constants.push_back(value.constant.get());
      stored += stored_elements(value);
    } else {
      if (first == nullptr) first = &value;
      if (std::find(tensors.begin(), tensors.end(), value.tensor) == tensors.end()) {
        tensors.push_back(value.tensor);
        read.push_back(value.shape);
      }
    }
    shapes.push_back(value.shape);
  }
  if (first == nullptr) {
    importer.set_constant(site, fold_elementwise(site.node.op, constants));
    return;
  }
  Shape output = infer_elementwise(shapes).output;
  const auto kind =
      std::find_if(kElementwise.begin(), kElementwise.end(),
                   [&](const ElementwiseKind& row) { return row.op == site.node.op; });
  if (tensors.size() == 1) {
    import_function(importer, site, *first, std::move(output), stored);
    return;
  }
  if (kind == kElementwise.end()) {
    throw NodeError("operands that are computed from activations are not modelled");
  }
  VectorShape work;
  for (const Shape& shape : read) work.input_elements += element_count(shape);
  work.output_elements = element_count(output);
  work.operations = infer_elementwise(shapes).vector.operations;
  importer.add_layer(site, importer.layer_name(site, false), kind->kind, std::nullopt, work, output,
                     tensors, 0, stored, {}, 0);
}

// Normalization.

void import_batch_normalization(Importer& importer, const Site& site) {
  const Value& input = importer.activation(site, 0);
  const Shape& scale = importer.constant(site, 1).shape;
  if (input.shape.size() < 2 || scale != Shape{input.shape[1]}) {
    throw NodeError("the scale " + to_string(scale) + " does not fit the input " +
                    to_string(input.shape));
  }
  for (std::size_t index = 2; index < 5; ++index) {
    check_shape("the statistics", importer.constant(site, index).shape, scale);
  }
  const std::int64_t channels = input.shape[1];
  Layer* producer = importer.fusable_producer(input);
  if (producer != nullptr && producer->fused.empty() &&
      (producer->kind == LayerKind::convolution ||
       (producer->kind == LayerKind::fully_connected && input.shape.size() == 2)) &&
      producer->compute->groups * producer->compute->out_channels == channels) {
    producer->biases = channels;  // the scale goes into the weights
    importer.set_alias(site, input, input.shape);
    return;
  }
  importer.add_vector(site, LayerKind::normalization, infer_normalization(input.shape, false),
                      2 * channels);
}

void import_normalization(Importer& importer, const Site& site) {
  const Value& input = importer.activation(site, 0);
  if (importer.is_used(site, 1) || importer.is_used(site, 2)) {
    throw NodeError("the statistics as outputs are not modelled");
  }
  std::int64_t stored = 0;
  for (std::size_t index = 1; index < site.inputs.size(); ++index) {
    if (site.has_input(index)) stored += stored_elements(importer.constant(site, index));
  }
  importer.add_vector(site, LayerKind::normalization, infer_normalization(input.shape, true),
                      stored);
}

void import_softmax(Importer& importer, const Site& site) {
  importer.add_vector(site, LayerKind::softmax, infer_softmax(importer.activation(site, 0).shape));
}

void import_reduce(Importer& importer, const Site& site) {
  auto axes = list_attribute(site.node, "axes");
  if (!axes) axes = importer.integers(site, 1);
  const bool keeps = integer_attribute(site.node, "keepdims", 1) != 0;
  if (!axes && integer_attribute(site.node, "noop_with_empty_axes", 0) != 0) {
    importer.set_alias(site, importer.activation(site, 0), importer.activation(site, 0).shape);
    return;
  }
  if (!site.has_input(0)) throw NodeError(ordinal(0) + " is missing");
  const InferredVector inferred =
      infer_reduce(site.inputs[0].shape, axes.value_or(std::vector<std::int64_t>{}), keeps);
  if (site.inputs[0].is_constant()) {
    importer.set_constant(site, {inferred.output, site.inputs[0].constant->is_integral, {}});
  } else if (inferred.output == importer.activation(site, 0).shape) {
    importer.set_alias(site, site.inputs[0], inferred.output);
  } else {
    importer.add_vector(site, LayerKind::reduce, inferred);
  }
}

// Moving data.

// The same data in the same order.
void import_reshaped(Importer& importer, const Site& site, Shape output) {
  const Value& input = any_input(site, 0);
  if (input.is_constant()) {
    importer.set_constant(site, reshape(*input.constant, std::move(output)));
  } else {
    element_count(output);
    importer.set_alias(site, input, std::move(output));
  }
}

// Data that end up elsewhere; `source` says where an element comes from.
void import_moved(Importer& importer, const Site& site, Shape output,
                  const std::function<void(Shape& index)>& source) {
  const Value& input = any_input(site, 0);
  if (input.is_constant()) {
    importer.set_constant(site, rearrange(*input.constant, std::move(output), source));
  } else if (output == input.shape) {
    importer.set_alias(site, input, std::move(output));
  } else {
    importer.add_vector(site, LayerKind::move, infer_move(input.shape, std::move(output)));
  }
}

void import_identity(Importer& importer, const Site& site) {
  if (importer.is_used(site, 1)) throw NodeError("a second output is not modelled");
  import_reshaped(importer, site, any_input(site, 0).shape);
}

void import_cast(Importer& importer, const Site& site) {
  const Value& input = any_input(site, 0);
  if (!input.is_constant()) {
    importer.set_alias(site, input, input.shape);
    return;
  }
  constexpr std::int64_t kBool = 9;
  const std::int64_t to = integer_attribute(site.node, "to", 1);
  const bool is_integral = (to >= 2 && to <= 7) || to == kBool || to == 12 || to == 13;
  importer.set_constant(site, cast(*input.constant, is_integral, to == kBool));
}

void import_reshape(Importer& importer, const Site& site) {
  auto target = importer.integers(site, 1);
  if (!target) target = list_attribute(site.node, "shape");
  if (!target) throw NodeError(ordinal(1) + " is missing");
  const Value& input = any_input(site, 0);
  const bool zero_copies = integer_attribute(site.node, "allowzero", 0) == 0;
  if (input.is_constant() && constant_count(input.shape) == 0) {
    Shape empty = *target;
    std::replace(empty.begin(), empty.end(), std::int64_t{-1}, std::int64_t{0});
    if (constant_count(empty) != 0) throw NodeError("cannot reshape an empty constant");
    importer.set_constant(site, reshape(*input.constant, std::move(empty)));
    return;
  }
  import_reshaped(importer, site, infer_reshape(input.shape, *target, zero_copies));
}

void import_flatten(Importer& importer, const Site& site) {
  import_reshaped(importer, site,
                  infer_flatten(any_input(site, 0).shape, integer_attribute(site.node, "axis", 1)));
}

std::optional<std::vector<std::int64_t>> read_axes(Importer& importer, const Site& site) {
  auto axes = list_attribute(site.node, "axes");
  return axes ? axes : importer.integers(site, 1);
}

void import_squeeze(Importer& importer, const Site& site) {
  const Shape& shape = any_input(site, 0).shape;
  std::vector<bool> is_dropped(shape.size(), false);
  if (const auto axes = read_axes(importer, site)) {
    for (const std::int64_t axis : *axes) {
      const std::size_t at = resolve_axis(axis, shape.size());
      if (shape[at] != 1) {
        throw NodeError("axis " + std::to_string(at) + " of " + to_string(shape) +
                        " cannot be squeezed");
      }
      is_dropped[at] = true;
    }
  } else {
    for (std::size_t at = 0; at < shape.size(); ++at) is_dropped[at] = shape[at] == 1;
  }
  Shape output;
  for (std::size_t at = 0; at < shape.size(); ++at) {
    if (!is_dropped[at]) output.push_back(shape[at]);
  }
  import_reshaped(importer, site, std::move(output));
}

void import_unsqueeze(Importer& importer, const Site& site) {
  const Shape& shape = any_input(site, 0).shape;
  const auto axes = read_axes(importer, site);
  if (!axes) throw NodeError("the axes are missing");
  if (axes->size() > static_cast<std::size_t>(kMaxListed)) throw NodeError("too many axes");
  const std::size_t rank = shape.size() + axes->size();
  std::vector<bool> is_new(rank, false);
  for (const std::int64_t axis : *axes) {
    const std::size_t at = resolve_axis(axis, rank);
    if (is_new[at]) throw NodeError("axis " + std::to_string(at) + " is inserted twice");
    is_new[at] = true;
  }
  Shape output;
  for (std::size_t at = 0, from = 0; at < rank; ++at) {
    output.push_back(is_new[at] ? 1 : shape[from++]);
  }
  import_reshaped(importer, site, std::move(output));
}

void import_transpose(Importer& importer, const Site& site) {
  const Value& input = any_input(site, 0);
  Shape reversed(input.shape.size());
  for (std::size_t i = 0; i < reversed.size(); ++i) {
    reversed[i] = static_cast<std::int64_t>(reversed.size() - 1 - i);
  }
  const auto permutation = list_attribute(site.node, "perm").value_or(reversed);
  Shape output = infer_transpose(input.shape, permutation);
  if (!transpose_moves_data(input.shape, permutation)) {
    import_reshaped(importer, site, std::move(output));
    return;
  }
  if (input.is_activation()) {  // even where the shape stays the same, as of a square
    importer.add_vector(site, LayerKind::move, infer_move(input.shape, std::move(output)));
    return;
  }
  import_moved(importer, site, std::move(output), [permutation](Shape& index) {
    Shape from(index.size());
    for (std::size_t i = 0; i < index.size(); ++i) {
      from[static_cast<std::size_t>(permutation[i])] = index[i];
    }
    index = std::move(from);
  });
}

struct AxisRange {
  std::int64_t start = 0;
  std::int64_t step = 1;
};

void import_slice(Importer& importer, const Site& site) {
  const Value& input = any_input(site, 0);
  auto starts = list_attribute(site.node, "starts");
  auto ends = list_attribute(site.node, "ends");
  auto axes = list_attribute(site.node, "axes");
  if (!starts) starts = importer.integers(site, 1);
  if (!ends) ends = importer.integers(site, 2);
  if (!axes) axes = importer.integers(site, 3);
  const auto steps = importer.integers(site, 4);
  if (!starts || !ends) throw NodeError("starts or ends are missing");
  if (!axes) {
    axes.emplace();
    for (std::size_t i = 0; i < starts->size(); ++i) axes->push_back(static_cast<std::int64_t>(i));
  }
  if (ends->size() != starts->size() || axes->size() != starts->size() ||
      (steps && steps->size() != starts->size())) {
    throw NodeError("starts, ends, axes and steps have different lengths");
  }
  Shape output = input.shape;
  std::vector<AxisRange> ranges(output.size());
  for (std::size_t i = 0; i < starts->size(); ++i) {
    const std::size_t axis = resolve_axis((*axes)[i], output.size());
    const std::int64_t size = input.shape[axis];
    const std::int64_t step = steps ? (*steps)[i] : 1;
    if (step == 0 || step == std::numeric_limits<std::int64_t>::min()) {
      throw NodeError("a step of " + std::to_string(step));
    }
    const auto from_front = [size](std::int64_t at) { return at < 0 ? at + size : at; };
    const std::int64_t lowest = step > 0 ? 0 : -1;
    const std::int64_t highest = step > 0 ? size : size - 1;
    const std::int64_t start =
        std::clamp(from_front((*starts)[i]), std::int64_t{0}, highest < 0 ? 0 : highest);
    const std::int64_t end = std::clamp(from_front((*ends)[i]), lowest, highest);
    const std::int64_t span = step > 0 ? end - start : start - end;
    const std::int64_t stride = step > 0 ? step : -step;
    output[axis] = span > 0 ? (span - 1) / stride + 1 : 0;
    ranges[axis] = {start, step};
  }
  import_moved(importer, site, std::move(output), [&ranges](Shape& index) {
    for (std::size_t axis = 0; axis < index.size(); ++axis) {
      index[axis] = ranges[axis].start + index[axis] * ranges[axis].step;
    }
  });
}

void import_split(Importer& importer, const Site& site) {
  const Value& input = any_input(site, 0);
  const std::size_t axis =
      resolve_axis(integer_attribute(site.node, "axis", 0), input.shape.size());
  const std::size_t parts = site.node.outputs.size();
  auto sizes = list_attribute(site.node, "split");
  if (!sizes) sizes = importer.integers(site, 1);
  if (parts == 0) return;
  if (!sizes) {
    const std::int64_t each = ceil_div(input.shape[axis], static_cast<std::int64_t>(parts));
    sizes = std::vector<std::int64_t>(parts, each);
    sizes->back() = input.shape[axis] - each * static_cast<std::int64_t>(parts - 1);
  }
  std::int64_t rest = input.shape[axis];
  for (const std::int64_t size : *sizes) {
    if (size < 1 || size > rest) rest = -1;
    if (rest >= 0) rest -= size;
  }
  if (sizes->size() != parts || rest != 0) {
    throw NodeError("cannot split axis " + std::to_string(axis) + " of " + to_string(input.shape) +
                    " into " + to_string(*sizes));
  }
  std::int64_t offset = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    Shape output = input.shape;
    output[axis] = (*sizes)[part];
    if (input.is_constant()) {
      importer.set_constant(
          site, rearrange(*input.constant, output, [&](Shape& index) { index[axis] += offset; }),
          part);
    } else if (parts == 1) {
      importer.set_alias(site, input, output);
    } else if (importer.is_used(site, part)) {
      const InferredVector inferred = infer_move(input.shape, output);
      importer.add_layer(site, importer.layer_name(site, false) + "/" + std::to_string(part),
                         LayerKind::move, std::nullopt, inferred.vector, output, {input.tensor}, 0,
                         0, {}, part);
    }
    offset += (*sizes)[part];
  }
}

void import_pad(Importer& importer, const Site& site) {
  const Value& input = any_input(site, 0);
  auto pads = list_attribute(site.node, "pads");
  if (!pads) pads = importer.integers(site, 1);
  const std::size_t rank = input.shape.size();
  if (!pads || pads->size() != 2 * rank || site.has_input(3)) {
    throw NodeError("expected pads before and behind each axis of " + to_string(input.shape));
  }
  Shape output = input.shape;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    for (const std::int64_t pad : {(*pads)[axis], (*pads)[rank + axis]}) {
      if (pad < -kMaxWindow || pad > kMaxWindow) throw NodeError("pads out of range");
      output[axis] += pad;
    }
  }
  if (input.is_constant()) {
    constant_count(output);
    importer.set_constant(site, {std::move(output), input.constant->is_integral, {}});
    return;
  }
  import_moved(importer, site, std::move(output), {});
}

void import_gather(Importer& importer, const Site& site) {
  const Value& data = any_input(site, 0);
  const Value& indices = any_input(site, 1);
  const std::size_t axis = resolve_axis(integer_attribute(site.node, "axis", 0), data.shape.size());
  Shape output(data.shape.begin(), data.shape.begin() + static_cast<std::ptrdiff_t>(axis));
  output.insert(output.end(), indices.shape.begin(), indices.shape.end());
  output.insert(output.end(), data.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1,
                data.shape.end());
  if (indices.is_activation()) {
    if (!data.is_constant()) {
      throw NodeError(
          "indices that are computed from activations are modelled into constants only");
    }
    // An embedding: rows of a constant table.
    const std::int64_t rows = element_count(output);
    importer.add_layer(site, importer.layer_name(site, true), LayerKind::move, std::nullopt,
                       VectorShape{element_count(indices.shape) + rows, rows, 0}, output,
                       {indices.tensor}, element_count(data.shape), 0, {}, 0);
    return;
  }
  if (data.is_activation()) {
    if (data.shape[axis] == 1 && constant_count(output) == element_count(data.shape)) {
      importer.set_alias(site, data, std::move(output));
    } else {
      importer.add_vector(site, LayerKind::move, infer_move(data.shape, std::move(output)));
    }
    return;
  }
  const auto* positions = indices.constant->integers();
  const std::int64_t size = data.shape[axis];
  if (positions == nullptr) {
    constant_count(output);
    importer.set_constant(site, {std::move(output), data.constant->is_integral, {}});
    return;
  }
  for (const std::int64_t position : *positions) {
    if (position < -size || position >= size) {
      throw NodeError("index " + std::to_string(position) + " is outside axis " +
                      std::to_string(axis) + " of " + to_string(data.shape));
    }
  }
  const std::size_t index_rank = indices.shape.size();
  importer.set_constant(
      site, rearrange(*data.constant, std::move(output), [&](Shape& index) {
        std::int64_t flat = 0;
        for (std::size_t i = 0; i < index_rank; ++i) {
          flat = flat * indices.shape[i] + index[axis + i];
        }
        const std::int64_t position = (*positions)[static_cast<std::size_t>(flat)];
        Shape from(index.begin(), index.begin() + static_cast<std::ptrdiff_t>(axis));
        from.push_back(position < 0 ? position + size : position);
        from.insert(from.end(), index.begin() + static_cast<std::ptrdiff_t>(axis + index_rank),
                    index.end());
        index = std::move(from);
      }));
}

void import_concat(Importer& importer, const Site& site) {
  if (site.inputs.empty()) throw NodeError("has no inputs");
  const std::int64_t axis = integer_attribute(site.node, "axis", 1);
  std::vector<const OnnxConstant*> constants;
  std::vector<Shape> shapes;
  std::vector<TensorId> tensors;
  VectorShape work;
  std::int64_t stored = 0;
  for (std::size_t index = 0; index < site.inputs.size(); ++index) {
    const Value& value = any_input(site, index);
    if (value.is_constant()) {
      constants.push_back(value.constant.get());
      if (constant_count(value.shape) == 0 && value.shape.size() == 1) continue;
      stored += stored_elements(value);
    } else {
      tensors.push_back(value.tensor);
      work.input_elements += element_count(value.shape);
    }
    shapes.push_back(value.shape);
  }
  if (tensors.empty()) {
    importer.set_constant(site, concatenate(constants, axis));
    return;
  }
  const Shape output = infer_concat(shapes, axis).output;
  if (shapes.size() == 1) {
    importer.set_alias(site, site.inputs[activation_indices(site).front()], output);
    return;
  }
  work.output_elements = element_count(output);
  importer.add_layer(site, importer.layer_name(site, false), LayerKind::concat, std::nullopt, work,
                     output, tensors, 0, stored, {}, 0);
}

void import_expand(Importer& importer, const Site& site) {
  const auto target = importer.integers(site, 1);
  if (!target) throw NodeError(ordinal(1) + " is missing");
  const Shape from = any_input(site, 0).shape;
  Shape output = broadcast(from, *target);
  if (output.size() != from.size() && element_count(output) == element_count(from)) {
    import_reshaped(importer, site, std::move(output));
    return;
  }
  import_moved(importer, site, std::move(output), [&from](Shape& index) {
    index.erase(index.begin(), index.end() - static_cast<std::ptrdiff_t>(from.size()));
    for (std::size_t axis = 0; axis < from.size(); ++axis) {
      if (from[axis] == 1) index[axis] = 0;
    }
  });
}

void import_tile(Importer& importer, const Site& site) {
  const auto repeats = importer.integers(site, 1);
  const Shape from = any_input(site, 0).shape;
  if (!repeats || repeats->size() != from.size()) {
    throw NodeError("expected one repeat count for each axis of " + to_string(from));
  }
  Shape output = from;
  for (std::size_t axis = 0; axis < from.size(); ++axis) {
    element_count({from[axis], (*repeats)[axis]});
    output[axis] *= (*repeats)[axis];
  }
  import_moved(importer, site, std::move(output), [&from](Shape& index) {
    for (std::size_t axis = 0; axis < from.size(); ++axis) index[axis] %= from[axis];
  });
}

void import_resize(Importer& importer, const Site& site) {
  const Value& input = importer.activation(site, 0);
  const bool is_upsample = site.node.op == "Upsample";
  const std::size_t scales_at = is_upsample || site.node.inputs.size() == 2 ? 1 : 2;
  Shape output = input.shape;
  const auto sizes = is_upsample ? std::nullopt : importer.integers(site, 3);
  auto scales = attribute<std::vector<double>>(site.node, "scales");
  if (!scales && site.has_input(scales_at)) {
    const auto* values = importer.constant(site, scales_at).constant->reals();
    if (values != nullptr && !values->empty()) scales = *values;
  }
  if (sizes && sizes->size() == output.size()) {
    output = *sizes;
  } else if (scales && scales->size() == output.size()) {
    for (std::size_t axis = 0; axis < output.size(); ++axis) {
      const double size = static_cast<double>(output[axis]) * (*scales)[axis];
      if (!(size >= 1 && size <= static_cast<double>(kMaxElements))) {
        throw NodeError("scales out of range");
      }
      output[axis] = static_cast<std::int64_t>(size);
    }
  } else {
    throw NodeError("expected constant scales or sizes for each axis of " + to_string(input.shape));
  }
  InferredVector inferred = infer_move(input.shape, output);
  const std::string mode = text_attribute(site.node, "mode", "nearest");
  constexpr std::int64_t kLinearTaps = 4;
  constexpr std::int64_t kCubicTaps = 16;
  if (mode != "nearest") {
    inferred.vector.operations =
        inferred.vector.output_elements * (mode == "cubic" ? kCubicTaps : kLinearTaps);
  }
  if (output == input.shape) {
    importer.set_alias(site, input, output);
  } else {
    importer.add_vector(site, LayerKind::move, inferred);
  }
}

void import_depth_to_space(Importer& importer, const Site& site) {
  const Value& input = importer.activation(site, 0);
  const std::int64_t block = integer_attribute(site.node, "blocksize", 0);
  Shape output = input.shape;
  if (output.size() != 4 || block < 1 || block > kMaxWindow) {
    throw NodeError("expected an input of four axes and a block size, got " + to_string(output));
  }
  const bool to_space = site.node.op == "DepthToSpace";
  const std::int64_t area = block * block;
  if (to_space ? output[1] % area != 0 : output[2] % block != 0 || output[3] % block != 0) {
    throw NodeError("blocks of " + std::to_string(block) + " do not divide " + to_string(output));
  }
  output[1] = to_space ? output[1] / area : output[1] * area;
  output[2] = to_space ? output[2] * block : output[2] / block;
  output[3] = to_space ? output[3] * block : output[3] / block;
  import_moved(importer, site, std::move(output), {});
}

// Shapes as data.

void import_shape(Importer& importer, const Site& site) {
  const Shape& shape = any_input(site, 0).shape;
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto position = [rank](std::int64_t at) {
    return std::clamp(at < 0 ? at + rank : at, std::int64_t{0}, rank);
  };
  const std::int64_t start = position(integer_attribute(site.node, "start", 0));
  const std::int64_t end = std::max(start, position(integer_attribute(site.node, "end", rank)));
  importer.set_constant(site, make_constant({shape.begin() + start, shape.begin() + end}));
}

void import_size(Importer& importer, const Site& site) {
  importer.set_constant(site, make_scalar(constant_count(any_input(site, 0).shape)));
}

void import_constant(Importer& importer, const Site& site) {
  const OnnxNode& node = site.node;
  if (const auto value = attribute<OnnxConstant>(node, "value")) {
    importer.set_constant(site, *value);
  } else if (const auto integer = attribute<std::int64_t>(node, "value_int")) {
    importer.set_constant(site, make_scalar(*integer));
  } else if (const auto list = list_attribute(node, "value_ints")) {
    importer.set_constant(site, make_constant(*list));
  } else if (const auto real = attribute<double>(node, "value_float")) {
    importer.set_constant(site, {{}, false, OnnxConstant::Reals{*real}});
  } else if (const auto reals = attribute<std::vector<double>>(node, "value_floats")) {
    importer.set_constant(site, {{static_cast<std::int64_t>(reals->size())}, false, *reals});
  } else {
    throw NodeError("has no value that can be read");
  }
}

void import_constant_of_shape(Importer& importer, const Site& site) {
  const auto shape = importer.integers(site, 0);
  if (!shape) throw NodeError(ordinal(0) + " is missing");
  const auto value = attribute<OnnxConstant>(site.node, "value");
  constant_count(*shape);
  importer.set_constant(site, filled(*shape, value ? &*value : nullptr));
}

void import_range(Importer& importer, const Site& site) {
  importer.set_constant(
      site, range(*importer.constant(site, 0).constant, *importer.constant(site, 1).constant,
                  *importer.constant(site, 2).constant));
}

// Constants whose values no shape depends on: the shape of the first operand.
void import_constant_like_first(Importer& importer, const Site& site) {
  const Value& data = importer.constant(site, 0);
  for (std::size_t index = 1; index < site.inputs.size(); ++index) {
    if (site.has_input(index)) importer.constant(site, index);
  }
  importer.set_constant(site, {data.shape, data.constant->is_integral, {}});
}

// The operators.

using Handler = void (*)(Importer&, const Site&);

const std::map<std::string, Handler, std::less<>>& handlers() {
  static const std::map<std::string, Handler, std::less<>> table = [] {
    std::map<std::string, Handler, std::less<>> rows = {
        {"Conv", import_convolution},
        {"Gemm", import_gemm},
        {"MatMul", import_matmul},
        {"Einsum", import_einsum},
        {"LSTM", import_recurrent},
        {"GRU", import_recurrent},
        {"RNN", import_recurrent},
        {"MaxPool", import_pool},
        {"AveragePool", import_pool},
        {"GlobalAveragePool", import_global_pool},
        {"GlobalMaxPool", import_global_pool},
        {"BatchNormalization", import_batch_normalization},
        {"LayerNormalization", import_normalization},
        {"InstanceNormalization", import_normalization},
        {"GroupNormalization", import_normalization},
        {"LRN", import_normalization},
        {"LpNormalization", import_normalization},
        {"MeanVarianceNormalization", import_normalization},
        {"Softmax", import_softmax},
        {"LogSoftmax", import_softmax},
        {"ReduceMean", import_reduce},
        {"ReduceSum", import_reduce},
        {"ReduceMax", import_reduce},
        {"ReduceMin", import_reduce},
        {"ReduceProd", import_reduce},
        {"ReduceL1", import_reduce},
        {"ReduceL2", import_reduce},
        {"ReduceSumSquare", import_reduce},
        {"Identity", import_identity},
        {"Dropout", import_identity},
        {"Cast", import_cast},
        {"Reshape", import_reshape},
        {"Flatten", import_flatten},
        {"Squeeze", import_squeeze},
        {"Unsqueeze", import_unsqueeze},
        {"Transpose", import_transpose},
        {"Slice", import_slice},
        {"Split", import_split},
        {"Pad", import_pad},
        {"Gather", import_gather},
        {"Concat", import_concat},
        {"Expand", import_expand},
        {"Tile", import_tile},
        {"Resize", import_resize},
        {"Upsample", import_resize},
        {"DepthToSpace", import_depth_to_space},
        {"SpaceToDepth", import_depth_to_space},
        {"Shape", import_shape},
        {"Size", import_size},
        {"Constant", import_constant},
        {"ConstantOfShape", import_constant_of_shape},
        {"Range", import_range},
        {"ScatterND", import_constant_like_first},
        {"ScatterElements", import_constant_like_first},
        {"Trilu", import_constant_like_first},
        {"CumSum", import_constant_like_first},
    };
    for (const ElementwiseKind& row : kElementwise) {
      rows.emplace(std::string(row.op), import_elementwise);
    }
    for (const char* op :
         {"Relu",           "LeakyRelu",   "PRelu",     "Elu",  "Selu",     "Celu",
          "Sigmoid",        "HardSigmoid", "HardSwish", "Tanh", "Clip",     "Erf",
          "Sqrt",           "Exp",         "Log",       "Neg",  "Abs",      "Reciprocal",
          "Floor",          "Ceil",        "Round",     "Sign", "Softplus", "Softsign",
          "Mish",           "Gelu",        "Silu",      "Sin",  "Cos",      "Not",
          "ThresholdedRelu"}) {
      rows.emplace(op, import_elementwise);
    }
    return rows;
  }();
  return table;
}

constexpr std::array<std::string_view, 3> kQuantization = {"QuantizeLinear", "DequantizeLinear",
                                                           "FakeQuantize"};

bool is_quantization(const std::string& op) {
  return std::find(kQuantization.begin(), kQuantization.end(), op) != kQuantization.end();
}

// The graph.

void Importer::problem(const OnnxNode& node, const std::string& message) {
  problems_.error({file_}, "node '" + node.name + "' (" + node.op + ")", message);
}

void Importer::set_unknown(const OnnxNode& node) {
  for (const std::string& output : node.outputs) {
    if (!output.empty()) values_.try_emplace(output);
  }
}

std::string describe(const std::vector<OnnxSize>& shape) {
  std::string text = "[";
  for (const OnnxSize& size : shape) {
    if (text.size() > 1) text += ", ";
    if (const auto* number = std::get_if<std::int64_t>(&size)) {
      text += std::to_string(*number);
    } else {
      const std::string& name = std::get<std::string>(size);
      text += name.empty() ? "?" : name;
    }
  }
  return text + "]";
}

void Importer::read_constants() {
  for (const auto& [name, constant] : graph_.constants) {
    Value value;
    value.kind = Value::Kind::constant;
    value.shape = constant->shape;
    value.constant = constant;
    values_[name] = std::move(value);
  }
}

void Importer::read_inputs() {
  for (const OnnxValueInfo& info : graph_.inputs) {
    const std::string key = "input '" + info.name + "'";
    values_.try_emplace(info.name);
    if (!uses_.contains(info.name)) continue;
    if (!info.is_tensor || !info.shape) {
      problems_.error({file_}, key, info.is_tensor ? "has no shape" : "is not a tensor");
      continue;
    }
    Shape shape;
    std::vector<std::string> open;
    for (std::size_t axis = 0; axis < info.shape->size(); ++axis) {
      const OnnxSize& size = (*info.shape)[axis];
      if (const auto* number = std::get_if<std::int64_t>(&size)) {
        shape.push_back(*number);
      } else if (axis == 0) {
        shape.push_back(options_.batch.value_or(1));
        continue;
      } else {
        const std::string& name = std::get<std::string>(size);
        open.push_back(name.empty() ? "axis " + std::to_string(axis) : "'" + name + "'");
        continue;
      }
      if (axis == 0 && options_.batch && *options_.batch != shape.front()) {
        problems_.error({file_}, key,
                        "the file fixes the batch to " + std::to_string(shape.front()) +
                            ", it cannot be " + std::to_string(*options_.batch) +
                            "; export it with an open first dimension");
      }
    }
    if (!open.empty()) {
      std::string names;
      for (const std::string& name : open) names += (names.empty() ? "" : ", ") + name;
      problems_.error({file_}, key,
                      "the sizes " + describe(*info.shape) + " leave " + names +
                          " open; export the network with fixed sizes (only the batch, the first "
                          "dimension, may be open)");
      continue;
    }
    try {
      element_count(shape);
    } catch (const ShapeError& error) {
      problems_.error({file_}, key, error.what());
      continue;
    }
    Value value;
    value.kind = Value::Kind::activation;
    value.tensor = builder_.add_input(info.name, shape);
    value.shape = std::move(shape);
    values_[info.name] = std::move(value);
  }
}

// The nodes that an output depends on, each after those it reads from.
std::vector<std::size_t> Importer::needed_nodes() {
  std::unordered_map<std::string, std::size_t> producers;
  for (std::size_t index = 0; index < graph_.nodes.size(); ++index) {
    const OnnxNode& node = graph_.nodes[index];
    for (const std::string& output : node.outputs) {
      if (output.empty()) continue;
      if (values_.contains(output) || !producers.emplace(output, index).second) {
        problem(node, "its output '" + output + "' is produced elsewhere already");
      }
    }
  }
  std::unordered_set<std::string> inputs;
  for (const OnnxValueInfo& info : graph_.inputs) inputs.insert(info.name);

  std::vector<bool> is_needed(graph_.nodes.size(), false);
  std::vector<std::size_t> open;
  const auto need = [&](const std::string& name) {
    const auto found = producers.find(name);
    if (found == producers.end()) return inputs.contains(name) || values_.contains(name);
    if (!is_needed[found->second]) {
      is_needed[found->second] = true;
      open.push_back(found->second);
    }
    return true;
  };
  for (const OnnxValueInfo& output : graph_.outputs) {
    if (!need(output.name)) {
      problems_.error({file_}, "output '" + output.name + "'", "nothing produces it");
    }
  }
  std::vector<std::pair<std::size_t, std::size_t>> edges;
  while (!open.empty()) {
    const std::size_t index = open.back();
    open.pop_back();
    for (const std::string& input : graph_.nodes[index].inputs) {
      if (input.empty()) continue;
      if (!need(input)) {
        problem(graph_.nodes[index], "nothing produces its input '" + input + "'");
      } else if (const auto found = producers.find(input); found != producers.end()) {
        edges.emplace_back(found->second, index);
      }
    }
  }
  problems_.throw_if_any();
  const DependencyOrder sorted = dependency_order(graph_.nodes.size(), edges);
  if (!sorted.cycle.empty()) {
    std::vector<std::string> names;
    for (const std::size_t index : sorted.cycle) names.push_back(graph_.nodes[index].name);
    throw InputError({file_}, "", "the nodes form a cycle: " + describe_cycle(names));
  }
  std::vector<std::size_t> nodes;
  for (const std::size_t index : sorted.order) {
    if (is_needed[index]) nodes.push_back(index);
  }
  return nodes;
}

// Operators that ask only for the shape do not read the tensor.
void Importer::count_uses(const std::vector<std::size_t>& nodes) {
  for (const std::size_t index : nodes) {
    const OnnxNode& node = graph_.nodes[index];
    const bool reads = node.op != "Shape" && node.op != "Size";
    for (const std::string& input : node.inputs) {
      if (!input.empty()) uses_[input] += reads ? 1 : 0;
    }
  }
}

// Passes an operator through that the user asked to ignore, or that only changes the number format.
bool Importer::pass_ignored(const Site& site) {
  const OnnxNode& node = site.node;
  const auto is_listed = [&](const std::string& name) {
    return std::find(options_.ignore.begin(), options_.ignore.end(), name) != options_.ignore.end();
  };
  if (!is_quantization(node.op) && !is_listed(node.op) && !is_listed(node.name)) return false;
  const std::vector<std::size_t> activations = activation_indices(site);
  const Value* input = nullptr;
  if (activations.size() == 1) {
    input = &site.inputs[activations.front()];
  } else if (activations.empty() && is_quantization(node.op) && site.has_input(0)) {
    input = &site.inputs[0];
  }
  if (input == nullptr || node.outputs.empty()) {
    throw NodeError("cannot be ignored: it has " + std::to_string(activations.size()) +
                    " activation inputs, expected one");
  }
  builder_.add_ignored(node.op + " (" + node.name + ")");
  if (input->is_constant()) {
    set_constant(site, {input->shape, false, {}});
  } else {
    set_alias(site, *input, input->shape);
  }
  return true;
}

// Shapes are checked, not trusted.
void Importer::check_stated(const OnnxNode& node) {
  for (const std::string& output : node.outputs) {
    const auto value = values_.find(output);
    const auto info = graph_.stated.find(output);
    if (value == values_.end() || value->second.kind == Value::Kind::unknown ||
        info == graph_.stated.end() || !info->second.shape) {
      continue;
    }
    const std::vector<OnnxSize>& stated = *info->second.shape;
    const Shape& shape = value->second.shape;
    bool agrees = stated.size() == shape.size();
    for (std::size_t axis = 0; agrees && axis < shape.size(); ++axis) {
      const auto* number = std::get_if<std::int64_t>(&stated[axis]);
      agrees = number == nullptr || *number == shape[axis];
    }
    if (!agrees) {
      problem(node, "the file says that '" + output + "' is " + describe(stated) + ", but it is " +
                        to_string(shape));
    }
  }
}

void Importer::import_node(const OnnxNode& node) {
  Site site{node, {}};
  for (const std::string& input : node.inputs) {
    if (input.empty()) {
      site.inputs.emplace_back();
      continue;
    }
    const auto found = values_.find(input);
    ensure(found != values_.end(), "the producers of a node's inputs come before it");
    if (found->second.kind == Value::Kind::unknown) {  // reported where it arose
      set_unknown(node);
      return;
    }
    site.inputs.push_back(found->second);
  }
  try {
    if (!pass_ignored(site)) {
      const auto handler = handlers().find(node.op);
      if (handler == handlers().end()) {
        throw NodeError(node.has_subgraph
                            ? "operators with subgraphs are not modelled"
                            : "this operator is not modelled; list it under 'ignore' to pass its "
                              "input through");
      }
      handler->second(*this, site);
    }
    check_stated(node);
  } catch (const NodeError& error) {
    problem(node, error.what());
  } catch (const ShapeError& error) {
    problem(node, error.what());
  }
  set_unknown(node);  // those outputs that no handler has set
}

void Importer::mark_outputs() {
  for (const OnnxValueInfo& info : graph_.outputs) {
    const auto found = values_.find(info.name);
    if (found == values_.end()) continue;
    const Value& value = found->second;
    if (value.is_activation()) builder_.mark_output(value.tensor);
    if (value.kind == Value::Kind::unknown && problems_.empty()) {
      problems_.error({file_}, "output '" + info.name + "'", "is not modelled");
    }
  }
}

Network Importer::run() {
  if (options_.batch && *options_.batch < 1) {
    throw InputError({file_}, "",
                     "expected a batch of at least 1, got " + std::to_string(*options_.batch));
  }
  if (graph_.outputs.empty()) throw InputError({file_}, "", "the graph has no outputs");
  recognise_patterns(graph_);
  for (const OnnxValueInfo& output : graph_.outputs) {
    output_names_.insert(output.name);
    graph_.stated.try_emplace(output.name, output);
  }
  read_constants();
  const std::vector<std::size_t> nodes = needed_nodes();
  count_uses(nodes);
  read_inputs();
  for (const std::size_t index : nodes) import_node(graph_.nodes[index]);
  mark_outputs();
  problems_.throw_if_any();
  return builder_.build();
}

}  // namespace

Network import_onnx(const std::string& path, const OnnxOptions& options) {
  return Importer(read_onnx_graph(path), path, options).run();
}

Network import_onnx_bytes(std::span<const std::byte> bytes, const std::string& file,
                          const OnnxOptions& options) {
  return Importer(parse_onnx_graph(bytes, file), file, options).run();
}

}  // namespace widthwise
