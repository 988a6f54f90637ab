#include "models/config/yaml_reader.hpp"

#include <algorithm>
#include <sstream>
#include <unordered_map>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "models/base/read_file.hpp"
#include "models/base/text.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kMostMebibytes = 64;
constexpr std::size_t kMaxNodes = 1'000'000;
constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxKeyLength = 1024;
constexpr int kMostSuggestions = 100;  // per mapping: each costs time
constexpr std::string_view kSchemaKey = "schema";

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20U && c != '\n' && c != '\t') || byte == 0x7FU;
}

/// Builds the tree from yaml-cpp's events, which unlike its own nodes keep the place of everything
/// and let us refuse what we do not want before it costs anything.
class TreeBuilder : public YAML::EventHandler {
 public:
  /// `fixed_place`: an override, where all nodes stand at one place.
  TreeBuilder(std::string file, bool fixed_place, Diagnostics& problems)
      : file_(std::move(file)), fixed_place_(fixed_place), problems_(&problems) {}

  YamlNode take_root() { return std::move(root_); }

  [[nodiscard]] SourcePlace place(const YAML::Mark& mark) const {
    if (fixed_place_ || mark.is_null()) {
      return {file_, 0, 0};
    }
    return {file_, mark.line + 1, mark.column + 1};
  }

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) {
      fail(mark, "a key must be plain text");
    }
    add(YamlNode(), mark, "", anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    fail(mark, "aliases ('*name') are not supported; write the value out");
  }

  void OnAnchor(const YAML::Mark& mark, const std::string& /*name*/) override {
    fail(mark, "anchors ('&name') are not supported; write the value out");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (std::any_of(value.begin(), value.end(), is_control)) {
      fail(mark, "control characters are not allowed");
    }
    YamlNode node;
    node.kind = YamlNode::Kind::scalar;
    node.text = value;
    node.quoted = tag == "!";
    add(std::move(node), mark, tag, anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(YamlNode::Kind::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(YamlNode::Kind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    YamlNode node;
    std::unordered_map<std::string, SourcePlace> keys;  // of a map
    bool has_key = false;                               // of a map: its value comes next
    std::string key;
    SourcePlace key_place;
  };

  [[noreturn]] void fail(const YAML::Mark& mark, std::string message) const {
    throw InputError(place(mark), path(), std::move(message));
  }

  [[nodiscard]] std::string path() const {
    std::string path;
    for (const Level& level : open_) {
      if (level.node.kind == YamlNode::Kind::list) {
        path += '[' + std::to_string(level.node.children.size()) + ']';
      } else if (level.has_key) {
        path = join_path(path, level.key);
      }
    }
    return path;
  }

  void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) {
      fail(mark, "anchors ('&name') are not supported; write the value out");
    }
    if (!tag.empty() && tag != "?" && tag != "!") {
      fail(mark, "tags ('!name') are not supported");
    }
    if (++nodes_ > kMaxNodes) {
      fail(mark, "more than " + std::to_string(kMaxNodes) + " values");
    }
  }

  [[nodiscard]] bool expects_key() const {
    return !open_.empty() && open_.back().node.kind == YamlNode::Kind::map && !open_.back().has_key;
  }

  void add(YamlNode node, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    check(mark, tag, anchor);
    node.place = place(mark);
    if (expects_key()) {
      if (node.text.empty() || node.text.size() > kMaxKeyLength ||
          std::any_of(node.text.begin(), node.text.end(),
                      [](char c) { return c == '\n' || c == '\t'; })) {
        fail(mark, "a key must be a line of 1.." + std::to_string(kMaxKeyLength) +
                       " characters, got " + quoted_value(node.text));
      }
      Level& map = open_.back();
      map.key = std::move(node.text);
      map.key_place = std::move(node.place);
      map.has_key = true;
      return;
    }
    attach(std::move(node));
  }

  void attach(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::map) {
      parent.has_key = false;
      const auto [first, is_new] = parent.keys.emplace(parent.key, parent.key_place);
      if (!is_new) {
        std::string message = "duplicate key " + quoted_value(parent.key);
        if (first->second.line > 0) {
          message += "; first on line " + std::to_string(first->second.line);
        }
        problems_->error(parent.key_place, path(), std::move(message));
        return;
      }
      node.key = parent.key;
      node.place = parent.key_place;
    }
    parent.node.children.push_back(std::move(node));
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    check(mark, tag, anchor);
    if (expects_key()) {
      fail(mark, "a key must be plain text; is a bracket never closed?");
    }
    if (open_.size() >= kMaxDepth) {
      fail(mark, "nested deeper than " + std::to_string(kMaxDepth) + " levels");
    }
    Level level;
    level.node.kind = kind;
    level.node.place = place(mark);
    open_.push_back(std::move(level));
  }

  void close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    attach(std::move(node));
  }

  std::string file_;
  bool fixed_place_;
  Diagnostics* problems_;
  YamlNode root_;
  std::vector<Level> open_;
  std::size_t nodes_ = 0;
};

