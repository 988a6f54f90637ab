#include "models/network/assignment_reader.hpp"

#include <algorithm>

#include "models/base/units.hpp"
#include "models/config/yaml_reader.hpp"

namespace widthwise {

namespace {

constexpr Range<int> kWidths{kMinOperandWidth, kMaxOperandWidth};
constexpr Range<int> kAccumulatorWidths{kMinAccumulatorWidth, kMaxAccumulatorWidth};

struct Widths {
  std::optional<BitWidth> weight;
  std::optional<BitWidth> activation;
  std::optional<BitWidth> accumulator = std::nullopt;
};

/// "w4a8"; nothing if the text has another form or a width is out of range.
std::optional<Widths> parse_short_form(std::string_view text) {
  const std::size_t a = text.find('a');
  if (!text.starts_with('w') || a == std::string_view::npos) {
    return std::nullopt;
  }
  const auto weight = parse_integer(text.substr(1, a - 1));
  const auto activation = parse_integer(text.substr(a + 1));
  const auto in_range = [](std::optional<std::int64_t> bits) {
    return bits && *bits >= kWidths.min && *bits <= kWidths.max;
  };
  if (!in_range(weight) || !in_range(activation)) {
    return std::nullopt;
  }
  return Widths{static_cast<BitWidth>(*weight), static_cast<BitWidth>(*activation)};
}

/// `need`: of both widths in the form of a mapping.
Widths read_widths(const YamlNode& node, const std::string& path, Need need,
                   Diagnostics& problems) {
  if (node.kind != YamlNode::Kind::map) {
    const auto widths =
        node.kind == YamlNode::Kind::scalar ? parse_short_form(node.text) : std::nullopt;
    if (!widths) {
      problems.error(node.place, path,
                     "expected widths of 1..16 such as w4a8 or {weight_bits: 4, "
                     "activation_bits: 8}, got " +
                         describe(node));
    }
    return widths.value_or(Widths{});
  }
  MapReader reader(node, path, problems);
  Widths widths;
  BitWidth bits = 0;
  if (reader.integer("weight_bits", need, bits, kWidths)) {
    widths.weight = bits;
  }
  if (reader.integer("activation_bits", need, bits, kWidths)) {
    widths.activation = bits;
  }
  if (reader.integer("accumulator_bits", Need::optional, bits, kAccumulatorWidths)) {
    widths.accumulator = bits;
  }
  if (node.children.empty() && need == Need::optional) {
    problems.error(node.place, path, "expected weight_bits, activation_bits or accumulator_bits");
  }
  reader.finish();
  return widths;
}

Assignment read(YamlDocument document) {
  Assignment assignment;
  MapReader root = open_document(document, "assignment");
  root.text("name", Need::required, assignment.name);
  if (const YamlNode* node = root.take("default", Need::required)) {
    const Widths widths = read_widths(*node, "default", Need::required, root.problems());
    assignment.defaults.weight = widths.weight.value_or(assignment.defaults.weight);
    assignment.defaults.activation = widths.activation.value_or(assignment.defaults.activation);
    assignment.accumulator = widths.accumulator;
  }
  root.integer("output_bits", Need::optional, assignment.output_bits, kWidths);
  MapReader layers = root.map("layers", Need::optional);
  for (const YamlNode& entry : layers.entries()) {
    const Widths widths =
        read_widths(entry, layers.path_of(entry.key), Need::optional, layers.problems());
    assignment.rules.push_back(
        {entry.key, widths.weight, widths.activation, entry.place, widths.accumulator});
  }
  root.finish();
  document.problems.throw_if_any();
  return assignment;
}

}  // namespace

Assignment read_assignment(const std::string& path) { return read(load_yaml(path)); }

Assignment parse_assignment(std::string_view text, const std::string& file) {
  return read(parse_yaml(text, file));
}

}  // namespace widthwise
