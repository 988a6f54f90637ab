// The closed form against the simulation, over shipped machines, networks and widths: never above
// it, within 1 % of it per network and within 5 % on any layer above 10,000 cycles, but for the
// exceptions below, with the same busy cycles and DRAM bytes.
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/cost/analytic.hpp"
#include "models/network/assignment_reader.hpp"
#include "tests/cost/machines.hpp"
#include "tests/simulation/own_process.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

constexpr std::int64_t kLongLayer = 10000;
constexpr double kPerLayer = 1.05;
constexpr double kPerNetwork = 1.01;
constexpr double kEnergy = 0.015;

// Where the closed form is further below the simulation: layers of a few dozen large tiles, of
// which the buffers hold two, so that the weights of the next run can not be fetched evenly. It
// does not see that (models/cost/step_bounds.cpp); found on these, and no others may join them.
struct Exception {
  const char* machine;
  const char* network;
  double per_network, per_layer;
};
constexpr Exception kExceptions[] = {
    {"bismo_cloud_16x16", "resnet18_cifar", 1.04, 1.06},
    {"bismo_cloud_16x16", "mobilenet_v2", kPerNetwork, 1.06},
    {"bismo_edge_8x8", "resnet18_cifar", 1.02, kPerLayer},
    {"bitfusion_16x32", "resnet18_cifar", 1.02, kPerLayer},
    {"dvafs_16x16", "mobilenet_v2", kPerNetwork, 1.13},
    {"dvafs_16x16", "resnet18_cifar", kPerNetwork, 1.08},
    {"loom_16x128", "bert_base", 1.04, 1.16},
    {"loom_16x128", "mobilenet_v2", kPerNetwork, 1.08},
    {"loom_16x128", "resnet18_cifar", kPerNetwork, 1.08},
    {"precision_batching", "pbatch_lstm_2048", 1.02, kPerLayer},
    {"stripes_16x16", "bert_base", 1.03, 1.10},
    {"stripes_16x16", "resnet18", kPerNetwork, 1.16},
    {"systolic_32x32_int8", "mobilenet_v2", kPerNetwork, 1.08},
    {"unpu", "bert_base", kPerNetwork, 1.06},
    {"unpu", "mobilenet_v2", kPerNetwork, 1.08},
};

Exception bounds_of(const std::string& machine, const std::string& network) {
  for (const Exception& exception : kExceptions) {
    if (machine == exception.machine && network == exception.network) return exception;
  }
  return {"", "", kPerNetwork, kPerLayer};
}

struct Subject {
  const char* network;
  NetworkParameters parameters;
  const char* mixed;  // third widths: an assignment file, or uniform 2 bits
};

const std::vector<Subject> kSubjects = {{"resnet18", {}, "resnet18_mixed"},
                                        {"mobilenet_v2", {}, "mobilenet_v2_mixed"},
                                        {"bert_base", {{"sequence_length", 128}}, "w2a2"},
                                        {"pbatch_lstm_2048", {}, "w2a2"},
                                        {"resnet18_cifar", {}, "w2a2"}};

const std::vector<std::string> kTested = {
    "bismo_cloud_16x16", "bismo_edge_8x8",      "bitfusion_16x32",     "dvafs_16x16",
    "eyeriss_like",      "loom_16x128",         "loom_16x16",          "precision_batching",
    "stripes_16x16",     "systolic_16x16_int8", "systolic_32x32_int8", "unpu"};

Assignment assignment_of(const std::string& name) {
  return name.find('_') == std::string::npos
             ? parse_uniform_assignment(name)
             : read_assignment(kSource + "/configs/assignments/" + name + ".yaml");
}

