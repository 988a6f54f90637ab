// Accumulator widths against plain integer arithmetic on the worst inputs.
#include "models/hardware/accumulator.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

using namespace widthwise;

namespace {

using Weights = std::vector<std::int32_t>;
using Inputs = std::vector<std::int64_t>;

class Random {
 public:
  explicit Random(unsigned seed) : generator_(seed) {}
  std::int64_t operator()(std::int64_t least, std::int64_t most) {
    return least +
           static_cast<std::int64_t>(generator_() % static_cast<std::uint64_t>(most - least + 1));
  }

 private:
  std::mt19937_64 generator_;
};

std::int64_t least_value(BitWidth bits, bool is_signed) {
  return is_signed ? -(std::int64_t{1} << (bits - 1)) : 0;
}
std::int64_t greatest_value(BitWidth bits, bool is_signed) {
  return (std::int64_t{1} << (is_signed ? bits - 1 : bits)) - 1;
}

Weights random_weights(Random& random, std::int64_t most_terms, BitWidth bits) {
  Weights weights(static_cast<std::size_t>(random(1, most_terms)));
  // Sometimes of one sign only.
  const std::int64_t sign = random(0, 4);
  for (std::int32_t& weight : weights) {
    const std::int64_t least = sign == 0 ? 0 : least_value(bits, true);
    const std::int64_t most = sign == 1 ? 0 : greatest_value(bits, true);
    weight = static_cast<std::int32_t>(random(least, most));
  }
  return weights;
}

/// The inputs that make the sum least or greatest.
Inputs worst_inputs(const Weights& weights, BitWidth bits, bool is_signed, bool greatest) {
  Inputs inputs;
  for (const std::int32_t weight : weights) {
    inputs.push_back((weight > 0) == greatest ? greatest_value(bits, is_signed)
                                              : least_value(bits, is_signed));
  }
  return inputs;
}

/// True if a sum, or a sum on the way to it, does not fit.
bool overflows(const Weights& weights, const Inputs& inputs, BitWidth accumulator_bits) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i] * inputs[i];
    if (sum < least_value(accumulator_bits, true) || sum > greatest_value(accumulator_bits, true)) {
      return true;
    }
  }
  return false;
}

bool worst_input_overflows(const Weights& weights, BitWidth bits, bool is_signed,
                           BitWidth accumulator_bits) {
  return overflows(weights, worst_inputs(weights, bits, is_signed, true), accumulator_bits) ||
         overflows(weights, worst_inputs(weights, bits, is_signed, false), accumulator_bits);
}

}  // namespace

TEST_CASE("the bound of A2Q is the published inequality") {
  // P = 8, N = 4: unsigned ||w|| <= 127 / 16 = 7.94, signed ||w|| <= 127 / 8 = 15.9.
  CHECK(accumulator_is_safe(7, 8, 4, false));
  CHECK_FALSE(accumulator_is_safe(8, 8, 4, false));
  CHECK(accumulator_is_safe(15, 8, 4, true));
  CHECK_FALSE(accumulator_is_safe(16, 8, 4, true));
  CHECK(safe_accumulator_bits(7, 4, false) == 8);
  CHECK(safe_accumulator_bits(8, 4, false) == 9);
  CHECK(safe_accumulator_bits(0, 4, false) == 1);
  const double powers[] = {0.5, 1};  // 2^(signed - N) for N = 1
  for (std::int64_t norm = 0; norm < 300; ++norm) {
    for (BitWidth bits = 2; bits <= 12; ++bits) {
      for (const bool is_signed : {false, true}) {
        const double bound = (std::pow(2, bits - 1) - 1) * powers[is_signed ? 1 : 0];
        CHECK(accumulator_is_safe(norm, bits, 1, is_signed) ==
              (static_cast<double>(norm) <= bound));
      }
    }
  }
}

TEST_CASE("where the bound of A2Q holds, no input overflows, not even on the way") {
  Random random(1);
  int safe = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto bits = static_cast<BitWidth>(random(1, 8));
    const bool is_signed = random(0, 1) == 1;
    const Weights weights = random_weights(random, 40, static_cast<BitWidth>(random(1, 8)));
    const auto accumulator = static_cast<BitWidth>(random(2, 24));
    if (!accumulator_is_safe(l1_norm(weights), accumulator, bits, is_signed)) continue;
    ++safe;
    REQUIRE_FALSE(worst_input_overflows(weights, bits, is_signed, accumulator));
    Inputs inputs;
    for (std::size_t k = 0; k < weights.size(); ++k) {
      inputs.push_back(random(least_value(bits, is_signed), greatest_value(bits, is_signed)));
    }
    REQUIRE_FALSE(overflows(weights, inputs, accumulator));
  }
  CHECK(safe > 5000);
}

