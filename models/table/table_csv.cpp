#include "models/table/table_csv.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "models/base/read_file.hpp"
#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "models/network/network.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kMostMebibytes = 256;
constexpr std::size_t kMostColumns = 1000;
constexpr std::size_t kMostMistakes = 100;

constexpr std::string_view kLayerColumn = "layer";
constexpr std::string_view kKindColumn = "kind";
constexpr std::string_view kLeavesOutKey = "leaves_out";

/// Columns of `widthwise run --csv` that are no costs: text, what describes the tile or the
/// accumulator, and what does not add up over layers.
constexpr std::array<std::string_view, 18> kPassedOver = {"bottleneck",
                                                          "fused",
                                                          "phases",
                                                          "tile_order",
                                                          "tile_batch",
                                                          "tile_out_h",
                                                          "tile_out_w",
                                                          "tile_out_channels",
                                                          "tile_in_channels",
                                                          "tile_groups",
                                                          "tiles",
                                                          "accumulator_bits",
                                                          "wrong_outputs",
                                                          "safe_accumulator_bits",
                                                          "overflows",
                                                          "computed_weight_bits",
                                                          "utilization",
                                                          "computed_activation_bits"};

/// What the cells of an axis may say.
struct AxisRange {
  Axis axis;
  double least, most;
  bool whole;
  std::string_view expected;
};

constexpr std::string_view kWidth = "expected a whole number of 1..64";
constexpr std::string_view kShare = "expected a number above 0 and at most 1";
constexpr double kLeastShare = std::numeric_limits<double>::denorm_min();

constexpr std::array<AxisRange, kAxes> kAxisRanges = {{
    {Axis::weight_bits, 1, 64, true, kWidth},
    {Axis::activation_bits, 1, 64, true, kWidth},
    {Axis::stored_input_bits, 1, 64, false, "expected a number of 1..64"},
    {Axis::stored_second_bits, 0, 64, true, "expected a whole number of 1..64, or 0 for none"},
    {Axis::stored_output_bits, 1, 64, true, kWidth},
    {Axis::input_on_chip, 0, 1, false, "expected a number of 0..1"},
    {Axis::second_on_chip, 0, 1, true, "expected 0 or 1"},
    {Axis::output_on_chip, 0, 1, true, "expected 0 or 1"},
    {Axis::input_share, kLeastShare, 1, false, kShare},
    {Axis::output_share, kLeastShare, 1, false, kShare},
}};

