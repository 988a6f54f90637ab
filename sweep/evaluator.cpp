#include "sweep/evaluator.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/base/read_file.hpp"
#include "models/cost/layer_key.hpp"
#include "models/cost/layer_point.hpp"
#include "models/table/table_csv.hpp"
#include "search/network_search.hpp"

namespace widthwise {

namespace {

enum Metric : std::size_t { latency, energy, edp, area, loss, dram, weights, kMetrics };

constexpr double kPicojoulesPerJoule = 1e12;

/// Figures of the cost model that sums are made of.
constexpr const char* kSummed[] = {"latency_s", "energy_pj", "dram_bytes", "weight_bytes"};
constexpr Metric kSummedAs[] = {latency, energy, dram, weights};

std::string shown(LayerWidths widths) {
  return fmt::format("w{}a{}", widths.weight, widths.activation);
}

/// As files and columns have it, where case does not count.
std::string plain_name(const std::string& name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte < 128 && (std::isalnum(byte) != 0 || c == '.' || c == '_');
    text += plain ? static_cast<char>(std::tolower(byte)) : '-';
  }
  return text;
}

/// A cost model that remembers why a point failed: that is no property of the machine.
class WatchedModel : public CostModel {
 public:
  WatchedModel(std::unique_ptr<CostModel> model, std::string& failure)
      : model_(std::move(model)), failure_(failure) {}

  [[nodiscard]] const std::vector<std::string>& metrics() const override {
    return model_->metrics();
  }
  [[nodiscard]] std::vector<PointCost> costs(std::span<const LayerPoint> points) override {
    std::vector<PointCost> costs = model_->costs(points);
    for (const PointCost& cost : costs) {
      if (failure_.empty()) failure_ = cost.failure;
    }
    return costs;
  }

 private:
  std::unique_ptr<CostModel> model_;
  std::string& failure_;
};

std::string shape_text(const Network& network, const Layer& layer) {
  std::string text = fmt::format("{} {} {} {} {}", layer.name, to_string(layer.kind), layer.op,
                                 layer.weights, layer.biases);
  if (const auto& c = layer.compute) {
    text += fmt::format("; {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", c->batch,
                        c->groups, c->in_channels, c->out_channels, c->in_h, c->in_w, c->out_h,
                        c->out_w, c->kernel_h, c->kernel_w, c->stride_h, c->stride_w, c->dilation_h,
                        c->dilation_w, c->pad_top, c->pad_left, c->repeat,
                        c->second_operand_is_activation);
  }
  if (const auto& v = layer.vector) {
    text += fmt::format("; {} {} {}", v->input_elements, v->output_elements, v->operations);
  }
  for (const TensorId input : layer.inputs) {
    text += fmt::format("; {} {}", input, network.tensors()[input].elements());
  }
  for (const std::string& fused : layer.fused) text += "; " + fused;
  return text + fmt::format("; {} {}\n", layer.output, network.tensors()[layer.output].is_output);
}

std::string shortfall_text(const Problem& problem, const Shortfall& shortfall) {
  std::string text = shortfall.jointly ? "budgets that cannot be met together: " : "";
  for (std::size_t i = 0; i < shortfall.misses.size(); ++i) {
    const Shortfall::Miss& miss = shortfall.misses[i];
    text += fmt::format("{}{} is at least {:.6g}, {:.6g} above its limit", i > 0 ? "; " : "",
                        problem.metric_name(problem.budgets[miss.budget].metric), miss.least,
                        miss.over);
  }
  return text;
}

}  // namespace

const std::vector<std::string>& sweep_metrics() {
  static const std::vector<std::string> names{"latency_s", "energy_pj",  "edp_js",      "area_mm2",
                                              "loss",      "dram_bytes", "weight_bytes"};
  return names;
}

std::string_view to_string(MachineResult::Status status) {
  switch (status) {
    case MachineResult::Status::done:
      return "done";
    case MachineResult::Status::infeasible:
      return "infeasible";
    case MachineResult::Status::excluded:
      return "excluded";
    case MachineResult::Status::failed:
      return "failed";
  }
  ensure(false, "a status that has no name");
  return "";
}

