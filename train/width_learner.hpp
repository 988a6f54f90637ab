// FracBits' side of the widths (arXiv 2007.02017): fractional bit-widths that move against the
// gradient of loss + kappa sum_t weight_t |cost_t / target_t - 1|, and are rounded to whole ones
// that meet the targets. No neural network here: the gradient of its loss comes in through
// WidthSlots.
//
// kappa: the paper has |cost - target| with cost in G BitOPs and kappa 1; at its 3-bit budget of
// MobileNet-V2, 3.32 G, that is kappa 3.32 here, and with ResNet18's 14.7.
//
// Within 5 % of the target |r| is a parabola, r^2 / 0.1, joined to |r| - 0.025. With the plain |r|
// a step of one size throws the widths of expensive layers over the target and back for as long as
// they are learned; on a small MobileNet that alone cost a point of accuracy
// (docs/decisions/0027-widths-that-settle.md).
//
// Width per channel: a layer of C channels moves in the coordinates x_c of its channels with C
// times the rate. The loss by x_c and the cost by x_c are about 1 / C of those by one width of the
// layer, and sum up to them; so the mean of the x_c moves as that one width would (exactly, but for
// ends of ranges), and each channel on the same scale of time.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/network/network.hpp"
#include "models/table/fractional_cost.hpp"
#include "train/resolved_target.hpp"
#include "train/settings.hpp"
#include "train/width_plan_cost.hpp"
#include "train/width_slot.hpp"

namespace widthwise {

/// The widths of one layer with multiply-accumulates.
struct LearnedLayer {
  LayerId layer = 0;
  std::string name;
  bool weighted = true;  // has constant weights; else only the activation width is looked at
  std::shared_ptr<WidthSlot> weight, activation;
  std::vector<BitWidth> weight_bits;      // that it may end at, ascending; one: pinned
  std::vector<BitWidth> activation_bits;  // likewise
};

struct TargetDistance {
  double cost = 0;      // at the widths now
  double relative = 0;  // cost / target - 1
};

class WidthLearner {
 public:
  /// Costs are interpolated in the binding's tables: per layer if every weight slot has one width,
  /// else per channel. Puts the slots' widths into their ranges and says which are learned: those
  /// that have a range. Resolves the targets (`share`: relative to the cost at uniform widths with
  /// the pins; `fraction`: between least and greatest, nothing pruned; `max`: as it stands). Throws
  /// InputError: a metric, a layer or a width that the table lacks; InfeasibleTarget: a target
  /// below what the narrowest widths reach (where channels may be pruned, with one of them left in
  /// each layer), named with that minimum ("expected at least 17932 latency_cycles (all layers at
  /// their narrowest), got 12000").
  WidthLearner(const Network& network, NetworkBinding binding, std::vector<LearnedLayer> layers,
               const TrainSettings& settings);

  [[nodiscard]] const std::vector<ResolvedTarget>& targets() const;  // as settings.targets
  [[nodiscard]] std::vector<LearnedLayer>& layers();

  /// Widths to begin with: of all widths that are uniform but for pins and ends of ranges (each
  /// layer clamped to what it may have), those at which the costs first reach a target, plus
  /// settings.start_above.
  void start();

  /// One step of gradient descent with Nesterov's momentum, as torch's SGD has it: v = momentum v +
  /// gradient, width -= rate (gradient + momentum v). Gradients are finite; the loss's are from the
  /// slots, which are cleared. A width that meets an end of its range stays there and loses its
  /// momentum. After the freeze nothing moves.
  void step();

  /// Compares interpolated with `exact` costs (as of freeze()) at the widths now, rounded, and from
  /// then on takes the interpolated ones times their ratio. Worth an evaluation per epoch where
  /// widths are per channel: a run for each width costs more than its share of the channels (20 to
  /// 150 % more on bit-serial machines), which the interpolation does not see. Per layer both
  /// agree.
  using ExactCosts = std::function<std::vector<double>(std::span<const LayerChoice>)>;
  void calibrate(const ExactCosts& exact);

  /// The cost term's value now, and where every target stands.
  [[nodiscard]] double penalty() const;
  [[nodiscard]] std::vector<TargetDistance> distances() const;

  struct Rounding {
    double offset = 0;          // of the rounding that was refined
    std::vector<double> costs;  // exact, of the targets
    bool met = false;           // no cost is above its target by more than the tolerance
    /// And the one nearest to its target is not further below it than that either.
    bool within_tolerance = false;
    int evaluations = 0;  // of `exact`
  };

  /// Rounds all widths to the nearest that layers may have, after adding one offset to all that are
  /// learned, found by bisection on the `exact` costs (at most 12 evaluations; in (-1, 1) as in the
  /// paper, further off only where no offset in there will do); a layer that prunes keeps a
  /// channel. If that leaves the costs further from the targets than the tolerance, or above,
  /// widths are moved by single steps: up to three at a time, of whole layers or of groups of a
  /// layer's channels (those that the rounding took furthest from where they were first), chosen by
  /// interpolated costs so that the move is right for the targets and takes the widths least far
  /// from what was learned, and confirmed by `exact` (at most 60 evaluations). Where channels have
  /// widths of their own, all that once more with the channels of each layer at their mean, since
  /// every further width in a layer is a further run of it; of the two that come within the
  /// tolerance the one is taken that loses less (mean of 4^(learned - whole)).
  ///
  /// If the narrowest widths meet all targets, and nothing is cheaper for being wider, then so does
  /// the result. That it comes as near as the tolerance from below is certain only if some such
  /// sequence of moves leads there.
  ///
  /// `exact` gives the costs of the targets' metrics at whole widths, in the targets' order.
  /// Afterwards slots hold whole widths and are not learned. The paper's bisection stops at 1 % of
  /// the target.
  Rounding freeze(const ExactCosts& exact, double tolerance = 0.01);

  /// The widths now, rounded to the nearest that layers may have (the greater of two as near).
  [[nodiscard]] std::vector<LayerChoice> choices() const;

  /// For checkpoints: widths, momenta, ratios of calibrate() and whether they are frozen.
  [[nodiscard]] std::vector<double> state() const;
  void restore(std::span<const double> state);

 private:
  struct Data;
  std::shared_ptr<Data> data_;
};

}  // namespace widthwise
