#include "train/width_learner.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "models/base/error.hpp"
#include "models/cost/cost_model.hpp"
#include "models/table/channel_cost.hpp"
#include "train/width_rounding.hpp"

namespace widthwise {

namespace {

/// The widths of one slot among those of all.
struct Part : RoundedPart {
  std::shared_ptr<WidthSlot> slot;
  double rate = 1;  // of its steps, relative to one width for the layer

  [[nodiscard]] double least() const { return permitted.front(); }
  [[nodiscard]] double greatest() const { return permitted.back(); }
  [[nodiscard]] bool is_learned() const { return permitted.size() > 1; }
};

/// Which parts a variable of the table is.
struct Variable {
  std::optional<std::size_t> weight;  // none: a layer without constant weights
  std::size_t activation = 0;
};

/// A metric as a function of all parts' widths.
class MetricCost {
 public:
  using Cost = std::variant<FractionalCost, ChannelCost>;

  MetricCost(const NetworkBinding& binding, const std::string& metric, bool per_channel)
      : cost_(per_channel ? Cost(ChannelCost(binding, metric))
                          : Cost(FractionalCost(binding, metric))) {}

  /// `gradient`, unless empty, is overwritten.
  double evaluate(const std::vector<Part>& parts, const std::vector<Variable>& variables,
                  std::span<const double> widths, std::span<double> gradient = {}) const {
    return std::visit(
        [&](const auto& cost) { return evaluate(cost, parts, variables, widths, gradient); },
        cost_);
  }

 private:
  /// Where the weight widths of each variable begin.
  static std::vector<std::size_t> offsets(const FractionalCost& cost) {
    std::vector<std::size_t> each;
    for (std::size_t v = 0; v <= cost.variables().size(); ++v) each.push_back(v);
    return each;
  }
  static const std::vector<std::size_t>& offsets(const ChannelCost& cost) { return cost.offsets(); }

  template <class OneCost>
  static double evaluate(const OneCost& cost, const std::vector<Part>& parts,
                         const std::vector<Variable>& variables, std::span<const double> widths,
                         std::span<double> gradient) {
    const auto& begins = offsets(cost);
    std::vector<double> weights(begins.back());
    std::vector<double> activations(variables.size());
    for (std::size_t v = 0; v < variables.size(); ++v) {
      activations[v] = widths[parts[variables[v].activation].begin];
      const std::size_t from = variables[v].weight ? *variables[v].weight : variables[v].activation;
      for (std::size_t i = begins[v]; i < begins[v + 1]; ++i) {
        weights[i] = widths[parts[from].begin + (parts[from].count > 1 ? i - begins[v] : 0)];
      }
    }
    if (gradient.empty()) return cost.evaluate(weights, activations);
    std::vector<double> by_weights(weights.size());
    std::vector<double> by_activations(activations.size());
    const double value = cost.evaluate(weights, activations, by_weights, by_activations);
    std::fill(gradient.begin(), gradient.end(), 0.0);
    for (std::size_t v = 0; v < variables.size(); ++v) {
      gradient[parts[variables[v].activation].begin] += by_activations[v];
      if (!variables[v].weight) continue;
      const Part& part = parts[*variables[v].weight];
      for (std::size_t i = begins[v]; i < begins[v + 1]; ++i) {
        gradient[part.begin + (part.count > 1 ? i - begins[v] : 0)] += by_weights[i];
      }
    }
    return value;
  }

