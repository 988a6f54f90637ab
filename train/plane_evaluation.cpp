#include "train/plane_evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/base/error.hpp"
#include "models/base/text.hpp"
#include "models/cost/plan.hpp"
#include "search/network_problem.hpp"
#include "search/solver.hpp"
#include "train/width_plan_cost.hpp"

namespace widthwise {

namespace {

constexpr int kStored = 8;  // magnitude planes in memory
constexpr double kPoints = 100;
constexpr std::size_t kExamplesAtOnce = 1000;  // between looks at `stop`
constexpr int kMostRounds = 12;
constexpr double kTighter = 0.75;
/// Of the loss in an objective of cycles: less than one cycle for all that can be lost, so that of
/// choices that are equally fast the most accurate one is taken.
constexpr double kCyclesPerPoint = 1e-4;
constexpr std::string_view kCycles = "latency_cycles";

bool is_part(const Layer& layer, std::string_view part) {
  return layer.kind == LayerKind::recurrent && layer.op == "lstm" && layer.name.ends_with(part);
}

/// Follows the network from its input.
class Chain {
 public:
  explicit Chain(const Network& network) : network_(network) { made_.name = network.name(); }

  PlaneNetwork follow() {
    for (TensorId id = 0; id < network_.tensors().size(); ++id) {
      if (!network_.tensors()[id].producer) at_ = id;
    }
    for (const Layer& layer : network_.layers()) add(layer);
    if (is_unaveraged_) {
      problems_.error(
          {}, "network",
          network_.name() + ": bit-planes need an LSTM's states averaged over time behind it");
    }
    problems_.throw_if_any();
    ensure(!made_.layers.empty() || made_.lstm, "a network that can be trained has layers");
    return std::move(made_);
  }

 private:
  void refuse(const Layer& layer, const std::string& what) {
    problems_.error({}, "network",
                    network_.name() +
                        ": bit-planes know chains of fully connected layers, if need "
                        "be behind one LSTM, at batch 1; " +
                        what + ": " + layer.name);
  }

  void add(const Layer& layer) {
    const bool follows = layer.inputs.size() == 1 && layer.inputs.front() == at_;
    at_ = layer.output;
    if (!follows) {
      refuse(layer, "reads something else than what comes before it");
    } else if (layer.kind == LayerKind::fully_connected) {
      if (layer.compute->m() != 1 || layer.compute->groups != 1 || is_unaveraged_) {
        refuse(layer, "reads more than one vector");
      } else if (!layer.fused.empty() && layer.fused != std::vector<std::string>{"relu"}) {
        refuse(layer, "another function than relu");
      } else {
        made_.layers.push_back(matrix(layer));
        made_.layers.back().relu = !layer.fused.empty();
      }
    } else if (is_part(layer, "/input") && !made_.lstm && made_.layers.empty()) {
      made_.lstm.emplace().input = matrix(layer);
      is_unaveraged_ = true;
    } else if (is_part(layer, "/recurrent") && made_.lstm && layer.compute->batch == 1 &&
               made_.lstm->recurrent.outputs == 0) {
      made_.lstm->recurrent = matrix(layer);
      made_.lstm->steps = layer.compute->repeat;
    } else if (layer.kind == LayerKind::reduce && layer.op == "mean" && is_unaveraged_ &&
               network_.tensors()[layer.output].elements() == made_.lstm->recurrent.inputs) {
      is_unaveraged_ = false;
    } else {
      refuse(layer, "a layer of another kind");
    }
  }

  static PlaneLayer matrix(const Layer& layer) {
    PlaneLayer made;
    made.name = layer.name;
    made.outputs = layer.compute->n();
    made.inputs = layer.compute->k();
    return made;
  }

  const Network& network_;
  PlaneNetwork made_;
  TensorId at_ = 0;
  bool is_unaveraged_ = false;  // states over time
  Diagnostics problems_;
};

/// Accuracy piece by piece.
class Accuracies {
 public:
  Accuracies(const PlaneInference& inference, const PlaneEvaluation::Run& how, std::size_t all)
      : inference_(inference), how_(how), all_(all) {}

