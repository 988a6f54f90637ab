// Reads what `run --json` wrote, schema report/1. JSON is YAML, whose reader says places, refuses
// duplicate keys and limits size and depth.
#pragma once

#include <string>
#include <string_view>

#include "models/cost/cost_report.hpp"

namespace widthwise {

/// Throws InputError, all mistakes of the file at once: a key that is missing, a value of another
/// type or out of range, cycles that do not sum to the latency, a total that is not that of the
/// layers. Other keys are passed over.
///
/// Left at their defaults is what the file does not have: a layer's activity but its DRAM traffic.
/// `resolved_accelerator` has the leaves of the file's accelerator, lists as "[2, 4]".
CostReport read_report(const std::string& path);

/// The same from text; `file` names it in messages.
CostReport parse_report(std::string_view text, const std::string& file);

}  // namespace widthwise
