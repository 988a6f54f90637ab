#include "train/torch/fused_ops.hpp"

#include <catch2/catch.hpp>
