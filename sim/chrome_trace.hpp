// A timeline in Chrome's trace event format (opens in Perfetto and chrome://tracing): one track per
// unit of the machine, one slice per step, wait, transfer and post-processed tile. Times are in
// microseconds of the accelerator's clock.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "sim/listener.hpp"

namespace widthwise::sim {

class ChromeTrace : public Listener {
 public:
  explicit ChromeTrace(Hertz clock) : clock_(clock) {}

  void layer_begins(std::size_t index, const LayerPlan& plan, std::int64_t weight,
                    Ticks at) override;
  void layer_ends(std::size_t index, const LayerPlan& plan, Ticks at) override;
  void array_waits(Wait cause, Ticks from, Ticks to) override;
  void array_runs(const StepCost& cost, std::int64_t start_up, std::int64_t emptying, Ticks from,
                  Ticks to) override;
  void transfer(Stream stream, Home home, std::int64_t bytes, std::int64_t bits,
                std::int64_t buffer_bits, Ticks from, Ticks to) override;
  void post_processes(std::int64_t outputs, Ticks from, Ticks to) override;

  /// The whole trace as JSON.
  [[nodiscard]] std::string text(const std::string& title) const;

 private:
  enum class Track { layers = 1, array, waits, post, input, weight, sums, output };
  struct Slice {
    Track track;
    Ticks from, to;
    std::size_t layer;    // index into layer_names_
    const char* what;     // nullptr: the layer's name
    std::int64_t amount;  // bytes, outputs or cycles, by track
  };
  void add(Track track, Ticks from, Ticks to, const char* what, std::int64_t amount);

  Hertz clock_;
  std::vector<std::string> layer_names_;
  std::vector<Slice> slices_;
  std::array<Ticks, 9> track_ends_{};  // by Track
  Ticks layer_began_ = 0;
};

}  // namespace widthwise::sim
