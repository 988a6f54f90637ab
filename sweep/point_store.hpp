// The results of a sweep, in one SQLite file: every machine that is finished is there at once, a
// process that is killed loses those that it was at, and a full disk is an error that loses nothing
// that was there.
//
//   table points   cell (primary key), status, reason, a column per metric (NULL unless done),
//                  derived (a line per derived key), widths (a line per network)
//   table sweep    key, value: what the results follow from
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/config/shipped_data.hpp"
#include "sweep/evaluator.hpp"

namespace widthwise {

class PointStore {
 public:
  /// Opens or makes the file. Throws InputError at the place of the folder: it can not be opened,
  /// is of something else, or its metrics are others.
  PointStore(const std::string& file, const Given& folder, std::vector<std::string> metrics);
  ~PointStore();
  PointStore(const PointStore&) = delete;
  PointStore& operator=(const PointStore&) = delete;

  /// What the results follow from; empty: nothing was kept yet.
  [[nodiscard]] std::string identity() const;
  void set_identity(const std::string& identity);

  [[nodiscard]] bool has(std::uint64_t cell) const;
  [[nodiscard]] std::optional<MachineResult> find(std::uint64_t cell) const;
  [[nodiscard]] std::uint64_t count() const;

  /// Kept when this returns. Throws InputError if it could not be (disk full).
  void put(std::uint64_t cell, const MachineResult& result);

  /// All, by cell, one in memory at a time.
  void for_each(
      const std::function<void(std::uint64_t cell, const MachineResult& result)>& visit) const;

 private:
  struct Data;
  std::unique_ptr<Data> data_;
};

}  // namespace widthwise
