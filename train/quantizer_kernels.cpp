#include "train/quantizer_kernels.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "models/base/error.hpp"

// A function of which one version for each set of instructions is compiled; the loader chooses.
// What it calls has to be inlined, or it would be compiled for the plain machine. Resolvers run
// before the sanitizers are ready.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WIDTHWISE_FOR_EACH_MACHINE \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDTHWISE_FOR_EACH_MACHINE
#endif
#define WIDTHWISE_INLINE [[gnu::always_inline]] inline

namespace widthwise {

namespace {

constexpr float kMostBits = 16;
constexpr float kLeastMaximum = 1e-30F;

// ---- One value ------------------------------------------------------------------------------

// To the nearest integer, halves to even: in [2^23, 2^24) floats are integers. |v| < 2^22.
WIDTHWISE_INLINE float round_even(float v) {
  constexpr float kIntegers = 12582912.0F;  // 1.5 2^23
  return (v + kIntegers) - kIntegers;
}

// In this order a NaN stays one.
WIDTHWISE_INLINE float clip(float v, float low, float high) {
  const float above = v < low ? low : v;
  return above > high ? high : above;
}

WIDTHWISE_INLINE float quantize(float v, const LevelSet& set) {
  return round_even(v * set.inverse + set.half) * set.step + set.offset;
}

template <int sets>
WIDTHWISE_INLINE float quantize(float v, const ClipQuantizer& q) {
  if constexpr (sets == 0) {
    return v;
  } else if constexpr (sets == 1) {
    return quantize(v, q.lower);
  } else {
    const float lower = quantize(v, q.lower);
    return lower + q.share * (quantize(v, q.upper) - lower);
  }
}

// Odd over even polynomial on [-7.9, 7.9], beyond which tanh is 1 in floats: the coefficients of
// Eigen (Eigen/src/Core/MathFunctionsImpl.h).
WIDTHWISE_INLINE float fast_tanh(float value) {
  constexpr float kOne = 7.90531110763549805F;
  const float x = clip(value, -kOne, kOne);
  const float s = x * x;
  float p = -2.76076847742355e-16F;
  p = p * s + 2.00018790482477e-13F;
  p = p * s + -8.60467152213735e-11F;
  p = p * s + 5.12229709037114e-08F;
  p = p * s + 1.48572235717979e-05F;
  p = p * s + 6.37261928875436e-04F;
  p = p * s + 4.89352455891786e-03F;
  float q = 1.19825839466702e-06F;
  q = q * s + 1.18534705686654e-04F;
  q = q * s + 2.26843463243900e-03F;
  q = q * s + 4.89352518554385e-03F;
  return x * p / q;
}

LevelSet level_set(int bits, float alpha, ClipRange range) {
  if (bits == 0) return {};
  const auto steps = static_cast<float>((1 << bits) - 1);
  if (range == ClipRange::from_zero) return {steps / alpha, 0, alpha / steps, 0};
  return {steps / (2 * alpha), steps / 2, 2 * alpha / steps, -alpha};
}

// ---- Runs of values with one quantizer ------------------------------------------------------

// Sums are kept in so many lanes, for kFlush rounds in floats.
constexpr std::size_t kLanes = 64;
constexpr std::size_t kFlush = 256;

struct Lanes {
  alignas(64) std::array<float, kLanes> values{};

  WIDTHWISE_INLINE double take() {
    double sum = 0;
    for (float& value : values) {
      sum += static_cast<double>(value);
      value = 0;
    }
    return sum;
  }
};

WIDTHWISE_FOR_EACH_MACHINE float greatest_magnitude(const float* values, std::size_t count) {
  Lanes lanes;
  float* __restrict lane = lanes.values.data();
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float magnitude = std::fabs(values[i + j]);
      lane[j] = magnitude > lane[j] ? magnitude : lane[j];
    }
  }
  float greatest = 0;
  for (std::size_t j = 0; j < kLanes; ++j) greatest = lane[j] > greatest ? lane[j] : greatest;
  for (; i < count; ++i) {
    const float magnitude = std::fabs(values[i]);
    greatest = magnitude > greatest ? magnitude : greatest;
  }
  return greatest;
}

