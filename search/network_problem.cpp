#include "search/network_problem.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "models/base/error.hpp"
#include "models/base/text.hpp"
#include "models/network/stored_widths.hpp"

namespace widthwise {

namespace {

constexpr const char* kLossMetric = "loss";

/// Rules of the tensors of one network, equal ones as one tensor of the problem.
class Tensors {
 public:
  Tensors(const Network& network, const NetworkProblemRequest& request,
          const std::vector<std::ptrdiff_t>& group_of, const Problem& problem)
      : rules_(storage_rules(network, request.output_bits)) {
    for (TensorId id = 0; id < rules_.size(); ++id) {
      const StorageRule& rule = rules_[id];
      const auto found = std::find_if(stored_.begin(), stored_.end(), [&](const auto& other) {
        return rules_[other.second] == rule;
      });
      if (found != stored_.end()) {
        index_.push_back(static_cast<std::size_t>(found - stored_.begin()));
        continue;
      }
      StoredTensor tensor;
      tensor.name = network.tensors()[id].name;
      tensor.floor = rule.floor;
      std::set<BitWidth> widths;
      if (rule.readers.empty()) widths.insert(rule.floor);
      for (const LayerId reader : rule.readers) {
        const std::ptrdiff_t group = group_of[reader];
        ensure(group >= 0, "layers with multiply-accumulates are groups");
        tensor.readers.push_back(static_cast<std::size_t>(group));
        for (const Option& option : problem.groups[tensor.readers.back()].options) {
          widths.insert(std::max(option.activation_bits, rule.floor));
        }
      }
      tensor.widths.assign(widths.begin(), widths.end());
      index_.push_back(stored_.size());
      stored_.emplace_back(std::move(tensor), id);
    }
  }

  [[nodiscard]] std::size_t index(TensorId id) const { return index_[id]; }
  [[nodiscard]] const StorageRule& rule(TensorId id) const { return rules_[id]; }
  [[nodiscard]] const StoredTensor& stored(std::size_t index) const { return stored_[index].first; }
  [[nodiscard]] std::size_t count() const { return stored_.size(); }

 private:
  std::vector<StorageRule> rules_;
  std::vector<std::size_t> index_;                         // per tensor of the network
  std::vector<std::pair<StoredTensor, TensorId>> stored_;  // and one tensor that has its rule
};

/// A layer's costs that are to be asked for: for each combination of option and stored widths one
/// point.
struct Asked {
  LayerId layer = 0;
  std::optional<std::size_t> group;
  std::vector<std::size_t> tensors;  // of the problem, those that vary
  std::size_t first = 0;             // points
  std::size_t count = 0;
};

class Builder {
 public:
  Builder(const Network& network, const NetworkProblemRequest& request, NetworkProblem& built)
      : network_(network), request_(request), built_(built) {}

  void add_groups(const CostTable& losses, Diagnostics& problems) {
    group_of_.assign(network_.layers().size(), -1);
    const auto pins = pinned(problems);
    check_names(losses, problems);
    const auto metric = std::find(losses.metrics.begin(), losses.metrics.end(), kLossMetric);
    if (metric == losses.metrics.end()) {
      problems.error({losses.source}, kLossMetric, "expected a column of this name");
      return;
    }
    const auto loss = static_cast<std::size_t>(metric - losses.metrics.begin());
    for (LayerId id = 0; id < network_.layers().size(); ++id) {
      const Layer& layer = network_.layers()[id];
      if (!layer.compute) continue;
      Group group;
      group.name = layer.name;
      std::map<std::pair<BitWidth, BitWidth>, double> known;
      for (const TableRow& row : losses.rows) {
        if (losses.layers[row.layer] != layer.name) continue;
        known[{static_cast<BitWidth>(row.at[index_of(Axis::weight_bits)]),
               static_cast<BitWidth>(row.at[index_of(Axis::activation_bits)])}] = row.values[loss];
      }
      if (pins[id]) {
        const auto [weight, activation] = *pins[id];
        const auto found = known.find({weight, activation});
        group.options.push_back({weight, activation, found == known.end() ? 0 : found->second, {}});
      } else {
        for (const auto& [widths, value] : known) {
          if (is_asked(request_.activation_bits, widths.second) &&
              (layer.weights == 0 || is_asked(request_.weight_bits, widths.first))) {
            group.options.push_back({widths.first, widths.second, value, {}});
          }
        }
        if (group.options.empty()) {
          problems.error({losses.source}, layer.name,
                         known.empty()
                             ? "expected losses of this layer of " + network_.name() + ", or a pin"
                             : std::string("expected a loss at one of the widths asked for"));
        }
      }
      group_of_[id] = static_cast<std::ptrdiff_t>(built_.problem.groups.size());
      built_.problem.groups.push_back(std::move(group));
      built_.layers.push_back(id);
      built_.weighted.push_back(layer.weights > 0);
    }
  }