TEST_CASE("the exact width is safe, and with one bit less the worst input overflows") {
  Random random(2);
  for (int i = 0; i < 20000; ++i) {
    const auto bits = static_cast<BitWidth>(random(1, 8));
    const bool is_signed = random(0, 1) == 1;
    const Weights weights = random_weights(random, 40, static_cast<BitWidth>(random(1, 8)));
    const BitWidth exact = exact_accumulator_bits(weights, bits, is_signed);
    REQUIRE_FALSE(worst_input_overflows(weights, bits, is_signed, exact));
    if (exact > 1) REQUIRE(worst_input_overflows(weights, bits, is_signed, exact - 1));
    // What the published bound leaves.
    const BitWidth published = safe_accumulator_bits(l1_norm(weights), bits, is_signed);
    REQUIRE(published >= exact);
    REQUIRE(accumulator_is_safe(l1_norm(weights), published, bits, is_signed));
    if (published > 1) {
      REQUIRE_FALSE(accumulator_is_safe(l1_norm(weights), published - 1, bits, is_signed));
    }
  }
}

TEST_CASE("the range of a sum is that of all inputs") {
  const Weights weights = {3, -2, 0, 1};
  for (const bool is_signed : {false, true}) {
    const BitWidth bits = 2;
    SumRange brute{0, 0};
    const std::int64_t least = least_value(bits, is_signed);
    const std::int64_t greatest = greatest_value(bits, is_signed);
    for (std::int64_t a = least; a <= greatest; ++a) {
      for (std::int64_t b = least; b <= greatest; ++b) {
        for (std::int64_t d = least; d <= greatest; ++d) {
          const std::int64_t sum = 3 * a - 2 * b + d;
          brute.least = std::min(brute.least, sum);
          brute.greatest = std::max(brute.greatest, sum);
        }
      }
    }
    CHECK(sum_range(weights, bits, is_signed) == brute);
  }
}

TEST_CASE("the published bound is attained by signed activations, and missed by unsigned ones") {
  // No positive weight, inputs of 4 bits: 16 x 8 = 128 needs 9 bits, and the bound says so.
  CHECK(exact_accumulator_bits(Weights{-16}, 4, true) == 9);
  CHECK(safe_accumulator_bits(16, 4, true) == 9);
  // 17 x 15 = 255 fits in 9 bits, 17 x 16 does not: the bound takes 10.
  CHECK(exact_accumulator_bits(Weights{17}, 4, false) == 9);
  CHECK(safe_accumulator_bits(17, 4, false) == 10);
  // Half of the norm on either side: a bit unused.
  CHECK(exact_accumulator_bits(Weights{8, -8}, 4, false) == 8);
  CHECK(safe_accumulator_bits(16, 4, false) == 10);
}

TEST_CASE("whatever the weights are: exact for weights and activations of the same worst values") {
  for (const std::int64_t terms : {1, 2, 3, 7, 64, 576}) {
    for (BitWidth w = 1; w <= 6; ++w) {
      for (BitWidth a = 1; a <= 6; ++a) {
        for (const bool signed_weights : {false, true}) {
          for (const bool signed_activations : {false, true}) {
            SumRange range;
            for (const bool greatest_weight : {false, true}) {
              for (const bool greatest_input : {false, true}) {
                const std::int64_t weight = greatest_weight ? greatest_value(w, signed_weights)
                                                            : least_value(w, signed_weights);
                const std::int64_t input = greatest_input ? greatest_value(a, signed_activations)
                                                          : least_value(a, signed_activations);
                range.least = std::min(range.least, terms * weight * input);
                range.greatest = std::max(range.greatest, terms * weight * input);
              }
            }
            CHECK(worst_case_accumulator_bits(terms, w, a, signed_weights, signed_activations) ==
                  bits_for(range));
          }
        }
      }
    }
  }
}

TEST_CASE("the worst case of a shape is the exact width of its worst weights") {
  Random random(3);
  for (int i = 0; i < 500; ++i) {
    const auto w = static_cast<BitWidth>(random(1, 8));
    const auto a = static_cast<BitWidth>(random(1, 8));
    const std::int64_t terms = random(1, 200);
    for (const bool is_signed : {false, true}) {
      const BitWidth worst = worst_case_accumulator_bits(terms, w, a, true, is_signed);
      const Weights least(static_cast<std::size_t>(terms),
                          static_cast<std::int32_t>(least_value(w, true)));
      CHECK(exact_accumulator_bits(least, a, is_signed) == worst);
      CHECK(exact_accumulator_bits(random_weights(random, terms, w), a, is_signed) <= worst);
    }
  }
}

TEST_CASE("known widths: 8 x 8 bits") {
  // 2304 terms, as of a 3 x 3 kernel over 256 channels: 2304 x 2^14 = 2^25.2.
  CHECK(worst_case_accumulator_bits(2304, 8, 8, true, true) == 27);
  CHECK(worst_case_accumulator_bits(2304, 8, 8, true, false) == 28);
  CHECK(worst_case_accumulator_bits(1, 8, 8, true, true) == 16);  // -128 x -128
  CHECK(worst_case_accumulator_bits(1, 1, 1, true, false) == 1);  // -1 or 0
  CHECK(worst_case_accumulator_bits(std::int64_t{1} << 48, 16, 16, true, true) == 80);
}

TEST_CASE("least two's complement of a range") {
  CHECK(bits_for({0, 0}) == 1);
  CHECK(bits_for({-1, 0}) == 1);
  CHECK(bits_for({0, 1}) == 2);
  CHECK(bits_for({-128, 127}) == 8);
  CHECK(bits_for({-129, 0}) == 9);
  CHECK(bits_for({0, 128}) == 9);
  CHECK(bits_for({INT64_MIN, INT64_MAX}) == 64);
}
