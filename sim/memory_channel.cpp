#include "sim/memory_channel.hpp"

#include <algorithm>
#include <cmath>

#include "sim/time.hpp"

namespace widthwise::sim {

MemoryChannel::MemoryChannel(sc_core::sc_module_name name, double bandwidth, Cycles latency)
    : sc_core::sc_module(name),
      socket("socket"),
      cycles_per_byte_(8.0 / bandwidth),
      latency_(static_cast<double>(latency.count())) {
  socket.register_b_transport(this, &MemoryChannel::b_transport);
}

void MemoryChannel::b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
  constexpr double kTicks = static_cast<double>(kTicksPerCycle);
  const double arrival = static_cast<double>(now() + ticks_of(delay)) / kTicks;
  const double begin = std::max(arrival, free_at_);
  free_at_ = begin + payload.get_data_length() * cycles_per_byte_;
  const double done = free_at_ + (payload.is_read() ? latency_ : 0.0);
  // A millionth of a tick absorbs the rounding of the division above.
  delay = time_of(static_cast<Ticks>(std::ceil(done * kTicks - 1e-6)) - now());
  payload.set_response_status(tlm::TLM_OK_RESPONSE);
}

}  // namespace widthwise::sim
