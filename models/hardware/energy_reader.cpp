#include "models/hardware/energy_reader.hpp"

#include <map>
#include <set>
#include <utility>

#include "models/base/units.hpp"
#include "models/config/yaml_reader.hpp"

namespace widthwise {

namespace {

constexpr Range<Picojoules> kEnergies{Picojoules(0), Picojoules(1e6)};
constexpr Range<Milliwatts> kPowers{Milliwatts(0), Milliwatts(1e6)};
constexpr Range<SquareMicrometres> kAreas{SquareMicrometres(0), SquareMicrometres(1e9)};
constexpr Range<Bytes> kCapacities{Bytes(1), Bytes(std::int64_t{4} << 30U)};
constexpr Range<double> kNodesNm{1, 1000};
constexpr Range<double> kVoltages{0.1, 10};
constexpr Range<int> kOperandWidths{kMinOperandWidth, kMaxOperandWidth};
constexpr Range<int> kAccumulatorWidths{1, 64};
constexpr Range<int> kLanes{1, 65536};

/// Reports the second row of a name or the like; keys are what makes a row.
template <class Key>
class SeenOnce {
 public:
  void check(const Key& key, const std::string& shown, MapReader& row, std::string_view at) {
    const auto [first, is_new] = seen_.emplace(key, row.place_of(at).line);
    if (!is_new) {
      row.error(at, shown + " stands twice; first on line " + std::to_string(first->second));
    }
  }

