// Widths of layers by losses that change, under budgets on simulated costs: what BMPQ (arXiv
// 2112.13843) solves after every interval, and what a trained network is given afterwards.
//
// Costs are those of whole networks, linked by stored widths (search/network_problem.hpp, which
// says what it ignores). Every answer is costed as a whole network. Where tensors may stay on chip,
// an answer changes what does: the problem is solved again with the tensors where the answer has
// them, until both agree; where the whole costs more than the problem says, with limits that are
// lower by as much. If they never agree, the answer of least loss within the budgets is taken after
// 6 rounds, and layers are given better options one by one as long as the whole stays within them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "models/cost/cost_model.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"
#include "search/solver.hpp"
#include "train/resolved_target.hpp"
#include "train/settings.hpp"
#include "train/width_plan_cost.hpp"

namespace widthwise {

class WidthAssigner {
 public:
  /// Options of a layer: with `tied_operands` (BMPQ) pairs of equal widths out of
  /// settings.weight_bits, else all pairs of weight and activation widths; pins as the settings say
  /// (of one operand: it holds for both where they are tied). Asks the model for all costs, which
  /// may take long; it and the others outlive this. Targets are resolved as WidthLearner does.
  /// Throws InputError: a pin or a metric that there is not, widths that the model refuses;
  /// InfeasibleTarget: a target below what can be reached, named with the least that can.
  WidthAssigner(const Network& network, CostModel& model, const Accelerator& accelerator,
                const TrainSettings& settings, bool tied_operands);

  /// `loss(layer, widths)` is asked for every layer with multiply-accumulates and option. Proven
  /// optimal, or the best within the time limit, for costs as the problem has them; within the
  /// budgets by the model. Throws InfeasibleTarget if several targets can not be met together.
  std::vector<LayerChoice> assign(const std::function<double(LayerId, const LayerWidths&)>& loss);

  [[nodiscard]] const std::vector<double>& targets() const;  // resolved limits, as settings.targets
  [[nodiscard]] const std::vector<ResolvedTarget>& resolved_targets() const;

  /// Of the last assign(); `used` of its budgets, which are those of settings.targets, is what the
  /// model says of the answer. Its `choice` is not there if the answer is not that of a problem.
  [[nodiscard]] const Solution& last() const;

 private:
  struct Data;
  std::shared_ptr<Data> data_;
};

}  // namespace widthwise
