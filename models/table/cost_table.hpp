// A table of costs: every layer of a network at every width that was asked for. Made by a cost
// model, or measured elsewhere (a phone, a GPU, an FPGA) and read from a CSV file (table_csv.hpp).
//
// Two forms. A plain table has a row per layer and pair of widths, as if the whole network had
// them. A table by stored widths also says how a layer's cost depends on the widths that its input
// and output tensors are stored at, which other layers decide; with it, the sum over the layers is
// the cost of the whole network under any assignment.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/base/error.hpp"

namespace widthwise {

/// What a row is at: columns of the CSV file besides the layer's name. In this order.
enum class Axis {
  weight_bits,
  activation_bits,
  stored_input_bits,   // several inputs (add, concat): the mean over their elements
  stored_second_bits,  // second operand of a product of activations
  stored_output_bits,
  input_on_chip,   // 0: in DRAM, 1: in the scratchpad; several inputs: the share of their bits
  second_on_chip,  // the same of the second operand
  output_on_chip,  // the same of the output
  input_share,     // of the input channels that are left when some are pruned, 1: all
  output_share,    // the same of the output channels
};
inline constexpr std::size_t kAxes = 10;

std::string_view to_string(Axis axis);  // the column's name

/// A value per axis; what an axis that a table does not have says is not looked at.
using AxisValues = std::array<double, kAxes>;

constexpr std::size_t index_of(Axis axis) { return static_cast<std::size_t>(axis); }

struct TableRow {
  std::size_t layer = 0;  // index into CostTable::layers
  AxisValues at{};
  std::vector<double> values;  // one per metric
  SourcePlace place;           // in a file that was read
};

/// Plain data: rows that were not computed (a worker crashed) are absent.
struct CostTable {
  /// Where the figures come from, as text: accelerator, network, fidelity, clock_hz, version,
  /// hashes.
  std::vector<std::pair<std::string, std::string>> provenance;
  std::string source;                   // file that it was read from, for messages; may be empty
  std::vector<std::string> layers;      // each once, in the network's order
  std::vector<std::string> kinds;       // of each layer, "convolution"; empty text: not said
  std::vector<std::string> leaves_out;  // layers with weights that were not measured: cost nothing
  std::vector<Axis> axes;               // of which the rows say something, ascending
  std::vector<std::string> metrics;     // names with units
  std::vector<TableRow> rows;           // by layer, then by axes

  [[nodiscard]] bool has(Axis axis) const;
  /// The value of a key of the provenance.
  [[nodiscard]] std::optional<std::string> said(std::string_view key) const;
};

/// The name of the only layer of a table that was measured on whole networks at uniform widths.
inline constexpr std::string_view kWholeNetwork = "*";

}  // namespace widthwise
