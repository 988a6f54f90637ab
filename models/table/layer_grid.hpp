// The rows of one layer as a dense grid, and the multilinear interpolation on it.
//
// FracBits (arXiv 2007.02017) takes the cost at fractional widths between the four neighbouring
// integer pairs, bilinearly; here between the neighbours along every axis that the table has.
//
// Between rows the interpolant is what the method defines, not what a machine would do: there is no
// hardware for 3.5 bits. At the rows it is exact.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "models/table/cost_table.hpp"

namespace widthwise {

struct GridAxis {
  Axis axis = Axis::weight_bits;
  std::vector<double> points;  // ascending, at least one
};

/// What follows from the rows of a layer:
/// - An axis on which all rows have the same value has one point.
/// - `equal_widths`: the activation width varies, and all rows have equal weight and activation
///   widths, as those of layers without weights have. The grid then has no axis of weight widths,
///   and the layer runs at the greater of both (as machines do that have one width per kernel).
/// - `stored_input_follows`: the activation width varies, and the input is stored at it in all rows
///   (nobody else reads it); the grid has no axis for it. `stored_second_follows` and
///   `stored_output_follows` likewise.
/// - `input_share_follows`: the share of the output channels varies, and that of the input channels
///   equals it in all rows, as in layers that pass channels on; the grid has no axis for it.
/// - Rows with an operand stored at less than activation_bits can not exist. Where there are none,
///   their places next to the diagonal are filled so that the interpolant is linear along it and
///   exact where input and activation widths differ: c(a+, a) = c(a+, a+) + c(a, a) - c(a, a+).
///   Places further off, which no interpolation between possible places looks at, follow by the
///   same rule.
struct LayerGrid {
  std::vector<GridAxis> axes;               // ascending
  std::vector<std::vector<double>> values;  // per metric; row-major, the last axis fastest
  bool equal_widths = false;
  bool stored_input_follows = false;
  bool stored_second_follows = false;
  bool stored_output_follows = false;
  bool input_share_follows = false;

  [[nodiscard]] std::size_t size() const;  // places
};

/// Throws InputError, all mistakes at once: places without a row ("table lacks ..."; the first few,
/// and how many more), rows that say the same place twice.
LayerGrid layer_grid(const CostTable& table, std::size_t layer);

/// The value at the place, and if `gradient` is not null its derivatives by each axis's value (0
/// for axes that the grid does not have; where equal_widths, to the greater of both widths, halves
/// where they are equal). At a point of an axis the right derivative, at the last one the left
/// derivative. Places outside are taken at the nearest one inside, with derivative 0 along that
/// axis. Where equal_widths, an operand stored at less than the greater of both widths counts as
/// stored at that.
double interpolate(const LayerGrid& grid, std::size_t metric, const AxisValues& at,
                   AxisValues* gradient = nullptr);

}  // namespace widthwise
