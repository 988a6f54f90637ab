// The kernel by bytes, for AVX-512 with VNNI and GFNI.
//
// 64 bytes of up to eight planes are interleaved so that eight planes of eight inputs stand in each
// 64-bit word; GF2P8AFFINEQB with the unit matrix as its operand transposes that 8 x 8 matrix of
// bits, which gives eight weights as bytes, the group's first plane on top. One VPDPBUSD then does
// 64 products. Planes that are missing below are zeros, and what they scale the sum by is shifted
// out.
//
// A byte of weights w and one of activations x, one of them signed and one not:
//   x's top byte is signed: (w + 128) x - 128 x for the sign's group, w x for the others.
//   Lower bytes of x are not: w x for the sign's group, (w - 128) x + 128 x for the others.
//
// Of up to four planes two sets of eight inputs share the bytes, of up to two planes four sets; the
// sets are masked out, which takes fewer instructions than taking them apart. With activations of 8
// bits only, where nothing has to be signed but them.
//
// Interleaving within 128-bit lanes puts inputs in another order, which depends on how many planes
// are interleaved: in a lane of 16 bytes of a plane (128 inputs), word q of vector v is of byte
//   8 planes: 2 v + q,  4 planes: 4 (v / 2) + 2 q + v % 2,  2 planes: 8 (v / 4) + 4 q + v % 4.
// Activations are put in these orders once for each vector.
#include <immintrin.h>

#include "train/bit_planes_kernels.hpp"

namespace widthwise {

namespace plane_kernels_avx512 {
void int8(const Int8Job& job);
}

namespace plane_kernels_bytes {

namespace {

constexpr std::int64_t kWords = 8;    // of a register
constexpr std::int64_t kBlock = 512;  // inputs, of which a plane's bits fill a register
constexpr int kGroup = 8;             // planes that make a byte

std::int64_t blocks_of(std::int64_t words) { return (words + kWords - 1) / kWords; }

/// Orders that activations are kept in, for 8, 4 and 2 planes.
int orders_of(int bits) { return bits == 8 ? 3 : 1; }

std::int64_t prepared_words(std::int64_t words, int bits) {
  return orders_of(bits) * blocks_of(words) * kBlock * (bits / 8) / 8;
}

/// Byte of the lane that is in word q of vector v.
int byte_of(int order, int v, int q) {
  const int sets = 1 << order;  // that share bytes
  return v / sets * 2 * sets + q * sets + v % sets;
}

/// [order][block][bits / 8, the lowest byte first][512].
void prepare(const std::int32_t* values, std::int64_t words, int bits, std::uint64_t* to) {
  const int count = bits / 8;
  const std::int64_t blocks = blocks_of(words);
  const std::int64_t order_words = blocks * count * (kBlock / 8);
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (int byte = 0; byte < count; ++byte) {
      // Words of 8 inputs each, in their own order.
      alignas(64) std::uint64_t natural[kBlock / 8] = {};
      for (std::int64_t i = 0; i < kBlock; i += 16) {
        if (block * kBlock + i >= words * 64) break;
        const __m512i sixteen = _mm512_loadu_si512(values + block * kBlock + i);
        const __m512i low = _mm512_srl_epi32(sixteen, _mm_cvtsi32_si128(8 * byte));
        _mm_store_si128(reinterpret_cast<__m128i*>(natural + i / 8), _mm512_cvtepi32_epi8(low));
      }
      for (int order = 0; order < orders_of(bits); ++order) {
        std::uint64_t* ordered = to + order * order_words + (block * count + byte) * (kBlock / 8);
        for (int v = 0; v < 8; ++v) {
          for (int q = 0; q < 2; ++q) {
            const int from = byte_of(order, v, q);
            for (int lane = 0; lane < 4; ++lane) {
              ordered[v * 8 + lane * 2 + q] = natural[lane * 16 + from];
            }
          }
        }
      }
    }
  }
}

/// The weights of 512 inputs as bytes, planes from p[0] (top bit) on; `flip` inverts the top bit.
template <int kPlanes, bool flip>
inline void bytes_of(const __m512i (&p)[kGroup], __m512i (&out)[8]) {
  __m512i two[4][2];
  for (int i = 0; i < 4; ++i) {
    if (2 * i >= kPlanes) {
      two[i][0] = two[i][1] = _mm512_setzero_si512();
    } else {
      two[i][0] = _mm512_unpacklo_epi8(p[2 * i], p[2 * i + 1]);
      two[i][1] = _mm512_unpackhi_epi8(p[2 * i], p[2 * i + 1]);
    }
  }
  __m512i four[2][4];
  for (int i = 0; i < 2; ++i) {
    for (int half = 0; half < 2; ++half) {
      if (4 * i >= kPlanes) {
        four[i][2 * half] = four[i][2 * half + 1] = _mm512_setzero_si512();
      } else {
        four[i][2 * half] = _mm512_unpacklo_epi16(two[2 * i][half], two[2 * i + 1][half]);
        four[i][2 * half + 1] = _mm512_unpackhi_epi16(two[2 * i][half], two[2 * i + 1][half]);
      }
    }
  }
  const __m512i unit = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201ULL));
  constexpr int kTopBit = flip ? 0x80 : 0;
  for (int quarter = 0; quarter < 4; ++quarter) {
    out[2 * quarter] = _mm512_gf2p8affine_epi64_epi8(
        unit, _mm512_unpacklo_epi32(four[0][quarter], four[1][quarter]), kTopBit);
    out[2 * quarter + 1] = _mm512_gf2p8affine_epi64_epi8(
        unit, _mm512_unpackhi_epi32(four[0][quarter], four[1][quarter]), kTopBit);
  }
}

