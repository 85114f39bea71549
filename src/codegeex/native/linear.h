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

// What a thread asks memory for while it multiplies sixteen inputs: `lines` cache lines from `at` on, which moves along.
// A single tile of tokens waits for memory and asks 4 KB ahead, about what comes in the time of an answer. With several
// tiles, each asks for its part of the next strip, so that memory works while all of them multiply.
constexpr std::size_t kAheadBytes = 4096;
constexpr int kGroupLines = kStripRows * 16 / 64;  // that hold sixteen inputs of a strip

struct Ahead {
  const int8_t* at;
  int lines;

  INLINE_MEMBER void ask() {
    if (lines == kGroupLines) {
#pragma GCC unroll 8
      for (int line = 0; line < kGroupLines; line++) __builtin_prefetch(at + line * 64);
    } else {
      for (int line = 0; line < lines; line++) __builtin_prefetch(at + line * 64);
    }
    at += lines * 64;
  }
};

INLINE Ahead ahead_of(const Linear& map, int strip, int tile, int tiles) {
  const int8_t* weights = map.weights + std::size_t(strip) * map.strip_bytes();
  if (tiles == 1) return {weights + kAheadBytes, kGroupLines};
  const int lines = strip + 1 < map.strips ? divide_up(kGroupLines, tiles) : 0;
  return {weights + map.strip_bytes() + std::size_t(tile) * std::size_t(lines) * 64 * std::size_t(map.quads / 4), lines};
}

// ---- quantisation ---------------------------------------------------------------------------------------------------

// join of step(x[k..k+15], lanes that exist) over all k: four at a time, or each would wait for the one before.
template <class Step, class Join>
INLINE F32 fold(int inputs, Step step, Join join) {
  F32 parts[4] = {};
  int k = 0;
  for (; k + 4 * kLanes <= inputs; k += 4 * kLanes)
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) parts[i] = join(step(k + i * kLanes, kLanes), parts[i]);
  for (; k < inputs; k += kLanes) parts[0] = join(step(k, inputs - k), parts[0]);
  return join(join(parts[0], parts[1]), join(parts[2], parts[3]));
}

struct Norm {
  const float *weight, *bias;
  float mean, scale;

  F32 apply(F32 x, int k, int count) const {
    return (x - mean) * scale * load_some(weight + k, count) + load_some(bias + k, count);
  }
};

static Norm norm_of(const float* x, int inputs, const float* weight, const float* bias, float epsilon) {
  const F32 total = fold(inputs, [&](int k, int count) INLINE_MEMBER { return load_some(x + k, count); }, added);
  const float mean = sum(total) / float(inputs);
  const auto square = [&](int k, int count) INLINE_MEMBER {
    const F32 centred = load_some(x + k, count) - mean;
    return select(lane_numbers() < splat(int32_t(count)), centred * centred, F32{});
  };
  return {weight, bias, mean, 1.0f / __builtin_sqrtf(sum(fold(inputs, square, added)) / float(inputs) + epsilon)};
}

void layer_norm(const float* x, int inputs, const float* weight, const float* bias, float epsilon, float* y) {
  const Norm norm = norm_of(x, inputs, weight, bias, epsilon);
  for (int k = 0; k < inputs; k += kLanes)
    store_some(y + k, norm.apply(load_some(x + k, inputs - k), k, inputs - k), inputs - k);
}

// The 32 bytes that hold sixteen inputs of a token.
INLINE void store_quantized(uint8_t* to, I32 q) {
#if defined(__AVX512VNNI__)
  const __m256i words = _mm512_cvtepi32_epi16((__m512i)(q + 32768));
  const __m256i order = _mm256_set_epi8(14, 12, 10, 8, 15, 13, 11, 9, 6, 4, 2, 0, 7, 5, 3, 1, 14, 12, 10, 8, 15, 13, 11,
                                        9, 6, 4, 2, 0, 7, 5, 3, 1);
  _mm256_storeu_si256((__m256i*)to, _mm256_shuffle_epi8(words, order));
#else
  store(to, to_u16(q));
#endif
}

template <bool kNormed>
INLINE void quantize_row(const float* x, int inputs, const Norm& norm, float* scale, uint8_t* to, std::size_t step) {
  const auto value = [&](int k, int count) INLINE_MEMBER {
    const F32 v = load_some(x + k, count);
    return kNormed ? norm.apply(v, k, count) : v;
  };
  const auto magnitude = [&](int k, int count) INLINE_MEMBER { return absolute(value(k, count)); };
  const float top = maximum(fold(inputs, magnitude, larger));
  const float inverse = top > 0 ? kLevels / top : 0.0f;
  *scale = top / kLevels;
  int k = 0;
  for (; k + kLanes <= inputs; k += kLanes, to += step) store_quantized(to, to_nearest_int(value(k, kLanes) * inverse));
  if (k < inputs) store_quantized(to, to_nearest_int(value(k, inputs - k) * inverse));
}

