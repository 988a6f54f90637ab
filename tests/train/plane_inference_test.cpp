// Networks computed by bit-planes: the same outputs by kernels and by plain products, near to what
// floats give, with the number of planes as a knob; and the table of measured times.
#include "train/plane_inference.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "models/network/network_yaml.hpp"
#include "models/table/table_csv.hpp"
#include "models/table/table_model.hpp"
#include "tests/train/plane_floats.hpp"

using namespace widthwise;
using test::in_floats;
using test::Values;

namespace {

std::vector<float> gaussian(std::mt19937& random, std::int64_t count, double deviation = 1) {
  std::normal_distribution<float> draw(0, static_cast<float>(deviation));
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = draw(random);
  return values;
}

PlaneLayer layer(std::mt19937& random, const std::string& name, std::int64_t outputs,
                 std::int64_t inputs, bool relu) {
  PlaneLayer made;
  made.name = name;
  made.outputs = outputs;
  made.inputs = inputs;
  made.weights = gaussian(random, outputs * inputs, 1 / std::sqrt(static_cast<double>(inputs)));
  made.bias = gaussian(random, outputs, 0.1);
  made.relu = relu;
  return made;
}

PlaneNetwork mlp(std::mt19937& random) {
  PlaneNetwork network;
  network.name = "tiny_mlp";
  network.layers = {layer(random, "fc1", 32, 16, true), layer(random, "fc2", 8, 32, false)};
  return network;
}

PlaneNetwork lstm(std::mt19937& random) {
  PlaneNetwork network;
  network.name = "lstm";
  PlaneLstm part;
  part.steps = 6;
  part.input = layer(random, "lstm/input", 4 * 20, 11, false);
  part.recurrent = layer(random, "lstm/recurrent", 4 * 20, 20, false);
  network.lstm = part;
  network.layers = {layer(random, "fc", 5, 20, false)};
  return network;
}

std::vector<float> outputs(const PlaneInference& inference, const std::vector<float>& input,
                           const PlaneSetting& setting) {
  PlaneInference::Scratch scratch(*setting.kernel);
  std::vector<float> output(static_cast<std::size_t>(inference.outputs()));
  inference.run(input, setting, scratch, output);
  return output;
}

double distance(const std::vector<float>& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    sum += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
  }
  return std::sqrt(sum);
}

void check_exact(const PlaneNetwork& network, std::mt19937& random) {
  const PlaneInference inference(network, {});
  PlaneWorkers workers(2);
  for (int example = 0; example < 5; ++example) {
    const std::vector<float> input = gaussian(random, inference.inputs());
    for (const int bits : {8, 16, 32}) {
      for (int planes = 1; planes <= 8; ++planes) {
        PlaneSetting setting;
        setting.planes = {planes};
        setting.activation_bits = bits;
        setting.arithmetic = PlaneArithmetic::plain_products;
        const std::vector<float> plain = outputs(inference, input, setting);
        setting.arithmetic = PlaneArithmetic::planes;
        const PlaneKernelList list = plane_kernels();
        for (int k = 0; k < list.count; ++k) {
          INFO(list.kernels[k]->name << ", " << planes << " planes, " << bits << " bits");
          setting.kernel = list.kernels[k];
          setting.workers = nullptr;
          CHECK(outputs(inference, input, setting) == plain);
          setting.workers = &workers;
          CHECK(outputs(inference, input, setting) == plain);
        }
      }
    }
  }
}

void check_near(const PlaneNetwork& network, std::mt19937& random) {
  PlaneOptions options;
  options.planes = 12;
  const PlaneInference inference(network, options);
  std::vector<double> errors(13);
  double error_of_bytes = 0;
  double size = 0;
  for (int example = 0; example < 20; ++example) {
    const std::vector<float> input = gaussian(random, inference.inputs());
    const Values expected = in_floats(network, input);
    size += distance(std::vector<float>(expected.size()), expected);
    PlaneSetting setting;
    setting.activation_bits = 16;
    for (const int planes : {1, 2, 4, 6, 8, 12}) {
      setting.planes = {planes};
      errors[static_cast<std::size_t>(planes)] +=
          distance(outputs(inference, input, setting), expected);
    }
    setting.activation_bits = 8;
    setting.arithmetic = PlaneArithmetic::int8;
    error_of_bytes += distance(outputs(inference, input, setting), expected);
  }
  CHECK(errors[1] > errors[2]);
  CHECK(errors[2] > errors[4]);
  CHECK(errors[4] > errors[6]);
  CHECK(errors[6] > errors[8]);
  CHECK(errors[12] < 1e-3 * size);
  CHECK(error_of_bytes < 0.03 * size);
}

}  // namespace

