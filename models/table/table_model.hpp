// A cost table as a cost model of a network.
//
// Points are looked up, at the rows themselves: weight and activation widths, the homes of tensors
// and the stored widths must be places that the table has. Between rows it goes only where no row
// can be expected to stand: along the mean stored width and the share on chip of several inputs
// that differ (add, concat), and along shares of channels.
//
// Ignores: a point's accumulator (errs high where it is narrower than that of the table's machine).
// Where the table has no axis of a share, the cost falls in proportion to it, which is kinder than
// a machine's granularity (errs low); a grouped layer and one without multiply-accumulates have as
// many input as output channels, and fall with the share of the output's.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "models/cost/cost_model.hpp"
#include "models/network/network.hpp"
#include "models/table/cost_table.hpp"
#include "models/table/layer_grid.hpp"

namespace widthwise {

/// A plain table's figures are those of a network at the layer's own widths: stored widths and
/// homes of the point are not looked at.
///
/// Layers of the network without multiply-accumulates that the table does not name cost nothing,
/// and so do those under `leaves_out`; unpriced() names both.
class TableCostModel : public CostModel {
 public:
  /// Throws InputError, all at once: layers with multiply-accumulates that the table lacks, layers
  /// of the table that are not in the network (with the nearest name), what layer_grid() throws. A
  /// table of whole networks (layer "*") serves points of all layers at the same widths: its figure
  /// counts once, on the first layer with multiply-accumulates.
  TableCostModel(Network network, CostTable table);

  [[nodiscard]] const std::vector<std::string>& metrics() const override;

  /// Throws InputError, once per mistake: a place that the table does not have, with those that it
  /// has for the layer. With a table of whole networks also points that are not networks: every run
  /// of points with ascending layers must have all layers with multiply-accumulates, unpruned and
  /// at the same widths.
  [[nodiscard]] std::vector<PointCost> costs(std::span<const LayerPoint> points) override;

  [[nodiscard]] const std::vector<std::string>& unpriced() const { return unpriced_; }

 private:
  class Mistakes;
  struct Place;

  void bind_layers(Diagnostics& problems);
  void bind_whole_network(Diagnostics& problems);
  [[nodiscard]] Place place_of(const LayerPoint& point, std::size_t row) const;
  void check(const LayerPoint& point, std::size_t row, const Place& place,
             Mistakes& mistakes) const;
  [[nodiscard]] PointCost look_up(const LayerPoint& point, std::size_t row,
                                  Mistakes& mistakes) const;
  [[nodiscard]] std::vector<PointCost> whole_costs(std::span<const LayerPoint> points) const;
  [[nodiscard]] PointCost nothing() const;

  Network network_;
  CostTable table_;
  std::vector<LayerGrid> grids_;        // per layer of the table
  std::vector<std::ptrdiff_t> row_of_;  // per layer of the network; -1: costs nothing
  std::vector<std::string> unpriced_;
  bool whole_network_ = false;
};

}  // namespace widthwise
