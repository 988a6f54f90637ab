#include "models/table/fractional_cost.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "models/cost/cost_model.hpp"
#include "models/cost/plan.hpp"
#include "models/network/network_yaml.hpp"
#include "models/network/widths.hpp"
#include "models/table/table_csv.hpp"
#include "tests/table/synthetic_table.hpp"

namespace widthwise {

namespace {

using Widths = std::vector<double>;

Network chain() {
  return parse_network(R"(schema: network/1
name: chain
inputs: {x: [1, 2, 2, 2]}
layers:
  - {name: a, kind: convolution, out_channels: 2, kernel: 1}
  - {name: b, kind: convolution, out_channels: 2, kernel: 1}
)",
                       "chain.yaml");
}

// What a makes is read by c and, through the sum, by b.
Network branches() {
  return parse_network(R"(schema: network/1
name: branches
inputs: {x: [1, 2, 2, 2]}
layers:
  - {name: a, kind: convolution, inputs: [x], out_channels: 2, kernel: 1}
  - {name: c, kind: convolution, inputs: [a], out_channels: 2, kernel: 1}
  - {name: sum, kind: add, inputs: [a, c]}
  - {name: b, kind: convolution, inputs: [sum], out_channels: 2, kernel: 1}
)",
                       "branches.yaml");
}

Network product() {
  return parse_network(R"(schema: network/1
name: product
inputs: {x: [1, 4, 4]}
layers:
  - {name: left, kind: fully_connected, inputs: [x], out_features: 4}
  - {name: right, kind: fully_connected, inputs: [x], out_features: 4}
  - {name: scores, kind: matmul, inputs: [left, right]}
  - {name: more, kind: fully_connected, inputs: [right], out_features: 4}
  - {name: sum, kind: add, inputs: [scores, more]}
)",
                       "product.yaml");
}

Network workload(const std::string& name) {
  return read_network(std::string(WIDTHWISE_SOURCE_DIR) + "/workloads/" + name + ".yaml");
}

struct Evaluated {
  double value = 0;
  Widths weight, activation;  // gradients
};

Evaluated evaluate(const FractionalCost& cost, const Widths& weights, const Widths& activations) {
  Evaluated result;
  result.weight.assign(weights.size(), -1);
  result.activation.assign(weights.size(), -1);
  result.value = cost.evaluate(weights, activations, result.weight, result.activation);
  CHECK(cost.evaluate(weights, activations) == result.value);
  return result;
}

