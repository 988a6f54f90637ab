// Kernels for AVX2: counts by table look-up of nibbles (Mula et al., arXiv 1611.07612).
#include <immintrin.h>

#include "train/bit_planes_kernels.hpp"

namespace widthwise {

namespace plane_kernels_avx2 {

namespace {

constexpr std::int64_t kWords = 4;  // of a register
constexpr int kPlacesAtOnce = 4;

std::int64_t prepared_words(std::int64_t words, int bits) { return words * bits; }

/// Bit-planes [bits][words].
void prepare(const std::int32_t* values, std::int64_t words, int bits, std::uint64_t* to) {
  for (std::int64_t word = 0; word < words; ++word) {
    __m256i eight[8];
    for (int part = 0; part < 8; ++part) {
      eight[part] =
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + word * 64 + part * 8));
    }
    for (int plane = 0; plane < bits; ++plane) {
      const __m128i left = _mm_cvtsi32_si128(31 - plane);
      std::uint64_t set = 0;
      for (int part = 0; part < 8; ++part) {
        const __m256i top = _mm256_sll_epi32(eight[part], left);
        const auto bits8 = static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(top)));
        set |= static_cast<std::uint64_t>(bits8) << (8 * part);
      }
      to[plane * words + word] = set;
    }
  }
}

inline __m256i ones_of_bytes(__m256i bits) {
  const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2,
                                         1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(bits, nibble));
  const __m256i high =
      _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(bits, 4), nibble));
  return _mm256_add_epi8(low, high);
}

inline std::int64_t total(__m256i lanes) {
  const __m128i two =
      _mm_add_epi64(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
  return _mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1);
}

/// Of one row of a plane: sum over places of place(j) popcount(w AND x_j).
std::int64_t of_plane(const std::uint64_t* w, const std::uint64_t* x, std::int64_t words,
                      int bits) {
  const __m256i zero = _mm256_setzero_si256();
  const std::int64_t whole = words / kWords * kWords;
  __m256i sums = zero;     // of all places but the top one
  __m256i top_sum = zero;  // of the top place, unweighted
  std::int64_t rest = 0;
  for (int first = 0; first < bits; first += kPlacesAtOnce) {
    __m256i counts[kPlacesAtOnce] = {zero, zero, zero, zero};
    for (std::int64_t i = 0; i < whole;) {
      // Bytes hold counts of up to 31 registers.
      const std::int64_t end = whole - i > 31 * kWords ? i + 31 * kWords : whole;
      __m256i bytes[kPlacesAtOnce] = {zero, zero, zero, zero};
      for (; i < end; i += kWords) {
        const __m256i weights = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + i));
        for (int j = 0; j < kPlacesAtOnce; ++j) {
          const __m256i plane =
              _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + (first + j) * words + i));
          bytes[j] = _mm256_add_epi8(bytes[j], ones_of_bytes(_mm256_and_si256(weights, plane)));
        }
      }
      for (int j = 0; j < kPlacesAtOnce; ++j) {
        counts[j] = _mm256_add_epi64(counts[j], _mm256_sad_epu8(bytes[j], zero));
      }
    }
    for (int j = 0; j < kPlacesAtOnce; ++j) {
      if (first + j == bits - 1) {
        top_sum = counts[j];
      } else {
        sums = _mm256_add_epi64(sums, _mm256_sll_epi64(counts[j], _mm_cvtsi32_si128(first + j)));
      }
    }
  }
  for (std::int64_t i = whole; i < words; ++i) {
    for (int j = 0; j < bits; ++j) {
      const std::int64_t ones = _mm_popcnt_u64(w[i] & x[j * words + i]);
      rest += j == bits - 1 ? -(ones << j) : ones << j;
    }
  }
  return total(sums) - (total(top_sum) << (bits - 1)) + rest;
}

void multiply(const PlaneJob& job) {
  for (std::int64_t row = job.first_row; row < job.first_row + job.rows; ++row) {
    std::int64_t sum = 0;
    for (int plane = 0; plane < job.planes; ++plane) {
      const std::uint64_t* w = job.weights + plane * job.plane_words + row * job.row_words;
      const std::int64_t part = of_plane(w, job.x, job.row_words, job.bits);
      sum = 2 * sum + (plane == 0 ? -part : part);
    }
    job.sums[row] = sum;
  }
}

void int8(const Int8Job& job) {
  for (std::int64_t row = job.first_row; row < job.first_row + job.rows; ++row) {
    const std::uint8_t* w = job.weights + row * job.row_bytes;
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (std::ptrdiff_t i = 0; i < job.row_bytes; i += 32) {
      for (int half = 0; half < 2; ++half) {
        const __m256i weights = _mm256_cvtepu8_epi16(
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(w + i + 16 * half)));
        const __m256i x = _mm256_cvtepi8_epi16(
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(job.x + i + 16 * half)));
        sums[half] = _mm256_add_epi32(sums[half], _mm256_madd_epi16(weights, x));
      }
    }
    const __m256i both = _mm256_add_epi32(sums[0], sums[1]);
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
    job.sums[row] = static_cast<std::int32_t>(_mm_cvtsi128_si32(four) - 128 * job.x_sum);
  }
}

}  // namespace

const PlaneKernel& kernel();

const PlaneKernel& kernel() {
  static constexpr PlaneKernel table{"popcount AVX2", &prepared_words, &prepare, &multiply, &int8};
  return table;
}

}  // namespace plane_kernels_avx2

}  // namespace widthwise
