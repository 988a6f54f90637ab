// The cycle fidelity: what a stepped array computes is what plain integer arithmetic comes to, at
// every pair of widths, signed and unsigned, on every kind of array; and it takes the cycles that
// the tile fidelity says.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sim/cycle/kernels.hpp"
#include "sim/cycle/layer_computation.hpp"
#include "tests/cost/machines.hpp"
#include "tests/simulation/own_process.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

/// Independent layers in one network, each with its widths.
Workload layers(const std::vector<Workload>& singles) {
  NetworkBuilder builder("layers");
  WidthPlan plan;
  for (const Workload& single : singles) {
    Layer layer = single.network.layers().front();
    const std::string name = "layer" + std::to_string(plan.layers.size());
    const Tensor& input = single.network.tensors()[layer.inputs.front()];
    const Tensor& output = single.network.tensors()[layer.output];
    layer.name = name;
    layer.inputs = {builder.add_input(name + ".in", input.shape)};
    layer.output = builder.add_tensor(name + ".out", output.shape);
    builder.mark_output(layer.output);
    plan.stored.push_back(single.widths.layers.front().activation);
    plan.stored.push_back(8);
    plan.layers.push_back(single.widths.layers.front());
    builder.add_layer(layer);
  }
  return {builder.build(), std::move(plan)};
}

/// All pairs of widths; every third one under sanitizers, which see the same code at each.
constexpr bool is_taken(BitWidth weight, BitWidth activation) {
#ifdef __SANITIZE_ADDRESS__
  return (weight + 2 * activation) % 3 == 0;
#else
  return weight > 0 && activation > 0;
#endif
}

/// A random layer at every pair of widths that the machine computes with.
Workload every_width(const Accelerator& machine, unsigned seed) {
  Random random(seed);
  std::vector<Workload> singles;
  for (BitWidth weight = 1; weight <= kMaxOperandWidth; ++weight) {
    for (BitWidth activation = 1; activation <= kMaxOperandWidth; ++activation) {
      const LayerWidths widths{weight, activation};
      if (is_taken(weight, activation) && width_mode(machine.engine, widths)) {
        singles.push_back(random_layer(random, 7, 9, widths));
      }
    }
  }
  return layers(singles);
}

Accelerator roomy(Engine engine) {
  Accelerator machine = example_machine();
  engine.unit = "pe";
  engine.accumulator_bits = 48;
  machine.engine = std::move(engine);
  machine.memory.input_buffer.capacity = machine.memory.weight_buffer.capacity =
      machine.memory.output_buffer.capacity = Bytes(1 << 20);
  machine.ideal_memory = true;
  return machine;
}

Engine array(int rows, int columns, Dataflow dataflow) {
  Engine engine;
  engine.rows = rows;
  engine.columns = columns;
  engine.dataflow = dataflow;
  engine.max_bits = 16;
  return engine;
}

Engine serial(int rows, int columns, int lanes, SerialOperand operand) {
  Engine engine;
  engine.kind = EngineKind::bit_serial;
  engine.rows = rows;
  engine.columns = columns;
  engine.lanes = lanes;
  engine.serial = operand;
  return engine;
}

constexpr Dataflow kDataflows[] = {Dataflow::weight_stationary, Dataflow::output_stationary,
                                   Dataflow::input_stationary};

SimulationOptions stepped(bool signed_weights = true, bool signed_activations = true) {
  SimulationOptions options;
  options.step_cycles = true;
  options.operands.signed_weights = signed_weights;
  options.operands.signed_activations = signed_activations;
  return options;
}

/// As above; images of one position, which may be staggered.
Workload vectors_of_every_width(const Accelerator& machine, unsigned seed) {
  Random random(seed);
  std::vector<Workload> singles;
  for (BitWidth weight = 1; weight <= kMaxOperandWidth; ++weight) {
    for (BitWidth activation = 1; activation <= kMaxOperandWidth; ++activation) {
      const LayerWidths widths{weight, activation};
      if (!is_taken(weight, activation) || !width_mode(machine.engine, widths)) continue;
      const Shape shape = {random(1, 3), random(1, 60)};
      singles.push_back(single(infer_fully_connected(shape, random(1, 60)), shape, widths));
    }
  }
  return layers(singles);
}

