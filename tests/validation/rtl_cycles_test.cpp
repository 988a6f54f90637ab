// Cycles of register-transfer designs, to the cycle, by the engine's timing parameters alone: the
// files in configs/accelerators/rtl at the sizes observed and at others, on one matrix product
// (RBE: one convolution) with ideal memory, in closed form, simulated tile by tile, and stepped
// cycle by cycle on integers.
//
// Sources of the observed rows: rtl_cycles.csv.
#include <cstdint>
#include <map>
#include <numeric>
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
    if (row[0] == "rbe") continue;  // convolutions: rbe_rows()
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
  const Figures cycle = simulated(work.network, work.widths, machine, energy_of(machine), options);
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

/// A convolution on RBE: `size` kernel positions along either axis, as many outputs as inputs.
struct RbeRun {
  std::int64_t height = 3, width = 3, in = 32, out = 32, size = 1;
  LayerWidths widths;
  BitWidth out_bits = 8;
};

/// load, compute, normalize, store and index updates as the law has them.
std::vector<std::int64_t> rbe_law(const RbeRun& run) {
  const bool small = run.size == 1;
  const std::int64_t rows = c(run.height, 3);
  const std::int64_t positions = rows * c(run.width, 3);
  const std::int64_t p = positions * c(run.out, 32);
  const std::int64_t channels = c(run.in, 32);
  const std::int64_t i = channels * c(run.widths.activation, 4);
  // Index updates: the start, and what each loop takes to go on. Six constants fitted to six rows.
  const std::int64_t index = 28 + 4 * (i - channels) * p + 6 * (channels - 1) * p +
                             8 * (p - positions) + 11 * (positions - rows) + 14 * (rows - 1);
  return {(small ? 17 : 25) * p * i, (small ? 40 : 32 * run.widths.weight + 8) * p * i, 18 * p,
          (run.out_bits <= 4 ? 18 : 33) * p, index};
}

std::int64_t sum(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

/// In closed form and simulated; phases in the report.
void check_rbe(const RbeRun& run, std::int64_t cycles) {
  const Accelerator machine =
      design("rbe", {set("memory.output_bits", static_cast<std::int64_t>(run.out_bits))});
  Window window;
  for (int axis = 0; axis < 2; ++axis) {
    window.kernel[axis] = run.size;
    window.pad_begin[axis] = window.pad_end[axis] = run.size / 2;
  }
  const Shape input = {1, run.in, run.height, run.width};
  const Workload work = single(infer_convolution(input, run.out, 1, window), input, run.widths);
  const EnergyTable energy = energy_of(machine);
  const CostReport report = analytic_cost(work.network, work.widths, machine, energy);
  const Figures tile = simulated(work.network, work.widths, machine, energy);
  INFO("RBE " << run.height << "x" << run.width << "x" << run.in << "x" << run.out << " kernel "
              << run.size << " w" << run.widths.weight << "a" << run.widths.activation << " out "
              << run.out_bits);
  CHECK(report.layers[0].latency == Cycles(cycles));
  CHECK(tile.layers[0].latency == Cycles(cycles));
  if (cycles <= kMostStepped) {
    SimulationOptions options;
    options.step_cycles = true;
    const Figures cycle = simulated(work.network, work.widths, machine, energy, options);
    CHECK(cycle.layers[0].latency == Cycles(cycles));
    CHECK(cycle.layers[0].cycles == tile.layers[0].cycles);
    REQUIRE(cycle.layers[0].numerics);
    CHECK(cycle.layers[0].numerics->wrong_outputs == 0);
  }
  const auto law = rbe_law(run);
  const std::vector<std::string> names{"load", "compute", "normalize", "store", "index"};
  REQUIRE(report.layers[0].phases.size() == names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    CHECK(report.layers[0].phases[i].first == names[i]);
    CHECK(report.layers[0].phases[i].second == Cycles(law[i]));
  }
  const CycleBreakdown& parts = report.layers[0].cycles;
  CHECK(parts == tile.layers[0].cycles);
  CHECK(parts.busy + parts.fill + parts.drain == report.layers[0].latency);
  CHECK(parts.drain == Cycles(law[2] + law[3]));
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

TEST_CASE(
    "RBE takes the observed cycles; six rows fix its index updates, the other six test them") {
  std::size_t rows = 0;
  for (const auto& row : read_csv("validation/rtl_cycles.csv")) {
    if (row[0] != "rbe") continue;
    ++rows;
    // filter=3x3;h=6;w=3;out_bits=4
    std::map<std::string, std::string> variant;
    std::istringstream text(row[2]);
    for (std::string part; std::getline(text, part, ';');) {
      variant[part.substr(0, part.find('='))] = part.substr(part.find('=') + 1);
    }
    const RbeRun run{std::stoll(variant.at("h")),
                     std::stoll(variant.at("w")),
                     std::stoll(row[4]),
                     std::stoll(row[5]),
                     variant.at("filter") == "3x3" ? 3 : 1,
                     {std::stoi(row[6]), std::stoi(row[7])},
                     std::stoi(variant.at("out_bits"))};
    check_rbe(run, std::stoll(row[8]));
  }
  CHECK(rows == 12);
}

TEST_CASE("RBE's laws hold at other sizes and widths: load, compute, normalize, store and index") {
  Random random(60);
  for (int i = 0; i < 200; ++i) {
    const RbeRun run{random(1, 20),
                     random(1, 20),
                     random(1, 200),
                     random(1, 200),
                     random.pick<std::int64_t>({1, 3}),
                     {static_cast<BitWidth>(random(1, 8)), static_cast<BitWidth>(random(1, 8))},
                     static_cast<BitWidth>(random(1, 8))};
    check_rbe(run, sum(rbe_law(run)));
  }
}

TEST_CASE("index updates of larger RBE layers are 2 to 8 % of the time") {
  for (const std::int64_t size : {1, 3}) {
    const auto law = rbe_law({9, 9, 256, 64, size, {4, 4}, 4});
    const double share = static_cast<double>(law[4]) / static_cast<double>(sum(law));
    CHECK(share > 0.02);
    CHECK(share < 0.11);
  }
}
