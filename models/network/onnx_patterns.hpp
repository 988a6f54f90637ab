// Recognises functions that exporters spell out operator by operator, and replaces each by one
// node. Internal to models/network.
//
//   Sub, Pow or Mul, ReduceMean, Add, Sqrt, Div [, Mul, Add]        LayerNormalization
//   x * 0.5 * (1 + erf(x / sqrt(2))), and the form with tanh         Gelu
//   x * sigmoid(x)                                                   Silu
//   x * hardsigmoid(x), x * clip(x + 3) / 6                          HardSwish
//   x * tanh(softplus(x))                                            Mish
//
// Recognition goes by structure: the values of scalars are not looked at. Nodes of which something
// else reads an inner value stay as they are.
#pragma once

#include "models/network/onnx_graph.hpp"

namespace widthwise {

void recognise_patterns(OnnxGraph& graph);

}  // namespace widthwise
