#include "cli/html_page.hpp"

#include <limits>
#include <string_view>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"

using namespace widthwise;

namespace {

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

bool contains(std::string_view text, std::string_view part) { return count(text, part) > 0; }

Chart chart_of(Chart::Kind kind, std::vector<double> x, std::vector<double> y) {
  Chart chart;
  chart.kind = kind;
  chart.title = "front";
  chart.series.resize(1);
  chart.series[0].name = "greedy";
  chart.series[0].x = std::move(x);
  chart.series[0].y = std::move(y);
  return chart;
}

Chart bars_of(std::vector<std::string> categories, std::vector<double> y) {
  Chart chart = chart_of(Chart::Kind::bars, {}, std::move(y));
  chart.categories = std::move(categories);
  return chart;
}

HtmlTable table_of(std::vector<std::string> columns, std::vector<std::vector<std::string>> rows) {
  HtmlTable table;
  table.title = "layers";
  table.columns = std::move(columns);
  table.rows = std::move(rows);
  return table;
}

std::string text_of(std::vector<HtmlPart> parts) {
  HtmlPage page;
  page.title = "report";
  page.parts = std::move(parts);
  return html_text(page);
}

/// The page's own elements, without what its scripts and styles say.
std::string body_of(const std::vector<HtmlPart>& parts) {
  const std::string text = text_of(parts);
  const auto begin = text.find("<main>");
  return text.substr(begin, text.find("</main>") - begin);
}

ParallelAxes axes_of(std::vector<ParallelAxes::Axis> axes, std::vector<ParallelAxes::Line> lines) {
  ParallelAxes parallel;
  parallel.title = "machines";
  parallel.axes = std::move(axes);
  parallel.lines = std::move(lines);
  return parallel;
}

HtmlPage page_with_details(std::vector<HtmlPart> parts, const std::vector<std::string>& ids) {
  HtmlPage page;
  page.title = "report";
  page.parts = std::move(parts);
  for (const std::string& id : ids) {
    page.details.push_back({.id = id, .title = "of " + id, .facts = {}, .parts = {}});
  }
  return page;
}

std::string column_of(const std::vector<std::string>& cells) {
  HtmlTable table = table_of({"a"}, {});
  for (const std::string& cell : cells) {
    table.rows.push_back({cell});
  }
  return body_of({table});
}

const std::string kEvil = "</script><b onclick='x()'>\"&<!--";
const std::string kHarmless = "&lt;/script&gt;&lt;b onclick=&#39;x()&#39;&gt;&quot;&amp;&lt;!--";

}  // namespace

TEST_CASE("text that would end a script or open a tag is shown instead") {
  Chart chart = bars_of({kEvil}, {1});
  chart.title = chart.x_label = chart.y_label = chart.caption = chart.series[0].name = kEvil;
  chart.series[0].notes = {kEvil};
  HtmlTable table = table_of({kEvil}, {{kEvil}});
  table.title = table.caption = kEvil;
  table.keys = {kEvil};
  ParallelAxes axes = axes_of({{kEvil}, {kEvil, false, {kEvil}}}, {{kEvil, {1, 0}, true, kEvil}});
  axes.title = axes.caption = axes.lines_name = axes.marked_name = kEvil;
  HtmlPage page;
  page.title = kEvil;
  page.facts = {{kEvil, kEvil}};
  page.parts = {chart, table, axes};
  page.details = {{.id = "a", .title = kEvil, .facts = {{kEvil, kEvil}}, .parts = {table, chart}}};
  const std::string text = html_text(page);

  CHECK_FALSE(contains(text, kEvil));
  CHECK_FALSE(contains(text, "<b "));
  // <title> and <h1>; two in the facts; three links; of charts and axes heading, label and caption;
  // of tables heading, label, column, key, cell and caption; of the detail heading and facts.
  CHECK(count(text, kHarmless) == 2 + 2 + 3 + 3 * 3 + 2 * 6 + 3);
  // The data of two charts and of the axes; Chart.js; the page's own script.
  CHECK(count(text, "<script") == 5);
  CHECK(count(text, "</script") == 5);
  // Of a chart, of axes, of the detail.
  CHECK(count(text, "</noscript") == 3);
  CHECK(contains(text, R"("categories":["\u003c/script>\u003cb onclick='x()'>\"&\u003c!--"])"));
}

TEST_CASE("control characters and broken UTF-8 come out as question marks, line feeds stay") {
  const std::string body = body_of({table_of({"a"}, {{"one\ntwo\x1b[0m\xff, \u202E"}})});
  CHECK(contains(body, "<td>one\ntwo?[0m?, ?</td>"));
}

