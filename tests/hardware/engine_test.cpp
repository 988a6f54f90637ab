// The compute engines: how widths become passes and products, and closed forms of time against
// loops that play every fold.
#include "models/hardware/engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace widthwise;

namespace {

constexpr BitWidth kWidest = 16;

Engine bit_fusion() {
  Engine engine;
  engine.scaling = Scaling::fusion;
  engine.max_bits = 8;
  engine.supported_bits = {2, 4, 8};
  return engine;
}

Engine serial_engine(SerialOperand serial) {
  Engine engine;
  engine.kind = EngineKind::bit_serial;
  engine.serial = serial;
  engine.lanes = 64;
  return engine;
}

WidthMode mode_of(const Engine& engine, BitWidth weight, BitWidth activation) {
  const auto mode = width_mode(engine, {weight, activation});
  INFO("w" << weight << "a" << activation);
  REQUIRE(mode);
  return *mode;
}

template <class Check>
void at_all_widths(Check check) {
  for (BitWidth weight = 1; weight <= kWidest; ++weight) {
    for (BitWidth activation = 1; activation <= kWidest; ++activation) {
      INFO("w" << weight << "a" << activation);
      check(weight, activation);
    }
  }
}

}  // namespace

TEST_CASE("a fusion PE makes Bit Fusion's nine combinations") {
  struct Factor {
    BitWidth weight, activation;
    std::int64_t products;
  };
  constexpr Factor kNine[] = {{2, 2, 16}, {2, 4, 8}, {2, 8, 4}, {4, 2, 8}, {4, 4, 4},
                              {4, 8, 2},  {8, 2, 4}, {8, 4, 2}, {8, 8, 1}};
  for (const Factor& factor : kNine) {
    INFO("w" << factor.weight << "a" << factor.activation);
    const WidthMode mode = mode_of(bit_fusion(), factor.weight, factor.activation);
    CHECK(mode.products == factor.products);
    CHECK(mode.passes == 1);
    CHECK(mode.computed == LayerWidths{factor.weight, factor.activation});
    CHECK(mode.operation == LayerWidths{factor.weight, factor.activation});
    CHECK(mode.operations_per_mac == 1);
  }
}

TEST_CASE("a fusion PE rounds widths up to those it splits into: 1 to 2, 3 to 4, 5, 6 and 7 to 8") {
  constexpr BitWidth kRounded[] = {2, 2, 4, 4, 8, 8, 8, 8};
  for (BitWidth weight = 1; weight <= 8; ++weight) {
    for (BitWidth activation = 1; activation <= 8; ++activation) {
      const WidthMode mode = mode_of(bit_fusion(), weight, activation);
      const BitWidth w = kRounded[weight - 1];
      const BitWidth a = kRounded[activation - 1];
      CHECK(mode.computed == LayerWidths{w, a});
      CHECK(mode.products == (8 / w) * (8 / a));
      CHECK(mode.weight_bits_per_pass == w);
      CHECK(mode.activation_bits_per_pass == a);
    }
  }
}

TEST_CASE("operands wider than the PE are split over passes of equal pieces") {
  Engine engine = bit_fusion();
  engine.temporal = true;
  at_all_widths([&](BitWidth weight, BitWidth activation) {
    const WidthMode mode = mode_of(engine, weight, activation);
    CHECK(mode.weight_passes == (weight > 8 ? 2 : 1));
    CHECK(mode.activation_passes == (activation > 8 ? 2 : 1));
    CHECK(mode.passes == mode.weight_passes * mode.activation_passes);
    // Halves of 9 to 16 bits have 5 to 8 bits: one product each.
    if (weight > 8 && activation > 8) {
      CHECK(mode.products == 1);
      CHECK(mode.computed == LayerWidths{16, 16});
      CHECK(mode.operations_per_mac == 4);
    }
  });
  engine.max_bits = 4;
  engine.supported_bits = {1, 2, 4};
  constexpr std::int64_t kPasses[] = {1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4};
  // ceil(bits / passes): 1 2 3 4, 3 3 4 4, 3 4 4 4, 4 4 4 4, rounded up to 1, 2 or 4.
  constexpr BitWidth kPiece[] = {1, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4};
  for (BitWidth bits = 1; bits <= kWidest; ++bits) {
    INFO(bits << " bits");
    const WidthMode mode = mode_of(engine, bits, 4);
    CHECK(mode.passes == kPasses[bits - 1]);
    CHECK(mode.weight_bits_per_pass == kPiece[bits - 1]);
    CHECK(mode.computed.weight == kPasses[bits - 1] * kPiece[bits - 1]);
    CHECK(mode.products == 4 / kPiece[bits - 1]);
  }
}

TEST_CASE("without temporal passes a width above the PE's is not supported, the PE's own is") {
  for (const Scaling scaling : {Scaling::fixed, Scaling::fusion, Scaling::subword}) {
    Engine engine = bit_fusion();
    engine.scaling = scaling;
    CHECK(width_mode(engine, {8, 8}));
    CHECK_FALSE(width_mode(engine, {9, 8}));
    CHECK_FALSE(width_mode(engine, {8, 9}));
    engine.temporal = true;
    CHECK(width_mode(engine, {9, 8}));
    CHECK(width_mode(engine, {16, 16}));
  }
}

