// Exhaustive search for the best tile of a layer; the space is stated at LayerModel::search.
#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "models/cost/layer_model.hpp"

namespace widthwise {

namespace {

constexpr double kWorst = std::numeric_limits<double>::infinity();

/// Small tiles gain a few cycles of lead-in and cost traffic, requests and control. Tiles of fewer
/// array steps than this, and of less than this share of the steps of the largest tile that fits at
/// the greatest widths, are not looked at.
constexpr std::int64_t kFewSteps = 1024;
constexpr std::int64_t kSmallShare = 8;

/// What the play of its steps presumably makes of the closed form of the best tile, at most: of one
/// whose array hardly waits, and of others.
constexpr double kPresumedAtWork = 1.002;
constexpr double kPresumedWaiting = 1.03;
constexpr double kPresumedToWait = 1.03;
constexpr double kPresumedCycles = 8;

/// Least tile size for each distinct number of tiles of `extent`, in multiples of `step`,
/// descending; none greater than `most` but, where `most` is less than a step, one step.
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

constexpr std::array<LoopOrder, 6> kOrders{LoopOrder::mnk, LoopOrder::nmk, LoopOrder::mkn,
                                           LoopOrder::nkm, LoopOrder::kmn, LoopOrder::knm};

/// Orders that differ only in loops of a single tile are one: the first of them stands for all.
/// Where all three loops turn, what moves depends on the innermost loop alone: every step then
/// changes two of the three tiles, and the third comes back once per turn of the loop outside both.
constexpr bool stands_for_itself(LoopOrder order, bool many_m, bool many_n, bool many_k) {
  if (many_m && many_n && many_k) {
    return order == LoopOrder::mnk || order == LoopOrder::mkn || order == LoopOrder::nkm;
  }
  const LoopPositions at = loop_positions(order);
  for (const LoopOrder earlier : kOrders) {
    if (earlier == order) return true;
    const LoopPositions other = loop_positions(earlier);
    const bool same_mn = !(many_m && many_n) || (at.m < at.n) == (other.m < other.n);
    const bool same_mk = !(many_m && many_k) || (at.m < at.k) == (other.m < other.k);
    const bool same_nk = !(many_n && many_k) || (at.n < at.k) == (other.n < other.k);
    if (same_mn && same_mk && same_nk) return false;
  }
  return true;
}

}  // namespace

/// The axes of the space, each tiling with its sums.
struct LayerModel::Space {
  static constexpr std::int64_t kUnknown = -1, kDone = -2;
  std::vector<MTiling> m;
  std::vector<NTiling> n;
  std::vector<KTiling> k;
  std::vector<std::int64_t> groups;  // descending
  std::int64_t least_steps = 0;      // smaller tiles are not looked at
  struct Candidate {
    std::size_t m = 0, n = 0, k = 0;  // indices into the axes
    std::int64_t groups = 1;
    LoopOrder order = LoopOrder::mnk;
    double cycles = 0;             // of the array, one repeat
    double bound = 0;              // on the latency
    std::int64_t index = 0;        // in order of the space, for ties
    std::int64_t form = kUnknown;  // its closed form, once there is one
  };
  std::vector<Candidate> candidates;  // of the layer at hand
  std::vector<ClosedForm> forms;      // of candidates looked at closely
  std::vector<std::int64_t> sizes;    // scratch
  std::vector<Fetch> rows, columns;   // scratch
};

/// The layer at the machine's greatest widths: what fits there fits at all widths.
LayerModel LayerModel::at_widest() const {
  const Engine& engine = accelerator_->engine;
  const bool array = engine.kind == EngineKind::mac_array;
  const BitWidth widest_array = engine.temporal ? kMaxOperandWidth : engine.max_bits;
  const BitWidth weight = stored_weight_bits(engine, array ? widest_array : engine.max_weight_bits);
  const BitWidth activation = array ? widest_array : engine.max_activation_bits;
  LayerModel widest = *this;
  widest.setting_.stored_input = std::max(activation, setting_.stored_input);
  widest.setting_.stored_weight = std::max(weight, setting_.stored_weight);
  widest.setting_.accumulator_bits = engine.accumulator_bits;
  return widest;
}

void LayerModel::fill_space(Space& space, const LayerModel& widest) const {
  const Engine& engine = accelerator_->engine;
  // Steps of the space: whole array columns, whole K-steps at the narrowest widths; halved only
  // where not even one position fits. Packs of groups are never split.
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
    const std::int64_t lanes =
        timing_.lanes_along_k() / mode_.products * std::max<std::int64_t>(1, widest_products);
    // With the kernel unrolled a few channels fill the lanes.
    constexpr std::int64_t kFewChannels = 64;
    const std::int64_t unrolled = std::max(std::min(lanes, kFewChannels), lanes / kernel_);
    k_step = std::min(k_extent, im2col_ ? unrolled : lanes);
    n_step = std::min(n_extent, static_cast<std::int64_t>(engine.columns) * engine.tiles);
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
  const auto most_outputs = static_cast<std::int64_t>(output_capacity_ / setting_.accumulator_bits);
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
    if (input_buffer_bits(elements, static_cast<double>(m), least_channels, pack_) >
        input_capacity_) {
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

  for (MTiling& m : space.m) m.array_steps = array_steps(m);
  for (NTiling& n : space.n) n.array_steps = array_steps(n);
  for (KTiling& k : space.k) k.array_steps = array_steps(k);
  std::int64_t most_steps = 0;
  for (const KTiling& k : space.k) {
    for (const NTiling& n : space.n) {
      if (!widest.weight_fits(n.tile, k.tile, pack_)) continue;
      for (const MTiling& m : space.m) {
        const std::int64_t steps = array_steps(m, n, k, 1);
        if (steps > most_steps && widest.output_fits(m.greatest_m, n.tile, pack_) &&
            widest.input_fits(m, k.tile, pack_)) {
          most_steps = steps;
        }
      }
    }
  }
  space.least_steps = std::min(kFewSteps, ceil_div(most_steps, kSmallShare));
}

/// Array steps of a tile with one product a step and PE, or all planes of a bit-serial operand, are
/// a product over its axes: the same at all widths.
std::int64_t LayerModel::array_steps(const MTiling& m) const {
  const Engine& engine = accelerator_->engine;
  const bool along_rows =
      engine.kind == EngineKind::bit_serial || engine.dataflow == Dataflow::output_stationary;
  const std::int64_t planes = engine.kind == EngineKind::bit_serial ? kMaxOperandWidth : 1;
  const bool whole_rows = along_rows && !timing_.staggered();
  return kernel_ * planes * (whole_rows ? ceil_div(m.greatest_m, engine.rows) : m.greatest_m);
}

std::int64_t LayerModel::array_steps(const NTiling& n) const {
  const Engine& engine = accelerator_->engine;
  return ceil_div(n.tile * pack_, static_cast<std::int64_t>(engine.columns) * engine.tiles);
}

std::int64_t LayerModel::array_steps(const KTiling& k) const {
  const Engine& engine = accelerator_->engine;
  if (engine.kind == EngineKind::bit_serial) return ceil_div(k.tile * pack_, engine.lanes);
  if (engine.dataflow == Dataflow::output_stationary) return k.tile * pack_;
  return ceil_div(k.tile * pack_, engine.rows);
}

std::int64_t LayerModel::array_steps(const MTiling& m, const NTiling& n, const KTiling& k,
                                     std::int64_t packs) const {
  const std::int64_t steps = packs * m.array_steps * n.array_steps * k.array_steps;
  return timing_.staggered() ? ceil_div(steps, accelerator_->engine.rows) : steps;
}

/// Calls `visit` for every tile of the space that fits, with a quick bound on its latency, unless
/// that is hopeless.
template <class Hopeless, class Visit>
void LayerModel::for_each_tile(const Space& space, Hopeless&& hopeless, Visit&& visit) const {
  const auto fit = [&](const MTiling& m, const NTiling& n, const KTiling& k, std::int64_t groups) {
    return input_fits(m, k.tile, groups) && weight_fits(n.tile, k.tile, groups) &&
           output_fits(m.greatest_m, n.tile, groups);
  };
  const auto edges = static_cast<double>(timing_.start_cycles() + timing_.finish_cycles());
  const auto repeats = static_cast<double>(shape_.repeat);
  Space::Candidate candidate;
  thread_local std::vector<std::size_t> fitting;  // of the axis over output channels
  for (candidate.k = 0; candidate.k < space.k.size(); ++candidate.k) {
    const KTiling& k = space.k[candidate.k];
    fitting.clear();
    for (std::size_t i = 0; i < space.n.size(); ++i) {
      if (weight_fits(space.n[i].tile, k.tile, pack_)) fitting.push_back(i);
    }
    if (fitting.empty()) continue;
    for (candidate.m = 0; candidate.m < space.m.size(); ++candidate.m) {
      const MTiling& m = space.m[candidate.m];
      if (m.greatest_elements * k.element_bits > input_capacity_ ||
          static_cast<double>(m.greatest_m) * k.position_bits > input_capacity_) {
        continue;
      }
      double credit = last_fold_credit(m, space.n.front(), k);
      for (const std::size_t index : fitting) {
        candidate.n = index;
        const NTiling& n = space.n[index];
        if (!output_fits(m.greatest_m, n.tile, pack_)) continue;
        if (timing_.credit_depends_on_n()) credit = last_fold_credit(m, n, k);
        candidate.cycles = pack_cycles(m, n, k) - credit;
        if (hopeless((candidate.cycles + edges) * repeats)) continue;
        const bool whole = n.tiles == 1 && k.tiles == 1;  // only then several packs go together
        for (const std::int64_t groups : space.groups) {
          if (array_steps(m, n, k, groups == pack_ ? 1 : ceil_div(groups, pack_)) <
              space.least_steps)
            break;
          if (groups > pack_ && !(whole && fit(m, n, k, groups))) continue;
          candidate.groups = groups;
          candidate.bound = array_bound(m, n, k, groups, candidate.cycles);
          if (hopeless(candidate.bound)) continue;
          const double any_order = candidate.bound;
          for (const LoopOrder order : kOrders) {
            if (!stands_for_itself(order, m.tiles > 1, n.tiles > 1, k.tiles > 1)) continue;
            candidate.order = order;
            candidate.bound = std::max(any_order, traffic_bound(loop_traffic(m, n, k, order), k));
            ++candidate.index;
            if (!hopeless(candidate.bound)) visit(candidate);
          }
        }
      }
    }
  }
}

std::optional<Tile> LayerModel::search(const EnergyModel& energy, ClosedForm* form) const {
  if (accelerator_->ideal_memory) {
    if (form != nullptr) *form = closed_form(whole_layer());
    return whole_layer();
  }
  thread_local Space space;
  fill_space(space, at_widest());

  const Objective objective = accelerator_->tiling.objective;
  const bool by_latency = objective == Objective::latency;
  struct Found {
    double value = kWorst;
    double dram = kWorst;
    double energy = kWorst;  // infinite until a tie asks for it
    std::optional<Tile> tile;
    ClosedForm form;
  };
  const auto energy_of = [&](const Activity& counted, const ClosedForm& of) {
    return energy.energy(counted, Cycles(whole_cycles(of.latency))).total().count();
  };
  const auto value_of = [&](const Space::Candidate& candidate, const ClosedForm& close,
                            double& joules) {
    const auto latency = static_cast<double>(whole_cycles(close.latency));
    if (by_latency) return latency;
    joules = energy_of(activity(space.m[candidate.m], space.n[candidate.n], space.k[candidate.k],
                                close, close.engine_cycles),
                       close);
    return objective == Objective::energy ? joules : joules * latency;
  };
  /// The closed form of a tile but for the play of its steps.
  const auto unplayed = [&](const Space::Candidate& candidate, double cut) {
    const MTiling& m = space.m[candidate.m];
    const NTiling& n = space.n[candidate.n];
    const KTiling& k = space.k[candidate.k];
    const ClosedForm close = closed(m, n, k, candidate.groups, candidate.order, candidate.cycles);
    if (by_latency && static_cast<double>(whole_cycles(close.latency)) > cut) return close;
    return refined(close, m, n, k, candidate.groups, candidate.order);
  };
  /// Keeps the better of `best` and a tile: of value up to `limit`, by (value, traffic) or
  /// `traffic_first` by (traffic, value), then by energy. `close` is its closed form without its
  /// play.
  const auto weigh = [&](Found& best, const Space::Candidate& candidate, ClosedForm close,
                         double limit, bool traffic_first) {
    const MTiling& m = space.m[candidate.m];
    const NTiling& n = space.n[candidate.n];
    const KTiling& k = space.k[candidate.k];
    double dram = 0;
    for (int s = 0; s < kStreams; ++s) {
      if (home(static_cast<Stream>(s)) == Home::dram) dram += close.stream_bits[s];
    }
    const auto rank = [&](double a, double b) {
      return traffic_first ? std::pair{b, a} : std::pair{a, b};
    };
    const auto held = rank(best.value, best.dram);
    // Nothing is better for being played.
    double joules = kWorst;
    double value = value_of(candidate, close, joules);
    if (value > limit || rank(value, dram) > held) return;
    close = replayed(close, m, n, k, candidate.groups, candidate.order,
                     by_latency ? traffic_first ? limit : std::min(limit, best.value) : kWorst);
    value = value_of(candidate, close, joules);
    if (value > limit) return;
    const auto mine = rank(value, dram);
    if (mine > held) return;
    if (mine == held) {
      if (joules == kWorst)
        joules = energy_of(activity(m, n, k, close, close.engine_cycles), close);
      if (best.energy == kWorst) {
        best.energy = energy_of(activity(*best.tile, best.form), best.form);
      }
      if (joules >= best.energy) return;
    }
    best = {value, dram, joules,
            Tile{.batch = m.batch,
                 .out_h = m.out_h,
                 .out_w = m.out_w,
                 .out_channels = n.tile,
                 .in_channels = k.tile,
                 .groups = candidate.groups,
                 .order = candidate.order},
            close};
  };

  // All tiles get a quick bound on their latency; in its order they get a closer one, and in the
  // order of that their steps are played, until the best one found is no worse than the bound of
  // all that are left. Tiles that are worse than what the best will presumably cost are passed over
  // at first, and looked at later if that was too hopeful.
  const double slack = accelerator_->tiling.slack;
  Found best;
  std::vector<Space::Candidate>& candidates = space.candidates;
  candidates.clear();
  space.forms.clear();
  const auto later = [](const Space::Candidate& a, const Space::Candidate& b) {
    return a.bound != b.bound ? a.bound > b.bound : a.index > b.index;
  };
  const auto add = [&](Space::Candidate candidate, const ClosedForm& close) {
    candidate.form = static_cast<std::int64_t>(space.forms.size());
    candidate.bound = close.latency;
    space.forms.push_back(close);
    return candidate;
  };
  /// Looks at the candidates that may cost up to `limit`.
  const auto look = [&](double limit) {
    const auto begin = candidates.begin();
    auto end = candidates.end();
    const auto may_be_best = [&](double bound) {
      return static_cast<double>(whole_cycles(bound)) <= std::min(limit, best.value);
    };
    std::make_heap(begin, end, later);
    while (end != begin && may_be_best(begin->bound)) {
      std::pop_heap(begin, end, later);
      Space::Candidate& candidate = *--end;
      if (candidate.form >= 0) {
        weigh(best, candidate, space.forms[static_cast<std::size_t>(candidate.form)], kWorst,
              false);
        candidate.form = Space::kDone;
      } else if (candidate.form == Space::kUnknown) {
        const ClosedForm close = unplayed(candidate, std::min(limit, best.value));
        if (may_be_best(close.latency)) {
          candidate = add(candidate, close);
          std::push_heap(begin, ++end, later);
        } else {
          candidate.bound = close.latency;
        }
      }
    }
  };
  if (by_latency) {
    double presumed = kWorst;
    double least_bound = kWorst;
    for_each_tile(
        space, [&](double bound) { return bound > presumed * (1 + slack); },
        [&](const Space::Candidate& candidate) {
          if (candidate.bound >= least_bound) {
            candidates.push_back(candidate);
            return;
          }
          least_bound = candidate.bound;
          const ClosedForm close = unplayed(candidate, presumed);
          candidates.push_back(candidate);
          if (close.latency > presumed) {
            candidates.back().bound = close.latency;
            return;
          }
          candidates.back() = add(candidate, close);
          auto cost = static_cast<double>(whole_cycles(close.latency));
          if (is_played(space.m[candidate.m], space.n[candidate.n], space.k[candidate.k],
                        candidate.groups)) {
            const bool waits = close.latency > kPresumedToWait * close.engine_cycles;
            cost = close.latency * (waits ? kPresumedWaiting : kPresumedAtWork) + kPresumedCycles;
          }
          presumed = std::min(presumed, cost);
        });
    look(presumed);
    if (best.value > presumed) {
      const double limit = best.value;
      for_each_tile(
          space, [&](double bound) { return bound > limit * (1 + slack); },
          [&](const Space::Candidate& candidate) {
            if (candidate.bound > presumed) candidates.push_back(candidate);
          });
      look(kWorst);
    }
  } else {
    for_each_tile(
        space, [](double) { return false; },
        [&](const Space::Candidate& candidate) { candidates.push_back(candidate); });
    for (const Space::Candidate& candidate : candidates) {
      weigh(best, candidate, unplayed(candidate, kWorst), kWorst, false);
    }
  }
  const auto found = [&](const Found& chosen) {
    if (form != nullptr) *form = chosen.form;
    return chosen.tile;
  };
  if (!best.tile || slack <= 0) return found(best);
  const double limit = best.value * (1 + slack);
  Found frugal;
  for (const Space::Candidate& candidate : candidates) {
    if (by_latency && static_cast<double>(whole_cycles(candidate.bound)) > limit) continue;
    weigh(frugal, candidate, unplayed(candidate, limit), limit, true);
  }
  return found(frugal);
}

}  // namespace widthwise
