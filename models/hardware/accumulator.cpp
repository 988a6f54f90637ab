#include "models/hardware/accumulator.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

// Up to 2^48 terms of products of 32 bits.
__extension__ using Wide = unsigned __int128;

constexpr std::int64_t kMostTerms = std::int64_t{1} << 48;

int bit_width(Wide value) {
  const auto high = static_cast<std::uint64_t>(value >> 64);
  return high != 0 ? 64 + static_cast<int>(std::bit_width(high))
                   : static_cast<int>(std::bit_width(static_cast<std::uint64_t>(value)));
}

/// Two's complement that holds a greatest sum, and one that holds a least sum of that magnitude.
BitWidth bits_for_greatest(Wide magnitude) { return bit_width(magnitude) + 1; }
BitWidth bits_for_least(Wide magnitude) {
  return magnitude == 0 ? 1 : bit_width(magnitude - 1) + 1;
}

Wide as_wide(std::int64_t value) { return static_cast<Wide>(value); }

void check_operand(BitWidth bits) {
  ensure(bits >= kMinOperandWidth && bits <= kMaxOperandWidth, "operands have 1..16 bits");
}

}  // namespace

std::int64_t l1_norm(std::span<const std::int32_t> weights) {
  std::int64_t norm = 0;
  for (const std::int32_t weight : weights) norm += std::abs(std::int64_t{weight});
  return norm;
}

bool accumulator_is_safe(std::int64_t l1_norm, BitWidth accumulator_bits, BitWidth activation_bits,
                         bool signed_activations) {
  check_operand(activation_bits);
  ensure(l1_norm >= 0 && accumulator_bits >= 1 && accumulator_bits <= 64,
         "an accumulator has 1..64 bits");
  const int shift = activation_bits - (signed_activations ? 1 : 0);
  return as_wide(l1_norm) << shift <= (Wide{1} << (accumulator_bits - 1)) - 1;
}

BitWidth safe_accumulator_bits(std::int64_t l1_norm, BitWidth activation_bits,
                               bool signed_activations) {
  check_operand(activation_bits);
  ensure(l1_norm >= 0, "a norm is not negative");
  return bits_for_greatest(as_wide(l1_norm) << (activation_bits - (signed_activations ? 1 : 0)));
}

SumRange sum_range(std::span<const std::int32_t> weights, BitWidth activation_bits,
                   bool signed_activations) {
  check_operand(activation_bits);
  std::int64_t positive = 0;
  std::int64_t negative = 0;
  for (const std::int32_t weight : weights) {
    (weight > 0 ? positive : negative) += std::abs(std::int64_t{weight});
  }
  constexpr int kSumBits = 62;
  ensure(std::max(positive, negative) < std::int64_t{1} << (kSumBits - activation_bits),
         "sums fit in 64 bits");
  const std::int64_t half = std::int64_t{1} << (activation_bits - 1);
  const std::int64_t most = signed_activations ? half - 1 : 2 * half - 1;
  const std::int64_t least = signed_activations ? half : 0;  // magnitude
  return {-(positive * least + negative * most), positive * most + negative * least};
}

BitWidth bits_for(const SumRange& range) {
  BitWidth bits = 1;
  if (range.greatest > 0) bits = std::max(bits, bits_for_greatest(as_wide(range.greatest)));
  // -(least + 1) is what is left of the magnitude, and cannot overflow.
  if (range.least < 0) bits = std::max(bits, bit_width(as_wide(-(range.least + 1))) + 1);
  return bits;
}

BitWidth exact_accumulator_bits(std::span<const std::int32_t> weights, BitWidth activation_bits,
                                bool signed_activations) {
  return bits_for(sum_range(weights, activation_bits, signed_activations));
}

BitWidth worst_case_accumulator_bits(std::int64_t terms, BitWidth weight_bits,
                                     BitWidth activation_bits, bool signed_weights,
                                     bool signed_activations) {
  check_operand(weight_bits);
  check_operand(activation_bits);
  ensure(terms >= 1 && terms <= kMostTerms, "a dot product has 1..2^48 terms");
  // Of an operand: the magnitudes of its least and of its greatest value.
  const auto least = [](BitWidth bits, bool is_signed) {
    return is_signed ? Wide{1} << (bits - 1) : Wide{0};
  };
  const auto most = [](BitWidth bits, bool is_signed) {
    return (Wide{1} << (is_signed ? bits - 1 : bits)) - 1;
  };
  const Wide w_least = least(weight_bits, signed_weights);
  const Wide w_most = most(weight_bits, signed_weights);
  const Wide a_least = least(activation_bits, signed_activations);
  const Wide a_most = most(activation_bits, signed_activations);
  const Wide greatest = std::max(w_most * a_most, w_least * a_least) * as_wide(terms);
  const Wide lowest = std::max(w_least * a_most, w_most * a_least) * as_wide(terms);
  return std::max(bits_for_greatest(greatest), bits_for_least(lowest));
}

}  // namespace widthwise
