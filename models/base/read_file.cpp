#include "models/base/read_file.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "models/base/error.hpp"

namespace widthwise {

std::string read_file(const std::string& path, std::size_t most_mebibytes) {
  const SourcePlace place{path, 0, 0};
  std::error_code status_error;
  const auto status = std::filesystem::status(path, status_error);
  if (!std::filesystem::exists(status)) {
    throw InputError(place, "", "no such file");
  }
  if (std::filesystem::is_directory(status)) {
    throw InputError(place, "", "is a directory, not a file");
  }
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    throw InputError(place, "", "cannot be opened: " + std::generic_category().message(errno));
  }
  std::string text;
  std::vector<char> block(std::size_t{1} << 16U);
  while (stream) {
    stream.read(block.data(), static_cast<std::streamsize>(block.size()));
    text.append(block.data(), static_cast<std::size_t>(stream.gcount()));
    if (text.size() > most_mebibytes << 20U) {
      throw InputError(place, "", "larger than " + std::to_string(most_mebibytes) + " MiB");
    }
  }
  if (stream.bad()) {
    throw InputError(place, "", "cannot be read");
  }
  return text;
}

}  // namespace widthwise
