#include "models/base/worker_pool.hpp"

#include <csignal>
#include <cstdlib>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

namespace widthwise {

namespace {

using namespace std::chrono_literals;
using Status = TaskAnswer::Status;

constexpr std::size_t kBad = 7;

/// Answers every task with its number; `at_bad` happens at task 7.
auto numbers(const std::function<void(TaskChannel&)>& at_bad) {
  return [at_bad](TaskChannel& channel) {
    while (const auto task = channel.next()) {
      if (*task == kBad && at_bad) {
        at_bad(channel);
      } else {
        channel.answer(std::to_string(*task));
      }
    }
  };
}

PoolOptions with_jobs(std::size_t jobs) {
  PoolOptions options;
  options.jobs = jobs;
  return options;
}

/// All tasks but the bad one are answered as ever.
void check_others(const std::vector<TaskAnswer>& answers) {
  for (std::size_t task = 0; task < answers.size(); ++task) {
    if (task == kBad) continue;
    CHECK(answers[task].status == Status::done);
    CHECK(answers[task].text == std::to_string(task));
  }
}

/// No child of this process is left over.
bool all_children_gone() { return ::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD; }

TEST_CASE("Answers come in the order of the tasks for any number of workers") {
  for (const std::size_t jobs : {1U, 2U, 3U, 8U, 200U}) {
    const auto answers = run_in_workers(100, numbers({}), with_jobs(jobs));
    REQUIRE(answers.size() == 100);
    check_others(answers);
    CHECK(answers[kBad].text == "7");
  }
  CHECK(run_in_workers(0, numbers({}), with_jobs(2)).empty());
  CHECK(all_children_gone());
}

TEST_CASE("Tasks run in several processes, none of which is this one") {
  const auto answers = run_in_workers(
      64,
      [](TaskChannel& channel) {
        while (channel.next()) {
          std::this_thread::sleep_for(1ms);
          channel.answer(std::to_string(::getpid()));
        }
      },
      with_jobs(4));
  std::set<std::string> processes;
  for (const TaskAnswer& answer : answers) processes.insert(answer.text);
  CHECK(processes.size() == 4);
  CHECK(processes.count(std::to_string(::getpid())) == 0);
}

TEST_CASE("A task that crashes costs that task alone, and says of what it died") {
  for (const std::size_t jobs : {1U, 3U}) {
    const auto answers =
        run_in_workers(40, numbers([](TaskChannel&) { ::raise(SIGKILL); }), with_jobs(jobs));
    check_others(answers);
    CHECK(answers[kBad].status == Status::crashed);
    CHECK(answers[kBad].text == "the worker process was ended by signal 9 (Killed)");
  }
  const auto left = run_in_workers(40, numbers([](TaskChannel&) { ::_exit(3); }), with_jobs(2));
  check_others(left);
  CHECK(left[kBad].text == "the worker process ended with exit code 3 before it answered");
  CHECK(all_children_gone());
}

TEST_CASE("An exception that leaves the work is the last word on its task") {
  const auto answers = run_in_workers(
      40, numbers([](TaskChannel&) { throw std::runtime_error("no such thing"); }), with_jobs(2));
  check_others(answers);
  CHECK(answers[kBad].status == Status::crashed);
  CHECK(answers[kBad].text == "no such thing");
}

TEST_CASE("A task that hangs is ended after its time and costs that task alone") {
  PoolOptions options = with_jobs(2);
  options.time_limit = 200ms;
  for (const int how : {0, 1}) {
    const auto answers = run_in_workers(40, numbers([how](TaskChannel&) {
                                          if (how == 0) ::raise(SIGSTOP);
                                          std::this_thread::sleep_for(1h);
                                        }),
                                        options);
    check_others(answers);
    CHECK(answers[kBad].status == Status::hung);
    CHECK(answers[kBad].text == "no answer within 0.2 s");
  }
  CHECK(all_children_gone());
}

TEST_CASE("Time is a task's own: many that are quick together may take longer than one may") {
  PoolOptions options = with_jobs(1);
  options.time_limit = 300ms;
  const auto answers = run_in_workers(
      10,
      [](TaskChannel& channel) {
        while (channel.next()) {
          std::this_thread::sleep_for(60ms);
          channel.answer("");
        }
      },
      options);
  for (const TaskAnswer& answer : answers) CHECK(answer.status == Status::done);
}

TEST_CASE("Every task may crash") {
  const auto answers = run_in_workers(
      20,
      [](TaskChannel& channel) {
        if (channel.next()) std::abort();
      },
      with_jobs(3));
  for (const TaskAnswer& answer : answers) CHECK(answer.status == Status::crashed);
}

TEST_CASE("A refused task has its reason, and its worker goes on") {
  const auto answers = run_in_workers(
      40, numbers([](TaskChannel& channel) { channel.refuse("too wide"); }), with_jobs(1));
  check_others(answers);
  CHECK(answers[kBad].status == Status::refused);
  CHECK(answers[kBad].text == "too wide");
}

TEST_CASE("Answers may be long, empty and of any bytes") {
  const std::vector<std::string> texts{std::string(5'000'000, 'x'), "", std::string("a\0b", 3)};
  std::vector<std::size_t> order;
  PoolOptions options = with_jobs(1);
  options.answered = [&](std::size_t task, const TaskAnswer&) { order.push_back(task); };
  const auto answers = run_in_workers(
      texts.size(),
      [&](TaskChannel& channel) {
        while (const auto task = channel.next()) channel.answer(texts[*task]);
      },
      options);
  for (std::size_t i = 0; i < texts.size(); ++i) CHECK(answers[i].text == texts[i]);
  CHECK(order == std::vector<std::size_t>{0, 1, 2});
}

TEST_CASE("What workers print does not reach this process's output") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const int before = ::dup(STDOUT_FILENO);
  ::dup2(ends[1], STDOUT_FILENO);
  const auto answers = run_in_workers(
      1,
      [](TaskChannel& channel) {
        while (channel.next()) {
          channel.answer(::write(STDOUT_FILENO, "noise", 5) == 5 ? "written" : "");
        }
      },
      with_jobs(1));
  ::dup2(before, STDOUT_FILENO);
  ::close(before);
  ::close(ends[1]);
  char byte = 0;
  CHECK(answers[0].text == "written");
  CHECK(::read(ends[0], &byte, 1) == 0);
  ::close(ends[0]);
}

}  // namespace

}  // namespace widthwise
