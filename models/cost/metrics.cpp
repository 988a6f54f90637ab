#include "models/cost/metrics.hpp"

#include <string_view>
#include <utility>

namespace widthwise {

namespace {

using Figure = std::pair<std::string_view, double (*)(const LayerCost&, Hertz)>;

template <class T>
double number(T value) {
  return static_cast<double>(value.count());
}

constexpr Figure kFigures[] = {
    {"latency_cycles", [](const LayerCost& l, Hertz) { return number(l.latency); }},
    {"latency_s",
     [](const LayerCost& l, Hertz clock) { return number(seconds_at(l.latency, clock)); }},
    {"energy_pj", [](const LayerCost& l, Hertz) { return number(l.energy.total()); }},
    {"dram_bytes", [](const LayerCost& l,
                      Hertz) { return number(l.activity.dram_read + l.activity.dram_write); }},
    {"bitops", [](const LayerCost& l, Hertz) { return l.bitops; }},
    {"weight_bytes",
     [](const LayerCost& l, Hertz) { return static_cast<double>(l.parameter_bits) / 8; }},
    {"macs", [](const LayerCost& l, Hertz) { return static_cast<double>(l.macs); }},
    {"busy_cycles", [](const LayerCost& l, Hertz) { return number(l.cycles.busy); }},
    {"fill_cycles", [](const LayerCost& l, Hertz) { return number(l.cycles.fill); }},
    {"drain_cycles", [](const LayerCost& l, Hertz) { return number(l.cycles.drain); }},
    {"stall_input_cycles", [](const LayerCost& l, Hertz) { return number(l.cycles.stall_input); }},
    {"stall_weight_cycles",
     [](const LayerCost& l, Hertz) { return number(l.cycles.stall_weight); }},
    {"stall_output_cycles",
     [](const LayerCost& l, Hertz) { return number(l.cycles.stall_output); }},
    {"post_cycles", [](const LayerCost& l, Hertz) { return number(l.cycles.post); }},
    {"dram_read_bytes", [](const LayerCost& l, Hertz) { return number(l.activity.dram_read); }},
    {"dram_write_bytes", [](const LayerCost& l, Hertz) { return number(l.activity.dram_write); }},
    {"compute_pj", [](const LayerCost& l, Hertz) { return number(l.energy.compute); }},
    {"array_pj", [](const LayerCost& l, Hertz) { return number(l.energy.array); }},
    {"input_buffer_pj", [](const LayerCost& l, Hertz) { return number(l.energy.input_buffer); }},
    {"weight_buffer_pj", [](const LayerCost& l, Hertz) { return number(l.energy.weight_buffer); }},
    {"output_buffer_pj", [](const LayerCost& l, Hertz) { return number(l.energy.output_buffer); }},
    {"scratchpad_pj", [](const LayerCost& l, Hertz) { return number(l.energy.scratchpad); }},
    {"dram_pj", [](const LayerCost& l, Hertz) { return number(l.energy.dram); }},
    {"post_pj", [](const LayerCost& l, Hertz) { return number(l.energy.post); }},
    {"leakage_pj", [](const LayerCost& l, Hertz) { return number(l.energy.leakage); }},
};

}  // namespace

const std::vector<std::string>& machine_metrics() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Figure& figure : kFigures) all.emplace_back(figure.first);
    return all;
  }();
  return names;
}

std::vector<double> metric_values(const LayerCost& cost, Hertz clock) {
  std::vector<double> values;
  values.reserve(std::size(kFigures));
  for (const Figure& figure : kFigures) values.push_back(figure.second(cost, clock));
  return values;
}

}  // namespace widthwise
