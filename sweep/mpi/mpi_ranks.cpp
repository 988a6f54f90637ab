#include "sweep/mpi/mpi_ranks.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <mpi.h>

#include "models/base/error.hpp"
#include "models/base/units.hpp"

namespace widthwise {

namespace {

using Clock = std::chrono::steady_clock;

// What ranks say to rank 0, and it to them.
constexpr int kIdle = 1;    // wants cells
constexpr int kResult = 2;  // a cell, then its packed result
constexpr int kAlive = 3;   // still at it
constexpr int kGone = 4;    // was dismissed, and evaluates no more
constexpr int kCells = 5;   // to evaluate; none: dismissed
constexpr int kEnd = 6;     // in which of two ways: kTogether or kAlone

constexpr std::chrono::milliseconds kPause{1};    // MPI's own waiting would take a processor
constexpr std::chrono::seconds kBetweenSigns{1};  // of life
constexpr int kLostAfterSeconds = 30;             // without one
constexpr std::size_t kRounds = 4;                // a rank comes for cells about so often
constexpr std::size_t kMostCells = 64;            // at once

/// Of $WIDTHWISE_MPI_SILENCE, if that is a number of seconds of which several signs fit in.
std::chrono::seconds silence_of_the_lost() {
  constexpr std::int64_t kLeast = 3;
  constexpr std::int64_t kMost = 86'400;
  const char* said = std::getenv("WIDTHWISE_MPI_SILENCE");
  const auto seconds = said != nullptr ? parse_integer(said) : std::nullopt;
  return std::chrono::seconds(std::clamp(seconds.value_or(kLostAfterSeconds), kLeast, kMost));
}

std::optional<MPI_Status> message_for_us() {
  int is_there = 0;
  MPI_Status status;
  MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &is_there, &status);
  return is_there != 0 ? std::optional(status) : std::nullopt;
}

std::string receive(const MPI_Status& status) {
  int length = 0;
  MPI_Get_count(&status, MPI_BYTE, &length);
  std::string bytes(static_cast<std::size_t>(length), '\0');
  MPI_Recv(bytes.data(), length, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, MPI_COMM_WORLD,
           MPI_STATUS_IGNORE);
  return bytes;
}

void send(int rank, int tag, const std::string& bytes) {
  MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, rank, tag, MPI_COMM_WORLD);
}

const std::string kTogether = "t";  // MPI_Finalize, for which all ranks wait
const std::string kAlone = "a";     // without it, since some never come there

std::string packed_cells(const std::vector<std::uint64_t>& cells) {
  std::string bytes(cells.size() * sizeof(std::uint64_t), '\0');
  if (!cells.empty()) std::memcpy(bytes.data(), cells.data(), bytes.size());
  return bytes;
}

std::vector<std::uint64_t> unpacked_cells(const std::string& bytes) {
  std::vector<std::uint64_t> cells(bytes.size() / sizeof(std::uint64_t));
  if (!cells.empty()) std::memcpy(cells.data(), bytes.data(), bytes.size());
  return cells;
}

}  // namespace

struct MpiRanks::Data {
  /// A rank as rank 0 sees it.
  struct Other {
    bool is_lost = false;
    bool is_idle = false;
    bool is_gone = false;
    std::set<std::uint64_t> cells;  // that it is at
    Clock::time_point heard = Clock::now();
  };

  int rank = 0;
  int size = 1;
  int exit_code = 0;
  std::chrono::seconds lost_after = silence_of_the_lost();
  std::vector<Other> others;  // by rank; that of rank 0 is unused

  [[nodiscard]] int lost() const {
    return static_cast<int>(std::count_if(others.begin(), others.end(),
                                          [](const Other& other) { return other.is_lost; }));
  }

  /// What rank 0 does with a message; a result goes to `done`.
  void take(const MPI_Status& status,
            const std::function<void(std::uint64_t, const MachineResult&)>& done) {
    const std::string bytes = receive(status);
    Other& other = others[static_cast<std::size_t>(status.MPI_SOURCE)];
    if (other.is_lost) return;  // it was only slow, and its cells are somebody else's now
    other.heard = Clock::now();
    if (status.MPI_TAG == kIdle) other.is_idle = true;
    if (status.MPI_TAG == kGone) other.is_gone = true;
    if (status.MPI_TAG != kResult) return;
    std::uint64_t cell = 0;
    ensure(bytes.size() > sizeof cell, "a result has a cell");
    std::memcpy(&cell, bytes.data(), sizeof cell);
    if (other.cells.erase(cell) == 0) return;
    done(cell, unpacked_result(std::string_view(bytes).substr(sizeof cell)));
  }

