#include "models/network/network_yaml.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "models/base/error.hpp"
#include "models/base/text.hpp"
#include "models/config/yaml_reader.hpp"
#include "models/network/network_builder.hpp"
#include "models/network/shape_inference.hpp"

namespace widthwise {

namespace {

constexpr std::int64_t kMaxSize = std::int64_t{1} << 40;    // of one axis; products are checked too
constexpr std::int64_t kMaxWindow = std::int64_t{1} << 20;  // kernel, stride, padding, dilation
constexpr Range<std::int64_t> kSizes = {1, kMaxSize};

constexpr std::array<std::string_view, 12> kActivations = {
    "relu", "relu6", "leaky_relu", "prelu",        "elu",        "sigmoid",
    "tanh", "gelu",  "silu",       "hard_sigmoid", "hard_swish", "softplus"};

/// What the name of an input or layer stands for: a tensor seen in some shape.
struct Value {
  TensorId tensor = 0;
  Shape shape;
};

struct KindRow;

/// One mapping under `layers`.
struct Entry {
  MapReader reader;
  std::string name;
  const KindRow* kind = nullptr;
  std::vector<std::string> input_names;
  std::optional<Value> result;  // once it is built

  /// About the layer as a whole.
  void error(const std::string& message) {
    reader.problems().error(reader.place(), reader.path(), message);
  }
};

/// What the builders of the kinds work on: one entry with its inputs.
class LayerSite {
 public:
  LayerSite(Entry& entry, NetworkBuilder& builder, std::vector<Value> inputs, bool is_ready)
      : entry_(entry), builder_(builder), inputs_(std::move(inputs)), is_ready_(is_ready) {}

  [[nodiscard]] MapReader& reader() { return entry_.reader; }
  [[nodiscard]] const std::string& name() const { return entry_.name; }
  [[nodiscard]] const Value& input() const { return inputs_.front(); }
  [[nodiscard]] const std::vector<Value>& inputs() const { return inputs_; }
  [[nodiscard]] std::vector<Shape> input_shapes() const;

  /// False if an input could not be built or a key was wrong: keys are still read, to report all
  /// mistakes, but no shape can be inferred.
  [[nodiscard]] bool is_ready() const { return is_ready_ && reader_errors_ == 0; }

  void integer(std::string_view key, Need need, std::int64_t& target, Range<std::int64_t> range);
  void boolean(std::string_view key, bool& target);
  void integers(std::string_view key, Need need, std::vector<std::int64_t>& target,
                Range<std::int64_t> range);

  /// One number for both axes, or [height, width].
  void pair(std::string_view key, Need need, std::int64_t (&target)[2], Range<std::int64_t> range);

  /// One number, [height, width] or [top, left, bottom, right].
  void padding(Window& window);

  /// The layer's `activation`, if it has one.
  std::vector<std::string> activation();

  /// Adds a layer whose output is called `name` and makes it the entry's result.
  Value add_compute(const std::string& name, LayerKind kind, const InferredLayer& inferred,
                    const std::vector<Value>& inputs, std::int64_t biases,
                    std::vector<std::string> fused = {});
  Value add_vector(const std::string& name, LayerKind kind, const InferredVector& inferred,
                   const std::vector<Value>& inputs, std::int64_t biases,
                   std::vector<std::string> fused = {});

  void finish(Value result) { entry_.result = std::move(result); }

 private:
  Value add(Layer layer, Shape output, const std::vector<Value>& inputs);
  const YamlNode* take(std::string_view key, Need need);