template <class Bind>
std::string message_of(Bind&& bind) {
  try {
    bind();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

// Not near a whole number, and no two alike.
Widths between_rows(std::size_t count, std::mt19937& random) {
  std::uniform_real_distribution<double> width(1, 8);
  Widths widths;
  while (widths.size() < count) {
    const double drawn = width(random);
    const bool near = std::abs(drawn - std::round(drawn)) < 0.01 ||
                      std::any_of(widths.begin(), widths.end(),
                                  [&](double other) { return std::abs(other - drawn) < 0.002; });
    if (!near) widths.push_back(drawn);
  }
  return widths;
}

Widths whole(std::size_t count, std::mt19937& random) {
  std::uniform_int_distribution<int> width(1, 8);
  Widths widths;
  for (std::size_t i = 0; i < count; ++i) widths.push_back(width(random));
  return widths;
}

void check_slopes(const FractionalCost& cost, std::mt19937& random, int runs) {
  const double step = 1e-4;
  const std::size_t count = cost.variables().size();
  for (int run = 0; run < runs; ++run) {
    Widths weights = between_rows(count, random);
    Widths activations = between_rows(count, random);
    const Evaluated exact = evaluate(cost, weights, activations);
    const auto slope = [&](double& width) {
      const double at = width;
      width = at + step;
      const double more = cost.evaluate(weights, activations);
      width = at - step;
      const double less = cost.evaluate(weights, activations);
      width = at;
      return (more - less) / (2 * step);
    };
    const double margin = 1e-10 * exact.value;  // what the differences round to
    for (std::size_t i = 0; i < count; ++i) {
      INFO(cost.variables()[i] << " w " << weights[i] << " a " << activations[i]);
      CHECK(exact.weight[i] == Approx(slope(weights[i])).epsilon(1e-6).margin(margin));
      CHECK(exact.activation[i] == Approx(slope(activations[i])).epsilon(1e-6).margin(margin));
    }
  }
}

Assignment named_widths(const FractionalCost& cost, const Network& network, const Widths& weights,
                        const Widths& activations) {
  Assignment assignment;
  assignment.name = "named";
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const Layer& layer = network.layers()[network.find_layer(cost.variables()[i]).value()];
    WidthRule rule{layer.name, std::nullopt, static_cast<BitWidth>(activations[i]), {}};
    if (layer.weights > 0) rule.weight = static_cast<BitWidth>(weights[i]);
    assignment.rules.push_back(rule);
  }
  return assignment;
}

// Where a layer is in the table, from a plan of the network.
AxisValues place_of(const Network& network, const WidthPlan& plan, LayerId id,
                    const std::vector<Home>& homes) {
  const Layer& layer = network.layers()[id];
  AxisValues at{};
  const auto set = [&](Axis axis, double value) { at[index_of(axis)] = value; };
  const bool product = layer.compute && layer.compute->second_operand_is_activation;
  set(Axis::weight_bits, plan.layers[id].weight);
  set(Axis::activation_bits, plan.layers[id].activation);
  double elements = 0;
  double bits = 0;
  double on_chip = 0;
  for (std::size_t i = 0; i < (layer.compute ? 1 : layer.inputs.size()); ++i) {
    const TensorId input = layer.inputs[i];
    const auto count = static_cast<double>(network.tensors()[input].elements());
    elements += count;
    bits += count * plan.stored[input];
    if (homes[input] == Home::scratchpad) on_chip += count * plan.stored[input];
  }
  set(Axis::stored_input_bits, bits / elements);
  set(Axis::input_on_chip, on_chip / bits);
  if (product) {
    set(Axis::stored_second_bits, plan.stored[layer.inputs[1]]);
    set(Axis::second_on_chip, homes[layer.inputs[1]] == Home::scratchpad ? 1 : 0);
  }
  set(Axis::stored_output_bits, plan.stored[layer.output]);
  set(Axis::output_on_chip, homes[layer.output] == Home::scratchpad ? 1 : 0);
  set(Axis::input_share, 1);
  set(Axis::output_share, 1);
  return at;
}

// At whole widths: the rows that the network's layers have under resolve_widths().
void check_rows(const Network& network, CostTable table, double scratchpad_bytes,
                std::mt19937& random) {
  table.provenance.emplace_back("scratchpad_bytes", std::to_string(scratchpad_bytes));
  const FractionalCost cost(bind_table(table, network), "cost");
  const std::size_t count = cost.variables().size();
  int all_rows = 0;
  for (int run = 0; run < 40; ++run) {
    const Widths weights = run < 8 ? Widths(count, run + 1) : whole(count, random);
    const Widths activations = run < 8 ? Widths(count, 8 - run) : whole(count, random);
    const WidthPlan plan =
        resolve_widths(network, named_widths(cost, network, weights, activations));
    const std::vector<double> stored(plan.stored.begin(), plan.stored.end());
    const std::vector<Home> homes = place_tensors(network, stored, scratchpad_bytes);
    double sum = 0;
    int rows = 0;
    for (LayerId id = 0; id < network.layers().size(); ++id) {
      const AxisValues at = place_of(network, plan, id, homes);
      const auto row = std::find_if(table.rows.begin(), table.rows.end(), [&](const TableRow& any) {
        return any.layer == id && std::all_of(table.axes.begin(), table.axes.end(), [&](Axis axis) {
                 return any.at[index_of(axis)] == at[index_of(axis)];
               });
      });
      if (row != table.rows.end()) ++rows;
      // No row: inputs of a sum that are stored differently.
      sum += row != table.rows.end() ? row->values[0] : interpolate(layer_grid(table, id), 0, at);
    }
    if (rows == static_cast<int>(network.layers().size())) {
      ++all_rows;
      CHECK(cost.evaluate(weights, activations) == sum);
    } else {
      CHECK(cost.evaluate(weights, activations) == Approx(sum).epsilon(1e-12));
    }
  }
  INFO(network.name() << " " << scratchpad_bytes);
  CHECK(all_rows >= 8);
}

CostTable plain(const Network& network) {
  return synthetic::table(network, {}, synthetic::scattered_cost(network));
}

CostTable by_stored_widths(const Network& network) {
  return synthetic::table(network, {.stored = true}, synthetic::scattered_cost(network));
}

CostTable by_homes(const Network& network) {
  return synthetic::table(network, {.stored = true, .homes = true},
                          synthetic::scattered_cost(network));
}

const char* const kBranchesTable =
    R"(layer,weight_bits,activation_bits,stored_input_bits,stored_output_bits,cost
a,8,8,8,2,20
a,8,8,8,4,30
c,8,2,2,2,10
c,8,2,2,4,13
c,8,2,4,2,15
c,8,2,4,4,18
c,8,4,4,2,19
c,8,4,4,4,22
sum,2,2,2,2,7
sum,2,2,4,2,9
sum,4,4,4,4,12
b,8,2,2,8,40
b,8,4,4,8,60
)";

}  // namespace

