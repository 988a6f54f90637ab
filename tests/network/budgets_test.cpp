// The published budgets of FracBits, recounted from the shipped networks and assignments.
//
// Source: FracBits, arXiv 2007.02017, budgets counted from the paper's accounting: the first
// convolution at 8 x 8 bit, weights of the fully connected layer at 8 bit and its activations at
// the searched width, downsampling convolutions included; the size adds 4 bytes per bias of the
// fully connected layer; MB = 1e6 bytes, G = 1e9.
#include <string>

#include <catch2/catch.hpp>

#include "models/network/assignment_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/network/widths.hpp"

using namespace widthwise;

namespace {

struct Budget {
  const char* network;
  std::int64_t macs;
  std::int64_t weights;
  int width;
  double bitops_g;
  double size_mb;  // 0: not published
};

constexpr Budget kBudgets[] = {
    {"resnet18", 1814073344, 11678912, 2, 14.343, 0},
    {"resnet18", 1814073344, 11678912, 3, 22.825, 0},
    {"resnet18", 1814073344, 11678912, 4, 34.698, 0},
    {"resnet18", 1814073344, 11678912, 5, 49.962, 0},
    {"resnet18", 1814073344, 11678912, 6, 68.617, 0},
    {"resnet18", 1814073344, 11678912, 8, 116.101, 0},
    {"mobilenet_v1", 568740352, 4209088, 2, 2.938, 1.825},
    {"mobilenet_v1", 568740352, 4209088, 3, 5.730, 2.223},
    {"mobilenet_v1", 568740352, 4209088, 4, 9.636, 2.621},
    {"mobilenet_v1", 568740352, 4209088, 5, 14.657, 0},
    {"mobilenet_v1", 568740352, 4209088, 6, 20.790, 0},
    {"mobilenet_v1", 568740352, 4209088, 8, 36.399, 0},
    {"mobilenet_v2", 300774272, 3469760, 2, 1.869, 1.832},
    {"mobilenet_v2", 300774272, 3469760, 3, 3.322, 2.106},
    {"mobilenet_v2", 300774272, 3469760, 4, 5.353, 2.379},
    {"mobilenet_v2", 300774272, 3469760, 5, 7.961, 0},
    {"mobilenet_v2", 300774272, 3469760, 6, 11.147, 0},
    {"mobilenet_v2", 300774272, 3469760, 8, 19.250, 0},
};

constexpr double kHalfOfLastDigit = 0.0005;

const std::string kSource = WIDTHWISE_SOURCE_DIR;

}  // namespace

TEST_CASE("the FracBits budgets follow from the shipped networks and assignments") {
  for (const Budget& budget : kBudgets) {
    INFO(budget.network << " at " << budget.width << " bit");
    const Network network = read_network(kSource + "/workloads/" + budget.network + ".yaml");
    const Assignment assignment = read_assignment(kSource + "/configs/assignments/fracbits_w" +
                                                  std::to_string(budget.width) + ".yaml");
    const WidthPlan plan = resolve_widths(network, assignment);
    CHECK(network.macs() == budget.macs);
    CHECK(network.weights() == budget.weights);
    CHECK(network.biases() == 1000);
    CHECK(bitops(network, plan) / 1e9 == Approx(budget.bitops_g).margin(kHalfOfLastDigit));
    if (budget.size_mb > 0) {
      const double size = static_cast<double>(parameter_bits(network, plan).count()) / 8e6;
      CHECK(size == Approx(budget.size_mb).margin(kHalfOfLastDigit));
    }
  }
}
