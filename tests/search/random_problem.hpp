// Problems of any size and form that are made up by formulas from a seed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "search/problem.hpp"

namespace widthwise::synthetic {

/// Groups as layers of a network have it: multiply-accumulates, weights and sensitivities spread
/// over three decades; loss = sensitivity (4^-w + share 4^-a), give or take a tenth; costs `bitops`
/// = macs w a and `size` = weights w. Budgets: `fraction` of the way from the least to the greatest
/// total, of each.
inline Problem network_like(std::size_t groups, const std::vector<BitWidth>& weight_bits,
                            const std::vector<BitWidth>& activation_bits, double fraction,
                            std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> unit(0, 1);
  const auto decades = [&](double low, double count) {
    return low * std::pow(10.0, count * unit(random));
  };
  Problem problem;
  problem.costs = {"bitops", "size"};
  std::vector<double> least(2);
  std::vector<double> greatest(2);
  for (std::size_t g = 0; g < groups; ++g) {
    Group group{"layer" + std::to_string(g), {}, {}};
    const double macs = decades(1, 3);
    const double weights = decades(1, 3);
    const double sensitivity = decades(1, 3);
    const double share = decades(0.1, 1);
    for (const BitWidth w : weight_bits) {
      for (const BitWidth a : activation_bits) {
        const double loss = sensitivity * (std::pow(4.0, -w) + share * std::pow(4.0, -a)) *
                            (0.95 + 0.1 * unit(random));
        group.options.push_back({w, a, loss, {macs * w * a, weights * w}, {}});
      }
    }
    for (std::size_t m = 0; m < 2; ++m) {
      const auto [low, high] = std::minmax_element(
          group.options.begin(), group.options.end(),
          [&](const Option& a, const Option& b) { return a.costs[m] < b.costs[m]; });
      least[m] += low->costs[m];
      greatest[m] += high->costs[m];
    }
    problem.groups.push_back(std::move(group));
  }
  for (std::size_t m = 0; m < 2; ++m) {
    Budget budget;
    budget.metric = m;
    budget.limit = least[m] + fraction * (greatest[m] - least[m]);
    problem.budgets.push_back(budget);
  }
  return problem;
}

/// Losses and costs without any order.
inline Problem scattered(std::size_t groups, std::size_t options, std::size_t costs,
                         double fraction, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> unit(0, 1);
  Problem problem;
  for (std::size_t m = 0; m < costs; ++m) problem.costs.push_back("cost" + std::to_string(m));
  std::vector<double> least(costs);
  std::vector<double> greatest(costs);
  for (std::size_t g = 0; g < groups; ++g) {
    Group group{"g" + std::to_string(g), {}, {}};
    for (std::size_t o = 0; o < options; ++o) {
      Option option{
          static_cast<BitWidth>(1 + o / 16), static_cast<BitWidth>(1 + o % 16), 0, {}, {}};
      option.loss = unit(random);
      for (std::size_t m = 0; m < costs; ++m) option.costs.push_back(unit(random));
      group.options.push_back(std::move(option));
    }
    for (std::size_t m = 0; m < costs; ++m) {
      const auto [low, high] = std::minmax_element(
          group.options.begin(), group.options.end(),
          [&](const Option& a, const Option& b) { return a.costs[m] < b.costs[m]; });
      least[m] += low->costs[m];
      greatest[m] += high->costs[m];
    }
    problem.groups.push_back(std::move(group));
  }
  for (std::size_t m = 0; m < costs; ++m) {
    Budget budget;
    budget.metric = m;
    budget.limit = least[m] + fraction * (greatest[m] - least[m]);
    problem.budgets.push_back(budget);
  }
  return problem;
}

/// A network with costs linked by stored widths: group g reads tensor g and writes tensor g + 1;
/// what every second group writes is added to what the one two before wrote, so that several groups
/// decide how a tensor is stored. `latency` is the greater of compute and traffic, `energy` their
/// weighted sum; budgets: `fraction` of the way from all groups at the least widths to all at the
/// greatest.
inline Problem linked_network(std::size_t groups, const std::vector<BitWidth>& widths,
                              double fraction, std::uint32_t seed) {
  Problem problem = network_like(groups, widths, widths, fraction, seed);
  std::mt19937 random(seed + 1);
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<double> elements;
  for (std::size_t t = 0; t <= groups; ++t) {
    elements.push_back(10 * std::pow(10.0, unit(random)));
    StoredTensor tensor{"t" + std::to_string(t), widths, t == groups ? widths.back() : 0, {}};
    if (t < groups) tensor.readers.push_back(t);
    if (t % 2 == 1 && t + 2 < groups) tensor.readers.push_back(t + 2);
    problem.tensors.push_back(std::move(tensor));
  }
  problem.costs = {"latency", "energy"};
  const auto add = [](LinkedCost& link, double compute, double traffic) {
    link.values.push_back(std::max(compute, traffic));
    link.values.push_back(0.5 * compute + traffic);
  };
  for (std::size_t g = 0; g < groups; ++g) {
    LinkedCost link{g, {g, g + 1}, {}};
    for (Option& option : problem.groups[g].options) {
      const double compute = option.costs[0];
      const double weights = option.costs[1];
      for (const BitWidth in : widths) {
        for (const BitWidth out : widths) {
          add(link, compute, weights + elements[g] * in + elements[g + 1] * out);
        }
      }
      option.costs = {0, 0};
    }
    problem.linked.push_back(std::move(link));
  }
  for (std::size_t t = 1; t + 2 < groups; t += 2) {
    LinkedCost link{std::nullopt, {t, t + 1, t + 2}, {}};
    for (const BitWidth a : widths) {
      for (const BitWidth b : widths) {
        for (const BitWidth c : widths) {
          add(link, 0, elements[t] * a + elements[t + 1] * b + elements[t + 2] * c);
        }
      }
    }
    problem.linked.push_back(std::move(link));
  }
  const Totals low = totals(problem, Choice(groups, 0));
  const Totals high = totals(problem, Choice(groups, widths.size() * widths.size() - 1));
  for (std::size_t m = 0; m < 2; ++m) {
    problem.budgets[m].limit = low.costs[m] + fraction * (high.costs[m] - low.costs[m]);
  }
  return problem;
}

/// What a small problem may have.
struct SmallForm {
  std::size_t most_groups = 5;
  std::size_t most_options = 5;
  std::size_t costs = 2;
  bool whole_numbers = false;  // few values: equal totals, limits that are met exactly
  bool negative = false;       // losses and costs of either sign
  bool ties = false;
  bool pins = false;
  bool loss_budget = false;
  bool weighted = false;
  bool linked = false;
};

/// A problem small enough for brute force. Limits are totals of some choice, or a little off, so
/// that budgets are met exactly, nearly, easily or not at all.
inline Problem small(const SmallForm& form, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> unit(0, 1);
  const auto pick = [&](std::size_t count) { return static_cast<std::size_t>(random() % count); };
  const auto value = [&] {
    const double v = form.whole_numbers ? static_cast<double>(pick(6)) : unit(random);
    return form.negative && pick(2) == 0 ? -v : v;
  };
  Problem problem;
  for (std::size_t m = 0; m < form.costs; ++m) problem.costs.push_back("cost" + std::to_string(m));
  const std::size_t groups = 1 + pick(form.most_groups);
  for (std::size_t g = 0; g < groups; ++g) {
    Group group{"g" + std::to_string(g), {}, {}};
    // The same widths in front in all groups, so that ties have some in common.
    const std::size_t count = 1 + pick(form.most_options);
    for (std::size_t o = 0; o < count; ++o) {
      Option option{static_cast<BitWidth>(2 + 2 * (o / 2)),
                    static_cast<BitWidth>(2 + 2 * (o % 3)),
                    value(),
                    {},
                    {}};
      for (std::size_t m = 0; m < form.costs; ++m) option.costs.push_back(value());
      group.options.push_back(std::move(option));
    }
    std::shuffle(group.options.begin(), group.options.end(), random);
    problem.groups.push_back(std::move(group));
  }
  if (form.ties && groups > 1) {
    Tie tie;
    for (std::size_t g = 0; g < groups; ++g) {
      if (pick(2) == 0) tie.groups.push_back(g);
    }
    if (tie.groups.size() > 1) problem.ties.push_back(tie);
  }
  if (form.pins) {
    const std::size_t g = pick(groups);
    const auto tied = tied_groups(problem);
    const auto set = std::find_if(tied.begin(), tied.end(), [&](const auto& members) {
      return std::find(members.begin(), members.end(), g) != members.end();
    });
    const auto common = common_options(problem, *set);
    const auto at = static_cast<std::size_t>(std::find(set->begin(), set->end(), g) - set->begin());
    problem.pins.push_back({g, common[pick(common.size())][at], {}});
  }
  if (form.linked) {
    const std::size_t tensors = 1 + pick(groups + 1);
    for (std::size_t t = 0; t < tensors; ++t) {
      StoredTensor tensor{"t" + std::to_string(t), {2, 4, 6}, 0, {}};
      for (std::size_t g = 0; g < groups; ++g) {
        if (pick(3) == 0) tensor.readers.push_back(g);
      }
      if (tensor.readers.empty() || pick(3) == 0)
        tensor.floor = static_cast<BitWidth>(2 + 2 * pick(3));
      problem.tensors.push_back(std::move(tensor));
    }
    const std::size_t links = 1 + pick(groups + 2);
    for (std::size_t l = 0; l < links; ++l) {
      LinkedCost link;
      std::size_t size = form.costs;
      if (pick(4) != 0) {
        link.group = pick(groups);
        size *= problem.groups[*link.group].options.size();
      }
      const std::size_t count = pick(kMostLinkedTensors + 1);
      for (std::size_t i = 0; i < count; ++i) {
        link.tensors.push_back(pick(tensors));
        size *= 3;
      }
      for (std::size_t i = 0; i < size; ++i) link.values.push_back(value());
      problem.linked.push_back(std::move(link));
    }
  }
  if (form.weighted) {
    problem.objective.loss = value();
    if (problem.objective.loss < 0) problem.objective.loss = 0;
    for (std::size_t m = 0; m < form.costs; ++m) {
      problem.objective.costs.push_back(pick(2) == 0 ? 0 : unit(random) + 0.1);
    }
    if (problem.objective.loss == 0) problem.objective.costs.back() = 1;
  }
  Choice choice;
  while (true) {
    choice.clear();
    for (const Group& group : problem.groups) choice.push_back(pick(group.options.size()));
    if (is_allowed(problem, choice)) break;
  }
  const Totals sums = totals(problem, choice);
  for (std::size_t m = 0; m < form.costs + (form.loss_budget ? 1 : 0); ++m) {
    Budget budget;
    budget.metric = m < form.costs ? m : kLoss;
    const double total = sums.of(budget.metric);
    const double shift = std::vector<double>{0, 0, 1e-6, -1e-6, 0.3, -0.3, 2}[pick(7)];
    budget.limit = std::max(0.0, total + shift);
    problem.budgets.push_back(budget);
  }
  return problem;
}

}  // namespace widthwise::synthetic
