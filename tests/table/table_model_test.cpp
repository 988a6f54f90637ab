// A table of costs as a cost model: rows are looked up, and what the table can not say is an error
// that says what it has.
#include "models/table/table_model.hpp"

#include <functional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "models/network/network_yaml.hpp"
#include "models/table/table_csv.hpp"

using namespace widthwise;

namespace {

/// 4 + 8 channels of 6 x 6 meet in a concatenation; a depthwise layer, a product of activations.
Network branches() {
  return parse_network(R"(
schema: network/1
name: branches
inputs:
  image: [1, 4, 6, 6]
layers:
  - {name: a, kind: convolution, inputs: [image], out_channels: 4, kernel: 3, padding: 1}
  - {name: b, kind: convolution, inputs: [image], out_channels: 8, kernel: 3, padding: 1}
  - {name: join, kind: concat, inputs: [a, b]}
  - {name: depthwise, kind: convolution, out_channels: 12, groups: 12, kernel: 3, padding: 1}
)",
                       "branches.yaml");
}

Network product() {
  return parse_network(R"(
schema: network/1
name: product
inputs:
  left: [1, 6, 8]
  right: [1, 8, 5]
layers:
  - {name: product, kind: matmul, inputs: [left, right]}
)",
                       "product.yaml");
}

CostTable table_of(const std::string& text) { return parse_cost_table(text, "t.csv"); }

LayerPoint point(const Network& network, const std::string& layer, LayerWidths widths) {
  LayerPoint point;
  point.layer = network.find_layer(layer).value();
  point.widths = widths;
  point.stored_inputs.assign(network.layers()[point.layer].inputs.size(), widths.activation);
  point.input_homes.assign(point.stored_inputs.size(), Home::dram);
  point.stored_output = widths.activation;
  return point;
}

/// The first metric of one point.
double cost(TableCostModel& model, const LayerPoint& point) {
  return model.costs({&point, 1}).at(0).values.at(0);
}

std::string errors_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string bind_errors(const Network& network, const std::string& text) {
  return errors_of([&] { TableCostModel(network, table_of(text)); });
}

std::string cost_errors(TableCostModel& model, const LayerPoint& point) {
  return errors_of([&] { (void)model.costs({&point, 1}); });
}

/// Four widths of weights and activations; cost 100 w + a, and twice that.
std::string plain_rows(const std::string& layer) {
  std::string rows;
  for (const int w : {2, 3, 4, 8}) {
    for (const int a : {4, 8}) {
      const int cost = 100 * w + a;
      rows += layer + ',' + std::to_string(w) + ',' + std::to_string(a) + ',' +
              std::to_string(cost) + ',' + std::to_string(2 * cost) + '\n';
    }
  }
  return rows;
}

const std::string kPlain = "layer,weight_bits,activation_bits,latency_ms,energy_pj\n" +
                           plain_rows("a") + plain_rows("b") + plain_rows("depthwise");

}  // namespace

TEST_CASE("a plain table is looked up at a layer's own widths alone") {
  const Network network = branches();
  TableCostModel model(network, table_of(kPlain));
  CHECK(model.metrics() == std::vector<std::string>{"latency_ms", "energy_pj"});
  for (const int w : {2, 3, 4, 8}) {
    for (const int a : {4, 8}) {
      LayerPoint one = point(network, "b", {w, a});
      CHECK(model.costs({&one, 1}).at(0).values ==
            std::vector<double>{100.0 * w + a, 2 * (100.0 * w + a)});
      one.stored_inputs.clear();
      one.input_homes.clear();
      one.stored_output = 16;
      one.output_home = Home::scratchpad;
      one.accumulator = 12;
      CHECK(cost(model, one) == 100.0 * w + a);
    }
  }
}

