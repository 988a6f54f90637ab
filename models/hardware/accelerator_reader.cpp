#include "models/hardware/accelerator_reader.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "models/base/error.hpp"
#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "models/config/yaml_reader.hpp"

namespace widthwise {

namespace {

template <class E>
using Name = std::pair<std::string_view, E>;

constexpr std::array kEngineKinds{Name<EngineKind>{"mac_array", EngineKind::mac_array},
                                  Name<EngineKind>{"bit_serial", EngineKind::bit_serial}};
constexpr std::array kDataflows{Name<Dataflow>{"weight_stationary", Dataflow::weight_stationary},
                                Name<Dataflow>{"output_stationary", Dataflow::output_stationary},
                                Name<Dataflow>{"input_stationary", Dataflow::input_stationary}};
constexpr std::array kScalings{Name<Scaling>{"fixed", Scaling::fixed},
                               Name<Scaling>{"fusion", Scaling::fusion},
                               Name<Scaling>{"subword", Scaling::subword}};
constexpr std::array kSerialOperands{Name<SerialOperand>{"weights", SerialOperand::weights},
                                     Name<SerialOperand>{"activations", SerialOperand::activations},
                                     Name<SerialOperand>{"both", SerialOperand::both}};
constexpr std::array kReductions{Name<Reduction>{"channels", Reduction::channels},
                                 Name<Reduction>{"im2col", Reduction::im2col},
                                 Name<Reduction>{"auto", Reduction::automatic}};
constexpr std::array kGroupMappings{
    Name<GroupMapping>{"sequential", GroupMapping::sequential},
    Name<GroupMapping>{"block_diagonal", GroupMapping::block_diagonal}};
constexpr std::array kWeightDeliveries{Name<WeightDelivery>{"preloaded", WeightDelivery::preloaded},
                                       Name<WeightDelivery>{"streamed", WeightDelivery::streamed}};
constexpr std::array kVectorMappings{Name<VectorMapping>{"on_rows", VectorMapping::on_rows},
                                     Name<VectorMapping>{"staggered", VectorMapping::staggered}};
constexpr std::array kColumnPlaces{Name<bool>{"space", false}, Name<bool>{"time", true}};
constexpr std::array kPhaseEventNames{
    Name<PhaseEvent>{"tile", PhaseEvent::tile},
    Name<PhaseEvent>{"fold", PhaseEvent::fold},
    Name<PhaseEvent>{"step", PhaseEvent::step},
    Name<PhaseEvent>{"next_pass", PhaseEvent::next_pass},
    Name<PhaseEvent>{"next_reduction", PhaseEvent::next_reduction},
    Name<PhaseEvent>{"next_channels", PhaseEvent::next_channels},
    Name<PhaseEvent>{"next_column", PhaseEvent::next_column},
    Name<PhaseEvent>{"next_row", PhaseEvent::next_row}};
static_assert(kPhaseEventNames.size() == kPhaseEvents);
constexpr std::array kFoldOverlaps{Name<FoldOverlap>{"pipelined", FoldOverlap::pipelined},
                                   Name<FoldOverlap>{"serial", FoldOverlap::serial}};
constexpr std::array kAccumulatorOverflows{
    Name<AccumulatorOverflow>{"wrap", AccumulatorOverflow::wrap},
    Name<AccumulatorOverflow>{"saturate", AccumulatorOverflow::saturate}};
constexpr std::array kLoadOverlaps{Name<bool>{"stream", true}, Name<bool>{"none", false}};
constexpr std::array kInputLayouts{Name<InputLayout>{"raw", InputLayout::raw},
                                   Name<InputLayout>{"im2col", InputLayout::im2col}};
constexpr std::array kObjectives{Name<Objective>{"latency", Objective::latency},
                                 Name<Objective>{"energy", Objective::energy},
                                 Name<Objective>{"edp", Objective::edp}};
constexpr std::array kLoopOrders{
    Name<LoopOrder>{"mnk", LoopOrder::mnk}, Name<LoopOrder>{"nmk", LoopOrder::nmk},
    Name<LoopOrder>{"mkn", LoopOrder::mkn}, Name<LoopOrder>{"nkm", LoopOrder::nkm},
    Name<LoopOrder>{"kmn", LoopOrder::kmn}, Name<LoopOrder>{"knm", LoopOrder::knm}};

template <class E, std::size_t n>
std::string_view name_in(const std::array<Name<E>, n>& table, E value) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const auto& row) { return row.second == value; });
  ensure(found != table.end(), "every value has a name");
  return found->first;
}

