#include "cli/training_folder.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

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

TrainingFolder::TrainingFolder(const Given& folder) : lock_(folder, "trains") {}

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