TEST_CASE("many points are answered in their order, whatever it is") {
  const Network network = branches();
  TableCostModel model(network, table_of(kPlain));
  const std::vector<LayerPoint> points{point(network, "b", {8, 8}), point(network, "a", {2, 4}),
                                       point(network, "join", {8, 8}), point(network, "a", {2, 4}),
                                       point(network, "depthwise", {4, 8})};
  const std::vector<PointCost> costs = model.costs(points);
  REQUIRE(costs.size() == 5);
  CHECK(costs[0].values[0] == 808);
  CHECK(costs[1].values[0] == 204);
  CHECK(costs[2].values == std::vector<double>{0, 0});
  CHECK(costs[3].values[0] == 204);
  CHECK(costs[4].values[1] == 816);
  CHECK(total_cost(model, points)[0] == 808 + 204 + 204 + 408);
  CHECK(model.costs({}).empty());
}

TEST_CASE("a place that a plain table does not have is an error that says which it has") {
  const Network network = branches();
  TableCostModel model(network, table_of(kPlain));
  CHECK(cost_errors(model, point(network, "a", {2, 4})).empty());
  CHECK(cost_errors(model, point(network, "a", {1, 4})) ==
        "t.csv: error: a: expected weight_bits of 2..4, 8, got 1");
  CHECK(cost_errors(model, point(network, "a", {5, 4})) ==
        "t.csv: error: a: expected weight_bits of 2..4, 8, got 5");
  CHECK(cost_errors(model, point(network, "b", {9, 6})) ==
        "t.csv: error: b: expected weight_bits of 2..4, 8, got 9\n"
        "t.csv: error: b: expected activation_bits of 4, 8, got 6");
  const std::vector<LayerPoint> points(1000, point(network, "a", {5, 4}));
  CHECK(errors_of([&] { (void)model.costs(points); }) ==
        "t.csv: error: a: expected weight_bits of 2..4, 8, got 5");
}

TEST_CASE("a layer that was measured at equal widths runs at the greater of both") {
  const Network network = branches();
  std::string text = "# leaves_out: b, depthwise\nlayer,weight_bits,activation_bits,latency_ms\n";
  text += "a,4,4,1\na,8,8,3\n";
  TableCostModel model(network, table_of(text));
  CHECK(cost(model, point(network, "a", {4, 4})) == 1);
  CHECK(cost(model, point(network, "a", {4, 8})) == 3);
  CHECK(cost(model, point(network, "a", {8, 4})) == 3);
  CHECK(cost(model, point(network, "a", {8, 8})) == 3);
  CHECK(cost(model, point(network, "a", {2, 4})) == 1);
  CHECK(cost_errors(model, point(network, "a", {2, 2})) ==
        "t.csv: error: a: expected weight_bits and activation_bits of which the greater is 4, 8, "
        "got w2a2");
  CHECK(cost_errors(model, point(network, "a", {5, 4})) ==
        "t.csv: error: a: expected weight_bits and activation_bits of which the greater is 4, 8, "
        "got w5a4");
}

TEST_CASE(
    "what a table leaves out or does not say of layers without MACs costs nothing and is named") {
  const Network network = branches();
  const std::string header = "layer,weight_bits,activation_bits,latency_ms\n";
  TableCostModel model(network,
                       table_of("# leaves_out: depthwise\n" + header + "a,8,8,1\nb,8,8,2\n"));
  CHECK(model.unpriced() == std::vector<std::string>{"join", "depthwise"});
  CHECK(cost(model, point(network, "depthwise", {3, 5})) == 0);
  CHECK(cost(model, point(network, "join", {3, 3})) == 0);
  TableCostModel all(network, table_of(header + "a,8,8,1\nb,8,8,2\njoin,8,8,3\ndepthwise,8,8,4\n"));
  CHECK(all.unpriced().empty());
  CHECK(cost(all, point(network, "join", {8, 8})) == 3);
}

