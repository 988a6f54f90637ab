// Values of keys as numbers and back.
#include "sweep/key_number.hpp"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

namespace widthwise {

namespace {

TEST_CASE("A key's text is a number in the unit that expressions count in") {
  struct Row {
    const char* text;
    double value;
    KeyUnit unit;
  };
  const Row rows[] = {
      {"16", 16, KeyUnit::none},
      {"-0.25", -0.25, KeyUnit::none},
      {"1e3", 1000, KeyUnit::none},
      {"128 KiB", 131072, KeyUnit::bytes},
      {"128KiB", 131072, KeyUnit::bytes},
      {"1 kB", 1000, KeyUnit::bytes},
      {"1.5 MiB", 1572864, KeyUnit::bytes},
      {"0 B", 0, KeyUnit::bytes},
      {"500 MHz", 5e8, KeyUnit::hertz},
      {"1.2 GHz", 1.2e9, KeyUnit::hertz},
      {"1 cycle", 1, KeyUnit::cycles},
      {"80 cycles", 80, KeyUnit::cycles},
      {"192 bit/cycle", 192, KeyUnit::bits_per_cycle},
      {"8 B/cycle", 64, KeyUnit::bits_per_cycle},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto number = key_number(row.text);
    REQUIRE(number);
    CHECK(number->value == row.value);
    CHECK(number->unit == row.unit);
  }
}

TEST_CASE("Names, lists, rates by time and other quantities are no numbers of keys") {
  for (const char* text : {"", "weight_stationary", "[2, 4, 8]", "true", "12.8 GB/s", "1.5 B",
                           "8 EiB", "2e", "3 pJ", "10 ns", "0.5 cycles", "KiB", "- 3", "1e999"}) {
    INFO(text);
    CHECK_FALSE(key_number(text));
  }
}

TEST_CASE("What a number is written as reads back as the same number") {
  const std::vector<std::pair<KeyUnit, std::vector<double>>> numbers{
      {KeyUnit::none, {0, 1, -3, 0.1, 1e-9, 1.0 / 3, 4096, 1e300}},
      {KeyUnit::bytes, {0, 1, 1000, 1024, 1536, 65536, 65537, 3e9, 9007199254740992.0, -8}},
      {KeyUnit::hertz, {0, 1, 5e8, 1.2e9, 123456789, 0.5}},
      {KeyUnit::cycles, {0, 1, 2, 80, 1e6}},
      {KeyUnit::bits_per_cycle, {1, 192, 0.5, 102.4, 1.0 / 3}},
  };
  for (const auto& [unit, values] : numbers) {
    for (const double value : values) {
      const std::string text = key_text({value, unit});
      INFO(text);
      const auto back = key_number(text);
      REQUIRE(back);
      CHECK(back->value == value);
      CHECK(back->unit == unit);
    }
  }
  CHECK(key_text({131072, KeyUnit::bytes}) == "128 KiB");
  CHECK(key_text({5e8, KeyUnit::hertz}) == "500 MHz");
  CHECK(key_text({192, KeyUnit::bits_per_cycle}) == "192 bit/cycle");
  CHECK(key_text({16, KeyUnit::none}) == "16");
}

TEST_CASE("Bytes that no file can have are written all the same, for the reader to refuse") {
  CHECK(key_text({0.5, KeyUnit::bytes}) == "0.5 B");
  CHECK(key_text({1e30, KeyUnit::bytes}) == "1e+30 B");
  CHECK(key_text({-1e30, KeyUnit::bytes}) == "-1e+30 B");
  for (const char* text : {"0.5 B", "1e+30 B"}) CHECK_FALSE(key_number(text));
}

TEST_CASE("A number is parted from its unit as it stands") {
  using Parted = std::pair<double, std::string>;
  CHECK(number_and_unit("12.8 GB/s") == Parted{12.8, "GB/s"});
  CHECK(number_and_unit("12.8GB/s") == Parted{12.8, "GB/s"});
  CHECK(number_and_unit("64 KiB") == Parted{64, "KiB"});
  CHECK(number_and_unit("64") == Parted{64, ""});
  CHECK(number_and_unit("-2.5 V") == Parted{-2.5, "V"});
  CHECK(number_and_unit("1e3 Hz") == Parted{1000, "Hz"});
  CHECK(number_and_unit("1e+3") == Parted{1000, ""});
  // An e without a number after it is the unit's.
  CHECK(number_and_unit("2e") == Parted{2, "e"});
  CHECK(number_and_unit("8 EiB") == Parted{8, "EiB"});
  CHECK(number_and_unit("8EiB") == Parted{8, "EiB"});
  CHECK_FALSE(number_and_unit("KiB"));
  CHECK_FALSE(number_and_unit(""));
  CHECK_FALSE(number_and_unit("-"));
  CHECK_FALSE(number_and_unit("+3"));
}

}  // namespace

}  // namespace widthwise
