// Networks whose labels are what they say in floats themselves, evaluated by bit-planes.
#include "train/plane_evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "models/config/shipped_data.hpp"
#include "models/cost/machine_model.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "tests/train/plane_floats.hpp"

using namespace widthwise;

namespace {

constexpr const char* kPerceptron =
    "schema: network/1\nname: perceptron\ninputs: {x: [1, 1, 8, 8]}\nlayers:\n"
    "  - {name: flat, kind: flatten}\n"
    "  - {name: fc1, kind: fully_connected, out_features: 256, bias: true, activation: relu}\n"
    "  - {name: fc2, kind: fully_connected, out_features: 64, bias: true, activation: relu}\n"
    "  - {name: fc3, kind: fully_connected, out_features: 4, bias: true}\n";

constexpr const char* kLstm =
    "schema: network/1\nname: sequence\ninputs: {x: [1, 1, 8, 8]}\nlayers:\n"
    "  - {name: rows, kind: reshape, shape: [0, -1, 8]}\n"
    "  - {name: lstm, kind: lstm, hidden: 16, bias: true}\n"
    "  - {name: mean, kind: mean, axes: [1]}\n"
    "  - {name: fc, kind: fully_connected, out_features: 4, bias: true}\n";

void draw(std::mt19937& random, PlaneLayer& layer) {
  std::normal_distribution<float> normal(0, 1.5F / std::sqrt(static_cast<float>(layer.inputs)));
  layer.weights.resize(static_cast<std::size_t>(layer.outputs * layer.inputs));
  for (float& weight : layer.weights) weight = normal(random);
  layer.bias.resize(static_cast<std::size_t>(layer.outputs));
  for (float& bias : layer.bias) bias = normal(random);
}

PlaneNetwork drawn(const Network& network) {
  std::mt19937 random(3);
  PlaneNetwork made = plane_structure(network);
  if (made.lstm) {
    draw(random, made.lstm->input);
    draw(random, made.lstm->recurrent);
  }
  for (PlaneLayer& layer : made.layers) draw(random, layer);
  return made;
}

PlaneExamples labelled(const PlaneNetwork& network, std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  ImageSet set;
  set.count = count;
  set.height = set.width = 8;
  for (std::size_t i = 0; i < count * 64; ++i) {
    set.pixels.push_back(static_cast<std::uint8_t>(random() % 256));
  }
  set.labels.assign(count, 0);
  std::vector<std::size_t> all(count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  PlaneExamples examples = plane_examples(set, all);
  for (std::size_t i = 0; i < count; ++i) {
    const auto from = examples.values.begin() + static_cast<std::ptrdiff_t>(64 * i);
    const auto y = test::in_floats(network, {from, from + 64});
    examples.labels[i] =
        static_cast<std::uint8_t>(std::max_element(y.begin(), y.end()) - y.begin());
  }
  return examples;
}

/// In closed form.
struct Machine {
  Accelerator accelerator;
  std::unique_ptr<MachineCostModel> model;

  Machine(const std::string& name, const Network& network)
      : accelerator(read_accelerator(find_file(Shipped::accelerators, {name, {}, {}}))),
        model(analytic_cost_model(network, accelerator,
                                  read_energy_table(accelerator.energy_table))) {}
  [[nodiscard]] SimulatedMachine parts() const { return {&accelerator, model.get()}; }
};

struct Subject {
  Network network;
  PlaneNetwork trained = drawn(network);
  PlaneExamples test = labelled(trained, 400, 1), calibration = labelled(trained, 1200, 2);
  Machine first{"precision_batching", network}, second{"bismo_edge_8x8", network};

  explicit Subject(const char* text) : network(parse_network(text, "test.yaml")) {}

  [[nodiscard]] PlaneReport run(double max_loss, int activation_bits = 8) const {
    PlaneKnobs knobs;
    knobs.activation_bits = activation_bits;
    knobs.max_loss = max_loss;
    knobs.host_repeats = 3;
    const PlaneEvaluation evaluation(network, {first.parts(), second.parts()}, knobs);
    return evaluation.run(trained, test, calibration, 1, {}).value();
  }
};

std::vector<std::string> refusals(const std::string& layers,
                                  const std::string& shape = "[1, 1, 8, 8]") {
  const Network network = parse_network(
      "schema: network/1\nname: net\ninputs: {x: " + shape + "}\nlayers:\n" + layers, "net.yaml");
  try {
    plane_structure(network);
  } catch (const InputError& error) {
    std::vector<std::string> texts;
    for (const Diagnostic& problem : error.diagnostics()) texts.push_back(problem.message);
    return texts;
  }
  return {};
}

}  // namespace

TEST_CASE("The structure of a chain is that of its network") {
  const PlaneNetwork perceptron = plane_structure(parse_network(kPerceptron, "test.yaml"));
  CHECK_FALSE(perceptron.lstm);
  REQUIRE(perceptron.layers.size() == 3);
  CHECK(perceptron.layers[0].name == "fc1");
  CHECK(perceptron.layers[0].inputs == 64);
  CHECK(perceptron.layers[0].outputs == 256);
  CHECK(perceptron.layers[1].relu);
  CHECK_FALSE(perceptron.layers[2].relu);

  const PlaneNetwork sequence = plane_structure(parse_network(kLstm, "test.yaml"));
  REQUIRE(sequence.lstm);
  CHECK(sequence.lstm->steps == 8);
  CHECK(sequence.lstm->input.name == "lstm/input");
  CHECK(sequence.lstm->input.inputs == 8);
  CHECK(sequence.lstm->recurrent.inputs == 16);
  CHECK(sequence.lstm->recurrent.outputs == 64);
  REQUIRE(sequence.layers.size() == 1);
  CHECK(sequence.layers[0].inputs == 16);
}

TEST_CASE("What is no chain for bit-planes is refused") {
  using Catch::Contains;
  const std::string flat = "  - {name: flat, kind: flatten}\n";
  const std::string fc = "  - {name: fc, kind: fully_connected, out_features: 4}\n";
  CHECK(refusals(flat + fc).empty());
  auto texts =
      refusals("  - {name: c, kind: convolution, out_channels: 4, kernel: 3}\n" + flat + fc);
  REQUIRE(texts.size() == 1);
  CHECK_THAT(texts[0], Contains("a layer of another kind: c"));
  texts = refusals(flat +
                   "  - {name: fc, kind: fully_connected, out_features: 4, activation: sigmoid}\n");
  REQUIRE(texts.size() == 1);
  CHECK_THAT(texts[0], Contains("another function than relu: fc"));
  texts = refusals(flat + fc, "[2, 1, 8, 8]");
  REQUIRE(texts.size() == 1);
  CHECK_THAT(texts[0], Contains("reads more than one vector: fc"));
  texts = refusals(
      "  - {name: rows, kind: reshape, shape: [0, -1, 8]}\n"
      "  - {name: lstm, kind: lstm, hidden: 16}\n" +
      fc);
  REQUIRE(texts.size() == 2);
  CHECK_THAT(texts[0], Contains("reads more than one vector: fc"));
  CHECK_THAT(texts[1], Contains("averaged over time"));
}

TEST_CASE("A machine without a sign plane takes one bit more") {
  const Network network = parse_network(kPerceptron, "test.yaml");
  CHECK(plane_width(Machine("precision_batching", network).accelerator, 3) == 3);
  CHECK(plane_width(Machine("bismo_edge_8x8", network).accelerator, 3) == 4);
}

TEST_CASE("Eight planes are as accurate as 8-bit inference, and fewer planes cost less") {
  for (const char* text : {kPerceptron, kLstm}) {
    const Subject subject(text);
    const PlaneReport report = subject.run(1);
    CAPTURE(subject.network.name());
    CHECK(report.test_images == 400);
    CHECK(report.calibration_images == 1200);
    CHECK(report.accuracy_int8 > 0.97);
    CHECK(std::abs(report.accuracies.back() - report.accuracy_int8) < 0.02);
    CHECK(report.accuracies.front() < report.accuracies.back());
    REQUIRE(report.machines.size() == 3);
    for (std::size_t m = 0; m < 2; ++m) {
      const PlaneMachine& machine = report.machines[m];
      CHECK_FALSE(machine.measured);
      for (std::size_t n = 1; n < 8; ++n) CHECK(machine.seconds[n - 1] < machine.seconds[n]);
      CHECK(machine.assigned_s <= machine.seconds.back());
      CHECK(machine.assigned_s >= machine.seconds.front());
    }
    // 8-bit inference has 9 planes there and 8 here.
    CHECK(report.machines[0].eight_bit_s == report.machines[0].seconds.back());
    CHECK(report.machines[1].eight_bit_s == report.machines[1].seconds[6]);
    CHECK(report.machines[2].measured);
    CHECK(report.machines[2].eight_bit_s > 0);
    CHECK(report.machines[2].assigned_s > 0);
  }
}

TEST_CASE("Planes per layer are the fastest within the limit, and meet the loss when they run") {
  const Subject subject(kPerceptron);
  for (const double max_loss : {0.25, 1.0, 4.0}) {
    CAPTURE(max_loss);
    const PlaneReport report = subject.run(max_loss);
    CHECK(report.assigned_lost <= max_loss + 1e-9);
    REQUIRE(report.layers.size() == 3);
    const auto loss = [&](std::size_t layer, std::size_t n) {
      return std::max(report.layers[layer].lost[n], 0.0);
    };
    const auto least = static_cast<std::size_t>(report.least_planes - 1);
    double best = report.machines[0].clock_hz * report.machines[0].seconds.back();
    const auto others = [&] {  // cycles of what is not chosen
      double sum = best;
      for (const auto& layer : report.layers) sum -= layer.latency_cycles.back();
      return sum;
    }();
    for (std::size_t a = least; a < 8; ++a) {
      for (std::size_t b = least; b < 8; ++b) {
        for (std::size_t c = least; c < 8; ++c) {
          if (loss(0, a) + loss(1, b) + loss(2, c) > report.loss_limit + 1e-9) continue;
          best = std::min(best, others + report.layers[0].latency_cycles[a] +
                                    report.layers[1].latency_cycles[b] +
                                    report.layers[2].latency_cycles[c]);
        }
      }
    }
    CHECK(report.machines[0].assigned_s * report.machines[0].clock_hz == Approx(best));

    // As reported, by running it again.
    const PlaneInference inference(subject.trained, {});
    PlaneSetting setting;
    setting.planes.clear();
    for (const PlaneLayerResult& layer : report.layers) setting.planes.push_back(layer.planes);
    PlaneSetting int8;
    int8.arithmetic = PlaneArithmetic::int8;
    const auto accuracy = [&](const PlaneExamples& of, const PlaneSetting& at) {
      return inference.accuracy(of.values, of.labels, at, 1);
    };
    CHECK(report.assigned_accuracy == Approx(accuracy(subject.test, setting)));
    CHECK(report.assigned_lost == Approx(100 * (accuracy(subject.calibration, int8) -
                                                accuracy(subject.calibration, setting)))
                                      .margin(1e-9));
  }
}

TEST_CASE("Losses that layers have only together leave no layer with all planes") {
  // Few images: alone most layers lose nothing, together they do.
  Subject subject(kPerceptron);
  subject.calibration = labelled(subject.trained, 60, 4);
  const PlaneReport report = subject.run(0);
  CHECK(report.assigned_lost <= 1e-9);
  CHECK(report.rounds > 1);
  CHECK(report.machines[0].assigned_s < report.machines[0].seconds.back());
}

TEST_CASE("More loss that is allowed never makes a network slower") {
  const Subject subject(kPerceptron);
  const PlaneReport little = subject.run(0.25);
  const PlaneReport much = subject.run(10);
  CHECK(much.machines[0].assigned_s <= little.machines[0].assigned_s);
  CHECK(much.machines[0].assigned_s < much.machines[0].seconds.back());
}

TEST_CASE("Activations of 16 bits are computed and cost more") {
  const Subject subject(kPerceptron);
  const PlaneReport eight = subject.run(1, 8);
  const PlaneReport sixteen = subject.run(1, 16);
  CHECK(sixteen.activation_bits == 16);
  CHECK(sixteen.machines[0].seconds.back() > eight.machines[0].seconds.back());
  CHECK(sixteen.machines[0].eight_bit_s == eight.machines[0].eight_bit_s);
  CHECK(sixteen.accuracies.back() >= eight.accuracies.back() - 0.01);
}

TEST_CASE("An evaluation can be stopped") {
  const Subject subject(kPerceptron);
  const PlaneEvaluation evaluation(subject.network, {subject.first.parts()}, {});
  std::atomic<bool> stop{false};
  std::size_t last = 0;
  const PlaneEvaluation::Run how{1, &stop, [&](std::size_t done, std::size_t all) {
                                   CHECK(done <= all);
                                   last = done;
                                   if (done == 5) stop = true;
                                 }};
  CHECK_FALSE(evaluation.run(subject.trained, subject.test, subject.calibration, 1, how));
  CHECK(last == 5);
}
