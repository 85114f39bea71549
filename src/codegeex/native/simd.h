// Vectors of 16 numbers, as the compiler's own vector types: one AVX-512 register, two of AVX2, four of SSE or NEON.
// Only what these types cannot say (half precision, rounding, quick stores) is written for each instruction set.
//
// Each instruction set includes this file in a translation unit with its own compiler flags. Everything here has
// internal linkage, and no templates of the standard library are used: the linker must not give the portable kernels a
// function that was compiled for another processor.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER __attribute__((always_inline))

namespace codegeex {
namespace {

using F32 = float __attribute__((vector_size(64)));
using I32 = int32_t __attribute__((vector_size(64)));
using U16 = uint16_t __attribute__((vector_size(32)));
constexpr int kLanes = 16;

INLINE F32 splat(float value) { return value - F32{}; }
INLINE I32 splat(int32_t value) { return value - I32{}; }

template <class V, class T>
INLINE V load(const T* from) {
  V value;
  std::memcpy(&value, from, sizeof(V));
  return value;
}

template <class V, class T>
INLINE void store(T* to, V value) {
  std::memcpy(to, &value, sizeof(V));
}

// The first `count` lanes from memory, the others 0.
INLINE F32 load_some(const float* from, int count) {
  if (count >= kLanes) return load<F32>(from);
  F32 value{};
  std::memcpy(&value, from, std::size_t(count) * sizeof(float));
  return value;
}

INLINE void store_some(float* to, F32 value, int count) {
  std::memcpy(to, &value, std::size_t(count < kLanes ? count : kLanes) * sizeof(float));
}

INLINE F32 select(I32 mask, F32 yes, F32 no) { return mask ? yes : no; }
INLINE F32 larger(F32 a, F32 b) { return a > b ? a : b; }
INLINE F32 absolute(F32 a) { return (F32)((I32)a & splat(int32_t(0x7fffffff))); }

// The lanes joined in halves, so that every instruction set adds in the same order.
template <class Join>
INLINE float across(F32 v, Join join) {
  v = join(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  v = join(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  v = join(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
  v = join(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
  return v[0];
}

INLINE F32 added(F32 a, F32 b) { return a + b; }
INLINE float sum(F32 v) { return across(v, added); }
INLINE float maximum(F32 v) { return across(v, larger); }

INLINE I32 lane_numbers() { return I32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; }

// Adding and taking away 1.5 * 2^23 rounds to the nearest whole number (ties to even), for |v| < 2^22.
constexpr float kRounder = 12582912.0f;

INLINE I32 to_nearest_int(F32 v) {
#if defined(__AVX512F__)
  return (I32)_mm512_cvtps_epi32((__m512)v);
#else
  return (I32)(v + splat(kRounder)) - (I32)splat(kRounder);
#endif
}

// e^v with a relative error below 2e-7; below -87 it may be 0, above 88 it is e^88.
INLINE F32 exponential(F32 v) {
#if defined(__AVX512F__)
  v = (F32)_mm512_min_ps(_mm512_max_ps((__m512)v, _mm512_set1_ps(-110.0f)), _mm512_set1_ps(88.0f));
  const F32 n = (F32)_mm512_roundscale_ps((__m512)(v * 1.44269504088896341f), _MM_FROUND_TO_NEAREST_INT);
#else
  const I32 tiny = v < splat(-87.0f);
  v = select(tiny, splat(-87.0f), select(v > splat(88.0f), splat(88.0f), v));
  const F32 n = (v * 1.44269504088896341f + kRounder) - kRounder;
#endif
  const F32 r = (v - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts, Cody and Waite
  F32 p = splat(1.0f / 5040);                                  // Taylor: |r| <= 0.35, so the next term is below 6e-9
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
#if defined(__AVX512F__)
  return (F32)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  return select(tiny, F32{}, (F32)((I32)p + (to_nearest_int(n) << 23)));
#endif
}

INLINE F32 from_half(const uint16_t* from) {
#if defined(__AVX512F__)
  return (F32)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)from));
#elif defined(__F16C__)
  const __m256 low = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)from));
  const __m256 high = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(from + 8)));
  F32 value;
  std::memcpy(&value, &low, 32);
  std::memcpy((char*)&value + 32, &high, 32);
  return value;
#else
  // Exponent and fraction moved into place are 2^-112 of the value, subnormal halfs included.
  const I32 bits = __builtin_convertvector(load<U16>(from), I32);
  const F32 magnitude = (F32)((bits & 0x7fff) << 13) * 5.192296858534828e33f;
  return (F32)((I32)magnitude | ((bits & 0x8000) << 16));
#endif
}

// Values beyond the largest half become that; the cache must hold no infinities.
INLINE void to_half(uint16_t* to, F32 value) {
  const F32 limit = splat(65504.0f);
  value = select(value > limit, limit, value);
  value = select(value < -limit, -limit, value);
#if defined(__AVX512F__)
  _mm256_storeu_si256((__m256i*)to, _mm512_cvtps_ph((__m512)value, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
  __m256 halves[2];
  std::memcpy(halves, &value, 64);
  _mm_storeu_si128((__m128i*)to, _mm256_cvtps_ph(halves[0], _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128((__m128i*)(to + 8), _mm256_cvtps_ph(halves[1], _MM_FROUND_TO_NEAREST_INT));
#else
  const I32 sign = ((I32)value >> 16) & 0x8000;
  const F32 magnitude = absolute(value);
  // Subnormal halfs: adding 0.5 aligns the fraction so that its last bits are the half's.
  const I32 subnormal = (I32)(magnitude + 0.5f) - (I32)splat(0.5f);
  const I32 bits = (I32)magnitude;
  const I32 normal = (bits - (112 << 23) + 0xfff + ((bits >> 13) & 1)) >> 13;
  const I32 small = magnitude < splat(6.103515625e-5f);
  const I32 half = sign | (small & subnormal) | (~small & normal);
  store(to, __builtin_convertvector(half, U16));
#endif
}

}  // namespace
}  // namespace codegeex
