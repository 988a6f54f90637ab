#include "models/network/shape_inference.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/network/network_builder.hpp"

using namespace widthwise;

namespace {

Window window(std::int64_t kernel, std::int64_t stride = 1, std::int64_t padding = 0,
              std::int64_t dilation = 1) {
  Window result;
  for (const int axis : {0, 1}) {
    result.kernel[axis] = kernel;
    result.stride[axis] = stride;
    result.pad_begin[axis] = result.pad_end[axis] = padding;
    result.dilation[axis] = dilation;
  }
  return result;
}

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const ShapeError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE(
    "a convolution has floor((size + pads - dilation (kernel - 1) - 1) / stride) + 1 outputs") {
  for (const std::int64_t size : {7, 8, 15, 224}) {
    for (const std::int64_t kernel : {1, 3, 5}) {
      for (const std::int64_t stride : {1, 2, 3}) {
        for (const std::int64_t padding : {0, 1, 2}) {
          for (const std::int64_t dilation : {1, 2}) {
            const std::int64_t room = size + 2 * padding - dilation * (kernel - 1) - 1;
            if (room < 0) continue;
            const InferredLayer layer = infer_convolution(
                {2, 3, size, size}, 8, 1, window(kernel, stride, padding, dilation));
            CHECK(layer.output == Shape{2, 8, room / stride + 1, room / stride + 1});
            CHECK(layer.compute.macs() ==
                  2 * 8 * (room / stride + 1) * (room / stride + 1) * 3 * kernel * kernel);
            CHECK(layer.compute.input_elements() == 2 * 3 * size * size);
            CHECK(layer.compute.output_elements() == element_count(layer.output));
          }
        }
      }
    }
  }
}

TEST_CASE("groups divide the channels of both sides") {
  const ComputeShape depthwise = infer_convolution({1, 32, 8, 8}, 64, 32, window(3)).compute;
  CHECK(depthwise.groups == 32);
  CHECK(depthwise.in_channels == 1);
  CHECK(depthwise.out_channels == 2);
  CHECK(depthwise.macs() == 64 * 6 * 6 * 9);
  CHECK(depthwise.weight_elements() == 64 * 9);
  CHECK(message_of([] {
          infer_convolution({1, 6, 8, 8}, 8, 4, window(3));
        }) == "4 groups do not divide 6 input channels and 8 output channels");
}

TEST_CASE("padding may differ at every side") {
  Window uneven = window(3, 2);
  uneven.pad_begin[0] = 0;
  uneven.pad_end[0] = 1;
  uneven.pad_begin[1] = 2;
  uneven.pad_end[1] = 0;
  const InferredLayer layer = infer_convolution({1, 1, 4, 5}, 1, 1, uneven);
  CHECK(layer.output == Shape{1, 1, 2, 3});
  CHECK(layer.compute.pad_top == 0);
  CHECK(layer.compute.pad_left == 2);
}

TEST_CASE("same padding gives ceil(size / stride) outputs and puts the odd element where asked") {
  Window same = window(4, 2);
  same.auto_pad = AutoPad::same_upper;
  const InferredLayer upper = infer_convolution({1, 1, 7, 7}, 1, 1, same);
  CHECK(upper.output == Shape{1, 1, 4, 4});
  CHECK(upper.compute.pad_top == 1);  // 3 in all
  same.auto_pad = AutoPad::same_lower;
  CHECK(infer_convolution({1, 1, 7, 7}, 1, 1, same).compute.pad_top == 2);
}

TEST_CASE("a convolution along one axis is one of height 1") {
  Window along;
  along.kernel[1] = 5;
  along.stride[1] = 2;
  const InferredLayer layer = infer_convolution({4, 2, 11}, 3, 1, along);
  CHECK(layer.output == Shape{4, 3, 4});
  CHECK(layer.compute.in_h == 1);
  CHECK(layer.compute.out_h == 1);
  CHECK(layer.compute.kernel_h == 1);
  CHECK(layer.compute.out_w == 4);
}

TEST_CASE("a kernel may just fill the padded input") {
  CHECK(infer_convolution({1, 1, 3, 3}, 1, 1, window(5, 1, 1)).output == Shape{1, 1, 1, 1});
  CHECK(message_of([] {
          infer_convolution({1, 1, 2, 3}, 1, 1, window(5, 1, 1));
        }) == "the kernel spans 5 elements, the padded input only 4");
}

TEST_CASE("ceil_mode adds a window unless it would start in the padding behind") {
  Window pool = window(2, 2);
  CHECK(infer_pool({1, 1, 5, 5}, pool).output == Shape{1, 1, 2, 2});
  pool.ceil_mode = true;
  CHECK(infer_pool({1, 1, 5, 5}, pool).output == Shape{1, 1, 3, 3});
  // 2 wide, stride 3, padded by 1: windows at -1 and 2; a third would start at 5, behind the data.
  Window padded = window(2, 3, 1);
  padded.ceil_mode = true;
  CHECK(infer_pool({1, 1, 5, 5}, padded).output == Shape{1, 1, 2, 2});
  CHECK(infer_pool({1, 1, 6, 6}, padded).output == Shape{1, 1, 3, 3});
}

TEST_CASE("a pool compares or adds every element of every window") {
  const InferredVector pool = infer_pool({1, 4, 8, 8}, window(3, 2, 1));
  CHECK(pool.output == Shape{1, 4, 4, 4});
  CHECK(pool.vector == VectorShape{4 * 64, 4 * 16, 4 * 16 * 9});
  CHECK(infer_global_pool({2, 4, 8, 8}).vector == VectorShape{512, 8, 512});
  CHECK(infer_global_pool({2, 4, 8, 8}).output == Shape{2, 4, 1, 1});
}

TEST_CASE("a fully connected layer keeps all axes but the last") {
  const InferredLayer vectors = infer_fully_connected({16, 512}, 10);
  CHECK(vectors.output == Shape{16, 10});
  CHECK(vectors.compute.batch == 16);
  CHECK(vectors.compute.out_h == 1);
  const InferredLayer sequences = infer_fully_connected({2, 128, 768}, 3072);
  CHECK(sequences.output == Shape{2, 128, 3072});
  CHECK(sequences.compute.batch == 2);
  CHECK(sequences.compute.out_h == 128);
  CHECK(sequences.compute.in_h == 128);
  CHECK(sequences.compute.macs() == std::int64_t{2} * 128 * 768 * 3072);
}

TEST_CASE("a product of activations has one group per pair of matrices") {
  const InferredLayer heads = infer_matmul({2, 12, 128, 64}, {2, 12, 64, 128});
  CHECK(heads.output == Shape{2, 12, 128, 128});
  CHECK(heads.compute.groups == 24);
  CHECK(heads.compute.batch == 1);
  CHECK(heads.compute.m() == 128);
  CHECK(heads.compute.n() == 128);
  CHECK(heads.compute.k() == 64);
  CHECK(heads.compute.second_operand_is_activation);
}

TEST_CASE("a right-hand matrix that serves the whole batch is counted once") {
  const InferredLayer shared = infer_matmul({8, 3, 5}, {5, 7});
  CHECK(shared.output == Shape{8, 3, 7});
  CHECK(shared.compute.groups == 1);
  CHECK(shared.compute.batch == 8);
  CHECK(shared.compute.weight_elements() == 35);
  CHECK(infer_matmul({3, 5}, {8, 5, 7}).output == Shape{8, 3, 7});
  CHECK(infer_matmul({2, 1, 3, 5}, {4, 5, 7}).output == Shape{2, 4, 3, 7});
  CHECK(message_of([] {
          infer_matmul({3, 5}, {6, 7});
        }) == "cannot multiply [3, 5] by [6, 7]: the reductions differ");
  CHECK(message_of([] {
          infer_matmul({2, 3, 5}, {3, 5, 7});
        }) == "the shapes [2] and [3] do not broadcast");
}

TEST_CASE("a recurrent layer is a product over all steps and one repeated step after step") {
  const InferredRecurrent lstm = infer_recurrent({20, 4, 100}, 64, 4, 2);
  CHECK(lstm.input.compute.macs() == std::int64_t{20} * 4 * 100 * 2 * 4 * 64);
  CHECK(lstm.recurrent.compute.macs() == std::int64_t{20} * 4 * 64 * 2 * 4 * 64);
  CHECK(lstm.recurrent.compute.repeat == 20);
  CHECK(lstm.recurrent.compute.m() == 4);
  CHECK(lstm.recurrent.compute.groups == 2);
  CHECK(lstm.recurrent.compute.weight_elements() == 2 * 4 * 64 * 64);
  CHECK(lstm.input.output == Shape{20, 4, 512});
  CHECK(lstm.states == Shape{20, 2, 4, 64});
}

TEST_CASE("element-wise operands broadcast from the back") {
  CHECK(broadcast({2, 3, 4}, {3, 1}) == Shape{2, 3, 4});
  CHECK(broadcast({}, {5}) == Shape{5});
  CHECK(message_of([] { broadcast({2, 3}, {2}); }) == "the shapes [2, 3] and [2] do not broadcast");
  const std::vector<Shape> three(3, Shape{4, 4});
  CHECK(infer_elementwise(three).vector == VectorShape{48, 16, 32});
}

TEST_CASE("a concatenation adds up one axis and agrees on the others") {
  const std::vector<Shape> good = {{1, 2, 4, 4}, {1, 3, 4, 4}};
  CHECK(infer_concat(good, 1).output == Shape{1, 5, 4, 4});
  CHECK(infer_concat(good, -3).output == Shape{1, 5, 4, 4});
  CHECK(infer_concat(good, 1).vector == VectorShape{80, 80, 0});
  CHECK(message_of([&] { infer_concat(good, 2); }) ==
        "cannot concatenate [1, 2, 4, 4] and [1, 3, 4, 4] along axis 2");
  CHECK(message_of([&] { infer_concat(good, 4); }) == "axis 4 does not exist, the rank is 4");
}

TEST_CASE("reshaping keeps the elements") {
  const std::vector<std::int64_t> open = {0, -1};
  CHECK(infer_reshape({2, 3, 4}, open, true) == Shape{2, 12});
  const std::vector<std::int64_t> wrong = {5, -1};
  CHECK(message_of([&] {
          infer_reshape({2, 3, 4}, wrong, true);
        }) == "cannot reshape [2, 3, 4] to [5, -1]: the numbers of elements differ");
  const std::vector<std::int64_t> two_open = {-1, -1};
  CHECK(message_of([&] {
          infer_reshape({2, 3, 4}, two_open, true);
        }) == "cannot reshape to [-1, -1]");
  CHECK(infer_flatten({2, 3, 4}, 1) == Shape{2, 12});
  CHECK(infer_flatten({2, 3, 4}, 0) == Shape{1, 24});
  CHECK(infer_flatten({2, 3, 4}, 3) == Shape{24, 1});
}

TEST_CASE("a transposition moves data unless only axes of size 1 change places") {
  const std::vector<std::int64_t> swap = {0, 2, 1};
  CHECK(infer_transpose({1, 2, 3}, swap) == Shape{1, 3, 2});
  CHECK(transpose_moves_data({1, 2, 3}, swap));
  CHECK(!transpose_moves_data({1, 1, 3}, swap));
  const std::vector<std::int64_t> twice = {0, 1, 1};
  CHECK(message_of([&] {
          infer_transpose({1, 2, 3}, twice);
        }) == "[0, 1, 1] does not permute the axes of [1, 2, 3]");
}

TEST_CASE("a tensor may have 2^48 elements and not one more") {
  const std::int64_t half = std::int64_t{1} << 24;
  CHECK(element_count({half, half}) == kMaxElements);
  CHECK(message_of([&] {
          element_count({half, half, 2});
        }) == "[16777216, 16777216, 2] has more than 2^48 elements");
  CHECK(message_of([&] { element_count({half, half, half, half, half}); }) != "");
  CHECK(element_count(Shape(64, 1)) == 1);
  CHECK(message_of([] { element_count(Shape(65, 1)); }) == "more than 64 axes");
  CHECK(message_of([] { element_count({1, 0, 3}); }) == "sizes must be at least 1, got [1, 0, 3]");
  CHECK(message_of([] { element_count({1, -4}); }) == "sizes must be at least 1, got [1, -4]");
}
