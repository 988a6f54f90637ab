// Who decides at how many bits a tensor is stored.
//
// Under an assignment that names no width of a layer without multiply-accumulates (widths.hpp), the
// width that a tensor is stored at is the greatest of a constant and of the activation widths of
// some layers with multiply-accumulates: those that read it, and those that read what layers
// without multiply-accumulates make of it. That is a maximum of variables, which a search over
// widths can work with: no rule has to be applied again for each assignment.
#pragma once

#include <vector>

#include "models/base/quantity.hpp"
#include "models/network/network.hpp"

namespace widthwise {

/// stored = max(floor, activation widths of `readers`).
struct StorageRule {
  BitWidth floor = 0;            // 0: none; else the width of the network's outputs
  std::vector<LayerId> readers;  // layers with multiply-accumulates, ascending
  bool operator==(const StorageRule&) const = default;
};

/// One rule per tensor, indices as in the network. At least one of floor and readers is there: a
/// tensor that nothing reads is stored at `output_bits`, as an output of the network is.
std::vector<StorageRule> storage_rules(const Network& network, BitWidth output_bits = 8);

}  // namespace widthwise
