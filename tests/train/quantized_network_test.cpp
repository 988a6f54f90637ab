#include "train/torch/quantized_network.hpp"

#include <string>

#include <catch2/catch.hpp>
#include <torch/nn/modules/rnn.h>

#include "models/base/error.hpp"
#include "models/network/load_network.hpp"
#include "models/network/network_yaml.hpp"

namespace widthwise {

namespace {

Network network_of(const std::string& layers, const std::string& input = "[1, 3, 9, 9]") {
  return parse_network(
      "schema: network/1\nname: net\ninputs: {x: " + input + "}\nlayers:\n" + layers, "net.yaml");
}

/// Values in 0..1, channels last.
torch::Tensor images(std::vector<std::int64_t> shape) {
  torch::manual_seed(3);
  return torch::rand(shape).contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor state_of(const QuantizedNetwork& network, const std::string& name) {
  for (const auto& [key, tensor] : network.state()) {
    if (key == name) return tensor;
  }
  FAIL("no tensor " << name);
  return {};
}

torch::Tensor norm(const QuantizedNetwork& network, const std::string& layer,
                   const torch::Tensor& x) {
  return torch::batch_norm(x, state_of(network, layer + ".gamma"),
                           state_of(network, layer + ".beta"), {}, {}, true, 0.1, 1e-5, false);
}

bool near(const torch::Tensor& a, const torch::Tensor& b) {
  return torch::allclose(a, b, 1e-4, 1e-5);
}

const char* const kResidual =
    "  - {name: c1, kind: convolution, out_channels: 8, kernel: 3, padding: 1, activation: relu}\n"
    "  - {name: c2, kind: convolution, out_channels: 8, kernel: 3, padding: 1, groups: 8}\n"
    "  - {name: sum, kind: add, inputs: [c2, c1], activation: relu}\n"
    "  - {name: p, kind: max_pool, kernel: 3, stride: 2, padding: 1}\n"
    "  - {name: a, kind: global_average_pool}\n"
    "  - {name: flat, kind: flatten}\n"
    "  - {name: fc, kind: fully_connected, out_features: 10, bias: true}\n";

}  // namespace

TEST_CASE("In floats a network computes what torch computes of its layers") {
  torch::manual_seed(1);
  QuantizedNetwork network(network_of(kResidual), 10);
  network.set_quantized(false);
  const torch::Tensor x = images({4, 3, 9, 9});
  const torch::NoGradGuard no_gradient;
  const torch::Tensor c1 =
      torch::relu(norm(network, "c1", torch::conv2d(x, state_of(network, "c1.weight"), {}, 1, 1)));
  const torch::Tensor c2 =
      norm(network, "c2", torch::conv2d(c1, state_of(network, "c2.weight"), {}, 1, 1, 1, 8));
  const torch::Tensor pooled = torch::max_pool2d(torch::relu(c1 + c2), 3, 2, 1).mean({2, 3});
  const torch::Tensor expected =
      torch::addmm(state_of(network, "fc.bias"), pooled, state_of(network, "fc.weight").t());
  CHECK(near(network.forward(x), expected));
}

TEST_CASE("Padding that differs from side to side is where the file has it") {
  torch::manual_seed(1);
  QuantizedNetwork network(
      network_of("  - {name: c, kind: convolution, out_channels: 4, kernel: 3, stride: 2, "
                 "padding: [0, 1, 2, 1]}\n"
                 "  - {name: a, kind: average_pool, kernel: 2, stride: 2, ceil_mode: true}\n"
                 "  - {name: flat, kind: flatten}\n"
                 "  - {name: fc, kind: fully_connected, out_features: 10}\n"),
      10);
  network.set_quantized(false);
  const torch::Tensor x = images({2, 3, 9, 9});
  const torch::NoGradGuard no_gradient;
  const torch::Tensor c = norm(
      network, "c",
      torch::conv2d(torch::constant_pad_nd(x, {1, 1, 0, 2}), state_of(network, "c.weight"), {}, 2));
  const torch::Tensor a = torch::avg_pool2d(c, 2, 2, 0, true, false);
  const torch::Tensor expected = a.flatten(1).matmul(state_of(network, "fc.weight").t());
  CHECK(near(network.forward(x), expected));
}

TEST_CASE("An LSTM computes what torch's computes") {
  torch::manual_seed(1);
  QuantizedNetwork network(network_of("  - {name: l, kind: lstm, hidden: 6, bias: true}\n"
                                      "  - {name: m, kind: mean, axes: [1]}\n"
                                      "  - {name: fc, kind: fully_connected, out_features: 10}\n",
                                      "[1, 7, 5]"),
                           10);
  network.set_quantized(false);
  torch::nn::LSTM reference(torch::nn::LSTMOptions(5, 6).batch_first(true));
  const torch::NoGradGuard no_gradient;
  auto weights = reference->named_parameters();
  weights["weight_ih_l0"].copy_(state_of(network, "l/input.weight"));
  weights["weight_hh_l0"].copy_(state_of(network, "l/recurrent.weight"));
  state_of(network, "l/input.bias").uniform_();
  state_of(network, "l/recurrent.bias").uniform_();
  weights["bias_ih_l0"].copy_(state_of(network, "l/input.bias"));
  weights["bias_hh_l0"].copy_(state_of(network, "l/recurrent.bias"));
  const torch::Tensor x = torch::rand({3, 1, 7, 5});
  const torch::Tensor states = std::get<0>(reference->forward(x.reshape({3, 7, 5})));
  const torch::Tensor expected =
      states.mean(std::vector<std::int64_t>{1}).matmul(state_of(network, "fc.weight").t());
  CHECK(near(network.forward(x), expected));
}

TEST_CASE("Shipped networks for training compute and every parameter gets a gradient") {
  for (const char* name : {"resnet8", "resnet20", "mobilenet_small", "vgg_small", "mlp", "lstm"}) {
    CAPTURE(name);
    torch::manual_seed(1);
    QuantizedNetwork network(load_network({name, {}, {}}), 10);
    for (QuantizedLayer& layer : network.layers()) {
      layer.weight_slot->bits = {3.4F};
      layer.weight_slot->learned = true;
      layer.activation_slot->bits = {3.6F};
      layer.activation_slot->learned = true;
    }
    const torch::Tensor out = network.forward(images({4, 1, 28, 28}));
    REQUIRE(out.sizes() == torch::IntArrayRef({4, 10}));
    torch::cross_entropy_loss(out, torch::tensor({0, 1, 2, 3})).backward();
    for (const auto& tensors : {network.decayed(), network.not_decayed()}) {
      for (const torch::Tensor& parameter : tensors) {
        REQUIRE(parameter.grad().defined());
        CHECK(torch::isfinite(parameter.grad()).all().item<bool>());
      }
    }
    for (const QuantizedLayer& layer : network.layers()) {
      CAPTURE(layer.name);
      CHECK(layer.weight_slot->gradient.front() != 0);
      CHECK(layer.activation_slot->gradient.front() != 0);
    }
  }
}

TEST_CASE("Fewer bits take the result further from that of many") {
  torch::manual_seed(1);
  QuantizedNetwork network(network_of(kResidual), 10);
  const torch::Tensor x = images({8, 3, 9, 9});
  const torch::NoGradGuard no_gradient;
  const auto at = [&](float bits) {
    for (QuantizedLayer& layer : network.layers()) {
      layer.weight_slot->bits = layer.activation_slot->bits = {bits};
    }
    return network.forward(x);
  };
  at(16);  // calibrates the clips
  const torch::Tensor fine = at(16);
  const auto distance = [&](float bits) { return (at(bits) - fine).abs().mean().item<double>(); };
  const double two = distance(2);
  const double four = distance(4);
  const double eight = distance(8);
  CHECK(two > 2 * four);
  CHECK(four > 2 * eight);
  CHECK(eight > 0);
}

TEST_CASE("Channels that are not kept come out as zero") {
  torch::manual_seed(1);
  QuantizedNetwork network(
      network_of("  - {name: c, kind: convolution, out_channels: 10, kernel: 9}\n"
                 "  - {name: flat, kind: flatten}\n"),
      10);
  QuantizedLayer& layer = network.layers().front();
  state_of(network, "c.beta").set_requires_grad(false).fill_(1);
  layer.keep = torch::ones({10});
  layer.keep[3] = 0;
  const torch::NoGradGuard no_gradient;
  const torch::Tensor out = network.forward(images({4, 3, 9, 9}));
  CHECK(out.select(1, 3).abs().sum().item<double>() == 0);
  CHECK(out.select(1, 4).abs().sum().item<double>() > 0);
}

TEST_CASE("What training does not know is refused by name, all at once") {
  try {
    QuantizedNetwork network(
        network_of(
            "  - {name: c, kind: convolution, out_channels: 4, kernel: 9, activation: gelu}\n"
            "  - {name: flat, kind: flatten}\n"
            "  - {name: soft, kind: softmax}\n"),
        10);
    FAIL("accepted");
  } catch (const InputError& error) {
    const std::string what = error.what();
    CHECK(what.find("at least 10 classes, got 4 in soft") != std::string::npos);
    CHECK(what.find("the function gelu of c") != std::string::npos);
    CHECK(what.find("kind softmax (softmax): soft") != std::string::npos);
  }
}

}  // namespace widthwise
