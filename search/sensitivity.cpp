#include "search/sensitivity.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "models/base/error.hpp"
#include "models/base/read_file.hpp"
#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "models/table/table_csv.hpp"
#include "models/table/table_layers.hpp"
#include "search/layer_csv.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kMostMebibytes = 64;
constexpr std::string_view kLossMetric = "loss";
constexpr std::string_view kLayerColumn = "layer";
constexpr std::string_view kWeightBitsColumn = "weight_bits";
constexpr std::string_view kTraceColumn = "trace";
constexpr std::string_view kDeltaColumn = "delta_squared";
constexpr std::string_view kSumColumn = "orm_sum";

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

using Widths = std::vector<BitWidth>;

bool contains(const Widths& widths, BitWidth width) {
  return std::find(widths.begin(), widths.end(), width) != widths.end();
}

std::string bits_text(BitWidth width) {
  return std::to_string(width) + (width == 1 ? " bit" : " bits");
}

/// An assembled table: layers in the network's order.
class LossTable {
 public:
  LossTable(const Network& network, const SensitivityRequest& request) : network_(network) {
    table_.axes = {Axis::weight_bits, Axis::activation_bits};
    table_.metrics = {std::string(kLossMetric)};
    table_.source = request.file;
    say("network", network.name());
    say("rule", to_string(request.rule));
  }

  void say(std::string key, std::string_view value) {
    table_.provenance.emplace_back(std::move(key), value);
  }
  void say(std::string key, double value) { say(std::move(key), format_number(value)); }

  /// What a file says of itself, behind what was said already.
  void say_of_file(const std::string& file,
                   const std::vector<std::pair<std::string, std::string>>& provenance) {
    say("file", file);
    for (const auto& [key, value] : provenance) {
      if (!table_.said(key)) say(key, value);
    }
  }

  void leave_out(std::vector<std::string> layers) { table_.leaves_out = std::move(layers); }