void check_machine(const std::string& name) {
  const Accelerator machine = shipped(name);
  const EnergyTable energy = energy_of(machine);
  std::ofstream table("tile_over_analytic_" + name + ".txt");  // in the build folder
  for (const Subject& subject : kSubjects) {
    const Network network = workload(subject.network, subject.parameters);
    const Exception bounds = bounds_of(name, subject.network);
    for (const std::string& bits :
         {std::string("w8a8"), std::string("w4a4"), std::string(subject.mixed)}) {
      INFO(name << ", " << subject.network << ", " << bits);
      const WidthPlan widths = resolve_widths(network, assignment_of(bits));
      const CostReport analytic = analytic_cost(network, widths, machine, energy);
      const Figures tile = simulated(network, widths, machine, energy);
      REQUIRE(tile.layers.size() == analytic.layers.size());
      for (std::size_t i = 0; i < tile.layers.size(); ++i) {
        const LayerCost& closed = analytic.layers[i];
        const LayerFigures& played = tile.layers[i];
        INFO("layer " << closed.name << ", " << closed.bottleneck << ", "
                      << (closed.tile ? test::describe(*closed.tile) : std::string("no tile"))
                      << ", " << closed.tiles << " tiles");
        CHECK(closed.latency <= played.latency);
        if (played.latency.count() > kLongLayer) {
          CHECK(played.latency / closed.latency <= bounds.per_layer);
        }
        CHECK(closed.cycles.busy == played.cycles.busy);
        CHECK(closed.cycles.total() == closed.latency);
        CHECK(played.cycles.total() == played.latency);
        CHECK(closed.activity.dram_read == played.activity.dram_read);
        CHECK(closed.activity.dram_write == played.activity.dram_write);
      }
      CHECK(tile.latency() / analytic.latency() <= bounds.per_network);
      CHECK(tile.energy_pj() == Approx(analytic.energy().total().count()).epsilon(kEnergy));
      table << subject.network << " " << bits << ": latency " << tile.latency() / analytic.latency()
            << ", energy " << tile.energy_pj() / analytic.energy().total().count() << "\n";
    }
  }
}

}  // namespace

TEST_CASE("every shipped machine is compared with its simulation") {
  CHECK(kTested == shipped_names());
}

TEST_CASE("simulated, twice the bandwidth or half the bits are never worse by more than 0.5 %") {
  constexpr double kSimulated = 1.005;
  for (const std::string& name : kTested) {
    const Accelerator machine = shipped(name);
    const EnergyTable energy = energy_of(machine);
    for (const char* subject : {"resnet18_cifar", "pbatch_lstm_2048"}) {
      INFO(name << ", " << subject);
      const Network network = workload(subject);
      const auto latency = [&](const Accelerator& with, const char* bits) {
        const WidthPlan widths = resolve_widths(network, parse_uniform_assignment(bits));
        return static_cast<double>(simulated(network, widths, with, energy).latency().count());
      };
      Accelerator faster = machine;
      faster.memory.dram.bandwidth *= 2;
      const double eight = latency(machine, "w8a8");
      const double four = latency(machine, "w4a4");
      CHECK(latency(faster, "w8a8") <= kSimulated * eight);
      CHECK(latency(faster, "w4a4") <= kSimulated * four);
      CHECK(latency(machine, "w4a8") <= kSimulated * eight);
      CHECK(latency(machine, "w8a4") <= kSimulated * eight);
      CHECK(four <= kSimulated * latency(machine, "w4a8"));
      CHECK(four <= kSimulated * latency(machine, "w8a4"));
      CHECK(latency(machine, "w2a2") <= kSimulated * four);
    }
  }
}

// One test for each, to run side by side.
TEST_CASE("closed form and simulation agree on bismo_cloud_16x16") {
  check_machine("bismo_cloud_16x16");
}
TEST_CASE("closed form and simulation agree on bismo_edge_8x8") { check_machine("bismo_edge_8x8"); }
TEST_CASE("closed form and simulation agree on bitfusion_16x32") {
  check_machine("bitfusion_16x32");
}
TEST_CASE("closed form and simulation agree on dvafs_16x16") { check_machine("dvafs_16x16"); }
TEST_CASE("closed form and simulation agree on eyeriss_like") { check_machine("eyeriss_like"); }
TEST_CASE("closed form and simulation agree on loom_16x128") { check_machine("loom_16x128"); }
TEST_CASE("closed form and simulation agree on loom_16x16") { check_machine("loom_16x16"); }
TEST_CASE("closed form and simulation agree on precision_batching") {
  check_machine("precision_batching");
}
TEST_CASE("closed form and simulation agree on stripes_16x16") { check_machine("stripes_16x16"); }
TEST_CASE("closed form and simulation agree on systolic_16x16_int8") {
  check_machine("systolic_16x16_int8");
}
TEST_CASE("closed form and simulation agree on systolic_32x32_int8") {
  check_machine("systolic_32x32_int8");
}
TEST_CASE("closed form and simulation agree on unpu") { check_machine("unpu"); }