template <int kPlanes, int kBytes, bool flip>
inline void add_block(const std::uint64_t* w, std::ptrdiff_t plane_words, __mmask8 mask,
                      const std::uint8_t* x, __m512i (&sums)[kBytes][2]) {
  __m512i p[kGroup];
  for (int i = 0; i < kGroup; ++i) {
    p[i] =
        i < kPlanes ? _mm512_maskz_loadu_epi64(mask, w + i * plane_words) : _mm512_setzero_si512();
  }
  __m512i weights[8];
  bytes_of<kPlanes, flip>(p, weights);
  for (int v = 0; v < 8; ++v) {
    sums[kBytes - 1][v % 2] =
        _mm512_dpbusd_epi32(sums[kBytes - 1][v % 2], weights[v],
                            _mm512_loadu_si512(x + (kBytes - 1) * kBlock + v * 64));
    if (kBytes == 1) continue;
    const __m512i inverted = _mm512_xor_si512(weights[v], _mm512_set1_epi8(-128));
    for (int byte = 0; byte < kBytes - 1; ++byte) {
      sums[byte][v % 2] = _mm512_dpbusd_epi32(
          sums[byte][v % 2], _mm512_loadu_si512(x + byte * kBlock + v * 64), inverted);
    }
  }
}

/// One group of planes times all bytes of the activations: sum_k w[k] X[k], w as bytes with the
/// group's first plane on top, signed if it is the sign's.
template <int kPlanes, int kBytes, bool flip>
std::int64_t of_group(const PlaneJob& job, const std::uint64_t* w) {
  const auto* x = reinterpret_cast<const std::uint8_t*>(job.x);
  __m512i sums[kBytes][2];
  for (int byte = 0; byte < kBytes; ++byte) {
    sums[byte][0] = sums[byte][1] = _mm512_setzero_si512();
  }
  const std::int64_t whole = job.row_words / kWords * kWords;
  for (std::int64_t i = 0; i < whole; i += kWords, x += kBytes * kBlock) {
    add_block<kPlanes, kBytes, flip>(w + i, job.plane_words, 0xff, x, sums);
  }
  if (whole < job.row_words) {
    const auto tail = static_cast<__mmask8>((1U << (job.row_words - whole)) - 1);
    add_block<kPlanes, kBytes, flip>(w + whole, job.plane_words, tail, x, sums);
  }
  std::int64_t sum = 0;
  for (int byte = kBytes - 1; byte >= 0; --byte) {
    const bool top = byte == kBytes - 1;
    std::int64_t part = _mm512_reduce_add_epi32(_mm512_add_epi32(sums[byte][0], sums[byte][1]));
    if (top && flip) part -= 128 * job.x_byte_sums[byte];
    if (!top && !flip) part += 128 * job.x_byte_sums[byte];
    sum = 256 * sum + part;
  }
  return sum;
}

template <int kPlanes, int kBytes>
void rows_of(const PlaneJob& job) {
  // kPlanes: of the last group; those before are full.
  const int groups = (job.planes + kGroup - 1) / kGroup;
  const int missing = groups * kGroup - job.planes;
  for (std::int64_t row = job.first_row; row < job.first_row + job.rows; ++row) {
    const std::uint64_t* w = job.weights + row * job.row_words;
    // What the missing planes scale a part by is shifted out; they are zeros, so nothing is lost.
    std::int64_t sum = 0;
    if (groups == 1) {
      sum = of_group<kPlanes, kBytes, true>(job, w) >> missing;
    } else {
      sum = of_group<kGroup, kBytes, true>(job, w);
      for (int group = 1; group < groups; ++group) {
        w += kGroup * job.plane_words;
        if (group < groups - 1) {
          sum = 256 * sum + of_group<kGroup, kBytes, false>(job, w);
        } else {
          const std::int64_t part = of_group<kPlanes, kBytes, false>(job, w) >> missing;
          sum = sum * (std::int64_t{1} << (kGroup - missing)) + part;
        }
      }
    }
    job.sums[row] = sum;
  }
}

