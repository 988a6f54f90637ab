#include "sweep/expression.hpp"

#include <cmath>
#include <string_view>
#include <utility>

#include <muParser.h>

namespace widthwise {

namespace {

double rounded_down(double value) { return std::floor(value); }
double rounded_up(double value) { return std::ceil(value); }
double rounded(double value) { return std::round(value); }

template <long long factor>
double times(double value) {
  return value * static_cast<double>(factor);
}

/// Whether there is a '=' that is of no comparison.
bool assigns(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') continue;
    if (i + 1 < text.size() && text[i + 1] == '=') {
      ++i;
    } else if (i == 0 || std::string_view("<>!").find(text[i - 1]) == std::string_view::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

/// The expression as parsed; its variables are the elements of `values`.
struct Expression::Parser {
  mu::Parser parser;
  std::vector<double> values;

  explicit Parser(const std::string& text) {
    parser.DefineNameChars("0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.");
    parser.DefineFun("floor", rounded_down);
    parser.DefineFun("ceil", rounded_up);
    parser.DefineFun("round", rounded);
    parser.DefinePostfixOprt("KiB", times<1LL << 10>);
    parser.DefinePostfixOprt("MiB", times<1LL << 20>);
    parser.DefinePostfixOprt("GiB", times<1LL << 30>);
    parser.DefinePostfixOprt("kHz", times<1000>);
    parser.DefinePostfixOprt("MHz", times<1'000'000>);
    parser.DefinePostfixOprt("GHz", times<1'000'000'000>);
    parser.SetExpr(text);
  }
};

Expression::Expression(const std::string& text, const SourcePlace& place, const std::string& key)
    : text_(text) {
  const auto refuse = [&](const std::string& why) {
    throw InputError(place, key, "expected an expression, got '" + text + "': " + why);
  };
  if (assigns(text)) refuse("'=' would assign; equality is '=='");
  try {
    parser_ = std::make_unique<Parser>(text);
    for (const auto& [name, ignored] : parser_->parser.GetUsedVar()) names_.push_back(name);
    parser_->values.assign(names_.size(), 0.0);
    for (std::size_t i = 0; i < names_.size(); ++i) {
      parser_->parser.DefineVar(names_[i], &parser_->values[i]);
    }
    parser_->parser.Eval();
    if (parser_->parser.GetNumResults() != 1) refuse("',' stands between arguments only");
  } catch (const mu::Parser::exception_type& error) {
    refuse(error.GetMsg());
  }
}

Expression::~Expression() = default;
Expression::Expression(Expression&&) noexcept = default;
Expression& Expression::operator=(Expression&&) noexcept = default;

std::optional<double> Expression::value(const Lookup& lookup) const {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const auto value = lookup(names_[i]);
    if (!value) return std::nullopt;
    parser_->values[i] = *value;
  }
  return parser_->parser.Eval();
}

}  // namespace widthwise