constexpr std::array kLayerKinds = {LayerKind::convolution,   LayerKind::fully_connected,
                                    LayerKind::matmul,        LayerKind::recurrent,
                                    LayerKind::pool,          LayerKind::add,
                                    LayerKind::mul,           LayerKind::concat,
                                    LayerKind::normalization, LayerKind::activation,
                                    LayerKind::softmax,       LayerKind::reduce,
                                    LayerKind::move};

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20U || byte == 0x7FU;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// A key of the provenance.
bool is_key(std::string_view text) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && is_letter(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

/// What was found so far, up to the number that is still worth reading.
class Mistakes {
 public:
  explicit Mistakes(std::string file) : file_(std::move(file)) {}

  void error(int line, int column, std::string key, std::string message) {
    found_.error({file_, line, column}, std::move(key), std::move(message));
    if (found_.items().size() < kMostMistakes) return;
    found_.error({file_, 0, 0}, "",
                 "expected fewer mistakes, got these " + std::to_string(kMostMistakes) +
                     "; the rest of the file was not looked at");
    found_.throw_if_any();
  }

  [[nodiscard]] bool empty() const { return found_.empty(); }
  void throw_if_any() const { found_.throw_if_any(); }

 private:
  std::string file_;
  Diagnostics found_;
};

struct Field {
  std::string text;
  int line = 0, column = 0;
  bool broken = false;  // a mistake that was reported
};

struct Record {
  int line = 0;
  std::vector<Field> fields;
  bool broken = false;  // its fields can not be told apart
};

/// Takes the text apart. Columns count characters of UTF-8.
class CsvText {
 public:
  CsvText(std::string_view text, Mistakes& mistakes) : text_(text), mistakes_(&mistakes) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  }

  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] char next() const { return at_end() ? '\0' : text_[at_]; }
  [[nodiscard]] int line() const { return line_; }
  [[nodiscard]] int column() const { return column_; }

  /// What is left of the line, without its end.
  [[nodiscard]] std::string_view rest_of_line() const {
    std::string_view rest = text_.substr(at_, text_.find('\n', at_) - at_);
    if (rest.ends_with('\r')) rest.remove_suffix(1);
    return rest;
  }

  void skip(std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) take();
  }

  void next_line() {
    skip(rest_of_line().size());
    if (next() == '\r') take();
    if (!at_end()) take();
  }

  /// The fields up to the end of the line. `spaced`: spaces around fields do not count.
  Record record(bool spaced = false) {
    Record record;
    record.line = line_;
    while (true) {
      if (spaced) skip_spaces();
      record.fields.push_back(field(record, spaced));
      if (next() != ',') break;
      take();
    }
    next_line();
    return record;
  }

 private:
  char take() {
    const char c = text_[at_++];
    if (c == '\n') {
      ++line_;
      column_ = 1;
    } else if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) {
      ++column_;
    }
    return c;
  }

  void skip_spaces() {
    while (next() == ' ') take();
  }

  [[nodiscard]] bool at_field_end() const {
    return at_end() || text_[at_] == ',' || text_[at_] == '\n' ||
           text_.substr(at_).starts_with("\r\n");
  }

  void mistake(Field& field, std::string message) {
    if (!field.broken) mistakes_->error(field.line, field.column, "", std::move(message));
    field.broken = true;
  }

  Field field(Record& record, bool spaced) {
    Field field{{}, line_, column_};
    if (next() != '"') {
      plain(field);
      if (spaced) field.text = trimmed(field.text);
      return field;
    }
    take();
    while (true) {
      if (at_end()) {
        mistake(field, "expected a closing quote, got the end of the file");
        record.broken = true;
        return field;
      }
      const char c = take();
      if (c == '"') {
        if (next() != '"') break;
        take();
      }
      field.text += c;
    }
    if (spaced) skip_spaces();
    if (!at_field_end()) {
      mistake(field, "expected a comma or the line's end behind the closing quote");
      plain(field);
    }
    return field;
  }

  void plain(Field& field) {
    while (!at_field_end()) {
      const char c = take();
      field.text += c;
      if (c == '"') {
        mistake(field, "expected a quote only around a whole field, with doubled ones inside");
      } else if (c == '\r') {
        mistake(field, "expected a line feed behind the carriage return");
      }
    }
  }

  std::string_view text_;
  Mistakes* mistakes_;
  std::size_t at_ = 0;
  int line_ = 1, column_ = 1;
};

enum class Role { layer, axis, metric, kind, passed_over };

/// What a column of this name is, and the index of its axis.
std::pair<Role, std::size_t> role_of(std::string_view name) {
  if (name == kLayerColumn) return {Role::layer, 0};
  if (name == kKindColumn) return {Role::kind, 0};
  for (const AxisRange& range : kAxisRanges) {
    if (name == to_string(range.axis)) return {Role::axis, index_of(range.axis)};
  }
  const bool passed_over =
      std::find(kPassedOver.begin(), kPassedOver.end(), name) != kPassedOver.end();
  return {passed_over ? Role::passed_over : Role::metric, 0};
}

bool is_column_name(std::string_view name) {
  return !name.empty() && trimmed(name) == name &&
         std::none_of(name.begin(), name.end(), is_control);
}

struct Column {
  Role role = Role::passed_over;
  std::size_t index = 0;  // of the axis or the metric
  std::string name;
  int line = 0, column = 0;
};

/// Cells of a metric's column that are no numbers: all of them mean that it is no metric.
struct MetricCells {
  bool has_number = false;
  std::vector<Field> bad;
};

