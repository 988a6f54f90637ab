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

class SectionReader {
 public:
  SectionReader(YamlDocument& document, const std::string& file, SearchExperiment& experiment)
      : problems_(document.problems),
        folder_(std::filesystem::path(file).parent_path()),
        experiment_(experiment),
        root_(document.root, "", document.problems),
        section_(root_.map("search", Need::required)) {}

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
    sensitivity();
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
  static std::optional<Given> given(MapReader& map, std::string_view key) {
    std::string text;
    if (!map.text(key, Need::optional, text)) {
      return std::nullopt;
    }
    return Given{text, map.place_of(key), map.path_of(key)};
  }

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

  template <class Parse, class Target>
  void choice(MapReader& map, std::string_view key, Parse parse, Target& target) {
    const auto text = given(map, key);
    if (!text) {
      return;
    }
    try {
      target = placed_at(*text, [&] { return parse(text->text); });
    } catch (const InputError& error) {
      problems_.append(error.diagnostics());
    }
  }

  void sensitivity() {
    SensitivityRequest& wanted = experiment_.sensitivity;
    MapReader map = section_.map("sensitivity", Need::optional);
    choice(map, "rule", parse_loss_rule, wanted.rule);
    choice(map, "calibration", parse_calibration, wanted.calibration);
    choice(map, "granularity", parse_granularity, wanted.granularity);
    choice(map, "weighting", parse_weighting, wanted.weighting);
    choice(map, "decay", parse_decay, wanted.decay);
    map.number("alpha", Need::optional, wanted.alpha, kNotNegative);
    map.number("beta", Need::optional, wanted.beta, kNotNegative);
    experiment_.sensitivity_file = given(map, "file");
    std::error_code ignored;
    if (auto& file = experiment_.sensitivity_file;
        file && std::filesystem::is_regular_file(folder_ / file->text, ignored)) {
      file->text = (folder_ / file->text).string();
    }
    map.finish();
  }

  Diagnostics& problems_;
  std::filesystem::path folder_;
  SearchExperiment& experiment_;
  MapReader root_;
  MapReader section_;
};

}  // namespace

SearchExperiment read_search_experiment(const std::string& path) {
  SearchExperiment experiment;
  read_experiment_with_section(path, experiment.run, [&](YamlDocument& document) {
    SectionReader(document, path, experiment).read();
  });
  return experiment;
}

}  // namespace widthwise
