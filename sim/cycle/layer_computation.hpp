// A layer as it is computed: its operands, the engine that is stepped, and the comparison with
// plain integer arithmetic.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "models/cost/cost_report.hpp"
#include "models/cost/plan.hpp"
#include "sim/cycle/operands.hpp"
#include "sim/cycle/stepped_engine.hpp"

namespace widthwise::sim {

/// Where the integers of a `cycle` simulation come from.
struct OperandOptions {
  std::uint64_t seed = 1;
  bool signed_weights = true;
  bool signed_activations = true;
  /// A layer's own weights in the format, [groups][out_channels][k]; empty: random ones.
  std::function<std::vector<std::int32_t>(const Layer& layer, IntegerFormat format)> weights;
};

class LayerComputation {
 public:
  /// Plan and engine outlive this.
  LayerComputation(const LayerPlan& plan, const Engine& engine, const OperandOptions& options);

  [[nodiscard]] SteppedEngine& stepped() { return stepped_; }

  /// Once the layer has run. Throws InternalError if an output is not what plain arithmetic, in the
  /// accumulator's width, comes to.
  [[nodiscard]] LayerNumerics check() const;

 private:
  const LayerPlan& plan_;
  bool network_weights_ = false;
  LayerOperands operands_;  // after network_weights_, which it sets
  SteppedEngine stepped_;
};

}  // namespace widthwise::sim
