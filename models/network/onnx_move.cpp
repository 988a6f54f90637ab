#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "models/base/quantity.hpp"
#include "models/network/onnx_constants.hpp"
#include "models/network/onnx_importer.hpp"

namespace widthwise::onnx_import {

namespace {

// Moving data.

// The same data in the same order.
void import_reshaped(Importer& importer, const Site& site, Shape output) {
  const Value& input = any_input(site, 0);
  if (input.is_constant()) {
    importer.set_constant(site, reshape(*input.constant, std::move(output)));
  } else {
    element_count(output);
    importer.set_alias(site, input, std::move(output));
  }
}

// Data that end up elsewhere; `source` says where an element comes from.
void import_moved(Importer& importer, const Site& site, Shape output,
                  const std::function<void(Shape& index)>& source) {
  const Value& input = any_input(site, 0);
  if (input.is_constant()) {
    importer.set_constant(site, rearrange(*input.constant, std::move(output), source));
  } else if (output == input.shape) {
    importer.set_alias(site, input, std::move(output));
  } else {
    importer.add_vector(site, LayerKind::move, infer_move(input.shape, std::move(output)));
  }
}

}  // namespace

void import_identity(Importer& importer, const Site& site) {
  if (importer.is_used(site, 1)) throw NodeError("a second output is not modelled");
  import_reshaped(importer, site, any_input(site, 0).shape);
}

void import_cast(Importer& importer, const Site& site) {
  const Value& input = any_input(site, 0);
  if (!input.is_constant()) {
    importer.set_alias(site, input, input.shape);
    return;
  }
  constexpr std::int64_t kBool = 9;
  const std::int64_t to = integer_attribute(site.node, "to", 1);
  const bool is_integral = (to >= 2 && to <= 7) || to == kBool || to == 12 || to == 13;
  importer.set_constant(site, cast(*input.constant, is_integral, to == kBool));
}

void import_reshape(Importer& importer, const Site& site) {
  auto target = importer.integers(site, 1);
  if (!target) target = list_attribute(site.node, "shape");
  if (!target) throw NodeError(ordinal(1) + " is missing");
  const Value& input = any_input(site, 0);
  const bool zero_copies = integer_attribute(site.node, "allowzero", 0) == 0;
  if (input.is_constant() && constant_count(input.shape) == 0) {
    Shape empty = *target;
    std::replace(empty.begin(), empty.end(), std::int64_t{-1}, std::int64_t{0});
    if (constant_count(empty) != 0) throw NodeError("cannot reshape an empty constant");
    importer.set_constant(site, reshape(*input.constant, std::move(empty)));
    return;
  }
  import_reshaped(importer, site, infer_reshape(input.shape, *target, zero_copies));
}

void import_flatten(Importer& importer, const Site& site) {
  import_reshaped(importer, site,
                  infer_flatten(any_input(site, 0).shape, integer_attribute(site.node, "axis", 1)));
}

namespace {

std::optional<std::vector<std::int64_t>> read_axes(Importer& importer, const Site& site) {
  auto axes = list_attribute(site.node, "axes");
  return axes ? axes : importer.integers(site, 1);
}

}  // namespace

void import_squeeze(Importer& importer, const Site& site) {
  const Shape& shape = any_input(site, 0).shape;
  std::vector<bool> is_dropped(shape.size(), false);
  if (const auto axes = read_axes(importer, site)) {
    for (const std::int64_t axis : *axes) {
      const std::size_t at = resolve_axis(axis, shape.size());
      if (shape[at] != 1) {
        throw NodeError("axis " + std::to_string(at) + " of " + to_string(shape) +
                        " cannot be squeezed");
      }
      is_dropped[at] = true;
    }
  } else {
    for (std::size_t at = 0; at < shape.size(); ++at) is_dropped[at] = shape[at] == 1;
  }
  Shape output;
  for (std::size_t at = 0; at < shape.size(); ++at) {
    if (!is_dropped[at]) output.push_back(shape[at]);
  }
  import_reshaped(importer, site, std::move(output));
}

namespace {

constexpr std::size_t kMostAxes = 64;

}  // namespace

void import_unsqueeze(Importer& importer, const Site& site) {
  const Shape& shape = any_input(site, 0).shape;
  const auto axes = read_axes(importer, site);
  if (!axes) throw NodeError("the axes are missing");
  if (axes->size() > kMostAxes) throw NodeError("too many axes");
  const std::size_t rank = shape.size() + axes->size();
  std::vector<bool> is_new(rank, false);
  for (const std::int64_t axis : *axes) {
    const std::size_t at = resolve_axis(axis, rank);
    if (is_new[at]) throw NodeError("axis " + std::to_string(at) + " is inserted twice");
    is_new[at] = true;
  }
  Shape output;
  for (std::size_t at = 0, from = 0; at < rank; ++at) {
    output.push_back(is_new[at] ? 1 : shape[from++]);
  }
  import_reshaped(importer, site, std::move(output));
}

void import_transpose(Importer& importer, const Site& site) {
  const Value& input = any_input(site, 0);
  Shape reversed(input.shape.size());
  for (std::size_t i = 0; i < reversed.size(); ++i) {
    reversed[i] = static_cast<std::int64_t>(reversed.size() - 1 - i);
  }
  const auto permutation = list_attribute(site.node, "perm").value_or(reversed);
  Shape output = infer_transpose(input.shape, permutation);
  if (!transpose_moves_data(input.shape, permutation)) {
    import_reshaped(importer, site, std::move(output));
    return;
  }
  if (input.is_activation()) {  // even where the shape stays the same, as of a square
    importer.add_vector(site, LayerKind::move, infer_move(input.shape, std::move(output)));
    return;
  }
  importer.set_constant(site, transpose(*input.constant, permutation));
}

namespace {

struct AxisRange {
  std::int64_t start = 0;
  std::int64_t step = 1;
};

}  // namespace

void import_slice(Importer& importer, const Site& site) {
  const Value& input = any_input(site, 0);
  auto starts = list_attribute(site.node, "starts");
  auto ends = list_attribute(site.node, "ends");
  auto axes = list_attribute(site.node, "axes");
  if (!starts) starts = importer.integers(site, 1);
  if (!ends) ends = importer.integers(site, 2);
  if (!axes) axes = importer.integers(site, 3);
  const auto steps = importer.integers(site, 4);
  if (!starts || !ends) throw NodeError("starts or ends are missing");
  if (!axes) {
    axes.emplace();
    for (std::size_t i = 0; i < starts->size(); ++i) axes->push_back(static_cast<std::int64_t>(i));
  }
  if (ends->size() != starts->size() || axes->size() != starts->size() ||
      (steps && steps->size() != starts->size())) {
    throw NodeError("starts, ends, axes and steps have different lengths");
  }
  Shape output = input.shape;
  std::vector<AxisRange> ranges(output.size());
  for (std::size_t i = 0; i < starts->size(); ++i) {
    const std::size_t axis = resolve_axis((*axes)[i], output.size());
    const std::int64_t size = input.shape[axis];
    const std::int64_t step = steps ? (*steps)[i] : 1;
    if (step == 0 || step == std::numeric_limits<std::int64_t>::min()) {
      throw NodeError("a step of " + std::to_string(step));
    }
    const auto from_front = [size](std::int64_t at) { return at < 0 ? at + size : at; };
    const std::int64_t lowest = step > 0 ? 0 : -1;
    const std::int64_t highest = step > 0 ? size : size - 1;
    const std::int64_t start =
        std::clamp(from_front((*starts)[i]), std::int64_t{0}, highest < 0 ? 0 : highest);
    const std::int64_t end = std::clamp(from_front((*ends)[i]), lowest, highest);
    const std::int64_t span = step > 0 ? end - start : start - end;
    const std::int64_t stride = step > 0 ? step : -step;
    output[axis] = span > 0 ? (span - 1) / stride + 1 : 0;
    ranges[axis] = {start, step};
  }
  import_moved(importer, site, std::move(output), [ranges](Shape& index) {
    for (std::size_t axis = 0; axis < index.size(); ++axis) {
      index[axis] = ranges[axis].start + index[axis] * ranges[axis].step;
    }
  });
}

void import_split(Importer& importer, const Site& site) {
  const Value& input = any_input(site, 0);
  const std::size_t axis =
      resolve_axis(integer_attribute(site.node, "axis", 0), input.shape.size());
  const std::size_t parts = site.node.outputs.size();
  auto sizes = list_attribute(site.node, "split");
  if (!sizes) sizes = importer.integers(site, 1);
  if (parts == 0) return;
  if (!sizes) {
    const std::int64_t each = ceil_div(input.shape[axis], static_cast<std::int64_t>(parts));
    sizes = std::vector<std::int64_t>(parts, each);
    sizes->back() = input.shape[axis] - each * static_cast<std::int64_t>(parts - 1);
  }
  std::int64_t rest = input.shape[axis];
  for (const std::int64_t size : *sizes) {
    if (size < 1 || size > rest) rest = -1;
    if (rest >= 0) rest -= size;
  }
  if (sizes->size() != parts || rest != 0) {
    throw NodeError("cannot split axis " + std::to_string(axis) + " of " + to_string(input.shape) +
                    " into " + to_string(*sizes));
  }
  std::int64_t offset = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    Shape output = input.shape;
    output[axis] = (*sizes)[part];
    if (input.is_constant()) {
      importer.set_constant(site,
                            rearrange(*input.constant, output,
                                      [axis, offset](Shape& index) { index[axis] += offset; }),
                            part);
    } else if (parts == 1) {
      importer.set_alias(site, input, output);
    } else if (importer.is_used(site, part)) {
      Layer layer =
          importer.vector_layer(site, LayerKind::move, infer_move(input.shape, output).vector);
      layer.name += "/" + std::to_string(part);
      layer.inputs = {input.tensor};
      importer.add_layer(site, std::move(layer), output, part);
    }
    offset += (*sizes)[part];
  }
}

