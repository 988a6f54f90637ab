#include "models/hardware/accelerator_reader.hpp"

#include <algorithm>
#include <utility>

#include <catch2/catch.hpp>

#include "tests/config/reading.hpp"

namespace widthwise {
namespace {

using Strings = std::vector<std::string>;

// The shortest of each kind: only what has no default.
const std::string kArray = R"(schema: accelerator/1
name: example
clock: 500 MHz
energy: ../energy/table.yaml
engine:
  kind: mac_array
  rows: 16
  columns: 32
  unit: pe
  precision: {scaling: fusion, max_bits: 8, supported_bits: [2, 4, 8]}
memory:
  dram: {bandwidth: 192 bit/cycle, technology: ddr3}
  input_buffer: {capacity: 32 KiB}
  weight_buffer: {capacity: 64 KiB}
  output_buffer: {capacity: 16 KiB}
)";
const std::string kSerial =
    with(with(kArray, "mac_array", "bit_serial"),
         "{scaling: fusion, max_bits: 8, supported_bits: [2, 4, 8]}", "{serial: both, lanes: 256}");

const std::string kFull = R"(schema: accelerator/1
name: everything
description: "every key: no default"
reproduces: a machine
leaves_out: [host, "instruction memory, and its bus"]
clock: 0.5 GHz
energy: table.yaml
engine:
  kind: mac_array
  rows: 8
  columns: 4
  dataflow: weight_stationary
  reduction: auto
  groups: block_diagonal
  weights: streamed
  accumulator_bits: 24
  accumulator_overflow: saturate
  unit: pe
  precision: {scaling: subword, max_bits: 16, supported_bits: [4, 8, 16], temporal: true}
  timing:
    load: {rows: 1, columns: 2, used_columns: 3, constant: -4}
    load_overlap: none
    fill: 5
    drain: {columns: 1}
    folds: serial
    stream_block: 4
    pad_last_block: true
    fold_gap: 2
memory:
  dram: {bandwidth: 12.8 GB/s, latency: 7 cycles, burst: 64 B, technology: lpddr4, request: 4 KiB, outstanding: 3}
  input_buffer: {capacity: 1 KiB, double_buffered: false, read_port: 256 bit/cycle, write_port: 8 B/cycle, sram: small}
  weight_buffer: {capacity: 2 KiB}
  output_buffer: {capacity: 3 KiB, read_port: 1.5 bit/cycle}
  input_layout: im2col
  fetch_padding: true
  scratchpad: {capacity: 256 KiB, bandwidth: 512 bit/cycle, latency: 2 cycles, sram: big}
  keep_on_chip: false
  output_bits: 32
  read_initial_sums: true
post_processing: {lanes: 32, latency: 9 cycles}
tiling:
  objective: edp
  fixed:
    layer1.0.conv1: {batch: 2, out_h: 7, out_w: 56, out_channels: 64, in_channels: 32, groups: 3, order: nkm}
    fc: {out_channels: 10}
)";

std::string read(const std::string& text, const Strings& overrides = {}) {
  return complaints([&] { parse_accelerator(text, "f.yaml", overrides); });
}

/// The message about the shortest machine with one key set as told.
std::string array_with(const std::string& override) {
  const std::string text = read(kArray, {override});
  const std::string place = "--set " + override + ": error: ";
  REQUIRE_THAT(text, Catch::StartsWith(place));
  return text.substr(place.size());
}
std::string serial_with(const Strings& overrides) { return read(kSerial, overrides); }

