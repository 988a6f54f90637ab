// widthwise-mpi: what `widthwise sweep` becomes as a rank of an MPI job.

#include <iostream>

#include <CLI/CLI.hpp>

#include "cli/command_line.hpp"
#include "cli/command_sweep.hpp"
#include "cli/exit_code.hpp"
#include "cli/text_layout.hpp"
#include "models/base/error.hpp"
#include "sweep/mpi/mpi_ranks.hpp"

namespace widthwise {

namespace {

int run_program(int argc, char** argv) {
  MpiRanks ranks(argc, argv);
  CLI::App app{"Machines of a design space, over the ranks of an MPI job", "widthwise sweep"};
  app.set_version_flag("--version", "widthwise " WIDTHWISE_VERSION);
  SweepWords words;
  add_sweep_options(app, words);
  const bool first = ranks.rank() == 0;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      return first ? app.exit(error) : static_cast<int>(kDone);
    }
    if (!first) {
      return kBadInput;
    }
    throw InputError({"widthwise"}, "",
                     std::string(error.what()) + "; see 'widthwise sweep --help'");
  }
  SweepCommand command = sweep_command_of(app, words);
  if (!command.jobs) {
    command.jobs = Given{"1", SourcePlace{"--jobs"}, ""};  // of each rank
  }
  if (first) {
    const int code =
        sweep_command(command, [&](const Evaluator& evaluator, const LocalOptions& options) {
          return ranks.run_cells(evaluator, options);
        });
    if (ranks.lost() > 0) {
      std::cerr << "widthwise: warning: " << counted(static_cast<std::size_t>(ranks.lost()), "rank")
                << " of the job lost; others evaluated what they were at\n";
    }
    std::cout << std::flush;
    ranks.set_exit_code(code);
    return code;
  }
  try {
    serve_sweep(command, [&](const Evaluator& evaluator, const LocalOptions& options) {
      ranks.serve(evaluator, options);
    });
  } catch (const InputError&) {
    return kBadInput;  // rank 0 reads the same files and says what is wrong with them
  }
  return kDone;
}

}  // namespace

}  // namespace widthwise

int main(int argc, char** argv) {
  return widthwise::guarded("nothing was evaluated",
                            [&] { return widthwise::run_program(argc, argv); });
}
