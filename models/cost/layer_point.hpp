// One layer at given widths: all that its cost depends on besides the network and the machine.
//
// A layer's own widths are not enough: its input is stored as wide as the most demanding of its
// readers asks for, its output likewise, and both may lie on chip or in DRAM. The sum of the costs
// of a network's points is the cost of the network, since layers run one after the other.
#pragma once

#include <optional>
#include <vector>

#include "models/cost/layer_model.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

struct LayerPoint {
  LayerId layer = 0;
  LayerWidths widths;                   // without weights: the activation width in both
  std::vector<BitWidth> stored_inputs;  // one per input of the layer
  BitWidth stored_output = 8;
  std::vector<Home> input_homes;  // one per input of the layer
  Home output_home = Home::dram;
  std::optional<BitWidth> accumulator;  // none: the engine's
  /// What is left of the input and output channels when some are pruned, above 0 and at most 1;
  /// rounded up to whole channels. A depthwise or grouped layer keeps the output share of its
  /// groups.
  double input_share = 1;
  double output_share = 1;
  bool operator==(const LayerPoint&) const = default;
};

/// The points of a whole network under a width plan, in execution order.
std::vector<LayerPoint> layer_points(const Network& network, const WidthPlan& widths,
                                     const Accelerator& accelerator);

/// The layer with the point's shares of its channels; itself where nothing is pruned.
Layer pruned_layer(const Layer& layer, double input_share, double output_share);

}  // namespace widthwise
