// widthwise-train: what `widthwise train` becomes, with libtorch.

#include <CLI/CLI.hpp>

#include "cli/command_line.hpp"
#include "cli/command_train.hpp"
#include "models/base/error.hpp"
#include "train/torch/trainer.hpp"

namespace widthwise {

namespace {

int run_program(int argc, char** argv) {
  CLI::App app{"Train a network at bit-widths that are learned against simulated costs",
               "widthwise train"};
  app.set_version_flag("--version", "widthwise " WIDTHWISE_VERSION);
  TrainWords words;
  add_train_options(app, words);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      return app.exit(error);
    }
    throw InputError({"widthwise"}, "",
                     std::string(error.what()) + "; see 'widthwise train --help'");
  }
  return train_command(train_command_of(app, words), train_network);
}

}  // namespace

}  // namespace widthwise

int main(int argc, char** argv) {
  return widthwise::guarded("nothing was trained",
                            [&] { return widthwise::run_program(argc, argv); });
}
