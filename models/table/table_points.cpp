#include "models/table/table_points.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "models/base/error.hpp"
#include "models/base/units.hpp"
#include "models/network/stored_widths.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

namespace {

using Widths = std::vector<BitWidth>;

bool has_scratchpad(const Accelerator& accelerator) {
  return accelerator.memory.scratchpad && accelerator.memory.keep_on_chip &&
         !accelerator.ideal_memory;
}

/// All points of one layer under a request.
class LayerPoints {
 public:
  LayerPoints(const Network& network, const Accelerator& accelerator, const TableRequest& request,
              std::vector<TablePoint>& points)
      : network_(network),
        accelerator_(accelerator),
        request_(request),
        rules_(storage_rules(network, request.output_bits)),
        points_(points) {}

  /// At all widths, stored and homes that the layer can have.
  void add(LayerId id) {
    use(id);
    if (layer_->compute) {
      for (const BitWidth activation : request_.activation_bits) {
        const Widths weights = layer_->weights > 0 ? request_.weight_bits : Widths{activation};
        for (const BitWidth weight : weights) add_stored({weight, activation});
      }
    } else {
      // It reads at the width that its output is stored at.
      for (const BitWidth width : widths_of(layer_->output, 0)) add_stored({width, width});
    }
  }

  /// At these widths, stored and homes alone.
  void add(const LayerPoint& point) {
    use(point.layer);
    add_shares(point);
  }

 private:
  void use(LayerId id) {
    id_ = id;
    layer_ = &network_.layers()[id];
  }

  /// Widths that a tensor can be stored at, if one of its readers asks for `least`.
  [[nodiscard]] Widths widths_of(TensorId tensor, BitWidth least) const {
    const StorageRule& rule = rules_[tensor];
    const BitWidth from = std::max(least, rule.floor);
    std::set<BitWidth> widths;
    if (from > 0) widths.insert(from);
    for (const BitWidth width : request_.activation_bits) {
      if (width >= from && !rule.readers.empty()) widths.insert(width);
    }
    return {widths.begin(), widths.end()};
  }

  /// Of all tensors of a layer without multiply-accumulates.
  [[nodiscard]] std::set<BitWidth> possible_widths() const {
    std::set<BitWidth> widths;
    std::vector<TensorId> tensors = layer_->inputs;
    tensors.push_back(layer_->output);
    for (const TensorId tensor : tensors) {
      for (const BitWidth width : widths_of(tensor, 0)) widths.insert(width);
    }
    return widths;
  }

  /// Of an input that this layer reads at `width`: just that where nobody else has a say.
  [[nodiscard]] Widths input_widths(TensorId tensor, BitWidth width) const {
    const StorageRule& rule = rules_[tensor];
    const bool follows = layer_->compute ? rule.readers.size() == 1 && rule.readers.front() == id_
                                         : rule == rules_[layer_->output];
    return follows ? Widths{std::max(width, rule.floor)} : widths_of(tensor, width);
  }

  [[nodiscard]] bool may_be_on_chip(TensorId id) const {
    const Tensor& tensor = network_.tensors()[id];
    if (!has_scratchpad(accelerator_) || !tensor.producer || tensor.is_output ||
        tensor.consumers.empty()) {
      return false;
    }
    const BitWidth least = std::max(rules_[id].floor, request_.activation_bits.front());
    return bytes_rounded_up(Bits(tensor.elements() * least)) <=
           accelerator_.memory.scratchpad->capacity;
  }

  void add_stored(LayerWidths widths) {
    LayerPoint point;
    point.layer = id_;
    point.widths = widths;
    const auto& inputs = layer_->inputs;
    const bool has_second = layer_->compute && layer_->compute->second_operand_is_activation;
    const std::size_t first_count = has_second ? 1 : inputs.size();
    std::set<BitWidth> first;  // of all inputs alike
    for (std::size_t i = 0; i < first_count; ++i) {
      for (const BitWidth width : input_widths(inputs[i], widths.activation)) first.insert(width);
    }
    if (!layer_->compute && first != std::set<BitWidth>{widths.activation}) {
      // Several inputs count by their mean, which may lie between any two: rows at all widths from
      // this one on, those of the other rows too.
      for (const BitWidth width : possible_widths()) {
        if (width >= widths.activation) first.insert(width);
      }
    }
    const Widths second =
        has_second ? input_widths(inputs[1], widths.activation) : Widths{widths.activation};
    const Widths outputs =
        layer_->compute ? widths_of(layer_->output, 0) : Widths{widths.activation};
    for (const BitWidth in : first) {
      for (const BitWidth in2 : second) {
        for (const BitWidth out : outputs) {
          point.stored_inputs.assign(inputs.size(), in);
          if (has_second) point.stored_inputs[1] = in2;
          point.stored_output = out;
          add_homes(point, first_count);
        }
      }
    }
  }

