#include "train/bit_planes.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <string>

#include "models/base/error.hpp"
#include "models/base/quantity.hpp"

namespace widthwise {

namespace {

constexpr std::int64_t kWordBits = 64;
constexpr std::size_t kAlignment = 64;
constexpr int kThresholds = 100;  // of the clip search; the paper's code
/// Rows of different planes that are read together would meet in the same sets of the caches if
/// planes were a power of two apart.
constexpr std::int64_t kPlanePadding = 5 * 8;  // words

[[noreturn]] void refuse(const std::string& key, const std::string& message) {
  throw InputError({}, key, message);
}

void check_shape(std::size_t weights, std::int64_t rows, std::int64_t inputs) {
  if (rows < 1) refuse("rows", "expected at least 1, got " + std::to_string(rows));
  if (inputs < 1 || inputs > kMaxPlaneInputs) {
    refuse("inputs",
           "expected 1.." + std::to_string(kMaxPlaneInputs) + ", got " + std::to_string(inputs));
  }
  if (static_cast<std::int64_t>(weights) != rows * inputs) {
    refuse("weights", "expected " + std::to_string(rows) + " x " + std::to_string(inputs) +
                          " of them, got " + std::to_string(weights));
  }
}

void check_planes(int planes, int greatest) {
  if (planes < 1 || planes > greatest) {
    refuse("planes", "expected 1.." + std::to_string(greatest) + ", got " + std::to_string(planes));
  }
}

/// Largest magnitude; 0 if all are zero.
double greatest_magnitude(std::span<const float> values, const char* key) {
  // As bits, magnitudes are in order, and what is not finite is above.
  constexpr std::int32_t kMagnitude = 0x7fffffff;
  constexpr std::int32_t kInfinite = 0x7f800000;
  std::int32_t greatest = 0;
  for (const float value : values) {
    const std::int32_t bits = std::bit_cast<std::int32_t>(value) & kMagnitude;
    greatest = bits > greatest ? bits : greatest;
  }
  if (greatest >= kInfinite) refuse(key, "a value that is not a finite number");
  return static_cast<double>(std::bit_cast<float>(greatest));
}

/// To the nearest integer, ties to even, for magnitudes below 2^51; vectorizes everywhere.
double nearest(double value) {
  constexpr double kShift = 6755399441055744.0;  // 1.5 x 2^52
  return (value + kShift) - kShift;
}

std::int32_t fixed_point(double value, double inverse, double limit) {
  double places = nearest(value * inverse);
  places = places < limit ? places : limit;  // as vector instructions do it
  places = places > -limit ? places : -limit;
  return static_cast<std::int32_t>(places);
}

/// Mean absolute error of the weights with `used` of `planes` planes, the middle of what was cut
/// off in place of it.
double clip_error(std::span<const float> weights, double clip, int planes, int used) {
  const double limit = static_cast<double>((1 << planes) - 1);
  const double scale = clip / limit;
  const int cut = planes - used;
  const double middle = (static_cast<double>(1 << cut) - 1) / 2;
  double error = 0;
  for (const float weight : weights) {
    const std::int32_t value = fixed_point(weight, 1 / scale, limit);
    const std::int32_t kept = (value >> cut) * (1 << cut);
    error += std::fabs(static_cast<double>(weight) - scale * (kept + middle));
  }
  return error;
}

double find_clip(std::span<const float> weights, double greatest, const PlaneOptions& options) {
  if (!options.search_clip) return greatest;
  const int used = options.clip_planes == 0 ? options.planes : options.clip_planes;
  double best = greatest;
  double least = std::numeric_limits<double>::infinity();
  for (int step = kThresholds; step >= 1; --step) {
    const double clip = greatest * step / kThresholds;
    const double error = clip_error(weights, clip, options.planes, used);
    if (error < least) {
      least = error;
      best = clip;
    }
  }
  return best;
}

/// Rows that a part of `parts` does.
std::pair<std::int64_t, std::int64_t> share(std::int64_t rows, int part, int parts) {
  const std::int64_t first = rows * part / parts;
  return {first, rows * (part + 1) / parts - first};
}

template <class Job>
void run_rows(const Job& job, void (*kernel)(const Job&), PlaneWorkers* workers) {
  if (workers == nullptr || workers->threads() == 1) return kernel(job);
  workers->run([&](int part) {
    Job mine = job;
    std::tie(mine.first_row, mine.rows) = share(job.rows, part, workers->threads());
    if (mine.rows > 0) kernel(mine);
  });
}

void check_product(std::int64_t inputs, std::int64_t rows, const PlaneActivations& x,
                   std::size_t sums) {
  if (x.inputs() != inputs) {
    refuse("activations",
           "expected " + std::to_string(inputs) + " of them, got " + std::to_string(x.inputs()));
  }
  ensure(static_cast<std::int64_t>(sums) == rows, "one sum per row");
}

}  // namespace

void PlaneWords::Free::operator()(std::uint64_t* words) const { std::free(words); }

PlaneWords::PlaneWords(std::size_t count) : count_(count) {
  const std::size_t bytes =
      (count * sizeof(std::uint64_t) + kAlignment - 1) / kAlignment * kAlignment;
  words_.reset(
      static_cast<std::uint64_t*>(std::aligned_alloc(kAlignment, std::max(bytes, kAlignment))));
  if (words_ == nullptr) throw std::bad_alloc();
  std::memset(words_.get(), 0, bytes);
}

BitPlanes::BitPlanes(std::int64_t rows, std::int64_t inputs, int planes)
    : rows_(rows),
      inputs_(inputs),
      planes_(planes),
      row_words_(ceil_div(inputs, kWordBits)),
      plane_words_(round_up(rows * row_words_, 8) + kPlanePadding),
      words_(static_cast<std::size_t>(plane_words_ * (planes + 1))),
      lines_(static_cast<std::size_t>(planes * rows)) {}

BitPlanes::BitPlanes(std::span<const float> weights, std::int64_t rows, std::int64_t inputs,
                     const PlaneOptions& options) {
  check_shape(weights.size(), rows, inputs);
  check_planes(options.planes, kMaxPlanes);
  if (options.clip_planes != 0) check_planes(options.clip_planes, options.planes);
  const double greatest = greatest_magnitude(weights, "weights");
  *this = BitPlanes(rows, inputs, options.planes);
  const double limit = static_cast<double>((1 << planes_) - 1);
  if (greatest > 0) scale_ = find_clip(weights, greatest, options) / limit;
  std::vector<std::int32_t> values(static_cast<std::size_t>(inputs));
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* from = weights.data() + row * inputs;
    for (std::int64_t i = 0; i < inputs; ++i) {
      values[static_cast<std::size_t>(i)] = fixed_point(from[i], 1 / scale_, limit);
    }
    pack_row(row, values.data());
    if (options.reconstruction == Reconstruction::fitted) {
      fit_row(row, from, values.data());
    } else {
      for (int n = 1; n <= planes_; ++n) {
        lines_[static_cast<std::size_t>((n - 1) * rows_ + row)] = {
            scale_ * static_cast<double>(1 << (planes_ - n)), 0};
      }
    }
  }
}

