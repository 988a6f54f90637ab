#include "models/network/stored_widths.hpp"

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/network/network_yaml.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

namespace {

LayerId id(const Network& network, const std::string& name) {
  return network.find_layer(name).value();
}

TensorId after(const Network& network, const std::string& name) {
  return network.layers()[id(network, name)].output;
}

BitWidth stored(const StorageRule& rule, const std::vector<LayerWidths>& layers) {
  BitWidth bits = rule.floor;
  for (const LayerId reader : rule.readers) bits = std::max(bits, layers[reader].activation);
  return bits;
}

// Widths that name layers with multiply-accumulates only.
Assignment random_assignment(const Network& network, std::mt19937& random) {
  std::uniform_int_distribution<BitWidth> width(1, 16);
  Assignment assignment;
  assignment.name = "random";
  assignment.defaults = {width(random), width(random)};
  assignment.output_bits = width(random);
  for (const Layer& layer : network.layers()) {
    if (!has_macs(layer.kind) || width(random) > 12) continue;
    assignment.rules.push_back({layer.name, std::nullopt, width(random), {}});
  }
  return assignment;
}

void check_agreement(const Network& network, std::mt19937& random) {
  for (int run = 0; run < 20; ++run) {
    const Assignment assignment = random_assignment(network, random);
    const WidthPlan plan = resolve_widths(network, assignment);
    const std::vector<StorageRule> rules = storage_rules(network, assignment.output_bits);
    REQUIRE(rules.size() == plan.stored.size());
    for (TensorId tensor = 0; tensor < rules.size(); ++tensor) {
      INFO(network.name() << ": " << network.tensors()[tensor].name);
      CHECK(stored(rules[tensor], plan.layers) == plan.stored[tensor]);
    }
  }
}

const char* const kBranches = R"(schema: network/1
name: branches
inputs: {x: [1, 4, 2, 2], unread: [1, 2]}
layers:
  - {name: a, kind: convolution, inputs: [x], out_channels: 4, kernel: 1}
  - {name: c, kind: convolution, inputs: [a], out_channels: 4, kernel: 1}
  - {name: sum, kind: add, inputs: [a, c]}
  - {name: b, kind: convolution, inputs: [sum], out_channels: 4, kernel: 1}
  - {name: pool, kind: global_average_pool, inputs: [sum]}
  - {name: lost, kind: global_average_pool, inputs: [c]}
  - {name: forgotten, kind: convolution, inputs: [x], out_channels: 2, kernel: 1}
outputs: [b, pool]
)";

}  // namespace

TEST_CASE("readers are the layers with MACs that read a tensor or what others make of it") {
  const Network network = parse_network(kBranches, "branches.yaml");
  const std::vector<StorageRule> rules = storage_rules(network, 6);
  const LayerId a = id(network, "a");
  const LayerId b = id(network, "b");
  const LayerId c = id(network, "c");
  const LayerId forgotten = id(network, "forgotten");
  CHECK(rules[network.layers()[a].inputs.front()] == StorageRule{0, {a, forgotten}});
  // sum asks for what its own output is stored at: b reads it, and pool, an output of the network.
  CHECK(rules[after(network, "sum")] == StorageRule{6, {b}});
  CHECK(rules[after(network, "a")] == StorageRule{6, {std::min(b, c), std::max(b, c)}});
  CHECK(rules[after(network, "c")] == StorageRule{6, {b}});
  CHECK(rules[after(network, "b")] == StorageRule{6, {}});
  CHECK(rules[after(network, "pool")] == StorageRule{6, {}});
}

TEST_CASE("a tensor that nobody reads is stored as an output is") {
  const Network network = parse_network(kBranches, "branches.yaml");
  const std::vector<StorageRule> rules = storage_rules(network, 5);
  CHECK(rules[after(network, "lost")] == StorageRule{5, {}});
  CHECK(rules[after(network, "forgotten")] == StorageRule{5, {}});
  const auto unread = std::find_if(network.tensors().begin(), network.tensors().end(),
                                   [](const Tensor& tensor) { return tensor.name == "unread"; });
  CHECK(rules[static_cast<TensorId>(unread - network.tensors().begin())] == StorageRule{5, {}});

  Assignment assignment = parse_uniform_assignment("w4a3");
  assignment.output_bits = 5;
  const WidthPlan plan = resolve_widths(network, assignment);
  CHECK(plan.stored[after(network, "lost")] == 5);
  CHECK(plan.stored[after(network, "forgotten")] == 5);
  CHECK(plan.layers[id(network, "lost")].activation == 5);
}

TEST_CASE("rules say what an assignment of layers with MACs resolves to") {
  std::mt19937 random(20260);
  check_agreement(parse_network(kBranches, "branches.yaml"), random);
  int networks = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(WIDTHWISE_SOURCE_DIR) + "/workloads")) {
    if (entry.path().extension() != ".yaml") continue;
    check_agreement(read_network(entry.path().string()), random);
    ++networks;
  }
  CHECK(networks >= 15);
}

}  // namespace widthwise