TEST_CASE("a plain table by hand: bilinear in each layer, summed") {
  const CostTable table = parse_cost_table(R"(layer,weight_bits,activation_bits,cost
a,2,2,10
a,2,4,14
a,4,2,16
a,4,4,24
b,2,2,100
b,2,4,140
b,4,2,180
b,4,4,300
)",
                                           "t.csv");
  const FractionalCost cost(bind_table(table, chain()), "cost");
  CHECK(cost.variables() == std::vector<std::string>{"a", "b"});
  // a: half way up in weights, a quarter in activations: (10 + 1 + 16 + 2) / 2. b: at a row, on the
  // edge of the table in activations.
  const Evaluated result = evaluate(cost, {3, 2}, {2.5, 4});
  CHECK(result.value == 14.5 + 140);
  CHECK(result.weight == Widths{3.5, 80});
  CHECK(result.activation == Widths{3, 20});
  // Outside: as at the edge.
  const Evaluated outside = evaluate(cost, {1, 7}, {2, 1});
  CHECK(outside.value == 10 + 180);
  CHECK(outside.weight == Widths{0, 0});
  CHECK(outside.activation == Widths{2, 0});
}

TEST_CASE("a table by stored widths by hand: every layer pays for its tensors") {
  const CostTable table = parse_cost_table(kBranchesTable, "t.csv");
  const FractionalCost cost(bind_table(table, branches()), "cost");
  REQUIRE(cost.variables() == std::vector<std::string>{"a", "c", "b"});
  // c reads at 3 bits and b at 2: what a makes is stored at 3, what c makes and the sum at 2.
  const Evaluated result = evaluate(cost, {8, 8, 8}, {8, 3, 2});
  // a writes at 3: 25. c on the diagonal at 3, writes at 2: (10 + 19) / 2. The sum, at 2, reads 3
  // and 2, in the mean 2.5: 7 + 2 / 4. b: 40.
  CHECK(result.value == 25 + 14.5 + 7.5 + 40);
  CHECK(result.weight == Widths{0, 0, 0});
  // To c: from a's output 5, c's activations (19 - 15) / 2 and its input (15 - 10) / 2, half of the
  // sum's input 1. To b: from c's output 3 / 2, the other half of the sum's input, the sum's own
  // width (10 + 0.25 x 2 - 7.5) / 2 with 12 + 7 - 9 = 10 where no row can be, and its own 10.
  CHECK(result.activation == Widths{0, 5 + 2 + 2.5 + 0.5, 1.5 + 0.5 + 1.5 + 10});
}

TEST_CASE("the first of the readers that ask for most gets the derivative") {
  const CostTable table = parse_cost_table(kBranchesTable, "t.csv");
  const FractionalCost cost(bind_table(table, branches()), "cost");
  // Both read at 3: a's output is stored at 3 for c's sake. The sum reads and writes at 3.
  const Evaluated result = evaluate(cost, {8, 8, 8}, {8, 3, 3});
  CHECK(result.value == 25 + (14.5 + 1.5) + 9.5 + 50);
  const double sum_by_input = 1;             // 9 - 7 over 2, at every width
  const double sum_by_own = (12.0 - 9) / 2;  // all of it b's
  CHECK(result.activation ==
        Widths{0, 5 + 2 + 2.5 + 0.5 * sum_by_input, 1.5 + 0.5 * sum_by_input + sum_by_own + 10});
}

