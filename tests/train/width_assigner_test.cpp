// Widths by losses that change: the best of all choices that are within the targets.
#include "train/width_assigner.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "models/cost/machine_model.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/table/table_points.hpp"
#include "train/width_learner.hpp"

namespace widthwise {

namespace {

std::string data(const std::string& name) {
  return std::string(WIDTHWISE_SOURCE_DIR) + "/" + name + ".yaml";
}

struct Case {
  Case(const std::string& machine, const std::string& workload,
       const std::vector<std::string>& overrides = {})
      : accelerator(read_accelerator(data("configs/accelerators/" + machine), overrides)),
        network(read_network(data("workloads/" + workload))),
        model(analytic_cost_model(network, accelerator,
                                  read_energy_table(accelerator.energy_table))) {}

  [[nodiscard]] double cost(const std::vector<LayerChoice>& choices,
                            const std::string& metric) const {
    const ChoiceCost cost = choice_cost(network, *model, accelerator, choices);
    return cost.totals[metric_index(cost.metrics, metric)];
  }

  Accelerator accelerator;
  Network network;
  std::unique_ptr<MachineCostModel> model;
};

using Loss = std::function<double(LayerId, const LayerWidths&)>;

/// Falls with both widths, otherwise at random.
Loss random_loss(std::mt19937& random, std::size_t layers) {
  std::uniform_real_distribution<double> scale(0.1, 2);
  std::vector<std::pair<double, double>> of;
  for (std::size_t l = 0; l < layers; ++l) of.emplace_back(scale(random), scale(random));
  return [of](LayerId id, const LayerWidths& widths) {
    return of[id].first / (1 << widths.weight) + of[id].second / (1 << widths.activation);
  };
}

double total_loss(const std::vector<LayerChoice>& choices, const Loss& loss) {
  double sum = 0;
  for (const LayerChoice& choice : choices) {
    sum += loss(choice.layer, {choice.weight_bits.at(0), choice.activation_bits});
  }
  return sum;
}

/// Visits all choices out of pairs per layer.
void for_all(const std::vector<LayerId>& layers, const std::vector<std::vector<LayerWidths>>& pairs,
             const std::function<void(const std::vector<LayerChoice>&)>& visit) {
  std::vector<std::size_t> at(layers.size(), 0);
  for (bool more = true; more;) {
    std::vector<LayerChoice> choices;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      choices.push_back({layers[l], {pairs[l][at[l]].weight}, pairs[l][at[l]].activation});
    }
    visit(choices);
    more = false;
    for (std::size_t l = 0; l < at.size() && !more; ++l) {
      at[l] = (at[l] + 1) % pairs[l].size();
      more = at[l] != 0;
    }
  }
}

std::vector<LayerId> layers_of(const Network& network) {
  std::vector<LayerId> layers;
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    if (network.layers()[id].compute) layers.push_back(id);
  }
  return layers;
}

TrainSettings settings_of(std::vector<TrainTarget> targets) {
  TrainSettings settings;
  settings.weight_bits = settings.activation_bits = {2, 4, 8};
  settings.pins.clear();
  settings.targets = std::move(targets);
  return settings;
}

TrainTarget fraction(const std::string& metric, double value) {
  return {metric, {BudgetForm::Kind::fraction, value, {}}, 1, {}};
}
TrainTarget at_most(const std::string& metric, double value) {
  return {metric, {BudgetForm::Kind::max, value, {}}, 1, {}};
}

const std::vector<LayerWidths> kTied{{2, 2}, {4, 4}, {8, 8}};
const std::vector<LayerWidths> kAll{{2, 2}, {2, 4}, {2, 8}, {4, 2}, {4, 4},
                                    {4, 8}, {8, 2}, {8, 4}, {8, 8}};

}  // namespace

TEST_CASE("An assignment is the best within the targets, again and again") {
  std::mt19937 random(31);
  for (const bool tied : {true, false}) {
    const Case c("bitfusion_16x32", "tiny_cnn");
    TrainSettings settings =
        settings_of({fraction("latency_cycles", 0.4), fraction("weight_bytes", 0.5)});
    if (!tied) settings.activation_bits = {4, 8};
    WidthAssigner assigner(c.network, *c.model, c.accelerator, settings, tied);
    const std::vector<LayerId> layers = layers_of(c.network);
    std::vector<LayerWidths> pairs = tied ? kTied : kAll;
    if (!tied) std::erase_if(pairs, [](const LayerWidths& any) { return any.activation == 2; });
    std::vector<std::vector<LayerChoice>> within;
    for_all(layers, std::vector(layers.size(), pairs), [&](const auto& choices) {
      if (c.cost(choices, "latency_cycles") <= assigner.targets()[0] &&
          c.cost(choices, "weight_bytes") <= assigner.targets()[1]) {
        within.push_back(choices);
      }
    });
    REQUIRE(within.size() > 3);
    for (int interval = 0; interval < 5; ++interval) {
      const Loss loss = random_loss(random, c.network.layers().size());
      const std::vector<LayerChoice> choices = assigner.assign(loss);
      double best = std::numeric_limits<double>::infinity();
      for (const auto& any : within) best = std::min(best, total_loss(any, loss));
      CHECK(total_loss(choices, loss) == Approx(best).epsilon(1e-9));
      CHECK(std::find(within.begin(), within.end(), choices) != within.end());
      CHECK(assigner.last().status == SolveStatus::optimal);
      REQUIRE(assigner.last().budgets.size() == 2);
      CHECK(assigner.last().budgets[0].used == Approx(c.cost(choices, "latency_cycles")));
      CHECK(assigner.last().budgets[0].limit == assigner.targets()[0]);
      if (tied) {
        for (const auto& choice : choices) CHECK(choice.weight_bits[0] == choice.activation_bits);
      }
    }
  }
}

