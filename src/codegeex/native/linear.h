// Linear maps on packed weights, and the quantised tokens they take.
//
// Two layouts of the eight bytes that hold four inputs of a token:
//   AVX-512 VNNI   four high bytes, then four low bytes, both of value + 32768 and so unsigned: vpdpbusd multiplies
//                  unsigned activations with signed weights. 256 * high + low - 32768 gives the value back, and the
//                  last term times the row's sum of weights is where an accumulator starts.
//   all others     four int16: vpmaddwd (AVX2), vpdpwssd (AVX-VNNI) or what the compiler makes of plain loops.
// The sums are exact in 32 bits, so every layout and every tile size gives the same integers.

#pragma once

#include "kernels.h"
#include "simd.h"

namespace codegeex {
namespace {

#if defined(__AVX512VNNI__)
constexpr int kTile = 6;  // 6 tokens x 2 bytes x 2 registers of rows = 24 accumulators of 32 registers
#elif defined(__AVX2__)
constexpr int kTile = 3;  // 3 tokens x 4 registers = 12 accumulators of 16 registers
#else
constexpr int kTile = 4;
#endif
static_assert(kTile <= kMaxTile);

// Largest magnitude of a quantised activation.
constexpr float kLevels = 32767.0f;

// Two kilobytes ahead of the multiplication: what memory delivers in about the time that it takes to answer.
constexpr std::size_t kPrefetch = 2048;

// ---- quantisation ---------------------------------------------------------------------------------------------------

struct Norm {
  const float *weight, *bias;
  float mean, scale;

  F32 apply(F32 x, int k, int inputs) const {
    const int left = inputs - k;
    return (x - mean) * scale * load_some(weight + k, left) + load_some(bias + k, left);
  }
};

inline Norm norm_of(const float* x, int inputs, const float* weight, const float* bias, float epsilon) {
  F32 total{};
  for (int k = 0; k < inputs; k += kLanes) total += load_some(x + k, inputs - k);
  const float mean = sum(total) / float(inputs);
  F32 squares{};
  for (int k = 0; k < inputs; k += kLanes) {
    const I32 inside = lane_numbers() < splat(int32_t(inputs - k));
    const F32 centred = select(inside, load_some(x + k, inputs - k) - mean, F32{});
    squares += centred * centred;
  }
  return {weight, bias, mean, 1.0f / __builtin_sqrtf(sum(squares) / float(inputs) + epsilon)};
}

void layer_norm(const float* x, int inputs, const float* weight, const float* bias, float epsilon, float* y) {
  const Norm norm = norm_of(x, inputs, weight, bias, epsilon);
  for (int k = 0; k < inputs; k += kLanes)
    store_some(y + k, norm.apply(load_some(x + k, inputs - k), k, inputs), inputs - k);
}

// Sixteen inputs of a token: four groups of eight bytes, `step` bytes apart.
INLINE void store_quantized(uint8_t* to, std::size_t step, I32 q, int groups) {
  alignas(32) uint8_t bytes[32];
#if defined(__AVX512VNNI__)
  const __m256i words = _mm512_cvtepi32_epi16((__m512i)(q + 32768));
  const __m256i order = _mm256_set_epi8(14, 12, 10, 8, 15, 13, 11, 9, 6, 4, 2, 0, 7, 5, 3, 1, 14, 12, 10, 8, 15, 13, 11,
                                        9, 6, 4, 2, 0, 7, 5, 3, 1);
  _mm256_store_si256((__m256i*)bytes, _mm256_shuffle_epi8(words, order));
#else
  store(bytes, __builtin_convertvector(q, U16));
#endif
  for (int group = 0; group < groups; group++) std::memcpy(to + std::size_t(group) * step, bytes + group * 8, 8);
}

void quantize(const float* x, std::size_t stride, int inputs, const float* weight, const float* bias, float epsilon,
              const Activations& out, int begin, int end) {
  int tile = 0;
  for (int row = begin; row < end; row++) {
    while (out.tile_begin(tile + 1) <= row) tile++;
    const int first = out.tile_begin(tile), tokens = out.tile_begin(tile + 1) - first;
    const float* from = x + std::size_t(row) * stride;
    const Norm norm = weight ? norm_of(from, inputs, weight, bias, epsilon) : Norm{};
    const auto value = [&](int k) {
      const F32 v = load_some(from + k, inputs - k);
      return weight ? norm.apply(v, k, inputs) : v;
    };
    F32 largest{};
    for (int k = 0; k < inputs; k += kLanes) largest = larger(absolute(value(k)), largest);
    const float top = maximum(largest);
    const float inverse = top > 0 ? kLevels / top : 0.0f;
    out.scales[row] = top / kLevels;
    uint8_t* to = out.data + std::size_t(first) * std::size_t(out.quads) * 8 + std::size_t(row - first) * 8;
    const std::size_t step = std::size_t(tokens) * 8;
    for (int quad = 0; quad < out.quads; quad += 4) {
      const I32 q = to_nearest_int(value(quad * 4) * inverse);
      store_quantized(to + std::size_t(quad) * step, step, q, out.quads - quad < 4 ? out.quads - quad : 4);
    }
  }
}

// ---- one strip of rows times one tile of tokens ---------------------------------------------------------------------

// totals[token][row] = sum of weight * activation, exact integers as floats.
#if defined(__AVX512VNNI__)

// As an instruction rather than an intrinsic: around the intrinsic GCC 12 copies and spills the accumulators.
INLINE void dot(__m512i& sum, __m512i x, __m512i weights) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(weights));
}

