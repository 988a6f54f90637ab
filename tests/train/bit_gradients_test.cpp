// BMPQ's sensitivities against bit gradients that are worked out bit by bit.
#include "train/bit_gradients.hpp"

#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

/// Of one weight at `bits`: the gradients on its bits, by moving each.
double summed_bit_gradients(double gradient, int bits) {
  const double scale = 2 / (std::pow(2, bits) - 1);
  double sum = 0;
  for (int bit = 0; bit < bits; ++bit) {
    const double place = bit == bits - 1 ? -std::pow(2, bit) : std::pow(2, bit);
    sum += std::abs(scale * place * gradient);
  }
  return sum;
}

std::vector<double> bits_gradients(const std::vector<std::vector<double>>& layers,
                                   const std::vector<int>& bits) {
  std::vector<double> normalized;
  double all = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    double mean = 0;
    for (const double gradient : layers[l]) {
      mean += summed_bit_gradients(gradient, bits[l]) / static_cast<double>(layers[l].size());
    }
    normalized.push_back(mean);
    all += mean;
  }
  for (double& mean : normalized) mean /= all;
  return normalized;
}

std::vector<double> mean_absolute(const std::vector<std::vector<double>>& layers) {
  std::vector<double> means;
  for (const auto& layer : layers) {
    double sum = 0;
    for (const double gradient : layer) sum += std::abs(gradient);
    means.push_back(sum / static_cast<double>(layer.size()));
  }
  return means;
}

}  // namespace

TEST_CASE("Sensitivities are normalized bit gradients, whatever the widths") {
  const std::vector<std::vector<double>> first{{0.5, -0.25, 0.125}, {1, -3}, {0.1}};
  const std::vector<std::vector<double>> second{{-2, 0, 0}, {0.5, 0.5}, {-0.75}};
  for (const std::vector<int>& bits : {std::vector{8, 8, 8}, {1, 2, 3}, {16, 4, 2}}) {
    BitGradients gradients(3);
    gradients.add(mean_absolute(first));
    const auto one = bits_gradients(first, bits);
    for (std::size_t l = 0; l < 3; ++l) CHECK(gradients.sensitivities()[l] == Approx(one[l]));
    // The mean of the batches' shares, not the share of the batches' sums.
    gradients.add(mean_absolute(second));
    const auto two = bits_gradients(second, bits);
    for (std::size_t l = 0; l < 3; ++l) {
      CHECK(gradients.sensitivities()[l] == Approx((one[l] + two[l]) / 2));
    }
  }
}

TEST_CASE("By hand: shares of 1 and 3 quarters, then of halves") {
  BitGradients gradients(2);
  CHECK(gradients.sensitivities() == std::vector<double>{0.5, 0.5});
  gradients.add(std::vector{1.0, 3.0});
  CHECK(gradients.sensitivities() == std::vector<double>{0.25, 0.75});
  gradients.add(std::vector{0.0, 0.0});  // says nothing
  gradients.add(std::vector{std::nan(""), 1.0});
  CHECK(gradients.sensitivities() == std::vector<double>{0.25, 0.75});
  gradients.add(std::vector{200.0, 200.0});
  CHECK(gradients.sensitivities() == std::vector<double>{0.375, 0.625});

  BitGradients other(2);
  other.restore(gradients.state());
  other.add(std::vector{8.0, 0.0});
  gradients.add(std::vector{8.0, 0.0});
  CHECK(other.sensitivities() == gradients.sensitivities());
  CHECK(gradients.sensitivities()[0] == Approx(1.75 / 3));
  gradients.clear();
  CHECK(gradients.sensitivities() == std::vector<double>{0.5, 0.5});
  CHECK_THROWS_AS(other.add(std::vector{1.0}), InternalError);
  CHECK_THROWS_AS(other.restore(std::vector{1.0}), InternalError);
}

}  // namespace widthwise