void import_pad(Importer& importer, const Site& site) {
  const Value& input = any_input(site, 0);
  auto pads = list_attribute(site.node, "pads");
  if (!pads) pads = importer.integers(site, 1);
  const std::size_t rank = input.shape.size();
  if (!pads || pads->size() != 2 * rank || site.has_input(3)) {
    throw NodeError("expected pads before and behind each axis of " + to_string(input.shape));
  }
  Shape output = input.shape;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    for (const std::int64_t pad : {(*pads)[axis], (*pads)[rank + axis]}) {
      if (pad < -kMaxWindow || pad > kMaxWindow) throw NodeError("pads out of range");
      output[axis] += pad;
    }
  }
  if (input.is_constant()) {
    constant_count(output);
    importer.set_constant(site, {std::move(output), input.constant->is_integral, {}});
    return;
  }
  import_moved(importer, site, std::move(output), {});
}

void import_gather(Importer& importer, const Site& site) {
  const Value& data = any_input(site, 0);
  const Value& indices = any_input(site, 1);
  const std::size_t axis = resolve_axis(integer_attribute(site.node, "axis", 0), data.shape.size());
  Shape output(data.shape.begin(), data.shape.begin() + static_cast<std::ptrdiff_t>(axis));
  output.insert(output.end(), indices.shape.begin(), indices.shape.end());
  output.insert(output.end(), data.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1,
                data.shape.end());
  if (indices.is_activation()) {
    if (!data.is_constant()) {
      throw NodeError(
          "indices that are computed from activations are modelled into constants only");
    }
    // An embedding: rows of a constant table.
    const std::int64_t rows = element_count(output);
    Layer layer = importer.vector_layer(site, LayerKind::move,
                                        {element_count(indices.shape) + rows, rows, 0});
    layer.name = importer.layer_name(site, true);
    layer.inputs = {indices.tensor};
    layer.weights = element_count(data.shape);
    importer.add_layer(site, std::move(layer), std::move(output), 0);
    return;
  }
  if (data.is_activation()) {
    if (data.shape[axis] == 1 && constant_count(output) == element_count(data.shape)) {
      importer.set_alias(site, data, std::move(output));
    } else {
      importer.add_vector(site, LayerKind::move, infer_move(data.shape, std::move(output)));
    }
    return;
  }
  const auto* positions = indices.constant->integers();
  const std::int64_t size = data.shape[axis];
  if (positions == nullptr) {
    constant_count(output);
    importer.set_constant(site, {std::move(output), data.constant->is_integral, {}});
    return;
  }
  for (const std::int64_t position : *positions) {
    if (position < -size || position >= size) {
      throw NodeError("index " + std::to_string(position) + " is outside axis " +
                      std::to_string(axis) + " of " + to_string(data.shape));
    }
  }
  importer.set_constant(
      site,
      rearrange(*data.constant, std::move(output),
                [=, lengths = indices.shape, rows = *positions](Shape& index) {
                  std::int64_t flat = 0;
                  for (std::size_t i = 0; i < lengths.size(); ++i) {
                    flat = flat * lengths[i] + index[axis + i];
                  }
                  const std::int64_t position = rows[static_cast<std::size_t>(flat)];
                  Shape from(index.begin(), index.begin() + static_cast<std::ptrdiff_t>(axis));
                  from.push_back(position < 0 ? position + size : position);
                  from.insert(from.end(),
                              index.begin() + static_cast<std::ptrdiff_t>(axis + lengths.size()),
                              index.end());
                  index = std::move(from);
                }));
}

