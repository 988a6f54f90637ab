// Reads `network/1` files: layers, shapes and edges, written by hand.
//
//   schema: network/1
//   name: tiny
//   parameters: {batch: 1}                 # integers; `$batch` stands for the value anywhere below
//   inputs:
//     image: [$batch, 3, 32, 32]           # batch first, then channels
//   layers:
//     - {name: conv1, kind: convolution, out_channels: 16, kernel: 3, padding: 1, activation: relu}
//     - {name: conv2, kind: convolution, out_channels: 16, kernel: 3, padding: 1}
//     - {name: sum, kind: add, inputs: [conv1, conv2], activation: relu}
//     - {name: pool, kind: global_average_pool}
//     - {name: flat, kind: flatten}
//     - {name: fc, kind: fully_connected, out_features: 10, bias: true, output_shape: [1, 10]}
//   outputs: [fc]                          # default: what no layer reads
//
// A layer's `inputs` default to the layer before it (for the first one, to the only input of the
// network). `output_shape` is checked against the inferred one. `activation` is done on the fly by
// the post-processing unit: relu, relu6, leaky_relu, prelu, elu, sigmoid, tanh, gelu, silu,
// hard_sigmoid, hard_swish, softplus.
//
//   kind                               keys (besides name, kind, inputs, output_shape)
//   convolution                        out_channels, kernel, stride 1, padding 0, dilation 1,
//                                      groups 1, bias false, activation
//   fully_connected                    out_features, bias false, activation
//   matmul (two inputs)                transpose_right false, activation
//   lstm, gru, rnn                     hidden, bidirectional false, bias false
//   attention                          heads, bias false
//   max_pool, average_pool             kernel, stride (as kernel), padding 0, ceil_mode false,
//                                      activation
//   global_max_pool, global_average_pool, add, mul, batch_norm, layer_norm
//                                      activation
//   activation                         function
//   concat                             axis 1
//   softmax
//   mean                               axes, keep_axes false
//   flatten                            axis 1
//   reshape                            shape (one -1; 0 as in the input)
//   transpose                          permutation
//   slice                              axis, begin 0, end
//   upsample                           factor
//
// kernel, stride, dilation, factor: one number or [height, width]; padding also [top, left, bottom,
// right] or `same`. An average_pool divides by the elements of its window that lie in the input, not
// by those in its padding. Sequences are [batch, sequence, features]. An lstm, gru or rnn `x` becomes the
// layers x/input and x/recurrent; an attention `x` becomes x.query, x.key, x.value, x.scores,
// x.softmax, x.context and x.output.
//
// What it leaves out: values, and everything that ONNX says better. Batch normalization after a
// convolution is taken as folded: leave it out, or say `bias: true` to count what folding adds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "models/network/network.hpp"

namespace widthwise {

/// Values for `parameters`, by name, in place of those in the file.
using NetworkParameters = std::map<std::string, std::int64_t>;

/// Throws InputError, all mistakes of the file at once.
Network read_network(const std::string& path, const NetworkParameters& parameters = {});

/// The same from text; `file` names it in messages.
Network parse_network(std::string_view text, const std::string& file,
                      const NetworkParameters& parameters = {});

}  // namespace widthwise
