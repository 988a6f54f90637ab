// The shipped accelerators: all load, their energy tables have what they need, and their peak rates
// and array timing are those of the machines that they reproduce.
//
// Sources of the figures stand beside them; a machine's own file names its publication.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/hardware/engine.hpp"
#include "models/hardware/table_lookup.hpp"

using namespace widthwise;

namespace {

const std::string kFolder = std::string(WIDTHWISE_SOURCE_DIR) + "/configs/accelerators/";

Accelerator shipped(const std::string& name) { return read_accelerator(kFolder + name + ".yaml"); }

std::vector<Accelerator> all_shipped() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kFolder)) {
    if (entry.is_regular_file()) {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Accelerator> accelerators;
  for (const std::string& path : paths) {
    accelerators.push_back(read_accelerator(path));
  }
  return accelerators;
}

constexpr BitWidth kWidest = 16;

/// Visits the modes of all width pairs that the engine computes with; (weight, activation, mode).
template <class Visit>
void for_each_mode(const Engine& engine, Visit visit) {
  for (BitWidth weight = 1; weight <= kWidest; ++weight) {
    for (BitWidth activation = 1; activation <= kWidest; ++activation) {
      const auto mode = width_mode(engine, {weight, activation});
      if (mode) {
        visit(weight, activation, *mode);
      }
    }
  }
}

double peak_macs_per_cycle(const Accelerator& accelerator, BitWidth weight, BitWidth activation) {
  const auto mode = width_mode(accelerator.engine, {weight, activation});
  REQUIRE(mode);
  return widthwise::peak_macs_per_cycle(accelerator.engine, *mode);
}

/// Two operations a product.
double peak_gops(const Accelerator& accelerator, BitWidth weight, BitWidth activation) {
  return 2e-9 * peak_macs_per_cycle(accelerator, weight, activation) * accelerator.clock.count();
}

/// Cycles of an M x K by K x N product that is one tile, operands waiting in the buffers.
std::int64_t array_cycles(const Accelerator& accelerator, LayerWidths widths, std::int64_t m,
                          std::int64_t k, std::int64_t n) {
  const auto mode = width_mode(accelerator.engine, widths);
  REQUIRE(mode);
  const LayerTiming timing(accelerator.engine, *mode, {.m = m, .n = n, .channels = k}, {});
  return timing.start_cycles() +
         timing.total_cycles(timing.m_sums(m), timing.n_sums(n), timing.k_sums(k)) -
         timing.last_tile_credit(m, n, k) + timing.finish_cycles();
}

}  // namespace

TEST_CASE("every shipped accelerator loads and says what it reproduces and what it leaves out") {
  const auto accelerators = all_shipped();
  REQUIRE(accelerators.size() >= 19);
  for (const Accelerator& accelerator : accelerators) {
    INFO(accelerator.name);
    CHECK_FALSE(accelerator.description.empty());
    CHECK_FALSE(accelerator.reproduces.empty());
    CHECK_FALSE(accelerator.leaves_out.empty());
    // The file has the machine's name.
    CHECK(std::filesystem::path(accelerator.source).stem() == accelerator.name);
  }
}

TEST_CASE("every shipped accelerator finds its energies at all widths that it computes with") {
  for (const Accelerator& accelerator : all_shipped()) {
    INFO(accelerator.name);
    const EnergyModel energy(accelerator, read_energy_table(accelerator.energy_table));
    Diagnostics diagnostics;
    int modes = 0;
    for_each_mode(accelerator.engine, [&](BitWidth, BitWidth, const WidthMode& mode) {
      energy.check_operation(mode, "any", diagnostics);
      ++modes;
    });
    CHECK_NOTHROW(diagnostics.throw_if_any());
    // Whole machines compute at all widths, register-transfer designs at what their elements take.
    const bool serial = accelerator.engine.kind == EngineKind::bit_serial;
    const BitWidth widest = serial                        ? accelerator.engine.max_weight_bits
                            : accelerator.engine.temporal ? kWidest
                                                          : accelerator.engine.max_bits;
    CHECK(modes == widest * widest);
    const bool is_rtl = accelerator.source.find("/rtl/") != std::string::npos;
    CHECK((is_rtl || widest == kWidest));
  }
}

