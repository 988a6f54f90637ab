#include "models/table/cost_table.hpp"
