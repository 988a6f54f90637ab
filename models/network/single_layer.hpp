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

/// One convolution of an input [batch, channels, height, width]; its layer is "conv".
Network convolution_network(const Shape& input, std::int64_t out_channels, std::int64_t groups,
                            const Window& window);

}  // namespace widthwise
