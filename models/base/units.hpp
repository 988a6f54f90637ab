// Values with units, as they stand in YAML files and on the command line: "500 MHz", "64 KiB",
// "192 bit/cycle", "2.58 pJ/bit".
//
// A unit is never optional. Decimal prefixes are decimal (kB = 1000 B) and binary ones binary
// (KiB = 1024 B). The number is written in decimal; the space before the unit may be left out.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "models/base/quantity.hpp"

namespace widthwise {

/// A value, or else a message that says what was expected and what stood there.
template <class T>
struct Parsed {
  std::optional<T> value;
  std::string error;  // "expected a size such as '64 KiB', got '64'"
};

/// `name` is numerator / denominator of the unit that the model counts in.
struct UnitScale {
  std::string_view name;
  double numerator = 1;
  double denominator = 1;
};

/// One kind of quantity: what people call it, how it is written, and its units, smallest first.
/// `T` is the strong type that it becomes, or double.
template <class T>
struct Dimension {
  std::string_view noun;     // "a size"
  std::string_view example;  // "64 KiB"
  std::span<const UnitScale> units;
};

extern const Dimension<Bytes> kSize;                 // B, kB, KiB, MB, MiB, GB, GiB
extern const Dimension<Cycles> kCycleCount;          // cycle, cycles
extern const Dimension<Hertz> kFrequency;            // Hz, kHz, MHz, GHz
extern const Dimension<Seconds> kDuration;           // ps, ns, us, ms, s, min, h
extern const Dimension<Picojoules> kEnergy;          // aJ, fJ, pJ, nJ, uJ, mJ, J
extern const Dimension<Picojoules> kEnergyPerBit;    // fJ/bit, pJ/bit, nJ/bit
extern const Dimension<Picojoules> kEnergyPerCycle;  // fJ/cycle, pJ/cycle, nJ/cycle
extern const Dimension<Milliwatts> kPower;           // pW, nW, uW, mW, W
extern const Dimension<SquareMicrometres> kArea;     // nm2, um2, mm2
extern const Dimension<double> kLengthNm;            // nm, um
extern const Dimension<double> kVoltage;             // mV, V

/// A transfer rate that is tied to a clock or to time.
struct Bandwidth {
  double bits = 0;
  bool per_second = false;  // otherwise per cycle

  [[nodiscard]] double bits_per_cycle(Hertz clock) const {
    return per_second ? bits / clock.count() : bits;
  }
};

/// bit/cycle, B/cycle; B/s, bit/s and their multiples (kB/s ... TB/s, KiB/s ... TiB/s,
/// kbit/s ... Tbit/s).
Parsed<Bandwidth> parse_bandwidth(std::string_view text);
std::string format_bandwidth(double bits_per_cycle);  // "192 bit/cycle"

/// A decimal number without unit: whole text, finite, no leading '+', no leading zeros.
std::optional<double> parse_number(std::string_view text);

/// A decimal integer: whole text, no leading '+', no leading zeros, within 64 bits.
std::optional<std::int64_t> parse_integer(std::string_view text);

/// True if the text is a decimal integer of whatever size.
bool is_integer_text(std::string_view text);

/// 'text' in quotes for a message: cut after 60 characters, control characters as spaces.
std::string quoted_value(std::string_view text);

/// The shortest decimal text that reads back as the same number.
std::string format_number(double value);

namespace detail {
Parsed<double> parse_scaled(std::string_view text, std::string_view noun, std::string_view example,
                            std::span<const UnitScale> units);
std::string format_scaled(double value, std::span<const UnitScale> units);
std::string fraction_error(std::string_view text, std::string_view unit);
}  // namespace detail

/// "64 KiB" as the strong type. A fraction of a byte or a cycle is an error, never rounded.
template <class T>
Parsed<T> parse_quantity(std::string_view text, const Dimension<T>& dimension) {
  Parsed<double> number =
      detail::parse_scaled(text, dimension.noun, dimension.example, dimension.units);
  if (!number.value) {
    return {std::nullopt, std::move(number.error)};
  }
  if constexpr (std::is_same_v<T, double>) {
    return {*number.value, {}};
  } else {
    if constexpr (std::is_integral_v<typename T::rep>) {
      constexpr double kExact = 9007199254740992.0;  // 2^53
      if (std::trunc(*number.value) != *number.value || std::abs(*number.value) > kExact) {
        return {std::nullopt, detail::fraction_error(text, dimension.units.front().name)};
      }
    }
    return {T(static_cast<typename T::rep>(*number.value)), {}};
  }
}

/// The value in the unit that makes the shortest text and loses nothing:
/// parse_quantity(format_quantity(v)) == v.
template <class T>
std::string format_quantity(T value, const Dimension<T>& dimension) {
  if constexpr (std::is_same_v<T, double>) {
    return detail::format_scaled(value, dimension.units);
  } else {
    return detail::format_scaled(static_cast<double>(value.count()), dimension.units);
  }
}

}  // namespace widthwise
