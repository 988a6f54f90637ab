// Cycles of register-transfer designs, to the cycle, by the engine's timing parameters alone: the
// files in configs/accelerators/rtl at the sizes observed and at others, on one matrix product with
// ideal memory, in closed form, simulated tile by tile, and stepped cycle by cycle on integers.
//
// Sources of the observed rows: rtl_cycles.csv. Not reproduced: PULP's RBE, whose phases follow its
// own memory port.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/cost/analytic.hpp"
#include "tests/cost/machines.hpp"
#include "tests/simulation/own_process.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

struct Run {
  std::string design, array, variant;
  Gemm gemm;
  std::int64_t cycles = 0;
};

std::vector<Run> observed() {
  std::vector<Run> runs;
  for (const auto& row : read_csv("validation/rtl_cycles.csv")) {
    if (row[0] == "rbe") continue;
    // design,array,variant,M,K,N,weight_bits,activation_bits,total_cycles
    runs.push_back({row[0],
                    row[1],
                    row[2],
                    {std::stoll(row[3]),
                     std::stoll(row[5]),
                     std::stoll(row[4]),
                     {std::stoi(row[6]), std::stoi(row[7])}},
                    std::stoll(row[8])});
  }
  return runs;
}

std::vector<int> sizes_of(const std::string& array) {
  std::vector<int> sizes;
  std::istringstream text(array);
  for (std::string part; std::getline(text, part, 'x');) sizes.push_back(std::stoi(part));
  return sizes;
}

/// A shipped design at other values of its keys, without DRAM and buffer ports, as after
/// `run -a rtl/NAME --ideal-memory --set KEY=VALUE ...`.
Accelerator design(const std::string& name, const std::vector<std::string>& overrides) {
  Accelerator machine = shipped("rtl/" + name, overrides);
  machine.ideal_memory = true;
  return machine;
}

std::string set(const std::string& key, std::int64_t value) {
  return key + "=" + std::to_string(value);
}

std::vector<std::string> sides(int rows, int columns) {
  return {set("engine.rows", rows), set("engine.columns", columns)};
}

Accelerator bit_fusion(int rows, int columns) {
  return design("bitfusion_actlab", sides(rows, columns));
}

Accelerator bismo(int rows, int lanes, int columns, int gap) {
  auto overrides = sides(rows, columns);
  overrides.push_back(set("engine.precision.lanes", lanes));
  overrides.push_back(set("engine.timing.fold_gap", gap));
  return design("bismo_exec", overrides);
}

std::string ending(Dataflow dataflow) {
  return dataflow == Dataflow::output_stationary ? "_os" : "_ws";
}

Accelerator gemmini(Dataflow dataflow, int side) {
  return design("gemmini_mesh16" + ending(dataflow), sides(side, side));
}

Accelerator traditional(Dataflow dataflow, int rows, int columns) {
  return design("scalesim_rtl" + ending(dataflow), sides(rows, columns));
}

Accelerator scale_sim(Dataflow dataflow, int rows, int columns) {
  auto overrides = sides(rows, columns);
  overrides.push_back("engine.dataflow=" + std::string(to_string(dataflow)));
  return design("scalesim_v2", overrides);
}

Dataflow dataflow_of(const std::string& variant) {
  REQUIRE((variant == "dataflow=OS" || variant == "dataflow=WS"));
  return variant == "dataflow=OS" ? Dataflow::output_stationary : Dataflow::weight_stationary;
}

Accelerator machine_of(const Run& run) {
  const auto sizes = sizes_of(run.array);
  if (run.design == "bitfusion_actlab") return bit_fusion(sizes[0], sizes[1]);
  if (run.design == "bismo_exec") {
    return bismo(sizes[0], sizes[1], sizes[2],
                 std::stoi(run.variant.substr(run.variant.find("gap=") + 4)));
  }
  if (run.design == "gemmini_mesh16") return gemmini(dataflow_of(run.variant), sizes[0]);
  REQUIRE(run.design == "scalesim_rtl");
  return traditional(dataflow_of(run.variant), sizes[0], sizes[1]);
}

constexpr std::int64_t kMostStepped = 100'000;  // cycles of a product

