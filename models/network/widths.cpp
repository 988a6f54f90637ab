#include "models/network/widths.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "models/base/text.hpp"

namespace widthwise {

namespace {

constexpr std::int64_t kBiasBits = 32;

bool is_weighted(const Layer& layer) { return has_macs(layer.kind) && layer.weights > 0; }

// The layers that a rule is about.
std::vector<LayerId> matching_layers(const Network& network, const std::string& pattern) {
  std::vector<LayerId> all;
  std::vector<LayerId> weighted;
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    const Layer& layer = network.layers()[id];
    if (is_weighted(layer)) weighted.push_back(id);
    if (layer.name == pattern || matches_pattern(layer.name, pattern)) all.push_back(id);
  }
  if (!weighted.empty() && pattern == "@first") return {weighted.front()};
  if (!weighted.empty() && pattern == "@last") return {weighted.back()};
  return all;
}

std::string no_match(const Network& network, const std::string& pattern) {
  if (pattern == "@first" || pattern == "@last")
    return "the network has no layer with constant weights";
  std::vector<std::string> names;
  for (const Layer& layer : network.layers()) names.push_back(layer.name);
  return "no layer of " + network.name() + " has this name" + suggestion(pattern, names);
}

void check_width(Diagnostics& problems, const SourcePlace& place, const std::string& key,
                 std::string_view what, BitWidth width, BitWidth least = kMinOperandWidth,
                 BitWidth greatest = kMaxOperandWidth) {
  if (width < least || width > greatest) {
    problems.error(place, key,
                   "expected " + std::string(what) + " of " + std::to_string(least) + ".." +
                       std::to_string(greatest) + " bit, got " + std::to_string(width));
  }
}

void check_accumulator(Diagnostics& problems, const SourcePlace& place, const std::string& key,
                       BitWidth width) {
  check_width(problems, place, key, "accumulators", width, kMinAccumulatorWidth,
              kMaxAccumulatorWidth);
}

// What the rules say of every layer; nothing where only the defaults apply.
struct NamedWidths {
  std::optional<BitWidth> weight;
  std::optional<BitWidth> activation;
  std::optional<BitWidth> accumulator;
};

std::vector<NamedWidths> apply_rules(const Network& network, const Assignment& assignment,
                                     Diagnostics& problems) {
  std::vector<NamedWidths> named(network.layers().size());
  for (const WidthRule& rule : assignment.rules) {
    if (rule.weight) check_width(problems, rule.place, rule.pattern, "weights", *rule.weight);
    if (rule.activation)
      check_width(problems, rule.place, rule.pattern, "activations", *rule.activation);
    if (rule.accumulator) check_accumulator(problems, rule.place, rule.pattern, *rule.accumulator);
    const std::vector<LayerId> matches = matching_layers(network, rule.pattern);
    if (matches.empty()) {
      problems.error(rule.place, rule.pattern, no_match(network, rule.pattern));
      continue;
    }
    const bool has_weights = std::any_of(matches.begin(), matches.end(), [&](LayerId id) {
      return network.layers()[id].weights > 0;
    });
    if (rule.weight && !has_weights) {
      problems.error(rule.place, rule.pattern, "sets a weight width, but there are no weights");
    }
    const bool has_sums = std::any_of(matches.begin(), matches.end(), [&](LayerId id) {
      return has_macs(network.layers()[id].kind);
    });
    if (rule.accumulator && !has_sums) {
      problems.error(rule.place, rule.pattern,
                     "sets an accumulator width, but there are no multiply-accumulates");
    }
    for (const LayerId id : matches) {
      if (rule.accumulator) named[id].accumulator = rule.accumulator;
      if (rule.weight) named[id].weight = rule.weight;
      if (rule.activation) named[id].activation = rule.activation;
    }
  }
  return named;
}

}  // namespace

Assignment parse_uniform_assignment(std::string_view text) {
  Assignment assignment;
  assignment.name = text;
  const char* const end = text.data() + text.size();
  bool valid = text.starts_with('w');
  if (valid) {
    const auto weight = std::from_chars(text.data() + 1, end, assignment.defaults.weight);
    valid = weight.ec == std::errc() && weight.ptr != end && *weight.ptr == 'a';
    if (valid) {
      const auto activation = std::from_chars(weight.ptr + 1, end, assignment.defaults.activation);
      valid = activation.ec == std::errc() && activation.ptr == end;
    }
  }
  if (!valid) {
    throw InputError({std::string(text)}, "",
                     "expected widths such as w4a8: weights of 4 bit, activations of 8");
  }
  Diagnostics problems;
  check_width(problems, {assignment.name}, "", "weights", assignment.defaults.weight);
  check_width(problems, {assignment.name}, "", "activations", assignment.defaults.activation);
  problems.throw_if_any();
  return assignment;
}

WidthPlan resolve_widths(const Network& network, const Assignment& assignment) {
  Diagnostics problems;
  check_width(problems, {assignment.name}, "default", "weights", assignment.defaults.weight);
  check_width(problems, {assignment.name}, "default", "activations",
              assignment.defaults.activation);
  check_width(problems, {assignment.name}, "output_bits", "outputs", assignment.output_bits);
  if (assignment.accumulator)
    check_accumulator(problems, {assignment.name}, "default", *assignment.accumulator);
  const std::vector<NamedWidths> named = apply_rules(network, assignment, problems);
  problems.throw_if_any();

  constexpr BitWidth kNobodyAsks = 0;
  WidthPlan plan{std::vector<LayerWidths>(network.layers().size()),
                 std::vector<BitWidth>(network.tensors().size(), kNobodyAsks),
                 std::vector<std::optional<BitWidth>>(network.layers().size())};
  for (TensorId id = 0; id < plan.stored.size(); ++id) {
    if (network.tensors()[id].is_output) plan.stored[id] = assignment.output_bits;
  }
  // Backwards: what a layer without multiply-accumulates asks for follows from its own output.
  for (LayerId id = network.layers().size(); id-- > 0;) {
    const Layer& layer = network.layers()[id];
    BitWidth& output = plan.stored[layer.output];
    if (output == kNobodyAsks) output = assignment.output_bits;
    if (has_macs(layer.kind)) {
      const auto& own = named[id].accumulator;
      plan.accumulators[id] = own ? own : assignment.accumulator;
    }
    LayerWidths& widths = plan.layers[id];
    widths.activation = named[id].activation.value_or(
        has_macs(layer.kind) ? assignment.defaults.activation : output);
    widths.weight = layer.weights > 0 ? named[id].weight.value_or(assignment.defaults.weight)
                                      : widths.activation;
    for (const TensorId input : layer.inputs)
      plan.stored[input] = std::max(plan.stored[input], widths.activation);
  }
  for (BitWidth& stored : plan.stored) {
    if (stored == kNobodyAsks) stored = assignment.output_bits;  // an input that no layer reads
  }
  return plan;
}

double bitops(const Network& network, const WidthPlan& widths) {
  double sum = 0;
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    sum += static_cast<double>(network.layers()[id].macs()) * widths.layers.at(id).weight *
           widths.layers.at(id).activation;
  }
  return sum;
}

Bits parameter_bits(const Network& network, const WidthPlan& widths) {
  Bits sum;
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    const Layer& layer = network.layers()[id];
    sum += Bits(layer.weights) * std::int64_t{widths.layers.at(id).weight};
    sum += Bits(layer.biases) * kBiasBits;
  }
  return sum;
}

}  // namespace widthwise