/// Every pair of widths, in all four combinations of signs: exact, in the cycles of the tile
/// fidelity.
void check_exact(const Accelerator& machine, const std::string& name, bool vectors = false) {
  static unsigned seed = 0;
  ++seed;
  const Workload work =
      vectors ? vectors_of_every_width(machine, seed) : every_width(machine, seed);
  const EnergyTable energy = example_energy();
  const Figures tile = simulated(work.network, work.widths, machine, energy);
  REQUIRE(tile.layers.size() > 8);
  for (const bool signed_weights : {true, false}) {
    for (const bool signed_activations : {true, false}) {
      const Figures cycle = simulated(work.network, work.widths, machine, energy,
                                      stepped(signed_weights, signed_activations));
      for (std::size_t i = 0; i < cycle.layers.size(); ++i) {
        const Layer& layer = work.network.layers()[i];
        INFO(name << ", w" << work.widths.layers[i].weight << (signed_weights ? "" : " unsigned")
                  << " a" << work.widths.layers[i].activation
                  << (signed_activations ? "" : " unsigned") << ", " << describe(*layer.compute));
        REQUIRE(cycle.layers[i].numerics);
        const LayerNumerics& numerics = *cycle.layers[i].numerics;
        CHECK(numerics.outputs == layer.compute->output_elements());
        CHECK(numerics.wrong_outputs == 0);
        CHECK(numerics.overflows == 0);
        CHECK(cycle.layers[i].latency == tile.layers[i].latency);
        CHECK(cycle.layers[i].cycles.busy == tile.layers[i].cycles.busy);
        if (!machine.engine.timing.phases.empty()) {
          CHECK(cycle.layers[i].cycles == tile.layers[i].cycles);
        }
      }
    }
  }
}

/// Blocks of positions, kernel positions side by side, phases.
Engine phased(Random& random) {
  Engine engine = serial(6, 5, 7, SerialOperand::both);
  engine.position_block = PositionBlock{2, 3};
  engine.blocks = static_cast<int>(random(1, 9));
  engine.activation_bits_per_cycle = 4;
  for (const char* name : {"load", "compute", "store"}) {
    Phase& phase = engine.timing.phases.emplace_back(Phase{.name = name});
    for (PhaseCycles& at : phase.at) {
      at = {.kernel = static_cast<int>(random(0, 1)), .constant = static_cast<int>(random(0, 5))};
    }
  }
  engine.timing.phases[1].at[static_cast<std::size_t>(PhaseEvent::step)].stream = true;
  return engine;
}

/// The layer by nested loops over its output, kernel and channels.
std::vector<std::int64_t> by_loops(const sim::LayerOperands& operands) {
  const ComputeShape& s = operands.shape;
  std::vector<std::int64_t> result;
  for (std::int64_t g = 0; g < s.groups; ++g) {
    for (std::int64_t b = 0; b < s.batch; ++b) {
      for (std::int64_t oy = 0; oy < s.out_h; ++oy) {
        for (std::int64_t ox = 0; ox < s.out_w; ++ox) {
          for (std::int64_t n = 0; n < s.out_channels; ++n) {
            std::int64_t sum = 0;
            for (std::int64_t c = 0; c < s.in_channels; ++c) {
              for (std::int64_t ky = 0; ky < s.kernel_h; ++ky) {
                for (std::int64_t kx = 0; kx < s.kernel_w; ++kx) {
                  const std::int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
                  const std::int64_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
                  if (y < 0 || y >= s.in_h || x < 0 || x >= s.in_w) continue;
                  const std::int64_t channel = g * s.in_channels + c;
                  const std::int64_t k = (c * s.kernel_h + ky) * s.kernel_w + kx;
                  sum +=
                      std::int64_t{operands.input.at(static_cast<std::size_t>(
                          ((b * s.groups * s.in_channels + channel) * s.in_h + y) * s.in_w + x))} *
                      operands.weights.at(static_cast<std::size_t>((g * s.k() + k) * s.n() + n));
                }
              }
            }
            result.push_back(sum);
          }
        }
      }
    }
  }
  return result;
}

}  // namespace

TEST_CASE("stepped systolic arrays of any dataflow are exact at every width") {
  for (const Dataflow dataflow : kDataflows) {
    check_exact(roomy(array(4, 5, dataflow)), "4x5");
    check_exact(roomy(array(1, 1, dataflow)), "1x1");
    check_exact(roomy(array(7, 33, dataflow)), "7x33");
  }
}

TEST_CASE("stepped arrays that take wide operands in passes are exact at every width") {
  for (const Dataflow dataflow : kDataflows) {
    Engine engine = array(3, 4, dataflow);
    engine.max_bits = 5;
    engine.temporal = true;
    check_exact(roomy(engine), "5 bits a pass");
  }
}