void quantize(const float* x, std::size_t stride, int inputs, const float* weight, const float* bias, float epsilon,
              const Activations& out, int begin, int end) {
  int tile = 0;
  for (int row = begin; row < end; row++) {
    while (out.tile_begin(tile + 1) <= row) tile++;
    const int first = out.tile_begin(tile);
    const std::size_t step = std::size_t(out.tile_begin(tile + 1) - first) * 32;
    uint8_t* to = out.data + std::size_t(first) * std::size_t(out.quads) * 8 + std::size_t(row - first) * 32;
    const float* from = x + std::size_t(row) * stride;
    if (weight)
      quantize_row<true>(from, inputs, norm_of(from, inputs, weight, bias, epsilon), out.scales + row, to, step);
    else
      quantize_row<false>(from, inputs, Norm{}, out.scales + row, to, step);
  }
}

// ---- one strip of rows times one tile of tokens ---------------------------------------------------------------------

// totals[token][row] = sum of weight * activation, exact integers as floats.
#if defined(__AVX512VNNI__)

// As an instruction rather than an intrinsic: around the intrinsic GCC 12 copies and spills the accumulators.
INLINE void dot(__m512i& sum, __m512i x, __m512i weights) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(weights));
}

template <int T>
INLINE void multiply(const Linear& map, int strip, const uint8_t* x, Ahead ahead, F32 (*totals)[2]) {
  const int8_t* w = map.weights + std::size_t(strip) * map.strip_bytes();
  __m512i high[T][2], low[T][2];
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++) {
    const __m512i sums = _mm512_loadu_si512(map.sums + strip * kStripRows + half * kLanes);
    const __m512i begin = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_setzero_si512(), sums), 7);  // 32768 = 256 * 2^7
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) high[t][half] = begin, low[t][half] = _mm512_setzero_si512();
  }
  for (int quad = 0; quad < map.quads; quad += 4, x += 32 * T) {
    ahead.ask();
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++, w += 128) {
      const __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 64);
#pragma GCC unroll 8
      for (int t = 0; t < T; t++) {
        const __m512i x_high = _mm512_set1_epi32(load<int32_t>(x + 32 * t + 8 * i));
        const __m512i x_low = _mm512_set1_epi32(load<int32_t>(x + 32 * t + 8 * i + 4));
        dot(high[t][0], x_high, w0);
        dot(high[t][1], x_high, w1);
        dot(low[t][0], x_low, w0);
        dot(low[t][1], x_low, w1);
      }
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < T; t++)
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
      const F32 total = (F32)_mm512_cvtepi32_ps(high[t][half]) * 256.0f + (F32)_mm512_cvtepi32_ps(low[t][half]);
      totals[t][half] = total;
    }
}

#else

// 2^31 / (127 * 32767) = 516 products fit in 32 bits; then they move on into floats.
constexpr int kQuadsAtOnce = 64;

// Where a quad of inputs of the first token of a tile lies.
template <int T>
INLINE const uint8_t* quad_of(const uint8_t* tile, int quad) {
  return tile + std::size_t(quad / 4) * (32 * T) + quad % 4 * 8;
}

#if defined(__AVX2__)

// sum += rows * x, of which a quad of inputs is repeated for each row.
INLINE void multiply_add(__m256i& sum, __m256i rows, const uint8_t* x) {
#if defined(__AVXVNNI__)
  sum = _mm256_dpwssd_avx_epi32(sum, rows, _mm256_set1_epi64x(load<int64_t>(x)));
#else
  // As instructions rather than intrinsics: around these GCC 12 spills a third of the accumulators.
  __m256i product;
  asm("vpbroadcastq %3, %1\n\tvpmaddwd %1, %2, %1\n\tvpaddd %1, %0, %0"
      : "+x"(sum), "=&x"(product)
      : "x"(rows), "m"(*reinterpret_cast<const int64_t*>(x)));
#endif
}

