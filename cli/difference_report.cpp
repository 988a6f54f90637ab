#include "cli/difference_report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/cost_words.hpp"
#include "cli/html_page.hpp"
#include "cli/print_table.hpp"
#include "cli/text_layout.hpp"
#include "models/base/error.hpp"
#include "models/base/units.hpp"

namespace widthwise {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLabelColumns = 16;
constexpr std::size_t kMostLayers = 20;
constexpr std::size_t kMostKeyLines = 8;
constexpr std::size_t kValueColumns = 36;
constexpr std::size_t kReasonColumns = 42;
constexpr std::size_t kTimeColumns = 12;
constexpr double kPico = 1e-12;

// ---- words

std::string count_text(double value) { return with_separators(static_cast<std::int64_t>(value)); }
std::string plain_text(double value) { return si_text(value, "", true); }
std::string bytes_text(double value) { return si_text(value, "B", true); }
std::string seconds_text(double value) { return si_text(value, "s"); }
std::string energy_text(double picojoules) { return si_text(picojoules * kPico, "J"); }
std::string figure_text(double value) { return fmt::format("{:.4g}", value); }
std::string area_text(double value) { return fmt::format("{:.4g} mm2", value * 1e-6); }

double number(Cycles cycles) { return static_cast<double>(cycles.count()); }
double number(Bytes bytes) { return static_cast<double>(bytes.count()); }

/// A figure of a whole run.
struct Total {
  std::string_view key;   // in JSON
  std::string_view name;  // for people
  double (*of)(const CostReport&);
  std::string (*text)(double);
};

constexpr std::array<Total, 13> kTotals{
    {{"latency_s", "latency",
      [](const CostReport& r) { return seconds_at(r.latency(), r.clock).count(); }, seconds_text},
     {"latency_cycles", "cycles", [](const CostReport& r) { return number(r.latency()); },
      count_text},
     {"frames_per_s", "frames/s", [](const CostReport& r) { return r.frames_per_second(); },
      plain_text},
     {"energy_pj", "energy", [](const CostReport& r) { return r.energy().total().count(); },
      energy_text},
     {"edp_js", "EDP in J s", [](const CostReport& r) { return r.edp_js(); }, figure_text},
     {"tops_per_w", "TOPS/W", [](const CostReport& r) { return r.tops_per_watt(); }, figure_text},
     {"dram_bytes", "DRAM",
      [](const CostReport& r) { return number(r.dram_read() + r.dram_write()); }, bytes_text},
     {"dram_read_bytes", "DRAM read", [](const CostReport& r) { return number(r.dram_read()); },
      bytes_text},
     {"dram_write_bytes", "DRAM written",
      [](const CostReport& r) { return number(r.dram_write()); }, bytes_text},
     {"macs", "MACs", [](const CostReport& r) { return static_cast<double>(r.macs()); },
      plain_text},
     {"bitops", "BitOPs", [](const CostReport& r) { return r.bitops(); }, plain_text},
     {"weight_bytes", "parameters", [](const CostReport& r) { return number(r.parameter_bytes()); },
      bytes_text},
     {"area_um2", "area", [](const CostReport& r) { return r.area.total().count(); }, area_text}}};

double change_of(const Total& total, const ComparedRuns& runs, const RunDifference& difference) {
  // The components' changes sum to that of the energy to the last bit.
  return total.key == "energy_pj" ? difference.energy.total().count()
                                  : total.of(runs.b) - total.of(runs.a);
}

/// "+1,234", "-1,234", "0".
std::string signed_text(double value, std::string (*text)(double)) {
  return value == 0 ? "0" : (value > 0 ? "+" : "") + text(value);
}

std::string ratio_text(double a, double b) { return a != 0 ? figure_text(b / a) : "-"; }

std::string share_text(double part, double whole) {
  constexpr double kLeast = 0.0005;  // else "-0.0 %"
  return whole == 0 ? "-" : percent_text(std::abs(part / whole) < kLeast ? 0 : part / whole);
}

std::string arrow(const std::string& a, const std::string& b) {
  return a == b ? a : fmt::format("{} -> {}", a, b);
}

std::string value_text(const std::optional<std::string>& value) {
  return !value ? "not set" : value->empty() ? "none" : *value;
}

std::string short_value(const std::optional<std::string>& value) {
  return shortened(printable(value_text(value)), kValueColumns);
}

/// What the widths of a layer are in one run; the stored ones where there are no MACs.
std::string bits_text(const LayerCost& layer) {
  return layer.macs > 0 ? widths_text(layer.widths) : fmt::to_string(layer.stored_input);
}

std::string bits_text(const LayerChange& change) {
  if (change.a == nullptr || change.b == nullptr) {
    return bits_text(change.layer());
  }
  return arrow(bits_text(*change.a), bits_text(*change.b));
}

std::string_view runs_that_have(const LayerChange& change) {
  return change.b == nullptr ? "a" : change.a == nullptr ? "b" : "both";
}

/// The part that changes most; nothing where no part does.
template <class Parts, class Breakdown>
auto main_part(const Parts& parts, const Breakdown& changes, auto member)
    -> std::optional<std::pair<std::string_view, double>> {
  std::optional<std::pair<std::string_view, double>> most;
  for (const auto& part : parts) {
    const auto change = static_cast<double>((changes.*(part.*member)).count());
    if (change != 0 && (!most || std::abs(change) > std::abs(most->second))) {
      most = {part.name, change};
    }
  }
  return most;
}

auto main_category(const LayerChange& change) {
  return main_part(kCycleParts, change.cycles, &CyclePart::cycles);
}

auto main_component(const LayerChange& change) {
  return main_part(kEnergyParts, change.energy, &EnergyPart::energy);
}

const ValueChange* cause(const LayerChange& change, std::string_view key) {
  const auto found = std::find_if(change.causes.begin(), change.causes.end(),
                                  [&](const ValueChange& value) { return value.key == key; });
  return found == change.causes.end() ? nullptr : &*found;
}

/// What changed in a layer besides its widths, most telling first.
std::vector<std::string> reasons(const LayerChange& change, bool by_energy) {
  std::vector<std::string> texts;
  if (change.a == nullptr || change.b == nullptr) {
    texts.push_back(fmt::format("only in {}", runs_that_have(change)));
  }
  if (by_energy) {
    if (const auto most = main_component(change)) {
      texts.push_back(fmt::format("{} {}", most->first, signed_text(most->second, energy_text)));
    }
  } else if (const auto most = main_category(change)) {
    texts.push_back(fmt::format("{} {}", most->first, signed_text(most->second, count_text)));
  }
  const auto named = [&](std::string_view key, std::string_view name) {
    if (const ValueChange* value = cause(change, key)) {
      texts.push_back(fmt::format("{} {} -> {}", name, *value->a, *value->b));
    }
  };
  named("kind", "kind");
  if (cause(change, "macs") != nullptr) {
    texts.push_back(fmt::format("MACs {} -> {}", plain_text(static_cast<double>(change.a->macs)),
                                plain_text(static_cast<double>(change.b->macs))));
  }
  const ValueChange* widths = cause(change, "widths");
  const ValueChange* computed = cause(change, "computed");
  if (widths != nullptr && computed == nullptr && change.b->macs > 0) {
    texts.push_back(fmt::format("computed at {} in both", widths_text(change.b->computed)));
  } else if (computed != nullptr && change.b->macs > 0 &&
             (widths == nullptr || widths->a != computed->a || widths->b != computed->b)) {
    texts.push_back(fmt::format("computed {} -> {}", *computed->a, *computed->b));
  }
  if (cause(change, "tile") != nullptr) {
    texts.emplace_back("tile");
  }
  if (change.dram_bytes != 0) {
    texts.push_back("DRAM " + signed_text(static_cast<double>(change.dram_bytes), bytes_text));
  }
  named("stored_input_bits", "stored input");
  named("stored_output_bits", "stored output");
  named("accumulator_bits", "accumulator");
  return texts;
}

/// As many as have room, at least the first.
std::string joined(const std::vector<std::string>& texts, std::size_t columns) {
  std::string text;
  for (const std::string& item : texts) {
    const std::string longer = text.empty() ? item : fmt::format("{}; {}", text, item);
    if (!text.empty() && text_width(longer) > columns) {
      break;
    }
    text = longer;
  }
  return text;
}

bool clocks_differ(const ComparedRuns& runs) { return runs.a.clock != runs.b.clock; }

/// Layers whose latency changes, those that change most first; by energy where no latency does.
struct Ranking {
  bool by_energy = false;
  std::vector<const LayerChange*> layers;

