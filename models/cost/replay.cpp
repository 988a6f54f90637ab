#include "models/cost/replay.hpp"

#include <cmath>

#include "models/cost/layer_model.hpp"

namespace widthwise {

namespace {

/// Steps of a layer that is played: what a search can afford. Longer ones have their bounds in
/// closed form.
constexpr std::int64_t kMostReplayed = 512;

enum Axis { kGroup, kBatch, kRow, kColumn, kN, kK, kAxes };

}  // namespace

/// Sizes and times of the tiles of one tiling.
struct LayerModel::Replayed {
  const LayerModel& model;
  Axes axes;
  replay::Nest nest;
  std::array<int, kAxes> level_of{};  // of the loop, -1 if it does not turn
  bool one_step = false;
  bool spills = false;
  /// Figures of tiles by kind: which loops are at their last iteration. No time: not known yet.
  static constexpr std::size_t kKinds = std::size_t{1} << replay::kLevels;
  struct Figures {
    double cycles;
    replay::Store store;
    std::array<replay::Load, 2> weight, sums;  // at the first channels, and at others
    replay::Load input;                        // but for tiles at the borders
  };
  mutable std::array<Figures, kKinds> figures;
  std::array<std::array<std::int64_t, 2>, kAxes> sizes{};       // of a full tile and the last one
  std::array<std::int64_t, 2> row_borders{}, column_borders{};  // tiles between them are alike

  [[nodiscard]] std::int64_t size(const replay::Index& index, Axis axis) const {
    const int level = level_of[axis];
    return sizes[axis][level < 0 ? 0 : index.last >> static_cast<unsigned>(level) & 1U];
  }

  Replayed(const LayerModel& of, const Tile& tile, const BufferSlots& slots, double engine_cycles,
           double credit);

