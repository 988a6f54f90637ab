#include "cli/sweep_report.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/report_csv.hpp"
#include "cli/solution_report.hpp"
#include "cli/text_layout.hpp"
#include "models/base/units.hpp"
#include "sweep/sweep.hpp"

namespace widthwise {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostReasons = 20;
constexpr std::size_t kMostRows = 40;  // of a front on the terminal

std::string joined(const std::vector<std::string>& texts, std::string_view between) {
  std::string all;
  for (const std::string& text : texts) {
    if (!all.empty()) {
      all += between;
    }
    all += text;
  }
  return all;
}

/// For file names.
std::string slug(const std::string& name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte < 128 && (std::isalnum(byte) != 0 || c == '.' || c == '_');
    text += plain ? c : '-';
  }
  return text;
}

}  // namespace

SweepSummary summarize(const Evaluator& evaluator, const PointStore& store) {
  SweepSummary summary;
  const Space& space = evaluator.space().space();
  const std::vector<std::size_t> metrics = objective_metrics(evaluator);
  std::vector<ParetoFront> fronts(space.fronts.size());
  store.for_each([&](std::uint64_t cell, const MachineResult& result) {
    switch (result.status) {
      case MachineResult::Status::done:
        ++summary.done;
        break;
      case MachineResult::Status::infeasible:
        ++summary.infeasible;
        break;
      case MachineResult::Status::excluded:
        ++summary.excluded;
        break;
      case MachineResult::Status::failed:
        ++summary.failed;
        break;
    }
    if (result.status != MachineResult::Status::done) {
      // Reasons with figures in them differ at every machine: only the first ones are told apart.
      std::string reason = fmt::format("{}: {}", to_string(result.status), result.reason);
      if (summary.reasons.size() >= kMostReasons && !summary.reasons.contains(reason)) {
        reason = "others";
      }
      ++summary.reasons[reason];
      return;
    }
    for (std::size_t f = 0; f < fronts.size(); ++f) {
      std::vector<double> objectives;
      for (const std::size_t objective : space.fronts[f]) {
        objectives.push_back(result.values[metrics[objective]]);
      }
      fronts[f].add(cell, objectives);
    }
  });
  for (const ParetoFront& front : fronts) {
    summary.fronts.push_back(front.members());
    for (const FrontMember& member : summary.fronts.back()) {
      const auto result = store.find(member.cell);
      ensure(result.has_value(), "a member of a front was kept");
      summary.on_a_front.emplace(member.cell, *result);
    }
  }
  return summary;
}

std::string sweep_text(const Evaluator& evaluator, const SweepSummary& summary) {
  const DesignSpace& design = evaluator.space();
  const Space& space = design.space();
  std::string text = fmt::format(
      "{}: {} of {} machines looked at; {} done, {} infeasible, {} left out, {} failed\n",
      printable(space.name), with_separators(static_cast<std::int64_t>(summary.total())),
      with_separators(static_cast<std::int64_t>(design.cells())), summary.done, summary.infeasible,
      summary.excluded, summary.failed);
  for (const auto& [reason, count] : summary.reasons) {
    text += fmt::format("  {} {}\n", count, printable(reason));
  }
  for (std::size_t f = 0; f < space.fronts.size(); ++f) {
    std::vector<std::string> names;
    for (const std::size_t objective : space.fronts[f]) {
      names.push_back(space.objectives[objective]);
    }
    text += fmt::format("\nFront of {}: {}\n\n", joined(names, ", "),
                        counted(summary.fronts[f].size(), "machine"));
    std::vector<Column> columns{{"machine", Align::right}};
    for (const SpaceAxis& axis : space.axes) {
      columns.push_back({printable(axis.key), Align::left, 8});
    }
    for (const std::string& name : names) {
      columns.push_back({name, Align::right});
    }
    std::vector<std::vector<std::string>> rows;
    for (const FrontMember& member : summary.fronts[f]) {
      if (rows.size() == kMostRows) {
        break;
      }
      auto& row = rows.emplace_back();
      row.push_back(fmt::to_string(member.cell));
      const auto at = design.coordinates(member.cell);
      for (std::size_t a = 0; a < at.size(); ++a) {
        row.push_back(printable(space.axes[a].values[at[a]]));
      }
      for (const double value : member.objectives) {
        row.push_back(figure(value));
      }
    }
    constexpr std::size_t kColumns = 120;
    text += table_text(columns, rows, kColumns);
    if (summary.fronts[f].size() > kMostRows) {
      text += fmt::format("and {} more\n", summary.fronts[f].size() - kMostRows);
    }
  }
  return text;
}

