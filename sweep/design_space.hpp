// The machines of a space: which there are, and what each is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/hardware/accelerator.hpp"
#include "models/hardware/energy_table.hpp"
#include "sweep/expression.hpp"
#include "sweep/space.hpp"

namespace widthwise {

/// A machine of the space.
struct Machine {
  Accelerator accelerator;
  const EnergyTable* energy = nullptr;
  double area_mm2 = 0;
  std::string accelerator_name;        // as the space names the file
  std::vector<std::string> overrides;  // all that make it of that file: "engine.rows=8"
  std::vector<std::string> derived;    // values of the derived keys
  std::string bits;                    // value of the axis `bits`, or the space's
};

/// Why a cell has no machine.
struct Excluded {
  std::string reason;
};

class DesignSpace {
 public:
  /// Reads the accelerators and energy tables that the space names. Throws InputError, all at once:
  /// what they lack, more than 2^62 cells, expressions that are none or name what no machine has,
  /// values of an axis that no machine takes.
  explicit DesignSpace(const Space& space);

  [[nodiscard]] const Space& space() const { return space_; }
  [[nodiscard]] std::uint64_t cells() const { return cells_; }

  /// Index of the value on each axis.
  [[nodiscard]] std::vector<std::size_t> coordinates(std::uint64_t cell) const;
  [[nodiscard]] std::uint64_t cell(const std::vector<std::size_t>& coordinates) const;

  [[nodiscard]] std::variant<Machine, Excluded> machine(std::uint64_t cell) const;

  /// Text of the files that machines are made of.
  [[nodiscard]] std::string identity() const;

 private:
  struct Base {
    std::string name, path, text;
  };
  struct CompiledDerived {
    const DerivedKey* key = nullptr;
    Expression expression;
  };

  void add_base(const Given& given, Diagnostics& problems);
  void compile(Diagnostics& problems);
  [[nodiscard]] std::vector<std::string> first_values() const;
  void check_bases(Diagnostics& problems) const;
  void check_derived(Diagnostics& problems) const;
  void check_axes(Diagnostics& problems) const;
  void check_names(Diagnostics& problems) const;
  [[nodiscard]] std::variant<Machine, Excluded> make(const Base& base,
                                                     std::vector<std::string> overrides) const;
  [[nodiscard]] const Base& base_at(const std::vector<std::size_t>& coordinates) const;
  [[nodiscard]] Accelerator parse(const Base& base, const std::vector<std::string>& set) const;
  [[nodiscard]] const EnergyTable& energy(const std::string& path) const;

  const Space& space_;
  std::uint64_t cells_ = 1;
  std::vector<Base> bases_;  // one per value of the axis `accelerator`, or the only one
  std::optional<std::size_t> accelerator_axis_, bits_axis_;
  std::vector<CompiledDerived> derived_;
  std::vector<Expression> constraints_;
  mutable std::map<std::string, EnergyTable> energy_;  // by path
  // Cells that differ in widths alone follow one another.
  mutable std::vector<std::string> last_words_;  // what the last machine was made of
  mutable std::optional<std::variant<Machine, Excluded>> last_;
};

/// What expressions may ask of a machine besides its keys: area_mm2, and sram_bytes of all buffers
/// and the scratchpad.
Expression::Lookup numbers_of(const Accelerator& accelerator, const EnergyTable& energy);

}  // namespace widthwise
