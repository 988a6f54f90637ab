// Files of spaces: ranges of values, what is said and what is not, and one mistake per rule.
#include "cli/space_file.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "cli/command_sweep.hpp"
#include "models/config/yaml_reader.hpp"
#include "tests/sweep/tiny_space.hpp"

namespace widthwise {

namespace {

using Strings = std::vector<std::string>;
using Rule = DerivedKey::Rule;
using Kind = StrategySettings::Kind;

constexpr const char* kHead =
    "schema: space/1\naccelerator: tiny.yaml\nnetworks: [tiny_mlp]\naxes:\n  engine.rows: [4, 8]\n";

Space read(const TinyFolder& folder, const std::string& text) {
  return read_space(folder.write("s.yaml", text));
}

Space read(const std::string& text) {
  const TinyFolder folder;
  return read(folder, text);
}

/// All that is wrong with a file, without its folder.
std::string mistakes(const std::string& text) {
  const TinyFolder folder;
  try {
    read(folder, text);
    return "none";
  } catch (const InputError& error) {
    return folder.text_of(error);
  }
}

/// Of lines after the head, from line 6 on.
std::string with(const std::string& lines) { return mistakes(kHead + lines); }

/// The values of an axis of the whole text of a file.
Strings axis(const std::string& values) {
  return read(std::string(kHead) + "  key: " + values + '\n').axes.back().values;
}

std::string of_axis(const std::string& values) { return with("  key: " + values + '\n'); }

TEST_CASE("What a file of a space does not say has its default") {
  const TinyFolder folder;
  const Space space = read(folder, kHead);
  CHECK(space.name == "s");
  CHECK(space.description.empty());
  CHECK(space.file == folder.path("s.yaml"));
  CHECK(space.accelerator.text == folder.path("tiny.yaml"));  // beside the file
  CHECK(space.accelerator.place.line == 2);
  REQUIRE(space.axes.size() == 1);
  CHECK(space.axes[0].key == "engine.rows");
  CHECK(space.axes[0].values == Strings{"4", "8"});
  CHECK(space.axes[0].place.line == 5);
  REQUIRE(space.networks.size() == 1);
  CHECK(space.networks[0].name.text == "tiny_mlp");  // a shipped one
  CHECK(space.networks[0].weight == 1);
  CHECK_FALSE(space.networks[0].has_losses);
  CHECK(space.overrides.empty());
  CHECK(space.derived.empty());
  CHECK(space.constraints.empty());
  CHECK(space.bits == "w8a8");
  CHECK_FALSE(space.search);
  CHECK(space.fidelity == Fidelity::analytic);
  CHECK(space.objectives == Strings{"latency_s", "energy_pj", "area_mm2"});
  CHECK(space.fronts == std::vector<std::vector<std::size_t>>{{0, 1, 2}});
  CHECK(space.strategy.kind == Kind::grid);
}

TEST_CASE("What a file of a space says is in the space") {
  const TinyFolder folder;
  folder.write("losses.csv", "layer,weight_bits,activation_bits,loss\nfc1,8,8,1\nfc2,8,8,2\n");
  const Space space = read(folder, R"(schema: space/1
name: all of it
description: every key
axes:
  accelerator: ["tiny.yaml", bitfusion_16x32]
  engine.rows: {from: 4, to: 16, factor: 2}
  engine.supported_bits: [[2, 4], [8]]
set: {clock: 250 MHz, engine.columns: 4}
derived:
  post_processing.lanes: engine.rows
  memory.input_buffer.capacity: {greatest: [8 KiB, 64 KiB, 9000 B], where: area_mm2 < 2}
  memory.output_buffer.capacity: {least: {from: 8 KiB, to: 32 KiB, factor: 2}, where: "1"}
constraints: [area_mm2 <= 2, "engine.rows > 4 && engine.rows < 16"]
networks:
  - tiny_mlp
  - {network: tiny_cnn, weight: 2.5, batch: 4, ignore: [Dropout], parameters: {width: 8},
     sensitivity: {rule: measured, file: losses.csv}}
search:
  weight_bits: [4, 8]
  budgets: {energy_pj: {max: 5}}
  sensitivity: {rule: measured, file: hawqv3_resnet18}
fidelity: tile
objectives: [loss, energy_pj, area_mm2, latency_s]
fronts: [[loss, area_mm2], [latency_s, energy_pj, loss]]
strategy: {kind: nsga2, seed: 7, population: 16, generations: 3}
)");
  CHECK(space.name == "all of it");
  CHECK(space.description == "every key");
  REQUIRE(space.axes.size() == 3);
  // Names in quotes are names.
  CHECK(space.axes[0].values == Strings{folder.path("tiny.yaml"), "bitfusion_16x32"});
  CHECK(space.axes[1].values == Strings{"4", "8", "16"});
  CHECK(space.axes[2].values == Strings{"[2, 4]", "[8]"});
  CHECK(space.overrides == Strings{"clock=250 MHz", "engine.columns=4"});
  REQUIRE(space.derived.size() == 3);
  CHECK(space.derived[0].rule == Rule::computed);
  CHECK(space.derived[0].expression == "engine.rows");
  CHECK(space.derived[1].rule == Rule::greatest);
  CHECK(space.derived[1].candidates == Strings{"64 KiB", "9000 B", "8 KiB"});
  CHECK(space.derived[2].rule == Rule::least);
  CHECK(space.derived[2].candidates == Strings{"8 KiB", "16 KiB", "32 KiB"});
  REQUIRE(space.constraints.size() == 2);
  CHECK(space.constraints[1].expression == "engine.rows > 4 && engine.rows < 16");
  CHECK(space.constraints[1].key == "constraints[1]");
  REQUIRE(space.networks.size() == 2);
  CHECK(space.networks[0].has_losses);
  CHECK_THAT(space.networks[0].sensitivity.file, Catch::EndsWith("/hawqv3_resnet18.csv"));
  CHECK(space.networks[1].weight == 2.5);
  CHECK(space.networks[1].source.batch == 4);
  CHECK(space.networks[1].source.ignore == Strings{"Dropout"});
  CHECK(space.networks[1].source.parameters.at("width") == 8);
  CHECK(space.networks[1].sensitivity.rule == LossRule::measured);
  CHECK(space.networks[1].sensitivity.file == folder.path("losses.csv"));
  REQUIRE(space.search);
  CHECK(space.search->weight_bits == std::vector<BitWidth>{4, 8});
  CHECK(space.search->budgets.size() == 1);
  CHECK(space.fidelity == Fidelity::tile);
  CHECK(space.fronts == std::vector<std::vector<std::size_t>>{{0, 2}, {3, 1, 0}});
  CHECK(space.strategy.kind == Kind::nsga2);
  CHECK(space.strategy.seed == 7);
  CHECK(space.strategy.population == 16);
  CHECK(space.strategy.generations == 3);
}

TEST_CASE("Fronts that are not said are of all objectives up to three, else of pairs") {
  using Fronts = std::vector<std::vector<std::size_t>>;
  const auto fronts = [](const std::string& objectives) {
    return read(std::string(kHead) + "objectives: " + objectives + '\n').fronts;
  };
  CHECK(fronts("[latency_s]") == Fronts{{0}});
  CHECK(fronts("[latency_s, area_mm2]") == Fronts{{0, 1}});
  CHECK(fronts("[latency_s, area_mm2, edp_js]") == Fronts{{0, 1, 2}});
  CHECK(fronts("[latency_s, area_mm2, edp_js, dram_bytes]") == Fronts{{0, 1}, {0, 2}, {0, 3}});
}

TEST_CASE("A range has the values that its steps, factors or points say, in its unit") {
  CHECK(axis("{from: 4, to: 16, factor: 2}") == Strings{"4", "8", "16"});
  CHECK(axis("{from: 4, to: 31, factor: 2}") == Strings{"4", "8", "16"});
  CHECK(axis("{from: 4, to: 32, factor: 2}") == Strings{"4", "8", "16", "32"});
  CHECK(axis("{from: 1, to: 10, step: 4}") == Strings{"1", "5", "9"});
  CHECK(axis("{from: 1, to: 9, step: 4}") == Strings{"1", "5", "9"});
  CHECK(axis("{from: 64 KiB, to: 256 KiB, factor: 2}") == Strings{"64 KiB", "128 KiB", "256 KiB"});
  CHECK(axis("{from: 64KiB, to: 96 KiB, step: 16}") == Strings{"64 KiB", "80 KiB", "96 KiB"});
  CHECK(axis("{from: 0.5 GB/s, to: 1.1 GB/s, step: 0.3}") ==
        Strings{"0.5 GB/s", "0.8 GB/s", "1.1 GB/s"});
  // Rounding loses neither the last value nor leaves noise behind.
  CHECK(axis("{from: 0, to: 0.3, step: 0.1}") == Strings{"0", "0.1", "0.2", "0.3"});
  CHECK(axis("{from: 0.1, to: 100, factor: 10}") == Strings{"0.1", "1", "10", "100"});
  CHECK(axis("{from: -2, to: -1, step: 1}") == Strings{"-2", "-1"});
  CHECK(axis("{from: -1, to: -1, step: 1}") == Strings{"-1"});
  CHECK(axis("{from: 7, to: 7, factor: 2}") == Strings{"7"});
  CHECK(axis("{from: 100 MHz, to: 200 MHz, points: 5}") ==
        Strings{"100 MHz", "125 MHz", "150 MHz", "175 MHz", "200 MHz"});
  CHECK(axis("{from: 1, to: 1000, points: 4, log: true}") == Strings{"1", "10", "100", "1000"});
  CHECK(axis("{from: 1, to: 2, points: 3, log: true}") == Strings{"1", "1.41421356", "2"});
  CHECK(axis("{from: 0, to: 1, points: 4}") == Strings{"0", "0.333333333", "0.666666667", "1"});
  // Whole numbers of any length are whole.
  CHECK(axis("{from: 8589934592 B, to: 17179869184 B, factor: 2}") ==
        Strings{"8589934592 B", "17179869184 B"});
  CHECK(axis("{from: 1, to: 100000, step: 1}").size() == 100'000);
}

TEST_CASE("A range that is none is refused") {
  const std::string forms =
      "error: axes.key.from: expected one of 'step', 'factor' and 'points' beside "
      "'from' and 'to'";
  CHECK(of_axis("{from: 1, to: 2}") == "s.yaml:6:9: " + forms);
  CHECK(of_axis("{from: 1, to: 2, step: 1, points: 3}") == "s.yaml:6:9: " + forms);
  const auto numbers = [](const std::string& from, const std::string& to) {
    return "s.yaml:6:9: error: axes.key.from: expected two numbers with the same unit, the lesser "
           "first, "
           "got '" +
           from + "' and '" + to + "'";
  };
  CHECK(of_axis("{from: 1 KiB, to: 1 MiB, factor: 2}") == numbers("1 KiB", "1 MiB"));
  CHECK(of_axis("{from: 2, to: 1, step: 1}") == numbers("2", "1"));
  CHECK(of_axis("{from: few, to: many, step: 1}") == numbers("few", "many"));
  CHECK(of_axis("{from: 0, to: 8, factor: 2}") ==
        "s.yaml:6:9: error: axes.key.from: expected a number above 0 where steps are factors");
  CHECK(of_axis("{from: -1, to: 8, points: 3, log: true}") ==
        "s.yaml:6:9: error: axes.key.from: expected a number above 0 where steps are factors");
  CHECK(of_axis("{from: 1, to: 8, step: 1, log: true}") ==
        "s.yaml:6:34: error: axes.key.log: goes with 'points'");
  CHECK(of_axis("{from: 1, to: 100001, step: 1}") ==
        "s.yaml:6:18: error: axes.key.to: expected at most 100000 values");
  CHECK(of_axis("{to: 2, step: 1}") == "s.yaml:6:3: error: axes.key: missing key 'from'");
  CHECK(of_axis("{from: 1, to: 2, step: 0}") ==
        "s.yaml:6:25: error: axes.key.step: expected at least 1e-300, got 0");
  CHECK(of_axis("{from: 1, to: 2, factor: 1}") ==
        "s.yaml:6:25: error: axes.key.factor: expected at least 1.000001, got 1");
  CHECK(of_axis("{from: 1, to: 2, points: 1}") ==
        "s.yaml:6:25: error: axes.key.points: expected 2..100000, got 1");
  CHECK(of_axis("{from: 1, to: 2, stepp: 1}") ==
        "s.yaml:6:25: error: axes.key: unknown key 'stepp'; did you mean 'step'?");
  CHECK(of_axis("{from: 3, to: 3, points: 2}") ==
        "s.yaml:6:3: error: axes.key: the value '3' stands there twice");
}

TEST_CASE("An axis without values is refused, and so is a space without axes") {
  CHECK(of_axis("[]") == "s.yaml:6:3: error: axes.key: expected at least one value");
  CHECK(of_axis("8") ==
        "s.yaml:6:3: error: axes.key: expected a list of values, or a range such as {from: 4, to: "
        "64, factor: 2}, got '8'");
  CHECK(of_axis("[4, 8, 4]") == "s.yaml:6:3: error: axes.key: the value '4' stands there twice");
  CHECK(of_axis("[4, {a: 1}]") == "s.yaml:6:12: error: axes.key: expected a value, got a mapping");
  const std::string head = "schema: space/1\naccelerator: tiny.yaml\nnetworks: [tiny_mlp]\n";
  CHECK(mistakes(head) == "s.yaml:1:1: error: missing key 'axes'");
  CHECK(mistakes(head + "axes: {}\n") ==
        "s.yaml:4:1: error: axes: expected at least one key with its values");
  CHECK(mistakes(head + "axes: [engine.rows]\n") ==
        "s.yaml:4:1: error: axes: expected a mapping, got a list");
}

TEST_CASE("The accelerator is said once") {
  CHECK(mistakes("schema: space/1\nnetworks: [tiny_mlp]\naxes:\n  engine.rows: [4]\n") ==
        "s.yaml:1:1: error: missing key 'accelerator'");
  CHECK(with("  accelerator: [tiny.yaml]\n") ==
        "s.yaml:2:1: error: accelerator: stands among the axes too");
}

TEST_CASE("A derived key is an expression, or a choice of values and a condition") {
  CHECK(with("derived: {key: }\n") ==
        "s.yaml:6:11: error: derived.key: expected an expression, or 'greatest' or 'least' with "
        "values and 'where', got nothing");
  CHECK(with("derived: {key: {where: a}}\n") ==
        "s.yaml:6:11: error: derived.key: expected an expression, or 'greatest' or 'least' with "
        "values and 'where'");
  CHECK(with("derived: {key: {greatest: [1, 2]}}\n") ==
        "s.yaml:6:11: error: derived.key: missing key 'where'");
  CHECK(with("derived: {key: {greatest: [1, 2], least: [1], where: a}}\n") ==
        "s.yaml:6:11: error: derived.key: expected an expression, or 'greatest' or 'least' with "
        "values and 'where'");
  CHECK(with("derived: {key: {least: [1, 1], where: a}}\n") ==
        "s.yaml:6:17: error: derived.key.least: the value '1' stands there twice");
  CHECK(with("derived: {engine.rows: 2 * 8}\n") ==
        "s.yaml:6:11: error: derived.\"engine.rows\": is an axis too");
}

TEST_CASE("Constraints are a list of texts") {
  CHECK(with("constraints: area_mm2 <= 2\n") ==
        "s.yaml:6:1: error: constraints: expected a list of conditions such as \"area_mm2 <= 2\", "
        "got 'area_mm2 <= 2'");
  CHECK(with("constraints: [area_mm2 <= 2, [a]]\n") ==
        "s.yaml:6:30: error: constraints[1]: expected text, got a list");
}

TEST_CASE("Widths are said once") {
  const std::string twice = "widths are said once: as 'bits', as an axis 'bits' or as 'search'";
  CHECK(with("  bits: [w8a8, w4a4]\nbits: w8a8\n") == "s.yaml:7:1: error: bits: " + twice);
  CHECK(with("bits: w8a8\nsearch: {sensitivity: {rule: measured}}\n") ==
        "s.yaml:7:1: error: search: " + twice);
  CHECK(with("  bits: [w8a8, w4a4]\nsearch: {sensitivity: {rule: measured}}\n") ==
        "s.yaml:7:1: error: search: " + twice);
  const Space space = read(std::string(kHead) + "  bits: [w8a8, w4a4]\n");
  CHECK(space.bits.empty());
  CHECK(space.axes[1].values == Strings{"w8a8", "w4a4"});
}

TEST_CASE("A search has what searches have, but for fronts and reports of one") {
  CHECK(with("search: {front: {cost: energy_pj}, report: [energy_pj]}\n") ==
        "s.yaml:6:10: error: search.front: has no meaning in a sweep\n"
        "s.yaml:6:36: error: search.report: has no meaning in a sweep");
  CHECK_THAT(with("search: {weight_bits: [8, 4], minimise: loss}\n"),
             Catch::Equals(
                 "s.yaml:6:27: error: search.weight_bits: expected widths in ascending order, each "
                 "once\n"
                 "s.yaml:6:31: error: search: unknown key 'minimise'; did you mean 'minimize'?"));
  CHECK(with("search: {}\nsensitivity: {rule: measured}\n") ==
        "s.yaml:7:1: error: sensitivity: stands in the section 'search'");
  CHECK_THAT(with("search: {sensitivity: {rule: guessed}}\n"),
             Catch::StartsWith("s.yaml:6:24: error: search.sensitivity.rule: expected one of "));
}

TEST_CASE("A file of losses that is not there is said once, however many networks it is for") {
  const std::string text = mistakes(
      "schema: space/1\naccelerator: tiny.yaml\naxes: {engine.rows: [4]}\n"
      "networks: [tiny_mlp, tiny_cnn]\nsensitivity: {rule: measured, file: none.csv}\n");
  CHECK_THAT(text,
             Catch::StartsWith("s.yaml:5:31: error: sensitivity.file: 'none.csv' is no file"));
  CHECK(text.find('\n') == std::string::npos);
}

TEST_CASE("Networks are a list of names, or of mappings with a name") {
  const std::string head = "schema: space/1\naccelerator: tiny.yaml\naxes: {engine.rows: [4]}\n";
  CHECK(mistakes(head) == "s.yaml:1:1: error: missing key 'networks'");
  CHECK(mistakes(head + "networks: tiny_mlp\n") ==
        "s.yaml:4:1: error: networks: expected a list of networks, got 'tiny_mlp'");
  CHECK(mistakes(head + "networks: []\n") ==
        "s.yaml:4:1: error: networks: expected a list of networks, got a list");
  CHECK(mistakes(head + "networks: [[a]]\n") ==
        "s.yaml:4:12: error: networks[0]: expected text, got a list");
  CHECK(mistakes(head + "networks: [a, {weight: 2, wait: 3}]\n") ==
        "s.yaml:4:15: error: networks[1]: missing key 'network'\n"
        "s.yaml:4:27: error: networks[1]: unknown key 'wait'");
  CHECK(mistakes(head + "networks: [{network: a, weight: -1, batch: 0, parameters: {n: x}}]\n") ==
        "s.yaml:4:25: error: networks[0].weight: expected 0..1000000000, got -1\n"
        "s.yaml:4:37: error: networks[0].batch: expected 1..1000000, got 0\n"
        "s.yaml:4:60: error: networks[0].parameters.n: expected a whole number, at least "
        "-9223372036854775808, got 'x'");
}

TEST_CASE("Objectives are known, different and one to seven") {
  CHECK(with("objectives: [latency, area_mm2]\n") ==
        "s.yaml:6:1: error: objectives: unknown metric 'latency'; known: 'latency_s', 'energy_pj', "
        "'edp_js', 'area_mm2', 'loss', 'dram_bytes', 'weight_bytes'; did you mean 'latency_s'?");
  CHECK(with("objectives: [area_mm2, area_mm2]\n") ==
        "s.yaml:6:1: error: objectives: 'area_mm2' stands there twice");
  CHECK(with("objectives: []\n") == "s.yaml:6:1: error: objectives: expected one to seven metrics");
  CHECK(with("objectives: loss\n") ==
        "s.yaml:6:1: error: objectives: expected a list of texts, got 'loss'");
  CHECK(with("objectives: [loss, area_mm2]\n") ==
        "s.yaml:6:1: error: objectives: 'loss' needs a section 'sensitivity' for every network");
}

TEST_CASE("Fronts are lists of two or three of the objectives") {
  CHECK(with("fronts: area_mm2\n") ==
        "s.yaml:6:1: error: fronts: expected a list of lists of objectives such as [[loss, "
        "energy_pj]], got 'area_mm2'");
  CHECK(with("fronts: [area_mm2]\n") ==
        "s.yaml:6:10: error: fronts[0]: expected a list of two or three objectives, got "
        "'area_mm2'");
  CHECK(with("fronts: [[area_mm2]]\n") ==
        "s.yaml:6:10: error: fronts[0]: expected a list of two or three objectives, got a list");
  CHECK(with("fronts: [[area_mm2, energy_pj], [area_mm, energy_pj]]\n") ==
        "s.yaml:6:34: error: fronts[1]: 'area_mm' is not among the objectives; did you mean "
        "'area_mm2'?");
  CHECK(with("fronts: [[area_mm2, area_mm2]]\n") ==
        "s.yaml:6:21: error: fronts[0]: 'area_mm2' stands there twice");
}

TEST_CASE("A strategy has the keys of its kind") {
  CHECK(with("strategy: gird\n") ==
        "s.yaml:6:1: error: strategy: expected one of 'grid', 'random', 'sobol', 'nsga2', got "
        "'gird'");
  CHECK(with("strategy: {points: 5}\n") ==
        "s.yaml:6:1: error: strategy: missing key 'kind'\n"
        "s.yaml:6:12: error: strategy.points: is of the strategies random and sobol only");
  CHECK(with("strategy: {kind: grid, points: 5, seed: 1, population: 8, generations: 2}\n") ==
        "s.yaml:6:24: error: strategy.points: is of the strategies random and sobol only\n"
        "s.yaml:6:35: error: strategy.seed: is of the strategies random and nsga2 only\n"
        "s.yaml:6:44: error: strategy.population: is of the strategies nsga2 only\n"
        "s.yaml:6:59: error: strategy.generations: is of the strategies nsga2 only");
  CHECK(with("strategy: {kind: random, points: 0, seed: 4294967296}\n") ==
        "s.yaml:6:26: error: strategy.points: expected 1..1000000000, got 0\n"
        "s.yaml:6:37: error: strategy.seed: expected at least 0, got 4294967296");
  CHECK(with("strategy: {kind: nsga2, population: 10, generations: 0}\n") ==
        "s.yaml:6:25: error: strategy.population: expected a multiple of 4, got 10\n"
        "s.yaml:6:41: error: strategy.generations: expected 1..1000000, got 0");
  CHECK(with("strategy: {kind: nsga2, population: 4}\n") ==
        "s.yaml:6:25: error: strategy.population: expected 8..100000, got 4");
  const std::string one = "evolution is towards a front: expected at least two objectives";
  CHECK(with("objectives: [area_mm2]\nstrategy: nsga2\n") == "s.yaml:7:1: error: strategy: " + one);
  CHECK(with("objectives: [area_mm2]\nstrategy: {kind: nsga2, seed: 2}\n") ==
        "s.yaml:7:12: error: strategy.kind: " + one);
  CHECK(read(std::string(kHead) + "strategy: {kind: sobol, points: 12}\n").strategy.points == 12);
}

TEST_CASE("All mistakes of a file come at once, in order of place") {
  CHECK(mistakes("schema: space/1\naccelerator: tiny.yaml\naxes:\n  engine.rows: []\n"
                 "constraint: [a]\nnetworks: []\nfidelity: cycle\nobjectives: [area]\n"
                 "strategy: best\n") ==
        "s.yaml:4:3: error: axes.\"engine.rows\": expected at least one value\n"
        "s.yaml:5:1: error: unknown key 'constraint'; did you mean 'constraints'?\n"
        "s.yaml:6:1: error: networks: expected a list of networks, got a list\n"
        "s.yaml:7:1: error: fidelity: expected one of 'analytic', 'tile', got 'cycle'\n"
        "s.yaml:8:1: error: objectives: unknown metric 'area'; known: 'latency_s', 'energy_pj', "
        "'edp_js', 'area_mm2', 'loss', 'dram_bytes', 'weight_bytes'\n"
        "s.yaml:9:1: error: strategy: expected one of 'grid', 'random', 'sobol', 'nsga2', got "
        "'best'");
}

TEST_CASE("The text that results follow from has neither names nor comments") {
  const std::string before = read(kHead).identity;
  CHECK(read(std::string("# a comment\n") + kHead + "name: other\ndescription: text\n").identity ==
        before);
  CHECK(read(std::string(kHead) + "bits: w8a8\n").identity != before);
  CHECK(read(std::string(kHead) + "  engine.columns: [8]\n").identity != before);
  CHECK(read(std::string(kHead) + "strategy: random\n").identity != before);
  // The same values in other places of the tree are others.
  const auto of = [](const std::string& text) { return read(kHead + text).identity; };
  CHECK(of("  a: [[1, 2], [3]]\n") != of("  a: [[1], [2, 3]]\n"));
  CHECK(of("  a: [1, 2]\n  b: [3]\n") != of("  a: [1]\n  b: [2, 3]\n"));
}

TEST_CASE("Shipped spaces and those of the studies read, with all that they name") {
  std::size_t spaces = 0;
  for (const char* folder : {"configs/spaces", "docs/studies"}) {
    const std::filesystem::path top = std::filesystem::path(WIDTHWISE_SOURCE_DIR) / folder;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(top)) {
      const std::string path = entry.path().string();
      if (entry.path().extension() != ".yaml" || schema_kind(load_yaml(path)) != "space") continue;
      INFO(path);
      CHECK_NOTHROW(check_space(path));
      ++spaces;
    }
  }
  CHECK(spaces >= 2);
}

}  // namespace

}  // namespace widthwise
