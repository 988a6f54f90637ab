// The multipliers of budgets, from points (Kelley's cutting planes, which is Dantzig-Wolfe
// decomposition seen from the other side).
//
// A point with objective f and violations g (rows minus limits) bounds the Lagrangian function from
// above by f + u g for all multipliers u. The master problem is its dual,
//
//   min sum_s w_s f_s + penalty t   such that  sum_s w_s g_s <= unit t,  sum_s w_s = 1,  w, t >= 0
//
// a linear program with one row per budget and one more, solved here by the simplex method on a
// dense inverse of that size. Its duals are the multipliers to try next; w is the mixture of points
// that a branching rule looks at. `t` keeps it feasible; where it is not 0 at the end the penalty
// was too low or no mixture meets the budgets.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace widthwise::search {

class CuttingPlanes {
 public:
  /// `unit`: per budget, positive.
  CuttingPlanes(std::span<const double> unit, double penalty);

  void add(double objective, std::span<const double> violation);

  /// To optimality; may be called again after add() or raise_penalty().
  void solve();

  void raise_penalty(double penalty);
  [[nodiscard]] double penalty() const { return penalty_; }

  [[nodiscard]] double value() const { return value_; }  // of the master problem
  [[nodiscard]] double slack_used() const;               // t
  [[nodiscard]] const std::vector<double>& multipliers() const { return multipliers_; }
  [[nodiscard]] std::vector<double> mixture() const;  // w
  [[nodiscard]] std::size_t points() const { return objective_.size(); }

 private:
  // Columns: slacks of the budgets, t, points.
  [[nodiscard]] double cost(std::size_t column) const;
  [[nodiscard]] double entry(std::size_t row, std::size_t column) const;
  void start();
  void invert(bool fresh);
  void price();
  bool step(bool least_index);
  void pivot(std::size_t row, std::size_t column, const std::vector<double>& direction);

  std::size_t budgets_;
  std::vector<double> unit_;
  double penalty_;
  std::vector<double> objective_;
  std::vector<double> violation_;  // point after point
  std::vector<std::size_t> basis_;
  std::vector<double> inverse_;  // row-major
  std::vector<double> level_;    // of basic columns
  std::vector<double> dual_;
  std::vector<double> multipliers_;
  double value_ = 0;
  int pivots_ = 0;
};

}  // namespace widthwise::search
