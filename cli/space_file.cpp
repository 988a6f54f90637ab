#include "cli/space_file.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "cli/experiment.hpp"
#include "cli/search_experiment.hpp"
#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "models/config/yaml_reader.hpp"
#include "sweep/key_number.hpp"

namespace widthwise {

namespace {

constexpr std::size_t kMostValues = 100'000;  // of an axis
constexpr Range<std::int64_t> kPoints{1, 1'000'000'000};
constexpr Range<std::int64_t> kSeeds{0, std::numeric_limits<std::uint32_t>::max()};
constexpr std::size_t kMostObjectives = 7;

using Kind = StrategySettings::Kind;
constexpr std::pair<std::string_view, Kind> kStrategies[] = {
    {"grid", Kind::grid}, {"random", Kind::random}, {"sobol", Kind::sobol}, {"nsga2", Kind::nsga2}};

constexpr std::pair<std::string_view, Fidelity> kFidelities[] = {{"analytic", Fidelity::analytic},
                                                                 {"tile", Fidelity::tile}};

/// Nine digits, or the whole number that is meant: what adding and multiplying leaves behind them
/// is noise.
double without_noise(double value) {
  constexpr double kNoise = 1e-12;
  const double whole = std::round(value);
  if (std::abs(value - whole) <= kNoise * std::abs(value)) return whole;
  return parse_number(fmt::format("{:.9g}", value)).value_or(value);
}

/// All of a node that has a meaning, on one line.
std::string canonical(const YamlNode& node) {
  std::string text = node.key + ':';
  if (node.kind == YamlNode::Kind::scalar) return text + (node.quoted ? '"' : ' ') + node.text;
  text += node.kind == YamlNode::Kind::map ? '{' : '[';
  for (const YamlNode& child : node.children) text += canonical(child) + '\n';
  return text + '}';
}

class SpaceReader {
 public:
  SpaceReader(YamlDocument& document, const std::string& file)
      : problems_(document.problems), file_(file), root_(open_document(document, "space")) {
    space_.file = file;
    for (const YamlNode& child : document.root.children) {
      if (child.key != "name" && child.key != "description") {
        space_.identity += canonical(child) + '\n';
      }
    }
  }

  Space read() {
    space_.name = std::filesystem::path(file_).stem().string();
    root_.text("name", Need::optional, space_.name);
    root_.text("description", Need::optional, space_.description);
    axes();
    const bool has_accelerator_axis = has_axis(kAcceleratorAxis);
    if (auto accelerator = input_file(root_, "accelerator",
                                      has_accelerator_axis ? Need::optional : Need::required)) {
      if (has_accelerator_axis) {
        root_.error("accelerator", "stands among the axes too");
      }
      space_.accelerator = std::move(*accelerator);
    }
    MapReader overrides = root_.map("set", Need::optional);
    read_overrides(overrides, space_.overrides);
    derived();
    constraints();
    widths();
    networks();
    root_.choice("fidelity", Need::optional, space_.fidelity, kFidelities);
    objectives();
    strategy();
    root_.finish();
    return std::move(space_);
  }

 private:
  [[nodiscard]] bool has_axis(std::string_view key) const {
    return std::any_of(space_.axes.begin(), space_.axes.end(),
                       [&](const SpaceAxis& axis) { return axis.key == key; });
  }

  [[nodiscard]] std::string beside(const std::string& text) const {
    std::error_code ignored;
    const auto path = std::filesystem::path(file_).parent_path() / text;
    return std::filesystem::is_regular_file(path, ignored) ? path.string() : text;
  }

  std::optional<Given> input_file(MapReader& map, std::string_view key, Need need) {
    std::string text;
    if (!map.text(key, need, text)) return std::nullopt;
    return Given{beside(text), map.place_of(key), map.path_of(key)};
  }

  // ---- axes

  void axes() {
    MapReader reader = root_.map("axes", Need::required);
    for (const YamlNode& entry : reader.entries()) {
      const std::string path = reader.path_of(entry.key);
      const bool files =
          entry.key == kAcceleratorAxis || entry.key == kBitsAxis || entry.key == "energy";
      SpaceAxis axis{entry.key, values(entry, path, files), entry.place};
      if (files) {
        for (std::string& value : axis.values) value = beside(value);
      }
      if (!axis.values.empty()) space_.axes.push_back(std::move(axis));
    }
    if (reader.given() && reader.entries().empty()) {
      problems_.error(reader.place(), "axes", "expected at least one key with its values");
    }
  }

  /// A list of values, or a range of them. Empty after a mistake. Names are without quotes.
  std::vector<std::string> values(const YamlNode& node, const std::string& path,
                                  bool names = false) {
    std::vector<std::string> list;
    if (node.kind == YamlNode::Kind::map) {
      list = range(node, path);
    } else if (node.kind == YamlNode::Kind::list) {
      for (const YamlNode& item : node.children) {
        if (names && item.kind == YamlNode::Kind::scalar) {
          list.push_back(item.text);
        } else if (const auto value = override_value(item)) {
          list.push_back(*value);
        } else {
          problems_.error(item.place, path, "expected a value, got " + describe(item));
          return {};
        }
      }
      if (list.empty()) problems_.error(node.place, path, "expected at least one value");
    } else {
      problems_.error(node.place, path,
                      "expected a list of values, or a range such as {from: 4, to: 64, factor: 2}, "
                      "got " +
                          describe(node));
    }
    std::vector<std::string> sorted = list;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) {
      problems_.error(node.place, path, "the value '" + *twice + "' stands there twice");
      return {};
    }
    return list;
  }

  std::vector<std::string> range(const YamlNode& node, const std::string& path) {
    MapReader map(node, path, problems_);
    std::string from_text, to_text;
    double step = 0;
    double factor = 0;
    std::int64_t points = 0;
    bool log = false;
    const std::size_t before = problems_.items().size();
    map.text("from", Need::required, from_text);
    map.text("to", Need::required, to_text);
    map.number("step", Need::optional, step, {1e-300, 1e300});
    map.number("factor", Need::optional, factor, {1.000001, 1e300});
    map.integer("points", Need::optional, points, {2, static_cast<std::int64_t>(kMostValues)});
    map.boolean("log", Need::optional, log);
    map.finish();
    const int forms = (step > 0) + (factor > 0) + (points > 0);
    if (forms != 1 && problems_.items().size() == before) {
      map.error("from", "expected one of 'step', 'factor' and 'points' beside 'from' and 'to'");
    }
    if (log && points == 0) map.error("log", "goes with 'points'");
    if (problems_.items().size() > before) return {};
    const auto from = number_and_unit(from_text);
    const auto to = number_and_unit(to_text);
    if (!from || !to || from->second != to->second || from->first > to->first) {
      map.error("from", fmt::format("expected two numbers with the same unit, the lesser first, "
                                    "got '{}' and '{}'",
                                    from_text, to_text));
      return {};
    }
    if ((factor > 0 || log) && from->first <= 0) {
      map.error("from", "expected a number above 0 where steps are factors");
      return {};
    }
    const auto value_at = [&](std::size_t i) {
      const auto n = static_cast<double>(i);
      if (step > 0) return from->first + n * step;
      if (factor > 0) return from->first * std::pow(factor, n);
      const double share = n / static_cast<double>(points - 1);
      return log ? from->first * std::pow(to->first / from->first, share)
                 : from->first + share * (to->first - from->first);
    };
    // Rounding must not lose the last value.
    constexpr double kSlack = 1e-9;
    const double last =
        to->first + kSlack * (std::abs(to->first) + std::abs(to->first - from->first));
    std::vector<std::string> list;
    for (std::size_t i = 0; points > 0 ? i < static_cast<std::size_t>(points) : value_at(i) <= last;
         ++i) {
      if (list.size() == kMostValues) {
        map.error("to", fmt::format("expected at most {} values", kMostValues));
        return {};
      }
      const double value = without_noise(value_at(i));
      list.push_back(format_number(value) + (from->second.empty() ? "" : " " + from->second));
    }
    return list;
  }

  // ---- what follows from the axes

  void derived() {
    MapReader reader = root_.map("derived", Need::optional);
    if (!reader.given()) return;
    for (const YamlNode& entry : reader.entries()) {
      const std::string path = reader.path_of(entry.key);
      DerivedKey key;
      key.key = entry.key;
      key.place = entry.place;
      if (has_axis(key.key)) problems_.error(entry.place, path, "is an axis too");
      if (entry.kind == YamlNode::Kind::scalar) {
        if (const auto text = read_text(entry, path, problems_)) {
          key.expression = *text;
          space_.derived.push_back(std::move(key));
        }
        continue;
      }
      constexpr const char* kForms =
          "expected an expression, or 'greatest' or 'least' with values and 'where'";
      if (entry.kind != YamlNode::Kind::map) {
        problems_.error(entry.place, path, std::string(kForms) + ", got " + describe(entry));
        continue;
      }
      MapReader map(entry, path, problems_);
      const YamlNode* of_greatest = map.take("greatest", Need::optional);
      const YamlNode* of_least = map.take("least", Need::optional);
      const bool greatest = of_greatest != nullptr;
      const YamlNode* among = greatest ? of_greatest : of_least;
      const bool said = map.text("where", Need::required, key.expression);
      map.finish();
      if (among == nullptr || (greatest && of_least != nullptr)) {
        problems_.error(entry.place, path, kForms);
        continue;
      }
      key.rule = greatest ? DerivedKey::Rule::greatest : DerivedKey::Rule::least;
      key.candidates = values(*among, path + (greatest ? ".greatest" : ".least"));
      if (key.candidates.empty() || !said) continue;
      const auto number = [](const std::string& text) {
        const auto read = key_number(text);
        return read ? read->value : 0;
      };
      std::stable_sort(key.candidates.begin(), key.candidates.end(),
                       [&](const std::string& a, const std::string& b) {
                         return greatest ? number(a) > number(b) : number(a) < number(b);
                       });
      space_.derived.push_back(std::move(key));
    }
  }

  void constraints() {
    const YamlNode* node = root_.take("constraints", Need::optional);
    if (node == nullptr) return;
    if (node->kind != YamlNode::Kind::list) {
      problems_.error(
          node->place, "constraints",
          "expected a list of conditions such as \"area_mm2 <= 2\", got " + describe(*node));
      return;
    }
    for (std::size_t i = 0; i < node->children.size(); ++i) {
      const std::string path = fmt::format("constraints[{}]", i);
      if (const auto text = read_text(node->children[i], path, problems_)) {
        space_.constraints.push_back({*text, node->children[i].place, path});
      }
    }
  }

  // ---- what is worked out

  void widths() {
    const bool has_bits = root_.has("bits");
    const bool has_search = root_.has("search");
    if (has_bits + has_search + has_axis(kBitsAxis) > 1) {
      root_.error(has_search ? "search" : "bits",
                  "widths are said once: as 'bits', as an axis 'bits' or as 'search'");
    }
    if (auto bits = input_file(root_, "bits", Need::optional)) space_.bits = std::move(bits->text);
    if (space_.bits.empty() && !has_axis(kBitsAxis)) space_.bits = "w8a8";
    if (!has_search) return;
    MapReader section = root_.map("search", Need::optional);
    SearchExperiment experiment;
    // Costs at stored widths between others may be off by this much; answers are costed exactly.
    constexpr double kStoredWidthError = 0.002;
    experiment.request.stored_width_error = kStoredWidthError;
    read_search_section(section, file_, experiment);
    for (const char* key : {"front", "report"}) {
      if (section.has(key)) section.error(key, "has no meaning in a sweep");
    }
    if (experiment.sensitivity_file) default_file_ = experiment.sensitivity_file;
    default_sensitivity_ = experiment.sensitivity;
    space_.search = std::move(experiment.request);
  }

  void find_sensitivity(const std::optional<Given>& file, SensitivityRequest& request) {
    if (!file) return;
    try {
      request.file = find_file(Shipped::sensitivities, *file);
    } catch (const InputError& error) {
      problems_.append(error.diagnostics());
    }
  }

  void networks() {
    MapReader defaults = root_.map("sensitivity", Need::optional);
    bool has_default = space_.search.has_value();
    if (defaults.given()) {
      if (has_default) root_.error("sensitivity", "stands in the section 'search'");
      read_sensitivity(defaults, file_, default_sensitivity_, default_file_);
      has_default = true;
    }
    find_sensitivity(default_file_, default_sensitivity_);
    const YamlNode* node = root_.take("networks", Need::required);
    if (node == nullptr) return;
    if (node->kind != YamlNode::Kind::list || node->children.empty()) {
      problems_.error(node->place, "networks",
                      "expected a list of networks, got " + describe(*node));
      return;
    }
    for (std::size_t i = 0; i < node->children.size(); ++i) {
      const YamlNode& item = node->children[i];
      const std::string path = fmt::format("networks[{}]", i);
      SpaceNetwork network;
      network.has_losses = has_default;
      network.sensitivity = default_sensitivity_;
      if (item.kind == YamlNode::Kind::map) {
        MapReader map(item, path, problems_);
        if (auto name = input_file(map, "network", Need::required)) network.name = *name;
        map.number("weight", Need::optional, network.weight, {0, 1e9});
        if (std::int64_t batch = 0; map.integer("batch", Need::optional, batch, {1, kMostBatch})) {
          network.source.batch = batch;
        }
        map.texts("ignore", Need::optional, network.source.ignore);
        if (MapReader parameters = map.map("parameters", Need::optional); parameters.given()) {
          for (const YamlNode& entry : parameters.entries()) {
            const auto value = read_integer(entry, parameters.path_of(entry.key), problems_,
                                            {std::numeric_limits<std::int64_t>::min(),
                                             std::numeric_limits<std::int64_t>::max()});
            if (value) network.source.parameters[entry.key] = *value;
          }
        }
        if (MapReader own = map.map("sensitivity", Need::optional); own.given()) {
          network.sensitivity = {};
          network.has_losses = true;
          std::optional<Given> file;
          read_sensitivity(own, file_, network.sensitivity, file);
          find_sensitivity(file, network.sensitivity);
        }
        map.finish();
      } else if (const auto name = read_text(item, path, problems_)) {
        network.name = Given{beside(*name), item.place, path};
      }
      if (!network.name.text.empty()) space_.networks.push_back(std::move(network));
    }
  }

  void objectives() {
    space_.objectives = {"latency_s", "energy_pj", "area_mm2"};
    if (root_.texts("objectives", Need::optional, space_.objectives)) {
      check_metrics(space_.objectives, "objectives");
    }
    const std::size_t count = space_.objectives.size();
    if (count < 1 || count > kMostObjectives) {
      root_.error("objectives", "expected one to seven metrics");
    }
    const YamlNode* node = root_.take("fronts", Need::optional);
    if (node == nullptr) {
      // All objectives if they are two or three; else the first with each of the others.
      if (count <= 3) {
        std::vector<std::size_t> all;
        for (std::size_t i = 0; i < count; ++i) all.push_back(i);
        space_.fronts = {std::move(all)};
      } else {
        for (std::size_t i = 1; i < count; ++i) space_.fronts.push_back({0, i});
      }
      return;
    }
    if (node->kind != YamlNode::Kind::list) {
      problems_.error(node->place, "fronts",
                      "expected a list of lists of objectives such as [[loss, energy_pj]], got " +
                          describe(*node));
      return;
    }
    for (std::size_t f = 0; f < node->children.size(); ++f) {
      const YamlNode& item = node->children[f];
      const std::string path = fmt::format("fronts[{}]", f);
      std::vector<std::size_t> front;
      for (const YamlNode& name : item.children) {
        const auto text = read_text(name, path, problems_);
        if (!text) continue;
        const auto found = std::find(space_.objectives.begin(), space_.objectives.end(), *text);
        if (found == space_.objectives.end()) {
          problems_.error(name.place, path,
                          fmt::format("'{}' is not among the objectives{}", *text,
                                      suggestion(*text, space_.objectives)));
          continue;
        }
        const auto index = static_cast<std::size_t>(found - space_.objectives.begin());
        if (std::find(front.begin(), front.end(), index) != front.end()) {
          problems_.error(name.place, path, fmt::format("'{}' stands there twice", *text));
        }
        front.push_back(index);
      }
      if (item.kind != YamlNode::Kind::list || item.children.size() < 2 ||
          item.children.size() > 3) {
        problems_.error(item.place, path,
                        "expected a list of two or three objectives, got " + describe(item));
      }
      space_.fronts.push_back(std::move(front));
    }
  }

  void check_metrics(const std::vector<std::string>& names, std::string_view key) {
    for (const std::string& name : names) {
      const auto& known = sweep_metrics();
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        root_.error(key, fmt::format("unknown metric '{}'; known: {}{}", name, quoted_list(known),
                                     suggestion(name, known)));
      }
      if (std::count(names.begin(), names.end(), name) > 1) {
        root_.error(key, fmt::format("'{}' stands there twice", name));
        return;
      }
      const bool has_loss = std::all_of(space_.networks.begin(), space_.networks.end(),
                                        [](const auto& network) { return network.has_losses; });
      if (name == "loss" && !has_loss) {
        root_.error(key, "'loss' needs a section 'sensitivity' for every network");
      }
    }
  }

