// Output shapes and loop nests from input shapes: one function per family of operators, shared by
// all sources of networks. Sources that state shapes themselves have them compared with these.
//
// Shapes are batch first, then channels. Windows of convolutions and pools have one or two spatial
// axes; one axis becomes a height of 1. Recurrent networks are [sequence, batch, features].
//
// What is left out: values. Operation counts of layers without multiply-accumulates count one
// operation per comparison, addition, multiplication or function value; how long such an operation
// takes is for the hardware to say. Index arithmetic is free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/network/network.hpp"

namespace widthwise {

using Shape = std::vector<std::int64_t>;

/// Operands that do not fit together. Sources catch it and say where it happened.
class ShapeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// "[1, 3, 224, 224]".
std::string to_string(const Shape& shape);

/// A tensor of more axes is taken for a mistake.
inline constexpr std::size_t kMaxRank = 64;

/// Product of the sizes. Throws ShapeError unless all are at least 1, the product is at most
/// kMaxElements, and there are at most kMaxRank of them.
std::int64_t element_count(const Shape& shape);

/// The axis counted from the front; throws ShapeError unless it is in -rank .. rank - 1.
std::size_t resolve_axis(std::int64_t axis, std::size_t rank);

enum class AutoPad { given, same_upper, same_lower };

/// Of a convolution or pool over height and width. Each member is {height, width}.
struct Window {
  std::int64_t kernel[2] = {1, 1};
  std::int64_t stride[2] = {1, 1};
  std::int64_t dilation[2] = {1, 1};
  std::int64_t pad_begin[2] = {0, 0};
  std::int64_t pad_end[2] = {0, 0};
  AutoPad auto_pad = AutoPad::given;
  bool ceil_mode = false;  // of a pool: a last window may hang over the end
};

struct InferredLayer {
  Shape output;
  ComputeShape compute;
};

struct InferredVector {
  Shape output;
  VectorShape vector;
  std::optional<PoolWindow> pool = std::nullopt;  // of a pool, count_include_pad false
};

/// Input [batch, channels, width] or [batch, channels, height, width].
InferredLayer infer_convolution(const Shape& input, std::int64_t out_channels, std::int64_t groups,
                                const Window& window);

/// Input [batch, features] or [batch, ..., features].
InferredLayer infer_fully_connected(const Shape& input, std::int64_t out_features);

/// Activations times activations, [..., M, K] x [..., K, N], with batch broadcast.
InferredLayer infer_matmul(const Shape& left, const Shape& right);

/// The recurrent layer as two: all gates of all steps on the input, then step after step on the
/// hidden state. `states` is [sequence, directions, batch, hidden].
struct InferredRecurrent {
  InferredLayer input;
  InferredLayer recurrent;
  Shape states;
};
InferredRecurrent infer_recurrent(const Shape& input, std::int64_t hidden, std::int64_t gates,
                                  std::int64_t directions);

InferredVector infer_pool(const Shape& input, const Window& window);
InferredVector infer_global_pool(const Shape& input);

/// Operands of an element-wise function, broadcast as in NumPy.
Shape broadcast(const Shape& a, const Shape& b);
InferredVector infer_elementwise(std::span<const Shape> inputs);

InferredVector infer_concat(std::span<const Shape> inputs, std::int64_t axis);
InferredVector infer_reduce(const Shape& input, std::span<const std::int64_t> axes, bool keep_axes);
InferredVector infer_softmax(const Shape& input);

/// Statistics over the data (layer, group or instance normalization) or none (batch normalization).
InferredVector infer_normalization(const Shape& input, bool has_statistics);

/// A copy of so many elements.
InferredVector infer_move(const Shape& input, Shape output);

/// `target` may have one -1 (the rest) and, if `zero_copies`, 0 (as in the input).
Shape infer_reshape(const Shape& input, std::span<const std::int64_t> target, bool zero_copies);
Shape infer_flatten(const Shape& input, std::int64_t axis);
Shape infer_transpose(const Shape& input, std::span<const std::int64_t> permutation);

/// False if only axes of size 1 change their place, so that the data stay where they are.
bool transpose_moves_data(const Shape& input, std::span<const std::int64_t> permutation);

}  // namespace widthwise
