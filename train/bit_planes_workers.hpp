// Threads that wait for the parts of one product at a time.
//
// A product of a small layer takes tens of microseconds, less than starting a thread does; so they
// stay, look for work for a short while and then sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace widthwise {

class PlaneWorkers {
 public:
  /// The calling thread is one of them: `threads` - 1 are started. Precondition: threads >= 1.
  explicit PlaneWorkers(int threads);
  ~PlaneWorkers();
  PlaneWorkers(const PlaneWorkers&) = delete;
  PlaneWorkers& operator=(const PlaneWorkers&) = delete;

  [[nodiscard]] int threads() const { return static_cast<int>(started_.size()) + 1; }

  /// Calls work(0) .. work(threads - 1), each in a thread of its own, and returns when all have.
  /// The work throws nothing. Not from several threads at once.
  void run(const std::function<void(int part)>& work);

 private:
  void serve(int part);

  std::vector<std::thread> started_;
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<std::uint32_t> call_{0};     // grows with every call
  std::atomic<std::uint32_t> working_{0};  // started threads that have not returned from it
  std::atomic<bool> stop_{false};
};

}  // namespace widthwise
