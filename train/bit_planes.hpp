// PrecisionBatching's arithmetic (Lam et al., arXiv 2003.00822) on a CPU: matrix times vector with
// weights as bit-planes, of which the most significant ones are used, as many as a call asks for.
//
// Weights: two's complement of N + 1 bits, N magnitude planes and a sign plane, the plane of the
// place -2^N. With s = clip / (2^N - 1), W = round(w / s) within +-(2^N - 1); the clip is the
// largest magnitude, or found by search. Planes lie one after the other, the sign's first, then
// from the most significant on, so that the first n + 1 planes are W_n = floor(W / 2^(N - n)), n
// magnitude planes of which none is repacked. That is what a bit-serial engine with `sign_plane`
// computes with at n-bit weights (models/hardware/engine.hpp).
//
// Activations: two's complement of A = 8, 16 or 32 bits, one scale per vector.
//
// S = sum_i sum_j place(i) place(j) popcount(W_i AND X_j) is exact in 64 bits; every kernel and the
// plain loop give the same integers. What the floor takes away is given back by a line per row and
// number of planes, w ~ slope W_n + offset:
//   y = bias + s_x (slope S + offset sum_k X_k).
//
// Activations are rounded to nearest, ties to even. Planes below the first n stay in memory,
// unread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "train/bit_planes_kernels.hpp"
#include "train/bit_planes_workers.hpp"

namespace widthwise {

inline constexpr int kMaxPlanes = 16;  // magnitude planes
/// Up to here no sum can overflow: of bytes, 255 x 128 x inputs < 2^31; of all planes, 2^16 x 2^31
/// x inputs < 2^63.
inline constexpr std::int64_t kMaxPlaneInputs = 65'535;

/// What W_n stands for.
enum class Reconstruction {
  truncated,  // s 2^(N - n) W_n, as it stands: biased downwards by half of the last place
  fitted,     // the line through W_n nearest to the row's weights in squared error
};

struct PlaneOptions {
  int planes = 8;  // N, 1..kMaxPlanes
  /// The clip with the least mean absolute error among 100 that divide the largest magnitude.
  bool search_clip = false;
  int clip_planes = 0;  // number of planes that the search is for; 0: all
  Reconstruction reconstruction = Reconstruction::fitted;
};

struct PlaneLine {
  double slope = 1, offset = 0;
};

/// 64-byte aligned words.
class PlaneWords {
 public:
  PlaneWords() = default;
  explicit PlaneWords(std::size_t count);  // zeros
  [[nodiscard]] std::uint64_t* data() { return words_.get(); }
  [[nodiscard]] const std::uint64_t* data() const { return words_.get(); }
  [[nodiscard]] std::size_t size() const { return count_; }

 private:
  struct Free {
    void operator()(std::uint64_t* words) const;
  };
  std::unique_ptr<std::uint64_t[], Free> words_;
  std::size_t count_ = 0;
};

/// A matrix [rows][inputs] as bit-planes.
class BitPlanes {
 public:
  /// Throws InputError: no rows or inputs, more inputs than kMaxPlaneInputs, another number of
  /// weights, weights that are not finite, numbers of planes out of range.
  BitPlanes(std::span<const float> weights, std::int64_t rows, std::int64_t inputs,
            const PlaneOptions& options);
  /// Of integers in two's complement of planes + 1 bits; scale 1, truncated.
  static BitPlanes from_integers(std::span<const std::int32_t> weights, std::int64_t rows,
                                 std::int64_t inputs, int planes);

  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t inputs() const { return inputs_; }
  [[nodiscard]] int planes() const { return planes_; }   // N
  [[nodiscard]] double scale() const { return scale_; }  // s
  /// Bytes of one plane, without the padding between planes.
  [[nodiscard]] std::int64_t plane_bytes() const { return rows_ * row_words_ * 8; }

  /// W_n.
  [[nodiscard]] std::int32_t value(std::int64_t row, std::int64_t input, int planes) const;
  [[nodiscard]] PlaneLine line(std::int64_t row, int planes) const {
    return lines_[static_cast<std::size_t>((planes - 1) * rows_ + row)];
  }

