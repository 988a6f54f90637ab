#include "models/hardware/engine.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

/// Width of one piece when `bits` are split over passes of at most `max_bits`, rounded up to a
/// supported width.
struct Pieces {
  std::int64_t passes = 1;
  BitWidth width = 0;
};

std::optional<Pieces> split_width(const Engine& engine, BitWidth bits) {
  Pieces pieces;
  pieces.passes = ceil_div(bits, engine.max_bits);
  if (pieces.passes > 1 && !engine.temporal) return std::nullopt;
  const auto piece = static_cast<BitWidth>(ceil_div(bits, pieces.passes));
  pieces.width = engine.max_bits;
  if (engine.scaling != Scaling::fixed) {
    const auto fitting =
        std::lower_bound(engine.supported_bits.begin(), engine.supported_bits.end(), piece);
    ensure(fitting != engine.supported_bits.end(), "supported widths reach max_bits");
    pieces.width = *fitting;
  }
  return pieces;
}

std::optional<WidthMode> array_mode(const Engine& engine, LayerWidths widths) {
  const auto weight = split_width(engine, widths.weight);
  const auto activation = split_width(engine, widths.activation);
  if (!weight || !activation) return std::nullopt;
  WidthMode mode;
  mode.weight_passes = weight->passes;
  mode.activation_passes = activation->passes;
  BitWidth weight_bits = weight->width;
  BitWidth activation_bits = activation->width;
  switch (engine.scaling) {
    case Scaling::fixed:
      break;
    case Scaling::fusion:
      mode.products = static_cast<std::int64_t>(engine.max_bits / weight_bits) *
                      (engine.max_bits / activation_bits);
      break;
    case Scaling::subword:
      // Symmetric: both operands are split at the wider of the two widths.
      weight_bits = activation_bits = std::max(weight_bits, activation_bits);
      mode.products = engine.max_bits / weight_bits;
      break;
  }
  mode.passes = mode.weight_passes * mode.activation_passes;
  mode.weight_bits_per_pass = weight_bits;
  mode.activation_bits_per_pass = activation_bits;
  mode.operation = {weight_bits, activation_bits};
  mode.operations_per_mac = static_cast<double>(mode.passes);
  mode.computed = {static_cast<BitWidth>(weight_bits * weight->passes),
                   static_cast<BitWidth>(activation_bits * activation->passes)};
  return mode;
}

/// What a unit of a bit-serial engine takes in a cycle.
LayerWidths operand_bits(const Engine& engine) {
  return {engine.serial != SerialOperand::activations ? engine.weight_bits_per_cycle
                                                      : engine.parallel_bits,
          engine.serial != SerialOperand::weights ? engine.activation_bits_per_cycle
                                                  : engine.parallel_bits};
}

/// Units of the energy table that make up one of the engine's.
std::int64_t units_in_one(const Engine& engine) {
  if (!engine.unit_bits) return 1;
  const LayerWidths bits = operand_bits(engine);
  return ceil_div(bits.weight, engine.unit_bits->weight) *
         ceil_div(bits.activation, engine.unit_bits->activation);
}

std::optional<WidthMode> serial_mode(const Engine& engine, LayerWidths widths) {
  if (widths.weight > engine.max_weight_bits || widths.activation > engine.max_activation_bits) {
    return std::nullopt;
  }
  WidthMode mode;
  mode.products = engine.lanes;
  const bool serial_weights = engine.serial != SerialOperand::activations;
  const bool serial_activations = engine.serial != SerialOperand::weights;
  if (serial_weights) {
    const std::int64_t planes = widths.weight + (engine.sign_plane ? 1 : 0);
    mode.weight_passes = ceil_div(planes, engine.weight_bits_per_cycle);
    mode.weight_bits_per_pass = engine.weight_bits_per_cycle;
    mode.computed.weight = static_cast<BitWidth>(round_up(planes, engine.weight_bits_per_cycle) -
                                                 (engine.sign_plane ? 1 : 0));
  } else {
    mode.weight_passes = ceil_div(widths.weight, engine.parallel_bits);
    mode.weight_bits_per_pass = std::min<BitWidth>(widths.weight, engine.parallel_bits);
    mode.computed.weight = widths.weight;
  }
  if (serial_activations) {
    mode.activation_passes = ceil_div(widths.activation, engine.activation_bits_per_cycle);
    mode.activation_bits_per_pass = engine.activation_bits_per_cycle;
    mode.computed.activation =
        static_cast<BitWidth>(round_up(widths.activation, engine.activation_bits_per_cycle));
  } else {
    mode.activation_passes = ceil_div(widths.activation, engine.parallel_bits);
    mode.activation_bits_per_pass = std::min<BitWidth>(widths.activation, engine.parallel_bits);
    mode.computed.activation = widths.activation;
  }
  mode.passes = mode.weight_passes * mode.activation_passes;
  mode.operation = operand_bits(engine);
  mode.operations_per_mac = static_cast<double>(mode.passes);
  if (engine.unit_bits) {
    mode.operations_per_mac *= static_cast<double>(units_in_one(engine));
    mode.operation = *engine.unit_bits;
  }
  return mode;
}

}  // namespace

