#include "train/torch/trainer.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <numbers>
#include <system_error>
#include <utility>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/optim/sgd.h>

#include "models/base/error.hpp"
#include "train/torch/checkpoint.hpp"
#include "train/torch/fused_ops.hpp"
#include "train/torch/image_batches.hpp"
#include "train/torch/plane_weights.hpp"
#include "train/torch/quantized_network.hpp"
#include "train/torch/width_method.hpp"

namespace widthwise {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kTestBatch = 500;
constexpr double kSecondsBetweenCheckpoints = 60;
constexpr double kShareOfNewLoss = 0.05;  // in the running mean that progress shows

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

torch::optim::OptimizerParamGroup group(std::vector<torch::Tensor> parameters,
                                        const TrainSettings& settings, double weight_decay) {
  auto options = torch::optim::SGDOptions(settings.learning_rate);
  options.momentum(settings.momentum).nesterov(settings.momentum > 0).weight_decay(weight_decay);
  return {std::move(parameters), std::make_unique<torch::optim::SGDOptions>(options)};
}

class Training {
 public:
  Training(const Network& network, const Dataset& data, const TrainMachine& machine,
           const TrainSettings& settings, const TrainPlace& place,
           const std::function<void(const TrainProgress&)>& progress)
      : network_(network),
        data_(data),
        machine_(machine),
        settings_(settings),
        place_(place),
        report_(progress) {
    check_images();
    if (settings.method == TrainMethod::precision_batching) set_up_planes();
    set_up_torch();
    model_ = std::make_unique<QuantizedNetwork>(network, static_cast<std::int64_t>(data.classes));
    images_ = chosen_images(data.train.count, settings.images, settings.seed);
    const auto batch = static_cast<std::size_t>(settings.batch);
    // What is left over at an epoch's end is another mini-batch's next time.
    schedule_.steps_per_epoch = std::max<std::size_t>(images_.size() / batch, 1);
    schedule_.steps = schedule_.steps_per_epoch * static_cast<std::size_t>(settings.epochs);
    schedule_.stretches = {{schedule_.steps, 1}};
    context_ = std::make_unique<MethodContext>(
        MethodContext{network_, *model_, machine_, settings_, schedule_,
                      [this] { return test_accuracy(); }, [this] { return calibration_loss(); }});
    method_ = width_method(*context_);
    method_->plan(schedule_);
    std::vector<torch::optim::OptimizerParamGroup> groups;
    groups.push_back(group(model_->decayed(), settings, settings.weight_decay));
    groups.push_back(group(model_->not_decayed(), settings, 0));
    optimizer_ = std::make_unique<torch::optim::SGD>(
        std::move(groups), torch::optim::SGDOptions(settings.learning_rate));
    method_->begin();
  }

  std::optional<TrainResult> run() {
    std::error_code ignored;
    if (place_.resume && std::filesystem::exists(place_.checkpoint, ignored)) restore();
    running_since_ = Clock::now();
    kept_at_ = running_since_;
    while (done_.step < schedule_.steps) {
      if (place_.stop != nullptr && place_.stop->load()) {
        keep();
        return std::nullopt;
      }
      step();
    }
    TrainResult made = result();
    if (planes_) {
      made.planes = evaluate_planes();
      if (!made.planes) return std::nullopt;
    }
    return made;
  }

 private:
  void check_images() const {
    const auto& tensors = network_.tensors();
    Diagnostics problems;
    for (const ImageSet* set : {&data_.train, &data_.test}) {
      for (const widthwise::Tensor& tensor : tensors) {
        if (tensor.producer) continue;
        const std::int64_t values = tensor.elements() / std::max<std::int64_t>(tensor.shape[0], 1);
        if (values != static_cast<std::int64_t>(set->image_bytes())) {
          problems.error({}, "train.data",
                         fmt::format("expected images of {} values, as the input {} of {} has, got "
                                     "{} x {} x {} in {}",
                                     values, tensor.name, network_.name(), set->channels,
                                     set->height, set->width, data_.name));
        }
      }
      if (!problems.empty()) break;
    }
    if (data_.train.count < static_cast<std::size_t>(settings_.batch)) {
      problems.error({}, "train.batch",
                     fmt::format("expected at most the {} images of the training set, got {}",
                                 data_.train.count, settings_.batch));
    }
    problems.throw_if_any();
  }

