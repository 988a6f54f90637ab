// The bit-width problem of a network on a cost model: every layer with multiply-accumulates is a
// group, and what the widths of one layer do to the tensors of another is in the problem's links.
//
// A tensor is stored at the greatest width that a reader asks for, and its producer and all readers
// pay for that. Every layer is costed at all stored widths that its tensors can have; the sum over
// the layers at any choice is what the cost model says of the whole network.
//
// Ignores: that tensors may leave a scratchpad when others grow. Where tensors lie is fixed
// (`homes`), and has to be checked at the answer. Layers without multiply-accumulates that read
// more than two tensors of different stored widths (concatenations) are charged for each as if it
// were the only one that differs; exact where cost is linear in the bits that are read, else off by
// what the resources hide of each other.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/cost/cost_model.hpp"
#include "models/cost/layer_model.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"
#include "models/table/cost_table.hpp"
#include "search/problem.hpp"

namespace widthwise {

/// The groups with every option's costs at the fewest stored bits that it can have, and the sum of
/// those of all layers that are no group.
struct LeastCosts {
  std::vector<Group> groups;
  std::vector<double> others;  // per cost
};

struct NetworkProblemRequest {
  std::vector<BitWidth> weight_bits{2, 3, 4, 5, 6, 7, 8};      // ascending
  std::vector<BitWidth> activation_bits{2, 3, 4, 5, 6, 7, 8};  // ascending
  std::vector<WidthRule> pins;     // layers at given widths, by name or pattern; later ones win
  std::vector<std::string> costs;  // metrics of the model that budgets or the objective name
  BitWidth output_bits = 8;
  std::vector<Home> homes;  // per tensor; empty: DRAM
  /// Above 0, not every combination of stored widths is costed: where cost at the middle of a range
  /// of them is what lies between its ends, but for this relative error, so is the rest; else the
  /// range is halved. Exact where cost is convex in the stored bits, and it is but where another
  /// tile takes over.
  double stored_width_error = 0;
  std::vector<WidthPlan> exact_at = {};  // widths of the network that are costed all the same
  /// With stored_width_error: which options of which groups are worth knowing closely. Others keep
  /// their least costs at all stored widths, so that the problem's optimum is still a bound.
  std::function<std::vector<std::vector<bool>>(const LeastCosts&)> matters = {};
};

struct NetworkProblem {
  Problem problem;              // without budgets and objective, which are the caller's to add
  std::vector<LayerId> layers;  // of each group
  std::vector<bool> weighted;   // whether it has weights

  /// The widths of a choice, one rule per group.
  [[nodiscard]] Assignment assignment(const Choice& choice, const std::string& name) const;
};

/// `losses` is a plain table with the metric "loss" (sensitivity.hpp). A layer's options are the
/// pairs of widths that are asked for and that its losses have, or the widths that it is pinned at,
/// where a loss that the table does not have counts as 0. Throws InputError, all at once: layers
/// without losses that are not pinned, names in the losses and the pins that the network does not
/// have, no option left, what the cost model throws; and if a point failed.
NetworkProblem network_problem(const Network& network, CostModel& model, const CostTable& losses,
                               const NetworkProblemRequest& request);

/// A cost model whose figures are another's times a factor per layer and metric: one that was
/// compared with a simulation at some widths, and follows it from there.
class ScaledCostModel : public CostModel {
 public:
  /// The model outlives this. `factors` is per layer of the network, then per metric.
  ScaledCostModel(CostModel& model, std::vector<std::vector<double>> factors);

  [[nodiscard]] const std::vector<std::string>& metrics() const override;
  [[nodiscard]] std::vector<PointCost> costs(std::span<const LayerPoint> points) override;

 private:
  CostModel& model_;
  std::vector<std::vector<double>> factors_;
};

}  // namespace widthwise
