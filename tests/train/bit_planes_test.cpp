#include "train/bit_planes.hpp"

#include <catch2/catch.hpp>
