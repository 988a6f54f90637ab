// Arithmetic on the constants of an ONNX file: the shape computations that exporters leave in it.
// Internal to models/network.
//
// Values are computed where they are known and few (kMaxKeptValues); otherwise only the shape is.
// Integer arithmetic that would overflow makes the values unknown.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/network/onnx_graph.hpp"
#include "models/network/shape_inference.hpp"

namespace widthwise {

OnnxConstant make_constant(std::vector<std::int64_t> values);  // a list
OnnxConstant make_scalar(std::int64_t value);

/// Elements of a shape in which sizes may be 0. Throws ShapeError beyond the bounds.
std::int64_t constant_count(const Shape& shape);

/// An element-wise function such as "Add", "Equal" or "Where". Functions that shape computations do
/// not use give a constant of unknown values.
OnnxConstant fold_elementwise(const std::string& op, std::span<const OnnxConstant* const> inputs);

/// A constant whose element at an output index is that of the input at the index that `source`
/// makes of it in place; `source` is kept and must own what it needs.
OnnxConstant rearrange(const OnnxConstant& input, Shape output,
                       const std::function<void(Shape& index)>& source);

/// Axis i of the result is axis permutation[i] of the input.
OnnxConstant transpose(const OnnxConstant& input, const std::vector<std::int64_t>& permutation);

/// The same elements in the same order.
OnnxConstant reshape(const OnnxConstant& input, Shape output);

/// As a type that is integral or not.
OnnxConstant cast(const OnnxConstant& input, bool is_integral, bool is_boolean);

OnnxConstant concatenate(std::span<const OnnxConstant* const> inputs, std::int64_t axis);

/// start, start + delta, ... below limit. Throws ShapeError where the length is not known.
OnnxConstant range(const OnnxConstant& start, const OnnxConstant& limit, const OnnxConstant& delta);

/// `value` (one element) repeated; without one, 0.
OnnxConstant filled(Shape shape, const OnnxConstant* value);

}  // namespace widthwise
