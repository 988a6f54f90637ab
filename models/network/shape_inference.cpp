#include "models/network/shape_inference.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>

#include "models/base/error.hpp"
#include "models/base/quantity.hpp"
#include "models/network/network_builder.hpp"

namespace widthwise {

namespace {

// Bounds that keep products of two attributes and a size far from overflow.
constexpr std::int64_t kMaxWindow = std::int64_t{1} << 24;

constexpr std::int64_t kSoftmaxOperations = 4;        // maximum, exponential, sum, division
constexpr std::int64_t kNormalizationOperations = 6;  // mean, deviation, square, sum, scale, shift
constexpr std::int64_t kScaleShiftOperations = 2;

std::int64_t checked_product(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result) || result > kMaxElements)
    throw ShapeError("more than 2^48 elements");
  return result;
}

void check_range(std::string_view what, std::int64_t value, std::int64_t min, std::int64_t max) {
  if (value < min || value > max) {
    throw ShapeError(std::string(what) + " must be " + std::to_string(min) + ".." +
                     std::to_string(max) + ", got " + std::to_string(value));
  }
}

void check_rank(const Shape& input, std::size_t min, std::size_t max, std::string_view meaning) {
  if (input.size() < min || input.size() > max) {
    throw ShapeError("expected an input " + std::string(meaning) + ", got " + to_string(input));
  }
  element_count(input);
}

// Windows along one axis.
struct Windows {
  std::int64_t count;
  std::int64_t pad_begin, pad_end;
};

Windows place_windows(std::int64_t size, const Window& window, std::size_t axis) {
  const std::int64_t kernel = window.kernel[axis];
  const std::int64_t stride = window.stride[axis];
  const std::int64_t dilation = window.dilation[axis];
  std::int64_t begin = window.pad_begin[axis];
  std::int64_t end = window.pad_end[axis];
  check_range("kernel", kernel, 1, kMaxWindow);
  check_range("stride", stride, 1, kMaxWindow);
  check_range("dilation", dilation, 1, kMaxWindow);
  check_range("padding", begin, 0, kMaxWindow);
  check_range("padding", end, 0, kMaxWindow);

  const std::int64_t extent = dilation * (kernel - 1) + 1;
  if (window.auto_pad != AutoPad::given) {
    const std::int64_t needed =
        std::max<std::int64_t>(0, (ceil_div(size, stride) - 1) * stride + extent - size);
    const std::int64_t smaller = needed / 2;
    begin = window.auto_pad == AutoPad::same_upper ? smaller : needed - smaller;
    end = needed - begin;
  }
  const std::int64_t padded = size + begin + end;
  if (extent > padded) {
    throw ShapeError("the kernel spans " + std::to_string(extent) +
                     " elements, the padded input only " + std::to_string(padded));
  }
  const std::int64_t room = padded - extent;
  std::int64_t count = (window.ceil_mode ? ceil_div(room, stride) : room / stride) + 1;
  // A window that would start in the padding behind the data is left out.
  if (window.ceil_mode && count > 1 && (count - 1) * stride >= size + begin) --count;
  return {count, begin, end};
}

struct PlacedWindow {
  std::int64_t in_h, in_w;
  Windows h, w;
  bool has_height;
};

PlacedWindow place_window(const Shape& input, const Window& window) {
  check_rank(input, 3, 4, "[batch, channels, width] or [batch, channels, height, width]");
  const bool has_height = input.size() == 4;
  const std::int64_t in_h = has_height ? input[2] : 1;
  return {in_h, input.back(), place_windows(in_h, window, 0),
          place_windows(input.back(), window, 1), has_height};
}

Shape spatial_output(const Shape& input, std::int64_t channels, const PlacedWindow& placed) {
  Shape output = {input[0], channels};
  if (placed.has_height) output.push_back(placed.h.count);
  output.push_back(placed.w.count);
  element_count(output);
  return output;
}