  /// All points of all layers.
  std::vector<LayerPoint> points() {
    tensors_.emplace(network_, request_, group_of_, built_.problem);
    for (LayerId id = 0; id < network_.layers().size(); ++id) {
      if (network_.layers()[id].compute) {
        ask_compute(id);
      } else {
        ask_vector(id);
      }
    }
    return std::move(points_);
  }

  /// Puts the points' costs into options and links.
  void take(const std::vector<PointCost>& costs, const std::vector<std::size_t>& metrics) {
    Problem& problem = built_.problem;
    for (Group& group : problem.groups) {
      for (Option& option : group.options) option.costs.assign(metrics.size(), 0.0);
    }
    for (const Asked& asked : asked_) {
      LinkedCost link;
      link.group = asked.group;
      link.tensors = asked.tensors;
      for (std::size_t i = 0; i < asked.count; ++i) {
        for (const std::size_t metric : metrics) {
          link.values.push_back(costs[asked.first + i].values[metric]);
        }
      }
      problem.linked.push_back(std::move(link));
    }
    for (const Spread& spread : spread_) take_spread(spread, costs, metrics);
    for (std::size_t t = 0; t < tensors_->count(); ++t) {
      problem.tensors.push_back(tensors_->stored(t));
    }
    drop_unused_tensors();
  }

 private:
  static bool is_asked(const std::vector<BitWidth>& widths, BitWidth width) {
    return std::find(widths.begin(), widths.end(), width) != widths.end();
  }

  /// Widths of the layers that are pinned.
  std::vector<std::optional<std::pair<BitWidth, BitWidth>>> pinned(Diagnostics& problems) const {
    std::vector<std::optional<std::pair<BitWidth, BitWidth>>> pins(network_.layers().size());
    for (const WidthRule& rule : request_.pins) {
      Assignment one;
      one.rules = {rule};
      try {
        // Which layers the rule is about: those whose widths it changes from one default to
        // another.
        one.defaults = {1, 1};
        const WidthPlan low = resolve_widths(network_, one);
        one.defaults = {2, 2};
        const WidthPlan high = resolve_widths(network_, one);
        for (LayerId id = 0; id < pins.size(); ++id) {
          const Layer& layer = network_.layers()[id];
          if (!layer.compute || low.layers[id].activation != high.layers[id].activation) continue;
          pins[id] = {low.layers[id].weight, low.layers[id].activation};
        }
      } catch (const InputError& error) {
        problems.append(error.diagnostics());
      }
    }
    return pins;
  }

  void check_names(const CostTable& losses, Diagnostics& problems) const {
    std::vector<std::string> names;
    for (const Layer& layer : network_.layers()) names.push_back(layer.name);
    for (const std::string& layer : losses.layers) {
      if (network_.find_layer(layer)) continue;
      problems.error(
          {losses.source}, layer,
          "no layer of " + network_.name() + " has this name" + suggestion(layer, names));
    }
  }

  [[nodiscard]] Home home(TensorId id) const {
    return request_.homes.empty() ? Home::dram : request_.homes[id];
  }

  [[nodiscard]] LayerPoint point_of(LayerId id, LayerWidths widths) const {
    const Layer& layer = network_.layers()[id];
    LayerPoint point;
    point.layer = id;
    point.widths = widths;
    point.output_home = home(layer.output);
    for (const TensorId input : layer.inputs) point.input_homes.push_back(home(input));
    return point;
  }

  /// The tensors of a layer whose stored width is not known from its option; each once.
  void add_tensor(std::vector<std::size_t>& tensors, TensorId id) const {
    const std::size_t tensor = tensors_->index(id);
    if (tensors_->stored(tensor).widths.size() < 2) return;
    if (std::find(tensors.begin(), tensors.end(), tensor) == tensors.end()) {
      tensors.push_back(tensor);
    }
  }

