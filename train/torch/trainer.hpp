// Trains a network by one of the methods of settings.hpp, and keeps what is done so far on disk.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/cost/cost_model.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/network/network.hpp"
#include "models/table/cost_table.hpp"
#include "train/dataset.hpp"
#include "train/plane_evaluation.hpp"
#include "train/result.hpp"
#include "train/settings.hpp"

namespace widthwise {

struct TrainProgress {
  std::string phase;  // "full precision", "widths move", "widths fixed", "bit-planes 3 of 40"
  std::int64_t epoch = 0, epochs = 0;
  std::size_t step = 0, steps = 0;   // of the whole training
  double loss = 0;                   // running mean
  double test_accuracy = 0;          // of the last epoch, 0 before
  std::vector<std::string> metrics;  // of the targets
  std::vector<double> costs, targets;
  double mean_weight_bits = 0, mean_activation_bits = 0;
  double seconds_left = 0;
  bool epoch_ended = false;
};

struct TrainMachine {
  const Accelerator* accelerator = nullptr;
  CostModel* simulated = nullptr;             // tile fidelity; says what the result reports
  const CostTable* table = nullptr;           // by stored widths, simulated; for fracbits
  std::vector<SimulatedMachine> others = {};  // that precision_batching is costed on besides
};

struct TrainPlace {
  std::string checkpoint;                   // file; empty: none are kept
  bool resume = false;                      // continue from it if it is there
  int threads = 0;                          // 0: all cores
  const std::atomic<bool>* stop = nullptr;  // set: keep a checkpoint and end at the next step
  std::string key;  // of all that the result follows from; a checkpoint with another
                    // one is refused
};

/// Training met a value that is not a number. The checkpoint of the last good epoch is kept.
class NotANumber : public std::exception {
 public:
  explicit NotANumber(std::string what) : what_(std::move(what)) {}
  [[nodiscard]] const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

/// Nothing if `place.stop` ended it. The same settings, data and threads give the same result,
/// interrupted or not. Throws InputError: layers that training does not know, images that do not
/// fit the network's input, classes that do not fit its output, what WidthLearner and WidthAssigner
/// throw, a checkpoint that can not be read; NotANumber.
std::optional<TrainResult> train_network(
    const Network& network, const Dataset& data, const TrainMachine& machine,
    const TrainSettings& settings, const TrainPlace& place,
    const std::function<void(const TrainProgress&)>& progress = {});

}  // namespace widthwise
