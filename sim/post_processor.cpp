#include "sim/post_processor.hpp"

#include "sim/time.hpp"

namespace widthwise::sim {

PostProcessor::PostProcessor(sc_core::sc_module_name name, Context& context)
    : sc_core::sc_module(name), context_(context) {
  sc_core::sc_spawn([this] { process(); }, "process");
}

void PostProcessor::push(const Job& job) {
  jobs_.push_back(job);
  pushed_.notify(sc_core::SC_ZERO_TIME);
}

void PostProcessor::process() {
  const Ticks depth = context_.accelerator.ideal_memory
                          ? 0
                          : ticks_of(context_.accelerator.post_processing.latency.count());
  while (true) {
    if (jobs_.empty()) {
      sc_core::wait(pushed_);
      continue;
    }
    const Job job = jobs_.front();
    jobs_.pop_front();
    const Ticks begin = now();
    context_.tell([&](Listener& listener) { listener.post_starts(begin); });
    const Ticks time = job.work + (job.last ? depth : 0);
    if (time > 0) sc_core::wait(time_of(time));
    if (job.last) finished_at_ = now();
    context_.tell([&](Listener& listener) { listener.post_processes(job.outputs, begin, now()); });
    context_.run->push_store(job.fill, job.bits, true);
    context_.work_for_dmas();
  }
}

}  // namespace widthwise::sim
