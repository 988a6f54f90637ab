// What totals can be reached, and limits that are said relative to them.
#pragma once

#include "search/problem.hpp"

namespace widthwise {

struct Reach {
  double least = 0;
  double greatest = 0;
};

/// The least and the greatest total of a metric over all choices that keep ties and pins; exact
/// with linked costs too. The problem's groups, ties and pins have been checked.
Reach reachable(const Problem& problem, MetricId metric);

/// The total of a metric if every group had the widths named, pinned groups their pins. Adds to
/// `problems` the groups without such an option, and returns 0 then.
double total_at(const Problem& problem, MetricId metric, LayerWidths widths,
                const SourcePlace& place, const std::string& key, Diagnostics& problems);

/// Sets the limits of all budgets from how they are said.
void resolve_budgets(Problem& problem, Diagnostics& problems);

}  // namespace widthwise
