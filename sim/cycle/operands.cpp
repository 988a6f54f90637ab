#include "sim/cycle/operands.hpp"

#include <algorithm>
#include <cstdlib>

#include "models/base/error.hpp"
#include "sim/cycle/kernels.hpp"

namespace widthwise::sim {

namespace {

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a counter turned into random bits.
class RandomBits {
 public:
  explicit RandomBits(std::uint64_t seed) : state_(seed) {}
  std::uint64_t operator()() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t bits = state_;
    bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9U;
    bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111ebU;
    return bits ^ (bits >> 31U);
  }

 private:
  std::uint64_t state_;
};

/// FNV-1a.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325U;
  for (const char c : text) {
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return value;
}

/// Three values from each 64 random bits; the ranges are powers of two.
void fill(std::vector<std::int32_t>& values, IntegerFormat format, RandomBits& random) {
  constexpr std::size_t kParts = 3;
  constexpr unsigned kPartBits = 20;
  const std::uint64_t mask = (std::uint64_t{1} << static_cast<unsigned>(format.bits)) - 1;
  const std::int32_t low = format.low();
  for (std::size_t i = 0; i < values.size(); i += kParts) {
    std::uint64_t bits = random();
    for (std::size_t j = i; j < std::min(i + kParts, values.size()); ++j, bits >>= kPartBits) {
      values[j] = low + static_cast<std::int32_t>(bits & mask);
    }
  }
}

int bits_for(std::int64_t magnitude) {
  int bits = 1;
  while ((std::int64_t{1} << (bits - 1)) - 1 < magnitude) ++bits;
  return bits;
}

template <class Sum>
void multiply_all(const LayerOperands& operands, const SumKernels<Sum>& kernels,
                  std::vector<std::int64_t>& result) {
  const ComputeShape& shape = operands.shape;
  const std::int64_t kernel = shape.kernel_h * shape.kernel_w;
  const std::int64_t k = shape.k();
  const std::int64_t n = shape.n();
  const std::int64_t channels = shape.groups * shape.in_channels;
  std::vector<std::int32_t> row(static_cast<std::size_t>(shape.out_w * k));
  std::vector<Sum> sums(static_cast<std::size_t>(shape.out_w * n));
  for (std::int64_t group = 0; group < shape.groups; ++group) {
    const std::int32_t* weights = operands.weights.data() + group * k * n;
    for (std::int64_t line = 0; line < shape.batch * shape.out_h; ++line) {
      const std::int64_t image = line / shape.out_h;
      const std::int64_t y0 = line % shape.out_h * shape.stride_h - shape.pad_top;
      std::int32_t* to = row.data();
      for (std::int64_t ox = 0; ox < shape.out_w; ++ox) {
        const std::int64_t x0 = ox * shape.stride_w - shape.pad_left;
        for (std::int64_t c = 0; c < shape.in_channels; ++c) {
          const std::int32_t* plane =
              operands.input.data() +
              (image * channels + group * shape.in_channels + c) * shape.in_h * shape.in_w;
          for (std::int64_t position = 0; position < kernel; ++position) {
            const std::int64_t y = y0 + position / shape.kernel_w * shape.dilation_h;
            const std::int64_t x = x0 + position % shape.kernel_w * shape.dilation_w;
            const bool inside = y >= 0 && y < shape.in_h && x >= 0 && x < shape.in_w;
            *to++ = inside ? plane[y * shape.in_w + x] : 0;
          }
        }
      }
      std::fill(sums.begin(), sums.end(), 0);
      kernels.multiply(sums.data(), row.data(), weights, shape.out_w, n, k);
      std::copy(sums.begin(), sums.end(),
                result.begin() + (group * shape.m() + line * shape.out_w) * n);
    }
  }
}

}  // namespace

int LayerOperands::safe_accumulator_bits() const {
  const auto most = [](IntegerFormat format) {
    return std::max<std::int64_t>(std::abs(static_cast<std::int64_t>(format.low())), format.high());
  };
  return bits_for(shape.k() * most(weight) * most(activation));
}

LayerOperands random_operands(const ComputeShape& shape, IntegerFormat weight,
                              IntegerFormat activation, std::uint64_t seed,
                              std::string_view layer) {
  LayerOperands operands;
  operands.shape = shape;
  operands.weight = weight;
  operands.activation = activation;
  operands.input.resize(static_cast<std::size_t>(shape.input_elements()));
  operands.weights.resize(static_cast<std::size_t>(shape.weight_elements()));
  RandomBits random(seed ^ hash(layer));
  fill(operands.input, activation, random);
  fill(operands.weights, weight, random);
  return operands;
}

void set_weights(LayerOperands& operands, const std::vector<std::int32_t>& values) {
  ensure(values.size() == operands.weights.size(), "a layer has as many weights as its shape says");
  const std::int64_t k = operands.shape.k();
  const std::int64_t n = operands.shape.n();
  for (std::int64_t group = 0; group < operands.shape.groups; ++group) {
    const std::int32_t* from = values.data() + group * n * k;
    std::int32_t* to = operands.weights.data() + group * n * k;
    for (std::int64_t output = 0; output < n; ++output) {
      for (std::int64_t term = 0; term < k; ++term) to[term * n + output] = from[output * k + term];
    }
  }
}

std::vector<std::int64_t> plain_result(const LayerOperands& operands) {
  std::vector<std::int64_t> result(static_cast<std::size_t>(operands.shape.output_elements()));
  const Kernels& kernels = best_kernels();
  constexpr int kNarrow = 32;
  if (operands.safe_accumulator_bits() <= kNarrow) {
    multiply_all(operands, kernels.narrow, result);
  } else {
    multiply_all(operands, kernels.wide, result);
  }
  return result;
}

}  // namespace widthwise::sim
