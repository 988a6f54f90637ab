// Accumulators that are too narrow: a stepped array finds every overflow, wraps or saturates as its
// configuration says, and finds none where none can be.
#include "models/hardware/accumulator.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sim/cycle/stepped_engine.hpp"
#include "tests/cost/machines.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

/// A product of matrices on one array, stepped without a simulation around it.
struct Computed {
  std::vector<std::int64_t> outputs;
  std::int64_t overflows = 0;
};

struct Machine {
  Accelerator accelerator = example_machine();
  Machine(Dataflow dataflow, int accumulator_bits, AccumulatorOverflow overflow) {
    Engine& engine = accelerator.engine;
    engine.dataflow = dataflow;
    engine.max_bits = 16;
    engine.accumulator_bits = accumulator_bits;
    engine.accumulator_overflow = overflow;
    accelerator.ideal_memory = true;
    accelerator.memory.input_buffer.capacity = accelerator.memory.weight_buffer.capacity =
        accelerator.memory.output_buffer.capacity = Bytes(1 << 20);
  }
};

Accelerator serial_machine(int accumulator_bits, AccumulatorOverflow overflow) {
  Accelerator machine =
      Machine(Dataflow::output_stationary, accumulator_bits, overflow).accelerator;
  machine.engine.kind = EngineKind::bit_serial;
  machine.engine.lanes = 5;
  machine.engine.max_weight_bits = machine.engine.max_activation_bits = 16;
  return machine;
}

Computed compute(const Accelerator& machine, const Gemm& gemm,
                 const std::vector<std::int32_t>& input, const std::vector<std::int32_t>& weights,
                 bool signed_activations) {
  const Workload work = gemms({gemm});
  const NetworkPlan plan = plan_network(work.network, work.widths, machine, example_energy());
  const LayerPlan& layer = plan.layers.front();
  sim::LayerOperands operands =
      sim::random_operands(layer.engine->shape(), {gemm.widths.weight, true},
                           {gemm.widths.activation, signed_activations}, 1, "gemm");
  // The layer's input is [K][M], as a convolution of M positions has it.
  for (std::int64_t m = 0; m < gemm.m; ++m) {
    for (std::int64_t k = 0; k < gemm.k; ++k) {
      operands.input[static_cast<std::size_t>(k * gemm.m + m)] =
          input[static_cast<std::size_t>(m * gemm.k + k)];
    }
  }
  sim::set_weights(operands, weights);
  sim::SteppedEngine engine(layer, machine.engine, operands);
  std::vector<Step> steps;
  layer.engine->for_each_step(layer.tile, [&](const Step& step) { steps.push_back(step); });
  sim::Cycle now = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    engine.begin_step({steps[i], i, now, 0, i + 1 == steps.size()});
    do {
      engine.tick(now++);
    } while (!engine.step_over());
  }
  engine.finish(now);
  return {engine.result(), engine.overflows()};
}

std::int64_t wrapped(std::int64_t value, int bits) {
  const std::int64_t span = std::int64_t{1} << bits;
  const std::int64_t rest = ((value % span) + span) % span;
  return rest >= span / 2 ? rest - span : rest;
}

std::vector<Accelerator> all_machines(int bits, AccumulatorOverflow overflow) {
  return {Machine(Dataflow::weight_stationary, bits, overflow).accelerator,
          Machine(Dataflow::output_stationary, bits, overflow).accelerator,
          Machine(Dataflow::input_stationary, bits, overflow).accelerator,
          serial_machine(bits, overflow)};
}

}  // namespace

TEST_CASE("an accumulator wraps: every output is the exact one modulo its range") {
  Random random(11);
  for (int trial = 0; trial < 30; ++trial) {
    const Gemm gemm{random(1, 9), random(1, 9), random(1, 40), {8, 8}};
    std::vector<std::int32_t> input(static_cast<std::size_t>(gemm.m * gemm.k));
    std::vector<std::int32_t> weights(static_cast<std::size_t>(gemm.n * gemm.k));
    for (auto* values : {&input, &weights}) {
      for (std::int32_t& value : *values) value = static_cast<std::int32_t>(random(-128, 127));
    }
    const int bits = static_cast<int>(random(8, 17));
    for (const Accelerator& machine : all_machines(bits, AccumulatorOverflow::wrap)) {
      const Computed computed = compute(machine, gemm, input, weights, true);
      bool any_wrong = false;
      for (std::int64_t m = 0; m < gemm.m; ++m) {
        for (std::int64_t n = 0; n < gemm.n; ++n) {
          std::int64_t exact = 0;
          for (std::int64_t k = 0; k < gemm.k; ++k) {
            exact += std::int64_t{input[static_cast<std::size_t>(m * gemm.k + k)]} *
                     weights[static_cast<std::size_t>(n * gemm.k + k)];
          }
          const std::int64_t output = computed.outputs[static_cast<std::size_t>(m * gemm.n + n)];
          CHECK(output == wrapped(exact, bits));
          any_wrong = any_wrong || output != exact;
        }
      }
      if (any_wrong) CHECK(computed.overflows > 0);
    }
  }
}

