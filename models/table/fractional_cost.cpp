#include "models/table/fractional_cost.hpp"
