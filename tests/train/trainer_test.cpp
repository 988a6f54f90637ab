#include "train/torch/trainer.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

#include "models/config/shipped_data.hpp"
#include "models/cost/machine_model.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/table/table_points.hpp"

namespace widthwise {

namespace {

/// Four classes: a bright bar in one of the quarters of 8 x 8 pixels, under noise.
ImageSet bars(std::size_t count, std::uint32_t seed) {
  ImageSet set;
  set.count = count;
  set.height = set.width = 8;
  std::uint32_t state = seed;
  const auto random = [&] { return (state = state * 1664525U + 1013904223U) >> 24U; };
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t label = random() % 4;
    for (std::uint32_t y = 0; y < 8; ++y) {
      for (std::uint32_t x = 0; x < 8; ++x) {
        const bool bright = (label < 2 ? y : x) / 4 == label % 2;
        set.pixels.push_back(static_cast<std::uint8_t>(random() / 2 + (bright ? 60 : 0)));
      }
    }
    set.labels.push_back(static_cast<std::uint8_t>(label));
  }
  return set;
}

Dataset bar_images() { return {"bars", 4, bars(512, 1), bars(256, 2)}; }

Network small_network() {
  return parse_network(
      "schema: network/1\nname: small\ninputs: {x: [1, 1, 8, 8]}\nlayers:\n"
      "  - {name: c1, kind: convolution, out_channels: 8, kernel: 3, padding: 1, activation: "
      "relu}\n"
      "  - {name: dw, kind: convolution, out_channels: 8, kernel: 3, padding: 1, groups: 8, "
      "activation: relu}\n"
      "  - {name: c2, kind: convolution, out_channels: 16, kernel: 3, stride: 2, padding: 1, "
      "activation: relu}\n"
      "  - {name: c3, kind: convolution, out_channels: 16, kernel: 3, padding: 1, activation: "
      "relu}\n"
      "  - {name: flat, kind: flatten}\n"
      "  - {name: fc, kind: fully_connected, out_features: 4, bias: true}\n",
      "small.yaml");
}

TrainSettings small_settings(TrainMethod method) {
  TrainSettings settings;
  settings.method = method;
  settings.data = "bars";
  settings.epochs = 5;
  settings.batch = 32;
  settings.augment = Augmentation::none;
  settings.calibration_images = 64;
  settings.warm_epochs = 1;
  if (method == TrainMethod::fixed) settings.assignment = parse_uniform_assignment("w4a4");
  if (method != TrainMethod::fixed && method != TrainMethod::full_precision) {
    settings.targets.push_back(
        {"latency_cycles", BudgetForm{BudgetForm::Kind::share, 1.0, {4, 4}}, 1, {}});
  }
  return settings;
}

/// A machine whose cycles grow with both widths, in closed form.
struct Machine {
  Network network = small_network();
  Accelerator accelerator =
      read_accelerator(find_file(Shipped::accelerators, {"bismo_edge_8x8", {}, {}}));
  std::unique_ptr<MachineCostModel> model =
      analytic_cost_model(network, accelerator, read_energy_table(accelerator.energy_table));
  CostTable table;

  explicit Machine(const TrainSettings& settings) {
    TableRequest request;
    request.weight_bits = settings.weight_bits;
    request.activation_bits = settings.activation_bits;
    request.stored = true;
    table = make_table(*model, request).table;
  }
  [[nodiscard]] TrainMachine parts() const { return {&accelerator, model.get(), &table}; }
};

std::string without_times(TrainResult result) {
  result.train_seconds = result.images_per_s = 0;
  for (EpochRecord& record : result.history) record.seconds = 0;
  return result_json(result);
}

/// A folder of this test's own, removed at the end.
struct Folder {
  static std::string made() {
    std::string text = (std::filesystem::temp_directory_path() / "trainer_XXXXXX").string();
    REQUIRE(mkdtemp(text.data()) != nullptr);
    return text;
  }
  std::filesystem::path path = made();

  Folder() = default;
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
};

/// Trains with interruptions after `steps` steps each; the same files all along.
TrainResult in_pieces(const Machine& machine, const TrainSettings& settings, std::size_t steps) {
  const Folder folder;
  for (int piece = 0; piece < 100; ++piece) {
    std::atomic<bool> stop{false};
    std::size_t begin = 0;
    TrainPlace place;
    place.checkpoint = folder.path / "run.checkpoint";
    place.resume = true;
    place.threads = 1;
    place.stop = &stop;
    place.key = "the key";
    const auto result = train_network(machine.network, bar_images(), machine.parts(), settings,
                                      place, [&](const TrainProgress& progress) {
                                        if (begin == 0) begin = progress.step;
                                        if (progress.step >= begin + steps) stop = true;
                                      });
    if (result) {
      CHECK(piece > 1);
      return *result;
    }
  }
  FAIL("does not come to an end");
  return {};
}

TrainPlace one_thread() {
  TrainPlace place;
  place.threads = 1;
  place.key = "the key";
  return place;
}

}  // namespace