std::optional<WidthMode> width_mode(const Engine& engine, LayerWidths widths) {
  return engine.kind == EngineKind::mac_array ? array_mode(engine, widths)
                                              : serial_mode(engine, widths);
}

std::string supported_widths(const Engine& engine) {
  int weight = engine.max_weight_bits;
  int activation = engine.max_activation_bits;
  if (engine.kind == EngineKind::mac_array) {
    weight = activation = engine.temporal ? kMaxOperandWidth : engine.max_bits;
  }
  return "weights of 1.." + std::to_string(weight) + " and activations of 1.." +
         std::to_string(activation) + " bits";
}

ResolvedTiming resolved_timing(const Engine& engine) {
  ResolvedTiming timing;
  if (engine.kind == EngineKind::mac_array) {
    switch (engine.dataflow) {
      case Dataflow::weight_stationary:
      case Dataflow::input_stationary:
        if (engine.dataflow == Dataflow::input_stationary ||
            engine.weights == WeightDelivery::preloaded) {
          timing.load = {.rows = 1};
        }
        timing.fill = {.rows = 1, .constant = -1};
        timing.drain = {.columns = 1};
        break;
      case Dataflow::output_stationary:
        timing.fill = {.rows = 1, .columns = 1, .constant = -2};
        timing.drain = {.rows = 1};
        break;
    }
  } else {
    timing.drain = {.constant = 1};
  }
  const EngineTiming& given = engine.timing;
  timing.load = given.load.value_or(timing.load);
  timing.fill = given.fill.value_or(timing.fill);
  timing.drain = given.drain.value_or(timing.drain);
  timing.load_hidden = given.load_hidden.value_or(true);
  timing.stream_block = given.stream_block.value_or(engine.rows);
  return timing;
}

std::int64_t evaluate(const LinearCycles& linear, const Engine& engine, std::int64_t used_columns) {
  return std::max<std::int64_t>(0, static_cast<std::int64_t>(linear.rows) * engine.rows +
                                       static_cast<std::int64_t>(linear.columns) * engine.columns +
                                       linear.used_columns * used_columns + linear.constant);
}

namespace {

/// Processing elements, or units with lanes of their own.
std::int64_t places(const Engine& engine) {
  return static_cast<std::int64_t>(engine.rows) * (engine.columns_in_time ? 1 : engine.columns) *
         engine.tiles * engine.blocks;
}

}  // namespace

std::int64_t unit_count(const Engine& engine) { return places(engine) * units_in_one(engine); }

double peak_macs_per_cycle(const Engine& engine, const WidthMode& mode) {
  return static_cast<double>(places(engine)) * static_cast<double>(mode.products) /
         static_cast<double>(mode.passes);
}

StrideFolding stride_folding(const Engine& engine, const ComputeShape& shape,
                             bool reads_network_input) {
  StrideFolding folding{.pixels = shape.stride_h * shape.stride_w,
                        .kernel = ceil_div(shape.kernel_h, shape.stride_h) *
                                  ceil_div(shape.kernel_w, shape.stride_w)};
  const bool folds = reads_network_input && shape.groups == 1 &&
                     shape.in_channels == engine.fold_stride_channels && shape.dilation_h == 1 &&
                     shape.dilation_w == 1 && !unrolls_kernel(engine, shape, reads_network_input);
  if (!folds) folding = {.pixels = 1, .kernel = shape.kernel_h * shape.kernel_w};
  return folding;
}

