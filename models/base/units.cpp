#include "models/base/units.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <vector>

#include "models/base/text.hpp"

namespace widthwise {

namespace {

constexpr double kKi = 1024.0;
constexpr double kMi = kKi * kKi;
constexpr double kGi = kMi * kKi;
constexpr double kTi = kGi * kKi;

constexpr std::array kSizeUnits{UnitScale{"B", 1},    UnitScale{"kB", 1e3},  UnitScale{"KiB", kKi},
                                UnitScale{"MB", 1e6}, UnitScale{"MiB", kMi}, UnitScale{"GB", 1e9},
                                UnitScale{"GiB", kGi}};
constexpr std::array kCycleUnits{UnitScale{"cycles", 1}, UnitScale{"cycle", 1}};
constexpr std::array kFrequencyUnits{UnitScale{"Hz", 1}, UnitScale{"kHz", 1e3},
                                     UnitScale{"MHz", 1e6}, UnitScale{"GHz", 1e9}};
constexpr std::array kDurationUnits{UnitScale{"ps", 1, 1e12}, UnitScale{"ns", 1, 1e9},
                                    UnitScale{"us", 1, 1e6},  UnitScale{"ms", 1, 1e3},
                                    UnitScale{"s", 1},        UnitScale{"min", 60},
                                    UnitScale{"h", 3600}};
constexpr std::array kEnergyUnits{
    UnitScale{"aJ", 1, 1e6}, UnitScale{"fJ", 1, 1e3}, UnitScale{"pJ", 1},  UnitScale{"nJ", 1e3},
    UnitScale{"uJ", 1e6},    UnitScale{"mJ", 1e9},    UnitScale{"J", 1e12}};
constexpr std::array kEnergyPerBitUnits{UnitScale{"aJ/bit", 1, 1e6}, UnitScale{"fJ/bit", 1, 1e3},
                                        UnitScale{"pJ/bit", 1}, UnitScale{"nJ/bit", 1e3}};
constexpr std::array kEnergyPerCycleUnits{UnitScale{"aJ/cycle", 1, 1e6},
                                          UnitScale{"fJ/cycle", 1, 1e3}, UnitScale{"pJ/cycle", 1},
                                          UnitScale{"nJ/cycle", 1e3}};
constexpr std::array kPowerUnits{UnitScale{"pW", 1, 1e9}, UnitScale{"nW", 1, 1e6},
                                 UnitScale{"uW", 1, 1e3}, UnitScale{"mW", 1}, UnitScale{"W", 1e3}};
constexpr std::array kAreaUnits{UnitScale{"nm2", 1, 1e6}, UnitScale{"um2", 1},
                                UnitScale{"mm2", 1e6}};
constexpr std::array kLengthUnits{UnitScale{"nm", 1}, UnitScale{"um", 1e3}};
constexpr std::array kVoltageUnits{UnitScale{"mV", 1, 1e3}, UnitScale{"V", 1}};

constexpr std::array kPerCycleUnits{UnitScale{"bit/cycle", 1}, UnitScale{"B/cycle", 8}};
constexpr std::array kPerSecondUnits{
    UnitScale{"bit/s", 1},         UnitScale{"kbit/s", 1e3},      UnitScale{"Mbit/s", 1e6},
    UnitScale{"Gbit/s", 1e9},      UnitScale{"Tbit/s", 1e12},     UnitScale{"B/s", 8},
    UnitScale{"kB/s", 8e3},        UnitScale{"MB/s", 8e6},        UnitScale{"GB/s", 8e9},
    UnitScale{"TB/s", 8e12},       UnitScale{"KiB/s", 8.0 * kKi}, UnitScale{"MiB/s", 8.0 * kMi},
    UnitScale{"GiB/s", 8.0 * kGi}, UnitScale{"TiB/s", 8.0 * kTi}};

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Length of the decimal number that the text starts with, 0 if it starts with none:
/// -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
std::size_t number_length(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t start = at;
    while (at < text.size() && is_digit(text[at])) {
      ++at;
    }
    return at - start;
  };
  if (at < text.size() && text[at] == '-') {
    ++at;
  }
  const bool zero_first = at < text.size() && text[at] == '0';
  const std::size_t whole = digits();
  if (whole == 0 || (zero_first && whole > 1)) {
    return 0;
  }
  std::size_t end = at;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) {
      return end;
    }
    end = at;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
      ++at;
    }
    if (digits() > 0) {
      end = at;
    }
  }
  return end;
}

