// Roofs over the layers of a run: what its array and its DRAM let them reach.
//
// An operation is a multiplication or an addition, two per MAC, at whatever widths: a layer at
// narrower widths does the same work with fewer bytes, under a higher roof. A layer's rate is at
// most the roof of the widths that it computes with, and at most its operations per byte of DRAM
// traffic x the DRAM's bandwidth. Its utilization is its rate / that roof.
//
// Ignores the bandwidths of buffer ports and of the scratchpad, post-processing, the array's
// start-up and latencies, so that layers may stay below both.
//
// Source: Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "models/cost/cost_report.hpp"
#include "models/hardware/accelerator.hpp"

namespace widthwise {

struct Roofline {
  /// What the array reaches with all its lanes in use.
  struct Roof {
    double ops_per_s = 0;
    std::vector<LayerWidths> widths;  // computed with by layers of the run, first ones first
  };
  struct Point {
    std::size_t layer = 0;  // of the report
    std::size_t roof = 0;
    double ops_per_s = 0;
    double ops_per_byte = 0;  // of DRAM traffic
  };

  std::optional<double> dram_bytes_per_s;  // nothing: memory without limits
  std::vector<Roof> roofs;                 // of the widths in use, highest first
  std::vector<Point> points;               // layers with MACs and DRAM traffic, as in the report
  std::size_t without_traffic = 0;         // layers with MACs that the DRAM has no part in
};

/// `accelerator` is the one that the report is of.
Roofline roofline(const CostReport& report, const Accelerator& accelerator);

}  // namespace widthwise
