#include "search/network_problem.hpp"

#include <algorithm>
#include <array>
#include <cmath>
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
  [[nodiscard]] TensorId tensor(std::size_t index) const { return stored_[index].second; }
  [[nodiscard]] std::size_t count() const { return stored_.size(); }

 private:
  std::vector<StorageRule> rules_;
  std::vector<std::size_t> index_;                         // per tensor of the network
  std::vector<std::pair<StoredTensor, TensorId>> stored_;  // and one tensor that has its rule
};

/// A layer's costs that are to be known: one for each combination of option and stored widths.
struct Asked {
  LayerId layer = 0;
  std::optional<std::size_t> group;
  std::vector<std::size_t> tensors;  // of the problem, those that vary
  std::vector<std::size_t> extents;  // widths of each
  std::size_t combinations = 1;      // of stored widths
  std::size_t options = 1;
  std::vector<double> values;  // metric fastest, then the last tensor, ..., the option slowest
  std::vector<bool> known;     // per combination and option
};

/// Indices into the widths of the tensors that vary.
using At = std::array<std::size_t, kMostLinkedTensors>;

/// Stored widths from `low` to `high`, both included, of one option.
struct Box {
  std::size_t asked = 0;
  std::size_t option = 0;
  At low{}, high{};
  bool ends_only = false;  // so far: costs at `low` and `high`, not at the other corners
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

  /// What has to be costed, for all layers.
  void ask() {
    tensors_.emplace(network_, request_, group_of_, built_.problem);
    for (LayerId id = 0; id < network_.layers().size(); ++id) {
      if (network_.layers()[id].compute) {
        ask_compute(id);
      } else {
        ask_vector(id);
      }
    }
  }

  /// Costs all of it, in as few requests as possible.
  void cost(CostModel& model, const std::vector<std::size_t>& metrics, Diagnostics& problems) {
    for (Asked& asked : asked_) {
      asked.values.assign(asked.options * asked.combinations * metrics.size(), 0.0);
      asked.known.assign(asked.options * asked.combinations, false);
    }
    const std::vector<Box> whole = whole_boxes();
    for (const WidthPlan& plan : request_.exact_at) want(plan);
    std::vector<Box> boxes = whole;
    if (request_.matters && request_.stored_width_error > 0) {
      for (const Box& box : whole) want(box.asked, box.option, box.low);
      cost_wanted(model, metrics, problems);
      if (!problems.empty()) return;
      drop_what_does_not_matter(boxes, metrics.size());
    }
    while (!boxes.empty()) {
      for (const Box& box : boxes) want(box);
      cost_wanted(model, metrics, problems);
      if (!problems.empty()) return;
      std::vector<Box> smaller;
      for (const Box& box : boxes) {
        if (is_flat(box, metrics.size())) {
          fill(box, metrics.size());
        } else if (box.ends_only) {
          smaller.push_back({box.asked, box.option, box.low, box.high});
        } else {
          split(asked_[box.asked], box, smaller);
        }
      }
      boxes = std::move(smaller);
    }
    for (const Box& box : whole) fill_below(box, metrics.size());
  }

