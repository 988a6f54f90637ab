#include "models/table/channel_cost.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <ranges>
#include <utility>

#include "models/base/error.hpp"
#include "models/cost/cost_model.hpp"
#include "models/table/bound_terms.hpp"

namespace widthwise {

namespace {

using SlotId = std::ptrdiff_t;
constexpr SlotId kAllLeft = -1;

/// The part of a channel that is left.
double left_of(double bits) { return std::clamp(bits, 0.0, 1.0); }

/// What is left of every tensor's channels: slots of values, one per channel, that operations fill
/// in execution order. Tensors whose channels are the same share a slot.
class ChannelTrace {
 public:
  /// `channels_of`: per layer of the network, the first of its channels; none: they can not be
  /// pruned.
  ChannelTrace(const Network& network, const std::vector<std::optional<std::size_t>>& channels_of)
      : network_(network), tensors_(network.tensors().size()) {
    for (LayerId id = 0; id < network.layers().size(); ++id) {
      const Layer& layer = network.layers()[id];
      tensors_[layer.output] = layer.compute ? computed(layer, channels_of[id]) : passed_on(layer);
    }
  }

  [[nodiscard]] std::size_t slots() const { return begins_.size() - 1; }
  [[nodiscard]] std::size_t size() const { return begins_.back(); }
  [[nodiscard]] SlotId slot(TensorId tensor) const { return tensors_[tensor].slot; }
  [[nodiscard]] std::size_t begin(SlotId slot) const {
    return begins_[static_cast<std::size_t>(slot)];
  }
  [[nodiscard]] std::size_t count(SlotId slot) const {
    return begins_[static_cast<std::size_t>(slot) + 1] - begin(slot);
  }

  /// The slot of the channels that a layer with multiply-accumulates reads.
  [[nodiscard]] SlotId read_by(const Layer& layer) const {
    const TensorId tensor = layer.inputs.front();
    const Traced& input = tensors_[tensor];
    if (input.slot == kAllLeft) return kAllLeft;
    const ComputeShape& shape = *layer.compute;
    const std::vector<std::int64_t>& sizes = network_.tensors()[tensor].shape;
    const auto channels = static_cast<std::int64_t>(count(input.slot));
    switch (layer.kind) {
      case LayerKind::convolution:
        return input.axis == 1 && channels == shape.groups * shape.in_channels ? input.slot
                                                                               : kAllLeft;
      case LayerKind::fully_connected: {
        // The last axis, or all of them but the batch in one.
        const bool last = input.axis + 1 == sizes.size() && channels == shape.in_channels;
        const bool flat = network_.tensors()[tensor].elements() == sizes[0] * shape.in_channels;
        return shape.groups == 1 && (last || flat) ? input.slot : kAllLeft;
      }
      case LayerKind::recurrent:
        return input.axis + 1 == sizes.size() && channels == shape.in_channels ? input.slot
                                                                               : kAllLeft;
      default:
        return kAllLeft;
    }
  }

  static bool is_depthwise(const Layer& layer) {
    return layer.kind == LayerKind::convolution && layer.compute->groups > 1 &&
           layer.compute->in_channels == 1;
  }

  void fill(std::span<const double> channel_bits, std::span<double> left) const {
    for (const Operation& operation : operations_) {
      double* const out = &left[begin(operation.output)];
      const std::size_t size = count(operation.output);
      switch (operation.kind) {
        case Operation::Kind::own:
          for (std::size_t c = 0; c < size; ++c)
            out[c] = left_of(channel_bits[operation.channels + c]);
          for (const Part& part : operation.parts) {
            for_each(part, [&](std::size_t c, std::size_t from) { out[c] *= left[from]; });
          }
          break;
        case Operation::Kind::all:
          std::fill(out, out + size, 1.0);
          for (const Part& part : operation.parts) {
            for_each(part, [&](std::size_t c, std::size_t from) { out[c] *= left[from]; });
          }
          break;
        case Operation::Kind::any:
          std::fill(out, out + size, 1.0);
          for (const Part& part : operation.parts) {
            for_each(part, [&](std::size_t c, std::size_t from) { out[c] *= 1 - left[from]; });
          }
          for (std::size_t c = 0; c < size; ++c) out[c] = 1 - out[c];
          break;
        case Operation::Kind::join: {
          std::size_t first = 0;
          for (const Part& part : operation.parts) {
            if (part.slot == kAllLeft) {
              std::fill(out + first, out + first + part.count, 1.0);
            } else {
              for_each(part, [&](std::size_t c, std::size_t from) { out[first + c] = left[from]; });
            }
            first += part.count;
          }
          break;
        }
      }
    }
  }

