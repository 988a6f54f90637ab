#include "sweep/design_space.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "models/base/read_file.hpp"
#include "models/base/text.hpp"
#include "models/config/yaml_reader.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/area.hpp"
#include "models/hardware/energy_reader.hpp"
#include "sweep/key_number.hpp"

namespace widthwise {

namespace {

constexpr std::uint64_t kMostCells = std::uint64_t{1} << 62;
constexpr std::size_t kMostMebibytes = 64;
constexpr const char* kAreaName = "area_mm2";
constexpr const char* kSramName = "sram_bytes";

double area_of(const Accelerator& accelerator, const EnergyTable& energy) {
  constexpr double kSquareMicrometresPerSquareMillimetre = 1e6;
  return estimate_area(accelerator, energy).total().count() / kSquareMicrometresPerSquareMillimetre;
}

double sram_of(const Memory& memory) {
  Bytes sum =
      memory.input_buffer.capacity + memory.weight_buffer.capacity + memory.output_buffer.capacity;
  if (memory.scratchpad) sum += memory.scratchpad->capacity;
  return static_cast<double>(sum.count());
}

std::string first_message(const InputError& error) {
  const Diagnostic& first = error.diagnostics().front();
  if (!first.key.empty()) return first.key + ": " + first.message;
  return first.place.file.empty() ? first.message : first.place.file + ": " + first.message;
}

bool is_key(const SpaceAxis& axis) { return axis.key != kAcceleratorAxis && axis.key != kBitsAxis; }

bool holds(double value) { return value != 0 && !std::isnan(value); }

/// The same unit that the key has in the file, or none.
KeyUnit unit_of(const Accelerator& accelerator, const std::string& key) {
  for (const auto& [name, value] : accelerator.resolved) {
    if (name != key) continue;
    const auto number = key_number(value);
    return number ? number->unit : KeyUnit::none;
  }
  return KeyUnit::none;
}

}  // namespace

Expression::Lookup numbers_of(const Accelerator& accelerator, const EnergyTable& energy) {
  return [&](const std::string& name) -> std::optional<double> {
    if (name == kAreaName) return area_of(accelerator, energy);
    if (name == kSramName) return sram_of(accelerator.memory);
    for (const auto& [key, value] : accelerator.resolved) {
      if (key != name) continue;
      const auto number = key_number(value);
      return number ? std::optional(number->value) : std::nullopt;
    }
    return std::nullopt;
  };
}

DesignSpace::DesignSpace(const Space& space) : space_(space) {
  Diagnostics problems;
  for (std::size_t a = 0; a < space.axes.size(); ++a) {
    const SpaceAxis& axis = space.axes[a];
    if (axis.key == kAcceleratorAxis) accelerator_axis_ = a;
    if (axis.key == kBitsAxis) bits_axis_ = a;
    if (cells_ > kMostCells / axis.values.size()) {
      problems.error(axis.place, join_path("axes", axis.key),
                     "the axes have more than 2^62 combinations of values");
      problems.throw_if_any();
    }
    cells_ *= axis.values.size();
  }
  if (accelerator_axis_) {
    const SpaceAxis& axis = space.axes[*accelerator_axis_];
    for (const std::string& value : axis.values) {
      add_base({value, axis.place, join_path("axes", axis.key)}, problems);
    }
  } else {
    add_base(space.accelerator, problems);
  }
  compile(problems);
  problems.throw_if_any();
  check_bases(problems);
  problems.throw_if_any();
  check_axes(problems);
  check_derived(problems);
  problems.throw_if_any();
  check_names(problems);
  problems.throw_if_any();
}

void DesignSpace::add_base(const Given& given, Diagnostics& problems) {
  try {
    Base base;
    base.name = given.text;
    base.path = find_file(Shipped::accelerators, given);
    base.text = read_file(base.path, kMostMebibytes);
    bases_.push_back(std::move(base));
  } catch (const InputError& error) {
    problems.append(error.diagnostics());
  }
}

void DesignSpace::compile(Diagnostics& problems) {
  for (const DerivedKey& key : space_.derived) {
    try {
      derived_.push_back(
          {&key, Expression(key.expression, key.place, join_path("derived", key.key))});
    } catch (const InputError& error) {
      problems.append(error.diagnostics());
    }
  }
  for (const Condition& condition : space_.constraints) {
    try {
      constraints_.emplace_back(condition.expression, condition.place, condition.key);
    } catch (const InputError& error) {
      problems.append(error.diagnostics());
    }
  }
}

std::vector<std::string> DesignSpace::first_values() const {
  std::vector<std::string> set = space_.overrides;
  for (const SpaceAxis& axis : space_.axes) {
    if (is_key(axis)) set.push_back(axis.key + '=' + axis.values.front());
  }
  return set;
}

/// An accelerator is wrong if it does not read with the axes' first values nor without them.
void DesignSpace::check_bases(Diagnostics& problems) const {
  const std::vector<std::string> firsts = first_values();
  for (const Base& base : bases_) {
    try {
      static_cast<void>(energy(parse(base, firsts).energy_table));
      continue;
    } catch (const InputError&) {
    }
    try {
      static_cast<void>(energy(parse(base, space_.overrides).energy_table));
    } catch (const InputError& error) {
      problems.append(error.diagnostics());
    }
  }
}

/// A derived key is wrong if it is one of no accelerator.
void DesignSpace::check_derived(Diagnostics& problems) const {
  for (const DerivedKey& key : space_.derived) {
    std::string message;
    const bool known = std::any_of(bases_.begin(), bases_.end(), [&](const Base& base) {
      std::vector<std::string> set = space_.overrides;
      // Whatever the value: whether the key is known does not depend on it.
      set.push_back(key.key + '=' + (key.candidates.empty() ? "1" : key.candidates.front()));
      try {
        static_cast<void>(parse(base, set));
      } catch (const InputError& error) {
        for (const Diagnostic& one : error.diagnostics()) {
          if (!one.message.starts_with("unknown key")) continue;
          message = one.key.empty() ? one.message : one.key + ": " + one.message;
          return false;
        }
      }
      return true;
    });
    if (!known) problems.error(key.place, join_path("derived", key.key), message);
  }
}

/// A value is wrong if no accelerator takes it with the others' first values nor by itself.
void DesignSpace::check_axes(Diagnostics& problems) const {
  const std::vector<std::string> firsts = first_values();
  for (const SpaceAxis& axis : space_.axes) {
    if (!is_key(axis)) continue;
    for (const std::string& value : axis.values) {
      std::string message;
      const bool taken = std::any_of(bases_.begin(), bases_.end(), [&](const Base& base) {
        for (const std::vector<std::string>* others : {&firsts, &space_.overrides}) {
          std::vector<std::string> set = *others;
          set.push_back(axis.key + '=' + value);
          try {
            static_cast<void>(parse(base, set));
            return true;
          } catch (const InputError& error) {
            message = first_message(error);
          }
        }
        return false;
      });
      if (!taken) {
        problems.error(axis.place, join_path("axes", axis.key),
                       fmt::format("no machine takes the value '{}': {}", value, message));
      }
    }
  }
}

void DesignSpace::check_names(Diagnostics& problems) const {
  // Names of a few machines stand for those of all.
  std::vector<std::string> known{kAreaName, kSramName};
  for (const Base& base : bases_) {
    try {
      for (const auto& [key, value] : parse(base, first_values()).resolved) {
        if (key_number(value)) known.push_back(key);
      }
    } catch (const InputError&) {
      try {
        for (const auto& [key, value] : parse(base, space_.overrides).resolved) {
          if (key_number(value)) known.push_back(key);
        }
      } catch (const InputError&) {
        return;  // nothing is known of what the machines have
      }
    }
  }
  for (const CompiledDerived& derived : derived_) known.push_back(derived.key->key);
  const auto check = [&](const Expression& expression, const SourcePlace& place,
                         const std::string& key) {
    for (const std::string& name : expression.names()) {
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      problems.error(place, key,
                     fmt::format("no machine has a number '{}'{}", name, suggestion(name, known)));
    }
  };
  for (const CompiledDerived& derived : derived_) {
    check(derived.expression, derived.key->place, join_path("derived", derived.key->key));
  }
  for (std::size_t i = 0; i < constraints_.size(); ++i) {
    check(constraints_[i], space_.constraints[i].place, space_.constraints[i].key);
  }
}

std::vector<std::size_t> DesignSpace::coordinates(std::uint64_t cell) const {
  std::vector<std::size_t> at(space_.axes.size(), 0);
  for (std::size_t a = at.size(); a > 0; --a) {
    const std::uint64_t extent = space_.axes[a - 1].values.size();
    at[a - 1] = static_cast<std::size_t>(cell % extent);
    cell /= extent;
  }
  return at;
}

std::uint64_t DesignSpace::cell(const std::vector<std::size_t>& coordinates) const {
  std::uint64_t cell = 0;
  for (std::size_t a = 0; a < coordinates.size(); ++a) {
    cell = cell * space_.axes[a].values.size() + coordinates[a];
  }
  return cell;
}

std::string DesignSpace::identity() const {
  std::string text;
  for (const Base& base : bases_) {
    text += base.text + '\n';
    // An axis may name the energy table.
    std::vector<std::string> ways{""};
    for (const SpaceAxis& axis : space_.axes) {
      if (axis.key != "energy") continue;
      for (const std::string& value : axis.values) ways.push_back("energy=" + value);
    }
    for (const std::string& way : ways) {
      std::vector<std::string> set = space_.overrides;
      if (!way.empty()) set.push_back(way);
      try {
        text += read_file(parse(base, set).energy_table, kMostMebibytes) + '\n';
      } catch (const InputError&) {
        continue;  // does not fit by itself: its cells say so
      }
    }
  }
  return text;
}

const DesignSpace::Base& DesignSpace::base_at(const std::vector<std::size_t>& coordinates) const {
  return accelerator_axis_ ? bases_[coordinates[*accelerator_axis_]] : bases_.front();
}

Accelerator DesignSpace::parse(const Base& base, const std::vector<std::string>& set) const {
  return parse_accelerator(base.text, base.path, set);
}

const EnergyTable& DesignSpace::energy(const std::string& path) const {
  const auto found = energy_.find(path);
  return found != energy_.end() ? found->second
                                : energy_.emplace(path, read_energy_table(path)).first->second;
}

std::variant<Machine, Excluded> DesignSpace::machine(std::uint64_t cell) const {
  const std::vector<std::size_t> at = coordinates(cell);
  const Base& base = base_at(at);
  std::string bits = space_.bits;
  std::vector<std::string> words = space_.overrides;
  for (std::size_t a = 0; a < at.size(); ++a) {
    const SpaceAxis& axis = space_.axes[a];
    if (bits_axis_ == a) {
      bits = axis.values[at[a]];
    } else if (accelerator_axis_ != a) {
      words.push_back(axis.key + '=' + axis.values[at[a]]);
    }
  }
  std::vector<std::string> overrides = words;
  words.push_back(base.path);
  if (!last_ || words != last_words_) {
    last_ = make(base, std::move(overrides));
    last_words_ = std::move(words);
  }
  std::variant<Machine, Excluded> made = *last_;
  if (auto* machine = std::get_if<Machine>(&made)) machine->bits = std::move(bits);
  return made;
}

std::variant<Machine, Excluded> DesignSpace::make(const Base& base,
                                                  std::vector<std::string> overrides) const {
  Machine machine;
  machine.accelerator_name = base.name;
  machine.overrides = std::move(overrides);
  try {
    for (const CompiledDerived& derived : derived_) {
      const DerivedKey& key = *derived.key;
      const auto value_at = [&](const std::vector<std::string>& set) {
        const Accelerator accelerator = parse(base, set);
        return derived.expression.value(numbers_of(accelerator, energy(accelerator.energy_table)));
      };
      std::optional<std::string> text;
      if (key.rule == DerivedKey::Rule::computed) {
        const Accelerator before = parse(base, machine.overrides);
        const auto value =
            derived.expression.value(numbers_of(before, energy(before.energy_table)));
        if (!value || !std::isfinite(*value)) {
          return Excluded{
              fmt::format("derived.{}: '{}' has no value here", key.key, key.expression)};
        }
        text = key_text({*value, unit_of(before, key.key)});
      } else {
        for (const std::string& candidate : key.candidates) {
          std::vector<std::string> set = machine.overrides;
          set.push_back(key.key + '=' + candidate);
          const auto value = value_at(set);
          if (value && holds(*value)) {
            text = candidate;
            break;
          }
        }
        if (!text) {
          return Excluded{
              fmt::format("derived.{}: '{}' holds at none of its values", key.key, key.expression)};
        }
      }
      machine.overrides.push_back(key.key + '=' + *text);
      machine.derived.push_back(std::move(*text));
    }
    machine.accelerator = parse(base, machine.overrides);
    machine.energy = &energy(machine.accelerator.energy_table);
    machine.area_mm2 = area_of(machine.accelerator, *machine.energy);
    const Expression::Lookup numbers = numbers_of(machine.accelerator, *machine.energy);
    for (const Expression& constraint : constraints_) {
      const auto value = constraint.value(numbers);
      if (!value || !holds(*value)) {
        return Excluded{fmt::format("'{}' does not hold", constraint.text())};
      }
    }
  } catch (const InputError& error) {
    return Excluded{first_message(error)};
  }
  return machine;
}

}  // namespace widthwise
