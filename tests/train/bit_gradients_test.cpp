#include "train/bit_gradients.hpp"

#include <catch2/catch.hpp>