TEST_CASE("a fixed PE does one product of its own width whatever is asked") {
  Engine engine;
  engine.max_bits = 8;
  engine.temporal = true;
  at_all_widths([&](BitWidth weight, BitWidth activation) {
    const WidthMode mode = mode_of(engine, weight, activation);
    const int weight_passes = weight > 8 ? 2 : 1;
    const int activation_passes = activation > 8 ? 2 : 1;
    CHECK(mode.products == 1);
    CHECK(mode.passes == weight_passes * activation_passes);
    CHECK(mode.operation == LayerWidths{8, 8});
    CHECK(mode.computed == LayerWidths{8 * weight_passes, 8 * activation_passes});
    CHECK(mode.operations_per_mac == weight_passes * activation_passes);
  });
}

TEST_CASE("a sub-word parallel PE splits both operands at the wider of the two") {
  Engine engine;
  engine.scaling = Scaling::subword;
  engine.max_bits = 16;
  engine.supported_bits = {4, 8, 16};
  at_all_widths([&](BitWidth weight, BitWidth activation) {
    const WidthMode mode = mode_of(engine, weight, activation);
    const BitWidth wider = std::max(weight, activation);
    const BitWidth split = wider <= 4 ? 4 : wider <= 8 ? 8 : 16;
    CHECK(mode.products == 16 / split);
    CHECK(mode.passes == 1);
    CHECK(mode.operation == LayerWidths{split, split});
    CHECK(mode.computed == LayerWidths{split, split});
  });
}

TEST_CASE("a bit-serial engine takes w a, w or a passes by its serial operand") {
  at_all_widths([](BitWidth weight, BitWidth activation) {
    const WidthMode both = mode_of(serial_engine(SerialOperand::both), weight, activation);
    const WidthMode weights = mode_of(serial_engine(SerialOperand::weights), weight, activation);
    const WidthMode activations =
        mode_of(serial_engine(SerialOperand::activations), weight, activation);
    CHECK(both.passes == weight * activation);
    CHECK(weights.passes == weight);
    CHECK(activations.passes == activation);
    for (const WidthMode* mode : {&both, &weights, &activations}) {
      CHECK(mode->products == 64);
      CHECK(mode->operations_per_mac == static_cast<double>(mode->passes));
      CHECK(mode->computed == LayerWidths{weight, activation});
      CHECK(mode->passes == mode->weight_passes * mode->activation_passes);
    }
    CHECK(both.operation == LayerWidths{1, 1});
    CHECK(weights.operation == LayerWidths{1, 16});
    CHECK(activations.operation == LayerWidths{16, 1});
    CHECK(weights.activation_bits_per_pass == activation);
    CHECK(activations.weight_bits_per_pass == weight);
  });
}

TEST_CASE("a sign plane adds one pass over the weights") {
  Engine engine = serial_engine(SerialOperand::both);
  engine.sign_plane = true;
  at_all_widths([&](BitWidth weight, BitWidth activation) {
    const WidthMode mode = mode_of(engine, weight, activation);
    CHECK(mode.weight_passes == weight + 1);
    CHECK(mode.passes == (weight + 1) * activation);
    CHECK(mode.computed == LayerWidths{weight, activation});
  });
}

TEST_CASE("several bits a cycle divide the passes, rounded up") {
  for (const int weight_bits : {1, 2, 3, 4}) {
    for (const int activation_bits : {1, 2, 4}) {
      Engine engine = serial_engine(SerialOperand::both);
      engine.weight_bits_per_cycle = weight_bits;
      engine.activation_bits_per_cycle = activation_bits;
      at_all_widths([&](BitWidth weight, BitWidth activation) {
        const WidthMode mode = mode_of(engine, weight, activation);
        const int weight_passes = (weight + weight_bits - 1) / weight_bits;
        const int activation_passes = (activation + activation_bits - 1) / activation_bits;
        CHECK(mode.passes == weight_passes * activation_passes);
        CHECK(mode.computed ==
              LayerWidths{weight_passes * weight_bits, activation_passes * activation_bits});
        CHECK(mode.operation == LayerWidths{weight_bits, activation_bits});
      });
    }
  }
}

TEST_CASE("a parallel operand wider than the unit takes several passes") {
  Engine engine = serial_engine(SerialOperand::weights);
  engine.parallel_bits = 8;
  CHECK(mode_of(engine, 3, 8).passes == 3);
  CHECK(mode_of(engine, 3, 9).passes == 6);
  CHECK(mode_of(engine, 3, 16).passes == 6);
}

TEST_CASE("a bit-serial engine computes up to its greatest widths and not beyond") {
  Engine engine = serial_engine(SerialOperand::both);
  engine.max_weight_bits = 5;
  engine.max_activation_bits = 7;
  CHECK(width_mode(engine, {5, 7}));
  CHECK_FALSE(width_mode(engine, {6, 7}));
  CHECK_FALSE(width_mode(engine, {5, 8}));
  CHECK(supported_widths(engine) == "weights of 1..5 and activations of 1..7 bits");
}

// --- time
// -------------------------------------------------------------------------------------------

