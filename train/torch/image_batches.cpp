#include "train/torch/image_batches.hpp"

#include <algorithm>
#include <numeric>

namespace widthwise {

namespace {

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers wherever the standard library is from.
class Generator {
 public:
  explicit Generator(std::uint64_t seed) : state_(seed) {}

  std::uint64_t operator()() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  /// Below `count`; the bias is below 2^-32 for counts below 2^32.
  std::size_t below(std::size_t count) { return static_cast<std::size_t>((*this)() % count); }

 private:
  std::uint64_t state_;
};

constexpr int kMostShift = 2;

void shuffle(std::vector<std::size_t>& indices, Generator& generator) {
  for (std::size_t i = indices.size(); i > 1; --i) {
    std::swap(indices[i - 1], indices[generator.below(i)]);
  }
}

ImageBatch empty_batch(const ImageSet& set, std::size_t count) {
  const auto size = [](std::size_t n) { return static_cast<std::int64_t>(n); };
  ImageBatch batch;
  batch.images =
      torch::empty({size(count), size(set.channels), size(set.height), size(set.width)},
                   torch::TensorOptions().memory_format(torch::MemoryFormat::ChannelsLast));
  batch.labels = torch::empty({size(count)}, torch::kInt64);
  return batch;
}

/// Copies one image, moved down and right by dy and dx.
void copy_image(const ImageSet& set, std::size_t image, std::int64_t dy, std::int64_t dx, bool flip,
                float* out) {
  const auto height = static_cast<std::int64_t>(set.height);
  const auto width = static_cast<std::int64_t>(set.width);
  const auto channels = static_cast<std::int64_t>(set.channels);
  const std::uint8_t* pixels = set.pixels.data() + image * set.image_bytes();
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const std::int64_t from_y = y - dy;
      const std::int64_t from_x = (flip ? width - 1 - x : x) - dx;
      const bool inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
      for (std::int64_t c = 0; c < channels; ++c) {
        *out++ = inside ? static_cast<float>(pixels[(c * height + from_y) * width + from_x]) / 255.F
                        : 0.F;
      }
    }
  }
}

}  // namespace

ImageBatch plain_batch(const ImageSet& set, const std::vector<std::size_t>& indices) {
  return augmented_batch(set, indices, Augmentation::none, 0);
}

ImageBatch augmented_batch(const ImageSet& set, const std::vector<std::size_t>& indices,
                           Augmentation augmentation, std::uint64_t key) {
  ImageBatch batch = empty_batch(set, indices.size());
  auto* pixels = batch.images.data_ptr<float>();
  auto* labels = batch.labels.data_ptr<std::int64_t>();
  Generator generator(key);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    std::int64_t dy = 0;
    std::int64_t dx = 0;
    bool flip = false;
    if (augmentation != Augmentation::none) {
      dy = static_cast<std::int64_t>(generator.below(2 * kMostShift + 1)) - kMostShift;
      dx = static_cast<std::int64_t>(generator.below(2 * kMostShift + 1)) - kMostShift;
      flip = augmentation == Augmentation::shift_flip && generator.below(2) == 1;
    }
    copy_image(set, indices[i], dy, dx, flip, pixels + i * set.image_bytes());
    labels[i] = set.labels[indices[i]];
  }
  return batch;
}

std::vector<std::size_t> chosen_images(std::size_t size, std::int64_t count, std::int64_t seed) {
  std::vector<std::size_t> indices(size);
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  const auto wanted = static_cast<std::size_t>(count);
  if (count <= 0 || wanted >= size) return indices;
  Generator generator(static_cast<std::uint64_t>(seed) * 2 + 1);
  shuffle(indices, generator);
  indices.resize(wanted);
  std::sort(indices.begin(), indices.end());
  return indices;
}

std::vector<std::size_t> shuffled(std::vector<std::size_t> indices, std::int64_t seed,
                                  std::int64_t epoch) {
  Generator mixed(static_cast<std::uint64_t>(seed) * 2);
  Generator generator(mixed() + static_cast<std::uint64_t>(epoch));
  shuffle(indices, generator);
  return indices;
}

}  // namespace widthwise
