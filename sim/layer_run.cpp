#include "sim/layer_run.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace widthwise::sim {

namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

Ticks ticks_rounded_up(double cycles) {
  return static_cast<Ticks>(std::ceil(cycles * static_cast<double>(kTicksPerCycle) - 1e-6));
}

}  // namespace

Bank bank_of(Stream stream) {
  switch (stream) {
    case Stream::input:
      return Bank::input;
    case Stream::weight:
      return Bank::weight;
    case Stream::sums_in:
    case Stream::sums_out:
    case Stream::output:
      return Bank::output;
  }
  return Bank::output;
}

LayerRun::LayerRun(const LayerPlan& plan, const Accelerator& accelerator, bool first) {
  const BufferSlots held = plan.engine ? plan.engine->slots(plan.tile) : plan.vector->slots;
  banks[static_cast<std::size_t>(Bank::input)].slots = held.input;
  banks[static_cast<std::size_t>(Bank::weight)].slots = held.weight;
  banks[static_cast<std::size_t>(Bank::output)].slots = held.output;
  burst_ = accelerator.memory.dram.burst.count();
  if (plan.engine)
    from_engine(plan, accelerator, first);
  else
    from_vector(plan, accelerator);
  stores_left = output_fills;
  stored.assign(static_cast<std::size_t>(output_fills), 0);
}

void LayerRun::place(Transfer& transfer, Home home) {
  // Tiles of a stream lie one behind the other; a burst that two of them share is moved once.
  auto& position =
      position_bits_[static_cast<std::size_t>(home)][static_cast<std::size_t>(transfer.stream)];
  const std::int64_t burst = home == Home::dram ? burst_ : 1;
  transfer.begin_byte = round_up(ceil_div(position, 8), burst);
  position += transfer.bits;
  transfer.end_byte = round_up(ceil_div(position, 8), burst);
}

void LayerRun::push_load(Stream stream, Home home, std::int64_t fill, std::int64_t step,
                         std::int64_t bits, std::int64_t buffer_bits) {
  Transfer transfer;
  transfer.stream = stream;
  transfer.fill = fill;
  transfer.deadline = step;
  transfer.bits = bits;
  transfer.buffer_bits = buffer_bits;
  place(transfer, home);
  BankState& bank = banks[static_cast<std::size_t>(bank_of(stream))];
  ++bank.missing[static_cast<std::size_t>(fill)];
  queues[static_cast<std::size_t>(home)][static_cast<std::size_t>(stream)].transfers.push_back(
      transfer);
}

void LayerRun::from_engine(const LayerPlan& plan, const Accelerator& accelerator, bool first) {
  const LayerModel& model = *plan.engine;
  for (int s = 0; s < kStreams; ++s)
    stream_home_[static_cast<std::size_t>(s)] = model.home(static_cast<Stream>(s));
  const bool load_weights = first || !model.weights_stay(plan.tile);
  steps.reserve(static_cast<std::size_t>(model.step_count(plan.tile)));
  std::array<std::int64_t, kBanks> fills{-1, -1, -1};
  std::map<std::array<std::int64_t, 3>, std::int64_t> spilled;  // output tile -> last occurrence
  std::vector<std::int64_t> first_step;                         // of each output tile
  const double lanes = accelerator.post_processing.lanes;
  model.for_each_step(plan.tile, [&](const Step& step) {
    StepRecord record;
    record.step = step;
    record.cost = model.step_cost(plan.tile, step);
    const auto index = static_cast<std::int64_t>(steps.size());
    const auto enter = [&](Bank bank) {
      ++fills[static_cast<std::size_t>(bank)];
      banks[static_cast<std::size_t>(bank)].missing.push_back(0);
      banks[static_cast<std::size_t>(bank)].ready_at.push_back(0);
    };
    if (step.loads_input) {
      enter(Bank::input);
      if (!steps.empty()) steps.back().releases_input = true;
      push_load(Stream::input, home(Stream::input), fills[0], index, record.cost.input_bits,
                record.cost.input_buffer_bits);
    }
    if (step.loads_weight) {
      enter(Bank::weight);
      record.new_weight = true;
      if (!steps.empty()) steps.back().releases_weight = true;
      if (load_weights) {
        push_load(Stream::weight, home(Stream::weight), fills[1], index, record.cost.weight_bits,
                  record.cost.weight_buffer_bits);
      }
    }
    if (step.starts_output) {
      enter(Bank::output);
      first_step.push_back(index);
      std::int64_t before = -1;
      if (step.loads_sums) {
        if (step.k_tile > 0) {
          const auto found = spilled.find({step.group_tile, step.m_tile, step.n_tile});
          ensure(found != spilled.end(), "partial sums that come back have left before");
          before = found->second;
        }
        push_load(Stream::sums_in, Home::dram, fills[2], index, record.cost.sums_in_bits,
                  record.cost.sums_in_bits);
      }
      output_before.push_back(before);
    }
    record.input_fill = fills[0];
    record.weight_fill = fills[1];
    record.output_fill = fills[2];
    record.loads_sums = step.loads_sums;
    record.starts_output = step.starts_output;
    record.ends_output = step.ends_output;
    record.completes_output = step.completes_output;
    if (step.ends_output && !step.completes_output) {
      spilled[{step.group_tile, step.m_tile, step.n_tile}] = fills[2];
    }
    if (step.completes_output && !accelerator.ideal_memory) {
      record.post_work = ticks_rounded_up(static_cast<double>(record.cost.outputs) / lanes);
    }
    steps.push_back(record);
  });
  output_fills = fills[2] + 1;
  const std::int64_t slots = banks[static_cast<std::size_t>(Bank::output)].slots;
  for (std::int64_t j = 0; j < output_fills; ++j) {
    output_deadline.push_back(
        j + slots < output_fills ? first_step[static_cast<std::size_t>(j + slots)] : kNever);
  }
  for (std::int64_t j = 0; j < output_fills; ++j) {
    const std::int64_t before = output_before[static_cast<std::size_t>(j)];
    if (before < 0) continue;
    auto& deadline = output_deadline[static_cast<std::size_t>(before)];
    deadline = std::min(deadline, first_step[static_cast<std::size_t>(j)]);
  }
}

