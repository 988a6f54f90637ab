#include "models/table/channel_cost.hpp"