BitPlanes BitPlanes::from_integers(std::span<const std::int32_t> weights, std::int64_t rows,
                                   std::int64_t inputs, int planes) {
  check_shape(weights.size(), rows, inputs);
  check_planes(planes, kMaxPlanes);
  for (const std::int32_t weight : weights) {
    if (weight < -(1 << planes) || weight >= 1 << planes) {
      refuse("weights", std::to_string(weight) + " has more than " + std::to_string(planes) +
                            " planes and a sign");
    }
  }
  BitPlanes matrix(rows, inputs, planes);
  for (std::int64_t row = 0; row < rows; ++row) {
    matrix.pack_row(row, weights.data() + row * inputs);
    for (int n = 1; n <= planes; ++n) {
      matrix.lines_[static_cast<std::size_t>((n - 1) * rows + row)] = {
          static_cast<double>(1 << (planes - n)), 0};
    }
  }
  return matrix;
}

void BitPlanes::pack_row(std::int64_t row, const std::int32_t* values) {
  for (int plane = 0; plane <= planes_; ++plane) {
    std::uint64_t* words = words_.data() + plane * plane_words_ + row * row_words_;
    const int place = planes_ - plane;  // the sign's: planes_
    for (std::int64_t i = 0; i < inputs_; ++i) {
      const auto bit = static_cast<std::uint64_t>(static_cast<std::uint32_t>(values[i]) >> place);
      words[i / kWordBits] |= (bit & 1) << (i % kWordBits);
    }
  }
}

