#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/base/error.hpp"
#include "models/network/onnx_constants.hpp"
#include "models/network/onnx_importer.hpp"

namespace widthwise::onnx_import {

namespace {

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

}  // namespace

void import_convolution(Importer& importer, const Site& site) {
  const Value& input = importer.activation(site, 0);
  const OnnxConstant& weights = *importer.constant(site, 1).constant;
  const Shape& weight = weights.shape;
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
    if (site.node.attributes.contains("kernel_shape") && stated != weight[2 + i]) {
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
                       bias_elements(importer, site, 2, weight[0]), &weights);
}

void import_pool(Importer& importer, const Site& site) {
  const Value& input = importer.activation(site, 0);
  if (importer.is_used(site, 1)) throw NodeError("the indices of a pool are not modelled");
  if (list_attribute(site.node, "kernel_shape") == std::nullopt) {
    throw NodeError("attribute 'kernel_shape' is missing");
  }
  InferredVector inferred = infer_pool(input.shape, read_window(site.node, input.shape));
  if (site.node.op == "AveragePool") {
    inferred.pool->count_include_pad = integer_attribute(site.node, "count_include_pad", 0) != 0;
  }
  if (inferred.output == input.shape && inferred.vector.operations == element_count(input.shape)) {
    importer.set_alias(site, input, input.shape);  // a window of one element
    return;
  }
  importer.add_vector(site, LayerKind::pool, inferred);
}

void import_global_pool(Importer& importer, const Site& site) {
  importer.add_vector(site, LayerKind::pool, infer_global_pool(importer.activation(site, 0).shape));
}

namespace {

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

// The last two axes of [..., K, N] exchanged: output features first.
OnnxConstant features_first(const OnnxConstant& weights) {
  std::vector<std::int64_t> permutation(weights.shape.size());
  std::iota(permutation.begin(), permutation.end(), std::int64_t{0});
  std::swap(permutation[permutation.size() - 1], permutation[permutation.size() - 2]);
  return transpose(weights, permutation);
}

}  // namespace

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
  OnnxConstant weights;
  if (left_is_constant && right_is_constant) {
    inferred = infer_matmul(left, right);
  } else if (right_is_constant) {
    inferred = infer_constant_right(left, right);
    weights = features_first(reshape(*site.inputs[1].constant, right));
  } else if (left_is_constant) {
    inferred = infer_constant_left(left, right);
    inputs = {1};
    weights = reshape(*site.inputs[0].constant, left);
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
  const bool has_weights = left_is_constant || right_is_constant;
  importer.add_compute(site, kind, inferred, inputs, 0, has_weights ? &weights : nullptr);
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
    const OnnxConstant weights =
        transposes_right ? *other.constant : features_first(*other.constant);
    importer.add_compute(site, LayerKind::fully_connected, infer_constant_right(left, right), {0},
                         biases, &weights);
  } else {
    importer.add_compute(site, LayerKind::matmul, infer_matmul(left, right), {0, 1}, biases);
  }
}

namespace {

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

}  // namespace

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
  std::string group_letters;
  std::string column_letters;
  std::string reduction_letters;
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
    if (other != right_sizes.end()) (is_kept ? group_letters : reduction_letters) += letter;
  }
  for (const auto& [letter, size] : right_sizes) {
    if (left_sizes.contains(letter)) continue;
    if (out_letters.find(letter) == std::string::npos) {
      throw NodeError("a sum over an axis of one operand is not modelled");
    }
    columns.push_back(size);
    column_letters += letter;
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
  OnnxConstant weights;
  if (second.is_constant() || first.is_constant()) {
    const Value& constant = is_swapped ? first : second;
    const std::string& letters = is_swapped ? left_letters : right_letters;
    std::vector<std::int64_t> permutation;
    for (const std::string& part : {group_letters, column_letters, reduction_letters}) {
      for (const char letter : part) {
        permutation.push_back(static_cast<std::int64_t>(letters.find(letter)));
      }
    }
    weights = transpose(*constant.constant, permutation);
  }
  const bool has_weights = first.is_constant() || second.is_constant();
  inferred.compute.second_operand_is_activation = !has_weights;
  if (first.is_constant() && second.is_constant()) {
    importer.set_constant(site, {inferred.output, false, {}});
  } else if (has_weights) {
    importer.add_compute(site, LayerKind::fully_connected, inferred,
                         {is_swapped ? std::size_t{1} : std::size_t{0}}, 0, &weights);
  } else {
    importer.add_compute(site, LayerKind::matmul, inferred, {0, 1}, 0);
  }
}

namespace {

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

}  // namespace

void import_recurrent(Importer& importer, const Site& site) {
  const RecurrentKind& kind = recurrent_kind(site.node.op);
  const Value& input = importer.activation(site, 0);
  const Value& input_weights = importer.constant(site, 1);
  const Value& recurrent_weights = importer.constant(site, 2);
  const Shape& weights = input_weights.shape;
  const Shape& recurrence = recurrent_weights.shape;
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
  Layer all_gates;
  all_gates.name = name + "/input";
  all_gates.kind = LayerKind::recurrent;
  all_gates.compute = inferred.input.compute;
  all_gates.inputs = {input.tensor};
  all_gates.weights = inferred.input.compute.weight_elements();
  all_gates.biases = biases;
  const TensorId gates =
      importer.add_layer(site, std::move(all_gates), inferred.input.output, std::nullopt);
  importer.record_weights(gates, *input_weights.constant);
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
  Layer step_by_step;
  step_by_step.name = name + "/recurrent";
  step_by_step.kind = LayerKind::recurrent;
  step_by_step.compute = inferred.recurrent.compute;
  step_by_step.inputs = std::move(states);
  step_by_step.weights = inferred.recurrent.compute.weight_elements();
  step_by_step.biases = biases + peepholes;
  step_by_step.fused = kind.gate_work;
  const TensorId output =
      importer.add_layer(site, std::move(step_by_step), all_states,
                         has_sequence ? std::optional<std::size_t>(0) : std::nullopt);
  importer.record_weights(output, *recurrent_weights.constant);
  constexpr std::array<const char*, 3> kStateNames = {"", "/last_state", "/last_cell"};
  for (const std::size_t index : {std::size_t{1}, std::size_t{2}}) {
    if (!importer.is_used(site, index)) continue;
    Layer copy =
        importer.vector_layer(site, LayerKind::move, infer_move(all_states, last_state).vector);
    copy.name = name + kStateNames[index];
    copy.inputs = {output};
    importer.add_layer(site, std::move(copy), last_state, index);
  }
}

}  // namespace widthwise::onnx_import
