#include "models/network/quantize.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

// The codes that are used: symmetric where there are more than two of them.
IntegerRange code_range(BitWidth bits, Signedness signedness) {
  IntegerRange range = integer_range(bits, signedness);
  if (signedness == Signedness::signed_values && bits > 1) range.least = -range.greatest;
  return range;
}

double magnitude(std::span<const float> values, Signedness signedness) {
  double greatest = 0;
  for (const float value : values) {
    if (!std::isfinite(value)) {
      throw InputError({}, "", "a value that is not finite cannot be quantized");
    }
    const double size = value;
    greatest = std::max(greatest, signedness == Signedness::signed_values ? std::abs(size) : size);
  }
  return greatest;
}

}  // namespace

IntegerRange integer_range(BitWidth bits, Signedness signedness) {
  ensure(bits >= 1 && bits <= 62, "an integer has 1..62 bits");
  if (signedness == Signedness::unsigned_values) return {0, (std::int64_t{1} << bits) - 1};
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  return {-half, half - 1};
}

QuantizedTensor quantize(std::span<const float> values, BitWidth bits, Signedness signedness,
                         std::int64_t runs) {
  ensure(bits >= kMinOperandWidth && bits <= kMaxOperandWidth, "operands have 1..16 bits");
  ensure(runs >= 1 && values.size() % static_cast<std::size_t>(runs) == 0,
         "the runs divide the values");
  const IntegerRange codes = code_range(bits, signedness);
  // One bit in two's complement has no positive code to scale by.
  const double steps = std::max(static_cast<double>(codes.greatest), 1.0);
  const auto least = static_cast<double>(codes.least);
  const auto greatest = static_cast<double>(codes.greatest);
  const std::size_t length = values.size() / static_cast<std::size_t>(runs);
  QuantizedTensor result;
  result.values.reserve(values.size());
  for (std::size_t run = 0; run < static_cast<std::size_t>(runs); ++run) {
    const std::span<const float> own = values.subspan(run * length, length);
    const double most = magnitude(own, signedness);
    result.scales.push_back(most > 0 ? most / steps : 1);
    for (const float value : own) {
      // The product is exact, so that halves are halves.
      const double code = most > 0 ? std::nearbyint(static_cast<double>(value) * steps / most) : 0;
      result.values.push_back(static_cast<std::int32_t>(std::clamp(code, least, greatest)));
    }
  }
  return result;
}

}  // namespace widthwise
