// The key-value cache: sequences made of pages, and pages that sequences share until one of them writes.
//
// A page holds kPageTokens tokens of every layer and head in half precision. Forking a sequence copies its list of
// pages, not the pages: n samples of one prompt keep it once. Who appends to a page that others hold too gets a copy.

#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"
#include "memory.h"

namespace codegeex {

class Cache {
 public:
  // At most `limit` pages of `page_halfs` halfs; memory is taken when the first sequence needs it.
  Cache(std::size_t page_halfs, int limit) : page_halfs_(page_halfs), limit_(limit) {}

  // All of these throw std::invalid_argument for a sequence that is not open.
  int open();
  int fork(int sequence);
  void free(int sequence);
  void truncate(int sequence, int length);
  int length(int sequence) const { return at(sequence).length; }
  uint16_t* const* pages(int sequence) const { return at(sequence).pages.data(); }

  // Fresh pages that appending takes, the copy of a shared one included.
  int pages_to_append(int sequence, int tokens) const;
  int free_pages() const { return limit_ - used_; }

  // Makes room for `tokens` more and counts them as there. Throws std::bad_alloc without a free page.
  void append(int sequence, int tokens);

 private:
  struct Sequence {
    bool open = false;
    int length = 0;
    std::vector<uint16_t*> pages;
    std::vector<int> ids;  // of the pages
  };

  const Sequence& at(int sequence) const;
  Sequence& at(int sequence) { return const_cast<Sequence&>(std::as_const(*this).at(sequence)); }
  int take_page();
  void release(int page);

  const std::size_t page_halfs_;
  const int limit_;
  int used_ = 0;
  std::vector<Buffer> slabs_;
  std::vector<uint16_t*> places_;  // of each page
  std::vector<int> holders_;       // of each page
  std::vector<int> idle_;          // pages in memory that nobody holds
  std::vector<Sequence> sequences_;
  std::vector<int> closed_;
};

}  // namespace codegeex
