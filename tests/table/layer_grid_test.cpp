#include "models/table/layer_grid.hpp"

#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

AxisValues at_place(const std::vector<std::pair<Axis, double>>& values) {
  AxisValues at{};
  for (const auto& [axis, value] : values) at[index_of(axis)] = value;
  return at;
}

constexpr Axis kWeight = Axis::weight_bits;
constexpr Axis kActivation = Axis::activation_bits;
constexpr Axis kInput = Axis::stored_input_bits;
constexpr Axis kSecond = Axis::stored_second_bits;
constexpr Axis kOutput = Axis::stored_output_bits;

// Rows {values of the axes in order ..., cost} of one layer, "conv1", with the metric "cost".
CostTable one_layer(std::vector<Axis> axes, const std::vector<std::vector<double>>& rows) {
  CostTable table;
  table.source = "t.csv";
  table.layers = {"conv1"};
  table.axes = std::move(axes);
  table.metrics = {"cost"};
  for (const std::vector<double>& numbers : rows) {
    TableRow row;
    for (std::size_t i = 0; i < table.axes.size(); ++i) {
      row.at[index_of(table.axes[i])] = numbers.at(i);
    }
    row.values = {numbers.at(table.axes.size())};
    table.rows.push_back(row);
  }
  return table;
}

