// Minimum over choices where costs are linked by stored widths, by elimination of variables.
//
// Variables are the activation width of every group that reads a tensor, and where several readers
// can decide a stored width the maximum of the first of them, of the first two, ... : the last is
// the stored width. A stored width that one reader decides is a function of that reader's variable.
// Factors are tables over a few variables: per group the least over its options of one activation
// width (which leave all stored widths as they are) of its own and its linked values; linked values
// without a group; and the maxima, as tables of 0 and infinity. Variables are eliminated one by
// one, the one with the smallest new table first, which is exact; the tables stay small where the
// graph of tensors is nearly a chain, as in networks. A pass back through the same tables gives the
// rise of every option.
#include <algorithm>
#include <limits>
#include <numeric>

#include "search/relaxation.hpp"

namespace widthwise::search {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// A width that a variable decides, or that is fixed: index into a tensor's widths by the
/// variable's value.
struct Slot {
  std::size_t variable = kNone;
  std::vector<std::size_t> index;  // by value; of a fixed one a single entry
};

/// The value of `variable` is that of the greater of two others' widths.
struct Maximum {
  std::size_t variable;
  std::size_t left;
  std::size_t right;
  std::vector<std::size_t> value;  // [left][right]
};

struct Factor {
  std::vector<std::size_t> scope;  // variables
  std::vector<double> table;       // the last variable fastest
  std::vector<double> outside;     // the least of everything else, by the same index
};

/// Elimination of one variable.
struct Step {
  std::size_t variable;
  std::vector<std::size_t> inputs;                // factors
  std::size_t output;                             // factor
  std::vector<std::vector<std::size_t>> strides;  // per input: of the output's scope, the variable
  std::vector<std::size_t> best;                  // by the output's index
};

/// Options of one group, or of none: rows by option and by the values of the other variables.
struct Block {
  std::size_t factor = 0;
  std::uint32_t begin = 0;  // options; of links without a group one that is not there
  std::uint32_t end = 1;
  bool has_group = false;
  std::vector<std::size_t> class_of;      // per option: value of the group's variable, or 0
  std::size_t own = kNone;                // the group's variable
  std::vector<std::size_t> others;        // variables
  std::size_t inner = 1;                  // values of the others together
  std::vector<std::vector<double>> rows;  // [row][option][inner]
  std::vector<double> weighted;           // [option][inner]
  std::vector<std::size_t> best;          // by the factor's index: option - begin
};

class LinkedRelaxation : public Relaxation {
 public:
  LinkedRelaxation(const ReducedProblem& problem, std::vector<std::uint32_t> ids,
                   std::vector<std::uint32_t> first, std::size_t most_entries)
      : Relaxation(problem), most_entries_(most_entries) {
    ids_ = std::move(ids);
    first_ = std::move(first);
    make_variables();
    make_blocks();
    if (fits_) plan();
  }

  [[nodiscard]] bool fits() const { return fits_; }

  void minimize(std::span<const double> weights, Point& point) override {
    forward(weights);
    std::vector<std::size_t> values(domain_.size(), 0);
    for (std::size_t s = steps_.size(); s-- > 0;) {
      const Step& step = steps_[s];
      values[step.variable] = step.best[index_of(factors_[step.output].scope, values)];
    }
    point.rows.assign(problem_->rows(), 0);
    point.options.resize(groups());
    for (const Block& block : blocks_) {
      const std::size_t option = block.best[index_of(factors_[block.factor].scope, values)];
      if (block.has_group) {
        point.options[block_group(block)] = static_cast<std::uint32_t>(block.begin + option);
      }
      add_rows(block, option, index_of(block.others, values), point.rows);
    }
  }

  void marginals(std::span<const double> weights, std::vector<double>& rise) override {
    const double least = forward(weights);
    backward(least);
    rise.assign(options(), kInfinity);
    for (const Block& block : blocks_) {
      if (!block.has_group) continue;
      const std::vector<double>& outside = factors_[block.factor].outside;
      for (std::uint32_t o = block.begin; o < block.end; ++o) {
        const std::size_t at = (o - block.begin) * block.inner;
        const std::size_t base = block.class_of[o - block.begin] * block.inner;
        for (std::size_t i = 0; i < block.inner; ++i) {
          rise[o] = std::min(rise[o], block.weighted[at + i] + outside[base + i] - least);
        }
      }
    }
  }

