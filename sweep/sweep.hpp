// A sweep: cells by the strategy, each evaluated once, each result kept at once.
//
//   PointStore store(...);
//   run_sweep(evaluator, store, run_local(evaluator, {.jobs = 8}));
//
// What was kept before is not evaluated again, so that a sweep which was killed goes on where it
// was; results do not depend on the order in which they come.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "sweep/evaluator.hpp"
#include "sweep/point_store.hpp"

namespace widthwise {

/// Evaluates cells, in any order, and hands out each result when it comes.
using RunCells = std::function<void(
    std::span<const std::uint64_t> cells,
    const std::function<void(std::uint64_t cell, const MachineResult& result)>& done)>;

struct LocalOptions {
  std::size_t jobs = 1;                           // worker processes
  std::chrono::milliseconds time_limit{600'000};  // of one cell; then it has failed
  std::function<void()> waiting = {};             // once a second at least, as long as it runs
};

/// In worker processes of this machine. A worker that crashes or takes too long costs its cell.
RunCells run_local(const Evaluator& evaluator, const LocalOptions& options);

struct SweepProgress {
  std::uint64_t done = 0, total = 0;  // of the strategy's cells
};

/// Throws InputError if a result can not be kept.
void run_sweep(const Evaluator& evaluator, PointStore& store, const RunCells& run,
               const std::function<void(const SweepProgress&)>& progress = {});

/// Indices of the space's objectives among the evaluator's metrics.
std::vector<std::size_t> objective_metrics(const Evaluator& evaluator);

}  // namespace widthwise
