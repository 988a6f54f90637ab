#include "models/table/channel_trace.hpp"

#include <algorithm>
#include <iterator>
#include <ranges>
#include <string_view>

namespace widthwise {

template <class Visit>
void ChannelTrace::for_each(const Part& part, Visit&& visit) const {
  std::size_t from = begin(part.slot);
  for (std::size_t c = 0; c < part.count; ++from) {
    for (std::size_t i = 0; i < part.repeat; ++i, ++c) visit(c, from);
  }
}

ChannelTrace::ChannelTrace(const Network& network,
                           const std::vector<std::optional<std::size_t>>& channels_of)
    : network_(network), tensors_(network.tensors().size()) {
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    const Layer& layer = network.layers()[id];
    tensors_[layer.output] = layer.compute ? computed(layer, channels_of[id]) : passed_on(layer);
  }
}

ChannelTrace::SlotId ChannelTrace::read_by(const Layer& layer) const {
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

bool ChannelTrace::is_depthwise(const Layer& layer) {
  return layer.kind == LayerKind::convolution && layer.compute->groups > 1 &&
         layer.compute->in_channels == 1;
}

void ChannelTrace::fill(std::span<const double> channel_bits, std::span<double> left) const {
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

void ChannelTrace::pass_back(std::span<const double> channel_bits, std::span<const double> left,
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

void ChannelTrace::pass_back_own(const Operation& operation, std::span<const double> channel_bits,
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

ChannelTrace::Traced ChannelTrace::add(Operation::Kind kind, std::size_t count, std::size_t axis,
                                       std::vector<Part> parts, std::size_t channels) {
  const auto slot = static_cast<SlotId>(slots());
  begins_.push_back(size() + count);
  operations_.push_back({kind, slot, std::move(parts), channels});
  return {slot, axis};
}

ChannelTrace::Traced ChannelTrace::computed(const Layer& layer,
                                            std::optional<std::size_t> channels) {
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

ChannelTrace::Traced ChannelTrace::passed_on(const Layer& layer) {
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

bool ChannelTrace::moves_channels_as_one(const Layer& layer) {
  constexpr std::string_view kOperators[] = {"slice",    "upsample", "Slice", "Split",
                                             "Upsample", "Resize",   "Pad"};
  return layer.inputs.size() == 1 &&
         std::find(std::begin(kOperators), std::end(kOperators), layer.op) != std::end(kOperators);
}

bool ChannelTrace::aligned(TensorId from, TensorId to) const {
  const Traced& traced = tensors_[from];
  if (traced.slot == kAllLeft) return false;
  const auto& own = network_.tensors()[from].shape;
  const auto& other = network_.tensors()[to].shape;
  const bool same_rank =
      own.size() == other.size() || (own.size() == 2 && other.size() > 2 && traced.axis == 1);
  return same_rank && static_cast<std::int64_t>(count(traced.slot)) == other[traced.axis];
}

ChannelTrace::Traced ChannelTrace::combined(const Layer& layer, Operation::Kind kind) {
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

ChannelTrace::Traced ChannelTrace::joined(const Layer& layer) {
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

ChannelTrace::Traced ChannelTrace::reduced(const Layer& layer) const {
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

}  // namespace widthwise
