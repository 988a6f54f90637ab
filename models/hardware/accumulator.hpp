// How wide an accumulator has to be so that no input makes it overflow.
//
// A dot product of K integer weights w and activations x is summed in two's complement of P bits,
// -2^(P-1) .. 2^(P-1) - 1, from 0 on. Activations of N bits are 0 .. 2^N - 1 (unsigned) or
// -2^(N-1) .. 2^(N-1) - 1 (signed). The two statements about given weights:
//
//   l1 norm (A2Q, arXiv 2301.13376)  ||w||_1 <= (2^(P-1) - 1) 2^(s - N), s = 1 if signed, else 0
//   exact      greatest and least sum over all inputs, with W+ = sum of the positive weights and
//              W- = that of the magnitudes of the negative ones:
//                unsigned   -(2^N - 1) W-  ..  (2^N - 1) W+
//                signed     -2^(N-1) W+ - (2^(N-1) - 1) W-  ..  (2^(N-1) - 1) W+ + 2^(N-1) W-
//
// The l1 bound is sufficient, not necessary: it takes |x| for up to 2^N (unsigned) or 2^(N-1), and
// all of the norm for one sign. Signed activations attain it where no weight is positive, and else
// miss it by W+. Unsigned activations never do: 2^N is not a value, and only the larger of W+ and
// W- counts, so that half of the norm on either side leaves a bit unused.
//
// The exact range holds for every partial sum in every order too, since each product's range
// contains 0. Products that the engine forms in several passes (planes of bits, pieces of wide
// operands) have sums on the way that it does not hold for: where sums wrap these do not matter,
// where they saturate the final sum may be wrong although it is in range.
//
// What it leaves out: sums that do not start from 0 (initial sums), zero points, biases (added
// behind the accumulator, at 32 bits).
#pragma once

#include <cstdint>
#include <span>

#include "models/base/quantity.hpp"

namespace widthwise {

/// Least and greatest value of a dot product over all activations.
struct SumRange {
  std::int64_t least = 0;
  std::int64_t greatest = 0;
  bool operator==(const SumRange&) const = default;
};

/// Sum of the magnitudes.
std::int64_t l1_norm(std::span<const std::int32_t> weights);

/// The bound of A2Q; false leaves open whether there is an input that overflows. 2..64 accumulator
/// bits, 1..16 activation bits.
bool accumulator_is_safe(std::int64_t l1_norm, BitWidth accumulator_bits, BitWidth activation_bits,
                         bool signed_activations);

/// Least accumulator that the bound of A2Q finds safe.
BitWidth safe_accumulator_bits(std::int64_t l1_norm, BitWidth activation_bits,
                               bool signed_activations);

/// Over all activations of so many bits: exact. Weights below 2^31, sums within 64 bits.
SumRange sum_range(std::span<const std::int32_t> weights, BitWidth activation_bits,
                   bool signed_activations);

/// Least two's complement that holds both ends, at least 1.
BitWidth bits_for(const SumRange& range);

/// Of one output channel's weights: exact. An accumulator of one bit less overflows on some input.
BitWidth exact_accumulator_bits(std::span<const std::int32_t> weights, BitWidth activation_bits,
                                bool signed_activations);

/// Whatever the weights are: `terms` products of two operands of which each is any integer of its
/// width. Exact: for signed activations 2^(w+a-2) terms, for unsigned ones -2^(w-1) (2^a - 1)
/// terms, and, where the weights are unsigned too (a product of activations), (2^w - 1) (2^a - 1)
/// terms. May be more than any engine has. At most 2^48 terms, 1..16 bits.
BitWidth worst_case_accumulator_bits(std::int64_t terms, BitWidth weight_bits,
                                     BitWidth activation_bits, bool signed_weights,
                                     bool signed_activations);

}  // namespace widthwise
