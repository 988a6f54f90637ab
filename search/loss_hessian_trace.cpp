#include <map>

#include "models/base/units.hpp"
#include "search/loss_rules.hpp"

namespace widthwise::search {

namespace {

constexpr std::string_view kTraceColumn = "trace";
constexpr std::string_view kDeltaColumn = "delta_squared";

struct TracedLayer {
  double trace = 0;
  SourcePlace place;
  std::map<BitWidth, double> delta;  // squared, by width
};

std::map<LayerId, TracedLayer> read_traces(FileLayers& read) {
  const LayerCsv& csv = read.csv;
  const bool has_delta =
      csv.column(kDeltaColumn).has_value() || csv.column(kWeightBitsColumn).has_value();
  std::vector<std::string> known{std::string(kLayerColumn), std::string(kTraceColumn)};
  if (has_delta) {
    known = {known[0], std::string(kWeightBitsColumn), known[1], std::string(kDeltaColumn)};
  }
  check_columns(csv, known, read.problems);
  std::map<LayerId, TracedLayer> layers;
  for (std::size_t i = 0; i < csv.rows.size(); ++i) {
    const auto& row = csv.rows[i];
    const CsvField& traced = row[*csv.column(kTraceColumn)];
    const auto trace = number_in(traced, kTraceColumn, read.problems);
    bool is_sound = trace.has_value() && read.layer_of_row[i].has_value();
    BitWidth bits = 0;
    double delta = 0;
    if (has_delta) {
      const CsvField& field = row[*csv.column(kWeightBitsColumn)];
      const auto width = parse_integer(field.text);
      if (width && *width >= kMinOperandWidth && *width <= kMaxOperandWidth) {
        bits = static_cast<BitWidth>(*width);
      } else {
        read.problems.error(field.place, std::string(kWeightBitsColumn),
                            "expected a whole number of 1..16, got " + quoted_value(field.text));
      }
      const auto squared = number_in(row[*csv.column(kDeltaColumn)], kDeltaColumn, read.problems);
      delta = squared.value_or(0);
      is_sound &= bits > 0 && squared.has_value();
    }
    if (!is_sound) continue;
    const auto [known_layer, is_new] = layers.try_emplace(*read.layer_of_row[i]);
    TracedLayer& layer = known_layer->second;
    if (is_new) {
      layer.trace = *trace;
      layer.place = traced.place;
    } else if (!has_delta) {
      read.problems.error(row.front().place, std::string(kLayerColumn), again(layer.place));
    } else if (layer.trace != *trace) {
      read.problems.error(traced.place, std::string(kTraceColumn),
                          "expected " + format_number(layer.trace) + " as in line " +
                              std::to_string(layer.place.line) + ", got " +
                              quoted_value(traced.text));
    }
    if (has_delta && !layer.delta.emplace(bits, delta).second) {
      read.problems.error(
          row.front().place, std::string(kWeightBitsColumn),
          "expected each width of a layer once, got " + std::to_string(bits) + " again");
    }
  }
  return layers;
}

}  // namespace

CostTable hessian_trace_losses(const Network& network, const OnnxWeights* weights,
                               const SensitivityRequest& request) {
  FileLayers read = read_layers(network, request.file, "layer,trace");
  const std::map<LayerId, TracedLayer> layers = read_traces(read);
  const bool has_delta = read.csv.column(kDeltaColumn).has_value();
  for (const auto& [id, traced] : layers) {
    const Layer& layer = network.layers()[id];
    if (layer.weights == 0) {
      read.problems.error(traced.place, layer.name,
                          "expected a layer with weights; name this one in leaves_out and pin it");
    }
    if (has_delta) {
      check_has(traced.delta, request.weight_bits, request.file, layer.name, "weights",
                read.problems);
    }
  }
  if (!has_delta && request.weight_bits.empty()) {
    read.problems.error({}, std::string(kWeightBitsColumn),
                        "expected the widths that the weights are to be quantized to");
  }
  read.problems.throw_if_any();

  std::optional<LayerWeights> values;
  if (!has_delta) values.emplace(network, weights, request);
  LossTable table(network, request);
  if (values) table.say_quantizer(request);
  table.say_of_file(request.file, read.csv.provenance);
  table.leave_out(read.csv.leaves_out);
  for (const auto& [id, traced] : layers) {
    std::map<BitWidth, double> delta = traced.delta;
    if (values) {
      const LayerWeights::Errors errors = values->of(network.layers()[id], request.weight_bits);
      for (std::size_t i = 0; i < request.weight_bits.size(); ++i) {
        delta[request.weight_bits[i]] = errors.noise[i] * errors.power;
      }
    }
    for (const BitWidth weight : widths_of(delta, request.weight_bits)) {
      const Widths& asked = request.activation_bits;
      for (const BitWidth activation : asked.empty() ? Widths{weight} : asked) {
        table.add(id, weight, activation, traced.trace * delta.at(weight));
      }
    }
  }
  return table.take();
}

}  // namespace widthwise::search
