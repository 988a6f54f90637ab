// In which order, and which of them, the cells of a space are looked at.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sweep/space.hpp"

namespace widthwise {

/// A sequence of cells that is known beforehand; the same for the same settings.
class CellSequence {
 public:
  virtual ~CellSequence() = default;
  /// Of the sequence, cells that come again counted again.
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// The next one; nothing at the end.
  [[nodiscard]] virtual std::optional<std::uint64_t> next() = 0;
};

/// grid: all cells in order. random: a permutation of the cells (a Feistel network of keyed
/// rounds), the first `points` of it, so that none comes twice. sobol: points of Sobol's sequence
/// in the unit cube of the axes (Joe and Kuo 2008, by Boost), each in the cell that holds it.
/// `extents` are the axes' numbers of values. Not for nsga2.
std::unique_ptr<CellSequence> cell_sequence(const StrategySettings& settings,
                                            const std::vector<std::size_t>& extents);

/// Objectives of machines, all to be small; nothing for one that has none.
using Objectives = std::optional<std::vector<double>>;
using EvaluateAll = std::function<std::vector<Objectives>(
    const std::vector<std::vector<std::size_t>>& coordinates)>;

/// NSGA-II (Deb et al. 2002) on the indices of the axes' values, by pagmo: the first population is
/// random, `generations` follow. Asks for a whole generation at once, machines that it asked for
/// before among them. The same questions for the same settings and answers. A machine without
/// objectives is worse than any other.
void evolve(const StrategySettings& settings, const std::vector<std::size_t>& extents,
            std::size_t objectives, const EvaluateAll& evaluate);

}  // namespace widthwise
