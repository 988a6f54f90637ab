#include "sim/cycle/array_module.hpp"

#include <utility>

#include "sim/time.hpp"

namespace widthwise::sim {

ArrayModule::ArrayModule(sc_core::sc_module_name name, Completed completed)
    : sc_core::sc_module(name), completed_(std::move(completed)) {
  sc_core::sc_spawn_options options;
  options.spawn_method();
  options.dont_initialize();
  options.set_sensitivity(&wake_);
  sc_core::sc_spawn([this] { tick(); }, "tick", &options);
}

void ArrayModule::begin_step(const SteppedEngine::StepStart& start) {
  engine_->begin_step(start);
  if (awake_) return;
  awake_ = true;
  wake_.notify(time_of(kTicksPerCycle));
}

/// Runs at the end of a cycle: what began in it has been said by then.
void ArrayModule::tick() {
  if (engine_ == nullptr) {
    awake_ = false;
    return;
  }
  engine_->tick(now() / kTicksPerCycle - 1);
  for (const std::size_t step : engine_->completed()) completed_(step);
  if (engine_->step_over()) step_over_.notify(sc_core::SC_ZERO_TIME);
  awake_ = !engine_->idle();
  if (awake_) sc_core::next_trigger(time_of(kTicksPerCycle));
}

}  // namespace widthwise::sim
