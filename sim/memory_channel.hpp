// A memory behind a TLM-2.0 target socket: a channel of fixed bandwidth that serves requests in the
// order in which they arrive, and a latency before the first beat of a read. Writes are posted.
//
// The timing annotation of b_transport says when the request is done; nothing blocks, so an
// initiator may keep several requests in flight. Ignored: rows, banks, refresh and the turn-around
// between reads and writes (errs low); a model that knows them can be bound to the same initiator
// socket.
#pragma once

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_target_socket.h>

#include "models/base/quantity.hpp"
#include "sim/busy_line.hpp"

namespace widthwise::sim {

class MemoryChannel : public sc_core::sc_module {
 public:
  /// `bandwidth` in bits per cycle.
  MemoryChannel(sc_core::sc_module_name name, double bandwidth, Cycles latency);

  tlm_utils::simple_target_socket<MemoryChannel> socket;

 private:
  void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);

  double cycles_per_byte_;
  Ticks latency_;
  BusyLine line_;
};

}  // namespace widthwise::sim
