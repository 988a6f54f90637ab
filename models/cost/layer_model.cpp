#include "models/cost/layer_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

constexpr double kUnlimited = 1e300;

EngineWork engine_work(const Accelerator& accelerator, const LayerSetting& setting,
                       std::int64_t pack, bool im2col) {
  const Engine& engine = accelerator.engine;
  const ComputeShape& shape = *setting.layer->compute;
  const StrideFolding folding = stride_folding(engine, shape, setting.reads_network_input);
  const LayerKind kind = setting.layer->kind;
  EngineWork work;
  work.m = shape.m();
  work.n = shape.n() * pack;
  work.channels = shape.in_channels * pack;
  work.kernel = shape.kernel_h * shape.kernel_w;
  work.pack = pack;
  work.im2col = im2col;
  work.folded = folding.pixels;
  work.folded_kernel = folding.kernel;
  work.vectors = (kind == LayerKind::fully_connected || kind == LayerKind::recurrent) &&
                 shape.out_h * shape.out_w == 1;
  work.height = {shape.kernel_h, shape.stride_h, shape.dilation_h};
  work.width = {shape.kernel_w, shape.stride_w, shape.dilation_w};
  work.stored_input = setting.stored_input;
  work.accumulator_bits = setting.accumulator_bits;
  work.stored_output = accelerator.memory.output_bits.value_or(setting.stored_output);
  return work;
}

EnginePorts engine_ports(const Accelerator& accelerator) {
  if (accelerator.ideal_memory) return {};
  return {accelerator.memory.input_buffer.read_port, accelerator.memory.weight_buffer.read_port};
}

}  // namespace

double tile_capacity(const Buffer& buffer) {
  return static_cast<double>(to_bits(buffer.capacity).count()) / (buffer.double_buffered ? 2 : 1);
}

std::int64_t slots_for(const Buffer& buffer, double tile_bits) {
  if (!buffer.double_buffered) return 1;
  if (tile_bits <= 0) return 2;
  constexpr double kMostSlots = 64;  // tiles that the DMA keeps track of per buffer
  const double fitting = static_cast<double>(to_bits(buffer.capacity).count()) / tile_bits;
  return std::max<std::int64_t>(2, static_cast<std::int64_t>(std::min(kMostSlots, fitting)));
}

std::int64_t whole_cycles(double cycles) {
  return static_cast<std::int64_t>(std::ceil(cycles - 1e-6));
}

Bytes burst_bytes(double bits, const Dram& dram) {
  const double bytes = std::ceil(bits / 8);
  const auto burst = static_cast<double>(dram.burst.count());
  return Bytes(static_cast<std::int64_t>(std::ceil(bytes / burst) * burst));
}

LayerModel::LayerModel(const LayerSetting& setting, const WidthMode& mode,
                       const Accelerator& accelerator)
    : setting_(setting),
      shape_(*setting.layer->compute),
      mode_(mode),
      accelerator_(&accelerator),
      im2col_(unrolls_kernel(accelerator.engine, shape_, setting.reads_network_input)),
      expanded_input_(im2col_ && accelerator.engine.reduction == Reduction::automatic),
      pack_(groups_per_pack(accelerator.engine, mode, shape_, im2col_)),
      timing_(accelerator.engine, mode, engine_work(accelerator, setting, pack_, im2col_),
              engine_ports(accelerator)),
      kernel_(shape_.kernel_h * shape_.kernel_w) {
  const Memory& memory = accelerator.memory;
  output_bits_ = memory.output_bits.value_or(setting.stored_output);
  if (setting.layer->biases > 0) {
    bias_bits_ = 32.0 * static_cast<double>(setting.layer->biases) /
                 static_cast<double>(shape_.groups * shape_.n());
  }
  if (memory.read_initial_sums) {
    initial_bits_ = memory.output_bits.value_or(setting.accumulator_bits);
  }
  if (accelerator.ideal_memory) {
    input_capacity_ = weight_capacity_ = output_capacity_ = kUnlimited;
    return;
  }
  input_capacity_ = tile_capacity(memory.input_buffer);
  weight_capacity_ = tile_capacity(memory.weight_buffer);
  output_capacity_ = tile_capacity(memory.output_buffer);
  dram_cycles_per_bit_ = 1.0 / memory.dram.bandwidth;
  if (memory.scratchpad) scratchpad_cycles_per_bit_ = 1.0 / memory.scratchpad->bandwidth;
  if (memory.input_buffer.write_port)
    input_port_cycles_per_bit_ = 1.0 / *memory.input_buffer.write_port;
  if (memory.weight_buffer.write_port) {
    weight_port_cycles_per_bit_ = 1.0 / *memory.weight_buffer.write_port;
  }
  post_cycles_per_output_ = 1.0 / accelerator.post_processing.lanes;
  post_latency_ = static_cast<double>(accelerator.post_processing.latency.count());
  dram_latency_ = static_cast<double>(memory.dram.latency.count());
  if (memory.scratchpad)
    scratchpad_latency_ = static_cast<double>(memory.scratchpad->latency.count());
}

Home LayerModel::home(Stream stream) const {
  switch (stream) {
    case Stream::input:
      return setting_.input_home;
    case Stream::weight:
      return shape_.second_operand_is_activation ? setting_.second_home : Home::dram;
    case Stream::sums_in:
    case Stream::sums_out:
      return Home::dram;
    case Stream::output:
      return setting_.output_home;
  }
  return Home::dram;
}

Tile LayerModel::whole_layer() const {
  return {.batch = shape_.batch,
          .out_h = shape_.out_h,
          .out_w = shape_.out_w,
          .out_channels = shape_.out_channels,
          .in_channels = shape_.in_channels,
          .groups = shape_.groups,
          .order = LoopOrder::mnk};
}