TEST_CASE("kernels and plain products give the same outputs, layer after layer") {
  std::mt19937 random(11);
  check_exact(mlp(random), random);
}

TEST_CASE("kernels and plain products give the same outputs through an LSTM") {
  std::mt19937 random(12);
  check_exact(lstm(random), random);
}

TEST_CASE("more planes come nearer to the network in floats, to 12 of them within a thousandth") {
  std::mt19937 random(13);
  check_near(mlp(random), random);
}

TEST_CASE("more planes come nearer to the network in floats through an LSTM too") {
  std::mt19937 random(14);
  check_near(lstm(random), random);
}

TEST_CASE("planes are chosen per matrix and call") {
  std::mt19937 random(15);
  const PlaneNetwork network = mlp(random);
  const PlaneInference inference(network, {});
  CHECK(inference.matrices() == std::vector<std::string>{"fc1", "fc2"});
  const std::vector<float> input = gaussian(random, 16);
  PlaneSetting setting;
  setting.planes = {3, 6};
  const std::vector<float> mixed = outputs(inference, input, setting);

  // Layer by layer by hand.
  PlaneActivations x;
  x.set(input, 8);
  std::vector<std::int64_t> sums(32);
  multiply(inference.planes(0), 3, x, sums);
  std::vector<float> hidden(32);
  reconstruct(inference.planes(0), 3, x, sums, network.layers[0].bias, hidden);
  for (float& value : hidden) value = std::max(value, 0.0F);
  x.set(hidden, 8);
  sums.resize(8);
  multiply(inference.planes(1), 6, x, sums);
  std::vector<float> expected(8);
  reconstruct(inference.planes(1), 6, x, sums, network.layers[1].bias, expected);
  CHECK(mixed == expected);

  setting.planes = {3};
  CHECK(outputs(inference, input, setting) != mixed);
}

TEST_CASE("accuracy is the share of greatest outputs, on any number of threads") {
  std::mt19937 random(16);
  const PlaneInference inference(mlp(random), {});
  const std::int64_t count = 101;
  const std::vector<float> examples = gaussian(random, count * 16);
  PlaneSetting setting;
  std::vector<std::uint8_t> labels;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto from = examples.begin() + i * 16;
    const std::vector<float> output = outputs(inference, {from, from + 16}, setting);
    labels.push_back(
        static_cast<std::uint8_t>(std::max_element(output.begin(), output.end()) - output.begin()));
  }
  CHECK(inference.accuracy(examples, labels, setting, 1) == 1);
  for (std::size_t i = 0; i < 20; ++i) labels[5 * i] = 9;  // no such output
  for (const int threads : {1, 2, 3}) {
    CHECK(inference.accuracy(examples, labels, setting, threads) == 81.0 / 101);
  }
}

TEST_CASE("activations are scaled by calibrated magnitudes where there are any") {
  std::mt19937 random(17);
  const PlaneInference inference(mlp(random), {});
  const std::vector<float> examples = gaussian(random, 10 * 16);
  PlaneSetting setting;
  const std::vector<float> greatest = inference.calibrate(examples, setting);
  REQUIRE(greatest.size() == 2);
  float largest = 0;
  for (const float value : examples) largest = std::max(largest, std::fabs(value));
  CHECK(greatest[0] == largest);
  CHECK(greatest[1] > 0);

  const std::vector<float> input(examples.begin(), examples.begin() + 16);
  const std::vector<float> own = outputs(inference, input, setting);
  setting.greatest = greatest;
  const std::vector<float> calibrated = outputs(inference, input, setting);
  CHECK(calibrated != own);
  for (std::size_t i = 0; i < own.size(); ++i) {
    CHECK(calibrated[i] == Approx(own[i]).margin(0.1));
  }
}

