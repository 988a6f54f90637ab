// `widthwise diff`: why two runs differ, layer by layer.
#pragma once

#include <optional>
#include <string>

#include "models/config/shipped_data.hpp"

namespace widthwise {

struct DiffCommand {
  std::string a, b;  // reports that `run --json` wrote
  std::optional<Given> json;
  std::optional<Given> report;  // page
  bool quiet = false;
};

/// Compares, writes the files asked for and, unless quiet, prints. Throws InputError with the
/// mistakes of both reports and of the options; returns an exit code, kDone also for runs that
/// differ.
int diff_command(const DiffCommand& command);

}  // namespace widthwise
