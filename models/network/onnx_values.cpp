#include "models/network/onnx_values.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

#include "models/base/error.hpp"
#include "models/network/onnx_constants.hpp"

namespace widthwise {

namespace {

// Exporters stack a handful of operators on a constant.
constexpr int kDeepest = 64;

OriginPointer add_operator(decltype(OnnxOrigin::kind) kind, int depth_below) {
  if (depth_below >= kDeepest) return nullptr;
  return std::make_shared<const OnnxOrigin>(OnnxOrigin{std::move(kind), depth_below + 1});
}

std::size_t size_of(const Shape& shape) { return static_cast<std::size_t>(constant_count(shape)); }

/// Elements that lie between neighbours along each axis.
std::vector<std::size_t> strides_of(const Shape& shape) {
  std::vector<std::size_t> strides(shape.size(), 1);
  for (std::size_t axis = shape.size(); axis-- > 1;) {
    strides[axis - 1] = strides[axis] * static_cast<std::size_t>(shape[axis]);
  }
  return strides;
}

/// Goes through the indices of a shape in order.
class Odometer {
 public:
  explicit Odometer(const Shape& shape) : shape_(shape), index_(shape.size(), 0) {}

  [[nodiscard]] const Shape& index() const { return index_; }

  void step() {
    for (std::size_t axis = shape_.size(); axis-- > 0;) {
      if (++index_[axis] < shape_[axis]) return;
      index_[axis] = 0;
    }
  }

 private:
  const Shape& shape_;
  Shape index_;
};

std::vector<float> apply(const OnnxOrigin::Stored& stored, const OnnxTensors& tensors) {
  return tensors.values(stored.tensor);
}

std::vector<float> apply(const OnnxOrigin::Known& known, const OnnxTensors& /*tensors*/) {
  return known.values;
}

std::vector<float> apply(const OnnxOrigin::Permuted& permuted, const OnnxTensors& tensors) {
  std::vector<float> input = compute(*permuted.input, tensors);
  const std::vector<std::size_t> from_strides = strides_of(permuted.from);
  Shape to;
  std::vector<std::size_t> strides;  // in the input, along the axes of the output
  for (const std::int64_t axis : permuted.permutation) {
    to.push_back(permuted.from[static_cast<std::size_t>(axis)]);
    strides.push_back(from_strides[static_cast<std::size_t>(axis)]);
  }
  if (to.empty()) return input;
  const auto row = static_cast<std::size_t>(to.back());
  const std::size_t row_stride = strides.back();
  Shape rows = to;
  rows.back() = 1;
  Odometer at(rows);
  std::vector<float> output(input.size());
  for (std::size_t begin = 0; begin < output.size(); begin += row, at.step()) {
    std::size_t source = 0;
    for (std::size_t axis = 0; axis + 1 < to.size(); ++axis) {
      source += static_cast<std::size_t>(at.index()[axis]) * strides[axis];
    }
    for (std::size_t i = 0; i < row; ++i) output[begin + i] = input[source + i * row_stride];
  }
  return output;
}

std::vector<float> apply(const OnnxOrigin::Moved& moved, const OnnxTensors& tensors) {
  const std::vector<float> input = compute(*moved.input, tensors);
  const std::vector<std::size_t> strides = strides_of(moved.from);
  Odometer at(moved.to);
  Shape index;
  std::vector<float> output(size_of(moved.to));
  for (float& value : output) {
    index = at.index();
    moved.source(index);
    std::size_t flat = 0;
    for (std::size_t axis = 0; axis < strides.size(); ++axis) {
      flat += static_cast<std::size_t>(index[axis]) * strides[axis];
    }
    value = input.at(flat);
    at.step();
  }
  return output;
}

std::vector<float> apply(const OnnxOrigin::Joined& joined, const OnnxTensors& tensors) {
  std::size_t blocks = 1;  // before the axis; each input has a run of elements in each
  for (std::size_t axis = 0; axis < joined.axis; ++axis) {
    blocks *= static_cast<std::size_t>(joined.shapes.front()[axis]);
  }
  std::size_t total = 0;
  for (const Shape& shape : joined.shapes) total += size_of(shape);
  std::vector<float> output(total);
  const std::size_t block = total / blocks;
  std::size_t offset = 0;
  for (const OriginPointer& origin : joined.inputs) {
    const std::vector<float> input = compute(*origin, tensors);
    const std::size_t run = input.size() / blocks;
    for (std::size_t at = 0; at < blocks; ++at) {
      std::copy_n(input.begin() + static_cast<std::ptrdiff_t>(at * run), run,
                  output.begin() + static_cast<std::ptrdiff_t>(at * block + offset));
    }
    offset += run;
  }
  return output;
}

std::vector<float> apply(const OnnxOrigin::Scaled& scaled, const OnnxTensors& tensors) {
  std::vector<float> values = compute(*scaled.input, tensors);
  const std::vector<float> scales = compute(*scaled.scale, tensors);
  std::vector<float> zeros(scales.size(), 0);
  std::pair<double, double> range = {0, 255};
  if (scaled.zero_point) {
    zeros = compute(*scaled.zero_point, tensors);
    if (const auto* stored = std::get_if<OnnxOrigin::Stored>(&scaled.zero_point->kind)) {
      range = tensors.range(stored->tensor);
    }
  }
  const bool is_per_axis = scales.size() > 1;
  const std::size_t stride = is_per_axis ? strides_of(scaled.shape)[scaled.axis] : 1;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t at = is_per_axis ? i / stride % scales.size() : 0;
    if (scaled.quantizes) {
      const double steps = std::nearbyint(values[i] / scales[at]) + zeros[at];
      values[i] = static_cast<float>(std::clamp(steps, range.first, range.second));
    } else {
      values[i] = (values[i] - zeros[at]) * scales[at];
    }
  }
  return values;
}

}  // namespace

