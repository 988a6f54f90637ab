#include "train/width_plan_cost.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "models/base/error.hpp"
#include "models/cost/plan.hpp"
#include "models/table/channel_trace.hpp"

namespace widthwise {

namespace {

using SlotId = ChannelTrace::SlotId;

/// The widths of every output channel of every layer with constant weights, and what they leave.
class Channels {
 public:
  Channels(const Network& network, std::span<const LayerChoice> choices)
      : network_(network), channels_of_(network.layers().size()) {
    for (const LayerChoice& choice : choices) {
      const Layer& layer = network.layers().at(choice.layer);
      if (layer.weights == 0) continue;
      const auto count =
          static_cast<std::size_t>(layer.compute->groups * layer.compute->out_channels);
      ensure(choice.weight_bits.size() == 1 || choice.weight_bits.size() == count,
             "a layer has one weight width, or one per output channel");
      channels_of_[choice.layer] = bits_.size();
      for (std::size_t c = 0; c < count; ++c) {
        const BitWidth bits = choice.weight_bits[choice.weight_bits.size() == 1 ? 0 : c];
        ensure(bits >= 0, "a width is not negative");
        bits_.push_back(bits);
      }
    }
    trace_.emplace(network, channels_of_);
    left_.resize(trace_->size());
    trace_->fill(bits_, left_);
  }

  [[nodiscard]] bool are_all_left() const {
    return std::all_of(left_.begin(), left_.end(), [](double left) { return left > 0; });
  }

  /// The share of a tensor's channels that is left.
  [[nodiscard]] double share(TensorId tensor) const { return share_of(trace_->slot(tensor)); }

  /// Of what a layer reads: of several inputs by their elements.
  [[nodiscard]] double input_share(const Layer& layer) const {
    if (layer.compute) return share_of(trace_->read_by(layer));
    double all = 0;
    double lost = 0;
    for (const TensorId input : layer.inputs) {
      const auto elements = static_cast<double>(network_.tensors()[input].elements());
      all += elements;
      lost += elements * (1 - share(input));
    }
    return all > 0 ? 1 - lost / all : 1;
  }

  /// Channels that are computed, by their width; of all, with those that are not. Empty for layers
  /// without constant weights.
  [[nodiscard]] std::map<BitWidth, std::int64_t> computed(LayerId id) const {
    std::map<BitWidth, std::int64_t> counts;
    if (!channels_of_[id]) return counts;
    const Layer& layer = network_.layers()[id];
    const auto per_group = static_cast<std::size_t>(layer.compute->out_channels);
    const auto count = static_cast<std::size_t>(layer.compute->groups) * per_group;
    // A depthwise channel goes with the input's.
    const SlotId source =
        ChannelTrace::is_depthwise(layer) ? trace_->read_by(layer) : ChannelTrace::kAllLeft;
    for (std::size_t c = 0; c < count; ++c) {
      const auto bits = static_cast<BitWidth>(bits_[*channels_of_[id] + c]);
      const bool has_input =
          source == ChannelTrace::kAllLeft || left_[trace_->begin(source) + c / per_group] > 0;
      if (bits > 0 && has_input) ++counts[bits];
    }
    return counts;
  }

 private:
  [[nodiscard]] double share_of(SlotId slot) const {
    if (slot == ChannelTrace::kAllLeft) return 1;
    const std::size_t count = trace_->count(slot);
    double sum = 0;
    for (std::size_t c = 0; c < count; ++c) sum += left_[trace_->begin(slot) + c];
    return sum / static_cast<double>(count);
  }

