#include "search/branch_and_bound.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "search/cutting_planes.hpp"
#include "search/polish.hpp"

namespace widthwise::search {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-10;  // of the range of the objective
constexpr double kPenalty = 100;     // of a unit of excess, at first
constexpr double kMostPenalty = 1e9;
constexpr int kMostPoints = 400;  // per node
constexpr double kActive = 1e-9;  // share of a point in a mixture
constexpr std::size_t kMostOpenBytes = std::size_t{512} << 20U;

struct Node {
  std::unique_ptr<Relaxation> relaxation;
  std::vector<Point> points;        // of the relaxation, to start from
  std::vector<double> multipliers;  // to start from
  double bound = -kInfinity;

  [[nodiscard]] std::size_t bytes() const {
    const std::size_t rows = relaxation->problem().rows();
    std::size_t bytes = 1024 + relaxation->options() * (8 * rows + 16);
    for (const Point& point : points) bytes += 8 * rows + 4 * point.options.size() + 96;
    return relaxation->is_separable() ? bytes : bytes + 64 * bytes;
  }
};

/// A group, and which of its options go to the one side. The children are: the group has an option
/// of the left; and neither it has one nor has any of its peers, groups of the same kind with the
/// same options open, which could change places with it.
struct Branch {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  std::vector<char> left;
  std::vector<std::uint32_t> peers;  // their first options
};

class Search {
 public:
  Search(const Problem& problem, const ReducedProblem& reduced, const SearchOptions& options)
      : problem_(problem), reduced_(reduced), options_(options) {
    rounding_ = kRounding;
    if (!is_excess()) {
      rounding_ += 1e-14 * std::abs(reduced.shift[0]) / reduced.scale[0];
      unit_.assign(reduced.limits.size(), 1);
    } else {
      unit_ = reduced.excess_unit;
    }
  }

  SearchResult run(std::unique_ptr<Relaxation> relaxation) {
    for (const Choice& start : options_.starts) consider(start);
    Node root;
    root.relaxation = std::move(relaxation);
    root.multipliers = start_multipliers();
    if (!finished()) search(std::move(root));
    return result();
  }

 private:
  [[nodiscard]] bool is_excess() const { return options_.aim == Aim::excess; }

  // ---- answers

  /// In units of row 0, or as a share of limits.
  [[nodiscard]] double measure(const Totals& totals) const {
    if (!is_excess()) {
      return (objective_value(problem_, totals) - reduced_.shift[0]) / reduced_.scale[0];
    }
    double worst = -kInfinity;
    for (std::size_t k = 0; k < reduced_.budgets.size(); ++k) {
      const Budget& budget = problem_.budgets[reduced_.budgets[k]];
      const double over = totals.of(budget.metric) - highest_allowed(budget.limit);
      worst = std::max(worst, over / (reduced_.scale[k + 1] * reduced_.excess_unit[k]));
    }
    return worst;
  }

  void consider(const Choice& choice) {
    if (!is_allowed(problem_, choice)) return;
    const Totals sums = totals(problem_, choice);
    if (!is_excess() && !fits(problem_, sums)) return;
    const double value = measure(sums);
    if (best_choice_ && value >= best_) return;
    best_ = value;
    best_choice_ = choice;
  }

  void consider(const Relaxation& relaxation, const std::vector<double>& rows,
                const std::vector<std::uint32_t>& options) {
    double value = is_excess() ? -kInfinity : rows[0];
    for (std::size_t k = 0; k < reduced_.limits.size(); ++k) {
      const double over = rows[k + 1] - reduced_.limits[k];
      if (!is_excess() && over > 0) return;
      if (is_excess()) value = std::max(value, over / reduced_.excess_unit[k]);
    }
    if (value >= best_ - rounding_) return;
    consider(reduced_.original(relaxation.all_options(options), problem_.groups.size()));
  }

  /// Nodes with at least this bound need not be looked at.
  [[nodiscard]] double cutoff() const {
    if (best_ == kInfinity) return kInfinity;
    // That some excess is left has to be proven in any case.
    if (is_excess()) return best_ - std::min(std::max(rounding_, options_.gap), best_ / 2);
    const double value = std::abs(best_ * reduced_.scale[0] + reduced_.shift[0]);
    return best_ - std::max(rounding_, options_.gap * value / reduced_.scale[0]);
  }

