// What the model asks of a processor: one table of functions, filled in once for each instruction set.
//
// Numbers. Weights are int8 with one scale for each output row (paper section 4.2). Activations are quantised too, so
// that integer instructions do the work, but to 16 bits with one scale for each token: at 8 bits the likeliest token of
// the embedded model changed in 1.3 % of places, at 16 bits in none of a thousand, and decoding one sequence waits
// for memory either way.
//
//     y[r] = weight_scale[r] * token_scale * sum_k weight[r][k] * activation[k]          exact in integers
//
// Shapes: R tokens in a pass, K inputs and M outputs of a linear map.

#pragma once

#include <cstddef>
#include <cstdint>

namespace codegeex {

constexpr int kStripRows = 32;   // output rows of a linear map that are computed together
constexpr int kPageTokens = 16;  // tokens in a page of the key-value cache: the floats in one AVX-512 register
constexpr int kMaxTile = 8;      // most tokens that any kernel computes together

inline int divide_up(int value, int unit) { return (value + unit - 1) / unit; }
inline int round_up(int value, int unit) { return divide_up(value, unit) * unit; }

// Inputs in fours, as the instructions take them, and in whole registers of floats.
inline int quads_of(int inputs) { return divide_up(inputs, 16) * 4; }

// A linear map [M, K], packed. Rows beyond M and inputs beyond K are zero.
struct Linear {
  int rows = 0, inputs = 0;
  int strips = 0, quads = 0;         // ceil(M / kStripRows), quads_of(K)
  int8_t* weights = nullptr;         // [strips, quads, kStripRows, 4]
  float* scales = nullptr;           // [strips * kStripRows]
  int32_t* sums = nullptr;           // [strips * kStripRows], the sum of each row's weights
  float* bias = nullptr;             // [strips * kStripRows]

  std::size_t strip_bytes() const { return std::size_t(quads) * kStripRows * 4; }
};

// R quantised tokens, in tiles whose sizes differ by one at most. Eight bytes hold four inputs of one token, in the
// order that the kernel of the instruction set likes; a tile is [quads / 4, tokens in the tile, 4, 8].
struct Activations {
  int rows = 0, quads = 0, tiles = 0;
  uint8_t* data = nullptr;           // [quads * rows * 8]
  float* scales = nullptr;           // [rows]

  int tile_begin(int tile) const { return int(int64_t(tile) * rows / tiles); }
};

enum class Epilogue { kStore, kAdd, kGelu };  // y = ..., y += ..., y = FastGELU(...)

enum class Number { kFloat32, kFloat16, kBfloat16 };

// A float matrix as it lies in the checkpoint, possibly memory-mapped.
struct Table {
  Number number = Number::kFloat32;
  const void* data = nullptr;
  int rows = 0, columns = 0;
};

// The attention of one head in one sequence: `tokens` new ones from position `start` on, of which the last `queries`
// ask. Queries, keys and values lie `stride` floats apart for each token.
struct HeadWork {
  const float *queries_at = nullptr, *keys = nullptr, *values = nullptr;
  float* context = nullptr;
  std::size_t query_stride = 0, stride = 0, context_stride = 0;
  uint16_t* const* pages = nullptr;  // pages of the sequence, in order
  std::size_t page_offset = 0;       // where this layer's and head's part of a page begins, in halfs
  int start = 0, tokens = 0, queries = 0;
  int head_size = 0;
};

// Halfs that one head of one layer takes in a page: keys [head size, kPageTokens], values [kPageTokens, head size].
inline std::size_t page_part(int head_size) { return 2 * std::size_t(kPageTokens) * round_up(head_size, 16); }

struct Kernels {
  const char* name;
  int tile;  // tokens that a linear map computes together

  // Writes rows [begin, end) of `out` from x [R, stride]; with `weight` and `bias` [K] after a layer norm.
  void (*quantize)(const float* x, std::size_t stride, int inputs, const float* weight, const float* bias, float epsilon,
                   const Activations& out, int begin, int end);

  // y[r, :] = x[r] through strips [begin, end) of the map, for every token; y is [R, stride].
  void (*linear)(const Linear& map, const Activations& x, Epilogue epilogue, float* y, std::size_t stride, int begin,
                 int end);

  // Stores the new keys and values, then attends.
  void (*attend)(const HeadWork& work);

  // y = table[row] + other[other_row] (or 0 without other), [columns].
  void (*embed)(const Table& table, int row, const Table* other, int other_row, float* y);

  // The plain layer norm, for the one place where its result is also a residual.
  void (*layer_norm)(const float* x, int inputs, const float* weight, const float* bias, float epsilon, float* y);

  // x . table[row]
  float (*dot)(const Table& table, int row, const float* x);

  // The largest value, and (with `out`) out[i] = exp((x[i] - shift) * factor); returns the sum of those.
  float (*maximum)(const float* x, int count);
  double (*exp_sum)(const float* x, int count, float shift, float factor, float* out);
};

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2, kAvxVnni, kAvx512;
#endif

// The kernels called `name`, or the best ones of this processor for "auto"; null where it cannot run them.
const Kernels* find_kernels(const char* name);

}  // namespace codegeex
