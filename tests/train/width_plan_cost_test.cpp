// What whole widths cost: per layer what layer_points() says, per channel a run per width.
#include "train/width_plan_cost.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "models/cost/machine_model.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"

namespace widthwise {

namespace {

std::string data(const std::string& name) {
  return std::string(WIDTHWISE_SOURCE_DIR) + "/" + name + ".yaml";
}

Network network_of(const std::string& layers) {
  return parse_network(
      "schema: network/1\nname: net\ninputs: {x: [1, 4, 4, 4]}\nlayers:\n" + layers, "net.yaml");
}

// Every way that channels take from one layer to the next.
Network paths() {
  return network_of(R"(
  - {name: a, kind: convolution, out_channels: 8, kernel: 3, padding: 1}
  - {name: relu, kind: activation, function: silu}
  - {name: d, kind: convolution, out_channels: 8, kernel: 3, padding: 1, groups: 8}
  - {name: e, kind: convolution, out_channels: 8, kernel: 1}
  - {name: sum, kind: add, inputs: [e, d]}
  - {name: f, kind: convolution, out_channels: 4, kernel: 1}
  - {name: flat, kind: flatten}
  - {name: fc, kind: fully_connected, out_features: 10, bias: true}
)");
}

struct Case {
  Case(Network of, const std::string& machine, const std::vector<std::string>& overrides = {})
      : accelerator(read_accelerator(data("configs/accelerators/" + machine), overrides)),
        network(std::move(of)),
        model(analytic_cost_model(network, accelerator,
                                  read_energy_table(accelerator.energy_table))) {}

  [[nodiscard]] ChoiceCost cost(const std::vector<LayerChoice>& choices) const {
    return choice_cost(network, *model, accelerator, choices);
  }
  [[nodiscard]] double total(const std::vector<LayerChoice>& choices,
                             const std::string& metric) const {
    return cost(choices).totals[metric_index(model->metrics(), metric)];
  }

  Accelerator accelerator;
  Network network;
  std::unique_ptr<MachineCostModel> model;
};

/// Every layer with one weight width.
std::vector<LayerChoice> uniform(const Network& network, BitWidth weight, BitWidth activation) {
  std::vector<LayerChoice> choices;
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    if (network.layers()[id].compute) choices.push_back({id, {weight}, activation});
  }
  return choices;
}

LayerChoice& of(const Network& network, std::vector<LayerChoice>& choices,
                const std::string& name) {
  const LayerId id = network.find_layer(name).value();
  return *std::find_if(choices.begin(), choices.end(),
                       [&](const LayerChoice& choice) { return choice.layer == id; });
}

std::vector<LayerPoint> points_of(const Case& c, const std::string& name,
                                  const std::vector<LayerChoice>& choices) {
  std::vector<LayerPoint> own;
  for (const LayerPoint& point : choice_points(c.network, c.accelerator, choices)) {
    if (c.network.layers()[point.layer].name == name) own.push_back(point);
  }
  return own;
}

/// A width per channel instead of one.
void spread(const Network& network, std::vector<LayerChoice>& choices) {
  for (LayerChoice& choice : choices) {
    const Layer& layer = network.layers()[choice.layer];
    if (layer.weights == 0) continue;
    choice.weight_bits.assign(
        static_cast<std::size_t>(layer.compute->groups * layer.compute->out_channels),
        choice.weight_bits.front());
  }
}

}  // namespace

