// Where the values of an ONNX file's constants come from, so that those of a layer's weights can be
// computed when they are asked for. Internal to models/network.
//
// An origin is a tensor that the file stores, or what operators that only move or (de)quantize data
// make of other origins. Nothing is read before `compute`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "models/network/onnx_graph.hpp"
#include "models/network/shape_inference.hpp"

namespace widthwise {

struct OnnxOrigin;
using OriginPointer = std::shared_ptr<const OnnxOrigin>;

struct OnnxOrigin {
  struct Stored {
    std::size_t tensor = 0;  // of OnnxTensors
  };
  struct Known {
    std::vector<float> values;
  };
  /// Axis i of the result is axis permutation[i] of the input, whose shape is `from`.
  struct Permuted {
    OriginPointer input;
    Shape from;
    std::vector<std::int64_t> permutation;
  };
  /// The element at an index of `to` is that of the input at the index that `source` makes of it.
  struct Moved {
    OriginPointer input;
    Shape from;
    Shape to;
    std::function<void(Shape& index)> source;
  };
  struct Joined {
    std::vector<OriginPointer> inputs;
    std::vector<Shape> shapes;
    std::size_t axis = 0;
  };
  /// DequantizeLinear, (x - zero_point) scale, or QuantizeLinear, x / scale rounded to nearest
  /// even, plus zero_point, saturated. One scale, or one for each index of the axis.
  struct Scaled {
    OriginPointer input;
    OriginPointer scale;
    OriginPointer zero_point;  // none: 0, of the type uint8
    Shape shape;
    std::size_t axis = 0;
    bool quantizes = false;
  };

  std::variant<Stored, Known, Permuted, Moved, Joined, Scaled> kind;
  int depth = 0;  // operators up to here
};

/// Of a constant, or of values that are known without the file; none if it has none.
OriginPointer origin_of(const OnnxConstant& constant);

/// One more operator on top; none where an input has none, or where there are too many.
OriginPointer permuted(const OnnxConstant& input, const std::vector<std::int64_t>& permutation);
OriginPointer moved(const OnnxConstant& input, const Shape& to,
                    const std::function<void(Shape& index)>& source);
OriginPointer joined(std::span<const OnnxConstant* const> inputs, std::size_t axis);
OriginPointer scaled(const OnnxConstant& input, const OnnxConstant& scale,
                     const OnnxConstant* zero_point, std::int64_t axis, bool quantizes);

/// The values in row-major order. Throws InputError where the file's external data cannot be read.
std::vector<float> compute(const OnnxOrigin& origin, const OnnxTensors& tensors);

}  // namespace widthwise
