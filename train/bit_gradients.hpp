// BMPQ's sensitivities (arXiv 2112.13843) and the widths that they lead to.
//
// DoReFa's b-bit levels 2 k / (2^b - 1) - 1, k = 0 .. 2^b - 1, are S (n + 1/2) with S = 2 / (2^b -
// 1) and n = k - 2^(b-1), a two's complement integer n = -2^(b-1) c_(b-1) + sum_j 2^j c_j. The
// gradient on bit j is S 2^j dL/dw_q (negated for the top one), and the sum of their absolute
// values S (2^b - 1) |dL/dw_q| = 2 |dL/dw_q|: a layer's bit gradient does not depend on its width.
//
//   normalized     NBG(l) = mean over weights of 2 |dL/dw_q| / sum over layers of the same
//   epoch-normalized   ENBG(l) = mean of NBG(l) over the mini-batches of an interval
//   assignment     maximize sum_l ENBG(l) bits(l) under the budgets (our reading of the paper)
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/cost/cost_model.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"
#include "search/network_search.hpp"
#include "search/solver.hpp"
#include "train/settings.hpp"
#include "train/width_plan_cost.hpp"

namespace widthwise {

/// Sums mini-batch gradients over an interval.
class BitGradients {
 public:
  explicit BitGradients(std::size_t layers);
  /// Mean |dL/dw_q| of every layer's quantized weights in one mini-batch; those of layers that are
  /// not assigned count too. Batches in which all are 0 are skipped.
  void add(std::span<const double> mean_absolute_gradient);
  [[nodiscard]] std::vector<double> sensitivities() const;  // ENBG, sum 1; equal before any batch
  void clear();
  [[nodiscard]] std::vector<double> state() const;  // for checkpoints
  void restore(std::span<const double> state);

 private:
  std::vector<double> sums_;
  double batches_ = 0;
};

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
