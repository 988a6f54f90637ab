// What every operator of an ONNX file becomes.
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/network/onnx_model.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

std::vector<std::string> names_of(const Network& network) {
  std::vector<std::string> names;
  for (const Layer& layer : network.layers()) names.push_back(layer.name);
  return names;
}

const Attributes kKernel3 = {{"kernel_shape", Ints{3, 3}}};

// A network of one node after a convolution, so that it has something to be fused into.
OnnxModel& after_convolution(OnnxModel& model) {
  return model.input("x", {1, 4, 6, 6}).weight("w", {4, 4, 1, 1}).node("Conv", {"x", "w"}, {"c"});
}

}  // namespace

TEST_CASE("Conv takes its window from the attributes and its channels from the weights") {
  OnnxModel model;
  model.input("x", {2, 6, 9, 8}).weight("w", {4, 3, 3, 2}).weight("b", {4});
  model.node("Conv", {"x", "w", "b"}, {"y"},
             {{"group", 2},
              {"strides", Ints{2, 1}},
              {"pads", Ints{1, 0, 0, 2}},
              {"dilations", Ints{1, 3}},
              {"kernel_shape", Ints{3, 2}}});
  const Network network = model.output("y", {2, 4, 4, 7}).import();
  const Layer& conv = layer_of(network, "Conv_0");
  ComputeShape expected;
  expected.batch = 2;
  expected.groups = 2;
  expected.in_channels = 3;
  expected.out_channels = 2;
  expected.in_h = 9;
  expected.in_w = 8;
  expected.out_h = 4;
  expected.out_w = 7;
  expected.kernel_h = 3;
  expected.kernel_w = 2;
  expected.stride_h = 2;
  expected.dilation_w = 3;
  expected.pad_top = 1;
  CHECK(conv.compute == expected);
  CHECK(conv.kind == LayerKind::convolution);
  CHECK(conv.op == "Conv");
  CHECK(conv.weights == 4 * 3 * 3 * 2);
  CHECK(conv.biases == 4);
  CHECK(network.name() == "model");
}

TEST_CASE("Conv along one axis is one of height 1") {
  OnnxModel model;
  model.input("x", {1, 2, 16}).weight("w", {3, 2, 5});
  model.node("Conv", {"x", "w"}, {"y"}, {{"strides", Ints{2}}, {"pads", Ints{2, 2}}}).output("y");
  const Network network = model.import();
  CHECK(output_shape(network, "Conv_0") == Ints{1, 3, 8});
  CHECK(network.layers()[0].compute->in_h == 1);
  CHECK(network.macs() == 8 * 3 * 10);
}

TEST_CASE("an open first dimension is the batch, 1 unless the caller says otherwise") {
  OnnxModel model;
  model.input("x", {"N", 3, 8, 8}).weight("w", {4, 3, 3, 3});
  model.node("Conv", {"x", "w"}, {"y"}).output("y", {"N", 4, 6, 6});
  CHECK(output_shape(model.import(), "Conv_0") == Ints{1, 4, 6, 6});
  CHECK(output_shape(model.import({{}, 16}), "Conv_0") == Ints{16, 4, 6, 6});
}

TEST_CASE("Gemm is fully connected, whichever way its weights lie") {
  OnnxModel model;
  model.input("x", {5, 8}).weight("w", {3, 8}).weight("v", {3, 2}).weight("b", {3});
  model.node("Gemm", {"x", "w", "b"}, {"h"}, {{"transB", 1}});
  model.node("Gemm", {"h", "v"}, {"y"}).output("y");
  const Network network = model.import();
  CHECK(layer_of(network, "Gemm_0").kind == LayerKind::fully_connected);
  CHECK(layer_of(network, "Gemm_0").weights == 24);
  CHECK(layer_of(network, "Gemm_0").biases == 3);
  CHECK(layer_of(network, "Gemm_0").compute->batch == 5);
  CHECK(output_shape(network, "Gemm_1") == Ints{5, 2});
}

