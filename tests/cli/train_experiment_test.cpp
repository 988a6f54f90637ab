#include "cli/train_experiment.hpp"

#include <catch2/catch.hpp>

#include "tests/cli/temporary_folder.hpp"

using namespace widthwise;

namespace {

Given option(const std::string& name, const std::string& text) {
  Given given;
  given.text = text;
  given.place.file = name;
  return given;
}

constexpr const char* kHead = "schema: experiment/1\naccelerator: tiny\nnetwork: net\n";
constexpr const char* kTarget = "  targets: {latency_cycles: {relative_to: w3a3, share: 1}}\n";

TrainExperiment read(const std::string& more) {
  const TemporaryFolder folder;
  return read_train_experiment(folder.write("e.yaml", kHead + more));
}

std::string without_folder(const InputError& error, const std::string& folder) {
  std::string text;
  for (Diagnostic problem : error.diagnostics()) {
    if (problem.place.file.starts_with(folder)) {
      problem.place.file.erase(0, folder.size() + 1);
    }
    text += to_string(problem) + '\n';
  }
  return text;
}

/// What is wrong with the file or with what it asks for.
std::string mistakes(const std::string& more, const TrainOverrides& overrides = {},
                     const std::optional<Assignment>& bits = std::nullopt) {
  const TemporaryFolder folder;
  try {
    TrainExperiment experiment = read_train_experiment(folder.write("e.yaml", kHead + more));
    Diagnostics problems;
    apply(overrides, experiment, problems);
    planned_trainings(experiment, bits, problems);
    problems.throw_if_any();
    return "none";
  } catch (const InputError& error) {
    return without_folder(error, folder.path());
  }
}

/// "'full_precision', 'fixed', ..."
std::string method_names() {
  try {
    parse_train_method("");
    return "";
  } catch (const InputError& error) {
    const std::string text = error.diagnostics().front().message;
    const std::size_t begin = std::string("expected one of ").size();
    return text.substr(begin, text.find(", got") - begin);
  }
}

/// The text with the names of the methods where it says METHODS.
std::string with_methods(std::string text) {
  for (auto at = text.find("METHODS"); at != std::string::npos; at = text.find("METHODS")) {
    text.replace(at, 7, method_names());
  }
  return text;
}

std::vector<PlannedTraining> plan_of(const std::string& more,
                                     const std::optional<Assignment>& bits = std::nullopt) {
  Diagnostics problems;
  auto plan = planned_trainings(read(more), bits, problems);
  problems.throw_if_any();
  return plan;
}

}  // namespace

TEST_CASE("a train section that says nothing but a target has the defaults") {
  const TrainExperiment experiment = read(std::string("train:\n") + kTarget);
  const TrainSettings defaults;
  TrainSettings expected = defaults;
  expected.targets = {{"latency_cycles", {BudgetForm::Kind::share, 1, {3, 3}}, 1, {}}};
  CHECK(canonical_text(experiment.settings) == canonical_text(expected));
  CHECK(experiment.data.text == "fashion_mnist");
  CHECK_FALSE(experiment.has_pins);
  CHECK(experiment.uniform.empty());
  CHECK(experiment.methods.empty());
}

