// Which machines a space has: cells as digits, keys that follow from others, what is left out, and
// one mistake per rule.
#include "sweep/design_space.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/area.hpp"
#include "models/hardware/energy_reader.hpp"
#include "tests/sweep/tiny_space.hpp"

namespace widthwise {

namespace {

using Strings = std::vector<std::string>;
using Rule = DerivedKey::Rule;

std::string mistakes(const TinyFolder& folder, const Space& space) {
  try {
    const DesignSpace design(space);
    return "none";
  } catch (const InputError& error) {
    return folder.text_of(error);
  }
}

std::string reason(const DesignSpace& design, std::uint64_t cell) {
  const auto made = design.machine(cell);
  const auto* excluded = std::get_if<Excluded>(&made);
  return excluded == nullptr ? "a machine" : excluded->reason;
}

Machine machine(const DesignSpace& design, std::uint64_t cell) {
  INFO(reason(design, cell));
  return std::get<Machine>(design.machine(cell));
}

std::string value_of(const Machine& machine, const std::string& key) {
  for (const auto& [name, value] : machine.accelerator.resolved) {
    if (name == key) return value;
  }
  return "";
}

DerivedKey derived(const std::string& key, Rule rule, const std::string& expression,
                   const Strings& candidates = {}) {
  return {key, rule, expression, candidates, {"space.yaml", 7, 3}};
}

Condition condition(const std::string& expression, std::size_t index = 0) {
  return {expression,
          {"space.yaml", 8, 3 + static_cast<int>(index)},
          "constraints[" + std::to_string(index) + "]"};
}

TEST_CASE("A cell is the axes' indices as digits, the last axis' fastest") {
  const TinyFolder folder;
  Space space = folder.space();
  space.axes = {
      {"engine.rows", {"4", "8"}, {}},
      {"engine.columns", {"4", "8", "16"}, {}},
      {"post_processing.lanes", {"8"}, {}},
      {"memory.dram.bandwidth", {"32 bit/cycle", "64 bit/cycle", "128 bit/cycle", "8 GB/s"}, {}}};
  const DesignSpace design(space);
  REQUIRE(design.cells() == 2 * 3 * 1 * 4);
  for (std::uint64_t cell = 0; cell < design.cells(); ++cell) {
    const auto at = design.coordinates(cell);
    CHECK(at == std::vector<std::size_t>{cell / 12, cell / 4 % 3, 0, cell % 4});
    CHECK(design.cell(at) == cell);
    const Machine made = machine(design, cell);
    for (std::size_t a = 0; a < 3; ++a) {
      CHECK(value_of(made, space.axes[a].key) == space.axes[a].values[at[a]]);
    }
    CHECK(made.overrides[3] == "memory.dram.bandwidth=" + space.axes[3].values[at[3]]);
  }
  CHECK(machine(design, 0).accelerator.engine.rows == 4);
  CHECK(machine(design, 12).accelerator.engine.rows == 8);
}

TEST_CASE("A machine is its file with the overrides of all, of the axes and of what is derived") {
  const TinyFolder folder;
  Space space = folder.space();
  space.overrides = {"clock=250 MHz", "engine.rows=2"};  // an axis wins over what is set for all
  space.derived = {
      derived("memory.input_buffer.capacity", Rule::computed, "memory.weight_buffer.capacity / 2")};
  const DesignSpace design(space);
  const Machine made = machine(design, 4);
  CHECK(made.overrides == Strings{"clock=250 MHz", "engine.rows=2", "engine.rows=8",
                                  "engine.columns=8", "memory.input_buffer.capacity=8 KiB"});
  CHECK(made.derived == Strings{"8 KiB"});
  CHECK(made.bits == "w8a8");
  CHECK(made.accelerator_name == folder.path("tiny.yaml"));
  const Accelerator same = read_accelerator(folder.path("tiny.yaml"), made.overrides);
  CHECK(made.accelerator.resolved == same.resolved);
  CHECK(made.accelerator.engine.rows == 8);
  const EnergyTable energy = read_energy_table(folder.path("energy.yaml"));
  CHECK(made.area_mm2 == estimate_area(same, energy).total().count() / 1e6);
  REQUIRE(made.energy != nullptr);
  CHECK(made.energy->name == "round");
}

TEST_CASE("Derived keys are computed, or the greatest or least value at which a condition holds") {
  const TinyFolder folder;
  Space space = folder.space();
  space.derived = {
      // Bytes stay bytes, rates rates, plain numbers plain.
      derived("memory.weight_buffer.capacity", Rule::computed, "engine.rows * 2 KiB"),
      derived("memory.dram.bandwidth", Rule::computed, "engine.rows * engine.columns / 2"),
      derived("post_processing.lanes", Rule::computed, "max(engine.rows, engine.columns)"),
      // In the order in which the reader sorts them.
      derived("memory.input_buffer.capacity", Rule::greatest,
              "memory.input_buffer.capacity <= memory.weight_buffer.capacity",
              {"32 KiB", "16 KiB", "8 KiB"}),
      derived("memory.output_buffer.capacity", Rule::least,
              "memory.output_buffer.capacity + memory.input_buffer.capacity >= 24 KiB",
              {"8 KiB", "16 KiB", "32 KiB"}),
  };
  const DesignSpace design(space);
  CHECK(machine(design, 0).derived == Strings{"8 KiB", "8 bit/cycle", "4", "8 KiB", "16 KiB"});
  CHECK(machine(design, 5).derived == Strings{"16 KiB", "64 bit/cycle", "16", "16 KiB", "8 KiB"});
}

TEST_CASE("What makes no machine is left out with its reason") {
  const TinyFolder folder;
  Space space = folder.space();
  space.constraints = {condition("engine.rows * engine.columns <= 64"),
                       condition("area_mm2 < 100 && sram_bytes == 48 KiB", 1)};
  {
    const DesignSpace design(space);
    CHECK(reason(design, 4) == "a machine");  // 8 x 8, both sides of the edge
    CHECK(reason(design, 5) == "'engine.rows * engine.columns <= 64' does not hold");  // 8 x 16
    CHECK(reason(design, 2) == "a machine");                                           // 4 x 16
  }
  space.constraints = {condition("sqrt(6 - engine.rows)")};  // no number at 8 rows
  {
    const DesignSpace design(space);
    CHECK(reason(design, 0) == "a machine");
    CHECK(reason(design, 3) == "'sqrt(6 - engine.rows)' does not hold");
  }
  space.constraints.clear();
  space.derived = {derived("post_processing.lanes", Rule::computed, "8 / (engine.rows - 4)")};
  {
    const DesignSpace design(space);
    CHECK(reason(design, 0) ==
          "derived.post_processing.lanes: '8 / (engine.rows - 4)' has no value here");
    CHECK(machine(design, 3).derived == Strings{"2"});
  }
  space.derived = {derived("post_processing.lanes", Rule::computed, "engine.rows / 3")};
  {
    const DesignSpace design(space);
    CHECK_THAT(reason(design, 0), Catch::StartsWith("post_processing.lanes: expected a whole "
                                                    "number"));
  }
  space.derived = {derived("post_processing.lanes", Rule::greatest,
                           "post_processing.lanes * 2 <= engine.rows", {"4", "3"})};
  {
    const DesignSpace design(space);
    CHECK(reason(design, 0) ==
          "derived.post_processing.lanes: 'post_processing.lanes * 2 <= engine.rows' holds at none "
          "of its values");
    CHECK(machine(design, 3).derived == Strings{"4"});
  }
  space.derived = {derived("memory.input_buffer.capacity", Rule::computed, "1e30 * engine.rows")};
  {
    const DesignSpace design(space);
    CHECK_THAT(reason(design, 0), Catch::StartsWith("memory.input_buffer.capacity: expected"));
  }
}

TEST_CASE("A machine whose unit has no energies is left out with its reason") {
  const TinyFolder folder;
  Space space = folder.space();
  space.axes = {{"engine.unit", {"mac8", "mac9"}, {}}};
  const DesignSpace design(space);
  CHECK(reason(design, 0) == "a machine");
  CHECK_THAT(reason(design, 1), Catch::Contains("mac9"));
}

TEST_CASE("Axes may be files of accelerators, tables of energies and assignments") {
  const TinyFolder folder;
  std::string other = kTinyAccelerator;
  other.replace(other.find("name: tiny"), 10, "name: slow");
  other.replace(other.find("100 MHz"), 7, "50 MHz");
  folder.write("other.yaml", other);
  std::string dear = kTinyEnergy;
  dear.replace(dear.find("area: 900 um2"), 13, "area: 1900 um2");
  folder.write("dear.yaml", dear);
  Space space = folder.space();
  space.accelerator = {};
  space.axes = {{"accelerator", {folder.path("tiny.yaml"), folder.path("other.yaml")}, {}},
                {"energy", {folder.path("energy.yaml"), folder.path("dear.yaml")}, {}},
                {"bits", {"w8a8", "w4a4"}, {}}};
  const DesignSpace design(space);
  REQUIRE(design.cells() == 8);
  for (std::uint64_t cell = 0; cell < 8; ++cell) {
    const Machine made = machine(design, cell);
    CHECK(made.accelerator_name == folder.path(cell < 4 ? "tiny.yaml" : "other.yaml"));
    CHECK(made.accelerator.clock == Hertz(cell < 4 ? 100e6 : 50e6));
    CHECK(made.bits == (cell % 2 == 0 ? "w8a8" : "w4a4"));
    CHECK(made.overrides ==
          Strings{"energy=" + folder.path(cell / 2 % 2 == 0 ? "energy.yaml" : "dear.yaml")});
  }
  // 64 elements of 1,000 um2 more.
  CHECK(machine(design, 2).area_mm2 - machine(design, 0).area_mm2 == Approx(64 * 1000 / 1e6));

  const std::string before = design.identity();
  folder.write("dear.yaml", dear + "# other\n");
  CHECK(DesignSpace(space).identity() != before);
}

TEST_CASE("A space of files that are not there or do not read is refused with all of them") {
  const TinyFolder folder;
  Space space = folder.space();
  space.accelerator.text = folder.path("tiny2.yaml");
  CHECK_THAT(mistakes(folder, space), Catch::StartsWith("space.yaml:2:1: error: accelerator: ") &&
                                          Catch::Contains("tiny2.yaml"));
  space = folder.space();
  std::string broken = kTinyAccelerator;
  broken.replace(broken.find("  columns: 8"), 12, "  colums: 8 ");
  folder.write("tiny.yaml", broken);
  space.axes.pop_back();
  CHECK(mistakes(folder, space) ==
        "tiny.yaml:6:1: error: engine: missing key 'columns'\n"
        "tiny.yaml:9:3: error: engine: unknown key 'colums'; did you mean 'columns'?");
  // An axis may give what the file lacks.
  folder.write("tiny.yaml", std::string(kTinyAccelerator).erase(broken.find("  colums: 8 "), 13));
  CHECK_THAT(mistakes(folder, space),
             Catch::Equals("tiny.yaml:6:1: error: engine: missing key 'columns'"));
  CHECK(mistakes(folder, folder.space()) == "none");
  folder.write("tiny.yaml", kTinyAccelerator);
  std::filesystem::remove(folder.path("energy.yaml"));
  CHECK(mistakes(folder, folder.space()) == "energy.yaml: error: no such file");
  folder.write("energy.yaml", "schema: energy/1\nname: x\n");
  CHECK_THAT(mistakes(folder, folder.space()),
             Catch::StartsWith("energy.yaml:1:1: error: missing key "));
}

TEST_CASE("Expressions that are none are refused all at once") {
  const TinyFolder folder;
  Space space = folder.space();
  space.derived = {derived("post_processing.lanes", Rule::computed, "engine.rows = 2")};
  space.constraints = {condition("area_mm2 <= 2"), condition("a <= 1, b <= 2", 1)};
  CHECK(mistakes(folder, space) ==
        "space.yaml:7:3: error: derived.\"post_processing.lanes\": expected an expression, got "
        "'engine.rows = 2': '=' would assign; equality is '=='\n"
        "space.yaml:8:4: error: constraints[1]: expected an expression, got 'a <= 1, b <= 2': ',' "
        "stands between arguments only");
}

TEST_CASE("Names that no machine has are refused all at once") {
  const TinyFolder folder;
  Space space = folder.space();
  space.derived = {derived("post_processing.lanes", Rule::computed, "engine.row * 2")};
  space.constraints = {condition("area_mm <= 2"),
                       // A name, not a number.
                       condition("engine.dataflow == 1", 1), condition("sram_bytes > 0", 2)};
  CHECK(mistakes(folder, space) ==
        "space.yaml:7:3: error: derived.\"post_processing.lanes\": no machine has a number "
        "'engine.row'; did you mean 'engine.rows'?\n"
        "space.yaml:8:3: error: constraints[0]: no machine has a number 'area_mm'; did you mean "
        "'area_mm2'?\n"
        "space.yaml:8:4: error: constraints[1]: no machine has a number 'engine.dataflow'");
}

TEST_CASE("Values that no machine takes and keys that none has are refused all at once") {
  const TinyFolder folder;
  Space space = folder.space();
  space.axes = {{"engine.rows", {"0", "8", "4.5"}, {space.file, 4, 3}},
                {"engine.colums", {"4"}, {space.file, 5, 3}}};
  space.derived = {derived("engine.lanes", Rule::computed, "2")};
  CHECK(mistakes(folder, space) ==
        "space.yaml:4:3: error: axes.\"engine.rows\": no machine takes the value '0': "
        "engine.rows: expected 1..1024, got 0\n"
        "space.yaml:4:3: error: axes.\"engine.rows\": no machine takes the value '4.5': "
        "engine.rows: expected a whole number, 1..1024, got '4.5'\n"
        "space.yaml:5:3: error: axes.\"engine.colums\": no machine takes the value '4': engine: "
        "unknown key 'colums'; did you mean 'columns'?\n"
        "space.yaml:7:3: error: derived.\"engine.lanes\": engine: unknown key 'lanes'");
}

TEST_CASE("A value that fits with some of the others is no mistake") {
  const TinyFolder folder;
  Space space = folder.space();
  // max_bits beyond 8 does not fit the energy table; that is found at the machine.
  space.axes = {{"engine.precision.max_bits", {"8", "16"}, {}}};
  CHECK(mistakes(folder, space) == "none");
}

TEST_CASE("More cells than 2^62 are refused before anything is read") {
  const TinyFolder folder;
  Space space = folder.space();
  space.accelerator.text = "nothing.yaml";
  space.axes.clear();
  for (int a = 0; a < 63; ++a) {
    space.axes.push_back({"k" + std::to_string(a), {"1", "2"}, {space.file, a + 4, 3}});
  }
  CHECK(mistakes(folder, space) ==
        "space.yaml:66:3: error: axes.k62: the axes have more than 2^62 combinations of values");
  space.axes.pop_back();
  CHECK_THAT(mistakes(folder, space), !Catch::Contains("2^62") && Catch::Contains("nothing.yaml"));
}

}  // namespace

}  // namespace widthwise