WIDTHWISE_FOR_EACH_MACHINE float tanh_of(float value) { return fast_tanh(value); }

template <int sets>
WIDTHWISE_INLINE void weights_forward_run(const float* __restrict w, std::size_t count,
                                          float one_over_m, const ClipQuantizer& quantizer,
                                          float* __restrict tanh_over_m, float* __restrict out) {
  const ClipQuantizer q = quantizer;
  for (std::size_t i = 0; i < count; ++i) {
    const float t = clip(fast_tanh(w[i]) * one_over_m, -1, 1);
    tanh_over_m[i] = t;
    out[i] = quantize<sets>(t, q);
  }
}

WIDTHWISE_FOR_EACH_MACHINE void weights_forward(const float* w, std::size_t count, float one_over_m,
                                                const ClipQuantizer& q, float* tanh_over_m,
                                                float* out) {
  if (q.sets == 1) {
    weights_forward_run<1>(w, count, one_over_m, q, tanh_over_m, out);
  } else {
    weights_forward_run<2>(w, count, one_over_m, q, tanh_over_m, out);
  }
}

WIDTHWISE_FOR_EACH_MACHINE void weights_backward(const float* __restrict tanh_over_m, float m,
                                                 float factor, const float* __restrict dout,
                                                 std::size_t count, float* __restrict dw) {
  for (std::size_t i = 0; i < count; ++i) {
    const float tanh_w = tanh_over_m[i] * m;
    dw[i] = dout[i] * factor * (1 - tanh_w * tanh_w);
  }
}

// Sum of dout (upper - lower).
WIDTHWISE_FOR_EACH_MACHINE double bits_gradient_of(const float* __restrict values,
                                                   const float* __restrict dout, std::size_t count,
                                                   const ClipQuantizer& quantizer) {
  const ClipQuantizer q = quantizer;
  Lanes lanes;
  float* __restrict lane = lanes.values.data();
  double sum = 0;
  std::size_t i = 0;
  for (std::size_t round = 1; i + kLanes <= count; i += kLanes, ++round) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float v = values[i + j];
      lane[j] += dout[i + j] * (quantize(v, q.upper) - quantize(v, q.lower));
    }
    if (round % kFlush == 0) sum += lanes.take();
  }
  sum += lanes.take();
  for (; i < count; ++i) {
    sum += static_cast<double>(dout[i] *
                               (quantize(values[i], q.upper) - quantize(values[i], q.lower)));
  }
  return sum;
}

template <int sets>
WIDTHWISE_INLINE void activations_forward_run(const float* __restrict x, std::size_t count,
                                              const ClipQuantizer& quantizer,
                                              float* __restrict out) {
  const ClipQuantizer q = quantizer;
  for (std::size_t i = 0; i < count; ++i) out[i] = quantize<sets>(clip(x[i], q.low, q.high), q);
}

WIDTHWISE_FOR_EACH_MACHINE void activations_forward(const float* x, std::size_t count,
                                                    const ClipQuantizer& q, float* out) {
  if (q.sets == 1) {
    activations_forward_run<1>(x, count, q, out);
  } else {
    activations_forward_run<2>(x, count, q, out);
  }
}

// What the gradient of one value adds to the sums for alpha (alpha times) and bits; returns dz.
template <int sets>
WIDTHWISE_INLINE float differentiate(float z, float dy, const ClipQuantizer& q, float& alpha,
                                     float& bits) {
  const float dz = z >= q.passes_from && z <= q.high ? dy * q.slope : 0.0F;
  if constexpr (sets > 0) {
    const float v = clip(z, q.low, q.high);
    float x_q = quantize(v, q.lower);
    if constexpr (sets == 2) {
      const float difference = quantize(v, q.upper) - x_q;
      bits += dy * difference;
      x_q += q.share * difference;
    }
    alpha += dy * x_q - dz * v;
  }
  return dz;
}