  /// Before anything is trained: mistakes show, and what machines take is known.
  void set_up_planes() {
    ensure(machine_.accelerator != nullptr && machine_.simulated != nullptr,
           "bit-planes are assigned for a machine");
    std::vector<SimulatedMachine> machines{{machine_.accelerator, machine_.simulated}};
    machines.insert(machines.end(), machine_.others.begin(), machine_.others.end());
    PlaneKnobs knobs;
    knobs.planes.assign(settings_.weight_bits.begin(), settings_.weight_bits.end());
    knobs.activation_bits = settings_.activation_bits.front();
    knobs.output_bits = settings_.output_bits;
    knobs.max_loss = settings_.max_loss;
    planes_ = std::make_unique<PlaneEvaluation>(network_, std::move(machines), std::move(knobs));
  }

  std::optional<PlaneReport> evaluate_planes() {
    const auto tested = chosen_images(data_.test.count, settings_.test_images, settings_.seed);
    const auto calibration =
        chosen_images(data_.train.count, settings_.calibration_images, settings_.seed + 1);
    PlaneEvaluation::Run how;
    how.threads = at::get_num_threads();
    how.stop = place_.stop;
    how.progress = [this](std::size_t done, std::size_t all) {
      if (!report_) return;
      TrainProgress progress;
      progress.phase = fmt::format("bit-planes {} of {}", done, all);
      progress.epoch = progress.epochs = settings_.epochs;
      progress.step = progress.steps = schedule_.steps;
      progress.loss = running_loss_;
      progress.test_accuracy = done_.history.back().test_accuracy;
      report_(progress);
    };
    return planes_->run(plane_weights(planes_->structure(), *model_),
                        plane_examples(data_.test, tested),
                        plane_examples(data_.train, calibration), accuracy_of(tested), how);
  }

  void set_up_torch() const {
    prepare_process_for_training();
    if (place_.threads > 0) at::set_num_threads(place_.threads);
    torch::manual_seed(static_cast<std::uint64_t>(settings_.seed));
  }

  /// Rate of the step that comes.
  [[nodiscard]] double learning_rate() const {
    std::size_t begin = 0;
    for (const Schedule::Stretch& stretch : schedule_.stretches) {
      if (done_.step < stretch.end) {
        const double length = static_cast<double>(stretch.end - begin);
        const double at = static_cast<double>(done_.step - begin);
        const double warm = std::min(
            settings_.warmup_epochs * static_cast<double>(schedule_.steps_per_epoch), length / 2);
        const double peak = settings_.learning_rate * stretch.peak;
        if (at < warm) return peak * (at + 1) / (warm + 1);
        if (!stretch.falls) return peak;
        return peak * (1 + std::cos(std::numbers::pi * (at - warm) / (length - warm))) / 2;
      }
      begin = stretch.end;
    }
    return 0;
  }

  ImageBatch next_batch() {
    const std::size_t epoch = done_.step / schedule_.steps_per_epoch;
    const std::size_t within = done_.step % schedule_.steps_per_epoch;
    if (order_.empty() || order_epoch_ != epoch) {
      order_ = shuffled(images_, settings_.seed, static_cast<std::int64_t>(epoch));
      order_epoch_ = epoch;
    }
    const auto batch = std::min(static_cast<std::size_t>(settings_.batch), order_.size());
    const auto first = order_.begin() + static_cast<std::ptrdiff_t>(within * batch);
    const std::vector<std::size_t> indices(first, first + static_cast<std::ptrdiff_t>(batch));
    const std::uint64_t key = (static_cast<std::uint64_t>(settings_.seed) << 32U) + done_.step;
    return augmented_batch(data_.train, indices, settings_.augment, key);
  }

