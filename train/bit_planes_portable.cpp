// Kernels for every processor.
#include "train/bit_planes_kernels.hpp"

namespace widthwise {

namespace plane_kernels_portable {

namespace {

std::int64_t prepared_words(std::int64_t words, int bits) { return words * bits; }

/// Bit-planes [bits][words].
void prepare(const std::int32_t* values, std::int64_t words, int bits, std::uint64_t* to) {
  constexpr std::int64_t kWordBits = 64;
  for (int plane = 0; plane < bits; ++plane) {
    for (std::int64_t word = 0; word < words; ++word) {
      std::uint64_t set = 0;
      for (std::int64_t i = 0; i < kWordBits; ++i) {
        const auto value = static_cast<std::uint32_t>(values[word * kWordBits + i]);
        set |= static_cast<std::uint64_t>((value >> plane) & 1) << i;
      }
      to[plane * words + word] = set;
    }
  }
}

void multiply(const PlaneJob& job) {
  for (std::int64_t row = job.first_row; row < job.first_row + job.rows; ++row) {
    std::int64_t sum = 0;  // Horner's rule, from the sign's plane on
    for (int plane = 0; plane < job.planes; ++plane) {
      const std::uint64_t* w = job.weights + plane * job.plane_words + row * job.row_words;
      std::int64_t of_plane = 0;
      for (int place = job.bits - 1; place >= 0; --place) {
        const std::uint64_t* x = job.x + place * job.row_words;
        std::int64_t ones = 0;
        for (std::int64_t i = 0; i < job.row_words; ++i) ones += __builtin_popcountll(w[i] & x[i]);
        of_plane = 2 * of_plane + (place == job.bits - 1 ? -ones : ones);
      }
      sum = 2 * sum + (plane == 0 ? -of_plane : of_plane);
    }
    job.sums[row] = sum;
  }
}

void int8(const Int8Job& job) {
  for (std::int64_t row = job.first_row; row < job.first_row + job.rows; ++row) {
    const std::uint8_t* w = job.weights + row * job.row_bytes;
    std::int32_t sum = 0;
    for (std::ptrdiff_t i = 0; i < job.row_bytes; ++i) sum += w[i] * job.x[i];
    job.sums[row] = static_cast<std::int32_t>(sum - 128 * job.x_sum);
  }
}

}  // namespace

const PlaneKernel& kernel();

const PlaneKernel& kernel() {
  static constexpr PlaneKernel table{"popcount portable", &prepared_words, &prepare, &multiply,
                                     &int8};
  return table;
}

}  // namespace plane_kernels_portable

}  // namespace widthwise
