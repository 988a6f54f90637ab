#include "train/settings.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "models/base/text.hpp"

namespace widthwise {

namespace {

constexpr std::array<std::pair<std::string_view, TrainMethod>, 6> kMethods{{
    {"full_precision", TrainMethod::full_precision},
    {"fixed", TrainMethod::fixed},
    {"fracbits", TrainMethod::fracbits},
    {"bmpq", TrainMethod::bmpq},
    {"post_training", TrainMethod::post_training},
    {"precision_batching", TrainMethod::precision_batching},
}};

constexpr std::array<std::pair<std::string_view, Augmentation>, 3> kAugmentations{{
    {"none", Augmentation::none},
    {"shift", Augmentation::shift},
    {"shift_flip", Augmentation::shift_flip},
}};

constexpr BitWidth kPlanes = 8;  // of magnitudes, in memory, of precision_batching

template <class Table, class Value>
std::string_view name_in(const Table& table, Value value) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const auto& row) { return row.second == value; });
  ensure(found != table.end(), "every value has a name");
  return found->first;
}

template <class Table>
auto value_in(const Table& table, std::string_view name, std::string_view key) {
  std::vector<std::string> names;
  for (const auto& [known, value] : table) {
    if (known == name) {
      return value;
    }
    names.emplace_back(known);
  }
  throw InputError({}, std::string(key),
                   fmt::format("expected one of {}, got '{}'{}", quoted_list(names), name,
                               suggestion(name, names)));
}

void check_widths(const std::vector<BitWidth>& widths, std::string_view key,
                  Diagnostics& problems) {
  if (widths.empty()) {
    problems.error({}, std::string(key), "expected at least one width");
  }
  for (std::size_t i = 0; i < widths.size(); ++i) {
    if (widths[i] < kMinOperandWidth || widths[i] > kMaxOperandWidth) {
      problems.error({}, std::string(key),
                     fmt::format("expected widths of {}..{} bit, got {}", kMinOperandWidth,
                                 kMaxOperandWidth, widths[i]));
    } else if (i > 0 && widths[i] <= widths[i - 1]) {
      problems.error({}, std::string(key), "expected widths in ascending order, each once");
    }
  }
}

void check_targets(const TrainSettings& settings, bool wanted, Diagnostics& problems) {
  if (wanted && settings.targets.empty()) {
    problems.error({}, "targets",
                   fmt::format("the method '{}' needs a target, such as latency_cycles: "
                               "{{relative_to: w3a3, share: 1}}",
                               to_string(settings.method)));
  }
  if (!wanted && !settings.targets.empty()) {
    problems.error(
        {}, "targets",
        fmt::format("the method '{}' has no widths to choose", to_string(settings.method)));
  }
  std::set<std::string> seen;
  for (const TrainTarget& target : settings.targets) {
    const std::string key = "targets." + target.metric;
    if (!seen.insert(target.metric).second) {
      problems.error(target.place, key, "is said twice");
    }
    if (!(target.form.value > 0) && target.form.kind != BudgetForm::Kind::fraction) {
      problems.error(target.place, key, "expected a target above 0");
    }
  }
}

void check_planes(const TrainSettings& settings, Diagnostics& problems) {
  const auto& planes = settings.weight_bits;
  if (!planes.empty() && *std::max_element(planes.begin(), planes.end()) != kPlanes) {
    problems.error({}, "weight_bits",
                   fmt::format("expected numbers of planes of which {} is the greatest", kPlanes));
  }
  if (settings.activation_bits != std::vector<BitWidth>{8} &&
      settings.activation_bits != std::vector<BitWidth>{16}) {
    problems.error({}, "activation_bits",
                   "the method 'precision_batching' has one width of activations, [8] or [16]");
  }
  if (!settings.pins.empty()) {
    problems.error({}, "pins", "the method 'precision_batching' pins no widths");
  }
}

/// Text that can not be taken for another one's, whatever stands in it.
std::string quoted(std::string_view text) { return fmt::format("{}:{}", text.size(), text); }

std::string text_of(const std::optional<BitWidth>& width) {
  return width ? fmt::to_string(*width) : "-";
}

std::string text_of(const std::vector<WidthRule>& rules) {
  std::string text;
  for (const WidthRule& rule : rules) {
    text += fmt::format("{} w{} a{} s{};", quoted(rule.pattern), text_of(rule.weight),
                        text_of(rule.activation), text_of(rule.accumulator));
  }
  return text;
}

