#include "train/plane_inference.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <fstream>
#include <set>
#include <thread>
#include <utility>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

constexpr std::int64_t kGates = 4;

std::string counted(std::int64_t count, const char* of) { return std::to_string(count) + " " + of; }

void check_layer(const PlaneLayer& layer, Diagnostics& problems) {
  if (layer.outputs < 1 || layer.inputs < 1) {
    problems.error({}, layer.name, "expected at least one output and one input");
  } else if (static_cast<std::int64_t>(layer.weights.size()) != layer.outputs * layer.inputs) {
    problems.error({}, layer.name,
                   "expected " + std::to_string(layer.outputs) + " x " +
                       std::to_string(layer.inputs) + " weights, got " +
                       std::to_string(layer.weights.size()));
  }
  if (!layer.bias.empty() && static_cast<std::int64_t>(layer.bias.size()) != layer.outputs) {
    problems.error({}, layer.name,
                   "expected " + counted(layer.outputs, "biases") + " or none, got " +
                       std::to_string(layer.bias.size()));
  }
}

void check_network(const PlaneNetwork& network) {
  Diagnostics problems;
  std::int64_t width = 0;  // of what goes on; 0: any
  if (network.lstm) {
    const PlaneLstm& lstm = *network.lstm;
    check_layer(lstm.input, problems);
    check_layer(lstm.recurrent, problems);
    width = lstm.recurrent.inputs;
    if (lstm.recurrent.outputs != kGates * width || lstm.input.outputs != kGates * width) {
      problems.error({}, lstm.recurrent.name,
                     "expected " + counted(kGates * width, "outputs") +
                         " of both parts, four for each state, got " +
                         std::to_string(lstm.input.outputs) + " and " +
                         std::to_string(lstm.recurrent.outputs));
    }
    if (lstm.steps < 1) problems.error({}, lstm.input.name, "expected at least one step");
  }
  if (network.layers.empty() && !network.lstm) problems.error({}, network.name, "has no layers");
  for (const PlaneLayer& layer : network.layers) {
    check_layer(layer, problems);
    if (width != 0 && layer.inputs != width) {
      problems.error({}, layer.name,
                     "reads " + counted(layer.inputs, "values") + ", but " + std::to_string(width) +
                         " come before it");
    }
    width = layer.outputs;
  }
  problems.throw_if_any();
}

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

float greatest_of(std::span<const float> values) {
  float greatest = 0;
  for (const float value : values) greatest = std::max(greatest, std::fabs(value));
  return greatest;
}

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  const std::string key = "model name";
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with(key) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void check_axis(const std::vector<int>& values, const char* key, Diagnostics& problems) {
  if (values.empty()) problems.error({}, key, "none to measure");
  if (std::set<int>(values.begin(), values.end()).size() != values.size()) {
    problems.error({}, key, "the same twice");
  }
}

}  // namespace

PlaneInference::PlaneInference(PlaneNetwork network, const PlaneOptions& options)
    : network_(std::move(network)) {
  check_network(network_);
  const auto add = [&](PlaneLayer& layer) {
    names_.push_back(layer.name);
    planes_.emplace_back(layer.weights, layer.outputs, layer.inputs, options);
    bytes_.emplace_back(layer.weights, layer.outputs, layer.inputs);
    biases_.push_back(std::move(layer.bias));
    layer.weights = {};
    layer.bias = {};
  };
  if (network_.lstm) {
    add(network_.lstm->input);
    add(network_.lstm->recurrent);
  }
  for (PlaneLayer& layer : network_.layers) add(layer);
}

std::int64_t PlaneInference::inputs() const {
  if (network_.lstm) return network_.lstm->steps * network_.lstm->input.inputs;
  return network_.layers.front().inputs;
}

std::int64_t PlaneInference::outputs() const {
  return network_.layers.empty() ? network_.lstm->recurrent.inputs : network_.layers.back().outputs;
}

void PlaneInference::check(const PlaneSetting& setting) const {
  if (setting.planes.size() != 1 && setting.planes.size() != names_.size()) {
    throw InputError({}, "planes",
                     "expected one number or " + std::to_string(names_.size()) + ", got " +
                         std::to_string(setting.planes.size()));
  }
  if (!setting.greatest.empty() && setting.greatest.size() != names_.size()) {
    throw InputError({}, "greatest",
                     "expected none or " + std::to_string(names_.size()) + ", got " +
                         std::to_string(setting.greatest.size()));
  }
}

