// The command line: parses options, calls the command, and turns what goes wrong into an exit code.

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/command_check.hpp"
#include "cli/command_diff.hpp"
#include "cli/command_line.hpp"
#include "cli/command_list.hpp"
#include "cli/command_run.hpp"
#include "cli/command_search.hpp"
#include "cli/command_solve.hpp"
#include "cli/command_sweep.hpp"
#include "cli/command_table.hpp"
#include "cli/command_train.hpp"
#include "cli/exit_code.hpp"
#include "cli/experiment.hpp"
#include "cli/other_program.hpp"
#include "models/base/error.hpp"
#include "models/base/text.hpp"

namespace widthwise {

namespace {

/// The options of `run` as they stand on the command line.
struct RunOptions {
  std::string experiment;
  std::string accelerator;
  std::string network;
  std::string bits;
  std::string table;
  std::string fidelity;
  std::string batch;
  std::string seed;
  std::string weights;
  std::string json;
  std::string csv;
  std::string trace;
  std::string vcd;
  std::string report;
  std::vector<std::string> overrides;
  std::vector<std::string> parameters;
  std::vector<std::string> ignore;
  std::vector<std::string> unsigned_operands;
  bool ideal_memory = false;
  bool quiet = false;
};

/// What names a machine and a network, for all commands that need both.
void add_inputs(CLI::App& command, RunOptions& options) {
  command.add_option("-a,--accelerator", options.accelerator, "Accelerator: file or shipped name");
  command.add_option("-n,--network", options.network,
                     "Network: .yaml or .onnx file, shipped name, gemm:MxNxK or "
                     "conv:HxWxCINxCOUTxKERNEL[:STRIDE]");
  command.add_option(
      "--fidelity", options.fidelity,
      "analytic, tile (simulated; the default) or cycle (the array stepped on integers)");
  command.add_option("--batch", options.batch, "Inputs of the network worked on together");
  add_list(command, "--set", options.overrides,
           "KEY=VALUE overrides a key of the accelerator; repeatable");
  add_list(command, "--parameter", options.parameters, "NAME=INTEGER of the network; repeatable");
  add_list(command, "--ignore", options.ignore,
           "ONNX operator to take as costing nothing; repeatable");
  command.add_flag("--ideal-memory", options.ideal_memory,
                   "No limits of DRAM and buffer ports: the engine's own cycles");
  command.add_flag("-q,--quiet", options.quiet, "Print no table");
}

/// The part of a request that add_inputs() has options for.
RunRequest inputs_of(const CLI::App& command, const RunOptions& options) {
  RunRequest request;
  request.accelerator = given(command, "--accelerator", options.accelerator);
  request.network = given(command, "--network", options.network);
  request.fidelity = given(command, "--fidelity", options.fidelity);
  request.batch = given(command, "--batch", options.batch);
  request.overrides = options.overrides;
  request.ignore = options.ignore;
  for (const std::string& parameter : options.parameters) {
    request.parameters.push_back({parameter, SourcePlace{"--parameter"}, ""});
  }
  if (options.ideal_memory) {
    request.ideal_memory = true;
  }
  return request;
}

CLI::App* add_run(CLI::App& app, RunOptions& options) {
  CLI::App* run = app.add_subcommand("run", "Cost of a network on an accelerator");
  run->add_option("experiment", options.experiment,
                  "Experiment file that says what the options below say; they win over it");
  add_inputs(*run, options);
  run->add_option("--bits", options.bits, "Widths: w4a4 for all layers, file or shipped name");
  run->add_option("-t,--table", options.table,
                  "Cost table (.csv file or shipped name) in place of an accelerator");
  run->add_option("--seed", options.seed, "Of the random operands of the fidelity 'cycle'");
  run->add_option("--weights", options.weights,
                  "Of the fidelity 'cycle': random, or network (an ONNX file's own, quantized; the "
                  "default there)");
  add_list(*run, "--unsigned", options.unsigned_operands,
           "Of the fidelity 'cycle': weights or activations that are not signed; repeatable");
  run->add_option("--json", options.json, "Write the report as JSON");
  run->add_option("--csv", options.csv, "Write the layers as CSV");
  run->add_option("--trace", options.trace, "Write the timeline in Chrome trace format");
  run->add_option("--vcd", options.vcd, "Write waveforms");
  run->add_option("--report", options.report, "Write a page (HTML)");
  return run;
}

RunRequest request_of(const CLI::App& command, const RunOptions& options) {
  RunRequest request = inputs_of(command, options);
  request.bits = given(command, "--bits", options.bits);
  request.table = given(command, "--table", options.table);
  request.json = given(command, "--json", options.json);
  request.csv = given(command, "--csv", options.csv);
  request.trace = given(command, "--trace", options.trace);
  request.vcd = given(command, "--vcd", options.vcd);
  request.report = given(command, "--report", options.report);
  request.seed = given(command, "--seed", options.seed);
  request.weights = given(command, "--weights", options.weights);
  for (const std::string& operands : options.unsigned_operands) {
    request.unsigned_operands.push_back({operands, SourcePlace{"--unsigned"}, ""});
  }
  if (!options.experiment.empty()) {
    const Given experiment{options.experiment, SourcePlace{"run"}, ""};
    request.fill_from(read_experiment(find_file(Shipped::experiments, experiment)));
  }
  return request;
}

/// The options of `table` besides those of add_inputs().
struct TableOptions {
  RunOptions inputs;
  std::string weight_bits, activation_bits, channel_steps, jobs, time_limit, cache;
  std::vector<std::string> outputs;
  bool stored = false;
  bool no_cache = false;
};

CLI::App* add_table(CLI::App& app, TableOptions& options) {
  CLI::App* table = app.add_subcommand("table", "Cost of every layer of a network at every width");
  add_inputs(*table, options.inputs);
  table->add_option("--weight-bits", options.weight_bits,
                    "Weight widths such as 2,4,8 or 1..8; by default those up to 8 bits");
  table->add_option("--activation-bits", options.activation_bits, "Activation widths likewise");
  table->add_flag("--stored", options.stored,
                  "Rows by the widths that tensors are stored at too: sums are exact for mixed "
                  "widths");
  table->add_option("--channel-steps", options.channel_steps,
                    "Rows for shares 1/N, 2/N ... 1 of the channels too, for pruned layers");
  add_list(*table, "-o,--output", options.outputs, "Write the table, .csv or .json; repeatable");
  table->add_option("--jobs", options.jobs, "Worker processes; by default as many as processors");
  table->add_option("--timeout", options.time_limit,
                    "Seconds that one layer may take at one pair of widths (600)");
  table->add_option("--cache", options.cache,
                    "Folder of costs computed before ($WIDTHWISE_CACHE or ~/.cache/widthwise)");
  table->add_flag("--no-cache", options.no_cache, "Compute everything, keep nothing");
  return table;
}

struct SolveWords {
  std::string problem, json, report, assignment, csv, gap, time_limit, front, front_cost;
  bool baselines = false;
  bool quiet = false;
};

/// Options that `solve` and `search` share.
void add_solving(CLI::App& command, SolveWords& words) {
  command.add_option("--gap", words.gap,
                     "Relative gap that is good enough; 0 (the default): proof");
  command.add_option("--time-limit", words.time_limit, "Seconds for the proof (60)");
  command.add_option("--front", words.front, "Points of the front of loss against a cost");
  command.add_option("--front-cost", words.front_cost,
                     "The cost; by default that of the first budget");
  command.add_flag("--baselines", words.baselines, "What other methods find");
  command.add_option("--json", words.json, "Write the answer as JSON");
  command.add_option("--csv", words.csv, "Write the front as CSV");
  command.add_option("--assignment", words.assignment, "Write the widths as a file for --bits");
  command.add_option("--report", words.report, "Write a page (HTML)");
}

CLI::App* add_solve(CLI::App& app, SolveWords& words) {
  CLI::App* solve = app.add_subcommand("solve", "Best widths of a bit-width problem, with proof");
  solve->add_option("problem", words.problem, "Problem: file or shipped name")->required();
  add_solving(*solve, words);
  solve->add_flag("-q,--quiet", words.quiet, "Print nothing");
  return solve;
}

SolveCommand solve_command_of(const CLI::App& command, const SolveWords& words) {
  SolveCommand solve;
  solve.problem = Given{words.problem, SourcePlace{"solve"}, ""};
  solve.json = given(command, "--json", words.json);
  solve.report = given(command, "--report", words.report);
  solve.assignment = given(command, "--assignment", words.assignment);
  solve.csv = given(command, "--csv", words.csv);
  solve.gap = given(command, "--gap", words.gap);
  solve.time_limit = given(command, "--time-limit", words.time_limit);
  solve.front = given(command, "--front", words.front);
  solve.front_cost = given(command, "--front-cost", words.front_cost);
  solve.baselines = words.baselines;
  solve.quiet = words.quiet;
  return solve;
}

/// The options of `search` besides those of add_solving().
struct SearchOptions {
  SolveWords solving;
  RunOptions inputs;
  std::string experiment, jobs, losses;
  bool no_cache = false;
};

CLI::App* add_search(CLI::App& app, SearchOptions& options) {
  CLI::App* search = app.add_subcommand(
      "search", "Best widths of a network on an accelerator under budgets, with proof");
  search->add_option("experiment", options.experiment, "Experiment file with a search section")
      ->required();
  add_inputs(*search, options.inputs);
  add_solving(*search, options.solving);
  search->add_option("--losses", options.losses, "Write the losses as a table");
  search->add_option("--jobs", options.jobs, "Worker processes; by default as many as processors");
  search->add_flag("--no-cache", options.no_cache, "Compute everything, keep nothing");
  return search;
}

SearchCommand search_command_of(const CLI::App& command, const SearchOptions& options) {
  const SolveWords& words = options.solving;
  SearchCommand search;
  const Given experiment{options.experiment, SourcePlace{"search"}, ""};
  search.experiment = read_search_experiment(find_file(Shipped::experiments, experiment));
  RunRequest said = inputs_of(command, options.inputs);
  said.fill_from(search.experiment.run);
  search.experiment.run = std::move(said);
  search.json = given(command, "--json", words.json);
  search.report = given(command, "--report", words.report);
  search.assignment = given(command, "--assignment", words.assignment);
  search.csv = given(command, "--csv", words.csv);
  search.gap = given(command, "--gap", words.gap);
  search.time_limit = given(command, "--time-limit", words.time_limit);
  search.jobs = given(command, "--jobs", options.jobs);
  search.losses = given(command, "--losses", options.losses);
  if (auto points = given(command, "--front", words.front)) {
    search.experiment.front_points = std::move(points);
  }
  if (auto cost = given(command, "--front-cost", words.front_cost)) {
    search.experiment.front_cost = std::move(cost);
  }
  search.no_cache = options.no_cache;
  search.quiet = options.inputs.quiet;
  return search;
}

TableCommand table_command_of(const CLI::App& command, const TableOptions& options) {
  TableCommand table;
  table.run = inputs_of(command, options.inputs);
  table.weight_bits = given(command, "--weight-bits", options.weight_bits);
  table.activation_bits = given(command, "--activation-bits", options.activation_bits);
  table.channel_steps = given(command, "--channel-steps", options.channel_steps);
  table.jobs = given(command, "--jobs", options.jobs);
  table.time_limit = given(command, "--timeout", options.time_limit);
  table.cache = given(command, "--cache", options.cache);
  for (const std::string& output : options.outputs) {
    table.outputs.push_back({output, SourcePlace{"--output"}, ""});
  }
  table.stored = options.stored;
  table.no_cache = options.no_cache;
  table.quiet = options.inputs.quiet;
  return table;
}

struct DiffOptions {
  std::string a, b, json, report;
  bool quiet = false;
};

CLI::App* add_diff(CLI::App& app, DiffOptions& options) {
  CLI::App* diff = app.add_subcommand("diff", "Why two runs differ, layer by layer");
  diff->add_option("a", options.a, "Report that 'run --json' wrote")->required();
  diff->add_option("b", options.b, "Another one")->required();
  diff->add_option("--json", options.json, "Write the differences as JSON");
  diff->add_option("--report", options.report, "Write a page (HTML)");
  diff->add_flag("-q,--quiet", options.quiet, "Print nothing");
  return diff;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

/// Refuses a first word that is no command with a better message than the parser's.
void check_command_name(const CLI::App& app, int argc, char** argv) {
  if (argc < 2) {
    throw InputError({"widthwise"}, "",
                     "a command is missing; known: " + quoted_list(command_names(app)) +
                         "; 'widthwise --help' says more");
  }
  const std::string word = argv[1];
  const std::vector<std::string> names = command_names(app);
  if (!word.starts_with('-') && std::find(names.begin(), names.end(), word) == names.end()) {
    throw InputError(
        {"widthwise"}, "",
        "unknown command '" + word + "'; known: " + quoted_list(names) + suggestion(word, names));
  }
}

int run_program(int argc, char** argv) {
  CLI::App app{"Latency and energy of mixed-precision networks on accelerators", "widthwise"};
  app.set_version_flag("--version", "widthwise " WIDTHWISE_VERSION);
  app.require_subcommand(1);
  RunOptions run_options;
  const CLI::App* run = add_run(app, run_options);

  TableOptions table_options;
  const CLI::App* table = add_table(app, table_options);

  SearchOptions search_options;
  const CLI::App* search = add_search(app, search_options);

  SolveWords solve_words;
  const CLI::App* solve = add_solve(app, solve_words);

  SweepWords sweep_words;
  CLI::App* sweep = app.add_subcommand(
      "sweep",
      "Machines of a design space, each at the widths that suit it best, and their fronts");
  add_sweep_options(*sweep, sweep_words);

  TrainWords train_words;
  CLI::App* train = app.add_subcommand(
      "train", "Train a network at bit-widths that are learned against simulated costs");
  add_train_options(*train, train_words);

  DiffOptions diff_options;
  const CLI::App* diff = add_diff(app, diff_options);

  std::vector<std::string> files;
  CLI::App* check = app.add_subcommand("check", "Read files and say what is wrong with them");
  check->add_option("files", files, "YAML, ONNX or CSV files")->required();

  std::string kind;
  CLI::App* list = app.add_subcommand("list", "What comes with the program");
  list->add_option("kind", kind,
                   "accelerators, networks, assignments, energy, experiments, tables, "
                   "sensitivities, problems or spaces");

  check_command_name(app, argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      return app.exit(error);
    }
    throw InputError({"widthwise"}, "",
                     std::string(error.what()) +
                         "; see 'widthwise --help' and 'widthwise "
                         "COMMAND --help'");
  }
  if (run->parsed()) {
    return run_command(request_of(*run, run_options), run_options.quiet);
  }
  if (table->parsed()) {
    return table_command(table_command_of(*table, table_options));
  }
  if (search->parsed()) {
    return search_command(search_command_of(*search, search_options));
  }
  if (solve->parsed()) {
    return solve_command(solve_command_of(*solve, solve_words));
  }
  if (sweep->parsed()) {
    if (is_rank_of_job()) {
      become_program("widthwise-mpi", "MPI (WIDTHWISE_WITH_MPI=OFF)", argc, argv);
    }
    return sweep_command(sweep_command_of(*sweep, sweep_words));
  }
  if (train->parsed()) {
    become_program("widthwise-train", "training (WIDTHWISE_WITH_TORCH=OFF)", argc, argv);
  }
  if (diff->parsed()) {
    return guarded("nothing was compared", [&] {
      return diff_command({diff_options.a, diff_options.b,
                           given(*diff, "--json", diff_options.json),
                           given(*diff, "--report", diff_options.report), diff_options.quiet});
    });
  }
  if (check->parsed()) {
    return check_command(files);
  }
  return list_command(kind);
}

}  // namespace

}  // namespace widthwise

int main(int argc, char** argv) {
  return widthwise::guarded("nothing was simulated",
                            [&] { return widthwise::run_program(argc, argv); });
}
