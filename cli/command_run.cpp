#include "cli/command_run.hpp"

#include <algorithm>
#include <functional>
#include <iostream>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "cli/command_table.hpp"
#include "cli/error_output.hpp"
#include "cli/exit_code.hpp"
#include "cli/output_files.hpp"
#include "cli/print_table.hpp"
#include "cli/progress.hpp"
#include "cli/read_request.hpp"
#include "cli/report_csv.hpp"
#include "cli/report_json.hpp"
#include "cli/run_page.hpp"
#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "models/cost/analytic.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/quantize.hpp"
#include "models/network/single_layer.hpp"
#include "sim/simulation.hpp"

namespace widthwise {

namespace {

/// Whether the network's own weights are asked for, or would be taken by default.
struct WantedWeights {
  bool own = false;
  bool asked = false;
};

WantedWeights wanted_weights(const RunRequest& request, std::optional<Fidelity> fidelity) {
  if (!request.weights) {
    return {fidelity == Fidelity::cycle, false};
  }
  const std::vector<std::string> names{"random", "network"};
  const std::size_t chosen = read_name(*request.weights, names);
  return {names[chosen] == "network", true};
}

NetworkWithWeights read_network_of(const RunRequest& request, WantedWeights wanted) {
  const NetworkSource source = read_network_source(request);
  if (!wanted.own) {
    return {load_network(named_network(request), source), std::nullopt};
  }
  NetworkWithWeights read = load_network_with_weights(named_network(request), source);
  if (wanted.asked && !read.weights) {
    refuse(*request.weights,
           "only an ONNX file has weights of its own, and '" + request.network->text + "' is none");
  }
  return read;
}

std::uint64_t read_seed(const std::optional<Given>& given) {
  if (!given) {
    return 1;
  }
  const auto seed = parse_integer(given->text);
  if (!seed || *seed < 0) {
    refuse(*given, "expected a whole number of at least 0, got '" + given->text + "'");
  }
  return static_cast<std::uint64_t>(*seed);
}

/// Which operands are signed: weights, activations.
std::pair<bool, bool> read_signs(const std::vector<Given>& unsigned_operands) {
  const std::vector<std::string> names{"weights", "activations"};
  std::pair<bool, bool> is_signed{true, true};
  for (const Given& given : unsigned_operands) {
    (read_name(given, names) == 0 ? is_signed.first : is_signed.second) = false;
  }
  return is_signed;
}

/// Options about operands where there are none.
void refuse_operands(const RunRequest& request, Fidelity fidelity, Diagnostics& problems) {
  if (fidelity == Fidelity::cycle) {
    return;
  }
  std::vector<Given> given = request.unsigned_operands;
  for (const auto* option : {&request.seed, &request.weights}) {
    if (*option) {
      given.push_back(**option);
    }
  }
  for (const Given& option : given) {
    problems.error(option.place, option.key,
                   "nothing is computed but in the fidelity 'cycle', which alone has operands");
  }
}

/// A layer's weights in the order of its shape, quantized with one scale for the tensor.
std::vector<std::int32_t> integer_weights(const OnnxWeights& weights, const Layer& layer,
                                          sim::IntegerFormat format) {
  const auto values = weights.of(layer);
  if (!values) {
    return {};
  }
  const BitWidth bits = std::min(format.bits, kMaxOperandWidth);
  return quantize(*values, bits,
                  format.is_signed ? Signedness::signed_values : Signedness::unsigned_values)
      .values;
}

/// Inputs come batch first; those of a matrix product are one piece of work.
std::int64_t batch_of(const Network& network) {
  if (names_single_layer(network.name())) {
    return 1;
  }
  for (const Tensor& tensor : network.tensors()) {
    if (!tensor.producer && !tensor.shape.empty()) {
      return tensor.shape.front();
    }
  }
  return 1;
}

/// The files of a run, staged before it starts.
class Outputs {
 public:
  Outputs(const RunRequest& request, Fidelity fidelity, Diagnostics& problems) : files_(problems) {
    const auto needs_tiles = [&](const std::optional<Given>& given) {
      if (given && fidelity == Fidelity::analytic) {
        problems.error(given->place, given->key,
                       "only a simulation has one; it needs the fidelity 'tile' or 'cycle'");
        return false;
      }
      return true;
    };
    json_ = &files_.stage(request.json);
    csv_ = &files_.stage(request.csv);
    trace_ = &files_.stage(needs_tiles(request.trace) ? request.trace : std::nullopt);
    auto vcd = needs_tiles(request.vcd) ? request.vcd : std::nullopt;
    if (vcd && !vcd->text.empty() && !vcd->text.ends_with(".vcd")) {
      vcd->text += ".vcd";
    }
    vcd_ = &files_.stage(vcd);
    report_ = &files_.stage(request.report);
  }