TEST_CASE("a table that does not belong to the network is refused with all that is wrong") {
  const Network network = branches();
  const std::string header = "layer,weight_bits,activation_bits,latency_ms\n";
  CHECK(bind_errors(network, header + "a,8,8,1\nb,8,8,1\n") ==
        "t.csv: error: depthwise: expected rows of this layer of branches, got none; leaves_out "
        "names what was not measured");
  CHECK(bind_errors(network, header + "a,8,8,1\nb,8,8,1\ndepthwis,8,8,1\n") ==
        "t.csv: error: depthwise: expected rows of this layer of branches, got none; leaves_out "
        "names what was not measured\n"
        "t.csv:4:1: error: layer: expected a layer of branches, got 'depthwis'; did you mean "
        "'depthwise'?");
  CHECK(bind_errors(network, "# leaves_out: depth\n" + kPlain) ==
        "t.csv: error: leaves_out: expected a layer of branches, got 'depth'");
  CHECK(bind_errors(network, header + "a,8,8,1\nb,8,8,1\nb,4,8,1\nb,4,4,1\ndepthwise,8,8,1\n") ==
        "t.csv: error: table lacks 'b' at weight_bits 8, activation_bits 4");

  CostTable contradicts = table_of(kPlain);
  contradicts.leaves_out = {"a"};
  CHECK(errors_of([&] { TableCostModel(network, contradicts); }) ==
        "t.csv: error: leaves_out: expected layers without rows, got 'a'");
}

TEST_CASE("a table whose points failed may lack no layer as a whole") {
  const std::string rows = R"(layer,weight_bits,activation_bits,latency_ms
a,8,8,1
b,8,8,1
depthwise,8,8,1
)";
  CHECK(TableCostModel(branches(), table_of(rows)).unpriced() == std::vector<std::string>{"join"});
  CHECK_THROWS_WITH(TableCostModel(branches(), table_of("# incomplete: 1 points failed\n" + rows)),
                    "t.csv: error: join: expected rows of this layer of branches, got none; "
                    "leaves_out names what was not measured");
}

TEST_CASE("stored widths are looked up, and interpolated along the mean of inputs that differ") {
  const Network network = branches();
  std::string text =
      "# leaves_out: a, b, depthwise\n"
      "layer,weight_bits,activation_bits,stored_input_bits,stored_output_bits,cost\n";
  for (const int stored : {2, 4, 8}) {  // cost: stored squared, and the output at 100 a bit
    text += "join,2,2," + std::to_string(stored) + ",2," + std::to_string(stored * stored + 200) +
            "\njoin,2,2," + std::to_string(stored) + ",4," + std::to_string(stored * stored + 400) +
            '\n';
  }
  TableCostModel model(network, table_of(text));
  LayerPoint join = point(network, "join", {2, 2});
  const auto at = [&](BitWidth first, BitWidth second, BitWidth output) {
    join.stored_inputs = {first, second};
    join.stored_output = output;
    return join;
  };
  CHECK(cost(model, at(4, 4, 2)) == 16 + 200);
  CHECK(cost(model, at(8, 8, 4)) == 64 + 400);
  // 4 and 8 channels: the mean of 2 and 8 is 6, half way from 4 to 8; of 8 and 2 it is 4.
  CHECK(cost(model, at(2, 8, 2)) == Approx((16 + 64) / 2.0 + 200));
  CHECK(cost(model, at(8, 2, 2)) == Approx(16 + 200));
  CHECK(cost(model, at(2, 5, 2)) == Approx(16 + 200));

  CHECK(cost_errors(model, at(3, 3, 2)) ==
        "t.csv: error: join: expected stored_input_bits of 2, 4, 8, got 3");
  CHECK(cost_errors(model, at(8, 16, 2)) ==
        "t.csv: error: join: expected stored_input_bits of 2..8, got 13.333333333333334");
  CHECK(cost_errors(model, at(2, 2, 3)) ==
        "t.csv: error: join: expected stored_output_bits of 2, 4, got 3");
  CHECK(
      cost_errors(model, at(1, 2, 2)) ==
      "t.csv: error: join: expected stored_input_bits of at least activation_bits, got 1 at w2a2");
}

