#include "train/quantizer_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "train/width_slot.hpp"

namespace widthwise {
namespace {

using Floats = std::vector<float>;

Floats normal_values(std::size_t count, unsigned seed, double deviation = 1, double mean = 0) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(mean, deviation);
  Floats values(count);
  for (float& value : values) value = static_cast<float>(normal(random));
  return values;
}

// ---- The formulas, in double precision --------------------------------------------------------

// round() with halves to even. `middle` is set where t is too near to the middle between two levels
// for floats to tell on which side it is.
double levels(double t, int bits, bool& middle) {
  const double steps = std::pow(2.0, bits) - 1;
  const double scaled = steps * t;
  middle |= std::fabs(scaled - std::floor(scaled) - 0.5) < 1e-6 * (1 + steps);
  return std::nearbyint(scaled) / steps;
}

struct Reference {
  double value = 0;      // Q_l
  double per_width = 0;  // dQ_l/dl
  bool middle = false;
};

// `u` in [-1, 1] (signed) or [0, 1], as are the results.
Reference quantized(double u, double width, bool is_signed) {
  const double l = std::min(width, 16.0);
  const auto lo = static_cast<int>(std::floor(l));
  const int hi = std::min(lo + 1, 16);
  Reference reference;
  const auto at = [&](int bits) {
    if (bits == 0) return 0.0;
    if (!is_signed) return levels(u, bits, reference.middle);
    return 2 * levels((u + 1) / 2, bits, reference.middle) - 1;
  };
  const double upper = at(hi);
  const double lower = at(lo);
  reference.value = (l - lo) * upper + (1 + lo - l) * lower;
  reference.per_width = upper - lower;
  return reference;
}

struct ActivationReference {
  double value = 0, dx = 0, dalpha = 0, dbits = 0;
  bool middle = false;
};

ActivationReference activation(double x, double alpha, double width, ClipRange range) {
  const bool is_signed = range == ClipRange::both_signs;
  const double low = is_signed ? -alpha : 0;
  const double v = std::clamp(x, low, alpha);
  const Reference q = quantized(v / alpha, width, is_signed);
  const bool inside = x >= low && x <= alpha;
  return {alpha * q.value, inside ? std::min(width, 1.0) : 0,
          inside ? q.value - std::min(width, 1.0) * v / alpha : q.value, alpha * q.per_width,
          q.middle};
}

const std::vector<float> kWidths{0, 0.25F, 1, 1.5F, 2, 3.7F, 4, 7.99F, 8, 12.5F, 16, 19};

// ---- Weights ----------------------------------------------------------------------------------

void check_weights(std::size_t channels, std::size_t per_channel, const Floats& bits,
                   float factor) {
  CAPTURE(channels, per_channel, bits, factor);
  const std::size_t count = channels * per_channel;
  const Floats w = normal_values(count, 7, 0.6);
  const Floats dout = normal_values(count, 8);
  Floats tanh_over_m(count), out(count), dw(count), bits_gradient(bits.size(), 0.5F);
  const float m = quantize_weights_forward(w, channels, bits, tanh_over_m, out);
  quantize_weights_backward(tanh_over_m, m, channels, bits, dout, dw, bits_gradient, factor);

  double greatest = 0;
  for (const float value : w) {
    greatest = std::max(greatest, std::fabs(std::tanh(static_cast<double>(value))));
  }
  REQUIRE(m == Approx(greatest).epsilon(1e-6));

  std::vector<double> expected_bits(bits.size(), 0.5);
  double tolerance_bits = 1e-5;
  std::size_t compared = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t b = bits.size() == 1 ? 0 : i / per_channel;
    const double width = bits[b];
    const double tanh_w = std::tanh(static_cast<double>(w[i]));
    const Reference q = quantized(tanh_w / greatest, width, true);
    REQUIRE(tanh_over_m[i] == Approx(tanh_w / greatest).margin(2e-6));
    const double slope = std::min(width, 1.0) * (1 - tanh_w * tanh_w) / greatest;
    REQUIRE(dw[i] == Approx(static_cast<double>(factor * dout[i]) * slope).margin(1e-5));
    expected_bits[b] += static_cast<double>(factor * dout[i]) * q.per_width;
    tolerance_bits += 1e-6 * std::fabs(dout[i]);
    if (q.middle) {
      tolerance_bits += 2 * std::fabs(dout[i]);
      continue;
    }
    REQUIRE(out[i] == Approx(q.value).margin(2e-6));
    ++compared;
  }
  REQUIRE(compared > count / 2);
  for (std::size_t b = 0; b < bits.size(); ++b) {
    REQUIRE(bits_gradient[b] == Approx(expected_bits[b]).margin(tolerance_bits));
  }
}

