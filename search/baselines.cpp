#include "search/baselines.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "search/cutting_planes.hpp"
#include "search/relaxation.hpp"
#include "search/solver_limits.hpp"

namespace widthwise {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A problem as sets of tied groups, each with the options that all its groups have.
class Sets {
 public:
  explicit Sets(const Problem& problem) : problem_(problem), members_(tied_groups(problem)) {
    for (const std::vector<std::size_t>& members : members_) {
      entries_.push_back(common_options(problem, members));
      own_.emplace_back();
      for (const std::vector<std::size_t>& entry : entries_.back()) {
        Totals own;
        own.costs.assign(problem.costs.size(), 0);
        for (std::size_t i = 0; i < members.size(); ++i) {
          const Option& option = problem.groups[members[i]].options[entry[i]];
          own.loss += option.loss;
          for (std::size_t m = 0; m < own.costs.size(); ++m) own.costs[m] += option.costs[m];
        }
        own_.back().push_back(std::move(own));
      }
    }
    for (const Budget& budget : problem.budgets) {
      unit_.push_back(budget.limit > 0 ? budget.limit : range(budget.metric));
    }
  }

  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] std::size_t entries(std::size_t set) const { return entries_[set].size(); }
  [[nodiscard]] const Totals& own(std::size_t set, std::size_t entry) const {
    return own_[set][entry];
  }
  [[nodiscard]] LayerWidths widths(std::size_t set, std::size_t entry) const {
    return problem_.groups[members_[set][0]].options[entries_[set][entry][0]].widths();
  }
  [[nodiscard]] const Problem& problem() const { return problem_; }
  [[nodiscard]] double unit(std::size_t budget) const { return unit_[budget]; }

  [[nodiscard]] Choice choice(const std::vector<std::size_t>& state) const {
    Choice choice(problem_.groups.size());
    for (std::size_t s = 0; s < size(); ++s) {
      for (std::size_t i = 0; i < members_[s].size(); ++i) {
        choice[members_[s][i]] = entries_[s][state[s]][i];
      }
    }
    return choice;
  }

  [[nodiscard]] Totals totals_of(const std::vector<std::size_t>& state) const {
    return totals(problem_, choice(state));
  }

  /// Totals after one set has changed.
  [[nodiscard]] Totals after(std::vector<std::size_t>& state, const Totals& before, std::size_t set,
                             std::size_t entry) const {
    if (problem_.is_linked()) {
      const std::size_t old = std::exchange(state[set], entry);
      Totals sums = totals_of(state);
      state[set] = old;
      return sums;
    }
    Totals sums = before;
    const Totals& old = own(set, state[set]);
    const Totals& next = own(set, entry);
    sums.loss += next.loss - old.loss;
    for (std::size_t m = 0; m < sums.costs.size(); ++m)
      sums.costs[m] += next.costs[m] - old.costs[m];
    return sums;
  }

  [[nodiscard]] double excess(const Totals& sums) const {
    double sum = 0;
    for (std::size_t b = 0; b < unit_.size(); ++b) {
      const Budget& budget = problem_.budgets[b];
      sum += std::max(0.0, sums.of(budget.metric) - highest_allowed(budget.limit)) / unit_[b];
    }
    return sum;
  }

  /// The choice, if the budgets hold.
  [[nodiscard]] std::optional<Choice> accepted(const std::vector<std::size_t>& state) const {
    Choice result = choice(state);
    if (!fits(problem_, totals(problem_, result))) return std::nullopt;
    return result;
  }

  /// Per set the entry with the least of a value.
  template <class Value>
  [[nodiscard]] std::vector<std::size_t> least(Value value) const {
    std::vector<std::size_t> state;
    for (std::size_t s = 0; s < size(); ++s) {
      std::size_t best = 0;
      for (std::size_t e = 1; e < entries(s); ++e) {
        if (value(own(s, e)) < value(own(s, best))) best = e;
      }
      state.push_back(best);
    }
    return state;
  }

