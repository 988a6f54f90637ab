// Widths that move against loss and costs, and end whole within their targets.
#include "train/width_learner.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "models/cost/machine_model.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/table/channel_cost.hpp"
#include "models/table/table_csv.hpp"
#include "models/table/table_points.hpp"
#include "train/width_rounding.hpp"

namespace widthwise {

namespace {

std::string data(const std::string& name) {
  return std::string(WIDTHWISE_SOURCE_DIR) + "/" + name + ".yaml";
}

struct Machine {
  Machine(const std::string& machine, const std::string& workload, std::vector<BitWidth> widths)
      : accelerator(read_accelerator(data("configs/accelerators/" + machine))),
        network(read_network(data("workloads/" + workload))),
        model(
            analytic_cost_model(network, accelerator, read_energy_table(accelerator.energy_table))),
        permitted(std::move(widths)) {
    TableRequest request;
    request.weight_bits = request.activation_bits = permitted;
    request.stored = true;
    table = make_table(*model, request).table;
  }

  [[nodiscard]] std::vector<double> costs(std::span<const LayerChoice> choices,
                                          const std::vector<ResolvedTarget>& targets) const {
    const ChoiceCost cost = choice_cost(network, *model, accelerator, choices);
    std::vector<double> all;
    for (const ResolvedTarget& target : targets) {
      all.push_back(cost.totals[metric_index(cost.metrics, target.metric)]);
    }
    return all;
  }

