// Timing of the compute engines: how many cycles the array needs for a block of a layer.
//
// Both engines are described by one scheme. A block of M output positions x N output channels x K
// reduction terms is cut into *folds*: what the array holds at once. A fold streams operands for
// some cycles; around its stream lie the preload of a stationary operand, the skew of the systolic
// wavefront (fill) and its emptying (drain). What lies where:
//
//   engine, dataflow        rows   columns   in time (stream)   folds per block
//   mac_array, weight st.   K/p    N         M                  K-steps x ceil(N/C) x passes
//   mac_array, input st.    K/p    M         N                  K-steps x ceil(M/C) x passes
//   mac_array, output st.   M      N         K/p                ceil(M/R) x ceil(N/C), stream x
//   passes bit_serial              M      N         K/lanes            ceil(M/R) x ceil(N/C),
//   stream x passes
//
// with p products per PE and cycle and `passes` traversals for bit-planes or wide operands:
//   fixed    p = 1                                 (operands padded to the PE's width)
//   fusion   p = (max/w')(max/a')                  (Bit Fusion, ISCA 2018, section III)
//   subword  p = min(max/w', max/a')               (DVAFS, ISSCC 2017)
//   serial   p = lanes; planes: both w a (BISMO, Loom), weights w (UNPU), activations a (Stripes)
// w', a' = widths rounded up to supported ones.
//
// Copies of the array (`tiles`) take output channels side by side: in a block of
// tiles x columns channels, channel j is done by column j mod columns of copy j / columns. All
// copies see the same inputs in the same cycle.
//
// A strided convolution of a network input may be folded (`fold_stride_channels`): pixels s x s
// become channels, so that lanes stay filled. With strides s, t and C channels in the tile: input
// channel c of pixel (y, x) of the padded image is channel ((y mod s) t + x mod t) C + c of pixel
// (y / s, x / t); kernel position (u, v) is position
// (u / s, v / t) of a kernel of ceil(kh / s) x ceil(kw / t), stride 1; taps outside the kernel are
// 0. K-steps then go over kernel positions in row order and, for each, over C s t channels in
// steps of the lanes.
//
// A fully connected or recurrent layer with one output position an image may be staggered over the
// rows of a bit-serial engine (`fully_connected: staggered`): images one after the other; of each,
// block b of output channels and K-step k, k innermost, is step i = b ceil(K / lanes) + k. Row i
// mod R does it, all columns and lanes as above, in `passes` cycles from cycle floor(i / R)
// max(passes, R) + i mod R on (weight planes outermost, then activation planes). Each row adds its
// steps of an output up; the sum over rows is free. S steps take floor((S - 1) / R) max(passes, R)
// + (S - 1) mod R + passes cycles. Every tile and vector is a fold of its own, so that rows start
// anew with a tile (errs high by at most `passes` a tile where the next one is there in time).
// Weights are read once a step and held by the row.
//
// Sources: DaDianNao's, Stripes' and Loom's mappings as DNNsim has them.
//
// A bit-serial engine may hold blocks of h x w output positions of an image (`position_block`) on
// its rows: row y w + x holds position (y, x) of the block, those beyond the image's edge nothing.
// Blocks go along a row of blocks, then down, then to the next image. It may take the columns of a
// block in time (`columns_in: time`): one column of units, channel j of the block in cycle j of a
// step. Elements may consist of `blocks` units: unit i holds kernel position i of a group of that
// many in row order; where the kernel has fewer positions k, floor(blocks / k) weight planes lie
// side by side, plane p of position i in unit p k + i.
//
// With `timing.phases` nothing overlaps. Loops from outside: rows of blocks, blocks in a row,
// blocks of output channels, K-steps (groups of kernel positions, then channels in steps of the
// lanes), activation passes, weight passes, columns in time. Each phase takes its cycles at every
// event (PhaseEvent) that it names: at `step` in the order of the phases, the last two loops being
// the stream of the phase that has it, before that phase's own cycles; at `fold` after the last
// step; at `tile` and where a loop goes on before the first step of the turn. Source: the PULP
// cluster's RBE, a register-transfer design with its own controller.
//
// Sums over the tiles of a tiling are exact and cheap because every figure is a sum of at most
// three products of a function of m, one of n and one of k (MSums, NSums, KSums): the sum over all
// combinations of tiles is the product of the sums. A single tile is the case of one tile each.
// Staggered vectors are no such product; their sums keep the few kinds of tiles apart.
//
// Ignored: bank conflicts, operands that a port delivers across a fold boundary (errs high where a
// port is narrow), clock-domain crossings (errs low). Partially used rows and columns are counted
// as full in a port's demand, except along K.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/hardware/accelerator.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

