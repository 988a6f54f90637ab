// Runs the layers of a plan one after the other: the next starts, on a whole cycle, when the last
// output of the one before has left the chip (errs high against machines that fetch the next
// layer's weights early).
#pragma once

#include <functional>
#include <memory>

#include <systemc>

#include "sim/context.hpp"
#include "sim/engine_module.hpp"

namespace widthwise::sim {

class Sequencer : public sc_core::sc_module {
 public:
  using Progress =
      std::function<void(std::size_t done, std::size_t total, const std::string& layer)>;

  Sequencer(sc_core::sc_module_name name, Context& context, EngineModule& engine,
            const NetworkPlan& plan, Progress progress);

  /// All layers have run.
  [[nodiscard]] bool finished() const { return finished_; }
  /// The layer at work, for messages.
  [[nodiscard]] const std::string& at_work() const { return at_work_; }

 private:
  void process();
  void play(std::size_t index, const LayerPlan& layer, bool first, std::int64_t weight);

  Context& context_;
  EngineModule& engine_;
  const NetworkPlan& plan_;
  Progress progress_;
  std::string at_work_;
  bool finished_ = false;
};

}  // namespace widthwise::sim