/// The place of the byte at `offset`.
SourcePlace place_in(std::string_view text, std::size_t offset, const std::string& file) {
  const std::string_view before = text.substr(0, offset);
  const auto line_breaks = std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 = 0
  return {file, static_cast<int>(line_breaks) + 1, static_cast<int>(offset - line_start) + 1};
}

YamlNode build_tree(std::string_view text, const std::string& file, bool fixed_place,
                    Diagnostics& problems) {
  if (text.size() > kMostMebibytes << 20U) {
    throw InputError({file, 0, 0}, "", "larger than 64 MiB");
  }
  // yaml-cpp takes some of these for the end of the file.
  const auto bad =
      std::find_if(text.begin(), text.end(), [](char c) { return c != '\r' && is_control(c); });
  if (bad != text.end()) {
    const SourcePlace place =
        fixed_place ? SourcePlace{file, 0, 0}
                    : place_in(text, static_cast<std::size_t>(bad - text.begin()), file);
    throw InputError(place, "", "not a text file: it contains control characters");
  }
  // A quote that is still open at a line break at the end of the file escapes yaml-cpp's notice.
  const std::size_t end = text.find_last_not_of(" \t\r\n") + 1;  // npos + 1 = 0
  TreeBuilder builder(file, fixed_place, problems);
  try {
    std::istringstream stream{std::string(text.substr(0, end))};
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    YamlNode root = builder.take_root();
    TreeBuilder rest(file, fixed_place, problems);
    if (parser.HandleNextDocument(rest)) {
      throw InputError(rest.take_root().place, "", "more than one document in the file");
    }
    return root;
  } catch (const YAML::Exception& error) {
    const bool open_quote = error.msg == YAML::ErrorMsg::EOF_IN_SCALAR;
    throw InputError(builder.place(error.mark), "",
                     "not valid YAML: " + (open_quote ? "a quote is never closed" : error.msg));
  }
}

/// Splits `tiling.fixed."layer1.0.conv1".batch` at its dots; nothing if it is malformed.
std::optional<std::vector<std::string>> split_key_path(std::string_view path) {
  std::vector<std::string> keys;
  std::size_t at = 0;
  while (true) {
    std::string key;
    if (at < path.size() && path[at] == '"') {
      const std::size_t end = path.find('"', at + 1);
      if (end == std::string_view::npos) {
        return std::nullopt;
      }
      key = path.substr(at + 1, end - at - 1);
      at = end + 1;
    } else {
      const std::size_t end = std::min(path.find('.', at), path.size());
      key = path.substr(at, end - at);
      at = end;
    }
    if (key.empty() || key.size() > kMaxKeyLength || keys.size() >= kMaxDepth ||
        std::any_of(key.begin(), key.end(),
                    [](char c) { return is_control(c) || c == '\n' || c == '\t'; })) {
      return std::nullopt;
    }
    keys.push_back(std::move(key));
    if (at == path.size()) {
      return keys;
    }
    if (path[at] != '.') {
      return std::nullopt;
    }
    ++at;
  }
}

