#include "train/dataset.hpp"

#include <catch2/catch.hpp>