TEST_CASE("stepped arrays of fusion units are exact at every width") {
  for (const Dataflow dataflow : kDataflows) {
    Engine engine = array(3, 6, dataflow);
    engine.scaling = Scaling::fusion;
    engine.max_bits = 8;
    engine.supported_bits = {2, 4, 8};
    engine.temporal = true;
    check_exact(roomy(engine), "bricks of 2 bits");
    engine.max_bits = 16;
    engine.supported_bits = {4, 8, 16};
    check_exact(roomy(engine), "bricks of 4 bits");
    engine.supported_bits = {1, 3, 16};
    check_exact(roomy(engine), "bricks of 1 bit");
  }
}

TEST_CASE("stepped arrays with sub-words are exact at every width") {
  for (const Dataflow dataflow : kDataflows) {
    Engine engine = array(4, 3, dataflow);
    engine.scaling = Scaling::subword;
    engine.supported_bits = {4, 8, 16};
    check_exact(roomy(engine), "sub-words");
  }
}

TEST_CASE(
    "stepped arrays with streamed weights, im2col, packed groups, copies and odd timing are "
    "exact") {
  Engine engine = array(4, 5, Dataflow::weight_stationary);
  engine.weights = WeightDelivery::streamed;
  engine.reduction = Reduction::im2col;
  check_exact(roomy(engine), "streamed");
  for (const Dataflow dataflow : kDataflows) {
    engine = array(6, 8, dataflow);
    engine.groups = GroupMapping::block_diagonal;
    check_exact(roomy(engine), "packed groups");
    engine = array(4, 3, dataflow);
    engine.timing.folds = FoldOverlap::serial;
    engine.timing.fold_gap = 3;
    check_exact(roomy(engine), "serial folds");
    engine.timing.folds = FoldOverlap::pipelined;
    engine.timing.stream_block.reset();
    engine.timing.load_hidden = false;
    engine.timing.drain = LinearCycles{.rows = 2, .columns = 2, .constant = 3};
    check_exact(roomy(engine), "exposed loads, blocks, gaps");
    engine.timing.pad_last_block = true;
    engine.timing.load_hidden = true;
    check_exact(roomy(engine), "padded");
    if (dataflow == Dataflow::input_stationary) continue;
    engine = array(4, 3, dataflow);
    engine.tiles = 3;
    check_exact(roomy(engine), "copies");
  }
}

TEST_CASE("stepped bit-serial arrays are exact at every width") {
  for (const SerialOperand operand :
       {SerialOperand::both, SerialOperand::weights, SerialOperand::activations}) {
    check_exact(roomy(serial(3, 5, 7, operand)), "7 lanes");
    Engine engine = serial(2, 17, 100, operand);
    engine.parallel_bits = 6;
    engine.timing.fold_gap = 2;
    check_exact(roomy(engine), "100 lanes, parallel operands in pieces");
    engine.parallel_bits = 16;
    engine.reduction = Reduction::im2col;
    if (operand != SerialOperand::activations) {
      engine.weight_bits_per_cycle = 3;
      engine.sign_plane = true;
    }
    if (operand != SerialOperand::weights) engine.activation_bits_per_cycle = 2;
    check_exact(roomy(engine), "several planes at once, sign plane");
    engine.groups = GroupMapping::block_diagonal;
    engine.tiles = 2;
    check_exact(roomy(engine), "packed groups, copies");
  }
}

TEST_CASE("stepped arrays with folded inputs are exact at every width") {
  for (const int channels : {1, 2, 3}) {
    for (const Dataflow dataflow : kDataflows) {
      Engine engine = array(4, 5, dataflow);
      engine.fold_stride_channels = channels;
      check_exact(roomy(engine), "folded");
    }
    Engine engine = serial(3, 5, 7, SerialOperand::activations);
    engine.fold_stride_channels = channels;
    check_exact(roomy(engine), "folded, bit-serial");
  }
}

TEST_CASE("stepped bit-serial arrays with staggered vectors are exact at every width") {
  for (const SerialOperand operand :
       {SerialOperand::both, SerialOperand::weights, SerialOperand::activations}) {
    for (const int rows : {3, 20}) {
      Engine engine = serial(rows, 5, 7, operand);
      engine.fully_connected = VectorMapping::staggered;
      engine.tiles = rows == 3 ? 2 : 1;
      check_exact(roomy(engine), "staggered", true);
      engine.timing.folds = FoldOverlap::serial;
      engine.timing.fold_gap = 3;
      engine.timing.drain = LinearCycles{.columns = 1, .used_columns = 1, .constant = 2};
      check_exact(roomy(engine), "staggered, serial folds", true);
      engine.timing.folds = FoldOverlap::pipelined;
      engine.timing.load = LinearCycles{.rows = 4, .constant = 9};
      engine.timing.load_hidden = operand == SerialOperand::both;
      engine.timing.stream_block = 7;
      check_exact(roomy(engine), "staggered, loads, blocks, gaps", true);
    }
  }
}

