// The values of weights: whatever operator they come from, a plain loop nest over the canonical
// order computes what the operator is defined to compute from its own layout.
#include "models/network/onnx_weights.hpp"

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "tests/config/reading.hpp"
#include "tests/network/onnx_model.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

using Reals = std::vector<float>;

std::int64_t product(const Ints& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

// Small integers, so that sums are exact in whatever order.
Reals random_values(const Ints& shape, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> distribution(-9, 9);
  Reals values(static_cast<std::size_t>(product(shape)));
  for (float& value : values) value = static_cast<float>(distribution(random));
  return values;
}

float at(const Reals& values, const Ints& shape, const Ints& index) {
  std::int64_t flat = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    flat = flat * shape[axis] + index[axis];
  }
  return values.at(static_cast<std::size_t>(flat));
}

Reals weights_of(const OnnxModel& model, const std::string& layer) {
  const OnnxWeights weights = model.weights();
  const auto values = weights.of(layer_of(weights.network(), layer));
  REQUIRE(values.has_value());
  return *values;
}

std::string message_of(const OnnxModel& model, const std::string& layer) {
  try {
    (void)weights_of(model, layer);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

// [groups][m][k] times [groups][n][k]: [groups][m][n].
Reals multiply(const ComputeShape& shape, const Reals& left, const Reals& weights) {
  Reals result;
  for (std::int64_t g = 0; g < shape.groups; ++g) {
    for (std::int64_t m = 0; m < shape.m(); ++m) {
      for (std::int64_t n = 0; n < shape.n(); ++n) {
        float sum = 0;
        for (std::int64_t k = 0; k < shape.k(); ++k) {
          sum += at(left, {shape.groups, shape.m(), shape.k()}, {g, m, k}) *
                 at(weights, {shape.groups, shape.n(), shape.k()}, {g, n, k});
        }
        result.push_back(sum);
      }
    }
  }
  return result;
}

// [..., M, K] x [..., K, N] with as many matrices on both sides.
Reals matrix_product(const Reals& left, const Reals& right, std::int64_t matrices, std::int64_t m,
                     std::int64_t k, std::int64_t n) {
  Reals result;
  for (std::int64_t b = 0; b < matrices; ++b) {
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        float sum = 0;
        for (std::int64_t r = 0; r < k; ++r) {
          sum += at(left, {matrices, m, k}, {b, i, r}) * at(right, {matrices, k, n}, {b, r, j});
        }
        result.push_back(sum);
      }
    }
  }
  return result;
}

Reals transposed(const Reals& values, std::int64_t rows, std::int64_t columns) {
  Reals result;
  for (std::int64_t j = 0; j < columns; ++j) {
    for (std::int64_t i = 0; i < rows; ++i) result.push_back(at(values, {rows, columns}, {i, j}));
  }
  return result;
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// A matrix product with 2 x 3 weights that the nodes before it call "w".
OnnxModel& with_product(OnnxModel& model) {
  return model.input("x", {1, 2}).node("MatMul", {"x", "w"}, {"y"}, {}, "fc").output("y");
}

}  // namespace

TEST_CASE("weights of Conv: groups of output channels over the input channels of their group") {
  const Ints in = {2, 4, 5, 6};
  const Ints kernel = {6, 2, 3, 2};
  const Reals x = random_values(in, 1);
  const Reals w = random_values(kernel, 2);
  OnnxModel model;
  model.input("x", {2, 4, 5, 6}).values("w", kernel, w);
  model.node("Conv", {"x", "w"}, {"y"}, {{"group", 2}, {"strides", Ints{2, 1}}}).output("y");
  const OnnxWeights weights = model.weights();
  const Layer& layer = layer_of(weights.network(), "Conv_0");
  const Reals canonical = weights.of(layer).value();
  const ComputeShape& nest = *layer.compute;
  for (std::int64_t b = 0; b < nest.batch; ++b) {
    for (std::int64_t o = 0; o < 6; ++o) {
      for (std::int64_t h = 0; h < nest.out_h; ++h) {
        for (std::int64_t v = 0; v < nest.out_w; ++v) {
          float from_file = 0;  // as ONNX defines it: channel o reads the channels of group o / 3
          float from_nest = 0;
          for (std::int64_t i = 0; i < 2; ++i) {
            for (std::int64_t r = 0; r < 3; ++r) {
              for (std::int64_t s = 0; s < 2; ++s) {
                const std::int64_t group = o / 3;
                const float value = at(x, in, {b, group * 2 + i, 2 * h + r, v + s});
                from_file += value * at(w, kernel, {o, i, r, s});
                from_nest += value * at(canonical, {2, 3, 2, 3, 2}, {group, o % 3, i, r, s});
              }
            }
          }
          REQUIRE(from_nest == from_file);
        }
      }
    }
  }
}

