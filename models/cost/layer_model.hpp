// One layer on one machine: the geometry of its tiles, the traffic they cause, and their cost in
// closed form. The simulation plays the same tiles through in time.
//
// Tile loops: groups outermost, then output positions (batch, rows, columns), output channels and
// input channels in the order that the tile names. A tile's operands are loaded when an index that
// they depend on has changed since the step before; kernel positions are never split. Where the
// loop over input channels is not innermost, partial sums travel to DRAM and back at the
// layer's accumulator width.
//
// Closed form: latency is the greatest of lower bounds, one per resource that could be the slowest
// (array, DRAM, scratchpad, ports, post-processing), each with the unavoidable lead-in and lead-out
// of the others around it.
//
// Ignored: contention between requests inside a layer, uneven tiles that leave a resource idle
// (errs low, see the tests for how much); tiles lie packed in memory, so a burst that two tiles
// share is read once (errs low for layouts that are not tiled).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "models/cost/cost_report.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/hardware/energy.hpp"
#include "models/hardware/engine.hpp"

namespace widthwise {

/// Where a tensor lies between layers.
enum class Home { dram, scratchpad };

/// A layer with everything that its cost depends on.
struct LayerSetting {
  const Layer* layer = nullptr;
  LayerWidths widths;
  BitWidth stored_input = 8;
  BitWidth stored_weight = 8;  // constant weights: their width; else of the second operand's tensor
  BitWidth stored_output = 8;
  BitWidth accumulator_bits = 32;  // of partial sums: the layer's, at most the engine's
  bool reads_network_input = false;
  Home input_home = Home::dram;
  Home second_home = Home::dram;  // of the second operand where that is an activation
  Home output_home = Home::dram;
  std::int64_t vector_input_bits[2] = {0, 0};  // layers without MACs: bits read per home
};

/// One loop over tiles of one extent; the last tile may be smaller.
struct TileAxis {
  std::int64_t extent = 1;
  std::int64_t tile = 1;
  [[nodiscard]] std::int64_t count() const { return ceil_div(extent, tile); }
  [[nodiscard]] std::int64_t size(std::int64_t index) const {
    return std::min(tile, extent - index * tile);
  }
  [[nodiscard]] std::int64_t last() const { return extent - (count() - 1) * tile; }
};

/// What the DMA moves and where; the order is that of urgency among equals.
enum class Stream { input, weight, sums_in, sums_out, output };
inline constexpr int kStreams = 5;

/// One iteration of the tile loops.
struct Step {
  std::int64_t group_tile = 0, m_tile = 0, n_tile = 0, k_tile = 0;
  bool loads_input = false;
  bool loads_weight = false;
  bool loads_sums = false;        // partial sums come back, or initial sums are read
  bool starts_output = false;     // first step since the output tile entered the output buffer
  bool ends_output = false;       // the output tile leaves the output buffer after this step
  bool completes_output = false;  // and it is complete: through post-processing
};

/// Extents of one step's tile: output positions, output and input channels (per group), groups.
struct TileBlock {
  struct Range {
    std::int64_t begin = 0, size = 1;
  };
  Range groups, batch, rows, columns, n, k;
  [[nodiscard]] std::int64_t m() const { return batch.size * rows.size * columns.size; }
};

/// Figures of one step, in bits and cycles.
struct StepCost {
  std::int64_t input_bits = 0;         // from the tensor's home
  std::int64_t input_buffer_bits = 0;  // into the buffer (expanded, padded)
  std::int64_t weight_bits = 0;
  std::int64_t weight_buffer_bits = 0;
  std::int64_t sums_in_bits = 0;
  std::int64_t output_bits = 0;  // leaving: final outputs, or partial sums
  std::int64_t outputs = 0;      // elements that go through post-processing
  EngineCycles cycles;
  EngineTraffic traffic;
};

/// The closed form of one tiling of one layer (all repeats).
struct ClosedForm {
  double latency = 0;        // cycles, before rounding up
  double engine_cycles = 0;  // stream, exposed loads, gaps; without start and finish
  double lead_in = 0;        // until the first tile's operands are there
  double lead_out = 0;       // the last tile's store
  double post_exposed = 0;
  double stream_bits[kStreams] = {};  // over all repeats
  double input_buffer_bits = 0;
  double weight_buffer_bits = 0;
  double dram_time = 0, scratchpad_time = 0, input_port_time = 0, weight_port_time = 0,
         post_time = 0;         // occupancy of each resource, cycles
  double lead_input_share = 0;  // of lead_in, for the input's sake
  bool weights_stay = false;    // in the buffer over all repeats
};

/// Tiles that a buffer holds at once: one, or, double-buffered, as many as fit but at least two.
struct BufferSlots {
  std::int64_t input = 2, weight = 2, output = 2;
};

std::int64_t slots_for(const Buffer& buffer, double tile_bits);

/// Bits of the largest tile that a buffer takes.
double tile_capacity(const Buffer& buffer);

class LayerModel {
 public:
  /// Precondition: the layer has MACs and `mode` belongs to its widths.
  LayerModel(const LayerSetting& setting, const WidthMode& mode, const Accelerator& accelerator);

