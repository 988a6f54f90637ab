// Exhaustive search for the best tile of a layer; the space is stated at LayerModel::search.
#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "models/cost/layer_model.hpp"

namespace widthwise {

namespace {

constexpr double kWorst = std::numeric_limits<double>::infinity();

/// Small tiles gain a few cycles of lead-in and cost traffic, requests and control: tiles with less
/// than this share of the work, or of the groups, of the largest are not looked at.
constexpr std::int64_t kSmallestShare = 8;

/// Least tile size for each distinct number of tiles of `extent`, in multiples of `step`, descending;
/// none greater than `most` but, where `most` is less than a step, one step.
void distinct_tiles(std::int64_t extent, std::int64_t step, std::int64_t most,
                    std::vector<std::int64_t>& tiles) {
  tiles.clear();
  const std::int64_t units = ceil_div(extent, step);
  const std::int64_t most_units = std::max<std::int64_t>(1, ceil_div(std::min(most, extent), step));
  std::int64_t before = 0;
  for (std::int64_t count = ceil_div(units, most_units); count <= units;) {
    const std::int64_t tile = ceil_div(units, count);
    if (tile != before) tiles.push_back(std::min(extent, tile * step));
    before = tile;
    if (tile == 1) break;
    count = ceil_div(units, tile - 1);  // the least count with smaller tiles
  }
}

/// Orders that differ only in loops of a single tile are one: the first of them stands for all.
bool stands_for_itself(LoopOrder order, bool many_m, bool many_n, bool many_k) {
  const LoopPositions at = loop_positions(order);
  if ((!many_m || !many_n) && at.n < at.m) return false;
  if ((!many_m || !many_k) && at.k < at.m) return false;
  return (many_n && many_k) || at.k > at.n;
}

constexpr std::array<LoopOrder, 6> kOrders{LoopOrder::mnk, LoopOrder::nmk, LoopOrder::mkn,
                                           LoopOrder::nkm, LoopOrder::kmn, LoopOrder::knm};

}  // namespace

/// The axes of the space, each tiling with its sums.
struct LayerModel::Space {
  std::vector<MTiling> m;
  std::vector<NTiling> n;
  std::vector<KTiling> k;
  std::vector<std::int64_t> groups;  // descending
  std::int64_t largest_work = 0;     // of a tile that fits at the greatest widths
  std::vector<std::int64_t> sizes;   // scratch
  std::vector<Fetch> rows, columns;  // scratch
};

/// The layer at the machine's greatest widths: what fits there fits at all widths.
LayerModel LayerModel::at_widest() const {
  const Engine& engine = accelerator_->engine;
  const bool array = engine.kind == EngineKind::mac_array;
  const BitWidth widest_array = engine.temporal ? kMaxOperandWidth : engine.max_bits;
  const BitWidth weight = array ? widest_array : engine.max_weight_bits;
  const BitWidth activation = array ? widest_array : engine.max_activation_bits;
  LayerModel widest = *this;
  widest.setting_.stored_input = std::max(activation, setting_.stored_input);
  widest.setting_.stored_weight = std::max(weight, setting_.stored_weight);
  return widest;
}

void LayerModel::fill_space(Space& space, const LayerModel& widest) const {
  const Engine& engine = accelerator_->engine;
  // Steps of the space: whole array columns, whole K-steps at the narrowest widths; halved only where
  // not even one position fits. Packs of groups are never split.
  std::int64_t widest_products = mode_.products;
  if (engine.kind == EngineKind::mac_array && engine.scaling != Scaling::fixed) {
    const std::int64_t pieces = engine.max_bits / engine.supported_bits.front();
    widest_products = engine.scaling == Scaling::fusion ? pieces * pieces : pieces;
  }
  const std::int64_t n_extent = shape_.out_channels;
  const std::int64_t k_extent = shape_.in_channels;
  std::int64_t k_step = k_extent;
  std::int64_t n_step = n_extent;
  if (pack_ == 1) {
    k_step = std::min(k_extent, timing_.lanes_along_k() / mode_.products *
                                    std::max<std::int64_t>(1, widest_products));
    n_step = std::min<std::int64_t>(n_extent, engine.columns);
    const auto position = widest.m_tiling(1, widest.fetch_rows(1), widest.fetch_columns(1));
    const auto fits = [&] {
      return widest.input_fits(position, k_step, pack_) &&
             widest.weight_fits(n_step, k_step, pack_) && widest.output_fits(1, n_step, pack_);
    };
    while (k_step > 1 && !fits()) k_step = ceil_div(k_step, 2);
    while (n_step > 1 && !fits()) n_step = ceil_div(n_step, 2);
  }

  space.m.clear();
  space.n.clear();
  space.k.clear();
  space.rows.clear();
  space.columns.clear();
  const auto most_outputs = static_cast<std::int64_t>(output_capacity_ / engine.accumulator_bits);
  const std::int64_t most_positions = most_outputs / std::max<std::int64_t>(1, n_step * pack_);
  std::vector<std::int64_t>& sizes = space.sizes;
  distinct_tiles(n_extent, n_step, most_outputs, sizes);
  for (const std::int64_t size : sizes) space.n.push_back(n_tiling(size));
  distinct_tiles(k_extent, k_step, k_extent, sizes);
  for (const std::int64_t size : sizes) space.k.push_back(k_tiling(size));
  distinct_tiles(shape_.out_h, 1, most_positions, sizes);
  for (const std::int64_t size : sizes) space.rows.push_back(fetch_rows(size));
  distinct_tiles(shape_.out_w, 1, most_positions, sizes);
  for (const std::int64_t size : sizes) space.columns.push_back(fetch_columns(size));

  const std::int64_t least_channels = space.k.back().tile;
  const std::int64_t least_n = space.n.back().tile;
  const auto consider = [&](std::int64_t batch, const Fetch& h, const Fetch& w) {
    // Cheap tests before the sums are formed.
    const std::int64_t m = batch * h.tile * w.tile;
    if (!output_fits(m, least_n, pack_)) return;
    const double elements = expanded_input_ ? static_cast<double>(m * kernel_)
                                            : static_cast<double>(batch * h.greatest * w.greatest);
    if (input_buffer_bits(elements, static_cast<double>(m), least_channels, pack_) > input_capacity_) {
      return;
    }
    space.m.push_back(m_tiling(batch, h, w));
  };
  distinct_tiles(shape_.batch, 1, most_positions, sizes);
  for (const std::int64_t batch : sizes) {
    if (batch > 1) {
      // Several images are taken whole.
      if (space.rows.front().count == 1 && space.columns.front().count == 1) {
        consider(batch, space.rows.front(), space.columns.front());
      }
      continue;
    }
    for (const Fetch& h : space.rows) {
      for (const Fetch& w : space.columns) consider(batch, h, w);
    }
  }
  distinct_tiles(shape_.groups, pack_, most_outputs, space.groups);

  space.largest_work = 0;
  for (const KTiling& k : space.k) {
    for (const NTiling& n : space.n) {
      if (!widest.weight_fits(n.tile, k.tile, pack_)) continue;
      for (const MTiling& m : space.m) {
        const std::int64_t work = m.greatest_m * n.tile * k.tile;
        if (work > space.largest_work && widest.output_fits(m.greatest_m, n.tile, pack_) &&
            widest.input_fits(m, k.tile, pack_)) {
          space.largest_work = work;
        }
      }
    }
  }
}

/// Calls `visit(m, n, k, groups, order, engine_cycles)` for every tile of the space that fits;
/// `hopeless(engine_cycles)` may cut whole branches off.
template <class Hopeless, class Visit>
void LayerModel::for_each_tile(const Space& space, const LayerModel& widest, Hopeless&& hopeless,
                               Visit&& visit) const {
  const auto fits_in = [](const LayerModel& layer, const MTiling& m, const NTiling& n,
                          const KTiling& k, std::int64_t groups) {
    return layer.input_fits(m, k.tile, groups) && layer.weight_fits(n.tile, k.tile, groups) &&
           layer.output_fits(m.greatest_m, n.tile, groups);
  };
  for (const KTiling& k : space.k) {
    for (const NTiling& n : space.n) {
      if (!weight_fits(n.tile, k.tile, pack_)) continue;
      const bool whole = n.tiles == 1 && k.tiles == 1;  // only then several packs are taken together
      for (const MTiling& m : space.m) {
        if (m.greatest_m * n.tile * k.tile * kSmallestShare < space.largest_work) continue;
        if (!fits_in(*this, m, n, k, pack_)) continue;
        const double cycles = pack_cycles(m, n, k) - last_fold_credit(m, n, k);
        if (hopeless(cycles)) continue;
        std::int64_t largest_groups = std::min(pack_, shape_.groups);
        if (whole && shape_.groups > pack_) {
          const auto largest = std::find_if(
              space.groups.begin(), space.groups.end(),
              [&](std::int64_t groups) { return fits_in(widest, m, n, k, groups); });
          if (largest != space.groups.end()) largest_groups = *largest;
        }
        for (const std::int64_t groups : space.groups) {
          if (groups * kSmallestShare < largest_groups) break;
          if (groups > pack_ && !(whole && fits_in(*this, m, n, k, groups))) continue;
          for (const LoopOrder order : kOrders) {
            if (stands_for_itself(order, m.tiles > 1, n.tiles > 1, k.tiles > 1)) {
              visit(m, n, k, groups, order, cycles);
            }
          }
        }
      }
    }
  }
}

std::optional<Tile> LayerModel::search(const EnergyModel& energy) const {
  if (accelerator_->ideal_memory) return whole_layer();
  thread_local Space space;
  const LayerModel widest = at_widest();
  fill_space(space, widest);

  const Objective objective = accelerator_->tiling.objective;
  const auto edges = static_cast<double>(timing_.start_cycles() + timing_.finish_cycles());
  const auto repeats = static_cast<double>(shape_.repeat);
  struct Found {
    double value = kWorst;
    double dram = kWorst;
    double energy = kWorst;  // infinite until a tie asks for it
    std::optional<Tile> tile;
  };
  const auto dram_bits = [&](const ClosedForm& form) {
    double bits = 0;
    for (int s = 0; s < kStreams; ++s) {
      if (home(static_cast<Stream>(s)) == Home::dram) bits += form.stream_bits[s];
    }
    return bits;
  };
  const auto energy_of = [&](const Activity& counted, const ClosedForm& form) {
    return energy.energy(counted, Cycles(whole_cycles(form.latency))).total().count();
  };
  /// One pass: among tiles of value up to `limit` the best by `traffic_first ? (traffic, value)`
  /// `: (value, traffic)`, then energy.
  const auto pass = [&](double limit, bool traffic_first) {
    Found best;
    double cut = limit;  // latencies above are of no interest
    for_each_tile(
        space, widest,
        [&](double cycles) {
          return objective == Objective::latency && (cycles + edges) * repeats > cut;
        },
        [&](const MTiling& m, const NTiling& n, const KTiling& k, std::int64_t groups,
            LoopOrder order, double cycles) {
          ClosedForm form = closed(m, n, k, groups, order, cycles);
          if (objective == Objective::latency &&
              static_cast<double>(whole_cycles(form.latency)) > cut) {
            return;
          }
          form = refined(form, m, n, k, groups, order);
          const auto latency = static_cast<double>(whole_cycles(form.latency));
          double joules = kWorst;
          double value = latency;
          if (objective != Objective::latency) {
            joules = energy_of(activity(m, n, k, form, form.engine_cycles), form);
            value = objective == Objective::energy ? joules : joules * latency;
          }
          if (value > limit) return;
          const double dram = dram_bits(form);
          const double first = traffic_first ? dram : value;
          const double second = traffic_first ? value : dram;
          const double best_first = traffic_first ? best.dram : best.value;
          const double best_second = traffic_first ? best.value : best.dram;
          if (first > best_first || (first == best_first && second > best_second)) return;
          if (first == best_first && second == best_second) {
            if (joules == kWorst) joules = energy_of(activity(m, n, k, form, form.engine_cycles), form);
            if (best.energy == kWorst) {
              const ClosedForm held = closed_form(*best.tile);
              best.energy = energy_of(activity(*best.tile, held), held);
            }
            if (joules >= best.energy) return;
          }
          best = {value, dram, joules,
                  Tile{.batch = m.batch,
                       .out_h = m.out_h,
                       .out_w = m.out_w,
                       .out_channels = n.tile,
                       .in_channels = k.tile,
                       .groups = groups,
                       .order = order}};
          if (!traffic_first) cut = std::min(cut, value);
        });
    return best;
  };
  const Found best = pass(kWorst, false);
  const double slack = accelerator_->tiling.slack;
  if (!best.tile || slack <= 0) return best.tile;
  return pass(best.value * (1 + slack), true).tile;
}

}  // namespace widthwise
