// The three kinds of bad news, kept apart:
//   InputError  the user's mistake: place, value, rule, hint; all mistakes of a file at once.
//   ensure()    our bug: active in every build, ends in InternalError (exit code 70).
//   a status    a legitimate negative answer (infeasible, time limit) is a value, never thrown.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace widthwise {

/// Where in the user's input something stands. Line and column count from 1; 0 means "not known".
/// `file` may also name a command-line argument ("--set engine.rows=0").
struct SourcePlace {
  std::string file;
  int line = 0;
  int column = 0;
};

/// "file:line:column", without the parts that are not known.
std::string to_string(const SourcePlace& place);

struct Diagnostic {
  SourcePlace place;
  std::string key;      // dotted path such as "engine.rows"; may be empty
  std::string message;  // "expected 1..1024, got 0"
};

/// "file:line:column: error: key: message".
std::string to_string(const Diagnostic& diagnostic);

/// The user's mistakes. what() is one line per diagnostic and no trailing newline.
class InputError : public std::runtime_error {
 public:
  explicit InputError(std::vector<Diagnostic> diagnostics);
  InputError(SourcePlace place, std::string key, std::string message);

  [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

 private:
  std::vector<Diagnostic> diagnostics_;
};

/// Collects the mistakes of one input so that all of them are reported at once.
class Diagnostics {
 public:
  void error(SourcePlace place, std::string key, std::string message);
  void append(const std::vector<Diagnostic>& more);

  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] const std::vector<Diagnostic>& items() const { return items_; }

  /// Throws InputError with everything collected, in order of place, if there is anything.
  void throw_if_any() const;

 private:
  std::vector<Diagnostic> items_;
};

/// A broken invariant of ours.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void fail_invariant(std::string_view what, const std::source_location& where);

/// Checks an invariant in every build; throws InternalError that names the place.
inline void ensure(bool condition, std::string_view what,
                   std::source_location where = std::source_location::current()) {
  if (!condition) [[unlikely]] {
    fail_invariant(what, where);
  }
}

}  // namespace widthwise