TEST_CASE("The shortest accelerator takes everything else from the structs") {
  const Accelerator accelerator = parse_accelerator(kArray, "configs/accelerators/f.yaml");
  const Accelerator defaults;
  CHECK(accelerator.name == "example");
  CHECK(accelerator.source == "configs/accelerators/f.yaml");
  CHECK(accelerator.clock == Hertz(5e8));
  CHECK(accelerator.energy_table == "configs/energy/table.yaml");
  CHECK(accelerator.engine.rows == 16);
  CHECK(accelerator.engine.columns == 32);
  CHECK(accelerator.engine.scaling == Scaling::fusion);
  CHECK(accelerator.engine.supported_bits == std::vector<int>{2, 4, 8});
  CHECK(accelerator.engine.dataflow == defaults.engine.dataflow);
  CHECK(accelerator.engine.accumulator_bits == defaults.engine.accumulator_bits);
  CHECK(accelerator.engine.accumulator_overflow == AccumulatorOverflow::wrap);
  CHECK_FALSE(accelerator.engine.timing.load);
  CHECK_FALSE(accelerator.engine.timing.load_hidden);
  CHECK(accelerator.memory.dram.bandwidth == 192);
  CHECK(accelerator.memory.dram.request == defaults.memory.dram.request);
  CHECK(accelerator.memory.input_buffer.capacity == Bytes(32 * 1024));
  CHECK_FALSE(accelerator.memory.input_buffer.read_port);
  CHECK_FALSE(accelerator.memory.scratchpad);
  CHECK_FALSE(accelerator.memory.output_bits);
  CHECK(accelerator.post_processing.lanes == defaults.post_processing.lanes);
  CHECK(accelerator.tiling.fixed.empty());
}

TEST_CASE("Every key arrives where it belongs") {
  const Accelerator a = parse_accelerator(kFull, "f.yaml");
  CHECK(a.description == "every key: no default");
  CHECK(a.reproduces == "a machine");
  CHECK(a.leaves_out == Strings{"host", "instruction memory, and its bus"});
  CHECK(a.energy_table == "table.yaml");
  CHECK(a.engine.dataflow == Dataflow::weight_stationary);
  CHECK(a.engine.reduction == Reduction::automatic);
  CHECK(a.engine.groups == GroupMapping::block_diagonal);
  CHECK(a.engine.weights == WeightDelivery::streamed);
  CHECK(a.engine.accumulator_bits == 24);
  CHECK(a.engine.accumulator_overflow == AccumulatorOverflow::saturate);
  CHECK(a.engine.unit == "pe");
  CHECK(a.engine.scaling == Scaling::subword);
  CHECK(a.engine.max_bits == 16);
  CHECK(a.engine.temporal);
  CHECK(a.engine.timing.load == LinearCycles{1, 2, 3, -4});
  CHECK(a.engine.timing.load_hidden == false);
  CHECK(a.engine.timing.fill == LinearCycles{0, 0, 0, 5});
  CHECK(a.engine.timing.drain == LinearCycles{0, 1, 0, 0});
  CHECK(a.engine.timing.folds == FoldOverlap::serial);
  CHECK(a.engine.timing.stream_block == 4);
  CHECK(a.engine.timing.pad_last_block);
  CHECK(a.engine.timing.fold_gap == 2);
  CHECK(a.memory.dram.bandwidth == 12.8e9 * 8 / 5e8);
  CHECK(a.memory.dram.latency == Cycles(7));
  CHECK(a.memory.dram.burst == Bytes(64));
  CHECK(a.memory.dram.technology == "lpddr4");
  CHECK(a.memory.dram.request == Bytes(4096));
  CHECK(a.memory.dram.outstanding == 3);
  CHECK_FALSE(a.memory.input_buffer.double_buffered);
  CHECK(a.memory.input_buffer.read_port == 256);
  CHECK(a.memory.input_buffer.write_port == 64);
  CHECK(a.memory.input_buffer.sram == "small");
  CHECK(a.memory.weight_buffer.capacity == Bytes(2048));
  CHECK(a.memory.output_buffer.read_port == 1.5);
  CHECK(a.memory.input_layout == InputLayout::im2col);
  CHECK(a.memory.fetch_padding);
  REQUIRE(a.memory.scratchpad);
  CHECK(a.memory.scratchpad->capacity == Bytes(256 * 1024));
  CHECK(a.memory.scratchpad->bandwidth == 512);
  CHECK(a.memory.scratchpad->latency == Cycles(2));
  CHECK(a.memory.scratchpad->sram == "big");
  CHECK_FALSE(a.memory.keep_on_chip);
  CHECK(a.memory.output_bits == 32);
  CHECK(a.memory.read_initial_sums);
  CHECK(a.post_processing.lanes == 32);
  CHECK(a.post_processing.latency == Cycles(9));
  CHECK(a.tiling.objective == Objective::edp);
  REQUIRE(a.tiling.fixed.size() == 2);
  CHECK(a.tiling.fixed.at("layer1.0.conv1") == Tile{2, 7, 56, 64, 32, 3, LoopOrder::nkm});
  Tile fc;
  fc.out_channels = 10;
  CHECK(a.tiling.fixed.at("fc") == fc);
}