std::string text_of(const Assignment& assignment) {
  return fmt::format("{} w{} a{} s{} o{};{}", quoted(assignment.name), assignment.defaults.weight,
                     assignment.defaults.activation, text_of(assignment.accumulator),
                     assignment.output_bits, text_of(assignment.rules));
}

std::string text_of(const std::vector<TrainTarget>& targets) {
  std::string text;
  for (const TrainTarget& target : targets) {
    const BudgetForm& form = target.form;
    text +=
        fmt::format("{} {} {} w{}a{} {};", quoted(target.metric), static_cast<int>(form.kind),
                    form.value, form.reference.weight, form.reference.activation, target.weight);
  }
  return text;
}

}  // namespace

std::string_view to_string(TrainMethod method) { return name_in(kMethods, method); }

TrainMethod parse_train_method(std::string_view name) { return value_in(kMethods, name, "method"); }

std::string_view to_string(Augmentation augmentation) {
  return name_in(kAugmentations, augmentation);
}

Augmentation parse_augmentation(std::string_view name) {
  return value_in(kAugmentations, name, "augment");
}

void check(const TrainSettings& settings, Diagnostics& problems) {
  const TrainMethod method = settings.method;
  check_widths(settings.weight_bits, "weight_bits", problems);
  check_widths(settings.activation_bits, "activation_bits", problems);
  check_targets(settings,
                method != TrainMethod::fixed && method != TrainMethod::full_precision &&
                    method != TrainMethod::precision_batching,
                problems);
  if (method == TrainMethod::precision_batching) {
    check_planes(settings, problems);
  }
  if (method == TrainMethod::fixed && !settings.assignment) {
    problems.error({}, "assignment", "the method 'fixed' needs widths");
  }
  if (method != TrainMethod::fixed && settings.assignment) {
    problems.error({}, "assignment", "only the method 'fixed' is given its widths");
  }
  if (settings.per_channel && method != TrainMethod::fracbits) {
    problems.error({}, "per_channel", "only the method 'fracbits' has widths per channel");
  }
  if (settings.prune && !settings.per_channel) {
    problems.error({}, "prune", "only with per_channel are channels pruned");
  }
  if (settings.images > 0 && settings.images < settings.batch) {
    problems.error(
        {}, "images",
        fmt::format("expected at least one batch of {}, got {}", settings.batch, settings.images));
  }
  const auto epochs = static_cast<double>(settings.epochs);
  if (settings.warmup_epochs > epochs) {
    problems.error({}, "warmup_epochs",
                   fmt::format("expected at most the number of epochs ({}), got {}",
                               settings.epochs, settings.warmup_epochs));
  }
  if (method == TrainMethod::bmpq && settings.warm_epochs >= epochs) {
    problems.error({}, "warm_epochs",
                   fmt::format("expected less than the number of epochs ({}), got {}",
                               settings.epochs, settings.warm_epochs));
  }
}

std::string canonical_text(const TrainSettings& settings) {
  std::string text = "training settings 1\n";
  const auto add = [&](std::string_view key, const auto& value) {
    text += fmt::format("{}={}\n", key, value);
  };
  const auto widths = [](const std::vector<BitWidth>& list) {
    return fmt::format("{}", fmt::join(list, ","));
  };
  add("method", to_string(settings.method));
  add("data", quoted(settings.data));
  add("images", settings.images);
  add("epochs", settings.epochs);
  add("batch", settings.batch);
  add("seed", settings.seed);
  add("augment", to_string(settings.augment));
  add("learning_rate", settings.learning_rate);
  add("momentum", settings.momentum);
  add("weight_decay", settings.weight_decay);
  add("warmup_epochs", settings.warmup_epochs);
  add("weight_bits", widths(settings.weight_bits));
  add("activation_bits", widths(settings.activation_bits));
  add("pins", text_of(settings.pins));
  add("assignment", settings.assignment ? text_of(*settings.assignment) : "-");
  add("output_bits", settings.output_bits);
  add("per_channel", settings.per_channel);
  add("prune", settings.prune);
  add("kappa", settings.kappa);
  add("width_learning_rate", settings.width_learning_rate);
  add("freeze_at", settings.freeze_at);
  add("start_above", settings.start_above);
  add("interval_epochs", settings.interval_epochs);
  add("warm_epochs", settings.warm_epochs);
  add("pretrain_share", settings.pretrain_share);
  add("calibration_images", settings.calibration_images);
  add("max_loss", settings.max_loss);
  add("test_images", settings.test_images);
  add("targets", text_of(settings.targets));
  return text;
}

}  // namespace widthwise