  /// The best tile of the stated space for the accelerator's objective, then DRAM traffic, then
  /// energy; with `tiling.slack`, among tiles that are worse by no more than that share the one
  /// with the least DRAM traffic. Nothing if no tile fits. The space: all distinct tile counts
  /// (least size for each) of output rows x columns, of the batch where whole images are taken, of
  /// output channels in multiples of the array's columns, of input channels in multiples of what
  /// fills the lanes along K at the machine's narrowest width, of groups; all loop orders that move
  /// different amounts; no tile with fewer than 1,024 array steps and less than an eighth of those
  /// of the largest tile that fits at the greatest widths. The space does not depend on the widths,
  /// so narrower operands never cost more.
  /// `form` becomes that of the tile.
  std::optional<Tile> search(const EnergyModel& energy, ClosedForm* form = nullptr) const;

  /// Whether the buffers hold the tile.
  [[nodiscard]] bool fits(const Tile& tile) const;

  [[nodiscard]] ClosedForm closed_form(const Tile& tile) const;
  [[nodiscard]] EngineCycles engine_cycles(const Tile& tile) const;  // one repeat
  /// Cycles of each phase that the engine's timing names, one repeat; they sum to engine_cycles.
  [[nodiscard]] std::vector<std::int64_t> phase_cycles(const Tile& tile) const;
  /// Counted events of all repeats under the tile; array_active from `cycles`.
  [[nodiscard]] Activity activity(const Tile& tile, const ClosedForm& closed) const;

  /// The steps of one repeat in order. `visit` takes (const Step&).
  template <class Visit>
  void for_each_step(const Tile& tile, Visit&& visit) const;

  [[nodiscard]] std::int64_t step_count(const Tile& tile) const;
  [[nodiscard]] StepCost step_cost(const Tile& tile, const Step& step) const;
  [[nodiscard]] TileBlock block(const Tile& tile, const Step& step) const;
  /// Cycles that the very last step of the layer does not need.
  [[nodiscard]] std::int64_t last_credit(const Tile& tile) const;

  [[nodiscard]] BufferSlots slots(const Tile& tile) const;

  /// The weights of the whole layer are one tile and stay in the buffer over its repeats.
  [[nodiscard]] bool weights_stay(const Tile& tile) const;

  [[nodiscard]] const LayerTiming& timing() const { return timing_; }
  [[nodiscard]] const LayerSetting& setting() const { return setting_; }
  [[nodiscard]] const ComputeShape& shape() const { return shape_; }
  [[nodiscard]] const WidthMode& mode() const { return mode_; }
  [[nodiscard]] std::int64_t pack() const { return pack_; }
  [[nodiscard]] bool im2col() const { return im2col_; }
  [[nodiscard]] Home home(Stream stream) const;
  [[nodiscard]] Tile whole_layer() const;

 private:
  struct Fetch {  // input rows (or columns) of the tiles along one output axis
    std::int64_t tile = 1, count = 1;
    std::int64_t sum = 0, first = 0, last = 0, greatest = 0;
    std::int64_t inside = 0, beyond = 0;  // tiles between them fetch the same number
  };
  struct MTiling {
    std::int64_t batch = 1, out_h = 1, out_w = 1;
    std::int64_t tiles = 1;
    MSums sums;
    double input_elements = 0;  // per channel, summed over tiles
    double first_elements = 0;
    double greatest_elements = 0;
    std::int64_t greatest_m = 1, last_m = 1, first_m = 1;
    MSums first_sums, last_sums;         // of single tiles
    double rows_sum = 0, rows_last = 0;  // input rows fetched by the tiles along out_h
    double columns_sum = 0, columns_last = 0;
    std::int64_t array_steps = 0;  // factor of a tile's, the greatest
  };
  struct NTiling {
    std::int64_t tile = 1, tiles = 1, last = 1;
    NSums sums;
    std::int64_t array_steps = 0;  // factor of a tile's
  };
  struct KTiling {
    std::int64_t tile = 1, tiles = 1, last = 1;
    KSums sums;
    std::int64_t array_steps = 0;  // factor of a tile's
    double element_bits = 0;  // of the input buffer, per fetched element of a pack's tile (raw) ...
    double position_bits = 0;  // ... or per output position (im2col)
    double row_words = 0;  // operands of one row of K as the buffers hold it, all groups and tiles
  };
  struct Axes {
    TileAxis groups, batch, rows, columns, n, k;
    [[nodiscard]] std::int64_t m_tiles() const {
      return batch.count() * rows.count() * columns.count();
    }
  };