bool unrolls_kernel(const Engine& engine, const ComputeShape& shape, bool reads_network_input) {
  if (shape.kernel_h * shape.kernel_w == 1) return false;
  switch (engine.reduction) {
    case Reduction::channels:
      return false;
    case Reduction::im2col:
      return true;
    case Reduction::automatic:
      return reads_network_input;
  }
  return false;
}

namespace {

std::int64_t lanes_along_k(const Engine& engine, const WidthMode& mode) {
  const bool k_on_rows =
      engine.kind == EngineKind::mac_array && engine.dataflow != Dataflow::output_stationary;
  return k_on_rows ? engine.rows * mode.products : mode.products;
}

}  // namespace

std::int64_t groups_per_pack(const Engine& engine, const WidthMode& mode, const ComputeShape& shape,
                             bool im2col) {
  if (engine.groups == GroupMapping::sequential || shape.groups == 1 ||
      shape.second_operand_is_activation) {
    return 1;
  }
  const std::int64_t lanes = lanes_along_k(engine, mode);
  const std::int64_t terms = im2col ? shape.k() : shape.in_channels;
  const std::int64_t columns =
      engine.dataflow == Dataflow::input_stationary && engine.kind == EngineKind::mac_array
          ? shape.groups  // columns hold positions
          : static_cast<std::int64_t>(engine.columns) * engine.tiles / shape.out_channels;
  return std::max<std::int64_t>(1, std::min({shape.groups, lanes / terms, columns}));
}

void TileKinds::add(Kind kind) {
  if (kind.times == 0 || kind.steps == 0) return;
  for (Kind& held : kinds) {
    if (held.times > 0 && held.steps != kind.steps) continue;
    held.steps = kind.steps;
    held.times += kind.times;
    return;
  }
  ensure(false, "tiles along an axis are of two kinds");
}

void TileKinds::add(const TileKinds& other, std::int64_t times) {
  for (const Kind& kind : other.kinds) add({kind.steps, times * kind.times});
}

MSums& MSums::add(const MSums& other, std::int64_t times) {
  tiles += times * other.tiles;
  total += times * other.total;
  blocks += times * other.blocks;
  block_rows += times * other.block_rows;
  reads += times * other.reads;
  stream[0] += times * other.stream[0];
  stream[1] += times * other.stream[1];
  return *this;
}

NSums& NSums::add(const NSums& other, std::int64_t times) {
  tiles += times * other.tiles;
  total += times * other.total;
  blocks += times * other.blocks;
  used_columns += times * other.used_columns;
  most_columns += times * other.most_columns;
  kinds.add(other.kinds, times);
  stream[0] += times * other.stream[0];
  stream[1] += times * other.stream[1];
  return *this;
}

KSums& KSums::add(const KSums& other, std::int64_t times) {
  tiles += times * other.tiles;
  total += times * other.total;
  steps[0] += times * other.steps[0];
  steps[1] += times * other.steps[1];
  step_cycles += times * other.step_cycles;
  stream += times * other.stream;
  kinds.add(other.kinds, times);
  return *this;
}

EngineCycles EngineCycles::less(std::int64_t credit) const {
  EngineCycles rest = *this;
  rest.fill -= std::min(credit, fill);
  rest.busy -= credit - std::min(credit, fill);
  return rest;
}

