#include "models/hardware/energy.hpp"

#include <algorithm>
#include <cmath>

#include "models/base/text.hpp"

namespace widthwise {

namespace {

/// Power law through two points; log-log interpolation.
double interpolate(double x, double x0, double y0, double x1, double y1) {
  if (y0 <= 0 || y1 <= 0) return y0 + (y1 - y0) * (x - x0) / (x1 - x0);
  const double t = (std::log(x) - std::log(x0)) / (std::log(x1) - std::log(x0));
  return std::exp(std::log(y0) + t * (std::log(y1) - std::log(y0)));
}

template <class Items>
std::vector<std::string> names_of(const Items& items) {
  std::vector<std::string> names;
  for (const auto& item : items) names.push_back(item.name);
  return names;
}

template <class Items>
auto find_named(const Items& items, const std::string& name, const std::string& what,
                const EnergyTable& table, Diagnostics& diagnostics) {
  const auto found = std::find_if(items.begin(), items.end(),
                                  [&](const auto& item) { return item.name == name; });
  if (found == items.end()) {
    const auto known = names_of(items);
    diagnostics.error({table.path}, what,
                      "no entry '" + name + "'; the table has " + quoted_list(known) +
                          suggestion(name, known));
  }
  return found;
}

}  // namespace

EnergyBreakdown& EnergyBreakdown::operator+=(const EnergyBreakdown& other) {
  compute += other.compute;
  array += other.array;
  input_buffer += other.input_buffer;
  weight_buffer += other.weight_buffer;
  output_buffer += other.output_buffer;
  scratchpad += other.scratchpad;
  dram += other.dram;
  post += other.post;
  leakage += other.leakage;
  return *this;
}

EnergyModel::Memory EnergyModel::memory_energy(const EnergyTable& table, const std::string& family,
                                               Bytes capacity, const std::string& key,
                                               Diagnostics& diagnostics) {
  Memory memory;
  const auto found = find_named(table.srams, family, key, table, diagnostics);
  if (found == table.srams.end()) return memory;
  const auto& macros = found->macros;
  if (macros.empty()) {
    diagnostics.error({table.path}, key, "sram family '" + family + "' has no macros");
    return memory;
  }
  // Smaller than the smallest macro: that macro. Larger than the largest: banks of the largest.
  const auto capacity_of = [](const SramEnergy& macro) { return static_cast<double>(macro.capacity.count()); };
  const auto bytes = static_cast<double>(capacity.count());
  const auto take = [&](auto member) {
    const auto value = [&](const SramEnergy& macro) { return (macro.*member).count(); };
    if (bytes <= capacity_of(macros.front())) return value(macros.front());
    if (bytes >= capacity_of(macros.back())) return value(macros.back());
    const auto above = std::find_if(macros.begin(), macros.end(), [&](const SramEnergy& macro) {
      return capacity_of(macro) >= bytes;
    });
    const auto below = above - 1;
    return interpolate(bytes, capacity_of(*below), value(*below), capacity_of(*above), value(*above));
  };
  memory.read_pj_per_bit = take(&SramEnergy::read_per_bit);
  memory.write_pj_per_bit = take(&SramEnergy::write_per_bit);
  const double banks = std::max(1.0, std::ceil(bytes / capacity_of(macros.back())));
  memory.leakage_mw = banks * take(&SramEnergy::leakage);
  return memory;
}

EnergyModel::EnergyModel(const Accelerator& accelerator, const EnergyTable& table)
    : table_path_(table.path),
      accelerator_name_(accelerator.name),
      units_(static_cast<double>(accelerator.engine.rows) * accelerator.engine.columns),
      post_(table.post) {
  Diagnostics diagnostics;
  const auto unit = find_named(table.units, accelerator.engine.unit, "units", table, diagnostics);
  if (unit != table.units.end()) unit_ = *unit;
  const auto dram =
      find_named(table.drams, accelerator.memory.dram.technology, "drams", table, diagnostics);
  if (dram != table.drams.end()) dram_ = *dram;
  const auto& memory = accelerator.memory;
  const auto buffer = [&](const Buffer& config) {
    return memory_energy(table, config.sram, config.capacity, "srams", diagnostics);
  };
  input_ = buffer(memory.input_buffer);
  weight_ = buffer(memory.weight_buffer);
  output_ = buffer(memory.output_buffer);
  if (memory.scratchpad) {
    scratchpad_ = memory_energy(table, memory.scratchpad->sram, memory.scratchpad->capacity, "srams",
                                diagnostics);
  }
  diagnostics.throw_if_any();
  const double leakage_mw = units_ * unit_.leakage.count() + input_.leakage_mw + weight_.leakage_mw +
                            output_.leakage_mw + scratchpad_.leakage_mw +
                            accelerator.post_processing.lanes * post_.leakage_per_lane.count();
  constexpr double kPicojoulesPerSecondPerMilliwatt = 1e9;
  leakage_pj_per_cycle_ = leakage_mw * kPicojoulesPerSecondPerMilliwatt / accelerator.clock.count();
}

double EnergyModel::operation_pj(BitWidth weight_bits, BitWidth activation_bits) const {
  for (const OperationEnergy& operation : unit_.operations) {
    if (operation.weight_bits == weight_bits && operation.activation_bits == activation_bits) {
      return operation.energy.count();
    }
  }
  return -1;
}

void EnergyModel::check_operation(const WidthMode& mode, const std::string& layer,
                                  Diagnostics& diagnostics) const {
  if (operation_pj(mode.operation.weight, mode.operation.activation) >= 0) return;
  diagnostics.error({table_path_}, "units." + unit_.name + ".operations",
                    "no entry for weight_bits " + std::to_string(mode.operation.weight) +
                        ", activation_bits " + std::to_string(mode.operation.activation) +
                        ", which '" + accelerator_name_ + "' needs for layer '" + layer + "'");
}

EnergyBreakdown EnergyModel::energy(const Activity& activity, Cycles latency) const {
  EnergyBreakdown energy;
  if (activity.operations > 0) {
    const double pj =
        operation_pj(activity.operation_weight_bits, activity.operation_activation_bits);
    ensure(pj >= 0, "operation energies are checked before they are used");
    energy.compute = Picojoules(activity.operations * pj);
  }
  energy.array = Picojoules(static_cast<double>(activity.array_active.count()) * units_ *
                            unit_.clock_per_cycle.count());
  const auto access = [](const Memory& memory, Bits read, Bits written) {
    return Picojoules(static_cast<double>(read.count()) * memory.read_pj_per_bit +
                      static_cast<double>(written.count()) * memory.write_pj_per_bit);
  };
  energy.input_buffer = access(input_, activity.input_buffer_read, activity.input_buffer_write);
  energy.weight_buffer = access(weight_, activity.weight_buffer_read, activity.weight_buffer_write);
  energy.output_buffer = access(output_, activity.output_buffer_read, activity.output_buffer_write);
  energy.scratchpad = access(scratchpad_, activity.scratchpad_read, activity.scratchpad_write);
  energy.dram =
      Picojoules(8.0 * (static_cast<double>(activity.dram_read.count()) * dram_.read_per_bit.count() +
                        static_cast<double>(activity.dram_write.count()) * dram_.write_per_bit.count()));
  energy.post = Picojoules(activity.post_outputs * post_.requantize.count() +
                           activity.post_operations * post_.operation.count());
  energy.leakage = Picojoules(static_cast<double>(latency.count()) * leakage_pj_per_cycle_);
  return energy;
}

}  // namespace widthwise
