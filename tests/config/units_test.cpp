#include "models/base/units.hpp"

#include <catch2/catch.hpp>

namespace widthwise {
namespace {

template <class T>
T value(std::string_view text, const Dimension<T>& dimension) {
  const Parsed<T> parsed = parse_quantity(text, dimension);
  INFO(parsed.error);
  REQUIRE(parsed.value);
  return *parsed.value;
}

template <class T>
std::string error(std::string_view text, const Dimension<T>& dimension) {
  const Parsed<T> parsed = parse_quantity(text, dimension);
  REQUIRE_FALSE(parsed.value);
  return parsed.error;
}

TEST_CASE("Sizes: decimal prefixes are decimal and binary ones binary") {
  CHECK(value("2048 B", kSize) == Bytes(2048));
  CHECK(value("64 KiB", kSize) == Bytes(64 * 1024));
  CHECK(value("64 kB", kSize) == Bytes(64000));
  CHECK(value("1.5 MiB", kSize) == Bytes(3 * 512 * 1024));
  CHECK(value("4 GiB", kSize) == Bytes(std::int64_t{1} << 32U));
  CHECK(value("64KiB", kSize) == Bytes(64 * 1024));
}

TEST_CASE("Quantities are counted in the unit of their type") {
  CHECK(value("500 MHz", kFrequency) == Hertz(5e8));
  CHECK(value("10 cycles", kCycleCount) == Cycles(10));
  CHECK(value("1 cycle", kCycleCount) == Cycles(1));
  CHECK(value("996 fJ", kEnergy) == Picojoules(0.996));
  CHECK(value("2.58 pJ/bit", kEnergyPerBit) == Picojoules(2.58));
  CHECK(value("120 fJ/cycle", kEnergyPerCycle) == Picojoules(0.12));
  CHECK(value("43 uW", kPower) == Milliwatts(0.043));
  CHECK(value("879 um2", kArea) == SquareMicrometres(879));
  CHECK(value("0.3 mm2", kArea) == SquareMicrometres(3e5));
  CHECK(value("45 nm", kLengthNm) == 45);
  CHECK(value("900 mV", kVoltage) == 0.9);
  CHECK(value("2 min", kDuration) == Seconds(120));
}

TEST_CASE("A value without a unit says what is missing") {
  CHECK(error("64", kSize) == "expected a size such as '64 KiB', got '64'");
  CHECK(error("KiB", kSize) == "expected a size such as '64 KiB', got 'KiB'");
  CHECK(error("", kFrequency) == "expected a frequency such as '500 MHz', got ''");
}

TEST_CASE("An unknown unit says which are known") {
  CHECK(error("64 KB", kSize) ==
        "expected a size such as '64 KiB', got '64 KB'; known units: 'B', 'kB', 'KiB', 'MB', "
        "'MiB', 'GB', 'GiB'");
  CHECK(error("45 pm", kLengthNm) ==
        "expected a length such as '45 nm', got '45 pm'; known units: 'nm', 'um'");
}

TEST_CASE("A fraction of a byte or a cycle is never rounded away") {
  CHECK(error("0.3 KiB", kSize) == "expected a whole number of B, got '0.3 KiB'");
  CHECK(error("1.5 cycles", kCycleCount) == "expected a whole number of cycles, got '1.5 cycles'");
  CHECK(error("1e30 GiB", kSize) == "expected a whole number of B, got '1e30 GiB'");
}

TEST_CASE("Numbers are decimal, whole and finite") {
  CHECK(parse_number("1e3") == 1000);
  CHECK(parse_number("-0.25") == -0.25);
  for (const char* text :
       {"", "+1", "010", "0x8", "1.", ".5", "1e", "nan", "inf", "1 ", "1_000", "1e999"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_number(text));
  }
}

TEST_CASE("Integers are decimal and within 64 bits") {
  CHECK(parse_integer("0") == 0);
  CHECK(parse_integer("-12") == -12);
  CHECK(parse_integer("9223372036854775807") == 9223372036854775807);
  CHECK_FALSE(parse_integer("9223372036854775808"));
  CHECK(is_integer_text("9223372036854775808"));
  for (const char* text : {"", "-", "+1", "010", "0x8", "1.0", "1e3", " 1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_integer(text));
    CHECK_FALSE(is_integer_text(text));
  }
}

TEST_CASE("A bandwidth per second becomes one per cycle by naming a clock") {
  const auto at_500_mhz = [](std::string_view text) {
    const Parsed<Bandwidth> parsed = parse_bandwidth(text);
    REQUIRE(parsed.value);
    return parsed.value->bits_per_cycle(Hertz(5e8));
  };
  CHECK(at_500_mhz("192 bit/cycle") == 192);
  CHECK(at_500_mhz("24 B/cycle") == 192);
  CHECK(at_500_mhz("12.8 GB/s") == 12.8e9 * 8 / 5e8);
  CHECK(at_500_mhz("8 Gbit/s") == 16);
  CHECK(at_500_mhz("1 GiB/s") == 1073741824.0 * 8 / 5e8);
  CHECK(parse_bandwidth("192").error == "expected a bandwidth such as '192 bit/cycle', got '192'");
  CHECK(parse_bandwidth("192 b/s").error ==
        "expected a bandwidth such as '192 bit/cycle', got '192 b/s'; known units: 'bit/cycle', "
        "'B/cycle', 'MB/s', 'GB/s', 'MiB/s', 'GiB/s', 'Gbit/s'");
}

TEST_CASE("What is written reads back as the same value") {
  CHECK(format_quantity(Bytes(65536), kSize) == "64 KiB");
  CHECK(format_quantity(Bytes(1000), kSize) == "1 kB");
  CHECK(format_quantity(Bytes(1027), kSize) == "1027 B");
  CHECK(format_quantity(Bytes(0), kSize) == "0 B");
  CHECK(format_quantity(Cycles(1), kCycleCount) == "1 cycle");
  CHECK(format_quantity(Cycles(100000), kCycleCount) == "100000 cycles");
  CHECK(format_quantity(Hertz(5e8), kFrequency) == "500 MHz");
  CHECK(format_quantity(Picojoules(0.996), kEnergy) == "996 fJ");
  CHECK(format_bandwidth(204.8) == "204.8 bit/cycle");
  for (const double number : {0.0, 1.0, 1.0 / 3.0, 1e-7, 123456.789, 0.1 + 0.2, 6.02e23}) {
    CAPTURE(number);
    CHECK(parse_number(format_number(number)) == number);
    CHECK(value(format_quantity(Picojoules(number), kEnergyPerBit), kEnergyPerBit) ==
          Picojoules(number));
  }
  for (std::int64_t bytes = 1; bytes < (std::int64_t{1} << 40U); bytes = bytes * 3 + 1) {
    CAPTURE(bytes);
    CHECK(value(format_quantity(Bytes(bytes), kSize), kSize) == Bytes(bytes));
  }
}

TEST_CASE("Values shown in messages are cut and stay on one line") {
  CHECK(quoted_value("a\nb") == "'a b'");
  CHECK(quoted_value(std::string(60, 'x')) == "'" + std::string(60, 'x') + "'");
  CHECK(quoted_value(std::string(61, 'x')) == "'" + std::string(60, 'x') + "...'");
  CHECK(quoted_value(std::string(59, 'x') + "\u00e9y") ==
        "'" + std::string(59, 'x') + "\u00e9...'");
}

}  // namespace
}  // namespace widthwise
