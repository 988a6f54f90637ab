#include "train/settings.hpp"

#include <functional>
#include <set>

#include <catch2/catch.hpp>

using namespace widthwise;

namespace {

TrainTarget target_of(std::string metric, double value = 1000) {
  return {std::move(metric), {BudgetForm::Kind::max, value, {}}, 1, {"e.yaml", 7, 3}};
}

/// A FracBits training that contradicts itself nowhere.
TrainSettings good_settings() {
  TrainSettings settings;
  settings.targets = {target_of("latency_cycles")};
  return settings;
}

std::string mistakes(const TrainSettings& settings) {
  Diagnostics problems;
  check(settings, problems);
  std::string text;
  for (const Diagnostic& problem : problems.items()) {
    text += problem.key + ": " + problem.message + "\n";
  }
  return text;
}

std::string mistakes(const std::function<void(TrainSettings&)>& change) {
  TrainSettings settings = good_settings();
  change(settings);
  return mistakes(settings);
}

}  // namespace

TEST_CASE("every method and augmentation has a name that reads back") {
  for (const auto method :
       {TrainMethod::full_precision, TrainMethod::fixed, TrainMethod::fracbits, TrainMethod::bmpq,
        TrainMethod::post_training, TrainMethod::precision_batching}) {
    CHECK(parse_train_method(to_string(method)) == method);
  }
  for (const auto augmentation :
       {Augmentation::none, Augmentation::shift, Augmentation::shift_flip}) {
    CHECK(parse_augmentation(to_string(augmentation)) == augmentation);
  }
  CHECK_THROWS_WITH(parse_train_method("fracbit"),
                    Catch::Contains("expected one of 'full_precision', 'fixed', ") &&
                        Catch::Contains("got 'fracbit'; did you mean 'fracbits'?"));
  CHECK_THROWS_WITH(parse_augmentation("flip"),
                    Catch::Contains("expected one of 'none', 'shift', 'shift_flip', got 'flip'"));
}

TEST_CASE("good settings have no mistakes") {
  CHECK(mistakes(good_settings()).empty());
  TrainSettings fixed;
  fixed.method = TrainMethod::fixed;
  fixed.assignment = parse_uniform_assignment("w3a3");
  CHECK(mistakes(fixed).empty());
  TrainSettings floats;
  floats.method = TrainMethod::full_precision;
  CHECK(mistakes(floats).empty());
}

TEST_CASE("methods that choose widths need targets, the others have none") {
  for (const auto method : {TrainMethod::fracbits, TrainMethod::bmpq, TrainMethod::post_training}) {
    TrainSettings settings;
    settings.method = method;
    CHECK_THAT(mistakes(settings),
               Catch::StartsWith("targets: the method '" + std::string(to_string(method)) +
                                 "' needs a target"));
  }
  for (const auto method : {TrainMethod::fixed, TrainMethod::full_precision}) {
    TrainSettings settings = good_settings();
    settings.method = method;
    if (method == TrainMethod::fixed) {
      settings.assignment = parse_uniform_assignment("w3a3");
    }
    CHECK(mistakes(settings) ==
          "targets: the method '" + std::string(to_string(method)) + "' has no widths to choose\n");
  }
}

TEST_CASE("bit-planes have 8 planes at most, one width of activations, and no pins") {
  TrainSettings good;
  good.method = TrainMethod::precision_batching;
  good.pins.clear();
  good.activation_bits = {16};
  CHECK(mistakes(good).empty());
  const auto mistaken = [&](const std::function<void(TrainSettings&)>& change) {
    TrainSettings settings = good;
    change(settings);
    return mistakes(settings);
  };
  CHECK(mistaken([](TrainSettings& s) { s.weight_bits = {2, 8}; }).empty());
  CHECK(mistaken([](TrainSettings& s) {
          s.weight_bits = {2, 4};
        }) == "weight_bits: expected numbers of planes of which 8 is the greatest\n");
  CHECK(mistaken([](TrainSettings& s) {
          s.weight_bits = {8, 9};
        }) == "weight_bits: expected numbers of planes of which 8 is the greatest\n");
  const std::string one_width =
      "activation_bits: the method 'precision_batching' has one width of activations, [8] or "
      "[16]\n";
  CHECK(mistaken([](TrainSettings& s) { s.activation_bits = {4}; }) == one_width);
  CHECK(mistaken([](TrainSettings& s) { s.activation_bits = {8, 16}; }) == one_width);
  CHECK(mistaken([](TrainSettings& s) { s.pins = TrainSettings{}.pins; }) ==
        "pins: the method 'precision_batching' pins no widths\n");
  CHECK(mistaken([](TrainSettings& s) { s.targets = {target_of("latency_cycles")}; }) ==
        "targets: the method 'precision_batching' has no widths to choose\n");
}

