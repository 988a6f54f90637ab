#include "models/base/worker_pool.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

using Clock = std::chrono::steady_clock;

// What goes from a worker to the pool, before its bytes.
struct Header {
  char kind = 0;
  std::uint64_t length = 0;
};
constexpr char kAnswer = 'a';
constexpr char kRefusal = 'r';
constexpr char kException = 'x';  // after it the worker ends

// What goes from the pool to a worker: tasks begin .. end - 1.
struct Batch {
  std::uint64_t begin = 0, end = 0;
};

/// False if the other side is gone.
bool write_all(int file, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(file, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

bool read_all(int file, void* data, std::size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = ::read(file, at, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int file) : file_(file) {}
  ~FileDescriptor() { close(); }
  FileDescriptor(FileDescriptor&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const { return file_; }
  void close() {
    if (file_ >= 0) ::close(file_);
    file_ = -1;
  }

 private:
  int file_ = -1;
};

std::pair<FileDescriptor, FileDescriptor> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe for a worker process");
  }
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

/// A worker that dies must not take the pool with it.
class IgnoredPipeSignal {
 public:
  IgnoredPipeSignal() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignore, &before_);
  }
  ~IgnoredPipeSignal() { ::sigaction(SIGPIPE, &before_, nullptr); }
  IgnoredPipeSignal(const IgnoredPipeSignal&) = delete;
  IgnoredPipeSignal& operator=(const IgnoredPipeSignal&) = delete;

 private:
  struct sigaction before_ {};
};

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    return fmt::format("the worker process was ended by signal {} ({})", WTERMSIG(status),
                       ::strsignal(WTERMSIG(status)));
  }
  return fmt::format("the worker process ended with exit code {} before it answered",
                     WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

}  // namespace

void TaskChannel::send(char kind, std::string_view bytes) const {
  std::string message(sizeof(Header) + bytes.size(), '\0');
  const Header header{kind, bytes.size()};
  std::memcpy(message.data(), &header, sizeof header);
  bytes.copy(message.data() + sizeof header, bytes.size());
  if (!write_all(answers_, message.data(), message.size())) ::_exit(1);  // the pool is gone
}

std::optional<std::size_t> TaskChannel::next() {
  if (next_ == end_) {
    Batch batch;
    if (!read_all(tasks_, &batch, sizeof batch)) return std::nullopt;
    next_ = batch.begin;
    end_ = batch.end;
  }
  return next_++;
}

void TaskChannel::answer(std::string_view bytes) { send(kAnswer, bytes); }
void TaskChannel::refuse(std::string_view reason) { send(kRefusal, reason); }

/// The pool's side of a worker.
class Worker {
 public:
  Worker(const std::function<void(TaskChannel&)>& work,
         const std::vector<std::unique_ptr<Worker>>& others) {
    auto [tasks_read, tasks_write] = make_pipe();
    auto [answers_read, answers_write] = make_pipe();
    const pid_t parent = ::getpid();
    process_ = ::fork();
    if (process_ < 0) {
      throw std::system_error(errno, std::generic_category(), "start of a worker process");
    }
    if (process_ == 0) {
      // Ends of other workers' pipes, kept open here, would hide that the pool has closed them.
      for (const auto& other : others) {
        if (other) other->close_pipes();
      }
      tasks_write.close();
      answers_read.close();
      run(work, parent, tasks_read.get(), answers_write.get());
    }
    tasks_ = std::move(tasks_write);
    answers_ = std::move(answers_read);
  }

  ~Worker() {
    close_pipes();
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      wait_for_end();
    }
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  [[nodiscard]] int answers() const { return answers_.get(); }
  [[nodiscard]] bool idle() const { return given_.empty(); }
  [[nodiscard]] std::size_t current() const { return given_.front(); }
  [[nodiscard]] const std::deque<std::size_t>& given() const { return given_; }
  [[nodiscard]] Clock::time_point since() const { return since_; }

