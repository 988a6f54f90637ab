#include "train/dataset.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <zlib.h>

#include "models/base/error.hpp"
#include "models/base/text.hpp"

namespace widthwise {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFashionMnist = "fashion_mnist";
constexpr std::string_view kFashionMnistFolder = "/usr/share/datasets/fashion-mnist";

/// A file that holds more, or says so, is taken for a mistake.
constexpr std::size_t kMostBytes = std::size_t{8} << 30U;

// Files.

/// The bytes of a file one after the other, decompressed if it is gzip's. Mistakes are thrown as
/// InputError at its path.
class ByteReader {
 public:
  explicit ByteReader(const std::string& path) : path_(path) {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) fail("no such file");
    if (!fs::is_regular_file(path, ignored)) fail("is not a file");
    errno = 0;
    file_.reset(gzopen(path.c_str(), "rb"));
    if (!file_) fail("cannot be opened: " + std::generic_category().message(errno));
    gzbuffer(file_.get(), 1U << 18U);
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw InputError({path_}, "", message);
  }

  /// Appends as many bytes as there are, at most `most`; grows with what it finds, not with what is
  /// asked for. Returns how many.
  std::size_t read(std::size_t most, std::vector<std::uint8_t>& bytes) {
    constexpr std::size_t kBlock = std::size_t{1} << 20U;
    const std::size_t start = bytes.size();
    while (bytes.size() - start < most) {
      const std::size_t at = bytes.size();
      const std::size_t wanted = std::min(kBlock, most - (at - start));
      bytes.resize(at + wanted);
      const int got = gzread(file_.get(), bytes.data() + at, static_cast<unsigned>(wanted));
      if (got < 0) {
        int code = 0;
        std::string_view message = gzerror(file_.get(), &code);  // "path: message"
        if (message.starts_with(path_ + ": ")) message.remove_prefix(path_.size() + 2);
        fail(fmt::format("cannot be read: {}", message));
      }
      bytes.resize(at + static_cast<std::size_t>(got));
      if (static_cast<std::size_t>(got) < wanted) break;
    }
    return bytes.size() - start;
  }

  /// True if nothing is left; reads on to the check sum of a compressed file.
  bool is_at_end() {
    std::vector<std::uint8_t> next;
    return read(1, next) == 0;
  }

  /// True if a compressed file ended before its compressed data did.
  bool is_cut_short() {
    int code = 0;
    gzerror(file_.get(), &code);
    return code == Z_BUF_ERROR;
  }

  /// "16 bytes", which of a compressed file are not the bytes on the disk.
  std::string bytes_text(std::uint64_t bytes) {
    return fmt::format("{} bytes{}", bytes, gzdirect(file_.get()) != 0 ? "" : " uncompressed");
  }

 private:
  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };

  std::string path_;
  std::unique_ptr<std::remove_pointer_t<gzFile>, Close> file_;
};

// IDX.

std::uint32_t big_endian(std::span<const std::uint8_t> bytes) {
  std::uint32_t value = 0;
  for (const std::uint8_t byte : bytes.first(4)) value = value << 8U | byte;
  return value;
}

struct IdxFile {
  std::vector<std::uint32_t> sizes;
  std::vector<std::uint8_t> values;
};

/// An IDX file of bytes with so many axes; `describe` says what its sizes promise, such as "60000
/// labels".
template <class Describe>
IdxFile read_idx(const std::string& path, std::size_t axes, std::string_view content,
                 Describe describe) {
  ByteReader reader(path);
  std::vector<std::uint8_t> header;
  const std::size_t header_bytes = 4 * (1 + axes);
  const std::size_t got = reader.read(header_bytes, header);
  const std::uint32_t magic = 0x800U + static_cast<std::uint32_t>(axes);
  if (got >= 4 && big_endian(header) != magic) {
    reader.fail(fmt::format("expected an IDX file of {}, which starts with 0x{:08x}, got 0x{:08x}",
                            content, magic, big_endian(header)));
  }
  if (got < header_bytes) {
    reader.fail(fmt::format("expected an IDX header of {}, got {}: the file is cut short",
                            reader.bytes_text(header_bytes), got));
  }
  IdxFile file;
  std::uint64_t bytes = 1;
  bool is_absurd = false;
  for (std::size_t axis = 0; axis < axes; ++axis) {
    const std::uint32_t size = big_endian(std::span(header).subspan(4 * (1 + axis)));
    file.sizes.push_back(size);
    is_absurd = is_absurd || __builtin_mul_overflow(bytes, size, &bytes);
  }
  const std::string promise = describe(file.sizes);
  if (std::count(file.sizes.begin(), file.sizes.end(), 0U) > 0) {
    reader.fail("the header says " + promise + ": there is nothing in it");
  }
  if (is_absurd || bytes > kMostBytes) {
    reader.fail("the header says " + promise + ", more than 8 GiB");
  }
  const std::size_t held = reader.read(bytes, file.values);
  if (held < bytes) {
    reader.fail(fmt::format("expected {} ({}), got {} bytes: the file is cut short", promise,
                            reader.bytes_text(header_bytes + bytes), header_bytes + held));
  }
  if (!reader.is_at_end()) {
    reader.fail(fmt::format("expected {} ({}), got more: the file is longer than its header says",
                            promise, reader.bytes_text(header_bytes + bytes)));
  }
  if (reader.is_cut_short()) {
    reader.fail(
        fmt::format("holds {}, but ends before its check sum: the file is cut short", promise));
  }
  return file;
}

