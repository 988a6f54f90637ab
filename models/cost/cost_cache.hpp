// Costs of layers on disk, by content: what was computed once is not computed again, by whatever
// table, network or run it is asked for.
//
// One SQLite file, costs.sqlite, in a folder; several processes may use it at once. It only ever
// saves time: what can not be read or written is computed again, and warning() says why. It grows
// by some 250 bytes per layer and pair of widths; removing the file loses nothing else.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/cost/cost_memo.hpp"

namespace widthwise {

class CostCache : public CostStore {
 public:
  /// Creates folder and file if they are not there. Does not throw: see warning().
  explicit CostCache(const std::string& folder);
  ~CostCache() override;

  [[nodiscard]] std::optional<std::vector<double>> find(const ContentKey& key,
                                                        std::size_t values) override;

  /// Kept from the next flush() on, or within a second.
  void store(const ContentKey& key, std::span<const double> values) override;
  void flush() override;

  /// Why the cache is not used (any more), once; empty: it is.
  [[nodiscard]] const std::string& warning() const;

  /// $WIDTHWISE_CACHE, else widthwise in $XDG_CACHE_HOME, else ~/.cache/widthwise; empty: no home.
  static std::string default_folder();

 private:
  struct Data;
  std::unique_ptr<Data> data_;
};

}  // namespace widthwise
