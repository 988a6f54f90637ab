// Kernels for AVX-512 with population counts of words (VPOPCNTDQ) and products of bytes (VNNI).
#include <immintrin.h>

#include "train/bit_planes_kernels.hpp"

namespace widthwise {

namespace plane_kernels_avx512 {

namespace {

constexpr std::int64_t kWords = 8;  // of a register
constexpr int kPlacesAtOnce = 8;

std::int64_t prepared_words(std::int64_t words, int bits) { return words * bits; }

/// Bit-planes [bits][words].
void prepare(const std::int32_t* values, std::int64_t words, int bits, std::uint64_t* to) {
  for (std::int64_t word = 0; word < words; ++word) {
    const std::int32_t* from = values + word * 64;
    const __m512i a = _mm512_loadu_si512(from);
    const __m512i b = _mm512_loadu_si512(from + 16);
    const __m512i c = _mm512_loadu_si512(from + 32);
    const __m512i d = _mm512_loadu_si512(from + 48);
    for (int plane = 0; plane < bits; ++plane) {
      const __m512i bit = _mm512_set1_epi32(static_cast<int>(1U << plane));
      to[plane * words + word] = static_cast<std::uint64_t>(_mm512_test_epi32_mask(a, bit)) |
                                 static_cast<std::uint64_t>(_mm512_test_epi32_mask(b, bit)) << 16 |
                                 static_cast<std::uint64_t>(_mm512_test_epi32_mask(c, bit)) << 32 |
                                 static_cast<std::uint64_t>(_mm512_test_epi32_mask(d, bit)) << 48;
    }
  }
}

inline void count(__m512i weights, const std::uint64_t* x, std::int64_t words, __mmask8 mask,
                  __m512i (&counts)[kPlacesAtOnce]) {
  for (int j = 0; j < kPlacesAtOnce; ++j) {
    const __m512i plane = _mm512_maskz_loadu_epi64(mask, x + j * words);
    counts[j] = _mm512_add_epi64(counts[j], _mm512_popcnt_epi64(_mm512_and_si512(weights, plane)));
  }
}

/// Of one row of a plane, per lane: sum over places of place(j) popcount(w AND x_j).
inline __m512i of_plane(const std::uint64_t* w, const std::uint64_t* x, std::int64_t words,
                        int bits) {
  const __m512i zero = _mm512_setzero_si512();
  const std::int64_t whole = words / kWords * kWords;
  const auto tail = static_cast<__mmask8>((1U << (words - whole)) - 1);
  __m512i sums = zero;
  for (int first = bits - kPlacesAtOnce; first >= 0; first -= kPlacesAtOnce) {
    const std::uint64_t* places = x + first * words;
    __m512i counts[kPlacesAtOnce] = {zero, zero, zero, zero, zero, zero, zero, zero};
    for (std::int64_t i = 0; i < whole; i += kWords) {
      count(_mm512_loadu_si512(w + i), places + i, words, 0xff, counts);
    }
    if (tail != 0) {
      count(_mm512_maskz_loadu_epi64(tail, w + whole), places + whole, words, tail, counts);
    }
    for (int j = kPlacesAtOnce - 1; j >= 0; --j) {
      sums = _mm512_add_epi64(sums, sums);
      sums = first + j == bits - 1 ? _mm512_sub_epi64(sums, counts[j])
                                   : _mm512_add_epi64(sums, counts[j]);
    }
  }
  return sums;
}

void multiply(const PlaneJob& job) {
  for (std::int64_t row = job.first_row; row < job.first_row + job.rows; ++row) {
    const std::uint64_t* w = job.weights + row * job.row_words;
    __m512i sums = _mm512_setzero_si512();  // Horner's rule, from the sign's plane on
    for (int plane = 0; plane < job.planes; ++plane, w += job.plane_words) {
      const __m512i part = of_plane(w, job.x, job.row_words, job.bits);
      sums = _mm512_add_epi64(sums, sums);
      sums = plane == 0 ? _mm512_sub_epi64(sums, part) : _mm512_add_epi64(sums, part);
    }
    job.sums[row] = _mm512_reduce_add_epi64(sums);
  }
}

constexpr int kRows = 4;  // at once

inline void rows_of_int8(const Int8Job& job, std::int64_t row, int rows) {
  __m512i sums[kRows] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                         _mm512_setzero_si512()};
  const std::uint8_t* w = job.weights + row * job.row_bytes;
  for (std::ptrdiff_t i = 0; i < job.row_bytes; i += 64) {
    const __m512i x = _mm512_loadu_si512(job.x + i);
    for (int r = 0; r < rows; ++r) {
      sums[r] = _mm512_dpbusd_epi32(sums[r], _mm512_loadu_si512(w + r * job.row_bytes + i), x);
    }
  }
  for (int r = 0; r < rows; ++r) {
    job.sums[row + r] =
        static_cast<std::int32_t>(_mm512_reduce_add_epi32(sums[r]) - 128 * job.x_sum);
  }
}

}  // namespace

void int8(const Int8Job& job);

void int8(const Int8Job& job) {
  std::int64_t row = job.first_row;
  const std::int64_t end = job.first_row + job.rows;
  for (; row + kRows <= end; row += kRows) rows_of_int8(job, row, kRows);
  for (; row < end; ++row) rows_of_int8(job, row, 1);
}

const PlaneKernel& kernel();

const PlaneKernel& kernel() {
  static constexpr PlaneKernel table{"popcount AVX-512", &prepared_words, &prepare, &multiply,
                                     &int8};
  return table;
}

}  // namespace plane_kernels_avx512

}  // namespace widthwise
