// The report of a run as JSON, schema report/1. Keys stand in a fixed order and carry their units;
// numbers read back as the same doubles; the same report gives the same bytes.
//
// The value of "accelerator" has the form of an `accelerator/1` file with every value resolved
// (JSON is YAML): it can be run again.
#pragma once

#include <string>

#include "models/cost/cost_report.hpp"

namespace widthwise {

std::string json_report(const CostReport& report);

}  // namespace widthwise
