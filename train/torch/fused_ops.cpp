#include "train/torch/fused_ops.hpp"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Optional = c10::optional<Tensor>;

constexpr float kLeastClip = 1e-6F;
constexpr std::size_t kValuesPerBlock = 32768;

std::size_t size_of(const Tensor& tensor) { return static_cast<std::size_t>(tensor.numel()); }

// All values in the order in which they are stored.
std::span<const float> values_of(const Tensor& tensor) {
  return {tensor.data_ptr<float>(), size_of(tensor)};
}
std::span<float> values_in(const Tensor& tensor) {
  return {tensor.data_ptr<float>(), size_of(tensor)};
}

bool stored_alike(const Tensor& a, const Tensor& b) {
  for (std::int64_t d = 0; d < a.dim(); ++d) {
    if (a.size(d) > 1 && a.stride(d) != b.stride(d)) return false;
  }
  return true;
}

Tensor empty_as(const Tensor& tensor) {
  return torch::empty_strided(tensor.sizes(), tensor.strides(), tensor.options());
}

// `gradient` in the storage order of `tensor`, which is dense.
Tensor stored_as(const Tensor& gradient, const Tensor& tensor) {
  if (stored_alike(gradient, tensor)) return gradient;
  Tensor copy = empty_as(tensor);
  copy.copy_(gradient);
  return copy;
}

void check_floats(const Tensor& tensor, const char* what) {
  ensure(tensor.defined() && tensor.device().is_cpu() && tensor.scalar_type() == torch::kFloat,
         what);
}

// Blocks are cut without regard to threads and their sums added in order: the same with any number
// of threads.
template <class Work>
void for_each_block(std::size_t count, const Work& work) {
  at::parallel_for(0, static_cast<std::int64_t>(count), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) work(static_cast<std::size_t>(i));
                   });
}

// Backwards, after a pass forwards over the same data: the last blocks are still in the cache.
template <class Work>
void for_each_block_reversed(std::size_t count, const Work& work) {
  at::parallel_for(0, static_cast<std::int64_t>(count), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = end; i-- > begin;) work(static_cast<std::size_t>(i));
                   });
}

// What a backward pass needs besides tensors, as it was in the forward pass.
template <class T>
struct Kept : torch::CustomClassHolder {
  explicit Kept(T kept) : value(std::move(kept)) {}
  T value;
};

template <class T>
void keep_for_backward(AutogradContext* ctx, T value) {
  ctx->saved_data["kept"] =
      c10::IValue::make_capsule(c10::make_intrusive<Kept<T>>(std::move(value)));
}

template <class T>
const T& kept(AutogradContext* ctx) {
  return static_cast<const Kept<T>&>(*ctx->saved_data["kept"].toCapsule()).value;
}

struct WidthsThen {
  std::shared_ptr<WidthSlot> slot;
  std::vector<float> bits;
  bool learned = false;
};

WidthsThen widths_of(const std::shared_ptr<WidthSlot>& slot) {
  if (!slot) return {};
  if (slot->learned) slot->gradient.resize(slot->bits.size());
  return {slot, slot->bits, slot->learned};
}

// ---- Weights --------------------------------------------------------------------------------

struct WeightsKept {
  WidthsThen widths;
  float m = 1, factor = 1;
};