TEST_CASE("weights of Gemm have output features first, with transB and without") {
  const Reals x = random_values({4, 5}, 3);
  const Reals w = random_values({5, 3}, 4);  // [K, N]
  const bool is_transposed = GENERATE(false, true);
  OnnxModel model;
  model.input("x", {4, 5});
  if (is_transposed) {
    model.values("w", {3, 5}, transposed(w, 5, 3));
  } else {
    model.values("w", {5, 3}, w);
  }
  model.node("Gemm", {"x", "w"}, {"y"}, {{"transB", is_transposed ? 1 : 0}}, "fc").output("y");
  const OnnxWeights weights = model.weights();
  const Layer& layer = layer_of(weights.network(), "fc");
  CHECK(multiply(*layer.compute, x, weights.of(layer).value()) == matrix_product(x, w, 1, 4, 5, 3));
}

TEST_CASE("weights of MatMul on the right have output features first") {
  const Reals x = random_values({2, 4, 5}, 5);
  const Reals w = random_values({5, 3}, 6);
  OnnxModel model;
  model.input("x", {2, 4, 5}).values("w", {5, 3}, w);
  model.node("MatMul", {"x", "w"}, {"y"}, {}, "fc").output("y");
  const OnnxWeights weights = model.weights();
  const Layer& layer = layer_of(weights.network(), "fc");
  CHECK(multiply(*layer.compute, x, weights.of(layer).value()) == matrix_product(x, w, 1, 8, 5, 3));
}

TEST_CASE("weights of MatMul with a matrix per batch are groups") {
  const Reals x = random_values({2, 4, 5}, 7);
  const Reals w = random_values({2, 5, 3}, 8);
  OnnxModel model;
  model.input("x", {2, 4, 5}).values("w", {2, 5, 3}, w);
  model.node("MatMul", {"x", "w"}, {"y"}, {}, "fc").output("y");
  const OnnxWeights weights = model.weights();
  const Layer& layer = layer_of(weights.network(), "fc");
  REQUIRE(layer.compute->groups == 2);
  CHECK(multiply(*layer.compute, x, weights.of(layer).value()) == matrix_product(x, w, 2, 4, 5, 3));
}

TEST_CASE("weights of MatMul on the left are output channels at the columns' positions") {
  const Reals w = random_values({3, 5}, 9);
  const Reals x = random_values({5, 4}, 10);  // [K, positions]
  OnnxModel model;
  model.input("x", {5, 4}).values("w", {3, 5}, w);
  model.node("MatMul", {"w", "x"}, {"y"}, {}, "fc").output("y");
  const OnnxWeights weights = model.weights();
  const Layer& layer = layer_of(weights.network(), "fc");
  const Reals result =
      multiply(*layer.compute, transposed(x, 5, 4), weights.of(layer).value());  // [position][row]
  CHECK(transposed(result, 4, 3) == matrix_product(w, x, 1, 3, 5, 4));
}

TEST_CASE("weights of MatMul with a vector") {
  const Reals w = random_values({5}, 11);
  OnnxModel model;
  model.input("x", {4, 5}).values("w", {5}, w);
  CHECK(weights_of(model.node("MatMul", {"x", "w"}, {"y"}, {}, "fc").output("y"), "fc") == w);
}

