#include "train/torch/trainer.hpp"

#include <catch2/catch.hpp>