template <int T, bool kAhead>
INLINE void multiply(const Linear& map, int strip, const uint8_t* x, float (*totals)[kStripRows]) {
  const int8_t* w = map.weights + std::size_t(strip) * map.strip_bytes();
  __m512i high[T][2], low[T][2];
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++) {
    const __m512i sums = _mm512_loadu_si512(map.sums + strip * kStripRows + half * kLanes);
    const __m512i begin = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_setzero_si512(), sums), 7);  // 32768 = 256 * 2^7
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) high[t][half] = begin, low[t][half] = _mm512_setzero_si512();
  }
  for (int quad = 0; quad < map.quads; quad++, w += 128, x += 8 * T) {
    if (kAhead) {
      __builtin_prefetch(w + kPrefetch);
      __builtin_prefetch(w + kPrefetch + 64);
    }
    const __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 64);
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) {
      const __m512i x_high = _mm512_set1_epi32(load<int32_t>(x + 8 * t));
      const __m512i x_low = _mm512_set1_epi32(load<int32_t>(x + 8 * t + 4));
      dot(high[t][0], x_high, w0);
      dot(high[t][1], x_high, w1);
      dot(low[t][0], x_low, w0);
      dot(low[t][1], x_low, w1);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < T; t++)
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
      const F32 total = (F32)_mm512_cvtepi32_ps(high[t][half]) * 256.0f + (F32)_mm512_cvtepi32_ps(low[t][half]);
      store(totals[t] + half * kLanes, total);
    }
}

#else

// 2^31 / (127 * 32767) = 516 products fit in 32 bits; then they move on into floats.
constexpr int kQuadsAtOnce = 64;

#if defined(__AVX2__)

INLINE __m256i multiply_add(__m256i sum, __m256i a, __m256i b) {
#if defined(__AVXVNNI__)
  return _mm256_dpwssd_avx_epi32(sum, a, b);
#else
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
#endif
}

template <int T, bool kAhead>
INLINE void multiply(const Linear& map, int strip, const uint8_t* x, float (*totals)[kStripRows]) {
  std::memset(totals, 0, T * sizeof *totals);
  const int8_t* const weights = map.weights + std::size_t(strip) * map.strip_bytes();
  for (int first = 0; first < map.quads; first += kQuadsAtOnce) {
    const int last = first + kQuadsAtOnce < map.quads ? first + kQuadsAtOnce : map.quads;
    for (int half = 0; half < 2; half++) {  // 16 rows at a time: four registers of four rows
      __m256i sums[T][4] = {};
      for (int quad = first; quad < last; quad++) {
        const int8_t* w = weights + std::size_t(quad) * 128 + half * 64;
        if (kAhead) __builtin_prefetch(w + kPrefetch);
        const uint8_t* at = x + std::size_t(quad) * (8 * T);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
          const __m256i rows = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(w + 16 * i)));
#pragma GCC unroll 4
          for (int t = 0; t < T; t++)
            sums[t][i] = multiply_add(sums[t][i], rows, _mm256_set1_epi64x(load<int64_t>(at + 8 * t)));
        }
      }
