// Networks of one layer, for measuring a machine on a given matrix product or convolution.
#pragma once

#include <cstdint>
#include <string_view>

#include "models/network/network.hpp"
#include "models/network/shape_inference.hpp"

namespace widthwise {

/// An M x K activation matrix times a constant K x N matrix, named "gemm:MxNxK"; its layer is
/// "gemm". Throws InputError on sizes below 1 or beyond the bounds of a network.
Network gemm_network(std::int64_t m, std::int64_t n, std::int64_t k);

/// Reads "gemm:64x128x512" as M x N x K: outputs M x N, reduction K. Throws InputError.
Network parse_gemm(std::string_view text);

/// Reads "conv:56x56x64x128x3:2" as an input of height x width x channels, output channels, kernel
/// and stride (1 if absent). The input is padded so that the output is ceil(size / stride) along
/// either axis, one row or column more at the end where it is uneven. Throws InputError.
Network parse_convolution(std::string_view text);

/// Whether a text names a network of one layer: "gemm:..." or "conv:...".
bool names_single_layer(std::string_view text);

/// Reads either of them. Throws InputError.
Network parse_single_layer(std::string_view text);

/// One convolution of an input [batch, channels, height, width]; its layer is "conv".
Network convolution_network(const Shape& input, std::int64_t out_channels, std::int64_t groups,
                            const Window& window);

}  // namespace widthwise
