// What a machine is worth: the figures of its cost model, at widths that are given or that are the
// best of all under the budgets.
#include "sweep/evaluator.hpp"

#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/cost/analytic.hpp"
#include "models/network/network_yaml.hpp"
#include "tests/sweep/tiny_space.hpp"

namespace widthwise {

namespace {

using Strings = std::vector<std::string>;
using Status = MachineResult::Status;

struct Sweep {
  explicit Sweep(Space said, const MakeCostModel& make_model = closed_form)
      : space(std::move(said)), design(space), evaluator(design, make_model, uniform_assignment) {}

  [[nodiscard]] Machine machine(std::uint64_t cell) const {
    return std::get<Machine>(design.machine(cell));
  }
  [[nodiscard]] double figure(const MachineResult& result, const std::string& name) const {
    const auto& names = evaluator.metrics();
    const auto found = std::find(names.begin(), names.end(), name);
    REQUIRE(found != names.end());
    return result.values.at(static_cast<std::size_t>(found - names.begin()));
  }

  Space space;
  DesignSpace design;
  Evaluator evaluator;
};

std::string mistakes(const TinyFolder& folder, const Space& space) {
  try {
    const Sweep sweep(space);
    return "none";
  } catch (const InputError& error) {
    return folder.text_of(error);
  }
}

struct Figures {
  double latency = 0, energy = 0, dram = 0, weights = 0;
};

Figures figures_of(const Network& network, const Machine& machine, const Assignment& assignment) {
  const CostReport report = analytic_cost(network, resolve_widths(network, assignment),
                                          machine.accelerator, *machine.energy);
  return {seconds_at(report.latency(), report.clock).count(), report.energy().total().count(),
          static_cast<double>(report.dram_read().count() + report.dram_write().count()),
          static_cast<double>(report.parameter_bytes().count())};
}

TEST_CASE("At fixed widths a machine has the figures of its closed form") {
  const TinyFolder folder;
  for (const char* bits : {"w8a8", "w4a8"}) {
    Space space = folder.space();
    space.bits = bits;
    const Sweep sweep(space);
    CHECK(sweep.evaluator.metrics() ==
          Strings{"latency_s", "energy_pj", "edp_js", "area_mm2", "dram_bytes", "weight_bytes"});
    for (std::uint64_t cell = 0; cell < sweep.design.cells(); ++cell) {
      const MachineResult result = sweep.evaluator.evaluate(cell);
      REQUIRE(result.status == Status::done);
      CHECK(result.reason.empty());
      CHECK(result.widths.empty());
      const Machine machine = sweep.machine(cell);
      const Figures expected =
          figures_of(sweep.evaluator.networks()[0], machine, parse_uniform_assignment(bits));
      CHECK(sweep.figure(result, "latency_s") == Approx(expected.latency).epsilon(1e-12));
      CHECK(sweep.figure(result, "energy_pj") == Approx(expected.energy).epsilon(1e-12));
      CHECK(sweep.figure(result, "edp_js") ==
            Approx(expected.latency * expected.energy * 1e-12).epsilon(1e-12));
      CHECK(sweep.figure(result, "dram_bytes") == expected.dram);
      CHECK(sweep.figure(result, "weight_bytes") == expected.weights);
      CHECK(sweep.figure(result, "area_mm2") == machine.area_mm2);
    }
  }
}

TEST_CASE("Figures of networks are summed by weight, and stand beside the sums") {
  const TinyFolder folder;
  Space space = folder.space();
  space.networks = {TinyFolder::network("tiny_mlp"), TinyFolder::network("tiny_cnn")};
  space.networks[0].weight = 3;
  space.networks[1].weight = 0.5;
  const Sweep sweep(space);
  const MachineResult result = sweep.evaluator.evaluate(4);
  REQUIRE(result.status == Status::done);
  const Assignment w8a8 = parse_uniform_assignment("w8a8");
  const Figures mlp = figures_of(sweep.evaluator.networks()[0], sweep.machine(4), w8a8);
  const Figures cnn = figures_of(sweep.evaluator.networks()[1], sweep.machine(4), w8a8);
  CHECK(sweep.figure(result, "tiny_mlp.latency_s") == Approx(mlp.latency));
  CHECK(sweep.figure(result, "tiny_cnn.energy_pj") == Approx(cnn.energy));
  CHECK(sweep.figure(result, "tiny_cnn.edp_js") == Approx(cnn.latency * cnn.energy * 1e-12));
  const double latency = 3 * mlp.latency + 0.5 * cnn.latency;
  const double energy = 3 * mlp.energy + 0.5 * cnn.energy;
  CHECK(sweep.figure(result, "latency_s") == Approx(latency));
  CHECK(sweep.figure(result, "energy_pj") == Approx(energy));
  CHECK(sweep.figure(result, "edp_js") == Approx(latency * energy * 1e-12));
  CHECK(sweep.figure(result, "dram_bytes") == Approx(3 * mlp.dram + 0.5 * cnn.dram));
  CHECK(sweep.figure(result, "area_mm2") == sweep.machine(4).area_mm2);
  // No area of a network.
  CHECK(sweep.evaluator.metrics().size() == 6 + 2 * 5);
}

/// Losses of all layers with multiply-accumulates: a tenth of the layer's number plus a loss per
/// width that falls by a factor.
std::string made_up_losses(const Network& network) {
  std::string csv = "layer,weight_bits,activation_bits,loss\n";
  int number = 0;
  for (const Layer& layer : network.layers()) {
    if (!layer.compute) continue;
    ++number;
    for (const int weight : {2, 4, 8}) {
      for (const int activation : {2, 4, 8}) {
        const double loss =
            (0.9 + 0.37 * number) / (1 << weight) + (1.3 - 0.21 * number) / (1 << activation);
        csv += layer.name + ',' + std::to_string(weight) + ',' + std::to_string(activation) + ',' +
               std::to_string(loss) + '\n';
      }
    }
  }
  return csv;
}

SpaceNetwork with_losses(const TinyFolder& folder, const std::string& name) {
  SpaceNetwork network = TinyFolder::network(name);
  network.has_losses = true;
  network.sensitivity.rule = LossRule::measured;
  network.sensitivity.file =
      folder.write(name + ".csv", made_up_losses(read_network(network.name.text)));
  return network;
}

double loss_of(const Network& network, const Assignment& assignment) {
  const WidthPlan widths = resolve_widths(network, assignment);
  double sum = 0;
  int number = 0;
  for (std::size_t i = 0; i < network.layers().size(); ++i) {
    if (!network.layers()[i].compute) continue;
    ++number;
    sum += std::stod(std::to_string((0.9 + 0.37 * number) / (1 << widths.layers[i].weight) +
                                    (1.3 - 0.21 * number) / (1 << widths.layers[i].activation)));
  }
  return sum;
}

TEST_CASE("Losses at fixed widths are the sum of those in the table, by weight of the network") {
  const TinyFolder folder;
  Space space = folder.space();
  space.networks = {with_losses(folder, "tiny_mlp"), with_losses(folder, "tiny_cnn")};
  space.networks[1].weight = 2;
  space.axes.push_back({"bits", {"w8a8", "w4a8", "w2a4"}, {}});
  const Sweep sweep(space);
  for (std::uint64_t cell = 0; cell < 3; ++cell) {
    const MachineResult result = sweep.evaluator.evaluate(cell);
    REQUIRE(result.status == Status::done);
    const Assignment bits = parse_uniform_assignment(space.axes[2].values[cell]);
    const double mlp = loss_of(sweep.evaluator.networks()[0], bits);
    const double cnn = loss_of(sweep.evaluator.networks()[1], bits);
    CHECK(sweep.figure(result, "tiny_mlp.loss") == Approx(mlp));
    CHECK(sweep.figure(result, "tiny_cnn.loss") == Approx(cnn));
    CHECK(sweep.figure(result, "loss") == Approx(mlp + 2 * cnn));
  }
  // Where one network has none there is no loss.
  space.networks[0].has_losses = false;
  const Sweep without(space);
  const auto& metrics = without.evaluator.metrics();
  CHECK(std::none_of(metrics.begin(), metrics.end(),
                     [](const std::string& name) { return name.ends_with("loss"); }));
}

// ---- widths that are found

Space search_space(const TinyFolder& folder, const std::string& network) {
  Space space = folder.space();
  space.accelerator.text =
      std::string(WIDTHWISE_SOURCE_DIR) + "/configs/accelerators/bitfusion_16x32.yaml";
  space.axes = {{"engine.rows", {"8", "16"}, {}},
                {"memory.dram.bandwidth", {"64 bit/cycle", "192 bit/cycle"}, {}}};
  space.networks = {with_losses(folder, network)};
  space.search.emplace();
  space.search->weight_bits = {4, 8};
  space.search->activation_bits = {2, 8};
  space.search->stored_width_error = 0.002;
  return space;
}

/// Calls `visit` with the assignment of every choice among widths of 4 or 8 and 2 or 8 bits.
void for_each_assignment(const Network& network,
                         const std::function<void(const Assignment&)>& visit) {
  Strings layers;
  for (const Layer& layer : network.layers()) {
    if (layer.compute) layers.push_back(layer.name);
  }
  for (std::size_t number = 0; number < std::size_t{1} << (2 * layers.size()); ++number) {
    Assignment assignment;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      assignment.rules.push_back({layers[i],
                                  (number >> (2 * i) & 1) != 0 ? 8 : 4,
                                  (number >> (2 * i + 1) & 1) != 0 ? 8 : 2,
                                  {}});
    }
    visit(assignment);
  }
}

TEST_CASE("The widths that are found lose least of all that meet the budgets, at every machine") {
  const TinyFolder folder;
  int done = 0;
  int infeasible = 0;
  for (const char* name : {"tiny_mlp", "tiny_cnn"}) {
    for (const double share : {0.6, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0}) {
      Space space = search_space(folder, name);
      space.search->budgets = {
          {"energy_pj", {BudgetForm::Kind::share, share, {8, 8}}, {}},
          {"latency_s", {BudgetForm::Kind::share, (1 + share) / 2, {8, 8}}, {}}};
      const Sweep sweep(space);
      const Network& network = sweep.evaluator.networks()[0];
      for (std::uint64_t cell = 0; cell < sweep.design.cells(); ++cell) {
        INFO(name << " at " << share << ", machine " << cell);
        const Machine machine = sweep.machine(cell);
        const Figures all8 = figures_of(network, machine, parse_uniform_assignment("w8a8"));
        double least = std::numeric_limits<double>::infinity();
        for_each_assignment(network, [&](const Assignment& assignment) {
          const Figures figures = figures_of(network, machine, assignment);
          if (figures.energy <= share * all8.energy * (1 + 1e-12) &&
              figures.latency <= (1 + share) / 2 * all8.latency * (1 + 1e-12)) {
            least = std::min(least, loss_of(network, assignment));
          }
        });
        const MachineResult result = sweep.evaluator.evaluate(cell);
        if (least == std::numeric_limits<double>::infinity()) {
          CHECK(result.status == Status::infeasible);
          ++infeasible;
          continue;
        }
        REQUIRE(result.status == Status::done);
        ++done;
        CHECK(sweep.figure(result, "loss") == Approx(least));
        // The figures are those of the widths that are named.
        const Assignment found = sweep.evaluator.assignment(machine, result, 0);
        const Figures figures = figures_of(network, machine, found);
        CHECK(loss_of(network, found) == Approx(least));
        CHECK(sweep.figure(result, "energy_pj") == Approx(figures.energy).epsilon(1e-12));
        CHECK(sweep.figure(result, "latency_s") == Approx(figures.latency).epsilon(1e-12));
        CHECK(figures.energy <= share * all8.energy * (1 + 1e-9));
      }
    }
  }
  CHECK(done >= 20);
  CHECK(infeasible >= 4);
}

TEST_CASE("Without budgets the widest widths lose least, and are named layer by layer") {
  const TinyFolder folder;
  Space space = search_space(folder, "tiny_mlp");
  space.search->pins = {{"fc2", 4, 2, {}}};
  const Sweep sweep(space);
  const MachineResult result = sweep.evaluator.evaluate(0);
  REQUIRE(result.status == Status::done);
  CHECK(result.widths == Strings{"w8a8 w4a2"});
  const Assignment assignment = sweep.evaluator.assignment(sweep.machine(0), result, 0);
  const WidthPlan plan = resolve_widths(sweep.evaluator.networks()[0], assignment);
  CHECK(plan.layers[0] == LayerWidths{8, 8});
  CHECK(plan.layers[1] == LayerWidths{4, 2});
}

TEST_CASE("Budgets that no widths meet make a machine infeasible, with what is least") {
  const TinyFolder folder;
  Space space = search_space(folder, "tiny_mlp");
  space.search->budgets = {{"weight_bytes", {BudgetForm::Kind::max, 100, {}}, {}}};
  const Sweep sweep(space);
  const MachineResult result = sweep.evaluator.evaluate(0);
  CHECK(result.status == Status::infeasible);
  CHECK(result.values.empty());
  // 16 x 32 and 32 x 8 weights of four bits, 40 biases of four bytes.
  CHECK(result.reason == "tiny_mlp: weight_bytes is at least 544, 444 above its limit");
  space.search->budgets[0].form.value = 544;
  CHECK(Sweep(space).evaluator.evaluate(0).status == Status::done);
}

TEST_CASE("Costs that a machine cannot have leave it out, with the reason") {
  const TinyFolder folder;
  Space space = folder.space();
  space.bits = "w16a16";  // the array has eight bits
  const MachineResult result = Sweep(space).evaluator.evaluate(0);
  CHECK(result.status == Status::excluded);
  CHECK(result.values.empty());
  CHECK_THAT(result.reason, Catch::Contains("16"));
}

/// A model all of whose points fail.
class FailingModel : public CostModel {
 public:
  [[nodiscard]] const std::vector<std::string>& metrics() const override { return metrics_; }
  [[nodiscard]] std::vector<PointCost> costs(std::span<const LayerPoint> points) override {
    return std::vector<PointCost>(points.size(), {{}, "the worker process was ended by signal 9"});
  }

