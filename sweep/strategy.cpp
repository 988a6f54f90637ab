#include "sweep/strategy.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include <boost/random/sobol.hpp>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

std::uint64_t product(const std::vector<std::size_t>& extents) {
  std::uint64_t cells = 1;
  for (const std::size_t extent : extents) cells *= extent;
  return cells;
}

class Grid : public CellSequence {
 public:
  explicit Grid(std::uint64_t cells) : cells_(cells) {}
  [[nodiscard]] std::uint64_t size() const override { return cells_; }
  [[nodiscard]] std::optional<std::uint64_t> next() override {
    return at_ < cells_ ? std::optional(at_++) : std::nullopt;
  }

 private:
  std::uint64_t cells_, at_ = 0;
};

/// 64 well mixed bits (SplitMix64, Steele et al. 2014).
constexpr std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// A permutation of 0 .. cells - 1: rounds on two halves of the least even number of bits that hold
/// a cell, again and again until the result is one.
class Permutation : public CellSequence {
 public:
  Permutation(std::uint64_t cells, std::uint64_t points, std::uint64_t seed)
      : cells_(cells), points_(std::min(cells, points)), seed_(mixed(seed)) {
    half_ = (std::max(1, static_cast<int>(std::bit_width(cells - 1))) + 1) / 2;
  }
  [[nodiscard]] std::uint64_t size() const override { return points_; }
  [[nodiscard]] std::optional<std::uint64_t> next() override {
    if (at_ == points_) return std::nullopt;
    std::uint64_t cell = at_++;
    do {
      cell = shuffled(cell);
    } while (cell >= cells_);
    return cell;
  }

 private:
  [[nodiscard]] std::uint64_t shuffled(std::uint64_t x) const {
    constexpr std::uint64_t kRounds = 6;
    const std::uint64_t mask = (std::uint64_t{1} << half_) - 1;
    std::uint64_t left = x >> half_;
    std::uint64_t right = x & mask;
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      const std::uint64_t next = left ^ (mixed(right ^ mixed(seed_ + round)) & mask);
      left = right;
      right = next;
    }
    return left << half_ | right;
  }

  std::uint64_t cells_, points_, at_ = 0, seed_;
  int half_ = 1;
};

class Sobol : public CellSequence {
 public:
  Sobol(const std::vector<std::size_t>& extents, std::uint64_t points)
      : extents_(extents), points_(points), engine_(std::max<std::size_t>(1, extents.size())) {}
  [[nodiscard]] std::uint64_t size() const override { return points_; }
  [[nodiscard]] std::optional<std::uint64_t> next() override {
    if (at_ == points_) return std::nullopt;
    ++at_;
    constexpr double kRange = 18446744073709551616.0;  // 2^64
    std::uint64_t cell = 0;
    for (const std::size_t extent : extents_) {
      const double unit = static_cast<double>(engine_()) / kRange;
      const auto index = static_cast<std::size_t>(unit * static_cast<double>(extent));
      cell = cell * extent + std::min(index, extent - 1);
    }
    return cell;
  }

 private:
  std::vector<std::size_t> extents_;
  std::uint64_t points_, at_ = 0;
  boost::random::sobol engine_;
};

}  // namespace

std::unique_ptr<CellSequence> cell_sequence(const StrategySettings& settings,
                                            const std::vector<std::size_t>& extents) {
  switch (settings.kind) {
    case StrategySettings::Kind::grid:
      return std::make_unique<Grid>(product(extents));
    case StrategySettings::Kind::random:
      return std::make_unique<Permutation>(product(extents), settings.points, settings.seed);
    case StrategySettings::Kind::sobol:
      return std::make_unique<Sobol>(extents, settings.points);
    case StrategySettings::Kind::nsga2:
      break;
  }
  ensure(false, "evolution has no sequence that is known beforehand");
  return nullptr;
}

}  // namespace widthwise
