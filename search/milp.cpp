#include "search/milp.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <CbcModel.hpp>
#include <CbcSolver.hpp>
#include <CoinPackedMatrix.hpp>
#include <OsiClpSolverInterface.hpp>

namespace widthwise::search {

namespace {

/// Cbc's tolerances are absolute; the objective may be a small part of its range.
constexpr double kObjectiveRange = 1e4;

class Model {
 public:
  explicit Model(const ReducedProblem& problem) : problem_(problem) {
    add_options();
    if (!problem.links.empty()) {
      stored_widths();
      links();
    }
    if (problem.scale[0] != 1) objective_scale_ = kObjectiveRange;
    for (double& value : value_[0]) value *= objective_scale_;
    for (std::size_t k = 0; k < problem.limits.size(); ++k) {
      row(-kInfinity, problem.limits[k]);
      for (int column = 0; column < columns(); ++column) {
        entry(column, value_[k + 1][static_cast<std::size_t>(column)]);
      }
    }
  }

  void load(OsiClpSolverInterface& solver) const {
    CoinPackedMatrix matrix(false, row_of_.data(), column_of_.data(), entry_.data(),
                            static_cast<CoinBigIndex>(entry_.size()));
    matrix.setDimensions(static_cast<int>(row_low_.size()), columns());
    solver.loadProblem(matrix, low_.data(), high_.data(), value_[0].data(), row_low_.data(),
                       row_high_.data());
    for (int column = 0; column < columns(); ++column) {
      if (integer_[static_cast<std::size_t>(column)] != 0) solver.setInteger(column);
    }
  }

  [[nodiscard]] double objective_scale() const { return objective_scale_; }

  [[nodiscard]] std::vector<std::uint32_t> options(const double* solution) const {
    std::vector<std::uint32_t> chosen;
    for (std::size_t g = 0; g < problem_.groups(); ++g) {
      const double* begin = solution + problem_.first[g];
      const double* end = solution + problem_.first[g + 1];
      chosen.push_back(static_cast<std::uint32_t>(std::max_element(begin, end) - solution));
    }
    return chosen;
  }

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::max();

  [[nodiscard]] int columns() const { return static_cast<int>(integer_.size()); }

  int column(bool integer, double high) {
    low_.push_back(0);
    high_.push_back(high);
    integer_.push_back(integer ? 1 : 0);
    for (std::vector<double>& values : value_) values.push_back(0);
    return columns() - 1;
  }

  void row(double low, double high) {
    row_low_.push_back(low);
    row_high_.push_back(high);
  }

  void entry(int column, double value) {
    if (value == 0) return;
    row_of_.push_back(static_cast<int>(row_low_.size()) - 1);
    column_of_.push_back(column);
    entry_.push_back(value);
  }

  void add_options() {
    value_.resize(problem_.rows());
    for (std::size_t o = 0; o < problem_.origin.size(); ++o) {
      column(true, 1);
      for (std::size_t r = 0; r < problem_.rows(); ++r) value_[r].back() = problem_.values[r][o];
    }
    for (std::size_t g = 0; g < problem_.groups(); ++g) {
      row(1, 1);
      for (std::uint32_t o = problem_.first[g]; o < problem_.first[g + 1]; ++o) {
        entry(static_cast<int>(o), 1);
      }
    }
  }

  void stored_widths() {
    for (const ReducedTensor& tensor : problem_.tensors) {
      stored_.push_back(columns());
      const int first = columns();
      for (const BitWidth bits : tensor.widths) column(true, bits < tensor.floor ? 0 : 1);
      row(1, 1);
      for (int column = first; column < columns(); ++column) entry(column, 1);
      for (std::size_t s = 0; s < tensor.widths.size(); ++s) {
        for (const std::size_t reader : tensor.readers) {
          row(0, kInfinity);
          for (int z = first + static_cast<int>(s); z < columns(); ++z) entry(z, 1);
          for (std::uint32_t o = problem_.first[reader]; o < problem_.first[reader + 1]; ++o) {
            if (problem_.activation[o] >= tensor.widths[s]) entry(static_cast<int>(o), -1);
          }
        }
        if (tensor.widths[s] <= tensor.floor) continue;
        row(-kInfinity, 0);
        entry(first + static_cast<int>(s), 1);
        for (const std::size_t reader : tensor.readers) {
          for (std::uint32_t o = problem_.first[reader]; o < problem_.first[reader + 1]; ++o) {
            if (problem_.activation[o] == tensor.widths[s]) entry(static_cast<int>(o), -1);
          }
        }
      }
    }
  }

