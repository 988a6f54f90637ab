// Shipped machines against published figures: Bit Fusion's simulator, layer by layer, and HAQ's
// latencies of BISMO machines. Tables of ours against theirs go to the folder that the test runs
// in.
//
// Bit Fusion: bitfusion_layers.csv. HAQ: table 3 of arXiv 1811.08886.
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iomanip>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "models/cost/analytic.hpp"
#include "tests/cost/machines.hpp"
#include "tests/simulation/own_process.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

struct PublishedLayer {
  std::string network, name;
  std::vector<std::int64_t> in, weights, out;  // NHWC; weights: out, height, width, in, or out, in
  LayerWidths widths;
  std::int64_t batch = 0, cycles = 0, stalls = 0, dram_bits = 0;
  bool first_convolution = false;
};

std::vector<std::int64_t> sizes_of(const std::string& text) {
  std::vector<std::int64_t> sizes;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, 'x');) sizes.push_back(std::stoll(part));
  return sizes;
}

std::vector<PublishedLayer> published_layers() {
  std::vector<PublishedLayer> layers;
  for (const auto& row : read_csv("validation/bitfusion_layers.csv")) {
    // network,layer,in_nhwc,weight_shape,out_nhwc,stride,a_bits,w_bits,array_N,array_M,dram
    // bit/cycle, three buffers,batch,cycles,mem_stall_cycles,six buffer
    // columns,dram_rd_bits,dram_wr_bits,...
    PublishedLayer layer;
    layer.network = row[0];
    layer.name = row[1].substr(0, row[1].find('/'));
    layer.in = sizes_of(row[2]);
    layer.weights = sizes_of(row[3]);
    layer.out = sizes_of(row[4]);
    layer.widths = {std::stoi(row[7]), std::stoi(row[6])};
    layer.batch = std::stoll(row[14]);
    layer.cycles = std::stoll(row[15]);
    layer.stalls = std::stoll(row[16]);
    layer.dram_bits = std::stoll(row[23]) + std::stoll(row[24]);
    layer.first_convolution = layer.name == "conv0";
    layers.push_back(layer);
  }
  return layers;
}

/// The layers of a network, each with an input of its own: that of the first convolution is an
/// input of the network, those of the others are made by a layer that moves data and is not
/// counted.
struct PublishedNetwork {
  Workload work;
  std::vector<PublishedLayer> layers;
  std::vector<LayerId> ids;  // of each of them
};

PublishedNetwork build(const std::string& name) {
  NetworkBuilder builder(name);
  std::vector<PublishedLayer> layers;
  std::map<TensorId, BitWidth> stored;
  std::map<std::string, LayerWidths> widths;
  for (const PublishedLayer& published : published_layers()) {
    if (published.network != name) continue;
    const bool convolution = published.in.size() == 4;
    const Shape shape =
        convolution ? Shape{published.in[0], published.in[3], published.in[1], published.in[2]}
                    : Shape(published.in);
    TensorId input = 0;
    if (published.first_convolution) {
      input = builder.add_input(published.name + ".in", shape);
    } else {
      const InferredVector moved = infer_move(shape, shape);
      Layer move;
      move.name = published.name + ".from";
      move.kind = LayerKind::move;
      move.op = "move";
      move.vector = moved.vector;
      move.inputs = {builder.add_input(published.name + ".raw", shape)};
      input = move.output = builder.add_tensor(published.name + ".in", shape);
      builder.add_layer(move);
      widths[move.name] = {8, published.widths.activation};
    }
    stored[input] = published.widths.activation;
    Window window;
    for (std::size_t axis = 0; axis < 2; ++axis) {
      window.kernel[axis] = convolution ? published.weights[axis + 1] : 1;
      window.pad_begin[axis] = window.pad_end[axis] = window.kernel[axis] / 2;
    }
    const InferredLayer inferred = convolution
                                       ? infer_convolution(shape, published.out[3], 1, window)
                                       : infer_fully_connected(shape, published.out[1]);
    if (convolution)
      REQUIRE(inferred.output ==
              Shape{published.out[0], published.out[3], published.out[1], published.out[2]});
    Layer layer;
    layer.name = published.name;
    layer.kind = convolution ? LayerKind::convolution : LayerKind::fully_connected;
    layer.op = layer.name;
    layer.compute = inferred.compute;
    layer.inputs = {input};
    layer.output = builder.add_tensor(published.name, inferred.output);
    layer.weights = inferred.compute.weight_elements();
    builder.mark_output(layer.output);
    builder.add_layer(layer);
    widths[layer.name] = published.widths;
    layers.push_back(published);
  }
  const Network network = builder.build();
  WidthPlan plan;
  for (const Layer& layer : network.layers()) plan.layers.push_back(widths.at(layer.name));
  plan.stored.assign(network.tensors().size(), 8);
  for (const auto& [tensor, bits] : stored) plan.stored[tensor] = bits;
  std::vector<LayerId> ids;
  for (const PublishedLayer& layer : layers) ids.push_back(*network.find_layer(layer.name));
  return {{network, plan}, layers, ids};
}

