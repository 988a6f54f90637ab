// Cycles of the shipped Stripes and Loom without memory limits against the laws of DNNsim (lanes L
// along input channels, R windows, C filters, T tiles; O output windows, F filters, G groups,
// kernel K, I input channels), in closed form, simulated, and, where that is not too long, stepped
// on integers:
//
//   convolution      c(O, R) G c(c(F / G, C), T) Kh Kw c(I / G, L), times a (Stripes) or
//                    c(a, activation bits a cycle) w (Loom); a strided first layer of three
//                    channels has 3 s s channels and a kernel of c(K, s)
//   fully connected  S = c(F, C T) c(I, L) steps of p passes take S + p - 1 cycles if p <= R, else
//                    floor((S - 1) / R) p + (S - 1) mod R + p; each image by itself
//
// The laws reproduced every run of DNNsim (280 of 280, static precision).
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/cost/analytic.hpp"
#include "tests/cost/machines.hpp"
#include "tests/simulation/own_process.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

std::int64_t c(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

constexpr std::int64_t kMostStepped = 200'000;  // cycles of all layers

struct Geometry {
  std::int64_t rows = 16, columns = 16, tiles = 1, lanes = 16, activation_bits = 1;
};

Geometry random_geometry(Random& random) {
  return {random.pick<std::int64_t>({1, 3, 8, 16, 17}), random.pick<std::int64_t>({1, 5, 16, 32}),
          random.pick<std::int64_t>({1, 2, 3, 16}), random.pick<std::int64_t>({1, 4, 16, 100}), 1};
}

Accelerator machine(const std::string& name, const Geometry& size) {
  const auto set = [](const std::string& key, std::int64_t value) {
    return "engine." + key + "=" + std::to_string(value);
  };
  std::vector<std::string> overrides{set("rows", size.rows), set("columns", size.columns),
                                     set("tiles", size.tiles), set("precision.lanes", size.lanes)};
  if (size.activation_bits != 1)
    overrides.push_back(set("precision.activation_bits_per_cycle", size.activation_bits));
  Accelerator accelerator = shipped(name, overrides);
  accelerator.ideal_memory = true;
  return accelerator;
}

std::int64_t passes(const std::string& name, const Geometry& size, LayerWidths widths) {
  const std::int64_t activation = c(widths.activation, size.activation_bits);
  return name == "stripes_16x16" ? activation : activation * widths.weight;
}

std::int64_t convolution_law(const ComputeShape& s, const Geometry& size, bool first) {
  std::int64_t channels = s.in_channels;
  std::int64_t kernel = s.kernel_h * s.kernel_w;
  if (first && s.groups == 1 && channels == 3 && (s.stride_h > 1 || s.stride_w > 1)) {
    channels *= s.stride_h * s.stride_w;
    kernel = c(s.kernel_h, s.stride_h) * c(s.kernel_w, s.stride_w);
  }
  return c(s.m(), size.rows) * s.groups * c(c(s.out_channels, size.columns), size.tiles) * kernel *
         c(channels, size.lanes);
}

std::int64_t fully_connected_law(const ComputeShape& s, const Geometry& size, std::int64_t p) {
  const std::int64_t steps =
      c(s.out_channels, size.columns * size.tiles) * c(s.in_channels, size.lanes);
  const std::int64_t image =
      p <= size.rows ? steps + p - 1 : (steps - 1) / size.rows * p + (steps - 1) % size.rows + p;
  return s.batch * image;
}

struct Layers {
  NetworkBuilder builder{"laws"};
  WidthPlan plan;
  std::vector<std::pair<TensorId, BitWidth>> inputs;
  std::vector<std::int64_t> cycles;

  void add(const InferredLayer& inferred, LayerKind kind, const Shape& shape, LayerWidths widths,
           std::int64_t expected) {
    const std::string name = "layer" + std::to_string(cycles.size());
    Layer layer;
    layer.name = name;
    layer.kind = kind;
    layer.op = name;
    layer.compute = inferred.compute;
    const TensorId input = builder.add_input(name + ".in", shape);
    inputs.emplace_back(input, widths.activation);
    layer.inputs = {input};
    layer.output = builder.add_tensor(name, inferred.output);
    layer.weights = inferred.compute.weight_elements();
    builder.mark_output(layer.output);
    builder.add_layer(layer);
    plan.layers.push_back(widths);
    cycles.push_back(expected);
  }

  void check_stepped(const Figures& cycle) const {
    for (std::size_t i = 0; i < cycles.size(); ++i) {
      CHECK(cycle.layers[i].latency == Cycles(cycles[i]));
      REQUIRE(cycle.layers[i].numerics);
      CHECK(cycle.layers[i].numerics->wrong_outputs == 0);
    }
  }

  void check(const Accelerator& accelerator) {
    const Network network = builder.build();
    plan.stored.assign(network.tensors().size(), 8);
    for (const auto& [tensor, bits] : inputs) plan.stored[tensor] = bits;
    const EnergyTable energy = energy_of(accelerator);
    const CostReport analytic = analytic_cost(network, plan, accelerator, energy);
    const Figures tile = simulated(network, plan, accelerator, energy);
    REQUIRE(tile.layers.size() == cycles.size());
    const bool brief =
        std::accumulate(cycles.begin(), cycles.end(), std::int64_t{0}) < kMostStepped;
    SimulationOptions options;
    options.step_cycles = true;
    if (brief) check_stepped(simulated(network, plan, accelerator, energy, options));
    for (std::size_t i = 0; i < cycles.size(); ++i) {
      const Engine& e = accelerator.engine;
      INFO(accelerator.name << " " << e.rows << "x" << e.columns << "x" << e.tiles << " lanes "
                            << e.lanes << ": " << describe(*network.layers()[i].compute) << " w"
                            << plan.layers[i].weight << "a" << plan.layers[i].activation);
      CHECK(analytic.layers[i].latency == Cycles(cycles[i]));
      CHECK(tile.layers[i].latency == Cycles(cycles[i]));
      CHECK(tile.layers[i].cycles.busy == Cycles(cycles[i]));
      CHECK(analytic.layers[i].cycles.busy == Cycles(cycles[i]));
    }
  }
};

LayerWidths random_widths(Random& random) {
  return {static_cast<BitWidth>(random(1, 16)), static_cast<BitWidth>(random(1, 16))};
}

void check_convolutions(const std::string& name, unsigned seed) {
  Random random(seed);
  for (int i = 0; i < 8; ++i) {
    Geometry size = random_geometry(random);
    size.activation_bits = name == "stripes_16x16" ? 1 : random.pick<std::int64_t>({1, 1, 2, 4});
    const Accelerator accelerator = machine(name, size);
    Layers layers;
    for (int l = 0; l < 25; ++l) {
      Window window;
      for (int axis = 0; axis < 2; ++axis) {
        window.kernel[axis] = random(1, 7);
        window.stride[axis] = random(1, 4);
        window.pad_begin[axis] = window.pad_end[axis] = random(0, window.kernel[axis] / 2);
      }
      // A third of the layers are those that are folded.
      const bool three = random(0, 2) == 0;
      const std::int64_t groups = three ? 1 : random.pick<std::int64_t>({1, 1, 2, 5});
      const std::int64_t channels = three ? 3 : groups * random(1, 60);
      const Shape shape = {1, channels, random(7, 30), random(7, 30)};
      const auto inferred = infer_convolution(shape, groups * random(1, 70), groups, window);
      const LayerWidths widths = random_widths(random);
      layers.add(inferred, LayerKind::convolution, shape, widths,
                 convolution_law(inferred.compute, size, true) * passes(name, size, widths));
    }
    layers.check(accelerator);
  }
}

void check_fully_connected(const std::string& name, unsigned seed) {
  Random random(seed);
  for (int i = 0; i < 8; ++i) {
    Geometry size = random_geometry(random);
    size.activation_bits = name == "stripes_16x16" ? 1 : random.pick<std::int64_t>({1, 1, 2, 4});
    const Accelerator accelerator = machine(name, size);
    Layers layers;
    for (int l = 0; l < 25; ++l) {
      const Shape shape = {random(1, 4), random(1, 900)};
      const auto inferred = infer_fully_connected(shape, random(1, 900));
      const LayerWidths widths = random_widths(random);
      layers.add(inferred, LayerKind::fully_connected, shape, widths,
                 fully_connected_law(inferred.compute, size, passes(name, size, widths)));
    }
    layers.check(accelerator);
  }
}

}  // namespace

