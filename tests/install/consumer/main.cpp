// Costs one matrix product on a shipped machine, in closed form and simulated.
//   consumer DATA_FOLDER
#include <cstdlib>
#include <iostream>
#include <string>

#include "models/base/error.hpp"
#include "models/cost/analytic.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/network/single_layer.hpp"
#include "models/network/widths.hpp"
#include "sim/simulation.hpp"

int main(int count, char** arguments) {
  if (count != 2) return EXIT_FAILURE;
  try {
    using namespace widthwise;
    const std::string data = arguments[1];
    const Accelerator machine =
        read_accelerator(data + "/configs/accelerators/bitfusion_16x32.yaml");
    const EnergyTable energy = read_energy_table(machine.energy_table);
    const Network network = gemm_network(64, 128, 512);
    const WidthPlan widths = resolve_widths(network, parse_uniform_assignment("w4a4"));
    const Cycles closed_form = analytic_cost(network, widths, machine, energy).latency();
    const Cycles simulated = simulate(network, widths, machine, energy).latency();
    std::cout << closed_form.count() << " cycles in closed form, " << simulated.count()
              << " simulated\n";
    const bool sound = closed_form.count() > 0 && closed_form <= simulated;
    return sound ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