TEST_CASE("Weights are quantized, and differentiated, as the formulas say") {
  for (const float width : kWidths) check_weights(5, 27, {width}, 1);
  for (const std::size_t count : {1, 3, 16, 17, 63, 64, 65, 130}) {
    check_weights(1, count, {2.5F}, 1);
    check_weights(1, count, {3}, 0.25F);
  }
  check_weights(3, 20000, {4.4F}, 1);
}

TEST_CASE("Every output channel of weights can have a width of its own") {
  check_weights(6, 9, {0, 0.5F, 1, 2.25F, 8, 16}, 1);
  check_weights(4, 150, {3, 3.5F, 0, 1}, 2);
}

TEST_CASE("Weights at 0 bits are 0 and get no gradient") {
  const Floats w = normal_values(40, 1), dout = normal_values(40, 2);
  Floats t(40), out(40, 1.0F), dw(40, 1.0F);
  const Floats bits{0, 2};
  const float m = quantize_weights_forward(w, 2, bits, t, out);
  quantize_weights_backward(t, m, 2, bits, dout, dw, {});
  for (std::size_t i = 0; i < 20; ++i) {
    REQUIRE(out[i] == 0.0F);
    REQUIRE(dw[i] == 0.0F);
    REQUIRE(out[20 + i] != 0.0F);
  }
}

TEST_CASE("The greatest weight comes out as the greatest level, whatever its size") {
  for (const float size : {1e-20F, 1e-4F, 0.5F, 3.0F, 50.0F}) {
    const Floats w{size, -size, size / 2, 0, -size / 4};
    const Floats bits{2};
    Floats t(5), out(5);
    quantize_weights_forward(w, 1, bits, t, out);
    REQUIRE(out[0] == Approx(1).margin(1e-6));
    REQUIRE(out[1] == Approx(-1).margin(1e-6));
  }
  const Floats none(5, 0.0F), bits{2};
  Floats t(5), out(5);
  quantize_weights_forward(none, 1, bits, t, out);
  for (const float value : out) REQUIRE(std::fabs(value) == Approx(1.0 / 3));
}

TEST_CASE("The approximated tanh is within a millionth of it") {
  Floats w;
  for (float x = 1e-6F; x < 30; x *= 1.01F) {
    w.push_back(x);
    w.push_back(-x);
  }
  const Floats bits{16};
  Floats t(w.size()), out(w.size());
  const float m = quantize_weights_forward(w, 1, bits, t, out);
  REQUIRE(m == Approx(1).epsilon(1e-6));
  for (std::size_t i = 0; i < w.size(); ++i) {
    REQUIRE(t[i] * m == Approx(std::tanh(static_cast<double>(w[i]))).epsilon(1e-6));
  }
}

TEST_CASE("Whole widths are told from fractional ones") {
  REQUIRE(WidthSlot{{3}, {}}.is_whole());
  REQUIRE(WidthSlot{{0, 8, 16}, {}}.is_whole());
  REQUIRE_FALSE(WidthSlot{{3, 3.001F}, {}}.is_whole());
}

TEST_CASE("The standard deviation is that of a sample") {
  REQUIRE(standard_deviation(Floats{1, 2, 3, 4}) == Approx(std::sqrt(5.0 / 3)));
  REQUIRE(standard_deviation(Floats{1}) == 0.0);
}

// ---- Activations ------------------------------------------------------------------------------

void check_activations(std::size_t count, float alpha, float bits, ClipRange range) {
  CAPTURE(count, alpha, bits, range);
  const Floats x = normal_values(count, 3, static_cast<double>(alpha), 0.2);
  const Floats dout = normal_values(count, 4);
  Floats out(count), dx(count);
  quantize_activations_forward(x, alpha, bits, range, out);
  const ActivationGradients gradients =
      quantize_activations_backward(x, alpha, bits, range, dout, dx, true);
  double alpha_gradient = 0, bits_gradient = 0, tolerance = 1e-5;
  for (std::size_t i = 0; i < count; ++i) {
    const ActivationReference expected = activation(x[i], alpha, bits, range);
    const double dy = dout[i];
    REQUIRE(dx[i] == Approx(dy * expected.dx).margin(1e-6));
    alpha_gradient += dy * expected.dalpha;
    bits_gradient += dy * expected.dbits;
    tolerance += 2e-6 * std::fabs(dy) * (1 + alpha);
    if (expected.middle) {
      tolerance += 2 * std::fabs(dy) * (1 + alpha);
    } else {
      REQUIRE(out[i] == Approx(expected.value).margin(2e-6 * alpha));
    }
  }
  REQUIRE(gradients.alpha == Approx(alpha_gradient).margin(tolerance));
  REQUIRE(gradients.bits == Approx(bits_gradient).margin(tolerance));

  const ActivationGradients without =
      quantize_activations_backward(x, alpha, bits, range, dout, {}, false);
  REQUIRE(without.alpha == Approx(gradients.alpha).margin(1e-4));
  REQUIRE(without.bits == 0.0);
}

