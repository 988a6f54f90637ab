#include "sim/waveforms.hpp"

#include <fstream>

#include "models/base/error.hpp"

namespace widthwise::sim {

Waveforms::Waveforms(const std::string& path) {
  std::string stem = path;  // SystemC appends the suffix itself
  if (stem.ends_with(".vcd")) stem.resize(stem.size() - 4);
  if (!std::ofstream(stem + ".vcd")) {  // SystemC would only find out at the first sample
    throw InputError({path}, "--vcd", "cannot write the waveforms");
  }
  file_ = sc_core::sc_create_vcd_trace_file(stem.c_str());
  file_->set_time_unit(1, sc_core::SC_PS);
  sc_core::sc_trace(file_, layer_, "layer");
  sc_core::sc_trace(file_, array_runs_, "array_runs");
  sc_core::sc_trace(file_, post_runs_, "post_runs");
  static constexpr std::array<const char*, kStreams> kNames{
      "dma_input", "dma_weight", "dma_sums_in", "dma_sums_out", "dma_output"};
  for (std::size_t i = 0; i < in_flight_.size(); ++i)
    sc_core::sc_trace(file_, in_flight_[i], kNames[i]);
}

Waveforms::~Waveforms() { sc_core::sc_close_vcd_trace_file(file_); }

void Waveforms::layer_begins(std::size_t index, const LayerPlan&, std::int64_t, Ticks) {
  layer_ = static_cast<unsigned>(index);
}
void Waveforms::array_starts(Ticks) { array_runs_ = true; }
void Waveforms::array_runs(const StepCost&, std::int64_t, std::int64_t, Ticks, Ticks) {
  array_runs_ = false;
}
void Waveforms::transfer_starts(Stream stream, Home, Ticks) {
  ++in_flight_[static_cast<std::size_t>(stream)];
}
void Waveforms::transfer(Stream stream, Home, std::int64_t, std::int64_t, std::int64_t, Ticks,
                         Ticks) {
  --in_flight_[static_cast<std::size_t>(stream)];
}
void Waveforms::post_starts(Ticks) { post_runs_ = true; }
void Waveforms::post_processes(std::int64_t, Ticks, Ticks) { post_runs_ = false; }

}  // namespace widthwise::sim