TEST_CASE("a reader of a network's output decides from the output's width upwards") {
  const Network network = parse_network(R"(schema: network/1
name: early
inputs: {x: [1, 2, 2, 2]}
layers:
  - {name: a, kind: convolution, out_channels: 2, kernel: 1}
  - {name: b, kind: convolution, out_channels: 2, kernel: 1}
outputs: [a, b]
)",
                                        "early.yaml");
  const CostTable table = parse_cost_table(
      R"(layer,weight_bits,activation_bits,stored_output_bits,cost
a,8,8,8,20
a,8,8,12,60
b,8,8,8,0
)",
      "t.csv");
  const FractionalCost cost(bind_table(table, network), "cost");
  CHECK(evaluate(cost, {8, 8}, {8, 7.5}).value == 20);
  CHECK(evaluate(cost, {8, 8}, {8, 7.5}).activation == Widths{0, 0});
  CHECK(evaluate(cost, {8, 8}, {8, 8}).activation == Widths{0, 10});
  CHECK(evaluate(cost, {8, 8}, {8, 9}).value == 30);
}

TEST_CASE("tensors lie on chip as long as they fit at the widths given") {
  // What a makes has 8 elements: 4 bytes at 4 bits.
  CostTable table = parse_cost_table(
      "# scratchpad_bytes: 4\n"
      "layer,weight_bits,activation_bits,input_on_chip,output_on_chip,cost\n"
      "a,8,8,0,0,100\n"
      "a,8,8,0,1,60\n"
      "b,8,2,0,0,50\n"
      "b,8,2,1,0,20\n"
      "b,8,8,0,0,62\n"
      "b,8,8,1,0,32\n",
      "t.csv");
  const FractionalCost cost(bind_table(table, chain()), "cost");
  const Evaluated on_chip = evaluate(cost, {8, 8}, {8, 4});
  CHECK(on_chip.value == 60 + 24);
  CHECK(on_chip.activation == Widths{0, 2});
  const Evaluated in_dram = evaluate(cost, {8, 8}, {8, 4.5});
  CHECK(in_dram.value == 100 + 55);
  CHECK(in_dram.activation == Widths{0, 2});
  table.provenance.clear();
  CHECK(FractionalCost(bind_table(table, chain()), "cost").evaluate(Widths{8, 8}, Widths{8, 4}) ==
        100 + 54);
  table.provenance = {{"scratchpad_bytes", "-1"}};
  CHECK(message_of([&] { bind_table(table, chain()); }) ==
        "t.csv: error: scratchpad_bytes: expected a number of at least 0, got '-1'");
}

TEST_CASE("at whole widths the cost is the sum of the network's rows") {
  std::mt19937 random(11);
  for (const std::string name : {"tiny_cnn", "tiny_transformer", "lenet5"}) {
    const Network network = workload(name);
    check_rows(network, by_stored_widths(network), 0, random);
    check_rows(network, by_homes(network), 200, random);
  }
  check_rows(branches(), by_homes(branches()), 7, random);
  check_rows(product(), by_homes(product()), 20, random);
}

TEST_CASE("gradients are the slopes of the cost, for every form of a table") {
  std::mt19937 random(12);
  for (const Network& network :
       {branches(), product(), workload("tiny_cnn"), workload("tiny_transformer")}) {
    INFO(network.name());
    check_slopes(FractionalCost(bind_table(plain(network), network), "cost"), random, 10);
    check_slopes(FractionalCost(bind_table(by_stored_widths(network), network), "cost"), random,
                 10);
    CostTable homes = by_homes(network);
    homes.provenance = {{"scratchpad_bytes", "60"}};
    check_slopes(FractionalCost(bind_table(homes, network), "cost"), random, 10);
  }
}

