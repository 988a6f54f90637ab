// The report of a run for people, at most 100 columns wide:
//
//   resnet18 at w4a4 on bitfusion, tile fidelity, 500 MHz
//
//   layer           bits   MACs     cycles  share   use      DRAM     energy    bottleneck
//   conv1           8/8    118.0 M  31,360  12.1 %  91.2 %  742.1 kB  123.4 uJ  compute
//   ...
//
//   latency         258,912 cycles = 517.8 us at 500 MHz; 1931.1 frames/s
//   energy          ...
//   where cycles went, where energy went, what was ignored, what the model leaves out
//
// It only prints: every figure comes from the CostReport.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "models/cost/cost_report.hpp"

namespace widthwise {

inline constexpr std::size_t kReportColumns = 100;

std::string table_report(const CostReport& report);

/// What is said of the whole run, in printable texts.
struct ReportFact {
  std::string_view label;
  std::vector<std::string> items;
  std::string_view separator;  // after all items but the last
  std::size_t lines = 1;       // of the table's that they may take
};
std::vector<ReportFact> report_facts(const CostReport& report);

/// The bottleneck that bounds the layers with the most cycles, and its share of all cycles.
struct NetworkBottleneck {
  std::string name;
  double share = 0;
};
NetworkBottleneck network_bottleneck(const CostReport& report);

}  // namespace widthwise
