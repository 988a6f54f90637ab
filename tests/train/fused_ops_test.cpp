#include "train/torch/fused_ops.hpp"

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <catch2/catch.hpp>

namespace widthwise {
namespace {

using torch::Tensor;

std::shared_ptr<WidthSlot> slot_of(std::vector<float> bits, bool learned = true) {
  auto slot = std::make_shared<WidthSlot>();
  slot->gradient.assign(bits.size(), 0);
  slot->bits = std::move(bits);
  slot->learned = learned;
  return slot;
}

Tensor channels_last(const Tensor& x) {
  return x.contiguous(torch::MemoryFormat::ChannelsLast).detach();
}

bool close(const Tensor& a, const Tensor& b, double tolerance) {
  const double scale = std::max(1.0, b.abs().max().item<double>());
  const double worst = (a - b).abs().max().item<double>();
  UNSCOPED_INFO("worst difference " << worst << ", at a size of " << scale);
  return worst <= tolerance * scale;
}

bool same_bits(const Tensor& a, const Tensor& b) { return torch::equal(a, b); }

// ---- The quantizers, tensor by tensor: autograd differentiates them -------------------------

// `l` a tensor of the widths (it may ask for a gradient) that fits t, whose values are in [0, 1].
Tensor plain_levels(const Tensor& t, const Tensor& l, bool is_signed) {
  const Tensor lo = l.detach().floor();
  const auto at = [&](const Tensor& bits) {
    const Tensor steps = (torch::pow(2, bits) - 1).clamp_min(1);
    const Tensor rounded = (t.detach() * steps).round() / steps;
    const Tensor value = is_signed ? 2 * rounded - 1 : rounded;
    return value * (bits > 0);
  };
  const Tensor quantized = (l - lo) * at(lo + 1) + (1 + lo - l) * at(lo);
  const Tensor through = is_signed ? 2 * t - 1 : t;
  return quantized + (through - through.detach()) * l.detach().clamp_max(1);
}

Tensor plain_activations(const Tensor& x, const Tensor& alpha, const Tensor& l, ClipRange range) {
  const Tensor a = alpha.abs();
  if (range == ClipRange::from_zero) {
    const Tensor clipped = torch::minimum(x.clamp_min(0), a);
    return a * plain_levels(clipped / a, l, false);
  }
  const Tensor clipped = torch::maximum(torch::minimum(x, a), -a);
  return a * plain_levels((clipped / a + 1) / 2, l, true);
}

Tensor plain_weights(const Tensor& w, const Tensor& l) {
  const Tensor tanh_w = w.tanh();
  return plain_levels((tanh_w / tanh_w.detach().abs().max() + 1) / 2, l, true);
}

// Two results of one input: equal but for values that the other order of operations rounds to the
// neighbouring level, of which there may be a few in a hundred thousand.
bool nearly_all_close(const Tensor& a, const Tensor& b) {
  const Tensor apart = (a - b).abs() > 1e-5;
  UNSCOPED_INFO(apart.sum().item<std::int64_t>() << " of " << a.numel() << " differ");
  return apart.sum().item<double>() <= 1 + 1e-4 * static_cast<double>(a.numel());
}

TEST_CASE("Fused weights have the values and gradients of the plain ones") {
  torch::manual_seed(1);
  struct Case {
    std::vector<std::int64_t> sizes;
    std::vector<float> bits;
    bool last;
  };
  for (const Case& given : {Case{{8, 5, 3, 3}, {2.4F}, false}, Case{{8, 5, 3, 3}, {2.4F}, true},
                            Case{{6, 1, 3, 3}, {0, 0.5F, 1, 2.25F, 3, 16}, true},
                            Case{{4, 33}, {1.5F, 8, 0.25F, 4}, false}, Case{{4, 33}, {3}, false}}) {
    CAPTURE(given.sizes, given.bits, given.last);
    Tensor weight = torch::randn(given.sizes);
    if (given.last) weight = channels_last(weight);
    const Tensor dout = torch::randn(given.sizes);
    weight.requires_grad_();
    auto slot = slot_of(given.bits);
    const Tensor out = quantize_weights(weight, slot, false);
    REQUIRE(out.strides() == weight.strides());
    out.backward(dout);

    Tensor plain = weight.detach().clone().requires_grad_();
    std::vector<std::int64_t> shape(given.sizes.size(), 1);
    shape[0] = static_cast<std::int64_t>(given.bits.size());
    Tensor widths = torch::tensor(given.bits).view(shape).clone().requires_grad_();
    const Tensor expected = plain_weights(plain, widths);
    expected.backward(dout);
    REQUIRE(nearly_all_close(out, expected));
    REQUIRE(close(weight.grad(), plain.grad(), 1e-5));
    Tensor analytic = widths.grad().flatten().clone();
    for (std::size_t i = 0; i < given.bits.size(); ++i) {
      if (given.bits[i] >= 16) analytic[static_cast<std::int64_t>(i)] = 0;
    }
    REQUIRE(close(torch::tensor(slot->gradient), analytic, 1e-4));
  }
}

TEST_CASE("Rescaled weights have the standard deviation that their outputs ask for") {
  torch::manual_seed(2);
  Tensor weight = torch::randn({10, 64}).requires_grad_();
  auto slot = slot_of({3});
  const Tensor plain = quantize_weights(weight, slot_of({3}), false).detach();
  const Tensor out = quantize_weights(weight, slot, true);
  REQUIRE(out.std().item<double>() == Approx(1 / std::sqrt(10.0)).epsilon(1e-5));
  const double factor = 1 / (plain.std().item<double>() * std::sqrt(10.0));
  REQUIRE(close(out, plain * factor, 1e-6));

  const Tensor dout = torch::randn({10, 64});
  out.backward(dout);
  Tensor again = weight.detach().clone().requires_grad_();
  auto other = slot_of({3});
  quantize_weights(again, other, false).backward(dout * factor);
  REQUIRE(close(weight.grad(), again.grad(), 1e-6));
  REQUIRE(slot->gradient[0] == Approx(other->gradient[0]).epsilon(1e-4));
}

TEST_CASE("Fused activations have the values and gradients of the plain ones") {
  torch::manual_seed(3);
  for (const ClipRange range : {ClipRange::from_zero, ClipRange::both_signs}) {
    for (const float bits : {0.5F, 1.0F, 2.6F, 4.0F, 7.3F}) {
      for (const float alpha_value : {1.3F, -0.8F}) {
        CAPTURE(static_cast<int>(range), bits, alpha_value);
        Tensor x = channels_last(torch::randn({3, 17, 21, 40})).requires_grad_();
        Tensor alpha = torch::tensor({alpha_value}).requires_grad_();
        const Tensor dout = torch::randn({3, 17, 21, 40});  // stored otherwise than x
        auto slot = slot_of({bits});
        const Tensor out = quantize_activations(x, alpha, slot, range);
        REQUIRE(out.strides() == x.strides());
        out.backward(dout);

        Tensor plain = x.detach().clone().requires_grad_();
        Tensor plain_alpha = alpha.detach().clone().requires_grad_();
        Tensor width = torch::tensor({bits}).requires_grad_();
        const Tensor expected = plain_activations(plain, plain_alpha, width, range);
        expected.backward(dout);
        REQUIRE(nearly_all_close(out, expected));
        REQUIRE(close(x.grad(), plain.grad(), 1e-5));
        // Of ten thousand terms of size 1, with a sign.
        REQUIRE(alpha.grad().item<double>() ==
                Approx(plain_alpha.grad().item<double>()).epsilon(1e-3).margin(0.05));
        REQUIRE(slot->gradient[0] ==
                Approx(width.grad().item<double>()).epsilon(1e-3).margin(0.05));
      }
    }
  }
}

TEST_CASE("The gradient of a width is the sum over what its levels differ by") {
  torch::manual_seed(4);
  const Tensor x = torch::randn({5000});
  const Tensor alpha = torch::tensor({1.5F});
  const Tensor dout = torch::randn({5000});
  const auto at = [&](float bits) {
    return quantize_activations(x, alpha, slot_of({bits}, false), ClipRange::from_zero);
  };
  auto slot = slot_of({3.25F});
  Tensor asking = x.clone().requires_grad_();
  quantize_activations(asking, alpha, slot, ClipRange::from_zero).backward(dout);
  const double expected = (dout * (at(4) - at(3))).sum().item<double>();
  REQUIRE(slot->gradient[0] == Approx(expected).epsilon(1e-4));

  SECTION("at a whole width, of the next one and this") {
    auto whole = slot_of({3});
    quantize_activations(asking, alpha, whole, ClipRange::from_zero).backward(dout);
    REQUIRE(whole->gradient[0] == Approx(expected).epsilon(1e-4));
  }
  SECTION("added to what is there") {
    quantize_activations(asking, alpha, slot, ClipRange::from_zero).backward(dout);
    REQUIRE(slot->gradient[0] == Approx(2 * expected).epsilon(1e-4));
  }
  SECTION("left alone if the width is not learned") {
    auto fixed = slot_of({3.25F}, false);
    quantize_activations(asking, alpha, fixed, ClipRange::from_zero).backward(dout);
    REQUIRE(fixed->gradient[0] == 0.0F);
  }
  SECTION("also where neither x nor the clip asks for one") {
    auto images = slot_of({3.25F});
    quantize_activations(x, alpha, images, ClipRange::from_zero).backward(dout);
    REQUIRE(images->gradient[0] == Approx(expected).epsilon(1e-4));
  }
  SECTION("as the width was in the forward pass") {
    auto moved = slot_of({3.25F});
    const Tensor out = quantize_activations(asking, alpha, moved, ClipRange::from_zero);
    moved->bits[0] = 7.5F;
    out.backward(dout);
    REQUIRE(moved->gradient[0] == Approx(expected).epsilon(1e-4));
  }
}

// ---- Batch norms ------------------------------------------------------------------------------

struct Norm {
  Tensor x, gamma, beta, alpha;
  BatchNormState state;

