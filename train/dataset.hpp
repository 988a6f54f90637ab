// Images with labels, from the files that their publishers distribute: MNIST's IDX format
// (http://yann.lecun.com/exdb/mnist: big-endian header 0x00000803 count rows columns, 0x00000801
// count), also compressed with gzip, and CIFAR's binary format
// (https://www.cs.toronto.edu/~kriz/cifar.html: a label byte, for CIFAR-100 a coarse one before it,
// then 3072 bytes, red, green, blue).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "models/config/shipped_data.hpp"

namespace widthwise {

/// Pixels are bytes, image after image, channel after channel, row after row.
struct ImageSet {
  std::size_t count = 0;
  std::size_t channels = 1, height = 0, width = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> labels;  // one per image, below Dataset::classes

  [[nodiscard]] std::size_t image_bytes() const { return channels * height * width; }
};

struct Dataset {
  std::string name;
  std::size_t classes = 10;  // greatest label + 1, over both sets
  ImageSet train, test;
};

/// "fashion_mnist": where Debian's dataset-fashion-mnist puts it. Else a folder with
/// train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte
/// (IDX), or data_batch_1.bin ... data_batch_5.bin and test_batch.bin (CIFAR-10), or train.bin and
/// test.bin (CIFAR-100, fine labels), each with or without .gz; the folder's name is the data
/// set's.
///
/// Throws InputError, all mistakes at once: the folder or a file is missing (for fashion_mnist with
/// the Debian package's name), a file is cut short or longer than its header says, has another
/// magic number, nothing in it or more than 8 GiB, a check sum of gzip fails, counts of images and
/// labels differ, a label is beyond CIFAR's classes, images of both sets differ in size, the folder
/// holds files of two formats. A file of CIFAR may hold any number of images.
Dataset read_dataset(const Given& given);

}  // namespace widthwise
