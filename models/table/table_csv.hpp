// Cost tables as CSV files: RFC 4180 with lines of provenance before the header.
//
//   # accelerator: bitfusion_16x32
//   # clock_hz: 500000000
//   # leaves_out: conv1, fc
//   layer,weight_bits,activation_bits,latency_cycles,energy_pj
//   layer1.0.conv1,4,8,115200,5.1e8
//
// Columns: `layer`, `weight_bits` and `activation_bits`, in any order; those of further axes
// (cost_table.hpp) where the table has them; `kind`. Every other column is a metric: its cells are
// numbers of at least 0. The text columns that `widthwise run --csv` writes, and those of its tiles
// and accumulators, are passed over, so that such a file is a table too. The only layer "*" stands
// for whole networks at uniform widths.
#pragma once

#include <string>
#include <string_view>

#include "models/table/cost_table.hpp"

namespace widthwise {

/// Throws InputError, all mistakes of the file at once with line and column: columns that are
/// missing, unknown or there twice; cells that are no numbers, not finite or negative; widths outside
/// 1..64; rows that say the same place twice; rows of another length than the header.
CostTable read_cost_table(const std::string& path);

/// The same from text; `file` names it in messages.
CostTable parse_cost_table(std::string_view text, const std::string& file);

/// Numbers in the shortest form that reads back as the same: parse(csv) gives the same table.
std::string cost_table_csv(const CostTable& table);

}  // namespace widthwise