  Entry& entry_;
  NetworkBuilder& builder_;
  std::vector<Value> inputs_;
  bool is_ready_;
  int reader_errors_ = 0;
};

/// What a kind is called, how many inputs it takes, and how its layers are made.
struct KindRow {
  std::string_view name;
  std::size_t min_inputs;
  std::size_t max_inputs;
  void (*build)(LayerSite&);
};

std::vector<Shape> LayerSite::input_shapes() const {
  std::vector<Shape> shapes;
  for (const Value& value : inputs_) shapes.push_back(value.shape);
  return shapes;
}

const YamlNode* LayerSite::take(std::string_view key, Need need) {
  const YamlNode* node = reader().take(key, need);
  if (node == nullptr && need == Need::required) ++reader_errors_;
  return node;
}

void LayerSite::integer(std::string_view key, Need need, std::int64_t& target,
                        Range<std::int64_t> range) {
  const bool is_wanted = need == Need::required || reader().has(key);
  if (!reader().integer(key, need, target, range) && is_wanted) ++reader_errors_;
}

void LayerSite::boolean(std::string_view key, bool& target) {
  const bool is_wanted = reader().has(key);
  if (!reader().boolean(key, Need::optional, target) && is_wanted) ++reader_errors_;
}

std::optional<std::vector<std::int64_t>> read_integers(const YamlNode& node,
                                                       const std::string& path,
                                                       Diagnostics& problems,
                                                       Range<std::int64_t> range) {
  if (node.kind != YamlNode::Kind::list) {
    problems.error(node.place, path, "expected a list of integers, got " + describe(node));
    return std::nullopt;
  }
  std::vector<std::int64_t> values;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const auto value =
        read_integer(node.children[i], path + "[" + std::to_string(i) + "]", problems, range);
    if (value) values.push_back(*value);
  }
  if (values.size() != node.children.size()) return std::nullopt;
  return values;
}

void LayerSite::integers(std::string_view key, Need need, std::vector<std::int64_t>& target,
                         Range<std::int64_t> range) {
  const YamlNode* node = take(key, need);
  if (node == nullptr) return;
  auto values = read_integers(*node, reader().path_of(key), reader().problems(), range);
  if (values) {
    target = std::move(*values);
  } else {
    ++reader_errors_;
  }
}

void LayerSite::pair(std::string_view key, Need need, std::int64_t (&target)[2],
                     Range<std::int64_t> range) {
  const YamlNode* node = take(key, need);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::list) {
    const auto value = read_integer(*node, reader().path_of(key), reader().problems(), range);
    if (value) {
      target[0] = target[1] = *value;
    } else {
      ++reader_errors_;
    }
    return;
  }
  const auto values = read_integers(*node, reader().path_of(key), reader().problems(), range);
  if (values && values->size() == 2) {
    target[0] = (*values)[0];
    target[1] = (*values)[1];
    return;
  }
  ++reader_errors_;
  if (values) {
    reader().error(key, "expected one integer or [height, width], got " +
                            std::to_string(values->size()) + " values");
  }
}

void LayerSite::padding(Window& window) {
  constexpr std::string_view kKey = "padding";
  constexpr Range<std::int64_t> kRange = {0, kMaxWindow};
  const YamlNode* node = take(kKey, Need::optional);
  if (node == nullptr) return;
  if (node->kind == YamlNode::Kind::scalar && node->text == "same") {
    window.auto_pad = AutoPad::same_upper;
    return;
  }
  if (node->kind != YamlNode::Kind::list || node->children.size() != 4) {
    pair(kKey, Need::optional, window.pad_begin, kRange);
    std::copy(std::begin(window.pad_begin), std::end(window.pad_begin), window.pad_end);
    return;
  }
  const auto values = read_integers(*node, reader().path_of(kKey), reader().problems(), kRange);
  if (!values) {
    ++reader_errors_;
    return;
  }
  window.pad_begin[0] = (*values)[0];
  window.pad_begin[1] = (*values)[1];
  window.pad_end[0] = (*values)[2];
  window.pad_end[1] = (*values)[3];
}

std::string read_function(MapReader& reader, std::string_view key, Need need, bool& is_wrong) {
  const YamlNode* node = reader.take(key, need);
  if (node == nullptr) {
    is_wrong = need == Need::required;
    return "";
  }
  const std::vector<std::string> names(kActivations.begin(), kActivations.end());
  const auto index = read_choice(*node, reader.path_of(key), reader.problems(), names);
  is_wrong = !index;
  return index ? names[*index] : "";
}

std::vector<std::string> LayerSite::activation() {
  bool is_wrong = false;
  std::string function = read_function(reader(), "activation", Need::optional, is_wrong);
  if (is_wrong) ++reader_errors_;
  return function.empty() ? std::vector<std::string>{} : std::vector<std::string>{function};
}

Value LayerSite::add(Layer layer, Shape output, const std::vector<Value>& inputs) {
  layer.op = entry_.kind->name;
  for (const Value& value : inputs) layer.inputs.push_back(value.tensor);
  Value result{builder_.add_tensor(layer.name, output), std::move(output)};
  layer.output = result.tensor;
  builder_.add_layer(std::move(layer), reader().place());
  finish(result);
  return result;
}