template <int sets, bool wants_dx>
WIDTHWISE_INLINE ActivationGradients activations_backward_run(const float* __restrict x,
                                                              const float* __restrict dout,
                                                              std::size_t count,
                                                              const ClipQuantizer& quantizer,
                                                              float* __restrict dx) {
  const ClipQuantizer q = quantizer;
  Lanes alpha_lanes, bits_lanes;
  float* __restrict alpha = alpha_lanes.values.data();
  float* __restrict bits = bits_lanes.values.data();
  ActivationGradients sums;
  std::size_t i = 0;
  for (std::size_t round = 1; i + kLanes <= count; i += kLanes, ++round) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      float a = alpha[j];
      float b = bits[j];
      const float dz = differentiate<sets>(x[i + j], dout[i + j], q, a, b);
      if constexpr (wants_dx) dx[i + j] = dz;
      alpha[j] = a;
      bits[j] = b;
    }
    if (round % kFlush == 0) {
      sums.alpha += alpha_lanes.take();
      sums.bits += bits_lanes.take();
    }
  }
  for (std::size_t j = 0; i < count; ++i, ++j) {
    const float dz = differentiate<sets>(x[i], dout[i], q, alpha[j], bits[j]);
    if constexpr (wants_dx) dx[i] = dz;
  }
  sums.alpha += alpha_lanes.take();
  sums.bits += bits_lanes.take();
  return sums;
}

WIDTHWISE_FOR_EACH_MACHINE ActivationGradients activations_backward(
    const float* x, const float* dout, std::size_t count, const ClipQuantizer& q, float* dx) {
  if (q.sets == 1) {
    return dx != nullptr ? activations_backward_run<1, true>(x, dout, count, q, dx)
                         : activations_backward_run<1, false>(x, dout, count, q, dx);
  }
  return dx != nullptr ? activations_backward_run<2, true>(x, dout, count, q, dx)
                       : activations_backward_run<2, false>(x, dout, count, q, dx);
}

// ---- Groups of rows with one set of parameters per column -----------------------------------

// Columns that are worked on together: either as many whole rows as kNarrow holds, or a part of a
// row of at most kWidest. Parameters and sums of a panel stay in the first-level cache.
constexpr std::size_t kNarrow = 128;
constexpr std::size_t kWidest = 256;
constexpr std::size_t kGroupsPerBlock = 256;  // sums of so many values are formed in floats

using PanelFloats = std::array<float, kWidest>;

std::size_t rows_per_group(std::size_t channels) {
  return std::max<std::size_t>(1, kNarrow / std::max<std::size_t>(1, channels));
}

struct Panel {
  std::size_t groups = 0, width = 0, stride = 0;
};

struct PanelNorm {
  alignas(64) PanelFloats mean, scale, shift, keep;
};

struct PanelSums {
  alignas(64) PanelFloats first{}, second{}, alpha{}, bits{};
};

WIDTHWISE_FOR_EACH_MACHINE void sum_panel(const float* __restrict x, const Panel& panel,
                                          const float* __restrict centre, float* __restrict sums,
                                          float* __restrict squares) {
  const std::size_t stride = panel.stride;
  const std::size_t width = panel.width;
  std::size_t g = 0;
  for (; g + 4 <= panel.groups; g += 4, x += 4 * stride) {
    for (std::size_t j = 0; j < width; ++j) {
      const float a = x[j] - centre[j];
      const float b = x[stride + j] - centre[j];
      const float c = x[2 * stride + j] - centre[j];
      const float d = x[3 * stride + j] - centre[j];
      sums[j] += (a + b) + (c + d);
      squares[j] += (a * a + b * b) + (c * c + d * d);
    }
  }
  for (; g < panel.groups; ++g, x += stride) {
    for (std::size_t j = 0; j < width; ++j) {
      const float a = x[j] - centre[j];
      sums[j] += a;
      squares[j] += a * a;
    }
  }
}

template <int sets, bool masked>
WIDTHWISE_INLINE void normalize_panel_with(const float* __restrict x, const Panel& panel,
                                           const PanelNorm& norm, const ClipQuantizer& quantizer,
                                           float* __restrict out) {
  const ClipQuantizer q = quantizer;
  const float* __restrict mean = norm.mean.data();
  const float* __restrict scale = norm.scale.data();
  const float* __restrict shift = norm.shift.data();
  const float* __restrict keep = norm.keep.data();
  const std::size_t width = panel.width;
  for (std::size_t g = 0; g < panel.groups; ++g, x += panel.stride, out += panel.stride) {
    for (std::size_t j = 0; j < width; ++j) {
      const float z = (x[j] - mean[j]) * scale[j] + shift[j];
      const float x_q = quantize<sets>(clip(z, q.low, q.high), q);
      out[j] = masked ? x_q * keep[j] : x_q;
    }
  }
}

