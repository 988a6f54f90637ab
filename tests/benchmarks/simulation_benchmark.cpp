// How fast the simulations of ResNet-18 are, once the layers are tiled: CPU time of
// simulate_plan(), from elaboration to report, tile by tile and with the array stepped every cycle
// on integers (all outputs compared with plain arithmetic, which is part of the time).
//
// SystemC elaborates one machine per process, so every iteration runs in a child, which measures
// its own CPU time around the call; what stands as time is that. x_goal is the goal over the time.

#include <exception>
#include <optional>
#include <string>

#include <benchmark/benchmark.h>
#include <sys/wait.h>
#include <unistd.h>

#include "models/cost/plan.hpp"
#include "sim/machine.hpp"
#include "tests/benchmarks/cases.hpp"

namespace widthwise {

namespace {

constexpr double kGoalSeconds = 0.050;     // tile by tile
constexpr double kSteppedGoalSeconds = 3;  // stepped, on a 16 x 16 array of 8 bits
constexpr double kSteppedGoalMacsPerSecond = 1e9;

struct Measured {
  double cpu_seconds = 0;
  double tiles = 0;
  double cycles = 0;
};

Measured measure(const NetworkPlan& plan, bool stepped) {
  const sim::OperandOptions operands;
  const double begin = benchmarks::cpu_seconds();
  const CostReport report = sim::simulate_plan(plan, {}, {}, {}, stepped ? &operands : nullptr);
  Measured measured{.cpu_seconds = benchmarks::cpu_seconds() - begin};
  for (const LayerCost& layer : report.layers) measured.tiles += static_cast<double>(layer.tiles);
  measured.cycles = static_cast<double>(report.latency().count());
  return measured;
}

/// Nothing if the child failed.
std::optional<Measured> measure_in_child(const NetworkPlan& plan, bool stepped) {
  int ends[2];
  if (pipe(ends) != 0) return std::nullopt;
  const pid_t child = fork();
  if (child == 0) {
    bool sent = false;
    try {
      const Measured measured = measure(plan, stepped);
      sent = write(ends[1], &measured, sizeof measured) == sizeof measured;
    } catch (const std::exception&) {
      sent = false;
    }
    _exit(sent ? 0 : 1);  // without the destructors and streams of the parent
  }
  close(ends[1]);
  Measured measured;
  const bool received = child > 0 && read(ends[0], &measured, sizeof measured) == sizeof measured;
  close(ends[0]);
  int status = 1;
  if (child > 0) waitpid(child, &status, 0);
  return received && status == 0 ? std::optional(measured) : std::nullopt;
}

void simulation(benchmark::State& state, const std::string& machine, const std::string& bits,
                bool stepped) {
  const benchmarks::Case run(machine, bits);
  const NetworkPlan plan = plan_network(run.network, run.widths, run.accelerator, run.energy);
  double seconds = 0;
  Measured last;
  for (auto _ : state) {
    const auto measured = measure_in_child(plan, stepped);
    if (!measured) {
      state.SkipWithError("the simulation failed");
      return;
    }
    last = *measured;
    state.SetIterationTime(last.cpu_seconds);
    seconds += last.cpu_seconds;
  }
  const double mean = seconds / static_cast<double>(state.iterations());
  state.counters["tiles"] = last.tiles;
  state.counters["tiles_per_cpu_s"] = last.tiles / mean;
  state.counters["cycles_per_cpu_s"] = last.cycles / mean;
  if (stepped) {
    state.counters["macs_per_cpu_s"] = static_cast<double>(run.network.macs()) / mean;
    state.counters["x_goal"] = kSteppedGoalSeconds / mean;
    state.counters["x_goal_macs"] =
        static_cast<double>(run.network.macs()) / mean / kSteppedGoalMacsPerSecond;
  } else {
    state.counters["x_goal"] = kGoalSeconds / mean;
  }
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const std::string machine : benchmarks::kMachines) {
    for (const std::string bits : benchmarks::kBits) {
      benchmark::RegisterBenchmark(benchmarks::benchmark_name("simulation", machine, bits).c_str(),
                                   simulation, machine, bits, false)
          ->UseManualTime()
          ->Unit(benchmark::kMillisecond);
    }
    benchmark::RegisterBenchmark(benchmarks::benchmark_name("stepped", machine, "w8a8").c_str(),
                                 simulation, machine, "w8a8", true)
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  }
  return true;
}();

}  // namespace

}  // namespace widthwise

// Here, and not from a library: libsystemc has a main() too.
BENCHMARK_MAIN();