  /// Stored width of a tensor at a combination of indices, at least `read_at` (less can not be).
  [[nodiscard]] BitWidth stored(TensorId id, const std::vector<std::size_t>& tensors,
                                const std::vector<std::size_t>& at, BitWidth read_at) const {
    const std::size_t tensor = tensors_->index(id);
    const auto& widths = tensors_->stored(tensor).widths;
    const auto found = std::find(tensors.begin(), tensors.end(), tensor);
    if (found != tensors.end()) {
      return std::max(read_at, widths[at[static_cast<std::size_t>(found - tensors.begin())]]);
    }
    return std::max(read_at, widths.size() == 1 ? widths.front() : tensors_->rule(id).floor);
  }

  /// All combinations of the tensors' stored widths, the last fastest.
  template <class Visit>
  void for_all_widths(const std::vector<std::size_t>& tensors, Visit&& visit) const {
    std::vector<std::size_t> at(tensors.size(), 0);
    while (true) {
      visit(at);
      std::size_t t = tensors.size();
      while (t > 0 && ++at[t - 1] == tensors_->stored(tensors[t - 1]).widths.size()) at[--t] = 0;
      if (t == 0) return;
    }
  }

  struct Spread {
    Asked alone;               // all inputs as the output
    std::vector<Asked> pairs;  // one input differs
  };

  void ask_compute(LayerId id) {
    const Layer& layer = network_.layers()[id];
    const auto group = static_cast<std::size_t>(group_of_[id]);
    Asked asked{id, group, {}, points_.size(), 0};
    for (const TensorId input : layer.inputs) {
      const StorageRule& rule = tensors_->rule(input);
      const bool follows = rule.readers.size() == 1 && rule.readers.front() == id;
      if (!follows) add_tensor(asked.tensors, input);
    }
    add_tensor(asked.tensors, layer.output);
    for (const Option& option : built_.problem.groups[group].options) {
      for_all_widths(asked.tensors, [&](const std::vector<std::size_t>& at) {
        LayerPoint point = point_of(id, option.widths());
        for (const TensorId input : layer.inputs) {
          point.stored_inputs.push_back(stored(input, asked.tensors, at, option.activation_bits));
        }
        point.stored_output = stored(layer.output, asked.tensors, at, 0);
        points_.push_back(std::move(point));
      });
    }
    asked.count = points_.size() - asked.first;
    asked_.push_back(std::move(asked));
  }

  void ask_vector(LayerId id) {
    const Layer& layer = network_.layers()[id];
    std::vector<std::size_t> tensors;
    for (const TensorId input : layer.inputs) add_tensor(tensors, input);
    add_tensor(tensors, layer.output);
    if (tensors.size() <= kMostLinkedTensors) {
      asked_.push_back(ask_vector_at(id, tensors));
      return;
    }
    // One input at a time beside the output, the others as the output.
    const std::size_t output = tensors_->index(layer.output);
    Spread spread;
    const bool output_varies = tensors_->stored(output).widths.size() > 1;
    spread.alone =
        ask_vector_at(id, output_varies ? std::vector{output} : std::vector<std::size_t>{});
    for (const std::size_t tensor : tensors) {
      if (tensor == output) continue;
      std::vector<std::size_t> pair{tensor};
      if (output_varies) pair.push_back(output);
      spread.pairs.push_back(ask_vector_at(id, pair));
    }
    spread_.push_back(std::move(spread));
  }

  Asked ask_vector_at(LayerId id, std::vector<std::size_t> tensors) {
    const Layer& layer = network_.layers()[id];
    Asked asked{id, std::nullopt, std::move(tensors), points_.size(), 0};
    for_all_widths(asked.tensors, [&](const std::vector<std::size_t>& at) {
      const BitWidth width = stored(layer.output, asked.tensors, at, 0);
      LayerPoint point = point_of(id, {width, width});
      point.stored_output = width;
      for (const TensorId input : layer.inputs) {
        point.stored_inputs.push_back(stored(input, asked.tensors, at, width));
      }
      points_.push_back(std::move(point));
    });
    asked.count = points_.size() - asked.first;
    return asked;
  }