/// How an engine computes with a pair of widths.
struct WidthMode {
  LayerWidths computed;            // asked widths rounded up to what the engine does
  std::int64_t products = 1;       // along K, per PE or unit and cycle
  std::int64_t passes = 1;         // traversals of the array
  std::int64_t weight_passes = 1;  // of these, for the weights' sake; passes = product of the two
  std::int64_t activation_passes = 1;
  BitWidth weight_bits_per_pass = 8;  // what one product of one pass reads
  BitWidth activation_bits_per_pass = 8;
  LayerWidths operation;  // widths of one counted operation, a row of the energy table
  double operations_per_mac = 1;
};

/// Nothing if the engine does not compute at these widths.
std::optional<WidthMode> width_mode(const Engine& engine, LayerWidths widths);

/// What a constant weight takes in memory: its width, and a bit more where the sign has a plane.
inline BitWidth stored_weight_bits(const Engine& engine, BitWidth width) {
  return engine.sign_plane ? width + 1 : width;
}

/// "weights 1..16 x activations 1..16", for error messages.
std::string supported_widths(const Engine& engine);

/// The timing parameters with the values of the dataflow and of the array where the file gives
/// none.
struct ResolvedTiming {
  LinearCycles load, fill, drain;
  bool load_hidden = true;
  std::int64_t stream_block = 1;
};
ResolvedTiming resolved_timing(const Engine& engine);

std::int64_t evaluate(const LinearCycles& linear, const Engine& engine, std::int64_t used_columns);

/// Processing elements or dot-product units of all copies: so many times the energy table's unit.
std::int64_t unit_count(const Engine& engine);

/// MACs that the engine could do in a cycle in a mode.
double peak_macs_per_cycle(const Engine& engine, const WidthMode& mode);

/// Pixels of a stride that are taken as channels, and the kernel positions that are left.
struct StrideFolding {
  std::int64_t pixels = 1;
  std::int64_t kernel = 1;
};
StrideFolding stride_folding(const Engine& engine, const ComputeShape& shape,
                             bool reads_network_input);

/// A layer as the array sees it: `pack` groups side by side on the diagonal of one matrix.
struct EngineWork {
  std::int64_t m = 1;              // output positions of the layer
  std::int64_t n = 1;              // output channels of a pack
  std::int64_t channels = 1;       // input channels of a pack
  std::int64_t kernel = 1;         // kernel positions
  std::int64_t pack = 1;           // groups in a pack
  bool im2col = false;             // kernel positions unrolled in space
  std::int64_t folded = 1;         // pixels of a stride taken as channels; 1 with im2col
  std::int64_t folded_kernel = 1;  // kernel positions then; read only if folded > 1
  struct Axis {
    std::int64_t kernel = 1, stride = 1, dilation = 1;
  };
  Axis height{}, width{};  // of the window, for what a block of positions reads
  BitWidth stored_output = 8;
  bool vectors = false;       // fully connected or recurrent, with one output position an image
  BitWidth stored_input = 8;  // width that the input buffer holds and delivers
  BitWidth accumulator_bits = 32;  // of partial sums
};

/// Groups that share the array at once: 1, or as many as fit the columns and the lanes along K.
std::int64_t groups_per_pack(const Engine& engine, const WidthMode& mode, const ComputeShape& shape,
                             bool im2col);

/// Whether the kernel positions of a layer are unrolled in space.
bool unrolls_kernel(const Engine& engine, const ComputeShape& shape, bool reads_network_input);

/// Ports between buffers and array in bits per cycle; none = whatever the array asks for.
struct EnginePorts {
  std::optional<double> input;
  std::optional<double> weight;
};

/// How many tiles have so many steps along an axis: a full tile and one at the edge.
struct TileKinds {
  struct Kind {
    std::int64_t steps = 0;
    std::int64_t times = 0;
  };
  std::array<Kind, 2> kinds{};
  void add(Kind kind);
  void add(const TileKinds& other, std::int64_t times);
};

struct MSums {
  std::int64_t tiles = 0;
  std::int64_t total = 0;       // output positions
  std::int64_t blocks = 0;      // array-sized blocks of positions
  std::int64_t block_rows = 0;  // rows of blocks
  std::int64_t reads = 0;       // input elements that the array takes per channel
  std::int64_t stream[2] = {};  // fold cycles where M streams: full K-steps, last K-step
  MSums& add(const MSums& other, std::int64_t times);
};

struct NSums {
  std::int64_t tiles = 0;
  std::int64_t total = 0;
  std::int64_t blocks = 0;
  std::int64_t used_columns = 0;  // of one copy, summed over blocks...
  std::int64_t most_columns = 0;  // ...and of the widest block of a tile
  std::int64_t stream[2] = {};    // fold cycles where N streams
  TileKinds kinds;                // blocks of a tile, where vectors are staggered
  NSums& add(const NSums& other, std::int64_t times);
};