  Cost cost_;
};

/// The widths of an axis that a variable's layers have rows for.
void check_covers(const NetworkBinding& binding, std::size_t variable, double least,
                  double greatest, bool are_weights, const SourcePlace& place,
                  const std::string& key, Diagnostics& problems) {
  for (const BoundLayer& layer : binding.layers) {
    if (layer.own != static_cast<std::ptrdiff_t>(variable)) continue;
    const LayerGrid& grid = binding.grids[layer.grid];
    const Axis axis = are_weights && !grid.equal_widths ? Axis::weight_bits : Axis::activation_bits;
    for (const GridAxis& own : grid.axes) {
      if (own.axis != axis) continue;
      const double first = own.points.front();
      const double last = own.points.back();
      if (least >= first && greatest <= last) continue;
      problems.error(
          place, key,
          fmt::format("table lacks {} of {} bit of '{}': it has {}..{}",
                      are_weights ? "weights" : "activations", least < first ? least : greatest,
                      binding.variables[variable], first, last));
    }
  }
}

double least_above_zero(const Part& part) {
  return part.least() == 0 && part.is_learned() ? part.permitted[1] : part.least();
}

/// The widths of a part's channels replaced by their mean.
std::vector<double> with_equal_channels(std::span<const RoundedPart> parts,
                                        std::vector<double> widths) {
  for (const RoundedPart& part : parts) {
    double sum = 0;
    for (std::size_t i = 0; i < part.count; ++i) sum += widths[part.begin + i];
    for (std::size_t i = 0; i < part.count; ++i) {
      widths[part.begin + i] = sum / static_cast<double>(part.count);
    }
  }
  return widths;
}

/// What rounding loses: mean over parts and their channels of 4^(learned - whole). The power of
/// uniform noise is in proportion to 4^-bits, and where widths have settled another bit is worth
/// the same everywhere, so that a width of x bits tells of a sensitivity in proportion to 4^x.
double strain(std::span<const RoundedPart> parts, std::span<const double> learned,
              std::span<const double> whole) {
  double sum = 0;
  for (const RoundedPart& part : parts) {
    double mean = 0;
    for (std::size_t i = part.begin; i < part.begin + part.count; ++i) {
      mean += std::exp2(2 * (learned[i] - whole[i]));
    }
    sum += mean / static_cast<double>(part.count);
  }
  return sum / static_cast<double>(parts.size());
}

/// |r|, but for a parabola that joins it where r is within kNear of 0.
constexpr double kNear = 0.05;
double distance_of(double r) {
  const double size = std::abs(r);
  return size < kNear ? r * r / (2 * kNear) : size - kNear / 2;
}
double slope_of_distance(double r) { return std::clamp(r / kNear, -1.0, 1.0); }

}  // namespace

struct WidthLearner::Data {
  Data(const Network& network, const NetworkBinding& binding, std::vector<LearnedLayer> given,
       const TrainSettings& settings);

  void add_parts(const Network& network);
  void find_variables(const NetworkBinding& binding, Diagnostics& problems);
  void check_table(const NetworkBinding& binding, Diagnostics& problems) const;
  void resolve_targets(const NetworkBinding& binding, const TrainSettings& settings);

  /// Every width by its part.
  template <class WidthOf>
  [[nodiscard]] std::vector<double> all_at(WidthOf&& width_of) const {
    std::vector<double> all(bits.size());
    for (const Part& part : parts) {
      for (std::size_t i = 0; i < part.count; ++i) all[part.begin + i] = width_of(part);
    }
    return all;
  }
  [[nodiscard]] std::vector<double> uniform(double width) const {
    return all_at(
        [&](const Part& part) { return std::clamp(width, part.least(), part.greatest()); });
  }

  [[nodiscard]] double cost(std::size_t target, std::span<const double> widths) const {
    return metrics[target].evaluate(parts, variables, widths);
  }
  [[nodiscard]] std::vector<double> costs(std::span<const double> widths) const {
    std::vector<double> all;
    for (std::size_t t = 0; t < targets.size(); ++t) all.push_back(cost(t, widths));
    return all;
  }

  [[nodiscard]] std::vector<RoundedPart> rounded_parts() const {
    return {parts.begin(), parts.end()};
  }
  [[nodiscard]] std::vector<LayerChoice> choices(std::span<const double> whole) const;
  void write_slots() const;
  void freeze_at(std::vector<double> whole);

