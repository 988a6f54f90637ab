// What quantizing a layer costs in accuracy: a loss per layer and pair of widths, which a bit-width
// search minimizes. Every rule makes the same thing, a plain cost table with the one metric "loss"
// over weight and activation widths for every layer with multiply-accumulates, which can be saved,
// edited, measured elsewhere and read again (table_csv.hpp). Layers without constant weights have
// equal widths in both columns. The provenance says the rule and its settings.
//
//   quantization_error  share(l) (noise of the weights at w + noise of the activations at a)
//                       noise: quantization_error.hpp; products of activations: the noise of both
//                       operands; share: 1, or of MACs, or of parameters
//   hessian_trace       trace(l) ||q_w(W) - W||^2            HAWQ-V3, arXiv 2011.10680
//   learned_scales      s_a(l, a) + alpha s_w(l, w)          LIMPQ, arXiv 2203.08368
//   orthogonality       importance(l) ((w_max - w) + (a_max - a))          OMPQ, arXiv 2109.07865
//                       importance(l) = mean over j >= l of exp(-beta gamma(j)),
//                       gamma(i) = sum over j /= i of ORM(i, j)
//                       or, with Decay::noise, importance(l) (4^-w + 4^-a)
//   measured            the figures of a file
//
// All ignore that errors of layers meet: losses add up. Only `measured` and, for the scales,
// `learned_scales` have seen data at the widths in question; docs/sensitivities.md says what each
// assumes and which way it errs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/network/network.hpp"
#include "models/network/onnx_weights.hpp"
#include "models/table/cost_table.hpp"
#include "search/quantization_error.hpp"

namespace widthwise {

enum class LossRule { quantization_error, hessian_trace, learned_scales, orthogonality, measured };

/// One step per layer, or one per output channel.
enum class Granularity { per_layer, per_channel };

/// What a layer's relative error counts: the same for all, or by its share of the network's
/// multiply-accumulates or parameters (a product of activations: the elements of its second
/// operand).
enum class Weighting { plain, macs, parameters };

/// How the loss of an importance falls with the width: by as much with every bit (as OMPQ maximizes
/// importance times width), or to a quarter (as the power of uniform noise does).
enum class Decay { linear, noise };

std::string_view to_string(LossRule rule);
std::string_view to_string(Calibration calibration);
std::string_view to_string(Granularity granularity);
std::string_view to_string(Weighting weighting);
std::string_view to_string(Decay decay);

/// The value of a name such as "mean_square"; throws InputError, which lists the names and the
/// nearest.
LossRule parse_loss_rule(std::string_view name);
Calibration parse_calibration(std::string_view name);
Granularity parse_granularity(std::string_view name);
Weighting parse_weighting(std::string_view name);
Decay parse_decay(std::string_view name);

struct SensitivityRequest {
  LossRule rule = LossRule::quantization_error;

  // Of the rules that quantize weights.
  Calibration calibration = Calibration::mean_square;
  Granularity granularity = Granularity::per_layer;

  Weighting weighting = Weighting::plain;  // of quantization_error
  double alpha = 2;                        // of learned_scales: what the scale of weights counts
  double beta = 1;                         // of orthogonality: the paper takes 10 for ResNet18
  Decay decay = Decay::linear;             // of orthogonality

  /// Of all rules but quantization_error. Columns:
  ///   hessian_trace   layer,trace                              weights from an ONNX file
  ///                   layer,weight_bits,trace,delta_squared    the same trace in a layer's rows
  ///   learned_scales  layer,weight_bits,activation_bits,weight_scale,activation_scale   a cost
  ///                   table; the loss is of all pairs of a layer's widths
  ///   orthogonality   layer,orm_sum      sums without the 1 of the diagonal, in order of the
  ///   layers
  ///                   layer,conv1,...    rows of the matrix, symmetric with 1 on its diagonal
  ///   measured        a cost table with the only metric `loss`
  /// Lines `# key: value` before the header; `# leaves_out: conv1, fc` names layers with
  /// multiply-accumulates that have no losses: a search has to pin them.
  std::string file;

  /// Ascending. Required where the file does not say them (quantization_error, orthogonality,
  /// hessian_trace with an ONNX file); else those of the file that are meant, empty: all. Of
  /// activations with hessian_trace, empty: as wide as the weights, as HAWQ-V3 has them. Not looked
  /// at for `measured`.
  std::vector<BitWidth> weight_bits;
  std::vector<BitWidth> activation_bits;
};

/// `weights`: required for quantization_error, and for hessian_trace with a file that says traces
/// only; its layers have the network's names and weights. Rows are in the network's order, then by
/// width. Throws InputError, all mistakes of a file at once.
CostTable losses(const Network& network, const OnnxWeights* weights,
                 const SensitivityRequest& request);

/// What stands in every tensor of the network: half-normal if nothing in it is negative, as after
/// ReLU, ReLU6 (every Clip counts as one), sigmoid, softplus and softmax and where such values are
/// pooled, reduced, added, multiplied, joined or moved; else normal. Inputs are normal.
std::vector<ActivationShape> activation_shapes(const Network& network);

}  // namespace widthwise
