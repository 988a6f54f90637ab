#include "models/network/onnx_import.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "models/network/onnx_constants.hpp"
#include "models/network/onnx_importer.hpp"
#include "models/network/onnx_patterns.hpp"
#include "models/network/onnx_values.hpp"

namespace widthwise {

namespace onnx_import {

namespace {

constexpr std::array<std::string_view, 3> kQuantization = {"QuantizeLinear", "DequantizeLinear",
                                                           "FakeQuantize"};

bool is_quantization(const std::string& op) {
  return std::find(kQuantization.begin(), kQuantization.end(), op) != kQuantization.end();
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
    while (!overlap.empty() && !part.starts_with(std::string(overlap) + '.')) {
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

}  // namespace

// Access for handlers.

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

std::string ordinal(std::size_t index) { return "input " + std::to_string(index + 1); }

const Value& any_input(const Site& site, std::size_t index) {
  if (!site.has_input(index)) throw NodeError(ordinal(index) + " is missing");
  return site.inputs[index];
}

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

std::int64_t stored_elements(const Value& value) {
  const std::int64_t elements = constant_count(value.shape);
  return elements > 1 && !value.constant->is_integral ? elements : 0;
}

void check_shape(const char* what, const Shape& shape, const Shape& expected) {
  if (shape != expected) {
    throw NodeError(std::string(what) + " have the shape " + to_string(shape) + ", expected " +
                    to_string(expected));
  }
}

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

std::string Importer::layer_name(const Site& site, bool has_weights) const {
  const OnnxNode& node = site.node;
  if (has_weights) {
    for (std::size_t index = 0; index < node.inputs.size(); ++index) {
      std::string module = without_suffix(node.inputs[index], ".weight");
      if (!module.empty() && site.inputs[index].is_constant()) return module;
    }
  }
  if (!node.name.starts_with('/')) return node.name;
  std::string module = module_of(node.name);
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
  while (!layer_names_.insert(name).second) {
    name = base + "#" + std::to_string(++copies_[base] + 1);
  }
  return name;
}

void Importer::name_after_bias(Layer& layer, const std::string& bias) {
  const std::string module = without_suffix(bias, ".bias");
  if (module.empty() || !layer_names_.insert(module).second) return;
  layer_names_.erase(layer.name);
  layer.name = module;
}

Layer Importer::vector_layer(const Site& site, LayerKind kind, const VectorShape& work) const {
  Layer layer;
  layer.name = layer_name(site, kind == LayerKind::normalization);
  layer.kind = kind;
  layer.vector = work;
  return layer;
}

TensorId Importer::add_layer(const Site& site, Layer layer, Shape shape,
                             std::optional<std::size_t> output) {
  element_count(shape);
  layer.name = free_name(site, layer.name);
  layer.op = site.node.op;
  layer.output = builder_.add_tensor(output ? site.node.outputs.at(*output) : layer.name, shape);
  Value value;
  value.kind = Value::Kind::activation;
  value.shape = std::move(shape);
  value.tensor = layer.output;
  value.is_exclusive = true;
  builder_.add_layer(std::move(layer), {file_});
  if (output) set_alias(site, value, value.shape, *output);
  return value.tensor;
}

void Importer::add_compute(const Site& site, LayerKind kind, const InferredLayer& inferred,
                           const std::vector<std::size_t>& inputs, std::int64_t biases,
                           const OnnxConstant* weights) {
  const bool has_weights = !inferred.compute.second_operand_is_activation;
  Layer layer;
  layer.name = layer_name(site, has_weights);
  layer.kind = kind;
  layer.compute = inferred.compute;
  layer.inputs = tensors_of(site, inputs);
  layer.weights = has_weights ? inferred.compute.weight_elements() : 0;
  layer.biases = biases;
  const TensorId output = add_layer(site, std::move(layer), inferred.output, 0);
  if (weights != nullptr) record_weights(output, *weights);
}

void Importer::record_weights(TensorId output, const OnnxConstant& weights) {
  if (!graph_.tensors) return;
  const auto producer = builder_.tensor(output).producer;
  ensure(producer.has_value(), "a tensor with weights has a layer that makes it");
  ensure(builder_.layer(*producer).weights == constant_count(weights.shape),
         "a layer's weights are all recorded");
  weights_.emplace_back(*producer, weights);
}

std::unordered_map<std::string, OnnxConstant> Importer::weights() const { return weights_by_name_; }

void Importer::add_vector(const Site& site, LayerKind kind, const InferredVector& inferred,
                          std::int64_t biases, std::vector<std::string> fused) {
  Layer layer = vector_layer(site, kind, inferred.vector);
  layer.pool = inferred.pool;
  layer.inputs = tensors_of(site, activation_indices(site));
  layer.biases = biases;
  layer.fused = std::move(fused);
  add_layer(site, std::move(layer), inferred.output, 0);
}

Layer* Importer::fusable_producer(const Value& value) {
  if (!value.is_activation() || !value.is_exclusive) return nullptr;
  const auto producer = builder_.tensor(value.tensor).producer;
  return producer ? &builder_.layer(*producer) : nullptr;
}

// The graph.

Importer::Importer(OnnxGraph graph, std::string file, const OnnxOptions& options)
    : graph_(std::move(graph)),
      file_(std::move(file)),
      options_(options),
      builder_(std::filesystem::path(file_).stem().string(), {file_}) {}

void Importer::problem(const OnnxNode& node, const std::string& message) {
  problems_.error({file_}, "node '" + node.name + "' (" + node.op + ")", message);
}

void Importer::set_unknown(const OnnxNode& node) {
  for (const std::string& output : node.outputs) {
    if (!output.empty()) values_.try_emplace(output);
  }
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
    OnnxConstant constant{input->shape, false, {}};
    const bool quantizes = node.op == "QuantizeLinear";
    if ((quantizes || node.op == "DequantizeLinear") && site.has_input(1) &&
        site.inputs[1].is_constant() && (!site.has_input(2) || site.inputs[2].is_constant())) {
      constant.origin = scaled(*input->constant, *site.inputs[1].constant,
                               site.has_input(2) ? site.inputs[2].constant.get() : nullptr,
                               integer_attribute(node, "axis", 1), quantizes);
    }
    set_constant(site, std::move(constant));
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
  for (auto& [layer, weights] : weights_) {  // a layer's name is now final
    weights_by_name_.emplace(builder_.layer(layer).name, std::move(weights));
  }
  return builder_.build();
}

}  // namespace onnx_import

Network import_onnx(const std::string& path, const OnnxOptions& options) {
  return onnx_import::Importer(read_onnx_graph(path), path, options).run();
}

Network import_onnx_bytes(std::span<const std::byte> bytes, const std::string& file,
                          const OnnxOptions& options) {
  return onnx_import::Importer(parse_onnx_graph(bytes, file), file, options).run();
}

}  // namespace widthwise
