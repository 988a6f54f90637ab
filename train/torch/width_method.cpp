#include "train/torch/width_method.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "models/base/error.hpp"
#include "models/cost/cost_model.hpp"
#include "models/table/fractional_cost.hpp"
#include "train/bit_gradients.hpp"
#include "train/width_assigner.hpp"
#include "train/width_learner.hpp"

namespace widthwise {

namespace {

/// The second stretch of a training that goes on from a trained network starts at this share of
/// the first one's rate: high enough to leave the minimum that coarse levels destroy.
constexpr double kRateOfSecondStretch = 1;

/// What stands for "not quantized" in networks whose quantizers are in place.
constexpr BitWidth kWidest = kMaxOperandWidth;

struct Pinned {
  std::optional<BitWidth> weight, activation;
};

/// Per layer of the network. A width is pinned that does not follow the defaults.
std::vector<Pinned> pinned_widths(const Network& network, const std::vector<WidthRule>& pins) {
  Assignment one{.name = "", .defaults = {1, 1}, .accumulator = {}, .rules = pins};
  Assignment two = one;
  two.defaults = {2, 2};
  const WidthPlan ones = resolve_widths(network, one);
  const WidthPlan twos = resolve_widths(network, two);
  std::vector<Pinned> pinned(network.layers().size());
  for (LayerId id = 0; id < pinned.size(); ++id) {
    if (ones.layers[id].weight == twos.layers[id].weight) {
      pinned[id].weight = ones.layers[id].weight;
    }
    if (ones.layers[id].activation == twos.layers[id].activation) {
      pinned[id].activation = ones.layers[id].activation;
    }
  }
  return pinned;
}

void set_width(WidthSlot& slot, BitWidth bits) {
  slot.bits.assign(1, static_cast<float>(bits));
  slot.gradient.assign(1, 0.F);
  slot.learned = false;
}

/// Slots and masks as the choices say.
void set_widths(const std::vector<LayerChoice>& choices, std::vector<QuantizedLayer>& layers) {
  std::map<LayerId, const LayerChoice*> of;
  for (const LayerChoice& choice : choices) of[choice.layer] = &choice;
  for (QuantizedLayer& layer : layers) {
    const LayerChoice& choice = *of.at(layer.layer);
    layer.weight_slot->bits.assign(choice.weight_bits.begin(), choice.weight_bits.end());
    layer.weight_slot->gradient.assign(choice.weight_bits.size(), 0.F);
    layer.weight_slot->learned = false;
    set_width(*layer.activation_slot, choice.activation_bits);
    layer.keep.reset();
    if (std::ranges::find(choice.weight_bits, 0) != choice.weight_bits.end()) {
      layer.keep = torch::ones({layer.weight.size(0)});
      for (std::size_t c = 0; c < choice.weight_bits.size(); ++c) {
        if (choice.weight_bits[c] == 0) layer.keep[static_cast<std::int64_t>(c)] = 0;
      }
    }
  }
}

std::vector<LayerChoice> whole_widths(std::vector<QuantizedLayer>& layers) {
  std::vector<LayerChoice> choices;
  for (const QuantizedLayer& layer : layers) {
    LayerChoice choice{layer.layer, {}, 0};
    for (const float bits : layer.weight_slot->bits) {
      choice.weight_bits.push_back(static_cast<BitWidth>(std::lround(bits)));
    }
    choice.activation_bits =
        static_cast<BitWidth>(std::lround(layer.activation_slot->bits.front()));
    choices.push_back(std::move(choice));
  }
  return choices;
}

class FullPrecision : public WidthMethod {
 public:
  explicit FullPrecision(MethodContext& context) : context_(context) {}
  void begin() override { context_.model.set_quantized(false); }
  [[nodiscard]] std::string phase() const override { return "full precision"; }
  [[nodiscard]] std::vector<LayerChoice> choices() const override { return {}; }

