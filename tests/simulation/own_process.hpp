// Runs a simulation in a process of its own, so that one test can compare several: SystemC allows
// one elaboration per process.
#pragma once

#include <array>
#include <cstring>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "models/cost/cost_report.hpp"
#include "sim/machine.hpp"
#include "sim/simulation.hpp"

namespace widthwise::test {

/// The text that `run` returns there. Throws std::runtime_error with what it threw, or if it died.
inline std::string text_from_own_process(const std::function<std::string()>& run) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) throw std::runtime_error("no pipe");
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("no process");
  if (child == 0) {
    close(ends[0]);
    std::string answer;
    try {
      answer = "+" + run();
    } catch (const std::exception& error) {
      answer = std::string("-") + error.what();
    }
    for (std::size_t done = 0; done < answer.size();) {
      const ssize_t now = write(ends[1], answer.data() + done, answer.size() - done);
      if (now <= 0) break;
      done += static_cast<std::size_t>(now);
    }
    _exit(0);  // neither the tests' nor SystemC's end runs here
  }
  close(ends[1]);
  std::string answer;
  std::array<char, 65536> part{};
  for (ssize_t now = 0; (now = read(ends[0], part.data(), part.size())) > 0;) {
    answer.append(part.data(), static_cast<std::size_t>(now));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || answer.empty()) throw std::runtime_error("the simulation died");
  if (answer.front() != '+') throw std::runtime_error(answer.substr(1));
  return answer.substr(1);
}

/// What the tests look at in a simulated layer.
struct LayerFigures {
  Cycles latency;
  CycleBreakdown cycles;
  Activity activity;
  EnergyBreakdown energy;
  std::optional<LayerNumerics> numerics;
};
static_assert(std::is_trivially_copyable_v<LayerFigures>);

struct Figures {
  std::vector<LayerFigures> layers;

  [[nodiscard]] Cycles latency() const {
    Cycles sum;
    for (const LayerFigures& layer : layers) sum += layer.latency;
    return sum;
  }
  [[nodiscard]] double energy_pj() const {
    double sum = 0;
    for (const LayerFigures& layer : layers) sum += layer.energy.total().count();
    return sum;
  }
  [[nodiscard]] Bytes dram_read() const {
    Bytes sum;
    for (const LayerFigures& layer : layers) sum += layer.activity.dram_read;
    return sum;
  }
  [[nodiscard]] Bytes dram_write() const {
    Bytes sum;
    for (const LayerFigures& layer : layers) sum += layer.activity.dram_write;
    return sum;
  }
};

inline Figures figures_of(const CostReport& report) {
  Figures figures;
  for (const LayerCost& layer : report.layers) {
    figures.layers.push_back(
        {layer.latency, layer.cycles, layer.activity, layer.energy, layer.numerics});
  }
  return figures;
}

inline Figures from_own_process(const std::function<CostReport()>& run) {
  const std::string bytes = text_from_own_process([&] {
    const Figures figures = figures_of(run());
    std::string text(figures.layers.size() * sizeof(LayerFigures), '\0');
    std::memcpy(text.data(), figures.layers.data(), text.size());
    return text;
  });
  Figures figures;
  figures.layers.resize(bytes.size() / sizeof(LayerFigures));
  std::memcpy(figures.layers.data(), bytes.data(), bytes.size());
  return figures;
}

inline Figures simulated(const Network& network, const WidthPlan& widths,
                         const Accelerator& machine, const EnergyTable& energy,
                         const SimulationOptions& options = {}) {
  return from_own_process([&] { return simulate(network, widths, machine, energy, options); });
}

}  // namespace widthwise::test