Value LayerSite::add_compute(const std::string& layer_name, LayerKind kind,
                             const InferredLayer& inferred, const std::vector<Value>& inputs,
                             std::int64_t biases, std::vector<std::string> fused) {
  Layer layer;
  layer.name = layer_name;
  layer.kind = kind;
  layer.compute = inferred.compute;
  layer.weights =
      inferred.compute.second_operand_is_activation ? 0 : inferred.compute.weight_elements();
  layer.biases = biases;
  layer.fused = std::move(fused);
  return add(std::move(layer), inferred.output, inputs);
}

Value LayerSite::add_vector(const std::string& layer_name, LayerKind kind,
                            const InferredVector& inferred, const std::vector<Value>& inputs,
                            std::int64_t biases, std::vector<std::string> fused) {
  Layer layer;
  layer.name = layer_name;
  layer.kind = kind;
  layer.vector = inferred.vector;
  layer.pool = inferred.pool;
  layer.biases = biases;
  layer.fused = std::move(fused);
  return add(std::move(layer), inferred.output, inputs);
}

// The kinds.

void build_convolution(LayerSite& site) {
  std::int64_t out_channels = 0;
  std::int64_t groups = 1;
  bool bias = false;
  Window window;
  site.integer("out_channels", Need::required, out_channels, kSizes);
  site.pair("kernel", Need::required, window.kernel, {1, kMaxWindow});
  site.pair("stride", Need::optional, window.stride, {1, kMaxWindow});
  site.pair("dilation", Need::optional, window.dilation, {1, kMaxWindow});
  site.padding(window);
  site.integer("groups", Need::optional, groups, kSizes);
  site.boolean("bias", bias);
  const auto fused = site.activation();
  if (!site.is_ready()) return;
  if (site.input().shape.size() == 3) {  // one spatial axis: [batch, channels, width]
    window.kernel[0] = window.stride[0] = window.dilation[0] = 1;
    window.pad_begin[0] = window.pad_end[0] = 0;
  }
  site.add_compute(site.name(), LayerKind::convolution,
                   infer_convolution(site.input().shape, out_channels, groups, window),
                   site.inputs(), bias ? out_channels : 0, fused);
}

void build_fully_connected(LayerSite& site) {
  std::int64_t out_features = 0;
  bool bias = false;
  site.integer("out_features", Need::required, out_features, kSizes);
  site.boolean("bias", bias);
  const auto fused = site.activation();
  if (!site.is_ready()) return;
  const Shape& input = site.input().shape;
  if (input.size() != 2 && input.size() != 3) {
    throw ShapeError("expected an input [batch, features] or [batch, positions, features], got " +
                     to_string(input) + "; put a layer of kind flatten in front");
  }
  site.add_compute(site.name(), LayerKind::fully_connected,
                   infer_fully_connected(input, out_features), site.inputs(),
                   bias ? out_features : 0, fused);
}

void build_matmul(LayerSite& site) {
  bool transpose_right = false;
  site.boolean("transpose_right", transpose_right);
  const auto fused = site.activation();
  if (!site.is_ready()) return;
  Shape right = site.inputs()[1].shape;
  if (transpose_right && right.size() >= 2)
    std::swap(right[right.size() - 1], right[right.size() - 2]);
  site.add_compute(site.name(), LayerKind::matmul, infer_matmul(site.input().shape, right),
                   site.inputs(), 0, fused);
}

void build_recurrent(LayerSite& site, std::int64_t gates, std::vector<std::string> gate_work) {
  std::int64_t hidden = 0;
  bool bidirectional = false;
  bool bias = false;
  site.integer("hidden", Need::required, hidden, kSizes);
  site.boolean("bidirectional", bidirectional);
  site.boolean("bias", bias);
  if (!site.is_ready()) return;
  const Shape& input = site.input().shape;
  if (input.size() != 3) {
    throw ShapeError("expected an input [batch, sequence, features], got " + to_string(input));
  }
  const std::int64_t directions = bidirectional ? 2 : 1;
  InferredRecurrent inferred =
      infer_recurrent({input[1], input[0], input[2]}, hidden, gates, directions);
  std::swap(inferred.input.output[0], inferred.input.output[1]);  // batch first, as all YAML
  inferred.recurrent.output = {input[0], input[1], directions * hidden};
  const std::int64_t biases = bias ? directions * gates * hidden : 0;
  const Value gate_inputs = site.add_compute(site.name() + "/input", LayerKind::recurrent,
                                             inferred.input, site.inputs(), biases);
  site.add_compute(site.name() + "/recurrent", LayerKind::recurrent, inferred.recurrent,
                   {gate_inputs}, biases, std::move(gate_work));
}

