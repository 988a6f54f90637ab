#include "cli/report_csv.hpp"

#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "models/base/units.hpp"
#include "models/hardware/accelerator_reader.hpp"

namespace widthwise {

namespace {

using Layer = LayerCost;
using CsvColumn = std::pair<std::string_view, std::string (*)(const Layer&)>;

std::string text(Cycles value) { return fmt::to_string(value.count()); }
std::string text(Bytes value) { return fmt::to_string(value.count()); }
std::string text(Picojoules value) { return format_number(value.count()); }
std::string text(double value) { return format_number(value); }
std::string text(int value) { return fmt::to_string(value); }
std::string text(std::int64_t value) { return fmt::to_string(value); }

std::string text(const std::optional<BitWidth>& value) {
  return value ? fmt::to_string(*value) : "";
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& one : texts) {
    all += (all.empty() ? "" : ";") + one;
  }
  return all;
}

/// "load=25;compute=136".
std::string phases_text(const Layer& layer) {
  std::vector<std::string> texts;
  for (const auto& [name, cycles] : layer.phases) {
    texts.push_back(name + "=" + text(cycles));
  }
  return joined(texts);
}

/// A member of the tile; empty for a layer that is not on the engine.
template <auto Member>
std::string tile_text(const Layer& layer) {
  return layer.tile ? fmt::to_string((*layer.tile).*Member) : "";
}

constexpr CsvColumn kColumns[] = {
    {"layer", [](const Layer& l) { return l.name; }},
    {"weight_bits", [](const Layer& l) { return text(l.widths.weight); }},
    {"activation_bits", [](const Layer& l) { return text(l.widths.activation); }},
    {"latency_cycles", [](const Layer& l) { return text(l.latency); }},
    {"energy_pj", [](const Layer& l) { return text(l.energy.total()); }},
    {"dram_bytes",
     [](const Layer& l) { return text(l.activity.dram_read + l.activity.dram_write); }},
    {"kind", [](const Layer& l) { return std::string(to_string(l.kind)); }},
    {"macs", [](const Layer& l) { return text(l.macs); }},
    {"bitops", [](const Layer& l) { return text(l.bitops); }},
    {"parameter_bits", [](const Layer& l) { return text(l.parameter_bits); }},
    {"computed_weight_bits", [](const Layer& l) { return text(l.computed.weight); }},
    {"computed_activation_bits", [](const Layer& l) { return text(l.computed.activation); }},
    {"stored_input_bits", [](const Layer& l) { return text(l.stored_input); }},
    {"stored_output_bits", [](const Layer& l) { return text(l.stored_output); }},
    {"busy_cycles", [](const Layer& l) { return text(l.cycles.busy); }},
    {"fill_cycles", [](const Layer& l) { return text(l.cycles.fill); }},
    {"drain_cycles", [](const Layer& l) { return text(l.cycles.drain); }},
    {"stall_input_cycles", [](const Layer& l) { return text(l.cycles.stall_input); }},
    {"stall_weight_cycles", [](const Layer& l) { return text(l.cycles.stall_weight); }},
    {"stall_output_cycles", [](const Layer& l) { return text(l.cycles.stall_output); }},
    {"post_cycles", [](const Layer& l) { return text(l.cycles.post); }},
    {"utilization", [](const Layer& l) { return text(l.utilization); }},
    {"bottleneck", [](const Layer& l) { return l.bottleneck; }},
    {"dram_read_bytes", [](const Layer& l) { return text(l.activity.dram_read); }},
    {"dram_write_bytes", [](const Layer& l) { return text(l.activity.dram_write); }},
    {"compute_pj", [](const Layer& l) { return text(l.energy.compute); }},
    {"array_pj", [](const Layer& l) { return text(l.energy.array); }},
    {"input_buffer_pj", [](const Layer& l) { return text(l.energy.input_buffer); }},
    {"weight_buffer_pj", [](const Layer& l) { return text(l.energy.weight_buffer); }},
    {"output_buffer_pj", [](const Layer& l) { return text(l.energy.output_buffer); }},
    {"scratchpad_pj", [](const Layer& l) { return text(l.energy.scratchpad); }},
    {"dram_pj", [](const Layer& l) { return text(l.energy.dram); }},
    {"post_pj", [](const Layer& l) { return text(l.energy.post); }},
    {"leakage_pj", [](const Layer& l) { return text(l.energy.leakage); }},
    {"tile_batch", tile_text<&Tile::batch>},
    {"tile_out_h", tile_text<&Tile::out_h>},
    {"tile_out_w", tile_text<&Tile::out_w>},
    {"tile_out_channels", tile_text<&Tile::out_channels>},
    {"tile_in_channels", tile_text<&Tile::in_channels>},
    {"tile_groups", tile_text<&Tile::groups>},
    {"tile_order",
     [](const Layer& l) { return l.tile ? std::string(to_string(l.tile->order)) : ""; }},
    {"tiles", [](const Layer& l) { return text(l.tiles); }},
    {"accumulator_bits", [](const Layer& l) { return text(l.accumulator_bits); }},
    {"safe_accumulator_bits", [](const Layer& l) { return text(l.safe_accumulator_bits); }},
    {"wrong_outputs",
     [](const Layer& l) { return l.numerics ? text(l.numerics->wrong_outputs) : ""; }},
    {"overflows", [](const Layer& l) { return l.numerics ? text(l.numerics->overflows) : ""; }},
    {"fused", [](const Layer& l) { return joined(l.fused); }},
    {"phases", phases_text},
};

}  // namespace

std::string csv_field(const std::string& value) {
  if (value.find_first_of(",\"\r\n") == std::string::npos) {
    return value;
  }
  std::string quoted = "\"";
  for (const char c : value) {
    quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  }
  return quoted + '"';
}

std::string csv_report(const CostReport& report) {
  std::string csv;
  const auto end_line = [&] { csv.back() = '\n'; };
  for (const CsvColumn& column : kColumns) {
    csv += std::string(column.first) + ',';
  }
  end_line();
  for (const LayerCost& layer : report.layers) {
    for (const CsvColumn& column : kColumns) {
      csv += csv_field(column.second(layer)) + ',';
    }
    end_line();
  }
  return csv;
}

}  // namespace widthwise
