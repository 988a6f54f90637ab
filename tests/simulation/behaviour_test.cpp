// What the simulation shows in time: operands in, array, post-processing, results out, worked out
// by hand on a small machine; back-pressure, repeats, partial sums, tensors that stay on chip, and
// DRAM models of the user's own.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <systemc>
#include <tlm>
#include <tlm_utils/simple_target_socket.h>

#include "models/cost/analytic.hpp"
#include "sim/time.hpp"
#include "tests/cost/machines.hpp"
#include "tests/simulation/own_process.hpp"

using namespace widthwise;
using namespace widthwise::test;

namespace {

Accelerator roomy_machine() {
  Accelerator machine = example_machine();
  machine.memory.input_buffer.capacity = machine.memory.weight_buffer.capacity =
      machine.memory.output_buffer.capacity = Bytes(64 * 1024);
  return machine;
}

SimulationOptions trace_to(const std::string& path) {
  SimulationOptions options;
  options.trace_path = path;
  return options;
}

SimulationOptions waveforms_to(const std::string& path) {
  SimulationOptions options;
  options.vcd_path = path;
  return options;
}

Figures play(const Workload& work, const Accelerator& machine,
             const SimulationOptions& options = {}) {
  return simulated(work.network, work.widths, machine, example_energy(), options);
}

CostReport closed(const Workload& work, const Accelerator& machine) {
  return analytic_cost(work.network, work.widths, machine, example_energy());
}

/// The same channel as the built-in one, written as a model that blocks: it waits for its turn on
/// the bus and for its latency instead of annotating them.
class BlockingDram : public sc_core::sc_module {
 public:
  BlockingDram(sc_core::sc_module_name name, double bits_per_cycle, double latency)
      : sc_core::sc_module(name),
        socket("socket"),
        bits_per_cycle_(bits_per_cycle),
        latency_(latency) {
    socket.register_b_transport(this, &BlockingDram::b_transport);
  }
  tlm_utils::simple_target_socket<BlockingDram> socket;

 private:
  void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    if (delay > sc_core::SC_ZERO_TIME) sc_core::wait(delay);
    delay = sc_core::SC_ZERO_TIME;
    const double now = static_cast<double>(sim::now()) / 1000;
    const double begin = std::max(now, free_);
    free_ = begin + payload.get_data_length() * 8 / bits_per_cycle_;
    const double done = free_ + (payload.is_read() ? latency_ : 0);
    sc_core::wait(
        sim::time_of(static_cast<sim::Ticks>(std::ceil(done * 1000 - 1e-6)) - sim::now()));
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
  }

  double bits_per_cycle_, latency_;
  double free_ = 0;
};

Figures play_with_own_dram(const Workload& work, const Accelerator& machine, double bits_per_cycle,
                           double latency) {
  const EnergyTable energy = example_energy();
  const NetworkPlan plan = plan_network(work.network, work.widths, machine, energy);
  return from_own_process([&] {
    std::unique_ptr<BlockingDram> dram;
    return sim::simulate_plan(plan, {}, {}, [&](tlm::tlm_base_initiator_socket<>& socket) {
      dram = std::make_unique<BlockingDram>("own_dram", bits_per_cycle, latency);
      socket.bind(dram->socket);
    });
  });
}

std::string memory_text(const Memory& memory) {
  std::ostringstream text;
  text << "DRAM " << memory.dram.bandwidth << " bit/cycle after " << memory.dram.latency
       << ", bursts of " << memory.dram.burst << ", " << memory.dram.outstanding << " requests of "
       << memory.dram.request;
  for (const Buffer* buffer :
       {&memory.input_buffer, &memory.weight_buffer, &memory.output_buffer}) {
    text << ", " << buffer->capacity << (buffer->double_buffered ? " B twice" : " B once");
    if (buffer->write_port) text << " port " << *buffer->write_port;
  }
  text << (memory.input_layout == InputLayout::raw ? ", raw" : ", im2col")
       << (memory.read_initial_sums ? ", initial sums" : "")
       << (memory.fetch_padding ? ", padding" : "");
  return text.str();
}

