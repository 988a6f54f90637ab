// Waveforms (VCD) of the machine's state through SystemC's own tracing: one cycle of the
// accelerator's clock is one nanosecond of the file.
#pragma once

#include <array>
#include <string>

#include <systemc>

#include "sim/listener.hpp"

namespace widthwise::sim {

class Waveforms : public Listener {
 public:
  /// Throws InputError if the file can not be written.
  explicit Waveforms(const std::string& path);
  ~Waveforms() override;

  void layer_begins(std::size_t index, const LayerPlan& plan, std::int64_t weight,
                    Ticks at) override;
  void array_starts(Ticks at) override;
  void array_runs(const StepCost& cost, std::int64_t start_up, std::int64_t emptying, Ticks from,
                  Ticks to) override;
  void transfer_starts(Stream stream, Home home, Ticks at) override;
  void transfer(Stream stream, Home home, std::int64_t bytes, std::int64_t bits,
                std::int64_t buffer_bits, Ticks from, Ticks to) override;
  void post_starts(Ticks at) override;
  void post_processes(std::int64_t outputs, Ticks from, Ticks to) override;

 private:
  sc_core::sc_trace_file* file_;
  unsigned layer_ = 0;
  bool array_runs_ = false;
  bool post_runs_ = false;
  std::array<unsigned, kStreams> in_flight_{};
};

}  // namespace widthwise::sim
