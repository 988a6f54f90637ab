// Problems that programs put together: what check() refuses, what verify() notices.

#include "search/problem.hpp"

#include <functional>
#include <limits>

#include <catch2/catch.hpp>

#include "tests/config/reading.hpp"

namespace widthwise {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Problem example() {
  Problem problem;
  problem.costs = {"size"};
  problem.groups = {{"a", {{4, 4, 2, {1}, {}}, {8, 8, 1, {2}, {}}}, {}},
                    {"b", {{4, 4, 4, {10}, {}}, {8, 8, 2, {20}, {}}}, {}}};
  Budget budget;
  budget.metric = 0;
  budget.limit = 21;
  problem.budgets = {budget};
  problem.tensors = {{"t", {4, 8}, 0, {0, 1}}};
  problem.linked = {{1, {0}, {0, 1, 2, 3}}};
  return problem;
}

std::string said(const std::function<void(Problem&)>& change) {
  Problem problem = example();
  change(problem);
  return complaints([&] { check(problem); });
}

TEST_CASE("A sound problem passes") {
  CHECK(said([](Problem&) {}) == kNoComplaint);
}

TEST_CASE("What is not a number, or infinite, is refused") {
  CHECK(said([](Problem& p) { p.groups[1].options[0].loss = kNan; }) ==
        "error: groups[1].options[0]: expected a finite loss, got nan");
  CHECK(said([](Problem& p) { p.groups[1].options[0].costs[0] = kInfinity; }) ==
        "error: groups[1].options[0]: expected a finite size, got inf");
  CHECK(said([](Problem& p) { p.linked[0].values[2] = kNan; }) ==
        "error: linked[0]: expected finite values");
}

TEST_CASE("Limits that are negative or not a number are refused") {
  for (const double limit : {-1.0, kNan, kInfinity}) {
    const std::string text = said([&](Problem& p) { p.budgets[0].limit = limit; });
    CHECK(text.find("budgets.size: expected a limit that is finite and not negative") !=
          std::string::npos);
  }
  CHECK(said([](Problem& p) { p.budgets[0].limit = 0; }) == kNoComplaint);
}

TEST_CASE("Names of what is not there are refused") {
  CHECK(said([](Problem& p) { p.budgets[0].metric = 1; }) == "error: budgets: there is no cost 1");
  CHECK(said([](Problem& p) { p.ties = {{{0, 2}, {}}}; }) == "error: ties[0]: there is no group 2");
  CHECK(said([](Problem& p) {
          p.pins = {{0, 2, {}}};
        }) == "error: pins: there is no option 2 of group 0");
  CHECK(said([](Problem& p) { p.linked[0].tensors = {1}; }) ==
        "error: linked[0]: names a group or tensor that is not there");
  CHECK(said([](Problem& p) { p.tensors[0].readers = {2}; }) ==
        "error: tensors[0]: there is no group 2");
}

TEST_CASE("Pins of a group agree") {
  CHECK(said([](Problem& p) {
          p.pins = {{0, 0, {}}, {0, 1, {}}};
        }) == "error: pins.a: pinned at w4a4 and at w8a8");
}

TEST_CASE("Costs of an option are as many as the problem has") {
  CHECK(said([](Problem& p) { p.groups[0].options[0].costs = {}; }) ==
        "error: groups[0].options[0]: expected 1 costs, got 0");
}

TEST_CASE("A cost is not called loss, nor like a width") {
  for (const std::string name : {"loss", "weight_bits", "activation_bits"}) {
    CHECK(said([&](Problem& p) { p.costs = {name}; }) ==
          "error: costs: '" + name + "' can not be the name of a cost");
  }
}

TEST_CASE("Tensors can be stored at all widths that are asked for") {
  CHECK(said([](Problem& p) { p.tensors[0].widths = {4}; }) ==
        "error: tensors[0]: can not be stored at 8 bit, which 'a' asks for\n"
        "error: tensors[0]: can not be stored at 8 bit, which 'b' asks for");
  CHECK(said([](Problem& p) {
          p.tensors[0].widths = {8, 4};
        }).find("expected widths that ascend") != std::string::npos);
  CHECK(said([](Problem& p) { p.tensors[0].readers = {}; }) ==
        "error: tensors[0]: neither a reader nor a floor says its width");
  CHECK(said([](Problem& p) {
          p.tensors[0].readers = {};
          p.tensors[0].floor = 6;
        }) == "error: tensors[0]: can not be stored at 6 bit, its floor");
}

TEST_CASE("Linked values are as many as options, widths and costs make") {
  CHECK(said([](Problem& p) { p.linked[0].values.pop_back(); }) ==
        "error: linked[0]: expected 4 values, got 3");
}

TEST_CASE("Totals add options and linked values at the widths that tensors are stored at") {
  const Problem problem = example();
  // t is stored at 8 as soon as one reader asks for it.
  CHECK(totals(problem, {0, 0}).costs[0] == 1 + 10 + 0);
  CHECK(totals(problem, {1, 0}).costs[0] == 2 + 10 + 1);
  CHECK(totals(problem, {0, 1}).costs[0] == 1 + 20 + 3);
  CHECK(totals(problem, {1, 1}).costs[0] == 2 + 20 + 3);
  CHECK(totals(problem, {1, 0}).loss == 1 + 4);
}

TEST_CASE("A floor holds stored widths up") {
  Problem problem = example();
  problem.tensors[0].floor = 8;
  CHECK(totals(problem, {0, 0}).costs[0] == 1 + 10 + 1);
}

TEST_CASE("Limits are met to one part in a thousand million") {
  CHECK(fits(4.2, 4.2));
  CHECK(fits(1.4 + 1.4 + 1.4, 4.2));
  CHECK(fits(1 + 0.9e-9, 1));
  CHECK_FALSE(fits(1 + 1.1e-9, 1));
  CHECK(fits(0, 0));
  CHECK_FALSE(fits(1e-300, 0));
}

TEST_CASE("An answer that is not one is noticed") {
  Problem problem = example();
  CHECK(verify(problem, {1, 0}, 5).costs[0] == 13);
  CHECK_THROWS_AS(verify(problem, {1, 0}, 5.001), InternalError);  // another objective
  CHECK_THROWS_AS(verify(problem, {1, 1}, 3), InternalError);      // beyond the budget
  CHECK_THROWS_AS(verify(problem, {1}, 1), InternalError);         // a group is missing
  CHECK_THROWS_AS(verify(problem, {1, 2}, 1), InternalError);      // no such option
  problem.pins = {{0, 0, {}}};
  CHECK_THROWS_AS(verify(problem, {1, 0}, 5), InternalError);
  problem.pins.clear();
  problem.ties = {{{0, 1}, {}}};
  CHECK_THROWS_AS(verify(problem, {1, 0}, 5), InternalError);
  CHECK_NOTHROW(verify(problem, {0, 0}, 6));
}

}  // namespace
}  // namespace widthwise
