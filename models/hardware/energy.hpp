// Energy of counted events: what an energy table says of one accelerator.
//
// Models: products by width, clock of the array while it runs, every bit read from or written to a
// buffer, the scratchpad and DRAM, every output requantized and every element operation, leakage of
// array and memories over the whole latency. A unit has the engine's accumulator; a layer with a
// narrower one saves the clock and the switching of the bits that it does not use (which takes a
// clock gate for them), not their leakage.
// Ignores: the interconnect between buffers and array, control logic, refresh and idle power of
// DRAM (errs low), clock gating of unused rows and columns (errs high); operands narrower than the
// operation they run as toggle less than is charged (errs high).
#pragma once

#include <string>

#include "models/base/error.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/hardware/activity.hpp"
#include "models/hardware/energy_table.hpp"
#include "models/hardware/engine.hpp"
#include "models/hardware/table_lookup.hpp"

namespace widthwise {

class EnergyModel {
 public:
  /// Throws InputError that names every entry which the accelerator needs and the table lacks.
  EnergyModel(const Accelerator& accelerator, const EnergyTable& table);

  /// Reports to `diagnostics` if the table lacks the operation of a mode.
  void check_operation(const WidthMode& mode, const std::string& layer,
                       Diagnostics& diagnostics) const;

  [[nodiscard]] EnergyBreakdown energy(const Activity& activity, Cycles latency) const;

  /// All figures that energy() charges, as text: equal texts, equal energies. The second one: those
  /// of the operation of a mode, which the first leaves out.
  [[nodiscard]] std::string fingerprint() const;
  [[nodiscard]] std::string fingerprint(const WidthMode& mode) const;

 private:
  [[nodiscard]] double operation_pj(BitWidth weight_bits, BitWidth activation_bits) const;
  /// Bits of an accumulator beyond those of the unit that the table's figures are of.
  [[nodiscard]] double further_bits(BitWidth accumulator_bits) const;

  std::string table_path_;
  std::string accelerator_name_;
  UnitEnergy unit_;  // with the engine's accumulator
  AccumulatorBitEnergy accumulator_bit_;
  BitWidth engine_accumulator_bits_ = 0;
  double units_ = 0;
  MemoryFigures input_, weight_, output_, scratchpad_;
  DramEnergy dram_;
  PostEnergy post_;
  double leakage_pj_per_cycle_ = 0;
};

}  // namespace widthwise
