#include "search/problem_reader.hpp"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "models/base/text.hpp"
#include "models/config/yaml_reader.hpp"
#include "search/budgets.hpp"

namespace widthwise {

namespace {

constexpr Range<int> kWidths{kMinOperandWidth, kMaxOperandWidth};
constexpr Range<double> kNotNegative{0, 1e300};
constexpr std::string_view kLossName = "loss";

class ProblemReader {
 public:
  explicit ProblemReader(YamlDocument& document)
      : root_(open_document(document, "problem")), problems_(document.problems) {
    problem_.place = root_.place();
  }

  Problem run() {
    root_.text("name", Need::optional, problem_.name);
    costs();
    objective();
    groups();
    ties();
    pins();
    budgets();
    root_.finish();
    if (!problems_.empty()) return {};  // what is not there can not be looked up
    check(problem_, problems_, false);
    if (!problems_.empty()) return {};
    resolve_budgets(problem_, problems_);
    if (problems_.empty()) check(problem_, problems_);
    return std::move(problem_);
  }

 private:
  void costs() {
    root_.texts("costs", Need::optional, problem_.costs);
    names_ = problem_.costs;
    names_.emplace_back(kLossName);
    for (std::size_t m = 0; m < problem_.costs.size(); ++m) metric_of_[problem_.costs[m]] = m;
    metric_of_[std::string(kLossName)] = kLoss;
  }

  std::optional<MetricId> metric(const std::string& name, const SourcePlace& place,
                                 const std::string& path) {
    const auto found = metric_of_.find(name);
    if (found != metric_of_.end()) return found->second;
    problems_.error(place, path,
                    fmt::format("expected one of {}, got {}{}", quoted_list(names_),
                                quoted_value(name), suggestion(name, names_)));
    return std::nullopt;
  }

  void set_weight(MetricId metric, double weight) {
    if (metric == kLoss) {
      problem_.objective.loss = weight;
    } else {
      problem_.objective.costs[metric] = weight;
    }
  }

  void objective() {
    const YamlNode* node = root_.take("minimize", Need::required);
    if (node == nullptr) return;
    problem_.objective.loss = 0;
    problem_.objective.costs.assign(problem_.costs.size(), 0);
    if (node->kind == YamlNode::Kind::map) {
      MapReader weights(*node, "minimize", problems_);
      for (const YamlNode& entry : weights.entries()) {
        const auto which = metric(entry.key, entry.place, "minimize");
        const auto weight = read_number(entry, weights.path_of(entry.key), problems_, kNotNegative);
        if (which && weight) set_weight(*which, *weight);
      }
    } else if (const auto name = read_text(*node, "minimize", problems_)) {
      if (const auto which = metric(*name, node->place, "minimize")) set_weight(*which, 1);
    }
  }

  void groups() {
    for (MapReader& reader : root_.maps("groups", Need::required)) {
      Group group;
      group.place = reader.place();
      const bool named = reader.text("name", Need::required, group.name);
      for (MapReader& option : reader.maps("options", Need::required)) {
        group.options.push_back(read_option(option));
      }
      reader.finish();
      if (named) name_group(group);
      problem_.groups.push_back(std::move(group));
    }
  }

  void name_group(const Group& group) {
    const auto [other, is_new] = group_of_.emplace(group.name, problem_.groups.size());
    if (is_new) {
      group_names_.push_back(group.name);
    } else {
      problems_.error(
          group.place, fmt::format("groups[{}]", problem_.groups.size()),
          fmt::format("the name '{}' is that of groups[{}]", group.name, other->second));
    }
  }

  void finite_number(MapReader& reader, const std::string& key, double& target) {
    const YamlNode* node = reader.take(key, Need::required);
    if (node == nullptr) return;
    const auto value = node->kind == YamlNode::Kind::scalar && !node->quoted
                           ? parse_number(node->text)
                           : std::nullopt;
    if (!value) {
      problems_.error(node->place, reader.path_of(key),
                      "expected a number, got " + describe(*node));
    }
    target = value.value_or(target);
  }

  Option read_option(MapReader& reader) {
    Option option;
    option.place = reader.place();
    reader.integer("weight_bits", Need::required, option.weight_bits, kWidths);
    option.activation_bits = option.weight_bits;
    reader.integer("activation_bits", Need::optional, option.activation_bits, kWidths);
    finite_number(reader, std::string(kLossName), option.loss);
    option.costs.assign(problem_.costs.size(), 0);
    for (std::size_t m = 0; m < problem_.costs.size(); ++m) {
      if (metric_of_.at(problem_.costs[m]) != m) continue;  // named twice
      finite_number(reader, problem_.costs[m], option.costs[m]);
    }
    reader.finish();
    return option;
  }

  std::optional<std::size_t> group(const std::string& name, const SourcePlace& place,
                                   const std::string& path) {
    const auto found = group_of_.find(name);
    if (found != group_of_.end()) return found->second;
    problems_.error(
        place, path,
        fmt::format("there is no group {}{}", quoted_value(name), suggestion(name, group_names_)));
    return std::nullopt;
  }

