// Strict reading of the project's YAML files.
//
// A document becomes a tree of nodes that know their place; readers take typed values out of it by
// key. Unknown, duplicate, missing and out-of-range keys are errors, and all errors of a file are
// collected in one Diagnostics, so that the user sees them at once:
//
//   YamlDocument document = load_yaml(path, overrides);
//   MapReader root = open_document(document, "accelerator");   // checks `schema: accelerator/1`
//   MapReader engine = root.map("engine", Need::required);
//   engine.integer("rows", Need::required, result.rows, {1, 1024});
//   engine.finish();                                           // unknown keys
//   root.finish();
//   document.problems.throw_if_any();
//
// Getters leave the target alone when the key is absent or wrong: defaults stand in the structs.
//
// Where an error is reported: a wrong value at its key, with the path of that key ("engine.rows");
// a list element at the element ("engine.supported_bits[1]"); an unknown, duplicate or missing key
// with the path of the mapping around it, an unknown or duplicate one at the key itself, a missing
// one at the key of that mapping.
//
// What is refused although YAML allows it: anchors, aliases, tags, several documents, keys that are
// not plain text, nesting deeper than 64, more than a million nodes, more than 64 MiB, control
// characters. Numbers are decimal (`010` and `0x8` are errors), booleans are `true` and `false`.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/base/error.hpp"
#include "models/base/quantity.hpp"
#include "models/base/units.hpp"

namespace widthwise {

struct YamlNode {
  enum class Kind { null, scalar, list, map };

  Kind kind = Kind::null;
  std::string key;                 // in a map
  std::string text;                // of a scalar
  bool quoted = false;             // a scalar in quotes or a block: always text, never a number
  SourcePlace place;               // in a map: of the key
  std::vector<YamlNode> children;  // of a list or map, in order of the file

  [[nodiscard]] const YamlNode* find(std::string_view name) const;
  [[nodiscard]] YamlNode* find(std::string_view name);
};

/// A document and what was found wrong with it so far (duplicate keys, bad overrides). The tree
/// must outlive the readers made from it.
struct YamlDocument {
  YamlNode root;
  Diagnostics problems;
};

/// Parses text; `file` names it in messages. Throws InputError where nothing more can be read.
YamlDocument parse_yaml(std::string_view text, const std::string& file,
                        std::span<const std::string> overrides = {});

/// Reads and parses a file.
YamlDocument load_yaml(const std::string& path, std::span<const std::string> overrides = {});

/// Replaces or inserts what "engine.rows=8" says; the part after '=' is YAML. A key that contains a
/// dot is quoted: `tiling.fixed."layer1.0.conv1".batch=1`. Called by the two functions above.
void apply_override(YamlDocument& document, const std::string& text);

/// The kind that the file names in its first key, e.g. "accelerator"; throws InputError if it names
/// none.
std::string schema_kind(const YamlDocument& document);

enum class Need { required, optional };

template <class T>
struct Range {
  T min;
  T max;
};

template <class E>
using NameTable = std::span<const std::pair<std::string_view, E>>;

/// "engine" + "rows" = "engine.rows"; a key with a dot is quoted.
std::string join_path(const std::string& path, std::string_view key);

// One value: each returns nothing after adding a diagnostic for `path` at the node's place.
std::optional<std::string> read_text(const YamlNode&, const std::string& path, Diagnostics&);
std::optional<std::int64_t> read_integer(const YamlNode&, const std::string& path, Diagnostics&,
                                         Range<std::int64_t>);
std::optional<double> read_number(const YamlNode&, const std::string& path, Diagnostics&,
                                  Range<double>);
std::optional<bool> read_boolean(const YamlNode&, const std::string& path, Diagnostics&);
std::optional<std::size_t> read_choice(const YamlNode&, const std::string& path, Diagnostics&,
                                       const std::vector<std::string>& names);
std::optional<double> read_bandwidth(const YamlNode&, const std::string& path, Diagnostics&,
                                     Hertz clock, Range<double> range);

/// What stands at a node, for messages: "'abc'", "a list", "a mapping", "nothing".
std::string describe(const YamlNode& node);

template <class T>
std::optional<T> read_quantity(const YamlNode& node, const std::string& path, Diagnostics& problems,
                               const Dimension<T>& dimension, Range<T> range) {
  if (node.kind != YamlNode::Kind::scalar) {
    problems.error(node.place, path,
                   "expected " + std::string(dimension.noun) + " such as '" +
                       std::string(dimension.example) + "', got " + describe(node));
    return std::nullopt;
  }
  Parsed<T> parsed = parse_quantity(node.text, dimension);
  if (!parsed.value) {
    problems.error(node.place, path, std::move(parsed.error));
    return std::nullopt;
  }
  if (*parsed.value < range.min || *parsed.value > range.max) {
    problems.error(node.place, path,
                   "expected " + format_quantity(range.min, dimension) + " .. " +
                       format_quantity(range.max, dimension) + ", got '" + node.text + "'");
    return std::nullopt;
  }
  return parsed.value;
}

/// Takes typed values out of one mapping. Every getter returns true if the key is there and right.
class MapReader {
 public:
  /// A node that is not a mapping is reported; the reader then has no keys and misses none.
  MapReader(const YamlNode& node, std::string path, Diagnostics& problems);

  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path_of(std::string_view key) const { return join_path(path_, key); }
  [[nodiscard]] Diagnostics& problems() { return *problems_; }