constexpr Range<Hertz> kClocks{Hertz(1e3), Hertz(1e11)};
constexpr Range<int> kArraySides{1, 1024};
constexpr Range<int> kFoldedChannels{0, 1024};
constexpr Range<int> kLanes{1, 65536};
constexpr Range<int> kBlocks{1, 1024};
constexpr Range<int> kPhaseFactors{0, 1000};
constexpr Range<int> kOperandWidths{kMinOperandWidth, kMaxOperandWidth};
constexpr Range<int> kAccumulatorWidths{1, 64};
constexpr Range<int> kCycleCounts{0, 1'000'000};
constexpr Range<int> kStreamBlocks{1, 65536};
constexpr std::string_view kArrayRows = "rows";  // in place of a number of cycles
constexpr Range<int> kCycleFactors{-1000, 1000};
constexpr Range<int> kCycleConstants{-1'000'000, 1'000'000};
constexpr Range<Cycles> kLatencies{Cycles(0), Cycles(1'000'000)};
constexpr Range<Bytes> kCapacities{Bytes(16), Bytes(std::int64_t{4} << 30U)};
constexpr Range<double> kBandwidths{0.001, 1e9};  // bits per cycle
constexpr Range<Bytes> kBursts{Bytes(1), Bytes(std::int64_t{64} << 10U)};
constexpr Range<Bytes> kRequests{Bytes(1), Bytes(std::int64_t{16} << 20U)};
constexpr Range<int> kOutstanding{1, 1024};
constexpr Range<std::int64_t> kTileSides{1, std::int64_t{1} << 31U};

std::string not_with(std::string_view key, std::string_view value) {
  return "not allowed with '" + std::string(key) + ": " + std::string(value) + "'";
}

void read_linear(MapReader& timing, std::string_view key, std::optional<LinearCycles>& target) {
  const YamlNode* node = timing.take(key, Need::optional);
  if (node == nullptr) {
    return;
  }
  LinearCycles linear;
  if (node->kind == YamlNode::Kind::scalar) {
    const auto constant = read_integer(*node, timing.path_of(key), timing.problems(),
                                       {kCycleCounts.min, kCycleCounts.max});
    linear.constant = static_cast<int>(constant.value_or(0));
  } else {
    MapReader map(*node, timing.path_of(key), timing.problems());
    map.integer("rows", Need::optional, linear.rows, kCycleFactors);
    map.integer("columns", Need::optional, linear.columns, kCycleFactors);
    map.integer("used_columns", Need::optional, linear.used_columns, kCycleFactors);
    map.integer("constant", Need::optional, linear.constant, kCycleConstants);
    map.finish();
  }
  target = linear;
}

/// A number of cycles, or "rows": as many as the array has rows.
void read_stream_block(MapReader& timing, std::optional<int>& target) {
  constexpr std::string_view kKey = "stream_block";
  const YamlNode* node = timing.take(kKey, Need::optional);
  if (node == nullptr) {
    return;
  }
  if (node->kind == YamlNode::Kind::scalar && node->text == kArrayRows) {
    target.reset();
    return;
  }
  const std::string path = timing.path_of(kKey);
  if (node->kind != YamlNode::Kind::scalar || node->quoted || !is_integer_text(node->text)) {
    timing.error(kKey, "expected a whole number, " + std::to_string(kStreamBlocks.min) + ".." +
                           std::to_string(kStreamBlocks.max) + ", or 'rows', got " +
                           describe(*node));
  } else if (const auto cycles = read_integer(*node, path, timing.problems(),
                                              {kStreamBlocks.min, kStreamBlocks.max})) {
    target = static_cast<int>(*cycles);
  }
}

PhaseCycles read_phase_cycles(const YamlNode& node, MapReader& phase, PhaseEvent event) {
  const std::string path = phase.path_of(node.key);
  PhaseCycles cycles;
  if (node.kind == YamlNode::Kind::scalar) {
    const auto constant =
        read_integer(node, path, phase.problems(), {kCycleCounts.min, kCycleCounts.max});
    cycles.constant = static_cast<int>(constant.value_or(0));
    return cycles;
  }
  MapReader map(node, path, phase.problems());
  map.integer("kernel", Need::optional, cycles.kernel, kPhaseFactors);
  map.integer("output_passes", Need::optional, cycles.output_passes, kPhaseFactors);
  map.integer("constant", Need::optional, cycles.constant, kCycleCounts);
  if (event == PhaseEvent::step) map.boolean("stream", Need::optional, cycles.stream);
  map.finish();
  return cycles;
}

/// Names become keys of JSON and words of CSV.
bool is_phase_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

void read_phases(MapReader& timing, std::vector<Phase>& target) {
  constexpr std::string_view kKey = "phases";
  MapReader phases = timing.map(kKey, Need::optional);
  if (!phases.given()) return;
  int streams = 0;
  for (const YamlNode& entry : phases.entries()) {
    Phase& phase = target.emplace_back();
    phase.name = entry.key;
    if (!is_phase_name(entry.key)) {
      phases.error(entry.key, "expected a name of lower-case letters, digits and _, got " +
                                  quoted_value(entry.key));
    }
    MapReader events(entry, phases.path_of(entry.key), phases.problems());
    for (const auto& [name, event] : kPhaseEventNames) {
      const YamlNode* node = events.take(name, Need::optional);
      if (node == nullptr) continue;
      PhaseCycles& cycles = phase.at[static_cast<std::size_t>(event)];
      cycles = read_phase_cycles(*node, events, event);
      if (cycles.stream) ++streams;
    }
    events.finish();
  }
  if (streams != 1) {
    timing.error(kKey,
                 "expected one phase with 'step: {stream: true}', got " + std::to_string(streams));
  }
  // A phase is what overlaps with nothing.
  for (const std::string_view key : {"load", "load_overlap", "fill", "drain", "folds",
                                     "stream_block", "pad_last_block", "fold_gap"}) {
    timing.refuse(key, "not allowed with 'phases'");
  }
}