namespace {

/// An engine with its timing written out, and what runs on it.
struct Case {
  Engine engine;
  LayerWidths widths;
  std::int64_t m = 1, n = 1, channels = 1, kernel = 1;
  bool im2col = false;
  std::int64_t folded = 1, folded_kernel = 1;  // pixels of a stride, kernel positions then
  bool vectors = false;
  BitWidth stored_input = 8;
  EnginePorts ports;
};

/// Plays tiles fold by fold and step by step; shares no formula with the engine but its widths.
class Loops {
 public:
  explicit Loops(const Case& what) : c_(what), mode_(*width_mode(what.engine, what.widths)) {
    const Engine& e = c_.engine;
    serial_ = e.kind == EngineKind::bit_serial;
    k_in_time_ = serial_ || e.dataflow == Dataflow::output_stationary;
    lanes_ = k_in_time_ ? mode_.products : mode_.products * e.rows;
    const EngineTiming& t = e.timing;
    load_ = linear(*t.load, 0);
    if (!k_in_time_ && load_ > 0) {
      // The stationary operand's port may be slower than the array takes it.
      const bool inputs_stay = e.dataflow == Dataflow::input_stationary;
      const auto& port = inputs_stay ? c_.ports.input : c_.ports.weight;
      const std::int64_t held =
          std::min<std::int64_t>(e.columns * e.tiles, inputs_stay ? c_.m : c_.n);
      const std::int64_t bits = inputs_stay ? input_bits() : mode_.weight_bits_per_pass;
      const std::int64_t fold = std::min(lanes_, terms(c_.channels)) * held * bits;
      if (port)
        load_ = std::max(load_,
                         static_cast<std::int64_t>(std::ceil(static_cast<double>(fold) / *port)));
    }
  }

  struct Time {
    std::int64_t busy = 0;   // steps
    std::int64_t wait = 0;   // further cycles of steps that a port is too narrow for
    std::int64_t other = 0;  // everything else
    [[nodiscard]] std::int64_t total() const { return busy + wait + other; }
  };

  /// All folds of a tile, each with all that it may cost.
  Time tile(std::int64_t m, std::int64_t n, std::int64_t channels) {
    Time time;
    const Engine& e = c_.engine;
    if (c_.vectors && e.fully_connected == VectorMapping::staggered) {
      for (std::int64_t vector = 0; vector < m; ++vector) add_staggered(time, n, channels);
      return time;
    }
    if (k_in_time_) {
      for (std::int64_t row = 0; row < m; row += e.rows) {
        for (std::int64_t column = 0; column < n; column += e.columns * e.tiles) {
          const std::int64_t used = std::min<std::int64_t>(e.columns, n - column);
          std::int64_t inside = 0;
          for (std::int64_t pass = 0; pass < mode_.passes; ++pass) {
            const std::int64_t before = time.busy + time.wait;
            for_each_step(channels, [&](std::int64_t lanes) { step(time, lanes); });
            const std::int64_t stream = time.busy + time.wait - before;
            last_stream_ = stream;
            last_before_ = inside;
            time.other += padded(stream) - stream + e.timing.fold_gap;
            inside += padded(stream) + e.timing.fold_gap;
          }
          time.other += around(inside, used);
        }
      }
      return time;
    }
    const bool inputs_stay = e.dataflow == Dataflow::input_stationary;
    const std::int64_t across = inputs_stay ? m : n;
    const std::int64_t along = inputs_stay ? n : m;
    for (std::int64_t pass = 0; pass < mode_.passes; ++pass) {
      for (std::int64_t column = 0; column < across; column += e.columns * e.tiles) {
        const std::int64_t used = std::min<std::int64_t>(e.columns, across - column);
        for_each_step(channels, [&](std::int64_t lanes) {
          const std::int64_t before = time.busy + time.wait;
          for (std::int64_t i = 0; i < along; ++i) step(time, lanes);
          const std::int64_t stream = time.busy + time.wait - before;
          last_stream_ = stream;
          last_before_ = 0;
          time.other +=
              padded(stream) - stream + e.timing.fold_gap + around(padded(stream) + 0, used);
        });
      }
    }
    return time;
  }

  /// A layer of one tile from its first operand to its last result.
  std::int64_t layer(std::int64_t m, std::int64_t n, std::int64_t channels) {
    const EngineTiming& t = c_.engine.timing;
    std::int64_t total = tile(m, n, channels).total();
    if (t.folds == FoldOverlap::serial) return total - t.fold_gap;
    const std::int64_t across =
        !k_in_time_ && c_.engine.dataflow == Dataflow::input_stationary ? m : n;
    const std::int64_t used = std::min<std::int64_t>(c_.engine.columns, across);
    // The last fold has no successor: no gap, no padding, no load of weights that do not come.
    const std::int64_t last =
        k_in_time_ ? last_before_ + padded(last_stream_) + t.fold_gap : padded(last_stream_);
    const std::int64_t gap = k_in_time_ ? 0 : t.fold_gap;
    const std::int64_t whole = (*t.load_hidden ? std::max(last, load_) : last + load_) + gap;
    const std::int64_t needed =
        last_before_ + (t.pad_last_block ? padded(last_stream_) : last_stream_);
    total += needed - whole;
    return load_ + linear(*t.fill, used) + total + linear(*t.drain, used);
  }

