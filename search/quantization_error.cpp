#include "search/quantization_error.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

constexpr double kPercentile = 0.999;
constexpr int kThresholds = 20;
constexpr int kRefinements = 10;

/// The least value of f on a bracket, after so many evaluations beyond the first two.
template <class F>
double golden_section(double low, double high, int evaluations, F&& f) {
  constexpr double kRatio = 0.6180339887498949;
  double a = high - kRatio * (high - low);
  double b = low + kRatio * (high - low);
  double at_a = f(a);
  double at_b = f(b);
  double least = std::min(at_a, at_b);
  for (int i = 0; i < evaluations; ++i) {
    if (at_a < at_b) {
      high = b;
      b = a;
      at_b = at_a;
      a = high - kRatio * (high - low);
      at_a = f(a);
    } else {
      low = a;
      a = b;
      at_a = at_b;
      b = low + kRatio * (high - low);
      at_b = f(b);
    }
    least = std::min({least, at_a, at_b});
  }
  return least;
}

/// Magnitudes, in ascending order: floats that are not negative sort as their bits do.
class RadixSort {
 public:
  void sort(std::vector<float>& values) {
    constexpr std::size_t kFew = 4096;
    if (values.size() < kFew) {
      std::sort(values.begin(), values.end());
      return;
    }
    constexpr unsigned kDigitBits = 11;
    constexpr std::uint32_t kMask = (1U << kDigitBits) - 1;
    other_.resize(values.size());
    for (unsigned shift = 0; shift < 32; shift += kDigitBits) {
      std::array<std::size_t, kMask + 1> starts{};
      for (const float value : values)
        ++starts[std::bit_cast<std::uint32_t>(value) >> shift & kMask];
      std::exclusive_scan(starts.begin(), starts.end(), starts.begin(), std::size_t{0});
      for (const float value : values) {
        other_[starts[std::bit_cast<std::uint32_t>(value) >> shift & kMask]++] = value;
      }
      values.swap(other_);
    }
  }

 private:
  std::vector<float> other_;
};

/// The values of one step: what quantizers of any step and width do to them.
class Run {
 public:
  /// Takes the magnitudes.
  void take(std::span<const float> values) {
    magnitudes_.resize(values.size());
    std::transform(values.begin(), values.end(), magnitudes_.begin(),
                   [](float value) { return std::abs(value); });
    sorter_.sort(magnitudes_);
    blocks_.assign(1, {});
    Sums sums;
    for (std::size_t i = 0; i < magnitudes_.size(); ++i) {
      sums.add(magnitudes_[i]);
      if ((i + 1) % kBlock == 0) blocks_.push_back(sums);
    }
    total_ = sums;
  }

  [[nodiscard]] double power() const { return total_.squares; }
  [[nodiscard]] double greatest() const { return magnitudes_.back(); }
  [[nodiscard]] double mean() const {
    return total_.values / static_cast<double>(magnitudes_.size());
  }

  /// The magnitude that so great a share of the values do not exceed.
  [[nodiscard]] double quantile(double share) const {
    const auto count = static_cast<double>(magnitudes_.size());
    const double rank = std::max(std::ceil(share * count), 1.0);
    return magnitudes_[static_cast<std::size_t>(rank) - 1];
  }

  /// Squared error of `levels` positive levels s (k + 1/2), value by value.
  [[nodiscard]] double error(double step, std::int64_t levels) const {
    const double inverse = 1 / step;
    const double last = static_cast<double>(levels) - 0.5;
    // Four sums side by side, which the compiler can work on at once.
    std::array<double, 4> sums{};
    const auto one = [&](float magnitude) {
      const double x = magnitude;
      const double level = static_cast<double>(static_cast<int>(std::min(x * inverse, last))) + 0.5;
      const double difference = x - level * step;
      return difference * difference;
    };
    std::size_t i = 0;
    for (; i + 4 <= magnitudes_.size(); i += 4) {
      for (std::size_t j = 0; j < 4; ++j) sums[j] += one(magnitudes_[i + j]);
    }
    for (; i < magnitudes_.size(); ++i) sums[0] += one(magnitudes_[i]);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }

