// `widthwise run`: the cost of a network on an accelerator.
#pragma once

#include "cli/run_request.hpp"
#include "models/cost/cost_report.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/hardware/energy_table.hpp"
#include "models/network/network.hpp"
#include "models/network/onnx_weights.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

/// A request whose files are read and fit together.
struct PreparedRun {
  Accelerator accelerator;
  EnergyTable energy;
  Network network;
  Assignment assignment;
  WidthPlan widths;
  Fidelity fidelity = Fidelity::tile;
  std::int64_t batch = 1;  // inputs of the network that are worked on together
  // Of the fidelity `cycle`:
  std::uint64_t seed = 1;
  bool signed_weights = true, signed_activations = true;
  std::optional<OnnxWeights> weights;  // the network's own; else random ones
};

/// Throws InputError with the mistakes of all files.
PreparedRun prepare_run(const RunRequest& request);

/// Runs, writes the files asked for and, unless quiet, prints the report. Throws InputError before
/// anything is simulated; returns an exit code.
int run_command(const RunRequest& request, bool quiet);

}  // namespace widthwise