LayerModel::Axes LayerModel::axes(const Tile& tile) const {
  return {.groups = {shape_.groups, tile.groups},
          .batch = {shape_.batch, tile.batch},
          .rows = {shape_.out_h, tile.out_h},
          .columns = {shape_.out_w, tile.out_w},
          .n = {shape_.out_channels, tile.out_channels},
          .k = {shape_.in_channels, tile.in_channels}};
}

std::int64_t LayerModel::fetched(std::int64_t first_output, std::int64_t outputs,
                                 std::int64_t stride, std::int64_t kernel, std::int64_t dilation,
                                 std::int64_t pad, std::int64_t extent) const {
  const std::int64_t span = (outputs - 1) * stride + (kernel - 1) * dilation + 1;
  if (accelerator_->memory.fetch_padding) return span;
  const std::int64_t begin = first_output * stride - pad;
  // Where the stride exceeds the kernel the skipped elements are counted as fetched with the row.
  return std::max<std::int64_t>(0,
                                std::min(begin + span, extent) - std::max<std::int64_t>(begin, 0));
}

/// Input rows (or columns) of all tiles along one output axis. Only tiles at the two borders can
/// lose padding; all between fetch the whole span.
LayerModel::Fetch LayerModel::fetch(std::int64_t tile, std::int64_t outputs, std::int64_t stride,
                                    std::int64_t kernel, std::int64_t dilation, std::int64_t pad,
                                    std::int64_t extent) const {
  Fetch fetch{.tile = tile, .count = ceil_div(outputs, tile)};
  const auto of_tile = [&](std::int64_t i) {
    return fetched(i * tile, std::min(tile, outputs - i * tile), stride, kernel, dilation, pad,
                   extent);
  };
  const std::int64_t span = (tile - 1) * stride + (kernel - 1) * dilation + 1;
  const std::int64_t last = fetch.count - 1;
  // The first tile that begins inside, and the first that may end outside or is not whole.
  const std::int64_t inside = std::min(last, ceil_div(pad, tile * stride));
  const std::int64_t room = extent + pad - span;
  const std::int64_t beyond =
      std::max(inside, std::min(last, room < 0 ? 0 : room / (tile * stride) + 1));
  const auto add = [&](std::int64_t rows, std::int64_t times) {
    fetch.sum += rows * times;
    fetch.greatest = std::max(fetch.greatest, rows);
  };
  for (std::int64_t i = 0; i < inside; ++i) add(of_tile(i), 1);
  if (beyond > inside) add(span, beyond - inside);
  for (std::int64_t i = beyond; i <= last; ++i) add(of_tile(i), 1);
  fetch.inside = inside;
  fetch.beyond = beyond;
  fetch.first = of_tile(0);
  fetch.last = of_tile(last);
  return fetch;
}

LayerModel::Fetch LayerModel::fetch_rows(std::int64_t tile) const {
  return fetch(tile, shape_.out_h, shape_.stride_h, shape_.kernel_h, shape_.dilation_h,
               shape_.pad_top, shape_.in_h);
}

LayerModel::Fetch LayerModel::fetch_columns(std::int64_t tile) const {
  return fetch(tile, shape_.out_w, shape_.stride_w, shape_.kernel_w, shape_.dilation_w,
               shape_.pad_left, shape_.in_w);
}

LayerModel::MTiling LayerModel::m_tiling(std::int64_t batch, const Fetch& rows,
                                         const Fetch& columns) const {
  MTiling tiling;
  const TileAxis b{shape_.batch, batch};
  const TileAxis h{shape_.out_h, rows.tile};
  const TileAxis w{shape_.out_w, columns.tile};
  tiling.batch = batch;
  tiling.out_h = rows.tile;
  tiling.out_w = columns.tile;
  tiling.tiles = b.count() * rows.count * columns.count;
  tiling.rows_sum = static_cast<double>(rows.sum);
  tiling.rows_last = static_cast<double>(rows.last);
  tiling.columns_sum = static_cast<double>(columns.sum);
  tiling.columns_last = static_cast<double>(columns.last);
  tiling.first_m = tiling.greatest_m = batch * rows.tile * columns.tile;
  tiling.last_m = b.last() * h.last() * w.last();
  tiling.first_sums = timing_.m_sums(batch, rows.tile, columns.tile);
  tiling.last_sums = timing_.m_sums(b.last(), h.last(), w.last());
  // Full and edge tiles of each of the three axes.
  struct Part {
    std::int64_t size, times;
  };
  const auto parts = [](const TileAxis& axis) {
    const std::int64_t last = axis.last();
    const bool even = last == axis.tile;
    return std::array<Part, 2>{{{axis.tile, axis.count() - (even ? 0 : 1)}, {last, even ? 0 : 1}}};
  };
  for (const Part& pb : parts(b)) {
    if (pb.times == 0) continue;
    for (const Part& ph : parts(h)) {
      if (ph.times == 0) continue;
      for (const Part& pw : parts(w)) {
        if (pw.times == 0) continue;
        tiling.sums.add(timing_.m_sums(pb.size, ph.size, pw.size), pb.times * ph.times * pw.times);
      }
    }
  }
  if (expanded_input_) {
    tiling.input_elements = static_cast<double>(shape_.m() * kernel_);
    tiling.first_elements = tiling.greatest_elements =
        static_cast<double>(tiling.greatest_m * kernel_);
  } else {
    tiling.input_elements = static_cast<double>(shape_.batch) * static_cast<double>(rows.sum) *
                            static_cast<double>(columns.sum);
    tiling.first_elements = static_cast<double>(batch * rows.first * columns.first);
    tiling.greatest_elements = static_cast<double>(batch * rows.greatest * columns.greatest);
  }
  return tiling;
}

LayerModel::NTiling LayerModel::n_tiling(std::int64_t tile) const {
  NTiling tiling;
  const TileAxis axis{shape_.out_channels * pack_, tile * pack_};
  tiling.tile = tile;
  tiling.tiles = axis.count();
  tiling.last = axis.last() / pack_;
  tiling.sums.add(timing_.n_sums(axis.tile), axis.count() - 1);
  tiling.sums.add(timing_.n_sums(axis.last()), 1);
  return tiling;
}

