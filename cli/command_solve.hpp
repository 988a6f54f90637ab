// `widthwise solve`: a bit-width problem, with its proof.
#pragma once

#include <optional>
#include <string>

#include "models/config/shipped_data.hpp"
#include "search/solver.hpp"

namespace widthwise {

struct SolveCommand {
  Given problem;
  std::optional<Given> json;
  std::optional<Given> report;      // page
  std::optional<Given> assignment;  // file for --bits
  std::optional<Given> csv;         // the front
  std::optional<Given> gap;         // relative
  std::optional<Given> time_limit;  // seconds
  std::optional<Given> front;       // number of points
  std::optional<Given> front_cost;  // of the front; without: the first budget's, else the first
  bool baselines = false;
  bool quiet = false;
};

/// Adds to `problems` what is wrong with the two.
SolveOptions read_solve_options(const std::optional<Given>& gap,
                                const std::optional<Given>& time_limit, Diagnostics& problems);

/// Returns an exit code: kInfeasible if there is no answer. Throws InputError before solving.
int solve_command(const SolveCommand& command);

}  // namespace widthwise
