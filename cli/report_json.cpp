#include "cli/report_json.hpp"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/cost_words.hpp"
#include "cli/print_table.hpp"
#include "models/base/error.hpp"
#include "models/base/units.hpp"
#include "models/config/yaml_reader.hpp"
#include "models/hardware/accelerator_reader.hpp"

namespace widthwise {

namespace {

using Json = nlohmann::ordered_json;

/// JSON has no word for what is not finite, and a report has no use for it.
Json number(double value) {
  ensure(std::isfinite(value), "a figure of the report is not finite");
  return value;
}

/// A number where YAML reads a number, else text.
Json scalar(const YamlNode& node) {
  if (node.quoted) {
    return node.text;
  }
  if (node.text == "true" || node.text == "false") {
    return node.text == "true";
  }
  if (const auto integer = parse_integer(node.text)) {
    return *integer;
  }
  if (const auto real = parse_number(node.text)) {
    return number(*real);
  }
  return node.text;
}

Json tree(const YamlNode& node) {
  Json json;
  switch (node.kind) {
    case YamlNode::Kind::null:
      break;
    case YamlNode::Kind::scalar:
      json = scalar(node);
      break;
    case YamlNode::Kind::list:
      json = Json::array();
      for (const YamlNode& child : node.children) {
        json.push_back(tree(child));
      }
      break;
    case YamlNode::Kind::map:
      json = Json::object();
      for (const YamlNode& child : node.children) {
        json[child.key] = tree(child);
      }
      break;
  }
  return json;
}

Json accelerator_json(const CostReport& report) {
  YamlDocument document = parse_yaml("schema: accelerator/1", "report");
  for (const auto& [key, value] : report.resolved_accelerator) {
    apply_override(document, fmt::format("{}={}", key, value));
  }
  ensure(document.problems.empty(), "the accelerator's resolved keys do not read back");
  return tree(document.root);
}

Json cycles_json(const CycleBreakdown& cycles) {
  Json json;
  for (const CyclePart& part : kCycleParts) {
    json[std::string(part.key)] = (cycles.*part.cycles).count();
  }
  return json;
}

Json energy_json(const EnergyBreakdown& energy) {
  Json json;
  for (const EnergyPart& part : kEnergyParts) {
    json[std::string(part.key)] = number((energy.*part.energy).count());
  }
  return json;
}

/// null for a layer that is not on the engine.
Json tiling_json(const LayerCost& layer) {
  if (!layer.tile) {
    return nullptr;
  }
  const Tile& tile = *layer.tile;
  return {{"batch", tile.batch},
          {"out_h", tile.out_h},
          {"out_w", tile.out_w},
          {"out_channels", tile.out_channels},
          {"in_channels", tile.in_channels},
          {"groups", tile.groups},
          {"order", to_string(tile.order)},
          {"tiles", layer.tiles}};
}

/// null for a layer that is not on the engine.
Json optional_bits(const std::optional<BitWidth>& bits) {
  return bits ? Json(*bits) : Json(nullptr);
}

/// What was computed; null where nothing was.
Json numerics_json(const LayerCost& layer) {
  if (!layer.numerics) {
    return nullptr;
  }
  const LayerNumerics& numerics = *layer.numerics;
  return {{"outputs", numerics.outputs},
          {"wrong_outputs", numerics.wrong_outputs},
          {"overflows", numerics.overflows},
          {"least", numerics.least},
          {"greatest", numerics.greatest},
          {"weights", numerics.network_weights ? "network" : "random"}};
}

Json phases_json(const std::vector<std::pair<std::string, Cycles>>& phases) {
  Json json = Json::object();
  for (const auto& [name, cycles] : phases) {
    json[name] = cycles.count();
  }
  return json;
}

Json layer_json(const LayerCost& layer) {
  Json json{{"name", layer.name},
            {"kind", to_string(layer.kind)},
            {"macs", layer.macs},
            {"weight_bits", layer.widths.weight},
            {"activation_bits", layer.widths.activation},
            {"computed_weight_bits", layer.computed.weight},
            {"computed_activation_bits", layer.computed.activation},
            {"stored_input_bits", layer.stored_input},
            {"stored_output_bits", layer.stored_output},
            {"accumulator_bits", optional_bits(layer.accumulator_bits)},
            {"safe_accumulator_bits", optional_bits(layer.safe_accumulator_bits)},
            {"latency_cycles", layer.latency.count()},
            {"cycles", cycles_json(layer.cycles)},
            {"utilization", number(layer.utilization)},
            {"bottleneck", layer.bottleneck},
            {"dram_read_bytes", layer.activity.dram_read.count()},
            {"dram_write_bytes", layer.activity.dram_write.count()},
            {"bitops", number(layer.bitops)},
            {"parameter_bits", layer.parameter_bits},
            {"tiling", tiling_json(layer)},
            {"energy_pj", energy_json(layer.energy)},
            {"numerics", numerics_json(layer)},
            {"fused", layer.fused}};
  if (!layer.phases.empty()) {
    json["phases"] = phases_json(layer.phases);
  }
  return json;
}

Json area_json(const AreaEstimate& area) {
  return {{"array", number(area.array.count())},
          {"input_buffer", number(area.input_buffer.count())},
          {"weight_buffer", number(area.weight_buffer.count())},
          {"output_buffer", number(area.output_buffer.count())},
          {"scratchpad", number(area.scratchpad.count())},
          {"post", number(area.post.count())},
          {"total", number(area.total().count())}};
}

Json total_json(const CostReport& report) {
  Json json{{"latency_cycles", report.latency().count()},
            {"latency_s", number(seconds_at(report.latency(), report.clock).count())},
            {"cycles", cycles_json(report.cycles())},
            {"bottleneck", network_bottleneck(report).name},
            {"energy_pj", number(report.energy().total().count())},
            {"energy_by_component_pj", energy_json(report.energy())},
            {"edp_js", number(report.edp_js())},
            {"macs", report.macs()},
            {"bitops", number(report.bitops())},
            {"weight_bytes", report.parameter_bytes().count()},
            {"dram_read_bytes", report.dram_read().count()},
            {"dram_write_bytes", report.dram_write().count()},
            {"dram_bytes", (report.dram_read() + report.dram_write()).count()},
            {"frames_per_s", number(report.frames_per_second())},
            {"tops_per_w", number(report.tops_per_watt())},
            {"area_um2", area_json(report.area)}};
  if (const auto phases = report.phases(); !phases.empty()) {
    json["phases"] = phases_json(phases);
  }
  return json;
}

}  // namespace

std::string json_report(const CostReport& report) {
  Json layers = Json::array();
  for (const LayerCost& layer : report.layers) {
    layers.push_back(layer_json(layer));
  }
  const Json json{{"schema", "report/1"},
                  {"accelerator", accelerator_json(report)},
                  {"network", report.network},
                  {"assignment", report.assignment},
                  {"fidelity", to_string(report.fidelity)},
                  {"clock_hz", number(report.clock.count())},
                  {"batch", report.batch},
                  {"layers", std::move(layers)},
                  {"total", total_json(report)},
                  {"ignored", report.ignored},
                  {"leaves_out", report.leaves_out}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace widthwise
