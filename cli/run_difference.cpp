#include "cli/run_difference.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "cli/cost_words.hpp"
#include "models/base/units.hpp"
#include "models/hardware/accelerator_reader.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// Per layer of `of` its partner in `in`; kNone for one that `in` does not have.
std::vector<std::size_t> partners(const std::vector<LayerCost>& of,
                                  const std::vector<LayerCost>& in) {
  std::map<std::string, std::vector<std::size_t>> places;
  for (std::size_t i = 0; i < in.size(); ++i) {
    places[in[i].name].push_back(i);
  }
  std::map<std::string, std::size_t> taken;
  std::vector<std::size_t> found;
  for (const LayerCost& layer : of) {
    const auto& same = places[layer.name];
    const std::size_t place = taken[layer.name]++;
    found.push_back(place < same.size() ? same[place] : kNone);
  }
  return found;
}

template <class Parts, class Breakdown>
Breakdown minus(const Parts& parts, const Breakdown& b, const Breakdown& a) {
  Breakdown change = b;
  for (const auto& part : parts) {
    if constexpr (requires { part.cycles; }) {
      change.*part.cycles -= a.*part.cycles;
    } else {
      change.*part.energy -= a.*part.energy;
    }
  }
  return change;
}

std::string bits_text(const std::optional<BitWidth>& bits) {
  return bits ? fmt::to_string(*bits) : "";
}

/// Adds the key if its values differ.
void compare(std::vector<ValueChange>& changes, std::string key, std::string a, std::string b) {
  if (a != b) {
    changes.push_back({std::move(key), std::move(a), std::move(b)});
  }
}

std::vector<ValueChange> causes(const LayerCost& a, const LayerCost& b) {
  std::vector<ValueChange> changes;
  compare(changes, "kind", std::string(to_string(a.kind)), std::string(to_string(b.kind)));
  compare(changes, "macs", fmt::to_string(a.macs), fmt::to_string(b.macs));
  compare(changes, "widths", widths_text(a.widths), widths_text(b.widths));
  compare(changes, "computed", widths_text(a.computed), widths_text(b.computed));
  compare(changes, "stored_input_bits", fmt::to_string(a.stored_input),
          fmt::to_string(b.stored_input));
  compare(changes, "stored_output_bits", fmt::to_string(a.stored_output),
          fmt::to_string(b.stored_output));
  compare(changes, "accumulator_bits", bits_text(a.accumulator_bits),
          bits_text(b.accumulator_bits));
  compare(changes, "tile", a.tile ? tile_text(*a.tile) : "", b.tile ? tile_text(*b.tile) : "");
  return changes;
}

LayerChange change_of(const LayerCost* a, const LayerCost* b, Hertz clock_a, Hertz clock_b) {
  static const LayerCost nothing;
  const LayerCost& from = a != nullptr ? *a : nothing;
  const LayerCost& to = b != nullptr ? *b : nothing;
  const auto traffic = [](const LayerCost& layer) {
    return (layer.activity.dram_read + layer.activity.dram_write).count();
  };
  LayerChange change;
  change.a = a;
  change.b = b;
  change.cycles = minus(kCycleParts, to.cycles, from.cycles);
  change.energy = minus(kEnergyParts, to.energy, from.energy);
  change.seconds =
      seconds_at(to.latency, clock_b).count() - seconds_at(from.latency, clock_a).count();
  change.dram_bytes = traffic(to) - traffic(from);
  if (a != nullptr && b != nullptr) {
    change.causes = causes(*a, *b);
  }
  return change;
}

std::string list_of(const std::vector<std::string>& items) {
  return fmt::format("[{}]", fmt::join(items, ", "));
}

