// The CodeGeeX transformer (arXiv 2303.17568, section 3.2) for inference, on int8 weights.
//
// One step appends tokens to any number of sequences: whole prompts, parts of prompts, one token each, a few tokens to
// be verified. Linear maps see the tokens of all sequences at once, so weights are read once a step; only attention
// looks at sequences one by one. The result for a token does not depend on what else is in the step, to the last bit.

#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "cache.h"
#include "kernels.h"
#include "memory.h"
#include "threads.h"

namespace codegeex {

struct Shape {
  int hidden, layers, heads, vocabulary, positions, ffn;  // `layers` without the top query layer
  float epsilon;

  int head_size() const { return hidden / heads; }
  std::size_t page_halfs() const { return std::size_t(layers + 1) * std::size_t(heads) * page_part(head_size()); }
};

// Some tokens for one sequence, and of how many of the last of them the logits are wanted.
struct Work {
  int sequence, tokens, wanted;
};

class Model {
 public:
  // Throws std::invalid_argument for an impossible shape, or kernels that this processor cannot run.
  Model(const Shape& shape, int threads, int cache_pages, const std::string& kernels);

  // Loading. `linear` is one of query, key, value, dense, up, down; layer `layers` is the top query layer. Weights are
  // [out, in] in rows, scales and bias [out]. Throws std::invalid_argument for a wrong place or size.
  void set_linear(int layer, const std::string& linear, const int8_t* weights, int rows, int inputs,
                  const float* scales, const float* bias);
  void set_norm(int layer, const std::string& norm, const float* weight, const float* bias, int size);

  // Word, position and query embeddings. They are not copied, and must live as long as the model.
  void set_tables(const Table& words, const Table& positions, const Table& queries);

  // Throws std::invalid_argument when something was not set.
  void check_complete() const;

  const Shape& shape() const { return shape_; }
  const char* kernels() const { return kernels_->name; }
  int threads() const { return threads_.count(); }
  std::size_t weight_bytes() const;  // that every step reads
  Cache& cache() { return cache_; }

  // Appends ids to sequences; writes logits [sum of wanted, vocabulary]. Throws std::invalid_argument for a sequence
  // that is not open or comes twice, an id or length out of range, and std::bad_alloc for a full cache; then nothing
  // has changed.
  void step(const std::vector<Work>& work, const int* ids, float* logits);

  // Reads `bytes` once with all threads, as a step reads weights; returns a checksum.
  unsigned long long read_all(const Buffer& bytes);

 private:
  struct Norm {
    std::vector<float> weight, bias;  // empty until set
  };
  struct Packed {
    Buffer memory;
    Linear map;
    int rows_set = 0;
  };
  struct Layer {
    Norm input_norm, attention_norm;
    Packed in;     // query, key, value [3h, h]; in the top query layer key, value [2h, h]
    Packed query;  // only in the top query layer
    Packed dense, up, down;
  };

  // Consecutive tokens of one sequence within a pass, and the row where they begin.
  struct Segment {
    int row, start, tokens, wanted, wanted_row;
    uint16_t* const* pages;
  };

  void allocate(Packed& packed, int rows, int inputs);
  void pack(Packed& packed, int row, int rows, const std::function<void(int row, int8_t* weights, float* scale)>& read);

  void forward(int thread, const int* ids, float* logits);
  void layer(int thread, const Layer& layer, int index);
  void top_layer(int thread, const Layer& layer, float* logits);
  void feed_forward(int thread, const Layer& layer, float* x, int rows);
  void rescore(float* logits, const float* x) const;

  // The phases that a pass is made of; all threads go through the same ones. `share` hands out pieces of work,
  // each of which reads about `piece_bytes`, and waits until all are done.
  void share(int thread, int pieces, std::size_t piece_bytes, const std::function<void(int begin, int end)>& work);
  Activations prepare(int thread, const float* x, std::size_t stride, int inputs, const Norm* norm, int rows);
  void multiply(int thread, const Packed& map, const Activations& x, Epilogue epilogue, float* y, std::size_t stride);
  void attend(int thread, int layer, const float* queries, std::size_t query_stride, const float* keys, bool wanted);
  void plan(const std::vector<Work>& work, std::size_t& next, int& done, const std::vector<int>& starts);
  void reserve(int rows);

  const Shape shape_;
  const Kernels* kernels_;
  Threads threads_;
  Cache cache_;
  std::vector<Layer> layers_;  // the top query layer last
  Norm final_norm_;
  Table words_, positions_, queries_;
  Packed head_;

  // One pass. Rows of x, z and context are `width_` floats apart, rows of qkv 3 * width_, rows of hidden ffn_width_.
  struct alignas(64) Counter {
    std::atomic<int> taken{0};  // pieces of one thread's part of one phase
  };
  struct alignas(64) Private {
    Buffer data, scales;
    int phase = 0;
  };
  const int width_, ffn_width_;
  std::vector<Segment> segments_;
  std::vector<int> positions_of_, wanted_rows_;
  int rows_ = 0, wanted_ = 0, first_id_ = 0, first_wanted_ = 0;
  int room_ = 0;  // rows that the buffers hold
  Buffer x_, z_, qkv_, context_, hidden_, shared_data_, shared_scales_;
  std::vector<Private> privates_;
  std::vector<Counter> counters_;
};

}  // namespace codegeex
