// Accumulators of a tile's outputs, row by row.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/cycle/array_model.hpp"

namespace widthwise::sim {

template <class Sum>
class PlainSums : public OutputSums {
 public:
  PlainSums(std::int64_t m, std::int64_t n) : n_(n) {
    sums_.resize(static_cast<std::size_t>(m * n));
  }
  [[nodiscard]] std::int64_t get(std::int64_t m, std::int64_t n) const override {
    return sums_[static_cast<std::size_t>(m * n_ + n)];
  }
  void set(std::int64_t m, std::int64_t n, std::int64_t value) override {
    sums_[static_cast<std::size_t>(m * n_ + n)] = static_cast<Sum>(value);
  }
  Sum* at(std::int64_t m, std::int64_t n) { return sums_.data() + m * n_ + n; }

 private:
  std::int64_t n_;
  std::vector<Sum> sums_;
};

}  // namespace widthwise::sim
