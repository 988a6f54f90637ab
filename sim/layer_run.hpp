// One run of a layer: its steps, the transfers they need and how far each has come. Plain data
// shared by the modules; nothing here knows time or SystemC.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "models/cost/plan.hpp"
#include "sim/listener.hpp"

namespace widthwise::sim {

/// The three on-chip buffers as the double-buffering sees them.
enum class Bank { input, weight, output };
inline constexpr int kBanks = 3;
inline constexpr int kHomes = 2;

/// A tile on its way between a memory and a buffer.
struct Transfer {
  Stream stream = Stream::input;
  std::int64_t fill = 0;                      // number of the tile among those of its buffer
  std::int64_t deadline = 0;                  // step that needs it
  std::int64_t begin_byte = 0, end_byte = 0;  // in its tensor's stream, whole bursts
  std::int64_t bits = 0;
  std::int64_t buffer_bits = 0;
  std::int64_t issued = 0;  // bytes asked for
  std::int64_t arrived = 0;
  Ticks started = -1;
};

struct StepRecord {
  Step step;
  StepCost cost;
  std::int64_t input_fill = 0, weight_fill = 0, output_fill = 0;
  bool new_weight = false;  // the first step with this weight tile
  bool releases_input = false, releases_weight = false;
  bool loads_sums = false, starts_output = false, ends_output = false, completes_output = false;
  Ticks post_work = 0;  // time of post-processing, if the output tile is complete
};

/// Loads wait in order per stream, stores in order per home.
class LayerRun {
 public:
  /// `first` = first of several repeats (weights that stay are loaded then).
  LayerRun(const LayerPlan& plan, const Accelerator& accelerator, bool first);

  std::vector<StepRecord> steps;

  struct Queue {
    std::deque<Transfer> transfers;  // references stay valid while more are appended
    std::size_t next = 0;            // the one being issued
  };
  std::array<std::array<Queue, kStreams>, kHomes> queues;

  struct BankState {
    std::int64_t slots = 2;            // tiles held at once
    std::int64_t released = 0;         // tiles that have left the buffer
    std::vector<std::int8_t> missing;  // per tile: transfers still to arrive
    std::vector<Ticks> ready_at;
  };
  std::array<BankState, kBanks> banks;

  std::int64_t output_fills = 0;
  std::vector<std::int64_t> output_deadline;  // step that needs the slot of output tile j, or
                                              // its partial sums, again
  std::vector<std::int64_t> output_before;    // occurrence of the same partial sums before, or -1
  std::vector<std::int8_t> stored;            // per output tile: it has left
  std::int64_t stores_left = 0;

  [[nodiscard]] bool ready(Bank bank, std::int64_t fill) const {
    return banks[static_cast<std::size_t>(bank)].missing[static_cast<std::size_t>(fill)] == 0;
  }
  /// Room for tile `fill` in its buffer, and nothing else in its way.
  [[nodiscard]] bool may_load(const Transfer& transfer) const;

  /// Adds the store of output tile `fill` with its bits.
  void push_store(std::int64_t fill, std::int64_t bits, bool complete);

  /// The home that a stream uses.
  [[nodiscard]] Home home(Stream stream) const {
    return stream_home_[static_cast<std::size_t>(stream)];
  }

 private:
  void push_load(Stream stream, Home home, std::int64_t fill, std::int64_t step, std::int64_t bits,
                 std::int64_t buffer_bits);
  void place(Transfer& transfer, Home home);
  void from_engine(const LayerPlan& plan, const Accelerator& accelerator, bool first);
  void from_vector(const LayerPlan& plan, const Accelerator& accelerator);

  std::array<Home, kStreams> stream_home_{};
  std::array<std::array<std::int64_t, kStreams>, kHomes> position_bits_{};
  std::int64_t burst_ = 1;
};

Bank bank_of(Stream stream);

}  // namespace widthwise::sim