TEST_CASE("the same page gives the same bytes") {
  const auto text = [] {
    return text_of({chart_of(Chart::Kind::lines, {1, 2}, {0.1, 1e-9}), table_of({"a"}, {{"1"}})});
  };
  CHECK(text() == text());
}

TEST_CASE("a page asks for nothing from outside") {
  const std::string text = text_of({table_of({"a"}, {{"1"}})});
  CHECK(contains(text, "default-src 'none'"));
  for (const char* const part :
       {"http:", "https:", "src=", "url(", "@import", "sourceMappingURL"}) {
    CAPTURE(part);
    CHECK_FALSE(contains(text, part));
  }
  CHECK_FALSE(contains(text_of({bars_of({"conv1"}, {1})}), "sourceMappingURL"));
}

TEST_CASE("only a page with charts carries Chart.js, once") {
  const std::string banner = "Chart.js v";
  CHECK_FALSE(contains(text_of({table_of({"a"}, {})}), banner));
  const Chart chart = bars_of({"conv1"}, {1});
  CHECK(count(text_of({chart, chart}), banner) == 1);
}

TEST_CASE("facts stand at the top in their order") {
  HtmlPage page;
  page.facts = {{"Network", "resnet18"}, {"Accelerator", "bismo"}};
  const std::string text = html_text(page);
  CHECK(contains(text,
                 "<dl class=\"facts\">\n"
                 "<div><dt>Network</dt><dd>resnet18</dd></div>\n"
                 "<div><dt>Accelerator</dt><dd>bismo</dd></div>\n</dl>"));
  CHECK(text.find("</dl>") < text.find("<main>"));
}

TEST_CASE("a page of three parts has a table of contents and one of two has none") {
  const HtmlTable table = table_of({"a"}, {});
  CHECK_FALSE(contains(text_of({table, table}), "<nav"));
  const std::string text = text_of({table, table, table});
  CHECK(contains(text, "<a href=\"#part-3\">layers</a>"));
  CHECK(contains(text, "<section id=\"part-3\" class=\"table\">"));
}

TEST_CASE("a chart's data stand in the page in full precision") {
  Chart chart = chart_of(Chart::Kind::lines, {0.1, 1e300}, {1.0 / 3, -2});
  chart.log_x = true;
  chart.series[0].notes = {"first", "second"};
  const std::string body = body_of({chart});
  CHECK(contains(body, R"("kind":"lines")"));
  CHECK(contains(body, R"("log_x":true,"log_y":false)"));
  CHECK(contains(body, R"("name":"greedy","x":[0.1,1e+300],"y":[0.3333333333333333,-2.0],)"
                       R"("notes":["first","second"],"line":true,"stepped":false,)"
                       R"("faint":false,"keys":[])"));
}

TEST_CASE("a scatter chart joins no points") {
  CHECK(contains(body_of({chart_of(Chart::Kind::scatter, {1}, {1})}), R"("line":false)"));
}

TEST_CASE("faint points are not joined") {
  Chart chart = chart_of(Chart::Kind::lines, {1, 2}, {1, 2});
  CHECK(contains(body_of({chart}), R"("line":true)"));
  chart.series[0].faint = true;
  CHECK(contains(body_of({chart}), R"("line":false,"stepped":false,"faint":true)"));
}

TEST_CASE("parallel axes stand in the page by axis, in full precision") {
  const std::string body =
      body_of({axes_of({{"rows", true}, {"engine", false, {"fused", "fixed"}}},
                       {{"small", {0.1, 1}, true, "m1"}, {"large", {1e300, 0}}})});
  CHECK(contains(body, R"({"name":"rows","log":true,"categories":[],"values":[0.1,1e+300]})"));
  CHECK(contains(
      body, R"({"name":"engine","log":false,"categories":["fused","fixed"],"values":[1.0,0.0]})"));
  CHECK(contains(body, R"("names":["small","large"],"keys":["m1",""],"marked":[1,0])"));
}

TEST_CASE("a page of parallel axes alone needs no Chart.js") {
  CHECK_FALSE(contains(text_of({axes_of({{"a"}, {"b"}}, {})}), "Chart.js v"));
}

