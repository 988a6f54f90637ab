#include "cli/html_page.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/text_layout.hpp"
#include "html_assets.hpp"
#include "models/base/error.hpp"

namespace widthwise {

namespace {

using Json = nlohmann::ordered_json;
using Ids = std::set<std::string>;  // of the page's details

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

bool is_joined(const Chart& chart, const Series& series) {
  return chart.kind == Chart::Kind::lines && series.line && !series.faint;
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
    ensure(series.keys.empty() || series.keys.size() == series.y.size(),
           "a series has one key per point or none");
    ensure(!bars || !series.faint, "bars are not faint");
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
                           {"line", is_joined(chart, series)},
                           {"stepped", series.stepped},
                           {"faint", series.faint},
                           {"keys", clean_list(series.keys)}});
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

// ---- parallel axes

void check(const ParallelAxes& axes) {
  ensure(axes.axes.size() >= 2, "parallel axes are two or more");
  for (const ParallelAxes::Axis& axis : axes.axes) {
    ensure(!axis.log || axis.categories.empty(), "categories have no logarithm");
  }
  for (const ParallelAxes::Line& line : axes.lines) {
    ensure(line.values.size() == axes.axes.size(), "a line has one value per axis");
    for (std::size_t a = 0; a < axes.axes.size(); ++a) {
      const ParallelAxes::Axis& axis = axes.axes[a];
      const double value = line.values[a];
      ensure_drawable({value}, axis.log);
      ensure(axis.categories.empty() ||
                 (value >= 0 && value < static_cast<double>(axis.categories.size()) &&
                  std::floor(value) == value),
             "a line has a category that its axis does not have");
    }
  }
}

Json axes_json(const ParallelAxes& axes) {
  Json axis_list = Json::array();
  for (std::size_t a = 0; a < axes.axes.size(); ++a) {
    const ParallelAxes::Axis& axis = axes.axes[a];
    Json values = Json::array();
    for (const ParallelAxes::Line& line : axes.lines) {
      values.push_back(line.values[a]);
    }
    axis_list.push_back({{"name", clean(axis.name)},
                         {"log", axis.log},
                         {"categories", clean_list(axis.categories)},
                         {"values", std::move(values)}});
  }
  Json names = Json::array(), keys = Json::array(), marked = Json::array();
  for (const ParallelAxes::Line& line : axes.lines) {
    names.push_back(clean(line.name));
    keys.push_back(clean(line.key));
    marked.push_back(line.marked ? 1 : 0);
  }
  return {{"title", clean(axes.title)},
          {"lines_name", clean(axes.lines_name)},
          {"marked_name", clean(axes.marked_name)},
          {"axes", std::move(axis_list)},
          {"names", std::move(names)},
          {"keys", std::move(keys)},
          {"marked", std::move(marked)}};
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
  ensure(table.keys.empty() || table.keys.size() == table.rows.size(),
         "a table has one key per row or none");
}

std::string rows_html(const HtmlTable& table, const Ids& details) {
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
    const std::string key = table.keys.empty() ? "" : table.keys[r];
    html += key.empty() ? "<tr>" : fmt::format(R"(<tr data-key="{}">)", escaped(key));
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      std::string attributes = numbers[c].empty() ? "" : R"( class="number")";
      std::string text = escaped(table.rows[r][c]);
      if (!numbers[c].empty() && numbers[c][r]) {
        const Number& number = *numbers[c][r];
        attributes += fmt::format(R"( data-value="{}")", number.digits);
        text = number.shown + escaped(number.unit);
      }
      if (c == 0 && details.contains(key)) {
        text = fmt::format("<a href=\"#detail-{}\">{}</a>", key, text);
      }
      html += fmt::format("<td{}>{}</td>", attributes, text);
    }
    html += "</tr>\n";
  }
  return html + "</tbody>";
}

// ---- the page

std::string caption_html(const std::string& caption) {
  return caption.empty() ? "" : fmt::format("<figcaption>{}</figcaption>\n", escaped(caption));
}

/// Where a part stands in the page.
struct Place {
  std::string id_attribute;
  int heading = 2;
  bool in_noscript = false;
};

/// What stands there without scripts.
std::string unscripted_html(std::string_view what, const Place& place) {
  const std::string text =
      fmt::format("<p class=\"unscripted\">{} by a script, and scripts are turned off.</p>", what);
  return place.in_noscript ? text : "<noscript>" + text + "</noscript>";
}