template <int T>
INLINE void multiply(const Linear& map, int strip, const uint8_t* x, Ahead ahead, F32 (*totals)[2]) {
  std::memset(totals, 0, T * sizeof *totals);
  const int8_t* const weights = map.weights + std::size_t(strip) * map.strip_bytes();
  for (int first = 0; first < map.quads; first += kQuadsAtOnce) {
    const int last = first + kQuadsAtOnce < map.quads ? first + kQuadsAtOnce : map.quads;
    for (int half = 0; half < 2; half++) {  // 16 rows at a time: four registers of four rows
      __m256i sums[T][4] = {};
      for (int quad = first; quad < last; quad++) {
        const int8_t* w = weights + std::size_t(quad) * 128 + half * 64;
        if (half == 0 && quad % 4 == 0) ahead.ask();
        const uint8_t* at = quad_of<T>(x, quad);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
          const __m256i rows = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(w + 16 * i)));
#pragma GCC unroll 4
          for (int t = 0; t < T; t++) multiply_add(sums[t][i], rows, at + 32 * t);
        }
      }
#pragma GCC unroll 4
      for (int t = 0; t < T; t++)
#pragma GCC unroll 2
        for (int i = 0; i < 4; i += 2) {
          const __m256i pairs = _mm256_permute4x64_epi64(_mm256_hadd_epi32(sums[t][i], sums[t][i + 1]), 0b11011000);
          float* to = reinterpret_cast<float*>(&totals[t][half]) + i * 4;
          _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), _mm256_cvtepi32_ps(pairs)));
        }
    }
  }
}

#else

template <int T>
INLINE void multiply(const Linear& map, int strip, const uint8_t* x, Ahead ahead, F32 (*totals)[2]) {
  std::memset(totals, 0, T * sizeof *totals);
  const int8_t* const weights = map.weights + std::size_t(strip) * map.strip_bytes();
  for (int first = 0; first < map.quads; first += kQuadsAtOnce) {
    const int last = first + kQuadsAtOnce < map.quads ? first + kQuadsAtOnce : map.quads;
    int32_t sums[T][kStripRows] = {};
    for (int quad = first; quad < last; quad++) {
      const int8_t* w = weights + std::size_t(quad) * 128;
      if (quad % 4 == 0) ahead.ask();
      for (int t = 0; t < T; t++) {
        int16_t a[4];
        std::memcpy(a, quad_of<T>(x, quad) + 32 * t, 8);
        for (int r = 0; r < kStripRows; r++)
          sums[t][r] += w[4 * r] * a[0] + w[4 * r + 1] * a[1] + w[4 * r + 2] * a[2] + w[4 * r + 3] * a[3];
      }
    }
    for (int t = 0; t < T; t++)
      for (int half = 0; half < 2; half++)
        totals[t][half] += to_float(load<I32>(sums[t] + half * kLanes));
  }
}

#endif
#endif

// ---- the whole map --------------------------------------------------------------------------------------------------

INLINE F32 fast_gelu(F32 x) { return x / (exponential(x * -1.702f) + 1.0f); }

template <int T>
void strip_times_tile(const Linear& map, int strip, const uint8_t* x, const float* token_scales, Ahead ahead,
                      Epilogue epilogue, float* y, std::size_t stride) {
  F32 totals[T][2];
  multiply<T>(map, strip, x, ahead, totals);
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++) {
    const int first = strip * kStripRows + half * kLanes, count = map.rows - first;
    if (count <= 0) return;
    const F32 scales = load<F32>(map.scales + first), bias = load<F32>(map.bias + first);
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) {
      float* to = y + std::size_t(t) * stride + first;
      F32 value = totals[t][half] * scales * token_scales[t] + bias;
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
                                Ahead ahead, Epilogue epilogue, float* y, std::size_t stride) {
  if constexpr (T > 1) {
    if (tokens < T) return strip_times_tile_of<T - 1>(tokens, map, strip, x, scales, ahead, epilogue, y, stride);
  }
  strip_times_tile<T>(map, strip, x, scales, ahead, epilogue, y, stride);
}

// Strip by strip, so that weights come from memory once and stay in the cache for all tiles of tokens.
void linear(const Linear& map, const Activations& x, Epilogue epilogue, float* y, std::size_t stride, int begin,
            int end) {
  for (int strip = begin; strip < end; strip++)
    for (int tile = 0; tile < x.tiles; tile++) {
      const int first = x.tile_begin(tile), tokens = x.tile_begin(tile + 1) - first;
      strip_times_tile_of<kTile>(tokens, map, strip, x.data + std::size_t(first) * std::size_t(x.quads) * 8,
                                 x.scales + first, ahead_of(map, strip, tile, x.tiles), epilogue,
                                 y + std::size_t(first) * stride, stride);
    }
}

}  // namespace
}  // namespace codegeex
