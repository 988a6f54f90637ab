#include "models/table/channel_cost.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "models/network/network_yaml.hpp"
#include "models/table/table_csv.hpp"
#include "tests/table/synthetic_table.hpp"

namespace widthwise {

namespace {

using Widths = std::vector<double>;

Network network_of(const std::string& layers, const std::string& inputs = "x: [1, 4, 4, 4]") {
  return parse_network("schema: network/1\nname: net\ninputs: {" + inputs + "}\nlayers:\n" + layers,
                       "net.yaml");
}

Network chain() {
  return network_of(R"(
  - {name: a, kind: convolution, out_channels: 4, kernel: 1}
  - {name: b, kind: convolution, out_channels: 2, kernel: 1}
)");
}

// Every way that channels take from one layer to the next.
Network paths() {
  return network_of(R"(
  - {name: a, kind: convolution, out_channels: 8, kernel: 3, padding: 1}
  - {name: relu, kind: activation, function: silu}
  - {name: pool, kind: max_pool, kernel: 2}
  - {name: d, kind: convolution, out_channels: 8, kernel: 3, padding: 1, groups: 8}
  - {name: e, kind: convolution, out_channels: 8, kernel: 1}
  - {name: sum, kind: add, inputs: [e, d]}
  - {name: both, kind: concat, inputs: [sum, pool]}
  - {name: f, kind: convolution, out_channels: 4, kernel: 1}
  - {name: flat, kind: flatten}
  - {name: fc, kind: fully_connected, out_features: 10}
)");
}

Network workload(const std::string& name) {
  return read_network(std::string(WIDTHWISE_SOURCE_DIR) + "/workloads/" + name + ".yaml");
}

struct Evaluated {
  double value = 0;
  Widths channels, activations;  // gradients
};

Evaluated evaluate(const ChannelCost& cost, const Widths& channels, const Widths& activations) {
  Evaluated result;
  result.channels.assign(channels.size(), -1);
  result.activations.assign(activations.size(), -1);
  result.value = cost.evaluate(channels, activations, result.channels, result.activations);
  CHECK(cost.evaluate(channels, activations) == result.value);
  return result;
}

std::size_t variable(const ChannelCost& cost, const std::string& name) {
  const auto& names = cost.variables();
  const auto found = std::find(names.begin(), names.end(), name);
  REQUIRE(found != names.end());
  return static_cast<std::size_t>(found - names.begin());
}

// Sets channels [from, to) of a layer.
void set(const ChannelCost& cost, const std::string& name, std::size_t from, std::size_t to,
         double bits, Widths& channels) {
  const std::size_t begin = cost.offsets()[variable(cost, name)];
  for (std::size_t c = begin + from; c < begin + to; ++c) channels.at(c) = bits;
}

// The row of a layer at widths of 8 throughout and these shares.
double row(const CostTable& table, const std::string& layer, double input_share,
           double output_share) {
  for (const TableRow& any : table.rows) {
    if (table.layers[any.layer] == layer && any.at[index_of(Axis::weight_bits)] == 8 &&
        any.at[index_of(Axis::activation_bits)] == 8 &&
        any.at[index_of(Axis::input_share)] == input_share &&
        any.at[index_of(Axis::output_share)] == output_share) {
      return any.values[0];
    }
  }
  FAIL("the table lacks " << layer << " at " << input_share << ", " << output_share);
  return 0;
}

CostTable with_shares(const Network& network) {
  return synthetic::table(network, {.widths = {4, 8}, .shares = {0.5, 1}},
                          synthetic::scattered_cost(network));
}

Widths random_activations(std::size_t count, std::mt19937& random) {
  std::uniform_real_distribution<double> fraction(0.02, 0.98);
  std::uniform_int_distribution<int> whole(1, 7);
  Widths widths;
  for (std::size_t i = 0; i < count; ++i) widths.push_back(whole(random) + fraction(random));
  return widths;
}

// Many of them between 0 and 1.
Widths random_channels(std::size_t count, std::mt19937& random) {
  std::uniform_real_distribution<double> fraction(0.01, 0.99);
  std::uniform_int_distribution<int> whole(-3, 7);
  Widths widths;
  for (std::size_t i = 0; i < count; ++i) {
    widths.push_back(std::max(0, whole(random)) + fraction(random));
  }
  return widths;
}

void check_slopes(const ChannelCost& cost, std::mt19937& random, int runs) {
  const double step = 1e-4;
  for (int run = 0; run < runs; ++run) {
    Widths channels = random_channels(cost.offsets().back(), random);
    Widths activations = random_activations(cost.variables().size(), random);
    const Evaluated exact = evaluate(cost, channels, activations);
    const auto slope = [&](double& width) {
      const double at = width;
      width = at + step;
      const double more = cost.evaluate(channels, activations);
      width = at - step;
      const double less = cost.evaluate(channels, activations);
      width = at;
      return (more - less) / (2 * step);
    };
    const double margin = 1e-10 * exact.value;
    for (std::size_t c = 0; c < channels.size(); ++c) {
      INFO("channel " << c << " at " << channels[c]);
      CHECK(exact.channels[c] == Approx(slope(channels[c])).epsilon(1e-6).margin(margin));
    }
    for (std::size_t i = 0; i < activations.size(); ++i) {
      INFO(cost.variables()[i]);
      CHECK(exact.activations[i] == Approx(slope(activations[i])).epsilon(1e-6).margin(margin));
    }
  }
}

const char* const kChainTable = R"(layer,weight_bits,activation_bits,cost
a,1,8,10
a,2,8,16
a,3,8,30
b,1,8,60
b,2,8,120
b,3,8,200
)";

}  // namespace

