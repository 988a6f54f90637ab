// The steps of a layer in order, each as early as no schedule of the transfers can beat: a lower
// bound on the latency that follows every slot of the buffers.
//
// A memory channel serves the transfers that may start, the most urgent first; one that becomes
// possible interrupts a less urgent one at once. For every urgency the work at least as urgent is
// then done as early as it can be, whatever the order (a single server that never idles): in a
// simulation with requests of finite size no step begins earlier. All times are maxima of sums of
// times that narrower operands, more bandwidth and more slots make shorter or leave as they are, so
// the latency follows them without exception.
//
// Ignored: requests that are under way when a more urgent one comes (errs low, by a request or two
// where a step waits for memory), and the burst that a tile shares with its neighbour (errs low, by
// less than a burst per tile).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace widthwise::replay {

/// What moves, in order of urgency for the same step.
enum Flow { kWeightIn, kInputIn, kSumsIn, kSumsOut, kOutput, kFlows };
inline constexpr int kLoads = 3;
inline constexpr int kChannels = 2;
inline constexpr int kLevels = 6;
inline constexpr double kForever = std::numeric_limits<double>::infinity();

/// Iterations of each loop, outermost first.
struct Index {
  std::array<std::int64_t, kLevels> at{};
  unsigned last = 0;  // which loops are at their last iteration, one bit each
};

/// Loops over steps and what holds for all of them.
struct Nest {
  int levels = 0;
  std::array<std::int64_t, kLevels> counts{};
  /// Iterations of a loop are alike but for the first and the last so many.
  std::array<std::int64_t, kLevels> special_first{}, special_last{};
  std::array<int, kFlows> channel{};
  std::array<bool, kFlows> used{};
  /// Tiles of a flow change with the loop at this level and with those outside it; -1: never.
  std::array<int, kFlows> level{};
  std::array<std::int64_t, kFlows> slots{};  // of the flow's buffer
  int sums_level = -1;                       // loop over which partial sums travel and come back
  std::int64_t sums_distance = 0;            // output tiles until they do
  std::array<double, kChannels> access{};    // cycles from the end of a transfer to its arrival
  double start = 0, finish = 0, preload = 0, post_depth = 0;
  double emptying = 0;                   // from the end of a step to its last result
  double array = 0;                      // cycles of all steps, start and finish included
  std::array<double, kChannels> work{};  // cycles of all bits that a channel moves
  std::array<double, kLoads> port{};     // and that a buffer's port does
  std::array<double, kChannels> unit{};  // a tile moves less than this less than its bits
  double after = 0;          // that the last store leaves later than the last step, at least
  double enough = kForever;  // what takes longer need not be played to its end
  bool whole_cycles = true;  // steps begin on whole cycles
};

struct Load {
  double time = 0;   // on the channel
  double port = 0;   // of the buffer
  double tail = 0;   // of the port, after the last of it has arrived
  double first = 0;  // on the channel, until the port has something to do
};

struct Store {
  bool complete = true;  // goes through post-processing
  double post = 0;
  double time = 0;
};

/// `Layer` has load(Flow, Index, first) -> Load; store(Index, first) -> Store, `first` = of its
/// kind; cycles(Index) -> double, all of the tile at an index of the loops.
template <class Layer>
class Replay {
 public:
  /// Cycles from the first request to the last store; or, if that is longer than enough, what it
  /// takes at least.
  double run(const Nest& nest, const Layer& layer);

 private:
  static constexpr std::int64_t kRing = 128;     // more than tiles that a buffer holds
  static constexpr std::int64_t kFewSteps = 64;  // fewer are all played
  static constexpr double kRounding = 1e-3;      // cycles, so that what is given up is longer
  static constexpr double kAlike = 1e-8;         // cycles, for sums in another order
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max() / 4;

  struct Queue {
    std::int64_t head = 0;      // the one being served
    std::int64_t known = 0;     // those before have arrived or will at a known time
    std::int64_t due = kNever;  // urgency of the head
    double arrival = 0;         // of the head
    double left = 0;            // of the head
    std::int64_t total = 0;
    std::int64_t span = 1;   // steps that use a tile
    std::int64_t used = 0;   // tiles that all their steps have used
    std::int64_t until = 0;  // steps that have used the one after these
    Index index;             // of the head, loads only
    std::array<double, kRing> arrivals{}, times{}, done{};
    std::array<std::int64_t, kRing> dues{};
    std::array<double, kRing> earliest{};  // loads: not in the buffer before
    std::array<double, kRing> tails{};
    double port_free = 0;
    double port_gaps = 0;  // time that passed without anything for the port
    double requests = 0;   // on the channel, until the port has something to do
  };

