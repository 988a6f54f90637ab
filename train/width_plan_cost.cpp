#include "train/width_plan_cost.hpp"