  Norm(const std::vector<std::int64_t>& sizes, unsigned seed) {
    torch::manual_seed(seed);
    const std::int64_t channels = sizes[1];
    x = torch::randn(sizes) * 2 + 0.7;
    if (sizes.size() == 4) x = channels_last(x);
    gamma = torch::randn({channels}) * 0.5 + 1;
    beta = torch::randn({channels}) * 0.3 + 0.3;
    alpha = torch::tensor({1.9F});
    state.running_mean = torch::randn({channels});
    state.running_var = torch::rand({channels}) + 0.5;
    for (Tensor* tensor : {&x, &gamma, &beta, &alpha}) tensor->requires_grad_();
  }

  [[nodiscard]] Norm copy() const {
    Norm other = *this;
    for (Tensor* tensor : {&other.x, &other.gamma, &other.beta, &other.alpha}) {
      *tensor = tensor->detach().clone().requires_grad_();
    }
    other.state.running_mean = state.running_mean.clone();
    other.state.running_var = state.running_var.clone();
    return other;
  }

  [[nodiscard]] Tensor fused(bool training, Activation activation,
                             const std::shared_ptr<WidthSlot>& slot, ClipRange range,
                             const Tensor& keep = {}) {
    return norm_activation(x, gamma, beta, state, training, activation, alpha, slot, range, keep);
  }

