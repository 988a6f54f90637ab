// A problem in the form that the solver works on.
//
// Tied groups are one group with the sums of their options; pins leave one option; options that
// another one beats everywhere are gone; budgets that no choice can exceed are gone. Row 0 is the
// objective, row 1 + k the kept budget k. Every row is shifted so that the least value in a group
// is 0 and divided by what is between the least and the greatest sum, so that one unit is the whole
// range of a row:
//
//   minimize value[0] such that value[1 + k] <= limits[k],  value[r] = sum over options and links
//
// Limits carry the tolerance of fits() and a little more: the reduced problem admits everything
// that the problem does, and whether an answer meets its budgets is decided on the problem itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "search/problem.hpp"

namespace widthwise::search {

struct ReducedTensor {
  std::vector<BitWidth> widths;
  BitWidth floor = 0;
  std::vector<std::size_t> readers;  // reduced groups, ascending, each once
};

struct ReducedLink {
  std::optional<std::size_t> group;
  std::vector<std::size_t> tensors;
  // per row: of option of the group (if there is one), tensor, tensor, tensor, the last fastest
  std::vector<std::vector<double>> values;
};

struct ReducedProblem {
  std::vector<std::vector<std::size_t>> members;  // per group: groups of the problem
  std::vector<std::uint32_t> first;               // per group its first option; and the end
  std::vector<std::vector<std::size_t>> origin;   // per option: the options of the members
  std::vector<BitWidth> activation;               // per option
  std::vector<std::uint32_t> group_of;            // per option
  // Per group: groups of one kind have the same values, option by option, and may change places.
  std::vector<std::uint32_t> kind;
  std::vector<std::vector<double>> values;  // per row, per option

  std::vector<std::size_t> budgets;  // kept ones, of the problem
  std::vector<double> limits;        // per kept budget
  std::vector<double>
      excess_unit;  // per kept budget: the limit, or if it is nearly 0 the range of all options
  std::vector<double> scale;  // per row
  std::vector<double> shift;  // per row: total of the problem = shift + scale value

  std::vector<ReducedTensor> tensors;
  std::vector<ReducedLink> links;

  [[nodiscard]] std::size_t groups() const { return members.size(); }
  [[nodiscard]] std::size_t rows() const { return 1 + limits.size(); }
  /// `options`: one per group.
  [[nodiscard]] Choice original(const std::vector<std::uint32_t>& options,
                                std::size_t group_count) const;
};

/// What is minimized and which budgets are kept: rows of a problem to be.
struct Rows {
  ObjectiveWeights objective;
  std::vector<std::size_t> budgets;  // that are looked at; those that always hold are left out
};

enum class Reduction {
  full,
  ties_only,  // all options and budgets stay, in the problem's own units: the plain model
};

/// The problem has been checked.
ReducedProblem reduce(const Problem& problem, const Rows& rows,
                      Reduction reduction = Reduction::full);

}  // namespace widthwise::search
