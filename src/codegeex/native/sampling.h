// Choosing the next token, in the order of the original: temperature, top-k, top-p, draw.

#pragma once

#include <vector>

#include "kernels.h"

namespace codegeex {

struct Sampling {
  float temperature = 1.0f;  // 0 is greedy
  int top_k = 0;             // 0 is off
  float top_p = 1.0f;        // 1 is off
};

struct Choice {
  int token;
  double logprob;  // natural, under the untempered, unfiltered distribution
};

// What a token is drawn from: found once, then drawn from by as many samples as say the same.
class Distribution {
 public:
  // Of logits [count], of which one at least is finite and the banned ones are -infinity.
  Distribution(const Kernels& kernels, const float* logits, int count, const Sampling& sampling);

  // `uniform` in [0, 1) is the randomness: tokens that stay lie side by side in the order of their ids, and it points at
  // one.
  Choice draw(double uniform) const;

 private:
  int find(double target) const;  // the place that it points at in the running sum of the weights

  std::vector<int> tokens_;      // those that stay, in order; none where all do
  std::vector<float> weights_;   // of these, or of all
  std::vector<float> logits_;    // likewise
  std::vector<double> blocks_;   // sums of `weights_`, where all stay
  double total_ = 0, top_, log_total_;
};

}  // namespace codegeex
