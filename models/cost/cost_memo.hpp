// Where costs of layers are kept by content: layers with equal keys cost the same (layer_key.hpp).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "models/base/content_key.hpp"

namespace widthwise {

class CostStore {
 public:
  CostStore() = default;
  virtual ~CostStore() = default;
  CostStore(const CostStore&) = delete;
  CostStore& operator=(const CostStore&) = delete;

  /// Nothing if the key is not there with so many values.
  [[nodiscard]] virtual std::optional<std::vector<double>> find(const ContentKey& key,
                                                                std::size_t values) = 0;
  virtual void store(const ContentKey& key, std::span<const double> values) = 0;
  /// Makes durable what was stored, where that is promised.
  virtual void flush() {}
};

/// In memory, at most so many: when it is full it starts anew.
class CostMemo : public CostStore {
 public:
  static constexpr std::size_t kMost = 100'000;  // some 30 MB of a machine's metrics
  explicit CostMemo(std::size_t most = kMost) : most_(most) {}

  [[nodiscard]] std::optional<std::vector<double>> find(const ContentKey& key,
                                                        std::size_t values) override;
  void store(const ContentKey& key, std::span<const double> values) override;

  [[nodiscard]] std::size_t size() const { return values_.size(); }

 private:
  struct Hash {
    std::size_t operator()(const ContentKey& key) const;
  };
  std::size_t most_;
  std::unordered_map<ContentKey, std::vector<double>, Hash> values_;
};

}  // namespace widthwise
