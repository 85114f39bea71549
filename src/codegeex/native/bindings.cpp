// The Python face: checks what arrives, lets other Python threads run during a step.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "model.h"
#include "sampling.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace codegeex {
namespace {

template <class T, int kDimensions>
using Array = nb::ndarray<const T, nb::ndim<kDimensions>, nb::c_contig, nb::device::cpu>;
using Logits = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

// One step at a time: Python threads that share a model wait for each other instead of mixing their tokens.
class LockedModel {
 public:
  LockedModel(const Shape& shape, int threads, int cache_pages, const std::string& kernels)
      : model_(shape, threads, cache_pages, kernels) {}

  void set_linear(int layer, const std::string& name, Array<int8_t, 2> weights, Array<float, 1> scales,
                  Array<float, 1> bias) {
    require(scales.shape(0) == weights.shape(0) && bias.shape(0) == weights.shape(0),
            "the matrix of '" + name + "' needs one scale and one bias for each row");
    model_.set_linear(layer, name, weights.data(), int(weights.shape(0)), int(weights.shape(1)), scales.data(),
                      bias.data());
  }

  void set_norm(int layer, const std::string& name, Array<float, 1> weight, Array<float, 1> bias) {
    require(weight.shape(0) == bias.shape(0), "the layer norm '" + name + "' needs as many biases as weights");
    model_.set_norm(layer, name, weight.data(), bias.data(), int(weight.shape(0)));
  }

  void set_tables(nb::object words, nb::object positions, nb::object queries) {
    model_.set_tables(table(words), table(positions), table(queries));
    tables_ = {words, positions, queries};
  }

  void check_complete() { model_.check_complete(); }

  int open() { return with_cache([](Cache& cache) { return cache.open(); }); }
  int fork(int sequence) { return with_cache([=](Cache& cache) { return cache.fork(sequence); }); }
  void free(int sequence) { with_cache([=](Cache& cache) { return cache.free(sequence), 0; }); }
  void truncate(int sequence, int length) { with_cache([=](Cache& cache) { return cache.truncate(sequence, length), 0; }); }
  int length(int sequence) { return with_cache([=](Cache& cache) { return cache.length(sequence); }); }
  int free_pages() { return with_cache([](Cache& cache) { return cache.free_pages(); }); }

  void step(const std::vector<int>& sequences, const std::vector<int>& tokens, const std::vector<int>& wanted,
            const std::vector<int>& ids, Logits logits) {
    require(sequences.size() == tokens.size() && tokens.size() == wanted.size(), "lists of different lengths");
    std::vector<Work> work;
    std::size_t total = 0, rows = 0;
    for (std::size_t i = 0; i < sequences.size(); i++) {
      require(tokens[i] >= 0 && wanted[i] >= 0, "a count below zero");
      work.push_back({sequences[i], tokens[i], wanted[i]});
      total += std::size_t(tokens[i]), rows += std::size_t(wanted[i]);
    }
    require(ids.size() == total, "the counts of tokens do not add up to the ids");
    require(logits.shape(0) == rows && logits.shape(1) == std::size_t(model_.shape().vocabulary),
            "the logits have the wrong shape");
    const nb::gil_scoped_release released;
    const std::lock_guard lock(mutex_);
    model_.step(work, ids.data(), logits.data());
  }

  std::string kernels() const { return model_.kernels(); }
  int threads() const { return model_.threads(); }
  std::size_t weight_bytes() const { return model_.weight_bytes(); }

  double read_bandwidth(std::size_t bytes, int rounds) {
    require(bytes >= 64 && rounds > 0, "reading needs at least 64 bytes and one round");
    const nb::gil_scoped_release released;
    const std::lock_guard lock(mutex_);
    if (scratch_.bytes() != bytes) scratch_ = Buffer(), scratch_ = Buffer(bytes);
    double best = 0;
    for (int round = 0; round < rounds; round++) {
      const auto begin = std::chrono::steady_clock::now();
      checksum_ += model_.read_all(scratch_);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      best = std::max(best, double(bytes) / seconds.count());
    }
    return best;
  }

 private:
  template <class F>
  int with_cache(F&& use) {
    const nb::gil_scoped_release released;
    const std::lock_guard lock(mutex_);
    return use(model_.cache());
  }

  static Table table(nb::object array) {
    nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu> matrix;
    // Without conversion: a copy would be gone before its first use.
    require(nb::try_cast(array, matrix, false), "an embedding table must be a matrix whose rows follow each other");
    Table result;
    if (matrix.dtype() == nb::dtype<float>())
      result.number = Number::kFloat32;
    else if (matrix.dtype().code == uint8_t(nb::dlpack::dtype_code::Float) && matrix.dtype().bits == 16)
      result.number = Number::kFloat16;
    else if (matrix.dtype() == nb::dtype<uint16_t>())
      result.number = Number::kBfloat16;
    else
      throw std::invalid_argument("an embedding table must be float32, float16 or the bits of bfloat16 as uint16");
    result.data = matrix.data();
    result.rows = int(matrix.shape(0)), result.columns = int(matrix.shape(1));
    return result;
  }

