// What a network costs whose layers, or output channels, have given widths, on any cost model.
//
// A layer whose output channels have several weight widths runs once per width, one after the
// other, each time with the channels of that width. Channels of width 0 are pruned: they are not
// computed, and layers that read them have so many input channels less (models/table/
// channel_trace.hpp says how they are traced). A layer without an input or an output channel left
// does not run.
//
// Ignores: that the passes of one layer could share their reads of the input (errs high). Grouped
// convolutions that are not depthwise run in whole groups: channels of one group with different
// widths, or pruned in part, are charged as if all of the group had each width (errs high). What is
// left of a tensor decides whether it stays on chip; which channels are gone need not be told.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "models/cost/cost_model.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

/// Of one layer with multiply-accumulates.
struct LayerChoice {
  LayerId layer = 0;
  /// 1 (the whole layer), or one per output channel; 0: pruned. Not looked at where the layer has
  /// no constant weights.
  std::vector<BitWidth> weight_bits;
  BitWidth activation_bits = 8;
  bool operator==(const LayerChoice&) const = default;
};

/// Points of the whole network in execution order, of a layer with n weight widths n of them, in
/// ascending order of the widths. Where every layer has one width they are those of layer_points().
/// There is a choice for every layer with multiply-accumulates. Throws InputError: weights of more
/// than 16 bit, activations outside 1..16.
std::vector<LayerPoint> choice_points(const Network& network, const Accelerator& accelerator,
                                      std::span<const LayerChoice> choices,
                                      BitWidth output_bits = 8);

struct ChoiceCost {
  std::vector<std::string> metrics;
  std::vector<double> totals;                 // one per metric
  std::vector<std::string> layers;            // all of the network's, in execution order
  std::vector<std::vector<double>> by_layer;  // per layer, per metric; passes summed
};

/// Throws InputError as the model does, and if a point failed.
ChoiceCost choice_cost(const Network& network, CostModel& model, const Accelerator& accelerator,
                       std::span<const LayerChoice> choices, BitWidth output_bits = 8);

}  // namespace widthwise