void import_concat(Importer& importer, const Site& site) {
  if (site.inputs.empty()) throw NodeError("has no inputs");
  const std::int64_t axis = integer_attribute(site.node, "axis", 1);
  std::vector<const OnnxConstant*> constants;
  std::vector<Shape> shapes;
  std::vector<TensorId> tensors;
  VectorShape work;
  std::int64_t stored = 0;
  for (std::size_t index = 0; index < site.inputs.size(); ++index) {
    const Value& value = any_input(site, index);
    if (value.is_constant()) {
      constants.push_back(value.constant.get());
      if (constant_count(value.shape) == 0 && value.shape.size() == 1) continue;
      stored += stored_elements(value);
    } else {
      tensors.push_back(value.tensor);
      work.input_elements += element_count(value.shape);
    }
    shapes.push_back(value.shape);
  }
  if (tensors.empty()) {
    importer.set_constant(site, concatenate(constants, axis));
    return;
  }
  const Shape output = infer_concat(shapes, axis).output;
  if (shapes.size() == 1) {
    importer.set_alias(site, site.inputs[activation_indices(site).front()], output);
    return;
  }
  work.output_elements = element_count(output);
  Layer layer = importer.vector_layer(site, LayerKind::concat, work);
  layer.inputs = std::move(tensors);
  layer.biases = stored;
  importer.add_layer(site, std::move(layer), output, 0);
}