  void step() {
    const ImageBatch batch = next_batch();
    const double rate = learning_rate();
    for (auto& parameters : optimizer_->param_groups()) {
      static_cast<torch::optim::SGDOptions&>(parameters.options()).lr(rate);
    }
    const torch::Tensor logits = model_->forward(batch.images);
    const torch::Tensor loss = torch::cross_entropy_loss(logits, batch.labels);
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      throw NotANumber(fmt::format(
          "the loss is {} in step {} of epoch {}: a smaller learning_rate (now {}) may help{}",
          value, done_.step % schedule_.steps_per_epoch + 1,
          done_.step / schedule_.steps_per_epoch + 1, settings_.learning_rate,
          place_.checkpoint.empty() ? ""
                                    : "; the last checkpoint is kept in " + place_.checkpoint));
    }
    optimizer_->zero_grad();
    loss.backward();
    method_->after_backward();
    optimizer_->step();
    ++done_.step;
    const auto count = static_cast<double>(batch.labels.size(0));
    done_.loss_sum += value * count;
    done_.right += logits.detach().argmax(1).eq(batch.labels).sum().item<double>();
    done_.seen += count;
    running_loss_ = done_.step == first_step_ + 1
                        ? value
                        : running_loss_ + kShareOfNewLoss * (value - running_loss_);
    method_->after_step(done_.step);
    const bool epoch_ended = done_.step % schedule_.steps_per_epoch == 0;
    if (epoch_ended) end_epoch(rate);
    tell(epoch_ended);
    if (epoch_ended || seconds_since(kept_at_) > kSecondsBetweenCheckpoints) keep();
  }

  void end_epoch(double rate) {
    EpochRecord record;
    record.epoch = static_cast<std::int64_t>(done_.step / schedule_.steps_per_epoch);
    record.train_loss = done_.loss_sum / done_.seen;
    record.train_accuracy = done_.right / done_.seen;
    record.test_accuracy = test_accuracy();
    record.costs = method_->costs();
    std::tie(record.mean_weight_bits, record.mean_activation_bits) = mean_widths();
    record.learning_rate = rate;
    record.frozen = method_->is_frozen();
    count_time();
    record.seconds = done_.epoch_seconds;
    done_.epoch_seconds = 0;
    done_.loss_sum = done_.right = done_.seen = 0;
    done_.history.push_back(std::move(record));
  }

  void count_time() {
    const double passed = seconds_since(running_since_);
    running_since_ = Clock::now();
    done_.seconds += passed;
    done_.epoch_seconds += passed;
    run_seconds_ += passed;
  }

  /// Over layers with weights, each the same.
  [[nodiscard]] std::pair<double, double> mean_widths() const {
    if (settings_.method == TrainMethod::full_precision ||
        settings_.method == TrainMethod::precision_batching) {
      return {32, 32};
    }
    double weights = 0;
    double activations = 0;
    for (const QuantizedLayer& layer : model_->layers()) {
      double sum = 0;
      for (const float bits : layer.weight_slot->bits) sum += bits;
      weights += sum / static_cast<double>(layer.weight_slot->bits.size());
      activations += layer.activation_slot->bits.front();
    }
    const auto count = static_cast<double>(model_->layers().size());
    return {weights / count, activations / count};
  }

