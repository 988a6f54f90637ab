#include "train/result.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/base/read_file.hpp"

namespace widthwise {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kSchema = "training/1";
constexpr std::size_t kMostMebibytes = 256;
constexpr double kMost = std::numeric_limits<double>::max();

/// A figure that a reader of JSON gets back; JSON has no others.
double finite(double value, std::string_view what) {
  ensure(std::isfinite(value), fmt::format("a training's {} is a number", what));
  return value;
}

Json named(const std::vector<std::string>& names, const std::vector<double>& values,
           std::string_view what) {
  ensure(names.size() == values.size(), fmt::format("a training's {} have names", what));
  Json json = Json::object();
  for (std::size_t i = 0; i < names.size(); ++i) {
    ensure(!json.contains(names[i]), fmt::format("a training's {} have different names", what));
    json[names[i]] = finite(values[i], what);
  }
  return json;
}

std::vector<std::string> metrics_of(const std::vector<ReachedTarget>& targets) {
  std::vector<std::string> names;
  for (const ReachedTarget& target : targets) {
    names.push_back(target.metric);
  }
  return names;
}

Json json_of(const EpochRecord& record, const std::vector<std::string>& targets) {
  return {{"epoch", record.epoch},
          {"train_loss", finite(record.train_loss, "loss")},
          {"train_accuracy", finite(record.train_accuracy, "accuracy")},
          {"test_accuracy", finite(record.test_accuracy, "accuracy")},
          {"costs", named(targets, record.costs, "costs of an epoch")},
          {"mean_weight_bits", finite(record.mean_weight_bits, "widths")},
          {"mean_activation_bits", finite(record.mean_activation_bits, "widths")},
          {"learning_rate", finite(record.learning_rate, "learning rate")},
          {"time_s", finite(record.seconds, "time")},
          {"frozen", record.frozen}};
}

Json json_of(const TrainedLayer& layer) {
  return {{"name", layer.name},
          {"kind", layer.kind},
          {"macs", layer.macs},
          {"weights", layer.weights},
          {"weight_bits", layer.weight_bits},
          {"activation_bits", layer.activation_bits},
          {"sensitivity", finite(layer.sensitivity, "sensitivities")}};
}

Json json_of(const ReachedTarget& target) {
  return {{"metric", target.metric},
          {"target", finite(target.target, "targets")},
          {"simulated", finite(target.simulated, "targets")},
          {"least", finite(target.least, "targets")},
          {"greatest", finite(target.greatest, "targets")}};
}

Json json_of(const std::vector<double>& values, std::string_view what) {
  Json json = Json::array();
  for (const double value : values) {
    json.push_back(finite(value, what));
  }
  return json;
}

/// Per number of planes.
Json per_plane(const PlaneReport& report, const std::vector<double>& values,
               std::string_view what) {
  ensure(values.size() == report.planes.size(),
         fmt::format("there is one of a training's {} per number of planes", what));
  return json_of(values, what);
}

Json json_of(const PlaneReport& report) {
  Json json{{"planes", report.planes},
            {"activation_bits", report.activation_bits},
            {"test_images", report.test_images},
            {"calibration_images", report.calibration_images},
            {"accuracy_float", finite(report.accuracy_float, "accuracy")},
            {"accuracy_int8", finite(report.accuracy_int8, "accuracy")},
            {"accuracies", per_plane(report, report.accuracies, "accuracies")},
            {"max_loss", finite(report.max_loss, "greatest loss")},
            {"assigned",
             {{"accuracy", finite(report.assigned_accuracy, "accuracy")},
              {"calibration_lost", finite(report.assigned_lost, "losses")},
              {"loss_limit", finite(report.loss_limit, "losses")},
              {"least_planes", report.least_planes},
              {"rounds", report.rounds}}},
            {"machines", Json::array()},
            {"layers", Json::array()}};
  for (const PlaneMachine& machine : report.machines) {
    ensure(machine.measured || machine.weight_bits.size() == report.planes.size(),
           "there is a width per number of planes");
    json["machines"].push_back({{"name", machine.name},
                                {"measured", machine.measured},
                                {"clock_hz", finite(machine.clock_hz, "clock")},
                                {"weight_bits", machine.weight_bits},
                                {"eight_bit_s", finite(machine.eight_bit_s, "time")},
                                {"latency_s", per_plane(report, machine.seconds, "times")},
                                {"assigned_s", finite(machine.assigned_s, "time")}});
  }
  for (const PlaneLayerResult& layer : report.layers) {
    json["layers"].push_back(
        {{"name", layer.name},
         {"planes", layer.planes},
         {"lost", per_plane(report, layer.lost, "losses")},
         {"latency_cycles", per_plane(report, layer.latency_cycles, "cycles")}});
  }
  return json;
}

/// The place of the byte that is counted from 1.
SourcePlace place_in(const std::string& path, const std::string& text, std::size_t byte) {
  SourcePlace place{path};
  const std::string before = text.substr(0, std::min(byte > 0 ? byte - 1 : 0, text.size()));
  place.line = 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n'));
  const std::size_t begin = before.rfind('\n');
  place.column = static_cast<int>(before.size() - (begin == std::string::npos ? 0 : begin + 1)) + 1;
  return place;
}

/// Takes typed values out of one object; a mistake is at the file, with the path of its key.
class ObjectReader {
 public:
  ObjectReader(const Json& json, std::string path, const std::string& file, Diagnostics& problems)
      : json_(json), path_(std::move(path)), file_(file), problems_(problems) {
    if (!json.is_object()) {
      problems_.error({file_}, path_, fmt::format("expected an object, got {}", json.type_name()));
    }
  }

