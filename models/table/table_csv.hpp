// Cost tables as CSV files: RFC 4180 with lines of provenance before the header.
//
//   # accelerator: bitfusion_16x32
//   # clock_hz: 500000000
//   # leaves_out: conv1, fc
//   layer,weight_bits,activation_bits,latency_cycles,energy_pj
//   layer1.0.conv1,4,8,115200,5.1e8
//
// Lines end in LF or CRLF; a byte order mark is passed over. Provenance is `# key: value` with each
// key once; `leaves_out` is a list of layers, quoted like fields where need be.
//
// Columns: `layer`, `weight_bits` and `activation_bits`, in any order; those of further axes
// (cost_table.hpp) where the table has them; `kind`, the name of a LayerKind or nothing, the same
// in all rows of a layer. Every other column is a metric: its cells are numbers of at least 0. The
// text columns that `widthwise run --csv` writes, those of its tiles and accumulators and those
// that do not add up over layers (computed widths, utilization) are passed over, so that such a
// file is a table too. The only layer "*" stands for whole networks at uniform widths.
//
// Widths are whole numbers of 1..64, but the mean stored width of several inputs may be a fraction,
// and layers without a second operand say 0 for its width. Shares on chip are 0..1, shares of
// channels above 0 and at most 1.
#pragma once

#include <string>
#include <string_view>

#include "models/table/cost_table.hpp"

namespace widthwise {

/// Throws InputError, all mistakes of the file at once (the first 100) with line and column, which
/// count from 1, columns in characters: columns that are missing, unknown or there twice; cells
/// that are no numbers, not finite or negative; widths outside 1..64; rows that say the same place
/// twice; rows of another length than the header. Files of more than 256 MiB are not read.
CostTable read_cost_table(const std::string& path);

/// The same from text; `file` names it in messages. Rows may stand in any order; layers are in the
/// order of their first rows.
CostTable parse_cost_table(std::string_view text, const std::string& file);

/// Axes in their order, metrics in the table's, `kind` last if any is known. Numbers stand in the
/// shortest form that reads back as the same: parse(csv) gives the same table, less layers without
/// rows; control characters in provenance become spaces.
///
/// Precondition: keys of the provenance are lower-case letters, digits and '_'; metrics have names
/// that no other column has.
std::string cost_table_csv(const CostTable& table);

}  // namespace widthwise
