// Arithmetic over the keys of a machine: "engine.rows * engine.columns <= 4096",
// "memory.weight_buffer.capacity + memory.input_buffer.capacity == 256 KiB", "area_mm2 <= 2".
//
// Numbers, + - * / ^, comparisons, && and ||, ?:, min, max, floor, ceil, round, log2, sqrt, abs;
// KiB, MiB, GiB, kHz, MHz and GHz after a number multiply it. A condition is 1 or 0. Parsed by
// muParser.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/base/error.hpp"

namespace widthwise {

class Expression {
 public:
  /// Throws InputError at the place if the text is no expression.
  Expression(const std::string& text, const SourcePlace& place, const std::string& key);
  ~Expression();
  Expression(Expression&&) noexcept;
  Expression& operator=(Expression&&) noexcept;

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }  // each once

  /// What the names stand for; nothing: this machine has no such number.
  using Lookup = std::function<std::optional<double>(const std::string& name)>;

  /// Nothing if a name has no value; not a number, or infinite, where arithmetic has no answer.
  [[nodiscard]] std::optional<double> value(const Lookup& lookup) const;

 private:
  struct Parser;
  std::string text_;
  std::vector<std::string> names_;
  std::unique_ptr<Parser> parser_;
};

}  // namespace widthwise