bool same(const Figures& a, const Figures& b) {
  if (a.layers.size() != b.layers.size()) return false;
  for (std::size_t i = 0; i < a.layers.size(); ++i) {
    const LayerFigures& x = a.layers[i];
    const LayerFigures& y = b.layers[i];
    if (x.latency != y.latency || !(x.cycles == y.cycles) ||
        x.activity.dram_read != y.activity.dram_read ||
        x.activity.dram_write != y.activity.dram_write || x.energy.total() != y.energy.total()) {
      return false;
    }
  }
  return true;
}

std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("one tile without contention: in, array, post-processing and out, one after the other") {
  // 8 x 4 outputs of K 16 at 8 bits on 4 x 4 PEs. In: 128 + 64 bytes at a byte a cycle behind 10
  // cycles of latency. Array: two blocks of 16 steps. Post: 32 outputs on 4 lanes, 4 deep. Out: 32
  // bytes.
  Accelerator machine = roomy_machine();
  machine.memory.dram.latency = Cycles(10);
  machine.tiling.fixed["gemm0"] = {.out_h = 8, .out_channels = 4, .in_channels = 16};
  const Workload work = gemms({{8, 4, 16, {8, 8}}});
  const Figures figures = play(work, machine);
  const CostReport report = closed(work, machine);
  CHECK(figures.latency() == Cycles(10 + 128 + 64 + 2 * 16 + (8 + 4) + 32));
  CHECK(report.latency() == figures.latency());
  const CycleBreakdown& cycles = figures.layers[0].cycles;
  CHECK(cycles.busy == Cycles(32));
  CHECK(cycles.fill == Cycles(0));
  CHECK(cycles.drain == Cycles(0));
  CHECK(cycles.stall_input + cycles.stall_weight == Cycles(10 + 128 + 64));
  CHECK(cycles.post == Cycles(12));
  CHECK(cycles.stall_output == Cycles(32));
}

TEST_CASE("with fill, drain, preload and no gap the closed form of one tile is the simulation's") {
  // Single tiles of many shapes, by name of their layers, on a machine that hides nothing.
  Accelerator machine = roomy_machine();
  machine.engine.dataflow = Dataflow::weight_stationary;
  machine.engine.timing = EngineTiming{};
  machine.memory.dram.latency = Cycles(7);
  std::vector<Gemm> list;
  Random random(5);
  for (int i = 0; i < 60; ++i) {
    list.push_back(
        {random(1, 40), random(1, 40), random(1, 40),
         i % 2 == 0 ? LayerWidths{8, 8}
                    : LayerWidths{static_cast<int>(random(1, 8)), static_cast<int>(random(1, 8))}});
    machine.tiling.fixed["gemm" + std::to_string(i)] = {
        .out_h = 40, .out_channels = 40, .in_channels = 40};
  }
  const Workload work = gemms(list);
  const Figures figures = play(work, machine);
  const CostReport report = closed(work, machine);
  for (std::size_t i = 0; i < list.size(); ++i) {
    INFO(list[i].m << "x" << list[i].n << "x" << list[i].k);
    // Inputs, weights and outputs are whole bytes, a cycle each.
    CHECK(report.layers[i].latency <= figures.layers[i].latency);
    CHECK(figures.layers[i].latency.count() - report.layers[i].latency.count() <= 2);
    if (list[i].widths == LayerWidths{8, 8}) {
      CHECK(report.layers[i].latency == figures.layers[i].latency);
    }
    CHECK(report.layers[i].cycles.busy == figures.layers[i].cycles.busy);
    CHECK(report.layers[i].cycles.fill == figures.layers[i].cycles.fill);
    CHECK(report.layers[i].cycles.drain == figures.layers[i].cycles.drain);
  }
}

