#include "model.h"

#include <algorithm>
#include <new>
#include <stdexcept>

namespace codegeex {
namespace {

// Rows of one pass: enough that weights, read once a pass, cost little beside the multiplications; few enough that the
// intermediate results of a 13B model stay below 150 MB.
constexpr int kPassRows = 256;

// Up to this many rows, every thread quantises all of them for itself: cheaper than to wait for each other.
constexpr int kPrivateRows = 4;

// The likeliest tokens get their logits anew from the unquantised embeddings. In int8 alone, 0.6 % of the likeliest
// tokens of the embedded model change.
constexpr int kRescored = 32;

// Each thread has an equal part of every phase, the same in every step, so that it finds its own keys, values and results
// in its own cache. It takes it in turns of about this many bytes, some 20 microseconds, and a thread that has finished
// takes the turns of one that is held up.
constexpr std::size_t kTurnBytes = std::size_t(1) << 19;

}  // namespace

void Model::step(const std::vector<Work>& work, const int* ids, float* logits) {
  int needed = 0, at = 0;
  std::vector<int> starts;
  for (std::size_t i = 0; i < work.size(); i++) {
    const auto [sequence, tokens, wanted] = work[i];
    const int length = cache_.length(sequence);
    if (tokens < 1 || wanted < 0 || wanted > tokens)
      throw std::invalid_argument("a sequence takes at least one token, and gives logits for at most those it takes");
    if (tokens > shape_.positions - length)
      throw std::invalid_argument(std::to_string(length + std::size_t(tokens)) + " tokens exceed the model's " +
                                  std::to_string(shape_.positions) + " positions");
    for (std::size_t j = 0; j < i; j++)
      if (work[j].sequence == sequence) throw std::invalid_argument("a sequence comes twice in one step");
    for (int k = 0; k < tokens; k++, at++)
      if (ids[at] < 0 || ids[at] >= shape_.vocabulary)
        throw std::invalid_argument("token id " + std::to_string(ids[at]) + " is not in the vocabulary");
    needed += cache_.pages_to_append(sequence, tokens);
    starts.push_back(length);
  }
  if (needed > cache_.free_pages()) throw std::bad_alloc();
  reserve(std::min(at, kPassRows));
  std::size_t grown = 0;
  try {
    for (; grown < work.size(); grown++) cache_.append(work[grown].sequence, work[grown].tokens);
  } catch (...) {
    while (grown-- > 0) cache_.truncate(work[grown].sequence, starts[grown]);
    throw;
  }

  first_id_ = first_wanted_ = 0;
  std::size_t next = 0;
  for (int done = 0; next < work.size();) {
    plan(work, next, done, starts);
    for (Private& own : privates_) own.phase = 0;
    for (Counter& counter : counters_) counter.taken.store(0, std::memory_order_relaxed);
    threads_.run([&](int thread) { forward(thread, ids + first_id_, logits); });
    first_id_ += rows_;
    first_wanted_ += wanted_;
  }
}

// The next pass: up to kPassRows tokens, beginning with token `done` of work `next`.
void Model::plan(const std::vector<Work>& work, std::size_t& next, int& done, const std::vector<int>& starts) {
  segments_.clear(), positions_of_.clear(), wanted_rows_.clear();
  rows_ = wanted_ = 0;
  while (next < work.size() && rows_ < kPassRows) {
    const auto [sequence, tokens, wanted] = work[next];
    const int taken = std::min(tokens - done, kPassRows - rows_);
    const int asked = std::clamp(wanted - (tokens - done - taken), 0, taken);
    segments_.push_back({rows_, starts[next] + done, taken, asked, wanted_, cache_.pages(sequence)});
    for (int i = 0; i < taken; i++) positions_of_.push_back(starts[next] + done + i);
    for (int i = taken - asked; i < taken; i++) wanted_rows_.push_back(rows_ + i);
    rows_ += taken, wanted_ += asked, done += taken;
    if (done == tokens) next++, done = 0;
  }
}

void Model::reserve(int rows) {
  if (rows <= room_) return;
  const int room = std::max(rows, std::min(2 * room_, kPassRows));
  room_ = 0;  // until all buffers are there
  const auto floats = [&](int width) { return Buffer(std::size_t(room) * std::size_t(width) * sizeof(float)); };
  const int widest = std::max(width_, ffn_width_);
  x_ = floats(width_), z_ = floats(width_), qkv_ = floats(3 * width_), context_ = floats(width_);
  hidden_ = floats(widest), shared_data_ = floats(2 * widest), shared_scales_ = floats(1);
  const int own_rows = std::min(room, kPrivateRows);
  for (Private& own : privates_) {
    own.data = Buffer(std::size_t(own_rows) * std::size_t(widest) * 8);
    own.scales = Buffer(std::size_t(own_rows) * sizeof(float));
  }
  room_ = room;
}

void Model::forward(int thread, const int* ids, float* logits) {
  const auto width = std::size_t(width_);
  float* const x = x_.as<float>();
  share(thread, rows_, width * 4, [&](int begin, int end) {
    for (int row = begin; row < end; row++)
      kernels_->embed(words_, ids[row], &positions_, positions_of_[std::size_t(row)], x + std::size_t(row) * width);
  });
  for (int i = 0; i < shape_.layers; i++) layer(thread, layers_[std::size_t(i)], i);
  share(thread, rows_, width * 4, [&](int begin, int end) {
    for (int row = begin; row < end; row++)
      kernels_->layer_norm(x + std::size_t(row) * width, shape_.hidden, final_norm_.weight.data(),
                           final_norm_.bias.data(), shape_.epsilon, x + std::size_t(row) * width);
  });
  top_layer(thread, layers_.back(), logits);
}

// x = x + Attention(LN(x)); x = x + MLP(LN(x))
void Model::layer(int thread, const Layer& layer, int index) {
  const auto width = std::size_t(width_), h = std::size_t(shape_.hidden);
  float *const x = x_.as<float>(), *const qkv = qkv_.as<float>();
  const Activations normed = prepare(thread, x, width, shape_.hidden, &layer.input_norm, rows_);
  multiply(thread, layer.in, normed, Epilogue::kStore, qkv, 3 * width);
  attend(thread, index, qkv, 3 * width, qkv + h, false);
  const Activations context = prepare(thread, context_.as<float>(), width, shape_.hidden, nullptr, rows_);
  multiply(thread, layer.dense, context, Epilogue::kAdd, x, width);
  feed_forward(thread, layer, x, rows_);
}

// z = u + Attention(Q = query embeddings, K = V = LN(u)); z = z + MLP(LN(z)); logits = z . embeddings.
// Keys and values are needed for all tokens, the rest only where logits are wanted.
void Model::top_layer(int thread, const Layer& layer, float* logits) {
  const auto width = std::size_t(width_), h = std::size_t(shape_.hidden);
  float *const u = x_.as<float>(), *const z = z_.as<float>(), *const qkv = qkv_.as<float>();
  const Activations normed = prepare(thread, u, width, shape_.hidden, &layer.input_norm, rows_);
  multiply(thread, layer.in, normed, Epilogue::kStore, qkv + h, 3 * width);
  if (wanted_ > 0) {
    // Queries pass through z before z becomes the residual.
    share(thread, wanted_, width * 4, [&](int begin, int end) {
      for (int i = begin; i < end; i++)
        kernels_->embed(queries_, positions_of_[std::size_t(wanted_rows_[std::size_t(i)])], nullptr, 0, z + i * width);
    });
    const Activations queries = prepare(thread, z, width, shape_.hidden, nullptr, wanted_);
    multiply(thread, layer.query, queries, Epilogue::kStore, hidden_.as<float>(), width);
    share(thread, wanted_, width * 4, [&](int begin, int end) {
      for (int i = begin; i < end; i++) std::copy_n(u + std::size_t(wanted_rows_[std::size_t(i)]) * width, h, z + i * width);
    });
  }
  attend(thread, shape_.layers, hidden_.as<float>(), width, qkv + h, true);
  if (wanted_ == 0) return;
  const Activations context = prepare(thread, context_.as<float>(), width, shape_.hidden, nullptr, wanted_);
  multiply(thread, layer.dense, context, Epilogue::kAdd, z, width);
  feed_forward(thread, layer, z, wanted_);
  const auto vocabulary = std::size_t(shape_.vocabulary);
  float* const out = logits + std::size_t(first_wanted_) * vocabulary;
  const Activations last = prepare(thread, z, width, shape_.hidden, nullptr, wanted_);
  multiply(thread, head_, last, Epilogue::kStore, out, vocabulary);
  share(thread, wanted_, vocabulary * 4, [&](int begin, int end) {
    for (int i = begin; i < end; i++) rescore(out + i * vocabulary, z + i * width);
  });
}

void Model::feed_forward(int thread, const Layer& layer, float* x, int rows) {
  const auto width = std::size_t(width_), ffn_width = std::size_t(ffn_width_);
  const Activations normed = prepare(thread, x, width, shape_.hidden, &layer.attention_norm, rows);
  multiply(thread, layer.up, normed, Epilogue::kGelu, hidden_.as<float>(), ffn_width);
  const Activations hidden = prepare(thread, hidden_.as<float>(), ffn_width, shape_.ffn, nullptr, rows);
  multiply(thread, layer.down, hidden, Epilogue::kAdd, x, width);
}

void Model::rescore(float* logits, const float* x) const {
  constexpr int kBlock = 256;
  int best[kRescored], count = 0, lowest = 0;  // `lowest` is the place in `best` of the smallest logit
  for (int begin = 0; begin < shape_.vocabulary; begin += kBlock) {
    const int end = std::min(shape_.vocabulary, begin + kBlock);
    if (count == kRescored && kernels_->maximum(logits + begin, end - begin) <= logits[best[lowest]]) continue;
    for (int token = begin; token < end; token++) {
      if (count < kRescored)
        best[count++] = token;
      else if (logits[token] > logits[best[lowest]])
        best[lowest] = token;
      else
        continue;
      if (count == kRescored)
        for (int i = lowest = 0; i < kRescored; i++)
          if (logits[best[i]] < logits[best[lowest]]) lowest = i;
    }
  }
  for (int i = 0; i < count; i++) logits[best[i]] = kernels_->dot(words_, best[i], x);
}

void Model::share(int thread, int pieces, std::size_t piece_bytes, const std::function<void(int begin, int end)>& work) {
  const int count = threads_.count(), phase = privates_[std::size_t(thread)].phase++;
  const int turn = std::max(1, int(kTurnBytes / std::max(piece_bytes, std::size_t(1))));
  for (int turned = 0; turned < count; turned++) {
    const int owner = (thread + turned) % count;
    const int first = int(int64_t(owner) * pieces / count), end = int(int64_t(owner + 1) * pieces / count);
    std::atomic<int>& taken = counters_[std::size_t(phase * count + owner)].taken;
    for (int at; (at = first + taken.fetch_add(turn, std::memory_order_relaxed)) < end;)
      work(at, std::min(end, at + turn));
  }
  threads_.barrier();
}

Activations Model::prepare(int thread, const float* x, std::size_t stride, int inputs, const Norm* norm, int rows) {
  const bool alone = rows <= kPrivateRows;
  const Private& own = privates_[std::size_t(thread)];
  Activations out;
  out.rows = rows, out.quads = quads_of(inputs), out.tiles = divide_up(rows, kernels_->tile);
  out.data = (alone ? own.data : shared_data_).as<uint8_t>();
  out.scales = (alone ? own.scales : shared_scales_).as<float>();
  const int begin = alone ? 0 : int(int64_t(thread) * rows / threads_.count());
  const int end = alone ? rows : int(int64_t(thread + 1) * rows / threads_.count());
  kernels_->quantize(x, stride, inputs, norm ? norm->weight.data() : nullptr, norm ? norm->bias.data() : nullptr,
                     shape_.epsilon, out, begin, end);
  if (!alone) threads_.barrier();
  return out;
}

void Model::multiply(int thread, const Packed& map, const Activations& x, Epilogue epilogue, float* y,
                     std::size_t stride) {
  // Weights are read once; beyond a few tokens multiplying takes the time.
  const std::size_t strip_bytes = map.map.strip_bytes() * std::size_t(divide_up(x.rows, kernels_->tile));
  share(thread, map.map.strips, strip_bytes,
        [&](int begin, int end) { kernels_->linear(map.map, x, epilogue, y, stride, begin, end); });
}

// Attention of all segments and heads. With `wanted` only the tokens whose logits are wanted ask; their queries and
// contexts are rows of their own.
void Model::attend(int thread, int layer, const float* queries, std::size_t query_stride, const float* keys,
                   bool wanted) {
  const int heads = shape_.heads, size = shape_.head_size();
  const auto width = std::size_t(width_);
  std::size_t keys_read = 0;
  for (const Segment& segment : segments_)
    keys_read += std::size_t(segment.start + segment.tokens) * std::size_t(wanted ? segment.wanted : segment.tokens);
  const std::size_t head_bytes = keys_read / segments_.size() * std::size_t(size) * 4;
  share(thread, int(segments_.size()) * heads, head_bytes, [&](int begin, int end) {
    for (int item = begin; item < end; item++) {
      const Segment& segment = segments_[std::size_t(item / heads)];
      const auto head = std::size_t(item % heads), at = head * std::size_t(size);
      const auto first_query = std::size_t(wanted ? segment.wanted_row : segment.row);
      HeadWork work;
      work.queries_at = queries + first_query * query_stride + at;
      work.keys = keys + std::size_t(segment.row) * 3 * width + at;
      work.values = work.keys + shape_.hidden;
      work.context = context_.as<float>() + first_query * width + at;
      work.query_stride = query_stride, work.stride = 3 * width, work.context_stride = width;
      work.pages = segment.pages;
      work.page_offset = (std::size_t(layer) * std::size_t(heads) + head) * page_part(size);
      work.start = segment.start, work.tokens = segment.tokens;
      work.queries = wanted ? segment.wanted : segment.tokens;
      work.head_size = size;
      kernels_->attend(work);
    }
  });
}

unsigned long long Model::read_all(const Buffer& bytes) {
  std::vector<unsigned long long> sums(std::size_t(threads_.count()));
  const std::size_t words = bytes.bytes() / 64 * 8, part = words / sums.size() / 8 * 8;
  threads_.run([&](int thread) {
    const auto* from = bytes.as<unsigned long long>() + std::size_t(thread) * part;
    unsigned long long lanes[8] = {};
    for (std::size_t i = 0; i < part; i += 8) {
      __builtin_prefetch(from + i + 512);  // 4 KB, as the kernels
      for (int lane = 0; lane < 8; lane++) lanes[lane] += from[i + std::size_t(lane)];
    }
    for (const auto lane : lanes) sums[std::size_t(thread)] += lane;
  });
  unsigned long long total = 0;
  for (const auto sum : sums) total += sum;
  return total;
}

}  // namespace codegeex