 private:
  MethodContext& context_;
};

class Fixed : public WidthMethod {
 public:
  explicit Fixed(MethodContext& context) : context_(context) {
    Assignment assignment = context.settings.assignment.value_or(Assignment{});
    assignment.rules.insert(assignment.rules.end(), context.settings.pins.begin(),
                            context.settings.pins.end());
    const WidthPlan plan = resolve_widths(context.network, assignment);
    for (const QuantizedLayer& layer : context.model.layers()) {
      const LayerWidths& widths = plan.layers[layer.layer];
      choices_.push_back({layer.layer, {widths.weight}, widths.activation});
    }
  }
  void begin() override { set_widths(choices_, context_.model.layers()); }
  [[nodiscard]] std::string phase() const override { return "widths fixed"; }
  [[nodiscard]] std::vector<LayerChoice> choices() const override { return choices_; }

 private:
  MethodContext& context_;
  std::vector<LayerChoice> choices_;
};

/// Costs of the targets' metrics at whole widths, simulated.
std::vector<double> simulated_costs(MethodContext& context, std::span<const LayerChoice> choices) {
  const ChoiceCost cost =
      choice_cost(context.network, *context.machine.simulated, *context.machine.accelerator,
                  choices, context.settings.output_bits);
  std::vector<double> costs;
  for (const TrainTarget& target : context.settings.targets) {
    costs.push_back(cost.totals[metric_index(cost.metrics, target.metric)]);
  }
  return costs;
}

class FracBits : public WidthMethod {
 public:
  explicit FracBits(MethodContext& context)
      : context_(context),
        learner_(context.network, bind_table(*context.machine.table, context.network),
                 learned_layers(context), context.settings) {}

  // The rate stays high while widths move, and falls once they are whole: what was learned for
  // mixtures of levels has to be learned anew for the levels that are left.
  void plan(Schedule& schedule) override {
    freeze_at_ =
        static_cast<std::size_t>(context_.settings.freeze_at * static_cast<double>(schedule.steps));
    freeze_at_ = std::clamp<std::size_t>(freeze_at_, 1, schedule.steps);
    schedule.stretches = {{freeze_at_, 1, false}};
    if (freeze_at_ < schedule.steps) schedule.stretches.push_back({schedule.steps, 1, true});
  }
  // Per channel a layer runs once per width, which costs more than the widths' shares: what the
  // table says is scaled to what the simulation says, at first and after every epoch.
  void begin() override {
    learner_.start();
    if (!context_.settings.per_channel) return;
    calibrate();
    learner_.start();
    calibrate();
  }
  void after_step(std::size_t done) override {
    if (frozen_) return;
    learner_.step();
    if (done >= freeze_at_) {
      freeze();
    } else if (context_.settings.per_channel && done % context_.schedule.steps_per_epoch == 0) {
      calibrate();
    }
  }

  [[nodiscard]] std::string phase() const override {
    return frozen_ ? "widths fixed" : "widths move";
  }
  [[nodiscard]] bool is_frozen() const override { return frozen_; }
  [[nodiscard]] std::vector<double> costs() const override {
    if (frozen_) return exact_;
    std::vector<double> costs;
    for (const TargetDistance& distance : learner_.distances()) costs.push_back(distance.cost);
    return costs;
  }
  [[nodiscard]] std::vector<ReachedTarget> targets() const override {
    std::vector<ReachedTarget> targets;
    for (const ResolvedTarget& target : learner_.targets()) {
      targets.push_back({target.metric, target.target, 0, target.least, target.greatest});
    }
    return targets;
  }
  [[nodiscard]] std::vector<LayerChoice> choices() const override { return learner_.choices(); }

  [[nodiscard]] std::vector<double> state() const override {
    std::vector<double> state{frozen_ ? 1.0 : 0.0, static_cast<double>(exact_.size())};
    state.insert(state.end(), exact_.begin(), exact_.end());
    const std::vector<double> widths = learner_.state();
    state.insert(state.end(), widths.begin(), widths.end());
    return state;
  }
  void restore(const std::vector<double>& state) override {
    frozen_ = state.at(0) != 0;
    const auto costs = static_cast<std::ptrdiff_t>(state.at(1));
    exact_.assign(state.begin() + 2, state.begin() + 2 + costs);
    learner_.restore(std::span(state).subspan(2 + static_cast<std::size_t>(costs)));
    if (frozen_) set_widths(learner_.choices(), context_.model.layers());
  }

