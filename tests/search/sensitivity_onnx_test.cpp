// Losses from the weights of an ONNX file: sums of hand-worked quantization errors and of the noise
// assumed of activations.
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "models/network/network_yaml.hpp"
#include "models/table/table_csv.hpp"
#include "search/sensitivity.hpp"
#include "tests/config/reading.hpp"
#include "tests/network/onnx_model.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

using Reals = std::vector<float>;

/// A convolution with a ReLU, one without, and the product of what they give.
OnnxWeights small_weights() {
  OnnxModel model;
  model.input("x", {1, 2, 2, 2});
  model.values("w", {2, 2, 1, 1}, {4, -1, 1, -2}).values("v", {2, 2, 1, 1}, {1, -1, 1, 5});
  model.node("Conv", {"x", "w"}, {"y"}, {}, "first").node("Relu", {"y"}, {"z"}, {}, "relu");
  model.node("Conv", {"z", "v"}, {"u"}, {}, "second");
  model.node("MatMul", {"z", "u"}, {"p"}, {}, "product").output("p");
  return model.weights();
}

SensitivityRequest max_abs_at(std::vector<BitWidth> weights, std::vector<BitWidth> activations) {
  SensitivityRequest request;
  request.calibration = Calibration::max_abs;
  request.weight_bits = std::move(weights);
  request.activation_bits = std::move(activations);
  return request;
}

double loss_at(const CostTable& table, const std::string& layer, BitWidth weight,
               BitWidth activation) {
  for (const TableRow& row : table.rows) {
    if (table.layers[row.layer] == layer && row.at[index_of(Axis::weight_bits)] == weight &&
        row.at[index_of(Axis::activation_bits)] == activation) {
      return row.values.front();
    }
  }
  FAIL("no loss of " << layer << " at " << weight << " and " << activation);
  return 0;
}

const double kNormal3 = activation_noise(ActivationShape::normal, 3);
const double kHalf3 = activation_noise(ActivationShape::half_normal, 3);

}  // namespace

TEST_CASE("quantization error: the noise of the weights and that of the activations") {
  const OnnxWeights weights = small_weights();
  const Network& network = weights.network();
  SensitivityRequest request = max_abs_at({1, 2}, {3, 8});
  const CostTable table = losses(network, &weights, request);
  CHECK(table.layers == std::vector<std::string>{"first", "second", "product"});
  CHECK(table.axes == std::vector<Axis>{Axis::weight_bits, Axis::activation_bits});
  CHECK(table.rows.size() == 4 + 4 + 2);
  CHECK(table.said("rule") == "quantization_error");
  CHECK(table.said("calibration") == "max_abs");
  CHECK(table.said("granularity") == "per_layer");
  // Magnitudes 4, 1, 1, 2 as in the tests of quantization errors; an input of any sign.
  CHECK(loss_at(table, "first", 1, 3) == Approx(6.0 / 22 + kNormal3));
  CHECK(loss_at(table, "first", 2, 3) == Approx(6.0 / 9 / 22 + kNormal3));
  // Behind a ReLU.
  CHECK(loss_at(table, "second", 2, 3) == Approx(12.0 / 9 / 28 + kHalf3));
  // A product has the noise of both operands: one behind a ReLU, one not.
  CHECK(loss_at(table, "product", 3, 3) == Approx(kHalf3 + kNormal3));

  SECTION("with a step per output channel") {
    request.granularity = Granularity::per_channel;
    CHECK(loss_at(losses(network, &weights, request), "first", 2, 3) ==
          Approx(2.0 / 9 / 22 + kNormal3));
  }
  SECTION("with the step of least error") {
    request.calibration = Calibration::mean_square;
    CHECK(loss_at(losses(network, &weights, request), "second", 2, 3) == Approx(1.0 / 28 + kHalf3));
  }
  SECTION("by share of multiply-accumulates") {
    request.weighting = Weighting::macs;
    const CostTable weighted = losses(network, &weights, request);
    const auto macs = static_cast<double>(network.macs());
    for (const Layer& layer : network.layers()) {
      INFO(layer.name);
      CHECK(loss_at(weighted, layer.name, layer.weights > 0 ? 1 : 3, 3) ==
            Approx(static_cast<double>(layer.macs()) / macs *
                   loss_at(table, layer.name, layer.weights > 0 ? 1 : 3, 3)));
    }
  }
  SECTION("by share of parameters, the second operand of a product among them") {
    request.weighting = Weighting::parameters;
    const CostTable weighted = losses(network, &weights, request);
    // 4 weights, 4 weights, two matrices of 2 x 2.
    CHECK(loss_at(weighted, "first", 1, 3) == Approx(loss_at(table, "first", 1, 3) / 4));
    CHECK(loss_at(weighted, "product", 3, 3) == Approx(loss_at(table, "product", 3, 3) / 2));
  }
  SECTION("saved and read again as measured losses") {
    TemporaryFolder folder("sensitivity_saved");
    SensitivityRequest saved;
    saved.rule = LossRule::measured;
    saved.file = folder.write("saved.csv", cost_table_csv(table));
    const CostTable read = losses(network, nullptr, saved);
    CHECK(cost_table_csv(read) == cost_table_csv(table));
  }
}