struct KSums {
  std::int64_t tiles = 0;
  std::int64_t total = 0;        // reduction terms, kernel positions included
  std::int64_t steps[2] = {};    // K-steps: full, partly used
  std::int64_t step_cycles = 0;  // of these steps where K streams, waits for ports included
  std::int64_t stream = 0;       // fold cycles where K streams
  TileKinds kinds;               // K-steps of a tile, where vectors are staggered
  KSums& add(const KSums& other, std::int64_t times);
  [[nodiscard]] std::int64_t all_steps() const { return steps[0] + steps[1]; }
};

/// Cycles of the array. fill + drain here are those of every fold that are not hidden.
struct EngineCycles {
  std::int64_t busy = 0;
  std::int64_t wait_input = 0;  // input port narrower than the array's demand
  std::int64_t wait_weight = 0;
  std::int64_t fill = 0;
  std::int64_t drain = 0;
  [[nodiscard]] std::int64_t total() const {
    return busy + wait_input + wait_weight + fill + drain;
  }
  /// Without so many cycles of fill, or, where a law leaves out a cycle of work, of busy.
  [[nodiscard]] EngineCycles less(std::int64_t credit) const;
};

/// Bits between the buffers and the array.
struct EngineTraffic {
  std::int64_t input_read = 0;
  std::int64_t weight_read = 0;
  std::int64_t sums_read = 0;  // partial sums
  std::int64_t sums_written = 0;
};

/// What flows through the array in time; the other two lie on rows and columns.
enum class StreamAxis { m, n, k };

/// How the folds of a layer follow each other: what a machine needs that plays them one by one.
/// Lengths in cycles.
struct FoldSchedule {
  StreamAxis streams = StreamAxis::m;
  bool pipelined = true;  // a fold's stream starts under the tail of the one before
  bool load_hidden = true;
  std::int64_t load = 0;   // preload of a fold's stationary operand, port included
  std::int64_t block = 1;  // streams take a multiple of so many cycles...
  bool pad_last = false;   // ...the last one of the layer too
  std::int64_t gap = 0;
  // From the end of a stream to its last result: fill + drain + per_used_column x columns in use
  // (and the load, where M and N lie on the array: it is the path that results leave by). Paid once
  // a layer if pipelined, else by each fold.
  std::int64_t fill = 0, drain = 0, per_used_column = 0;
  std::int64_t interval[2] = {1, 1};  // between operands of a stream: full K-steps, last K-step
  bool input_limits = false;          // an interval above 1 is the input port's doing

  // What K-steps and passes are made of.
  bool folded = false;         // pixels of a stride are channels
  std::int64_t positions = 1;  // kernel positions side by side in a K-step
  std::int64_t planes = 1;     // passes over the weights side by side in one
  bool staggered = false;      // the steps of a vector go round the rows, first interval for all
  bool columns_in_time = false;

  // With phases: cycles of all of them at each event; of `step` some come before the stream. The
  // stream's phase has its own cycles after it.
  bool phases = false;
  std::array<std::int64_t, kPhaseEvents> event_cycles{};
  std::int64_t before_stream = 0;
  [[nodiscard]] std::int64_t at(PhaseEvent event) const {
    return event_cycles[static_cast<std::size_t>(event)];
  }
};

class LayerTiming {
  using Axis = StreamAxis;

 public:
  LayerTiming(const Engine& engine, const WidthMode& mode, const EngineWork& work,
              const EnginePorts& ports);

  /// Of a tile of images x height x width output positions; one number: a row of positions.
  [[nodiscard]] MSums m_sums(std::int64_t images, std::int64_t height, std::int64_t width) const;
  [[nodiscard]] MSums m_sums(std::int64_t m) const { return m_sums(1, 1, m); }
  [[nodiscard]] NSums n_sums(std::int64_t n) const;
  [[nodiscard]] KSums k_sums(std::int64_t channels) const;

  /// Cycles of all tiles of one group pack, one after the other without a gap.
  [[nodiscard]] std::int64_t total_cycles(const MSums& m, const NSums& n, const KSums& k) const;
  [[nodiscard]] EngineCycles cycles(const MSums& m, const NSums& n, const KSums& k) const;
  [[nodiscard]] EngineTraffic traffic(const MSums& m, const NSums& n, const KSums& k) const;

  /// Cycles of each configured phase, in order; they sum to total_cycles. Empty without phases.
  [[nodiscard]] std::vector<std::int64_t> phase_cycles(const MSums& m, const NSums& n,
                                                       const KSums& k) const;