  /// cost = alone(out) + sum over inputs of (pair(in, out) - alone(out)).
  void take_spread(const Spread& spread, const std::vector<PointCost>& costs,
                   const std::vector<std::size_t>& metrics) {
    const auto add = [&](const Asked& asked, bool less_alone) {
      LinkedCost link;
      link.tensors = asked.tensors;
      for (std::size_t i = 0; i < asked.count; ++i) {
        for (const std::size_t metric : metrics) {
          double value = costs[asked.first + i].values[metric];
          // The output's index runs fastest.
          if (less_alone)
            value -= costs[spread.alone.first + i % spread.alone.count].values[metric];
          link.values.push_back(value);
        }
      }
      built_.problem.linked.push_back(std::move(link));
    };
    add(spread.alone, false);
    for (const Asked& pair : spread.pairs) add(pair, true);
  }

  /// Links without tensors move into their group's options; tensors that no link names go.
  void drop_unused_tensors() {
    Problem& problem = built_.problem;
    const std::size_t costs = problem.costs.size();
    std::vector<LinkedCost> kept;
    for (LinkedCost& link : problem.linked) {
      if (!link.tensors.empty() || !link.group) {
        kept.push_back(std::move(link));
        continue;
      }
      std::vector<Option>& options = problem.groups[*link.group].options;
      for (std::size_t i = 0; i < options.size(); ++i) {
        for (std::size_t c = 0; c < costs; ++c) options[i].costs[c] += link.values[i * costs + c];
      }
    }
    problem.linked = std::move(kept);
    std::vector<std::size_t> place(problem.tensors.size(), problem.tensors.size());
    std::vector<StoredTensor> named;
    for (LinkedCost& link : problem.linked) {
      for (std::size_t& tensor : link.tensors) {
        if (place[tensor] == problem.tensors.size()) {
          place[tensor] = named.size();
          named.push_back(problem.tensors[tensor]);
        }
        tensor = place[tensor];
      }
    }
    problem.tensors = std::move(named);
  }

  const Network& network_;
  const NetworkProblemRequest& request_;
  NetworkProblem& built_;
  std::vector<std::ptrdiff_t> group_of_;  // per layer of the network; -1: none
  std::optional<Tensors> tensors_;
  std::vector<LayerPoint> points_;
  std::vector<Asked> asked_;
  std::vector<Spread> spread_;
};

}  // namespace

Assignment NetworkProblem::assignment(const Choice& choice, const std::string& name) const {
  Assignment assignment;
  assignment.name = name;
  for (std::size_t g = 0; g < choice.size(); ++g) {
    const Option& option = problem.groups[g].options[choice[g]];
    WidthRule rule{problem.groups[g].name, std::nullopt, option.activation_bits, {}};
    if (weighted[g]) rule.weight = option.weight_bits;
    assignment.rules.push_back(std::move(rule));
  }
  return assignment;
}

NetworkProblem network_problem(const Network& network, CostModel& model, const CostTable& losses,
                               const NetworkProblemRequest& request) {
  NetworkProblem built;
  built.problem.name = network.name();
  built.problem.costs = request.costs;
  Diagnostics problems;
  std::vector<std::size_t> metrics;
  for (const std::string& cost : request.costs) {
    metrics.push_back(metric_index(model.metrics(), cost));
  }
  Builder builder(network, request, built);
  builder.add_groups(losses, problems);
  problems.throw_if_any();
  const std::vector<LayerPoint> points = builder.points();
  const std::vector<PointCost> costs = model.costs(points);
  for (std::size_t i = 0; i < costs.size(); ++i) {
    if (costs[i].failure.empty()) continue;
    problems.error({"layer '" + network.layers()[points[i].layer].name + "'"}, "",
                   "could not be costed: " + costs[i].failure);
  }
  problems.throw_if_any();
  builder.take(costs, metrics);
  return built;
}

ScaledCostModel::ScaledCostModel(CostModel& model, std::vector<std::vector<double>> factors)
    : model_(model), factors_(std::move(factors)) {}

const std::vector<std::string>& ScaledCostModel::metrics() const { return model_.metrics(); }

std::vector<PointCost> ScaledCostModel::costs(std::span<const LayerPoint> points) {
  std::vector<PointCost> costs = model_.costs(points);
  for (std::size_t i = 0; i < costs.size(); ++i) {
    const std::vector<double>& factors = factors_.at(points[i].layer);
    for (std::size_t m = 0; m < costs[i].values.size(); ++m) costs[i].values[m] *= factors.at(m);
  }
  return costs;
}

}  // namespace widthwise