  std::optional<double> of(const PlaneExamples& examples, const PlaneSetting& setting) {
    const std::size_t count = examples.labels.size();
    ensure(count > 0, "accuracy is of examples");
    const std::size_t each = examples.values.size() / count;
    const std::span values(examples.values);
    const std::span labels(examples.labels);
    double right = 0;
    for (std::size_t first = 0; first < count; first += kExamplesAtOnce) {
      if (how_.stop != nullptr && how_.stop->load()) return std::nullopt;
      const std::size_t some = std::min(kExamplesAtOnce, count - first);
      right += std::round(static_cast<double>(some) *
                          inference_.accuracy(values.subspan(first * each, some * each),
                                              labels.subspan(first, some), setting, how_.threads));
    }
    ++done_;
    if (how_.progress) how_.progress(std::min(done_, all_), all_);
    return right / static_cast<double>(count);
  }

 private:
  const PlaneInference& inference_;
  const PlaneEvaluation::Run& how_;
  std::size_t done_ = 0, all_ = 0;
};

std::size_t index_of(const std::vector<int>& planes, int number) {
  const auto found = std::ranges::find(planes, number);
  ensure(found != planes.end(), "a number of planes is one of those that are looked at");
  return static_cast<std::size_t>(found - planes.begin());
}

}  // namespace

PlaneExamples plane_examples(const ImageSet& set, std::span<const std::size_t> indices) {
  PlaneExamples examples;
  const std::size_t each = set.image_bytes();
  examples.values.reserve(indices.size() * each);
  for (const std::size_t index : indices) {
    for (std::size_t i = 0; i < each; ++i) {
      examples.values.push_back(static_cast<float>(set.pixels[index * each + i]) / 255.0F);
    }
    examples.labels.push_back(set.labels[index]);
  }
  return examples;
}

PlaneNetwork plane_structure(const Network& network) { return Chain(network).follow(); }

BitWidth plane_width(const Accelerator& accelerator, int planes) {
  const Engine& engine = accelerator.engine;
  const bool counts_signs = engine.kind == EngineKind::bit_serial && engine.sign_plane;
  return planes + (counts_signs ? 0 : 1);
}

PlaneEvaluation::PlaneEvaluation(const Network& network, std::vector<SimulatedMachine> machines,
                                 PlaneKnobs knobs)
    : network_(network),
      machines_(std::move(machines)),
      knobs_(std::move(knobs)),
      structure_(plane_structure(network)) {
  ensure(!machines_.empty(), "bit-planes are assigned for a machine");
  index_of(knobs_.planes, kStored);
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    if (has_macs(network.layers()[id].kind)) layers_.push_back(id);
  }
  costs_.assign(layers_.size(), std::vector<double>(knobs_.planes.size()));
  for (std::size_t m = 0; m < machines_.size(); ++m) {
    const auto& [accelerator, model] = machines_[m];
    PlaneMachine& made = simulated_.emplace_back();
    made.name = accelerator->name;
    made.clock_hz = accelerator->clock.count();
    const auto cost = [&](BitWidth weights, BitWidth activations) {
      std::vector<LayerChoice> choices;
      for (const LayerId id : layers_) choices.push_back({id, {weights}, activations});
      return choice_cost(network, *model, *accelerator, choices, knobs_.output_bits);
    };
    const std::size_t metric = metric_index(model->metrics(), kCycles);
    made.eight_bit_s = cost(8, 8).totals[metric] / made.clock_hz;
    for (std::size_t n = 0; n < knobs_.planes.size(); ++n) {
      made.weight_bits.push_back(plane_width(*accelerator, knobs_.planes[n]));
      const ChoiceCost at = cost(made.weight_bits.back(), knobs_.activation_bits);
      made.seconds.push_back(at.totals[metric] / made.clock_hz);
      for (std::size_t l = 0; m == 0 && l < layers_.size(); ++l) {
        costs_[l][n] = at.by_layer[layers_[l]][metric];
      }
    }
  }
}