  [[nodiscard]] std::string path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  }

  void error(std::string_view key, const std::string& message) {
    problems_.error({file_}, path_of(key), message);
  }

  /// Null after a mistake; an object without its keys misses none.
  const Json* take(std::string_view key) {
    if (!json_.is_object()) {
      return nullptr;
    }
    const auto found = json_.find(key);
    if (found == json_.end()) {
      error(key, "is missing");
      return nullptr;
    }
    return &*found;
  }

  void text(std::string_view key, std::string& target) {
    if (const Json* value = take(key)) {
      if (value->is_string()) {
        target = value->get<std::string>();
      } else {
        expected(key, "text", *value);
      }
    }
  }

  void boolean(std::string_view key, bool& target) {
    if (const Json* value = take(key)) {
      if (value->is_boolean()) {
        target = value->get<bool>();
      } else {
        expected(key, "true or false", *value);
      }
    }
  }

  void number(std::string_view key, double& target, double least = -kMost, double most = kMost) {
    if (const Json* value = take(key)) {
      number_at(*value, key, target, least, most);
    }
  }

  void integer(std::string_view key, std::int64_t& target) {
    if (const Json* value = take(key)) {
      integer_at(*value, key, target, std::numeric_limits<std::int64_t>::max());
    }
  }

  void width(std::string_view key, BitWidth& target) {
    if (const Json* value = take(key)) {
      width_at(*value, key, target);
    }
  }

  void widths(std::string_view key, std::vector<BitWidth>& target) {
    for (const Json& value : list(key)) {
      width_at(value, key, target.emplace_back());
    }
  }

  /// The values of an object whose keys are these names in their order.
  void values(std::string_view key, const std::vector<std::string>& names,
              std::vector<double>& target) {
    const Json* object = take(key);
    if (object == nullptr) {
      return;
    }
    if (!object->is_object()) {
      expected(key, "an object", *object);
      return;
    }
    std::size_t i = 0;
    for (const auto& [name, value] : object->items()) {
      if (i >= names.size() || name != names[i]) {
        error(key, fmt::format("expected the metrics {}", fmt::join(names, ", ")));
        return;
      }
      number_at(value, fmt::format("{}.{}", key, name), target.emplace_back(), -kMost, kMost);
      ++i;
    }
    if (i != names.size()) {
      error(key, fmt::format("expected the metrics {}", fmt::join(names, ", ")));
    }
  }

  void numbers(std::string_view key, std::vector<double>& target, double least = -kMost,
               double most = kMost) {
    for (const Json& value : list(key)) {
      number_at(value, key, target.emplace_back(), least, most);
    }
  }

  /// As numbers(), of which there are `count`.
  void numbers(std::string_view key, std::size_t count, std::vector<double>& target,
               double least = -kMost, double most = kMost) {
    numbers(key, target, least, most);
    if (target.size() != count && take(key) != nullptr) {
      error(key, fmt::format("expected {} numbers, got {}", count, target.size()));
    }
  }

  [[nodiscard]] bool has(std::string_view key) const {
    return json_.is_object() && json_.contains(key);
  }

  /// `read(reader)` for an object.
  template <class Read>
  void object(std::string_view key, Read read) {
    if (const Json* value = take(key)) {
      ObjectReader reader(*value, path_of(key), file_, problems_);
      read(reader);
    }
  }

  /// The names of an object's keys.
  std::vector<std::string> names(std::string_view key) {
    std::vector<std::string> found;
    if (const Json* object = take(key); object != nullptr && object->is_object()) {
      for (const auto& [name, value] : object->items()) {
        found.push_back(name);
      }
    }
    return found;
  }