TEST_CASE("channels of several widths by hand: shares of the whole layer's costs") {
  const ChannelCost cost(bind_table(parse_cost_table(kChainTable, "t.csv"), chain()), "cost");
  CHECK(cost.variables() == std::vector<std::string>{"a", "b"});
  CHECK(cost.offsets() == std::vector<std::size_t>{0, 4, 6});
  // Of a's channels one is pruned, one has 1 bit, one and a half have 2 and a half has 3; b reads
  // three of four.
  const Evaluated result = evaluate(cost, {0, 2, 2.5, 1, 3, 3}, {8, 8});
  CHECK(result.value == Approx((10 + 1.5 * 16 + 0.5 * 30) / 4 + 0.75 * 200));
  // A channel of 0 bits that comes back brings a quarter of 10, and a quarter of b's 200.
  CHECK(result.channels[0] == Approx(2.5 + 50));
  CHECK(result.channels[1] == Approx((30.0 - 16) / 4));
  CHECK(result.channels[2] == Approx((30.0 - 16) / 4));
  CHECK(result.channels[3] == Approx((16.0 - 10) / 4));
  CHECK(result.channels[4] == Approx(0.75 * (200 - 120) / 2));  // at the greatest width: from below
  CHECK(result.channels[5] == result.channels[4]);
  CHECK(result.activations == Widths{0, 0});
  // All of a is gone, and with it b's input.
  CHECK(evaluate(cost, {0, 0, 0, 0, 3, 3}, {8, 8}).value == 0);
  CHECK(evaluate(cost, {0, 0, 0, 0, 3, 3}, {8, 8}).channels[0] == Approx(2.5 + 50));
  // More bits than the table has cost no more.
  CHECK(evaluate(cost, {9, 3, 3, 3, 3, 3}, {8, 8}).value == 230);
  CHECK(evaluate(cost, {9, 3, 3, 3, 3, 3}, {8, 8}).channels[0] == 0);
}

