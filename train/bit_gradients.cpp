#include "train/bit_gradients.hpp"
