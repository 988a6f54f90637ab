// `widthwise table`: what every layer of a network costs on an accelerator at every width; and the
// cost of a network by such a table, `widthwise run --table`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/run_request.hpp"

namespace widthwise {

/// What `table` is asked for.
struct TableCommand {
  RunRequest run;                                     // accelerator, network, fidelity
  std::optional<Given> weight_bits, activation_bits;  // "2,4,8" or "1..8"
  std::optional<Given> channel_steps;
  std::optional<Given> jobs;
  std::optional<Given> time_limit;  // seconds
  std::optional<Given> cache;       // folder
  std::vector<Given> outputs;       // .csv or .json
  bool stored = false;
  bool no_cache = false;
  bool quiet = false;
};

/// Makes the table, writes the files asked for and, unless quiet, prints what the network costs at
/// uniform widths. Throws InputError before anything is computed. Returns an exit code: kOurBug if
/// points failed, which are then named on standard error and absent from the files.
int table_command(const TableCommand& command);

/// The network's cost under its assignment, by the table that the request names.
int run_by_table(const RunRequest& request, bool quiet);

}  // namespace widthwise
