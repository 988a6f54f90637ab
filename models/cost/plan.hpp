// How a network runs on an accelerator: for every layer the width mode, the tile and where its
// tensors lie. Made once, then costed in closed form (analytic.hpp) or played (sim/simulation.hpp).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "models/cost/cost_report.hpp"
#include "models/cost/layer_model.hpp"
#include "models/cost/layer_point.hpp"
#include "models/cost/vector_model.hpp"
#include "models/hardware/area.hpp"
#include "models/hardware/energy.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

struct LayerPlan {
  LayerSetting setting;
  std::shared_ptr<const Layer> pruned;  // the setting's layer where channels are pruned
  std::optional<LayerModel> engine;     // layers with MACs
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

/// The same for tensors stored at so many bits an element, which may be fractions, in a scratchpad
/// of so many bytes.
std::vector<Home> place_tensors(const Network& network, std::span<const double> stored_bits,
                                double scratchpad_bytes);

/// A layer with all that its cost depends on. Adds to `problems`: a width that the engine does not
/// support, accumulators wider than the engine's. The network outlives what comes back.
LayerPlan set_layer(const Network& network, const LayerPoint& point, const Accelerator& accelerator,
                    Diagnostics& problems);

/// Chooses the tile of a layer that was set. Adds to `problems`: a layer that fits no tile into the
/// buffers, a fixed tile that does not fit, an energy entry that is missing.
void tile_layer(LayerPlan& plan, const Accelerator& accelerator, const EnergyModel& energy,
                Diagnostics& problems);

/// Throws InputError, all layers' mistakes at once: a width that the engine does not support, a
/// layer whose accumulators are wider than the engine's, one that fits no tile into the buffers, a
/// fixed tile that does not fit or names no layer, an energy entry that is missing.
NetworkPlan plan_network(const Network& network, const WidthPlan& widths,
                         const Accelerator& accelerator, const EnergyTable& table);

/// The figures of a layer that do not depend on how it is timed: names, widths, tile, operations.
LayerCost describe_layer(const LayerPlan& plan);

/// Fills energy, utilization and bottleneck from latency, cycles and activity.
void complete_cost(LayerCost& cost, const LayerPlan& plan, const Accelerator& accelerator,
                   const EnergyModel& energy);

/// A report without layers: names, clock, area, notes.
CostReport describe_run(const NetworkPlan& plan, Fidelity fidelity);

}  // namespace widthwise
