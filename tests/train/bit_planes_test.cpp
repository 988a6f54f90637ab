// Bit-planes on the host: the decomposition, the kernels against plain products and against the
// bit-serial engine as it is stepped, and what the reconstruction gives back.
#include "train/bit_planes.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "models/cost/plan.hpp"
#include "sim/cycle/stepped_engine.hpp"
#include "sim/layer_run.hpp"
#include "tests/cost/machines.hpp"

using namespace widthwise;

namespace {

std::vector<std::int32_t> integers(std::mt19937& random, std::int64_t count, std::int64_t low,
                                   std::int64_t high) {
  std::uniform_int_distribution<std::int64_t> draw(low, high);
  std::vector<std::int32_t> values(static_cast<std::size_t>(count));
  for (std::int32_t& value : values) value = static_cast<std::int32_t>(draw(random));
  return values;
}

std::vector<float> gaussian(std::mt19937& random, std::int64_t count, float deviation = 1) {
  std::normal_distribution<float> draw(0, deviation);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = draw(random);
  return values;
}

using Sums = std::vector<std::int64_t>;

/// floor(w / 2^(N - n)) times x, from the integers themselves.
Sums expected_sums(const std::vector<std::int32_t>& weights, std::int64_t rows,
                   const std::vector<std::int32_t>& x, int all, int used) {
  Sums sums(static_cast<std::size_t>(rows));
  for (std::size_t row = 0; row < sums.size(); ++row) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double place = std::ldexp(1.0, all - used);
      const auto weight =
          static_cast<std::int64_t>(std::floor(weights[row * x.size() + i] / place));
      sums[row] += weight * x[i];
    }
  }
  return sums;
}

double mean_square_error(const BitPlanes& planes, const std::vector<float>& weights, int used) {
  double error = 0;
  for (std::int64_t row = 0; row < planes.rows(); ++row) {
    const PlaneLine line = planes.line(row, used);
    for (std::int64_t i = 0; i < planes.inputs(); ++i) {
      const double weight =
          static_cast<double>(weights[static_cast<std::size_t>(row * planes.inputs() + i)]);
      const double difference = line.slope * planes.value(row, i, used) + line.offset - weight;
      error += difference * difference;
    }
  }
  return error / static_cast<double>(weights.size());
}

double mean_absolute_error(const BitPlanes& planes, const std::vector<float>& weights) {
  double error = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto input = static_cast<std::int64_t>(i);
    const double value =
        planes.value(input / planes.inputs(), input % planes.inputs(), planes.planes());
    error += std::fabs(planes.scale() * value - static_cast<double>(weights[i]));
  }
  return error / static_cast<double>(weights.size());
}

}  // namespace

TEST_CASE("the largest magnitude sets the top place, and the first planes are the floor") {
  const std::vector<float> weights = {1.0F, -1.0F, 0.0F, 0.5F, -0.2F, 0.34F};
  PlaneOptions options;
  options.planes = 4;
  options.reconstruction = Reconstruction::truncated;
  const BitPlanes planes(weights, 2, 3, options);
  CHECK(planes.scale() == Approx(1.0 / 15));
  const std::vector<std::int32_t> whole = {15, -15, 0, 8, -3, 5};  // round(15 w); 7.5 to even
  for (int used = 1; used <= 4; ++used) {
    for (std::int64_t i = 0; i < 6; ++i) {
      INFO(used << " planes, weight " << i);
      CHECK(planes.value(i / 3, i % 3, used) ==
            std::floor(whole[static_cast<std::size_t>(i)] / std::ldexp(1.0, 4 - used)));
    }
    CHECK(planes.line(1, used).slope == Approx(std::ldexp(1.0, 4 - used) / 15));
    CHECK(planes.line(1, used).offset == 0);
  }
  CHECK(planes.plane_bytes() == 2 * 8);
}

TEST_CASE("planes lie one after the other, the sign's first, inputs from the lowest bit on") {
  const std::vector<std::int32_t> weights = {-4, 3, 1, -1};
  const BitPlanes planes = BitPlanes::from_integers(weights, 1, 4, 2);
  const std::uint64_t* words = planes.words();
  CHECK(words[0] == 0b1001);                         // of -4: negative
  CHECK(words[planes.plane_words()] == 0b1010);      // 2s of 3 and -1
  CHECK(words[2 * planes.plane_words()] == 0b1110);  // 1s of 3, 1 and -1
}