TEST_CASE("MatMul by a constant is fully connected over all positions") {
  OnnxModel model;
  model.input("x", {2, 5, 8}).weight("w", {8, 3}).weight("b", {3});
  model.node("MatMul", {"x", "w"}, {"h"}).node("Add", {"b", "h"}, {"y"}).output("y");
  const Network network = model.import();
  REQUIRE(network.layers().size() == 1);
  const Layer& layer = network.layers()[0];
  CHECK(layer.kind == LayerKind::fully_connected);
  CHECK(layer.compute->batch == 2);
  CHECK(layer.compute->out_h == 5);
  CHECK(layer.weights == 24);
  CHECK(layer.biases == 3);
  CHECK(layer.fused.empty());
}

TEST_CASE("MatMul of a constant by an activation has the constant's rows as output channels") {
  OnnxModel model;
  model.input("x", {2, 8, 5}).weight("w", {3, 8});
  const Network network = model.node("MatMul", {"w", "x"}, {"y"}).output("y").import();
  const ComputeShape& shape = network.layers()[0].compute.value();
  CHECK(output_shape(network, "MatMul_0") == Ints{2, 3, 5});
  CHECK(shape.n() == 3);
  CHECK(shape.m() == 10);
  CHECK(shape.k() == 8);
  CHECK(network.weights() == 24);
}

TEST_CASE("MatMul by a constant matrix per batch has one group per matrix") {
  OnnxModel model;
  model.input("x", {4, 5, 8}).weight("w", {4, 8, 3});
  const Network network = model.node("MatMul", {"x", "w"}, {"y"}).output("y").import();
  CHECK(network.layers()[0].compute->groups == 4);
  CHECK(network.layers()[0].compute->batch == 1);
  CHECK(network.weights() == 4 * 24);
  CHECK(network.macs() == 4 * 5 * 8 * 3);
}

TEST_CASE("MatMul of activations has no weights") {
  OnnxModel model;
  model.input("q", {2, 3, 5, 8}).input("k", {2, 3, 8, 5});
  const Network network = model.node("MatMul", {"q", "k"}, {"y"}).output("y").import();
  const Layer& layer = network.layers()[0];
  CHECK(layer.kind == LayerKind::matmul);
  CHECK(layer.compute->groups == 6);
  CHECK(layer.compute->second_operand_is_activation);
  CHECK(layer.weights == 0);
  CHECK(layer.inputs.size() == 2);
}

TEST_CASE("MatMul by a vector drops an axis") {
  OnnxModel model;
  model.input("x", {5, 8}).weight("v", {8});
  CHECK(output_shape(model.node("MatMul", {"x", "v"}, {"y"}).output("y").import(), "MatMul_0") ==
        Ints{5});
}

TEST_CASE("Einsum of two operands is a product in groups") {
  OnnxModel model;
  model.input("q", {2, 5, 3, 8}).input("k", {2, 7, 3, 8}).weight("w", {8, 4});
  model.node("Einsum", {"q", "k"}, {"s"}, {{"equation", "bihd, bjhd -> bhij"}});
  model.node("Einsum", {"w", "q"}, {"y"}, {{"equation", "do,bihd->bohi"}});
  const Network network = model.output("s").output("y").import();
  const Layer& scores = layer_of(network, "Einsum_0");
  CHECK(scores.kind == LayerKind::matmul);
  CHECK(scores.compute->groups == 6);
  CHECK(scores.compute->m() == 5);
  CHECK(scores.compute->n() == 7);
  CHECK(scores.compute->k() == 8);
  CHECK(output_shape(network, "Einsum_0") == Ints{2, 3, 5, 7});
  const Layer& weighted = layer_of(network, "Einsum_1");
  CHECK(weighted.kind == LayerKind::fully_connected);
  CHECK(weighted.weights == 32);
  CHECK(weighted.macs() == 2 * 5 * 3 * 8 * 4);
  CHECK(output_shape(network, "Einsum_1") == Ints{2, 4, 3, 5});
}