void read_timing(MapReader timing, const Engine& engine, bool kind_known, EngineTiming& target) {
  if (kind_known && engine.kind == EngineKind::mac_array) {
    timing.refuse("phases", not_with("kind", "mac_array"));
  } else {
    read_phases(timing, target.phases);
  }
  if (!target.phases.empty()) {
    timing.finish();
    return;
  }
  read_linear(timing, "load", target.load);
  bool hidden = true;
  if (timing.choice("load_overlap", Need::optional, hidden, kLoadOverlaps)) {
    target.load_hidden = hidden;
  }
  read_linear(timing, "fill", target.fill);
  read_linear(timing, "drain", target.drain);
  timing.choice("folds", Need::optional, target.folds, kFoldOverlaps);
  read_stream_block(timing, target.stream_block);
  timing.boolean("pad_last_block", Need::optional, target.pad_last_block);
  timing.integer("fold_gap", Need::optional, target.fold_gap, kCycleCounts);
  timing.finish();
}

/// Ascending, and the greatest is what one PE does in one cycle.
void check_supported_bits(MapReader& precision, const Engine& engine, bool max_is_known) {
  const std::vector<int>& bits = engine.supported_bits;
  constexpr std::string_view kKey = "supported_bits";
  if (bits.empty()) {
    precision.error(kKey, "expected at least one width");
    return;
  }
  for (std::size_t i = 1; i < bits.size(); ++i) {
    if (bits[i] <= bits[i - 1]) {
      precision.error(kKey, "expected ascending widths, got " + std::to_string(bits[i]) +
                                " after " + std::to_string(bits[i - 1]));
      return;
    }
  }
  if (max_is_known && bits.back() != engine.max_bits) {
    precision.error(kKey, "expected the last width to be max_bits (" +
                              std::to_string(engine.max_bits) + "), got " +
                              std::to_string(bits.back()));
  }
}

constexpr std::array<std::string_view, 4> kArrayPrecisionKeys{"scaling", "max_bits",
                                                              "supported_bits", "temporal"};
constexpr std::array<std::string_view, 10> kSerialPrecisionKeys{
    "serial",          "lanes",
    "blocks",          "unit_bits",
    "parallel_bits",   "weight_bits_per_cycle",
    "max_weight_bits", "activation_bits_per_cycle",
    "sign_plane",      "max_activation_bits"};

void read_array_precision(MapReader precision, Engine& engine) {
  for (const std::string_view key : kSerialPrecisionKeys) {
    precision.refuse(key, not_with("kind", "mac_array"));
  }
  const bool scaling_known = precision.choice("scaling", Need::required, engine.scaling, kScalings);
  const bool max_known =
      precision.integer("max_bits", Need::required, engine.max_bits, kOperandWidths);
  if (!scaling_known) {
    precision.take("supported_bits", Need::optional);
  } else if (engine.scaling == Scaling::fixed) {
    precision.refuse("supported_bits", not_with("scaling", "fixed"));
  } else if (precision.integers("supported_bits", Need::required, engine.supported_bits,
                                kOperandWidths)) {
    check_supported_bits(precision, engine, max_known);
  }
  precision.boolean("temporal", Need::optional, engine.temporal);
  precision.finish();
}

void read_bits_per_cycle(MapReader& precision, std::string_view key, int& target,
                         std::string_view max_key, int max_bits) {
  if (precision.integer(key, Need::optional, target, kOperandWidths) && target > max_bits) {
    precision.error(key, "expected at most " + std::string(max_key) + " (" +
                             std::to_string(max_bits) + "), got " + std::to_string(target));
  }
}

/// Bits a cycle of the energy table's unit: [weights, activations].
void read_unit_bits(MapReader& precision, Engine& engine) {
  std::vector<int> bits;
  if (!precision.integers("unit_bits", Need::optional, bits, kOperandWidths)) return;
  if (bits.size() != 2) {
    precision.error("unit_bits", "expected two widths, of weights and activations, got " +
                                     std::to_string(bits.size()));
    return;
  }
  engine.unit_bits = LayerWidths{bits[0], bits[1]};
}

/// [height, width] of the output positions that the rows hold.
void read_position_block(MapReader& reader, Engine& engine) {
  constexpr std::string_view kKey = "position_block";
  std::vector<int> sizes;
  if (!reader.integers(kKey, Need::optional, sizes, kArraySides)) return;
  if (sizes.size() != 2 || sizes[0] * sizes[1] != engine.rows) {
    std::string got;
    for (const int size : sizes) got += (got.empty() ? "" : ", ") + std::to_string(size);
    reader.error(kKey, "expected two sizes whose product is rows (" + std::to_string(engine.rows) +
                           "), got [" + got + "]");
    return;
  }
  engine.position_block = PositionBlock{sizes[0], sizes[1]};
}