  [[nodiscard]] std::vector<double> rows_of(std::span<const std::uint32_t> options) const override {
    std::vector<std::size_t> values(domain_.size(), 0);
    for (const Block& block : blocks_) {
      if (block.own == kNone) continue;
      values[block.own] = block.class_of[options[block_group(block)] - block.begin];
    }
    for (const Maximum& maximum : maxima_) {
      values[maximum.variable] =
          maximum
              .value[values[maximum.left] * domain_[maximum.right].size() + values[maximum.right]];
    }
    std::vector<double> rows(problem_->rows(), 0);
    for (const Block& block : blocks_) {
      const std::size_t option = block.has_group ? options[block_group(block)] - block.begin : 0;
      add_rows(block, option, index_of(block.others, values), rows);
    }
    return rows;
  }

  [[nodiscard]] std::unique_ptr<Relaxation> restricted(
      const std::vector<char>& keep, std::vector<std::uint32_t>& renamed) const override {
    renamed.assign(options(), kGone);
    std::vector<std::uint32_t> ids;
    std::vector<std::uint32_t> first{0};
    for (std::size_t g = 0; g < groups(); ++g) {
      for (std::uint32_t o = first_[g]; o < first_[g + 1]; ++o) {
        if (!keep[o]) continue;
        renamed[o] = static_cast<std::uint32_t>(ids.size());
        ids.push_back(ids_[o]);
      }
      first.push_back(static_cast<std::uint32_t>(ids.size()));
    }
    auto child = std::make_unique<LinkedRelaxation>(*problem_, std::move(ids), std::move(first),
                                                    static_cast<std::size_t>(-1));
    return child;
  }

  [[nodiscard]] double value(std::size_t row, std::size_t option) const override {
    return mean_[row * options() + option];
  }

  [[nodiscard]] bool is_separable() const override { return false; }

 private:
  [[nodiscard]] std::size_t block_group(const Block& block) const {
    return group_of_block_[static_cast<std::size_t>(&block - blocks_.data())];
  }

  void add_rows(const Block& block, std::size_t option, std::size_t inner,
                std::vector<double>& rows) const {
    for (std::size_t row = 0; row < rows.size(); ++row) {
      rows[row] += block.rows[row][option * block.inner + inner];
    }
  }

  [[nodiscard]] std::size_t index_of(const std::vector<std::size_t>& scope,
                                     const std::vector<std::size_t>& values) const {
    std::size_t index = 0;
    for (const std::size_t variable : scope) {
      index = index * domain_[variable].size() + values[variable];
    }
    return index;
  }

  [[nodiscard]] std::size_t size_of(const std::vector<std::size_t>& scope) const {
    std::size_t size = 1;
    for (const std::size_t variable : scope) {
      size *= domain_[variable].size();
      if (size > most_entries_) return most_entries_ + 1;
    }
    return size;
  }

  void make_variables() {
    variable_of_group_.assign(groups(), kNone);
    for (const ReducedTensor& tensor : problem_->tensors) {
      for (const std::size_t reader : tensor.readers) {
        if (variable_of_group_[reader] != kNone) continue;
        std::vector<BitWidth> widths;
        for (std::uint32_t o = first_[reader]; o < first_[reader + 1]; ++o) {
          widths.push_back(problem_->activation[ids_[o]]);
        }
        std::sort(widths.begin(), widths.end());
        widths.erase(std::unique(widths.begin(), widths.end()), widths.end());
        variable_of_group_[reader] = domain_.size();
        domain_.push_back(std::move(widths));
      }
    }
    for (const ReducedTensor& tensor : problem_->tensors) slots_.push_back(make_slot(tensor));
  }

  Slot make_slot(const ReducedTensor& tensor) {
    BitWidth floor = tensor.floor;  // and what the readers ask for at the least
    for (const std::size_t reader : tensor.readers) {
      floor = std::max(floor, domain_[variable_of_group_[reader]].front());
    }
    std::size_t variable = kNone;
    for (const std::size_t reader : tensor.readers) {
      const std::size_t own = variable_of_group_[reader];
      if (domain_[own].back() <= floor) continue;  // never decides
      variable = variable == kNone ? own : maximum_of(variable, own, floor);
    }
    Slot slot;
    slot.variable = variable;
    const std::vector<BitWidth> fixed{floor};
    for (const BitWidth bits : variable == kNone ? fixed : domain_[variable]) {
      const auto found =
          std::lower_bound(tensor.widths.begin(), tensor.widths.end(), std::max(bits, floor));
      slot.index.push_back(static_cast<std::size_t>(found - tensor.widths.begin()));
    }
    return slot;
  }