TEST_CASE("Stripes follows DNNsim's law of convolutions at all sizes, folded first layers too") {
  check_convolutions("stripes_16x16", 1);
}

TEST_CASE("Loom follows DNNsim's law of convolutions at all sizes, folded first layers too") {
  check_convolutions("loom_16x16", 2);
}

TEST_CASE("Stripes follows DNNsim's law of fully connected layers, each image by itself") {
  check_fully_connected("stripes_16x16", 3);
}

TEST_CASE("Loom follows DNNsim's law of fully connected layers, each image by itself") {
  check_fully_connected("loom_16x16", 4);
}

TEST_CASE("AlexNet's first layer is 48 channels and a kernel of 3 x 3 after folding") {
  Window window;
  for (int axis = 0; axis < 2; ++axis) {
    window.kernel[axis] = 11;
    window.stride[axis] = 4;
  }
  const Shape image = {1, 3, 227, 227};
  Layers layers;
  const auto first = infer_convolution(image, 96, 1, window);
  layers.add(first, LayerKind::convolution, image, {16, 9}, c(55 * 55, 16) * 1 * 9 * 3 * 9);
  // Four channels are not folded.
  const Shape four = {1, 4, 227, 227};
  layers.add(infer_convolution(four, 96, 1, window), LayerKind::convolution, four, {16, 9},
             c(55 * 55, 16) * 1 * 121 * 1 * 9);
  layers.check(machine("stripes_16x16", {.tiles = 16}));
}

