#include "cli/training_folder.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/staged_file.hpp"

namespace widthwise {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kKeyDigits = 12;

std::string slug(const std::string& label) {
  std::string text;
  for (const char c : label) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte < 128 && std::isalnum(byte) != 0 ? c : '-';
  }
  return text;
}

bool is_there(const std::string& file) {
  std::error_code ignored;
  return fs::exists(file, ignored);
}

void remove(const std::string& file) {
  std::error_code failed;
  fs::remove(file, failed);
  if (failed) {
    throw InputError({file}, "", "cannot be removed: " + failed.message());
  }
}

}  // namespace

bool TrainingFiles::is_finished() const { return is_there(result); }
bool TrainingFiles::is_begun() const { return !is_finished() && is_there(checkpoint); }

TrainingFiles training_files(const std::string& folder, const std::string& label,
                             const std::string& key) {
  const std::string stem =
      (fs::path(folder) / (slug(label) + "-" + key.substr(0, kKeyDigits))).string();
  return {label, key, stem + ".json", stem + ".checkpoint"};
}

TrainingFolder::TrainingFolder(const Given& folder) : folder_(folder) {
  const auto refuse = [&](const std::string& message) {
    throw InputError(folder_.place, folder_.key, message);
  };
  if (folder_.text.empty()) {
    refuse("expected the path of a folder, got ''");
  }
  std::error_code failed;
  fs::create_directories(folder_.text, failed);
  if (failed) {
    refuse(fmt::format("'{}' cannot be made: {}", folder_.text, failed.message()));
  }
  const std::string file = (fs::path(folder_.text) / ".lock").string();
  lock_ = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666);
  if (lock_ < 0) {
    refuse(fmt::format("cannot write to '{}': {}", folder_.text, std::strerror(errno)));
  }
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(lock_);
    lock_ = -1;
    refuse(error == EWOULDBLOCK ? fmt::format("another process trains in '{}'", folder_.text)
                                : fmt::format("cannot lock '{}': {}", file, std::strerror(error)));
  }
}

TrainingFolder::~TrainingFolder() {
  if (lock_ >= 0) {
    ::close(lock_);  // the file stays: one that is removed could be locked twice
  }
}

void TrainingFolder::prepare(std::span<const TrainingFiles> trainings, Mode mode) {
  Diagnostics problems;
  for (const TrainingFiles& training : trainings) {
    if (mode == Mode::begin && training.is_begun()) {
      problems.error({training.checkpoint}, "",
                     fmt::format("the training '{}' was begun and not finished; --resume goes on "
                                 "with it, --fresh starts again",
                                 training.label));
    }
  }
  problems.throw_if_any();
  for (const TrainingFiles& training : trainings) {
    if (mode == Mode::fresh) {
      remove(training.result);
    }
    if (mode == Mode::fresh || training.is_finished()) {
      remove(training.checkpoint);
    }
  }
}

TrainResult TrainingFolder::read(const TrainingFiles& training) {
  try {
    TrainResult result = read_result(training.result);
    if (result.key != training.key) {
      throw InputError({training.result}, "key",
                       fmt::format("expected '{}', got '{}'", training.key, result.key));
    }
    return result;
  } catch (const InputError& error) {
    std::vector<Diagnostic> problems = error.diagnostics();
    problems.back().message += "; --fresh trains again";
    throw InputError(std::move(problems));
  }
}

void TrainingFolder::finish(const TrainingFiles& training, const TrainResult& result) {
  StagedFile file(training.result, {training.result}, "");
  file.write(result_json(result));
  file.commit();
  remove(training.checkpoint);
}

}  // namespace widthwise
