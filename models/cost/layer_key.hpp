// What a layer's cost depends on, as a key: layers with equal keys cost the same, whatever they are
// called and in whatever network they stand.
//
// In it: the loop nest, widths and homes of a layer, all of the machine's keys that bear on it, and
// the figures of the energy table that it is charged with. Not in it: names and descriptions; tiles
// that are fixed for other layers; rows of the energy table that the layer does not use; for a
// layer without multiply-accumulates the engine, but for its leakage.
#pragma once

#include <string_view>

#include "models/base/content_key.hpp"
#include "models/cost/cost_report.hpp"
#include "models/cost/plan.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/hardware/energy.hpp"

namespace widthwise {

/// The sources that costs are computed by, as compiled: figures of one revision are not those of
/// another.
std::string_view model_revision();

/// "0.1.0".
std::string_view library_version();

class LayerKeys {
 public:
  LayerKeys(const Accelerator& accelerator, const EnergyModel& energy, Fidelity fidelity);

  /// Of a layer that was set (set_layer), tiled or not.
  [[nodiscard]] ContentKey key(const LayerPlan& plan) const;

  /// Of the machine and the fidelity, for layers with multiply-accumulates.
  [[nodiscard]] const ContentKey& machine() const { return engine_space_; }

 private:
  const Accelerator& accelerator_;
  const EnergyModel& energy_;
  ContentKey engine_space_, vector_space_;
};

}  // namespace widthwise