 private:
  [[nodiscard]] std::int64_t linear(const LinearCycles& l, std::int64_t used) const {
    return l.rows * c_.engine.rows + l.columns * c_.engine.columns + l.used_columns * used +
           l.constant;
  }
  [[nodiscard]] std::int64_t input_bits() const {
    return serial_ ? mode_.activation_bits_per_pass
                   : (c_.stored_input + mode_.activation_passes - 1) / mode_.activation_passes;
  }
  [[nodiscard]] std::int64_t terms(std::int64_t channels) const {
    return c_.im2col ? channels * c_.kernel : channels * c_.folded;
  }
  [[nodiscard]] std::int64_t positions() const {
    if (c_.im2col) return 1;
    return c_.folded > 1 ? c_.folded_kernel : c_.kernel;
  }
  [[nodiscard]] std::int64_t padded(std::int64_t stream) const {
    const std::int64_t block = c_.engine.timing.stream_block.value_or(c_.engine.rows);
    return (stream + block - 1) / block * block;
  }

  /// One vector: every cycle may issue the next step, to the next row if that is free.
  void add_staggered(Time& time, std::int64_t n, std::int64_t channels) {
    const Engine& e = c_.engine;
    const std::int64_t columns = e.columns * e.tiles;
    const auto play = [&](std::int64_t interval) {
      std::vector<std::int64_t> free_at(static_cast<std::size_t>(e.rows), 0);
      std::int64_t next = 0;
      std::int64_t done = 0;
      std::size_t row = 0;
      for (std::int64_t column = 0; column < n; column += columns) {
        for_each_step(channels, [&](std::int64_t) {
          const std::int64_t at = std::max(next, free_at[row]);
          done = free_at[row] = at + mode_.passes;
          next = at + interval;
          row = (row + 1) % free_at.size();
        });
      }
      return done;
    };
    std::int64_t interval = 1;
    const auto limit = [&](std::int64_t bits, const std::optional<double>& port) {
      if (!port) return;
      const std::int64_t lanes = std::min(lanes_, terms(c_.channels));
      const double cycles = std::ceil(static_cast<double>(lanes * bits) / *port);
      interval = std::max(interval, static_cast<std::int64_t>(cycles));
    };
    limit(input_bits() * mode_.passes, c_.ports.input);
    limit(mode_.weight_bits_per_pass * mode_.weight_passes * std::min(columns, c_.n),
          c_.ports.weight);
    const std::int64_t busy = play(1);
    const std::int64_t stream = play(interval);
    last_stream_ = stream;
    last_before_ = 0;
    time.busy += busy;
    time.wait += stream - busy;
    time.other += padded(stream) - stream + e.timing.fold_gap +
                  around(padded(stream) + e.timing.fold_gap, std::min<std::int64_t>(e.columns, n));
  }

  /// Cycles of a fold beside its stream and its gap.
  [[nodiscard]] std::int64_t around(std::int64_t stream, std::int64_t used) const {
    const EngineTiming& t = c_.engine.timing;
    if (t.folds == FoldOverlap::serial)
      return load_ + linear(*t.fill, used) + linear(*t.drain, used);
    return *t.load_hidden ? std::max<std::int64_t>(0, load_ - stream) : load_;
  }

  template <class Step>
  void for_each_step(std::int64_t channels, Step step) const {
    for (std::int64_t position = 0; position < positions(); ++position) {
      for (std::int64_t term = 0; term < terms(channels); term += lanes_) {
        step(std::min(lanes_, terms(channels) - term));
      }
    }
  }

  /// One step: as many cycles as the slower port takes for its operands.
  void step(Time& time, std::int64_t lanes) const {
    const Engine& e = c_.engine;
    std::int64_t input = 0;
    std::int64_t weight = 0;
    const std::int64_t columns = std::min<std::int64_t>(e.columns * e.tiles, c_.n);
    if (k_in_time_) {
      input = lanes * std::min<std::int64_t>(e.rows, c_.m) * input_bits();
      weight = lanes * columns * mode_.weight_bits_per_pass;
    } else if (e.dataflow == Dataflow::weight_stationary) {
      input = lanes * input_bits();
      if (e.weights == WeightDelivery::streamed)
        weight = lanes * columns * mode_.weight_bits_per_pass;
    } else {
      weight = lanes * mode_.weight_bits_per_pass;
    }
    std::int64_t cycles = 1;
    const auto limit = [&](std::int64_t bits, const std::optional<double>& port) {
      if (port)
        cycles = std::max(cycles,
                          static_cast<std::int64_t>(std::ceil(static_cast<double>(bits) / *port)));
    };
    limit(input, c_.ports.input);
    limit(weight, c_.ports.weight);
    ++time.busy;
    time.wait += cycles - 1;
  }

  Case c_;
  WidthMode mode_;
  bool serial_ = false, k_in_time_ = false;
  std::int64_t lanes_ = 1, load_ = 0;
  std::int64_t last_stream_ = 0, last_before_ = 0;
};

class Random {
 public:
  explicit Random(unsigned seed) : generator_(seed) {}
  std::int64_t operator()(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(generator_);
  }
  bool coin() { return (*this)(0, 1) == 1; }

