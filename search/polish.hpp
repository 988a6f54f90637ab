// Good choices from nearly feasible ones: repair, then better by one or two changes at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "search/relaxation.hpp"

namespace widthwise::search {

/// Changes `options` (a choice in the relaxation's numbering) until the limits are met, each time
/// by the change that costs the least rise of the Lagrangian bound per excess it takes away, and
/// then while changes of one or two groups lower row 0 within the limits. `rise`: see
/// Relaxation::marginals; options with little rise come first. False if the limits can not be met
/// this way.
bool polish(const Relaxation& relaxation, const std::vector<double>& rise,
            std::vector<std::uint32_t>& options);

}  // namespace widthwise::search
