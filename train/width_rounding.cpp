#include "train/width_rounding.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <queue>
#include <utility>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kMostForTriples = 120;  // moves of which threes are looked at
constexpr std::size_t kShortList = 64;        // combinations that are predicted in full
constexpr double kFinestOffset = 1.0 / 2048;

double nearest(const std::vector<BitWidth>& permitted, double width) {
  double best = permitted.front();
  for (const BitWidth any : permitted) {
    const double candidate = any;
    if (std::abs(candidate - width) <= std::abs(best - width)) best = candidate;
  }
  return best;
}

/// The next permitted width above or below a permitted one.
std::optional<double> next(const std::vector<BitWidth>& permitted, double width, bool up) {
  if (up) {
    const auto above =
        std::find_if(permitted.begin(), permitted.end(), [&](BitWidth any) { return any > width; });
    return above == permitted.end() ? std::nullopt : std::optional<double>(*above);
  }
  std::optional<double> below;
  for (const BitWidth any : permitted) {
    if (any < width) below = any;
  }
  return below;
}

/// How good costs are. Less is better: by rank, then by distance.
struct Standing {
  enum Rank {
    hit,    // at most the targets, and within the tolerance below one
    above,  // one exceeded, within the tolerance
    below,  // all met by more than the tolerance
    over,   // one exceeded by more than the tolerance
  };
  Rank rank = over;
  double distance = std::numeric_limits<double>::infinity();

  Standing() = default;
  Standing(double ratio, double tolerance) : distance(std::abs(ratio - 1)) {
    if (ratio > 1) {
      rank = ratio <= 1 + tolerance ? above : over;
    } else {
      rank = ratio >= 1 - tolerance ? hit : below;
    }
  }
  auto operator<=>(const Standing&) const = default;
};

/// Widths of one part that go to the next permitted one.
struct Move {
  std::size_t part = 0;
  std::vector<std::pair<std::size_t, double>> widths;  // index and what it becomes
  double strays = 0;          // further from the widths learned, in bits; of channels the mean
  std::vector<double> costs;  // predicted differences, per target
};

struct Combination {
  Standing standing;
  double strays = 0;
  std::vector<std::size_t> moves;

  [[nodiscard]] bool operator<(const Combination& other) const {
    if (standing.rank != other.standing.rank) return standing.rank < other.standing.rank;
    if (standing.rank != Standing::hit && standing.distance != other.standing.distance) {
      return standing.distance < other.standing.distance;
    }
    if (strays != other.strays) return strays < other.strays;
    return moves < other.moves;
  }
};

class Rounder {
 public:
  explicit Rounder(const RoundingTask& task) : task_(task), gains_(task.targets.size(), 1.0) {}

  RoundedWidths run() {
    bisect();
    shifted_ = shifted(best_.offset);
    while (best_standing_.rank != Standing::hit &&
           best_.evaluations < first_evaluations_ + task_.refinements && refine()) {
    }
    return best_;
  }

 private:
  [[nodiscard]] double ratio(std::span<const double> costs) const {
    double most = -std::numeric_limits<double>::infinity();
    for (std::size_t t = 0; t < costs.size(); ++t) {
      most = std::max(most, costs[t] / task_.targets[t]);
    }
    return most;
  }
  [[nodiscard]] Standing standing(double ratio) const { return {ratio, task_.tolerance}; }

  /// The exact costs; the best widths are kept.
  const std::vector<double>& evaluate(const std::vector<double>& widths, double offset) {
    const auto [found, is_new] = known_.try_emplace(widths);
    if (!is_new) return found->second;
    found->second = task_.exact(widths);
    ensure(found->second.size() == task_.targets.size(), "a cost per target");
    ++best_.evaluations;
    const double most = ratio(found->second);
    const Standing now = standing(most);
    if (best_.widths.empty() || now < best_standing_) {
      best_standing_ = now;
      best_.widths = widths;
      best_.costs = found->second;
      best_.ratio = most;
      best_.offset = offset;
    }
    return found->second;
  }

  [[nodiscard]] std::vector<double> shifted(double offset) const {
    std::vector<double> widths = task_.widths;
    for (const RoundedPart& part : task_.parts) {
      if (part.permitted.size() < 2) continue;
      for (std::size_t i = part.begin; i < part.begin + part.count; ++i) widths[i] += offset;
    }
    return widths;
  }

  /// The greatest of cost / target at an offset.
  double at(double offset) {
    return ratio(evaluate(nearest_widths(task_.parts, shifted(offset)), offset));
  }

