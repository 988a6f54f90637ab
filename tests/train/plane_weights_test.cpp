#include "train/torch/plane_weights.hpp"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/config/shipped_data.hpp"
#include "models/cost/machine_model.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "tests/train/plane_floats.hpp"
#include "train/plane_evaluation.hpp"
#include "train/torch/trainer.hpp"

namespace widthwise {

namespace {

constexpr const char* kPerceptron =
    "schema: network/1\nname: perceptron\ninputs: {x: [1, 2, 4, 8]}\nlayers:\n"
    "  - {name: flat, kind: flatten}\n"
    "  - {name: fc1, kind: fully_connected, out_features: 24, bias: true, activation: relu}\n"
    "  - {name: fc2, kind: fully_connected, out_features: 16, activation: relu}\n"
    "  - {name: fc3, kind: fully_connected, out_features: 4, bias: true}\n";

constexpr const char* kLstm =
    "schema: network/1\nname: sequence\ninputs: {x: [1, 2, 4, 8]}\nlayers:\n"
    "  - {name: rows, kind: reshape, shape: [0, -1, 8]}\n"
    "  - {name: lstm, kind: lstm, hidden: 12, bias: true}\n"
    "  - {name: mean, kind: mean, axes: [1]}\n"
    "  - {name: fc, kind: fully_connected, out_features: 4, bias: true}\n";

/// Four classes: two bright columns of 2 x 4 x 8 pixels, under noise.
ImageSet bars(std::size_t count, std::uint32_t seed) {
  ImageSet set;
  set.count = count;
  set.channels = 2;
  set.height = 4;
  set.width = 8;
  std::mt19937 random(seed);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t label = random() % 4;
    for (std::uint32_t at = 0; at < 64; ++at) {
      const bool bright = at % 8 / 2 == label;
      set.pixels.push_back(static_cast<std::uint8_t>(random() % 160 + (bright ? 60 : 0)));
    }
    set.labels.push_back(static_cast<std::uint8_t>(label));
  }
  return set;
}

TrainSettings settings_of(TrainMethod method) {
  TrainSettings settings;
  settings.method = method;
  settings.data = "bars";
  settings.epochs = 6;
  settings.batch = 32;
  settings.augment = Augmentation::none;
  settings.pins.clear();
  settings.activation_bits = {8};
  settings.calibration_images = 200;
  settings.test_images = 100;
  return settings;
}

struct Machine {
  Accelerator accelerator;
  std::unique_ptr<MachineCostModel> model;

  Machine(const std::string& name, const Network& network)
      : accelerator(read_accelerator(find_file(Shipped::accelerators, {name, {}, {}}))),
        model(analytic_cost_model(network, accelerator,
                                  read_energy_table(accelerator.energy_table))) {}
};

}  // namespace

TEST_CASE("A network's weights for bit-planes give what the network gives in floats") {
  for (const char* text : {kPerceptron, kLstm}) {
    const Network network = parse_network(text, "test.yaml");
    torch::manual_seed(5);
    QuantizedNetwork model(network, 4);
    const torch::NoGradGuard no_gradient;
    for (QuantizedLayer& layer : model.layers()) {
      if (layer.bias.defined()) layer.bias.uniform_(-0.5, 0.5);
    }
    model.set_quantized(false);
    model.set_training(false);
    const PlaneNetwork planes = plane_weights(plane_structure(network), model);

    const ImageSet set = bars(20, 1);
    const torch::Tensor images =
        torch::from_blob(const_cast<std::uint8_t*>(set.pixels.data()), {20, 2, 4, 8}, torch::kUInt8)
            .to(torch::kFloat32)
            .div(255)
            .contiguous(torch::MemoryFormat::ChannelsLast);
    const torch::Tensor outputs = model.forward(images);
    const PlaneExamples examples =
        plane_examples(set, std::vector<std::size_t>{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,
                                                     10, 11, 12, 13, 14, 15, 16, 17, 18, 19});
    for (std::int64_t i = 0; i < 20; ++i) {
      const auto from = examples.values.begin() + 64 * i;
      const auto expected = test::in_floats(planes, {from, from + 64});
      for (std::int64_t c = 0; c < 4; ++c) {
        CAPTURE(network.name(), i, c);
        CHECK(std::abs(outputs[i][c].item<double>() - expected[static_cast<std::size_t>(c)]) <
              1e-4);
      }
    }
  }
}

TEST_CASE("A network is trained in floats and evaluated by bit-planes") {
  for (const char* text : {kPerceptron, kLstm}) {
    const Network network = parse_network(text, "test.yaml");
    CAPTURE(network.name());
    const Dataset data{"bars", 4, bars(640, 1), bars(200, 2)};
    const Machine first("precision_batching", network);
    const Machine second("loom_16x16", network);
    TrainMachine machine{&first.accelerator, first.model.get(), nullptr};
    machine.others = {{&second.accelerator, second.model.get()}};
    TrainPlace place;
    place.threads = 1;
    const auto floats =
        train_network(network, data, machine, settings_of(TrainMethod::full_precision), place);
    const auto planes =
        train_network(network, data, machine, settings_of(TrainMethod::precision_batching), place);
    REQUIRE(floats);
    REQUIRE(planes);
    CHECK_FALSE(floats->planes);
    REQUIRE(planes->planes);
    REQUIRE(planes->history.size() == floats->history.size());
    for (std::size_t e = 0; e < planes->history.size(); ++e) {
      CHECK(planes->history[e].train_loss == floats->history[e].train_loss);
      CHECK(planes->history[e].test_accuracy == floats->history[e].test_accuracy);
    }
    const PlaneReport& report = *planes->planes;
    CHECK(planes->accuracy > 0.8);
    CHECK(report.test_images == 100);
    CHECK(report.calibration_images == 200);
    CHECK(std::abs(report.accuracy_float - planes->accuracy) < 0.1);
    CHECK(std::abs(report.accuracy_int8 - report.accuracy_float) <= 0.03);
    CHECK(std::abs(report.accuracies.back() - report.accuracy_float) <= 0.03);
    CHECK(report.assigned_lost <= 1 + 1e-9);
    REQUIRE(report.machines.size() == 3);
    CHECK(report.machines[0].name == "precision_batching");
    CHECK(report.machines[1].name == "loom_16x16");
    CHECK(report.machines[2].measured);
    CHECK(planes->layers.front().weight_bits.empty());
  }
}

TEST_CASE("A network that bit-planes do not know is refused before it is trained") {
  const Network network = parse_network(
      "schema: network/1\nname: net\ninputs: {x: [1, 2, 4, 8]}\nlayers:\n"
      "  - {name: c, kind: convolution, out_channels: 4, kernel: 3, activation: relu}\n"
      "  - {name: flat, kind: flatten}\n"
      "  - {name: fc, kind: fully_connected, out_features: 4}\n",
      "test.yaml");
  const Dataset data{"bars", 4, bars(64, 1), bars(64, 2)};
  const Machine first("precision_batching", network);
  const TrainMachine machine{&first.accelerator, first.model.get(), nullptr};
  bool trained = false;
  CHECK_THROWS_WITH(
      train_network(network, data, machine, settings_of(TrainMethod::precision_batching), {},
                    [&](const TrainProgress&) { trained = true; }),
      Catch::Contains("bit-planes know chains of fully connected layers"));
  CHECK_FALSE(trained);
}

}  // namespace widthwise
