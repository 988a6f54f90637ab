// What is left of every tensor's channels when output channels of some layers are pruned.
//
// As many as the tensor's producer has; a sum's channel is left if one of its operands' is, a
// product's if all are; a depthwise channel if its own width and its input are; pools, activations
// and the like pass on what they read; concatenations put channels behind each other. A fully
// connected layer reads as many features of each channel as the channel has elements. Channels that
// count in part (widths between 0 and 1) are left independently of each other: of a sum of halves
// three quarters are. Where channels can not be traced (transposed or reshaped tensors, recurrent
// layers, matrix products of activations) all count as left (errs high).
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "models/network/network.hpp"

namespace widthwise {

/// The part of a channel that is left.
inline double left_of(double bits) { return std::clamp(bits, 0.0, 1.0); }

/// Slots of values, one per channel, that operations fill in execution order. Tensors whose
/// channels are the same share a slot.
class ChannelTrace {
 public:
  using SlotId = std::ptrdiff_t;
  static constexpr SlotId kAllLeft = -1;

  /// `channels_of`: per layer of the network, the first of its channels; none: they can not be
  /// pruned. The network outlives the trace.
  ChannelTrace(const Network& network, const std::vector<std::optional<std::size_t>>& channels_of);

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
  [[nodiscard]] SlotId read_by(const Layer& layer) const;

  static bool is_depthwise(const Layer& layer);

  /// `left`: size() values, in slots.
  void fill(std::span<const double> channel_bits, std::span<double> left) const;

  /// `adjoint`: derivatives by the slots' values; becomes those by all that they come from.
  void pass_back(std::span<const double> channel_bits, std::span<const double> left,
                 std::span<double> adjoint, std::span<double> channel_gradient) const;

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
  void for_each(const Part& part, Visit&& visit) const;

  void pass_back_own(const Operation& operation, std::span<const double> channel_bits,
                     std::span<const double> left, std::span<double> adjoint,
                     std::span<double> channel_gradient) const;
  Traced add(Operation::Kind kind, std::size_t count, std::size_t axis, std::vector<Part> parts,
             std::size_t channels = 0);
  Traced computed(const Layer& layer, std::optional<std::size_t> channels);
  Traced passed_on(const Layer& layer);

  /// Whole channels keep their places.
  static bool moves_channels_as_one(const Layer& layer);

  /// The channels of `from` are those of `to`, on the same axis. A tensor [batch, channels] goes
  /// with one of more axes: it was reshaped to [batch, channels, 1, 1].
  [[nodiscard]] bool aligned(TensorId from, TensorId to) const;
  Traced combined(const Layer& layer, Operation::Kind kind);
  Traced joined(const Layer& layer);

  /// Where the shapes leave no doubt which axes are gone.
  [[nodiscard]] Traced reduced(const Layer& layer) const;

  const Network& network_;
  std::vector<Traced> tensors_;
  std::vector<std::size_t> begins_ = {0};  // of the slots, and the end
  std::vector<Operation> operations_;
};

}  // namespace widthwise
