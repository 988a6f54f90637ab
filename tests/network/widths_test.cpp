#include "models/network/widths.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "models/network/network_yaml.hpp"

using namespace widthwise;

namespace {

// input -> a -> sum -> b, with a read twice: by sum, and by c.
const Network& small_network() {
  static const Network network = parse_network(R"(schema: network/1
name: small
inputs: {x: [1, 4, 2, 2]}
layers:
  - {name: a, kind: convolution, out_channels: 4, kernel: 1, bias: true}
  - {name: c, kind: convolution, inputs: [a], out_channels: 4, kernel: 1}
  - {name: sum, kind: add, inputs: [a, c]}
  - {name: b, kind: convolution, out_channels: 2, kernel: 1}
  - {name: pool, kind: global_average_pool}
)",
                                               "small.yaml");
  return network;
}

LayerId layer(const std::string& name) { return small_network().find_layer(name).value(); }

BitWidth stored_after(const WidthPlan& plan, const std::string& name) {
  return plan.stored[small_network().layers()[layer(name)].output];
}

WidthRule rule(const std::string& pattern, std::optional<BitWidth> weight,
               std::optional<BitWidth> activation) {
  return {pattern, weight, activation, {"w.yaml", 7}};
}

std::string message_of(const Assignment& assignment) {
  try {
    resolve_widths(small_network(), assignment);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string message_of(const std::string& text) {
  try {
    parse_uniform_assignment(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("w4a8 means weights of 4 bit and activations of 8") {
  const Assignment assignment = parse_uniform_assignment("w4a8");
  CHECK(assignment.name == "w4a8");
  CHECK(assignment.defaults == LayerWidths{4, 8});
  CHECK(parse_uniform_assignment("w1a16").defaults == LayerWidths{1, 16});
}

TEST_CASE("a text that is no pair of widths is refused") {
  for (const char* text :
       {"", "w4", "a4w4", "w4a", "wa", "w4a4x", "w4 a4", "4x4", "w4a99999999999"})
    CHECK(message_of(std::string(text)).find("expected widths such as w4a8") != std::string::npos);
  CHECK(message_of(std::string("w0a4")) == "w0a4: error: expected weights of 1..16 bit, got 0");
  CHECK(message_of(std::string("w17a-1")) ==
        "w17a-1: error: expected weights of 1..16 bit, got 17\n"
        "w17a-1: error: expected activations of 1..16 bit, got -1");
}

TEST_CASE("later rules win over earlier ones") {
  Assignment assignment = parse_uniform_assignment("w4a4");
  assignment.rules = {rule("?", 2, std::nullopt), rule("b", 6, 5), rule("@first", 8, 8)};
  const WidthPlan plan = resolve_widths(small_network(), assignment);
  CHECK(plan.layers[layer("a")] == LayerWidths{8, 8});
  CHECK(plan.layers[layer("c")] == LayerWidths{2, 4});
  CHECK(plan.layers[layer("b")] == LayerWidths{6, 5});
}

TEST_CASE("first and last are the ends among the layers with weights") {
  Assignment assignment = parse_uniform_assignment("w4a4");
  assignment.rules = {rule("@first", 8, std::nullopt), rule("@last", 6, std::nullopt)};
  const WidthPlan plan = resolve_widths(small_network(), assignment);
  CHECK(plan.layers[layer("a")].weight == 8);
  CHECK(plan.layers[layer("b")].weight == 6);
}

TEST_CASE("a tensor is stored at the greatest width that a consumer asks for") {
  Assignment assignment = parse_uniform_assignment("w4a4");
  assignment.rules = {rule("c", std::nullopt, 6), rule("b", std::nullopt, 3)};
  const WidthPlan plan = resolve_widths(small_network(), assignment);
  CHECK(stored_after(plan, "sum") == 3);  // b asks
  CHECK(stored_after(plan, "c") == 3);    // sum asks for the width of its own output
  CHECK(stored_after(plan, "a") == 6);    // c asks for more than sum
  CHECK(plan.layers[layer("sum")] == LayerWidths{3, 3});
  CHECK(stored_after(plan, "pool") == assignment.output_bits);
  CHECK(stored_after(plan, "b") == assignment.output_bits);  // pool passes on what is asked of it
}

TEST_CASE("a layer without weights asks for the width that it is named with") {
  Assignment assignment = parse_uniform_assignment("w4a4");
  assignment.rules = {rule("sum", std::nullopt, 12)};
  const WidthPlan plan = resolve_widths(small_network(), assignment);
  CHECK(stored_after(plan, "a") == 12);
  CHECK(stored_after(plan, "c") == 12);
  CHECK(stored_after(plan, "sum") == 4);
}

TEST_CASE("the outputs of the network are stored at output_bits") {
  Assignment assignment = parse_uniform_assignment("w4a4");
  assignment.output_bits = 16;
  CHECK(stored_after(resolve_widths(small_network(), assignment), "pool") == 16);
}

TEST_CASE("accumulators: a rule's width, else the default's, else the engine's") {
  Assignment assignment = parse_uniform_assignment("w4a4");
  assignment.rules = {rule("b", std::nullopt, std::nullopt), rule("?", std::nullopt, std::nullopt)};
  assignment.rules[0].accumulator = 12;
  const WidthPlan plan = resolve_widths(small_network(), assignment);
  CHECK(plan.accumulator(layer("b")) == 12);
  CHECK_FALSE(plan.accumulator(layer("a")));
  assignment.accumulator = 20;
  const WidthPlan with_default = resolve_widths(small_network(), assignment);
  CHECK(with_default.accumulator(layer("b")) == 12);
  CHECK(with_default.accumulator(layer("a")) == 20);
  CHECK_FALSE(with_default.accumulator(layer("sum")));
  assignment.rules[1].accumulator = 16;
  CHECK(resolve_widths(small_network(), assignment).accumulator(layer("b")) == 16);
}

TEST_CASE("accumulator widths out of range, or where nothing is accumulated, are mistakes") {
  Assignment assignment = parse_uniform_assignment("w4a4");
  assignment.accumulator = 65;
  assignment.rules = {rule("sum", std::nullopt, 4), rule("b", std::nullopt, std::nullopt)};
  assignment.rules[0].accumulator = 8;
  assignment.rules[1].accumulator = 1;
  CHECK(message_of(assignment) ==
        "w.yaml:7: error: sum: sets an accumulator width, but there are no multiply-accumulates\n"
        "w.yaml:7: error: b: expected accumulators of 2..64 bit, got 1\n"
        "w4a4: error: default: expected accumulators of 2..64 bit, got 65");
}

TEST_CASE("BitOPs multiply both widths and parameters have their own") {
  Assignment assignment = parse_uniform_assignment("w3a5");
  assignment.rules = {rule("b", 7, std::nullopt)};
  const WidthPlan plan = resolve_widths(small_network(), assignment);
  CHECK(bitops(small_network(), plan) == 2 * (4 * 16) * 3 * 5 + (4 * 8) * 7 * 5);
  CHECK(parameter_bits(small_network(), plan) == Bits(2 * 16 * 3 + 8 * 7 + 4 * 32));
}

TEST_CASE("products of activations count the activation width twice") {
  const Network network = parse_network(R"(schema: network/1
name: product
inputs: {x: [1, 4, 8], y: [1, 8, 2]}
layers:
  - {name: xy, kind: matmul, inputs: [x, y]}
)",
                                        "product.yaml");
  const WidthPlan plan = resolve_widths(network, parse_uniform_assignment("w2a6"));
  CHECK(bitops(network, plan) == 4 * 8 * 2 * 6 * 6);
  CHECK(parameter_bits(network, plan) == Bits(0));
}

TEST_CASE("all mistakes of an assignment are reported at once") {
  Assignment assignment = parse_uniform_assignment("w4a4");
  assignment.rules = {rule("suum", std::nullopt, 4), rule("sum", 4, 4), rule("b", 0, 17),
                      rule("x*", 4, 4)};
  CHECK(message_of(assignment) ==
        "w.yaml:7: error: suum: no layer of small has this name; did you mean 'sum'?\n"
        "w.yaml:7: error: sum: sets a weight width, but there are no weights\n"
        "w.yaml:7: error: b: expected weights of 1..16 bit, got 0\n"
        "w.yaml:7: error: b: expected activations of 1..16 bit, got 17\n"
        "w.yaml:7: error: x*: no layer of small has this name");
}

TEST_CASE("more bits never give fewer BitOPs or parameter bits") {
  double last_bitops = 0;
  Bits last_size;
  for (int width = 1; width <= 16; ++width) {
    const std::string text = "w" + std::to_string(width) + "a" + std::to_string(width);
    const WidthPlan plan = resolve_widths(small_network(), parse_uniform_assignment(text));
    CHECK(bitops(small_network(), plan) > last_bitops);
    CHECK(parameter_bits(small_network(), plan) > last_size);
    last_bitops = bitops(small_network(), plan);
    last_size = parameter_bits(small_network(), plan);
  }
}
