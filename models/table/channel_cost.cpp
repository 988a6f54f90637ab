#include "models/table/channel_cost.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "models/base/error.hpp"
#include "models/cost/cost_model.hpp"
#include "models/table/bound_terms.hpp"
#include "models/table/channel_trace.hpp"

namespace widthwise {

namespace {

using SlotId = ChannelTrace::SlotId;
constexpr SlotId kAllLeft = ChannelTrace::kAllLeft;

/// What a term's shares of channels are.
struct TermChannels {
  std::vector<std::pair<SlotId, double>> inputs;  // with their shares of the elements read
  SlotId output = kAllLeft;                       // of a layer without multiply-accumulates
  std::size_t begin = 0, count = 0;               // channels with widths of their own
  SlotId source = kAllLeft;                       // of a depthwise layer: the input's channels
  std::size_t repeat = 1;                         // own channels per channel of it
  double least_input = 1, least_output = 1;       // below, the cost falls in proportion
  bool input_counts = false;                      // in that proportion
  std::size_t top = 1;                            // a greater width costs as much
};

struct Scratch {
  StoredTensors tensors;
  std::vector<double> left, adjoint;        // per value of a slot
  std::vector<double> means, mean_adjoint;  // per slot
  std::vector<double> tensors_left;         // per tensor
  std::vector<double> counts, values;       // channels of so many bits; what one more costs
  std::vector<unsigned char> is_wanted;     // per width
};

/// Where a channel's width lies: between the whole widths `below` and `below + 1`.
struct ChannelCell {
  std::size_t below = 0;
  double fraction = 0;
  bool moves = false;  // a little more or less makes a difference
};

ChannelCell locate_channel(double bits, std::size_t top) {
  const auto greatest = static_cast<double>(top);
  if (!(bits >= 0)) return {};
  if (bits >= greatest) return {top - 1, 1, bits == greatest && top > 1};
  const auto below = static_cast<std::size_t>(static_cast<std::int64_t>(bits));
  return {below, bits - static_cast<double>(below), true};
}

double least_share(const LayerGrid& grid, Axis axis) {
  for (const GridAxis& own : grid.axes) {
    if (own.axis != axis) continue;
    if (!(own.points.front() > 0)) {
      throw InputError({}, std::string(to_string(axis)), "expected shares of channels above 0");
    }
    return own.points.front();
  }
  return 1;
}

/// The greatest weight width that makes a difference, in whole bits.
std::size_t top_width(const BoundTerm& term) {
  const auto* points =
      term.flat.points(term.equal_widths ? Axis::activation_bits : Axis::weight_bits);
  return points == nullptr ? 1 : static_cast<std::size_t>(std::max(1.0, std::ceil(points->back())));
}

}  // namespace

struct ChannelCost::Data {
  Data(NetworkBinding binding, std::size_t metric);

  [[nodiscard]] double evaluate(std::span<const double> channel_bits,
                                std::span<const double> activation_bits,
                                std::span<double> channel_gradient,
                                std::span<double> activation_gradient, bool wants_gradient) const;

  /// Costs of one layer, added to the adjoints where wanted.
  double weighted_cost(std::size_t index, std::span<const double> channel_bits,
                       std::span<const double> activation_bits, std::span<double> channel_gradient,
                       std::span<double> activation_gradient, bool wants_gradient,
                       Scratch& scratch) const;
  double unweighted_cost(std::size_t index, std::span<const double> activation_bits,
                         std::span<double> activation_gradient, bool wants_gradient,
                         Scratch& scratch) const;

  [[nodiscard]] double mean_left(SlotId slot, const Scratch& scratch) const {
    return slot == kAllLeft ? 1 : scratch.means[static_cast<std::size_t>(slot)];
  }
  [[nodiscard]] double input_share(const TermChannels& term, const Scratch& scratch) const {
    if (term.inputs.size() == 1) return mean_left(term.inputs.front().first, scratch);
    double lost = 0;
    for (const auto& [slot, share] : term.inputs) {
      lost += share * (1 - mean_left(slot, scratch));
    }
    return 1 - lost;
  }
  static void add_mean(SlotId slot, double value, Scratch& scratch) {
    if (slot != kAllLeft) scratch.mean_adjoint[static_cast<std::size_t>(slot)] += value;
  }

