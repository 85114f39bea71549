// Vectors of 16 numbers: one AVX-512 register, two of AVX2, four of SSE or NEON. What is wider than a register is a pair
// of its halves, in which every operation is that of the halves. The compiler's own vector types can be as wide, but GCC
// keeps such values in memory: attention on AVX2 took five times as long.
//
// Everything here has internal linkage, for the reason that simd.h gives.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER __attribute__((always_inline))

namespace codegeex {
namespace {

constexpr int kLanes = 16;

#if defined(__AVX512F__)
constexpr int kRegisterLanes = 16;
#elif defined(__AVX2__)
constexpr int kRegisterLanes = 8;
#else
constexpr int kRegisterLanes = 4;
#endif

using RegisterF32 = float __attribute__((vector_size(kRegisterLanes * sizeof(float))));
using RegisterI32 = int32_t __attribute__((vector_size(kRegisterLanes * sizeof(int32_t))));
using RegisterU16 = uint16_t __attribute__((vector_size(kRegisterLanes * sizeof(uint16_t))));

template <class V>
struct Pair {
  V low, high;
};
template <class V>
Pair(V, V) -> Pair<V>;

template <class V>
constexpr bool kPaired = false;
template <class V>
constexpr bool kPaired<Pair<V>> = true;

template <class R, int registers>
struct Joined {
  using V = Pair<typename Joined<R, registers / 2>::V>;
};
template <class R>
struct Joined<R, 1> {
  using V = R;
};

using F32 = Joined<RegisterF32, kLanes / kRegisterLanes>::V;
using I32 = Joined<RegisterI32, kLanes / kRegisterLanes>::V;
using U16 = Joined<RegisterU16, kLanes / kRegisterLanes>::V;

// ---- operators, of two vectors or of a vector and a number ----------------------------------------------------------

#define EACH_HALF(op)                              \
  template <class V>                               \
  INLINE auto operator op(Pair<V> a, Pair<V> b) {  \
    return Pair{a.low op b.low, a.high op b.high}; \
  }                                                \
  template <class V, class B>                      \
  INLINE auto operator op(Pair<V> a, B b) {        \
    return Pair{a.low op b, a.high op b};          \
  }
EACH_HALF(+)
EACH_HALF(-)
EACH_HALF(*)
EACH_HALF(/)
EACH_HALF(&)
EACH_HALF(<<)
EACH_HALF(<)
EACH_HALF(>)
EACH_HALF(<=)
#undef EACH_HALF

template <class A, class V>
INLINE auto operator-(A a, Pair<V> b) {
  return Pair{a - b.low, a - b.high};
}
template <class V>
INLINE auto operator-(Pair<V> a) {
  return Pair{-a.low, -a.high};
}
template <class V, class B>
INLINE Pair<V>& operator+=(Pair<V>& a, B b) {
  return a = a + b;
}

// ---- functions of a register, and of the halves of a pair -----------------------------------------------------------

INLINE RegisterI32 as_int(RegisterF32 v) { return (RegisterI32)v; }  // the same bits
INLINE RegisterF32 as_float(RegisterI32 v) { return (RegisterF32)v; }
INLINE RegisterF32 to_float(RegisterI32 v) { return __builtin_convertvector(v, RegisterF32); }
INLINE RegisterI32 to_int(RegisterU16 v) { return __builtin_convertvector(v, RegisterI32); }
INLINE RegisterU16 to_u16(RegisterI32 v) { return __builtin_convertvector(v, RegisterU16); }
INLINE float first_lane(RegisterF32 v) { return v[0]; }
INLINE RegisterF32 select(RegisterI32 mask, RegisterF32 yes, RegisterF32 no) { return mask ? yes : no; }

#define EACH_HALF(function)                         \
  template <class V>                                \
  INLINE auto function(Pair<V> v) {                 \
    return Pair{function(v.low), function(v.high)}; \
  }
EACH_HALF(as_int)
EACH_HALF(as_float)
EACH_HALF(to_float)
EACH_HALF(to_int)
EACH_HALF(to_u16)
#undef EACH_HALF

template <class V>
INLINE float first_lane(Pair<V> v) {
  return first_lane(v.low);
}
template <class M, class V>
INLINE Pair<V> select(Pair<M> mask, Pair<V> yes, Pair<V> no) {
  return {select(mask.low, yes.low, no.low), select(mask.high, yes.high, no.high)};
}

// ---- memory ---------------------------------------------------------------------------------------------------------

template <class V, class T>
INLINE V load(const T* from) {
  V value;
  if constexpr (kPaired<V>) {
    value.low = load<decltype(value.low)>(from);
    value.high = load<decltype(value.high)>(reinterpret_cast<const char*>(from) + sizeof(V) / 2);
  } else {
    std::memcpy(&value, from, sizeof(V));
  }
  return value;
}

template <class V, class T>
INLINE void store(T* to, V value) {
  if constexpr (kPaired<V>) {
    store(to, value.low);
    store(reinterpret_cast<char*>(to) + sizeof(V) / 2, value.high);
  } else {
    std::memcpy(to, &value, sizeof(V));
  }
}

}  // namespace
}  // namespace codegeex