  /// Before the first stream of a layer, where folds are pipelined: the preload.
  [[nodiscard]] std::int64_t start_cycles() const { return start_; }
  /// From the end of a layer's last stream to its last result, where folds are pipelined; the
  /// wavefront, which is fill and not drain, is part of it.
  [[nodiscard]] std::int64_t wavefront_cycles() const { return wavefront_; }
  [[nodiscard]] std::int64_t finish_cycles() const { return finish_; }
  /// Cycles counted in the last tile that the very last fold of a layer does not need: the preload
  /// of a next fold that does not come, padding, the gap. Part of EngineCycles::fill of that tile.
  [[nodiscard]] std::int64_t last_tile_credit(std::int64_t m, std::int64_t n,
                                              std::int64_t channels) const;
  [[nodiscard]] bool credit_depends_on_n() const { return streams_ == Axis::n || staggered_; }
  /// Cycles between operands in the buffers and the first stream of a tile that the array had to
  /// wait for: the preload of its first fold.
  [[nodiscard]] std::int64_t preload_cycles() const { return preload_; }

  [[nodiscard]] FoldSchedule schedule() const;

  /// Cycles of so many staggered steps, one issued every `interval` cycles.
  [[nodiscard]] std::int64_t staggered_cycles(std::int64_t steps, std::int64_t interval) const;

  /// Reduction lanes of one K-step; tiles of channels that are a multiple waste none.
  [[nodiscard]] std::int64_t lanes_along_k() const { return lanes_k_; }

  /// Terms of one row of K as the lanes take it: whole K-steps.
  [[nodiscard]] std::int64_t padded_terms(std::int64_t channels) const;

  [[nodiscard]] bool staggered() const { return staggered_; }

 private:
  [[nodiscard]] std::int64_t fold_cycles(std::int64_t stream) const;
  [[nodiscard]] std::int64_t step_cycles(std::int64_t lanes_used) const;
  [[nodiscard]] std::int64_t k_stream(std::int64_t channels) const;
  /// Reduction terms of one traversal of the lanes, and how many such follow in time.
  struct Terms {
    std::int64_t in_space = 1, times = 1;
  };
  [[nodiscard]] Terms terms(std::int64_t channels) const;
  using EventCounts = std::array<std::int64_t, kPhaseEvents>;
  [[nodiscard]] EventCounts events(const MSums& m, const NSums& n, const KSums& k) const;
  [[nodiscard]] std::int64_t stream_cycles(const MSums& m, const NSums& n, const KSums& k) const;
  /// Input elements per channel that blocks of positions along one axis read.
  [[nodiscard]] static std::int64_t block_reads(std::int64_t positions, std::int64_t block,
                                                const EngineWork::Axis& axis);
  /// Cycles of a staggered fold with so many cycles of stream.
  [[nodiscard]] std::int64_t staggered_fold(std::int64_t stream) const;
  /// Sum over all tiles of `of_tile(steps)`, the steps of one vector.
  template <class OfTile>
  static std::int64_t sum_over_kinds(const NSums& n, const KSums& k, OfTile of_tile);

  Axis streams_ = Axis::m;
  std::int64_t rows_ = 1;
  std::int64_t columns_ = 1;        // of one copy
  std::int64_t block_columns_ = 1;  // of all copies
  std::int64_t lanes_k_ = 1;
  std::int64_t kernel_ = 1;
  std::int64_t folded_ = 1, folded_kernel_ = 1;
  std::int64_t passes_ = 1;
  std::int64_t activation_passes_ = 1;
  std::int64_t blocks_ = 1;       // kernel positions side by side...
  std::int64_t planes_ = 1;       // ...and passes over the weights
  std::int64_t step_time_ = 1;    // cycles of a step and pass: columns that follow in time
  PositionBlock position_block_;  // 0 x 0: positions in a row
  EngineWork::Axis height_, width_;
  struct ResolvedPhase {
    EventCounts cycles{};  // of one event
    bool streams = false;
  };
  std::vector<ResolvedPhase> phases_;
  bool im2col_ = false;
  bool staggered_ = false;
  bool pipelined_ = true;
  bool load_hidden_ = true;
  bool streamed_weights_ = false;
  bool sums_in_array_ = false;  // partial sums stay in the array over the K-steps of a tile
  std::int64_t load_ = 0, fill_ = 0, drain_ = 0;  // per fold, without used columns
  std::int64_t used_columns_factor_ = 0;
  std::int64_t gap_ = 0, block_ = 1;
  bool pad_last_ = false;
  std::int64_t start_ = 0, wavefront_ = 0, finish_ = 0, preload_ = 0;
  double input_bits_per_lane_ = 0, weight_bits_per_lane_ = 0;  // demand of a step per lane along K
  EnginePorts ports_;
  std::int64_t step_full_ = 1, step_edge_ = 1;  // cycles of a step
  bool uniform_steps_ = true;                   // a partly used K-step takes as long as a full one
  bool input_limits_ = false;                   // the input port is the slower of the two
  std::int64_t input_read_factor_ = 8, weight_read_factor_ = 8;  // bits per element read
  std::int64_t accumulator_bits_ = 32;
};

}  // namespace widthwise
