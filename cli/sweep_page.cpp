// The page of a sweep: its fronts among all machines, the axes side by side, and a detail for every
// machine on a front.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "cli/run_page.hpp"
#include "cli/sweep_report.hpp"
#include "cli/text_layout.hpp"
#include "models/base/units.hpp"
#include "models/cost/analytic.hpp"
#include "sweep/key_number.hpp"
#include "sweep/sweep.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kMostDetails = 60;
constexpr double kLogRange = 20;  // axes that span more than this factor are logarithmic

std::string key_of(std::uint64_t cell) { return fmt::format("machine-{}", cell); }

struct Point {
  std::uint64_t cell = 0;
  std::vector<std::size_t> at;
  MachineResult result;
  bool on_front = false;
};

/// A metric in a unit that is easy to read.
struct Shown {
  std::string name;
  double scale = 1;
};

Shown shown(const std::string& metric) {
  const std::size_t dot = metric.rfind('.');  // behind a network's name
  const std::string network = dot == std::string::npos ? "" : metric.substr(0, dot) + " ";
  const std::string figure_name = dot == std::string::npos ? metric : metric.substr(dot + 1);
  static const std::map<std::string, Shown> kNames{
      {"latency_s", {"latency, ms", 1e3}}, {"energy_pj", {"energy, mJ", 1e-9}},
      {"edp_js", {"EDP, J s", 1}},         {"area_mm2", {"area, mm2", 1}},
      {"dram_bytes", {"DRAM, MB", 1e-6}},  {"weight_bytes", {"weights, MB", 1e-6}},
  };
  const auto found = kNames.find(figure_name);
  return found == kNames.end() ? Shown{metric, 1}
                               : Shown{network + found->second.name, found->second.scale};
}

class Page {
 public:
  Page(const Evaluator& evaluator, const PointStore& store, const SweepSummary& summary,
       std::size_t most_points)
      : evaluator_(evaluator),
        design_(evaluator.space()),
        space_(design_.space()),
        summary_(summary),
        metrics_(objective_metrics(evaluator)) {
    const std::uint64_t every = std::max<std::uint64_t>(
        1, (summary.done + most_points - 1) / std::max<std::size_t>(1, most_points));
    std::uint64_t number = 0;
    store.for_each([&](std::uint64_t cell, const MachineResult& result) {
      if (result.status != MachineResult::Status::done) {
        return;
      }
      const bool on_front = summary.on_a_front.contains(cell);
      if (number++ % every == 0 || on_front) {
        points_.push_back({cell, design_.coordinates(cell), result, on_front});
      }
    });
  }

  std::string text() {
    page_.title = space_.name;
    facts();
    for (std::size_t f = 0; f < space_.fronts.size(); ++f) {
      const auto& front = space_.fronts[f];
      for (std::size_t other = 1; other < front.size(); ++other) {
        front_chart(f, front[0], front[other]);
      }
    }
    parallel_axes();
    for (std::size_t f = 0; f < space_.fronts.size(); ++f) {
      front_table(f);
    }
    points_table();
    reasons_table();
    details();
    return html_text(page_);
  }

 private:
  [[nodiscard]] double value(const Point& point, std::size_t objective) const {
    return point.result.values[metrics_[objective]] * shown(space_.objectives[objective]).scale;
  }

  [[nodiscard]] std::string axes_text(const Point& point, std::string_view between) const {
    std::string text;
    for (std::size_t a = 0; a < point.at.size(); ++a) {
      text += fmt::format("{}{}: {}", a > 0 ? between : "", space_.axes[a].key,
                          space_.axes[a].values[point.at[a]]);
    }
    for (std::size_t d = 0; d < point.result.derived.size(); ++d) {
      text += fmt::format("{}{}: {}", between, space_.derived[d].key, point.result.derived[d]);
    }
    return text;
  }

  [[nodiscard]] std::string names_of(std::size_t front) const {
    std::string names;
    for (const std::size_t objective : space_.fronts[front]) {
      const std::string name = shown(space_.objectives[objective]).name;
      names += (names.empty() ? "" : " / ") + name.substr(0, name.rfind(", "));
    }
    return names;
  }

  [[nodiscard]] bool is_wide(std::size_t objective) const {
    double least = INFINITY;
    double greatest = 0;
    for (const Point& point : points_) {
      least = std::min(least, value(point, objective));
      greatest = std::max(greatest, value(point, objective));
    }
    return least > 0 && greatest > kLogRange * least;
  }

