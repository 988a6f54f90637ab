#include "sim/simulation.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <utility>

#include "models/base/error.hpp"
#include "sim/chrome_trace.hpp"
#include "sim/collectors.hpp"
#include "sim/machine.hpp"
#include "sim/waveforms.hpp"

namespace widthwise {

namespace sim {

namespace {

/// Bytes in flight that hide a memory's latency.
std::int64_t window_bytes(double bandwidth, Cycles latency) {
  return static_cast<std::int64_t>(std::ceil(bandwidth * static_cast<double>(latency.count()) / 8));
}

Dma::Config dram_dma(const Accelerator& accelerator) {
  const Memory& memory = accelerator.memory;
  return {.home = Home::dram,
          .request_bytes = memory.dram.request.count(),
          .outstanding = memory.dram.outstanding,
          .window_bytes = window_bytes(memory.dram.bandwidth, memory.dram.latency),
          .input_port = memory.input_buffer.write_port,
          .weight_port = memory.weight_buffer.write_port};
}

Dma::Config scratchpad_dma(const Accelerator& accelerator) {
  Dma::Config config = dram_dma(accelerator);
  config.home = Home::scratchpad;
  config.window_bytes = window_bytes(accelerator.memory.scratchpad->bandwidth,
                                     accelerator.memory.scratchpad->latency);
  return config;
}

/// SystemC's own messages: warnings and errors of its kernel are bugs of ours; the rest is silent.
void silence_systemc() {
  sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
  sc_core::sc_report_handler::set_actions(sc_core::SC_WARNING, sc_core::SC_THROW);
  sc_core::sc_report_handler::set_actions(sc_core::SC_ERROR, sc_core::SC_THROW);
}

}  // namespace

Machine::Machine(sc_core::sc_module_name name, const Accelerator& accelerator, LayerSource layers,
                 std::vector<Listener*> listeners, const BindDram& bind_dram,
                 const OperandOptions* operands)
    : sc_core::sc_module(name),
      context_(accelerator, std::move(listeners)),
      dram_dma_("dram_dma", context_, dram_dma(accelerator)),
      post_("post", context_),
      engine_("engine", context_, post_, operands),
      sequencer_("sequencer", context_, engine_, std::move(layers)) {
  const Memory& memory = accelerator.memory;
  context_.dmas.push_back(&dram_dma_);
  if (bind_dram) {
    bind_dram(dram_dma_.socket);
  } else {
    dram_ = std::make_unique<MemoryChannel>("dram", memory.dram.bandwidth, memory.dram.latency);
    dram_dma_.socket.bind(dram_->socket);
  }
  if (memory.scratchpad) {
    scratchpad_ = std::make_unique<MemoryChannel>("scratchpad", memory.scratchpad->bandwidth,
                                                  memory.scratchpad->latency);
    scratchpad_dma_ =
        std::make_unique<Dma>("scratchpad_dma", context_, scratchpad_dma(accelerator));
    scratchpad_dma_->socket.bind(scratchpad_->socket);
    context_.dmas.push_back(scratchpad_dma_.get());
  }
}

void check_step_count(const LayerPlan& layer, const Accelerator& accelerator,
                      Diagnostics& problems) {
  constexpr std::int64_t kMostSteps = 4'000'000;
  const std::int64_t steps =
      layer.engine ? layer.engine->step_count(layer.tile) : layer.vector->chunks;
  if (steps <= kMostSteps) return;
  problems.error({accelerator.source}, "layer '" + layer.setting.layer->name + "'",
                 "expected at most " + std::to_string(kMostSteps) + " tiles to simulate, got " +
                     std::to_string(steps) + "; larger buffers or --fidelity analytic will do");
}

void Machine::run() {
  sc_core::sc_start();
  ensure(sequencer_.finished(), "layer '" + sequencer_.at_work() + "' got stuck in the simulation");
  for (const Dma* dma : context_.dmas) ensure(dma->idle(), "the simulation ends drained");
}

CostReport simulate_plan(const NetworkPlan& plan, std::vector<Listener*> listeners,
                         const Progress& progress, const BindDram& bind_dram,
                         const OperandOptions* operands) {
  Diagnostics problems;
  for (const LayerPlan& layer : plan.layers) check_step_count(layer, *plan.accelerator, problems);
  problems.throw_if_any();
  silence_systemc();
  CostCollector collector(*plan.accelerator, plan.energy);
  listeners.push_back(&collector);
  std::size_t at = 0;
  const auto next = [&]() -> const LayerPlan* {
    const bool more = at < plan.layers.size();
    if (progress) {
      progress(at, plan.layers.size(), more ? plan.layers[at].setting.layer->name : "");
    }
    return more ? &plan.layers[at++] : nullptr;
  };
  Machine machine("machine", *plan.accelerator, next, std::move(listeners), bind_dram, operands);
  machine.run();
  CostReport report = describe_run(plan, operands != nullptr ? Fidelity::cycle : Fidelity::tile);
  report.layers = collector.take_layers();
  return report;
}

void simulate_layers(const Accelerator& accelerator, const EnergyModel& energy,
                     const LayerSource& next, const std::function<void(LayerCost)>& done,
                     const OperandOptions* operands) {
  silence_systemc();
  CostCollector collector(accelerator, energy);
  const auto take_then_next = [&]() -> const LayerPlan* {
    for (LayerCost& cost : collector.take_layers()) done(std::move(cost));
    return next();
  };
  Machine machine("machine", accelerator, take_then_next, {&collector}, {}, operands);
  machine.run();
}

}  // namespace sim

CostReport simulate(const Network& network, const WidthPlan& widths, const Accelerator& accelerator,
                    const EnergyTable& energy, const SimulationOptions& options) {
  const NetworkPlan plan = plan_network(network, widths, accelerator, energy);
  sim::silence_systemc();
  std::vector<sim::Listener*> listeners;
  std::unique_ptr<sim::ChromeTrace> trace;
  std::unique_ptr<sim::Waveforms> waveforms;
  if (!options.trace_path.empty()) {
    trace = std::make_unique<sim::ChromeTrace>(accelerator.clock);
    listeners.push_back(trace.get());
  }
  if (!options.vcd_path.empty()) {
    waveforms = std::make_unique<sim::Waveforms>(options.vcd_path);
    listeners.push_back(waveforms.get());
  }
  CostReport report = sim::simulate_plan(plan, listeners, options.progress, {},
                                         options.step_cycles ? &options.operands : nullptr);
  if (trace) {
    std::ofstream file(options.trace_path, std::ios::binary);
    file << trace->text(network.name() + " on " + accelerator.name);
    file.close();
    if (!file) throw InputError({options.trace_path}, "--trace", "cannot write the timeline");
  }
  return report;
}

}  // namespace widthwise
