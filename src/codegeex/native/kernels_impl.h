// The kernels of one instruction set: what each isa_*.cpp includes after it was compiled with that set's flags.

#pragma once

#include "attention.h"
#include "kernels.h"
#include "linear.h"
#include "simd.h"

namespace codegeex {
namespace {

INLINE F32 table_values(const Table& table, std::size_t at, int count) {
  switch (table.number) {
    case Number::kFloat32:
      return load_some(static_cast<const float*>(table.data) + at, count);
    case Number::kFloat16:
    case Number::kBfloat16: {
      uint16_t halfs[kLanes] = {};
      const int taken = count < kLanes ? count : kLanes;
      std::memcpy(halfs, static_cast<const uint16_t*>(table.data) + at, std::size_t(taken) * 2);
      if (table.number == Number::kFloat16) return from_half(halfs);
      return as_float(to_int(load<U16>(halfs)) << 16);
    }
  }
  return F32{};
}

void embed(const Table& table, int row, const Table* other, int other_row, float* y) {
  for (int k = 0; k < table.columns; k += kLanes) {
    const int count = table.columns - k;
    F32 value = table_values(table, std::size_t(row) * std::size_t(table.columns) + std::size_t(k), count);
    if (other)
      value += table_values(*other, std::size_t(other_row) * std::size_t(other->columns) + std::size_t(k), count);
    store_some(y + k, value, count);
  }
}

float dot(const Table& table, int row, const float* x) {
  F32 total{};
  for (int k = 0; k < table.columns; k += kLanes) {
    const int count = table.columns - k;
    total += table_values(table, std::size_t(row) * std::size_t(table.columns) + std::size_t(k), count) *
             load_some(x + k, count);
  }
  return sum(total);
}

float maximum(const float* x, int count) {
  F32 highest = splat(x[0]);
  int i = 0;
  for (; i + kLanes <= count; i += kLanes) highest = larger(load<F32>(x + i), highest);
  float result = maximum(highest);
  for (; i < count; i++) result = x[i] > result ? x[i] : result;
  return result;
}

double exp_sum(const float* x, int count, float shift, float factor, float* out) {
  double total = 0;
  F32 part{};
  for (int i = 0; i < count; i += kLanes) {
    const I32 inside = lane_numbers() < splat(int32_t(count - i));
    const F32 value = select(inside, exponential((load_some(x + i, count - i) - shift) * factor), F32{});
    if (out) store_some(out + i, value, count - i);
    part += value;
    if (i % (64 * kLanes) == 0) total += double(sum(part)), part = F32{};  // short float sums lose nothing that matters
  }
  return total + double(sum(part));
}

constexpr Kernels make_kernels(const char* name) {
  return {name, kTile, quantize, linear, attend, embed, layer_norm, dot, maximum, exp_sum};
}

}  // namespace
}  // namespace codegeex
