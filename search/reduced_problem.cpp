#include "search/reduced_problem.hpp"

#include <algorithm>
#include <cmath>
#include <compare>
#include <numeric>

namespace widthwise::search {

namespace {

constexpr double kSmallLimit = 1e-6;  // of the range of the total: excess as a share says nothing

double weighted(const ObjectiveWeights& objective, double loss, const double* costs) {
  double value = objective.loss * loss;
  for (std::size_t m = 0; m < objective.costs.size(); ++m) value += objective.costs[m] * costs[m];
  return value;
}

double of_metric(MetricId metric, double loss, const double* costs) {
  return metric == kLoss ? loss : costs[metric];
}

/// Least and greatest of a row in all groups and links together.
struct RowRange {
  double least = 0;
  double greatest = 0;
};

class Reducer {
 public:
  Reducer(const Problem& problem, const Rows& rows) : problem_(problem), rows_(rows) {}

  ReducedProblem run(Reduction reduction) {
    merge_ties();
    reduce_tensors();
    reduce_links();
    for (std::size_t row = 0; row < row_count(); ++row) whole_.push_back(range(row));
    if (reduction == Reduction::full) {
      drop_idle_budgets();
      drop_dominated();
    }
    scale(reduction == Reduction::full);
    find_kinds();
    return std::move(result_);
  }

 private:
  [[nodiscard]] std::size_t row_count() const { return 1 + result_.budgets.size(); }

  [[nodiscard]] double row_value(std::size_t row, double loss, const double* costs) const {
    return row == 0 ? weighted(rows_.objective, loss, costs)
                    : of_metric(problem_.budgets[result_.budgets[row - 1]].metric, loss, costs);
  }

  void merge_ties() {
    result_.budgets = rows_.budgets;
    result_.members = tied_groups(problem_);
    result_.values.resize(row_count());
    result_.first.push_back(0);
    group_of_.resize(problem_.groups.size());
    for (std::size_t g = 0; g < result_.members.size(); ++g) {
      const std::vector<std::size_t>& members = result_.members[g];
      for (const std::size_t member : members) group_of_[member] = g;
      for (std::vector<std::size_t>& entry : common_options(problem_, members)) {
        for (std::size_t row = 0; row < row_count(); ++row) {
          double sum = 0;
          for (std::size_t i = 0; i < members.size(); ++i) {
            const Option& option = problem_.groups[members[i]].options[entry[i]];
            sum += row_value(row, option.loss, option.costs.data());
          }
          result_.values[row].push_back(sum);
        }
        result_.activation.push_back(problem_.groups[members[0]].options[entry[0]].activation_bits);
        result_.origin.push_back(std::move(entry));
      }
      result_.first.push_back(static_cast<std::uint32_t>(result_.origin.size()));
    }
  }

  void reduce_tensors() {
    if (!problem_.is_linked()) return;
    for (const StoredTensor& tensor : problem_.tensors) {
      ReducedTensor reduced{tensor.widths, tensor.floor, {}};
      for (const std::size_t reader : tensor.readers) reduced.readers.push_back(group_of_[reader]);
      std::sort(reduced.readers.begin(), reduced.readers.end());
      reduced.readers.erase(std::unique(reduced.readers.begin(), reduced.readers.end()),
                            reduced.readers.end());
      result_.tensors.push_back(std::move(reduced));
    }
  }

  void reduce_links() {
    const std::size_t costs = problem_.costs.size();
    for (const LinkedCost& link : problem_.linked) {
      ReducedLink reduced;
      reduced.tensors = link.tensors;
      std::size_t inner = 1;
      for (const std::size_t tensor : link.tensors) inner *= problem_.tensors[tensor].widths.size();
      std::vector<std::size_t> options{0};
      if (link.group) {
        reduced.group = group_of_[*link.group];
        const std::vector<std::size_t>& members = result_.members[*reduced.group];
        const auto member = static_cast<std::size_t>(
            std::find(members.begin(), members.end(), *link.group) - members.begin());
        options.clear();
        for (std::size_t o = result_.first[*reduced.group]; o < result_.first[*reduced.group + 1];
             ++o) {
          options.push_back(result_.origin[o][member]);
        }
      }
      reduced.values.resize(row_count());
      for (std::size_t row = 0; row < row_count(); ++row) {
        for (const std::size_t option : options) {
          for (std::size_t i = 0; i < inner; ++i) {
            const double* values = link.values.data() + (option * inner + i) * costs;
            reduced.values[row].push_back(row_value(row, 0, values));
          }
        }
      }
      result_.links.push_back(std::move(reduced));
    }
  }

