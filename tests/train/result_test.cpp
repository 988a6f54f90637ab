#include "train/result.hpp"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

using namespace widthwise;

namespace {

using Json = nlohmann::ordered_json;

/// Two layers with weights, one of them per channel; a pool that is costed alone.
TrainResult sample() {
  TrainResult result;
  result.method = "fracbits per channel";
  result.label = "fracbits";
  result.network = "net";
  result.accelerator = "tiny";
  result.data = "fashion_mnist";
  result.seed = 3;
  result.epochs = 2;
  result.images = 512;
  result.test_images = 100;
  result.batch = 64;
  result.accuracy = 0.1 + 0.2;  // has no short decimal
  result.history = {{1, 2.25, 0.1, 0.2, {1234.5678, 9}, 4.4, 4.6, 0.1, 1.5, false},
                    {2, 1.125, 0.3, 0.30000000000000004, {1000, 8}, 4, 4.5, 1e-300, 1.25, true}};
  result.layers = {{"conv1", "convolution", 4096, 144, {2, 3, 0, 8}, 8, 0.25},
                   {"fc", "fully_connected", 640, 640, {8}, 4, 0.75}};
  result.targets = {{"latency_cycles", 1000, 990, 500, 4000}, {"energy_pj", 8.5, 8, 1, 90}};
  result.metrics = {"latency_cycles", "energy_pj", "weight_bytes"};
  result.totals = {990, 8, 700};
  result.layer_costs = {{"conv1", "convolution", {600, 5, 60}},
                        {"pool", "pool", {40, 1, 0}},
                        {"fc", "fully_connected", {350, 2, 640}}};
  result.parameter_bits = 6272;
  result.float_parameter_bits = 25088;
  result.train_seconds = 2.75;
  result.images_per_s = 372.36363636363637;
  result.key = "0123456789abcdef0123456789abcdef";
  result.version = "0.1.0";
  return result;
}

/// Two numbers of planes of two layers, on a machine and the host.
PlaneReport plane_sample() {
  PlaneReport report;
  report.planes = {4, 8};
  report.activation_bits = 16;
  report.test_images = 1000;
  report.calibration_images = 2048;
  report.accuracy_float = 0.9;
  report.accuracy_int8 = 0.1 + 0.2;
  report.accuracies = {0.75, 0.8125};
  report.machines = {{"tiny", false, 1.5e9, {5, 9}, 1e-5, {6e-6, 1.1e-5}, 7e-6},
                     {"a processor", true, 0, {}, 2e-5, {1e-5, 3e-5}, 1.25e-5}};
  report.layers = {{"fc1", 4, {0.5, 0}, {100, 200}}, {"fc2", 8, {-0.25, 0}, {10, 20}}};
  report.max_loss = 1;
  report.assigned_accuracy = 0.8;
  report.assigned_lost = -0.5;
  report.loss_limit = 0.75;
  report.least_planes = 3;
  report.rounds = 2;
  return report;
}

/// A file that is gone after the test.
class File {
 public:
  explicit File(const std::string& text)
      : path_((std::filesystem::temp_directory_path() /
               ("widthwise_result_test." + std::to_string(::getpid()) + ".json"))
                  .string()) {
    std::ofstream(path_) << text;
  }
  ~File() { std::remove(path_.c_str()); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TrainResult read_back(const std::string& text) { return read_result(File(text).path()); }

/// What is wrong with the sample after a change of its JSON, without the path of the file.
std::string mistakes(const std::function<void(Json&)>& change) {
  Json json = Json::parse(result_json(sample()));
  change(json);
  const File file(json.dump());
  try {
    read_result(file.path());
    return "none";
  } catch (const InputError& error) {
    std::string text;
    for (const Diagnostic& diagnostic : error.diagnostics()) {
      CHECK(diagnostic.place.file == file.path());
      text += diagnostic.key + ": " + diagnostic.message + "\n";
    }
    return text;
  }
}

}  // namespace

TEST_CASE("a result reads back as it was, to the last bit") {
  const TrainResult before = sample();
  const TrainResult after = read_back(result_json(before));
  CHECK(after.method == before.method);
  CHECK(after.label == before.label);
  CHECK(after.network == before.network);
  CHECK(after.accelerator == before.accelerator);
  CHECK(after.data == before.data);
  CHECK(after.widths == before.widths);
  CHECK(after.seed == before.seed);
  CHECK(after.epochs == before.epochs);
  CHECK(after.images == before.images);
  CHECK(after.test_images == before.test_images);
  CHECK(after.batch == before.batch);
  CHECK(after.accuracy == before.accuracy);
  CHECK(after.accuracy_float == before.accuracy_float);
  REQUIRE(after.history.size() == 2);
  for (std::size_t e = 0; e < 2; ++e) {
    CHECK(after.history[e].epoch == before.history[e].epoch);
    CHECK(after.history[e].train_loss == before.history[e].train_loss);
    CHECK(after.history[e].train_accuracy == before.history[e].train_accuracy);
    CHECK(after.history[e].test_accuracy == before.history[e].test_accuracy);
    CHECK(after.history[e].costs == before.history[e].costs);
    CHECK(after.history[e].mean_weight_bits == before.history[e].mean_weight_bits);
    CHECK(after.history[e].mean_activation_bits == before.history[e].mean_activation_bits);
    CHECK(after.history[e].learning_rate == before.history[e].learning_rate);
    CHECK(after.history[e].seconds == before.history[e].seconds);
    CHECK(after.history[e].frozen == before.history[e].frozen);
  }
  REQUIRE(after.layers.size() == 2);
  CHECK(after.layers[0].name == "conv1");
  CHECK(after.layers[0].kind == "convolution");
  CHECK(after.layers[0].macs == 4096);
  CHECK(after.layers[0].weights == 144);
  CHECK(after.layers[0].weight_bits == std::vector<BitWidth>{2, 3, 0, 8});
  CHECK(after.layers[0].activation_bits == 8);
  CHECK(after.layers[1].sensitivity == 0.75);
  REQUIRE(after.targets.size() == 2);
  CHECK(after.targets[1].metric == "energy_pj");
  CHECK(after.targets[1].target == 8.5);
  CHECK(after.targets[1].simulated == 8);
  CHECK(after.targets[1].least == 1);
  CHECK(after.targets[1].greatest == 90);
  CHECK(after.metrics == before.metrics);
  CHECK(after.totals == before.totals);
  REQUIRE(after.layer_costs.size() == 3);
  CHECK(after.layer_costs[1].name == "pool");
  CHECK(after.layer_costs[1].kind == "pool");
  CHECK(after.layer_costs[1].values == std::vector<double>{40, 1, 0});
  CHECK(after.parameter_bits == before.parameter_bits);
  CHECK(after.float_parameter_bits == before.float_parameter_bits);
  CHECK(after.train_seconds == before.train_seconds);
  CHECK(after.images_per_s == before.images_per_s);
  CHECK(after.key == before.key);
  CHECK(after.version == before.version);
  CHECK(result_json(after) == result_json(before));
}

TEST_CASE("the same result gives the same bytes, and any field is in them") {
  CHECK(result_json(sample()) == result_json(sample()));
  using Change = std::function<void(TrainResult&)>;
  const std::vector<Change> changes{
      [](TrainResult& r) { r.widths = "w3a3"; },
      [](TrainResult& r) { r.accuracy_float = 0.9; },
      [](TrainResult& r) { r.history[0].frozen = true; },
      [](TrainResult& r) { r.history[1].costs[1] = std::nextafter(8.0, 9.0); },
      [](TrainResult& r) { r.layers[0].weight_bits[2] = 1; },
      [](TrainResult& r) { r.layer_costs.pop_back(); },
      [](TrainResult& r) { r.metrics[2] = "bitops"; },
      [](TrainResult& r) { r.version = "0.2.0"; },
  };
  for (const Change& change : changes) {
    TrainResult result = sample();
    change(result);
    CHECK(result_json(result) != result_json(sample()));
    CHECK(result_json(read_back(result_json(result))) == result_json(result));
  }
}

TEST_CASE("what bit-planes make of a network reads back as it was") {
  TrainResult before = sample();
  CHECK_FALSE(read_back(result_json(before)).planes);
  before.planes = plane_sample();
  const TrainResult after = read_back(result_json(before));
  REQUIRE(after.planes);
  CHECK(after.planes->planes == std::vector<int>{4, 8});
  CHECK(after.planes->accuracies == before.planes->accuracies);
  CHECK(after.planes->machines[0].weight_bits == std::vector<BitWidth>{5, 9});
  CHECK(after.planes->machines[1].measured);
  CHECK(after.planes->machines[1].seconds == std::vector<double>{1e-5, 3e-5});
  CHECK(after.planes->layers[1].lost == std::vector<double>{-0.25, 0});
  CHECK(after.planes->assigned_lost == -0.5);
  CHECK(after.planes->loss_limit == 0.75);
  CHECK(after.planes->least_planes == 3);
  CHECK(after.planes->rounds == 2);
  CHECK(result_json(after) == result_json(before));

  before.planes->machines[0].seconds.pop_back();
  CHECK_THROWS_AS(result_json(before), InternalError);

  const auto wrong = [](const std::function<void(Json&)>& change) {
    return mistakes([&](Json& json) {
      TrainResult result = sample();
      result.planes = plane_sample();
      json = Json::parse(result_json(result));
      change(json["planes"]);
    });
  };
  CHECK(wrong([](Json& j) { j["accuracies"].push_back(0.5); }) ==
        "planes.accuracies: expected 2 numbers, got 3\n");
  CHECK(wrong([](Json& j) { j["machines"][1].erase("assigned_s"); }) ==
        "planes.machines[1].assigned_s: is missing\n");
  CHECK(wrong([](Json& j) { j["layers"][0]["lost"][1] = "x"; }) ==
        "planes.layers[0].lost: expected a number, got string\n");
}

TEST_CASE("a training in floats has neither widths nor costs") {
  TrainResult result;
  result.method = result.label = "full_precision";
  result.network = "net";
  result.accelerator = "tiny";
  result.data = "fashion_mnist";
  result.history = {{1, 0.5, 0.8, 0.75, {}, 32, 32, 0.1, 1, true}};
  result.layers = {{"fc", "fully_connected", 640, 640, {}, 32, 0}};
  const TrainResult after = read_back(result_json(result));
  CHECK(after.layers[0].weight_bits.empty());
  CHECK(after.layers[0].activation_bits == 32);
  CHECK(after.metrics.empty());
  CHECK(after.targets.empty());
}

TEST_CASE("names may hold anything") {
  TrainResult result = sample();
  result.layers[0].name = "\"quotes\"\n\x01 \xe4\xbd\x8d";
  CHECK(read_back(result_json(result)).layers[0].name == result.layers[0].name);
  result.layers[0].name = "\xff";
  CHECK(read_back(result_json(result)).layers[0].name == "\xef\xbf\xbd");
}

TEST_CASE("figures that are no numbers are not written") {
  using Change = std::function<void(TrainResult&, double)>;
  const std::vector<Change> changes{
      [](TrainResult& r, double x) { r.accuracy = x; },
      [](TrainResult& r, double x) { r.history[1].train_loss = x; },
      [](TrainResult& r, double x) { r.history[1].costs[0] = x; },
      [](TrainResult& r, double x) { r.layers[0].sensitivity = x; },
      [](TrainResult& r, double x) { r.targets[0].least = x; },
      [](TrainResult& r, double x) { r.totals[2] = x; },
      [](TrainResult& r, double x) { r.layer_costs[1].values[1] = x; },
      [](TrainResult& r, double x) { r.images_per_s = x; },
  };
  for (const Change& change : changes) {
    for (const double value :
         {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
      TrainResult result = sample();
      change(result, value);
      CHECK_THROWS_AS(result_json(result), InternalError);
    }
  }
}

TEST_CASE("figures without names and names that are there twice are not written") {
  TrainResult result = sample();
  result.totals.pop_back();
  CHECK_THROWS_AS(result_json(result), InternalError);
  result = sample();
  result.history[0].costs.pop_back();
  CHECK_THROWS_AS(result_json(result), InternalError);
  result = sample();
  result.metrics[1] = "latency_cycles";
  CHECK_THROWS_AS(result_json(result), InternalError);
}

TEST_CASE("a file that is no result is refused with the place") {
  CHECK_THROWS_AS(read_result("/nowhere/result.json"), InputError);
  const File cut(result_json(sample()).substr(0, 60));
  try {
    read_result(cut.path());
    FAIL("a file that was cut short was read");
  } catch (const InputError& error) {
    const SourcePlace& place = error.diagnostics().at(0).place;
    CHECK(place.file == cut.path());
    CHECK(place.line == 3);  // 60 bytes in, within the method
    CHECK(place.column > 1);
  }
  CHECK_THROWS_WITH(read_back("[]"), Catch::Contains("expected an object, got array"));
  CHECK_THROWS_WITH(read_back(R"({"schema": "report/1"})"),
                    Catch::Contains("schema: expected 'training/1', got 'report/1'"));
  CHECK_THROWS_WITH(read_back("{}"), Catch::Contains("schema: is missing"));
}

TEST_CASE("what is wrong with a result is named by its key") {
  CHECK(mistakes([](Json&) {}) == "none");
  CHECK(mistakes([](Json& j) { j["more"] = 1; }) == "none");
  CHECK(mistakes([](Json& j) { j.erase("label"); }) == "label: is missing\n");
  CHECK(mistakes([](Json& j) { j["label"] = 5; }) == "label: expected text, got number\n");
  CHECK(mistakes([](Json& j) { j["accuracy"] = nullptr; }) ==
        "accuracy: expected a number, got null\n");
  CHECK(mistakes([](Json& j) { j["accuracy"] = 1.5; }) ==
        "accuracy: expected a number of 0..1, got 1.5\n");
  CHECK(mistakes([](Json& j) { j["epochs"] = -1; }).starts_with("epochs: expected a whole number"));
  CHECK(
      mistakes([](Json& j) { j["epochs"] = 1.5; }).starts_with("epochs: expected a whole number"));
  CHECK(mistakes([](Json& j) {
          j["epochs"] = 18446744073709551615ULL;
        }).starts_with("epochs: expected a whole number"));
  CHECK(mistakes([](Json& j) { j["layers"][0]["weight_bits"][1] = 33; }) ==
        "layers[0].weight_bits: expected a whole number of 0..32, got 33\n");
  CHECK(mistakes([](Json& j) { j["layers"] = 1; }) == "layers: expected a list, got number\n");
  CHECK(mistakes([](Json& j) { j["history"][1] = 1; }) ==
        "history[1]: expected an object, got number\n");
  CHECK(mistakes([](Json& j) { j["history"][1]["frozen"] = 1; }) ==
        "history[1].frozen: expected true or false, got number\n");
  CHECK(mistakes([](Json& j) { j["history"][1]["costs"].erase("energy_pj"); }) ==
        "history[1].costs: expected the metrics latency_cycles, energy_pj\n");
  CHECK(mistakes([](Json& j) { j["layer_costs"][2]["costs"]["more"] = 1; }) ==
        "layer_costs[2].costs: expected the metrics latency_cycles, energy_pj, weight_bytes\n");
  CHECK(mistakes([](Json& j) { j["totals"]["energy_pj"] = "8"; }) ==
        "totals.energy_pj: expected a number, got string\n");
}

TEST_CASE("all mistakes of a result come together") {
  CHECK(mistakes([](Json& j) {
          j.erase("key");
          j["batch"] = "64";
        }) ==
        "batch: expected a whole number of 0..9223372036854775807, got \"64\"\nkey: is missing\n");
}