  [[nodiscard]] std::vector<std::size_t> least_loss() const {
    return least([](const Totals& own) { return own.loss; });
  }

 private:
  [[nodiscard]] double range(MetricId metric) const {
    double range = 0;
    for (const std::vector<Totals>& own : own_) {
      const auto [low, high] = std::minmax_element(
          own.begin(), own.end(),
          [&](const Totals& a, const Totals& b) { return a.of(metric) < b.of(metric); });
      range += high->of(metric) - low->of(metric);
    }
    return range > 0 ? range : 1;
  }

  const Problem& problem_;
  std::vector<std::vector<std::size_t>> members_;
  std::vector<std::vector<std::vector<std::size_t>>> entries_;  // per set, per entry: options
  std::vector<std::vector<Totals>> own_;
  std::vector<double> unit_;
};

std::optional<Choice> uniform(const Problem& problem, const BaselineOptions& /*options*/) {
  const Sets sets(problem);
  std::vector<bool> pinned(sets.size());
  std::set<std::pair<BitWidth, BitWidth>> candidates;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    pinned[s] = sets.entries(s) == 1;
    for (std::size_t e = 0; e < sets.entries(s); ++e) {
      const LayerWidths widths = sets.widths(s, e);
      candidates.emplace(widths.weight, widths.activation);
    }
  }
  std::optional<Choice> best;
  double least = kInfinity;
  for (const auto& [weight, activation] : candidates) {
    std::vector<std::size_t> state;
    for (std::size_t s = 0; s < sets.size(); ++s) {
      for (std::size_t e = 0; e < sets.entries(s); ++e) {
        if (pinned[s] || sets.widths(s, e) == LayerWidths{weight, activation}) {
          state.push_back(e);
          break;
        }
      }
      if (state.size() != s + 1) break;
    }
    if (state.size() != sets.size()) continue;
    const double value = objective_value(problem, sets.totals_of(state));
    auto choice = sets.accepted(state);
    if (choice && value < least) {
      least = value;
      best = std::move(choice);
    }
  }
  return best;
}

std::optional<Choice> greedy_ratio(const Problem& problem, const BaselineOptions& /*options*/) {
  const Sets sets(problem);
  std::vector<std::size_t> state =
      sets.least([&](const Totals& own) { return objective_value(problem, own); });
  while (true) {
    const Totals now = sets.totals_of(state);
    const double excess = sets.excess(now);
    if (!(excess > 0)) return sets.accepted(state);
    const double value = objective_value(problem, now);
    double best_ratio = kInfinity;
    std::pair<std::size_t, std::size_t> best;
    for (std::size_t s = 0; s < sets.size(); ++s) {
      for (std::size_t e = 0; e < sets.entries(s); ++e) {
        if (e == state[s]) continue;
        const Totals next = sets.after(state, now, s, e);
        const double gain = excess - sets.excess(next);
        if (gain <= 1e-12 * excess) continue;
        const double ratio = (objective_value(problem, next) - value) / gain;
        if (ratio < best_ratio) {
          best_ratio = ratio;
          best = {s, e};
        }
      }
    }
    if (best_ratio == kInfinity) return std::nullopt;
    state[best.first] = best.second;
  }
}

std::optional<Choice> pareto_list(const Problem& problem, const BaselineOptions& /*options*/) {
  const Sets sets(problem);
  struct Item {
    double loss;
    std::size_t set;
    std::size_t entry;
  };
  std::vector<Item> list;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    for (std::size_t e = 0; e < sets.entries(s); ++e) list.push_back({sets.own(s, e).loss, s, e});
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const Item& a, const Item& b) { return a.loss < b.loss; });
  const auto cost = [&](const Totals& sums) {
    double sum = 0;
    for (std::size_t b = 0; b < problem.budgets.size(); ++b) {
      const MetricId metric = problem.budgets[b].metric;
      if (metric != kLoss) sum += sums.of(metric) / sets.unit(b);
    }
    return sum;
  };
  std::vector<std::size_t> state = sets.least_loss();
  Totals now = sets.totals_of(state);
  for (const Item& item : list) {
    if (fits(problem, now)) break;
    Totals next = sets.after(state, now, item.set, item.entry);
    if (!(cost(next) < cost(now))) continue;
    state[item.set] = item.entry;
    now = std::move(next);
  }
  return sets.accepted(state);
}