void build_lstm(LayerSite& site) {
  build_recurrent(site, 4,
                  {"sigmoid", "sigmoid", "sigmoid", "tanh", "mul", "mul", "add", "tanh", "mul"});
}

void build_gru(LayerSite& site) {
  build_recurrent(site, 3, {"sigmoid", "sigmoid", "mul", "tanh", "mul", "mul", "add"});
}

void build_rnn(LayerSite& site) { build_recurrent(site, 1, {"tanh"}); }

// Query, key and value projections, the two products of every head, the output projection. Heads
// are read in place: splitting and joining them moves nothing.
void build_attention(LayerSite& site) {
  std::int64_t heads = 0;
  bool bias = false;
  site.integer("heads", Need::required, heads, kSizes);
  site.boolean("bias", bias);
  if (!site.is_ready()) return;
  const Shape input = site.input().shape;
  if (input.size() != 3 || input[2] % heads != 0) {
    throw ShapeError("expected an input [batch, sequence, features] with features divisible by " +
                     std::to_string(heads) + " heads, got " + to_string(input));
  }
  const std::int64_t sequence = input[1];
  const std::int64_t features = input[2];
  const auto projection = [&](const char* part, const std::vector<Value>& from) {
    return site.add_compute(site.name() + "." + part, LayerKind::fully_connected,
                            infer_fully_connected(from.front().shape, features), from,
                            bias ? features : 0);
  };
  const Value query = projection("query", {site.input()});
  const Value key = projection("key", {site.input()});
  const Value value = projection("value", {site.input()});
  const Shape head_rows = {input[0], heads, sequence, features / heads};
  const Shape head_columns = {input[0], heads, features / heads, sequence};
  const Value scores =
      site.add_compute(site.name() + ".scores", LayerKind::matmul,
                       infer_matmul(head_rows, head_columns), {query, key}, 0, {"scale"});
  const Value shares = site.add_vector(site.name() + ".softmax", LayerKind::softmax,
                                       infer_softmax(scores.shape), {scores}, 0);
  InferredLayer context = infer_matmul(shares.shape, head_rows);
  context.output = input;
  const Value joined =
      site.add_compute(site.name() + ".context", LayerKind::matmul, context, {shares, value}, 0);
  projection("output", {joined});
}

void build_pool(LayerSite& site) {
  Window window;
  site.pair("kernel", Need::required, window.kernel, {1, kMaxWindow});
  std::copy(std::begin(window.kernel), std::end(window.kernel), window.stride);
  site.pair("stride", Need::optional, window.stride, {1, kMaxWindow});
  site.padding(window);
  site.boolean("ceil_mode", window.ceil_mode);
  const auto fused = site.activation();
  if (!site.is_ready()) return;
  if (site.input().shape.size() == 3) {
    window.kernel[0] = window.stride[0] = 1;
    window.pad_begin[0] = window.pad_end[0] = 0;
  }
  site.add_vector(site.name(), LayerKind::pool, infer_pool(site.input().shape, window),
                  site.inputs(), 0, fused);
}

void build_global_pool(LayerSite& site) {
  const auto fused = site.activation();
  if (site.is_ready()) {
    site.add_vector(site.name(), LayerKind::pool, infer_global_pool(site.input().shape),
                    site.inputs(), 0, fused);
  }
}

void build_elementwise(LayerSite& site, LayerKind kind) {
  const auto fused = site.activation();
  if (site.is_ready()) {
    site.add_vector(site.name(), kind, infer_elementwise(site.input_shapes()), site.inputs(), 0,
                    fused);
  }
}

void build_add(LayerSite& site) { build_elementwise(site, LayerKind::add); }

void build_mul(LayerSite& site) { build_elementwise(site, LayerKind::mul); }