WIDTHWISE_FOR_EACH_MACHINE void normalize_panel(const float* x, const Panel& panel,
                                                const PanelNorm& norm, bool masked,
                                                const ClipQuantizer& q, float* out) {
  if (q.sets == 0) {
    masked ? normalize_panel_with<0, true>(x, panel, norm, q, out)
           : normalize_panel_with<0, false>(x, panel, norm, q, out);
  } else if (q.sets == 1) {
    masked ? normalize_panel_with<1, true>(x, panel, norm, q, out)
           : normalize_panel_with<1, false>(x, panel, norm, q, out);
  } else {
    masked ? normalize_panel_with<2, true>(x, panel, norm, q, out)
           : normalize_panel_with<2, false>(x, panel, norm, q, out);
  }
}

template <int sets>
WIDTHWISE_INLINE void reduce_element(float x, float dy, float mean, float scale, float shift,
                                     const ClipQuantizer& q, float& first, float& second,
                                     float& alpha, float& bits) {
  const float centred = x - mean;
  const float dz = differentiate<sets>(centred * scale + shift, dy, q, alpha, bits);
  first += dz;
  second += dz * centred;
}

template <int sets, bool masked>
WIDTHWISE_INLINE void reduce_panel_with(const float* __restrict x, const float* __restrict dy,
                                        const Panel& panel, const PanelNorm& norm,
                                        const ClipQuantizer& quantizer, PanelSums& result) {
  const ClipQuantizer q = quantizer;
  const float* __restrict mean = norm.mean.data();
  const float* __restrict scale = norm.scale.data();
  const float* __restrict shift = norm.shift.data();
  const float* __restrict keep = norm.keep.data();
  PanelSums sums;  // nothing else can point into it, which the compiler has to know
  float* first = sums.first.data();
  float* second = sums.second.data();
  float* alpha = sums.alpha.data();
  float* bits = sums.bits.data();
  const std::size_t stride = panel.stride;
  const std::size_t width = panel.width;
  std::size_t g = 0;
  for (; g + 4 <= panel.groups; g += 4, x += 4 * stride, dy += 4 * stride) {
    for (std::size_t j = 0; j < width; ++j) {
      const float k = masked ? keep[j] : 1.0F;
      const float m = mean[j], s = scale[j], t = shift[j];
      float f = 0, p = 0, a = 0, b = 0;
      reduce_element<sets>(x[j], dy[j] * k, m, s, t, q, f, p, a, b);
      reduce_element<sets>(x[stride + j], dy[stride + j] * k, m, s, t, q, f, p, a, b);
      reduce_element<sets>(x[2 * stride + j], dy[2 * stride + j] * k, m, s, t, q, f, p, a, b);
      reduce_element<sets>(x[3 * stride + j], dy[3 * stride + j] * k, m, s, t, q, f, p, a, b);
      first[j] += f;
      second[j] += p;
      if constexpr (sets > 0) alpha[j] += a;
      if constexpr (sets > 1) bits[j] += b;
    }
  }
  for (; g < panel.groups; ++g, x += stride, dy += stride) {
    for (std::size_t j = 0; j < width; ++j) {
      const float k = masked ? keep[j] : 1.0F;
      float f = 0, p = 0, a = 0, b = 0;
      reduce_element<sets>(x[j], dy[j] * k, mean[j], scale[j], shift[j], q, f, p, a, b);
      first[j] += f;
      second[j] += p;
      if constexpr (sets > 0) alpha[j] += a;
      if constexpr (sets > 1) bits[j] += b;
    }
  }
  result = sums;
}

