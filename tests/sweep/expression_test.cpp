// Arithmetic over the keys of machines: values by hand, mistakes by their messages.
#include "sweep/expression.hpp"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace widthwise {

namespace {

using Values = std::map<std::string, double>;

std::optional<double> value(const std::string& text, const Values& values = {}) {
  const Expression expression(text, {"space.yaml", 3, 7}, "constraints[0]");
  return expression.value([&](const std::string& name) -> std::optional<double> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  });
}

std::string mistake(const std::string& text) {
  try {
    const Expression expression(text, {"space.yaml", 3, 7}, "constraints[0]");
    return "none";
  } catch (const InputError& error) {
    return error.what();
  }
}

std::string of(const std::string& text, const std::string& why) {
  return "space.yaml:3:7: error: constraints[0]: expected an expression, got '" + text +
         "': " + why;
}

TEST_CASE("An expression has the value that it has by hand") {
  const Values keys{{"engine.rows", 16}, {"engine.columns", 32}, {"zero", 0}};
  const std::vector<std::pair<std::string, double>> table{
      {"2 + 3 * 4", 14},
      {"(2 + 3) * 4", 20},
      {"2 * 3 ^ 2", 18},
      {"2 ^ 3 ^ 2", 512},
      {"8 / 4 / 2", 1},
      {"7 - 2 - 1", 4},
      {"-2 ^ 2", -4},
      {"1.5e3", 1500},
      {"engine.rows * engine.columns", 512},
      {"engine.rows", 16},
      {"min(engine.rows, 3) + max(1, 2, engine.columns)", 35},
      {"floor(2.7) + ceil(2.1) + round(2.5)", 2 + 3 + 3},
      {"log2(engine.columns) + sqrt(engine.rows) + abs(-3)", 5 + 4 + 3},
      {"engine.rows <= 16", 1},
      {"engine.rows < 16", 0},
      {"engine.rows >= 17", 0},
      {"engine.rows != 16", 0},
      {"engine.rows == 8 + 8", 1},
      {"engine.rows*engine.columns<=512", 1},
      {"engine.rows == 16 && engine.columns == 32", 1},
      {"engine.rows == 8 || engine.columns == 32", 1},
      {"engine.rows == 8 || engine.columns == 8", 0},
      // && binds closer than ||.
      {"1 || zero && zero", 1},
      {"(1 || zero) && zero", 0},
      {"engine.rows > 8 ? 3 : 4", 3},
      {"engine.rows > 16 ? 3 : 4", 4},
      {"engine.rows > 16 ? 3 : engine.columns > 16 ? 5 : 6", 5},
      // Comparisons come after sums.
      {"1 + 1 == 2", 1},
  };
  for (const auto& [text, expected] : table) {
    INFO(text);
    CHECK(value(text, keys) == expected);
  }
}

TEST_CASE("A unit after a number multiplies it") {
  CHECK(value("256 KiB") == 256 * 1024.0);
  CHECK(value("256KiB") == 256 * 1024.0);
  CHECK(value("0.5 MiB") == 512 * 1024.0);
  CHECK(value("2 GiB") == 2 * 1024.0 * 1024.0 * 1024.0);
  CHECK(value("3 kHz") == 3e3);
  CHECK(value("500 MHz") == 5e8);
  CHECK(value("1.5 GHz") == 1.5e9);
  CHECK(value("64 KiB + 1") == 65537);
  CHECK(value("2 * 4 KiB") == 8192);
  CHECK(value("(1 + 3) KiB") == 4096);
  CHECK(value("a + b == 256 KiB", {{"a", 65536}, {"b", 196608}}) == 1);
  CHECK(value("clock <= 500 MHz", {{"clock", 500000000}}) == 1);
}

TEST_CASE("Names are the dotted keys that stand in an expression, each once") {
  const Expression expression("memory.weight_buffer.capacity + area_mm2 * 2 > area_mm2", {}, "");
  CHECK(expression.names() ==
        std::vector<std::string>{"area_mm2", "memory.weight_buffer.capacity"});
  CHECK(expression.text() == "memory.weight_buffer.capacity + area_mm2 * 2 > area_mm2");
  CHECK(Expression("2 + 2", {}, "").names().empty());
}

TEST_CASE("A name that has no value leaves the expression without one") {
  CHECK(value("a + b", {{"a", 1}}) == std::nullopt);
  CHECK(value("a + b", {{"a", 1}, {"b", 2}}) == 3);
  // Whichever branch is taken.
  CHECK(value("1 ? a : b", {{"a", 1}}) == std::nullopt);
}

TEST_CASE("The same expression is asked again and again, and moved") {
  Expression first("a * a + b", {}, "");
  const Expression moved(std::move(first));
  for (int a = 0; a < 5; ++a) {
    const auto lookup = [&](const std::string& name) -> std::optional<double> {
      return name == "a" ? a : 100;
    };
    CHECK(moved.value(lookup) == a * a + 100);
  }
}

TEST_CASE("Where arithmetic has no answer there is no finite value, and no exception") {
  CHECK(std::isinf(*value("1 / a", {{"a", 0}})));
  CHECK(std::isnan(*value("a / a", {{"a", 0}})));
  CHECK(std::isnan(*value("sqrt(a)", {{"a", -1}})));
  CHECK_NOTHROW(value("1 / 0"));
}

TEST_CASE("What is no expression is refused at its place") {
  CHECK(mistake("area_mm2 <= 2") == "none");
  CHECK(mistake("engine.rows = 8") == of("engine.rows = 8", "'=' would assign; equality is '=='"));
  CHECK(mistake("a == 1 && b = 2") == of("a == 1 && b = 2", "'=' would assign; equality is '=='"));
  CHECK(mistake("a == 1 && b != 2 && c <= 3 && d >= 4") == "none");
  CHECK(mistake("a <= 1, b <= 2") == of("a <= 1, b <= 2", "',' stands between arguments only"));
  for (const char* text : {"", " ", "2 +", "(2", "2)", "2 3", "foo(2)", "a b", "1 <= ", "\"text\"",
                           "min()", "128 TiB", "a ? 2"}) {
    INFO(text);
    CHECK_THAT(mistake(text), Catch::StartsWith(of(text, "")));
  }
}

}  // namespace

}  // namespace widthwise
