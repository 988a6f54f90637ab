// A sweep over many machines: rank 0 hands out cells and keeps the results, the other ranks
// evaluate, each in worker processes of its own. Cells go to whoever is idle, so that the result is
// that of a single process.
//
// A rank that is lost (killed, its node gone) is known by its silence, of 30 s unless
// $WIDTHWISE_MPI_SILENCE says otherwise; its cells go to others, and if none is left rank 0
// evaluates them. That needs a launcher which lets the others live (Open
// MPI: mpirun --enable-recovery); by default a launcher ends the job, and the sweep is resumed.
//
// Ignores: that rank 0 may be lost. A launcher then ends the job, and the sweep is resumed; one
// that lets the others live leaves them waiting, until somebody ends them.
#pragma once

#include <cstdint>
#include <memory>

#include "sweep/sweep.hpp"

namespace widthwise {

class MpiRanks {
 public:
  /// Starts MPI; once in a process.
  MpiRanks(int& argc, char**& argv);
  /// Rank 0 dismisses the others. Ends the job's processes if a rank was lost.
  ~MpiRanks();
  MpiRanks(const MpiRanks&) = delete;
  MpiRanks& operator=(const MpiRanks&) = delete;

  /// The exit code of the job if a rank was lost, and it has to be ended.
  void set_exit_code(int code);

  [[nodiscard]] int rank() const;
  [[nodiscard]] int size() const;
  [[nodiscard]] int lost() const;  // ranks so far; of rank 0

  /// Of rank 0: evaluates cells on the others. Alone, in its own worker processes.
  [[nodiscard]] RunCells run_cells(const Evaluator& evaluator, const LocalOptions& options);

  /// Of the others: evaluates what rank 0 hands out, until it is dismissed.
  void serve(const Evaluator& evaluator, const LocalOptions& options);

 private:
  struct Data;
  std::unique_ptr<Data> data_;
};

}  // namespace widthwise
