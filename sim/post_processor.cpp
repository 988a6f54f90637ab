#include "sim/post_processor.hpp"

#include "sim/time.hpp"

namespace widthwise::sim {

PostProcessor::PostProcessor(sc_core::sc_module_name name, Context& context)
    : sc_core::sc_module(name), context_(context) {
  sc_core::sc_spawn_options options;
  options.spawn_method();
  sc_core::sc_spawn([this] { process(); }, "process", &options);
}

void PostProcessor::push(const Job& job) {
  jobs_.push_back(job);
  pushed_.notify(sc_core::SC_ZERO_TIME);
}

void PostProcessor::process() {
  while (true) {
    if (!at_work_) {
      if (jobs_.empty()) {
        sc_core::next_trigger(pushed_);
        return;
      }
      begin();
      if (job_.last && !context_.accelerator.ideal_memory) {
        job_.work += ticks_of(context_.accelerator.post_processing.latency.count());
      }
      if (job_.work > 0) {
        sc_core::next_trigger(time_of(job_.work));
        return;
      }
    }
    end();
  }
}

void PostProcessor::begin() {
  at_work_ = true;
  job_ = jobs_.front();
  jobs_.pop_front();
  began_ = now();
  context_.tell([&](Listener& listener) { listener.post_starts(began_); });
}

void PostProcessor::end() {
  at_work_ = false;
  context_.tell([&](Listener& listener) { listener.post_processes(job_.outputs, began_, now()); });
  context_.run->push_store(job_.fill, job_.bits, true);
  context_.work_for_dmas();
}

}  // namespace widthwise::sim