  [[nodiscard]] RowRange range(std::size_t row) const {
    RowRange range;
    const auto add = [&](auto begin, auto end) {
      const auto [low, high] = std::minmax_element(begin, end);
      range.least += *low;
      range.greatest += *high;
    };
    const std::vector<double>& values = result_.values[row];
    for (std::size_t g = 0; g < result_.groups(); ++g) {
      add(values.begin() + result_.first[g], values.begin() + result_.first[g + 1]);
    }
    for (const ReducedLink& link : result_.links) {
      add(link.values[row].begin(), link.values[row].end());
    }
    return range;
  }

  void drop_idle_budgets() {
    const auto erase_row = [&](std::size_t row) {
      const auto at = static_cast<std::ptrdiff_t>(row);
      result_.budgets.erase(result_.budgets.begin() + at - 1);
      whole_.erase(whole_.begin() + at);
      result_.values.erase(result_.values.begin() + at);
      for (ReducedLink& link : result_.links) link.values.erase(link.values.begin() + at);
    };
    for (std::size_t row = row_count() - 1; row > 0; --row) {
      const double limit = problem_.budgets[result_.budgets[row - 1]].limit;
      if (whole_[row].greatest <= limit) erase_row(row);
    }
  }

  /// Whether option `a` is nowhere worse than `b`, whatever the other groups choose.
  [[nodiscard]] bool beats(std::size_t group, std::size_t a, std::size_t b) const {
    if (is_reader_[group] && result_.activation[a] != result_.activation[b]) return false;
    for (const std::vector<double>& values : result_.values) {
      if (values[a] > values[b]) return false;
    }
    for (const std::size_t l : links_of_[group]) {
      for (const std::vector<double>& values : result_.links[l].values) {
        const std::size_t inner = values.size() / (result_.first[group + 1] - result_.first[group]);
        const double* of_a = values.data() + (a - result_.first[group]) * inner;
        const double* of_b = values.data() + (b - result_.first[group]) * inner;
        for (std::size_t i = 0; i < inner; ++i) {
          if (of_a[i] > of_b[i]) return false;
        }
      }
    }
    return true;
  }

  void drop_dominated() {
    is_reader_.assign(result_.groups(), false);
    links_of_.resize(result_.groups());
    for (const ReducedTensor& tensor : result_.tensors) {
      for (const std::size_t reader : tensor.readers) is_reader_[reader] = true;
    }
    for (std::size_t l = 0; l < result_.links.size(); ++l) {
      if (result_.links[l].group) links_of_[*result_.links[l].group].push_back(l);
    }
    std::vector<bool> keep(result_.origin.size(), true);
    std::vector<std::size_t> order;
    for (std::size_t g = 0; g < result_.groups(); ++g) {
      order.resize(result_.first[g + 1] - result_.first[g]);
      std::iota(order.begin(), order.end(), std::size_t{result_.first[g]});
      // A beaten option comes after one that beats it; of equal ones the first stays.
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return result_.values[0][a] < result_.values[0][b];
      });
      for (std::size_t i = 0; i < order.size(); ++i) {
        for (std::size_t k = 0; k < order.size() && keep[order[i]]; ++k) {
          if (result_.values[0][order[k]] > result_.values[0][order[i]]) break;
          if (k == i || !keep[order[k]] || !beats(g, order[k], order[i])) continue;
          keep[order[i]] = false;
        }
      }
    }
    keep_only(keep);
  }

  void keep_only(const std::vector<bool>& keep) {
    for (ReducedLink& link : result_.links) {
      if (!link.group) continue;
      const std::size_t begin = result_.first[*link.group];
      const std::size_t count = result_.first[*link.group + 1] - begin;
      for (std::vector<double>& values : link.values) {
        const std::size_t inner = values.size() / count;
        std::vector<double> kept;
        for (std::size_t o = 0; o < count; ++o) {
          if (!keep[begin + o]) continue;
          const auto at = values.begin() + static_cast<std::ptrdiff_t>(o * inner);
          kept.insert(kept.end(), at, at + static_cast<std::ptrdiff_t>(inner));
        }
        values = std::move(kept);
      }
    }
    std::size_t to = 0;
    std::vector<std::uint32_t> first{0};
    for (std::size_t g = 0; g < result_.groups(); ++g) {
      for (std::size_t o = result_.first[g]; o < result_.first[g + 1]; ++o) {
        if (!keep[o]) continue;
        for (std::vector<double>& values : result_.values) values[to] = values[o];
        result_.activation[to] = result_.activation[o];
        if (to != o) result_.origin[to] = std::move(result_.origin[o]);
        ++to;
      }
      first.push_back(static_cast<std::uint32_t>(to));
    }
    result_.first = std::move(first);
    for (std::vector<double>& values : result_.values) values.resize(to);
    result_.activation.resize(to);
    result_.origin.resize(to);
  }

