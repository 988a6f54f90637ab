#include "models/config/yaml_reader.hpp"

#include <array>

#include <catch2/catch.hpp>

#include "tests/config/reading.hpp"

namespace widthwise {
namespace {

using Strings = std::vector<std::string>;

std::string parse_complaints(std::string_view text, const Strings& overrides = {}) {
  return complaints([&] { parse_yaml(text, "f.yaml", overrides).problems.throw_if_any(); });
}

/// Reads one value with `take` from "schema: test/1\nmachine:\n  x: <value>\n".
template <class Take>
std::string value_complaints(const std::string& value, Take take) {
  return complaints([&] {
    YamlDocument document = parse_yaml("schema: test/1\nmachine:\n  x: " + value + "\n", "f.yaml");
    MapReader root = open_document(document, "test");
    MapReader machine = root.map("machine", Need::required);
    take(machine);
    machine.finish();
    root.finish();
    document.problems.throw_if_any();
  });
}

TEST_CASE("The tree keeps kinds, order and the place of every key and element") {
  const YamlDocument document =
      parse_yaml("b: 1\na:\n  - x\n  - 'y'\nc: {d: ~, e: [2]}\n", "f.yaml");
  const YamlNode& root = document.root;
  REQUIRE(root.kind == YamlNode::Kind::map);
  REQUIRE(root.children.size() == 3);
  CHECK(root.children[0].key == "b");
  CHECK(root.children[0].text == "1");
  const YamlNode& list = root.children[1];
  CHECK(list.kind == YamlNode::Kind::list);
  CHECK(to_string(list.place) == "f.yaml:2:1");
  REQUIRE(list.children.size() == 2);
  CHECK(to_string(list.children[1].place) == "f.yaml:4:5");
  CHECK_FALSE(list.children[0].quoted);
  CHECK(list.children[1].quoted);
  const YamlNode* c = root.find("c");
  REQUIRE(c != nullptr);
  REQUIRE(c->find("d") != nullptr);
  CHECK(c->find("d")->kind == YamlNode::Kind::null);
  CHECK(to_string(c->find("e")->place) == "f.yaml:5:11");
}

TEST_CASE("Text that is not YAML is reported with its place") {
  CHECK(parse_complaints("a: [1, 2\nb: 3\n") ==
        "f.yaml:2:2: error: not valid YAML: end of sequence flow not found");
  CHECK(parse_complaints("a: b: c\n") == "f.yaml:1:5: error: not valid YAML: illegal map value");
  CHECK(parse_complaints("a: 1\n\tb: 1\n") ==
        "f.yaml:2:1: error: not valid YAML: illegal tab when looking for indentation");
}

TEST_CASE("A quote that is never closed is an error, also at the end of a line") {
  CHECK(parse_complaints("a: \"b") == "f.yaml:1:6: error: not valid YAML: a quote is never closed");
  CHECK(parse_complaints("a: \"b\n") ==
        "f.yaml:1:6: error: not valid YAML: a quote is never closed");
  CHECK(parse_complaints("a: 'b\n \n") ==
        "f.yaml:1:6: error: not valid YAML: a quote is never closed");
}

TEST_CASE("All duplicate keys are reported, each with the line of the first") {
  CHECK(parse_complaints("a: 1\nb: {c: 1, c: 2}\na: 2\n") ==
        "f.yaml:2:11: error: b: duplicate key 'c'; first on line 2\n"
        "f.yaml:3:1: error: duplicate key 'a'; first on line 1");
}

TEST_CASE("Anchors, aliases, merge keys and tags are refused") {
  CHECK(parse_complaints("a: &x 1\n") ==
        "f.yaml:1:4: error: a: anchors ('&name') are not supported; write the value out");
  CHECK(parse_complaints("a: &x {b: 1}\n") ==
        "f.yaml:1:4: error: a: anchors ('&name') are not supported; write the value out");
  CHECK(parse_complaints("a: *x\n") ==
        "f.yaml:1:4: error: not valid YAML: the referenced anchor is not defined");
  CHECK(parse_complaints("a: !!int 1\n") ==
        "f.yaml:1:4: error: a: tags ('!name') are not supported");
  CHECK(parse_complaints("a: !mine [1]\n") ==
        "f.yaml:1:4: error: a: tags ('!name') are not supported");
}

TEST_CASE("A file is one document") {
  CHECK(parse_complaints("---\na: 1\n") == kNoComplaint);
  CHECK(parse_complaints("a: 1\n---\nb: 2\n") ==
        "f.yaml:3:1: error: more than one document in the file");
}

TEST_CASE("Keys are lines of plain text") {
  CHECK(parse_complaints("? [x]\n: y\n") ==
        "f.yaml:1:3: error: a key must be plain text; is a bracket never closed?");
  CHECK(parse_complaints("{~: y}\n") == "f.yaml:1:2: error: a key must be plain text");
  CHECK(parse_complaints("\"a\\nb\": y\n") ==
        "f.yaml:1:1: error: a key must be a line of 1..1024 characters, got 'a b'");
  CHECK(parse_complaints("'': y\n") ==
        "f.yaml:1:1: error: a key must be a line of 1..1024 characters, got ''");
}

TEST_CASE("Control characters are refused where they stand, raw or escaped") {
  CHECK(parse_complaints(std::string_view("a: 1\nb: x\0y\n", 12)) ==
        "f.yaml:2:5: error: not a text file: it contains control characters");
  // yaml-cpp takes this one for the end of the file.
  CHECK(parse_complaints("a: 1\nb: \x04\nc: 3\n") ==
        "f.yaml:2:4: error: not a text file: it contains control characters");
  CHECK(parse_complaints("a: \"x\\0y\"\n") ==
        "f.yaml:1:4: error: a: control characters are not allowed");
}

TEST_CASE("Nesting is bounded") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(parse_complaints(nested(64)) == kNoComplaint);
  CHECK_THAT(parse_complaints(nested(65)), Catch::EndsWith("nested deeper than 64 levels"));
  CHECK_THAT(parse_complaints(nested(100000)), Catch::EndsWith("nested deeper than 64 levels"));
}

TEST_CASE("The number of values and the size of a file are bounded") {
  std::string many = "[";
  for (int i = 0; i < 1'000'001; ++i) {
    many += "1,";
  }
  CHECK_THAT(parse_complaints(many + "]"), Catch::EndsWith("more than 1000000 values"));
  CHECK(parse_complaints(std::string((std::size_t{64} << 20U) + 1, ' ')) ==
        "f.yaml: error: larger than 64 MiB");
}

TEST_CASE("A file that cannot be read says why") {
  const TemporaryFolder folder("yaml_reader");
  CHECK(complaints([&] { load_yaml(folder.path()); }) ==
        folder.path() + ": error: is a directory, not a file");
  CHECK(complaints([&] { load_yaml(folder.path() + "/none.yaml"); }) ==
        folder.path() + "/none.yaml: error: no such file");
  CHECK(complaints([&] { load_yaml(""); }) == "error: no such file");
  CHECK(complaints([&] { load_yaml("/dev/zero"); }) == "/dev/zero: error: larger than 64 MiB");
}

TEST_CASE("The first key names the schema") {
  const auto open_complaints = [](std::string_view text) {
    return complaints([&] {
      YamlDocument document = parse_yaml(text, "f.yaml");
      open_document(document, "accelerator");
      document.problems.throw_if_any();
    });
  };
  CHECK(open_complaints("schema: accelerator/1\n") == kNoComplaint);
  CHECK(open_complaints("schema: network/1\n") ==
        "f.yaml:1:1: error: schema: expected schema 'accelerator/1', got 'network/1'");
  CHECK(open_complaints("schema: accelerator/2\n") ==
        "f.yaml:1:1: error: schema: expected schema 'accelerator/1', got 'accelerator/2'");
  CHECK(open_complaints("name: x\n") ==
        "f.yaml:1:1: error: missing key 'schema'; the file must start with 'schema: "
        "accelerator/1'");
  CHECK(open_complaints("name: x\nschema: accelerator/1\n") ==
        "f.yaml:2:1: error: schema: must be the first key of the file");
  CHECK(open_complaints("- a\n") ==
        "f.yaml:1:1: error: expected a mapping that starts with 'schema: accelerator/1', got a "
        "list");
  CHECK(open_complaints("") ==
        "f.yaml:1:1: error: expected a mapping that starts with 'schema: accelerator/1', got "
        "nothing");
  CHECK(schema_kind(parse_yaml("schema: space/1\n", "f.yaml")) == "space");
  CHECK(complaints([] { schema_kind(parse_yaml("schema: 5\n", "f.yaml")); }) ==
        "f.yaml:1:1: error: schema: expected '<kind>/1', got '5'");
}

TEST_CASE("An integer is decimal and in its range, both ends included") {
  const auto read = [](const std::string& value) {
    return value_complaints(value, [](MapReader& machine) {
      int x = 0;
      machine.integer("x", Need::required, x, {1, 1024});
    });
  };
  CHECK(read("1") == kNoComplaint);
  CHECK(read("1024") == kNoComplaint);
  CHECK(read("0") == "f.yaml:3:3: error: machine.x: expected 1..1024, got 0");
  CHECK(read("1025") == "f.yaml:3:3: error: machine.x: expected 1..1024, got 1025");
  CHECK(read("99999999999999999999") ==
        "f.yaml:3:3: error: machine.x: expected 1..1024, got 99999999999999999999");
  for (const std::string value : {"010", "0x8", "1e1", "8.0", "+8", "yes", "1 000"}) {
    CHECK(read(value) ==
          "f.yaml:3:3: error: machine.x: expected a whole number, 1..1024, got '" + value + "'");
  }
  CHECK(read("'8'") == "f.yaml:3:3: error: machine.x: expected a whole number, 1..1024, got '8'");
  CHECK(read("") == "f.yaml:3:3: error: machine.x: expected a whole number, 1..1024, got nothing");
  CHECK(read("[8]") ==
        "f.yaml:3:3: error: machine.x: expected a whole number, 1..1024, got a list");
}

TEST_CASE("Numbers, booleans, text, choices, lists and bandwidths say what they expect") {
  const auto number = [](MapReader& m) {
    double x = 0;
    m.number("x", Need::required, x, {0.5, 10});
  };
  CHECK(value_complaints("0.5", number) == kNoComplaint);
  CHECK(value_complaints("10.1", number) ==
        "f.yaml:3:3: error: machine.x: expected 0.5..10, got 10.1");
  CHECK(value_complaints(".nan", number) ==
        "f.yaml:3:3: error: machine.x: expected a number, 0.5..10, got '.nan'");

  const auto boolean = [](MapReader& m) {
    bool x = false;
    m.boolean("x", Need::required, x);
  };
  CHECK(value_complaints("true", boolean) == kNoComplaint);
  CHECK(value_complaints("yes", boolean) ==
        "f.yaml:3:3: error: machine.x: expected true or false, got 'yes'");

  const auto text = [](MapReader& m) {
    std::string x;
    m.text("x", Need::required, x);
  };
  CHECK(value_complaints("some text", text) == kNoComplaint);
  CHECK(value_complaints("''", text) == "f.yaml:3:3: error: machine.x: expected text, got ''");
  CHECK(value_complaints("{}", text) ==
        "f.yaml:3:3: error: machine.x: expected text, got a mapping");

  const auto choice = [](MapReader& m) {
    constexpr std::array kNames{std::pair<std::string_view, int>{"channels", 1},
                                std::pair<std::string_view, int>{"im2col", 2}};
    int x = 0;
    m.choice("x", Need::required, x, kNames);
  };
  CHECK(value_complaints("im2col", choice) == kNoComplaint);
  CHECK(value_complaints("chanels", choice) ==
        "f.yaml:3:3: error: machine.x: expected one of 'channels', 'im2col', got 'chanels'; did "
        "you mean 'channels'?");

  const auto integers = [](MapReader& m) {
    std::vector<int> x;
    m.integers("x", Need::required, x, {1, 16});
  };
  CHECK(value_complaints("[1, 16]", integers) == kNoComplaint);
  CHECK(value_complaints("[1, 17, a]", integers) ==
        "f.yaml:3:10: error: machine.x[1]: expected 1..16, got 17\n"
        "f.yaml:3:14: error: machine.x[2]: expected a whole number, 1..16, got 'a'");
  CHECK(value_complaints("4", integers) ==
        "f.yaml:3:3: error: machine.x: expected a list of whole numbers such as [2, 4, 8], got "
        "'4'");

  const auto texts = [](MapReader& m) {
    std::vector<std::string> x;
    m.texts("x", Need::required, x);
  };
  CHECK(value_complaints("[a, []]", texts) ==
        "f.yaml:3:10: error: machine.x[1]: expected text, got a list");

  const auto size = [](MapReader& m) {
    Bytes x{0};
    m.quantity("x", Need::required, x, kSize, {Bytes(16), Bytes(1024)});
  };
  CHECK(value_complaints("1 KiB", size) == kNoComplaint);
  CHECK(value_complaints("1025 B", size) ==
        "f.yaml:3:3: error: machine.x: expected 16 B .. 1 KiB, got '1025 B'");
  CHECK(value_complaints("64", size) ==
        "f.yaml:3:3: error: machine.x: expected a size such as '64 KiB', got '64'");
  CHECK(value_complaints("[]", size) ==
        "f.yaml:3:3: error: machine.x: expected a size such as '64 KiB', got a list");

  const auto bandwidth = [](MapReader& m) {
    double x = 0;
    m.bandwidth("x", Need::required, x, Hertz(1e9), {1, 1000});
  };
  CHECK(value_complaints("1 GB/s", bandwidth) == kNoComplaint);
  CHECK(value_complaints("100 MB/s", bandwidth) ==
        "f.yaml:3:3: error: machine.x: expected 1 bit/cycle .. 1000 bit/cycle, got '100 MB/s' "
        "(0.8 bit/cycle)");
}

TEST_CASE("Unknown and missing keys name the mapping around them") {
  const auto complaint = value_complaints("1\n  bandwith: 2\n  zzz: 3", [](MapReader& m) {
    double x = 0;
    m.number("x", Need::required, x, {0, 10});
    m.number("bandwidth", Need::required, x, {0, 10});
  });
  CHECK(complaint ==
        "f.yaml:2:1: error: machine: missing key 'bandwidth'\n"
        "f.yaml:4:3: error: machine: unknown key 'bandwith'; did you mean 'bandwidth'?\n"
        "f.yaml:5:3: error: machine: unknown key 'zzz'");
}

TEST_CASE("A getter leaves its target alone when the key is absent or wrong") {
  YamlDocument document = parse_yaml("a: x\n", "f.yaml");
  MapReader reader(document.root, "", document.problems);
  int value = 7;
  CHECK_FALSE(reader.integer("a", Need::optional, value, {0, 10}));
  CHECK_FALSE(reader.integer("b", Need::optional, value, {0, 10}));
  CHECK(value == 7);
  CHECK(document.problems.items().size() == 1);
}

TEST_CASE("An absent mapping misses none of its keys") {
  YamlDocument document = parse_yaml("a: 1\n", "f.yaml");
  MapReader reader(document.root, "", document.problems);
  MapReader absent = reader.map("b", Need::optional);
  CHECK_FALSE(absent.given());
  int value = 7;
  CHECK_FALSE(absent.integer("c", Need::required, value, {0, 10}));
  CHECK(absent.entries().empty());
  absent.finish();
  CHECK(document.problems.empty());
}

TEST_CASE("Overrides replace and insert, and name themselves as the place") {
  const Strings overrides{"engine.rows=8", "engine.bits=[2, 4]", "memory.dram.latency=3 cycles",
                          "engine.rows=9", "layers.\"a.b\".batch=2"};
  const YamlDocument document = parse_yaml("engine: {rows: 4}\nlayers:\n", "f.yaml", overrides);
  REQUIRE(document.problems.empty());
  const YamlNode* rows = document.root.find("engine")->find("rows");
  CHECK(rows->text == "9");
  CHECK(to_string(rows->place) == "--set engine.rows=9");
  CHECK(document.root.find("engine")->find("bits")->children.size() == 2);
  CHECK(document.root.find("memory")->find("dram")->find("latency")->text == "3 cycles");
  CHECK(document.root.find("layers")->find("a.b")->find("batch")->text == "2");
}

TEST_CASE("An override that cannot be applied says why") {
  const std::string text = "engine: {rows: 4}\n";
  for (const std::string override :
       {"rows", "", "=1", ".a=1", "a..b=1", "a.=1", "a.\"b=1", "\"a\"b=1"}) {
    CHECK(parse_complaints(text, {override}) ==
          "--set " + override + ": error: expected KEY=VALUE such as 'engine.rows=8'");
  }
  CHECK(parse_complaints(text, {"engine.rows.x=1"}) ==
        "--set engine.rows.x=1: error: engine.rows: expected a mapping to set 'x' in, got '4'");
  CHECK(parse_complaints(text, {"engine.rows=[1"}) ==
        "--set engine.rows=[1: error: a key must be plain text; is a bracket never closed?");
  CHECK(parse_complaints(text, {"a={b: 1, b: 2}"}) ==
        "--set a={b: 1, b: 2}: error: duplicate key 'b'");
}

TEST_CASE("A key with a dot is quoted in a path") {
  CHECK(join_path("", "a") == "a");
  CHECK(join_path("a", "b") == "a.b");
  CHECK(join_path("a", "b.c") == "a.\"b.c\"");
}

}  // namespace
}  // namespace widthwise