/// Stepped cycle by cycle: the same cycles, and exact outputs.
void check_stepped(const Accelerator& machine, const std::vector<Gemm>& list,
                   const std::vector<std::int64_t>& cycles) {
  std::vector<Gemm> brief;
  std::vector<std::int64_t> brief_cycles;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (cycles[i] > kMostStepped) continue;
    brief.push_back(list[i]);
    brief_cycles.push_back(cycles[i]);
  }
  if (brief.empty()) return;
  const Workload work = gemms(brief);
  SimulationOptions options;
  options.step_cycles = true;
  const Figures cycle =
      simulated(work.network, work.widths, machine, energy_of(machine), options);
  REQUIRE(cycle.layers.size() == brief.size());
  for (std::size_t i = 0; i < brief.size(); ++i) {
    INFO("M " << brief[i].m << " K " << brief[i].k << " N " << brief[i].n << " w"
              << brief[i].widths.weight << "a" << brief[i].widths.activation);
    const LayerFigures& layer = cycle.layers[i];
    CHECK(layer.latency == Cycles(brief_cycles[i]));
    REQUIRE(layer.numerics);
    CHECK(layer.numerics->outputs == brief[i].m * brief[i].n);
    CHECK(layer.numerics->wrong_outputs == 0);
  }
}

/// All products on one machine, in closed form and simulated; those that are not too long stepped.
void check(const Accelerator& machine, const std::vector<Gemm>& list,
           const std::vector<std::int64_t>& cycles, const std::string& name) {
  const Workload work = gemms(list);
  const EnergyTable energy = energy_of(machine);
  const CostReport analytic = analytic_cost(work.network, work.widths, machine, energy);
  const Figures tile = simulated(work.network, work.widths, machine, energy);
  REQUIRE(analytic.layers.size() == cycles.size());
  REQUIRE(tile.layers.size() == cycles.size());
  for (std::size_t i = 0; i < cycles.size(); ++i) {
    INFO(name << ": M " << list[i].m << " K " << list[i].k << " N " << list[i].n << " w"
              << list[i].widths.weight << "a" << list[i].widths.activation);
    CHECK(analytic.layers[i].latency == Cycles(cycles[i]));
    CHECK(tile.layers[i].latency == Cycles(cycles[i]));
  }
  check_stepped(machine, list, cycles);
}

void check_design(const std::string& design, std::size_t rows) {
  std::map<std::string, std::vector<Run>> groups;  // of one array and variant: one machine
  std::size_t found = 0;
  for (const Run& run : observed()) {
    if (run.design != design) continue;
    const std::string gap =
        run.design == "bismo_exec" ? run.variant.substr(run.variant.find("gap=")) : run.variant;
    groups[run.array + " " + gap].push_back(run);
    ++found;
  }
  CHECK(found == rows);
  for (const auto& [name, runs] : groups) {
    std::vector<Gemm> list;
    std::vector<std::int64_t> cycles;
    for (const Run& run : runs) {
      list.push_back(run.gemm);
      cycles.push_back(run.cycles);
    }
    check(machine_of(runs.front()), list, cycles, design + " " + name);
  }
}

std::int64_t c(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::vector<Gemm> random_products(unsigned seed, int count, std::int64_t most,
                                  const std::vector<BitWidth>& widths) {
  Random random(seed);
  std::vector<Gemm> list;
  for (int i = 0; i < count; ++i) {
    list.push_back({random(1, most),
                    random(1, most),
                    random(1, most),
                    {random.pick(widths), random.pick(widths)}});
  }
  return list;
}

template <class Law>
void check_law(const Accelerator& machine, const std::vector<Gemm>& list, const std::string& name,
               Law law) {
  std::vector<std::int64_t> cycles;
  for (const Gemm& gemm : list) cycles.push_back(law(gemm));
  check(machine, list, cycles, name);
}

}  // namespace

TEST_CASE("Bit Fusion's array takes the observed cycles") { check_design("bitfusion_actlab", 24); }
TEST_CASE("BISMO's execute stage takes the observed cycles") { check_design("bismo_exec", 24); }
TEST_CASE("Gemmini's mesh takes the observed cycles in both dataflows") {
  check_design("gemmini_mesh16", 16);
}
TEST_CASE("a traditional systolic array takes the observed cycles in both dataflows") {
  check_design("scalesim_rtl", 18);
}

