#include "search/polish.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace widthwise::search {

namespace {

constexpr std::size_t kCandidates = 400;
constexpr std::size_t kLinkedCandidates = 120;
constexpr std::size_t kLinkedPairs = 40;
constexpr std::size_t kMostRounds = 60;
constexpr double kLeastGain = 1e-12;

class Polish {
 public:
  Polish(const Relaxation& relaxation, const std::vector<double>& rise,
         std::vector<std::uint32_t>& options)
      : relaxation_(relaxation),
        limits_(relaxation.problem().limits),
        rise_(rise),
        options_(options),
        rows_(relaxation.rows_of(options)) {
    group_of_.resize(relaxation.options());
    for (std::size_t g = 0; g < relaxation.groups(); ++g) {
      for (std::uint32_t o = relaxation.first()[g]; o < relaxation.first()[g + 1]; ++o) {
        group_of_[o] = static_cast<std::uint32_t>(g);
        if (std::isfinite(rise[o])) candidates_.push_back(o);
      }
    }
  }

  bool run() {
    if (!repair()) return false;
    const auto by_rise = [this](std::uint32_t a, std::uint32_t b) {
      return rise_[a] < rise_[b] || (rise_[a] == rise_[b] && a < b);
    };
    possible_ = candidates_;
    // Changes, and the ways back.
    std::erase_if(candidates_, [&](std::uint32_t o) { return is_chosen(o); });
    const std::size_t most = relaxation_.is_separable() ? kCandidates : kLinkedCandidates;
    if (candidates_.size() > most) {
      const auto middle = candidates_.begin() + static_cast<std::ptrdiff_t>(most);
      std::nth_element(candidates_.begin(), middle, candidates_.end(), by_rise);
      candidates_.erase(middle, candidates_.end());
    }
    std::sort(candidates_.begin(), candidates_.end(), by_rise);
    std::vector<char> seen(relaxation_.groups(), 0);
    const std::size_t changes = candidates_.size();
    for (std::size_t i = 0; i < changes; ++i) {
      const std::uint32_t group = group_of_[candidates_[i]];
      if (seen[group] == 0) candidates_.push_back(options_[group]);
      seen[group] = 1;
    }
    std::size_t rounds = 0;
    while (rounds++ < kMostRounds && (improve_by_one() || improve_by_two())) {
    }
    return true;
  }

 private:
  [[nodiscard]] double excess(const std::vector<double>& rows) const {
    double sum = 0;
    for (std::size_t k = 0; k < limits_.size(); ++k) {
      sum += std::max(0.0, rows[k + 1] - limits_[k]);
    }
    return sum;
  }

  /// The rows after option `o` has taken the place of its group's.
  void after(std::uint32_t o, std::vector<double>& rows) {
    std::uint32_t& chosen = options_[group_of_[o]];
    if (relaxation_.is_separable()) {
      for (std::size_t row = 0; row < rows.size(); ++row) {
        rows[row] = rows_[row] + (relaxation_.value(row, o) - relaxation_.value(row, chosen));
      }
      return;
    }
    const std::uint32_t before = chosen;
    chosen = o;
    rows = relaxation_.rows_of(options_);
    chosen = before;
  }

  bool is_chosen(std::uint32_t o) const { return options_[group_of_[o]] == o; }

  void take(std::uint32_t o) {
    options_[group_of_[o]] = o;
    rows_ = relaxation_.rows_of(options_);
  }

  bool repair() {
    std::vector<double> rows(rows_.size());
    double current = excess(rows_);
    for (std::size_t steps = 0; current > 0; ++steps) {
      if (steps > 4 * relaxation_.groups() + 16) return false;
      std::uint32_t best = kGone;
      double best_ratio = std::numeric_limits<double>::infinity();
      for (const std::uint32_t o : candidates_) {
        if (is_chosen(o)) continue;
        after(o, rows);
        const double gain = current - excess(rows);
        if (gain <= kLeastGain) continue;
        // The last change need not take away more than is left.
        const double ratio = (rise_[o] - rise_[options_[group_of_[o]]] + 1e-9) / gain;
        if (best == kGone || ratio < best_ratio) {
          best = o;
          best_ratio = ratio;
        }
      }
      if (best == kGone) return false;
      take(best);
      current = excess(rows_);
    }
    return true;
  }

