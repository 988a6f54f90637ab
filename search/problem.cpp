#include "search/problem.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "models/config/yaml_reader.hpp"

namespace widthwise {

namespace {

const std::string kLossName = "loss";

std::string shown(LayerWidths widths) {
  return fmt::format("w{}a{}", widths.weight, widths.activation);
}

bool is_operand_width(BitWidth bits) {
  return bits >= kMinOperandWidth && bits <= kMaxOperandWidth;
}

class Checker {
 public:
  Checker(const Problem& problem, Diagnostics& problems) : problem_(problem), problems_(problems) {}

  void run(bool resolved) {
    costs();
    groups();
    if (!sound_) return;  // what follows looks options up
    ties();
    pins();
    if (!sound_) return;
    common_widths();
    budgets(resolved);
    objective();
    tensors();
    if (sound_) linked();
  }

 private:
  void error(const SourcePlace& place, std::string key, std::string message) {
    problems_.error(place, std::move(key), std::move(message));
  }
  void unsound(const SourcePlace& place, std::string key, std::string message) {
    sound_ = false;
    error(place, std::move(key), std::move(message));
  }

  void costs() {
    std::unordered_set<std::string> seen;
    for (const std::string& name : problem_.costs) {
      if (name == kLossName || name == "weight_bits" || name == "activation_bits") {
        error(problem_.place, "costs", "'" + name + "' can not be the name of a cost");
      } else if (!seen.insert(name).second) {
        error(problem_.place, "costs", "'" + name + "' stands there twice");
      }
    }
  }

  void groups() {
    if (problem_.groups.empty()) unsound(problem_.place, "groups", "expected at least one group");
    std::unordered_map<std::string, std::size_t> first;
    for (std::size_t g = 0; g < problem_.groups.size(); ++g) {
      const Group& group = problem_.groups[g];
      const std::string key = fmt::format("groups[{}]", g);
      const auto [other, is_new] = first.emplace(group.name, g);
      if (!is_new) {
        error(group.place, key,
              fmt::format("the name '{}' is that of groups[{}]", group.name, other->second));
      }
      if (group.options.empty()) unsound(group.place, key, "expected at least one option");
      for (std::size_t o = 0; o < group.options.size(); ++o) option(group, o, key);
    }
  }

  void option(const Group& group, std::size_t o, const std::string& group_key) {
    const Option& option = group.options[o];
    const std::string key = fmt::format("{}.options[{}]", group_key, o);
    const SourcePlace& place = option.place.file.empty() ? group.place : option.place;
    if (!is_operand_width(option.weight_bits) || !is_operand_width(option.activation_bits)) {
      error(place, key,
            fmt::format("expected widths of {}..{}, got {}", kMinOperandWidth, kMaxOperandWidth,
                        shown(option.widths())));
    }
    if (!std::isfinite(option.loss)) {
      error(place, key, fmt::format("expected a finite loss, got {}", option.loss));
    }
    if (option.costs.size() != problem_.costs.size()) {
      unsound(place, key,
              fmt::format("expected {} costs, got {}", problem_.costs.size(), option.costs.size()));
      return;
    }
    for (std::size_t m = 0; m < option.costs.size(); ++m) {
      if (!std::isfinite(option.costs[m])) {
        error(place, key,
              fmt::format("expected a finite {}, got {}", problem_.costs[m], option.costs[m]));
      }
    }
    for (std::size_t other = 0; other < o; ++other) {
      if (group.options[other].widths() == option.widths()) {
        error(
            place, key,
            fmt::format("{} is given twice; first as options[{}]", shown(option.widths()), other));
        break;
      }
    }
  }

  void ties() {
    for (std::size_t t = 0; t < problem_.ties.size(); ++t) {
      const Tie& tie = problem_.ties[t];
      const std::string key = fmt::format("ties[{}]", t);
      if (tie.groups.size() < 2) error(tie.place, key, "expected at least two groups");
      std::unordered_set<std::size_t> seen;
      for (const std::size_t group : tie.groups) {
        if (group >= problem_.groups.size()) {
          unsound(tie.place, key, fmt::format("there is no group {}", group));
        } else if (!seen.insert(group).second) {
          error(tie.place, key,
                fmt::format("'{}' stands there twice", problem_.groups[group].name));
        }
      }
    }
  }

