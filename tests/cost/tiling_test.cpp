// The search for tiles: the optimum of its stated space, by brute force; every tile fits.
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <catch2/catch.hpp>

#include "models/cost/analytic.hpp"
#include "tests/cost/machines.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

constexpr LoopOrder kOrders[] = {LoopOrder::mnk, LoopOrder::nmk, LoopOrder::mkn,
                                 LoopOrder::nkm, LoopOrder::kmn, LoopOrder::knm};

/// Least size, in multiples of `step`, for every number of tiles of an extent.
std::set<std::int64_t> least_sizes(std::int64_t extent, std::int64_t step) {
  std::set<std::int64_t> sizes;
  const std::int64_t units = (extent + step - 1) / step;
  for (std::int64_t count = 1; count <= units; ++count) {
    sizes.insert(std::min(extent, (units + count - 1) / count * step));
  }
  return sizes;
}

struct Value {
  double latency = 0, dram = 0, energy = 0;
  [[nodiscard]] double of(Objective objective) const {
    switch (objective) {
      case Objective::latency:
        return latency;
      case Objective::energy:
        return energy;
      case Objective::edp:
        return energy * latency;
    }
    return 0;
  }
};

Value value_of(const LayerModel& model, const EnergyModel& energy, const Tile& tile) {
  const ClosedForm form = model.closed_form(tile);
  Value value;
  value.latency = static_cast<double>(whole_cycles(form.latency));
  for (int s = 0; s < kStreams; ++s) {
    if (model.home(static_cast<Stream>(s)) == Home::dram) value.dram += form.stream_bits[s];
  }
  value.energy =
      energy.energy(model.activity(tile, form), Cycles(static_cast<std::int64_t>(value.latency)))
          .total()
          .count();
  return value;
}

LayerSetting setting_of(const Layer& layer, LayerWidths widths) {
  LayerSetting setting;
  setting.layer = &layer;
  setting.widths = widths;
  setting.stored_input = widths.activation;
  setting.stored_weight = widths.weight;
  setting.stored_output = 8;
  setting.reads_network_input = true;
  return setting;
}

