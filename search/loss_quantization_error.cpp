#include <array>
#include <map>

#include "search/loss_rules.hpp"

namespace widthwise::search {

namespace {

double size_of(const Layer& layer, Weighting weighting) {
  if (weighting == Weighting::plain) return 1;
  return static_cast<double>(weighting == Weighting::macs ? layer.macs()
                                                          : layer.compute->weight_elements());
}

}  // namespace

CostTable quantization_error_losses(const Network& network, const OnnxWeights* weights,
                                    const SensitivityRequest& request) {
  const LayerWeights values(network, weights, request);
  LossTable table(network, request);
  table.say_quantizer(request);
  table.say("weighting", to_string(request.weighting));
  table.say("activations", "best uniform quantizer, half-normal after a ReLU, else normal");

  double whole = 0;
  for (const Layer& layer : network.layers()) {
    if (layer.compute) whole += size_of(layer, request.weighting);
  }
  if (request.weighting == Weighting::plain) whole = 1;
  const std::vector<ActivationShape> shapes = activation_shapes(network);
  std::array<std::map<BitWidth, double>, 2> noise_of_shape;
  for (const ActivationShape shape : {ActivationShape::normal, ActivationShape::half_normal}) {
    for (const BitWidth bits : request.activation_bits) {
      noise_of_shape.at(static_cast<std::size_t>(shape))[bits] = activation_noise(shape, bits);
    }
  }
  for (LayerId id = 0; id < network.layers().size(); ++id) {
    const Layer& layer = network.layers()[id];
    if (!layer.compute) continue;
    const double share = size_of(layer, request.weighting) / whole;
    const auto noise_of_input = [&](std::size_t input, BitWidth bits) {
      const ActivationShape shape =
          input < layer.inputs.size() ? shapes[layer.inputs[input]] : ActivationShape::normal;
      return noise_of_shape.at(static_cast<std::size_t>(shape)).at(bits);
    };
    std::map<BitWidth, double> noise_of_weights;
    if (layer.weights > 0) {
      const LayerWeights::Errors errors = values.of(layer, request.weight_bits);
      for (std::size_t i = 0; i < request.weight_bits.size(); ++i) {
        noise_of_weights[request.weight_bits[i]] = errors.noise[i];
      }
    }
    table.add_pairs(id, request.weight_bits, request.activation_bits,
                    [&](BitWidth weight, BitWidth activation) {
                      const double second = layer.weights > 0 ? noise_of_weights.at(weight)
                                                              : noise_of_input(1, activation);
                      return share * (second + noise_of_input(0, activation));
                    });
  }
  return table.take();
}

}  // namespace widthwise::search