VectorShape vector_work(std::int64_t in, std::int64_t out, std::int64_t per_element,
                        std::int64_t elements) {
  return {in, out, checked_product(per_element, elements)};
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

std::int64_t element_count(const Shape& shape) {
  if (shape.size() > kMaxRank) throw ShapeError("more than 64 axes");
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 1) throw ShapeError("sizes must be at least 1, got " + to_string(shape));
    if (__builtin_mul_overflow(count, size, &count) || count > kMaxElements)
      throw ShapeError(to_string(shape) + " has more than 2^48 elements");
  }
  return count;
}

std::size_t resolve_axis(std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    throw ShapeError("axis " + std::to_string(axis) + " does not exist, the rank is " +
                     std::to_string(rank));
  }
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

InferredLayer infer_convolution(const Shape& input, std::int64_t out_channels, std::int64_t groups,
                                const Window& window) {
  const PlacedWindow placed = place_window(input, window);
  check_range("out_channels", out_channels, 1, kMaxElements);
  check_range("groups", groups, 1, kMaxElements);
  const std::int64_t in_channels = input[1];
  if (in_channels % groups != 0 || out_channels % groups != 0) {
    throw ShapeError(std::to_string(groups) + " groups do not divide " +
                     std::to_string(in_channels) + " input channels and " +
                     std::to_string(out_channels) + " output channels");
  }
  ComputeShape compute;
  compute.batch = input[0];
  compute.groups = groups;
  compute.in_channels = in_channels / groups;
  compute.out_channels = out_channels / groups;
  compute.in_h = placed.in_h;
  compute.in_w = placed.in_w;
  compute.out_h = placed.h.count;
  compute.out_w = placed.w.count;
  compute.kernel_h = window.kernel[0];
  compute.kernel_w = window.kernel[1];
  compute.stride_h = window.stride[0];
  compute.stride_w = window.stride[1];
  compute.dilation_h = window.dilation[0];
  compute.dilation_w = window.dilation[1];
  compute.pad_top = placed.h.pad_begin;
  compute.pad_left = placed.w.pad_begin;
  element_count({out_channels, compute.in_channels, compute.kernel_h, compute.kernel_w});
  return {spatial_output(input, out_channels, placed), compute};
}

InferredLayer infer_fully_connected(const Shape& input, std::int64_t out_features) {
  check_rank(input, 1, kMaxRank, "[batch, features]");
  check_range("out_features", out_features, 1, kMaxElements);
  ComputeShape compute;
  compute.batch = input.size() > 1 ? input.front() : 1;
  for (std::size_t axis = 1; axis + 1 < input.size(); ++axis) compute.out_h *= input[axis];
  compute.in_h = compute.out_h;
  compute.in_channels = input.back();
  compute.out_channels = out_features;
  Shape output = input;
  output.back() = out_features;
  element_count(output);
  element_count({compute.in_channels, out_features});
  return {output, compute};
}

InferredLayer infer_matmul(const Shape& left, const Shape& right) {
  check_rank(left, 2, kMaxRank, "[..., M, K]");
  check_rank(right, 2, kMaxRank, "[..., K, N]");
  const std::int64_t m = left[left.size() - 2];
  const std::int64_t n = right.back();
  if (left.back() != right[right.size() - 2]) {
    throw ShapeError("cannot multiply " + to_string(left) + " by " + to_string(right) +
                     ": the reductions differ");
  }
  const Shape right_batch(right.begin(), right.end() - 2);
  Shape output = broadcast(Shape(left.begin(), left.end() - 2), right_batch);
  const std::int64_t matrices = element_count(output);
  output.push_back(m);
  output.push_back(n);
  element_count(output);

  ComputeShape compute;
  // One right-hand matrix for all is read once; otherwise there is one group per product.
  (element_count(right_batch) == 1 ? compute.batch : compute.groups) = matrices;
  compute.in_channels = left.back();
  compute.out_channels = n;
  compute.in_h = m;
  compute.out_h = m;
  compute.second_operand_is_activation = true;
  return {output, compute};
}