/// The space that LayerModel::search states, for engines with one product per PE or unit lane (the
/// step along K is then the array's own) and groups one after the other.
std::vector<Tile> stated_space(const LayerSetting& setting, const WidthMode& mode,
                               const Accelerator& machine) {
  const LayerModel model(setting, mode, machine);
  // At the machine's greatest widths.
  LayerSetting wide = setting;
  const bool array = machine.engine.kind == EngineKind::mac_array;
  const BitWidth array_bits = machine.engine.temporal ? kMaxOperandWidth : machine.engine.max_bits;
  wide.stored_weight = array ? array_bits : machine.engine.max_weight_bits;
  wide.stored_input = array ? array_bits : machine.engine.max_activation_bits;
  wide.accumulator_bits = machine.engine.accumulator_bits;
  const LayerModel widest(wide, mode, machine);
  const ComputeShape& shape = model.shape();
  const bool k_on_rows = array && machine.engine.dataflow != Dataflow::output_stationary;
  std::int64_t k_step = array ? (k_on_rows ? machine.engine.rows : 1) : machine.engine.lanes;
  std::int64_t n_step = static_cast<std::int64_t>(machine.engine.columns) * machine.engine.tiles;
  if (unrolls_kernel(machine.engine, shape, model.setting().reads_network_input)) {
    k_step =
        std::max(std::min<std::int64_t>(k_step, 64), k_step / (shape.kernel_h * shape.kernel_w));
  }
  k_step = std::min(k_step, shape.in_channels);
  n_step = std::min(n_step, shape.out_channels);
  const auto position = [&] { return Tile{.out_channels = n_step, .in_channels = k_step}; };
  while (k_step > 1 && !widest.fits(position())) k_step = (k_step + 1) / 2;
  while (n_step > 1 && !widest.fits(position())) n_step = (n_step + 1) / 2;

  const auto ns = least_sizes(shape.out_channels, n_step);
  const auto ks = least_sizes(shape.in_channels, k_step);
  std::vector<Tile> positions;
  for (const std::int64_t batch : least_sizes(shape.batch, 1)) {
    if (batch > 1) {
      positions.push_back({.batch = batch, .out_h = shape.out_h, .out_w = shape.out_w});
      continue;
    }
    for (const std::int64_t out_h : least_sizes(shape.out_h, 1)) {
      for (const std::int64_t out_w : least_sizes(shape.out_w, 1)) {
        positions.push_back({.batch = 1, .out_h = out_h, .out_w = out_w});
      }
    }
  }
  // Least array steps of a tile: 1,024, or an eighth of the most that fit at the greatest widths.
  const auto steps = [&](const Tile& tile) {
    const Engine& engine = machine.engine;
    const auto ceil_of = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
    const std::int64_t m = tile.batch * tile.out_h * tile.out_w;
    const std::int64_t columns =
        ceil_of(tile.out_channels, static_cast<std::int64_t>(engine.columns) * engine.tiles);
    const std::int64_t kernels = shape.kernel_h * shape.kernel_w * tile.groups;
    if (!array && model.timing().staggered()) {
      // The rows share the steps of one image after the other.
      return ceil_of(m * kernels * 16 * columns * ceil_of(tile.in_channels, engine.lanes),
                     engine.rows);
    }
    if (!array) {
      return kernels * 16 * ceil_of(m, engine.rows) * columns *
             ceil_of(tile.in_channels, engine.lanes);
    }
    if (!k_on_rows) return kernels * ceil_of(m, engine.rows) * columns * tile.in_channels;
    return kernels * m * columns * ceil_of(tile.in_channels, engine.rows);
  };
  std::int64_t most_steps = 0;
  for (Tile tile : positions) {
    for (const std::int64_t n : ns) {
      for (const std::int64_t k : ks) {
        tile.out_channels = n;
        tile.in_channels = k;
        if (widest.fits(tile)) most_steps = std::max(most_steps, steps(tile));
      }
    }
  }
  const std::int64_t least_steps = std::min<std::int64_t>(1024, (most_steps + 7) / 8);
  std::vector<Tile> space;
  for (Tile tile : positions) {
    for (const std::int64_t n : ns) {
      for (const std::int64_t k : ks) {
        tile.groups = 1;
        tile.out_channels = n;
        tile.in_channels = k;
        const bool whole = n == shape.out_channels && k == shape.in_channels;
        for (const std::int64_t groups : least_sizes(shape.groups, 1)) {
          if (groups > 1 && !whole) continue;
          tile.groups = groups;
          if (steps(tile) < least_steps || !model.fits(tile)) continue;
          const bool all_turn = tile.in_channels < shape.in_channels &&
                                tile.out_channels < shape.out_channels &&
                                tile.batch * tile.out_h * tile.out_w < shape.m();
          for (const LoopOrder order : kOrders) {
            // Where all three loops turn the innermost alone decides.
            if (all_turn && order != LoopOrder::mnk && order != LoopOrder::mkn &&
                order != LoopOrder::nkm) {
              continue;
            }
            tile.order = order;
            space.push_back(tile);
          }
        }
      }
    }
  }
  return space;
}