TEST_CASE("a strided layer of three channels that is not the first is not folded") {
  NetworkBuilder builder("two");
  Window window;
  window.kernel[0] = window.kernel[1] = 3;
  WidthPlan plan;
  Shape shape = {1, 8, 12, 12};
  TensorId input = builder.add_input("in", shape);
  for (const std::int64_t out : {3, 20}) {
    const auto inferred = infer_convolution(shape, out, 1, window);
    Layer layer;
    layer.name = layer.op = "out" + std::to_string(out);
    layer.compute = inferred.compute;
    layer.inputs = {input};
    layer.output = input = builder.add_tensor(layer.name, inferred.output);
    layer.weights = inferred.compute.weight_elements();
    builder.add_layer(layer);
    shape = inferred.output;
    plan.layers.push_back({8, 4});
    window.stride[0] = window.stride[1] = 2;
  }
  builder.mark_output(input);
  const Network network = builder.build();
  plan.stored.assign(network.tensors().size(), 4);
  const Accelerator accelerator = machine("stripes_16x16", {.tiles = 16});
  const CostReport report = analytic_cost(network, plan, accelerator, energy_of(accelerator));
  CHECK(report.layers[1].latency == Cycles(c(4 * 4, 16) * 9 * 4));
}

TEST_CASE("tokens of a sequence lie on the rows like windows") {
  const Shape tokens = {2, 20, 300};
  const auto inferred = infer_fully_connected(tokens, 500);
  Layers layers;
  layers.add(inferred, LayerKind::fully_connected, tokens, {8, 6},
             c(40, 16) * c(500, 256) * c(300, 16) * 6);
  layers.check(machine("stripes_16x16", {.tiles = 16}));
}