TEST_CASE("bits out of DRAM are the bits into the buffers") {
  // Raw layout, bursts of one byte, no biases: up to seven bits of padding per stream.
  Random random(6);
  const EnergyTable energy = example_energy();
  for (int i = 0; i < 40; ++i) {
    Accelerator machine = example_machine();
    machine.memory.input_buffer.capacity = Bytes(600);
    machine.memory.weight_buffer.capacity = Bytes(600);
    machine.memory.output_buffer.capacity = Bytes(600);
    const Workload work = random_layer(
        random, 9, 8, {static_cast<int>(random(1, 8)), static_cast<int>(random(1, 8))});
    const Figures figures = simulated(work.network, work.widths, machine, energy);
    const Activity& activity = figures.layers[0].activity;
    const ComputeShape& shape = *work.network.layers()[0].compute;
    INFO(test::describe(shape));
    const std::int64_t into =
        activity.input_buffer_write.count() + activity.weight_buffer_write.count();
    const std::int64_t out_of_dram = to_bits(activity.dram_read).count();
    const std::int64_t results = shape.output_elements() * 8;
    const std::int64_t spilled = to_bits(activity.dram_write).count() - results;
    CHECK(spilled >= 0);
    CHECK(out_of_dram >= into + spilled);  // what leaves as partial sums comes back
    CHECK(out_of_dram <= into + spilled + 3 * 7);
  }
}

TEST_CASE("a DRAM model of the user's own with the same timing gives the same result") {
  Random random(7);
  for (int i = 0; i < 12; ++i) {
    Accelerator machine = example_machine();
    machine.memory.input_buffer.capacity = Bytes(600);
    machine.memory.weight_buffer.capacity = Bytes(600);
    machine.memory.output_buffer.capacity = Bytes(600);
    machine.memory.dram.bandwidth = random.pick<double>({8, 24, 100});
    machine.memory.dram.latency = Cycles(random(0, 60));
    const Workload work = random_layer(
        random, 9, 8, {static_cast<int>(random(1, 8)), static_cast<int>(random(1, 8))});
    INFO(test::describe(*work.network.layers()[0].compute));
    const auto latency = static_cast<double>(machine.memory.dram.latency.count());
    const Figures built_in = play(work, machine);
    const Figures own = play_with_own_dram(work, machine, machine.memory.dram.bandwidth, latency);
    CHECK(own.latency() == built_in.latency());
    CHECK(same(own, built_in));
    const Figures late =
        play_with_own_dram(work, machine, machine.memory.dram.bandwidth, latency + 100);
    CHECK(late.latency() > built_in.latency());
    const Figures narrow =
        play_with_own_dram(work, machine, machine.memory.dram.bandwidth / 2, latency);
    CHECK(narrow.latency() > built_in.latency());
    CHECK(narrow.dram_read() == built_in.dram_read());
    CHECK(narrow.layers[0].cycles.busy == built_in.layers[0].cycles.busy);
  }
}

TEST_CASE("where results leave slower than the array makes them, the array waits for room") {
  // K of 4: 64 x 64 results take 256 x 4 cycles to make and 4096 to leave.
  const Workload work = gemms({{64, 64, 4, {8, 8}}});
  Accelerator machine = example_machine();
  machine.memory.input_buffer.capacity = machine.memory.weight_buffer.capacity = Bytes(4096);
  machine.memory.output_buffer.capacity = Bytes(2048);
  const CycleBreakdown cycles = play(work, machine).layers[0].cycles;
  CHECK(cycles.busy == Cycles(16 * 16 * 4));
  CHECK(cycles.stall_output.count() > 2500);
  CHECK(cycles.stall_output > cycles.stall_input + cycles.stall_weight + cycles.busy);
  // With room for all results nothing but the last of them is waited for.
  machine.memory.dram.bandwidth = 8000;
  const CycleBreakdown fast = play(work, machine).layers[0].cycles;
  CHECK(fast.stall_output.count() < 100);
}

