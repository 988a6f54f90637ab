// The post-processing unit: requantizes, activates, pools and adds the output tiles in the order in
// which the array completes them, `lanes` elements a cycle, and hands them to the DMA. Its pipeline
// depth shows once, after the last tile of a layer.
#pragma once

#include <deque>

#include <systemc>

#include "sim/context.hpp"

namespace widthwise::sim {

class PostProcessor : public sc_core::sc_module {
 public:
  PostProcessor(sc_core::sc_module_name name, Context& context);

  struct Job {
    std::int64_t fill = 0;  // output tile
    std::int64_t bits = 0;  // that leave
    std::int64_t outputs = 0;
    Ticks work = 0;
    bool last = false;  // of the layer
  };
  void push(const Job& job);

 private:
  void process();  // a method: threads cost twice as much
  void begin();
  void end();

  Context& context_;
  std::deque<Job> jobs_;
  sc_core::sc_event pushed_;
  bool at_work_ = false;
  Job job_;  // at work
  Ticks began_ = 0;
};

}  // namespace widthwise::sim
