// Every message about an ONNX file, word for word.
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "models/base/error.hpp"
#include "tests/network/onnx_model.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

const std::string kError = "model.onnx: error: ";

std::string about(const std::string& node, const std::string& op, const std::string& message) {
  return kError + "node '" + node + "' (" + op + "): " + message;
}

// The message about one node that reads x: [1, 4, 8, 8].
std::string one_node(const std::string& op, const Attributes& attributes = {},
                     const Names& inputs = {"x"}) {
  OnnxModel model;
  model.input("x", {1, 4, 8, 8}).weight("w", {4, 4, 3, 3}).weight("v", {6}).integers("i", {9});
  model.integers("two", {0, 0}).integers("axis", {1}).integers("none", {0});
  return model.node(op, inputs, {"y"}, attributes, "n").output("y").message();
}

std::string message_of_file(const std::string& path) {
  try {
    import_onnx(path);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

// A folder that is gone at the end.
class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(std::filesystem::temp_directory_path() /
              ("widthwise_onnx_errors_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return file(name);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

OnnxModel& small_model(OnnxModel& model) {
  return model.input("x", {1, 4}).weight("w", {4, 2}).node("MatMul", {"x", "w"}, {"y"}).output("y");
}

}  // namespace

TEST_CASE("bytes that are no ONNX file are refused") {
  CHECK(onnx_message("") == kError + "the file is empty");
  CHECK(onnx_message("this is text, not a model") == kError + "not an ONNX file, or cut short");
  OnnxModel model;
  const std::string whole = small_model(model).bytes();
  CHECK(onnx_message(whole).empty());
  CHECK(onnx_message(whole.substr(0, whole.size() - 1)) ==
        kError + "not an ONNX file, or cut short");
}

TEST_CASE("every beginning of a file is refused and none crashes") {
  OnnxModel model;
  const std::string whole = small_model(model).bytes();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    INFO(length);
    // Cut behind a whole field, what is left may still be a file, of a smaller network.
    CHECK_NOTHROW(onnx_message(whole.substr(0, length)));
  }
}

TEST_CASE("files that cannot be read are refused") {
  const TemporaryFolder folder;
  CHECK(message_of_file(folder.file("none.onnx")) ==
        folder.file("none.onnx") + ": error: cannot be read");
  CHECK(message_of_file(folder.file("")) ==
        folder.file("") + ": error: is a directory, expected an ONNX file");
  const std::string empty = folder.write("empty.onnx", "");
  CHECK(message_of_file(empty) == empty + ": error: the file is empty");
  OnnxModel model;
  CHECK(message_of_file(folder.write("good.onnx", small_model(model).bytes())).empty());
}

TEST_CASE("a file of more than 2 GiB is refused without reading it") {
  const TemporaryFolder folder;
  const std::string huge = folder.write("huge.onnx", "x");
  std::filesystem::resize_file(huge, (std::uintmax_t{1} << 31) + 1);  // sparse
  CHECK(message_of_file(huge) ==
        huge +
            ": error: the file has more than 2 GiB, which ONNX files cannot have; export it with "
            "external data");
}

TEST_CASE("a file without a graph, nodes or outputs is refused") {
  CHECK(onnx_message(std::string("\x08\x07", 2)) == kError + "not an ONNX model: it has no graph");
  OnnxModel without_nodes;
  CHECK(without_nodes.input("x", {1}).output("x").message() == kError + "the graph has no nodes");
  OnnxModel without_outputs;
  CHECK(without_outputs.input("x", {1}).node("Relu", {"x"}, {"y"}).message() ==
        kError + "the graph has no outputs");
  OnnxModel constant;
  CHECK(constant.weight("w", {2}).node("Relu", {"w"}, {"y"}).output("y").message() ==
        kError + "the network has no layers");
}

TEST_CASE("weights are measured by their shape and the data must agree") {
  OnnxModel model;
  model.input("x", {1, 4}).short_weight("w", {4, 2}, 28).node("MatMul", {"x", "w"}, {"y"});
  CHECK(model.output("y").message() ==
        kError + "initializer 'w': the shape [4, 2] asks for 32 bytes of data, the file has 28");
  OnnxModel negative;
  negative.input("x", {1, 4}).short_weight("w", {4, -2}, 28).node("MatMul", {"x", "w"}, {"y"});
  CHECK(negative.output("y").message() == kError + "initializer 'w': impossible shape [4, -2]");
  OnnxModel twice;
  twice.input("x", {1, 4}).weight("w", {4, 2}).weight("w", {4, 2});
  CHECK(twice.node("MatMul", {"x", "w"}, {"y"}).output("y").message() ==
        kError + "initializer 'w': there are two of this name");
  OnnxModel empty;
  empty.input("x", {1, 4}).weight("w", {4, 0}).node("MatMul", {"x", "w"}, {"y"}).output("y");
  CHECK(empty.message() == about("MatMul_0", "MatMul", "sizes must be at least 1, got [4, 0]"));
}

TEST_CASE("external data have to be beside the file and long enough") {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& data) {
    OnnxModel model;
    model.input("x", {1, 4}).external_weight("w", {4, 2}, data);
    model.node("MatMul", {"x", "w"}, {"y"}).output("y");
    return message_of_file(folder.write("model.onnx", model.bytes()));
  };
  const std::string place = folder.file("model.onnx") + ": error: initializer 'w': ";
  CHECK(message("w.bin") ==
        place + "its data are missing: cannot read '" + folder.file("w.bin") + "'");
  (void)folder.write("w.bin", std::string(31, '\0'));
  CHECK(message("w.bin") ==
        place + "needs 32 bytes at offset 0 of '" + folder.file("w.bin") + "', which has 31");
  (void)folder.write("w.bin", std::string(32, '\0'));
  CHECK(message("w.bin").empty());
  CHECK(message("../w.bin") ==
        place + "expected its data in a file beside the model, got '../w.bin'");
  CHECK(message("/etc/passwd") ==
        place + "expected its data in a file beside the model, got '/etc/passwd'");
  OnnxModel model;
  model.input("x", {1, 4}).external_weight("w", {4, 2}, "w.bin");
  CHECK(model.node("MatMul", {"x", "w"}, {"y"}).output("y").message() ==
        kError +
            "initializer 'w': its data are in another file, 'w.bin', which cannot be read here");
}

TEST_CASE("open dimensions other than the batch are named") {
  OnnxModel model;
  model.input("x", {"N", 3, "height", "width"}).node("Relu", {"x"}, {"y"}).output("y");
  CHECK(model.message() ==
        kError +
            "input 'x': the sizes [N, 3, height, width] leave 'height', 'width' open; export the "
            "network with fixed sizes (only the batch, the first dimension, may be open)");
  OnnxModel nameless;
  nameless.input("x", {1, ""}).node("Relu", {"x"}, {"y"}).output("y");
  CHECK(nameless.message() ==
        kError +
            "input 'x': the sizes [1, ?] leave axis 1 open; export the network with fixed sizes "
            "(only the batch, the first dimension, may be open)");
}

TEST_CASE("a batch that the file fixes cannot be changed") {
  OnnxModel model;
  small_model(model);
  CHECK(model.message({{}, 1}).empty());
  CHECK(model.message({{}, 16}) ==
        kError +
            "input 'x': the file fixes the batch to 1, it cannot be 16; export it with an open "
            "first dimension");
  CHECK(model.message({{}, 0}) == kError + "expected a batch of at least 1, got 0");
}

TEST_CASE("sizes of 0 and below, and beyond the bounds, are refused") {
  OnnxModel zero;
  CHECK(zero.input("x", {1, 0}).node("Relu", {"x"}, {"y"}).output("y").message() ==
        kError + "input 'x': sizes must be at least 1, got [1, 0]");
  OnnxModel large;
  large.input("x", {1 << 24, 1 << 24, 2}).node("Relu", {"x"}, {"y"}).output("y");
  CHECK(large.message() ==
        kError + "input 'x': [16777216, 16777216, 2] has more than 2^48 elements");
}

TEST_CASE("names that nothing produces, or two nodes, are reported") {
  OnnxModel model;
  model.input("x", {1, 4}).node("Add", {"x", "nowhere"}, {"y"}).output("y").output("z");
  CHECK(model.message() == kError + "output 'z': nothing produces it\n" +
                               about("Add_0", "Add", "nothing produces its input 'nowhere'"));
  OnnxModel twice;
  twice.input("x", {1, 4}).node("Relu", {"x"}, {"y"}).node("Relu", {"x"}, {"y"}).output("y");
  CHECK(twice.message() == about("Relu_1", "Relu", "its output 'y' is produced elsewhere already"));
}

TEST_CASE("a cycle of nodes is named") {
  OnnxModel model;
  model.input("x", {1, 4}).node("Add", {"x", "c"}, {"a"}).node("Relu", {"a"}, {"b"});
  model.node("Tanh", {"b"}, {"c"}).output("c");
  CHECK(model.message() == kError + "the nodes form a cycle: Add_0 -> Relu_1 -> Tanh_2 -> Add_0");
}

TEST_CASE("all operators that are not modelled are named at once, and only they") {
  OnnxModel model;
  model.input("x", {1, 4}).node("TopK", {"x"}, {"a"}, {}, "top").node("Relu", {"a"}, {"b"});
  model.node("NonZero", {"x"}, {"c"}, {}, "where").output("b").output("c");
  const std::string advice =
      "this operator is not modelled; list it under 'ignore' to pass its input through";
  CHECK(model.message() == about("top", "TopK", advice) + "\n" + about("where", "NonZero", advice));
  CHECK(model.message({{"TopK", "where"}, {}}).empty());
}

TEST_CASE("an ignored operator needs one activation input of the shape of its output") {
  OnnxModel two;
  two.input("x", {1, 4}).input("z", {1, 4}).node("Bernoulli", {"x", "z"}, {"y"}).output("y");
  CHECK(two.message({{"Bernoulli"}, {}}) ==
        about("Bernoulli_0", "Bernoulli",
              "cannot be ignored: it has 2 activation inputs, expected one"));
  OnnxModel other;
  other.input("x", {1, 4}).node("TopK", {"x"}, {"y"}).output("y", {1, 2});
  CHECK(other.message({{"TopK"}, {}}) ==
        about("TopK_0", "TopK", "the file says that 'y' is [1, 2], but it is [1, 4]"));
}

TEST_CASE("shapes that the file states are checked") {
  OnnxModel model;
  model.input("x", {1, 4}).weight("w", {4, 2}).node("MatMul", {"x", "w"}, {"h"});
  model.stated("h", {1, 3}).node("Relu", {"h"}, {"y"}).output("y", {1, 2, 1});
  CHECK(model.message() ==
        about("MatMul_0", "MatMul", "the file says that 'h' is [1, 3], but it is [1, 2]") + "\n" +
            about("Relu_1", "Relu", "the file says that 'y' is [1, 2, 1], but it is [1, 2]"));
}

TEST_CASE("convolutions and pools say what does not fit") {
  CHECK(one_node("Conv", {}, {"x"}) == about("n", "Conv", "input 2 is missing"));
  CHECK(one_node("Conv", {}, {"x", "x"}) ==
        about("n", "Conv",
              "input 2 ('x') is computed from activations; only constants are modelled here"));
  CHECK(one_node("Conv", {}, {"w", "w"}) ==
        about("n", "Conv", "input 1 is a constant, expected an activation"));
  CHECK(one_node("Conv", {}, {"x", "v"}) ==
        about("n", "Conv", "the weights [6] do not fit the input [1, 4, 8, 8]"));
  CHECK(one_node("Conv", {}, {"x", "w", "v"}) ==
        about("n", "Conv", "the bias has 6 elements, expected 4"));
  CHECK(
      one_node("Conv", {{"group", 2}}, {"x", "w"}) ==
      about("n", "Conv", "the weights [4, 4, 3, 3] in 2 groups do not fit the input [1, 4, 8, 8]"));
  CHECK(one_node("Conv", {{"group", 0}}, {"x", "w"}) ==
        about("n", "Conv", "groups must be 1..281474976710656, got 0"));
  CHECK(one_node("Conv", {{"kernel_shape", Ints{5, 5}}}, {"x", "w"}) ==
        about("n", "Conv", "attribute 'kernel_shape' does not fit the weights [4, 4, 3, 3]"));
  CHECK(one_node("Conv", {{"strides", Ints{0, 1}}}, {"x", "w"}) ==
        about("n", "Conv", "attribute 'strides' is out of range: [0, 1]"));
  CHECK(one_node("Conv", {{"strides", Ints{1}}}, {"x", "w"}) ==
        about("n", "Conv", "attribute 'strides' has 1 values for 2 spatial axes"));
  CHECK(one_node("Conv", {{"strides", 1}}, {"x", "w"}) ==
        about("n", "Conv", "attribute 'strides' has the wrong type"));
  CHECK(one_node("Conv", {{"pads", Ints{0, 0, 0, -1}}}, {"x", "w"}) ==
        about("n", "Conv", "attribute 'pads' is out of range: [0, 0, 0, -1]"));
  CHECK(one_node("Conv", {{"auto_pad", "SAME"}}, {"x", "w"}) ==
        about("n", "Conv", "attribute 'auto_pad' is unknown: 'SAME'"));
  CHECK(one_node("Conv", {{"dilations", Ints{4, 4}}}, {"x", "w"}) ==
        about("n", "Conv", "the kernel spans 9 elements, the padded input only 8"));
  CHECK(one_node("MaxPool") == about("n", "MaxPool", "attribute 'kernel_shape' is missing"));
  OnnxModel volume;
  volume.input("x", {1, 4, 8, 8, 8}).weight("w", {4, 4, 3, 3, 3});
  CHECK(volume.node("Conv", {"x", "w"}, {"y"}).output("y").message() ==
        about("Conv_0", "Conv",
              "one or two spatial axes are modelled, the input is [1, 4, 8, 8, 8]"));
  OnnxModel indices;
  indices.input("x", {1, 4, 8, 8});
  indices.node("MaxPool", {"x"}, {"y", "i"}, {{"kernel_shape", Ints{2, 2}}})
      .output("y")
      .output("i");
  CHECK(indices.message() ==
        about("MaxPool_0", "MaxPool", "the indices of a pool are not modelled"));
}

TEST_CASE("a range of integers that no double holds exactly is not computed") {
  constexpr auto kLargest = std::numeric_limits<std::int64_t>::max();
  OnnxModel model;
  model.input("x", {2, 3}).integer("start", kLargest).integer("limit", kLargest - 2000);
  model.integer("step", -1024);
  model.node("Range", {"start", "limit", "step"}, {"range"});
  model.node("Reshape", {"x", "range"}, {"y"}).output("y");
  CHECK(model.message() ==
        about("Reshape_1", "Reshape",
              "input 2 ('range') has values that are not known before the network runs"));
}

TEST_CASE("matrix products say what does not fit") {
  CHECK(one_node("MatMul", {}, {"x", "v"}) ==
        about("n", "MatMul", "cannot multiply [1, 4, 8, 8] by [6, 1]: the reductions differ"));
  CHECK(one_node("MatMul", {}, {"x"}) == about("n", "MatMul", "input 2 is missing"));
  CHECK(one_node("Gemm", {}, {"x", "w"}) ==
        about("n", "Gemm", "expected two matrices, got [1, 4, 8, 8] and [4, 4, 3, 3]"));
  OnnxModel model;
  model.input("x", {2, 4})
      .weight("w", {4, 3})
      .weight("b", {2})
      .node("Gemm", {"x", "w", "b"}, {"y"});
  CHECK(model.output("y").message() ==
        about("Gemm_0", "Gemm", "the shapes [2] and [2, 3] do not broadcast"));
}

TEST_CASE("Einsum says which equations are modelled") {
  const auto message = [](const std::string& equation) {
    OnnxModel model;
    model.input("a", {2, 3, 4}).input("b", {2, 4, 5});
    return model.node("Einsum", {"a", "b"}, {"y"}, {{"equation", equation}}, "n")
        .output("y")
        .message();
  };
  const auto expected = [](const std::string& text) { return about("n", "Einsum", text); };
  CHECK(message("bij,bjk->bik").empty());
  CHECK(message("bij,bjk") ==
        expected("only products of two operands such as 'bij,bjk->bik' are modelled, got "
                 "'bij,bjk'"));
  CHECK(message("...ij,...jk->...ik") ==
        expected("only products of two operands such as 'bij,bjk->bik' are modelled, got "
                 "'...ij,...jk->...ik'"));
  CHECK(message("bi,bjk->bik") == expected("the letters 'bi' do not fit an operand [2, 3, 4]"));
  CHECK(message("bii,bjk->bik") ==
        expected("a letter that stands twice in one operand is not modelled"));
  CHECK(message("bji,bjk->bik") == expected("the letter 'j' stands for 3 and 4"));
  CHECK(message("bij,bjk->bk") == expected("a sum over an axis of one operand is not modelled"));
  CHECK(message("bij,bjk->bi") == expected("a sum over an axis of one operand is not modelled"));
  CHECK(message("bij,bjk->bikx") == expected("the letter 'x' stands in the result only"));
  CHECK(message("bij,bjk->biki") ==
        expected("a letter that stands twice in the result is not modelled"));
}

TEST_CASE("recurrent networks say what does not fit") {
  const auto message = [](const Attributes& attributes, const Ints& w, const Ints& r) {
    OnnxModel model;
    model.input("x", {5, 1, 3}).weight("w", w).weight("r", r);
    return model.node("LSTM", {"x", "w", "r"}, {"y"}, attributes).output("y").message();
  };
  CHECK(message({}, {1, 8, 3}, {1, 8, 2}).empty());
  CHECK(message({}, {1, 8, 4}, {1, 8, 2}) ==
        about("LSTM_0", "LSTM", "the weights have the shape [1, 8, 4], expected [1, 8, 3]"));
  CHECK(message({}, {1, 8, 3}, {1, 6, 2}) ==
        about("LSTM_0", "LSTM",
              "the recurrent weights have the shape [1, 6, 2], expected [1, 8, 2]"));
  CHECK(message({{"hidden_size", 3}}, {1, 8, 3}, {1, 8, 2}) ==
        about("LSTM_0", "LSTM", "attribute 'hidden_size' does not fit the weights [1, 8, 2]"));
  CHECK(message({{"direction", "both"}}, {1, 8, 3}, {1, 8, 2}) ==
        about("LSTM_0", "LSTM", "attribute 'direction' is unknown: 'both'"));
  CHECK(message({}, {8, 3}, {8, 2}) ==
        about("LSTM_0", "LSTM",
              "expected an input and weights of three axes, got [5, 1, 3] and [8, 2]"));
}

TEST_CASE("operators that move data say what does not fit") {
  CHECK(
      one_node("Reshape", {}, {"x", "i"}) ==
      about("n", "Reshape", "cannot reshape [1, 4, 8, 8] to [9]: the numbers of elements differ"));
  CHECK(
      one_node("Reshape", {}, {"x", "w"}) ==
      about("n", "Reshape", "input 2 ('w') has values that are not known before the network runs"));
  CHECK(one_node("Transpose", {{"perm", Ints{0, 1}}}) ==
        about("n", "Transpose", "[0, 1] does not permute the axes of [1, 4, 8, 8]"));
  CHECK(one_node("Squeeze", {}, {"x", "axis"}) ==
        about("n", "Squeeze", "axis 1 of [1, 4, 8, 8] cannot be squeezed"));
  CHECK(one_node("Unsqueeze", {}, {"x", "two"}) ==
        about("n", "Unsqueeze", "axis 0 is inserted twice"));
  CHECK(one_node("Unsqueeze", {}, {"x", "i"}) ==
        about("n", "Unsqueeze", "axis 9 does not exist, the rank is 5"));
  CHECK(one_node("Slice", {}, {"x", "two", "i"}) ==
        about("n", "Slice", "starts, ends, axes and steps have different lengths"));
  CHECK(one_node("Slice", {}, {"x", "i", "i", "axis"}) ==
        about("n", "Slice", "sizes must be at least 1, got [1, 0, 8, 8]"));
  CHECK(one_node("Split", {{"axis", 1}, {"split", Ints{3}}}) ==
        about("n", "Split", "cannot split axis 1 of [1, 4, 8, 8] into [3]"));
  CHECK(one_node("Pad", {{"pads", Ints{1, 1}}}) ==
        about("n", "Pad", "expected pads before and behind each axis of [1, 4, 8, 8]"));
  CHECK(one_node("Gather", {}, {"x", "x"}) ==
        about("n", "Gather",
              "indices that are computed from activations are modelled into constants only"));
  CHECK(one_node("Concat", {{"axis", 2}}, {"x", "w"}) ==
        about("n", "Concat", "cannot concatenate [1, 4, 8, 8] and [4, 4, 3, 3] along axis 2"));
  CHECK(one_node("Resize") ==
        about("n", "Resize", "expected constant scales or sizes for each axis of [1, 4, 8, 8]"));
  CHECK(one_node("DepthToSpace", {{"blocksize", 3}}) ==
        about("n", "DepthToSpace", "blocks of 3 do not divide [1, 4, 8, 8]"));
  CHECK(one_node("Flatten", {{"axis", 7}}) ==
        about("n", "Flatten", "axis 7 does not exist, the rank is 4"));
}

TEST_CASE("element-wise functions and normalizations say what does not fit") {
  CHECK(one_node("Add", {}, {"x", "v"}) ==
        about("n", "Add", "the shapes [1, 4, 8, 8] and [6] do not broadcast"));
  CHECK(one_node("BatchNormalization", {}, {"x", "v", "v", "v", "v"}) ==
        about("n", "BatchNormalization", "the scale [6] does not fit the input [1, 4, 8, 8]"));
  CHECK(one_node("ReduceMean", {{"axes", Ints{4}}}) ==
        about("n", "ReduceMean", "axis 4 does not exist, the rank is 4"));
  OnnxModel clip;
  clip.input("x", {1, 4}).input("low", {1});
  CHECK(clip.node("Clip", {"x", "low"}, {"y"}).output("y").message() ==
        about("Clip_0", "Clip", "operands that are computed from activations are not modelled"));
}
