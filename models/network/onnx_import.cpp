#include "models/network/onnx_import.hpp"

#include "models/base/error.hpp"

namespace widthwise {

Network import_onnx(const std::string& path, const OnnxOptions& /*options*/) {
  throw InputError({path}, "", "this build does not read ONNX files");
}

Network import_onnx_bytes(std::span<const std::byte> /*bytes*/, const std::string& file,
                          const OnnxOptions& options) {
  return import_onnx(file, options);
}

}  // namespace widthwise