LayerTiming::LayerTiming(const Engine& engine, const WidthMode& mode, const EngineWork& work,
                         const EnginePorts& ports)
    : rows_(engine.rows),
      columns_(engine.columns),
      block_columns_(static_cast<std::int64_t>(engine.columns) * engine.tiles),
      lanes_k_(widthwise::lanes_along_k(engine, mode)),
      kernel_(work.kernel),
      folded_(work.folded),
      folded_kernel_(work.folded > 1 ? work.folded_kernel : work.kernel),
      passes_(mode.passes),
      activation_passes_(mode.activation_passes),
      blocks_(engine.blocks),
      step_time_(engine.columns_in_time ? engine.columns : 1),
      position_block_(engine.position_block.value_or(PositionBlock{0, 0})),
      height_(work.height),
      width_(work.width),
      im2col_(work.im2col),
      staggered_(work.vectors && engine.fully_connected == VectorMapping::staggered &&
                 engine.kind == EngineKind::bit_serial),
      pipelined_(engine.timing.folds == FoldOverlap::pipelined),
      gap_(engine.timing.fold_gap),
      pad_last_(engine.timing.pad_last_block),
      ports_(ports),
      accumulator_bits_(work.accumulator_bits) {
  const bool array = engine.kind == EngineKind::mac_array;
  if (array && engine.dataflow == Dataflow::weight_stationary)
    streams_ = Axis::m;
  else if (array && engine.dataflow == Dataflow::input_stationary)
    streams_ = Axis::n;
  else
    streams_ = Axis::k;
  streamed_weights_ = streams_ == Axis::m && engine.weights == WeightDelivery::streamed;
  sums_in_array_ = streams_ == Axis::k || streamed_weights_;

  // Weight planes that find room beside the kernel's positions.
  planes_ = std::max<std::int64_t>(1, blocks_ / folded_kernel_);
  const std::int64_t positions = std::min(blocks_, folded_kernel_);
  passes_ = ceil_div(mode.weight_passes, planes_) * mode.activation_passes;

  for (const Phase& phase : engine.timing.phases) {
    ResolvedPhase& resolved = phases_.emplace_back();
    for (std::size_t event = 0; event < kPhaseEvents; ++event) {
      const PhaseCycles& at = phase.at[event];
      resolved.cycles[event] =
          at.kernel * folded_kernel_ + at.constant +
          at.output_passes * ceil_div(work.stored_output, engine.activation_bits_per_cycle);
      resolved.streams = resolved.streams || at.stream;
    }
  }

  const ResolvedTiming timing = resolved_timing(engine);
  load_hidden_ = timing.load_hidden;
  block_ = timing.stream_block;
  load_ = evaluate(timing.load, engine, 0);
  if (!phases_.empty()) {
    // Nothing but the phases.
    pipelined_ = false;
    load_ = drain_ = fill_ = 0;
  } else if (pipelined_) {
    // The wavefront is paid once a layer; columns in use: those of the whole layer.
    const std::int64_t spread = streams_ == Axis::n ? work.m : work.n;
    const std::int64_t used = std::min<std::int64_t>(columns_, spread);
    wavefront_ = evaluate(timing.fill, engine, used);
    finish_ = wavefront_ + evaluate(timing.drain, engine, used);
    // Where outputs stay in the array, the load is the path that they leave by.
    if (streams_ == Axis::k) {
      wavefront_ += load_;
      finish_ += load_;
    } else {
      start_ = load_;
    }
  } else {
    // SCALE-Sim's folds are a cycle shorter than their parts; on a single element that is less
    // than nothing, which the gap makes up for.
    const std::int64_t fill = static_cast<std::int64_t>(timing.fill.rows) * rows_ +
                              static_cast<std::int64_t>(timing.fill.columns) * columns_ +
                              timing.fill.constant;
    fill_ = std::max(load_ + fill, -gap_);
    drain_ = static_cast<std::int64_t>(timing.drain.rows) * rows_ +
             static_cast<std::int64_t>(timing.drain.columns) * columns_ + timing.drain.constant;
    used_columns_factor_ = timing.fill.used_columns + timing.drain.used_columns;
  }
  preload_ = load_hidden_ && streams_ != Axis::k ? load_ : 0;

  // What a step asks of the ports, per lane along K: the bits of one operand times the rows or
  // columns that need their own.
  const std::int64_t rows_used = std::min<std::int64_t>(rows_, work.m);
  const std::int64_t columns_used = std::min<std::int64_t>(block_columns_, work.n);
  // A bit-parallel array is handed operands as they are stored; a bit-serial one reads planes.
  const std::int64_t input_bits =
      array ? ceil_div(work.stored_input, mode.activation_passes) : mode.activation_bits_per_pass;
  const std::int64_t weight_bits = mode.weight_bits_per_pass;
  switch (streams_) {
    case Axis::m:
      input_bits_per_lane_ = static_cast<double>(input_bits);
      weight_bits_per_lane_ =
          streamed_weights_ ? static_cast<double>(weight_bits * columns_used) : 0.0;
      break;
    case Axis::n:
      weight_bits_per_lane_ = static_cast<double>(weight_bits);
      break;
    case Axis::k:
      input_bits_per_lane_ = static_cast<double>(input_bits * rows_used * positions);
      weight_bits_per_lane_ = static_cast<double>(weight_bits * columns_used * positions * planes_);
      if (staggered_) {
        // A step is one row's; its operands for all passes come within the interval of its issue.
        input_bits_per_lane_ = static_cast<double>(input_bits * passes_);
        weight_bits_per_lane_ =
            static_cast<double>(weight_bits * mode.weight_passes * columns_used);
      }
      break;
  }
  const std::int64_t terms = this->terms(work.channels).in_space;
  step_full_ = step_cycles(std::min(lanes_k_, terms));
  step_edge_ = step_cycles(terms % lanes_k_ == 0 ? lanes_k_ : terms % lanes_k_);
  uniform_steps_ = !ports_.input && !ports_.weight;
  if (ports_.input && ports_.weight) {
    input_limits_ = input_bits_per_lane_ / *ports_.input >= weight_bits_per_lane_ / *ports_.weight;
  } else {
    input_limits_ = ports_.input.has_value();
  }
  // Preloading a stationary operand through a narrow port takes longer than the array's own load.
  const auto& stationary_port = streams_ == Axis::n ? ports_.input : ports_.weight;
  if (load_ > 0 && stationary_port && streams_ != Axis::k) {
    const std::int64_t bits = streams_ == Axis::n ? input_bits : weight_bits;
    const double fold_bits =
        static_cast<double>(std::min(lanes_k_, terms) * bits *
                            std::min(block_columns_, streams_ == Axis::n ? work.m : work.n));
    const auto port_cycles = static_cast<std::int64_t>(std::ceil(fold_bits / *stationary_port));
    if (port_cycles > load_) {
      if (pipelined_)
        start_ += port_cycles - load_;
      else
        fill_ += port_cycles - load_;
      load_ = port_cycles;
      if (load_hidden_) preload_ = load_;
    }
  }

  input_read_factor_ =
      array ? work.stored_input * mode.weight_passes
            : mode.activation_bits_per_pass *
                  // Rows hold their inputs over the weight planes of all columns in time.
                  (engine.columns_in_time ? mode.activation_passes : mode.passes);
  weight_read_factor_ = weight_bits * (staggered_ ? mode.weight_passes : mode.passes);
}

