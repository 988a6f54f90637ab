// Counts what the modules tell into the figures of a report.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "models/cost/cost_report.hpp"
#include "sim/listener.hpp"

namespace widthwise::sim {

class CostCollector : public Listener {
 public:
  /// Both outlive this, and so do the plans of the layers told of, until their costs are taken.
  CostCollector(const Accelerator& accelerator, const EnergyModel& energy);

  void layer_begins(std::size_t index, const LayerPlan& plan, std::int64_t weight,
                    Ticks at) override;
  void layer_ends(std::size_t index, const LayerPlan& plan, Ticks at) override;
  void layer_computed(const LayerNumerics& numerics) override;
  void array_waits(Wait cause, Ticks from, Ticks to) override;
  void array_runs(const StepCost& cost, std::int64_t start_up, std::int64_t emptying, Ticks from,
                  Ticks to) override;
  void transfer(Stream stream, Home home, std::int64_t bytes, std::int64_t bits,
                std::int64_t buffer_bits, Ticks from, Ticks to) override;
  void post_processes(std::int64_t outputs, Ticks from, Ticks to) override;

  /// The costs of the layers that have ended since this was called last.
  [[nodiscard]] std::vector<LayerCost> take_layers();

 private:
  struct Run {  // of a layer, since it began
    std::int64_t weight = 1;
    Ticks began = 0;
    Ticks array_ended = 0;
    Ticks post_ended = 0;
    Ticks post_busy = 0;
    CycleBreakdown cycles;
    Activity activity;
    std::int64_t input_bits = 0, output_bits = 0;
    std::optional<LayerNumerics> numerics;
  };
  void end_engine_run(const LayerPlan& plan, std::int64_t latency);
  void end_vector_run(std::int64_t latency);

  const Accelerator& accelerator_;
  const EnergyModel& energy_;
  std::vector<LayerCost> layers_;
  std::vector<const LayerPlan*> plans_;  // of layers_
  std::optional<std::size_t> index_;     // of the layer that began last
  Run run_;
};

}  // namespace widthwise::sim