TEST_CASE("a train section says all that a training is told") {
  const TrainExperiment experiment = read(R"(batch: 2
train:
  method: bmpq
  data: fashion_mnist
  images: 2048
  epochs: 7
  batch: 32
  seed: 5
  augment: shift
  learning_rate: 0.2
  momentum: 0.8
  weight_decay: 1e-4
  warmup_epochs: 1.5
  weight_bits: [2, 4]
  activation_bits: [4, 8]
  pins: {conv1: w16a8, "*.depthwise": w4a4}
  per_channel: true
  prune: true
  kappa: 2
  width_learning_rate: 0.01
  freeze_at: 0.75
  start_above: 1
  interval_epochs: 0.5
  warm_epochs: 2
  pretrain_share: 0.25
  calibration_images: 512
  max_loss: 0.5
  test_images: 100
  targets:
    weight_bytes: {max: 5000}
    latency_cycles: {fraction: 0.25, weight: 3}
  compare: {uniform: [3, w4a8], methods: [post_training, full_precision]}
)");
  TrainSettings expected;
  expected.method = TrainMethod::bmpq;
  expected.images = 2048;
  expected.epochs = 7;
  expected.batch = 32;
  expected.seed = 5;
  expected.augment = Augmentation::shift;
  expected.learning_rate = 0.2;
  expected.momentum = 0.8;
  expected.weight_decay = 1e-4;
  expected.warmup_epochs = 1.5;
  expected.weight_bits = {2, 4};
  expected.activation_bits = {4, 8};
  expected.pins = {{"conv1", 16, 8, {}}, {"*.depthwise", 4, 4, {}}};
  expected.per_channel = expected.prune = true;
  expected.kappa = 2;
  expected.width_learning_rate = 0.01;
  expected.freeze_at = 0.75;
  expected.start_above = 1;
  expected.interval_epochs = 0.5;
  expected.warm_epochs = 2;
  expected.pretrain_share = 0.25;
  expected.calibration_images = 512;
  expected.max_loss = 0.5;
  expected.test_images = 100;
  expected.targets = {{"weight_bytes", {BudgetForm::Kind::max, 5000, {}}, 1, {}},
                      {"latency_cycles", {BudgetForm::Kind::fraction, 0.25, {}}, 3, {}}};
  CHECK(canonical_text(experiment.settings) == canonical_text(expected));
  CHECK(experiment.has_pins);
  CHECK(experiment.uniform == std::vector<LayerWidths>{{3, 3}, {4, 8}});
  CHECK(experiment.methods ==
        std::vector<TrainMethod>{TrainMethod::post_training, TrainMethod::full_precision});
  CHECK(experiment.run.batch->text == "2");
  CHECK(experiment.settings.targets[1].place.line == 34);
}

TEST_CASE("a folder of images beside the experiment is meant by its name") {
  const TemporaryFolder folder;
  folder.write("images/one", "");
  const auto path =
      folder.write("e.yaml", std::string(kHead) + "train:\n  data: images\n" + kTarget);
  const TrainExperiment experiment = read_train_experiment(path);
  CHECK(experiment.data.text == folder.path("images"));
  CHECK(experiment.settings.data == "images");  // what the result follows from has no folder
  CHECK(experiment.data.place.line == 5);
  CHECK(experiment.data.key == "train.data");
}

