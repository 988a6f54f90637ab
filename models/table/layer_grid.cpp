#include "models/table/layer_grid.hpp"
