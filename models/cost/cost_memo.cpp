#include "models/cost/cost_memo.hpp"

#include <cstring>

namespace widthwise {

/// A key is a hash already.
std::size_t CostMemo::Hash::operator()(const ContentKey& key) const {
  std::size_t first = 0;
  std::memcpy(&first, key.data(), sizeof first);
  return first;
}

std::optional<std::vector<double>> CostMemo::find(const ContentKey& key, std::size_t values) {
  const auto found = values_.find(key);
  if (found == values_.end() || found->second.size() != values) return std::nullopt;
  return found->second;
}

void CostMemo::store(const ContentKey& key, std::span<const double> values) {
  if (values_.size() >= most_) values_.clear();
  values_.insert_or_assign(key, std::vector<double>(values.begin(), values.end()));
}

}  // namespace widthwise