  Ranking(const ComparedRuns& runs, const RunDifference& difference) {
    const auto size_of = [&](const LayerChange& change) {
      return by_energy             ? std::abs(change.energy.total().count())
             : clocks_differ(runs) ? std::abs(change.seconds)
                                   : std::abs(number(change.latency()));
    };
    by_energy = std::all_of(difference.layers.begin(), difference.layers.end(),
                            [&](const LayerChange& change) { return size_of(change) == 0; });
    for (const LayerChange& change : difference.layers) {
      if (size_of(change) != 0) {
        layers.push_back(&change);
      }
    }
    std::stable_sort(layers.begin(), layers.end(), [&](const auto* one, const auto* other) {
      return size_of(*one) > size_of(*other);
    });
  }
};

std::string run_line(const CostReport& report) {
  return fmt::format("{} at {} on {}, {} fidelity, {}", shortened(printable(report.network), 24),
                     shortened(printable(report.assignment), 20),
                     shortened(printable(report.accelerator), 20), to_string(report.fidelity),
                     format_quantity(report.clock, kFrequency));
}

// ---- text

std::string settings_text(const RunDifference& difference) {
  std::string text;
  for (const ValueChange& change : difference.settings) {
    text += fmt::format("{:<{}}{} -> {}\n", change.key, kLabelColumns, short_value(change.a),
                        short_value(change.b));
  }
  std::vector<std::string> keys;
  for (const ValueChange& change : difference.accelerator) {
    if (change.key == "description" || change.key == "reproduces") {
      continue;  // words, no settings
    }
    keys.push_back(fmt::format("{} {} -> {}", printable(change.key), short_value(change.a),
                               short_value(change.b)));
  }
  if (!keys.empty()) {
    text += list_text("accelerator", keys, ";", kLabelColumns, kReportColumns, kMostKeyLines);
  }
  return text.empty() ? "" : text + '\n';
}

std::string totals_text(const ComparedRuns& runs, const RunDifference& difference) {
  std::vector<std::vector<std::string>> rows;
  for (const Total& total : kTotals) {
    const double a = total.of(runs.a);
    const double b = total.of(runs.b);
    rows.push_back({std::string(total.name), total.text(a), total.text(b),
                    signed_text(change_of(total, runs, difference), total.text), ratio_text(a, b)});
  }
  return table_text({{"", Align::left},
                     {"a", Align::right},
                     {"b", Align::right},
                     {"change", Align::right},
                     {"b / a", Align::right}},
                    rows, kReportColumns);
}

/// Rows of what a total is made of, without parts that are 0 in both; then the total.
template <class Parts, class Breakdown>
std::vector<std::vector<std::string>> part_rows(const Parts& parts, const Breakdown& a,
                                                const Breakdown& b, const Breakdown& change,
                                                auto member, std::string (*text)(double)) {
  const auto count = [](auto quantity) { return static_cast<double>(quantity.count()); };
  const double whole = count(change.total());
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](std::string_view name, double of_a, double of_b, double of_change) {
    rows.push_back({std::string(name), text(of_a), text(of_b), signed_text(of_change, text),
                    share_text(of_change, whole)});
  };
  for (const auto& part : parts) {
    const double of_a = count(a.*(part.*member));
    const double of_b = count(b.*(part.*member));
    if (of_a != 0 || of_b != 0) {
      add(part.name, of_a, of_b, count(change.*(part.*member)));
    }
  }
  add("total", count(a.total()), count(b.total()), whole);
  return rows;
}

