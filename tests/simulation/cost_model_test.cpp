// Cost models of machines: points, workers, cache; and that the sum over a network's points, looked
// up in a table by stored widths, is the cost of the network.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "models/cost/analytic.hpp"
#include "models/cost/cost_cache.hpp"
#include "models/cost/metrics.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/network/single_layer.hpp"
#include "models/table/table_csv.hpp"
#include "models/table/table_model.hpp"
#include "models/table/table_points.hpp"
#include "sim/simulated_model.hpp"
#include "tests/simulation/own_process.hpp"

namespace widthwise {

namespace {

std::string data(const std::string& name) {
  return std::string(WIDTHWISE_SOURCE_DIR) + "/" + name + ".yaml";
}

struct Case {
  explicit Case(const std::string& machine, const std::string& name = "tiny_cnn",
                const std::vector<std::string>& overrides = {})
      : accelerator(read_accelerator(data("configs/accelerators/" + machine), overrides)),
        energy(read_energy_table(accelerator.energy_table)),
        network(read_network(data("workloads/" + name))) {}

  [[nodiscard]] std::unique_ptr<MachineCostModel> model(Fidelity fidelity,
                                                        MachineModelOptions options = {}) const {
    return machine_cost_model(network, accelerator, energy, fidelity, std::move(options));
  }
  [[nodiscard]] std::vector<LayerPoint> points(const Assignment& assignment) const {
    return layer_points(network, resolve_widths(network, assignment), accelerator);
  }