LayerModel::KTiling LayerModel::k_tiling(std::int64_t tile) const {
  KTiling tiling;
  const TileAxis axis{shape_.in_channels * pack_, tile * pack_};
  tiling.tile = tile;
  tiling.tiles = axis.count();
  tiling.last = axis.last() / pack_;
  tiling.sums.add(timing_.k_sums(axis.tile), axis.count() - 1);
  tiling.sums.add(timing_.k_sums(axis.last()), 1);
  if (accelerator_->memory.input_layout == InputLayout::im2col) {
    tiling.row_words =
        static_cast<double>(tiling.tiles - 1) * row_words(tiling.tile, shape_.groups) +
        row_words(tiling.last, shape_.groups);
    tiling.position_bits = input_buffer_bits(0, 1, tiling.tile, pack_);
  } else {
    tiling.element_bits = input_buffer_bits(1, 0, tiling.tile, pack_);
  }
  return tiling;
}

/// Operands that one row of K holds in the buffer, over all packs of `groups` groups.
double LayerModel::row_words(std::int64_t channels, std::int64_t groups) const {
  const auto row = [&](std::int64_t in_pack) { return timing_.padded_terms(channels * in_pack); };
  const std::int64_t rest = groups % pack_;
  const std::int64_t packs = groups / pack_;
  return static_cast<double>(packs * row(pack_) + (rest > 0 ? row(rest) : 0));
}

double LayerModel::input_buffer_bits(double elements, double positions, std::int64_t channels,
                                     std::int64_t groups) const {
  if (accelerator_->memory.input_layout == InputLayout::im2col) {
    return positions * row_words(channels, groups) * setting_.stored_input;
  }
  return elements * static_cast<double>(channels * groups * setting_.stored_input);
}

double LayerModel::weight_buffer_bits(std::int64_t n, std::int64_t channels,
                                      std::int64_t groups) const {
  if (accelerator_->memory.input_layout == InputLayout::im2col) {
    // One padded row of K for every output channel of the group that it belongs to.
    const std::int64_t packs = ceil_div(groups, pack_);
    return static_cast<double>(n * groups) * row_words(channels, groups) /
           static_cast<double>(packs) * setting_.stored_weight;
  }
  return static_cast<double>(n * channels * kernel_ * groups * setting_.stored_weight);
}

bool LayerModel::input_fits(const MTiling& m, std::int64_t channels, std::int64_t groups) const {
  return input_buffer_bits(m.greatest_elements, static_cast<double>(m.greatest_m), channels,
                           groups) <= input_capacity_;
}

bool LayerModel::weight_fits(std::int64_t n, std::int64_t channels, std::int64_t groups) const {
  return weight_buffer_bits(n, channels, groups) <= weight_capacity_;
}

bool LayerModel::output_fits(std::int64_t m, std::int64_t n, std::int64_t groups) const {
  return static_cast<double>(m * n * groups) * setting_.accumulator_bits <= output_capacity_;
}

bool LayerModel::fits(const Tile& tile) const {
  const auto m = m_tiling(tile.batch, fetch_rows(tile.out_h), fetch_columns(tile.out_w));
  return input_fits(m, tile.in_channels, tile.groups) &&
         weight_fits(tile.out_channels, tile.in_channels, tile.groups) &&
         output_fits(m.greatest_m, tile.out_channels, tile.groups);
}

BufferSlots LayerModel::slots(const MTiling& m, const NTiling& n, const KTiling& k,
                              std::int64_t tile_groups) const {
  const Memory& memory = accelerator_->memory;
  const auto count = [&](const Buffer& buffer, double tile_bits) {
    return slots_for(buffer, accelerator_->ideal_memory ? 0.0 : tile_bits);
  };
  return {.input = count(memory.input_buffer,
                         input_buffer_bits(m.greatest_elements, static_cast<double>(m.greatest_m),
                                           k.tile, tile_groups)),
          .weight = count(memory.weight_buffer, weight_buffer_bits(n.tile, k.tile, tile_groups)),
          .output =
              count(memory.output_buffer, static_cast<double>(m.greatest_m * n.tile * tile_groups) *
                                              setting_.accumulator_bits)};
}

BufferSlots LayerModel::slots(const Tile& tile) const {
  return slots(m_tiling(tile.batch, fetch_rows(tile.out_h), fetch_columns(tile.out_w)),
               n_tiling(tile.out_channels), k_tiling(tile.in_channels), tile.groups);
}

bool LayerModel::weights_stay(const Tile& tile) const {
  return tile.out_channels >= shape_.out_channels && tile.in_channels >= shape_.in_channels &&
         tile.groups >= shape_.groups && !shape_.second_operand_is_activation;
}

/// Array cycles of all groups of one repeat, before the credit of the last tile.
double LayerModel::pack_cycles(const MTiling& m, const NTiling& n, const KTiling& k) const {
  const std::int64_t full = shape_.groups / pack_;
  const std::int64_t rest = shape_.groups % pack_;
  auto cycles =
      static_cast<double>(full) * static_cast<double>(timing_.total_cycles(m.sums, n.sums, k.sums));
  if (rest > 0) {
    cycles +=
        static_cast<double>(timing_.total_cycles(m.sums, timing_.n_sums(shape_.out_channels * rest),
                                                 timing_.k_sums(shape_.in_channels * rest)));
  }
  return cycles;
}

