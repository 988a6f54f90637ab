// How long a training step (forward, backward, descent) of a small depthwise network takes: images
// of 28 x 28, batch 128, channels-last; a 3x3 convolution of stride 2 to 16 channels, then
// depthwise separable ones to 32, 64 (stride 2), 64, 128 (stride 2) and 128, a mean and a fully
// connected layer. Steps of all variants take turns, so that their ratios are worth more than their
// times.
//
//   plain_ms       torch's convolution, batch norm and relu, nothing quantized
//   floats_ms      the same with the fused batch norm and relu
//   fractional_ms  fused quantizers, widths between whole ones and learned
//   per_channel_ms likewise, a weight width per output channel
//   whole_ms       fused quantizers, widths whole and fixed
//   separate_ms    torch's batch norm, fractional quantizers tensor by tensor
//
// x_...: the median over plain's. images_per_s is of `fractional`.

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <torch/optim/sgd.h>

#include "models/cost/machine_model.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/table/table_points.hpp"
#include "train/torch/fused_ops.hpp"
#include "train/width_learner.hpp"

namespace widthwise {

namespace {

using torch::Tensor;

constexpr std::int64_t kBatch = 128;

enum class Variant { plain, floats, fractional, per_channel, whole, separate };
constexpr std::array<std::pair<const char*, Variant>, 6> kVariants{
    {{"plain", Variant::plain},
     {"floats", Variant::floats},
     {"fractional", Variant::fractional},
     {"per_channel", Variant::per_channel},
     {"whole", Variant::whole},
     {"separate", Variant::separate}}};

std::shared_ptr<WidthSlot> make_slot(Variant variant, std::int64_t widths) {
  auto slot = std::make_shared<WidthSlot>();
  slot->learned = variant != Variant::whole;
  slot->bits.assign(static_cast<std::size_t>(widths), variant == Variant::whole ? 4.0F : 4.3F);
  slot->gradient.assign(slot->bits.size(), 0);
  return slot;
}

// ---- Fractional quantizers as one would write them ------------------------------------------

Tensor separate_levels(const Tensor& t, const Tensor& bits) {
  const Tensor lo = bits.detach().floor();
  const auto at = [&](const Tensor& whole) {
    const Tensor steps = torch::pow(2, whole) - 1;
    return (t.detach() * steps).round() / steps;
  };
  return (bits - lo) * at(lo + 1) + (1 + lo - bits) * at(lo) + (t - t.detach());
}

Tensor separate_weights(const Tensor& w, const Tensor& bits) {
  const Tensor tanh_w = w.tanh();
  return 2 * separate_levels((tanh_w / tanh_w.detach().abs().max() + 1) / 2, bits) - 1;
}

Tensor separate_activations(const Tensor& x, const Tensor& alpha, const Tensor& bits) {
  return alpha * separate_levels(torch::minimum(x.relu(), alpha) / alpha, bits);
}

// ---- The network --------------------------------------------------------------------------------

class Layer {
 public:
  Layer(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
        std::int64_t groups, Variant variant)
      : variant_(variant), stride_(stride), groups_(groups), pad_(kernel / 2) {
    weight_ = (torch::randn({out, in / groups, kernel, kernel}) * 0.2)
                  .contiguous(torch::MemoryFormat::ChannelsLast)
                  .requires_grad_();
    gamma_ = torch::ones({out}).requires_grad_();
    beta_ = torch::zeros({out}).requires_grad_();
    alpha_ = torch::tensor({3.0F}).requires_grad_();
    weight_bits_ = torch::tensor({4.3F}).requires_grad_();
    activation_bits_ = torch::tensor({4.3F}).requires_grad_();
    state_.running_mean = torch::zeros({out});
    state_.running_var = torch::ones({out});
    weight_slot_ = make_slot(variant, variant == Variant::per_channel ? out : 1);
    activation_slot_ = make_slot(variant, 1);
  }

  Tensor forward(const Tensor& x) {
    Tensor weight = weight_;
    if (variant_ == Variant::separate) {
      weight = separate_weights(weight_, weight_bits_);
    } else if (variant_ != Variant::plain && variant_ != Variant::floats) {
      weight = quantize_weights(weight_, weight_slot_, false);
    }
    const Tensor y = torch::conv2d(x, weight, {}, stride_, pad_, 1, groups_);
    if (variant_ == Variant::plain || variant_ == Variant::separate) {
      const Tensor z = torch::batch_norm(y, gamma_, beta_, state_.running_mean, state_.running_var,
                                         true, state_.momentum, state_.epsilon, false);
      return variant_ == Variant::plain ? z.relu()
                                        : separate_activations(z, alpha_, activation_bits_);
    }
    return norm_activation(y, gamma_, beta_, state_, true, Activation::relu, alpha_,
                           variant_ == Variant::floats ? nullptr : activation_slot_,
                           ClipRange::from_zero, {});
  }

  [[nodiscard]] std::vector<Tensor> parameters() const {
    return {weight_, gamma_, beta_, alpha_, weight_bits_, activation_bits_};
  }