/// The '=' that ends the key, outside quotes.
std::size_t find_equals(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == '=' && !quoted) {
      return i;
    }
  }
  return std::string_view::npos;
}

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) {
    return {};
  }
  return std::string(text.substr(first, text.find_last_not_of(' ') - first + 1));
}

template <class T>
std::string shown_bound(T bound) {
  return format_number(static_cast<double>(bound));
}

template <class T>
std::string shown_range(const Range<T>& range) {
  const bool open_above = range.max == std::numeric_limits<T>::max() ||
                          static_cast<double>(range.max) >= static_cast<double>(INT32_MAX);
  if (open_above) {
    return "at least " + shown_bound(range.min);
  }
  return shown_bound(range.min) + ".." + shown_bound(range.max);
}

/// Throws what was found so far and this.
[[noreturn]] void stop(Diagnostics& problems, const SourcePlace& place, std::string_view key,
                       std::string message) {
  problems.error(place, std::string(key), std::move(message));
  problems.throw_if_any();
  throw InternalError("an error was just added");
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view name) const {
  if (kind != Kind::map) {
    return nullptr;
  }
  const auto found = std::find_if(children.begin(), children.end(),
                                  [&](const YamlNode& child) { return child.key == name; });
  return found == children.end() ? nullptr : &*found;
}

YamlNode* YamlNode::find(std::string_view name) {
  return const_cast<YamlNode*>(std::as_const(*this).find(name));
}

YamlDocument parse_yaml(std::string_view text, const std::string& file,
                        std::span<const std::string> overrides) {
  YamlDocument document;
  document.root = build_tree(text, file, false, document.problems);
  if (document.root.place.file.empty()) {
    document.root.place = {file, 1, 1};  // an empty file
  }
  for (const std::string& override : overrides) {
    apply_override(document, override);
  }
  return document;
}

YamlDocument load_yaml(const std::string& path, std::span<const std::string> overrides) {
  return parse_yaml(read_file(path, kMostMebibytes), path, overrides);
}

void apply_override(YamlDocument& document, const std::string& text) {
  const SourcePlace place{"--set " + text, 0, 0};
  const std::size_t equals = find_equals(text);
  const auto keys = equals == std::string::npos
                        ? std::nullopt
                        : split_key_path(trimmed(std::string_view(text).substr(0, equals)));
  if (!keys) {
    document.problems.error(place, "", "expected KEY=VALUE such as 'engine.rows=8'");
    return;
  }
  YamlNode value;
  try {
    value =
        build_tree(std::string_view(text).substr(equals + 1), place.file, true, document.problems);
  } catch (const InputError& error) {
    document.problems.append(error.diagnostics());
    return;
  }
  if (document.root.kind != YamlNode::Kind::map) {
    return;  // open_document() reports that
  }
  YamlNode* node = &document.root;
  std::string path;
  for (const std::string& key : *keys) {
    if (node->kind == YamlNode::Kind::null) {
      node->kind = YamlNode::Kind::map;
    }
    if (node->kind != YamlNode::Kind::map) {
      document.problems.error(place, path,
                              "expected a mapping to set '" + key + "' in, got " + describe(*node));
      return;
    }
    path = join_path(path, key);
    YamlNode* child = node->find(key);
    if (child == nullptr) {
      node->children.emplace_back();
      child = &node->children.back();
      child->key = key;
      child->place = place;
    }
    node = child;
  }
  value.key = keys->back();
  value.place = place;
  *node = std::move(value);
}