  void scale(bool shifted) {
    for (std::size_t row = 0; row < row_count(); ++row) {
      if (!shifted) {
        result_.scale.push_back(1);
        result_.shift.push_back(0);
        if (row == 0) continue;
        result_.limits.push_back(highest_allowed(problem_.budgets[result_.budgets[row - 1]].limit));
        result_.excess_unit.push_back(1);
        continue;
      }
      const RowRange all = range(row);
      const double limit = row == 0 ? 0 : problem_.budgets[result_.budgets[row - 1]].limit;
      const double spread = whole_[row].greatest - whole_[row].least;
      double scale = all.greatest - all.least;
      if (!(scale > 0)) scale = std::max({std::abs(limit), std::abs(all.least), spread});
      if (!(scale > 0)) scale = 1;
      std::vector<double>& values = result_.values[row];
      for (std::size_t g = 0; g < result_.groups(); ++g) {
        shift(values.data() + result_.first[g], values.data() + result_.first[g + 1], scale);
      }
      for (ReducedLink& link : result_.links) {
        std::vector<double>& linked = link.values[row];
        shift(linked.data(), linked.data() + linked.size(), scale);
      }
      result_.scale.push_back(scale);
      result_.shift.push_back(all.least);
      if (row == 0) continue;
      const double rounding =
          1e-12 * (std::abs(limit) + std::max(std::abs(all.least), std::abs(all.greatest)));
      result_.limits.push_back((highest_allowed(limit) + rounding - all.least) / scale);
      const double unit = limit > kSmallLimit * spread ? limit : spread > 0 ? spread : 1;
      result_.excess_unit.push_back(unit / scale);
    }
  }

  void find_kinds() {
    for (std::uint32_t g = 0; g < result_.groups(); ++g) {
      result_.kind.push_back(g);
      result_.group_of.insert(result_.group_of.end(), result_.first[g + 1] - result_.first[g], g);
    }
    if (problem_.is_linked()) return;  // places in the graph of tensors tell groups apart
    const auto options = [&](std::uint32_t g) { return result_.first[g + 1] - result_.first[g]; };
    const auto order = [&](std::uint32_t a, std::uint32_t b) {
      if (options(a) != options(b)) return options(a) <=> options(b);
      for (const std::vector<double>& values : result_.values) {
        for (std::uint32_t o = 0; o < options(a); ++o) {
          const double of_a = values[result_.first[a] + o];
          const double of_b = values[result_.first[b] + o];
          if (of_a != of_b)
            return of_a < of_b ? std::strong_ordering::less : std::strong_ordering::greater;
        }
      }
      return std::strong_ordering::equal;
    };
    std::vector<std::uint32_t> sorted = result_.kind;
    std::stable_sort(sorted.begin(), sorted.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return std::is_lt(order(a, b)); });
    for (std::size_t i = 1; i < sorted.size(); ++i) {
      if (std::is_eq(order(sorted[i - 1], sorted[i]))) {
        result_.kind[sorted[i]] = result_.kind[sorted[i - 1]];
      }
    }
  }

  static void shift(double* begin, double* end, double scale) {
    const double least = *std::min_element(begin, end);
    std::for_each(begin, end, [&](double& value) { value = (value - least) / scale; });
  }

  const Problem& problem_;
  const Rows& rows_;
  ReducedProblem result_;
  std::vector<RowRange> whole_;  // per row, of all options
  std::vector<std::size_t> group_of_;
  std::vector<bool> is_reader_;
  std::vector<std::vector<std::size_t>> links_of_;
};

}  // namespace

Choice ReducedProblem::original(const std::vector<std::uint32_t>& options,
                                std::size_t group_count) const {
  Choice choice(group_count);
  for (std::size_t g = 0; g < groups(); ++g) {
    for (std::size_t i = 0; i < members[g].size(); ++i) {
      choice[members[g][i]] = origin[options[g]][i];
    }
  }
  return choice;
}

ReducedProblem reduce(const Problem& problem, const Rows& rows, Reduction reduction) {
  return Reducer(problem, rows).run(reduction);
}

}  // namespace widthwise::search