 private:
  std::map<Key, int> seen_;
};

std::vector<MapReader> rows(MapReader& reader, std::string_view key) {
  std::vector<MapReader> list = reader.maps(key, Need::required);
  const YamlNode* node = reader.take(key, Need::optional);
  if (list.empty() && node != nullptr && node->kind == YamlNode::Kind::list) {
    reader.error(key, "expected at least one row");
  }
  return list;
}

UnitEnergy read_unit(MapReader& reader) {
  UnitEnergy unit;
  reader.text("name", Need::required, unit.name);
  reader.quantity("clock", Need::required, unit.clock_per_cycle, kEnergyPerCycle, kEnergies);
  reader.quantity("leakage", Need::required, unit.leakage, kPower, kPowers);
  reader.quantity("area", Need::required, unit.area, kArea, kAreas);
  reader.text("source", Need::required, unit.source);
  if (reader.text("family", Need::optional, unit.family)) {
    reader.integer("lanes", Need::required, unit.lanes, kLanes);
  } else {
    reader.refuse("lanes", "not allowed without 'family'");
  }
  BitWidth accumulator_bits = 0;
  if (reader.integer("accumulator_bits", Need::optional, accumulator_bits, kAccumulatorWidths)) {
    unit.accumulator_bits = accumulator_bits;
  }
  SeenOnce<std::pair<BitWidth, BitWidth>> widths;
  for (MapReader& row : rows(reader, "operations")) {
    OperationEnergy operation;
    const bool weight_known =
        row.integer("weight_bits", Need::required, operation.weight_bits, kOperandWidths);
    const bool activation_known =
        row.integer("activation_bits", Need::required, operation.activation_bits, kOperandWidths);
    row.quantity("energy", Need::required, operation.energy, kEnergy, kEnergies);
    row.text("source", Need::required, operation.source);
    row.finish();
    if (weight_known && activation_known) {
      widths.check({operation.weight_bits, operation.activation_bits},
                   "w" + std::to_string(operation.weight_bits) + "a" +
                       std::to_string(operation.activation_bits),
                   row, "weight_bits");
    }
    unit.operations.push_back(std::move(operation));
  }
  reader.finish();
  return unit;
}

AccumulatorBitEnergy read_accumulator_bit(MapReader reader) {
  AccumulatorBitEnergy bit;
  reader.quantity("clock", Need::required, bit.clock_per_cycle, kEnergyPerCycle, kEnergies);
  reader.quantity("accumulation", Need::required, bit.accumulation, kEnergy, kEnergies);
  reader.quantity("leakage", Need::required, bit.leakage, kPower, kPowers);
  reader.quantity("area", Need::required, bit.area, kArea, kAreas);
  reader.text("source", Need::required, bit.source);
  reader.finish();
  return bit;
}

/// A unit without its accumulator must have something left.
/// Units of a family have different lanes and the same operations, and no unit has its name.
void check_families(const EnergyTable& table, MapReader& root) {
  constexpr std::string_view kKey = "units";
  const auto widths = [](const UnitEnergy& unit) {
    std::set<std::pair<BitWidth, BitWidth>> pairs;
    for (const OperationEnergy& operation : unit.operations) {
      pairs.emplace(operation.weight_bits, operation.activation_bits);
    }
    return pairs;
  };
  std::map<std::string, std::vector<const UnitEnergy*>> families;
  for (const UnitEnergy& unit : table.units) {
    if (!unit.family.empty()) families[unit.family].push_back(&unit);
  }
  for (const auto& [family, members] : families) {
    const std::string name = "family '" + family + "'";
    const UnitEnergy& first = *members.front();
    if (members.size() < 2) root.error(kKey, name + " has one unit; expected at least two");
    for (const UnitEnergy& unit : table.units) {
      if (unit.name == family) root.error(kKey, name + " has the name of a unit");
    }
    std::set<int> lanes;
    for (const UnitEnergy* unit : members) {
      if (!lanes.insert(unit->lanes).second) {
        root.error(kKey, name + " has two units of " + std::to_string(unit->lanes) + " lanes");
      }
      if (widths(*unit) != widths(first) || unit->accumulator_bits != first.accumulator_bits) {
        root.error(kKey, name + ": units '" + first.name + "' and '" + unit->name +
                             "' differ in operations or accumulator");
      }
    }
  }
}

void check_accumulators(const EnergyTable& table, MapReader& root) {
  if (!table.accumulator_bit) return;
  const AccumulatorBitEnergy& bit = *table.accumulator_bit;
  for (const UnitEnergy& unit : table.units) {
    const double bits = unit.accumulator_bits.value_or(0);
    const auto check = [&](std::string_view key, double whole, double of_bit) {
      if (bits * of_bit <= whole) return;
      root.error("accumulator_bit", std::string(key) + " of the " +
                                        std::to_string(*unit.accumulator_bits) + " bits of unit '" +
                                        unit.name + "' is more than that of the whole unit");
    };
    check("clock", unit.clock_per_cycle.count(), bit.clock_per_cycle.count());
    check("leakage", unit.leakage.count(), bit.leakage.count());
    check("area", unit.area.count(), bit.area.count());
  }
}

SramFamily read_sram_family(MapReader& reader) {
  SramFamily family;
  reader.text("name", Need::required, family.name);
  for (MapReader& row : rows(reader, "macros")) {
    SramEnergy macro;
    const bool capacity_known =
        row.quantity("capacity", Need::required, macro.capacity, kSize, kCapacities);
    row.quantity("read", Need::required, macro.read_per_bit, kEnergyPerBit, kEnergies);
    row.quantity("write", Need::required, macro.write_per_bit, kEnergyPerBit, kEnergies);
    row.quantity("leakage", Need::required, macro.leakage, kPower, kPowers);
    row.quantity("area", Need::required, macro.area, kArea, kAreas);
    row.text("source", Need::required, macro.source);
    row.finish();
    if (capacity_known && !family.macros.empty() &&
        macro.capacity <= family.macros.back().capacity) {
      row.error("capacity",
                "expected more than the " + format_quantity(family.macros.back().capacity, kSize) +
                    " of the macro before, got '" + format_quantity(macro.capacity, kSize) + "'");
    }
    family.macros.push_back(std::move(macro));
  }
  reader.finish();
  return family;
}

DramEnergy read_dram(MapReader& reader) {
  DramEnergy dram;
  reader.text("name", Need::required, dram.name);
  reader.quantity("read", Need::required, dram.read_per_bit, kEnergyPerBit, kEnergies);
  reader.quantity("write", Need::required, dram.write_per_bit, kEnergyPerBit, kEnergies);
  reader.text("source", Need::required, dram.source);
  reader.finish();
  return dram;
}

PostEnergy read_post(MapReader reader) {
  PostEnergy post;
  reader.quantity("requantize", Need::required, post.requantize, kEnergy, kEnergies);
  reader.quantity("operation", Need::required, post.operation, kEnergy, kEnergies);
  reader.quantity("leakage_per_lane", Need::required, post.leakage_per_lane, kPower, kPowers);
  reader.quantity("area_per_lane", Need::required, post.area_per_lane, kArea, kAreas);
  reader.text("source", Need::required, post.source);
  reader.finish();
  return post;
}

/// The rows of a list that have names, each name once.
template <class Row, class Read>
std::vector<Row> read_named(MapReader& root, std::string_view key, Read read_row) {
  std::vector<Row> result;
  SeenOnce<std::string> names;
  for (MapReader& reader : rows(root, key)) {
    Row row = read_row(reader);
    if (!row.name.empty()) {
      names.check(row.name, quoted_value(row.name), reader, "name");
    }
    result.push_back(std::move(row));
  }
  return result;
}

EnergyTable read(YamlDocument document, const std::string& file) {
  EnergyTable table;
  table.path = file;
  MapReader root = open_document(document, "energy");
  root.text("name", Need::required, table.name);
  root.text("description", Need::optional, table.description);
  root.quantity("node", Need::required, table.node_nm, kLengthNm, kNodesNm);
  root.quantity("voltage", Need::required, table.voltage, kVoltage, kVoltages);
  table.units = read_named<UnitEnergy>(root, "units", read_unit);
  if (root.take("accumulator_bit", Need::optional) != nullptr) {
    table.accumulator_bit = read_accumulator_bit(root.map("accumulator_bit", Need::required));
  }
  check_accumulators(table, root);
  check_families(table, root);
  table.srams = read_named<SramFamily>(root, "srams", read_sram_family);
  table.drams = read_named<DramEnergy>(root, "drams", read_dram);
  table.post = read_post(root.map("post_processing", Need::required));
  root.finish();
  document.problems.throw_if_any();
  return table;
}

}  // namespace

EnergyTable read_energy_table(const std::string& path) { return read(load_yaml(path), path); }

EnergyTable parse_energy_table(std::string_view text, const std::string& file) {
  return read(parse_yaml(text, file), file);
}

}  // namespace widthwise
