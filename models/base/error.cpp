#include "models/base/error.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace widthwise {

namespace {

std::string joined(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) {
    if (!text.empty()) text += '\n';
    text += to_string(diagnostic);
  }
  return text;
}

}  // namespace

std::string to_string(const SourcePlace& place) {
  std::string text = place.file;
  if (place.line > 0) text += ':' + std::to_string(place.line);
  if (place.line > 0 && place.column > 0) text += ':' + std::to_string(place.column);
  return text;
}

std::string to_string(const Diagnostic& diagnostic) {
  std::string text = to_string(diagnostic.place);
  if (!text.empty()) text += ": ";
  text += "error: ";
  if (!diagnostic.key.empty()) text += diagnostic.key + ": ";
  return text + diagnostic.message;
}

InputError::InputError(std::vector<Diagnostic> diagnostics)
    : std::runtime_error(joined(diagnostics)), diagnostics_(std::move(diagnostics)) {}

InputError::InputError(SourcePlace place, std::string key, std::string message)
    : InputError(std::vector<Diagnostic>{{std::move(place), std::move(key), std::move(message)}}) {}

void Diagnostics::error(SourcePlace place, std::string key, std::string message) {
  items_.push_back({std::move(place), std::move(key), std::move(message)});
}

void Diagnostics::append(const std::vector<Diagnostic>& more) {
  items_.insert(items_.end(), more.begin(), more.end());
}

void Diagnostics::throw_if_any() const {
  if (items_.empty()) return;
  std::vector<Diagnostic> sorted = items_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.place.file, a.place.line, a.place.column) <
           std::tie(b.place.file, b.place.line, b.place.column);
  });
  throw InputError(std::move(sorted));
}

void fail_invariant(std::string_view what, const std::source_location& where) {
  throw InternalError(std::string("internal error: ") + std::string(what) + " (" +
                      where.file_name() + ":" + std::to_string(where.line()) + ")");
}

}  // namespace widthwise