  /// 64 inputs a word, the first in the lowest bit: word w of plane p of row r is
  /// words()[p plane_words() + r row_words() + w]; plane 0 is the sign's.
  [[nodiscard]] const std::uint64_t* words() const { return words_.data(); }
  [[nodiscard]] std::int64_t plane_words() const { return plane_words_; }
  [[nodiscard]] std::int64_t row_words() const { return row_words_; }

 private:
  BitPlanes(std::int64_t rows, std::int64_t inputs, int planes);
  void pack_row(std::int64_t row, const std::int32_t* values);
  void fit_row(std::int64_t row, const float* weights, const std::int32_t* values);

  std::int64_t rows_ = 0, inputs_ = 0;
  int planes_ = 0;
  double scale_ = 1;
  std::int64_t row_words_ = 0, plane_words_ = 0;
  PlaneWords words_;
  std::vector<PlaneLine> lines_;  // [planes][rows]
};

/// A vector of activations in the form that a kernel takes. Reused from call to call.
class PlaneActivations {
 public:
  explicit PlaneActivations(const PlaneKernel& kernel = best_plane_kernel()) : kernel_(&kernel) {}

  /// X = round(x / s_x) within +-(2^(A-1) - 1), s_x = greatest / (2^(A-1) - 1); `greatest` 0: the
  /// vector's largest magnitude. Throws InputError: A is not 8, 16 or 32, x is not finite.
  void set(std::span<const float> x, int bits, double greatest = 0);
  /// X itself, in two's complement of `bits`; s_x = 1.
  void set_integers(std::span<const std::int32_t> x, int bits);

  [[nodiscard]] const PlaneKernel& kernel() const { return *kernel_; }
  [[nodiscard]] std::int64_t inputs() const { return inputs_; }
  [[nodiscard]] int bits() const { return bits_; }
  [[nodiscard]] double scale() const { return scale_; }
  [[nodiscard]] std::int64_t sum() const { return sum_; }  // of X
  [[nodiscard]] std::span<const std::int32_t> values() const {
    return {values_.data(), static_cast<std::size_t>(inputs_)};
  }
  [[nodiscard]] const std::uint64_t* prepared() const { return prepared_.data(); }
  [[nodiscard]] const std::int64_t* byte_sums() const { return byte_sums_; }

 private:
  void prepare(std::int64_t inputs, int bits);

  const PlaneKernel* kernel_;
  std::int64_t inputs_ = 0;
  int bits_ = 8;
  double scale_ = 1;
  std::int64_t sum_ = 0;
  std::int64_t byte_sums_[4] = {};
  std::vector<std::int32_t> values_;  // padded with zeros to whole words
  PlaneWords prepared_;
};

/// S of every row with the first `planes` magnitude planes, by x's kernel. `workers`: rows are
/// shared out among them; none: the calling thread. Throws InputError: x has another length than
/// the rows, planes not in 1..N.
void multiply(const BitPlanes& weights, int planes, const PlaneActivations& x,
              std::span<std::int64_t> sums, PlaneWorkers* workers = nullptr);

/// The same integers, from the values and by plain products.
void multiply_plainly(const BitPlanes& weights, int planes, const PlaneActivations& x,
                      std::span<std::int64_t> sums);

/// y of every row from its S; `bias` may be empty.
void reconstruct(const BitPlanes& weights, int planes, const PlaneActivations& x,
                 std::span<const std::int64_t> sums, std::span<const float> bias,
                 std::span<float> y);

/// 8-bit inference to compare with: weights in 8 bits with a scale per row, activations of 8 bits.
class Int8Matrix {
 public:
  /// Throws InputError as BitPlanes does.
  Int8Matrix(std::span<const float> weights, std::int64_t rows, std::int64_t inputs);

  [[nodiscard]] std::int64_t rows() const { return rows_; }
  /// Integers of every row; x of 8 bits. Throws InputError: x has another length or width.
  void multiply(const PlaneActivations& x, std::span<std::int32_t> sums,
                PlaneWorkers* workers = nullptr) const;
  /// y of every row from them; `bias` may be empty.
  void scale(const PlaneActivations& x, std::span<const std::int32_t> sums,
             std::span<const float> bias, std::span<float> y) const;

 private:
  std::int64_t rows_ = 0, inputs_ = 0, row_bytes_ = 0;
  PlaneWords bytes_;  // W + 128, [rows][row_bytes_]
  std::vector<float> scales_;
};

}  // namespace widthwise