TEST_CASE("LSTM, GRU and RNN are two layers each") {
  struct Row {
    const char* op;
    std::int64_t gates;
    std::size_t gate_work;
  };
  for (const Row& row : {Row{"LSTM", 4, 9}, Row{"GRU", 3, 7}, Row{"RNN", 1, 1}}) {
    for (const std::int64_t directions : {1, 2}) {
      OnnxModel model;
      model.input("x", {20, 4, 10});
      model.weight("w", {directions, row.gates * 6, 10});
      model.weight("r", {directions, row.gates * 6, 6});
      model.weight("b", {directions, 2 * row.gates * 6});
      const Attributes attributes = {{"hidden_size", 6},
                                     {"direction", directions == 2 ? "bidirectional" : "forward"}};
      model.node(row.op, {"x", "w", "r", "b"}, {"y"}, attributes, "rec").output("y");
      const Network network = model.import();
      const Layer& input = layer_of(network, "rec/input");
      const Layer& recurrent = layer_of(network, "rec/recurrent");
      CHECK(input.kind == LayerKind::recurrent);
      CHECK(input.compute->m() == 80);
      CHECK(input.compute->n() == directions * row.gates * 6);
      CHECK(input.compute->k() == 10);
      CHECK(recurrent.compute->repeat == 20);
      CHECK(recurrent.compute->m() == 4);
      CHECK(recurrent.compute->groups == directions);
      CHECK(recurrent.compute->k() == 6);
      CHECK(recurrent.fused.size() == row.gate_work);
      CHECK(network.weights() == directions * row.gates * 6 * 16);
      CHECK(network.biases() == directions * 2 * row.gates * 6);
      CHECK(output_shape(network, "rec/recurrent") == Ints{20, directions, 4, 6});
    }
  }
}

TEST_CASE("the last state of a recurrent layer is moved out of all states") {
  OnnxModel model;
  model.input("x", {20, 1, 10}).weight("w", {1, 24, 10}).weight("r", {1, 24, 6});
  model.integers("zero", {0});
  model.node("LSTM", {"x", "w", "r"}, {"y", "h"}, {}, "rec");
  model.node("Squeeze", {"h", "zero"}, {"z"}).output("z");
  const Network network = model.import();
  CHECK(names_of(network) == Names{"rec/input", "rec/recurrent", "rec/last_state"});
  CHECK(output_shape(network, "rec/last_state") == Ints{1, 1, 6});
  CHECK(network.tensors()[layer_of(network, "rec/last_state").output].is_output);
}

TEST_CASE("batch normalization is folded into the convolution before it") {
  OnnxModel model;
  after_convolution(model).weight("s", {4}).node("BatchNormalization", {"c", "s", "s", "s", "s"},
                                                 {"n"});
  const Network network = model.node("Relu", {"n"}, {"y"}).output("y").import();
  REQUIRE(network.layers().size() == 1);
  CHECK(network.layers()[0].biases == 4);
  CHECK(network.layers()[0].fused == Names{"Relu"});
}

TEST_CASE("batch normalization of what others read too is a layer") {
  OnnxModel model;
  after_convolution(model).weight("s", {4}).node("BatchNormalization", {"c", "s", "s", "s", "s"},
                                                 {"n"});
  const Network network = model.node("Add", {"n", "c"}, {"y"}).output("y").import();
  const Layer& layer = layer_of(network, "BatchNormalization_1");
  CHECK(layer.kind == LayerKind::normalization);
  CHECK(layer.biases == 8);
  CHECK(layer.vector == VectorShape{144, 144, 288});
}

TEST_CASE("batch normalization behind an activation function is a layer") {
  OnnxModel model;
  after_convolution(model).weight("s", {4}).node("Relu", {"c"}, {"r"});
  model.node("BatchNormalization", {"r", "s", "s", "s", "s"}, {"y"}).output("y");
  CHECK(names_of(model.import()) == Names{"Conv_0", "BatchNormalization_2"});
}

TEST_CASE("functions of one activation are fused into the layer before them") {
  for (const char* op : {"Relu", "LeakyRelu", "Elu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh",
                         "Erf", "Sqrt", "Exp", "Neg", "Softplus", "Mish"}) {
    OnnxModel model;
    const Network network = after_convolution(model).node(op, {"c"}, {"y"}).output("y").import();
    REQUIRE(network.layers().size() == 1);
    CHECK(network.layers()[0].fused == Names{op});
  }
}

TEST_CASE("constant operands are fused and stored if they are more than a scalar") {
  OnnxModel model;
  after_convolution(model).scalar("half").weight("scale", {4, 1, 1}).weight("slope", {4, 1, 1});
  model.node("Mul", {"c", "half"}, {"m"}).node("Div", {"m", "scale"}, {"d"});
  model.node("PRelu", {"d", "slope"}, {"p"}).node("Clip", {"p", "half", ""}, {"y"}).output("y");
  const Network network = model.import();
  REQUIRE(network.layers().size() == 1);
  CHECK(network.layers()[0].fused == Names{"Mul", "Div", "PRelu", "Clip"});
  CHECK(network.layers()[0].biases == 8);
}