  void advance(Index& index, int level) const {
    for (int l = level; l >= 0; --l) {
      const auto loop = static_cast<std::size_t>(l);
      const unsigned bit = 1U << static_cast<unsigned>(l);
      const std::int64_t at = ++index.at[loop];
      if (at < nest_->counts[loop]) {
        if (at + 1 == nest_->counts[loop]) index.last |= bit;
        return;
      }
      index.at[loop] = 0;
      index.last &= ~bit;
    }
  }
  void advance_by(Index& index, int level, std::int64_t iterations) const {
    const auto loop = static_cast<std::size_t>(level);
    index.at[loop] += iterations;
    if (index.at[loop] + 1 == nest_->counts[loop]) index.last |= 1U << static_cast<unsigned>(level);
  }
  /// The state between two steps, relative to that time and step.
  struct State {
    std::int64_t step = -1;
    double time = 0, array_left = 0;
    std::size_t size = 0;
    std::array<double, 64> values;  // so many of them
    bool complete = false;          // everything fitted
  };
  void state_at(int level, std::int64_t step, State& state) const;
  [[nodiscard]] std::int64_t repetitions(int level, std::int64_t period, std::int64_t end) const;
  void skip(int level, std::int64_t iterations, std::int64_t steps);
  void release_sums(std::int64_t stored);
  [[nodiscard]] double first_operands();
  void serve(int channel, double until, std::int64_t due);
  void take_head(int flow);
  void release(int flow, double at);
  void push(int flow, double arrival, double time, std::int64_t due);

  const Nest* nest_ = nullptr;
  const Layer* layer_ = nullptr;
  std::array<Queue, kFlows> queues_;
  std::array<double, kChannels> clock_{};
  std::array<double, kChannels> unused_{};                  // time that passed without work
  std::array<double, kChannels> work_{};                    // all there is to do, at least
  std::array<std::array<int, kFlows>, kChannels> flows_{};  // that move on each channel
  std::array<int, kChannels> flow_count_{};
  Index index_;        // of the step that comes
  double idle_ = 0;    // since when the array is
  double before_ = 0;  // cycles of the step before
  double post_free_ = 0;
  double all_left_ = 0;                  // when the output tiles so far had left
  double array_left_ = 0;                // cycles of the steps to come, and what comes after them
  std::array<double, kRing> stored_{};   // when an output tile had left
  std::array<double, kRing> left_by_{};  // and those before it
  std::array<State, kLevels> seen_;      // at the last iteration of a loop that was looked at
  State now_;
  double skipped_ = 0;  // time that passed in steps that were not played
};

/// What the steps to come depend on.
template <class Layer>
void Replay<Layer>::state_at(int level, std::int64_t step, State& state) const {
  state.size = 0;
  state.step = step;
  state.time = idle_ + skipped_;
  state.array_left = array_left_;
  state.complete = true;
  const auto add = [&](double value) {
    if (state.size < state.values.size()) {
      state.values[state.size++] = value;
    } else {
      state.complete = false;
    }
  };
  const auto ahead = [&](double time) { return std::max(0.0, time - idle_); };
  add(before_);
  add(ahead(post_free_));
  add(ahead(all_left_));
  for (int f = 0; f < kFlows; ++f) {
    const Queue& queue = queues_[static_cast<std::size_t>(f)];
    if (queue.total == 0) continue;
    const auto at = [&](const std::array<double, kRing>& ring, std::int64_t tile) {
      return ring[static_cast<std::size_t>(tile & (kRing - 1))];
    };
    const std::int64_t pending = queue.known - queue.head;
    add(static_cast<double>(pending));
    if (pending > 0) add(queue.left);
    if (f < kLoads) {
      const bool moves = nest_->level[static_cast<std::size_t>(f)] >= level;
      add(static_cast<double>(moves ? queue.known - queue.used : queue.known));
      add(ahead(queue.port_free));
      const double access =
          nest_->access[static_cast<std::size_t>(nest_->channel[static_cast<std::size_t>(f)])] +
          nest_->preload;
      for (std::int64_t tile = queue.known - 1; tile >= queue.used; --tile) {
        const double time = ahead(at(queue.earliest, tile) + nest_->preload);
        if (time <= 0) break;
        add(time);
      }
      for (std::int64_t tile = queue.head - 1; tile >= queue.used; --tile) {
        const double time = ahead(at(queue.done, tile) + access);
        if (time <= 0) break;
        add(time);
      }
      if (f != kSumsIn) continue;
    }
    for (std::int64_t tile = queue.head; tile < queue.known && state.complete; ++tile) {
      add(ahead(at(queue.arrivals, tile)));
      if (f < kLoads) continue;
      add(at(queue.times, tile));
      add(static_cast<double>(queue.dues[static_cast<std::size_t>(tile & (kRing - 1))] - 2 * step));
    }
  }
}