  std::size_t maximum_of(std::size_t left, std::size_t right, BitWidth floor) {
    std::vector<BitWidth> widths;
    for (const BitWidth a : domain_[left]) {
      for (const BitWidth b : domain_[right]) widths.push_back(std::max({a, b, floor}));
    }
    Maximum maximum{domain_.size(), left, right, {}};
    std::vector<BitWidth> values = widths;
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    for (const BitWidth bits : widths) {
      maximum.value.push_back(static_cast<std::size_t>(
          std::lower_bound(values.begin(), values.end(), bits) - values.begin()));
    }
    domain_.push_back(std::move(values));
    maxima_.push_back(std::move(maximum));
    return domain_.size() - 1;
  }

  void make_blocks() {
    std::vector<std::vector<std::size_t>> links_of(groups());
    for (std::size_t l = 0; l < problem_->links.size(); ++l) {
      if (problem_->links[l].group) links_of[*problem_->links[l].group].push_back(l);
    }
    for (std::size_t g = 0; g < groups() && fits_; ++g) {
      Block block;
      block.begin = first_[g];
      block.end = first_[g + 1];
      block.has_group = true;
      block.own = variable_of_group_[g];
      for (std::uint32_t o = block.begin; o < block.end; ++o) {
        block.class_of.push_back(block.own == kNone ? 0 : class_of(o, block.own));
      }
      group_of_block_.push_back(g);
      fill(std::move(block), links_of[g]);
    }
    for (std::size_t l = 0; l < problem_->links.size() && fits_; ++l) {
      if (problem_->links[l].group) continue;
      Block block;
      block.class_of.push_back(0);
      group_of_block_.push_back(kNone);
      fill(std::move(block), {l});
    }
    if (!fits_) return;
    for (const Maximum& maximum : maxima_) {
      Factor factor{{maximum.left, maximum.right, maximum.variable}, {}, {}};
      const std::size_t count = domain_[maximum.variable].size();
      for (const std::size_t value : maximum.value) {
        for (std::size_t v = 0; v < count; ++v) {
          factor.table.push_back(value == v ? 0 : kInfinity);
        }
      }
      factors_.push_back(std::move(factor));
    }
    average();
  }

  [[nodiscard]] std::size_t class_of(std::uint32_t option, std::size_t variable) const {
    const std::vector<BitWidth>& widths = domain_[variable];
    return static_cast<std::size_t>(
        std::lower_bound(widths.begin(), widths.end(), problem_->activation[ids_[option]]) -
        widths.begin());
  }

  void fill(Block block, const std::vector<std::size_t>& links) {
    for (const std::size_t l : links) {
      for (const std::size_t tensor : problem_->links[l].tensors) {
        const std::size_t variable = slots_[tensor].variable;
        if (variable == kNone || variable == block.own) continue;
        if (std::find(block.others.begin(), block.others.end(), variable) == block.others.end()) {
          block.others.push_back(variable);
        }
      }
    }
    const std::size_t options = block.end - block.begin;
    block.inner = size_of(block.others);
    entries_ += options * block.inner;
    if (block.inner > most_entries_ || entries_ > most_entries_) {
      fits_ = false;
      return;
    }
    const std::size_t rows = problem_->rows();
    block.rows.assign(rows, std::vector<double>(options * block.inner, 0.0));
    std::vector<std::size_t> values(domain_.size(), 0);
    for (std::size_t o = 0; o < options; ++o) {
      if (block.own != kNone) values[block.own] = block.class_of[o];
      const std::uint32_t id = block.has_group ? ids_[block.begin + o] : 0;
      for (std::size_t inner = 0; inner < block.inner; ++inner) {
        std::size_t rest = inner;
        for (std::size_t i = block.others.size(); i-- > 0;) {
          const std::size_t count = domain_[block.others[i]].size();
          values[block.others[i]] = rest % count;
          rest /= count;
        }
        for (std::size_t row = 0; row < rows; ++row) {
          double sum = block.has_group ? problem_->values[row][id] : 0;
          for (const std::size_t l : links)
            sum += linked_value(problem_->links[l], id, row, values);
          block.rows[row][o * block.inner + inner] = sum;
        }
      }
    }
    Factor factor;
    if (block.own != kNone) factor.scope.push_back(block.own);
    factor.scope.insert(factor.scope.end(), block.others.begin(), block.others.end());
    factor.table.resize(size_of(factor.scope));
    block.best.resize(factor.table.size());
    block.factor = factors_.size();
    factors_.push_back(std::move(factor));
    blocks_.push_back(std::move(block));
  }

