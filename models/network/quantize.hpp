// Real tensors as integers of a few bits: uniform, symmetric, one scale for a run of values.
//
//   signed      q = clamp(round(x / s), -(2^(b-1) - 1), 2^(b-1) - 1)     s = max|x| / (2^(b-1) - 1)
//   unsigned    q = clamp(round(x / s), 0, 2^b - 1)                      s = max(x) / (2^b - 1)
//   1 bit, signed   q = -1 where x / s rounds to -1, else 0              s = max|x|
//
// x is then about q s. round() goes to the nearest integer, halves to the even one. The signed code
// leaves out -2^(b-1), so that a tensor and its negative have the same integers but for the sign;
// one bit in two's complement has no such code, and takes -1 and 0. Unsigned, what is negative
// becomes 0. Values that are all 0 (unsigned: none above 0) become 0, with the scale 1.
//
// What it leaves out: zero points, clipping below the greatest value, and training with the
// quantizer in place; integers of a tensor that was trained for b bits may differ from these.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/base/quantity.hpp"

namespace widthwise {

enum class Signedness { signed_values, unsigned_values };

struct QuantizedTensor {
  std::vector<std::int32_t> values;  // in the order of the reals
  std::vector<double> scales;        // one for each run
};

/// The values are cut into `runs` of the same length, each with its own scale: 1 is per tensor; of
/// weights in the order of OnnxWeights, groups x out_channels is per output channel.
///
/// Throws InputError for values that are not finite. 1..16 bit; the runs divide the values.
QuantizedTensor quantize(std::span<const float> values, BitWidth bits,
                         Signedness signedness = Signedness::signed_values, std::int64_t runs = 1);

/// Least and greatest integer that `bits` hold in two's complement, or unsigned.
struct IntegerRange {
  std::int64_t least = 0;
  std::int64_t greatest = 0;
  bool operator==(const IntegerRange&) const = default;
};
IntegerRange integer_range(BitWidth bits, Signedness signedness);

}  // namespace widthwise
