// Tables of made-up costs, of any network and with any of the axes, that have the rows which can
// be.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "models/network/network.hpp"
#include "models/network/stored_widths.hpp"
#include "models/table/cost_table.hpp"

namespace widthwise::synthetic {

struct Form {
  std::vector<double> widths = {1, 2, 3, 4, 5, 6, 7, 8};
  bool stored = false;              // by stored widths
  bool homes = false;               // by homes of tensors; only with `stored`
  std::vector<double> shares = {};  // of channels; empty: no axes of them
};

/// Cost of a layer of the network at a place.
using CostOf = std::function<double(LayerId, const AxisValues&)>;

/// A number in [0, 1) that goes with the place and nothing else.
inline double scatter(LayerId layer, const AxisValues& at) {
  std::uint64_t hash = 0x9e3779b97f4a7c15ULL + layer;
  for (const double value : at) {
    hash ^= static_cast<std::uint64_t>(value * 1024) + 0x9e3779b97f4a7c15ULL + (hash << 6U) +
            (hash >> 2U);
    hash *= 0xbf58476d1ce4e5b9ULL;
    hash ^= hash >> 29U;
  }
  return static_cast<double>(hash >> 11U) * 0x1p-53;
}

/// Whole numbers, so that sums are exact, that grow with all widths and lie on no plane.
inline CostOf scattered_cost(const Network& network) {
  return [network](LayerId id, const AxisValues& at) {
    const Layer& layer = network.layers()[id];
    const auto value = [&](Axis axis) { return at[index_of(axis)]; };
    const double work = layer.compute ? static_cast<double>(layer.macs()) / 64 : 50;
    const double bits = value(Axis::weight_bits) * value(Axis::activation_bits) +
                        std::pow(value(Axis::stored_input_bits), 1.5) +
                        std::pow(value(Axis::stored_second_bits), 1.25) +
                        2 * value(Axis::stored_output_bits);
    const double homes = 3 - value(Axis::input_on_chip) - 0.5 * value(Axis::second_on_chip) -
                         0.75 * value(Axis::output_on_chip);
    const double shares =
        std::pow(value(Axis::input_share), 0.75) * std::pow(value(Axis::output_share), 0.75);
    return std::floor(work * bits * homes * shares * (1 + 0.25 * scatter(id, at))) + 1;
  };
}

/// The rows of the table's last layer.
class LayerRows {
 public:
  LayerRows(const Network& network, const Form& form, const CostOf& cost, CostTable& table)
      : network_(network),
        form_(form),
        cost_(cost),
        rules_(storage_rules(network)),
        table_(table) {}

  void add(LayerId id) {
    id_ = id;
    layer_ = &network_.layers()[id];
    const bool product = layer_->compute && layer_->compute->second_operand_is_activation;
    if (!layer_->compute) {
      const std::set<double> all(form_.widths.begin(), form_.widths.end());
      for (const double width : form_.stored ? stored(layer_->output, 0) : all) {
        add_stored(width, width, product);
      }
      return;
    }
    for (const double activation : form_.widths) {
      if (layer_->weights == 0) add_stored(activation, activation, product);
      if (layer_->weights == 0) continue;
      for (const double weight : form_.widths) add_stored(weight, activation, product);
    }
  }

 private:
  /// Widths that a tensor can be stored at if somebody asks for `least`.
  [[nodiscard]] std::set<double> stored(TensorId tensor, double least) const {
    const StorageRule& rule = rules_[tensor];
    const double from = std::max(least, static_cast<double>(rule.floor));
    std::set<double> widths;
    if (from > 0) widths.insert(from);
    for (const double width : form_.widths) {
      if (width >= from && !rule.readers.empty()) widths.insert(width);
    }
    return widths;
  }

  [[nodiscard]] std::set<double> read(TensorId tensor, double activation) const {
    const StorageRule& rule = rules_[tensor];
    const bool alone =
        layer_->compute ? rule == StorageRule{0, {id_}} : rule == rules_[layer_->output];
    return alone ? std::set<double>{activation} : stored(tensor, activation);
  }

