// The layers of a binding as terms of a sum: how the place in a layer's grid follows from the
// widths of all variables, and how a derivative by that place goes back to them. For
// fractional_cost.cpp and channel_cost.cpp, which differ in what a weight width is.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "models/base/error.hpp"
#include "models/cost/plan.hpp"
#include "models/table/flat_grid.hpp"
#include "models/table/fractional_cost.hpp"

namespace widthwise {

/// How tensors are stored at given activation widths.
struct StoredTensors {
  std::vector<double> bits;             // of an element
  std::vector<std::ptrdiff_t> decider;  // the variable that the width is that of; -1: none
  std::vector<double> on_chip;          // 1: in the scratchpad; empty: no layer asks
};

/// A layer's place, before its grid is looked at.
struct TermPlace {
  AxisValues at{};
  double activation = 0;  // its own width, of which at[activation_bits] may be more
  /// Operands that count as stored at the activation width although they are stored at less.
  bool input_raised = false, second_raised = false;
};

struct BoundTerm {
  BoundTerm(const BoundLayer& bound, const LayerGrid& grid, std::size_t metric)
      : layer(bound),
        flat(grid, metric),
        equal_widths(grid.equal_widths && bound.weighted),
        asks_input(flat.has(Axis::stored_input_bits)),
        asks_second(flat.has(Axis::stored_second_bits)),
        asks_output(flat.has(Axis::stored_output_bits)),
        asks_homes(flat.has(Axis::input_on_chip) || flat.has(Axis::second_on_chip) ||
                   flat.has(Axis::output_on_chip)) {}

  BoundLayer layer;
  FlatGrid flat;
  bool equal_widths;  // the layer runs at the greater of its two widths
  bool asks_input, asks_second, asks_output, asks_homes;

  [[nodiscard]] double activation(std::span<const double> widths,
                                  const StoredTensors& tensors) const {
    return layer.own >= 0 ? widths[static_cast<std::size_t>(layer.own)]
                          : tensors.bits[static_cast<std::size_t>(layer.output)];
  }

  /// Shares of channels are 1.
  void place(double weight, double activation, const StoredTensors& tensors,
             TermPlace& place) const {
    AxisValues& at = place.at;
    place.activation = activation;
    place.input_raised = place.second_raised = false;
    const double computed = equal_widths ? std::max(weight, activation) : activation;
    at[index_of(Axis::weight_bits)] = layer.weighted ? weight : activation;
    at[index_of(Axis::activation_bits)] = computed;
    at[index_of(Axis::input_share)] = at[index_of(Axis::output_share)] = 1;
    if (asks_input) {
      // From the least upwards, so that equal widths give exactly their mean.
      double least = tensors.bits[layer.inputs.front().first];
      for (const auto& [tensor, share] : layer.inputs) {
        least = std::min(least, tensors.bits[tensor]);
      }
      double mean = least;
      for (const auto& [tensor, share] : layer.inputs) {
        mean += share * (tensors.bits[tensor] - least);
      }
      place.input_raised = equal_widths && mean < computed;
      at[index_of(Axis::stored_input_bits)] = place.input_raised ? computed : mean;
    }
    if (asks_second) {
      const double stored =
          layer.second >= 0 ? tensors.bits[static_cast<std::size_t>(layer.second)] : 0;
      place.second_raised = equal_widths && stored < computed;
      at[index_of(Axis::stored_second_bits)] = place.second_raised ? computed : stored;
    }
    if (asks_output) {
      at[index_of(Axis::stored_output_bits)] = tensors.bits[static_cast<std::size_t>(layer.output)];
    }
    if (asks_homes) {
      const auto home = [&](std::ptrdiff_t tensor) {
        return tensor >= 0 ? tensors.on_chip[static_cast<std::size_t>(tensor)] : 0;
      };
      at[index_of(Axis::input_on_chip)] = bits_on_chip(tensors).first;
      at[index_of(Axis::second_on_chip)] = home(layer.second);
      at[index_of(Axis::output_on_chip)] = home(layer.output);
    }
  }

