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
  Machine(sc_core::sc_module_name name, const NetworkPlan& plan, std::vector<Listener*> listeners,
          Sequencer::Progress progress, const BindDram& bind_dram = {},
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

/// The `tile` fidelity, or with `operands` the `cycle` fidelity, on a machine with the DRAM bound
/// by `bind_dram` (none: MemoryChannel), all listeners told besides the one that counts the report.
CostReport simulate_plan(const NetworkPlan& plan, std::vector<Listener*> listeners,
                         Sequencer::Progress progress = {}, const BindDram& bind_dram = {},
                         const OperandOptions* operands = nullptr);

}  // namespace widthwise::sim