TEST_CASE("lines, values and categories that do not fit their axes are refused") {
  const double infinity = std::numeric_limits<double>::infinity();
  const ParallelAxes::Axis plain{"a"};
  const ParallelAxes::Axis log{"b", true};
  const ParallelAxes::Axis named{"c", false, {"x", "y"}};
  const auto text = [](std::vector<ParallelAxes::Axis> axes, std::vector<double> values) {
    return text_of({axes_of(std::move(axes), {{"line", std::move(values)}})});
  };
  CHECK_NOTHROW(text({plain, log, named}, {-1, 1e-300, 1}));
  CHECK_THROWS_AS(text({plain}, {1}), InternalError);
  CHECK_THROWS_AS(text({plain, plain}, {1}), InternalError);
  CHECK_THROWS_AS(text({plain, plain}, {1, infinity}), InternalError);
  CHECK_THROWS_AS(text({plain, log}, {1, 0}), InternalError);
  for (const double category : {-1.0, 0.5, 2.0}) {
    CHECK_THROWS_AS(text({plain, named}, {1, category}), InternalError);
  }
  CHECK_THROWS_AS(text({plain, {"d", true, {"x"}}}, {1, 0}), InternalError);
}

TEST_CASE("rows and points have one key each or none") {
  HtmlTable table = table_of({"a"}, {{"x"}, {"y"}});
  CHECK_FALSE(contains(body_of({table}), "data-key"));
  table.keys = {"first", ""};
  CHECK(contains(body_of({table}), "<tr data-key=\"first\"><td>x</td></tr>\n<tr><td>y</td></tr>"));
  table.keys = {"first"};
  CHECK_THROWS_AS(text_of({table}), InternalError);

  Chart chart = chart_of(Chart::Kind::lines, {1, 2}, {1, 2});
  chart.series[0].keys = {"first", ""};
  CHECK(contains(body_of({chart}), R"("keys":["first",""])"));
  chart.series[0].keys = {"first"};
  CHECK_THROWS_AS(text_of({chart}), InternalError);
}

TEST_CASE("a row whose key is a detail's id links to it with its first cell") {
  HtmlTable table = table_of({"a", "b"}, {{"1,000", "x"}, {"2", "y"}});
  table.keys = {"m-1", "m-2"};
  const std::string text = html_text(page_with_details({table}, {"m-1"}));
  CHECK(contains(text,
                 "<td class=\"number\" data-value=\"1000\"><a href=\"#detail-m-1\">1\u202F000</a>"
                 "</td><td>x</td>"));
  CHECK(contains(text, "<td class=\"number\" data-value=\"2\">2</td>"));
}

TEST_CASE("a detail has its facts and parts, which browsers with scripts leave alone") {
  HtmlPage page = page_with_details({}, {"m1"});
  page.details[0].facts = {{"Area", "2 mm2"}};
  page.details[0].parts = {table_of({"layer"}, {{"conv1"}}), bars_of({"conv1"}, {1})};
  const std::string text = html_text(page);
  const auto begin = text.find("<dialog id=\"detail-m1\"");
  const std::string detail = text.substr(begin, text.find("</dialog>") - begin);
  CHECK(contains(detail, "<h2 id=\"title-m1\">of m1</h2>"));
  const std::string inside = detail.substr(detail.find("<noscript>"));
  CHECK(count(inside, "noscript") == 2);
  CHECK(contains(inside, "<dt>Area</dt><dd>2 mm2</dd>"));
  CHECK(contains(inside, "<section class=\"table\">\n<h3>layers</h3>"));
  CHECK(contains(inside, "<td>conv1</td>"));
  CHECK(contains(inside, "\"categories\":[\"conv1\"]"));
  CHECK(contains(text, "Chart.js v"));
}

TEST_CASE("ids of details are plain and different") {
  CHECK_NOTHROW(html_text(page_with_details({}, {"a", "A", "b-1_2.3"})));
  for (const char* const id : {"", "a b", "a\"", "#a", "\u00E4", "a/b"}) {
    CAPTURE(id);
    CHECK_THROWS_AS(html_text(page_with_details({}, {id})), InternalError);
  }
  CHECK_THROWS_AS(html_text(page_with_details({}, {"a", "a"})), InternalError);
}

TEST_CASE("tables of more than 15 rows have a filter") {
  const std::vector<std::vector<std::string>> fifteen(15, {"1"});
  const std::vector<std::vector<std::string>> sixteen(16, {"1"});
  CHECK_FALSE(contains(body_of({table_of({"a"}, fifteen)}), "<input"));
  CHECK(contains(body_of({table_of({"a"}, sixteen)}), "<input type=\"search\""));
}

TEST_CASE("charts, tables and axes can be saved as CSV") {
  const std::string body =
      body_of({bars_of({"conv1"}, {1}), table_of({"a"}, {{"1"}}), axes_of({{"a"}, {"b"}}, {})});
  CHECK(count(body, "class=\"csv\"") == 3);
}

TEST_CASE("each column's heading is a button") {
  const std::string body = body_of({table_of({"a", "b"}, {{"1", "x"}})});
  CHECK(contains(body,
                 "<th scope=\"col\" class=\"number\" data-unit=\"\">"
                 "<button type=\"button\">a</button></th>"
                 "<th scope=\"col\"><button type=\"button\">b</button></th>"));
}

