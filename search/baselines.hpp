// What others do instead of solving the problem, on the same problem, for comparison. Each returns
// a choice that keeps ties, pins and budgets, or nothing if the method finds none, which proves
// nothing.
//
// excess(x) = sum over budgets of max(0, total - limit) / unit, unit the limit (or if that is 0 the
// range of the total). Sets of tied groups move together. A group's own loss is that of its option.
//
// uniform: the best of x(g) = (w, a) for all groups alike, pins aside.
//
// greedy_ratio: from every group's least own objective, while excess > 0 the change of one group
// with the least increase of the objective / decrease of the excess.
//
// pareto_list: a practical algorithm for post-training quantization (arXiv 2302.05397): all (group,
// option) in one list by their own loss, the least first; from the least losses walk down the list
// and take what lowers the costs, sum of total / unit, until the budgets hold. Each step is a point
// of the method's curve.
//
// prefix_bisection: sensitivity-guided search (arXiv 2302.01382): for every width from high to low,
// groups by the loss that lowering them to it adds; the shortest prefix to lower that meets the
// budgets on costs, by bisection (all, if none does), or where only the loss has a budget the
// longest one within it.
//
// metropolis: AMED (arXiv 2205.15437): a random walk over options with widths in a given set; a
// change of one group is accepted with probability min(1, exp((E(x) - E(x')) / T)), E = objective /
// its range + 10 excess. Totals are only evaluated, never looked into. (AMED's score is a logarithm
// of a weighted sum of loss and latency.)
//
// budget_rounds: HAQ (arXiv 1811.08886): from the least own losses, rounds over the groups, the
// last first, each lowering its weight width and then its activation width by a step, until the
// budgets hold.
//
// rounded_relaxation: OMPQ (arXiv 2109.07865): the linear relaxation, then per group the option
// with the greatest share; while that exceeds a budget, the change within what has a share that
// lowers the excess most.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "search/problem.hpp"

namespace widthwise {

struct BaselineOptions {
  // metropolis
  std::vector<BitWidth> widths = {2, 3, 4, 8};  // a group without any of these keeps all options
  std::size_t steps = 20'000;
  double temperature = 0.01;
  std::uint32_t seed = 1;
};

using Baseline = std::optional<Choice> (*)(const Problem&, const BaselineOptions&);

/// By name; the problem has been checked.
std::span<const std::pair<std::string_view, Baseline>> baselines();

}  // namespace widthwise
