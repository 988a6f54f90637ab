// A cost table as JSON, "table/1": see docs/file_formats.md.
#pragma once

#include <string>

#include "models/table/table_points.hpp"

namespace widthwise {

std::string table_json(const MadeTable& made);

}  // namespace widthwise