void import_expand(Importer& importer, const Site& site) {
  const auto target = importer.integers(site, 1);
  if (!target) throw NodeError(ordinal(1) + " is missing");
  const Shape from = any_input(site, 0).shape;
  Shape output = broadcast(from, *target);
  if (output.size() != from.size() && element_count(output) == element_count(from)) {
    import_reshaped(importer, site, std::move(output));
    return;
  }
  import_moved(importer, site, std::move(output), [from](Shape& index) {
    index.erase(index.begin(), index.end() - static_cast<std::ptrdiff_t>(from.size()));
    for (std::size_t axis = 0; axis < from.size(); ++axis) {
      if (from[axis] == 1) index[axis] = 0;
    }
  });
}

void import_tile(Importer& importer, const Site& site) {
  const auto repeats = importer.integers(site, 1);
  const Shape from = any_input(site, 0).shape;
  if (!repeats || repeats->size() != from.size()) {
    throw NodeError("expected one repeat count for each axis of " + to_string(from));
  }
  Shape output = from;
  for (std::size_t axis = 0; axis < from.size(); ++axis) {
    element_count({from[axis], (*repeats)[axis]});
    output[axis] *= (*repeats)[axis];
  }
  import_moved(importer, site, std::move(output), [from](Shape& index) {
    for (std::size_t axis = 0; axis < from.size(); ++axis) index[axis] %= from[axis];
  });
}

void import_resize(Importer& importer, const Site& site) {
  const Value& input = importer.activation(site, 0);
  const bool is_upsample = site.node.op == "Upsample";
  const std::size_t scales_at = is_upsample || site.node.inputs.size() == 2 ? 1 : 2;
  Shape output = input.shape;
  const auto sizes = is_upsample ? std::nullopt : importer.integers(site, 3);
  auto scales = attribute<std::vector<double>>(site.node, "scales");
  if (!scales && site.has_input(scales_at)) {
    const auto* values = importer.constant(site, scales_at).constant->reals();
    if (values != nullptr && !values->empty()) scales = *values;
  }
  if (sizes && sizes->size() == output.size()) {
    output = *sizes;
  } else if (scales && scales->size() == output.size()) {
    for (std::size_t axis = 0; axis < output.size(); ++axis) {
      const double size = static_cast<double>(output[axis]) * (*scales)[axis];
      if (!(size >= 1 && size <= static_cast<double>(kMaxElements))) {
        throw NodeError("scales out of range");
      }
      output[axis] = static_cast<std::int64_t>(size);
    }
  } else {
    throw NodeError("expected constant scales or sizes for each axis of " + to_string(input.shape));
  }
  InferredVector inferred = infer_move(input.shape, output);
  const std::string mode = text_attribute(site.node, "mode", "nearest");
  constexpr std::int64_t kLinearTaps = 4;
  constexpr std::int64_t kCubicTaps = 16;
  if (mode != "nearest") {
    inferred.vector.operations =
        inferred.vector.output_elements * (mode == "cubic" ? kCubicTaps : kLinearTaps);
  }
  if (output == input.shape) {
    importer.set_alias(site, input, output);
  } else {
    importer.add_vector(site, LayerKind::move, inferred);
  }
}

