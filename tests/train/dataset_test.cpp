#include "train/dataset.hpp"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <zlib.h>

#include "models/base/error.hpp"

using namespace widthwise;

namespace {

namespace fs = std::filesystem;

using Bytes = std::vector<std::uint8_t>;

/// A folder for the time of a test.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "dataset_test.XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  [[nodiscard]] std::string path() const { return path_.string(); }
  [[nodiscard]] std::string path(const std::string& file) const { return (path_ / file).string(); }

  void write(const std::string& file, const Bytes& bytes) const {
    std::ofstream stream(path_ / file, std::ios::binary);
    stream.write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
    REQUIRE(stream.good());
  }

  void write_compressed(const std::string& file, const Bytes& bytes) const {
    const gzFile stream = gzopen(path(file).c_str(), "wb");
    REQUIRE(stream != nullptr);
    CHECK(gzwrite(stream, bytes.data(), static_cast<unsigned>(bytes.size())) ==
          static_cast<int>(bytes.size()));
    REQUIRE(gzclose(stream) == Z_OK);
  }

  void remove(const std::string& file) const { REQUIRE(fs::remove(path_ / file)); }

 private:
  fs::path path_;
};

Bytes bytes_of(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

Bytes first(const Bytes& bytes, std::size_t count) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count)};
}

Dataset read(const std::string& text) { return read_dataset({text, {"--data"}, ""}); }