InferredRecurrent infer_recurrent(const Shape& input, std::int64_t hidden, std::int64_t gates,
                                  std::int64_t directions) {
  check_rank(input, 3, 3, "[sequence, batch, features]");
  check_range("hidden size", hidden, 1, kMaxElements);
  const std::int64_t steps = input[0];
  const std::int64_t batch = input[1];
  const std::int64_t gate_outputs = checked_product(gates, hidden);
  const std::int64_t all_gates = checked_product(directions, gate_outputs);
  element_count({all_gates, std::max(hidden, input[2])});

  InferredRecurrent result;
  ComputeShape& in = result.input.compute;
  in.batch = batch;
  in.in_h = steps;
  in.out_h = steps;
  in.in_channels = input[2];
  in.out_channels = all_gates;
  result.input.output = {steps, batch, all_gates};
  element_count(result.input.output);

  ComputeShape& rec = result.recurrent.compute;
  rec.batch = batch;
  rec.groups = directions;
  rec.in_channels = hidden;
  rec.out_channels = gate_outputs;
  rec.repeat = steps;
  result.states = {steps, directions, batch, hidden};
  result.recurrent.output = result.states;
  return result;
}

InferredVector infer_pool(const Shape& input, const Window& window) {
  const PlacedWindow placed = place_window(input, window);
  const Shape output = spatial_output(input, input[1], placed);
  const std::int64_t elements = element_count(output);
  const std::int64_t area = checked_product(window.kernel[0], window.kernel[1]);
  PoolWindow pool;
  pool.kernel_h = window.kernel[0];
  pool.kernel_w = window.kernel[1];
  pool.stride_h = window.stride[0];
  pool.stride_w = window.stride[1];
  pool.dilation_h = window.dilation[0];
  pool.dilation_w = window.dilation[1];
  pool.pad_top = placed.h.pad_begin;
  pool.pad_left = placed.w.pad_begin;
  pool.pad_bottom = placed.h.pad_end;
  pool.pad_right = placed.w.pad_end;
  return {output, vector_work(element_count(input), elements, area, elements), pool};
}

InferredVector infer_global_pool(const Shape& input) {
  check_rank(input, 3, kMaxRank, "[batch, channels, height, width]");
  Shape output(input.size(), 1);
  output[0] = input[0];
  output[1] = input[1];
  const std::int64_t elements = element_count(input);
  PoolWindow pool;
  pool.kernel_w = input.back();
  pool.kernel_h = elements / (input[0] * input[1] * input.back());
  return {output, vector_work(elements, input[0] * input[1], 1, elements), pool};
}

Shape broadcast(const Shape& a, const Shape& b) {
  Shape result(std::max(a.size(), b.size()), 1);
  for (std::size_t back = 1; back <= result.size(); ++back) {
    const std::int64_t size_a = back <= a.size() ? a[a.size() - back] : 1;
    const std::int64_t size_b = back <= b.size() ? b[b.size() - back] : 1;
    if (size_a != size_b && size_a != 1 && size_b != 1) {
      throw ShapeError("the shapes " + to_string(a) + " and " + to_string(b) + " do not broadcast");
    }
    result[result.size() - back] = std::max(size_a, size_b);
  }
  element_count(result);
  return result;
}

InferredVector infer_elementwise(std::span<const Shape> inputs) {
  ensure(!inputs.empty(), "an element-wise function has an operand");
  Shape output = inputs.front();
  std::int64_t read = 0;
  for (const Shape& input : inputs) {
    output = broadcast(output, input);
    read += element_count(input);
  }
  const std::int64_t elements = element_count(output);
  const auto functions = std::max<std::int64_t>(1, static_cast<std::int64_t>(inputs.size()) - 1);
  return {output, vector_work(read, elements, functions, elements)};
}

InferredVector infer_concat(std::span<const Shape> inputs, std::int64_t axis) {
  ensure(!inputs.empty(), "a concatenation has an operand");
  const std::size_t at = resolve_axis(axis, inputs.front().size());
  Shape output = inputs.front();
  output[at] = 0;
  for (const Shape& input : inputs) {
    element_count(input);
    Shape expected = input;
    if (input.size() == output.size()) expected[at] = output[at];
    if (expected != output) {
      throw ShapeError("cannot concatenate " + to_string(inputs.front()) + " and " +
                       to_string(input) + " along axis " + std::to_string(at));
    }
    output[at] += input[at];
    element_count(output);
  }
  const std::int64_t elements = element_count(output);
  return {output, {elements, elements, 0}};
}