TEST_CASE("weights of Einsum: groups, output features, reduction") {
  // y[b, h, j] = sum_i x[b, h, i] w[i, j, h]: a matrix for every h.
  const Reals x = random_values({2, 3, 5}, 12);
  const Reals w = random_values({5, 4, 3}, 13);
  const bool is_first = GENERATE(false, true);
  OnnxModel model;
  model.input("x", {2, 3, 5}).values("w", {5, 4, 3}, w);
  if (is_first) {
    model.node("Einsum", {"w", "x"}, {"y"}, {{"equation", "ijh,bhi->bhj"}}, "fc");
  } else {
    model.node("Einsum", {"x", "w"}, {"y"}, {{"equation", "bhi,ijh->bhj"}}, "fc");
  }
  const OnnxWeights weights = model.output("y").weights();
  const Layer& layer = layer_of(weights.network(), "fc");
  REQUIRE(layer.compute->groups == 3);
  REQUIRE(layer.compute->m() == 2);
  Reals by_group;  // [h][b][i]
  Reals expected;  // [h][b][j]
  for (std::int64_t h = 0; h < 3; ++h) {
    for (std::int64_t b = 0; b < 2; ++b) {
      for (std::int64_t i = 0; i < 5; ++i) by_group.push_back(at(x, {2, 3, 5}, {b, h, i}));
      for (std::int64_t j = 0; j < 4; ++j) {
        float sum = 0;
        for (std::int64_t i = 0; i < 5; ++i) {
          sum += at(x, {2, 3, 5}, {b, h, i}) * at(w, {5, 4, 3}, {i, j, h});
        }
        expected.push_back(sum);
      }
    }
  }
  CHECK(multiply(*layer.compute, by_group, weights.of(layer).value()) == expected);
}

TEST_CASE("weights of recurrent layers: one row for each gate and unit, directions one by one") {
  const std::int64_t gates = 3;
  const Ints in = {2, gates * 4, 5};
  const Ints recurrence = {2, gates * 4, 4};
  const Reals w = random_values(in, 14);
  const Reals r = random_values(recurrence, 15);
  OnnxModel model;
  model.input("x", {6, 1, 5}).values("w", in, w).values("r", recurrence, r);
  model.node("GRU", {"x", "w", "r"}, {"y"}, {{"direction", "bidirectional"}, {"hidden_size", 4}},
             "rnn");
  const OnnxWeights weights = model.output("y").weights();
  const Layer& from_input = layer_of(weights.network(), "rnn/input");
  const Layer& from_state = layer_of(weights.network(), "rnn/recurrent");
  const Reals x = random_values({1, 5}, 16);
  const Reals states = random_values({2, 4}, 17);  // one for each direction
  const Reals all_gates = [&] {
    Reals sums;
    for (std::int64_t direction = 0; direction < 2; ++direction) {
      for (std::int64_t row = 0; row < gates * 4; ++row) {
        float sum = 0;
        for (std::int64_t i = 0; i < 5; ++i)
          sum += at(x, {5}, {i}) * at(w, in, {direction, row, i});
        sums.push_back(sum);
      }
    }
    return sums;
  }();
  ComputeShape one_step = *from_input.compute;
  one_step.out_h = 1;
  CHECK(multiply(one_step, x, weights.of(from_input).value()) == all_gates);
  CHECK(from_state.compute->groups == 2);
  CHECK(multiply(*from_state.compute, states, weights.of(from_state).value()) ==
        matrix_product(
            states,
            [&] {
              Reals columns;
              for (std::int64_t direction = 0; direction < 2; ++direction) {
                for (std::int64_t i = 0; i < 4; ++i) {
                  for (std::int64_t row = 0; row < gates * 4; ++row) {
                    columns.push_back(at(r, recurrence, {direction, row, i}));
                  }
                }
              }
              return columns;
            }(),
            2, 1, 4, gates * 4));
}