double PlaneEvaluation::seconds(const SimulatedMachine& machine,
                                std::span<const int> planes) const {
  std::vector<LayerChoice> choices;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    choices.push_back(
        {layers_[l], {plane_width(*machine.accelerator, planes[l])}, knobs_.activation_bits});
  }
  const ChoiceCost cost =
      choice_cost(network_, *machine.model, *machine.accelerator, choices, knobs_.output_bits);
  return cost.totals[metric_index(cost.metrics, kCycles)] / machine.accelerator->clock.count();
}

double PlaneEvaluation::lost(const std::vector<PlaneLayerResult>& layers,
                             std::span<const int> planes) const {
  double sum = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    sum += std::max(layers[l].lost[index_of(knobs_.planes, planes[l])], 0.0);
  }
  return sum;
}

std::vector<int> PlaneEvaluation::solve(const std::vector<PlaneLayerResult>& layers, double limit,
                                        int least) const {
  const SimulatedMachine& machine = machines_.front();
  CostTable losses;
  losses.axes = {Axis::weight_bits, Axis::activation_bits};
  losses.metrics = {"loss"};
  NetworkProblemRequest request;
  const std::size_t first = index_of(knobs_.planes, least);
  const std::vector<BitWidth>& widths = simulated_.front().weight_bits;
  request.weight_bits.assign(widths.begin() + static_cast<std::ptrdiff_t>(first), widths.end());
  request.activation_bits = {knobs_.activation_bits};
  request.costs = {std::string(kCycles)};
  request.output_bits = knobs_.output_bits;
  for (const PlaneLayerResult& layer : layers) {
    losses.layers.push_back(layer.name);
    for (std::size_t n = first; n < knobs_.planes.size(); ++n) {
      AxisValues at{};
      at[widthwise::index_of(Axis::weight_bits)] = widths[n];
      at[widthwise::index_of(Axis::activation_bits)] = knobs_.activation_bits;
      losses.rows.push_back({losses.layers.size() - 1, at, {std::max(layer.lost[n], 0.0)}, {}});
    }
  }
  // Only widths of weights are chosen: tensors are stored, and lie, as they are anyway.
  Assignment uniform;
  uniform.defaults = {request.weight_bits.back(), knobs_.activation_bits};
  uniform.output_bits = knobs_.output_bits;
  request.homes = place_tensors(network_, resolve_widths(network_, uniform), *machine.accelerator);

  NetworkProblem made = network_problem(network_, *machine.model, losses, request);
  made.problem.objective = {kCyclesPerPoint, {1}};
  made.problem.budgets.push_back({kLoss, {BudgetForm::Kind::max, limit, {}}, limit, {}});
  const Solution solution = widthwise::solve(made.problem);
  ensure(solution.choice.has_value(), "all planes lose nothing against all planes");
  std::vector<int> planes(layers.size());
  for (std::size_t g = 0; g < made.layers.size(); ++g) {
    const Option& option = made.problem.groups[g].options[(*solution.choice)[g]];
    const auto layer = std::ranges::find(layers_, made.layers[g]) - layers_.begin();
    const auto n = std::ranges::find(widths, option.weight_bits) - widths.begin();
    planes[static_cast<std::size_t>(layer)] = knobs_.planes[static_cast<std::size_t>(n)];
  }
  return planes;
}

