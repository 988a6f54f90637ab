// Mini-batches of images as torch wants them.
#pragma once

#include <cstdint>
#include <vector>

#include <torch/types.h>

#include "train/dataset.hpp"
#include "train/settings.hpp"

namespace widthwise {

struct ImageBatch {
  torch::Tensor images;  // [batch, channels, height, width] in 0..1, channels last in memory
  torch::Tensor labels;  // [batch], 64-bit
};

/// Images `indices` of the set as they are.
ImageBatch plain_batch(const ImageSet& set, const std::vector<std::size_t>& indices);

/// The same after augmentation: each image shifted by -2..2 pixels in both directions (what comes
/// in is 0) and flipped left to right half of the time, drawn by `key` and its place in the batch.
ImageBatch augmented_batch(const ImageSet& set, const std::vector<std::size_t>& indices,
                           Augmentation augmentation, std::uint64_t key);

/// `count` indices out of `size` (0: all), chosen by seed, ascending.
std::vector<std::size_t> chosen_images(std::size_t size, std::int64_t count, std::int64_t seed);

/// The order of an epoch.
std::vector<std::size_t> shuffled(std::vector<std::size_t> indices, std::int64_t seed,
                                  std::int64_t epoch);

}  // namespace widthwise
