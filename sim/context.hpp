// What the modules of one machine share: the layer that runs, the listeners, and two events.
#pragma once

#include <utility>
#include <vector>

#include <systemc>

#include "models/hardware/accelerator.hpp"
#include "sim/layer_run.hpp"
#include "sim/listener.hpp"

namespace widthwise::sim {

class Dma;

struct Context {
  Context(const Accelerator& machine, std::vector<Listener*> listening)
      : accelerator(machine), listeners(std::move(listening)) {}

  const Accelerator& accelerator;
  std::vector<Listener*> listeners;
  LayerRun* run = nullptr;        // none between layers
  sc_core::sc_event tiles_moved;  // a tile has arrived, or an output tile has left
  sc_core::sc_event layer_done;   // the last output has left
  std::vector<Dma*> dmas;

  /// Something may be issued that could not be before.
  void work_for_dmas();

  template <class Tell>
  void tell(Tell&& tell) const {
    for (Listener* listener : listeners) tell(*listener);
  }
};

}  // namespace widthwise::sim
