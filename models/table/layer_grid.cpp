#include "models/table/layer_grid.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "models/base/error.hpp"
#include "models/base/units.hpp"
#include "models/table/flat_grid.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kMostMissing = 5;         // of a layer, each in a line of its own
constexpr std::size_t kMostPlaces = 1U << 22U;  // of a layer
constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

/// An axis that says nothing of its own: its value is that of another one in all rows.
struct Tie {
  Axis axis;
  Axis follows;
  bool LayerGrid::*flag;
};
constexpr Tie kTies[] = {
    {Axis::weight_bits, Axis::activation_bits, &LayerGrid::equal_widths},
    {Axis::stored_input_bits, Axis::activation_bits, &LayerGrid::stored_input_follows},
    {Axis::stored_second_bits, Axis::activation_bits, &LayerGrid::stored_second_follows},
    {Axis::stored_output_bits, Axis::activation_bits, &LayerGrid::stored_output_follows},
    {Axis::input_share, Axis::output_share, &LayerGrid::input_share_follows},
};

class GridBuilder {
 public:
  GridBuilder(const CostTable& table, std::size_t layer) : table_(table), layer_(layer) {
    for (const TableRow& row : table.rows) {
      if (row.layer != layer) continue;
      ensure(row.values.size() == table.metrics.size(), "a row has a value per metric");
      rows_.push_back(&row);
    }
  }

  LayerGrid build() {
    if (rows_.empty()) {
      throw InputError({table_.source}, "", "table lacks all rows of '" + name() + "'");
    }
    find_axes();
    count_places();
    enter_rows();
    problems_.throw_if_any();
    fill_impossible_places();
    problems_.throw_if_any();
    return std::move(grid_);
  }

 private:
  [[nodiscard]] const std::string& name() const { return table_.layers.at(layer_); }

  static double value(const TableRow& row, Axis axis) { return row.at.at(index_of(axis)); }

  [[nodiscard]] std::vector<double> points_of(Axis axis) const {
    std::vector<double> points;
    points.reserve(rows_.size());
    for (const TableRow* row : rows_) {
      ensure(std::isfinite(value(*row, axis)), "a row says a finite place");
      points.push_back(value(*row, axis));
    }
    std::sort(points.begin(), points.end());
    points.erase(std::unique(points.begin(), points.end()), points.end());
    return points;
  }

  [[nodiscard]] bool is_tied(const Tie& tie) const {
    if (!table_.has(tie.axis) || !table_.has(tie.follows)) return false;
    const double first = value(*rows_.front(), tie.follows);
    const bool varies = std::any_of(rows_.begin(), rows_.end(), [&](const TableRow* row) {
      return value(*row, tie.follows) != first;
    });
    return varies && std::all_of(rows_.begin(), rows_.end(), [&](const TableRow* row) {
             return value(*row, tie.axis) == value(*row, tie.follows);
           });
  }

  void find_axes() {
    for (const Tie& tie : kTies) grid_.*tie.flag = is_tied(tie);
    for (const Axis axis : table_.axes) {
      const auto* tie = std::find_if(std::begin(kTies), std::end(kTies),
                                     [axis](const Tie& any) { return any.axis == axis; });
      if (tie != std::end(kTies) && grid_.*(tie->flag)) continue;
      grid_.axes.push_back({axis, points_of(axis)});
    }
    std::sort(grid_.axes.begin(), grid_.axes.end(),
              [](const GridAxis& a, const GridAxis& b) { return a.axis < b.axis; });
    for (std::size_t i = 0; i < grid_.axes.size(); ++i) {
      if (grid_.axes[i].axis == Axis::activation_bits) activation_ = i;
      if (grid_.axes[i].axis == Axis::stored_input_bits) operands_[0] = i;
      if (grid_.axes[i].axis == Axis::stored_second_bits) operands_[1] = i;
    }
  }

  void count_places() {
    double places = 1;
    for (const GridAxis& axis : grid_.axes) places *= static_cast<double>(axis.points.size());
    if (places > static_cast<double>(kMostPlaces)) {
      std::string sizes;
      for (const GridAxis& axis : grid_.axes) {
        if (!sizes.empty()) sizes += " x ";
        sizes += std::to_string(axis.points.size());
      }
      throw InputError({table_.source}, "",
                       "table lacks most of '" + name() + "', whose " +
                           std::to_string(rows_.size()) + " rows span " + sizes + " places");
    }
    strides_.assign(grid_.axes.size(), 1);
    for (std::size_t i = grid_.axes.size(); i-- > 1;) {
      strides_[i - 1] = strides_[i] * grid_.axes[i].points.size();
    }
    is_filled_.assign(grid_.size(), false);
    grid_.values.assign(table_.metrics.size(), std::vector<double>(grid_.size()));
  }

