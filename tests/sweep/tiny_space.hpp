// A small machine in a folder of its own, and a space over it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "models/base/error.hpp"
#include "models/cost/machine_model.hpp"
#include "sweep/design_space.hpp"
#include "sweep/evaluator.hpp"
#include "sweep/space.hpp"
#include "tests/cli/temporary_folder.hpp"

namespace widthwise {

inline constexpr const char* kTinyAccelerator = R"(schema: accelerator/1
name: tiny
description: 8 x 8 array of 8-bit PEs
clock: 100 MHz
energy: energy.yaml
engine:
  kind: mac_array
  rows: 8
  columns: 8
  dataflow: weight_stationary
  unit: mac8
  precision: {scaling: fixed, max_bits: 8}
memory:
  dram: {bandwidth: 64 bit/cycle, latency: 10 cycles, burst: 64 B, technology: ddr3}
  input_buffer: {capacity: 16 KiB}
  weight_buffer: {capacity: 16 KiB}
  output_buffer: {capacity: 16 KiB}
post_processing: {lanes: 8}
)";

inline constexpr const char* kTinyEnergy = R"(schema: energy/1
name: round
node: 45 nm
voltage: 1.1 V
units:
  - name: mac8
    clock: 0.1 pJ/cycle
    leakage: 40 uW
    area: 900 um2
    source: round numbers
    operations:
      - {weight_bits: 8, activation_bits: 8, energy: 1 pJ, source: round numbers}
srams:
  - name: sram
    macros:
      - {capacity: 8 KiB, read: 50 fJ/bit, write: 60 fJ/bit, leakage: 1 mW, area: 0.04 mm2,
         source: round numbers}
      - {capacity: 64 KiB, read: 0.1 pJ/bit, write: 0.12 pJ/bit, leakage: 9 mW, area: 0.3 mm2,
         source: round numbers}
drams:
  - {name: ddr3, read: 20 pJ/bit, write: 20 pJ/bit, source: round numbers}
post_processing: {requantize: 1 pJ, operation: 0.2 pJ, leakage_per_lane: 3 uW,
                  area_per_lane: 400 um2, source: round numbers}
)";

inline Given given_at(const std::string& text, const SourcePlace& place, const std::string& key) {
  Given given;
  given.text = text;
  given.place = place;
  given.key = key;
  return given;
}

/// Holds tiny.yaml and energy.yaml.
class TinyFolder : public TemporaryFolder {
 public:
  TinyFolder() {
    write("tiny.yaml", kTinyAccelerator);
    write("energy.yaml", kTinyEnergy);
  }

  /// The tiny machine at rows of 4 and 8 and columns of 4, 8 and 16, tiny_mlp at eight bits.
  [[nodiscard]] Space space() const {
    Space space;
    space.name = "tiny machines";
    space.file = path("space.yaml");
    space.accelerator = given_at(path("tiny.yaml"), {space.file, 2, 1}, "accelerator");
    space.axes = {{"engine.rows", {"4", "8"}, {space.file, 4, 3}},
                  {"engine.columns", {"4", "8", "16"}, {space.file, 5, 3}}};
    space.networks = {network("tiny_mlp")};
    space.bits = "w8a8";
    space.objectives = {"latency_s", "energy_pj", "area_mm2"};
    space.fronts = {{0, 1, 2}};
    space.identity = "the text of the space";
    return space;
  }

  static SpaceNetwork network(const std::string& name) {
    SpaceNetwork network;
    network.name = given_at(std::string(WIDTHWISE_SOURCE_DIR) + "/workloads/" + name + ".yaml",
                            {"space.yaml", 9, 5}, "networks[0]");
    return network;
  }

  /// What an error says, without the folder.
  [[nodiscard]] std::string text_of(const InputError& error) const {
    std::string text = error.what();
    const std::string folder = path() + '/';
    for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder)) {
      text.erase(at, folder.size());
    }
    return text;
  }
};

/// The closed form in this process.
inline std::unique_ptr<CostModel> closed_form(const Network& network, const Machine& machine,
                                              Fidelity, CostStore* memo) {
  MachineModelOptions options;
  options.jobs = 0;
  options.cache = memo;
  return analytic_cost_model(network, machine.accelerator, *machine.energy, options);
}

inline Assignment uniform_assignment(const Given& given) {
  return placed_at(given, [&] { return parse_uniform_assignment(given.text); });
}

}  // namespace widthwise
