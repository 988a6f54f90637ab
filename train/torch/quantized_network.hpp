// A network that computes: the layers of a network file with parameters, quantized at widths that
// can be learned. What is trained is what is costed, layer by layer.
//
// Knows convolutions (grouped and depthwise too), fully connected layers, LSTMs, max and average
// pools, additions, products, concatenations of channels, means over axes, and the functions relu,
// relu6, sigmoid and tanh. Every convolution is followed by a batch norm, which network files have
// folded; fully connected layers and LSTMs have none, and biases if the file says so.
//
// Quantization: weights by DoReFa; what a layer with multiply-accumulates reads by PACT at that
// layer's activation width, from zero up where nothing in the tensor is negative, else with both
// signs. Every reader has a clip of its own and quantizes the same values. The network's input is
// pixels / 255, clipped at 1: exact at 8 bits. An LSTM reads its own state quantized too; its gates
// and its cell are computed in floats, as are additions and pools between layers (the hardware
// requantizes what it stores there: errs high in accuracy, by less than a step of the reader).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <torch/types.h>

#include "models/network/network.hpp"
#include "train/width_slot.hpp"

namespace widthwise {

/// One layer with multiply-accumulates; both parts of an LSTM are one each.
struct QuantizedLayer {
  LayerId layer = 0;
  std::string name;
  torch::Tensor weight;  // parameter, [out, in / groups, kernel_h, kernel_w] or [out, in]
  torch::Tensor bias;    // parameter [out]; undefined: none
  torch::Tensor clip;    // parameter, one element: PACT's alpha of what the layer reads
  std::shared_ptr<WidthSlot> weight_slot, activation_slot;
  torch::Tensor keep;       // [out] of 0 and 1; undefined: all channels are kept
  torch::Tensor quantized;  // weights of the last forward pass, see keep_quantized_weights()
};

class QuantizedNetwork {
 public:
  /// Parameters are drawn from torch's generator (He et al.'s normal distribution for convolutions
  /// by fan-out, uniform by fan-in for the rest). Slots are at 8 bits. Throws InputError, all
  /// mistakes at once: kinds of layers that are not known, more than one input or output, an output
  /// that is not [batch, classes].
  QuantizedNetwork(const Network& network, std::int64_t classes);
  ~QuantizedNetwork();
  QuantizedNetwork(const QuantizedNetwork&) = delete;
  QuantizedNetwork& operator=(const QuantizedNetwork&) = delete;

  /// images: [batch, channels, height, width] in 0..1, channels last in memory, as many values an
  /// image as the network's input has. Returns [batch, classes].
  torch::Tensor forward(const torch::Tensor& images);

  void set_training(bool training);    // batch norms use the batch; at first true
  void set_quantized(bool quantized);  // false: floats throughout; at first true

  /// Whether QuantizedLayer::quantized is set by forward passes and gets a gradient.
  void keep_quantized_weights(bool keep);

  /// In execution order.
  [[nodiscard]] std::vector<QuantizedLayer>& layers();

  /// Parameters that weight decay applies to (weights of convolutions that are not depthwise, of
  /// fully connected layers and LSTMs), and the others.
  [[nodiscard]] std::vector<torch::Tensor> decayed() const;
  [[nodiscard]] std::vector<torch::Tensor> not_decayed() const;

  /// Parameters and running statistics by name, and whether clips were calibrated: all that
  /// forward() depends on besides slots and masks. For checkpoints: the tensors are the network's
  /// own.
  [[nodiscard]] std::vector<std::pair<std::string, torch::Tensor>> state() const;

 private:
  struct Data;
  std::unique_ptr<Data> data_;
};

}  // namespace widthwise