std::optional<double> to_double(std::string_view number) {
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

/// Splits "64 KiB"; no number means that the text does not start with one.
struct Split {
  std::optional<double> number;
  std::string_view unit;
};

Split split_unit(std::string_view text) {
  const std::size_t length = number_length(text);
  if (length == 0) {
    return {};
  }
  std::string_view unit = text.substr(length);
  while (!unit.empty() && unit.front() == ' ') {
    unit.remove_prefix(1);
  }
  return {to_double(text.substr(0, length)), unit};
}

const UnitScale* find_unit(std::string_view name, std::span<const UnitScale> units) {
  const auto found = std::find_if(units.begin(), units.end(),
                                  [&](const UnitScale& unit) { return unit.name == name; });
  return found == units.end() ? nullptr : &*found;
}

std::string expected(std::string_view noun, std::string_view example, std::string_view text) {
  return "expected " + std::string(noun) + " such as '" + std::string(example) + "', got " +
         quoted_value(text);
}

std::string unknown_unit(std::string_view noun, std::string_view example, std::string_view text,
                         std::span<const std::string> names) {
  return expected(noun, example, text) + "; known units: " + quoted_list(names);
}

std::optional<double> scaled(double number, const UnitScale& unit) {
  const double value = number * unit.numerator / unit.denominator;
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

}  // namespace

constinit const Dimension<Bytes> kSize{"a size", "64 KiB", kSizeUnits};
constinit const Dimension<Cycles> kCycleCount{"a number of cycles", "10 cycles", kCycleUnits};
constinit const Dimension<Hertz> kFrequency{"a frequency", "500 MHz", kFrequencyUnits};
constinit const Dimension<Seconds> kDuration{"a time", "10 s", kDurationUnits};
constinit const Dimension<Picojoules> kEnergy{"an energy", "996 fJ", kEnergyUnits};
constinit const Dimension<Picojoules> kEnergyPerBit{"an energy per bit", "2.58 pJ/bit",
                                                    kEnergyPerBitUnits};
constinit const Dimension<Picojoules> kEnergyPerCycle{"an energy per cycle", "0.12 pJ/cycle",
                                                      kEnergyPerCycleUnits};
constinit const Dimension<Milliwatts> kPower{"a power", "43 uW", kPowerUnits};
constinit const Dimension<SquareMicrometres> kArea{"an area", "879 um2", kAreaUnits};
constinit const Dimension<double> kLengthNm{"a length", "45 nm", kLengthUnits};
constinit const Dimension<double> kVoltage{"a voltage", "1.1 V", kVoltageUnits};

std::string quoted_value(std::string_view text) {
  constexpr std::size_t kLongestShown = 60;
  std::string shown = "'";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool starts_character = (byte & 0xC0U) != 0x80U;
    if (i >= kLongestShown && starts_character) {
      return shown + "...'";
    }
    shown += byte < 0x20U || byte == 0x7FU ? ' ' : text[i];
  }
  return shown + '\'';
}

std::optional<double> parse_number(std::string_view text) {
  if (text.empty() || number_length(text) != text.size()) {
    return std::nullopt;
  }
  return to_double(text);
}

bool is_integer_text(std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  return !digits.empty() && (digits == "0" || digits.front() != '0') &&
         std::all_of(digits.begin(), digits.end(), is_digit);
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (!is_integer_text(text)) {
    return std::nullopt;
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::string format_number(double value) {
  constexpr double kWholeBelow = 1e15;  // whole numbers below stand without exponent
  const bool whole = std::trunc(value) == value && std::abs(value) < kWholeBelow;
  std::array<char, 64> buffer{};
  char* const last = buffer.data() + buffer.size();
  const auto [end, error] =
      whole ? std::to_chars(buffer.data(), last, static_cast<std::int64_t>(value))
            : std::to_chars(buffer.data(), last, value);
  return error == std::errc() ? std::string(buffer.data(), end) : std::string();
}

Parsed<Bandwidth> parse_bandwidth(std::string_view text) {
  constexpr std::string_view kNoun = "a bandwidth";
  constexpr std::string_view kExample = "192 bit/cycle";
  const auto [number, unit_name] = split_unit(text);
  if (!number || unit_name.empty()) {
    return {std::nullopt, expected(kNoun, kExample, text)};
  }
  for (const bool per_second : {false, true}) {
    const std::span<const UnitScale> units =
        per_second ? std::span<const UnitScale>(kPerSecondUnits) : kPerCycleUnits;
    if (const UnitScale* unit = find_unit(unit_name, units)) {
      if (const auto bits = scaled(*number, *unit)) {
        return {Bandwidth{*bits, per_second}, {}};
      }
      return {std::nullopt, expected(kNoun, kExample, text)};
    }
  }
  const std::vector<std::string> examples{"bit/cycle", "B/cycle", "MB/s",  "GB/s",
                                          "MiB/s",     "GiB/s",   "Gbit/s"};
  return {std::nullopt, unknown_unit(kNoun, kExample, text, examples)};
}

std::string format_bandwidth(double bits_per_cycle) {
  return format_number(bits_per_cycle) + " bit/cycle";
}

namespace detail {

Parsed<double> parse_scaled(std::string_view text, std::string_view noun, std::string_view example,
                            std::span<const UnitScale> units) {
  const auto [number, unit_name] = split_unit(text);
  if (!number || unit_name.empty()) {
    return {std::nullopt, expected(noun, example, text)};
  }
  const UnitScale* unit = find_unit(unit_name, units);
  if (unit == nullptr) {
    std::vector<std::string> names;
    for (const UnitScale& known : units) {
      names.emplace_back(known.name);
    }
    return {std::nullopt, unknown_unit(noun, example, text, names)};
  }
  const auto value = scaled(*number, *unit);
  if (!value) {
    return {std::nullopt, expected(noun, example, text)};
  }
  return {*value, {}};
}

std::string format_scaled(double value, std::span<const UnitScale> units) {
  // The unit with the shortest text wins, the greater unit among equals. Some unit counts as the
  // model does (numerator = denominator), so that there is always one that loses nothing.
  std::string best;
  for (const UnitScale& unit : units) {
    const double number = value * unit.denominator / unit.numerator;
    if (!std::isfinite(number) || scaled(number, unit) != value) {
      continue;
    }
    if (number != 1 && unit.name == "cycle") {
      continue;
    }
    std::string text = format_number(number) + ' ' + std::string(unit.name);
    const bool plain = unit.numerator == unit.denominator;
    const bool shorter =
        text.size() < best.size() || (text.size() == best.size() && std::abs(number) >= 1);
    if (best.empty() || (value == 0 ? plain : shorter)) {
      best = std::move(text);
    }
  }
  return best;
}

std::string fraction_error(std::string_view text, std::string_view unit) {
  return "expected a whole number of " + std::string(unit) + ", got " + quoted_value(text);
}

}  // namespace detail

}  // namespace widthwise
