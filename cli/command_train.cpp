#include "cli/command_train.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/command_line.hpp"
#include "cli/error_output.hpp"
#include "cli/exit_code.hpp"
#include "cli/output_files.hpp"
#include "cli/progress.hpp"
#include "cli/read_request.hpp"
#include "cli/text_layout.hpp"
#include "cli/train_report.hpp"
#include "cli/training_folder.hpp"
#include "models/base/content_key.hpp"
#include "models/cost/cost_cache.hpp"
#include "models/cost/layer_key.hpp"
#include "models/cost/metrics.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/table/table_points.hpp"
#include "sim/simulated_model.hpp"

namespace widthwise {

namespace {

constexpr std::int64_t kMostThreads = 1024;

// ------------------------------------------------------------------------------ what is read

struct Inputs {
  Accelerator accelerator;
  EnergyTable energy;
  Network network;
  std::vector<PlannedTraining> plan;
  std::vector<std::pair<Accelerator, EnergyTable>> others;  // that bit-planes are costed on
};

Diagnostic at_target(const TrainTarget& target, std::string message) {
  return {target.place, "train.targets." + target.metric, std::move(message)};
}

std::vector<std::pair<Accelerator, EnergyTable>> read_others(const TrainExperiment& experiment,
                                                             Diagnostics& problems) {
  std::vector<std::pair<Accelerator, EnergyTable>> others;
  for (const Given& machine : experiment.machines) {
    auto read = collecting(problems, [&] {
      Accelerator accelerator = read_accelerator(find_file(Shipped::accelerators, machine));
      EnergyTable energy = read_energy_table(accelerator.energy_table);
      return std::pair(std::move(accelerator), std::move(energy));
    });
    if (read) {
      others.push_back(std::move(*read));
    }
  }
  return others;
}

/// Everything but the data; what is wrong stands in `problems`.
std::optional<Inputs> read_inputs(const TrainExperiment& experiment, Diagnostics& problems) {
  auto accelerator = collecting(problems, [&] { return read_accelerator_of(experiment.run); });
  std::optional<EnergyTable> energy;
  if (accelerator) {
    energy = collecting(problems, [&] { return read_energy_table(accelerator->energy_table); });
  }
  auto network = collecting(problems, [&] {
    const NetworkSource source = read_network_source(experiment.run);
    return load_network(named_network(experiment.run), source);
  });
  std::optional<Assignment> bits;
  if (experiment.settings.method == TrainMethod::fixed && experiment.run.bits) {
    bits = collecting(problems, [&] { return read_assignment_of(experiment.run.bits); });
  }
  auto plan = planned_trainings(experiment, bits, problems);
  auto others = read_others(experiment, problems);
  for (const TrainTarget& target : experiment.settings.targets) {
    collecting(problems, [&] {
      const Given name{target.metric, target.place, "train.targets"};
      return placed_at(name, [&] { return metric_index(machine_metrics(), target.metric); });
    });
  }
  if (network) {
    std::set<std::string> known;
    for (const PlannedTraining& training : plan) {
      if (training.settings.method == TrainMethod::precision_batching) {
        const Given& named = named_network(experiment.run);
        collecting(problems,
                   [&] { return placed_at(named, [&] { return plane_structure(*network); }); });
      }
      Assignment assignment = training.settings.assignment.value_or(Assignment{});
      const auto& pins = training.settings.pins;
      assignment.rules.insert(assignment.rules.end(), pins.begin(), pins.end());
      Diagnostics found;
      collecting(found, [&] { return resolve_widths(*network, assignment); });
      for (const Diagnostic& problem : found.items()) {
        if (known.insert(to_string(problem)).second) {
          problems.append({problem});
        }
      }
    }
  }
  if (!accelerator || !energy || !network || !problems.empty()) {
    return std::nullopt;
  }
  return Inputs{std::move(*accelerator), std::move(*energy), std::move(*network), std::move(plan),
                std::move(others)};
}

// ------------------------------------------------------------------------------ targets

/// Costs of the network with all layers at the same widths, pinned ones at theirs. Each is
/// simulated once.
class UniformCosts {
 public:
  UniformCosts(const Inputs& inputs, CostModel& model) : inputs_(inputs), model_(model) {}

  double at(LayerWidths widths, const TrainSettings& settings, std::string_view metric) {
    auto& totals = known_[{widths.weight, widths.activation}];
    if (totals.empty()) {
      Assignment assignment;
      assignment.defaults = widths;
      assignment.output_bits = settings.output_bits;
      assignment.rules = settings.pins;
      const WidthPlan plan = resolve_widths(inputs_.network, assignment);
      totals = total_cost(model_, layer_points(inputs_.network, plan, inputs_.accelerator));
    }
    return totals[metric_index(model_.metrics(), metric)];
  }