TEST_CASE("losses never rise with either width under mean-square clipping") {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  Reals values(64 * 27);
  for (float& value : values) value = normal(random);
  OnnxModel model;
  model.input("x", {1, 3, 8, 8}).values("w", {64, 3, 3, 3}, values);
  model.node("Conv", {"x", "w"}, {"y"}, {}, "conv").output("y");
  const OnnxWeights weights = model.weights();
  for (const Granularity granularity : {Granularity::per_layer, Granularity::per_channel}) {
    SensitivityRequest request;
    request.granularity = granularity;
    request.weight_bits = {1, 2, 3, 4, 5, 6, 7, 8, 12, 16};
    request.activation_bits = request.weight_bits;
    const CostTable table = losses(weights.network(), &weights, request);
    for (std::size_t i = 1; i < request.weight_bits.size(); ++i) {
      for (const BitWidth other : request.weight_bits) {
        const BitWidth less = request.weight_bits[i - 1];
        const BitWidth more = request.weight_bits[i];
        CHECK(loss_at(table, "conv", more, other) <= loss_at(table, "conv", less, other));
        CHECK(loss_at(table, "conv", other, more) <= loss_at(table, "conv", other, less));
      }
    }
  }
}

TEST_CASE("traces of a file count the squared change of an ONNX file's weights") {
  const OnnxWeights weights = small_weights();
  TemporaryFolder folder("sensitivity_traces");
  SensitivityRequest request = max_abs_at({1, 2}, {});
  request.rule = LossRule::hessian_trace;
  request.file =
      folder.write("t.csv", "# leaves_out: product\nlayer,trace\nfirst,10\nsecond,0.5\n");
  const CostTable table = losses(weights.network(), &weights, request);
  CHECK(table.rows.size() == 4);
  CHECK(table.said("calibration") == "max_abs");
  CHECK(loss_at(table, "first", 1, 1) == Approx(10 * 6.0));
  CHECK(loss_at(table, "first", 2, 2) == Approx(10 * 6.0 / 9));
  CHECK(loss_at(table, "second", 2, 2) == Approx(0.5 * 12.0 / 9));
}

TEST_CASE("weights of another network or with values that are not finite are refused") {
  const OnnxWeights weights = small_weights();
  const Network other = parse_network(R"(schema: network/1
name: other
inputs: {x: [1, 2, 2, 2]}
layers:
  - {name: firs, kind: convolution, out_channels: 2, kernel: 1}
  - {name: second, kind: convolution, out_channels: 3, kernel: 1}
)",
                                      "other.yaml");
  CHECK(complaints([&] { losses(other, &weights, max_abs_at({2}, {2})); }) ==
        "error: firs: expected weights of this layer in the ONNX file, which has no such layer; "
        "did you mean 'first'?\n"
        "error: second: expected 6 weights in the ONNX file, got 4");

  OnnxModel model;
  model.input("x", {1, 2}).values("w", {2, 1}, {1, std::numeric_limits<float>::infinity()});
  model.node("MatMul", {"x", "w"}, {"y"}, {}, "fc").output("y");
  const OnnxWeights infinite = model.weights();
  CHECK(complaints([&] { losses(infinite.network(), &infinite, max_abs_at({2}, {2})); }) ==
        "error: fc: a value that is not finite cannot be quantized");
}

TEST_CASE("nothing negative stands behind a ReLU and what pools, adds or joins its like") {
  const Network network = parse_network(R"(schema: network/1
name: shapes
inputs: {x: [1, 4, 8, 8]}
layers:
  - {name: a, kind: convolution, out_channels: 4, kernel: 1, activation: relu6}
  - {name: b, kind: convolution, inputs: [x], out_channels: 4, kernel: 1}
  - {name: pooled, kind: max_pool, inputs: [a], kernel: 2}
  - {name: pooled_signed, kind: max_pool, inputs: [b], kernel: 2}
  - {name: sum, kind: add, inputs: [a, a]}
  - {name: mixed, kind: add, inputs: [a, b]}
  - {name: clipped, kind: add, inputs: [a, b], activation: relu}
  - {name: bent, kind: add, inputs: [a, sum], activation: silu}
  - {name: joined, kind: concat, inputs: [a, clipped]}
  - {name: joined_signed, kind: concat, inputs: [a, mixed]}
  - {name: shares, kind: softmax, inputs: [b]}
)",
                                        "shapes.yaml");
  const std::vector<ActivationShape> shapes = activation_shapes(network);
  const std::map<std::string, bool> is_half = {{"a", true},       {"b", false},
                                               {"pooled", true},  {"pooled_signed", false},
                                               {"sum", true},     {"mixed", false},
                                               {"clipped", true}, {"bent", false},
                                               {"joined", true},  {"joined_signed", false},
                                               {"shares", true}};
  for (const Layer& layer : network.layers()) {
    INFO(layer.name);
    CHECK((shapes[layer.output] == ActivationShape::half_normal) == is_half.at(layer.name));
  }
  CHECK(shapes[network.layers().front().inputs.front()] == ActivationShape::normal);
}