 private:
  static std::vector<LearnedLayer> learned_layers(MethodContext& context) {
    const TrainSettings& settings = context.settings;
    const auto pinned = pinned_widths(context.network, settings.pins);
    std::vector<LearnedLayer> learned;
    for (QuantizedLayer& layer : context.model.layers()) {
      const Pinned& pin = pinned[layer.layer];
      LearnedLayer made;
      made.layer = layer.layer;
      made.name = layer.name;
      made.weight = layer.weight_slot;
      made.activation = layer.activation_slot;
      made.weight_bits = pin.weight ? std::vector<BitWidth>{*pin.weight} : settings.weight_bits;
      made.activation_bits =
          pin.activation ? std::vector<BitWidth>{*pin.activation} : settings.activation_bits;
      if (!pin.weight && settings.per_channel) {
        if (settings.prune) made.weight_bits.insert(made.weight_bits.begin(), 0);
        const auto channels = static_cast<std::size_t>(layer.weight.size(0));
        layer.weight_slot->bits.assign(channels, 8.F);
        layer.weight_slot->gradient.assign(channels, 0.F);
      }
      learned.push_back(std::move(made));
    }
    return learned;
  }

  void calibrate() {
    learner_.calibrate(
        [&](std::span<const LayerChoice> choices) { return simulated_costs(context_, choices); });
  }

  void freeze() {
    const auto rounding = learner_.freeze(
        [&](std::span<const LayerChoice> choices) { return simulated_costs(context_, choices); });
    exact_ = rounding.costs;
    frozen_ = true;
    set_widths(learner_.choices(), context_.model.layers());
  }

  MethodContext& context_;
  WidthLearner learner_;
  std::size_t freeze_at_ = 0;
  bool frozen_ = false;
  std::vector<double> exact_;  // costs of the targets after the freeze
};

/// Targets and costs of methods that assign widths by solving the bit-width problem. Before the
/// first assignment costs are those at the widest widths that it may choose.
class Assigned : public WidthMethod {
 public:
  Assigned(MethodContext& context, bool tied_operands)
      : context_(context),
        assigner_(context.network, *context.machine.simulated, *context.machine.accelerator,
                  context.settings, tied_operands) {
    const auto pinned = pinned_widths(context.network, context.settings.pins);
    const BitWidth weight = context.settings.weight_bits.back();
    const BitWidth activation = tied_operands ? weight : context.settings.activation_bits.back();
    for (const QuantizedLayer& layer : context.model.layers()) {
      const Pinned& pin = pinned[layer.layer];
      widest_.push_back(
          {layer.layer, {pin.weight.value_or(weight)}, pin.activation.value_or(activation)});
    }
    costs_ = simulated_costs(context, widest_);
  }

  [[nodiscard]] std::vector<ReachedTarget> targets() const override {
    std::vector<ReachedTarget> targets;
    for (std::size_t i = 0; i < context_.settings.targets.size(); ++i) {
      targets.push_back({context_.settings.targets[i].metric, assigner_.targets()[i], 0, 0, 0});
    }
    return targets;
  }
  [[nodiscard]] std::vector<double> costs() const override { return costs_; }
  [[nodiscard]] std::vector<LayerChoice> choices() const override {
    return whole_widths(context_.model.layers());
  }
  [[nodiscard]] std::vector<double> sensitivities() const override { return sensitivities_; }