TEST_CASE("post-processing that is slower than the array holds it up") {
  const Workload work = gemms({{64, 64, 4, {8, 8}}});
  Accelerator machine = example_machine();
  machine.memory.dram.bandwidth = 8000;
  machine.memory.output_buffer.capacity = Bytes(2048);
  machine.post_processing.lanes = 1;
  const Figures figures = play(work, machine);
  CHECK(figures.latency().count() >= 64 * 64);
  CHECK(figures.layers[0].cycles.stall_output.count() > 2500);
}

TEST_CASE("a recurrent layer repeats, and loads weights that stay once") {
  const auto network = [](int steps) {
    return parse_network("schema: network/1\nname: recurrent\ninputs:\n  x: [1, " +
                             std::to_string(steps) +
                             ", 16]\nlayers:\n  - {name: r, kind: rnn, hidden: 16}\n",
                         "recurrent.yaml");
  };
  const auto run = [&](int steps, const Accelerator& machine) {
    const Network net = network(steps);
    const auto id = net.find_layer("r/recurrent");
    REQUIRE(id);
    const WidthPlan widths = resolve_widths(net, parse_uniform_assignment("w8a8"));
    const Figures figures = simulated(net, widths, machine, example_energy());
    const CostReport report = analytic_cost(net, widths, machine, example_energy());
    CHECK(report.layers[*id].latency <= figures.layers[*id].latency);
    CHECK(report.layers[*id].cycles.busy == figures.layers[*id].cycles.busy);
    return figures.layers[*id];
  };
  Accelerator roomy = roomy_machine();
  roomy.tiling.fixed["r/recurrent"] = {.out_channels = 16, .in_channels = 16};
  const LayerFigures once = run(1, roomy);
  const LayerFigures twice = run(2, roomy);
  const LayerFigures often = run(9, roomy);
  const Cycles each = twice.latency - once.latency;
  CHECK(often.latency == once.latency + 8 * each);
  CHECK(each < once.latency);
  CHECK(often.cycles.busy == 9 * once.cycles.busy);
  // 16 x 16 weights once; 16 inputs and 16 outputs each time.
  CHECK(once.activity.dram_read == Bytes(256 + 16));
  CHECK(often.activity.dram_read == Bytes(256 + 9 * 16));
  CHECK(often.activity.dram_write == Bytes(9 * 16));
  // A buffer that does not hold all weights at once: they come again for each step.
  Accelerator small = roomy;
  small.memory.weight_buffer.capacity = Bytes(256);
  small.tiling.fixed["r/recurrent"] = {.out_channels = 8, .in_channels = 16};
  const LayerFigures small_once = run(1, small);
  const LayerFigures small_often = run(9, small);
  CHECK(small_often.activity.dram_read == 9 * small_once.activity.dram_read);
  CHECK(small_often.latency == 9 * small_once.latency);
}

TEST_CASE("partial sums that do not fit travel to DRAM and back at the accumulator's width") {
  // Two tiles each of 8 output positions, 4 output channels and 8 input channels, channels
  // outermost.
  Accelerator machine = roomy_machine();
  machine.tiling.fixed["gemm0"] = {
      .out_h = 8, .out_channels = 4, .in_channels = 8, .order = LoopOrder::kmn};
  Workload work = gemms({{16, 8, 16, {8, 8}}});
  const BitWidth bits = GENERATE(32, 20);
  if (bits < machine.engine.accumulator_bits) work.widths.accumulators = {bits};
  const Figures figures = play(work, machine);
  const CostReport report = closed(work, machine);
  const std::int64_t inputs = 16 * 16;        // each tile once: m and k above n
  const std::int64_t weights = 2 * (16 * 8);  // again for each tile of positions
  const std::int64_t sums = (2 - 1) * (16 * 8) * bits / 8;
  CHECK(figures.dram_read() == Bytes(inputs + weights + sums));
  CHECK(figures.dram_write() == Bytes(sums + 16 * 8));
  CHECK(report.dram_read() == figures.dram_read());
  CHECK(report.dram_write() == figures.dram_write());
  CHECK(report.latency() <= figures.latency());
  const Activity& counted = report.layers[0].activity;
  const Activity& played = figures.layers[0].activity;
  CHECK(played.output_buffer_read == counted.output_buffer_read);
  CHECK(played.output_buffer_write == counted.output_buffer_write);
  // With the channels innermost nothing is spilled.
  machine.tiling.fixed["gemm0"].order = LoopOrder::mnk;
  const Figures inside = play(work, machine);
  CHECK(inside.dram_write() == Bytes(16 * 8));
  CHECK(inside.layers[0].cycles.busy == figures.layers[0].cycles.busy);
}

