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

LayerPlan set_layer(const Network& network, const LayerPoint& point, const Accelerator& accelerator,
                    Diagnostics& problems) {
  const Layer* layer = &network.layers()[point.layer];
  LayerPlan plan;
  if (point.input_share != 1 || point.output_share != 1) {
    plan.pruned =
        std::make_shared<const Layer>(pruned_layer(*layer, point.input_share, point.output_share));
    layer = plan.pruned.get();
  }
  LayerSetting& setting = plan.setting;
  setting.layer = layer;
  setting.widths = point.widths;
  setting.output_home = point.output_home;
  setting.stored_output = point.stored_output;
  if (!layer->inputs.empty()) {
    setting.stored_input = point.stored_inputs.front();
    setting.input_home = point.input_homes.front();
    setting.reads_network_input = !network.tensors()[layer->inputs.front()].producer.has_value();
  }
  setting.stored_weight = stored_weight_bits(accelerator.engine, setting.widths.weight);
  const BitWidth most = accelerator.engine.accumulator_bits;
  setting.accumulator_bits = point.accumulator.value_or(most);
  if (setting.accumulator_bits > most) {
    problems.error({accelerator.source}, "layer '" + layer->name + "'",
                   "expected accumulator_bits of at most engine.accumulator_bits (" +
                       std::to_string(most) + "), got " + std::to_string(setting.accumulator_bits));
    setting.accumulator_bits = most;
  }
  if (!layer->compute) {
    std::int64_t elements = 0;
    for (const TensorId input : layer->inputs) elements += network.tensors()[input].elements();
    // A layer that reads only a part of its inputs reads the same share of each.
    const double share = elements > 0 ? static_cast<double>(layer->vector->input_elements) /
                                            static_cast<double>(elements)
                                      : 0.0;
    for (std::size_t i = 0; i < layer->inputs.size(); ++i) {
      const auto bits = static_cast<std::int64_t>(
          share * static_cast<double>(network.tensors()[layer->inputs[i]].elements()) *
          point.stored_inputs[i]);
      setting.vector_input_bits[point.input_homes[i] == Home::dram ? 0 : 1] += bits;
    }
    plan.vector.emplace(setting, accelerator);
    return plan;
  }
  if (layer->compute->second_operand_is_activation) {
    setting.stored_weight = point.stored_inputs.at(1);
    setting.second_home = point.input_homes.at(1);
  }
  const auto mode = width_mode(accelerator.engine, setting.widths);
  if (!mode) {
    problems.error(
        {accelerator.source}, "layer '" + layer->name + "'",
        "expected " + supported_widths(accelerator.engine) + ", got " + width_text(setting.widths));
    return plan;
  }
  // Counts of bits and cycles are kept in 64 bits.
  constexpr double kMostBitOperations = 4e18;
  if (static_cast<double>(layer->compute->macs()) * kMaxOperandWidth * kMaxOperandWidth >
      kMostBitOperations) {
    problems.error({accelerator.source}, "layer '" + layer->name + "'",
                   "expected at most 1.5e16 multiply-accumulates, got " +
                       std::to_string(layer->compute->macs()));
    return plan;
  }
  plan.engine.emplace(setting, *mode, accelerator);
  return plan;
}

void tile_layer(LayerPlan& plan, const Accelerator& accelerator, const EnergyModel& energy,
                Diagnostics& problems) {
  if (!plan.engine) return;
  const Layer& layer = *plan.setting.layer;
  const std::size_t mistakes = problems.items().size();
  energy.check_operation(plan.engine->mode(), layer.name, problems);
  const auto fixed = accelerator.tiling.fixed.find(layer.name);
  if (fixed != accelerator.tiling.fixed.end() && !accelerator.ideal_memory) {
    plan.tile = clamped(fixed->second, *layer.compute);
    if (plan.engine->pack() > 1) {
      // Packs are kept whole, and so are the channels of their groups.
      plan.tile.groups =
          std::min(round_up(plan.tile.groups, plan.engine->pack()), layer.compute->groups);
    }
    if (plan.tile.groups > 1) {
      plan.tile.out_channels = layer.compute->out_channels;
      plan.tile.in_channels = layer.compute->in_channels;
    }
    if (!plan.engine->fits(plan.tile)) {
      problems.error({accelerator.source}, "tiling.fixed." + layer.name,
                     "expected a tile that fits the buffers, got one that does not");
    } else {
      plan.form = plan.engine->closed_form(plan.tile);
    }
    return;
  }
  if (problems.items().size() > mistakes) return;
  const auto tile = plan.engine->search(energy, &plan.form);
  if (tile) {
    plan.tile = *tile;
    return;
  }
  const Memory& memory = accelerator.memory;
  problems.error({accelerator.source}, "layer '" + layer.name + "'",
                 "no tile fits the buffers, expected larger ones than input " +
                     kib(memory.input_buffer.capacity) + ", weight " +
                     kib(memory.weight_buffer.capacity) + ", output " +
                     kib(memory.output_buffer.capacity));
}

NetworkPlan plan_network(const Network& network, const WidthPlan& widths,
                         const Accelerator& accelerator, const EnergyTable& table) {
  NetworkPlan plan{network,
                   &accelerator,
                   EnergyModel(accelerator, table),
                   estimate_area(accelerator, table),
                   {}};
  Diagnostics diagnostics;
  check_fixed_names(network, accelerator, diagnostics);
  plan.layers.reserve(network.layers().size());
  // No search once a mistake is known: nothing comes of it.
  for (const LayerPoint& point : layer_points(network, widths, accelerator)) {
    plan.layers.push_back(set_layer(network, point, accelerator, diagnostics));
    const bool is_fixed = accelerator.tiling.fixed.contains(plan.layers.back().setting.layer->name);
    if (diagnostics.empty() || is_fixed) {
      tile_layer(plan.layers.back(), accelerator, plan.energy, diagnostics);
    } else if (plan.layers.back().engine) {
      plan.energy.check_operation(plan.layers.back().engine->mode(),
                                  plan.layers.back().setting.layer->name, diagnostics);
    }
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