  void bisect() {
    double range = 1;
    for (const RoundedPart& part : task_.parts) {
      range = std::max<double>(range, part.permitted.back() - part.permitted.front() + 1);
    }
    const auto may_go_on = [&] {
      return best_standing_.rank != Standing::hit && best_.evaluations < task_.bisections;
    };
    double low = 0;  // met there, or as far down as there is sense in
    double high = 0;
    if (at(0) > 1) {
      for (low = -1; may_go_on() && at(low) > 1 && low > -range; low *= 2) high = low;
    } else {
      for (high = 1; may_go_on() && at(high) <= 1 && high < range; high *= 2) low = high;
    }
    while (may_go_on() && high - low > kFinestOffset) {
      const double middle = (low + high) / 2;
      (at(middle) > 1 ? high : low) = middle;
    }
    first_evaluations_ = best_.evaluations;
  }

  // ---- moves

  /// All moves from the best widths, with what they should do to the costs.
  std::vector<Move> moves(const std::vector<double>& predicted) const {
    std::vector<Move> all;
    for (std::size_t p = 0; p < task_.parts.size(); ++p) {
      if (task_.parts[p].permitted.size() < 2) continue;
      add_moves(p, true, all);
      add_moves(p, false, all);
    }
    std::vector<double> widths = best_.widths;
    for (Move& move : all) {
      for (const auto& [index, width] : move.widths) widths[index] = width;
      move.costs = task_.predicted(widths);
      for (std::size_t t = 0; t < predicted.size(); ++t) move.costs[t] -= predicted[t];
      for (const auto& [index, width] : move.widths) widths[index] = best_.widths[index];
    }
    return all;
  }

  /// Of 1, 2, 4 ... and all of the part's widths that can move, those that stray least.
  void add_moves(std::size_t p, bool up, std::vector<Move>& all) const {
    const RoundedPart& part = task_.parts[p];
    struct Step {
      double strays;
      std::size_t index;
      double to;
    };
    std::vector<Step> steps;
    for (std::size_t i = part.begin; i < part.begin + part.count; ++i) {
      const auto to = next(part.permitted, best_.widths[i], up);
      if (!to) continue;
      steps.push_back(
          {std::abs(*to - shifted_[i]) - std::abs(best_.widths[i] - shifted_[i]), i, *to});
    }
    std::stable_sort(steps.begin(), steps.end(),
                     [](const Step& a, const Step& b) { return a.strays < b.strays; });
    for (std::size_t count = 1; !steps.empty(); count *= 2) {
      count = std::min(count, steps.size());
      Move move{p, {}, 0, {}};
      for (std::size_t s = 0; s < count; ++s) {
        move.widths.emplace_back(steps[s].index, steps[s].to);
        move.strays += steps[s].strays / static_cast<double>(part.count);
      }
      if (leaves_a_channel(part, move)) all.push_back(std::move(move));
      if (count == steps.size()) return;
    }
  }

  [[nodiscard]] bool leaves_a_channel(const RoundedPart& part, const Move& move) const {
    std::size_t left = 0;
    for (std::size_t i = part.begin; i < part.begin + part.count; ++i) {
      if (best_.widths[i] > 0) ++left;
    }
    for (const auto& [index, width] : move.widths) {
      if (best_.widths[index] > 0 && width == 0) --left;
      if (best_.widths[index] == 0 && width > 0) ++left;
    }
    return left > 0;
  }

  [[nodiscard]] std::vector<double> moved(const std::vector<Move>& all,
                                          const std::vector<std::size_t>& chosen) const {
    std::vector<double> widths = best_.widths;
    for (const std::size_t m : chosen) {
      for (const auto& [index, width] : all[m].widths) widths[index] = width;
    }
    return widths;
  }

  /// What the costs should be, from the exact ones at the best widths and predicted differences.
  template <class Difference>
  double expected_ratio(Difference&& difference) const {
    double most = -std::numeric_limits<double>::infinity();
    for (std::size_t t = 0; t < task_.targets.size(); ++t) {
      most = std::max(most, (best_.costs[t] + scales_[t] * difference(t)) / task_.targets[t]);
    }
    return most;
  }

