// How long a whole table takes: every layer of a network at every pair of widths from 1 to 8 bits,
// in as many worker processes as there are processors, nothing cached; wall-clock time. x_goal is
// the goal over the time. Equal layers are computed once, as they are for a user; `computed` says
// how many points were, of `rows`.

#include <string>

#include <benchmark/benchmark.h>

#include "models/base/worker_pool.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/table/table_points.hpp"
#include "sim/simulated_model.hpp"
#include "tests/benchmarks/cases.hpp"

namespace widthwise {

namespace {

struct Goal {
  const char* network;
  Fidelity fidelity;
  double seconds;  // on two cores
};

constexpr Goal kGoals[] = {
    {"resnet18", Fidelity::tile, 2.0},
    {"mobilenet_v2", Fidelity::tile, 3.0},
    {"resnet18", Fidelity::analytic, 0.1},
};

void table(benchmark::State& state, const Goal& goal, const std::string& machine, bool stored) {
  const std::string top = std::string(WIDTHWISE_SOURCE_DIR) + "/";
  const Accelerator accelerator =
      read_accelerator(top + "configs/accelerators/" + machine + ".yaml");
  const EnergyTable energy = read_energy_table(accelerator.energy_table);
  const Network network = read_network(top + "workloads/" + goal.network + ".yaml");
  TableRequest request;
  request.stored = stored;
  double computed = 0;
  double rows = 0;
  for (auto _ : state) {
    MachineModelOptions options;
    options.jobs = available_processors();
    const auto model = machine_cost_model(network, accelerator, energy, goal.fidelity, options);
    const MadeTable made = make_table(*model, request);
    if (!made.failures.empty()) {
      state.SkipWithError("a point failed");
      return;
    }
    computed = static_cast<double>(model->computed());
    rows = static_cast<double>(made.table.rows.size());
  }
  state.counters["rows"] = rows;
  state.counters["computed"] = computed;
  state.counters["rows_per_s"] =
      benchmark::Counter(rows, benchmark::Counter::kIsIterationInvariantRate);
  if (!stored) {
    state.counters["x_goal"] =
        benchmark::Counter(goal.seconds, benchmark::Counter::kIsIterationInvariantRate);
  }
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const Goal& goal : kGoals) {
    for (const std::string machine : benchmarks::kMachines) {
      std::string name = benchmarks::benchmark_name("table", machine, goal.network);
      name += "/";
      name += to_string(goal.fidelity);
      benchmark::RegisterBenchmark(name.c_str(), table, goal, machine, false)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  benchmark::RegisterBenchmark("table/bismo_edge_8x8/resnet18/analytic/stored", table, kGoals[2],
                               "bismo_edge_8x8", true)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  return true;
}();

}  // namespace

}  // namespace widthwise
