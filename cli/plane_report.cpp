#include "cli/plane_report.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/print_table.hpp"
#include "cli/text_layout.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kLabelColumns = 16;
constexpr std::size_t kNarrowest = 9;
constexpr std::size_t kFigures = 3;         // columns before those of machines
constexpr std::size_t kMachinesBeside = 4;  // in a table of text

std::string machine_name(const PlaneMachine& machine) {
  return machine.measured ? std::string("host (measured)") : machine.name;
}

/// Over 8-bit inference on the same machine; 0: none.
double speed_up(const PlaneMachine& machine, double seconds) {
  return seconds > 0 ? machine.eight_bit_s / seconds : 0;
}

double lost(const PlaneReport& report, double accuracy) {
  return 100 * (report.accuracy_int8 - accuracy);
}

std::vector<std::vector<std::string>> rows(const PlaneReport& report) {
  std::vector<std::vector<std::string>> all;
  // `seconds(machine)`: 0: none.
  const auto add = [&](std::string name, double accuracy, const auto& seconds) {
    std::vector<std::string> row{std::move(name), fmt::format("{:.2f} %", 100 * accuracy),
                                 fmt::format("{:.2f}", lost(report, accuracy))};
    for (const PlaneMachine& machine : report.machines) {
      const double found = speed_up(machine, seconds(machine));
      row.push_back(found > 0 ? fmt::format("{:.2f}x", found) : "-");
    }
    all.push_back(std::move(row));
  };
  for (std::size_t n = 0; n < report.planes.size(); ++n) {
    add(fmt::to_string(report.planes[n]), report.accuracies[n],
        [&](const PlaneMachine& machine) { return machine.seconds[n]; });
  }
  add("float", report.accuracy_float, [](const PlaneMachine&) { return 0.0; });
  add("8 bit", report.accuracy_int8,
      [](const PlaneMachine& machine) { return machine.eight_bit_s; });
  add("per layer", report.assigned_accuracy,
      [](const PlaneMachine& machine) { return machine.assigned_s; });
  return all;
}

std::vector<std::string> titles(const PlaneReport& report) {
  std::vector<std::string> all{"planes", "accuracy", "lost"};
  for (const PlaneMachine& machine : report.machines) all.push_back(machine_name(machine));
  return all;
}

std::string layers_text(const PlaneReport& report) {
  std::vector<std::string> parts;
  for (const PlaneLayerResult& layer : report.layers) {
    parts.push_back(fmt::format("{} {}", layer.name, layer.planes));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string loss_text(const PlaneReport& report) {
  const bool is_met = report.assigned_lost <= report.max_loss * (1 + 1e-9);
  return fmt::format(
      "{:.2f} points on {} calibration images, {:.2f} are allowed{}; {:.2f} on {} test images; the "
      "limit of the layers' losses was {:.3g} with at least {} each after {}",
      report.assigned_lost, with_separators(report.calibration_images), report.max_loss,
      is_met ? "" : " (not met: all planes lose more)", lost(report, report.assigned_accuracy),
      with_separators(report.test_images), report.loss_limit,
      counted(static_cast<std::size_t>(report.least_planes), "plane"),
      counted(static_cast<std::size_t>(report.rounds), "round"));
}

}  // namespace

std::string plane_text(const PlaneReport& report) {
  std::string text;
  const std::vector<std::string> all_titles = titles(report);
  const std::vector<std::vector<std::string>> all_rows = rows(report);
  for (std::size_t first = kFigures; first < all_titles.size(); first += kMachinesBeside) {
    const auto part = [&](const std::vector<std::string>& row) {
      std::vector<std::string> cells(row.begin(), row.begin() + kFigures);
      const std::size_t last = std::min(first + kMachinesBeside, row.size());
      for (std::size_t i = first; i < last; ++i) cells.push_back(row[i]);
      return cells;
    };
    std::vector<Column> columns;
    for (const std::string& title : part(all_titles)) {
      columns.push_back({printable(title), columns.empty() ? Align::left : Align::right,
                         columns.size() >= kFigures ? kNarrowest : 0});
    }
    std::vector<std::vector<std::string>> part_rows;
    for (const auto& row : all_rows) part_rows.push_back(part(row));
    text += table_text(columns, part_rows, kReportColumns) + '\n';
  }
  const auto add = [&](const std::string& label, const std::string& line) {
    text += list_text(label, {printable(line)}, ";", kLabelColumns, kReportColumns, 4);
  };
  add("per layer", layers_text(report));
  add("lost", loss_text(report));
  add("activations", fmt::format("{} bits, a scale per vector", report.activation_bits));
  if (!report.machines.empty() && report.machines.back().measured) {
    const PlaneMachine& host = report.machines.back();
    add("host", fmt::format("{}, one thread: 8-bit inference {}, planes per layer {}", host.name,
                            si_text(host.eight_bit_s, "s"), si_text(host.assigned_s, "s")));
  }
  return text;
}

void add_planes(HtmlPage& page, const PlaneReport& report) {
  std::vector<double> planes(report.planes.begin(), report.planes.end());
  Chart accuracy;
  accuracy.title = "Accuracy by bit-planes";
  accuracy.x_label = "planes of magnitudes, of all layers";
  accuracy.y_label = "accuracy on test images in percent";
  Series by_planes{"bit-planes", planes, {}, {}};
  for (const double share : report.accuracies) by_planes.y.push_back(100 * share);
  accuracy.series.push_back(std::move(by_planes));
  accuracy.series.push_back(
      {"8 bit", planes, std::vector<double>(planes.size(), 100 * report.accuracy_int8), {}});
  accuracy.series.push_back(
      {"float", planes, std::vector<double>(planes.size(), 100 * report.accuracy_float), {}});
  accuracy.caption =
      fmt::format("Not trained for bit-planes. Activations of {} bits.", report.activation_bits);
  page.parts.emplace_back(std::move(accuracy));

  Chart speed;
  speed.title = "Speed-up by bit-planes";
  speed.x_label = "planes of magnitudes, of all layers";
  speed.y_label = "times as fast as 8-bit inference";
  for (const PlaneMachine& machine : report.machines) {
    Series series{machine_name(machine), planes, {}, {}};
    for (const double seconds : machine.seconds) series.y.push_back(speed_up(machine, seconds));
    speed.series.push_back(std::move(series));
  }
  speed.caption =
      "At batch 1, each relative to the same machine. Machines are simulated tile by tile; the "
      "host's times are measured, and not the same twice.";
  page.parts.emplace_back(std::move(speed));

  page.parts.emplace_back(HtmlTable{
      "Bit-planes", titles(report), rows(report),
      "Lost: points of accuracy against 8-bit inference, on the test images. Per layer: " +
          layers_text(report) + ". Lost there: " + loss_text(report) + "."});
  HtmlTable layers{"Bit-planes per layer", {"layer", "planes"}, {}, ""};
  for (const int n : report.planes) layers.columns.push_back(fmt::format("lost at {}", n));
  for (const int n : report.planes) layers.columns.push_back(fmt::format("cycles at {}", n));
  for (const PlaneLayerResult& layer : report.layers) {
    std::vector<std::string> row{layer.name, fmt::to_string(layer.planes)};
    for (const double points : layer.lost) row.push_back(fmt::format("{:.2f}", points));
    for (const double cycles : layer.latency_cycles) row.push_back(fmt::format("{:.0f}", cycles));
    layers.rows.push_back(std::move(row));
  }
  layers.caption =
      "Lost: points of accuracy on the calibration images when this layer alone has so many "
      "planes.";
  page.parts.emplace_back(std::move(layers));
}

}  // namespace widthwise
