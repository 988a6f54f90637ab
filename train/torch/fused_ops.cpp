#include "train/torch/fused_ops.hpp"
