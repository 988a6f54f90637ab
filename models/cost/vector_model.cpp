#include "models/cost/vector_model.hpp"

#include <algorithm>
#include <cmath>

namespace widthwise {

VectorModel::VectorModel(const LayerSetting& setting, const Accelerator& accelerator) {
  const VectorShape& shape = *setting.layer->vector;
  for (int home = 0; home < 2; ++home) {
    input_bits[home] = static_cast<double>(setting.vector_input_bits[home]);
  }
  outputs = static_cast<double>(shape.output_elements);
  operations = static_cast<double>(shape.operations);
  output_bits = outputs * setting.stored_output;
  output_home = setting.output_home;
  if (accelerator.ideal_memory) return;
  const double work = std::max({operations, outputs, static_cast<double>(shape.input_elements)});
  post_cycles = work / accelerator.post_processing.lanes;
  // A chunk is a few requests, so that post-processing starts early, and at most a tile of its
  // buffer.
  constexpr double kRequestsPerChunk = 4;
  const Memory& memory = accelerator.memory;
  const double few = kRequestsPerChunk * static_cast<double>(to_bits(memory.dram.request).count());
  const double in_chunk = std::min(few, tile_capacity(memory.input_buffer));
  const double out_chunk = std::min(few, tile_capacity(memory.output_buffer));
  const double in = (input_bits[0] + input_bits[1]) / in_chunk;
  const double out = output_bits / out_chunk;
  chunks = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(std::max(in, out))));
  const auto parts = static_cast<double>(chunks);
  slots.input = slots_for(memory.input_buffer, (input_bits[0] + input_bits[1]) / parts);
  slots.output = slots_for(memory.output_buffer, output_bits / parts);
}

ClosedForm VectorModel::closed_form(const Accelerator& accelerator) const {
  ClosedForm form;
  const Memory& memory = accelerator.memory;
  const double all_input = input_bits[0] + input_bits[1];
  form.stream_bits[static_cast<int>(Stream::input)] = all_input;
  form.stream_bits[static_cast<int>(Stream::output)] = output_bits;
  form.input_buffer_bits = all_input;
  form.post_time = post_cycles;
  if (accelerator.ideal_memory) return form;
  const double per_bit[2] = {1.0 / memory.dram.bandwidth,
                             memory.scratchpad ? 1.0 / memory.scratchpad->bandwidth : 0.0};
  const double access[2] = {
      static_cast<double>(memory.dram.latency.count()),
      memory.scratchpad ? static_cast<double>(memory.scratchpad->latency.count()) : 0.0};
  const auto parts = static_cast<double>(chunks);
  const int out = output_home == Home::dram ? 0 : 1;
  const double store = output_bits * per_bit[out];
  // The last chunk may share its first burst with the one before.
  const double shared_bits =
      out == 0 ? 8.0 * static_cast<double>(memory.dram.burst.count() - 1) : 0.0;
  const double last_store = std::max(0.0, output_bits / parts - shared_bits) * per_bit[out];
  const auto depth = static_cast<double>(accelerator.post_processing.latency.count());
  const double port =
      memory.input_buffer.write_port ? all_input / *memory.input_buffer.write_port : 0.0;
  form.input_port_time = port;
  double lead = 0;
  for (int home = 0; home < 2; ++home) {
    if (input_bits[home] > 0) {
      const double load = input_bits[home] * per_bit[home];
      lead = std::max(lead, access[home] + std::max(load, port) / parts);
      if (port > 0) {
        // The last request goes through the port when it has arrived.
        const double bits = std::min(static_cast<double>(to_bits(memory.dram.request).count()),
                                     input_bits[home] / parts);
        const double port_per_bit = 1 / *memory.input_buffer.write_port;
        lead =
            std::max(lead, access[home] + load / parts +
                               bits * port_per_bit * std::min(1.0, port_per_bit / per_bit[home]));
      }
    }
  }
  form.lead_in = lead;
  form.lead_input_share = 1;
  form.lead_out = last_store;
  form.latency = lead + post_cycles + depth + last_store;
  const double after = post_cycles / parts + depth;
  form.latency = std::max(form.latency, port + after + last_store);
  const auto waiting = static_cast<double>(slots.input + slots.output);
  for (int home = 0; home < 2; ++home) {
    const double load = input_bits[home] * per_bit[home];
    const double own_store = home == out ? store : 0.0;
    (home == 0 ? form.dram_time : form.scratchpad_time) = load + own_store;
    if (load <= 0) continue;
    const double own_last = std::min(own_store, last_store);
    const double pending = std::min(own_store - own_last, waiting * store / parts);
    form.latency = std::max(form.latency, load + own_store - own_last - pending +
                                              std::max(access[home] + after, pending) + last_store);
  }
  form.post_exposed = after;
  return form;
}

Activity VectorModel::activity(const Dram& dram) const {
  Activity activity;
  const auto whole = [](double value) { return Bits(static_cast<std::int64_t>(std::ceil(value))); };
  activity.input_buffer_write = activity.input_buffer_read = whole(input_bits[0] + input_bits[1]);
  activity.output_buffer_write = activity.output_buffer_read = whole(output_bits);
  activity.dram_read = burst_bytes(input_bits[0], dram);
  activity.scratchpad_read = whole(input_bits[1]);
  if (output_home == Home::dram) {
    activity.dram_write = burst_bytes(output_bits, dram);
  } else {
    activity.scratchpad_write = whole(output_bits);
  }
  activity.post_outputs = outputs;
  activity.post_operations = operations;
  return activity;
}

}  // namespace widthwise
