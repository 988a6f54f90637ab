// The command around a training, with one that is made up.

#include "cli/command_train.hpp"

#include <csignal>
#include <filesystem>
#include <iostream>
#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "tests/cli/temporary_folder.hpp"

using namespace widthwise;
namespace fs = std::filesystem;

namespace {

Given option(const std::string& name, const std::string& text) {
  Given given;
  given.text = text;
  given.place.file = name;
  return given;
}

constexpr const char* kAccelerator = R"(schema: accelerator/1
name: tiny
clock: 100 MHz
energy: energy.yaml
engine:
  kind: mac_array
  rows: 8
  columns: 8
  dataflow: weight_stationary
  unit: mac8
  precision: {scaling: fixed, max_bits: 8}
memory:
  dram: {bandwidth: 64 bit/cycle, latency: 10 cycles, burst: 64 B, technology: ddr3}
  input_buffer: {capacity: 16 KiB}
  weight_buffer: {capacity: 16 KiB}
  output_buffer: {capacity: 16 KiB}
post_processing: {lanes: 8}
)";

constexpr const char* kEnergy = R"(schema: energy/1
name: round
node: 45 nm
voltage: 1.1 V
units:
  - name: mac8
    clock: 0.1 pJ/cycle
    leakage: 40 uW
    area: 900 um2
    source: round numbers
    operations:
      - {weight_bits: 8, activation_bits: 8, energy: 1 pJ, source: round numbers}
srams:
  - name: sram
    macros:
      - {capacity: 8 KiB, read: 50 fJ/bit, write: 60 fJ/bit, leakage: 1 mW, area: 0.04 mm2,
         source: round numbers}
drams:
  - {name: ddr3, read: 20 pJ/bit, write: 20 pJ/bit, source: round numbers}
post_processing: {requantize: 1 pJ, operation: 0.2 pJ, leakage_per_lane: 3 uW,
                  area_per_lane: 400 um2, source: round numbers}
)";

// Weights of the hidden layer, which is not pinned: 64 x 16 = 1024.
constexpr const char* kNetwork = R"(schema: network/1
name: net
inputs: {image: [1, 1, 8, 8]}
layers:
  - {name: flatten, kind: flatten}
  - {name: first, kind: fully_connected, out_features: 64, activation: relu}
  - {name: hidden, kind: fully_connected, out_features: 16, activation: relu}
  - {name: last, kind: fully_connected, out_features: 2}
)";

constexpr const char* kExperiment = R"(schema: experiment/1
accelerator: tiny.yaml
network: net.yaml
train:
  data: images
  epochs: 2
  batch: 8
  weight_bits: [2, 4, 8]
  activation_bits: [8]
  targets: {weight_bytes: {relative_to: w4a8, share: 1}}
  compare: {uniform: [4], methods: [post_training]}
)";

// Of all weights: 64 x 64 and 16 x 2 at 8 bits.
constexpr double kPinnedBytes = 4096 + 32;

std::string big_endian(std::uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    text += static_cast<char>(value >> static_cast<unsigned>(shift) & 0xffU);
  }
  return text;
}

/// Everything that a training needs in a folder, and what its trainer saw.
struct Workplace {
  TemporaryFolder folder;
  std::vector<TrainSettings> trained;
  std::vector<TrainPlace> places;
  std::vector<bool> had_table;
  std::string errors;  // of the last command
  std::string report;

  Workplace() {
    folder.write("tiny.yaml", kAccelerator);
    folder.write("energy.yaml", kEnergy);
    folder.write("net.yaml", kNetwork);
    folder.write("e.yaml", kExperiment);
    for (const std::string set : {"train", "t10k"}) {
      folder.write("images/" + set + "-images-idx3-ubyte", big_endian(0x803) + big_endian(16) +
                                                               big_endian(8) + big_endian(8) +
                                                               std::string(16 * 64, '\x55'));
      folder.write(
          "images/" + set + "-labels-idx1-ubyte",
          big_endian(0x801) + big_endian(16) + std::string(8, '\0') + std::string(8, '\1'));
    }
  }

  void replace(const std::string& before, const std::string& after) const {
    std::string text = folder.read("e.yaml");
    const auto at = text.find(before);
    REQUIRE(at != std::string::npos);
    folder.write("e.yaml", text.replace(at, before.size(), after));
  }

  TrainCommand command() const {
    TrainCommand command;
    command.experiment = read_train_experiment(folder.path("e.yaml"));
    command.output = option("--output", folder.path("out"));
    command.jobs = option("--jobs", "1");
    command.no_cache = true;
    return command;
  }