void LayerRun::from_vector(const LayerPlan& plan, const Accelerator& accelerator) {
  const VectorModel& model = *plan.vector;
  stream_home_.fill(Home::dram);
  stream_home_[static_cast<std::size_t>(Stream::output)] = model.output_home;
  const std::int64_t chunks = model.chunks;
  const auto part = [&](double total, std::int64_t chunk) {
    // Whole bits; the parts sum to the total.
    const auto upto = [&](std::int64_t count) {
      return static_cast<std::int64_t>(
          std::ceil(total * static_cast<double>(count) / static_cast<double>(chunks)));
    };
    return upto(chunk + 1) - upto(chunk);
  };
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    StepRecord record;
    for (BankState& bank : banks) {
      bank.missing.push_back(0);
      bank.ready_at.push_back(0);
    }
    for (const Home home : {Home::dram, Home::scratchpad}) {
      const std::int64_t bits = part(model.input_bits[home == Home::dram ? 0 : 1], chunk);
      if (bits > 0) push_load(Stream::input, home, chunk, chunk, bits, bits);
      record.cost.input_buffer_bits += bits;
    }
    record.cost.output_bits = part(model.output_bits, chunk);
    record.cost.outputs = part(model.outputs, chunk);
    record.input_fill = record.weight_fill = record.output_fill = chunk;
    record.releases_input = record.releases_weight = chunk + 1 < chunks;
    record.starts_output = record.ends_output = record.completes_output = true;
    record.post_work = accelerator.ideal_memory
                           ? 0
                           : ticks_rounded_up(model.post_cycles / static_cast<double>(chunks));
    output_before.push_back(-1);
    steps.push_back(record);
  }
  output_fills = chunks;
  for (std::int64_t j = 0; j < chunks; ++j) {
    const std::int64_t again = j + banks[static_cast<std::size_t>(Bank::output)].slots;
    output_deadline.push_back(again < chunks ? again : kNever);
  }
}

bool LayerRun::may_load(const Transfer& transfer) const {
  const BankState& bank = banks[static_cast<std::size_t>(bank_of(transfer.stream))];
  if (transfer.fill >= bank.released + bank.slots) return false;
  if (transfer.stream != Stream::sums_in) return true;
  const std::int64_t before = output_before[static_cast<std::size_t>(transfer.fill)];
  return before < 0 || stored[static_cast<std::size_t>(before)] != 0;
}

void LayerRun::push_store(std::int64_t fill, std::int64_t bits, bool complete) {
  Transfer transfer;
  transfer.stream = complete ? Stream::output : Stream::sums_out;
  transfer.fill = fill;
  transfer.deadline = output_deadline[static_cast<std::size_t>(fill)];
  transfer.bits = bits;
  const Home home = this->home(transfer.stream);
  place(transfer, home);
  queues[static_cast<std::size_t>(home)][static_cast<std::size_t>(transfer.stream)]
      .transfers.push_back(transfer);
}

}  // namespace widthwise::sim