std::string schema_kind(const YamlDocument& document) {
  const YamlNode& root = document.root;
  if (root.kind != YamlNode::Kind::map) {
    throw InputError(
        root.place, "",
        "expected a mapping that starts with 'schema: <kind>/1', got " + describe(root));
  }
  const YamlNode* schema = root.find(kSchemaKey);
  if (schema == nullptr) {
    throw InputError(root.place, "",
                     "missing key 'schema'; the file must start with 'schema: <kind>/1'");
  }
  const std::size_t slash = schema->text.find('/');
  if (schema->kind != YamlNode::Kind::scalar || slash == std::string::npos || slash == 0) {
    throw InputError(schema->place, std::string(kSchemaKey),
                     "expected '<kind>/1', got " + describe(*schema));
  }
  return schema->text.substr(0, slash);
}

std::string join_path(const std::string& path, std::string_view key) {
  const bool plain = std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '@' || c == '*';
  });
  std::string joined = path;
  if (!joined.empty()) {
    joined += '.';
  }
  return plain ? joined.append(key) : joined.append(1, '"').append(key).append(1, '"');
}

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::null:
      return "nothing";
    case YamlNode::Kind::scalar:
      return quoted_value(node.text);
    case YamlNode::Kind::list:
      return "a list";
    case YamlNode::Kind::map:
      return "a mapping";
  }
  return {};
}

std::optional<std::string> read_text(const YamlNode& node, const std::string& path,
                                     Diagnostics& problems) {
  if (node.kind != YamlNode::Kind::scalar || node.text.empty()) {
    problems.error(node.place, path, "expected text, got " + describe(node));
    return std::nullopt;
  }
  return node.text;
}

std::optional<std::int64_t> read_integer(const YamlNode& node, const std::string& path,
                                         Diagnostics& problems, Range<std::int64_t> range) {
  if (node.kind != YamlNode::Kind::scalar || node.quoted || !is_integer_text(node.text)) {
    problems.error(node.place, path,
                   "expected a whole number, " + shown_range(range) + ", got " + describe(node));
    return std::nullopt;
  }
  const auto value = parse_integer(node.text);
  if (!value || *value < range.min || *value > range.max) {
    const std::string shown = quoted_value(node.text);
    problems.error(node.place, path,
                   "expected " + shown_range(range) + ", got " + shown.substr(1, shown.size() - 2));
    return std::nullopt;
  }
  return value;
}

std::optional<double> read_number(const YamlNode& node, const std::string& path,
                                  Diagnostics& problems, Range<double> range) {
  const auto value =
      node.kind == YamlNode::Kind::scalar && !node.quoted ? parse_number(node.text) : std::nullopt;
  if (!value) {
    problems.error(node.place, path,
                   "expected a number, " + shown_range(range) + ", got " + describe(node));
    return std::nullopt;
  }
  if (*value < range.min || *value > range.max) {
    const std::string shown = quoted_value(node.text);
    problems.error(node.place, path,
                   "expected " + shown_range(range) + ", got " + shown.substr(1, shown.size() - 2));
    return std::nullopt;
  }
  return value;
}

std::optional<bool> read_boolean(const YamlNode& node, const std::string& path,
                                 Diagnostics& problems) {
  if (node.kind == YamlNode::Kind::scalar && !node.quoted &&
      (node.text == "true" || node.text == "false")) {
    return node.text == "true";
  }
  problems.error(node.place, path, "expected true or false, got " + describe(node));
  return std::nullopt;
}

std::optional<std::size_t> read_choice(const YamlNode& node, const std::string& path,
                                       Diagnostics& problems,
                                       const std::vector<std::string>& names) {
  if (node.kind == YamlNode::Kind::scalar) {
    const auto found = std::find(names.begin(), names.end(), node.text);
    if (found != names.end()) {
      return static_cast<std::size_t>(found - names.begin());
    }
  }
  problems.error(node.place, path,
                 "expected one of " + quoted_list(names) + ", got " + describe(node) +
                     (node.kind == YamlNode::Kind::scalar ? suggestion(node.text, names) : ""));
  return std::nullopt;
}

