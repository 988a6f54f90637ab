#include "train/width_assigner.hpp"