TEST_CASE("stepped bit-serial arrays with blocks of positions and columns in time are exact") {
  for (const SerialOperand operand :
       {SerialOperand::both, SerialOperand::weights, SerialOperand::activations}) {
    Engine engine = serial(6, 5, 7, operand);
    engine.position_block = PositionBlock{3, 2};
    check_exact(roomy(engine), "blocks of positions");
    engine.blocks = 9;
    check_exact(roomy(engine), "kernel positions and planes side by side");
    engine.columns_in_time = true;
    engine.tiles = 2;
    engine.timing.fold_gap = 2;
    engine.timing.stream_block = 4;
    check_exact(roomy(engine), "columns in time");
    engine.position_block.reset();
    engine.blocks = 4;
    engine.timing.folds = FoldOverlap::serial;
    engine.groups = GroupMapping::block_diagonal;
    check_exact(roomy(engine), "columns in time, packed groups");
  }
}

TEST_CASE("stepped bit-serial arrays with phases are exact at every width") {
  Random random(12);
  for (int i = 0; i < 6; ++i) {
    Engine engine = phased(random);
    engine.columns_in_time = i % 2 == 0;
    engine.tiles = i % 3 == 0 ? 2 : 1;
    check_exact(roomy(engine), "phases");
  }
}

TEST_CASE("stepped arrays behind small buffers and narrow ports are exact") {
  // Tiles of all loops, partial sums that travel, stalls, intervals between operands.
  const EnergyTable energy = example_energy();
  unsigned seed = 100;
  std::vector<Engine> engines;
  for (const Dataflow dataflow : kDataflows) {
    engines.push_back(array(4, 5, dataflow));
    engines.push_back(array(4, 5, dataflow));
    engines.back().groups = GroupMapping::block_diagonal;
    engines.back().timing.folds = FoldOverlap::serial;
    engines.push_back(array(3, 4, dataflow));
    engines.back().scaling = Scaling::fusion;
    engines.back().max_bits = 8;
    engines.back().supported_bits = {2, 4, 8};
    engines.back().temporal = true;
  }
  engines.push_back(serial(3, 5, 7, SerialOperand::both));
  engines.push_back(serial(3, 5, 70, SerialOperand::weights));
  engines.push_back(serial(3, 5, 7, SerialOperand::activations));
  engines.back().fully_connected = VectorMapping::staggered;
  engines.back().fold_stride_channels = 3;
  engines.push_back(serial(6, 5, 7, SerialOperand::both));
  engines.back().position_block = PositionBlock{2, 3};
  engines.back().columns_in_time = true;
  engines.back().blocks = 5;
  Random phases(9);
  engines.push_back(phased(phases));
  for (const Engine& engine : engines) {
    Accelerator machine = roomy(engine);
    machine.ideal_memory = false;
    machine.memory.dram.latency = Cycles(11);
    for (const std::int64_t bytes : {512, 4096}) {
      for (const bool ports : {false, true}) {
        if (ports && !engine.timing.phases.empty()) continue;  // they have none
        machine.memory.input_buffer.capacity = machine.memory.weight_buffer.capacity =
            machine.memory.output_buffer.capacity = Bytes(bytes);
        if (ports) {
          machine.memory.input_buffer.read_port = 21;
          machine.memory.weight_buffer.read_port = 33;
        }
        Random random(++seed);
        std::vector<Workload> singles;
        while (singles.size() < 20) {
          const LayerWidths widths{static_cast<BitWidth>(random(1, 8)),
                                   static_cast<BitWidth>(random(1, 8))};
          Workload single = random_layer(random, 9, 12, widths);
          if (engine.fully_connected == VectorMapping::staggered && random.coin()) {
            const Shape shape = {random(1, 3), random(1, 60)};
            single = test::single(infer_fully_connected(shape, random(1, 60)), shape, widths);
          }
          if (single.network.layers().front().compute->k() * 2 > bytes / 4) continue;
          singles.push_back(std::move(single));
        }
        const Workload work = layers(singles);
        INFO("seed " << seed);
        const Figures tile = simulated(work.network, work.widths, machine, energy);
        const Figures cycle = simulated(work.network, work.widths, machine, energy, stepped());
        for (std::size_t i = 0; i < cycle.layers.size(); ++i) {
          INFO(describe(*work.network.layers()[i].compute));
          const LayerFigures& played = cycle.layers[i];
          REQUIRE(played.numerics);
          CHECK(played.numerics->wrong_outputs == 0);
          CHECK(played.numerics->outputs == work.network.layers()[i].compute->output_elements());
          CHECK(played.cycles.total() == played.latency);
          CHECK(played.cycles.busy == tile.layers[i].cycles.busy);
          CHECK(played.activity.dram_read == tile.layers[i].activity.dram_read);
        }
      }
    }
  }
}

