#include "cli/html_page.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/text_layout.hpp"
#include "html_assets.hpp"
#include "models/base/error.hpp"

namespace widthwise {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kRowsWithoutFilter = 15;
constexpr std::size_t kPartsWithoutContents = 2;
constexpr std::string_view kThinSpace = "\u202F";
constexpr std::string_view kMinus = "\u2212";

/// Printable lines.
std::string clean(std::string_view text) {
  std::string lines;
  while (true) {
    const std::size_t end = text.find('\n');
    lines += printable(text.substr(0, end));
    if (end == std::string_view::npos) {
      return lines;
    }
    lines += '\n';
    text.remove_prefix(end + 1);
  }
}

/// For between tags and inside quoted attributes.
std::string escaped(std::string_view text) {
  std::string html;
  for (const char c : clean(text)) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

/// For inside <script type="application/json">, which only "</script" and "<!--" could end.
std::string script_text(const Json& json) {
  std::string text;
  for (const char c : json.dump()) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

// ---- charts

bool has_categories(const Chart& chart) {
  return chart.kind == Chart::Kind::bars || chart.kind == Chart::Kind::stacked_bars;
}

std::string_view kind_name(Chart::Kind kind) {
  switch (kind) {
    case Chart::Kind::lines:
      return "lines";
    case Chart::Kind::scatter:
      return "scatter";
    case Chart::Kind::bars:
      return "bars";
    case Chart::Kind::stacked_bars:
      return "stacked_bars";
  }
  ensure(false, "a chart of an unknown kind");
  return "";
}

void ensure_drawable(const std::vector<double>& values, bool logarithmic) {
  for (const double value : values) {
    ensure(std::isfinite(value), "a figure of the page is not finite");
    ensure(!logarithmic || value > 0, "a figure on a logarithmic axis is not above zero");
  }
}

void check(const Chart& chart) {
  const bool bars = has_categories(chart);
  ensure(!bars || !chart.log_x, "categories have no logarithm");
  ensure(chart.kind != Chart::Kind::stacked_bars || !chart.log_y,
         "bars that are stacked do not add up on a logarithmic axis");
  ensure(bars || chart.categories.empty(), "a chart without bars has no categories");
  for (const Series& series : chart.series) {
    ensure(!bars || series.x.empty(), "the x of bars are the categories");
    ensure(series.y.size() == (bars ? chart.categories.size() : series.x.size()),
           "a series has one y per x or category");
    ensure(series.notes.empty() || series.notes.size() == series.y.size(),
           "a series has one note per point or none");
    ensure_drawable(series.x, chart.log_x);
    ensure_drawable(series.y, chart.log_y);
  }
}

Json clean_list(const std::vector<std::string>& texts) {
  Json list = Json::array();
  for (const std::string& text : texts) {
    list.push_back(clean(text));
  }
  return list;
}

Json chart_json(const Chart& chart) {
  Json series_list = Json::array();
  for (const Series& series : chart.series) {
    series_list.push_back({{"name", clean(series.name)},
                           {"x", series.x},
                           {"y", series.y},
                           {"notes", clean_list(series.notes)},
                           {"line", chart.kind == Chart::Kind::lines && series.line},
                           {"stepped", series.stepped}});
  }
  return {{"kind", kind_name(chart.kind)},
          {"title", clean(chart.title)},
          {"x_label", clean(chart.x_label)},
          {"y_label", clean(chart.y_label)},
          {"log_x", chart.log_x},
          {"log_y", chart.log_y},
          {"categories", clean_list(chart.categories)},
          {"series", series_list}};
}

// ---- tables

struct Number {
  std::string digits;  // as JavaScript reads it
  std::string shown;   // with thin spaces between thousands
  std::string unit;    // what stands behind the number, with the space before it
};

bool is_missing(std::string_view cell) { return cell.empty() || cell == "-"; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::size_t count_digits(std::string_view text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  return static_cast<std::size_t>(end - text.begin());
}

/// "1234567" with thin spaces.
std::string grouped(std::string_view digits) {
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) {
      text += kThinSpace;
    }
    text += digits[i];
  }
  return text;
}

/// Takes the digits in front, with or without commas between thousands; nothing if there are none.
std::string take_whole_part(std::string_view& text) {
  const std::size_t length = count_digits(text);
  std::string digits(text.substr(0, length));
  text.remove_prefix(length);
  if (length >= 1 && length <= 3) {
    while (text.size() >= 4 && text[0] == ',' && count_digits(text.substr(1)) == 3) {
      digits += text.substr(1, 3);
      text.remove_prefix(4);
    }
  }
  return digits;
}

/// Takes ".25" and "e-3" where they stand in front.
std::string take_fraction_and_exponent(std::string_view& text) {
  std::string taken;
  const auto take = [&](std::size_t length) {
    taken += text.substr(0, length);
    text.remove_prefix(length);
  };
  if (text.size() >= 2 && text[0] == '.' && is_digit(text[1])) {
    take(1 + count_digits(text.substr(1)));
  }
  if (!text.empty() && (text[0] == 'e' || text[0] == 'E')) {
    const std::size_t sign = text.size() >= 2 && (text[1] == '-' || text[1] == '+') ? 1 : 0;
    const std::size_t digits = count_digits(text.substr(1 + sign));
    if (digits > 0) {
      take(1 + sign + digits);
    }
  }
  return taken;
}

std::optional<Number> number_in(std::string_view cell) {
  const bool negative = cell.starts_with('-');
  if (negative || cell.starts_with('+')) {
    cell.remove_prefix(1);
  }
  const std::string whole = take_whole_part(cell);
  const bool is_code = whole.size() > 1 && whole[0] == '0';  // "007" is a name
  if (whole.empty() || is_code) {
    return std::nullopt;
  }
  const std::string rest = take_fraction_and_exponent(cell);
  if (std::any_of(cell.begin(), cell.end(), is_digit)) {  // "3x3", "1.2.3"
    return std::nullopt;
  }
  return Number{(negative ? "-" : "") + whole + rest,
                (negative ? std::string(kMinus) : "") + grouped(whole) + rest, std::string(cell)};
}

/// The numbers of a column, nothing for a missing one; empty if the column holds text.
std::vector<std::optional<Number>> numbers_of(const HtmlTable& table, std::size_t column) {
  std::vector<std::optional<Number>> numbers;
  std::optional<std::string> unit;
  for (const auto& row : table.rows) {
    const std::string& cell = row[column];
    std::optional<Number> number;
    if (!is_missing(cell)) {
      number = number_in(cell);
      if (!number || number->unit != unit.value_or(number->unit)) {
        return {};
      }
      unit = number->unit;
    }
    numbers.push_back(std::move(number));
  }
  return unit ? numbers : std::vector<std::optional<Number>>{};
}

void check(const HtmlTable& table) {
  ensure(!table.columns.empty(), "a table has columns");
  for (const auto& row : table.rows) {
    ensure(row.size() == table.columns.size(), "a row has one cell per column");
  }
}

std::string rows_html(const HtmlTable& table) {
  std::vector<std::vector<std::optional<Number>>> numbers;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    numbers.push_back(numbers_of(table, c));
  }

  std::string html = "<thead><tr>";
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    std::string attributes;
    if (!numbers[c].empty()) {
      const auto present = std::find_if(numbers[c].begin(), numbers[c].end(),
                                        [](const auto& number) { return number.has_value(); });
      attributes = fmt::format(R"( class="number" data-unit="{}")", escaped((*present)->unit));
    }
    html += fmt::format(R"(<th scope="col"{}><button type="button">{}</button></th>)", attributes,
                        escaped(table.columns[c]));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    html += "<tr>";
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      if (numbers[c].empty()) {
        html += fmt::format("<td>{}</td>", escaped(table.rows[r][c]));
      } else if (const auto& number = numbers[c][r]) {
        html += fmt::format(R"(<td class="number" data-value="{}">{}</td>)", number->digits,
                            number->shown + escaped(number->unit));
      } else {
        html += fmt::format(R"(<td class="number">{}</td>)", escaped(table.rows[r][c]));
      }
    }
    html += "</tr>\n";
  }
  return html + "</tbody>";
}

