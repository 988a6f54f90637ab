// Solves bit-width problems, with a proof.
//
// Without links: tied groups are merged and dominated options dropped (reduced_problem.hpp);
// budgets are charged by multipliers, the best of which are found by cutting planes
// (cutting_planes.hpp) and give the bound of the linear relaxation; good choices come from the
// points around it (polish.hpp); every option is dropped that would lift the bound above the best
// choice; branch and bound on the few that are left (branch_and_bound.hpp). With links the same,
// where the charged problem is minimized by elimination over the graph of tensors
// (linked_relaxation.cpp), or if that graph is too tangled by Cbc on the whole model (milp.hpp).
//
// No answer leaves unverified: its totals, budgets, ties and pins are computed anew on the problem.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "search/problem.hpp"

namespace widthwise {

enum class SolveStatus {
  optimal,     // no choice is better, but for rounding
  feasible,    // no choice is better by more than the gap that was asked for
  infeasible,  // no choice meets the budgets
  time_limit,  // time ran out before the proof; the best choice so far, if there is one
};

std::string_view to_string(SolveStatus status);

struct SolveOptions {
  double gap = 0;  // that is good enough, relative to the objective; 0: prove the optimum
  double time_limit_s = 60;
  std::optional<Choice> start = std::nullopt;  // e.g. of a similar problem; need not be feasible
  std::vector<double> multipliers = {};        // per budget, e.g. of a similar problem
  /// Of the dynamic program over stored widths; where it would need more, Cbc takes over.
  std::size_t most_table_entries = 20'000'000;
};

struct BudgetUse {
  double used = 0;
  double limit = 0;
  bool binding = false;  // the shadow price is not 0
  /// By how much one more unit of the budget would lower the objective: the multiplier of the
  /// linear relaxation. For every change d of the limit, the optimum is at least bound at the
  /// relaxation minus d times this.
  double shadow_price = 0;
};

/// Why there is no answer.
struct Shortfall {
  struct Miss {
    std::size_t budget = 0;
    double least = 0;  // total that can be reached
    double over = 0;   // least minus the limit
  };
  /// Budgets that can not be met even alone, each with the least total that is reachable; or else
  /// those that can not be met together, each with its total where the greatest excess over a
  /// limit, as a share of it, is least.
  std::vector<Miss> misses;
  bool jointly = false;
  double excess = 0;   // jointly: that greatest share (of a limit below a millionth of the total's
                       // range: of that)
  bool proven = true;  // that no choice has less excess (that there is some is proven always)
};

struct Solution {
  SolveStatus status = SolveStatus::time_limit;
  double objective = std::numeric_limits<double>::infinity();
  double bound = -std::numeric_limits<double>::infinity();       // no choice has less
  double relaxation = -std::numeric_limits<double>::infinity();  // bound before any branching
  double gap = std::numeric_limits<double>::infinity();  // (objective - bound) / |objective|
  std::optional<Choice> choice;
  Totals totals;                       // of the choice
  std::vector<BudgetUse> budgets;      // as in the problem
  std::optional<Shortfall> shortfall;  // if infeasible
  double solve_s = 0;
  std::size_t nodes = 0;  // of branch and bound

  [[nodiscard]] std::vector<double> shadow_prices() const;
};

/// Throws InputError if the problem is not sound (check()).
Solution solve(const Problem& problem, const SolveOptions& options = {});

/// The same for a problem that has been checked. Limits may be negative here, as a loss can be.
Solution solve_checked(const Problem& problem, const SolveOptions& options = {});

/// Solves a problem again and again while its losses change a little, as in a training loop: starts
/// from the last answer and its multipliers.
class Resolver {
 public:
  /// Throws InputError. Budgets on the loss stay as they are.
  explicit Resolver(Problem problem, SolveOptions options = {});

  /// Of every group's options.
  const Solution& solve(const std::vector<std::vector<double>>& losses);
  const Solution& solve();  // with the losses that the problem has

  [[nodiscard]] const Problem& problem() const { return problem_; }

 private:
  Problem problem_;
  SolveOptions options_;
  Solution last_;
};

}  // namespace widthwise
