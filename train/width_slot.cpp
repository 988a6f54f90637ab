#include "train/width_slot.hpp"
