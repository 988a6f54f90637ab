// The bit-width problem of a network: what it says of a choice is what the cost model says of the
// whole network, and its answer is the best of all.
#include "search/network_search.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/cost/machine_model.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/table/table_csv.hpp"
#include "search/budgets.hpp"
#include "search/network_problem.hpp"

namespace widthwise {

namespace {

std::string data(const std::string& name) {
  return std::string(WIDTHWISE_SOURCE_DIR) + "/" + name + ".yaml";
}

struct Case {
  Case(const std::string& machine, const std::string& name,
       const std::vector<std::string>& overrides = {})
      : accelerator(read_accelerator(data("configs/accelerators/" + machine), overrides)),
        network(read_network(data("workloads/" + name))),
        model(analytic_cost_model(network, accelerator,
                                  read_energy_table(accelerator.energy_table))) {}

  Accelerator accelerator;
  Network network;
  std::unique_ptr<MachineCostModel> model;
};

/// Made-up losses that fall with both widths, differently from layer to layer.
CostTable falling_losses(const Network& network, const std::vector<BitWidth>& widths) {
  CostTable table;
  table.source = "losses.csv";
  table.axes = {Axis::weight_bits, Axis::activation_bits};
  table.metrics = {"loss"};
  for (const Layer& layer : network.layers()) {
    if (!layer.compute) continue;
    const auto index = static_cast<double>(table.layers.size());
    for (const BitWidth weight : widths) {
      for (const BitWidth activation : widths) {
        if (layer.weights == 0 && weight != activation) continue;
        AxisValues at{};
        at[index_of(Axis::weight_bits)] = weight;
        at[index_of(Axis::activation_bits)] = activation;
        table.rows.push_back({table.layers.size(),
                              at,
                              {(1 + std::fmod(1.7 * index, 3)) / (1 << weight) +
                               (1 + std::fmod(2.3 * index, 2)) / (1 << activation)},
                              {}});
      }
    }
    table.layers.push_back(layer.name);
  }
  return table;
}

double whole_cost(const Case& c, const Assignment& assignment, const std::string& metric) {
  const WidthPlan widths = resolve_widths(c.network, assignment);
  const auto points = layer_points(c.network, widths, c.accelerator);
  return total_cost(*c.model, points)[metric_index(c.model->metrics(), metric)];
}

TEST_CASE("A network's problem says of every choice what the cost model says of the network") {
  std::mt19937 random(1);
  const std::vector<std::string> costs{"latency_cycles", "energy_pj", "weight_bytes"};
  for (const char* name : {"tiny_cnn", "tiny_transformer", "resnet18_cifar", "lenet5"}) {
    // Everything in DRAM: homes are the caller's to say.
    for (const char* machine : {"bitfusion_16x32", "bismo_edge_8x8"}) {
      const Case c(machine, name);
      NetworkProblemRequest request;
      request.weight_bits = request.activation_bits = {2, 4, 8};
      request.costs = costs;
      const NetworkProblem built =
          network_problem(c.network, *c.model, falling_losses(c.network, {2, 4, 8}), request);
      check(built.problem);
      for (int trial = 0; trial < 20; ++trial) {
        Choice choice;
        for (const Group& group : built.problem.groups) {
          choice.push_back(
              std::uniform_int_distribution<std::size_t>(0, group.options.size() - 1)(random));
        }
        const Totals sums = totals(built.problem, choice);
        const Assignment assignment = built.assignment(choice, "choice");
        INFO(name << " on " << machine);
        for (std::size_t i = 0; i < costs.size(); ++i) {
          CHECK(sums.costs[i] == Approx(whole_cost(c, assignment, costs[i])).epsilon(1e-12));
        }
      }
    }
  }
}

/// Counts the points that another model is asked for.
class CountingModel : public CostModel {
 public:
  explicit CountingModel(CostModel& model) : model_(model) {}
  [[nodiscard]] const std::vector<std::string>& metrics() const override {
    return model_.metrics();
  }
  [[nodiscard]] std::vector<PointCost> costs(std::span<const LayerPoint> points) override {
    asked += points.size();
    return model_.costs(points);
  }

  std::size_t asked = 0;