  TrainResult result_of(const TrainSettings& settings) const {
    TrainResult result;
    result.method = std::string(to_string(settings.method));
    result.network = "net";
    result.accelerator = "tiny";
    result.data = settings.data;
    result.seed = settings.seed;
    result.epochs = settings.epochs;
    result.accuracy = 0.75;
    for (const TrainTarget& target : settings.targets) {
      result.targets.push_back({target.metric, target.form.value, target.form.value, 0, 0});
    }
    return result;
  }

  Trainer trainer() {
    return [this](const Network&, const Dataset& data, const TrainMachine& machine,
                  const TrainSettings& settings, const TrainPlace& place, const auto& progress) {
      CHECK(data.train.count == 16);
      CHECK(machine.simulated != nullptr);
      trained.push_back(settings);
      places.push_back(place);
      had_table.push_back(machine.table != nullptr);
      TrainProgress now;
      now.phase = "widths fixed";
      now.epoch = now.epochs = 2;
      now.loss = 0.5;
      now.test_accuracy = 0.75;
      now.epoch_ended = true;
      progress(now);
      return std::optional(result_of(settings));
    };
  }

  int run(const TrainCommand& command, const Trainer& with) {
    std::ostringstream out;
    std::ostringstream err;
    auto* const out_before = std::cout.rdbuf(out.rdbuf());
    auto* const err_before = std::cerr.rdbuf(err.rdbuf());
    int code = -1;
    try {
      code = train_command(command, with);
    } catch (...) {
      std::cout.rdbuf(out_before);
      std::cerr.rdbuf(err_before);
      throw;
    }
    std::cout.rdbuf(out_before);
    std::cerr.rdbuf(err_before);
    report = out.str();
    errors = err.str();
    return code;
  }
  int run(const TrainCommand& command) { return run(command, trainer()); }

  std::size_t files_that_end_in(const std::string& end) const {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(folder.path("out"))) {
      count += entry.path().string().ends_with(end) ? 1 : 0;
    }
    return count;
  }
};

}  // namespace

TEST_CASE("an experiment trains itself and what it is compared with, at the same targets") {
  Workplace work;
  TrainCommand command = work.command();
  command.json = option("--json", work.folder.path("t.json"));
  command.report = option("--report", work.folder.path("t.html"));
  command.log = option("--log", work.folder.path("t.log"));
  command.threads = option("--threads", "3");
  CHECK(work.run(command) == kDone);
  CHECK(work.errors.empty());
  REQUIRE(work.trained.size() == 3);
  CHECK(work.trained[0].method == TrainMethod::fracbits);
  CHECK(work.trained[1].method == TrainMethod::fixed);
  CHECK(work.trained[2].method == TrainMethod::post_training);
  // Only the method that interpolates costs has a table.
  CHECK(work.had_table == std::vector<bool>{true, false, false});
  for (const std::size_t i : {0, 2}) {
    REQUIRE(work.trained[i].targets.size() == 1);
    CHECK(work.trained[i].targets[0].form.kind == BudgetForm::Kind::max);
    CHECK(work.trained[i].targets[0].form.value == kPinnedBytes + 512);
  }
  CHECK(work.places[0].threads == 3);
  CHECK_FALSE(work.places[0].resume);
  CHECK(work.places[0].key.size() == 32);
  CHECK(work.places[0].key != work.places[2].key);
  CHECK(work.places[0].checkpoint.ends_with(work.places[0].key.substr(0, 12) + ".checkpoint"));

  CHECK(work.files_that_end_in(".json") == 3);
  const auto json = nlohmann::json::parse(work.folder.read("t.json"));
  CHECK(json["main"]["label"] == "fracbits");
  CHECK(json["main"]["key"] == work.places[0].key);
  CHECK(json["compared"][0]["label"] == "uniform w4a4");
  CHECK(json["compared"][1]["label"] == "post_training");
  CHECK(json["clock_hz"] == 100e6);
  CHECK(work.folder.read("t.html").find("</html>") != std::string::npos);
  CHECK(work.report.find("accuracy        75.00 %") != std::string::npos);
  CHECK(work.folder.read("t.log") ==
        "fracbits: epoch 2 of 2, loss 0.500, accuracy 75.00 %, widths fixed\n"
        "uniform w4a4: epoch 2 of 2, loss 0.500, accuracy 75.00 %, widths fixed\n"
        "post_training: epoch 2 of 2, loss 0.500, accuracy 75.00 %, widths fixed\n");
}