TEST_CASE("weights may pass through operators that move data") {
  const Reals w = {1, 2, 3, 4, 5, 6};  // [2, 3]; MatMul's canonical order is [3, 2]
  const Reals canonical = {1, 4, 2, 5, 3, 6};
  SECTION("Transpose") {
    OnnxModel model;
    model.values("v", {3, 2}, canonical).node("Transpose", {"v"}, {"w"});
    CHECK(weights_of(with_product(model), "fc") == canonical);
  }
  SECTION("Reshape and Squeeze") {
    OnnxModel model;
    model.values("v", {6}, w).integers("shape", {1, 2, 3}).integers("axes", {0});
    model.node("Reshape", {"v", "shape"}, {"r"}).node("Squeeze", {"r", "axes"}, {"w"});
    CHECK(weights_of(with_product(model), "fc") == canonical);
  }
  SECTION("Slice, backwards too") {
    OnnxModel model;
    model.values("v", {3, 4}, {9, 3, 2, 1, 9, 6, 5, 4, 9, 9, 9, 9});
    model.integers("starts", {0, -1}).integers("ends", {2, 0}).integers("axes", {0, 1});
    model.integers("steps", {1, -1});
    model.node("Slice", {"v", "starts", "ends", "axes", "steps"}, {"w"});
    CHECK(weights_of(with_product(model), "fc") == canonical);
  }
  SECTION("Split and Concat") {
    OnnxModel model;
    model.values("v", {2, 3}, {2, 3, 1, 5, 6, 4}).integers("sizes", {2, 1});
    model.node("Split", {"v", "sizes"}, {"a", "b"}, {{"axis", 1}});
    model.node("Concat", {"b", "a"}, {"w"}, {{"axis", 1}});
    CHECK(weights_of(with_product(model), "fc") == canonical);
  }
  SECTION("Gather, Expand and Tile") {
    OnnxModel model;
    model.values("v", {2, 1}, {4, 7}).integers("rows", {1, 0}).integers("shape", {2, 1});
    model.node("Gather", {"v", "rows"}, {"g"}).node("Expand", {"g", "shape"}, {"e"});
    model.integers("repeats", {1, 3}).node("Tile", {"e", "repeats"}, {"w"});
    CHECK(weights_of(with_product(model), "fc") == Reals{7, 4, 7, 4, 7, 4});
  }
  SECTION("Constant, Cast and Identity") {
    OnnxModel model;
    model.integers("shape", {2, 3}).node("Constant", {}, {"v"}, {{"value", w}});
    model.node("Identity", {"v"}, {"i"}).node("Cast", {"i"}, {"c"}, {{"to", 1}});
    model.node("Reshape", {"c", "shape"}, {"w"});
    CHECK(weights_of(with_product(model), "fc") == canonical);
  }
}

TEST_CASE("a large tensor is moved as a small one") {
  const std::int64_t rows = 70;
  const std::int64_t columns = 90;  // more than are kept as a constant's values
  const Reals w = random_values({rows, columns}, 20);
  OnnxModel model;
  model.input("x", {1, 70}).values("v", {columns, rows}, transposed(w, rows, columns));
  model.integers("starts", {0}).integers("ends", {80});
  model.node("Transpose", {"v"}, {"t"}).node("Slice", {"t", "starts", "ends", "axes"}, {"w"});
  model.integers("axes", {1}).node("MatMul", {"x", "w"}, {"y"}, {}, "fc").output("y");
  const Reals all = transposed(w, rows, columns);
  CHECK(weights_of(model, "fc") == Reals(all.begin(), all.begin() + 80 * rows));
}

TEST_CASE("quantized weights come out as what DequantizeLinear makes of them") {
  const std::vector<std::int8_t> stored = {-128, 0, 127, 1, 2, 3};
  SECTION("one scale") {
    OnnxModel model;
    model.raw("q", 3, {2, 3}, bytes_of(stored)).scalar("s", 0.5F).raw("z", 3, {}, "\x01");
    model.node("DequantizeLinear", {"q", "s", "z"}, {"w"});
    CHECK(weights_of(with_product(model), "fc") == Reals{-64.5F, 0, -0.5F, 0.5F, 63, 1});
  }
  SECTION("a scale for every output feature") {
    OnnxModel model;
    model.raw("q", 3, {2, 3}, bytes_of(stored)).reals("s", {1, 2, 4});
    model.node("DequantizeLinear", {"q", "s"}, {"w"}, {{"axis", 1}});
    CHECK(weights_of(with_product(model), "fc") == Reals{-128, 1, 0, 4, 508, 12});
  }
  SECTION("quantized in the file, with saturation and halves to even") {
    OnnxModel model;
    model.values("v", {2, 3}, {-300, 0.5F, 1.5F, 300, -1, 2.5F}).scalar("s", 1);
    model.raw("z", 3, {}, std::string(1, '\0'));
    model.node("QuantizeLinear", {"v", "s", "z"}, {"q"});
    model.node("DequantizeLinear", {"q", "s", "z"}, {"w"});
    CHECK(weights_of(with_product(model), "fc") == Reals{-128, 127, 0, -1, 2, 2});
  }
}