InferredVector infer_reduce(const Shape& input, std::span<const std::int64_t> axes,
                            bool keep_axes) {
  const std::int64_t elements = element_count(input);
  std::vector<bool> reduced(input.size(), axes.empty());
  for (const std::int64_t axis : axes) reduced[resolve_axis(axis, input.size())] = true;
  Shape output;
  for (std::size_t axis = 0; axis < input.size(); ++axis) {
    if (!reduced[axis]) {
      output.push_back(input[axis]);
    } else if (keep_axes) {
      output.push_back(1);
    }
  }
  return {output, {elements, element_count(output), elements}};
}

InferredVector infer_softmax(const Shape& input) {
  const std::int64_t elements = element_count(input);
  return {input, vector_work(elements, elements, kSoftmaxOperations, elements)};
}

InferredVector infer_normalization(const Shape& input, bool has_statistics) {
  const std::int64_t elements = element_count(input);
  return {input,
          vector_work(elements, elements,
                      has_statistics ? kNormalizationOperations : kScaleShiftOperations, elements)};
}

InferredVector infer_move(const Shape& input, Shape output) {
  const std::int64_t written = element_count(output);
  // What is read is at most what there is, and never more than what is written.
  return {std::move(output), {std::min(element_count(input), written), written, 0}};
}

Shape infer_reshape(const Shape& input, std::span<const std::int64_t> target, bool zero_copies) {
  const std::int64_t elements = element_count(input);
  Shape output(target.begin(), target.end());
  std::int64_t known = 1;
  std::size_t open = output.size();
  for (std::size_t axis = 0; axis < output.size(); ++axis) {
    if (output[axis] == 0 && zero_copies && axis < input.size()) output[axis] = input[axis];
    if (output[axis] == -1 && open == output.size()) {
      open = axis;
    } else if (output[axis] < 1) {
      throw ShapeError("cannot reshape to " + to_string(Shape(target.begin(), target.end())));
    } else {
      known = checked_product(known, output[axis]);
    }
  }
  if (open < output.size()) {
    output[open] = elements / known;
    known *= std::max<std::int64_t>(1, output[open]);
  }
  if (known != elements) {
    throw ShapeError("cannot reshape " + to_string(input) + " to " +
                     to_string(Shape(target.begin(), target.end())) +
                     ": the numbers of elements differ");
  }
  return output;
}

Shape infer_flatten(const Shape& input, std::int64_t axis) {
  element_count(input);
  const std::size_t rank = input.size();
  const std::size_t split =
      axis == static_cast<std::int64_t>(rank) ? rank : resolve_axis(axis, rank);
  Shape output = {1, 1};
  for (std::size_t i = 0; i < rank; ++i) output[i < split ? 0 : 1] *= input[i];
  return output;
}

Shape infer_transpose(const Shape& input, std::span<const std::int64_t> permutation) {
  std::vector<std::int64_t> axes(permutation.begin(), permutation.end());
  std::sort(axes.begin(), axes.end());
  Shape every_axis(input.size());
  std::iota(every_axis.begin(), every_axis.end(), std::int64_t{0});
  if (axes != every_axis) {
    throw ShapeError(to_string(Shape(permutation.begin(), permutation.end())) +
                     " does not permute the axes of " + to_string(input));
  }
  Shape output;
  for (const std::int64_t from : permutation)
    output.push_back(input[static_cast<std::size_t>(from)]);
  return output;
}

bool transpose_moves_data(const Shape& input, std::span<const std::int64_t> permutation) {
  std::int64_t last = -1;
  for (const std::int64_t from : permutation) {
    if (input[static_cast<std::size_t>(from)] == 1) continue;
    if (from < last) return true;
    last = from;
  }
  return false;
}

}  // namespace widthwise
