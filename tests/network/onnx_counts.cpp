// onnx_counts FILE...: one line of JSON per network: its totals, and the loop nests of its layers.
// For torchvision_test.py, which compares them with counts from elsewhere.
#include <cstdio>
#include <string>

#include "models/base/error.hpp"
#include "models/network/network_yaml.hpp"
#include "models/network/onnx_import.hpp"

using namespace widthwise;

namespace {

std::string field(const char* name, std::int64_t value) {
  return "\"" + std::string(name) + "\": " + std::to_string(value);
}

std::string to_json(const Network& network) {
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
  return text + "}}";
}

}  // namespace

int main(int argc, char** argv) {
  try {
    for (int i = 1; i < argc; ++i) {
      const std::string path = argv[i];
      const Network network = path.ends_with(".onnx") ? import_onnx(path) : read_network(path);
      std::puts(to_json(network).c_str());
    }
  } catch (const InputError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return 0;
}