  [[nodiscard]] bool finished() const { return is_excess() && best_choice_ && best_ <= 0; }

  [[nodiscard]] bool out_of_time() {
    out_of_time_ = out_of_time_ || Clock::now() >= options_.deadline;
    return out_of_time_;
  }

  void pruned_at(double bound) { least_pruned_ = std::min(least_pruned_, bound); }

  // ---- bounds

  [[nodiscard]] std::vector<double> start_multipliers() const {
    std::vector<double> multipliers(reduced_.limits.size(), 0);
    for (std::size_t k = 0; k < options_.multipliers.size(); ++k) {
      multipliers[k] = options_.multipliers[k] * reduced_.scale[k + 1] / reduced_.scale[0];
    }
    if (is_excess()) {
      for (std::size_t k = 0; k < multipliers.size(); ++k) {
        multipliers[k] = 1 / (unit_[k] * static_cast<double>(multipliers.size()));
      }
    }
    return multipliers;
  }

  /// The best bound that multipliers give, or one that is enough; sets the node's bound,
  /// multipliers and points, and the mixture of these. False if the node is pruned.
  bool bound(Node& node, bool is_root) {
    const std::size_t budgets = reduced_.limits.size();
    double penalty = is_excess() ? 1 : kPenalty;
    CuttingPlanes master(unit_, penalty);
    std::vector<double> violation(budgets);
    const auto add = [&](const Point& point) {
      for (std::size_t k = 0; k < budgets; ++k) {
        violation[k] = point.rows[k + 1] - reduced_.limits[k];
      }
      master.add(is_excess() ? 0 : point.rows[0], violation);
    };
    for (const Point& point : node.points) add(point);
    std::vector<double> weights(budgets + 1);
    weights[0] = is_excess() ? 0 : 1;
    std::vector<double> query = node.multipliers;
    Point point;
    double best = -kInfinity;
    for (int count = 0; count < kMostPoints; ++count) {
      std::copy(query.begin(), query.end(), weights.begin() + 1);
      node.relaxation->minimize(weights, point);
      double value = weights[0] * point.rows[0];
      for (std::size_t k = 0; k < budgets; ++k) {
        value += query[k] * (point.rows[k + 1] - reduced_.limits[k]);
      }
      consider(*node.relaxation, point.rows, point.options);
      if (finished()) return false;
      if (value > best) {
        best = value;
        node.multipliers = query;
        node.bound = std::max(node.bound, best);
      }
      // At the root the multipliers themselves are wanted: the shadow prices.
      if (node.bound >= cutoff() && (!is_root || !multipliers_.empty())) {
        pruned_at(node.bound);
        return false;
      }
      add(point);
      node.points.push_back(point);
      master.solve();
      const auto is_closed = [&] {
        const double open = master.value() - best;
        return open <= 1e-11 || (!is_root && open <= 0.1 * (cutoff() - best));
      };
      if (is_closed()) {
        if (is_excess() || master.slack_used() <= 1e-12 || penalty >= kMostPenalty) break;
        penalty *= 10;  // a mixture that meets the budgets may only be dear
        master.raise_penalty(penalty);
        master.solve();
        if (is_closed()) break;
      }
      if (!node.relaxation->is_separable() && out_of_time()) break;
      query = master.multipliers();
    }
    mixture_ = master.mixture();
    if (is_root && multipliers_.empty()) {
      multipliers_ = node.multipliers;
      root_bound_ = best;
    }
    if (node.bound < cutoff()) return true;
    pruned_at(node.bound);
    return false;
  }

  /// Marks the options that can be part of something better; false if a group has none.
  bool promising(Node& node, std::vector<char>& keep) {
    std::vector<double> weights(reduced_.rows());
    weights[0] = is_excess() ? 0 : 1;
    std::copy(node.multipliers.begin(), node.multipliers.end(), weights.begin() + 1);
    Relaxation& relaxation = *node.relaxation;
    relaxation.marginals(weights, rise_);
    double at = weights[0];
    relaxation.minimize(weights, scratch_);
    at *= scratch_.rows[0];
    for (std::size_t k = 0; k + 1 < weights.size(); ++k) {
      at += weights[k + 1] * (scratch_.rows[k + 1] - reduced_.limits[k]);
    }
    const double most = cutoff() - at;
    keep.assign(relaxation.options(), 1);
    gone_ = 0;
    for (std::size_t g = 0; g < relaxation.groups(); ++g) {
      bool any = false;
      for (std::uint32_t o = relaxation.first()[g]; o < relaxation.first()[g + 1]; ++o) {
        if (rise_[o] >= most) {
          keep[o] = 0;
          ++gone_;
          if (rise_[o] < kInfinity) pruned_at(at + rise_[o]);
        } else {
          any = true;
        }
      }
      if (!any) return false;
    }
    return true;
  }