/// Least squares over the row, for every number of planes.
void BitPlanes::fit_row(std::int64_t row, const float* weights, const std::int32_t* values) {
  const auto count = static_cast<double>(inputs_);
  for (int n = 1; n <= planes_; ++n) {
    const int cut = planes_ - n;
    std::int64_t sum = 0;
    std::int64_t squares = 0;
    double weight_sum = 0;
    double products = 0;
    for (std::int64_t i = 0; i < inputs_; ++i) {
      const std::int64_t value = values[i] >> cut;
      sum += value;
      squares += value * value;
      weight_sum += static_cast<double>(weights[i]);
      products += static_cast<double>(weights[i]) * static_cast<double>(value);
    }
    const double mean = static_cast<double>(sum) / count;
    const double spread = static_cast<double>(squares) - mean * static_cast<double>(sum);
    PlaneLine& line = lines_[static_cast<std::size_t>((n - 1) * rows_ + row)];
    // A row of one value only has no slope; any will do.
    line.slope = spread > 0.5 / count ? (products - mean * weight_sum) / spread
                                      : scale_ * static_cast<double>(1 << cut);
    line.offset = weight_sum / count - line.slope * mean;
  }
}

std::int32_t BitPlanes::value(std::int64_t row, std::int64_t input, int planes) const {
  std::int32_t value = 0;
  for (int plane = 0; plane <= planes; ++plane) {
    const std::uint64_t word =
        words_.data()[plane * plane_words_ + row * row_words_ + input / kWordBits];
    const auto bit = static_cast<std::int32_t>((word >> (input % kWordBits)) & 1);
    value = 2 * value + (plane == 0 ? -bit : bit);
  }
  return value;
}

void PlaneActivations::set(std::span<const float> x, int bits, double greatest) {
  if (bits != 8 && bits != 16 && bits != 32) {
    refuse("activation_bits", "expected 8, 16 or 32, got " + std::to_string(bits));
  }
  const double largest = greatest_magnitude(x, "activations");
  const double limit = static_cast<double>((std::int64_t{1} << (bits - 1)) - 1);
  const double top = greatest > 0 ? greatest : largest;
  scale_ = top > 0 ? top / limit : 1;
  values_.assign(static_cast<std::size_t>(round_up(static_cast<std::int64_t>(x.size()), kWordBits)),
                 0);
  const double inverse = 1 / scale_;
  for (std::size_t i = 0; i < x.size(); ++i) values_[i] = fixed_point(x[i], inverse, limit);
  prepare(static_cast<std::int64_t>(x.size()), bits);
}

void PlaneActivations::set_integers(std::span<const std::int32_t> x, int bits) {
  if (bits != 8 && bits != 16 && bits != 32) {
    refuse("activation_bits", "expected 8, 16 or 32, got " + std::to_string(bits));
  }
  const std::int64_t limit = std::int64_t{1} << (bits - 1);
  for (const std::int32_t value : x) {
    if (value < -limit || value >= limit) {
      refuse("activations",
             std::to_string(value) + " has more than " + std::to_string(bits) + " bits");
    }
  }
  scale_ = 1;
  values_.assign(static_cast<std::size_t>(round_up(static_cast<std::int64_t>(x.size()), kWordBits)),
                 0);
  std::copy(x.begin(), x.end(), values_.begin());
  prepare(static_cast<std::int64_t>(x.size()), bits);
}

void PlaneActivations::prepare(std::int64_t inputs, int bits) {
  inputs_ = inputs;
  bits_ = bits;
  sum_ = 0;
  std::int64_t sums[4] = {};
  for (const std::int32_t value : values_) {
    sum_ += value;
    const auto unsigned_value = static_cast<std::uint32_t>(value);
    sums[0] += unsigned_value & 0xff;
    sums[1] += unsigned_value >> 8 & 0xff;
    sums[2] += unsigned_value >> 16 & 0xff;
  }
  // What the signed top byte adds up to is what the lower bytes leave.
  const int top = bits / 8 - 1;
  std::int64_t lower = 0;
  for (int byte = 0; byte < top; ++byte) lower += sums[byte] * (std::int64_t{1} << (8 * byte));
  for (int byte = 0; byte < 4; ++byte) byte_sums_[byte] = byte < top ? sums[byte] : 0;
  byte_sums_[top] = (sum_ - lower) / (std::int64_t{1} << (8 * top));  // exact

  const std::int64_t words = static_cast<std::int64_t>(values_.size()) / kWordBits;
  const auto needed = static_cast<std::size_t>(kernel_->prepared_words(words, bits));
  if (prepared_.size() < needed) prepared_ = PlaneWords(needed);
  kernel_->prepare(values_.data(), words, bits, prepared_.data());
}