TEST_CASE("with equal widths in every channel the cost is the cost per layer") {
  std::mt19937 random(21);
  const auto check = [&](const Network& network, const CostTable& table) {
    INFO(network.name());
    const FractionalCost layers(bind_table(table, network), "cost");
    const ChannelCost channels(bind_table(table, network), "cost");
    REQUIRE(channels.variables() == layers.variables());
    const std::size_t count = layers.variables().size();
    for (int run = 0; run < 10; ++run) {
      Widths weights = random_activations(count, random);
      Widths activations = random_activations(count, random);
      if (run < 5) {
        for (double& width : weights) width = std::round(width);
        for (double& width : activations) width = std::round(width);
      }
      Widths all(channels.offsets().back());
      for (std::size_t i = 0; i < count; ++i) {
        std::fill(all.begin() + static_cast<std::ptrdiff_t>(channels.offsets()[i]),
                  all.begin() + static_cast<std::ptrdiff_t>(channels.offsets()[i + 1]), weights[i]);
      }
      Widths to_weights(count);
      Widths to_activations(count);
      const double value = layers.evaluate(weights, activations, to_weights, to_activations);
      const Evaluated result = evaluate(channels, all, activations);
      if (run < 5) {
        CHECK(result.value == value);
      } else {
        CHECK(result.value == Approx(value).epsilon(1e-12));
      }
      for (std::size_t i = 0; i < count; ++i) {
        CHECK(result.activations[i] == Approx(to_activations[i]).margin(1e-9 * value));
        double sum = 0;
        for (std::size_t c = channels.offsets()[i]; c < channels.offsets()[i + 1]; ++c) {
          sum += result.channels[c];
        }
        CHECK(sum == Approx(to_weights[i]).margin(1e-9 * value));
      }
    }
  };
  for (const std::string name : {"tiny_cnn", "tiny_transformer", "resnet18_cifar"}) {
    const Network network = workload(name);
    check(network, synthetic::table(network, {}, synthetic::scattered_cost(network)));
  }
  for (const Network& network : {workload("tiny_cnn"), workload("tiny_transformer"), paths()}) {
    CostTable table = synthetic::table(
        network, {.widths = {2, 3, 8}, .stored = true, .homes = true, .shares = {0.5, 1}},
        synthetic::scattered_cost(network));
    table.provenance = {{"scratchpad_bytes", "100"}};
    check(network, table);
  }
}

TEST_CASE("half of the channels takes the rows of the pruned shapes, wherever they go") {
  const Network network = paths();
  const CostTable table = with_shares(network);
  const ChannelCost cost(bind_table(table, network), "cost");
  const Widths whole(cost.offsets().back(), 8);
  const Widths activations(cost.variables().size(), 8);
  const auto others = [&](const std::vector<std::string>& pruned) {
    double sum = 0;
    for (const std::string& layer : table.layers) {
      if (std::find(pruned.begin(), pruned.end(), layer) == pruned.end()) {
        sum += row(table, layer, 1, 1);
      }
    }
    return sum;
  };
  CHECK(cost.evaluate(whole, activations) == others({}));

  // Through activation, pool and depthwise layer to the sum, where e's channels are left; and to
  // the half of the concatenation that comes from the pool.
  Widths channels = whole;
  set(cost, "a", 0, 4, 0, channels);
  CHECK(cost.evaluate(channels, activations) ==
        Approx(others({"a", "relu", "pool", "d", "e", "both", "f"}) + row(table, "a", 1, 0.5) +
               row(table, "relu", 1, 0.5) + row(table, "pool", 1, 0.5) + row(table, "d", 1, 0.5) +
               row(table, "e", 0.5, 1) +
               (row(table, "both", 1, 0.5) + row(table, "both", 1, 1)) / 2 +
               (row(table, "f", 0.5, 1) + row(table, "f", 1, 1)) / 2));

  // e lacks the same channels: the sum has half, and so has what is concatenated.
  set(cost, "e", 0, 4, 0, channels);
  CHECK(cost.evaluate(channels, activations) ==
        others({"a", "relu", "pool", "d", "e", "sum", "both", "f"}) + row(table, "a", 1, 0.5) +
            row(table, "relu", 1, 0.5) + row(table, "pool", 1, 0.5) + row(table, "d", 1, 0.5) +
            row(table, "e", 0.5, 0.5) + row(table, "sum", 1, 0.5) + row(table, "both", 1, 0.5) +
            row(table, "f", 0.5, 1));

  // e lacks the others: all of the sum's channels are left.
  set(cost, "e", 0, 4, 8, channels);
  set(cost, "e", 4, 8, 0, channels);
  CHECK(cost.evaluate(channels, activations) ==
        Approx(others({"a", "relu", "pool", "d", "e", "both", "f"}) + row(table, "a", 1, 0.5) +
               row(table, "relu", 1, 0.5) + row(table, "pool", 1, 0.5) + row(table, "d", 1, 0.5) +
               row(table, "e", 0.5, 0.5) +
               (row(table, "both", 1, 0.5) + row(table, "both", 1, 1)) / 2 +
               (row(table, "f", 0.5, 1) + row(table, "f", 1, 1)) / 2));

  // A depthwise layer loses channels of its own and its input's: two are left in both.
  channels = whole;
  set(cost, "d", 2, 6, 0, channels);
  CHECK(cost.evaluate(channels, activations) ==
        others({"d", "e"}) + row(table, "d", 1, 0.5) + row(table, "e", 0.5, 1));
  set(cost, "a", 0, 4, 0, channels);
  CHECK(cost.evaluate(channels, activations) ==
        Approx(others({"a", "relu", "pool", "d", "e", "both", "f"}) + row(table, "a", 1, 0.5) +
               row(table, "relu", 1, 0.5) + row(table, "pool", 1, 0.5) +
               row(table, "d", 1, 0.5) / 2 + row(table, "e", 0.5, 1) / 2 +
               (row(table, "both", 1, 0.5) + row(table, "both", 1, 1)) / 2 +
               (row(table, "f", 0.5, 1) + row(table, "f", 1, 1)) / 2));

  // Flattened into a fully connected layer: 16 of its 4 x 4 features.
  channels = whole;
  set(cost, "f", 1, 3, 0, channels);
  CHECK(cost.evaluate(channels, activations) ==
        others({"f", "fc"}) + row(table, "f", 1, 0.5) + row(table, "fc", 0.5, 1));
  set(cost, "fc", 0, 5, 0, channels);
  CHECK(cost.evaluate(channels, activations) ==
        others({"f", "fc"}) + row(table, "f", 1, 0.5) + row(table, "fc", 0.5, 0.5));
}

