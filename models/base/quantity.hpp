// Strong types for the quantities that the models exchange.
//
// A quantity is a number with a unit in its type. Quantities of one unit add, subtract and compare;
// multiplying or dividing by a plain number keeps the unit; the ratio of two of them is a plain
// number. Everything that loses information is a named function that says its rounding. Inner loops
// of the tiling search work on `count()` and re-wrap their results.
#pragma once

#include <compare>
#include <cstdint>

namespace widthwise {

template <class Unit, class Rep>
class Quantity {
 public:
  using rep = Rep;

  constexpr Quantity() = default;
  constexpr explicit Quantity(Rep count) : count_(count) {}

  [[nodiscard]] constexpr Rep count() const { return count_; }

  constexpr auto operator<=>(const Quantity&) const = default;

  constexpr Quantity& operator+=(Quantity other) {
    count_ += other.count_;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    count_ -= other.count_;
    return *this;
  }
  constexpr Quantity& operator*=(Rep factor) {
    count_ *= factor;
    return *this;
  }

  friend constexpr Quantity operator+(Quantity a, Quantity b) { return a += b; }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return a -= b; }
  friend constexpr Quantity operator*(Quantity a, Rep factor) { return a *= factor; }
  friend constexpr Quantity operator*(Rep factor, Quantity a) { return a *= factor; }
  friend constexpr double operator/(Quantity a, Quantity b) {
    return static_cast<double>(a.count_) / static_cast<double>(b.count_);
  }

 private:
  Rep count_{};
};

using Cycles = Quantity<struct CyclesUnit, std::int64_t>;  // of the accelerator's clock
using Bits = Quantity<struct BitsUnit, std::int64_t>;
using Bytes = Quantity<struct BytesUnit, std::int64_t>;
using Picojoules = Quantity<struct PicojoulesUnit, double>;
using Hertz = Quantity<struct HertzUnit, double>;
using Seconds = Quantity<struct SecondsUnit, double>;
using SquareMicrometres = Quantity<struct SquareMicrometresUnit, double>;
using Milliwatts = Quantity<struct MilliwattsUnit, double>;

/// Bits of an operand. 1 to 16 for operands; an accumulator may be wider.
using BitWidth = int;

inline constexpr BitWidth kMinOperandWidth = 1;
inline constexpr BitWidth kMaxOperandWidth = 16;

/// a / b rounded up, for a >= 0, b > 0.
constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// The least multiple of `step` that is not below `a`, for a >= 0, step > 0.
constexpr std::int64_t round_up(std::int64_t a, std::int64_t step) {
  return ceil_div(a, step) * step;
}

/// Bytes that hold the bits, rounded up.
constexpr Bytes bytes_rounded_up(Bits bits) { return Bytes(ceil_div(bits.count(), 8)); }
constexpr Bits to_bits(Bytes bytes) { return Bits(bytes.count() * 8); }

/// Wall time of so many cycles of the clock named.
constexpr Seconds seconds_at(Cycles cycles, Hertz clock) {
  return Seconds(static_cast<double>(cycles.count()) / clock.count());
}

}  // namespace widthwise