struct WeightQuantizer : torch::autograd::Function<WeightQuantizer> {
  static Tensor forward(AutogradContext* ctx, const Tensor& given,
                        const std::shared_ptr<WidthSlot>& slot, bool rescale) {
    const bool channels_outermost =
        given.is_non_overlapping_and_dense() &&
        (given.size(0) == 1 || given.stride(0) * given.size(0) == given.numel());
    const Tensor weight = channels_outermost ? given : given.contiguous();
    const Tensor tanh_over_m = empty_as(weight);
    Tensor out = empty_as(weight);
    WeightsKept state{widths_of(slot)};
    state.m = quantize_weights_forward(values_of(weight), static_cast<std::size_t>(given.size(0)),
                                       state.widths.bits, values_in(tanh_over_m), values_in(out));
    if (rescale) {
      std::int64_t fan_out = given.size(0);
      for (std::int64_t d = 2; d < given.dim(); ++d) fan_out *= given.size(d);
      const double deviation =
          standard_deviation(values_of(out)) * std::sqrt(static_cast<double>(fan_out));
      if (deviation > 0) state.factor = static_cast<float>(1 / deviation);
      for (float& value : values_in(out)) value *= state.factor;
    }
    ctx->save_for_backward({tanh_over_m});
    keep_for_backward(ctx, std::move(state));
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto& state = kept<WeightsKept>(ctx);
    const Tensor tanh_over_m = ctx->get_saved_variables()[0];
    const Tensor dout = stored_as(gradients[0], tanh_over_m);
    Tensor dw = empty_as(tanh_over_m);
    std::span<float> bits_gradient;
    if (state.widths.learned) bits_gradient = state.widths.slot->gradient;
    quantize_weights_backward(values_of(tanh_over_m), state.m,
                              static_cast<std::size_t>(tanh_over_m.size(0)), state.widths.bits,
                              values_of(dout), values_in(dw), bits_gradient, state.factor);
    return {dw, Tensor(), Tensor()};
  }
};

// ---- Activations ----------------------------------------------------------------------------

float clip_of(const Tensor& alpha) {
  return std::max(kLeastClip, std::fabs(alpha.data_ptr<float>()[0]));
}

// Of alpha itself, from that of its absolute value.
Tensor alpha_gradient(const Tensor& alpha, double gradient) {
  const float sign = alpha.data_ptr<float>()[0] < 0 ? -1.0F : 1.0F;
  return torch::full_like(alpha, static_cast<double>(sign) * gradient);
}

void add_bits_gradient(const WidthsThen& widths, double gradient) {
  if (widths.learned) widths.slot->gradient[0] += static_cast<float>(gradient);
}

struct ActivationsKept {
  WidthsThen widths;
  ClipRange range = ClipRange::from_zero;
};

struct ActivationQuantizer : torch::autograd::Function<ActivationQuantizer> {
  // `anchor`: see quantize_activations.
  static Tensor forward(AutogradContext* ctx, const Tensor& given, const Tensor& alpha,
                        const Optional& /*anchor*/, const std::shared_ptr<WidthSlot>& slot,
                        ClipRange range) {
    const Tensor x = given.is_non_overlapping_and_dense() ? given : given.contiguous();
    Tensor out = empty_as(x);
    ActivationsKept state{widths_of(slot), range};
    const float clip = clip_of(alpha);
    const float bits = state.widths.bits[0];
    const std::size_t count = size_of(x);
    for_each_block(blocks_of(count), [&](std::size_t block) {
      const std::size_t first = block * kValuesPerBlock;
      const std::size_t length = std::min(kValuesPerBlock, count - first);
      quantize_activations_forward(values_of(x).subspan(first, length), clip, bits, range,
                                   values_in(out).subspan(first, length));
    });
    ctx->save_for_backward({x, alpha});
    keep_for_backward(ctx, std::move(state));
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto& state = kept<ActivationsKept>(ctx);
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& x = saved[0];
    const Tensor& alpha = saved[1];
    const Tensor dout = stored_as(gradients[0], x);
    const bool wants_dx = ctx->needs_input_grad(0);
    Tensor dx = wants_dx ? empty_as(x) : Tensor();
    const std::size_t count = size_of(x);
    std::vector<ActivationGradients> sums(blocks_of(count));
    for_each_block(sums.size(), [&](std::size_t block) {
      const std::size_t first = block * kValuesPerBlock;
      const std::size_t length = std::min(kValuesPerBlock, count - first);
      sums[block] = quantize_activations_backward(
          values_of(x).subspan(first, length), clip_of(alpha), state.widths.bits[0], state.range,
          values_of(dout).subspan(first, length),
          wants_dx ? values_in(dx).subspan(first, length) : std::span<float>(),
          state.widths.learned);
    });
    ActivationGradients total;
    for (const ActivationGradients& sum : sums) {
      total.alpha += sum.alpha;
      total.bits += sum.bits;
    }
    add_bits_gradient(state.widths, total.bits);
    return {dx, alpha_gradient(alpha, total.alpha), Tensor(), Tensor(), Tensor()};
  }