  [[nodiscard]] std::vector<double> homes(TensorId tensor) const {
    const Tensor& own = network_.tensors()[tensor];
    const bool may = own.producer && !own.is_output && !own.consumers.empty();
    return form_.homes && may ? std::vector<double>{0, 1} : std::vector<double>{0};
  }

  void add_stored(double weight, double activation, bool product) {
    AxisValues at{};
    at[index_of(Axis::weight_bits)] = weight;
    at[index_of(Axis::activation_bits)] = activation;
    if (!form_.stored) return add_shares(at);
    std::set<double> inputs;
    double elements = 0;
    double on_chip = 0;
    for (std::size_t i = 0; i < (layer_->compute ? 1 : layer_->inputs.size()); ++i) {
      inputs.merge(read(layer_->inputs[i], activation));
      const auto count = static_cast<double>(network_.tensors()[layer_->inputs[i]].elements());
      elements += count;
      if (homes(layer_->inputs[i]).size() > 1) on_chip += count;
    }
    const std::set<double> input_homes = {0, on_chip / elements};
    const auto seconds = product ? read(layer_->inputs[1], activation) : std::set<double>{0};
    const auto second_homes = product ? homes(layer_->inputs[1]) : std::vector<double>{0};
    const auto outputs = layer_->compute ? stored(layer_->output, 0) : std::set<double>{activation};
    for (const double input : inputs) {
      for (const double second : seconds) {
        for (const double output : outputs) {
          at[index_of(Axis::stored_input_bits)] = input;
          at[index_of(Axis::stored_second_bits)] = second;
          at[index_of(Axis::stored_output_bits)] = output;
          for (const double input_home : input_homes) {
            for (const double second_home : second_homes) {
              for (const double output_home : homes(layer_->output)) {
                at[index_of(Axis::input_on_chip)] = input_home;
                at[index_of(Axis::second_on_chip)] = second_home;
                at[index_of(Axis::output_on_chip)] = output_home;
                add_shares(at);
              }
            }
          }
        }
      }
    }
  }

  void add_shares(AxisValues at) {
    const std::vector<double> whole = {1};
    const bool product = layer_->compute && layer_->compute->second_operand_is_activation;
    const bool dense = layer_->compute && layer_->compute->groups == 1 && !product;
    for (const double input : dense && !form_.shares.empty() ? form_.shares : whole) {
      for (const double output : !product && !form_.shares.empty() ? form_.shares : whole) {
        at[index_of(Axis::input_share)] = input;
        at[index_of(Axis::output_share)] = output;
        table_.rows.push_back({table_.layers.size() - 1, at, {cost_(id_, at)}, {}});
      }
    }
  }

  const Network& network_;
  const Form& form_;
  const CostOf& cost_;
  std::vector<StorageRule> rules_;
  CostTable& table_;
  LayerId id_ = 0;
  const Layer* layer_ = nullptr;
};

/// All layers of the network, with the metric "cost".
inline CostTable table(const Network& network, const Form& form, const CostOf& cost) {
  CostTable table;
  table.source = "synthetic.csv";
  table.metrics = {"cost"};
  table.axes = {Axis::weight_bits, Axis::activation_bits};
  if (form.stored) {
    table.axes.insert(table.axes.end(), {Axis::stored_input_bits, Axis::stored_second_bits,
                                         Axis::stored_output_bits});
  }
  if (form.homes) {
    table.axes.insert(table.axes.end(),
                      {Axis::input_on_chip, Axis::second_on_chip, Axis::output_on_chip});
  }
  if (!form.shares.empty()) {
    table.axes.insert(table.axes.end(), {Axis::input_share, Axis::output_share});
  }
  LayerRows rows(network, form, cost, table);
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    table.layers.push_back(network.layers()[id].name);
    table.kinds.emplace_back(to_string(network.layers()[id].kind));
    rows.add(id);
  }
  return table;
}

}  // namespace widthwise::synthetic
