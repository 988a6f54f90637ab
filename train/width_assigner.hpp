// Widths of layers by losses that change, under budgets on simulated costs: what BMPQ (arXiv
// 2112.13843) solves after every interval, and what a trained network is given afterwards.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "models/cost/cost_model.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"
#include "search/solver.hpp"
#include "train/settings.hpp"
#include "train/width_plan_cost.hpp"

namespace widthwise {

/// Assigns widths to layers by losses that change, under budgets on simulated costs.
class WidthAssigner {
 public:
  /// Options of a layer: with `tied_operands` (BMPQ) pairs of equal widths out of
  /// settings.weight_bits, else all pairs of weight and activation widths; pins as the settings
  /// say. Costs are the model's, linked by stored widths (network_problem.hpp). Throws InputError:
  /// what network_problem() and resolve_budgets() throw, and a target below what can be reached
  /// (named with the least that is reachable).
  WidthAssigner(const Network& network, CostModel& model, const Accelerator& accelerator,
                const TrainSettings& settings, bool tied_operands);

  /// `loss(layer, widths)` for every layer with multiply-accumulates and option. Proven optimal, or
  /// the best within the time limit. Costs by the model, so within the budgets exactly.
  std::vector<LayerChoice> assign(const std::function<double(LayerId, const LayerWidths&)>& loss);

  [[nodiscard]] const std::vector<double>& targets() const;  // resolved limits, as settings.targets
  [[nodiscard]] const Solution& last() const;

 private:
  struct Data;
  std::shared_ptr<Data> data_;
};

}  // namespace widthwise
