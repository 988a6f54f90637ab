#include "models/network/stored_widths.hpp"