  [[nodiscard]] std::vector<double> state() const override {
    std::vector<double> state{static_cast<double>(costs_.size()),
                              static_cast<double>(sensitivities_.size())};
    state.insert(state.end(), costs_.begin(), costs_.end());
    state.insert(state.end(), sensitivities_.begin(), sensitivities_.end());
    for (const LayerChoice& choice : choices()) {
      state.push_back(choice.weight_bits.front());
      state.push_back(choice.activation_bits);
    }
    return state;
  }
  void restore(const std::vector<double>& state) override {
    auto at = state.begin() + 2;
    costs_.assign(at, at + static_cast<std::ptrdiff_t>(state.at(0)));
    at += static_cast<std::ptrdiff_t>(state.at(0));
    sensitivities_.assign(at, at + static_cast<std::ptrdiff_t>(state.at(1)));
    at += static_cast<std::ptrdiff_t>(state.at(1));
    for (QuantizedLayer& layer : context_.model.layers()) {
      set_width(*layer.weight_slot, static_cast<BitWidth>(*at++));
      set_width(*layer.activation_slot, static_cast<BitWidth>(*at++));
    }
    rest_.assign(at, state.end());
  }

 protected:
  void assign(const std::function<double(LayerId, const LayerWidths&)>& loss) {
    set_widths(assigner_.assign(loss), context_.model.layers());
    costs_.clear();
    for (const BudgetUse& use : assigner_.last().budgets) costs_.push_back(use.used);
  }

  MethodContext& context_;
  WidthAssigner assigner_;
  std::vector<LayerChoice> widest_;
  std::vector<double> costs_, sensitivities_;
  std::vector<double> rest_;  // of a restored state
};

class Bmpq : public Assigned {
 public:
  explicit Bmpq(MethodContext& context)
      : Assigned(context, context.settings.activation_bits.size() > 1),
        gradients_(context.model.layers().size()) {}

  void plan(Schedule& schedule) override {
    const auto steps_of = [&](double epochs) {
      return std::max<std::size_t>(
          1, static_cast<std::size_t>(epochs * static_cast<double>(schedule.steps_per_epoch)));
    };
    interval_ = steps_of(context_.settings.interval_epochs);
    next_ = std::min(steps_of(context_.settings.warm_epochs), schedule.steps);
    last_ =
        static_cast<std::size_t>(context_.settings.freeze_at * static_cast<double>(schedule.steps));
  }
  void begin() override {
    set_widths(widest_, context_.model.layers());
    context_.model.keep_quantized_weights(true);
  }
  void after_backward() override {
    if (frozen_) return;
    std::vector<double> means;
    for (const QuantizedLayer& layer : context_.model.layers()) {
      means.push_back(layer.quantized.grad().abs().mean().item<double>());
    }
    gradients_.add(means);
  }
  void after_step(std::size_t done) override {
    if (frozen_ || done < next_) return;
    sensitivities_ = gradients_.sensitivities();
    gradients_.clear();
    std::map<LayerId, double> of;
    for (std::size_t i = 0; i < sensitivities_.size(); ++i) {
      of[context_.model.layers()[i].layer] = sensitivities_[i];
    }
    const double widest = context_.settings.weight_bits.back();
    assign([&](LayerId layer, const LayerWidths& widths) {
      return of.at(layer) * std::max(widest - widths.weight, 0.0);
    });
    next_ = done + interval_;
    if (next_ > last_) {
      frozen_ = true;
      context_.model.keep_quantized_weights(false);
    }
  }
  [[nodiscard]] std::string phase() const override {
    return frozen_ ? "widths fixed" : sensitivities_.empty() ? "widest" : "widths move";
  }
  [[nodiscard]] bool is_frozen() const override { return frozen_; }

  [[nodiscard]] std::vector<double> state() const override {
    std::vector<double> state = Assigned::state();
    const std::vector<double> sums = gradients_.state();
    state.push_back(frozen_ ? 1 : 0);
    state.push_back(static_cast<double>(next_));
    state.insert(state.end(), sums.begin(), sums.end());
    return state;
  }
  void restore(const std::vector<double>& state) override {
    Assigned::restore(state);
    frozen_ = rest_.at(0) != 0;
    next_ = static_cast<std::size_t>(rest_.at(1));
    gradients_.restore(std::span(rest_).subspan(2));
    if (frozen_) context_.model.keep_quantized_weights(false);
  }

 private:
  BitGradients gradients_;
  std::size_t interval_ = 1, next_ = 1, last_ = 1;
  bool frozen_ = false;
};

class PostTraining : public Assigned {
 public:
  explicit PostTraining(MethodContext& context) : Assigned(context, false) {}

