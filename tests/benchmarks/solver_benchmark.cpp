// How fast bit-width problems are solved, to the proof that is named: the gap 0 is the optimum.
// Problems are made up by tests/search/random_problem.hpp: `network` has losses and costs as layers
// have them, `scattered` has none of their order, `linked` has costs that depend on stored widths;
// `limpq` is the shipped problem of MobileNet v2. x_goal is the goal over the time (where there is
// one), gap the gap that was proven, at most the one asked for.
//
// plain_cbc solves the same models by Cbc alone, with all options as binary variables, and is
// stopped after kCbcSeconds; x_cbc is Cbc's time over ours on the same model in the same run, at
// least that much where Cbc was stopped (cbc_finished 0).

#include <ctime>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "search/milp.hpp"
#include "search/pareto.hpp"
#include "search/problem_reader.hpp"
#include "search/solver.hpp"
#include "tests/benchmarks/cases.hpp"
#include "tests/search/random_problem.hpp"

namespace widthwise {

namespace {

constexpr double kCbcSeconds = 30;

const std::vector<BitWidth> kTwoToSix{2, 3, 4, 5, 6};
const std::vector<BitWidth> kTwoToEight{2, 3, 4, 5, 6, 7, 8};

Problem limpq() {
  return read_problem(std::string(WIDTHWISE_SOURCE_DIR) +
                      "/workloads/problems/limpq_mobilenet_v2.yaml");
}
Problem network_52x25() { return synthetic::network_like(52, kTwoToSix, kTwoToSix, 0.4, 1); }
Problem scattered_52x25() { return synthetic::scattered(52, 25, 2, 0.3, 1); }
Problem network_200x49() { return synthetic::network_like(200, kTwoToEight, kTwoToEight, 0.4, 1); }
Problem scattered_200x49() { return synthetic::scattered(200, 49, 2, 0.3, 1); }
Problem scattered_1000x16() { return synthetic::scattered(1000, 16, 2, 0.3, 1); }
Problem network_5000x8() { return synthetic::network_like(5000, {4, 8}, {2, 4, 6, 8}, 0.4, 1); }
Problem scattered_5000x8() { return synthetic::scattered(5000, 8, 2, 0.3, 1); }
Problem network_21x49() { return synthetic::network_like(21, kTwoToEight, kTwoToEight, 0.4, 1); }
Problem linked_21x49() { return synthetic::linked_network(21, kTwoToEight, 0.4, 1); }
Problem linked_52x49() { return synthetic::linked_network(52, kTwoToEight, 0.4, 1); }

void report(benchmark::State& state, const Solution& solution, double begin, double goal) {
  const double seconds =
      (benchmarks::cpu_seconds() - begin) / static_cast<double>(state.iterations());
  if (goal > 0) state.counters["x_goal"] = goal / seconds;
  state.counters["gap"] = solution.gap;
  state.counters["nodes"] = static_cast<double>(solution.nodes);
}

void solved(benchmark::State& state, Problem (*make)(), double gap, double goal) {
  const Problem problem = make();
  Solution solution;
  const double begin = benchmarks::cpu_seconds();
  for (auto _ : state) solution = solve(problem, {.gap = gap});
  report(state, solution, begin, goal);
  if (!(solution.gap <= gap)) state.SkipWithError("the gap that was asked for is not proven");
}

/// Losses change by up to a hundredth from one time to the next.
void solved_again(benchmark::State& state, Problem (*make)(), double goal) {
  const Problem problem = make();
  std::mt19937 random(1);
  std::uniform_real_distribution<double> change(0.99, 1.01);
  constexpr std::size_t kVariants = 16;
  std::vector<std::vector<std::vector<double>>> losses(kVariants);
  for (auto& variant : losses) {
    for (const Group& group : problem.groups) {
      variant.emplace_back();
      for (const Option& option : group.options) {
        variant.back().push_back(option.loss * change(random));
      }
    }
  }
  Resolver resolver(problem);
  resolver.solve();
  Solution solution;
  std::size_t variant = 0;
  const double begin = benchmarks::cpu_seconds();
  for (auto _ : state) solution = resolver.solve(losses[variant++ % kVariants]);
  report(state, solution, begin, goal);
  if (solution.gap != 0) state.SkipWithError("the optimum is not proven");
}

void front_of(benchmark::State& state, Problem (*make)(), std::size_t points) {
  const Problem problem = make();
  std::size_t found = 0;
  for (auto _ : state) found = front(problem, 0, points).size();
  state.counters["points"] = static_cast<double>(found);
}

void plain_cbc(benchmark::State& state, Problem (*make)(), double gap) {
  const Problem problem = make();
  const search::ReducedProblem plain =
      search::reduce(problem, {problem.objective, {0, 1}}, search::Reduction::ties_only);
  search::MilpResult result;
  const double begin = benchmarks::cpu_seconds();
  for (auto _ : state) result = search::solve_by_cbc(problem, plain, kCbcSeconds, gap);
  const double of_cbc =
      (benchmarks::cpu_seconds() - begin) / static_cast<double>(state.iterations());
  const double own_begin = benchmarks::cpu_seconds();
  constexpr int kTimes = 3;
  Solution solution;
  for (int i = 0; i < kTimes; ++i) solution = solve(problem, {.gap = gap});
  const double own = (benchmarks::cpu_seconds() - own_begin) / kTimes;
  state.counters["x_cbc"] = of_cbc / own;
  state.counters["cbc_finished"] = result.finished ? 1 : 0;
  if (!result.choice) {
    state.counters["cbc_gap"] = 1;
    return;
  }
  // Of Cbc's answer, to our bound.
  const double value = objective_value(problem, totals(problem, *result.choice));
  state.counters["cbc_gap"] = (value - solution.bound) / value;
}

BENCHMARK_CAPTURE(solved, limpq, limpq, 0, 0.05)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solved, network_52x25, network_52x25, 0, 0.05)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solved, scattered_52x25, scattered_52x25, 0, 0.05)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solved, network_200x49, network_200x49, 1e-4, 1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solved, scattered_200x49, scattered_200x49, 1e-4, 1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solved, network_200x49_optimum, network_200x49, 0, 0)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solved, scattered_1000x16_optimum, scattered_1000x16, 0, 0)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solved, network_5000x8, network_5000x8, 1e-4, 5)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solved, scattered_5000x8, scattered_5000x8, 1e-4, 5)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solved, linked_21x49, linked_21x49, 1e-4, 10)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solved, linked_52x49, linked_52x49, 1e-4, 0)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solved_again, network_21x49, network_21x49, 0.01)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solved_again, linked_21x49, linked_21x49, 0)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(front_of, limpq_20, limpq, 20)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plain_cbc, limpq, limpq, 0)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK_CAPTURE(plain_cbc, scattered_52x25, scattered_52x25, 0)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1);
BENCHMARK_CAPTURE(plain_cbc, scattered_200x49, scattered_200x49, 1e-4)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1);
BENCHMARK_CAPTURE(plain_cbc, network_200x49, network_200x49, 1e-4)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1);
BENCHMARK_CAPTURE(plain_cbc, scattered_1000x16, scattered_1000x16, 1e-4)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1);
BENCHMARK_CAPTURE(plain_cbc, network_5000x8, network_5000x8, 1e-4)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1);

}  // namespace

}  // namespace widthwise