std::optional<Choice> prefix_bisection(const Problem& problem, const BaselineOptions& /*options*/) {
  const Sets sets(problem);
  // Widths from high to low.
  const auto precision = [](LayerWidths widths) {
    return std::pair(widths.weight * widths.activation, widths.weight);
  };
  std::vector<LayerWidths> levels;
  std::vector<std::size_t> state;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    std::size_t highest = 0;
    for (std::size_t e = 0; e < sets.entries(s); ++e) {
      const LayerWidths widths = sets.widths(s, e);
      if (std::find(levels.begin(), levels.end(), widths) == levels.end()) levels.push_back(widths);
      if (precision(widths) > precision(sets.widths(s, highest))) highest = e;
    }
    state.push_back(highest);
  }
  std::sort(levels.begin(), levels.end(),
            [&](LayerWidths a, LayerWidths b) { return precision(a) > precision(b); });
  const auto meets = [&](const std::vector<std::size_t>& candidate, bool costs) {
    const Totals sums = sets.totals_of(candidate);
    return std::all_of(problem.budgets.begin(), problem.budgets.end(), [&](const Budget& budget) {
      return (budget.metric != kLoss) != costs || fits(sums.of(budget.metric), budget.limit);
    });
  };
  const bool any_cost = std::any_of(problem.budgets.begin(), problem.budgets.end(),
                                    [](const Budget& budget) { return budget.metric != kLoss; });
  if (any_cost && meets(state, true)) return sets.accepted(state);
  for (const LayerWidths level : levels) {
    struct Item {
      double increase;
      std::size_t set;
      std::size_t entry;
    };
    std::vector<Item> order;
    for (std::size_t s = 0; s < sets.size(); ++s) {
      for (std::size_t e = 0; e < sets.entries(s); ++e) {
        if (sets.widths(s, e) != level || !(precision(level) < precision(sets.widths(s, state[s]))))
          continue;
        order.push_back({sets.own(s, e).loss - sets.own(s, state[s]).loss, s, e});
      }
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const Item& a, const Item& b) { return a.increase < b.increase; });
    const auto lowered = [&](std::size_t count) {
      std::vector<std::size_t> next = state;
      for (std::size_t i = 0; i < count; ++i) next[order[i].set] = order[i].entry;
      return next;
    };
    // The longest prefix that does not meet the costs yet, or that is still within the loss.
    std::size_t low = 0;
    std::size_t high = order.size() + 1;
    while (low + 1 < high) {
      const std::size_t middle = (low + high) / 2;
      const bool longer = any_cost ? !meets(lowered(middle), true) : meets(lowered(middle), false);
      (longer ? low : high) = middle;
    }
    if (any_cost && low < order.size()) return sets.accepted(lowered(low + 1));
    state = lowered(any_cost ? order.size() : low);
  }
  return sets.accepted(state);
}

