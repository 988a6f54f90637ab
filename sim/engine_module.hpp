// The compute engine: takes the steps of a layer in order, waits for the tiles that a step needs
// and for room for its output, and is busy for as long as models/hardware says (`tile`) or as the
// array takes that is stepped cycle by cycle (`cycle`).
#pragma once

#include <deque>
#include <memory>
#include <utility>

#include <systemc>

#include "sim/context.hpp"
#include "sim/cycle/array_module.hpp"
#include "sim/cycle/layer_computation.hpp"
#include "sim/post_processor.hpp"

namespace widthwise::sim {

class EngineModule : public sc_core::sc_module {
 public:
  /// With `operands`, which outlive this, every layer is computed on them.
  EngineModule(sc_core::sc_module_name name, Context& context, PostProcessor& post,
               const OperandOptions* operands);

  /// Plays the steps of `context.run`; the plan tells start-up, emptying and the last tile's
  /// credit.
  void start(const LayerPlan& plan);

 private:
  void process();
  void run_layer(const LayerPlan& plan);
  void compute_layer(const LayerPlan& plan);
  /// The output tile of a step that is complete, or partial sums that leave.
  void release_output(const StepRecord& step, bool last);
  /// Output tiles whose last results have come out of the array.
  void let_out();
  /// Waits for the tiles of a step; returns when all are there, told by cause.
  void wait_for_tiles(const StepRecord& step, Ticks idle_since, std::int64_t preload, bool first);

  Context& context_;
  PostProcessor& post_;
  const OperandOptions* operands_;
  std::unique_ptr<ArrayModule> array_;  // with operands
  const LayerPlan* plan_ = nullptr;
  sc_core::sc_event start_;
  sc_core::sc_event leaves_;
  std::deque<std::pair<Ticks, std::size_t>> leaving_;  // steps, and when their results are out
};

}  // namespace widthwise::sim