  [[nodiscard]] double linked_value(const ReducedLink& link, std::uint32_t id, std::size_t row,
                                    const std::vector<std::size_t>& values) const {
    std::size_t at = link.group ? id - problem_->first[*link.group] : 0;
    for (const std::size_t tensor : link.tensors) {
      const Slot& slot = slots_[tensor];
      at = at * problem_->tensors[tensor].widths.size() +
           slot.index[slot.variable == kNone ? 0 : values[slot.variable]];
    }
    return link.values[row][at];
  }

  /// Values of options that a branching rule can order them by.
  void average() {
    mean_.assign(problem_->rows() * options(), 0);
    for (const Block& block : blocks_) {
      if (!block.has_group) continue;
      for (std::size_t row = 0; row < problem_->rows(); ++row) {
        for (std::uint32_t o = block.begin; o < block.end; ++o) {
          const auto begin = block.rows[row].begin() +
                             static_cast<std::ptrdiff_t>((o - block.begin) * block.inner);
          mean_[row * options() + o] =
              std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(block.inner), 0.0) /
              static_cast<double>(block.inner);
        }
      }
    }
  }

  /// The scope that eliminating a variable leaves, among the factors that are left.
  [[nodiscard]] std::vector<std::size_t> scope_without(
      std::size_t variable, const std::vector<std::size_t>& inputs) const {
    std::vector<std::size_t> scope;
    for (const std::size_t f : inputs) {
      for (const std::size_t other : factors_[f].scope) {
        if (other != variable && std::find(scope.begin(), scope.end(), other) == scope.end()) {
          scope.push_back(other);
        }
      }
    }
    return scope;
  }

  void plan() {
    std::vector<std::vector<std::size_t>> factors_of(domain_.size());
    for (std::size_t f = 0; f < factors_.size(); ++f) {
      for (const std::size_t variable : factors_[f].scope) factors_of[variable].push_back(f);
    }
    std::vector<bool> done(domain_.size(), false);
    for (std::size_t count = 0; count < domain_.size(); ++count) {
      std::size_t variable = kNone;
      std::size_t least = kNone;
      for (std::size_t v = 0; v < domain_.size(); ++v) {
        if (done[v]) continue;
        const std::size_t size = size_of(scope_without(v, factors_of[v]));
        if (variable == kNone || size < least) {
          variable = v;
          least = size;
        }
      }
      entries_ += least * domain_[variable].size();
      if (least > most_entries_ || entries_ > most_entries_) {
        fits_ = false;
        return;
      }
      done[variable] = true;
      Step step;
      step.variable = variable;
      step.inputs = factors_of[variable];
      step.output = factors_.size();
      Factor output{scope_without(variable, step.inputs), std::vector<double>(least), {}};
      step.best.resize(least);
      for (const std::size_t f : step.inputs) {
        std::vector<std::size_t> strides;
        for (const std::size_t v : output.scope) strides.push_back(stride_of(factors_[f], v));
        strides.push_back(stride_of(factors_[f], variable));
        step.strides.push_back(std::move(strides));
        for (const std::size_t v : factors_[f].scope) std::erase(factors_of[v], f);
      }
      for (const std::size_t v : output.scope) factors_of[v].push_back(step.output);
      factors_.push_back(std::move(output));
      steps_.push_back(std::move(step));
    }
  }

  [[nodiscard]] std::size_t stride_of(const Factor& factor, std::size_t variable) const {
    std::size_t stride = 1;
    for (std::size_t i = factor.scope.size(); i-- > 0;) {
      if (factor.scope[i] == variable) return stride;
      stride *= domain_[factor.scope[i]].size();
    }
    return 0;
  }