  static Node restricted(const Node& node, const std::vector<char>& keep) {
    Node child;
    std::vector<std::uint32_t> renamed;
    child.relaxation = node.relaxation->restricted(keep, renamed);
    child.multipliers = node.multipliers;
    child.bound = node.bound;
    for (const Point& point : node.points) {
      Point translated;
      if (!translate(point.options, renamed, translated.options)) continue;
      translated.rows = point.rows;
      child.points.push_back(std::move(translated));
    }
    return child;
  }

  // ---- branching

  static bool is_single(const Relaxation& relaxation) {
    return relaxation.options() == relaxation.groups();
  }

  /// Where the mixture's points differ most, in what the budgets are charged for it. If nowhere,
  /// the group with the most options.
  Branch branch(const Node& node, const std::vector<char>& keep) const {
    const Relaxation& relaxation = *node.relaxation;
    Branch branch;
    if (!relaxation.is_separable() && branch_linked(node, branch)) return branch;
    std::size_t group = 0;
    std::size_t row = 0;
    double most = 0;
    double middle = 0;
    for (std::size_t g = 0; g < relaxation.groups(); ++g) {
      const std::uint32_t chosen = node.points.front().options[g];
      const bool differ = std::any_of(node.points.begin(), node.points.end(),
                                      [&](const Point& p) { return p.options[g] != chosen; });
      if (!differ) continue;
      for (std::size_t r = 1; r < reduced_.rows(); ++r) {
        const double multiplier = node.multipliers[r - 1];
        if (multiplier == 0) continue;
        double mean = 0;
        double low = kInfinity;
        double high = -kInfinity;
        for (std::size_t s = 0; s < node.points.size(); ++s) {
          const double value = relaxation.value(r, node.points[s].options[g]);
          mean += mixture_[s] * value;
          low = std::min(low, value);
          high = std::max(high, value);
        }
        if (!(mean >= low && mean < high)) mean = low;  // rounding; both sides have an option
        double spread = 0;
        for (std::size_t s = 0; s < node.points.size(); ++s) {
          spread += mixture_[s] * std::abs(relaxation.value(r, node.points[s].options[g]) - mean);
        }
        if (low == high) continue;
        if (multiplier * spread > most) {
          most = multiplier * spread;
          group = g;
          row = r;
          middle = mean;
        }
      }
    }
    if (most > 1e-13) {
      set_group(relaxation, group, branch);
      for (std::uint32_t o = branch.begin; o < branch.end; ++o) {
        branch.left.push_back(relaxation.value(row, o) <= middle ? 1 : 0);
      }
      return branch;
    }
    return single_out(node, keep);
  }

  /// One option of the group with the most on the one side, all others on the other.
  static Branch single_out(const Node& node, const std::vector<char>& keep) {
    const Relaxation& relaxation = *node.relaxation;
    std::size_t group = 0;
    std::size_t open = 0;
    for (std::size_t g = 0; g < relaxation.groups(); ++g) {
      const auto count = static_cast<std::size_t>(std::count(
          keep.begin() + relaxation.first()[g], keep.begin() + relaxation.first()[g + 1], char{1}));
      if (count > open) {
        open = count;
        group = g;
      }
    }
    Branch branch;
    set_group(relaxation, group, branch);
    const std::uint32_t chosen = node.points.front().options[group];
    const std::uint32_t alone =
        keep[chosen]
            ? chosen
            : static_cast<std::uint32_t>(
                  std::find(keep.begin() + branch.begin, keep.end(), char{1}) - keep.begin());
    for (std::uint32_t o = branch.begin; o < branch.end; ++o) {
      branch.left.push_back(o == alone ? 1 : 0);
    }
    return branch;
  }

  /// Whether each child has fewer options than the node has.
  [[nodiscard]] bool divides(const Branch& branch, const std::vector<char>& keep) const {
    if (gone_ > 0) return true;
    std::array<bool, 2> any{};
    for (std::uint32_t o = branch.begin; o < branch.end; ++o) {
      if (keep[o] != 0) any[branch.left[o - branch.begin] != 0 ? 1 : 0] = true;
    }
    return any[0] && any[1];
  }

