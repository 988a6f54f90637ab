// Lower bounds on the time from the first step of a layer to its last that look at steps and runs
// of steps, not only at sums over the layer.
//
// Why sums alone are too low: a buffer holds a few tiles, so transfers can not be moved freely in
// time. Where small tiles at a border, or the last tile of a loop, ask for more transfers than
// array cycles while others ask for less, the former wait and the latter do not make up for it.
//
// All tiles of one kind (full or last along each axis) are taken together with their mean
// transfers; max(array, transfers) is convex and submodular, so neither that nor pairing each
// step's cycles with its own transfers can make a bound greater than the true time.
#include <algorithm>
#include <array>

#include "models/cost/layer_model.hpp"

namespace widthwise {

namespace {

/// Resources that serve transfers one after the other.
enum Resource { kDram, kScratchpad, kInputPort, kWeightPort, kPost, kResources };
using Times = std::array<double, kResources>;

int channel_of(Home home) { return home == Home::dram ? kDram : kScratchpad; }

/// Tiles of one kind along an axis.
struct Kind {
  double times = 0;
  std::int64_t size = 0;
  double elements = 0;  // fetched per channel, output positions only
  MSums sums;           // output positions only
};

/// Full tiles and the last one; where they are alike the latter has no times.
using Kinds = std::array<Kind, 2>;
Kinds kinds_of(std::int64_t tile, std::int64_t tiles, std::int64_t last) {
  const bool even = last == tile;
  return {{{static_cast<double>(even ? tiles : tiles - 1), tile, 0, {}},
           {even ? 0.0 : 1.0, last, 0, {}}}};
}

/// Blocks of input channels: where partial sums leave in between, the first finds none to read and
/// the last leaves complete outputs.
struct KKind {
  double times = 0;
  std::int64_t size = 0;
  bool reads_sums = false;
  bool leaves_sums = false;
};
using KKinds = std::array<KKind, 3>;
KKinds k_kinds_of(std::int64_t tile, std::int64_t tiles, std::int64_t last, bool spills) {
  if (!spills) {
    const Kinds kinds = kinds_of(tile, tiles, last);
    return {{{kinds[0].times, kinds[0].size}, {kinds[1].times, kinds[1].size}, {}}};
  }
  return {{{1.0, tile, false, true},
           {static_cast<double>(tiles - 2), tile, true, true},
           {1.0, last, true, false}}};
}

/// One step of each combination of kinds.
struct StepKind {
  double array = 0;
  Times mean{};  // of all streams, those that change more seldom than every step by their share
  Times comes{}, leaves{};  // of streams with two slots that change with every step
  double leaving = 0;       // until the output tile is out of the array, post-processed and stored
  Times credit{};           // that can be done before a run of such steps begins or after it ends
  Times next{};             // the part of it that can not, in the runs of the innermost loop
};

/// The resource that is busy longest with what comes and what leaves.
double longest(const Times& comes, const Times& leaves) {
  double time = 0;
  for (std::size_t r = 0; r < kResources; ++r) time = std::max(time, comes[r] + leaves[r]);
  return time;
}

/// Tiles in turn: `count` of one kind, the last of each sequence of another (or none). While a tile
/// is used the one after it comes and the one before it leaves.
double turn_cycles(const StepKind& full, double full_times, const StepKind& last,
                   double last_times) {
  if (last_times == 0) return full_times * std::max(full.array, longest(full.comes, full.leaves));
  if (full_times == 0) return last_times * std::max(last.array, longest(last.comes, last.leaves));
  const double in_sequence = full_times / last_times;  // full tiles before each last one
  const double at_end = std::max(last.array, longest(full.comes, full.leaves));
  if (in_sequence < 2) {
    return last_times * (std::max(full.array, longest(last.comes, last.leaves)) + at_end);
  }
  return last_times * ((in_sequence - 2) * std::max(full.array, longest(full.comes, full.leaves)) +
                       std::max(full.array, longest(full.comes, last.leaves)) +
                       std::max(full.array, longest(last.comes, full.leaves)) + at_end);
}

}  // namespace

double LayerModel::stepwise_cycles(const MTiling& m, const NTiling& n, const KTiling& k,
                                   std::int64_t tile_groups, LoopOrder order) const {
  const LoopPositions at = loop_positions(order);
  const TileAxis group_axis{shape_.groups, tile_groups};
  // The innermost loop that turns.
  int innermost = -1;
  if (m.tiles > 1) innermost = std::max(innermost, at.m);
  if (n.tiles > 1) innermost = std::max(innermost, at.n);
  if (k.tiles > 1) innermost = std::max(innermost, at.k);
  const bool only_groups = innermost < 0;
  if (only_groups && group_axis.count() == 1) return 0;
  const bool m_turns = !only_groups && innermost == at.m;
  const bool n_turns = !only_groups && innermost == at.n;
  const bool k_turns = !only_groups && innermost == at.k;
  // Streams whose tile changes with every step; the others change once per turn of that loop.
  const double input_share = n_turns ? 1.0 / static_cast<double>(n.tiles) : 1.0;
  const double weight_share = m_turns ? 1.0 / static_cast<double>(m.tiles) : 1.0;
  const double output_share = k_turns ? 1.0 / static_cast<double>(k.tiles) : 1.0;
  const Memory& memory = accelerator_->memory;
  const bool spills = !k_turns && k.tiles > 1;
  const double sum_bits = setting_.accumulator_bits;
  const double initial_bits =
      memory.read_initial_sums ? memory.output_bits.value_or(setting_.accumulator_bits) : 0.0;
  const double per_bit[2] = {dram_cycles_per_bit_, scratchpad_cycles_per_bit_};
  const double access[2] = {
      static_cast<double>(memory.dram.latency.count()),
      memory.scratchpad ? static_cast<double>(memory.scratchpad->latency.count()) : 0.0};
  const auto request_bits = static_cast<double>(to_bits(memory.dram.request).count());
  const int input_channel = channel_of(home(Stream::input));
  const int weight_channel = channel_of(home(Stream::weight));
  const int output_channel = channel_of(home(Stream::output));
  const BufferSlots ahead = slots(m, n, k, tile_groups);
  const auto q_input = static_cast<double>(ahead.input);
  const auto q_weight = static_cast<double>(ahead.weight);
  const auto q_output = static_cast<double>(ahead.output);
  // Windows of loads: as many steps as the roomier of the buffers that change with every step
  // holds.
  const double q_load = std::max({2.0, n_turns ? 0.0 : q_input, m_turns ? 0.0 : q_weight});

  // Kinds of output tiles: combinations of full and last along batch, rows and columns.
  std::array<Kind, 8> m_kinds{};
  std::size_t m_count = 0;
  // Sequences of them: tiles of the first kind and then one of the last, which may be the same.
  struct Sequence {
    std::size_t full = 0, last = 0;
  };
  std::array<Sequence, 8> m_sequence{};
  std::size_t m_sequences = 0;
  {
    struct Part {
      std::int64_t size;
      double times, fetched;
    };
    const auto parts = [](const TileAxis& axis, double sum, double last) {
      const auto count = static_cast<double>(axis.count());
      const bool even = axis.last() == axis.tile;
      return std::array<Part, 2>{{{axis.tile, even ? count : count - 1,
                                   even ? sum / count : (sum - last) / std::max(1.0, count - 1)},
                                  {axis.last(), even ? 0.0 : 1.0, last}}};
    };
    const TileAxis b{shape_.batch, m.batch};
    // The fastest axis that has several tiles makes the sequences.
    const bool along_w = m.out_w < shape_.out_w;
    const bool along_h = !along_w && m.out_h < shape_.out_h;
    for (const Part& pb :
         parts(b, static_cast<double>(shape_.batch), static_cast<double>(b.last()))) {
      for (const Part& ph : parts({shape_.out_h, m.out_h}, m.rows_sum, m.rows_last)) {
        for (const Part& pw : parts({shape_.out_w, m.out_w}, m.columns_sum, m.columns_last)) {
          const double times = pb.times * ph.times * pw.times;
          if (times == 0) continue;
          const std::int64_t size = pb.size * ph.size * pw.size;
          const bool is_last = along_w   ? pw.size != m.out_w
                               : along_h ? ph.size != m.out_h
                                         : pb.size != m.batch;
          if (is_last && m_sequences > 0) {
            m_sequence[m_sequences - 1].last = m_count;
          } else {
            m_sequence[m_sequences++] = {m_count, m_count};
          }
          m_kinds[m_count++] = {times, size,
                                expanded_input_ ? static_cast<double>(size * kernel_)
                                                : pb.fetched * ph.fetched * pw.fetched,
                                timing_.m_sums(pb.size, ph.size, pw.size)};
        }
      }
    }
  }
  const auto n_kinds = kinds_of(n.tile, n.tiles, n.last);
  const KKinds k_kinds = k_kinds_of(k.tile, k.tiles, k.last, spills);

  const auto emptying = static_cast<double>(timing_.finish_cycles());
  // Outputs in turn where a buffer holds two tiles: the loop that makes the next output tile.
  const bool outputs_in_turn = k_turns && ahead.output <= 2;
  const bool then_n = n.tiles > 1 && (m.tiles == 1 || at.n > at.m);
  double array_cycles = 0;
  double output_waits = 0, greatest_wait = 0;

  double turns = 0;           // steps in turn, where a buffer holds two tiles
  double load_windows = 0;    // windows of q_load steps
  double output_windows = 0;  // windows of q_output output tiles
  double turns_slack = 0, load_slack = 0, output_slack = 0;
  double runs_slack[3] = {0, 0, 0};
  double runs[3] = {0, 0, 0};  // runs of all steps under one turn of the loops outside position p
  for (const Kind& g : kinds_of(tile_groups, group_axis.count(), group_axis.last())) {
    if (g.times == 0) continue;
    const std::int64_t full = g.size / pack_;
    const std::int64_t rest = g.size % pack_;
    const auto groups = static_cast<double>(g.size);
    thread_local std::array<std::array<std::array<StepKind, 8>, 3>, 2>
        steps;  // those that occur are set
    for (std::size_t in = 0; in < 2; ++in) {
      const Kind& kn = n_kinds[in];
      if (kn.times == 0) continue;
      for (std::size_t ik = 0; ik < k_kinds.size(); ++ik) {
        const KKind& kk = k_kinds[ik];
        if (kk.times == 0) continue;
        const NSums ns = timing_.n_sums(kn.size * pack_);
        const KSums ks = timing_.k_sums(kk.size * pack_);
        const auto channels = static_cast<double>(kk.size);
        const double weight = static_cast<double>(kn.size) * channels * groups *
                              static_cast<double>(kernel_ * setting_.stored_weight) *
                              per_bit[weight_channel];
        const double weight_port =
            weight_port_cycles_per_bit_ > 0
                ? weight_buffer_bits(kn.size, kk.size, g.size) * weight_port_cycles_per_bit_
                : 0.0;
        for (std::size_t im = 0; im < m_count; ++im) {
          const Kind& km = m_kinds[im];
          const MSums& ms = km.sums;
          std::int64_t cycles = full > 0 ? full * timing_.total_cycles(ms, ns, ks) : 0;
          if (rest > 0) {
            cycles += timing_.total_cycles(ms, timing_.n_sums(kn.size * rest),
                                           timing_.k_sums(kk.size * rest));
          }
          const auto array = static_cast<double>(cycles);
          const auto outputs = static_cast<double>(km.size) * static_cast<double>(kn.size) * groups;
          const double input =
              km.elements * channels * groups * setting_.stored_input * per_bit[input_channel];
          const double input_port =
              input_port_cycles_per_bit_ > 0
                  ? input_buffer_bits(km.elements, static_cast<double>(km.size), kk.size, g.size) *
                        input_port_cycles_per_bit_
                  : 0.0;
          const double sums_in =
              outputs * (kk.reads_sums ? sum_bits : initial_bits) * per_bit[kDram];
          const double sums_out = kk.leaves_sums ? outputs * sum_bits * per_bit[kDram] : 0.0;
          const double store =
              kk.leaves_sums ? 0.0 : outputs * output_bits_ * per_bit[output_channel];
          const double post = kk.leaves_sums ? 0.0 : outputs * post_cycles_per_output_;

          StepKind& step = steps[in][ik][im];
          step = StepKind{};
          step.array = array;
          step.mean[static_cast<std::size_t>(input_channel)] += input_share * input;
          step.mean[static_cast<std::size_t>(weight_channel)] += weight_share * weight;
          step.mean[kDram] += output_share * (sums_in + sums_out);
          step.mean[static_cast<std::size_t>(output_channel)] += output_share * store;
          step.mean[kInputPort] = input_share * input_port;
          step.mean[kWeightPort] = weight_share * weight_port;
          step.mean[kPost] = output_share * post;
          step.credit[static_cast<std::size_t>(input_channel)] += q_input * input;
          step.credit[static_cast<std::size_t>(weight_channel)] += q_weight * weight;
          // With two slots the next tile of a stream that stands still over a run comes in that
          // run.
          if (m_turns && ahead.weight <= 2) {
            step.next[static_cast<std::size_t>(weight_channel)] = q_weight * weight;
            step.next[kWeightPort] = q_weight * weight_port;
          }
          if (n_turns && ahead.input <= 2) {
            step.next[static_cast<std::size_t>(input_channel)] = q_input * input;
            step.next[kInputPort] = q_input * input_port;
          }
          step.credit[kDram] += q_output * (sums_in + sums_out);
          step.credit[static_cast<std::size_t>(output_channel)] += q_output * store;
          step.credit[kInputPort] = q_input * input_port;
          step.credit[kWeightPort] = q_weight * weight_port;
          step.credit[kPost] = q_output * post;

          const double times = g.times * kn.times * kk.times * km.times;
          // Two slots: the next tile comes and the last output leaves while the step runs.
          if (!n_turns && ahead.input <= 2) {
            step.comes[static_cast<std::size_t>(input_channel)] += input;
            step.comes[kInputPort] = input_port;
          }
          if (!m_turns && ahead.weight <= 2) {
            step.comes[static_cast<std::size_t>(weight_channel)] += weight;
            step.comes[kWeightPort] = weight_port;
          }
          if (!k_turns && ahead.output <= 2) {
            step.comes[kDram] += sums_in;
            step.leaves[kDram] += sums_out;
            step.leaves[static_cast<std::size_t>(output_channel)] += store;
            step.leaves[kPost] = post;
          }
          turns_slack = std::max(turns_slack, longest(step.comes, step.leaves));
          // A slot that a step leaves is asked for, filled after the memory's latency, and used.
          double fetch = 0;
          const auto fetched = [&](int channel, double transfer, double port) {
            // The last request goes through the port after all others have.
            const double request = request_bits * per_bit[channel];
            const double tail = port * (transfer > request ? request / transfer : 1.0);
            return access[channel] + std::max(transfer + tail, port);
          };
          if (!n_turns) fetch = fetched(input_channel, input, input_port);
          if (!m_turns) fetch = std::max(fetch, fetched(weight_channel, weight, weight_port));
          const double load_window = array + std::max((q_load - 1) * array, fetch);
          load_windows += times * load_window / q_load;
          load_slack = std::max(load_slack, load_window);
          step.leaving = emptying + post + store + sums_out;
        }
      }
    }
    // Along the innermost loop tiles follow each other as they are.
    if (k_turns) {
      for (std::size_t in = 0; in < 2; ++in) {
        for (std::size_t im = 0; im < m_count; ++im) {
          turns +=
              g.times * n_kinds[in].times * m_kinds[im].times *
              turn_cycles(steps[in][0][im], k_kinds[0].times, steps[in][1][im], k_kinds[1].times);
        }
      }
    } else {
      for (std::size_t ik = 0; ik < k_kinds.size(); ++ik) {
        const double outer = g.times * k_kinds[ik].times;
        if (outer == 0) continue;
        if (n_turns) {
          for (std::size_t im = 0; im < m_count; ++im) {
            turns +=
                outer * m_kinds[im].times *
                turn_cycles(steps[0][ik][im], n_kinds[0].times, steps[1][ik][im], n_kinds[1].times);
          }
          continue;
        }
        for (std::size_t in = 0; in < 2; ++in) {
          const auto& tiles = steps[in][ik];
          const double times = outer * n_kinds[in].times;
          if (times == 0) continue;
          for (std::size_t q = 0; q < m_sequences; ++q) {
            const auto [full_kind, last_kind] = m_sequence[q];
            const bool alike = full_kind == last_kind;
            turns += times * turn_cycles(tiles[full_kind], m_kinds[full_kind].times,
                                         alike ? StepKind{} : tiles[last_kind],
                                         alike ? 0.0 : m_kinds[last_kind].times);
          }
        }
      }
    }
    // A slot of the output buffer is used again when its tile has been post-processed and has left.
    for (std::size_t in = 0; in < 2; ++in) {
      for (std::size_t im = 0; im < m_count; ++im) {
        double array = 0;
        double leaving = 0;
        for (std::size_t ik = 0; ik < k_kinds.size(); ++ik) {
          if (n_kinds[in].times == 0 || k_kinds[ik].times == 0) continue;
          const StepKind& step = steps[in][ik][im];
          array = k_turns ? array + k_kinds[ik].times * step.array : step.array;
          leaving = step.leaving;
          if (k_turns) continue;
          const double window = array + std::max((q_output - 1) * array, leaving);
          output_windows += g.times * n_kinds[in].times * k_kinds[ik].times * m_kinds[im].times *
                            window / q_output;
          output_slack = std::max(output_slack, window);
        }
        if (!k_turns) continue;
        const double window = array + std::max((q_output - 1) * array, leaving);
        output_windows += g.times * n_kinds[in].times * m_kinds[im].times * window / q_output;
        output_slack = std::max(output_slack, window);
      }
    }
    // The tile after a short one at a border waits until the long one before that has left.
    if (outputs_in_turn) {
      const auto run_of = [&](std::size_t in, std::size_t im) {
        double cycles = 0;
        for (std::size_t ik = 0; ik < k_kinds.size(); ++ik) {
          if (k_kinds[ik].times > 0) cycles += k_kinds[ik].times * steps[in][ik][im].array;
        }
        return cycles;
      };
      const std::size_t last_k = k_kinds[1].times > 0 ? 1 : 0;
      const auto wait = [&](double times, double leaving, double short_run) {
        const double waits = std::max(0.0, leaving - short_run);
        output_waits += times * waits;
        greatest_wait = std::max(greatest_wait, waits);
      };
      for (std::size_t in = 0; in < 2; ++in) {
        if (n_kinds[in].times == 0) continue;
        for (std::size_t im = 0; im < m_count; ++im) {
          array_cycles += g.times * n_kinds[in].times * m_kinds[im].times * run_of(in, im);
        }
        if (then_n) continue;
        for (std::size_t q = 0; q < m_sequences; ++q) {
          const auto [full_kind, last_kind] = m_sequence[q];
          if (full_kind == last_kind) continue;
          wait(g.times * n_kinds[in].times * m_kinds[last_kind].times,
               steps[in][last_k][full_kind].leaving, run_of(in, last_kind));
        }
      }
      if (then_n && n_kinds[1].times > 0) {
        for (std::size_t im = 0; im < m_count; ++im) {
          wait(g.times * m_kinds[im].times, steps[0][last_k][im].leaving, run_of(1, im));
        }
      }
    }
    // Runs: what all steps of a run move can not be done outside it but for what its buffers hold.
    // A block of like runs that follow each other hands that on, so it counts once a block.
    for (int p = only_groups ? 0 : innermost; p >= 0; --p) {
      const bool innermost_runs = p == innermost;
      struct Run {
        double times = 0, block = 1, array = 0;
        Times moved{}, credit{}, next{};
      };
      thread_local std::array<Run, 48> by_key;
      std::array<bool, 48> occurs{};
      for (std::size_t in = 0; in < 2; ++in) {
        if (n_kinds[in].times == 0) continue;
        for (std::size_t ik = 0; ik < k_kinds.size(); ++ik) {
          if (k_kinds[ik].times == 0) continue;
          for (std::size_t im = 0; im < m_count; ++im) {
            const StepKind& step = steps[in][ik][im];
            double run_times = g.times;
            double step_times = 1;
            double block =
                g.times;  // like runs in a row: those of the nearest loop outside that turns
            int nearest = -1;
            std::size_t key = 0;
            const auto place = [&](int position, std::int64_t tiles, double times, double in_a_row,
                                   std::size_t index, std::size_t stride) {
              if (position >= p) {
                step_times *= times;
                return;
              }
              run_times *= times;
              key += index * stride;
              if (tiles > 1 && position > nearest) {
                nearest = position;
                block = in_a_row;
              }
            };
            place(at.n, n.tiles, n_kinds[in].times, n_kinds[in].times, in, 1);
            place(at.k, k.tiles, k_kinds[ik].times, k_kinds[ik].times, ik, 2);
            place(at.m, m.tiles, m_kinds[im].times, m_count == 1 ? m_kinds[im].times : 1.0, im, 6);
            Run& run = by_key[key];
            if (!occurs[key]) run = Run{};
            occurs[key] = true;
            run.times = run_times;
            run.block = block;
            run.array += step_times * step.array;
            for (std::size_t r = 0; r < kResources; ++r) {
              run.moved[r] += step_times * step.mean[r];
              run.credit[r] = std::max(run.credit[r], step.credit[r]);
              run.next[r] = std::max(run.next[r], step.next[r]);
            }
          }
        }
      }
      double greatest_next = 0;
      for (std::size_t key = 0; key < by_key.size(); ++key) {
        if (!occurs[key]) continue;
        const Run& run = by_key[key];
        double time = run.array;
        for (std::size_t r = 0; r < kResources; ++r) {
          const double next = innermost_runs ? run.next[r] : 0.0;
          time = std::max(time, run.moved[r] - (run.credit[r] - next) / run.block);
          greatest_next = std::max(greatest_next, next);
        }
        runs[p] += run.times * time;
      }
      // The last run has no next.
      runs_slack[p] = std::max(runs_slack[p], greatest_next);
    }
  }
  // Windows and turns at the two ends of the layer are not whole.
  double bound =
      std::max({turns - turns_slack, load_windows - load_slack, output_windows - output_slack});
  if (outputs_in_turn) bound = std::max(bound, array_cycles + output_waits - greatest_wait);
  for (int p = 0; p < 3; ++p) bound = std::max(bound, runs[p] - runs_slack[p]);
  return bound;
}

}  // namespace widthwise
