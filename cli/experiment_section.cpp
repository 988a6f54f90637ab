#include "cli/experiment_section.hpp"

#include <algorithm>
#include <utility>

#include "cli/experiment.hpp"
#include "search/problem_reader.hpp"

namespace widthwise {

void read_experiment_with_section(const std::string& path, RunRequest& run,
                                  const std::function<void(YamlDocument&)>& read_section) {
  Diagnostics problems;
  try {
    run = read_experiment(path);
  } catch (const InputError& error) {
    problems.append(error.diagnostics());
  }
  YamlDocument document = load_yaml(path);
  read_section(document);
  // What is wrong with the document as a whole was found twice.
  for (const Diagnostic& problem : document.problems.items()) {
    const auto& known = problems.items();
    const bool is_new = std::none_of(known.begin(), known.end(), [&](const Diagnostic& other) {
      return to_string(other) == to_string(problem);
    });
    if (is_new) {
      problems.append({problem});
    }
  }
  problems.throw_if_any();
}

void read_width_list(MapReader& section, std::string_view key, std::vector<BitWidth>& target) {
  const YamlNode* node = section.take(key, Need::optional);
  if (node == nullptr) {
    return;
  }
  Diagnostics& problems = section.problems();
  const std::string path = section.path_of(key);
  if (node->kind != YamlNode::Kind::list || node->children.empty()) {
    problems.error(node->place, path,
                   "expected a list of widths such as [2, 4, 8], got " + describe(*node));
    return;
  }
  std::vector<BitWidth> list;
  for (const YamlNode& entry : node->children) {
    const auto width = read_integer(entry, path, problems, {kMinOperandWidth, kMaxOperandWidth});
    if (!width) {
      continue;
    }
    if (!list.empty() && *width <= list.back()) {
      problems.error(entry.place, path, "expected widths in ascending order, each once");
      continue;
    }
    list.push_back(static_cast<BitWidth>(*width));
  }
  if (!list.empty()) {
    target = std::move(list);
  }
}

bool read_pins(MapReader& section, std::vector<WidthRule>& pins) {
  MapReader reader = section.map("pins", Need::optional);
  if (!reader.given()) {
    return false;
  }
  pins.clear();
  for (const YamlNode& entry : reader.entries()) {
    if (const auto widths =
            read_short_widths(entry, reader.path_of(entry.key), reader.problems())) {
      pins.push_back({entry.key, widths->weight, widths->activation, entry.place});
    }
  }
  return true;
}

}  // namespace widthwise