/// How often `period` more steps can be left out before a tile is asked for that is not alike, or a
/// store becomes less urgent than a load that has been waiting.
template <class Layer>
std::int64_t Replay<Layer>::repetitions(int level, std::int64_t period, std::int64_t end) const {
  std::int64_t times = std::numeric_limits<std::int64_t>::max();
  bool waits = false;
  for (int f = 0; f < kLoads; ++f) {
    const Queue& queue = queues_[static_cast<std::size_t>(f)];
    if (queue.total == 0) continue;
    if (nest_->level[static_cast<std::size_t>(f)] < level) {
      waits = waits || queue.head < queue.known;
    } else {
      times = std::min(times, (end - queue.known * queue.span) / period);
    }
  }
  const Queue& output = queues_[kOutput];
  if (waits && nest_->level[kOutput] >= level) {
    times = std::min(times, (end - (output.used + nest_->slots[kOutput]) * output.span) / period);
  }
  return times == std::numeric_limits<std::int64_t>::max() ? 0 : times;
}

/// As if `steps` more steps, `iterations` of a loop, had been played.
template <class Layer>
void Replay<Layer>::skip(int level, std::int64_t iterations, std::int64_t steps) {
  advance_by(index_, level, iterations);
  for (int f = 0; f < kFlows; ++f) {
    Queue& queue = queues_[static_cast<std::size_t>(f)];
    if (nest_->level[static_cast<std::size_t>(f)] < level) {
      queue.until += steps;
      continue;
    }
    const std::int64_t tiles = steps / queue.span;
    queue.used += tiles;
    if (queue.total == 0) continue;
    if (queue.due < kNever) queue.due += 2 * steps;
    if (f >= kLoads) {
      for (std::int64_t tile = queue.head; tile < queue.known; ++tile) {
        queue.dues[static_cast<std::size_t>(tile & (kRing - 1))] += 2 * steps;
      }
      continue;
    }
    const std::int64_t first = queue.used - tiles;
    const auto move = [&](auto& ring, auto more) {
      std::array<std::decay_t<decltype(ring[0])>, kRing> live;
      for (std::int64_t tile = first; tile < queue.known; ++tile) {
        live[static_cast<std::size_t>(tile - first)] =
            ring[static_cast<std::size_t>(tile & (kRing - 1))] + more;
      }
      for (std::int64_t tile = first; tile < queue.known; ++tile) {
        ring[static_cast<std::size_t>((tile + tiles) & (kRing - 1))] =
            live[static_cast<std::size_t>(tile - first)];
      }
    };
    move(queue.arrivals, 0.0);
    move(queue.times, 0.0);
    move(queue.done, 0.0);
    move(queue.earliest, 0.0);
    move(queue.tails, 0.0);
    move(queue.dues, 2 * steps);
    queue.head += tiles;
    queue.known += tiles;
    advance_by(queue.index, level, iterations);
  }
  // All room there is has been asked for.
  left_by_.fill(all_left_);
}

template <class Layer>
void Replay<Layer>::take_head(int flow) {
  Queue& queue = queues_[static_cast<std::size_t>(flow)];
  if (queue.head >= queue.known) {
    queue.due = kNever;
    return;
  }
  const auto slot = static_cast<std::size_t>(queue.head & (kRing - 1));
  queue.arrival = queue.arrivals[slot];
  queue.left = queue.times[slot];
  queue.due = queue.dues[slot];
}

template <class Layer>
void Replay<Layer>::push(int flow, double arrival, double time, std::int64_t due) {
  Queue& queue = queues_[static_cast<std::size_t>(flow)];
  const auto slot = static_cast<std::size_t>(queue.known & (kRing - 1));
  queue.arrivals[slot] = arrival;
  queue.times[slot] = time;
  queue.dues[slot] = due;
  ++queue.known;
  if (queue.known == queue.head + 1) take_head(flow);
}