TEST_CASE("a function of what others read too, or of an input, is a layer") {
  OnnxModel model;
  after_convolution(model).node("Relu", {"c"}, {"r"}).node("Sigmoid", {"x"}, {"s"});
  model.node("Concat", {"c", "r", "s"}, {"y"}, {{"axis", 1}}).output("y");
  const Network network = model.import();
  CHECK(names_of(network) == Names{"Conv_0", "Relu_1", "Sigmoid_2", "Concat_3"});
  CHECK(layer_of(network, "Relu_1").kind == LayerKind::activation);
  CHECK(layer_of(network, "Relu_1").fused == Names{"Relu"});
  CHECK(layer_of(network, "Relu_1").vector == VectorShape{144, 144, 144});
  CHECK(output_shape(network, "Concat_3") == Ints{1, 12, 6, 6});
}

TEST_CASE("what the network puts out is not overwritten by a function behind it") {
  OnnxModel model;
  after_convolution(model).node("Relu", {"c"}, {"y"}).output("c").output("y");
  CHECK(names_of(model.import()) == Names{"Conv_0", "Relu_1"});
}

TEST_CASE("functions of two activations are layers") {
  OnnxModel model;
  after_convolution(model).input("gate", {1, 4, 1, 1});
  model.node("Add", {"c", "x"}, {"a"}).node("Mul", {"a", "gate"}, {"y"}).output("y");
  const Network network = model.import();
  CHECK(layer_of(network, "Add_1").kind == LayerKind::add);
  CHECK(layer_of(network, "Add_1").vector == VectorShape{288, 144, 144});
  CHECK(layer_of(network, "Mul_2").kind == LayerKind::mul);
  CHECK(layer_of(network, "Mul_2").vector == VectorShape{148, 144, 144});
}

TEST_CASE("an activation times itself is a function of one") {
  OnnxModel model;
  after_convolution(model).node("Mul", {"c", "c"}, {"y"}).output("y");
  // Both operands count as readers, so the square is a layer, but reads its input once.
  const Network network = model.import();
  CHECK(layer_of(network, "Mul_1").kind == LayerKind::activation);
  CHECK(layer_of(network, "Mul_1").vector == VectorShape{144, 144, 144});
}

TEST_CASE("SiLU, GELU, hard-swish and Mish are recognised where they are spelled out") {
  struct Row {
    const char* name;
    void (*spell)(OnnxModel&);  // c -> y
  };
  const Row rows[] = {
      {"Silu",
       [](OnnxModel& m) {
         m.node("Sigmoid", {"c"}, {"s"}).node("Mul", {"c", "s"}, {"y"});
       }},
      {"HardSwish",
       [](OnnxModel& m) {
         m.node("HardSigmoid", {"c"}, {"s"}).node("Mul", {"s", "c"}, {"y"});
       }},
      {"HardSwish",
       [](OnnxModel& m) {
         m.node("Add", {"c", "k"}, {"a"}).node("Clip", {"a", "k", "k"}, {"l"});
         m.node("Mul", {"c", "l"}, {"p"}).node("Div", {"p", "k"}, {"y"});
       }},
      {"Mish",
       [](OnnxModel& m) {
         m.node("Softplus", {"c"}, {"s"}).node("Tanh", {"s"}, {"t"});
         m.node("Mul", {"c", "t"}, {"y"});
       }},
      {"Gelu",  // x (1 + erf(x / sqrt 2)) / 2, as torch.onnx writes it
       [](OnnxModel& m) {
         m.node("Div", {"c", "k"}, {"d"}).node("Erf", {"d"}, {"e"}).node("Add", {"e", "k"}, {"a"});
         m.node("Mul", {"c", "a"}, {"p"}).node("Mul", {"p", "k"}, {"y"});
       }},
      {"Gelu",  // (x / 2) (1 + erf(x / sqrt 2))
       [](OnnxModel& m) {
         m.node("Div", {"c", "k"}, {"d"}).node("Erf", {"d"}, {"e"}).node("Add", {"e", "k"}, {"a"});
         m.node("Mul", {"c", "k"}, {"h"}).node("Mul", {"h", "a"}, {"y"});
       }},
      {"Gelu",  // with tanh
       [](OnnxModel& m) {
         m.node("Pow", {"c", "k"}, {"c3"}).node("Mul", {"c3", "k"}, {"m"});
         m.node("Add", {"c", "m"}, {"a"}).node("Mul", {"a", "k"}, {"b"}).node("Tanh", {"b"}, {"t"});
         m.node("Add", {"t", "k"}, {"o"}).node("Mul", {"c", "k"}, {"h"});
         m.node("Mul", {"h", "o"}, {"y"});
       }},
  };
  for (const Row& row : rows) {
    OnnxModel model;
    after_convolution(model).scalar("k");
    row.spell(model);
    const Network network = model.output("y").import();
    INFO(row.name);
    REQUIRE(network.layers().size() == 1);
    CHECK(network.layers()[0].fused == Names{row.name});
  }
}

