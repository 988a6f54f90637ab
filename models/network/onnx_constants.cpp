#include "models/network/onnx_constants.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "models/base/error.hpp"
#include "models/network/onnx_values.hpp"

namespace widthwise {

namespace {

using Integers = OnnxConstant::Integers;
using Reals = OnnxConstant::Reals;
using Integer = std::int64_t;

constexpr Integer kLowest = std::numeric_limits<Integer>::min();

std::int64_t floor_mod(std::int64_t a, std::int64_t b) {
  const std::int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

std::optional<Integer> integer_power(Integer base, Integer exponent) {
  if (exponent < 0 || exponent > 64) return std::nullopt;
  Integer result = 1;
  for (Integer i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(result, base, &result)) return std::nullopt;
  }
  return result;
}

// Of integers: each that is smaller is a double of its own.
bool is_exact(double integer) {
  constexpr double kExactlyRepresented = 9e15;
  return std::abs(integer) < kExactlyRepresented;
}

// Functions of two values; nothing if the function is not among them or has no value there.
std::optional<Integer> apply(const std::string& op, Integer a, Integer b) {
  Integer result = 0;
  const bool divides = b != 0 && !(a == kLowest && b == -1);
  if (op == "Add")
    return __builtin_add_overflow(a, b, &result) ? std::nullopt : std::optional(result);
  if (op == "Sub")
    return __builtin_sub_overflow(a, b, &result) ? std::nullopt : std::optional(result);
  if (op == "Mul")
    return __builtin_mul_overflow(a, b, &result) ? std::nullopt : std::optional(result);
  if (op == "Div") return divides ? std::optional(a / b) : std::nullopt;
  if (op == "Mod") return divides ? std::optional(floor_mod(a, b)) : std::nullopt;
  if (op == "Pow") return integer_power(a, b);
  if (op == "Max") return std::max(a, b);
  if (op == "Min") return std::min(a, b);
  if (op == "And") return a != 0 && b != 0 ? 1 : 0;
  if (op == "Or") return a != 0 || b != 0 ? 1 : 0;
  return std::nullopt;
}

std::optional<double> apply(const std::string& op, double a, double b) {
  if (op == "Add") return a + b;
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  if (op == "Div") return a / b;
  if (op == "Pow") return std::pow(a, b);
  if (op == "Max") return std::max(a, b);
  if (op == "Min") return std::min(a, b);
  return std::nullopt;
}

template <class T>
std::optional<bool> compare(const std::string& op, T a, T b) {
  if (op == "Equal") return a == b;
  if (op == "Greater") return a > b;
  if (op == "Less") return a < b;
  if (op == "GreaterOrEqual") return a >= b;
  if (op == "LessOrEqual") return a <= b;
  return std::nullopt;
}

bool is_comparison(const std::string& op) { return compare(op, 0, 0).has_value(); }

std::optional<Integer> apply(const std::string& op, Integer a) {
  if (op == "Neg") return a == kLowest ? std::nullopt : std::optional(-a);
  if (op == "Abs") return a == kLowest ? std::nullopt : std::optional(std::abs(a));
  if (op == "Not") return a == 0 ? 1 : 0;
  if (op == "Sign") return (a > 0 ? 1 : 0) - (a < 0 ? 1 : 0);
  return std::nullopt;
}

std::optional<double> apply(const std::string& op, double a) {
  if (op == "Neg") return -a;
  if (op == "Abs") return std::abs(a);
  if (op == "Floor") return std::floor(a);
  if (op == "Ceil") return std::ceil(a);
  if (op == "Round") return std::nearbyint(a);
  if (op == "Sqrt") return std::sqrt(a);
  if (op == "Reciprocal") return 1 / a;
  return std::nullopt;
}

std::size_t flat_index(const Shape& index, const Shape& shape) {
  std::int64_t flat = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) flat = flat * shape[axis] + index[axis];
  return static_cast<std::size_t>(flat);
}

/// Calls `visit` with every index of the shape in order; false as soon as that returns false.
template <class Visit>
bool for_each_index(const Shape& shape, Visit visit) {
  const std::int64_t count = constant_count(shape);
  Shape index(shape.size(), 0);
  for (std::int64_t i = 0; i < count; ++i) {
    if (!visit(std::as_const(index))) return false;
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
  return true;
}

// Where a value of the broadcast result comes from.
std::size_t broadcast_source(const Shape& index, const Shape& shape) {
  Shape own(index.end() - static_cast<std::ptrdiff_t>(shape.size()), index.end());
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] == 1) own[axis] = 0;
  }
  return flat_index(own, shape);
}

