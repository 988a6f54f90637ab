// What came out of a training: kept as JSON beside its checkpoint, read again for reports.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/base/quantity.hpp"
#include "models/network/network.hpp"
#include "train/settings.hpp"

namespace widthwise {

struct EpochRecord {
  std::int64_t epoch = 0;     // from 1
  double train_loss = 0;      // cross entropy, mean over the epoch
  double train_accuracy = 0;  // 0..1, over the epoch's (augmented) mini-batches
  double test_accuracy = 0;   // 0..1, at the widths at its end
  std::vector<double> costs;  // of the targets, at the widths at its end; fractional ones before
                              // the freeze
  double mean_weight_bits = 0, mean_activation_bits = 0;  // over layers with weights
  double learning_rate = 0;                               // at its end
  double seconds = 0;
  bool frozen = true;  // widths are whole and stay
};

struct TrainedLayer {
  std::string name;
  std::string kind;
  std::int64_t macs = 0, weights = 0;
  std::vector<BitWidth> weight_bits;  // 1, or one per output channel; empty: not quantized
  BitWidth activation_bits = 32;
  double sensitivity = 0;  // of bmpq and post_training, else 0
};

struct ReachedTarget {
  std::string metric;
  double target = 0;
  double simulated = 0;
  double least = 0, greatest = 0;  // 0 where not known
};

struct LayerCostRow {
  std::string name;
  std::string kind;
  std::vector<double> values;  // as TrainResult::metrics
};

/// Times of one inference at batch 1 on one machine, by bit-planes.
struct PlaneMachine {
  std::string name;
  bool measured = false;              // on the host, else simulated tile by tile
  double clock_hz = 0;                // 0: measured
  std::vector<BitWidth> weight_bits;  // that n planes are there, per number of planes
  double eight_bit_s = 0;             // of 8-bit inference
  std::vector<double> seconds;        // per number of planes
  double assigned_s = 0;              // with the planes per layer that were assigned
};

struct PlaneLayerResult {
  std::string name;
  int planes = 0;            // assigned
  std::vector<double> lost;  // points of accuracy on the calibration images, per number of planes
                             // of this layer alone
  std::vector<double> latency_cycles;  // on the first machine, per number of planes
};

/// What bit-planes make of a trained network (train/plane_evaluation.hpp).
struct PlaneReport {
  std::vector<int> planes;  // of magnitudes; there is one of signs besides
  BitWidth activation_bits = 8;
  std::int64_t test_images = 0, calibration_images = 0;  // that were run
  double accuracy_float = 0, accuracy_int8 = 0;          // of these test images, 0..1
  std::vector<double> accuracies;                        // likewise, per number of planes
  std::vector<PlaneMachine> machines;                    // the host is the last one
  std::vector<PlaneLayerResult> layers;                  // with multiply-accumulates

  double max_loss = 0;           // points of accuracy against 8-bit inference
  double assigned_accuracy = 0;  // of the test images
  double assigned_lost = 0;      // points on the calibration images; at most max_loss, unless
                                 // even all planes lose more
  double loss_limit = 0;         // points that layers were given together at last
  int least_planes = 1;          // that every layer was given at least
  std::int64_t rounds = 0;       // of solving and running the answer
};

struct TrainResult {
  std::string method;  // to_string(TrainMethod), "fracbits per channel"
  std::string label;   // short, for people: "fixed w3a3", "fracbits latency_cycles 0.31"
  std::string network, accelerator, data;
  std::string widths;  // of fixed: the assignment's name
  std::int64_t seed = 0, epochs = 0, images = 0, test_images = 0, batch = 0;
  double accuracy = 0;        // on the test set, after the last epoch, 0..1
  double accuracy_float = 0;  // of post_training: before quantization; else 0
  std::vector<EpochRecord> history;
  std::vector<TrainedLayer> layers;  // with multiply-accumulates, in execution order
  std::vector<ReachedTarget> targets;
  /// The frozen network simulated whole, tile by tile; empty for full precision.
  std::vector<std::string> metrics;
  std::vector<double> totals;
  std::vector<LayerCostRow> layer_costs;  // all layers
  double parameter_bits = 0;              // weights at their widths, biases and batch norms at 32
  double float_parameter_bits = 0;        // all at 32
  double train_seconds = 0;               // over all runs that it took
  double images_per_s = 0;
  std::optional<PlaneReport> planes;  // of precision_batching
  std::string key;                    // of settings, network and machine
  std::string version;                // of the program
};

/// "training/1" (docs/file_formats.md); same result, same bytes, and doubles read back as they
/// were. A figure that is not finite and lists of different lengths are mistakes of ours:
/// InternalError.
std::string result_json(const TrainResult& result);

/// Throws InputError, all mistakes at once: with line and column where the file is no JSON, else
/// with the path of the key that is missing or wrong ("history[2].costs"). Other keys are passed
/// over.
TrainResult read_result(const std::string& path);

}  // namespace widthwise
