#include "models/cost/cost_memo.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace widthwise {

namespace {

ContentKey key(int number) { return content_key(std::to_string(number)); }

std::vector<double> costs(int number) { return {number * 1.0, number * 0.5}; }

TEST_CASE("What a memo was given it has, under its key and with its number of values") {
  CostMemo memo;
  CHECK_FALSE(memo.find(key(1), 2));
  memo.store(key(1), costs(1));
  memo.store(key(2), costs(2));
  CHECK(memo.find(key(1), 2) == costs(1));
  CHECK(memo.find(key(2), 2) == costs(2));
  CHECK_FALSE(memo.find(key(1), 3));
  CHECK_FALSE(memo.find(key(3), 2));
  CHECK(memo.size() == 2);
}

TEST_CASE("Values that are stored again replace those before") {
  CostMemo memo;
  memo.store(key(1), costs(1));
  memo.store(key(1), costs(7));
  CHECK(memo.find(key(1), 2) == costs(7));
  const std::vector<double> longer{1, 2, 3};
  memo.store(key(1), longer);
  CHECK_FALSE(memo.find(key(1), 2));
  CHECK(memo.find(key(1), 3) == longer);
  CHECK(memo.size() == 1);
}

TEST_CASE("A memo holds as many as it may, and starts anew when it is full") {
  constexpr std::size_t kMost = 10;
  CostMemo memo(kMost);
  for (int i = 0; i < 10; ++i) memo.store(key(i), costs(i));
  CHECK(memo.size() == kMost);
  for (int i = 0; i < 10; ++i) CHECK(memo.find(key(i), 2) == costs(i));
  memo.store(key(10), costs(10));
  CHECK(memo.size() == 1);
  CHECK_FALSE(memo.find(key(9), 2));
  CHECK(memo.find(key(10), 2) == costs(10));
  for (int i = 0; i < 1000; ++i) {
    memo.store(key(i), costs(i));
    CHECK(memo.size() <= kMost);
    CHECK(memo.find(key(i), 2) == costs(i));
  }
}

TEST_CASE("A memo is a store of costs like any other") {
  CostMemo memo;
  CostStore& store = memo;
  store.store(key(1), costs(1));
  store.flush();
  CHECK(store.find(key(1), 2) == costs(1));
}

}  // namespace

}  // namespace widthwise