/// Of a word, not of a number that is out of range or badly written.
bool is_word(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return !lower.empty() && lower.front() >= 'a' && lower.front() <= 'z' && lower != "nan" &&
         lower != "inf" && lower != "infinity";
}

class TableParser {
 public:
  TableParser(std::string_view text, const std::string& file)
      : file_(file), mistakes_(file), text_(text, mistakes_) {
    table_.source = file;
  }

  CostTable parse() {
    read_provenance();
    read_header();
    while (!text_.at_end()) read_row();
    check_columns_of_text();
    check_layers();
    order_rows();
    mistakes_.throw_if_any();
    return std::move(table_);
  }

 private:
  void read_provenance() {
    std::unordered_map<std::string, int> lines;
    while (text_.next() == '#') {
      const int line = text_.line();
      const std::string_view comment = text_.rest_of_line();
      const std::size_t colon = comment.find(':');
      const std::string key(trimmed(comment.substr(1, std::max<std::size_t>(colon, 1) - 1)));
      if (colon == std::string_view::npos || !is_key(key)) {
        mistakes_.error(line, 1, "",
                        "expected '# key: value' with a key of lower-case letters, digits and "
                        "'_', got " +
                            quoted_value(comment));
        text_.next_line();
        continue;
      }
      const auto [first, is_new] = lines.emplace(key, line);
      if (!is_new) {
        mistakes_.error(
            line, 1, key,
            "expected each key once, got that of line " + std::to_string(first->second) + " again");
      }
      if (key == kLeavesOutKey) {
        text_.skip(colon + 1);
        read_leaves_out();
        continue;
      }
      const std::string_view value = trimmed(comment.substr(colon + 1));
      if (std::any_of(value.begin(), value.end(), is_control)) {
        mistakes_.error(line, 1, key,
                        "expected text without control characters, got " + quoted_value(value));
      }
      table_.provenance.emplace_back(key, value);
      text_.next_line();
    }
  }

  void read_leaves_out() {
    const Record names = text_.record(true);
    if (names.fields.size() == 1 && names.fields.front().text.empty()) return;
    for (const Field& name : names.fields) {
      if (name.broken) continue;
      auto& known = table_.leaves_out;
      if (name.text.empty()) {
        complain(name, std::string(kLeavesOutKey), "expected a layer's name, got nothing");
      } else if (std::find(known.begin(), known.end(), name.text) != known.end()) {
        complain(name, std::string(kLeavesOutKey),
                 "expected each layer once, got " + quoted_value(name.text) + " again");
      } else {
        known.push_back(name.text);
        leaves_out_places_.push_back({name.line, name.column});
      }
    }
  }

  void read_header() {
    if (text_.at_end()) {
      mistakes_.error(text_.line(), text_.column(), "",
                      "expected a header such as 'layer,weight_bits,activation_bits,"
                      "latency_cycles', got the end of the file");
      mistakes_.throw_if_any();
    }
    header_line_ = text_.line();
    const Record header = text_.record();
    if (header.fields.size() > kMostColumns) {
      mistakes_.error(header.line, 1, "",
                      "expected at most " + std::to_string(kMostColumns) + " columns, got " +
                          std::to_string(header.fields.size()));
      mistakes_.throw_if_any();
    }
    std::unordered_map<std::string, std::size_t> positions;
    for (const Field& field : header.fields) {
      const auto [first, is_new] = positions.emplace(field.text, columns_.size() + 1);
      Column column;
      if (!field.broken) {
        if (!is_new) {
          complain(field, field.text,
                   "expected each column once, got that of field " + std::to_string(first->second) +
                       " again");
        } else {
          column = named_column(field);
        }
      }
      column.name = field.text;
      column.line = field.line;
      column.column = field.column;
      columns_.push_back(std::move(column));
    }
    for (const std::string_view name :
         {kLayerColumn, to_string(Axis::weight_bits), to_string(Axis::activation_bits)}) {
      if (!positions.contains(std::string(name))) complain_missing(name);
    }
    if (table_.metrics.empty()) {
      mistakes_.error(header.line, 1, "",
                      "expected a column of costs such as 'latency_cycles' or 'latency_ms', got "
                      "none");
    }
    std::sort(table_.axes.begin(), table_.axes.end());
    metric_cells_.resize(table_.metrics.size());
    if (header.broken) mistakes_.throw_if_any();
  }

