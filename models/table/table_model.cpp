#include "models/table/table_model.hpp"