TEST_CASE("values out of range are named at their places, all at once") {
  CHECK(
      mistakes(R"(train:
  method: fracbit
  images: -1
  epochs: 0
  batch: 0
  seed: -1
  augment: flip
  learning_rate: 0
  momentum: 1
  weight_decay: 2
  warmup_epochs: -1
  weight_bits: [0, 4]
  activation_bits: [8, 4]
  pins: {fc: 8}
  per_channel: 1
  prune: 1
  kappa: -1
  width_learning_rate: 0
  freeze_at: 1.5
  start_above: 17
  interval_epochs: 0
  warm_epochs: -1
  pretrain_share: 1
  calibration_images: 0
  max_loss: 101
  test_images: -1
  targets: {latency_cycles: {share: 1}, energy_pj: {max: 1, weight: -1}}
  compare: {uniform: [0, 3, 3], methods: [bmp]}
)") ==
      with_methods(
          R"(e.yaml:5:3: error: train.method: expected one of METHODS, got 'fracbit'; did you mean 'fracbits'?
e.yaml:6:3: error: train.images: expected 0..1000000000, got -1
e.yaml:7:3: error: train.epochs: expected 1..100000, got 0
e.yaml:8:3: error: train.batch: expected 1..65536, got 0
e.yaml:9:3: error: train.seed: expected at least 0, got -1
e.yaml:10:3: error: train.augment: expected one of 'none', 'shift', 'shift_flip', got 'flip'
e.yaml:11:3: error: train.learning_rate: expected 1e-09..1000, got 0
e.yaml:12:3: error: train.momentum: expected 0..0.9999, got 1
e.yaml:13:3: error: train.weight_decay: expected 0..1, got 2
e.yaml:14:3: error: train.warmup_epochs: expected 0..100000, got -1
e.yaml:15:17: error: train.weight_bits: expected 1..16, got 0
e.yaml:16:24: error: train.activation_bits: expected widths in ascending order, each once
e.yaml:17:10: error: train.pins.fc: expected widths of 1..16 such as w4a8, got '8'
e.yaml:18:3: error: train.per_channel: expected true or false, got '1'
e.yaml:19:3: error: train.prune: expected true or false, got '1'
e.yaml:20:3: error: train.kappa: expected 0..1000000000, got -1
e.yaml:21:3: error: train.width_learning_rate: expected 1e-09..1000, got 0
e.yaml:22:3: error: train.freeze_at: expected 0..1, got 1.5
e.yaml:23:3: error: train.start_above: expected 0..16, got 17
e.yaml:24:3: error: train.interval_epochs: expected 0.001..100000, got 0
e.yaml:25:3: error: train.warm_epochs: expected 0..100000, got -1
e.yaml:26:3: error: train.pretrain_share: expected 0.01..0.99, got 1
e.yaml:27:3: error: train.calibration_images: expected 1..1000000000, got 0
e.yaml:28:3: error: train.max_loss: expected 0..100, got 101
e.yaml:29:3: error: train.test_images: expected 0..1000000000, got -1
e.yaml:30:13: error: train.targets.latency_cycles: missing key 'relative_to'
e.yaml:30:61: error: train.targets.energy_pj.weight: expected 0..1000000000, got -1
e.yaml:31:23: error: train.compare.uniform: expected 1..16, got 0
e.yaml:31:29: error: train.compare.uniform: is there twice
e.yaml:31:43: error: train.compare.methods: expected one of METHODS, got 'bmp'; did you mean 'bmpq'?
)"));
}

TEST_CASE("unknown keys and wrong kinds of values are mistakes") {
  CHECK(mistakes(std::string("train:\n  epoch: 3\n") + kTarget) ==
        "e.yaml:5:3: error: train: unknown key 'epoch'; did you mean 'epochs'?\n");
  CHECK(mistakes("train: 3\n").find("train: expected a mapping") != std::string::npos);
  CHECK(mistakes("bits: w4a4\n").find("missing key 'train'") != std::string::npos);
  CHECK(mistakes(std::string("train:\n  compare: {uniform: 3}\n") + kTarget) ==
        "e.yaml:5:13: error: train.compare.uniform: expected a list such as [3, 8] or [w4a8], got "
        "'3'\n");
  CHECK(mistakes(std::string("train:\n  weight_bits: 4\n") + kTarget) ==
        "e.yaml:5:3: error: train.weight_bits: expected a list of widths such as [2, 4, 8], got "
        "'4'\n");
}

TEST_CASE("mistakes in and around the section come together, each once") {
  CHECK(mistakes(std::string("banana: 1\ntrain:\n  epochs: 0\n") + kTarget) ==
        "e.yaml:4:1: error: unknown key 'banana'\n"
        "e.yaml:6:3: error: train.epochs: expected 1..100000, got 0\n");
}

TEST_CASE("costs of a training are simulated tile by tile") {
  CHECK(mistakes(std::string("fidelity: tile\ntrain:\n") + kTarget) == "none");
  CHECK(mistakes(std::string("fidelity: analytic\ntrain:\n") + kTarget) ==
        "e.yaml:4:1: error: fidelity: a training's costs are simulated tile by tile: expected "
        "'tile', got 'analytic'\n");
}

TEST_CASE("what contradicts itself is named at the key that is there, else at the method") {
  CHECK(mistakes("train:\n  epochs: 3\n") ==
        "e.yaml:4:1: error: train.targets: the method 'fracbits' needs a target, such as "
        "latency_cycles: {relative_to: w3a3, share: 1}\n");
  CHECK(mistakes("train:\n  epochs: 3\n  method: bmpq\n") ==
        "e.yaml:6:3: error: train.targets: the method 'bmpq' needs a target, such as "
        "latency_cycles: {relative_to: w3a3, share: 1}\n");
  CHECK(mistakes(std::string("train:\n  prune: true\n") + kTarget) ==
        "e.yaml:5:3: error: train.prune: only with per_channel are channels pruned\n");
  CHECK(mistakes("train:\n  targets: {latency_cycles: {max: 0}}\n") ==
        "e.yaml:5:13: error: train.targets.latency_cycles: expected a target above 0\n");
}

TEST_CASE("options win over the section and are checked with it") {
  TrainExperiment experiment = read(std::string("train:\n  epochs: 3\n  images: 5\n") + kTarget);
  Diagnostics problems;
  apply({option("--epochs", "9"), option("--images", "0"), option("--seed", "4")}, experiment,
        problems);
  CHECK(problems.empty());
  CHECK(experiment.settings.epochs == 9);
  CHECK(experiment.settings.images == 0);
  CHECK(experiment.settings.seed == 4);
  const std::string good = std::string("train:\n") + kTarget;
  CHECK(mistakes(good, {option("--epochs", "0"), std::nullopt, option("--seed", "x")}) ==
        "--epochs: error: expected 1..100000, got '0'\n"
        "--seed: error: expected 0..9223372036854775807, got 'x'\n");
  CHECK(mistakes(good, {std::nullopt, option("--images", "127"), std::nullopt}) ==
        "--images: error: expected at least one batch of 128, got 127\n");
}

TEST_CASE("the trainings of an experiment are its own and those that it is compared with") {
  const auto plan = plan_of(std::string("train:\n  per_channel: true\n  pins: {fc: w8a8}\n"
                                        "  compare: {uniform: [3, w4a8], methods: [bmpq, "
                                        "full_precision, fracbits]}\n") +
                            kTarget);
  REQUIRE(plan.size() == 6);
  CHECK(plan[0].label == "fracbits per channel");
  CHECK(plan[0].settings.per_channel);
  CHECK(plan[1].label == "uniform w3a3");
  const TrainSettings& uniform = plan[1].settings;
  CHECK(uniform.method == TrainMethod::fixed);
  CHECK(uniform.targets.empty());
  CHECK_FALSE(uniform.per_channel);
  REQUIRE(uniform.assignment);
  CHECK(uniform.assignment->name == "w3a3");
  CHECK(uniform.assignment->defaults == LayerWidths{3, 3});
  REQUIRE(uniform.assignment->rules.size() == 1);
  CHECK(uniform.assignment->rules[0].pattern == "fc");
  CHECK(plan[2].label == "uniform w4a8");
  CHECK(plan[2].settings.assignment->defaults == LayerWidths{4, 8});
  CHECK(plan[3].label == "bmpq");
  CHECK_FALSE(plan[3].settings.per_channel);
  CHECK(plan[3].settings.targets.size() == 1);
  CHECK(plan[4].label == "full_precision");
  CHECK(plan[4].settings.targets.empty());
  CHECK(plan[5].label == "fracbits");
}

TEST_CASE("what an experiment is compared with is another training") {
  CHECK(mistakes(std::string("train:\n  compare: {methods: [fracbits]}\n") + kTarget) ==
        "e.yaml:5:3: error: train.compare: 'fracbits' is there twice\n");
  CHECK(mistakes(std::string("train:\n  compare: {methods: [fixed]}\n") + kTarget) ==
        "e.yaml:5:3: error: train.compare: widths that are fixed are named under uniform\n");
  CHECK(mistakes("bits: w4a4\ntrain:\n  method: fixed\n  compare: {methods: [bmpq]}\n", {},
                 parse_uniform_assignment("w4a4")) ==
        "e.yaml:7:3: error: train.targets: the method 'bmpq' needs a target, such as "
        "latency_cycles: {relative_to: w3a3, share: 1}\n");
}

TEST_CASE("a mistake that several trainings share is named once") {
  CHECK(mistakes(std::string("train:\n  warmup_epochs: 11\n  compare: {uniform: [3, 4]}\n") +
                 kTarget) ==
        "e.yaml:5:3: error: train.warmup_epochs: expected at most the number of epochs (10), got "
        "11\n");
}

TEST_CASE("the method fixed takes the experiment's bits, and pins only if they are said") {
  Assignment bits = parse_uniform_assignment("w4a4");
  bits.name = "mixed";
  bits.output_bits = 16;
  bits.rules = {{"conv1", 2, 2, {}}};
  const std::string fixed = "bits: mixed\ntrain:\n  method: fixed\n";
  const auto plain = plan_of(fixed, bits);
  REQUIRE(plain.size() == 1);
  CHECK(plain[0].label == "fixed mixed");
  CHECK(plain[0].settings.output_bits == 16);
  CHECK(plain[0].settings.assignment->rules.size() == 1);
  CHECK(plain[0].settings.pins.empty());
  const auto pinned = plan_of(fixed + "  pins: {fc: w8a8}\n", bits);
  REQUIRE(pinned[0].settings.assignment->rules.size() == 2);
  CHECK(pinned[0].settings.assignment->rules[1].pattern == "fc");
  CHECK(mistakes("train:\n  method: fixed\n") ==
        "e.yaml:5:3: error: train.method: the method 'fixed' needs widths, under the experiment's "
        "key bits\n");
  CHECK(mistakes(fixed + kTarget, {}, bits) ==
        "e.yaml:7:3: error: train.targets: the method 'fixed' has no widths to choose\n");
}

TEST_CASE("machines that bit-planes are costed on are names or files, each once") {
  const TemporaryFolder folder;
  folder.write("other.yaml", "");
  const auto path = folder.write(
      "e.yaml", std::string(kHead) + "train:\n  machines: [unpu, other.yaml]\n" + kTarget);
  const TrainExperiment experiment = read_train_experiment(path);
  REQUIRE(experiment.machines.size() == 2);
  CHECK(experiment.machines[0].text == "unpu");
  CHECK(experiment.machines[1].text == folder.path("other.yaml"));
  CHECK(experiment.machines[1].place.line == 5);
  CHECK(mistakes(std::string("train:\n  machines: unpu\n") + kTarget) ==
        "e.yaml:5:3: error: train.machines: expected a list such as [bismo_edge_8x8], got "
        "'unpu'\n");
  CHECK(mistakes(std::string("train:\n  machines: [unpu, unpu]\n") + kTarget) ==
        "e.yaml:5:20: error: train.machines: is there twice\n");
}

TEST_CASE("bit-planes have their own widths and neither pins nor targets") {
  const auto main = plan_of("train:\n  method: precision_batching\n");
  REQUIRE(main.size() == 1);
  CHECK(main[0].settings.pins.empty());
  CHECK(main[0].settings.activation_bits == std::vector<BitWidth>{8});
  const auto compared = plan_of(
      std::string("train:\n  weight_bits: [2, 4]\n  compare: {methods: [precision_batching]}\n") +
      kTarget);
  REQUIRE(compared.size() == 2);
  CHECK(compared[0].settings.weight_bits == std::vector<BitWidth>{2, 4});
  CHECK(compared[1].label == "precision_batching");
  CHECK(compared[1].settings.weight_bits == TrainSettings{}.weight_bits);
  CHECK(compared[1].settings.activation_bits == std::vector<BitWidth>{8});
  CHECK(compared[1].settings.pins.empty());
  CHECK(compared[1].settings.targets.empty());
  CHECK(mistakes("train:\n  method: precision_batching\n  pins: {fc: w8a8}\n") ==
        "e.yaml:6:3: error: train.pins: the method 'precision_batching' pins no widths\n");
}
