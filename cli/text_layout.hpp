// Numbers and names for people: short, aligned, and safe to print whatever stands in them.
//
// A width is counted in terminal columns: one per character, two per wide East Asian character or
// pictograph. Combining characters count as one, so that a line may come out narrower than counted,
// never wider.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace widthwise {

/// "1,234,567".
std::string with_separators(std::int64_t value);

/// Three or four significant digits with an SI prefix: si_text(0.00123, "J") is "1.230 mJ". Whole
/// numbers below 1000 have no decimals if `whole`: "512 B".
std::string si_text(double value, std::string_view unit, bool whole = false);

/// Six significant digits: "4.47898e+06".
std::string figure(double value);

/// "12.3 %".
std::string percent_text(double share);

/// "4 errors", "1 error".
std::string counted(std::size_t count, std::string_view noun);

/// Terminal columns that the text takes.
std::size_t text_width(std::string_view text);

/// The text with control characters, invisible marks and broken UTF-8 replaced by '?'.
std::string printable(std::string_view text);

/// At most `width` columns: the middle is replaced by "..." (the ends tell layers apart).
std::string shortened(std::string_view text, std::size_t width);

/// At most `width` columns: the end is replaced by "...", after a whole word if there is one.
std::string beginning(std::string_view text, std::size_t width);

enum class Align { left, right };

struct Column {
  std::string title;
  Align align = Align::left;
  std::size_t least = 0;  // may be shortened to so many columns; 0: never
};

/// Lines of equal layout, columns two spaces apart, no line wider than `width` as long as the
/// columns that may be shortened have room to give; the first of them gives first.
std::string table_text(const std::vector<Column>& columns,
                       const std::vector<std::vector<std::string>>& rows, std::size_t width);

/// "label   item; item; ..." in at most `lines` lines of `width` columns; what has no room is
/// counted
/// ("and 3 more"). Long items are broken between words, short ones are not.
std::string list_text(std::string_view label, const std::vector<std::string>& items,
                      std::string_view separator, std::size_t label_width, std::size_t width,
                      std::size_t lines);

}  // namespace widthwise
