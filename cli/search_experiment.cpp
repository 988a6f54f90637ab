#include "cli/search_experiment.hpp"

#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/experiment_section.hpp"
#include "models/base/text.hpp"
#include "models/config/yaml_reader.hpp"
#include "search/problem_reader.hpp"

namespace widthwise {

namespace {

constexpr Range<double> kNotNegative{0, 1e300};

std::optional<Given> given(MapReader& map, std::string_view key) {
  std::string text;
  if (!map.text(key, Need::optional, text)) {
    return std::nullopt;
  }
  return Given{text, map.place_of(key), map.path_of(key)};
}

template <class Parse, class Target>
void read_choice_of(MapReader& map, std::string_view key, Parse parse, Target& target) {
  const auto text = given(map, key);
  if (!text) {
    return;
  }
  try {
    target = placed_at(*text, [&] { return parse(text->text); });
  } catch (const InputError& error) {
    map.problems().append(error.diagnostics());
  }
}

class SectionReader {
 public:
  SectionReader(MapReader& section, const std::string& file, SearchExperiment& experiment)
      : problems_(section.problems()), file_(file), experiment_(experiment), section_(section) {}

  void read() {
    if (!section_.given()) {
      return;
    }
    SearchRequest& request = experiment_.request;
    read_width_list(section_, "weight_bits", request.weight_bits);
    read_width_list(section_, "activation_bits", request.activation_bits);
    minimize(request);
    budgets(request);
    read_pins(section_, request.pins);
    ties(request);
    section_.texts("report", Need::optional, request.report_costs);
    section_.number("gap", Need::optional, request.solve.gap, Range<double>{0, 1});
    section_.number("time_limit_s", Need::optional, request.solve.time_limit_s,
                    Range<double>{0.001, 1e6});
    section_.number("tolerance", Need::optional, request.tolerance, Range<double>{0, 1});
    MapReader sensitivity = section_.map("sensitivity", Need::optional);
    read_sensitivity(sensitivity, file_, experiment_.sensitivity, experiment_.sensitivity_file);
    MapReader front = section_.map("front", Need::optional);
    experiment_.front_cost = given(front, "cost");
    if (std::int64_t points = 0; front.integer("points", Need::optional, points, {2, 1000})) {
      experiment_.front_points =
          Given{std::to_string(points), front.place_of("points"), front.path_of("points")};
    }
    front.finish();
    section_.finish();
  }

 private:
  void minimize(SearchRequest& request) {
    const YamlNode* node = section_.take("minimize", Need::optional);
    if (node == nullptr) {
      return;
    }
    const std::string path = section_.path_of("minimize");
    request.minimize.clear();
    if (node->kind != YamlNode::Kind::map) {
      if (const auto name = read_text(*node, path, problems_)) {
        request.minimize[*name] = 1;
      }
      return;
    }
    MapReader weights(*node, path, problems_);
    for (const YamlNode& entry : weights.entries()) {
      if (const auto weight =
              read_number(entry, weights.path_of(entry.key), problems_, kNotNegative)) {
        request.minimize[entry.key] = *weight;
      }
    }
  }

  void budgets(SearchRequest& request) {
    MapReader reader = section_.map("budgets", Need::optional);
    for (const YamlNode& entry : reader.entries()) {
      MapReader form(entry, reader.path_of(entry.key), problems_);
      MetricBudget budget{entry.key, {}, entry.place};
      if (form.given() && read_budget_form(form, budget.form, problems_)) {
        request.budgets.push_back(std::move(budget));
      }
    }
  }

  void ties(SearchRequest& request) {
    const YamlNode* node = section_.take("ties", Need::optional);
    if (node == nullptr) {
      return;
    }
    const std::string path = section_.path_of("ties");
    for (const YamlNode& tie : node->children) {
      std::vector<std::string> layers;
      for (const YamlNode& layer : tie.children) {
        if (const auto name = read_text(layer, path, problems_)) {
          layers.push_back(*name);
        }
      }
      if (layers.size() < 2) {
        problems_.error(tie.place, path,
                        "expected a list of at least two layers, got " + describe(tie));
        continue;
      }
      request.ties.push_back(std::move(layers));
    }
  }

  Diagnostics& problems_;
  const std::string& file_;
  SearchExperiment& experiment_;
  MapReader& section_;
};

}  // namespace

void read_sensitivity(MapReader& map, const std::string& path, SensitivityRequest& wanted,
                      std::optional<Given>& sensitivity_file) {
  read_choice_of(map, "rule", parse_loss_rule, wanted.rule);
  read_choice_of(map, "calibration", parse_calibration, wanted.calibration);
  read_choice_of(map, "granularity", parse_granularity, wanted.granularity);
  read_choice_of(map, "weighting", parse_weighting, wanted.weighting);
  read_choice_of(map, "decay", parse_decay, wanted.decay);
  map.number("alpha", Need::optional, wanted.alpha, kNotNegative);
  map.number("beta", Need::optional, wanted.beta, kNotNegative);
  sensitivity_file = given(map, "file");
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (auto& file = sensitivity_file;
      file && std::filesystem::is_regular_file(folder / file->text, ignored)) {
    file->text = (folder / file->text).string();
  }
  map.finish();
}

void read_search_section(MapReader& section, const std::string& path,
                         SearchExperiment& experiment) {
  SectionReader(section, path, experiment).read();
}

SearchExperiment read_search_experiment(const std::string& path) {
  SearchExperiment experiment;
  read_experiment_with_section(path, experiment.run, [&](YamlDocument& document) {
    MapReader root(document.root, "", document.problems);
    MapReader section = root.map("search", Need::required);
    read_search_section(section, path, experiment);
  });
  return experiment;
}

}  // namespace widthwise
