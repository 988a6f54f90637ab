#include "train/resolved_target.hpp"

#include <fmt/format.h>

#include "search/problem.hpp"

namespace widthwise {

std::string target_key(const TrainTarget& said) { return "train.targets." + said.metric; }

ResolvedTarget resolve_target(const TrainTarget& said, double least, double greatest,
                              double at_reference) {
  ResolvedTarget target{said.metric, said.form.value, least, greatest, said.weight};
  switch (said.form.kind) {
    case BudgetForm::Kind::max:
      break;
    case BudgetForm::Kind::fraction:
      target.target = least + said.form.value * (greatest - least);
      break;
    case BudgetForm::Kind::share:
      target.target = said.form.value * at_reference;
      break;
  }
  return target;
}

void check_reachable(const ResolvedTarget& target, const TrainTarget& said, double reachable,
                     std::string_view where, Diagnostics& problems) {
  if (target.target > 0 && fits(reachable, target.target)) return;
  problems.error(said.place, target_key(said),
                 fmt::format("expected at least {:.10g} {} ({}), got {:.10g}", reachable,
                             target.metric, where, target.target));
}

}  // namespace widthwise
