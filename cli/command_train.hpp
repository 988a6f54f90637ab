// `widthwise train`: trains a network at bit-widths that a method learns, and the trainings that it
// is compared with, each kept on disk under what its result follows from.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cli/train_experiment.hpp"
#include "train/torch/trainer.hpp"

namespace CLI {
class App;
}

namespace widthwise {

/// Options as they stand on the command line.
struct TrainWords {
  std::string experiment, output, json, report, log, threads, jobs, epochs, images, seed;
  std::vector<std::string> overrides;
  bool resume = false, fresh = false, no_cache = false, quiet = false;
};

/// Declares them; they outlive the parsing.
void add_train_options(CLI::App& command, TrainWords& words);

struct TrainCommand {
  TrainExperiment experiment;  // --set has been put into it
  TrainOverrides overrides;
  Given output;  // folder of checkpoints and results
  std::optional<Given> json, report, log, threads, jobs;
  bool resume = false, fresh = false, no_cache = false, quiet = false;
};

/// What was parsed, with the experiment file read. Throws InputError.
TrainCommand train_command_of(const CLI::App& command, const TrainWords& words);

/// train_network(), which programs without libtorch do not have.
using Trainer = std::function<std::optional<TrainResult>(
    const Network&, const Dataset&, const TrainMachine&, const TrainSettings&, const TrainPlace&,
    const std::function<void(const TrainProgress&)>&)>;

/// Returns an exit code: kInfeasible if a target can not be met, kDiverged after NotANumber,
/// kSignalled + number after SIGINT or SIGTERM. Throws InputError.
int train_command(TrainCommand command, const Trainer& trainer);

/// What is wrong with an experiment but its data, which need not be there. Throws InputError.
void check_training(const TrainExperiment& experiment);

}  // namespace widthwise
