#include "threads.h"

#include <sched.h>
#include <unistd.h>

#include <stdexcept>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace codegeex {
namespace {

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

constexpr int kSpins = 2000;        // some 50 microseconds: longer than a balanced phase keeps anyone waiting
constexpr int kYieldsToSleep = 200; // between steps, while Python chooses the next tokens

// Spins until `value` differs from `old`. After a while it lets others run: on a busy machine the thread waited for
// may need this very core.
void spin_while(const std::atomic<unsigned>& value, unsigned old) {
  for (int spin = 0; value.load(std::memory_order_acquire) == old; spin++) {
    if (spin < kSpins)
      pause();
    else
      sched_yield();
  }
}

}  // namespace

Threads::Threads(int count) : count_(count), owner_(getpid()) {
  if (count < 1) throw std::invalid_argument("there must be at least one thread");
  threads_.reserve(std::size_t(count - 1));
  try {
    for (int index = 1; index < count; index++) threads_.emplace_back([this, index] { work(index); });
  } catch (...) {  // the system has no more; those that are there must not outlive the pool
    stop();
    throw;
  }
}

Threads::~Threads() {
  if (getpid() != owner_) {  // a forked child has no such threads to wait for
    for (auto& thread : threads_) thread.detach();
    return;
  }
  stop();
}

void Threads::stop() {
  stopping_ = true;
  started_.fetch_add(1);
  started_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Threads::run(const std::function<void(int)>& job) {
  if (getpid() != owner_) throw std::runtime_error("the model was loaded before this process was forked; load it anew");
  job_ = &job;
  if (count_ > 1) {
    started_.fetch_add(1, std::memory_order_release);
    started_.notify_all();
  }
  job(0);
  barrier();
}

void Threads::barrier() {
  if (count_ == 1) return;
  const unsigned turn = passed_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == unsigned(count_)) {
    arrived_.store(0, std::memory_order_relaxed);
    passed_.fetch_add(1, std::memory_order_release);
  } else {
    spin_while(passed_, turn);
  }
}

void Threads::work(int index) {
  unsigned seen = 0;
  while (true) {
    for (int spin = 0; started_.load(std::memory_order_acquire) == seen; spin++) {
      if (spin < kSpins)
        pause();
      else if (spin < kSpins + kYieldsToSleep)
        sched_yield();
      else
        started_.wait(seen, std::memory_order_acquire);
    }
    seen++;
    if (stopping_) return;
    (*job_)(index);
    barrier();
  }
}

}  // namespace codegeex
