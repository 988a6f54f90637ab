#include "models/network/assignment_reader.hpp"

#include <catch2/catch.hpp>

#include "tests/config/reading.hpp"

namespace widthwise {
namespace {

const std::string kMixed = R"(schema: assignment/1
name: mixed
default: {weight_bits: 4, activation_bits: 5}
output_bits: 6
layers:
  layer1.0.conv1: {weight_bits: 2, activation_bits: 3}
  "layer4.*": w8a7
  "@first": {activation_bits: 16}
  "@last": {weight_bits: 1}
)";

std::string read(const std::string& text) {
  return complaints([&] { parse_assignment(text, "f.yaml"); });
}

TEST_CASE("An assignment keeps its rules in order of the file, each with its place") {
  const Assignment assignment = parse_assignment(kMixed, "f.yaml");
  CHECK(assignment.name == "mixed");
  CHECK(assignment.defaults == LayerWidths{4, 5});
  CHECK(assignment.output_bits == 6);
  REQUIRE(assignment.rules.size() == 4);
  CHECK(assignment.rules[0].pattern == "layer1.0.conv1");
  CHECK(assignment.rules[0].weight == 2);
  CHECK(assignment.rules[0].activation == 3);
  CHECK(assignment.rules[1].pattern == "layer4.*");
  CHECK(assignment.rules[1].weight == 8);
  CHECK(assignment.rules[1].activation == 7);
  CHECK(assignment.rules[2].pattern == "@first");
  CHECK_FALSE(assignment.rules[2].weight);
  CHECK(assignment.rules[2].activation == 16);
  CHECK(assignment.rules[3].weight == 1);
  CHECK_FALSE(assignment.rules[3].activation);
  CHECK(to_string(assignment.rules[3].place) == "f.yaml:9:3");
}

TEST_CASE("The shortest assignment is uniform") {
  const Assignment assignment =
      parse_assignment("schema: assignment/1\nname: x\ndefault: w2a8\n", "f.yaml");
  CHECK(assignment.defaults == LayerWidths{2, 8});
  CHECK(assignment.output_bits == Assignment().output_bits);
  CHECK(assignment.rules.empty());
}

TEST_CASE("A short form of widths is w and a with 1..16 each") {
  for (const std::string text : {"w0a8", "w17a8", "w8a17", "w8", "a8", "w04a8", "8", "w4a8x", ""}) {
    const std::string shown = text.empty() ? "nothing" : "'" + text + "'";
    CHECK(read("schema: assignment/1\nname: x\ndefault: " + text + "\n") ==
          "f.yaml:3:1: error: default: expected widths of 1..16 such as w4a8 or {weight_bits: 4, "
          "activation_bits: 8}, got " +
              shown);
  }
  CHECK(read("schema: assignment/1\nname: x\ndefault: w1a16\n") == kNoComplaint);
}

TEST_CASE("Defaults name both widths") {
  CHECK(read(with(kMixed, ", activation_bits: 5", "")) ==
        "f.yaml:3:1: error: default: missing key 'activation_bits'");
  CHECK(read("schema: assignment/1\nname: x\n") == "f.yaml:1:1: error: missing key 'default'");
}

TEST_CASE("Accumulators have a width by default, and by rule") {
  const std::string text =
      with(with(kMixed, "activation_bits: 5", "activation_bits: 5, accumulator_bits: 24"),
           "{weight_bits: 1}", "{accumulator_bits: 2}");
  const Assignment assignment = parse_assignment(text, "f.yaml");
  CHECK(assignment.accumulator == 24);
  CHECK_FALSE(assignment.rules[0].accumulator);
  CHECK(assignment.rules[3].accumulator == 2);
  CHECK_FALSE(assignment.rules[3].weight);
  CHECK_FALSE(parse_assignment(kMixed, "f.yaml").accumulator);
  CHECK(read(with(text, "accumulator_bits: 24", "accumulator_bits: 65")) ==
        "f.yaml:3:47: error: default.accumulator_bits: expected 2..64, got 65");
  CHECK(read(with(text, "accumulator_bits: 2}", "accumulator_bits: 1}")) ==
        "f.yaml:9:13: error: layers.@last.accumulator_bits: expected 2..64, got 1");
}

TEST_CASE("A rule names at least one width") {
  CHECK(read(with(kMixed, "w8a7", "{}")) ==
        "f.yaml:7:3: error: layers.\"layer4.*\": expected weight_bits, activation_bits or "
        "accumulator_bits");
}

TEST_CASE("All mistakes of an assignment come at once") {
  std::string text = with(kMixed, "weight_bits: 2", "weight_bits: 0");
  text = with(text, "w8a7", "[8, 7]");
  text = with(text, "{weight_bits: 1}", "{weight_bit: 1}");
  text = with(text, "output_bits: 6", "output_bits: 17");
  CHECK(read(text) ==
        "f.yaml:4:1: error: output_bits: expected 1..16, got 17\n"
        "f.yaml:6:20: error: layers.\"layer1.0.conv1\".weight_bits: expected 1..16, got 0\n"
        "f.yaml:7:3: error: layers.\"layer4.*\": expected widths of 1..16 such as w4a8 or "
        "{weight_bits: 4, activation_bits: 8}, got a list\n"
        "f.yaml:9:13: error: layers.@last: unknown key 'weight_bit'; did you mean 'weight_bits'?");
}

TEST_CASE("An assignment is read from a file") {
  const TemporaryFolder folder("assignment_reader");
  CHECK(read_assignment(folder.write("a.yaml", kMixed)).rules.size() == 4);
}

}  // namespace
}  // namespace widthwise
