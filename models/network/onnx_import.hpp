// Reads ONNX files (opset 7 to 18, as torch.onnx, TensorFlow and Keras converters write them).
//
// What becomes a layer: convolutions, matrix products, recurrent networks, pools, additions and
// other element-wise functions of two activations, concatenations, normalizations, softmax,
// reductions, and whatever moves data. What does not: batch normalization behind a convolution or
// matrix product (folded), element-wise functions of one activation behind a layer that only they
// read (fused, GELU, SiLU and hard-swish also where the file spells them out), reshapes and other
// operators that leave the data where they are, and all arithmetic on constants. A LayerNorm that
// the file spells out becomes one layer. Recurrent operators become two layers, x/input and
// x/recurrent.
//
// Weights: only their shapes are read. Constant operands of element-wise functions with more than
// one element (scales, shifts, position tables) count as biases. Shapes that the file states are
// compared with the inferred ones.
//
// Names: a layer with weights is called after the module that torch.onnx names in its weights,
// scope or bias ("layer1.0.conv1"), other layers after module and operator ("layer1.0/Add"); files
// without scopes give the node's name, or operator and position ("Conv_3"). The network is called
// after the file.
//
// What it leaves out: values (those of weights: onnx_weights.hpp); quantization parameters
// (QuantizeLinear and DequantizeLinear are passed through and recorded as ignored; widths come from
// an assignment); subgraphs (If, Loop, Scan), sequences and local functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/network/network.hpp"

namespace widthwise {

struct OnnxOptions {
  /// Operator types ("TopK") or node names to pass through where they are not modelled.
  std::vector<std::string> ignore;

  /// Stands for a first dimension of an input that the file leaves open; 1 if not given. A file
  /// that fixes another one is refused.
  std::optional<std::int64_t> batch;
};

/// Throws InputError, all unknown operators and contradictions of the file at once.
Network import_onnx(const std::string& path, const OnnxOptions& options = {});

/// The same from the bytes of a file; `file` names it in messages.
Network import_onnx_bytes(std::span<const std::byte> bytes, const std::string& file,
                          const OnnxOptions& options = {});

}  // namespace widthwise