void read_serial_precision(MapReader precision, Engine& engine) {
  for (const std::string_view key : kArrayPrecisionKeys) {
    precision.refuse(key, not_with("kind", "bit_serial"));
  }
  const bool serial_known =
      precision.choice("serial", Need::required, engine.serial, kSerialOperands);
  precision.integer("lanes", Need::required, engine.lanes, kLanes);
  if (precision.integer("blocks", Need::optional, engine.blocks, kBlocks) && engine.blocks > 1 &&
      engine.reduction != Reduction::channels) {
    precision.error("blocks",
                    "expected 1 with 'reduction: " + std::string(to_string(engine.reduction)) +
                        "', got " + std::to_string(engine.blocks));
  }
  precision.integer("max_weight_bits", Need::optional, engine.max_weight_bits, kOperandWidths);
  precision.integer("max_activation_bits", Need::optional, engine.max_activation_bits,
                    kOperandWidths);
  const auto refuse = [&](std::string_view key) {
    precision.refuse(key, not_with("serial", to_string(engine.serial)));
  };
  if (serial_known && engine.serial == SerialOperand::both) {
    refuse("parallel_bits");
  } else {
    precision.integer("parallel_bits", Need::optional, engine.parallel_bits, kOperandWidths);
  }
  if (serial_known && engine.serial == SerialOperand::activations) {
    refuse("weight_bits_per_cycle");
    refuse("sign_plane");
  } else {
    read_bits_per_cycle(precision, "weight_bits_per_cycle", engine.weight_bits_per_cycle,
                        "max_weight_bits", engine.max_weight_bits);
    precision.boolean("sign_plane", Need::optional, engine.sign_plane);
  }
  if (serial_known && engine.serial == SerialOperand::weights) {
    refuse("activation_bits_per_cycle");
  } else {
    read_bits_per_cycle(precision, "activation_bits_per_cycle", engine.activation_bits_per_cycle,
                        "max_activation_bits", engine.max_activation_bits);
  }
  read_unit_bits(precision, engine);
  precision.finish();
}

void read_engine(MapReader reader, Engine& engine) {
  const bool kind_known = reader.choice("kind", Need::required, engine.kind, kEngineKinds);
  reader.integer("rows", Need::required, engine.rows, kArraySides);
  reader.integer("columns", Need::required, engine.columns, kArraySides);
  reader.choice("reduction", Need::optional, engine.reduction, kReductions);
  reader.choice("groups", Need::optional, engine.groups, kGroupMappings);
  reader.integer("fold_stride_channels", Need::optional, engine.fold_stride_channels,
                 kFoldedChannels);
  reader.integer("accumulator_bits", Need::optional, engine.accumulator_bits, kAccumulatorWidths);
  reader.choice("accumulator_overflow", Need::optional, engine.accumulator_overflow,
                kAccumulatorOverflows);
  reader.text("unit", Need::required, engine.unit);

  if (kind_known && engine.kind == EngineKind::bit_serial) {
    reader.refuse("dataflow", not_with("kind", "bit_serial"));
    reader.refuse("weights", not_with("kind", "bit_serial"));
    reader.integer("tiles", Need::optional, engine.tiles, kArraySides);
    reader.choice("fully_connected", Need::optional, engine.fully_connected, kVectorMappings);
    read_position_block(reader, engine);
    reader.choice("columns_in", Need::optional, engine.columns_in_time, kColumnPlaces);
    if (engine.fully_connected == VectorMapping::staggered && engine.columns_in_time) {
      reader.error("columns_in", "expected space with 'fully_connected: staggered', got time");
    }
  } else {
    for (const std::string_view key : {"fully_connected", "position_block", "columns_in"}) {
      reader.refuse(key, not_with("kind", "mac_array"));
    }
    reader.choice("dataflow", Need::optional, engine.dataflow, kDataflows);
    if (engine.dataflow == Dataflow::input_stationary) {
      reader.refuse("tiles", not_with("dataflow", to_string(engine.dataflow)));
    } else {
      reader.integer("tiles", Need::optional, engine.tiles, kArraySides);
    }
    if (engine.dataflow != Dataflow::weight_stationary) {
      reader.refuse("weights", not_with("dataflow", to_string(engine.dataflow)));
    } else {
      reader.choice("weights", Need::optional, engine.weights, kWeightDeliveries);
    }
  }

  if (!kind_known) {
    reader.take("precision", Need::required);
  } else if (engine.kind == EngineKind::mac_array) {
    read_array_precision(reader.map("precision", Need::required), engine);
  } else {
    read_serial_precision(reader.map("precision", Need::required), engine);
  }
  read_timing(reader.map("timing", Need::optional), engine, kind_known, engine.timing);
  if (!engine.timing.phases.empty() && engine.fully_connected == VectorMapping::staggered) {
    reader.error("fully_connected", "expected on_rows with 'timing.phases', got staggered");
  }
  reader.finish();
}

