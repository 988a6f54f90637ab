// BMPQ's sensitivities (arXiv 2112.13843); width_assigner.hpp makes widths of them.
//
// DoReFa's b-bit levels 2 k / (2^b - 1) - 1, k = 0 .. 2^b - 1, are S (n + 1/2) with S = 2 / (2^b -
// 1) and n = k - 2^(b-1), a two's complement integer n = -2^(b-1) c_(b-1) + sum_j 2^j c_j. The
// gradient on bit j is S 2^j dL/dw_q (negated for the top one), and the sum of their absolute
// values S (2^b - 1) |dL/dw_q| = 2 |dL/dw_q|: a layer's bit gradient does not depend on its width.
//
//   normalized     NBG(l) = mean over weights of 2 |dL/dw_q| / sum over layers of the same
//   epoch-normalized   ENBG(l) = mean of NBG(l) over the mini-batches of an interval
//   assignment     maximize sum_l ENBG(l) bits(l) under the budgets (our reading of the paper)
//
// Ignores that the gradient is taken at the widths of the moment: what a layer would lose at others
// is not looked at (the assignment takes gains as linear in bits).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace widthwise {

/// Sums mini-batch gradients over an interval.
class BitGradients {
 public:
  explicit BitGradients(std::size_t layers);
  /// Mean |dL/dw_q| of every layer's quantized weights in one mini-batch; those of layers that are
  /// not assigned count too. Batches in which all are 0, or one is not finite, are skipped.
  void add(std::span<const double> mean_absolute_gradient);
  [[nodiscard]] std::vector<double> sensitivities() const;  // ENBG, sum 1; equal before any batch
  void clear();
  [[nodiscard]] std::vector<double> state() const;  // for checkpoints
  void restore(std::span<const double> state);

 private:
  std::vector<double> sums_;
  double batches_ = 0;
};

}  // namespace widthwise