TEST_CASE("a fraction is a way between the narrowest and the widest widths") {
  Workplace work;
  work.replace("relative_to: w4a8, share: 1", "fraction: 0.25");
  CHECK(work.run(work.command()) == kDone);
  // 1024 weights at 2 to 8 bits: 256 to 1024 bytes.
  CHECK(work.trained.at(0).targets[0].form.value == kPinnedBytes + 256 + 0.25 * 768);
}

TEST_CASE("BMPQ's activations are as wide as their weights, unless they have one width") {
  // 4096 and 32 MACs pinned at 8 by 8 bits, 1024 that are not.
  constexpr double kPinnedOperations = (4096 + 32) * 64;
  Workplace work;
  work.replace("  epochs: 2", "  method: bmpq\n  epochs: 2");
  work.replace("weight_bytes: {relative_to: w4a8, share: 1}", "bitops: {fraction: 0}");
  CHECK(work.run(work.command()) == kDone);
  CHECK(work.trained.at(0).method == TrainMethod::bmpq);
  CHECK(work.trained.at(0).targets[0].form.value == kPinnedOperations + 1024 * 2 * 8);
  work.trained.clear();
  work.replace("activation_bits: [8]", "activation_bits: [4, 8]");
  work.replace(", methods: [post_training]", "");  // can not have what BMPQ has at 2 by 2 bits
  CHECK(work.run(work.command()) == kDone);
  CHECK(work.trained.at(0).targets[0].form.value == kPinnedOperations + 1024 * 2 * 2);
}

TEST_CASE("one that is compared and can not meet the target is named too") {
  Workplace work;
  work.replace("  epochs: 2", "  method: bmpq\n  epochs: 2");
  work.replace("weight_bytes: {relative_to: w4a8, share: 1}", "bitops: {fraction: 0}");
  work.replace("activation_bits: [8]", "activation_bits: [4, 8]");
  CHECK(work.run(work.command()) == kInfeasible);
  CHECK(work.trained.empty());
  CHECK(work.errors.find("train.targets.bitops: 'post_training' needs at least 272384 (all layers "
                         "that are not pinned at their narrowest), the target is 268288") !=
        std::string::npos);
}

TEST_CASE("what is finished is not trained again, unless it is asked for") {
  Workplace work;
  CHECK(work.run(work.command()) == kDone);
  const std::string first = work.report;
  work.trained.clear();
  CHECK(work.run(work.command()) == kDone);
  CHECK(work.trained.empty());
  CHECK(work.report == first);
  TrainCommand fresh = work.command();
  fresh.fresh = true;
  CHECK(work.run(fresh) == kDone);
  CHECK(work.trained.size() == 3);
}

TEST_CASE("anything that a result follows from makes it another training") {
  Workplace work;
  CHECK(work.run(work.command()) == kDone);
  const auto retrained = [&](const TrainCommand& command) {
    work.trained.clear();
    CHECK(work.run(command) == kDone);
    return work.trained.size();
  };
  TrainCommand command = work.command();
  command.overrides.seed = option("--seed", "2");
  CHECK(retrained(command) == 3);
  command = work.command();
  command.experiment.run.overrides = {"engine.rows=4"};
  CHECK(retrained(command) == 3);
  command = work.command();
  command.threads = option("--threads", "2");
  CHECK(retrained(command) == 0);

  std::string images = work.folder.read("images/train-images-idx3-ubyte");
  images.back() = '\x56';
  work.folder.write("images/train-images-idx3-ubyte", images);
  CHECK(retrained(work.command()) == 3);
  std::string network = work.folder.read("net.yaml");
  work.folder.write("net.yaml", network.replace(network.find(", activation: relu"), 18, ""));
  CHECK(retrained(work.command()) == 3);
}

