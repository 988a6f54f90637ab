#include "train/torch/quantized_network.hpp"

#include <catch2/catch.hpp>