  [[nodiscard]] std::int64_t at(const replay::Index& index, Axis axis) const {
    const int level = level_of[axis];
    return level < 0 ? 0 : index.at[static_cast<std::size_t>(level)];
  }
  [[nodiscard]] double time(double bits, Home home, bool first) const {
    const bool dram = home == Home::dram;
    const double unit =
        dram ? 8.0 * static_cast<double>(model.accelerator_->memory.dram.burst.count()) : 8.0;
    const auto whole = static_cast<double>(static_cast<std::int64_t>(bits / unit));
    const double units = first && whole * unit < bits ? whole + 1 : whole;
    return units * unit * (dram ? model.dram_cycles_per_bit_ : model.scratchpad_cycles_per_bit_);
  }
  [[nodiscard]] replay::Load load(replay::Flow flow, const replay::Index& index, bool first) const;
  [[nodiscard]] replay::Store store(const replay::Index& index, bool first) const;
  [[nodiscard]] double cycles(const replay::Index& index) const;
};

LayerModel::Replayed::Replayed(const LayerModel& of, const Tile& tile, const BufferSlots& slots,
                               double engine_cycles, double credit)
    : model(of), axes(of.axes(tile)) {
  const LoopPositions position = loop_positions(tile.order);
  level_of.fill(-1);
  const auto add = [&](Axis axis, const TileAxis& along) {
    if (along.count() == 1) return;
    level_of[axis] = nest.levels;
    nest.counts[static_cast<std::size_t>(nest.levels++)] = along.count();
  };
  add(kGroup, axes.groups);
  for (int p = 0; p < 3; ++p) {
    if (p == position.m) {
      add(kBatch, axes.batch);
      add(kRow, axes.rows);
      add(kColumn, axes.columns);
    }
    if (p == position.n) add(kN, axes.n);
    if (p == position.k) add(kK, axes.k);
  }
  const auto special = [&](Axis axis, std::int64_t at_first, std::int64_t at_last) {
    const int level = level_of[axis];
    if (level < 0) return;
    nest.special_first[static_cast<std::size_t>(level)] = at_first;
    nest.special_last[static_cast<std::size_t>(level)] = at_last;
  };
  const auto uneven = [](const TileAxis& along) {
    return along.last() == along.tile ? std::int64_t{0} : std::int64_t{1};
  };
  special(kGroup, 0, uneven(axes.groups));
  special(kBatch, 0, uneven(axes.batch));
  special(kN, 0, uneven(axes.n));
  special(kK, model.bias_bits_ > 0 ? 1 : 0, uneven(axes.k));
  if (model.expanded_input_) {
    row_borders = {0, axes.rows.count()};
    column_borders = {0, axes.columns.count()};
    special(kRow, 0, uneven(axes.rows));
    special(kColumn, 0, uneven(axes.columns));
  } else {
    const Fetch rows = model.fetch_rows(tile.out_h);
    const Fetch columns = model.fetch_columns(tile.out_w);
    row_borders = {rows.inside, rows.beyond};
    column_borders = {columns.inside, columns.beyond};
    special(kRow, rows.inside, rows.count - rows.beyond);
    special(kColumn, columns.inside, columns.count - columns.beyond);
  }
  const int m_level =
      std::max({level_of[kGroup], level_of[kBatch], level_of[kRow], level_of[kColumn]});
  const int k_level = level_of[kK];
  spills = k_level >= 0 && k_level != nest.levels - 1;
  nest.level[replay::kInputIn] = std::max(m_level, k_level);
  nest.level[replay::kWeightIn] = std::max({level_of[kGroup], level_of[kN], k_level});
  const int output = spills ? nest.levels - 1 : std::max(m_level, level_of[kN]);
  nest.level[replay::kSumsIn] = nest.level[replay::kSumsOut] = nest.level[replay::kOutput] = output;
  const auto channel = [&](Stream stream) { return model.home(stream) == Home::dram ? 0 : 1; };
  nest.channel[replay::kInputIn] = channel(Stream::input);
  nest.channel[replay::kWeightIn] = channel(Stream::weight);
  nest.channel[replay::kOutput] = channel(Stream::output);
  nest.slots = {slots.weight, slots.input, slots.output, slots.output, slots.output};
  nest.used = {true, true, spills || model.initial_bits_ > 0, spills, true};
  if (spills) {
    nest.sums_level = k_level;
    nest.sums_distance = 1;
    for (int l = k_level + 1; l < nest.levels; ++l) {
      nest.sums_distance *= nest.counts[static_cast<std::size_t>(l)];
    }
  }
  nest.access = {model.dram_latency_, model.scratchpad_latency_};
  nest.start = static_cast<double>(model.timing_.start_cycles());
  nest.finish = static_cast<double>(model.timing_.finish_cycles()) - credit;
  nest.emptying = static_cast<double>(model.timing_.finish_cycles());
  nest.array = engine_cycles + nest.start + static_cast<double>(model.timing_.finish_cycles());
  nest.preload = static_cast<double>(model.timing_.preload_cycles());
  std::int64_t steps = 1;
  for (int l = 0; l < nest.levels; ++l) steps *= nest.counts[static_cast<std::size_t>(l)];
  nest.whole_cycles = steps <= 64;
  nest.post_depth = model.post_latency_;
  one_step = nest.levels == 0;
  const TileAxis* const along[kAxes] = {&axes.groups,  &axes.batch, &axes.rows,
                                        &axes.columns, &axes.n,     &axes.k};
  for (std::size_t axis = 0; axis < kAxes; ++axis) {
    const int level = level_of[axis];
    const std::int64_t last = level < 0 ? 0 : nest.counts[static_cast<std::size_t>(level)] - 1;
    sizes[axis] = {along[axis]->size(0), along[axis]->size(last)};
  }
  for (std::size_t kind = 0; kind < std::size_t{1} << nest.levels; ++kind) figures[kind] = {};
}

replay::Load LayerModel::Replayed::load(replay::Flow flow, const replay::Index& index,
                                        bool first) const {
  Figures& kind = figures[index.last];
  const std::size_t later_channels = at(index, kK) > 0 ? 1 : 0;
  const std::int64_t row = at(index, kRow);
  const std::int64_t column = at(index, kColumn);
  const auto within = [](std::int64_t tile, const std::array<std::int64_t, 2>& borders) {
    return tile >= borders[0] && tile < borders[1];
  };
  const bool inside = within(row, row_borders) && within(column, column_borders);
  replay::Load& known = flow == replay::kWeightIn  ? kind.weight[later_channels]
                        : flow == replay::kInputIn ? kind.input
                                                   : kind.sums[later_channels];
  if (known.time > 0 && (flow != replay::kInputIn || inside)) return known;

  const std::int64_t groups = size(index, kGroup);
  const std::int64_t channels = size(index, kK);
  const std::int64_t n = size(index, kN);
  const ComputeShape& shape = model.shape_;
  const bool ceil = first && one_step;
  replay::Load load;
  const auto through = [&](double bits, double buffer_bits, Home home, double port_cycles_per_bit) {
    load.time = time(bits, home, ceil);
    if (port_cycles_per_bit <= 0) return;
    load.port = buffer_bits * port_cycles_per_bit;
    const auto request =
        static_cast<double>(to_bits(model.accelerator_->memory.dram.request).count());
    const double per_bit =
        home == Home::dram ? model.dram_cycles_per_bit_ : model.scratchpad_cycles_per_bit_;
    const double port_per_bit = load.port / bits;
    load.tail = std::min(bits, request) * port_per_bit * std::min(1.0, port_per_bit / per_bit);
    load.first = std::min(bits, request) * per_bit;
  };
  if (flow == replay::kWeightIn) {
    const auto rows = static_cast<double>(n * groups);
    double bits =
        rows * static_cast<double>(channels * model.kernel_ * model.setting_.stored_weight);
    if (later_channels == 0) bits += std::floor(rows * model.bias_bits_);
    through(bits, model.weight_buffer_bits(n, channels, groups), model.home(Stream::weight),
            model.weight_port_cycles_per_bit_);
    return known = load;
  }
  const std::int64_t batch = size(index, kBatch);
  const std::int64_t out_h = size(index, kRow);
  const std::int64_t out_w = size(index, kColumn);
  const std::int64_t m = batch * out_h * out_w;
  if (flow == replay::kInputIn) {
    const std::int64_t elements =
        model.expanded_input_
            ? m * model.kernel_
            : batch *
                  model.fetched(row * axes.rows.tile, out_h, shape.stride_h, shape.kernel_h,
                                shape.dilation_h, shape.pad_top, shape.in_h) *
                  model.fetched(column * axes.columns.tile, out_w, shape.stride_w, shape.kernel_w,
                                shape.dilation_w, shape.pad_left, shape.in_w);
    through(static_cast<double>(elements * channels * groups * model.setting_.stored_input),
            model.input_buffer_bits(static_cast<double>(elements), static_cast<double>(m), channels,
                                    groups),
            model.home(Stream::input), model.input_port_cycles_per_bit_);
    if (inside) known = load;
    return load;
  }
  const double sum_bits = later_channels > 0 ? static_cast<double>(model.setting_.accumulator_bits)
                                             : model.initial_bits_;
  load.time = time(static_cast<double>(m * n * groups) * sum_bits, Home::dram, ceil);
  return known = load;
}

replay::Store LayerModel::Replayed::store(const replay::Index& index, bool first) const {
  replay::Store& store = figures[index.last].store;
  if (store.time > 0) return store;
  const double outputs =
      static_cast<double>(size(index, kGroup) * size(index, kBatch) * size(index, kRow) *
                          size(index, kColumn) * size(index, kN));
  store.complete = !spills || at(index, kK) == axes.k.count() - 1;
  const bool ceil = first && one_step;
  if (store.complete) {
    store.post = outputs * model.post_cycles_per_output_;
    store.time = time(outputs * model.output_bits_, model.home(Stream::output), ceil);
  } else {
    store.time = time(outputs * model.setting_.accumulator_bits, Home::dram, ceil);
  }
  return store;
}

double LayerModel::Replayed::cycles(const replay::Index& index) const {
  double& known = figures[index.last].cycles;
  if (known > 0) return known;
  const std::int64_t n = size(index, kN);
  const std::int64_t channels = size(index, kK);
  const std::int64_t groups = size(index, kGroup);
  const MSums ms =
      model.timing_.m_sums(size(index, kBatch), size(index, kRow), size(index, kColumn));
  const std::int64_t full = groups / model.pack_;
  const std::int64_t rest = groups % model.pack_;
  std::int64_t cycles = 0;
  if (full > 0) {
    cycles += full * model.timing_.total_cycles(ms, model.timing_.n_sums(n * model.pack_),
                                                model.timing_.k_sums(channels * model.pack_));
  }
  if (rest > 0) {
    cycles += model.timing_.total_cycles(ms, model.timing_.n_sums(n * rest),
                                         model.timing_.k_sums(channels * rest));
  }
  return known = static_cast<double>(cycles);
}

/// Which tilings are played depends on the tile alone: that keeps the cost monotone.
bool LayerModel::is_played(const MTiling& m, const NTiling& n, const KTiling& k,
                           std::int64_t tile_groups) const {
  const std::int64_t steps = ceil_div(shape_.groups, tile_groups) * m.tiles * n.tiles * k.tiles;
  return !accelerator_->ideal_memory && steps <= kMostReplayed;
}

/// The form with the latency of its steps played one by one, where they are few enough. What takes
/// longer than `enough` is only known to.
ClosedForm LayerModel::replayed(ClosedForm form, const MTiling& m, const NTiling& n,
                                const KTiling& k, std::int64_t tile_groups, LoopOrder order,
                                double enough) const {
  if (!is_played(m, n, k, tile_groups)) return form;
  const std::int64_t repeats = shape_.repeat;
  const Tile tile{.batch = m.batch,
                  .out_h = m.out_h,
                  .out_w = m.out_w,
                  .out_channels = n.tile,
                  .in_channels = k.tile,
                  .groups = tile_groups,
                  .order = order};
  Replayed layer(*this, tile, slots(m, n, k, tile_groups),
                 form.engine_cycles / static_cast<double>(repeats), last_fold_credit(m, n, k));
  layer.nest.work = {form.dram_time / static_cast<double>(repeats),
                     form.scratchpad_time / static_cast<double>(repeats)};
  if (!form.weights_stay) {
    layer.nest.port = {form.weight_port_time / static_cast<double>(repeats),
                       form.input_port_time / static_cast<double>(repeats), 0};
  }
  layer.nest.unit = {
      8 * static_cast<double>(accelerator_->memory.dram.burst.count()) * dram_cycles_per_bit_,
      8 * scratchpad_cycles_per_bit_};
  layer.nest.after = std::max(0.0, form.post_exposed / static_cast<double>(repeats) - 1e-3);
  layer.nest.enough = repeats > 1 ? replay::kForever : enough;
  const auto play = [&] {
    thread_local replay::Replay<Replayed> player;
    return static_cast<double>(whole_cycles(player.run(layer.nest, layer)));
  };
  double latency = play();
  if (repeats > 1) {
    double rest = latency;
    if (form.weights_stay) {
      layer.nest.used[replay::kWeightIn] = false;
      rest = play();
    }
    latency += static_cast<double>(repeats - 1) * rest;
  }
  form.latency = std::max(form.latency, latency);
  return form;
}

}  // namespace widthwise