  void add_homes(LayerPoint point, std::size_t first_count) {
    const auto& inputs = layer_->inputs;
    bool first_may = false;
    for (std::size_t i = 0; i < first_count; ++i)
      first_may = first_may || may_be_on_chip(inputs[i]);
    const bool second_may = first_count < inputs.size() && may_be_on_chip(inputs[1]);
    const bool output_may = may_be_on_chip(layer_->output);
    for (int in = 0; in <= (first_may ? 1 : 0); ++in) {
      for (int in2 = 0; in2 <= (second_may ? 1 : 0); ++in2) {
        for (int out = 0; out <= (output_may ? 1 : 0); ++out) {
          point.input_homes.clear();
          for (std::size_t i = 0; i < inputs.size(); ++i) {
            const bool on_chip = (i < first_count ? in : in2) == 1 && may_be_on_chip(inputs[i]);
            point.input_homes.push_back(on_chip ? Home::scratchpad : Home::dram);
          }
          point.output_home = out == 1 ? Home::scratchpad : Home::dram;
          add_shares(point);
        }
      }
    }
  }

  void add_shares(LayerPoint point) {
    const int steps = request_.channel_steps;
    const bool product = layer_->compute && layer_->compute->second_operand_is_activation;
    const bool grouped = layer_->compute && layer_->compute->groups > 1;
    const bool first =
        !layer_->inputs.empty() && !network_.tensors()[layer_->inputs.front()].producer.has_value();
    const bool passes_on = grouped || !layer_->compute;  // as many channels out as in
    for (int out = product ? steps : 1; out <= steps; ++out) {
      for (int in = product || first || passes_on ? steps : 1; in <= steps; ++in) {
        point.output_share = static_cast<double>(out) / steps;
        point.input_share = passes_on ? point.output_share : static_cast<double>(in) / steps;
        add_point(point);
      }
    }
  }

  void add_point(const LayerPoint& point) {
    AxisValues at{};
    const auto set = [&](Axis axis, double value) { at[index_of(axis)] = value; };
    set(Axis::weight_bits, point.widths.weight);
    set(Axis::activation_bits, point.widths.activation);
    const bool product = layer_->compute && layer_->compute->second_operand_is_activation;
    if (!point.stored_inputs.empty()) set(Axis::stored_input_bits, point.stored_inputs.front());
    set(Axis::stored_second_bits, product ? point.stored_inputs[1] : 0);
    set(Axis::stored_output_bits, point.stored_output);
    double elements = 0;
    double on_chip = 0;
    for (std::size_t i = 0; i < (product ? 1 : layer_->inputs.size()); ++i) {
      const auto count = static_cast<double>(network_.tensors()[layer_->inputs[i]].elements());
      elements += count;
      if (point.input_homes[i] == Home::scratchpad) on_chip += count;
    }
    set(Axis::input_on_chip, elements > 0 ? on_chip / elements : 0);
    set(Axis::second_on_chip, product && point.input_homes[1] == Home::scratchpad ? 1 : 0);
    set(Axis::output_on_chip, point.output_home == Home::scratchpad ? 1 : 0);
    set(Axis::input_share, point.input_share);
    set(Axis::output_share, point.output_share);
    points_.push_back({id_, at, point});
  }

  const Network& network_;
  const Accelerator& accelerator_;
  const TableRequest& request_;
  std::vector<StorageRule> rules_;
  std::vector<TablePoint>& points_;
  LayerId id_ = 0;
  const Layer* layer_ = nullptr;
};

/// A network of the same widths throughout, for each pair of them.
std::vector<LayerPoint> uniform_points(const Network& network, const Accelerator& accelerator,
                                       const TableRequest& request) {
  std::vector<LayerPoint> points;
  std::set<std::tuple<LayerId, BitWidth, BitWidth>> seen;  // some do not depend on both
  for (const BitWidth activation : request.activation_bits) {
    for (const BitWidth weight : request.weight_bits) {
      Assignment uniform;
      uniform.defaults = {weight, activation};
      uniform.output_bits = request.output_bits;
      const WidthPlan widths = resolve_widths(network, uniform);
      for (const LayerPoint& point : layer_points(network, widths, accelerator)) {
        if (seen.emplace(point.layer, point.widths.weight, point.widths.activation).second) {
          points.push_back(point);
        }
      }
    }
  }
  return points;
}

}  // namespace

