#include "models/cost/cost_model.hpp"