  void give(std::size_t begin, std::size_t end) {
    const Batch batch{begin, end};
    for (std::size_t task = begin; task < end; ++task) given_.push_back(task);
    since_ = Clock::now();
    // Where the worker is gone, its answers end and say so.
    static_cast<void>(write_all(tasks_.get(), &batch, sizeof batch));
  }

  /// Takes in what has come. False if the worker has ended.
  bool receive() {
    std::array<char, 65536> chunk;
    const ssize_t got = ::read(answers_.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) return false;
    received_.append(chunk.data(), static_cast<std::size_t>(got));
    return true;
  }

  /// The next whole message, if there is one.
  std::optional<std::pair<char, std::string>> message() {
    Header header;
    if (received_.size() - taken_ < sizeof header) return compact();
    std::memcpy(&header, received_.data() + taken_, sizeof header);
    if (received_.size() - taken_ - sizeof header < header.length) return compact();
    std::pair<char, std::string> message{header.kind,
                                         received_.substr(taken_ + sizeof header, header.length)};
    taken_ += sizeof header + header.length;
    return message;
  }

  void answered() {
    given_.pop_front();
    since_ = Clock::now();
  }

  void kill() const { ::kill(process_, SIGKILL); }

  std::string wait_for_end() {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
    return how_it_ended(status);
  }

  /// No more tasks: the worker ends by itself.
  void dismiss() { tasks_.close(); }

 private:
  std::optional<std::pair<char, std::string>> compact() {
    received_.erase(0, taken_);
    taken_ = 0;
    return std::nullopt;
  }

  void close_pipes() {
    tasks_.close();
    answers_.close();
  }

  [[noreturn]] static void run(const std::function<void(TaskChannel&)>& work, pid_t parent,
                               int tasks, int answers) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    // Results go through the pipe; libraries that print do not mix with the caller's output.
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) ::dup2(nowhere, STDOUT_FILENO);
    TaskChannel channel(tasks, answers);
    try {
      work(channel);
    } catch (const std::exception& error) {
      channel.send(kException, error.what());
      ::_exit(1);
    } catch (...) {
      channel.send(kException, "unknown exception");
      ::_exit(1);
    }
    // Without the destructors and streams of the caller. By the call itself: work that switches
    // stacks, as SystemC does, makes the address sanitizer warn of functions that do not return.
    while (true) ::syscall(SYS_exit_group, 0);
  }

  pid_t process_ = -1;
  FileDescriptor tasks_, answers_;
  std::deque<std::size_t> given_;
  Clock::time_point since_;
  std::string received_;
  std::size_t taken_ = 0;
};

namespace {

class Pool {
 public:
  Pool(std::size_t tasks, const std::function<void(TaskChannel&)>& work, const PoolOptions& options)
      : work_(work), options_(options), answers_(tasks) {
    if (tasks > 0) waiting_.emplace_back(0, tasks);
    open_ = tasks;
    workers_.resize(std::clamp<std::size_t>(options.jobs, 1, std::max<std::size_t>(tasks, 1)));
  }

  std::vector<TaskAnswer> run() {
    const IgnoredPipeSignal ignored;
    while (open_ > 0) {
      hand_out();
      wait_for_answers();
    }
    for (auto& worker : workers_) {
      if (worker) worker->dismiss();
    }
    return std::move(answers_);
  }

 private:
  /// So few tasks that workers end at about the same time, and a few at once where there are many.
  [[nodiscard]] std::size_t batch_size() const {
    constexpr std::size_t kMost = 16;
    constexpr std::size_t kRounds = 4;
    return std::clamp<std::size_t>(open_ / (workers_.size() * kRounds), 1, kMost);
  }

  void hand_out() {
    for (auto& worker : workers_) {
      if (waiting_.empty()) return;
      if (worker && !worker->idle()) continue;
      if (!worker && !start(worker)) continue;
      auto& [begin, end] = waiting_.front();
      const std::size_t upto = std::min(end, begin + batch_size());
      worker->give(begin, upto);
      begin = upto;
      if (begin == end) waiting_.pop_front();
    }
  }

