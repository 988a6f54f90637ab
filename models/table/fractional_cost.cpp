#include "models/table/fractional_cost.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "models/base/error.hpp"
#include "models/base/units.hpp"
#include "models/cost/cost_model.hpp"
#include "models/table/bound_terms.hpp"
#include "models/table/table_layers.hpp"

namespace widthwise {

namespace {

constexpr BitWidth kLeftOutBits = 8;  // that a layer reads at which the table leaves out
constexpr BitWidth kOutputBits = 8;   // that outputs of the network are stored at
constexpr std::ptrdiff_t kNoVariable = -1;

/// Empty if it throws, and its mistakes are added.
std::optional<LayerGrid> try_grid(const CostTable& table, std::size_t layer,
                                  Diagnostics& problems) {
  try {
    return layer_grid(table, layer);
  } catch (const InputError& error) {
    problems.append(error.diagnostics());
    return std::nullopt;
  }
}

/// A number that the provenance says, if it is one of those expected.
template <class Expected>
std::optional<double> said_number(const CostTable& table, const std::string& key,
                                  const std::string& expected, Expected&& is_expected,
                                  Diagnostics& problems) {
  const auto text = table.said(key);
  if (!text) return std::nullopt;
  const auto number = parse_number(*text);
  if (number && is_expected(*number)) return number;
  problems.error({table.source}, key, "expected " + expected + ", got " + quoted_value(*text));
  return std::nullopt;
}

double scratchpad_bytes(const CostTable& table, Diagnostics& problems) {
  return said_number(
             table, "scratchpad_bytes", "a number of at least 0",
             [](double bytes) { return bytes >= 0; }, problems)
      .value_or(0);
}

BitWidth output_bits(const CostTable& table, Diagnostics& problems) {
  const auto bits = said_number(
      table, "output_bits", "whole bits of 1..16",
      [](double width) {
        return width >= kMinOperandWidth && width <= kMaxOperandWidth && std::trunc(width) == width;
      },
      problems);
  return bits ? static_cast<BitWidth>(*bits) : kOutputBits;
}

/// `variable_of`: per layer of the network.
BoundLayer bind_layer(const Network& network, LayerId id,
                      const std::vector<std::ptrdiff_t>& variable_of) {
  const Layer& layer = network.layers()[id];
  BoundLayer bound;
  bound.own = variable_of[id];
  bound.weighted = has_macs(layer.kind) && layer.weights > 0;
  bound.output = static_cast<std::ptrdiff_t>(layer.output);
  if (layer.compute) {
    bound.inputs = {{layer.inputs.front(), 1.0}};
    if (layer.compute->second_operand_is_activation) {
      bound.second = static_cast<std::ptrdiff_t>(layer.inputs.at(1));
    }
    return bound;
  }
  double all = 0;
  for (const TensorId input : layer.inputs) {
    all += static_cast<double>(network.tensors()[input].elements());
  }
  for (const TensorId input : layer.inputs) {
    bound.inputs.emplace_back(input,
                              static_cast<double>(network.tensors()[input].elements()) / all);
  }
  return bound;
}

/// By its name in a table; unknown kinds may have weights.
bool may_have_weights(const std::string& kind) {
  constexpr LayerKind kUnweighted[] = {
      LayerKind::matmul,        LayerKind::pool,       LayerKind::add,     LayerKind::mul,
      LayerKind::concat,        LayerKind::activation, LayerKind::softmax, LayerKind::reduce,
      LayerKind::normalization, LayerKind::move,
  };
  return std::none_of(std::begin(kUnweighted), std::end(kUnweighted),
                      [&](LayerKind unweighted) { return kind == to_string(unweighted); });
}

}  // namespace

NetworkBinding bind_table(const CostTable& table, const Network& network) {
  if (is_whole_network(table)) {
    NetworkBinding whole = bind_table(table);
    whole.network = network;
    return whole;
  }
  Diagnostics problems;
  static_cast<void>(match_layers(table, network, problems));

  NetworkBinding binding;
  binding.metrics = table.metrics;
  binding.network = network;
  binding.scratchpad_bytes = scratchpad_bytes(table, problems);
  const BitWidth outputs = output_bits(table, problems);
  std::vector<std::ptrdiff_t> variable_of(network.layers().size(), kNoVariable);
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    const Layer& layer = network.layers()[id];
    if (!has_macs(layer.kind) || is_left_out(table, layer.name)) continue;
    variable_of[id] = static_cast<std::ptrdiff_t>(binding.variables.size());
    binding.variables.push_back(layer.name);
  }
  for (std::size_t index = 0; index < table.layers.size(); ++index) {
    auto grid = try_grid(table, index, problems);
    const auto id = network.find_layer(table.layers[index]);
    if (!grid || !id || is_left_out(table, table.layers[index])) continue;
    BoundLayer bound = bind_layer(network, *id, variable_of);
    bound.grid = binding.grids.size();
    binding.grids.push_back(std::move(*grid));
    binding.layers.push_back(std::move(bound));
  }
  problems.throw_if_any();