std::vector<std::vector<std::string>> cycle_rows(const ComparedRuns& runs,
                                                 const RunDifference& difference) {
  return part_rows(kCycleParts, runs.a.cycles(), runs.b.cycles(), difference.cycles,
                   &CyclePart::cycles, count_text);
}

std::vector<std::vector<std::string>> energy_rows(const ComparedRuns& runs,
                                                  const RunDifference& difference,
                                                  std::string (*text)(double)) {
  return part_rows(kEnergyParts, runs.a.energy(), runs.b.energy(), difference.energy,
                   &EnergyPart::energy, text);
}

std::string parts_text(std::string_view title, const std::vector<std::vector<std::string>>& rows) {
  return table_text({{std::string(title), Align::left},
                     {"a", Align::right},
                     {"b", Align::right},
                     {"change", Align::right},
                     {"of all", Align::right}},
                    rows, kReportColumns);
}

std::string layers_text(const ComparedRuns& runs, const RunDifference& difference) {
  const Ranking ranking(runs, difference);
  if (ranking.layers.empty()) {
    return "No layer takes other cycles or energy.\n";
  }
  const bool in_time = !ranking.by_energy && clocks_differ(runs);
  const double whole = ranking.by_energy ? difference.energy.total().count()
                       : in_time         ? seconds_at(runs.b.latency(), runs.b.clock).count() -
                                       seconds_at(runs.a.latency(), runs.a.clock).count()
                                 : number(difference.cycles.total());
  std::vector<Column> columns{{"layer", Align::left, 12},
                              {"bits", Align::left},
                              {ranking.by_energy ? "energy" : "cycles", Align::right}};
  if (in_time) {
    columns.push_back({"time", Align::right});
  }
  columns.push_back({"of all", Align::right});
  columns.push_back({"most of it, and what changed", Align::left, 20});
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < std::min(ranking.layers.size(), kMostLayers); ++i) {
    const LayerChange& change = *ranking.layers[i];
    const double energy = change.energy.total().count();
    const double cycles = number(change.latency());
    std::vector<std::string> row{
        printable(change.layer().name), bits_text(change),
        ranking.by_energy ? signed_text(energy, energy_text) : signed_text(cycles, count_text)};
    if (in_time) {
      row.push_back(signed_text(change.seconds, seconds_text));
    }
    row.push_back(share_text(ranking.by_energy ? energy
                             : in_time         ? change.seconds
                                               : cycles,
                             whole));
    row.push_back(
        joined(reasons(change, ranking.by_energy), kReasonColumns - (in_time ? kTimeColumns : 0)));
    rows.push_back(std::move(row));
  }
  std::string text = table_text(columns, rows, kReportColumns);
  if (ranking.layers.size() > kMostLayers) {
    double rest = 0;
    for (std::size_t i = kMostLayers; i < ranking.layers.size(); ++i) {
      const LayerChange& change = *ranking.layers[i];
      rest += ranking.by_energy ? change.energy.total().count() : number(change.latency());
    }
    text += fmt::format("and {} more, together {}\n", ranking.layers.size() - kMostLayers,
                        ranking.by_energy ? signed_text(rest, energy_text)
                                          : signed_text(rest, count_text) + " cycles");
  }
  return text;
}