TEST_CASE("a tensor that follows the activation width in all rows must do so") {
  const Network network = branches();
  TableCostModel model(
      network, table_of("# leaves_out: b, depthwise\n"
                        "layer,weight_bits,activation_bits,stored_input_bits,stored_output_bits,"
                        "cost\n"
                        "a,2,2,2,2,1\na,2,4,4,4,2\na,4,2,2,2,3\na,4,4,4,4,4\n"));
  LayerPoint one = point(network, "a", {4, 2});
  CHECK(cost(model, one) == 3);
  one.stored_inputs = {4};
  one.stored_output = 4;
  CHECK(cost_errors(model, one) ==
        "t.csv: error: a: expected stored_input_bits as activation_bits, got 4 at w4a2\n"
        "t.csv: error: a: expected stored_output_bits as activation_bits, got 4 at w4a2");
}

TEST_CASE("the single row of a run serves inputs that are stored at different widths") {
  const Network network = branches();
  TableCostModel model(network,
                       table_of("# leaves_out: a, b, depthwise\n"
                                "layer,weight_bits,activation_bits,stored_input_bits,cost\n"
                                "join,4,4,4,7\n"));
  LayerPoint join = point(network, "join", {4, 4});
  CHECK(cost(model, join) == 7);
  join.stored_inputs = {4, 8};
  CHECK(cost(model, join) == 7);
  join.stored_inputs = {8, 8};
  CHECK(cost_errors(model, join) == "t.csv: error: join: expected stored_input_bits of 4, got 8");
  join.stored_inputs = {6, 8};
  CHECK(cost_errors(model, join) ==
        "t.csv: error: join: expected stored_input_bits of 4, got 7.333333333333333");
}

TEST_CASE(
    "homes of tensors are looked up, and interpolated along the share of several inputs' bits") {
  const Network network = branches();
  TableCostModel model(
      network, table_of("# leaves_out: a, b, depthwise\n"
                        "layer,weight_bits,activation_bits,input_on_chip,output_on_chip,cost\n"
                        "join,4,4,0,0,10\njoin,4,4,0,1,8\njoin,4,4,1,0,4\njoin,4,4,1,1,2\n"));
  LayerPoint join = point(network, "join", {4, 4});
  const auto at = [&](Home first, Home second, Home output) {
    join.input_homes = {first, second};
    join.output_home = output;
    return join;
  };
  constexpr Home kDram = Home::dram;
  constexpr Home kChip = Home::scratchpad;
  CHECK(cost(model, at(kDram, kDram, kDram)) == 10);
  CHECK(cost(model, at(kDram, kDram, kChip)) == 8);
  CHECK(cost(model, at(kChip, kChip, kDram)) == 4);
  CHECK(cost(model, at(kChip, kChip, kChip)) == 2);
  CHECK(cost(model, at(kDram, kChip, kDram)) == Approx(10 - 6 * 2.0 / 3));  // 8 of 12 channels
  join = at(kChip, kDram, kDram);
  join.stored_inputs = {8, 4};  // half the bits
  CHECK(cost(model, join) == Approx(7));

  // Where one of the inputs never fits, the table ends at the share of the others.
  TableCostModel one_fits(network, table_of("# leaves_out: a, b, depthwise\n"
                                            "layer,weight_bits,activation_bits,input_on_chip,cost\n"
                                            "join,4,4,0,10\njoin,4,4,0.25,6\n"));
  join = at(kChip, kDram, kDram);
  CHECK(cost(one_fits, join) == 6);
  join.stored_inputs = {4, 16};  // a ninth of the bits
  CHECK(cost(one_fits, join) == Approx(10 - 4 * (1.0 / 9) / 0.25));
  CHECK(cost_errors(one_fits, at(kChip, kChip, kDram)) ==
        "t.csv: error: join: expected input_on_chip of 0, 0.25, got 1");

  TableCostModel in_dram(network, table_of("# leaves_out: a, b, depthwise\n"
                                           "layer,weight_bits,activation_bits,input_on_chip,cost\n"
                                           "join,4,4,0,10\n"));
  CHECK(cost(in_dram, at(kDram, kDram, kChip)) == 10);
  CHECK(cost_errors(in_dram, at(kChip, kChip, kDram)) ==
        "t.csv: error: join: expected input_on_chip of 0, got 1");
  join.stored_inputs = {4, 4};
  CHECK(cost_errors(in_dram, at(kDram, kChip, kDram)) ==
        "t.csv: error: join: expected input_on_chip of 0, got 0.6666666666666666");
}