  void pins() {
    std::unordered_map<std::size_t, std::size_t> pinned;
    for (const Pin& pin : problem_.pins) {
      if (pin.group >= problem_.groups.size() ||
          pin.option >= problem_.groups[pin.group].options.size()) {
        unsound(pin.place, "pins",
                fmt::format("there is no option {} of group {}", pin.option, pin.group));
        continue;
      }
      const auto [other, is_new] = pinned.emplace(pin.group, pin.option);
      if (!is_new && other->second != pin.option) {
        const Group& group = problem_.groups[pin.group];
        error(pin.place, join_path("pins", group.name),
              fmt::format("pinned at {} and at {}", shown(group.options[other->second].widths()),
                          shown(group.options[pin.option].widths())));
        sound_ = false;
      }
    }
  }

  /// Pins of tied groups agree, and tied groups have widths in common.
  void common_widths() {
    for (const std::vector<std::size_t>& members : tied_groups(problem_)) {
      if (members.size() == 1 || !common_options(problem_, members).empty()) continue;
      const Tie& tie = *std::find_if(problem_.ties.begin(), problem_.ties.end(), [&](const Tie& t) {
        return std::find(t.groups.begin(), t.groups.end(), members.front()) != t.groups.end();
      });
      std::vector<std::string> names;
      for (const std::size_t member : members) names.push_back(problem_.groups[member].name);
      std::vector<const Pin*> pins;
      for (const Pin& pin : problem_.pins) {
        if (std::find(members.begin(), members.end(), pin.group) != members.end()) {
          pins.push_back(&pin);
        }
      }
      const std::string key =
          fmt::format("ties[{}]", static_cast<std::size_t>(&tie - problem_.ties.data()));
      if (pins.empty()) {
        error(tie.place, key,
              "there are no widths that all of " + quoted_list(names) + " have an option for");
      } else {
        error(pins.back()->place, join_path("pins", problem_.groups[pins.back()->group].name),
              fmt::format("not possible in the tie of {}: {}", quoted_list(names), why_not(pins)));
      }
    }
  }

  [[nodiscard]] std::string why_not(const std::vector<const Pin*>& pins) const {
    std::string text;
    for (const Pin* pin : pins) {
      const Group& group = problem_.groups[pin->group];
      text += fmt::format("{}'{}' is pinned at {}", text.empty() ? "" : ", ", group.name,
                          shown(group.options[pin->option].widths()));
    }
    return pins.size() > 1 ? text : text + ", which the others do not all have";
  }

  void budgets(bool resolved) {
    for (const Budget& budget : problem_.budgets) {
      if (budget.metric != kLoss && budget.metric >= problem_.costs.size()) {
        unsound(budget.place, "budgets", fmt::format("there is no cost {}", budget.metric));
        continue;
      }
      const std::string key = join_path("budgets", problem_.metric_name(budget.metric));
      if (resolved && !(budget.limit >= 0 && std::isfinite(budget.limit))) {
        error(
            budget.place, key,
            fmt::format("expected a limit that is finite and not negative, got {}", budget.limit));
      }
    }
  }

  void objective() {
    const ObjectiveWeights& objective = problem_.objective;
    const auto is_weight = [](double w) { return std::isfinite(w) && w >= 0; };
    if (!objective.costs.empty() && objective.costs.size() != problem_.costs.size()) {
      unsound(problem_.place, "minimize",
              fmt::format("expected {} weights of costs, got {}", problem_.costs.size(),
                          objective.costs.size()));
      return;
    }
    if (!is_weight(objective.loss) ||
        !std::all_of(objective.costs.begin(), objective.costs.end(), is_weight)) {
      error(problem_.place, "minimize", "expected weights that are finite and not negative");
    } else if (objective.loss == 0 && std::all_of(objective.costs.begin(), objective.costs.end(),
                                                  [](double w) { return w == 0; })) {
      error(problem_.place, "minimize", "all weights are 0");
    }
  }

