// Choosing the next token, in the order of the original: temperature, top-k, top-p, draw.

#pragma once

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

// Chooses a token for logits [count], of which one at least is finite and the banned ones are -infinity. `uniform` in
// [0, 1) is the randomness: tokens that stay lie side by side in the order of their ids, and it points at one.
Choice choose(const Kernels& kernels, const float* logits, int count, const Sampling& sampling, double uniform);

}  // namespace codegeex
