// `widthwise sweep`: the machines of a design space, each at fixed widths or at those that suit it
// best, and their fronts.
//
// The folder that is given holds points.sqlite while it runs; at the end points.csv, sweep.json, a
// front-<n>.csv per front, and in front/ an experiment for every machine on one.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cli/run_request.hpp"
#include "sweep/sweep.hpp"

namespace CLI {
class App;
}

namespace widthwise {

struct SweepWords {
  std::string space, folder, jobs, time_limit, report;
  bool resume = false, fresh = false, no_cache = false, quiet = false;
};

/// The options of `widthwise sweep`.
void add_sweep_options(CLI::App& command, SweepWords& words);

struct SweepCommand {
  Given space;
  std::optional<Given> folder, jobs, time_limit, report;
  bool resume = false;    // go on where it was interrupted
  bool fresh = false;     // from the start, whatever is there
  bool no_cache = false;  // of simulated costs
  bool quiet = false;
};

SweepCommand sweep_command_of(const CLI::App& command, const SweepWords& words);

/// What evaluates the cells; by default worker processes (run_local).
using MakeRunCells = std::function<RunCells(const Evaluator&, const LocalOptions&)>;

/// Returns an exit code: 3 if no machine has figures, 2 after it said that results can not be kept.
/// Throws InputError before anything is evaluated.
int sweep_command(const SweepCommand& command, const MakeRunCells& make_run_cells = run_local);

/// What a process does that only evaluates for another: reads as sweep_command does, keeps nothing.
void serve_sweep(const SweepCommand& command,
                 const std::function<void(const Evaluator&, const LocalOptions&)>& serve);

/// Reads the space and all that it names, as the first part of sweep_command does.
void check_space(const std::string& path);

}  // namespace widthwise
