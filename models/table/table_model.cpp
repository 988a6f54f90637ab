#include "models/table/table_model.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "models/table/table_layers.hpp"

namespace widthwise {

namespace {

/// "1, 2, 4..8".
std::string point_list(const std::vector<double>& points) {
  constexpr std::size_t kShortestRange = 3;
  std::string text;
  for (std::size_t begin = 0; begin < points.size();) {
    std::size_t end = begin + 1;
    while (end < points.size() && points[end] == points[end - 1] + 1) ++end;
    if (end - begin < kShortestRange) end = begin + 1;
    if (!text.empty()) text += ", ";
    text += format_number(points[begin]);
    if (end - begin > 1) text += ".." + format_number(points[end - 1]);
    begin = end;
  }
  return text;
}

std::string range_text(const std::vector<double>& points) {
  const std::string first = format_number(points.front());
  return points.size() == 1 ? first : first + ".." + format_number(points.back());
}

std::string width_text(const LayerWidths& widths) {
  return "w" + std::to_string(widths.weight) + "a" + std::to_string(widths.activation);
}

bool has_second_operand(const Layer& layer) {
  return layer.compute && layer.compute->second_operand_is_activation;
}

/// Input channels go with the output channels: there is one share, not two.
bool has_one_share(const Layer& layer) { return !layer.compute || layer.compute->groups > 1; }

}  // namespace

/// Each mistake once, however many points make it.
class TableCostModel::Mistakes {
 public:
  explicit Mistakes(const CostTable& table) : table_(&table) {}

  void error(const std::string& key, const std::string& message) {
    if (said_.emplace(key, message).second) problems_.error({table_->source}, key, message);
  }
  void throw_if_any() const { problems_.throw_if_any(); }