 private:
  static std::size_t blocks_of(std::size_t count) {
    return (count + kValuesPerBlock - 1) / kValuesPerBlock;
  }
};

// ---- Batch norms ----------------------------------------------------------------------------

struct NormKept {
  WidthsThen widths;
  ClipRange range = ClipRange::from_zero;
  Activation activation = Activation::none;
  bool training = false;
  std::vector<float> mean, scale, shift, keep;  // per channel
  std::vector<double> inverse_deviation;

  [[nodiscard]] ChannelNorm norm() const { return {mean, scale, shift, keep}; }

  [[nodiscard]] ClipQuantizer quantizer(const Optional& alpha, bool backward) const {
    if (!widths.slot) return no_quantizer(activation == Activation::relu);
    return clip_quantizer(clip_of(*alpha), widths.bits[0], range, backward && widths.learned);
  }
};

RowBlocks rows_of(const Tensor& x) {
  const auto channels = static_cast<std::size_t>(x.size(1));
  return {size_of(x) / std::max<std::size_t>(1, channels), channels};
}

std::vector<float> copy_of(const Tensor& tensor) {
  const std::span<const float> values = values_of(tensor);
  return {values.begin(), values.end()};
}

struct Moments {
  std::vector<double> mean, variance;  // divided by the number of rows
};

Moments moments_of(std::span<const float> x, const RowBlocks& blocks) {
  const std::size_t channels = blocks.channels;
  // The mean of a few rows, so that little is lost in the difference of squares.
  constexpr std::size_t kProbes = 16;
  std::vector<float> centre(channels, 0.0F);
  const std::size_t probes = std::min(kProbes, blocks.rows);
  for (std::size_t i = 0; i < probes; ++i) {
    const float* row = x.data() + (i * blocks.rows / probes) * channels;
    for (std::size_t c = 0; c < channels; ++c) centre[c] += row[c] / static_cast<float>(probes);
  }

  std::vector<double> sums(blocks.count() * channels * 2);
  for_each_block(blocks.count(), [&](std::size_t block) {
    double* at = sums.data() + block * channels * 2;
    sum_block(x, blocks, block, centre, {at, channels}, {at + channels, channels});
  });
  Moments moments{std::vector<double>(channels), std::vector<double>(channels)};
  for (std::size_t block = 0; block < blocks.count(); ++block) {
    const double* at = sums.data() + block * channels * 2;
    for (std::size_t c = 0; c < channels; ++c) {
      moments.mean[c] += at[c];
      moments.variance[c] += at[channels + c];
    }
  }
  const auto rows = static_cast<double>(blocks.rows);
  for (std::size_t c = 0; c < channels; ++c) {
    const double distance = moments.mean[c] / rows;  // from the centre
    const double variance = moments.variance[c] / rows - distance * distance;
    moments.variance[c] = variance < 0 ? 0 : variance;
    moments.mean[c] = static_cast<double>(centre[c]) + distance;
  }
  return moments;
}

void update(const Tensor& running, std::span<const double> now, double momentum, double factor) {
  const std::span<float> values = values_in(running);
  for (std::size_t c = 0; c < values.size(); ++c) {
    values[c] = static_cast<float>((1 - momentum) * static_cast<double>(values[c]) +
                                   momentum * factor * now[c]);
  }
}

struct NormSettings {
  bool training = false;
  Activation activation = Activation::none;
  std::shared_ptr<WidthSlot> slot;
  ClipRange range = ClipRange::from_zero;
  Tensor keep;
};