LayerModel::LoopTraffic LayerModel::loop_traffic(const MTiling& m, const NTiling& n,
                                                 const KTiling& k, LoopOrder order) const {
  const LoopPositions at = loop_positions(order);
  const bool many_m = m.tiles > 1;
  const bool many_n = n.tiles > 1;
  const bool many_k = k.tiles > 1;
  // A tile is fetched again for each turn of a loop that it does not depend on, if a loop inside
  // that one, on which it does depend, turns.
  const bool input_again = (many_m && at.m > at.n) || (many_k && at.k > at.n);
  const bool weight_again = (many_n && at.n > at.m) || (many_k && at.k > at.m);
  const BitWidth sum_bits = setting_.accumulator_bits;
  const auto groups = static_cast<double>(shape_.groups);
  const auto channels = static_cast<double>(shape_.in_channels);
  const auto out_channels = static_cast<double>(shape_.n());
  const double outputs = static_cast<double>(shape_.m()) * out_channels * groups;
  LoopTraffic traffic;
  traffic.spills = many_k && ((many_m && at.m > at.k) || (many_n && at.n > at.k));
  traffic.input_times = input_again ? static_cast<double>(n.tiles) : 1.0;
  traffic.weight_times = weight_again ? static_cast<double>(m.tiles) : 1.0;
  traffic.input =
      m.input_elements * channels * groups * setting_.stored_input * traffic.input_times;
  traffic.weight = out_channels *
                   (channels * static_cast<double>(kernel_ * setting_.stored_weight) + bias_bits_) *
                   groups * traffic.weight_times;
  traffic.spilled = traffic.spills ? static_cast<double>(k.tiles - 1) * outputs * sum_bits : 0.0;
  traffic.initial = outputs * initial_bits_;
  traffic.output = outputs * output_bits_;
  return traffic;
}

/// Bits written into the input buffer in one repeat.
double LayerModel::filled_input_bits(const LoopTraffic& traffic, const KTiling& k) const {
  if (accelerator_->memory.input_layout == InputLayout::raw) return traffic.input;
  return static_cast<double>(shape_.m()) * k.row_words * setting_.stored_input *
         traffic.input_times;
}

/// Bits written into the weight buffer in one repeat; biases go elsewhere.
double LayerModel::filled_weight_bits(const LoopTraffic& traffic, const KTiling& k) const {
  const double rows = static_cast<double>(shape_.n() * shape_.groups) * traffic.weight_times;
  if (accelerator_->memory.input_layout == InputLayout::raw)
    return traffic.weight - rows * bias_bits_;
  const auto packs = static_cast<double>(ceil_div(shape_.groups, pack_));
  return rows * k.row_words / packs * setting_.stored_weight;
}

/// The parts of the time before the array's first stream and after its last that nothing hides.
LayerModel::Ends LayerModel::ends(const MTiling& m, const NTiling& n, const KTiling& k,
                                  std::int64_t tile_groups) const {
  const Memory& memory = accelerator_->memory;
  const double per_bit[2] = {dram_cycles_per_bit_, scratchpad_cycles_per_bit_};
  const auto of = [](Home home) { return home == Home::dram ? 0 : 1; };
  const int input = of(home(Stream::input));
  const int weight = of(home(Stream::weight));
  const auto groups = static_cast<double>(tile_groups);
  Ends ends;
  ends.input_bits = m.first_elements * static_cast<double>(k.tile) * groups * setting_.stored_input;
  ends.weight_bits = static_cast<double>(n.tile) * groups *
                     (static_cast<double>(k.tile * kernel_ * setting_.stored_weight) + bias_bits_);
  ends.sums_bits = static_cast<double>(m.first_m * n.tile) * groups * initial_bits_;
  double port = 0;
  if (input_port_cycles_per_bit_ > 0) {
    port =
        input_buffer_bits(m.first_elements, static_cast<double>(m.first_m), k.tile, tile_groups) *
        input_port_cycles_per_bit_;
  }
  double weight_port = 0;
  if (weight_port_cycles_per_bit_ > 0) {
    weight_port = weight_buffer_bits(n.tile, k.tile, tile_groups) * weight_port_cycles_per_bit_;
  }
  double time[2] = {0, 0};
  time[input] += ends.input_bits * per_bit[input];
  time[0] += ends.sums_bits * per_bit[0];
  const auto arrival = [&] {
    double latest = port;
    if (time[0] > 0) latest = std::max(latest, dram_latency_ + time[0]);
    if (time[1] > 0) latest = std::max(latest, scratchpad_latency_ + time[1]);
    return latest;
  };
  ends.lead_in_without_weights = arrival();
  time[weight] += ends.weight_bits * per_bit[weight];
  ends.lead_in = std::max(arrival(), weight_port);

  const auto last_groups = static_cast<double>(TileAxis{shape_.groups, tile_groups}.last());
  const double last_outputs = static_cast<double>(m.last_m * n.last) * last_groups;
  ends.post_last = last_outputs * post_cycles_per_output_ + post_latency_;
  // The last tile may share its first burst with the one before.
  const Home output = home(Stream::output);
  const double shared_bits =
      output == Home::dram ? 8.0 * static_cast<double>(memory.dram.burst.count() - 1) : 0.0;
  ends.last_store = std::max(0.0, last_outputs * output_bits_ - shared_bits) * per_bit[of(output)];
  return ends;
}

/// Two bounds that take a fraction of closed()'s time and are never above it. The array at work
/// from the first operands on, whatever the loop order.
double LayerModel::array_bound(const MTiling& m, const NTiling& n, const KTiling& k,
                               std::int64_t tile_groups, double engine_cycles) const {
  const Ends ends = this->ends(m, n, k, tile_groups);
  const double lead_in = shape_.repeat > 1 ? ends.lead_in_without_weights : ends.lead_in;
  return static_cast<double>(shape_.repeat) *
         (lead_in + engine_cycles + ends.post_last + ends.last_store +
          static_cast<double>(timing_.start_cycles() + timing_.finish_cycles()));
}