// ---- the page

std::string caption_html(const std::string& caption) {
  return caption.empty() ? "" : fmt::format("<figcaption>{}</figcaption>\n", escaped(caption));
}

std::string part_html(const Chart& chart, std::size_t number) {
  check(chart);
  return fmt::format(
      R"html(<section id="part-{0}" class="chart">
<h2>{1}</h2>
<figure>
<div class="tools"><div class="legend"></div><button type="button" class="csv">Download CSV</button></div>
<div class="drawing"><canvas role="img" aria-label="{1}"></canvas></div>
<noscript><p>This chart is drawn by a script, and scripts are turned off.</p></noscript>
{2}</figure>
<script type="application/json">{3}</script>
</section>
)html",
      number, escaped(chart.title), caption_html(chart.caption), script_text(chart_json(chart)));
}

std::string part_html(const HtmlTable& table, std::size_t number) {
  check(table);
  const std::string filter =
      table.rows.size() > kRowsWithoutFilter
          ? R"html(<label>Filter <input type="search" placeholder="words in a row"></label>
<span class="shown" role="status"></span>)html"
          : "";
  return fmt::format(
      R"html(<section id="part-{0}" class="table">
<h2>{1}</h2>
<figure>
<div class="tools">{2}<button type="button" class="csv">Download CSV</button></div>
<div class="rows" role="region" aria-label="{1}" tabindex="0"><table>
{3}
</table></div>
{4}</figure>
</section>
)html",
      number, escaped(table.title), filter, rows_html(table), caption_html(table.caption));
}