TEST_CASE("the second operand of a product has a stored width and a home of its own") {
  const Network network = product();
  TableCostModel model(
      network, table_of("layer,weight_bits,activation_bits,stored_input_bits,stored_second_bits,"
                        "second_on_chip,cost\n"
                        "product,4,4,4,4,0,1\nproduct,4,4,4,8,0,2\n"
                        "product,4,4,4,4,1,3\nproduct,4,4,4,8,1,4\n"));
  LayerPoint one = point(network, "product", {4, 4});
  CHECK(cost(model, one) == 1);
  one.stored_inputs = {4, 8};
  CHECK(cost(model, one) == 2);
  one.input_homes = {Home::dram, Home::scratchpad};
  CHECK(cost(model, one) == 4);
  one.stored_inputs = {4, 6};
  CHECK(cost_errors(model, one) ==
        "t.csv: error: product: expected stored_second_bits of 4, 8, got 6");
  one.stored_inputs = {4, 2};
  CHECK(cost_errors(model, one) ==
        "t.csv: error: product: expected stored_second_bits of at least activation_bits, got 2 at "
        "w4a4");
}

TEST_CASE("axes of a second operand are nothing to layers without one") {
  const Network network = branches();
  TableCostModel model(network, table_of("# leaves_out: b, depthwise\n"
                                         "layer,weight_bits,activation_bits,stored_second_bits,"
                                         "second_on_chip,cost\n"
                                         "a,4,4,0,0,1\na,4,8,0,0,2\n"));
  CHECK(cost(model, point(network, "a", {4, 4})) == 1);
  CHECK(cost(model, point(network, "a", {4, 8})) == 2);
}

TEST_CASE("a table without shares falls in proportion to what is left of the channels") {
  const Network network = branches();
  TableCostModel model(network, table_of(kPlain + "join,4,4,12,0\n"));
  const auto pruned = [&](const std::string& layer, double input, double output) {
    LayerPoint one = point(network, layer, {4, 4});
    one.input_share = input;
    one.output_share = output;
    return cost(model, one);
  };
  CHECK(pruned("b", 1, 1) == 404);
  CHECK(pruned("b", 0.5, 1) == 202);
  CHECK(pruned("b", 1, 0.25) == 101);
  CHECK(pruned("b", 0.5, 0.25) == 50.5);
  CHECK(pruned("depthwise", 0.5, 0.5) == 202);  // channels of input and output are the same ones
  CHECK(pruned("join", 0.5, 0.5) == 6);
}

TEST_CASE("a table with shares is interpolated along them") {
  const Network network = branches();
  TableCostModel model(network, table_of("# leaves_out: b, depthwise\n"
                                         "layer,weight_bits,activation_bits,output_share,cost\n"
                                         "a,4,4,0.25,40\na,4,4,0.5,60\na,4,4,1,100\n"));
  const auto pruned = [&](double input, double output) {
    LayerPoint one = point(network, "a", {4, 4});
    one.input_share = input;
    one.output_share = output;
    return one;
  };
  CHECK(cost(model, pruned(1, 1)) == 100);
  CHECK(cost(model, pruned(1, 0.5)) == 60);
  CHECK(cost(model, pruned(1, 0.75)) == Approx(80));
  CHECK(cost(model, pruned(0.5, 0.25)) == 20);  // no axis of the input's
  CHECK(cost_errors(model, pruned(1, 0.24)) ==
        "t.csv: error: a: expected output_share of 0.25..1, got 0.24");

  TableCostModel both(network,
                      table_of("# leaves_out: a, b\n"
                               "layer,weight_bits,activation_bits,input_share,output_share,cost\n"
                               "depthwise,4,4,0.5,0.5,40\ndepthwise,4,4,1,1,60\n"));
  LayerPoint one = point(network, "depthwise", {4, 4});
  one.input_share = one.output_share = 0.75;
  CHECK(cost(both, one) == Approx(50));
  one.input_share = 1;
  CHECK(cost_errors(both, one) ==
        "t.csv: error: depthwise: expected input_share as output_share (0.75), got 1");
}

