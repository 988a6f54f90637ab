// Machines, networks and energies that the tests of cost, simulation and published figures share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "models/base/error.hpp"
#include "models/cost/plan.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_builder.hpp"
#include "models/network/network_yaml.hpp"
#include "models/network/shape_inference.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

/// For messages of the tests.
template <class Unit, class Rep>
std::ostream& operator<<(std::ostream& out, Quantity<Unit, Rep> quantity) {
  return out << quantity.count();
}

}  // namespace widthwise

namespace widthwise::test {

inline const std::string kSource = WIDTHWISE_SOURCE_DIR;

/// Of whole machines; the register-transfer designs in rtl/, arrays alone, have tests of their own.
inline std::vector<std::string> shipped_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kSource + "/configs/accelerators")) {
    if (!entry.is_regular_file()) continue;
    names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline Accelerator shipped(const std::string& name,
                           const std::vector<std::string>& overrides = {}) {
  return read_accelerator(kSource + "/configs/accelerators/" + name + ".yaml", overrides);
}

inline EnergyTable energy_of(const Accelerator& accelerator) {
  return read_energy_table(accelerator.energy_table);
}

inline Network workload(const std::string& name, const NetworkParameters& parameters = {}) {
  return read_network(kSource + "/workloads/" + name + ".yaml", parameters);
}

/// Round figures, so that energies can be worked out by hand: 1 pJ an operation and bit of buffer,
/// 10 pJ a bit of DRAM.
inline EnergyTable example_energy() {
  EnergyTable table;
  table.name = "example";
  table.path = "example";
  UnitEnergy unit;
  unit.name = "pe";
  unit.clock_per_cycle = Picojoules(0.5);
  unit.leakage = Milliwatts(0.001);
  for (BitWidth weight = 1; weight <= kMaxOperandWidth; ++weight) {
    for (BitWidth activation = 1; activation <= kMaxOperandWidth; ++activation) {
      unit.operations.push_back(
          {weight, activation, Picojoules(weight * activation / 64.0), "example"});
    }
  }
  table.units.push_back(unit);
  SramEnergy macro;
  macro.capacity = Bytes(1024);
  macro.read_per_bit = macro.write_per_bit = Picojoules(1);
  macro.leakage = Milliwatts(0.01);
  table.srams.push_back({"sram", {macro}});
  table.drams.push_back({"dram", Picojoules(10), Picojoules(10), "example"});
  table.post.requantize = Picojoules(1);
  table.post.operation = Picojoules(1);
  return table;
}

/// 4 x 4 output-stationary array of 8-bit PEs without fill or drain, 8 bit/cycle of DRAM, buffers
/// of 256 bytes.
inline Accelerator example_machine() {
  Accelerator machine;
  machine.name = "example";
  machine.source = "example";
  machine.clock = Hertz(1e9);
  machine.engine.rows = machine.engine.columns = 4;
  machine.engine.dataflow = Dataflow::output_stationary;
  machine.engine.unit = "pe";
  machine.engine.timing.load = machine.engine.timing.fill = machine.engine.timing.drain =
      LinearCycles{};
  machine.memory.dram.bandwidth = 8;
  machine.memory.dram.technology = "dram";
  machine.memory.input_buffer.capacity = Bytes(256);
  machine.memory.weight_buffer.capacity = Bytes(256);
  machine.memory.output_buffer.capacity = Bytes(256);
  machine.post_processing.lanes = 4;
  return machine;
}

struct Gemm {
  std::int64_t m = 1, n = 1, k = 1;
  LayerWidths widths;
};

struct Workload {
  Network network;
  WidthPlan widths;
};

/// Independent matrix products with constant weights; outputs stay at 8 bits.
inline Workload gemms(const std::vector<Gemm>& list) {
  NetworkBuilder builder("gemms");
  WidthPlan plan;
  std::vector<std::pair<TensorId, BitWidth>> inputs;
  for (const Gemm& gemm : list) {
    const std::string name = "gemm" + std::to_string(plan.layers.size());
    const Shape shape = {1, gemm.m, gemm.k};
    const InferredLayer inferred = infer_fully_connected(shape, gemm.n);
    Layer layer;
    layer.name = name;
    layer.kind = LayerKind::fully_connected;
    layer.op = "gemm";
    layer.compute = inferred.compute;
    const TensorId input = builder.add_input(name + ".in", shape);
    inputs.emplace_back(input, gemm.widths.activation);
    layer.inputs = {input};
    layer.output = builder.add_tensor(name, inferred.output);
    layer.weights = inferred.compute.weight_elements();
    builder.mark_output(layer.output);
    builder.add_layer(layer);
    plan.layers.push_back(gemm.widths);
  }
  Network network = builder.build();
  plan.stored.assign(network.tensors().size(), 8);
  for (const auto& [tensor, bits] : inputs) plan.stored[tensor] = bits;
  return {std::move(network), std::move(plan)};
}

/// One layer whose input is an input of the network.
inline Workload single(const InferredLayer& inferred, const Shape& input, LayerWidths widths,
                       BitWidth stored_output = 8) {
  NetworkBuilder builder("single");
  Layer layer;
  layer.name = "layer";
  layer.kind = inferred.compute.in_h * inferred.compute.in_w > 1 ? LayerKind::convolution
                                                                 : LayerKind::fully_connected;
  layer.op = "layer";
  layer.compute = inferred.compute;
  const TensorId in = builder.add_input("in", input);
  layer.inputs = {in};
  layer.output = builder.add_tensor("out", inferred.output);
  layer.weights = inferred.compute.weight_elements();
  builder.mark_output(layer.output);
  const TensorId out = layer.output;
  builder.add_layer(layer);
  Network network = builder.build();
  WidthPlan plan;
  plan.layers = {widths};
  plan.stored.assign(network.tensors().size(), 8);
  plan.stored[in] = widths.activation;
  plan.stored[out] = stored_output;
  return {std::move(network), std::move(plan)};
}

class Random {
 public:
  explicit Random(unsigned seed) : generator_(seed) {}
  std::int64_t operator()(std::int64_t least, std::int64_t most) {
    // Not a standard distribution: those differ between libraries.
    return least +
           static_cast<std::int64_t>(generator_() % static_cast<std::uint64_t>(most - least + 1));
  }
  bool coin() { return (*this)(0, 1) == 1; }
  template <class T>
  T pick(const std::vector<T>& from) {
    return from[static_cast<std::size_t>((*this)(0, static_cast<std::int64_t>(from.size()) - 1))];
  }

 private:
  std::mt19937_64 generator_;
};

/// A convolution (strided, padded, grouped or depthwise too) or a fully connected layer.
inline Workload random_layer(Random& random, std::int64_t most_pixels, std::int64_t most_channels,
                             LayerWidths widths) {
  const std::int64_t batch = random.pick<std::int64_t>({1, 1, 1, 2, 3});
  if (random(0, 3) == 0) {
    const Shape input = {batch, random(1, most_pixels), random(1, most_channels * 4)};
    return single(infer_fully_connected(input, random(1, most_channels * 4)), input, widths);
  }
  Window window;
  const std::int64_t kernel = random.pick<std::int64_t>({1, 3, 3, 5});
  for (int axis = 0; axis < 2; ++axis) {
    window.kernel[axis] = kernel;
    window.stride[axis] = random(1, 2);
    window.pad_begin[axis] = window.pad_end[axis] = random(0, kernel / 2);
  }
  std::int64_t channels = random(1, most_channels);
  std::int64_t groups = 1;
  std::int64_t out = random(1, most_channels);
  if (random(0, 3) == 0) {
    groups = out = channels;
  } else if (random(0, 4) == 0) {
    groups = 2;
    channels = 2 * ((channels + 1) / 2);
    out = 2 * ((out + 1) / 2);
  }
  const Shape input = {batch, channels, random(kernel, most_pixels), random(kernel, most_pixels)};
  return single(infer_convolution(input, out, groups, window), input, widths);
}

inline std::string describe(const ComputeShape& shape) {
  std::ostringstream text;
  text << "batch " << shape.batch << " groups " << shape.groups << " in " << shape.in_channels
       << "x" << shape.in_h << "x" << shape.in_w << " out " << shape.out_channels << "x"
       << shape.out_h << "x" << shape.out_w << " kernel " << shape.kernel_h << " stride "
       << shape.stride_h << "," << shape.stride_w << " pad " << shape.pad_top << ","
       << shape.pad_left;
  return text.str();
}

inline std::string describe(const Tile& tile) {
  std::ostringstream text;
  text << "tile batch " << tile.batch << " out " << tile.out_channels << "x" << tile.out_h << "x"
       << tile.out_w << " in " << tile.in_channels << " groups " << tile.groups << " order "
       << to_string(tile.order);
  return text.str();
}

/// Rows of a comma-separated file of the tests, by column; lines that start with # are skipped.
inline std::vector<std::vector<std::string>> read_csv(const std::string& path) {
  std::ifstream file(kSource + "/tests/" + path);
  ensure(file.is_open(), "cannot read " + path);
  std::vector<std::vector<std::string>> rows;
  bool heading = true;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    if (std::exchange(heading, false)) continue;
    std::vector<std::string> cells;
    std::istringstream text(line);
    for (std::string cell; std::getline(text, cell, ',');) cells.push_back(cell);
    rows.push_back(std::move(cells));
  }
  return rows;
}

}  // namespace widthwise::test
