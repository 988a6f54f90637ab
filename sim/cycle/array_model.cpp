#include "sim/cycle/array_model.hpp"

namespace widthwise::sim {

bool sums_are_narrow(const ArrayShape& shape) {
  constexpr int kNarrow = 32;
  int spread = 0;  // of the sum over an element's products
  while ((std::int64_t{1} << spread) < shape.products) ++spread;
  const auto bits = [](const OperandCut& cut) {
    return static_cast<int>(cut.passes) * cut.piece_bits + (cut.is_signed ? 0 : 1);
  };
  return bits(shape.weight) + bits(shape.activation) + spread <= kNarrow &&
         shape.rule.bits <= kNarrow;
}

std::vector<Brick> bricks_of(const ArrayShape& shape, const OperandCut& x, const OperandCut& y) {
  std::vector<Brick> bricks;
  for (int product = 0; product < shape.products; ++product) {
    for (int i = 0; i < x.digits; ++i) {
      for (int j = 0; j < y.digits; ++j) {
        bricks.push_back(
            {product * x.digits + i, product * y.digits + j, i * x.digit_bits + j * y.digit_bits});
      }
    }
  }
  return bricks;
}

std::unique_ptr<ArrayModel> make_array(const Engine& engine, const ArrayShape& shape) {
  if (engine.kind == EngineKind::bit_serial) return make_serial_array(shape);
  return shape.streams == StreamAxis::k ? make_output_stationary_array(shape)
                                        : make_stationary_array(shape);
}

}  // namespace widthwise::sim
