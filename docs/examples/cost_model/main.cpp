// A search of somebody else's on Widthwise's costs: lowers widths layer by layer, each time where a
// bit costs most, until the network takes a given share of its time at 8 bits.
//
//   cheapest_widths ACCELERATOR NETWORK SHARE
//
// All four kinds of cost model stand behind one interface: the search below does not know which it
// was given.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/config/shipped_data.hpp"
#include "models/cost/cost_model.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/load_network.hpp"
#include "models/table/fractional_cost.hpp"
#include "models/table/table_model.hpp"
#include "models/table/table_points.hpp"
#include "sim/simulated_model.hpp"

namespace {

using namespace widthwise;

constexpr BitWidth kLeast = 2;
constexpr BitWidth kGreatest = 8;

/// Widths of every layer with multiply-accumulates.
using Widths = std::map<std::string, BitWidth>;

Assignment assignment_of(const Widths& widths) {
  Assignment assignment;
  for (const auto& [layer, bits] : widths) {
    assignment.rules.push_back({layer, bits, bits, {}});
  }
  return assignment;
}

double latency(CostModel& model, const Network& network, const Accelerator& accelerator,
               const Widths& widths) {
  const WidthPlan plan = resolve_widths(network, assignment_of(widths));
  return total_cost(model, layer_points(network, plan, accelerator))
      .at(metric_index(model.metrics(), "latency_cycles"));
}

Widths lowered(CostModel& model, const Network& network, const Accelerator& accelerator,
               double share) {
  Widths widths;
  for (const Layer& layer : network.layers()) {
    if (layer.weights > 0 && layer.compute) widths[layer.name] = kGreatest;
  }
  double now = latency(model, network, accelerator, widths);
  const double target = share * now;
  while (now > target) {
    std::string best;
    double least = now;
    for (auto& [layer, bits] : widths) {
      if (bits == kLeast) continue;
      --bits;
      const double then = latency(model, network, accelerator, widths);
      ++bits;
      if (best.empty() || then < least) {
        best = layer;
        least = then;
      }
    }
    if (best.empty()) break;
    --widths[best];
    now = least;
  }
  return widths;
}

int run(const std::string& machine, const std::string& name, double share) {
  const Accelerator accelerator =
      read_accelerator(find_file(Shipped::accelerators, {machine, {"ACCELERATOR"}, ""}));
  const EnergyTable energy = read_energy_table(accelerator.energy_table);
  const Network network = load_network({name, {"NETWORK"}, ""});

  // The closed form answers in this process; the search asks it thousands of times.
  const auto analytic = analytic_cost_model(network, accelerator, energy);
  const Widths widths = lowered(*analytic, network, accelerator, share);
  for (const auto& [layer, bits] : widths) std::cout << layer << " " << bits << '\n';
  const double predicted = latency(*analytic, network, accelerator, widths);

  // A table by stored widths: made once, then looked up; and differentiable between its rows.
  TableRequest request{{2, 4, 6, 8}, {2, 4, 6, 8}};
  request.stored = true;
  const CostTable table = make_table(*analytic, request).table;
  const FractionalCost fractional(bind_table(table, network), "latency_cycles");
  std::vector<double> bits(fractional.variables().size(), 4.5);
  std::vector<double> gradient(bits.size());
  const double between = fractional.evaluate(bits, bits, gradient);
  std::cout << "at 4.5 bits everywhere " << between << " cycles; one more bit of the weights of "
            << fractional.variables().front() << " costs " << gradient.front() << " of them\n";

  // The answer, simulated: in worker processes, since SystemC elaborates one machine per process.
  MachineModelOptions options;
  options.jobs = 2;
  const auto tile = machine_cost_model(network, accelerator, energy, Fidelity::tile, options);
  const double simulated = latency(*tile, network, accelerator, widths);
  std::cout << predicted << " cycles in closed form, " << simulated << " simulated\n";
  return predicted > 0 && predicted <= simulated ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    std::cerr << "cheapest_widths ACCELERATOR NETWORK SHARE\n";
    return 2;
  }
  try {
    return run(arguments[1], arguments[2], std::strtod(arguments[3], nullptr));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
