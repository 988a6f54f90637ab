// In which order cells are looked at: every cell once, the same again, and towards the front.
#include "sweep/strategy.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "sweep/pareto_front.hpp"

namespace widthwise {

namespace {

using Kind = StrategySettings::Kind;
using Extents = std::vector<std::size_t>;
using Questions = std::vector<std::vector<std::size_t>>;

StrategySettings settings(Kind kind, std::uint64_t points = 1000, std::uint64_t seed = 1) {
  StrategySettings settings;
  settings.kind = kind;
  settings.points = points;
  settings.seed = seed;
  return settings;
}

std::vector<std::uint64_t> cells(const StrategySettings& settings, const Extents& extents) {
  const auto sequence = cell_sequence(settings, extents);
  std::vector<std::uint64_t> cells;
  while (const auto cell = sequence->next()) cells.push_back(*cell);
  CHECK(cells.size() == sequence->size());
  CHECK_FALSE(sequence->next());
  return cells;
}

std::uint64_t product(const Extents& extents) {
  std::uint64_t product = 1;
  for (const std::size_t extent : extents) product *= extent;
  return product;
}

TEST_CASE("A grid is all cells in order") {
  const auto all = cells(settings(Kind::grid), {2, 3, 4});
  REQUIRE(all.size() == 24);
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i] == i);
  CHECK(cells(settings(Kind::grid), {1}) == std::vector<std::uint64_t>{0});
}

