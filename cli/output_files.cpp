#include "cli/output_files.hpp"

#include <filesystem>
#include <system_error>

#include <fmt/format.h>

namespace widthwise {

std::optional<StagedFile>& OutputFiles::stage(const std::optional<Given>& given) {
  std::optional<StagedFile>& file = files_.emplace_back();
  if (!given) {
    return file;
  }
  try {
    file.emplace(given->text, given->place, given->key);
  } catch (const InputError& error) {
    problems_.append(error.diagnostics());
    return file;
  }
  std::error_code ignored;
  const std::string target =
      std::filesystem::weakly_canonical(std::filesystem::absolute(given->text, ignored), ignored)
          .string();
  // A target that is written directly (a pipe) may be named twice.
  if (file->path() != file->target() && !targets_.insert(target).second) {
    problems_.error(given->place, given->key,
                    fmt::format("'{}' is written by another option already", given->text));
  }
  return file;
}

void OutputFiles::commit() {
  for (auto& file : files_) {
    if (file) {
      file->commit();
    }
  }
}

}  // namespace widthwise
