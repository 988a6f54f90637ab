// How a training comes to its widths: what is done with them before, while and after weights move.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "train/dataset.hpp"
#include "train/result.hpp"
#include "train/settings.hpp"
#include "train/torch/quantized_network.hpp"
#include "train/torch/trainer.hpp"
#include "train/width_plan_cost.hpp"

namespace widthwise {

/// Steps of a training.
struct Schedule {
  std::size_t steps = 0;  // all
  std::size_t steps_per_epoch = 1;
  /// Stretches of steps with a warm-up and a cosine of the learning rate each; `peak` is relative
  /// to the settings' rate.
  struct Stretch {
    std::size_t end = 0;
    double peak = 1;
    bool falls = true;  // false: stays at the peak
  };
  std::vector<Stretch> stretches;
};

class WidthMethod {
 public:
  virtual ~WidthMethod() = default;

  /// What differs from one cosine over all steps.
  virtual void plan(Schedule& /*schedule*/) {}
  /// Widths to begin with.
  virtual void begin() = 0;
  /// Gradients are there, weights have not moved yet.
  virtual void after_backward() {}
  /// Weights have moved; `done` steps are done.
  virtual void after_step(std::size_t /*done*/) {}

  [[nodiscard]] virtual std::string phase() const = 0;
  [[nodiscard]] virtual bool is_frozen() const { return true; }
  /// Costs of the targets at the widths now, and the targets.
  [[nodiscard]] virtual std::vector<double> costs() const { return {}; }
  [[nodiscard]] virtual std::vector<ReachedTarget> targets() const { return {}; }
  /// At the end; empty: not quantized.
  [[nodiscard]] virtual std::vector<LayerChoice> choices() const = 0;
  /// Per layer with multiply-accumulates; empty: none.
  [[nodiscard]] virtual std::vector<double> sensitivities() const { return {}; }
  [[nodiscard]] virtual double float_accuracy() const { return 0; }

  [[nodiscard]] virtual std::vector<double> state() const { return {}; }
  virtual void restore(const std::vector<double>& /*state*/) {}
};

struct MethodContext {
  const Network& network;
  QuantizedNetwork& model;
  const TrainMachine& machine;
  const TrainSettings& settings;
  Schedule& schedule;
  /// Accuracy on the test set, of the network as it is.
  std::function<double()> test_accuracy;
  /// Cross entropy on the calibration images, batch norms as in evaluation.
  std::function<double()> calibration_loss;
};

/// Throws InputError, as train_network() does. The context outlives it.
std::unique_ptr<WidthMethod> width_method(MethodContext& context);

}  // namespace widthwise