  bool improve_by_one() {
    std::vector<double> rows(rows_.size());
    std::uint32_t best = kGone;
    double least = rows_[0] - kLeastGain;
    for (const std::uint32_t o : relaxation_.is_separable() ? possible_ : candidates_) {
      if (is_chosen(o)) continue;
      after(o, rows);
      if (rows[0] < least && excess(rows) <= 0) {
        least = rows[0];
        best = o;
      }
    }
    if (best == kGone) return false;
    take(best);
    return true;
  }

  bool improve_by_two() {
    return relaxation_.is_separable() ? improve_separable_pair() : improve_linked_pair();
  }

  bool improve_separable_pair() {
    const std::size_t width = rows_.size();
    std::vector<std::uint32_t> moves;
    std::vector<double> change;  // move after move
    for (const std::uint32_t o : candidates_) {
      if (is_chosen(o)) continue;
      moves.push_back(o);
      for (std::size_t row = 0; row < width; ++row) {
        change.push_back(relaxation_.value(row, o) -
                         relaxation_.value(row, options_[group_of_[o]]));
      }
    }
    std::vector<double> room(width);
    for (std::size_t k = 0; k < limits_.size(); ++k) room[k + 1] = limits_[k] - rows_[k + 1];
    double least = -kLeastGain;
    std::size_t first = moves.size();
    std::size_t second = moves.size();
    for (std::size_t i = 0; i < moves.size(); ++i) {
      const double* a = change.data() + i * width;
      for (std::size_t j = i + 1; j < moves.size(); ++j) {
        const double* b = change.data() + j * width;
        if (a[0] + b[0] >= least || group_of_[moves[i]] == group_of_[moves[j]]) continue;
        bool within = true;
        for (std::size_t row = 1; row < width && within; ++row) {
          within = a[row] + b[row] <= room[row];
        }
        if (!within) continue;
        least = a[0] + b[0];
        first = i;
        second = j;
      }
    }
    if (first == moves.size()) return false;
    options_[group_of_[moves[first]]] = moves[first];
    take(moves[second]);
    return true;
  }

  bool improve_linked_pair() {
    const std::size_t count = std::min(kLinkedPairs, candidates_.size());
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = i + 1; j < count; ++j) {
        const std::uint32_t a = candidates_[i];
        const std::uint32_t b = candidates_[j];
        if (group_of_[a] == group_of_[b] || is_chosen(a) || is_chosen(b)) continue;
        const std::uint32_t before_a = options_[group_of_[a]];
        const std::uint32_t before_b = options_[group_of_[b]];
        options_[group_of_[a]] = a;
        options_[group_of_[b]] = b;
        std::vector<double> rows = relaxation_.rows_of(options_);
        if (rows[0] < rows_[0] - kLeastGain && excess(rows) <= 0) {
          rows_ = std::move(rows);
          return true;
        }
        options_[group_of_[a]] = before_a;
        options_[group_of_[b]] = before_b;
      }
    }
    return false;
  }

  const Relaxation& relaxation_;
  const std::vector<double>& limits_;
  const std::vector<double>& rise_;
  std::vector<std::uint32_t>& options_;
  std::vector<double> rows_;
  std::vector<std::uint32_t> group_of_;
  std::vector<std::uint32_t> candidates_;
  std::vector<std::uint32_t> possible_;  // all of them, before the choice of some
};

}  // namespace

bool polish(const Relaxation& relaxation, const std::vector<double>& rise,
            std::vector<std::uint32_t>& options) {
  return Polish(relaxation, rise, options).run();
}

}  // namespace widthwise::search
