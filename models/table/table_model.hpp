// A cost table as a cost model of a network.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/cost/cost_model.hpp"
#include "models/network/network.hpp"
#include "models/table/cost_table.hpp"
#include "models/table/layer_grid.hpp"

namespace widthwise {

/// Looks points up: no interpolation between widths, but along mean stored widths of several inputs.
/// A plain table's figures are those of a network at the layer's own widths: stored widths and homes
/// of the point are not looked at.
///
/// Layers of the network without multiply-accumulates that the table does not name cost nothing, and
/// so do those under `leaves_out`; unpriced() names both.
class TableCostModel : public CostModel {
 public:
  /// Throws InputError, all at once: layers with multiply-accumulates that the table lacks, layers of
  /// the table that are not in the network (with the nearest name), what layer_grid() throws. A table
  /// of whole networks (layer "*") serves points of all layers at the same widths: its figure counts
  /// once, on the first layer with multiply-accumulates.
  TableCostModel(Network network, CostTable table);

  [[nodiscard]] const std::vector<std::string>& metrics() const override;
  [[nodiscard]] std::vector<PointCost> costs(std::span<const LayerPoint> points) override;

  [[nodiscard]] const std::vector<std::string>& unpriced() const { return unpriced_; }

 private:
  Network network_;
  CostTable table_;
  std::vector<LayerGrid> grids_;        // per layer of the table
  std::vector<std::ptrdiff_t> row_of_;  // per layer of the network; -1: costs nothing
  std::vector<std::string> unpriced_;
};

}  // namespace widthwise