template <class Layer>
void Replay<Layer>::release(int flow, double at) {
  Queue& queue = queues_[static_cast<std::size_t>(flow)];
  if (queue.known >= queue.total) return;
  const std::int64_t fill = queue.known;
  const Load load = layer_->load(static_cast<Flow>(flow), queue.index, fill == 0);
  const auto slot = static_cast<std::size_t>(fill & (kRing - 1));
  const double access =
      nest_->access[static_cast<std::size_t>(nest_->channel[static_cast<std::size_t>(flow)])];
  if (load.time > 0) {
    if (load.port > 0) queue.port_gaps += std::max(0.0, at + access - queue.port_free);
    queue.port_free = std::max(queue.port_free, at + access) + load.port;
    queue.earliest[slot] = queue.port_free;
  } else {
    queue.earliest[slot] = at;
  }
  queue.tails[slot] = load.tail;
  if (fill == 0) queue.requests = load.first;
  push(flow, at, load.time, 2 * fill * queue.span);
  advance(queue.index, nest_->level[static_cast<std::size_t>(flow)]);
}

/// Sums may be asked for when there is room and they have left; `stored` is the last output tile
/// whose time to leave is known.
template <class Layer>
void Replay<Layer>::release_sums(std::int64_t stored) {
  const Queue& queue = queues_[kSumsIn];
  while (queue.known < queue.total) {
    const std::int64_t room = queue.known - nest_->slots[kOutput];
    const bool come_back =
        nest_->sums_level >= 0 && queue.index.at[static_cast<std::size_t>(nest_->sums_level)] > 0;
    const std::int64_t same = queue.known - nest_->sums_distance;
    if (room > stored || (come_back && same > stored)) return;
    double at = 0;
    if (room >= 0) at = left_by_[static_cast<std::size_t>(room & (kRing - 1))];
    if (come_back && same > room) {
      at = std::max(at, stored_[static_cast<std::size_t>(same & (kRing - 1))]);
    }
    release(kSumsIn, at);
  }
}

/// When the operands of the first step are there. Nothing interrupts them; of equal urgency inputs
/// come first, then weights, then sums. The port of a buffer has nothing to do before a request.
template <class Layer>
double Replay<Layer>::first_operands() {
  std::array<double, kChannels> served{};
  double there = 0;
  for (const int f : {kInputIn, kWeightIn, kSumsIn}) {
    Queue& queue = queues_[static_cast<std::size_t>(f)];
    if (queue.total == 0 || queue.times[0] <= 0) continue;
    const auto channel = static_cast<std::size_t>(nest_->channel[static_cast<std::size_t>(f)]);
    const double late = served[channel] + queue.requests;
    for (std::int64_t tile = 0; tile < queue.known; ++tile) {
      queue.earliest[static_cast<std::size_t>(tile)] += late;
    }
    queue.port_free += late;
    queue.port_gaps += late;
    served[channel] += queue.times[0];
    there = std::max(there, served[channel] + nest_->access[channel] + queue.tails[0]);
  }
  return there;
}

/// Serves until a time, or, if that is forever, until nothing is left as urgent as `due`.
template <class Layer>
void Replay<Layer>::serve(int channel, double until, std::int64_t due) {
  double& clock = clock_[static_cast<std::size_t>(channel)];
  const auto& flows = flows_[static_cast<std::size_t>(channel)];
  const int count = flow_count_[static_cast<std::size_t>(channel)];
  while (true) {
    int best = -1;
    std::int64_t best_due = kNever + 1;
    double coming = kForever;
    bool wanted = until < kForever;
    for (int order = 0; order < count; ++order) {
      const int f = flows[static_cast<std::size_t>(order)];
      const Queue& queue = queues_[static_cast<std::size_t>(f)];
      if (queue.head >= queue.known) continue;
      if (queue.due <= due) wanted = true;
      if (queue.arrival > clock) {
        coming = std::min(coming, queue.arrival);
      } else if (queue.due < best_due) {
        best = f;
        best_due = queue.due;
      }
    }
    if (!wanted) return;
    if (best < 0) {
      const double then = std::min(coming, until);
      if (then == kForever) return;
      if (then > clock) {
        unused_[static_cast<std::size_t>(channel)] += then - clock;
        clock = then;
      }
      if (then == until) return;
      continue;
    }
    Queue& queue = queues_[static_cast<std::size_t>(best)];
    const double end = clock + queue.left;
    const double limit = std::min(until, coming);
    if (end <= limit) {
      clock = end;
      queue.done[static_cast<std::size_t>(queue.head & (kRing - 1))] = end;
      ++queue.head;
      take_head(best);
      continue;
    }
    if (limit > clock) {
      queue.left -= limit - clock;
      clock = limit;
    }
    if (limit == until) return;
  }
}

