#include "models/table/table_csv.hpp"
