// The inner loops of bit-planes times activations, once for each instruction set; the fastest one
// that the processor runs is chosen at run time. All give the same integers.
//
// Two ways to the same sum. By population counts, as the paper has it: sum over weight planes i and
// activation planes j of place(i) place(j) popcount(W_i AND X_j). By bytes: the planes of 512
// inputs are turned into bytes in registers (the planes are what comes from memory) and multiplied
// with whole activations; that needs no activation planes and far fewer instructions.
//
// Headers with inline functions stay out of the kernels' files, as in sim/cycle (decision 19).
#pragma once

#include <cstddef>
#include <cstdint>

namespace widthwise {

/// Rows of a product. Words as BitPlanes has them (bit_planes.hpp).
struct PlaneJob {
  const std::uint64_t* weights = nullptr;
  std::ptrdiff_t plane_words = 0, row_words = 0;
  std::int64_t first_row = 0, rows = 0;
  int planes = 0;                    // with the sign's: n + 1
  int bits = 8;                      // A
  const std::uint64_t* x = nullptr;  // as `prepare` left it
  std::int64_t x_byte_sums[4] = {};  // of byte b of all X, the top one signed
  std::int64_t* sums = nullptr;      // of all rows
};

/// A product of bytes: sums[r] = sum_k (w[r][k] - 128) x[k].
struct Int8Job {
  const std::uint8_t* weights = nullptr;
  std::ptrdiff_t row_bytes = 0;  // a multiple of 64; padding times zeros of x
  std::int64_t first_row = 0, rows = 0;
  const std::int8_t* x = nullptr;  // padded with zeros
  std::int64_t x_sum = 0;
  std::int32_t* sums = nullptr;
};

struct PlaneKernel {
  const char* name = "";
  /// Words that activations of `words` x 64 inputs take.
  std::int64_t (*prepared_words)(std::int64_t words, int bits) = nullptr;
  /// From integers, padded with zeros to words x 64, into zeroed or used words.
  void (*prepare)(const std::int32_t* values, std::int64_t words, int bits,
                  std::uint64_t* to) = nullptr;
  void (*multiply)(const PlaneJob& job) = nullptr;
  void (*int8)(const Int8Job& job) = nullptr;
};

/// The fastest that this processor runs.
const PlaneKernel& best_plane_kernel();

/// All that this processor runs, the portable one first, the fastest last.
struct PlaneKernelList {
  const PlaneKernel* kernels[4] = {};
  int count = 0;
};
PlaneKernelList plane_kernels();

}  // namespace widthwise
