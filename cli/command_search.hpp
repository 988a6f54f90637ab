// `widthwise search`: the best widths of a network on an accelerator under budgets, with a proof
// and confirmed by simulation.
#pragma once

#include <optional>
#include <string>

#include "cli/search_experiment.hpp"

namespace widthwise {

struct SearchCommand {
  SearchExperiment experiment;  // options of the command line have been put into it
  std::optional<Given> json;
  std::optional<Given> report;
  std::optional<Given> assignment;
  std::optional<Given> csv;  // the front
  std::optional<Given> gap;
  std::optional<Given> time_limit;
  std::optional<Given> jobs;
  std::optional<Given> losses;  // write the losses as a table
  bool no_cache = false;
  bool quiet = false;
};

/// Returns an exit code: kInfeasible if there is no answer. Throws InputError.
int search_command(SearchCommand command);

}  // namespace widthwise