  for (const StorageRule& rule : storage_rules(network, outputs)) {
    StorageRule& bound = binding.tensors.emplace_back(StorageRule{rule.floor, {}});
    for (const LayerId reader : rule.readers) {
      if (variable_of[reader] == kNoVariable) {
        bound.floor = std::max(bound.floor, kLeftOutBits);
      } else {
        bound.readers.push_back(static_cast<std::size_t>(variable_of[reader]));
      }
    }
  }
  return binding;
}

NetworkBinding bind_table(const CostTable& table) {
  Diagnostics problems;
  if (is_whole_network(table)) check_whole_network(table, problems);
  for (const Axis axis : table.axes) {
    if (axis == Axis::weight_bits || axis == Axis::activation_bits || is_whole_network(table)) {
      continue;
    }
    problems.error({table.source}, std::string(to_string(axis)),
                   "expected only weight_bits and activation_bits of a table that is used without "
                   "its network");
  }
  NetworkBinding binding;
  binding.metrics = table.metrics;
  for (std::size_t index = 0; index < table.layers.size(); ++index) {
    auto grid = try_grid(table, index, problems);
    if (!grid || is_left_out(table, table.layers[index])) continue;
    BoundLayer bound;
    bound.grid = binding.grids.size();
    bound.own = static_cast<std::ptrdiff_t>(binding.variables.size());
    bound.weighted = index >= table.kinds.size() || may_have_weights(table.kinds[index]);
    binding.variables.push_back(table.layers[index]);
    binding.grids.push_back(std::move(*grid));
    binding.layers.push_back(std::move(bound));
  }
  problems.throw_if_any();
  return binding;
}

struct FractionalCost::Data {
  Data(NetworkBinding binding, std::size_t metric)
      : terms(binding, metric), variables(std::move(binding.variables)) {
    for (BoundTerm& term : terms.terms()) {
      term.flat.fix(Axis::input_share, 1);
      term.flat.fix(Axis::output_share, 1);
    }
  }

  BoundTerms terms;
  std::vector<std::string> variables;
};

FractionalCost::FractionalCost(NetworkBinding binding, std::string_view metric) {
  const std::size_t index = metric_index(binding.metrics, metric);
  data_ = std::make_shared<const Data>(std::move(binding), index);
}

const std::vector<std::string>& FractionalCost::variables() const { return data_->variables; }

double FractionalCost::evaluate(std::span<const double> weight_bits,
                                std::span<const double> activation_bits,
                                std::span<double> weight_gradient,
                                std::span<double> activation_gradient) const {
  const std::size_t count = data_->variables.size();
  ensure(weight_bits.size() == count && activation_bits.size() == count,
         "there is a width of both kinds per variable");
  ensure((weight_gradient.empty() || weight_gradient.size() == count) &&
             (activation_gradient.empty() || activation_gradient.size() == count),
         "a gradient has an entry per variable");
  for (std::size_t i = 0; i < count; ++i) {
    ensure(std::isfinite(weight_bits[i]) && std::isfinite(activation_bits[i]), "widths are finite");
  }
  const bool wants_gradient = !weight_gradient.empty() || !activation_gradient.empty();
  std::fill(weight_gradient.begin(), weight_gradient.end(), 0.0);
  std::fill(activation_gradient.begin(), activation_gradient.end(), 0.0);

  thread_local StoredTensors tensors;
  data_->terms.store(activation_bits, tensors);
  double total = 0;
  TermPlace place;
  FlatGrid::Cells cells;
  AxisValues slopes;
  for (const BoundTerm& term : data_->terms.terms()) {
    const std::ptrdiff_t own = term.layer.own;
    const double activation = term.activation(activation_bits, tensors);
    const double weight =
        term.layer.weighted ? weight_bits[static_cast<std::size_t>(own)] : activation;
    term.place(weight, activation, tensors, place);
    term.flat.locate_all(place.at, cells);
    total += term.flat.value(cells, wants_gradient ? &slopes : nullptr);
    if (!wants_gradient) continue;
    const double to_weight = term.pass_on(place, weight, slopes, 1, tensors, activation_gradient);
    if (term.layer.weighted && !weight_gradient.empty()) {
      weight_gradient[static_cast<std::size_t>(own)] += to_weight;
    }
  }
  return total;
}

}  // namespace widthwise
