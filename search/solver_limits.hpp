// How large the tables of the dynamic program over stored widths may get before Cbc takes over.
#pragma once

#include <cstddef>

namespace widthwise::search {

inline constexpr std::size_t kMostTableEntries = 20'000'000;
inline constexpr double kReachTimeLimit = 600;  // seconds, of a problem without budgets

}  // namespace widthwise::search
