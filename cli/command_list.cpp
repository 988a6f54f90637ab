#include "cli/command_list.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <vector>

#include <fmt/format.h>

#include "cli/exit_code.hpp"
#include "cli/print_table.hpp"
#include "cli/text_layout.hpp"
#include "models/base/error.hpp"
#include "models/base/text.hpp"
#include "models/config/shipped_data.hpp"
#include "models/config/yaml_reader.hpp"
#include "models/network/assignment_reader.hpp"
#include "models/network/network_yaml.hpp"
#include "models/table/table_csv.hpp"
#include "search/problem_reader.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kNameColumns = 40;

/// What there is to say of a file that does not describe itself.
std::string facts(Shipped kind, const std::string& path) {
  if (kind == Shipped::networks) {
    const Network network = read_network(path);
    return fmt::format("{}, {} MACs, {} weights", counted(network.layers().size(), "layer"),
                       si_text(static_cast<double>(network.macs()), "", true),
                       si_text(static_cast<double>(network.weights()), "", true));
  }
  if (kind == Shipped::assignments) {
    const Assignment assignment = read_assignment(path);
    return fmt::format("w{}a{} and {}", assignment.defaults.weight, assignment.defaults.activation,
                       counted(assignment.rules.size(), "rule"));
  }
  return "";
}

std::string description(Shipped kind, const std::string& path) {
  if (std::filesystem::path(path).extension() == ".onnx") {
    return "ONNX file";
  }
  try {
    if (kind == Shipped::problems) {
      const Problem problem = read_problem(path);
      return fmt::format("{}, {}", counted(problem.groups.size(), "group"),
                         counted(problem.budgets.size(), "budget"));
    }
    if (kind == Shipped::tables || kind == Shipped::sensitivities) {
      const CostTable table = read_cost_table(path);
      return table.said("measured")
          .value_or(fmt::format("{}, {}", counted(table.layers.size(), "layer"),
                                counted(table.rows.size(), "row")));
    }
    const YamlDocument document = load_yaml(path);
    const YamlNode* text = document.root.find("description");
    return text == nullptr ? facts(kind, path) : printable(text->text);
  } catch (const InputError&) {
    return "(does not read: see widthwise check)";
  }
}

std::string section(const ShippedFolder& folder) {
  const std::vector<ShippedFile> files = shipped_files(folder.kind);
  if (files.empty()) {
    return fmt::format("{}: none\n", folder.name);
  }
  std::size_t name_width = folder.name.size();
  for (const ShippedFile& file : files) {
    name_width = std::max(name_width, text_width(printable(file.name)));
  }
  name_width = std::min(name_width, kNameColumns);
  std::vector<std::vector<std::string>> rows;
  for (const ShippedFile& file : files) {
    rows.push_back(
        {shortened(printable(file.name), name_width),
         beginning(description(folder.kind, file.path), kReportColumns - name_width - 2)});
  }
  return table_text({{std::string(folder.name)}, {"description"}}, rows, kReportColumns);
}

}  // namespace

int list_command(const std::string& kind) {
  std::string text;
  std::vector<std::string> kinds;
  for (const ShippedFolder& folder : shipped_folders()) {
    kinds.emplace_back(folder.name);
    if (kind.empty() || kind == folder.name) {
      text += text.empty() ? "" : "\n";
      text += section(folder);
    }
  }
  if (text.empty()) {
    throw InputError({"list"}, "",
                     fmt::format("expected one of {}, got '{}'{}", quoted_list(kinds), kind,
                                 suggestion(kind, kinds)));
  }
  std::cout << text << std::flush;
  return kDone;
}

}  // namespace widthwise
