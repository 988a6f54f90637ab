#include "models/table/table_layers.hpp"

#include <algorithm>
#include <string>

#include "models/base/text.hpp"
#include "models/base/units.hpp"

namespace widthwise {

bool is_left_out(const CostTable& table, std::string_view layer) {
  return std::find(table.leaves_out.begin(), table.leaves_out.end(), layer) !=
         table.leaves_out.end();
}

bool is_whole_network(const CostTable& table) {
  return std::find(table.layers.begin(), table.layers.end(), kWholeNetwork) != table.layers.end();
}

std::vector<std::ptrdiff_t> match_layers(const CostTable& table, const Network& network,
                                         Diagnostics& problems) {
  std::vector<std::string> names;
  for (const Layer& layer : network.layers()) names.push_back(layer.name);
  const auto stranger = [&](const SourcePlace& place, const std::string& key,
                            const std::string& name) {
    problems.error(place, key,
                   "expected a layer of " + network.name() + ", got " + quoted_value(name) +
                       suggestion(name, names));
  };
  std::vector<std::ptrdiff_t> index_of(network.layers().size(), kCostsNothing);
  for (std::size_t index = 0; index < table.layers.size(); ++index) {
    if (const auto layer = network.find_layer(table.layers[index])) {
      index_of[*layer] = static_cast<std::ptrdiff_t>(index);
      continue;
    }
    const auto first = std::find_if(table.rows.begin(), table.rows.end(),
                                    [&](const TableRow& row) { return row.layer == index; });
    const bool has_place = first != table.rows.end() && !first->place.file.empty();
    stranger(has_place ? first->place : SourcePlace{table.source}, "layer", table.layers[index]);
  }
  for (const std::string& name : table.leaves_out) {
    const auto layer = network.find_layer(name);
    if (!layer) {
      stranger({table.source}, "leaves_out", name);
    } else if (index_of[*layer] != kCostsNothing) {
      problems.error({table.source}, "leaves_out",
                     "expected layers without rows, got " + quoted_value(name));
    }
  }
  const bool complete = !table.said("incomplete");
  for (LayerId id = 0; id < index_of.size(); ++id) {
    const Layer& layer = network.layers()[id];
    const bool may_lack = is_left_out(table, layer.name) || (complete && !has_macs(layer.kind));
    if (index_of[id] != kCostsNothing || may_lack) continue;
    problems.error({table.source}, layer.name,
                   "expected rows of this layer of " + network.name() +
                       ", got none; leaves_out names what was not measured");
  }
  return index_of;
}

void check_whole_network(const CostTable& table, Diagnostics& problems) {
  if (table.layers.size() > 1) {
    problems.error({table.source}, "layer",
                   "expected no layer beside '*', which stands for the whole network");
  }
  for (const Axis axis : table.axes) {
    if (axis == Axis::weight_bits || axis == Axis::activation_bits) continue;
    problems.error({table.source}, std::string(to_string(axis)),
                   "expected only weight_bits and activation_bits of a whole network");
  }
}

}  // namespace widthwise