  void enter_rows() {
    for (const TableRow* row : rows_) {
      std::size_t place = 0;
      for (std::size_t i = 0; i < grid_.axes.size(); ++i) {
        const std::vector<double>& points = grid_.axes[i].points;
        const auto at =
            std::lower_bound(points.begin(), points.end(), value(*row, grid_.axes[i].axis));
        place += strides_[i] * static_cast<std::size_t>(at - points.begin());
      }
      if (is_filled_[place]) {
        problems_.error(row->place.file.empty() ? SourcePlace{table_.source} : row->place, "",
                        "table has " + describe(place) + " twice");
        continue;
      }
      is_filled_[place] = true;
      for (std::size_t metric = 0; metric < grid_.values.size(); ++metric) {
        grid_.values[metric][place] = row->values[metric];
      }
    }
    std::vector<std::size_t> missing;
    for (std::size_t place = 0; place < is_filled_.size(); ++place) {
      if (!is_filled_[place] && !impossible_operand(place)) missing.push_back(place);
    }
    complain_missing(missing);
  }

  void complain_missing(const std::vector<std::size_t>& places) {
    for (std::size_t i = 0; i < std::min(places.size(), kMostMissing); ++i) {
      problems_.error({table_.source}, "", "table lacks " + describe(places[i]));
    }
    if (places.size() > kMostMissing) {
      const std::size_t more = places.size() - kMostMissing;
      problems_.error({table_.source}, "",
                      "table lacks '" + name() + "' at " + std::to_string(more) +
                          (more == 1 ? " more place" : " more places"));
    }
  }

  /// "'conv1' at weight_bits 4, activation_bits 8".
  [[nodiscard]] std::string describe(std::size_t place) const {
    std::string text;
    for (const Axis axis : table_.axes) {
      const auto* tie = std::find_if(std::begin(kTies), std::end(kTies),
                                     [axis](const Tie& any) { return any.axis == axis; });
      const bool tied = tie != std::end(kTies) && grid_.*(tie->flag);
      const Axis says = tied ? tie->follows : axis;
      for (std::size_t i = 0; i < grid_.axes.size(); ++i) {
        if (grid_.axes[i].axis != says) continue;
        text += text.empty() ? "" : ", ";
        text += std::string(to_string(axis)) + ' ' + format_number(point(place, i));
      }
    }
    return "'" + name() + "' at " + text;
  }

  [[nodiscard]] std::size_t position(std::size_t place, std::size_t axis) const {
    return place / strides_[axis] % grid_.axes[axis].points.size();
  }
  [[nodiscard]] double point(std::size_t place, std::size_t axis) const {
    return grid_.axes[axis].points[position(place, axis)];
  }

  /// The axis of an operand that is stored at fewer bits than are computed with, if there is one.
  [[nodiscard]] std::optional<std::size_t> impossible_operand(std::size_t place) const {
    if (activation_ == kNowhere) return std::nullopt;
    for (const std::size_t operand : operands_) {
      if (operand != kNowhere && point(place, operand) < point(place, activation_)) return operand;
    }
    return std::nullopt;
  }

  // Places depend on others with fewer bits of activations or more bits stored.
  void fill_impossible_places() {
    std::vector<std::size_t> places;
    for (std::size_t place = 0; place < is_filled_.size(); ++place) {
      if (!is_filled_[place]) places.push_back(place);
    }
    const auto order = [this](std::size_t place) {
      const auto stored = [&](std::size_t operand) {
        return operand == kNowhere ? 0 : -static_cast<std::ptrdiff_t>(position(place, operand));
      };
      return std::make_tuple(position(place, activation_), stored(operands_[0]),
                             stored(operands_[1]));
    };
    std::stable_sort(places.begin(), places.end(),
                     [&](std::size_t a, std::size_t b) { return order(a) < order(b); });
    std::vector<std::size_t> missing;
    for (const std::size_t place : places) {
      if (!fill(place)) missing.push_back(place);
    }
    std::sort(missing.begin(), missing.end());
    complain_missing(missing);
  }

