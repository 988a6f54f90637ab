// Shipped machines against measured and published latencies:
//   BISMO: the sixteen latencies of HAQ (arXiv 1811.08886, table 3), uniform widths, edge at batch
//   1, cloud at batch 16, one clock for each machine; PrecisionBatching: its times on a T4 for the
//   LSTM language model of 2048 units, from its repository. How many steps a run takes is not
//   published, so they compare as ratios.
#include <cmath>
#include <string>

#include <catch2/catch.hpp>

#include "models/cost/analytic.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/network/widths.hpp"

using namespace widthwise;

namespace {

constexpr int kWidths[] = {4, 5, 6, 8};

struct Published {
  const char* accelerator;
  const char* network;
  int batch;
  double latency_ms[4];
};

constexpr Published kPublished[] = {
    {"bismo_edge_8x8", "mobilenet_v1", 1, {45.45, 57.75, 70.67, 96.20}},
    {"bismo_edge_8x8", "mobilenet_v2", 1, {52.15, 66.94, 82.49, 115.84}},
    {"bismo_cloud_16x16", "mobilenet_v1", 16, {57.49, 77.52, 99.86, 151.09}},
    {"bismo_cloud_16x16", "mobilenet_v2", 16, {74.46, 99.43, 127.07, 189.82}},
};

constexpr double kAllowed = 0.05;

double latency_ms(const std::string& accelerator_name, const std::string& network_name, int batch,
                  int weight_bits, int activation_bits) {
  const std::string source = WIDTHWISE_SOURCE_DIR;
  const Accelerator accelerator =
      read_accelerator(source + "/configs/accelerators/" + accelerator_name + ".yaml");
  const EnergyTable energy = read_energy_table(accelerator.energy_table);
  const Network network =
      read_network(source + "/workloads/" + network_name + ".yaml", {{"batch", batch}});
  const Assignment uniform = parse_uniform_assignment("w" + std::to_string(weight_bits) + "a" +
                                                      std::to_string(activation_bits));
  const CostReport report =
      analytic_cost(network, resolve_widths(network, uniform), accelerator, energy);
  return static_cast<double>(report.latency().count()) / accelerator.clock.count() * 1e3;
}

}  // namespace

TEST_CASE("the BISMO machines come within 5 % of HAQ's sixteen latencies") {
  for (const Published& row : kPublished) {
    for (int i = 0; i < 4; ++i) {
      INFO(row.accelerator << " " << row.network << " at " << kWidths[i] << " bit");
      const double ms = latency_ms(row.accelerator, row.network, row.batch, kWidths[i], kWidths[i]);
      CHECK(std::abs(ms / row.latency_ms[i] - 1) <= kAllowed);
    }
  }
}

TEST_CASE(
    "PrecisionBatching's machine scales with the widths as the measured T4 does, within 10 %") {
  struct Measured {
    int weight_bits, activation_bits;
    double seconds;
  };
  constexpr double kFixedSeconds =
      0.040;                            // part that does not grow with the planes (least squares)
  constexpr double kWidest = 0.191874;  // 8 x 16 bits
  constexpr Measured kMeasured[] = {
      {1, 8, 0.066241}, {1, 16, 0.072724}, {4, 8, 0.103666}, {4, 16, 0.12723}, {8, 8, 0.155208}};
  const double widest = latency_ms("precision_batching", "pbatch_lstm_2048", 1, 8, 16);
  for (const Measured& row : kMeasured) {
    INFO("w" << row.weight_bits << "a" << row.activation_bits);
    const double measured = (row.seconds - kFixedSeconds) / (kWidest - kFixedSeconds);
    const double ours = latency_ms("precision_batching", "pbatch_lstm_2048", 1, row.weight_bits,
                                   row.activation_bits) /
                        widest;
    CHECK(std::abs(ours / measured - 1) <= 0.10);
  }
}