 private:
  const Inputs& inputs_;
  CostModel& model_;
  std::map<std::pair<BitWidth, BitWidth>, std::vector<double>> known_;
};

/// With BMPQ activations are as wide as their layer's weights, unless there is one width for all.
bool has_tied_operands(const TrainSettings& settings) {
  return settings.method == TrainMethod::bmpq && settings.activation_bits.size() > 1;
}

LayerWidths narrowest(const TrainSettings& settings) {
  const BitWidth weight = settings.weight_bits.front();
  return {weight, has_tied_operands(settings) ? weight : settings.activation_bits.front()};
}

LayerWidths widest(const TrainSettings& settings) {
  const BitWidth weight = settings.weight_bits.back();
  return {weight, has_tied_operands(settings) ? weight : settings.activation_bits.back()};
}

/// The same numbers for all trainings, so that they are compared at equal costs: those that the
/// first one's settings say.
void resolve_targets(Inputs& inputs, CostModel& model) {
  UniformCosts uniform(inputs, model);
  const TrainSettings said = inputs.plan.front().settings;
  std::vector<double> limits;
  for (const TrainTarget& target : said.targets) {
    const BudgetForm& form = target.form;
    double limit = form.value;
    if (form.kind == BudgetForm::Kind::share) {
      limit *= uniform.at(form.reference, said, target.metric);
    } else if (form.kind == BudgetForm::Kind::fraction) {
      const double least = uniform.at(narrowest(said), said, target.metric);
      const double greatest = uniform.at(widest(said), said, target.metric);
      limit = least + form.value * (greatest - least);
    }
    limits.push_back(limit);
  }
  std::vector<Diagnostic> infeasible;
  for (PlannedTraining& training : inputs.plan) {
    TrainSettings& settings = training.settings;
    for (std::size_t t = 0; t < settings.targets.size(); ++t) {
      TrainTarget& target = settings.targets[t];
      target.form = {BudgetForm::Kind::max, limits[t], {}};
      const double least = uniform.at(narrowest(settings), settings, target.metric);
      if (!settings.prune && !fits(least, limits[t])) {
        infeasible.push_back(at_target(
            target, fmt::format("'{}' needs at least {:.10g} (all layers that are not pinned at "
                                "their narrowest), the target is {:.10g}",
                                training.label, least, limits[t])));
      }
    }
  }
  if (!infeasible.empty()) {
    throw InfeasibleTarget(std::move(infeasible));
  }
}

// ------------------------------------------------------------------------------ keys

/// What a training takes from a network besides the costs of its layers.
std::string network_text(const Network& network) {
  std::string text;
  for (const Layer& layer : network.layers()) {
    text += fmt::format("{} {} {} {}>{} {} {} [{}]", layer.name.size(), layer.name,
                        to_string(layer.kind), fmt::join(layer.inputs, ","), layer.output,
                        layer.weights, layer.biases, fmt::join(layer.fused, ","));
    text += ' ' + layer.op;
    if (const auto& pool = layer.pool) {
      text += fmt::format(" pool {}x{} {}x{} {}x{} {} {} {} {} {}", pool->kernel_h, pool->kernel_w,
                          pool->stride_h, pool->stride_w, pool->dilation_h, pool->dilation_w,
                          pool->pad_top, pool->pad_left, pool->pad_bottom, pool->pad_right,
                          pool->count_include_pad);
    }
    text += '\n';
  }
  for (const Tensor& tensor : network.tensors()) {
    text += fmt::format("{} {}\n", fmt::join(tensor.shape, "x"), tensor.is_output);
  }
  return text;
}

ContentKey key_of(const ImageSet& set, const ContentKey& space) {
  const auto bytes = [](const std::vector<std::uint8_t>& values) {
    return std::string_view(reinterpret_cast<const char*>(values.data()), values.size());
  };
  const std::string shape =
      fmt::format("{} x {} x {} x {}", set.count, set.channels, set.height, set.width);
  return content_key(bytes(set.labels), content_key(bytes(set.pixels), content_key(shape, space)));
}

using Models = std::vector<std::unique_ptr<MachineCostModel>>;

/// Of all that trainings have in common: network, machines, data, version.
ContentKey common_key(const Inputs& inputs, const MachineCostModel& model, const Models& others,
                      const Dataset& data) {
  ContentKey key = content_key(library_version(), model.inputs_key());
  for (const auto& other : others) {
    key = content_key(to_hex(other->inputs_key()), key);
  }
  key = content_key(network_text(inputs.network), key);
  return key_of(data.test, key_of(data.train, content_key(fmt::to_string(data.classes), key)));
}

// ------------------------------------------------------------------------------ while it trains

std::atomic<bool> stop_wanted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "signal handlers set it");
volatile std::sig_atomic_t last_signal = 0;

extern "C" void ask_to_stop(int number) {
  last_signal = number;
  stop_wanted = true;
}

/// The first SIGINT or SIGTERM asks the training to stop; the second ends the program.
class StopSignals {
 public:
  StopSignals() {
    struct sigaction action {};
    action.sa_handler = ask_to_stop;
    action.sa_flags = SA_RESETHAND | SA_RESTART;
    for (std::size_t i = 0; i < std::size(kNumbers); ++i) {
      ::sigaction(kNumbers[i], &action, &before_[i]);
    }
  }
  ~StopSignals() {
    for (std::size_t i = 0; i < std::size(kNumbers); ++i) {
      ::sigaction(kNumbers[i], &before_[i], nullptr);
    }
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  static constexpr int kNumbers[] = {SIGINT, SIGTERM};
  struct sigaction before_[std::size(kNumbers)] = {};
};

std::string off_text(const TrainProgress& now) {
  std::string text;
  for (std::size_t t = 0; t < now.metrics.size() && t < now.costs.size(); ++t) {
    text +=
        fmt::format(", {} {:+.1f} %", now.metrics[t], 100 * (now.costs[t] / now.targets[t] - 1));
  }
  return text;
}

/// What matters most first: a narrow terminal shows the beginning.
std::string progress_text(const std::string& label, const TrainProgress& now,
                          const std::string& left = "") {
  std::string text = fmt::format("{}: epoch {} of {}{}, loss {:.3f}", label, now.epoch, now.epochs,
                                 left, now.loss);
  if (now.test_accuracy > 0) {
    text += fmt::format(", accuracy {:.2f} %", 100 * now.test_accuracy);
  }
  text += off_text(now);
  if (now.mean_weight_bits > 0) {
    text += fmt::format(", {:.2f}/{:.2f} bit", now.mean_weight_bits, now.mean_activation_bits);
  }
  return text + ", " + now.phase;
}

/// A line per epoch in a file that grows.
class EpochLog {
 public:
  EpochLog(const std::optional<Given>& given, Diagnostics& problems) {
    if (!given) {
      return;
    }
    name_ = given->text;
    file_.open(name_, std::ios::app);
    if (!file_) {
      problems.error(given->place, given->key,
                     fmt::format("cannot write '{}': {}", name_, std::strerror(errno)));
    }
  }