IdxFile read_idx_images(const std::string& path) {
  return read_idx(path, 3, "images", [](const std::vector<std::uint32_t>& sizes) {
    return fmt::format("{} images of {} x {}", sizes[0], sizes[1], sizes[2]);
  });
}

IdxFile read_idx_labels(const std::string& path) {
  return read_idx(path, 1, "labels", [](const std::vector<std::uint32_t>& sizes) {
    return fmt::format("{} labels", sizes[0]);
  });
}

// What folders hold.

/// A data set as files in a folder: which, and how a set of images is read from some of them. The
/// files of `train` and `test` are in the order in which `read` takes them.
struct Format {
  std::string_view name;
  std::vector<std::string> train, test;
  void (*read)(const std::vector<std::string>& paths, ImageSet& set, Diagnostics& problems);
};

/// Does something with a file, noting its mistakes.
template <class Work>
bool attempt(Diagnostics& problems, Work work) {
  try {
    work();
    return true;
  } catch (const InputError& error) {
    problems.append(error.diagnostics());
    return false;
  }
}

void read_idx_set(const std::vector<std::string>& paths, ImageSet& set, Diagnostics& problems) {
  IdxFile images;
  IdxFile labels;
  const bool has_images = attempt(problems, [&] { images = read_idx_images(paths[0]); });
  const bool has_labels = attempt(problems, [&] { labels = read_idx_labels(paths[1]); });
  if (!has_images || !has_labels) return;
  if (images.sizes[0] != labels.sizes[0]) {
    problems.error(
        {paths[1]}, "",
        fmt::format("expected {} labels, one for each image of {}, got {}", images.sizes[0],
                    fs::path(paths[0]).filename().string(), labels.sizes[0]));
  }
  set.count = images.sizes[0];
  set.height = images.sizes[1];
  set.width = images.sizes[2];
  set.pixels = std::move(images.values);
  set.labels = std::move(labels.values);
}

/// Images of CIFAR with these labels before each, the one that counts last: what they are called,
/// and how many there are of each.
struct CifarLabel {
  std::string_view name;
  std::uint8_t classes;
};

void read_cifar_file(const std::string& path, std::span<const CifarLabel> label_kinds,
                     ImageSet& set) {
  ByteReader reader(path);
  std::vector<std::uint8_t> bytes;
  reader.read(kMostBytes, bytes);
  const std::size_t record = label_kinds.size() + set.image_bytes();
  if (bytes.size() == kMostBytes) reader.fail("larger than 8 GiB");
  if (bytes.empty() || bytes.size() % record != 0 || reader.is_cut_short()) {
    reader.fail(
        fmt::format("expected images of {} bytes each, got {}: the file is cut short or of "
                    "another format",
                    record, reader.bytes_text(bytes.size())));
  }
  const std::size_t count = bytes.size() / record;
  set.pixels.reserve(set.pixels.size() + count * set.image_bytes());
  for (std::size_t image = 0; image < count; ++image) {
    const std::span<const std::uint8_t> one = std::span(bytes).subspan(image * record, record);
    for (std::size_t i = 0; i < label_kinds.size(); ++i) {
      if (one[i] >= label_kinds[i].classes) {
        reader.fail(fmt::format("image {} has {} {}, expected 0..{}", image, label_kinds[i].name,
                                one[i], label_kinds[i].classes - 1));
      }
    }
    set.labels.push_back(one[label_kinds.size() - 1]);
    const std::span<const std::uint8_t> pixels = one.subspan(label_kinds.size());
    set.pixels.insert(set.pixels.end(), pixels.begin(), pixels.end());
  }
  set.count += count;
}

void read_cifar_set(const std::vector<std::string>& paths, std::span<const CifarLabel> label_kinds,
                    ImageSet& set, Diagnostics& problems) {
  set.channels = 3;
  set.height = set.width = 32;
  for (const std::string& path : paths) {
    attempt(problems, [&] { read_cifar_file(path, label_kinds, set); });
  }
}