TEST_CASE("between the shares of a table the cost is linear, below them in proportion") {
  const CostTable table =
      parse_cost_table(R"(layer,weight_bits,activation_bits,input_share,output_share,cost
a,8,8,1,0.5,60
a,8,8,1,1,80
b,8,8,0.5,1,30
b,8,8,1,1,50
)",
                       "t.csv");
  const ChannelCost cost(bind_table(table, chain()), "cost");
  const auto at = [&](double first, double second, double third, double fourth) {
    return evaluate(cost, {first, second, third, fourth, 8, 8}, {8, 8});
  };
  CHECK(at(8, 8, 8, 8).value == 80 + 50);
  CHECK(at(8, 8, 8, 0).value == 70 + 40);
  CHECK(at(8, 8, 0, 0).value == 60 + 30);
  CHECK(at(8, 0, 0, 0).value == 30 + 15);
  CHECK(at(0, 0, 0, 0).value == 0);
  // A channel that comes back: of four, between 1/2 and 1 a quarter of the way from 60 to 80 and
  // from 30 to 50 doubled; below, a quarter of 60 / 0.5 and of 30 / 0.5.
  CHECK(at(8, 8, 0, 0).channels[3] == Approx(10 + 10));
  CHECK(at(8, 0, 0, 0).channels[3] == Approx(30 + 15));
  CHECK(at(0, 0, 0, 0).channels[3] == Approx(30 + 15));
  CHECK(at(8, 8, 0, 0).channels[0] == 0);
}

TEST_CASE("a layer without MACs may have rows for both of its shares") {
  const Network network = network_of(R"(
  - {name: a, kind: convolution, inputs: [x], out_channels: 4, kernel: 1}
  - {name: b, kind: convolution, inputs: [x], out_channels: 4, kernel: 1}
  - {name: both, kind: mul, inputs: [a, b]}
)");
  const CostTable table = parse_cost_table(
      R"(layer,weight_bits,activation_bits,input_share,output_share,cost
a,8,8,1,1,0
b,8,8,1,1,0
both,8,8,0.5,0.5,10
both,8,8,1,0.5,14
both,8,8,0.5,1,20
both,8,8,1,1,30
)",
      "t.csv");
  const ChannelCost cost(bind_table(table, network), "cost");
  // Three and two of four are read, in the mean 0.625; one is left, half of the least share.
  const Evaluated result = evaluate(cost, {8, 8, 8, 0, 8, 0, 0, 8}, {8, 8});
  CHECK(result.value == 11 * 0.5);
  // One more of a's: an eighth of the input, at 4 / 0.5, and a quarter of the output, at 11 / 0.5.
  CHECK(result.channels[3] == Approx(0.5 * 8 / 8 + 22 / 4.0));
  CHECK(result.channels[5] == Approx(0.5 * 8 / 8 + 22 / 4.0));
}