  [[nodiscard]] Tensor normalized(bool training) {
    return torch::batch_norm(x, gamma, beta, state.running_mean, state.running_var, training,
                             state.momentum, state.epsilon, false);
  }
};

void check_gradients(const Norm& fused, const Norm& plain) {
  REQUIRE(close(fused.x.grad(), plain.x.grad(), 2e-4));
  REQUIRE(close(fused.gamma.grad(), plain.gamma.grad(), 2e-4));
  REQUIRE(close(fused.beta.grad(), plain.beta.grad(), 2e-4));
}

const std::vector<std::vector<std::int64_t>> kShapes{{4, 16, 7, 9},  {64, 3, 28, 28}, {5, 17, 3, 1},
                                                     {6, 130, 4, 4}, {3, 300, 2, 2},  {40, 33},
                                                     {9, 1}};

TEST_CASE("Without a quantizer it is torch's batch norm and relu") {
  for (const auto& sizes : kShapes) {
    for (const bool training : {true, false}) {
      for (const Activation activation : {Activation::none, Activation::relu}) {
        CAPTURE(sizes, training, static_cast<int>(activation));
        Norm fused(sizes, 5);
        Norm plain = fused.copy();
        const Tensor dout = torch::randn(sizes);
        const Tensor out = fused.fused(training, activation, nullptr, ClipRange::from_zero);
        out.backward(dout);
        Tensor expected = plain.normalized(training);
        if (activation == Activation::relu) expected = expected.relu();
        expected.backward(dout);
        REQUIRE(out.strides() == fused.x.strides());
        REQUIRE(close(out, expected, 1e-5));
        check_gradients(fused, plain);
        REQUIRE(close(fused.state.running_mean, plain.state.running_mean, 1e-5));
        REQUIRE(close(fused.state.running_var, plain.state.running_var, 1e-5));
        REQUIRE_FALSE(fused.alpha.grad().defined());
      }
    }
  }
}

TEST_CASE("Its quantizer has the values and gradients of the plain one after torch's batch norm") {
  for (const auto& sizes : kShapes) {
    for (const bool training : {true, false}) {
      for (const ClipRange range : {ClipRange::from_zero, ClipRange::both_signs}) {
        for (const float bits : {2.0F, 3.6F}) {
          CAPTURE(sizes, training, static_cast<int>(range), bits);
          Norm fused(sizes, 6);
          Norm plain = fused.copy();
          auto slot = slot_of({bits});
          const Tensor dout = torch::randn(sizes);
          const Activation activation =
              range == ClipRange::from_zero ? Activation::relu : Activation::none;
          const Tensor out = fused.fused(training, activation, slot, range);
          out.backward(dout);
          Tensor width = torch::tensor({bits}).requires_grad_();
          const Tensor expected =
              plain_activations(plain.normalized(training), plain.alpha, width, range);
          expected.backward(dout);
          REQUIRE(nearly_all_close(out, expected));
          check_gradients(fused, plain);
          const double margin = 2e-5 * static_cast<double>(out.numel()) + 0.02;
          REQUIRE(fused.alpha.grad().item<double>() ==
                  Approx(plain.alpha.grad().item<double>()).epsilon(1e-3).margin(margin));
          REQUIRE(slot->gradient[0] ==
                  Approx(width.grad().item<double>()).epsilon(1e-3).margin(margin));
        }
      }
    }
  }
}

TEST_CASE("Channels that are not kept come out as 0 and have no gradient") {
  const std::vector<std::int64_t> sizes{6, 10, 5, 5};
  Tensor keep = torch::ones({10});
  keep[2] = 0;
  keep[7] = 0;
  const Tensor mask = keep.view({1, 10, 1, 1});
  for (const ClipRange range : {ClipRange::from_zero, ClipRange::both_signs}) {
    for (const bool quantized : {true, false}) {
      CAPTURE(static_cast<int>(range), quantized);
      Norm fused(sizes, 7);
      Norm all = fused.copy();
      auto slot = quantized ? slot_of({3.5F}) : nullptr;
      auto slot_all = quantized ? slot_of({3.5F}) : nullptr;
      const Tensor dout = torch::randn(sizes);
      const Tensor out = fused.fused(true, Activation::none, slot, range, keep);
      out.backward(dout);
      const Tensor expected = all.fused(true, Activation::none, slot_all, range);
      expected.backward(dout * mask);
      REQUIRE(same_bits(out, expected * mask));
      REQUIRE(same_bits(fused.x.grad(), all.x.grad()));
      REQUIRE(same_bits(fused.gamma.grad(), all.gamma.grad()));
      REQUIRE(fused.x.grad().select(1, 2).abs().max().item<float>() == 0.0F);
      REQUIRE(fused.gamma.grad()[7].item<float>() == 0.0F);
      REQUIRE(fused.beta.grad()[7].item<float>() == 0.0F);
      if (quantized) {
        REQUIRE(same_bits(fused.alpha.grad(), all.alpha.grad()));
        REQUIRE(slot->gradient == slot_all->gradient);
      }
    }
  }
}

TEST_CASE("A large mean does not spoil the variance") {
  Norm fused({32, 8, 12, 12}, 8);
  fused.x = channels_last(torch::randn({32, 8, 12, 12}) * 0.01 + 30).requires_grad_();
  Norm plain = fused.copy();
  const Tensor out = fused.fused(true, Activation::none, nullptr, ClipRange::from_zero);
  const Tensor wide = plain.x.detach().to(torch::kDouble);
  const Tensor expected = torch::batch_norm(wide, plain.gamma.detach().to(torch::kDouble),
                                            plain.beta.detach().to(torch::kDouble), {}, {}, true,
                                            plain.state.momentum, plain.state.epsilon, false);
  REQUIRE(close(out.to(torch::kDouble), expected, 1e-3));
}

TEST_CASE("Running statistics take in a share of the mean and of the sample's variance") {
  Norm norm({64, 3, 28, 28}, 15);
  const Norm before = norm.copy();
  (void)norm.fused(true, Activation::none, nullptr, ClipRange::from_zero);
  const Tensor values =
      norm.x.detach().to(torch::kDouble).permute({1, 0, 2, 3}).reshape({3, 64 * 28 * 28});
  REQUIRE(close(norm.state.running_mean.to(torch::kDouble),
                0.9 * before.state.running_mean.to(torch::kDouble) + 0.1 * values.mean(1), 1e-7));
  REQUIRE(close(norm.state.running_var.to(torch::kDouble),
                0.9 * before.state.running_var.to(torch::kDouble) + 0.1 * values.var(1, true),
                2e-7));
}

TEST_CASE("Images stored channel by channel give the same result") {
  Norm last({4, 6, 5, 5}, 9);
  Norm first = last.copy();
  first.x = first.x.detach().contiguous().requires_grad_();
  const Tensor dout = torch::randn({4, 6, 5, 5});
  const Tensor a = last.fused(true, Activation::relu, slot_of({3}), ClipRange::from_zero);
  const Tensor b = first.fused(true, Activation::relu, slot_of({3}), ClipRange::from_zero);
  a.backward(dout);
  b.backward(dout);
  REQUIRE(same_bits(a, b));
  REQUIRE(same_bits(last.x.grad(), first.x.grad()));
}

TEST_CASE("Gradients that are stored otherwise, or expanded, are taken as they are") {
  Norm a({4, 6, 5, 5}, 10);
  Norm b = a.copy();
  const Tensor per_channel = torch::randn({1, 6, 1, 1});
  a.fused(true, Activation::relu, slot_of({3}), ClipRange::from_zero)
      .backward(per_channel.expand({4, 6, 5, 5}));
  b.fused(true, Activation::relu, slot_of({3}), ClipRange::from_zero)
      .backward(channels_last(per_channel.expand({4, 6, 5, 5})));
  REQUIRE(same_bits(a.x.grad(), b.x.grad()));
}

TEST_CASE("One and two threads give the same result, bit for bit") {
  const int before = at::get_num_threads();
  struct Result {
    Tensor out, dx, dgamma, dalpha, quantized, running;
    std::vector<float> bits;
  };
  const auto run = [](int threads) {
    at::set_num_threads(threads);
    Norm norm({64, 19, 28, 28}, 11);
    auto slot = slot_of({3.3F}), second = slot_of({2.7F});
    Result result;
    result.out = norm.fused(true, Activation::relu, slot, ClipRange::from_zero);
    result.quantized =
        quantize_activations(result.out + 0.1, norm.alpha, second, ClipRange::from_zero);
    torch::manual_seed(12);
    result.quantized.backward(torch::randn({64, 19, 28, 28}));
    result.dx = norm.x.grad();
    result.dgamma = norm.gamma.grad();
    result.dalpha = norm.alpha.grad();
    result.running = norm.state.running_var;
    result.bits = {slot->gradient[0], second->gradient[0]};
    return result;
  };
  const Result one = run(1), two = run(2), three = run(3);
  at::set_num_threads(before);
  for (const Result* other : {&two, &three}) {
    REQUIRE(same_bits(one.out, other->out));
    REQUIRE(same_bits(one.quantized, other->quantized));
    REQUIRE(same_bits(one.dx, other->dx));
    REQUIRE(same_bits(one.dgamma, other->dgamma));
    REQUIRE(same_bits(one.dalpha, other->dalpha));
    REQUIRE(same_bits(one.running, other->running));
    REQUIRE(one.bits == other->bits);
  }
}

TEST_CASE("Without gradients nothing is recorded") {
  Norm norm({4, 6, 5, 5}, 13);
  const Tensor weight = torch::randn({6, 3, 3, 3}).requires_grad_();
  const torch::NoGradGuard guard;
  const Tensor out = norm.fused(false, Activation::relu, slot_of({3.5F}), ClipRange::from_zero);
  const Tensor quantized = quantize_weights(weight, slot_of({3.5F}), false);
  const Tensor activations =
      quantize_activations(norm.x, norm.alpha, slot_of({3.5F}), ClipRange::from_zero);
  for (const Tensor& tensor : {out, quantized, activations}) {
    REQUIRE_FALSE(tensor.requires_grad());
    REQUIRE(tensor.grad_fn() == nullptr);
  }
}

TEST_CASE("A process that is prepared for training has no denormal numbers") {
  prepare_process_for_training();
  const Tensor small = torch::full({100}, 1e-30F) * torch::full({100}, 1e-10F);
  REQUIRE(small.max().item<float>() == 0.0F);
  at::globalContext().setFlushDenormal(false);
}

TEST_CASE("Evaluation leaves the running statistics alone") {
  Norm norm({4, 6, 5, 5}, 14);
  const Norm before = norm.copy();
  (void)norm.fused(false, Activation::relu, nullptr, ClipRange::from_zero);
  REQUIRE(same_bits(norm.state.running_mean, before.state.running_mean));
  REQUIRE(same_bits(norm.state.running_var, before.state.running_var));
}

}  // namespace
}  // namespace widthwise
