#include "train/quantizer_kernels.hpp"

#include <catch2/catch.hpp>
