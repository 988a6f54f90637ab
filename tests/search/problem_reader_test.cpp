#include "search/problem_reader.hpp"

#include <catch2/catch.hpp>

#include "tests/config/reading.hpp"

namespace widthwise {
namespace {

const std::string kExample = R"(schema: problem/1
name: example
minimize: loss
costs: [size, latency]
groups:
  - name: conv1
    options:
      - {weight_bits: 4, activation_bits: 4, loss: 0.5, size: 4, latency: 2}
      - {weight_bits: 8, activation_bits: 8, loss: 0.1, size: 8, latency: 3}
  - name: conv2
    options:
      - {weight_bits: 4, loss: 0.25, size: 40, latency: 20}
      - {weight_bits: 8, loss: 0.05, size: 80, latency: 30}
  - name: fc
    options:
      - {weight_bits: 8, activation_bits: 4, loss: 1, size: 7, latency: 1}
      - {weight_bits: 8, activation_bits: 8, loss: 0.5, size: 8, latency: 1}
ties: [[conv1, conv2]]
pins: {fc: {weight_bits: 8, activation_bits: 8}}
budgets:
  size: {fraction: 0.5}
  latency: {max: 30}
)";

std::string read(const std::string& text) {
  return complaints([&] { parse_problem(text, "f.yaml"); });
}

TEST_CASE("A problem has groups, options, ties, pins, budgets and an objective") {
  const Problem problem = parse_problem(kExample, "f.yaml");
  CHECK(problem.name == "example");
  CHECK(problem.costs == std::vector<std::string>{"size", "latency"});
  REQUIRE(problem.groups.size() == 3);
  CHECK(problem.groups[0].name == "conv1");
  CHECK(to_string(problem.groups[0].place) == "f.yaml:6:5");
  REQUIRE(problem.groups[0].options.size() == 2);
  CHECK(problem.groups[0].options[1].widths() == LayerWidths{8, 8});
  CHECK(problem.groups[0].options[1].loss == 0.1);
  CHECK(problem.groups[0].options[1].costs == std::vector<double>{8, 3});
  CHECK(problem.groups[2].options[0].widths() == LayerWidths{8, 4});
  REQUIRE(problem.ties.size() == 1);
  CHECK(problem.ties[0].groups == std::vector<std::size_t>{0, 1});
  REQUIRE(problem.pins.size() == 1);
  CHECK(problem.pins[0].group == 2);
  CHECK(problem.pins[0].option == 1);
  CHECK(problem.objective.loss == 1);
  REQUIRE(problem.budgets.size() == 2);
  CHECK(problem.budgets[0].metric == 0);
  CHECK(problem.budgets[1].metric == 1);
}

TEST_CASE("An option without activation_bits has them equal to its weight_bits") {
  const Problem problem = parse_problem(kExample, "f.yaml");
  CHECK(problem.groups[1].options[0].widths() == LayerWidths{4, 4});
}

TEST_CASE("A fraction lies between the least and the greatest reachable total") {
  // Reachable with fc pinned: 4 + 40 + 8 = 52 to 8 + 80 + 8 = 96.
  CHECK(parse_problem(kExample, "f.yaml").budgets[0].limit == 52 + 0.5 * (96 - 52));
  CHECK(parse_problem(with(kExample, "fraction: 0.5", "fraction: 0"), "f.yaml").budgets[0].limit ==
        52);
  CHECK(parse_problem(with(kExample, "fraction: 0.5", "fraction: 1"), "f.yaml").budgets[0].limit ==
        96);
}

TEST_CASE("A limit as it stands is taken as it stands") {
  CHECK(parse_problem(kExample, "f.yaml").budgets[1].limit == 30);
}

TEST_CASE("A share is of the total at uniform widths, pinned groups at their pins") {
  const auto limit = [](const std::string& form) {
    return parse_problem(with(kExample, "{fraction: 0.5}", form), "f.yaml").budgets[0].limit;
  };
  CHECK(limit("{relative_to: w8a8, share: 0.5}") == 0.5 * (8 + 80 + 8));
  CHECK(limit("{relative_to: w4a4, share: 1.5}") == 1.5 * (4 + 40 + 8));
  CHECK(limit("{share: 0, relative_to: w4a4}") == 0);
}

TEST_CASE("The loss can have a budget and a cost can be minimized") {
  std::string text = with(kExample, "minimize: loss", "minimize: latency");
  text = with(text, "latency: {max: 30}", "loss: {max: 0.75}");
  const Problem problem = parse_problem(text, "f.yaml");
  CHECK(problem.objective.loss == 0);
  CHECK(problem.objective.costs == std::vector<double>{0, 1});
  CHECK(problem.budgets[1].metric == kLoss);
}

TEST_CASE("A weighted sum can be minimized") {
  const Problem problem =
      parse_problem(with(kExample, "minimize: loss", "minimize: {loss: 1, latency: 0.01}"), "f");
  CHECK(problem.objective.loss == 1);
  CHECK(problem.objective.costs == std::vector<double>{0, 0.01});
}

TEST_CASE("Pins have a short form") {
  const Problem problem =
      parse_problem(with(kExample, "{weight_bits: 8, activation_bits: 8}}", "w8a4}"), "f.yaml");
  CHECK(problem.pins[0].option == 0);
}

TEST_CASE("Ties, pins, budgets, costs and the name may be left out") {
  CHECK(read("schema: problem/1\nminimize: loss\ngroups: [{name: a, options: [{weight_bits: 4, "
             "loss: 1}]}]\n") == kNoComplaint);
}

TEST_CASE("Each rule of problem files has its message") {
  struct Case {
    std::string from;
    std::string to;
    std::string message;
  };
  const std::vector<Case> cases{
      {"minimize: loss\n", "", "f.yaml:1:1: error: missing key 'minimize'"},
      {"minimize: loss", "minimize: lass",
       "f.yaml:3:1: error: minimize: expected one of 'size', 'latency', 'loss', got 'lass'; did "
       "you "
       "mean 'loss'?"},
      {"minimize: loss", "minimize: {loss: 1, time: 2}",
       "f.yaml:3:21: error: minimize: expected one of 'size', 'latency', 'loss', got 'time'"},
      {"minimize: loss", "minimize: {loss: -1}",
       "f.yaml:3:12: error: minimize.loss: expected at least 0, got -1"},
      {"minimize: loss", "minimize: {loss: 0}", "f.yaml:1:1: error: minimize: all weights are 0"},
      {"costs: [size, latency]", "costs: [size, latency, size]",
       "f.yaml:1:1: error: costs: 'size' stands there twice"},
      {"costs: [size, latency]", "costs: size",
       "f.yaml:4:1: error: costs: expected a list of texts, got 'size'\n"
       "f.yaml:8:57: error: groups[0].options[0]: unknown key 'size'"},
      {"  - name: conv1", "  - title: conv1",
       "f.yaml:6:5: error: groups[0]: missing key 'name'\n"
       "f.yaml:6:5: error: groups[0]: unknown key 'title'"},
      {"name: conv2", "name: conv1",
       "f.yaml:10:5: error: groups[1]: the name 'conv1' is that of groups[0]"},
      {"loss: 0.5, size: 4,", "loss: nan, size: 4,",
       "f.yaml:8:46: error: groups[0].options[0].loss: expected a number, got 'nan'"},
      {"size: 4, latency: 2", "size: 1e999, latency: 2",
       "f.yaml:8:57: error: groups[0].options[0].size: expected a number, got '1e999'"},
      {"size: 4, latency: 2", "size: 4",
       "f.yaml:8:9: error: groups[0].options[0]: missing key 'latency'"},
      {"weight_bits: 4, activation_bits: 4, loss: 0.5", "weight_bits: 17, loss: 0.5",
       "f.yaml:8:10: error: groups[0].options[0].weight_bits: expected 1..16, got 17"},
      {"weight_bits: 8, activation_bits: 8, loss: 0.1", "weight_bits: 4, loss: 0.1",
       "f.yaml:9:9: error: groups[0].options[1]: w4a4 is given twice; first as options[0]"},
      {"ties: [[conv1, conv2]]", "ties: [conv1, conv2]",
       "f.yaml:18:8: error: ties[0]: expected a list of groups, got 'conv1'\n"
       "f.yaml:18:15: error: ties[1]: expected a list of groups, got 'conv2'"},
      {"ties: [[conv1, conv2]]", "ties: [[conv1, conv3]]",
       "f.yaml:18:16: error: ties[0][1]: there is no group 'conv3'; did you mean 'conv1'?"},
      {"ties: [[conv1, conv2]]", "ties: [[conv1]]",
       "f.yaml:18:8: error: ties[0]: expected at least two groups"},
      {"ties: [[conv1, conv2]]", "ties: [[conv1, conv2, conv1]]",
       "f.yaml:18:8: error: ties[0]: 'conv1' stands there twice"},
      {"{weight_bits: 4, loss: 0.25", "{weight_bits: 2, loss: 0.25", ""},
      {"pins: {fc: {weight_bits: 8, activation_bits: 8}}", "pins: {fcc: w8a8}",
       "f.yaml:19:8: error: pins: there is no group 'fcc'; did you mean 'fc'?"},
      {"pins: {fc: {weight_bits: 8, activation_bits: 8}}", "pins: {fc: w4a4}",
       "f.yaml:19:8: error: pins.fc: the group has no option w4a4"},
      {"pins: {fc: {weight_bits: 8, activation_bits: 8}}", "pins: {fc: 8}",
       "f.yaml:19:8: error: pins.fc: expected widths of 1..16 such as w4a8, got '8'"},
      {"pins: {fc: {weight_bits: 8, activation_bits: 8}}", "pins: {conv1: w4a4, conv2: w8a8}",
       "f.yaml:19:21: error: pins.conv2: not possible in the tie of 'conv1', 'conv2': 'conv1' is "
       "pinned at w4a4, 'conv2' is pinned at w8a8"},
      {"  latency: {max: 30}", "  latencies: {max: 30}",
       "f.yaml:22:3: error: budgets: expected one of 'size', 'latency', 'loss', got 'latencies'; "
       "did "
       "you mean 'latency'?"},
      {"{max: 30}", "{max: -1}",
       "f.yaml:22:13: error: budgets.latency.max: expected at least 0, got -1"},
      {"{max: 30}", "{max: nan}", "f.yaml:22:13: error: budgets.latency.max: expected a number, "},
      {"{max: 30}", "{fraction: 1.5}",
       "f.yaml:22:13: error: budgets.latency.fraction: expected 0..1, got 1.5"},
      {"{max: 30}", "{max: 30, fraction: 0.5}",
       "f.yaml:22:3: error: budgets.latency: expected one of {max: 4.2}, {fraction: 0.5} and "
       "{relative_to: w8a8, share: 0.5}"},
      {"{max: 30}", "{share: 0.5}",
       "f.yaml:22:3: error: budgets.latency: missing key 'relative_to'"},
      {"{max: 30}", "{relative_to: w8, share: 0.5}",
       "f.yaml:22:13: error: budgets.latency.relative_to: expected widths of 1..16 such as w4a8, "
       "got "
       "'w8'"},
      {"{max: 30}", "{relative_to: w2a2, share: 0.5}",
       "f.yaml:22:3: error: budgets.latency.relative_to: 'conv1', 'conv2' have no option w2a2"},
      {"{max: 30}", "{most: 30}", "f.yaml:22:3: error: budgets.latency: expected one of "},
      {"name: example", "nane: example",
       "f.yaml:2:1: error: unknown key 'nane'; did you mean 'name'?"},
  };
  for (const Case& c : cases) {
    INFO(c.to);
    const std::string said = read(with(kExample, c.from, c.to));
    CHECK(said.substr(0, c.message.size()) == c.message);
    if (c.message.empty()) CHECK(said == kNoComplaint);
  }
}

TEST_CASE("Tied groups must have widths in common") {
  std::string text = with(kExample, "{weight_bits: 4, loss: 0.25", "{weight_bits: 2, loss: 0.25");
  text = with(text, "{weight_bits: 8, loss: 0.05", "{weight_bits: 3, loss: 0.05");
  CHECK(read(text) ==
        "f.yaml:18:8: error: ties[0]: there are no widths that all of 'conv1', 'conv2' have an "
        "option for");
}

TEST_CASE("A pin must be possible in its tie") {
  std::string text = with(kExample, "{weight_bits: 4, loss: 0.25", "{weight_bits: 2, loss: 0.25");
  text = with(text, "pins: {fc: {weight_bits: 8, activation_bits: 8}}", "pins: {conv2: w2a2}");
  CHECK(read(text) ==
        "f.yaml:19:8: error: pins.conv2: not possible in the tie of 'conv1', 'conv2': 'conv2' is "
        "pinned at w2a2, which the others do not all have");
}

TEST_CASE("A problem has groups and a group has options") {
  CHECK(read("schema: problem/1\nminimize: loss\ngroups: []\n") ==
        "f.yaml:1:1: error: groups: expected at least one group");
  CHECK(read("schema: problem/1\nminimize: loss\ngroups: [{name: a, options: []}]\n") ==
        "f.yaml:3:10: error: groups[0]: expected at least one option");
}

TEST_CASE("All mistakes of a problem come at once") {
  std::string text = with(kExample, "minimize: loss", "minimize: lass");
  text = with(text, "latency: 2}", "latency: x}");
  text = with(text, "[[conv1, conv2]]", "[[conv1, conv9]]");
  text = with(text, "max: 30", "max: thirty");
  CHECK(read(text) ==
        "f.yaml:3:1: error: minimize: expected one of 'size', 'latency', 'loss', got 'lass'; did "
        "you mean 'loss'?\n"
        "f.yaml:8:66: error: groups[0].options[0].latency: expected a number, got "
        "'x'\n"
        "f.yaml:18:16: error: ties[0][1]: there is no group 'conv9'; did you mean 'conv1'?\n"
        "f.yaml:22:13: error: budgets.latency.max: expected a number, at least 0, got 'thirty'");
}

TEST_CASE("A problem is read from a file") {
  const TemporaryFolder folder("problem_reader");
  CHECK(read_problem(folder.write("p.yaml", kExample)).groups.size() == 3);
}

}  // namespace
}  // namespace widthwise
