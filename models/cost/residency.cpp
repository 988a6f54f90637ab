#include <algorithm>
#include <cmath>

#include "models/cost/plan.hpp"

namespace widthwise {

std::vector<Home> place_tensors(const Network& network, std::span<const double> stored_bits,
                                double scratchpad_bytes) {
  const auto& tensors = network.tensors();
  std::vector<Home> homes(tensors.size(), Home::dram);
  const auto bytes = [&](TensorId id) {
    return std::ceil(static_cast<double>(tensors[id].elements()) * stored_bits[id] / 8);
  };
  double used = 0;
  std::vector<TensorId> held;
  for (LayerId layer = 0; layer < network.layers().size(); ++layer) {
    // A tensor is needed until its last consumer has run; layers are in execution order.
    std::erase_if(held, [&](TensorId id) {
      const auto& consumers = tensors[id].consumers;
      const bool needed = std::any_of(consumers.begin(), consumers.end(),
                                      [&](LayerId consumer) { return consumer >= layer; });
      if (!needed) used -= bytes(id);
      return !needed;
    });
    const TensorId output = network.layers()[layer].output;
    const Tensor& tensor = tensors[output];
    if (tensor.is_output || tensor.consumers.empty()) continue;
    if (used + bytes(output) > scratchpad_bytes) continue;
    used += bytes(output);
    held.push_back(output);
    homes[output] = Home::scratchpad;
  }
  return homes;
}

std::vector<Home> place_tensors(const Network& network, const WidthPlan& widths,
                                const Accelerator& accelerator) {
  const auto& scratchpad = accelerator.memory.scratchpad;
  if (!scratchpad || !accelerator.memory.keep_on_chip || accelerator.ideal_memory) {
    return std::vector<Home>(network.tensors().size(), Home::dram);
  }
  const std::vector<double> stored(widths.stored.begin(), widths.stored.end());
  return place_tensors(network, stored, static_cast<double>(scratchpad->capacity.count()));
}

}  // namespace widthwise
