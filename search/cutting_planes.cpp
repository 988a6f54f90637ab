#include "search/cutting_planes.hpp"

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"

namespace widthwise::search {

namespace {

constexpr double kPriceTolerance = 1e-12;
constexpr double kPivotTolerance = 1e-11;
constexpr double kSingular = 1e-13;
constexpr int kPivotsBeforeInversion = 24;
constexpr int kPivotsBeforeLeastIndex = 200;
constexpr int kMostPivots = 2000;  // what is found by then is a bound as good as any

}  // namespace

CuttingPlanes::CuttingPlanes(std::span<const double> unit, double penalty)
    : budgets_(unit.size()), unit_(unit.begin(), unit.end()), penalty_(penalty) {}

void CuttingPlanes::add(double objective, std::span<const double> violation) {
  objective_.push_back(objective);
  violation_.insert(violation_.end(), violation.begin(), violation.end());
  if (objective_.size() == 1) start();
}

double CuttingPlanes::cost(std::size_t column) const {
  if (column < budgets_) return 0;
  return column == budgets_ ? penalty_ : objective_[column - budgets_ - 1];
}

double CuttingPlanes::entry(std::size_t row, std::size_t column) const {
  if (column < budgets_) return row == column ? 1 : 0;
  if (column == budgets_) return row < budgets_ ? -unit_[row] : 0;
  return row < budgets_ ? violation_[(column - budgets_ - 1) * budgets_ + row] : 1;
}

/// All of the first point; t in the row that it violates most, slacks in the others.
void CuttingPlanes::start() {
  basis_.clear();
  std::size_t worst = budgets_;
  double most = 0;
  for (std::size_t row = 0; row < budgets_; ++row) {
    basis_.push_back(row);
    if (violation_[row] / unit_[row] > most) {
      most = violation_[row] / unit_[row];
      worst = row;
    }
  }
  if (worst < budgets_) basis_[worst] = budgets_;
  basis_.push_back(budgets_ + 1);
  invert(true);
}

void CuttingPlanes::invert(bool fresh) {
  const std::size_t n = budgets_ + 1;
  std::vector<double> matrix(n * n);
  inverse_.assign(n * n, 0);
  for (std::size_t row = 0; row < n; ++row) {
    inverse_[row * n + row] = 1;
    for (std::size_t i = 0; i < n; ++i) matrix[row * n + i] = entry(row, basis_[i]);
  }
  for (std::size_t column = 0; column < n; ++column) {
    std::size_t best = column;
    for (std::size_t row = column + 1; row < n; ++row) {
      if (std::abs(matrix[row * n + column]) > std::abs(matrix[best * n + column])) best = row;
    }
    const double pivot = matrix[best * n + column];
    if (std::abs(pivot) < (fresh ? 1e-300 : kSingular)) {
      ensure(!fresh, "the first basis of the master problem can be inverted");
      start();
      return;
    }
    for (std::size_t i = 0; i < n; ++i) {
      std::swap(matrix[best * n + i], matrix[column * n + i]);
      std::swap(inverse_[best * n + i], inverse_[column * n + i]);
    }
    for (std::size_t i = 0; i < n; ++i) {
      matrix[column * n + i] /= pivot;
      inverse_[column * n + i] /= pivot;
    }
    for (std::size_t row = 0; row < n; ++row) {
      const double factor = matrix[row * n + column];
      if (row == column || factor == 0) continue;
      for (std::size_t i = 0; i < n; ++i) {
        matrix[row * n + i] -= factor * matrix[column * n + i];
        inverse_[row * n + i] -= factor * inverse_[column * n + i];
      }
    }
  }
  // The right-hand side is 0 but for the sum of the weights.
  level_.resize(n);
  for (std::size_t row = 0; row < n; ++row) {
    level_[row] = std::max(0.0, inverse_[row * n + budgets_]);
  }
  pivots_ = 0;
}

void CuttingPlanes::price() {
  const std::size_t n = budgets_ + 1;
  dual_.assign(n, 0);
  for (std::size_t row = 0; row < n; ++row) {
    const double c = cost(basis_[row]);
    if (c == 0) continue;
    for (std::size_t i = 0; i < n; ++i) dual_[i] += c * inverse_[row * n + i];
  }
}

bool CuttingPlanes::step(bool least_index) {
  const std::size_t n = budgets_ + 1;
  const std::size_t columns = budgets_ + 1 + objective_.size();
  price();
  std::size_t entering = columns;
  double best = 0;
  for (std::size_t column = 0; column < columns; ++column) {
    const double c = cost(column);
    double reduced = c;
    double magnitude = std::abs(c);
    if (column < budgets_) {
      reduced -= dual_[column];
      magnitude += std::abs(dual_[column]);
    } else {
      for (std::size_t row = 0; row < n; ++row) {
        const double term = dual_[row] * entry(row, column);
        reduced -= term;
        magnitude += std::abs(term);
      }
    }
    if (reduced >= -kPriceTolerance * (1 + magnitude)) continue;
    if (reduced < best && std::find(basis_.begin(), basis_.end(), column) == basis_.end()) {
      best = reduced;
      entering = column;
      if (least_index) break;
    }
  }
  if (entering == columns) return false;

  std::vector<double> direction(n, 0);
  for (std::size_t row = 0; row < n; ++row) {
    for (std::size_t i = 0; i < n; ++i) {
      direction[row] += inverse_[row * n + i] * entry(i, entering);
    }
  }
  std::size_t leaving = n;
  double ratio = 0;
  for (std::size_t row = 0; row < n; ++row) {
    if (direction[row] <= kPivotTolerance) continue;
    const double r = level_[row] / direction[row];
    if (leaving == n || r < ratio - 1e-14 ||
        (r <= ratio + 1e-14 &&
         (least_index ? basis_[row] < basis_[leaving] : direction[row] > direction[leaving]))) {
      leaving = row;
      ratio = r;
    }
  }
  if (leaving == n) return false;  // only by rounding: the weights sum to 1
  pivot(leaving, entering, direction);
  return true;
}

void CuttingPlanes::pivot(std::size_t row, std::size_t column,
                          const std::vector<double>& direction) {
  const std::size_t n = budgets_ + 1;
  basis_[row] = column;
  if (++pivots_ >= kPivotsBeforeInversion) {
    invert(false);
    return;
  }
  for (std::size_t i = 0; i < n; ++i) inverse_[row * n + i] /= direction[row];
  level_[row] /= direction[row];
  for (std::size_t other = 0; other < n; ++other) {
    if (other == row || direction[other] == 0) continue;
    for (std::size_t i = 0; i < n; ++i) {
      inverse_[other * n + i] -= direction[other] * inverse_[row * n + i];
    }
    level_[other] = std::max(0.0, level_[other] - direction[other] * level_[row]);
  }
}

void CuttingPlanes::solve() {
  for (int count = 0; count < kMostPivots && step(count >= kPivotsBeforeLeastIndex); ++count) {
  }
  price();
  multipliers_.resize(budgets_);
  for (std::size_t k = 0; k < budgets_; ++k) multipliers_[k] = std::max(0.0, -dual_[k]);
  value_ = 0;
  for (std::size_t row = 0; row <= budgets_; ++row) value_ += cost(basis_[row]) * level_[row];
}

void CuttingPlanes::raise_penalty(double penalty) { penalty_ = penalty; }

double CuttingPlanes::slack_used() const {
  for (std::size_t row = 0; row <= budgets_; ++row) {
    if (basis_[row] == budgets_) return level_[row];
  }
  return 0;
}

std::vector<double> CuttingPlanes::mixture() const {
  std::vector<double> weights(objective_.size(), 0);
  for (std::size_t row = 0; row <= budgets_; ++row) {
    if (basis_[row] > budgets_) weights[basis_[row] - budgets_ - 1] = level_[row];
  }
  return weights;
}

}  // namespace widthwise::search
