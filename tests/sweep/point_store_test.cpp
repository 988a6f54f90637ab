// Results that are kept: found again, in order, after the file was closed, after a process was
// killed, and after the disk was full.
#include "sweep/point_store.hpp"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sweep/tiny_space.hpp"

namespace widthwise {

namespace {

using Strings = std::vector<std::string>;
using Status = MachineResult::Status;

const Strings kMetrics{"latency_s", "energy_pj", "tiny \"net\".latency_s"};

PointStore open(const TemporaryFolder& folder, const Strings& metrics = kMetrics) {
  return {folder.path("points.sqlite"), given_at(folder.path(), {"--output"}, ""), metrics};
}

MachineResult done(double number) {
  MachineResult result;
  result.status = Status::done;
  result.values = {number / 3, number * 1e12, -number};
  result.derived = {"64 KiB", "12"};
  result.widths = {"w8a8 w4a4", "w2a2"};
  return result;
}

MachineResult without(Status status, const std::string& reason) {
  MachineResult result;
  result.status = status;
  result.reason = reason;
  return result;
}

/// What the child returns; its exit code. It must not come back to the test runner.
template <class Work>
int in_child(Work work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int code = 99;
    try {
      code = work();
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST_CASE("Results of all kinds are found as they were put") {
  const TemporaryFolder folder;
  const std::map<std::uint64_t, MachineResult> results{
      {0, done(1)},
      {7, without(Status::infeasible, "net: latency_s is at least 2, 1 above its limit")},
      {8, without(Status::excluded, "it's \"quoted\"; caf\xc3\xa9\nof two lines")},
      {std::uint64_t{1} << 62, without(Status::failed, "ended by signal 6 (Aborted)")},
      {1'000'000, done(0.1)}};
  {
    PointStore store = open(folder);
    CHECK(store.count() == 0);
    for (const auto& [cell, result] : results) {
      CHECK_FALSE(store.has(cell));
      CHECK_FALSE(store.find(cell));
      store.put(cell, result);
      CHECK(store.has(cell));
      CHECK(store.find(cell) == result);
    }
    CHECK(store.count() == results.size());
    store.put(7, done(5));
    CHECK(store.find(7) == done(5));
    CHECK(store.count() == results.size());
    store.put(7, results.at(7));
  }
  // Closed and opened again: one file.
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()),
                      std::filesystem::directory_iterator()) == 1);
  const PointStore store = open(folder);
  CHECK(store.count() == results.size());
  for (const auto& [cell, result] : results) CHECK(store.find(cell) == result);
}

TEST_CASE("Results are visited by cell, whatever the order in which they came") {
  const TemporaryFolder folder;
  PointStore store = open(folder);
  std::vector<std::uint64_t> cells;
  for (std::uint64_t cell = 0; cell < 200; ++cell) cells.push_back(cell * cell);
  std::mt19937 random(3);
  std::shuffle(cells.begin(), cells.end(), random);
  for (const std::uint64_t cell : cells) store.put(cell, done(static_cast<double>(cell)));
  std::uint64_t next = 0;
  store.for_each([&](std::uint64_t cell, const MachineResult& result) {
    CHECK(cell == next * next);
    CHECK(result == done(static_cast<double>(cell)));
    // Others may be asked for meanwhile.
    CHECK(store.has(cell));
    ++next;
  });
  CHECK(next == 200);
}

TEST_CASE("What the results follow from is kept with them") {
  const TemporaryFolder folder;
  {
    PointStore store = open(folder);
    CHECK(store.identity().empty());
    store.set_identity("one");
    CHECK(store.identity() == "one");
    store.set_identity("two");
  }
  CHECK(open(folder).identity() == "two");
}

TEST_CASE("A file of something else is refused at the folder's place") {
  const TemporaryFolder folder;
  const std::string file = folder.write("points.sqlite", std::string(4096, 'x'));
  CHECK_THROWS_WITH(open(folder), "--output: error: '" + file + "': file is not a database");
  CHECK(folder.read("points.sqlite") == std::string(4096, 'x'));
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  CHECK_THROWS_WITH(open(folder), "--output: error: '" + file + "': unable to open database file");
}

TEST_CASE("Results of other metrics are another sweep's") {
  const TemporaryFolder folder;
  open(folder).put(3, done(3));
  const std::string message = "--output: error: '" + folder.path() +
                              "' holds another sweep; give another folder, or --fresh to begin "
                              "again";
  CHECK_THROWS_WITH(open(folder, {"latency_s"}), message);
  CHECK_THROWS_WITH(open(folder, {"latency_s", "energy_pj", "loss"}), message);
  Strings more = kMetrics;
  more.emplace_back("loss");
  CHECK_THROWS_WITH(open(folder, more), message);
  CHECK(open(folder).find(3) == done(3));
}

TEST_CASE("A process that is killed loses nothing that it had put") {
  const TemporaryFolder folder;
  for (std::uint64_t round = 0; round < 5; ++round) {
    const int ended = in_child([&] {
      PointStore store = open(folder);
      for (std::uint64_t i = 0; i < 20; ++i)
        store.put(20 * round + i, done(static_cast<double>(i)));
      ::raise(SIGKILL);
      return 0;
    });
    CHECK(ended == -SIGKILL);
    const PointStore store = open(folder);
    CHECK(store.count() == 20 * (round + 1));
    for (std::uint64_t i = 0; i < 20; ++i) {
      CHECK(store.find(20 * round + i) == done(static_cast<double>(i)));
    }
  }
}

TEST_CASE("A full disk is a mistake of the folder and loses nothing that was put") {
  const TemporaryFolder folder;
  const auto put_until_full = [&] {
    ::signal(SIGXFSZ, SIG_IGN);
    constexpr rlim_t kBytes = 200'000;
    const rlimit limit{kBytes, kBytes};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 98;
    PointStore store = open(folder);
    std::uint64_t cell = store.count();
    try {
      for (; cell < 100'000; ++cell) store.put(cell, done(static_cast<double>(cell)));
      return 97;
    } catch (const InputError& error) {
      const std::string text = error.what();
      const std::string begin = "--output: error: '" + folder.path("points.sqlite") + "': ";
      if (!text.starts_with(begin)) return 96;
      const std::string why = text.substr(begin.size());
      if (why != "disk I/O error" && why != "database or disk is full") return 95;
    }
    // What was put is there, and can be asked for.
    if (store.count() != cell || store.has(cell) || !store.has(cell - 1)) return 94;
    return cell > 10 ? 0 : 93;
  };
  CHECK(in_child(put_until_full) == 0);
  PointStore store = open(folder);
  const std::uint64_t kept = store.count();
  CHECK(kept > 10);
  for (std::uint64_t cell = 0; cell < kept; ++cell) {
    CHECK(store.find(cell) == done(static_cast<double>(cell)));
  }
  // With room again it goes on.
  store.put(kept, done(1));
  CHECK(store.count() == kept + 1);
}

TEST_CASE("A store on a disk that is full from the start is refused") {
  const TemporaryFolder folder;
  const auto open_on_full = [&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{0, 0};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 98;
    try {
      open(folder);
      return 97;
    } catch (const InputError& error) {
      return std::string(error.what()).starts_with("--output: error: '") ? 0 : 96;
    }
  };
  CHECK(in_child(open_on_full) == 0);
  CHECK_NOTHROW(open(folder).put(1, done(1)));
}

}  // namespace

}  // namespace widthwise
