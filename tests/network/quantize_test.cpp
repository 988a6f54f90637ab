#include "models/network/quantize.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"

using namespace widthwise;

namespace {

using Codes = std::vector<std::int32_t>;
using Reals = std::vector<float>;

std::vector<float> random_reals(std::size_t count) {
  std::mt19937 random(7);
  std::normal_distribution<float> distribution(0, 0.1F);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(random);
  return values;
}

}  // namespace

TEST_CASE("the greatest magnitude has the greatest code, halves go to the even one") {
  // 4 bit: codes -7..7, scale 0.5.
  const Reals values = {3.5F, -3.5F, 0, 0.25F, 0.75F, -0.25F, -1.25F, 1};
  const QuantizedTensor tensor = quantize(values, 4);
  CHECK(tensor.values == Codes{7, -7, 0, 0, 2, 0, -2, 2});
  CHECK(tensor.scales == std::vector<double>{0.5});
}

TEST_CASE("unsigned codes begin at 0") {
  const Reals values = {15, 0, -3, 7.5F, 8.5F};
  const QuantizedTensor tensor = quantize(values, 4, Signedness::unsigned_values);
  CHECK(tensor.values == Codes{15, 0, 0, 8, 8});
  CHECK(tensor.scales == std::vector<double>{1});
}

TEST_CASE("one bit is -1 or 0 in two's complement, 0 or 1 unsigned") {
  const Reals values = {-4, -2.5F, -2, 0, 4};
  CHECK(quantize(values, 1).values == Codes{-1, -1, 0, 0, 0});
  CHECK(quantize(values, 1, Signedness::unsigned_values).values == Codes{0, 0, 0, 0, 1});
}

TEST_CASE("every run has its own scale") {
  const Reals values = {1, -0.5F, 100, 25, 0, 0};
  const QuantizedTensor tensor = quantize(values, 3, Signedness::signed_values, 3);
  CHECK(tensor.values == Codes{3, -2, 3, 1, 0, 0});
  CHECK(tensor.scales == std::vector<double>{1.0 / 3, 100.0 / 3, 1});
}

TEST_CASE("the error is at most half a step, and codes stay within their width") {
  const std::vector<float> values = random_reals(1000);
  for (BitWidth bits = 2; bits <= 16; ++bits) {
    const QuantizedTensor tensor = quantize(values, bits);
    const IntegerRange range = integer_range(bits, Signedness::signed_values);
    const double step = tensor.scales.front();
    for (std::size_t i = 0; i < values.size(); ++i) {
      REQUIRE(tensor.values[i] > range.least);
      REQUIRE(tensor.values[i] <= range.greatest);
      REQUIRE(std::abs(tensor.values[i] * step - values[i]) <= step / 2 * (1 + 1e-12));
    }
  }
}

TEST_CASE("a tensor and its negative have the same codes but for the sign") {
  std::vector<float> values = random_reals(200);
  const Codes codes = quantize(values, 5).values;
  for (float& value : values) value = -value;
  const Codes negative = quantize(values, 5).values;
  for (std::size_t i = 0; i < codes.size(); ++i) REQUIRE(codes[i] == -negative[i]);
}

TEST_CASE("integers of the width are their own codes where the greatest stands among them") {
  Reals values;
  for (int value = -127; value <= 127; ++value) values.push_back(static_cast<float>(value));
  const QuantizedTensor tensor = quantize(values, 8);
  CHECK(tensor.values == Codes(values.begin(), values.end()));
}

TEST_CASE("values that are not finite are refused") {
  CHECK_THROWS_AS(quantize(Reals{0, std::nanf("")}, 4), InputError);
  CHECK_THROWS_AS(quantize(Reals{std::numeric_limits<float>::infinity()}, 4), InputError);
  CHECK(quantize({}, 4).values.empty());
}

TEST_CASE("integers of a width") {
  CHECK(integer_range(8, Signedness::signed_values) == IntegerRange{-128, 127});
  CHECK(integer_range(1, Signedness::signed_values) == IntegerRange{-1, 0});
  CHECK(integer_range(8, Signedness::unsigned_values) == IntegerRange{0, 255});
}
