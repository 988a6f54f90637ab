// How two runs differ, for people, as JSON (schema diff/1) and as a page:
//
//   a  resnet18 at w8a8 on bitfusion_16x32, tile fidelity, 500 MHz
//   b  resnet18 at w4a4 on bitfusion_16x32, tile fidelity, 500 MHz
//
//   assignment      w8a8 -> w4a4
//
//                           a          b     change  b / a
//   latency          8.140 ms   2.311 ms  -5.829 ms  0.284
//   ...
//
//   where the change went: cycles by category, energy by component
//
//   the layers that change the latency most, with what changed in them
//
// Figures are those of the two reports, their differences and ratios.
#pragma once

#include <string>

#include "cli/run_difference.hpp"
#include "models/cost/cost_report.hpp"

namespace widthwise {

struct ComparedRuns {
  std::string file_a, file_b;
  CostReport a, b;
};

/// At most 100 columns wide.
std::string difference_text(const ComparedRuns& runs, const RunDifference& difference);

/// Ends in a line feed; numbers read back as the same doubles.
std::string difference_json(const ComparedRuns& runs, const RunDifference& difference);

std::string difference_page(const ComparedRuns& runs, const RunDifference& difference);

}  // namespace widthwise
