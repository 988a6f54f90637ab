// The `train` section of an experiment file: which method learns the widths, on which data, against
// which costs, and which trainings it is compared with. See docs/file_formats.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/run_request.hpp"
#include "models/base/error.hpp"
#include "models/network/widths.hpp"
#include "train/settings.hpp"

namespace widthwise {

struct TrainExperiment {
  RunRequest run;          // accelerator, network; its bits are the widths of the method fixed
  TrainSettings settings;  // without the assignment
  Given data;              // as read_dataset() takes it
  bool has_pins = false;   // the section says them

  std::vector<Given> machines;  // that precision_batching is costed on besides

  // Compared with it, with the same images, epochs and seed.
  std::vector<LayerWidths> uniform;  // trained at these widths throughout, pins at theirs
  std::vector<TrainMethod> methods;  // with the same targets

  /// The place and path of every key of the section that is there, and of the section itself ("").
  std::map<std::string, std::pair<SourcePlace, std::string>> places;
};

/// Throws InputError with all mistakes of the file. What contradicts itself is checked by
/// planned_trainings(), since options of the command line may still change it; metrics and layers
/// are checked later.
TrainExperiment read_train_experiment(const std::string& path);

/// Options that win over the section.
struct TrainOverrides {
  std::optional<Given> epochs, images, seed;
};

/// Mistakes are added to `problems`.
void apply(const TrainOverrides& overrides, TrainExperiment& experiment, Diagnostics& problems);

/// One training of an experiment.
struct PlannedTraining {
  std::string label;  // each once: "fracbits", "uniform w3a3"
  TrainSettings settings;
};

/// The training itself first, then those that it is compared with. `bits` are the widths of the
/// method fixed, read. Adds to `problems` what contradicts itself, at its key.
std::vector<PlannedTraining> planned_trainings(const TrainExperiment& experiment,
                                               const std::optional<Assignment>& bits,
                                               Diagnostics& problems);

}  // namespace widthwise
