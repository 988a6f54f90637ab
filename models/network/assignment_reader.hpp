// Reads `assignment/1` files: widths by layer name or pattern, in order of the file (later rules
// win).
//
//   schema: assignment/1
//   name: mixed
//   default: {weight_bits: 4, activation_bits: 4}        # or w4a4; accumulator_bits is optional
//   output_bits: 8                                       # optional: of the network's outputs
//   layers:                                              # optional
//     layer1.0.conv1: {weight_bits: 2, activation_bits: 4}
//     "layer4.*": w8a8
//     "@first": {activation_bits: 8}
//     "@last": {weight_bits: 8}
//     fc: {accumulator_bits: 20}
//
// Whether a rule matches a layer is checked by resolve_widths(), which knows the network; whether
// the engine has such accumulators, by plan_network().
#pragma once

#include <string>
#include <string_view>

#include "models/network/widths.hpp"

namespace widthwise {

/// Throws InputError.
Assignment read_assignment(const std::string& path);

/// The same from text; `file` names it in messages.
Assignment parse_assignment(std::string_view text, const std::string& file);

}  // namespace widthwise