const std::vector<std::string> kNetworks = {"SVHN", "CIFAR10", "LeNet-5", "RNN", "LSTM"};

std::int64_t c(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// The published simulator's compute cycles on 16 rows and 32 columns.
std::int64_t compute_cycles(const PublishedLayer& layer) {
  const std::int64_t products =
      (8 / std::max(layer.widths.activation, 2)) * (8 / std::max(layer.widths.weight, 2));
  const bool convolution = layer.in.size() == 4;
  const std::int64_t kernel = convolution ? layer.weights[1] * layer.weights[2] : 1;
  const std::int64_t in = convolution ? layer.in[3] : layer.in[1];
  const std::int64_t out = convolution ? layer.out[3] : layer.out[1];
  const std::int64_t positions = convolution ? layer.out[1] * layer.out[2] : 1;
  const std::int64_t reduction =
      layer.first_convolution ? c(kernel * in, 16 * products) : kernel * c(in, 16 * products);
  return layer.batch * c(out, 32) * positions * reduction;
}

struct Totals {
  double cycles = 0, dram_bits = 0, published_cycles = 0, published_dram_bits = 0;
};

void compare(const std::string& fidelity, const PublishedNetwork& network,
             const std::vector<Cycles>& latency, const std::vector<Activity>& activity,
             std::map<std::string, Totals>& totals, std::ofstream& table) {
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const PublishedLayer& published = network.layers[i];
    const LayerId id = network.ids[i];
    const auto cycles = static_cast<double>(latency[id].count());
    const auto bits = static_cast<double>(
        (to_bits(activity[id].dram_read) + to_bits(activity[id].dram_write)).count());
    Totals& sum = totals[published.network];
    sum.cycles += cycles;
    sum.dram_bits += bits;
    sum.published_cycles += static_cast<double>(published.cycles);
    sum.published_dram_bits += static_cast<double>(published.dram_bits);
    table << std::left << std::setw(10) << fidelity << std::setw(10) << published.network
          << std::setw(8) << published.name << std::right << std::setw(10)
          << static_cast<std::int64_t>(cycles) << std::setw(10) << published.cycles << std::setw(8)
          << std::setprecision(4) << cycles / static_cast<double>(published.cycles) << std::setw(12)
          << static_cast<std::int64_t>(bits) << std::setw(12) << published.dram_bits << std::setw(8)
          << bits / static_cast<double>(published.dram_bits) << "\n";
  }
}

/// Where ours may be lower by more than 2 %.
struct Lower {
  double cycles, dram_bits;
  const char* why;
};
const std::map<std::string, Lower> kLower = {
    {"LSTM", {0.91, 0.91, "edge tiles at their true size, tile sizes other than powers of two"}},
    {"LeNet-5",
     {0.98, 0.86, "tiles that are not square; of equal cycles the one with least DRAM traffic"}}};

void check_totals(const std::map<std::string, Totals>& totals, std::ofstream& table) {
  REQUIRE(totals.size() == kNetworks.size());
  for (const auto& [name, sum] : totals) {
    const double cycles = sum.cycles / sum.published_cycles;
    const double bits = sum.dram_bits / sum.published_dram_bits;
    table << name << " total: cycles " << cycles << ", DRAM bits " << bits << "\n";
    INFO(name << ": cycles " << cycles << ", DRAM bits " << bits);
    const auto lower = kLower.find(name);
    CHECK(cycles <= 1.02);
    CHECK(bits <= 1.02);
    CHECK(cycles >= (lower == kLower.end() ? 0.98 : lower->second.cycles));
    CHECK(bits >= (lower == kLower.end() ? 0.98 : lower->second.dram_bits));
  }
}

const char* const kHeading =
    "fidelity  network   layer        ours published  ratio  DRAM bits   published   ratio\n";

}  // namespace

