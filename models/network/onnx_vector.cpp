#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "models/network/onnx_constants.hpp"
#include "models/network/onnx_importer.hpp"

namespace widthwise::onnx_import {

namespace {

// Element-wise functions.

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

}  // namespace

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
  Layer layer = importer.vector_layer(site, kind->kind, work);
  layer.inputs = std::move(tensors);
  layer.biases = stored;
  importer.add_layer(site, std::move(layer), std::move(output), 0);
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

std::span<const ElementwiseKind> elementwise_kinds() { return kElementwise; }

}  // namespace widthwise::onnx_import
