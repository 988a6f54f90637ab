// What came out of an experiment's trainings, for people, as JSON and as a page. Every figure was
// computed before; here are only sums and shares of them.
//
//   mobilenet_small on bismo_edge_8x8: fracbits on fashion_mnist
//
//   layer    bits      MACs   weights  cycles  share   energy
//   conv1    8/8     2.8 M        144  31,360  12.1 %  1.2 uJ
//   ...
//
//   accuracy        90.12 % of 10,000 test images
//   target          latency_cycles: 102000 simulated; target 104000 (-1.92 %); 52000 .. 410000 can
//   be
//                   reached
//   latency         ...
//
//   training        accuracy  latency_cycles  from target  ...
#pragma once

#include <string>
#include <vector>

#include "models/base/quantity.hpp"
#include "train/result.hpp"

namespace widthwise {

struct TrainReport {
  TrainResult main;
  std::vector<TrainResult> compared;
  Hertz clock{0};  // of the accelerator
};

std::string train_text(const TrainReport& report);  // at most 100 columns wide
std::string train_json(const TrainReport& report);  // "train/1", see docs/file_formats.md
std::string train_page(const TrainReport& report);

}  // namespace widthwise
