// A page of charts and tables as one HTML file: it opens without a network, asks for nothing from
// outside, and can be printed. Charts are drawn by Chart.js, which the program carries inside
// itself, parallel axes by the page's own script; tables stand in the file as HTML and can be read
// without scripts.
//
// Rows, points and lines may have keys: what has equal keys speaks of one thing. Pointing at it
// marks it everywhere, and what a range on parallel axes leaves out goes from tables and turns grey
// in charts; keys that no line has stay. A key that is a detail's id opens it: by a click, and in
// tables by a link. An empty key is none.
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
  bool faint = false;              // points small and pale, behind the others; no line
  std::vector<std::string> keys = {};  // empty, or one per point
};

struct Chart {
  /// lines: a front among the points that it beats is a stepped series and a faint one. scatter:
  /// points alone. bars: one bar per category and series, beside each other or, stacked, behind
  /// each other. Bars lie; their categories stand one below the other.
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
  std::vector<std::string> keys = {};  // empty, or one per row; the first cell is the link
};

/// One vertical axis per quantity and one line per thing across them all. Dragging along an axis
/// keeps the lines that cross it there, on several axes those that cross all of them.
struct ParallelAxes {
  struct Axis {
    std::string name;                          // with the unit
    bool log = false;                          // values above zero only
    std::vector<std::string> categories = {};  // values are then indices of these
  };
  struct Line {
    std::string name;            // what hovering over it says, before its values
    std::vector<double> values;  // one per axis
    bool marked = false;         // strong, before the others
    std::string key = {};
  };

  std::string title;
  std::vector<Axis> axes;  // two or more
  std::vector<Line> lines;
  std::string lines_name = "lines";    // what they are: "137 of 1,024 machines"
  std::string marked_name = "marked";  // in the legend: "on the front"
  std::string caption;
};

using HtmlPart = std::variant<Chart, HtmlTable, ParallelAxes>;

/// What is known of one thing: opens over the page, at the address #detail-ID. Its charts are drawn
/// when it is opened; without scripts all details stand below the page.
struct HtmlDetail {
  std::string id;  // letters, digits, '-', '_' and '.'
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<HtmlPart> parts;
};

struct HtmlPage {
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;  // label, text: at the top of the page
  std::vector<HtmlPart> parts;
  std::vector<HtmlDetail> details = {};
};

/// The file's text. InternalError for a figure that is not finite, for one that a logarithmic axis
/// cannot show, for series, notes, keys, rows or lines whose lengths do not fit, for a category
/// that an axis does not have, and for an id that is malformed or given twice.
std::string html_text(const HtmlPage& page);

}  // namespace widthwise
