// Small text helpers shared by readers and reports.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace widthwise {

/// The known name nearest to `name` in edit distance, if near enough to be worth suggesting
/// (distance at most a third of the length, at least 1).
std::optional<std::string> nearest_name(std::string_view name, std::span<const std::string> known);

/// "'a', 'b', 'c'".
std::string quoted_list(std::span<const std::string> names);

/// "; did you mean 'bandwidth'?" or "" when nothing is near.
std::string suggestion(std::string_view name, std::span<const std::string> known);

/// Shell-style pattern match with `*` (any run) and `?` (one character).
bool matches_pattern(std::string_view name, std::string_view pattern);

}  // namespace widthwise