TEST_CASE("numbers have thin spaces between thousands and keep their value beside the text") {
  const std::string body = column_of({"1,234,567.25", "-1234", "999", "+1e-3"});
  CHECK(contains(body,
                 "<td class=\"number\" data-value=\"1234567.25\">"
                 "1\u202F234\u202F567.25</td>"));
  CHECK(contains(body, "<td class=\"number\" data-value=\"-1234\">\u22121\u202F234</td>"));
  CHECK(contains(body, "<td class=\"number\" data-value=\"999\">999</td>"));
  CHECK(contains(body, "<td class=\"number\" data-value=\"1e-3\">1e-3</td>"));
}

TEST_CASE("numbers with one unit behind them are numbers, with several they are text") {
  const std::string body = column_of({"12.3 %", "4 %"});
  CHECK(contains(body, "data-unit=\" %\""));
  CHECK(contains(body, "<td class=\"number\" data-value=\"12.3\">12.3 %</td>"));
  CHECK(contains(column_of({"1 mJ", "980 uJ"}), "<td>980 uJ</td>"));
}

TEST_CASE("a missing number leaves its column one of numbers") {
  const std::string body = column_of({"-", "3", ""});
  CHECK(contains(body, "<td class=\"number\">-</td>"));
  CHECK(contains(body, "<td class=\"number\"></td>"));
  CHECK_FALSE(contains(column_of({"-", ""}), "\"number\""));
}

TEST_CASE("what only looks like a number is text") {
  for (const char* const text : {"conv1", "3x3", "1.2.3", "007", "1,23", "1,2345", "12,34,567",
                                 ".5", "inf", "nan", "- 1", "0x10", "1e5e5", "2026-01-01"}) {
    CAPTURE(text);
    CHECK_FALSE(contains(column_of({text, text}), "\"number\""));
  }
}

TEST_CASE("a chart with a figure that is not finite is refused") {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double value : {infinity, -infinity, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS_AS(text_of({chart_of(Chart::Kind::lines, {value}, {1})}), InternalError);
    CHECK_THROWS_AS(text_of({chart_of(Chart::Kind::scatter, {1}, {value})}), InternalError);
    CHECK_THROWS_AS(text_of({bars_of({"conv1"}, {value})}), InternalError);
  }
}

TEST_CASE("a logarithmic axis takes values above zero only") {
  Chart chart = chart_of(Chart::Kind::lines, {1, 0}, {1, 0});
  CHECK_NOTHROW(text_of({chart}));
  chart.log_x = true;
  CHECK_THROWS_AS(text_of({chart}), InternalError);
  chart.log_x = false;
  chart.log_y = true;
  CHECK_THROWS_AS(text_of({chart}), InternalError);
  chart.series[0].y = {1, 1e-300};
  CHECK_NOTHROW(text_of({chart}));
}

TEST_CASE("categories and stacked bars have no logarithmic axis") {
  Chart chart = bars_of({"conv1"}, {1});
  chart.log_y = true;
  CHECK_NOTHROW(text_of({chart}));
  chart.kind = Chart::Kind::stacked_bars;
  CHECK_THROWS_AS(text_of({chart}), InternalError);
  chart.log_y = false;
  CHECK_NOTHROW(text_of({chart}));
  chart.log_x = true;
  CHECK_THROWS_AS(text_of({chart}), InternalError);
}

TEST_CASE("series whose lengths do not fit are refused") {
  CHECK_THROWS_AS(text_of({chart_of(Chart::Kind::lines, {1, 2}, {1})}), InternalError);
  CHECK_THROWS_AS(text_of({bars_of({"conv1", "conv2"}, {1})}), InternalError);

  Chart with_x = bars_of({"conv1"}, {1});
  with_x.series[0].x = {1};
  CHECK_THROWS_AS(text_of({with_x}), InternalError);

  Chart with_categories = chart_of(Chart::Kind::lines, {1}, {1});
  with_categories.categories = {"conv1"};
  CHECK_THROWS_AS(text_of({with_categories}), InternalError);

  Chart with_notes = chart_of(Chart::Kind::lines, {1, 2}, {1, 2});
  with_notes.series[0].notes = {"only one"};
  CHECK_THROWS_AS(text_of({with_notes}), InternalError);
}

TEST_CASE("a row has one cell per column") {
  CHECK_THROWS_AS(text_of({table_of({"a", "b"}, {{"1"}})}), InternalError);
  CHECK_THROWS_AS(text_of({table_of({}, {})}), InternalError);
  CHECK_NOTHROW(text_of({table_of({"a"}, {})}));
}