WIDTHWISE_FOR_EACH_MACHINE void reduce_panel(const float* x, const float* dy, const Panel& panel,
                                             const PanelNorm& norm, bool masked,
                                             const ClipQuantizer& q, PanelSums& sums) {
  if (q.sets == 0) {
    masked ? reduce_panel_with<0, true>(x, dy, panel, norm, q, sums)
           : reduce_panel_with<0, false>(x, dy, panel, norm, q, sums);
  } else if (q.sets == 1) {
    masked ? reduce_panel_with<1, true>(x, dy, panel, norm, q, sums)
           : reduce_panel_with<1, false>(x, dy, panel, norm, q, sums);
  } else {
    masked ? reduce_panel_with<2, true>(x, dy, panel, norm, q, sums)
           : reduce_panel_with<2, false>(x, dy, panel, norm, q, sums);
  }
}

WIDTHWISE_FOR_EACH_MACHINE void differentiate_panel(
    const float* __restrict x, const float* __restrict dy, const Panel& panel,
    const PanelNorm& norm, const ClipQuantizer& quantizer, const float* __restrict constant,
    const float* __restrict linear, float* __restrict dx) {
  const ClipQuantizer q = quantizer;
  const float* __restrict mean = norm.mean.data();
  const float* __restrict scale = norm.scale.data();
  const float* __restrict shift = norm.shift.data();
  const float* __restrict keep = norm.keep.data();  // scale times slope times keep
  const std::size_t width = panel.width;
  for (std::size_t g = 0; g < panel.groups;
       ++g, x += panel.stride, dy += panel.stride, dx += panel.stride) {
    for (std::size_t j = 0; j < width; ++j) {
      const float centred = x[j] - mean[j];
      const float z = centred * scale[j] + shift[j];
      const float inside = z >= q.passes_from && z <= q.high ? dy[j] : 0.0F;
      dx[j] = inside * keep[j] - (centred * linear[j] + constant[j]);
    }
  }
}

// Calls work(panel, offset of its first value, first column) for all parts of a block.
template <class Work>
void for_each_panel(const RowBlocks& blocks, std::size_t block, const Work& work) {
  const std::size_t channels = blocks.channels;
  const std::size_t first_row = block * blocks.rows_per_block();
  const std::size_t rows = std::min(blocks.rows_per_block(), blocks.rows - first_row);
  const std::size_t repeat = rows_per_group(channels);
  if (channels > kWidest) {
    for (std::size_t column = 0; column < channels; column += kWidest) {
      work(Panel{rows, std::min(kWidest, channels - column), channels},
           first_row * channels + column, column);
    }
    return;
  }
  const std::size_t groups = rows / repeat;
  const std::size_t rest = rows % repeat;
  const std::size_t width = repeat * channels;
  if (groups > 0) work(Panel{groups, width, width}, first_row * channels, std::size_t{0});
  if (rest > 0) {
    work(Panel{1, rest * channels, rest * channels}, (first_row + groups * repeat) * channels,
         std::size_t{0});
  }
}

// One value per channel, from `column` on, repeated for the rows of a panel.
void spread(std::span<const float> channels, std::size_t column, std::size_t width,
            PanelFloats& out) {
  for (std::size_t j = 0, c = column; j < width; ++j) {
    out[j] = channels[c];
    if (++c == channels.size()) c = 0;
  }
}

void collect(const PanelFloats& values, std::size_t column, std::size_t width,
             std::span<double> channels) {
  for (std::size_t j = 0, c = column; j < width; ++j) {
    channels[c] += static_cast<double>(values[j]);
    if (++c == channels.size()) c = 0;
  }
}

double sum_of(const PanelFloats& values, std::size_t width) {
  double sum = 0;
  for (std::size_t j = 0; j < width; ++j) sum += static_cast<double>(values[j]);
  return sum;
}

void spread(const ChannelNorm& norm, std::size_t column, std::size_t width, PanelNorm& out) {
  spread(norm.mean, column, width, out.mean);
  spread(norm.scale, column, width, out.scale);
  spread(norm.shift, column, width, out.shift);
  if (!norm.keep.empty()) spread(norm.keep, column, width, out.keep);
}

void check_widths(std::span<const float> values, std::size_t channels,
                  std::span<const float> bits) {
  ensure(channels > 0 && values.size() % channels == 0, "weights are whole channels");
  ensure(bits.size() == 1 || bits.size() == channels, "one width, or one per channel");
}

}  // namespace