  /// `read(reader, row)` for every object of a list.
  template <class Row, class Read>
  void rows(std::string_view key, std::vector<Row>& target, Read read) {
    std::size_t index = 0;
    for (const Json& value : list(key)) {
      ObjectReader row(value, fmt::format("{}[{}]", path_of(key), index++), file_, problems_);
      read(row, target.emplace_back());
    }
  }

 private:
  void expected(std::string_view key, std::string_view what, const Json& got) {
    error(key, fmt::format("expected {}, got {}", what, got.type_name()));
  }

  const Json& list(std::string_view key) {
    static const Json none = Json::array();
    const Json* value = take(key);
    if (value == nullptr) {
      return none;
    }
    if (!value->is_array()) {
      expected(key, "a list", *value);
      return none;
    }
    return *value;
  }

  void number_at(const Json& value, std::string_view key, double& target, double least,
                 double most) {
    if (!value.is_number()) {
      expected(key, "a number", value);
      return;
    }
    const auto number = value.get<double>();
    if (!(number >= least && number <= most)) {
      error(key, std::isfinite(number)
                     ? fmt::format("expected a number of {}..{}, got {}", least, most, number)
                     : std::string("expected a finite number"));
      return;
    }
    target = number;
  }

  void integer_at(const Json& value, std::string_view key, std::int64_t& target,
                  std::int64_t most) {
    // Numbers of 2^63 and more are read as unsigned, negative ones as signed.
    const bool fits = value.is_number_integer() &&
                      (value.is_number_unsigned()
                           ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most)
                           : value.get<std::int64_t>() >= 0 && value.get<std::int64_t>() <= most);
    if (!fits) {
      error(key, fmt::format("expected a whole number of 0..{}, got {}", most, value.dump()));
      return;
    }
    target = value.get<std::int64_t>();
  }

  void width_at(const Json& value, std::string_view key, BitWidth& target) {
    std::int64_t width = 0;
    integer_at(value, key, width, 32);
    target = static_cast<BitWidth>(width);
  }

  const Json& json_;
  std::string path_;
  const std::string& file_;
  Diagnostics& problems_;
};

PlaneReport read_planes(ObjectReader& json) {
  PlaneReport report;
  json.widths("planes", report.planes);
  json.width("activation_bits", report.activation_bits);
  json.integer("test_images", report.test_images);
  json.integer("calibration_images", report.calibration_images);
  json.number("accuracy_float", report.accuracy_float, 0, 1);
  json.number("accuracy_int8", report.accuracy_int8, 0, 1);
  const std::size_t count = report.planes.size();
  json.numbers("accuracies", count, report.accuracies, 0, 1);
  json.number("max_loss", report.max_loss);
  json.object("assigned", [&](ObjectReader& assigned) {
    assigned.number("accuracy", report.assigned_accuracy, 0, 1);
    assigned.number("calibration_lost", report.assigned_lost);
    assigned.number("loss_limit", report.loss_limit);
    assigned.width("least_planes", report.least_planes);
    assigned.integer("rounds", report.rounds);
  });
  json.rows("machines", report.machines, [&](ObjectReader& row, PlaneMachine& machine) {
    row.text("name", machine.name);
    row.boolean("measured", machine.measured);
    row.number("clock_hz", machine.clock_hz, 0);
    row.widths("weight_bits", machine.weight_bits);
    row.number("eight_bit_s", machine.eight_bit_s, 0);
    row.numbers("latency_s", count, machine.seconds, 0);
    row.number("assigned_s", machine.assigned_s, 0);
  });
  json.rows("layers", report.layers, [&](ObjectReader& row, PlaneLayerResult& layer) {
    row.text("name", layer.name);
    row.width("planes", layer.planes);
    row.numbers("lost", count, layer.lost);
    row.numbers("latency_cycles", count, layer.latency_cycles, 0);
  });
  return report;
}