  void add(const std::string& line) {
    if (!name_.empty()) {
      file_ << printable(line) << '\n' << std::flush;
    }
  }

  /// A training is not given up for its log.
  void warn_if_failed() const {
    if (!name_.empty() && !file_) {
      std::cerr << printable(fmt::format(
                       "widthwise: warning: '{}' lacks lines that could not be written", name_))
                << '\n';
    }
  }

 private:
  std::string name_;
  std::ofstream file_;
};

// ------------------------------------------------------------------------------ the trainings

/// The widths that layers of a FracBits training may have, pinned ones too.
TableRequest table_request(const TrainSettings& settings) {
  std::set<BitWidth> weights(settings.weight_bits.begin(), settings.weight_bits.end());
  std::set<BitWidth> activations(settings.activation_bits.begin(), settings.activation_bits.end());
  for (const WidthRule& pin : settings.pins) {
    if (pin.weight) {
      weights.insert(*pin.weight);
    }
    if (pin.activation) {
      activations.insert(*pin.activation);
    }
  }
  TableRequest request;
  request.weight_bits.assign(weights.begin(), weights.end());
  request.activation_bits.assign(activations.begin(), activations.end());
  request.stored = true;
  request.output_bits = settings.output_bits;
  return request;
}

CostTable table_of(MachineCostModel& model, const TrainSettings& settings) {
  MadeTable made = make_table(model, table_request(settings));
  Diagnostics problems;
  for (const FailedPoint& failure : made.failures) {
    problems.error({failure.layer}, "", "could not be simulated: " + failure.reason);
  }
  problems.throw_if_any();
  return std::move(made.table);
}

/// What all trainings of an experiment share.
struct Session {
  const Inputs* inputs = nullptr;
  const Dataset* data = nullptr;
  MachineCostModel* model = nullptr;
  std::vector<SimulatedMachine> others;
  std::optional<Progress>* progress = nullptr;  // of what is being done; the model shows it too
  EpochLog* log = nullptr;
  int threads = 0;
  bool resume = false;
};

/// Nothing if it was asked to stop.
std::optional<TrainResult> train(const Session& session, const PlannedTraining& training,
                                 const TrainingFiles& files, const Trainer& trainer) {
  std::optional<CostTable> table;
  if (training.settings.method == TrainMethod::fracbits) {
    session.progress->emplace();
    table = table_of(*session.model, training.settings);
  }
  const TrainMachine machine{&session.inputs->accelerator, session.model, table ? &*table : nullptr,
                             session.others};
  const TrainPlace place{files.checkpoint, session.resume, session.threads, &stop_wanted,
                         files.key};
  const auto show = [&](const TrainProgress& now) {
    const std::string left =
        now.seconds_left > 0 ? fmt::format(", {:.0f} s left", now.seconds_left) : "";
    (*session.progress)->show(progress_text(training.label, now, left));
    if (now.epoch_ended) {
      session.log->add(progress_text(training.label, now));
    }
  };
  session.progress->emplace();
  const StopSignals signals;
  auto result =
      trainer(session.inputs->network, *session.data, machine, training.settings, place, show);
  session.progress->reset();
  if (result) {
    result->label = training.label;
    result->key = files.key;
    result->version = std::string(library_version());
  }
  return result;
}

/// Trains what is not finished; results in the order of the plan, or an exit code.
std::pair<std::vector<TrainResult>, int> train_all(const Session& session,
                                                   std::span<const TrainingFiles> files,
                                                   const Trainer& trainer) {
  const std::vector<PlannedTraining>& plan = session.inputs->plan;
  std::vector<TrainResult> results;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    if (files[i].is_finished()) {
      results.push_back(TrainingFolder::read(files[i]));
      continue;
    }
    std::optional<TrainResult> result;
    try {
      result = stop_wanted ? std::nullopt : train(session, plan[i], files[i], trainer);
    } catch (const NotANumber& error) {
      session.progress->reset();
      std::cerr << printable(fmt::format(
                       "widthwise: '{}' met a value that is not a number: {}; the checkpoint of "
                       "the last good epoch is kept in {}; a lower train.learning_rate may help",
                       plan[i].label, error.what(), files[i].checkpoint))
                << '\n';
      return {{}, kDiverged};
    }
    if (!result) {
      ensure(stop_wanted, "a training ends without a result only where it was asked to");
      std::cerr << printable(fmt::format("widthwise: '{}' was interrupted; the same command with "
                                         "--resume goes on",
                                         plan[i].label))
                << '\n';
      return {{}, kSignalled + last_signal};
    }
    TrainingFolder::finish(files[i], *result);
    results.push_back(std::move(*result));
  }
  return {std::move(results), kDone};
}

std::string stem_of(const std::string& experiment) {
  return std::filesystem::path(experiment).stem().string();
}

}  // namespace