  void plan(Schedule& schedule) override {
    first_end_ = static_cast<std::size_t>(context_.settings.pretrain_share *
                                          static_cast<double>(schedule.steps));
    first_end_ = std::clamp<std::size_t>(first_end_, 1, schedule.steps);
    schedule.stretches = {{first_end_, 1}};
    if (first_end_ < schedule.steps) {
      schedule.stretches.push_back({schedule.steps, kRateOfSecondStretch});
    }
  }
  void begin() override {
    for (QuantizedLayer& layer : context_.model.layers()) {
      set_width(*layer.weight_slot, kWidest);
      set_width(*layer.activation_slot, kWidest);
    }
  }
  void after_step(std::size_t done) override {
    if (assigned_ || done < first_end_) return;
    float_accuracy_ = context_.test_accuracy();
    assign_by_losses();
    assigned_ = true;
  }
  [[nodiscard]] std::string phase() const override {
    return assigned_ ? "widths fixed" : "16 bits throughout";
  }
  [[nodiscard]] bool is_frozen() const override { return assigned_; }
  [[nodiscard]] double float_accuracy() const override { return float_accuracy_; }

  [[nodiscard]] std::vector<double> state() const override {
    std::vector<double> state = Assigned::state();
    state.push_back(assigned_ ? 1 : 0);
    state.push_back(float_accuracy_);
    return state;
  }
  void restore(const std::vector<double>& state) override {
    Assigned::restore(state);
    assigned_ = rest_.at(0) != 0;
    float_accuracy_ = rest_.at(1);
  }

 private:
  /// What each layer's weights, and what it reads, cost in cross entropy when they alone are
  /// quantized; a layer's loss is the sum of both.
  void assign_by_losses() {
    const double base = context_.calibration_loss();
    const auto pinned = pinned_widths(context_.network, context_.settings.pins);
    std::map<std::pair<LayerId, BitWidth>, double> of_weights, of_activations;
    const auto loss_at = [&](WidthSlot& slot, BitWidth bits) {
      set_width(slot, bits);
      const double loss = std::max(context_.calibration_loss() - base, 0.0);
      set_width(slot, kWidest);
      return loss;
    };
    sensitivities_.clear();
    for (QuantizedLayer& layer : context_.model.layers()) {
      const Pinned& pin = pinned[layer.layer];
      double greatest = 0;
      if (!pin.weight) {
        for (const BitWidth bits : context_.settings.weight_bits) {
          const double loss = loss_at(*layer.weight_slot, bits);
          of_weights[{layer.layer, bits}] = loss;
          greatest = std::max(greatest, loss);
        }
      }
      if (!pin.activation) {
        for (const BitWidth bits : context_.settings.activation_bits) {
          const double loss = loss_at(*layer.activation_slot, bits);
          of_activations[{layer.layer, bits}] = loss;
          greatest = std::max(greatest, loss);
        }
      }
      sensitivities_.push_back(greatest);
    }
    const auto of = [](const auto& losses, LayerId layer, BitWidth bits) {
      const auto found = losses.find({layer, bits});
      return found == losses.end() ? 0.0 : found->second;  // pinned
    };
    assign([&](LayerId layer, const LayerWidths& widths) {
      return of(of_weights, layer, widths.weight) + of(of_activations, layer, widths.activation);
    });
  }

  std::size_t first_end_ = 1;
  bool assigned_ = false;
  double float_accuracy_ = 0;
};

}  // namespace

std::unique_ptr<WidthMethod> width_method(MethodContext& context) {
  switch (context.settings.method) {
    case TrainMethod::full_precision:
    case TrainMethod::precision_batching:
      return std::make_unique<FullPrecision>(context);
    case TrainMethod::fixed:
      return std::make_unique<Fixed>(context);
    case TrainMethod::fracbits:
      return std::make_unique<FracBits>(context);
    case TrainMethod::bmpq:
      return std::make_unique<Bmpq>(context);
    case TrainMethod::post_training:
      return std::make_unique<PostTraining>(context);
  }
  ensure(false, "a method of training");
  return nullptr;
}

}  // namespace widthwise