  /// False if the rows say nothing of the places around.
  bool fill(std::size_t place) {
    const std::size_t operand = impossible_operand(place).value();
    const bool has_less = position(place, activation_) > 0;
    const bool has_more = position(place, operand) + 1 < grid_.axes[operand].points.size();
    const std::size_t less = place - (has_less ? strides_[activation_] : 0);
    const std::size_t more = place + (has_more ? strides_[operand] : 0);
    if (has_less && has_more) {
      const std::size_t both = less + strides_[operand];
      if (!is_filled_[less] || !is_filled_[more] || !is_filled_[both]) return false;
      for (auto& values : grid_.values) values[place] = values[more] + values[less] - values[both];
    } else {
      const std::size_t nearest = has_less ? less : more;
      if (nearest == place || !is_filled_[nearest]) return false;
      for (auto& values : grid_.values) values[place] = values[nearest];
    }
    is_filled_[place] = true;
    return true;
  }

  const CostTable& table_;
  std::size_t layer_;
  std::vector<const TableRow*> rows_;
  LayerGrid grid_;
  std::vector<std::size_t> strides_;
  std::vector<bool> is_filled_;
  std::size_t activation_ = kNowhere;  // positions in grid_.axes
  std::size_t operands_[2] = {kNowhere, kNowhere};
  Diagnostics problems_;
};

}  // namespace

std::size_t LayerGrid::size() const {
  std::size_t places = 1;
  for (const GridAxis& axis : axes) places *= axis.points.size();
  return places;
}

LayerGrid layer_grid(const CostTable& table, std::size_t layer) {
  ensure(layer < table.layers.size(), "a grid is one of a layer of the table");
  return GridBuilder(table, layer).build();
}

double interpolate(const LayerGrid& grid, std::size_t metric, const AxisValues& at,
                   AxisValues* gradient) {
  const double activation = at[index_of(Axis::activation_bits)];
  const double weight = at[index_of(Axis::weight_bits)];
  AxisValues place = at;
  // Which of the coordinates are that of the activation width.
  std::array<bool, kAxes> is_activation{};
  is_activation[index_of(Axis::activation_bits)] = true;
  if (grid.equal_widths) {
    const double width = std::max(weight, activation);
    place[index_of(Axis::activation_bits)] = width;
    for (const Axis operand : {Axis::stored_input_bits, Axis::stored_second_bits}) {
      if (!(place[index_of(operand)] < width)) continue;
      place[index_of(operand)] = width;
      is_activation[index_of(operand)] = true;
    }
  }
  const std::size_t rank = grid.axes.size();
  std::vector<AxisCell> cells(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    cells[i] = locate(grid.axes[i].points, false, place[index_of(grid.axes[i].axis)]);
  }
  // A sum over the corners of the cell; `slope_of` is the axis that the factor's slope stands for.
  const auto sum = [&](std::size_t slope_of) {
    double total = 0;
    for (std::size_t corner = 0; corner < std::size_t{1} << rank; ++corner) {
      double factor = 1;
      std::size_t index = 0;
      for (std::size_t i = 0; i < rank; ++i) {
        const std::size_t size = grid.axes[i].points.size();
        const std::size_t high = corner >> i & 1U;
        if (i == slope_of) {
          factor *= high == 1 ? cells[i].slope : -cells[i].slope;
        } else {
          factor *= high == 1 ? cells[i].fraction : 1 - cells[i].fraction;
        }
        index = index * size + std::min(cells[i].index + high, size - 1);
      }
      if (factor != 0) total += factor * grid.values.at(metric)[index];
    }
    return total;
  };
  if (gradient != nullptr) {
    gradient->fill(0);
    for (std::size_t i = 0; i < rank; ++i) {
      const std::size_t axis = index_of(grid.axes[i].axis);
      (*gradient)[is_activation[axis] ? index_of(Axis::activation_bits) : axis] += sum(i);
    }
    double& to_activation = (*gradient)[index_of(Axis::activation_bits)];
    if (grid.equal_widths && weight >= activation) {
      const double share = weight > activation ? 1 : 0.5;
      (*gradient)[index_of(Axis::weight_bits)] = share * to_activation;
      to_activation *= 1 - share;
    }
  }
  return sum(rank);
}

}  // namespace widthwise
