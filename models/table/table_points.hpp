// Which points of a network make a table.
//
// A plain table has every layer at every pair of widths in a network of these widths throughout, so
// that its sums at uniform widths are those of the network. A table by stored widths has every
// layer at every pair and at all widths that other layers can make its tensors be stored at, so
// that its sums are the network's under any assignment that names layers with multiply-accumulates.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "models/cost/layer_point.hpp"
#include "models/cost/machine_model.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/network/network.hpp"
#include "models/table/cost_table.hpp"

namespace widthwise {

struct TableRequest {
  std::vector<BitWidth> weight_bits{1, 2, 3, 4, 5, 6, 7, 8};      // ascending
  std::vector<BitWidth> activation_bits{1, 2, 3, 4, 5, 6, 7, 8};  // ascending
  bool stored = false;       // by stored widths, and by home on a machine with a scratchpad
  int channel_steps = 1;     // shares 1/n, 2/n ... 1 of input and output channels
  BitWidth output_bits = 8;  // that the network's outputs are stored at
};

struct TablePoint {
  std::size_t layer = 0;  // index into the network's layers
  AxisValues at{};
  LayerPoint point;
};

/// By layer, then by axes. Layers without weights have equal widths; those without
/// multiply-accumulates compute at the width that their output is stored at. Where channels are
/// pruned, a layer without multiply-accumulates keeps the output share of its inputs too, and so do
/// the groups of a grouped convolution; products of activations are not pruned.
std::vector<TablePoint> table_points(const Network& network, const Accelerator& accelerator,
                                     const TableRequest& request);

/// The axes that a table has rows for.
std::vector<Axis> table_axes(const Accelerator& accelerator, const TableRequest& request);

struct FailedPoint {
  std::string layer;
  AxisValues at{};
  std::string reason;
};

struct MadeTable {
  CostTable table;
  std::vector<FailedPoint> failures;  // rows that the table lacks
};

/// Asks the model for all points at once. The provenance says accelerator, network, fidelity,
/// clock_hz, form (plain or stored), version, the revision of the model and a hash of its inputs.
/// Throws InputError as the model does.
MadeTable make_table(MachineCostModel& model, const TableRequest& request);

}  // namespace widthwise
