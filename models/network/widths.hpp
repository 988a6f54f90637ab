// Which width every layer computes at and every tensor is stored at.
//
// An assignment says (weight, activation) widths by layer name or pattern. A tensor is stored once,
// at the greatest width that any of its consumers asks for; a consumer with multiply-accumulates
// asks for its activation width, any other consumer for the width that its own output is stored at
// (unless the assignment names it), and the network's outputs for `output_bits`. A tensor that
// nobody reads is stored at `output_bits` too. A layer with multiply-accumulates may be given a
// width of its partial sums, which the engine must have.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/base/error.hpp"
#include "models/base/quantity.hpp"
#include "models/network/network.hpp"

namespace widthwise {

struct LayerWidths {
  BitWidth weight = 8;
  BitWidth activation = 8;
  bool operator==(const LayerWidths&) const = default;
};

/// One rule of an assignment; later rules win over earlier ones.
struct WidthRule {
  std::string pattern;  // layer name, or a pattern with * and ?; "@first" and "@last" name the
                        // first and last layer with constant weights
  std::optional<BitWidth> weight;
  std::optional<BitWidth> activation;
  SourcePlace place;
  std::optional<BitWidth> accumulator = std::nullopt;
};

/// Of partial sums, in two's complement.
inline constexpr BitWidth kMinAccumulatorWidth = 2;
inline constexpr BitWidth kMaxAccumulatorWidth = 64;

struct Assignment {
  std::string name;  // "w4a4" or the name in the file
  LayerWidths defaults;
  std::optional<BitWidth> accumulator;  // of layers that no rule names; none: the engine's
  BitWidth output_bits = 8;
  std::vector<WidthRule> rules;
};

/// The widths of every layer and tensor of one network; indices as in the network.
struct WidthPlan {
  std::vector<LayerWidths> layers;  // a layer without weights has its activation width in both
  std::vector<BitWidth> stored;     // per tensor
  std::vector<std::optional<BitWidth>> accumulators = {};  // per layer; empty: none for all

  /// Width of the layer's partial sums; none: the engine's.
  [[nodiscard]] std::optional<BitWidth> accumulator(LayerId layer) const {
    return accumulators.empty() ? std::nullopt : accumulators.at(layer);
  }
};

/// "w4a4", "w2a8": uniform widths. Throws InputError on anything else or on widths outside 1..16.
Assignment parse_uniform_assignment(std::string_view text);

/// Applies the rules. Throws InputError, all mistakes at once: a rule that matches no layer (with
/// the nearest name), a rule that sets a weight width only on layers without weights or an
/// accumulator's only on layers without multiply-accumulates.
WidthPlan resolve_widths(const Network& network, const Assignment& assignment);

/// Sum of macs x weight bits x activation bits (products of activations: activation bits twice).
double bitops(const Network& network, const WidthPlan& widths);

/// Constant parameters at their widths, biases at 32 bits.
Bits parameter_bits(const Network& network, const WidthPlan& widths);

}  // namespace widthwise