  const Network& network_;
  std::vector<std::optional<std::size_t>> channels_of_;  // per layer
  std::vector<double> bits_;                             // per channel
  std::optional<ChannelTrace> trace_;
  std::vector<double> left_;
};

/// A rule per layer: its greatest width, of which only storage and the activation width matter.
Assignment assignment_of(const Network& network, std::span<const LayerChoice> choices,
                         BitWidth output_bits) {
  Assignment assignment;
  assignment.name = "widths";
  assignment.output_bits = output_bits;
  std::vector<bool> is_chosen(network.layers().size(), false);
  for (const LayerChoice& choice : choices) {
    const Layer& layer = network.layers().at(choice.layer);
    ensure(has_macs(layer.kind) && !is_chosen[choice.layer],
           "a choice is of a layer with multiply-accumulates, each once");
    is_chosen[choice.layer] = true;
    WidthRule rule{layer.name, std::nullopt, choice.activation_bits, {}};
    if (layer.weights > 0 && !choice.weight_bits.empty()) {
      rule.weight =
          std::max(1, *std::max_element(choice.weight_bits.begin(), choice.weight_bits.end()));
    }
    assignment.rules.push_back(std::move(rule));
  }
  for (LayerId id = 0; id < is_chosen.size(); ++id) {
    ensure(is_chosen[id] || !has_macs(network.layers()[id].kind),
           "every layer with multiply-accumulates has a choice");
  }
  return assignment;
}

/// Where what is left of the tensors lies.
void place_again(const Network& network, const Accelerator& accelerator, const WidthPlan& widths,
                 const Channels& channels, std::vector<LayerPoint>& points) {
  const auto& memory = accelerator.memory;
  if (!memory.scratchpad || !memory.keep_on_chip || accelerator.ideal_memory) return;
  std::vector<double> bits(widths.stored.begin(), widths.stored.end());
  for (TensorId tensor = 0; tensor < bits.size(); ++tensor) bits[tensor] *= channels.share(tensor);
  const std::vector<Home> homes =
      place_tensors(network, bits, static_cast<double>(memory.scratchpad->capacity.count()));
  for (LayerPoint& point : points) {
    const Layer& layer = network.layers()[point.layer];
    point.output_home = homes[layer.output];
    for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
      point.input_homes[i] = homes[layer.inputs[i]];
    }
  }
}

}  // namespace

std::vector<LayerPoint> choice_points(const Network& network, const Accelerator& accelerator,
                                      std::span<const LayerChoice> choices, BitWidth output_bits) {
  const WidthPlan widths = resolve_widths(network, assignment_of(network, choices, output_bits));
  std::vector<LayerPoint> whole = layer_points(network, widths, accelerator);
  const Channels channels(network, choices);
  if (!channels.are_all_left()) place_again(network, accelerator, widths, channels, whole);

  std::vector<LayerPoint> points;
  for (LayerPoint& point : whole) {
    const Layer& layer = network.layers()[point.layer];
    point.input_share = channels.input_share(layer);
    if (!(point.input_share > 0)) continue;
    if (layer.weights == 0 || !layer.compute) {
      point.output_share = channels.share(layer.output);
      if (point.output_share > 0) points.push_back(std::move(point));
      continue;
    }
    const auto all = static_cast<double>(layer.compute->groups * layer.compute->out_channels);
    for (const auto& [bits, count] : channels.computed(point.layer)) {
      LayerPoint& pass = points.emplace_back(point);
      pass.widths.weight = bits;
      pass.output_share = static_cast<double>(count) / all;
    }
  }
  return points;
}

ChoiceCost choice_cost(const Network& network, CostModel& model, const Accelerator& accelerator,
                       std::span<const LayerChoice> choices, BitWidth output_bits) {
  const std::vector<LayerPoint> points = choice_points(network, accelerator, choices, output_bits);
  const std::vector<PointCost> costs = model.costs(points);
  ensure(costs.size() == points.size(), "a model answers every point");
  ChoiceCost result;
  result.metrics = model.metrics();
  result.totals.assign(result.metrics.size(), 0);
  for (const Layer& layer : network.layers()) result.layers.push_back(layer.name);
  result.by_layer.assign(result.layers.size(), std::vector<double>(result.metrics.size()));
  Diagnostics problems;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!costs[i].failure.empty()) {
      problems.error({"layer '" + result.layers[points[i].layer] + "'"}, "",
                     "could not be costed: " + costs[i].failure);
      continue;
    }
    for (std::size_t m = 0; m < result.metrics.size(); ++m) {
      result.totals[m] += costs[i].values[m];
      result.by_layer[points[i].layer][m] += costs[i].values[m];
    }
  }
  problems.throw_if_any();
  return result;
}

}  // namespace widthwise