std::vector<ValueChange> setting_changes(const CostReport& a, const CostReport& b) {
  std::vector<ValueChange> changes;
  compare(changes, "network", a.network, b.network);
  compare(changes, "assignment", a.assignment, b.assignment);
  compare(changes, "fidelity", std::string(to_string(a.fidelity)),
          std::string(to_string(b.fidelity)));
  compare(changes, "batch", fmt::to_string(a.batch), fmt::to_string(b.batch));
  compare(changes, "clock", format_quantity(a.clock, kFrequency),
          format_quantity(b.clock, kFrequency));
  compare(changes, "ignored", list_of(a.ignored), list_of(b.ignored));
  // A run without limits of memory adds to what its accelerator leaves out.
  compare(changes, "leaves_out", list_of(a.leaves_out), list_of(b.leaves_out));
  return changes;
}

/// Keys that setting_changes() compares.
bool is_setting(std::string_view key) { return key == "clock" || key == "leaves_out"; }

/// Keys of a, then those of b alone.
std::vector<ValueChange> accelerator_changes(const CostReport& a, const CostReport& b) {
  const auto values = [](const CostReport& report) {
    std::map<std::string, std::string> by_key;
    for (const auto& [key, value] : report.resolved_accelerator) {
      by_key.emplace(key, value);
    }
    return by_key;
  };
  const auto in_a = values(a);
  const auto in_b = values(b);
  std::vector<ValueChange> changes;
  for (const auto& [key, value] : a.resolved_accelerator) {
    const auto other = in_b.find(key);
    if (is_setting(key)) {
      continue;
    }
    if (other == in_b.end()) {
      changes.push_back({key, value, std::nullopt});
    } else {
      compare(changes, key, value, other->second);
    }
  }
  for (const auto& [key, value] : b.resolved_accelerator) {
    if (!in_a.contains(key) && !is_setting(key)) {
      changes.push_back({key, std::nullopt, value});
    }
  }
  return changes;
}

/// What a report states of a layer besides what causes() compares.
bool same_cost(const LayerCost& a, const LayerCost& b) {
  const bool same_energy = std::all_of(
      kEnergyParts.begin(), kEnergyParts.end(),
      [&](const EnergyPart& part) { return a.energy.*part.energy == b.energy.*part.energy; });
  return same_energy && a.cycles == b.cycles && a.utilization == b.utilization &&
         a.bottleneck == b.bottleneck && a.activity.dram_read == b.activity.dram_read &&
         a.activity.dram_write == b.activity.dram_write && a.bitops == b.bitops &&
         a.parameter_bits == b.parameter_bits && a.tiles == b.tiles && a.numerics == b.numerics &&
         a.safe_accumulator_bits == b.safe_accumulator_bits && a.fused == b.fused &&
         a.phases == b.phases;
}

bool all_same(const RunDifference& difference) {
  return difference.settings.empty() && difference.accelerator.empty() &&
         std::all_of(difference.layers.begin(), difference.layers.end(),
                     [](const LayerChange& change) {
                       return change.a != nullptr && change.b != nullptr && change.causes.empty() &&
                              same_cost(*change.a, *change.b);
                     });
}

}  // namespace

RunDifference run_difference(const CostReport& a, const CostReport& b) {
  RunDifference difference;
  difference.settings = setting_changes(a, b);
  difference.accelerator = accelerator_changes(a, b);
  const auto add = [&](const LayerCost* from, const LayerCost* to) {
    difference.layers.push_back(change_of(from, to, a.clock, b.clock));
  };
  const std::vector<std::size_t> in_b = partners(a.layers, b.layers);
  const std::vector<std::size_t> in_a = partners(b.layers, a.layers);
  // Layers that only a has follow the layer that they follow there.
  const auto add_lone_ones_from = [&](std::size_t i) {
    for (; i < a.layers.size() && in_b[i] == kNone; ++i) {
      add(&a.layers[i], nullptr);
    }
  };
  add_lone_ones_from(0);
  for (std::size_t i = 0; i < b.layers.size(); ++i) {
    if (in_a[i] == kNone) {
      add(nullptr, &b.layers[i]);
    } else {
      add(&a.layers[in_a[i]], &b.layers[i]);
      add_lone_ones_from(in_a[i] + 1);
    }
  }
  for (const LayerChange& change : difference.layers) {
    difference.cycles += change.cycles;
    difference.energy += change.energy;
  }
  difference.identical = all_same(difference);
  return difference;
}

}  // namespace widthwise