TEST_CASE("a depthwise layer and layers without MACs fall with their output's share alone") {
  const Network network = network_of(R"(
  - {name: a, kind: convolution, out_channels: 4, kernel: 1}
  - {name: d, kind: convolution, out_channels: 4, kernel: 1, groups: 4}
  - {name: pool, kind: global_average_pool}
)");
  const CostTable table = parse_cost_table(R"(layer,weight_bits,activation_bits,cost
a,8,8,0
d,8,8,100
pool,8,8,1000
)",
                                           "t.csv");
  const ChannelCost cost(bind_table(table, network), "cost");
  CHECK(evaluate(cost, {8, 8, 8, 0, 8, 8, 8, 8}, {8, 8}).value == 75 + 750);
  CHECK(evaluate(cost, {8, 8, 8, 8, 8, 8, 0, 0}, {8, 8}).value == 50 + 500);
  CHECK(evaluate(cost, {8, 8, 0, 0, 8, 0, 8, 0}, {8, 8}).value == 25 + 250);
}

TEST_CASE("a depthwise layer with several outputs per channel loses them together") {
  const Network network = network_of(R"(
  - {name: a, kind: convolution, out_channels: 2, kernel: 1}
  - {name: d, kind: convolution, out_channels: 4, kernel: 1, groups: 2}
  - {name: b, kind: convolution, out_channels: 1, kernel: 1}
)");
  const CostTable table = parse_cost_table(R"(layer,weight_bits,activation_bits,cost
a,8,8,0
d,8,8,100
b,8,8,1000
)",
                                           "t.csv");
  const ChannelCost cost(bind_table(table, network), "cost");
  // The first two outputs are the first channel's; of the others one is pruned.
  CHECK(evaluate(cost, {0, 8, 8, 8, 0, 8, 8}, {8, 8, 8}).value == 25 + 250);
  CHECK(evaluate(cost, {8, 0, 8, 8, 0, 8, 8}, {8, 8, 8}).value == 50 + 500);
}

TEST_CASE("channels in part are left independently: three quarters of a sum of halves") {
  const auto costs_of_reader = [](const std::string& kind) {
    const Network network = network_of(R"(
  - {name: a, kind: convolution, inputs: [x], out_channels: 4, kernel: 1}
  - {name: b, kind: convolution, inputs: [x], out_channels: 4, kernel: 1}
  - {name: both, kind: )" + kind + R"(, inputs: [a, b]}
  - {name: twice, kind: )" + kind + R"(, inputs: [both, both]}
  - {name: reader, kind: convolution, out_channels: 1, kernel: 1}
)");
    const CostTable table = parse_cost_table(
        "layer,weight_bits,activation_bits,cost\na,8,8,0\nb,8,8,0\nreader,8,8,100\n", "t.csv");
    const ChannelCost cost(bind_table(table, network), "cost");
    return evaluate(cost, {0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 8}, {8, 8, 8});
  };
  CHECK(costs_of_reader("add").value == Approx(75));
  CHECK(costs_of_reader("add").channels[0] == Approx(100 / 4.0 * 0.5));
  CHECK(costs_of_reader("mul").value == Approx(25));
  CHECK(costs_of_reader("mul").channels[5] == Approx(100 / 4.0 * 0.5));
}

