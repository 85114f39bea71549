// A pool of threads that run one function together and meet at barriers inside it.
//
// A step of a small model lasts a millisecond and has a hundred barriers, so waiting threads spin: waking one through
// the kernel takes 50 microseconds. Between steps they spin for a short while, then sleep.

#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace codegeex {

class Threads {
 public:
  explicit Threads(int count);  // at least 1, the calling thread included
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int count() const { return count_; }

  // Calls job(0) here and job(1) ... job(count - 1) on the other threads; returns when all are done. Throws
  // std::runtime_error in a process forked from the one that made the pool, where the other threads do not exist.
  void run(const std::function<void(int)>& job);

  // Inside a job: waits until every thread has come here.
  void barrier();

 private:
  void work(int index);
  void stop();

  const int count_;
  const long owner_;
  std::vector<std::thread> threads_;
  const std::function<void(int)>* job_ = nullptr;
  alignas(64) std::atomic<unsigned> started_{0};
  alignas(64) std::atomic<unsigned> arrived_{0};
  alignas(64) std::atomic<unsigned> passed_{0};
  std::atomic<bool> stopping_{false};
};

}  // namespace codegeex
