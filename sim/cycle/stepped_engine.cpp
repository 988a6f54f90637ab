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
  shape.products = mode.products;
  shape.streams = plan.engine->timing().schedule().streams;
  shape.weight = cut_of(engine, operands.weight, mode.weight_passes, mode.weight_bits_per_pass,
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
      block_columns_(static_cast<std::int64_t>(engine.columns) * engine.tiles),
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
  return !at_work_ && pending_.empty() && outputs_.empty() && arrays_empty();
}

std::int64_t SteppedEngine::used_columns() const {
  return std::min(shape_.columns,
                  schedule_.streams == StreamAxis::n ? fold_.m_count : fold_.n_count);
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
  std::vector<Pack> packs;
  for (std::int64_t group = 0; group < block_.groups.size; group += pack) {
    Pack part;
    part.first_group = block_.groups.begin + group;
    part.groups = std::min(pack, block_.groups.size - group);
    part.operands = std::make_shared<BlockOperands>(operands_, block_, part.first_group,
                                                    part.groups, plan_.engine->im2col(),
                                                    plan_.engine->timing().lanes_along_k());
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

void SteppedEngine::load_sums(Pack& pack, const TileBlock& block) {
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
          pack.sums->set(
              m, n,
              result_[static_cast<std::size_t>((group * shape.m() + position) * shape.n() +
                                               block.n.begin + n % outputs)]);
        }
      }
    }
  }
}

void SteppedEngine::store_sums(const Output& output) {
  const ComputeShape& shape = operands_.shape;
  const TileBlock& block = output.block;
  const std::int64_t outputs = block.n.size;
  for (const Pack& pack : output.packs) {
    std::int64_t m = 0;
    for (std::int64_t b = 0; b < block.batch.size; ++b) {
      for (std::int64_t y = 0; y < block.rows.size; ++y) {
        for (std::int64_t x = 0; x < block.columns.size; ++x, ++m) {
          const std::int64_t position =
              ((block.batch.begin + b) * shape.out_h + block.rows.begin + y) * shape.out_w +
              block.columns.begin + x;
          for (std::int64_t n = 0; n < pack.groups * outputs; ++n) {
            const std::int64_t group = pack.first_group + n / outputs;
            result_[static_cast<std::size_t>((group * shape.m() + position) * shape.n() +
                                             block.n.begin + n % outputs)] = pack.sums->get(m, n);
          }
        }
      }
    }
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
    cut(operands.m(), shape_.rows, block_index_, fold_.m, fold_.m_count);
    cut(operands.n(), block_columns_, inner_index_, fold_.n, fold_.n_count);
    prepare_issues(pack);
    if (++inner_index_ < ceil_div(operands.n(), block_columns_)) return true;
    inner_index_ = 0;
    if (++block_index_ < ceil_div(operands.m(), shape_.rows)) return true;
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

void SteppedEngine::prepare_issues(Pack& pack) {
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
  fold_.pass_cycles =
      round_up(static_cast<std::int64_t>(pack.issues->size()), schedule_.block) + schedule_.gap;
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
    const auto stream = static_cast<std::int64_t>(fold_.issues->size());
    std::int64_t cycles = shape_.passes() * fold_.pass_cycles;
    stream_issues_end_ = fold_.start + cycles - fold_.pass_cycles + stream;
    if (last) {
      cycles -= schedule_.gap;
      if (schedule_.pipelined && !schedule_.pad_last) {
        cycles = (shape_.passes() - 1) * fold_.pass_cycles + stream;
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
      const std::int64_t within = (now - fold_.start) % fold_.pass_cycles;
      if (within >= static_cast<std::int64_t>(fold_.issues->size())) {
        ++counted_.fill;
        return;
      }
      issues = (*fold_.issues)[static_cast<std::size_t>(within)] >= 0;
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
  if (at_work_ && !begun_ && fold_.start == now) {
    begin_fold();
    begun_ = true;
  }
  for (const auto& array : arrays_) {
    if (!array->empty()) array->tick(now);
  }
  if (at_work_ && now >= step_.begin) {
    if (more_folds_ || now < step_end_) count(now);
    if (begun_ && more_folds_ && now + 1 >= fold_end_) schedule_fold();
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