void read_dram(MapReader reader, Hertz clock, Dram& dram) {
  reader.bandwidth("bandwidth", Need::required, dram.bandwidth, clock, kBandwidths);
  reader.quantity("latency", Need::optional, dram.latency, kCycleCount, kLatencies);
  reader.quantity("burst", Need::optional, dram.burst, kSize, kBursts);
  reader.text("technology", Need::required, dram.technology);
  reader.quantity("request", Need::optional, dram.request, kSize, kRequests);
  reader.integer("outstanding", Need::optional, dram.outstanding, kOutstanding);
  if (dram.request.count() % dram.burst.count() != 0) {
    reader.error("request", "expected a multiple of the burst (" +
                                format_quantity(dram.burst, kSize) + "), got '" +
                                format_quantity(dram.request, kSize) + "'");
  }
  reader.finish();
}

void read_port(MapReader& reader, std::string_view key, Hertz clock,
               std::optional<double>& target) {
  double bits_per_cycle = 0;
  if (reader.bandwidth(key, Need::optional, bits_per_cycle, clock, kBandwidths)) {
    target = bits_per_cycle;
  }
}

void read_buffer(MapReader reader, Hertz clock, bool written_by_dma, bool phases, Buffer& buffer) {
  const bool capacity_known =
      reader.quantity("capacity", Need::required, buffer.capacity, kSize, kCapacities);
  reader.boolean("double_buffered", Need::optional, buffer.double_buffered);
  if (phases && written_by_dma) {
    reader.refuse("read_port", "not allowed with 'engine.timing.phases'");
  } else {
    read_port(reader, "read_port", clock, buffer.read_port);
  }
  if (written_by_dma) {
    read_port(reader, "write_port", clock, buffer.write_port);
  } else {
    reader.refuse("write_port",
                  "not allowed: the engine writes this buffer as fast as it computes");
  }
  reader.text("sram", Need::optional, buffer.sram);
  if (capacity_known && buffer.double_buffered && buffer.capacity < kCapacities.min * 2) {
    reader.error("capacity", "expected at least " + format_quantity(kCapacities.min * 2, kSize) +
                                 " with 'double_buffered: true', got '" +
                                 format_quantity(buffer.capacity, kSize) + "'");
  }
  reader.finish();
}

Scratchpad read_scratchpad(MapReader reader, Hertz clock) {
  Scratchpad scratchpad;
  reader.quantity("capacity", Need::required, scratchpad.capacity, kSize, kCapacities);
  reader.bandwidth("bandwidth", Need::required, scratchpad.bandwidth, clock, kBandwidths);
  reader.quantity("latency", Need::optional, scratchpad.latency, kCycleCount, kLatencies);
  reader.text("sram", Need::optional, scratchpad.sram);
  reader.finish();
  return scratchpad;
}

void read_memory(MapReader reader, Hertz clock, bool phases, Memory& memory) {
  read_dram(reader.map("dram", Need::required), clock, memory.dram);
  read_buffer(reader.map("input_buffer", Need::required), clock, true, phases, memory.input_buffer);
  read_buffer(reader.map("weight_buffer", Need::required), clock, true, phases,
              memory.weight_buffer);
  read_buffer(reader.map("output_buffer", Need::required), clock, false, phases,
              memory.output_buffer);
  reader.choice("input_layout", Need::optional, memory.input_layout, kInputLayouts);
  reader.boolean("fetch_padding", Need::optional, memory.fetch_padding);
  MapReader scratchpad = reader.map("scratchpad", Need::optional);
  if (scratchpad.given()) {
    memory.scratchpad = read_scratchpad(std::move(scratchpad), clock);
  }
  reader.boolean("keep_on_chip", Need::optional, memory.keep_on_chip);
  BitWidth output_bits = 0;
  if (reader.integer("output_bits", Need::optional, output_bits, kAccumulatorWidths)) {
    memory.output_bits = output_bits;
  }
  reader.boolean("read_initial_sums", Need::optional, memory.read_initial_sums);
  reader.finish();
}

void read_post_processing(MapReader reader, PostProcessing& post) {
  reader.integer("lanes", Need::optional, post.lanes, kLanes);
  reader.quantity("latency", Need::optional, post.latency, kCycleCount, kLatencies);
  reader.finish();
}

Tile read_tile(MapReader reader, GroupMapping groups) {
  Tile tile;
  reader.integer("batch", Need::optional, tile.batch, kTileSides);
  reader.integer("out_h", Need::optional, tile.out_h, kTileSides);
  reader.integer("out_w", Need::optional, tile.out_w, kTileSides);
  reader.integer("out_channels", Need::optional, tile.out_channels, kTileSides);
  reader.integer("in_channels", Need::optional, tile.in_channels, kTileSides);
  if (reader.integer("groups", Need::optional, tile.groups, kTileSides) && tile.groups > 1 &&
      groups != GroupMapping::block_diagonal) {
    reader.error("groups", "expected 1 without 'engine.groups: block_diagonal', got " +
                               std::to_string(tile.groups));
  }
  reader.choice("order", Need::optional, tile.order, kLoopOrders);
  reader.finish();
  return tile;
}

