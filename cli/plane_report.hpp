// What bit-planes make of a trained network (train/plane_evaluation.hpp), for people. Every figure
// was computed before; here are only differences and quotients of them.
//
//   planes     accuracy   lost  tiny   host (measured)
//   1           78.12 %  10.21  4.38x            1.31x
//   ...
//   float       88.90 %  -0.57      -                -
//   8 bit       88.33 %   0.00  1.00x            1.00x
//   per layer   87.50 %   0.83  2.61x            1.18x
//
// `lost`: points of accuracy against 8-bit inference. Under machines: how much faster than 8-bit
// inference on the same machine.
#pragma once

#include <string>

#include "cli/html_page.hpp"
#include "train/result.hpp"

namespace widthwise {

/// The table and the planes of each layer; at most 100 columns wide.
std::string plane_text(const PlaneReport& report);

/// Accuracy and speed-up against planes, and the same as tables.
void add_planes(HtmlPage& page, const PlaneReport& report);

}  // namespace widthwise
