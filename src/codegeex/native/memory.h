// Memory for weights, caches and intermediate results.

#pragma once

#include <cstddef>
#include <utility>

namespace codegeex {

// Zeroed bytes, aligned to 64. Large buffers ask for huge pages: walking 13 GB in pages of 4 KB misses the address
// cache at every page.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t bytes);  // throws std::bad_alloc
  ~Buffer();
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace codegeex