TEST_CASE("a scratchpad keeps a tensor between layers: DRAM moves exactly that tensor less") {
  // features -> fc1 -> 2 x 32 -> fc2: written once and read once, at 8 bits.
  const Network network = workload("tiny_mlp");
  const WidthPlan widths = resolve_widths(network, parse_uniform_assignment("w8a8"));
  Accelerator machine = roomy_machine();
  Scratchpad scratchpad;
  scratchpad.capacity = Bytes(64);
  scratchpad.bandwidth = 64;
  machine.memory.scratchpad = scratchpad;
  machine.tiling.fixed["fc1"] = {.batch = 2, .out_channels = 32, .in_channels = 16};
  machine.tiling.fixed["fc2"] = {.batch = 2, .out_channels = 8, .in_channels = 32};
  const auto run = [&] { return simulated(network, widths, machine, example_energy()); };
  const Figures kept = run();
  machine.memory.keep_on_chip = false;
  const Figures fetched = run();
  CHECK(fetched.dram_write() - kept.dram_write() == Bytes(2 * 32));
  CHECK(fetched.dram_read() - kept.dram_read() == Bytes(2 * 32));
  CHECK(kept.layers[0].activity.scratchpad_write == Bits(2 * 32 * 8));
  CHECK(kept.layers[1].activity.scratchpad_read == Bits(2 * 32 * 8));
  CHECK(kept.latency() < fetched.latency());
  // One byte too small.
  machine.memory.keep_on_chip = true;
  machine.memory.scratchpad->capacity = Bytes(63);
  CHECK(same(run(), fetched));
}

TEST_CASE("two runs of the same input give the same bytes") {
  const Network network = workload("tiny_cnn");
  const WidthPlan widths = resolve_widths(network, parse_uniform_assignment("w3a5"));
  const Accelerator machine = shipped("systolic_16x16_int8");
  const EnergyTable energy = energy_of(machine);
  const auto run = [&](const std::string& trace) {
    return simulated(network, widths, machine, energy, trace_to(trace));
  };
  const Figures first = run("same_bytes_1.json");
  const Figures second = run("same_bytes_2.json");
  CHECK(same(first, second));
  CHECK_FALSE(file_text("same_bytes_1.json").empty());
  CHECK(file_text("same_bytes_1.json") == file_text("same_bytes_2.json"));
  std::filesystem::remove("same_bytes_1.json");
  std::filesystem::remove("same_bytes_2.json");
}