  /// Puts the costs into options and links.
  void take(std::size_t metrics) {
    Problem& problem = built_.problem;
    for (Group& group : problem.groups) {
      for (Option& option : group.options) option.costs.assign(metrics, 0.0);
    }
    for (const std::size_t index : plain_) {
      Asked& asked = asked_[index];
      problem.linked.push_back({asked.group, asked.tensors, std::move(asked.values)});
    }
    for (const Spread& spread : spread_) take_spread(spread, metrics);
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
  [[nodiscard]] BitWidth stored(TensorId id, const std::vector<std::size_t>& tensors, const At& at,
                                BitWidth read_at) const {
    const std::size_t tensor = tensors_->index(id);
    const auto& widths = tensors_->stored(tensor).widths;
    const auto found = std::find(tensors.begin(), tensors.end(), tensor);
    if (found != tensors.end()) {
      return std::max(read_at, widths[at[static_cast<std::size_t>(found - tensors.begin())]]);
    }
    return std::max(read_at, widths.size() == 1 ? widths.front() : tensors_->rule(id).floor);
  }

  struct Spread {
    std::size_t alone = 0;           // all inputs as the output
    std::vector<std::size_t> pairs;  // one input differs
  };

  /// Adds what is to be known of a layer at all stored widths of the tensors; returns its place.
  std::size_t add_asked(LayerId id, std::optional<std::size_t> group,
                        std::vector<std::size_t> tensors) {
    Asked asked;
    asked.layer = id;
    asked.group = group;
    asked.tensors = std::move(tensors);
    for (const std::size_t tensor : asked.tensors) {
      asked.extents.push_back(tensors_->stored(tensor).widths.size());
      asked.combinations *= asked.extents.back();
    }
    if (group) asked.options = built_.problem.groups[*group].options.size();
    asked_.push_back(std::move(asked));
    return asked_.size() - 1;
  }

  void ask_compute(LayerId id) {
    const Layer& layer = network_.layers()[id];
    std::vector<std::size_t> tensors;
    for (const TensorId input : layer.inputs) {
      const StorageRule& rule = tensors_->rule(input);
      const bool follows = rule.readers.size() == 1 && rule.readers.front() == id;
      if (!follows) add_tensor(tensors, input);
    }
    add_tensor(tensors, layer.output);
    plain_.push_back(add_asked(id, static_cast<std::size_t>(group_of_[id]), std::move(tensors)));
  }

  void ask_vector(LayerId id) {
    const Layer& layer = network_.layers()[id];
    std::vector<std::size_t> tensors;
    for (const TensorId input : layer.inputs) add_tensor(tensors, input);
    add_tensor(tensors, layer.output);
    if (tensors.size() <= kMostLinkedTensors) {
      plain_.push_back(add_asked(id, std::nullopt, std::move(tensors)));
      return;
    }
    // One input at a time beside the output, the others as the output.
    const std::size_t output = tensors_->index(layer.output);
    const bool output_varies = tensors_->stored(output).widths.size() > 1;
    Spread spread;
    spread.alone = add_asked(id, std::nullopt,
                             output_varies ? std::vector{output} : std::vector<std::size_t>{});
    for (const std::size_t tensor : tensors) {
      if (tensor == output) continue;
      std::vector<std::size_t> pair{tensor};
      if (output_varies) pair.push_back(output);
      spread.pairs.push_back(add_asked(id, std::nullopt, std::move(pair)));
    }
    spread_.push_back(std::move(spread));
  }

  [[nodiscard]] LayerPoint point_at(const Asked& asked, std::size_t option, const At& at) const {
    const Layer& layer = network_.layers()[asked.layer];
    if (!asked.group) {
      const BitWidth width = stored(layer.output, asked.tensors, at, 0);
      LayerPoint point = point_of(asked.layer, {width, width});
      point.stored_output = width;
      for (const TensorId input : layer.inputs) {
        point.stored_inputs.push_back(stored(input, asked.tensors, at, width));
      }
      return point;
    }
    const LayerWidths widths = built_.problem.groups[*asked.group].options[option].widths();
    LayerPoint point = point_of(asked.layer, widths);
    for (const TensorId input : layer.inputs) {
      point.stored_inputs.push_back(stored(input, asked.tensors, at, widths.activation));
    }
    point.stored_output = stored(layer.output, asked.tensors, at, 0);
    return point;
  }

  static std::size_t place_of(const Asked& asked, std::size_t option, const At& at) {
    std::size_t place = option;
    for (std::size_t t = 0; t < asked.extents.size(); ++t) place = place * asked.extents[t] + at[t];
    return place;
  }

  /// Calls `visit` at all points of the box; with `corners` at those alone.
  template <class Visit>
  static void for_each_point(const Asked& asked, const Box& box, bool corners, Visit&& visit) {
    At at = box.low;
    while (true) {
      visit(at);
      std::size_t t = asked.tensors.size();
      for (; t > 0 && at[t - 1] == box.high[t - 1]; --t) at[t - 1] = box.low[t - 1];
      if (t == 0) return;
      at[t - 1] = corners ? box.high[t - 1] : at[t - 1] + 1;
    }
  }

  static bool has_inside(const Asked& asked, const Box& box) {
    for (std::size_t t = 0; t < asked.tensors.size(); ++t) {
      if (box.high[t] > box.low[t] + 1) return true;
    }
    return false;
  }

  static At middle(const Asked& asked, const Box& box) {
    At at{};
    for (std::size_t t = 0; t < asked.tensors.size(); ++t) at[t] = (box.low[t] + box.high[t]) / 2;
    return at;
  }

  /// Everything there is to know. A box begins where the option's own widths do: a layer reads no
  /// tensor at fewer bits than it computes with, and below them all widths are one.
  std::vector<Box> whole_boxes() const {
    std::vector<Box> boxes;
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      const Asked& asked = asked_[i];
      for (std::size_t option = 0; option < asked.options; ++option) {
        Box box{i, option, {}, {}};
        for (std::size_t t = 0; t < asked.tensors.size(); ++t) box.high[t] = asked.extents[t] - 1;
        boxes.push_back(box);
      }
    }
    if (request_.stored_width_error <= 0) return boxes;
    for (Box& box : boxes) {
      const Asked& asked = asked_[box.asked];
      box.ends_only = true;
      if (!asked.group) continue;
      const BitWidth reads =
          built_.problem.groups[*asked.group].options[box.option].activation_bits;
      for (std::size_t t = 0; t < asked.tensors.size(); ++t) {
        if (!is_only_read(asked, t)) continue;
        const auto& widths = tensors_->stored(asked.tensors[t]).widths;
        while (box.low[t] < box.high[t] && widths[box.low[t] + 1] <= reads) ++box.low[t];
      }
    }
    return boxes;
  }

