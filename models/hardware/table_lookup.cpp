#include "models/hardware/table_lookup.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "models/base/text.hpp"

namespace widthwise {

namespace {

/// Power law through two points; log-log interpolation.
double interpolate(double x, double x0, double y0, double x1, double y1) {
  if (y0 <= 0 || y1 <= 0) {
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0);
  }
  const double t = (std::log(x) - std::log(x0)) / (std::log(x1) - std::log(x0));
  return std::exp(std::log(y0) + t * (std::log(y1) - std::log(y0)));
}

template <class Row>
const Row* find_named(const std::vector<Row>& rows, const std::string& name,
                      const std::string& list, const EnergyTable& table, Diagnostics& diagnostics) {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.name == name; });
  if (found != rows.end()) {
    return &*found;
  }
  std::vector<std::string> known;
  for (const Row& row : rows) {
    known.push_back(row.name);
  }
  diagnostics.error(
      {table.path}, list,
      "no entry '" + name + "'; the table has " + quoted_list(known) + suggestion(name, known));
  return nullptr;
}

/// The unit of a family at so many lanes, between its neighbours or beyond the two at an end;
/// nothing if there is no such family.
std::optional<UnitEnergy> of_family(const EnergyTable& table, const std::string& family,
                                    int lanes) {
  std::vector<const UnitEnergy*> members;
  for (const UnitEnergy& unit : table.units) {
    if (!family.empty() && unit.family == family) members.push_back(&unit);
  }
  if (members.size() < 2) return std::nullopt;
  std::sort(members.begin(), members.end(),
            [](const auto* a, const auto* b) { return a->lanes < b->lanes; });
  std::size_t next = 1;
  while (next + 1 < members.size() && members[next]->lanes < lanes) ++next;
  const UnitEnergy& low = *members[next - 1];
  const UnitEnergy& high = *members[next];
  const auto line = [&](double at_low, double at_high) {
    const double slope = (at_high - at_low) / (high.lanes - low.lanes);
    return std::max(0.0, at_low + slope * (lanes - low.lanes));
  };
  UnitEnergy unit = low;
  unit.name = family;
  unit.lanes = lanes;
  unit.clock_per_cycle =
      Picojoules(line(low.clock_per_cycle.count(), high.clock_per_cycle.count()));
  unit.leakage = Milliwatts(line(low.leakage.count(), high.leakage.count()));
  unit.area = SquareMicrometres(line(low.area.count(), high.area.count()));
  for (OperationEnergy& operation : unit.operations) {
    const auto same = std::find_if(high.operations.begin(), high.operations.end(),
                                   [&](const OperationEnergy& other) {
                                     return other.weight_bits == operation.weight_bits &&
                                            other.activation_bits == operation.activation_bits;
                                   });
    ensure(same != high.operations.end(), "units of a family have the same operations");
    operation.energy = Picojoules(
        line(low.lanes * operation.energy.count(), high.lanes * same->energy.count()) / lanes);
  }
  return unit;
}

double bytes_of(const SramEnergy& macro) { return static_cast<double>(macro.capacity.count()); }

}  // namespace

UnitEnergy find_unit(const EnergyTable& table, const std::string& name, int lanes,
                     BitWidth accumulator_bits, Diagnostics& diagnostics) {
  UnitEnergy unit;
  if (auto in_family = of_family(table, name, lanes)) {
    unit = *std::move(in_family);
  } else {
    const UnitEnergy* found = find_named(table.units, name, "units", table, diagnostics);
    if (found == nullptr) return {};
    unit = *found;
  }
  const int further = accumulator_bits - unit.accumulator_bits.value_or(accumulator_bits);
  if (further == 0) return unit;
  if (!table.accumulator_bit) {
    diagnostics.error({table.path}, "accumulator_bit",
                      "missing: unit '" + name + "' has an accumulator of " +
                          std::to_string(*unit.accumulator_bits) + " bits, the engine one of " +
                          std::to_string(accumulator_bits));
    return unit;
  }
  const AccumulatorBitEnergy& bit = *table.accumulator_bit;
  const double bits = further;
  unit.clock_per_cycle += bits * bit.clock_per_cycle;
  unit.leakage += bit.leakage * bits;
  unit.area += bit.area * bits;
  return unit;
}

DramEnergy find_dram(const EnergyTable& table, const std::string& name, Diagnostics& diagnostics) {
  const DramEnergy* dram = find_named(table.drams, name, "drams", table, diagnostics);
  return dram == nullptr ? DramEnergy{} : *dram;
}

MemoryFigures find_memory(const EnergyTable& table, const std::string& family, Bytes capacity,
                          Diagnostics& diagnostics) {
  const SramFamily* found = find_named(table.srams, family, "srams", table, diagnostics);
  if (found == nullptr) {
    return {};
  }
  const auto& macros = found->macros;
  if (macros.empty()) {
    diagnostics.error({table.path}, "srams", "sram family '" + family + "' has no macros");
    return {};
  }
  const auto bytes = static_cast<double>(capacity.count());
  const auto take = [&](auto member) {
    const auto value = [&](const SramEnergy& macro) { return (macro.*member).count(); };
    if (bytes <= bytes_of(macros.front())) {
      return value(macros.front());
    }
    if (bytes >= bytes_of(macros.back())) {
      return value(macros.back());
    }
    const auto above = std::find_if(macros.begin(), macros.end(), [&](const SramEnergy& macro) {
      return bytes_of(macro) >= bytes;
    });
    const auto below = above - 1;
    return interpolate(bytes, bytes_of(*below), value(*below), bytes_of(*above), value(*above));
  };
  const double banks = std::max(1.0, std::ceil(bytes / bytes_of(macros.back())));
  return {Picojoules(take(&SramEnergy::read_per_bit)), Picojoules(take(&SramEnergy::write_per_bit)),
          Milliwatts(banks * take(&SramEnergy::leakage)),
          SquareMicrometres(banks * take(&SramEnergy::area))};
}

}  // namespace widthwise