TEST_CASE("in the timeline units do one thing at a time, and the array's slices are its cycles") {
  for (const char* name : {"systolic_16x16_int8", "bitfusion_16x32", "unpu"}) {
    INFO(name);
    const Network network = workload("tiny_cnn");
    const WidthPlan widths = resolve_widths(network, parse_uniform_assignment("w4a4"));
    const Accelerator machine = shipped(name);
    const std::string path = std::string("timeline_") + name + ".json";
    const Figures figures = simulated(network, widths, machine, energy_of(machine), trace_to(path));
    const auto trace = nlohmann::json::parse(file_text(path));
    std::map<int, std::string> tracks;
    struct Slice {
      double from, to;
    };
    std::map<std::string, std::vector<Slice>> slices;
    double preload_us = 0;
    double array_cycles = 0;
    for (const auto& event : trace.at("traceEvents")) {
      if (event.at("ph") == "M" && event.at("name") == "thread_name") {
        tracks[event.at("tid")] = event.at("args").at("name");
      }
      if (event.at("ph") != "X") continue;
      const double from = event.at("ts");
      const double duration = event.at("dur");
      CHECK(duration > 0);
      const std::string track = tracks.at(event.at("tid"));
      slices[track].push_back({from, from + duration});
      if (event.at("name") == "preloads weights") preload_us += duration;
      if (track == "array") array_cycles += event.at("args").at("cycles").get<double>();
    }
    const double cycle_us = 1e6 / machine.clock.count();
    constexpr double kPrinted = 1e-6;  // microseconds with six digits
    for (const char* track : {"layer", "array", "array waits", "post-processing"}) {
      auto& list = slices[track];
      REQUIRE_FALSE(list.empty());
      std::sort(list.begin(), list.end(),
                [](const Slice& a, const Slice& b) { return a.from < b.from; });
      for (std::size_t i = 1; i < list.size(); ++i)
        CHECK(list[i].from >= list[i - 1].to - 2 * kPrinted);
    }
    // The array and its waits do not overlap either.
    auto both = slices["array"];
    both.insert(both.end(), slices["array waits"].begin(), slices["array waits"].end());
    std::sort(both.begin(), both.end(),
              [](const Slice& a, const Slice& b) { return a.from < b.from; });
    for (std::size_t i = 1; i < both.size(); ++i)
      CHECK(both[i].from >= both[i - 1].to - 2 * kPrinted);

    Cycles active;
    for (const LayerFigures& layer : figures.layers) {
      active += layer.cycles.busy + layer.cycles.fill + layer.cycles.drain;
    }
    double array_us = 0;
    for (const Slice& slice : slices["array"]) array_us += slice.to - slice.from;
    const auto parts = static_cast<double>(slices["array"].size() + slices["array waits"].size());
    CHECK(array_us + preload_us ==
          Approx(static_cast<double>(active.count()) * cycle_us).margin(2 * kPrinted * parts));
    CHECK(array_cycles * cycle_us + preload_us ==
          Approx(static_cast<double>(active.count()) * cycle_us).margin(2 * kPrinted * parts));
    // The layers fill the whole time.
    CHECK(slices["layer"].front().from == 0);
    CHECK(slices["layer"].back().to ==
          Approx(static_cast<double>(figures.latency().count()) * cycle_us));
    std::filesystem::remove(path);
  }
}

TEST_CASE("a run writes waveforms") {
  const Workload work = gemms({{8, 4, 16, {8, 8}}});
  const Figures with = play(work, roomy_machine(), waveforms_to("waveforms_test.vcd"));
  const std::string text = file_text("waveforms_test.vcd");
  CHECK(text.find("$enddefinitions") != std::string::npos);
  for (const char* signal : {"layer", "array_runs", "post_runs", "dma_input", "dma_output"}) {
    CHECK(text.find(std::string(" ") + signal) != std::string::npos);
  }
  CHECK(same(with, play(work, roomy_machine())));
  std::filesystem::remove("waveforms_test.vcd");
}

TEST_CASE("files that can not be written are the user's mistake") {
  const Workload work = gemms({{8, 4, 16, {8, 8}}});
  CHECK_THROWS_WITH(play(work, roomy_machine(), trace_to("/nowhere/trace.json")),
                    Catch::Contains("/nowhere/trace.json"));
  CHECK_THROWS_WITH(play(work, roomy_machine(), waveforms_to("/nowhere/waves.vcd")),
                    Catch::Contains("/nowhere/waves"));
}