std::optional<double> read_bandwidth(const YamlNode& node, const std::string& path,
                                     Diagnostics& problems, Hertz clock, Range<double> range) {
  if (node.kind != YamlNode::Kind::scalar) {
    problems.error(node.place, path,
                   "expected a bandwidth such as '192 bit/cycle', got " + describe(node));
    return std::nullopt;
  }
  Parsed<Bandwidth> parsed = parse_bandwidth(node.text);
  if (!parsed.value) {
    problems.error(node.place, path, std::move(parsed.error));
    return std::nullopt;
  }
  if (parsed.value->per_second && clock.count() <= 0) {
    return std::nullopt;  // the clock has been reported
  }
  const double bits = parsed.value->bits_per_cycle(clock);
  if (!(bits >= range.min && bits <= range.max)) {
    problems.error(node.place, path,
                   "expected " + format_bandwidth(range.min) + " .. " +
                       format_bandwidth(range.max) + ", got " + quoted_value(node.text) +
                       (parsed.value->per_second ? " (" + format_bandwidth(bits) + ")" : ""));
    return std::nullopt;
  }
  return bits;
}

MapReader::MapReader(const YamlNode& node, std::string path, Diagnostics& problems)
    : path_(std::move(path)), place_(node.place), problems_(&problems) {
  if (node.kind == YamlNode::Kind::map) {
    node_ = &node;
  } else {
    problems.error(node.place, path_, "expected a mapping, got " + describe(node));
  }
}

MapReader::MapReader(std::string path, SourcePlace place, Diagnostics& problems)
    : path_(std::move(path)), place_(std::move(place)), problems_(&problems) {}

bool MapReader::has(std::string_view key) const {
  return node_ != nullptr && node_->find(key) != nullptr;
}

SourcePlace MapReader::place_of(std::string_view key) const {
  const YamlNode* child = node_ == nullptr ? nullptr : node_->find(key);
  return child == nullptr ? place_ : child->place;
}

const YamlNode* MapReader::take(std::string_view key, Need need) {
  known_.emplace(key);
  if (node_ == nullptr) {
    return nullptr;
  }
  const YamlNode* child = node_->find(key);
  if (child == nullptr && need == Need::required) {
    problems_->error(place_, path_, "missing key '" + std::string(key) + "'");
  }
  return child;
}

bool MapReader::text(std::string_view key, Need need, std::string& target) {
  const YamlNode* node = take(key, need);
  if (node == nullptr) {
    return false;
  }
  auto value = read_text(*node, path_of(key), *problems_);
  if (!value) {
    return false;
  }
  target = std::move(*value);
  return true;
}

bool MapReader::boolean(std::string_view key, Need need, bool& target) {
  const YamlNode* node = take(key, need);
  if (node == nullptr) {
    return false;
  }
  const auto value = read_boolean(*node, path_of(key), *problems_);
  target = value.value_or(target);
  return value.has_value();
}

bool MapReader::number(std::string_view key, Need need, double& target, Range<double> range) {
  const YamlNode* node = take(key, need);
  if (node == nullptr) {
    return false;
  }
  const auto value = read_number(*node, path_of(key), *problems_, range);
  target = value.value_or(target);
  return value.has_value();
}

bool MapReader::bandwidth(std::string_view key, Need need, double& target, Hertz clock,
                          Range<double> range) {
  const YamlNode* node = take(key, need);
  if (node == nullptr) {
    return false;
  }
  const auto value = read_bandwidth(*node, path_of(key), *problems_, clock, range);
  target = value.value_or(target);
  return value.has_value();
}

bool MapReader::texts(std::string_view key, Need need, std::vector<std::string>& target) {
  const YamlNode* node = take(key, need);
  if (node == nullptr) {
    return false;
  }
  const std::string path = path_of(key);
  if (node->kind != YamlNode::Kind::list) {
    problems_->error(node->place, path, "expected a list of texts, got " + describe(*node));
    return false;
  }
  std::vector<std::string> values;
  for (std::size_t i = 0; i < node->children.size(); ++i) {
    auto value = read_text(node->children[i], path + '[' + std::to_string(i) + ']', *problems_);
    if (value) {
      values.push_back(std::move(*value));
    }
  }
  if (values.size() != node->children.size()) {
    return false;
  }
  target = std::move(values);
  return true;
}