TEST_CASE("a table of whole networks counts once, on the first layer with MACs") {
  const Network network = branches();
  TableCostModel model(network, table_of("layer,weight_bits,activation_bits,latency_ms,energy_pj\n"
                                         "*,4,8,10,1\n*,4,32,30,2\n*,8,8,20,3\n*,8,32,50,4\n"));
  CHECK(model.unpriced().empty());
  const auto at = [&](LayerWidths widths) {
    std::vector<LayerPoint> points;
    for (const Layer& layer : network.layers())
      points.push_back(point(network, layer.name, widths));
    return points;
  };
  std::vector<LayerPoint> points = at({8, 32});
  const std::vector<PointCost> costs = model.costs(points);
  REQUIRE(costs.size() == 4);
  CHECK(costs[0].values == std::vector<double>{50, 4});
  for (std::size_t i = 1; i < 4; ++i) CHECK(costs[i].values == std::vector<double>{0, 0});

  // Networks one after the other, with or without their layers that have no MACs.
  const std::vector<LayerPoint> more = at({4, 8});
  points.insert(points.end(), more.begin(), more.end());
  points.erase(points.begin() + 2);
  CHECK(total_cost(model, points) == std::vector<double>{60, 5});

  CHECK(errors_of([&] {
          (void)model.costs(at({2, 8}));
        }) == "t.csv: error: a: expected weight_bits of 4, 8, got 2");
  points = at({4, 8});
  points[2].widths = {2, 2};  // the concatenation has no say
  CHECK(total_cost(model, points)[0] == 10);
  points[3].widths = {8, 8};
  CHECK(errors_of([&] { (void)model.costs(points); }) ==
        "t.csv: error: depthwise: expected w4a8 as 'a' has, since the table has only the whole "
        "network, got w8a8");
  points.pop_back();
  CHECK(errors_of([&] { (void)model.costs(points); }) ==
        "t.csv: error: expected points of all 3 layers with multiply-accumulates, since the table "
        "has only the whole network, got 2");
  points = at({4, 8});
  points[1].output_share = 0.5;
  CHECK(errors_of([&] { (void)model.costs(points); }) ==
        "t.csv: error: b: expected all channels, since the table has only the whole network");
}

TEST_CASE("a table of a whole network has neither other layers nor other axes") {
  const Network network = branches();
  CHECK(bind_errors(network,
                    "layer,weight_bits,activation_bits,stored_output_bits,cost\n"
                    "*,4,8,8,10\n") ==
        "t.csv: error: stored_output_bits: expected only weight_bits and activation_bits of a "
        "whole network");
  CostTable table = table_of(kPlain);
  table.layers[1] = "*";
  CHECK(errors_of([&] { TableCostModel(network, table); }) ==
        "t.csv: error: layer: expected no layer beside '*', which stands for the whole network");
  const Network pool = parse_network(
      "schema: network/1\nname: pool\ninputs: {image: [1, 4, 6, 6]}\nlayers:\n"
      "  - {name: pool, kind: max_pool, kernel: 2}\n",
      "pool.yaml");
  CHECK(bind_errors(pool, "layer,weight_bits,activation_bits,cost\n*,4,8,10\n") ==
        "t.csv: error: expected a network with multiply-accumulates, got pool");
}
