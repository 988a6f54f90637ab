#include "sim/collectors.hpp"

#include <algorithm>
#include <utility>

namespace widthwise::sim {

namespace {

Activity scaled(const Activity& activity, std::int64_t factor) {
  Activity result = activity;
  result.operations *= static_cast<double>(factor);
  result.array_active *= factor;
  for (Bits Activity::*member :
       {&Activity::input_buffer_read, &Activity::input_buffer_write, &Activity::weight_buffer_read,
        &Activity::weight_buffer_write, &Activity::output_buffer_read,
        &Activity::output_buffer_write, &Activity::scratchpad_read, &Activity::scratchpad_write}) {
    result.*member *= factor;
  }
  result.dram_read *= factor;
  result.dram_write *= factor;
  result.post_outputs *= static_cast<double>(factor);
  result.post_operations *= static_cast<double>(factor);
  return result;
}

void add(Activity& sum, const Activity& more) {
  sum.operations += more.operations;
  sum.array_active += more.array_active;
  for (Bits Activity::*member :
       {&Activity::input_buffer_read, &Activity::input_buffer_write, &Activity::weight_buffer_read,
        &Activity::weight_buffer_write, &Activity::output_buffer_read,
        &Activity::output_buffer_write, &Activity::scratchpad_read, &Activity::scratchpad_write}) {
    sum.*member += more.*member;
  }
  sum.dram_read += more.dram_read;
  sum.dram_write += more.dram_write;
  sum.post_outputs += more.post_outputs;
  sum.post_operations += more.post_operations;
}

CycleBreakdown scaled(const CycleBreakdown& cycles, std::int64_t factor) {
  CycleBreakdown result = cycles;
  for (Cycles CycleBreakdown::*member :
       {&CycleBreakdown::busy, &CycleBreakdown::fill, &CycleBreakdown::drain,
        &CycleBreakdown::stall_input, &CycleBreakdown::stall_weight, &CycleBreakdown::stall_output,
        &CycleBreakdown::post}) {
    result.*member *= factor;
  }
  return result;
}

LayerCost begun_cost(const LayerPlan& plan) {
  LayerCost cost = describe_layer(plan);
  if (plan.engine) {
    Activity& activity = cost.activity;
    activity.operation_weight_bits = plan.engine->mode().operation.weight;
    activity.operation_activation_bits = plan.engine->mode().operation.activation;
    activity.operations_per_accumulation = static_cast<double>(plan.engine->mode().products);
    activity.accumulator_bits = plan.setting.accumulator_bits;
  }
  return cost;
}

}  // namespace

CostCollector::CostCollector(const Accelerator& accelerator, const EnergyModel& energy)
    : accelerator_(accelerator), energy_(energy) {}

void CostCollector::layer_begins(std::size_t index, const LayerPlan& plan, std::int64_t weight,
                                 Ticks at) {
  if (index_ != index) {  // else a further run of the same layer
    index_ = index;
    layers_.push_back(begun_cost(plan));
    plans_.push_back(&plan);
  }
  run_ = Run{};
  run_.weight = weight;
  run_.began = run_.array_ended = run_.post_ended = at;
  if (plan.engine) {
    const ComputeShape& shape = plan.engine->shape();
    const std::int64_t macs = shape.macs() / shape.repeat;
    run_.activity.operations = static_cast<double>(macs) * plan.engine->mode().operations_per_mac;
  }
}

void CostCollector::layer_computed(const LayerNumerics& numerics) { run_.numerics = numerics; }

void CostCollector::array_waits(Wait cause, Ticks from, Ticks to) {
  const Cycles cycles((to - from) / kTicksPerCycle);
  switch (cause) {
    case Wait::input:
      run_.cycles.stall_input += cycles;
      break;
    case Wait::weight:
      run_.cycles.stall_weight += cycles;
      break;
    case Wait::output:
      run_.cycles.stall_output += cycles;
      break;
    case Wait::preload:
      run_.cycles.fill += cycles;
      break;
  }
}

void CostCollector::array_runs(const StepCost& cost, std::int64_t start_up, std::int64_t emptying,
                               Ticks, Ticks to) {
  CycleBreakdown& cycles = run_.cycles;
  cycles.busy += Cycles(cost.cycles.busy);
  cycles.fill += Cycles(cost.cycles.fill + start_up);
  cycles.drain += Cycles(cost.cycles.drain + emptying);
  cycles.stall_input += Cycles(cost.cycles.wait_input);
  cycles.stall_weight += Cycles(cost.cycles.wait_weight);
  run_.array_ended = to;
  Activity& activity = run_.activity;
  activity.array_active += Cycles(cost.cycles.total() + start_up + emptying);
  activity.input_buffer_read += Bits(cost.traffic.input_read);
  activity.weight_buffer_read += Bits(cost.traffic.weight_read);
  activity.output_buffer_read += Bits(cost.traffic.sums_read);
  activity.output_buffer_write += Bits(cost.traffic.sums_written);
}

void CostCollector::transfer(Stream stream, Home home, std::int64_t bytes, std::int64_t bits,
                             std::int64_t buffer_bits, Ticks, Ticks) {
  Activity& activity = run_.activity;
  const bool store = stream == Stream::output || stream == Stream::sums_out;
  if (home == Home::dram) {
    (store ? activity.dram_write : activity.dram_read) += Bytes(bytes);
  } else {
    (store ? activity.scratchpad_write : activity.scratchpad_read) += Bits(bits);
  }
  switch (stream) {
    case Stream::input:
      activity.input_buffer_write += Bits(buffer_bits);
      run_.input_bits += bits;
      break;
    case Stream::weight:
      activity.weight_buffer_write += Bits(buffer_bits);
      break;
    case Stream::sums_in:
      activity.output_buffer_write += Bits(buffer_bits);
      break;
    case Stream::sums_out:
      activity.output_buffer_read += Bits(bits);
      break;
    case Stream::output:
      run_.output_bits += bits;
      break;
  }
}

void CostCollector::post_processes(std::int64_t outputs, Ticks from, Ticks to) {
  run_.post_busy += to - from;
  run_.post_ended = to;
  run_.activity.post_outputs += static_cast<double>(outputs);
}

void CostCollector::end_engine_run(const LayerPlan& plan, std::int64_t latency) {
  // After the array has emptied: post-processing of the last tile, then its way out.
  const std::int64_t array = (run_.array_ended - run_.began) / kTicksPerCycle;
  const std::int64_t post = std::min(cycles_rounded_up(run_.post_ended - run_.began), latency);
  run_.cycles.post = Cycles(post - array);
  run_.cycles.stall_output += Cycles(latency - post);
  Activity& activity = run_.activity;
  activity.output_buffer_read +=
      Bits(static_cast<std::int64_t>(activity.post_outputs) * plan.setting.accumulator_bits);
  activity.post_operations =
      activity.post_outputs * static_cast<double>(plan.setting.layer->fused.size());
}

void CostCollector::end_vector_run(std::int64_t latency) {
  // The array has no part in it: post-processing, and what it waits for by bits moved.
  run_.cycles = CycleBreakdown{};
  const std::int64_t post = std::min(latency, cycles_rounded_up(run_.post_busy));
  const std::int64_t rest = latency - post;
  const std::int64_t bits = run_.input_bits + run_.output_bits;
  const auto input = bits > 0 ? static_cast<std::int64_t>(static_cast<double>(rest) *
                                                          static_cast<double>(run_.input_bits) /
                                                          static_cast<double>(bits))
                              : rest;
  run_.cycles.post = Cycles(post);
  run_.cycles.stall_input = Cycles(input);
  run_.cycles.stall_output = Cycles(rest - input);
  Activity& activity = run_.activity;
  activity.input_buffer_read = activity.input_buffer_write;
  activity.output_buffer_read = activity.output_buffer_write = Bits(run_.output_bits);
}

void CostCollector::layer_ends(std::size_t, const LayerPlan& plan, Ticks at) {
  LayerCost& cost = layers_.back();
  const std::int64_t latency = (at - run_.began) / kTicksPerCycle;
  if (plan.engine) {
    end_engine_run(plan, latency);
  } else {
    end_vector_run(latency);
    run_.activity.post_operations = plan.vector->operations;
  }
  if (run_.numerics && !cost.numerics) {
    cost.numerics = run_.numerics;
  } else if (run_.numerics) {
    cost.numerics->outputs += run_.numerics->outputs;
    cost.numerics->wrong_outputs += run_.numerics->wrong_outputs;
    cost.numerics->overflows += run_.numerics->overflows;
  }
  cost.latency += Cycles(latency * run_.weight);
  cost.cycles += scaled(run_.cycles, run_.weight);
  add(cost.activity, scaled(run_.activity, run_.weight));
}

std::vector<LayerCost> CostCollector::take_layers() {
  for (std::size_t i = 0; i < layers_.size(); ++i)
    complete_cost(layers_[i], *plans_[i], accelerator_, energy_);
  plans_.clear();
  return std::exchange(layers_, {});
}

}  // namespace widthwise::sim
