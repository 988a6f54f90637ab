// What the benchmarks run: shipped machines on a shipped network; and the clock they read.
#pragma once

#include <array>
#include <ctime>
#include <string>

#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/assignment_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/network/widths.hpp"

namespace widthwise::benchmarks {

/// CPU time of this process so far.
inline double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// A machine, the energy table that it names, and ResNet-18 at 224 x 224 with its widths.
struct Case {
  /// `bits` is "w4a4" or the name of a shipped assignment.
  Case(const std::string& machine, const std::string& bits)
      : accelerator(read_accelerator(data("configs/accelerators/" + machine))),
        energy(read_energy_table(accelerator.energy_table)),
        network(read_network(data("workloads/resnet18"))),
        widths(resolve_widths(network, assignment(bits))) {}

  [[nodiscard]] double compute_layers() const {
    double count = 0;
    for (const Layer& layer : network.layers()) count += layer.compute ? 1 : 0;
    return count;
  }

  Accelerator accelerator;
  EnergyTable energy;
  Network network;
  WidthPlan widths;

 private:
  static std::string data(const std::string& name) {
    return std::string(WIDTHWISE_SOURCE_DIR) + "/" + name + ".yaml";
  }
  static Assignment assignment(const std::string& bits) {
    return bits.find('_') == std::string::npos
               ? parse_uniform_assignment(bits)
               : read_assignment(data("configs/assignments/" + bits));
  }
};

/// "analytic/bismo_edge_8x8/w4a4".
inline std::string benchmark_name(std::string family, const std::string& machine,
                                  const std::string& bits) {
  family += '/';
  family += machine;
  family += '/';
  return family += bits;
}

inline constexpr std::array kMachines{"bitfusion_16x32", "bismo_edge_8x8", "systolic_16x16_int8"};
inline constexpr std::array kBits{"w8a8", "w4a4", "w2a2", "resnet18_mixed"};

}  // namespace widthwise::benchmarks
