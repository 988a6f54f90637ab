#include "train/width_assigner.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "models/base/error.hpp"
#include "models/cost/layer_model.hpp"
#include "models/network/widths.hpp"
#include "search/budgets.hpp"
#include "search/network_problem.hpp"

namespace widthwise {

namespace {

constexpr int kMostRounds = 6;
constexpr int kMostChanges = 60;  // tried one by one on the whole network

using LossOf = std::function<double(LayerId, const LayerWidths&)>;

/// The pairs of widths that a layer with multiply-accumulates may have.
struct LayerOptions {
  LayerId layer = 0;
  std::vector<LayerWidths> widths;
  std::optional<BitWidth> weight_pin, activation_pin;
};

std::vector<LayerOptions> layer_options(const Network& network, const TrainSettings& settings,
                                        bool tied_operands) {
  // What does not follow the defaults is pinned.
  Assignment assignment;
  assignment.rules = settings.pins;
  assignment.defaults = {1, 1};
  const WidthPlan low = resolve_widths(network, assignment);
  assignment.defaults = {2, 2};
  const WidthPlan high = resolve_widths(network, assignment);

  std::vector<LayerOptions> all;
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    const Layer& layer = network.layers()[id];
    if (!layer.compute) continue;
    LayerOptions options;
    options.layer = id;
    const LayerWidths& pin = low.layers[id];
    if (pin.activation == high.layers[id].activation) options.activation_pin = pin.activation;
    if (layer.weights > 0 && pin.weight == high.layers[id].weight) options.weight_pin = pin.weight;
    if (tied_operands && options.weight_pin.has_value() != options.activation_pin.has_value()) {
      const BitWidth both =
          options.weight_pin ? *options.weight_pin : options.activation_pin.value();
      options.weight_pin = options.activation_pin = both;
    }
    const std::vector<BitWidth>& activations =
        tied_operands ? settings.weight_bits : settings.activation_bits;
    const auto either = [](std::optional<BitWidth> width, const std::vector<BitWidth>& others) {
      return width ? std::vector<BitWidth>{*width} : others;
    };
    const bool is_pinned = options.weight_pin && options.activation_pin;
    for (const BitWidth activation : either(options.activation_pin, activations)) {
      if (layer.weights == 0 || (tied_operands && !is_pinned)) {
        options.widths.push_back({activation, activation});
        continue;
      }
      for (const BitWidth weight : either(options.weight_pin, settings.weight_bits)) {
        options.widths.push_back({weight, activation});
      }
    }
    all.push_back(std::move(options));
  }
  return all;
}

/// All options as rows, with a loss of 0: assign() puts in others.
CostTable no_losses(const Network& network, const std::vector<LayerOptions>& all) {
  CostTable table;
  table.source = "losses";
  table.axes = {Axis::weight_bits, Axis::activation_bits};
  table.metrics = {"loss"};
  for (const LayerOptions& options : all) {
    for (const LayerWidths& widths : options.widths) {
      AxisValues at{};
      at[index_of(Axis::weight_bits)] = widths.weight;
      at[index_of(Axis::activation_bits)] = widths.activation;
      table.rows.push_back({table.layers.size(), at, {0.0}, {}});
    }
    table.layers.push_back(network.layers()[options.layer].name);
  }
  return table;
}

std::vector<Home> homes_of(const Network& network, const std::vector<LayerPoint>& points) {
  std::vector<Home> homes(network.tensors().size(), Home::dram);
  for (const LayerPoint& point : points) {
    const Layer& layer = network.layers()[point.layer];
    homes[layer.output] = point.output_home;
    for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
      homes[layer.inputs[i]] = point.input_homes[i];
    }
  }
  return homes;
}

}  // namespace

struct WidthAssigner::Data {
  Data(const Network& of, CostModel& by, const Accelerator& on, const TrainSettings& settings,
       bool tied_operands)
      : network(of),
        model(by),
        accelerator(on),
        said(settings.targets),
        options(layer_options(of, settings, tied_operands)) {
    request.output_bits = settings.output_bits;
    // The rows of the losses say which pairs of these each layer has.
    std::vector<BitWidth> every;
    for (BitWidth width = kMinOperandWidth; width <= kMaxOperandWidth; ++width) {
      every.push_back(width);
    }
    request.weight_bits = request.activation_bits = every;
    for (const TrainTarget& target : said) {
      const auto found = std::find(request.costs.begin(), request.costs.end(), target.metric);
      metrics.push_back(static_cast<std::size_t>(found - request.costs.begin()));
      if (found == request.costs.end()) request.costs.push_back(target.metric);
      static_cast<void>(metric_index(model.metrics(), target.metric));
    }
    narrowest = choices_at([](const LayerOptions& layer) { return layer.widths.front(); });
    const auto widest = choices_at([](const LayerOptions& layer) { return layer.widths.back(); });
    resolve(widest);
    first_homes = homes_of(network, points(widest));
    check_targets();
  }

