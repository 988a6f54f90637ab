#include "models/network/single_layer.hpp"

#include <charconv>
#include <string>
#include <utility>

#include "models/base/error.hpp"
#include "models/network/network_builder.hpp"

namespace widthwise {

namespace {

constexpr std::string_view kGemmPrefix = "gemm:";

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

}  // namespace

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
  std::int64_t sizes[3] = {0, 0, 0};
  bool valid = text.starts_with(kGemmPrefix);
  std::string_view rest = text.substr(valid ? kGemmPrefix.size() : 0);
  for (std::size_t i = 0; valid && i < 3; ++i) {
    const auto [after, status] = std::from_chars(rest.data(), rest.data() + rest.size(), sizes[i]);
    rest.remove_prefix(static_cast<std::size_t>(after - rest.data()));
    const bool is_last = i == 2;
    valid =
        status == std::errc() && sizes[i] >= 1 && (is_last ? rest.empty() : rest.starts_with('x'));
    if (valid && !is_last) rest.remove_prefix(1);
  }
  if (!valid) {
    throw InputError({std::string(text)}, "",
                     "expected gemm:MxNxK with sizes of at least 1, such as gemm:64x128x512");
  }
  return gemm_network(sizes[0], sizes[1], sizes[2]);
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
