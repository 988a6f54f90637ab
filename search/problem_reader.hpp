// Reads `problem/1` files.
//
//   schema: problem/1
//   name: resnet18                          # optional
//   minimize: loss                          # or a cost, or {loss: 1, latency_ms: 0.01}
//   costs: [size_mib, latency_ms]           # optional: none
//   groups:
//     - name: layer1.0.conv1
//       options:                            # activation_bits may be left out: as weight_bits
//         - {weight_bits: 4, activation_bits: 4, loss: 0.46, size_mib: 0.0176, latency_ms: 0.21}
//         - {weight_bits: 8, activation_bits: 8, loss: 0.0016, size_mib: 0.0352, latency_ms: 0.36}
//   ties: [[layer2.0.conv1, layer2.0.downsample]]             # optional: same widths
//   pins: {fc: {weight_bits: 8, activation_bits: 8}}          # optional; or {fc: w8a8}
//   budgets:                                # optional; of costs, and of the loss
//     latency_ms: {max: 4.2}
//     size_mib: {fraction: 0.5}             # least + 0.5 (greatest - least) reachable total
//     loss: {relative_to: w4a4, share: 0.9} # 0.9 times the total with all groups at w4a4, but
//                                           # pinned groups at their pins
//
// Numbers are in the units that the names of the costs say.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "models/config/yaml_reader.hpp"
#include "search/problem.hpp"

namespace widthwise {

/// Throws InputError with all mistakes of the file. Limits are resolved.
Problem read_problem(const std::string& path);

/// The same from text; `file` names it in messages.
Problem parse_problem(std::string_view text, const std::string& file);

/// "w4a8"; nothing after adding a diagnostic.
std::optional<LayerWidths> read_short_widths(const YamlNode& node, const std::string& path,
                                             Diagnostics& problems);

/// One of {max: 4.2}, {fraction: 0.5} and {relative_to: w8a8, share: 0.5}, the whole mapping. False
/// after adding diagnostics.
bool read_budget_form(MapReader& reader, BudgetForm& form, Diagnostics& problems);

}  // namespace widthwise
