#include "sim/cycle/stepped_engine.hpp"

#include <algorithm>
#include <utility>

#include "models/base/error.hpp"

namespace widthwise::sim {

namespace {

OperandCut cut_of(const Engine& engine, IntegerFormat format, std::int64_t passes,
                  BitWidth bits_per_pass, bool serial_operand) {
  OperandCut cut;
  cut.is_signed = format.is_signed;
  cut.passes = passes;
  cut.piece_bits = bits_per_pass;
  cut.digit_bits = bits_per_pass;
  if (engine.kind == EngineKind::bit_serial) {
    // Planes taken at once; an operand taken in parallel is cut into pieces of that many planes.
    if (!serial_operand) cut.piece_bits = static_cast<int>(ceil_div(format.bits, passes));
    return cut;
  }
  if (engine.scaling == Scaling::fusion) {
    cut.digit_bits = std::min<int>(engine.supported_bits.front(), cut.piece_bits);
    cut.digits = static_cast<int>(ceil_div(cut.piece_bits, cut.digit_bits));
  }
  return cut;
}

AccumulatorRule rule_of(const LayerPlan& plan, const Engine& engine,
                        const LayerOperands& operands) {
  AccumulatorRule rule;
  rule.bits = plan.setting.accumulator_bits;
  rule.high = static_cast<std::int64_t>((std::uint64_t{1} << (rule.bits - 1)) - 1);
  rule.low = -rule.high - 1;
  // Sums of some passes only (planes, pieces of wide operands) can be up to four times as large as
  // those of all; where sums wrap, that does not matter in the end.
  const bool wraps = engine.accumulator_overflow == AccumulatorOverflow::wrap;
  const int on_the_way = wraps || plan.engine->mode().passes == 1 ? 0 : 2;
  const int safe = operands.safe_accumulator_bits() + on_the_way;
  if (safe <= rule.bits) {
    rule.mode = AccumulatorRule::Mode::unchecked;
    rule.bits = safe;
  } else {
    rule.mode = wraps ? AccumulatorRule::Mode::wrap : AccumulatorRule::Mode::saturate;
  }
  return rule;
}

ArrayShape array_shape(const LayerPlan& plan, const Engine& engine, const LayerOperands& operands) {
  const WidthMode& mode = plan.engine->mode();
  ArrayShape shape;
  shape.rows = engine.rows;
  // Copies of a bit-serial array are so many more columns; those of a systolic one have their own
  // wavefronts.
  shape.columns = engine.columns;
  if (engine.kind == EngineKind::bit_serial) shape.columns *= engine.tiles;
  const FoldSchedule schedule = plan.engine->timing().schedule();
  shape.products = mode.products * schedule.positions;
  shape.streams = schedule.streams;
  if (schedule.columns_in_time) shape.columns_in_time = engine.columns;
  shape.weight = cut_of(engine, operands.weight, ceil_div(mode.weight_passes, schedule.planes),
                        static_cast<BitWidth>(mode.weight_bits_per_pass * schedule.planes),
                        engine.serial != SerialOperand::activations);
  shape.activation = cut_of(engine, operands.activation, mode.activation_passes,
                            mode.activation_bits_per_pass, engine.serial != SerialOperand::weights);
  shape.rule = rule_of(plan, engine, operands);
  return shape;
}

}  // namespace

SteppedEngine::SteppedEngine(const LayerPlan& plan, const Engine& engine,
                             const LayerOperands& operands)
    : plan_(plan),
      operands_(operands),
      schedule_(plan.engine->timing().schedule()),
      shape_(array_shape(plan, engine, operands)),
      serial_(engine.kind == EngineKind::bit_serial),
      columns_(engine.columns),
      block_columns_(static_cast<std::int64_t>(engine.columns) * engine.tiles),
      position_block_(engine.position_block),
      result_(static_cast<std::size_t>(operands.shape.output_elements())) {
  const int copies = serial_ ? 1 : engine.tiles;
  for (int copy = 0; copy < copies; ++copy) arrays_.push_back(make_array(engine, shape_));
}

bool SteppedEngine::arrays_empty() const {
  return std::all_of(arrays_.begin(), arrays_.end(),
                     [](const auto& array) { return array->empty(); });
}

std::int64_t SteppedEngine::overflows() const {
  std::int64_t sum = 0;
  for (const auto& array : arrays_) sum += array->overflows();
  return sum;
}

/// Each copy of the array takes its columns of the block.
void SteppedEngine::begin_fold() {
  for (std::size_t copy = 0; copy < arrays_.size(); ++copy) {
    Fold part = fold_;
    if (arrays_.size() > 1) {
      const std::int64_t before = static_cast<std::int64_t>(copy) * shape_.columns;
      if (before >= fold_.n_count) break;
      part.n += before;
      part.n_count = std::min(shape_.columns, fold_.n_count - before);
    }
    arrays_[copy]->begin_fold(part);
  }
}

bool SteppedEngine::idle() const {
  return !at_work_ && begun_ && pending_.empty() && outputs_.empty() && arrays_empty();
}

std::int64_t SteppedEngine::used_columns() const {
  return std::min(columns_, schedule_.streams == StreamAxis::n ? fold_.m_count : fold_.n_count);
}

std::int64_t SteppedEngine::latency(std::int64_t used_columns) const {
  const std::int64_t way_out = schedule_.streams == StreamAxis::k ? schedule_.load : 0;
  return way_out + schedule_.fill + schedule_.drain + schedule_.per_used_column * used_columns;
}

void SteppedEngine::begin_step(const StepStart& start) {
  ensure(!at_work_, "a step begins when the one before is over");
  step_ = start;
  block_ = plan_.engine->block(plan_.tile, start.step);
  at_work_ = true;
  step_over_ = false;
  counted_ = {};
  start_up_ = emptying_ = 0;
  const std::int64_t pack = plan_.engine->pack();
  const ReductionCut cut{.im2col = plan_.engine->im2col(),
                         .lanes = plan_.engine->timing().lanes_along_k(),
                         .positions = schedule_.positions,
                         .folded = schedule_.folded};
  std::vector<Pack> packs;
  for (std::int64_t group = 0; group < block_.groups.size; group += pack) {
    Pack part;
    part.first_group = block_.groups.begin + group;
    part.groups = std::min(pack, block_.groups.size - group);
    part.operands =
        std::make_shared<BlockOperands>(operands_, block_, part.first_group, part.groups, cut);
    if (start.step.starts_output) {
      part.sums = arrays_.front()->new_sums(part.operands->m(), part.operands->n());
      if (start.step.loads_sums && start.step.k_tile > 0) load_sums(part, block_);
    } else {
      part.sums = packs_[packs.size()].sums;
    }
    packs.push_back(std::move(part));
  }
  packs_ = std::move(packs);
  pack_ = 0;
  block_index_ = inner_index_ = k_step_ = pass_ = 0;
  fresh_step_ = more_folds_ = true;
  schedule_fold();
}

/// Calls visit(m, n, index) for every output of a pack: its place in the tile, and in result_.
template <class Visit>
void SteppedEngine::for_each_output(const Pack& pack, const TileBlock& block, Visit visit) const {
  const ComputeShape& shape = operands_.shape;
  const std::int64_t outputs = block.n.size;
  std::int64_t m = 0;
  for (std::int64_t b = 0; b < block.batch.size; ++b) {
    for (std::int64_t y = 0; y < block.rows.size; ++y) {
      for (std::int64_t x = 0; x < block.columns.size; ++x, ++m) {
        const std::int64_t position =
            ((block.batch.begin + b) * shape.out_h + block.rows.begin + y) * shape.out_w +
            block.columns.begin + x;
        for (std::int64_t n = 0; n < pack.groups * outputs; ++n) {
          const std::int64_t group = pack.first_group + n / outputs;
          visit(m, n,
                static_cast<std::size_t>((group * shape.m() + position) * shape.n() +
                                         block.n.begin + n % outputs));
        }
      }
    }
  }
}

void SteppedEngine::load_sums(Pack& pack, const TileBlock& block) {
  for_each_output(pack, block, [&](std::int64_t m, std::int64_t n, std::size_t index) {
    pack.sums->set(m, n, result_[index]);
  });
}

void SteppedEngine::store_sums(const Output& output) {
  for (const Pack& pack : output.packs) {
    for_each_output(pack, output.block, [&](std::int64_t m, std::int64_t n, std::size_t index) {
      result_[index] = pack.sums->get(m, n);
    });
  }
}

/// Advances fold_ to the next one of the step; false if there is none.
bool SteppedEngine::next_fold() {
  if (pack_ == packs_.size()) return false;
  Pack& pack = packs_[pack_];
  BlockOperands& operands = *pack.operands;
  fold_ = {};
  fold_.operands = pack.operands;
  fold_.sums = pack.sums;
  fold_.m_count = operands.m();
  fold_.n_count = operands.n();
  const auto cut = [](std::int64_t extent, std::int64_t side, std::int64_t index,
                      std::int64_t& first, std::int64_t& size) {
    first = index * side;
    size = std::min(side, extent - first);
  };
  if (schedule_.streams == StreamAxis::k) {
    place_positions();
    if (!schedule_.staggered) {
      cut(operands.n(), block_columns_, inner_index_, fold_.n, fold_.n_count);
    }
    fold_lead_in_ = lead_in();
    prepare_issues(pack);
    const std::int64_t blocks = schedule_.staggered ? 1 : ceil_div(operands.n(), block_columns_);
    if (++inner_index_ < blocks) return true;
    inner_index_ = 0;
    if (++block_index_ < position_blocks().count) return true;
    block_index_ = 0;
    ++pack_;
    return true;
  }
  const bool n_streams = schedule_.streams == StreamAxis::n;
  const std::int64_t held = n_streams ? operands.m() : operands.n();
  if (n_streams) {
    cut(held, block_columns_, block_index_, fold_.m, fold_.m_count);
  } else {
    cut(held, block_columns_, block_index_, fold_.n, fold_.n_count);
  }
  fold_.k_step = k_step_;
  fold_.weight_pass = pass_ / shape_.activation.passes;
  fold_.activation_pass = pass_ % shape_.activation.passes;
  fold_.interval = schedule_.interval[operands.is_edge(k_step_) ? 1 : 0];
  if (++pass_ < shape_.passes()) return true;
  pass_ = 0;
  if (++k_step_ < operands.k_steps()) return true;
  k_step_ = 0;
  if (++block_index_ < ceil_div(held, block_columns_)) return true;
  block_index_ = 0;
  ++pack_;
  return true;
}

SteppedEngine::PositionBlocks SteppedEngine::position_blocks() const {
  if (schedule_.staggered) return {block_.m(), block_.m()};
  if (!position_block_) {
    const std::int64_t blocks = ceil_div(block_.m(), shape_.rows);
    return {blocks, blocks};
  }
  const std::int64_t in_row = ceil_div(block_.columns.size, position_block_->width);
  return {block_.batch.size * ceil_div(block_.rows.size, position_block_->height) * in_row, in_row};
}

void SteppedEngine::place_positions() {
  if (schedule_.staggered || !position_block_) {
    const std::int64_t rows = schedule_.staggered ? 1 : shape_.rows;
    fold_.m = block_index_ * rows;
    fold_.m_count = std::min(rows, block_.m() - fold_.m);
    return;
  }
  const std::int64_t height = position_block_->height;
  const std::int64_t width = position_block_->width;
  const std::int64_t in_row = position_blocks().in_row;
  const std::int64_t in_column = ceil_div(block_.rows.size, height);
  const std::int64_t image = block_index_ / in_row / in_column;
  const std::int64_t top = block_index_ / in_row % in_column * height;
  const std::int64_t left = block_index_ % in_row * width;
  auto rows = std::make_shared<std::vector<std::int64_t>>();
  for (std::int64_t y = top; y < std::min(top + height, block_.rows.size); ++y) {
    for (std::int64_t x = left; x < std::min(left + width, block_.columns.size); ++x) {
      rows->push_back((image * block_.rows.size + y) * block_.columns.size + x);
    }
  }
  fold_.m = rows->front();
  fold_.m_count = static_cast<std::int64_t>(rows->size());
  fold_.rows = std::move(rows);
}

std::int64_t SteppedEngine::lead_in() const {
  if (inner_index_ > 0) return schedule_.at(PhaseEvent::next_channels);
  if (block_index_ == 0) return schedule_.at(PhaseEvent::tile);
  return schedule_.at(block_index_ % position_blocks().in_row == 0 ? PhaseEvent::next_row
                                                                   : PhaseEvent::next_column);
}

std::vector<SerialIssue> SteppedEngine::timeline(const BlockOperands& operands) const {
  std::vector<SerialIssue> timeline;
  const auto idle = [&](std::int64_t cycles, std::int64_t why = SerialIssue::kIdle) {
    timeline.resize(timeline.size() + static_cast<std::size_t>(cycles), {why, 0, 0});
  };
  const auto issue = [&](std::int64_t k_step, std::int64_t pass) {
    for (std::int64_t column = 0; column < shape_.columns_in_time; ++column) {
      timeline.push_back({k_step, pass, column});
    }
  };
  if (!schedule_.phases) {
    for (std::int64_t pass = 0; pass < shape_.passes(); ++pass) {
      for (std::int64_t k_step = 0; k_step < operands.k_steps(); ++k_step) {
        issue(k_step, pass);
        idle(schedule_.interval[operands.is_edge(k_step) ? 1 : 0] - shape_.columns_in_time,
             SerialIssue::kWait);
      }
      const auto cycles = static_cast<std::int64_t>(timeline.size());
      const std::int64_t stream = cycles - pass * fold_.pass_cycles;
      idle(round_up(stream, schedule_.block) - stream + schedule_.gap);
    }
    return timeline;
  }
  const std::int64_t after = schedule_.at(PhaseEvent::step) - schedule_.before_stream;
  for (std::int64_t k_step = 0; k_step < operands.k_steps(); ++k_step) {
    if (k_step > 0) idle(schedule_.at(PhaseEvent::next_reduction));
    for (std::int64_t activation = 0; activation < shape_.activation.passes; ++activation) {
      if (activation > 0) idle(schedule_.at(PhaseEvent::next_pass));
      idle(schedule_.before_stream);
      for (std::int64_t weight = 0; weight < shape_.weight.passes; ++weight) {
        issue(k_step, weight * shape_.activation.passes + activation);
      }
      idle(after);
    }
  }
  return timeline;
}

void SteppedEngine::prepare_staggered(Pack& pack) {
  const LayerTiming& timing = plan_.engine->timing();
  if (pack.issues == nullptr) {
    auto issues = std::make_shared<std::vector<std::int64_t>>();
    const std::int64_t steps =
        pack.operands->k_steps() * ceil_div(pack.operands->n(), block_columns_);
    for (std::int64_t step = 0; step < steps; ++step) {
      // So many steps end with the passes of the last one.
      const std::int64_t at =
          timing.staggered_cycles(step + 1, schedule_.interval[0]) - shape_.passes();
      issues->resize(static_cast<std::size_t>(at), -1);
      issues->push_back(step);
    }
    pack.issues = std::move(issues);
  }
  const std::int64_t steps = pack.issues->back() + 1;
  fold_.issues = pack.issues;
  fold_.staggered = true;
  fold_.passes = 1;
  fold_stream_ = timing.staggered_cycles(steps, schedule_.interval[0]);
  fold_.waits = fold_stream_ - timing.staggered_cycles(steps, 1);
  fold_.pass_cycles = round_up(fold_stream_, schedule_.block) + schedule_.gap;
}

void SteppedEngine::prepare_timeline(Pack& pack) {
  if (schedule_.phases) {
    fold_.passes = 1;
  } else {
    fold_stream_ = 0;
    for (std::int64_t k_step = 0; k_step < pack.operands->k_steps(); ++k_step) {
      fold_stream_ += schedule_.interval[pack.operands->is_edge(k_step) ? 1 : 0];
    }
    fold_.pass_cycles = round_up(fold_stream_, schedule_.block) + schedule_.gap;
  }
  if (pack.timeline == nullptr) {
    pack.timeline = std::make_shared<const std::vector<SerialIssue>>(timeline(*pack.operands));
  }
  fold_.timeline = pack.timeline;
  if (schedule_.phases) {
    fold_stream_ = fold_.pass_cycles = static_cast<std::int64_t>(pack.timeline->size());
  }
}

/// When each K-step of a pass enters the array.
void SteppedEngine::prepare_issues(Pack& pack) {
  fold_.passes = shape_.passes();
  if (schedule_.staggered) {
    prepare_staggered(pack);
    return;
  }
  if (schedule_.phases || schedule_.columns_in_time) {
    prepare_timeline(pack);
    return;
  }
  if (pack.issues == nullptr) {
    auto issues = std::make_shared<std::vector<std::int64_t>>();
    for (std::int64_t k_step = 0; k_step < pack.operands->k_steps(); ++k_step) {
      issues->push_back(k_step);
      const std::int64_t interval = schedule_.interval[pack.operands->is_edge(k_step) ? 1 : 0];
      issues->insert(issues->end(), static_cast<std::size_t>(interval - 1), -1);
    }
    pack.issues = std::move(issues);
  }
  fold_.issues = pack.issues;
  fold_stream_ = static_cast<std::int64_t>(pack.issues->size());
  fold_.pass_cycles = round_up(fold_stream_, schedule_.block) + schedule_.gap;
}

/// When the next fold's stream starts and ends.
void SteppedEngine::schedule_fold() {
  const Cycle previous_start = fold_.start;
  const Cycle previous_end = fold_end_;
  const bool first_in_step = std::exchange(fresh_step_, false);
  if (!next_fold()) {
    end_step(previous_end);
    return;
  }
  begun_ = false;
  const bool last = step_.last && pack_ == packs_.size();
  const Cycle earliest = step_.begin;
  const std::int64_t load = schedule_.load;
  if (schedule_.streams == StreamAxis::k) {
    if (first_fold_) {
      fold_.start = earliest;
    } else if (!schedule_.pipelined) {
      fold_.start = std::max(earliest, previous_end);
    } else {
      fold_.start =
          std::max(earliest, schedule_.load_hidden ? std::max(previous_end, previous_start + load)
                                                   : previous_end + load);
    }
    fold_.start += fold_lead_in_;
    const std::int64_t stream = fold_stream_;
    std::int64_t cycles = fold_.passes * fold_.pass_cycles;
    stream_issues_end_ = fold_.start + cycles - fold_.pass_cycles + stream;
    if (last) {
      cycles -= schedule_.gap;
      if (schedule_.pipelined && !schedule_.pad_last) {
        cycles = (fold_.passes - 1) * fold_.pass_cycles + stream;
      }
    }
    stream_end_ = fold_.start + cycles;
  } else {
    const std::int64_t length = schedule_.streams == StreamAxis::n ? fold_.n_count : fold_.m_count;
    const std::int64_t stream = length * fold_.interval;
    const std::int64_t gap = first_fold_ ? 0 : schedule_.gap;
    if (schedule_.pipelined && schedule_.load_hidden) {
      // The next operands are loaded under the stream before, once they are in their buffer.
      const bool late = first_fold_ || (first_in_step && step_.held_since > previous_start);
      const Cycle load_start = first_fold_ ? earliest : (late ? step_.held_since : previous_start);
      fold_.start = std::max(
          {earliest, first_fold_ ? 0 : previous_end + gap, load_start + load + (late ? 0 : gap)});
    } else {
      fold_.start = std::max(earliest, first_fold_ ? 0 : previous_end + gap) + load;
    }
    stream_issues_end_ = fold_.start + stream;
    const bool padded = !schedule_.pipelined || !last || schedule_.pad_last;
    stream_end_ = fold_.start + (padded ? round_up(stream, schedule_.block) : stream);
  }
  fold_end_ = schedule_.pipelined ? stream_end_ : stream_end_ + latency(used_columns());
  first_fold_ = false;
}

void SteppedEngine::end_step(Cycle at) {
  more_folds_ = false;
  const Cycle out = schedule_.pipelined ? at + latency(0) : at;
  step_end_ = step_.last ? out : at;
  pending_.emplace_back(out, step_.number);
  if (!step_.step.ends_output) return;
  // The elements may need longer than a configuration says whose published cycles end before the
  // last result is visible; the values are taken when they are there.
  const std::int64_t needed = serial_ ? 0 : shape_.rows + shape_.columns - 2;
  outputs_.push_back({std::max(out, stream_issues_end_ + needed), block_, packs_});
}

void SteppedEngine::count(Cycle now) {
  if (now < stream_end_) {
    if (now < fold_.start || now >= stream_issues_end_) {
      ++counted_.fill;
      return;
    }
    bool issues = false;
    if (schedule_.streams == StreamAxis::k) {
      const std::int64_t since = now - fold_.start;
      const std::int64_t within = since % fold_.pass_cycles;
      const SerialIssue* issue =
          fold_.timeline != nullptr ? &(*fold_.timeline)[static_cast<std::size_t>(since)] : nullptr;
      if (issue != nullptr ? issue->k_step == SerialIssue::kIdle : within >= fold_stream_) {
        ++counted_.fill;
        return;
      }
      if (fold_.staggered) {
        issues = within >= fold_.waits;  // how many cycles a port costs is known, not which
      } else if (issue != nullptr) {
        issues = issue->k_step >= 0;
      } else {
        issues = (*fold_.issues)[static_cast<std::size_t>(within)] >= 0;
      }
    } else {
      issues = (now - fold_.start) % fold_.interval == 0;
    }
    if (issues) {
      ++counted_.busy;
    } else {
      ++(schedule_.input_limits ? counted_.wait_input : counted_.wait_weight);
    }
    return;
  }
  // Results on their way out.
  if (!schedule_.pipelined) {
    ++(fold_end_ - now <= schedule_.drain ? counted_.drain : counted_.fill);
  } else {
    ++(step_end_ - now <= schedule_.drain ? emptying_ : start_up_);
  }
}

void SteppedEngine::tick(Cycle now) {
  completed_.clear();
  step_over_ = false;
  if (!begun_ && fold_.start == now) {
    begin_fold();
    begun_ = true;
  }
  for (const auto& array : arrays_) {
    if (!array->empty()) array->tick(now);
  }
  if (at_work_ && now >= step_.begin) {
    if (more_folds_ || now < step_end_) count(now);
    // The layer's last fold may end, by its published cycles, before it has begun.
    const auto last_fold = [&] { return step_.last && pack_ == packs_.size(); };
    while (more_folds_ && now + 1 >= fold_end_ && (begun_ || last_fold())) schedule_fold();
    if (!more_folds_ && now + 1 >= step_end_) {
      at_work_ = false;
      step_over_ = true;
    }
  }
  for (; !pending_.empty() && now + 1 >= pending_.front().first; pending_.pop_front()) {
    completed_.push_back(pending_.front().second);
  }
  for (; !outputs_.empty() && now + 1 >= outputs_.front().at; outputs_.pop_front()) {
    store_sums(outputs_.front());
  }
}

void SteppedEngine::finish(Cycle now) {
  for (; !idle(); ++now) tick(now);
}

}  // namespace widthwise::sim