std::string part_html(const Chart& chart, const Place& place, const Ids& /*details*/) {
  check(chart);
  return fmt::format(
      R"html(<section{0} class="chart">
<h{1}>{2}</h{1}>
<figure>
<div class="tools"><div class="legend"></div><button type="button" class="csv">Download CSV</button></div>
<div class="drawing"><canvas role="img" aria-label="{2}"></canvas></div>
{3}
{4}</figure>
<script type="application/json">{5}</script>
</section>
)html",
      place.id_attribute, place.heading, escaped(chart.title),
      unscripted_html("This chart is drawn", place), caption_html(chart.caption),
      script_text(chart_json(chart)));
}

std::string part_html(const ParallelAxes& axes, const Place& place, const Ids& /*details*/) {
  check(axes);
  return fmt::format(
      R"html(<section{0} class="axes">
<h{1}>{2}</h{1}>
<figure>
<div class="tools"><div class="legend"></div><span class="shown" role="status"></span><button type="button" class="reset" disabled>Reset ranges</button><button type="button" class="csv">Download CSV</button></div>
<div class="drawing" role="img" aria-label="{2}"></div>
<p class="hint">Drag along an axis to keep a range of it; a click on the axis clears it.</p>
{3}
{4}</figure>
<script type="application/json">{5}</script>
</section>
)html",
      place.id_attribute, place.heading, escaped(axes.title),
      unscripted_html("These axes are drawn", place), caption_html(axes.caption),
      script_text(axes_json(axes)));
}

std::string part_html(const HtmlTable& table, const Place& place, const Ids& details) {
  check(table);
  std::string tools;
  if (table.rows.size() > kRowsWithoutFilter) {
    tools += R"html(<label>Filter <input type="search" placeholder="words in a row"></label>
)html";
  }
  if (table.rows.size() > kRowsWithoutFilter || !table.keys.empty()) {
    tools += R"html(<span class="shown" role="status"></span>)html";
  }
  return fmt::format(
      R"html(<section{0} class="table">
<h{1}>{2}</h{1}>
<figure>
<div class="tools">{3}<button type="button" class="csv">Download CSV</button></div>
<div class="rows" role="region" aria-label="{2}" tabindex="0"><table>
{4}
</table></div>
{5}</figure>
</section>
)html",
      place.id_attribute, place.heading, escaped(table.title), tools, rows_html(table, details),
      caption_html(table.caption));
}

std::string part_html(const HtmlPart& part, const Place& place, const Ids& details) {
  return std::visit([&](const auto& kind) { return part_html(kind, place, details); }, part);
}

using Facts = std::vector<std::pair<std::string, std::string>>;

std::string facts_html(const Facts& facts) {
  if (facts.empty()) {
    return "";
  }
  std::string html = "<dl class=\"facts\">\n";
  for (const auto& [label, text] : facts) {
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

bool is_plain(std::string_view id) {
  return !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' ||
           c == '_' || c == '.';
  });
}

Ids ids_of(const std::vector<HtmlDetail>& details) {
  Ids ids;
  for (const HtmlDetail& detail : details) {
    ensure(is_plain(detail.id), "a detail's id has other characters than letters, digits, - _ .");
    ensure(ids.insert(detail.id).second, "two details have one id");
  }
  return ids;
}

/// A dialog that the script opens; without scripts it is shown. Browsers with scripts read what is
/// inside <noscript> as one text, which costs them nothing; the script makes elements of it when
/// the detail is opened.
std::string detail_html(const HtmlDetail& detail, const Ids& ids) {
  std::string parts;
  for (const HtmlPart& part : detail.parts) {
    parts += part_html(part, {.id_attribute = "", .heading = 3, .in_noscript = true}, ids);
  }
  return fmt::format(
      R"html(<dialog id="detail-{0}" aria-labelledby="title-{0}">
<div class="bar"><h2 id="title-{0}">{1}</h2><button type="button" class="close">Close</button></div>
<noscript>
{2}{3}</noscript>
</dialog>
)html",
      detail.id, escaped(detail.title), facts_html(detail.facts), parts);
}

bool has_chart(const std::vector<HtmlPart>& parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [](const HtmlPart& part) { return std::holds_alternative<Chart>(part); });
}

}  // namespace

std::string html_text(const HtmlPage& page) {
  const Ids ids = ids_of(page.details);
  bool has_charts = has_chart(page.parts);
  std::string parts;
  for (std::size_t i = 0; i < page.parts.size(); ++i) {
    parts += part_html(page.parts[i], {.id_attribute = fmt::format(" id=\"part-{}\"", i + 1)}, ids);
  }
  std::string details;
  for (const HtmlDetail& detail : page.details) {
    has_charts = has_charts || has_chart(detail.parts);
    details += detail_html(detail, ids);
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
{5}{6}</body>
</html>
)html",
      escaped(page.title), page_css(), facts_html(page.facts), contents_html(page), parts, details,
      scripts);
}

}  // namespace widthwise