TEST_CASE("The more sensitive layer of two alike gets the bits") {
  const Network network = parse_network(
      "schema: network/1\nname: net\ninputs: {x: [1, 8, 4, 4]}\nlayers:\n"
      "  - {name: a, kind: convolution, out_channels: 8, kernel: 1}\n"
      "  - {name: b, kind: convolution, out_channels: 8, kernel: 1}\n",
      "net.yaml");
  const Accelerator accelerator = read_accelerator(data("configs/accelerators/bitfusion_16x32"));
  const auto model =
      analytic_cost_model(network, accelerator, read_energy_table(accelerator.energy_table));
  TrainSettings settings = settings_of({at_most("weight_bytes", 64.0 * (8 + 2) / 8)});
  WidthAssigner assigner(network, *model, accelerator, settings, true);
  for (const double first : {0.7, 0.3}) {
    const auto choices = assigner.assign([&](LayerId id, const LayerWidths& widths) {
      return -(id == 0 ? first : 1 - first) * widths.weight;
    });
    CHECK(choices[0].weight_bits[0] == (first > 0.5 ? 8 : 2));
    CHECK(choices[1].weight_bits[0] == (first > 0.5 ? 2 : 8));
  }
}

TEST_CASE("Pins hold, of one operand too") {
  const Case c("bitfusion_16x32", "tiny_cnn");
  TrainSettings settings = settings_of({fraction("energy_pj", 0.3)});
  settings.pins = {{"@first", 8, 4, {}},
                   {"conv2", 8, std::nullopt, {}},
                   {"conv3", std::nullopt, 4, {}},
                   {"fc", 2, std::nullopt, {}},
                   {"fc", 4, std::nullopt, {}}};
  std::mt19937 random(4);
  const auto widths = [](const std::vector<LayerChoice>& choices, std::size_t layer) {
    return LayerWidths{choices[layer].weight_bits.at(0), choices[layer].activation_bits};
  };
  WidthAssigner free(c.network, *c.model, c.accelerator, settings, false);
  WidthAssigner tied(c.network, *c.model, c.accelerator, settings, true);
  std::size_t asked = 0;
  const Loss loss = random_loss(random, c.network.layers().size());
  const auto choices = free.assign([&](LayerId id, const LayerWidths& any) {
    ++asked;
    return loss(id, any);
  });
  CHECK(asked == 1 + 3 + 3 + 3);
  CHECK(widths(choices, 0) == LayerWidths{8, 4});
  CHECK(widths(choices, 1).weight == 8);
  CHECK(widths(choices, 2).activation == 4);
  CHECK(widths(choices, 3).weight == 4);
  const auto both = tied.assign(loss);
  CHECK(widths(both, 0) == LayerWidths{8, 4});
  CHECK(widths(both, 1) == LayerWidths{8, 8});
  CHECK(widths(both, 2) == LayerWidths{4, 4});
  CHECK(widths(both, 3) == LayerWidths{4, 4});
}

TEST_CASE("Products of activations have one width") {
  const Case c("bitfusion_16x32", "tiny_transformer");
  std::mt19937 random(6);
  WidthAssigner assigner(c.network, *c.model, c.accelerator,
                         settings_of({fraction("latency_cycles", 0.5)}), false);
  const auto choices = assigner.assign(random_loss(random, c.network.layers().size()));
  CHECK(choices.size() == layers_of(c.network).size());
  for (const LayerChoice& choice : choices) {
    if (c.network.layers()[choice.layer].weights == 0) {
      CHECK(choice.weight_bits[0] == choice.activation_bits);
    }
  }
  CHECK(c.cost(choices, "latency_cycles") <= assigner.targets()[0] * (1 + 1e-9));
}

