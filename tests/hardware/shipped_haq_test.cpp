// The shipped BISMO machines against the sixteen latencies that HAQ publishes (arXiv 1811.08886,
// table 3): uniform widths, edge at batch 1, cloud at batch 16. Each machine has one clock.
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

}  // namespace

TEST_CASE("the BISMO machines come within 5 % of HAQ's sixteen latencies") {
  const std::string source = WIDTHWISE_SOURCE_DIR;
  for (const Published& row : kPublished) {
    const Accelerator accelerator =
        read_accelerator(source + "/configs/accelerators/" + row.accelerator + ".yaml");
    const EnergyTable energy = read_energy_table(accelerator.energy_table);
    const Network network =
        read_network(source + "/workloads/" + row.network + ".yaml", {{"batch", row.batch}});
    for (int i = 0; i < 4; ++i) {
      const std::string width = std::to_string(kWidths[i]);
      const Assignment uniform = parse_uniform_assignment("w" + width + "a" + width);
      const CostReport report =
          analytic_cost(network, resolve_widths(network, uniform), accelerator, energy);
      const double ms =
          static_cast<double>(report.latency().count()) / accelerator.clock.count() * 1e3;
      INFO(row.accelerator << " " << row.network << " at " << width << " bit");
      CHECK(std::abs(ms / row.latency_ms[i] - 1) <= kAllowed);
    }
  }
}
