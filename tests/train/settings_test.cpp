#include "train/settings.hpp"

#include <catch2/catch.hpp>
