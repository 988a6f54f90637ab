// How a network runs on an accelerator: for every layer the width mode, the tile and where its
// tensors lie. Made once, then costed in closed form (analytic.hpp) or played (sim/simulation.hpp).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "models/cost/cost_report.hpp"
#include "models/cost/layer_model.hpp"
#include "models/cost/vector_model.hpp"
#include "models/hardware/area.hpp"
#include "models/hardware/energy.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

struct LayerPlan {
  LayerSetting setting;
  std::optional<LayerModel> engine;  // layers with MACs
  Tile tile;
  ClosedForm form;                    // of the tile
  std::optional<VectorModel> vector;  // the others
};

struct NetworkPlan {
  Network network;
  const Accelerator* accelerator = nullptr;  // outlives the plan
  EnergyModel energy;
  AreaEstimate area;
  std::vector<LayerPlan> layers;  // in execution order
};

/// Where each tensor lies between its producer and its last consumer; indices as in the network.
/// Tensors go to the scratchpad in the order in which they are produced, as long as they fit beside
/// those that are still needed; the network's inputs and outputs lie in DRAM.
std::vector<Home> place_tensors(const Network& network, const WidthPlan& widths,
                                const Accelerator& accelerator);

/// Throws InputError, all layers' mistakes at once: a width that the engine does not support, a
/// layer whose accumulators are wider than the engine's, one that fits no tile into the buffers, a
/// fixed tile that does not fit or names no layer, an energy entry that is missing.
NetworkPlan plan_network(const Network& network, const WidthPlan& widths,
                         const Accelerator& accelerator, const EnergyTable& table);

/// The figures of a layer that do not depend on how it is timed: names, widths, tile, operations.
LayerCost describe_layer(const LayerPlan& plan);

/// Fills energy, utilization and bottleneck from latency, cycles and activity.
void complete_cost(LayerCost& cost, const LayerPlan& plan, const NetworkPlan& network);

/// A report without layers: names, clock, area, notes.
CostReport describe_run(const NetworkPlan& plan, Fidelity fidelity);

}  // namespace widthwise