TEST_CASE("channels are traced as far as shapes leave no doubt, and all count as left beyond") {
  // What half of a's channels leave of the reader's 100.
  const auto left = [](const std::string& between, const std::string& reader,
                       const std::string& inputs = "x: [1, 4, 4, 6]") {
    const Network network = network_of(
        "  - {name: a, kind: convolution, inputs: [x], "
        "out_channels: 8, kernel: 1}\n" +
            between + "  - {name: reader, " + reader + "}\n",
        inputs);
    std::string rows = "layer,weight_bits,activation_bits,cost\nreader,8,8,100\na,8,8,0\n";
    for (const Layer& layer : network.layers()) {
      if (layer.compute && layer.name != "reader" && layer.name != "a") {
        rows += layer.name + ",8,8,0\n";
      }
    }
    const ChannelCost cost(bind_table(parse_cost_table(rows, "t.csv"), network), "cost");
    Widths channels(cost.offsets().back(), 8);
    set(cost, "a", 0, 4, 0, channels);
    return cost.evaluate(channels, Widths(cost.variables().size(), 8));
  };
  const std::string convolution = "kind: convolution, out_channels: 2, kernel: 1";
  const std::string dense = "kind: fully_connected, out_features: 2";
  CHECK(left("", convolution) == 50);
  CHECK(left("  - {name: n, kind: batch_norm}\n", convolution) == 50);
  CHECK(left("  - {name: s, kind: softmax}\n", convolution) == 50);
  CHECK(left("  - {name: u, kind: upsample, factor: 2}\n", convolution) == 50);
  CHECK(left("  - {name: s, kind: slice, axis: 2, end: 2}\n", convolution) == 50);
  CHECK(left("  - {name: m, kind: mean, axes: [2, 3]}\n", dense) == 50);
  CHECK(left("  - {name: m, kind: mean, axes: [2, 3], keep_axes: true}\n", convolution) == 50);
  CHECK(left("  - {name: p, kind: global_average_pool}\n  - {name: f, kind: flatten}\n", dense) ==
        50);
  CHECK(left("  - {name: f, kind: flatten}\n  - {name: g, kind: concat, inputs: [f, f]}\n",
             dense) == 50);
  CHECK(left("  - {name: c, kind: concat, inputs: [a, x]}\n", convolution) ==
        Approx(100 * 8 / 12.0));
  // A gate on every channel, as of squeeze and excitation.
  CHECK(left("  - {name: p, kind: global_average_pool}\n"
             "  - {name: gate, kind: convolution, out_channels: 8, kernel: 1}\n"
             "  - {name: m, kind: mul, inputs: [a, gate]}\n",
             convolution) == 50);
  // Beyond: grouped channels that are not depthwise, moved axes, sums over channels, halves of
  // channels, a sum with all channels, products of activations.
  CHECK(left("  - {name: g, kind: convolution, out_channels: 8, kernel: 1, groups: 2}\n",
             convolution) == 100);
  CHECK(left("  - {name: t, kind: transpose, permutation: [0, 2, 1, 3]}\n", convolution) == 100);
  CHECK(left("  - {name: m, kind: mean, axes: [1, 3]}\n", dense) == 100);
  CHECK(left("  - {name: s, kind: slice, axis: 1, end: 6}\n", convolution) == 100);
  CHECK(left("  - {name: s, kind: add, inputs: [a, y]}\n", convolution,
             "x: [1, 4, 4, 6], y: [1, 8, 4, 6]") == 100);
  CHECK(left("  - {name: f, kind: reshape, shape: [1, 8, 24]}\n", "kind: matmul, inputs: [f, y]",
             "x: [1, 4, 4, 6], y: [1, 24, 3]") == 100);
  CHECK(left("  - {name: c, kind: concat, inputs: [a, a], axis: 2}\n", convolution) == 100);
}

TEST_CASE("gradients are the slopes of the cost by channel, for every form of a table") {
  std::mt19937 random(22);
  const auto table = [](const Network& network, const synthetic::Form& form) {
    CostTable made = synthetic::table(network, form, synthetic::scattered_cost(network));
    made.provenance = {{"scratchpad_bytes", "60"}};
    return made;
  };
  for (const Network& network : {paths(), workload("tiny_cnn"), workload("tiny_transformer")}) {
    INFO(network.name());
    for (const synthetic::Form& form :
         {synthetic::Form{},
          synthetic::Form{.widths = {1, 2, 3, 4, 5, 6, 7, 8}, .shares = {0.3, 0.55, 1}},
          synthetic::Form{.widths = {2, 4, 5, 8}, .stored = true, .shares = {0.3, 1}},
          synthetic::Form{.widths = {2, 4, 5, 8}, .stored = true, .homes = true}}) {
      check_slopes(ChannelCost(bind_table(table(network, form), network), "cost"), random, 3);
    }
  }
}