TEST_CASE("measured times make a cost table that a network is costed by") {
  std::mt19937 random(18);
  const PlaneInference inference(mlp(random), {});
  PlaneMeasureOptions options;
  options.planes = {4, 1, 8};
  options.activation_bits = {8, 16};
  options.repeats = 5;
  options.threads = 2;
  const PlaneMeasurement measured = measure_plane_table(inference, options);
  CHECK(measured.table.rows.size() == 2 * 3 * 2);
  REQUIRE(measured.int8_ns.size() == 2);
  for (const double time : measured.int8_ns) CHECK(time > 0);
  CHECK(measured.table.said("fidelity") == "measured");
  CHECK(measured.table.said("threads") == "2");
  CHECK(measured.table.said("repeats") == "5");
  CHECK(measured.table.said("kernel") == best_plane_kernel().name);

  const CostTable read = parse_cost_table(cost_table_csv(measured.table), "measured.csv");
  REQUIRE(read.rows.size() == 12);
  for (std::size_t i = 0; i < 12; ++i) {
    CHECK(read.rows[i].at == measured.table.rows[i].at);
    CHECK(read.rows[i].values == measured.table.rows[i].values);
    CHECK(read.rows[i].values.front() > 0);
  }
  TableCostModel model(read_network(std::string(WIDTHWISE_SOURCE_DIR) + "/workloads/tiny_mlp.yaml"),
                       read);
  CHECK(model.metrics() == std::vector<std::string>{"latency_ns"});
  CHECK(model.unpriced().empty());
}

TEST_CASE("times of an LSTM's parts are those of all steps") {
  std::mt19937 random(19);
  PlaneNetwork network = lstm(random);
  PlaneMeasureOptions options;
  options.planes = {8};
  options.repeats = 21;
  network.lstm->steps = 200;
  const CostTable long_one = measure_plane_table(PlaneInference(network, {}), options).table;
  network.lstm->steps = 2;
  const CostTable short_one = measure_plane_table(PlaneInference(network, {}), options).table;
  CHECK(long_one.kinds == std::vector<std::string>{"recurrent", "recurrent", "fully_connected"});
  for (std::size_t part = 0; part < 2; ++part) {  // 100 times the work
    CHECK(long_one.rows[part].values[0] > 10 * short_one.rows[part].values[0]);
  }
}

TEST_CASE("networks and settings that do not fit together are refused") {
  std::mt19937 random(20);
  PlaneNetwork network = mlp(random);
  network.layers[1].inputs = 31;
  network.layers[1].bias.pop_back();
  CHECK_THROWS_WITH(PlaneInference(network, {}),
                    "error: fc2: expected 8 x 31 weights, got 256\n"
                    "error: fc2: expected 8 biases or none, got 7\n"
                    "error: fc2: reads 31 values, but 32 come before it");
  PlaneNetwork none;
  none.name = "empty";
  CHECK_THROWS_WITH(PlaneInference(none, {}), "error: empty: has no layers");
  PlaneNetwork crooked = lstm(random);
  crooked.lstm->input = layer(random, "lstm/input", 79, 11, false);
  CHECK_THROWS_WITH(PlaneInference(crooked, {}),
                    "error: lstm/recurrent: expected 80 outputs of both parts, four for each "
                    "state, got 79 and 80");

  const PlaneInference inference(mlp(random), {});
  PlaneSetting setting;
  CHECK_THROWS_WITH(outputs(inference, {1, 2}, setting),
                    "error: example: expected 16 values, got 2");
  setting.planes = {1, 2, 3};
  CHECK_THROWS_WITH(outputs(inference, std::vector<float>(16), setting),
                    "error: planes: expected one number or 2, got 3");
  setting.planes = {9};
  CHECK_THROWS_WITH(outputs(inference, std::vector<float>(16), setting),
                    "error: planes: expected 1..8, got 9");
  const std::vector<std::uint8_t> labels(2);
  CHECK_THROWS_WITH(inference.accuracy(std::vector<float>(16), labels, setting, 1),
                    "error: examples: expected 2 of 16 values, got 16 values");
  CHECK_THROWS_WITH(inference.accuracy(std::vector<float>(32), labels, setting, 2),
                    "error: planes: expected 1..8, got 9");
  setting.planes = {8};
  setting.greatest = {1};
  CHECK_THROWS_WITH(outputs(inference, std::vector<float>(16), setting),
                    "error: greatest: expected none or 2, got 1");
  PlaneMeasureOptions options;
  options.planes = {};
  options.activation_bits = {8, 8};
  options.repeats = 0;
  CHECK_THROWS_WITH(measure_plane_table(inference, options),
                    "error: planes: none to measure\n"
                    "error: activation_bits: the same twice\n"
                    "error: repeats: expected at least 1");
}
