// A page of charts and tables as one HTML file: it opens without a network, asks for nothing from
// outside, and can be printed. Charts are drawn by Chart.js, which the program carries inside
// itself; tables stand in the file as HTML and can be read without scripts.
//
// Every text may hold anything: it is shown, never obeyed. Control characters, invisible marks and
// broken UTF-8 come out as '?', a line feed begins a new line. The same page gives the same bytes.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace widthwise {

struct Series {
  std::string name;
  std::vector<double> x, y;
  std::vector<std::string> notes;  // what hovering over each point says; empty, or one per point
  bool line = true;                // Kind::lines: joins the points
  bool stepped = false;            // Kind::lines: y holds until the next x
};

struct Chart {
  /// scatter: points alone. bars: one bar per category and series, beside each other or, stacked,
  /// behind each other. Bars lie; their categories stand one below the other.
  enum class Kind { lines, scatter, bars, stacked_bars };

  Kind kind = Kind::lines;
  std::string title;
  std::string x_label, y_label;  // with units; of bars, x are the categories, y is the length
  std::vector<std::string> categories;  // of bars: the series have no x, and one y per category
  std::vector<Series> series;
  bool log_x = false, log_y = false;  // values above zero only; not for categories or stacked bars
  std::string caption;
};

/// A column whose cells are all numbers ("12", "1,234.5", "1e-3"), or all numbers with one unit
/// behind them ("12.3 %"), sorts as numbers and is aligned to the right; empty cells and "-" count
/// as missing and come last. Others sort as text in which digits count as numbers: conv2, conv10.
/// So prefixes of units ("1 mJ", "980 uJ") belong into no column.
struct HtmlTable {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  std::string caption;
};

struct HtmlPage {
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;  // label, text: at the top of the page
  std::vector<std::variant<Chart, HtmlTable>> parts;
};

/// The file's text. InternalError for a figure that is not finite, for one that a logarithmic axis
/// cannot show, and for series, notes or rows whose lengths do not fit.
std::string html_text(const HtmlPage& page);

}  // namespace widthwise