TEST_CASE("a function whose inner values somebody else reads is not recognised") {
  OnnxModel model;
  after_convolution(model).node("Sigmoid", {"c"}, {"s"}).node("Mul", {"c", "s"}, {"y"});
  const Network network = model.output("y").output("s").import();
  CHECK(names_of(network) == Names{"Conv_0", "Sigmoid_1", "Mul_2"});
}

TEST_CASE("a layer normalization that is spelled out is one layer") {
  OnnxModel model;
  model.input("x", {1, 5, 8}).scalar("two").scalar("eps").weight("ln.weight", {8});
  model.weight("ln.bias", {8});
  model.node("ReduceMean", {"x"}, {"m"}, {{"axes", Ints{-1}}}).node("Sub", {"x", "m"}, {"d"});
  model.node("Pow", {"d", "two"}, {"p"}).node("ReduceMean", {"p"}, {"v"}, {{"axes", Ints{-1}}});
  model.node("Add", {"v", "eps"}, {"e"}).node("Sqrt", {"e"}, {"s"}).node("Div", {"d", "s"}, {"n"});
  model.node("Mul", {"n", "ln.weight"}, {"g"}).node("Add", {"g", "ln.bias"}, {"y"}).output("y");
  const Network network = model.import();
  REQUIRE(network.layers().size() == 1);
  const Layer& layer = network.layers()[0];
  CHECK(layer.name == "ln");
  CHECK(layer.kind == LayerKind::normalization);
  CHECK(layer.op == "LayerNormalization");
  CHECK(layer.biases == 16);
}

TEST_CASE("pools have windows, and a window of one element is nothing") {
  OnnxModel model;
  model.input("x", {1, 2, 7, 7});
  model.node("MaxPool", {"x"}, {"a"},
             {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}, {"ceil_mode", 1}});
  model.node("AveragePool", {"a"}, {"b"}, {{"kernel_shape", Ints{1, 1}}});
  model.node("GlobalAveragePool", {"b"}, {"y"}).output("y");
  const Network network = model.import();
  CHECK(names_of(network) == Names{"MaxPool_0", "GlobalAveragePool_2"});
  CHECK(output_shape(network, "MaxPool_0") == Ints{1, 2, 4, 4});
  CHECK(output_shape(network, "GlobalAveragePool_2") == Ints{1, 2, 1, 1});
}