  [[nodiscard]] Axes axes(const Tile& tile) const;
  [[nodiscard]] std::int64_t fetched(std::int64_t first_output, std::int64_t outputs,
                                     std::int64_t stride, std::int64_t kernel,
                                     std::int64_t dilation, std::int64_t pad,
                                     std::int64_t extent) const;
  [[nodiscard]] Fetch fetch(std::int64_t tile, std::int64_t outputs, std::int64_t stride,
                            std::int64_t kernel, std::int64_t dilation, std::int64_t pad,
                            std::int64_t extent) const;
  [[nodiscard]] Fetch fetch_rows(std::int64_t tile) const;
  [[nodiscard]] Fetch fetch_columns(std::int64_t tile) const;
  [[nodiscard]] MTiling m_tiling(std::int64_t batch, const Fetch& rows, const Fetch& columns) const;
  [[nodiscard]] NTiling n_tiling(std::int64_t tile) const;
  [[nodiscard]] KTiling k_tiling(std::int64_t tile) const;
  [[nodiscard]] double row_words(std::int64_t channels, std::int64_t groups) const;
  [[nodiscard]] double input_buffer_bits(double elements, double positions, std::int64_t channels,
                                         std::int64_t groups) const;
  [[nodiscard]] double weight_buffer_bits(std::int64_t n, std::int64_t channels,
                                          std::int64_t groups) const;
  [[nodiscard]] bool input_fits(const MTiling& m, std::int64_t channels, std::int64_t groups) const;
  [[nodiscard]] bool weight_fits(std::int64_t n, std::int64_t channels, std::int64_t groups) const;
  [[nodiscard]] bool output_fits(std::int64_t m, std::int64_t n, std::int64_t groups) const;
  [[nodiscard]] double pack_cycles(const MTiling& m, const NTiling& n, const KTiling& k) const;
  /// Bits of one repeat; sums travel `spilled` each way.
  struct LoopTraffic {
    bool spills = false;
    double input_times = 1, weight_times = 1;  // that each tile is fetched
    double input = 0, weight = 0, spilled = 0, initial = 0, output = 0;
  };
  [[nodiscard]] LoopTraffic loop_traffic(const MTiling& m, const NTiling& n, const KTiling& k,
                                         LoopOrder order) const;
  [[nodiscard]] double filled_input_bits(const LoopTraffic& traffic, const KTiling& k) const;
  [[nodiscard]] double filled_weight_bits(const LoopTraffic& traffic, const KTiling& k) const;
  struct Ends {
    double input_bits = 0, weight_bits = 0, sums_bits = 0;  // of the first tile
    double lead_in = 0, lead_in_without_weights = 0;        // until they are there, cycles
    double post_last = 0, last_store = 0;                   // of the last output tile, cycles
  };
  [[nodiscard]] Ends ends(const MTiling& m, const NTiling& n, const KTiling& k,
                          std::int64_t tile_groups) const;
  [[nodiscard]] double array_bound(const MTiling& m, const NTiling& n, const KTiling& k,
                                   std::int64_t tile_groups, double engine_cycles) const;
  [[nodiscard]] double traffic_bound(const LoopTraffic& traffic, const KTiling& k) const;
  [[nodiscard]] ClosedForm closed(const MTiling& m, const NTiling& n, const KTiling& k,
                                  std::int64_t tile_groups, LoopOrder order,
                                  double engine_cycles) const;
  [[nodiscard]] BufferSlots slots(const MTiling& m, const NTiling& n, const KTiling& k,
                                  std::int64_t tile_groups) const;
  [[nodiscard]] double last_fold_credit(const MTiling& m, const NTiling& n, const KTiling& k) const;
  [[nodiscard]] double stepwise_cycles(const MTiling& m, const NTiling& n, const KTiling& k,
                                       std::int64_t tile_groups, LoopOrder order) const;
  [[nodiscard]] ClosedForm refined(ClosedForm form, const MTiling& m, const NTiling& n,
                                   const KTiling& k, std::int64_t tile_groups,
                                   LoopOrder order) const;
  [[nodiscard]] bool is_played(const MTiling& m, const NTiling& n, const KTiling& k,
                               std::int64_t tile_groups) const;
  [[nodiscard]] ClosedForm replayed(ClosedForm form, const MTiling& m, const NTiling& n,
                                    const KTiling& k, std::int64_t tile_groups, LoopOrder order,
                                    double enough) const;
  [[nodiscard]] Activity activity(const MTiling& m, const NTiling& n, const KTiling& k,
                                  const ClosedForm& closed, double engine_cycles) const;
  [[nodiscard]] EngineTraffic pack_traffic(const MSums& m, const NSums& n, const KSums& k,
                                           std::int64_t pack) const;
  [[nodiscard]] LayerModel at_widest() const;
  struct Replayed;
  struct Space;
  void fill_space(Space& space, const LayerModel& widest) const;
  [[nodiscard]] std::int64_t array_steps(const MTiling& m) const;
  [[nodiscard]] std::int64_t array_steps(const NTiling& n) const;
  [[nodiscard]] std::int64_t array_steps(const KTiling& k) const;
  [[nodiscard]] std::int64_t array_steps(const MTiling& m, const NTiling& n, const KTiling& k,
                                         std::int64_t packs) const;
  template <class Hopeless, class Visit>
  void for_each_tile(const Space& space, Hopeless&& hopeless, Visit&& visit) const;

