#include "sweep/sweep.hpp"

#include <algorithm>
#include <set>

#include "models/base/worker_pool.hpp"
#include "sweep/strategy.hpp"

namespace widthwise {

namespace {

/// Cells that go to the workers together: their answers lie in memory at once.
constexpr std::size_t kTogether = 4096;

std::vector<std::size_t> extents_of(const Space& space) {
  std::vector<std::size_t> extents;
  for (const SpaceAxis& axis : space.axes) extents.push_back(axis.values.size());
  return extents;
}

}  // namespace

std::vector<std::size_t> objective_metrics(const Evaluator& evaluator) {
  std::vector<std::size_t> indices;
  const auto& metrics = evaluator.metrics();
  for (const std::string& name : evaluator.space().space().objectives) {
    const auto found = std::find(metrics.begin(), metrics.end(), name);
    ensure(found != metrics.end(), "objectives were checked");
    indices.push_back(static_cast<std::size_t>(found - metrics.begin()));
  }
  return indices;
}

RunCells run_local(const Evaluator& evaluator, const LocalOptions& options) {
  return [&evaluator, options](std::span<const std::uint64_t> cells, const auto& done) {
    const auto work = [&](TaskChannel& channel) {
      while (const auto task = channel.next()) {
        channel.answer(packed(evaluator.evaluate(cells[*task])));
      }
    };
    PoolOptions pool{std::min(options.jobs, cells.size()), options.time_limit, {}, options.waiting};
    pool.answered = [&](std::size_t task, const TaskAnswer& answer) {
      MachineResult result;
      if (answer.status == TaskAnswer::Status::done) {
        result = unpacked_result(answer.text);
      } else {
        result.status = MachineResult::Status::failed;
        result.reason = answer.text;
      }
      done(cells[task], result);
    };
    run_in_workers(cells.size(), work, pool);
  };
}

void run_sweep(const Evaluator& evaluator, PointStore& store, const RunCells& run,
               const std::function<void(const SweepProgress&)>& progress) {
  const Space& space = evaluator.space().space();
  const std::vector<std::size_t> extents = extents_of(space);
  SweepProgress at;
  const auto tell = [&](std::uint64_t more) {
    at.done += more;
    if (progress) progress(at);
  };
  const auto keep = [&](std::uint64_t cell, const MachineResult& result) {
    store.put(cell, result);
    tell(1);
  };
  if (space.strategy.kind == StrategySettings::Kind::nsga2) {
    at.total = space.strategy.population * (space.strategy.generations + 1);
    const std::vector<std::size_t> objectives = objective_metrics(evaluator);
    const auto evaluate = [&](const std::vector<std::vector<std::size_t>>& coordinates) {
      std::vector<std::uint64_t> cells;
      std::set<std::uint64_t> missing;
      for (const auto& point : coordinates) {
        cells.push_back(evaluator.space().cell(point));
        if (!store.has(cells.back())) missing.insert(cells.back());
      }
      tell(cells.size() - missing.size());
      if (!missing.empty()) run(std::vector(missing.begin(), missing.end()), keep);
      std::vector<Objectives> answers;
      for (const std::uint64_t cell : cells) {
        const auto result = store.find(cell);
        ensure(result.has_value(), "every cell has a result");
        Objectives& answer = answers.emplace_back();
        if (result->status != MachineResult::Status::done) continue;
        answer.emplace();
        for (const std::size_t metric : objectives) answer->push_back(result->values[metric]);
      }
      return answers;
    };
    evolve(space.strategy, extents, objectives.size(), evaluate);
    return;
  }
  const auto sequence = cell_sequence(space.strategy, extents);
  at.total = sequence->size();
  std::vector<std::uint64_t> batch;
  const auto run_batch = [&] {
    // Neighbours have layers in common.
    std::sort(batch.begin(), batch.end());
    const auto last = std::unique(batch.begin(), batch.end());
    tell(static_cast<std::uint64_t>(batch.end() - last));
    batch.erase(last, batch.end());
    if (!batch.empty()) run(batch, keep);
    batch.clear();
  };
  while (const auto cell = sequence->next()) {
    if (store.has(*cell)) {
      tell(1);
      continue;
    }
    batch.push_back(*cell);
    if (batch.size() == kTogether) run_batch();
  }
  run_batch();
}

}  // namespace widthwise