  void facts() {
    std::string networks;
    for (std::size_t n = 0; n < space_.networks.size(); ++n) {
      networks += fmt::format("{}{}", n > 0 ? ", " : "", evaluator_.networks()[n].name());
      if (space_.networks[n].weight != 1) {
        networks += fmt::format(" (x {})", format_number(space_.networks[n].weight));
      }
    }
    if (!space_.description.empty()) {
      page_.facts.emplace_back("about", space_.description);
    }
    page_.facts.emplace_back("networks", networks);
    page_.facts.emplace_back(
        "widths", space_.search ? "the best of every machine within its budgets, with a proof"
                                : (space_.bits.empty() ? "an axis" : space_.bits));
    page_.facts.emplace_back(
        "machines",
        fmt::format("{} of {} looked at: {} done, {} infeasible, {} left out, {} failed",
                    with_separators(static_cast<std::int64_t>(summary_.total())),
                    with_separators(static_cast<std::int64_t>(design_.cells())), summary_.done,
                    summary_.infeasible, summary_.excluded, summary_.failed));
    if (points_.size() < summary_.done) {
      page_.facts.emplace_back("drawn",
                               fmt::format("all that are on a front, and every {}th of the others",
                                           (summary_.done + points_.size() - 1) / points_.size()));
    }
    page_.facts.emplace_back("fidelity", std::string(to_string(space_.fidelity)));
  }

  void front_chart(std::size_t f, std::size_t x, std::size_t y) {
    const bool two = space_.fronts[f].size() == 2;
    Chart chart;
    chart.kind = Chart::Kind::lines;
    const auto bare = [&](std::size_t objective) {
      const std::string name = shown(space_.objectives[objective]).name;
      return name.substr(0, name.rfind(", "));
    };
    chart.title = fmt::format("{} against {}", bare(y), bare(x));
    if (!two) {
      chart.title += fmt::format(", front of {}", names_of(f));
    }
    chart.x_label = shown(space_.objectives[x]).name;
    chart.y_label = shown(space_.objectives[y]).name;
    chart.log_x = is_wide(x);
    chart.log_y = is_wide(y);
    std::set<std::uint64_t> members;
    for (const FrontMember& member : summary_.fronts[f]) {
      members.insert(member.cell);
    }
    Series front{"on the front", {}, {}, {}};
    Series others{"other machines", {}, {}, {}};
    front.line = two;
    front.stepped = two;
    others.line = false;
    others.faint = true;
    std::vector<const Point*> sorted;
    for (const Point& point : points_) {
      sorted.push_back(&point);
    }
    std::stable_sort(sorted.begin(), sorted.end(),
                     [&](const Point* a, const Point* b) { return value(*a, x) < value(*b, x); });
    for (const Point* point : sorted) {
      Series& series = members.contains(point->cell) ? front : others;
      series.x.push_back(value(*point, x));
      series.y.push_back(value(*point, y));
      series.notes.push_back(fmt::format("machine {}: {}", point->cell, axes_text(*point, ", ")));
      series.keys.push_back(key_of(point->cell));
    }
    chart.series = {std::move(front), std::move(others)};
    chart.caption = two ? "No machine is better in both than one on the front."
                        : "The front is of three objectives: what lies behind here is ahead in the "
                          "third.";
    page_.parts.emplace_back(std::move(chart));
  }

  /// Numbers if all values of an axis have one unit, else names.
  ParallelAxes::Axis axis_of(const SpaceAxis& axis, std::vector<double>& numbers) const {
    ParallelAxes::Axis shown_axis{axis.key, false, {}};
    std::string unit;
    for (const std::string& text : axis.values) {
      const auto number = number_and_unit(text);
      if (!number || (!numbers.empty() && number->second != unit)) {
        numbers.clear();
        break;
      }
      unit = number->second;
      numbers.push_back(number->first);
    }
    if (numbers.empty()) {
      shown_axis.categories = axis.values;
      for (std::size_t i = 0; i < axis.values.size(); ++i) {
        numbers.push_back(static_cast<double>(i));
      }
      return shown_axis;
    }
    if (!unit.empty()) {
      shown_axis.name += ", " + unit;
    }
    const auto [least, greatest] = std::minmax_element(numbers.begin(), numbers.end());
    constexpr double kAxisLogRange = 5;
    shown_axis.log = *least > 0 && *greatest > kAxisLogRange * *least;
    return shown_axis;
  }

  void parallel_axes() {
    ParallelAxes parallel;
    parallel.title = "All axes and objectives";
    parallel.lines_name = "machines";
    parallel.marked_name = "on a front";
    std::vector<std::vector<double>> numbers(space_.axes.size());
    for (std::size_t a = 0; a < space_.axes.size(); ++a) {
      parallel.axes.push_back(axis_of(space_.axes[a], numbers[a]));
    }
    for (std::size_t o = 0; o < space_.objectives.size(); ++o) {
      parallel.axes.push_back({shown(space_.objectives[o]).name, is_wide(o), {}});
    }
    for (const Point& point : points_) {
      ParallelAxes::Line line;
      line.name = fmt::format("machine {}", point.cell);
      line.marked = point.on_front;
      line.key = key_of(point.cell);
      for (std::size_t a = 0; a < point.at.size(); ++a) {
        line.values.push_back(numbers[a][point.at[a]]);
      }
      for (std::size_t o = 0; o < space_.objectives.size(); ++o) {
        line.values.push_back(value(point, o));
      }
      parallel.lines.push_back(std::move(line));
    }
    parallel.caption = "The charts and tables of the page follow the ranges.";
    if (parallel.axes.size() >= 2) {
      page_.parts.emplace_back(std::move(parallel));
    }
  }