  /// The same from sums over the values of each level, for the search: cheap for few levels, with
  /// an error of rounding that matters where the noise is 1e-12 of the power.
  [[nodiscard]] double quick_error(double step, std::int64_t levels) const {
    constexpr std::size_t kValuesPerLevel = 64;
    if (static_cast<std::size_t>(levels) > magnitudes_.size() / kValuesPerLevel) {
      return error(step, levels);
    }
    double sum = 0;
    std::size_t begin = 0;
    Sums before;
    for (std::int64_t k = 0; k < levels && begin < magnitudes_.size(); ++k) {
      std::size_t end = magnitudes_.size();
      Sums until = total_;
      if (k + 1 < levels) {
        const auto boundary = static_cast<float>(step * static_cast<double>(k + 1));
        const auto first = magnitudes_.begin() + static_cast<std::ptrdiff_t>(begin);
        end = static_cast<std::size_t>(std::lower_bound(first, magnitudes_.end(), boundary) -
                                       magnitudes_.begin());
        until = sums_before(end);
      }
      const double level = step * (static_cast<double>(k) + 0.5);
      sum += until.squares - before.squares - 2 * level * (until.values - before.values) +
             level * level * static_cast<double>(end - begin);
      begin = end;
      before = until;
    }
    return std::max(sum, 0.0);
  }

 private:
  struct Sums {
    double values = 0, squares = 0;
    void add(float value) {
      const double x = value;
      values += x;
      squares += x * x;
    }
  };
  static constexpr std::size_t kBlock = 32;

  [[nodiscard]] Sums sums_before(std::size_t end) const {
    Sums sums = blocks_[end / kBlock];
    for (std::size_t i = end / kBlock * kBlock; i < end; ++i) sums.add(magnitudes_[i]);
    return sums;
  }

  RadixSort sorter_;
  std::vector<float> magnitudes_;
  std::vector<Sums> blocks_;  // before each block
  Sums total_;
};

std::int64_t positive_levels(BitWidth bits) { return std::int64_t{1} << (bits - 1); }

/// Of a quantizer with its greatest level at the threshold.
double step_of(double threshold, std::int64_t levels) {
  return threshold / (static_cast<double>(levels) - 0.5);
}

/// sign(x) mean |x|.
double one_bit_error(const Run& run) { return run.error(2 * run.mean(), 1); }

double least_error(const Run& run, std::int64_t levels) {
  const double low = run.mean();
  const double high = run.greatest();
  const double ratio = std::log(high / low) / (kThresholds - 1);
  const auto threshold = [&](double position) {
    return position >= kThresholds - 1 ? high : low * std::exp(ratio * position);
  };
  double best_error = std::numeric_limits<double>::infinity();
  double best = 0;
  const auto look_at = [&](double position) {
    const double error = run.quick_error(step_of(threshold(position), levels), levels);
    if (error < best_error) {
      best_error = error;
      best = position;
    }
    return error;
  };
  for (int i = 0; i < kThresholds; ++i) look_at(i);
  golden_section(std::max(best - 1, 0.0), std::min(best + 1, kThresholds - 1.0), kRefinements,
                 look_at);
  return run.error(step_of(threshold(best), levels), levels);
}

/// Squared errors of widths 1 .. most, index 0 unused.
void add_least_errors(const Run& run, BitWidth most, std::vector<double>& sums) {
  double error = one_bit_error(run);
  sums[1] += error;
  for (BitWidth bits = 2; bits <= most; ++bits) {
    // One more bit with the same step has all levels of before.
    error = std::min(error, least_error(run, positive_levels(bits)));
    sums[static_cast<std::size_t>(bits)] += error;
  }
}

// The normal distribution.

double density(double x) {
  constexpr double kInverseRoot = 0.3989422804014327;  // 1 / sqrt(2 pi)
  return kInverseRoot * std::exp(-0.5 * x * x);
}