TEST_CASE("every kernel gives the plain product at every number of planes and bits") {
  std::mt19937 random(1);
  const PlaneKernelList list = plane_kernels();
  REQUIRE(list.count >= 1);
  CHECK(&best_plane_kernel() == list.kernels[list.count - 1]);
  struct Shape {
    std::int64_t rows, inputs;
  };
  for (const auto [rows, inputs] : {Shape{1, 1}, Shape{3, 63}, Shape{5, 64}, Shape{4, 65},
                                    Shape{7, 511}, Shape{2, 512}, Shape{9, 1000}, Shape{3, 8500}}) {
    for (const int all : {1, 7, 8, 12, 16}) {
      const std::vector<std::int32_t> weights =
          integers(random, rows * inputs, -(1 << all), (1 << all) - 1);
      const BitPlanes planes = BitPlanes::from_integers(weights, rows, inputs, all);
      for (const int bits : {8, 16, 32}) {
        const std::int64_t top = std::int64_t{1} << (bits - 1);
        const std::vector<std::int32_t> x = integers(random, inputs, -top, top - 1);
        for (int used = 1; used <= all; ++used) {
          const Sums expected = expected_sums(weights, rows, x, all, used);
          for (int k = 0; k < list.count; ++k) {
            PlaneActivations activations(*list.kernels[k]);
            activations.set_integers(x, bits);
            Sums sums(static_cast<std::size_t>(rows));
            multiply(planes, used, activations, sums);
            INFO(list.kernels[k]->name << ", " << rows << " x " << inputs << ", " << used << " of "
                                       << all << " planes, " << bits << " bits");
            REQUIRE(sums == expected);
          }
        }
        PlaneActivations activations;
        activations.set_integers(x, bits);
        Sums plain(static_cast<std::size_t>(rows));
        multiply_plainly(planes, all, activations, plain);
        CHECK(plain == expected_sums(weights, rows, x, all, all));
      }
    }
  }
}

TEST_CASE("the extremes of weights and activations do not overflow in the longest rows") {
  for (const bool negative : {false, true}) {
    for (const int bits : {8, 16, 32}) {
      const std::int64_t x =
          negative ? -(std::int64_t{1} << (bits - 1)) : (std::int64_t{1} << (bits - 1)) - 1;
      for (const std::int32_t weight : {-65536, 65535}) {
        const std::vector<std::int32_t> weights(kMaxPlaneInputs, weight);
        const std::vector<std::int32_t> xs(kMaxPlaneInputs, static_cast<std::int32_t>(x));
        const BitPlanes planes = BitPlanes::from_integers(weights, 1, kMaxPlaneInputs, 16);
        const PlaneKernelList list = plane_kernels();
        for (int k = 0; k < list.count; ++k) {
          PlaneActivations activations(*list.kernels[k]);
          activations.set_integers(xs, bits);
          for (const int used : {7, 15, 16}) {
            Sums sums(1);
            multiply(planes, used, activations, sums);
            INFO(list.kernels[k]->name << ", " << bits << " bits, " << used << " planes");
            CHECK(sums[0] == kMaxPlaneInputs * x * (weight >> (16 - used)));
          }
        }
      }
    }
  }
}

TEST_CASE("threads share the rows out, also where there are fewer rows than threads") {
  std::mt19937 random(2);
  PlaneWorkers workers(3);
  CHECK(workers.threads() == 3);
  for (const std::int64_t rows : {1, 2, 3, 100, 1001}) {
    const std::int64_t inputs = 200;
    const std::vector<std::int32_t> weights = integers(random, rows * inputs, -256, 255);
    const std::vector<std::int32_t> x = integers(random, inputs, -128, 127);
    const BitPlanes planes = BitPlanes::from_integers(weights, rows, inputs, 8);
    PlaneActivations activations;
    activations.set_integers(x, 8);
    for (int used = 1; used <= 8; ++used) {
      Sums sums(static_cast<std::size_t>(rows));
      multiply(planes, used, activations, sums, &workers);
      REQUIRE(sums == expected_sums(weights, rows, x, 8, used));
    }
  }
}

TEST_CASE("activations are rounded to the nearest fixed point of their largest magnitude") {
  PlaneActivations x;
  const std::vector<float> values = {0.0F, 2.0F, -2.0F, 1.0F, -0.01F, 0.3F};
  x.set(values, 8);
  CHECK(x.scale() == Approx(2.0 / 127));
  CHECK(std::vector<std::int32_t>(x.values().begin(), x.values().end()) ==
        std::vector<std::int32_t>{0, 127, -127, 64, -1, 19});  // 63.5 to even
  CHECK(x.sum() == 82);
  x.set(values, 8, 1.0);  // of another scale: clipped
  CHECK(std::vector<std::int32_t>(x.values().begin(), x.values().end()) ==
        std::vector<std::int32_t>{0, 127, -127, 127, -1, 38});
  x.set(values, 32);
  CHECK(x.values()[1] == 2147483647);
  CHECK(x.values()[2] == -2147483647);
  x.set(std::vector<float>(5, 0.0F), 16);
  CHECK(x.sum() == 0);
  CHECK(x.scale() == 1);
}