void import_depth_to_space(Importer& importer, const Site& site) {
  const Value& input = importer.activation(site, 0);
  const std::int64_t block = integer_attribute(site.node, "blocksize", 0);
  Shape output = input.shape;
  if (output.size() != 4 || block < 1 || block > kMaxWindow) {
    throw NodeError("expected an input of four axes and a block size, got " + to_string(output));
  }
  const bool to_space = site.node.op == "DepthToSpace";
  const std::int64_t area = block * block;
  if (to_space ? output[1] % area != 0 : output[2] % block != 0 || output[3] % block != 0) {
    throw NodeError("blocks of " + std::to_string(block) + " do not divide " + to_string(output));
  }
  output[1] = to_space ? output[1] / area : output[1] * area;
  output[2] = to_space ? output[2] * block : output[2] / block;
  output[3] = to_space ? output[3] * block : output[3] / block;
  import_moved(importer, site, std::move(output), {});
}

// Shapes as data.

void import_shape(Importer& importer, const Site& site) {
  const Shape& shape = any_input(site, 0).shape;
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto position = [rank](std::int64_t at) {
    return std::clamp(at < 0 ? at + rank : at, std::int64_t{0}, rank);
  };
  const std::int64_t start = position(integer_attribute(site.node, "start", 0));
  const std::int64_t end = std::max(start, position(integer_attribute(site.node, "end", rank)));
  importer.set_constant(site, make_constant({shape.begin() + start, shape.begin() + end}));
}

void import_size(Importer& importer, const Site& site) {
  importer.set_constant(site, make_scalar(constant_count(any_input(site, 0).shape)));
}

void import_constant(Importer& importer, const Site& site) {
  const OnnxNode& node = site.node;
  if (const auto value = attribute<OnnxConstant>(node, "value")) {
    importer.set_constant(site, *value);
  } else if (const auto integer = attribute<std::int64_t>(node, "value_int")) {
    importer.set_constant(site, make_scalar(*integer));
  } else if (const auto list = list_attribute(node, "value_ints")) {
    importer.set_constant(site, make_constant(*list));
  } else if (const auto real = attribute<double>(node, "value_float")) {
    importer.set_constant(site, {{}, false, OnnxConstant::Reals{*real}});
  } else if (const auto reals = attribute<std::vector<double>>(node, "value_floats")) {
    importer.set_constant(site, {{static_cast<std::int64_t>(reals->size())}, false, *reals});
  } else {
    throw NodeError("has no value that can be read");
  }
}

void import_constant_of_shape(Importer& importer, const Site& site) {
  const auto shape = importer.integers(site, 0);
  if (!shape) throw NodeError(ordinal(0) + " is missing");
  const auto value = attribute<OnnxConstant>(site.node, "value");
  constant_count(*shape);
  importer.set_constant(site, filled(*shape, value ? &*value : nullptr));
}

void import_range(Importer& importer, const Site& site) {
  importer.set_constant(
      site, range(*importer.constant(site, 0).constant, *importer.constant(site, 1).constant,
                  *importer.constant(site, 2).constant));
}

// Constants whose values no shape depends on: the shape of the first operand.
void import_constant_like_first(Importer& importer, const Site& site) {
  const Value& data = importer.constant(site, 0);
  for (std::size_t index = 1; index < site.inputs.size(); ++index) {
    if (site.has_input(index)) importer.constant(site, index);
  }
  importer.set_constant(site, {data.shape, data.constant->is_integral, {}});
}

}  // namespace widthwise::onnx_import
