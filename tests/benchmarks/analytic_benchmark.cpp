// How fast the closed form is: compute layers of ResNet-18 costed in a CPU second, the search for
// the best tile of each included. Nothing is kept from one iteration to the next.
//
// The counters that begin with x_ are ratios to a rate: the goal, and other tools as measured on a
// 2-core Debian 12 machine. They do not all do the same work: MAESTRO costs one given mapping
// without a search; BitSim is its model of Stripes with energy; Bit Fusion's simulator searches
// tiles of powers of two; Timeloop is its mapper and ZigZag has its defaults, both for any memory
// hierarchy.

#include <array>
#include <string>

#include <benchmark/benchmark.h>

#include "models/cost/analytic.hpp"
#include "tests/benchmarks/cases.hpp"

namespace widthwise {

namespace {

struct Rate {
  const char* counter;
  double layers_per_cpu_second;
};

constexpr std::array kRates{
    Rate{"x_goal", 20'000},       Rate{"x_maestro", 5'000}, Rate{"x_bitsim", 27},
    Rate{"x_bitfusion_sim", 2.6}, Rate{"x_dnnsim", 2},      Rate{"x_zigzag", 0.4},
    Rate{"x_timeloop", 0.2},  // 0.05 to 0.2
    Rate{"x_scale_sim", 0.1},
};

void analytic(benchmark::State& state, const std::string& machine, const std::string& bits) {
  const benchmarks::Case run(machine, bits);
  const double begin = benchmarks::cpu_seconds();
  for (auto _ : state) {
    benchmark::DoNotOptimize(analytic_cost(run.network, run.widths, run.accelerator, run.energy));
  }
  const double layers = run.compute_layers() * static_cast<double>(state.iterations());
  const double layers_per_cpu_second = layers / (benchmarks::cpu_seconds() - begin);
  state.counters["layers_per_cpu_s"] = layers_per_cpu_second;
  for (const Rate& rate : kRates) {
    state.counters[rate.counter] = layers_per_cpu_second / rate.layers_per_cpu_second;
  }
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const std::string machine : benchmarks::kMachines) {
    for (const std::string bits : benchmarks::kBits) {
      benchmark::RegisterBenchmark(benchmarks::benchmark_name("analytic", machine, bits).c_str(),
                                   analytic, machine, bits)
          ->Unit(benchmark::kMillisecond);
    }
  }
  return true;
}();

}  // namespace

}  // namespace widthwise
