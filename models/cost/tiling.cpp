// Choice of width mode and tile for every layer of a network.
#include <algorithm>
#include <string>

#include "models/base/text.hpp"
#include "models/cost/plan.hpp"
#include "models/hardware/accumulator.hpp"

namespace widthwise {

namespace {

std::string width_text(LayerWidths widths) {
  return "w" + std::to_string(widths.weight) + "a" + std::to_string(widths.activation);
}

std::string kib(Bytes bytes) { return std::to_string(bytes.count()) + " B"; }

/// Constant weights are signed; activations, second operands too, may be either.
BitWidth safe_for_all_values(const LayerSetting& setting) {
  const ComputeShape& shape = *setting.layer->compute;
  BitWidth bits = 1;
  for (const bool signed_weights : {true, !shape.second_operand_is_activation}) {
    for (const bool signed_activations : {true, false}) {
      bits = std::max(bits, worst_case_accumulator_bits(shape.k(), setting.widths.weight,
                                                        setting.widths.activation, signed_weights,
                                                        signed_activations));
    }
  }
  return bits;
}

void check_fixed_names(const Network& network, const Accelerator& accelerator,
                       Diagnostics& diagnostics) {
  std::vector<std::string> names;
  for (const Layer& layer : network.layers()) {
    if (layer.compute) names.push_back(layer.name);
  }
  for (const auto& [name, tile] : accelerator.tiling.fixed) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    diagnostics.error({accelerator.source}, "tiling.fixed",
                      "no layer '" + name + "' with multiply-accumulates in network '" +
                          network.name() + "'" + suggestion(name, names));
  }
}

Tile clamped(const Tile& tile, const ComputeShape& shape) {
  Tile clamped = tile;
  clamped.batch = std::min(tile.batch, shape.batch);
  clamped.out_h = std::min(tile.out_h, shape.out_h);
  clamped.out_w = std::min(tile.out_w, shape.out_w);
  clamped.out_channels = std::min(tile.out_channels, shape.out_channels);
  clamped.in_channels = std::min(tile.in_channels, shape.in_channels);
  clamped.groups = std::min(tile.groups, shape.groups);
  return clamped;
}

}  // namespace

