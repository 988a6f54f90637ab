#include "train/result.hpp"

#include <catch2/catch.hpp>
