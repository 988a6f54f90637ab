// The machine `precision_batching`, simulated tile by tile, against what was measured on a T4 with
// n magnitude planes of weights (precisionbatching_t4.csv) and against the law of these figures,
//
//   T = c0 + (n + 1) (c1 + c2 a)
//
// by speed-ups over 8 planes at the same activations. c0 (start of kernels and all else that does
// not grow with the planes) is not in the machine. The law's three constants are set, for each
// network, on w1a8, w8a8 and w8a16; the simulation takes c0 alone from it, as a share of the time
// at w8a8. Nothing was set on w4a8, w1a16 and w4a16. Activations of 32 bits are beyond the model.
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "sim/simulated_model.hpp"
#include "tests/cost/machines.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

using Widths = std::pair<int, int>;  // planes, activation bits

struct Subject {
  const char* published;
  const char* network;
};
constexpr Subject kLstm{"lm", "pbatch_lstm_2048"};
constexpr Subject kPerceptron{"mnist", "pbatch_mlp"};

std::map<Widths, double> measured(const Subject& subject) {
  std::map<Widths, double> times;
  for (const auto& row : read_csv("validation/precisionbatching_t4.csv")) {
    if (row[0] == subject.published) {
      times[{std::stoi(row[1]), std::stoi(row[2])}] = std::stod(row[3]);
    }
  }
  REQUIRE(times.size() == 9);
  return times;
}

struct Law {
  double c0 = 0, c1 = 0, c2 = 0;

  explicit Law(const std::map<Widths, double>& times) {
    const double at8 = (times.at({8, 8}) - times.at({1, 8})) / 7;  // of a plane
    c0 = times.at({8, 8}) - 9 * at8;
    const double at16 = (times.at({8, 16}) - c0) / 9;
    c2 = (at16 - at8) / 8;
    c1 = at8 - 8 * c2;
  }
  [[nodiscard]] double time(const Widths& at) const {
    return c0 + (at.first + 1) * (c1 + c2 * at.second);
  }
};

/// Cycles of all numbers of planes at activations of 8 and 16 bits, with c0.
std::map<Widths, double> simulated(const Subject& subject, const Law& law) {
  const std::string source = WIDTHWISE_SOURCE_DIR;
  const Network network =
      read_network(source + "/workloads/" + std::string(subject.network) + ".yaml", {});
  const Accelerator accelerator =
      read_accelerator(source + "/configs/accelerators/precision_batching.yaml");
  const auto model = machine_cost_model(
      network, accelerator, read_energy_table(accelerator.energy_table), Fidelity::tile);
  std::map<Widths, double> cycles;
  for (int planes = 1; planes <= 8; ++planes) {
    for (const int bits : {8, 16}) {
      Assignment uniform;
      uniform.defaults = {planes, bits};
      const auto totals =
          total_cost(*model, layer_points(network, resolve_widths(network, uniform), accelerator));
      cycles[{planes, bits}] = totals[metric_index(model->metrics(), "latency_cycles")];
    }
  }
  const double start = cycles.at({8, 8}) * law.c0 / (law.time({8, 8}) - law.c0);
  for (auto& [widths, time] : cycles) time += start;
  return cycles;
}

/// Speed-up over 8 planes with the same activations.
double speed_up(const std::map<Widths, double>& times, const Widths& at) {
  return times.at({8, at.second}) / times.at(at);
}

void check_law(const Subject& subject) {
  const Law law(measured(subject));
  const auto ours = simulated(subject, law);
  for (const auto& [at, time] : ours) {
    CAPTURE(subject.network, at.first, at.second, speed_up(ours, at));
    CHECK(speed_up(ours, at) / (law.time({8, at.second}) / law.time(at)) == Approx(1).margin(0.05));
  }
}

}  // namespace

TEST_CASE("an LSTM's speed-ups by bit-planes follow the published law within 5 %") {
  check_law(kLstm);
}

TEST_CASE("a perceptron's speed-ups by bit-planes follow the published law within 5 %") {
  check_law(kPerceptron);
}

TEST_CASE("an LSTM's speed-ups are those measured on a T4 within 5 % where nothing was set") {
  const auto theirs = measured(kLstm);
  const auto ours = simulated(kLstm, Law(theirs));
  for (const Widths& at : {Widths{4, 8}, Widths{1, 16}, Widths{4, 16}}) {
    CAPTURE(at.first, at.second);
    CHECK(speed_up(ours, at) / speed_up(theirs, at) == Approx(1).margin(0.05));
  }
  // What the simulation has from c0 alone: how much slower activations of 16 bits are.
  CHECK((ours.at({8, 16}) / ours.at({8, 8})) / (theirs.at({8, 16}) / theirs.at({8, 8})) ==
        Approx(1).margin(0.05));
}

// Measured, one plane was faster with 16-bit than with 8-bit activations (8.43 and 8.56 ms), which
// no law of this form says: the three constants miss it by 14 % themselves. The perceptron's times
// also grow less with the activations than population counts do.
TEST_CASE("a perceptron's speed-ups are those measured on a T4 within 5 %, but for one plane") {
  const auto theirs = measured(kPerceptron);
  const auto ours = simulated(kPerceptron, Law(theirs));
  for (const Widths& at : {Widths{4, 8}, Widths{4, 16}}) {
    CAPTURE(at.first, at.second);
    CHECK(speed_up(ours, at) / speed_up(theirs, at) == Approx(1).margin(0.05));
  }
  CHECK(speed_up(ours, {1, 16}) / speed_up(theirs, {1, 16}) == Approx(1).margin(0.10));
  CHECK((ours.at({8, 16}) / ours.at({8, 8})) / (theirs.at({8, 16}) / theirs.at({8, 8})) ==
        Approx(1).margin(0.20));
}
