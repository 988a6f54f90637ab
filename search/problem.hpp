// A bit-width problem: which (weight width, activation width) every group of layers gets.
//
//   choose     x(g) in options(g)                     for every group g
//   minimize   sum_m weight(m) total(m, x)            over the loss and the costs m
//   such that  total(b.metric, x) <= b.limit          for every budget b
//              widths(x(g)) = widths(x(h))            for g, h in one tie
//              x(g) = p.option                        for every pin p of g
//   where      total(loss, x) = sum_g loss(x(g))
//              total(m, x)    = sum_g cost(m, x(g)) + sum_l value(m, l, x(group(l)), s(t), t in l)
//              s(t)           = max(floor(t), activation_bits(x(g)) over the readers g of t)
//
// The last sum is there only where costs are linked: a tensor is stored once, at the greatest width
// that a reader asks for (models/network/stored_widths.hpp), and what a layer costs depends on the
// stored widths of what it reads and writes. Everything else is a multiple-choice knapsack with any
// number of budgets.
//
// What is ignored: losses add up over groups. What two layers lose together is not the sum of what
// each loses alone; methods with Hessian traces, scales or measured sensitivities all take it so.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/base/error.hpp"
#include "models/base/quantity.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

/// The loss, or the index of a cost.
using MetricId = std::size_t;
inline constexpr MetricId kLoss = static_cast<MetricId>(-1);

struct Option {
  BitWidth weight_bits = 8;
  BitWidth activation_bits = 8;
  double loss = 0;
  std::vector<double> costs;  // as Problem::costs
  SourcePlace place = {};

  [[nodiscard]] LayerWidths widths() const { return {weight_bits, activation_bits}; }
};

struct Group {
  std::string name;
  std::vector<Option> options;
  SourcePlace place = {};
};

/// Groups that get the same widths. Ties that share a group are one tie.
struct Tie {
  std::vector<std::size_t> groups;
  SourcePlace place = {};
};

struct Pin {
  std::size_t group = 0;
  std::size_t option = 0;
  SourcePlace place = {};
};

/// How a limit is said.
struct BudgetForm {
  enum class Kind {
    max,       // value
    fraction,  // low + value (high - low), the least and the greatest reachable total (HAWQ-V3)
    share,     // value times the total with all groups at `reference`; groups that are pinned or
               // have one option at that
  };
  Kind kind = Kind::max;
  double value = 0;
  LayerWidths reference = {};
};

struct Budget {
  MetricId metric = kLoss;
  BudgetForm form = {};
  double limit = 0;  // resolved: see resolve_budgets()
  SourcePlace place = {};
};

/// Weights of a sum, not negative.
struct ObjectiveWeights {
  double loss = 1;
  std::vector<double> costs = {};  // as Problem::costs; empty: all 0
};

/// Stored at max(floor, activation widths of its readers' options).
struct StoredTensor {
  std::string name;
  std::vector<BitWidth> widths;      // that it can be stored at, ascending
  BitWidth floor = 0;                // 0: none
  std::vector<std::size_t> readers;  // groups
};

/// What the stored widths of up to three tensors, and the option of a group if one is named, add to
/// the costs. `values` is dense: of option (if there is a group), tensor, tensor, tensor, cost, the
/// last fastest; a tensor's index is that of its stored width in `widths`.
struct LinkedCost {
  std::optional<std::size_t> group;
  std::vector<std::size_t> tensors;
  std::vector<double> values;
};

inline constexpr std::size_t kMostLinkedTensors = 3;

struct Problem {
  std::string name;
  std::vector<std::string> costs;  // their names
  std::vector<Group> groups;
  std::vector<Tie> ties;
  std::vector<Pin> pins;
  std::vector<Budget> budgets;
  ObjectiveWeights objective;
  std::vector<StoredTensor> tensors;
  std::vector<LinkedCost> linked;
  SourcePlace place = {};

  [[nodiscard]] bool is_linked() const { return !linked.empty(); }
  [[nodiscard]] const std::string& metric_name(MetricId metric) const;
};

/// Option of every group.
using Choice = std::vector<std::size_t>;

struct Totals {
  double loss = 0;
  std::vector<double> costs;

  [[nodiscard]] double of(MetricId metric) const { return metric == kLoss ? loss : costs[metric]; }
};

/// Adds what is wrong with the problem to `problems`. Limits are looked at only where `resolved`.
void check(const Problem& problem, Diagnostics& problems, bool resolved = true);

/// The same; throws InputError.
void check(const Problem& problem);

/// Every group once: those that ties make one, in order of their first.
std::vector<std::vector<std::size_t>> tied_groups(const Problem& problem);

/// The widths that all of the groups offer and, where one is pinned, that it is pinned at; in order
/// of the first group's options. Per entry the option of each group.
std::vector<std::vector<std::size_t>> common_options(const Problem& problem,
                                                     std::span<const std::size_t> groups);

/// Index of a tensor's stored width in its `widths`, per tensor.
std::vector<std::size_t> stored_width_indices(const Problem& problem, const Choice& choice);

/// Sums in order of the groups, then of the linked costs.
Totals totals(const Problem& problem, const Choice& choice);

double objective_value(const Problem& problem, const Totals& totals);

/// Limits are met to one part in 1e9, which covers decimal fractions that binary ones only come
/// near to: three times 1.4 are within 4.2.
inline constexpr double kLimitTolerance = 1e-9;
double highest_allowed(double limit);
inline bool fits(double total, double limit) { return total <= highest_allowed(limit); }
bool fits(const Problem& problem, const Totals& totals);  // all budgets

/// True if options exist and ties and pins hold.
bool is_allowed(const Problem& problem, const Choice& choice);

/// Computes the totals again and ensures that the choice is one, keeps ties, pins and budgets and
/// has the objective that is claimed (to one part in 1e9 of what is summed up). A violation is a
/// bug of ours: InternalError.
Totals verify(const Problem& problem, const Choice& choice, double claimed_objective);

}  // namespace widthwise
