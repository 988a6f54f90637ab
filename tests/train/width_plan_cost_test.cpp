#include "train/width_plan_cost.hpp"

#include <catch2/catch.hpp>
