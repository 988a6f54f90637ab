#include "cli/text_layout.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace widthwise {

namespace {

constexpr std::string_view kEllipsis = "...";
constexpr char32_t kBroken = 0xFFFFFFFF;

struct Character {
  char32_t code = 0;
  std::size_t bytes = 1;
};

/// Decodes the character at the front; kBroken (one byte) where the text is no UTF-8.
Character front_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) {
    return {lead, 1};
  }
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) {
    return {kBroken, 1};
  }
  char32_t code = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) {
      return {kBroken, 1};
    }
    code = (code << 6U) | (byte(i) & 0x3FU);
  }
  constexpr std::array<char32_t, 5> kLeastOfLength{0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeastOfLength.at(length) || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
    return {kBroken, 1};
  }
  return {code, length};
}

bool is_printable(char32_t code) {
  return code >= 0x20 && code != kBroken && !(code >= 0x7F && code <= 0x9F) && code != 0xAD &&
         code != 0x61C && !(code >= 0x200B && code <= 0x200F) &&
         !(code >= 0x2028 && code <= 0x202E) && !(code >= 0x2060 && code <= 0x206F) &&
         code != 0xFEFF && !(code >= 0xFFF9 && code <= 0xFFFB) &&
         !(code >= 0xE0000 && code <= 0xE0FFF);
}

std::size_t character_width(char32_t code) {
  const bool wide =
      code != kBroken && code >= 0x1100 &&
      (code <= 0x115F || (code >= 0x231A && code <= 0x2BFF) || (code >= 0x2E80 && code <= 0xA4CF) ||
       (code >= 0xA960 && code <= 0xA97F) || (code >= 0xAC00 && code <= 0xD7A3) ||
       (code >= 0xF900 && code <= 0xFAFF) || (code >= 0xFE10 && code <= 0xFE6F) ||
       (code >= 0xFF00 && code <= 0xFF60) || (code >= 0xFFE0 && code <= 0xFFE6) || code >= 0x10000);
  return wide ? 2 : 1;
}

/// The longest beginning of at most `width` columns.
std::string_view head(std::string_view text, std::size_t width) {
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const Character character = front_character(text.substr(bytes));
    const std::size_t columns = character_width(character.code);
    if (columns > width) {
      break;
    }
    width -= columns;
    bytes += character.bytes;
  }
  return text.substr(0, bytes);
}

/// The longest ending of at most `width` columns.
std::string_view tail(std::string_view text, std::size_t width) {
  std::size_t excess = text_width(text);
  while (excess > width) {
    const Character character = front_character(text);
    excess -= character_width(character.code);
    text.remove_prefix(character.bytes);
  }
  return text;
}

std::string padded(const std::string& text, std::size_t width, Align align) {
  const std::size_t taken = text_width(text);
  const std::string space(width > taken ? width - taken : 0, ' ');
  return align == Align::left ? text + space : space + text;
}

}  // namespace

std::string with_separators(std::int64_t value) {
  std::string digits = std::to_string(value);
  const std::size_t first = value < 0 ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3;) {
    i -= 3;
    digits.insert(i, 1, ',');
  }
  return digits;
}

std::string si_text(double value, std::string_view unit, bool whole) {
  constexpr std::array<std::string_view, 13> kPrefixes{"a", "f", "p", "n", "u", "m", "",
                                                       "k", "M", "G", "T", "P", "E"};
  constexpr int kUnprefixed = 6;
  if (!std::isfinite(value)) {
    return fmt::format("{} {}", value, unit);
  }
  int step = 0;
  double scaled = value;
  if (value != 0) {
    step = static_cast<int>(std::floor(std::log10(std::abs(value)) / 3));
    step = std::clamp(step, -kUnprefixed, kUnprefixed);
    scaled = value / std::pow(1000.0, step);
    if (std::abs(scaled) >= 999.95 && step < kUnprefixed) {  // would be printed as "1000.0"
      ++step;
      scaled = value / std::pow(1000.0, step);
    }
  }
  const double magnitude = std::abs(scaled);
  std::string number;
  if (value == 0 || (whole && step == 0 && scaled == std::floor(scaled))) {
    number = fmt::format("{:.0f}", scaled);
  } else if (magnitude >= 1e5 || magnitude < 0.001) {
    number = fmt::format("{:.2e}", scaled);
  } else if (magnitude >= 99.995) {
    number = fmt::format("{:.1f}", scaled);
  } else if (magnitude >= 9.9995) {
    number = fmt::format("{:.2f}", scaled);
  } else {
    number = fmt::format("{:.3f}", scaled);
  }
  const int place = step + kUnprefixed;
  const std::string_view prefix = kPrefixes.at(static_cast<std::size_t>(place));
  const bool bare = prefix.empty() && unit.empty();
  return bare ? number : fmt::format("{} {}{}", number, prefix, unit);
}

