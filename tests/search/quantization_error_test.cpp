// Noise of quantizers: hand-worked tensors, Max's figures of the normal distribution, and a search
// over a fine grid of steps as reference.
#include "search/quantization_error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"

using namespace widthwise;

namespace {

using Reals = std::vector<float>;

const std::vector<BitWidth> kAllWidths = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

double noise(const Reals& values, std::int64_t runs, Calibration calibration, BitWidth bits) {
  return weight_noise(values, runs, calibration, std::vector{bits}).front();
}

/// sign(x) s (k + 1/2), as the header has it.
double squared_error(const Reals& values, double step, BitWidth bits) {
  const double last = std::pow(2.0, bits - 1) - 1;
  double sum = 0;
  for (const float value : values) {
    const double x = std::abs(static_cast<double>(value));
    const double level = step * (std::min(std::floor(x / step), last) + 0.5);
    sum += (x - level) * (x - level);
  }
  return sum;
}

double power(const Reals& values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * static_cast<double>(value);
  return sum;
}

struct Sample {
  std::string name;
  Reals values;
};

std::vector<Sample> samples(std::size_t count) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, 0.02F);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::exponential_distribution<float> exponential(3);
  std::vector<Sample> all = {{"normal", {}},   {"uniform", {}}, {"Laplace", {}},
                             {"sparse", {}},   {"ternary", {}}, {"one outlier", {}},
                             {"constant", {}}, {"positive", {}}};
  for (std::size_t i = 0; i < count; ++i) {
    const float sign = i % 2 == 0 ? 1.0F : -1.0F;
    all[0].values.push_back(normal(random));
    all[1].values.push_back(uniform(random));
    all[2].values.push_back(sign * exponential(random));
    all[3].values.push_back(i % 5 == 0 ? normal(random) : 0.0F);
    all[4].values.push_back(static_cast<float>(i % 3) - 1);
    all[5].values.push_back(i == 3 ? 50.0F : normal(random));
    all[6].values.push_back(0.3F);
    all[7].values.push_back(exponential(random));
  }
  return all;
}

}  // namespace

TEST_CASE("one bit is the sign times the mean magnitude, whatever the calibration") {
  // Mean magnitude 2: (4 - 2)^2 + (1 - 2)^2 + (1 - 2)^2 + 0 = 6 of 16 + 1 + 1 + 4 = 22.
  const Reals values = {4, -1, 1, -2};
  for (const Calibration calibration :
       {Calibration::max_abs, Calibration::mean_square, Calibration::percentile}) {
    CHECK(noise(values, 1, calibration, 1) == Approx(6.0 / 22));
    // Means 2.5 and 1.5: 2 x 1.5^2 + 2 x 0.5^2 = 5.
    CHECK(noise(values, 2, calibration, 1) == Approx(5.0 / 22));
  }
}

TEST_CASE("max-abs puts the greatest level at the greatest magnitude, of each run by itself") {
  // Levels 4/3 and 4: 0 + 1/9 + 1/9 + 4/9.
  const Reals values = {4, -1, 1, -2};
  CHECK(noise(values, 1, Calibration::max_abs, 2) == Approx(6.0 / 9 / 22));
  // The second run has levels 2/3 and 2: 0 + 1/9 + 1/9 + 0.
  CHECK(noise(values, 2, Calibration::max_abs, 2) == Approx(2.0 / 9 / 22));
  // Levels 4/7, 12/7, 20/7, 4: 4 is exact, 1 is 3/7 from 4/7, 2 is 2/7 from 12/7.
  CHECK(noise(values, 1, Calibration::max_abs, 3) == Approx((9.0 + 9 + 4) / 49 / 22));
}

TEST_CASE("mean-square clipping takes the step of least error") {
  // Levels s/2 and 3s/2: 3 (1 - s/2)^2 + (5 - 3s/2)^2 is least at s = 3, where it is 1.
  const Reals values = {1, -1, 1, 5};
  CHECK(noise(values, 1, Calibration::mean_square, 2) == Approx(1.0 / 28).epsilon(1e-6));
  // Levels 5/3 and 5 without clipping: 3 (2/3)^2.
  CHECK(noise(values, 1, Calibration::max_abs, 2) == Approx(12.0 / 9 / 28));
  // Each run has two magnitudes or one: at least two levels meet them.
  CHECK(noise({1, -1, 3, -3}, 2, Calibration::mean_square, 1) == Approx(0).margin(1e-15));
  CHECK(noise({1, -1, 3, -3}, 1, Calibration::mean_square, 2) == Approx(0).margin(1e-6));
}

TEST_CASE("the percentile leaves out one value in a thousand, and not two") {
  Reals values(1000, 1);
  values[17] = -100;
  const double whole = 999 + 10000;
  // 999 values do not exceed 1, which becomes the greatest level.
  CHECK(noise(values, 1, Calibration::percentile, 2) == Approx(99.0 * 99 / whole));
  values[18] = 100;
  // 998 of 1000 are fewer than 99.9 %: levels 100/3 and 100.
  const double below = 998 * std::pow(100.0 / 3 - 1, 2);
  CHECK(noise(values, 1, Calibration::percentile, 2) == Approx(below / (998 + 20000)));
}

TEST_CASE("the percentile of values that are nearly all 0 is the greatest magnitude") {
  Reals values(1000, 0);
  values[5] = 5;
  // Levels 5/3 and 5: every 0 becomes 5/3.
  CHECK(noise(values, 1, Calibration::percentile, 2) == Approx(999.0 * 25 / 9 / 25));
}

