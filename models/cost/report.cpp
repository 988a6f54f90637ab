// Sums over a report, and the figures of a layer that follow from its counts.
#include <algorithm>
#include <array>
#include <string_view>

#include "models/cost/plan.hpp"

namespace widthwise {

std::string_view to_string(Fidelity fidelity) {
  switch (fidelity) {
    case Fidelity::analytic:
      return "analytic";
    case Fidelity::tile:
      return "tile";
    case Fidelity::cycle:
      return "cycle";
  }
  return "";
}

CycleBreakdown& CycleBreakdown::operator+=(const CycleBreakdown& other) {
  busy += other.busy;
  fill += other.fill;
  drain += other.drain;
  stall_input += other.stall_input;
  stall_weight += other.stall_weight;
  stall_output += other.stall_output;
  post += other.post;
  return *this;
}

namespace {

template <class Value, class Get>
Value sum_over(const std::vector<LayerCost>& layers, Get&& get) {
  Value sum{};
  for (const LayerCost& layer : layers) sum += get(layer);
  return sum;
}

/// The resource that is occupied longest; where that is the array, why.
std::string bottleneck_of(const LayerCost& cost, const LayerPlan& plan,
                          const Accelerator& accelerator) {
  const ClosedForm form = plan.engine ? plan.form : plan.vector->closed_form(accelerator);
  struct Resource {
    std::string_view name;
    double time;
  };
  const double array =
      static_cast<double>((cost.cycles.busy + cost.cycles.fill + cost.cycles.drain).count());
  const std::array<Resource, 6> resources{
      {{"array", plan.engine ? std::max(array, form.engine_cycles) : 0.0},
       {"DRAM", form.dram_time},
       {"scratchpad", form.scratchpad_time},
       {"input port", form.input_port_time},
       {"weight port", form.weight_port_time},
       {"post", form.post_time}}};
  const auto most =
      std::max_element(resources.begin(), resources.end(),
                       [](const Resource& a, const Resource& b) { return a.time < b.time; });
  if (most->name != "array") return std::string(most->name);
  const Cycles overhead = cost.cycles.fill + cost.cycles.drain;
  if (array < 0.5 * form.engine_cycles) return "buffer port";  // waits inside the array's stream
  return overhead > cost.cycles.busy ? "fill" : "compute";
}

}  // namespace

Cycles CostReport::latency() const {
  return sum_over<Cycles>(layers, [](const LayerCost& layer) { return layer.latency; });
}
CycleBreakdown CostReport::cycles() const {
  return sum_over<CycleBreakdown>(layers, [](const LayerCost& layer) { return layer.cycles; });
}
std::vector<std::pair<std::string, Cycles>> CostReport::phases() const {
  std::vector<std::pair<std::string, Cycles>> sums;  // every layer with phases has the same ones
  for (const LayerCost& layer : layers) {
    if (sums.empty()) {
      sums = layer.phases;
      continue;
    }
    for (std::size_t i = 0; i < layer.phases.size(); ++i) sums[i].second += layer.phases[i].second;
  }
  return sums;
}
EnergyBreakdown CostReport::energy() const {
  return sum_over<EnergyBreakdown>(layers, [](const LayerCost& layer) { return layer.energy; });
}
std::int64_t CostReport::macs() const {
  return sum_over<std::int64_t>(layers, [](const LayerCost& layer) { return layer.macs; });
}
double CostReport::bitops() const {
  return sum_over<double>(layers, [](const LayerCost& layer) { return layer.bitops; });
}
Bytes CostReport::dram_read() const {
  return sum_over<Bytes>(layers, [](const LayerCost& layer) { return layer.activity.dram_read; });
}
Bytes CostReport::dram_write() const {
  return sum_over<Bytes>(layers, [](const LayerCost& layer) { return layer.activity.dram_write; });
}
Bytes CostReport::parameter_bytes() const {
  return bytes_rounded_up(Bits(
      sum_over<std::int64_t>(layers, [](const LayerCost& layer) { return layer.parameter_bits; })));
}
double CostReport::edp_js() const {
  constexpr double kJoulesPerPicojoule = 1e-12;
  return energy().total().count() * kJoulesPerPicojoule * seconds_at(latency(), clock).count();
}
double CostReport::frames_per_second() const {
  const double seconds = seconds_at(latency(), clock).count();
  return seconds > 0 ? static_cast<double>(batch) / seconds : 0.0;
}
double CostReport::tops_per_watt() const {
  const double picojoules = energy().total().count();
  // Operations per picojoule are tera-operations per joule.
  return picojoules > 0 ? 2.0 * static_cast<double>(macs()) / picojoules : 0.0;
}

void complete_cost(LayerCost& cost, const LayerPlan& plan, const Accelerator& accelerator,
                   const EnergyModel& energy) {
  ensure(cost.cycles.total() == cost.latency,
         "every cycle of layer '" + cost.name +
             "' is accounted for: " + std::to_string(cost.cycles.total().count()) + " of " +
             std::to_string(cost.latency.count()));
  const auto& phases = accelerator.engine.timing.phases;
  if (plan.engine && !phases.empty()) {
    const auto cycles = plan.engine->phase_cycles(plan.tile);
    Cycles total;
    for (std::size_t i = 0; i < phases.size(); ++i) {
      cost.phases.emplace_back(phases[i].name, Cycles(cycles[i] * plan.engine->shape().repeat));
      total += cost.phases.back().second;
    }
    ensure(total == cost.cycles.busy + cost.cycles.fill + cost.cycles.drain,
           "the phases of layer '" + cost.name + "' are what the array does");
  }
  cost.energy = energy.energy(cost.activity, cost.latency);
  if (plan.engine && cost.latency.count() > 0) {
    const double peak = peak_macs_per_cycle(accelerator.engine, plan.engine->mode());
    cost.utilization =
        static_cast<double>(cost.macs) / (peak * static_cast<double>(cost.latency.count()));
  }
  cost.bottleneck = bottleneck_of(cost, plan, accelerator);
}

}  // namespace widthwise
