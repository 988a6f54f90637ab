// The clock of the array: while anything moves in it, a stepped engine is ticked once a cycle.
#pragma once

#include <cstddef>
#include <functional>

#include <systemc>

#include "sim/cycle/stepped_engine.hpp"

namespace widthwise::sim {

class ArrayModule : public sc_core::sc_module {
 public:
  using Completed = std::function<void(std::size_t step)>;

  /// `completed` is called at the end of the cycle in which a step's last result is out.
  ArrayModule(sc_core::sc_module_name name, Completed completed);

  /// The engine of a layer, until the next call; none between layers.
  void use(SteppedEngine* engine) { engine_ = engine; }

  /// At a whole cycle, not before `start.begin`. step_over() tells when its stream has ended.
  void begin_step(const SteppedEngine::StepStart& start);
  [[nodiscard]] const sc_core::sc_event& step_over() const { return step_over_; }

 private:
  void tick();

  Completed completed_;
  SteppedEngine* engine_ = nullptr;
  bool awake_ = false;
  sc_core::sc_event wake_;
  sc_core::sc_event step_over_;
};

}  // namespace widthwise::sim