TEST_CASE("Where tensors stay on chip, the answer is within the targets where it has them") {
  std::mt19937 random(12);
  int moved = 0;
  for (const char* capacity : {"100 B", "200 B", "300 B"}) {
    const Case c("systolic_16x16_int8", "tiny_cnn",
                 {std::string("memory.scratchpad.capacity=") + capacity});
    for (const double goal : {0.2, 0.5, 0.8}) {
      WidthAssigner assigner(c.network, *c.model, c.accelerator,
                             settings_of({fraction("energy_pj", goal)}), true);
      const Loss loss = random_loss(random, c.network.layers().size());
      const auto choices = assigner.assign(loss);
      CHECK(c.cost(choices, "energy_pj") <= assigner.targets()[0] * (1 + 1e-9));
      CHECK(assigner.last().budgets[0].used == Approx(c.cost(choices, "energy_pj")));
      double best = std::numeric_limits<double>::infinity();
      double worst = 0;
      for_all(layers_of(c.network), std::vector(layers_of(c.network).size(), kTied),
              [&](const auto& any) {
                worst = std::max(worst, total_loss(any, loss));
                if (c.cost(any, "energy_pj") > assigner.targets()[0] * (1 + 1e-9)) return;
                best = std::min(best, total_loss(any, loss));
              });
      CHECK(total_loss(choices, loss) >= best * (1 - 1e-9));
      CHECK(total_loss(choices, loss) <= best + 0.15 * (worst - best));
      // Are homes those of the widest?
      const auto home = [&](BitWidth width) {
        std::vector<LayerChoice> all;
        for (const LayerId id : layers_of(c.network)) all.push_back({id, {width}, width});
        std::vector<Home> homes;
        for (const auto& point : choice_points(c.network, c.accelerator, all)) {
          homes.push_back(point.output_home);
        }
        return homes;
      };
      moved += home(2) != home(8);
    }
  }
  CHECK(moved > 0);
}

TEST_CASE("Targets come to the same as those of learned widths") {
  for (const auto& [machine, overrides] :
       {std::pair("bitfusion_16x32", std::vector<std::string>{}),
        {"systolic_16x16_int8", {"memory.scratchpad.capacity=600 B"}}}) {
    const Case c(machine, "tiny_cnn", overrides);
    TrainSettings settings =
        settings_of({fraction("latency_cycles", 0.5),
                     {"energy_pj", {BudgetForm::Kind::share, 1.2, {8, 4}}, 1, {}},
                     at_most("dram_bytes", 1e6)});
    settings.pins = {{"@first", 8, 8, {}}};
    WidthAssigner assigner(c.network, *c.model, c.accelerator, settings, false);

    TableRequest request;
    request.weight_bits = request.activation_bits = {2, 4, 8};
    request.stored = true;
    const CostTable table = make_table(*c.model, request).table;
    std::vector<LearnedLayer> layers;
    for (const LayerId id : layers_of(c.network)) {
      LearnedLayer layer{id,
                         c.network.layers()[id].name,
                         true,
                         std::make_shared<WidthSlot>(),
                         std::make_shared<WidthSlot>(),
                         {2, 4, 8},
                         {2, 4, 8}};
      layer.weight->bits = layer.activation->bits = {8};
      if (layers.empty()) layer.weight_bits = layer.activation_bits = {8};
      layers.push_back(std::move(layer));
    }
    WidthLearner learner(c.network, bind_table(table, c.network), layers, settings);
    for (std::size_t t = 0; t < 3; ++t) {
      INFO(machine << " " << settings.targets[t].metric);
      CHECK(assigner.targets()[t] == Approx(learner.targets()[t].target));
      CHECK(assigner.resolved_targets()[t].least == Approx(learner.targets()[t].least));
      CHECK(assigner.resolved_targets()[t].greatest == Approx(learner.targets()[t].greatest));
    }
  }
}

TEST_CASE("A target that nothing meets is named with what could be met") {
  const Case c("bitfusion_16x32", "tiny_cnn");
  std::vector<LayerChoice> narrowest;
  for (const LayerId id : layers_of(c.network)) narrowest.push_back({id, {2}, 2});
  const double least = c.cost(narrowest, "latency_cycles");
  const auto make = [&](TrainTarget target) {
    target.place = {"t.yaml", 5, 9};
    WidthAssigner(c.network, *c.model, c.accelerator, settings_of({target}), false);
  };
  make(at_most("latency_cycles", least));
  try {
    make(at_most("latency_cycles", least - 1));
    FAIL("nothing was said");
  } catch (const InfeasibleTarget& error) {
    CHECK(std::string(error.what()) ==
          "t.yaml:5:9: error: train.targets.latency_cycles: expected at least " +
              std::to_string(static_cast<int>(least)) +
              " latency_cycles (all layers at their narrowest), got " +
              std::to_string(static_cast<int>(least) - 1));
  }
  CHECK_THROWS_AS(make(at_most("latency", 1e9)), InputError);
  TrainSettings pinned = settings_of({fraction("latency_cycles", 0.5)});
  pinned.pins = {{"conv9", 8, 8, {}}};
  CHECK_THROWS_AS(WidthAssigner(c.network, *c.model, c.accelerator, pinned, true), InputError);
}

}  // namespace widthwise