 private:
  std::mt19937 generator_;
};

Case random_case(Random& random) {
  Case what;
  Engine& e = what.engine;
  e.rows = static_cast<int>(random(1, 6));
  e.columns = static_cast<int>(random(1, 6));
  if (random(0, 3) == 0) {
    e = serial_engine(static_cast<SerialOperand>(random(0, 2)));
    e.rows = static_cast<int>(random(1, 6));
    e.columns = static_cast<int>(random(1, 6));
    e.lanes = static_cast<int>(random(1, 9));
    e.fully_connected = static_cast<VectorMapping>(random(0, 1));
    what.widths = {static_cast<int>(random(1, 4)), static_cast<int>(random(1, 4))};
  } else {
    e.dataflow = static_cast<Dataflow>(random(0, 2));
    e.weights = random.coin() ? WeightDelivery::preloaded : WeightDelivery::streamed;
    e.scaling = static_cast<Scaling>(random(0, 2));
    e.supported_bits = {2, 4, 8};
    e.temporal = true;
    what.widths = {static_cast<int>(random(1, 16)), static_cast<int>(random(1, 16))};
  }
  EngineTiming& t = e.timing;
  t.folds = random.coin() ? FoldOverlap::pipelined : FoldOverlap::serial;
  t.load_hidden = random.coin();
  t.load = LinearCycles{.rows = static_cast<int>(random(0, 1)),
                        .constant = static_cast<int>(random(0, 3))};
  t.fill = LinearCycles{.rows = static_cast<int>(random(0, 1)),
                        .columns = static_cast<int>(random(0, 1))};
  t.drain = LinearCycles{.rows = static_cast<int>(random(0, 2)),
                         .columns = static_cast<int>(random(0, 1)),
                         .used_columns = static_cast<int>(random(0, 1)),
                         .constant = static_cast<int>(random(0, 3))};
  t.stream_block = static_cast<int>(random(1, 4));
  if (random(0, 3) == 0) t.stream_block.reset();  // the rows of the array
  t.pad_last_block = random.coin();
  t.fold_gap = static_cast<int>(random(0, 3));
  what.m = random(1, 30);
  what.n = random(1, 30);
  what.channels = random(1, 40);
  what.kernel = random(1, 4);
  what.im2col = random.coin();
  if (!what.im2col && random.coin()) {
    what.folded = random(2, 4);
    what.folded_kernel = random(1, 3);
  }
  if (e.kind == EngineKind::bit_serial || e.dataflow != Dataflow::input_stationary)
    e.tiles = static_cast<int>(random(1, 3));
  what.vectors = e.kind == EngineKind::bit_serial && random.coin();
  if (what.vectors) what.kernel = what.folded = 1;
  what.stored_input = static_cast<BitWidth>(random(what.widths.activation, 16));
  return what;
}

void add_ports(Case& what, Random& random) {
  if (random.coin()) what.ports.input = static_cast<double>(random(1, 64));
  if (random.coin() || !what.ports.input) what.ports.weight = static_cast<double>(random(1, 64));
}

LayerTiming timing_of(const Case& what) {
  EngineWork work;
  work.m = what.m;
  work.n = what.n;
  work.channels = what.channels;
  work.kernel = what.kernel;
  work.im2col = what.im2col;
  work.folded = what.folded;
  work.folded_kernel = what.folded_kernel;
  work.vectors = what.vectors;
  work.stored_input = what.stored_input;
  return LayerTiming(what.engine, *width_mode(what.engine, what.widths), work, what.ports);
}

std::string describe(const Case& what) {
  const Engine& e = what.engine;
  std::string text = e.kind == EngineKind::bit_serial ? "serial" : "array";
  text += " dataflow " + std::to_string(static_cast<int>(e.dataflow)) + " " +
          std::to_string(e.rows) + "x" + std::to_string(e.columns) + " lanes " +
          std::to_string(e.lanes) +
          (e.timing.folds == FoldOverlap::serial ? " folds in turn" : " folds pipelined") +
          (*e.timing.load_hidden ? " load hidden" : " load shown") + " m " +
          std::to_string(what.m) + " n " + std::to_string(what.n) + " channels " +
          std::to_string(what.channels) + " kernel " + std::to_string(what.kernel) +
          (what.im2col ? " im2col" : "") + " tiles " + std::to_string(e.tiles) + " folded " +
          std::to_string(what.folded) + (what.vectors ? " vectors" : "") +
          (e.fully_connected == VectorMapping::staggered ? " staggered" : "") + " w" +
          std::to_string(what.widths.weight) + "a" + std::to_string(what.widths.activation);
  return text;
}

bool is_staggered(const Case& what) {
  return what.vectors && what.engine.fully_connected == VectorMapping::staggered;
}

/// Cuts an extent into random parts, all but the last a multiple of `step`; even ones where only
/// the last may differ.
std::vector<std::int64_t> random_parts(std::int64_t extent, std::int64_t step, bool even,
                                       Random& random) {
  std::vector<std::int64_t> parts;
  while (extent > 0) {
    const std::int64_t part = random(1, (extent + step - 1) / step) * step;
    parts.push_back(std::min(extent, even && !parts.empty() ? parts.front() : part));
    extent -= parts.back();
  }
  return parts;
}

void check_tiles(const Case& what, std::int64_t channel_step, Random& random) {
  INFO(describe(what));
  const LayerTiming timing = timing_of(what);
  Loops loops(what);
  // One tile.
  const MSums m = timing.m_sums(what.m);
  const NSums n = timing.n_sums(what.n);
  const KSums k = timing.k_sums(what.channels);
  const Loops::Time whole = loops.tile(what.m, what.n, what.channels);
  CHECK(timing.total_cycles(m, n, k) == whole.total());
  const EngineCycles cycles = timing.cycles(m, n, k);
  CHECK(cycles.busy == whole.busy);
  CHECK(cycles.wait_input + cycles.wait_weight == whole.wait);
  CHECK(cycles.fill + cycles.drain == whole.other);
  CHECK(timing.start_cycles() + timing.total_cycles(m, n, k) -
            timing.last_tile_credit(what.m, what.n, what.channels) + timing.finish_cycles() ==
        loops.layer(what.m, what.n, what.channels));
  // Any tiles: the sums over each axis give the sum over all combinations.
  MSums m_sum;
  NSums n_sum;
  KSums k_sum;
  const auto ms = random_parts(what.m, 1, is_staggered(what), random);
  const auto ns = random_parts(what.n, 1, is_staggered(what), random);
  const auto ks = random_parts(what.channels, channel_step, is_staggered(what), random);
  for (const std::int64_t part : ms) m_sum.add(timing.m_sums(part), 1);
  for (const std::int64_t part : ns) n_sum.add(timing.n_sums(part), 1);
  for (const std::int64_t part : ks) k_sum.add(timing.k_sums(part), 1);
  Loops::Time sum;
  std::int64_t tiles_busy = 0;
  for (const std::int64_t pm : ms) {
    for (const std::int64_t pn : ns) {
      for (const std::int64_t pk : ks) {
        const Loops::Time time = loops.tile(pm, pn, pk);
        sum.busy += time.busy;
        sum.wait += time.wait;
        sum.other += time.other;
        tiles_busy += timing.cycles(timing.m_sums(pm), timing.n_sums(pn), timing.k_sums(pk)).busy;
      }
    }
  }
  CHECK(timing.total_cycles(m_sum, n_sum, k_sum) == sum.total());
  const EngineCycles tiled = timing.cycles(m_sum, n_sum, k_sum);
  CHECK(tiled.busy == sum.busy);
  CHECK(tiled.busy == tiles_busy);
  CHECK(tiled.wait_input + tiled.wait_weight == sum.wait);
  CHECK(tiled.fill + tiled.drain == sum.other);
}

}  // namespace