  Column named_column(const Field& field) {
    const std::string& name = field.text;
    Column column;
    std::tie(column.role, column.index) = role_of(name);
    if (column.role == Role::axis) table_.axes.push_back(kAxisRanges.at(column.index).axis);
    if (column.role != Role::metric) return column;
    if (!is_column_name(name)) {
      complain(field, "",
               "expected a column's name without spaces around it, got " + quoted_value(name) +
                   suggestion(trimmed(name), known_columns()));
      column.role = Role::passed_over;
      return column;
    }
    column.index = table_.metrics.size();
    table_.metrics.push_back(name);
    return column;
  }

  static std::vector<std::string> known_columns() {
    std::vector<std::string> names{std::string(kLayerColumn), std::string(kKindColumn)};
    for (const AxisRange& range : kAxisRanges) names.emplace_back(to_string(range.axis));
    names.insert(names.end(), kPassedOver.begin(), kPassedOver.end());
    return names;
  }

  void complain_missing(std::string_view name) {
    std::vector<std::string> others;
    for (const Column& column : columns_) {
      if (column.role == Role::metric || column.role == Role::passed_over) {
        others.push_back(column.name);
      }
    }
    const auto nearest = nearest_name(name, others);
    mistakes_.error(header_line_, 1, std::string(name),
                    "expected this column, got none" +
                        (nearest ? "; is it " + quoted_value(*nearest) + "?" : std::string()));
  }

  void complain(const Field& field, std::string key, std::string message) {
    mistakes_.error(field.line, field.column, std::move(key), std::move(message));
  }

