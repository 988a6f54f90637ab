#include "models/network/onnx_patterns.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "models/network/onnx_constants.hpp"

namespace widthwise {

namespace {

// Bounds on what is looked for; no function that is recognised comes near them.
constexpr int kLongestChain = 12;
constexpr std::size_t kMostNodes = 24;

template <std::size_t N>
bool is_among(const std::string& op, const std::array<std::string_view, N>& ops) {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

// Functions of one activation, with scalars for further operands.
constexpr std::array<std::string_view, 13> kUnary = {
    "Add",     "Sub",         "Mul",  "Div",  "Pow",      "Erf", "Tanh",
    "Sigmoid", "HardSigmoid", "Clip", "Relu", "Softplus", "Neg"};

// What scalars are computed with.
constexpr std::array<std::string_view, 9> kScalar = {"Identity", "Cast", "Sqrt", "Add",       "Sub",
                                                     "Mul",      "Div",  "Pow",  "Reciprocal"};

class PatternFinder {
 public:
  explicit PatternFinder(OnnxGraph& graph);

  void run();

 private:
  using NodeSet = std::set<std::size_t>;

  /// A value as a function of another one, computed by these nodes.
  struct Unary {
    std::string source;
    NodeSet nodes;
  };
  struct Chain {
    std::vector<std::string> values;  // the value itself, then what it is a function of, ...
    std::vector<NodeSet> nodes;       // up to each of them
  };

  [[nodiscard]] const OnnxNode* producer(const std::string& value, std::string_view op) const;
  [[nodiscard]] bool is_constant(const std::string& value) const;
  [[nodiscard]] bool is_scalar(const std::string& value, int depth = 0) const;
  [[nodiscard]] const Unary* unary(const std::string& value);
  [[nodiscard]] Chain chain(const std::string& value);
  [[nodiscard]] bool is_closed(const NodeSet& nodes, std::size_t last) const;
  [[nodiscard]] const OnnxNode* only_consumer(const std::string& value) const;
  [[nodiscard]] std::size_t index_of(const OnnxNode* node) const {
    return static_cast<std::size_t>(node - graph_.nodes.data());
  }
  [[nodiscard]] std::string function_name(const NodeSet& nodes) const;

  void match_function(std::size_t index);
  void match_layer_norm(std::size_t index);
  bool add_centred(const std::string& value, std::string& source, NodeSet& nodes) const;
  void replace(const NodeSet& nodes, OnnxNode by);

  OnnxGraph& graph_;
  std::unordered_map<std::string, std::size_t> producers_;
  std::unordered_map<std::string, std::vector<std::size_t>> consumers_;
  std::set<std::string> outputs_;
  std::unordered_map<std::string, Unary> unaries_;
  std::vector<bool> is_removed_;
};

PatternFinder::PatternFinder(OnnxGraph& graph)
    : graph_(graph), is_removed_(graph.nodes.size(), false) {
  for (std::size_t index = 0; index < graph.nodes.size(); ++index) {
    for (const std::string& output : graph.nodes[index].outputs) {
      if (!output.empty()) producers_.emplace(output, index);
    }
    for (const std::string& input : graph.nodes[index].inputs) {
      if (!input.empty()) consumers_[input].push_back(index);
    }
  }
  for (const OnnxValueInfo& output : graph.outputs) outputs_.insert(output.name);
}

const OnnxNode* PatternFinder::producer(const std::string& value, std::string_view op) const {
  const auto found = producers_.find(value);
  if (found == producers_.end() || is_removed_[found->second]) return nullptr;
  const OnnxNode& node = graph_.nodes[found->second];
  return node.op == op && node.outputs.size() == 1 ? &node : nullptr;
}

bool PatternFinder::is_constant(const std::string& value) const {
  if (graph_.constants.contains(value) || producer(value, "Constant") != nullptr) return true;
  const OnnxNode* alias = producer(value, "Identity");
  return alias != nullptr && alias->inputs.size() == 1 &&
         graph_.constants.contains(alias->inputs[0]);
}

bool PatternFinder::is_scalar(const std::string& value, int depth) const {
  constexpr int kDeepest = 4;
  const auto has_one_value = [](const OnnxConstant& constant) {
    return std::all_of(constant.shape.begin(), constant.shape.end(),
                       [](std::int64_t size) { return size == 1; });
  };
  if (const auto found = graph_.constants.find(value); found != graph_.constants.end()) {
    return has_one_value(*found->second);
  }
  const auto found = producers_.find(value);
  if (found == producers_.end()) return false;
  const OnnxNode& node = graph_.nodes[found->second];
  if (node.op == "Constant" && !node.attributes.empty()) {
    const auto& attribute = node.attributes.begin()->second.value;
    if (const auto* constant = std::get_if<OnnxConstant>(&attribute)) {
      return has_one_value(*constant);
    }
    return std::holds_alternative<double>(attribute) ||
           std::holds_alternative<std::int64_t>(attribute);
  }
  return depth < kDeepest && is_among(node.op, kScalar) && !node.inputs.empty() &&
         node.inputs.size() <= 2 &&
         std::all_of(node.inputs.begin(), node.inputs.end(),
                     [&](const std::string& input) { return is_scalar(input, depth + 1); });
}

const PatternFinder::Unary* PatternFinder::unary(const std::string& value) {
  if (const auto known = unaries_.find(value); known != unaries_.end()) return &known->second;
  const auto found = producers_.find(value);
  if (found == producers_.end() || is_removed_[found->second]) return nullptr;
  const OnnxNode& node = graph_.nodes[found->second];
  if (!is_among(node.op, kUnary) || node.outputs.size() != 1) return nullptr;
  std::string source;
  for (const std::string& input : node.inputs) {
    if (input.empty() || is_scalar(input)) continue;
    if (!source.empty()) return nullptr;
    source = input;
  }
  if (source.empty() || is_constant(source)) return nullptr;
  return &unaries_.emplace(value, Unary{source, {found->second}}).first->second;
}

PatternFinder::Chain PatternFinder::chain(const std::string& value) {
  Chain result{{value}, {{}}};
  for (int step = 0; step < kLongestChain; ++step) {
    const Unary* next = unary(result.values.back());
    if (next == nullptr) break;
    NodeSet nodes = result.nodes.back();
    nodes.insert(next->nodes.begin(), next->nodes.end());
    result.values.push_back(next->source);
    result.nodes.push_back(std::move(nodes));
  }
  return result;
}

// True if nobody outside reads what the nodes compute on the way to the last one.
bool PatternFinder::is_closed(const NodeSet& nodes, std::size_t last) const {
  for (const std::size_t index : nodes) {
    if (is_removed_[index]) return false;
    if (index == last) continue;
    for (const std::string& output : graph_.nodes[index].outputs) {
      if (outputs_.contains(output)) return false;
      const auto found = consumers_.find(output);
      if (found == consumers_.end()) continue;
      for (const std::size_t consumer : found->second) {
        if (!nodes.contains(consumer)) return false;
      }
    }
  }
  return true;
}

const OnnxNode* PatternFinder::only_consumer(const std::string& value) const {
  const auto found = consumers_.find(value);
  if (found == consumers_.end() || found->second.size() != 1 || outputs_.contains(value)) {
    return nullptr;
  }
  const OnnxNode& node = graph_.nodes[found->second.front()];
  return node.outputs.size() == 1 && !is_removed_[found->second.front()] ? &node : nullptr;
}

std::string PatternFinder::function_name(const NodeSet& nodes) const {
  std::multiset<std::string> ops;
  for (const std::size_t index : nodes) ops.insert(graph_.nodes[index].op);
  if (ops.contains("Erf")) return "Gelu";
  if (ops.contains("Softplus") && ops.contains("Tanh")) return "Mish";
  if (ops.contains("Tanh") && (ops.contains("Pow") || ops.count("Mul") > 2)) return "Gelu";
  if (ops.contains("Sigmoid") && ops.count("Mul") + 1 == ops.size()) {
    return ops.size() == 2 ? "Silu" : "Gelu";
  }
  if (ops.contains("HardSigmoid") && ops.size() == 2) return "HardSwish";
  if (ops.contains("Clip") && ops.contains("Add")) return "HardSwish";
  return "";
}

void PatternFinder::replace(const NodeSet& nodes, OnnxNode by) {
  for (const std::size_t index : nodes) is_removed_[index] = true;
  const std::size_t last = *nodes.rbegin();
  is_removed_[last] = false;
  for (const std::string& output : by.outputs) {
    producers_[output] = last;
    unaries_.erase(output);
  }
  graph_.nodes[last] = std::move(by);
}

void PatternFinder::match_function(std::size_t index) {
  const OnnxNode& node = graph_.nodes[index];
  const bool is_arithmetic = node.op == "Mul" || node.op == "Add" || node.op == "Sub";
  if (!is_arithmetic || node.inputs.size() != 2 || node.outputs.size() != 1) return;
  if (is_constant(node.inputs[0]) || is_constant(node.inputs[1])) return;

  const Chain left = chain(node.inputs[0]);
  const Chain right = chain(node.inputs[1]);
  std::size_t best_left = left.values.size();
  std::size_t best_right = 0;
  for (std::size_t i = 0; i < left.values.size(); ++i) {
    const auto same = std::find(right.values.begin(), right.values.end(), left.values[i]);
    if (same == right.values.end()) continue;
    best_left = i;
    best_right = static_cast<std::size_t>(same - right.values.begin());
    break;
  }
  if (best_left == left.values.size()) return;
  NodeSet nodes = left.nodes[best_left];
  nodes.insert(right.nodes[best_right].begin(), right.nodes[best_right].end());
  nodes.insert(index);
  if (nodes.size() > kMostNodes || !is_closed(nodes, index)) return;
  const std::string source = left.values[best_left];

  // One operand is x itself, perhaps scaled.
  const auto is_scaling = [&](const NodeSet& path) {
    return std::all_of(path.begin(), path.end(), [&](std::size_t at) {
      return graph_.nodes[at].op == "Mul" || graph_.nodes[at].op == "Div";
    });
  };
  const std::string name =
      node.op == "Mul" && (is_scaling(left.nodes[best_left]) || is_scaling(right.nodes[best_right]))
          ? function_name(nodes)
          : "";
  if (name.empty()) {
    unaries_[node.outputs[0]] = {source, std::move(nodes)};
    return;
  }
  OnnxNode whole;
  whole.name = node.name;
  whole.op = name;
  whole.inputs = {source};
  whole.outputs = node.outputs;
  const bool is_scaled_behind =
      (name == "Gelu" || name == "HardSwish") && (best_left == 0 || best_right == 0);
  const OnnxNode* next = is_scaled_behind ? only_consumer(node.outputs[0]) : nullptr;
  if (next != nullptr && (next->op == "Mul" || next->op == "Div") && next->inputs.size() == 2 &&
      (is_scalar(next->inputs[0]) || is_scalar(next->inputs[1]))) {
    nodes.insert(index_of(next));
    whole.outputs = next->outputs;
  }
  replace(nodes, std::move(whole));
}

// value = source - mean(source).
bool PatternFinder::add_centred(const std::string& value, std::string& source,
                                NodeSet& nodes) const {
  const OnnxNode* difference = producer(value, "Sub");
  if (difference == nullptr || difference->inputs.size() != 2) return false;
  const OnnxNode* mean = producer(difference->inputs[1], "ReduceMean");
  if (mean == nullptr || mean->inputs.empty() || mean->inputs[0] != difference->inputs[0]) {
    return false;
  }
  if (!source.empty() && source != difference->inputs[0]) return false;
  source = difference->inputs[0];
  nodes.insert(index_of(difference));
  nodes.insert(index_of(mean));
  return true;
}

void PatternFinder::match_layer_norm(std::size_t index) {
  const OnnxNode& quotient = graph_.nodes[index];
  if (quotient.op != "Div" || quotient.inputs.size() != 2 || quotient.outputs.size() != 1) return;
  const OnnxNode* root = producer(quotient.inputs[1], "Sqrt");
  if (root == nullptr || root->inputs.size() != 1) return;
  const OnnxNode* sum = producer(root->inputs[0], "Add");
  if (sum == nullptr || sum->inputs.size() != 2) return;
  const bool scalar_first = is_scalar(sum->inputs[0]);
  if (!scalar_first && !is_scalar(sum->inputs[1])) return;
  const OnnxNode* variance = producer(sum->inputs[scalar_first ? 1 : 0], "ReduceMean");
  if (variance == nullptr || variance->inputs.empty()) return;
  const OnnxNode* square = producer(variance->inputs[0], "Pow");
  if (square == nullptr) square = producer(variance->inputs[0], "Mul");
  if (square == nullptr || square->inputs.size() != 2) return;
  if (square->op == "Mul" ? square->inputs[0] != square->inputs[1]
                          : !is_scalar(square->inputs[1])) {
    return;
  }
  NodeSet nodes = {index, index_of(root), index_of(sum), index_of(variance), index_of(square)};
  std::string source;
  if (!add_centred(quotient.inputs[0], source, nodes) ||
      !add_centred(square->inputs[0], source, nodes) || !is_closed(nodes, index)) {
    return;
  }
  OnnxNode whole;
  whole.name = quotient.name;
  whole.op = "LayerNormalization";
  whole.inputs = {source};
  whole.outputs = quotient.outputs;
  for (const std::string_view op : {"Mul", "Add"}) {
    const OnnxNode* next = only_consumer(whole.outputs[0]);
    if (next == nullptr || next->op != op || next->inputs.size() != 2) continue;
    const std::string& other = next->inputs[next->inputs[0] == whole.outputs[0] ? 1 : 0];
    if (!is_constant(other)) continue;
    whole.inputs.push_back(other);
    whole.outputs = next->outputs;
    nodes.insert(index_of(next));
  }
  replace(nodes, std::move(whole));
}

void PatternFinder::run() {
  for (std::size_t index = 0; index < graph_.nodes.size(); ++index) {
    if (!is_removed_[index]) match_layer_norm(index);
  }
  for (std::size_t index = 0; index < graph_.nodes.size(); ++index) {
    if (!is_removed_[index]) match_function(index);
  }
  std::vector<OnnxNode> kept;
  for (std::size_t index = 0; index < graph_.nodes.size(); ++index) {
    if (!is_removed_[index]) kept.push_back(std::move(graph_.nodes[index]));
  }
  graph_.nodes = std::move(kept);
}

}  // namespace

void recognise_patterns(OnnxGraph& graph) { PatternFinder(graph).run(); }

}  // namespace widthwise
