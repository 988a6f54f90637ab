// The compute engine of one layer, stepped cycle by cycle on integers: cuts the layer's steps into
// folds, starts their streams by the rules of the machine's timing parameters, and ticks the array.
//
// What is stepped: every operand that enters, moves through and is multiplied in the array, every
// sum, and the exchange of stationary operands. What is counted only: registers behind the array
// that a configuration has beyond those of the elements (a delay), the loading of stationary
// operands row by row (they are there when their load has ended), and buffer ports narrower than
// the array (operands come at intervals).
//
// Fold order: blocks of output channels (M streams), of positions (N streams) or of both (K
// streams), then K-steps, then passes; the same as LayerTiming counts. Staggered vectors, folded
// inputs, blocks of positions, columns in time and phases go by what engine.hpp says of them; a
// phase is a delay, whatever the machine does in it.
//
// Ignored: bank conflicts of the buffers, and the width of registers other than accumulators.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "models/cost/plan.hpp"
#include "sim/cycle/array_model.hpp"
#include "sim/cycle/operands.hpp"

namespace widthwise::sim {

/// Cycles since the start of the simulation.
using Cycle = std::int64_t;

class SteppedEngine {
 public:
  /// Plan, accelerator and operands outlive this.
  SteppedEngine(const LayerPlan& plan, const Engine& engine, const LayerOperands& operands);

  struct StepStart {
    Step step;
    std::size_t number = 0;  // of the step, for completed()
    Cycle begin = 0;         // operands are there from here on
    Cycle held_since = 0;    // since when the stationary operand is in its buffer
    bool last = false;       // of the layer
  };
  void begin_step(const StepStart& start);

  /// The cycle [now, now + 1). Cycles come one after the other unless idle() is true.
  void tick(Cycle now);

  /// The step's stream is over at the end of the cycle just ticked; at the end of the layer's last
  /// step, all its results are out.
  [[nodiscard]] bool step_over() const { return step_over_; }
  /// Cycles of the step that is over, by what the array did; the start-up and emptying that a layer
  /// pays once are separate.
  [[nodiscard]] const EngineCycles& step_cycles() const { return counted_; }
  [[nodiscard]] std::int64_t start_up() const { return start_up_; }
  [[nodiscard]] std::int64_t emptying() const { return emptying_; }

  /// Steps whose results are out at the end of the cycle just ticked, oldest first.
  [[nodiscard]] const std::vector<std::size_t>& completed() const { return completed_; }

  /// After the last step: ticks on from `now` until the last value has arrived, for machines whose
  /// published cycles end before.
  void finish(Cycle now);

  /// Nothing moves until the next step begins.
  [[nodiscard]] bool idle() const;

  /// [groups][m][n], once all steps have completed.
  [[nodiscard]] const std::vector<std::int64_t>& result() const { return result_; }
  [[nodiscard]] std::int64_t overflows() const;
  [[nodiscard]] const AccumulatorRule& rule() const { return shape_.rule; }

 private:
  struct Pack {
    std::int64_t first_group = 0, groups = 1;
    std::shared_ptr<BlockOperands> operands;
    std::shared_ptr<OutputSums> sums;
    std::shared_ptr<const std::vector<std::int64_t>> issues;  // where K streams
    std::shared_ptr<const std::vector<SerialIssue>> timeline;
  };
  struct Output {  // on its way out
    Cycle at = 0;
    TileBlock block;
    std::vector<Pack> packs;
  };

  [[nodiscard]] bool arrays_empty() const;
  void begin_fold();
  bool next_fold();
  void schedule_fold();
  void prepare_issues(Pack& pack);
  void prepare_staggered(Pack& pack);
  void prepare_timeline(Pack& pack);
  /// All cycles of a fold from its first step on.
  [[nodiscard]] std::vector<SerialIssue> timeline(const BlockOperands& operands) const;
  /// Blocks of output positions of the step, and in a row of them.
  struct PositionBlocks {
    std::int64_t count = 1, in_row = 1;
  };
  [[nodiscard]] PositionBlocks position_blocks() const;
  /// Puts a block of output positions on the rows.
  void place_positions();
  /// Cycles before the first step of a fold: phases at the tile, or where a loop goes on.
  [[nodiscard]] std::int64_t lead_in() const;
  void end_step(Cycle at);
  void count(Cycle now);
  template <class Visit>
  void for_each_output(const Pack& pack, const TileBlock& block, Visit visit) const;
  void load_sums(Pack& pack, const TileBlock& block);
  void store_sums(const Output& output);
  [[nodiscard]] std::int64_t latency(std::int64_t used_columns) const;
  [[nodiscard]] std::int64_t used_columns() const;

  const LayerPlan& plan_;
  const LayerOperands& operands_;
  FoldSchedule schedule_;
  ArrayShape shape_;
  bool serial_;
  std::int64_t columns_;        // of one copy of the array
  std::int64_t block_columns_;  // of all copies
  std::optional<PositionBlock> position_block_;
  std::vector<std::unique_ptr<ArrayModel>> arrays_;
  std::vector<std::int64_t> result_;

  // The step at work.
  StepStart step_;
  TileBlock block_;
  std::vector<Pack> packs_;
  bool at_work_ = false;
  bool first_fold_ = true;  // of the layer
  std::size_t pack_ = 0;
  std::int64_t block_index_ = 0, inner_index_ = 0, k_step_ = 0, pass_ = 0;
  bool fresh_step_ = false;  // no fold of it has been scheduled
  bool more_folds_ = false;

  // The fold at work: [fold_.start, stream_end_) streams, until fold_end_ nothing else starts.
  Fold fold_;
  std::int64_t fold_stream_ = 0;   // where K streams: cycles of a pass until its last operand is in
  std::int64_t fold_lead_in_ = 0;  // phases before its first step
  bool begun_ = true;              // or there is none
  Cycle stream_issues_end_ = 0;    // the last operand has entered
  Cycle stream_end_ = 0;           // padding and gaps of passes included
  Cycle fold_end_ = 0;
  Cycle step_end_ = -1;

  EngineCycles counted_;
  std::int64_t start_up_ = 0, emptying_ = 0;
  bool step_over_ = false;
  std::vector<std::size_t> completed_;
  std::deque<std::pair<Cycle, std::size_t>> pending_;  // steps that complete, and when
  std::deque<Output> outputs_;
};

}  // namespace widthwise::sim
