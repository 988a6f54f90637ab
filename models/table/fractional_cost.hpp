// The cost of a network at fractional widths, with its gradient: what a search by gradient descent
// has in its loss (FracBits, arXiv 2007.02017).
//
// Variables are the weight and activation widths of the layers with multiply-accumulates. Layers
// without them follow: they read and write at the widths that their tensors are stored at, the
// greatest that a reader asks for (stored_widths.hpp). With a table by stored widths every layer
// pays for the stored widths of its tensors, whoever asked for them. Of several readers that ask
// for most the first gets the derivative.
//
// Ignores: what interpolation ignores (layer_grid.hpp). A plain table charges a layer as if its
// input and output were stored at its own activation width: errs low where another reader asks for
// more, high where the reader of its output asks for less. A layer that the table leaves out reads
// its input at 8 bits, whatever it runs at; the constants of a layer without multiply-accumulates
// count at its activation width.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/network/network.hpp"
#include "models/network/stored_widths.hpp"
#include "models/table/cost_table.hpp"
#include "models/table/layer_grid.hpp"

namespace widthwise {

/// How a table's layers depend on the variables: plain data, which other implementations of the
/// same sum (PyTorch's) are built from.
struct BoundLayer {
  std::size_t grid = 0;     // index into NetworkBinding::grids
  std::ptrdiff_t own = -1;  // index of its variables; -1: a layer without multiply-accumulates
  bool weighted = false;  // its own weight width counts; else its activation width is taken for it
  /// Tensors read, with their shares of all elements read (sum 1); with multiply-accumulates only
  /// the first operand.
  std::vector<std::pair<TensorId, double>> inputs;
  std::ptrdiff_t second = -1;  // tensor of the second operand; -1: none
  std::ptrdiff_t output = -1;  // tensor written; -1: not known (a table without its network)
};

struct NetworkBinding {
  std::vector<std::string> variables;  // layers with multiply-accumulates, in execution order
  std::vector<BoundLayer> layers;      // that the table has, in its order
  std::vector<LayerGrid> grids;
  std::vector<std::string> metrics;
  std::vector<StorageRule> tensors;  // of the network; `readers` are indices of variables here
  // Where tensors may stay on chip (the table has the axes *_on_chip): what placement needs.
  double scratchpad_bytes = 0;     // said by the table's provenance; 0: tensors lie in DRAM
  std::optional<Network> network;  // that the table was bound to
};

/// Binds a table to its network. Layers without multiply-accumulates that the table lacks cost
/// nothing. A table of whole networks (layer "*") has one variable, "*". The network's outputs are
/// stored at the provenance's output_bits, 8 where it says none. Throws InputError, all mistakes at
/// once: layers with multiply-accumulates that the table lacks and does not leave out, layers that
/// the network does not have (with the nearest name), numbers in the provenance that can not be,
/// what layer_grid() throws.
NetworkBinding bind_table(const CostTable& table, const Network& network);

/// Of a plain table without its network (measured elsewhere): its layers are the variables, those
/// without multiply-accumulates (by `kinds`) too. Throws InputError if the table has further axes.
NetworkBinding bind_table(const CostTable& table);

class FractionalCost {
 public:
  /// Throws InputError if there is no such metric.
  FractionalCost(NetworkBinding binding, std::string_view metric);

  [[nodiscard]] const std::vector<std::string>& variables() const;

  /// Widths in bits, finite, one per variable; gradients, unless empty, of the same length, are
  /// overwritten. A weight width of a layer without weights is not looked at. Homes of tensors are
  /// those at the widths given, and constant for the gradient. Where a width is that of a row, the
  /// derivative is the right one (at the greatest width that the table has, the left one). Calls
  /// from several threads do not disturb each other.
  double evaluate(std::span<const double> weight_bits, std::span<const double> activation_bits,
                  std::span<double> weight_gradient = {},
                  std::span<double> activation_gradient = {}) const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

}  // namespace widthwise