 private:
  Strings metrics_{"latency_s", "energy_pj", "dram_bytes", "weight_bytes"};
};

TEST_CASE("A simulation that fails is no property of the machine") {
  const TinyFolder folder;
  Space space = folder.space();
  space.derived = {{"post_processing.lanes", DerivedKey::Rule::computed, "engine.rows", {}, {}}};
  const Sweep sweep(space, [](const Network&, const Machine&, Fidelity, CostStore*) {
    return std::make_unique<FailingModel>();
  });
  const MachineResult result = sweep.evaluator.evaluate(0);
  CHECK(result.status == Status::failed);
  CHECK(result.reason == "the worker process was ended by signal 9");
  CHECK(result.derived == Strings{"4"});
}

TEST_CASE("What the memo has changes no result") {
  const TinyFolder folder;
  Space space = search_space(folder, "tiny_cnn");
  space.search->budgets = {{"energy_pj", {BudgetForm::Kind::share, 0.9, {8, 8}}, {}}};
  const Sweep with(space);
  const Sweep without(
      space, [](const Network& network, const Machine& machine, Fidelity fidelity, CostStore*) {
        return closed_form(network, machine, fidelity, nullptr);
      });
  for (const std::uint64_t cell : {3U, 0U, 1U, 2U, 0U, 3U}) {
    const MachineResult result = with.evaluator.evaluate(cell);
    CHECK(result.status == Status::done);
    CHECK(result == without.evaluator.evaluate(cell));
  }
}

TEST_CASE("A result is the same after it was packed") {
  MachineResult result;
  result.status = Status::done;
  result.values = {0, -1.5, 1e-300, 1.0 / 3, std::numeric_limits<double>::max()};
  result.derived = {"64 KiB", ""};
  result.widths = {"w8a8 w4a4", std::string("a\0b", 3)};
  CHECK(unpacked_result(packed(result)) == result);
  for (const Status status : {Status::infeasible, Status::excluded, Status::failed}) {
    MachineResult other;
    other.status = status;
    other.reason = "it's \"so\", caf\xc3\xa9\n";
    CHECK(unpacked_result(packed(other)) == other);
  }
  CHECK(unpacked_result(packed({})) == MachineResult{});
}

TEST_CASE("What results follow from changes with what matters, and not with names") {
  const TinyFolder folder;
  const auto identity = [](const Space& space) { return Sweep(space).evaluator.identity(); };
  const Space space = folder.space();
  const std::string before = identity(space);
  CHECK(identity(space) == before);
  Space same = space;
  same.name = "another name";
  same.description = "and description";
  CHECK(identity(same) == before);

  Space other = space;
  other.identity = "another text";
  CHECK(identity(other) != before);
  other = space;
  other.bits = "w4a8";
  CHECK(identity(other) != before);
  other = space;
  other.networks = {TinyFolder::network("tiny_cnn")};
  CHECK(identity(other) != before);
  other = space;
  other.networks[0].source.batch = 4;
  CHECK(identity(other) != before);
  other = space;
  other.networks = {with_losses(folder, "tiny_mlp")};
  const std::string lossy = identity(other);
  CHECK(lossy != before);
  std::string losses = folder.read("tiny_mlp.csv");
  folder.write("tiny_mlp.csv", losses.replace(losses.rfind("0."), 2, "1."));
  CHECK(identity(other) != lossy);

  // Files that it names.
  std::string text = kTinyAccelerator;
  folder.write("tiny.yaml", text.replace(text.find("100 MHz"), 7, "200 MHz"));
  CHECK(identity(space) != before);
  folder.write("tiny.yaml", kTinyAccelerator);
  CHECK(identity(space) == before);
  text = kTinyEnergy;
  folder.write("energy.yaml", text.replace(text.find("energy: 1 pJ"), 12, "energy: 2 pJ"));
  CHECK(identity(space) != before);
}

TEST_CASE("Networks of as many operations and other shapes are not the same") {
  const TinyFolder folder;
  const auto identity = [&](const std::string& shape, const std::string& features) {
    folder.write("net.yaml", "schema: network/1\nname: net\ninputs:\n  x: " + shape +
                                 "\nlayers:\n  - {name: fc, kind: fully_connected, out_features: " +
                                 features + "}\n");
    Space space = folder.space();
    space.networks[0].name.text = folder.path("net.yaml");
    return Sweep(space).evaluator.identity();
  };
  // 4 x 16 x 32 multiply-accumulates and 512 weights, either way round.
  CHECK(identity("[4, 16]", "32") != identity("[4, 32]", "16"));
}

TEST_CASE("What does not read is said all at once") {
  const TinyFolder folder;
  Space space = folder.space();
  space.networks = {TinyFolder::network("tiny_mlp"), TinyFolder::network("tiny_mlp")};
  space.networks[0].name.text = folder.path("nothing.yaml");
  space.networks[1].name.place.line = 10;
  space.networks[1].name.key = "networks[1]";
  space.axes.push_back({"bits", {"w8a8", "w99a1"}, {"space.yaml", 6, 3}});
  CHECK_THAT(mistakes(folder, space),
             Catch::StartsWith("space.yaml:6:3: error: axes.bits: ") &&
                 Catch::Contains("\nspace.yaml:9:5: error: networks[0]: ") &&
                 Catch::Contains("nothing.yaml"));
  space = folder.space();
  space.bits = "w0a8";
  CHECK_THAT(mistakes(folder, space), Catch::StartsWith("space.yaml: error: bits: "));
}

TEST_CASE("Networks that files and columns could not tell apart are refused") {
  const TinyFolder folder;
  Space space = folder.space();
  space.networks = {TinyFolder::network("tiny_mlp"), TinyFolder::network("tiny_mlp")};
  space.networks[1].source.batch = 8;
  space.networks[1].name.place.line = 10;
  space.networks[1].name.key = "networks[1]";
  CHECK(
      mistakes(folder, space) ==
      "space.yaml:10:5: error: networks[1]: is called 'tiny_mlp', as another network of the space "
      "is");
}

}  // namespace

}  // namespace widthwise