struct NormActivation : torch::autograd::Function<NormActivation> {
  static Tensor forward(AutogradContext* ctx, const Tensor& given, const Tensor& gamma,
                        const Tensor& beta, const Optional& alpha, BatchNormState* running,
                        const NormSettings& settings) {
    const Tensor x =
        given.dim() == 4 ? given.contiguous(torch::MemoryFormat::ChannelsLast) : given.contiguous();
    const RowBlocks blocks = rows_of(x);
    const std::size_t channels = blocks.channels;

    NormKept state;
    state.widths = widths_of(settings.slot);
    state.range = settings.range;
    state.activation = settings.activation;
    state.training = settings.training;
    state.shift = copy_of(beta);
    if (settings.keep.defined() && settings.keep.numel() > 0) state.keep = copy_of(settings.keep);
    state.mean.resize(channels);
    state.scale.resize(channels);
    state.inverse_deviation.resize(channels);

    Moments moments;
    if (settings.training) {
      moments = moments_of(values_of(x), blocks);
      const auto rows = static_cast<double>(blocks.rows);
      update(running->running_mean, moments.mean, running->momentum, 1);
      update(running->running_var, moments.variance, running->momentum,
             rows / std::max(1.0, rows - 1));
    } else {
      for (const float mean : values_of(running->running_mean)) moments.mean.push_back(mean);
      for (const float var : values_of(running->running_var)) moments.variance.push_back(var);
    }
    for (std::size_t c = 0; c < channels; ++c) {
      state.mean[c] = static_cast<float>(moments.mean[c]);
      state.inverse_deviation[c] = 1 / std::sqrt(moments.variance[c] + running->epsilon);
      state.scale[c] =
          static_cast<float>(static_cast<double>(values_of(gamma)[c]) * state.inverse_deviation[c]);
    }

    Tensor out = empty_as(x);
    const ClipQuantizer quantizer = state.quantizer(alpha, false);
    const ChannelNorm norm = state.norm();
    for_each_block_reversed(blocks.count(), [&](std::size_t block) {
      normalize_block(values_of(x), blocks, block, norm, quantizer, values_in(out));
    });

    variable_list saved{x};
    if (alpha.has_value()) saved.push_back(*alpha);
    ctx->save_for_backward(std::move(saved));
    keep_for_backward(ctx, std::move(state));
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto& state = kept<NormKept>(ctx);
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& x = saved[0];
    const Optional alpha = saved.size() > 1 ? Optional(saved[1]) : Optional();
    const Tensor dout = stored_as(gradients[0], x);
    const RowBlocks blocks = rows_of(x);
    const std::size_t channels = blocks.channels;
    const ClipQuantizer quantizer = state.quantizer(alpha, true);
    const ChannelNorm norm = state.norm();

    std::vector<double> sums(blocks.count() * channels * 2);
    std::vector<ActivationGradients> block_gradients(blocks.count());
    for_each_block(blocks.count(), [&](std::size_t block) {
      double* at = sums.data() + block * channels * 2;
      block_gradients[block] = reduce_block(values_of(x), values_of(dout), blocks, block, norm,
                                            quantizer, {at, channels}, {at + channels, channels});
    });
    std::vector<double> dz(channels), dz_x(channels);  // sums of dz and dz (x - mean)
    ActivationGradients total;
    for (std::size_t block = 0; block < blocks.count(); ++block) {
      const double* at = sums.data() + block * channels * 2;
      for (std::size_t c = 0; c < channels; ++c) {
        dz[c] += at[c];
        dz_x[c] += at[channels + c];
      }
      total.alpha += block_gradients[block].alpha;
      total.bits += block_gradients[block].bits;
    }

    // dx = scale (dz - mean(dz) - (x - mean) mean(dz (x - mean)) / variance); without the means
    // where the statistics are constants.
    const Tensor dgamma = torch::empty({x.size(1)}, x.options());
    const Tensor dbeta = torch::empty({x.size(1)}, x.options());
    std::vector<float> constant(channels), linear(channels);
    const double share = state.training ? 1 / static_cast<double>(blocks.rows) : 0;
    for (std::size_t c = 0; c < channels; ++c) {
      const double inverse = state.inverse_deviation[c];
      const double scale = static_cast<double>(state.scale[c]) * share;
      values_in(dbeta)[c] = static_cast<float>(dz[c]);
      values_in(dgamma)[c] = static_cast<float>(dz_x[c] * inverse);
      constant[c] = static_cast<float>(scale * dz[c]);
      linear[c] = static_cast<float>(scale * dz_x[c] * inverse * inverse);
    }
    Tensor dx;
    if (ctx->needs_input_grad(0)) {
      dx = empty_as(x);
      for_each_block_reversed(blocks.count(), [&](std::size_t block) {
        differentiate_block(values_of(x), values_of(dout), blocks, block, norm, quantizer, constant,
                            linear, values_in(dx));
      });
    }
    add_bits_gradient(state.widths, total.bits);
    Tensor dalpha;
    if (alpha.has_value()) dalpha = alpha_gradient(*alpha, total.alpha);
    return {dx, dgamma, dbeta, dalpha, Tensor(), Tensor()};
  }
};

}  // namespace

