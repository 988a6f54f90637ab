// What a trained network is worth by bit-planes (PrecisionBatching, arXiv 2003.00822), without
// training for them: accuracy and time for every number of planes, and the fewest planes per layer
// that lose no more accuracy than is allowed.
//
//   accuracy    of whole test images by the bit-exact inference of plane_inference.hpp: 8 magnitude
//               planes and signs in memory, of which the first n are read; activations of A bits,
//               one scale per vector
//   8 bit       inference with weights of 8 bits, a scale per row, and activations of 8 bits
//   machines    the whole network at batch 1 as the machine's model has it, at the width that n
//               planes are there: n where the engine counts a sign plane of its own, else n + 1,
//               the bits of W_n in two's complement; relative to w8a8 on the same machine
//   host        measured, one thread, matrix by matrix (measure_plane_table()); relative to 8-bit
//               inference measured beside it; not the same twice
//
// Planes per layer: minimize the first machine's latency_cycles such that sum_l lost(l, n_l) <=
// limit (search/solver.hpp), where lost(l, n) are the points of accuracy, on the calibration
// images, that go when only layer l has n planes and all others all, not below 0. Losses of several
// layers do not just add up: the answer is run, and where it loses more than is allowed the limit
// is taken to 3/4 of what the answer used; where that was nothing, or after 12 rounds, all layers
// have at least one plane more than the answer's least, and so on. Calibration images decide; test
// images verify and decide nothing.
//
// Ignores: that calibration images are training images, which the network knows (errs towards too
// few planes on images that it has not seen: `lost` on the test images shows it).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/cost/cost_model.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/network/network.hpp"
#include "train/dataset.hpp"
#include "train/plane_inference.hpp"
#include "train/result.hpp"

namespace widthwise {

/// Values of examples one after the other, with a label each.
struct PlaneExamples {
  std::vector<float> values;
  std::vector<std::uint8_t> labels;
};

/// Images as they are fed: pixels / 255, channel after channel, row after row.
PlaneExamples plane_examples(const ImageSet& set, std::span<const std::size_t> indices);

/// The network's layers without their weights. Throws InputError, all mistakes at once: what is no
/// chain of fully connected layers with or without ReLU, if need be behind one LSTM whose states
/// are averaged over time.
PlaneNetwork plane_structure(const Network& network);

/// The weight width at which the machine computes with n magnitude planes and one of signs.
BitWidth plane_width(const Accelerator& accelerator, int planes);

/// A machine that is simulated; both outlive their users.
struct SimulatedMachine {
  const Accelerator* accelerator = nullptr;
  CostModel* model = nullptr;
};

struct PlaneKnobs {
  std::vector<int> planes{1, 2, 3, 4, 5, 6, 7, 8};  // ascending; 8 among them
  BitWidth activation_bits = 8;                     // 8 or 16
  BitWidth output_bits = 8;                         // that the network's output is stored at
  double max_loss = 1;                              // points of accuracy against 8-bit inference
  int host_repeats = 51;                            // of each time that is measured
};

class PlaneEvaluation {
 public:
  /// Asks the models for all costs. The network outlives this. Throws InputError: what
  /// plane_structure() throws, widths that a machine does not support. Preconditions: at least one
  /// machine, knobs as described.
  PlaneEvaluation(const Network& network, std::vector<SimulatedMachine> machines, PlaneKnobs knobs);

  [[nodiscard]] const PlaneNetwork& structure() const { return structure_; }

  struct Run {
    int threads = 1;                                                  // of inference
    const std::atomic<bool>* stop = nullptr;                          // set: give up
    std::function<void(std::size_t done, std::size_t all)> progress;  // settings that were run
  };

  /// `trained` is the structure with its weights. Nothing if `stop` ended it. `accuracy_float` is
  /// of the test images. Everything but the host's times is the same every time.
  [[nodiscard]] std::optional<PlaneReport> run(PlaneNetwork trained, const PlaneExamples& test,
                                               const PlaneExamples& calibration,
                                               double accuracy_float, const Run& how) const;

 private:
  /// Of the network with these planes per matrix.
  [[nodiscard]] double seconds(const SimulatedMachine& machine, std::span<const int> planes) const;
  /// With at least so many planes in every layer.
  [[nodiscard]] std::vector<int> solve(const std::vector<PlaneLayerResult>& layers, double limit,
                                       int least) const;
  [[nodiscard]] double lost(const std::vector<PlaneLayerResult>& layers,
                            std::span<const int> planes) const;

  const Network& network_;
  std::vector<SimulatedMachine> machines_;
  PlaneKnobs knobs_;
  PlaneNetwork structure_;
  std::vector<LayerId> layers_;             // with multiply-accumulates
  std::vector<PlaneMachine> simulated_;     // one per machine, without what was assigned
  std::vector<std::vector<double>> costs_;  // cycles on the first machine by layer, planes
};

}  // namespace widthwise