TEST_CASE(
    "A width per layer gives the points and the cost of the assignment, also channel by "
    "channel") {
  std::mt19937 random(3);
  for (const char* machine : {"bitfusion_16x32", "bismo_edge_8x8", "systolic_16x16_int8"}) {
    for (const char* name : {"tiny_cnn", "tiny_transformer", "resnet18_cifar"}) {
      INFO(name << " on " << machine);
      const Case c(read_network(data(std::string("workloads/") + name)), machine);
      std::vector<LayerChoice> choices = uniform(c.network, 8, 8);
      Assignment assignment;
      for (LayerChoice& choice : choices) {
        const auto width = [&] { return 1 << std::uniform_int_distribution<int>(1, 3)(random); };
        const Layer& layer = c.network.layers()[choice.layer];
        choice = {choice.layer, {width()}, width()};
        WidthRule rule{layer.name, std::nullopt, choice.activation_bits, {}};
        if (layer.weights > 0) rule.weight = choice.weight_bits.front();
        assignment.rules.push_back(rule);
      }
      const std::vector<LayerPoint> expected =
          layer_points(c.network, resolve_widths(c.network, assignment), c.accelerator);
      CHECK(choice_points(c.network, c.accelerator, choices) == expected);
      const ChoiceCost cost = c.cost(choices);
      CHECK(cost.totals == total_cost(*c.model, expected));
      CHECK(cost.metrics == c.model->metrics());
      REQUIRE(cost.layers.size() == c.network.layers().size());
      for (std::size_t m = 0; m < cost.metrics.size(); ++m) {
        double sum = 0;
        for (const auto& layer : cost.by_layer) sum += layer[m];
        CHECK(sum == Approx(cost.totals[m]).epsilon(1e-12));
      }
      spread(c.network, choices);
      CHECK(choice_points(c.network, c.accelerator, choices) == expected);
    }
  }
}

TEST_CASE("Outputs of the network are stored at the width that is said") {
  const Case c(paths(), "bitfusion_16x32");
  const auto points = choice_points(c.network, c.accelerator, uniform(c.network, 4, 4), 16);
  CHECK(points.back().stored_output == 16);
}

TEST_CASE("A layer of several widths runs once for each, with the channels of that width") {
  const Case c(paths(), "bitfusion_16x32");
  std::vector<LayerChoice> choices = uniform(c.network, 8, 4);
  spread(c.network, choices);
  of(c.network, choices, "e").weight_bits = {4, 2, 4, 8, 2, 4, 2, 4};
  const auto points = points_of(c, "e", choices);
  REQUIRE(points.size() == 3);
  CHECK(points[0].widths == LayerWidths{2, 4});
  CHECK(points[1].widths == LayerWidths{4, 4});
  CHECK(points[2].widths == LayerWidths{8, 4});
  CHECK(points[0].output_share == 3.0 / 8);
  CHECK(points[1].output_share == 4.0 / 8);
  CHECK(points[2].output_share == 1.0 / 8);
  for (const LayerPoint& point : points) CHECK(point.input_share == 1);
  CHECK(points_of(c, "f", choices).size() == 1);

  // 16 positions, 8 inputs: each channel has 128 products, and 8 weights.
  const auto uniformly = [&](BitWidth weight) { return uniform(c.network, weight, 4); };
  auto at_8 = uniformly(8);
  const double mixed = 128 * 4 * (3 * 2 + 4 * 4 + 1 * 8);
  CHECK(c.total(choices, "bitops") == c.total(at_8, "bitops") - 8 * 128 * 4 * 8 + mixed);
  CHECK(c.total(choices, "macs") == c.total(at_8, "macs"));
  CHECK(c.total(choices, "weight_bytes") ==
        Approx(c.total(at_8, "weight_bytes") - 8 * 8 + (3 * 2 + 4 * 4 + 1 * 8)));
  // Not below the narrowest of its widths throughout.
  auto at_2 = uniformly(8);
  of(c.network, at_2, "e").weight_bits = {2};
  for (const char* metric : {"latency_cycles", "energy_pj"}) {
    CHECK(c.total(choices, metric) > c.total(at_2, metric));
  }
}

TEST_CASE("Every count of channels survives its share") {
  const std::string layers =
      "  - {name: a, kind: convolution, out_channels: 509, kernel: 1}\n"
      "  - {name: b, kind: convolution, out_channels: 3, kernel: 1}\n";
  const Case c(network_of(layers), "bismo_edge_8x8");
  for (std::int64_t kept = 1; kept <= 509; ++kept) {
    std::vector<LayerChoice> choices = uniform(c.network, 4, 4);
    spread(c.network, choices);
    auto& widths = choices.front().weight_bits;
    std::fill(widths.begin() + kept, widths.end(), 0);
    const auto points = choice_points(c.network, c.accelerator, choices);
    REQUIRE(points.size() == 2);
    const auto shape = [&](std::size_t i) {
      return *pruned_layer(c.network.layers()[i], points[i].input_share, points[i].output_share)
                  .compute;
    };
    CHECK(shape(0).out_channels == kept);
    CHECK(shape(1).in_channels == kept);
  }
}