/// Layers that only one run has.
std::string lone_layers_text(const RunDifference& difference) {
  std::string text;
  for (const std::string_view run : {"a", "b"}) {
    std::vector<std::string> names;
    for (const LayerChange& change : difference.layers) {
      if (runs_that_have(change) == run) {
        names.push_back(printable(change.layer().name));
      }
    }
    if (!names.empty()) {
      text +=
          list_text(fmt::format("only in {}", run), names, ",", kLabelColumns, kReportColumns, 3);
    }
  }
  return text.empty() ? "" : '\n' + text;
}

// ---- JSON

Json json_number(double value) {
  ensure(std::isfinite(value), "a figure of a difference is not finite");
  if (value == std::floor(value) && std::abs(value) < 9e15) {
    return static_cast<std::int64_t>(value);
  }
  return value;
}

Json json_value(const std::optional<std::string>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json values_json(const std::vector<ValueChange>& changes) {
  Json json = Json::array();
  for (const ValueChange& change : changes) {
    json.push_back({{"key", change.key}, {"a", json_value(change.a)}, {"b", json_value(change.b)}});
  }
  return json;
}

Json cycles_json(const CycleBreakdown& cycles) {
  Json json;
  for (const CyclePart& part : kCycleParts) {
    json[std::string(part.key)] = (cycles.*part.cycles).count();
  }
  return json;
}

Json energy_json(const EnergyBreakdown& energy) {
  Json json;
  for (const EnergyPart& part : kEnergyParts) {
    json[std::string(part.key)] = json_number((energy.*part.energy).count());
  }
  return json;
}

Json run_json(const std::string& file, const CostReport& report) {
  return {{"file", file},
          {"network", report.network},
          {"assignment", report.assignment},
          {"accelerator", report.accelerator},
          {"fidelity", to_string(report.fidelity)},
          {"clock_hz", json_number(report.clock.count())},
          {"batch", report.batch}};
}

/// What one run says of a layer.
Json side_json(const LayerCost* layer) {
  if (layer == nullptr) {
    return nullptr;
  }
  return {{"weight_bits", layer->widths.weight},
          {"activation_bits", layer->widths.activation},
          {"latency_cycles", layer->latency.count()},
          {"energy_pj", json_number(layer->energy.total().count())},
          {"dram_bytes", (layer->activity.dram_read + layer->activity.dram_write).count()},
          {"utilization", json_number(layer->utilization)},
          {"bottleneck", layer->bottleneck}};
}

Json layer_json(const LayerChange& change) {
  return {{"name", change.layer().name},
          {"in", runs_that_have(change)},
          {"causes", values_json(change.causes)},
          {"a", side_json(change.a)},
          {"b", side_json(change.b)},
          {"change",
           {{"latency_cycles", change.latency().count()},
            {"latency_s", json_number(change.seconds)},
            {"energy_pj", json_number(change.energy.total().count())},
            {"dram_bytes", change.dram_bytes},
            {"cycles", cycles_json(change.cycles)},
            {"energy_by_component_pj", energy_json(change.energy)}}}};
}

// ---- page

Chart layer_bars(const std::vector<const LayerChange*>& layers, std::string title,
                 std::string y_label, std::vector<Series> series) {
  Chart chart;
  chart.kind = Chart::Kind::stacked_bars;
  chart.title = std::move(title);
  chart.x_label = "layer";
  chart.y_label = std::move(y_label);
  for (const LayerChange* change : layers) {
    chart.categories.push_back(change->layer().name);
  }
  std::erase_if(series, [](const Series& one) {
    return std::all_of(one.y.begin(), one.y.end(), [](double y) { return y == 0; });
  });
  chart.series = std::move(series);
  return chart;
}

Chart cycles_chart(const std::vector<const LayerChange*>& layers) {
  std::vector<Series> series;
  for (const CyclePart& part : kCycleParts) {
    series.push_back({std::string(part.name), {}, {}, {}});
    for (const LayerChange* change : layers) {
      series.back().y.push_back(number(change->cycles.*part.cycles));
    }
  }
  Chart chart =
      layer_bars(layers, "Change of cycles per layer", "cycles, b less a", std::move(series));
  chart.caption = "Layers that change, in order of execution. To the left: what b saves.";
  return chart;
}

EnergyUnit unit_of(const std::vector<const LayerChange*>& layers) {
  Picojoules greatest;
  for (const LayerChange* change : layers) {
    for (const LayerCost* layer : {change->a, change->b}) {
      greatest = std::max(greatest, layer != nullptr ? layer->energy.total() : Picojoules());
    }
  }
  return energy_unit(greatest);
}

Chart energy_chart(const std::vector<const LayerChange*>& layers) {
  const EnergyUnit unit = unit_of(layers);
  std::vector<Series> series;
  for (const EnergyPart& part : kEnergyParts) {
    series.push_back({std::string(part.name), {}, {}, {}});
    for (const LayerChange* change : layers) {
      series.back().y.push_back(unit.of(change->energy.*part.energy));
    }
  }
  return layer_bars(layers, "Change of energy per layer",
                    fmt::format("energy in {}, b less a", unit.name), std::move(series));
}

HtmlTable totals_table(const ComparedRuns& runs, const RunDifference& difference) {
  HtmlTable table{"Totals", {"", "a", "b", "change", "b / a"}, {}, ""};
  for (const Total& total : kTotals) {
    const double a = total.of(runs.a);
    const double b = total.of(runs.b);
    table.rows.push_back({std::string(total.name), total.text(a), total.text(b),
                          signed_text(change_of(total, runs, difference), total.text),
                          ratio_text(a, b)});
  }
  return table;
}

HtmlTable settings_table(const RunDifference& difference) {
  HtmlTable table{"What is set otherwise", {"key", "a", "b"}, {}, ""};
  for (const auto* changes : {&difference.settings, &difference.accelerator}) {
    for (const ValueChange& change : *changes) {
      table.rows.push_back({change.key, value_text(change.a), value_text(change.b)});
    }
  }
  return table;
}

HtmlTable layers_table(const ComparedRuns& runs, const RunDifference& difference,
                       const std::vector<const LayerChange*>& all) {
  const EnergyUnit unit = unit_of(all);
  const double cycles = number(difference.cycles.total());
  const double energy = difference.energy.total().count();
  HtmlTable table{
      "Layers",
      {"layer", "in", "bits a", "bits b", "cycles a", "cycles b", "change", "of all", "mostly",
       fmt::format("energy a in {}", unit.name), fmt::format("energy b in {}", unit.name),
       "change of energy", "of all energy", "DRAM bytes a", "DRAM bytes b", "bottleneck a",
       "bottleneck b", "tile a", "tile b"},
      {},
      ""};
  const bool in_time = clocks_differ(runs);
  if (in_time) {
    table.columns.emplace_back("change of time in us");
  }
  for (const LayerChange* change : all) {
    const auto sides = [&](auto text) {
      return std::pair<std::string, std::string>{change->a != nullptr ? text(*change->a) : "-",
                                                 change->b != nullptr ? text(*change->b) : "-"};
    };
    std::vector<std::string> row{change->layer().name, std::string(runs_that_have(*change))};
    const auto add = [&](auto text) {
      auto [a, b] = sides(text);
      row.push_back(std::move(a));
      row.push_back(std::move(b));
    };
    add([](const LayerCost& layer) { return bits_text(layer); });
    add([](const LayerCost& layer) { return with_separators(layer.latency.count()); });
    row.push_back(with_separators(change->latency().count()));
    row.push_back(share_text(number(change->latency()), cycles));
    const auto most = main_category(*change);
    row.emplace_back(most ? most->first : "-");
    add([&](const LayerCost& layer) {
      return fmt::format("{:.4g}", unit.of(layer.energy.total()));
    });
    row.push_back(fmt::format("{:.4g}", unit.of(change->energy.total())));
    row.push_back(share_text(change->energy.total().count(), energy));
    add([](const LayerCost& layer) {
      return with_separators((layer.activity.dram_read + layer.activity.dram_write).count());
    });
    add([](const LayerCost& layer) { return layer.bottleneck; });
    add([](const LayerCost& layer) { return layer.tile ? tile_text(*layer.tile) : "-"; });
    if (in_time) {
      row.push_back(fmt::format("{:.4g}", change->seconds * 1e6));
    }
    table.rows.push_back(std::move(row));
  }
  table.caption =
      "Changes are b less a. Mostly: the category of cycles that changes most. Tile: images x rows "
      "x columns x output channels x input channels, and x groups where several are side by side; "
      "order of the loops.";
  return table;
}

}  // namespace