TEST_CASE("a pool has the windows of its attributes") {
  const Ints kernel = {3, 2};
  OnnxModel model;
  model.input("x", {1, 2, 9, 8}).input("s", {1, 2, 10}).input("v", {1, 2, 4, 5, 6});
  model.node("MaxPool", {"x"}, {"a"},
             {{"kernel_shape", kernel},
              {"strides", Ints{2, 1}},
              {"dilations", Ints{1, 3}},
              {"pads", Ints{1, 0, 0, 1}}});
  model.node("AveragePool", {"x"}, {"b"}, {{"kernel_shape", kernel}, {"pads", Ints{1, 1, 1, 1}}});
  model.node("AveragePool", {"x"}, {"c"},
             {{"kernel_shape", kernel}, {"pads", Ints{1, 1, 1, 1}}, {"count_include_pad", 1}});
  model.node("AveragePool", {"x"}, {"d"},
             {{"kernel_shape", kernel}, {"strides", Ints{2, 2}}, {"auto_pad", "SAME_LOWER"}});
  model.node("MaxPool", {"s"}, {"e"}, {{"kernel_shape", Ints{4}}, {"pads", Ints{1, 2}}});
  model.node("GlobalMaxPool", {"x"}, {"f"}).node("GlobalAveragePool", {"v"}, {"g"});
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"}) model.output(name);
  const Network network = model.import();
  const auto pool = [&](const char* name) { return layer_of(network, name).pool; };
  CHECK(pool("MaxPool_0") == PoolWindow{3, 2, 2, 1, 1, 3, 1, 0, 0, 1, false});
  CHECK(pool("AveragePool_1") == PoolWindow{3, 2, 1, 1, 1, 1, 1, 1, 1, 1, false});
  CHECK(pool("AveragePool_2") == PoolWindow{3, 2, 1, 1, 1, 1, 1, 1, 1, 1, true});
  // 9 rows in 5 windows of 3 need 11, one at either end; 8 columns in 4 windows of 2 need no more.
  CHECK(pool("AveragePool_3") == PoolWindow{3, 2, 2, 2, 1, 1, 1, 0, 1, 0, false});
  CHECK(pool("MaxPool_4") == PoolWindow{1, 4, 1, 1, 1, 1, 0, 1, 0, 2, false});
  CHECK(pool("GlobalMaxPool_5") == PoolWindow{9, 8, 1, 1, 1, 1, 0, 0, 0, 0, false});
  CHECK(pool("GlobalAveragePool_6") == PoolWindow{4 * 5, 6, 1, 1, 1, 1, 0, 0, 0, 0, false});
  CHECK(layer_of(network, "AveragePool_1").op == "AveragePool");
  CHECK(layer_of(network, "GlobalMaxPool_5").op == "GlobalMaxPool");
}

TEST_CASE("operators that leave the data where they are leave no layer") {
  OnnxModel model;
  model.input("x", {2, 3, 4, 1}).integers("shape", {0, 0, -1}).integers("one", {1});
  model.integers("pads", {0, 0, 0, 0, 0, 0, 0, 0}).integers("zero", {0}).integers("four", {4});
  model.integers("same", {2, 1, 3, 4});
  model.node("Identity", {"x"}, {"a"}).node("Dropout", {"a"}, {"b"}).node("Cast", {"b"}, {"c"});
  model.node("Reshape", {"c", "shape"}, {"d"}).node("Unsqueeze", {"d", "one"}, {"e"});
  model.node("Pad", {"e", "pads"}, {"f"}).node("Slice", {"f", "zero", "four", "one"}, {"g"});
  model.node("Expand", {"g", "same"}, {"h"}).node("Squeeze", {"h"}, {"i"});
  model.node("Flatten", {"i"}, {"j"}).node("Transpose", {"x"}, {"t"}, {{"perm", Ints{3, 0, 1, 2}}});
  model.node("Softmax", {"j"}, {"y"}).node("Softmax", {"t"}, {"z"}).output("y").output("z");
  const Network network = model.import();
  CHECK(names_of(network) == Names{"Softmax_11", "Softmax_12"});
  CHECK(output_shape(network, "Softmax_11") == Ints{2, 12});
  CHECK(output_shape(network, "Softmax_12") == Ints{1, 2, 3, 4});
  CHECK(network.tensors().size() == 3);
}