TEST_CASE("Every key of a bit-serial engine arrives where it belongs") {
  const Engine engine =
      parse_accelerator(kSerial, "f.yaml",
                        Strings{"engine.precision={serial: weights, lanes: 16, parallel_bits: 12, "
                                "weight_bits_per_cycle: 2, max_weight_bits: 6, "
                                "max_activation_bits: 10, sign_plane: true}"})
          .engine;
  CHECK(engine.kind == EngineKind::bit_serial);
  CHECK(engine.serial == SerialOperand::weights);
  CHECK(engine.lanes == 16);
  CHECK(engine.parallel_bits == 12);
  CHECK(engine.weight_bits_per_cycle == 2);
  CHECK(engine.max_weight_bits == 6);
  CHECK(engine.max_activation_bits == 10);
  CHECK(engine.sign_plane);
}

TEST_CASE(
    "Copies of an array, folded first layers and staggered vectors arrive where they belong") {
  const Engine engine =
      parse_accelerator(kSerial, "f.yaml",
                        Strings{"engine.tiles=16", "engine.fold_stride_channels=3",
                                "engine.fully_connected=staggered"})
          .engine;
  CHECK(engine.tiles == 16);
  CHECK(engine.fold_stride_channels == 3);
  CHECK(engine.fully_connected == VectorMapping::staggered);
  CHECK(parse_accelerator(kArray, "f.yaml", Strings{"engine.tiles=4"}).engine.tiles == 4);
}

// Every key of a machine with phases.
const std::string kPhases = with(
    with(with(kSerial, "rows: 16", "rows: 6\n  position_block: [2, 3]\n  columns_in: time"),
         "lanes: 256", "lanes: 32, blocks: 9, activation_bits_per_cycle: 4, unit_bits: [1, 2]"),
    "memory:", R"(  timing:
    phases:
      load: {step: {kernel: 1, constant: 16}, tile: 5}
      compute: {step: {stream: true, constant: 8}}
      store: {fold: {output_passes: 15, constant: 3}}
      index: {next_pass: 4, next_reduction: 6, next_channels: 8, next_column: 11, next_row: 14}
      idle: {}
memory:)");

TEST_CASE("Every key of an engine with phases arrives where it belongs") {
  const Engine engine = parse_accelerator(kPhases, "f.yaml").engine;
  CHECK(engine.position_block == PositionBlock{2, 3});
  CHECK(engine.columns_in_time);
  CHECK(engine.blocks == 9);
  CHECK(engine.unit_bits == LayerWidths{1, 2});
  const auto at = [&](std::size_t phase, PhaseEvent event) {
    return engine.timing.phases[phase].at[static_cast<std::size_t>(event)];
  };
  REQUIRE(engine.timing.phases.size() == 5);
  CHECK(engine.timing.phases[0].name == "load");
  CHECK(at(0, PhaseEvent::step) == PhaseCycles{1, 0, 16, false});
  CHECK(at(0, PhaseEvent::tile) == PhaseCycles{0, 0, 5, false});
  CHECK(at(1, PhaseEvent::step) == PhaseCycles{0, 0, 8, true});
  CHECK(at(2, PhaseEvent::fold) == PhaseCycles{0, 15, 3, false});
  CHECK(at(3, PhaseEvent::next_pass).constant == 4);
  CHECK(at(3, PhaseEvent::next_reduction).constant == 6);
  CHECK(at(3, PhaseEvent::next_channels).constant == 8);
  CHECK(at(3, PhaseEvent::next_column).constant == 11);
  CHECK(at(3, PhaseEvent::next_row).constant == 14);
  CHECK(engine.timing.phases[4] == Phase{.name = "idle"});
}