TEST_CASE("an accumulator saturates at the end of its range") {
  // Sums of equal signs only: the order of the additions does not matter.
  const Gemm gemm{3, 5, 40, {8, 8}};
  for (const std::int32_t sign : {1, -1}) {
    const std::vector<std::int32_t> input(static_cast<std::size_t>(gemm.m * gemm.k), 100);
    const std::vector<std::int32_t> weights(static_cast<std::size_t>(gemm.n * gemm.k), 100 * sign);
    for (const int bits : {16, 18, 20}) {
      const std::int64_t high = (std::int64_t{1} << (bits - 1)) - 1;
      const std::int64_t exact = std::int64_t{10'000} * gemm.k * sign;
      for (const Accelerator& machine : all_machines(bits, AccumulatorOverflow::saturate)) {
        if (machine.engine.kind == EngineKind::bit_serial) continue;  // planes of both signs
        const Computed computed = compute(machine, gemm, input, weights, true);
        for (const std::int64_t output : computed.outputs) {
          CHECK(output == std::clamp(exact, -high - 1, high));
        }
        CHECK((computed.overflows > 0) == (exact > high || exact < -high - 1));
      }
    }
  }
}

TEST_CASE(
    "no input overflows an accumulator that A2Q's bound finds safe, and one bit less than the "
    "exact width overflows") {
  Random random(5);
  int tight = 0;
  for (int trial = 0; trial < 150; ++trial) {
    const BitWidth weight_bits = static_cast<BitWidth>(random(2, 8));
    const BitWidth activation_bits = static_cast<BitWidth>(random(1, 8));
    const bool is_signed = random.coin();
    const Gemm gemm{2, 1, random(1, 60), {weight_bits, activation_bits}};
    const std::int64_t most_weight = (std::int64_t{1} << (weight_bits - 1)) - 1;
    std::vector<std::int32_t> weights;
    const bool negative_only = random(0, 2) == 0;
    for (std::int64_t k = 0; k < gemm.k; ++k) {
      weights.push_back(
          static_cast<std::int32_t>(random(-most_weight - 1, negative_only ? 0 : most_weight)));
    }
    // The inputs with the greatest and with the least sum.
    const std::int32_t high = (1 << (is_signed ? activation_bits - 1 : activation_bits)) - 1;
    const std::int32_t low = is_signed ? -(1 << (activation_bits - 1)) : 0;
    std::vector<std::int32_t> input;
    for (const bool greatest : {true, false}) {
      for (const std::int32_t weight : weights) {
        input.push_back((weight > 0) == greatest ? high : low);
      }
    }
    const BitWidth exact = exact_accumulator_bits(weights, activation_bits, is_signed);
    const BitWidth safe = safe_accumulator_bits(l1_norm(weights), activation_bits, is_signed);
    CHECK(exact <= safe);
    tight += exact == safe ? 1 : 0;
    if (exact < 3) continue;
    INFO("w" << weight_bits << " a" << activation_bits << (is_signed ? " signed" : "") << ", K "
             << gemm.k << ": exact " << exact << ", safe " << safe);
    for (const Dataflow dataflow :
         {Dataflow::weight_stationary, Dataflow::output_stationary, Dataflow::input_stationary}) {
      for (const AccumulatorOverflow overflow :
           {AccumulatorOverflow::wrap, AccumulatorOverflow::saturate}) {
        for (const BitWidth bits : {safe, exact}) {
          const Accelerator machine = Machine(dataflow, bits, overflow).accelerator;
          CHECK(compute(machine, gemm, input, weights, is_signed).overflows == 0);
        }
        const Accelerator narrow = Machine(dataflow, exact - 1, overflow).accelerator;
        CHECK(compute(narrow, gemm, input, weights, is_signed).overflows > 0);
      }
    }
  }
  CHECK(tight > 10);
}
