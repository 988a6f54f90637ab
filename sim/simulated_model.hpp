// Cost models of modelled machines at every fidelity.
//
// Simulations run in worker processes, forked from the caller's: SystemC elaborates one machine per
// process. The caller must not have elaborated one itself (simulate()), or every point fails.
#pragma once

#include <memory>

#include "models/cost/machine_model.hpp"
#include "sim/cycle/layer_computation.hpp"

namespace widthwise {

/// `operands` are those of the fidelity `cycle`. Layers with too many tiles to simulate are
/// mistakes that costs() throws as InputError.
std::unique_ptr<MachineCostModel> machine_cost_model(Network network, Accelerator accelerator,
                                                     const EnergyTable& energy, Fidelity fidelity,
                                                     MachineModelOptions options = {},
                                                     const sim::OperandOptions& operands = {});

}  // namespace widthwise