/// A memory or a port that moves everything.
double LayerModel::traffic_bound(const LoopTraffic& traffic, const KTiling& k) const {
  const auto of = [](Home home) { return home == Home::dram ? 0 : 1; };
  const bool weights_may_stay = shape_.repeat > 1;
  double moved[2] = {0, 0};
  moved[of(home(Stream::input))] += traffic.input;
  if (!weights_may_stay) moved[of(home(Stream::weight))] += traffic.weight;
  moved[0] += 2 * traffic.spilled + traffic.initial;
  moved[of(home(Stream::output))] += traffic.output;
  double bound = std::max(moved[0] * dram_cycles_per_bit_, moved[1] * scratchpad_cycles_per_bit_);
  if (input_port_cycles_per_bit_ > 0) {
    bound = std::max(bound, filled_input_bits(traffic, k) * input_port_cycles_per_bit_);
  }
  if (weight_port_cycles_per_bit_ > 0 && !weights_may_stay) {
    bound = std::max(bound, filled_weight_bits(traffic, k) * weight_port_cycles_per_bit_);
  }
  return static_cast<double>(shape_.repeat) * bound;
}

ClosedForm LayerModel::closed(const MTiling& m, const NTiling& n, const KTiling& k,
                              std::int64_t tile_groups, LoopOrder order,
                              double engine_cycles) const {
  const LoopPositions at = loop_positions(order);
  const Memory& memory = accelerator_->memory;
  const LoopTraffic traffic = loop_traffic(m, n, k, order);
  const bool spills = traffic.spills;
  const auto groups = static_cast<double>(shape_.groups);
  const auto last_groups = static_cast<double>(TileAxis{shape_.groups, tile_groups}.last());
  const auto first_groups = static_cast<double>(tile_groups);
  const double outputs = static_cast<double>(shape_.m()) * static_cast<double>(shape_.n()) * groups;
  const auto sum_bits = static_cast<double>(setting_.accumulator_bits);
  const double initial_bits = initial_bits_;
  const auto repeats = static_cast<double>(shape_.repeat);

  ClosedForm form;
  form.engine_cycles = engine_cycles * repeats;
  auto& bits = form.stream_bits;
  const double input_once = traffic.input;
  const double weight_once = traffic.weight;
  const double spilled = traffic.spilled;
  const bool weights_stay = shape_.repeat > 1 && n.tiles == 1 && k.tiles == 1 &&
                            tile_groups >= shape_.groups && !shape_.second_operand_is_activation;
  form.weights_stay = weights_stay;
  const double weight_repeats = weights_stay ? 1.0 : repeats;
  bits[static_cast<int>(Stream::input)] = input_once * repeats;
  bits[static_cast<int>(Stream::weight)] = weight_once * weight_repeats;
  bits[static_cast<int>(Stream::sums_in)] = (spilled + traffic.initial) * repeats;
  bits[static_cast<int>(Stream::sums_out)] = spilled * repeats;
  bits[static_cast<int>(Stream::output)] = traffic.output * repeats;
  form.input_buffer_bits = filled_input_bits(traffic, k) * repeats;
  form.weight_buffer_bits = filled_weight_bits(traffic, k) * weight_repeats;

  // Times on each resource.
  const double latency_dram = dram_latency_;
  const double latency_pad = scratchpad_latency_;
  double loads[2] = {0, 0};  // cycles of each home, one repeat
  double stores[2] = {0, 0};
  const auto cost_of = [&](Home home) {
    return home == Home::dram ? dram_cycles_per_bit_ : scratchpad_cycles_per_bit_;
  };
  const auto index_of = [](Home home) { return home == Home::dram ? 0 : 1; };
  const Home input_home = home(Stream::input);
  const Home weight_home = home(Stream::weight);
  const Home output_home = home(Stream::output);
  // With weights that stay the first repeat loads them: its lead-in is longer, the rest's shorter.
  const double weight_of_repeat = weights_stay ? 0.0 : weight_once;
  loads[index_of(input_home)] += input_once * cost_of(input_home);
  loads[index_of(weight_home)] += weight_of_repeat * cost_of(weight_home);
  loads[0] += (spilled + traffic.initial) * dram_cycles_per_bit_;
  stores[0] += spilled * dram_cycles_per_bit_;
  stores[index_of(output_home)] += traffic.output * cost_of(output_home);

  const Ends ends = this->ends(m, n, k, tile_groups);
  const double lead_first = ends.lead_in;
  const double lead_rest = weights_stay ? ends.lead_in_without_weights : ends.lead_in;
  const double last_store = ends.last_store;
  const double post_last = ends.post_last;
  const double post_latency = post_latency_;
  const double post_total = outputs * post_cycles_per_output_;
  form.lead_out = last_store;
  form.post_exposed = post_last;

  const auto start = static_cast<double>(timing_.start_cycles());
  const auto finish = static_cast<double>(timing_.finish_cycles());
  // Cycles until the first output tile is complete, and of the last step: tiles in every pack.
  double until_complete = engine_cycles;
  double last_step = engine_cycles;
  const bool one_step =
      m.tiles == 1 && n.tiles == 1 && k.tiles == 1 && tile_groups >= shape_.groups;
  if (!one_step) {
    const auto last_packs_groups = static_cast<std::int64_t>(last_groups);
    const MSums& ms = m.last_sums;
    const std::int64_t full = last_packs_groups / pack_;
    const std::int64_t rest = last_packs_groups % pack_;
    std::int64_t cycles = 0;
    if (full > 0) {
      cycles += full * timing_.total_cycles(ms, timing_.n_sums(n.last * pack_),
                                            timing_.k_sums(k.last * pack_));
    }
    if (rest > 0) {
      cycles +=
          timing_.total_cycles(ms, timing_.n_sums(n.last * rest), timing_.k_sums(k.last * rest));
    }
    // Until the first output tile is complete all its K has passed, and with it the loops inside
    // that over K.
    const MSums& first_m = m.first_sums;
    const NSums first_n = timing_.n_sums(n.tile * pack_);
    const KSums first_k = timing_.k_sums(k.tile * pack_);
    until_complete = static_cast<double>(timing_.total_cycles(first_m, first_n, first_k));
    if (k.tiles > 1) {
      KSums before_last;
      before_last.add(first_k, k.tiles - 1);
      until_complete = static_cast<double>(timing_.total_cycles(
          at.m > at.k ? m.sums : first_m, at.n > at.k ? n.sums : first_n, before_last));
    }
    const std::int64_t packs = tile_groups / pack_;
    until_complete *= static_cast<double>(packs);
    const std::int64_t last_pack = rest > 0 ? rest : pack_;
    last_step = static_cast<double>(
        cycles - timing_.last_tile_credit(m.last_m, n.last * last_pack, k.last * last_pack));
  }
  const double after_last_load = last_step + finish + post_last;

  const BufferSlots ahead = slots(m, n, k, tile_groups);
  const auto waiting = static_cast<double>(std::max(ahead.input, ahead.weight) + ahead.output - 2);
  const auto bound = [&](double lead_time, double extra_dram) {
    // The array works without a pause once the first operands are there.
    double latency = lead_time + start + engine_cycles + finish + post_last + last_store;
    // Post-processing works without a pause from the first complete output on.
    latency = std::max(latency,
                       lead_time + start + until_complete + post_total + post_latency + last_store);
    // A memory channel works without a pause; stores of earlier output tiles may still fill the
    // time that the last load takes to arrive and the last step to run.
    for (int home = 0; home < 2; ++home) {
      const double load = loads[home] + (home == 0 ? extra_dram : 0.0);
      if (load + stores[home] <= 0) continue;
      const double access = home == 0 ? latency_dram : latency_pad;
      const bool stores_here = index_of(output_home) == home;
      const double own_last = stores_here ? last_store : 0.0;
      // Output tiles that have not left when the last load arrives: those in the output buffer and
      // those whose operands wait in the input or weight buffer.
      const double pending = std::min(
          stores[home] - own_last,
          waiting * static_cast<double>(m.greatest_m * n.tile) * first_groups *
              std::max<double>(output_bits_, spills ? sum_bits : 0.0) * cost_of(output_home));
      if (load > 0) {
        latency = std::max(latency, load + stores[home] - own_last - pending +
                                        std::max(access + after_last_load, pending) + last_store);
      } else {
        latency = std::max(latency, stores[home]);
      }
    }
    return latency;
  };
  // Each read holds a request slot for at least the memory's latency; reads are as many as tiles,
  // or as bursts where several tiles share one.
  double reads = 0;
  if (!accelerator_->ideal_memory && memory.dram.latency.count() > 0) {
    const auto group_tiles = static_cast<double>(ceil_div(shape_.groups, tile_groups));
    const auto bursts = [&](double stream_bits) {
      return stream_bits / 8 / static_cast<double>(memory.dram.burst.count());
    };
    const auto count = [&](double tiles, double stream_bits) {
      return std::min(tiles, bursts(stream_bits));
    };
    const auto mk = static_cast<double>(m.tiles) * static_cast<double>(k.tiles);
    const auto nk = static_cast<double>(n.tiles) * static_cast<double>(k.tiles);
    if (input_home == Home::dram)
      reads += count(group_tiles * mk * traffic.input_times, input_once);
    if (weight_home == Home::dram)
      reads += count(group_tiles * nk * traffic.weight_times, weight_of_repeat);
    const double sums = spilled + traffic.initial;
    const double sum_tiles = group_tiles * static_cast<double>(m.tiles) *
                             static_cast<double>(n.tiles) *
                             (spills ? static_cast<double>(k.tiles) - (initial_bits > 0 ? 0.0 : 1.0)
                                     : (initial_bits > 0 ? 1.0 : 0.0));
    reads += count(sum_tiles, sums);
  }
  const double request_time = reads * latency_dram / memory.dram.outstanding;
  const double first = bound(lead_first, weights_stay ? weight_once * cost_of(weight_home) : 0.0);
  const double rest = repeats > 1 ? bound(lead_rest, 0.0) : 0.0;
  const double input_port = form.input_buffer_bits * input_port_cycles_per_bit_;
  const double weight_port = form.weight_buffer_bits * weight_port_cycles_per_bit_;
  form.latency = first + rest * (repeats - 1);
  const double tail = (after_last_load + last_store) * repeats;
  form.latency =
      std::max({form.latency, input_port + tail, weight_port + tail, request_time * repeats});
  // A buffer without a second half is filled, or emptied, and used in turns.
  if (!accelerator_->ideal_memory) {
    double loads_in_turn[2] = {0, 0};
    if (!memory.input_buffer.double_buffered) {
      loads_in_turn[index_of(input_home)] +=
          bits[static_cast<int>(Stream::input)] * cost_of(input_home);
    }
    if (!memory.weight_buffer.double_buffered) {
      loads_in_turn[index_of(weight_home)] +=
          bits[static_cast<int>(Stream::weight)] * cost_of(weight_home);
    }
    double in_turn = std::max(loads_in_turn[0], loads_in_turn[1]);
    if (!memory.output_buffer.double_buffered) {
      in_turn =
          std::max(in_turn, (post_total + stores[index_of(output_home)] - last_store) * repeats);
    }
    form.latency = std::max(form.latency, in_turn + form.engine_cycles);
  }
  form.lead_in = lead_first + lead_rest * (repeats - 1);
  form.lead_out *= repeats;
  form.post_exposed *= repeats;
  const double lead_bits = ends.input_bits + ends.weight_bits + ends.sums_bits;
  form.lead_input_share = lead_bits > 0 ? (ends.input_bits + ends.sums_bits) / lead_bits : 0.0;
  form.dram_time =
      (loads[0] + stores[0]) * repeats + (weights_stay ? weight_once * cost_of(weight_home) : 0.0);
  form.scratchpad_time = (loads[1] + stores[1]) * repeats;
  form.input_port_time = input_port;
  form.weight_port_time = weight_port;
  form.post_time = post_total * repeats;
  return form;
}

