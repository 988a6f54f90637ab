// The cost of a network whose weight widths differ from output channel to output channel, with its
// gradient. A channel of width 0 is pruned: its layer has a channel less, and so have the layers
// that read its output.
//
// Model. A channel of width x between the integers i and i + 1 counts as i + 1 - x of a channel of
// i bits and x - i of a channel of i + 1 bits. With n_b channels of b bits and N = sum of n_b over
// b >= 1, a layer costs the sum over b >= 1 of n_b / N times the cost of the whole layer at b bits,
// with the share N / (all channels) of its output channels and the share of its input channels that
// its producers have left. At equal widths from 1 bit that is the cost per layer
// (fractional_cost.hpp), where the layer has axes of both widths or the widths are whole.
//
// Below the least share in the table the cost falls in proportion to the share, to nothing at 0;
// where the table has no axes of shares, or only whole layers, that is everywhere. Grouped layers
// and those without multiply-accumulates have as many input as output channels, and fall with the
// share of the output's only.
//
// How the channels that are left are traced through the network: channel_trace.hpp.
//
// Ignores: that channels of one width rarely fill an array's columns, that each group of one width
// fetches the input anew (errs low), and that proportion is kinder than granularity (errs low).
// Mean widths and homes of several inputs are weighted with all elements, pruned or not.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/network/network.hpp"
#include "models/table/fractional_cost.hpp"

namespace widthwise {

class ChannelCost {
 public:
  /// Throws InputError if there is no such metric, or the table is not one of a network's layers.
  ChannelCost(NetworkBinding binding, std::string_view metric);

  [[nodiscard]] const std::vector<std::string>& variables() const;

  /// Channels of variable i are [offsets()[i], offsets()[i + 1]) of the vectors below. A layer
  /// without weights has none.
  [[nodiscard]] const std::vector<std::size_t>& offsets() const;

  /// Weight width in bits of every output channel, 0 upwards; activation widths one per variable.
  /// Gradients, unless empty, are overwritten; at whole widths they are right derivatives (at the
  /// greatest width that the table has for the layer, left ones). Homes of tensors are those at the
  /// widths given, and constant for the gradient.
  double evaluate(std::span<const double> channel_bits, std::span<const double> activation_bits,
                  std::span<double> channel_gradient = {},
                  std::span<double> activation_gradient = {}) const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

}  // namespace widthwise
