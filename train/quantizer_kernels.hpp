// The quantizers of training as loops over floats: forward and backward each touch memory once, or
// twice with a batch norm. Formulas: FracBits (arXiv 2007.02017) with DoReFa weights (arXiv
// 1606.06160) and PACT activations (arXiv 1805.06085).
//
//   levels        Q_b(t) = round((2^b - 1) t) / (2^b - 1) on [0, 1], halves to even
//   fractional    Q_l = (l - lo) Q_hi + (1 + lo - l) Q_lo, lo = floor(l), hi = lo + 1;
//                 dQ_l/dl = Q_hi - Q_lo, dQ_l/dt = min(l, 1) (straight through)
//   weights       t = (tanh(w) / m + 1) / 2, m = max |tanh(w)| over the tensor; w_q = 2 Q_l(t) - 1.
//                 Gradient of w: through tanh / m, m held constant.
//   activations   unsigned: x_q = a Q_l(clip(x, 0, a) / a);
//                 signed: x_q = a (2 Q_l((clip(x, -a, a) / a + 1) / 2) - 1).
//                 dx: min(l, 1) inside the clip, its edges included, 0 outside. da: x_q / a
//                 outside (PACT: the sign of x), inside x_q / a - min(l, 1) x / a (from 1 bit up
//                 the quantization error, as LSQ has it).
//   0 bits        w_q = x_q = 0. Between 0 and 1 bit the straight-through slope is l, so that the
//                 gradient of a pruned channel's weights dies with them.
//
// Widths above 16 count as 16, where dQ/dl is 0. Signed levels are symmetric and have no 0.
//
// Ignored: t is scaled in floats, so that a value within some 1e-7 of its range of the middle
// between two levels may come out as the neighbour of its exact rounding. The floating point unit
// is to round to nearest, as it does unless told otherwise.
//
// All loops are compiled for AVX-512, AVX2 and plain x86-64 (or whatever the machine is) and chosen
// at run time. Sums are formed in float over blocks of fixed size and in double over those; blocks
// may be worked on by any thread, so results do not depend on how many there are. They do depend,
// in the last bits, on the instructions that were chosen.
#pragma once

#include <cstddef>
#include <span>

namespace widthwise {

/// w, out: [channels][per_channel] contiguous. bits: 1 or `channels` widths. Returns m (at least
/// 1e-30, for weights that are all 0). `tanh_over_m`, as large as w, is for the backward pass. tanh
/// is a rational approximation, good to 1e-6 of its value.
float quantize_weights_forward(std::span<const float> w, std::size_t channels,
                               std::span<const float> bits, std::span<float> tanh_over_m,
                               std::span<float> out);

/// dw = factor dout (1 - tanh(w)^2) / m; bits_gradient (empty, or as bits) is added to.
/// `factor`: what w_q was multiplied by afterwards.
void quantize_weights_backward(std::span<const float> tanh_over_m, float m, std::size_t channels,
                               std::span<const float> bits, std::span<const float> dout,
                               std::span<float> dw, std::span<float> bits_gradient,
                               float factor = 1);

/// Of a sample: divided by n - 1. 0 for a single value.
double standard_deviation(std::span<const float> values);

enum class ClipRange { from_zero, both_signs };

void quantize_activations_forward(std::span<const float> x, float alpha, float bits,
                                  ClipRange range, std::span<float> out);

struct ActivationGradients {
  double alpha = 0;
  double bits = 0;
};
/// Recomputes x_q from x. `wants_bits`: whether the second is computed. dx may be empty: not
/// wanted.
ActivationGradients quantize_activations_backward(std::span<const float> x, float alpha, float bits,
                                                  ClipRange range, std::span<const float> dout,
                                                  std::span<float> dx, bool wants_bits);

/// x_q = round(v inverse + half) step + offset. 0 bits: all are 0.
struct LevelSet {
  float inverse = 0, half = 0, step = 0, offset = 0;
};

/// v = clip(z, low, high), then x_q = (1 - share) lower(v) + share upper(v).
struct ClipQuantizer {
  float low = 0, high = 0;
  float passes_from = 0;  // the gradient passes if passes_from <= z <= high
  int sets = 0;           // of levels that are evaluated: 0 (clip alone), 1 (lower) or 2
  LevelSet lower, upper;
  float share = 0;
  float slope = 1;  // of the straight-through gradient
  float alpha = 1;
};

/// `both_sets`: also at whole widths, for the gradient of the width.
ClipQuantizer clip_quantizer(float alpha, float bits, ClipRange range, bool both_sets);
ClipQuantizer no_quantizer(bool relu);

/// Rows of `channels` contiguous floats (a channels-last image is height x width rows), cut into
/// blocks that can be worked on in any order, at the same time.
struct RowBlocks {
  std::size_t rows = 0, channels = 0;

  [[nodiscard]] std::size_t rows_per_block() const;
  [[nodiscard]] std::size_t count() const;
};

/// Per channel: z = (x - mean) scale + shift, then z keep if `keep` is not empty (0 or 1; the
/// result is 0 and has no gradient where it is 0).
struct ChannelNorm {
  std::span<const float> mean, scale, shift, keep;
};

/// Sums of x - centre and of its square, per channel, over one block. `centre`: any value near the
/// mean; the nearer, the less is lost.
void sum_block(std::span<const float> x, const RowBlocks& blocks, std::size_t block,
               std::span<const float> centre, std::span<double> sums, std::span<double> squares);

/// out = x_q(z) of one block; `out` is as large as x, all blocks.
void normalize_block(std::span<const float> x, const RowBlocks& blocks, std::size_t block,
                     const ChannelNorm& norm, const ClipQuantizer& quantizer, std::span<float> out);

/// With dz = dout inside the clip, else 0: per channel sums over one block of dz and of dz (x -
/// mean). Returns the block's share in the gradients of alpha and bits.
ActivationGradients reduce_block(std::span<const float> x, std::span<const float> dout,
                                 const RowBlocks& blocks, std::size_t block,
                                 const ChannelNorm& norm, const ClipQuantizer& quantizer,
                                 std::span<double> sums, std::span<double> products);

/// dx = dz scale - constant - (x - mean) linear of one block, both per channel.
void differentiate_block(std::span<const float> x, std::span<const float> dout,
                         const RowBlocks& blocks, std::size_t block, const ChannelNorm& norm,
                         const ClipQuantizer& quantizer, std::span<const float> constant,
                         std::span<const float> linear, std::span<float> dx);

}  // namespace widthwise
