// What a network costs whose layers, or output channels, have given widths, on any cost model.
//
// A layer whose output channels have several weight widths runs once per width, one after the
// other, each time with the channels of that width. Channels of width 0 are pruned: they are not
// computed, and layers that read them have so many input channels less (models/table/
// channel_cost.hpp says how shares are traced). Ignores: that the passes of one layer could share
// their reads of the input (errs high).
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
  std::vector<BitWidth> weight_bits;  // 1 (the whole layer), or one per output channel
  BitWidth activation_bits = 8;
};

/// Points of the whole network in execution order; a layer with n widths has n points.
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