/// The values after broadcasting, as Out, or nothing.
template <class Values>
std::optional<Values> spread(const OnnxConstant& constant, const Shape& output) {
  const Values* values = std::get_if<Values>(&constant.values);
  if (values == nullptr) return std::nullopt;
  Values result;
  for_each_index(output, [&](const Shape& index) {
    result.push_back((*values)[broadcast_source(index, constant.shape)]);
    return true;
  });
  return result;
}

template <class Values>
void fold_values(const std::string& op, std::span<const OnnxConstant* const> inputs,
                 OnnxConstant& result) {
  using Value = typename Values::value_type;
  auto values = spread<Values>(*inputs[0], result.shape);
  if (!values) return;
  if (inputs.size() == 1) {
    for (Value& value : *values) {
      const auto applied = apply(op, value);
      if (!applied) return;
      value = *applied;
    }
  }
  for (const OnnxConstant* input : inputs.subspan(1)) {
    const auto operand = spread<Values>(*input, result.shape);
    if (!operand) return;
    Integers flags;
    for (std::size_t i = 0; i < values->size(); ++i) {
      if (const auto holds = compare(op, (*values)[i], (*operand)[i])) {
        flags.push_back(*holds ? 1 : 0);
        continue;
      }
      const auto applied = apply(op, (*values)[i], (*operand)[i]);
      if (!applied) return;
      (*values)[i] = *applied;
    }
    if (is_comparison(op)) {
      result.values = std::move(flags);
      return;
    }
  }
  result.values = std::move(*values);
}

void fold_where(std::span<const OnnxConstant* const> inputs, OnnxConstant& result) {
  const auto choice = spread<Integers>(*inputs[0], result.shape);
  auto yes = spread<Integers>(*inputs[1], result.shape);
  const auto no = spread<Integers>(*inputs[2], result.shape);
  if (!choice || !yes || !no) return;
  for (std::size_t i = 0; i < choice->size(); ++i) {
    if ((*choice)[i] == 0) (*yes)[i] = (*no)[i];
  }
  result.values = std::move(*yes);
}

Shape broadcast_constants(std::span<const OnnxConstant* const> inputs) {
  Shape shape;
  for (const OnnxConstant* input : inputs) {
    // Of a constant without elements, only the empty list occurs.
    if (constant_count(input->shape) == 0) return input->shape;
    shape = broadcast(shape, input->shape);
  }
  return shape;
}

bool keeps_values(const Shape& shape) { return constant_count(shape) <= kMaxKeptValues; }

}  // namespace

OnnxConstant make_constant(std::vector<std::int64_t> values) {
  return {{static_cast<std::int64_t>(values.size())}, true, std::move(values)};
}

OnnxConstant make_scalar(std::int64_t value) { return {{}, true, Integers{value}}; }

std::int64_t constant_count(const Shape& shape) {
  Shape positive = shape;
  for (std::int64_t& size : positive) size = size == 0 ? 1 : size;
  const std::int64_t count = element_count(positive);
  return std::find(shape.begin(), shape.end(), 0) == shape.end() ? count : 0;
}

OnnxConstant fold_elementwise(const std::string& op, std::span<const OnnxConstant* const> inputs) {
  ensure(!inputs.empty(), "an element-wise function has an operand");
  OnnxConstant result;
  result.shape = broadcast_constants(inputs);
  const bool selects = op == "Where" && inputs.size() == 3;
  const auto operands = selects ? inputs.subspan(1) : inputs;
  result.is_integral = is_comparison(op) ||
                       std::all_of(operands.begin(), operands.end(),
                                   [](const OnnxConstant* input) { return input->is_integral; });
  if (constant_count(result.shape) == 0 || !keeps_values(result.shape)) return result;
  if (selects) {
    fold_where(inputs, result);
  } else if (inputs[0]->is_integral) {
    fold_values<Integers>(op, inputs, result);
  } else {
    fold_values<Reals>(op, inputs, result);
  }
  return result;
}

OnnxConstant rearrange(const OnnxConstant& input, Shape output,
                       const std::function<void(Shape& index)>& source) {
  OnnxConstant result{std::move(output), input.is_integral, {}};
  result.origin = moved(input, result.shape, source);
  if (!keeps_values(result.shape)) return result;
  const auto pick = [&](const auto& values) {
    auto picked = values;
    picked.clear();
    for_each_index(result.shape, [&](const Shape& at) {
      Shape index = at;
      source(index);
      picked.push_back(values.at(flat_index(index, input.shape)));
      return true;
    });
    return picked;
  };
  if (const Integers* integers = input.integers()) result.values = pick(*integers);
  if (const Reals* reals = input.reals()) result.values = pick(*reals);
  return result;
}

