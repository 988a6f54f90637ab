#include "sim/cycle/layer_computation.hpp"

#include <algorithm>
#include <string>

#include "models/base/error.hpp"

namespace widthwise::sim {

namespace {

/// One repeat of the layer. A machine with a sign plane has w magnitude planes beside it.
LayerOperands make_operands(const LayerPlan& plan, const Engine& engine,
                            const OperandOptions& options, bool& network_weights) {
  const LayerSetting& setting = plan.setting;
  IntegerFormat weight{setting.widths.weight, options.signed_weights};
  const IntegerFormat activation{setting.widths.activation, options.signed_activations};
  if (engine.kind == EngineKind::bit_serial && engine.sign_plane && options.signed_weights) {
    ++weight.bits;
  }
  LayerOperands operands =
      random_operands(plan.engine->shape(), weight, activation, options.seed, setting.layer->name);
  if (options.weights) {
    const std::vector<std::int32_t> values = options.weights(*setting.layer, weight);
    network_weights = !values.empty();
    if (network_weights) set_weights(operands, values);
  }
  return operands;
}

std::int64_t wrapped(std::int64_t value, int bits) {
  constexpr int kWide = 64;
  const int spare = kWide - bits;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(value) << spare) >> spare;
}

}  // namespace

LayerComputation::LayerComputation(const LayerPlan& plan, const Engine& engine,
                                   const OperandOptions& options)
    : plan_(plan),
      operands_(make_operands(plan, engine, options, network_weights_)),
      stepped_(plan, engine, operands_) {}

LayerNumerics LayerComputation::check() const {
  const std::vector<std::int64_t> exact = plain_result(operands_);
  const std::vector<std::int64_t>& result = stepped_.result();
  const AccumulatorRule& rule = stepped_.rule();
  LayerNumerics numerics;
  numerics.outputs = static_cast<std::int64_t>(result.size());
  numerics.overflows = stepped_.overflows();
  numerics.network_weights = network_weights_;
  const auto [least, greatest] = std::minmax_element(exact.begin(), exact.end());
  numerics.least = *least;
  numerics.greatest = *greatest;
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (result[i] == exact[i]) continue;
    ++numerics.wrong_outputs;
    const bool explained =
        numerics.overflows > 0 &&
        (rule.mode == AccumulatorRule::Mode::saturate || result[i] == wrapped(exact[i], rule.bits));
    ensure(explained, "layer '" + plan_.setting.layer->name + "': output " + std::to_string(i) +
                          " of the stepped array is " + std::to_string(result[i]) + ", not " +
                          std::to_string(exact[i]));
  }
  return numerics;
}

}  // namespace widthwise::sim