void read_tiling(MapReader reader, GroupMapping groups, Tiling& tiling) {
  reader.choice("objective", Need::optional, tiling.objective, kObjectives);
  reader.number("slack", Need::optional, tiling.slack, {0.0, 1.0});
  MapReader fixed = reader.map("fixed", Need::optional);
  for (const YamlNode& entry : fixed.entries()) {
    tiling.fixed[entry.key] =
        read_tile(MapReader(entry, fixed.path_of(entry.key), fixed.problems()), groups);
  }
  reader.finish();
}

/// A path in a file starts from the file's folder, one on the command line from where we are.
void read_energy_path(MapReader& root, const std::string& file, bool must_exist,
                      std::string& target) {
  constexpr std::string_view kKey = "energy";
  std::string text;
  if (!root.text(kKey, Need::required, text)) {
    return;
  }
  const bool from_file = root.place_of(kKey).file == file;
  const std::filesystem::path folder =
      from_file ? std::filesystem::path(file).parent_path() : std::filesystem::path();
  target = (folder / text).lexically_normal().string();
  std::error_code error;
  if (must_exist && !std::filesystem::exists(target, error)) {
    root.error(kKey, "no such file: " + quoted_value(target));
  }
}

Accelerator read(YamlDocument document, const std::string& file, bool energy_must_exist) {
  Accelerator accelerator;
  accelerator.source = file;
  MapReader root = open_document(document, "accelerator");
  root.text("name", Need::required, accelerator.name);
  root.text("description", Need::optional, accelerator.description);
  root.text("reproduces", Need::optional, accelerator.reproduces);
  root.texts("leaves_out", Need::optional, accelerator.leaves_out);
  root.quantity("clock", Need::required, accelerator.clock, kFrequency, kClocks);
  read_energy_path(root, file, energy_must_exist, accelerator.energy_table);
  read_engine(root.map("engine", Need::required), accelerator.engine);
  read_memory(root.map("memory", Need::required), accelerator.clock,
              !accelerator.engine.timing.phases.empty(), accelerator.memory);
  read_post_processing(root.map("post_processing", Need::optional), accelerator.post_processing);
  read_tiling(root.map("tiling", Need::optional), accelerator.engine.groups, accelerator.tiling);
  root.finish();
  document.problems.throw_if_any();
  accelerator.source = file;
  accelerator.resolved = resolved_keys(accelerator);
  return accelerator;
}

/// Text as it stands in YAML: plain where that reads back the same.
std::string yaml_text(std::string_view text) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' ||
           c == '_' || c == '-' || c == '/' || c == '.' || c == '(' || c == ')' || c == '+';
  };
  const bool starts_plain = !text.empty() && text[0] != ' ' && text[0] != '-' && text[0] != '+' &&
                            !(text[0] >= '0' && text[0] <= '9') && !text.starts_with("...");
  const bool is_null = text == "null" || text == "Null" || text == "NULL";
  if (starts_plain && !is_null && text.back() != ' ' &&
      std::all_of(text.begin(), text.end(), is_plain)) {
    return std::string(text);
  }
  std::string quoted = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
      case '\\':
        quoted += '\\';
        quoted += c;
        break;
      case '\n':
        quoted += "\\n";
        break;
      case '\t':
        quoted += "\\t";
        break;
      default:
        quoted += c;
    }
  }
  return quoted + '"';
}

std::string yaml_list(const std::vector<std::string>& items) {
  std::string text = "[";
  for (const std::string& item : items) {
    text += (text.size() > 1 ? ", " : "") + item;
  }
  return text + ']';
}

std::string yaml_text(const LinearCycles& linear) {
  std::vector<std::string> parts;
  const auto add = [&](const char* name, int value) {
    if (value != 0) {
      parts.push_back(std::string(name) + ": " + std::to_string(value));
    }
  };
  add("rows", linear.rows);
  add("columns", linear.columns);
  add("used_columns", linear.used_columns);
  add("constant", linear.constant);
  const std::string list = yaml_list(parts);
  return '{' + list.substr(1, list.size() - 2) + '}';
}

std::string yaml_text(const PhaseCycles& cycles) {
  std::vector<std::string> parts;
  const auto add = [&](const char* name, int value) {
    if (value != 0) parts.push_back(std::string(name) + ": " + std::to_string(value));
  };
  add("kernel", cycles.kernel);
  add("output_passes", cycles.output_passes);
  add("constant", cycles.constant);
  if (cycles.stream) parts.emplace_back("stream: true");
  const std::string list = yaml_list(parts);
  return '{' + list.substr(1, list.size() - 2) + '}';
}

/// Collects ("engine.rows", "16"); one overload per kind of value.
class KeyList {
 public:
  void text(const std::string& key, std::string_view value) { add(key, yaml_text(value)); }
  void integer(const std::string& key, std::int64_t value) { add(key, std::to_string(value)); }
  void boolean(const std::string& key, bool value) { add(key, value ? "true" : "false"); }
  void number(const std::string& key, double value) { add(key, format_number(value)); }
  void bandwidth(const std::string& key, double bits) { add(key, format_bandwidth(bits)); }
  template <class T>
  void quantity(const std::string& key, T value, const Dimension<T>& dimension) {
    add(key, format_quantity(value, dimension));
  }
  void add(const std::string& key, std::string value) { keys_.emplace_back(key, std::move(value)); }
  std::vector<std::pair<std::string, std::string>> take() { return std::move(keys_); }