TEST_CASE("operators that move data are layers") {
  OnnxModel model;
  model.input("x", {1, 8, 4, 4}).integers("zero", {0}).integers("three", {3}).integers("one", {1});
  model.integers("pads", {0, 0, 1, 1, 0, 0, 0, 0})
      .integers("idx", {0, 5})
      .integers("big", {2, 8, 4, 4});
  model.reals("scales", {1, 1, 2, 2});
  model.node("Slice", {"x", "zero", "three", "one"}, {"a"});
  model.node("Split", {"x"}, {"b0", "b1"}, {{"axis", 1}});
  model.node("Pad", {"x", "pads"}, {"c"}).node("Gather", {"x", "idx"}, {"d"}, {{"axis", 1}});
  model.node("Expand", {"x", "big"}, {"e"}).node("Resize", {"x", "", "scales"}, {"f"});
  model.node("DepthToSpace", {"x"}, {"g"}, {{"blocksize", 2}});
  model.node("Transpose", {"x"}, {"h"}, {{"perm", Ints{0, 1, 3, 2}}});
  for (const char* name : {"a", "b0", "b1", "c", "d", "e", "f", "g", "h"}) model.output(name);
  const Network network = model.import();
  CHECK(output_shape(network, "Slice_0") == Ints{1, 3, 4, 4});
  CHECK(output_shape(network, "Split_1/0") == Ints{1, 4, 4, 4});
  CHECK(output_shape(network, "Split_1/1") == Ints{1, 4, 4, 4});
  CHECK(output_shape(network, "Pad_2") == Ints{1, 8, 5, 5});
  CHECK(output_shape(network, "Gather_3") == Ints{1, 2, 4, 4});
  CHECK(output_shape(network, "Expand_4") == Ints{2, 8, 4, 4});
  CHECK(output_shape(network, "Resize_5") == Ints{1, 8, 8, 8});
  CHECK(output_shape(network, "DepthToSpace_6") == Ints{1, 2, 8, 8});
  CHECK(output_shape(network, "Transpose_7") == Ints{1, 8, 4, 4});
  for (const Layer& layer : network.layers()) CHECK(layer.kind == LayerKind::move);
  CHECK(layer_of(network, "Slice_0").vector == VectorShape{48, 48, 0});
  CHECK(layer_of(network, "Pad_2").vector == VectorShape{128, 200, 0});
}

TEST_CASE("shape arithmetic is computed while importing") {
  // x.view(x.size(0), groups, x.size(1) // groups, -1), as torch.onnx writes it
  OnnxModel model;
  model.input("x", {"N", 12, 2, 5}).integer("i0", 0).integer("i1", 1).integer("groups", 3);
  model.integers("axis", {0}).integers("rest", {-1}).integers("three", {3});
  model.node("Shape", {"x"}, {"s"}).node("Gather", {"s", "i0"}, {"n"});
  model.node("Gather", {"s", "i1"}, {"c"}).node("Div", {"c", "groups"}, {"q"});
  model.node("Unsqueeze", {"n", "axis"}, {"n1"}).node("Unsqueeze", {"q", "axis"}, {"q1"});
  model.node("Concat", {"n1", "three", "q1", "rest"}, {"shape"}, {{"axis", 0}});
  model.node("Reshape", {"x", "shape"}, {"r"});
  model.node("Transpose", {"r"}, {"y"}, {{"perm", Ints{0, 2, 1, 3}}}).output("y");
  CHECK(output_shape(model.import(), "Transpose_8") == Ints{1, 4, 3, 10});
  CHECK(output_shape(model.import({{}, 7}), "Transpose_8") == Ints{7, 4, 3, 10});
}

TEST_CASE("comparisons, selections and ranges of shapes are computed too") {
  OnnxModel model;
  model.input("x", {2, 3})
      .integers("target", {-1, 3})
      .integers("minus", {-1})
      .integers("ones", {1, 1});
  model.integer("zero", 0).integer("six", 6).integer("two", 2).integers("r", {3, 2});
  model.node("Equal", {"target", "minus"}, {"e"}).node("Where", {"e", "ones", "target"}, {"t"});
  model.node("Expand", {"x", "t"}, {"a"});
  model.node("Range", {"zero", "six", "two"}, {"range"});  // 0, 2, 4
  model.node("Gather", {"range", "two"}, {"four"}).node("ConstantOfShape", {"r"}, {"zeros"});
  model.node("Shape", {"zeros"}, {"shape"}).node("Reshape", {"a", "shape"}, {"b"});
  model.integers("axes", {0});
  model.node("Unsqueeze", {"four", "axes"}, {"four1"})
      .node("Concat", {"four1", "r"}, {"big"}, {{"axis", 0}});
  model.node("Expand", {"b", "big"}, {"y"}).output("y");
  CHECK(output_shape(model.import(), "Expand_10") == Ints{4, 3, 2});
}

