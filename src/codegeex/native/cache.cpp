#include "cache.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

namespace codegeex {

// Memory comes in pieces of at least this size, so that huge pages pay.
constexpr std::size_t kSlabBytes = std::size_t(4) << 20;

const Cache::Sequence& Cache::at(int sequence) const {
  if (sequence < 0 || sequence >= int(sequences_.size()) || !sequences_[std::size_t(sequence)].open)
    throw std::invalid_argument("there is no open sequence " + std::to_string(sequence));
  return sequences_[std::size_t(sequence)];
}

int Cache::open() {
  if (closed_.empty()) {
    closed_.push_back(int(sequences_.size()));
    sequences_.emplace_back();
  }
  const int sequence = closed_.back();
  closed_.pop_back();
  sequences_[std::size_t(sequence)].open = true;
  return sequence;
}

int Cache::fork(int sequence) {
  at(sequence);
  const int twin = open();
  const Sequence& source = at(sequence);
  at(twin) = source;
  for (const int page : source.ids) holders_[std::size_t(page)]++;
  return twin;
}

void Cache::free(int sequence) {
  truncate(sequence, 0);
  at(sequence).open = false;
  closed_.push_back(sequence);
}

void Cache::truncate(int sequence, int length) {
  Sequence& entry = at(sequence);
  if (length < 0 || length > entry.length)
    throw std::invalid_argument("a sequence of " + std::to_string(entry.length) + " tokens cannot be cut to " +
                                std::to_string(length));
  const auto kept = std::size_t(divide_up(length, kPageTokens));
  for (std::size_t i = kept; i < entry.ids.size(); i++) release(entry.ids[i]);
  entry.ids.resize(kept);
  entry.pages.resize(kept);
  entry.length = length;
}

int Cache::pages_to_append(int sequence, int tokens) const {
  const Sequence& entry = at(sequence);
  const int fresh = divide_up(entry.length + tokens, kPageTokens) - int(entry.ids.size());
  const bool partial = entry.length % kPageTokens != 0;
  const bool shared = tokens > 0 && partial && holders_[std::size_t(entry.ids.back())] > 1;
  return fresh + (shared ? 1 : 0);
}

void Cache::append(int sequence, int tokens) {
  Sequence& entry = at(sequence);
  if (pages_to_append(sequence, tokens) > free_pages()) throw std::bad_alloc();
  if (tokens > 0 && entry.length % kPageTokens != 0 && holders_[std::size_t(entry.ids.back())] > 1) {
    const int page = take_page();
    std::memcpy(places_[std::size_t(page)], entry.pages.back(), page_halfs_ * sizeof(uint16_t));
    release(entry.ids.back());
    entry.ids.back() = page;
    entry.pages.back() = places_[std::size_t(page)];
  }
  const std::size_t held = entry.ids.size(), wanted = std::size_t(divide_up(entry.length + tokens, kPageTokens));
  try {
    entry.ids.reserve(wanted), entry.pages.reserve(wanted);
    while (entry.ids.size() < wanted) {
      entry.ids.push_back(take_page());
      entry.pages.push_back(places_[std::size_t(entry.ids.back())]);
    }
  } catch (...) {  // the system gives no memory for them
    for (; entry.ids.size() > held; entry.ids.pop_back()) release(entry.ids.back());
    entry.pages.resize(held);
    throw;
  }
  entry.length += tokens;
}

int Cache::take_page() {
  if (idle_.empty()) {
    const std::size_t page_bytes = page_halfs_ * sizeof(uint16_t);
    const int pages = std::clamp(int(kSlabBytes / page_bytes), 1, limit_ - int(places_.size()));
    slabs_.emplace_back(std::size_t(pages) * page_bytes);
    for (int i = pages - 1; i >= 0; i--) {
      idle_.push_back(int(places_.size()));
      places_.push_back(slabs_.back().as<uint16_t>() + std::size_t(i) * page_halfs_);
      holders_.push_back(0);
    }
  }
  const int page = idle_.back();
  idle_.pop_back();
  holders_[std::size_t(page)] = 1;
  used_++;
  return page;
}

void Cache::release(int page) {
  if (--holders_[std::size_t(page)] > 0) return;
  idle_.push_back(page);
  used_--;
}

}  // namespace codegeex