OnnxConstant transpose(const OnnxConstant& input, const std::vector<std::int64_t>& permutation) {
  OnnxConstant result =
      rearrange(input, infer_transpose(input.shape, permutation),
                [permutation, from = Shape(permutation.size())](Shape& index) mutable {
                  for (std::size_t i = 0; i < index.size(); ++i) {
                    from[static_cast<std::size_t>(permutation[i])] = index[i];
                  }
                  index = from;
                });
  result.origin = permuted(input, permutation);
  return result;
}

OnnxConstant reshape(const OnnxConstant& input, Shape output) {
  OnnxConstant result = input;
  result.shape = std::move(output);
  return result;
}

OnnxConstant cast(const OnnxConstant& input, bool is_integral, bool is_boolean) {
  OnnxConstant result{input.shape, is_integral, {}};
  if (!is_integral) result.origin = input.origin;
  if (const Integers* integers = input.integers()) {
    if (!is_integral) {
      result.values = Reals(integers->begin(), integers->end());
    } else {
      Integers values = *integers;
      for (Integer& value : values) value = is_boolean ? (value != 0 ? 1 : 0) : value;
      result.values = std::move(values);
    }
  } else if (const Reals* reals = input.reals()) {
    if (!is_integral) {
      result.values = *reals;
      return result;
    }
    Integers values;
    for (const double real : *reals) {
      if (!is_exact(real)) return result;
      const auto truncated = static_cast<Integer>(real);
      values.push_back(is_boolean ? (real != 0 ? 1 : 0) : truncated);
    }
    result.values = std::move(values);
  }
  return result;
}

OnnxConstant concatenate(std::span<const OnnxConstant* const> inputs, std::int64_t axis) {
  ensure(!inputs.empty(), "a concatenation has an operand");
  const std::size_t at = resolve_axis(axis, inputs.front()->shape.size());
  OnnxConstant result{inputs.front()->shape, inputs.front()->is_integral, {}};
  result.shape[at] = 0;
  for (const OnnxConstant* input : inputs) {
    Shape expected = input->shape;
    if (expected.size() == result.shape.size()) expected[at] = result.shape[at];
    if (expected != result.shape) {
      throw ShapeError("cannot concatenate " + to_string(inputs.front()->shape) + " and " +
                       to_string(input->shape) + " along axis " + std::to_string(at));
    }
    result.shape[at] += input->shape[at];
    constant_count(result.shape);
  }
  result.origin = joined(inputs, at);
  if (!keeps_values(result.shape) || !result.is_integral) return result;
  Integers values(static_cast<std::size_t>(constant_count(result.shape)));
  std::int64_t offset = 0;
  for (const OnnxConstant* input : inputs) {
    const Integers* own = input->integers();
    if (own == nullptr && constant_count(input->shape) > 0) return result;
    for_each_index(input->shape, [&](const Shape& index) {
      Shape to = index;
      to[at] += offset;
      values[flat_index(to, result.shape)] = (*own)[flat_index(index, input->shape)];
      return true;
    });
    offset += input->shape[at];
  }
  result.values = std::move(values);
  return result;
}

OnnxConstant range(const OnnxConstant& start, const OnnxConstant& limit,
                   const OnnxConstant& delta) {
  const auto scalar = [](const OnnxConstant& constant) -> double {  // not a number: unknown
    if (const Integers* integers = constant.integers(); integers && integers->size() == 1) {
      return static_cast<double>(integers->front());
    }
    if (const Reals* reals = constant.reals(); reals && reals->size() == 1) return reals->front();
    return std::nan("");
  };
  const double from = scalar(start);
  const double to = scalar(limit);
  const double step = scalar(delta);
  const double count = std::max(std::ceil((to - from) / step), 0.0);
  constexpr double kMostElements = 1e9;
  if (!(count <= kMostElements)) throw ShapeError("the length of the range cannot be computed");
  OnnxConstant result{{static_cast<std::int64_t>(count)}, start.is_integral, {}};
  if (!keeps_values(result.shape) || !result.is_integral) return result;
  if (!is_exact(from) || !is_exact(to)) return result;
  Integers values;
  for (std::int64_t i = 0; i < result.shape[0]; ++i) {
    values.push_back(static_cast<Integer>(from + static_cast<double>(i) * step));
  }
  result.values = std::move(values);
  return result;
}

OnnxConstant filled(Shape shape, const OnnxConstant* value) {
  OnnxConstant result{std::move(shape), value != nullptr && value->is_integral, {}};
  if (!keeps_values(result.shape)) return result;
  const auto count = static_cast<std::size_t>(constant_count(result.shape));
  if (value == nullptr) {
    result.values = Reals(count, 0.0);
  } else if (const Integers* integers = value->integers(); integers && integers->size() == 1) {
    result.values = Integers(count, integers->front());
  } else if (const Reals* reals = value->reals(); reals && reals->size() == 1) {
    result.values = Reals(count, reals->front());
  }
  return result;
}

}  // namespace widthwise
