// A layer's grid of one metric in the form that is quick to interpolate on: axes with one point are
// gone, cells are found by index where points are consecutive, nothing is allocated.
//
// For the sums over networks (fractional_cost.hpp, channel_cost.hpp); interpolate() of
// layer_grid.hpp says what it computes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "models/table/layer_grid.hpp"

namespace widthwise {

/// Where a value lies on an axis: between points `index` and `index + 1`, if there are two.
struct AxisCell {
  std::size_t index = 0;
  double fraction = 0;  // of the way to the next point, 0..1
  double slope = 0;     // of the fraction by the value: 0 outside the axis
};

/// `unit_steps`: each point is the one before plus 1.
inline AxisCell locate(std::span<const double> points, bool unit_steps, double value) {
  const std::size_t last = points.size() - 1;
  if (last == 0 || !(value >= points[0])) return {};
  if (value > points[last]) return {last - 1, 1, 0};
  const std::size_t below =
      unit_steps ? static_cast<std::size_t>(value - points[0])
                 : static_cast<std::size_t>(std::upper_bound(points.begin(), points.end(), value) -
                                            points.begin() - 1);
  const std::size_t index = std::min(below, last - 1);
  const double width = points[index + 1] - points[index];
  return {index, (value - points[index]) / width, 1 / width};
}

class FlatGrid {
 public:
  FlatGrid(const LayerGrid& grid, std::size_t metric) : values_(grid.values.at(metric)) {
    std::size_t stride = 1;
    for (std::size_t i = grid.axes.size(); i-- > 0;) {
      const std::vector<double>& points = grid.axes[i].points;
      if (points.size() > 1) {
        bool unit_steps = true;
        for (std::size_t k = 1; k < points.size(); ++k)
          unit_steps = unit_steps && points[k] == points[k - 1] + 1;
        axes_.push_back({grid.axes[i].axis, stride, unit_steps, points});
      }
      stride *= points.size();
    }
    std::reverse(axes_.begin(), axes_.end());
  }

  [[nodiscard]] std::size_t rank() const { return axes_.size(); }

  [[nodiscard]] bool has(Axis axis) const { return points(axis) != nullptr; }

  /// Null if the grid does not have the axis, or only one point of it.
  [[nodiscard]] const std::vector<double>* points(Axis axis) const {
    for (const FlatAxis& own : axes_) {
      if (own.axis == axis) return &own.points;
    }
    return nullptr;
  }

  /// Takes an axis out at one of its values.
  void fix(Axis axis, double value) {
    const auto found = std::find_if(axes_.begin(), axes_.end(),
                                    [axis](const FlatAxis& own) { return own.axis == axis; });
    if (found == axes_.end()) return;
    const FlatAxis fixed = *found;
    const AxisCell cell = locate(fixed.points, fixed.unit_steps, value);
    const std::size_t row = fixed.stride * fixed.points.size();
    std::vector<double> values;
    values.reserve(values_.size() / fixed.points.size());
    for (std::size_t begin = 0; begin < values_.size(); begin += row) {
      const double* const low = &values_[begin + cell.index * fixed.stride];
      for (std::size_t i = 0; i < fixed.stride; ++i)
        values.push_back((1 - cell.fraction) * low[i] + cell.fraction * low[i + fixed.stride]);
    }
    values_ = std::move(values);
    for (auto outer = axes_.begin(); outer != found; ++outer) outer->stride /= fixed.points.size();
    axes_.erase(found);
  }

  /// A cell per axis, in the grid's order.
  using Cells = std::array<AxisCell, kAxes>;

  void locate_all(const AxisValues& at, Cells& cells) const {
    for (std::size_t i = 0; i < axes_.size(); ++i) {
      cells[i] = locate(axes_[i].points, axes_[i].unit_steps, at[index_of(axes_[i].axis)]);
    }
  }

  /// One of them again, at a value that the derivative is not wanted by.
  void locate_constant(Axis axis, double value, Cells& cells) const {
    for (std::size_t i = 0; i < axes_.size(); ++i) {
      if (axes_[i].axis != axis) continue;
      cells[i] = locate(axes_[i].points, axes_[i].unit_steps, value);
      cells[i].slope = 0;
    }
  }

  /// The value there; `gradient`, unless null, becomes its derivatives.
  double value(const Cells& cells, AxisValues* gradient) const {
    std::size_t offsets[std::size_t{1} << kAxes];
    double corners[std::size_t{1} << kAxes];
    double differences[std::size_t{1} << kAxes];  // those of axis k begin at 2^k
    std::array<std::size_t, kAxes> between;       // axes along which the place lies between points
    std::size_t count = 0;
    offsets[0] = 0;
    for (std::size_t i = 0; i < axes_.size(); ++i) {
      const AxisCell& cell = cells[i];
      offsets[0] += cell.index * axes_[i].stride;
      const bool moves = gradient != nullptr && cell.slope != 0;
      if (!moves && cell.fraction == 0) continue;
      if (!moves && cell.fraction == 1) {
        offsets[0] += axes_[i].stride;
        continue;
      }
      between[count++] = i;
    }
    for (std::size_t k = 0; k < count; ++k) {
      const std::size_t half = std::size_t{1} << k;
      const std::size_t stride = axes_[between[k]].stride;
      for (std::size_t j = 0; j < half; ++j) offsets[half + j] = offsets[j] + stride;
    }
    const std::size_t all = std::size_t{1} << count;
    for (std::size_t j = 0; j < all; ++j) corners[j] = values_[offsets[j]];
    for (std::size_t k = count; k-- > 0;) {
      const std::size_t half = std::size_t{1} << k;
      const double high = cells[between[k]].fraction;
      const double low = 1 - high;  // exact at the points, where the other factor is 0
      if (gradient != nullptr) {
        for (std::size_t j = 0; j < half; ++j)
          differences[half + j] = corners[half + j] - corners[j];
        for (std::size_t outer = k + 1; outer < count; ++outer) {
          double* const part = differences + (std::size_t{1} << outer);
          for (std::size_t j = 0; j < half; ++j) part[j] = low * part[j] + high * part[half + j];
        }
      }
      for (std::size_t j = 0; j < half; ++j)
        corners[j] = low * corners[j] + high * corners[half + j];
    }
    if (gradient != nullptr) {
      gradient->fill(0);
      for (std::size_t k = 0; k < count; ++k) {
        (*gradient)[index_of(axes_[between[k]].axis)] =
            differences[std::size_t{1} << k] * cells[between[k]].slope;
      }
    }
    return corners[0];
  }

 private:
  struct FlatAxis {
    Axis axis;
    std::size_t stride;
    bool unit_steps;
    std::vector<double> points;  // two or more
  };

  std::vector<FlatAxis> axes_;  // ascending
  std::vector<double> values_;
};

}  // namespace widthwise
