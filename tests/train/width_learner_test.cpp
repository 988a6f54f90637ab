#include "train/width_learner.hpp"

#include <catch2/catch.hpp>