TEST_CASE("at whole widths the derivative by a channel is the right one") {
  std::mt19937 random(23);
  const Network network = paths();
  const CostTable table =
      synthetic::table(network, {.widths = {1, 2, 3, 4, 5, 6, 7, 8}, .shares = {0.33, 1}},
                       synthetic::scattered_cost(network));
  const ChannelCost cost(bind_table(table, network), "cost");
  const double step = 1e-6;
  std::uniform_int_distribution<int> width(-2, 7);
  for (int run = 0; run < 10; ++run) {
    Widths channels(cost.offsets().back());
    for (double& bits : channels) bits = std::max(0, width(random));
    const Widths activations(cost.variables().size(), 5);
    const Evaluated exact = evaluate(cost, channels, activations);
    for (std::size_t c = 0; c < channels.size(); ++c) {
      const double at = channels[c];
      channels[c] = at + step;
      const double slope = (cost.evaluate(channels, activations) - exact.value) / step;
      channels[c] = at;
      CHECK(exact.channels[c] == Approx(slope).epsilon(1e-4).margin(1e-8 * exact.value));
    }
  }
}

TEST_CASE("pruned tensors take less room on chip") {
  // a's output: 4 channels of 16 elements at 8 bits, 64 bytes.
  CostTable table = parse_cost_table(R"(# scratchpad_bytes: 32
layer,weight_bits,activation_bits,input_on_chip,output_on_chip,cost
a,8,8,0,0,0
a,8,8,0,1,0
b,8,8,0,0,100
b,8,8,1,0,60
)",
                                     "t.csv");
  const ChannelCost cost(bind_table(table, chain()), "cost");
  CHECK(evaluate(cost, {8, 8, 8, 8, 8, 8}, {8, 8}).value == 100);
  CHECK(evaluate(cost, {8, 8, 8, 0, 8, 8}, {8, 8}).value == 75);
  CHECK(evaluate(cost, {8, 8, 0, 0, 8, 8}, {8, 8}).value == 30);
}

TEST_CASE("at equal widths channels run at the greater of their own width and the activations'") {
  const CostTable table = parse_cost_table(R"(layer,weight_bits,activation_bits,cost
a,2,2,20
a,4,4,40
a,8,8,80
b,8,8,0
)",
                                           "t.csv");
  const ChannelCost cost(bind_table(table, chain()), "cost");
  // Two channels run at 4 bits, the activations', one at 6 and one at 8.
  const Evaluated result = evaluate(cost, {2, 3, 6, 8, 8, 8}, {4, 8});
  CHECK(result.value == (40 + 40 + 60 + 80) / 4.0);
  CHECK(result.channels[0] == 0);
  CHECK(result.channels[2] == Approx(2.5));
  CHECK(result.activations[0] == Approx(10 * 0.5));
  // At the same width the activations' derivative is the right one, and so is the channel's.
  const Evaluated equal = evaluate(cost, {4, 4, 8, 8, 8, 8}, {4, 8});
  CHECK(equal.value == 60);
  CHECK(equal.channels[0] == Approx(2.5));
  CHECK(equal.activations[0] == Approx(10 * 0.5));
}

TEST_CASE("costs by channel need a network's layers") {
  const CostTable whole =
      parse_cost_table("layer,weight_bits,activation_bits,cost\n*,8,8,1\n", "t.csv");
  CHECK_THROWS_AS(ChannelCost(bind_table(whole, chain()), "cost"), InputError);
  CHECK_THROWS_AS(ChannelCost(bind_table(parse_cost_table(kChainTable, "t.csv")), "cost"),
                  InputError);
  CHECK_THROWS_AS(ChannelCost(bind_table(parse_cost_table(kChainTable, "t.csv"), chain()), "costs"),
                  InputError);
}

}  // namespace widthwise