TEST_CASE("between rows the cost is the sum of the layers' interpolants") {
  std::mt19937 random(13);
  const Network network = workload("resnet18_cifar");
  const CostTable table = plain(network);
  const FractionalCost cost(bind_table(table, network), "cost");
  const std::vector<StorageRule> rules = storage_rules(network);
  const Widths weights = between_rows(cost.variables().size(), random);
  const Widths activations = between_rows(cost.variables().size(), random);
  std::vector<std::size_t> variable_of(network.layers().size());
  for (std::size_t i = 0; i < cost.variables().size(); ++i) {
    variable_of[network.find_layer(cost.variables()[i]).value()] = i;
  }
  double sum = 0;
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    const Layer& layer = network.layers()[id];
    AxisValues at{};
    double activation = rules[layer.output].floor;
    for (const LayerId reader : rules[layer.output].readers) {
      activation = std::max(activation, activations[variable_of[reader]]);
    }
    if (layer.compute) activation = activations[variable_of[id]];
    at[index_of(Axis::activation_bits)] = activation;
    at[index_of(Axis::weight_bits)] = layer.compute ? weights[variable_of[id]] : activation;
    sum += interpolate(layer_grid(table, id), 0, at);
  }
  CHECK(cost.evaluate(weights, activations) == Approx(sum).epsilon(1e-12));
}

TEST_CASE("at rows the derivative is the right one") {
  const Network network = branches();
  const FractionalCost cost(bind_table(by_stored_widths(network), network), "cost");
  const double step = 1e-6;
  std::mt19937 random(14);
  for (int run = 0; run < 30; ++run) {
    Widths weights = whole(3, random);
    Widths activations = {1, 2, 3, 4, 5, 6, 7};  // no two alike: nobody shares a derivative
    std::shuffle(activations.begin(), activations.end(), random);
    activations.resize(3);
    for (double& weight : weights) weight = std::min(weight, 7.0);
    const Evaluated exact = evaluate(cost, weights, activations);
    const auto slope = [&](double& width) {
      const double at = width;
      width = at + step;
      const double moved = cost.evaluate(weights, activations);
      width = at;
      return (moved - exact.value) / step;
    };
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(exact.weight[i] == Approx(slope(weights[i])).epsilon(1e-4));
      CHECK(exact.activation[i] == Approx(slope(activations[i])).epsilon(1e-4));
    }
  }
}

TEST_CASE("a product of activations reads its second operand as wide as others ask for") {
  const CostTable table = parse_cost_table(
      R"(layer,weight_bits,activation_bits,stored_input_bits,stored_second_bits,stored_output_bits,cost
left,8,8,8,0,2,1
right,8,8,8,0,2,1
scores,2,2,2,2,8,100
scores,2,2,2,4,8,110
scores,4,4,4,4,8,200
more,8,2,2,0,8,1
more,8,4,4,0,8,1
)",
      "t.csv");
  const Network network = product();
  const FractionalCost cost(bind_table(table, network), "cost");
  REQUIRE(cost.variables() == std::vector<std::string>{"left", "right", "scores", "more"});
  // scores computes at 2 bits, and more has its second operand stored at 3: 105.
  const Evaluated result = evaluate(cost, {8, 8, 16, 8}, {8, 8, 2, 3});
  CHECK(result.value == 2 + 105 + 1);
  CHECK(result.activation[3] == 5);
  // Its own width, at the diagonal of no row: c(4, 2) = 200 + 100 - 110.
  CHECK(result.activation[2] == Approx((190 + 5 - 105) / 2.0));
  CHECK(result.weight[2] == 0);
}

TEST_CASE("a layer without weights has no use for a weight width") {
  // A measured table that has all pairs, of a product too.
  const CostTable table = parse_cost_table(R"(layer,weight_bits,activation_bits,cost
left,8,8,0
right,8,8,0
more,8,8,0
scores,2,2,10
scores,2,4,20
scores,4,2,30
scores,4,4,70
)",
                                           "t.csv");
  const FractionalCost cost(bind_table(table, product()), "cost");
  const Evaluated result = evaluate(cost, {8, 8, 2, 8}, {8, 8, 3, 8});
  CHECK(result.value == (10 + 20 + 30 + 70) / 4.0);
  CHECK(result.weight[2] == 0);
  CHECK(result.activation[2] == 30);  // along the diagonal: 60 / 2, both slopes summed
}

TEST_CASE("at equal widths the greater one gets the derivative") {
  const CostTable table = parse_cost_table(R"(layer,weight_bits,activation_bits,cost
a,2,2,10
a,4,4,30
b,2,2,10
b,4,4,30
)",
                                           "t.csv");
  const FractionalCost cost(bind_table(table, chain()), "cost");
  const Evaluated result = evaluate(cost, {3, 3}, {2, 3});
  CHECK(result.value == 40);
  CHECK(result.weight == Widths{10, 5});
  CHECK(result.activation == Widths{0, 5});
}