std::string message_of(const std::string& text) {
  try {
    read(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string message_of(const Folder& folder) { return message_of(folder.path()); }

// Names of IDX.

const std::string kTrainImages = "train-images-idx3-ubyte";
const std::string kTrainLabels = "train-labels-idx1-ubyte";
const std::string kTestImages = "t10k-images-idx3-ubyte";
const std::string kTestLabels = "t10k-labels-idx1-ubyte";

void append_size(Bytes& bytes, std::uint32_t size) {
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    bytes.push_back(static_cast<std::uint8_t>(size >> shift));
  }
}

/// An IDX file of these sizes, with bytes that count up from `start`.
Bytes idx(const std::vector<std::uint32_t>& sizes, std::uint8_t start) {
  Bytes bytes;
  append_size(bytes, 0x800U + static_cast<std::uint32_t>(sizes.size()));
  std::size_t count = 1;
  for (const std::uint32_t size : sizes) {
    append_size(bytes, size);
    count *= size;
  }
  for (std::size_t i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(start + i));
  return bytes;
}

/// Three images of 2 x 4 to train on, labels 1, 2, 3, and two to test with, labels 5, 6.
void write_idx(const Folder& folder) {
  folder.write(kTrainImages, idx({3, 2, 4}, 0));
  folder.write(kTrainLabels, idx({3}, 1));
  folder.write(kTestImages, idx({2, 2, 4}, 100));
  folder.write(kTestLabels, idx({2}, 5));
}

Bytes counting(std::uint8_t start, std::size_t count) {
  Bytes bytes(count);
  std::iota(bytes.begin(), bytes.end(), start);
  return bytes;
}

void check_idx(const Dataset& data) {
  CHECK(data.classes == 7);
  CHECK(data.train.count == 3);
  CHECK(data.train.channels == 1);
  CHECK(data.train.height == 2);
  CHECK(data.train.width == 4);
  CHECK(data.train.image_bytes() == 8);
  CHECK(data.train.pixels == counting(0, 24));
  CHECK(data.train.labels == Bytes{1, 2, 3});
  CHECK(data.test.count == 2);
  CHECK(data.test.pixels == counting(100, 16));
  CHECK(data.test.labels == Bytes{5, 6});
}

/// An image of CIFAR: its labels, then 1024 bytes of each of these colours.
Bytes cifar_image(const Bytes& labels, std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
  Bytes bytes = labels;
  for (const std::uint8_t colour : {red, green, blue}) bytes.insert(bytes.end(), 1024, colour);
  return bytes;
}

/// One image in each of the five files to train on, labels 0 to 4, and one to test with, label 7.
void write_cifar10(const Folder& folder) {
  for (std::uint8_t batch = 1; batch <= 5; ++batch) {
    folder.write("data_batch_" + std::to_string(batch) + ".bin",
                 cifar_image({static_cast<std::uint8_t>(batch - 1)}, batch, 10, 20));
  }
  folder.write("test_batch.bin", cifar_image({7}, 30, 40, 50));
}

}  // namespace

TEST_CASE("Fashion-MNIST is read where Debian puts it") {
  if (!fs::is_directory("/usr/share/datasets/fashion-mnist")) {
    WARN("dataset-fashion-mnist is not installed: only its absence is tested");
    CHECK(message_of("fashion_mnist") ==
          "--data: error: /usr/share/datasets/fashion-mnist is not there: install Debian's package "
          "dataset-fashion-mnist, or give a folder with its files");
    return;
  }
  const Dataset data = read("fashion_mnist");
  CHECK(data.name == "fashion_mnist");
  CHECK(data.classes == 10);
  CHECK(data.train.count == 60'000);
  CHECK(data.test.count == 10'000);
  for (const ImageSet* set : {&data.train, &data.test}) {
    CHECK(set->channels == 1);
    CHECK(set->height == 28);
    CHECK(set->width == 28);
    CHECK(set->pixels.size() == set->count * 28 * 28);
    // The publishers' sets are balanced: as many images of each class.
    std::vector<std::size_t> images(10);
    for (const std::uint8_t label : set->labels) ++images.at(label);
    CHECK(images == std::vector<std::size_t>(10, set->count / 10));
  }
  CHECK(Bytes(data.train.labels.begin(), data.train.labels.begin() + 4) == Bytes{9, 0, 0, 3});
  const double sum = std::accumulate(data.train.pixels.begin(), data.train.pixels.end(), 0.0);
  CHECK(sum / static_cast<double>(data.train.pixels.size()) == Approx(72.94).margin(0.005));
}

TEST_CASE("IDX files are read plain and compressed") {
  const Folder folder;
  write_idx(folder);
  SECTION("plain") {}
  SECTION("compressed") {
    for (const std::string& file : {kTrainImages, kTrainLabels, kTestImages, kTestLabels}) {
      folder.write_compressed(file + ".gz", bytes_of(folder.path(file)));
      folder.remove(file);
    }
  }
  SECTION("some of each, and compressed without saying so") {
    folder.write_compressed(kTestLabels + ".gz", bytes_of(folder.path(kTestLabels)));
    folder.remove(kTestLabels);
    folder.write_compressed(kTrainImages, bytes_of(folder.path(kTrainImages)));
  }
  SECTION("the plain file goes before the compressed one") {
    folder.write_compressed(kTestLabels + ".gz", idx({2}, 77));
  }
  check_idx(read(folder.path()));
}

TEST_CASE("a data set is called as its folder") {
  const Folder folder;
  write_idx(folder);
  const std::string name = fs::path(folder.path()).filename().string();
  CHECK(read(folder.path()).name == name);
  CHECK(read(folder.path() + "/").name == name);
  CHECK(read(folder.path() + "/../" + name + "/.").name == name);
}

TEST_CASE("CIFAR-10's five files are one training set, colour after colour") {
  const Folder folder;
  write_cifar10(folder);
  folder.write("batches.meta.txt", {'x'});
  const Dataset data = read(folder.path());
  CHECK(data.classes == 8);
  CHECK(data.train.count == 5);
  CHECK(data.train.channels == 3);
  CHECK(data.train.height == 32);
  CHECK(data.train.width == 32);
  CHECK(data.train.labels == Bytes{0, 1, 2, 3, 4});
  REQUIRE(data.train.pixels.size() == 5 * 3072);
  for (std::size_t image = 0; image < 5; ++image) {
    const std::uint8_t* pixels = &data.train.pixels[image * data.train.image_bytes()];
    CHECK(pixels[0] == image + 1);
    CHECK(pixels[1023] == image + 1);
    CHECK(pixels[1024] == 10);
    CHECK(pixels[2047] == 10);
    CHECK(pixels[2048] == 20);
    CHECK(pixels[3071] == 20);
  }
  CHECK(data.test.count == 1);
  CHECK(data.test.labels == Bytes{7});
  CHECK(data.test.pixels[2048] == 50);
}

TEST_CASE("CIFAR-100 counts by its fine labels") {
  const Folder folder;
  Bytes train = cifar_image({3, 99}, 1, 2, 3);
  const Bytes second = cifar_image({19, 0}, 4, 5, 6);
  train.insert(train.end(), second.begin(), second.end());
  folder.write("train.bin", train);
  folder.write_compressed("test.bin.gz", cifar_image({0, 42}, 7, 8, 9));
  const Dataset data = read(folder.path());
  CHECK(data.classes == 100);
  CHECK(data.train.count == 2);
  CHECK(data.train.labels == Bytes{99, 0});
  CHECK(data.train.pixels[3072 + 1024] == 5);
  CHECK(data.test.labels == Bytes{42});
}

TEST_CASE("a folder that cannot be read from says why") {
  const Folder folder;
  CHECK(message_of("fashion_mnits") ==
        "--data: error: 'fashion_mnits' is no folder and no known data set; known: "
        "'fashion_mnist'; did you mean 'fashion_mnist'?");
  CHECK(message_of("") ==
        "--data: error: '' is no folder and no known data set; known: 'fashion_mnist'");
  CHECK(message_of(folder) == "--data: error: the folder '" + folder.path() +
                                  "' holds no data set; looked for train-images-idx3-ubyte (IDX), "
                                  "data_batch_1.bin (CIFAR-10), train.bin (CIFAR-100) and so on");
  write_idx(folder);
  write_cifar10(folder);
  CHECK(message_of(folder) == "--data: error: the folder '" + folder.path() +
                                  "' holds files of IDX and CIFAR-10; keep one of them there");
  Given given;
  given.text = "nowhere";
  given.place = {"experiment.yaml", 4, 9};
  given.key = "train.data";
  CHECK_THROWS_WITH(read_dataset(given),
                    "experiment.yaml:4:9: error: train.data: 'nowhere' is no folder and no known "
                    "data set; known: 'fashion_mnist'");
}

TEST_CASE("all missing and damaged files are named at once") {
  const Folder folder;
  write_idx(folder);
  folder.write(kTrainImages, first(idx({3, 2, 4}, 0), 20));
  folder.remove(kTestLabels);
  fs::create_directory(folder.path(kTestLabels));
  folder.remove(kTestImages);
  CHECK(message_of(folder) ==
        folder.path(kTestImages) + ": error: no such file\n" + folder.path(kTestLabels) +
            ": error: is not a file\n" + folder.path(kTrainImages) +
            ": error: expected 3 images of 2 x 4 (40 bytes), got 20 bytes: the file is cut short");
}

TEST_CASE("an IDX file is exactly as long as its header says") {
  const Folder folder;
  write_idx(folder);
  const Bytes whole = idx({3, 2, 4}, 0);
  const std::string start = folder.path(kTrainImages) + ": error: ";
  const auto message = [&](const Bytes& bytes) {
    folder.write(kTrainImages, bytes);
    return message_of(folder);
  };
  CHECK(message(whole).empty());
  CHECK(message(first(whole, 39)) ==
        start + "expected 3 images of 2 x 4 (40 bytes), got 39 bytes: the file is cut short");
  CHECK(message(first(whole, 16)) ==
        start + "expected 3 images of 2 x 4 (40 bytes), got 16 bytes: the file is cut short");
  CHECK(message(first(whole, 15)) ==
        start + "expected an IDX header of 16 bytes, got 15: the file is cut short");
  CHECK(message({}) == start + "expected an IDX header of 16 bytes, got 0: the file is cut short");
  Bytes longer = whole;
  longer.push_back(0);
  CHECK(message(longer) == start +
                               "expected 3 images of 2 x 4 (40 bytes), got more: the file is "
                               "longer than its header says");
}

TEST_CASE("an IDX file of something else is refused") {
  const Folder folder;
  write_idx(folder);
  folder.write(kTrainImages, idx({3}, 1));
  folder.write(kTestLabels, {'<', 'h', 't', 'm', 'l', '>'});
  CHECK(message_of(folder) == folder.path(kTestLabels) +
                                  ": error: expected an IDX file of labels, which starts with "
                                  "0x00000801, got 0x3c68746d\n" +
                                  folder.path(kTrainImages) +
                                  ": error: expected an IDX file of images, which starts with "
                                  "0x00000803, got 0x00000801");
}

TEST_CASE("a header that promises nothing or too much is refused before anything is read") {
  const Folder folder;
  write_idx(folder);
  const std::string start = folder.path(kTrainImages) + ": error: ";
  const auto message = [&](std::uint32_t count, std::uint32_t height, std::uint32_t width) {
    Bytes header;
    for (const std::uint32_t size : {0x803U, count, height, width}) append_size(header, size);
    folder.write(kTrainImages, header);
    return message_of(folder);
  };
  CHECK(message(0, 2, 4) == start + "the header says 0 images of 2 x 4: there is nothing in it");
  CHECK(message(3, 2, 0) == start + "the header says 3 images of 2 x 0: there is nothing in it");
  CHECK(message(8193, 1024, 1024) ==
        start + "the header says 8193 images of 1024 x 1024, more than 8 GiB");
  CHECK(message(4'294'967'295, 4'294'967'295, 4'294'967'295) ==
        start + "the header says 4294967295 images of 4294967295 x 4294967295, more than 8 GiB");
  // Exactly 8 GiB may be; the file has none of it, and no more memory is taken than it has.
  CHECK(message(8192, 1024, 1024) ==
        start +
            "expected 8192 images of 1024 x 1024 (8589934608 bytes), got 16 bytes: the file is "
            "cut short");
}

TEST_CASE("a damaged compressed file is refused") {
  const Folder folder;
  write_idx(folder);
  const Bytes whole = idx({3, 2, 4}, 0);
  folder.remove(kTrainImages);
  const std::string file = kTrainImages + ".gz";
  const std::string start = folder.path(file) + ": error: ";
  folder.write_compressed(file, whole);
  const Bytes compressed = bytes_of(folder.path(file));
  CHECK(message_of(folder).empty());

  // gzip ends with four bytes of check sum and four of length.
  for (const std::size_t missing : {1U, 8U}) {
    folder.write(file, first(compressed, compressed.size() - missing));
    CHECK(message_of(folder) ==
          start + "holds 3 images of 2 x 4, but ends before its check sum: the file is cut short");
  }
  folder.write(file, first(compressed, 12));
  CHECK(message_of(folder).starts_with(start + "expected an IDX header of 16 bytes uncompressed"));

  Bytes changed = compressed;
  changed[changed.size() - 8] ^= 1U;
  folder.write(file, changed);
  CHECK(message_of(folder) == start + "cannot be read: incorrect data check");

  folder.write_compressed(file, first(whole, 30));
  CHECK(message_of(folder) == start +
                                  "expected 3 images of 2 x 4 (40 bytes uncompressed), got 30 "
                                  "bytes: the file is cut short");
}

TEST_CASE("images and labels are as many, and all images of one size") {
  const Folder folder;
  write_idx(folder);
  folder.write(kTrainLabels, idx({2}, 1));
  folder.write(kTestImages, idx({2, 4, 2}, 0));
  CHECK(message_of(folder) ==
        folder.path(kTestImages) +
            ": error: expected images of 2 x 4 as in the training set, got 4 x 2\n" +
            folder.path(kTrainLabels) +
            ": error: expected 3 labels, one for each image of train-images-idx3-ubyte, got 2");
}

TEST_CASE("CIFAR's files hold whole images with labels that exist") {
  const Folder folder;
  write_cifar10(folder);
  const Bytes image = cifar_image({7}, 0, 0, 0);
  folder.write("data_batch_2.bin", first(image, 3072));
  folder.write("data_batch_3.bin", {});
  folder.write("data_batch_4.bin", cifar_image({10}, 0, 0, 0));
  folder.remove("data_batch_5.bin");
  const std::string expected = ": error: expected images of 3073 bytes each, got ";
  const std::string end = " bytes: the file is cut short or of another format\n";
  CHECK(message_of(folder) == folder.path("data_batch_2.bin") + expected + "3072" + end +
                                  folder.path("data_batch_3.bin") + expected + "0" + end +
                                  folder.path("data_batch_4.bin") +
                                  ": error: image 0 has label 10, expected 0..9\n" +
                                  folder.path("data_batch_5.bin") + ": error: no such file");
}

TEST_CASE("CIFAR-100's two labels have their own ranges") {
  const Folder folder;
  folder.write("train.bin", cifar_image({20, 0}, 0, 0, 0));
  folder.write("test.bin", cifar_image({19, 100}, 0, 0, 0));
  CHECK(message_of(folder) ==
        folder.path("test.bin") + ": error: image 0 has fine label 100, expected 0..99\n" +
            folder.path("train.bin") + ": error: image 0 has coarse label 20, expected 0..19");
}