TEST_CASE("Phases have a name, one stream and nothing beside them") {
  CHECK(read(kPhases) == kNoComplaint);
  CHECK(read(kPhases, {"engine.timing.phases.Load=1"}) ==
        "--set engine.timing.phases.Load=1: error: engine.timing.phases.Load: expected a name of "
        "lower-case letters, digits and _, got 'Load'\n"
        "--set engine.timing.phases.Load=1: error: engine.timing.phases.Load: expected a mapping, "
        "got '1'");
  CHECK(read(kPhases, {"engine.timing.phases.load.setp=1"}) ==
        "--set engine.timing.phases.load.setp=1: error: engine.timing.phases.load: unknown key "
        "'setp'");
  CHECK(read(kPhases, {"engine.timing.phases.load.step.kernel=-1"}) ==
        "--set engine.timing.phases.load.step.kernel=-1: error: "
        "engine.timing.phases.load.step.kernel: expected 0..1000, got -1");
  CHECK(read(kPhases, {"engine.timing.phases.load.tile=-1"}) ==
        "--set engine.timing.phases.load.tile=-1: error: engine.timing.phases.load.tile: expected "
        "0..1000000, got -1");
  CHECK(read(kPhases, {"engine.timing.phases.load.fold={stream: true}"}) ==
        "--set engine.timing.phases.load.fold={stream: true}: error: "
        "engine.timing.phases.load.fold: unknown key 'stream'");
  CHECK(read(kPhases, {"engine.timing.phases.load.step.stream=true"}) ==
        "f.yaml:14:5: error: engine.timing.phases: expected one phase with 'step: {stream: true}', "
        "got 2");
  CHECK(read(kPhases, {"engine.timing.phases={}"}) ==
        "--set engine.timing.phases={}: error: engine.timing.phases: expected one phase with "
        "'step: {stream: true}', got 0");
  CHECK(read(kPhases, {"engine.timing.fold_gap=1"}) ==
        "--set engine.timing.fold_gap=1: error: engine.timing.fold_gap: not allowed with 'phases'");
  CHECK(read(kPhases, {"memory.input_buffer.read_port=8 bit/cycle"}) ==
        "--set memory.input_buffer.read_port=8 bit/cycle: error: memory.input_buffer.read_port: "
        "not allowed with 'engine.timing.phases'");
  CHECK(array_with("engine.timing.phases={}") ==
        "engine.timing.phases: not allowed with 'kind: mac_array'");
  CHECK(read(with(kPhases, "columns_in: time", "fully_connected: staggered")) ==
        "f.yaml:9:3: error: engine.fully_connected: expected on_rows with 'timing.phases', got "
        "staggered");
}