bool MapReader::integers(std::string_view key, Need need, std::vector<int>& target,
                         Range<int> range) {
  const YamlNode* node = take(key, need);
  if (node == nullptr) {
    return false;
  }
  const std::string path = path_of(key);
  if (node->kind != YamlNode::Kind::list) {
    problems_->error(node->place, path,
                     "expected a list of whole numbers such as [2, 4, 8], got " + describe(*node));
    return false;
  }
  std::vector<int> values;
  for (std::size_t i = 0; i < node->children.size(); ++i) {
    const auto value = read_integer(node->children[i], path + '[' + std::to_string(i) + ']',
                                    *problems_, {range.min, range.max});
    if (value) {
      values.push_back(static_cast<int>(*value));
    }
  }
  if (values.size() != node->children.size()) {
    return false;
  }
  target = std::move(values);
  return true;
}

MapReader MapReader::map(std::string_view key, Need need) {
  const YamlNode* node = take(key, need);
  if (node == nullptr) {
    return {path_of(key), place_, *problems_};
  }
  return {*node, path_of(key), *problems_};
}

std::vector<MapReader> MapReader::maps(std::string_view key, Need need) {
  std::vector<MapReader> readers;
  const YamlNode* node = take(key, need);
  if (node == nullptr) {
    return readers;
  }
  const std::string path = path_of(key);
  if (node->kind != YamlNode::Kind::list) {
    problems_->error(node->place, path, "expected a list of mappings, got " + describe(*node));
    return readers;
  }
  for (std::size_t i = 0; i < node->children.size(); ++i) {
    readers.emplace_back(node->children[i], path + '[' + std::to_string(i) + ']', *problems_);
  }
  return readers;
}

const std::vector<YamlNode>& MapReader::entries() {
  static const std::vector<YamlNode> none;
  if (node_ == nullptr) {
    return none;
  }
  all_known_ = true;
  return node_->children;
}

void MapReader::refuse(std::string_view key, const std::string& why) {
  if (const YamlNode* child = node_ == nullptr ? nullptr : node_->find(key)) {
    refused_.emplace(key);
    problems_->error(child->place, path_of(key), why);
  }
}

void MapReader::error(std::string_view key, const std::string& message) {
  problems_->error(place_of(key), path_of(key), message);
}

void MapReader::finish() {
  if (node_ == nullptr || all_known_) {
    return;
  }
  const std::vector<std::string> names(known_.begin(), known_.end());
  int suggestions_left = kMostSuggestions;
  for (const YamlNode& child : node_->children) {
    if (known_.contains(child.key) || refused_.contains(child.key)) {
      continue;
    }
    const bool suggest = suggestions_left-- > 0;
    problems_->error(
        child.place, path_,
        "unknown key " + quoted_value(child.key) + (suggest ? suggestion(child.key, names) : ""));
  }
}

MapReader open_document(YamlDocument& document, std::string_view kind) {
  const std::string wanted = std::string(kind) + "/1";
  const YamlNode& root = document.root;
  if (root.kind != YamlNode::Kind::map) {
    stop(document.problems, root.place, "",
         "expected a mapping that starts with 'schema: " + wanted + "', got " + describe(root));
  }
  const YamlNode* schema = root.find(kSchemaKey);
  if (schema == nullptr) {
    stop(document.problems, root.place, "",
         "missing key 'schema'; the file must start with 'schema: " + wanted + "'");
  }
  if (schema->kind != YamlNode::Kind::scalar || schema->text != wanted) {
    stop(document.problems, schema->place, kSchemaKey,
         "expected schema '" + wanted + "', got " + describe(*schema));
  }
  if (root.children.front().key != kSchemaKey) {
    document.problems.error(schema->place, std::string(kSchemaKey),
                            "must be the first key of the file");
  }
  MapReader reader(root, "", document.problems);
  reader.take(kSchemaKey, Need::required);
  return reader;
}

}  // namespace widthwise