TEST_CASE("buffers without a second half fetch and compute in turns") {
  const Workload work = gemms({{16, 8, 64, {8, 8}}});
  Accelerator machine = example_machine();
  const Figures twice = play(work, machine);
  for (Buffer* buffer : {&machine.memory.input_buffer, &machine.memory.weight_buffer,
                         &machine.memory.output_buffer}) {
    buffer->double_buffered = false;
    buffer->capacity = Bytes(buffer->capacity.count() / 2);  // tiles of the same size fit
  }
  const Figures once = play(work, machine);
  CHECK(once.latency() >= twice.latency());
  CHECK(closed(work, machine).latency() <= once.latency());
  // Nothing overlaps: all loads, all steps.
  CHECK(once.latency().count() >= once.dram_read().count() + once.layers[0].cycles.busy.count());
}

namespace {

/// A bit-serial array whose copies take output channels and whose rows take a vector's steps.
Engine random_serial_engine(Random& random) {
  Engine engine = example_machine().engine;
  engine.kind = EngineKind::bit_serial;
  engine.lanes = static_cast<int>(random(1, 9));
  engine.tiles = static_cast<int>(random(1, 3));
  engine.fold_stride_channels = static_cast<int>(random(1, 4));
  engine.fully_connected = random.coin() ? VectorMapping::staggered : VectorMapping::on_rows;
  engine.timing.folds = random.coin() ? FoldOverlap::pipelined : FoldOverlap::serial;
  engine.timing.drain = LinearCycles{.constant = static_cast<int>(random(0, 3))};
  if (random.coin()) {
    // Blocks of positions, columns in time, and everything in phases.
    engine.fully_connected = VectorMapping::on_rows;
    engine.position_block = PositionBlock{2, 2};
    engine.columns_in_time = random.coin();
    engine.blocks = static_cast<int>(random(1, 9));
    const auto any = [&] { return PhaseCycles{.constant = static_cast<int>(random(0, 9))}; };
    Phase& load = engine.timing.phases.emplace_back(Phase{.name = "load"});
    for (PhaseCycles& at : load.at) at = any();
    Phase& compute = engine.timing.phases.emplace_back(Phase{.name = "compute"});
    compute.at[static_cast<std::size_t>(PhaseEvent::step)] = {
        .kernel = 1, .output_passes = 2, .constant = 3, .stream = true};
  }
  return engine;
}

/// Random layers on random machines: closed form never above the simulation, the same busy cycles
/// and bytes; `close`: and within 5 % above 10,000 cycles.
void check_random(unsigned seed, int count, bool single_buffers, int least_requests, bool close,
                  bool serial = false) {
  Random random(seed);
  Random accumulators(seed + 100);
  const EnergyTable energy = example_energy();
  for (int i = 0; i < count; ++i) {
    Accelerator machine = example_machine();
    machine.engine.dataflow = static_cast<Dataflow>(random(0, 2));
    machine.engine.timing = EngineTiming{};
    machine.engine.timing.folds = random.coin() ? FoldOverlap::pipelined : FoldOverlap::serial;
    machine.engine.reduction = static_cast<Reduction>(random(0, 2));
    if (serial) machine.engine = random_serial_engine(random);
    Memory& memory = machine.memory;
    memory.dram.bandwidth = static_cast<double>(random(1, 60));
    memory.dram.latency = Cycles(random(0, 80));
    memory.dram.burst = Bytes(random.pick<std::int64_t>({1, 8, 64}));
    memory.dram.request = Bytes(random.pick<std::int64_t>({64, 512, 2048}));
    memory.dram.outstanding = static_cast<int>(random(least_requests, 8));
    for (Buffer* buffer : {&memory.input_buffer, &memory.weight_buffer, &memory.output_buffer}) {
      buffer->capacity = Bytes(random(500, 3000));
      buffer->double_buffered = !single_buffers || random.coin();
      if (random(0, 3) == 0 && buffer != &memory.output_buffer) {
        buffer->write_port = static_cast<double>(random(8, 100));
      }
    }
    memory.input_layout = random.coin() ? InputLayout::raw : InputLayout::im2col;
    memory.read_initial_sums = random.coin();
    memory.fetch_padding = random.coin();
    machine.post_processing.lanes = static_cast<int>(random(1, 8));
    const LayerWidths widths{static_cast<int>(random(1, 8)), static_cast<int>(random(1, 8))};
    Workload work = random_layer(random, 12, 12, widths);
    if (serial && random.coin()) {
      const Shape vectors = {random(1, 3), random(1, 300)};
      work = single(infer_fully_connected(vectors, random(1, 300)), vectors, widths);
    }
    if (i % 2 == 0) work.widths.accumulators = {static_cast<int>(accumulators(2, 32))};
    const CostReport report = analytic_cost(work.network, work.widths, machine, energy);
    INFO(i << ": " << test::describe(*work.network.layers()[0].compute) << " w"
           << work.widths.layers[0].weight << "a" << work.widths.layers[0].activation << ", "
           << test::describe(*report.layers[0].tile) << ", " << to_string(machine.engine.dataflow)
           << ", " << report.layers[0].bottleneck << "; " << memory_text(memory) << ", post lanes "
           << machine.post_processing.lanes);
    const LayerFigures played = simulated(work.network, work.widths, machine, energy).layers[0];
    const LayerCost& layer = report.layers[0];
    CHECK(layer.latency <= played.latency);
    CHECK(played.cycles.total() == played.latency);
    CHECK(layer.cycles.busy == played.cycles.busy);
    CHECK(layer.activity.dram_read == played.activity.dram_read);
    CHECK(layer.activity.dram_write == played.activity.dram_write);
    if (close && played.latency.count() > 10000) CHECK(played.latency / layer.latency <= 4.0 / 3);
  }
}

}  // namespace

