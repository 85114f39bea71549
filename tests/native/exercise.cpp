// The engine without Python, for builds with sanitizers: a tiny model with random weights goes through prompts in
// several passes, a growing batch, forks, cuts and a full cache, on every instruction set. Ends with 0 when a batch
// gives the same bits as its members alone.

#include <cmath>
#include <cstdio>
#include <cstring>
#include <new>
#include <random>
#include <stdexcept>
#include <vector>

#include "model.h"
#include "sampling.h"

using namespace codegeex;

namespace {

constexpr Shape kShape{48, 2, 3, 77, 600, 100, 1e-5f};

std::mt19937 generator(1);

std::vector<float> random_floats(int count, float mean = 0) {
  std::normal_distribution<float> normal(mean, 0.2f);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

std::vector<int> random_ids(int count) {
  std::vector<int> ids(static_cast<std::size_t>(count));
  for (int& id : ids) id = int(generator() % unsigned(kShape.vocabulary));
  return ids;
}

struct Tables {
  std::vector<float> words = random_floats(kShape.vocabulary * kShape.hidden);
  std::vector<float> positions = random_floats(kShape.positions * kShape.hidden);
  std::vector<float> queries = random_floats(kShape.positions * kShape.hidden);
};

void load(Model& model, const Tables& tables) {
  for (int layer = 0; layer <= kShape.layers; layer++) {
    for (const char* name : {"query", "key", "value", "dense", "up", "down"}) {
      const int rows = std::strcmp(name, "up") == 0 ? kShape.ffn : kShape.hidden;
      const int inputs = std::strcmp(name, "down") == 0 ? kShape.ffn : kShape.hidden;
      std::vector<int8_t> weights(std::size_t(rows * inputs));
      for (int8_t& weight : weights) weight = int8_t(int(generator() % 255) - 127);
      model.set_linear(layer, name, weights.data(), rows, inputs, random_floats(rows, 0.01f).data(),
                       random_floats(rows).data());
    }
    for (const char* name : {"input", "attention"})
      model.set_norm(layer, name, random_floats(kShape.hidden, 1).data(), random_floats(kShape.hidden).data(),
                     kShape.hidden);
  }
  model.set_norm(0, "final", random_floats(kShape.hidden, 1).data(), random_floats(kShape.hidden).data(),
                 kShape.hidden);
  const auto table = [](const std::vector<float>& values, int rows) {
    return Table{Number::kFloat32, values.data(), rows, kShape.hidden};
  };
  model.set_tables(table(tables.words, kShape.vocabulary), table(tables.positions, kShape.positions),
                   table(tables.queries, kShape.positions));
  model.check_complete();
}

int exercise(const char* kernels) {
  generator.seed(1);
  const Tables tables;
  Model model(kShape, 3, 120, kernels);
  load(model, tables);
  Cache& cache = model.cache();
  const auto vocabulary = std::size_t(kShape.vocabulary);

  std::vector<std::vector<int>> prompts;
  for (const int length : {1, 3, 17, 200, 540}) prompts.push_back(random_ids(length));
  std::vector<float> alone, together(prompts.size() * vocabulary);
  std::vector<Work> work;
  std::vector<int> ids;
  for (const auto& prompt : prompts) {
    const int sequence = cache.open();
    std::vector<float> logits(vocabulary);
    model.step({{sequence, int(prompt.size()), 1}}, prompt.data(), logits.data());
    alone.insert(alone.end(), logits.begin(), logits.end());
    cache.free(sequence);
  }
  for (const auto& prompt : prompts) {
    work.push_back({cache.open(), int(prompt.size()), 1});
    ids.insert(ids.end(), prompt.begin(), prompt.end());
  }
  model.step(work, ids.data(), together.data());
  int differences = std::memcmp(alone.data(), together.data(), alone.size() * sizeof(float)) != 0;

  // Forks write their shared last page, sequences are cut back, the cache fills up.
  std::vector<Work> forks;
  try {
    for (int i = 0; i < 200; i++) {
      forks.push_back({cache.fork(work[2].sequence), 1, 1});
      if (i % 7 == 0) cache.truncate(forks.back().sequence, 5);
      together.resize(forks.size() * vocabulary);
      model.step(forks, random_ids(int(forks.size())).data(), together.data());
    }
    differences++;  // a cache of 120 pages cannot hold that
  } catch (const std::bad_alloc&) {
  }
  for (const Work& fork : forks) cache.free(fork.sequence);
  try {
    model.step({{forks[0].sequence, 1, 1}}, ids.data(), together.data());
    differences++;
  } catch (const std::invalid_argument&) {
  }

  const std::vector<float> logits = random_floats(5000);
  for (const Sampling& sampling : {Sampling{0, 0, 1}, Sampling{1, 0, 1}, Sampling{0.5f, 40, 0.9f}, Sampling{2, 0, 0.3f}})
    for (const double uniform : {0.0, 0.4, 0.999999})
      if (Distribution(*find_kernels(kernels), logits.data(), int(logits.size()), sampling).draw(uniform).token < 0)
        differences++;
  return differences;
}

}  // namespace

int main() {
  int failures = 0;
  for (const char* kernels : {"portable", "avx2", "avxvnni", "avx512"}) {
    if (!find_kernels(kernels)) continue;
    const int differences = exercise(kernels);
    std::printf("%s: %s\n", kernels, differences ? "DIFFERENT" : "ok");
    failures += differences;
  }
  return failures ? 1 : 0;
}