std::optional<Choice> metropolis(const Problem& problem, const BaselineOptions& options) {
  const Sets sets(problem);
  const auto is_listed = [&](BitWidth bits) {
    return std::find(options.widths.begin(), options.widths.end(), bits) != options.widths.end();
  };
  std::vector<std::vector<std::size_t>> open(sets.size());
  std::vector<std::size_t> state;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    for (std::size_t e = 0; e < sets.entries(s); ++e) {
      const LayerWidths widths = sets.widths(s, e);
      if (is_listed(widths.weight) && is_listed(widths.activation)) open[s].push_back(e);
    }
    if (open[s].empty()) {
      open[s].resize(sets.entries(s));
      std::iota(open[s].begin(), open[s].end(), std::size_t{0});
    }
    state.push_back(*std::min_element(open[s].begin(), open[s].end(), [&](auto a, auto b) {
      return sets.own(s, a).loss < sets.own(s, b).loss;
    }));
  }
  Totals now = sets.totals_of(state);
  double range = 0;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    double low = kInfinity;
    double high = -kInfinity;
    for (const std::size_t e : open[s]) {
      low = std::min(low, objective_value(problem, sets.own(s, e)));
      high = std::max(high, objective_value(problem, sets.own(s, e)));
    }
    range += high - low;
  }
  const double scale = range > 0 ? range : 1;
  const auto energy = [&](const Totals& sums) {
    return objective_value(problem, sums) / scale + 10 * sets.excess(sums);
  };
  std::optional<Choice> best;
  double least = kInfinity;
  const auto look = [&] {
    const double value = objective_value(problem, now);
    if (value >= least || sets.excess(now) > 0) return;
    if (auto choice = sets.accepted(state)) {
      best = std::move(choice);
      least = value;
    }
  };
  look();
  // Not std::uniform_..._distribution, whose numbers are the library's affair.
  std::mt19937 random(options.seed);
  const auto pick = [&](std::size_t count) { return static_cast<std::size_t>(random()) % count; };
  double level = energy(now);
  for (std::size_t step = 0; step < options.steps; ++step) {
    const std::size_t s = pick(sets.size());
    const std::size_t e = open[s][pick(open[s].size())];
    const double chance = static_cast<double>(random()) * 0x1p-32;
    if (e == state[s]) continue;
    Totals next = sets.after(state, now, s, e);
    const double next_level = energy(next);
    if (!(chance < std::exp((level - next_level) / options.temperature))) continue;
    state[s] = e;
    now = std::move(next);
    level = next_level;
    look();
  }
  return best;
}

std::optional<Choice> budget_rounds(const Problem& problem, const BaselineOptions& /*options*/) {
  const Sets sets(problem);
  std::vector<std::size_t> state = sets.least_loss();
  /// The entry with the next lower width of one operand and the same of the other.
  const auto lower = [&](std::size_t s, bool weight) {
    const LayerWidths now = sets.widths(s, state[s]);
    std::size_t best = state[s];
    BitWidth bits = 0;
    for (std::size_t e = 0; e < sets.entries(s); ++e) {
      const LayerWidths widths = sets.widths(s, e);
      const BitWidth own = weight ? widths.weight : widths.activation;
      const bool same = weight ? widths.activation == now.activation : widths.weight == now.weight;
      if (same && own < (weight ? now.weight : now.activation) && own > bits) {
        bits = own;
        best = e;
      }
    }
    return best;
  };
  /// Kernels of equal widths only: both at once.
  const auto lower_both = [&](std::size_t s) {
    const LayerWidths now = sets.widths(s, state[s]);
    std::size_t best = state[s];
    int bits = 0;
    for (std::size_t e = 0; e < sets.entries(s); ++e) {
      const LayerWidths widths = sets.widths(s, e);
      const int sum = widths.weight + widths.activation;
      if (widths.weight < now.weight && widths.activation < now.activation && sum > bits) {
        bits = sum;
        best = e;
      }
    }
    return best;
  };
  while (true) {
    bool lowered = false;
    for (std::size_t s = sets.size(); s-- > 0;) {
      const std::size_t before = state[s];
      for (const bool weight : {true, false}) {
        if (auto choice = sets.accepted(state)) return choice;
        state[s] = lower(s, weight);
      }
      if (state[s] == before) state[s] = lower_both(s);
      lowered = lowered || state[s] != before;
    }
    if (!lowered) return sets.accepted(state);
  }
}

