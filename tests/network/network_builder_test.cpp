#include "models/network/network_builder.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace widthwise;

namespace {

Layer vector_layer(const std::string& name, std::vector<TensorId> inputs, TensorId output) {
  Layer layer;
  layer.name = name;
  layer.kind = LayerKind::add;
  layer.vector = VectorShape{1, 1, 1};
  layer.inputs = std::move(inputs);
  layer.output = output;
  return layer;
}

std::string message_of(NetworkBuilder& builder) {
  try {
    builder.build();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

using Order = std::vector<std::size_t>;

}  // namespace

TEST_CASE("everyone comes after those it depends on and ties keep the order of the source") {
  CHECK(dependency_order(4, {}).order == Order{0, 1, 2, 3});
  CHECK(dependency_order(4, {{3, 0}}).order == Order{1, 2, 3, 0});
  CHECK(dependency_order(4, {{2, 1}, {3, 0}}).order == Order{2, 1, 3, 0});
  CHECK(dependency_order(3, {{0, 1}, {0, 1}, {1, 2}}).order == Order{0, 1, 2});
  CHECK(dependency_order(0, {}).order.empty());
}

TEST_CASE("a cycle is found and told apart from what depends on it") {
  const DependencyOrder result = dependency_order(5, {{0, 1}, {2, 1}, {1, 3}, {3, 2}, {3, 4}});
  CHECK(result.order.empty());
  CHECK(result.cycle == Order{1, 3, 2});
  CHECK(dependency_order(2, {{1, 1}}).cycle == Order{1});
}

TEST_CASE("a long cycle is described by its ends") {
  CHECK(describe_cycle({"a", "b"}) == "a -> b -> a");
  std::vector<std::string> names;
  for (int i = 0; i < 12; ++i) names.push_back(std::to_string(i));
  CHECK(describe_cycle(names) == "0 -> 1 -> 2 -> 3 -> (4 more) -> 8 -> 9 -> 10 -> 11 -> 0");
}

TEST_CASE("layers are sorted and tensors know who makes and who reads them") {
  NetworkBuilder builder("diamond");
  const TensorId input = builder.add_input("input", {1});
  const TensorId left = builder.add_tensor("left", {1});
  const TensorId right = builder.add_tensor("right", {1});
  const TensorId sum = builder.add_tensor("sum", {1});
  builder.mark_output(sum);
  builder.add_layer(vector_layer("sum", {left, right, left}, sum));
  builder.add_layer(vector_layer("right", {input}, right));
  builder.add_layer(vector_layer("left", {input}, left));
  const Network network = builder.build();

  REQUIRE(network.layers().size() == 3);
  CHECK(network.layers()[0].name == "right");
  CHECK(network.layers()[1].name == "left");
  CHECK(network.layers()[2].name == "sum");
  CHECK(!network.tensors()[input].producer);
  CHECK(network.tensors()[input].consumers == std::vector<LayerId>{0, 1});
  CHECK(network.tensors()[left].producer == LayerId{1});
  CHECK(network.tensors()[left].consumers == std::vector<LayerId>{2});
  CHECK(network.tensors()[sum].consumers.empty());
  CHECK(network.tensors()[sum].is_output);
  CHECK(network.find_layer("left") == LayerId{1});
  CHECK(!network.find_layer("middle"));
}

TEST_CASE("a network without layers is an error") {
  NetworkBuilder builder("empty", {"empty.yaml"});
  CHECK(message_of(builder) == "empty.yaml: error: the network has no layers");
}

TEST_CASE("two layers of one name and a cycle are reported at once") {
  NetworkBuilder builder("bad", {"bad.yaml"});
  const TensorId a = builder.add_tensor("a", {1});
  const TensorId b = builder.add_tensor("b", {1});
  builder.add_layer(vector_layer("twin", {b}, a), {"bad.yaml", 3});
  builder.add_layer(vector_layer("twin", {a}, b), {"bad.yaml", 4});
  CHECK(message_of(builder) ==
        "bad.yaml:3: error: the network has a cycle: twin -> twin -> twin\n"
        "bad.yaml:4: error: twin: two layers have this name");
}

TEST_CASE("a layer may have 2^52 multiply-accumulates and not one row more") {
  const auto build = [](std::int64_t rows) {
    NetworkBuilder builder("large", {"large.yaml"});
    ComputeShape shape;
    shape.in_h = shape.out_h = rows;
    shape.in_channels = std::int64_t{1} << 16;
    shape.out_channels = std::int64_t{1} << 16;
    Layer layer;
    layer.name = "fc";
    layer.kind = LayerKind::fully_connected;
    layer.compute = shape;
    layer.inputs = {builder.add_input("input", {1, rows, shape.in_channels})};
    layer.output = builder.add_tensor("fc", {1, rows, shape.out_channels});
    layer.weights = shape.weight_elements();
    builder.add_layer(layer, {"large.yaml", 5});
    return message_of(builder);
  };
  CHECK(build(std::int64_t{1} << 20).empty());
  CHECK(build((std::int64_t{1} << 20) + 1) ==
        "large.yaml:5: error: fc: too large: a tensor is bounded by 2^48 elements, a network by "
        "2^52 multiply-accumulates and 2^52 parameters");
}

TEST_CASE("a loop nest that contradicts its weights is a bug of ours") {
  NetworkBuilder builder("bug");
  Layer layer;
  layer.name = "fc";
  layer.kind = LayerKind::fully_connected;
  layer.compute = ComputeShape{};
  layer.weights = 2;
  layer.inputs = {builder.add_input("input", {1, 1})};
  layer.output = builder.add_tensor("fc", {1, 1});
  builder.add_layer(layer);
  CHECK_THROWS_AS(builder.build(), InternalError);
}