void add_train_options(CLI::App& command, TrainWords& words) {
  command.add_option("experiment", words.experiment, "Experiment file with a train section")
      ->required();
  command.add_option("-o,--output", words.output,
                     "Folder of checkpoints and results (EXPERIMENT.training)");
  command.add_flag("--resume", words.resume, "Go on with trainings that were interrupted");
  command.add_flag("--fresh", words.fresh, "Start again, whatever the folder holds");
  command.add_option("--epochs", words.epochs, "In place of train.epochs");
  command.add_option("--images", words.images, "In place of train.images; 0: all");
  command.add_option("--seed", words.seed, "In place of train.seed");
  add_list(command, "--set", words.overrides,
           "KEY=VALUE overrides a key of the accelerator; repeatable");
  command.add_option("--threads", words.threads,
                     "Threads of the training; by default as many as processors");
  command.add_option("--jobs", words.jobs,
                     "Worker processes of simulations; by default as many as processors");
  command.add_flag("--no-cache", words.no_cache, "Simulate everything, keep no costs");
  command.add_option("--log", words.log, "Append a line per epoch to a file");
  command.add_option("--json", words.json, "Write all results as JSON");
  command.add_option("--report", words.report, "Write a page (HTML)");
  command.add_flag("-q,--quiet", words.quiet, "Print no report");
  command.footer(
      "Exit codes: 0 done; 1 a value was not a number, the last good checkpoint is kept; 2 bad "
      "input; 3 a target can not be met; 130 and 143 interrupted, --resume goes on.");
}

