// What a training is told: which method learns the widths, on which data, for how long, against
// which costs. Plain data; experiment files say it in their `train` section (docs/file_formats.md).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/base/content_key.hpp"
#include "models/base/error.hpp"
#include "models/base/quantity.hpp"
#include "models/network/widths.hpp"
#include "search/problem.hpp"

namespace widthwise {

enum class TrainMethod {
  full_precision,  // 32-bit floats throughout
  fixed,           // widths given by an assignment, e.g. the same for all layers
  fracbits,        // fractional widths learned in the loop (arXiv 2007.02017)
  bmpq,            // assigned anew every few epochs by bit gradients (arXiv 2112.13843)
  post_training,   // full precision first; widths by what each costs the trained network in loss,
                   // then trained on at these
  precision_batching,  // full precision; then computed by bit-planes (arXiv 2003.00822)
};
std::string_view to_string(TrainMethod method);
TrainMethod parse_train_method(std::string_view name);  // InputError: the names and the nearest

enum class Augmentation { none, shift, shift_flip };  // by up to 2 pixels; flipped left to right
std::string_view to_string(Augmentation augmentation);
Augmentation parse_augmentation(std::string_view name);

/// A cost that the widths are to meet. `form` as a budget says it: a number, a fraction of the way
/// between least and greatest, or a share of the cost at given widths.
struct TrainTarget {
  std::string metric;  // of the cost model: latency_cycles, energy_pj, weight_bytes, bitops, ...
  BudgetForm form;
  double weight = 1;  // of its distance in the loss, relative to kappa
  SourcePlace place;
};

struct TrainSettings {
  TrainMethod method = TrainMethod::fracbits;
  std::string data = "fashion_mnist";  // shipped name or folder, as dataset.hpp reads it
  std::int64_t images = 0;             // of the training set, chosen by `seed`; 0: all
  std::int64_t epochs = 10;
  std::int64_t batch = 128;
  std::int64_t seed = 1;
  Augmentation augment = Augmentation::shift_flip;

  // Stochastic gradient descent with Nesterov's momentum, cosine rate after a linear warm-up.
  double learning_rate = 0.1;
  double momentum = 0.9;
  double weight_decay = 4e-5;  // of convolution and fully connected weights; not of depthwise
                               // ones, biases, batch norms, clips and widths (FracBits' code)
  double warmup_epochs = 0.5;

  // Widths.
  std::vector<BitWidth> weight_bits{1, 2, 3, 4, 5, 6, 7, 8};  // ascending; per channel 0 prunes
  std::vector<BitWidth> activation_bits{1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<WidthRule> pins{{"@first", 8, 8, {}}, {"@last", 8, 8, {}}};  // later ones win
  std::optional<Assignment> assignment;                                    // of the method fixed
  BitWidth output_bits = 8;

  // FracBits.
  bool per_channel = false;          // weight widths per output channel
  bool prune = false;                // per channel: widths from 0 up
  double kappa = 2;                  // of |cost / target - 1|, summed over targets by their weights
  double width_learning_rate = 0.4;  // constant until the freeze
  double freeze_at = 0.5;    // share of the epochs after which widths are rounded and fixed; the
                             // paper's 0.8 of 150 epochs leaves as many as a short training has
  double start_above = 0.5;  // start at the widths whose cost is the target's, plus this

  // BMPQ. A layer's activations have the width of its weights, as the paper has it; with a single
  // width in activation_bits they have that one.
  double interval_epochs = 1;  // between assignments
  double warm_epochs = 1;      // at the greatest widths, before the first one

  // Post-training.
  double pretrain_share = 0.5;             // of the epochs, at full precision
  std::int64_t calibration_images = 2048;  // also of PrecisionBatching

  // PrecisionBatching. weight_bits are numbers of planes, 8 the greatest; activation_bits a single
  // width, 8 or 16; no pins.
  double max_loss = 1;           // points of accuracy that planes per layer may lose against 8 bit
  std::int64_t test_images = 0;  // that are run by planes, chosen by `seed`; 0: all

  std::vector<TrainTarget> targets;  // none: fixed, full_precision and precision_batching
};

/// What can not be met: a target below what the narrowest widths reach, named with that minimum. A
/// legitimate negative answer, told apart from mistakes so that the program's exit code can say so.
class InfeasibleTarget : public InputError {
 public:
  using InputError::InputError;
};

/// Adds to `problems` what contradicts itself: a method without its targets, widths out of order,
/// a target said twice. Network, machine and data are not looked at. The key of a problem is the
/// name of the member, its place is known for targets and pins only.
void check(const TrainSettings& settings, Diagnostics& problems);

/// All that a training's result follows from on the side of its settings: equal settings, equal
/// text, whatever places they came from; any other difference is one in the text.
std::string canonical_text(const TrainSettings& settings);

}  // namespace widthwise