Evaluator::Evaluator(const DesignSpace& design, MakeCostModel make_model,
                     const std::function<Assignment(const Given&)>& assignment_of)
    : space_(design), make_model_(std::move(make_model)) {
  Diagnostics problems;
  const Space& space = design.space();
  for (const SpaceNetwork& said : space.networks) {
    try {
      NetworkWithWeights read = load_network_with_weights(said.name, said.source);
      CostTable table;
      if (said.has_losses) {
        SensitivityRequest request = said.sensitivity;
        if (space.search) {
          request.weight_bits = space.search->weight_bits;
          request.activation_bits = space.search->activation_bits;
        }
        table = losses(read.network, read.weights ? &*read.weights : nullptr, request);
      }
      for (const Network& other : networks_) {
        if (plain_name(other.name()) != plain_name(read.network.name())) continue;
        problems.error(
            said.name.place, said.name.key,
            fmt::format("is called '{}', as another network of the space is", read.network.name()));
      }
      networks_.push_back(std::move(read.network));
      losses_.push_back(std::move(table));
    } catch (const InputError& error) {
      problems.append(error.diagnostics());
    }
  }
  has_loss_ = std::all_of(space.networks.begin(), space.networks.end(),
                          [](const SpaceNetwork& network) { return network.has_losses; });
  const auto read_bits = [&](const Given& given) {
    try {
      assignments_.emplace_back(given.text, assignment_of(given));
      if (!problems.empty()) return;
      for (const Network& network : networks_) resolve_widths(network, assignments_.back().second);
    } catch (const InputError& error) {
      problems.append(error.diagnostics());
    }
  };
  if (!space.search) {
    bool is_axis = false;
    for (const SpaceAxis& axis : space.axes) {
      if (axis.key != kBitsAxis) continue;
      is_axis = true;
      for (const std::string& value : axis.values) {
        read_bits(Given{value, axis.place, "axes.bits"});
      }
    }
    if (!is_axis) read_bits(Given{space.bits, SourcePlace{space.file}, "bits"});
  }
  problems.throw_if_any();

  for (std::size_t m = 0; m < kMetrics; ++m) {
    if (m != loss || has_loss_) metrics_.push_back(sweep_metrics()[m]);
  }
  if (networks_.size() > 1) {
    for (const Network& network : networks_) {
      for (const std::string& name : sweep_metrics()) {
        if (name == "area_mm2" || (name == "loss" && !has_loss_)) continue;
        metrics_.push_back(network.name() + '.' + name);
      }
    }
  }
}

double Evaluator::loss_at(std::size_t network, const WidthPlan& widths) const {
  double sum = 0;
  const CostTable& table = losses_[network];
  for (const TableRow& row : table.rows) {
    const auto layer = networks_[network].find_layer(table.layers[row.layer]);
    ensure(layer.has_value(), "losses are of the network's layers");
    const LayerWidths at{static_cast<BitWidth>(row.at[index_of(Axis::weight_bits)]),
                         static_cast<BitWidth>(row.at[index_of(Axis::activation_bits)])};
    if (at == widths.layers[*layer]) sum += row.values.front();
  }
  return sum;
}

bool Evaluator::search(std::size_t index, const Machine& machine, CostModel& fast, CostModel& model,
                       MachineResult& result) const {
  const Network& network = networks_[index];
  const SearchOutcome outcome = search_network(network, machine.accelerator, {&fast, &model},
                                               losses_[index], *space_.space().search);
  const Problem& problem = outcome.network_problem.problem;
  const Solution& solution = outcome.solution;
  if (!solution.choice) {
    const bool infeasible = solution.status == SolveStatus::infeasible;
    result.status = infeasible ? MachineResult::Status::infeasible : MachineResult::Status::failed;
    result.reason = network.name() + ": " +
                    (solution.shortfall ? shortfall_text(problem, *solution.shortfall)
                                        : std::string(to_string(solution.status)));
    return false;
  }
  if (!outcome.confirmed) {
    result.status = MachineResult::Status::failed;
    result.reason = network.name() + ": no widths were confirmed to be within the budgets";
    return false;
  }
  if (solution.status == SolveStatus::time_limit) {
    result.reason = network.name() + ": the time limit came before the proof";
  }
  std::string text;
  for (std::size_t g = 0; g < problem.groups.size(); ++g) {
    if (g > 0) text += ' ';
    text += shown(problem.groups[g].options[(*solution.choice)[g]].widths());
  }
  result.widths.push_back(std::move(text));
  return true;
}

