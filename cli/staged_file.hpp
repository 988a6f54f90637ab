// A file that appears complete or not at all: it is written under another name beside its target
// and takes the target's name when commit() is called. Whether the target can be written is known
// from the start. A process that is killed leaves the target as it was, and the other file behind.
//
// A target that is no regular file (a pipe, /dev/null) is written directly.
#pragma once

#include <string>
#include <string_view>

#include "models/base/error.hpp"

namespace widthwise {

class StagedFile {
 public:
  /// Creates the temporary file, whose name ends as the target's does. Throws InputError at
  /// `place` if that is impossible or if the target cannot be replaced.
  StagedFile(std::string target, SourcePlace place, std::string key);
  ~StagedFile();
  StagedFile(StagedFile&& other) noexcept;
  StagedFile& operator=(StagedFile&& other) noexcept;
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;

  /// Where to write until commit().
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& target() const { return target_; }

  /// Replaces the content. Throws InputError (disk full).
  void write(std::string_view content) const;

  /// Makes the content durable and gives it the target's name. Throws InputError.
  void commit();

 private:
  [[noreturn]] void fail(const std::string& what, int error) const;

  std::string target_;
  std::string path_;
  SourcePlace place_;
  std::string key_;
  bool is_temporary_ = false;
};

}  // namespace widthwise