std::string message_of(const CostTable& table) {
  try {
    layer_grid(table, 0);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

// Widths 2, 4, 8; not equally far apart, not on a plane.
CostTable three_by_three() {
  return one_layer({kWeight, kActivation}, {{2, 2, 10},
                                            {2, 4, 14},
                                            {2, 8, 30},
                                            {4, 2, 16},
                                            {4, 4, 24},
                                            {4, 8, 60},
                                            {8, 2, 40},
                                            {8, 4, 50},
                                            {8, 8, 100}});
}

std::vector<double> points(const LayerGrid& grid, Axis axis) {
  for (const GridAxis& own : grid.axes) {
    if (own.axis == axis) return own.points;
  }
  return {};
}

}  // namespace

TEST_CASE("a grid is exact at its rows and bilinear between them") {
  const LayerGrid grid = layer_grid(three_by_three(), 0);
  CHECK(grid.size() == 9);
  CHECK(points(grid, kWeight) == std::vector<double>{2, 4, 8});
  for (const TableRow& row : three_by_three().rows) {
    CHECK(interpolate(grid, 0, row.at) == row.values[0]);
  }
  // Half way from w 2 to 4 and a quarter of the way from a 4 to 8: 14, 30 / 24, 60.
  AxisValues gradient{};
  const double value = interpolate(grid, 0, at_place({{kWeight, 3}, {kActivation, 5}}), &gradient);
  CHECK(value == Approx(0.5 * (14 + 0.25 * 16) + 0.5 * (24 + 0.25 * 36)));  // 25.5
  CHECK(gradient[index_of(kWeight)] == Approx((33.0 - 18.0) / 2));
  CHECK(gradient[index_of(kActivation)] == Approx((0.5 * 16 + 0.5 * 36) / 4));
  CHECK(gradient[index_of(kInput)] == 0);
}

TEST_CASE("derivatives at a point look right, at the last one left, outside nowhere") {
  const LayerGrid grid = layer_grid(three_by_three(), 0);
  AxisValues gradient{};
  CHECK(interpolate(grid, 0, at_place({{kWeight, 4}, {kActivation, 2}}), &gradient) == 16);
  CHECK(gradient[index_of(kWeight)] == Approx((40.0 - 16) / 4));
  CHECK(gradient[index_of(kActivation)] == Approx((24.0 - 16) / 2));
  CHECK(interpolate(grid, 0, at_place({{kWeight, 8}, {kActivation, 8}}), &gradient) == 100);
  CHECK(gradient[index_of(kWeight)] == Approx((100.0 - 60) / 4));
  CHECK(gradient[index_of(kActivation)] == Approx((100.0 - 50) / 4));
  CHECK(interpolate(grid, 0, at_place({{kWeight, 9}, {kActivation, 4}}), &gradient) == 50);
  CHECK(gradient[index_of(kWeight)] == 0);
  CHECK(gradient[index_of(kActivation)] == Approx((100.0 - 50) / 4));
  CHECK(interpolate(grid, 0, at_place({{kWeight, 1}, {kActivation, 0}}), &gradient) == 10);
  CHECK(gradient[index_of(kWeight)] == 0);
  CHECK(gradient[index_of(kActivation)] == 0);
}

TEST_CASE("an axis that does not vary has one point, and no tie with another that does not") {
  const LayerGrid grid = layer_grid(
      one_layer({kWeight, kActivation, kInput}, {{2, 8, 8, 10}, {4, 8, 8, 30}, {8, 8, 8, 50}}), 0);
  CHECK(points(grid, kActivation) == std::vector<double>{8});
  CHECK(points(grid, kInput) == std::vector<double>{8});
  CHECK_FALSE(grid.equal_widths);
  CHECK_FALSE(grid.stored_input_follows);
  AxisValues gradient{};
  CHECK(interpolate(grid, 0, at_place({{kWeight, 3}, {kActivation, 4}, {kInput, 16}}), &gradient) ==
        20);
  CHECK(gradient[index_of(kActivation)] == 0);
  CHECK(gradient[index_of(kWeight)] == 10);
}

TEST_CASE("where all rows have equal widths the layer runs at the greater of both") {
  const LayerGrid grid =
      layer_grid(one_layer({kWeight, kActivation}, {{2, 2, 10}, {4, 4, 30}, {8, 8, 100}}), 0);
  REQUIRE(grid.equal_widths);
  CHECK(points(grid, kWeight).empty());
  AxisValues gradient{};
  CHECK(interpolate(grid, 0, at_place({{kWeight, 3}, {kActivation, 2}}), &gradient) == 20);
  CHECK(gradient[index_of(kWeight)] == 10);
  CHECK(gradient[index_of(kActivation)] == 0);
  CHECK(interpolate(grid, 0, at_place({{kWeight, 2}, {kActivation, 3}}), &gradient) == 20);
  CHECK(gradient[index_of(kWeight)] == 0);
  CHECK(gradient[index_of(kActivation)] == 10);
  CHECK(interpolate(grid, 0, at_place({{kWeight, 3}, {kActivation, 3}}), &gradient) == 20);
  CHECK(gradient[index_of(kWeight)] == 5);
  CHECK(gradient[index_of(kActivation)] == 5);
}

TEST_CASE("a layer at equal widths reads no less than the greater of both") {
  const LayerGrid grid = layer_grid(
      one_layer({kWeight, kActivation, kInput}, {{2, 2, 2, 10}, {2, 2, 4, 12}, {4, 4, 4, 30}}), 0);
  REQUIRE(grid.equal_widths);
  AxisValues gradient{};
  // At weights of 3: the input, stored at 2, counts as stored at 3, half way between 10 and 30.
  CHECK(interpolate(grid, 0, at_place({{kWeight, 3}, {kActivation, 2}, {kInput, 2}}), &gradient) ==
        20);
  CHECK(gradient[index_of(kWeight)] == 10);
  CHECK(gradient[index_of(kActivation)] == 0);
  CHECK(gradient[index_of(kInput)] == 0);
}

TEST_CASE("stored widths that are the activation width in all rows have no axis") {
  const LayerGrid grid = layer_grid(one_layer({kWeight, kActivation, kInput, kSecond, kOutput},
                                              {{2, 2, 2, 2, 2, 10}, {4, 4, 4, 4, 4, 30}}),
                                    0);
  CHECK(grid.equal_widths);
  CHECK(grid.stored_input_follows);
  CHECK(grid.stored_second_follows);
  CHECK(grid.stored_output_follows);
  REQUIRE(grid.axes.size() == 1);
  CHECK(grid.axes[0].axis == kActivation);
}

TEST_CASE("shares of input channels that are those of the output have no axis") {
  const std::vector<Axis> axes = {kWeight, kActivation, Axis::input_share, Axis::output_share};
  const LayerGrid grid = layer_grid(one_layer(axes, {{8, 8, 0.5, 0.5, 10}, {8, 8, 1, 1, 30}}), 0);
  CHECK(grid.input_share_follows);
  CHECK(points(grid, Axis::input_share).empty());
  CHECK(interpolate(grid, 0, at_place({{Axis::input_share, 1}, {Axis::output_share, 0.75}})) == 20);
}

TEST_CASE("impossible places make the diagonal linear and leave the rows as they are") {
  // c(activation, stored input): the diagonal costs 10, 30, 70; stored at 4, 8 it costs 4, 9 more.
  const CostTable table = one_layer(
      {kWeight, kActivation, kInput},
      {{8, 2, 2, 10}, {8, 2, 4, 14}, {8, 2, 8, 19}, {8, 4, 4, 30}, {8, 4, 8, 39}, {8, 8, 8, 70}});
  const LayerGrid grid = layer_grid(table, 0);
  REQUIRE(grid.size() == 9);
  for (const TableRow& row : table.rows) CHECK(interpolate(grid, 0, row.at) == row.values[0]);
  const auto cost = [&](double activation, double stored) {
    return interpolate(grid, 0, at_place({{kActivation, activation}, {kInput, stored}}));
  };
  CHECK(cost(4, 2) == 30 + 10 - 14);
  CHECK(cost(8, 4) == 70 + 30 - 39);
  CHECK(std::isfinite(cost(8, 2)));
  for (const double t : {0.0, 0.25, 0.5, 0.875, 1.0}) {
    CHECK(cost(2 + 2 * t, 2 + 2 * t) == Approx(10 + 20 * t));
    CHECK(cost(4 + 4 * t, 4 + 4 * t) == Approx(30 + 40 * t));
    CHECK(cost(2, 2 + 2 * t) == Approx(10 + 4 * t));
  }
  // Derivatives at (4, 4): along the diagonal they sum to that of the diagonal.
  AxisValues gradient{};
  interpolate(grid, 0, at_place({{kActivation, 4}, {kInput, 4}}), &gradient);
  CHECK(gradient[index_of(kInput)] == Approx((39.0 - 30) / 4));
  CHECK(gradient[index_of(kActivation)] == Approx((70.0 - 39) / 4));
}

TEST_CASE("both operands of a product are filled where they are stored at too little") {
  std::vector<std::vector<double>> rows;
  const auto cost = [](double a, double s, double t) { return a * a + 3 * s + 5 * t; };
  for (const double a : {2, 4}) {
    for (const double s : {2, 4}) {
      for (const double t : {2, 4}) {
        if (s >= a && t >= a) rows.push_back({8, a, s, t, cost(a, s, t)});
      }
    }
  }
  const LayerGrid grid = layer_grid(one_layer({kWeight, kActivation, kInput, kSecond}, rows), 0);
  REQUIRE(grid.size() == 8);
  // The rows are a sum of a function of each width, and so is what is filled.
  for (const double a : {2, 4}) {
    for (const double s : {2, 4}) {
      for (const double t : {2, 4}) {
        CHECK(interpolate(grid, 0, at_place({{kActivation, a}, {kInput, s}, {kSecond, t}})) ==
              Approx(cost(a, s, t)));
      }
    }
  }
}

TEST_CASE("a row at a place that can not exist stays what it is") {
  const LayerGrid grid =
      layer_grid(one_layer({kWeight, kActivation, kInput},
                           {{8, 2, 2, 1}, {8, 2, 4, 2}, {8, 4, 2, 7}, {8, 4, 4, 5}}),
                 0);
  CHECK(interpolate(grid, 0, at_place({{kActivation, 4}, {kInput, 2}})) == 7);
}

TEST_CASE("a derivative is the slope of the interpolant, whatever the axes") {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> cost(1, 100);
  std::vector<std::vector<double>> rows;
  for (const double w : {1, 2, 4}) {
    for (const double a : {2, 3, 8}) {
      for (const double s : {2, 3, 8}) {
        for (const double o : {4, 8}) {
          for (const double share : {0.25, 1.0}) {
            if (s >= a) rows.push_back({w, a, s, o, share, cost(random)});
          }
        }
      }
    }
  }
  const std::vector<Axis> axes = {kWeight, kActivation, kInput, kOutput, Axis::output_share};
  const LayerGrid grid = layer_grid(one_layer(axes, rows), 0);
  const auto between = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  for (int run = 0; run < 50; ++run) {
    const AxisValues at = at_place({{kWeight, between(2.01, 3.99)},
                                    {kActivation, between(3.01, 7.99)},
                                    {kInput, between(3.01, 7.99)},
                                    {kOutput, between(4.01, 7.99)},
                                    {Axis::output_share, between(0.26, 0.99)}});
    AxisValues gradient{};
    interpolate(grid, 0, at, &gradient);
    for (const Axis axis : axes) {
      const double step = 1e-3;  // the interpolant is linear along every axis
      AxisValues more = at;
      AxisValues less = at;
      more[index_of(axis)] += step;
      less[index_of(axis)] -= step;
      const double slope = (interpolate(grid, 0, more) - interpolate(grid, 0, less)) / (2 * step);
      CHECK(gradient[index_of(axis)] == Approx(slope).epsilon(1e-7).margin(1e-7));
    }
  }
}

TEST_CASE("places without a row are named, the first few of many") {
  CostTable table = three_by_three();
  table.rows.erase(table.rows.begin() + 5);  // (4, 8)
  table.rows.erase(table.rows.begin() + 1);  // (2, 4)
  CHECK(message_of(table) ==
        "t.csv: error: table lacks 'conv1' at weight_bits 2, activation_bits 4\n"
        "t.csv: error: table lacks 'conv1' at weight_bits 4, activation_bits 8");
  std::vector<std::vector<double>> rows;
  for (double w = 1; w <= 8; ++w) rows.push_back({w, 9 - w, w});
  CHECK(message_of(one_layer({kWeight, kActivation}, rows)) ==
        "t.csv: error: table lacks 'conv1' at weight_bits 1, activation_bits 1\n"
        "t.csv: error: table lacks 'conv1' at weight_bits 1, activation_bits 2\n"
        "t.csv: error: table lacks 'conv1' at weight_bits 1, activation_bits 3\n"
        "t.csv: error: table lacks 'conv1' at weight_bits 1, activation_bits 4\n"
        "t.csv: error: table lacks 'conv1' at weight_bits 1, activation_bits 5\n"
        "t.csv: error: table lacks 'conv1' at 51 more places");
}

TEST_CASE("a place that is possible is missed although others are filled") {
  CHECK(message_of(one_layer({kWeight, kActivation, kInput},
                             {{8, 2, 2, 1}, {8, 4, 4, 5}, {8, 2, 8, 1}, {8, 4, 8, 6}})) ==
        "t.csv: error: table lacks 'conv1' at weight_bits 8, activation_bits 2, "
        "stored_input_bits 4");
}

TEST_CASE("widths that go with others are named with them") {
  CHECK(message_of(one_layer({kWeight, kActivation, kOutput},
                             {{2, 2, 2, 1}, {4, 4, 2, 5}, {4, 4, 8, 5}})) ==
        "t.csv: error: table lacks 'conv1' at weight_bits 2, activation_bits 2, "
        "stored_output_bits 8");
}

TEST_CASE("a place that two rows say is a mistake of the second") {
  CostTable table = three_by_three();
  table.rows.push_back(table.rows[4]);
  table.rows.back().place = {"t.csv", 12, 1};
  CHECK(message_of(table) ==
        "t.csv:12:1: error: table has 'conv1' at weight_bits 4, activation_bits 4 twice");
}

TEST_CASE("a layer without rows, and rows that are no grid, are refused") {
  CostTable table = three_by_three();
  table.rows.clear();
  CHECK(message_of(table) == "t.csv: error: table lacks all rows of 'conv1'");
  std::vector<std::vector<double>> rows;
  for (double i = 1; i <= 200; ++i) rows.push_back({i, i + 1, i + 2, i + 3, 1});
  CHECK(message_of(one_layer({kWeight, kActivation, kInput, kOutput}, rows)) ==
        "t.csv: error: table lacks most of 'conv1', whose 200 rows span 200 x 200 x 200 x 200 "
        "places");
}

}  // namespace widthwise
