#include "models/cost/machine_model.hpp"

#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "models/base/worker_pool.hpp"
#include "models/cost/analytic.hpp"
#include "models/cost/metrics.hpp"

namespace widthwise {

namespace {

/// Diagnostics on their way from a worker. The parts are texts without control characters.
constexpr char kBetweenParts = '\x1f';
constexpr char kBetweenDiagnostics = '\x1e';

std::string packed(const Diagnostics& problems) {
  std::string text;
  for (const Diagnostic& d : problems.items()) {
    text += d.place.file + kBetweenParts + std::to_string(d.place.line) + kBetweenParts +
            std::to_string(d.place.column) + kBetweenParts + d.key + kBetweenParts + d.message +
            kBetweenDiagnostics;
  }
  return text;
}

void unpack(std::string_view text, Diagnostics& problems) {
  while (!text.empty()) {
    std::string parts[5];
    for (std::size_t i = 0; i < 5; ++i) {
      const std::size_t end = text.find(i < 4 ? kBetweenParts : kBetweenDiagnostics);
      ensure(end != std::string_view::npos, "a worker's diagnostics are whole");
      parts[i] = text.substr(0, end);
      text.remove_prefix(end + 1);
    }
    problems.error({parts[0], std::stoi(parts[1]), std::stoi(parts[2])}, parts[3], parts[4]);
  }
}

std::string packed(const std::vector<double>& values) {
  std::string bytes(values.size() * sizeof(double), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<double> unpacked(const std::string& bytes) {
  std::vector<double> values(bytes.size() / sizeof(double));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace

/// The points' distinct layers that are not in the cache.
struct MachineCostModel::Work {
  std::vector<LayerPlan> plans;
  std::vector<ContentKey> keys;
  std::vector<PointCost> costs;
  Diagnostics problems;
};

MachineCostModel::MachineCostModel(Network network, Accelerator accelerator,
                                   const EnergyTable& energy, Fidelity fidelity,
                                   ComputeLayers compute, CheckLayer check,
                                   MachineModelOptions options)
    : network_(std::move(network)),
      accelerator_(std::move(accelerator)),
      energy_(accelerator_, energy),
      fidelity_(fidelity),
      compute_layers_(std::move(compute)),
      check_(std::move(check)),
      options_(std::move(options)),
      keys_(accelerator_, energy_, fidelity) {}

const std::vector<std::string>& MachineCostModel::metrics() const { return machine_metrics(); }

std::vector<PointCost> MachineCostModel::costs(std::span<const LayerPoint> points) {
  Work work;
  std::map<ContentKey, std::size_t> places;  // of distinct layers, in `distinct`
  std::vector<PointCost> distinct;
  std::vector<std::size_t> place_of(points.size());
  std::vector<std::size_t> missing;  // places in `distinct`, one per plan of `work`
  for (std::size_t i = 0; i < points.size(); ++i) {
    LayerPlan plan = set_layer(network_, points[i], accelerator_, work.problems);
    if (!plan.engine && !plan.vector) continue;  // a mistake
    const ContentKey key = keys_.key(plan);
    const auto [found, is_new] = places.try_emplace(key, distinct.size());
    place_of[i] = found->second;
    if (!is_new) continue;
    distinct.emplace_back();
    if (options_.cache != nullptr) {
      if (auto values = options_.cache->find(key, metrics().size())) {
        distinct.back().values = std::move(*values);
        continue;
      }
    }
    missing.push_back(found->second);
    work.plans.push_back(std::move(plan));
    work.keys.push_back(key);
  }
  work.problems.throw_if_any();
  compute(work);
  work.problems.throw_if_any();
  for (std::size_t i = 0; i < missing.size(); ++i) {
    distinct[missing[i]] = std::move(work.costs[i]);
  }
  std::vector<PointCost> costs(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) costs[i] = distinct[place_of[i]];
  return costs;
}

void MachineCostModel::tile(LayerPlan& plan, Diagnostics& problems) const {
  tile_layer(plan, accelerator_, energy_, problems);
  if (problems.empty() && check_) check_(plan, accelerator_, problems);
}

void MachineCostModel::compute(Work& work) {
  const std::size_t count = work.plans.size();
  work.costs.resize(count);
  std::size_t done = 0;
  const auto came = [&](std::size_t i) {
    ++computed_;
    if (options_.cache != nullptr && work.costs[i].failure.empty()) {
      options_.cache->store(work.keys[i], work.costs[i].values);
    }
    if (options_.progress) options_.progress(++done, count, work.plans[i].setting.layer->name);
  };
  if (count == 0) return;
  if (options_.jobs == 0) {
    std::size_t at = 0;
    const auto next = [&]() -> const LayerPlan* {
      while (at < count) {
        Diagnostics problems;
        LayerPlan& plan = work.plans[at++];
        tile(plan, problems);
        if (problems.empty()) return &plan;
        work.problems.append(problems.items());
      }
      return nullptr;
    };
    compute_layers_(accelerator_, energy_, next, [&](const LayerCost& cost) {
      work.costs[at - 1].values = metric_values(cost, accelerator_.clock);
      came(at - 1);
    });
  } else {
    const auto in_worker = [&](TaskChannel& channel) {
      const auto next = [&]() -> const LayerPlan* {
        while (const auto task = channel.next()) {
          Diagnostics problems;
          LayerPlan& plan = work.plans[*task];
          tile(plan, problems);
          if (problems.empty()) return &plan;
          channel.refuse(packed(problems));
        }
        return nullptr;
      };
      compute_layers_(accelerator_, energy_, next, [&](const LayerCost& cost) {
        channel.answer(packed(metric_values(cost, accelerator_.clock)));
      });
    };
    PoolOptions pool{options_.jobs, options_.time_limit, {}};
    pool.answered = [&](std::size_t task, const TaskAnswer& answer) {
      if (answer.status == TaskAnswer::Status::refused) {
        unpack(answer.text, work.problems);
        return;
      }
      if (answer.status == TaskAnswer::Status::done) {
        work.costs[task].values = unpacked(answer.text);
      } else {
        work.costs[task].failure = answer.text;
      }
      came(task);
    };
    run_in_workers(count, in_worker, pool);
  }
  if (options_.cache != nullptr) options_.cache->flush();
}

ContentKey MachineCostModel::inputs_key() const {
  // Layers at one pair of widths: what else a layer depends on is in its key.
  const WidthPlan widths = resolve_widths(network_, parse_uniform_assignment("w8a8"));
  Diagnostics ignored;
  ContentKey key = keys_.machine();
  for (const LayerPoint& point : layer_points(network_, widths, accelerator_)) {
    const LayerPlan plan = set_layer(network_, point, accelerator_, ignored);
    const std::string name = network_.layers()[point.layer].name;
    key = content_key(plan.engine || plan.vector ? name + to_hex(keys_.key(plan)) : name, key);
  }
  return key;
}

std::unique_ptr<MachineCostModel> analytic_cost_model(Network network, Accelerator accelerator,
                                                      const EnergyTable& energy,
                                                      MachineModelOptions options) {
  const auto compute = [](const Accelerator& machine, const EnergyModel& energies,
                          const PlannedLayers& next,
                          const std::function<void(const LayerCost&)>& done) {
    for (const LayerPlan* plan = next(); plan != nullptr; plan = next()) {
      done(analytic_layer_cost(*plan, machine, energies));
    }
  };
  return std::make_unique<MachineCostModel>(std::move(network), std::move(accelerator), energy,
                                            Fidelity::analytic, compute, CheckLayer{},
                                            std::move(options));
}

}  // namespace widthwise