TEST_CASE("Bit Fusion's law holds at other sizes: c(N, C) M c(K, R (8/a)(8/w)) + R + C - 1") {
  unsigned seed = 1;
  for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 7}, {16, 32}, {32, 5}, {13, 13}}) {
    check_law(bit_fusion(rows, columns), random_products(seed++, 20, 90, {2, 4, 8}), "bitfusion",
              [rows = rows, columns = columns](const Gemm& g) {
                const std::int64_t products = (8 / g.widths.weight) * (8 / g.widths.activation);
                return c(g.n, columns) * g.m * c(g.k, rows * products) + rows + columns - 1;
              });
  }
}

TEST_CASE(
    "BISMO's law holds at other sizes and gaps: c(M, R) c(N, C) w a (c(K, L) + gap) - gap + 9") {
  unsigned seed = 10;
  for (const int gap : {0, 1, 7}) {
    for (const auto& [rows, lanes, columns] :
         {std::tuple{1, 1, 1}, {8, 256, 8}, {3, 100, 5}, {16, 64, 2}}) {
      check_law(bismo(rows, lanes, columns, gap),
                random_products(seed++, 20, 300, {1, 2, 3, 5, 8, 11, 16}), "bismo",
                [=, rows = rows, lanes = lanes, columns = columns](const Gemm& g) {
                  return c(g.m, rows) * c(g.n, columns) * g.widths.weight * g.widths.activation *
                             (c(g.k, lanes) + gap) -
                         gap + 9;
                });
    }
  }
}

TEST_CASE("Gemmini's laws hold at other sizes of matrices and of the mesh") {
  unsigned seed = 20;
  for (const int side : {4, 16, 32}) {
    check_law(gemmini(Dataflow::weight_stationary, side), random_products(seed++, 30, 100, {1, 8}),
              "gemmini WS", [=](const Gemm& g) {
                const std::int64_t folds = c(g.k, side) * c(g.n, side);
                const std::int64_t blocks = c(g.m, side);
                // Load, whole blocks before the last fold's last one, that one at its true size,
                // drain.
                return side + side * folds * (blocks - 1) + side * (folds - 1) +
                       (g.m - side * (blocks - 1)) + 2 * side + 1;
              });
    check_law(gemmini(Dataflow::output_stationary, side), random_products(seed++, 30, 100, {1, 8}),
              "gemmini OS", [=](const Gemm& g) {
                return side * c(g.k, side) * c(g.m, side) * c(g.n, side) + side + 2 * side + 1;
              });
  }
}

TEST_CASE("the traditional array's laws hold at other sizes") {
  unsigned seed = 30;
  for (const auto& [rows, columns] : {std::pair{2, 2}, {5, 3}, {8, 32}, {16, 16}}) {
    check_law(traditional(Dataflow::output_stationary, rows, columns),
              random_products(seed++, 30, 70, {8}), "traditional OS",
              [rows = rows, columns = columns](const Gemm& g) {
                return c(g.m, rows) * c(g.n, columns) * (2 * rows + columns + g.k - 2);
              });
    check_law(traditional(Dataflow::weight_stationary, rows, columns),
              random_products(seed++, 30, 70, {8}), "traditional WS",
              [rows = rows, columns = columns](const Gemm& g) {
                std::int64_t cycles = 0;
                for (std::int64_t column = 0; column < g.n; column += columns) {
                  const std::int64_t used = std::min<std::int64_t>(columns, g.n - column);
                  cycles += c(g.k, rows) * (3 * rows + used + g.m - 2);
                }
                return cycles;
              });
  }
}

TEST_CASE(
    "SCALE-Sim v2's laws: folds (R + C + T - 2) - 1, and R more a fold with a stationary operand") {
  unsigned seed = 40;
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 2}, {2, 1}, {5, 3}, {8, 32}, {16, 16}}) {
    for (const Dataflow dataflow :
         {Dataflow::output_stationary, Dataflow::weight_stationary, Dataflow::input_stationary}) {
      check_law(scale_sim(dataflow, rows, columns), random_products(seed++, 30, 70, {8}),
                "SCALE-Sim", [=, rows = rows, columns = columns](const Gemm& g) {
                  switch (dataflow) {
                    case Dataflow::output_stationary:
                      return c(g.m, rows) * c(g.n, columns) * (rows + columns + g.k - 2) - 1;
                    case Dataflow::weight_stationary:
                      return c(g.k, rows) * c(g.n, columns) * (2 * rows + columns + g.m - 2) - 1;
                    case Dataflow::input_stationary:
                      return c(g.k, rows) * c(g.m, columns) * (2 * rows + columns + g.n - 2) - 1;
                  }
                  return std::int64_t{0};
                });
    }
  }
}