 private:
  const CostTable* table_;
  std::set<std::pair<std::string, std::string>> said_;
  Diagnostics problems_;
};

/// Where a point lies. What spans several inputs that differ lies between rows.
struct TableCostModel::Place {
  AxisValues at{};
  BitWidth least_input = 0, greatest_input = 0;  // stored
  bool mixed_inputs = false, mixed_homes = false;
};

TableCostModel::TableCostModel(Network network, CostTable table)
    : network_(std::move(network)), table_(std::move(table)) {
  Diagnostics problems;
  whole_network_ = is_whole_network(table_);
  if (whole_network_) {
    bind_whole_network(problems);
  } else {
    bind_layers(problems);
  }
  for (std::size_t row = 0; row < table_.layers.size(); ++row) {
    try {
      grids_.push_back(layer_grid(table_, row));
    } catch (const InputError& error) {
      problems.append(error.diagnostics());
    }
  }
  problems.throw_if_any();
}

void TableCostModel::bind_layers(Diagnostics& problems) {
  row_of_ = match_layers(table_, network_, problems);
  for (LayerId id = 0; id < row_of_.size(); ++id) {
    if (row_of_[id] == kCostsNothing) unpriced_.push_back(network_.layers()[id].name);
  }
}

void TableCostModel::bind_whole_network(Diagnostics& problems) {
  check_whole_network(table_, problems);
  unpriced_ = table_.leaves_out;
  row_of_.assign(network_.layers().size(), kCostsNothing);
  for (LayerId id = 0; id < row_of_.size(); ++id) {
    if (!has_macs(network_.layers()[id].kind)) continue;
    row_of_[id] = 0;
    return;
  }
  problems.error({table_.source}, "",
                 "expected a network with multiply-accumulates, got " + network_.name());
}

const std::vector<std::string>& TableCostModel::metrics() const { return table_.metrics; }

PointCost TableCostModel::nothing() const {
  return {std::vector<double>(table_.metrics.size(), 0.0), {}};
}

std::vector<PointCost> TableCostModel::costs(std::span<const LayerPoint> points) {
  for (const LayerPoint& point : points) {
    ensure(point.layer < row_of_.size(), "a point is one of the network's layers");
  }
  if (whole_network_) return whole_costs(points);
  Mistakes mistakes(table_);
  std::vector<PointCost> costs;
  costs.reserve(points.size());
  for (const LayerPoint& point : points) {
    const std::ptrdiff_t row = row_of_[point.layer];
    costs.push_back(row == kCostsNothing ? nothing()
                                         : look_up(point, static_cast<std::size_t>(row), mistakes));
  }
  mistakes.throw_if_any();
  return costs;
}

TableCostModel::Place TableCostModel::place_of(const LayerPoint& point, std::size_t row) const {
  const Layer& layer = network_.layers()[point.layer];
  const LayerGrid& grid = grids_[row];
  Place place;
  AxisValues& at = place.at;
  const auto set = [&](Axis axis, double value) { at[index_of(axis)] = value; };
  const BitWidth greater = std::max(point.widths.weight, point.widths.activation);
  set(Axis::weight_bits, grid.equal_widths ? greater : point.widths.weight);
  set(Axis::activation_bits, grid.equal_widths ? greater : point.widths.activation);
  set(Axis::stored_output_bits, point.stored_output);
  set(Axis::output_on_chip, point.output_home == Home::scratchpad ? 1 : 0);
  set(Axis::input_share, point.input_share);
  set(Axis::output_share, point.output_share);

  constexpr Axis kOfInputs[] = {Axis::stored_input_bits, Axis::stored_second_bits,
                                Axis::input_on_chip, Axis::second_on_chip};
  if (std::none_of(std::begin(kOfInputs), std::end(kOfInputs),
                   [&](Axis axis) { return table_.has(axis); })) {
    return place;
  }
  ensure(point.stored_inputs.size() == layer.inputs.size() &&
             point.input_homes.size() == layer.inputs.size(),
         "a point says how each input is stored");
  // Of a layer with multiply-accumulates the first operand alone is the input.
  const std::size_t inputs = layer.compute ? 1 : layer.inputs.size();
  if (has_second_operand(layer)) {
    set(Axis::stored_second_bits, point.stored_inputs.at(1));
    set(Axis::second_on_chip, point.input_homes.at(1) == Home::scratchpad ? 1 : 0);
  }
  double elements = 0;
  double bits = 0;
  double bits_on_chip = 0;
  place.least_input = place.greatest_input = point.stored_inputs.front();
  for (std::size_t i = 0; i < inputs; ++i) {
    const BitWidth stored = point.stored_inputs[i];
    const auto count = static_cast<double>(network_.tensors()[layer.inputs[i]].elements());
    elements += count;
    bits += count * stored;
    if (point.input_homes[i] == Home::scratchpad) bits_on_chip += count * stored;
    place.least_input = std::min(place.least_input, stored);
    place.greatest_input = std::max(place.greatest_input, stored);
    place.mixed_homes |= point.input_homes[i] != point.input_homes.front();
  }
  place.mixed_inputs = place.least_input != place.greatest_input;
  set(Axis::stored_input_bits, place.mixed_inputs ? bits / elements : place.least_input);
  set(Axis::input_on_chip, bits_on_chip / bits);
  return place;
}

void TableCostModel::check(const LayerPoint& point, std::size_t row, const Place& place,
                           Mistakes& mistakes) const {
  const Layer& layer = network_.layers()[point.layer];
  const LayerGrid& grid = grids_[row];
  const auto value = [&](Axis axis) { return place.at[index_of(axis)]; };
  // Where a layer runs at the greater of two widths, a tensor may follow either.
  const auto follows = [&](Axis axis) {
    if (value(axis) == point.widths.activation || value(axis) == value(Axis::activation_bits)) {
      return;
    }
    mistakes.error(layer.name, "expected " + std::string(to_string(axis)) +
                                   " as activation_bits, got " + format_number(value(axis)) +
                                   " at " + width_text(point.widths));
  };
  const bool has_second = has_second_operand(layer);
  if (grid.stored_input_follows) follows(Axis::stored_input_bits);
  if (grid.stored_second_follows && has_second) follows(Axis::stored_second_bits);
  if (grid.stored_output_follows) follows(Axis::stored_output_bits);
  if (grid.input_share_follows && point.input_share != point.output_share) {
    mistakes.error(layer.name, "expected input_share as output_share (" +
                                   format_number(point.output_share) + "), got " +
                                   format_number(point.input_share));
  }
  const auto too_narrow = [&](Axis axis, BitWidth stored) {
    if (!table_.has(axis) || stored >= point.widths.activation) return false;
    mistakes.error(layer.name, "expected " + std::string(to_string(axis)) +
                                   " of at least activation_bits, got " + std::to_string(stored) +
                                   " at " + width_text(point.widths));
    return true;
  };
  if (too_narrow(Axis::stored_input_bits, place.least_input) ||
      (has_second && too_narrow(Axis::stored_second_bits, point.stored_inputs.at(1)))) {
    return;
  }
  for (const GridAxis& axis : grid.axes) {
    const std::vector<double>& points = axis.points;
    const double at = value(axis.axis);
    const bool inside = points.front() <= at && at <= points.back();
    const bool is_point = std::find(points.begin(), points.end(), at) != points.end();
    bool known = is_point;
    bool between = false;
    switch (axis.axis) {
      case Axis::stored_input_bits:
        // A machine's report says one width for all inputs: a single point need not be the mean.
        between = place.mixed_inputs;
        known = !between ? is_point
                : points.size() == 1
                    ? place.least_input <= points.front() && points.front() <= place.greatest_input
                    : inside;
        break;
      case Axis::input_on_chip:
        // The greatest point is where all that fit are on chip, at equal widths: their share of the
        // bits is greater where they are wider than what stays in DRAM.
        between = place.mixed_homes;
        known = between ? points.front() <= at && points.back() > 0 : is_point;
        break;
      case Axis::stored_second_bits:
      case Axis::second_on_chip:
        known = is_point || !has_second;
        break;
      case Axis::input_share:
      case Axis::output_share:
        between = true;
        known = inside;
        break;
      case Axis::weight_bits:
      case Axis::activation_bits:
      case Axis::stored_output_bits:
      case Axis::output_on_chip:
        break;
    }
    if (known) continue;
    if (grid.equal_widths && axis.axis == Axis::activation_bits) {
      mistakes.error(layer.name,
                     "expected weight_bits and activation_bits of which the greater is " +
                         point_list(points) + ", got " + width_text(point.widths));
      continue;
    }
    mistakes.error(layer.name, "expected " + std::string(to_string(axis.axis)) + " of " +
                                   (between ? range_text(points) : point_list(points)) + ", got " +
                                   format_number(at));
  }
}

PointCost TableCostModel::look_up(const LayerPoint& point, std::size_t row,
                                  Mistakes& mistakes) const {
  const Layer& layer = network_.layers()[point.layer];
  const Place place = place_of(point, row);
  check(point, row, place, mistakes);
  double share = 1;
  if (!table_.has(Axis::output_share)) share *= point.output_share;
  if (!table_.has(Axis::input_share) && !has_one_share(layer)) share *= point.input_share;
  PointCost cost;
  cost.values.reserve(table_.metrics.size());
  for (std::size_t metric = 0; metric < table_.metrics.size(); ++metric) {
    cost.values.push_back(share * interpolate(grids_[row], metric, place.at));
  }
  return cost;
}

std::vector<PointCost> TableCostModel::whole_costs(std::span<const LayerPoint> points) const {
  Mistakes mistakes(table_);
  std::vector<PointCost> costs(points.size(), nothing());
  const auto& layers = network_.layers();
  const auto all = std::count_if(layers.begin(), layers.end(),
                                 [](const Layer& layer) { return has_macs(layer.kind); });
  for (std::size_t begin = 0; begin < points.size();) {
    std::size_t end = begin + 1;
    while (end < points.size() && points[end].layer > points[end - 1].layer) ++end;
    const std::span<const LayerPoint> network = points.subspan(begin, end - begin);
    const LayerPoint* asks = nullptr;  // has the widths of all
    std::ptrdiff_t count = 0;
    for (const LayerPoint& point : network) {
      const Layer& layer = layers[point.layer];
      if (!has_macs(layer.kind)) continue;
      ++count;
      if (asks == nullptr || (layers[asks->layer].weights == 0 && layer.weights > 0)) asks = &point;
    }
    if (count != all) {
      mistakes.error("", "expected points of all " + std::to_string(all) +
                             " layers with multiply-accumulates, since the table has only the "
                             "whole network, got " +
                             std::to_string(count));
      begin = end;
      continue;
    }
    for (std::size_t i = 0; i < network.size(); ++i) {
      const LayerPoint& point = network[i];
      const Layer& layer = layers[point.layer];
      if (!has_macs(layer.kind)) continue;
      const bool same = point.widths.activation == asks->widths.activation &&
                        (layer.weights == 0 || point.widths.weight == asks->widths.weight);
      if (!same) {
        mistakes.error(layer.name, "expected " + width_text(asks->widths) + " as " +
                                       quoted_value(layers[asks->layer].name) +
                                       " has, since the table has only the whole network, got " +
                                       width_text(point.widths));
      }
      if (point.input_share != 1 || point.output_share != 1) {
        mistakes.error(layer.name,
                       "expected all channels, since the table has only the whole network");
      }
      if (row_of_[point.layer] != kCostsNothing) costs[begin + i] = look_up(*asks, 0, mistakes);
    }
    begin = end;
  }
  mistakes.throw_if_any();
  return costs;
}

}  // namespace widthwise