NetworkPlan plan_network(const Network& network, const WidthPlan& widths,
                         const Accelerator& accelerator, const EnergyTable& table) {
  ensure(widths.layers.size() == network.layers().size() &&
             widths.stored.size() == network.tensors().size(),
         "the width plan belongs to the network");
  NetworkPlan plan{network,
                   &accelerator,
                   EnergyModel(accelerator, table),
                   estimate_area(accelerator, table),
                   {}};
  const std::vector<Home> homes = place_tensors(network, widths, accelerator);
  Diagnostics diagnostics;
  check_fixed_names(network, accelerator, diagnostics);
  plan.layers.reserve(network.layers().size());
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    const Layer& layer = network.layers()[id];
    LayerPlan entry;
    LayerSetting& setting = entry.setting;
    setting.layer = &layer;
    setting.widths = widths.layers[id];
    setting.output_home = homes[layer.output];
    setting.stored_output = widths.stored[layer.output];
    if (!layer.inputs.empty()) {
      const TensorId input = layer.inputs.front();
      setting.stored_input = widths.stored[input];
      setting.input_home = homes[input];
      setting.reads_network_input = !network.tensors()[input].producer.has_value();
    }
    setting.stored_weight = stored_weight_bits(accelerator.engine, setting.widths.weight);
    const BitWidth most = accelerator.engine.accumulator_bits;
    setting.accumulator_bits = widths.accumulator(id).value_or(most);
    if (setting.accumulator_bits > most) {
      diagnostics.error({accelerator.source}, "layer '" + layer.name + "'",
                        "expected accumulator_bits of at most engine.accumulator_bits (" +
                            std::to_string(most) + "), got " +
                            std::to_string(setting.accumulator_bits));
      setting.accumulator_bits = most;
    }
    if (!layer.compute) {
      std::int64_t elements = 0;
      for (const TensorId input : layer.inputs) elements += network.tensors()[input].elements();
      for (const TensorId input : layer.inputs) {
        // A layer that reads only a part of its inputs reads the same share of each.
        const auto share = elements > 0 ? static_cast<double>(layer.vector->input_elements) /
                                              static_cast<double>(elements)
                                        : 0.0;
        const auto bits = static_cast<std::int64_t>(
            share * static_cast<double>(network.tensors()[input].elements()) *
            widths.stored[input]);
        setting.vector_input_bits[homes[input] == Home::dram ? 0 : 1] += bits;
      }
      entry.vector.emplace(setting, accelerator);
      plan.layers.push_back(entry);
      continue;
    }
    if (layer.compute->second_operand_is_activation) {
      const TensorId second = layer.inputs.at(1);
      setting.stored_weight = widths.stored[second];
      setting.second_home = homes[second];
    }
    const auto mode = width_mode(accelerator.engine, setting.widths);
    if (!mode) {
      diagnostics.error({accelerator.source}, "layer '" + layer.name + "'",
                        "expected " + supported_widths(accelerator.engine) + ", got " +
                            width_text(setting.widths));
      plan.layers.push_back(entry);
      continue;
    }
    // Counts of bits and cycles are kept in 64 bits.
    constexpr double kMostBitOperations = 4e18;
    if (static_cast<double>(layer.compute->macs()) * kMaxOperandWidth * kMaxOperandWidth >
        kMostBitOperations) {
      diagnostics.error({accelerator.source}, "layer '" + layer.name + "'",
                        "expected at most 1.5e16 multiply-accumulates, got " +
                            std::to_string(layer.compute->macs()));
      plan.layers.push_back(entry);
      continue;
    }
    plan.energy.check_operation(*mode, layer.name, diagnostics);
    entry.engine.emplace(setting, *mode, accelerator);
    const auto fixed = accelerator.tiling.fixed.find(layer.name);
    if (fixed != accelerator.tiling.fixed.end() && !accelerator.ideal_memory) {
      entry.tile = clamped(fixed->second, *layer.compute);
      if (entry.engine->pack() > 1) {
        // Packs are kept whole, and so are the channels of their groups.
        entry.tile.groups =
            std::min(round_up(entry.tile.groups, entry.engine->pack()), layer.compute->groups);
      }
      if (entry.tile.groups > 1) {
        entry.tile.out_channels = layer.compute->out_channels;
        entry.tile.in_channels = layer.compute->in_channels;
      }
      if (!entry.engine->fits(entry.tile)) {
        diagnostics.error({accelerator.source}, "tiling.fixed." + layer.name,
                          "expected a tile that fits the buffers, got one that does not");
      } else {
        entry.form = entry.engine->closed_form(entry.tile);
      }
    } else if (diagnostics.empty()) {
      const auto tile = entry.engine->search(plan.energy, &entry.form);
      if (tile) {
        entry.tile = *tile;
      } else {
        const Memory& memory = accelerator.memory;
        diagnostics.error({accelerator.source}, "layer '" + layer.name + "'",
                          "no tile fits the buffers, expected larger ones than input " +
                              kib(memory.input_buffer.capacity) + ", weight " +
                              kib(memory.weight_buffer.capacity) + ", output " +
                              kib(memory.output_buffer.capacity));
      }
    }
    plan.layers.push_back(entry);
  }
  diagnostics.throw_if_any();
  return plan;
}

LayerCost describe_layer(const LayerPlan& plan) {
  const LayerSetting& setting = plan.setting;
  const Layer& layer = *setting.layer;
  LayerCost cost;
  cost.name = layer.name;
  cost.kind = layer.kind;
  cost.macs = layer.macs();
  cost.widths = cost.computed = setting.widths;
  cost.stored_input = setting.stored_input;
  cost.stored_output = setting.stored_output;
  cost.fused = layer.fused;
  cost.tiles = 1;
  if (plan.engine) {
    cost.computed = plan.engine->mode().computed;
    cost.tile = plan.tile;
    cost.accumulator_bits = setting.accumulator_bits;
    cost.safe_accumulator_bits = safe_for_all_values(setting);
    cost.tiles = plan.engine->step_count(plan.tile) * plan.engine->shape().repeat;
  } else {
    cost.tiles = plan.vector->chunks;
  }
  cost.bitops =
      static_cast<double>(layer.macs()) * setting.widths.weight * setting.widths.activation;
  cost.parameter_bits = layer.weights * setting.widths.weight + layer.biases * 32;
  return cost;
}

CostReport describe_run(const NetworkPlan& plan, Fidelity fidelity) {
  const Accelerator& accelerator = *plan.accelerator;
  CostReport report;
  report.accelerator = accelerator.name;
  report.network = plan.network.name();
  report.fidelity = fidelity;
  report.clock = accelerator.clock;
  report.area = plan.area;
  report.resolved_accelerator = accelerator.resolved;
  report.ignored = plan.network.ignored();
  report.leaves_out = accelerator.leaves_out;
  for (const Tensor& tensor : plan.network.tensors()) {
    if (!tensor.producer && !tensor.shape.empty()) {
      report.batch = tensor.shape.front();
      break;
    }
  }
  return report;
}

}  // namespace widthwise
