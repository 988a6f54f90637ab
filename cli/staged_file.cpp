#include "cli/staged_file.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace widthwise {

namespace fs = std::filesystem;

namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

/// The permissions of the file that is replaced, else those that a new file gets.
mode_t wanted_mode(const std::string& target) {
  struct stat status {};
  if (::stat(target.c_str(), &status) == 0) {
    return status.st_mode & 07777U;
  }
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666U & ~mask;
}

}  // namespace

StagedFile::StagedFile(std::string target, SourcePlace place, std::string key)
    : target_(std::move(target)), place_(std::move(place)), key_(std::move(key)) {
  if (target_.empty()) {
    throw InputError(place_, key_, "expected the path of a file, got ''");
  }
  std::error_code ignored;
  const fs::file_status status = fs::status(target_, ignored);
  if (fs::is_directory(status)) {
    fail("cannot write", EISDIR);
  }
  if (fs::exists(status) && ::access(target_.c_str(), W_OK) != 0) {
    fail("cannot write", errno);
  }
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    path_ = target_;
    return;
  }
  // A link stays a link: what it points to is replaced.
  fs::path real(target_);
  if (fs::is_symlink(fs::symlink_status(target_, ignored))) {
    real = fs::weakly_canonical(target_, ignored);
  }
  const std::string extension = real.extension().string();
  path_ = (real.parent_path() / (fmt::format(".{}.XXXXXX{}", real.filename().string(), extension)))
              .string();
  const Descriptor file(::mkstemps(path_.data(), static_cast<int>(extension.size())));
  if (file.get() < 0) {
    fail("cannot write", errno);
  }
  is_temporary_ = true;
  target_ = real.string();
  if (::fchmod(file.get(), wanted_mode(target_)) != 0) {
    const int error = errno;
    ::unlink(path_.c_str());
    fail("cannot write", error);
  }
}

StagedFile::~StagedFile() {
  if (is_temporary_) {
    ::unlink(path_.c_str());
  }
}

StagedFile::StagedFile(StagedFile&& other) noexcept
    : target_(std::move(other.target_)),
      path_(std::move(other.path_)),
      place_(std::move(other.place_)),
      key_(std::move(other.key_)),
      is_temporary_(std::exchange(other.is_temporary_, false)) {}

StagedFile& StagedFile::operator=(StagedFile&& other) noexcept {
  std::swap(target_, other.target_);
  std::swap(path_, other.path_);
  std::swap(place_, other.place_);
  std::swap(key_, other.key_);
  std::swap(is_temporary_, other.is_temporary_);
  return *this;
}

void StagedFile::write(std::string_view content) const {
  const Descriptor file(::open(path_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (file.get() < 0) {
    fail("cannot write", errno);
  }
  while (!content.empty()) {
    const ssize_t written = ::write(file.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      fail("cannot write", errno);
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

void StagedFile::commit() {
  if (!is_temporary_) {
    return;
  }
  {
    const Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0 || ::fsync(file.get()) != 0) {
      fail("cannot write", errno);
    }
  }
  if (::rename(path_.c_str(), target_.c_str()) != 0) {
    fail("cannot write", errno);
  }
  is_temporary_ = false;
}

void StagedFile::fail(const std::string& what, int error) const {
  throw InputError(
      place_, key_,
      fmt::format("{} '{}': {}", what, target_, std::generic_category().message(error)));
}

}  // namespace widthwise
