#include "models/hardware/energy.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace widthwise {

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

EnergyModel::EnergyModel(const Accelerator& accelerator, const EnergyTable& table)
    : table_path_(table.path),
      accelerator_name_(accelerator.name),
      accumulator_bit_(table.accumulator_bit.value_or(AccumulatorBitEnergy{})),
      engine_accumulator_bits_(accelerator.engine.accumulator_bits),
      units_(static_cast<double>(unit_count(accelerator.engine))),
      post_(table.post) {
  Diagnostics diagnostics;
  unit_ = find_unit(table, accelerator.engine.unit, accelerator.engine.lanes,
                    engine_accumulator_bits_, diagnostics);
  dram_ = find_dram(table, accelerator.memory.dram.technology, diagnostics);
  const auto& memory = accelerator.memory;
  const auto buffer = [&](const Buffer& config) {
    return find_memory(table, config.sram, config.capacity, diagnostics);
  };
  input_ = buffer(memory.input_buffer);
  weight_ = buffer(memory.weight_buffer);
  output_ = buffer(memory.output_buffer);
  if (memory.scratchpad) {
    scratchpad_ =
        find_memory(table, memory.scratchpad->sram, memory.scratchpad->capacity, diagnostics);
  }
  diagnostics.throw_if_any();
  const double leakage_mw = units_ * unit_.leakage.count() + input_.leakage.count() +
                            weight_.leakage.count() + output_.leakage.count() +
                            scratchpad_.leakage.count() +
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

double EnergyModel::further_bits(BitWidth accumulator_bits) const {
  return accumulator_bits - unit_.accumulator_bits.value_or(accumulator_bits);
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
    // With fewer lanes than the unit of the table there may be less in it than the bits to save.
    const double of_accumulation = std::max(
        0.0, pj * activity.operations_per_accumulation +
                 further_bits(activity.accumulator_bits) * accumulator_bit_.accumulation.count());
    energy.compute =
        Picojoules(activity.operations / activity.operations_per_accumulation * of_accumulation);
  }
  // A table that does not state the unit's accumulator says nothing about unused bits of it.
  const double unused =
      unit_.accumulator_bits ? engine_accumulator_bits_ - activity.accumulator_bits : 0;
  energy.array = Picojoules(
      static_cast<double>(activity.array_active.count()) * units_ *
      (unit_.clock_per_cycle.count() - unused * accumulator_bit_.clock_per_cycle.count()));
  const auto access = [](const MemoryFigures& memory, Bits read, Bits written) {
    return static_cast<double>(read.count()) * memory.read_per_bit +
           static_cast<double>(written.count()) * memory.write_per_bit;
  };
  energy.input_buffer = access(input_, activity.input_buffer_read, activity.input_buffer_write);
  energy.weight_buffer = access(weight_, activity.weight_buffer_read, activity.weight_buffer_write);
  energy.output_buffer = access(output_, activity.output_buffer_read, activity.output_buffer_write);
  energy.scratchpad = access(scratchpad_, activity.scratchpad_read, activity.scratchpad_write);
  energy.dram = Picojoules(
      8.0 * (static_cast<double>(activity.dram_read.count()) * dram_.read_per_bit.count() +
             static_cast<double>(activity.dram_write.count()) * dram_.write_per_bit.count()));
  energy.post = Picojoules(activity.post_outputs * post_.requantize.count() +
                           activity.post_operations * post_.operation.count());
  energy.leakage = Picojoules(static_cast<double>(latency.count()) * leakage_pj_per_cycle_);
  return energy;
}

std::string EnergyModel::fingerprint() const {
  // Hexadecimal digits of the numbers themselves: nothing is lost.
  std::string text = fmt::format(
      "unit {:a} {} bit {:a} {:a} of {} units {:a} leakage {:a} dram {:a} {:a} post {:a} {:a}\n",
      unit_.clock_per_cycle.count(), unit_.accumulator_bits.value_or(0),
      accumulator_bit_.clock_per_cycle.count(), accumulator_bit_.accumulation.count(),
      engine_accumulator_bits_, units_, leakage_pj_per_cycle_, dram_.read_per_bit.count(),
      dram_.write_per_bit.count(), post_.requantize.count(), post_.operation.count());
  for (const MemoryFigures* memory : {&input_, &weight_, &output_, &scratchpad_}) {
    text += fmt::format("{:a} {:a}\n", memory->read_per_bit.count(), memory->write_per_bit.count());
  }
  return text;
}

std::string EnergyModel::fingerprint(const WidthMode& mode) const {
  return fmt::format("operation {:a}",
                     operation_pj(mode.operation.weight, mode.operation.activation));
}

}  // namespace widthwise
