// What kernels do with vectors of 16 numbers. Only what the compiler's own types cannot say (half precision, rounding)
// is written for each instruction set.
//
// Each instruction set includes this file in a translation unit with its own compiler flags. Everything here has
// internal linkage, and no templates of the standard library are used: the linker must not give the portable kernels a
// function that was compiled for another processor.

#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "vectors.h"

namespace codegeex {
namespace {

INLINE F32 splat(float value) { return value - F32{}; }
INLINE I32 splat(int32_t value) { return value - I32{}; }

// The first `count` lanes from memory, the others 0.
INLINE F32 load_some(const float* from, int count) {
  if (count >= kLanes) return load<F32>(from);
  float lanes[kLanes] = {};
  std::memcpy(lanes, from, std::size_t(count) * sizeof(float));
  return load<F32>(lanes);
}

INLINE void store_some(float* to, F32 value, int count) {
  if (count >= kLanes) return store(to, value);
  float lanes[kLanes];
  store(lanes, value);
  std::memcpy(to, lanes, std::size_t(count) * sizeof(float));
}

INLINE F32 absolute(F32 a) { return as_float(as_int(a) & 0x7fffffff); }

struct Added {
  template <class V>
  INLINE_MEMBER V operator()(V a, V b) const {
    return a + b;
  }
};
struct Larger {
  template <class V>
  INLINE_MEMBER V operator()(V a, V b) const {
    return select(a > b, a, b);
  }
};
constexpr Added added;
constexpr Larger larger;

// The lanes joined in halves, so that every instruction set adds in the same order.
template <class Join>
INLINE float across(RegisterF32 v, Join join) {
#if defined(__AVX512F__)
  v = join(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  v = join(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  v = join(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
  v = join(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
#elif defined(__AVX2__)
  v = join(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3));
  v = join(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5));
  v = join(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6));
#else
  v = join(v, __builtin_shufflevector(v, v, 2, 3, 0, 1));
  v = join(v, __builtin_shufflevector(v, v, 1, 0, 3, 2));
#endif
  return v[0];
}

template <class V, class Join>
INLINE float across(Pair<V> v, Join join) {
  return across(join(v.low, v.high), join);
}

INLINE float sum(F32 v) { return across(v, added); }
INLINE float maximum(F32 v) { return across(v, larger); }

INLINE I32 lane_numbers() {
  static constexpr int32_t numbers[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load<I32>(numbers);
}

// Adding and taking away 1.5 * 2^23 rounds to the nearest whole number (ties to even), for |v| < 2^22.
constexpr float kRounder = 12582912.0f;

INLINE I32 to_nearest_int(F32 v) {
#if defined(__AVX512F__)
  return (I32)_mm512_cvtps_epi32((__m512)v);
#else
  return as_int(v + kRounder) - as_int(splat(kRounder));
#endif
}

// e^v with a relative error below 2e-7; below -87 it may be 0, above 88 it is e^88.
INLINE F32 exponential(F32 v) {
#if defined(__AVX512F__)
  v = (F32)_mm512_min_ps(_mm512_max_ps((__m512)v, _mm512_set1_ps(-110.0f)), _mm512_set1_ps(88.0f));
  const F32 n = (F32)_mm512_roundscale_ps((__m512)(v * 1.44269504088896341f), _MM_FROUND_TO_NEAREST_INT);
#else
  const I32 tiny = v < -87.0f;
  v = select(tiny, splat(-87.0f), select(v > 88.0f, splat(88.0f), v));
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
  return select(tiny, F32{}, as_float(as_int(p) + (to_nearest_int(n) << 23)));
#endif
}

template <class V>
INLINE V from_half_as(const uint16_t* from) {
  if constexpr (kPaired<V>) {
    using Half = decltype(V::low);
    return {from_half_as<Half>(from), from_half_as<Half>(from + sizeof(Half) / sizeof(float))};
  } else {
#if defined(__AVX512F__)
    return (V)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)from));
#elif defined(__F16C__)
    return (V)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)from));
#else
    // Exponent and fraction moved into place are 2^-112 of the value, subnormal halfs included.
    const RegisterI32 bits = to_int(load<RegisterU16>(from));
    const V magnitude = as_float((bits & 0x7fff) << 13) * 5.192296858534828e33f;
    return as_float(as_int(magnitude) | ((bits & 0x8000) << 16));
#endif
  }
}

INLINE F32 from_half(const uint16_t* from) { return from_half_as<F32>(from); }

template <class V>
INLINE void to_half_from(uint16_t* to, V value) {
  if constexpr (kPaired<V>) {
    to_half_from(to, value.low);
    to_half_from(to + sizeof(value.low) / sizeof(float), value.high);
  } else {
#if defined(__AVX512F__)
    _mm256_storeu_si256((__m256i*)to, _mm512_cvtps_ph((__m512)value, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
    _mm_storeu_si128((__m128i*)to, _mm256_cvtps_ph((__m256)value, _MM_FROUND_TO_NEAREST_INT));
#else
    const RegisterI32 sign = (as_int(value) >> 16) & 0x8000, bits = as_int(value) & 0x7fffffff;
    const V magnitude = as_float(bits);
    // Subnormal halfs: adding 0.5 aligns the fraction so that its last bits are the half's.
    const RegisterI32 subnormal = as_int(magnitude + 0.5f) - as_int(V{} + 0.5f);
    const RegisterI32 normal = (bits - (112 << 23) + 0xfff + ((bits >> 13) & 1)) >> 13;
    const RegisterI32 small = magnitude < 6.103515625e-5f;
    store(to, to_u16(sign | (small & subnormal) | (~small & normal)));
#endif
  }
}

// Values beyond the largest half become that; the cache must hold no infinities.
INLINE void to_half(uint16_t* to, F32 value) {
  const F32 limit = splat(65504.0f);
  value = select(value > limit, limit, value);
  to_half_from(to, select(value < -limit, -limit, value));
}

}  // namespace
}  // namespace codegeex