  void read_row() {
    if (text_.next() == '#') {
      mistakes_.error(text_.line(), 1, "",
                      "expected lines of provenance only before the header, got " +
                          quoted_value(text_.rest_of_line()));
      text_.next_line();
      return;
    }
    const Record record = text_.record();
    if (record.broken) return;
    if (record.fields.size() != columns_.size()) {
      const bool empty = record.fields.size() == 1 && record.fields.front().text.empty();
      mistakes_.error(record.line, 1, "",
                      "expected " + std::to_string(columns_.size()) +
                          " fields as in the header, got " +
                          (empty ? "an empty line" : std::to_string(record.fields.size())));
      return;
    }
    TableRow row;
    row.place = {file_, record.line, 1};
    row.values.assign(table_.metrics.size(), 0);
    bool has_place = true;
    const Field* layer = nullptr;
    const Field* kind = nullptr;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const Column& column = columns_[i];
      const Field& field = record.fields[i];
      switch (column.role) {
        case Role::layer:
          layer = &field;
          break;
        case Role::axis:
          has_place &= read_axis(column.index, field, row.at[column.index]);
          break;
        case Role::metric:
          read_metric(column.index, field, row.values[column.index]);
          break;
        case Role::kind:
          kind = &field;
          break;
        case Role::passed_over:
          break;
      }
    }
    ++rows_read_;
    if (layer == nullptr || layer->broken) return;
    if (layer->text.empty()) {
      complain(*layer, std::string(kLayerColumn), "expected a layer's name, got nothing");
      return;
    }
    row.layer = layer_of(*layer);
    if (kind != nullptr && !kind->broken) read_kind(*kind, row.layer);
    if (has_place) table_.rows.push_back(std::move(row));
  }

  /// Whether the cell says a place.
  bool read_axis(std::size_t index, const Field& field, double& value) {
    if (field.broken) return false;
    const AxisRange& range = kAxisRanges.at(index);
    const auto number = parse_number(field.text);
    if (!number || *number < range.least || *number > range.most ||
        (range.whole && std::trunc(*number) != *number)) {
      complain(field, std::string(to_string(range.axis)),
               std::string(range.expected) + ", got " + quoted_value(field.text));
      return false;
    }
    value = *number;
    return true;
  }

  void read_metric(std::size_t index, const Field& field, double& value) {
    if (field.broken) return;
    const auto number = parse_number(field.text);
    MetricCells& cells = metric_cells_[index];
    if (number && *number >= 0) {
      value = *number;
      cells.has_number = true;
      return;
    }
    if (!is_word(field.text)) cells.has_number = true;
    if (cells.bad.size() < kMostMistakes) cells.bad.push_back(field);
  }

  void read_kind(const Field& field, std::size_t layer) {
    std::vector<std::string> names;
    for (const LayerKind kind : kLayerKinds) names.emplace_back(to_string(kind));
    const std::string& kind = field.text;
    if (!kind.empty() && std::find(names.begin(), names.end(), kind) == names.end()) {
      complain(field, std::string(kKindColumn),
               "expected a kind of layer such as 'convolution', got " + quoted_value(kind) +
                   suggestion(kind, names));
      return;
    }
    std::optional<KindSaid>& said = kinds_said_[layer];
    if (!said) {
      said = {kind, field.line};
      table_.kinds[layer] = kind;
    } else if (said->kind != kind) {
      complain(field, std::string(kKindColumn),
               "expected " + quoted_value(said->kind) + " as in line " +
                   std::to_string(said->line) + ", got " + quoted_value(kind));
    }
  }

  std::size_t layer_of(const Field& field) {
    const auto [found, is_new] = layer_indices_.emplace(field.text, table_.layers.size());
    if (is_new) {
      table_.layers.push_back(field.text);
      table_.kinds.emplace_back();
      kinds_said_.emplace_back();
      layer_places_.push_back({field.line, field.column});
    }
    return found->second;
  }

  void check_columns_of_text() {
    for (const Column& column : columns_) {
      if (column.role != Role::metric) continue;
      const MetricCells& cells = metric_cells_[column.index];
      if (cells.bad.empty()) continue;
      if (!cells.has_number) {
        std::string hint = suggestion(column.name, known_columns());
        if (hint.empty()) {
          hint = "; only 'layer', 'kind' and what 'widthwise run --csv' writes may be text";
        }
        mistakes_.error(column.line, column.column, column.name,
                        "expected numbers in an unknown column, got text such as " +
                            quoted_value(cells.bad.front().text) + hint);
        continue;
      }
      for (const Field& field : cells.bad) {
        complain(field, column.name,
                 "expected a number of at least 0, got " + quoted_value(field.text));
      }
    }
  }

  void check_layers() {
    if (rows_read_ == 0 && mistakes_.empty()) {
      mistakes_.error(text_.line(), text_.column(), "",
                      "expected rows below the header, got the end of the file");
    }
    const bool whole = layer_indices_.contains(std::string(kWholeNetwork));
    for (std::size_t i = 0; i < table_.layers.size(); ++i) {
      if (whole && table_.layers[i] != kWholeNetwork) {
        mistakes_.error(layer_places_[i].line, layer_places_[i].column, std::string(kLayerColumn),
                        "expected no layer beside '*', which stands for the whole network, got " +
                            quoted_value(table_.layers[i]));
      }
    }
    for (std::size_t i = 0; i < table_.leaves_out.size(); ++i) {
      const std::string& name = table_.leaves_out[i];
      if (layer_indices_.contains(name)) {
        mistakes_.error(leaves_out_places_[i].line, leaves_out_places_[i].column,
                        std::string(kLeavesOutKey),
                        "expected layers without rows, got " + quoted_value(name));
      }
    }
  }

  void order_rows() {
    const auto place_of = [](const TableRow& row) { return std::tie(row.layer, row.at); };
    std::vector<TableRow>& rows = table_.rows;
    std::stable_sort(rows.begin(), rows.end(), [&](const TableRow& a, const TableRow& b) {
      return place_of(a) < place_of(b);
    });
    for (std::size_t i = 1; i < rows.size(); ++i) {
      if (place_of(rows[i - 1]) == place_of(rows[i])) {
        mistakes_.error(rows[i].place.line, 1, table_.layers[rows[i].layer],
                        "expected each place once, got that of line " +
                            std::to_string(rows[i - 1].place.line) + " again");
      }
    }
  }

  struct KindSaid {
    std::string kind;
    int line = 0;
  };
  struct FieldPlace {
    int line = 0, column = 0;
  };

  std::string file_;
  Mistakes mistakes_;
  CsvText text_;
  CostTable table_;
  int header_line_ = 0;
  std::vector<Column> columns_;
  std::vector<MetricCells> metric_cells_;
  std::size_t rows_read_ = 0;
  std::unordered_map<std::string, std::size_t> layer_indices_;
  std::vector<FieldPlace> layer_places_;             // of a layer's first row
  std::vector<FieldPlace> leaves_out_places_;        // of the names
  std::vector<std::optional<KindSaid>> kinds_said_;  // per layer
};