TEST_CASE("Random cells are a permutation: of any number of cells each comes once") {
  for (const std::size_t size :
       {1U,  2U,  3U,   4U,   5U,   7U,   8U,    15U,   16U,   17U,   31U,   63U,
        64U, 65U, 100U, 255U, 256U, 257U, 1000U, 1023U, 1025U, 4096U, 10007U}) {
    for (const std::uint64_t seed : {0U, 1U, 4294967295U}) {
      INFO(size << " cells, seed " << seed);
      auto all = cells(settings(Kind::random, 1'000'000'000, seed), {size});
      std::sort(all.begin(), all.end());
      REQUIRE(all.size() == size);
      CHECK(all.front() == 0);
      CHECK(all.back() == size - 1);
      CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
    }
  }
}

TEST_CASE("Random cells are as many as asked for, the same for a seed and others for another") {
  const Extents extents{50, 40, 30};
  const auto some = cells(settings(Kind::random, 500, 3), extents);
  CHECK(some.size() == 500);
  CHECK(std::set<std::uint64_t>(some.begin(), some.end()).size() == 500);
  CHECK(*std::max_element(some.begin(), some.end()) < product(extents));
  CHECK(cells(settings(Kind::random, 500, 3), extents) == some);
  CHECK(cells(settings(Kind::random, 500, 4), extents) != some);
  // More points go on where fewer ended.
  auto more = cells(settings(Kind::random, 800, 3), extents);
  more.resize(500);
  CHECK(more == some);
  // Evenly: a quarter of the draws in each quarter of the cells, within five standard deviations.
  const auto low = std::count_if(some.begin(), some.end(),
                                 [&](std::uint64_t cell) { return cell < product(extents) / 4; });
  CHECK(std::abs(static_cast<double>(low) - 125) < 5 * std::sqrt(500 * 0.25 * 0.75));
}

TEST_CASE("Spaces of 2^62 cells are drawn from as small ones are") {
  const Extents extents(62, 2);
  for (const Kind kind : {Kind::random, Kind::sobol}) {
    const auto some = cells(settings(kind, 1000), extents);
    CHECK(some.size() == 1000);
    const std::uint64_t all = std::uint64_t{1} << 62;
    CHECK(std::all_of(some.begin(), some.end(), [&](std::uint64_t cell) { return cell < all; }));
    CHECK(
        std::any_of(some.begin(), some.end(), [&](std::uint64_t cell) { return cell > all / 2; }));
    CHECK(std::set<std::uint64_t>(some.begin(), some.end()).size() > 990);
  }
}

TEST_CASE("Sobol's points stay in the space, are the same again and reach every cell") {
  for (const Extents& extents : {Extents{1}, Extents{7}, Extents{4, 8}, Extents{3, 5, 2},
                                 Extents{1, 6, 1}, Extents{2, 2, 2, 2}}) {
    const std::uint64_t all = product(extents);
    const auto draws = cells(settings(Kind::sobol, 64 * all), extents);
    CHECK(cells(settings(Kind::sobol, 64 * all, 99), extents) == draws);
    const std::set<std::uint64_t> different(draws.begin(), draws.end());
    CHECK(different.size() == all);
    CHECK(*different.rbegin() == all - 1);
  }
}

TEST_CASE("Sobol's points spread: of 2^k draws over powers of two every cell has as many") {
  // Joe and Kuo's first two dimensions make a net: 64 consecutive points, one in each 8 x 8 box.
  auto draws = cells(settings(Kind::sobol, 128), {8, 8});
  for (std::uint64_t cell = 0; cell < 64; ++cell) {
    const auto count = std::count(draws.begin(), draws.end(), cell);
    CHECK(count >= 1);
    CHECK(count <= 3);
  }
}

TEST_CASE("Evolution has no sequence that is known beforehand") {
  CHECK_THROWS_AS(cell_sequence(settings(Kind::nsga2), {2, 2}), InternalError);
}

// ---- evolution

StrategySettings evolution(std::size_t population, std::size_t generations, std::uint64_t seed) {
  StrategySettings settings;
  settings.kind = Kind::nsga2;
  settings.population = population;
  settings.generations = generations;
  settings.seed = seed;
  return settings;
}

/// Costs u^2 + v and (u - 30)^2 + v of the first two coordinates: the front is v = 0 with
/// u = 0 .. 30, whatever the third is.
Objectives two_parabolas(const std::vector<std::size_t>& at) {
  const auto u = static_cast<double>(at[0]);
  const auto v = static_cast<double>(at[1]);
  return std::vector{u * u + v, (u - 30) * (u - 30) + v};
}

struct Evolved {
  std::vector<Questions> asked;
  ParetoFront front;
};

Evolved evolve_all(const StrategySettings& settings, const Extents& extents,
                   const std::function<Objectives(const std::vector<std::size_t>&)>& answer,
                   std::size_t objectives = 2) {
  Evolved evolved;
  std::uint64_t number = 0;
  evolve(settings, extents, objectives, [&](const Questions& questions) {
    evolved.asked.push_back(questions);
    std::vector<Objectives> answers;
    for (const auto& question : questions) {
      REQUIRE(question.size() == extents.size());
      for (std::size_t a = 0; a < extents.size(); ++a) CHECK(question[a] < extents[a]);
      answers.push_back(answer(question));
      if (answers.back()) evolved.front.add(number, *answers.back());
      ++number;
    }
    return answers;
  });
  return evolved;
}

TEST_CASE("Evolution finds a front that is known") {
  const Extents extents{61, 40, 5};
  const Evolved evolved = evolve_all(evolution(60, 60, 1), extents, two_parabolas);
  const auto members = evolved.front.members();
  // 31 of 12,200 machines are on it; what is found of them lies on it.
  std::size_t on_it = 0;
  for (const FrontMember& member : members) {
    const double u = std::sqrt(member.objectives[0]);
    if (u == std::round(u) && u <= 30 && member.objectives[1] == (u - 30) * (u - 30)) ++on_it;
  }
  CHECK(on_it == members.size());
  CHECK(on_it >= 25);
}

TEST_CASE("Evolution asks for a generation at once, and for the same with the same seed") {
  const Extents extents{61, 40, 5};
  const Evolved first = evolve_all(evolution(20, 8, 3), extents, two_parabolas);
  REQUIRE(first.asked.size() == 9);
  for (const Questions& generation : first.asked) CHECK(generation.size() == 20);
  CHECK(evolve_all(evolution(20, 8, 3), extents, two_parabolas).asked == first.asked);
  CHECK(evolve_all(evolution(20, 8, 4), extents, two_parabolas).asked != first.asked);
}

TEST_CASE("Machines without objectives never win") {
  const Extents extents{61, 40};
  // All but the odd rows have none.
  const auto answer = [](const std::vector<std::size_t>& at) -> Objectives {
    if (at[0] % 2 == 0) return std::nullopt;
    return two_parabolas({at[0], at[1], 0});
  };
  const Evolved evolved = evolve_all(evolution(40, 40, 1), extents, answer);
  const Questions& last = evolved.asked.back();
  const auto with =
      std::count_if(last.begin(), last.end(), [](const auto& at) { return at[0] % 2 == 1; });
  CHECK(with > 20);
  CHECK(evolved.front.members().size() >= 10);
}

TEST_CASE("Evolution goes on where no machine has objectives, or an axis one value") {
  const auto none = [](const std::vector<std::size_t>&) { return Objectives(); };
  CHECK(evolve_all(evolution(8, 5, 1), {4, 4}, none).asked.size() == 6);
  CHECK(evolve_all(evolution(8, 5, 1), {1, 1}, none).asked == std::vector<Questions>{{{0, 0}}});
  CHECK(evolve_all(evolution(8, 5, 1), {1, 61, 1, 40}, [](const auto& at) {
          return two_parabolas({at[1], at[3], 0});
        }).asked.size() == 6);
  const auto three = [](const std::vector<std::size_t>& at) -> Objectives {
    const auto x = static_cast<double>(at[0]);
    return std::vector{x, -x, 0.0};
  };
  CHECK(evolve_all(evolution(8, 5, 1), {10}, three, 3).asked.size() == 6);
}

}  // namespace

}  // namespace widthwise