  /// Of the key if it is there, else of the mapping.
  [[nodiscard]] SourcePlace place_of(std::string_view key) const;
  [[nodiscard]] const SourcePlace& place() const { return place_; }

  bool text(std::string_view key, Need need, std::string& target);  // not empty
  bool boolean(std::string_view key, Need need, bool& target);
  bool number(std::string_view key, Need need, double& target, Range<double> range);

  template <std::integral I>
  requires(!std::same_as<I, bool>) bool integer(std::string_view key, Need need, I& target,
                                                Range<I> range = {0,
                                                                  std::numeric_limits<I>::max()}) {
    const YamlNode* node = take(key, need);
    if (node == nullptr) return false;
    const auto value =
        read_integer(*node, path_of(key), *problems_,
                     {static_cast<std::int64_t>(range.min), static_cast<std::int64_t>(range.max)});
    if (!value) return false;
    target = static_cast<I>(*value);
    return true;
  }

  template <class E>
  bool choice(std::string_view key, Need need, E& target,
              NameTable<std::type_identity_t<E>> table) {
    const YamlNode* node = take(key, need);
    if (node == nullptr) return false;
    std::vector<std::string> names;
    for (const auto& row : table) names.emplace_back(row.first);
    const auto index = read_choice(*node, path_of(key), *problems_, names);
    if (!index) return false;
    target = table[*index].second;
    return true;
  }

  template <class T>
  bool quantity(std::string_view key, Need need, T& target, const Dimension<T>& dimension,
                Range<std::type_identity_t<T>> range) {
    const YamlNode* node = take(key, need);
    if (node == nullptr) return false;
    const auto value = read_quantity(*node, path_of(key), *problems_, dimension, range);
    if (!value) return false;
    target = *value;
    return true;
  }

  /// In bits per cycle; a rate per second is converted with the clock.
  bool bandwidth(std::string_view key, Need need, double& target, Hertz clock, Range<double> range);

  bool texts(std::string_view key, Need need, std::vector<std::string>& target);  // list of text
  bool integers(std::string_view key, Need need, std::vector<int>& target, Range<int> range);

  /// The mapping under a key. When it is absent or not a mapping, a reader without keys that
  /// reports nothing more, for which given() is false.
  MapReader map(std::string_view key, Need need);
  [[nodiscard]] bool given() const { return node_ != nullptr; }

  /// The mappings of a list.
  std::vector<MapReader> maps(std::string_view key, Need need);

  /// The raw node, marked as read; null (and reported, if required) when absent.
  const YamlNode* take(std::string_view key, Need need);

  /// All entries of a mapping whose keys are names that the user chooses; marks them as read.
  const std::vector<YamlNode>& entries();

  /// Reports the key if it stands there: it is known, but not allowed here.
  void refuse(std::string_view key, const std::string& why);

  /// Adds an error at the key if it is there, else at the mapping.
  void error(std::string_view key, const std::string& message);

  /// Reports every key that was not asked for. To be called once, last.
  void finish();

 private:
  MapReader(std::string path, SourcePlace place, Diagnostics& problems);  // absent mapping

  const YamlNode* node_ = nullptr;
  bool all_known_ = false;  // entries() was called
  std::string path_;
  SourcePlace place_;
  Diagnostics* problems_;
  std::set<std::string, std::less<>> known_;    // asked for
  std::set<std::string, std::less<>> refused_;  // reported already
};

/// The reader of the top-level mapping; throws InputError unless `schema: <kind>/1` is the first
/// key.
MapReader open_document(YamlDocument& document, std::string_view kind);

}  // namespace widthwise