ClosedForm LayerModel::refined(ClosedForm form, const MTiling& m, const NTiling& n,
                               const KTiling& k, std::int64_t tile_groups, LoopOrder order) const {
  if (accelerator_->ideal_memory) return form;
  const auto repeats = static_cast<double>(shape_.repeat);
  const double steps = stepwise_cycles(m, n, k, tile_groups, order) - last_fold_credit(m, n, k);
  if (steps <= form.engine_cycles / repeats) return form;
  const auto edges = static_cast<double>(timing_.start_cycles() + timing_.finish_cycles());
  form.latency = std::max(
      form.latency, form.lead_in + (edges + steps) * repeats + form.post_exposed + form.lead_out);
  return form;
}

ClosedForm LayerModel::closed_form(const Tile& tile) const {
  const auto m = m_tiling(tile.batch, fetch_rows(tile.out_h), fetch_columns(tile.out_w));
  const auto n = n_tiling(tile.out_channels);
  const auto k = k_tiling(tile.in_channels);
  const double cycles = pack_cycles(m, n, k) - static_cast<double>(last_credit(tile));
  const ClosedForm form = closed(m, n, k, tile.groups, tile.order, cycles);
  return replayed(refined(form, m, n, k, tile.groups, tile.order), m, n, k, tile.groups, tile.order,
                  kUnlimited);
}