  std::vector<LearnedLayer> layers;
  std::vector<std::optional<std::size_t>> weight_parts;  // per layer
  std::vector<std::size_t> activation_parts;
  std::vector<Part> parts;
  std::vector<Variable> variables;
  std::vector<MetricCost> metrics;  // of the targets
  std::vector<ResolvedTarget> targets;
  std::vector<double> bits, velocity;
  std::vector<double> scales;  // of the costs, per target: exact by interpolated
  double kappa, rate, momentum, start_above;
  bool frozen = false;
};

WidthLearner::Data::Data(const Network& network, const NetworkBinding& binding,
                         std::vector<LearnedLayer> given, const TrainSettings& settings)
    : layers(std::move(given)),
      kappa(settings.kappa),
      rate(settings.width_learning_rate),
      momentum(settings.momentum),
      start_above(settings.start_above) {
  add_parts(network);
  Diagnostics problems;
  find_variables(binding, problems);
  problems.throw_if_any();
  check_table(binding, problems);
  problems.throw_if_any();
  resolve_targets(binding, settings);
  velocity.assign(bits.size(), 0);
  scales.assign(targets.size(), 1);
  write_slots();
}

void WidthLearner::Data::add_parts(const Network& network) {
  const auto add = [&](const std::shared_ptr<WidthSlot>& slot,
                       const std::vector<BitWidth>& permitted) {
    ensure(slot != nullptr && !slot->bits.empty() && !permitted.empty(),
           "a layer has widths, and some that it may end at");
    Part part;
    part.begin = bits.size();
    part.count = slot->bits.size();
    part.permitted = permitted;
    part.slot = slot;
    part.rate = static_cast<double>(part.count);
    for (const float width : slot->bits) {
      bits.push_back(std::clamp<double>(width, part.least(), part.greatest()));
    }
    slot->learned = part.is_learned();
    slot->gradient.assign(part.count, 0.F);
    parts.push_back(std::move(part));
    return parts.size() - 1;
  };
  for (const LearnedLayer& layer : layers) {
    const Layer& own = network.layers().at(layer.layer);
    ensure(own.compute.has_value() && own.name == layer.name,
           "a learned layer is one of the network's with multiply-accumulates");
    weight_parts.emplace_back();
    if (layer.weighted) {
      weight_parts.back() = add(layer.weight, layer.weight_bits);
      const auto channels =
          static_cast<std::size_t>(own.compute->groups * own.compute->out_channels);
      ensure(layer.weight->bits.size() == 1 || layer.weight->bits.size() == channels,
             "a layer has one weight width, or one per output channel");
    }
    ensure(layer.activation->bits.size() == 1, "a layer has one activation width");
    activation_parts.push_back(add(layer.activation, layer.activation_bits));
  }
}

void WidthLearner::Data::find_variables(const NetworkBinding& binding, Diagnostics& problems) {
  std::vector<bool> is_found(layers.size(), false);
  for (const std::string& name : binding.variables) {
    const auto found = std::find_if(layers.begin(), layers.end(),
                                    [&](const LearnedLayer& layer) { return layer.name == name; });
    ensure(found != layers.end(), "every layer that the table has is learned");
    const auto index = static_cast<std::size_t>(found - layers.begin());
    is_found[index] = true;
    variables.push_back({weight_parts[index], activation_parts[index]});
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!is_found[i]) problems.error({}, layers[i].name, "the table of costs lacks this layer");
  }
}

void WidthLearner::Data::check_table(const NetworkBinding& binding, Diagnostics& problems) const {
  for (std::size_t v = 0; v < variables.size(); ++v) {
    if (variables[v].weight) {
      const Part& part = parts[*variables[v].weight];
      check_covers(binding, v, least_above_zero(part), part.greatest(), true, {}, "", problems);
    }
    const Part& part = parts[variables[v].activation];
    check_covers(binding, v, part.least(), part.greatest(), false, {}, "", problems);
  }
}

void WidthLearner::Data::resolve_targets(const NetworkBinding& binding,
                                         const TrainSettings& settings) {
  const bool per_channel =
      std::any_of(parts.begin(), parts.end(), [](const Part& part) { return part.count > 1; });
  for (const TrainTarget& said : settings.targets) {
    static_cast<void>(metric_index(binding.metrics, said.metric));
    metrics.emplace_back(binding, said.metric, per_channel);
  }

  const std::vector<double> narrowest = all_at(least_above_zero);
  const std::vector<double> widest = all_at([](const Part& part) { return part.greatest(); });
  // One channel of each layer, the first: those that belong to each other.
  std::vector<double> one_channel = narrowest;
  bool is_pruned = false;
  for (const Part& part : parts) {
    if (part.least() > 0) continue;
    is_pruned = is_pruned || part.count > 1;
    for (std::size_t i = 1; i < part.count; ++i) one_channel[part.begin + i] = 0;
  }

  Diagnostics problems;
  Diagnostics infeasible;
  for (std::size_t t = 0; t < settings.targets.size(); ++t) {
    const TrainTarget& said = settings.targets[t];
    double at_reference = 0;
    if (said.form.kind == BudgetForm::Kind::share) {
      std::vector<double> reference = narrowest;  // pins
      const auto set = [&](std::size_t v, std::size_t p, BitWidth width, bool are_weights) {
        const Part& part = parts[p];
        if (!part.is_learned()) return;
        check_covers(binding, v, width, width, are_weights, said.place,
                     target_key(said) + ".relative_to", problems);
        for (std::size_t i = 0; i < part.count; ++i) reference[part.begin + i] = width;
      };
      for (std::size_t v = 0; v < variables.size(); ++v) {
        if (variables[v].weight) set(v, *variables[v].weight, said.form.reference.weight, true);
        set(v, variables[v].activation, said.form.reference.activation, false);
      }
      at_reference = cost(t, reference);
    }
    targets.push_back(resolve_target(said, cost(t, narrowest), cost(t, widest), at_reference));
    check_reachable(targets.back(), said, is_pruned ? cost(t, one_channel) : targets.back().least,
                    is_pruned ? "all layers at their narrowest, with one channel"
                              : "all layers at their narrowest",
                    infeasible);
  }
  problems.throw_if_any();
  if (!infeasible.empty()) throw InfeasibleTarget(infeasible.items());
}