  /// Derivatives by the place go to the activation widths, times `factor`; what is due to the
  /// layer's weight width comes back, without the factor. Where equal_widths, a width that is the
  /// lesser of both gets nothing, and equal ones get half each.
  double pass_on(const TermPlace& place, double weight, const AxisValues& slopes, double factor,
                 const StoredTensors& tensors, std::span<double> gradient) const {
    const auto slope = [&](Axis axis) { return slopes[index_of(axis)]; };
    const auto to_tensor = [&](std::size_t tensor, double value) {
      const std::ptrdiff_t decider = tensors.decider[tensor];
      if (decider >= 0) gradient[static_cast<std::size_t>(decider)] += value * factor;
    };
    double to_activation = slope(Axis::activation_bits);
    double to_weight = slope(Axis::weight_bits);
    if (place.input_raised) to_activation += slope(Axis::stored_input_bits);
    if (place.second_raised) to_activation += slope(Axis::stored_second_bits);
    if (!layer.weighted) {
      to_activation += to_weight;
      to_weight = 0;
    } else if (equal_widths && weight >= place.activation) {
      to_weight = (weight > place.activation ? 1 : 0.5) * to_activation;
      to_activation -= to_weight;
    }
    if (gradient.empty()) return to_weight;
    if (layer.own >= 0) {
      gradient[static_cast<std::size_t>(layer.own)] += to_activation * factor;
    } else {
      to_tensor(static_cast<std::size_t>(layer.output), to_activation);
    }
    if (asks_input && !place.input_raised) {
      for (const auto& [tensor, share] : layer.inputs) {
        to_tensor(tensor, share * slope(Axis::stored_input_bits));
      }
    }
    if (asks_second && !place.second_raised && layer.second >= 0) {
      to_tensor(static_cast<std::size_t>(layer.second), slope(Axis::stored_second_bits));
    }
    if (asks_output) {
      to_tensor(static_cast<std::size_t>(layer.output), slope(Axis::stored_output_bits));
    }
    if (asks_homes && layer.inputs.size() > 1) {
      const auto [on_chip, bits] = bits_on_chip(tensors);
      for (const auto& [tensor, share] : layer.inputs) {
        to_tensor(tensor,
                  slope(Axis::input_on_chip) * share * (tensors.on_chip[tensor] - on_chip) / bits);
      }
    }
    return to_weight;
  }

 private:
  /// The share of the input's bits that is on chip, and the bits of a mean element.
  [[nodiscard]] std::pair<double, double> bits_on_chip(const StoredTensors& tensors) const {
    double all = 0;
    double on_chip = 0;
    for (const auto& [tensor, share] : layer.inputs) {
      all += share * tensors.bits[tensor];
      on_chip += share * tensors.bits[tensor] * tensors.on_chip[tensor];
    }
    return {all > 0 ? on_chip / all : 0, all};
  }
};

class BoundTerms {
 public:
  BoundTerms(const NetworkBinding& binding, std::size_t metric)
      : rules_(binding.tensors),
        network_(binding.network),
        scratchpad_bytes_(binding.scratchpad_bytes) {
    std::vector<bool> looked_at(rules_.size(), false);
    for (const BoundLayer& layer : binding.layers) {
      const BoundTerm& term = terms_.emplace_back(layer, binding.grids.at(layer.grid), metric);
      asks_homes_ = asks_homes_ || term.asks_homes;
      if (layer.own < 0 || term.asks_output) mark(looked_at, layer.output);
      if (term.asks_second) mark(looked_at, layer.second);
      if (term.asks_input) {
        for (const auto& [tensor, share] : layer.inputs) {
          mark(looked_at, static_cast<std::ptrdiff_t>(tensor));
        }
      }
    }
    ensure(!asks_homes_ || network_, "tensors have homes in a network");
    for (TensorId tensor = 0; tensor < rules_.size(); ++tensor) {
      if (asks_homes_ || looked_at[tensor]) tensors_.push_back(tensor);
    }
  }

  [[nodiscard]] const std::vector<BoundTerm>& terms() const { return terms_; }
  [[nodiscard]] std::vector<BoundTerm>& terms() { return terms_; }

  /// `left`: what is left of each tensor's elements; empty: all.
  void store(std::span<const double> activation_bits, StoredTensors& tensors,
             std::span<const double> left = {}) const {
    tensors.bits.resize(rules_.size());
    tensors.decider.resize(rules_.size());
    for (const TensorId tensor : tensors_) {
      const StorageRule& rule = rules_[tensor];
      double bits = rule.floor;
      std::ptrdiff_t decider = -1;
      for (const std::size_t reader : rule.readers) {
        const double asked = activation_bits[reader];
        // A reader that asks for the floor decides: more of it is more bits.
        if (asked > bits || (decider < 0 && asked == bits)) {
          bits = asked;
          decider = static_cast<std::ptrdiff_t>(reader);
        }
      }
      tensors.bits[tensor] = bits;
      tensors.decider[tensor] = decider;
    }
    if (asks_homes_) place_on_chip(tensors, left);
  }

 private:
  static void mark(std::vector<bool>& tensors, std::ptrdiff_t tensor) {
    if (tensor >= 0) tensors.at(static_cast<std::size_t>(tensor)) = true;
  }

  void place_on_chip(StoredTensors& tensors, std::span<const double> left) const {
    tensors.on_chip.assign(rules_.size(), 0);
    if (!(scratchpad_bytes_ > 0)) return;
    std::vector<Home> homes;
    if (left.empty()) {
      homes = place_tensors(*network_, tensors.bits, scratchpad_bytes_);
    } else {
      std::vector<double> bits = tensors.bits;
      for (TensorId tensor = 0; tensor < bits.size(); ++tensor) bits[tensor] *= left[tensor];
      homes = place_tensors(*network_, bits, scratchpad_bytes_);
    }
    for (TensorId tensor = 0; tensor < homes.size(); ++tensor) {
      if (homes[tensor] == Home::scratchpad) tensors.on_chip[tensor] = 1;
    }
  }

  std::vector<BoundTerm> terms_;
  std::vector<StorageRule> rules_;
  std::vector<TensorId> tensors_;  // of which the widths are looked at
  std::optional<Network> network_;
  double scratchpad_bytes_;
  bool asks_homes_ = false;
};

}  // namespace widthwise