  /// A problem with the tensors in given places, and where its next solution starts from.
  struct Built {
    std::vector<Home> homes;
    NetworkProblem network_problem;
    SolveOptions options;
  };

  template <class WidthsOf>
  [[nodiscard]] std::vector<LayerChoice> choices_at(WidthsOf&& widths_of) const {
    std::vector<LayerChoice> choices;
    for (const LayerOptions& layer : options) {
      const LayerWidths widths = widths_of(layer);
      choices.push_back({layer.layer, {widths.weight}, widths.activation});
    }
    return choices;
  }

  [[nodiscard]] std::vector<LayerPoint> points(const std::vector<LayerChoice>& choices) const {
    return choice_points(network, accelerator, choices, request.output_bits);
  }

  /// What the model says of the whole network, per target.
  [[nodiscard]] std::vector<double> costs(const std::vector<LayerChoice>& choices) {
    const ChoiceCost cost = choice_cost(network, model, accelerator, choices, request.output_bits);
    std::vector<double> all;
    for (const TrainTarget& target : said) {
      all.push_back(cost.totals[metric_index(cost.metrics, target.metric)]);
    }
    return all;
  }

  void resolve(const std::vector<LayerChoice>& widest) {
    const std::vector<double> least = costs(narrowest);
    const std::vector<double> greatest = costs(widest);
    for (std::size_t t = 0; t < said.size(); ++t) {
      double at_reference = 0;
      const BudgetForm& form = said[t].form;
      if (form.kind == BudgetForm::Kind::share) {
        at_reference = costs(choices_at([&](const LayerOptions& layer) {
          return LayerWidths{layer.weight_pin.value_or(form.reference.weight),
                             layer.activation_pin.value_or(form.reference.activation)};
        }))[t];
      }
      resolved.push_back(resolve_target(said[t], least[t], greatest[t], at_reference));
      limits.push_back(resolved.back().target);
    }
  }

  /// Cost may fall with width somewhere: only then is the least one not at the narrowest widths.
  void check_targets() {
    Diagnostics infeasible;
    for (std::size_t t = 0; t < said.size(); ++t) {
      double least = resolved[t].least;
      if (!fits(least, limits[t])) {
        least = std::min(least,
                         reachable(built(first_homes).network_problem.problem, metrics[t]).least);
      }
      check_reachable(resolved[t], said[t], least, "all layers at their narrowest", infeasible);
    }
    if (!infeasible.empty()) throw InfeasibleTarget(infeasible.items());
    static_cast<void>(built(first_homes));
  }

  Built& built(const std::vector<Home>& homes) {
    for (const auto& any : problems) {
      if (any->homes == homes) return *any;
    }
    request.homes = homes;
    NetworkProblem made = network_problem(network, model, no_losses(network, options), request);
    for (std::size_t t = 0; t < said.size(); ++t) {
      Budget budget{metrics[t], {BudgetForm::Kind::max, limits[t], {}}, limits[t], said[t].place};
      made.problem.budgets.push_back(std::move(budget));
    }
    problems.push_back(std::make_unique<Built>(Built{homes, std::move(made), {}}));
    return *problems.back();
  }

  [[nodiscard]] bool are_met(const std::vector<double>& used) const {
    for (std::size_t t = 0; t < used.size(); ++t) {
      if (!fits(used[t], limits[t])) return false;
    }
    return true;
  }

  Solution solve_at(Built& now, const LossOf& loss, const std::vector<double>& scales);
  /// Gives layers options of less loss as long as the whole network stays within the targets, those
  /// of the greatest gain first. False if the choices are not within the targets.
  bool improve(std::vector<LayerChoice>& choices, const LossOf& loss);
  std::vector<LayerChoice> assign(const LossOf& loss);

  const Network& network;
  CostModel& model;
  const Accelerator& accelerator;
  std::vector<TrainTarget> said;
  std::vector<LayerOptions> options;
  NetworkProblemRequest request;
  std::vector<std::size_t> metrics;  // of the problem's costs, per target
  std::vector<ResolvedTarget> resolved;
  std::vector<double> limits;
  std::vector<LayerChoice> narrowest;
  std::vector<Home> first_homes;
  std::vector<std::unique_ptr<Built>> problems;
  Solution last;
};

Solution WidthAssigner::Data::solve_at(Built& now, const LossOf& loss,
                                       const std::vector<double>& scales) {
  Problem& problem = now.network_problem.problem;
  for (std::size_t g = 0; g < problem.groups.size(); ++g) {
    for (Option& option : problem.groups[g].options) {
      option.loss = loss(now.network_problem.layers[g], option.widths());
    }
  }
  for (std::size_t t = 0; t < limits.size(); ++t) problem.budgets[t].limit = scales[t] * limits[t];
  Solution solution = solve(problem, now.options);
  if (solution.choice) {
    now.options.start = solution.choice;
    now.options.multipliers = solution.shadow_prices();
  }
  return solution;
}

