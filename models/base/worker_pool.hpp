// Work in processes of its own: a task that crashes or hangs costs that task and nothing else.
//
// Workers are forked, so that they have in memory what the caller has; they get numbers of tasks
// and send bytes back. The answers do not depend on the number of workers as long as a task's
// answer depends on the task alone. Linux only.
//
// The caller may have other threads, if none of them holds a lock that `work` takes; only the
// calling thread goes on in a worker. Workers die with the thread that called.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace widthwise {

/// A worker's side: takes tasks one after the other and answers each.
class TaskChannel {
 public:
  /// The next task; nothing if there are no more. The one before has been answered.
  [[nodiscard]] std::optional<std::size_t> next();
  /// Of the task that was taken last.
  void answer(std::string_view bytes);
  /// The task can not be done, for a reason that is the user's to know.
  void refuse(std::string_view reason);

 private:
  friend class Worker;
  TaskChannel(int tasks, int answers) : tasks_(tasks), answers_(answers) {}
  void send(char kind, std::string_view bytes) const;

  int tasks_, answers_;
  std::size_t next_ = 0, end_ = 0;
};

struct TaskAnswer {
  enum class Status { done, refused, crashed, hung };
  Status status = Status::crashed;
  std::string text;  // the bytes; the reason; what the worker died of
};

struct PoolOptions {
  std::size_t jobs = 1;                           // worker processes
  std::chrono::milliseconds time_limit{600'000};  // of one task; then its worker is killed
  /// After each answer, in the order in which they come.
  std::function<void(std::size_t task, const TaskAnswer& answer)> answered;
  std::function<void()> waiting = {};  // once a second at least, until all tasks are answered
};

/// Number of processors that this process may use.
std::size_t available_processors();

/// Hands the tasks 0 .. tasks - 1 to workers that run `work`, which takes tasks until there are no
/// more and then returns. One answer per task, in their order. An exception that leaves `work` is a
/// crash. Throws std::system_error if no worker can be started.
std::vector<TaskAnswer> run_in_workers(std::size_t tasks,
                                       const std::function<void(TaskChannel&)>& work,
                                       const PoolOptions& options);

}  // namespace widthwise