std::optional<PlaneReport> PlaneEvaluation::run(PlaneNetwork trained, const PlaneExamples& test,
                                                const PlaneExamples& calibration,
                                                double accuracy_float, const Run& how) const {
  PlaneOptions options;
  options.planes = kStored;
  const PlaneInference inference(std::move(trained), options);
  const std::size_t numbers = knobs_.planes.size();
  PlaneReport report;
  report.planes = knobs_.planes;
  report.activation_bits = knobs_.activation_bits;
  report.test_images = static_cast<std::int64_t>(test.labels.size());
  report.calibration_images = static_cast<std::int64_t>(calibration.labels.size());
  report.accuracy_float = accuracy_float;
  report.max_loss = knobs_.max_loss;
  report.machines = simulated_;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    ensure(inference.matrices()[l] == network_.layers()[layers_[l]].name,
           "matrices are the layers with multiply-accumulates");
    report.layers.push_back({inference.matrices()[l], kStored, {}, costs_[l]});
  }

  Accuracies accuracies(inference, how, numbers + 4 + layers_.size() * (numbers - 1));
  PlaneSetting int8;
  int8.arithmetic = PlaneArithmetic::int8;
  const auto by_planes = [&](std::vector<int> planes) {
    PlaneSetting setting;
    setting.planes = std::move(planes);
    setting.activation_bits = knobs_.activation_bits;
    return setting;
  };

  const auto of_test = accuracies.of(test, int8);
  if (!of_test) return std::nullopt;
  report.accuracy_int8 = *of_test;
  for (const int n : knobs_.planes) {
    const auto found = accuracies.of(test, by_planes({n}));
    if (!found) return std::nullopt;
    report.accuracies.push_back(*found);
  }

  // What each layer alone loses.
  const auto at_int8 = accuracies.of(calibration, int8);
  const auto at_all = accuracies.of(calibration, by_planes({kStored}));
  if (!at_int8 || !at_all) return std::nullopt;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    for (const int n : knobs_.planes) {
      double found = *at_all;
      if (n != kStored) {
        std::vector<int> planes(layers_.size(), kStored);
        planes[l] = n;
        const auto other = accuracies.of(calibration, by_planes(planes));
        if (!other) return std::nullopt;
        found = *other;
      }
      report.layers[l].lost.push_back(kPoints * (*at_all - found));
    }
  }

  std::vector<int> planes;
  report.loss_limit = knobs_.max_loss;
  report.least_planes = knobs_.planes.front();
  while (true) {
    ++report.rounds;
    planes = solve(report.layers, report.loss_limit, report.least_planes);
    const auto found = accuracies.of(calibration, by_planes(planes));
    if (!found) return std::nullopt;
    report.assigned_lost = kPoints * (*at_int8 - *found);
    if (fits(report.assigned_lost, knobs_.max_loss) || report.least_planes == kStored) break;
    const double used = lost(report.layers, planes);
    if (used > 0 && report.rounds < kMostRounds) {
      report.loss_limit = kTighter * used;
    } else {
      report.least_planes =
          *std::ranges::upper_bound(knobs_.planes, *std::ranges::min_element(planes));
    }
  }
  for (std::size_t l = 0; l < layers_.size(); ++l) report.layers[l].planes = planes[l];
  const auto verified = accuracies.of(test, by_planes(planes));
  if (!verified) return std::nullopt;
  report.assigned_accuracy = *verified;

  for (std::size_t m = 0; m < machines_.size(); ++m) {
    report.machines[m].assigned_s = seconds(machines_[m], planes);
  }
  PlaneMeasureOptions measure;
  measure.planes = knobs_.planes;
  measure.activation_bits = {knobs_.activation_bits};
  measure.repeats = knobs_.host_repeats;
  const PlaneMeasurement measured = measure_plane_table(inference, measure);
  constexpr double kNano = 1e-9;
  PlaneMachine& host = report.machines.emplace_back();
  host.name = measured.table.said("accelerator").value_or("");
  host.measured = true;
  host.seconds.assign(numbers, 0);
  for (const double ns : measured.int8_ns) host.eight_bit_s += kNano * ns;
  for (const TableRow& row : measured.table.rows) {
    const auto n = static_cast<int>(row.at[widthwise::index_of(Axis::weight_bits)]);
    const double s = kNano * row.values.front();
    host.seconds[index_of(knobs_.planes, n)] += s;
    if (planes[row.layer] == n) host.assigned_s += s;
  }
  return report;
}

}  // namespace widthwise
