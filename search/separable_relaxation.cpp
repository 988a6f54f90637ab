#include <algorithm>

#include "search/relaxation.hpp"

namespace widthwise::search {

namespace {

class SeparableRelaxation : public Relaxation {
 public:
  explicit SeparableRelaxation(const ReducedProblem& problem) : Relaxation(problem) {
    base_.assign(problem.rows(), 0);
    for (std::size_t g = 0; g < problem.groups(); ++g) {
      for (std::uint32_t id = problem.first[g]; id < problem.first[g + 1]; ++id) ids_.push_back(id);
      close_group();
    }
    gather();
  }

  void minimize(std::span<const double> weights, Point& point) override {
    weigh(weights);
    point.rows = base_;
    point.options.resize(groups());
    const std::size_t count = options();
    for (std::size_t g = 0; g < groups(); ++g) {
      std::uint32_t best = first_[g];
      double least = weighted_[best];
      for (std::uint32_t o = best + 1; o < first_[g + 1]; ++o) {
        if (weighted_[o] < least) {
          least = weighted_[o];
          best = o;
        }
      }
      point.options[g] = best;
      const double* value = values_.data() + best;
      for (double& row : point.rows) {
        row += *value;
        value += count;
      }
    }
  }

  void marginals(std::span<const double> weights, std::vector<double>& rise) override {
    weigh(weights);
    rise.resize(options());
    for (std::size_t g = 0; g < groups(); ++g) {
      const auto begin = weighted_.begin() + first_[g];
      const auto end = weighted_.begin() + first_[g + 1];
      const double least = *std::min_element(begin, end);
      for (std::uint32_t o = first_[g]; o < first_[g + 1]; ++o) rise[o] = weighted_[o] - least;
    }
  }

  [[nodiscard]] std::vector<double> rows_of(std::span<const std::uint32_t> options) const override {
    std::vector<double> rows = base_;
    for (const std::uint32_t option : options) {
      for (std::size_t row = 0; row < rows.size(); ++row) rows[row] += value(row, option);
    }
    return rows;
  }

  [[nodiscard]] std::unique_ptr<Relaxation> restricted(
      const std::vector<char>& keep, std::vector<std::uint32_t>& renamed) const override {
    // Not make_unique: the constructor is private.
    std::unique_ptr<SeparableRelaxation> child(new SeparableRelaxation(*problem_, fixed_, base_));
    child->first_.reserve(first_.size());
    child->ids_.reserve(ids_.size());
    renamed.assign(options(), kGone);
    std::vector<std::uint32_t> source;
    source.reserve(options());
    for (std::size_t g = 0; g < groups(); ++g) {
      const std::size_t before = child->ids_.size();
      for (std::uint32_t o = first_[g]; o < first_[g + 1]; ++o) {
        if (!keep[o]) continue;
        renamed[o] = static_cast<std::uint32_t>(child->ids_.size());
        child->ids_.push_back(ids_[o]);
        source.push_back(o);
      }
      if (child->ids_.size() > before + 1) {
        child->first_.push_back(static_cast<std::uint32_t>(child->ids_.size()));
      } else {
        renamed[source.back()] = kFolded;
        child->fixed_.push_back(child->ids_.back());
        for (std::size_t row = 0; row < base_.size(); ++row) {
          child->base_[row] += value(row, source.back());
        }
        child->ids_.pop_back();
        source.pop_back();
      }
    }
    child->values_.resize(base_.size() * source.size());
    double* to = child->values_.data();
    for (std::size_t row = 0; row < base_.size(); ++row) {
      const double* from = values_.data() + row * options();
      for (const std::uint32_t o : source) *to++ = from[o];
    }
    return child;
  }

  [[nodiscard]] double value(std::size_t row, std::size_t option) const override {
    return values_[row * options() + option];
  }

  [[nodiscard]] bool is_separable() const override { return true; }

 private:
  SeparableRelaxation(const ReducedProblem& problem, const std::vector<std::uint32_t>& fixed,
                      const std::vector<double>& base)
      : Relaxation(problem), base_(base) {
    fixed_ = fixed;
  }

  /// The options added last are a group; if it is only one, it is fixed.
  void close_group() {
    if (ids_.size() > first_.back() + 1) {
      first_.push_back(static_cast<std::uint32_t>(ids_.size()));
      return;
    }
    for (std::size_t row = 0; row < base_.size(); ++row) {
      base_[row] += problem_->values[row][ids_.back()];
    }
    fixed_.push_back(ids_.back());
    ids_.pop_back();
  }

  void gather() {
    values_.reserve(base_.size() * options());
    for (const std::vector<double>& row : problem_->values) {
      for (const std::uint32_t id : ids_) values_.push_back(row[id]);
    }
  }

  void weigh(std::span<const double> weights) {
    const std::size_t count = options();
    weighted_.resize(count);
    double* const to = weighted_.data();
    const double* from = values_.data();
    for (std::size_t o = 0; o < count; ++o) to[o] = weights[0] * from[o];
    for (std::size_t row = 1; row < base_.size(); ++row) {
      from += count;
      const double weight = weights[row];
      if (weight == 0) continue;
      for (std::size_t o = 0; o < count; ++o) to[o] += weight * from[o];
    }
  }

  std::vector<double> base_;    // rows of what is fixed
  std::vector<double> values_;  // row-major
  std::vector<double> weighted_;
};

}  // namespace

std::vector<std::uint32_t> Relaxation::all_options(std::span<const std::uint32_t> options) const {
  std::vector<std::uint32_t> ids(fixed_);
  for (const std::uint32_t option : options) ids.push_back(ids_[option]);
  std::sort(ids.begin(), ids.end());  // options are numbered group by group
  return ids;
}

bool translate(std::span<const std::uint32_t> options, std::span<const std::uint32_t> renamed,
               std::vector<std::uint32_t>& translated) {
  translated.clear();
  for (const std::uint32_t option : options) {
    const std::uint32_t to = renamed[option];
    if (to == kGone) return false;
    if (to != kFolded) translated.push_back(to);
  }
  return true;
}

std::unique_ptr<Relaxation> separable_relaxation(const ReducedProblem& problem) {
  return std::make_unique<SeparableRelaxation>(problem);
}

}  // namespace widthwise::search