  /// Rows of a layer follow one another, ascending.
  void add(LayerId id, BitWidth weight, BitWidth activation, double loss) {
    const Layer& layer = network_.layers()[id];
    if (table_.layers.empty() || table_.layers.back() != layer.name) {
      table_.layers.push_back(layer.name);
      table_.kinds.emplace_back(to_string(layer.kind));
    }
    TableRow row;
    row.layer = table_.layers.size() - 1;
    row.at[index_of(Axis::weight_bits)] = weight;
    row.at[index_of(Axis::activation_bits)] = activation;
    row.values = {loss};
    table_.rows.push_back(std::move(row));
  }

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
  check_order(request.weight_bits, kWeightBitsColumn, problems);
  check_order(request.activation_bits, "activation_bits", problems);
  if (request.rule == LossRule::quantization_error || request.rule == LossRule::orthogonality) {
    const auto need = [&](const Widths& widths, std::string_view key) {
      if (!widths.empty()) return;
      problems.error({}, std::string(key),
                     "expected the widths that the rule '" + rule + "' is to be computed at");
    };
    need(request.weight_bits, kWeightBitsColumn);
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

/// Weights of the network's layers, from a file that has them.
class LayerWeights {
 public:
  LayerWeights(const Network& network, const OnnxWeights* weights,
               const SensitivityRequest& request)
      : request_(request) {
    if (weights == nullptr) {
      throw InputError({}, "rule",
                       "expected an ONNX file, which the rule '" +
                           std::string(to_string(request.rule)) +
                           "' takes the weights from; this network has no values");
    }
    weights_ = weights;
    std::vector<std::string> names;
    for (const Layer& layer : weights->network().layers()) names.push_back(layer.name);
    Diagnostics problems;
    for (const Layer& layer : network.layers()) {
      if (!layer.compute || layer.weights == 0) continue;
      const auto id = weights->network().find_layer(layer.name);
      if (!id) {
        problems.error({}, layer.name,
                       "expected weights of this layer in the ONNX file, which has no such layer" +
                           suggestion(layer.name, names));
      } else if (weights->network().layers()[*id].weights != layer.weights) {
        problems.error({}, layer.name,
                       "expected " + std::to_string(layer.weights) +
                           " weights in the ONNX file, got " +
                           std::to_string(weights->network().layers()[*id].weights));
      }
    }
    problems.throw_if_any();
  }

  struct Errors {
    std::vector<double> noise;  // per width, relative
    double power = 0;           // sum of squares
  };

  [[nodiscard]] Errors of(const Layer& layer, const Widths& widths) const {
    const Network& network = weights_->network();
    const Layer& own = network.layers()[network.find_layer(layer.name).value()];
    const auto values = weights_->of(own);
    ensure(values.has_value(), "a layer with weights has values");
    Errors errors;
    for (const float value : *values) {
      errors.power += static_cast<double>(value) * static_cast<double>(value);
    }
    const std::int64_t runs = request_.granularity == Granularity::per_layer
                                  ? 1
                                  : own.compute->groups * own.compute->out_channels;
    try {
      errors.noise = weight_noise(*values, runs, request_.calibration, widths);
    } catch (const InputError& error) {
      throw InputError({}, layer.name, error.diagnostics().front().message);
    }
    return errors;
  }

 private:
  const SensitivityRequest& request_;
  const OnnxWeights* weights_ = nullptr;
};

void say_quantizer(LossTable& table, const SensitivityRequest& request) {
  table.say("calibration", to_string(request.calibration));
  table.say("granularity", to_string(request.granularity));
}

// quantization_error

double size_of(const Layer& layer, Weighting weighting) {
  if (weighting == Weighting::plain) return 1;
  return static_cast<double>(weighting == Weighting::macs ? layer.macs()
                                                          : layer.compute->weight_elements());
}

CostTable quantization_error(const Network& network, const OnnxWeights* weights,
                             const SensitivityRequest& request) {
  const LayerWeights values(network, weights, request);
  LossTable table(network, request);
  say_quantizer(table, request);
  table.say("weighting", to_string(request.weighting));
  table.say("activations", "best uniform quantizer, half-normal after a ReLU, else normal");

  double whole = 0;
  for (const Layer& layer : network.layers()) {
    if (layer.compute) whole += size_of(layer, request.weighting);
  }
  if (request.weighting == Weighting::plain) whole = 1;
  const std::vector<ActivationShape> shapes = activation_shapes(network);
  std::array<std::map<BitWidth, double>, 2> noise_of_shape;
  for (const ActivationShape shape : {ActivationShape::normal, ActivationShape::half_normal}) {
    for (const BitWidth bits : request.activation_bits) {
      noise_of_shape.at(static_cast<std::size_t>(shape))[bits] = activation_noise(shape, bits);
    }
  }
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    const Layer& layer = network.layers()[id];
    if (!layer.compute) continue;
    const double share = size_of(layer, request.weighting) / whole;
    const auto noise_of_input = [&](std::size_t input, BitWidth bits) {
      const ActivationShape shape =
          input < layer.inputs.size() ? shapes[layer.inputs[input]] : ActivationShape::normal;
      return noise_of_shape.at(static_cast<std::size_t>(shape)).at(bits);
    };
    std::map<BitWidth, double> noise_of_weights;
    if (layer.weights > 0) {
      const LayerWeights::Errors errors = values.of(layer, request.weight_bits);
      for (std::size_t i = 0; i < request.weight_bits.size(); ++i) {
        noise_of_weights[request.weight_bits[i]] = errors.noise[i];
      }
    }
    table.add_pairs(id, request.weight_bits, request.activation_bits,
                    [&](BitWidth weight, BitWidth activation) {
                      const double second = layer.weights > 0 ? noise_of_weights.at(weight)
                                                              : noise_of_input(1, activation);
                      return share * (second + noise_of_input(0, activation));
                    });
  }
  return table.take();
}

// Files about layers.

/// The layers that a file has rows of, matched with the network's.
struct FileLayers {
  LayerCsv csv;
  std::vector<std::optional<LayerId>> layer_of_row;
  Diagnostics problems;
};

/// Adds what is wrong with the table's layers.
void match(const CostTable& table, const Network& network, Diagnostics& problems) {
  match_layers(table, network, problems);
  std::vector<bool> is_known(table.layers.size(), false);
  for (const TableRow& row : table.rows) {
    const auto id = network.find_layer(table.layers[row.layer]);
    if (!id) continue;
    const Layer& layer = network.layers()[*id];
    if (!layer.compute && !is_known[row.layer]) {
      problems.error(row.place, std::string(kLayerColumn),
                     "expected a layer with multiply-accumulates, got " + quoted_value(layer.name));
    }
    is_known[row.layer] = true;
  }
}

FileLayers read_layers(const Network& network, const std::string& file, std::string_view header) {
  FileLayers read;
  read.csv = parse_layer_csv(read_file(file, kMostMebibytes), file, header, read.problems);
  read.layer_of_row.resize(read.csv.rows.size());
  if (read.csv.header.empty()) read.problems.throw_if_any();
  const auto column = read.csv.column(kLayerColumn);
  if (!column) {
    read.problems.error(read.csv.header.front().place, std::string(kLayerColumn),
                        "expected this column, got none");
    read.problems.throw_if_any();
  }
  CostTable names;
  names.source = file;
  names.leaves_out = read.csv.leaves_out;
  for (std::size_t i = 0; i < read.csv.rows.size(); ++i) {
    const CsvField& field = read.csv.rows[i][*column];
    if (field.text.empty()) {
      read.problems.error(field.place, std::string(kLayerColumn),
                          "expected a layer's name, got nothing");
      continue;
    }
    const auto known = std::find(names.layers.begin(), names.layers.end(), field.text);
    TableRow row;
    row.layer = static_cast<std::size_t>(known - names.layers.begin());
    row.place = field.place;
    names.rows.push_back(std::move(row));
    if (known == names.layers.end()) names.layers.push_back(field.text);
    read.layer_of_row[i] = network.find_layer(field.text);
  }
  match(names, network, read.problems);
  return read;
}

/// Adds to `problems` the columns that are not among `known`.
void check_columns(const LayerCsv& csv, const std::vector<std::string>& known,
                   Diagnostics& problems) {
  for (const CsvField& field : csv.header) {
    if (std::find(known.begin(), known.end(), field.text) != known.end()) continue;
    problems.error(
        field.place, field.text,
        "expected one of the columns " + quoted_list(known) + suggestion(field.text, known));
  }
  for (const std::string& name : known) {
    if (csv.column(name)) continue;
    problems.error(csv.header.front().place, name, "expected this column, got none");
  }
  problems.throw_if_any();
}

std::string again(const SourcePlace& first) {
  return "expected each once, got that of line " + std::to_string(first.line) + " again";
}

// hessian_trace

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
  if (has_delta)
    known = {known[0], std::string(kWeightBitsColumn), known[1], std::string(kDeltaColumn)};
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

void check_has(const std::map<BitWidth, double>& values, const Widths& widths,
               const std::string& file, const std::string& layer, std::string_view what,
               Diagnostics& problems) {
  for (const BitWidth width : widths) {
    if (values.contains(width)) continue;
    problems.error(
        {file}, layer,
        "expected a row at " + bits_text(width) + " of " + std::string(what) + ", got none");
  }
}

Widths widths_of(const std::map<BitWidth, double>& values, const Widths& asked) {
  Widths widths;
  for (const auto& [width, value] : values) {
    if (asked.empty() || contains(asked, width)) widths.push_back(width);
  }
  return widths;
}

CostTable hessian_trace(const Network& network, const OnnxWeights* weights,
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
  if (values) say_quantizer(table, request);
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

// Cost tables: learned_scales and measured.

CostTable read_plain_table(const Network& network, const std::string& file,
                           const std::vector<std::string>& metrics, Diagnostics& problems) {
  CostTable table = read_cost_table(file);
  const auto complain = [&](std::string key, std::string message) {
    problems.error({file}, std::move(key), std::move(message));
  };
  for (const std::string& metric : metrics) {
    if (std::find(table.metrics.begin(), table.metrics.end(), metric) == table.metrics.end()) {
      complain(metric, "expected this column, got none");
    }
  }
  for (const std::string& metric : table.metrics) {
    if (std::find(metrics.begin(), metrics.end(), metric) == metrics.end()) {
      complain(metric, "expected no columns of figures but " + quoted_list(metrics) +
                           suggestion(metric, metrics));
    }
  }
  for (const Axis axis : table.axes) {
    if (axis == Axis::weight_bits || axis == Axis::activation_bits) continue;
    complain(std::string(to_string(axis)),
             "expected no columns of widths but 'weight_bits' and 'activation_bits'");
  }
  if (is_whole_network(table)) {
    complain(std::string(kLayerColumn), "expected losses by layer, got those of the whole network");
    problems.throw_if_any();
  }
  match(table, network, problems);
  for (const TableRow& row : table.rows) {
    const auto id = network.find_layer(table.layers[row.layer]);
    if (!id || !network.layers()[*id].compute || network.layers()[*id].weights > 0) continue;
    const double weight = row.at[index_of(Axis::weight_bits)];
    const double activation = row.at[index_of(Axis::activation_bits)];
    if (weight == activation) continue;
    problems.error(row.place, table.layers[row.layer],
                   "expected equal widths of a layer without weights, got " +
                       format_number(weight) + " and " + format_number(activation));
  }
  problems.throw_if_any();
  return table;
}

CostTable learned_scales(const Network& network, const SensitivityRequest& request) {
  const std::vector<std::string> metrics{"weight_scale", "activation_scale"};
  Diagnostics problems;
  const CostTable read = read_plain_table(network, request.file, metrics, problems);

  struct Scales {
    std::map<BitWidth, double> weights, activations;
    std::map<BitWidth, int> weight_lines, activation_lines;
  };
  std::map<LayerId, Scales> layers;
  std::array<std::size_t, 2> metric{};
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    metric.at(i) = static_cast<std::size_t>(
        std::find(read.metrics.begin(), read.metrics.end(), metrics[i]) - read.metrics.begin());
  }
  for (const TableRow& row : read.rows) {
    Scales& scales = layers[network.find_layer(read.layers[row.layer]).value()];
    const auto note = [&](Axis axis, std::size_t which, std::map<BitWidth, double>& values,
                          std::map<BitWidth, int>& lines) {
      const auto width = static_cast<BitWidth>(row.at[index_of(axis)]);
      const double scale = row.values[metric.at(which)];
      const auto [known, is_new] = values.emplace(width, scale);
      lines.emplace(width, row.place.line);
      if (is_new || known->second == scale) return;
      problems.error(row.place, metrics[which],
                     "expected " + format_number(known->second) + " as in line " +
                         std::to_string(lines.at(width)) + " at the same width, got " +
                         format_number(scale));
    };
    note(Axis::weight_bits, 0, scales.weights, scales.weight_lines);
    note(Axis::activation_bits, 1, scales.activations, scales.activation_lines);
  }
  for (const auto& [id, scales] : layers) {
    const Layer& layer = network.layers()[id];
    if (layer.weights > 0) {
      check_has(scales.weights, request.weight_bits, request.file, layer.name, "weights", problems);
    }
    check_has(scales.activations, request.activation_bits, request.file, layer.name, "activations",
              problems);
  }
  problems.throw_if_any();

  LossTable table(network, request);
  table.say("alpha", request.alpha);
  table.say_of_file(request.file, read.provenance);
  table.leave_out(read.leaves_out);
  for (const auto& [id, scales] : layers) {
    const Scales& own = scales;
    table.add_pairs(id, widths_of(own.weights, request.weight_bits),
                    widths_of(own.activations, request.activation_bits),
                    [&](BitWidth weight, BitWidth activation) {
                      return own.activations.at(activation) +
                             request.alpha * own.weights.at(weight);
                    });
  }
  return table.take();
}

CostTable measured(const Network& network, const SensitivityRequest& request) {
  Diagnostics problems;
  CostTable table = read_plain_table(network, request.file, {std::string(kLossMetric)}, problems);
  if (!table.said("rule")) table.provenance.emplace_back("rule", to_string(request.rule));
  return table;
}

// orthogonality

/// Sums of the rows, without the diagonal.
std::map<LayerId, double> sums_of_matrix(FileLayers& read) {
  constexpr double kTolerance = 1e-4;  // of figures that were rounded
  const LayerCsv& csv = read.csv;
  const std::size_t names = *csv.column(kLayerColumn);
  std::map<std::string, std::size_t> row_of;
  for (std::size_t i = 0; i < csv.rows.size(); ++i) {
    const CsvField& name = csv.rows[i][names];
    const auto [first, is_new] = row_of.emplace(name.text, i);
    if (is_new) continue;
    read.problems.error(name.place, std::string(kLayerColumn),
                        again(csv.rows[first->second][names].place));
  }
  for (const CsvField& column : csv.header) {
    if (column.text == kLayerColumn || row_of.contains(column.text)) continue;
    std::vector<std::string> known;
    for (const auto& [name, row] : row_of) known.push_back(name);
    known.emplace_back(kSumColumn);
    read.problems.error(column.place, column.text,
                        "expected 'orm_sum' or the name of a row as the name of a column" +
                            suggestion(column.text, known));
  }
  for (const auto& [name, row] : row_of) {
    if (csv.column(name)) continue;
    read.problems.error(csv.rows[row][names].place, name,
                        "expected a column of this layer too, the matrix being square");
  }
  read.problems.throw_if_any();

  std::vector<std::vector<double>> matrix(csv.rows.size(), std::vector<double>(csv.rows.size(), 0));
  for (std::size_t i = 0; i < csv.rows.size(); ++i) {
    for (std::size_t c = 0; c < csv.header.size(); ++c) {
      if (c == names) continue;
      const std::size_t j = row_of.at(csv.header[c].text);
      const CsvField& field = csv.rows[i][c];
      const auto number = parse_number(field.text);
      const bool is_sound = number && (i == j ? std::abs(*number - 1) <= kTolerance
                                              : *number >= 0 && *number <= 1 + kTolerance);
      if (is_sound) {
        matrix[i][j] = *number;
        continue;
      }
      read.problems.error(
          field.place, csv.header[c].text,
          (i == j ? "expected 1 on the diagonal, got " : "expected a number of 0..1, got ") +
              quoted_value(field.text));
    }
  }
  read.problems.throw_if_any();
  std::map<LayerId, double> sums;
  for (std::size_t i = 0; i < csv.rows.size(); ++i) {
    double& sum = sums[read.layer_of_row[i].value()];
    for (std::size_t j = 0; j < csv.rows.size(); ++j) {
      if (i == j) continue;
      sum += matrix[i][j];
      if (j < i || std::abs(matrix[i][j] - matrix[j][i]) <= kTolerance) continue;
      const CsvField& field = csv.rows[j][*csv.column(csv.rows[i][names].text)];
      read.problems.error(field.place, csv.rows[i][names].text,
                          "expected a symmetric matrix with " + format_number(matrix[i][j]) +
                              " as in line " + std::to_string(csv.rows[i][names].place.line) +
                              ", got " + quoted_value(field.text));
    }
  }
  return sums;
}

std::map<LayerId, double> sums_of_column(FileLayers& read) {
  const LayerCsv& csv = read.csv;
  check_columns(csv, {std::string(kLayerColumn), std::string(kSumColumn)}, read.problems);
  std::map<LayerId, double> sums;
  std::map<LayerId, SourcePlace> places;
  for (std::size_t i = 0; i < csv.rows.size(); ++i) {
    const auto sum = number_in(csv.rows[i][*csv.column(kSumColumn)], kSumColumn, read.problems);
    if (!sum || !read.layer_of_row[i]) continue;
    const SourcePlace& place = csv.rows[i][*csv.column(kLayerColumn)].place;
    const auto [first, is_new] = places.emplace(*read.layer_of_row[i], place);
    if (!is_new) {
      read.problems.error(place, std::string(kLayerColumn), again(first->second));
    }
    sums[*read.layer_of_row[i]] = *sum;
  }
  return sums;
}

CostTable orthogonality(const Network& network, const SensitivityRequest& request) {
  FileLayers read = read_layers(network, request.file, "layer,orm_sum");
  const std::map<LayerId, double> sums =
      read.csv.column(kSumColumn) ? sums_of_column(read) : sums_of_matrix(read);
  read.problems.throw_if_any();

  LossTable table(network, request);
  table.say("beta", request.beta);
  table.say("decay", to_string(request.decay));
  table.say_of_file(request.file, read.csv.provenance);
  table.leave_out(read.csv.leaves_out);
  // From the last layer on: mean over the layers that follow and the layer itself.
  std::map<LayerId, double> importance;
  double later = 0;
  for (auto layer = sums.rbegin(); layer != sums.rend(); ++layer) {
    later += std::exp(-request.beta * layer->second);
    const double mean = later / static_cast<double>(importance.size() + 1);
    importance[layer->first] = mean;
  }
  const auto left = [&](BitWidth width, const Widths& widths) {
    return request.decay == Decay::linear ? static_cast<double>(widths.back() - width)
                                          : std::pow(4.0, -width);
  };
  for (const auto& [id, figure] : importance) {
    const double of_layer = figure;
    const Widths& second =
        network.layers()[id].weights > 0 ? request.weight_bits : request.activation_bits;
    table.add_pairs(id, request.weight_bits, request.activation_bits,
                    [&](BitWidth weight, BitWidth activation) {
                      return of_layer *
                             (left(weight, second) + left(activation, request.activation_bits));
                    });
  }
  return table.take();
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
      return quantization_error(network, weights, request);
    case LossRule::hessian_trace:
      return hessian_trace(network, weights, request);
    case LossRule::learned_scales:
      return learned_scales(network, request);
    case LossRule::orthogonality:
      return orthogonality(network, request);
    case LossRule::measured:
      return measured(network, request);
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