TEST_CASE("a target is above nothing and said once") {
  CHECK(mistakes([](TrainSettings& s) { s.targets.push_back(target_of("energy_pj")); }).empty());
  CHECK(mistakes([](TrainSettings& s) { s.targets.push_back(target_of("latency_cycles", 5)); }) ==
        "targets.latency_cycles: is said twice\n");
  CHECK(mistakes([](TrainSettings& s) { s.targets[0].form.value = 0; }) ==
        "targets.latency_cycles: expected a target above 0\n");
  Diagnostics problems;
  TrainSettings settings = good_settings();
  settings.targets[0].form.value = -1;
  check(settings, problems);
  CHECK(to_string(problems.items().at(0).place) == "e.yaml:7:3");
}

TEST_CASE("the least fraction of the way is a target") {
  CHECK(mistakes([](TrainSettings& s) {
          s.targets[0].form = {BudgetForm::Kind::fraction, 0, {}};
        }).empty());
}

TEST_CASE("widths are given to the method fixed and to no other") {
  CHECK(mistakes([](TrainSettings& s) { s.assignment = parse_uniform_assignment("w3a3"); }) ==
        "assignment: only the method 'fixed' is given its widths\n");
  TrainSettings fixed;
  fixed.method = TrainMethod::fixed;
  CHECK(mistakes(fixed) == "assignment: the method 'fixed' needs widths\n");
}

TEST_CASE("lists of widths ascend within what operands have") {
  CHECK(mistakes([](TrainSettings& s) { s.weight_bits = {}; }) ==
        "weight_bits: expected at least one width\n");
  CHECK(mistakes([](TrainSettings& s) {
          s.activation_bits = {4, 4};
        }) == "activation_bits: expected widths in ascending order, each once\n");
  CHECK(mistakes([](TrainSettings& s) {
          s.weight_bits = {8, 4};
        }) == "weight_bits: expected widths in ascending order, each once\n");
  CHECK(mistakes([](TrainSettings& s) {
          s.weight_bits = {0, 4};
        }) == "weight_bits: expected widths of 1..16 bit, got 0\n");
  CHECK(mistakes([](TrainSettings& s) { s.weight_bits = {16}; }).empty());
  CHECK(mistakes([](TrainSettings& s) { s.weight_bits = {17}; }) ==
        "weight_bits: expected widths of 1..16 bit, got 17\n");
}

TEST_CASE("channels are pruned only where each has a width") {
  const auto per_channel = [](TrainSettings& s) { s.per_channel = true; };
  CHECK(mistakes(per_channel).empty());
  CHECK(mistakes([](TrainSettings& s) { s.per_channel = s.prune = true; }).empty());
  CHECK(mistakes([](TrainSettings& s) { s.prune = true; }) ==
        "prune: only with per_channel are channels pruned\n");
  CHECK(mistakes([](TrainSettings& s) {
          s.per_channel = true;
          s.method = TrainMethod::bmpq;
        }) == "per_channel: only the method 'fracbits' has widths per channel\n");
}

TEST_CASE("a training has a batch of images and an epoch after those that warm it up") {
  CHECK(mistakes([](TrainSettings& s) { s.images = s.batch; }).empty());
  CHECK(mistakes([](TrainSettings& s) { s.images = s.batch - 1; }) ==
        "images: expected at least one batch of 128, got 127\n");
  CHECK(mistakes([](TrainSettings& s) { s.warmup_epochs = 10; }).empty());
  CHECK(mistakes([](TrainSettings& s) { s.warmup_epochs = 10.5; }) ==
        "warmup_epochs: expected at most the number of epochs (10), got 10.5\n");
  const auto warm = [](double epochs) {
    return [epochs](TrainSettings& s) {
      s.method = TrainMethod::bmpq;
      s.warm_epochs = epochs;
    };
  };
  CHECK(mistakes(warm(9.5)).empty());
  CHECK(mistakes(warm(10)) ==
        "warm_epochs: expected less than the number of epochs (10), got 10\n");
}

TEST_CASE("all mistakes of settings come together") {
  TrainSettings settings;
  settings.weight_bits = {};
  settings.prune = true;
  CHECK(mistakes(settings) ==
        "weight_bits: expected at least one width\n"
        "targets: the method 'fracbits' needs a target, such as latency_cycles: {relative_to: "
        "w3a3, share: 1}\n"
        "prune: only with per_channel are channels pruned\n");
}

TEST_CASE("a target that can not be met is told apart from a mistake, and is caught as one") {
  const auto infeasible = [] { throw InfeasibleTarget({"e.yaml"}, "targets", "at least 5"); };
  CHECK_THROWS_AS(infeasible(), InfeasibleTarget);
  CHECK_THROWS_AS(infeasible(), InputError);
  CHECK_THROWS_WITH(infeasible(), "e.yaml: error: targets: at least 5");
}

