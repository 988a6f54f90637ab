// The files of a command: staged before it starts, all written before the first takes its name.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>

#include "cli/staged_file.hpp"
#include "models/base/error.hpp"
#include "models/config/shipped_data.hpp"

namespace widthwise {

class OutputFiles {
 public:
  /// Mistakes are added to `problems`, which outlives this.
  explicit OutputFiles(Diagnostics& problems) : problems_(problems) {}

  /// Nothing if none was given or it can not be written. The reference stays valid.
  std::optional<StagedFile>& stage(const std::optional<Given>& given);

  /// Gives all files their names. Throws InputError.
  void commit();

 private:
  Diagnostics& problems_;
  std::deque<std::optional<StagedFile>> files_;
  std::set<std::string> targets_;
};

}  // namespace widthwise