void multiply(const BitPlanes& weights, int planes, const PlaneActivations& x,
              std::span<std::int64_t> sums, PlaneWorkers* workers) {
  check_planes(planes, weights.planes());
  check_product(weights.inputs(), weights.rows(), x, sums.size());
  PlaneJob job;
  job.weights = weights.words();
  job.plane_words = weights.plane_words();
  job.row_words = weights.row_words();
  job.rows = weights.rows();
  job.planes = planes + 1;
  job.bits = x.bits();
  job.x = x.prepared();
  std::copy(x.byte_sums(), x.byte_sums() + 4, job.x_byte_sums);
  job.sums = sums.data();
  run_rows(job, x.kernel().multiply, workers);
}

void multiply_plainly(const BitPlanes& weights, int planes, const PlaneActivations& x,
                      std::span<std::int64_t> sums) {
  check_planes(planes, weights.planes());
  check_product(weights.inputs(), weights.rows(), x, sums.size());
  for (std::int64_t row = 0; row < weights.rows(); ++row) {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < weights.inputs(); ++i) {
      sum += static_cast<std::int64_t>(weights.value(row, i, planes)) *
             x.values()[static_cast<std::size_t>(i)];
    }
    sums[static_cast<std::size_t>(row)] = sum;
  }
}

void reconstruct(const BitPlanes& weights, int planes, const PlaneActivations& x,
                 std::span<const std::int64_t> sums, std::span<const float> bias,
                 std::span<float> y) {
  ensure(sums.size() == y.size() && (bias.empty() || bias.size() == y.size()),
         "one output per row");
  const auto x_sum = static_cast<double>(x.sum());
  for (std::size_t row = 0; row < y.size(); ++row) {
    const PlaneLine line = weights.line(static_cast<std::int64_t>(row), planes);
    const double product = line.slope * static_cast<double>(sums[row]) + line.offset * x_sum;
    const double start = bias.empty() ? 0.0 : static_cast<double>(bias[row]);
    y[row] = static_cast<float>(start + x.scale() * product);
  }
}

Int8Matrix::Int8Matrix(std::span<const float> weights, std::int64_t rows, std::int64_t inputs)
    : rows_(rows), inputs_(inputs) {
  check_shape(weights.size(), rows, inputs);
  greatest_magnitude(weights, "weights");  // all are finite
  row_bytes_ = round_up(inputs, kWordBits);
  bytes_ = PlaneWords(static_cast<std::size_t>(rows * row_bytes_ / 8));
  scales_.resize(static_cast<std::size_t>(rows));
  auto* bytes = reinterpret_cast<std::uint8_t*>(bytes_.data());
  constexpr double kLimit = 127;
  constexpr int kOffset = 128;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::span<const float> from =
        weights.subspan(static_cast<std::size_t>(row * inputs), static_cast<std::size_t>(inputs));
    const double greatest = greatest_magnitude(from, "weights");
    const double scale = greatest > 0 ? greatest / kLimit : 1;
    scales_[static_cast<std::size_t>(row)] = static_cast<float>(scale);
    for (std::int64_t i = 0; i < inputs; ++i) {
      bytes[row * row_bytes_ + i] = static_cast<std::uint8_t>(
          kOffset + fixed_point(from[static_cast<std::size_t>(i)], 1 / scale, kLimit));
    }
  }
}

void Int8Matrix::multiply(const PlaneActivations& x, std::span<std::int32_t> sums,
                          PlaneWorkers* workers) const {
  check_product(inputs_, rows_, x, sums.size());
  if (x.bits() != 8) refuse("activation_bits", "expected 8, got " + std::to_string(x.bits()));
  std::vector<std::int8_t> bytes(static_cast<std::size_t>(row_bytes_));
  std::transform(x.values().begin(), x.values().end(), bytes.begin(),
                 [](std::int32_t value) { return static_cast<std::int8_t>(value); });
  Int8Job job;
  job.weights = reinterpret_cast<const std::uint8_t*>(bytes_.data());
  job.row_bytes = row_bytes_;
  job.rows = rows_;
  job.x = bytes.data();
  job.x_sum = x.sum();
  job.sums = sums.data();
  run_rows(job, x.kernel().int8, workers);
}

void Int8Matrix::scale(const PlaneActivations& x, std::span<const std::int32_t> sums,
                       std::span<const float> bias, std::span<float> y) const {
  ensure(sums.size() == y.size() && (bias.empty() || bias.size() == y.size()),
         "one output per row");
  for (std::size_t row = 0; row < y.size(); ++row) {
    const double start = bias.empty() ? 0.0 : static_cast<double>(bias[row]);
    y[row] = static_cast<float>(start + x.scale() * static_cast<double>(scales_[row]) *
                                            static_cast<double>(sums[row]));
  }
}

}  // namespace widthwise