void build_concat(LayerSite& site) {
  std::int64_t axis = 1;
  site.integer("axis", Need::optional, axis, {-8, 7});
  if (site.is_ready()) {
    site.add_vector(site.name(), LayerKind::concat, infer_concat(site.input_shapes(), axis),
                    site.inputs(), 0);
  }
}

void build_batch_norm(LayerSite& site) {
  const auto fused = site.activation();
  if (!site.is_ready()) return;
  if (site.input().shape.size() < 2)
    throw ShapeError("expected an input [batch, channels, ...], got " +
                     to_string(site.input().shape));
  site.add_vector(site.name(), LayerKind::normalization,
                  infer_normalization(site.input().shape, false), site.inputs(),
                  2 * site.input().shape[1], fused);
}

void build_layer_norm(LayerSite& site) {
  const auto fused = site.activation();
  if (site.is_ready()) {
    site.add_vector(site.name(), LayerKind::normalization,
                    infer_normalization(site.input().shape, true), site.inputs(),
                    2 * site.input().shape.back(), fused);
  }
}

void build_activation(LayerSite& site) {
  bool is_wrong = false;
  std::string function = read_function(site.reader(), "function", Need::required, is_wrong);
  if (!site.is_ready() || is_wrong) return;
  site.add_vector(site.name(), LayerKind::activation, infer_elementwise(site.input_shapes()),
                  site.inputs(), 0, {std::move(function)});
}

void build_softmax(LayerSite& site) {
  if (site.is_ready()) {
    site.add_vector(site.name(), LayerKind::softmax, infer_softmax(site.input().shape),
                    site.inputs(), 0);
  }
}

void build_mean(LayerSite& site) {
  std::vector<std::int64_t> axes;
  bool keep_axes = false;
  site.integers("axes", Need::required, axes, {-8, 7});
  site.boolean("keep_axes", keep_axes);
  if (site.is_ready()) {
    site.add_vector(site.name(), LayerKind::reduce,
                    infer_reduce(site.input().shape, axes, keep_axes), site.inputs(), 0);
  }
}

void build_flatten(LayerSite& site) {
  std::int64_t axis = 1;
  site.integer("axis", Need::optional, axis, {-8, 8});
  if (site.is_ready()) site.finish({site.input().tensor, infer_flatten(site.input().shape, axis)});
}

void build_reshape(LayerSite& site) {
  std::vector<std::int64_t> shape;
  site.integers("shape", Need::required, shape, {-1, kMaxSize});
  if (site.is_ready())
    site.finish({site.input().tensor, infer_reshape(site.input().shape, shape, true)});
}

void build_transpose(LayerSite& site) {
  std::vector<std::int64_t> permutation;
  site.integers("permutation", Need::required, permutation, {0, 7});
  if (!site.is_ready()) return;
  const Value& input = site.input();
  Shape output = infer_transpose(input.shape, permutation);
  if (!transpose_moves_data(input.shape, permutation)) {
    site.finish({input.tensor, std::move(output)});
    return;
  }
  site.add_vector(site.name(), LayerKind::move, infer_move(input.shape, std::move(output)),
                  site.inputs(), 0);
}

void build_slice(LayerSite& site) {
  std::int64_t axis = 1;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  site.integer("axis", Need::required, axis, {-8, 7});
  site.integer("begin", Need::optional, begin, {0, kMaxSize});
  site.integer("end", Need::required, end, {1, kMaxSize});
  if (!site.is_ready()) return;
  Shape output = site.input().shape;
  std::int64_t& size = output[resolve_axis(axis, output.size())];
  if (begin >= end || end > size) {
    throw ShapeError("cannot take " + std::to_string(begin) + ".." + std::to_string(end) +
                     " of axis " + std::to_string(axis) + " of " + to_string(site.input().shape));
  }
  size = end - begin;
  site.add_vector(site.name(), LayerKind::move, infer_move(site.input().shape, std::move(output)),
                  site.inputs(), 0);
}

void build_upsample(LayerSite& site) {
  std::int64_t factor[2] = {1, 1};
  site.pair("factor", Need::required, factor, {1, kMaxWindow});
  if (!site.is_ready()) return;
  Shape output = site.input().shape;
  if (output.size() != 4) {
    throw ShapeError("expected an input [batch, channels, height, width], got " +
                     to_string(output));
  }
  for (std::size_t axis = 0; axis < 2; ++axis) {
    element_count({output[2 + axis], factor[axis]});
    output[2 + axis] *= factor[axis];
  }
  site.add_vector(site.name(), LayerKind::move, infer_move(site.input().shape, std::move(output)),
                  site.inputs(), 0);
}