 private:
  std::vector<std::pair<std::string, std::string>> keys_;
};

void list_timing(const EngineTiming& timing, KeyList& keys) {
  for (const Phase& phase : timing.phases) {
    for (const auto& [name, event] : kPhaseEventNames) {
      const PhaseCycles& cycles = phase.at[static_cast<std::size_t>(event)];
      if (cycles == PhaseCycles{}) continue;
      keys.add("engine.timing.phases." + phase.name + '.' + std::string(name), yaml_text(cycles));
    }
    if (phase == Phase{.name = phase.name}) {
      keys.add("engine.timing.phases." + phase.name + ".tile", "0");
    }
  }
  if (!timing.phases.empty()) return;
  if (timing.load) {
    keys.add("engine.timing.load", yaml_text(*timing.load));
  }
  if (timing.load_hidden) {
    keys.text("engine.timing.load_overlap", name_in(kLoadOverlaps, *timing.load_hidden));
  }
  if (timing.fill) {
    keys.add("engine.timing.fill", yaml_text(*timing.fill));
  }
  if (timing.drain) {
    keys.add("engine.timing.drain", yaml_text(*timing.drain));
  }
  keys.text("engine.timing.folds", to_string(timing.folds));
  if (timing.stream_block) {
    keys.integer("engine.timing.stream_block", *timing.stream_block);
  } else {
    keys.text("engine.timing.stream_block", kArrayRows);
  }
  keys.boolean("engine.timing.pad_last_block", timing.pad_last_block);
  keys.integer("engine.timing.fold_gap", timing.fold_gap);
}

void list_engine(const Engine& engine, KeyList& keys) {
  const bool array = engine.kind == EngineKind::mac_array;
  keys.text("engine.kind", to_string(engine.kind));
  keys.integer("engine.rows", engine.rows);
  keys.integer("engine.columns", engine.columns);
  if (!array || engine.dataflow != Dataflow::input_stationary) {
    keys.integer("engine.tiles", engine.tiles);
  }
  if (array) {
    keys.text("engine.dataflow", to_string(engine.dataflow));
  }
  keys.text("engine.reduction", to_string(engine.reduction));
  keys.text("engine.groups", to_string(engine.groups));
  keys.integer("engine.fold_stride_channels", engine.fold_stride_channels);
  if (!array) {
    keys.text("engine.fully_connected", to_string(engine.fully_connected));
    if (const auto& block = engine.position_block) {
      keys.add("engine.position_block",
               yaml_list({std::to_string(block->height), std::to_string(block->width)}));
    }
    keys.text("engine.columns_in", name_in(kColumnPlaces, engine.columns_in_time));
  }
  if (array && engine.dataflow == Dataflow::weight_stationary) {
    keys.text("engine.weights", to_string(engine.weights));
  }
  keys.integer("engine.accumulator_bits", engine.accumulator_bits);
  keys.text("engine.accumulator_overflow", to_string(engine.accumulator_overflow));
  keys.text("engine.unit", engine.unit);
  if (array) {
    keys.text("engine.precision.scaling", to_string(engine.scaling));
    keys.integer("engine.precision.max_bits", engine.max_bits);
    if (engine.scaling != Scaling::fixed) {
      std::vector<std::string> widths;
      for (const int width : engine.supported_bits) {
        widths.push_back(std::to_string(width));
      }
      keys.add("engine.precision.supported_bits", yaml_list(widths));
    }
    keys.boolean("engine.precision.temporal", engine.temporal);
  } else {
    keys.text("engine.precision.serial", to_string(engine.serial));
    keys.integer("engine.precision.lanes", engine.lanes);
    keys.integer("engine.precision.blocks", engine.blocks);
    if (engine.serial != SerialOperand::both) {
      keys.integer("engine.precision.parallel_bits", engine.parallel_bits);
    }
    if (engine.serial != SerialOperand::activations) {
      keys.integer("engine.precision.weight_bits_per_cycle", engine.weight_bits_per_cycle);
    }
    if (engine.serial != SerialOperand::weights) {
      keys.integer("engine.precision.activation_bits_per_cycle", engine.activation_bits_per_cycle);
    }
    keys.integer("engine.precision.max_weight_bits", engine.max_weight_bits);
    keys.integer("engine.precision.max_activation_bits", engine.max_activation_bits);
    if (engine.serial != SerialOperand::activations) {
      keys.boolean("engine.precision.sign_plane", engine.sign_plane);
    }
    if (const auto& bits = engine.unit_bits) {
      keys.add("engine.precision.unit_bits",
               yaml_list({std::to_string(bits->weight), std::to_string(bits->activation)}));
    }
  }
  list_timing(engine.timing, keys);
}

