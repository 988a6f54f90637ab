#include "train/quantizer_kernels.hpp"