TEST_CASE("a product of narrower operands never costs a shipped accelerator more energy") {
  for (const Accelerator& accelerator : all_shipped()) {
    const EnergyTable table = read_energy_table(accelerator.energy_table);
    Diagnostics diagnostics;
    const UnitEnergy found = find_unit(table, accelerator.engine.unit, accelerator.engine.lanes,
                                       accelerator.engine.accumulator_bits, diagnostics);
    CHECK_NOTHROW(diagnostics.throw_if_any());
    const UnitEnergy* unit = &found;
    // Operations and the clock of the cycles that a product takes.
    const auto product_pj = [&](BitWidth weight, BitWidth activation) {
      const auto mode = width_mode(accelerator.engine, {weight, activation});
      REQUIRE(mode);
      const auto row = std::find_if(
          unit->operations.begin(), unit->operations.end(), [&](const OperationEnergy& operation) {
            return operation.weight_bits == mode->operation.weight &&
                   operation.activation_bits == mode->operation.activation;
          });
      REQUIRE(row != unit->operations.end());
      return mode->operations_per_mac * row->energy.count() +
             unit->clock_per_cycle.count() * static_cast<double>(mode->passes) /
                 static_cast<double>(mode->products);
    };
    for_each_mode(accelerator.engine, [&](BitWidth weight, BitWidth activation, const WidthMode&) {
      INFO(accelerator.name << " w" << weight << "a" << activation);
      if (weight > 1) {
        CHECK(product_pj(weight - 1, activation) <= product_pj(weight, activation));
      }
      if (activation > 1) {
        CHECK(product_pj(weight, activation - 1) <= product_pj(weight, activation));
      }
    });
  }
}

TEST_CASE("Bit Fusion's throughput factor is (8 / max(w, 2)) (8 / max(a, 2)) in whole numbers") {
  const Accelerator bitfusion = shipped("bitfusion_16x32");
  for (const int weight : {1, 2, 3, 4, 5, 6, 7, 8}) {
    for (const int activation : {1, 2, 3, 4, 5, 6, 7, 8}) {
      INFO("w" << weight << "a" << activation);
      const int factor = (8 / std::max(weight, 2)) * (8 / std::max(activation, 2));
      CHECK(peak_macs_per_cycle(bitfusion, weight, activation) == 16 * 32 * factor);
    }
  }
  CHECK(peak_macs_per_cycle(bitfusion, 16, 16) == 16 * 32 / 4.0);
  CHECK(peak_macs_per_cycle(bitfusion, 16, 8) == 16 * 32 / 2.0);
}

TEST_CASE("Stripes runs p-bit activations 16/p times as fast, whatever the weights") {
  const Accelerator stripes = shipped("stripes_16x16");
  constexpr double kDaDianNao = 16 * 16 * 16;  // tiles x filters x lanes, 16 bits
  for (BitWidth activation = 1; activation <= kWidest; ++activation) {
    for (const BitWidth weight : {1, 8, 16}) {
      CHECK(peak_macs_per_cycle(stripes, weight, activation) ==
            Approx(kDaDianNao * 16.0 / activation));
    }
  }
}

TEST_CASE("Loom runs 128 products of 16 x 16 bits a cycle and 256 / (w a) times as many") {
  const Accelerator loom = shipped("loom_16x128");
  const Accelerator eighth = shipped("loom_16x16");
  for (BitWidth weight = 1; weight <= kWidest; ++weight) {
    for (BitWidth activation = 1; activation <= kWidest; ++activation) {
      const double macs = 128 * 256.0 / (weight * activation);
      CHECK(peak_macs_per_cycle(loom, weight, activation) == Approx(macs));
      CHECK(peak_macs_per_cycle(eighth, weight, activation) == Approx(macs / 8));
    }
  }
}

TEST_CASE("UNPU reaches its published 345.6 GOPS at 16-bit weights, and 16/w of them") {
  const Accelerator unpu = shipped("unpu");
  for (BitWidth weight = 1; weight <= kWidest; ++weight) {
    CHECK(peak_gops(unpu, weight, 16) == Approx(345.6 * 16 / weight));
  }
  // The chip's tables take four activations at 1-bit weights and three otherwise (not modelled).
  CHECK(peak_gops(unpu, 1, 16) == Approx(7372.0 * 3 / 4).epsilon(1e-3));
}

TEST_CASE("BISMO's edge machine has the published 6.5 binary tera-operations per second") {
  const Accelerator edge = shipped("bismo_edge_8x8");
  CHECK(peak_gops(edge, 1, 1) == Approx(6500).epsilon(1e-3));  // arXiv 1901.00370: PYNQ-Z1
  const Accelerator cloud = shipped("bismo_cloud_16x16");
  for (const Accelerator* bismo : {&edge, &cloud}) {
    const Engine& engine = bismo->engine;
    CHECK(peak_macs_per_cycle(*bismo, 1, 1) == engine.rows * engine.columns * 256);
    CHECK(peak_macs_per_cycle(*bismo, 5, 3) == Approx(engine.rows * engine.columns * 256 / 15.0));
  }
}