TEST_CASE("Activations are quantized, and differentiated, as the formulas say") {
  for (const ClipRange range : {ClipRange::from_zero, ClipRange::both_signs}) {
    for (const float width : kWidths) check_activations(300, 1.7F, width, range);
    for (const std::size_t count : {1, 3, 16, 17, 64, 130, 20000}) {
      check_activations(count, 6.0F, 3.3F, range);
      check_activations(count, 0.01F, 2, range);
    }
  }
}

TEST_CASE("The clip's edges belong to its inside") {
  const Floats x{0, 2, -1e-6F, 2.0001F}, dout{1, 1, 1, 1};
  Floats dx(4);
  quantize_activations_backward(x, 2, 3, ClipRange::from_zero, dout, dx, false);
  REQUIRE(dx == Floats{1, 1, 0, 0});
}

TEST_CASE("What is not a number stays that") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Floats x(70, nan);
  Floats out(70);
  for (const ClipRange range : {ClipRange::from_zero, ClipRange::both_signs}) {
    quantize_activations_forward(x, 1, 2.5F, range, out);
    for (const float value : out) REQUIRE(std::isnan(value));
  }
  const Floats one(70, 0.5F);
  quantize_activations_forward(one, 1, nan, ClipRange::from_zero, out);
  for (const float value : out) REQUIRE(std::isnan(value));
}

TEST_CASE("Sizes that do not fit are our mistake") {
  const Floats w(10), bits(3);
  Floats t(10), out(9);
  REQUIRE_THROWS_AS(quantize_weights_forward(w, 5, bits, t, out), InternalError);
  REQUIRE_THROWS_AS(quantize_activations_forward(w, 1, 2, ClipRange::from_zero, out),
                    InternalError);
}

// ---- Batch norms ------------------------------------------------------------------------------

struct NormCase {
  std::size_t rows = 0, channels = 0;
  bool masked = false;
};