  Accelerator accelerator;
  EnergyTable energy;
  Network network;
};

/// The whole network's latency, energy and DRAM bytes in one simulation.
std::vector<double> simulated(const Case& c, const Assignment& assignment, Fidelity fidelity) {
  const WidthPlan widths = resolve_widths(c.network, assignment);
  if (fidelity == Fidelity::analytic) {
    const CostReport report = analytic_cost(c.network, widths, c.accelerator, c.energy);
    return {static_cast<double>(report.latency().count()), report.energy().total().count(),
            static_cast<double>((report.dram_read() + report.dram_write()).count())};
  }
  const std::string text = test::text_from_own_process([&] {
    SimulationOptions options;
    options.step_cycles = fidelity == Fidelity::cycle;
    const CostReport report = simulate(c.network, widths, c.accelerator, c.energy, options);
    std::ostringstream out;
    out.precision(17);
    out << report.latency().count() << ' ' << report.energy().total().count() << ' '
        << (report.dram_read() + report.dram_write()).count();
    return out.str();
  });
  std::istringstream in(text);
  std::vector<double> figures(3);
  in >> figures[0] >> figures[1] >> figures[2];
  return figures;
}

std::vector<double> summed(CostModel& model, const std::vector<LayerPoint>& points) {
  const std::vector<double> total = total_cost(model, points);
  return {total[metric_index(model.metrics(), "latency_cycles")],
          total[metric_index(model.metrics(), "energy_pj")],
          total[metric_index(model.metrics(), "dram_bytes")]};
}

void check_equal(const std::vector<double>& sum, const std::vector<double>& whole) {
  CHECK(sum[0] == whole[0]);
  CHECK(sum[1] == Approx(whole[1]).epsilon(1e-12));
  CHECK(sum[2] == whole[2]);
}

/// Widths of every layer with multiply-accumulates drawn from the list.
Assignment random_assignment(const Network& network, const std::vector<BitWidth>& widths,
                             std::mt19937& random) {
  std::uniform_int_distribution<std::size_t> pick(0, widths.size() - 1);
  Assignment assignment;
  assignment.name = "random";
  for (const Layer& layer : network.layers()) {
    if (!layer.compute) continue;
    WidthRule rule{layer.name, std::nullopt, widths[pick(random)], {}};
    if (layer.weights > 0) rule.weight = widths[pick(random)];
    assignment.rules.push_back(rule);
  }
  return assignment;
}

/// A folder that is removed again.
class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() /
              ("widthwise_" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// Sums over a table by stored widths equal the whole network at random mixed widths.
void check_table(const Case& c, Fidelity fidelity, const std::vector<BitWidth>& widths,
                 int trials) {
  const auto model = c.model(fidelity, {.jobs = 2});
  TableRequest request{widths, widths};
  request.stored = true;
  const MadeTable made = make_table(*model, request);
  REQUIRE(made.failures.empty());
  TableCostModel table(c.network, parse_cost_table(cost_table_csv(made.table), "table.csv"));
  std::mt19937 random(1);
  for (int trial = 0; trial < trials; ++trial) {
    const Assignment assignment = random_assignment(c.network, widths, random);
    INFO(c.accelerator.name << " " << c.network.name() << " trial " << trial);
    const std::vector<double> whole = simulated(c, assignment, fidelity);
    check_equal(summed(*model, c.points(assignment)), whole);
    const std::vector<double> looked_up = summed(table, c.points(assignment));
    for (std::size_t i = 0; i < whole.size(); ++i) {
      CHECK(looked_up[i] == Approx(whole[i]).epsilon(1e-3));  // inputs of mixed widths: the mean
    }
  }
}

TEST_CASE("Sums over a table are the whole network's cost: residual network on Bit Fusion") {
  check_table(Case("bitfusion_16x32", "resnet18_cifar"), Fidelity::tile, {2, 4, 8}, 4);
}

TEST_CASE("Sums over a table are the whole network's cost: tensors kept on chip") {
  check_table(Case("systolic_16x16_int8", "resnet18_cifar"), Fidelity::tile, {2, 4, 8}, 4);
}

TEST_CASE("Sums over a table are the whole network's cost: products of activations") {
  check_table(Case("bismo_edge_8x8", "tiny_transformer"), Fidelity::tile, {2, 5, 8}, 4);
  check_table(Case("systolic_16x16_int8", "tiny_transformer", {"memory.scratchpad.capacity=1 KiB"}),
              Fidelity::tile, {2, 8}, 4);
}

TEST_CASE("Sums over a table are the whole network's cost: closed form of MobileNet-V2") {
  check_table(Case("bismo_edge_8x8", "mobilenet_v2"), Fidelity::analytic, {2, 4, 6}, 4);
  check_table(Case("systolic_32x32_int8", "mobilenet_v2"), Fidelity::analytic, {3, 8}, 4);
}

TEST_CASE(
    "Sums over a table are the whole network's cost: an output of the network that is read on") {
  Case c("bitfusion_16x32");
  c.network = parse_network(R"(
schema: network/1
name: read_on
inputs:
  image: [1, 4, 8, 8]
layers:
  - {name: a, kind: convolution, inputs: [image], out_channels: 4, kernel: 3, padding: 1}
  - {name: b, kind: convolution, inputs: [a], out_channels: 4, kernel: 3, padding: 1}
  - {name: sum, kind: add, inputs: [a, b]}
  - {name: last, kind: convolution, inputs: [sum], out_channels: 4, kernel: 3, padding: 1}
outputs: [b, last]
)",
                            "read_on.yaml");
  check_table(c, Fidelity::tile, {2, 4, 16}, 6);
}

TEST_CASE("Sums over a table are the whole network's cost: stepped arrays") {
  check_table(Case("bitfusion_16x32"), Fidelity::cycle, {2, 4}, 2);
}

TEST_CASE("At uniform widths a plain table sums to the network as well") {
  for (const char* name : {"resnet18_cifar", "tiny_transformer"}) {
    const Case c("systolic_16x16_int8", name);
    const auto model = c.model(Fidelity::tile, {.jobs = 2});
    const TableRequest request{{2, 4, 8}, {2, 4, 8}};
    TableCostModel table(c.network, make_table(*model, request).table);
    for (const char* bits : {"w2a4", "w8a2", "w8a8"}) {
      const Assignment uniform = parse_uniform_assignment(bits);
      check_equal(summed(table, c.points(uniform)), simulated(c, uniform, Fidelity::tile));
    }
  }
}

TEST_CASE("A table is the same for any number of workers, and in the caller's process") {
  const Case c("bitfusion_16x32", "resnet18_cifar");
  const TableRequest request{{3, 8}, {2, 5, 8}};
  for (const Fidelity fidelity : {Fidelity::analytic, Fidelity::tile}) {
    const std::string one =
        cost_table_csv(make_table(*c.model(fidelity, {.jobs = 1}), request).table);
    CHECK(one == cost_table_csv(make_table(*c.model(fidelity, {.jobs = 5}), request).table));
    if (fidelity == Fidelity::analytic) {
      CHECK(one == cost_table_csv(make_table(*c.model(fidelity, {.jobs = 0}), request).table));
    }
  }
}

TEST_CASE("Layers that are alike are computed once") {
  const Case c("bitfusion_16x32", "resnet18_cifar");
  const auto model = c.model(Fidelity::tile);
  const auto points = c.points(parse_uniform_assignment("w4a4"));
  const auto costs = model->costs(points);
  const auto cost_of = [&](const char* name) { return costs[*c.network.find_layer(name)].values; };
  CHECK(cost_of("layer1.0.conv1") == cost_of("layer1.1.conv1"));
  CHECK(cost_of("layer1.0.conv1") != cost_of("layer2.0.conv1"));
  CHECK(model->computed() < points.size());
  const std::size_t before = model->computed();
  std::vector<LayerPoint> doubled = points;
  doubled.insert(doubled.end(), points.begin(), points.end());
  CHECK(model->costs(doubled).size() == doubled.size());
  CHECK(model->computed() == 2 * before);
}

TEST_CASE(
    "What is in the cache is not computed again, and a key that changes costs what it touches") {
  const Folder folder;
  CostCache cache(folder.path());
  REQUIRE(cache.warning().empty());
  const TableRequest request{{4, 8}, {4, 8}};
  const auto made = [&](const std::vector<std::string>& overrides, const TableRequest& asked,
                        Fidelity fidelity = Fidelity::tile) {
    const Case c("bitfusion_16x32", "tiny_cnn", overrides);
    const auto model = c.model(fidelity, {.jobs = 2, .cache = &cache});
    const MadeTable table = make_table(*model, asked);
    CHECK(cost_table_csv(table.table) ==
          cost_table_csv(make_table(*c.model(fidelity, {.jobs = 2}), asked).table));
    return model->computed();
  };
  const std::size_t all = made({}, request);
  CHECK(all > 8);
  CHECK(made({}, request) == 0);
  CHECK(made({"name=other", "description=of another name"}, request) == 0);
  // Cycles are the same at another clock, energy is not: leakage runs on.
  CHECK(made({"clock=400 MHz", "memory.dram.bandwidth=192 bit/cycle"}, request) == all);
  // One layer's tile touches that layer: at four pairs of widths.
  CHECK(made({"tiling.fixed.conv2.out_h=4", "tiling.fixed.conv2.out_w=4",
              "tiling.fixed.conv2.out_channels=4", "tiling.fixed.conv2.in_channels=4"},
             request) == 4);
  // An engine key does not touch layers without multiply-accumulates (sum, pool).
  const std::size_t on_engine = made({"engine.timing.fold_gap=1"}, request);
  CHECK(on_engine < all);
  CHECK(on_engine == 16);
  // New widths alone are new work: four layers at w2.
  CHECK(made({}, {{2, 4, 8}, {4, 8}}) == 8);
  CHECK(made({}, request, Fidelity::analytic) == all);
}

TEST_CASE("A cache that can not be used costs time and nothing else") {
  const Folder folder;
  std::filesystem::create_directories(folder.path());
  std::ofstream(folder.path() + "/costs.sqlite") << std::string(8192, 'x');
  CostCache broken(folder.path());
  CHECK_THAT(broken.warning(), Catch::Contains("file is not a database"));
  CostCache nowhere("/proc/widthwise");
  CHECK_THAT(nowhere.warning(), Catch::Contains("cannot be created"));
  const Case c("bitfusion_16x32");
  const auto points = c.points(parse_uniform_assignment("w4a4"));
  const auto costs = c.model(Fidelity::tile, {.cache = &broken})->costs(points);
  for (const PointCost& cost : costs) CHECK(cost.failure.empty());
}

TEST_CASE("A layer's mistakes come back from the workers, all at once") {
  std::vector<std::string> whole_layers;  // as one tile each: too large
  for (const char* layer : {"layer1.0.conv1", "layer2.1.conv2"}) {
    for (const char* size : {"out_h=56", "out_w=56", "out_channels=512", "in_channels=512"}) {
      whole_layers.push_back("tiling.fixed.\"" + std::string(layer) + "\"." + size);
    }
  }
  const Case c("bitfusion_16x32", "resnet18", whole_layers);
  for (const std::size_t jobs : {0U, 2U}) {
    const auto model = c.model(Fidelity::analytic, {.jobs = jobs});
    try {
      static_cast<void>(model->costs(c.points(parse_uniform_assignment("w8a8"))));
      FAIL("two tiles do not fit");
    } catch (const InputError& error) {
      REQUIRE(error.diagnostics().size() == 2);
      CHECK(error.diagnostics()[0].key == "tiling.fixed.layer1.0.conv1");
      CHECK(error.diagnostics()[1].key == "tiling.fixed.layer2.1.conv2");
      CHECK(error.diagnostics()[1].place.file == c.accelerator.source);
      CHECK(error.diagnostics()[1].message ==
            "expected a tile that fits the buffers, got one that does not");
    }
  }
}

TEST_CASE("A layer that takes too long has failed, and the others have not") {
  const Case c("bitfusion_16x32", "vgg16", {"engine.rows=2", "engine.columns=2"});
  const auto points = c.points(parse_uniform_assignment("w8a8"));
  // 1.8e9 multiply-accumulates on four units, cycle by cycle, take minutes; a pool takes none.
  const auto model =
      c.model(Fidelity::cycle, {.jobs = 1, .time_limit = std::chrono::milliseconds(2000)});
  const std::vector<LayerPoint> some{points[*c.network.find_layer("conv1_2")],
                                     points[*c.network.find_layer("pool5")]};
  const auto costs = model->costs(some);
  CHECK(costs[0].failure == "no answer within 2 s");
  CHECK(costs[0].values.empty());
  CHECK(costs[1].failure.empty());
  CHECK_THROWS_AS(total_cost(*model, some), InputError);
}

TEST_CASE("Pruned channels shrink a layer and cost as a layer of that shape") {
  const Case c("systolic_16x16_int8", "resnet18_cifar");
  const auto whole = c.points(parse_uniform_assignment("w8a8"));
  const LayerId id = *c.network.find_layer("layer2.0.conv2");
  LayerPoint pruned = whole[id];
  pruned.input_share = 0.5;
  pruned.output_share = 0.25;
  const auto model = c.model(Fidelity::tile);
  const auto costs = model->costs(std::vector<LayerPoint>{whole[id], pruned});
  const std::size_t macs = metric_index(model->metrics(), "macs");
  const std::size_t bytes = metric_index(model->metrics(), "weight_bytes");
  const std::size_t cycles = metric_index(model->metrics(), "latency_cycles");
  CHECK(costs[1].values[macs] * 8 == costs[0].values[macs]);
  CHECK(costs[1].values[cycles] < costs[0].values[cycles] / 4);
  const double biases = static_cast<double>(c.network.layers()[id].biases) * 4;
  CHECK((costs[1].values[bytes] - biases / 4) * 8 == Approx(costs[0].values[bytes] - biases));
}

}  // namespace

}  // namespace widthwise
