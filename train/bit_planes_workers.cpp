#include "train/bit_planes_workers.hpp"

#include "models/base/error.hpp"

namespace widthwise {

namespace {

// Looks that a waiting thread takes before it sleeps: a few tens of microseconds.
constexpr int kLooks = 20'000;

template <class Value>
void wait_while(const std::atomic<Value>& value, Value old) {
  for (int look = 0; look < kLooks; ++look) {
    if (value.load(std::memory_order_acquire) != old) return;
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old);
}

}  // namespace

PlaneWorkers::PlaneWorkers(int threads) {
  ensure(threads >= 1, "threads of bit-planes");
  for (int part = 1; part < threads; ++part) {
    started_.emplace_back([this, part] { serve(part); });
  }
}

PlaneWorkers::~PlaneWorkers() {
  stop_ = true;
  ++call_;
  call_.notify_all();
  for (std::thread& thread : started_) thread.join();
}

void PlaneWorkers::run(const std::function<void(int part)>& work) {
  if (started_.empty()) return work(0);
  work_ = &work;
  working_ = static_cast<std::uint32_t>(started_.size());
  call_.fetch_add(1, std::memory_order_release);
  call_.notify_all();
  work(0);
  for (std::uint32_t left = working_; left != 0; left = working_) wait_while(working_, left);
}

void PlaneWorkers::serve(int part) {
  std::uint32_t seen = 0;
  while (true) {
    wait_while(call_, seen);
    ++seen;  // run() returns before it is called again, so that no call is passed over
    if (stop_) return;
    (*work_)(part);
    if (working_.fetch_sub(1, std::memory_order_acq_rel) == 1) working_.notify_all();
  }
}

}  // namespace widthwise
