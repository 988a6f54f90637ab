// The values of the weights of an ONNX file, layer by layer.
//
//   OnnxWeights weights("resnet18.onnx");
//   for (const Layer& layer : weights.network().layers()) {
//     if (const auto values = weights.of(layer)) ...
//   }
//
// Whatever operator a layer comes from, its weights are in the order of its ComputeShape:
//
//   [groups][out_channels][in_channels][kernel_h][kernel_w]     channels per group
//
//   Conv                  as stored
//   Gemm, MatMul, Einsum  [groups][output features][reduction], transposed where the file has them
//                         the other way around, the constant on either side
//   LSTM, GRU, RNN        x/input: W, x/recurrent: R; output channels are gate by gate in ONNX's
//                         order, directions as output channels of W and as groups of R
//
// Constants may pass through operators that move data (Transpose, Reshape, Slice, Split, Concat,
// Gather, Expand, Tile, ...), Cast, QuantizeLinear and DequantizeLinear on their way; integers come
// out as what DequantizeLinear makes of them.
//
// What it leaves out: scales that stand behind the layer (batch normalization that is folded, alpha
// of Gemm) are not multiplied in; post-processing applies them. Arithmetic on weights other than
// the above is not done: the values are then not known.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/network/network.hpp"
#include "models/network/onnx_import.hpp"

namespace widthwise {

/// The file stays in memory as long as this does, once, data in files beside it excepted: those are
/// read when they are asked for. Copying shares it.
class OnnxWeights {
 public:
  /// Imports the file as import_onnx does. Throws InputError.
  explicit OnnxWeights(const std::string& path, const OnnxOptions& options = {});

  /// The same from the bytes of a file; `file` names it in messages.
  OnnxWeights(std::span<const std::byte> bytes, const std::string& file,
              const OnnxOptions& options = {});

  [[nodiscard]] const Network& network() const;

  /// Layer::weights values; nothing for a layer that multiplies by no constant weights (embedding
  /// tables are none). The layer is one of network(), or of another import of the same file.
  ///
  /// Throws InputError where they are computed by an operator that is not modelled, or where data
  /// beside the file cannot be read.
  [[nodiscard]] std::optional<std::vector<float>> of(const Layer& layer) const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

}  // namespace widthwise