std::string difference_text(const ComparedRuns& runs, const RunDifference& difference) {
  std::string text = fmt::format("a  {}\nb  {}\n\n", run_line(runs.a), run_line(runs.b));
  if (difference.identical) {
    return text + "The runs do not differ.\n";
  }
  text += settings_text(difference) + totals_text(runs, difference) + '\n';
  text += parts_text("cycles", cycle_rows(runs, difference)) + '\n';
  text += parts_text("energy", energy_rows(runs, difference, energy_text)) + '\n';
  return text + layers_text(runs, difference) + lone_layers_text(difference);
}

std::string difference_json(const ComparedRuns& runs, const RunDifference& difference) {
  Json totals;
  for (const Total& total : kTotals) {
    const double a = total.of(runs.a);
    const double b = total.of(runs.b);
    totals[std::string(total.key)] = {{"a", json_number(a)},
                                      {"b", json_number(b)},
                                      {"change", json_number(change_of(total, runs, difference))},
                                      {"ratio", a != 0 ? json_number(b / a) : Json(nullptr)}};
  }
  Json layers = Json::array();
  for (const LayerChange& change : difference.layers) {
    layers.push_back(layer_json(change));
  }
  const Json json{{"schema", "diff/1"},
                  {"a", run_json(runs.file_a, runs.a)},
                  {"b", run_json(runs.file_b, runs.b)},
                  {"identical", difference.identical},
                  {"settings", values_json(difference.settings)},
                  {"accelerator", values_json(difference.accelerator)},
                  {"total", std::move(totals)},
                  {"cycles", cycles_json(difference.cycles)},
                  {"energy_by_component_pj", energy_json(difference.energy)},
                  {"layers", std::move(layers)}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::string difference_page(const ComparedRuns& runs, const RunDifference& difference) {
  HtmlPage page;
  page.title = "Two runs";
  page.facts = {{"a", fmt::format("{}\n{}", run_line(runs.a), runs.file_a)},
                {"b", fmt::format("{}\n{}", run_line(runs.b), runs.file_b)}};
  if (difference.identical) {
    page.facts.emplace_back("difference", "none");
    return html_text(page);
  }
  for (const Total& total : kTotals) {
    if (total.key == "latency_s" || total.key == "energy_pj" || total.key == "dram_bytes") {
      const double a = total.of(runs.a);
      const double b = total.of(runs.b);
      page.facts.emplace_back(
          total.name,
          fmt::format("{}; b / a {}", arrow(total.text(a), total.text(b)), ratio_text(a, b)));
    }
  }
  std::vector<const LayerChange*> all;
  std::vector<const LayerChange*> other_cycles;
  std::vector<const LayerChange*> other_energy;
  for (const LayerChange& change : difference.layers) {
    const bool lone = change.a == nullptr || change.b == nullptr;
    all.push_back(&change);
    if (lone || change.a->cycles != change.b->cycles) {
      other_cycles.push_back(&change);
    }
    if (lone || change.energy.total() != Picojoules()) {
      other_energy.push_back(&change);
    }
  }
  page.parts.emplace_back(totals_table(runs, difference));
  const auto parts_table = [&](std::string title, std::vector<std::vector<std::string>> rows) {
    page.parts.emplace_back(
        HtmlTable{std::move(title), {"", "a", "b", "change", "of all"}, std::move(rows), ""});
  };
  parts_table("Where the cycles went", cycle_rows(runs, difference));
  parts_table("Where the energy went", energy_rows(runs, difference, energy_text));
  if (HtmlTable settings = settings_table(difference); !settings.rows.empty()) {
    page.parts.emplace_back(std::move(settings));
  }
  if (!other_cycles.empty()) {
    page.parts.emplace_back(cycles_chart(other_cycles));
  }
  if (!other_energy.empty()) {
    page.parts.emplace_back(energy_chart(other_energy));
  }
  page.parts.emplace_back(layers_table(runs, difference, all));
  return html_text(page);
}

}  // namespace widthwise