constexpr std::size_t kMany = 1024;

constexpr std::array<KindRow, 24> kKinds = {{
    {"convolution", 1, 1, build_convolution},
    {"fully_connected", 1, 1, build_fully_connected},
    {"matmul", 2, 2, build_matmul},
    {"lstm", 1, 1, build_lstm},
    {"gru", 1, 1, build_gru},
    {"rnn", 1, 1, build_rnn},
    {"attention", 1, 1, build_attention},
    {"max_pool", 1, 1, build_pool},
    {"average_pool", 1, 1, build_pool},
    {"global_max_pool", 1, 1, build_global_pool},
    {"global_average_pool", 1, 1, build_global_pool},
    {"add", 2, kMany, build_add},
    {"mul", 2, kMany, build_mul},
    {"concat", 1, kMany, build_concat},
    {"batch_norm", 1, 1, build_batch_norm},
    {"layer_norm", 1, 1, build_layer_norm},
    {"activation", 1, 1, build_activation},
    {"softmax", 1, 1, build_softmax},
    {"mean", 1, 1, build_mean},
    {"flatten", 1, 1, build_flatten},
    {"reshape", 1, 1, build_reshape},
    {"transpose", 1, 1, build_transpose},
    {"slice", 1, 1, build_slice},
    {"upsample", 1, 1, build_upsample},
}};

// The file.

class NetworkReader {
 public:
  NetworkReader(YamlDocument& document, const NetworkParameters& parameters)
      : document_(document), overrides_(parameters) {}

  Network read();

 private:
  void read_parameters(MapReader& root);
  void substitute(YamlNode& node, const std::string& path);
  void read_inputs(MapReader& root);
  void read_entries(MapReader& root);
  void read_entry_inputs(std::size_t index);
  void build_entry(Entry& entry);
  void check_output_shape(Entry& entry);
  std::vector<std::size_t> sorted_entries();
  void mark_outputs(MapReader& root);

  /// "; did you mean 'conv1'?", of inputs and layers, or nothing.
  [[nodiscard]] std::string nearest_known(const std::string& name) const;
  [[nodiscard]] bool is_known(const std::string& name) const {
    return inputs_.contains(name) || entry_of_.contains(name);
  }

  YamlDocument& document_;
  const NetworkParameters& overrides_;
  NetworkParameters parameters_;
  NetworkBuilder builder_{""};
  std::map<std::string, std::optional<Value>> inputs_;  // no value: its shape was wrong
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t> entry_of_;
};

void NetworkReader::read_parameters(MapReader& root) {
  MapReader reader = root.map("parameters", Need::optional);
  if (reader.given()) {
    for (const YamlNode& node : reader.entries()) {
      const auto value = read_integer(node, reader.path_of(node.key), document_.problems, kSizes);
      parameters_[node.key] = value.value_or(1);
    }
  }
  std::vector<std::string> names;
  for (const auto& [name, value] : parameters_) names.push_back(name);
  for (const auto& [name, value] : overrides_) {
    if (!parameters_.contains(name)) {
      root.error("parameters",
                 "the network has no parameter '" + name + "'" + suggestion(name, names));
    } else if (value < kSizes.min || value > kSizes.max) {
      root.error("parameters", "expected " + name + " in " + std::to_string(kSizes.min) + ".." +
                                   std::to_string(kSizes.max) + ", got " + std::to_string(value));
    } else {
      parameters_[name] = value;
    }
  }
}

// Replaces every "$name" by the parameter's value.
void NetworkReader::substitute(YamlNode& node, const std::string& path) {
  if (node.kind == YamlNode::Kind::scalar && node.text.starts_with('$')) {
    const std::string name = node.text.substr(1);
    const auto found = parameters_.find(name);
    if (found == parameters_.end()) {
      std::vector<std::string> names;
      for (const auto& [known, value] : parameters_) names.push_back(known);
      document_.problems.error(node.place, path,
                               "there is no parameter '" + name + "'" + suggestion(name, names));
      node.text = "1";
    } else {
      node.text = std::to_string(found->second);
    }
    node.quoted = false;
  }
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    YamlNode& child = node.children[i];
    substitute(child, node.kind == YamlNode::Kind::list ? path + "[" + std::to_string(i) + "]"
                                                        : join_path(path, child.key));
  }
}

