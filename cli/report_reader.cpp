#include "cli/report_reader.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "cli/cost_words.hpp"
#include "models/config/yaml_reader.hpp"

namespace widthwise {

namespace {

constexpr std::int64_t kMostCount = std::int64_t{1} << 53;  // as a double has it exactly
constexpr double kMostSum = 9e18;                           // of counts, in 64 bits
constexpr double kMostFigure = 1e100;
constexpr double kRounding = 1e-9;  // of sums of doubles
constexpr Range<double> kFigures{0, kMostFigure};
constexpr Range<BitWidth> kWidths{0, kMaxAccumulatorWidth};

template <class E, std::size_t N>
using Names = std::array<std::pair<std::string_view, E>, N>;

constexpr Names<Fidelity, 3> kFidelities{
    {{"analytic", Fidelity::analytic}, {"tile", Fidelity::tile}, {"cycle", Fidelity::cycle}}};

constexpr Names<LayerKind, 13> kKinds{{{"convolution", LayerKind::convolution},
                                       {"fully_connected", LayerKind::fully_connected},
                                       {"matmul", LayerKind::matmul},
                                       {"recurrent", LayerKind::recurrent},
                                       {"pool", LayerKind::pool},
                                       {"add", LayerKind::add},
                                       {"mul", LayerKind::mul},
                                       {"concat", LayerKind::concat},
                                       {"normalization", LayerKind::normalization},
                                       {"activation", LayerKind::activation},
                                       {"softmax", LayerKind::softmax},
                                       {"reduce", LayerKind::reduce},
                                       {"move", LayerKind::move}}};

constexpr Names<LoopOrder, 6> kOrders{{{"mnk", LoopOrder::mnk},
                                       {"nmk", LoopOrder::nmk},
                                       {"mkn", LoopOrder::mkn},
                                       {"nkm", LoopOrder::nkm},
                                       {"kmn", LoopOrder::kmn},
                                       {"knm", LoopOrder::knm}}};

/// JSON's text, which may be empty.
std::optional<std::string> text_at(const YamlNode& node, const std::string& path,
                                   Diagnostics& problems) {
  if (node.kind != YamlNode::Kind::scalar || !node.quoted) {
    problems.error(node.place, path, "expected text, got " + describe(node));
    return std::nullopt;
  }
  return node.text;
}

void text(MapReader& map, std::string_view key, std::string& target) {
  if (const YamlNode* node = map.take(key, Need::required)) {
    target = text_at(*node, map.path_of(key), map.problems()).value_or(target);
  }
}

void texts(MapReader& map, std::string_view key, std::vector<std::string>& target) {
  const YamlNode* node = map.take(key, Need::required);
  if (node == nullptr) {
    return;
  }
  const std::string path = map.path_of(key);
  if (node->kind != YamlNode::Kind::list) {
    map.error(key, "expected a list of texts, got " + describe(*node));
    return;
  }
  for (std::size_t i = 0; i < node->children.size(); ++i) {
    const auto item = text_at(node->children[i], fmt::format("{}[{}]", path, i), map.problems());
    target.push_back(item.value_or(""));
  }
}

void count(MapReader& map, std::string_view key, std::int64_t& target, std::int64_t least = 0) {
  map.integer(key, Need::required, target, {least, kMostCount});
}

template <class T>
void count(MapReader& map, std::string_view key, T& target) {
  std::int64_t value = 0;
  count(map, key, value);
  target = T(value);
}

template <class T>
void figure(MapReader& map, std::string_view key, T& target) {
  double value = 0;
  map.number(key, Need::required, value, kFigures);
  target = T(value);
}

void width(MapReader& map, std::string_view key, BitWidth& target) {
  map.integer(key, Need::required, target, kWidths);
}

/// True where a value stands instead of null.
bool is_given(MapReader& map, std::string_view key) {
  const YamlNode* node = map.take(key, Need::required);
  return node != nullptr && node->kind != YamlNode::Kind::null;
}

void optional_width(MapReader& map, std::string_view key, std::optional<BitWidth>& target) {
  if (is_given(map, key)) {
    width(map, key, target.emplace());
  }
}

void read_tiling(MapReader& layer, LayerCost& cost) {
  if (!is_given(layer, "tiling")) {
    return;
  }
  MapReader map = layer.map("tiling", Need::required);
  Tile& tile = cost.tile.emplace();
  count(map, "batch", tile.batch, 1);
  count(map, "out_h", tile.out_h, 1);
  count(map, "out_w", tile.out_w, 1);
  count(map, "out_channels", tile.out_channels, 1);
  count(map, "in_channels", tile.in_channels, 1);
  count(map, "groups", tile.groups, 1);
  map.choice("order", Need::required, tile.order, kOrders);
  count(map, "tiles", cost.tiles, 1);
}

void read_numerics(MapReader& layer, LayerCost& cost) {
  if (!is_given(layer, "numerics")) {
    return;
  }
  MapReader map = layer.map("numerics", Need::required);
  LayerNumerics& numerics = cost.numerics.emplace();
  count(map, "outputs", numerics.outputs);
  count(map, "wrong_outputs", numerics.wrong_outputs);
  count(map, "overflows", numerics.overflows);
  constexpr Range<std::int64_t> kAll{std::numeric_limits<std::int64_t>::min(),
                                     std::numeric_limits<std::int64_t>::max()};
  map.integer("least", Need::required, numerics.least, kAll);
  map.integer("greatest", Need::required, numerics.greatest, kAll);
  map.choice("weights", Need::required, numerics.network_weights,
             Names<bool, 2>{{{"random", false}, {"network", true}}});
}

CycleBreakdown read_cycles(MapReader map) {
  CycleBreakdown cycles;
  for (const CyclePart& part : kCycleParts) {
    count(map, part.key, cycles.*part.cycles);
  }
  return cycles;
}

EnergyBreakdown read_energy(MapReader map) {
  EnergyBreakdown energy;
  for (const EnergyPart& part : kEnergyParts) {
    figure(map, part.key, energy.*part.energy);
  }
  return energy;
}

LayerCost read_layer(MapReader& map) {
  LayerCost layer;
  text(map, "name", layer.name);
  map.choice("kind", Need::required, layer.kind, kKinds);
  count(map, "macs", layer.macs);
  width(map, "weight_bits", layer.widths.weight);
  width(map, "activation_bits", layer.widths.activation);
  width(map, "computed_weight_bits", layer.computed.weight);
  width(map, "computed_activation_bits", layer.computed.activation);
  width(map, "stored_input_bits", layer.stored_input);
  width(map, "stored_output_bits", layer.stored_output);
  optional_width(map, "accumulator_bits", layer.accumulator_bits);
  optional_width(map, "safe_accumulator_bits", layer.safe_accumulator_bits);
  const std::size_t mistakes = map.problems().items().size();
  count(map, "latency_cycles", layer.latency);
  layer.cycles = read_cycles(map.map("cycles", Need::required));
  if (map.problems().items().size() == mistakes && layer.cycles.total() != layer.latency) {
    map.error("latency_cycles", fmt::format("expected the sum of its cycles, {}, got {}",
                                            layer.cycles.total().count(), layer.latency.count()));
  }
  map.number("utilization", Need::required, layer.utilization, kFigures);
  text(map, "bottleneck", layer.bottleneck);
  count(map, "dram_read_bytes", layer.activity.dram_read);
  count(map, "dram_write_bytes", layer.activity.dram_write);
  figure(map, "bitops", layer.bitops);
  count(map, "parameter_bits", layer.parameter_bits);
  read_tiling(map, layer);
  layer.energy = read_energy(map.map("energy_pj", Need::required));
  read_numerics(map, layer);
  texts(map, "fused", layer.fused);
  if (MapReader phases = map.map("phases", Need::optional); phases.given()) {
    for (const YamlNode& phase : phases.entries()) {
      const auto cycles =
          read_integer(phase, phases.path_of(phase.key), phases.problems(), {0, kMostCount});
      layer.phases.emplace_back(phase.key, Cycles(cycles.value_or(0)));
    }
  }
  return layer;
}

void read_area(MapReader map, AreaEstimate& area) {
  figure(map, "array", area.array);
  figure(map, "input_buffer", area.input_buffer);
  figure(map, "weight_buffer", area.weight_buffer);
  figure(map, "output_buffer", area.output_buffer);
  figure(map, "scratchpad", area.scratchpad);
  figure(map, "post", area.post);
}

/// "[2, 4]" of a list; a scalar as it stands.
std::string leaf_text(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::list) {
    return node.text;
  }
  std::string list;
  for (const YamlNode& item : node.children) {
    list += (list.empty() ? "" : ", ") + leaf_text(item);
  }
  return '[' + list + ']';
}

void add_leaves(const YamlNode& node, const std::string& path,
                std::vector<std::pair<std::string, std::string>>& leaves) {
  if (node.kind != YamlNode::Kind::map) {
    leaves.emplace_back(path, leaf_text(node));
    return;
  }
  for (const YamlNode& child : node.children) {
    add_leaves(child, join_path(path, child.key), leaves);
  }
}

void read_accelerator_part(MapReader& root, CostReport& report) {
  MapReader accelerator = root.map("accelerator", Need::required);
  text(accelerator, "name", report.accelerator);
  for (const YamlNode& child : accelerator.entries()) {
    if (child.key != "schema") {
      add_leaves(child, join_path("", child.key), report.resolved_accelerator);
    }
  }
}

/// Sums over layers fit their type, and are what the file says of the whole.
void check_total(MapReader& root, MapReader& total, const CostReport& report) {
  const auto sum = [&](auto get) {
    double all = 0;
    for (const LayerCost& layer : report.layers) {
      all += static_cast<double>(get(layer));
    }
    return all;
  };
  for (const double sum_of_counts :
       {sum([](const LayerCost& layer) { return layer.latency.count(); }),
        sum([](const LayerCost& layer) { return layer.macs; }),
        sum([](const LayerCost& layer) { return layer.activity.dram_read.count(); }),
        sum([](const LayerCost& layer) { return layer.activity.dram_write.count(); }),
        sum([](const LayerCost& layer) { return layer.parameter_bits; })}) {
    if (sum_of_counts > kMostSum) {
      root.error("layers", "the figures are too great to be added up");
      return;
    }
  }
  std::int64_t latency = 0;
  if (total.integer("latency_cycles", Need::required, latency) &&
      latency != report.latency().count()) {
    total.error("latency_cycles", fmt::format("expected the sum over the layers, {}, got {}",
                                              report.latency().count(), latency));
  }
  double energy = 0;
  const double layers = report.energy().total().count();
  if (total.number("energy_pj", Need::required, energy, kFigures) &&
      std::abs(energy - layers) > kRounding * std::max(energy, layers)) {
    total.error("energy_pj",
                fmt::format("expected the sum over the layers, {}, got {}", layers, energy));
  }
}

CostReport read_document(YamlDocument document) {
  MapReader root = open_document(document, "report");
  CostReport report;
  read_accelerator_part(root, report);
  text(root, "network", report.network);
  text(root, "assignment", report.assignment);
  root.choice("fidelity", Need::required, report.fidelity, kFidelities);
  double clock = 0;
  root.number("clock_hz", Need::required, clock, {1, kMostFigure});
  report.clock = Hertz(clock);
  count(root, "batch", report.batch, 1);
  for (MapReader& layer : root.maps("layers", Need::required)) {
    report.layers.push_back(read_layer(layer));
  }
  MapReader total = root.map("total", Need::required);
  read_area(total.map("area_um2", Need::required), report.area);
  texts(root, "ignored", report.ignored);
  texts(root, "leaves_out", report.leaves_out);
  document.problems.throw_if_any();
  check_total(root, total, report);
  document.problems.throw_if_any();
  return report;
}

}  // namespace

CostReport read_report(const std::string& path) { return read_document(load_yaml(path)); }

CostReport parse_report(std::string_view text, const std::string& file) {
  return read_document(parse_yaml(text, file));
}

}  // namespace widthwise