TEST_CASE("weights of every type of number") {
  const Reals canonical = {1, 4, -2, 5, 3, 6};
  OnnxModel model;
  SECTION("float, in its own field") { model.field_values("w", {2, 3}, {1, -2, 3, 4, 5, 6}); }
  SECTION("double") {
    model.raw("w", 11, {2, 3}, bytes_of(std::vector<double>{1, -2, 3, 4, 5, 6}));
  }
  SECTION("float16") {
    model.raw("w", 10, {2, 3},
              bytes_of(std::vector<std::uint16_t>{0x3c00, 0xc000, 0x4200, 0x4400, 0x4500, 0x4600}));
  }
  SECTION("bfloat16") {
    model.raw("w", 16, {2, 3},
              bytes_of(std::vector<std::uint16_t>{0x3f80, 0xc000, 0x4040, 0x4080, 0x40a0, 0x40c0}));
  }
  SECTION("int8") {
    model.raw("w", 3, {2, 3}, bytes_of(std::vector<std::int8_t>{1, -2, 3, 4, 5, 6}));
  }
  SECTION("int16") {
    model.raw("w", 5, {2, 3}, bytes_of(std::vector<std::int16_t>{1, -2, 3, 4, 5, 6}));
  }
  CHECK(weights_of(with_product(model), "fc") == canonical);
}

TEST_CASE("the numbers of float16 at the ends of its range") {
  OnnxModel model;
  model.raw("w", 10, {2, 1}, bytes_of(std::vector<std::uint16_t>{0x0001, 0x7bff}));
  CHECK(weights_of(with_product(model), "fc") == Reals{0x1p-24F, 65504});
}

TEST_CASE("weights in a file beside the model are read when they are asked for") {
  const TemporaryFolder folder("onnx_weights");
  OnnxModel model;
  model.external_weight("w", {2, 3}, "w.bin");
  const std::string data_file = folder.write("w.bin", bytes_of(Reals{1, 2, 3, 4, 5, 6}));
  const std::string model_file = folder.write("model.onnx", with_product(model).bytes());
  const OnnxWeights weights(model_file);
  const Layer& layer = layer_of(weights.network(), "fc");
  CHECK(weights.of(layer) == Reals{1, 4, 2, 5, 3, 6});
  (void)folder.write("w.bin", "");
  CHECK_THROWS_WITH(weights.of(layer), model_file + ": error: cannot read '" + data_file + "'");
}

TEST_CASE("layers without constant weights have no values") {
  OnnxModel model;
  model.input("x", {1, 4, 4}).node("MatMul", {"x", "x"}, {"p"}, {}, "product");
  model.node("Softmax", {"p"}, {"y"}).output("y");
  const OnnxWeights weights = model.weights();
  for (const Layer& layer : weights.network().layers()) CHECK_FALSE(weights.of(layer));
}

TEST_CASE("weights that nothing here can compute are an error with the layer's name") {
  OnnxModel model;  // more than are kept
  model.input("x", {1, 70}).weight("a", {70, 70}).weight("b", {70, 70});
  model.node("Mul", {"a", "b"}, {"w"}).node("MatMul", {"x", "w"}, {"y"}, {}, "fc").output("y");
  CHECK(message_of(model, "fc") ==
        "model.onnx: error: layer 'fc': the values of its weights are computed by operators that "
        "are not evaluated; fold constants when exporting the network");
}

TEST_CASE("small weights may be computed in the file") {
  OnnxModel model;
  model.values("a", {2, 3}, {1, 2, 3, 4, 5, 6}).scalar("two", 2).node("Mul", {"a", "two"}, {"w"});
  CHECK(weights_of(with_product(model), "fc") == Reals{2, 8, 4, 10, 6, 12});
}

TEST_CASE("layers that are renamed keep their weights") {
  OnnxModel model;
  model.input("x", {1, 2}).values("w", {2, 3}, {1, 2, 3, 4, 5, 6}).weight("fc.bias", {3});
  model.node("MatMul", {"x", "w"}, {"p"}).node("Add", {"p", "fc.bias"}, {"y"}).output("y");
  CHECK(weights_of(model, "fc") == Reals{1, 4, 2, 5, 3, 6});
}
