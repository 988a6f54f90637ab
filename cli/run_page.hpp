// The report of a run as a page: where cycles and energy went layer by layer, what bounds each
// layer, and the layers as a table. Its figures are those of the CostReport, their sums and shares.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/html_page.hpp"
#include "models/cost/cost_report.hpp"
#include "models/hardware/accelerator.hpp"

namespace widthwise {

/// Adds what is said of one run, of whichever fidelity; `accelerator` is the one that the report is
/// of.
void add_run(std::vector<std::pair<std::string, std::string>>& facts, std::vector<HtmlPart>& parts,
             const CostReport& report, const Accelerator& accelerator);

/// The file's text.
std::string run_page(const CostReport& report, const Accelerator& accelerator);

}  // namespace widthwise
