// An array of processing elements as it is stepped, cycle by cycle, on integers.
//
// Three kinds: systolic with a stationary operand, systolic with stationary outputs, and bit-serial
// with broadcast operands. Which cycle a fold's stream starts in is the controller's affair
// (stepped_engine.hpp); from there on operands move by one element a cycle, and results appear when
// they reach the edge of the array or the end of their reduction.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "models/hardware/engine.hpp"
#include "sim/cycle/block_operands.hpp"
#include "sim/cycle/kernels.hpp"
#include "sim/cycle/operands.hpp"

namespace widthwise::sim {

/// How operands are cut for the elements: a value of `bits` into passes of pieces, a piece into
/// digits. All but the last digit of the last piece are unsigned.
struct OperandCut {
  bool is_signed = true;
  std::int64_t passes = 1;
  int piece_bits = 8;
  int digits = 1;
  int digit_bits = 8;

  /// Digit of a piece, unshifted.
  [[nodiscard]] std::int32_t digit(std::int32_t value, std::int64_t piece, int number) const {
    const int low = static_cast<int>(piece) * piece_bits + number * digit_bits;
    if (is_signed && piece == passes - 1 && number == digits - 1) return value >> low;
    const int bits = number == digits - 1 ? piece_bits - number * digit_bits : digit_bits;
    return (value >> low) & ((1 << bits) - 1);
  }
  /// Pieces as they stand: nothing to cut out.
  [[nodiscard]] bool whole() const { return passes == 1 && digits == 1; }
};

/// What an array is made of, for one layer.
struct ArrayShape {
  std::int64_t rows = 1, columns = 1;
  std::int64_t products = 1;  // along the reduction per element and cycle
  StreamAxis streams = StreamAxis::m;
  std::int64_t columns_in_time = 1;  // bit-serial: that follow each other in a step
  OperandCut weight, activation;
  AccumulatorRule rule;

  [[nodiscard]] std::int64_t padded_columns() const {
    return ceil_div(columns, kLaneBlock) * kLaneBlock;
  }
  [[nodiscard]] std::int64_t passes() const { return weight.passes * activation.passes; }
};

/// Products of the widest kind fit 32-bit sums, and so does the accumulator.
bool sums_are_narrow(const ArrayShape& shape);

/// Accumulators of one pack's outputs in one tile.
class OutputSums {
 public:
  virtual ~OutputSums() = default;
  [[nodiscard]] virtual std::int64_t get(std::int64_t m, std::int64_t n) const = 0;
  virtual void set(std::int64_t m, std::int64_t n, std::int64_t value) = 0;
};

/// What a bit-serial array does in one cycle.
struct SerialIssue {
  static constexpr std::int64_t kWait = -1;  // for a port
  static constexpr std::int64_t kIdle = -2;
  std::int64_t k_step = kIdle;
  std::int64_t pass = 0;
  std::int64_t column = 0;  // whose turn it is, where columns follow in time
};

/// What the array holds at once, and the stream that goes through it.
struct Fold {
  std::shared_ptr<BlockOperands> operands;
  std::shared_ptr<OutputSums> sums;
  std::int64_t m = 0, n = 0;              // first output position and channel of the block
  std::int64_t m_count = 1, n_count = 1;  // of these in it
  std::int64_t k_step = 0;                // where M or N streams
  std::int64_t weight_pass = 0, activation_pass = 0;  // likewise
  std::int64_t start = 0;                             // cycle of the first operand
  std::int64_t interval = 1;                          // cycles between operands, likewise
  // Where K streams: for each cycle of a pass the K-step that is issued, -1 for none; passes follow
  // each other after so many cycles.
  std::shared_ptr<const std::vector<std::int64_t>> issues;
  std::int64_t pass_cycles = 0;
  std::int64_t passes = 1;

  // Bit-serial arrays only.
  std::shared_ptr<const std::vector<std::int64_t>> rows;  // positions; none: m, m + 1, ...
  // In place of `issues`: all passes of the fold, cycle by cycle.
  std::shared_ptr<const std::vector<SerialIssue>> timeline;
  // One position, all output channels; `issues` holds steps, the K-steps of a block of output
  // channels before those of the next, and row after row takes one for all its passes.
  bool staggered = false;
  std::int64_t waits = 0;  // cycles that a port makes the staggered stream longer by
};

class ArrayModel {
 public:
  ArrayModel() = default;
  ArrayModel(const ArrayModel&) = delete;
  ArrayModel& operator=(const ArrayModel&) = delete;
  virtual ~ArrayModel() = default;

  /// Accumulators of m x n outputs, all zero.
  [[nodiscard]] virtual std::shared_ptr<OutputSums> new_sums(std::int64_t m,
                                                             std::int64_t n) const = 0;
  /// In the cycle in which its stream starts, before that cycle's tick. Folds do not overlap in
  /// their streams.
  virtual void begin_fold(const Fold& fold) = 0;
  /// One cycle; `now` grows by one from tick to tick while anything is in flight.
  virtual void tick(std::int64_t now) = 0;
  /// Nothing is in flight.
  [[nodiscard]] virtual bool empty() const = 0;

  /// Additions that left the accumulator's range so far.
  [[nodiscard]] std::int64_t overflows() const { return overflows_; }

 protected:
  std::int64_t overflows_ = 0;
};

/// Of the engine's kind and dataflow.
std::unique_ptr<ArrayModel> make_array(const Engine& engine, const ArrayShape& shape);

// Used by make_array; each in a file of its own.
std::unique_ptr<ArrayModel> make_stationary_array(const ArrayShape& shape);
std::unique_ptr<ArrayModel> make_output_stationary_array(const ArrayShape& shape);
std::unique_ptr<ArrayModel> make_serial_array(const ArrayShape& shape);

/// The digit products of a processing element: all products, all digits of both operands.
std::vector<Brick> bricks_of(const ArrayShape& shape, const OperandCut& x, const OperandCut& y);

}  // namespace widthwise::sim