/// Integral of (x - level)^2 phi(x) by Gauss-Legendre with 8 points in panels of at most 1/2.
double cell_noise(double from, double to, double level) {
  constexpr std::array<double, 4> kPoints = {0.1834346424956498, 0.5255324099163290,
                                             0.7966664774136267, 0.9602898564975363};
  constexpr std::array<double, 4> kWeights = {0.3626837833783620, 0.3137066458778873,
                                              0.2223810344533745, 0.1012285362903763};
  const int panels = std::max(static_cast<int>(std::ceil(2 * (to - from))), 1);
  const double half = (to - from) / (2.0 * panels);
  double sum = 0;
  for (int panel = 0; panel < panels; ++panel) {
    const double middle = from + half * (2 * panel + 1);
    for (std::size_t i = 0; i < kPoints.size(); ++i) {
      for (const double x : {middle - half * kPoints[i], middle + half * kPoints[i]}) {
        sum += kWeights[i] * half * (x - level) * (x - level) * density(x);
      }
    }
  }
  return sum;
}

constexpr double kEnd = 12;  // beyond it there is less than 1e-32

/// Half of the noise: of x > 0.
double half_noise(double step, std::int64_t levels) {
  const bool has_zero = levels % 2 == 1;
  const double offset = has_zero ? 0 : 0.5;        // of the least level, in steps
  const std::int64_t positive = (levels + 1) / 2;  // and the one at 0
  double sum = 0;
  double from = 0;
  for (std::int64_t k = 0; k < positive && from < kEnd; ++k) {
    const double level = step * (static_cast<double>(k) + offset);
    const double to = k + 1 == positive ? kEnd : std::min(level + step / 2, kEnd);
    sum += cell_noise(from, to, level);
    from = to;
  }
  return sum;
}

}  // namespace

std::vector<double> weight_noise(std::span<const float> values, std::int64_t runs,
                                 Calibration calibration, std::span<const BitWidth> widths) {
  ensure(runs >= 1 && values.size() % static_cast<std::size_t>(runs) == 0,
         "the runs divide the values");
  for (const BitWidth bits : widths) {
    ensure(bits >= kMinOperandWidth && bits <= kMaxOperandWidth, "operands have 1..16 bits");
  }
  if (!std::all_of(values.begin(), values.end(),
                   [](float value) { return std::isfinite(value); })) {
    throw InputError({}, "", "a value that is not finite cannot be quantized");
  }
  const BitWidth most = widths.empty() ? 0 : *std::max_element(widths.begin(), widths.end());
  std::vector<double> errors(static_cast<std::size_t>(most) + 1, 0);
  double power = 0;
  const std::size_t length = values.size() / static_cast<std::size_t>(runs);
  Run run;
  for (std::size_t i = 0; i < static_cast<std::size_t>(runs) && length > 0 && most > 0; ++i) {
    run.take(values.subspan(i * length, length));
    if (run.greatest() == 0) continue;
    power += run.power();
    if (calibration == Calibration::mean_square) {
      add_least_errors(run, most, errors);
      continue;
    }
    double threshold = run.greatest();
    if (calibration == Calibration::percentile) {
      const double clipped = run.quantile(kPercentile);
      if (clipped > 0) threshold = clipped;
    }
    for (BitWidth bits = 1; bits <= most; ++bits) {
      if (std::find(widths.begin(), widths.end(), bits) == widths.end()) continue;
      const std::int64_t levels = positive_levels(bits);
      errors[static_cast<std::size_t>(bits)] +=
          bits == 1 ? one_bit_error(run) : run.error(step_of(threshold, levels), levels);
    }
  }
  std::vector<double> noise;
  for (const BitWidth bits : widths) {
    noise.push_back(power > 0 ? errors[static_cast<std::size_t>(bits)] / power : 0);
  }
  return noise;
}

double normal_noise(std::int64_t levels) {
  ensure(levels >= 2, "a quantizer has two levels");
  constexpr int kEvaluations = 40;
  // The threshold between the greatest levels lies between 1/2 and 10 standard deviations.
  const auto half = static_cast<double>(levels) / 2;
  return 2 *
         golden_section(std::log(0.5 / half), std::log(10 / half), kEvaluations,
                        [&](double log_step) { return half_noise(std::exp(log_step), levels); });
}

double activation_noise(ActivationShape shape, BitWidth bits) {
  ensure(bits >= kMinOperandWidth && bits <= kMaxOperandWidth, "operands have 1..16 bits");
  const std::int64_t levels = std::int64_t{1} << bits;
  return normal_noise(shape == ActivationShape::normal ? levels : 2 * levels - 1);
}

}  // namespace widthwise
