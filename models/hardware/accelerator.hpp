// An accelerator as plain data: one struct per mapping of an `accelerator/1` file. Defaults stand
// in the member initialisers and nowhere else. The reader (accelerator_reader.hpp) hands out
// validated values only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/base/quantity.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

enum class EngineKind { mac_array, bit_serial };
enum class Dataflow { weight_stationary, output_stationary, input_stationary };
enum class Scaling { fixed, fusion, subword };
enum class SerialOperand { weights, activations, both };

/// What is unrolled along the reduction in space: input channels only (kernel positions follow in
/// time) or the whole of K. `automatic` is the whole of K for a convolution that reads an input of
/// the network, whose im2col matrix then lies in DRAM, and channels elsewhere (as Bit Fusion's
/// published model has it).
enum class Reduction { channels, im2col, automatic };

/// How the groups of a grouped convolution share the array: one group after the other, or several
/// at once as blocks on the diagonal of one matrix (each group on its own rows and columns).
enum class GroupMapping { sequential, block_diagonal };

/// How the weights reach the array: preloaded and held for a whole stream, or read every cycle from
/// buffers beside the PEs.
enum class WeightDelivery { preloaded, streamed };

/// How a fully connected or recurrent layer with one output position an image lies on a bit-serial
/// engine: images on the rows, as the positions of a convolution are, or one image after the other,
/// its steps going round the rows, one issued a cycle (Stripes and Loom; engine.hpp).
enum class VectorMapping { on_rows, staggered };

/// rows x array rows + columns x array columns + used_columns x columns in use + constant, in
/// cycles.
struct LinearCycles {
  int rows = 0;
  int columns = 0;
  int used_columns = 0;
  int constant = 0;
  bool operator==(const LinearCycles&) const = default;
};

/// Whether a fold (one mapping of a block of the layer onto the array) starts under the tail of the
/// one before, or only when that has left the array.
enum class FoldOverlap { pipelined, serial };

/// What a sum beyond the accumulator's range becomes: the value with the same low bits, or the
/// nearest end of the range. Tells values apart, not costs.
enum class AccumulatorOverflow { wrap, saturate };

/// What a phase of a bit-serial engine may happen at. The engine's loops, from outside: rows of
/// blocks of output positions, blocks in a row, blocks of output channels (a fold), K-steps,
/// activation passes (a step).
enum class PhaseEvent {
  tile,            // once a tile
  fold,            // each block of positions and output channels, after its last step
  step,            // each K-step and activation pass
  next_pass,       // the loop over activation passes goes on, ...
  next_reduction,  // ... that over K-steps,
  next_channels,   // ... that over blocks of output channels,
  next_column,     // ... that over blocks in a row,
  next_row,        // ... that over rows of blocks
};
inline constexpr std::size_t kPhaseEvents = 8;

/// kernel x kernel positions + output_passes x ceil(width of the stored outputs / activation bits a
/// cycle) + constant, in cycles; with `stream`, and the step's own work.
struct PhaseCycles {
  int kernel = 0;
  int output_passes = 0;
  int constant = 0;
  bool stream = false;
  bool operator==(const PhaseCycles&) const = default;
};

/// A part of a layer's time that the report tells apart; phases follow one another without overlap.
struct Phase {
  std::string name;
  std::array<PhaseCycles, kPhaseEvents> at{};  // by PhaseEvent
  bool operator==(const Phase&) const = default;
};

/// How the parts of a fold follow each other. Absent members take the value that the dataflow
/// implies (engine.hpp, resolved_timing).
struct EngineTiming {
  std::optional<LinearCycles> load;   // preload of the stationary operand, per fold
  std::optional<bool> load_hidden;    // the next fold's load runs under this fold's stream
  std::optional<LinearCycles> fill;   // from the first operand to the first product of the last PE
  std::optional<LinearCycles> drain;  // from the last operand to the last result, pipeline included
  FoldOverlap folds = FoldOverlap::pipelined;
  std::optional<int> stream_block = 1;  // a stream takes a multiple of so many cycles; none: of as
                                        // many as the array has rows...
  bool pad_last_block = false;          // ...the last stream of the layer too
  int fold_gap = 0;                     // idle cycles between two folds
  std::vector<Phase> phases;            // bit_serial: in place of all of the above
};

/// Output positions that the rows hold at once as a block of an image.
struct PositionBlock {
  int height = 1;
  int width = 1;
  bool operator==(const PositionBlock&) const = default;
};

struct Engine {
  EngineKind kind = EngineKind::mac_array;
  int rows = 16;
  int columns = 16;
  int tiles = 1;  // copies of the array side by side along the output channels
  std::optional<PositionBlock> position_block;  // bit_serial; none: positions in a row
  bool columns_in_time = false;  // bit_serial: one row of units takes the columns one a cycle
  Dataflow dataflow = Dataflow::weight_stationary;  // mac_array
  Reduction reduction = Reduction::channels;
  GroupMapping groups = GroupMapping::sequential;
  WeightDelivery weights = WeightDelivery::preloaded;      // mac_array, weight_stationary
  VectorMapping fully_connected = VectorMapping::on_rows;  // bit_serial
  int fold_stride_channels = 0;  // a strided convolution of a network input with so many channels
                                 // takes the pixels of a stride as further channels; 0: never
  int accumulator_bits = 32;     // of partial sums, in two's complement; a layer may use fewer
  AccumulatorOverflow accumulator_overflow = AccumulatorOverflow::wrap;
  std::string unit;  // row of the energy table that one PE or dot-product unit costs
  EngineTiming timing;