  /// With links, where taking over one group's option from another point of the mixture changes
  /// most, stored widths included: at the activation width if that differs. False if nowhere.
  bool branch_linked(const Node& node, Branch& branch) const {
    const Relaxation& relaxation = *node.relaxation;
    const auto heaviest = static_cast<std::size_t>(
        std::max_element(mixture_.begin(), mixture_.end()) - mixture_.begin());
    const Point& base = node.points[heaviest];
    std::vector<std::uint32_t> options = base.options;
    const auto activation = [&](std::uint32_t o) { return reduced_.activation[relaxation.id(o)]; };
    double most = 1e-13;
    std::size_t group = relaxation.groups();
    std::uint32_t other = 0;
    for (std::size_t s = 0; s < node.points.size(); ++s) {
      for (std::size_t g = 0; g < relaxation.groups(); ++g) {
        const std::uint32_t option = node.points[s].options[g];
        if (option == base.options[g]) continue;
        options[g] = option;
        const std::vector<double> rows = relaxation.rows_of(options);
        options[g] = base.options[g];
        for (std::size_t r = 1; r < rows.size(); ++r) {
          const double change =
              mixture_[s] * node.multipliers[r - 1] * std::abs(rows[r] - base.rows[r]);
          if (change <= most) continue;
          most = change;
          group = g;
          other = option;
        }
      }
    }
    if (group == relaxation.groups()) return false;
    const BitWidth low = std::min(activation(other), activation(base.options[group]));
    if (activation(other) == activation(base.options[group])) return false;
    set_group(relaxation, group, branch);
    for (std::uint32_t o = branch.begin; o < branch.end; ++o) {
      branch.left.push_back(activation(o) <= low ? 1 : 0);
    }
    return true;
  }

  static void set_group(const Relaxation& relaxation, std::size_t group, Branch& branch) {
    branch.begin = relaxation.first()[group];
    branch.end = relaxation.first()[group + 1];
  }

  void find_peers(const Relaxation& relaxation, const std::vector<char>& keep,
                  Branch& branch) const {
    const std::uint32_t count = branch.end - branch.begin;
    const std::uint32_t own = reduced_.group_of[relaxation.id(branch.begin)];
    for (std::size_t g = 0; g < relaxation.groups(); ++g) {
      const std::uint32_t begin = relaxation.first()[g];
      const std::uint32_t other = reduced_.group_of[relaxation.id(begin)];
      if (other == own || reduced_.kind[other] != reduced_.kind[own]) continue;
      bool alike = relaxation.first()[g + 1] - begin == count;
      for (std::uint32_t o = 0; o < count && alike; ++o) {
        alike = keep[begin + o] == keep[branch.begin + o] &&
                relaxation.id(begin + o) - reduced_.first[other] ==
                    relaxation.id(branch.begin + o) - reduced_.first[own];
      }
      if (alike) branch.peers.push_back(begin);
    }
  }

  /// Points of the mixture only, with their shares.
  void drop_idle_points(Node& node) {
    std::vector<Point> active;
    std::vector<double> shares;
    for (std::size_t s = 0; s < node.points.size(); ++s) {
      if (mixture_[s] <= kActive) continue;
      active.push_back(std::move(node.points[s]));
      shares.push_back(mixture_[s]);
    }
    node.points = std::move(active);
    mixture_ = std::move(shares);
  }

  void improve(const Node& node) {
    if (is_excess() && !node.relaxation->is_separable()) return;
    for (const Point& point : node.points) {
      std::vector<std::uint32_t> options = point.options;
      if (!polish(*node.relaxation, rise_, options)) continue;
      consider(*node.relaxation, node.relaxation->rows_of(options), options);
      if (out_of_time()) return;
    }
  }