#pragma GCC unroll 4
      for (int t = 0; t < T; t++)
#pragma GCC unroll 2
        for (int i = 0; i < 4; i += 2) {
          const __m256i pairs = _mm256_permute4x64_epi64(_mm256_hadd_epi32(sums[t][i], sums[t][i + 1]), 0b11011000);
          float* to = totals[t] + half * kLanes + i * 4;
          _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), _mm256_cvtepi32_ps(pairs)));
        }
    }
  }
}

#else

template <int T, bool kAhead>
INLINE void multiply(const Linear& map, int strip, const uint8_t* x, float (*totals)[kStripRows]) {
  std::memset(totals, 0, T * sizeof *totals);
  const int8_t* const weights = map.weights + std::size_t(strip) * map.strip_bytes();
  for (int first = 0; first < map.quads; first += kQuadsAtOnce) {
    const int last = first + kQuadsAtOnce < map.quads ? first + kQuadsAtOnce : map.quads;
    int32_t sums[T][kStripRows] = {};
    for (int quad = first; quad < last; quad++) {
      const int8_t* w = weights + std::size_t(quad) * 128;
      for (int t = 0; t < T; t++) {
        int16_t a[4];
        std::memcpy(a, x + std::size_t(quad) * (8 * T) + 8 * t, 8);
        for (int r = 0; r < kStripRows; r++)
          sums[t][r] += w[4 * r] * a[0] + w[4 * r + 1] * a[1] + w[4 * r + 2] * a[2] + w[4 * r + 3] * a[3];
      }
    }
    for (int t = 0; t < T; t++)
      for (int r = 0; r < kStripRows; r++) totals[t][r] += float(sums[t][r]);
  }
}

#endif
#endif

// ---- the whole map --------------------------------------------------------------------------------------------------

INLINE F32 fast_gelu(F32 x) { return x / (exponential(x * -1.702f) + 1.0f); }

template <int T, bool kAhead>
void strip_times_tile(const Linear& map, int strip, const uint8_t* x, const float* token_scales, Epilogue epilogue,
                      float* y, std::size_t stride) {
  alignas(64) float totals[T][kStripRows];
  multiply<T, kAhead>(map, strip, x, totals);
  const int first = strip * kStripRows;
  for (int lane = 0; lane < kStripRows && first + lane < map.rows; lane += kLanes) {
    const int count = map.rows - first - lane;
    const F32 scales = load<F32>(map.scales + first + lane), bias = load<F32>(map.bias + first + lane);
    for (int t = 0; t < T; t++) {
      float* to = y + std::size_t(t) * stride + first + lane;
      F32 value = load<F32>(totals[t] + lane) * scales * token_scales[t] + bias;
      if (epilogue == Epilogue::kGelu) value = fast_gelu(value);
      if (epilogue == Epilogue::kAdd) value += load_some(to, count);
      if (count >= kLanes)
        store(to, value);
      else
        store_some(to, value, count);
    }
  }
}

template <int T>
INLINE void strip_times_tile_of(int tokens, const Linear& map, int strip, const uint8_t* x, const float* scales,
                                Epilogue epilogue, float* y, std::size_t stride, bool ahead) {
  if constexpr (T > 1) {
    if (tokens < T) return strip_times_tile_of<T - 1>(tokens, map, strip, x, scales, epilogue, y, stride, ahead);
  }
  if (ahead)
    strip_times_tile<T, true>(map, strip, x, scales, epilogue, y, stride);
  else
    strip_times_tile<T, false>(map, strip, x, scales, epilogue, y, stride);
}

// Strip by strip, so that weights come from memory once and stay in the cache for all tiles of tokens.
void linear(const Linear& map, const Activations& x, Epilogue epilogue, float* y, std::size_t stride, int begin,
            int end) {
  for (int strip = begin; strip < end; strip++)
    for (int tile = 0; tile < x.tiles; tile++) {
      const int first = x.tile_begin(tile), tokens = x.tile_begin(tile + 1) - first;
      strip_times_tile_of<kTile>(tokens, map, strip, x.data + std::size_t(first) * std::size_t(x.quads) * 8,
                                 x.scales + first, epilogue, y + std::size_t(first) * stride, stride, tile == 0);
    }
}

}  // namespace
}  // namespace codegeex
