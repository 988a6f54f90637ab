// Which layers of a network a table has, and which it may lack.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "models/base/error.hpp"
#include "models/network/network.hpp"
#include "models/table/cost_table.hpp"

namespace widthwise {

inline constexpr std::ptrdiff_t kCostsNothing = -1;

bool is_left_out(const CostTable& table, std::string_view layer);

/// Its only layer is "*".
bool is_whole_network(const CostTable& table);

/// Per layer of the network its index in the table, or kCostsNothing. Adds to `problems`: layers of
/// the table that the network does not have (with the nearest name), names left out that it does
/// not have or that have rows, and layers without rows that may not lack them: those with
/// multiply-accumulates that are not left out, and where the table says that it is `incomplete` all
/// that are not.
std::vector<std::ptrdiff_t> match_layers(const CostTable& table, const Network& network,
                                         Diagnostics& problems);

/// Adds to `problems` what a table with a layer "*" may not have: other layers, further axes.
void check_whole_network(const CostTable& table, Diagnostics& problems);

}  // namespace widthwise
