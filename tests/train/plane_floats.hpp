// A network for bit-planes in floating point, as plain as can be.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "train/plane_inference.hpp"

namespace widthwise::test {

using Values = std::vector<double>;

inline Values product(const PlaneLayer& layer, const Values& x) {
  Values y(layer.bias.begin(), layer.bias.end());
  y.resize(static_cast<std::size_t>(layer.outputs));  // without biases: zeros
  for (std::size_t row = 0; row < y.size(); ++row) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      y[row] += static_cast<double>(layer.weights[row * x.size() + i]) * x[i];
    }
    if (layer.relu) y[row] = std::max(y[row], 0.0);
  }
  return y;
}

/// The network in floating point.
inline Values in_floats(const PlaneNetwork& network, const std::vector<float>& input) {
  Values x(input.begin(), input.end());
  if (network.lstm) {
    const auto features = static_cast<std::size_t>(network.lstm->input.inputs);
    const auto hidden = static_cast<std::size_t>(network.lstm->recurrent.inputs);
    Values state(hidden);
    Values cell(hidden);
    Values mean(hidden);
    const auto sigmoid = [](double value) { return 1 / (1 + std::exp(-value)); };
    for (std::size_t at = 0; at < x.size(); at += features) {
      const auto from = x.begin() + static_cast<std::ptrdiff_t>(at);
      const Values of_input =
          product(network.lstm->input, {from, from + network.lstm->input.inputs});
      const Values of_state = product(network.lstm->recurrent, state);
      for (std::size_t k = 0; k < hidden; ++k) {
        const auto gate = [&](std::size_t g) {
          return of_input[g * hidden + k] + of_state[g * hidden + k];
        };
        cell[k] = sigmoid(gate(1)) * cell[k] + sigmoid(gate(0)) * std::tanh(gate(2));
        state[k] = sigmoid(gate(3)) * std::tanh(cell[k]);
        mean[k] += state[k] / static_cast<double>(network.lstm->steps);
      }
    }
    x = mean;
  }
  for (const PlaneLayer& one : network.layers) x = product(one, x);
  return x;
}

}  // namespace widthwise::test
