// A trained network computed by bit-planes (bit_planes.hpp), batch 1: fully connected layers one
// after the other, if need be behind an LSTM over a sequence. The number of planes of every layer
// is chosen anew at every call; nothing is repacked.
//
// Products of integers are exact, whichever kernel computes them; everything else is computed in
// floats: bias, ReLU, the gates and the state of the LSTM, its mean over time. An LSTM's state is
// put in fixed point again at every step.
//
// LSTM: i, f, g, o = W x + b + R h + c, four blocks of rows in this order;
//   c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c), both zero before the first step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/table/cost_table.hpp"
#include "train/bit_planes.hpp"

namespace widthwise {

/// y = W x + bias. Plain data.
struct PlaneLayer {
  std::string name;  // as the network file has it: "fc1", "lstm/input", "lstm/recurrent"
  std::int64_t outputs = 0, inputs = 0;
  std::vector<float> weights;  // [outputs][inputs]
  std::vector<float> bias;     // [outputs]; empty: none
  bool relu = false;           // of y; not for the parts of an LSTM
};

struct PlaneLstm {
  PlaneLayer input;      // [4 hidden][features]
  PlaneLayer recurrent;  // [4 hidden][hidden]
  std::int64_t steps = 1;
};

struct PlaneNetwork {
  std::string name;
  std::optional<PlaneLstm> lstm;   // reads [steps][features]; the mean of h over time goes on
  std::vector<PlaneLayer> layers;  // one after the other
};

enum class PlaneArithmetic {
  planes,          // by the host's kernels
  plain_products,  // the same integers by plain products; slow
  int8,            // not by planes: weights of 8 bits with a scale per row
};

/// Of one call.
struct PlaneSetting {
  std::vector<int> planes{8};  // per matrix in the order of matrices(); a single one: of all
  int activation_bits = 8;     // A
  /// Magnitude that a matrix's activations are scaled by, e.g. of calibrate(); empty: each
  /// vector's own largest one.
  std::vector<float> greatest;
  PlaneArithmetic arithmetic = PlaneArithmetic::planes;
  PlaneWorkers* workers = nullptr;  // share the rows of each product
  const PlaneKernel* kernel = &best_plane_kernel();
};

class PlaneInference {
 public:
  /// Throws InputError, all mistakes at once: a layer whose inputs are not what the one before puts
  /// out, parts of an LSTM of different size, biases of another length, no layer at all; and what
  /// BitPlanes refuses.
  PlaneInference(PlaneNetwork network, const PlaneOptions& options);

  /// Names; the LSTM's input part and recurrent part first.
  [[nodiscard]] const std::vector<std::string>& matrices() const { return names_; }
  [[nodiscard]] const BitPlanes& planes(std::size_t matrix) const { return planes_[matrix]; }
  [[nodiscard]] const PlaneNetwork& network() const { return network_; }  // without its weights
  [[nodiscard]] std::int64_t inputs() const;   // of one example, all steps
  [[nodiscard]] std::int64_t outputs() const;  // classes

  /// Buffers of one thread, kept from call to call.
  struct Scratch {
    explicit Scratch(const PlaneKernel& kernel) : activations(kernel) {}
    PlaneActivations activations;
    std::vector<std::int64_t> sums;
    std::vector<std::int32_t> sums8;
    std::vector<float> from, to, gates, state, cell, mean;
    /// Largest magnitude that each matrix was given so far; counted if not empty.
    std::vector<float> greatest;
    /// Nanoseconds that each matrix took so far: from float activations to float outputs; counted
    /// if not empty.
    std::vector<double> nanoseconds;
  };

  /// One example. Throws InputError: lengths, numbers of planes, bits. Several threads may call it,
  /// each with scratch (of the setting's kernel) and workers of its own.
  void run(std::span<const float> input, const PlaneSetting& setting, Scratch& scratch,
           std::span<float> output) const;

  /// The largest magnitude of each matrix's activations over examples one after the other.
  [[nodiscard]] std::vector<float> calibrate(std::span<const float> examples,
                                             const PlaneSetting& setting) const;

  /// Share of the examples whose greatest output is that of their label; examples are shared out
  /// among threads (the setting's workers are not used).
  [[nodiscard]] double accuracy(std::span<const float> examples,
                                std::span<const std::uint8_t> labels, const PlaneSetting& setting,
                                int threads) const;

 private:
  void check(const PlaneSetting& setting) const;
  void apply(std::size_t matrix, std::span<const float> x, const PlaneSetting& setting,
             Scratch& scratch, std::span<float> y) const;
  void run_lstm(std::span<const float> input, const PlaneSetting& setting, Scratch& scratch) const;

  PlaneNetwork network_;
  std::vector<std::string> names_;
  std::vector<std::vector<float>> biases_;
  std::vector<BitPlanes> planes_;
  std::vector<Int8Matrix> bytes_;
};

struct PlaneMeasureOptions {
  std::vector<int> planes{1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<int> activation_bits{8};
  int threads = 1;
  int repeats = 101;  // of each setting
};

struct PlaneMeasurement {
  /// Rows at weight_bits = magnitude planes and activation_bits; latency_ns of one example.
  CostTable table;
  std::vector<double> int8_ns;  // of each of the table's layers by 8-bit inference
};

/// Times every matrix on this processor at every setting, as part of whole examples at batch 1, so
/// that each finds the caches as the others leave them; twice per setting and turn, the second one
/// counts. Medians over the turns. An LSTM's parts are timed over all steps. From float activations
/// to float outputs; what is computed in floats between the matrices is left out (errs low).
/// Throws InputError: planes or bits out of range, none, twice the same, threads or repeats
/// below 1.
PlaneMeasurement measure_plane_table(const PlaneInference& inference,
                                     const PlaneMeasureOptions& options);

}  // namespace widthwise