TEST_CASE("time and busy cycles of any tiles are those of their folds played one by one") {
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    check_tiles(random_case(random), 1, random);
  }
}

TEST_CASE("narrow ports stretch each step to the slower port, with tiles of whole K-steps") {
  Random random(2);
  for (int i = 0; i < 2000; ++i) {
    Case what = random_case(random);
    add_ports(what, random);
    const std::int64_t lanes = timing_of(what).lanes_along_k();
    // Whole K-steps of im2col tiles: as many channels as fill the lanes with every kernel position.
    check_tiles(what, lanes, random);
  }
}

TEST_CASE("narrow ports never make a part of the time negative, whatever the tiles") {
  Random random(3);
  for (int i = 0; i < 2000; ++i) {
    Case what = random_case(random);
    add_ports(what, random);
    INFO(describe(what));
    const LayerTiming timing = timing_of(what);
    KSums k;
    for (const std::int64_t part : random_parts(what.channels, 1, is_staggered(what), random))
      k.add(timing.k_sums(part), 1);
    const EngineCycles cycles = timing.cycles(timing.m_sums(what.m), timing.n_sums(what.n), k);
    CHECK(cycles.busy > 0);
    CHECK(cycles.wait_input >= 0);
    CHECK(cycles.wait_weight >= 0);
    CHECK(cycles.fill >= 0);
    CHECK(cycles.drain >= 0);
  }
}

TEST_CASE("a port as wide as the array's demand costs nothing, one bit less costs a cycle a step") {
  Case what;
  what.engine.dataflow = Dataflow::output_stationary;
  what.engine.rows = 4;
  what.engine.columns = 3;
  what.engine.timing.load = what.engine.timing.fill = what.engine.timing.drain = LinearCycles{};
  what.m = 4;
  what.n = 3;
  what.channels = 10;
  const auto total = [&] {
    const LayerTiming timing = timing_of(what);
    return timing.total_cycles(timing.m_sums(4), timing.n_sums(3), timing.k_sums(10));
  };
  CHECK(total() == 10);
  what.ports.input = 4 * 8;  // rows x bits
  what.ports.weight = 3 * 8;
  CHECK(total() == 10);
  what.ports.input = 4 * 8 - 1;
  CHECK(total() == 20);
  what.ports.input = 4 * 8;
  what.ports.weight = 3 * 8 - 1;
  CHECK(total() == 20);
}

