// The whole machine in SystemC: reading its constructor is reading the architecture.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <systemc>
#include <tlm>

#include "sim/context.hpp"
#include "sim/dma.hpp"
#include "sim/engine_module.hpp"
#include "sim/memory_channel.hpp"
#include "sim/post_processor.hpp"
#include "sim/sequencer.hpp"

namespace widthwise::sim {

/// Binds a DRAM model of the user's own: called during elaboration with the DMA's initiator socket.
/// Its b_transport may annotate a delay or wait.
using BindDram = std::function<void(tlm::tlm_base_initiator_socket<>&)>;

class Machine : public sc_core::sc_module {
 public:
  Machine(sc_core::sc_module_name name, const Accelerator& accelerator, LayerSource layers,
          std::vector<Listener*> listeners, const BindDram& bind_dram = {},
          const OperandOptions* operands = nullptr);

  /// Simulates until nothing is left to do. Throws InternalError if a layer got stuck or something
  /// is still in flight at the end.
  void run();

 private:
  Context context_;
  std::unique_ptr<MemoryChannel> dram_;
  std::unique_ptr<MemoryChannel> scratchpad_;
  Dma dram_dma_;
  std::unique_ptr<Dma> scratchpad_dma_;
  PostProcessor post_;
  EngineModule engine_;
  Sequencer sequencer_;
};

/// Adds to `problems` if a layer has too many tiles to simulate: its steps are kept in memory, some
/// hundred bytes each.
void check_step_count(const LayerPlan& layer, const Accelerator& accelerator,
                      Diagnostics& problems);

/// How far a simulation is.
using Progress = std::function<void(std::size_t done, std::size_t total, const std::string& layer)>;

/// The `tile` fidelity, or with `operands` the `cycle` fidelity, on a machine with the DRAM bound
/// by `bind_dram` (none: MemoryChannel), all listeners told besides the one that counts the report.
CostReport simulate_plan(const NetworkPlan& plan, std::vector<Listener*> listeners,
                         const Progress& progress = {}, const BindDram& bind_dram = {},
                         const OperandOptions* operands = nullptr);

/// Layers that are not known beforehand, on one machine: `next` hands out one after the other,
/// `done` takes the cost of each before the next one is asked for. A layer's cost does not depend
/// on those before it. No layer has more tiles than check_step_count() lets pass.
void simulate_layers(const Accelerator& accelerator, const EnergyModel& energy,
                     const LayerSource& next, const std::function<void(LayerCost)>& done,
                     const OperandOptions* operands = nullptr);

}  // namespace widthwise::sim