  LayerSetting setting_;
  ComputeShape shape_;
  WidthMode mode_;
  const Accelerator* accelerator_;
  bool im2col_;          // kernel positions unrolled in space
  bool expanded_input_;  // the input lies in DRAM as im2col matrix
  std::int64_t pack_;
  LayerTiming timing_;
  std::int64_t kernel_;
  BitWidth output_bits_;     // of a final output as it leaves
  double initial_bits_ = 0;  // of a sum that is read before it is first added to
  double bias_bits_ = 0;     // per output channel
  double input_capacity_ = 0, weight_capacity_ = 0, output_capacity_ = 0;  // bits of one tile
  double dram_cycles_per_bit_ = 0, scratchpad_cycles_per_bit_ = 0;
  double input_port_cycles_per_bit_ = 0, weight_port_cycles_per_bit_ = 0;
  double post_cycles_per_output_ = 0;
  double post_latency_ = 0, dram_latency_ = 0, scratchpad_latency_ = 0;
};

/// Whole cycles that so many cycles take; a millionth absorbs the rounding of sums.
std::int64_t whole_cycles(double cycles);

/// Bytes that a stream of so many bits moves, in whole bursts.
Bytes burst_bytes(double bits, const Dram& dram);

// --- implementation of the template
// ---------------------------------------------------------------

/// Position of each loop (0 outermost, 2 innermost) for m, n, k.
struct LoopPositions {
  int m, n, k;
};
constexpr LoopPositions loop_positions(LoopOrder order) {
  switch (order) {
    case LoopOrder::mnk:
      return {0, 1, 2};
    case LoopOrder::nmk:
      return {1, 0, 2};
    case LoopOrder::mkn:
      return {0, 2, 1};
    case LoopOrder::nkm:
      return {2, 0, 1};
    case LoopOrder::kmn:
      return {1, 2, 0};
    case LoopOrder::knm:
      return {2, 1, 0};
  }
  return {0, 1, 2};
}

template <class Visit>
void LayerModel::for_each_step(const Tile& tile, Visit&& visit) const {
  const Axes axes = this->axes(tile);
  const LoopPositions at = loop_positions(tile.order);
  std::int64_t counts[3];
  counts[at.m] = axes.m_tiles();
  counts[at.n] = axes.n.count();
  counts[at.k] = axes.k.count();
  const std::int64_t k_tiles = axes.k.count();
  Step step;
  std::int64_t before_m = -1;
  std::int64_t before_n = -1;
  std::int64_t before_k = -1;
  for (std::int64_t group = 0; group < axes.groups.count(); ++group) {
    std::int64_t index[3];
    for (index[0] = 0; index[0] < counts[0]; ++index[0]) {
      for (index[1] = 0; index[1] < counts[1]; ++index[1]) {
        for (index[2] = 0; index[2] < counts[2]; ++index[2]) {
          const bool new_group = group != step.group_tile || before_m < 0;
          step.group_tile = group;
          step.m_tile = index[at.m];
          step.n_tile = index[at.n];
          step.k_tile = index[at.k];
          step.loads_input = new_group || step.m_tile != before_m || step.k_tile != before_k;
          step.loads_weight = new_group || step.n_tile != before_n || step.k_tile != before_k;
          step.starts_output = new_group || step.m_tile != before_m || step.n_tile != before_n;
          step.loads_sums =
              step.starts_output && (step.k_tile > 0 || accelerator_->memory.read_initial_sums);
          // The output tile stays only if the next step goes on with it: k is the loop that turns.
          const bool k_turns_next = counts[2] == 1 && counts[1] == 1 ? at.k == 0
                                    : counts[2] == 1                 ? at.k == 1
                                                                     : at.k == 2;
          step.completes_output = step.k_tile == k_tiles - 1;
          step.ends_output = step.completes_output || !(k_tiles > 1 && k_turns_next);
          visit(static_cast<const Step&>(step));
          before_m = step.m_tile;
          before_n = step.n_tile;
          before_k = step.k_tile;
        }
      }
    }
  }
}

}  // namespace widthwise