TEST_CASE("A block of positions fills the rows; units stand side by side along channels only") {
  CHECK(serial_with({"engine.position_block=[4, 5]"}) ==
        "--set engine.position_block=[4, 5]: error: engine.position_block: expected two sizes "
        "whose product is rows (16), got [4, 5]");
  CHECK(serial_with({"engine.position_block=[16]"}) ==
        "--set engine.position_block=[16]: error: engine.position_block: expected two sizes "
        "whose product is rows (16), got [16]");
  CHECK(array_with("engine.position_block=[4, 4]") ==
        "engine.position_block: not allowed with 'kind: mac_array'");
  CHECK(array_with("engine.columns_in=space") ==
        "engine.columns_in: not allowed with 'kind: mac_array'");
  CHECK(serial_with({"engine.columns_in=times"}) ==
        "--set engine.columns_in=times: error: engine.columns_in: expected one of 'space', 'time', "
        "got 'times'; did you mean 'time'?");
  CHECK(serial_with({"engine.columns_in=time", "engine.fully_connected=staggered"}) ==
        "--set engine.columns_in=time: error: engine.columns_in: expected space with "
        "'fully_connected: staggered', got time");
  CHECK(serial_with({"engine.reduction=im2col", "engine.precision.blocks=2"}) ==
        "--set engine.precision.blocks=2: error: engine.precision.blocks: expected 1 with "
        "'reduction: im2col', got 2");
  CHECK(serial_with({"engine.precision.unit_bits=[1]"}) ==
        "--set engine.precision.unit_bits=[1]: error: engine.precision.unit_bits: expected two "
        "widths, of weights and activations, got 1");
}

TEST_CASE("The resolved keys, given back as overrides, make the same accelerator") {
  for (const std::string& text : {kArray, kSerial, kFull, kPhases}) {
    const Accelerator first = parse_accelerator(text, "configs/f.yaml");
    Strings overrides;
    for (const auto& [key, value] : first.resolved) {
      std::string override = key;
      override += '=';
      override += value;
      overrides.push_back(override);
    }
    const std::string& base = first.engine.kind == EngineKind::mac_array ? kArray : kSerial;
    const Accelerator second = parse_accelerator(base, "elsewhere/f.yaml", overrides);
    CHECK(second.resolved == first.resolved);
    CHECK(second.leaves_out == first.leaves_out);
    CHECK(second.energy_table == first.energy_table);
    CHECK(second.engine.timing.load == first.engine.timing.load);
    CHECK(second.engine.timing.phases == first.engine.timing.phases);
    CHECK(second.memory.dram.bandwidth == first.memory.dram.bandwidth);
    CHECK(second.tiling.fixed == first.tiling.fixed);
  }
}

TEST_CASE("A stream block of `rows` follows the array's rows, also when they are overridden") {
  const Strings overrides{"engine.timing.stream_block=rows", "engine.rows=24"};
  const Accelerator accelerator = parse_accelerator(kArray, "f.yaml", overrides);
  CHECK_FALSE(accelerator.engine.timing.stream_block);
  CHECK(std::count(accelerator.resolved.begin(), accelerator.resolved.end(),
                   std::pair<std::string, std::string>("engine.timing.stream_block", "rows")) == 1);
}

TEST_CASE("All mistakes of a file come at once, in the order of the file") {
  std::string text = with(kArray, "rows: 16", "rows: 0");
  text = with(text, "clock: 500 MHz", "clock: 500");
  text = with(text, "bandwidth: 192", "bandwith: 192");
  text = with(text, "  weight_buffer: {capacity: 64 KiB}\n", "");
  text = with(text, "[2, 4, 8]", "[4, 2, 8]");
  CHECK(read(text) ==
        "f.yaml:3:1: error: clock: expected a frequency such as '500 MHz', got '500'\n"
        "f.yaml:7:3: error: engine.rows: expected 1..1024, got 0\n"
        "f.yaml:10:45: error: engine.precision.supported_bits: expected ascending widths, got 2 "
        "after 4\n"
        "f.yaml:11:1: error: memory: missing key 'weight_buffer'\n"
        "f.yaml:12:3: error: memory.dram: missing key 'bandwidth'\n"
        "f.yaml:12:10: error: memory.dram: unknown key 'bandwith'; did you mean 'bandwidth'?");
}