  void tensors() {
    std::unordered_set<std::string> names;
    for (std::size_t t = 0; t < problem_.tensors.size(); ++t) {
      const StoredTensor& tensor = problem_.tensors[t];
      const std::string key = fmt::format("tensors[{}]", t);
      if (!names.insert(tensor.name).second) {
        error(problem_.place, key, "the name '" + tensor.name + "' stands there twice");
      }
      if (tensor.readers.empty() && tensor.floor == 0) {
        unsound(problem_.place, key, "neither a reader nor a floor says its width");
      }
      if (std::adjacent_find(tensor.widths.begin(), tensor.widths.end(), std::greater_equal<>()) !=
          tensor.widths.end()) {
        unsound(problem_.place, key, "expected widths that ascend");
      }
      const auto has = [&](BitWidth bits) {
        return std::binary_search(tensor.widths.begin(), tensor.widths.end(), bits);
      };
      if (tensor.readers.empty() && tensor.floor > 0 && !has(tensor.floor)) {
        unsound(problem_.place, key,
                fmt::format("can not be stored at {} bit, its floor", tensor.floor));
      }
      for (const std::size_t reader : tensor.readers) {
        if (reader >= problem_.groups.size()) {
          unsound(problem_.place, key, fmt::format("there is no group {}", reader));
          continue;
        }
        for (const Option& option : problem_.groups[reader].options) {
          const BitWidth bits = std::max(tensor.floor, option.activation_bits);
          if (has(bits)) continue;
          unsound(problem_.place, key,
                  fmt::format("can not be stored at {} bit, which '{}' asks for", bits,
                              problem_.groups[reader].name));
          break;
        }
      }
    }
  }

  void linked() {
    for (std::size_t l = 0; l < problem_.linked.size(); ++l) {
      const LinkedCost& link = problem_.linked[l];
      const std::string key = fmt::format("linked[{}]", l);
      if (link.tensors.size() > kMostLinkedTensors) {
        error(problem_.place, key, fmt::format("more than {} tensors", kMostLinkedTensors));
      }
      std::size_t size = problem_.costs.size();
      bool known = true;
      if (link.group) {
        known = *link.group < problem_.groups.size();
        if (known) size *= problem_.groups[*link.group].options.size();
      }
      for (const std::size_t tensor : link.tensors) {
        known = known && tensor < problem_.tensors.size();
        if (known) size *= problem_.tensors[tensor].widths.size();
      }
      if (!known) {
        error(problem_.place, key, "names a group or tensor that is not there");
      } else if (link.values.size() != size) {
        error(problem_.place, key,
              fmt::format("expected {} values, got {}", size, link.values.size()));
      } else if (!std::all_of(link.values.begin(), link.values.end(),
                              [](double v) { return std::isfinite(v); })) {
        error(problem_.place, key, "expected finite values");
      }
    }
  }

  const Problem& problem_;
  Diagnostics& problems_;
  bool sound_ = true;
};

}  // namespace

const std::string& Problem::metric_name(MetricId metric) const {
  return metric == kLoss ? kLossName : costs.at(metric);
}

void check(const Problem& problem, Diagnostics& problems, bool resolved) {
  Checker(problem, problems).run(resolved);
}

void check(const Problem& problem) {
  Diagnostics problems;
  check(problem, problems);
  problems.throw_if_any();
}

std::vector<std::vector<std::size_t>> tied_groups(const Problem& problem) {
  std::vector<std::size_t> parent(problem.groups.size());
  std::iota(parent.begin(), parent.end(), std::size_t{0});
  const auto root = [&](std::size_t g) {
    while (parent[g] != g) g = parent[g] = parent[parent[g]];
    return g;
  };
  for (const Tie& tie : problem.ties) {
    for (std::size_t i = 1; i < tie.groups.size(); ++i) {
      const std::size_t a = root(tie.groups[0]);
      const std::size_t b = root(tie.groups[i]);
      parent[std::max(a, b)] = std::min(a, b);
    }
  }
  std::vector<std::vector<std::size_t>> sets;
  std::vector<std::size_t> set_of(problem.groups.size());
  for (std::size_t g = 0; g < problem.groups.size(); ++g) {
    if (root(g) == g) {
      set_of[g] = sets.size();
      sets.emplace_back();
    }
    sets[set_of[root(g)]].push_back(g);
  }
  return sets;
}

std::vector<std::vector<std::size_t>> common_options(const Problem& problem,
                                                     std::span<const std::size_t> groups) {
  std::vector<std::vector<std::size_t>> pinned(groups.size());
  for (const Pin& pin : problem.pins) {
    const auto found = std::find(groups.begin(), groups.end(), pin.group);
    if (found != groups.end()) {
      pinned[static_cast<std::size_t>(found - groups.begin())].push_back(pin.option);
    }
  }
  std::vector<std::vector<std::size_t>> common;
  const std::vector<Option>& first = problem.groups[groups.front()].options;
  for (const Option& candidate : first) {
    std::vector<std::size_t> entry;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const std::vector<Option>& options = problem.groups[groups[i]].options;
      const auto found = std::find_if(options.begin(), options.end(), [&](const Option& option) {
        return option.widths() == candidate.widths();
      });
      const auto index = static_cast<std::size_t>(found - options.begin());
      const bool pinned_elsewhere =
          std::any_of(pinned[i].begin(), pinned[i].end(), [&](auto pin) { return pin != index; });
      if (found == options.end() || pinned_elsewhere) break;
      entry.push_back(index);
    }
    if (entry.size() == groups.size()) common.push_back(std::move(entry));
  }
  return common;
}

