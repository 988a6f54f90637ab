#include "train/bit_planes.hpp"