TEST_CASE("What has no default must be there") {
  CHECK(read("schema: accelerator/1\n") ==
        "f.yaml:1:1: error: missing key 'name'\n"
        "f.yaml:1:1: error: missing key 'clock'\n"
        "f.yaml:1:1: error: missing key 'energy'\n"
        "f.yaml:1:1: error: missing key 'engine'\n"
        "f.yaml:1:1: error: missing key 'memory'");
  CHECK(read(with(kArray, "  unit: pe\n", "")) == "f.yaml:5:1: error: engine: missing key 'unit'");
  CHECK(read(with(kArray, "{capacity: 32 KiB}", "{}")) ==
        "f.yaml:13:3: error: memory.input_buffer: missing key 'capacity'");
}

TEST_CASE("Values out of range name the range") {
  CHECK(array_with("clock=1 Hz") == "clock: expected 1 kHz .. 100 GHz, got '1 Hz'");
  CHECK(array_with("engine.columns=1025") == "engine.columns: expected 1..1024, got 1025");
  CHECK(array_with("engine.tiles=0") == "engine.tiles: expected 1..1024, got 0");
  CHECK(array_with("engine.fold_stride_channels=-1") ==
        "engine.fold_stride_channels: expected 0..1024, got -1");
  CHECK(array_with("engine.accumulator_bits=65") ==
        "engine.accumulator_bits: expected 1..64, got 65");
  CHECK(array_with("engine.accumulator_overflow=clip") ==
        "engine.accumulator_overflow: expected one of 'wrap', 'saturate', got 'clip'");
  CHECK(array_with("engine.precision.max_bits=17") ==
        "engine.precision.max_bits: expected 1..16, got 17");
  CHECK(array_with("engine.precision.supported_bits=[0, 8]") ==
        "engine.precision.supported_bits[0]: expected 1..16, got 0");
  CHECK(array_with("engine.timing.load=-1") == "engine.timing.load: expected 0..1000000, got -1");
  CHECK(array_with("engine.timing.fill={rows: 1001}") ==
        "engine.timing.fill.rows: expected -1000..1000, got 1001");
  CHECK(array_with("engine.timing.stream_block=0") ==
        "engine.timing.stream_block: expected 1..65536, got 0");
  CHECK(array_with("engine.timing.stream_block=row") ==
        "engine.timing.stream_block: expected a whole number, 1..65536, or 'rows', got 'row'");
  CHECK(array_with("engine.timing.fold_gap=-1") ==
        "engine.timing.fold_gap: expected 0..1000000, got -1");
  CHECK(array_with("memory.dram.bandwidth=0 bit/cycle") ==
        "memory.dram.bandwidth: expected 0.001 bit/cycle .. 1000000000 bit/cycle, got "
        "'0 bit/cycle'");
  CHECK(array_with("memory.dram.latency=-1 cycles") ==
        "memory.dram.latency: expected 0 cycles .. 1000000 cycles, got '-1 cycles'");
  CHECK(array_with("memory.dram.burst=0 B") ==
        "memory.dram.burst: expected 1 B .. 64 KiB, got '0 B'");
  CHECK(array_with("memory.dram.outstanding=0") ==
        "memory.dram.outstanding: expected 1..1024, got 0");
  CHECK(array_with("memory.weight_buffer.capacity=15 B") ==
        "memory.weight_buffer.capacity: expected 16 B .. 4 GiB, got '15 B'");
  CHECK(array_with("memory.weight_buffer.read_port=0 bit/cycle") ==
        "memory.weight_buffer.read_port: expected 0.001 bit/cycle .. 1000000000 bit/cycle, got "
        "'0 bit/cycle'");
  CHECK(array_with("memory.output_bits=0") == "memory.output_bits: expected 1..64, got 0");
  CHECK(array_with("post_processing.lanes=0") == "post_processing.lanes: expected 1..65536, got 0");
  CHECK(array_with("tiling.fixed={fc: {out_h: 0}}") ==
        "tiling.fixed.fc.out_h: expected at least 1, got 0");
  CHECK(serial_with({"engine.precision.lanes=0"}) ==
        "--set engine.precision.lanes=0: error: engine.precision.lanes: expected 1..65536, got 0");
}