  /// Whether the layer reads the tensor and does not write it.
  bool is_only_read(const Asked& asked, std::size_t t) const {
    return tensors_->index(network_.layers()[asked.layer].output) != asked.tensors[t];
  }

  void want(std::size_t index, std::size_t option, const At& at) {
    Asked& asked = asked_[index];
    const std::size_t place = place_of(asked, option, at);
    if (asked.known[place]) return;
    asked.known[place] = true;
    wanted_.push_back({index, option, at, at});
  }

  /// The points of the network at these widths, where they are among its options.
  void want(const WidthPlan& plan) {
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      const Asked& asked = asked_[i];
      At at{};
      bool is_there = true;
      for (std::size_t t = 0; t < asked.tensors.size(); ++t) {
        const auto& widths = tensors_->stored(asked.tensors[t]).widths;
        const auto found = std::find(widths.begin(), widths.end(),
                                     plan.stored[tensors_->tensor(asked.tensors[t])]);
        is_there = is_there && found != widths.end();
        at[t] = static_cast<std::size_t>(found - widths.begin());
      }
      if (!is_there) continue;
      for (std::size_t option = 0; option < asked.options; ++option) {
        if (!asked.group || built_.problem.groups[*asked.group].options[option].widths() ==
                                plan.layers[asked.layer]) {
          want(i, option, at);
        }
      }
    }
  }

  void want(const Box& box) {
    const Asked& asked = asked_[box.asked];
    const auto add = [&](const At& at) { want(box.asked, box.option, at); };
    if (box.ends_only) {
      add(box.low);
      add(box.high);
      return;
    }
    const bool corners = request_.stored_width_error > 0;
    for_each_point(asked, box, corners, add);
    if (corners && has_inside(asked, box)) add(middle(asked, box));
  }

  void cost_wanted(CostModel& model, const std::vector<std::size_t>& metrics,
                   Diagnostics& problems) {
    std::vector<LayerPoint> points;
    points.reserve(wanted_.size());
    for (const Box& one : wanted_)
      points.push_back(point_at(asked_[one.asked], one.option, one.low));
    const std::vector<PointCost> costs = model.costs(points);
    for (std::size_t i = 0; i < costs.size(); ++i) {
      if (!costs[i].failure.empty()) {
        problems.error({"layer '" + network_.layers()[points[i].layer].name + "'"}, "",
                       "could not be costed: " + costs[i].failure);
        continue;
      }
      Asked& asked = asked_[wanted_[i].asked];
      double* values =
          asked.values.data() + place_of(asked, wanted_[i].option, wanted_[i].low) * metrics.size();
      for (std::size_t m = 0; m < metrics.size(); ++m) values[m] = costs[i].values[metrics[m]];
    }
    wanted_.clear();
  }

  /// Share of the way along an axis of a box.
  [[nodiscard]] double along(const Box& box, const At& at, std::size_t t) const {
    const auto& widths = tensors_->stored(asked_[box.asked].tensors[t]).widths;
    const double extent = widths[box.high[t]] - widths[box.low[t]];
    return extent > 0 ? (widths[at[t]] - widths[box.low[t]]) / extent : 0;
  }

  [[nodiscard]] double value_at(const Box& box, const At& at, std::size_t metric,
                                std::size_t metrics) const {
    const Asked& asked = asked_[box.asked];
    return asked.values[place_of(asked, box.option, at) * metrics + metric];
  }

  /// Value of a metric at a point of a box: linear between its ends, or between the corners along
  /// every axis.
  [[nodiscard]] double between(const Box& box, const At& at, std::size_t metric,
                               std::size_t metrics) const {
    const Asked& asked = asked_[box.asked];
    if (box.ends_only) {
      double way = 0;
      double axes = 0;
      for (std::size_t t = 0; t < asked.tensors.size(); ++t) {
        if (box.high[t] == box.low[t]) continue;
        way += along(box, at, t);
        axes += 1;
      }
      const double low = value_at(box, box.low, metric, metrics);
      return axes > 0 ? low + (value_at(box, box.high, metric, metrics) - low) * way / axes : low;
    }
    double sum = 0;
    for (std::size_t corner = 0; corner < (std::size_t{1} << asked.tensors.size()); ++corner) {
      At place{};
      double share = 1;
      for (std::size_t t = 0; t < asked.tensors.size(); ++t) {
        const bool upper = (corner >> t & 1) != 0;
        place[t] = upper ? box.high[t] : box.low[t];
        share *= upper ? along(box, at, t) : 1 - along(box, at, t);
      }
      if (share > 0) sum += share * value_at(box, place, metric, metrics);
    }
    return sum;
  }

  /// Whether what lies inside a box is known, or follows from its corners. More bits never cost
  /// less, so that all lies between the ends.
  [[nodiscard]] bool is_flat(const Box& box, std::size_t metrics) const {
    const Asked& asked = asked_[box.asked];
    if (request_.stored_width_error <= 0) return true;
    if (!box.ends_only && !has_inside(asked, box)) return true;
    const At at = box.ends_only ? box.high : middle(asked, box);
    for (std::size_t m = 0; m < metrics; ++m) {
      const double exact = value_at(box, at, m, metrics);
      const double other =
          box.ends_only ? value_at(box, box.low, m, metrics) : between(box, at, m, metrics);
      if (std::abs(other - exact) > request_.stored_width_error * std::abs(exact)) return false;
    }
    return true;
  }

  /// Fills the boxes of options that do not matter and takes them out, once the least costs of all
  /// are known.
  void drop_what_does_not_matter(std::vector<Box>& boxes, std::size_t metrics) {
    LeastCosts least{built_.problem.groups, std::vector<double>(metrics, 0.0)};
    for (Group& group : least.groups) {
      for (Option& option : group.options) option.costs.assign(metrics, 0.0);
    }
    for (const Box& box : boxes) {
      const auto& group = asked_[box.asked].group;
      auto& costs = group ? least.groups[*group].options[box.option].costs : least.others;
      for (std::size_t m = 0; m < metrics; ++m) costs[m] += value_at(box, box.low, m, metrics);
    }
    const std::vector<std::vector<bool>> matters = request_.matters(least);
    if (matters.empty()) return;
    std::erase_if(boxes, [&](const Box& box) {
      const auto& group = asked_[box.asked].group;
      if (!group || matters[*group][box.option]) return false;
      fill_least(box, metrics);
      return true;
    });
  }

  /// What is inside a box costs no less than its lower end.
  void fill_least(const Box& box, std::size_t metrics) {
    Asked& asked = asked_[box.asked];
    const std::size_t low = place_of(asked, box.option, box.low) * metrics;
    for_each_point(asked, box, false, [&](const At& at) {
      const std::size_t place = place_of(asked, box.option, at);
      if (asked.known[place]) return;
      std::copy_n(asked.values.data() + low, metrics, asked.values.data() + place * metrics);
    });
  }

  /// What was not asked for inside a box is what lies between its corners.
  void fill(const Box& box, std::size_t metrics) {
    Asked& asked = asked_[box.asked];
    if (request_.stored_width_error <= 0) return;
    for_each_point(asked, box, false, [&](const At& at) {
      const std::size_t place = place_of(asked, box.option, at);
      if (asked.known[place]) return;
      for (std::size_t m = 0; m < metrics; ++m) {
        asked.values[place * metrics + m] = between(box, at, m, metrics);
      }
    });
  }

  /// Halves a box along every axis that has an inside.
  static void split(const Asked& asked, const Box& box, std::vector<Box>& parts) {
    const At at = middle(asked, box);
    std::vector<Box> halves{box};
    halves.front().ends_only = true;
    for (std::size_t t = 0; t < asked.tensors.size(); ++t) {
      if (box.high[t] <= box.low[t] + 1) continue;
      const std::size_t count = halves.size();
      for (std::size_t i = 0; i < count; ++i) {
        halves.push_back(halves[i]);
        halves[i].high[t] = at[t];
        halves.back().low[t] = at[t];
      }
    }
    parts.insert(parts.end(), halves.begin(), halves.end());
  }

  /// Below a whole box: as at its border.
  void fill_below(const Box& whole, std::size_t metrics) {
    Asked& asked = asked_[whole.asked];
    if (whole.low == At{}) return;
    Box all = whole;
    all.low = {};
    for_each_point(asked, all, false, [&](const At& at) {
      At inside = at;
      for (std::size_t t = 0; t < inside.size(); ++t) inside[t] = std::max(at[t], whole.low[t]);
      if (inside == at) return;
      double* values = asked.values.data();
      std::copy_n(values + place_of(asked, whole.option, inside) * metrics, metrics,
                  values + place_of(asked, whole.option, at) * metrics);
    });
  }

  /// cost = alone(out) + sum over inputs of (pair(in, out) - alone(out)).
  void take_spread(const Spread& spread, std::size_t metrics) {
    const Asked& alone = asked_[spread.alone];
    for (const std::size_t index : spread.pairs) {
      Asked& pair = asked_[index];
      // The output's index runs fastest.
      for (std::size_t i = 0; i < pair.values.size(); ++i) {
        pair.values[i] -= alone.values[i % (alone.combinations * metrics)];
      }
    }
    built_.problem.linked.push_back({alone.group, alone.tensors, alone.values});
    for (const std::size_t index : spread.pairs) {
      Asked& pair = asked_[index];
      built_.problem.linked.push_back({pair.group, pair.tensors, std::move(pair.values)});
    }
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
  std::vector<Asked> asked_;
  std::vector<std::size_t> plain_;  // of asked_, those that are links as they stand
  std::vector<Spread> spread_;      // and the others
  std::vector<Box> wanted_;         // of a single point each
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
  builder.ask();
  builder.cost(model, metrics, problems);
  problems.throw_if_any();
  builder.take(metrics.size());
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
