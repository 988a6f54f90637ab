// The report of a run as CSV, one row per layer: `layer,weight_bits,activation_bits,latency_cycles,
// energy_pj,dram_bytes` as every exchanged table of costs begins, then everything else that is
// known of a layer. Fields are quoted as RFC 4180 says; lines end in a line feed; numbers read back
// as the same doubles.
#pragma once

#include <string>

#include "models/cost/cost_report.hpp"

namespace widthwise {

std::string csv_report(const CostReport& report);

/// A cell of a CSV file: in quotes where it has to be (RFC 4180).
std::string csv_field(const std::string& value);

}  // namespace widthwise