TEST_CASE("Names outside a closed set list the set and the nearest") {
  CHECK(array_with("engine.kind=mac_aray") ==
        "engine.kind: expected one of 'mac_array', 'bit_serial', got 'mac_aray'; did you mean "
        "'mac_array'?");
  CHECK(array_with("engine.dataflow=output_stationry") ==
        "engine.dataflow: expected one of 'weight_stationary', 'output_stationary', "
        "'input_stationary', got 'output_stationry'; did you mean 'output_stationary'?");
  CHECK(array_with("engine.timing.load_overlap=true") ==
        "engine.timing.load_overlap: expected one of 'stream', 'none', got 'true'");
  CHECK(array_with("tiling.fixed={fc: {order: mmk}}") ==
        "tiling.fixed.fc.order: expected one of 'mnk', 'nmk', 'mkn', 'nkm', 'kmn', 'knm', got "
        "'mmk'; did you mean 'mnk'?");
}

TEST_CASE("Supported widths ascend to max_bits") {
  CHECK(array_with("engine.precision.supported_bits=[]") ==
        "engine.precision.supported_bits: expected at least one width");
  CHECK(array_with("engine.precision.supported_bits=[2, 2, 8]") ==
        "engine.precision.supported_bits: expected ascending widths, got 2 after 2");
  CHECK(array_with("engine.precision.supported_bits=[2, 4]") ==
        "engine.precision.supported_bits: expected the last width to be max_bits (8), got 4");
  CHECK(array_with("engine.precision={scaling: subword, max_bits: 8}") ==
        "engine.precision: missing key 'supported_bits'");
  CHECK(read(kArray, {"engine.precision.scaling=fixed"}) ==
        "f.yaml:10:45: error: engine.precision.supported_bits: not allowed with 'scaling: fixed'");
}

TEST_CASE("Keys of the other kind of engine are refused") {
  CHECK(array_with("engine.precision.lanes=4") ==
        "engine.precision.lanes: not allowed with 'kind: mac_array'");
  CHECK(serial_with({"engine.dataflow=weight_stationary", "engine.weights=streamed",
                     "engine.precision.max_bits=8"}) ==
        "--set engine.dataflow=weight_stationary: error: engine.dataflow: not allowed with 'kind: "
        "bit_serial'\n"
        "--set engine.precision.max_bits=8: error: engine.precision.max_bits: not allowed with "
        "'kind: bit_serial'\n"
        "--set engine.weights=streamed: error: engine.weights: not allowed with 'kind: "
        "bit_serial'");
}

TEST_CASE("Copies share no output channels in time; only bit-serial engines stagger vectors") {
  CHECK(read(kArray, {"engine.dataflow=input_stationary", "engine.tiles=2"}) ==
        "--set engine.tiles=2: error: engine.tiles: not allowed with 'dataflow: "
        "input_stationary'");
  CHECK(array_with("engine.fully_connected=staggered") ==
        "engine.fully_connected: not allowed with 'kind: mac_array'");
  CHECK(serial_with({"engine.fully_connected=stagered"}) ==
        "--set engine.fully_connected=stagered: error: engine.fully_connected: expected one of "
        "'on_rows', 'staggered', got 'stagered'; did you mean 'staggered'?");
}

TEST_CASE("Weights are preloaded or streamed only where they are stationary") {
  CHECK(read(kArray, {"engine.dataflow=output_stationary", "engine.weights=streamed"}) ==
        "--set engine.weights=streamed: error: engine.weights: not allowed with 'dataflow: "
        "output_stationary'");
}