ClipQuantizer clip_quantizer(float alpha, float bits, ClipRange range, bool both_sets) {
  ClipQuantizer q;
  q.low = q.passes_from = range == ClipRange::from_zero ? 0 : -alpha;
  q.high = alpha;
  q.alpha = alpha;
  // A width that is not a number leads to values that are not.
  const float width = std::clamp(bits, 0.0F, kMostBits);
  const int lower = width >= kMostBits ? static_cast<int>(kMostBits)
                    : width > 0        ? static_cast<int>(width)
                                       : 0;
  const int upper = std::min(lower + 1, static_cast<int>(kMostBits));
  q.share = width - static_cast<float>(lower);
  q.slope = std::min(width, 1.0F);
  q.sets = both_sets || q.share != 0 ? 2 : 1;
  q.lower = level_set(lower, alpha, range);
  q.upper = level_set(upper, alpha, range);
  return q;
}

ClipQuantizer no_quantizer(bool relu) {
  ClipQuantizer q;
  q.low = relu ? 0 : -std::numeric_limits<float>::infinity();
  q.passes_from = relu ? std::numeric_limits<float>::min() : q.low;
  q.high = std::numeric_limits<float>::infinity();
  return q;
}

float quantize_weights_forward(std::span<const float> w, std::size_t channels,
                               std::span<const float> bits, std::span<float> tanh_over_m,
                               std::span<float> out) {
  check_widths(w, channels, bits);
  ensure(tanh_over_m.size() == w.size() && out.size() == w.size(), "results are as large as w");
  // tanh grows with its argument: its greatest magnitude is at the greatest one of w.
  const float m = std::max(kLeastMaximum, tanh_of(greatest_magnitude(w.data(), w.size())));
  const std::size_t run = w.size() / bits.size();
  for (std::size_t i = 0; i < bits.size(); ++i) {
    weights_forward(w.data() + i * run, run, 1 / m,
                    clip_quantizer(1, bits[i], ClipRange::both_signs, false),
                    tanh_over_m.data() + i * run, out.data() + i * run);
  }
  return m;
}

void quantize_weights_backward(std::span<const float> tanh_over_m, float m, std::size_t channels,
                               std::span<const float> bits, std::span<const float> dout,
                               std::span<float> dw, std::span<float> bits_gradient, float factor) {
  check_widths(tanh_over_m, channels, bits);
  ensure(dout.size() == tanh_over_m.size() && dw.size() == tanh_over_m.size(),
         "gradients are as large as the weights");
  ensure(bits_gradient.empty() || bits_gradient.size() == bits.size(),
         "as many gradients as widths");
  const std::size_t run = tanh_over_m.size() / bits.size();
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const float* t = tanh_over_m.data() + i * run;
    const float* dy = dout.data() + i * run;
    const ClipQuantizer q = clip_quantizer(1, bits[i], ClipRange::both_signs, true);
    weights_backward(t, m, factor * q.slope / m, dy, run, dw.data() + i * run);
    if (!bits_gradient.empty()) {
      bits_gradient[i] +=
          static_cast<float>(static_cast<double>(factor) * bits_gradient_of(t, dy, run, q));
    }
  }
}

double standard_deviation(std::span<const float> values) {
  if (values.size() < 2) return 0;
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value);
  const double mean = sum / static_cast<double>(values.size());
  double squares = 0;
  for (const float value : values) {
    const double distance = static_cast<double>(value) - mean;
    squares += distance * distance;
  }
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

void quantize_activations_forward(std::span<const float> x, float alpha, float bits,
                                  ClipRange range, std::span<float> out) {
  ensure(out.size() == x.size(), "the result is as large as x");
  activations_forward(x.data(), x.size(), clip_quantizer(alpha, bits, range, false), out.data());
}