Accelerator random_tiny_machine(Random& random) {
  Accelerator machine = example_machine();
  Engine& engine = machine.engine;
  engine.rows = static_cast<int>(random(1, 4));
  engine.columns = static_cast<int>(random(1, 4));
  if (random(0, 3) == 0) {
    engine.kind = EngineKind::bit_serial;
    engine.lanes = static_cast<int>(random(1, 4));
    engine.max_weight_bits = engine.max_activation_bits = 8;
    engine.tiles = static_cast<int>(random(1, 2));
    engine.fully_connected = random.coin() ? VectorMapping::staggered : VectorMapping::on_rows;
  } else {
    engine.dataflow = static_cast<Dataflow>(random(0, 2));
    engine.timing.load = LinearCycles{.rows = static_cast<int>(random(0, 1))};
    engine.timing.drain = LinearCycles{.columns = static_cast<int>(random(0, 1))};
    engine.timing.folds = random.coin() ? FoldOverlap::pipelined : FoldOverlap::serial;
  }
  engine.reduction = static_cast<Reduction>(random(0, 2));
  engine.fold_stride_channels = static_cast<int>(random(0, 4));
  Memory& memory = machine.memory;
  memory.dram.bandwidth = static_cast<double>(random(1, 40));
  memory.dram.latency = Cycles(random(0, 30));
  memory.dram.burst = Bytes(random.pick<std::int64_t>({1, 8, 64}));
  memory.input_buffer.capacity = Bytes(random(300, 900));
  memory.weight_buffer.capacity = Bytes(random(300, 900));
  memory.output_buffer.capacity = Bytes(random(100, 900));
  memory.read_initial_sums = random.coin();
  memory.fetch_padding = random.coin();
  machine.post_processing.lanes = static_cast<int>(random(1, 8));
  machine.tiling.objective = static_cast<Objective>(random(0, 2));
  machine.tiling.slack = random.pick<double>({0, 0, 0.02, 0.2});
  return machine;
}

}  // namespace

TEST_CASE("the search returns the optimum of its stated space, by brute force") {
  const EnergyTable table = example_energy();
  Random random(11);
  Random accumulators(12);
  int searched = 0;
  for (int i = 0; i < 3000; ++i) {
    const Accelerator machine = random_tiny_machine(random);
    const LayerWidths widths{static_cast<int>(random(1, 8)), static_cast<int>(random(1, 8))};
    const Workload work = random_layer(random, 9, 8, widths);
    LayerSetting setting = setting_of(work.network.layers()[0], widths);
    if (i % 2 == 0) setting.accumulator_bits = static_cast<int>(accumulators(2, 32));
    const WidthMode mode = *width_mode(machine.engine, widths);
    const LayerModel model(setting, mode, machine);
    const EnergyModel energy(machine, table);
    const auto found = model.search(energy);
    const std::vector<Tile> space = stated_space(setting, mode, machine);
    INFO(i << ": " << describe(model.shape()) << " w" << widths.weight << "a" << widths.activation
           << ", objective " << to_string(machine.tiling.objective) << ", slack "
           << machine.tiling.slack << ", dataflow " << to_string(machine.engine.dataflow) << ", "
           << space.size() << " tiles");
    REQUIRE(found.has_value() == !space.empty());
    if (!found) continue;
    ++searched;
    INFO(describe(*found));
    CHECK(model.fits(*found));
    const Objective objective = machine.tiling.objective;
    std::vector<Value> values;
    double least = std::numeric_limits<double>::infinity();
    for (const Tile& tile : space) {
      values.push_back(value_of(model, energy, tile));
      least = std::min(least, values.back().of(objective));
    }
    // The objective, then DRAM traffic, then energy; with a slack, of the tiles within it the one
    // with the least traffic, then the objective, then energy.
    const double slack = machine.tiling.slack;
    std::optional<std::size_t> best_index;
    const auto rank = [&](const Value& value) {
      const double first = slack > 0 ? value.dram : value.of(objective);
      const double second = slack > 0 ? value.of(objective) : value.dram;
      return std::tuple{first, second, value.energy};
    };
    for (std::size_t j = 0; j < space.size(); ++j) {
      if (values[j].of(objective) > least * (1 + slack)) continue;
      if (!best_index || rank(values[j]) < rank(values[*best_index])) best_index = j;
    }
    const Value best = values[*best_index];
    const Tile& best_tile = space[*best_index];
    INFO("brute force: " << describe(best_tile));
    const Value value = value_of(model, energy, *found);
    CHECK(value.of(objective) == best.of(objective));
    CHECK(value.dram == best.dram);
    CHECK(value.energy == Approx(best.energy).epsilon(1e-12));
  }
  CHECK(searched > 2000);
}