LayerTiming::Terms LayerTiming::terms(std::int64_t channels) const {
  if (im2col_) return {.in_space = channels * kernel_, .times = 1};
  return {.in_space = channels * folded_, .times = ceil_div(folded_kernel_, blocks_)};
}

std::int64_t LayerTiming::padded_terms(std::int64_t channels) const {
  const Terms terms = this->terms(channels);
  return round_up(terms.in_space, lanes_k_) * (im2col_ ? 1 : folded_kernel_);
}

std::int64_t LayerTiming::staggered_cycles(std::int64_t steps, std::int64_t interval) const {
  const std::int64_t before = steps - 1;
  return before / rows_ * std::max(passes_, rows_ * interval) + before % rows_ * interval + passes_;
}

template <class OfTile>
std::int64_t LayerTiming::sum_over_kinds(const NSums& n, const KSums& k, OfTile of_tile) {
  std::int64_t sum = 0;
  for (const auto& blocks : n.kinds.kinds) {
    for (const auto& steps : k.kinds.kinds) {
      const std::int64_t times = blocks.times * steps.times;
      if (times > 0) sum += times * of_tile(blocks.steps * steps.steps);
    }
  }
  return sum;
}

std::int64_t LayerTiming::staggered_fold(std::int64_t stream) const {
  const std::int64_t whole = round_up(stream, block_) + gap_;
  if (!pipelined_) return fill_ + whole + drain_;
  return load_hidden_ ? std::max(whole, load_) : whole + load_;
}