TEST_CASE("the canonical text tells any two settings apart") {
  using Change = std::function<void(TrainSettings&)>;
  const std::vector<Change> changes{
      [](TrainSettings&) {},
      [](TrainSettings& s) { s.method = TrainMethod::post_training; },
      [](TrainSettings& s) { s.data = "elsewhere"; },
      [](TrainSettings& s) { s.images = 5000; },
      [](TrainSettings& s) { s.epochs = 11; },
      [](TrainSettings& s) { s.batch = 64; },
      [](TrainSettings& s) { s.seed = 2; },
      [](TrainSettings& s) { s.augment = Augmentation::none; },
      [](TrainSettings& s) { s.learning_rate = 0.2; },
      [](TrainSettings& s) { s.learning_rate = 0.1 + 1e-17; },  // the same double as 0.1
      [](TrainSettings& s) { s.learning_rate = 0.10000000000000002; },
      [](TrainSettings& s) { s.momentum = 0.8; },
      [](TrainSettings& s) { s.weight_decay = 0; },
      [](TrainSettings& s) { s.warmup_epochs = 1; },
      [](TrainSettings& s) {
        s.weight_bits = {1, 2};
      },
      [](TrainSettings& s) { s.weight_bits = {12}; },
      [](TrainSettings& s) {
        s.activation_bits = {1, 2};
      },
      [](TrainSettings& s) { s.pins.clear(); },
      [](TrainSettings& s) { s.pins[0].pattern = "conv1"; },
      [](TrainSettings& s) { s.pins[0].weight = 4; },
      [](TrainSettings& s) { s.pins[0].weight.reset(); },
      [](TrainSettings& s) { s.pins[0].activation = 4; },
      [](TrainSettings& s) { s.pins[0].accumulator = 4; },
      [](TrainSettings& s) { std::swap(s.pins[0], s.pins[1]); },
      [](TrainSettings& s) { s.assignment = parse_uniform_assignment("w3a3"); },
      [](TrainSettings& s) { s.assignment = parse_uniform_assignment("w3a4"); },
      [](TrainSettings& s) {
        s.assignment = parse_uniform_assignment("w3a4");
        s.assignment->name = "other";
      },
      [](TrainSettings& s) {
        s.assignment = parse_uniform_assignment("w3a3");
        s.assignment->accumulator = 24;
      },
      [](TrainSettings& s) {
        s.assignment = parse_uniform_assignment("w3a3");
        s.assignment->output_bits = 16;
      },
      [](TrainSettings& s) {
        s.assignment = parse_uniform_assignment("w3a3");
        s.assignment->rules.push_back({"fc", 8, 8, {}});
      },
      [](TrainSettings& s) { s.output_bits = 16; },
      [](TrainSettings& s) { s.per_channel = true; },
      [](TrainSettings& s) { s.prune = true; },
      [](TrainSettings& s) { s.kappa = 1; },
      [](TrainSettings& s) { s.width_learning_rate = 0.01; },
      [](TrainSettings& s) { s.freeze_at = 0.9; },
      [](TrainSettings& s) { s.start_above = 0; },
      [](TrainSettings& s) { s.interval_epochs = 2; },
      [](TrainSettings& s) { s.warm_epochs = 2; },
      [](TrainSettings& s) { s.pretrain_share = 0.25; },
      [](TrainSettings& s) { s.calibration_images = 1024; },
      [](TrainSettings& s) { s.targets.clear(); },
      [](TrainSettings& s) { s.targets[0].metric = "energy_pj"; },
      [](TrainSettings& s) { s.targets[0].weight = 2; },
      [](TrainSettings& s) { s.targets[0].form.value = 999; },
      [](TrainSettings& s) { s.targets[0].form.kind = BudgetForm::Kind::share; },
      [](TrainSettings& s) {
        s.targets[0].form.reference = {3, 3};
      },
      [](TrainSettings& s) { s.targets.push_back(target_of("energy_pj")); },
  };
  std::set<std::string> texts;
  for (const Change& change : changes) {
    TrainSettings settings = good_settings();
    change(settings);
    texts.insert(canonical_text(settings));
  }
  CHECK(texts.size() == changes.size() - 1);
}

TEST_CASE("the canonical text does not depend on where settings stood") {
  TrainSettings settings = good_settings();
  const std::string text = canonical_text(settings);
  settings.targets[0].place = {"other.yaml", 1, 1};
  settings.pins[0].place = {"other.yaml", 2, 1};
  CHECK(canonical_text(settings) == text);
}

TEST_CASE("names with line feeds can not pass for other keys") {
  TrainSettings one = good_settings();
  TrainSettings other = good_settings();
  one.data = "a\nimages=5";
  other.data = "a";
  CHECK(canonical_text(one) != canonical_text(other));
  one.pins = {{"a w8 a8 s-;1:b", 8, 8, {}}};
  one.data = "a";
  other.pins = {{"a", 8, 8, {}}, {"b", 8, 8, {}}};
  CHECK(canonical_text(one) != canonical_text(other));
}