TEST_CASE("a tile that needs exactly half of a double buffer fits, one bit more does not") {
  Accelerator machine = example_machine();
  machine.memory.input_buffer.capacity = Bytes(1 << 20);
  machine.memory.weight_buffer.capacity = Bytes(1 << 20);
  machine.memory.output_buffer.capacity = Bytes(1 << 20);
  const Workload work = gemms({{10, 6, 20, {3, 5}}});
  const Tile tile{.out_h = 10, .out_channels = 6, .in_channels = 20};
  struct Side {
    Buffer Memory::*buffer;
    std::int64_t bits;
  };
  const Side sides[] = {{&Memory::input_buffer, 10 * 20 * 5},
                        {&Memory::weight_buffer, 20 * 6 * 3},
                        {&Memory::output_buffer, 10 * 6 * 32}};
  for (const Side& side : sides) {
    for (const bool twice : {true, false}) {
      Accelerator tight = machine;
      Buffer& buffer = tight.memory.*side.buffer;
      buffer.double_buffered = twice;
      const auto fits = [&] {
        LayerSetting setting = setting_of(work.network.layers()[0], {3, 5});
        return LayerModel(setting, *width_mode(tight.engine, {3, 5}), tight).fits(tile);
      };
      const std::int64_t bytes = side.bits / 8 * (twice ? 2 : 1);
      REQUIRE(side.bits % 8 == 0);
      buffer.capacity = Bytes(bytes);
      CHECK(fits());
      buffer.capacity = Bytes(bytes - 1);
      CHECK_FALSE(fits());
    }
  }
}

TEST_CASE("every tile that the search chooses for the shipped networks fits the buffers") {
  for (const std::string& name : shipped_names()) {
    const Accelerator machine = shipped(name);
    const EnergyTable table = energy_of(machine);
    for (const char* network_name : {"resnet18_cifar", "tiny_transformer"}) {
      const Network network = workload(network_name);
      for (const char* widths : {"w8a8", "w2a2"}) {
        const WidthPlan plan = resolve_widths(network, parse_uniform_assignment(widths));
        const NetworkPlan planned = plan_network(network, plan, machine, table);
        for (const LayerPlan& layer : planned.layers) {
          if (!layer.engine) continue;
          INFO(name << " " << layer.setting.layer->name << " " << widths << " "
                    << describe(layer.tile));
          CHECK(layer.engine->fits(layer.tile));
        }
      }
    }
  }
}

TEST_CASE("a layer that fits no tile is the user's mistake, named with the sizes of the buffers") {
  Accelerator machine = example_machine();
  machine.memory.weight_buffer.capacity = Bytes(1);
  Window window;
  window.kernel[0] = window.kernel[1] = 3;
  const Shape input = {1, 4, 8, 8};
  const Workload work = single(infer_convolution(input, 4, 1, window), input, {8, 8});
  CHECK_THROWS_WITH(analytic_cost(work.network, work.widths, machine, example_energy()),
                    Catch::Contains("no tile fits the buffers") && Catch::Contains("weight 1 B"));
}

TEST_CASE("a tile of the config is used as it stands") {
  Accelerator machine = example_machine();
  machine.tiling.fixed["gemm0"] = {
      .out_h = 5, .out_channels = 3, .in_channels = 7, .order = LoopOrder::knm};
  const Workload work = gemms({{10, 6, 20, {8, 8}}});
  const CostReport report = analytic_cost(work.network, work.widths, machine, example_energy());
  CHECK(report.layers[0].tile == machine.tiling.fixed["gemm0"]);
  CHECK(report.layers[0].tiles == 2 * 2 * 3);
}
