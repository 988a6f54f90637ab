#include "sweep/key_number.hpp"

#include <cmath>
#include <cstdint>
#include <utility>

#include "models/base/units.hpp"

namespace widthwise {

std::optional<KeyNumber> key_number(std::string_view text) {
  if (const auto number = parse_number(text)) return KeyNumber{*number, KeyUnit::none};
  if (const auto size = parse_quantity(text, kSize).value) {
    return KeyNumber{static_cast<double>(size->count()), KeyUnit::bytes};
  }
  if (const auto clock = parse_quantity(text, kFrequency).value) {
    return KeyNumber{clock->count(), KeyUnit::hertz};
  }
  if (const auto cycles = parse_quantity(text, kCycleCount).value) {
    return KeyNumber{static_cast<double>(cycles->count()), KeyUnit::cycles};
  }
  if (const auto rate = parse_bandwidth(text).value; rate && !rate->per_second) {
    return KeyNumber{rate->bits, KeyUnit::bits_per_cycle};
  }
  return std::nullopt;
}

std::string key_text(const KeyNumber& number) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  switch (number.unit) {
    case KeyUnit::bytes:
      // What no file can have is refused by its reader.
      if (number.value != std::trunc(number.value) || std::abs(number.value) > kExact) {
        return format_number(number.value) + " B";
      }
      return format_quantity(Bytes(static_cast<std::int64_t>(number.value)), kSize);
    case KeyUnit::hertz:
      return format_quantity(Hertz(number.value), kFrequency);
    case KeyUnit::cycles:
      return format_number(number.value) + " cycles";
    case KeyUnit::bits_per_cycle:
      return format_bandwidth(number.value);
    case KeyUnit::none:
      break;
  }
  return format_number(number.value);
}

std::optional<std::pair<double, std::string>> number_and_unit(std::string_view text) {
  const std::size_t end = text.find_first_not_of("0123456789.eE+-");
  const std::string_view digits = text.substr(0, end);
  // "8 EiB", "2e": the e belongs to the unit.
  for (std::size_t length = digits.size(); length > 0; --length) {
    const auto number = parse_number(digits.substr(0, length));
    if (!number) continue;
    std::string_view unit = text.substr(length);
    while (unit.starts_with(' ')) unit.remove_prefix(1);
    return std::pair{*number, std::string(unit)};
  }
  return std::nullopt;
}

}  // namespace widthwise