std::string sweep_json(const Evaluator& evaluator, const SweepSummary& summary) {
  const DesignSpace& design = evaluator.space();
  const Space& space = design.space();
  Json json;
  json["schema"] = "sweep/1";
  json["name"] = space.name;
  json["networks"] = Json::array();
  for (const Network& network : evaluator.networks()) {
    json["networks"].push_back(network.name());
  }
  json["fidelity"] = to_string(space.fidelity);
  json["axes"] = Json::object();
  for (const SpaceAxis& axis : space.axes) {
    json["axes"][axis.key] = axis.values;
  }
  json["cells"] = design.cells();
  json["machines"] = {{"looked_at", summary.total()},
                      {"done", summary.done},
                      {"infeasible", summary.infeasible},
                      {"excluded", summary.excluded},
                      {"failed", summary.failed}};
  json["reasons"] = Json::object();
  for (const auto& [reason, count] : summary.reasons) {
    json["reasons"][reason] = count;
  }
  json["fronts"] = Json::array();
  for (std::size_t f = 0; f < space.fronts.size(); ++f) {
    Json front;
    front["objectives"] = Json::array();
    for (const std::size_t objective : space.fronts[f]) {
      front["objectives"].push_back(space.objectives[objective]);
    }
    front["machines"] = Json::array();
    for (const FrontMember& member : summary.fronts[f]) {
      const MachineResult& result = summary.on_a_front.at(member.cell);
      Json machine;
      machine["cell"] = member.cell;
      const auto at = design.coordinates(member.cell);
      for (std::size_t a = 0; a < at.size(); ++a) {
        machine["axes"][space.axes[a].key] = space.axes[a].values[at[a]];
      }
      machine["derived"] = Json::object();
      for (std::size_t d = 0; d < result.derived.size(); ++d) {
        machine["derived"][space.derived[d].key] = result.derived[d];
      }
      for (std::size_t m = 0; m < evaluator.metrics().size(); ++m) {
        machine["metrics"][evaluator.metrics()[m]] = result.values[m];
      }
      machine["widths"] = Json::object();
      for (std::size_t n = 0; n < result.widths.size(); ++n) {
        machine["widths"][evaluator.networks()[n].name()] = result.widths[n];
      }
      front["machines"].push_back(std::move(machine));
    }
    json["fronts"].push_back(std::move(front));
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

namespace {

std::string csv_header(const Evaluator& evaluator) {
  const Space& space = evaluator.space().space();
  std::string line = "cell";
  for (const SpaceAxis& axis : space.axes) {
    line += ',' + csv_field(axis.key);
  }
  for (const DerivedKey& key : space.derived) {
    line += ',' + csv_field(key.key);
  }
  for (const std::string& metric : evaluator.metrics()) {
    line += ',' + csv_field(metric);
  }
  return line;
}

std::string csv_row(const Evaluator& evaluator, std::uint64_t cell, const MachineResult& result) {
  const DesignSpace& design = evaluator.space();
  const Space& space = design.space();
  std::string line = fmt::to_string(cell);
  const auto at = design.coordinates(cell);
  for (std::size_t a = 0; a < at.size(); ++a) {
    line += ',' + csv_field(space.axes[a].values[at[a]]);
  }
  for (std::size_t d = 0; d < space.derived.size(); ++d) {
    line += ',' + (d < result.derived.size() ? csv_field(result.derived[d]) : std::string());
  }
  for (std::size_t m = 0; m < evaluator.metrics().size(); ++m) {
    line += ',' + (m < result.values.size() ? format_number(result.values[m]) : std::string());
  }
  return line;
}

}  // namespace

void write_points_csv(const Evaluator& evaluator, const PointStore& store,
                      const SweepSummary& summary, const StagedFile& file) {
  std::ofstream out(file.path(), std::ios::binary | std::ios::trunc);
  out << csv_header(evaluator) << ",status,reason,on_front,widths\n";
  store.for_each([&](std::uint64_t cell, const MachineResult& result) {
    out << csv_row(evaluator, cell, result) << ',' << to_string(result.status) << ','
        << csv_field(result.reason) << ',' << (summary.on_a_front.contains(cell) ? 1 : 0) << ','
        << csv_field(joined(result.widths, "; ")) << '\n';
  });
  if (!out.flush()) {
    throw InputError({file.target()}, "", "cannot be written");
  }
}

std::string front_csv(const Evaluator& evaluator, const SweepSummary& summary, std::size_t front) {
  std::string csv = csv_header(evaluator) + ",widths\n";
  for (const FrontMember& member : summary.fronts[front]) {
    const MachineResult& result = summary.on_a_front.at(member.cell);
    csv += csv_row(evaluator, member.cell, result) + ',' + csv_field(joined(result.widths, "; ")) +
           '\n';
  }
  return csv;
}

std::vector<NamedText> front_experiments(const Evaluator& evaluator, const SweepSummary& summary) {
  std::vector<NamedText> files;
  const DesignSpace& design = evaluator.space();
  const Space& space = design.space();
  for (const auto& [cell, result] : summary.on_a_front) {
    const auto made = design.machine(cell);
    const auto& machine = std::get<Machine>(made);
    for (std::size_t n = 0; n < space.networks.size(); ++n) {
      const SpaceNetwork& network = space.networks[n];
      const std::string stem = fmt::format("{}-{}", cell, slug(evaluator.networks()[n].name()));
      std::string bits = machine.bits;
      if (space.search) {
        bits = stem + ".bits.yaml";
        Assignment assignment = evaluator.assignment(machine, result, n);
        assignment.name =
            fmt::format("{} {}, machine {}", space.name, evaluator.networks()[n].name(), cell);
        files.push_back({bits, assignment_yaml(assignment)});
      }
      const auto located = [](const std::string& text) {
        std::error_code ignored;
        return std::filesystem::is_regular_file(text, ignored)
                   ? std::filesystem::absolute(text).lexically_normal().string()
                   : text;
      };
      std::string yaml = fmt::format(
          "schema: experiment/1\nname: {}\naccelerator: {}\nnetwork: {}\nfidelity: {}\nbits: {}\n",
          quoted_yaml(fmt::format("{}, machine {}", space.name, cell)),
          quoted_yaml(located(machine.accelerator_name)), quoted_yaml(located(network.name.text)),
          to_string(space.fidelity), quoted_yaml(space.search ? bits : located(bits)));
      if (network.source.batch) {
        yaml += fmt::format("batch: {}\n", *network.source.batch);
      }
      if (!network.source.ignore.empty()) {
        yaml += "ignore:\n";
        for (const std::string& name : network.source.ignore) {
          yaml += fmt::format("  - {}\n", quoted_yaml(name));
        }
      }
      if (!network.source.parameters.empty()) {
        yaml += "parameters:\n";
        for (const auto& [name, value] : network.source.parameters) {
          yaml += fmt::format("  {}: {}\n", quoted_yaml(name), value);
        }
      }
      if (!machine.overrides.empty()) {
        yaml += "set:\n";
        // Later ones win over earlier ones of the same key.
        std::map<std::string, std::string> values;
        for (const std::string& text : machine.overrides) {
          const std::size_t equals = text.find('=');
          values[text.substr(0, equals)] = text.substr(equals + 1);
        }
        for (const auto& [key, value] : values) {
          yaml += fmt::format("  {}: {}\n", quoted_yaml(key),
                              key == "energy" ? quoted_yaml(located(value)) : value);
        }
      }
      files.push_back({stem + ".yaml", yaml});
    }
  }
  return files;
}

}  // namespace widthwise