  void weigh(Block& block, std::span<const double> weights) {
    const std::size_t size = block.rows[0].size();
    block.weighted.assign(size, 0);
    for (std::size_t row = 0; row < block.rows.size(); ++row) {
      const double weight = weights[row];
      if (weight == 0) continue;
      const double* from = block.rows[row].data();
      for (std::size_t i = 0; i < size; ++i) block.weighted[i] += weight * from[i];
    }
    std::vector<double>& table = factors_[block.factor].table;
    std::fill(table.begin(), table.end(), kInfinity);
    for (std::size_t o = 0; o < block.class_of.size(); ++o) {
      const double* from = block.weighted.data() + o * block.inner;
      const std::size_t base = block.class_of[o] * block.inner;
      for (std::size_t i = 0; i < block.inner; ++i) {
        if (from[i] < table[base + i]) {
          table[base + i] = from[i];
          block.best[base + i] = o;
        }
      }
    }
  }

  /// Calls `visit(output index, value, offset per input)` for every entry of the step.
  template <class Visit>
  void for_each_entry(const Step& step, Visit visit) const {
    const std::vector<std::size_t>& scope = factors_[step.output].scope;
    const std::size_t inputs = step.inputs.size();
    std::vector<std::size_t> digits(scope.size(), 0);
    std::vector<std::size_t> offsets(inputs, 0);
    std::vector<std::size_t> at(inputs);
    const std::size_t count = domain_[step.variable].size();
    for (std::size_t out = 0; out < step.best.size(); ++out) {
      at = offsets;
      for (std::size_t v = 0; v < count; ++v) {
        visit(out, v, at);
        for (std::size_t i = 0; i < inputs; ++i) at[i] += step.strides[i].back();
      }
      for (std::size_t d = scope.size(); d-- > 0;) {
        for (std::size_t i = 0; i < inputs; ++i) offsets[i] += step.strides[i][d];
        if (++digits[d] < domain_[scope[d]].size()) break;
        for (std::size_t i = 0; i < inputs; ++i) offsets[i] -= digits[d] * step.strides[i][d];
        digits[d] = 0;
      }
    }
  }

  double forward(std::span<const double> weights) {
    for (Block& block : blocks_) weigh(block, weights);
    for (Step& step : steps_) {
      std::vector<double>& output = factors_[step.output].table;
      std::fill(output.begin(), output.end(), kInfinity);
      for_each_entry(step, [&](std::size_t out, std::size_t v, const auto& at) {
        double sum = 0;
        for (std::size_t i = 0; i < at.size(); ++i) sum += factors_[step.inputs[i]].table[at[i]];
        if (sum < output[out]) {
          output[out] = sum;
          step.best[out] = v;
        }
      });
    }
    double least = 0;
    for (const Factor& factor : factors_) {
      if (factor.scope.empty()) least += factor.table[0];
    }
    return least;
  }

  void backward(double least) {
    for (Factor& factor : factors_) {
      factor.outside.assign(factor.table.size(), kInfinity);
      if (factor.scope.empty()) factor.outside[0] = least - factor.table[0];
    }
    for (std::size_t s = steps_.size(); s-- > 0;) {
      const Step& step = steps_[s];
      const std::vector<double>& outside = factors_[step.output].outside;
      for_each_entry(step, [&](std::size_t out, std::size_t, const auto& at) {
        double sum = outside[out];
        for (std::size_t i = 0; i < at.size(); ++i) sum += factors_[step.inputs[i]].table[at[i]];
        if (sum == kInfinity) return;
        for (std::size_t i = 0; i < at.size(); ++i) {
          Factor& input = factors_[step.inputs[i]];
          input.outside[at[i]] = std::min(input.outside[at[i]], sum - input.table[at[i]]);
        }
      });
    }
  }

  std::size_t most_entries_;
  std::size_t entries_ = 0;
  bool fits_ = true;
  std::vector<std::vector<BitWidth>> domain_;  // per variable, ascending
  std::vector<std::size_t> variable_of_group_;
  std::vector<Slot> slots_;      // per tensor
  std::vector<Maximum> maxima_;  // each after those that it is made of
  std::vector<Factor> factors_;  // of blocks, of maxima, of steps
  std::vector<Block> blocks_;
  std::vector<std::size_t> group_of_block_;
  std::vector<Step> steps_;
  std::vector<double> mean_;
};

}  // namespace

std::unique_ptr<Relaxation> linked_relaxation(const ReducedProblem& problem,
                                              std::size_t most_entries) {
  std::vector<std::uint32_t> ids(problem.origin.size());
  std::iota(ids.begin(), ids.end(), std::uint32_t{0});
  auto relaxation =
      std::make_unique<LinkedRelaxation>(problem, std::move(ids), problem.first, most_entries);
  if (!relaxation->fits()) return nullptr;
  return relaxation;
}

}  // namespace widthwise::search
