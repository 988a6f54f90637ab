#include "cli/train_report.hpp"

#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/text_layout.hpp"

using namespace widthwise;
using Json = nlohmann::ordered_json;

namespace {

/// A training in floats; with `widths` at these.
TrainResult plain(const std::string& label, double accuracy, BitWidth width, double cycles) {
  TrainResult result;
  result.method = "fixed";
  result.label = label;
  result.network = "net";
  result.accelerator = "tiny";
  result.data = "fashion_mnist";
  result.seed = 7;
  result.epochs = 2;
  result.images = 20000;
  result.test_images = 10000;
  result.batch = 128;
  result.accuracy = accuracy;
  result.history = {{1, 2.5, 0.25, 0.3, {}, 3, 3, 0.1, 10, true},
                    {2, 1.25, 0.5, accuracy, {}, 3, 3, 0.0, 10, true}};
  result.layers = {{"conv1", "convolution", 28224, 144, {width}, width, 0},
                   {"fc", "fully_connected", 1280, 1280, {width}, width, 0}};
  result.metrics = {"latency_cycles", "energy_pj"};
  result.totals = {cycles, 2e6};
  result.layer_costs = {{"conv1", "convolution", {cycles * 0.75, 1.5e6}},
                        {"pool", "pool", {cycles * 0.05, 1e5}},
                        {"fc", "fully_connected", {cycles * 0.2, 4e5}}};
  result.parameter_bits = 11392;
  result.float_parameter_bits = 45568;
  result.train_seconds = 20;
  result.images_per_s = 2000;
  return result;
}

TrainReport sample() {
  TrainReport report;
  report.clock = Hertz(100e6);
  report.main = plain("fracbits", 0.9012, 3, 10000);
  report.main.method = "fracbits";
  report.main.targets = {{"latency_cycles", 10100, 10000, 5000, 30000}};
  report.main.history[0].costs = {12120};
  report.main.history[0].frozen = false;
  report.main.history[1].costs = {10000};
  report.main.layers[1].weight_bits = {4};
  report.main.layers[1].activation_bits = 2;
  report.compared = {plain("uniform w3a3", 0.88, 3, 10100)};
  TrainResult floats = plain("full_precision", 0.925, 32, 0);
  for (TrainedLayer& layer : floats.layers) {
    layer.weight_bits.clear();
  }
  floats.metrics.clear();
  floats.totals.clear();
  floats.layer_costs.clear();
  floats.parameter_bits = floats.float_parameter_bits;
  report.compared.push_back(floats);
  return report;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t widest(const std::string& text) {
  std::istringstream lines(text);
  std::size_t most = 0;
  for (std::string line; std::getline(lines, line);) {
    most = std::max(most, text_width(line));
  }
  return most;
}

}  // namespace

TEST_CASE("a report says what was reached at which costs, and how others fared") {
  CHECK(train_text(sample()) ==
        R"(net on tiny: fracbits on fashion_mnist

layer  bits     MACs  weights  cycles   share    energy
conv1  3/3   28.22 k      144   7,500  75.0 %  1.500 uJ
pool   -           -        -     500   5.0 %  100.0 nJ
fc     4/2   1.280 k  1.280 k   2,000  20.0 %  400.0 nJ

accuracy        90.12 % of 10,000 test images
target          latency_cycles: 10000 simulated; target 10100 (-0.99 %); 5000 .. 30000 can be
                reached
latency         10,000 cycles = 100.0 us at 100 MHz
energy          2.000 uJ
parameters      1.424 kB, 4.00 times smaller than in floats
mean widths     3.50/2.50
training        2 epochs of 20,000 images in batches of 128, seed 7; 20 s, 2000 images/s

training        accuracy  from latency_cycles  cycles    energy  parameters       bits
fracbits         90.12 %              -0.99 %  10,000  2.000 uJ    1.424 kB  3.50/2.50
uniform w3a3     88.00 %              +0.00 %  10,100  2.000 uJ    1.424 kB  3.00/3.00
full_precision   92.50 %                    -       -         -    5.696 kB      32/32
)");
}

TEST_CASE("a report of one training compares nothing") {
  TrainReport report = sample();
  report.compared.clear();
  const std::string text = train_text(report);
  CHECK(contains(text, "accuracy        90.12 %"));
  CHECK_FALSE(contains(text, "from latency_cycles"));
}

TEST_CASE("a training in floats is reported without costs") {
  TrainReport report = sample();
  report.main = report.compared.back();
  report.compared.clear();
  const std::string text = train_text(report);
  CHECK(contains(text, "\nlayer  bits      MACs  weights\nconv1  32/32  28.22 k      144\n"));
  CHECK_FALSE(contains(text, "cycles"));
  CHECK(contains(text, "parameters      5.696 kB\n"));
  CHECK(contains(train_page(report), "</html>"));
}

TEST_CASE("bit-planes are reported by accuracy and speed-up over 8 bit") {
  TrainReport report = sample();
  report.main = report.compared.back();
  report.compared.clear();
  PlaneReport planes;
  planes.planes = {4, 8};
  planes.test_images = 2000;
  planes.calibration_images = 1000;
  planes.accuracy_float = 0.9;
  planes.accuracy_int8 = 0.89;
  planes.accuracies = {0.88, 0.8925};
  planes.machines = {{"tiny", false, 1e8, {4, 8}, 2e-5, {1e-5, 2e-5}, 1.6e-5},
                     {"a processor", true, 0, {}, 3e-6, {2e-6, 4e-6}, 2.5e-6}};
  planes.layers = {{"conv1", 4, {0.5, 0}, {500, 1000}}, {"fc", 8, {2, 0}, {500, 1000}}};
  planes.max_loss = 1;
  planes.assigned_accuracy = 0.885;
  planes.assigned_lost = 0.4;
  planes.loss_limit = 1;
  planes.rounds = 1;
  report.main.planes = planes;
  const std::string text = train_text(report);
  CHECK(contains(text, R"(
planes     accuracy   lost   tiny  host (measured)
4           88.00 %   1.00  2.00x            1.50x
8           89.25 %  -0.25  1.00x            0.75x
float       90.00 %  -1.00      -                -
8 bit       89.00 %   0.00  1.00x            1.00x
per layer   88.50 %   0.50  1.25x            1.20x

per layer       conv1 4, fc 8
lost            0.40 points on 1,000 calibration images, 1.00 are allowed; 0.50 on 2,000 test
                images; the limit of the layers' losses was 1 with at least 1 plane each after 1
                round
activations     8 bits, a scale per vector
host            a processor, one thread: 8-bit inference 3.000 us, planes per layer 2.500 us
)"));
  CHECK(widest(text) <= 100);
  const std::string page = train_page(report);
  CHECK(contains(page, "Accuracy by bit-planes"));
  CHECK(contains(page, "Speed-up by bit-planes"));
  CHECK(contains(page, "lost at 4"));

  report.main.planes->assigned_lost = 1.5;
  CHECK(contains(train_text(report), "1.00 are allowed (not met:"));
}

TEST_CASE("channels of different widths show their mean and are counted") {
  TrainReport report = sample();
  report.main.layers[0].weight_bits = {0, 2, 2, 5};
  const std::string text = train_text(report);
  CHECK(contains(text, "\nconv1  2.25/3  "));
  CHECK(contains(text, "\nlayer  pruned  2 bit  5 bit\nconv1       1      2      1\n"));
  CHECK(contains(text, "mean widths     3.12/2.50\n"));
}

TEST_CASE("sensitivities have a column where there are any") {
  TrainReport report = sample();
  CHECK_FALSE(contains(train_text(report), "sensitivity"));
  report.main.layers[0].sensitivity = 0.625;
  const std::string text = train_text(report);
  CHECK(contains(text, "energy  sensitivity\n"));
  CHECK(contains(text, "1.500 uJ        0.625\n"));
  CHECK(contains(text, "100.0 nJ            -\n"));
}

TEST_CASE("accuracy before quantization is said where it is known") {
  TrainReport report = sample();
  report.main.accuracy_float = 0.915;
  CHECK(contains(train_text(report),
                 "accuracy        90.12 % of 10,000 test images, 91.50 % before quantization\n"));
}

TEST_CASE("no line is wider than a terminal, and names do not reach it raw") {
  TrainReport report = sample();
  report.main.layers[0].name = report.main.layer_costs[0].name = std::string(120, 'x') + "\x1b[2J";
  report.main.label = std::string(120, 'y');
  report.main.targets.push_back({"energy_pj", 1e6, 2e6, 0, 0});
  for (EpochRecord& record : report.main.history) {
    record.costs.push_back(1e6);
  }
  const std::string text = train_text(report);
  CHECK(widest(text) <= 100);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(contains(text, "energy_pj: 2e+06 simulated; target 1e+06 (+100.00 %)"));
}

TEST_CASE("the JSON of an experiment holds all of its results") {
  const TrainReport report = sample();
  const Json json = Json::parse(train_json(report));
  CHECK(json["schema"] == "train/1");
  CHECK(json["clock_hz"] == 100e6);
  CHECK(json["main"] == Json::parse(result_json(report.main)));
  REQUIRE(json["compared"].size() == 2);
  CHECK(json["compared"][0]["label"] == "uniform w3a3");
  CHECK(json["compared"][1]["totals"].empty());
  CHECK(train_json(report) == train_json(sample()));
}

TEST_CASE("a page draws curves, widths, costs and the comparison") {
  TrainReport report = sample();
  const std::string page = train_page(report);
  for (const char* title :
       {"Accuracy against simulated latency", "Trainings", "Loss per epoch", "Accuracy per epoch",
        "Cost against target per epoch", "Mean widths per epoch", "Widths per layer",
        "Layers with multiply-accumulates", "Simulated latency per layer",
        "Simulated costs per layer"}) {
    CHECK(contains(page, title));
  }
  CHECK_FALSE(contains(page, "Output channels by width"));
  CHECK(contains(page, "latency_cycles 12120, widths move"));
  CHECK(contains(page, "[120.0,"));  // percent of the target
  report.main.layers[0].weight_bits = {0, 2, 2, 5};
  CHECK(contains(train_page(report), "Output channels by width"));
  report.compared.clear();
  CHECK_FALSE(contains(train_page(report), "Accuracy against simulated latency"));
  CHECK(train_page(sample()) == page);
}