TEST_CASE("the fitted line is the one of least squares, and more planes are nearer") {
  std::mt19937 random(3);
  const std::vector<float> weights = gaussian(random, 20 * 300, 0.05F);
  PlaneOptions options;
  const BitPlanes fitted(weights, 20, 300, options);
  options.reconstruction = Reconstruction::truncated;
  const BitPlanes truncated(weights, 20, 300, options);
  double before = std::numeric_limits<double>::infinity();
  for (int used = 1; used <= 8; ++used) {
    INFO(used << " planes");
    const double error = mean_square_error(fitted, weights, used);
    CHECK(error < before);
    CHECK(error <= mean_square_error(truncated, weights, used));
    before = error;
    // Normal equations: residuals are orthogonal to 1 and to W_n.
    for (std::int64_t row = 0; row < 20; ++row) {
      const PlaneLine line = fitted.line(row, used);
      double ones = 0;
      double values = 0;
      for (std::int64_t i = 0; i < 300; ++i) {
        const double residual =
            line.slope * fitted.value(row, i, used) + line.offset -
            static_cast<double>(weights[static_cast<std::size_t>(row * 300 + i)]);
        ones += residual;
        values += residual * fitted.value(row, i, used);
      }
      CHECK(ones == Approx(0).margin(1e-9));
      CHECK(values == Approx(0).margin(1e-7));
    }
  }
}

TEST_CASE("outputs are bias plus scaled sums") {
  std::mt19937 random(4);
  const std::vector<float> weights = gaussian(random, 6 * 100);
  const std::vector<float> input = gaussian(random, 100);
  const std::vector<float> bias = gaussian(random, 6);
  const BitPlanes planes(weights, 6, 100, {});
  PlaneActivations x;
  x.set(input, 8);
  Sums sums(6);
  for (int used = 1; used <= 8; ++used) {
    multiply(planes, used, x, sums);
    std::vector<float> y(6);
    std::vector<float> without(6);
    reconstruct(planes, used, x, sums, bias, y);
    reconstruct(planes, used, x, sums, {}, without);
    for (std::size_t row = 0; row < 6; ++row) {
      const PlaneLine line = planes.line(static_cast<std::int64_t>(row), used);
      double expected = 0;
      for (std::int64_t i = 0; i < 100; ++i) {
        expected +=
            (line.slope * planes.value(static_cast<std::int64_t>(row), i, used) + line.offset) *
            x.scale() * x.values()[static_cast<std::size_t>(i)];
      }
      CHECK(without[row] == Approx(expected).margin(1e-4));
      CHECK(y[row] == Approx(expected + static_cast<double>(bias[row])).margin(1e-4));
    }
  }
}

TEST_CASE("the clip search is no worse than the largest magnitude, and better with outliers") {
  std::mt19937 random(5);
  std::vector<float> weights = gaussian(random, 4000);
  weights[17] = 40;
  PlaneOptions options;
  options.planes = 3;
  options.reconstruction = Reconstruction::truncated;
  const double plain = mean_absolute_error(BitPlanes(weights, 4, 1000, options), weights);
  options.search_clip = true;
  const BitPlanes searched(weights, 4, 1000, options);
  CHECK(mean_absolute_error(searched, weights) < 0.5 * plain);
  CHECK(searched.scale() * 7 < 40);
  // One of 100 thresholds.
  const double threshold = searched.scale() * 7 / 40 * 100;
  CHECK(threshold == Approx(std::round(threshold)));
}

TEST_CASE("8-bit inference gives the product of bytes on every kernel") {
  std::mt19937 random(6);
  const PlaneKernelList list = plane_kernels();
  for (const std::int64_t inputs : {1, 63, 64, 65, 700}) {
    // Every row holds its greatest magnitude, 127, so that its bytes are the weights themselves.
    std::vector<std::int32_t> integers_of = integers(random, 7 * inputs, -127, 127);
    for (std::size_t row = 0; row < 7; ++row)
      integers_of[row * static_cast<std::size_t>(inputs)] = 127;
    const std::vector<float> weights(integers_of.begin(), integers_of.end());
    const std::vector<std::int32_t> x = integers(random, inputs, -128, 127);
    const Int8Matrix matrix(weights, 7, inputs);
    for (int k = 0; k < list.count; ++k) {
      PlaneActivations activations(*list.kernels[k]);
      activations.set_integers(x, 8);
      std::vector<std::int32_t> sums(7);
      std::vector<float> y(7);
      PlaneWorkers workers(2);
      matrix.multiply(activations, sums, &workers);
      matrix.scale(activations, sums, {}, y);
      INFO(list.kernels[k]->name << ", " << inputs << " inputs");
      for (std::size_t row = 0; row < 7; ++row) {
        std::int64_t expected = 0;
        for (std::size_t i = 0; i < x.size(); ++i)
          expected += integers_of[row * x.size() + i] * x[i];
        CHECK(sums[row] == expected);
        CHECK(y[row] == Approx(static_cast<double>(expected)));
      }
    }
  }
}