  /// The best combinations by the sums of their moves.
  std::vector<Combination> short_list(const std::vector<Move>& all) const {
    std::priority_queue<Combination> worst_first;
    const auto offer = [&](std::initializer_list<std::size_t> chosen) {
      double strays = 0;
      for (const std::size_t m : chosen) strays += all[m].strays;
      const double expected = expected_ratio([&](std::size_t t) {
        double sum = 0;
        for (const std::size_t m : chosen) sum += all[m].costs[t];
        return sum;
      });
      Combination candidate{standing(expected), strays, {}};
      if (worst_first.size() == kShortList) {
        if (!(candidate < worst_first.top())) return;
        worst_first.pop();
      }
      candidate.moves = chosen;
      worst_first.push(std::move(candidate));
    };
    const std::size_t count = all.size();
    for (std::size_t a = 0; a < count; ++a) {
      offer({a});
      for (std::size_t b = a + 1; b < count; ++b) {
        if (all[b].part == all[a].part) continue;
        offer({a, b});
        if (count > kMostForTriples) continue;
        for (std::size_t c = b + 1; c < count; ++c) {
          if (all[c].part != all[b].part && all[c].part != all[a].part) offer({a, b, c});
        }
      }
    }
    std::vector<Combination> listed;
    for (; !worst_first.empty(); worst_first.pop()) listed.push_back(worst_first.top());
    return listed;
  }

  /// One more exact evaluation; false: nothing is left that should be better than the best.
  bool refine() {
    const std::vector<double> predicted = task_.predicted(best_.widths);
    scales_ = gains_;
    for (std::size_t t = 0; t < predicted.size(); ++t) {
      if (predicted[t] > 0) scales_[t] *= best_.costs[t] / predicted[t];
    }
    const std::vector<Move> all = moves(predicted);
    std::optional<Combination> chosen;
    std::vector<double> differences;  // of the chosen one
    for (Combination& any : short_list(all)) {
      const std::vector<double> widths = moved(all, any.moves);
      if (known_.contains(widths)) continue;
      std::vector<double> costs = task_.predicted(widths);
      for (std::size_t t = 0; t < costs.size(); ++t) costs[t] -= predicted[t];
      any.standing = standing(expected_ratio([&](std::size_t t) { return costs[t]; }));
      if (chosen && !(any < *chosen)) continue;
      chosen = std::move(any);
      differences = std::move(costs);
    }
    if (!chosen || !(chosen->standing < best_standing_)) return false;
    const std::vector<double> before = best_.costs;
    const std::vector<double>& costs = evaluate(moved(all, chosen->moves), best_.offset);
    for (std::size_t t = 0; t < costs.size(); ++t) {
      learn_gain(t, scales_[t] * differences[t], costs[t] - before[t]);
    }
    return true;
  }

  /// Predicted differences may be off by a factor: channels of one width rarely fill an array.
  void learn_gain(std::size_t t, double expected, double seen) {
    constexpr double kNegligible = 1e-4;  // of the target
    constexpr double kMost = 8;
    if (std::abs(expected) < kNegligible * task_.targets[t]) return;
    const double factor = std::clamp(seen / expected, 1 / kMost, kMost);
    gains_[t] = std::clamp(gains_[t] * std::sqrt(factor), 1 / kMost, kMost);
  }

  const RoundingTask& task_;
  std::map<std::vector<double>, std::vector<double>> known_;  // exact costs
  RoundedWidths best_;
  Standing best_standing_;
  int first_evaluations_ = 0;
  std::vector<double> shifted_;  // the widths learned, by the offset
  std::vector<double> gains_;    // of predicted differences, per target
  std::vector<double> scales_;   // the same, with the ratio of exact to predicted costs
};

}  // namespace

std::vector<double> nearest_widths(std::span<const RoundedPart> parts,
                                   std::span<const double> widths) {
  std::vector<double> whole(widths.begin(), widths.end());
  for (const RoundedPart& part : parts) {
    bool any = false;
    std::size_t widest = part.begin;
    for (std::size_t i = part.begin; i < part.begin + part.count; ++i) {
      whole[i] = nearest(part.permitted, widths[i]);
      any = any || whole[i] > 0;
      if (widths[i] > widths[widest]) widest = i;
    }
    if (!any) whole[widest] = next(part.permitted, 0, true).value_or(0);
  }
  return whole;
}

RoundedWidths round_widths(const RoundingTask& task) {
  for (const RoundedPart& part : task.parts) {
    ensure(!part.permitted.empty() && part.begin + part.count <= task.widths.size(),
           "a part has widths");
  }
  ensure(!task.targets.empty(), "there is a target");
  return Rounder(task).run();
}

}  // namespace widthwise
