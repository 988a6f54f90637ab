// Simulated time in SystemC: one cycle of the accelerator's clock is one nanosecond of sc_time,
// whatever the clock's real frequency; one tick (a thousandth of a cycle) is SystemC's picosecond.
#pragma once

#include <systemc>

#include "sim/listener.hpp"

namespace widthwise::sim {

inline sc_core::sc_time time_of(Ticks ticks) {
  return sc_core::sc_time::from_value(static_cast<sc_dt::uint64>(ticks));
}
inline Ticks ticks_of(const sc_core::sc_time& time) { return static_cast<Ticks>(time.value()); }
inline Ticks now() { return ticks_of(sc_core::sc_time_stamp()); }

}  // namespace widthwise::sim
