// Attention over the paged key-value cache, with the online softmax: one pass over the keys, whose running maximum
// rescales what was summed so far.
//
// Every query sums in the same order whether it comes alone (decoding) or with others (prefill), so that both give the
// same bits: over head dimensions for a score, over keys for the context, in chunks of kChunk keys.

#pragma once

#include "kernels.h"
#include "simd.h"

namespace codegeex {
namespace {

#if defined(__AVX512F__)
constexpr int kQueries = 6;                            // queries that share a pass over keys and values
constexpr int kSums = 24;                              // accumulators of a tile, of 32 registers
#else
constexpr int kQueries = 2;
constexpr int kSums = 4;                               // of two registers each with AVX2, of four with SSE or NEON
#endif
constexpr int kChunkPages = 16;
constexpr int kChunk = kChunkPages * kPageTokens;      // keys between two updates of the running maximum
constexpr int kMaxHeadSize = 256;
constexpr int kTokensAhead = 8;  // whose keys and values, often computed by another processor, are asked for
static_assert(kPageTokens == kLanes, "a vector of scores is a page");
static_assert(kChunkPages % 8 == 0, "pages are scored up to eight at a time");

INLINE uint16_t* page_keys(const HeadWork& work, int page) { return work.pages[page] + work.page_offset; }
INLINE uint16_t* page_values(const HeadWork& work, int page) {
  return page_keys(work, page) + kPageTokens * round_up(work.head_size, kLanes);
}

INLINE void store_keys_and_values(const HeadWork& work) {
  const int size = work.head_size;
  for (int token = 0; token < work.tokens; token++) {
    const int position = work.start + token, slot = position % kPageTokens;
    uint16_t* keys = page_keys(work, position / kPageTokens) + slot;
    uint16_t* values = page_values(work, position / kPageTokens) + slot * round_up(size, kLanes);
    const std::size_t at = std::size_t(token) * work.stride;
    for (int d = 0; d < size; d += kLanes) {
      __builtin_prefetch(work.keys + at + kTokensAhead * work.stride + d);
      __builtin_prefetch(work.values + at + kTokensAhead * work.stride + d);
      uint16_t halfs[kLanes];
      to_half(halfs, load_some(work.keys + at + d, size - d));
      for (int i = 0; i < kLanes && d + i < size; i++) keys[(d + i) * kPageTokens] = halfs[i];
      to_half(values + d, load_some(work.values + at + d, size - d));
    }
  }
}

// scores[query][key of the chunk] for `Q` queries and `P` pages at a time.
template <int Q, int P>
INLINE void score(const HeadWork& work, const float (*queries)[kMaxHeadSize], int first_page, int pages,
                  float (*scores)[kChunk]) {
  const int width = round_up(work.head_size, kLanes);
  for (int page = 0; page < pages; page += P) {
    const uint16_t* keys[P];
    for (int p = 0; p < P; p++)  // beyond the last page its own scores stand again, and are not looked at
      keys[p] = page_keys(work, first_page + (page + p < pages ? page + p : pages - 1));
    F32 sums[Q][P];
#pragma GCC unroll 8
    for (int p = 0; p < P; p++)
#pragma GCC unroll 8
      for (int q = 0; q < Q; q++) sums[q][p] = F32{};
    for (int d = 0; d < work.head_size; d++)
#pragma GCC unroll 8
      for (int p = 0; p < P; p++) {
        const F32 key = from_half(keys[p] + d * kPageTokens);
        // A single query waits for memory; the values of the same tokens come next.
        if (Q == 1) __builtin_prefetch(keys[p] + d * kPageTokens + kPageTokens * width);
#pragma GCC unroll 8
        for (int q = 0; q < Q; q++) sums[q][p] += key * queries[q][d];
      }
#pragma GCC unroll 8
    for (int q = 0; q < Q; q++)
#pragma GCC unroll 8
      for (int p = 0; p < P; p++) store(scores[q] + (page + p) * kPageTokens, sums[q][p]);
  }
}

// context[query] += sum over keys of weight * value, for `V` vectors of the head from dimension `d` on.
template <int Q, int V>
INLINE void add_values(const HeadWork& work, int first_page, int keys, const float (*weights)[kChunk], int d,
                       float (*context)[kMaxHeadSize]) {
  F32 sums[Q][V];
#pragma GCC unroll 8
  for (int q = 0; q < Q; q++)
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) sums[q][v] = load<F32>(context[q] + d + v * kLanes);
  const int width = round_up(work.head_size, kLanes);
  for (int page = 0; page * kPageTokens < keys; page++) {
    const uint16_t* values = page_values(work, first_page + page) + d;
    const int slots = keys - page * kPageTokens < kPageTokens ? keys - page * kPageTokens : kPageTokens;
    for (int slot = 0; slot < slots; slot++, values += width)
#pragma GCC unroll 8
      for (int v = 0; v < V; v++) {
        const F32 value = from_half(values + v * kLanes);
        if (Q == 1) __builtin_prefetch(values + v * kLanes + kPageTokens * width);  // the keys of the next head
#pragma GCC unroll 8
        for (int q = 0; q < Q; q++) sums[q][v] += value * weights[q][page * kPageTokens + slot];
      }
  }
#pragma GCC unroll 8
  for (int q = 0; q < Q; q++)
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) store(context[q] + d + v * kLanes, sums[q][v]);
}

