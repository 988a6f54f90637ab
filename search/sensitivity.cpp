#include "search/sensitivity.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "models/base/error.hpp"
#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "search/loss_rules.hpp"

namespace widthwise {

namespace {

using search::Widths;

template <class Value, std::size_t Count>
using Names = std::array<std::pair<Value, std::string_view>, Count>;

constexpr Names<LossRule, 5> kRules{{{LossRule::quantization_error, "quantization_error"},
                                     {LossRule::hessian_trace, "hessian_trace"},
                                     {LossRule::learned_scales, "learned_scales"},
                                     {LossRule::orthogonality, "orthogonality"},
                                     {LossRule::measured, "measured"}}};
constexpr Names<Calibration, 3> kCalibrations{{{Calibration::max_abs, "max_abs"},
                                               {Calibration::mean_square, "mean_square"},
                                               {Calibration::percentile, "percentile"}}};
constexpr Names<Granularity, 2> kGranularities{
    {{Granularity::per_layer, "per_layer"}, {Granularity::per_channel, "per_channel"}}};
constexpr Names<Weighting, 3> kWeightings{{{Weighting::plain, "plain"},
                                           {Weighting::macs, "macs"},
                                           {Weighting::parameters, "parameters"}}};
constexpr Names<Decay, 2> kDecays{{{Decay::linear, "linear"}, {Decay::noise, "noise"}}};

template <class Value, std::size_t Count>
std::string_view name_in(const Names<Value, Count>& names, Value value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  fail_invariant("every value has a name", std::source_location::current());
}

template <class Value, std::size_t Count>
Value value_in(const Names<Value, Count>& names, std::string_view key, std::string_view name) {
  std::vector<std::string> known;
  for (const auto& [value, its_name] : names) {
    if (its_name == name) return value;
    known.emplace_back(its_name);
  }
  throw InputError({}, std::string(key),
                   "expected one of " + quoted_list(known) + ", got " + quoted_value(name) +
                       suggestion(name, known));
}

void check_order(const Widths& widths, std::string_view key, Diagnostics& problems) {
  for (std::size_t i = 0; i < widths.size(); ++i) {
    if (widths[i] < kMinOperandWidth || widths[i] > kMaxOperandWidth ||
        (i > 0 && widths[i - 1] >= widths[i])) {
      problems.error(
          {}, std::string(key),
          "expected widths of 1..16 in ascending order, got " + std::to_string(widths[i]));
      return;
    }
  }
}

/// What the request lacks or contradicts, before any file is read.
void check_request(const SensitivityRequest& request) {
  Diagnostics problems;
  const std::string rule(to_string(request.rule));
  const bool reads_file = request.rule != LossRule::quantization_error;
  if (reads_file == request.file.empty()) {
    problems.error({}, "file",
                   reads_file ? "expected a CSV file for the rule '" + rule + "', got none"
                              : "expected no file for the rule '" + rule + "', got " +
                                    quoted_value(request.file));
  }
  check_order(request.weight_bits, search::kWeightBitsColumn, problems);
  check_order(request.activation_bits, "activation_bits", problems);
  if (request.rule == LossRule::quantization_error || request.rule == LossRule::orthogonality) {
    const auto need = [&](const Widths& widths, std::string_view key) {
      if (!widths.empty()) return;
      problems.error({}, std::string(key),
                     "expected the widths that the rule '" + rule + "' is to be computed at");
    };
    need(request.weight_bits, search::kWeightBitsColumn);
    need(request.activation_bits, "activation_bits");
  }
  if (!(request.alpha >= 0) || !std::isfinite(request.alpha)) {
    problems.error({}, "alpha", "expected a number of at least 0");
  }
  if (!(request.beta >= 0) || !std::isfinite(request.beta)) {
    problems.error({}, "beta", "expected a number of at least 0");
  }
  problems.throw_if_any();
}

/// Names of functions of one operand that give nothing below 0, as networks spell them.
bool ends_above_zero(std::string_view function) {
  constexpr std::array<std::string_view, 13> kNames = {
      "relu",        "relu6",    "sigmoid", "hard_sigmoid", "softplus", "Relu", "Sigmoid",
      "HardSigmoid", "Softplus", "Clip",    "Exp",          "Abs",      "Sqrt"};
  return std::find(kNames.begin(), kNames.end(), function) != kNames.end();
}

/// Nothing below 0 comes out where nothing below 0 goes in.
bool keeps_sign(const Layer& layer) {
  switch (layer.kind) {
    case LayerKind::pool:
    case LayerKind::concat:
    case LayerKind::reduce:
    case LayerKind::move:
      return true;
    case LayerKind::add:
      return layer.op == "add" || layer.op == "Add" || layer.op == "Sum" || layer.op == "Max";
    case LayerKind::mul:
      return layer.op == "mul" || layer.op == "Mul";
    default:
      return false;
  }
}

}  // namespace

std::string_view to_string(LossRule rule) { return name_in(kRules, rule); }
std::string_view to_string(Calibration calibration) { return name_in(kCalibrations, calibration); }
std::string_view to_string(Granularity granularity) { return name_in(kGranularities, granularity); }
std::string_view to_string(Weighting weighting) { return name_in(kWeightings, weighting); }
std::string_view to_string(Decay decay) { return name_in(kDecays, decay); }

LossRule parse_loss_rule(std::string_view name) { return value_in(kRules, "rule", name); }
Calibration parse_calibration(std::string_view name) {
  return value_in(kCalibrations, "calibration", name);
}
Granularity parse_granularity(std::string_view name) {
  return value_in(kGranularities, "granularity", name);
}
Weighting parse_weighting(std::string_view name) {
  return value_in(kWeightings, "weighting", name);
}
Decay parse_decay(std::string_view name) { return value_in(kDecays, "decay", name); }

CostTable losses(const Network& network, const OnnxWeights* weights,
                 const SensitivityRequest& request) {
  check_request(request);
  switch (request.rule) {
    case LossRule::quantization_error:
      return search::quantization_error_losses(network, weights, request);
    case LossRule::hessian_trace:
      return search::hessian_trace_losses(network, weights, request);
    case LossRule::learned_scales:
      return search::learned_scales_losses(network, request);
    case LossRule::orthogonality:
      return search::orthogonality_losses(network, request);
    case LossRule::measured:
      return search::measured_losses(network, request);
  }
  fail_invariant("unknown rule of losses", std::source_location::current());
}

std::vector<ActivationShape> activation_shapes(const Network& network) {
  std::vector<ActivationShape> shapes(network.tensors().size(), ActivationShape::normal);
  for (const Layer& layer : network.layers()) {
    const bool reads_none_below_zero =
        !layer.inputs.empty() &&
        std::all_of(layer.inputs.begin(), layer.inputs.end(),
                    [&](TensorId input) { return shapes[input] == ActivationShape::half_normal; });
    const bool is_above_zero =
        layer.fused.empty()
            ? layer.kind == LayerKind::softmax || (keeps_sign(layer) && reads_none_below_zero)
            : ends_above_zero(layer.fused.back());
    if (is_above_zero) shapes[layer.output] = ActivationShape::half_normal;
  }
  return shapes;
}

}  // namespace widthwise