TEST_CASE("Pruned channels are gone where they are read") {
  const Case c(paths(), "bismo_edge_8x8");
  std::vector<LayerChoice> choices = uniform(c.network, 4, 4);
  spread(c.network, choices);
  const auto shares = [&](const std::string& name) {
    const auto points = points_of(c, name, choices);
    REQUIRE(points.size() == 1);
    return std::pair(points[0].input_share, points[0].output_share);
  };
  using Shares = std::pair<double, double>;
  std::vector<double> before = c.cost(choices).totals;
  const auto is_lower = [&] {
    const std::vector<double> now = c.cost(choices).totals;
    for (const char* metric : {"latency_cycles", "energy_pj", "macs", "bitops", "weight_bytes"}) {
      INFO(metric);
      const std::size_t m = metric_index(c.model->metrics(), metric);
      CHECK(now[m] < before[m]);
    }
    before = now;
  };

  of(c.network, choices, "a").weight_bits = {0, 0, 0, 0, 4, 4, 4, 4};
  CHECK(shares("a") == Shares{1, 0.5});
  CHECK(shares("relu") == Shares{0.5, 0.5});
  CHECK(shares("d").second == 0.5);
  CHECK(shares("e") == Shares{0.5, 1});
  CHECK(shares("sum") == Shares{0.75, 1});  // all of e's, half of d's
  CHECK(shares("f") == Shares{1, 1});
  is_lower();

  // Depthwise: of its own six two have no input.
  of(c.network, choices, "d").weight_bits = {4, 4, 0, 4, 4, 4, 4, 0};
  CHECK(shares("d").second == 3.0 / 8);
  CHECK(shares("e") == Shares{3.0 / 8, 1});
  is_lower();
  of(c.network, choices, "e").weight_bits = {0, 0, 0, 0, 4, 4, 4, 4};
  CHECK(shares("sum").second == 0.5);
  CHECK(shares("f") == Shares{0.5, 1});
  is_lower();
  of(c.network, choices, "f").weight_bits = {4, 0, 4, 4};
  CHECK(shares("fc") == Shares{0.75, 1});
  is_lower();

  // Nothing is left of a: what reads it alone does not run.
  of(c.network, choices, "a").weight_bits.assign(8, 0);
  for (const char* name : {"a", "relu", "d", "e", "sum", "f", "fc"}) {
    INFO(name);
    CHECK(points_of(c, name, choices).empty() ==
          (std::string(name) != "sum" && std::string(name) != "f" && std::string(name) != "fc"));
  }
}

TEST_CASE("A tensor of which enough is pruned stays on chip") {
  // a's output has 8 channels of 16 elements: 128 B at 8 bits.
  const Case c(network_of("  - {name: a, kind: convolution, out_channels: 8, kernel: 1}\n"
                          "  - {name: b, kind: convolution, out_channels: 2, kernel: 1}\n"),
               "systolic_16x16_int8", {"memory.scratchpad.capacity=64 B"});
  std::vector<LayerChoice> choices = uniform(c.network, 8, 8);
  spread(c.network, choices);
  const auto home = [&] {
    const auto points = choice_points(c.network, c.accelerator, choices);
    CHECK(points[1].input_homes.front() == points[0].output_home);
    return points[0].output_home;
  };
  CHECK(home() == Home::dram);
  choices[0].weight_bits = {8, 8, 8, 8, 8, 0, 0, 0};
  CHECK(home() == Home::dram);
  choices[0].weight_bits = {8, 8, 8, 8, 0, 0, 0, 0};
  CHECK(home() == Home::scratchpad);
}

TEST_CASE("Widths that nothing has are refused") {
  const Case c(paths(), "bitfusion_16x32");
  CHECK_THROWS_AS(c.cost(uniform(c.network, 17, 8)), InputError);
  CHECK_THROWS_AS(c.cost(uniform(c.network, 8, 0)), InputError);
  auto wrong = uniform(c.network, 8, 8);
  wrong.front().weight_bits = {8, 8};
  CHECK_THROWS_AS(c.cost(wrong), InternalError);
  wrong = uniform(c.network, 8, 8);
  wrong.pop_back();
  CHECK_THROWS_AS(c.cost(wrong), InternalError);
}

}  // namespace widthwise
