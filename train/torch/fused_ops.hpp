// Differentiable operations of quantized training, each one pass forward and one backward
// (quantizer_kernels.hpp has the formulas). CPU, float32.
#pragma once

#include <memory>

#include <torch/types.h>

#include "train/quantizer_kernels.hpp"
#include "train/width_slot.hpp"

namespace widthwise {

/// What training asks of the whole process, once: numbers too small for the usual form of a float
/// are 0 (arithmetic on them takes a hundred times as long), and memory of tensors that are gone
/// stays with the process (glibc; handing it back and forth is a third of a step of a small
/// network).
void prepare_process_for_training();

/// What happens to a layer's result on its way to a reader.
enum class Activation { none, relu };

/// DoReFa weights at the slot's widths (per tensor or per output channel, dimension 0). With
/// `rescale` w_q is divided by std(w_q) sqrt(fan_out), held constant (SAT, as FracBits has it):
/// for layers that no batch norm follows. Keeps the memory format of `weight`.
torch::Tensor quantize_weights(const torch::Tensor& weight, const std::shared_ptr<WidthSlot>& slot,
                               bool rescale);

/// PACT at the slot's (only) width; alpha: one element, its absolute value counts. Keeps x's memory
/// format; x dense.
torch::Tensor quantize_activations(const torch::Tensor& x, const torch::Tensor& alpha,
                                   const std::shared_ptr<WidthSlot>& slot, ClipRange range);

struct BatchNormState {
  torch::Tensor running_mean, running_var;  // [C], updated in training: (1 - momentum) old + ...
  double momentum = 0.1;
  double epsilon = 1e-5;
};

/// Batch normalization over all but dimension 1 (x channels-last [N, C, H, W] or [N, C]), then:
///   slot == nullptr   the activation function alone (none or relu)
///   slot              quantize_activations(norm(x), alpha, slot, range), `activation` being in the
///                     clip for from_zero
/// `keep` (empty tensor, or [C] of 0 and 1): channels at 0 come out as 0 and get no gradient
/// (pruned ones). In evaluation (training false) uses the running statistics. The backward pass
/// recomputes from x, so that only x is kept.
torch::Tensor norm_activation(const torch::Tensor& x, const torch::Tensor& gamma,
                              const torch::Tensor& beta, BatchNormState& state, bool training,
                              Activation activation, const torch::Tensor& alpha,
                              const std::shared_ptr<WidthSlot>& slot, ClipRange range,
                              const torch::Tensor& keep);

}  // namespace widthwise