  /// `adjoint`: derivatives by the slots' values; becomes those by all that they come from.
  void pass_back(std::span<const double> channel_bits, std::span<const double> left,
                 std::span<double> adjoint, std::span<double> channel_gradient) const {
    for (const Operation& operation : std::ranges::reverse_view(operations_)) {
      const double* const out = &adjoint[begin(operation.output)];
      const std::vector<Part>& parts = operation.parts;
      switch (operation.kind) {
        case Operation::Kind::own:
          pass_back_own(operation, channel_bits, left, adjoint, channel_gradient);
          break;
        case Operation::Kind::join: {
          std::size_t first = 0;
          for (const Part& part : parts) {
            if (part.slot != kAllLeft) {
              for_each(part,
                       [&](std::size_t c, std::size_t from) { adjoint[from] += out[first + c]; });
            }
            first += part.count;
          }
          break;
        }
        case Operation::Kind::any:
        case Operation::Kind::all:
          for (const Part& part : parts) {
            for_each(part, [&](std::size_t c, std::size_t from) {
              double others = 1;
              for (const Part& other : parts) {
                if (&other == &part) continue;
                const double value = left[begin(other.slot) + c / other.repeat];
                others *= operation.kind == Operation::Kind::any ? 1 - value : value;
              }
              adjoint[from] += out[c] * others;
            });
          }
          break;
      }
    }
  }

 private:
  struct Traced {
    SlotId slot = kAllLeft;
    std::size_t axis = 1;  // of the tensor's shape that the channels are
  };
  struct Part {
    SlotId slot = kAllLeft;
    std::size_t count = 0;   // of values that it gives
    std::size_t repeat = 1;  // so many values stand for one of the slot's
  };
  struct Operation {
    enum class Kind {
      own,   // channels with widths of their own; of a depthwise layer with the input's as a part
      any,   // left if one of the parts' is
      all,   // left if all of the parts' are
      join,  // one part behind the other
    };
    Kind kind;
    SlotId output;
    std::vector<Part> parts;
    std::size_t channels = 0;  // own: the first of them
  };

  /// `visit` takes (value of the part, value of the part's slot that it is).
  template <class Visit>
  void for_each(const Part& part, Visit&& visit) const {
    std::size_t from = begin(part.slot);
    for (std::size_t c = 0; c < part.count; ++from) {
      for (std::size_t i = 0; i < part.repeat; ++i, ++c) visit(c, from);
    }
  }

  void pass_back_own(const Operation& operation, std::span<const double> channel_bits,
                     std::span<const double> left, std::span<double> adjoint,
                     std::span<double> channel_gradient) const {
    const std::size_t out = begin(operation.output);
    const bool is_wanted = !channel_gradient.empty();
    const auto add = [&](std::size_t c, double slope) {
      const double bits = channel_bits[operation.channels + c];
      if (is_wanted && bits >= 0 && bits < 1) channel_gradient[operation.channels + c] += slope;
    };
    if (operation.parts.empty()) {
      for (std::size_t c = 0; c < count(operation.output); ++c) add(c, adjoint[out + c]);
      return;
    }
    for_each(operation.parts.front(), [&](std::size_t c, std::size_t from) {
      add(c, adjoint[out + c] * left[from]);
      adjoint[from] += adjoint[out + c] * left_of(channel_bits[operation.channels + c]);
    });
  }

  Traced add(Operation::Kind kind, std::size_t count, std::size_t axis, std::vector<Part> parts,
             std::size_t channels = 0) {
    const auto slot = static_cast<SlotId>(slots());
    begins_.push_back(size() + count);
    operations_.push_back({kind, slot, std::move(parts), channels});
    return {slot, axis};
  }

  Traced computed(const Layer& layer, std::optional<std::size_t> channels) {
    const ComputeShape& shape = *layer.compute;
    const SlotId input = read_by(layer);
    const auto per_group = static_cast<std::size_t>(shape.out_channels);
    if (layer.kind == LayerKind::convolution) {
      const auto count = static_cast<std::size_t>(shape.groups) * per_group;
      std::vector<Part> parts;
      if (is_depthwise(layer) && input != kAllLeft) parts.push_back({input, count, per_group});
      if (channels) return add(Operation::Kind::own, count, 1, std::move(parts), *channels);
      if (parts.empty()) return {};
      if (per_group == 1) return {input, 1};
      return add(Operation::Kind::all, count, 1, std::move(parts));
    }
    const std::size_t last = network_.tensors()[layer.output].shape.size() - 1;
    if (layer.kind == LayerKind::fully_connected && shape.groups == 1 && channels && last > 0 &&
        network_.tensors()[layer.output].shape[last] == shape.out_channels) {
      return add(Operation::Kind::own, per_group, last, {}, *channels);
    }
    return {};
  }

  Traced passed_on(const Layer& layer) {
    switch (layer.kind) {
      case LayerKind::pool:
      case LayerKind::normalization:
      case LayerKind::activation:
      case LayerKind::softmax:
        return aligned(layer.inputs.front(), layer.output) ? tensors_[layer.inputs.front()]
                                                           : Traced{};
      case LayerKind::move:
        return moves_channels_as_one(layer) && aligned(layer.inputs.front(), layer.output)
                   ? tensors_[layer.inputs.front()]
                   : Traced{};
      case LayerKind::reduce:
        return reduced(layer);
      case LayerKind::add:
        return combined(layer, Operation::Kind::any);
      case LayerKind::mul:
        return combined(layer, Operation::Kind::all);
      case LayerKind::concat:
        return joined(layer);
      default:
        return {};
    }
  }