TEST_CASE("a layer that was not computed is noticed") {
  const Workload work = gemms({{5, 6, 7, {8, 8}}});
  const Accelerator machine = roomy(array(4, 5, Dataflow::weight_stationary));
  const NetworkPlan plan = plan_network(work.network, work.widths, machine, example_energy());
  const sim::LayerComputation computation(plan.layers.front(), machine.engine, {});
  CHECK_THROWS_AS(computation.check(), InternalError);
}

TEST_CASE("plain results are those of nested loops") {
  Random random(7);
  for (int i = 0; i < 200; ++i) {
    const Workload work = random_layer(random, 9, 40, {});
    sim::IntegerFormat weight{static_cast<BitWidth>(random(1, 16)), random.coin()};
    sim::IntegerFormat activation{static_cast<BitWidth>(random(1, 16)), random.coin()};
    const sim::LayerOperands operands =
        sim::random_operands(*work.network.layers().front().compute, weight, activation,
                             static_cast<std::uint64_t>(i), "layer");
    CHECK(sim::plain_result(operands) == by_loops(operands));
    for (const std::int32_t value : operands.weights) {
      CHECK(value >= weight.low());
      CHECK(value <= weight.high());
    }
  }
}

TEST_CASE("kernels of all instruction sets agree") {
  const sim::KernelList list = sim::available_kernels();
  Random random(3);
  for (int trial = 0; trial < 60; ++trial) {
    constexpr std::int64_t kColumns = 32;
    const std::int64_t rows = random(1, 9);
    const std::int64_t streams = random(1, 4);
    std::vector<std::int32_t> x(static_cast<std::size_t>(rows * streams * kColumns));
    std::vector<std::int32_t> y(x.size());
    for (auto* values : {&x, &y}) {
      for (std::int32_t& value : *values) value = static_cast<std::int32_t>(random(-128, 127));
    }
    std::vector<sim::Brick> bricks;
    for (std::int32_t b = 0; b < streams; ++b) {
      bricks.push_back({b, static_cast<std::int32_t>(streams) - 1 - b, 2 * b});
    }
    sim::SystolicCycle cycle;
    cycle.rows = rows;
    cycle.blocks = kColumns / sim::kLaneBlock;
    cycle.bricks = bricks.data();
    cycle.brick_count = streams;
    cycle.chained = random.coin();
    cycle.x = x.data();
    cycle.y = y.data();
    cycle.x_row = cycle.y_row = streams * kColumns;
    cycle.x_stream = cycle.y_stream = kColumns;
    using Mode = sim::AccumulatorRule::Mode;
    for (const Mode mode : {Mode::unchecked, Mode::wrap, Mode::saturate}) {
      sim::AccumulatorRule rule;
      rule.mode = mode;
      rule.bits = static_cast<int>(random(8, 32));
      rule.high = (std::int64_t{1} << (rule.bits - 1)) - 1;
      rule.low = -rule.high - 1;
      std::vector<std::int32_t> narrow;
      std::vector<std::int64_t> wide;
      std::int64_t overflows = 0;
      for (int k = 0; k < list.count; ++k) {
        std::vector<std::int32_t> a(static_cast<std::size_t>(rows * kColumns), rule.bits);
        std::vector<std::int64_t> b(static_cast<std::size_t>(rows * kColumns), rule.bits);
        std::int64_t left = 0;
        for (int i = 0; i < 5; ++i) left += list.kernels[k]->narrow.systolic(cycle, a.data(), rule);
        std::int64_t left_wide = 0;
        for (int i = 0; i < 5; ++i)
          left_wide += list.kernels[k]->wide.systolic(cycle, b.data(), rule);
        CHECK(left == left_wide);
        CHECK(std::vector<std::int64_t>(a.begin(), a.end()) == b);
        if (k == 0) {
          narrow = a;
          wide = b;
          overflows = left;
        }
        CHECK(narrow == a);
        CHECK(wide == b);
        CHECK(overflows == left);
      }
    }
  }
}
