#include "models/network/single_layer.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"

using namespace widthwise;

namespace {

std::string message_of(const std::string& text) {
  try {
    parse_single_layer(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("gemm:MxNxK has M x N outputs and a reduction of K") {
  const Network network = parse_gemm("gemm:64x128x512");
  CHECK(network.name() == "gemm:64x128x512");
  REQUIRE(network.layers().size() == 1);
  const ComputeShape& shape = network.layers()[0].compute.value();
  CHECK(shape.batch == 1);
  CHECK(shape.out_h == 64);
  CHECK(shape.out_w == 1);
  CHECK(shape.m() == 64);
  CHECK(shape.n() == 128);
  CHECK(shape.k() == 512);
  CHECK(network.macs() == 64 * 128 * 512);
  CHECK(network.weights() == 128 * 512);
  CHECK(network.tensors()[network.layers()[0].output].is_output);
}

TEST_CASE("anything else than gemm:MxNxK is refused with an example") {
  for (const char* text :
       {"gemm", "gemm:", "gemm:1x2", "gemm:1x2x3x4", "gemm:1x2x", "gemm:0x1x1", "gemm:-1x1x1",
        "gemm:1x1x1 ", "gemm:axbxc", "1x2x3", "gemm:1x1x99999999999999999999"}) {
    CHECK(message_of(text) ==
          std::string(text) +
              ": error: expected gemm:MxNxK with sizes of at least 1, such as gemm:64x128x512");
  }
}

TEST_CASE("a matrix product beyond the bounds is refused") {
  CHECK(message_of("gemm:16777216x1x33554432") ==
        "gemm:16777216x1x33554432: error: [1, 16777216, 33554432] has more than 2^48 elements");
  CHECK(message_of("gemm:16777216x16777216x16777216").find("2^52") != std::string::npos);
}

TEST_CASE("conv:HxWxCINxCOUTxKERNEL:STRIDE has ceil(H / STRIDE) x ceil(W / STRIDE) outputs") {
  struct Case {
    const char* text;
    std::int64_t out_h, out_w, kernel, pad;
  };
  for (const Case& c :
       {Case{"conv:6x3x32x64x3", 6, 3, 3, 1}, Case{"conv:6x3x32x64x1", 6, 3, 1, 0},
        Case{"conv:7x5x32x64x3:2", 4, 3, 3, 1}, Case{"conv:8x4x32x64x3:2", 4, 2, 3, 0},
        Case{"conv:8x9x32x64x1:4", 2, 3, 1, 0}}) {
    INFO(c.text);
    const Network network = parse_single_layer(c.text);
    CHECK(network.name() == c.text);
    REQUIRE(network.layers().size() == 1);
    CHECK(network.layers()[0].name == "conv");
    CHECK(network.layers()[0].kind == LayerKind::convolution);
    const ComputeShape& shape = network.layers()[0].compute.value();
    CHECK(shape.batch == 1);
    CHECK(shape.groups == 1);
    CHECK(shape.in_channels == 32);
    CHECK(shape.out_channels == 64);
    CHECK(shape.out_h == c.out_h);
    CHECK(shape.out_w == c.out_w);
    CHECK(shape.kernel_h == c.kernel);
    CHECK(shape.kernel_w == c.kernel);
    CHECK(shape.pad_top == c.pad);
    CHECK(network.weights() == 64 * 32 * c.kernel * c.kernel);
    CHECK(network.tensors()[network.layers()[0].output].is_output);
  }
}

TEST_CASE("anything else than conv:HxWxCINxCOUTxKERNEL[:STRIDE] is refused with an example") {
  for (const char* text :
       {"conv:", "conv:1x2x3x4", "conv:1x2x3x4x5x6", "conv:1x2x3x4x5:", "conv:1x2x3x4x5:0",
        "conv:1x2x3x4x5:1x1", "conv:1x2x3x4x0", "conv:-1x1x1x1x1", "conv:1x1x1x1x1 ",
        "conv:axbxcxdxe", "conv:1x1x1x1x99999999999999999999"}) {
    CHECK(message_of(text) ==
          std::string(text) +
              ": error: expected conv:HxWxCINxCOUTxKERNEL[:STRIDE] with sizes of at least 1, such "
              "as conv:56x56x64x128x3:2");
  }
}

TEST_CASE("a convolution beyond the bounds is refused") {
  CHECK(message_of("conv:16777216x33554432x1x1x1") ==
        "conv:16777216x33554432x1x1x1: error: [1, 1, 16777216, 33554432] has more than 2^48 "
        "elements");
}

TEST_CASE("a single convolution has its window and groups") {
  Window window;
  window.kernel[0] = window.kernel[1] = 3;
  const Network network = convolution_network({1, 8, 6, 6}, 8, 8, window);
  CHECK(network.macs() == 8 * 4 * 4 * 9);
  CHECK(network.layers()[0].name == "conv");
  CHECK_THROWS_AS(convolution_network({1, 8, 2, 6}, 8, 8, window), InputError);
}
