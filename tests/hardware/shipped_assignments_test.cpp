// The shipped mixed assignments fit their networks, and HAWQ-V3's has the published totals.
#include <string>

#include <catch2/catch.hpp>

#include "models/network/assignment_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/network/widths.hpp"

using namespace widthwise;

namespace {

const std::string kSource = WIDTHWISE_SOURCE_DIR;

Network shipped_network(const std::string& name) {
  return read_network(kSource + "/workloads/" + name + ".yaml");
}

WidthPlan plan_of(const Network& network, const std::string& assignment) {
  return resolve_widths(network,
                        read_assignment(kSource + "/configs/assignments/" + assignment + ".yaml"));
}

WidthPlan uniform(const Network& network, const std::string& widths) {
  return resolve_widths(network, parse_uniform_assignment(widths));
}

}  // namespace

TEST_CASE("HAWQ-V3's ResNet-18 at half of the BitOPs budget has the published BitOPs and size") {
  // bit_config.py and ILP.ipynb of the HAWQ repository: 65.028096 G BitOPs and 5.990234375 MiB,
  // without the first and the last layer, which stay at 8 bits, and without biases; a G of its
  // BitOPs is 1.024e9.
  const Network network = shipped_network("resnet18");
  const WidthPlan plan = plan_of(network, "resnet18_hawqv3_bops50");
  constexpr double kEnds = 64.0 * (112 * 112 * 64 * 3 * 49 + 512 * 1000);
  CHECK(bitops(network, plan) - kEnds == Approx(65.028096 * 1.024e9).epsilon(1e-9));
  constexpr double kEndBits = 8.0 * (64 * 3 * 49 + 512 * 1000) + 32.0 * 1000;  // and fc's biases
  const auto bits = static_cast<double>(parameter_bits(network, plan).count());
  CHECK((bits - kEndBits) / 8 / 1048576 == Approx(5.990234375).epsilon(1e-9));
}

TEST_CASE("the mixed examples lie between uniform 2 or 4 bits and uniform 8 bits") {
  const Network resnet = shipped_network("resnet18");
  const WidthPlan mixed = plan_of(resnet, "resnet18_mixed");
  CHECK(bitops(resnet, mixed) > bitops(resnet, uniform(resnet, "w2a2")));
  CHECK(bitops(resnet, mixed) < bitops(resnet, plan_of(resnet, "resnet18_hawqv3_bops50")));
  CHECK(parameter_bits(resnet, mixed).count() <
        parameter_bits(resnet, uniform(resnet, "w8a8")).count());

  const Network mobilenet = shipped_network("mobilenet_v2");
  const WidthPlan example = plan_of(mobilenet, "mobilenet_v2_mixed");
  CHECK(bitops(mobilenet, example) > bitops(mobilenet, uniform(mobilenet, "w4a4")));
  CHECK(bitops(mobilenet, example) < bitops(mobilenet, uniform(mobilenet, "w6a6")));
}

TEST_CASE("the mixed example for MobileNet-V2 gives every depthwise layer 6 bits") {
  const Network network = shipped_network("mobilenet_v2");
  const WidthPlan plan = plan_of(network, "mobilenet_v2_mixed");
  int depthwise = 0;
  for (std::size_t i = 0; i < network.layers().size(); ++i) {
    if (network.layers()[i].compute && network.layers()[i].compute->groups > 1) {
      INFO(network.layers()[i].name);
      CHECK(plan.layers[i].weight == 6);
      CHECK(plan.layers[i].activation == 6);
      ++depthwise;
    }
  }
  CHECK(depthwise == 17);
}
