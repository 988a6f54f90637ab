#include "sweep/point_store.hpp"

#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

namespace widthwise {

namespace {

struct CloseStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
using Statement = std::unique_ptr<sqlite3_stmt, CloseStatement>;

std::string quoted_name(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + '"';
}

std::string text_of(sqlite3_stmt* row, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, column));
  return text == nullptr ? "" : text;
}

std::string lines_text(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

std::vector<std::string> lines_in(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

constexpr MachineResult::Status kStatuses[] = {
    MachineResult::Status::done, MachineResult::Status::infeasible, MachineResult::Status::excluded,
    MachineResult::Status::failed};

}  // namespace

struct PointStore::Data {
  std::string file;
  Given folder;
  std::vector<std::string> metrics;
  std::unique_ptr<sqlite3, CloseDatabase> database;
  Statement has, find, put;

  [[noreturn]] void fail() const {
    throw InputError(
        folder.place, folder.key,
        fmt::format("'{}': {}", file,
                    database ? sqlite3_errmsg(database.get()) : "not enough memory for SQLite"));
  }

  void run(const std::string& sql) const {
    if (sqlite3_exec(database.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail();
  }

  [[nodiscard]] Statement prepare(const std::string& sql) const {
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_prepare_v2(database.get(), sql.c_str(), -1, &prepared, nullptr) != SQLITE_OK) {
      fail();
    }
    return Statement(prepared);
  }

  /// False if there are no more rows.
  [[nodiscard]] bool step(sqlite3_stmt* statement) const {
    const int result = sqlite3_step(statement);
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
      sqlite3_reset(statement);
      fail();
    }
    return result == SQLITE_ROW;
  }

  [[nodiscard]] std::vector<std::string> wanted_columns() const {
    std::vector<std::string> names{"cell", "status", "reason", "derived", "widths"};
    names.insert(names.end(), metrics.begin(), metrics.end());
    return names;
  }

  /// Of the table as it is in the file.
  [[nodiscard]] std::vector<std::string> columns() const {
    std::vector<std::string> names;
    const Statement statement = prepare("SELECT name FROM pragma_table_info('points')");
    while (step(statement.get())) names.push_back(text_of(statement.get(), 0));
    return names;
  }

  /// Of "status, reason, derived, widths, metrics..." from a column on.
  [[nodiscard]] MachineResult result_in(sqlite3_stmt* row, int first) const {
    MachineResult result;
    const std::string status = text_of(row, first);
    for (const auto known : kStatuses) {
      if (to_string(known) == status) result.status = known;
    }
    result.reason = text_of(row, first + 1);
    result.derived = lines_in(text_of(row, first + 2));
    result.widths = lines_in(text_of(row, first + 3));
    if (result.status == MachineResult::Status::done) {
      for (std::size_t m = 0; m < metrics.size(); ++m) {
        result.values.push_back(sqlite3_column_double(row, first + 4 + static_cast<int>(m)));
      }
    }
    return result;
  }
};

PointStore::PointStore(const std::string& file, const Given& folder,
                       std::vector<std::string> metrics)
    : data_(std::make_unique<Data>()) {
  Data& data = *data_;
  data.file = file;
  data.folder = folder;
  data.metrics = std::move(metrics);
  sqlite3* opened = nullptr;
  const int result =
      sqlite3_open_v2(file.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  data.database.reset(opened);
  if (result != SQLITE_OK) data.fail();
  // After a process was killed all committed rows are there; after a power cut the last may be
  // missing, and nothing is corrupt.
  data.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
  std::string columns = "status, reason, derived, widths";
  std::string types =
      "status TEXT NOT NULL, reason TEXT NOT NULL, derived TEXT NOT NULL, widths TEXT NOT NULL";
  std::string places = "?2, ?3, ?4, ?5";
  for (std::size_t m = 0; m < data.metrics.size(); ++m) {
    columns += ", " + quoted_name(data.metrics[m]);
    types += ", " + quoted_name(data.metrics[m]) + " REAL";
    places += fmt::format(", ?{}", m + 6);
  }
  data.run("CREATE TABLE IF NOT EXISTS points (cell INTEGER PRIMARY KEY, " + types +
           "); CREATE TABLE IF NOT EXISTS sweep (key TEXT PRIMARY KEY, value TEXT NOT NULL)");
  if (data.columns() != data.wanted_columns()) {
    throw InputError(folder.place, folder.key,
                     fmt::format("'{}' holds another sweep; give another folder, or --fresh to "
                                 "begin again",
                                 folder.text));
  }
  data.has = data.prepare("SELECT 1 FROM points WHERE cell = ?1");
  data.find = data.prepare("SELECT " + columns + " FROM points WHERE cell = ?1");
  data.put = data.prepare("INSERT OR REPLACE INTO points (cell, " + columns + ") VALUES (?1, " +
                          places + ")");
}

PointStore::~PointStore() = default;

std::string PointStore::identity() const {
  const Statement statement = data_->prepare("SELECT value FROM sweep WHERE key = 'identity'");
  return data_->step(statement.get()) ? text_of(statement.get(), 0) : "";
}

void PointStore::set_identity(const std::string& identity) {
  const Statement statement =
      data_->prepare("INSERT OR REPLACE INTO sweep (key, value) VALUES ('identity', ?1)");
  sqlite3_bind_text(statement.get(), 1, identity.data(), static_cast<int>(identity.size()),
                    SQLITE_TRANSIENT);
  static_cast<void>(data_->step(statement.get()));
}

bool PointStore::has(std::uint64_t cell) const {
  sqlite3_stmt* statement = data_->has.get();
  sqlite3_bind_int64(statement, 1, static_cast<sqlite3_int64>(cell));
  const bool found = data_->step(statement);
  sqlite3_reset(statement);
  return found;
}

std::optional<MachineResult> PointStore::find(std::uint64_t cell) const {
  sqlite3_stmt* statement = data_->find.get();
  sqlite3_bind_int64(statement, 1, static_cast<sqlite3_int64>(cell));
  std::optional<MachineResult> result;
  if (data_->step(statement)) result = data_->result_in(statement, 0);
  sqlite3_reset(statement);
  return result;
}

std::uint64_t PointStore::count() const {
  const Statement statement = data_->prepare("SELECT count(*) FROM points");
  static_cast<void>(data_->step(statement.get()));
  return static_cast<std::uint64_t>(sqlite3_column_int64(statement.get(), 0));
}

void PointStore::put(std::uint64_t cell, const MachineResult& result) {
  sqlite3_stmt* statement = data_->put.get();
  const auto bind_text = [&](int place, std::string_view text) {
    sqlite3_bind_text(statement, place, text.data(), static_cast<int>(text.size()),
                      SQLITE_TRANSIENT);
  };
  sqlite3_bind_int64(statement, 1, static_cast<sqlite3_int64>(cell));
  bind_text(2, to_string(result.status));
  bind_text(3, result.reason);
  const std::string derived = lines_text(result.derived);
  const std::string widths = lines_text(result.widths);
  bind_text(4, derived);
  bind_text(5, widths);
  for (std::size_t m = 0; m < data_->metrics.size(); ++m) {
    const int place = static_cast<int>(m) + 6;
    if (m < result.values.size()) {
      sqlite3_bind_double(statement, place, result.values[m]);
    } else {
      sqlite3_bind_null(statement, place);
    }
  }
  static_cast<void>(data_->step(statement));
  sqlite3_reset(statement);
}

void PointStore::for_each(
    const std::function<void(std::uint64_t cell, const MachineResult& result)>& visit) const {
  std::string columns = "cell, status, reason, derived, widths";
  for (const std::string& metric : data_->metrics) columns += ", " + quoted_name(metric);
  const Statement statement = data_->prepare("SELECT " + columns + " FROM points ORDER BY cell");
  while (data_->step(statement.get())) {
    visit(static_cast<std::uint64_t>(sqlite3_column_int64(statement.get(), 0)),
          data_->result_in(statement.get(), 1));
  }
}

}  // namespace widthwise