  void tell(bool epoch_ended) {
    if (!report_) return;
    if (!epoch_ended && seconds_since(told_at_) < 0.1) return;
    told_at_ = Clock::now();
    TrainProgress progress;
    progress.phase = method_->phase();
    progress.epoch = static_cast<std::int64_t>((done_.step - (epoch_ended ? 1 : 0)) /
                                               schedule_.steps_per_epoch) +
                     1;
    progress.epochs = settings_.epochs;
    progress.step = done_.step;
    progress.steps = schedule_.steps;
    progress.loss = running_loss_;
    if (!done_.history.empty()) progress.test_accuracy = done_.history.back().test_accuracy;
    for (const ReachedTarget& target : method_->targets()) {
      progress.metrics.push_back(target.metric);
      progress.targets.push_back(target.target);
    }
    progress.costs = method_->costs();
    std::tie(progress.mean_weight_bits, progress.mean_activation_bits) = mean_widths();
    const double passed = run_seconds_ + seconds_since(running_since_);
    progress.seconds_left = passed / static_cast<double>(done_.step - first_step_) *
                            static_cast<double>(schedule_.steps - done_.step);
    progress.epoch_ended = epoch_ended;
    report_(progress);
  }

  void keep() {
    count_time();
    kept_at_ = Clock::now();
    if (place_.checkpoint.empty()) return;
    Checkpoint checkpoint = done_;
    checkpoint.key = place_.key;
    checkpoint.method = method_->state();
    save_checkpoint(place_.checkpoint, checkpoint, model_->state(), *optimizer_);
  }

  void restore() {
    // Its momenta have to be there before they can be read.
    Checkpoint checkpoint =
        load_checkpoint(place_.checkpoint, place_.key, model_->state(), *optimizer_);
    method_->restore(checkpoint.method);
    done_ = std::move(checkpoint);
    first_step_ = done_.step;
  }

  double test_accuracy() { return accuracy_of(chosen_images(data_.test.count, 0, 0)); }

  /// On these images of the test set.
  double accuracy_of(const std::vector<std::size_t>& images) {
    const torch::NoGradGuard no_gradient;
    model_->set_training(false);
    double right = 0;
    for (std::size_t first = 0; first < images.size(); first += kTestBatch) {
      const auto begin = images.begin() + static_cast<std::ptrdiff_t>(first);
      const auto count = std::min(kTestBatch, images.size() - first);
      const ImageBatch batch =
          plain_batch(data_.test, {begin, begin + static_cast<std::ptrdiff_t>(count)});
      right += model_->forward(batch.images).argmax(1).eq(batch.labels).sum().item<double>();
    }
    model_->set_training(true);
    return right / static_cast<double>(images.size());
  }

  double calibration_loss() {
    const torch::NoGradGuard no_gradient;
    if (calibration_.empty()) {
      // Other images than an epoch's first ones, the same whenever they are asked for.
      const auto indices =
          chosen_images(data_.train.count, settings_.calibration_images, settings_.seed + 1);
      for (std::size_t first = 0; first < indices.size(); first += kTestBatch) {
        const auto begin = indices.begin() + static_cast<std::ptrdiff_t>(first);
        const auto end = indices.begin() +
                         static_cast<std::ptrdiff_t>(std::min(first + kTestBatch, indices.size()));
        calibration_.push_back(plain_batch(data_.train, {begin, end}));
      }
    }
    model_->set_training(false);
    double sum = 0;
    double count = 0;
    for (const ImageBatch& batch : calibration_) {
      const auto images = static_cast<double>(batch.labels.size(0));
      sum += images *
             torch::cross_entropy_loss(model_->forward(batch.images), batch.labels).item<double>();
      count += images;
    }
    model_->set_training(true);
    return sum / count;
  }