TEST_CASE("what can not be planes is refused with its reason") {
  const std::vector<float> four = {1, 2, 3, 4};
  CHECK_THROWS_WITH(BitPlanes(four, 2, 3, {}), "error: weights: expected 2 x 3 of them, got 4");
  CHECK_THROWS_WITH(BitPlanes(four, 0, 4, {}), "error: rows: expected at least 1, got 0");
  CHECK_THROWS_WITH(BitPlanes(four, 1, 65536, {}), "error: inputs: expected 1..65535, got 65536");
  PlaneOptions options;
  options.planes = 17;
  CHECK_THROWS_WITH(BitPlanes(four, 2, 2, options), "error: planes: expected 1..16, got 17");
  options.planes = 4;
  options.clip_planes = 5;
  CHECK_THROWS_WITH(BitPlanes(four, 2, 2, options), "error: planes: expected 1..4, got 5");
  const std::vector<float> bad = {1, std::numeric_limits<float>::quiet_NaN()};
  CHECK_THROWS_WITH(BitPlanes(bad, 1, 2, {}),
                    "error: weights: a value that is not a finite number");
  CHECK_THROWS_WITH(BitPlanes::from_integers(std::vector<std::int32_t>{4}, 1, 1, 2),
                    "error: weights: 4 has more than 2 planes and a sign");

  PlaneActivations x;
  CHECK_THROWS_WITH(x.set(four, 9), "error: activation_bits: expected 8, 16 or 32, got 9");
  CHECK_THROWS_WITH(x.set(bad, 8), "error: activations: a value that is not a finite number");
  x.set(four, 8);
  const BitPlanes planes(four, 2, 2, {});
  Sums sums(2);
  CHECK_THROWS_WITH(multiply(planes, 8, x, sums), "error: activations: expected 2 of them, got 4");
  x.set(std::vector<float>{1, 2}, 8);
  CHECK_THROWS_WITH(multiply(planes, 9, x, sums), "error: planes: expected 1..8, got 9");
}

namespace {

/// The shipped machine's engine with fewer columns, stepped on the given integers cycle by cycle.
Sums stepped_sums(const std::vector<std::int32_t>& weights, std::int64_t rows,
                  const std::vector<std::int32_t>& x, LayerWidths widths) {
  Accelerator machine = test::shipped("precision_batching");
  machine.engine.columns = 16;
  machine.engine.accumulator_bits = 48;
  const EnergyTable energy = test::energy_of(machine);
  const Shape shape = {1, static_cast<std::int64_t>(x.size())};
  const test::Workload work = test::single(infer_fully_connected(shape, rows), shape, widths);
  const NetworkPlan plan = plan_network(work.network, work.widths, machine, energy);
  const LayerPlan& layer = plan.layers.front();
  sim::LayerOperands operands;
  operands.shape = layer.engine->shape();
  operands.weight = {widths.weight + 1, true};  // the sign's plane is one more
  operands.activation = {widths.activation, true};
  operands.input = x;
  operands.weights.resize(weights.size());
  sim::set_weights(operands, weights);
  sim::SteppedEngine engine(layer, machine.engine, operands);
  // Tiles are there when they are asked for.
  sim::LayerRun run(layer, machine, true);
  sim::Cycle now = 0;
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    engine.begin_step({run.steps[i].step, i, now, now, i + 1 == run.steps.size()});
    do {
      engine.tick(now++);
    } while (!engine.step_over());
  }
  engine.finish(now);
  CHECK(engine.overflows() == 0);
  return engine.result();
}

}  // namespace

TEST_CASE("the host gives the integers of the simulated bit-serial engine") {
  std::mt19937 random(7);
  const std::int64_t rows = 37;
  const std::int64_t inputs = 150;
  const std::vector<float> weights = gaussian(random, rows * inputs);
  const std::vector<float> input = gaussian(random, inputs);
  const BitPlanes planes(weights, rows, inputs, {});
  for (const int bits : {8, 16}) {
    for (int used = 1; used <= 8; ++used) {
      PlaneActivations x;
      x.set(input, bits);
      Sums sums(rows);
      multiply(planes, used, x, sums);
      // The engine gets the integers that the host's planes stand for.
      std::vector<std::int32_t> values;
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t i = 0; i < inputs; ++i) values.push_back(planes.value(row, i, used));
      }
      INFO(used << " planes, activations of " << bits << " bits");
      CHECK(stepped_sums(values, rows, {x.values().begin(), x.values().end()}, {used, bits}) ==
            sums);
    }
  }
}
