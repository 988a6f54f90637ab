// The DMA of one memory: moves tiles between that memory and the buffers in requests of bounded
// size.
//
// Of all transfers that may start (there is a free slot in their buffer) the one whose data are
// needed by the earliest step goes first; a store is needed when its slot of the output buffer is,
// or when its partial sums are to come back. A transfer gives way at request boundaries. Requests
// in flight are bounded in number and, so that an urgent transfer does not queue behind a long
// line, to the bytes that hide the memory's latency.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <queue>
#include <vector>

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_initiator_socket.h>

#include "sim/busy_line.hpp"
#include "sim/context.hpp"

namespace widthwise::sim {

class Dma : public sc_core::sc_module {
 public:
  struct Config {
    Home home = Home::dram;
    std::int64_t request_bytes = 2048;
    int outstanding = 8;
    std::int64_t window_bytes = 2048;               // in flight at most, beside one request
    std::optional<double> input_port, weight_port;  // bits per cycle into the buffers
  };

  Dma(sc_core::sc_module_name name, Context& context, const Config& config);

  tlm_utils::simple_initiator_socket<Dma> socket;

  /// Wakes a slot if one is idle.
  void work();

  /// Nothing issued, nothing in flight.
  [[nodiscard]] bool idle() const { return in_flight_ == 0 && arrivals_.empty(); }

 private:
  struct Slot {
    sc_core::sc_event wake;
    tlm::tlm_generic_payload payload;
  };
  struct Request {
    Transfer* transfer = nullptr;
    std::int64_t bytes = 0;
    std::uint64_t address = 0;
  };
  struct Arrival {
    Ticks at;
    std::uint64_t order;  // among equal times
    Transfer* transfer;
    std::int64_t bytes;
    bool operator>(const Arrival& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  void slot_process(Slot& slot);
  void take_arrivals();
  /// The queue whose head may be issued and is needed first; null: none.
  [[nodiscard]] LayerRun::Queue* urgent_queue() const;
  [[nodiscard]] Request next_request();
  void transport(Slot& slot, const Request& request);
  void arrived(Transfer& transfer, std::int64_t bytes);
  void complete(Transfer& transfer);

  Context& context_;
  Config config_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Slot*> idle_;
  std::int64_t in_flight_ = 0;          // bytes
  std::vector<unsigned char> data_;     // the values do not matter, a target may still read them
  std::array<BusyLine, kBanks> ports_;  // write ports of the buffers
  std::priority_queue<Arrival, std::vector<Arrival>, std::greater<>> arrivals_;
  std::uint64_t arrival_order_ = 0;
  sc_core::sc_event arrival_event_;
};

}  // namespace widthwise::sim