  TrainResult result() {
    count_time();
    TrainResult result;
    result.method = std::string(to_string(settings_.method));
    if (settings_.per_channel) result.method += " per channel";
    result.network = network_.name();
    result.accelerator = machine_.accelerator != nullptr ? machine_.accelerator->name : "";
    result.data = data_.name;
    if (settings_.method == TrainMethod::fixed && settings_.assignment) {
      result.widths = settings_.assignment->name;
    }
    result.label = result.method + (result.widths.empty() ? "" : " " + result.widths);
    result.seed = settings_.seed;
    result.epochs = settings_.epochs;
    result.images = static_cast<std::int64_t>(images_.size());
    result.test_images = static_cast<std::int64_t>(data_.test.count);
    result.batch = settings_.batch;
    result.history = done_.history;
    result.accuracy = done_.history.back().test_accuracy;
    result.accuracy_float = method_->float_accuracy();
    result.targets = method_->targets();
    result.train_seconds = done_.seconds;
    result.images_per_s = static_cast<double>(schedule_.steps) *
                          static_cast<double>(settings_.batch) / std::max(done_.seconds, 1e-9);
    result.key = place_.key;

    const std::vector<LayerChoice> choices = method_->choices();
    const std::vector<double> sensitivities = method_->sensitivities();
    for (std::size_t i = 0; i < model_->layers().size(); ++i) {
      const QuantizedLayer& own = model_->layers()[i];
      const Layer& layer = network_.layers()[own.layer];
      TrainedLayer trained;
      trained.name = layer.name;
      trained.kind = std::string(to_string(layer.kind));
      trained.macs = layer.macs();
      trained.weights = layer.weights;
      if (!choices.empty()) {
        trained.weight_bits = choices[i].weight_bits;
        trained.activation_bits = choices[i].activation_bits;
      }
      if (!sensitivities.empty()) trained.sensitivity = sensitivities[i];
      result.parameter_bits +=
          weight_bits_of(layer, trained.weight_bits) + 32 * static_cast<double>(layer.biases);
      result.float_parameter_bits +=
          32 * (static_cast<double>(layer.weights) + static_cast<double>(layer.biases));
      result.layers.push_back(std::move(trained));
    }
    if (!choices.empty() && machine_.simulated != nullptr) add_costs(result, choices);
    return result;
  }

  static double weight_bits_of(const Layer& layer, const std::vector<BitWidth>& widths) {
    const auto weights = static_cast<double>(layer.weights);
    if (widths.empty()) return 32 * weights;
    double sum = 0;
    for (const BitWidth bits : widths) sum += bits;
    return weights * sum / static_cast<double>(widths.size());
  }

  void add_costs(TrainResult& result, const std::vector<LayerChoice>& choices) const {
    const ChoiceCost cost = choice_cost(network_, *machine_.simulated, *machine_.accelerator,
                                        choices, settings_.output_bits);
    result.metrics = cost.metrics;
    result.totals = cost.totals;
    for (std::size_t i = 0; i < cost.layers.size(); ++i) {
      result.layer_costs.push_back(
          {cost.layers[i], std::string(to_string(network_.layers()[i].kind)), cost.by_layer[i]});
    }
    for (ReachedTarget& target : result.targets) {
      target.simulated = cost.totals[metric_index(cost.metrics, target.metric)];
    }
  }

  const Network& network_;
  const Dataset& data_;
  const TrainMachine& machine_;
  const TrainSettings& settings_;
  const TrainPlace& place_;
  const std::function<void(const TrainProgress&)>& report_;

  Schedule schedule_;
  std::vector<std::size_t> images_;  // of the training set
  std::vector<std::size_t> order_;
  std::size_t order_epoch_ = 0;
  std::vector<ImageBatch> calibration_;
  std::unique_ptr<PlaneEvaluation> planes_;  // of precision_batching
  std::unique_ptr<QuantizedNetwork> model_;
  std::unique_ptr<MethodContext> context_;
  std::unique_ptr<WidthMethod> method_;
  std::unique_ptr<torch::optim::SGD> optimizer_;

  Checkpoint done_;
  std::size_t first_step_ = 0;  // of this run
  double running_loss_ = 0;
  double run_seconds_ = 0;
  Clock::time_point running_since_, kept_at_, told_at_;
};

}  // namespace

std::optional<TrainResult> train_network(
    const Network& network, const Dataset& data, const TrainMachine& machine,
    const TrainSettings& settings, const TrainPlace& place,
    const std::function<void(const TrainProgress&)>& progress) {
  Diagnostics problems;
  check(settings, problems);
  problems.throw_if_any();
  return Training(network, data, machine, settings, place, progress).run();
}

}  // namespace widthwise
