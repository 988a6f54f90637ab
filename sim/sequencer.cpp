#include "sim/sequencer.hpp"

#include <utility>

#include "sim/time.hpp"

namespace widthwise::sim {

Sequencer::Sequencer(sc_core::sc_module_name name, Context& context, EngineModule& engine,
                     LayerSource source)
    : sc_core::sc_module(name), context_(context), engine_(engine), source_(std::move(source)) {
  sc_core::sc_spawn([this] { process(); }, "process");
}

void Sequencer::process() {
  std::size_t i = 0;
  for (const LayerPlan* next = source_(); next != nullptr; next = source_(), ++i) {
    const LayerPlan& layer = *next;
    at_work_ = layer.setting.layer->name;
    const std::int64_t repeats = layer.engine ? layer.engine->shape().repeat : 1;
    // Nothing crosses from one repeat to the next but weights that stay: all repeats are alike, or
    // all but the first.
    if (repeats > 1 && layer.engine->weights_stay(layer.tile)) {
      play(i, layer, true, 1);
      play(i, layer, false, repeats - 1);
    } else {
      play(i, layer, true, repeats);
    }
  }
  finished_ = true;
}

void Sequencer::play(std::size_t index, const LayerPlan& layer, bool first, std::int64_t weight) {
  LayerRun run(layer, context_.accelerator, first);
  context_.run = &run;
  context_.tell([&](Listener& listener) { listener.layer_begins(index, layer, weight, now()); });
  engine_.start(layer);
  context_.work_for_dmas();
  while (run.stores_left > 0) sc_core::wait(context_.layer_done);
  const Ticks end = ticks_of(cycles_rounded_up(now()));
  if (end > now()) sc_core::wait(time_of(end - now()));
  context_.tell([&](Listener& listener) { listener.layer_ends(index, layer, now()); });
  context_.run = nullptr;
}

}  // namespace widthwise::sim
