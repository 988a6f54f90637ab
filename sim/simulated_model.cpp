#include "sim/simulated_model.hpp"

#include <utility>

#include "models/base/error.hpp"
#include "sim/machine.hpp"

namespace widthwise {

std::unique_ptr<MachineCostModel> machine_cost_model(Network network, Accelerator accelerator,
                                                     const EnergyTable& energy, Fidelity fidelity,
                                                     MachineModelOptions options,
                                                     const sim::OperandOptions& operands) {
  if (fidelity == Fidelity::analytic) {
    return analytic_cost_model(std::move(network), std::move(accelerator), energy,
                               std::move(options));
  }
  ensure(options.jobs > 0, "simulations run in worker processes");
  const auto compute = [fidelity, operands](const Accelerator& machine, const EnergyModel& energies,
                                            const PlannedLayers& next,
                                            const std::function<void(const LayerCost&)>& done) {
    sim::simulate_layers(machine, energies, next, done,
                         fidelity == Fidelity::cycle ? &operands : nullptr);
  };
  return std::make_unique<MachineCostModel>(std::move(network), std::move(accelerator), energy,
                                            fidelity, compute, sim::check_step_count,
                                            std::move(options));
}

}  // namespace widthwise
