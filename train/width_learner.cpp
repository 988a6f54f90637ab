#include "train/width_learner.hpp"