TrainCommand train_command_of(const CLI::App& command, const TrainWords& words) {
  TrainCommand train;
  const Given experiment{words.experiment, SourcePlace{"train"}, ""};
  train.experiment = read_train_experiment(find_file(Shipped::experiments, experiment));
  RunRequest said;
  said.overrides = words.overrides;
  said.fill_from(train.experiment.run);
  train.experiment.run = std::move(said);
  train.output =
      given(command, "--output", words.output)
          .value_or(Given{stem_of(words.experiment) + ".training", SourcePlace{"--output"}, ""});
  train.overrides.epochs = given(command, "--epochs", words.epochs);
  train.overrides.images = given(command, "--images", words.images);
  train.overrides.seed = given(command, "--seed", words.seed);
  train.threads = given(command, "--threads", words.threads);
  train.jobs = given(command, "--jobs", words.jobs);
  train.log = given(command, "--log", words.log);
  train.json = given(command, "--json", words.json);
  train.report = given(command, "--report", words.report);
  train.resume = words.resume;
  train.fresh = words.fresh;
  train.no_cache = words.no_cache;
  train.quiet = words.quiet;
  return train;
}

void check_training(const TrainExperiment& experiment) {
  Diagnostics problems;
  read_inputs(experiment, problems);
  problems.throw_if_any();
}

int train_command(TrainCommand command, const Trainer& trainer) {
  stop_wanted = false;
  Diagnostics problems;
  apply(command.overrides, command.experiment, problems);
  auto inputs = read_inputs(command.experiment, problems);
  const auto data = collecting(problems, [&] { return read_dataset(command.experiment.data); });
  Session session;
  session.resume = command.resume;
  if (command.threads) {
    session.threads = static_cast<int>(collecting(problems, [&] {
                                         return read_integer_in(*command.threads, 1, kMostThreads);
                                       }).value_or(1));
  }
  MachineModelOptions options;
  options.jobs = collecting(problems, [&] { return read_jobs(command.jobs); }).value_or(1);
  if (command.resume && command.fresh) {
    problems.error({"--fresh"}, "", "does not go with --resume");
  }
  OutputFiles outputs(problems);
  const auto& json = outputs.stage(command.json);
  const auto& report = outputs.stage(command.report);
  EpochLog log(command.log, problems);
  problems.throw_if_any();
  ensure(inputs.has_value() && data.has_value(), "a training that is not ready says why");

  const std::string cache_folder = command.no_cache ? "" : CostCache::default_folder();
  const auto cache = cache_folder.empty() ? nullptr : std::make_unique<CostCache>(cache_folder);
  options.cache = cache.get();
  std::optional<Progress> progress;
  options.progress = [&](std::size_t done, std::size_t total, const std::string& layer) {
    if (progress) {
      progress->show(done, total, layer);
    }
  };
  const auto model = machine_cost_model(inputs->network, inputs->accelerator, inputs->energy,
                                        Fidelity::tile, options);
  Models others;
  for (const auto& [accelerator, energy] : inputs->others) {
    others.push_back(
        machine_cost_model(inputs->network, accelerator, energy, Fidelity::tile, options));
    session.others.push_back({&accelerator, others.back().get()});
  }
  TrainReport trained;
  try {
    progress.emplace();
    resolve_targets(*inputs, *model);
    progress.reset();

    TrainingFolder folder(command.output);
    const ContentKey key = common_key(*inputs, *model, others, *data);
    std::vector<TrainingFiles> files;
    for (const PlannedTraining& training : inputs->plan) {
      files.push_back(training_files(command.output.text, training.label,
                                     to_hex(content_key(canonical_text(training.settings), key))));
    }
    folder.prepare(files, command.fresh    ? TrainingFolder::Mode::fresh
                          : command.resume ? TrainingFolder::Mode::resume
                                           : TrainingFolder::Mode::begin);
    session.inputs = &*inputs;
    session.data = &*data;
    session.model = model.get();
    session.progress = &progress;
    session.log = &log;
    auto [results, code] = train_all(session, files, trainer);
    log.warn_if_failed();
    if (cache && !cache->warning().empty()) {
      std::cerr << printable("widthwise: warning: " + cache->warning()) << '\n';
    }
    if (code != kDone) {
      return code;
    }
    trained.main = std::move(results.front());
    trained.compared.assign(std::make_move_iterator(results.begin() + 1),
                            std::make_move_iterator(results.end()));
  } catch (const InfeasibleTarget& error) {
    progress.reset();
    print_errors(error, "a target can not be met");
    return kInfeasible;
  }
  trained.clock = inputs->accelerator.clock;
  if (!command.quiet) {
    std::cout << train_text(trained) << std::flush;
  }
  if (json) {
    json->write(train_json(trained));
  }
  if (report) {
    report->write(train_page(trained));
  }
  outputs.commit();
  return kDone;
}

}  // namespace widthwise
