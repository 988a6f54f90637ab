// The weights of a trained network for inference by bit-planes.
#pragma once

#include "train/plane_inference.hpp"
#include "train/torch/quantized_network.hpp"

namespace widthwise {

/// The structure (plane_structure() of the same network) with the network's weights and biases, as
/// they are in floats. Precondition: both are of one network.
PlaneNetwork plane_weights(PlaneNetwork structure, QuantizedNetwork& network);

}  // namespace widthwise