TEST_CASE("Training at fixed widths learns, and a seed gives the same run again") {
  const TrainSettings settings = small_settings(TrainMethod::fixed);
  const Machine machine(settings);
  const auto train = [&](const TrainSettings& with) {
    return *train_network(machine.network, bar_images(), machine.parts(), with, one_thread());
  };
  const TrainResult first = train(settings);
  CHECK(first.accuracy > 0.9);
  REQUIRE(first.history.size() == 5);
  CHECK(first.history.back().train_loss < first.history.front().train_loss / 2);
  REQUIRE(first.layers.size() == 5);
  CHECK(first.layers.front().weight_bits == std::vector<BitWidth>{8});
  CHECK(first.layers[1].weight_bits == std::vector<BitWidth>{4});
  CHECK(first.totals.at(metric_index(first.metrics, "latency_cycles")) > 0);
  CHECK(without_times(first) == without_times(train(settings)));
  TrainSettings other = settings;
  other.seed = 2;
  CHECK(without_times(first) != without_times(train(other)));
}

TEST_CASE("A training that is interrupted ends as one that is not") {
  for (const TrainMethod method : {TrainMethod::full_precision, TrainMethod::fracbits,
                                   TrainMethod::bmpq, TrainMethod::post_training}) {
    CAPTURE(to_string(method));
    TrainSettings settings = small_settings(method);
    if (method == TrainMethod::bmpq) settings.weight_bits = {2, 4};
    if (method == TrainMethod::bmpq) settings.targets[0].form.reference = {3, 3};
    settings.per_channel = method == TrainMethod::fracbits;
    if (method == TrainMethod::bmpq) {
      settings.targets[0] = {
          "latency_cycles", BudgetForm{BudgetForm::Kind::fraction, 0.5, {}}, 1, {}};
    }
    const Machine machine(settings);
    const auto whole =
        train_network(machine.network, bar_images(), machine.parts(), settings, one_thread());
    CHECK(without_times(*whole) == without_times(in_pieces(machine, settings, 23)));
  }
}

TEST_CASE("FracBits ends at whole widths that meet the target") {
  for (const bool per_channel : {false, true}) {
    CAPTURE(per_channel);
    TrainSettings settings = small_settings(TrainMethod::fracbits);
    settings.per_channel = per_channel;
    const Machine machine(settings);
    const auto result =
        train_network(machine.network, bar_images(), machine.parts(), settings, one_thread());
    REQUIRE(result->targets.size() == 1);
    CHECK(result->targets[0].simulated == Approx(result->targets[0].target).epsilon(0.01));
    CHECK(result->history.front().frozen == false);
    CHECK(result->history.back().frozen);
    CHECK(result->layers.front().weight_bits == std::vector<BitWidth>{8});
    CHECK(result->layers[2].weight_bits.size() == (per_channel ? 16U : 1U));
    CHECK(result->accuracy > 0.8);
  }
}

TEST_CASE("BMPQ and widths after training keep to the budget") {
  for (const TrainMethod method : {TrainMethod::bmpq, TrainMethod::post_training}) {
    CAPTURE(to_string(method));
    TrainSettings settings = small_settings(method);
    settings.targets[0].form = BudgetForm{BudgetForm::Kind::fraction, 0.4, {}};
    if (method == TrainMethod::bmpq) settings.weight_bits = {2, 4};
    const Machine machine(settings);
    const auto result =
        train_network(machine.network, bar_images(), machine.parts(), settings, one_thread());
    CHECK(result->targets[0].simulated <= result->targets[0].target * 1.000001);
    CHECK(result->targets[0].simulated > result->targets[0].target * 0.5);
    double sensitivity = 0;
    for (const TrainedLayer& layer : result->layers) sensitivity += layer.sensitivity;
    CHECK(sensitivity > 0);
    CHECK(result->accuracy > 0.7);
    if (method == TrainMethod::post_training) CHECK(result->accuracy_float > 0.9);
  }
}

TEST_CASE("A loss that is not a number ends the training and the checkpoint stays") {
  const Folder folder;
  TrainSettings settings = small_settings(TrainMethod::full_precision);
  settings.learning_rate = 1e12;
  settings.warmup_epochs = 1;
  const Machine machine(settings);
  TrainPlace place = one_thread();
  place.checkpoint = folder.path / "run.checkpoint";
  CHECK_THROWS_AS(train_network(machine.network, bar_images(), machine.parts(), settings, place),
                  NotANumber);
}

TEST_CASE("Images that do not fit the network and checkpoints of others are refused") {
  TrainSettings settings = small_settings(TrainMethod::fixed);
  const Machine machine(settings);
  Dataset wide = bar_images();
  wide.train.width = wide.test.width = 16;
  wide.train.count /= 2;
  wide.test.count /= 2;
  CHECK_THROWS_WITH(
      train_network(machine.network, wide, machine.parts(), settings, one_thread()),
      Catch::Contains("expected images of 64 values") && Catch::Contains("1 x 8 x 16"));

  const Folder folder;
  settings.epochs = 1;
  TrainPlace place = one_thread();
  place.checkpoint = folder.path / "run.checkpoint";
  (void)train_network(machine.network, bar_images(), machine.parts(), settings, place);
  REQUIRE(std::filesystem::exists(place.checkpoint));
  place.key = "another key";
  place.resume = true;
  CHECK_THROWS_WITH(train_network(machine.network, bar_images(), machine.parts(), settings, place),
                    Catch::Contains("other settings"));
  std::filesystem::resize_file(place.checkpoint, 100);
  CHECK_THROWS_WITH(train_network(machine.network, bar_images(), machine.parts(), settings, place),
                    Catch::Contains("can not be read"));
}

}  // namespace widthwise
