#include "train/torch/quantized_network.hpp"
