// The inner loops of the cycle-stepped arrays: what all elements of an array do in one cycle.
//
// The same source (kernels.inc) is compiled for several instruction sets, each in a file of its
// own; `best_kernels` chooses at run time what this processor has. All give the same results.
// Nothing here is specific to a machine, and nothing knows SystemC.
#pragma once

#include <cstddef>
#include <cstdint>

namespace widthwise::sim {

/// Columns are padded to a multiple of this many lanes; padding holds zero operands.
inline constexpr std::int64_t kLaneBlock = 16;

/// An accumulator of `bits` in two's complement. `low` and `high` are its range.
struct AccumulatorRule {
  enum class Mode {
    unchecked,  // no sum can leave the range
    wrap,       // modulo 2^bits
    saturate,   // to low or high
  };
  Mode mode = Mode::unchecked;
  int bits = 32;
  std::int64_t low = 0, high = 0;
};

/// One partial product of a processing element: x stream times y stream, shifted.
struct Brick {
  std::int32_t x = 0, y = 0;  // numbers of the element's streams
  std::int32_t shift = 0;
};

/// One cycle of a systolic array: element (r, c) adds its products to the sum from the element
/// above (`chained`) or to its own.
struct SystolicCycle {
  std::int64_t rows = 1;
  std::int64_t blocks = 1;  // of kLaneBlock columns
  const Brick* bricks = nullptr;
  std::int64_t brick_count = 1;
  bool chained = false;
  // Element (r, c) reads stream s at x[r x_row + s x_stream + c], in elements; y alike.
  const std::int32_t* x = nullptr;
  std::ptrdiff_t x_row = 0, x_stream = 0;
  const std::int32_t* y = nullptr;
  std::ptrdiff_t y_row = 0, y_stream = 0;
};

/// One cycle of a bit-serial array: unit (r, c) adds the sum over plane pairs (i, j) of
/// weight[i][j] x popcount(activation plane i of row r AND weight plane j of column c).
struct SerialCycle {
  std::int64_t rows = 1;
  std::int64_t columns = 1;  // padded to a multiple of kLaneBlock
  std::int64_t words = 1;    // of 64 lanes along the reduction
  std::int64_t x_planes = 1, y_planes = 1;
  // Word w of plane p: of row r at x[r x_row + p x_plane + w x_word], of column c at
  // y[p y_plane + w columns + c].
  const std::uint64_t* x = nullptr;
  std::ptrdiff_t x_row = 0, x_plane = 0, x_word = 1;
  const std::uint64_t* y = nullptr;
  std::ptrdiff_t y_plane = 0;
  const std::int64_t* weights = nullptr;  // [x_planes][y_planes]: plus or minus a power of two
};

template <class Sum>
struct SumKernels {
  /// Sums are rows x (blocks kLaneBlock). Returns how many additions left the accumulator's range.
  std::int64_t (*systolic)(const SystolicCycle& cycle, Sum* sums, const AccumulatorRule& rule);
  /// sums[i] += more[i] under the rule.
  std::int64_t (*accumulate)(Sum* sums, const Sum* more, std::int64_t count,
                             const AccumulatorRule& rule);
  /// Plain product of matrices: out[m][n] += sum over k of x[m][k] y[k][n].
  void (*multiply)(Sum* out, const std::int32_t* x, const std::int32_t* y, std::int64_t m,
                   std::int64_t n, std::int64_t k);
};

struct Kernels {
  const char* name = "";
  SumKernels<std::int32_t> narrow{};  // sums of at most 32 bits
  SumKernels<std::int64_t> wide{};
  std::int64_t (*serial)(const SerialCycle& cycle, std::int64_t* sums,
                         const AccumulatorRule& rule) = nullptr;
};

/// The fastest that this processor runs.
const Kernels& best_kernels();

/// All that this processor runs, the portable ones first.
struct KernelList {
  const Kernels* kernels[3] = {};
  int count = 0;
};
KernelList available_kernels();

}  // namespace widthwise::sim