std::vector<std::size_t> stored_width_indices(const Problem& problem, const Choice& choice) {
  std::vector<std::size_t> indices;
  indices.reserve(problem.tensors.size());
  for (const StoredTensor& tensor : problem.tensors) {
    BitWidth bits = tensor.floor;
    for (const std::size_t reader : tensor.readers) {
      bits = std::max(bits, problem.groups[reader].options[choice[reader]].activation_bits);
    }
    const auto found = std::lower_bound(tensor.widths.begin(), tensor.widths.end(), bits);
    ensure(found != tensor.widths.end() && *found == bits, "a tensor has its stored width");
    indices.push_back(static_cast<std::size_t>(found - tensor.widths.begin()));
  }
  return indices;
}

Totals totals(const Problem& problem, const Choice& choice) {
  Totals totals;
  const std::size_t costs = problem.costs.size();
  totals.costs.assign(costs, 0);
  for (std::size_t g = 0; g < problem.groups.size(); ++g) {
    const Option& option = problem.groups[g].options[choice[g]];
    totals.loss += option.loss;
    for (std::size_t m = 0; m < costs; ++m) totals.costs[m] += option.costs[m];
  }
  if (!problem.is_linked()) return totals;
  const std::vector<std::size_t> stored = stored_width_indices(problem, choice);
  for (const LinkedCost& link : problem.linked) {
    std::size_t at = link.group ? choice[*link.group] : 0;
    for (const std::size_t tensor : link.tensors) {
      at = at * problem.tensors[tensor].widths.size() + stored[tensor];
    }
    for (std::size_t m = 0; m < costs; ++m) totals.costs[m] += link.values[at * costs + m];
  }
  return totals;
}

double objective_value(const Problem& problem, const Totals& totals) {
  double value = problem.objective.loss * totals.loss;
  for (std::size_t m = 0; m < problem.objective.costs.size(); ++m) {
    value += problem.objective.costs[m] * totals.costs[m];
  }
  return value;
}

double highest_allowed(double limit) { return limit + kLimitTolerance * std::abs(limit); }

bool fits(const Problem& problem, const Totals& totals) {
  return std::all_of(problem.budgets.begin(), problem.budgets.end(), [&](const Budget& budget) {
    return fits(totals.of(budget.metric), budget.limit);
  });
}

bool is_allowed(const Problem& problem, const Choice& choice) {
  if (choice.size() != problem.groups.size()) return false;
  for (std::size_t g = 0; g < choice.size(); ++g) {
    if (choice[g] >= problem.groups[g].options.size()) return false;
  }
  const auto widths = [&](std::size_t g) { return problem.groups[g].options[choice[g]].widths(); };
  return std::all_of(problem.pins.begin(), problem.pins.end(),
                     [&](const Pin& pin) { return choice[pin.group] == pin.option; }) &&
         std::all_of(problem.ties.begin(), problem.ties.end(), [&](const Tie& tie) {
           return std::all_of(tie.groups.begin(), tie.groups.end(), [&](std::size_t g) {
             return widths(g) == widths(tie.groups.front());
           });
         });
}

Totals verify(const Problem& problem, const Choice& choice, double claimed_objective) {
  ensure(is_allowed(problem, choice), "the answer keeps options, ties and pins");
  Totals result = totals(problem, choice);
  ensure(fits(problem, result), "the answer meets all budgets");
  double magnitude = 0;
  for (std::size_t g = 0; g < choice.size(); ++g) {
    const Option& option = problem.groups[g].options[choice[g]];
    magnitude += problem.objective.loss * std::abs(option.loss);
    for (std::size_t m = 0; m < problem.objective.costs.size(); ++m) {
      magnitude += problem.objective.costs[m] * std::abs(option.costs[m]);
    }
  }
  for (std::size_t m = 0; m < problem.objective.costs.size(); ++m) {
    magnitude += problem.objective.costs[m] * std::abs(result.costs[m]);
  }
  ensure(std::abs(objective_value(problem, result) - claimed_objective) <= 1e-9 * magnitude,
         "the answer has the objective that it claims");
  return result;
}

}  // namespace widthwise
