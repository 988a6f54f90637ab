// What the rules of losses share, and the rules themselves: one file each, loss_<rule>.cpp.
// Internal to search/; sensitivity.hpp says what they compute.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/base/error.hpp"
#include "models/network/network.hpp"
#include "models/network/onnx_weights.hpp"
#include "models/table/cost_table.hpp"
#include "search/layer_csv.hpp"
#include "search/sensitivity.hpp"

namespace widthwise::search {

inline constexpr std::string_view kLossMetric = "loss";
inline constexpr std::string_view kLayerColumn = "layer";
inline constexpr std::string_view kWeightBitsColumn = "weight_bits";

using Widths = std::vector<BitWidth>;

/// The table that a rule makes, layer after layer in the network's order.
class LossTable {
 public:
  LossTable(const Network& network, const SensitivityRequest& request);

  void say(std::string key, std::string_view value);
  void say(std::string key, double value);
  void say_quantizer(const SensitivityRequest& request);

  /// What a file says of itself, behind what was said already.
  void say_of_file(const std::string& file,
                   const std::vector<std::pair<std::string, std::string>>& provenance);

  void leave_out(std::vector<std::string> layers) { table_.leaves_out = std::move(layers); }

  /// Rows of a layer follow one another, ascending.
  void add(LayerId id, BitWidth weight, BitWidth activation, double loss);

  /// All pairs; equal ones where there are no weights. loss(weight bits, activation bits).
  template <class Loss>
  void add_pairs(LayerId id, const Widths& weights, const Widths& activations, Loss&& loss) {
    const bool has_weights = network_.layers()[id].weights > 0;
    for (const BitWidth weight : has_weights ? weights : activations) {
      for (const BitWidth activation : has_weights ? activations : Widths{weight}) {
        add(id, weight, activation, loss(weight, activation));
      }
    }
  }

  CostTable take() { return std::move(table_); }

 private:
  const Network& network_;
  CostTable table_;
};

/// Weights of the network's layers, quantized as the request says. Throws InputError if there is no
/// file of weights, or one of other layers.
class LayerWeights {
 public:
  LayerWeights(const Network& network, const OnnxWeights* weights,
               const SensitivityRequest& request);

  struct Errors {
    std::vector<double> noise;  // per width, relative
    double power = 0;           // sum of squares
  };
  [[nodiscard]] Errors of(const Layer& layer, const Widths& widths) const;

 private:
  const SensitivityRequest& request_;
  const OnnxWeights* weights_ = nullptr;
};

/// A small file about layers, matched with the network's. What is wrong so far is in `problems`.
struct FileLayers {
  LayerCsv csv;
  std::vector<std::optional<LayerId>> layer_of_row;
  Diagnostics problems;
};

/// Throws InputError if there is nothing to go on with.
FileLayers read_layers(const Network& network, const std::string& file, std::string_view header);

/// Throws with all mistakes so far if the columns are not exactly these.
void check_columns(const LayerCsv& csv, const std::vector<std::string>& known,
                   Diagnostics& problems);

/// A plain cost table with these metrics and no others. Throws InputError.
CostTable read_plain_table(const Network& network, const std::string& file,
                           const std::vector<std::string>& metrics);

/// Adds to `problems` the widths asked for that a layer has no value at.
void check_has(const std::map<BitWidth, double>& values, const Widths& widths,
               const std::string& file, const std::string& layer, std::string_view what,
               Diagnostics& problems);

/// Those that have a value and are asked for; of nothing asked for, all.
Widths widths_of(const std::map<BitWidth, double>& values, const Widths& asked);

/// A message about what may stand once.
std::string again(const SourcePlace& first);

CostTable quantization_error_losses(const Network& network, const OnnxWeights* weights,
                                    const SensitivityRequest& request);
CostTable hessian_trace_losses(const Network& network, const OnnxWeights* weights,
                               const SensitivityRequest& request);
CostTable learned_scales_losses(const Network& network, const SensitivityRequest& request);
CostTable orthogonality_losses(const Network& network, const SensitivityRequest& request);
CostTable measured_losses(const Network& network, const SensitivityRequest& request);

}  // namespace widthwise::search
