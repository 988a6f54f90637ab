#include "sim/dma.hpp"

#include <algorithm>
#include <string>

#include "models/base/error.hpp"
#include "sim/time.hpp"

namespace widthwise::sim {

namespace {

/// Tensors of the layer at hand lie in regions of their own.
constexpr std::uint64_t kRegionBytes = std::uint64_t{1} << 36;

bool is_store(Stream stream) { return stream == Stream::output || stream == Stream::sums_out; }

}  // namespace

void Context::work_for_dmas() {
  for (Dma* dma : dmas) dma->work();
}

Dma::Dma(sc_core::sc_module_name name, Context& context, const Config& config)
    : sc_core::sc_module(name),
      socket("socket"),
      context_(context),
      config_(config),
      data_(static_cast<std::size_t>(config.request_bytes)) {
  for (int i = 0; i < config.outstanding; ++i) {
    slots_.push_back(std::make_unique<Slot>());
    Slot& slot = *slots_.back();
    sc_core::sc_spawn([this, &slot] { slot_process(slot); }, ("slot" + std::to_string(i)).c_str());
  }
  if (config.input_port || config.weight_port) {
    sc_core::sc_spawn_options options;
    options.spawn_method();
    sc_core::sc_spawn([this] { take_arrivals(); }, "arrivals", &options);
  }
}

void Dma::work() {
  // A slot that finds nothing to do costs two switches of threads.
  if (idle_.empty() || urgent_queue() == nullptr) return;
  Slot* slot = idle_.back();
  idle_.pop_back();
  slot->wake.notify(sc_core::SC_ZERO_TIME);
}

LayerRun::Queue* Dma::urgent_queue() const {
  if (context_.run == nullptr || in_flight_ >= config_.window_bytes + config_.request_bytes) {
    return nullptr;
  }
  auto& queues = context_.run->queues[static_cast<std::size_t>(config_.home)];
  LayerRun::Queue* best = nullptr;
  for (auto& queue : queues) {  // in order of Stream: loads go before stores of equal urgency
    if (queue.next >= queue.transfers.size()) continue;
    const Transfer& head = queue.transfers[queue.next];
    if (!is_store(head.stream) && head.issued == 0 && !context_.run->may_load(head)) continue;
    if (best == nullptr || head.deadline < best->transfers[best->next].deadline) best = &queue;
  }
  return best;
}

Dma::Request Dma::next_request() {
  LayerRun::Queue* const best = urgent_queue();
  if (best == nullptr) return {};
  Transfer& transfer = best->transfers[best->next];
  const std::int64_t length = transfer.end_byte - transfer.begin_byte;
  const std::int64_t bytes = std::min(config_.request_bytes, length - transfer.issued);
  Request request{&transfer, bytes,
                  (static_cast<std::uint64_t>(transfer.stream) + 1) * kRegionBytes +
                      static_cast<std::uint64_t>(transfer.begin_byte + transfer.issued)};
  if (transfer.started < 0) {
    transfer.started = now();
    context_.tell([&](Listener& listener) {
      listener.transfer_starts(transfer.stream, config_.home, transfer.started);
    });
  }
  transfer.issued += bytes;
  if (transfer.issued == length) ++best->next;
  return request;
}

void Dma::slot_process(Slot& slot) {
  while (true) {
    const Request request = next_request();
    if (request.transfer == nullptr) {
      idle_.push_back(&slot);
      sc_core::wait(slot.wake);
      continue;
    }
    in_flight_ += request.bytes;
    work();  // there may be a request for another slot
    if (request.bytes > 0 && !context_.accelerator.ideal_memory) transport(slot, request);
    in_flight_ -= request.bytes;
    arrived(*request.transfer, request.bytes);
  }
}

void Dma::transport(Slot& slot, const Request& request) {
  tlm::tlm_generic_payload& payload = slot.payload;
  payload.set_command(is_store(request.transfer->stream) ? tlm::TLM_WRITE_COMMAND
                                                         : tlm::TLM_READ_COMMAND);
  payload.set_address(request.address);
  payload.set_data_ptr(data_.data());
  payload.set_data_length(static_cast<unsigned>(request.bytes));
  payload.set_streaming_width(static_cast<unsigned>(request.bytes));
  payload.set_byte_enable_ptr(nullptr);
  payload.set_dmi_allowed(false);
  payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
  sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
  socket->b_transport(payload, delay);
  ensure(payload.is_response_ok(), "the memory answers every request");
  if (delay > sc_core::SC_ZERO_TIME) sc_core::wait(delay);
}

void Dma::arrived(Transfer& transfer, std::int64_t bytes) {
  const Bank bank = bank_of(transfer.stream);
  const auto& port = bank == Bank::input    ? config_.input_port
                     : bank == Bank::weight ? config_.weight_port
                                            : std::optional<double>{};
  const std::int64_t length = transfer.end_byte - transfer.begin_byte;
  if (port && !is_store(transfer.stream) && !context_.accelerator.ideal_memory) {
    // Through the buffer's write port, in the order of arrival.
    const double share =
        length > 0 ? static_cast<double>(bytes) / static_cast<double>(length) : 1.0;
    const BusyLine::Done through = ports_[static_cast<std::size_t>(bank)].serve(
        now(), static_cast<double>(transfer.buffer_bits) * share / *port);
    const std::uint64_t order = arrival_order_++;
    arrivals_.push({through.rounded_up(), order, &transfer, bytes});
    // Otherwise an earlier one is waited for already.
    if (arrivals_.top().order == order) arrival_event_.notify(sc_core::SC_ZERO_TIME);
    return;
  }
  transfer.arrived += bytes;
  if (transfer.arrived == length) complete(transfer);
}

void Dma::take_arrivals() {
  while (!arrivals_.empty() && arrivals_.top().at <= now()) {
    const Arrival next = arrivals_.top();
    arrivals_.pop();
    next.transfer->arrived += next.bytes;
    if (next.transfer->arrived == next.transfer->end_byte - next.transfer->begin_byte) {
      complete(*next.transfer);
    }
  }
  if (arrivals_.empty()) {
    sc_core::next_trigger(arrival_event_);
  } else {
    sc_core::next_trigger(time_of(arrivals_.top().at - now()), arrival_event_);
  }
}

void Dma::complete(Transfer& transfer) {
  LayerRun& run = *context_.run;
  const auto fill = static_cast<std::size_t>(transfer.fill);
  context_.tell([&](Listener& listener) {
    listener.transfer(transfer.stream, config_.home, transfer.end_byte - transfer.begin_byte,
                      transfer.bits, transfer.buffer_bits, transfer.started, now());
  });
  auto& bank = run.banks[static_cast<std::size_t>(bank_of(transfer.stream))];
  if (is_store(transfer.stream)) {
    run.stored[fill] = 1;
    // Slots are taken again in the order in which they were filled.
    while (bank.released < run.output_fills &&
           run.stored[static_cast<std::size_t>(bank.released)] != 0) {
      ++bank.released;
    }
    bank.ready_at[fill] = now();
    if (--run.stores_left == 0) context_.layer_done.notify(sc_core::SC_ZERO_TIME);
    context_.work_for_dmas();  // partial sums may wait for room or for their own return
  } else if (--bank.missing[fill] == 0) {
    bank.ready_at[fill] = now();
  }
  context_.tiles_moved.notify(sc_core::SC_ZERO_TIME);
}

}  // namespace widthwise::sim