 private:
  Variant variant_;
  std::int64_t stride_, groups_, pad_;
  Tensor weight_, gamma_, beta_, alpha_, weight_bits_, activation_bits_;
  BatchNormState state_;
  std::shared_ptr<WidthSlot> weight_slot_, activation_slot_;
};

class Training {
 public:
  explicit Training(Variant variant) {
    torch::manual_seed(1);
    layers_.emplace_back(1, 16, 3, 2, 1, variant);
    struct Block {
      std::int64_t out, stride;
    };
    std::int64_t in = 16;
    for (const Block& block :
         {Block{32, 1}, Block{64, 2}, Block{64, 1}, Block{128, 2}, Block{128, 1}}) {
      layers_.emplace_back(in, in, 3, block.stride, in, variant);
      layers_.emplace_back(in, block.out, 1, 1, 1, variant);
      in = block.out;
    }
    last_ = (torch::randn({10, in}) * 0.1).requires_grad_();
    std::vector<Tensor> parameters{last_};
    for (const Layer& layer : layers_) {
      for (const Tensor& parameter : layer.parameters()) parameters.push_back(parameter);
    }
    optimizer_ = std::make_unique<torch::optim::SGD>(
        parameters, torch::optim::SGDOptions(0.01).momentum(0.9).nesterov(true));
    images_ = torch::rand({kBatch, 1, 28, 28}).contiguous(torch::MemoryFormat::ChannelsLast);
    labels_ = torch::randint(10, {kBatch}, torch::kLong);
  }

  double step_ms() {
    const auto begin = std::chrono::steady_clock::now();
    optimizer_->zero_grad();
    Tensor x = images_;
    for (Layer& layer : layers_) x = layer.forward(x);
    const Tensor scores = torch::linear(x.mean({2, 3}), last_);
    torch::cross_entropy_loss(scores, labels_).backward();
    optimizer_->step();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
    return time.count();
  }

 private:
  std::vector<Layer> layers_;
  Tensor last_, images_, labels_;
  std::unique_ptr<torch::optim::SGD> optimizer_;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void training_step(benchmark::State& state) {
  prepare_process_for_training();
  const int threads_before = at::get_num_threads();
  at::set_num_threads(static_cast<int>(state.range(0)));
  std::vector<Training> trainings;
  for (const auto& [name, variant] : kVariants) trainings.emplace_back(variant);
  std::vector<std::vector<double>> times(trainings.size());
  for (Training& training : trainings) {
    for (int i = 0; i < 3; ++i) training.step_ms();
  }
  for (auto _ : state) {
    for (std::size_t i = 0; i < trainings.size(); ++i) {
      times[i].push_back(trainings[i].step_ms());
    }
  }
  const double plain = median(times[0]);
  for (std::size_t i = 0; i < trainings.size(); ++i) {
    const std::string name = kVariants[i].first;
    const double ms = median(times[i]);
    state.counters[name + "_ms"] = ms;
    if (i > 0) state.counters["x_" + name] = ms / plain;
    if (kVariants[i].second == Variant::fractional) {
      state.counters["images_per_s"] = 1e3 * static_cast<double>(kBatch) / ms;
    }
  }
  at::set_num_threads(threads_before);
}

BENCHMARK(training_step)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->Iterations(30)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// ---- What the cost of the machine adds to a step ------------------------------------------------

/// The step of the widths of mobilenet_small on bismo_edge_8x8: gradients of the interpolated cost,
/// by stored widths, and the descent. Beside it the fractional step of above on one thread.
void cost_term(benchmark::State& state) {
  const std::string folder = WIDTHWISE_SOURCE_DIR;
  const Network network = read_network(folder + "/workloads/mobilenet_small.yaml");
  const Accelerator accelerator =
      read_accelerator(folder + "/configs/accelerators/bismo_edge_8x8.yaml");
  const auto model =
      analytic_cost_model(network, accelerator, read_energy_table(accelerator.energy_table));
  TableRequest request;
  request.stored = true;
  const CostTable table = make_table(*model, request).table;

  TrainSettings settings;
  settings.targets.push_back(
      {"latency_cycles", BudgetForm{BudgetForm::Kind::share, 1.0, {3, 3}}, 1, {}});
  std::vector<LearnedLayer> layers;
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    if (!has_macs(network.layers()[id].kind)) continue;
    layers.push_back({.layer = id,
                      .name = network.layers()[id].name,
                      .weighted = true,
                      .weight = make_slot(Variant::fractional, 1),
                      .activation = make_slot(Variant::fractional, 1),
                      .weight_bits = settings.weight_bits,
                      .activation_bits = settings.activation_bits});
  }
  WidthLearner learner(network, bind_table(table, network), std::move(layers), settings);
  learner.start();

  const int threads_before = at::get_num_threads();
  at::set_num_threads(1);
  Training training(Variant::fractional);
  training.step_ms();
  double step_ms = 0;
  double learner_ms = 0;
  for (auto _ : state) {
    step_ms += training.step_ms();
    const auto begin = std::chrono::steady_clock::now();
    learner.step();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
    learner_ms += time.count();
  }
  at::set_num_threads(threads_before);
  state.counters["cost_term_us"] =
      benchmark::Counter(learner_ms * 1e3, benchmark::Counter::kAvgIterations);
  state.counters["percent_of_step"] = 100 * learner_ms / step_ms;
}

BENCHMARK(cost_term)->Iterations(30)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

}  // namespace widthwise
