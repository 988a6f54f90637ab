// The front of random points against all pairs of them.
#include "sweep/pareto_front.hpp"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

namespace widthwise {

namespace {

using Point = std::vector<double>;

std::vector<Point> objectives_of(const ParetoFront& front) {
  std::vector<Point> points;
  for (const FrontMember& member : front.members()) points.push_back(member.objectives);
  return points;
}

/// Those that no other is at least as good as in all and better in one, each once, sorted.
std::vector<Point> front_by_pairs(const std::vector<Point>& points) {
  std::set<Point> front;
  for (const Point& point : points) {
    const bool beaten = std::any_of(points.begin(), points.end(), [&](const Point& other) {
      if (other == point) return false;
      for (std::size_t i = 0; i < point.size(); ++i) {
        if (other[i] > point[i]) return false;
      }
      return true;
    });
    if (!beaten) front.insert(point);
  }
  return {front.begin(), front.end()};
}

TEST_CASE("The front is that of all pairs, in any order, with ties") {
  std::mt19937 random(7);
  for (const std::size_t objectives : {1U, 2U, 3U}) {
    for (int trial = 0; trial < 60; ++trial) {
      // Few values: many ties.
      const int values = trial % 2 == 0 ? 4 : 1000;
      std::vector<Point> points(1 + random() % 80);
      for (Point& point : points) {
        for (std::size_t i = 0; i < objectives; ++i) {
          point.push_back(std::uniform_int_distribution<int>(0, values)(random));
        }
      }
      const std::vector<Point> expected = front_by_pairs(points);
      for (int order = 0; order < 3; ++order) {
        ParetoFront front;
        for (std::size_t i = 0; i < points.size(); ++i) front.add(i, points[i]);
        CHECK(objectives_of(front) == expected);
        for (const FrontMember& member : front.members()) {
          CHECK(points[member.cell] == member.objectives);
        }
        std::shuffle(points.begin(), points.end(), random);
      }
    }
  }
}

TEST_CASE("Of machines that are alike the first stays") {
  ParetoFront front;
  front.add(5, {1, 2});
  front.add(3, {1, 2});
  front.add(9, {2, 1});
  front.add(4, {2, 1});
  const auto members = front.members();
  REQUIRE(members.size() == 2);
  CHECK(members[0].cell == 5);
  CHECK(members[1].cell == 9);
}

TEST_CASE("One that is better in all drops the others") {
  ParetoFront front;
  CHECK(front.members().empty());
  for (std::uint64_t i = 0; i < 10; ++i) {
    const auto x = static_cast<double>(i);
    front.add(i, {x, 10 - x});
  }
  CHECK(front.members().size() == 10);
  front.add(99, {0, 0});
  REQUIRE(front.members().size() == 1);
  CHECK(front.members()[0].cell == 99);
  front.add(100, {0, 1});
  CHECK(front.members().size() == 1);
}

}  // namespace

}  // namespace widthwise