TEST_CASE("a training that was begun is refused, gone on with, or begun again") {
  Workplace work;
  bool stopped = false;
  const Trainer interrupted = [&](const Network&, const Dataset&, const TrainMachine&,
                                  const TrainSettings& settings, const TrainPlace& place,
                                  const auto&) -> std::optional<TrainResult> {
    if (settings.method == TrainMethod::fracbits) {
      return work.result_of(settings);
    }
    std::ofstream(place.checkpoint) << "half of it";
    CHECK_FALSE(*place.stop);
    std::raise(SIGTERM);
    stopped = *place.stop;
    return std::nullopt;
  };
  TrainCommand command = work.command();
  command.json = option("--json", work.folder.path("t.json"));
  CHECK(work.run(command, interrupted) == kSignalled + SIGTERM);
  CHECK(stopped);
  CHECK(work.errors ==
        "widthwise: 'uniform w4a4' was interrupted; the same command with --resume goes on\n");
  CHECK(work.report.empty());
  CHECK_FALSE(fs::exists(work.folder.path("t.json")));

  CHECK_THROWS_WITH(work.run(work.command()),
                    Catch::Contains("the training 'uniform w4a4' was begun and not finished; "
                                    "--resume goes on with it, --fresh starts again"));
  CHECK(work.trained.empty());
  CHECK(work.files_that_end_in(".checkpoint") == 1);

  command = work.command();
  command.resume = true;
  CHECK(work.run(command) == kDone);
  REQUIRE(work.trained.size() == 2);  // fracbits was finished
  CHECK(work.trained[0].method == TrainMethod::fixed);
  CHECK(work.places[0].resume);
  CHECK(work.files_that_end_in(".checkpoint") == 0);
}

TEST_CASE("values that are no numbers end a training with a code of their own") {
  Workplace work;
  const Trainer diverges = [](const Network&, const Dataset&, const TrainMachine&,
                              const TrainSettings&, const TrainPlace& place,
                              const auto&) -> std::optional<TrainResult> {
    std::ofstream(place.checkpoint) << "last good epoch";
    throw NotANumber("the loss of step 3");
  };
  CHECK(work.run(work.command(), diverges) == kDiverged);
  CHECK(work.errors.find("'fracbits' met a value that is not a number: the loss of step 3") !=
        std::string::npos);
  CHECK(work.files_that_end_in(".checkpoint") == 1);
}

TEST_CASE("a target that can not be met is an answer, before anything is trained") {
  Workplace work;
  work.replace("relative_to: w4a8, share: 1", "max: 4383");  // one byte too few
  CHECK(work.run(work.command()) == kInfeasible);
  CHECK(work.trained.empty());
  CHECK(work.errors.find("train.targets.weight_bytes: 'fracbits' needs at least 4384 (all layers "
                         "that are not pinned at their narrowest), the target is 4383") !=
        std::string::npos);
  CHECK_FALSE(fs::exists(work.folder.path("out")));
  work.replace("max: 4383", "max: 4384");
  CHECK(work.run(work.command()) == kDone);
}

TEST_CASE("a target that turns out to be out of reach while it trains is the same answer") {
  Workplace work;
  const Trainer infeasible = [](const Network&, const Dataset&, const TrainMachine&,
                                const TrainSettings&, const TrainPlace&,
                                const auto&) -> std::optional<TrainResult> {
    throw InfeasibleTarget({"e.yaml"}, "train.targets", "both at once can not be met");
  };
  CHECK(work.run(work.command(), infeasible) == kInfeasible);
  CHECK(work.errors.find("both at once can not be met") != std::string::npos);
}

TEST_CASE("mistakes of a training's files and options come together, and nothing is made") {
  Workplace work;
  work.replace("weight_bytes:", "weight_byte:");
  work.replace("data: images", "data: nowhere");
  work.replace("  epochs: 2", "  pins: {hiden: w8a8}\n  epochs: 2");
  TrainCommand command = work.command();
  command.threads = option("--threads", "0");
  command.resume = command.fresh = true;
  command.json = option("--json", work.folder.path("missing/t.json"));
  command.log = option("--log", work.folder.path("missing/t.log"));
  std::string text;
  try {
    work.run(command);
  } catch (const InputError& error) {
    text = error.what();
  }
  for (const char* part :
       {"e.yaml:11:13: error: train.targets: expected one of 'latency_cycles'",
        "did you mean 'weight_bytes'?",
        "train.data: ", "e.yaml:6:10: error: hiden: no layer of net has this name",
        "--threads: error: expected 1..1024, got '0'", "--fresh: error: does not go with --resume",
        "--json: error: cannot write", "--log: error: cannot write"}) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
  }
  CHECK(work.trained.empty());
  CHECK_FALSE(fs::exists(work.folder.path("out")));
}

TEST_CASE("a check of an experiment needs no data") {
  const Workplace work;
  work.replace("data: images", "data: nowhere");
  CHECK_NOTHROW(check_training(read_train_experiment(work.folder.path("e.yaml"))));
  work.replace("weight_bytes:", "weight_byte:");
  CHECK_THROWS_WITH(check_training(read_train_experiment(work.folder.path("e.yaml"))),
                    Catch::Contains("did you mean 'weight_bytes'?"));
}