  // mac_array: precision.*
  Scaling scaling = Scaling::fixed;
  int max_bits = 8;                 // operand width of one PE in one cycle
  std::vector<int> supported_bits;  // fusion, subword: widths that the PE splits into, ascending
  bool temporal = false;            // wider operands take several passes

  // bit_serial: precision.*
  SerialOperand serial = SerialOperand::both;
  int lanes = 64;                     // products per unit and cycle along K
  int blocks = 1;                     // units side by side in each element: kernel positions or,
                                      // where the kernel has fewer, planes of the weights
  int parallel_bits = 16;             // width of the operand that is not serial
  int weight_bits_per_cycle = 1;      // planes of the serial weight operand taken at once
  int activation_bits_per_cycle = 1;  // planes of the serial activation operand taken at once
  int max_weight_bits = 16;
  int max_activation_bits = 16;
  bool sign_plane = false;               // w magnitude planes and a sign plane: w + 1 planes
  std::optional<LayerWidths> unit_bits;  // bits a cycle of the energy table's unit, as many of
                                         // which make one; none: those above
};

struct Buffer {
  Bytes capacity{0};
  bool double_buffered = true;       // a tile takes at most half; as many tiles as fit are
                                     // fetched ahead, at least one
  std::optional<double> read_port;   // bits per cycle towards the engine; none: what it asks for
  std::optional<double> write_port;  // bits per cycle from the DMA (input, weight)
  std::string sram = "sram";         // family of the energy table
};

/// raw: a convolution's input as it is, each element once per tile. im2col: one row of K per output
/// position, rows (the weights' too) padded to whole words of the lanes along K; the DMA expands.
enum class InputLayout { raw, im2col };

struct Dram {
  double bandwidth = 0;    // bits per cycle of the accelerator's clock
  Cycles latency{0};       // of the first beat of a request
  Bytes burst{1};          // a transfer of a tile is rounded up to a multiple
  std::string technology;  // row of the energy table
  Bytes request{2048};     // the DMA splits transfers into requests of so many bytes
  int outstanding = 8;     // requests in flight
};

/// On-chip memory behind the DMA that keeps whole tensors between layers.
struct Scratchpad {
  Bytes capacity{0};
  double bandwidth = 0;  // bits per cycle
  Cycles latency{0};
  std::string sram = "sram";
};

struct Memory {
  Dram dram;
  Buffer input_buffer;
  Buffer weight_buffer;
  Buffer output_buffer;
  InputLayout input_layout = InputLayout::raw;  // how the input buffer holds a convolution's input
  bool fetch_padding = false;  // zero padding lies in DRAM and is fetched like data
  std::optional<Scratchpad> scratchpad;
  bool keep_on_chip = true;             // with a scratchpad: tensors that fit stay there
  std::optional<BitWidth> output_bits;  // outputs of compute layers leave at this width, not at
                                        // the width that their consumers ask for
  bool read_initial_sums = false;       // partial sums start from values read from DRAM, not from 0
};

struct PostProcessing {
  int lanes = 16;     // elements per cycle
  Cycles latency{4};  // pipeline depth
};

enum class Objective { latency, energy, edp };

/// Order of the tile loops, outermost first: m = output positions, n = output channels, k = input
/// channels.
enum class LoopOrder { mnk, nmk, mkn, nkm, kmn, knm };

/// A tile in elements of the layer's loop nest. Kernel positions are never split.
struct Tile {
  std::int64_t batch = 1;
  std::int64_t out_h = 1;
  std::int64_t out_w = 1;
  std::int64_t out_channels = 1;  // per group
  std::int64_t in_channels = 1;   // per group
  std::int64_t groups = 1;        // groups side by side (block_diagonal); else 1
  LoopOrder order = LoopOrder::mnk;
  bool operator==(const Tile&) const = default;
};

struct Tiling {
  Objective objective = Objective::latency;
  double slack = 0;  // share by which a tile with less DRAM traffic may be worse in the objective
  std::map<std::string, Tile> fixed;  // by layer name: no search
};

struct Accelerator {
  std::string name;
  std::string description;
  std::string reproduces;               // the published machine
  std::vector<std::string> leaves_out;  // what of it is not modelled
  Hertz clock{0};
  std::string source;        // the file as found, for messages
  std::string energy_table;  // path of the energy file as found
  Engine engine;
  Memory memory;
  PostProcessing post_processing;
  Tiling tiling;
  bool ideal_memory = false;  // --ideal-memory: no DRAM and no buffer-port limits

  /// Every key with its resolved value, in the file's form, for reports ("engine.rows" -> "16").
  std::vector<std::pair<std::string, std::string>> resolved;
};

}  // namespace widthwise