/// Per reduced option its share in the linear relaxation; empty where the costs are linked too
/// closely, or nothing meets the budgets.
std::vector<double> shares(const search::ReducedProblem& reduced, bool linked) {
  const auto relaxation = linked ? search::linked_relaxation(reduced, search::kMostTableEntries)
                                 : search::separable_relaxation(reduced);
  if (relaxation == nullptr) return {};
  constexpr double kPenalty = 1e6;
  constexpr int kMostPoints = 500;
  const std::size_t budgets = reduced.limits.size();
  search::CuttingPlanes master(std::vector<double>(budgets, 1.0), kPenalty);
  std::vector<search::Point> points;
  std::vector<double> weights(budgets + 1, 0);
  weights[0] = 1;
  double best = -kInfinity;
  for (int count = 0; count < kMostPoints; ++count) {
    search::Point point;
    relaxation->minimize(weights, point);
    double value = point.rows[0];
    std::vector<double> violation;
    for (std::size_t k = 0; k < budgets; ++k) {
      violation.push_back(point.rows[k + 1] - reduced.limits[k]);
      value += weights[k + 1] * violation.back();
    }
    best = std::max(best, value);
    master.add(point.rows[0], violation);
    points.push_back(std::move(point));
    master.solve();
    if (master.value() - best <= 1e-10) break;
    std::copy(master.multipliers().begin(), master.multipliers().end(), weights.begin() + 1);
  }
  if (master.slack_used() > 1e-9) return {};
  const std::vector<double> mixture = master.mixture();
  std::vector<double> share(reduced.origin.size(), 0);
  for (std::size_t s = 0; s < points.size(); ++s) {
    for (const std::uint32_t id : relaxation->all_options(points[s].options)) {
      share[id] += mixture[s];
    }
  }
  return share;
}

std::optional<Choice> rounded_relaxation(const Problem& problem,
                                         const BaselineOptions& /*options*/) {
  const Sets sets(problem);
  search::Rows rows{problem.objective, {}};
  for (std::size_t b = 0; b < problem.budgets.size(); ++b) rows.budgets.push_back(b);
  const search::ReducedProblem reduced = search::reduce(problem, rows);
  const std::vector<double> share = shares(reduced, problem.is_linked());
  if (share.empty()) return std::nullopt;
  constexpr double kSome = 1e-9;
  std::vector<std::uint32_t> ids;
  for (std::size_t g = 0; g < reduced.groups(); ++g) {
    const auto begin = share.begin() + reduced.first[g];
    const auto end = share.begin() + reduced.first[g + 1];
    ids.push_back(static_cast<std::uint32_t>(std::max_element(begin, end) - share.begin()));
  }
  const auto choice_of = [&] { return reduced.original(ids, problem.groups.size()); };
  while (true) {
    const Choice choice = choice_of();
    const double excess = sets.excess(totals(problem, choice));
    if (!(excess > 0)) {
      return fits(problem, totals(problem, choice)) ? std::optional(choice) : std::nullopt;
    }
    double least = excess * (1 - 1e-12);
    std::pair<std::size_t, std::uint32_t> best{reduced.groups(), 0};
    for (std::size_t g = 0; g < reduced.groups(); ++g) {
      const std::uint32_t before = ids[g];
      for (std::uint32_t id = reduced.first[g]; id < reduced.first[g + 1]; ++id) {
        if (id == before || share[id] <= kSome) continue;
        ids[g] = id;
        const double next = sets.excess(totals(problem, choice_of()));
        if (next < least) {
          least = next;
          best = {g, id};
        }
      }
      ids[g] = before;
    }
    if (best.first == reduced.groups()) return std::nullopt;
    ids[best.first] = best.second;
  }
}

constexpr std::array<std::pair<std::string_view, Baseline>, 7> kBaselines{{
    {"uniform", uniform},
    {"greedy_ratio", greedy_ratio},
    {"pareto_list", pareto_list},
    {"prefix_bisection", prefix_bisection},
    {"metropolis", metropolis},
    {"budget_rounds", budget_rounds},
    {"rounded_relaxation", rounded_relaxation},
}};

}  // namespace

std::span<const std::pair<std::string_view, Baseline>> baselines() { return kBaselines; }

}  // namespace widthwise