  void run(std::span<const std::uint64_t> cells, const LocalOptions& options,
           const RunCells& run_here,
           const std::function<void(std::uint64_t, const MachineResult&)>& done) {
    std::deque<std::uint64_t> waiting(cells.begin(), cells.end());
    std::size_t open = cells.size();
    const auto finished = [&](std::uint64_t cell, const MachineResult& result) {
      --open;
      done(cell, result);
    };
    for (Other& other : others) other.heard = Clock::now();
    while (open > 0) {
      if (lost() + 1 == size) {
        const std::vector<std::uint64_t> rest(waiting.begin(), waiting.end());
        run_here(rest, done);
        return;
      }
      bool quiet = true;
      for (auto status = message_for_us(); status; status = message_for_us()) {
        take(*status, finished);
        quiet = false;
      }
      for (int r = 1; r < size; ++r) {
        Other& other = others[static_cast<std::size_t>(r)];
        if (other.is_lost) continue;
        if (Clock::now() - other.heard > lost_after) {
          other.is_lost = true;
          waiting.insert(waiting.begin(), other.cells.begin(), other.cells.end());
          other.cells.clear();
        } else if (other.is_idle && !waiting.empty()) {
          hand_out(r, waiting, options.jobs);
          quiet = false;
        }
      }
      if (quiet) std::this_thread::sleep_for(kPause);
    }
  }

  /// Tells the others that there is nothing more, hears who is still there, and how all end.
  void dismiss() {
    const auto is_left = [](const Other& other) { return !other.is_lost && !other.is_gone; };
    for (int r = 1; r < size; ++r) {
      Other& other = others[static_cast<std::size_t>(r)];
      other.heard = Clock::now();
      if (is_left(other)) send(r, kCells, "");
    }
    while (std::any_of(others.begin() + 1, others.end(), is_left)) {
      for (auto status = message_for_us(); status; status = message_for_us()) {
        take(*status, [](std::uint64_t, const MachineResult&) {});
      }
      for (Other& other : std::span(others).subspan(1)) {
        if (is_left(other) && Clock::now() - other.heard > lost_after) other.is_lost = true;
      }
      std::this_thread::sleep_for(kPause);
    }
    for (int r = 1; r < size; ++r) {
      if (!others[static_cast<std::size_t>(r)].is_lost) {
        send(r, kEnd, lost() > 0 ? kAlone : kTogether);
      }
    }
  }

  void hand_out(int to, std::deque<std::uint64_t>& waiting, std::size_t jobs) {
    const std::size_t share = waiting.size() / (static_cast<std::size_t>(size - 1) * kRounds);
    const std::size_t count = std::min(waiting.size(), std::clamp(share, jobs, kMostCells * jobs));
    const std::vector<std::uint64_t> cells(waiting.begin(),
                                           waiting.begin() + static_cast<std::ptrdiff_t>(count));
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(count));
    Other& other = others[static_cast<std::size_t>(to)];
    other.is_idle = false;
    other.cells.insert(cells.begin(), cells.end());
    send(to, kCells, packed_cells(cells));
  }
};

MpiRanks::MpiRanks(int& argc, char**& argv) : data_(std::make_unique<Data>()) {
  MPI_Init(&argc, &argv);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &data_->rank);
  MPI_Comm_size(MPI_COMM_WORLD, &data_->size);
  data_->others.resize(static_cast<std::size_t>(data_->size));
}

MpiRanks::~MpiRanks() {
  if (data_->rank > 0) {
    send(0, kGone, "");
    std::string how;
    while (how.empty()) {
      const auto status = message_for_us();
      if (!status) {
        std::this_thread::sleep_for(kPause);
      } else if (std::string bytes = receive(*status); status->MPI_TAG == kEnd) {
        how = std::move(bytes);
      }
    }
    if (how == kAlone) std::_Exit(0);
  } else {
    data_->dismiss();
    if (data_->lost() > 0) {
      // What the others do by themselves, a launcher that lets them live would not do for us.
      std::this_thread::sleep_for(kBetweenSigns);
      MPI_Abort(MPI_COMM_WORLD, data_->exit_code);
    }
  }
  MPI_Finalize();
}

void MpiRanks::set_exit_code(int code) { data_->exit_code = code; }
int MpiRanks::rank() const { return data_->rank; }
int MpiRanks::size() const { return data_->size; }
int MpiRanks::lost() const { return data_->lost(); }

RunCells MpiRanks::run_cells(const Evaluator& evaluator, const LocalOptions& options) {
  const RunCells here = run_local(evaluator, options);
  if (data_->size == 1) return here;
  return [this, options, here](std::span<const std::uint64_t> cells, const auto& done) {
    data_->run(cells, options, here, done);
  };
}

void MpiRanks::serve(const Evaluator& evaluator, const LocalOptions& options) {
  Clock::time_point said = Clock::now();
  const auto say = [&](int tag, const std::string& bytes) {
    said = Clock::now();
    send(0, tag, bytes);
  };
  const auto sign_of_life = [&] {
    if (Clock::now() - said > kBetweenSigns) say(kAlive, "");
  };
  LocalOptions signing = options;
  signing.waiting = sign_of_life;
  const RunCells run = run_local(evaluator, signing);
  say(kIdle, "");
  while (true) {
    const auto status = message_for_us();
    if (!status) {
      sign_of_life();
      std::this_thread::sleep_for(kPause);
      continue;
    }
    const std::vector<std::uint64_t> cells = unpacked_cells(receive(*status));
    if (cells.empty()) return;
    run(cells, [&](std::uint64_t cell, const MachineResult& result) {
      std::string bytes(sizeof cell, '\0');
      std::memcpy(bytes.data(), &cell, sizeof cell);
      say(kResult, bytes + packed(result));
    });
    say(kIdle, "");
  }
}

}  // namespace widthwise