std::vector<LayerChoice> WidthLearner::Data::choices(std::span<const double> whole) const {
  std::vector<LayerChoice> all;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    LayerChoice choice;
    choice.layer = layers[i].layer;
    choice.activation_bits = static_cast<BitWidth>(whole[parts[activation_parts[i]].begin]);
    if (weight_parts[i]) {
      const Part& part = parts[*weight_parts[i]];
      for (std::size_t c = 0; c < part.count; ++c) {
        choice.weight_bits.push_back(static_cast<BitWidth>(whole[part.begin + c]));
      }
    } else {
      choice.weight_bits = {choice.activation_bits};
    }
    all.push_back(std::move(choice));
  }
  return all;
}

void WidthLearner::Data::write_slots() const {
  for (const Part& part : parts) {
    for (std::size_t i = 0; i < part.count; ++i) {
      part.slot->bits[i] = static_cast<float>(bits[part.begin + i]);
    }
  }
}

void WidthLearner::Data::freeze_at(std::vector<double> whole) {
  bits = std::move(whole);
  velocity.assign(bits.size(), 0);
  frozen = true;
  for (const Part& part : parts) part.slot->learned = false;
  write_slots();
}

WidthLearner::WidthLearner(const Network& network, NetworkBinding binding,
                           std::vector<LearnedLayer> layers, const TrainSettings& settings)
    : data_(std::make_shared<Data>(network, std::move(binding), std::move(layers), settings)) {}

const std::vector<ResolvedTarget>& WidthLearner::targets() const { return data_->targets; }

std::vector<LearnedLayer>& WidthLearner::layers() { return data_->layers; }

void WidthLearner::start() {
  Data& data = *data_;
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const Part& part : data.parts) {
    if (!part.is_learned()) continue;
    low = std::min(low, part.least());
    high = std::max(high, part.greatest());
  }
  if (low > high) return;  // all are pinned
  const auto are_met = [&](double width) {
    const std::vector<double> costs = data.costs(data.uniform(width));
    for (std::size_t t = 0; t < costs.size(); ++t) {
      if (costs[t] > data.targets[t].target) return false;
    }
    return true;
  };
  if (are_met(high)) {
    low = high;
  } else {
    constexpr int kHalvings = 50;
    for (int i = 0; i < kHalvings; ++i) {
      const double middle = (low + high) / 2;
      (are_met(middle) ? low : high) = middle;
    }
  }
  data.bits = data.uniform(low + data.start_above);
  data.velocity.assign(data.bits.size(), 0);
  data.write_slots();
}

void WidthLearner::step() {
  Data& data = *data_;
  std::vector<double> gradient(data.bits.size(), 0.0);
  for (const Part& part : data.parts) {
    ensure(part.slot->gradient.size() == part.count, "a slot has a gradient per width");
    for (std::size_t i = 0; i < part.count; ++i) {
      gradient[part.begin + i] = part.slot->gradient[i];
      part.slot->gradient[i] = 0;
    }
  }
  if (data.frozen) return;
  std::vector<double> by_cost(data.bits.size());
  for (std::size_t t = 0; t < data.targets.size(); ++t) {
    const ResolvedTarget& target = data.targets[t];
    const double cost =
        data.scales[t] * data.metrics[t].evaluate(data.parts, data.variables, data.bits, by_cost);
    const double pull = data.kappa * target.weight * data.scales[t] *
                        slope_of_distance(cost / target.target - 1) / target.target;
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] += pull * by_cost[i];
  }
  for (const Part& part : data.parts) {
    if (!part.is_learned()) continue;
    for (std::size_t i = part.begin; i < part.begin + part.count; ++i) {
      double& velocity = data.velocity[i];
      velocity = data.momentum * velocity + gradient[i];
      const double moved =
          data.bits[i] - data.rate * part.rate * (gradient[i] + data.momentum * velocity);
      data.bits[i] = std::clamp(moved, part.least(), part.greatest());
      if (data.bits[i] != moved) velocity = 0;
    }
  }
  data.write_slots();
}

