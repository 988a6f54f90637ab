// How much uniform quantization changes a tensor: relative noise power, mean (q(x) - x)^2 / mean
// x^2. 1 is what is lost when everything becomes 0.
//
// Signed values (weights) have 2^b levels, symmetric about 0 and without it, as DoReFa (arXiv
// 1606.06160) has them:
//
//   q(x) = sign(x) s (k + 1/2),  k = min(floor(|x| / s), 2^(b-1) - 1)
//
// so that q is clipped at the greatest level c = s (2^b - 1) / 2. The step s is set by the
// calibration; of 1 bit it is always that of least error, q(x) = sign(x) mean |x| (XNOR-Net, arXiv
// 1603.05279). Codes in two's complement have one level fewer above 0, and one at 0: 2^b - 1 levels
// that are used if symmetric. Against those this errs low, by a third at 2 bits (0.119 for 0.190 of
// a normal distribution) and by a tenth at 4 (0.0115 for 0.0129); for tensors that are mostly 0
// (pruned) it errs high.
//
// Activations are not at hand: for them a distribution is assumed and the step is the best one.
//
//   normal, signed       levels s (k + 1/2), -2^(b-1) <= k < 2^(b-1)             2^b levels
//   half-normal, >= 0    levels s k, 0 <= k < 2^b; as 2^(b+1) - 1 levels of a normal one
//
//   noise(s) = 2 sum_k integral (x - q_k)^2 phi(x) dx over the cell of level k, k >= 0
//
// the sum by Gauss-Legendre integration, the least over s by golden section; these are the figures
// of Max (IRE Trans. Inf. Theory 6, 1960). Zeros that a ReLU leaves are exact and cost nothing: the
// relative noise power of what is above 0 is that of all. Real activations have longer tails than
// a normal distribution: this errs low, the more so for max-abs calibration of many bits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/base/quantity.hpp"

namespace widthwise {

/// What sets the scale of weights.
enum class Calibration {
  max_abs,      // greatest level: the greatest magnitude
  mean_square,  // of least error, by search over clipping thresholds
  percentile,   // greatest level: the magnitude that 99.9 % of the values do not exceed; if that is
                // 0, the greatest
};

/// Relative noise power at each of the widths (1..16, in any order): sum (q(x) - x)^2 / sum x^2.
/// The values are cut into `runs` of the same length, each with its own step, as in quantize.hpp:
/// of weights in the order of OnnxWeights, groups x out_channels is per output channel. 0 if all
/// values are 0.
///
/// mean_square: the least over thresholds between mean and greatest magnitude, 20 in geometric
/// steps, refined by golden section around the best, and the steps of all smaller widths: it never
/// rises with the width and does not depend on which other widths are asked for.
///
/// Throws InputError for values that are not finite. The runs divide the values.
std::vector<double> weight_noise(std::span<const float> values, std::int64_t runs,
                                 Calibration calibration, std::span<const BitWidth> widths);

enum class ActivationShape {
  normal,       // any sign
  half_normal,  // what a ReLU leaves
};

/// Relative noise power of the best uniform quantizer with 2^bits levels, bits in 1..16.
double activation_noise(ActivationShape shape, BitWidth bits);

/// Least mean square error of a uniform quantizer of a normal distribution with variance 1: so many
/// levels, symmetric about 0, at least 2.
double normal_noise(std::int64_t levels);

}  // namespace widthwise