FoldSchedule LayerTiming::schedule() const {
  FoldSchedule schedule{
      .streams = streams_,
      .pipelined = pipelined_,
      .load_hidden = load_hidden_,
      .load = load_,
      .block = block_,
      .pad_last = pad_last_,
      .gap = gap_,
      .fill = pipelined_ ? wavefront_ - (streams_ == Axis::k ? load_ : 0) : fill_ - load_,
      .drain = pipelined_ ? finish_ - wavefront_ : drain_,
      .per_used_column = used_columns_factor_,
      .interval = {step_full_, uniform_steps_ ? step_full_ : step_edge_},
      .input_limits = input_limits_,
      .folded = folded_ > 1,
      .positions = im2col_ ? 1 : std::min(blocks_, folded_kernel_),
      .planes = planes_,
      .staggered = staggered_,
      .columns_in_time = step_time_ > 1,
      .phases = !phases_.empty(),
      .event_cycles = {},
      .before_stream = 0};
  bool before = true;
  for (const ResolvedPhase& phase : phases_) {
    for (std::size_t event = 0; event < kPhaseEvents; ++event) {
      schedule.event_cycles[event] += phase.cycles[event];
    }
    before = before && !phase.streams;
    if (before) schedule.before_stream += phase.cycles[static_cast<std::size_t>(PhaseEvent::step)];
  }
  if (schedule.phases) schedule.drain = schedule.at(PhaseEvent::fold);
  return schedule;
}

std::int64_t LayerTiming::step_cycles(std::int64_t lanes_used) const {
  auto cycles = static_cast<double>(step_time_);
  const auto lanes = static_cast<double>(lanes_used);
  if (ports_.input)
    cycles = std::max(cycles, std::ceil(lanes * input_bits_per_lane_ / *ports_.input));
  if (ports_.weight) {
    cycles = std::max(cycles, std::ceil(lanes * weight_bits_per_lane_ / *ports_.weight));
  }
  return static_cast<std::int64_t>(cycles);
}

std::int64_t LayerTiming::fold_cycles(std::int64_t stream) const {
  const std::int64_t padded = round_up(stream, block_);
  if (!pipelined_) return fill_ + padded + drain_ + gap_;
  return (load_hidden_ ? std::max(padded, load_) : padded + load_) + gap_;
}

std::int64_t LayerTiming::k_stream(std::int64_t channels) const {
  const auto [terms, times] = this->terms(channels);
  const std::int64_t edge = terms % lanes_k_;
  std::int64_t cycles = (terms / lanes_k_) * step_full_;
  if (edge > 0) cycles += uniform_steps_ ? step_time_ : step_cycles(edge);
  return cycles * times;
}