TEST_CASE("an embedding reads rows of a constant table") {
  OnnxModel model;
  model.input("ids", {1, 7}).weight("embed.weight", {100, 16});
  const Network network = model.node("Gather", {"embed.weight", "ids"}, {"y"}).output("y").import();
  const Layer& layer = layer_of(network, "embed");
  CHECK(layer.kind == LayerKind::move);
  CHECK(layer.weights == 1600);
  CHECK(layer.vector == VectorShape{7 + 112, 112, 0});
}

TEST_CASE("quantization nodes are passed through and recorded") {
  OnnxModel model;
  model.input("x", {1, 4}).weight("w", {4, 2}).scalar("s");
  model.node("QuantizeLinear", {"x", "s"}, {"q"}).node("DequantizeLinear", {"q", "s"}, {"d"});
  model.node("DequantizeLinear", {"w", "s"}, {"dw"});
  const Network network = model.node("MatMul", {"d", "dw"}, {"y"}).output("y").import();
  CHECK(names_of(network) == Names{"MatMul_3"});
  CHECK(network.weights() == 8);
  CHECK(network.ignored() == Names{"QuantizeLinear (QuantizeLinear_0)",
                                   "DequantizeLinear (DequantizeLinear_1)",
                                   "DequantizeLinear (DequantizeLinear_2)"});
}

TEST_CASE("an operator that the user ignores passes its input through and is recorded") {
  for (const char* listed : {"Bernoulli", "noise"}) {
    OnnxModel model;
    after_convolution(model).node("Bernoulli", {"c"}, {"b"}, {}, "noise");
    model.node("Relu", {"b"}, {"y"}).output("y");
    const Network network = model.import({{listed}, {}});
    REQUIRE(network.layers().size() == 1);
    CHECK(network.layers()[0].fused == Names{"Relu"});
    CHECK(network.ignored() == Names{"Bernoulli (noise)"});
  }
}

TEST_CASE("nodes that no output depends on are left out") {
  OnnxModel model;
  after_convolution(model).node("TopK", {"c"}, {"unused"}).output("c");
  CHECK(names_of(model.import()) == Names{"Conv_0"});
}

TEST_CASE("nodes may stand in any order") {
  OnnxModel model;
  model.input("x", {1, 4}).weight("v", {4, 4}).weight("w", {4, 4});
  model.node("MatMul", {"h", "w"}, {"y"}).node("MatMul", {"x", "v"}, {"h"}).output("y");
  CHECK(names_of(model.import()) == Names{"MatMul_1", "MatMul_0"});
}

TEST_CASE("layers of one name are numbered") {
  OnnxModel model;
  model.input("x", {1, 4});
  for (const char* output : {"a", "b", "c"}) {
    model.node("Softmax", {"x"}, {output}, {}, "same").output(output);
  }
  CHECK(names_of(model.import()) == Names{"same", "same#2", "same#3"});
}

TEST_CASE("layers are named after the modules of PyTorch where the file tells") {
  OnnxModel model;
  model.input("x", {1, 4, 6, 6}).weight("onnx::Conv_9", {4, 4, 1, 1}).weight("fc.weight", {4, 2});
  model.weight("w", {2, 2}).weight("head.proj.bias", {2});
  model.node("Conv", {"x", "onnx::Conv_9"}, {"a"}, {},
             "/layer2/layer2.0/downsample/downsample.0/Conv");
  model.node("Conv", {"a", "onnx::Conv_9"}, {"b"}, {},
             "/layer2/layer2.0/downsample/downsample.0/Conv_1");
  model.node("MaxPool", {"b"}, {"c"}, kKernel3, "/features/features.3/MaxPool");
  model.node("GlobalAveragePool", {"c"}, {"d"}, {}, "/avgpool/GlobalAveragePool");
  model.node("Flatten", {"d"}, {"e"}).node("Gemm", {"e", "fc.weight"}, {"f"}, {}, "/fc/Gemm");
  model.node("MatMul", {"f", "w"}, {"g"}, {}, "/head/MatMul");
  model.node("Add", {"head.proj.bias", "g"}, {"y"}).output("y");
  CHECK(names_of(model.import()) == Names{"layer2.0.downsample.0", "layer2.0.downsample.0/Conv_1",
                                          "features.3/MaxPool", "avgpool/GlobalAveragePool", "fc",
                                          "head.proj"});
}
