// The cost of layers on a modelled machine, in closed form or simulated, behind the interface of
// all cost models: equal layers are computed once, what was computed before comes from a cache, and
// the rest is computed in worker processes.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "models/cost/cost_memo.hpp"
#include "models/cost/cost_model.hpp"
#include "models/cost/cost_report.hpp"
#include "models/cost/layer_key.hpp"
#include "models/cost/plan.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/hardware/energy.hpp"
#include "models/hardware/energy_table.hpp"
#include "models/network/network.hpp"

namespace widthwise {

/// Hands out layers that are set and tiled, one after the other; null: no more. A layer stays until
/// the next one is asked for.
using PlannedLayers = std::function<const LayerPlan*()>;

/// How a fidelity computes: takes layers from `next` until there are no more and gives the cost of
/// each to `done` before it takes the next one.
using ComputeLayers =
    std::function<void(const Accelerator&, const EnergyModel&, const PlannedLayers& next,
                       const std::function<void(const LayerCost&)>& done)>;

/// Adds to `problems` why the fidelity can not compute a layer.
using CheckLayer = std::function<void(const LayerPlan&, const Accelerator&, Diagnostics& problems)>;

struct MachineModelOptions {
  /// Worker processes; 0: in the caller's process, which a simulation does not allow.
  std::size_t jobs = 1;
  std::chrono::milliseconds time_limit{600'000};  // of one layer; then it has failed
  CostStore* cache = nullptr;                     // outlives the model
  /// How far costs() is: layers computed, all that have to be, the one that came last.
  std::function<void(std::size_t done, std::size_t total, const std::string& layer)> progress = {};
};

class MachineCostModel : public CostModel {
 public:
  /// Throws InputError if the energy table lacks what the accelerator needs.
  MachineCostModel(Network network, Accelerator accelerator, const EnergyTable& energy,
                   Fidelity fidelity, ComputeLayers compute, CheckLayer check,
                   MachineModelOptions options);

  [[nodiscard]] const std::vector<std::string>& metrics() const override;  // machine_metrics()
  [[nodiscard]] std::vector<PointCost> costs(std::span<const LayerPoint> points) override;

  [[nodiscard]] const Accelerator& accelerator() const { return accelerator_; }
  [[nodiscard]] const Network& network() const { return network_; }
  [[nodiscard]] Fidelity fidelity() const { return fidelity_; }

  /// Key of all that the costs of this network on this machine follow from but widths.
  [[nodiscard]] ContentKey inputs_key() const;

  /// What costs() had to compute so far; the rest was equal to something or in the cache.
  [[nodiscard]] std::size_t computed() const { return computed_; }

 private:
  struct Work;
  void compute(Work& work);
  void tile(LayerPlan& plan, Diagnostics& problems) const;

  Network network_;
  Accelerator accelerator_;
  EnergyModel energy_;
  Fidelity fidelity_;
  ComputeLayers compute_layers_;
  CheckLayer check_;
  MachineModelOptions options_;
  LayerKeys keys_;
  std::size_t computed_ = 0;
};

/// The closed form. With `jobs` 0 in this process.
std::unique_ptr<MachineCostModel> analytic_cost_model(Network network, Accelerator accelerator,
                                                      const EnergyTable& energy,
                                                      MachineModelOptions options = {.jobs = 0});

}  // namespace widthwise