void WidthLearner::calibrate(const ExactCosts& exact) {
  Data& data = *data_;
  if (data.targets.empty()) return;
  const std::vector<double> whole = nearest_widths(data.rounded_parts(), data.bits);
  const std::vector<double> seen = exact(data.choices(whole));
  ensure(seen.size() == data.targets.size(), "a cost per target");
  for (std::size_t t = 0; t < seen.size(); ++t) {
    const double interpolated = data.cost(t, whole);
    if (interpolated > 0 && seen[t] > 0) data.scales[t] = seen[t] / interpolated;
  }
}

double WidthLearner::penalty() const {
  const std::vector<TargetDistance> all = distances();
  double sum = 0;
  for (std::size_t t = 0; t < all.size(); ++t) {
    sum += data_->targets[t].weight * distance_of(all[t].relative);
  }
  return data_->kappa * sum;
}

std::vector<TargetDistance> WidthLearner::distances() const {
  std::vector<TargetDistance> all;
  for (std::size_t t = 0; t < data_->targets.size(); ++t) {
    const double cost = data_->scales[t] * data_->cost(t, data_->bits);
    all.push_back({cost, cost / data_->targets[t].target - 1});
  }
  return all;
}

WidthLearner::Rounding WidthLearner::freeze(const ExactCosts& exact, double tolerance) {
  Data& data = *data_;
  if (data.targets.empty()) {
    data.freeze_at(nearest_widths(data.rounded_parts(), data.bits));
    return {0, {}, true, true, 0};
  }
  RoundingTask task;
  task.parts = data.rounded_parts();
  task.widths = data.bits;
  for (const ResolvedTarget& target : data.targets) task.targets.push_back(target.target);
  task.predicted = [&](std::span<const double> widths) { return data.costs(widths); };
  task.exact = [&](std::span<const double> widths) { return exact(data.choices(widths)); };
  task.tolerance = tolerance;
  RoundedWidths rounded = round_widths(task);
  int evaluations = rounded.evaluations;
  const bool has_channels =
      std::ranges::any_of(task.parts, [](const RoundedPart& part) { return part.count > 1; });
  if (has_channels) {
    task.widths = with_equal_channels(task.parts, data.bits);
    RoundedWidths by_layer = round_widths(task);
    evaluations += by_layer.evaluations;
    const auto hits = [&](const RoundedWidths& widths) {
      return std::abs(widths.ratio - 1) <= tolerance;
    };
    const bool loses_less = strain(task.parts, data.bits, by_layer.widths) <
                            strain(task.parts, data.bits, rounded.widths);
    if (hits(by_layer) && (!hits(rounded) || loses_less)) rounded = std::move(by_layer);
  }
  rounded.evaluations = evaluations;
  data.freeze_at(std::move(rounded.widths));
  Rounding result;
  result.offset = rounded.offset;
  result.costs = std::move(rounded.costs);
  result.met = rounded.ratio <= 1 + tolerance;
  result.within_tolerance = result.met && rounded.ratio >= 1 - tolerance;
  result.evaluations = rounded.evaluations;
  return result;
}

std::vector<LayerChoice> WidthLearner::choices() const {
  return data_->choices(nearest_widths(data_->rounded_parts(), data_->bits));
}

std::vector<double> WidthLearner::state() const {
  std::vector<double> state = data_->bits;
  state.insert(state.end(), data_->velocity.begin(), data_->velocity.end());
  state.insert(state.end(), data_->scales.begin(), data_->scales.end());
  state.push_back(data_->frozen ? 1 : 0);
  return state;
}

void WidthLearner::restore(std::span<const double> state) {
  Data& data = *data_;
  ensure(state.size() == 2 * data.bits.size() + data.scales.size() + 1,
         "the state is one of these layers");
  auto from = state.begin();
  for (std::vector<double>* part : {&data.bits, &data.velocity, &data.scales}) {
    std::copy_n(from, part->size(), part->begin());
    from += static_cast<std::ptrdiff_t>(part->size());
  }
  data.frozen = state.back() != 0;
  for (const Part& part : data.parts) part.slot->learned = !data.frozen && part.is_learned();
  data.write_slots();
}

}  // namespace widthwise