  /// False if it can not be started and another is at work.
  bool start(std::unique_ptr<Worker>& worker) {
    try {
      worker = std::make_unique<Worker>(work_, workers_);
      return true;
    } catch (const std::system_error&) {
      const bool others = std::any_of(workers_.begin(), workers_.end(),
                                      [](const auto& other) { return other != nullptr; });
      if (!others) throw;
      return false;
    }
  }

  void wait_for_answers() {
    std::vector<pollfd> files;
    std::vector<std::unique_ptr<Worker>*> owners;
    Clock::time_point until = Clock::time_point::max();
    for (auto& worker : workers_) {
      if (!worker) continue;
      files.push_back({worker->answers(), POLLIN, 0});
      owners.push_back(&worker);
      if (!worker->idle()) until = std::min(until, worker->since() + options_.time_limit);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    constexpr std::int64_t kMostWait = 60'000;
    constexpr std::int64_t kMostWaitBetweenCalls = 500;
    const int timeout = static_cast<int>(
        std::clamp<std::int64_t>(left, 0, options_.waiting ? kMostWaitBetweenCalls : kMostWait));
    if (::poll(files.data(), files.size(), timeout) < 0 && errno != EINTR) {
      throw std::system_error(errno, std::generic_category(), "wait for worker processes");
    }
    if (options_.waiting) options_.waiting();
    for (std::size_t i = 0; i < files.size(); ++i) {
      std::unique_ptr<Worker>& worker = *owners[i];
      const bool alive = files[i].revents == 0 || worker->receive();
      take_messages(*worker);
      if (!alive) {
        end(worker, TaskAnswer::Status::crashed);
      } else if (!worker->idle() && Clock::now() - worker->since() >= options_.time_limit) {
        worker->kill();
        end(worker, TaskAnswer::Status::hung);
      }
    }
  }

  void take_messages(Worker& worker) {
    while (auto message = worker.message()) {
      auto& [kind, text] = *message;
      if (kind == kException) {
        last_words_ = std::move(text);
        continue;
      }
      ensure(!worker.idle(), "a worker answers what it was given");
      settle(worker.current(),
             {kind == kAnswer ? TaskAnswer::Status::done : TaskAnswer::Status::refused,
              std::move(text)});
      worker.answered();
    }
  }

  void settle(std::size_t task, TaskAnswer answer) {
    answers_[task] = std::move(answer);
    --open_;
    if (options_.answered) options_.answered(task, answers_[task]);
  }

  /// Of a worker that has ended: the task it was at is lost, the others wait again.
  void end(std::unique_ptr<Worker>& worker, TaskAnswer::Status status) {
    std::string cause = worker->wait_for_end();
    if (status == TaskAnswer::Status::hung) {
      cause = fmt::format("no answer within {} s",
                          std::chrono::duration<double>(options_.time_limit).count());
    } else if (!last_words_.empty()) {
      cause = last_words_;
    }
    last_words_.clear();
    const std::deque<std::size_t> given = worker->given();
    worker.reset();
    if (given.empty()) return;
    if (given.size() > 1) waiting_.emplace_front(given[1], given.back() + 1);
    settle(given.front(), {status, std::move(cause)});
  }

  const std::function<void(TaskChannel&)>& work_;
  const PoolOptions& options_;
  std::vector<TaskAnswer> answers_;
  std::deque<std::pair<std::size_t, std::size_t>> waiting_;  // ranges begin .. end - 1
  std::size_t open_ = 0;                                     // tasks without an answer
  std::vector<std::unique_ptr<Worker>> workers_;
  std::string last_words_;  // of a worker that is about to end
};

}  // namespace

std::size_t available_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
}

std::vector<TaskAnswer> run_in_workers(std::size_t tasks,
                                       const std::function<void(TaskChannel&)>& work,
                                       const PoolOptions& options) {
  return Pool(tasks, work, options).run();
}

}  // namespace widthwise