  /// Whole channels keep their places.
  static bool moves_channels_as_one(const Layer& layer) {
    constexpr std::string_view kOperators[] = {"slice",    "upsample", "Slice", "Split",
                                               "Upsample", "Resize",   "Pad"};
    return layer.inputs.size() == 1 && std::find(std::begin(kOperators), std::end(kOperators),
                                                 layer.op) != std::end(kOperators);
  }

  /// The channels of `from` are those of `to`, on the same axis. A tensor [batch, channels] goes
  /// with one of more axes: it was reshaped to [batch, channels, 1, 1].
  [[nodiscard]] bool aligned(TensorId from, TensorId to) const {
    const Traced& traced = tensors_[from];
    if (traced.slot == kAllLeft) return false;
    const auto& own = network_.tensors()[from].shape;
    const auto& other = network_.tensors()[to].shape;
    const bool same_rank =
        own.size() == other.size() || (own.size() == 2 && other.size() > 2 && traced.axis == 1);
    return same_rank && static_cast<std::int64_t>(count(traced.slot)) == other[traced.axis];
  }

  Traced combined(const Layer& layer, Operation::Kind kind) {
    std::vector<Part> parts;
    std::size_t axis = 0;
    for (const TensorId input : layer.inputs) {
      const bool known =
          aligned(input, layer.output) && (parts.empty() || axis == tensors_[input].axis);
      if (!known && kind == Operation::Kind::any) return {};
      if (!known) continue;  // all of it is left, which leaves a product as it is
      const Traced& traced = tensors_[input];
      axis = traced.axis;
      if (std::none_of(parts.begin(), parts.end(),
                       [&](const Part& part) { return part.slot == traced.slot; })) {
        parts.push_back({traced.slot, count(traced.slot), 1});
      }
    }
    if (parts.empty()) return {};
    if (parts.size() == 1) return {parts.front().slot, axis};
    const std::size_t size = parts.front().count;
    return add(kind, size, axis, std::move(parts));
  }

  Traced joined(const Layer& layer) {
    const auto& output = network_.tensors()[layer.output].shape;
    std::size_t axis = 0;
    for (const TensorId input : layer.inputs) {
      const Traced& traced = tensors_[input];
      if (traced.slot == kAllLeft) continue;
      if (axis != 0 && traced.axis != axis) return {};
      axis = traced.axis;
    }
    if (axis == 0 || axis >= output.size()) return {};
    std::vector<Part> parts;
    std::int64_t size = 0;
    for (const TensorId input : layer.inputs) {
      const Tensor& tensor = network_.tensors()[input];
      const SlotId slot = tensors_[input].slot;
      std::int64_t values = 0;
      if (tensor.shape.size() == output.size()) {
        for (std::size_t i = 0; i < output.size(); ++i) {
          if (i != axis && tensor.shape[i] != output[i]) return {};
        }
        values = tensor.shape[axis];
      } else if (output.size() == 2 && tensor.shape[0] == output[0]) {  // flattened
        if (slot != kAllLeft && axis != 1) return {};
        values = tensor.elements() / tensor.shape[0];
      } else {
        return {};
      }
      const auto given = static_cast<std::size_t>(values);
      parts.push_back({slot, given, slot == kAllLeft ? 1 : given / count(slot)});
      size += values;
    }
    if (size != output[axis]) return {};
    return add(Operation::Kind::join, static_cast<std::size_t>(size), axis, std::move(parts));
  }

  /// Where the shapes leave no doubt which axes are gone.
  [[nodiscard]] Traced reduced(const Layer& layer) const {
    const TensorId input = layer.inputs.front();
    if (tensors_[input].slot == kAllLeft) return {};
    const auto& from = network_.tensors()[input].shape;
    const auto& to = network_.tensors()[layer.output].shape;
    const std::size_t channels = tensors_[input].axis;
    if (from.size() == to.size()) {
      return aligned(input, layer.output) ? tensors_[input] : Traced{};
    }
    constexpr std::size_t kMostAxes = 8;
    if (from.size() > kMostAxes) return {};
    std::optional<std::size_t> axis;
    for (std::size_t kept = 0; kept < std::size_t{1} << from.size(); ++kept) {
      std::vector<std::int64_t> shape;
      std::size_t lands = to.size();  // none
      for (std::size_t i = 0; i < from.size(); ++i) {
        if ((kept >> i & 1U) == 0) continue;
        if (i == channels) lands = shape.size();
        shape.push_back(from[i]);
      }
      if (shape != to) continue;
      if (lands == to.size() || (axis && *axis != lands)) return {};
      axis = lands;
    }
    return axis ? Traced{tensors_[input].slot, *axis} : Traced{};
  }

  const Network& network_;
  std::vector<Traced> tensors_;
  std::vector<std::size_t> begins_ = {0};  // of the slots, and the end
  std::vector<Operation> operations_;
};

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