double LayerModel::last_fold_credit(const MTiling& m, const NTiling& n, const KTiling& k) const {
  const std::int64_t rest = shape_.groups % pack_;
  const std::int64_t last_pack = rest > 0 ? rest : pack_;
  return static_cast<double>(
      timing_.last_tile_credit(m.last_m, n.last * last_pack, k.last * last_pack));
}

std::int64_t LayerModel::last_credit(const Tile& tile) const {
  const auto m = m_tiling(tile.batch, fetch_rows(tile.out_h), fetch_columns(tile.out_w));
  return static_cast<std::int64_t>(
      last_fold_credit(m, n_tiling(tile.out_channels), k_tiling(tile.in_channels)));
}

namespace {

EngineCycles& add(EngineCycles& sum, const EngineCycles& more, std::int64_t times) {
  sum.busy += times * more.busy;
  sum.wait_input += times * more.wait_input;
  sum.wait_weight += times * more.wait_weight;
  sum.fill += times * more.fill;
  sum.drain += times * more.drain;
  return sum;
}

EngineTraffic& add(EngineTraffic& sum, const EngineTraffic& more, std::int64_t times) {
  sum.input_read += times * more.input_read;
  sum.weight_read += times * more.weight_read;
  sum.sums_read += times * more.sums_read;
  sum.sums_written += times * more.sums_written;
  return sum;
}

}  // namespace

/// Off-diagonal blocks of a pack are zero: their weights are not read.
EngineTraffic LayerModel::pack_traffic(const MSums& m, const NSums& n, const KSums& k,
                                       std::int64_t pack) const {
  EngineTraffic traffic = timing_.traffic(m, n, k);
  traffic.weight_read /= pack;
  return traffic;
}

EngineCycles LayerModel::engine_cycles(const Tile& tile) const {
  const auto m = m_tiling(tile.batch, fetch_rows(tile.out_h), fetch_columns(tile.out_w));
  const auto n = n_tiling(tile.out_channels);
  const auto k = k_tiling(tile.in_channels);
  EngineCycles cycles;
  add(cycles, timing_.cycles(m.sums, n.sums, k.sums), shape_.groups / pack_);
  const std::int64_t rest = shape_.groups % pack_;
  if (rest > 0) {
    add(cycles,
        timing_.cycles(m.sums, timing_.n_sums(shape_.out_channels * rest),
                       timing_.k_sums(shape_.in_channels * rest)),
        1);
  }
  return cycles.less(last_credit(tile));
}

std::vector<std::int64_t> LayerModel::phase_cycles(const Tile& tile) const {
  const auto m = m_tiling(tile.batch, fetch_rows(tile.out_h), fetch_columns(tile.out_w));
  std::vector<std::int64_t> cycles = timing_.phase_cycles(m.sums, n_tiling(tile.out_channels).sums,
                                                          k_tiling(tile.in_channels).sums);
  const std::int64_t rest = shape_.groups % pack_;
  const auto of_rest = timing_.phase_cycles(
      m.sums, timing_.n_sums(shape_.out_channels * std::max<std::int64_t>(1, rest)),
      timing_.k_sums(shape_.in_channels * std::max<std::int64_t>(1, rest)));
  for (std::size_t i = 0; i < cycles.size(); ++i) {
    cycles[i] = cycles[i] * (shape_.groups / pack_) + (rest > 0 ? of_rest[i] : 0);
  }
  return cycles;
}

Activity LayerModel::activity(const Tile& tile, const ClosedForm& closed) const {
  return activity(m_tiling(tile.batch, fetch_rows(tile.out_h), fetch_columns(tile.out_w)),
                  n_tiling(tile.out_channels), k_tiling(tile.in_channels), closed,
                  closed.engine_cycles);
}

