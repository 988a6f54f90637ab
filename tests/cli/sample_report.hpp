// A report of three layers with figures that add up by hand.
#pragma once

#include "models/cost/cost_report.hpp"

namespace widthwise {

/// 40,000 cycles at 500 MHz; 20 uJ.
inline CostReport sample_report() {
  LayerCost conv;
  conv.name = "layer1.0.conv1";
  conv.kind = LayerKind::convolution;
  conv.macs = 1'000'000;
  conv.widths = {3, 4};
  conv.computed = {4, 4};
  conv.stored_input = 8;
  conv.stored_output = 4;
  conv.accumulator_bits = 20;
  conv.safe_accumulator_bits = 16;
  conv.cycles = {Cycles(24'000), Cycles(500),   Cycles(100), Cycles(300),
                 Cycles(2'000),  Cycles(3'000), Cycles(100)};
  conv.latency = Cycles(30'000);
  conv.utilization = 0.8125;
  conv.tile = Tile{1, 14, 28, 64, 32, 1, LoopOrder::nmk};
  conv.tiles = 12;
  conv.activity.dram_read = Bytes(1'500'000);
  conv.activity.dram_write = Bytes(250'000);
  conv.energy = {Picojoules(4e6),   Picojoules(1e6),   Picojoules(5e5),
                 Picojoules(2.5e5), Picojoules(2.5e5), Picojoules(0),
                 Picojoules(8e6),   Picojoules(5e5),   Picojoules(5e5)};
  conv.bitops = 12e6;
  conv.parameter_bits = 27'648;
  conv.bottleneck = "compute";
  conv.fused = {"relu", "requantize"};

  LayerCost pool;
  pool.name = "pool";
  pool.kind = LayerKind::pool;
  pool.widths = {4, 4};
  pool.computed = {4, 4};
  pool.stored_input = 4;
  pool.stored_output = 4;
  pool.cycles.stall_input = Cycles(6'000);
  pool.cycles.post = Cycles(2'000);
  pool.latency = Cycles(8'000);
  pool.activity.dram_read = Bytes(250'000);
  pool.activity.dram_write = Bytes(999);
  pool.energy.dram = Picojoules(3e6);
  pool.energy.post = Picojoules(1e6);
  pool.bottleneck = "DRAM";

  LayerCost fc;
  fc.name = "fc";
  fc.kind = LayerKind::fully_connected;
  fc.macs = 10'000;
  fc.widths = {8, 8};
  fc.computed = {8, 8};
  fc.stored_input = 8;
  fc.stored_output = 8;
  fc.accumulator_bits = 32;
  fc.safe_accumulator_bits = 26;
  fc.numerics = LayerNumerics{1'000, 3, 4, -70'000, 65'000, true};
  fc.cycles.busy = Cycles(500);
  fc.cycles.stall_weight = Cycles(1'500);
  fc.latency = Cycles(2'000);
  fc.utilization = 0.04;
  fc.tile = Tile{1, 1, 1, 10, 1000, 1, LoopOrder::mnk};
  fc.tiles = 1;
  fc.activity.dram_read = Bytes(10'240);
  fc.energy.compute = Picojoules(2e5);
  fc.energy.dram = Picojoules(8e5);
  fc.bitops = 640'000;
  fc.parameter_bits = 80'320;
  fc.bottleneck = "DRAM";

  CostReport report;
  report.accelerator = "tiny_array";
  report.network = "tiny";
  report.assignment = "mixed";
  report.fidelity = Fidelity::tile;
  report.clock = Hertz(500e6);
  report.resolved_accelerator = {
      {"name", "tiny_array"},          {"clock", "500 MHz"},
      {"engine.rows", "16"},           {"engine.supported_bits", "[2, 4, 8]"},
      {"memory.keep_on_chip", "true"}, {"tiling.fixed.\"layer1.0.conv1\".batch", "1"}};
  report.area.array = SquareMicrometres(6e5);
  report.area.input_buffer = SquareMicrometres(1e5);
  report.area.weight_buffer = SquareMicrometres(2e5);
  report.area.output_buffer = SquareMicrometres(5e4);
  report.area.post = SquareMicrometres(5e4);
  report.layers = {conv, pool, fc};
  report.ignored = {"Dropout (drop)"};
  report.leaves_out = {"instruction fetch", "refresh of the DRAM"};
  return report;
}

}  // namespace widthwise
