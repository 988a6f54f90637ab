#include "search/layer_csv.hpp"

#include <algorithm>

#include "models/base/units.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kMostMistakes = 100;
constexpr std::string_view kLeavesOutKey = "leaves_out";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

bool is_key(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// The fields of one line. Columns count characters of UTF-8.
class Line {
 public:
  Line(std::string_view text, const std::string& file, int line)
      : text_(text), file_(file), line_(line) {}

  /// Nothing if they can not be told apart, which is in `problems`.
  std::optional<std::vector<CsvField>> fields(Diagnostics& problems, bool spaced = false) {
    std::vector<CsvField> fields;
    while (true) {
      while (spaced && next() == ' ') take();
      CsvField field{{}, {file_, line_, column_}};
      if (next() == '"' ? !quoted(field) : !plain(field)) {
        problems.error(field.place, "",
                       "expected a quote only around a whole field, with doubled ones inside");
        return std::nullopt;
      }
      if (spaced) field.text = std::string(trimmed(field.text));
      while (spaced && next() == ' ') take();
      if (at_ < text_.size() && next() != ',') {
        problems.error(field.place, "", "expected a comma or the line's end behind the quote");
        return std::nullopt;
      }
      fields.push_back(std::move(field));
      if (at_ == text_.size()) return fields;
      take();
    }
  }

  void skip(std::size_t bytes) {
    while (at_ < bytes) take();
  }

 private:
  [[nodiscard]] char next() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  char take() {
    const char c = text_[at_++];
    if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) ++column_;
    return c;
  }

  bool plain(CsvField& field) {
    while (at_ < text_.size() && next() != ',') field.text += take();
    return field.text.find('"') == std::string::npos;
  }

  bool quoted(CsvField& field) {
    take();
    while (at_ < text_.size()) {
      const char c = take();
      if (c != '"') {
        field.text += c;
      } else if (next() == '"') {
        field.text += take();
      } else {
        return true;
      }
    }
    return false;
  }

  std::string_view text_;
  const std::string& file_;
  int line_;
  std::size_t at_ = 0;
  int column_ = 1;
};

class Parser {
 public:
  Parser(std::string_view text, const std::string& file, Diagnostics& problems)
      : text_(text), problems_(problems) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
    csv_.file = file;
  }

  LayerCsv parse(std::string_view header) {
    while (text_.starts_with('#')) provenance(next_line());
    if (text_.empty()) {
      problems_.error(
          {csv_.file, line_ + 1, 1}, "",
          "expected a header such as '" + std::string(header) + "', got the end of the file");
      return std::move(csv_);
    }
    if (!read_header(next_line())) {
      csv_.header.clear();
      return std::move(csv_);
    }
    while (!text_.empty() && problems_.items().size() < kMostMistakes) read_row(next_line());
    if (csv_.rows.empty() && problems_.empty()) {
      problems_.error({csv_.file, line_ + 1, 1}, "",
                      "expected rows below the header, got the end of the file");
    }
    return std::move(csv_);
  }

 private:
  std::string_view next_line() {
    ++line_;
    const std::size_t end = text_.find('\n');
    std::string_view line = text_.substr(0, end);
    text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

  void provenance(std::string_view line) {
    const std::size_t colon = line.find(':');
    const std::string key(trimmed(line.substr(1, std::max<std::size_t>(colon, 1) - 1)));
    if (colon == std::string_view::npos || !is_key(key)) {
      problems_.error({csv_.file, line_, 1}, "",
                      "expected '# key: value' with a key of lower-case letters, digits and '_', "
                      "got " +
                          quoted_value(line));
      return;
    }
    if (key != kLeavesOutKey) {
      csv_.provenance.emplace_back(key, trimmed(line.substr(colon + 1)));
      return;
    }
    Line rest(line, csv_.file, line_);
    rest.skip(colon + 1);
    const auto names = rest.fields(problems_, true);
    if (!names) return;
    for (const CsvField& name : *names) {
      auto& known = csv_.leaves_out;
      if (name.text.empty()) {
        if (names->size() > 1) {
          problems_.error(name.place, key, "expected a layer's name, got nothing");
        }
      } else if (std::find(known.begin(), known.end(), name.text) != known.end()) {
        problems_.error(name.place, key,
                        "expected each layer once, got " + quoted_value(name.text) + " again");
      } else {
        known.push_back(name.text);
      }
    }
  }

  bool read_header(std::string_view line) {
    auto fields = Line(line, csv_.file, line_).fields(problems_);
    if (!fields) return false;
    csv_.header = std::move(*fields);
    bool is_sound = true;
    for (std::size_t i = 0; i < csv_.header.size(); ++i) {
      const CsvField& field = csv_.header[i];
      if (csv_.column(field.text) == i) continue;
      problems_.error(field.place, field.text, "expected each column once, got it again");
      is_sound = false;
    }
    return is_sound;
  }

  void read_row(std::string_view line) {
    if (line.starts_with('#')) {
      problems_.error(
          {csv_.file, line_, 1}, "",
          "expected lines of provenance only before the header, got " + quoted_value(line));
      return;
    }
    auto fields = Line(line, csv_.file, line_).fields(problems_);
    if (!fields) return;
    if (fields->size() != csv_.header.size()) {
      problems_.error({csv_.file, line_, 1}, "",
                      "expected " + std::to_string(csv_.header.size()) +
                          " fields as in the header, got " +
                          (line.empty() ? "an empty line" : std::to_string(fields->size())));
      return;
    }
    csv_.rows.push_back(std::move(*fields));
  }

  std::string_view text_;
  Diagnostics& problems_;
  LayerCsv csv_;
  int line_ = 0;
};

}  // namespace

std::optional<std::size_t> LayerCsv::column(std::string_view name) const {
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (header[i].text == name) return i;
  }
  return std::nullopt;
}

LayerCsv parse_layer_csv(std::string_view text, const std::string& file, std::string_view header,
                         Diagnostics& problems) {
  return Parser(text, file, problems).parse(header);
}

std::optional<double> number_in(const CsvField& field, std::string_view column,
                                Diagnostics& problems) {
  const auto number = parse_number(field.text);
  if (number && *number >= 0) return number;
  problems.error(field.place, std::string(column),
                 "expected a number of at least 0, got " + quoted_value(field.text));
  return std::nullopt;
}

}  // namespace widthwise