void NetworkReader::read_inputs(MapReader& root) {
  MapReader reader = root.map("inputs", Need::required);
  if (!reader.given()) return;
  if (reader.entries().empty()) root.error("inputs", "a network has at least one input");
  for (const YamlNode& node : reader.entries()) {
    const std::string path = reader.path_of(node.key);
    auto shape = read_integers(node, path, document_.problems, kSizes);
    std::optional<Value> value;
    if (shape && shape->empty()) {
      document_.problems.error(node.place, path, "expected at least one size");
    } else if (shape) {
      try {
        element_count(*shape);
        value = Value{builder_.add_input(node.key, *shape), *shape};
      } catch (const ShapeError& error) {
        document_.problems.error(node.place, path, error.what());
      }
    }
    inputs_[node.key] = std::move(value);
  }
}

std::string NetworkReader::nearest_known(const std::string& name) const {
  // Looking at all names for each of many mistakes would take time with the square of the file.
  constexpr std::size_t kMostSuggestions = 64;
  if (document_.problems.items().size() >= kMostSuggestions) return "";
  std::vector<std::string> names;
  names.reserve(inputs_.size() + entries_.size());
  for (const auto& [input, value] : inputs_) names.push_back(input);
  for (const Entry& entry : entries_) names.push_back(entry.name);
  return suggestion(name, names);
}

void NetworkReader::read_entries(MapReader& root) {
  std::vector<std::string> kinds;
  for (const KindRow& row : kKinds) kinds.emplace_back(row.name);
  for (MapReader& reader : root.maps("layers", Need::required)) {
    Entry entry{std::move(reader), "", nullptr, {}, std::nullopt};
    entry.reader.text("name", Need::required, entry.name);
    const YamlNode* kind = entry.reader.take("kind", Need::required);
    if (kind != nullptr) {
      const auto index =
          read_choice(*kind, entry.reader.path_of("kind"), document_.problems, kinds);
      if (index) entry.kind = &kKinds[*index];
    }
    if (!entry.name.empty()) {
      if (inputs_.contains(entry.name)) {
        entry.reader.error("name", "'" + entry.name + "' is the name of an input already");
      } else if (!entry_of_.emplace(entry.name, entries_.size()).second) {
        entry.reader.error("name", "'" + entry.name + "' is the name of another layer already");
      }
    }
    entries_.push_back(std::move(entry));
  }
  if (entries_.empty() && document_.problems.empty())
    root.error("layers", "a network has at least one layer");
}

void NetworkReader::read_entry_inputs(std::size_t index) {
  Entry& entry = entries_[index];
  const YamlNode* node = entry.reader.take("inputs", Need::optional);
  if (node == nullptr) {
    if (index > 0) {
      entry.input_names = {entries_[index - 1].name};
    } else if (inputs_.size() == 1) {
      entry.input_names = {inputs_.begin()->first};
    } else if (!inputs_.empty()) {
      entry.error("expected 'inputs': the network has several");
    }
  } else if (node->kind == YamlNode::Kind::scalar) {
    entry.input_names = {node->text};
  } else {
    entry.reader.texts("inputs", Need::optional, entry.input_names);
  }
  for (const std::string& name : entry.input_names) {
    if (!name.empty() && !is_known(name)) {
      entry.reader.error("inputs",
                         "there is no input or layer '" + name + "'" + nearest_known(name));
    }
  }
  const std::size_t count = entry.input_names.size();
  if (entry.kind != nullptr && count > 0 &&
      (count < entry.kind->min_inputs || count > entry.kind->max_inputs)) {
    const std::string expected = entry.kind->min_inputs == entry.kind->max_inputs
                                     ? std::to_string(entry.kind->min_inputs)
                                     : std::to_string(entry.kind->min_inputs) + " or more";
    entry.reader.error("inputs", "a layer of kind " + std::string(entry.kind->name) + " takes " +
                                     expected + " inputs, got " + std::to_string(count));
    entry.input_names.clear();
  }
}

