// A network that computes: the layers of a network file with parameters, quantized at widths that
// can be learned. What is trained is what is costed, layer by layer.
//
// Knows convolutions (grouped, depthwise), fully connected layers, LSTMs, max and average pools
// (global too), additions, concatenations of channels, means over axes, and the functions relu,
// relu6, sigmoid and tanh. Every convolution is followed by a batch norm, which the network file
// has folded; fully connected layers have a bias if the file says so and no batch norm.
//
// Quantization: weights by DoReFa; the input of every layer with multiply-accumulates by PACT at
// that layer's activation width, from zero up where nothing in the tensor is negative, else with
// both signs. A clip belongs to the tensor that is read; readers of different widths quantize the
// same values each at its own. The input of the network is pixels / 255, clipped at 1: at 8 bits
// they are exact. An LSTM's state is read quantized too; its gates and cell are computed in floats,
// as the post-processing unit does (errs high in accuracy).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "models/network/network.hpp"
#include "train/width_slot.hpp"

namespace widthwise {

/// One layer with multiply-accumulates; both parts of an LSTM are one each.
struct QuantizedLayer {
  LayerId layer = 0;
  std::string name;
  torch::Tensor weight;  // parameter, [out, in / groups, kh, kw] or [out, in]
  std::shared_ptr<WidthSlot> weight_slot, activation_slot;
  torch::Tensor keep;       // [out] of 0 and 1; undefined: all are kept
  torch::Tensor quantized;  // of the last forward pass, if they are kept
};

class QuantizedNetwork {
 public:
  /// Parameters are drawn from torch's generator (Kaiming). Throws InputError: kinds of layers that
  /// are not known, more than one input or output, an output that is not [batch, classes].
  QuantizedNetwork(const Network& network, std::int64_t classes);
  ~QuantizedNetwork();
  QuantizedNetwork(const QuantizedNetwork&) = delete;
  QuantizedNetwork& operator=(const QuantizedNetwork&) = delete;

  /// images: [batch, channels, height, width] in 0..1. Returns [batch, classes].
  torch::Tensor forward(const torch::Tensor& images);

  void set_training(bool training);
  void set_quantized(bool quantized);      // false: in floats throughout; at first true
  void keep_quantized_weights(bool keep);  // QuantizedLayer::quantized with its gradient

  [[nodiscard]] std::vector<QuantizedLayer>& layers();

  /// Parameters that weight decay applies to, and the others.
  [[nodiscard]] std::vector<torch::Tensor> decayed() const;
  [[nodiscard]] std::vector<torch::Tensor> not_decayed() const;
  /// Parameters and running statistics by name, for checkpoints.
  [[nodiscard]] std::vector<std::pair<std::string, torch::Tensor>> state() const;

 private:
  struct Data;
  std::unique_ptr<Data> data_;
};

}  // namespace widthwise
