// FracBits' side of the widths (arXiv 2007.02017): fractional bit-widths that move against the
// gradient of loss + kappa sum_t weight_t |cost_t / target_t - 1|, and are rounded to whole ones
// that meet the targets. No neural network here: the gradient of its loss comes in through
// WidthSlots.
//
// kappa: the paper has |cost - target| with cost in G BitOPs and kappa 1; at its 3-bit budget of
// MobileNet-V2, 3.32 G, that is kappa 3.32 here, and with ResNet18's 14.7.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/network/network.hpp"
#include "models/network/widths.hpp"
#include "models/table/channel_cost.hpp"
#include "models/table/fractional_cost.hpp"
#include "search/problem.hpp"
#include "train/settings.hpp"
#include "train/width_plan_cost.hpp"
#include "train/width_slot.hpp"

namespace widthwise {

/// The widths of one layer with multiply-accumulates.
struct LearnedLayer {
  LayerId layer = 0;
  std::string name;
  bool weighted = true;  // has constant weights
  std::shared_ptr<WidthSlot> weight, activation;
  std::vector<BitWidth> weight_bits;      // that it may end at, ascending; one: pinned
  std::vector<BitWidth> activation_bits;  // likewise
};

struct ResolvedTarget {
  std::string metric;
  double target = 0;    // resolved, in the metric's unit
  double least = 0;     // with every width the narrowest
  double greatest = 0;  // with every width the widest
  double weight = 1;
};

struct TargetDistance {
  double cost = 0;      // at the widths now
  double relative = 0;  // cost / target - 1
};

class WidthLearner {
 public:
  /// Costs are interpolated in the binding's tables: per layer if every weight slot has one width,
  /// else per channel. Resolves the targets (`share`: relative to the cost at uniform widths with
  /// the pins; `fraction`: between least and greatest; `max`: as it stands). Throws InputError: a
  /// metric that the table lacks, a layer that it lacks, and a target below what the narrowest
  /// widths reach, named with that minimum ("expected at least 17932 latency_cycles (all layers at
  /// their narrowest), got 12000").
  WidthLearner(const Network& network, NetworkBinding binding, std::vector<LearnedLayer> layers,
               const TrainSettings& settings);

  [[nodiscard]] const std::vector<ResolvedTarget>& targets() const;
  [[nodiscard]] std::vector<LearnedLayer>& layers();

  /// Widths to begin with: of all widths that are uniform but for pins and ends of ranges (each
  /// layer clamped to what it may have), those at which the costs first reach a target, plus
  /// settings.start_above.
  void start();

  /// One step of gradient descent with momentum: loss gradients from the slots (which are cleared)
  /// plus those of the cost term. Widths stay within their ranges.
  void step();

  /// The cost term's value now, and where every target stands.
  [[nodiscard]] double penalty() const;
  [[nodiscard]] std::vector<TargetDistance> distances() const;

  /// Rounds all widths to ones that layers may have, after adding one offset in (-1, 1) to all that
  /// are learned, found by bisection so that the `exact` costs come as near to the targets as they
  /// can from below or within `tolerance`; then single widths are moved by one step where that
  /// comes closer (those whose fraction was nearest to the next one first). `exact` gives the costs
  /// of the targets' metrics at whole widths, in the targets' order. Afterwards slots hold whole
  /// widths and are not learned. The paper's bisection stops at 1 % of the target.
  struct Rounding {
    double offset = 0;
    std::vector<double> costs;  // exact, of the targets
    bool within_tolerance = false;
    int evaluations = 0;
  };
  Rounding freeze(const std::function<std::vector<double>(std::span<const LayerChoice>)>& exact,
                  double tolerance = 0.01);

  /// The widths now, rounded to the nearest that layers may have.
  [[nodiscard]] std::vector<LayerChoice> choices() const;

  /// For checkpoints: widths and momenta.
  [[nodiscard]] std::vector<double> state() const;
  void restore(std::span<const double> state);

 private:
  struct Data;
  std::shared_ptr<Data> data_;
};

}  // namespace widthwise