TEST_CASE("traffic of an array counts every operand once per use of the buffers") {
  // 2 x 2 blocks of outputs, K of 10: each input is read for each block of columns, each weight for
  // each block of rows.
  Case what;
  what.engine.dataflow = Dataflow::output_stationary;
  what.engine.rows = 4;
  what.engine.columns = 3;
  what.m = 8;
  what.n = 6;
  what.channels = 10;
  const LayerTiming stationary = timing_of(what);
  const auto traffic = [&](const LayerTiming& timing) {
    return timing.traffic(timing.m_sums(8), timing.n_sums(6), timing.k_sums(10));
  };
  CHECK(traffic(stationary).input_read == 8 * 10 * 2 * 8);
  CHECK(traffic(stationary).weight_read == 10 * 6 * 2 * 8);
  CHECK(traffic(stationary).sums_written == 8 * 6 * 32);
  CHECK(traffic(stationary).sums_read == 0);
  // Weight-stationary: each weight once, partial sums back and forth for each of three K-steps.
  what.engine.dataflow = Dataflow::weight_stationary;
  const LayerTiming weights = timing_of(what);
  CHECK(traffic(weights).input_read == 8 * 10 * 2 * 8);
  CHECK(traffic(weights).weight_read == 10 * 6 * 8);
  CHECK(traffic(weights).sums_written == 8 * 6 * 3 * 32);
  CHECK(traffic(weights).sums_read == 8 * 6 * 2 * 32);
}

TEST_CASE("groups share the array as long as columns and lanes last") {
  Engine engine;
  engine.kind = EngineKind::bit_serial;
  engine.rows = engine.columns = 16;
  engine.lanes = 256;
  ComputeShape shape;
  shape.groups = 100;
  shape.kernel_h = shape.kernel_w = 3;
  const auto pack = [&](bool im2col) {
    return groups_per_pack(engine, *width_mode(engine, {4, 4}), shape, im2col);
  };
  CHECK(pack(true) == 1);
  engine.groups = GroupMapping::block_diagonal;
  CHECK(pack(true) == 16);  // columns / 1, fewer than 256 / 9
  shape.out_channels = 5;
  CHECK(pack(true) == 3);  // 16 / 5
  shape.out_channels = 1;
  shape.in_channels = 4;
  CHECK(pack(true) == 7);    // 256 / 36
  CHECK(pack(false) == 16);  // 256 / 4 = 64
  shape.groups = 2;
  CHECK(pack(false) == 2);
  shape.groups = 100;
  shape.in_channels = 300;
  CHECK(pack(false) == 1);
}

namespace {

/// Plays the loops of an engine with phases and counts the cycles of each.
std::vector<std::int64_t> play_phases(const Engine& engine, const WidthMode& mode,
                                      const EngineWork& work, std::int64_t images,
                                      std::int64_t height, std::int64_t width, std::int64_t n,
                                      std::int64_t channels) {
  std::vector<std::int64_t> cycles(engine.timing.phases.size(), 0);
  const auto event = [&](PhaseEvent at) {
    for (std::size_t i = 0; i < cycles.size(); ++i) {
      const PhaseCycles& c = engine.timing.phases[i].at[static_cast<std::size_t>(at)];
      const int bits = engine.activation_bits_per_cycle;
      cycles[i] += c.kernel * work.kernel + c.constant +
                   c.output_passes * ((work.stored_output + bits - 1) / bits);
    }
  };
  const auto stream = [&] {
    for (std::size_t i = 0; i < cycles.size(); ++i) {
      if (engine.timing.phases[i].at[static_cast<std::size_t>(PhaseEvent::step)].stream)
        ++cycles[i];
    }
  };
  const auto block = engine.position_block.value_or(PositionBlock{1, engine.rows});
  event(PhaseEvent::tile);
  bool first_row = true;
  for (std::int64_t image = 0; image < images; ++image) {
    for (std::int64_t y = 0; y < height; y += block.height) {
      if (!std::exchange(first_row, false)) event(PhaseEvent::next_row);
      for (std::int64_t x = 0; x < width; x += block.width) {
        if (x > 0) event(PhaseEvent::next_column);
        for (std::int64_t column = 0; column < n; column += engine.columns * engine.tiles) {
          if (column > 0) event(PhaseEvent::next_channels);
          bool first_step = true;
          for (std::int64_t position = 0; position < work.kernel; position += engine.blocks) {
            for (std::int64_t channel = 0; channel < channels; channel += engine.lanes) {
              if (!std::exchange(first_step, false)) event(PhaseEvent::next_reduction);
              for (std::int64_t pass = 0; pass < mode.activation_passes; ++pass) {
                if (pass > 0) event(PhaseEvent::next_pass);
                event(PhaseEvent::step);
                const std::int64_t planes =
                    work.kernel < engine.blocks ? engine.blocks / work.kernel : 1;
                for (std::int64_t plane = 0; plane < mode.weight_passes; plane += planes) {
                  for (int i = 0; i < (engine.columns_in_time ? engine.columns : 1); ++i) stream();
                }
              }
            }
          }
          event(PhaseEvent::fold);
        }
      }
    }
  }
  return cycles;
}

}  // namespace