  void ties() {
    const YamlNode* node = root_.take("ties", Need::optional);
    if (node == nullptr) return;
    if (node->kind != YamlNode::Kind::list) {
      problems_.error(
          node->place, "ties",
          "expected a list of lists of groups such as [[conv1, conv2]], got " + describe(*node));
      return;
    }
    for (std::size_t t = 0; t < node->children.size(); ++t) {
      const YamlNode& entry = node->children[t];
      const std::string path = fmt::format("ties[{}]", t);
      if (entry.kind != YamlNode::Kind::list) {
        problems_.error(entry.place, path, "expected a list of groups, got " + describe(entry));
        continue;
      }
      Tie tie;
      tie.place = entry.place;
      for (std::size_t i = 0; i < entry.children.size(); ++i) {
        const YamlNode& member = entry.children[i];
        const std::string member_path = fmt::format("{}[{}]", path, i);
        const auto name = read_text(member, member_path, problems_);
        if (!name) continue;
        if (const auto index = group(*name, member.place, member_path)) {
          tie.groups.push_back(*index);
        }
      }
      problem_.ties.push_back(std::move(tie));
    }
  }

  void pins() {
    MapReader reader = root_.map("pins", Need::optional);
    for (const YamlNode& entry : reader.entries()) {
      const std::string path = reader.path_of(entry.key);
      const auto index = group(entry.key, entry.place, "pins");
      std::optional<LayerWidths> widths;
      if (entry.kind == YamlNode::Kind::map) {
        MapReader pin(entry, path, problems_);
        LayerWidths read;
        const bool has_weight = pin.integer("weight_bits", Need::required, read.weight, kWidths);
        read.activation = read.weight;
        const bool wrong =
            pin.has("activation_bits") &&
            !pin.integer("activation_bits", Need::optional, read.activation, kWidths);
        if (!pin.has("activation_bits")) pin.take("activation_bits", Need::optional);
        pin.finish();
        if (has_weight && !wrong) widths = read;
      } else {
        widths = read_short_widths(entry, path, problems_);
      }
      if (!index || !widths) continue;
      const std::vector<Option>& options = problem_.groups[*index].options;
      const auto found = std::find_if(options.begin(), options.end(), [&](const Option& option) {
        return option.widths() == *widths;
      });
      if (found == options.end()) {
        problems_.error(
            entry.place, path,
            fmt::format("the group has no option w{}a{}", widths->weight, widths->activation));
        continue;
      }
      problem_.pins.push_back(
          {*index, static_cast<std::size_t>(found - options.begin()), entry.place});
    }
  }

  void budgets() {
    MapReader reader = root_.map("budgets", Need::optional);
    for (const YamlNode& entry : reader.entries()) {
      const auto which = metric(entry.key, entry.place, "budgets");
      MapReader form(entry, reader.path_of(entry.key), problems_);
      if (!form.given()) continue;
      Budget budget;
      budget.place = entry.place;
      budget.metric = which.value_or(kLoss);
      if (read_budget_form(form, budget.form, problems_) && which)
        problem_.budgets.push_back(budget);
    }
  }

  MapReader root_;
  Diagnostics& problems_;
  Problem problem_;
  std::vector<std::string> names_;  // of metrics
  std::unordered_map<std::string, MetricId> metric_of_;
  std::vector<std::string> group_names_;
  std::unordered_map<std::string, std::size_t> group_of_;
};

Problem read(YamlDocument document) {
  Problem problem = ProblemReader(document).run();
  document.problems.throw_if_any();
  return problem;
}

}  // namespace

std::optional<LayerWidths> read_short_widths(const YamlNode& node, const std::string& path,
                                             Diagnostics& problems) {
  if (node.kind == YamlNode::Kind::scalar) {
    try {
      return parse_uniform_assignment(node.text).defaults;
    } catch (const InputError&) {
    }
  }
  problems.error(node.place, path, "expected widths of 1..16 such as w4a8, got " + describe(node));
  return std::nullopt;
}

bool read_budget_form(MapReader& reader, BudgetForm& form, Diagnostics& problems) {
  const int forms = (reader.has("max") ? 1 : 0) + (reader.has("fraction") ? 1 : 0) +
                    (reader.has("relative_to") || reader.has("share") ? 1 : 0);
  bool good = forms == 1;
  if (!good) {
    problems.error(reader.place(), reader.path(),
                   "expected one of {max: 4.2}, {fraction: 0.5} and {relative_to: w8a8, share: "
                   "0.5}");
  }
  if (reader.has("max")) {
    form.kind = BudgetForm::Kind::max;
    good = reader.number("max", Need::required, form.value, kNotNegative) && good;
  }
  if (reader.has("fraction")) {
    form.kind = BudgetForm::Kind::fraction;
    good = reader.number("fraction", Need::required, form.value, {0, 1}) && good;
  }
  if (reader.has("relative_to") || reader.has("share")) {
    form.kind = BudgetForm::Kind::share;
    good = reader.number("share", Need::required, form.value, kNotNegative) && good;
    const YamlNode* node = reader.take("relative_to", Need::required);
    const auto widths = node == nullptr
                            ? std::nullopt
                            : read_short_widths(*node, reader.path_of("relative_to"), problems);
    form.reference = widths.value_or(LayerWidths{});
    good = good && widths.has_value();
  }
  for (const std::string_view key : {"max", "fraction", "relative_to", "share"}) {
    reader.take(key, Need::optional);
  }
  reader.finish();
  return good;
}

Problem read_problem(const std::string& path) { return read(load_yaml(path)); }

Problem parse_problem(std::string_view text, const std::string& file) {
  return read(parse_yaml(text, file));
}

}  // namespace widthwise
