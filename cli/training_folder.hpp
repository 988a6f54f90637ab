// The folder that an experiment's trainings are kept in: a checkpoint of each while it runs, its
// result when it is finished, under names that say what the result follows from. One process at a
// time works in it.
#pragma once

#include <span>
#include <string>

#include "cli/folder_lock.hpp"
#include "models/base/error.hpp"
#include "models/config/shipped_data.hpp"
#include "train/result.hpp"

namespace widthwise {

/// A training's files in a folder.
struct TrainingFiles {
  std::string label, key;
  std::string result;      // <folder>/<label>-<key's first digits>.json
  std::string checkpoint;  // the same with .checkpoint

  [[nodiscard]] bool is_finished() const;  // the result is there
  [[nodiscard]] bool is_begun() const;     // the checkpoint is there, the result is not
};

/// `key`: 32 hexadecimal digits. Characters of the label that are no letters or digits become '-'.
TrainingFiles training_files(const std::string& folder, const std::string& label,
                             const std::string& key);

class TrainingFolder {
 public:
  enum class Mode {
    begin,   // refuse where a training was begun and not finished
    resume,  // go on with it
    fresh,   // from the start, whatever is there
  };

  /// Makes the folder if it is not there. Throws InputError at its place: it can not be made or
  /// written to, another process works in it.
  explicit TrainingFolder(const Given& folder);

  /// Gets the folder ready for these trainings. `begin` throws InputError that names the unfinished
  /// ones and changes nothing; `fresh` removes what is there of them, and of no others.
  void prepare(std::span<const TrainingFiles> trainings, Mode mode);

  /// The result of a finished training. Throws InputError: it does not read, or is of another key.
  [[nodiscard]] static TrainResult read(const TrainingFiles& training);

  /// Writes the result whole or not at all, then removes the checkpoint. Throws InputError.
  static void finish(const TrainingFiles& training, const TrainResult& result);

 private:
  FolderLock lock_;
};

}  // namespace widthwise