Assignment Evaluator::assignment(const Machine& machine, const MachineResult& result,
                                 std::size_t index) const {
  if (!space_.space().search) {
    const auto found = std::find_if(assignments_.begin(), assignments_.end(),
                                    [&](const auto& one) { return one.first == machine.bits; });
    ensure(found != assignments_.end(), "all assignments of the space were read");
    return found->second;
  }
  Assignment assignment;
  assignment.name = "best of the machine";
  std::string_view text = result.widths.at(index);
  for (const Layer& layer : networks_[index].layers()) {
    if (!layer.compute) continue;
    const std::size_t end = text.find(' ');
    const LayerWidths widths = parse_uniform_assignment(text.substr(0, end)).defaults;
    WidthRule rule{layer.name, std::nullopt, widths.activation, {}};
    if (layer.weights > 0) rule.weight = widths.weight;
    assignment.rules.push_back(std::move(rule));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return assignment;
}

MachineResult Evaluator::evaluate(std::uint64_t cell) const {
  MachineResult result;
  auto made = space_.machine(cell);
  if (const auto* excluded = std::get_if<Excluded>(&made)) {
    result.status = MachineResult::Status::excluded;
    result.reason = excluded->reason;
    return result;
  }
  const auto& machine = std::get<Machine>(made);
  result.derived = machine.derived;
  const Space& space = space_.space();
  std::vector<double> sums(kMetrics, 0.0);
  std::vector<double> of_networks;
  std::string failure;
  try {
    for (std::size_t n = 0; n < networks_.size(); ++n) {
      const Network& network = networks_[n];
      WatchedModel model(make_model_(network, machine, space.fidelity, &memo_), failure);
      if (space.search) {
        // The closed form says what to look at, the model what it costs.
        std::unique_ptr<CostModel> fast;
        if (space.fidelity != Fidelity::analytic) {
          fast = make_model_(network, machine, Fidelity::analytic, &memo_);
        }
        if (!search(n, machine, fast ? *fast : model, model, result)) return result;
      }
      const WidthPlan widths = resolve_widths(network, assignment(machine, result, n));
      const auto points = layer_points(network, widths, machine.accelerator);
      const std::vector<double> totals = total_cost(model, points);
      std::vector<double> figures(kMetrics, 0.0);
      for (std::size_t i = 0; i < std::size(kSummed); ++i) {
        figures[kSummedAs[i]] = totals[metric_index(model.metrics(), kSummed[i])];
      }
      figures[edp] = figures[latency] * figures[energy] / kPicojoulesPerJoule;
      figures[loss] = loss_at(n, widths);
      for (const Metric metric : {latency, energy, loss, dram, weights}) {
        sums[metric] += space.networks[n].weight * figures[metric];
      }
      if (networks_.size() < 2) continue;
      for (std::size_t m = 0; m < kMetrics; ++m) {
        if (m != area && (m != loss || has_loss_)) of_networks.push_back(figures[m]);
      }
    }
  } catch (const InputError& error) {
    // Widths that the machine does not have, no tile that fits its buffers.
    const Diagnostic& first = error.diagnostics().front();
    result = {};
    if (!failure.empty()) {
      result.derived = machine.derived;
      result.reason = failure;
      return result;
    }
    result.status = MachineResult::Status::excluded;
    result.reason =
        first.place.file.empty() ? first.message : first.place.file + ": " + first.message;
    return result;
  }
  sums[edp] = sums[latency] * sums[energy] / kPicojoulesPerJoule;
  sums[area] = machine.area_mm2;
  for (std::size_t m = 0; m < kMetrics; ++m) {
    if (m != loss || has_loss_) result.values.push_back(sums[m]);
  }
  result.values.insert(result.values.end(), of_networks.begin(), of_networks.end());
  result.status = MachineResult::Status::done;
  return result;
}

std::string Evaluator::identity() const {
  std::string text = fmt::format("{}\n{}\n", model_revision(), space_.space().identity);
  for (std::size_t n = 0; n < networks_.size(); ++n) {
    for (const Layer& layer : networks_[n].layers()) text += shape_text(networks_[n], layer);
    text += cost_table_csv(losses_[n]);
  }
  for (const auto& [name, assignment] : assignments_) {
    text += name + ':';
    for (const Network& network : networks_) {
      const WidthPlan widths = resolve_widths(network, assignment);
      for (const LayerWidths& layer : widths.layers) text += ' ' + shown(layer);
    }
    text += '\n';
  }
  return text + space_.identity();
}

std::string packed(const MachineResult& result) {
  nlohmann::json json{{"status", static_cast<int>(result.status)},
                      {"reason", result.reason},
                      {"values", result.values},
                      {"derived", result.derived},
                      {"widths", result.widths}};
  const std::vector<std::uint8_t> bytes = nlohmann::json::to_cbor(json);
  return {bytes.begin(), bytes.end()};
}

MachineResult unpacked_result(std::string_view bytes) {
  const nlohmann::json json = nlohmann::json::from_cbor(bytes);
  MachineResult result;
  result.status = static_cast<MachineResult::Status>(json.at("status").get<int>());
  result.reason = json.at("reason").get<std::string>();
  result.values = json.at("values").get<std::vector<double>>();
  result.derived = json.at("derived").get<std::vector<std::string>>();
  result.widths = json.at("widths").get<std::vector<std::string>>();
  return result;
}

}  // namespace widthwise
