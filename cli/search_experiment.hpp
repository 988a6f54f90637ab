// The `search` section of an experiment file: which widths are looked for, under which budgets, by
// which losses. See docs/file_formats.md.
#pragma once

#include <optional>
#include <string>

#include "cli/run_request.hpp"
#include "models/config/yaml_reader.hpp"
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

/// Reads the section; its mistakes go to its problems. Files are looked for beside the one at
/// `path` first.
void read_search_section(MapReader& section, const std::string& path, SearchExperiment& experiment);

/// Reads a section `sensitivity`, likewise; `file` as it stands, for looking it up.
void read_sensitivity(MapReader& section, const std::string& path, SensitivityRequest& request,
                      std::optional<Given>& file);

/// Throws InputError with all mistakes of the file. Metrics and layers are checked later.
SearchExperiment read_search_experiment(const std::string& path);

}  // namespace widthwise
