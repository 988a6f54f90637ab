// What the modules tell: typed events with their times. Collectors count, writers print; neither
// touches timing.
#pragma once

#include <cstdint>

#include "models/cost/layer_model.hpp"
#include "models/cost/plan.hpp"

namespace widthwise::sim {

/// Simulated time in thousandths of a cycle of the accelerator's clock.
using Ticks = std::int64_t;
inline constexpr Ticks kTicksPerCycle = 1000;

constexpr Ticks ticks_of(std::int64_t cycles) { return cycles * kTicksPerCycle; }
constexpr std::int64_t cycles_rounded_up(Ticks ticks) { return ceil_div(ticks, kTicksPerCycle); }

/// Why the array waits.
enum class Wait { input, weight, output, preload };

class Listener {
 public:
  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  virtual ~Listener() = default;

  /// `weight` = how many times the layer's run stands for itself: repeats that are alike are played
  /// once.
  virtual void layer_begins(std::size_t, const LayerPlan&, std::int64_t /*weight*/, Ticks) {}
  virtual void layer_ends(std::size_t, const LayerPlan&, Ticks) {}
  /// Before the layer ends, where the array was stepped on integers.
  virtual void layer_computed(const LayerNumerics&) {}
  // Told when something starts; its end is told by the events below.
  virtual void array_starts(Ticks) {}
  virtual void transfer_starts(Stream, Home, Ticks) {}
  virtual void post_starts(Ticks) {}

  virtual void array_waits(Wait, Ticks /*from*/, Ticks /*to*/) {}
  /// A step of `cost.cycles`, with what a layer pays once: start-up (preload and wavefront) and
  /// emptying.
  virtual void array_runs(const StepCost&, std::int64_t /*start_up*/, std::int64_t /*emptying*/,
                          Ticks, Ticks) {}
  virtual void transfer(Stream, Home, std::int64_t /*bytes*/, std::int64_t /*bits*/,
                        std::int64_t /*buffer_bits*/, Ticks, Ticks) {}
  virtual void post_processes(std::int64_t /*outputs*/, Ticks, Ticks) {}
};

}  // namespace widthwise::sim