TEST_CASE("values that are all 0 lose nothing; runs of them add nothing") {
  CHECK(noise({0, 0, 0}, 1, Calibration::mean_square, 4) == 0);
  CHECK(noise({0, 0, 1, 2}, 2, Calibration::max_abs, 2) ==
        noise({1, 2}, 1, Calibration::max_abs, 2));
  CHECK(weight_noise({}, 1, Calibration::max_abs, std::vector{4}).front() == 0);
}

TEST_CASE("the noise does not depend on the scale of the values, nor on their signs") {
  for (const Sample& sample : samples(500)) {
    INFO(sample.name);
    Reals scaled;
    for (const float value : sample.values) scaled.push_back(-value / 1024);
    for (const Calibration calibration :
         {Calibration::max_abs, Calibration::mean_square, Calibration::percentile}) {
      CHECK(weight_noise(sample.values, 1, calibration, kAllWidths) ==
            weight_noise(scaled, 1, calibration, kAllWidths));
    }
  }
}

TEST_CASE("mean-square clipping never loses more at more bits, nor by what else is asked for") {
  for (const std::size_t count : {64UL, 6000UL}) {
    for (const Sample& sample : samples(count)) {
      INFO(sample.name << " of " << count);
      for (const std::int64_t runs : {1, 8}) {
        const std::vector<double> all =
            weight_noise(sample.values, runs, Calibration::mean_square, kAllWidths);
        for (std::size_t i = 1; i < all.size(); ++i) CHECK(all[i] <= all[i - 1]);
        CHECK(noise(sample.values, runs, Calibration::mean_square, 5) == all[4]);
        CHECK(weight_noise(sample.values, runs, Calibration::mean_square, std::vector{8, 3}) ==
              std::vector{all[7], all[2]});
      }
    }
  }
}

TEST_CASE("no step on a fine grid is better than mean-square clipping by more than 2 %") {
  for (const Sample& sample : samples(3000)) {
    INFO(sample.name);
    float greatest = 0;
    for (const float value : sample.values) greatest = std::max(greatest, std::abs(value));
    for (const BitWidth bits : {2, 3, 4, 6}) {
      INFO(bits << " bits");
      double least = std::numeric_limits<double>::infinity();
      for (int i = 1; i <= 2000; ++i) {
        const double threshold = static_cast<double>(greatest) * i / 2000;
        const double step = threshold / (std::pow(2.0, bits - 1) - 0.5);
        least = std::min(least, squared_error(sample.values, step, bits));
      }
      const double found = noise(sample.values, 1, Calibration::mean_square, bits);
      CHECK(found <= 1.02 * least / power(sample.values) + 1e-9);
      CHECK(found <= noise(sample.values, 1, Calibration::max_abs, bits) * (1 + 1e-12));
    }
  }
}

TEST_CASE("large normal tensors have the noise of the normal distribution") {
  // Its quantiles, by bisection: samples would scatter in the tails.
  constexpr int kCount = 40000;
  Reals values;
  for (int i = 0; i < kCount; ++i) {
    double low = -6;
    double high = 6;
    for (int round = 0; round < 40; ++round) {
      const double middle = (low + high) / 2;
      const bool is_below = 0.5 * std::erfc(-middle / std::sqrt(2.0)) < (i + 0.5) / kCount;
      (is_below ? low : high) = middle;
    }
    values.push_back(static_cast<float>(low));
  }
  for (const BitWidth bits : {1, 2, 3, 4, 5, 6}) {
    INFO(bits << " bits");
    CHECK(noise(values, 1, Calibration::mean_square, bits) ==
          Approx(activation_noise(ActivationShape::normal, bits)).epsilon(0.01));
  }
}

TEST_CASE("values that are not finite are refused") {
  for (const float value :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    CHECK_THROWS_WITH(noise({1, value}, 1, Calibration::max_abs, 4),
                      "error: a value that is not finite cannot be quantized");
  }
}

TEST_CASE("the best uniform quantizers of a normal distribution are those of Max") {
  // IRE Trans. Inf. Theory 6 (1960), Table II: levels and mean square error.
  struct Figure {
    std::int64_t levels;
    double error;
  };
  for (const Figure& figure :
       {Figure{2, 0.3634}, Figure{3, 0.1902}, Figure{4, 0.1188}, Figure{5, 0.08218},
        Figure{6, 0.06065}, Figure{7, 0.04686}, Figure{8, 0.03744}, Figure{16, 0.01154}}) {
    INFO(figure.levels << " levels");
    CHECK(normal_noise(figure.levels) == Approx(figure.error).epsilon(6e-4));
  }
  // Two levels at the mean magnitude: 1 - 2/pi.
  CHECK(normal_noise(2) == Approx(1 - 2 / std::acos(-1.0)).epsilon(1e-9));
}

TEST_CASE("activations: signed ones as so many levels, those of a ReLU as twice and one less") {
  CHECK(activation_noise(ActivationShape::normal, 4) == normal_noise(16));
  CHECK(activation_noise(ActivationShape::half_normal, 1) == normal_noise(3));
  CHECK(activation_noise(ActivationShape::half_normal, 4) == normal_noise(31));
  // Steps shrink with the levels, but less so: what is not clipped widens.
  for (const ActivationShape shape : {ActivationShape::normal, ActivationShape::half_normal}) {
    for (BitWidth bits = 2; bits <= 16; ++bits) {
      INFO(bits << " bits");
      const double least =
          shape == ActivationShape::normal
              ? 0.25
              : std::pow((std::pow(2.0, bits) - 1) / (std::pow(2.0, bits + 1) - 1), 2);
      const double ratio = activation_noise(shape, bits) / activation_noise(shape, bits - 1);
      CHECK(ratio > least);
      CHECK(ratio < 0.34);
    }
  }
}
