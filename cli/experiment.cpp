#include "cli/experiment.hpp"

#include <filesystem>
#include <limits>
#include <system_error>

#include "models/config/yaml_reader.hpp"
#include "models/network/load_network.hpp"

namespace widthwise {

namespace {

/// A value as it stands after '=' in an override.
std::string override_text(const YamlNode& node) {
  if (!node.quoted) {
    return node.text;
  }
  std::string text = "'";
  for (const char c : node.text) {
    text += c == '\'' ? std::string("''") : std::string(1, c);
  }
  return text + '\'';
}

class ExperimentReader {
 public:
  ExperimentReader(YamlDocument& document, const std::string& file)
      : root_(open_document(document, "experiment")),
        folder_(std::filesystem::path(file).parent_path()) {}

  RunRequest read() {
    RunRequest request;
    std::string unused;
    root_.text("name", Need::optional, unused);
    root_.text("description", Need::optional, unused);
    request.accelerator = input_file("accelerator", Need::required);
    request.network = input_file("network", Need::required);
    request.bits = input_file("bits", Need::optional);
    request.fidelity = given(root_, "fidelity", Need::optional);
    if (std::int64_t batch = 0; root_.integer("batch", Need::optional, batch, {1, kMostBatch})) {
      request.batch = Given{std::to_string(batch), root_.place_of("batch"), "batch"};
    }
    if (bool ideal = false; root_.boolean("ideal_memory", Need::optional, ideal)) {
      request.ideal_memory = ideal;
    }
    root_.texts("ignore", Need::optional, request.ignore);
    read_parameters(request);
    MapReader overrides = root_.map("set", Need::optional);
    read_overrides(overrides, request.overrides);
    read_operands(request);
    MapReader outputs = root_.map("outputs", Need::optional);
    request.json = given(outputs, "json", Need::optional);
    request.csv = given(outputs, "csv", Need::optional);
    request.trace = given(outputs, "trace", Need::optional);
    request.vcd = given(outputs, "vcd", Need::optional);
    request.report = given(outputs, "report", Need::optional);
    outputs.finish();
    root_.take("search", Need::optional);  // search_experiment.cpp reads it
    root_.take("train", Need::optional);   // train_experiment.cpp reads it
    root_.finish();
    return request;
  }

 private:
  static std::optional<Given> given(MapReader& map, std::string_view key, Need need) {
    std::string text;
    if (!map.text(key, need, text)) {
      return std::nullopt;
    }
    return Given{text, map.place_of(key), map.path_of(key)};
  }

  std::optional<Given> input_file(std::string_view key, Need need) {
    auto file = given(root_, key, need);
    std::error_code ignored;
    if (file && std::filesystem::is_regular_file(folder_ / file->text, ignored)) {
      file->text = (folder_ / file->text).string();
    }
    return file;
  }

  void read_parameters(RunRequest& request) {
    MapReader parameters = root_.map("parameters", Need::optional);
    if (!parameters.given()) {
      return;
    }
    for (const YamlNode& entry : parameters.entries()) {
      const auto value = read_integer(
          entry, parameters.path_of(entry.key), parameters.problems(),
          {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()});
      if (value) {
        request.parameters.push_back(
            {entry.key + "=" + std::to_string(*value), entry.place, parameters.path_of(entry.key)});
      }
    }
  }

  void read_operands(RunRequest& request) {
    MapReader operands = root_.map("operands", Need::optional);
    request.weights = given(operands, "weights", Need::optional);
    if (std::int64_t seed = 0; operands.integer("seed", Need::optional, seed,
                                                {0, std::numeric_limits<std::int64_t>::max()})) {
      request.seed =
          Given{std::to_string(seed), operands.place_of("seed"), operands.path_of("seed")};
    }
    std::vector<std::string> names;
    if (operands.texts("unsigned", Need::optional, names)) {
      for (const std::string& name : names) {
        request.unsigned_operands.push_back(
            {name, operands.place_of("unsigned"), operands.path_of("unsigned")});
      }
    }
    operands.finish();
  }

  MapReader root_;
  std::filesystem::path folder_;
};

RunRequest read_document(YamlDocument document, const std::string& file) {
  RunRequest request = ExperimentReader(document, file).read();
  document.problems.throw_if_any();
  return request;
}

}  // namespace

std::optional<std::string> override_value(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::scalar) {
    return override_text(node);
  }
  if (node.kind != YamlNode::Kind::list) {
    return std::nullopt;
  }
  std::string list;
  for (const YamlNode& item : node.children) {
    if (item.kind != YamlNode::Kind::scalar) {
      return std::nullopt;
    }
    list += (list.empty() ? "" : ", ") + override_text(item);
  }
  return "[" + list + "]";
}

void read_overrides(MapReader& map, std::vector<std::string>& overrides) {
  if (!map.given()) {
    return;
  }
  for (const YamlNode& entry : map.entries()) {
    if (const auto value = override_value(entry)) {
      overrides.push_back(entry.key + "=" + *value);
    } else {
      map.problems().error(entry.place, map.path_of(entry.key),
                           "expected a value or a list of values, got " + describe(entry));
    }
  }
}

RunRequest read_experiment(const std::string& path) { return read_document(load_yaml(path), path); }

RunRequest parse_experiment(std::string_view text, const std::string& file) {
  return read_document(parse_yaml(text, file), file);
}

}  // namespace widthwise
