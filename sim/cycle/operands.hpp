// The integers that a layer computes with, and what it must come to.
//
// Tensors are filled layer by layer: a layer's input is not the output of the one before (nothing
// is requantized), so that every layer sees operands over the whole range of its widths.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "models/base/quantity.hpp"
#include "models/network/network.hpp"

namespace widthwise::sim {

/// Two's complement or unsigned integers of 1..17 bits.
struct IntegerFormat {
  BitWidth bits = 8;
  bool is_signed = true;
  [[nodiscard]] std::int32_t low() const { return is_signed ? -(1 << (bits - 1)) : 0; }
  [[nodiscard]] std::int32_t high() const { return (1 << (is_signed ? bits - 1 : bits)) - 1; }
  bool operator==(const IntegerFormat&) const = default;
};

/// One repeat of a layer.
struct LayerOperands {
  ComputeShape shape;
  IntegerFormat weight, activation;
  std::vector<std::int32_t> input;    // [batch][groups x in_channels][in_h][in_w]
  std::vector<std::int32_t> weights;  // [groups][k][out_channels], k = channel, kernel row, column

  /// The reduction's products sum to no more than this, whatever the operands; in bits of two's
  /// complement. From the formats and K (arXiv 2301.13376, data-type bound).
  [[nodiscard]] int safe_accumulator_bits() const;
};

/// Uniform over the whole range of each format; the same on every machine for the same seed and
/// layer name.
LayerOperands random_operands(const ComputeShape& shape, IntegerFormat weight,
                              IntegerFormat activation, std::uint64_t seed, std::string_view layer);

/// Takes the weights from [groups][out_channels][k] order, as ONNX has them.
void set_weights(LayerOperands& operands, const std::vector<std::int32_t>& values);

/// The layer in plain integer arithmetic without any limit: [groups][m][n], m = batch, row, column.
/// Shares nothing with the arrays but an inner loop over products.
std::vector<std::int64_t> plain_result(const LayerOperands& operands);

}  // namespace widthwise::sim