// `Q` queries of consecutive positions, the first at `position`.
template <int Q>
void attend_block(const HeadWork& work, const float* queries_at, int position, float* out) {
  constexpr int kPagesAtOnce = kSums / Q < 8 ? kSums / Q : 8;  // eight sums hide the latency of a multiply-add
  alignas(64) float queries[Q][kMaxHeadSize], context[Q][kMaxHeadSize], scores[Q][kChunk];
  float highest[Q], total[Q];
  const int size = work.head_size;
  const float scale = 1.0f / __builtin_sqrtf(float(size));
  for (int q = 0; q < Q; q++) {
    const float* from = queries_at + std::size_t(q) * work.query_stride;
    for (int d = 0; d < size; d += kLanes) {
      store(queries[q] + d, load_some(from + d, size - d) * scale);
      store(context[q] + d, F32{});
      if (Q > 1) __builtin_prefetch(from + Q * work.query_stride + d);
    }
    highest[q] = -3e38f, total[q] = 0.0f;
  }
  for (int first = 0; first < position + Q; first += kChunk) {
    const int keys = position + Q - first < kChunk ? position + Q - first : kChunk;
    const int pages = divide_up(keys, kPageTokens), first_page = first / kPageTokens;
    score<Q, kPagesAtOnce>(work, queries, first_page, pages, scores);
    for (int q = 0; q < Q; q++) {
      const I32 last = splat(int32_t(position + q - first));  // of the keys that this query may see
      F32 highest_lanes = splat(highest[q]);
      for (int page = 0; page < pages; page++) {
        const I32 seen = lane_numbers() + page * kPageTokens <= last;
        highest_lanes = larger(select(seen, load<F32>(scores[q] + page * kPageTokens), highest_lanes), highest_lanes);
      }
      const float now = maximum(highest_lanes);
      const float fade = now > highest[q] ? first_lane(exponential(splat(highest[q] - now))) : 1.0f;
      F32 sums{};
      for (int page = 0; page < pages; page++) {
        const I32 seen = lane_numbers() + page * kPageTokens <= last;
        const F32 weight = exponential(load<F32>(scores[q] + page * kPageTokens) - now);
        const F32 kept = select(seen, weight, F32{});
        sums += kept;
        store(scores[q] + page * kPageTokens, kept);
      }
      total[q] = total[q] * fade + sum(sums);
      highest[q] = now;
      for (int d = 0; d < size; d += kLanes) store(context[q] + d, load<F32>(context[q] + d) * fade);
    }
    int d = 0;
    for (; d + 4 * kLanes <= size; d += 4 * kLanes) add_values<Q, 4>(work, first_page, keys, scores, d, context);
    for (; d < size; d += kLanes) add_values<Q, 1>(work, first_page, keys, scores, d, context);
  }
  for (int q = 0; q < Q; q++)
    for (int d = 0; d < size; d += kLanes)
      store_some(out + std::size_t(q) * work.context_stride + d, load<F32>(context[q] + d) / total[q], size - d);
}

void attend(const HeadWork& work) {
  store_keys_and_values(work);
  const int first = work.tokens - work.queries;  // of the new tokens, the first that asks
  int query = 0;
  for (; query + kQueries <= work.queries; query += kQueries)
    attend_block<kQueries>(work, work.queries_at + std::size_t(query) * work.query_stride, work.start + first + query,
                           work.context + std::size_t(query) * work.context_stride);
  for (; query < work.queries; query++)
    attend_block<1>(work, work.queries_at + std::size_t(query) * work.query_stride, work.start + first + query,
                    work.context + std::size_t(query) * work.context_stride);
}

}  // namespace
}  // namespace codegeex
