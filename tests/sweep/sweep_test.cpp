// Sweeps in worker processes: every cell has its result, whatever happens to a worker.
#include "sweep/sweep.hpp"

#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/sweep/tiny_space.hpp"

namespace widthwise {

namespace {

using namespace std::chrono_literals;
using Status = MachineResult::Status;
using Kind = StrategySettings::Kind;
using Results = std::map<std::uint64_t, MachineResult>;

LocalOptions with_jobs(std::size_t jobs, std::chrono::milliseconds limit = 600s) {
  LocalOptions options;
  options.jobs = jobs;
  options.time_limit = limit;
  return options;
}

struct Sweep {
  explicit Sweep(Space said, const MakeCostModel& make_model = closed_form)
      : space(std::move(said)), design(space), evaluator(design, make_model, uniform_assignment) {}

  [[nodiscard]] PointStore store(const TemporaryFolder& folder) const {
    return {folder.path("points.sqlite"), given_at(folder.path(), {"--output"}, ""),
            evaluator.metrics()};
  }

  [[nodiscard]] Results run(std::size_t jobs) const {
    const TemporaryFolder folder;
    PointStore kept = store(folder);
    run_sweep(evaluator, kept, run_local(evaluator, with_jobs(jobs)));
    return all(kept);
  }

  static Results all(const PointStore& store) {
    Results results;
    store.for_each(
        [&](std::uint64_t cell, const MachineResult& result) { results.emplace(cell, result); });
    return results;
  }