  void links() {
    for (const ReducedLink& link : problem_.links) {
      struct Axis {
        int first;
        std::size_t size;
      };
      std::vector<Axis> axes;
      if (link.group) {
        const std::uint32_t first = problem_.first[*link.group];
        axes.push_back({static_cast<int>(first), problem_.first[*link.group + 1] - first});
      }
      for (const std::size_t tensor : link.tensors) {
        axes.push_back({stored_[tensor], problem_.tensors[tensor].widths.size()});
      }
      const int first = columns();
      const std::size_t size = link.values[0].size();
      for (std::size_t i = 0; i < size; ++i) {
        column(false, 1);
        for (std::size_t r = 0; r < problem_.rows(); ++r) value_[r].back() = link.values[r][i];
      }
      if (axes.empty()) {
        row(1, 1);
        entry(first, 1);
      }
      std::size_t inner = size;
      for (const Axis& axis : axes) {
        const std::size_t outer = inner;
        inner /= axis.size;
        for (std::size_t v = 0; v < axis.size; ++v) {
          row(0, 0);
          for (std::size_t i = 0; i < size; ++i) {
            if (i % outer / inner == v) entry(first + static_cast<int>(i), 1);
          }
          entry(axis.first + static_cast<int>(v), -1);
        }
      }
    }
  }

  const ReducedProblem& problem_;
  double objective_scale_ = 1;
  std::vector<std::vector<double>> value_;  // per row of the problem, per column
  std::vector<double> low_;
  std::vector<double> high_;
  std::vector<char> integer_;
  std::vector<int> stored_;  // per tensor its first column
  std::vector<double> row_low_;
  std::vector<double> row_high_;
  std::vector<int> row_of_;
  std::vector<int> column_of_;
  std::vector<double> entry_;
};

}  // namespace

MilpResult solve_by_cbc(const Problem& problem, const ReducedProblem& reduced, double time_limit_s,
                        double gap) {
  const Model model(reduced);
  OsiClpSolverInterface solver;
  solver.messageHandler()->setLogLevel(0);
  solver.getModelPtr()->messageHandler()->setLogLevel(0);
  model.load(solver);
  CbcModel cbc(solver);
  cbc.setLogLevel(0);
  CbcSolverUsefulData data;
  CbcMain0(cbc, data);
  cbc.setLogLevel(0);
  const std::string seconds = std::to_string(time_limit_s);
  const std::string ratio = std::to_string(gap);
  const char* arguments[] = {"cbc",           "-log",   "0",           "-slog",  "0",    "-seconds",
                             seconds.c_str(), "-ratio", ratio.c_str(), "-solve", "-quit"};
  CbcMain1(
      static_cast<int>(std::size(arguments)), arguments, cbc,
      [](CbcModel* /*model*/, int /*where*/) { return 0; }, data);
  MilpResult result;
  result.finished = cbc.status() == 0 && !cbc.isAbandoned() && !cbc.isSecondsLimitReached();
  result.bound = cbc.getBestPossibleObjValue() / model.objective_scale();
  const double* solution = cbc.bestSolution();
  if (solution == nullptr) {
    result.infeasible = result.finished && cbc.isProvenInfeasible();
    return result;
  }
  result.choice = reduced.original(model.options(solution), problem.groups.size());
  return result;
}

}  // namespace widthwise::search