TEST_CASE("phases take the cycles of their loops played one by one, whatever the tiles") {
  Random random(7);
  for (int i = 0; i < 1000; ++i) {
    Engine engine = serial_engine(static_cast<SerialOperand>(random(0, 2)));
    const int block_height = static_cast<int>(random(1, 3));
    const int block_width = static_cast<int>(random(1, 3));
    engine.rows = block_height * block_width;
    engine.position_block = PositionBlock{block_height, block_width};
    engine.columns = static_cast<int>(random(1, 5));
    engine.columns_in_time = random.coin();
    engine.tiles = static_cast<int>(random(1, 2));
    engine.lanes = static_cast<int>(random(1, 9));
    engine.blocks = static_cast<int>(random(1, 9));
    if (engine.serial != SerialOperand::weights)
      engine.activation_bits_per_cycle = static_cast<int>(random(1, 4));
    for (const char* name : {"load", "compute", "store"}) {
      Phase& phase = engine.timing.phases.emplace_back(Phase{.name = name});
      for (PhaseCycles& at : phase.at) {
        at = {static_cast<int>(random(0, 3)), static_cast<int>(random(0, 3)),
              static_cast<int>(random(0, 9)), false};
      }
    }
    engine.timing.phases[1].at[static_cast<std::size_t>(PhaseEvent::step)].stream = true;
    const WidthMode mode =
        mode_of(engine, static_cast<BitWidth>(random(1, 8)), static_cast<BitWidth>(random(1, 8)));
    EngineWork work;
    work.kernel = random(1, 12);
    work.channels = random(1, 30);
    work.n = random(1, 20);
    work.m = 1000;
    work.stored_output = static_cast<BitWidth>(random(1, 16));
    const LayerTiming timing(engine, mode, work, {});
    const auto images = random_parts(random(1, 3), 1, false, random);
    const auto heights = random_parts(random(1, 9), 1, false, random);
    const auto widths = random_parts(random(1, 9), 1, false, random);
    const auto ns = random_parts(work.n, 1, false, random);
    const auto ks = random_parts(work.channels, 1, false, random);
    MSums m;
    NSums n;
    KSums k;
    std::vector<std::int64_t> played(3, 0);
    for (const std::int64_t pn : ns) n.add(timing.n_sums(pn), 1);
    for (const std::int64_t pk : ks) k.add(timing.k_sums(pk), 1);
    for (const std::int64_t pi : images) {
      for (const std::int64_t ph : heights) {
        for (const std::int64_t pw : widths) {
          m.add(timing.m_sums(pi, ph, pw), 1);
          for (const std::int64_t pn : ns) {
            for (const std::int64_t pk : ks) {
              const auto tile = play_phases(engine, mode, work, pi, ph, pw, pn, pk);
              for (std::size_t p = 0; p < played.size(); ++p) played[p] += tile[p];
            }
          }
        }
      }
    }
    CHECK(timing.phase_cycles(m, n, k) == played);
    CHECK(timing.total_cycles(m, n, k) == played[0] + played[1] + played[2]);
    const EngineCycles cycles = timing.cycles(m, n, k);
    CHECK(cycles.total() == played[0] + played[1] + played[2]);
    CHECK(cycles.busy > 0);
    CHECK(cycles.fill >= 0);
    CHECK(timing.start_cycles() + timing.finish_cycles() + timing.preload_cycles() == 0);
    CHECK(timing.last_tile_credit(work.m, work.n, work.channels) == 0);
  }
}

TEST_CASE("a block of positions reads what its windows cover once, others each window anew") {
  Engine engine = serial_engine(SerialOperand::both);
  engine.rows = 9;
  engine.columns = 32;
  engine.columns_in_time = true;
  engine.position_block = PositionBlock{3, 3};
  engine.lanes = 32;
  engine.blocks = 9;
  engine.activation_bits_per_cycle = 4;
  const WidthMode mode = mode_of(engine, 3, 8);
  EngineWork work;
  work.m = 36;
  work.n = 32;
  work.channels = 32;
  work.kernel = 9;
  work.height = work.width = {.kernel = 3};
  const auto traffic = [&] {
    const LayerTiming timing(engine, mode, work, {});
    return timing.traffic(timing.m_sums(1, 6, 6), timing.n_sums(32), timing.k_sums(32));
  };
  // Four blocks of 5 x 5 inputs, of two times 4 bits; weights once for each block and half.
  CHECK(traffic().input_read == 4 * 25 * 32 * 8);
  CHECK(traffic().weight_read == 4 * 9 * 32 * 32 * 3 * 2);
  engine.blocks = 1;
  CHECK(traffic().input_read == 36 * 9 * 32 * 8);
  engine.columns_in_time = false;  // one read for each weight plane
  CHECK(traffic().input_read == 36 * 9 * 32 * 8 * 3);
}

TEST_CASE("a unit of several bits a cycle is made of the energy table's units") {
  Engine engine = serial_engine(SerialOperand::both);
  engine.rows = 9;
  engine.columns = 32;
  engine.activation_bits_per_cycle = 4;
  CHECK(unit_count(engine) == 9 * 32);
  engine.tiles = 2;
  engine.columns_in_time = true;
  engine.blocks = 9;
  CHECK(unit_count(engine) == 9 * 2 * 9);
  const WidthMode whole = mode_of(engine, 3, 6);
  CHECK(whole.operation == LayerWidths{1, 4});
  CHECK(whole.operations_per_mac == 3 * 2);
  engine.unit_bits = LayerWidths{1, 1};
  CHECK(unit_count(engine) == 9 * 2 * 9 * 4);
  const WidthMode parts = mode_of(engine, 3, 6);
  CHECK(parts.operation == LayerWidths{1, 1});
  CHECK(parts.operations_per_mac == 3 * 2 * 4);
  CHECK(peak_macs_per_cycle(engine, parts) == Approx(9 * 2 * 9 * 64 / 6.0));
}