ActivationGradients quantize_activations_backward(std::span<const float> x, float alpha, float bits,
                                                  ClipRange range, std::span<const float> dout,
                                                  std::span<float> dx, bool wants_bits) {
  ensure(dout.size() == x.size() && (dx.empty() || dx.size() == x.size()),
         "gradients are as large as x");
  ActivationGradients sums = activations_backward(x.data(), dout.data(), x.size(),
                                                  clip_quantizer(alpha, bits, range, wants_bits),
                                                  dx.empty() ? nullptr : dx.data());
  sums.alpha /= static_cast<double>(alpha);
  if (!wants_bits) sums.bits = 0;
  return sums;
}

std::size_t RowBlocks::rows_per_block() const { return kGroupsPerBlock * rows_per_group(channels); }

std::size_t RowBlocks::count() const { return (rows + rows_per_block() - 1) / rows_per_block(); }

void sum_block(std::span<const float> x, const RowBlocks& blocks, std::size_t block,
               std::span<const float> centre, std::span<double> sums, std::span<double> squares) {
  std::ranges::fill(sums, 0);
  std::ranges::fill(squares, 0);
  for_each_panel(blocks, block, [&](const Panel& panel, std::size_t offset, std::size_t column) {
    alignas(64) PanelFloats spread_centre{};
    spread(centre, column, panel.width, spread_centre);
    PanelSums panel_sums;
    sum_panel(x.data() + offset, panel, spread_centre.data(), panel_sums.first.data(),
              panel_sums.second.data());
    collect(panel_sums.first, column, panel.width, sums);
    collect(panel_sums.second, column, panel.width, squares);
  });
}

void normalize_block(std::span<const float> x, const RowBlocks& blocks, std::size_t block,
                     const ChannelNorm& norm, const ClipQuantizer& quantizer,
                     std::span<float> out) {
  for_each_panel(blocks, block, [&](const Panel& panel, std::size_t offset, std::size_t column) {
    PanelNorm panel_norm;
    spread(norm, column, panel.width, panel_norm);
    normalize_panel(x.data() + offset, panel, panel_norm, !norm.keep.empty(), quantizer,
                    out.data() + offset);
  });
}

ActivationGradients reduce_block(std::span<const float> x, std::span<const float> dout,
                                 const RowBlocks& blocks, std::size_t block,
                                 const ChannelNorm& norm, const ClipQuantizer& quantizer,
                                 std::span<double> sums, std::span<double> products) {
  std::ranges::fill(sums, 0);
  std::ranges::fill(products, 0);
  ActivationGradients gradients;
  for_each_panel(blocks, block, [&](const Panel& panel, std::size_t offset, std::size_t column) {
    PanelNorm panel_norm;
    spread(norm, column, panel.width, panel_norm);
    PanelSums panel_sums;
    reduce_panel(x.data() + offset, dout.data() + offset, panel, panel_norm, !norm.keep.empty(),
                 quantizer, panel_sums);
    collect(panel_sums.first, column, panel.width, sums);
    collect(panel_sums.second, column, panel.width, products);
    gradients.alpha += sum_of(panel_sums.alpha, panel.width);
    gradients.bits += sum_of(panel_sums.bits, panel.width);
  });
  gradients.alpha /= static_cast<double>(quantizer.alpha);
  return gradients;
}

void differentiate_block(std::span<const float> x, std::span<const float> dout,
                         const RowBlocks& blocks, std::size_t block, const ChannelNorm& norm,
                         const ClipQuantizer& quantizer, std::span<const float> constant,
                         std::span<const float> linear, std::span<float> dx) {
  for_each_panel(blocks, block, [&](const Panel& panel, std::size_t offset, std::size_t column) {
    PanelNorm panel_norm;
    spread(norm, column, panel.width, panel_norm);
    for (std::size_t j = 0; j < panel.width; ++j) {
      const float keep = norm.keep.empty() ? 1.0F : panel_norm.keep[j];
      panel_norm.keep[j] = panel_norm.scale[j] * quantizer.slope * keep;
    }
    alignas(64) PanelFloats panel_constant{};
    alignas(64) PanelFloats panel_linear{};
    spread(constant, column, panel.width, panel_constant);
    spread(linear, column, panel.width, panel_linear);
    differentiate_panel(x.data() + offset, dout.data() + offset, panel, panel_norm, quantizer,
                        panel_constant.data(), panel_linear.data(), dx.data() + offset);
  });
}

}  // namespace widthwise
