#include "memory.h"

#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace codegeex {

constexpr std::size_t kHugePage = std::size_t(2) << 20;

Buffer::Buffer(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : 64;
  data_ = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (!data_) throw std::bad_alloc();
#if defined(__linux__)
  if (bytes >= kHugePage) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
  std::memset(data_, 0, bytes);
}

Buffer::~Buffer() { std::free(data_); }

}  // namespace codegeex