/// Up to four planes and activations of 8 bits: kSets sets of inputs share the bytes.
template <int kPlanes, int kSets>
inline void add_shared(const std::uint64_t* w, std::ptrdiff_t plane_words, __mmask8 mask,
                       const std::uint8_t* x, __m512i (&sums)[kSets]) {
  constexpr int kPlaces = kGroup / kSets;
  const __m512i zero = _mm512_setzero_si512();
  __m512i p[4];
  for (int i = 0; i < 4; ++i) {
    p[i] = i < kPlanes ? _mm512_maskz_loadu_epi64(mask, w + i * plane_words) : zero;
  }
  const __m512i two[2] = {_mm512_unpacklo_epi8(p[0], p[1]), _mm512_unpackhi_epi8(p[0], p[1])};
  __m512i together[8 / kSets];
  if (kSets == 4) {
    together[0] = two[0];
    together[1] = two[1];
  } else {
    const __m512i more[2] = {kPlanes < 3 ? zero : _mm512_unpacklo_epi8(p[2], p[3]),
                             kPlanes < 3 ? zero : _mm512_unpackhi_epi8(p[2], p[3])};
    for (int half = 0; half < 2; ++half) {
      together[2 * half] = _mm512_unpacklo_epi16(two[half], more[half]);
      together[2 * half + 1] = _mm512_unpackhi_epi16(two[half], more[half]);
    }
  }
  const __m512i unit = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201ULL));
  constexpr int kTopBits = kSets == 4 ? 0xaa : 0x88;  // of each set, inverted
  constexpr int kTopSet = 0xff & (0xff << (kGroup - kPlaces));
  for (int i = 0; i < 8 / kSets; ++i) {
    const __m512i bytes = _mm512_gf2p8affine_epi64_epi8(unit, together[i], kTopBits);
    for (int set = 0; set < kSets; ++set) {
      const __m512i alone =
          _mm512_and_si512(bytes, _mm512_set1_epi8(static_cast<char>(kTopSet >> (set * kPlaces))));
      sums[set] =
          _mm512_dpbusd_epi32(sums[set], alone, _mm512_loadu_si512(x + (i * kSets + set) * 64));
    }
  }
}

template <int kPlanes>
void rows_of_few(const PlaneJob& job) {
  constexpr int kSets = kPlanes <= 2 ? 4 : 2;
  constexpr int kPlaces = kGroup / kSets;
  const std::int64_t blocks = blocks_of(job.row_words);
  const auto* ordered =
      reinterpret_cast<const std::uint8_t*>(job.x) + (kSets == 4 ? 2 : 1) * blocks * kBlock;
  const std::int64_t whole = job.row_words / kWords * kWords;
  const auto tail = static_cast<__mmask8>((1U << (job.row_words - whole)) - 1);
  for (std::int64_t row = job.first_row; row < job.first_row + job.rows; ++row) {
    const std::uint64_t* w = job.weights + row * job.row_words;
    const std::uint8_t* x = ordered;
    __m512i sums[kSets];
    for (__m512i& sum : sums) sum = _mm512_setzero_si512();
    for (std::int64_t i = 0; i < whole; i += kWords, x += kBlock) {
      add_shared<kPlanes, kSets>(w + i, job.plane_words, 0xff, x, sums);
    }
    if (tail != 0) add_shared<kPlanes, kSets>(w + whole, job.plane_words, tail, x, sums);
    // Set by set from the lowest; each is a multiple of its lowest place, in every lane.
    __m512i sum = sums[kSets - 1];
    for (int set = kSets - 2; set >= 0; --set) {
      const __m128i places = _mm_cvtsi32_si128((kSets - 1 - set) * kPlaces);
      sum = _mm512_add_epi32(sum, _mm512_sra_epi32(sums[set], places));
    }
    const std::int64_t of_places = _mm512_reduce_add_epi32(sum);
    const std::int64_t inverted = job.x_byte_sums[0] * (std::int64_t{1} << (kPlaces - 1));
    job.sums[row] = (of_places - inverted) >> (kPlaces - kPlanes);
  }
}

template <int kBytes>
void multiply_bytes(const PlaneJob& job) {
  switch ((job.planes - 1) % kGroup) {
    case 0:
      return rows_of<1, kBytes>(job);
    case 1:
      return rows_of<2, kBytes>(job);
    case 2:
      return rows_of<3, kBytes>(job);
    case 3:
      return rows_of<4, kBytes>(job);
    case 4:
      return rows_of<5, kBytes>(job);
    case 5:
      return rows_of<6, kBytes>(job);
    case 6:
      return rows_of<7, kBytes>(job);
    default:
      return rows_of<8, kBytes>(job);
  }
}

void multiply(const PlaneJob& job) {
  switch (job.bits) {
    case 8:
      switch (job.planes) {
        case 2:
          return rows_of_few<2>(job);
        case 3:
          return rows_of_few<3>(job);
        case 4:
          return rows_of_few<4>(job);
        default:
          return multiply_bytes<1>(job);
      }
    case 16:
      return multiply_bytes<2>(job);
    default:
      return multiply_bytes<4>(job);
  }
}

}  // namespace

const PlaneKernel& kernel();

const PlaneKernel& kernel() {
  static constexpr PlaneKernel table{"bytes AVX-512", &prepared_words, &prepare, &multiply,
                                     &plane_kernels_avx512::int8};
  return table;
}

}  // namespace plane_kernels_bytes

}  // namespace widthwise