void prepare_process_for_training() {
  at::globalContext().setFlushDenormal(true);
#ifdef __GLIBC__
  constexpr int kMostOnHeap = 32 << 20;  // bytes; glibc takes no more
  mallopt(M_MMAP_THRESHOLD, kMostOnHeap);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

torch::Tensor quantize_weights(const torch::Tensor& weight, const std::shared_ptr<WidthSlot>& slot,
                               bool rescale) {
  check_floats(weight, "weights are floats on the CPU");
  ensure(slot && !slot->bits.empty(), "weights have widths");
  return WeightQuantizer::apply(weight, slot, rescale);
}

torch::Tensor quantize_activations(const torch::Tensor& x, const torch::Tensor& alpha,
                                   const std::shared_ptr<WidthSlot>& slot, ClipRange range) {
  check_floats(x, "activations are floats on the CPU");
  check_floats(alpha, "a clip is a float on the CPU");
  ensure(slot && slot->bits.size() == 1 && alpha.numel() == 1, "one width and one clip");
  // Something has to ask for a gradient, or none reaches a width that is learned: images and their
  // clip do not.
  Optional anchor;
  if (slot->learned && torch::GradMode::is_enabled() && !x.requires_grad() &&
      !alpha.requires_grad()) {
    anchor = torch::zeros({1}, torch::requires_grad());
  }
  return ActivationQuantizer::apply(x, alpha, anchor, slot, range);
}

torch::Tensor norm_activation(const torch::Tensor& x, const torch::Tensor& gamma,
                              const torch::Tensor& beta, BatchNormState& state, bool training,
                              Activation activation, const torch::Tensor& alpha,
                              const std::shared_ptr<WidthSlot>& slot, ClipRange range,
                              const torch::Tensor& keep) {
  check_floats(x, "activations are floats on the CPU");
  ensure(x.dim() == 4 || x.dim() == 2, "batch norms are of [N, C, H, W] or [N, C]");
  for (const torch::Tensor& tensor : {gamma, beta, state.running_mean, state.running_var}) {
    check_floats(tensor, "batch norm parameters are floats on the CPU");
    ensure(tensor.is_contiguous() && tensor.numel() == x.size(1), "one parameter per channel");
  }
  Optional clip;
  if (slot) {
    check_floats(alpha, "a clip is a float on the CPU");
    ensure(slot->bits.size() == 1 && alpha.numel() == 1, "one width and one clip");
    ensure(range == ClipRange::from_zero || activation == Activation::none,
           "what relu leaves has no sign");
    clip = alpha;
  }
  Tensor mask;
  if (keep.defined() && keep.numel() > 0) {
    check_floats(keep, "a mask is of floats on the CPU");
    ensure(keep.numel() == x.size(1), "one mask value per channel");
    mask = keep.contiguous();
  }
  return NormActivation::apply(x, gamma, beta, clip, &state,
                               NormSettings{training, activation, slot, range, mask});
}

}  // namespace widthwise