TEST_CASE("DVAFS does 102 GOPS at 16 bits, twice as many at 8 and four times at 4") {
  const Accelerator dvafs = shipped("dvafs_16x16");
  CHECK(peak_gops(dvafs, 16, 16) == Approx(102.4));
  CHECK(peak_gops(dvafs, 8, 8) == Approx(204.8));
  CHECK(peak_gops(dvafs, 4, 4) == Approx(409.6));
  CHECK(peak_gops(dvafs, 4, 16) == Approx(102.4));  // both operands are split alike
}

TEST_CASE("PrecisionBatching takes w + 1 weight planes at the population counts of a T4") {
  const Accelerator machine = shipped("precision_batching");
  constexpr double kBinaryProducts = 40 * 16 * 32;  // multiprocessors x counts a cycle x bits
  for (BitWidth weight = 1; weight <= kWidest; ++weight) {
    CHECK(peak_macs_per_cycle(machine, weight, 8) == Approx(kBinaryProducts / ((weight + 1) * 8)));
  }
  // Its bytes per cycle are the card's 320 GB/s.
  CHECK(machine.memory.dram.bandwidth * machine.clock.count() == Approx(320e9 * 8));
}

TEST_CASE("the int8 meshes take one pass up to 8 bits and one for each pair of halves beyond") {
  for (const int side : {16, 32}) {
    const std::string size = std::to_string(side);
    const Accelerator mesh = shipped("systolic_" + size + "x" + size + "_int8");
    CHECK(peak_macs_per_cycle(mesh, 1, 1) == side * side);
    CHECK(peak_macs_per_cycle(mesh, 8, 8) == side * side);
    CHECK(peak_macs_per_cycle(mesh, 9, 8) == side * side / 2.0);
    CHECK(peak_macs_per_cycle(mesh, 16, 16) == side * side / 4.0);
  }
}

TEST_CASE("Bit Fusion's array takes the cycles of its authors' RTL") {
  // c(N, columns) M c(K, rows (8/a)(8/w)) + rows + columns - 1, seen in Verilator at 16 x 16 and
  // smaller sizes.
  const Accelerator bitfusion = shipped("bitfusion_16x32");
  CHECK(array_cycles(bitfusion, {8, 8}, 1, 16, 32) == 1 + 47);
  CHECK(array_cycles(bitfusion, {8, 8}, 7, 33, 33) == 2 * 7 * 3 + 47);
  CHECK(array_cycles(bitfusion, {2, 4}, 5, 300, 64) == 2 * 5 * 3 + 47);
}

TEST_CASE("the int8 mesh takes the cycles of Gemmini's RTL") {
  const Accelerator mesh = shipped("systolic_16x16_int8");
  struct Run {
    std::int64_t m, k, n, cycles;
  };
  // Seen in Verilator on the generated mesh, weight-stationary.
  for (const Run& run : {Run{16, 16, 16, 65}, Run{16, 16, 32, 81}, Run{16, 48, 32, 145},
                         Run{32, 16, 16, 81}, Run{32, 16, 32, 113}, Run{32, 48, 32, 241}}) {
    INFO(run.m << " x " << run.k << " x " << run.n);
    CHECK(array_cycles(mesh, {8, 8}, run.m, run.k, run.n) == run.cycles);
  }
}

TEST_CASE("the int8 mesh keeps its law at other sides") {
  // R + R T (B - 1) + R (T - 1) + (M - R (B - 1)) + 2 R + 1 with T = 2 folds, B = 3 row blocks.
  const std::vector<std::string> eight{"engine.rows=8", "engine.columns=8"};
  const Accelerator mesh = read_accelerator(kFolder + "systolic_16x16_int8.yaml", eight);
  CHECK(array_cycles(mesh, {8, 8}, 20, 16, 8) == 8 + 8 * 2 * 2 + 8 + (20 - 16) + 17);
}

TEST_CASE("BISMO's array takes the cycles of its execute stage") {
  // c(M, rows) c(N, columns) w a c(K, lanes) + 9, seen in Verilator on other sizes.
  const Accelerator edge = shipped("bismo_edge_8x8");
  CHECK(array_cycles(edge, {1, 1}, 8, 256, 8) == 1 + 9);
  CHECK(array_cycles(edge, {3, 5}, 17, 700, 9) == 3 * 2 * 15 * 3 + 9);
}