std::string facts_html(const HtmlPage& page) {
  if (page.facts.empty()) {
    return "";
  }
  std::string html = "<dl class=\"facts\">\n";
  for (const auto& [label, text] : page.facts) {
    html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escaped(label), escaped(text));
  }
  return html + "</dl>\n";
}

std::string contents_html(const HtmlPage& page) {
  if (page.parts.size() <= kPartsWithoutContents) {
    return "";
  }
  std::string html = "<nav aria-label=\"Contents\">\n";
  for (std::size_t i = 0; i < page.parts.size(); ++i) {
    const std::string& title = std::visit(
        [](const auto& part) -> const std::string& { return part.title; }, page.parts[i]);
    html += fmt::format("<a href=\"#part-{}\">{}</a>\n", i + 1, escaped(title));
  }
  return html + "</nav>\n";
}

}  // namespace

std::string html_text(const HtmlPage& page) {
  std::string parts;
  bool has_charts = false;
  for (std::size_t i = 0; i < page.parts.size(); ++i) {
    has_charts = has_charts || std::holds_alternative<Chart>(page.parts[i]);
    parts += std::visit([&](const auto& part) { return part_html(part, i + 1); }, page.parts[i]);
  }
  std::string scripts;
  if (has_charts) {
    scripts = fmt::format("<script>{}</script>\n", chart_js());
  }
  scripts += fmt::format("<script>\n{}</script>\n", page_js());

  // The policy forbids everything that would come from elsewhere; the empty icon keeps browsers
  // from asking a server for one.
  return fmt::format(
      R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{0}</title>
<style>
{1}</style>
</head>
<body>
<header>
<h1>{0}</h1>
{2}{3}</header>
<main>
{4}</main>
{5}</body>
</html>
)html",
      escaped(page.title), page_css(), facts_html(page), contents_html(page), parts, scripts);
}

}  // namespace widthwise