std::int64_t LayerTiming::block_reads(std::int64_t positions, std::int64_t block,
                                      const EngineWork::Axis& axis) {
  const auto of_block = [&](std::int64_t size) {
    return std::min(size * axis.kernel,
                    (size - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1);
  };
  const std::int64_t rest = positions % block;
  return positions / block * of_block(block) + (rest > 0 ? of_block(rest) : 0);
}

MSums LayerTiming::m_sums(std::int64_t images, std::int64_t height, std::int64_t width) const {
  const std::int64_t m = images * height * width;
  MSums sums;
  sums.tiles = 1;
  sums.total = m;
  sums.block_rows = 1;
  sums.reads = m * kernel_;
  if (staggered_) {
    sums.blocks = m;
  } else if (position_block_.height > 0) {
    const auto [block_height, block_width] = position_block_;
    sums.block_rows = images * ceil_div(height, block_height);
    sums.blocks = sums.block_rows * ceil_div(width, block_width);
    // A block's inputs come once for all kernel positions that lie side by side.
    if (folded_ == 1 && kernel_ <= blocks_) {
      sums.reads = images * block_reads(height, block_height, height_) *
                   block_reads(width, block_width, width_);
    }
  } else {
    sums.blocks = ceil_div(m, streams_ == Axis::n ? columns_ : rows_);
  }
  if (streams_ == Axis::m) {
    sums.stream[0] = fold_cycles(m * step_full_);
    sums.stream[1] = uniform_steps_ ? sums.stream[0] : fold_cycles(m * step_edge_);
  }
  return sums;
}

NSums LayerTiming::n_sums(std::int64_t n) const {
  NSums sums;
  sums.tiles = 1;
  sums.total = n;
  sums.blocks = ceil_div(n, block_columns_);
  const std::int64_t before = sums.blocks - 1;
  sums.used_columns = before * columns_ + std::min(columns_, n - before * block_columns_);
  sums.most_columns = std::min(columns_, n);
  if (staggered_) sums.kinds.add({sums.blocks, 1});
  if (streams_ == Axis::n) {
    sums.stream[0] = fold_cycles(n * step_full_);
    sums.stream[1] = uniform_steps_ ? sums.stream[0] : fold_cycles(n * step_edge_);
  }
  return sums;
}

KSums LayerTiming::k_sums(std::int64_t channels) const {
  KSums sums;
  sums.tiles = 1;
  sums.total = channels * kernel_;
  const auto [terms, times] = this->terms(channels);
  sums.steps[0] = times * (terms / lanes_k_);
  sums.steps[1] = times * (terms % lanes_k_ > 0 ? 1 : 0);
  sums.step_cycles = k_stream(channels);
  if (staggered_) {
    sums.kinds.add({sums.all_steps(), 1});
  } else if (streams_ == Axis::k) {
    const std::int64_t stream = round_up(k_stream(channels), block_);
    // Each pass traverses the array and is followed by the gap; load, fill and drain are the
    // fold's.
    const std::int64_t all_passes = passes_ * (stream + gap_);
    if (pipelined_)
      sums.stream = load_hidden_ ? std::max(all_passes, load_) : all_passes + load_;
    else
      sums.stream = fill_ + all_passes + drain_;
  }
  return sums;
}

LayerTiming::EventCounts LayerTiming::events(const MSums& m, const NSums& n, const KSums& k) const {
  const auto at = [](PhaseEvent event) { return static_cast<std::size_t>(event); };
  const std::int64_t steps = m.blocks * n.blocks * k.all_steps();
  EventCounts counts{};
  counts[at(PhaseEvent::tile)] = m.tiles * n.tiles * k.tiles;
  counts[at(PhaseEvent::fold)] = m.blocks * n.blocks * k.tiles;
  counts[at(PhaseEvent::step)] = steps * activation_passes_;
  counts[at(PhaseEvent::next_pass)] = steps * (activation_passes_ - 1);
  counts[at(PhaseEvent::next_reduction)] = m.blocks * n.blocks * (k.all_steps() - k.tiles);
  counts[at(PhaseEvent::next_channels)] = m.blocks * (n.blocks - n.tiles) * k.tiles;
  counts[at(PhaseEvent::next_column)] = (m.blocks - m.block_rows) * n.tiles * k.tiles;
  counts[at(PhaseEvent::next_row)] = (m.block_rows - m.tiles) * n.tiles * k.tiles;
  return counts;
}

std::int64_t LayerTiming::stream_cycles(const MSums& m, const NSums& n, const KSums& k) const {
  return passes_ * m.blocks * n.blocks * k.step_cycles;
}

std::vector<std::int64_t> LayerTiming::phase_cycles(const MSums& m, const NSums& n,
                                                    const KSums& k) const {
  std::vector<std::int64_t> cycles;
  const EventCounts counts = events(m, n, k);
  for (const ResolvedPhase& phase : phases_) {
    cycles.push_back(std::inner_product(counts.begin(), counts.end(), phase.cycles.begin(),
                                        phase.streams ? stream_cycles(m, n, k) : 0));
  }
  return cycles;
}

std::int64_t LayerTiming::total_cycles(const MSums& m, const NSums& n, const KSums& k) const {
  if (!phases_.empty()) {
    const EventCounts counts = events(m, n, k);
    std::int64_t total = stream_cycles(m, n, k);
    for (const ResolvedPhase& phase : phases_) {
      total = std::inner_product(counts.begin(), counts.end(), phase.cycles.begin(), total);
    }
    return total;
  }
  if (staggered_) {
    const std::int64_t folds = sum_over_kinds(n, k, [&](std::int64_t steps) {
      return staggered_fold(staggered_cycles(steps, step_full_));
    });
    return m.total * (folds + used_columns_factor_ * n.most_columns * k.tiles);
  }
  switch (streams_) {
    case Axis::m:
      return passes_ * (n.blocks * (k.steps[0] * m.stream[0] + k.steps[1] * m.stream[1]) +
                        used_columns_factor_ * n.used_columns * k.all_steps() * m.tiles);
    case Axis::n:
      return passes_ * (m.blocks * (k.steps[0] * n.stream[0] + k.steps[1] * n.stream[1]) +
                        used_columns_factor_ * m.total * k.all_steps() * n.tiles);
    case Axis::k:
      return m.blocks * (n.blocks * k.stream + used_columns_factor_ * n.used_columns * k.tiles);
  }
  return 0;
}

EngineCycles LayerTiming::cycles(const MSums& m, const NSums& n, const KSums& k) const {
  EngineCycles cycles;
  std::int64_t stream = 0;  // busy cycles and waits for ports
  std::int64_t folds = 0;
  switch (streams_) {
    case Axis::m:
      cycles.busy = passes_ * n.blocks * k.all_steps() * m.total;
      stream = passes_ * n.blocks * m.total * (k.steps[0] * step_full_ + k.steps[1] * step_edge_);
      folds = passes_ * n.blocks * k.all_steps() * m.tiles;
      break;
    case Axis::n:
      cycles.busy = passes_ * m.blocks * k.all_steps() * n.total;
      stream = passes_ * m.blocks * n.total * (k.steps[0] * step_full_ + k.steps[1] * step_edge_);
      folds = passes_ * m.blocks * k.all_steps() * n.tiles;
      break;
    case Axis::k:
      if (staggered_) {
        const auto all_vectors = [&](std::int64_t interval) {
          return m.total * sum_over_kinds(n, k, [&](std::int64_t steps) {
                   return staggered_cycles(steps, interval);
                 });
        };
        cycles.busy = all_vectors(1);
        stream = all_vectors(step_full_);
        folds = m.total * n.tiles * k.tiles;
        break;
      }
      cycles.busy = passes_ * m.blocks * n.blocks * k.all_steps() * step_time_;
      stream = stream_cycles(m, n, k);
      folds = m.blocks * n.blocks * k.tiles;
      break;
  }
  const std::int64_t wait = stream - cycles.busy;
  (input_limits_ ? cycles.wait_input : cycles.wait_weight) = wait;
  if (!pipelined_) cycles.drain = folds * drain_;
  for (const ResolvedPhase& phase : phases_) {
    cycles.drain +=
        m.blocks * n.blocks * k.tiles * phase.cycles[static_cast<std::size_t>(PhaseEvent::fold)];
  }
  cycles.fill = total_cycles(m, n, k) - stream - cycles.drain;
  return cycles;
}

std::int64_t LayerTiming::last_tile_credit(std::int64_t m, std::int64_t n,
                                           std::int64_t channels) const {
  if (!phases_.empty()) return 0;
  if (!pipelined_) return gap_;
  const bool edge = terms(channels).in_space % lanes_k_ > 0;
  std::int64_t stream = 0;
  std::int64_t fold = 0;
  switch (streams_) {
    case Axis::m:
      stream = m * (edge ? step_edge_ : step_full_);
      fold = fold_cycles(stream);
      break;
    case Axis::n:
      stream = n * (edge ? step_edge_ : step_full_);
      fold = fold_cycles(stream);
      break;
    case Axis::k: {
      if (staggered_) {
        stream = staggered_cycles(ceil_div(n, block_columns_) * k_sums(channels).all_steps(),
                                  step_full_);
        fold = staggered_fold(stream);
        break;
      }
      stream = k_stream(channels);
      const std::int64_t padded = round_up(stream, block_);
      const std::int64_t before = (passes_ - 1) * (padded + gap_);
      return k_sums(channels).stream - before - (pad_last_ ? padded : stream);
    }
  }
  return fold - (pad_last_ ? round_up(stream, block_) : stream);
}

EngineTraffic LayerTiming::traffic(const MSums& m, const NSums& n, const KSums& k) const {
  EngineTraffic traffic;
  const std::int64_t tiles_written =
      sums_in_array_ ? k.tiles : passes_ * k.all_steps();  // times each output is written
  switch (streams_) {
    case Axis::m:
      traffic.input_read = m.total * k.total * n.blocks * input_read_factor_;
      traffic.weight_read =
          n.total * k.total * weight_read_factor_ * (streamed_weights_ ? m.total : m.tiles);
      break;
    case Axis::n:
      traffic.input_read = m.total * k.total * n.tiles * input_read_factor_;
      traffic.weight_read = n.total * k.total * m.blocks * weight_read_factor_;
      break;
    case Axis::k:
      traffic.input_read = m.reads * (k.total / kernel_) * n.blocks * input_read_factor_;
      traffic.weight_read = n.total * k.total * m.blocks * weight_read_factor_;
      break;
  }
  const std::int64_t outputs = m.total * n.total;
  traffic.sums_written = outputs * tiles_written * accumulator_bits_;
  traffic.sums_read = traffic.sums_written - outputs * accumulator_bits_;
  return traffic;
}

}  // namespace widthwise