std::vector<std::size_t> NetworkReader::sorted_entries() {
  std::vector<std::pair<std::size_t, std::size_t>> edges;
  for (std::size_t index = 0; index < entries_.size(); ++index) {
    for (const std::string& name : entries_[index].input_names) {
      const auto found = entry_of_.find(name);
      if (found != entry_of_.end()) edges.emplace_back(found->second, index);
    }
  }
  DependencyOrder sorted = dependency_order(entries_.size(), edges);
  if (!sorted.cycle.empty()) {
    std::vector<std::string> names;
    for (const std::size_t index : sorted.cycle) names.push_back(entries_[index].name);
    entries_[sorted.cycle.front()].reader.error(
        "inputs", "the layers form a cycle: " + describe_cycle(names));
  }
  return std::move(sorted.order);
}

void NetworkReader::check_output_shape(Entry& entry) {
  const YamlNode* node = entry.reader.take("output_shape", Need::optional);
  if (node == nullptr) return;
  const auto stated =
      read_integers(*node, entry.reader.path_of("output_shape"), document_.problems, kSizes);
  if (stated && entry.result && *stated != entry.result->shape) {
    entry.reader.error("output_shape", "the file says " + to_string(*stated) +
                                           ", but the layer's output is " +
                                           to_string(entry.result->shape));
  }
}

void NetworkReader::build_entry(Entry& entry) {
  if (entry.kind == nullptr) return;
  std::vector<Value> inputs;
  for (const std::string& name : entry.input_names) {
    const auto input = inputs_.find(name);
    const auto layer = entry_of_.find(name);
    if (input != inputs_.end() && input->second) {
      inputs.push_back(*input->second);
    } else if (layer != entry_of_.end() && entries_[layer->second].result) {
      inputs.push_back(*entries_[layer->second].result);
    }
  }
  const bool is_ready = !entry.input_names.empty() && inputs.size() == entry.input_names.size();
  LayerSite site(entry, builder_, std::move(inputs), is_ready);
  try {
    entry.kind->build(site);
  } catch (const ShapeError& error) {
    entry.result.reset();
    entry.error(error.what());
  }
  check_output_shape(entry);
  entry.reader.finish();
}

void NetworkReader::mark_outputs(MapReader& root) {
  std::vector<std::string> names;
  if (!root.has("outputs")) {
    std::vector<bool> is_read(entries_.size(), false);
    for (const Entry& entry : entries_) {
      for (const std::string& name : entry.input_names) {
        const auto found = entry_of_.find(name);
        if (found != entry_of_.end()) is_read[found->second] = true;
      }
    }
    for (std::size_t index = 0; index < entries_.size(); ++index) {
      if (!is_read[index]) names.push_back(entries_[index].name);
    }
  } else if (root.texts("outputs", Need::required, names) && names.empty()) {
    root.error("outputs", "a network has at least one output");
  }
  for (const std::string& name : names) {
    const auto found = entry_of_.find(name);
    if (found == entry_of_.end()) {
      if (root.has("outputs")) {
        root.error("outputs", "there is no layer '" + name + "'" + nearest_known(name));
      }
    } else if (entries_[found->second].result) {
      builder_.mark_output(entries_[found->second].result->tensor);
    }
  }
}

Network NetworkReader::read() {
  MapReader root = open_document(document_, "network");
  std::string name;
  root.text("name", Need::required, name);
  builder_ = NetworkBuilder(name, document_.root.place);
  read_parameters(root);
  for (YamlNode& node : document_.root.children) {
    if (node.key != "parameters") substitute(node, node.key);
  }
  read_inputs(root);
  read_entries(root);
  for (std::size_t index = 0; index < entries_.size(); ++index) read_entry_inputs(index);
  for (const std::size_t index : sorted_entries()) build_entry(entries_[index]);
  mark_outputs(root);
  root.finish();
  document_.problems.throw_if_any();
  return builder_.build();
}

}  // namespace

Network parse_network(std::string_view text, const std::string& file,
                      const NetworkParameters& parameters) {
  YamlDocument document = parse_yaml(text, file);
  return NetworkReader(document, parameters).read();
}

Network read_network(const std::string& path, const NetworkParameters& parameters) {
  YamlDocument document = load_yaml(path);
  return NetworkReader(document, parameters).read();
}

}  // namespace widthwise
