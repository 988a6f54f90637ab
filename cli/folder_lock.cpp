#include "cli/folder_lock.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace widthwise {

namespace fs = std::filesystem;

FolderLock::FolderLock(const Given& folder, const std::string& works) {
  const auto refuse = [&](const std::string& message) {
    throw InputError(folder.place, folder.key, message);
  };
  if (folder.text.empty()) {
    refuse("expected the path of a folder, got ''");
  }
  std::error_code failed;
  fs::create_directories(folder.text, failed);
  if (failed) {
    refuse(fmt::format("'{}' cannot be made: {}", folder.text, failed.message()));
  }
  const std::string file = (fs::path(folder.text) / ".lock").string();
  file_ = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666);
  if (file_ < 0) {
    refuse(fmt::format("cannot write to '{}': {}", folder.text, std::strerror(errno)));
  }
  // Workers of a process that was killed end a moment after it, and hold its lock until then.
  constexpr int kTries = 20;
  constexpr std::chrono::milliseconds kBetween{50};
  int failed_to_lock = ::flock(file_, LOCK_EX | LOCK_NB);
  for (int i = 0; i < kTries && failed_to_lock != 0 && errno == EWOULDBLOCK; ++i) {
    std::this_thread::sleep_for(kBetween);
    failed_to_lock = ::flock(file_, LOCK_EX | LOCK_NB);
  }
  if (failed_to_lock != 0) {
    const int error = errno;
    ::close(file_);
    file_ = -1;
    refuse(error == EWOULDBLOCK ? fmt::format("another process {} in '{}'", works, folder.text)
                                : fmt::format("cannot lock '{}': {}", file, std::strerror(error)));
  }
}

FolderLock::~FolderLock() {
  if (file_ >= 0) {
    ::close(file_);  // the file stays: one that is removed could be locked twice
  }
}

}  // namespace widthwise