void PlaneInference::apply(std::size_t matrix, std::span<const float> x,
                           const PlaneSetting& setting, Scratch& scratch,
                           std::span<float> y) const {
  using Clock = std::chrono::steady_clock;
  const bool timed = !scratch.nanoseconds.empty();
  if (!scratch.greatest.empty()) {
    scratch.greatest[matrix] = std::max(scratch.greatest[matrix], greatest_of(x));
  }
  const Clock::time_point begin = timed ? Clock::now() : Clock::time_point();
  const double greatest =
      setting.greatest.empty() ? 0 : static_cast<double>(setting.greatest[matrix]);
  PlaneActivations& activations = scratch.activations;
  activations.set(x, setting.activation_bits, greatest);
  if (setting.arithmetic == PlaneArithmetic::int8) {
    scratch.sums8.resize(y.size());
    bytes_[matrix].multiply(activations, scratch.sums8, setting.workers);
    bytes_[matrix].scale(activations, scratch.sums8, biases_[matrix], y);
  } else {
    const int planes = setting.planes.size() == 1 ? setting.planes[0] : setting.planes[matrix];
    scratch.sums.resize(y.size());
    if (setting.arithmetic == PlaneArithmetic::plain_products) {
      multiply_plainly(planes_[matrix], planes, activations, scratch.sums);
    } else {
      multiply(planes_[matrix], planes, activations, scratch.sums, setting.workers);
    }
    reconstruct(planes_[matrix], planes, activations, scratch.sums, biases_[matrix], y);
  }
  if (timed) {
    scratch.nanoseconds[matrix] +=
        std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
  }
}

/// Leaves the mean of h in scratch.from.
void PlaneInference::run_lstm(std::span<const float> input, const PlaneSetting& setting,
                              Scratch& scratch) const {
  const auto features = static_cast<std::size_t>(network_.lstm->input.inputs);
  const auto hidden = static_cast<std::size_t>(network_.lstm->recurrent.inputs);
  const auto steps = static_cast<std::size_t>(network_.lstm->steps);
  scratch.gates.resize(kGates * hidden);
  scratch.to.resize(kGates * hidden);
  scratch.state.assign(hidden, 0);
  scratch.cell.assign(hidden, 0);
  scratch.mean.assign(hidden, 0);
  for (std::size_t step = 0; step < steps; ++step) {
    apply(0, input.subspan(step * features, features), setting, scratch, scratch.gates);
    apply(1, scratch.state, setting, scratch, scratch.to);
    for (std::size_t i = 0; i < hidden; ++i) {
      const auto gate = [&](std::size_t number) {
        return scratch.gates[number * hidden + i] + scratch.to[number * hidden + i];
      };
      scratch.cell[i] = sigmoid(gate(1)) * scratch.cell[i] + sigmoid(gate(0)) * std::tanh(gate(2));
      scratch.state[i] = sigmoid(gate(3)) * std::tanh(scratch.cell[i]);
      scratch.mean[i] += scratch.state[i];
    }
  }
  scratch.from.resize(hidden);
  for (std::size_t i = 0; i < hidden; ++i) {
    scratch.from[i] = scratch.mean[i] / static_cast<float>(steps);
  }
}

void PlaneInference::run(std::span<const float> input, const PlaneSetting& setting,
                         Scratch& scratch, std::span<float> output) const {
  check(setting);
  ensure(&scratch.activations.kernel() == setting.kernel, "scratch is of the setting's kernel");
  if (static_cast<std::int64_t>(input.size()) != inputs()) {
    throw InputError(
        {}, "example",
        "expected " + counted(inputs(), "values") + ", got " + std::to_string(input.size()));
  }
  ensure(static_cast<std::int64_t>(output.size()) == outputs(), "one output per class");
  std::size_t matrix = 0;
  if (network_.lstm) {
    run_lstm(input, setting, scratch);
    matrix = 2;
  } else {
    scratch.from.assign(input.begin(), input.end());
  }
  for (const PlaneLayer& layer : network_.layers) {
    scratch.to.resize(static_cast<std::size_t>(layer.outputs));
    apply(matrix++, scratch.from, setting, scratch, scratch.to);
    if (layer.relu) {
      for (float& value : scratch.to) value = std::max(value, 0.0F);
    }
    std::swap(scratch.from, scratch.to);
  }
  std::copy(scratch.from.begin(), scratch.from.end(), output.begin());
}

std::vector<float> PlaneInference::calibrate(std::span<const float> examples,
                                             const PlaneSetting& setting) const {
  const auto each = static_cast<std::size_t>(inputs());
  Scratch scratch(*setting.kernel);
  scratch.greatest.assign(names_.size(), 0);
  std::vector<float> output(static_cast<std::size_t>(outputs()));
  for (std::size_t at = 0; at < examples.size(); at += each) {
    run(examples.subspan(at, std::min(each, examples.size() - at)), setting, scratch, output);
  }
  return scratch.greatest;
}

