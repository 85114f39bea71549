// Loading a model: where each tensor belongs, and packing matrices into strips.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "model.h"

namespace codegeex {
namespace {

void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

void require_finite(const float* values, int count, const std::string& name) {
  require(std::all_of(values, values + count, [](float value) { return std::isfinite(value); }),
          "'" + name + "' holds values that are not finite");
}

// Rows that one thread packs at a time, a multiple of kStripRows.
constexpr int kRowsAtOnce = 8 * kStripRows;

}  // namespace

Model::Model(const Shape& shape, int threads, int cache_pages, const std::string& kernels)
    : shape_(shape),
      kernels_(find_kernels(kernels.c_str())),
      threads_(threads),
      cache_(shape.heads > 0 ? shape.page_halfs() : 0, cache_pages),
      width_(round_up(shape.hidden, 16)),
      ffn_width_(round_up(shape.ffn, 16)),
      privates_(std::size_t(threads)),
      counters_(std::size_t(shape.layers + 2) * 8 * std::size_t(std::max(threads, 0))) {
  require(kernels_ != nullptr, "no kernels called '" + kernels + "' that this processor can run");
  require(shape.hidden > 0 && shape.heads > 0 && shape.vocabulary > 0 && shape.positions > 0 && shape.ffn > 0,
          "every size must be positive");
  require(shape.hidden % shape.heads == 0, "the heads must divide the hidden size");
  require(shape.head_size() <= 256, "heads of more than 256 are not supported");
  // 32-bit sums: 255 * 127 * inputs < 2^31.
  require(shape.hidden <= 65536 && shape.ffn <= 65536, "sizes above 65,536 are not supported");
  require(cache_pages > 0, "the cache needs at least one page");
  layers_.resize(std::size_t(shape.layers + 1));
  for (int i = 0; i <= shape.layers; i++) {
    Layer& layer = layers_[std::size_t(i)];
    const bool top = i == shape.layers;
    allocate(layer.in, (top ? 2 : 3) * shape.hidden, shape.hidden);
    if (top) allocate(layer.query, shape.hidden, shape.hidden);
    allocate(layer.dense, shape.hidden, shape.hidden);
    allocate(layer.up, shape.ffn, shape.hidden);
    allocate(layer.down, shape.hidden, shape.ffn);
  }
  allocate(head_, shape.vocabulary, shape.hidden);
}

void Model::allocate(Packed& packed, int rows, int inputs) {
  Linear& map = packed.map;
  map.rows = rows, map.inputs = inputs;
  map.strips = divide_up(rows, kStripRows), map.quads = quads_of(inputs);
  const std::size_t weights = std::size_t(map.strips) * map.strip_bytes();
  const std::size_t padded = std::size_t(map.strips) * kStripRows;
  packed.memory = Buffer(weights + padded * 12);
  map.weights = packed.memory.as<int8_t>();
  map.scales = reinterpret_cast<float*>(map.weights + weights);
  map.bias = map.scales + padded;
  map.sums = reinterpret_cast<int32_t*>(map.bias + padded);
}

void Model::pack(Packed& packed, int first, int rows,
                 const std::function<void(int row, int8_t* weights, float* scale)>& read) {
  const Linear& map = packed.map;
  std::atomic<int> next{0};
  threads_.run([&](int) {
    std::vector<int8_t> row_weights(std::size_t(map.quads) * 4);
    for (int begin; (begin = next.fetch_add(kRowsAtOnce)) < rows;)
      for (int row = begin; row < std::min(rows, begin + kRowsAtOnce); row++) {
        const int at = first + row, lane = at % kStripRows;
        read(row, row_weights.data(), map.scales + at);
        int8_t* to = map.weights + std::size_t(at / kStripRows) * map.strip_bytes() + lane * 4;
        int32_t sum = 0;
        for (const int8_t weight : row_weights) sum += weight;
        map.sums[at] = sum;
        for (int quad = 0; quad < map.quads; quad++)
          std::memcpy(to + std::size_t(quad) * kStripRows * 4, row_weights.data() + quad * 4, 4);
      }
  });
  packed.rows_set += rows;
}

void Model::set_linear(int index, const std::string& name, const int8_t* weights, int rows, int inputs,
                       const float* scales, const float* bias) {
  require(index >= 0 && index <= shape_.layers, "there is no layer " + std::to_string(index));
  Layer& layer = layers_[std::size_t(index)];
  const bool top = index == shape_.layers;
  Packed* packed = nullptr;
  int first = 0;
  if (name == "query") packed = top ? &layer.query : &layer.in;
  if (name == "key") packed = &layer.in, first = (top ? 0 : 1) * shape_.hidden;
  if (name == "value") packed = &layer.in, first = (top ? 1 : 2) * shape_.hidden;
  if (name == "dense") packed = &layer.dense;
  if (name == "up") packed = &layer.up;
  if (name == "down") packed = &layer.down;
  require(packed != nullptr, "there is no linear map '" + name + "'");
  const int expected = packed == &layer.up ? shape_.ffn : shape_.hidden;
  require(rows == expected && inputs == packed->map.inputs, "the matrix of '" + name + "' has the wrong shape");
  require_finite(scales, rows, name);
  require_finite(bias, rows, name);
  pack(*packed, first, rows, [&](int row, int8_t* to, float* scale) {
    std::memcpy(to, weights + std::size_t(row) * std::size_t(inputs), std::size_t(inputs));
    *scale = scales[row];
  });
  std::copy_n(bias, rows, packed->map.bias + first);
}

void Model::set_norm(int index, const std::string& name, const float* weight, const float* bias, int size) {
  require(size == shape_.hidden, "the layer norm '" + name + "' has the wrong size");
  Norm* norm = nullptr;
  if (name == "final") norm = &final_norm_;
  if (name == "input" || name == "attention") {
    require(index >= 0 && index <= shape_.layers, "there is no layer " + std::to_string(index));
    Layer& layer = layers_[std::size_t(index)];
    norm = name == "input" ? &layer.input_norm : &layer.attention_norm;
  }
  require(norm != nullptr, "there is no layer norm '" + name + "'");
  require_finite(weight, size, name);
  require_finite(bias, size, name);
  norm->weight.assign(weight, weight + size);
  norm->bias.assign(bias, bias + size);
}

void Model::set_tables(const Table& words, const Table& positions, const Table& queries) {
  const auto fits = [&](const Table& table, int rows) { return table.rows == rows && table.columns == shape_.hidden; };
  require(fits(words, shape_.vocabulary) && fits(positions, shape_.positions) && fits(queries, shape_.positions),
          "an embedding table has the wrong shape");
  words_ = words, positions_ = positions, queries_ = queries;
  // The output head is the word embeddings in int8; `rescore` makes up for what that loses.
  const auto inputs = std::size_t(shape_.hidden);
  std::atomic<bool> finite{true};
  pack(head_, 0, words.rows, [&](int row, int8_t* to, float* scale) {
    thread_local std::vector<float> values;
    values.resize(inputs);
    kernels_->embed(words, row, nullptr, 0, values.data());
    float top = 0;
    for (const float value : values) {
      if (!std::isfinite(value)) finite = false;
      top = std::max(top, std::fabs(value));
    }
    if (!finite) return;
    *scale = top / 127;
    for (std::size_t k = 0; k < inputs; k++) to[k] = top > 0 ? int8_t(std::lrintf(values[k] * (127 / top))) : int8_t(0);
  });
  require(finite, "the word embeddings hold values that are not finite");
  std::vector<float> values(inputs);
  for (int row = 0; row < shape_.positions; row++)
    for (const Table* table : {&positions, &queries}) {
      kernels_->embed(*table, row, nullptr, 0, values.data());
      require_finite(values.data(), shape_.hidden, table == &positions ? "position_embeddings" : "query_embeddings");
    }
}

void Model::check_complete() const {
  bool complete = !final_norm_.weight.empty() && words_.data != nullptr;
  for (const Layer& layer : layers_) {
    complete = complete && !layer.input_norm.weight.empty() && !layer.attention_norm.weight.empty();
    for (const Packed* packed : {&layer.in, &layer.query, &layer.dense, &layer.up, &layer.down})
      complete = complete && packed->rows_set == packed->map.rows;
  }
  require(complete, "not every tensor was set, or one was set twice");
}

std::size_t Model::weight_bytes() const {
  std::size_t total = head_.memory.bytes();
  for (const Layer& layer : layers_)
    for (const Packed* packed : {&layer.in, &layer.query, &layer.dense, &layer.up, &layer.down})
      total += packed->memory.bytes();
  return total;
}

}  // namespace codegeex