TEST_CASE("Keys of the operand that is not serial are refused") {
  CHECK(serial_with({"engine.precision.parallel_bits=8"}) ==
        "--set engine.precision.parallel_bits=8: error: engine.precision.parallel_bits: not "
        "allowed with 'serial: both'");
  CHECK(serial_with(
            {"engine.precision.serial=weights", "engine.precision.activation_bits_per_cycle=2"}) ==
        "--set engine.precision.activation_bits_per_cycle=2: error: "
        "engine.precision.activation_bits_per_cycle: not allowed with 'serial: weights'");
  CHECK(serial_with({"engine.precision.serial=activations", "engine.precision.sign_plane=true",
                     "engine.precision.weight_bits_per_cycle=2"}) ==
        "--set engine.precision.sign_plane=true: error: engine.precision.sign_plane: not allowed "
        "with 'serial: activations'\n"
        "--set engine.precision.weight_bits_per_cycle=2: error: "
        "engine.precision.weight_bits_per_cycle: not allowed with 'serial: activations'");
}

TEST_CASE("A bit-serial engine takes no more planes at once than there are") {
  CHECK(serial_with(
            {"engine.precision.max_weight_bits=4", "engine.precision.weight_bits_per_cycle=5"}) ==
        "--set engine.precision.weight_bits_per_cycle=5: error: "
        "engine.precision.weight_bits_per_cycle: expected at most max_weight_bits (4), got 5");
  CHECK(serial_with({"engine.precision.max_weight_bits=4",
                     "engine.precision.weight_bits_per_cycle=4"}) == kNoComplaint);
}

TEST_CASE("Requests are whole bursts") {
  CHECK(read(kArray, {"memory.dram.burst=96 B"}) ==
        "f.yaml:12:3: error: memory.dram.request: expected a multiple of the burst (96 B), got "
        "'2 KiB'");
  CHECK(read(kArray, {"memory.dram.burst=96 B", "memory.dram.request=960 B"}) == kNoComplaint);
}

TEST_CASE("Half of a double buffer holds something") {
  CHECK(array_with("memory.input_buffer.capacity=31 B") ==
        "memory.input_buffer.capacity: expected at least 32 B with 'double_buffered: true', got "
        "'31 B'");
  CHECK(read(kArray, {"memory.input_buffer={capacity: 31 B, double_buffered: false}"}) ==
        kNoComplaint);
}

TEST_CASE("The output buffer has no port from the DMA") {
  CHECK(array_with("memory.output_buffer.write_port=8 bit/cycle") ==
        "memory.output_buffer.write_port: not allowed: the engine writes this buffer as fast as it "
        "computes");
}

TEST_CASE("A tile spans groups only where groups lie side by side") {
  CHECK(array_with("tiling.fixed={a.b: {groups: 2}}") ==
        "tiling.fixed.\"a.b\".groups: expected 1 without 'engine.groups: block_diagonal', got 2");
  CHECK(read(kArray, {"tiling.fixed={a: {groups: 2}}", "engine.groups=block_diagonal"}) ==
        kNoComplaint);
}

TEST_CASE("A wrong clock is reported once, not again where a bandwidth needs it") {
  const std::string text = with(kArray, "192 bit/cycle", "12.8 GB/s");
  CHECK(read(text) == kNoComplaint);
  CHECK(read(with(text, "500 MHz", "0 MHz")) ==
        "f.yaml:3:1: error: clock: expected 1 kHz .. 100 GHz, got '0 MHz'");
}

TEST_CASE("The energy table is looked for beside the file, or where an override says") {
  const TemporaryFolder folder("accelerator_reader");
  const std::string path = folder.write("accelerators/a.yaml", kArray);
  CHECK(complaints([&] { read_accelerator(path); }) ==
        path + ":4:1: error: energy: no such file: '" + folder.path() + "/energy/table.yaml'");
  const std::string table = folder.write("energy/table.yaml", "");
  CHECK(read_accelerator(path).energy_table == table);
  CHECK(read_accelerator(path, Strings{"energy=" + table}).energy_table == table);
  CHECK(parse_accelerator(kArray, path, Strings{"energy=x/y.yaml"}).energy_table == "x/y.yaml");
}

}  // namespace
}  // namespace widthwise