Activity LayerModel::activity(const MTiling& m, const NTiling& n, const KTiling& k,
                              const ClosedForm& closed, double engine_cycles) const {
  EngineTraffic traffic;
  add(traffic, pack_traffic(m.sums, n.sums, k.sums, pack_), shape_.groups / pack_);
  const std::int64_t rest = shape_.groups % pack_;
  if (rest > 0) {
    add(traffic,
        pack_traffic(m.sums, timing_.n_sums(shape_.out_channels * rest),
                     timing_.k_sums(shape_.in_channels * rest), rest),
        1);
  }
  const std::int64_t repeats = shape_.repeat;
  Activity activity;
  activity.operations = static_cast<double>(shape_.macs()) * mode_.operations_per_mac;
  activity.operation_weight_bits = mode_.operation.weight;
  activity.operation_activation_bits = mode_.operation.activation;
  activity.operations_per_accumulation = static_cast<double>(mode_.products);
  activity.accumulator_bits = setting_.accumulator_bits;
  activity.array_active = Cycles(static_cast<std::int64_t>(engine_cycles) +
                                 repeats * (timing_.start_cycles() + timing_.finish_cycles()));
  const auto& bits = closed.stream_bits;
  const auto whole = [](double value) { return Bits(static_cast<std::int64_t>(std::ceil(value))); };
  activity.input_buffer_read = Bits(traffic.input_read * repeats);
  activity.input_buffer_write = whole(closed.input_buffer_bits);
  activity.weight_buffer_read = Bits(traffic.weight_read * repeats);
  activity.weight_buffer_write = whole(closed.weight_buffer_bits);
  const double outputs =
      static_cast<double>(shape_.output_elements()) * static_cast<double>(repeats);
  const double leaving = outputs * setting_.accumulator_bits;
  activity.output_buffer_read = whole(static_cast<double>(traffic.sums_read * repeats) + leaving +
                                      bits[static_cast<int>(Stream::sums_out)]);
  activity.output_buffer_write = whole(static_cast<double>(traffic.sums_written * repeats) +
                                       bits[static_cast<int>(Stream::sums_in)]);
  const Dram& dram = accelerator_->memory.dram;
  for (int s = 0; s < kStreams; ++s) {
    const auto stream = static_cast<Stream>(s);
    const bool out = stream == Stream::output || stream == Stream::sums_out;
    if (home(stream) == Home::dram) {
      // Each repeat is a stream of its own; weights that stay are read once.
      const std::int64_t times = stream == Stream::weight && closed.weights_stay ? 1 : repeats;
      (out ? activity.dram_write : activity.dram_read) +=
          times * burst_bytes(bits[s] / static_cast<double>(times), dram);
    } else {
      (out ? activity.scratchpad_write : activity.scratchpad_read) += whole(bits[s]);
    }
  }
  activity.post_outputs = outputs;
  activity.post_operations = outputs * static_cast<double>(setting_.layer->fused.size());
  return activity;
}

std::int64_t LayerModel::step_count(const Tile& tile) const {
  const Axes a = axes(tile);
  return a.groups.count() * a.m_tiles() * a.n.count() * a.k.count();
}

TileBlock LayerModel::block(const Tile& tile, const Step& step) const {
  const Axes a = axes(tile);
  const auto range = [](const TileAxis& axis, std::int64_t index) {
    return TileBlock::Range{index * axis.tile, axis.size(index)};
  };
  return {.groups = range(a.groups, step.group_tile),
          .batch = range(a.batch, step.m_tile / a.columns.count() / a.rows.count()),
          .rows = range(a.rows, step.m_tile / a.columns.count() % a.rows.count()),
          .columns = range(a.columns, step.m_tile % a.columns.count()),
          .n = range(a.n, step.n_tile),
          .k = range(a.k, step.k_tile)};
}

StepCost LayerModel::step_cost(const Tile& tile, const Step& step) const {
  const TileBlock block = this->block(tile, step);
  const std::int64_t batch = block.batch.size;
  const std::int64_t out_h = block.rows.size;
  const std::int64_t out_w = block.columns.size;
  const std::int64_t m = block.m();
  const std::int64_t n = block.n.size;
  const std::int64_t channels = block.k.size;
  const std::int64_t groups = block.groups.size;
  StepCost cost;
  const auto whole = [](double value) { return static_cast<std::int64_t>(value); };
  if (step.loads_input) {
    const std::int64_t elements =
        expanded_input_ ? m * kernel_
                        : batch *
                              fetched(block.rows.begin, out_h, shape_.stride_h, shape_.kernel_h,
                                      shape_.dilation_h, shape_.pad_top, shape_.in_h) *
                              fetched(block.columns.begin, out_w, shape_.stride_w, shape_.kernel_w,
                                      shape_.dilation_w, shape_.pad_left, shape_.in_w);
    cost.input_bits = elements * channels * groups * setting_.stored_input;
    cost.input_buffer_bits = whole(
        input_buffer_bits(static_cast<double>(elements), static_cast<double>(m), channels, groups));
  }
  if (step.loads_weight) {
    const std::int64_t elements = n * channels * kernel_ * groups;
    cost.weight_bits = elements * setting_.stored_weight;
    if (step.k_tile == 0) cost.weight_bits += whole(bias_bits_ * static_cast<double>(n * groups));
    cost.weight_buffer_bits = whole(weight_buffer_bits(n, channels, groups));
  }
  const std::int64_t outputs = m * n * groups;
  const std::int64_t sum_bits = setting_.accumulator_bits;
  if (step.loads_sums) {
    cost.sums_in_bits = outputs * (step.k_tile > 0 ? sum_bits
                                                   : accelerator_->memory.output_bits.value_or(
                                                         static_cast<BitWidth>(sum_bits)));
  }
  if (step.ends_output)
    cost.output_bits = outputs * (step.completes_output ? output_bits_ : sum_bits);
  if (step.completes_output) cost.outputs = outputs;

  const MSums ms = timing_.m_sums(batch, out_h, out_w);
  const std::int64_t full = groups / pack_;
  const std::int64_t rest = groups % pack_;
  if (full > 0) {
    const NSums ns = timing_.n_sums(n * pack_);
    const KSums ks = timing_.k_sums(channels * pack_);
    add(cost.cycles, timing_.cycles(ms, ns, ks), full);
    add(cost.traffic, pack_traffic(ms, ns, ks, pack_), full);
  }
  if (rest > 0) {
    const NSums ns = timing_.n_sums(n * rest);
    const KSums ks = timing_.k_sums(channels * rest);
    add(cost.cycles, timing_.cycles(ms, ns, ks), 1);
    add(cost.traffic, pack_traffic(ms, ns, ks, rest), 1);
  }
  if (step.k_tile > 0) cost.traffic.sums_read += outputs * sum_bits;
  return cost;
}

}  // namespace widthwise
