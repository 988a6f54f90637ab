#include "cli/text_layout.hpp"

#include <limits>

#include <catch2/catch.hpp>

using namespace widthwise;

TEST_CASE("whole numbers have separators every three digits") {
  CHECK(with_separators(0) == "0");
  CHECK(with_separators(999) == "999");
  CHECK(with_separators(1000) == "1,000");
  CHECK(with_separators(-999) == "-999");
  CHECK(with_separators(-1000) == "-1,000");
  CHECK(with_separators(1234567) == "1,234,567");
  CHECK(with_separators(std::numeric_limits<std::int64_t>::min()) == "-9,223,372,036,854,775,808");
}

TEST_CASE("a prefix scales to one to three digits before the point") {
  CHECK(si_text(0, "J") == "0 J");
  CHECK(si_text(0.00123, "J") == "1.230 mJ");
  CHECK(si_text(1, "J") == "1.000 J");
  CHECK(si_text(999.9, "J") == "999.9 J");
  CHECK(si_text(999.96, "J") == "1.000 kJ");
  CHECK(si_text(0.99999, "J") == "1.000 J");
  CHECK(si_text(12.345e6, "B") == "12.35 MB");
  CHECK(si_text(1.25e9, "") == "1.250 G");
  CHECK(si_text(1e300, "J") == "1.00e+282 EJ");
  CHECK(si_text(1e-30, "J") == "1.00e-12 aJ");
  CHECK(si_text(-2500, "J") == "-2.500 kJ");
}

TEST_CASE("whole counts below a thousand have no decimals") {
  CHECK(si_text(512, "B", true) == "512 B");
  CHECK(si_text(999, "B", true) == "999 B");
  CHECK(si_text(1000, "B", true) == "1.000 kB");
  CHECK(si_text(7, "", true) == "7");
}

TEST_CASE("counted nouns agree with their number") {
  CHECK(counted(1, "error") == "1 error");
  CHECK(counted(2, "error") == "2 errors");
  CHECK(counted(0, "error") == "0 errors");
}

TEST_CASE("what could disturb a terminal is replaced") {
  CHECK(printable("conv1 caf\xc3\xa9 \xe5\xb1\xa4") == "conv1 caf\xc3\xa9 \xe5\xb1\xa4");
  CHECK(printable("a\r\n\x1b[2J\x7f") == "a???[2J?");
  CHECK(printable("\xc2\x9b[2J") == "?[2J");  // C1 control
  CHECK(printable("\xff\xc3") == "??");       // no UTF-8
  CHECK(printable("\xc0\xaf") == "??");       // overlong
  CHECK(printable("\xed\xa0\x80") == "???");  // surrogate
  CHECK(printable("\xe2\x80\xae"
                  "abc\xef\xbb\xbf") == "?abc?");  // right-to-left override, BOM
  CHECK(printable(std::string("a\0b", 3)) == "a?b");
}

TEST_CASE("a text is shortened in the middle, at characters") {
  CHECK(shortened("abcdefghij", 10) == "abcdefghij");
  CHECK(shortened("abcdefghij", 9) == "abc...hij");
  CHECK(shortened("abcdefghij", 8) == "ab...hij");
  CHECK(shortened("abcdefghij", 4) == "...j");
  CHECK(shortened("abcdefghij", 3) == "abc");
  CHECK(shortened("abcdefghij", 0) == "");
  CHECK(shortened("\xe5\xb1\xa4\xe5\xb1\xa4\xe5\xb1\xa4\xe5\xb1\xa4", 7) ==
        "\xe5\xb1\xa4...\xe5\xb1\xa4");
  CHECK(text_width("\xe5\xb1\xa4") == 2);
  CHECK(text_width("\xc3\xa9") == 1);
}

TEST_CASE("a text is cut at its end after a whole word") {
  CHECK(beginning("one two three", 13) == "one two three");
  CHECK(beginning("one two three", 12) == "one two...");
  CHECK(beginning("one two three", 10) == "one two...");
  CHECK(beginning("one two three", 9) == "one...");
  CHECK(beginning("abcdefghij", 8) == "abcde...");
  CHECK(beginning("abcdefghij", 2) == "ab");
}

TEST_CASE("a table aligns its columns and shortens those that may give") {
  const std::vector<Column> columns{{"name", Align::left, 6}, {"n", Align::right}};
  CHECK(table_text(columns, {{"a", "1"}, {"abcdefghij", "100"}}, 100) ==
        "name          n\n"
        "a             1\n"
        "abcdefghij  100\n");
  CHECK(table_text(columns, {{"a", "1"}, {"abcdefghij", "100"}}, 12) ==
        "name       n\n"
        "a          1\n"
        "ab...ij  100\n");
}

TEST_CASE("a list breaks between items and counts what has no room") {
  CHECK(list_text("few", {"one", "two"}, ",", 6, 20, 1) == "few   one, two\n");
  CHECK(list_text("two", {"aaaaaaaa", "bbbbbbbb"}, ",", 6, 20, 2) ==
        "two   aaaaaaaa,\n"
        "      bbbbbbbb\n");
  const std::vector<std::string> many(9, "abcdefgh");
  CHECK(list_text("many", many, ",", 6, 46, 2) ==
        "many  abcdefgh, abcdefgh, abcdefgh, abcdefgh,\n"
        "      abcdefgh, abcdefgh, abcdefgh, and 2 more\n");
  CHECK(list_text("long", {"abcdefghijklmnopqrst", "b"}, ",", 6, 16, 2) ==
        "long  abc...rst,\n"
        "      b\n");
  CHECK(list_text("long", {"abcdefghijklmnopqrst", "b"}, ",", 6, 16, 1) == "long  2 more\n");
  CHECK(list_text("text", {"a sentence of words", "b"}, ";", 6, 18, 3) ==
        "text  a sentence\n"
        "      of words; b\n");
  CHECK(list_text("none", {}, ",", 6, 16, 1).empty());
}
