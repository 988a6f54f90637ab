// Values of an accelerator's keys as numbers: "128 KiB" is 131072 bytes, "500 MHz" is 5e8 hertz,
// "192 bit/cycle" is 192, "16" is 16.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace widthwise {

enum class KeyUnit { none, bytes, hertz, bits_per_cycle, cycles };

struct KeyNumber {
  double value = 0;
  KeyUnit unit = KeyUnit::none;
};

/// Nothing if the text is a name, a list or of another unit.
std::optional<KeyNumber> key_number(std::string_view text);

/// As the file has it; reads back as the same number.
std::string key_text(const KeyNumber& number);

/// The number in front of a unit as it stands, and the unit: 12.8 and "GB/s" of "12.8 GB/s".
/// Nothing if the text does not begin with a number.
std::optional<std::pair<double, std::string>> number_and_unit(std::string_view text);

}  // namespace widthwise
