#include "models/cost/cost_cache.hpp"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <sqlite3.h>

namespace widthwise {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

// Where stores follow each other closely, many are one transaction; a transaction keeps others from
// writing.
constexpr std::chrono::milliseconds kFlushAfter{500};
constexpr std::chrono::milliseconds kClose{20};
constexpr int kBusyMilliseconds = 10'000;  // another process is writing

struct CloseStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};

}  // namespace

struct CostCache::Data {
  std::string file;
  std::string warning;
  std::unique_ptr<sqlite3, CloseDatabase> database;
  std::unique_ptr<sqlite3_stmt, CloseStatement> find, store;
  bool in_transaction = false;
  Clock::time_point began, last;  // of the transaction; store before

  void give_up() {
    warning = file + ": " +
              (database ? sqlite3_errmsg(database.get()) : "not enough memory for SQLite") +
              "; costs are computed without this cache";
    find.reset();
    store.reset();
    database.reset();
    in_transaction = false;
  }

  bool run(const char* sql) {
    if (database && sqlite3_exec(database.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
      give_up();
    }
    return database != nullptr;
  }

  bool prepare(std::unique_ptr<sqlite3_stmt, CloseStatement>& statement, const char* sql) {
    sqlite3_stmt* prepared = nullptr;
    if (database && sqlite3_prepare_v2(database.get(), sql, -1, &prepared, nullptr) != SQLITE_OK) {
      give_up();
    }
    statement.reset(prepared);
    return database != nullptr;
  }

  void open() {
    sqlite3* opened = nullptr;
    const int result =
        sqlite3_open_v2(file.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    database.reset(opened);
    if (result != SQLITE_OK) {
      give_up();
      return;
    }
    sqlite3_busy_timeout(database.get(), kBusyMilliseconds);
    // With a write-ahead log readers and a writer do not wait for each other; after a power cut the
    // last transactions may be missing, and nothing is corrupt.
    run("PRAGMA journal_mode = WAL") && run("PRAGMA synchronous = NORMAL") &&
        run("CREATE TABLE IF NOT EXISTS costs (key BLOB PRIMARY KEY, figures BLOB NOT NULL) "
            "WITHOUT ROWID") &&
        prepare(find, "SELECT figures FROM costs WHERE key = ?") &&
        prepare(store, "INSERT OR REPLACE INTO costs (key, figures) VALUES (?, ?)");
  }
};

CostCache::CostCache(const std::string& folder) : data_(std::make_unique<Data>()) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  data_->file = (fs::path(folder) / "costs.sqlite").string();
  if (failed) {
    data_->warning = folder + ": cannot be created (" + failed.message() +
                     "); costs are computed without a cache";
    return;
  }
  data_->open();
}

CostCache::~CostCache() { flush(); }

std::optional<std::vector<double>> CostCache::find(const ContentKey& key, std::size_t values) {
  if (!data_->find) return std::nullopt;
  sqlite3_stmt* statement = data_->find.get();
  sqlite3_reset(statement);
  sqlite3_bind_blob(statement, 1, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
  const int result = sqlite3_step(statement);
  std::optional<std::vector<double>> found;
  const auto bytes =
      static_cast<std::size_t>(result == SQLITE_ROW ? sqlite3_column_bytes(statement, 0) : 0);
  if (result == SQLITE_ROW && bytes == values * sizeof(double)) {
    found.emplace(values);
    std::memcpy(found->data(), sqlite3_column_blob(statement, 0), bytes);
  }
  sqlite3_reset(statement);
  if (result != SQLITE_ROW && result != SQLITE_DONE) data_->give_up();
  return found;
}

void CostCache::store(const ContentKey& key, std::span<const double> values) {
  if (!data_->store) return;
  if (!data_->in_transaction) {
    if (!data_->run("BEGIN IMMEDIATE")) return;
    data_->in_transaction = true;
    data_->began = Clock::now();
  }
  sqlite3_stmt* statement = data_->store.get();
  sqlite3_reset(statement);
  sqlite3_bind_blob(statement, 1, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
  sqlite3_bind_blob(statement, 2, values.data(), static_cast<int>(values.size_bytes()),
                    SQLITE_STATIC);
  const int result = sqlite3_step(statement);
  sqlite3_reset(statement);
  if (result != SQLITE_DONE) {
    data_->give_up();
    return;
  }
  const Clock::time_point now = Clock::now();
  const bool close = now - std::exchange(data_->last, now) < kClose;
  if (!close || now - data_->began >= kFlushAfter) flush();
}

void CostCache::flush() {
  if (data_->in_transaction && data_->run("COMMIT")) data_->in_transaction = false;
}

const std::string& CostCache::warning() const { return data_->warning; }

std::string CostCache::default_folder() {
  const auto said = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
  };
  if (std::string own = said("WIDTHWISE_CACHE"); !own.empty()) return own;
  if (const std::string caches = said("XDG_CACHE_HOME"); !caches.empty()) {
    return (fs::path(caches) / "widthwise").string();
  }
  const std::string home = said("HOME");
  return home.empty() ? "" : (fs::path(home) / ".cache" / "widthwise").string();
}

}  // namespace widthwise