TrainResult read_json(const Json& json, const std::string& file, Diagnostics& problems) {
  TrainResult result;
  ObjectReader root(json, "", file, problems);
  std::string schema;
  root.text("schema", schema);
  if (!problems.empty() || schema != kSchema) {
    root.error("schema", fmt::format("expected '{}', got '{}'", kSchema, schema));
    return result;
  }
  root.text("method", result.method);
  root.text("label", result.label);
  root.text("network", result.network);
  root.text("accelerator", result.accelerator);
  root.text("data", result.data);
  root.text("widths", result.widths);
  root.integer("seed", result.seed);
  root.integer("epochs", result.epochs);
  root.integer("images", result.images);
  root.integer("test_images", result.test_images);
  root.integer("batch", result.batch);
  root.number("accuracy", result.accuracy, 0, 1);
  root.number("accuracy_float", result.accuracy_float, 0, 1);
  root.rows("targets", result.targets, [](ObjectReader& row, ReachedTarget& target) {
    row.text("metric", target.metric);
    row.number("target", target.target);
    row.number("simulated", target.simulated);
    row.number("least", target.least);
    row.number("greatest", target.greatest);
  });
  result.metrics = root.names("totals");
  root.values("totals", result.metrics, result.totals);
  root.number("parameter_bits", result.parameter_bits, 0);
  root.number("float_parameter_bits", result.float_parameter_bits, 0);
  root.rows("layers", result.layers, [](ObjectReader& row, TrainedLayer& layer) {
    row.text("name", layer.name);
    row.text("kind", layer.kind);
    row.integer("macs", layer.macs);
    row.integer("weights", layer.weights);
    row.widths("weight_bits", layer.weight_bits);
    row.width("activation_bits", layer.activation_bits);
    row.number("sensitivity", layer.sensitivity);
  });
  root.rows("layer_costs", result.layer_costs, [&](ObjectReader& row, LayerCostRow& layer) {
    row.text("name", layer.name);
    row.text("kind", layer.kind);
    row.values("costs", result.metrics, layer.values);
  });
  const std::vector<std::string> targets = metrics_of(result.targets);
  root.rows("history", result.history, [&](ObjectReader& row, EpochRecord& record) {
    row.integer("epoch", record.epoch);
    row.number("train_loss", record.train_loss);
    row.number("train_accuracy", record.train_accuracy, 0, 1);
    row.number("test_accuracy", record.test_accuracy, 0, 1);
    row.values("costs", targets, record.costs);
    row.number("mean_weight_bits", record.mean_weight_bits, 0);
    row.number("mean_activation_bits", record.mean_activation_bits, 0);
    row.number("learning_rate", record.learning_rate, 0);
    row.number("time_s", record.seconds, 0);
    row.boolean("frozen", record.frozen);
  });
  if (root.has("planes")) {
    root.object("planes", [&](ObjectReader& planes) { result.planes = read_planes(planes); });
  }
  root.number("train_s", result.train_seconds, 0);
  root.number("images_per_s", result.images_per_s, 0);
  root.text("key", result.key);
  root.text("version", result.version);
  return result;
}

}  // namespace

std::string result_json(const TrainResult& result) {
  Json json;
  json["schema"] = kSchema;
  json["method"] = result.method;
  json["label"] = result.label;
  json["network"] = result.network;
  json["accelerator"] = result.accelerator;
  json["data"] = result.data;
  json["widths"] = result.widths;
  json["seed"] = result.seed;
  json["epochs"] = result.epochs;
  json["images"] = result.images;
  json["test_images"] = result.test_images;
  json["batch"] = result.batch;
  json["accuracy"] = finite(result.accuracy, "accuracy");
  json["accuracy_float"] = finite(result.accuracy_float, "accuracy");
  json["targets"] = Json::array();
  for (const ReachedTarget& target : result.targets) {
    json["targets"].push_back(json_of(target));
  }
  json["totals"] = named(result.metrics, result.totals, "totals");
  json["parameter_bits"] = finite(result.parameter_bits, "parameter bits");
  json["float_parameter_bits"] = finite(result.float_parameter_bits, "parameter bits");
  json["layers"] = Json::array();
  for (const TrainedLayer& layer : result.layers) {
    json["layers"].push_back(json_of(layer));
  }
  json["layer_costs"] = Json::array();
  for (const LayerCostRow& layer : result.layer_costs) {
    json["layer_costs"].push_back({{"name", layer.name},
                                   {"kind", layer.kind},
                                   {"costs", named(result.metrics, layer.values, "layer costs")}});
  }
  json["history"] = Json::array();
  const std::vector<std::string> targets = metrics_of(result.targets);
  for (const EpochRecord& record : result.history) {
    json["history"].push_back(json_of(record, targets));
  }
  if (result.planes) {
    json["planes"] = json_of(*result.planes);
  }
  json["train_s"] = finite(result.train_seconds, "time");
  json["images_per_s"] = finite(result.images_per_s, "speed");
  json["key"] = result.key;
  json["version"] = result.version;
  // Names of layers may hold bytes that are no UTF-8.
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

TrainResult read_result(const std::string& path) {
  const std::string text = read_file(path, kMostMebibytes);
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw InputError(place_in(path, text, error.byte), "", "is no JSON (cut short?)");
  } catch (const Json::exception& error) {
    throw InputError({path}, "", fmt::format("is no JSON that can be read: {}", error.what()));
  }
  Diagnostics problems;
  TrainResult result = read_json(json, path, problems);
  problems.throw_if_any();
  return result;
}

}  // namespace widthwise