double PlaneInference::accuracy(std::span<const float> examples,
                                std::span<const std::uint8_t> labels, const PlaneSetting& setting,
                                int threads) const {
  check(setting);
  const auto each = static_cast<std::size_t>(inputs());
  if (labels.empty() || examples.size() != labels.size() * each) {
    throw InputError({}, "examples",
                     "expected " + std::to_string(labels.size()) + " of " +
                         counted(inputs(), "values") + ", got " +
                         counted(static_cast<std::int64_t>(examples.size()), "values"));
  }
  ensure(threads >= 1, "threads of inference");
  const auto parts = static_cast<std::size_t>(threads);
  PlaneSetting mine = setting;
  mine.workers = nullptr;
  std::vector<std::size_t> right(parts);
  std::vector<std::exception_ptr> errors(parts);
  PlaneWorkers workers(threads);
  workers.run([&](int thread) {
    const auto part = static_cast<std::size_t>(thread);
    try {
      Scratch scratch(*setting.kernel);
      std::vector<float> output(static_cast<std::size_t>(outputs()));
      const std::size_t end = labels.size() * (part + 1) / parts;
      for (std::size_t i = labels.size() * part / parts; i < end; ++i) {
        run(examples.subspan(i * each, each), mine, scratch, output);
        const auto greatest = std::max_element(output.begin(), output.end()) - output.begin();
        if (greatest == labels[i]) ++right[part];
      }
    } catch (...) {
      errors[part] = std::current_exception();
    }
  });
  std::size_t sum = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    if (errors[part]) std::rethrow_exception(errors[part]);
    sum += right[part];
  }
  return static_cast<double>(sum) / static_cast<double>(labels.size());
}

namespace {

/// One setting in turn with the others.
struct Timed {
  PlaneSetting setting;
  std::vector<std::vector<double>> nanoseconds;  // [matrix][turn]
};

void take_turns(const PlaneInference& inference, std::vector<Timed>& settings, int turns) {
  const std::vector<float> example(static_cast<std::size_t>(inference.inputs()), 0.5F);
  std::vector<float> output(static_cast<std::size_t>(inference.outputs()));
  const std::size_t matrices = inference.matrices().size();
  PlaneInference::Scratch scratch(*settings.front().setting.kernel);
  for (int turn = 0; turn < turns; ++turn) {
    for (Timed& timed : settings) {
      for (const bool counts : {false, true}) {
        scratch.nanoseconds.assign(matrices, 0);
        inference.run(example, timed.setting, scratch, output);
        if (!counts) continue;
        for (std::size_t i = 0; i < matrices; ++i) {
          timed.nanoseconds[i].push_back(scratch.nanoseconds[i]);
        }
      }
    }
  }
}

}  // namespace

PlaneMeasurement measure_plane_table(const PlaneInference& inference,
                                     const PlaneMeasureOptions& options) {
  Diagnostics problems;
  check_axis(options.planes, "planes", problems);
  check_axis(options.activation_bits, "activation_bits", problems);
  if (options.threads < 1) problems.error({}, "threads", "expected at least 1");
  if (options.repeats < 1) problems.error({}, "repeats", "expected at least 1");
  problems.throw_if_any();

  PlaneWorkers workers(options.threads);
  const std::size_t matrices = inference.matrices().size();
  std::vector<Timed> settings;
  for (const int planes : std::set<int>(options.planes.begin(), options.planes.end())) {
    for (const int bits :
         std::set<int>(options.activation_bits.begin(), options.activation_bits.end())) {
      Timed timed;
      timed.setting.planes = {planes};
      timed.setting.activation_bits = bits;
      timed.setting.workers = &workers;
      timed.nanoseconds.resize(matrices);
      settings.push_back(std::move(timed));
    }
  }
  const std::size_t of_planes = settings.size();
  Timed bytes;
  bytes.setting.arithmetic = PlaneArithmetic::int8;
  bytes.setting.workers = &workers;
  bytes.nanoseconds.resize(matrices);
  settings.push_back(std::move(bytes));
  take_turns(inference, settings, options.repeats);

  const PlaneNetwork& network = inference.network();
  PlaneMeasurement measured;
  CostTable& table = measured.table;
  table.provenance = {
      {"network", network.name},
      {"accelerator", processor_name()},
      {"fidelity", "measured"},
      {"batch", "1"},
      {"threads", std::to_string(options.threads)},
      {"kernel", best_plane_kernel().name},
      {"repeats", std::to_string(options.repeats)},
      {"measured",
       "bit-planes of weights times activations, layer by layer in whole examples, from float "
       "activations to float outputs; medians"},
      {"widths", "weights of w bits are w magnitude planes and one of signs"},
      {"not_measured", "what is computed in floats between the layers"},
  };
  table.layers = inference.matrices();
  table.kinds.assign(matrices, "fully_connected");
  if (network.lstm) table.kinds[0] = table.kinds[1] = "recurrent";
  table.axes = {Axis::weight_bits, Axis::activation_bits};
  table.metrics = {"latency_ns"};
  for (std::size_t matrix = 0; matrix < matrices; ++matrix) {
    for (std::size_t i = 0; i < of_planes; ++i) {
      TableRow row;
      row.layer = matrix;
      row.at[index_of(Axis::weight_bits)] = settings[i].setting.planes[0];
      row.at[index_of(Axis::activation_bits)] = settings[i].setting.activation_bits;
      row.values = {median(settings[i].nanoseconds[matrix])};
      table.rows.push_back(std::move(row));
    }
    measured.int8_ns.push_back(median(settings.back().nanoseconds[matrix]));
  }
  return measured;
}

}  // namespace widthwise