bool WidthAssigner::Data::improve(std::vector<LayerChoice>& choices, const LossOf& loss) {
  std::vector<double> used = costs(choices);
  if (!are_met(used)) return false;
  struct Change {
    double gain;
    std::size_t layer;
    LayerWidths widths;
  };
  const auto loss_of = [&](const LayerChoice& choice) {
    return loss(choice.layer, {choice.weight_bits.front(), choice.activation_bits});
  };
  int evaluations = 0;
  for (bool is_better = true; is_better && evaluations < kMostChanges;) {
    is_better = false;
    std::vector<Change> changes;
    for (std::size_t l = 0; l < options.size(); ++l) {
      for (const LayerWidths& widths : options[l].widths) {
        const double gain = loss_of(choices[l]) - loss(options[l].layer, widths);
        if (gain > 0) changes.push_back({gain, l, widths});
      }
    }
    std::stable_sort(changes.begin(), changes.end(),
                     [](const Change& a, const Change& b) { return a.gain > b.gain; });
    for (const Change& change : changes) {
      if (++evaluations > kMostChanges) break;
      std::vector<LayerChoice> changed = choices;
      changed[change.layer].weight_bits = {change.widths.weight};
      changed[change.layer].activation_bits = change.widths.activation;
      std::vector<double> now = costs(changed);
      if (!are_met(now)) continue;
      choices = std::move(changed);
      used = std::move(now);
      is_better = true;
      break;
    }
  }
  last.choice.reset();  // an option per group of a problem with other homes
  last.status = SolveStatus::feasible;
  last.objective = 0;
  for (const LayerChoice& choice : choices) last.objective += loss_of(choice);
  last.totals.loss = last.objective;
  for (std::size_t t = 0; t < used.size(); ++t) {
    last.budgets[t].used = used[t];
    last.budgets[t].limit = limits[t];
  }
  return true;
}

std::vector<LayerChoice> WidthAssigner::Data::assign(const LossOf& loss) {
  std::optional<std::vector<LayerChoice>> best;
  std::vector<std::vector<Home>> seen;
  std::vector<Home> homes = first_homes;
  std::vector<double> scales(limits.size(), 1.0);
  bool is_proven = false;  // the best, for costs that are the whole network's
  for (int round = 0; round < kMostRounds; ++round) {
    const auto is_seen = [&](const std::vector<Home>& any) {
      return std::find(seen.begin(), seen.end(), any) != seen.end();
    };
    if (!is_seen(homes)) seen.push_back(homes);
    Built& now = built(homes);
    Solution solution = solve_at(now, loss, scales);
    if (!solution.choice) {
      homes = homes_of(network, points(narrowest));
      if (is_seen(homes)) break;
      continue;
    }
    std::vector<LayerChoice> choices;
    for (std::size_t g = 0; g < solution.choice->size(); ++g) {
      const Option& option = now.network_problem.problem.groups[g].options[(*solution.choice)[g]];
      choices.push_back(
          {now.network_problem.layers[g], {option.weight_bits}, option.activation_bits});
    }
    const std::vector<double> used = costs(choices);
    for (std::size_t t = 0; t < used.size(); ++t) {
      solution.budgets[t].used = used[t];
      solution.budgets[t].limit = limits[t];
    }
    std::vector<Home> own_homes = homes_of(network, points(choices));
    const bool is_met = are_met(used);
    if (is_met && (!best || solution.objective < last.objective)) {
      best = std::move(choices);
      last = std::move(solution);
      is_proven = own_homes == homes && scales == std::vector<double>(limits.size(), 1.0);
    }
    if (!is_seen(own_homes)) {
      homes = std::move(own_homes);
      continue;
    }
    if (is_met) break;
    for (std::size_t t = 0; t < used.size(); ++t) {
      if (!fits(used[t], limits[t])) scales[t] *= limits[t] / used[t];
    }
  }
  if (best && is_proven) return *best;
  if (!best) {
    best = narrowest;
    last = {};
    last.budgets.assign(limits.size(), {});
  }
  if (improve(*best, loss)) return *best;
  Diagnostics infeasible;
  for (std::size_t t = 0; t < said.size(); ++t) {
    infeasible.error(said[t].place, target_key(said[t]),
                     fmt::format("{:.10g} {} can not be met together with the other targets",
                                 limits[t], said[t].metric));
  }
  throw InfeasibleTarget(infeasible.items());
}

WidthAssigner::WidthAssigner(const Network& network, CostModel& model,
                             const Accelerator& accelerator, const TrainSettings& settings,
                             bool tied_operands)
    : data_(std::make_shared<Data>(network, model, accelerator, settings, tied_operands)) {}

std::vector<LayerChoice> WidthAssigner::assign(
    const std::function<double(LayerId, const LayerWidths&)>& loss) {
  return data_->assign(loss);
}

const std::vector<double>& WidthAssigner::targets() const { return data_->limits; }

const std::vector<ResolvedTarget>& WidthAssigner::resolved_targets() const {
  return data_->resolved;
}

const Solution& WidthAssigner::last() const { return data_->last; }

}  // namespace widthwise
