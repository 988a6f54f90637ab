// Steps played one by one: worked out by hand, never longer for less work, and the same whether
// like iterations are played or counted.
#include "models/cost/replay.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/cost/machines.hpp"

using namespace widthwise;
using namespace widthwise::replay;
using widthwise::test::Random;

namespace {

/// Tiles that differ at the last iteration of each loop only.
struct Tiles {
  Nest nest;
  std::array<double, 2> weight{}, input{}, output{}, post{}, port{};
  double array = 0, array_last = 0;

  [[nodiscard]] bool last(const Index& index, Flow flow) const {
    for (int l = 0; l <= nest.level[static_cast<std::size_t>(flow)]; ++l) {
      const auto level = static_cast<std::size_t>(l);
      if (index.at[level] == nest.counts[level] - 1) return true;
    }
    return false;
  }
  [[nodiscard]] Load load(Flow flow, const Index& index, bool) const {
    const std::size_t kind = last(index, flow) ? 1 : 0;
    if (flow == kWeightIn) return {.time = weight[kind]};
    return {.time = input[kind], .port = port[kind]};
  }
  [[nodiscard]] Store store(const Index& index, bool) const {
    const std::size_t kind = last(index, kOutput) ? 1 : 0;
    return {.complete = true, .post = post[kind], .time = output[kind]};
  }
  [[nodiscard]] double cycles(const Index& index) const {
    return last(index, kOutput) ? array_last : array;
  }
};

/// One loop of `steps` steps, each with tiles of its own, in buffers of `slots`.
Tiles in_a_row(std::int64_t steps, std::int64_t slots) {
  Tiles tiles;
  tiles.nest.levels = 1;
  tiles.nest.counts[0] = steps;
  tiles.nest.special_last[0] = 1;
  tiles.nest.used = {true, true, false, false, true};
  tiles.nest.slots.fill(slots);
  return tiles;
}

double cycles_of(const Tiles& tiles) {
  Replay<Tiles> player;
  return player.run(tiles.nest, tiles);
}

Tiles random_tiles(Random& random) {
  Tiles tiles;
  Nest& nest = tiles.nest;
  nest.levels = static_cast<int>(random(1, 3));
  for (std::size_t l = 0; l < static_cast<std::size_t>(nest.levels); ++l) {
    nest.counts[l] = random(2, 40);
    nest.special_last[l] = 1;
  }
  nest.used = {true, true, false, false, true};
  for (const Flow flow : {kWeightIn, kInputIn, kOutput}) {
    nest.level[flow] = static_cast<int>(random(0, nest.levels - 1));
    nest.slots[flow] = random.pick<std::int64_t>({1, 2, 2, 3, 8});
    nest.channel[flow] = random(0, 3) == 0 ? 1 : 0;
  }
  nest.level[kSumsIn] = nest.level[kSumsOut] = nest.level[kOutput];
  // The array's tile changes with every step.
  nest.level[kInputIn] = nest.levels - 1;
  nest.access = {static_cast<double>(random(0, 30)), static_cast<double>(random(0, 10))};
  nest.preload = static_cast<double>(random(0, 5));
  nest.whole_cycles = false;
  const auto two = [&](std::int64_t most) {
    return std::array<double, 2>{static_cast<double>(random(1, most)) / 7,
                                 static_cast<double>(random(1, most)) / 7};
  };
  tiles.weight = two(400);
  tiles.input = two(400);
  tiles.output = two(200);
  tiles.post = two(200);
  if (random.coin()) tiles.port = two(300);
  tiles.array = static_cast<double>(random(5, 60));
  tiles.array_last = static_cast<double>(random(1, 60));
  return tiles;
}

}  // namespace

TEST_CASE("one step: operands, array, post-processing and store, one after the other") {
  Tiles tiles = in_a_row(1, 2);
  tiles.nest.levels = 0;
  tiles.nest.level.fill(-1);
  tiles.nest.access = {7, 0};
  tiles.weight[0] = 10;
  tiles.input[0] = 5.5;
  tiles.array = 20;
  tiles.post[0] = 3;
  tiles.output[0] = 4;
  // 10 + 5.5 + 7 = 22.5: the array begins on a whole cycle.
  CHECK(cycles_of(tiles) == Approx(23 + 20 + 3 + 4));
}

