// The inner problem of the Lagrangian bound: budgets are charged instead of kept.
//
//   L(u) = min over choices x of  u[0] value[0](x) + sum_k u[1 + k] (value[1 + k](x) - limits[k])
//
// For u >= 0, u[0] = 1 it is a lower bound of the problem, whatever u is: nothing that a solver
// says about u has to be believed. Without links each group is minimized by itself
// (separable_relaxation.cpp); with links by dynamic programming over the graph of tensors
// (linked_relaxation.cpp).
//
// A relaxation has its own compact numbering: groups are those with options still open, options are
// numbered through. What is decided already is folded in.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "search/reduced_problem.hpp"

namespace widthwise::search {

/// A choice: its rows, and per group of the relaxation its option.
struct Point {
  std::vector<double> rows;
  std::vector<std::uint32_t> options;
};

/// In place of an option's number: it is no longer open; it is the one left of its group and folded
/// in.
inline constexpr std::uint32_t kGone = static_cast<std::uint32_t>(-1);
inline constexpr std::uint32_t kFolded = static_cast<std::uint32_t>(-2);

class Relaxation {
 public:
  explicit Relaxation(const ReducedProblem& problem) : problem_(&problem) {}
  Relaxation(const Relaxation&) = delete;
  Relaxation& operator=(const Relaxation&) = delete;
  virtual ~Relaxation() = default;

  [[nodiscard]] const ReducedProblem& problem() const { return *problem_; }
  [[nodiscard]] std::size_t groups() const { return first_.size() - 1; }
  [[nodiscard]] std::size_t options() const { return ids_.size(); }
  [[nodiscard]] std::span<const std::uint32_t> first() const { return first_; }
  /// Of the reduced problem.
  [[nodiscard]] std::uint32_t id(std::size_t option) const { return ids_[option]; }

  /// The least choice under the weights, one per row, without the limits.
  virtual void minimize(std::span<const double> weights, Point& point) = 0;

  /// Per option: by how much the minimum rises if the option has to be taken. Infinite: it can not
  /// be.
  virtual void marginals(std::span<const double> weights, std::vector<double>& rise) = 0;

  /// The rows of a choice.
  [[nodiscard]] virtual std::vector<double> rows_of(
      std::span<const std::uint32_t> options) const = 0;

  /// Only the options marked, at least one of each group. `renamed` gets per option its new number,
  /// kGone or kFolded.
  [[nodiscard]] virtual std::unique_ptr<Relaxation> restricted(
      const std::vector<char>& keep, std::vector<std::uint32_t>& renamed) const = 0;

  /// An option's own part of a row.
  [[nodiscard]] virtual double value(std::size_t row, std::size_t option) const = 0;

  /// Whether value() is all that an option adds.
  [[nodiscard]] virtual bool is_separable() const = 0;

  /// Options of the reduced problem, of all its groups.
  [[nodiscard]] std::vector<std::uint32_t> all_options(
      std::span<const std::uint32_t> options) const;

 protected:
  const ReducedProblem* problem_;
  std::vector<std::uint32_t> first_{0};
  std::vector<std::uint32_t> ids_;
  std::vector<std::uint32_t> fixed_;  // options of the reduced problem
};

/// A choice in the numbering after restricted(); false if it has an option that is gone.
bool translate(std::span<const std::uint32_t> options, std::span<const std::uint32_t> renamed,
               std::vector<std::uint32_t>& translated);

std::unique_ptr<Relaxation> separable_relaxation(const ReducedProblem& problem);

/// Nothing where the tables would have more than `most_entries` entries.
std::unique_ptr<Relaxation> linked_relaxation(const ReducedProblem& problem,
                                              std::size_t most_entries);

}  // namespace widthwise::search
