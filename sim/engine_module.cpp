#include "sim/engine_module.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "sim/time.hpp"

namespace widthwise::sim {

EngineModule::EngineModule(sc_core::sc_module_name name, Context& context, PostProcessor& post,
                           const OperandOptions* operands)
    : sc_core::sc_module(name), context_(context), post_(post), operands_(operands) {
  if (operands_ != nullptr) {
    array_ = std::make_unique<ArrayModule>("array", [this](std::size_t step) {
      const LayerRun& run = *context_.run;
      release_output(run.steps[step], step + 1 == run.steps.size());
    });
  }
  sc_core::sc_spawn([this] { process(); }, "process");
  sc_core::sc_spawn_options options;
  options.spawn_method();
  options.dont_initialize();
  options.set_sensitivity(&leaves_);
  sc_core::sc_spawn([this] { let_out(); }, "let_out", &options);
}

void EngineModule::start(const LayerPlan& plan) {
  plan_ = &plan;
  start_.notify(sc_core::SC_ZERO_TIME);
}

void EngineModule::process() {
  while (true) {
    sc_core::wait(start_);
    if (array_ && plan_->engine) {
      compute_layer(*plan_);
    } else {
      run_layer(*plan_);
    }
  }
}

void EngineModule::wait_for_tiles(const StepRecord& step, Ticks idle_since, std::int64_t preload,
                                  bool first) {
  LayerRun& run = *context_.run;
  const auto& output = run.banks[static_cast<int>(Bank::output)];
  const auto room = [&] { return step.output_fill < output.released + output.slots; };
  const auto there = [&] {
    return run.ready(Bank::input, step.input_fill) && run.ready(Bank::weight, step.weight_fill) &&
           (!step.starts_output || (room() && run.ready(Bank::output, step.output_fill)));
  };
  while (!there()) sc_core::wait(context_.tiles_moved);

  // When each of them was there; the last one is what the array waited for.
  const auto at = [&](Bank bank, std::int64_t fill) {
    return run.banks[static_cast<std::size_t>(bank)].ready_at[static_cast<std::size_t>(fill)];
  };
  Ticks room_at = 0;
  if (step.starts_output && step.output_fill >= output.slots) {
    room_at = at(Bank::output, step.output_fill - output.slots);
  }
  const Ticks input_at = std::max(
      at(Bank::input, step.input_fill),
      step.loads_sums && step.starts_output ? at(Bank::output, step.output_fill) : Ticks{0});
  const Ticks weight_at = at(Bank::weight, step.weight_fill);
  // Slots are taken again in order: room may have come with an earlier tile that left later.
  const bool room_came_last =
      step.starts_output && now() > std::max({idle_since, input_at, weight_at, room_at});
  const std::array<std::pair<Ticks, Wait>, 3> causes{
      {{input_at, Wait::input},
       {weight_at, Wait::weight},
       {room_came_last ? now() : room_at, Wait::output}}};
  const auto last = *std::max_element(
      causes.begin(), causes.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  const Ticks begin =
      std::max(idle_since, ticks_of(cycles_rounded_up(std::max(last.first, now()))));
  if (begin > now()) sc_core::wait(time_of(begin - now()));
  if (begin > idle_since) {
    context_.tell(
        [&](Listener& listener) { listener.array_waits(last.second, idle_since, begin); });
  }
  // The first fold's stationary operand is loaded into the array before its stream starts; where
  // the weights came late this can not run under the stream before.
  if (!first && step.new_weight && preload > 0 && weight_at > 0) {
    const Ticks loaded = ticks_of(cycles_rounded_up(weight_at)) + ticks_of(preload);
    if (loaded > begin) {
      sc_core::wait(time_of(loaded - begin));
      context_.tell(
          [&](Listener& listener) { listener.array_waits(Wait::preload, begin, loaded); });
    }
  }
}

void EngineModule::run_layer(const LayerPlan& plan) {
  LayerRun& run = *context_.run;
  const std::int64_t start = plan.engine ? plan.engine->timing().start_cycles() : 0;
  const std::int64_t wavefront = plan.engine ? plan.engine->timing().wavefront_cycles() : 0;
  const std::int64_t finish = plan.engine ? plan.engine->timing().finish_cycles() : 0;
  const std::int64_t preload = plan.engine ? plan.engine->timing().preload_cycles() : 0;
  const std::int64_t credit = plan.engine ? plan.engine->last_credit(plan.tile) : 0;
  Ticks idle_since = now();
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    StepRecord& step = run.steps[i];
    const bool first = i == 0;
    const bool last = i + 1 == run.steps.size();
    wait_for_tiles(step, idle_since, preload, first);
    if (last) step.cost.cycles = step.cost.cycles.less(credit);
    const std::int64_t lead = first ? start : 0;
    const std::int64_t tail = last ? finish : 0;
    const Ticks begin = now();
    const std::int64_t cycles = lead + step.cost.cycles.total() + tail;
    if (cycles > 0) {
      context_.tell([&](Listener& listener) { listener.array_starts(begin); });
      sc_core::wait(time_of(ticks_of(cycles)));
    }
    idle_since = now();
    const std::int64_t start_up = lead + (last ? wavefront : 0);
    context_.tell([&](Listener& listener) {
      listener.array_runs(step.cost, start_up, lead + tail - start_up, begin, idle_since);
    });
    if (step.releases_input || last) ++run.banks[static_cast<int>(Bank::input)].released;
    if (step.releases_weight || last) ++run.banks[static_cast<int>(Bank::weight)].released;
    if (last || finish == 0 || !step.ends_output) {
      release_output(step, last);
      continue;
    }
    // The last results are still on their way through the array.
    leaving_.emplace_back(now() + ticks_of(finish), i);
    if (leaving_.size() == 1) leaves_.notify(time_of(ticks_of(finish)));
    context_.work_for_dmas();
  }
}

void EngineModule::let_out() {
  for (; !leaving_.empty() && leaving_.front().first <= now(); leaving_.pop_front()) {
    release_output(context_.run->steps[leaving_.front().second], false);
  }
  if (!leaving_.empty()) sc_core::next_trigger(time_of(leaving_.front().first - now()));
}

void EngineModule::release_output(const StepRecord& step, bool last) {
  if (step.ends_output) {
    if (step.completes_output) {
      post_.push(
          {step.output_fill, step.cost.output_bits, step.cost.outputs, step.post_work, last});
    } else {
      context_.run->push_store(step.output_fill, step.cost.output_bits, false);
    }
  }
  context_.work_for_dmas();
}

void EngineModule::compute_layer(const LayerPlan& plan) {
  LayerRun& run = *context_.run;
  LayerComputation computation(plan, context_.accelerator.engine, *operands_);
  SteppedEngine& stepped = computation.stepped();
  array_->use(&stepped);
  const Bank held =
      plan.engine->timing().schedule().streams == StreamAxis::n ? Bank::input : Bank::weight;
  Ticks idle_since = now();
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    StepRecord& step = run.steps[i];
    const bool last = i + 1 == run.steps.size();
    wait_for_tiles(step, idle_since, 0, i == 0);
    const Ticks begin = now();
    const std::int64_t fill = held == Bank::input ? step.input_fill : step.weight_fill;
    const Ticks held_since =
        run.banks[static_cast<std::size_t>(held)].ready_at[static_cast<std::size_t>(fill)];
    context_.tell([&](Listener& listener) { listener.array_starts(begin); });
    array_->begin_step({.step = step.step,
                        .number = i,
                        .begin = begin / kTicksPerCycle,
                        .held_since = cycles_rounded_up(held_since),
                        .last = last});
    sc_core::wait(array_->step_over());
    idle_since = now();
    step.cost.cycles = stepped.step_cycles();
    context_.tell([&](Listener& listener) {
      listener.array_runs(step.cost, stepped.start_up(), stepped.emptying(), begin, idle_since);
    });
    if (step.releases_input || last) ++run.banks[static_cast<int>(Bank::input)].released;
    if (step.releases_weight || last) ++run.banks[static_cast<int>(Bank::weight)].released;
    context_.work_for_dmas();
  }
  array_->use(nullptr);
  stepped.finish(now() / kTicksPerCycle);
  const LayerNumerics numerics = computation.check();
  context_.tell([&](Listener& listener) { listener.layer_computed(numerics); });
}

}  // namespace widthwise::sim