  void strategy() {
    StrategySettings& settings = space_.strategy;
    const YamlNode* node = root_.take("strategy", Need::optional);
    if (node == nullptr) return;
    if (node->kind == YamlNode::Kind::scalar) {
      std::vector<std::string> names;
      for (const auto& row : kStrategies) names.emplace_back(row.first);
      if (const auto index = read_choice(*node, "strategy", problems_, names)) {
        settings.kind = kStrategies[*index].second;
      }
      check_limits(node->place, "strategy");
      return;
    }
    MapReader map(*node, "strategy", problems_);
    map.choice("kind", Need::required, settings.kind, kStrategies);
    const bool evolves = settings.kind == Kind::nsga2;
    const bool draws = settings.kind == Kind::random || settings.kind == Kind::sobol;
    const auto only = [&](const char* key, bool allowed, const char* kinds) {
      if (!allowed) map.refuse(key, fmt::format("is of the strategies {} only", kinds));
      return allowed;
    };
    if (only("points", draws, "random and sobol")) {
      map.integer(
          "points", Need::optional, settings.points,
          {static_cast<std::uint64_t>(kPoints.min), static_cast<std::uint64_t>(kPoints.max)});
    }
    if (only("seed", evolves || settings.kind == Kind::random, "random and nsga2")) {
      map.integer("seed", Need::optional, settings.seed,
                  {static_cast<std::uint64_t>(kSeeds.min), static_cast<std::uint64_t>(kSeeds.max)});
    }
    if (only("population", evolves, "nsga2")) {
      map.integer("population", Need::optional, settings.population, {8, 100'000});
      if (settings.population % 4 != 0) {
        map.error("population",
                  fmt::format("expected a multiple of 4, got {}", settings.population));
      }
    }
    if (only("generations", evolves, "nsga2")) {
      map.integer("generations", Need::optional, settings.generations, {1, 1'000'000});
    }
    map.finish();
    check_limits(map.place_of("kind"), "strategy.kind");
  }

  /// What a strategy asks of the space.
  void check_limits(const SourcePlace& place, const std::string& path) {
    constexpr std::size_t kMostSobolAxes = 3667;
    if (space_.strategy.kind == Kind::sobol && space_.axes.size() > kMostSobolAxes) {
      problems_.error(place, path,
                      fmt::format("Sobol's sequence has at most {} axes", kMostSobolAxes));
    }
    if (space_.strategy.kind == Kind::nsga2 && space_.objectives.size() < 2) {
      problems_.error(place, path,
                      "evolution is towards a front: expected at least two objectives");
    }
  }

  Diagnostics& problems_;
  std::string file_;
  MapReader root_;
  Space space_;
  SensitivityRequest default_sensitivity_;
  std::optional<Given> default_file_;
};

}  // namespace

Space read_space(const std::string& path) {
  YamlDocument document = load_yaml(path);
  Space space = SpaceReader(document, path).read();
  document.problems.throw_if_any();
  return space;
}

}  // namespace widthwise
