#include "cli/table_json.hpp"

#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

using Json = nlohmann::ordered_json;

/// The unit in a metric's name.
std::string_view unit_of(std::string_view metric) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kUnits{
      {{"_cycles", "cycles"},
       {"_pj", "pJ"},
       {"_bytes", "B"},
       {"_ms", "ms"},
       {"_us", "us"},
       {"_s", "s"}}};
  for (const auto& [suffix, unit] : kUnits) {
    if (metric.ends_with(suffix)) {
      return unit;
    }
  }
  return "1";
}

Json number(double value) {
  ensure(std::isfinite(value), "a figure of the table is not finite");
  if (value == std::floor(value) && std::abs(value) < 9e15) {
    return static_cast<std::int64_t>(value);
  }
  return value;
}

Json places(const AxisValues& at, const std::vector<Axis>& axes) {
  Json json = Json::object();
  for (const Axis axis : axes) {
    json[std::string(to_string(axis))] = number(at[index_of(axis)]);
  }
  return json;
}

}  // namespace

std::string table_json(const MadeTable& made) {
  const CostTable& table = made.table;
  Json json;
  json["schema"] = "table/1";
  for (const auto& [key, value] : table.provenance) {
    json["provenance"][key] = value;
  }
  json["axes"] = Json::array();
  for (const Axis axis : table.axes) {
    json["axes"].push_back(to_string(axis));
  }
  json["metrics"] = Json::array();
  for (const std::string& metric : table.metrics) {
    json["metrics"].push_back({{"name", metric}, {"unit", unit_of(metric)}});
  }
  json["layers"] = Json::array();
  for (std::size_t i = 0; i < table.layers.size(); ++i) {
    json["layers"].push_back({{"name", table.layers[i]}, {"kind", table.kinds[i]}});
  }
  json["rows"] = Json::array();
  for (const TableRow& row : table.rows) {
    Json line = Json::object();
    line["layer"] = table.layers[row.layer];
    line.update(places(row.at, table.axes));
    for (std::size_t i = 0; i < table.metrics.size(); ++i) {
      line[table.metrics[i]] = number(row.values[i]);
    }
    json["rows"].push_back(std::move(line));
  }
  json["failures"] = Json::array();
  for (const FailedPoint& failure : made.failures) {
    Json line = {{"layer", failure.layer}};
    line.update(places(failure.at, table.axes));
    line["reason"] = failure.reason;
    json["failures"].push_back(std::move(line));
  }
  return json.dump(1) + '\n';
}

}  // namespace widthwise