template <class Layer>
double Replay<Layer>::run(const Nest& nest, const Layer& layer) {
  nest_ = &nest;
  layer_ = &layer;
  clock_ = unused_ = {};
  work_ = nest_->work;
  flow_count_ = {};
  std::int64_t steps = 1;
  for (int l = 0; l < nest_->levels; ++l) steps *= nest_->counts[static_cast<std::size_t>(l)];
  for (int f = 0; f < kFlows; ++f) {
    Queue& queue = queues_[static_cast<std::size_t>(f)];
    const int level = nest_->level[static_cast<std::size_t>(f)];
    queue.head = queue.known = 0;
    queue.due = kNever;
    queue.index = Index{};
    queue.port_free = queue.port_gaps = queue.requests = 0;
    queue.span = 1;
    for (int l = level + 1; l < nest_->levels; ++l) {
      queue.span *= nest_->counts[static_cast<std::size_t>(l)];
    }
    queue.total = nest_->used[static_cast<std::size_t>(f)] ? steps / queue.span : 0;
    queue.until = queue.used = 0;
    if (queue.total == 0) continue;
    const auto channel = static_cast<std::size_t>(nest_->channel[static_cast<std::size_t>(f)]);
    flows_[channel][static_cast<std::size_t>(flow_count_[channel]++)] = f;
    work_[channel] -= static_cast<double>(queue.total) * nest_->unit[channel];
  }
  const std::int64_t out_span = queues_[kOutput].span;
  const std::int64_t out_slots = nest_->slots[kOutput];
  const bool sums = nest_->used[kSumsIn];
  const std::int64_t distance = nest_->sums_distance > 0 ? nest_->sums_distance : kNever;
  for (const int f : {kWeightIn, kInputIn}) {
    for (std::int64_t i = 0; i < nest_->slots[static_cast<std::size_t>(f)]; ++i) release(f, 0);
  }
  if (sums) release_sums(-1);
  bool first_complete = true, first_sums = true;

  index_ = Index{};
  idle_ = before_ = post_free_ = all_left_ = skipped_ = 0;
  array_left_ = nest_->array + nest_->after;
  // Where iterations of a loop are alike, the state between them is compared every so many.
  std::array<std::int64_t, kLevels> inside{}, stride{};
  const double enough = nest_->enough + kRounding;
  for (State& state : seen_) state.step = -1;
  if (steps > kFewSteps && distance == kNever) {
    std::int64_t inner = 1;
    for (int l = nest_->levels - 1; l >= 0; --l) {
      const auto level = static_cast<std::size_t>(l);
      inside[level] = inner;
      std::int64_t every = 1;  // a power of two
      while (every * inner < kFewSteps / 8) every *= 2;
      const std::int64_t alike =
          nest_->counts[level] - nest_->special_first[level] - nest_->special_last[level];
      if (alike >= 3 * every) stride[level] = every;
      inner *= nest_->counts[level];
    }
  }
  for (std::int64_t i = 0; i < steps; ++i) {
    for (int c = 0; c < kChannels; ++c) {
      if (flow_count_[static_cast<std::size_t>(c)] > 0) serve(c, kForever, 2 * i + 1);
    }
    double begin = std::max({idle_, clock_[0], clock_[1]});
    if (i == 0) begin = std::max(begin, first_operands());
    const auto needs = [&](int f, double extra) {
      const Queue& queue = queues_[static_cast<std::size_t>(f)];
      if (queue.total == 0 || queue.until > 0) return;
      const auto slot = static_cast<std::size_t>(queue.used & (kRing - 1));
      if (queue.times[slot] <= 0) return;
      // Of all that is as urgent this tile comes last, or else the step before had to wait as well.
      const double after =
          nest_->access[static_cast<std::size_t>(nest_->channel[static_cast<std::size_t>(f)])] +
          extra;
      if (i > 0) begin = std::max(begin, queue.done[slot] + std::min(after, before_));
      begin = std::max(begin, queue.earliest[slot] + extra);
    };
    needs(kWeightIn, i > 0 ? nest_->preload : 0.0);
    needs(kInputIn, 0);
    needs(kSumsIn, 0);
    if (nest_->whole_cycles || i == 0) begin = std::ceil(begin - 1e-6);
    if (skipped_ + begin + array_left_ > enough) return skipped_ + begin + array_left_;
    for (std::size_t c = 0; c < kChannels; ++c) {
      if (unused_[c] + work_[c] > enough) {
        return unused_[c] + work_[c];
      }
    }
    for (const int f : {kWeightIn, kInputIn}) {
      const double port = nest_->port[static_cast<std::size_t>(f)];
      const double least = queues_[static_cast<std::size_t>(f)].port_gaps + port + nest_->after;
      if (port > 0 && least > enough) return least;
    }
    before_ = layer_->cycles(index_);
    if (i == 0) before_ += nest_->start;
    const bool last = i + 1 == steps;
    if (last) before_ += nest_->finish;
    idle_ = begin + before_;
    array_left_ -= before_;
    for (int c = 0; c < kChannels; ++c) {
      if (flow_count_[static_cast<std::size_t>(c)] > 0) serve(c, idle_, -1);
    }
    for (Queue& queue : queues_) {
      if (++queue.until < queue.span) continue;
      queue.until = 0;
      ++queue.used;
    }
    if (queues_[kOutput].until == 0) {
      const std::int64_t fill = queues_[kOutput].used - 1;
      Store store = layer_->store(index_, false);
      bool& first = store.complete ? first_complete : first_sums;
      if (first) store = layer_->store(index_, true);
      first = false;
      double arrival = last ? idle_ : idle_ + nest_->emptying;
      if (store.complete) {
        post_free_ = std::max(post_free_, arrival) + store.post + (last ? nest_->post_depth : 0.0);
        arrival = post_free_;
      }
      std::int64_t again = fill + out_slots;
      if (!store.complete) again = std::min(again, fill + distance);
      push(store.complete ? kOutput : kSumsOut, arrival, store.time, 2 * again * out_span + 1);
      const auto slot = static_cast<std::size_t>(fill & (kRing - 1));
      const double left = arrival + store.time;
      stored_[slot] = left;
      left_by_[slot] = all_left_ = std::max(all_left_, left);
      if (sums) release_sums(fill);
    }
    for (const int f : {kWeightIn, kInputIn}) {
      if (queues_[static_cast<std::size_t>(f)].until == 0) release(f, idle_);
    }
    advance(index_, nest_->levels - 1);
    for (int l = nest_->levels - 1; l >= 0; --l) {
      const auto level = static_cast<std::size_t>(l);
      const std::int64_t at = index_.at[level] - nest_->special_first[level];
      const std::int64_t alike_left =
          nest_->counts[level] - nest_->special_last[level] - index_.at[level];
      if (stride[level] > 0 && at >= 0 && alike_left >= 0 && (at & (stride[level] - 1)) == 0) {
        const std::int64_t period = stride[level] * inside[level];
        State& state = now_;
        state_at(l, i + 1, state);
        State& before = seen_[level];
        const auto alike = [](double a, double b) { return std::abs(a - b) <= kAlike; };
        if (at > 0 && before.step == i + 1 - period && state.complete && before.complete &&
            state.size == before.size &&
            std::equal(state.values.begin(), state.values.begin() + state.size,
                       before.values.begin(), alike)) {
          const std::int64_t times = repetitions(l, period, i + 1 + alike_left * inside[level]);
          if (times > 0) {
            skip(l, times * stride[level], times * period);
            i += times * period;
            skipped_ += static_cast<double>(times) * (state.time - before.time);
            array_left_ += static_cast<double>(times) * (state.array_left - before.array_left);
          }
        } else {
          before.step = state.step;
          before.time = state.time;
          before.array_left = state.array_left;
          before.size = state.size;
          before.complete = state.complete;
          std::copy_n(state.values.begin(), state.size, before.values.begin());
        }
      }
      if (index_.at[level] != 0) break;
    }
  }
  double end = std::max(idle_, post_free_);
  for (int c = 0; c < kChannels; ++c) {
    serve(c, kForever, kNever);
    end = std::max(end, clock_[static_cast<std::size_t>(c)]);
  }
  return end + skipped_;
}

}  // namespace widthwise::replay