  Model model_;
  std::mutex mutex_;
  std::vector<nb::object> tables_;
  Buffer scratch_;
  unsigned long long checksum_ = 0;
};

Distribution make_distribution(Array<float, 1> logits, float temperature, int top_k, float top_p) {
  require(logits.shape(0) > 0, "there are no logits");
  require(temperature >= 0 && std::isfinite(temperature) && top_k >= 0 && top_p > 0 && top_p <= 1,
          "impossible sampling arguments");
  static const Kernels* const kernels = find_kernels("auto");
  return {*kernels, logits.data(), int(logits.shape(0)), {temperature, top_k, top_p}};
}

nb::tuple draw(const Distribution& distribution, double uniform) {
  require(uniform >= 0 && uniform < 1, "impossible sampling arguments");
  const Choice choice = distribution.draw(uniform);
  return nb::make_tuple(choice.token, choice.logprob);
}

}  // namespace
}  // namespace codegeex

NB_MODULE(_native, module) {
  using codegeex::LockedModel;
  module.doc() = "The int8 engine in C++; codegeex.engine.native_backend is its user.";
  module.attr("PAGE_TOKENS") = codegeex::kPageTokens;
  module.def(
      "available_kernels",
      [] {
        std::vector<std::string> names;
        for (const char* name : {"avx512", "avxvnni", "avx2", "portable"})
          if (codegeex::find_kernels(name)) names.emplace_back(name);
        return names;
      },
      "Kernels that this processor can run, the best first.");
  module.def("page_bytes", [](int hidden, int layers, int heads) {
    codegeex::require(hidden > 0 && layers >= 0 && heads > 0, "every size must be positive");
    return codegeex::Shape{hidden, layers, heads, 1, 1, 1, 0}.page_halfs() * 2;
  }, "Bytes that a page of the key-value cache takes.", "hidden"_a, "layers"_a, "heads"_a);
  nb::class_<codegeex::Distribution>(module, "Distribution", "What a token is drawn from, given logits [V].")
      .def(
          "__init__",
          [](codegeex::Distribution* self, codegeex::Array<float, 1> logits, float temperature, int top_k, float top_p) {
            new (self) codegeex::Distribution(codegeex::make_distribution(logits, temperature, top_k, top_p));
          },
          "logits"_a.noconvert(), "temperature"_a, "top_k"_a, "top_p"_a)
      .def("draw", codegeex::draw, "The token that `uniform` in [0, 1) points at, and its log-probability.", "uniform"_a);
  nb::class_<LockedModel>(module, "Model")
      .def(
          "__init__",
          [](LockedModel* self, int hidden, int layers, int heads, int vocabulary, int positions, int ffn,
             float epsilon, int threads, int cache_pages, const std::string& kernels) {
            codegeex::require(layers >= 0, "the number of layers is below zero");
            new (self) LockedModel({hidden, layers, heads, vocabulary, positions, ffn, epsilon}, threads, cache_pages,
                                   kernels);
          },
          nb::kw_only(), "hidden"_a, "layers"_a, "heads"_a, "vocabulary"_a, "positions"_a, "ffn"_a, "epsilon"_a,
          "threads"_a, "cache_pages"_a, "kernels"_a = "auto")
      .def("set_linear", &LockedModel::set_linear, "layer"_a, "name"_a, "weights"_a.noconvert(),
           "scales"_a.noconvert(), "bias"_a.noconvert())
      .def("set_norm", &LockedModel::set_norm, "layer"_a, "name"_a, "weight"_a.noconvert(), "bias"_a.noconvert())
      .def("set_tables", &LockedModel::set_tables, "words"_a, "positions"_a, "queries"_a)
      .def("check_complete", &LockedModel::check_complete)
      .def("open", &LockedModel::open)
      .def("fork", &LockedModel::fork, "sequence"_a)
      .def("free", &LockedModel::free, "sequence"_a)
      .def("truncate", &LockedModel::truncate, "sequence"_a, "length"_a)
      .def("length", &LockedModel::length, "sequence"_a)
      .def("step", &LockedModel::step, "sequences"_a, "tokens"_a, "wanted"_a, "ids"_a, "logits"_a.noconvert())
      .def("read_bandwidth", &LockedModel::read_bandwidth, "Best rate, in bytes a second, of reading memory.",
           "size"_a, "rounds"_a)
      .def_prop_ro("free_pages", &LockedModel::free_pages)
      .def_prop_ro("kernels", &LockedModel::kernels)
      .def_prop_ro("threads", &LockedModel::threads)
      .def_prop_ro("weight_bytes", &LockedModel::weight_bytes);
}
