#include "models/network/network_yaml.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"

using namespace widthwise;

namespace {

constexpr std::string_view kHead = "schema: network/1\nname: net\n";

Network parse(const std::string& body, const NetworkParameters& parameters = {}) {
  return parse_network(std::string(kHead) + body, "net.yaml", parameters);
}

std::string message_of(const std::string& body, const NetworkParameters& parameters = {}) {
  try {
    parse(body, parameters);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

const Layer& layer(const Network& network, const std::string& name) {
  return network.layers()[network.find_layer(name).value()];
}

std::vector<std::int64_t> output_of(const Network& network, const std::string& name) {
  return network.tensors()[layer(network, name).output].shape;
}

using Sizes = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("a layer reads the layer before it unless it says otherwise") {
  const Network network = parse(R"(inputs: {image: [1, 3, 8, 8]}
layers:
  - {name: a, kind: convolution, out_channels: 4, kernel: 3, padding: 1, bias: true, activation: relu}
  - {name: b, kind: convolution, out_channels: 4, kernel: 1}
  - {name: sum, kind: add, inputs: [a, b]}
)");
  REQUIRE(network.layers().size() == 3);
  CHECK(layer(network, "a").biases == 4);
  CHECK(layer(network, "a").weights == 4 * 3 * 9);
  CHECK(layer(network, "a").fused == std::vector<std::string>{"relu"});
  CHECK(layer(network, "b").inputs.front() == layer(network, "a").output);
  CHECK(layer(network, "sum").inputs.size() == 2);
  CHECK(network.tensors()[layer(network, "sum").output].is_output);
  CHECK(!network.tensors()[layer(network, "a").output].is_output);
}

TEST_CASE("layers may be written in any order") {
  const Network network = parse(R"(inputs: {x: [1, 4]}
layers:
  - {name: last, kind: fully_connected, inputs: [first], out_features: 2}
  - {name: first, kind: fully_connected, inputs: [x], out_features: 8}
)");
  CHECK(network.layers()[0].name == "first");
  CHECK(network.layers()[1].name == "last");
}

TEST_CASE("parameters stand for sizes and the caller may override them") {
  const std::string body = R"(parameters: {batch: 1, features: 8}
inputs: {x: [$batch, 4]}
layers:
  - {name: fc, kind: fully_connected, out_features: $features, output_shape: [$batch, 8]}
)";
  CHECK(output_of(parse(body), "fc") == Sizes{1, 8});
  CHECK(output_of(parse(body, {{"batch", 16}}), "fc") == Sizes{16, 8});
  CHECK(
      message_of(body, {{"features", 9}}) ==
      "net.yaml:6:64: error: layers[0].output_shape: the file says [1, 8], but the layer's output "
      "is [1, 9]");
  CHECK(message_of(body, {{"batsch", 2}}) ==
        "net.yaml:3:1: error: parameters: the network has no parameter 'batsch'; did you mean "
        "'batch'?");
  CHECK(message_of(body, {{"batch", 0}}) ==
        "net.yaml:3:1: error: parameters: expected batch in 1..1099511627776, got 0");
  CHECK(message_of("parameters: {batch: 1}\ninputs: {x: [$batsh, 4]}\n"
                   "layers: [{name: fc, kind: fully_connected, out_features: 1}]\n") ==
        "net.yaml:4:14: error: inputs.x[0]: there is no parameter 'batsh'; did you mean 'batch'?");
}

TEST_CASE("windows take one number, two or four") {
  const Network network = parse(R"(inputs: {x: [1, 2, 9, 9]}
layers:
  - {name: a, kind: convolution, inputs: x, out_channels: 2, kernel: [1, 3], stride: [1, 2]}
  - {name: b, kind: convolution, inputs: x, out_channels: 2, kernel: 3, padding: [0, 1, 2, 3]}
  - {name: c, kind: convolution, inputs: x, out_channels: 2, kernel: 3, stride: 2, padding: same}
  - {name: d, kind: convolution, inputs: x, out_channels: 2, kernel: 3, dilation: 2, groups: 2}
  - {name: e, kind: max_pool, inputs: x, kernel: 2}
  - {name: f, kind: average_pool, inputs: x, kernel: 2, ceil_mode: true}
)");
  CHECK(output_of(network, "a") == Sizes{1, 2, 9, 4});
  CHECK(output_of(network, "b") == Sizes{1, 2, 9, 11});
  CHECK(layer(network, "b").compute->pad_left == 1);
  CHECK(output_of(network, "c") == Sizes{1, 2, 5, 5});
  CHECK(output_of(network, "d") == Sizes{1, 2, 5, 5});
  CHECK(layer(network, "d").compute->groups == 2);
  CHECK(output_of(network, "e") == Sizes{1, 2, 4, 4});
  CHECK(output_of(network, "f") == Sizes{1, 2, 5, 5});
}

TEST_CASE("a pool has the windows that the file gives it") {
  const Network network = parse(R"(inputs: {x: [2, 3, 9, 8], s: [2, 3, 10]}
layers:
  - {name: square, kind: max_pool, inputs: x, kernel: 3, stride: 2, padding: 1}
  - {name: oblong, kind: average_pool, inputs: x, kernel: [2, 3], padding: [1, 0, 0, 2]}
  - {name: same, kind: max_pool, inputs: x, kernel: 3, stride: 2, padding: same}
  - {name: over, kind: average_pool, inputs: x, kernel: 2, ceil_mode: true}
  - {name: line, kind: max_pool, inputs: s, kernel: 4, stride: 3, padding: 1}
  - {name: highest, kind: global_max_pool, inputs: x}
  - {name: mean, kind: global_average_pool, inputs: s}
  - {name: conv, kind: convolution, inputs: x, out_channels: 1, kernel: 1}
  - {name: reduced, kind: mean, inputs: x, axes: [2, 3]}
)");
  CHECK(layer(network, "square").pool == PoolWindow{3, 3, 2, 2, 1, 1, 1, 1, 1, 1, false});
  CHECK(layer(network, "oblong").pool == PoolWindow{2, 3, 2, 3, 1, 1, 1, 0, 0, 2, false});
  // 9 rows in 5 windows of 3 need 11, one above and one below; 8 columns in 4 need 9, one behind.
  CHECK(layer(network, "same").pool == PoolWindow{3, 3, 2, 2, 1, 1, 1, 0, 1, 1, false});
  CHECK(layer(network, "over").pool == PoolWindow{2, 2, 2, 2, 1, 1, 0, 0, 0, 0, false});
  CHECK(output_of(network, "over") == Sizes{2, 3, 5, 4});
  CHECK(layer(network, "line").pool == PoolWindow{1, 4, 1, 3, 1, 1, 0, 1, 0, 1, false});
  CHECK(layer(network, "highest").pool == PoolWindow{9, 8, 1, 1, 1, 1, 0, 0, 0, 0, false});
  CHECK(layer(network, "mean").pool == PoolWindow{1, 10, 1, 1, 1, 1, 0, 0, 0, 0, false});
  CHECK(!layer(network, "conv").pool);
  CHECK(!layer(network, "reduced").pool);
  CHECK(layer(network, "square").op == "max_pool");
  CHECK(layer(network, "oblong").op == "average_pool");
  CHECK(layer(network, "highest").op == "global_max_pool");
  CHECK(layer(network, "mean").op == "global_average_pool");
}

TEST_CASE("layers that move nothing leave no trace") {
  const Network network = parse(R"(inputs: {x: [2, 3, 4, 1]}
layers:
  - {name: flat, kind: flatten}
  - {name: shaped, kind: reshape, shape: [0, 1, -1]}
  - {name: turned, kind: transpose, permutation: [1, 0, 2]}
  - {name: fc, kind: fully_connected, out_features: 5}
)");
  REQUIRE(network.layers().size() == 1);
  CHECK(layer(network, "fc").inputs.front() == 0);
  CHECK(output_of(network, "fc") == Sizes{1, 2, 5});
}

TEST_CASE("every kind of layer has the shape that its definition gives it") {
  const Network network = parse(R"(inputs: {x: [2, 4, 6, 6], s: [2, 5, 8]}
layers:
  - {name: product, kind: matmul, inputs: [s, s], transpose_right: true}
  - {name: shares, kind: softmax}
  - {name: cat, kind: concat, inputs: [x, x, x]}
  - {name: part, kind: slice, axis: 1, begin: 2, end: 9}
  - {name: bigger, kind: upsample, factor: [2, 3]}
  - {name: scaled, kind: batch_norm}
  - {name: mean, kind: mean, axes: [2, 3]}
  - {name: turned, kind: transpose, inputs: s, permutation: [0, 2, 1]}
  - {name: normal, kind: layer_norm, inputs: s}
  - {name: gate, kind: activation, inputs: s, function: sigmoid}
  - {name: gated, kind: mul, inputs: [s, gate]}
  - {name: global, kind: global_max_pool, inputs: x}
)");
  CHECK(output_of(network, "product") == Sizes{2, 5, 5});
  CHECK(layer(network, "product").compute->groups == 2);
  CHECK(layer(network, "shares").kind == LayerKind::softmax);
  CHECK(output_of(network, "cat") == Sizes{2, 12, 6, 6});
  CHECK(output_of(network, "part") == Sizes{2, 7, 6, 6});
  CHECK(output_of(network, "bigger") == Sizes{2, 7, 12, 18});
  CHECK(layer(network, "scaled").biases == 14);
  CHECK(output_of(network, "mean") == Sizes{2, 7});
  CHECK(output_of(network, "turned") == Sizes{2, 8, 5});
  CHECK(layer(network, "normal").biases == 16);
  CHECK(layer(network, "gate").fused == std::vector<std::string>{"sigmoid"});
  CHECK(layer(network, "gated").kind == LayerKind::mul);
  CHECK(output_of(network, "global") == Sizes{2, 4, 1, 1});
}

TEST_CASE("recurrent layers and attention become the layers that they consist of") {
  const Network network = parse(R"(inputs: {x: [2, 7, 12]}
layers:
  - {name: rec, kind: lstm, hidden: 6, bidirectional: true, bias: true}
  - {name: att, kind: attention, heads: 3}
)");
  CHECK(layer(network, "rec/input").macs() == std::int64_t{2} * 7 * 12 * 2 * 4 * 6);
  CHECK(layer(network, "rec/recurrent").macs() == std::int64_t{2} * 7 * 6 * 2 * 4 * 6);
  CHECK(layer(network, "rec/recurrent").compute->repeat == 7);
  CHECK(layer(network, "rec/recurrent").biases == 48);
  CHECK(output_of(network, "rec/recurrent") == Sizes{2, 7, 12});
  CHECK(output_of(network, "att.scores") == Sizes{2, 3, 7, 7});
  CHECK(layer(network, "att.scores").compute->groups == 6);
  CHECK(layer(network, "att.context").macs() == 2 * 3 * 7 * 7 * 4);
  CHECK(output_of(network, "att.output") == Sizes{2, 7, 12});
}

TEST_CASE("a cycle of layers is named") {
  CHECK(message_of(R"(inputs: {x: [1, 4]}
layers:
  - {name: a, kind: add, inputs: [x, c]}
  - {name: b, kind: activation, function: relu}
  - {name: c, kind: activation, function: relu}
)") == "net.yaml:5:26: error: layers[0].inputs: the layers form a cycle: a -> b -> c -> a");
}

TEST_CASE("all mistakes of a file are reported at once") {
  CHECK(message_of(R"(inputs: {x: [1, 4, 8, 8], x2: [1, 0], deep: []}
layers:
  - {name: a, kind: convolution, out_channels: 4, kernal: 3}
  - {name: b, kind: convolutoin}
  - {name: a, kind: add, inputs: [x]}
  - {name: x, kind: softmax, inputs: [nowhere]}
  - {name: c, kind: fully_connected, inputs: [x], out_features: 3, output_shape: [1, 3]}
  - {name: d, kind: convolution, inputs: [x], out_channels: 4, kernel: [3, 3, 3], groups: 3}
  - {name: e, kind: convolution, inputs: [x], out_channels: 4, kernel: 9}
outputs: [dd]
)") == "net.yaml:3:35: error: inputs.x2[1]: expected at least 1, got 0\n"
       "net.yaml:3:39: error: inputs.deep: expected at least one size\n"
       "net.yaml:5:5: error: layers[0]: expected 'inputs': the network has several\n"
       "net.yaml:5:5: error: layers[0]: missing key 'kernel'\n"
       "net.yaml:5:51: error: layers[0]: unknown key 'kernal'; did you mean 'kernel'?\n"
       "net.yaml:6:15: error: layers[1].kind: expected one of 'convolution', 'fully_connected', "
       "'matmul', 'lstm', 'gru', 'rnn', 'attention', 'max_pool', 'average_pool', "
       "'global_max_pool', 'global_average_pool', 'add', 'mul', 'concat', 'batch_norm', "
       "'layer_norm', 'activation', 'softmax', 'mean', 'flatten', 'reshape', 'transpose', "
       "'slice', 'upsample', got 'convolutoin'; did you mean 'convolution'?\n"
       "net.yaml:7:6: error: layers[2].name: 'a' is the name of another layer already\n"
       "net.yaml:7:26: error: layers[2].inputs: a layer of kind add takes 2 or more inputs, got 1\n"
       "net.yaml:8:6: error: layers[3].name: 'x' is the name of an input already\n"
       "net.yaml:8:30: error: layers[3].inputs: there is no input or layer 'nowhere'\n"
       "net.yaml:9:5: error: layers[4]: expected an input [batch, features] or [batch, positions, "
       "features], got [1, 4, 8, 8]; put a layer of kind flatten in front\n"
       "net.yaml:10:64: error: layers[5].kernel: expected one integer or [height, width], got 3 "
       "values\n"
       "net.yaml:11:5: error: layers[6]: the kernel spans 9 elements, the padded input only 8\n"
       "net.yaml:12:1: error: outputs: there is no layer 'dd'; did you mean 'd'?");
}

TEST_CASE("a file needs inputs and layers") {
  CHECK(message_of("inputs: {x: [1, 4]}\nlayers: []\n") ==
        "net.yaml:4:1: error: layers: a network has at least one layer");
  CHECK(message_of("layers: [{name: a, kind: softmax}]\n") ==
        "net.yaml:1:1: error: missing key 'inputs'");
  CHECK(message_of("inputs: {x: [1, 4], y: [1, 4]}\nlayers: [{name: a, kind: softmax}]\n") ==
        "net.yaml:4:10: error: layers[0]: expected 'inputs': the network has several");
}

TEST_CASE("shapes that do not fit are reported with both of them") {
  const auto message = [](const std::string& layer) {
    return message_of("inputs: {x: [1, 6, 8, 8], s: [1, 5, 8]}\nlayers:\n  - {name: a, " + layer +
                      "}\n");
  };
  CHECK(message("kind: convolution, inputs: x, out_channels: 4, kernel: 3, groups: 4") ==
        "net.yaml:5:5: error: layers[0]: 4 groups do not divide 6 input channels and 4 output "
        "channels");
  CHECK(message("kind: attention, inputs: s, heads: 3") ==
        "net.yaml:5:5: error: layers[0]: expected an input [batch, sequence, features] with "
        "features divisible by 3 heads, got [1, 5, 8]");
  CHECK(message("kind: lstm, inputs: x, hidden: 3") ==
        "net.yaml:5:5: error: layers[0]: expected an input [batch, sequence, features], got [1, 6, "
        "8, 8]");
  CHECK(message("kind: add, inputs: [x, s]") ==
        "net.yaml:5:5: error: layers[0]: the shapes [1, 6, 8, 8] and [1, 5, 8] do not broadcast");
  CHECK(message("kind: slice, inputs: s, axis: 1, begin: 2, end: 6") ==
        "net.yaml:5:5: error: layers[0]: cannot take 2..6 of axis 1 of [1, 5, 8]");
  CHECK(message("kind: convolution, inputs: x, out_channels: 1099511627776, kernel: 8") ==
        "net.yaml:5:5: error: layers[0]: [1099511627776, 6, 8, 8] has more than 2^48 elements");
}
