#include "cli/print_table.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/cost_words.hpp"
#include "cli/text_layout.hpp"
#include "models/base/units.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kLabelColumns = 16;
constexpr std::int64_t kLargestCount = 999'999'999'999;  // beyond it SI prefixes
constexpr double kLeastShare = 0.0005;
constexpr double kPico = 1e-12;

std::string count_text(std::int64_t value) {
  return value > kLargestCount ? si_text(static_cast<double>(value), "") : with_separators(value);
}

std::string bytes_text(Bytes bytes) {
  return si_text(static_cast<double>(bytes.count()), "B", true);
}

std::string energy_text(Picojoules energy) { return si_text(energy.count() * kPico, "J"); }

std::string clean(std::string_view text, std::size_t width) {
  return shortened(printable(text), width);
}

/// "4/8" for weights and activations, "8" where there are no weights.
std::string layer_widths(const LayerCost& layer) {
  return layer.macs > 0 ? fmt::format("{}/{}", layer.widths.weight, layer.widths.activation)
                        : fmt::format("{}", layer.stored_input);
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

std::string layer_table(const CostReport& report) {
  const std::vector<Column> columns{
      {"layer", Align::left, 12}, {"bits", Align::left},    {"MACs", Align::right},
      {"cycles", Align::right},   {"share", Align::right},  {"use", Align::right},
      {"DRAM", Align::right},     {"energy", Align::right}, {"bottleneck", Align::left, 10},
  };
  const Cycles latency = report.latency();
  std::vector<std::vector<std::string>> rows;
  for (const LayerCost& layer : report.layers) {
    const bool on_engine = layer.macs > 0;
    const double share =
        ratio(static_cast<double>(layer.latency.count()), static_cast<double>(latency.count()));
    rows.push_back({printable(layer.name), layer_widths(layer),
                    on_engine ? si_text(static_cast<double>(layer.macs), "", true) : "-",
                    count_text(layer.latency.count()), percent_text(share),
                    on_engine ? percent_text(layer.utilization) : "-",
                    bytes_text(layer.activity.dram_read + layer.activity.dram_write),
                    energy_text(layer.energy.total()), printable(layer.bottleneck)});
  }
  return table_text(columns, rows, kReportColumns);
}

/// "busy 71.2 %", largest part first, without what would be "0.0 %".
std::vector<std::string> shares(std::vector<std::pair<std::string, double>> parts) {
  double whole = 0;
  for (const auto& [name, part] : parts) {
    whole += part;
  }
  std::stable_sort(parts.begin(), parts.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> texts;
  for (const auto& [name, part] : parts) {
    if (part >= kLeastShare * whole && part > 0) {
      texts.push_back(name + " " + percent_text(part / whole));
    }
  }
  return texts;
}

std::vector<std::string> cycle_shares(const CycleBreakdown& cycles) {
  std::vector<std::pair<std::string, double>> parts;
  for (const CyclePart& part : kCycleParts) {
    parts.emplace_back(part.name, static_cast<double>((cycles.*part.cycles).count()));
  }
  return shares(std::move(parts));
}

/// In the order in which they follow each other.
std::vector<std::string> phase_texts(const CostReport& report) {
  std::vector<std::string> texts;
  for (const auto& [name, cycles] : report.phases()) {
    texts.push_back(clean(name, 32) + " " + count_text(cycles.count()));
  }
  return texts;
}

std::vector<std::string> energy_shares(const EnergyBreakdown& energy) {
  std::vector<std::pair<std::string, double>> parts;
  for (const EnergyPart& part : kEnergyParts) {
    parts.emplace_back(part.name, (energy.*part.energy).count());
  }
  return shares(std::move(parts));
}

/// "2.315 mm2", then the parts with their shares.
std::vector<std::string> area_texts(const AreaEstimate& area) {
  constexpr double kSquareMillimetre = 1e6;  // um2
  const double total = area.total().count();
  if (total <= 0) {
    return {};
  }
  const SquareMicrometres buffers = area.input_buffer + area.weight_buffer + area.output_buffer;
  std::vector<std::string> texts = shares({{"array", area.array.count()},
                                           {"buffers", buffers.count()},
                                           {"scratchpad", area.scratchpad.count()},
                                           {"post-processing", area.post.count()}});
  texts.front() = fmt::format("{:.4g} mm2: {}", total / kSquareMillimetre, texts.front());
  return texts;
}

std::vector<std::string> cleaned(const std::vector<std::string>& texts) {
  std::vector<std::string> clean_texts;
  clean_texts.reserve(texts.size());
  for (const std::string& text : texts) {
    clean_texts.push_back(printable(text));
  }
  return clean_texts;
}

/// Widths that the engine cannot compute with as they are: "3/3 as 4/4 in 12 layers".
std::vector<std::string> rounded_widths(const CostReport& report) {
  std::vector<std::pair<std::string, std::size_t>> counts;  // in order of appearance
  for (const LayerCost& layer : report.layers) {
    if (layer.macs == 0 || layer.computed == layer.widths) {
      continue;
    }
    const std::string widths =
        fmt::format("{}/{} as {}/{}", layer.widths.weight, layer.widths.activation,
                    layer.computed.weight, layer.computed.activation);
    const auto found = std::find_if(counts.begin(), counts.end(),
                                    [&](const auto& count) { return count.first == widths; });
    if (found == counts.end()) {
      counts.emplace_back(widths, 1);
    } else {
      ++found->second;
    }
  }
  std::vector<std::string> texts;
  for (const auto& [widths, count] : counts) {
    texts.push_back(widths + " in " + counted(count, "layer"));
  }
  return texts;
}

/// What the array computed, and whether that is right.
std::vector<std::string> computed_texts(const CostReport& report) {
  std::int64_t outputs = 0;
  std::int64_t wrong = 0;
  std::int64_t overflows = 0;
  std::size_t overflown = 0;
  for (const LayerCost& layer : report.layers) {
    if (!layer.numerics) {
      continue;
    }
    outputs += layer.numerics->outputs;
    wrong += layer.numerics->wrong_outputs;
    overflows += layer.numerics->overflows;
    overflown += layer.numerics->overflows > 0 ? 1 : 0;
  }
  if (outputs == 0) {
    return {};
  }
  if (overflows == 0) {
    return {count_text(outputs) + " outputs, all as in plain integer arithmetic"};
  }
  return {fmt::format("{} of {} outputs wrong", count_text(wrong), count_text(outputs)),
          fmt::format("{} additions overflow in {}", count_text(overflows),
                      counted(overflown, "layer"))};
}

std::string totals(const CostReport& report) {
  std::string text;
  for (const ReportFact& fact : report_facts(report)) {
    text += list_text(fact.label, fact.items, fact.separator, kLabelColumns, kReportColumns,
                      fact.lines);
  }
  return text;
}

}  // namespace

NetworkBottleneck network_bottleneck(const CostReport& report) {
  std::vector<std::pair<std::string, Cycles>> sums;  // in order of appearance: ties are stable
  for (const LayerCost& layer : report.layers) {
    const auto found = std::find_if(sums.begin(), sums.end(),
                                    [&](const auto& sum) { return sum.first == layer.bottleneck; });
    if (found == sums.end()) {
      sums.emplace_back(layer.bottleneck, layer.latency);
    } else {
      found->second += layer.latency;
    }
  }
  const auto most = std::max_element(
      sums.begin(), sums.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == sums.end()) {
    return {};
  }
  return {most->first, ratio(static_cast<double>(most->second.count()),
                             static_cast<double>(report.latency().count()))};
}

std::vector<ReportFact> report_facts(const CostReport& report) {
  std::vector<ReportFact> facts;
  const auto add = [&](std::string_view label, std::vector<std::string> items,
                       std::size_t lines = 1, std::string_view separator = ";") {
    if (!items.empty()) {
      facts.push_back({label, std::move(items), separator, lines});
    }
  };
  const std::string clock = format_quantity(report.clock, kFrequency);
  const Seconds latency = seconds_at(report.latency(), report.clock);
  const NetworkBottleneck bottleneck = network_bottleneck(report);

  std::string rate = si_text(report.frames_per_second(), "") + " frames/s";
  if (report.batch != 1) {
    rate += fmt::format(" in batches of {}", report.batch);
  }
  add("latency", {fmt::format("{} cycles = {} at {}", count_text(report.latency().count()),
                              si_text(latency.count(), "s"), clock),
                  rate});
  add("energy",
      {energy_text(report.energy().total()), fmt::format("EDP {:.4g} J s", report.edp_js()),
       fmt::format("{:.4g} TOPS/W", report.tops_per_watt())});
  add("operations", {fmt::format("{} MACs", count_text(report.macs())),
                     si_text(report.bitops(), "") + " BitOPs"});
  add("computed", computed_texts(report));
  add("DRAM",
      {bytes_text(report.dram_read()) + " read", bytes_text(report.dram_write()) + " written"});
  add("parameters", {fmt::format("{} (weights at their widths, biases at 32 bits)",
                                 bytes_text(report.parameter_bytes()))});
  add("area", area_texts(report.area), 1, ",");
  if (!bottleneck.name.empty()) {
    add("bottleneck", {fmt::format("{} (layers that it bounds take {} of the cycles)",
                                   clean(bottleneck.name, 32), percent_text(bottleneck.share))});
  }
  add("cycles", cycle_shares(report.cycles()), 2, ",");
  add("phases", phase_texts(report), 2, ",");
  add("energy goes to", energy_shares(report.energy()), 2, ",");
  add("rounded up", rounded_widths(report), 2, ",");
  add("ignored", cleaned(report.ignored), 2, ",");
  add("not modelled", cleaned(report.leaves_out), 2);
  return facts;
}

std::string table_report(const CostReport& report) {
  const std::string title =
      fmt::format("{} at {} on {}, {} fidelity, {}", clean(report.network, 24),
                  clean(report.assignment, 16), clean(report.accelerator, 20),
                  to_string(report.fidelity), format_quantity(report.clock, kFrequency));
  return shortened(title, kReportColumns) + "\n\n" + layer_table(report) + "\n" + totals(report);
}

}  // namespace widthwise