TEST_CASE("busy cycles of Bit Fusion's 24 published layers are those of its published law") {
  const Accelerator machine = shipped("bitfusion_16x32");
  const EnergyTable energy = energy_of(machine);
  int layers = 0;
  for (const std::string& name : kNetworks) {
    const PublishedNetwork network = build(name);
    const CostReport report =
        analytic_cost(network.work.network, network.work.widths, machine, energy);
    for (std::size_t i = 0; i < network.layers.size(); ++i) {
      const PublishedLayer& published = network.layers[i];
      INFO(name << " " << published.name);
      const std::int64_t law = compute_cycles(published);
      CHECK(report.layers[network.ids[i]].cycles.busy == Cycles(law));
      if (name == "LSTM") {
        // Its edge tiles are charged as full ones there.
        CHECK(static_cast<double>(published.cycles - published.stalls) / static_cast<double>(law) ==
              Approx(1.027).margin(0.001));
      } else {
        CHECK(published.cycles - published.stalls == law);
      }
      ++layers;
    }
  }
  CHECK(layers == 24);
}

TEST_CASE(
    "Bit Fusion's networks in closed form come within 2 % of its published cycles and DRAM bits") {
  const Accelerator machine = shipped("bitfusion_16x32");
  const EnergyTable energy = energy_of(machine);
  std::ofstream table("published_bitfusion_analytic.txt");
  table << kHeading;
  std::map<std::string, Totals> totals;
  for (const std::string& name : kNetworks) {
    const PublishedNetwork network = build(name);
    const CostReport report =
        analytic_cost(network.work.network, network.work.widths, machine, energy);
    std::vector<Cycles> latency;
    std::vector<Activity> activity;
    for (const LayerCost& layer : report.layers) {
      latency.push_back(layer.latency);
      activity.push_back(layer.activity);
    }
    compare("analytic", network, latency, activity, totals, table);
  }
  check_totals(totals, table);
}

TEST_CASE("Bit Fusion's networks simulated come within 2 % of its published cycles and DRAM bits") {
  const Accelerator machine = shipped("bitfusion_16x32");
  const EnergyTable energy = energy_of(machine);
  std::ofstream table("published_bitfusion_tile.txt");
  table << kHeading;
  std::map<std::string, Totals> totals;
  for (const std::string& name : kNetworks) {
    const PublishedNetwork network = build(name);
    const Figures figures = simulated(network.work.network, network.work.widths, machine, energy);
    std::vector<Cycles> latency;
    std::vector<Activity> activity;
    for (const LayerFigures& layer : figures.layers) {
      latency.push_back(layer.latency);
      activity.push_back(layer.activity);
    }
    compare("tile", network, latency, activity, totals, table);
  }
  check_totals(totals, table);
}

namespace {

constexpr int kWidths[] = {4, 5, 6, 8};

struct Haq {
  const char* machine;
  const char* network;
  int batch;
  double latency_ms[4];
};

constexpr Haq kHaq[] = {
    {"bismo_edge_8x8", "mobilenet_v1", 1, {45.45, 57.75, 70.67, 96.20}},
    {"bismo_edge_8x8", "mobilenet_v2", 1, {52.15, 66.94, 82.49, 115.84}},
    {"bismo_cloud_16x16", "mobilenet_v1", 16, {57.49, 77.52, 99.86, 151.09}},
    {"bismo_cloud_16x16", "mobilenet_v2", 16, {74.46, 99.43, 127.07, 189.82}},
};

}  // namespace

// The closed form is compared in shipped_latency_test.cpp.
TEST_CASE("the simulated BISMO machines come within 10 % of HAQ's sixteen latencies") {
  std::ofstream table("published_haq_tile.txt");
  for (const Haq& row : kHaq) {
    const Accelerator machine = shipped(row.machine);
    const EnergyTable energy = energy_of(machine);
    const Network network = workload(row.network, {{"batch", row.batch}});
    for (std::size_t i = 0; i < 4; ++i) {
      const std::string bits = std::to_string(kWidths[i]);
      const WidthPlan widths =
          resolve_widths(network, parse_uniform_assignment("w" + bits + "a" + bits));
      const Figures figures = simulated(network, widths, machine, energy);
      const double ms =
          static_cast<double>(figures.latency().count()) / machine.clock.count() * 1e3;
      INFO(row.machine << " " << row.network << " at " << bits << " bit: " << ms
                       << " ms, published " << row.latency_ms[i]);
      table << row.machine << " " << row.network << " " << bits << " bit: " << ms
            << " ms, published " << row.latency_ms[i] << ", ratio " << ms / row.latency_ms[i]
            << "\n";
      CHECK(std::abs(ms / row.latency_ms[i] - 1) <= 0.10);
    }
  }
}
