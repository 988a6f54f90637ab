// Runs layers one after the other, as they are handed to it: the next starts, on a whole cycle,
// when the last output of the one before has left the chip (errs high against machines that fetch
// the next layer's weights early).
#pragma once

#include <functional>
#include <memory>

#include <systemc>

#include "sim/context.hpp"
#include "sim/engine_module.hpp"

namespace widthwise::sim {

/// The next layer to run, which stays where it is until the one after it is asked for; null: no
/// more. Asked for when the layer before has ended. May take its time: simulated time stands still.
using LayerSource = std::function<const LayerPlan*()>;

class Sequencer : public sc_core::sc_module {
 public:
  Sequencer(sc_core::sc_module_name name, Context& context, EngineModule& engine,
            LayerSource source);

  /// All layers have run.
  [[nodiscard]] bool finished() const { return finished_; }
  /// The layer at work, for messages.
  [[nodiscard]] const std::string& at_work() const { return at_work_; }

 private:
  void process();
  void play(std::size_t index, const LayerPlan& layer, bool first, std::int64_t weight);

  Context& context_;
  EngineModule& engine_;
  LayerSource source_;
  std::string at_work_;
  bool finished_ = false;
};

}  // namespace widthwise::sim
