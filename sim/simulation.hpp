// The `tile` and `cycle` fidelities: a SystemC model of the accelerator with transactions per tile,
// and the same with an array that is stepped every cycle on integers.
//
// One call elaborates one machine and runs the layers of a network on it, one after the other.
// SystemC allows one elaboration per process: call it once per process.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "models/cost/cost_report.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/hardware/energy_table.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"
#include "sim/cycle/layer_computation.hpp"

namespace widthwise {

struct SimulationOptions {
  bool step_cycles = false;      // the `cycle` fidelity
  sim::OperandOptions operands;  // of the `cycle` fidelity
  std::string trace_path;        // timeline in Chrome trace format; empty: none
  std::string vcd_path;  // waveforms (".vcd" is appended by SystemC if missing); empty: none
  std::function<void(std::size_t done, std::size_t total, const std::string& layer)> progress;
};

/// Throws InputError as analytic_cost does; in the `cycle` fidelity InternalError if an output of
/// the array is not what plain arithmetic comes to.
CostReport simulate(const Network& network, const WidthPlan& widths, const Accelerator& accelerator,
                    const EnergyTable& energy, const SimulationOptions& options = {});

}  // namespace widthwise