TEST_CASE("with two slots a step waits for its tile, which is asked for two steps before") {
  // Tiles of 10 + 10 cycles, steps of 4: the memory works without a pause but at the end.
  Tiles tiles = in_a_row(5, 2);
  tiles.weight = tiles.input = {10, 10};
  tiles.array = tiles.array_last = 4;
  CHECK(cycles_of(tiles) == Approx(5 * 20 + 4));
  // With one slot it waits for the array.
  CHECK(cycles_of([&] {
          Tiles single = tiles;
          single.nest.slots.fill(1);
          return single;
        }()) == Approx(5 * 24));
}

TEST_CASE("where a short step comes last, the tiles after it can not be fetched evenly") {
  // Two turns of a loop of three steps of 30, 30 and 3 cycles whose weights take 20: the step
  // after the short one waits, though the array works longer than the memory on the whole.
  Tiles tiles = in_a_row(2, 2);
  Nest& nest = tiles.nest;
  nest.levels = 2;
  nest.counts = {2, 3};
  nest.special_first = {1, 0};
  nest.used = {true, false, false, false, true};
  nest.level = {1, 1, 1, 1, 1};
  nest.slots[kWeightIn] = 2;
  tiles.weight = {20, 20};
  // Every iteration of the second turn is the last of the outer loop.
  tiles.array = 30;
  tiles.array_last = 3;
  // Steps: 30, 30, 3 | 3, 3, 3. Weights of step i arrive at max(E(i - 2), before) + 20:
  // 20, 40, 70, 100, 120, 140.
  // Begin: 20, 50, 80, 100, 120, 140; the last ends at 143.
  CHECK(cycles_of(tiles) == Approx(143));
}

TEST_CASE("an output tile has left before its slot is used again") {
  Tiles tiles = in_a_row(4, 2);
  tiles.weight = tiles.input = {1, 1};
  tiles.array = tiles.array_last = 10;
  tiles.post = {15, 15};
  tiles.output = {5, 5};
  // Post-processing is the bottleneck: E(0) = 12, then 4 x 15, and the last store.
  CHECK(cycles_of(tiles) == Approx(12 + 4 * 15 + 5));
}

TEST_CASE("less work, less latency and more slots never take longer") {
  Random random(21);
  for (int i = 0; i < 3000; ++i) {
    const Tiles tiles = random_tiles(random);
    const double before = cycles_of(tiles);
    Tiles less = tiles;
    const auto fewer = [&](std::array<double, 2>& times) {
      for (double& time : times) time *= 1 - static_cast<double>(random(0, 1000)) / 2000;
    };
    fewer(less.weight);
    fewer(less.input);
    fewer(less.output);
    fewer(less.post);
    fewer(less.port);
    fewer(less.nest.access);
    for (const Flow flow : {kWeightIn, kInputIn}) less.nest.slots[flow] += random(0, 2);
    INFO(i);
    CHECK(cycles_of(less) <= before * (1 + 1e-12));
  }
}

TEST_CASE("like iterations that are counted take as long as if they were played") {
  Random random(22);
  for (int i = 0; i < 3000; ++i) {
    Tiles tiles = random_tiles(random);
    const double counted = cycles_of(tiles);
    tiles.nest.special_first = tiles.nest.counts;  // none are alike
    INFO(i);
    CHECK(cycles_of(tiles) == Approx(counted).epsilon(1e-9));
  }
}

TEST_CASE("what takes longer than enough is known to, the rest is exact") {
  Random random(23);
  for (int i = 0; i < 1000; ++i) {
    Tiles tiles = random_tiles(random);
    const double cycles = cycles_of(tiles);
    std::int64_t steps = 1;
    for (int l = 0; l < tiles.nest.levels; ++l) {
      steps *= tiles.nest.counts[static_cast<std::size_t>(l)];
    }
    tiles.nest.array = static_cast<double>(steps) * std::min(tiles.array, tiles.array_last);
    tiles.nest.enough = cycles * (0.8 + 0.05 * static_cast<double>(random(0, 8)));
    INFO(i);
    if (cycles <= tiles.nest.enough) {
      CHECK(cycles_of(tiles) == cycles);
    } else {
      CHECK(cycles_of(tiles) > tiles.nest.enough);
      CHECK(cycles_of(tiles) <= cycles * (1 + 1e-12));
    }
  }
}
