#include "models/cost/layer_key.hpp"

#include <iterator>
#include <string>

#include <fmt/format.h>

#include "models/hardware/accelerator_reader.hpp"

namespace widthwise {

namespace {

/// Keys of the accelerator file that no layer's cost depends on: the clock turns cycles into
/// seconds and is otherwise in bandwidths per cycle and leakage per cycle; fixed tiles belong to
/// their layers.
bool bears_on_no_layer(std::string_view key) {
  for (const std::string_view name :
       {"schema", "name", "description", "reproduces", "leaves_out", "energy", "clock"}) {
    if (key == name || (key.starts_with(name) && key[name.size()] == '[')) return true;
  }
  return key.starts_with("tiling.fixed");
}

bool bears_on_engine_only(std::string_view key) {
  return key.starts_with("engine.") || key.starts_with("tiling.");
}

std::string shape_text(const ComputeShape& s) {
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", s.batch, s.groups,
                     s.in_channels, s.out_channels, s.in_h, s.in_w, s.out_h, s.out_w, s.kernel_h,
                     s.kernel_w, s.stride_h, s.stride_w, s.dilation_h, s.dilation_w, s.pad_top,
                     s.pad_left, s.repeat, s.second_operand_is_activation);
}

std::string tile_text(const Tile& t) {
  return fmt::format("{} {} {} {} {} {} {}", t.batch, t.out_h, t.out_w, t.out_channels,
                     t.in_channels, t.groups, static_cast<int>(t.order));
}

}  // namespace

LayerKeys::LayerKeys(const Accelerator& accelerator, const EnergyModel& energy, Fidelity fidelity)
    : accelerator_(accelerator), energy_(energy) {
  std::string shared = fmt::format("{}\n{}\nideal_memory={}\n", model_revision(),
                                   to_string(fidelity), accelerator.ideal_memory);
  std::string engine;
  for (const auto& [key, value] : resolved_keys(accelerator)) {
    if (bears_on_no_layer(key)) continue;
    (bears_on_engine_only(key) ? engine : shared) += fmt::format("{}={}\n", key, value);
  }
  shared += energy.fingerprint();
  vector_space_ = content_key(shared);
  engine_space_ = content_key(shared + engine);
}

ContentKey LayerKeys::key(const LayerPlan& plan) const {
  const LayerSetting& setting = plan.setting;
  const Layer& layer = *setting.layer;
  std::string text = fmt::format(
      "w{} a{} in{} weight{} out{} sums{} first{} homes{}{}{} parameters {} {} fused {}\n",
      setting.widths.weight, setting.widths.activation, setting.stored_input, setting.stored_weight,
      setting.stored_output, setting.accumulator_bits, setting.reads_network_input,
      static_cast<int>(setting.input_home), static_cast<int>(setting.second_home),
      static_cast<int>(setting.output_home), layer.weights, layer.biases, layer.fused.size());
  if (!plan.engine) {
    const VectorShape& shape = *layer.vector;
    text +=
        fmt::format("{} {} {} {} {}", shape.input_elements, shape.output_elements, shape.operations,
                    setting.vector_input_bits[0], setting.vector_input_bits[1]);
    return content_key(text, vector_space_);
  }
  text += fmt::format("{} kind {} ", shape_text(*layer.compute), static_cast<int>(layer.kind));
  text += energy_.fingerprint(plan.engine->mode());
  const auto fixed = accelerator_.tiling.fixed.find(layer.name);
  if (fixed != accelerator_.tiling.fixed.end()) text += " tile " + tile_text(fixed->second);
  return content_key(text, engine_space_);
}

}  // namespace widthwise