  Space space;
  DesignSpace design;
  Evaluator evaluator;
};

/// A closed form to which something happens at machines of 8 rows and 8 columns, cell 4.
MakeCostModel at_cell_4(const std::function<void()>& happens) {
  return [happens](const Network& network, const Machine& machine, Fidelity fidelity,
                   CostStore* memo) {
    if (machine.accelerator.engine.rows == 8 && machine.accelerator.engine.columns == 8) happens();
    return closed_form(network, machine, fidelity, memo);
  };
}

void check_all_but_4(const Results& results, const Results& expected) {
  REQUIRE(results.size() == expected.size());
  for (const auto& [cell, result] : expected) {
    if (cell != 4) CHECK(results.at(cell) == result);
  }
}

TEST_CASE("A sweep has the result of every cell, the same for any number of workers") {
  const TinyFolder folder;
  const Sweep sweep(folder.space());
  const Results one = sweep.run(1);
  REQUIRE(one.size() == 6);
  for (const auto& [cell, result] : one) {
    CHECK(result.status == Status::done);
    CHECK(result == sweep.evaluator.evaluate(cell));
  }
  for (const std::size_t jobs : {2U, 3U, 16U}) CHECK(sweep.run(jobs) == one);
}

TEST_CASE("All strategies look at cells of the space, and have the results of the grid") {
  const TinyFolder folder;
  Space space = folder.space();
  const Results grid = Sweep(space).run(1);
  for (const Kind kind : {Kind::random, Kind::sobol, Kind::nsga2}) {
    space.strategy.kind = kind;
    space.strategy.points = 4;
    space.strategy.population = 8;
    space.strategy.generations = 3;
    const Sweep sweep(space);
    const Results some = sweep.run(1);
    CHECK(!some.empty());
    if (kind == Kind::random) CHECK(some.size() == 4);
    if (kind == Kind::sobol) CHECK(some.size() <= 4);
    for (const auto& [cell, result] : some) CHECK(result == grid.at(cell));
    CHECK(sweep.run(2) == some);
  }
}

TEST_CASE("A machine at which its worker crashes is one result, and the others are done") {
  const TinyFolder folder;
  const Results expected = Sweep(folder.space()).run(1);
  const Sweep sweep(folder.space(), at_cell_4([] { std::abort(); }));
  for (const std::size_t jobs : {1U, 2U}) {
    const Results results = sweep.run(jobs);
    check_all_but_4(results, expected);
    CHECK(results.at(4).status == Status::failed);
    CHECK(results.at(4).reason == "the worker process was ended by signal 6 (Aborted)");
    CHECK(results.at(4).values.empty());
  }
}

TEST_CASE("A machine that breaks an invariant is one result, and the others are done") {
  const TinyFolder folder;
  const Results expected = Sweep(folder.space()).run(1);
  const Sweep sweep(folder.space(), at_cell_4([] { throw InternalError("a broken invariant"); }));
  const Results results = sweep.run(2);
  check_all_but_4(results, expected);
  CHECK(results.at(4).status == Status::failed);
  CHECK(results.at(4).reason == "a broken invariant");
}

TEST_CASE("A machine that takes too long is one result, and the others are done") {
  const TinyFolder folder;
  const Results expected = Sweep(folder.space()).run(1);
  const Sweep sweep(folder.space(), at_cell_4([] { std::this_thread::sleep_for(1h); }));
  const TemporaryFolder place;
  PointStore store = sweep.store(place);
  run_sweep(sweep.evaluator, store, run_local(sweep.evaluator, with_jobs(2, 1s)));
  const Results results = Sweep::all(store);
  check_all_but_4(results, expected);
  CHECK(results.at(4).status == Status::failed);
  CHECK(results.at(4).reason == "no answer within 1 s");
}

TEST_CASE("What is in the store is not evaluated again") {
  const TinyFolder folder;
  for (const Kind kind : {Kind::grid, Kind::random, Kind::sobol, Kind::nsga2}) {
    Space space = folder.space();
    space.strategy.kind = kind;
    space.strategy.points = 6;
    space.strategy.population = 8;
    space.strategy.generations = 4;
    const Sweep sweep(space);
    const Results expected = sweep.run(1);
    const TemporaryFolder place;
    PointStore store = sweep.store(place);
    // Every other one is there before.
    std::set<std::uint64_t> before;
    for (const auto& [cell, result] : expected) {
      if (cell % 2 != 0) continue;
      store.put(cell, result);
      before.insert(cell);
    }
    std::multiset<std::uint64_t> evaluated;
    const RunCells local = run_local(sweep.evaluator, with_jobs(1));
    const RunCells counted = [&](std::span<const std::uint64_t> cells, const auto& done) {
      evaluated.insert(cells.begin(), cells.end());
      local(cells, done);
    };
    run_sweep(sweep.evaluator, store, counted);
    CHECK(Sweep::all(store) == expected);
    CHECK(evaluated.size() == expected.size() - before.size());
    for (const std::uint64_t cell : evaluated) {
      CHECK_FALSE(before.contains(cell));
      CHECK(evaluated.count(cell) == 1);
    }
    evaluated.clear();
    run_sweep(sweep.evaluator, store, counted);
    CHECK(evaluated.empty());
  }
}

TEST_CASE("Results are kept in whatever order they come") {
  const TinyFolder folder;
  const Sweep sweep(folder.space());
  const Results expected = sweep.run(1);
  const TemporaryFolder place;
  PointStore store = sweep.store(place);
  run_sweep(sweep.evaluator, store, [&](std::span<const std::uint64_t> cells, const auto& done) {
    for (std::size_t i = cells.size(); i > 0; --i) {
      done(cells[i - 1], sweep.evaluator.evaluate(cells[i - 1]));
    }
  });
  CHECK(Sweep::all(store) == expected);
}

TEST_CASE("Progress counts every cell of the strategy once") {
  const TinyFolder folder;
  for (const Kind kind : {Kind::grid, Kind::random, Kind::sobol, Kind::nsga2}) {
    Space space = folder.space();
    space.strategy.kind = kind;
    space.strategy.points = 5;
    space.strategy.population = 8;
    space.strategy.generations = 4;
    const Sweep sweep(space);
    const std::uint64_t total = kind == Kind::grid ? 6 : kind == Kind::nsga2 ? 8 * 5 : 5;
    const TemporaryFolder place;
    PointStore store = sweep.store(place);
    for (int again = 0; again < 2; ++again) {
      SweepProgress last;
      run_sweep(sweep.evaluator, store, run_local(sweep.evaluator, with_jobs(1)),
                [&](const SweepProgress& at) {
                  CHECK(at.done >= last.done);
                  CHECK(at.total == total);
                  last = at;
                });
      CHECK(last.done == total);
    }
  }
}

TEST_CASE("Objectives are found among the metrics") {
  const TinyFolder folder;
  Space space = folder.space();
  space.objectives = {"area_mm2", "latency_s", "weight_bytes"};
  CHECK(objective_metrics(Sweep(space).evaluator) == std::vector<std::size_t>{3, 0, 5});
}

}  // namespace

}  // namespace widthwise