std::string figure(double value) { return fmt::format("{:.6g}", value); }

std::string percent_text(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string counted(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::size_t text_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const Character character = front_character(text);
    width += character_width(character.code);
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::string printable(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const Character character = front_character(text);
    if (is_printable(character.code)) {
      clean += text.substr(0, character.bytes);
    } else {
      clean += '?';
    }
    text.remove_prefix(character.bytes);
  }
  return clean;
}

std::string shortened(std::string_view text, std::size_t width) {
  if (text_width(text) <= width) {
    return std::string(text);
  }
  if (width <= kEllipsis.size()) {
    return std::string(head(text, width));
  }
  const std::size_t kept = width - kEllipsis.size();
  const std::size_t kept_at_end = kept / 2 + kept % 2;
  return std::string(head(text, kept - kept_at_end)) + std::string(kEllipsis) +
         std::string(tail(text, kept_at_end));
}

std::string beginning(std::string_view text, std::size_t width) {
  if (text_width(text) <= width || width <= kEllipsis.size()) {
    return std::string(head(text, width));
  }
  std::string_view kept = head(text, width - kEllipsis.size());
  const bool ends_with_a_word = text[kept.size()] == ' ';
  const std::size_t space = kept.find_last_of(' ');
  if (!ends_with_a_word && space != std::string_view::npos) {
    kept = kept.substr(0, space);
  }
  return std::string(kept) + std::string(kEllipsis);
}

std::string table_text(const std::vector<Column>& columns,
                       const std::vector<std::vector<std::string>>& rows, std::size_t width) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::size_t widest = text_width(columns[c].title);
    for (const auto& row : rows) {
      widest = std::max(widest, text_width(row.at(c)));
    }
    widths.push_back(widest);
  }
  std::size_t total = columns.empty() ? 0 : 2 * (columns.size() - 1);
  for (const std::size_t column_width : widths) {
    total += column_width;
  }
  for (std::size_t c = 0; c < columns.size() && total > width; ++c) {
    if (columns[c].least == 0 || widths[c] <= columns[c].least) {
      continue;
    }
    const std::size_t given = std::min(total - width, widths[c] - columns[c].least);
    widths[c] -= given;
    total -= given;
  }

  std::string text;
  const auto add_line = [&](const auto& cell) {
    std::string line;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      line += c > 0 ? "  " : "";
      line += padded(shortened(cell(c), widths[c]), widths[c], columns[c].align);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  };
  add_line([&](std::size_t c) { return columns[c].title; });
  for (const auto& row : rows) {
    add_line([&](std::size_t c) { return row[c]; });
  }
  return text;
}

std::string list_text(std::string_view label, const std::vector<std::string>& items,
                      std::string_view separator, std::size_t label_width, std::size_t width,
                      std::size_t lines) {
  const std::size_t room = width - label_width;
  const auto broken_into_lines = [&](std::size_t shown) {
    std::vector<std::string> out;
    const auto add = [&](const std::string& item) {
      if (out.empty() || text_width(out.back()) + 1 + text_width(item) > room) {
        out.push_back(shortened(item, room));
      } else {
        out.back() += ' ' + item;
      }
    };
    const auto add_words = [&](std::string_view item) {
      while (!item.empty()) {
        const std::size_t space = std::min(item.find(' '), item.size());
        add(std::string(item.substr(0, space)));
        item.remove_prefix(std::min(space + 1, item.size()));
      }
    };
    for (std::size_t i = 0; i < shown; ++i) {
      const std::string item = items[i] + (i + 1 < items.size() ? std::string(separator) : "");
      text_width(item) > room / 2 ? add_words(item) : add(item);
    }
    if (shown < items.size()) {
      add(fmt::format("{}{} more", shown > 0 ? "and " : "", items.size() - shown));
    }
    return out;
  };

  std::size_t shown = std::min(items.size(), lines * room / 2);
  std::vector<std::string> out = broken_into_lines(shown);
  while (out.size() > lines && shown > 0) {
    out = broken_into_lines(--shown);
  }
  std::string text;
  for (std::size_t i = 0; i < out.size(); ++i) {
    text += padded(std::string(i == 0 ? label : ""), label_width, Align::left) + out[i] + '\n';
  }
  return text;
}

}  // namespace widthwise