OriginPointer origin_of(const OnnxConstant& constant) {
  if (constant.origin) return constant.origin;
  OnnxOrigin::Known known;
  if (const auto* reals = constant.reals()) {
    for (const double value : *reals) known.values.push_back(static_cast<float>(value));
  } else if (const auto* integers = constant.integers()) {
    for (const std::int64_t value : *integers) known.values.push_back(static_cast<float>(value));
  } else {
    return nullptr;
  }
  if (known.values.size() != size_of(constant.shape)) return nullptr;
  return std::make_shared<const OnnxOrigin>(OnnxOrigin{std::move(known), 0});
}

OriginPointer permuted(const OnnxConstant& input, const std::vector<std::int64_t>& permutation) {
  if (!input.origin) return nullptr;
  return add_operator(OnnxOrigin::Permuted{input.origin, input.shape, permutation},
                      input.origin->depth);
}

OriginPointer moved(const OnnxConstant& input, const Shape& to,
                    const std::function<void(Shape& index)>& source) {
  if (!input.origin) return nullptr;
  return add_operator(OnnxOrigin::Moved{input.origin, input.shape, to, source},
                      input.origin->depth);
}

OriginPointer joined(std::span<const OnnxConstant* const> inputs, std::size_t axis) {
  OnnxOrigin::Joined result{{}, {}, axis};
  int depth = 0;
  bool is_stored = false;
  for (const OnnxConstant* input : inputs) {
    if (constant_count(input->shape) == 0) continue;
    OriginPointer origin = origin_of(*input);
    if (!origin) return nullptr;
    is_stored = is_stored || input->origin;
    depth = std::max(depth, origin->depth);
    result.inputs.push_back(std::move(origin));
    result.shapes.push_back(input->shape);
  }
  return is_stored ? add_operator(std::move(result), depth) : nullptr;
}

OriginPointer scaled(const OnnxConstant& input, const OnnxConstant& scale,
                     const OnnxConstant* zero_point, std::int64_t axis, bool quantizes) {
  OnnxOrigin::Scaled result;
  result.input = origin_of(input);
  result.scale = origin_of(scale);
  result.shape = input.shape;
  result.quantizes = quantizes;
  if (!result.input || !result.scale) return nullptr;
  int depth = std::max(result.input->depth, result.scale->depth);
  const std::int64_t scales = constant_count(scale.shape);
  if (scales < 1 || scale.shape.size() > 1) return nullptr;
  if (scales > 1) {
    result.axis = resolve_axis(axis, input.shape.size());
    if (input.shape[result.axis] != scales) return nullptr;
  }
  if (zero_point != nullptr) {
    result.zero_point = origin_of(*zero_point);
    if (!result.zero_point || constant_count(zero_point->shape) != scales) return nullptr;
    const bool is_typed = std::holds_alternative<OnnxOrigin::Stored>(result.zero_point->kind);
    if (quantizes && !is_typed) return nullptr;
    depth = std::max(depth, result.zero_point->depth);
  }
  return add_operator(std::move(result), depth);
}

std::vector<float> compute(const OnnxOrigin& origin, const OnnxTensors& tensors) {
  return std::visit([&](const auto& kind) { return apply(kind, tensors); }, origin.kind);
}

}  // namespace widthwise