void list_buffer(const std::string& path, const Buffer& buffer, KeyList& keys) {
  keys.quantity(path + ".capacity", buffer.capacity, kSize);
  keys.boolean(path + ".double_buffered", buffer.double_buffered);
  if (buffer.read_port) {
    keys.bandwidth(path + ".read_port", *buffer.read_port);
  }
  if (buffer.write_port) {
    keys.bandwidth(path + ".write_port", *buffer.write_port);
  }
  keys.text(path + ".sram", buffer.sram);
}

void list_memory(const Memory& memory, KeyList& keys) {
  keys.bandwidth("memory.dram.bandwidth", memory.dram.bandwidth);
  keys.quantity("memory.dram.latency", memory.dram.latency, kCycleCount);
  keys.quantity("memory.dram.burst", memory.dram.burst, kSize);
  keys.text("memory.dram.technology", memory.dram.technology);
  keys.quantity("memory.dram.request", memory.dram.request, kSize);
  keys.integer("memory.dram.outstanding", memory.dram.outstanding);
  list_buffer("memory.input_buffer", memory.input_buffer, keys);
  list_buffer("memory.weight_buffer", memory.weight_buffer, keys);
  list_buffer("memory.output_buffer", memory.output_buffer, keys);
  keys.text("memory.input_layout", to_string(memory.input_layout));
  keys.boolean("memory.fetch_padding", memory.fetch_padding);
  if (memory.scratchpad) {
    keys.quantity("memory.scratchpad.capacity", memory.scratchpad->capacity, kSize);
    keys.bandwidth("memory.scratchpad.bandwidth", memory.scratchpad->bandwidth);
    keys.quantity("memory.scratchpad.latency", memory.scratchpad->latency, kCycleCount);
    keys.text("memory.scratchpad.sram", memory.scratchpad->sram);
  }
  keys.boolean("memory.keep_on_chip", memory.keep_on_chip);
  if (memory.output_bits) {
    keys.integer("memory.output_bits", *memory.output_bits);
  }
  keys.boolean("memory.read_initial_sums", memory.read_initial_sums);
}

}  // namespace

Accelerator read_accelerator(const std::string& path, std::span<const std::string> overrides) {
  return read(load_yaml(path, overrides), path, true);
}

Accelerator parse_accelerator(std::string_view text, const std::string& file,
                              std::span<const std::string> overrides) {
  return read(parse_yaml(text, file, overrides), file, false);
}

std::vector<std::pair<std::string, std::string>> resolved_keys(const Accelerator& accelerator) {
  KeyList keys;
  keys.text("name", accelerator.name);
  if (!accelerator.description.empty()) {
    keys.text("description", accelerator.description);
  }
  if (!accelerator.reproduces.empty()) {
    keys.text("reproduces", accelerator.reproduces);
  }
  std::vector<std::string> leaves_out;
  for (const std::string& item : accelerator.leaves_out) {
    leaves_out.push_back(yaml_text(item));
  }
  keys.add("leaves_out", yaml_list(leaves_out));
  keys.quantity("clock", accelerator.clock, kFrequency);
  keys.text("energy", accelerator.energy_table);
  list_engine(accelerator.engine, keys);
  list_memory(accelerator.memory, keys);
  keys.integer("post_processing.lanes", accelerator.post_processing.lanes);
  keys.quantity("post_processing.latency", accelerator.post_processing.latency, kCycleCount);
  keys.text("tiling.objective", to_string(accelerator.tiling.objective));
  keys.number("tiling.slack", accelerator.tiling.slack);
  for (const auto& [layer, tile] : accelerator.tiling.fixed) {
    const std::string path = join_path("tiling.fixed", layer);
    keys.integer(path + ".batch", tile.batch);
    keys.integer(path + ".out_h", tile.out_h);
    keys.integer(path + ".out_w", tile.out_w);
    keys.integer(path + ".out_channels", tile.out_channels);
    keys.integer(path + ".in_channels", tile.in_channels);
    keys.integer(path + ".groups", tile.groups);
    keys.text(path + ".order", to_string(tile.order));
  }
  return keys.take();
}

std::string_view to_string(EngineKind kind) { return name_in(kEngineKinds, kind); }
std::string_view to_string(Dataflow dataflow) { return name_in(kDataflows, dataflow); }
std::string_view to_string(Scaling scaling) { return name_in(kScalings, scaling); }
std::string_view to_string(SerialOperand serial) { return name_in(kSerialOperands, serial); }
std::string_view to_string(Reduction reduction) { return name_in(kReductions, reduction); }
std::string_view to_string(GroupMapping groups) { return name_in(kGroupMappings, groups); }
std::string_view to_string(WeightDelivery weights) { return name_in(kWeightDeliveries, weights); }
std::string_view to_string(VectorMapping mapping) { return name_in(kVectorMappings, mapping); }
std::string_view to_string(FoldOverlap folds) { return name_in(kFoldOverlaps, folds); }
std::string_view to_string(AccumulatorOverflow overflow) {
  return name_in(kAccumulatorOverflows, overflow);
}
std::string_view to_string(InputLayout layout) { return name_in(kInputLayouts, layout); }
std::string_view to_string(Objective objective) { return name_in(kObjectives, objective); }
std::string_view to_string(LoopOrder order) { return name_in(kLoopOrders, order); }

}  // namespace widthwise
