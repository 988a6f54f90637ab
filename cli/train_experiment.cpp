#include "cli/train_experiment.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <system_error>
#include <tuple>

#include <fmt/format.h>

#include "cli/experiment_section.hpp"
#include "cli/read_request.hpp"
#include "models/config/yaml_reader.hpp"
#include "search/problem_reader.hpp"

namespace widthwise {

namespace {

constexpr Range<std::int64_t> kWidths{kMinOperandWidth, kMaxOperandWidth};
constexpr Range<std::int64_t> kEpochs{1, 100'000};
constexpr Range<std::int64_t> kImages{0, 1'000'000'000};  // 0: all
constexpr Range<std::int64_t> kSeeds{0, std::numeric_limits<std::int64_t>::max()};
constexpr Range<std::int64_t> kBatches{1, 65'536};
constexpr Range<double> kShare{0, 1};

class SectionReader {
 public:
  SectionReader(YamlDocument& document, const std::string& file, TrainExperiment& experiment)
      : document_(document),
        problems_(document.problems),
        file_(file),
        experiment_(experiment),
        root_(document.root, "", document.problems),
        section_(root_.map("train", Need::required)) {}

  void read() {
    if (!section_.given()) {
      return;
    }
    places();
    TrainSettings& settings = experiment_.settings;
    choice(section_, "method", parse_train_method, settings.method);
    data();
    section_.integer("images", Need::optional, settings.images, kImages);
    section_.integer("epochs", Need::optional, settings.epochs, kEpochs);
    section_.integer("batch", Need::optional, settings.batch, kBatches);
    section_.integer("seed", Need::optional, settings.seed, kSeeds);
    choice(section_, "augment", parse_augmentation, settings.augment);
    section_.number("learning_rate", Need::optional, settings.learning_rate, {1e-9, 1000});
    section_.number("momentum", Need::optional, settings.momentum, {0, 0.9999});
    section_.number("weight_decay", Need::optional, settings.weight_decay, kShare);
    section_.number("warmup_epochs", Need::optional, settings.warmup_epochs, {0, 100'000});
    read_width_list(section_, "weight_bits", settings.weight_bits);
    read_width_list(section_, "activation_bits", settings.activation_bits);
    experiment_.has_pins = read_pins(section_, settings.pins);
    section_.boolean("per_channel", Need::optional, settings.per_channel);
    section_.boolean("prune", Need::optional, settings.prune);
    section_.number("kappa", Need::optional, settings.kappa, {0, 1e9});
    section_.number("width_learning_rate", Need::optional, settings.width_learning_rate,
                    {1e-9, 1000});
    section_.number("freeze_at", Need::optional, settings.freeze_at, kShare);
    section_.number("start_above", Need::optional, settings.start_above, {0, kMaxOperandWidth});
    section_.number("interval_epochs", Need::optional, settings.interval_epochs, {1e-3, 100'000});
    section_.number("warm_epochs", Need::optional, settings.warm_epochs, {0, 100'000});
    section_.number("pretrain_share", Need::optional, settings.pretrain_share, {0.01, 0.99});
    section_.integer("calibration_images", Need::optional, settings.calibration_images,
                     {1, kImages.max});
    section_.number("max_loss", Need::optional, settings.max_loss, {0, 100});
    section_.integer("test_images", Need::optional, settings.test_images, kImages);
    machines();
    targets();
    compare();
    section_.finish();
    fidelity();
  }

 private:
  void places() {
    auto& known = experiment_.places;
    known[""] = {section_.place(), "train"};
    if (const YamlNode* node = document_.root.find("train")) {
      for (const YamlNode& entry : node->children) {
        known[entry.key] = {entry.place, section_.path_of(entry.key)};
      }
    }
  }

  static std::optional<Given> given(MapReader& map, std::string_view key) {
    std::string text;
    if (!map.text(key, Need::optional, text)) {
      return std::nullopt;
    }
    return Given{text, map.place_of(key), map.path_of(key)};
  }

  template <class Parse, class Target>
  void choice(MapReader& map, std::string_view key, Parse parse, Target& target) {
    if (const auto text = given(map, key)) {
      const auto value = collecting(
          problems_, [&] { return placed_at(*text, [&] { return parse(text->text); }); });
      target = value.value_or(target);
    }
  }

  void data() {
    TrainSettings& settings = experiment_.settings;
    experiment_.data =
        given(section_, "data").value_or(Given{settings.data, section_.place(), "train"});
    settings.data = experiment_.data.text;
    std::error_code ignored;
    const auto beside = std::filesystem::path(file_).parent_path() / settings.data;
    if (std::filesystem::is_directory(beside, ignored)) {
      experiment_.data.text = beside.string();
    }
  }

  void machines() {
    const std::string folder = std::filesystem::path(file_).parent_path().string();
    std::vector<std::string> names;
    list(section_, "machines", "[bismo_edge_8x8]", names,
         [&](const YamlNode& node, const std::string& path) {
           auto name = read_text(node, path, problems_);
           if (name) {
             std::error_code ignored;
             const auto beside = std::filesystem::path(folder) / *name;
             const bool is_file = std::filesystem::is_regular_file(beside, ignored);
             experiment_.machines.push_back({is_file ? beside.string() : *name, node.place, path});
           }
           return name;
         });
  }

  void targets() {
    MapReader reader = section_.map("targets", Need::optional);
    for (const YamlNode& entry : reader.entries()) {
      MapReader form(entry, reader.path_of(entry.key), problems_);
      if (!form.given()) {
        continue;
      }
      TrainTarget target{entry.key, {}, 1, entry.place};
      form.number("weight", Need::optional, target.weight, {0, 1e9});
      if (read_budget_form(form, target.form, problems_)) {
        experiment_.settings.targets.push_back(std::move(target));
      }
    }
  }

  /// 3 or "w3a3".
  std::optional<LayerWidths> uniform_widths(const YamlNode& node, const std::string& path) {
    if (node.kind == YamlNode::Kind::scalar && node.text.starts_with('w')) {
      return read_short_widths(node, path, problems_);
    }
    const auto width = read_integer(node, path, problems_, kWidths);
    return width ? std::optional(
                       LayerWidths{static_cast<BitWidth>(*width), static_cast<BitWidth>(*width)})
                 : std::nullopt;
  }

  template <class Item, class Read>
  void list(MapReader& map, std::string_view key, std::string_view example,
            std::vector<Item>& target, Read read) {
    const YamlNode* node = map.take(key, Need::optional);
    if (node == nullptr) {
      return;
    }
    const std::string path = map.path_of(key);
    if (node->kind != YamlNode::Kind::list) {
      problems_.error(node->place, path,
                      fmt::format("expected a list such as {}, got {}", example, describe(*node)));
      return;
    }
    for (const YamlNode& entry : node->children) {
      const auto item = read(entry, path);
      if (!item) {
        continue;
      }
      if (std::find(target.begin(), target.end(), *item) != target.end()) {
        problems_.error(entry.place, path, "is there twice");
        continue;
      }
      target.push_back(*item);
    }
  }

  void compare() {
    MapReader reader = section_.map("compare", Need::optional);
    list(reader, "uniform", "[3, 8] or [w4a8]", experiment_.uniform,
         [&](const YamlNode& node, const std::string& path) { return uniform_widths(node, path); });
    list(reader, "methods", "[post_training, full_precision]", experiment_.methods,
         [&](const YamlNode& node, const std::string& path) -> std::optional<TrainMethod> {
           const auto name = read_text(node, path, problems_);
           if (!name) {
             return std::nullopt;
           }
           const Given text{*name, node.place, path};
           return collecting(problems_, [&] {
             return placed_at(text, [&] { return parse_train_method(text.text); });
           });
         });
    reader.finish();
  }

  void fidelity() {
    const auto& said = experiment_.run.fidelity;
    if (said && said->text != "tile") {
      problems_.error(said->place, said->key,
                      "a training's costs are simulated tile by tile: expected 'tile', got '" +
                          said->text + "'");
    }
  }

  YamlDocument& document_;
  Diagnostics& problems_;
  const std::string& file_;
  TrainExperiment& experiment_;
  MapReader root_;
  MapReader section_;
};

std::string widths_text(const LayerWidths& widths) {
  return fmt::format("w{}a{}", widths.weight, widths.activation);
}

/// Adds the problems of settings at the keys of the section, each once; one whose key is not there
/// stands at `otherwise`.
void place(const Diagnostics& found, const TrainExperiment& experiment,
           const std::string& otherwise, Diagnostics& problems) {
  const auto& places = experiment.places;
  for (Diagnostic problem : found.items()) {
    const auto known = places.find(problem.key.substr(0, problem.key.find('.')));
    problem.key = "train." + problem.key;
    if (problem.place.file.empty() && known != places.end()) {
      std::tie(problem.place, problem.key) = known->second;
    } else if (problem.place.file.empty()) {
      const auto other = places.find(otherwise);
      const auto section = places.find("");
      problem.place = other != places.end()     ? other->second.first
                      : section != places.end() ? section->second.first
                                                : SourcePlace{};
    }
    const auto& items = problems.items();
    if (std::none_of(items.begin(), items.end(), [&](const Diagnostic& other) {
          return to_string(other) == to_string(problem);
        })) {
      problems.append({problem});
    }
  }
}

TrainSettings fixed_settings(const TrainSettings& base, Assignment assignment) {
  TrainSettings settings = base;
  settings.method = TrainMethod::fixed;
  settings.per_channel = settings.prune = false;
  settings.targets.clear();
  // The pins are rules of the assignment, which win over its others.
  assignment.rules.insert(assignment.rules.end(), settings.pins.begin(), settings.pins.end());
  settings.pins.clear();
  settings.output_bits = assignment.output_bits;
  settings.assignment = std::move(assignment);
  return settings;
}

/// Bit-planes have their number for a width, one width of activations and no pins; what the section
/// says of them is left for check() to refuse.
void take_defaults_of_planes(const TrainExperiment& experiment, TrainSettings& settings) {
  if (!experiment.has_pins) {
    settings.pins.clear();
  }
  if (!experiment.places.contains("activation_bits")) {
    settings.activation_bits = {8};
  }
}

/// The settings of a training that an experiment's own is compared with: with its targets where the
/// method has any, and with what bit-planes are, whatever widths the others choose from.
TrainSettings compared_settings(const TrainSettings& base, TrainMethod method) {
  TrainSettings settings = base;
  settings.method = method;
  settings.per_channel = settings.prune = false;
  if (method == TrainMethod::full_precision || method == TrainMethod::precision_batching) {
    settings.targets.clear();
  }
  if (method == TrainMethod::precision_batching) {
    settings.weight_bits = TrainSettings{}.weight_bits;
    settings.activation_bits = {8};
    settings.pins.clear();
  }
  return settings;
}

std::string label_of(const TrainSettings& settings) {
  std::string label(to_string(settings.method));
  if (settings.method == TrainMethod::fixed && settings.assignment) {
    return label + " " + settings.assignment->name;
  }
  return settings.per_channel ? label + " per channel" : label;
}

}  // namespace

TrainExperiment read_train_experiment(const std::string& path) {
  TrainExperiment experiment;
  read_experiment_with_section(path, experiment.run, [&](YamlDocument& document) {
    SectionReader(document, path, experiment).read();
  });
  return experiment;
}

void apply(const TrainOverrides& overrides, TrainExperiment& experiment, Diagnostics& problems) {
  const auto take = [&](const std::optional<Given>& given, const std::string& key,
                        Range<std::int64_t> range, std::int64_t& target) {
    if (!given) {
      return;
    }
    target = collecting(problems, [&] {
               return read_integer_in(*given, range.min, range.max);
             }).value_or(target);
    experiment.places[key] = {given->place, given->key};
  };
  take(overrides.epochs, "epochs", kEpochs, experiment.settings.epochs);
  take(overrides.images, "images", kImages, experiment.settings.images);
  take(overrides.seed, "seed", kSeeds, experiment.settings.seed);
}

std::vector<PlannedTraining> planned_trainings(const TrainExperiment& experiment,
                                               const std::optional<Assignment>& bits,
                                               Diagnostics& problems) {
  std::vector<PlannedTraining> plan;
  const auto add = [&](TrainSettings settings, std::string label, const std::string& key) {
    Diagnostics found;
    check(settings, found);
    place(found, experiment, key, problems);
    const bool is_new = std::none_of(plan.begin(), plan.end(), [&](const PlannedTraining& other) {
      return other.label == label;
    });
    if (is_new) {
      plan.push_back({std::move(label), std::move(settings)});
    } else {
      found = {};
      found.error({}, key, fmt::format("'{}' is there twice", label));
      place(found, experiment, key, problems);
    }
  };
  const auto refuse = [&](const std::string& key, const std::string& message) {
    Diagnostics found;
    found.error({}, key, message);
    place(found, experiment, key, problems);
  };
  TrainSettings base = experiment.settings;
  TrainSettings main = base;
  if (main.method == TrainMethod::fixed) {
    if (!experiment.run.bits) {
      refuse("method", "the method 'fixed' needs widths, under the experiment's key bits");
      return plan;
    }
    if (!bits) {
      return plan;  // they were not read, and that was reported
    }
    if (!experiment.has_pins) {
      base.pins.clear();  // what is not said does not change widths that are
    }
    main = fixed_settings(base, *bits);
    main.targets = base.targets;  // check() refuses them
  }
  if (main.method == TrainMethod::precision_batching) {
    take_defaults_of_planes(experiment, main);
  }
  add(main, label_of(main), "method");
  for (const LayerWidths& widths : experiment.uniform) {
    Assignment assignment;
    assignment.name = widths_text(widths);
    assignment.defaults = widths;
    assignment.output_bits = base.output_bits;
    TrainSettings settings = fixed_settings(base, std::move(assignment));
    add(std::move(settings), "uniform " + widths_text(widths), "compare");
  }
  for (const TrainMethod method : experiment.methods) {
    if (method == TrainMethod::fixed) {
      refuse("compare", "widths that are fixed are named under uniform");
      continue;
    }
    TrainSettings settings = compared_settings(base, method);
    std::string label = label_of(settings);
    add(std::move(settings), std::move(label), "compare");
  }
  return plan;
}

}  // namespace widthwise