TEST_CASE("a layer at equal widths reads no less than it computes with") {
  const CostTable table = parse_cost_table(
      R"(layer,weight_bits,activation_bits,stored_input_bits,cost
a,8,8,8,0
c,2,2,2,10
c,2,2,4,12
c,4,4,4,30
b,8,8,8,0
)",
      "t.csv");
  const FractionalCost cost(bind_table(table, branches()), "cost");
  const Evaluated result = evaluate(cost, {8, 3, 8}, {8, 2, 2});
  CHECK(result.value == 20);
  CHECK(result.weight[1] == 10);
  CHECK(result.activation == Widths{0, 0, 0});
}

TEST_CASE("layers that a table leaves out cost nothing and read at 8 bits") {
  CostTable table = parse_cost_table(R"(# leaves_out: c
layer,weight_bits,activation_bits,stored_output_bits,cost
a,8,8,4,40
a,8,8,8,80
b,8,2,8,3
b,8,8,8,9
)",
                                     "t.csv");
  const NetworkBinding binding = bind_table(table, branches());
  CHECK(binding.variables == std::vector<std::string>{"a", "b"});
  const TensorId output = branches().layers()[branches().find_layer("a").value()].output;
  CHECK(binding.tensors[output] == StorageRule{8, {1}});
  const FractionalCost cost(binding, "cost");
  CHECK(cost.evaluate(Widths{8, 8}, Widths{8, 2}) == 80 + 3);  // the sum has no rows: nothing
}

TEST_CASE("outputs are stored at what the provenance says") {
  CostTable table = plain(branches());
  const TensorId output = branches().layers()[branches().find_layer("b").value()].output;
  CHECK(bind_table(table, branches()).tensors[output] == StorageRule{8, {}});
  table.provenance = {{"output_bits", "16"}};
  CHECK(bind_table(table, branches()).tensors[output] == StorageRule{16, {}});
  table.provenance = {{"output_bits", "7.5"}, {"scratchpad_bytes", "some"}};
  CHECK(message_of([&] { bind_table(table, branches()); }) ==
        "synthetic.csv: error: scratchpad_bytes: expected a number of at least 0, got 'some'\n"
        "synthetic.csv: error: output_bits: expected whole bits of 1..16, got '7.5'");
}

TEST_CASE("binding says how layers depend on variables and tensors") {
  const Network network = product();
  const NetworkBinding binding = bind_table(by_stored_widths(network), network);
  REQUIRE(binding.layers.size() == 5);
  const auto output_of = [&](const char* name) {
    return network.layers()[network.find_layer(name).value()].output;
  };
  const BoundLayer& scores = binding.layers[2];
  CHECK(scores.own == 2);
  CHECK_FALSE(scores.weighted);
  CHECK(scores.inputs == std::vector<std::pair<TensorId, double>>{{output_of("left"), 1.0}});
  CHECK(scores.second == static_cast<std::ptrdiff_t>(output_of("right")));
  CHECK(scores.output == static_cast<std::ptrdiff_t>(output_of("scores")));
  const BoundLayer& sum = binding.layers[4];
  CHECK(sum.own == -1);
  CHECK(sum.second == -1);
  CHECK(sum.inputs == std::vector<std::pair<TensorId, double>>{{output_of("scores"), 0.5},
                                                               {output_of("more"), 0.5}});
  CHECK(binding.layers[0].weighted);
  CHECK(binding.tensors[output_of("right")] == StorageRule{0, {2, 3}});
}

TEST_CASE("a table that is another network's is refused with all that is wrong") {
  CostTable table = parse_cost_table(R"(# leaves_out: head, b
layer,weight_bits,activation_bits,cost
a,2,2,1
a,2,4,1
a,4,2,1
summ,2,2,1
)",
                                     "t.csv");
  CHECK(message_of([&] { bind_table(table, branches()); }) ==
        "t.csv: error: leaves_out: expected a layer of branches, got 'head'\n"
        "t.csv: error: c: expected rows of this layer of branches, got none; leaves_out names what "
        "was not measured\n"
        "t.csv: error: table lacks 'a' at weight_bits 4, activation_bits 4\n"
        "t.csv:6:1: error: layer: expected a layer of branches, got 'summ'; did you mean 'sum'?");
  table.leaves_out = {"a", "b", "c"};
  CHECK(message_of([&] {
          bind_table(table, branches());
        }).find("leaves_out: expected layers without rows, got 'a'") != std::string::npos);
}