/// A field as it stands in the file.
std::string field_text(std::string_view value) {
  const bool plain = value.find_first_of(",\"\r\n") == std::string_view::npos &&
                     !value.starts_with('#') && trimmed(value) == value;
  if (plain) return std::string(value);
  std::string quoted = "\"";
  for (const char c : value) {
    quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  }
  return quoted + '"';
}

std::string joined(const std::vector<std::string>& fields, std::string_view separator) {
  std::string all;
  for (const std::string& field : fields) {
    if (!all.empty()) all += separator;
    all += field_text(field);
  }
  return all;
}

}  // namespace

CostTable parse_cost_table(std::string_view text, const std::string& file) {
  if (text.size() > kMostMebibytes << 20U) {
    throw InputError({file, 0, 0}, "", "larger than 256 MiB");
  }
  return TableParser(text, file).parse();
}

CostTable read_cost_table(const std::string& path) {
  return parse_cost_table(read_file(path, kMostMebibytes), path);
}

std::string cost_table_csv(const CostTable& table) {
  std::string csv;
  for (const auto& [key, value] : table.provenance) {
    ensure(is_key(key) && key != kLeavesOutKey, "provenance has keys that the file can say");
    std::string line = value;
    std::replace_if(line.begin(), line.end(), is_control, ' ');
    csv += "# " + key + ": " + std::string(trimmed(line)) + '\n';
  }
  if (!table.leaves_out.empty()) {
    csv += "# " + std::string(kLeavesOutKey) + ": " + joined(table.leaves_out, ", ") + '\n';
  }
  ensure(table.kinds.empty() || table.kinds.size() == table.layers.size(),
         "every layer has a kind, or none");
  const bool has_kinds = std::any_of(table.kinds.begin(), table.kinds.end(),
                                     [](const std::string& kind) { return !kind.empty(); });
  ensure(std::all_of(table.metrics.begin(), table.metrics.end(),
                     [](const std::string& name) {
                       return is_column_name(name) && role_of(name).first == Role::metric;
                     }),
         "metrics have names that no other column has");
  std::vector<std::string> header{std::string(kLayerColumn)};
  for (const Axis axis : table.axes) header.emplace_back(to_string(axis));
  header.insert(header.end(), table.metrics.begin(), table.metrics.end());
  if (has_kinds) header.emplace_back(kKindColumn);
  csv += joined(header, ",") + '\n';

  std::vector<std::string> names;
  names.reserve(table.layers.size());
  for (const std::string& layer : table.layers) names.push_back(field_text(layer));
  for (const TableRow& row : table.rows) {
    ensure(row.layer < names.size() && row.values.size() == table.metrics.size(),
           "a row has a layer and a value per metric");
    csv += names[row.layer];
    for (const Axis axis : table.axes) csv += ',' + format_number(row.at.at(index_of(axis)));
    for (const double value : row.values) csv += ',' + format_number(value);
    if (has_kinds) csv += ',' + field_text(table.kinds[row.layer]);
    csv += '\n';
  }
  return csv;
}

}  // namespace widthwise
