#include "cli/command_check.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string_view>
#include <utility>

#include "cli/command_run.hpp"
#include "cli/command_sweep.hpp"
#include "cli/command_train.hpp"
#include "cli/exit_code.hpp"
#include "cli/experiment.hpp"
#include "cli/search_experiment.hpp"
#include "cli/text_layout.hpp"
#include "cli/train_experiment.hpp"
#include "models/base/error.hpp"
#include "models/base/text.hpp"
#include "models/config/yaml_reader.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/assignment_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/network/onnx_import.hpp"
#include "models/table/layer_grid.hpp"
#include "models/table/table_csv.hpp"
#include "search/problem_reader.hpp"

namespace widthwise {

namespace {

using Check = void (*)(const std::string& path);

void check_accelerator(const std::string& path) {
  read_energy_table(read_accelerator(path).energy_table);
}
void check_energy(const std::string& path) { read_energy_table(path); }
void check_network(const std::string& path) { read_network(path); }
void check_assignment(const std::string& path) { read_assignment(path); }
void check_problem(const std::string& path) { read_problem(path); }
void check_experiment(const std::string& path) {
  const YamlDocument document = load_yaml(path);
  if (document.root.find("search") != nullptr) {
    read_search_experiment(path);
  }
  if (document.root.find("train") != nullptr) {
    check_training(read_train_experiment(path));
  }
  prepare_run(read_experiment(path));
}

constexpr std::pair<std::string_view, Check> kChecks[] = {
    {"accelerator", check_accelerator},
    {"energy", check_energy},
    {"network", check_network},
    {"assignment", check_assignment},
    {"experiment", check_experiment},
    {"problem", check_problem},
    {"space", check_space},
};

/// Returns what the file is: "accelerator/1", "ONNX". Throws InputError.
std::string check_file(const std::string& path) {
  if (std::filesystem::path(path).extension() == ".onnx") {
    import_onnx(path, {});
    return "ONNX";
  }
  if (std::filesystem::path(path).extension() == ".csv") {
    const CostTable table = read_cost_table(path);
    for (std::size_t layer = 0; layer < table.layers.size(); ++layer) {
      layer_grid(table, layer);
    }
    return "cost table";
  }
  const std::string kind = schema_kind(load_yaml(path));
  std::vector<std::string> kinds;
  for (const auto& [name, check] : kChecks) {
    if (name == kind) {
      check(path);
      return kind + "/1";
    }
    kinds.emplace_back(name);
  }
  throw InputError(
      {path}, "schema",
      "unknown kind '" + kind + "'; known: " + quoted_list(kinds) + suggestion(kind, kinds));
}

}  // namespace

int check_command(const std::vector<std::string>& paths) {
  std::size_t mistakes = 0;
  std::size_t bad_files = 0;
  for (const std::string& path : paths) {
    try {
      const std::string what = check_file(path);
      std::cout << printable(path) << ": ok (" << what << ")\n" << std::flush;
    } catch (const InputError& error) {
      for (const Diagnostic& diagnostic : error.diagnostics()) {
        std::cerr << printable(to_string(diagnostic)) << '\n';
      }
      mistakes += error.diagnostics().size();
      ++bad_files;
    }
  }
  if (bad_files == 0) {
    return kDone;
  }
  std::cerr << counted(mistakes, "error") << " in " << bad_files << " of "
            << counted(paths.size(), "file") << ".\n";
  return kBadInput;
}

}  // namespace widthwise