void check_norm(const NormCase& given, const ClipQuantizer& q, float bits, ClipRange range) {
  CAPTURE(given.rows, given.channels, given.masked, q.sets, bits, range);
  const std::size_t channels = given.channels;
  const std::size_t count = given.rows * channels;
  const RowBlocks blocks{given.rows, channels};
  const Floats x = normal_values(count, 11, 2, 1), dout = normal_values(count, 12);
  const Floats mean = normal_values(channels, 13), scale = normal_values(channels, 14);
  const Floats shift = normal_values(channels, 15);
  const Floats constant = normal_values(channels, 16), linear = normal_values(channels, 17);
  Floats keep;
  if (given.masked) {
    for (std::size_t c = 0; c < channels; ++c) keep.push_back(c % 3 == 0 ? 0.0F : 1.0F);
  }
  const ChannelNorm norm{mean, scale, shift, keep};

  Floats out(count), dx(count);
  std::vector<double> sums(channels), squares(channels), dz(channels), dz_x(channels);
  std::vector<double> block_a(channels), block_b(channels);
  ActivationGradients gradients;
  for (std::size_t block = 0; block < blocks.count(); ++block) {
    normalize_block(x, blocks, block, norm, q, out);
    differentiate_block(x, dout, blocks, block, norm, q, constant, linear, dx);
    const ActivationGradients part =
        reduce_block(x, dout, blocks, block, norm, q, block_a, block_b);
    gradients.alpha += part.alpha;
    gradients.bits += part.bits;
    for (std::size_t c = 0; c < channels; ++c) {
      dz[c] += block_a[c];
      dz_x[c] += block_b[c];
    }
    sum_block(x, blocks, block, mean, block_a, block_b);
    for (std::size_t c = 0; c < channels; ++c) {
      sums[c] += block_a[c];
      squares[c] += block_b[c];
    }
  }

  std::vector<double> expected_sums(channels), expected_squares(channels);
  std::vector<double> expected_dz(channels), expected_dz_x(channels), size(channels, 1e-4);
  double alpha_gradient = 0, bits_gradient = 0, tolerance = 1e-4;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t c = i % channels;
    const double centred = static_cast<double>(x[i]) - mean[c];
    expected_sums[c] += centred;
    expected_squares[c] += centred * centred;
    const double z = centred * scale[c] + shift[c];
    const double kept = keep.empty() ? 1 : keep[c];
    const double dy = dout[i] * kept;
    ActivationReference expected;
    if (q.sets == 0) {
      const bool relu = q.low == 0;
      expected = {relu ? std::max(z, 0.0) : z, relu && z <= 0 ? 0.0 : 1.0, 0, 0, false};
    } else {
      expected = activation(z, q.alpha, bits, range);
    }
    const double edge = std::min(std::fabs(z - q.low), std::fabs(z - q.high));
    const double expected_dx =
        dy * expected.dx * scale[c] - constant[c] - centred * static_cast<double>(linear[c]);
    if (edge > 1e-5) REQUIRE(dx[i] == Approx(expected_dx).margin(2e-5));
    expected_dz[c] += dy * expected.dx;
    expected_dz_x[c] += dy * expected.dx * centred;
    size[c] += 1e-6 * std::fabs(dy) * (1 + std::fabs(centred));
    if (edge <= 1e-5) size[c] += std::fabs(dy) * (1 + std::fabs(centred));
    alpha_gradient += dy * expected.dalpha;
    bits_gradient += dy * expected.dbits;
    tolerance += 2e-6 * std::fabs(dy);
    // Floats round z itself, too.
    const double near_middle = 16 * (std::fabs(z) + 10) * 1e-7;
    bool middle = expected.middle;
    if (q.sets > 0) {
      middle = middle || activation(z - near_middle, q.alpha, bits, range).value !=
                             activation(z + near_middle, q.alpha, bits, range).value;
    }
    if (middle || edge <= 1e-5) {
      tolerance += 2 * std::fabs(dy);
    } else {
      REQUIRE(out[i] == Approx(expected.value * kept).margin(1e-5));
    }
  }
  for (std::size_t c = 0; c < channels; ++c) {
    REQUIRE(sums[c] == Approx(expected_sums[c]).epsilon(1e-5).margin(1e-3));
    REQUIRE(squares[c] == Approx(expected_squares[c]).epsilon(1e-5));
    REQUIRE(dz[c] == Approx(expected_dz[c]).margin(size[c]));
    REQUIRE(dz_x[c] == Approx(expected_dz_x[c]).margin(size[c]));
  }
  if (q.sets > 0) REQUIRE(gradients.alpha == Approx(alpha_gradient).margin(tolerance));
  if (q.sets > 1) REQUIRE(gradients.bits == Approx(bits_gradient).margin(tolerance));
}

TEST_CASE("Normalized rows are quantized, and differentiated, as the formulas say") {
  for (const std::size_t channels : {1, 3, 16, 17, 130, 300}) {
    for (const std::size_t rows : {1, 9, 131}) {
      for (const bool masked : {false, true}) {
        const NormCase given{rows, channels, masked};
        check_norm(given, no_quantizer(false), 0, ClipRange::from_zero);
        check_norm(given, no_quantizer(true), 0, ClipRange::from_zero);
        for (const ClipRange range : {ClipRange::from_zero, ClipRange::both_signs}) {
          for (const float bits : {0.5F, 2.0F, 3.6F}) {
            check_norm(given, clip_quantizer(1.5F, bits, range, false), bits, range);
            check_norm(given, clip_quantizer(1.5F, bits, range, true), bits, range);
          }
        }
      }
    }
  }
}

TEST_CASE("Rows are worked on in several blocks") {
  const RowBlocks narrow{70000, 3}, wide{700, 130};
  REQUIRE(narrow.count() > 2);
  REQUIRE(wide.count() > 2);
  check_norm({narrow.rows, 3, false}, clip_quantizer(1.5F, 2.5F, ClipRange::from_zero, true), 2.5F,
             ClipRange::from_zero);
  check_norm({wide.rows, 130, true}, clip_quantizer(1.5F, 4, ClipRange::both_signs, false), 4,
             ClipRange::both_signs);
}

TEST_CASE("At a whole width one set of levels is evaluated, unless the width's gradient is asked") {
  REQUIRE(clip_quantizer(1, 3, ClipRange::from_zero, false).sets == 1);
  REQUIRE(clip_quantizer(1, 3, ClipRange::from_zero, true).sets == 2);
  REQUIRE(clip_quantizer(1, 3.5F, ClipRange::from_zero, false).sets == 2);
}

}  // namespace
}  // namespace widthwise
