// Arbitrary bytes as an ONNX file: a network or an InputError comes out, nothing else.
#include <cstddef>
#include <cstdint>
#include <span>

#include "models/base/error.hpp"
#include "models/network/onnx_import.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it by this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  try {
    const widthwise::Network network = widthwise::import_onnx_bytes(std::as_bytes(bytes), "fuzz");
    widthwise::ensure(network.macs() >= 0 && network.weights() >= 0, "counts do not overflow");
  } catch (const widthwise::InputError&) {
  }
  return 0;
}
