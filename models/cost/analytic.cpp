#include "models/cost/analytic.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "models/cost/plan.hpp"

namespace widthwise {

namespace {

/// Splits `total` in the proportion of `shares` into whole cycles that sum to it exactly.
template <std::size_t N>
std::array<std::int64_t, N> apportion(std::int64_t total, const std::array<double, N>& shares) {
  std::array<std::int64_t, N> parts{};
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (total <= 0) return parts;
  std::size_t greatest = 0;
  std::int64_t given = 0;
  for (std::size_t i = 0; i < N; ++i) {
    if (sum > 0) {
      parts[i] = static_cast<std::int64_t>(static_cast<double>(total) * shares[i] / sum);
    }
    given += parts[i];
    if (shares[i] > shares[greatest]) greatest = i;
  }
  parts[greatest] += total - given;
  return parts;
}

void account_engine(LayerCost& cost, const LayerPlan& plan, const ClosedForm& form) {
  const LayerModel& model = *plan.engine;
  const std::int64_t repeats = model.shape().repeat;
  const EngineCycles engine = model.engine_cycles(plan.tile);
  CycleBreakdown& cycles = cost.cycles;
  cycles.busy = Cycles(engine.busy * repeats);
  const LayerTiming& timing = model.timing();
  const std::int64_t emptying = timing.finish_cycles() - timing.wavefront_cycles();
  cycles.fill = Cycles((engine.fill + timing.start_cycles() + timing.wavefront_cycles()) * repeats);
  cycles.drain = Cycles((engine.drain + emptying) * repeats);
  cycles.stall_input = Cycles(engine.wait_input * repeats);
  cycles.stall_weight = Cycles(engine.wait_weight * repeats);
  std::int64_t rest = (cost.latency - cycles.total()).count();
  const auto take = [&](double amount) {
    const auto taken = std::clamp<std::int64_t>(static_cast<std::int64_t>(amount), 0, rest);
    rest -= taken;
    return taken;
  };
  cycles.post = Cycles(take(form.post_exposed));
  cycles.stall_output += Cycles(take(form.lead_out));
  const std::int64_t lead = take(form.lead_in);
  const auto lead_parts = apportion<2>(lead, {form.lead_input_share, 1.0 - form.lead_input_share});
  cycles.stall_input += Cycles(lead_parts[0]);
  cycles.stall_weight += Cycles(lead_parts[1]);
  // What the memory, a port or post-processing takes longer than the array.
  const auto& bits = form.stream_bits;
  const double resource = std::max({form.dram_time, form.scratchpad_time, form.input_port_time,
                                    form.weight_port_time, form.post_time});
  std::array<double, 3> shares{
      bits[static_cast<int>(Stream::input)] + bits[static_cast<int>(Stream::sums_in)],
      bits[static_cast<int>(Stream::weight)],
      bits[static_cast<int>(Stream::output)] + bits[static_cast<int>(Stream::sums_out)]};
  if (resource == form.post_time && form.post_time > 0)
    shares = {0, 0, 1};
  else if (resource == form.input_port_time && form.input_port_time > 0)
    shares = {1, 0, 0};
  else if (resource == form.weight_port_time && form.weight_port_time > 0)
    shares = {0, 1, 0};
  const auto parts = apportion<3>(rest, shares);
  cycles.stall_input += Cycles(parts[0]);
  cycles.stall_weight += Cycles(parts[1]);
  cycles.stall_output += Cycles(parts[2]);
}

void account_vector(LayerCost& cost, const LayerPlan& plan, const ClosedForm& form) {
  CycleBreakdown& cycles = cost.cycles;
  std::int64_t rest = cost.latency.count();
  const auto take = [&](double amount) {
    const auto taken = std::clamp<std::int64_t>(static_cast<std::int64_t>(amount), 0, rest);
    rest -= taken;
    return taken;
  };
  cycles.post = Cycles(take(std::ceil(plan.vector->post_cycles)));
  const auto& bits = form.stream_bits;
  const auto parts = apportion<2>(
      rest, {bits[static_cast<int>(Stream::input)], bits[static_cast<int>(Stream::output)]});
  cycles.stall_input = Cycles(parts[0]);
  cycles.stall_output = Cycles(parts[1]);
}

}  // namespace

LayerCost analytic_layer_cost(const LayerPlan& plan, const Accelerator& accelerator,
                              const EnergyModel& energy) {
  LayerCost cost = describe_layer(plan);
  const ClosedForm form = plan.engine ? plan.form : plan.vector->closed_form(accelerator);
  cost.latency = Cycles(whole_cycles(form.latency));
  if (plan.engine) {
    cost.activity = plan.engine->activity(plan.tile, form);
    account_engine(cost, plan, form);
  } else {
    cost.activity = plan.vector->activity(accelerator.memory.dram);
    account_vector(cost, plan, form);
  }
  complete_cost(cost, plan, accelerator, energy);
  return cost;
}

CostReport analytic_cost(const Network& network, const WidthPlan& widths,
                         const Accelerator& accelerator, const EnergyTable& energy) {
  const NetworkPlan plan = plan_network(network, widths, accelerator, energy);
  CostReport report = describe_run(plan, Fidelity::analytic);
  report.layers.reserve(plan.layers.size());
  for (const LayerPlan& layer : plan.layers) {
    report.layers.push_back(analytic_layer_cost(layer, accelerator, plan.energy));
  }
  return report;
}

}  // namespace widthwise