  BoundTerms terms;
  Network network;
  std::vector<std::string> variables;
  std::vector<std::size_t> offsets;
  std::optional<ChannelTrace> trace;
  std::vector<TermChannels> channels;  // per term
};

ChannelCost::Data::Data(NetworkBinding binding, std::size_t metric)
    : terms(binding, metric), network(*binding.network), variables(std::move(binding.variables)) {
  std::vector<std::optional<std::size_t>> channels_of(network.layers().size());
  std::vector<LayerId> layer_of;
  offsets.push_back(0);
  for (const std::string& variable : variables) {
    const LayerId id = network.find_layer(variable).value();
    const Layer& layer = network.layers()[id];
    layer_of.push_back(id);
    std::size_t count = 0;
    if (layer.weights > 0) {
      channels_of[id] = offsets.back();
      count = static_cast<std::size_t>(layer.compute->groups * layer.compute->out_channels);
    }
    offsets.push_back(offsets.back() + count);
  }
  trace.emplace(network, channels_of);

  for (const BoundTerm& term : terms.terms()) {
    const LayerGrid& grid = binding.grids[term.layer.grid];
    TermChannels& own = channels.emplace_back();
    own.least_input = least_share(grid, Axis::input_share);
    own.least_output = least_share(grid, Axis::output_share);
    own.top = top_width(term);
    if (term.layer.own < 0) {
      own.output = trace->slot(static_cast<TensorId>(term.layer.output));
      for (const auto& [tensor, share] : term.layer.inputs) {
        own.inputs.emplace_back(trace->slot(tensor), share);
      }
      continue;
    }
    const auto variable = static_cast<std::size_t>(term.layer.own);
    const Layer& layer = network.layers()[layer_of[variable]];
    own.inputs = {{trace->read_by(layer), 1.0}};
    own.input_counts = layer.compute->groups == 1 && !grid.input_share_follows;
    own.begin = offsets[variable];
    own.count = offsets[variable + 1] - offsets[variable];
    if (ChannelTrace::is_depthwise(layer)) {
      own.source = own.inputs.front().first;
      own.repeat = static_cast<std::size_t>(layer.compute->out_channels);
    }
  }
}

double ChannelCost::Data::weighted_cost(std::size_t index, std::span<const double> channel_bits,
                                        std::span<const double> activation_bits,
                                        std::span<double> channel_gradient,
                                        std::span<double> activation_gradient, bool wants_gradient,
                                        Scratch& scratch) const {
  const BoundTerm& term = terms.terms()[index];
  const TermChannels& own = channels[index];
  const std::size_t top = own.top;
  std::vector<double>& counts = scratch.counts;
  std::vector<double>& values = scratch.values;
  std::vector<unsigned char>& is_wanted = scratch.is_wanted;
  counts.assign(top + 1, 0);
  values.assign(top + 1, 0);
  is_wanted.assign(top + 1, 0);
  // Of a depthwise layer, `repeat` channels go with each of the input's.
  const double* const source =
      own.source == kAllLeft ? nullptr : &scratch.left[trace->begin(own.source)];
  double left = 0;
  for (std::size_t c = own.begin, from = 0; c < own.begin + own.count; ++from) {
    const double part = source == nullptr ? 1 : source[from];
    for (std::size_t i = 0; i < own.repeat; ++i, ++c) {
      const ChannelCell cell = locate_channel(channel_bits[c], top);
      counts[cell.below] += part * (1 - cell.fraction);
      counts[cell.below + 1] += part * cell.fraction;
      is_wanted[cell.below] = is_wanted[cell.below + 1] = 1;
      left += part * left_of(channel_bits[c]);
    }
  }

  const auto all = static_cast<double>(own.count);
  const double output_share = left / all;
  const double share = input_share(own, scratch);
  const bool output_falls = output_share < own.least_output;
  const bool input_falls = own.input_counts && share < own.least_input;
  const double input_factor = input_falls ? share / own.least_input : 1;
  // A channel's part of the layer; where the cost falls with the channels left, of a fixed number.
  const double whole = output_falls ? all * own.least_output : left;

  TermPlace place;
  FlatGrid::Cells cells;
  AxisValues slopes;
  const double activation = term.activation(activation_bits, scratch.tensors);
  double mean = 0;  // over the channels left, of the whole layer's cost at their widths
  double by_input = 0;
  double by_output = 0;
  for (std::size_t bits = 1; bits <= top; ++bits) {
    if (!(counts[bits] > 0 || (wants_gradient && is_wanted[bits] != 0))) continue;
    const auto weight = static_cast<double>(bits);
    term.place(weight, activation, scratch.tensors, place);
    place.at[index_of(Axis::input_share)] = share;
    place.at[index_of(Axis::output_share)] = output_share;
    term.flat.locate_all(place.at, cells);
    term.flat.locate_constant(Axis::weight_bits, weight, cells);
    values[bits] = term.flat.value(cells, wants_gradient ? &slopes : nullptr);
    const double part = counts[bits] / whole;
    mean += part * values[bits];
    if (!wants_gradient) continue;
    by_input += part * slopes[index_of(Axis::input_share)];
    by_output += part * slopes[index_of(Axis::output_share)];
    // Differences between whole widths speak for the weights: the activation width gets all where
    // it is not the lesser one.
    const double lesser = activation >= weight ? -1 : weight;
    term.pass_on(place, lesser, slopes, part * input_factor, scratch.tensors, activation_gradient);
  }
  const double cost = input_factor * mean;
  if (!wants_gradient) return cost;

  add_mean(own.inputs.front().first, input_falls ? mean / own.least_input : by_input, scratch);
  const double with_all = output_falls ? 0 : input_factor * by_output / all - cost / left;
  for (std::size_t bits = 1; bits <= top; ++bits) {
    values[bits] = input_factor * values[bits] / whole + with_all;
  }
  for (std::size_t c = own.begin, from = 0; c < own.begin + own.count; ++from) {
    const double part = source == nullptr ? 1 : source[from];
    for (std::size_t i = 0; i < own.repeat; ++i, ++c) {
      const ChannelCell cell = locate_channel(channel_bits[c], top);
      const double low = values[cell.below];
      const double high = values[cell.below + 1];
      if (cell.moves && !channel_gradient.empty()) channel_gradient[c] += part * (high - low);
      if (source != nullptr) {
        scratch.adjoint[trace->begin(own.source) + from] +=
            (1 - cell.fraction) * low + cell.fraction * high;
      }
    }
  }
  return cost;
}

double ChannelCost::Data::unweighted_cost(std::size_t index,
                                          std::span<const double> activation_bits,
                                          std::span<double> activation_gradient,
                                          bool wants_gradient, Scratch& scratch) const {
  const BoundTerm& term = terms.terms()[index];
  const TermChannels& own = channels[index];
  const double share = input_share(own, scratch);
  const double output_share = mean_left(own.output, scratch);
  const bool output_falls = output_share < own.least_output;
  const double factor = output_falls ? output_share / own.least_output : 1;
  const double activation = term.activation(activation_bits, scratch.tensors);
  TermPlace place;
  FlatGrid::Cells cells;
  AxisValues slopes;
  term.place(activation, activation, scratch.tensors, place);
  place.at[index_of(Axis::input_share)] = share;
  place.at[index_of(Axis::output_share)] = output_share;
  term.flat.locate_all(place.at, cells);
  const double whole = term.flat.value(cells, wants_gradient ? &slopes : nullptr);
  if (!wants_gradient) return factor * whole;

  term.pass_on(place, activation, slopes, factor, scratch.tensors, activation_gradient);
  for (const auto& [slot, of_inputs] : own.inputs) {
    add_mean(slot, factor * of_inputs * slopes[index_of(Axis::input_share)], scratch);
  }
  add_mean(own.output,
           output_falls ? whole / own.least_output : slopes[index_of(Axis::output_share)], scratch);
  return factor * whole;
}

double ChannelCost::Data::evaluate(std::span<const double> channel_bits,
                                   std::span<const double> activation_bits,
                                   std::span<double> channel_gradient,
                                   std::span<double> activation_gradient,
                                   bool wants_gradient) const {
  thread_local Scratch scratch;
  scratch.left.resize(trace->size());
  scratch.means.resize(trace->slots());
  trace->fill(channel_bits, scratch.left);
  for (std::size_t slot = 0; slot < scratch.means.size(); ++slot) {
    const auto id = static_cast<SlotId>(slot);
    double sum = 0;
    for (std::size_t c = 0; c < trace->count(id); ++c) sum += scratch.left[trace->begin(id) + c];
    scratch.means[slot] = sum / static_cast<double>(trace->count(id));
  }
  scratch.tensors_left.resize(network.tensors().size());
  for (TensorId tensor = 0; tensor < scratch.tensors_left.size(); ++tensor) {
    scratch.tensors_left[tensor] = mean_left(trace->slot(tensor), scratch);
  }
  terms.store(activation_bits, scratch.tensors, scratch.tensors_left);
  if (wants_gradient) {
    scratch.adjoint.assign(trace->size(), 0);
    scratch.mean_adjoint.assign(trace->slots(), 0);
  }

  double total = 0;
  for (std::size_t index = 0; index < channels.size(); ++index) {
    total +=
        channels[index].count > 0
            ? weighted_cost(index, channel_bits, activation_bits, channel_gradient,
                            activation_gradient, wants_gradient, scratch)
            : unweighted_cost(index, activation_bits, activation_gradient, wants_gradient, scratch);
  }
  if (!wants_gradient) return total;
  for (std::size_t slot = 0; slot < scratch.means.size(); ++slot) {
    const auto id = static_cast<SlotId>(slot);
    const double each = scratch.mean_adjoint[slot] / static_cast<double>(trace->count(id));
    for (std::size_t c = 0; c < trace->count(id); ++c)
      scratch.adjoint[trace->begin(id) + c] += each;
  }
  trace->pass_back(channel_bits, scratch.left, scratch.adjoint, channel_gradient);
  return total;
}

ChannelCost::ChannelCost(NetworkBinding binding, std::string_view metric) {
  const std::size_t index = metric_index(binding.metrics, metric);
  const bool has_layers =
      binding.network && std::all_of(binding.variables.begin(), binding.variables.end(),
                                     [&](const std::string& variable) {
                                       return binding.network->find_layer(variable).has_value();
                                     });
  if (!has_layers) {
    throw InputError({}, "", "expected a table of a network's layers for costs by channel");
  }
  data_ = std::make_shared<const Data>(std::move(binding), index);
}

const std::vector<std::string>& ChannelCost::variables() const { return data_->variables; }

const std::vector<std::size_t>& ChannelCost::offsets() const { return data_->offsets; }

double ChannelCost::evaluate(std::span<const double> channel_bits,
                             std::span<const double> activation_bits,
                             std::span<double> channel_gradient,
                             std::span<double> activation_gradient) const {
  const std::size_t channels = data_->offsets.back();
  const std::size_t count = data_->variables.size();
  ensure(channel_bits.size() == channels && activation_bits.size() == count,
         "there is a width per channel and one per variable");
  ensure((channel_gradient.empty() || channel_gradient.size() == channels) &&
             (activation_gradient.empty() || activation_gradient.size() == count),
         "a gradient has an entry per width");
  const auto is_finite = [](double bits) { return std::isfinite(bits); };
  ensure(std::all_of(channel_bits.begin(), channel_bits.end(), is_finite) &&
             std::all_of(activation_bits.begin(), activation_bits.end(), is_finite),
         "widths are finite");
  std::fill(channel_gradient.begin(), channel_gradient.end(), 0.0);
  std::fill(activation_gradient.begin(), activation_gradient.end(), 0.0);
  return data_->evaluate(channel_bits, activation_bits, channel_gradient, activation_gradient,
                         !channel_gradient.empty() || !activation_gradient.empty());
}

}  // namespace widthwise
