#include "sim/memory_channel.hpp"

#include "sim/time.hpp"

namespace widthwise::sim {

MemoryChannel::MemoryChannel(sc_core::sc_module_name name, double bandwidth, Cycles latency)
    : sc_core::sc_module(name),
      socket("socket"),
      cycles_per_byte_(8.0 / bandwidth),
      latency_(ticks_of(latency.count())) {
  socket.register_b_transport(this, &MemoryChannel::b_transport);
}

void MemoryChannel::b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
  const BusyLine::Done served =
      line_.serve(now() + ticks_of(delay), payload.get_data_length() * cycles_per_byte_);
  delay = time_of(served.rounded_up() + (payload.is_read() ? latency_ : 0) - now());
  payload.set_response_status(tlm::TLM_OK_RESPONSE);
}

}  // namespace widthwise::sim
