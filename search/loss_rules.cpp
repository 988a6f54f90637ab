#include "search/loss_rules.hpp"

#include <algorithm>
#include <unordered_map>

#include "models/base/read_file.hpp"
#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "models/table/table_csv.hpp"
#include "models/table/table_layers.hpp"

namespace widthwise::search {

namespace {

constexpr std::size_t kMostMebibytes = 16;

bool contains(const Widths& widths, BitWidth width) {
  return std::find(widths.begin(), widths.end(), width) != widths.end();
}

std::string bits_text(BitWidth width) {
  return std::to_string(width) + (width == 1 ? " bit" : " bits");
}

/// Adds what is wrong with the table's layers.
void match(const CostTable& table, const Network& network, Diagnostics& problems) {
  match_layers(table, network, problems);
  std::vector<bool> is_seen(table.layers.size(), false);
  for (const TableRow& row : table.rows) {
    const auto id = network.find_layer(table.layers[row.layer]);
    if (!id) continue;
    const Layer& layer = network.layers()[*id];
    if (!layer.compute && !is_seen[row.layer]) {
      problems.error(row.place, std::string(kLayerColumn),
                     "expected a layer with multiply-accumulates, got " + quoted_value(layer.name));
    }
    is_seen[row.layer] = true;
  }
}

}  // namespace

LossTable::LossTable(const Network& network, const SensitivityRequest& request)
    : network_(network) {
  table_.axes = {Axis::weight_bits, Axis::activation_bits};
  table_.metrics = {std::string(kLossMetric)};
  table_.source = request.file;
  say("network", network.name());
  say("rule", to_string(request.rule));
}

void LossTable::say(std::string key, std::string_view value) {
  table_.provenance.emplace_back(std::move(key), value);
}

void LossTable::say(std::string key, double value) { say(std::move(key), format_number(value)); }

void LossTable::say_quantizer(const SensitivityRequest& request) {
  say("calibration", to_string(request.calibration));
  say("granularity", to_string(request.granularity));
}

void LossTable::say_of_file(const std::string& file,
                            const std::vector<std::pair<std::string, std::string>>& provenance) {
  say("file", file);
  for (const auto& [key, value] : provenance) {
    if (!table_.said(key)) say(key, value);
  }
}

void LossTable::add(LayerId id, BitWidth weight, BitWidth activation, double loss) {
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

LayerWeights::LayerWeights(const Network& network, const OnnxWeights* weights,
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

LayerWeights::Errors LayerWeights::of(const Layer& layer, const Widths& widths) const {
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
  std::unordered_map<std::string, std::size_t> indices;
  for (std::size_t i = 0; i < read.csv.rows.size(); ++i) {
    const CsvField& field = read.csv.rows[i][*column];
    if (field.text.empty()) {
      read.problems.error(field.place, std::string(kLayerColumn),
                          "expected a layer's name, got nothing");
      continue;
    }
    const auto [known, is_new] = indices.emplace(field.text, names.layers.size());
    if (is_new) names.layers.push_back(field.text);
    TableRow row;
    row.layer = known->second;
    row.place = field.place;
    names.rows.push_back(std::move(row));
    read.layer_of_row[i] = network.find_layer(field.text);
  }
  match(names, network, read.problems);
  return read;
}

void check_columns(const LayerCsv& csv, const std::vector<std::string>& known,
                   Diagnostics& problems) {
  bool is_sound = true;
  const auto complain = [&](const SourcePlace& place, const std::string& name,
                            std::string message) {
    problems.error(place, name, std::move(message));
    is_sound = false;
  };
  for (const CsvField& field : csv.header) {
    if (std::find(known.begin(), known.end(), field.text) != known.end()) continue;
    complain(field.place, field.text,
             "expected one of the columns " + quoted_list(known) + suggestion(field.text, known));
  }
  for (const std::string& name : known) {
    if (csv.column(name)) continue;
    complain(csv.header.front().place, name, "expected this column, got none");
  }
  if (!is_sound) problems.throw_if_any();
}

std::string again(const SourcePlace& first) {
  return "expected each once, got that of line " + std::to_string(first.line) + " again";
}

CostTable read_plain_table(const Network& network, const std::string& file,
                           const std::vector<std::string>& metrics) {
  Diagnostics problems;
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

}  // namespace widthwise::search