std::vector<Axis> table_axes(const Accelerator& accelerator, const TableRequest& request) {
  std::vector<Axis> axes{Axis::weight_bits, Axis::activation_bits};
  if (request.stored) {
    for (const Axis axis :
         {Axis::stored_input_bits, Axis::stored_second_bits, Axis::stored_output_bits}) {
      axes.push_back(axis);
    }
    if (has_scratchpad(accelerator)) {
      for (const Axis axis : {Axis::input_on_chip, Axis::second_on_chip, Axis::output_on_chip}) {
        axes.push_back(axis);
      }
    }
  }
  if (request.channel_steps > 1) {
    axes.push_back(Axis::input_share);
    axes.push_back(Axis::output_share);
  }
  return axes;
}

std::vector<TablePoint> table_points(const Network& network, const Accelerator& accelerator,
                                     const TableRequest& request) {
  ensure(!request.weight_bits.empty() && !request.activation_bits.empty() &&
             request.channel_steps >= 1,
         "a table has widths");
  std::vector<TablePoint> points;
  LayerPoints all(network, accelerator, request, points);
  if (request.stored) {
    for (LayerId id = 0; id < network.layers().size(); ++id) all.add(id);
  } else {
    for (const LayerPoint& point : uniform_points(network, accelerator, request)) all.add(point);
  }
  const std::vector<Axis> axes = table_axes(accelerator, request);
  const auto before = [&](const TablePoint& a, const TablePoint& b) {
    if (a.layer != b.layer) return a.layer < b.layer;
    for (const Axis axis : axes) {
      const double x = a.at[index_of(axis)];
      const double y = b.at[index_of(axis)];
      if (x != y) return x < y;
    }
    return false;
  };
  std::stable_sort(points.begin(), points.end(), before);
  return points;
}

MadeTable make_table(MachineCostModel& model, const TableRequest& request) {
  const Network& network = model.network();
  const Accelerator& accelerator = model.accelerator();
  const std::vector<TablePoint> points = table_points(network, accelerator, request);
  std::vector<LayerPoint> asked;
  asked.reserve(points.size());
  for (const TablePoint& point : points) asked.push_back(point.point);
  std::vector<PointCost> costs = model.costs(asked);
  MadeTable made;
  CostTable& table = made.table;
  table.provenance = {{"accelerator", accelerator.name},
                      {"network", network.name()},
                      {"fidelity", std::string(to_string(model.fidelity()))},
                      {"clock_hz", format_number(accelerator.clock.count())},
                      {"form", request.stored ? "stored" : "plain"},
                      {"version", std::string(library_version())},
                      {"model", std::string(model_revision())},
                      {"inputs", to_hex(model.inputs_key())}};
  if (request.output_bits != TableRequest{}.output_bits) {
    table.provenance.emplace_back("output_bits", std::to_string(request.output_bits));
  }
  if (has_scratchpad(accelerator)) {
    table.provenance.emplace_back("scratchpad_bytes",
                                  std::to_string(accelerator.memory.scratchpad->capacity.count()));
  }
  table.axes = table_axes(accelerator, request);
  table.metrics = model.metrics();
  for (const Layer& layer : network.layers()) {
    table.layers.push_back(layer.name);
    table.kinds.emplace_back(to_string(layer.kind));
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    const TablePoint& point = points[i];
    if (!costs[i].failure.empty()) {
      made.failures.push_back(
          {network.layers()[point.layer].name, point.at, std::move(costs[i].failure)});
      continue;
    }
    table.rows.push_back({point.layer, point.at, std::move(costs[i].values), {}});
  }
  if (!made.failures.empty()) {
    table.provenance.emplace_back("incomplete",
                                  std::to_string(made.failures.size()) + " points failed");
  }
  return made;
}

}  // namespace widthwise
