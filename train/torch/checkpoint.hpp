// All that a training needs to go on where it was, in one file that is there whole or not at all.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <torch/optim/optimizer.h>
#include <torch/types.h>

#include "train/result.hpp"

namespace widthwise {

struct Checkpoint {
  std::string key;  // of all that the result follows from
  std::size_t step = 0;
  double loss_sum = 0, right = 0, seen = 0;  // of the epoch so far
  double seconds = 0;                        // trained in all, and in the epoch so far
  double epoch_seconds = 0;
  std::vector<double> method;  // WidthMethod::state()
  std::vector<EpochRecord> history;
};

/// Writes tensors and figures; the optimizer keeps its momenta. Throws InputError (disk full).
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint,
                     const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                     const torch::optim::Optimizer& optimizer);

/// Reads them into the tensors and the optimizer. Throws InputError if the file can not be read, is
/// of another training (`key`) or does not have these tensors.
Checkpoint load_checkpoint(const std::string& path, const std::string& key,
                           const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                           torch::optim::Optimizer& optimizer);

}  // namespace widthwise