  Accelerator accelerator;
  Network network;
  std::unique_ptr<MachineCostModel> model;
  std::vector<BitWidth> permitted;
  CostTable table;
};

const Machine& tiny() {
  static const Machine machine("bismo_edge_8x8", "tiny_cnn", {1, 2, 3, 4, 5, 6, 7, 8});
  return machine;
}

/// Two layers of 4 and 2 channels whose costs are products of widths, a's half of b's.
Network chain() {
  return parse_network(
      "schema: network/1\nname: net\ninputs: {x: [1, 4, 4, 4]}\nlayers:\n"
      "  - {name: a, kind: convolution, out_channels: 4, kernel: 1}\n"
      "  - {name: b, kind: convolution, out_channels: 2, kernel: 1}\n",
      "net.yaml");
}
CostTable chain_table() {
  std::string text = "layer,weight_bits,activation_bits,cost\n";
  for (int w = 1; w <= 8; ++w) {
    for (int a = 1; a <= 8; ++a) {
      text += "a," + std::to_string(w) + "," + std::to_string(a) + "," + std::to_string(w * a) +
              "\nb," + std::to_string(w) + "," + std::to_string(a) + "," +
              std::to_string(2 * w * a) + "\n";
    }
  }
  return parse_cost_table(text, "chain.csv");
}

struct Form {
  bool per_channel = false;
  double width = 8;                        // that slots have before
  std::set<std::string> pinned = {};       // at 8, of both operands
  std::vector<BitWidth> weight_bits = {};  // empty: as activations
  std::vector<BitWidth> activation_bits = {1, 2, 3, 4, 5, 6, 7, 8};
};

std::vector<LearnedLayer> learned(const Network& network, const Form& form) {
  std::vector<LearnedLayer> layers;
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    const Layer& own = network.layers()[id];
    if (!own.compute) continue;
    const bool is_pinned = form.pinned.contains(own.name);
    const auto channels = static_cast<std::size_t>(own.compute->groups * own.compute->out_channels);
    LearnedLayer layer;
    layer.layer = id;
    layer.name = own.name;
    layer.weighted = own.weights > 0;
    layer.weight = std::make_shared<WidthSlot>();
    layer.weight->bits.assign(form.per_channel && !is_pinned ? channels : 1,
                              static_cast<float>(form.width));
    layer.activation = std::make_shared<WidthSlot>();
    layer.activation->bits.assign(1, static_cast<float>(form.width));
    layer.weight_bits = form.weight_bits.empty() ? form.activation_bits : form.weight_bits;
    layer.activation_bits = form.activation_bits;
    if (is_pinned) layer.weight_bits = layer.activation_bits = {8};
    layers.push_back(std::move(layer));
  }
  return layers;
}

TrainSettings settings_of(std::vector<TrainTarget> targets) {
  TrainSettings settings;
  settings.targets = std::move(targets);
  return settings;
}

TrainTarget at_most(const std::string& metric, double value) {
  return {metric, {BudgetForm::Kind::max, value, {}}, 1, {}};
}
TrainTarget share(const std::string& metric, double value) {
  return {metric, {BudgetForm::Kind::share, value, {8, 8}}, 1, {}};
}
TrainTarget fraction(const std::string& metric, double value) {
  return {metric, {BudgetForm::Kind::fraction, value, {}}, 1, {}};
}

/// All widths in order, one after the other.
std::vector<double> widths(WidthLearner& learner) {
  std::vector<double> all;
  for (const LearnedLayer& layer : learner.layers()) {
    all.insert(all.end(), layer.weight->bits.begin(), layer.weight->bits.end());
    all.push_back(layer.activation->bits[0]);
  }
  return all;
}

/// Gives the learner other widths (in the order of `widths`), without momentum.
void set(WidthLearner& learner, const std::vector<double>& to) {
  std::vector<double> state = learner.state();
  const auto count = static_cast<std::ptrdiff_t>(to.size());
  REQUIRE(state.size() == 2 * to.size() + learner.targets().size() + 1);
  std::fill_n(state.begin() + count, count, 0.0);
  std::copy(to.begin(), to.end(), state.begin());
  learner.restore(state);
}

void add_gradient(WidthLearner& learner, const std::function<double(std::size_t)>& of) {
  std::size_t i = 0;
  for (LearnedLayer& layer : learner.layers()) {
    for (const auto& slot : {layer.weight, layer.activation}) {
      for (float& gradient : slot->gradient) gradient += static_cast<float>(of(i++));
    }
  }
}

std::string message(const std::function<void()>& act) {
  try {
    act();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

/// Whole, of what is permitted, and no longer learned.
void check_frozen(WidthLearner& learner) {
  for (const LearnedLayer& layer : learner.layers()) {
    for (const auto& [slot, permitted] :
         {std::pair(layer.weight, layer.weight_bits), {layer.activation, layer.activation_bits}}) {
      CHECK_FALSE(slot->learned);
      for (const float bits : slot->bits) {
        CHECK(std::any_of(permitted.begin(), permitted.end(),
                          [&](BitWidth any) { return static_cast<float>(any) == bits; }));
      }
    }
  }
}

}  // namespace

TEST_CASE("A step is that of torch's SGD with Nesterov's momentum, between the ends of the range") {
  TrainSettings settings = settings_of({at_most("cost", 1000)});
  settings.kappa = 0;
  settings.width_learning_rate = 0.5;
  settings.momentum = 0.75;
  WidthLearner learner(chain(), bind_table(chain_table(), chain()),
                       learned(chain(), {.width = 4, .pinned = {"b"}}), settings);
  LearnedLayer& a = learner.layers()[0];
  LearnedLayer& b = learner.layers()[1];
  CHECK(a.weight->learned);
  CHECK_FALSE(b.weight->learned);
  CHECK(b.weight->bits[0] == 8);  // where it is pinned
  a.weight->gradient[0] = 1;
  b.weight->gradient[0] = 1;
  learner.step();
  // v = 1, d = 1 + 0.75.
  CHECK(a.weight->bits[0] == Approx(4 - 0.5 * 1.75));
  CHECK(a.activation->bits[0] == 4);
  CHECK(b.weight->bits[0] == 8);
  CHECK(a.weight->gradient[0] == 0);
  CHECK(b.weight->gradient[0] == 0);
  a.weight->gradient[0] = -2;
  learner.step();
  // v = 0.75 - 2 = -1.25, d = -2 - 0.75 * 1.25.
  CHECK(a.weight->bits[0] == Approx(4 - 0.5 * 1.75 + 0.5 * 2.9375));
  a.weight->gradient[0] = 100;
  learner.step();
  CHECK(a.weight->bits[0] == 1);
  learner.step();
  CHECK(a.weight->bits[0] == 1);
  // No momentum holds it there.
  a.weight->gradient[0] = -1;
  learner.step();
  CHECK(a.weight->bits[0] == Approx(1 + 0.5 * 1.75));
}

TEST_CASE("Without a loss a step goes down the slope of the cost term") {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> fraction_of(0.1, 0.9);
  for (const bool per_channel : {false, true}) {
    INFO((per_channel ? "per channel" : "per layer"));
    // One target that is exceeded, and one that is not reached.
    TrainSettings settings = settings_of({share("latency_cycles", 0.35), share("energy_pj", 0.95)});
    settings.targets[1].weight = 0.5;
    settings.momentum = 0;
    settings.kappa = 3;
    settings.width_learning_rate = 1e-3;
    WidthLearner learner(tiny().network, bind_table(tiny().table, tiny().network),
                         learned(tiny().network, {.per_channel = per_channel, .pinned = {"fc"}}),
                         settings);
    std::vector<double> from = widths(learner);
    for (std::size_t i = 0; i + 2 < from.size(); ++i) {
      from[i] = std::floor(3 + 3 * fraction_of(random)) + fraction_of(random);
    }
    set(learner, from);
    REQUIRE(learner.distances()[0].relative > 0);
    REQUIRE(learner.distances()[1].relative < 0);
    const auto distance = [](double r) {  // |r|, a parabola within 5 % of the target
      return std::abs(r) < 0.05 ? 10 * r * r : std::abs(r) - 0.025;
    };
    CHECK(learner.penalty() == Approx(3 * (distance(learner.distances()[0].relative) +
                                           0.5 * distance(learner.distances()[1].relative))));
    learner.step();
    const std::vector<double> state = learner.state();
    std::size_t i = 0;
    for (const LearnedLayer& layer : learner.layers()) {
      for (const auto& slot : {layer.weight, layer.activation}) {
        for (std::size_t c = 0; c < slot->bits.size(); ++c, ++i) {
          const double moved = state[i] - from[i];
          if (!slot->learned) {
            CHECK(moved == 0);
            continue;
          }
          constexpr double kStep = 1e-4;
          std::vector<double> near = from;
          near[i] += kStep;
          set(learner, near);
          const double more = learner.penalty();
          near[i] -= 2 * kStep;
          set(learner, near);
          const double slope = (more - learner.penalty()) / (2 * kStep);
          REQUIRE(slope != 0);
          INFO(layer.name << " " << c);
          CHECK(moved ==
                Approx(-1e-3 * static_cast<double>(slot->bits.size()) * slope).epsilon(1e-5));
        }
      }
    }
  }
}

TEST_CASE("It starts at the uniform widths that reach the target, and a little above") {
  // 3 w a of both: 48 at 4, and 8 x 8 of a pinned one.
  TrainSettings settings = settings_of({at_most("cost", 48)});
  settings.start_above = 0;
  WidthLearner learner(chain(), bind_table(chain_table(), chain()), learned(chain(), {}), settings);
  learner.start();
  for (const double width : widths(learner)) CHECK(width == Approx(4));
  CHECK(learner.distances()[0].cost == Approx(48));

  settings.start_above = 0.5;
  WidthLearner above(chain(), bind_table(chain_table(), chain()), learned(chain(), {}), settings);
  above.start();
  for (const double width : widths(above)) CHECK(width == Approx(4.5));

  // a: 64; b: 2 w a = 32 at 4. Two targets: the lower one decides, whichever comes first.
  settings.start_above = 0;
  settings.targets = {at_most("cost", 64 + 50), at_most("cost", 64 + 32)};
  WidthLearner pinned(chain(), bind_table(chain_table(), chain()),
                      learned(chain(), {.pinned = {"a"}}), settings);
  pinned.start();
  CHECK(widths(pinned)[0] == 8);
  CHECK(widths(pinned)[2] == Approx(4));
  CHECK(widths(pinned)[3] == Approx(4));

  // Clamped to what a layer may have; a target above all is reached at the top.
  settings.targets = {at_most("cost", 1e6)};
  settings.start_above = 2;
  WidthLearner top(chain(), bind_table(chain_table(), chain()),
                   learned(chain(), {.weight_bits = {2, 3}}), settings);
  top.start();
  CHECK(widths(top) == std::vector<double>{3, 8, 3, 8});
}

TEST_CASE("The widths meet the target, and go where the loss wants them") {
  // What a bit less costs the loss: four times as much in b as in a, where it costs twice as much.
  TrainSettings settings = settings_of({at_most("cost", 48)});
  settings.width_learning_rate = 0.01;
  settings.kappa = 5;
  for (const bool per_channel : {false, true}) {
    INFO((per_channel ? "per channel" : "per layer"));
    WidthLearner learner(chain(), bind_table(chain_table(), chain()),
                         learned(chain(), {.per_channel = per_channel}), settings);
    learner.start();
    const std::size_t first = per_channel ? 4 : 1;
    double last_costs = 0;
    for (int i = 0; i < 600; ++i) {
      // loss = sum_l weight_l / width_l of each operand, by the mean of channels.
      std::size_t at = 0;
      for (LearnedLayer& layer : learner.layers()) {
        const double weight = at++ == 0 ? 1 : 4;
        for (const auto& slot : {layer.weight, layer.activation}) {
          for (std::size_t c = 0; c < slot->bits.size(); ++c) {
            slot->gradient[c] -= static_cast<float>(
                weight / (std::pow(slot->bits[c], 2) * static_cast<double>(slot->bits.size())));
          }
        }
      }
      learner.step();
      if (i >= 500) last_costs += learner.distances()[0].relative / 100;
    }
    // It settles where the parabola pulls as much as the loss does, above the target.
    CHECK(last_costs > 0);
    CHECK(last_costs < 0.02);
    CHECK(std::abs(learner.distances()[0].relative) < 0.05);
    const std::vector<double> all = widths(learner);
    CHECK(all[first + 1] > all[0] + 0.5);
  }
}

TEST_CASE("The mean of a layer's channels moves as one width for the layer would") {
  TrainSettings settings = settings_of({share("latency_cycles", 0.5)});
  settings.width_learning_rate = 0.02;
  WidthLearner layers(tiny().network, bind_table(tiny().table, tiny().network),
                      learned(tiny().network, {}), settings);
  WidthLearner channels(tiny().network, bind_table(tiny().table, tiny().network),
                        learned(tiny().network, {.per_channel = true}), settings);
  layers.start();
  channels.start();
  const auto mean = [](const WidthSlot& slot) {
    double sum = 0;
    for (const float bits : slot.bits) sum += bits;
    return sum / static_cast<double>(slot.bits.size());
  };
  const double began = mean(*layers.layers()[0].weight);
  double moved = 0;  // at most
  for (int i = 0; i < 60; ++i) {
    for (WidthLearner* learner : {&layers, &channels}) {
      double wanted = 2.5;
      for (LearnedLayer& layer : learner->layers()) {
        wanted += 1;
        for (const auto& slot : {layer.weight, layer.activation}) {
          // loss = (mean - wanted)^2 / 2
          for (float& gradient : slot->gradient) {
            gradient +=
                static_cast<float>((mean(*slot) - wanted) / static_cast<double>(slot->bits.size()));
          }
        }
      }
      learner->step();
    }
    moved = std::max(moved, std::abs(mean(*layers.layers()[0].weight) - began));
    for (std::size_t l = 0; l < layers.layers().size(); ++l) {
      CHECK(mean(*channels.layers()[l].weight) ==
            Approx(mean(*layers.layers()[l].weight)).epsilon(1e-4));
      CHECK(channels.layers()[l].activation->bits[0] ==
            Approx(layers.layers()[l].activation->bits[0]).epsilon(1e-4));
    }
  }
  CHECK(moved > 0.2);
}

TEST_CASE("Channels that the loss tells apart come apart, as fast as layers do") {
  TrainSettings settings = settings_of({at_most("cost", 1000)});
  settings.kappa = 0;
  settings.width_learning_rate = 0.05;
  WidthLearner learner(chain(), bind_table(chain_table(), chain()),
                       learned(chain(), {.per_channel = true, .width = 5}), settings);
  WidthSlot& slot = *learner.layers()[0].weight;
  WidthSlot& one = *learner.layers()[0].activation;
  const std::vector<float> to{3, 4, 6, 7};
  for (int i = 0; i < 40; ++i) {
    // Each to a width of its own, with a quarter of the layer's loss.
    for (std::size_t c = 0; c < 4; ++c) {
      slot.gradient[c] = (slot.bits[c] - to[c]) / 4;
    }
    one.gradient[0] = one.bits[0] - 7;
    learner.step();
  }
  const double gone = (one.bits[0] - 5) / (7 - 5);  // of the way
  CHECK(gone == Approx(1).margin(0.2));
  for (std::size_t c = 0; c < 4; ++c) {
    CHECK((slot.bits[c] - 5) / (to[c] - 5) == Approx(gone).epsilon(1e-3));
  }
}

TEST_CASE("Targets say what they come to") {
  const auto resolved = [&](const TrainTarget& target, const Form& form) {
    return WidthLearner(chain(), bind_table(chain_table(), chain()), learned(chain(), form),
                        settings_of({target}))
        .targets()[0];
  };
  const Form free{.weight_bits = {2, 3, 4}};
  CHECK(resolved(at_most("cost", 30), free).target == 30);
  CHECK(resolved(at_most("cost", 30), free).least == 3 * 2 * 1);
  CHECK(resolved(at_most("cost", 30), free).greatest == 3 * 4 * 8);
  CHECK(resolved(fraction("cost", 0.25), free).target == Approx(6 + 0.25 * 90));
  CHECK(resolved(share("cost", 0.5), free).target == Approx(0.5 * 3 * 64));
  // Pins stay where they are.
  TrainTarget of_4 = share("cost", 0.9);
  of_4.form.reference = {4, 2};
  CHECK(resolved(of_4, {.pinned = {"a"}}).target == Approx(0.9 * (64 + 2 * 4 * 2)));
  // Nothing is pruned at the least and at the greatest.
  CHECK(resolved(fraction("cost", 0.0), {.per_channel = true, .weight_bits = {0, 1, 2, 3, 4}})
            .target == 3);
}

TEST_CASE("What can not be is refused, with what could be") {
  const auto refused = [&](TrainTarget target, const Form& form,
                           const CostTable& table = chain_table()) {
    target.place = {"t.yaml", 7, 3};
    return message([&] {
      WidthLearner(chain(), bind_table(table, chain()), learned(chain(), form),
                   settings_of({target}));
    });
  };
  CHECK(refused(at_most("cost", 11), {.weight_bits = {2, 4}, .activation_bits = {2, 4}}) ==
        "t.yaml:7:3: error: train.targets.cost: expected at least 12 cost (all layers at their "
        "narrowest), got 11");
  CHECK(refused(at_most("cost", 12), {.weight_bits = {2, 4}, .activation_bits = {2, 4}}).empty());
  CHECK(refused(at_most("cost", 65), {.pinned = {"a"}}) ==
        "t.yaml:7:3: error: train.targets.cost: expected at least 66 cost (all layers at their "
        "narrowest), got 65");
  CHECK_THROWS_AS(WidthLearner(chain(), bind_table(chain_table(), chain()), learned(chain(), {}),
                               settings_of({at_most("cost", 2)})),
                  InfeasibleTarget);
  // With one channel of four in a, and one of two with a quarter of its inputs in b.
  CHECK(refused(at_most("cost", 0.2), {.per_channel = true, .weight_bits = {0, 1}}) ==
        "t.yaml:7:3: error: train.targets.cost: expected at least 0.5 cost (all layers at their "
        "narrowest, with one channel), got 0.2");
  CHECK(refused(at_most("costs", 30), {}).find("did you mean 'cost'") != std::string::npos);
  CHECK(refused(at_most("cost", 30), {.activation_bits = {4, 9}})
            .find("table lacks weights of 9 bit of 'a': it has 1..8") != std::string::npos);
  TrainTarget wide = share("cost", 0.5);
  wide.form.reference = {8, 16};
  CHECK(refused(wide, {}).find("train.targets.cost.relative_to: table lacks activations of 16 bit "
                               "of 'b': it has 1..8") != std::string::npos);
  CostTable partial = chain_table();
  partial.layers.pop_back();
  std::erase_if(partial.rows, [](const TableRow& row) { return row.layer == 1; });
  partial.leaves_out = {"b"};
  CHECK(refused(at_most("cost", 30), {}, partial).find("b: the table of costs lacks this layer") !=
        std::string::npos);
}

TEST_CASE("A checkpoint goes on as if there had been no break") {
  TrainSettings settings = settings_of({share("latency_cycles", 0.4)});
  const auto make = [&] {
    return WidthLearner(tiny().network, bind_table(tiny().table, tiny().network),
                        learned(tiny().network, {.per_channel = true, .pinned = {"fc"}}), settings);
  };
  WidthLearner one = make();
  one.start();
  const auto pull = [](WidthLearner& learner) {
    add_gradient(learner, [](std::size_t i) { return 0.1 * std::sin(static_cast<double>(i)); });
    learner.step();
  };
  for (int i = 0; i < 5; ++i) pull(one);
  WidthLearner other = make();
  other.restore(one.state());
  CHECK(widths(other) == widths(one));
  for (int i = 0; i < 5; ++i) {
    pull(one);
    pull(other);
  }
  CHECK(other.state() == one.state());
  const auto exact = [&](std::span<const LayerChoice> choices) {
    return tiny().costs(choices, one.targets());
  };
  one.freeze(exact);
  other.restore(one.state());
  CHECK(widths(other) == widths(one));
  check_frozen(other);
  pull(other);
  CHECK(widths(other) == widths(one));
  CHECK(other.choices() == one.choices());
}

namespace {

struct Frozen {
  WidthLearner::Rounding rounding;
  double ratio = 0;    // the greatest of exact costs and targets
  double strayed = 0;  // mean of the widths that are learned
};

Frozen freeze(const Machine& machine, const Form& form, const std::vector<TrainTarget>& targets,
              std::mt19937& random, double above = 0) {
  TrainSettings settings = settings_of(targets);
  settings.start_above = above;
  WidthLearner learner(machine.network, bind_table(machine.table, machine.network),
                       learned(machine.network, form), settings);
  learner.start();
  // Learned: around the uniform widths.
  std::normal_distribution<double> noise(0, 1);
  std::vector<double> all = widths(learner);
  std::size_t i = 0;
  for (const LearnedLayer& layer : learner.layers()) {
    const double of_layer = noise(random);
    for (const auto& [slot, permitted] :
         {std::pair(layer.weight, layer.weight_bits), {layer.activation, layer.activation_bits}}) {
      for (std::size_t c = 0; c < slot->bits.size(); ++c, ++i) {
        const double own = slot->bits.size() > 1 ? of_layer + 0.5 * noise(random) : noise(random);
        all[i] = std::clamp<double>(all[i] + own, permitted.front(), permitted.back());
      }
    }
  }
  set(learner, all);
  Frozen frozen;
  frozen.rounding = learner.freeze([&](std::span<const LayerChoice> choices) {
    return machine.costs(choices, learner.targets());
  });
  check_frozen(learner);
  CHECK(frozen.rounding.costs == machine.costs(learner.choices(), learner.targets()));
  for (std::size_t t = 0; t < targets.size(); ++t) {
    frozen.ratio = std::max(frozen.ratio, frozen.rounding.costs[t] / learner.targets()[t].target);
  }
  CHECK(frozen.rounding.met == (frozen.ratio <= 1.01));
  CHECK(frozen.rounding.within_tolerance == (frozen.ratio <= 1.01 && frozen.ratio >= 0.99));
  CHECK(frozen.rounding.evaluations <= 72);
  const std::vector<double> whole = widths(learner);
  for (std::size_t w = 0; w < all.size(); ++w) {
    frozen.strayed += std::abs(whole[w] - all[w]) / static_cast<double>(all.size());
  }
  return frozen;
}

}  // namespace

TEST_CASE("Rounded widths come within 1 % of their targets") {
  std::mt19937 random(8);
  const Machine serial("bismo_edge_8x8", "resnet18_cifar", {1, 2, 3, 4, 5, 6, 7, 8});
  const Machine fusion("bitfusion_16x32", "resnet18_cifar", {2, 4, 8});
  for (const Machine* machine : {&serial, &fusion}) {
    for (const double goal : {0.2, 0.4, 0.7}) {
      for (const double above : {0.0, 0.5}) {
        INFO(machine->accelerator.name << " " << goal << " " << above);
        const Form form{.pinned = {"conv1", "fc"}, .activation_bits = machine->permitted};
        const Frozen one =
            freeze(*machine, form, {fraction("latency_cycles", goal)}, random, above);
        CHECK(one.ratio <= 1);
        CHECK(one.ratio >= 0.99);
        CHECK(one.strayed < (machine == &serial ? 0.7 : 1.3));
        const Frozen two =
            freeze(*machine, form, {fraction("latency_cycles", goal), fraction("energy_pj", goal)},
                   random, above);
        CHECK(two.ratio <= 1);
        CHECK(two.ratio >= 0.99);
      }
    }
  }
}

TEST_CASE("Per channel too, where runs of few channels cost more than their share") {
  std::mt19937 random(9);
  const Machine machine("bismo_edge_8x8", "resnet18_cifar", {1, 2, 3, 4, 5, 6, 7, 8});
  for (const double goal : {0.3, 0.6}) {
    for (const bool prunes : {false, true}) {
      INFO(goal << (prunes ? " pruned" : ""));
      Form form{.per_channel = true, .pinned = {"conv1", "fc"}};
      if (prunes) form.weight_bits = {0, 1, 2, 3, 4, 5, 6, 7, 8};
      const Frozen frozen = freeze(machine, form, {fraction("latency_cycles", goal)}, random);
      CHECK(frozen.ratio <= 1.01);
      CHECK(frozen.ratio >= 0.99);
    }
  }
}

TEST_CASE("Where a second width in a layer costs a second run, channels end at one") {
  const Machine machine("bitfusion_16x32", "tiny_cnn", {2, 4, 8});
  TrainSettings settings =
      settings_of({{"latency_cycles", {BudgetForm::Kind::share, 1.0, {4, 4}}, 1, {}}});
  settings.pins.clear();
  WidthLearner learner(
      machine.network, bind_table(machine.table, machine.network),
      learned(machine.network, {.per_channel = true, .activation_bits = {2, 4, 8}}), settings);
  // Every other channel is nearer to 2 and 8 bits, at a mean of 4.3.
  std::vector<double> mixed;
  for (const LearnedLayer& layer : learner.layers()) {
    for (std::size_t c = 0; c < layer.weight->bits.size(); ++c) {
      mixed.push_back(c % 2 == 0 ? 2.4 : 6.2);
    }
    mixed.push_back(4);
  }
  set(learner, mixed);
  const auto rounding = learner.freeze([&](std::span<const LayerChoice> choices) {
    return machine.costs(choices, learner.targets());
  });
  CHECK(rounding.met);
  for (const LayerChoice& choice : learner.choices()) {
    CHECK(choice.weight_bits == std::vector<BitWidth>(choice.weight_bits.size(), 4));
    CHECK(choice.activation_bits == 4);
  }
}

TEST_CASE("Few coarse layers end within the target, as near as there is something") {
  std::mt19937 random(10);
  const Machine machine("bitfusion_16x32", "tiny_cnn", {2, 4, 8});
  std::vector<double> all;  // costs of all choices
  std::vector<LayerChoice> choices;
  for (LayerId id = 0; id < machine.network.layers().size(); ++id) {
    if (machine.network.layers()[id].compute) choices.push_back({id, {2}, 2});
  }
  const std::vector<ResolvedTarget> metric{{"latency_cycles", 0, 0, 0, 1}};
  for (bool more = true; more;) {
    all.push_back(machine.costs(choices, metric)[0]);
    more = false;
    for (std::size_t i = 0; i < 2 * choices.size() && !more; ++i) {
      BitWidth& bits = i % 2 == 0 ? choices[i / 2].weight_bits[0] : choices[i / 2].activation_bits;
      bits = bits == 8 ? 2 : 2 * bits;
      more = bits != 2;
    }
  }
  REQUIRE(all.size() == 6561);
  const auto [least, greatest] = std::minmax_element(all.begin(), all.end());
  int hits = 0;
  int possible = 0;
  for (int trial = 0; trial < 30; ++trial) {
    const double target =
        *least + std::uniform_real_distribution<double>(0, 1)(random) * (*greatest - *least);
    const Frozen frozen = freeze(machine, {.activation_bits = {2, 4, 8}},
                                 {at_most("latency_cycles", target)}, random);
    CHECK(frozen.rounding.met);
    possible += std::any_of(all.begin(), all.end(),
                            [&](double cost) { return cost <= target && cost >= 0.99 * target; });
    hits += frozen.ratio <= 1 && frozen.ratio >= 0.99;
  }
  CHECK(possible > 10);
  CHECK(hits >= possible - 1);
}

TEST_CASE("Calibrated, the cost term speaks of the whole network's costs at channels' widths") {
  const Machine machine("bismo_edge_8x8", "resnet18_cifar", {1, 2, 3, 4, 5, 6, 7, 8});
  TrainSettings settings = settings_of({fraction("latency_cycles", 0.4)});
  settings.width_learning_rate = 0.02;
  WidthLearner learner(machine.network, bind_table(machine.table, machine.network),
                       learned(machine.network, {.per_channel = true}), settings);
  learner.start();
  const auto exact = [&](std::span<const LayerChoice> choices) {
    return machine.costs(choices, learner.targets());
  };
  // Each channel to a width of its own.
  std::mt19937 random(2);
  std::uniform_real_distribution<double> wanted(1, 8);
  std::vector<double> to;
  for (std::size_t i = 0; i < widths(learner).size(); ++i) to.push_back(wanted(random));
  for (int i = 0; i < 400; ++i) {
    if (i % 40 == 0) learner.calibrate(exact);
    std::size_t at = 0;
    for (LearnedLayer& layer : learner.layers()) {
      for (const auto& slot : {layer.weight, layer.activation}) {
        for (std::size_t c = 0; c < slot->bits.size(); ++c, ++at) {
          slot->gradient[c] += 0.02F * (slot->bits[c] - static_cast<float>(to[at])) /
                               static_cast<float>(slot->bits.size());
        }
      }
    }
    learner.step();
  }
  const double target = learner.targets()[0].target;
  const double now = machine.costs(learner.choices(), learner.targets())[0];
  CHECK(now == Approx(target).epsilon(0.1));
  const ChannelCost interpolated(bind_table(machine.table, machine.network), "latency_cycles");
  std::vector<double> weights;
  std::vector<double> activations;
  for (const LayerChoice& choice : learner.choices()) {
    weights.insert(weights.end(), choice.weight_bits.begin(), choice.weight_bits.end());
    activations.push_back(choice.activation_bits);
  }
  CHECK(now > 1.2 * interpolated.evaluate(weights, activations));
  const WidthLearner::Rounding rounding = learner.freeze(exact);
  CHECK(rounding.met);
  CHECK(std::abs(rounding.offset) < 0.3);
}

TEST_CASE("Per layer there is nothing to calibrate") {
  WidthLearner learner(tiny().network, bind_table(tiny().table, tiny().network),
                       learned(tiny().network, {}), settings_of({share("latency_cycles", 0.5)}));
  learner.start();
  const double before = learner.distances()[0].cost;
  learner.calibrate([&](std::span<const LayerChoice> choices) {
    return tiny().costs(choices, learner.targets());
  });
  CHECK(learner.distances()[0].cost == Approx(before).epsilon(1e-12));
  learner.calibrate([&](std::span<const LayerChoice> choices) {
    return std::vector{3 * tiny().costs(choices, learner.targets())[0]};
  });
  CHECK(learner.distances()[0].cost == Approx(3 * before));
}

TEST_CASE("A layer keeps a channel, and what is wide enough already stays") {
  // All of a wants to be gone.
  TrainSettings settings = settings_of({at_most("cost", 1e6)});
  WidthLearner learner(chain(), bind_table(chain_table(), chain()),
                       learned(chain(), {.per_channel = true, .weight_bits = {0, 2, 4}}), settings);
  set(learner, {0.1, 0.3, 0.2, 0, 8, 2.9, 3, 8});
  CHECK(learner.choices()[0].weight_bits == std::vector<BitWidth>{0, 2, 0, 0});
  CHECK(learner.choices()[1].weight_bits == std::vector<BitWidth>{2, 4});
}

TEST_CASE("The rounding that hits the target strays least") {
  // Costs are sums of widths. 0.4 of a bit is lacking in all.
  RoundingTask task;
  for (std::size_t i = 0; i < 5; ++i) task.parts.push_back({i, 1, {1, 2, 3, 4, 5, 6, 7, 8}});
  task.widths = {3.4, 5.3, 2.2, 6.1, 4.4};
  task.targets = {22};
  task.predicted = task.exact = [](std::span<const double> widths) {
    double sum = 0;
    for (const double width : widths) sum += width;
    return std::vector<double>{sum};
  };
  // Rounded they are 20: an offset of 0.1 takes the two that are nearest up together.
  const RoundedWidths rounded = round_widths(task);
  CHECK(rounded.widths == std::vector<double>{4, 5, 2, 6, 5});
  CHECK(rounded.ratio == 1);

  // A swap is needed: only 3 and 5 steps are there, and 2 more have to come.
  RoundingTask coarse;
  coarse.parts = {{0, 1, {1, 4}}, {1, 1, {1, 6}}};
  coarse.widths = {3.5, 1.2};
  coarse.targets = {7};
  coarse.predicted = coarse.exact = task.exact;
  coarse.tolerance = 0.01;
  const RoundedWidths swapped = round_widths(coarse);
  CHECK(swapped.widths == std::vector<double>{1, 6});
  CHECK(swapped.costs == std::vector<double>{7});

  // Nothing meets it: the least there is.
  coarse.targets = {1.5};
  CHECK(round_widths(coarse).widths == std::vector<double>{1, 1});
  CHECK(round_widths(coarse).ratio > 1.01);
}

TEST_CASE("Predictions that are off by a factor are put right by what is seen") {
  // Exact costs are 1.3 times as high, and rise twice as fast.
  RoundingTask task;
  for (std::size_t i = 0; i < 40; ++i) {
    task.parts.push_back({i, 1, {1, 2, 3, 4, 5, 6, 7, 8}});
    task.widths.push_back(3 + 0.05 * static_cast<double>(i % 20));
  }
  task.targets = {307};
  task.predicted = [](std::span<const double> widths) {
    double sum = 0;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      sum += static_cast<double>(1 + i % 3) * widths[i];
    }
    return std::vector<double>{sum};
  };
  int evaluations = 0;
  task.exact = [&](std::span<const double> widths) {
    ++evaluations;
    return std::vector<double>{1.3 * task.predicted(widths)[0] +
                               1.3 * (task.predicted(widths)[0] - 240)};
  };
  task.bisections = 2;  // the rest is left to the moves
  task.tolerance = 0.02;
  const RoundedWidths rounded = round_widths(task);
  CHECK(rounded.evaluations == evaluations);
  CHECK(rounded.ratio <= 1);
  CHECK(rounded.ratio >= 0.98);
  CHECK(evaluations < 20);
}

}  // namespace widthwise
