// The quantizers of training as loops over floats: forward and backward each touch memory once.
// Formulas: FracBits (arXiv 2007.02017) with DoReFa weights (arXiv 1606.06160) and PACT activations
// (arXiv 1805.06085).
//
//   levels        Q_b(t) = round((2^b - 1) t) / (2^b - 1) on [0, 1]; Q_0 = 0 for weights, see below
//   fractional    Q_l = (l - lo) Q_hi + (1 + lo - l) Q_lo, lo = floor(l), hi = lo + 1;
//                 dQ_l/dl = Q_hi - Q_lo, dQ_l/dt = 1 (straight through)
//   weights       t = (tanh(w) / m + 1) / 2, m = max |tanh(w)| over the tensor; w_q = 2 Q_l(t) - 1;
//                 at 0 bits w_q = 0. Gradient of w: through tanh / m, m held constant.
//   activations   unsigned: x_q = a Q_l(clip(x, 0, a) / a); signed: x_q = a (2 Q_l((clip(x, -a, a)
//   / a
//                 + 1) / 2) - 1). dx: 1 inside the clip, 0 outside. da (PACT): sign(x) outside, and
//                 inside x_q / a - x / a (the quantization error, as LSQ has it).
//
// Widths above 16 count as 16. All loops are compiled for AVX-512, AVX2 and plain x86-64 (or
// whatever the machine is) and chosen at run time; sums are formed in float over blocks and in
// double over those, in an order that does not depend on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace widthwise {

/// w, out: [channels][per_channel] contiguous. bits: 1 or `channels` widths. Returns m.
/// `scratch` (same size as w) keeps t's numerator tanh(w) / m for the backward pass.
float quantize_weights_forward(std::span<const float> w, std::size_t channels,
                               std::span<const float> bits, std::span<float> tanh_over_m,
                               std::span<float> out);

/// dw = dout (1 - tanh(w)^2) / m; bits_gradient (empty, or as bits) is added to.
void quantize_weights_backward(std::span<const float> tanh_over_m, float m, std::size_t channels,
                               std::span<const float> bits, std::span<const float> dout,
                               std::span<float> dw, std::span<float> bits_gradient);

enum class ClipRange { from_zero, both_signs };

void quantize_activations_forward(std::span<const float> x, float alpha, float bits,
                                  ClipRange range, std::span<float> out);

struct ActivationGradients {
  double alpha = 0;
  double bits = 0;
};
/// Recomputes x_q from x. `wants_bits`: whether the second is computed.
ActivationGradients quantize_activations_backward(std::span<const float> x, float alpha, float bits,
                                                  ClipRange range, std::span<const float> dout,
                                                  std::span<float> dx, bool wants_bits);

}  // namespace widthwise