  [[nodiscard]] std::string trace_path() const { return *trace_ ? (*trace_)->path() : ""; }
  [[nodiscard]] std::string vcd_path() const { return *vcd_ ? (*vcd_)->path() : ""; }

  void finish(const CostReport& report, const Accelerator& accelerator) {
    if (*json_) {
      (*json_)->write(json_report(report));
    }
    if (*csv_) {
      (*csv_)->write(csv_report(report));
    }
    if (*report_) {
      (*report_)->write(run_page(report, accelerator));
    }
    files_.commit();
  }

 private:
  OutputFiles files_;
  std::optional<StagedFile>* json_ = nullptr;  // of files_
  std::optional<StagedFile>* csv_ = nullptr;
  std::optional<StagedFile>* trace_ = nullptr;
  std::optional<StagedFile>* vcd_ = nullptr;
  std::optional<StagedFile>* report_ = nullptr;
};

CostReport cost_of(const PreparedRun& run, const Outputs& outputs) {
  if (run.fidelity == Fidelity::analytic) {
    return analytic_cost(run.network, run.widths, run.accelerator, run.energy);
  }
  Progress progress;
  SimulationOptions options;
  options.trace_path = outputs.trace_path();
  options.vcd_path = outputs.vcd_path();
  options.step_cycles = run.fidelity == Fidelity::cycle;
  options.operands.seed = run.seed;
  options.operands.signed_weights = run.signed_weights;
  options.operands.signed_activations = run.signed_activations;
  if (run.weights) {
    options.operands.weights = [&](const Layer& layer, sim::IntegerFormat format) {
      return integer_weights(*run.weights, layer, format);
    };
  }
  options.progress = [&](std::size_t done, std::size_t total, const std::string& layer) {
    progress.show(done, total, layer);
  };
  return simulate(run.network, run.widths, run.accelerator, run.energy, options);
}

/// As much of a run as the request allows; what is missing stands in `problems`.
std::optional<PreparedRun> prepare(const RunRequest& request, Diagnostics& problems) {
  const auto fidelity = collecting(problems, [&] { return read_fidelity(request.fidelity); });
  auto accelerator = collecting(problems, [&] { return read_accelerator_of(request); });
  std::optional<EnergyTable> energy;
  if (accelerator) {
    energy = collecting(problems, [&] { return read_energy_table(accelerator->energy_table); });
  }
  auto read = collecting(
      problems, [&] { return read_network_of(request, wanted_weights(request, fidelity)); });
  const std::optional<Network> network = read ? std::optional(read->network) : std::nullopt;
  const auto seed = collecting(problems, [&] { return read_seed(request.seed); });
  const auto is_signed =
      collecting(problems, [&] { return read_signs(request.unsigned_operands); });
  if (fidelity) {
    refuse_operands(request, *fidelity, problems);
  }
  auto assignment = collecting(problems, [&] { return read_assignment_of(request.bits); });
  std::optional<WidthPlan> widths;
  if (network && assignment) {
    widths = collecting(problems, [&] { return resolve_widths(*network, *assignment); });
  }
  if (!fidelity || !accelerator || !energy || !widths || !seed || !is_signed) {
    return std::nullopt;
  }
  const std::int64_t batch = batch_of(*network);
  return PreparedRun{std::move(*accelerator),
                     std::move(*energy),
                     *network,
                     std::move(*assignment),
                     std::move(*widths),
                     *fidelity,
                     batch,
                     *seed,
                     is_signed->first,
                     is_signed->second,
                     std::move(read->weights)};
}

}  // namespace

PreparedRun prepare_run(const RunRequest& request) {
  Diagnostics problems;
  auto run = prepare(request, problems);
  problems.throw_if_any();
  ensure(run.has_value(), "a run that is not ready says why");
  return std::move(*run);
}

int run_command(const RunRequest& request, bool quiet) {
  if (request.table) {
    return run_by_table(request, quiet);
  }
  Diagnostics problems;
  const auto run = prepare(request, problems);
  Outputs outputs(request, run ? run->fidelity : Fidelity::tile, problems);
  problems.throw_if_any();
  ensure(run.has_value(), "a run that is not ready says why");

  CostReport report = cost_of(*run, outputs);
  report.assignment = run->assignment.name;
  report.batch = run->batch;
  if (!quiet) {
    std::cout << table_report(report) << std::flush;
  }
  try {
    outputs.finish(report, run->accelerator);
  } catch (const InputError& error) {
    print_errors(error, "the files of this run are not complete");
    return kBadInput;
  }
  return kDone;
}

}  // namespace widthwise