TEST_CASE("a table of whole networks has one variable") {
  const CostTable table = parse_cost_table(R"(layer,weight_bits,activation_bits,cost
*,2,2,10
*,2,4,20
*,4,2,30
*,4,4,70
)",
                                           "t.csv");
  for (const NetworkBinding& binding : {bind_table(table), bind_table(table, branches())}) {
    const FractionalCost cost(binding, "cost");
    CHECK(cost.variables() == std::vector<std::string>{"*"});
    const Evaluated result = evaluate(cost, {3}, {2});
    CHECK(result.value == 20);
    CHECK(result.weight == Widths{10});
    CHECK(result.activation == Widths{(10 + 40) / 2.0 / 2.0});
  }
  CHECK(bind_table(table, branches()).network.has_value());
}

TEST_CASE("without its network every layer of a plain table is a variable") {
  const CostTable table = parse_cost_table(R"(layer,kind,weight_bits,activation_bits,cost
conv,convolution,2,2,10
conv,convolution,2,4,20
conv,convolution,4,2,30
conv,convolution,4,4,70
pool,pool,2,2,1
pool,pool,4,4,3
)",
                                           "t.csv");
  const FractionalCost cost(bind_table(table), "cost");
  CHECK(cost.variables() == std::vector<std::string>{"conv", "pool"});
  const Evaluated result = evaluate(cost, {3, 4}, {2, 3});
  CHECK(result.value == 20 + 2);
  CHECK(result.weight == Widths{10, 0});
  CHECK(result.activation == Widths{12.5, 1});
  CHECK(
      message_of([&] { bind_table(by_homes(chain())); })
          .find("stored_input_bits: expected only weight_bits and activation_bits of a table that "
                "is used without its network") != std::string::npos);
}

TEST_CASE("gradients are given where they are asked for") {
  const CostTable table = parse_cost_table(kBranchesTable, "t.csv");
  const FractionalCost cost(bind_table(table, branches()), "cost");
  const Widths weights = {8, 8, 8};
  const Widths activations = {8, 3, 2};
  Widths gradient(3, 77);
  cost.evaluate(weights, activations, gradient);
  CHECK(gradient == Widths{0, 0, 0});
  gradient.assign(3, 77);
  cost.evaluate(weights, activations, {}, gradient);
  CHECK(gradient == evaluate(cost, weights, activations).activation);
  CHECK_THROWS_AS(cost.evaluate(Widths{8, 8}, activations), InternalError);
  CHECK_THROWS_AS(cost.evaluate(Widths{8, NAN, 8}, activations), InternalError);
}

TEST_CASE("an unknown metric is refused with those there are") {
  const CostTable table = parse_cost_table(kBranchesTable, "t.csv");
  CHECK(message_of([&] { FractionalCost(bind_table(table, branches()), "costs"); }) ==
        "error: metric: expected one of 'cost', got 'costs'; did you mean 'cost'?");
  CHECK(metric_index({"latency_cycles", "energy_pj"}, "energy_pj") == 1);
}

TEST_CASE("a network's total is the sum over its points, unless one failed") {
  class Model : public CostModel {
   public:
    [[nodiscard]] const std::vector<std::string>& metrics() const override { return metrics_; }
    [[nodiscard]] std::vector<PointCost> costs(std::span<const LayerPoint> points) override {
      std::vector<PointCost> costs;
      for (const LayerPoint& point : points) {
        if (point.widths.weight == 3) {
          costs.push_back({{}, "the worker crashed"});
        } else {
          costs.push_back({{10.0 * point.widths.weight, 1}, ""});
        }
      }
      return costs;
    }

   private:
    std::vector<std::string> metrics_ = {"energy_pj", "layers"};
  };
  Model model;
  std::vector<LayerPoint> points(2);
  points[0].widths = {2, 4};
  points[1].layer = 1;
  CHECK(total_cost(model, points) == std::vector<double>{100, 2});
  points[1].widths = {3, 5};
  CHECK(message_of([&] { total_cost(model, points); }) ==
        "error: layer 1 at w3a5: has no cost: the worker crashed");
}

}  // namespace widthwise
