// The closed-form cost of a network on an accelerator: the `analytic` fidelity.
//
// Models what the simulation models (sim/simulation.hpp), with the tile loops summed up instead of
// played through. Ignores that requests of one layer can get in each other's way, so it errs low:
// never above the simulation of the same tiling. Most networks are within 1 % of it; where layers
// have few large tiles it can be up to 4 % lower (tests/simulation/shipped_machines_test.cpp names
// them).
#pragma once

#include "models/cost/cost_report.hpp"
#include "models/cost/plan.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/hardware/energy_table.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

/// Throws InputError if a width is not supported by the engine, a layer fits no tile into the
/// buffers, or the energy table lacks an entry that is needed (all layers' mistakes at once).
CostReport analytic_cost(const Network& network, const WidthPlan& widths,
                         const Accelerator& accelerator, const EnergyTable& energy);

/// A layer that was set and tiled, in closed form.
LayerCost analytic_layer_cost(const LayerPlan& plan, const Accelerator& accelerator,
                              const EnergyModel& energy);

}  // namespace widthwise