void read_cifar10_set(const std::vector<std::string>& paths, ImageSet& set, Diagnostics& problems) {
  constexpr std::array<CifarLabel, 1> kLabels = {{{"label", 10}}};
  read_cifar_set(paths, kLabels, set, problems);
}

void read_cifar100_set(const std::vector<std::string>& paths, ImageSet& set,
                       Diagnostics& problems) {
  constexpr std::array<CifarLabel, 2> kLabels = {{{"coarse label", 20}, {"fine label", 100}}};
  read_cifar_set(paths, kLabels, set, problems);
}

const std::vector<Format>& formats() {
  static const std::vector<Format> all = {
      {"IDX",
       {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
       {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
       read_idx_set},
      {"CIFAR-10",
       {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
        "data_batch_5.bin"},
       {"test_batch.bin"},
       read_cifar10_set},
      {"CIFAR-100", {"train.bin"}, {"test.bin"}, read_cifar100_set},
  };
  return all;
}

/// The file or, where only that exists, the file with ".gz".
std::string path_in(const fs::path& folder, const std::string& file) {
  std::error_code ignored;
  const fs::path plain = folder / file;
  const fs::path compressed = folder / (file + ".gz");
  return (!fs::exists(plain, ignored) && fs::exists(compressed, ignored) ? compressed : plain)
      .string();
}

std::vector<std::string> paths_in(const fs::path& folder, const std::vector<std::string>& files) {
  std::vector<std::string> paths;
  for (const std::string& file : files) paths.push_back(path_in(folder, file));
  return paths;
}

bool has_file_of(const fs::path& folder, const Format& format) {
  const auto exists = [&](const std::string& file) {
    std::error_code ignored;
    return fs::exists(path_in(folder, file), ignored);
  };
  return std::any_of(format.train.begin(), format.train.end(), exists) ||
         std::any_of(format.test.begin(), format.test.end(), exists);
}

/// The format of which the folder holds any file.
const Format& format_of(const Given& given, const fs::path& folder) {
  std::vector<const Format*> found;
  for (const Format& format : formats()) {
    if (has_file_of(folder, format)) found.push_back(&format);
  }
  if (found.size() == 1) return *found.front();
  if (found.empty()) {
    std::string expected;
    for (const Format& format : formats()) {
      expected +=
          fmt::format("{}{} ({})", expected.empty() ? "" : ", ", format.train.front(), format.name);
    }
    throw InputError(given.place, given.key,
                     fmt::format("the folder '{}' holds no data set; looked for {} and so on",
                                 folder.string(), expected));
  }
  throw InputError(given.place, given.key,
                   fmt::format("the folder '{}' holds files of {} and {}; keep one of them there",
                               folder.string(), found[0]->name, found[1]->name));
}

fs::path folder_of(const Given& given) {
  std::error_code ignored;
  if (given.text == kFashionMnist) {
    if (!fs::is_directory(kFashionMnistFolder, ignored)) {
      throw InputError(given.place, given.key,
                       fmt::format("{} is not there: install Debian's package "
                                   "dataset-fashion-mnist, or give a folder with its files",
                                   kFashionMnistFolder));
    }
    return kFashionMnistFolder;
  }
  if (!fs::is_directory(given.text, ignored)) {
    const std::vector<std::string> known = {std::string(kFashionMnist)};
    throw InputError(given.place, given.key,
                     fmt::format("'{}' is no folder and no known data set; known: {}{}", given.text,
                                 quoted_list(known), suggestion(given.text, known)));
  }
  return given.text;
}

/// The last part of the folder's path.
std::string name_of(const fs::path& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

std::string size_text(const ImageSet& set) { return fmt::format("{} x {}", set.height, set.width); }

}  // namespace

Dataset read_dataset(const Given& given) {
  const fs::path folder = folder_of(given);
  const Format& format = format_of(given, folder);
  Dataset data;
  data.name = given.text == kFashionMnist ? given.text : name_of(folder);
  Diagnostics problems;
  const std::vector<std::string> test = paths_in(folder, format.test);
  format.read(paths_in(folder, format.train), data.train, problems);
  format.read(test, data.test, problems);
  if (data.train.count > 0 && data.test.count > 0 &&
      size_text(data.train) != size_text(data.test)) {
    problems.error({test.front()}, "",
                   fmt::format("expected images of {} as in the training set, got {}",
                               size_text(data.train), size_text(data.test)));
  }
  problems.throw_if_any();
  const auto greatest = [](const ImageSet& set) {
    return *std::max_element(set.labels.begin(), set.labels.end());
  };
  data.classes = std::size_t{1} + std::max(greatest(data.train), greatest(data.test));
  return data;
}

}  // namespace widthwise
