// onnx_counts FILE...: one line of JSON per network: its totals, the loop nests of its layers, and
// of an ONNX file sums of the layers' weights. For torchvision_test.py, which compares them with
// PyTorch's.
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "models/base/error.hpp"
#include "models/network/network_yaml.hpp"
#include "models/network/onnx_weights.hpp"

using namespace widthwise;

namespace {

std::string field(const char* name, std::int64_t value) {
  return "\"" + std::string(name) + "\": " + std::to_string(value);
}

// The sum, the sum in which the i-th value counts i mod 251 + 1 times, that of magnitudes so often.
std::string checksums(const std::vector<float>& values) {
  constexpr std::size_t kPeriod = 251;
  double sum = 0;
  double ordered = 0;
  double magnitudes = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = values[i];
    const auto times = static_cast<double>(i % kPeriod + 1);
    sum += value;
    ordered += value * times;
    magnitudes += std::abs(value) * times;
  }
  return fmt::format("[{}, {}, {}]", sum, ordered, magnitudes);
}

std::string to_json(const Network& network, const std::optional<OnnxWeights>& weights) {
  std::string text = "{" + field("macs", network.macs()) + ", " +
                     field("weights", network.weights()) + ", " +
                     field("biases", network.biases()) + ", \"layers\": {";
  bool is_first = true;
  for (const Layer& layer : network.layers()) {
    if (!layer.compute) continue;
    const ComputeShape& shape = *layer.compute;
    text += (is_first ? "\"" : ", \"") + layer.name + "\": [";
    is_first = false;
    for (const std::int64_t value :
         {shape.batch, shape.groups, shape.in_channels, shape.out_channels, shape.in_h, shape.in_w,
          shape.out_h, shape.out_w, shape.kernel_h, shape.kernel_w, shape.stride_h, shape.stride_w,
          shape.dilation_h, shape.dilation_w, shape.pad_top, shape.pad_left}) {
      text += std::to_string(value) + ", ";
    }
    text += std::to_string(shape.repeat) + "]";
  }
  text += "}, \"checksums\": {";
  is_first = true;
  for (const Layer& layer : network.layers()) {
    const auto values = weights ? weights->of(layer) : std::nullopt;
    if (!values) continue;
    text += (is_first ? "\"" : ", \"") + layer.name + "\": " + checksums(*values);
    is_first = false;
  }
  return text + "}}";
}

}  // namespace

int main(int argc, char** argv) {
  try {
    for (int i = 1; i < argc; ++i) {
      const std::string path = argv[i];
      if (path.ends_with(".onnx")) {
        const OnnxWeights weights(path);
        std::puts(to_json(weights.network(), weights).c_str());
      } else {
        std::puts(to_json(read_network(path), std::nullopt).c_str());
      }
    }
  } catch (const InputError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return 0;
}