  /// The children of a node that is not pruned, better one last.
  std::vector<Node> expand(Node node, bool is_root) {
    std::vector<Node> children;
    std::vector<char> keep;
    while (true) {
      if (is_single(*node.relaxation)) {
        bound(node, false);  // looks at the only choice
        return children;
      }
      if (!bound(node, is_root)) return children;
      drop_idle_points(node);
      bool possible = promising(node, keep);
      const bool now_and_then = nodes_ >= 64 && std::has_single_bit(nodes_);
      if ((is_root || now_and_then) && possible) {
        improve(node);
        if (finished()) return children;
        if (node.bound >= cutoff()) {
          pruned_at(node.bound);
          return children;
        }
        possible = promising(node, keep);
      }
      if (!possible || out_of_time()) {
        if (possible) children.push_back(std::move(node));
        return children;
      }
      // With much gone the bound rises by itself.
      if (gone_ * 4 < node.relaxation->options()) break;
      node = restricted(node, keep);
    }
    Branch split = branch(node, keep);
    if (!divides(split, keep)) split = single_out(node, keep);
    find_peers(*node.relaxation, keep, split);
    for (const char side : {char{0}, char{1}}) {
      std::vector<char> kept = keep;
      bool any = false;
      for (std::uint32_t o = split.begin; o < split.end; ++o) {
        if (split.left[o - split.begin] != side) kept[o] = 0;
        any = any || kept[o] != 0;
        if (side == 1 || kept[o] != 0) continue;
        for (const std::uint32_t peer : split.peers) kept[peer + o - split.begin] = 0;
      }
      if (any) children.push_back(restricted(node, kept));
    }
    return children;
  }

  void search(Node root) {
    std::vector<Node> path;  // to be looked at next, the last first
    path.push_back(std::move(root));
    bool is_root = true;
    while (!finished()) {
      if (path.empty()) {
        if (open_.empty()) break;
        path.push_back(std::move(open_.begin()->second));
        open_.erase(open_.begin());
        open_bytes_ -= path.back().bytes();
      }
      Node node = std::move(path.back());
      path.pop_back();
      if (node.bound >= cutoff()) {
        pruned_at(node.bound);
        continue;
      }
      if (out_of_time()) {
        pruned_at(node.bound);
        for (const Node& other : path) pruned_at(other.bound);
        for (const auto& [bound, other] : open_) pruned_at(bound);
        return;
      }
      ++nodes_;
      std::vector<Node> children = expand(std::move(node), is_root);
      is_root = false;
      if (children.empty()) continue;
      Node next = std::move(children.back());
      children.pop_back();
      for (Node& child : children) {
        // Best first, until that would take too much memory: then depth first.
        if (open_bytes_ < kMostOpenBytes) {
          open_bytes_ += child.bytes();
          open_.emplace(child.bound, std::move(child));
        } else {
          path.push_back(std::move(child));
        }
      }
      path.push_back(std::move(next));
    }
  }

  [[nodiscard]] SearchResult result() const {
    SearchResult result;
    result.nodes = nodes_;
    result.choice = best_choice_;
    const double scale = is_excess() ? 1 : reduced_.scale[0];
    const double shift = is_excess() ? 0 : reduced_.shift[0];
    double bound = std::min(best_, least_pruned_);
    if (best_ - bound <= rounding_) bound = best_;
    result.value = is_excess() || !best_choice_
                       ? best_
                       : objective_value(problem_, totals(problem_, *best_choice_));
    result.bound = bound == best_ ? result.value : shift + scale * bound;
    result.root_bound = shift + scale * root_bound_;
    result.complete = bound >= cutoff() || bound == best_;
    for (std::size_t k = 0; k < multipliers_.size(); ++k) {
      result.multipliers.push_back(multipliers_[k] * scale / reduced_.scale[k + 1]);
    }
    return result;
  }

  const Problem& problem_;
  const ReducedProblem& reduced_;
  const SearchOptions& options_;
  std::vector<double> unit_;
  double rounding_ = 0;
  double best_ = kInfinity;
  std::optional<Choice> best_choice_;
  double least_pruned_ = kInfinity;
  bool out_of_time_ = false;
  std::multimap<double, Node> open_;
  std::size_t open_bytes_ = 0;
  std::vector<double> multipliers_;
  double root_bound_ = -kInfinity;
  std::size_t nodes_ = 0;
  // of the node at hand
  std::vector<double> mixture_;
  std::vector<double> rise_;
  Point scratch_;
  std::size_t gone_ = 0;
};

}  // namespace

SearchResult branch_and_bound(const Problem& problem, const ReducedProblem& reduced,
                              std::unique_ptr<Relaxation> root, const SearchOptions& options) {
  return Search(problem, reduced, options).run(std::move(root));
}

}  // namespace widthwise::search