  HtmlTable table_of(std::string title, const std::vector<const Point*>& points) const {
    HtmlTable table{std::move(title), {"machine"}, {}, ""};
    // Objectives first, then what makes the machine, then what else is known of it.
    for (const std::string& objective : space_.objectives) {
      table.columns.push_back(shown(objective).name);
    }
    for (const SpaceAxis& axis : space_.axes) {
      table.columns.push_back(axis.key);
    }
    for (const DerivedKey& key : space_.derived) {
      table.columns.push_back(key.key);
    }
    std::vector<std::size_t> others;
    for (std::size_t m = 0; m < evaluator_.metrics().size(); ++m) {
      if (std::find(metrics_.begin(), metrics_.end(), m) == metrics_.end()) {
        others.push_back(m);
        table.columns.push_back(shown(evaluator_.metrics()[m]).name);
      }
    }
    const auto value_of = [&](const Point& point, std::size_t m) {
      return figure(point.result.values[m] * shown(evaluator_.metrics()[m]).scale);
    };
    for (const Point* point : points) {
      auto& row = table.rows.emplace_back();
      row.push_back(fmt::to_string(point->cell));
      for (const std::size_t m : metrics_) {
        row.push_back(value_of(*point, m));
      }
      for (std::size_t a = 0; a < point->at.size(); ++a) {
        row.push_back(space_.axes[a].values[point->at[a]]);
      }
      for (std::size_t d = 0; d < space_.derived.size(); ++d) {
        row.push_back(d < point->result.derived.size() ? point->result.derived[d] : "");
      }
      for (const std::size_t m : others) {
        row.push_back(value_of(*point, m));
      }
      table.keys.push_back(key_of(point->cell));
    }
    return table;
  }

  void front_table(std::size_t f) {
    std::vector<const Point*> members;
    for (const FrontMember& member : summary_.fronts[f]) {
      members.push_back(&*std::find_if(points_.begin(), points_.end(), [&](const Point& point) {
        return point.cell == member.cell;
      }));
    }
    page_.parts.emplace_back(table_of("Front of " + names_of(f), members));
  }

  void points_table() {
    constexpr std::size_t kMostRows = 500;
    const std::size_t every = (points_.size() + kMostRows - 1) / kMostRows;
    std::vector<const Point*> rows;
    for (std::size_t i = 0; i < points_.size(); ++i) {
      if (every > 0 && i % every == 0) {
        rows.push_back(&points_[i]);
      }
    }
    HtmlTable table = table_of("Machines", rows);
    if (rows.size() < summary_.done) {
      table.caption = fmt::format("{} of {}; all are in points.csv.", rows.size(), summary_.done);
    }
    page_.parts.emplace_back(std::move(table));
  }

  void reasons_table() {
    if (summary_.reasons.empty()) {
      return;
    }
    HtmlTable table{"Machines without figures", {"why", "machines"}, {}, ""};
    for (const auto& [reason, count] : summary_.reasons) {
      table.rows.push_back({reason, fmt::to_string(count)});
    }
    page_.parts.emplace_back(std::move(table));
  }

  void details() {
    for (const Point& point : points_) {
      if (!point.on_front || page_.details.size() == kMostDetails) {
        continue;
      }
      const auto made = design_.machine(point.cell);
      const auto& machine = std::get<Machine>(made);
      HtmlDetail detail{key_of(point.cell), fmt::format("Machine {}", point.cell), {}, {}};
      detail.facts.emplace_back("axes", axes_text(point, "\n"));
      for (std::size_t m = 0; m < evaluator_.metrics().size(); ++m) {
        const Shown metric = shown(evaluator_.metrics()[m]);
        detail.facts.emplace_back(metric.name, figure(point.result.values[m] * metric.scale));
      }
      for (std::size_t n = 0; n < evaluator_.networks().size(); ++n) {
        const Network& network = evaluator_.networks()[n];
        const Assignment assignment = evaluator_.assignment(machine, point.result, n);
        const WidthPlan widths = resolve_widths(network, assignment);
        CostReport report = analytic_cost(network, widths, machine.accelerator, *machine.energy);
        report.assignment = assignment.name;
        std::vector<std::pair<std::string, std::string>> ignored;
        const std::size_t first = detail.parts.size();
        add_run(ignored, detail.parts, report, machine.accelerator);
        if (evaluator_.networks().size() > 1) {
          for (std::size_t i = first; i < detail.parts.size(); ++i) {
            std::visit([&](auto& part) { part.title = network.name() + ": " + part.title; },
                       detail.parts[i]);
          }
        }
      }
      if (space_.fidelity != Fidelity::analytic) {
        detail.facts.emplace_back("per layer", "by the closed form");
      }
      page_.details.push_back(std::move(detail));
    }
  }

  const Evaluator& evaluator_;
  const DesignSpace& design_;
  const Space& space_;
  const SweepSummary& summary_;
  std::vector<std::size_t> metrics_;  // of the objectives
  std::vector<Point> points_;
  HtmlPage page_;
};

}  // namespace

std::string sweep_page(const Evaluator& evaluator, const PointStore& store,
                       const SweepSummary& summary, std::size_t most_points) {
  return Page(evaluator, store, summary, most_points).text();
}

}  // namespace widthwise
