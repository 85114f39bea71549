#include "sampling.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace codegeex {
namespace {

constexpr int kBlock = 1024;
constexpr std::size_t kGlance = 128;  // weights that are passed over together where none is large

int first_of(const float* values, int count, float value) {
  return int(std::find(values, values + count, value) - values);
}

// The tokens that stay after top-k and top-p, most likely first. The likeliest has weight 1, so looking only at weights
// above a falling threshold finds them without sorting the vocabulary.
std::vector<int> keep(const Kernels& kernels, const std::vector<float>& weights, double total,
                      const Sampling& sampling) {
  std::vector<int> kept;
  for (float threshold = 0.01f;; threshold = threshold > 1e-30f ? threshold * threshold : 0.0f) {
    kept.clear();
    double mass = 0;
    for (std::size_t begin = 0; begin < weights.size(); begin += kGlance) {
      const std::size_t end = std::min(weights.size(), begin + kGlance);
      if (kernels.maximum(weights.data() + begin, int(end - begin)) < threshold) continue;
      for (std::size_t token = begin; token < end; token++)
        if (weights[token] > 0 && weights[token] >= threshold)
          kept.push_back(int(token)), mass += double(weights[token]);
    }
    const bool enough_k = sampling.top_k == 0 || int(kept.size()) >= sampling.top_k;
    const bool enough_p = sampling.top_k > 0 || mass > double(sampling.top_p) * total;
    if (threshold == 0 || (enough_k && enough_p)) break;
  }
  std::sort(kept.begin(), kept.end(), [&](int a, int b) {
    const float left = weights[std::size_t(a)], right = weights[std::size_t(b)];
    return left != right ? left > right : a < b;
  });
  const auto weight = [&](std::size_t place) { return double(weights[std::size_t(kept[place])]); };
  if (sampling.top_k > 0 && std::size_t(sampling.top_k) < kept.size()) {
    auto end = std::size_t(sampling.top_k);
    while (end < kept.size() && weight(end) == weight(end - 1)) end++;  // equals of the last one stay
    kept.resize(end);
  }
  if (sampling.top_k > 0) {
    total = 0;
    for (std::size_t place = 0; place < kept.size(); place++) total += weight(place);
  }
  if (sampling.top_p < 1) {
    double before = 0;
    std::size_t end = 0;
    // The token that crosses the line stays.
    while (end < kept.size() && before <= double(sampling.top_p) * total) before += weight(end++);
    kept.resize(end);
  }
  return kept;
}

}  // namespace

Distribution::Distribution(const Kernels& kernels, const float* logits, int count, const Sampling& sampling)
    : top_(double(kernels.maximum(logits, count))) {
  const float top = float(top_);
  log_total_ = std::log(kernels.exp_sum(logits, count, top, 1.0f, nullptr));
  if (!std::isfinite(top_) || !std::isfinite(log_total_)) throw std::invalid_argument("the logits are not finite");
  if (sampling.temperature == 0) {
    tokens_ = {first_of(logits, count, top)};
    weights_ = {1}, logits_ = {top}, total_ = 1;
    return;
  }
  thread_local std::vector<float> weights;
  weights.resize(std::size_t(count));
  const float factor = std::min(1 / sampling.temperature, 1e30f);  // of a temperature so small that it is greedy
  for (int begin = 0; begin < count; begin += kBlock) {
    const int length = std::min(kBlock, count - begin);
    blocks_.push_back(kernels.exp_sum(logits + begin, length, top, factor, weights.data() + begin));
    total_ += blocks_.back();
  }
  if (sampling.top_k == 0 && sampling.top_p >= 1) {
    weights_ = weights;
    logits_.assign(logits, logits + count);
    return;
  }
  tokens_ = keep(kernels, weights, total_, sampling);
  std::sort(tokens_.begin(), tokens_.end());
  total_ = 0;
  for (const int token : tokens_) {
    weights_.push_back(weights[std::size_t(token)]);
    logits_.push_back(logits[token]);
    total_ += double(weights_.back());
  }
}

Choice Distribution::draw(double uniform) const {
  const int place = find(uniform * total_);
  return {tokens_.empty() ? place : tokens_[std::size_t(place)], double(logits_[std::size_t(place)]) - top_ - log_total_};
}

int Distribution::find(double target) const {
  std::size_t begin = 0, end = weights_.size();
  if (tokens_.empty()) {
    std::size_t block = 0;
    while (block + 1 < blocks_.size() && target >= blocks_[block]) target -= blocks_[block++];
    begin = block * kBlock, end = std::min(end, begin + kBlock);
  }
  std::size_t last = begin;
  for (std::size_t place = begin; place < end; place++) {
    if (weights_[place] == 0) continue;
    last = place;
    target -= double(weights_[place]);
    if (target < 0) break;
  }
  return int(last);
}

}  // namespace codegeex
