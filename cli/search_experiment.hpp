// The `search` section of an experiment file: which widths are looked for, under which budgets, by
// which losses. See docs/file_formats.md.
#pragma once

#include <optional>
#include <string>

#include "cli/run_request.hpp"
#include "search/network_search.hpp"
#include "search/sensitivity.hpp"

namespace widthwise {

struct SearchExperiment {
  RunRequest run;  // accelerator, network; its fidelity is that of the costs
  SearchRequest request;
  SensitivityRequest sensitivity;
  std::optional<Given> sensitivity_file;  // as it stands, for looking it up
  std::optional<Given> front_cost;
  std::optional<Given> front_points;
};

/// Throws InputError with all mistakes of the file. Metrics and layers are checked later.
SearchExperiment read_search_experiment(const std::string& path);

}  // namespace widthwise