TEST_CASE("a narrow input port behind a memory's latency is no slower in closed form than played") {
  // Depthwise, 60 steps of 100 array cycles; an input tile takes 89 cycles through its port.
  Accelerator machine = example_machine();
  machine.engine.dataflow = Dataflow::weight_stationary;
  machine.engine.timing = EngineTiming{};
  Memory& memory = machine.memory;
  memory.dram.bandwidth = 27;
  memory.dram.latency = Cycles(34);
  memory.dram.request = Bytes(512);
  memory.dram.outstanding = 3;
  memory.input_buffer.capacity = Bytes(749);
  memory.input_buffer.write_port = 27;
  memory.weight_buffer.capacity = Bytes(1688);
  memory.output_buffer.capacity = Bytes(2712);
  memory.input_layout = InputLayout::im2col;
  machine.post_processing.lanes = 6;
  machine.tiling.fixed["layer"] = {.out_h = 1, .out_w = 4};
  Window window;
  for (const int axis : {0, 1}) {
    window.kernel[axis] = 5;
    window.pad_begin[axis] = window.pad_end[axis] = 2;
  }
  window.stride[0] = 2;
  const Shape input = {1, 6, 9, 7};
  const Workload work = single(infer_convolution(input, 6, 6, window), input, {4, 6});
  const Figures figures = play(work, machine);
  CHECK(closed(work, machine).latency() <= figures.latency());
  CHECK(figures.latency().count() >= 60 * 100 - 1);
}

TEST_CASE(
    "random layers and machines: closed form never above the simulation, same cycles and bytes") {
  check_random(8, 4000, false, 1, false);
}

TEST_CASE(
    "random tiny machines with four requests in flight agree within a third above 10,000 "
    "cycles") {
  check_random(9, 2000, false, 4, true);
}

TEST_CASE("random bit-serial machines with copies, folded inputs, staggered vectors and phases") {
  check_random(34, 2000, false, 4, false, true);
}

TEST_CASE("random machines with buffers of one tile: closed form never above the simulation") {
  check_random(10, 1000, true, 1, false);
}