 private:
  CostModel& model_;
};

/// Share of the link values that are off by more than half a percent.
double share_that_is_off(const Problem& near, const Problem& exact) {
  std::size_t count = 0;
  std::size_t off = 0;
  REQUIRE(near.linked.size() == exact.linked.size());
  for (std::size_t l = 0; l < exact.linked.size(); ++l) {
    CHECK(near.linked[l].tensors == exact.linked[l].tensors);
    REQUIRE(near.linked[l].values.size() == exact.linked[l].values.size());
    for (std::size_t i = 0; i < exact.linked[l].values.size(); ++i) {
      const double value = exact.linked[l].values[i];
      ++count;
      if (std::abs(near.linked[l].values[i] - value) > 0.005 * std::abs(value)) ++off;
    }
  }
  return static_cast<double>(off) / static_cast<double>(count);
}

TEST_CASE("Costs at some stored widths only are near those at all, and exact where asked for") {
  std::mt19937 random(3);
  struct Row {
    const char* machine;
    const char* name;
    double off;  // where another tile takes over between the widths that were looked at
  };
  for (const Row& row : {Row{"bismo_edge_8x8", "lenet5", 0}, Row{"bitfusion_16x32", "resnet8", 0},
                         Row{"bismo_edge_8x8", "resnet18_cifar", 0.01},
                         Row{"bitfusion_16x32", "resnet18_cifar", 0.01}}) {
    INFO(row.name << " on " << row.machine);
    const Case c(row.machine, row.name);
    const CostTable losses = falling_losses(c.network, {2, 3, 4, 5, 6, 7, 8});
    NetworkProblemRequest request;
    request.weight_bits = {3, 8};
    request.costs = {"latency_s", "energy_pj"};
    CountingModel all(*c.model);
    const Problem full = network_problem(c.network, all, losses, request).problem;
    request.stored_width_error = 0.002;
    CountingModel some(*c.model);
    const NetworkProblem coarse = network_problem(c.network, some, losses, request);
    check(coarse.problem);
    CHECK(some.asked < all.asked);
    CHECK(share_that_is_off(coarse.problem, full) <= row.off);

    // Widths of the whole network that are asked for.
    std::vector<Choice> choices;
    for (int trial = 0; trial < 10; ++trial) {
      Choice& choice = choices.emplace_back();
      for (const Group& group : full.groups) {
        choice.push_back(
            std::uniform_int_distribution<std::size_t>(0, group.options.size() - 1)(random));
      }
      request.exact_at.push_back(resolve_widths(c.network, coarse.assignment(choice, "choice")));
    }
    const Problem exact = network_problem(c.network, *c.model, losses, request).problem;
    CHECK(share_that_is_off(exact, full) <= row.off);
    for (const Choice& choice : choices) {
      const Totals expected = totals(full, choice);
      for (std::size_t cost = 0; cost < request.costs.size(); ++cost) {
        CHECK(totals(exact, choice).costs[cost] == Approx(expected.costs[cost]).epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("Costs at some stored widths are all of them where there are too few to leave out") {
  const Case c("bitfusion_16x32", "tiny_cnn");
  const CostTable losses = falling_losses(c.network, {4, 8});
  NetworkProblemRequest request;
  request.weight_bits = request.activation_bits = {4, 8};
  request.costs = {"latency_s", "energy_pj"};
  const NetworkProblem full = network_problem(c.network, *c.model, losses, request);
  request.stored_width_error = 0.002;
  const NetworkProblem coarse = network_problem(c.network, *c.model, losses, request);
  Choice choice(full.problem.groups.size(), 0);
  for (std::size_t number = 0; number < 256; ++number) {
    for (std::size_t g = 0; g < choice.size(); ++g) choice[g] = number >> (2 * g) & 3;
    for (std::size_t cost = 0; cost < 2; ++cost) {
      CHECK(totals(coarse.problem, choice).costs[cost] ==
            Approx(totals(full.problem, choice).costs[cost]).epsilon(1e-12));
    }
  }
}

TEST_CASE("A search with costs at some stored widths ends with what the model says of the answer") {
  const Case c("bitfusion_16x32", "resnet18_cifar");
  const std::vector<BitWidth> widths{2, 3, 4, 5, 6, 7, 8};
  const CostTable losses = falling_losses(c.network, widths);
  for (const double share : {0.5, 0.7}) {
    SearchRequest request;
    request.weight_bits = {2, 4, 8};
    request.budgets = {{"energy_pj", {BudgetForm::Kind::share, share, {8, 8}}, {}}};
    const SearchModels models{c.model.get(), c.model.get()};
    const SearchOutcome full = search_network(c.network, c.accelerator, models, losses, request);
    request.stored_width_error = 0.002;
    const SearchOutcome coarse = search_network(c.network, c.accelerator, models, losses, request);
    REQUIRE(full.solution.choice);
    REQUIRE(coarse.solution.choice);
    CHECK(coarse.confirmed);
    const double used = whole_cost(c, coarse.assignment, "energy_pj");
    CHECK(used <= full.network_problem.problem.budgets[0].limit * (1 + 1e-6));
    // No choice within the budget loses less than the optimum, and it is not far off.
    CHECK(coarse.solution.objective >= full.solution.objective - 1e-9);
    CHECK(coarse.solution.objective <= full.solution.objective * 1.01);
  }
}

TEST_CASE("A budget relative to widths takes pinned layers at their pins") {
  const Case c("bitfusion_16x32", "tiny_cnn");
  SearchRequest request;
  request.weight_bits = request.activation_bits = {2, 4, 8};
  request.pins = {{"conv1", 4, 2, {}}, {"fc", 2, 8, {}}};
  request.budgets = {{"energy_pj", {BudgetForm::Kind::share, 0.9, {8, 8}}, {}}};
  const SearchOutcome outcome =
      search_network(c.network, c.accelerator, {c.model.get(), c.model.get()},
                     falling_losses(c.network, {2, 4, 8}), request);
  Assignment reference = parse_uniform_assignment("w8a8");
  reference.rules = request.pins;
  CHECK(outcome.network_problem.problem.budgets[0].limit ==
        Approx(0.9 * whole_cost(c, reference, "energy_pj")));
}

TEST_CASE("The answer is the best of all choices of a small network") {
  const Case c("bitfusion_16x32", "tiny_cnn");
  const std::vector<BitWidth> widths{2, 4, 8};
  const CostTable losses = falling_losses(c.network, widths);
  for (const double share : {0.3, 0.6, 0.75, 0.9, 1.0}) {
    SearchRequest request;
    request.weight_bits = request.activation_bits = widths;
    request.budgets = {{"latency_cycles", {BudgetForm::Kind::share, share, {8, 8}}, {}}};
    const SearchOutcome outcome =
        search_network(c.network, c.accelerator, {c.model.get(), c.model.get()}, losses, request);
    const Problem& problem = outcome.network_problem.problem;
    const double limit = problem.budgets[0].limit;
    CHECK(limit ==
          Approx(share * whole_cost(c, parse_uniform_assignment("w8a8"), "latency_cycles")));
    // All choices, costed as whole networks.
    double best = std::numeric_limits<double>::infinity();
    Choice choice(problem.groups.size(), 0);
    for (bool more = true; more;) {
      double loss = 0;
      for (std::size_t g = 0; g < choice.size(); ++g) {
        loss += problem.groups[g].options[choice[g]].loss;
      }
      if (loss < best && whole_cost(c, outcome.network_problem.assignment(choice, ""),
                                    "latency_cycles") <= limit) {
        best = loss;
      }
      more = false;
      for (std::size_t g = 0; g < choice.size() && !more; ++g) {
        choice[g] = (choice[g] + 1) % problem.groups[g].options.size();
        more = choice[g] != 0;
      }
    }
    if (!std::isfinite(best)) {
      CHECK(outcome.solution.status == SolveStatus::infeasible);
      continue;
    }
    REQUIRE(outcome.solution.status == SolveStatus::optimal);
    CHECK(outcome.solution.objective == Approx(best).epsilon(1e-9));
    CHECK(outcome.confirmed);
    CHECK(outcome.rounds.size() == 1);
    CHECK(outcome.rounds[0].predicted[0] == outcome.rounds[0].simulated[0]);
    CHECK(whole_cost(c, outcome.assignment, "latency_cycles") <= limit);
  }
}

TEST_CASE("Costs that a slower model corrects are corrected until the answer is confirmed") {
  const Case c("bismo_edge_8x8", "resnet18_cifar");
  const std::vector<BitWidth> widths{2, 4, 8};
  // A fast model that is off by another factor for each layer.
  std::vector<std::vector<double>> factors;
  for (std::size_t i = 0; i < c.network.layers().size(); ++i) {
    factors.emplace_back(c.model->metrics().size(), i % 2 == 0 ? 0.8 : 1.1);
  }
  ScaledCostModel fast(*c.model, factors);
  SearchRequest request;
  request.weight_bits = request.activation_bits = widths;
  request.budgets = {{"latency_cycles", {BudgetForm::Kind::max, 1.5e6, {}}, {}}};
  const SearchOutcome outcome = search_network(c.network, c.accelerator, {&fast, c.model.get()},
                                               falling_losses(c.network, widths), request);
  REQUIRE(outcome.solution.choice);
  CHECK(outcome.rounds.size() > 1);
  CHECK_FALSE(outcome.rounds.front().within_tolerance);
  CHECK(outcome.confirmed);
  CHECK(whole_cost(c, outcome.assignment, "latency_cycles") <= 1.5e6);
  CHECK(outcome.rounds.back().predicted[0] ==
        Approx(outcome.rounds.back().simulated[0]).epsilon(0.005));
}

TEST_CASE("Tensors that leave the chip are found at the answer") {
  const Case c("systolic_16x16_int8", "resnet18_cifar");
  SearchRequest request;
  request.weight_bits = {8};
  request.activation_bits = {2, 8};
  request.budgets = {{"energy_pj", {BudgetForm::Kind::share, 0.99, {8, 8}}, {}}};
  const SearchOutcome outcome =
      search_network(c.network, c.accelerator, {c.model.get(), c.model.get()},
                     falling_losses(c.network, {2, 8}), request);
  REQUIRE(outcome.solution.choice);
  CHECK(outcome.confirmed);
}

TEST_CASE("Pinned layers keep their widths, tied ones share theirs") {
  const Case c("bitfusion_16x32", "tiny_cnn");
  SearchRequest request;
  request.weight_bits = request.activation_bits = {2, 4, 8};
  request.pins = {{"@first", 8, 8, {}}, {"fc", 4, 8, {}}};
  request.ties = {{"conv2", "conv3"}};
  request.budgets = {{"energy_pj", {BudgetForm::Kind::fraction, 0.4, {}}, {}}};
  const SearchOutcome outcome =
      search_network(c.network, c.accelerator, {c.model.get(), c.model.get()},
                     falling_losses(c.network, {2, 4, 8}), request);
  REQUIRE(outcome.solution.choice);
  const WidthPlan widths = resolve_widths(c.network, outcome.assignment);
  const auto of = [&](const char* layer) { return widths.layers[*c.network.find_layer(layer)]; };
  CHECK(of("conv1") == LayerWidths{8, 8});
  CHECK(of("fc") == LayerWidths{4, 8});
  CHECK(of("conv2") == of("conv3"));
}

TEST_CASE("What is wrong with a search is said all at once") {
  const Case c("bitfusion_16x32", "tiny_cnn");
  CostTable losses = falling_losses(c.network, {2, 8});
  losses.layers[1] = "convv2";
  NetworkProblemRequest request;
  request.weight_bits = request.activation_bits = {4, 8};
  request.pins = {{"conf1", 8, 8, {"search.yaml", 3, 5}}};
  request.costs = {"latency_cycles"};
  CHECK_THROWS_WITH(network_problem(c.network, *c.model, losses, request),
                    Catch::Contains("search.yaml:3:5: error: conf1: no layer of tiny_cnn has this "
                                    "name; did you mean 'conv1'?") &&
                        Catch::Contains("losses.csv: error: convv2: no layer of tiny_cnn has this "
                                        "name; did you mean 'conv2'?") &&
                        Catch::Contains("losses.csv: error: conv2: expected losses of this layer "
                                        "of tiny_cnn, or a pin"));
  request.pins.clear();
  request.costs = {"latency"};
  CHECK_THROWS_WITH(
      network_problem(c.network, *c.model, falling_losses(c.network, {4, 8}), request),
      Catch::Contains("latency"));
}

}  // namespace

}  // namespace widthwise
