#include "models/network/single_layer.hpp"

#include <array>
#include <charconv>
#include <cstddef>
#include <string>
#include <utility>

#include "models/base/error.hpp"
#include "models/network/network_builder.hpp"

namespace widthwise {

namespace {

constexpr std::string_view kGemmPrefix = "gemm:";
constexpr std::string_view kConvolutionPrefix = "conv:";

Network one_layer(std::string name, const std::string& layer_name, LayerKind kind,
                  const Shape& input, const InferredLayer& inferred) {
  NetworkBuilder builder(name, {name});
  Layer layer;
  layer.name = layer_name;
  layer.kind = kind;
  layer.op = layer_name;
  layer.compute = inferred.compute;
  layer.inputs = {builder.add_input("input", input)};
  layer.output = builder.add_tensor(layer_name, inferred.output);
  layer.weights = inferred.compute.weight_elements();
  builder.mark_output(layer.output);
  builder.add_layer(std::move(layer), {std::move(name)});
  return builder.build();
}

/// Takes as many sizes as there are, with an 'x' between, off the front of `text`.
template <std::size_t N>
bool take_sizes(std::string_view& text, std::array<std::int64_t, N>& sizes) {
  for (std::size_t i = 0; i < N; ++i) {
    if (i > 0) {
      if (!text.starts_with('x')) return false;
      text.remove_prefix(1);
    }
    const auto [after, status] = std::from_chars(text.data(), text.data() + text.size(), sizes[i]);
    if (status != std::errc() || sizes[i] < 1) return false;
    text.remove_prefix(static_cast<std::size_t>(after - text.data()));
  }
  return true;
}

}  // namespace

bool names_single_layer(std::string_view text) {
  return text.starts_with(kGemmPrefix) || text.starts_with(kConvolutionPrefix);
}

Network parse_single_layer(std::string_view text) {
  return text.starts_with(kConvolutionPrefix) ? parse_convolution(text) : parse_gemm(text);
}

Network gemm_network(std::int64_t m, std::int64_t n, std::int64_t k) {
  std::string name = std::string(kGemmPrefix) + std::to_string(m) + "x" + std::to_string(n) + "x" +
                     std::to_string(k);
  const Shape input = {1, m, k};
  try {
    return one_layer(name, "gemm", LayerKind::fully_connected, input,
                     infer_fully_connected(input, n));
  } catch (const ShapeError& error) {
    throw InputError({std::move(name)}, "", error.what());
  }
}

Network parse_gemm(std::string_view text) {
  std::array<std::int64_t, 3> sizes{};
  const bool prefixed = text.starts_with(kGemmPrefix);
  std::string_view rest = text.substr(prefixed ? kGemmPrefix.size() : 0);
  if (!prefixed || !take_sizes(rest, sizes) || !rest.empty()) {
    throw InputError({std::string(text)}, "",
                     "expected gemm:MxNxK with sizes of at least 1, such as gemm:64x128x512");
  }
  return gemm_network(sizes[0], sizes[1], sizes[2]);
}

Network parse_convolution(std::string_view text) {
  std::array<std::int64_t, 5> sizes{};  // height, width, input channels, output channels, kernel
  std::array<std::int64_t, 1> stride{1};
  const bool prefixed = text.starts_with(kConvolutionPrefix);
  std::string_view rest = text.substr(prefixed ? kConvolutionPrefix.size() : 0);
  bool valid = prefixed && take_sizes(rest, sizes);
  if (valid && rest.starts_with(':')) {
    rest.remove_prefix(1);
    valid = take_sizes(rest, stride);
  }
  if (!valid || !rest.empty()) {
    throw InputError({std::string(text)}, "",
                     "expected conv:HxWxCINxCOUTxKERNEL[:STRIDE] with sizes of at least 1, such as "
                     "conv:56x56x64x128x3:2");
  }
  const auto [height, width, in_channels, out_channels, kernel] = sizes;
  Window window;
  for (int axis = 0; axis < 2; ++axis) {
    window.kernel[axis] = kernel;
    window.stride[axis] = stride[0];
  }
  window.auto_pad = AutoPad::same_upper;
  const Shape input = {1, in_channels, height, width};
  try {
    return one_layer(std::string(text), "conv", LayerKind::convolution, input,
                     infer_convolution(input, out_channels, 1, window));
  } catch (const ShapeError& error) {
    throw InputError({std::string(text)}, "", error.what());
  }
}

Network convolution_network(const Shape& input, std::int64_t out_channels, std::int64_t groups,
                            const Window& window) {
  const std::string name = "conv:" + to_string(input);
  try {
    return one_layer(name, "conv", LayerKind::convolution, input,
                     infer_convolution(input, out_channels, groups, window));
  } catch (const ShapeError& error) {
    throw InputError({name}, "", error.what());
  }
}

}  // namespace widthwise
