// How fast the cost of a network at fractional widths is, with its gradient, as a search by
// gradient descent asks for it in every step: MobileNet v2, 53 layers with multiply-accumulates, on
// made-up tables of widths 1..8. The forms: a plain table; one by stored widths; and that with
// widths of their own for all output channels. x_goal is the goal over the time.

#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "models/network/network_yaml.hpp"
#include "models/table/channel_cost.hpp"
#include "models/table/fractional_cost.hpp"
#include "tests/benchmarks/cases.hpp"
#include "tests/table/synthetic_table.hpp"

namespace widthwise {

namespace {

constexpr double kGoalSeconds = 20e-6;

Network mobilenet() {
  return read_network(std::string(WIDTHWISE_SOURCE_DIR) + "/workloads/mobilenet_v2.yaml");
}

NetworkBinding binding(bool stored) {
  const Network network = mobilenet();
  return bind_table(
      synthetic::table(network, {.stored = stored}, synthetic::scattered_cost(network)), network);
}

std::vector<double> random_widths(std::size_t count) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> width(1, 8);
  std::vector<double> widths(count);
  for (double& bits : widths) bits = width(random);
  return widths;
}

void count_goal(benchmark::State& state, double begin) {
  const double seconds =
      (benchmarks::cpu_seconds() - begin) / static_cast<double>(state.iterations());
  state.counters["x_goal"] = kGoalSeconds / seconds;
}

void fractional(benchmark::State& state, bool stored) {
  const FractionalCost cost(binding(stored), "cost");
  const std::size_t count = cost.variables().size();
  const std::vector<double> weights = random_widths(count);
  const std::vector<double> activations = random_widths(count);
  std::vector<double> weight_gradient(count);
  std::vector<double> activation_gradient(count);
  const double begin = benchmarks::cpu_seconds();
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        cost.evaluate(weights, activations, weight_gradient, activation_gradient));
    benchmark::ClobberMemory();
  }
  count_goal(state, begin);
  state.counters["layers"] = static_cast<double>(count);
}

void by_channel(benchmark::State& state, bool stored) {
  const ChannelCost cost(binding(stored), "cost");
  const std::size_t count = cost.variables().size();
  const std::vector<double> channels = random_widths(cost.offsets().back());
  const std::vector<double> activations = random_widths(count);
  std::vector<double> channel_gradient(channels.size());
  std::vector<double> activation_gradient(count);
  const double begin = benchmarks::cpu_seconds();
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        cost.evaluate(channels, activations, channel_gradient, activation_gradient));
    benchmark::ClobberMemory();
  }
  count_goal(state, begin);
  state.counters["channels"] = static_cast<double>(channels.size());
}

BENCHMARK_CAPTURE(fractional, plain, false)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(fractional, stored, true)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(by_channel, plain, false)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(by_channel, stored, true)->Unit(benchmark::kMicrosecond);

}  // namespace

}  // namespace widthwise
