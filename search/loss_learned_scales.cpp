#include <algorithm>
#include <array>
#include <map>

#include "models/base/units.hpp"
#include "search/loss_rules.hpp"

namespace widthwise::search {

CostTable learned_scales_losses(const Network& network, const SensitivityRequest& request) {
  const std::vector<std::string> metrics{"weight_scale", "activation_scale"};
  const CostTable read = read_plain_table(network, request.file, metrics);
  Diagnostics problems;

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

}  // namespace widthwise::search
