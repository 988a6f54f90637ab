// The shipped networks, against counts from elsewhere.
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "models/network/network_yaml.hpp"

using namespace widthwise;

namespace {

struct Count {
  const char* network;
  std::int64_t macs;
  std::int64_t weights;
  const char* source;
};

constexpr Count kCounts[] = {
    {"alexnet", 714188480, 61090496, "torchvision alexnet: 61,100,840 parameters, 10,344 biases"},
    {"bert_base", 11173625856, 84934656, "12 blocks: 12 768^2 weights, 128 rows, 2 128^2 768"},
    {"lenet5", 416520, 61470, "28^2 6 25 + 10^2 16 150 + 400 120 + 120 84 + 84 10"},
    {"lstm", 2237696, 81152, "28 4 (28 128 + 128^2) + 128 10"},
    {"mlp", 668672, 668672, "784 512 + 512^2 + 512 10"},
    {"mobilenet_small", 922336, 35392,
     "14^2 16 9; 14^2 16 41, 7^2 32 73, 7^2 64 73, 4^2 64 137, 4^2 128 137; 128 10"},
    {"mobilenet_v1", 568740352, 4209088, "FracBits, arXiv 2007.02017"},
    {"mobilenet_v2", 300774272, 3469760, "FracBits, arXiv 2007.02017"},
    {"pbatch_lstm_2048", 33554432, 33554432, "8 2048^2"},
    {"pbatch_lstm_3072", 75497472, 75497472, "8 3072^2"},
    {"pbatch_mlp", 20029440, 20029440, "784 4096 + 4096^2 + 4096 10"},
    {"resnet18", 1814073344, 11678912, "FracBits, arXiv 2007.02017"},
    {"resnet18_cifar", 555422720, 11164352, "11,173,962 parameters with batch normalization"},
    {"resnet20", 31021952, 270608, "28^2 16 9 + 28^2 13824 + 14^2 51200 + 7^2 204800 + 64 10"},
    {"resnet8", 9345920, 77072, "28^2 16 9 + 28^2 4608 + 14^2 14336 + 7^2 57344 + 64 10"},
    {"tiny_cnn", 20816, 620, "64 4 27 + 64 4 36 + 16 8 36 + 8 10"},
    {"tiny_mlp", 1536, 768, "2 (16 32 + 32 8)"},
    {"tiny_transformer", 8704, 2048, "4 16^2 4 + 2 4^2 16 + 2 4 16 32"},
    {"vgg16", 15470264320, 138344128, "torchvision vgg16: 138,357,544 parameters, 13,416 biases"},
    {"vgg16_cifar", 313201664, 14715584, "BMPQ, arXiv 2112.13843"},
    {"vgg_small", 9330176, 294032,
     "28^2 16 153 + 14^2 32 432 + 7^2 64 864 + 3^2 128 1728 + 128 10"},
};

/// Those that are made for training, at 32 x 32 x 3.
constexpr Count kCifarCounts[] = {
    {"lstm", 7865600, 83200, "96 4 (32 128 + 128^2) + 128 10"},
    {"mlp", 1840128, 1840128, "3072 512 + 512^2 + 512 10"},
    {"mobilenet_small", 1149184, 35680,
     "16^2 16 27; 16^2 16 41, 8^2 32 73, 8^2 64 73, 4^2 64 137, 4^2 128 137; 128 10"},
    {"resnet20", 40813184, 270896, "0.27 M parameters (arXiv 1512.03385), 2560 more in shortcuts"},
    {"resnet8", 12501632, 77360,
     "MLPerf Tiny: 12.5 M MACs, 78,666 parameters, 346 biases, 960 of batch normalization"},
    {"vgg_small", 13419776, 294320,
     "32^2 16 171 + 16^2 32 432 + 8^2 64 864 + 4^2 128 1728 + 128 10"},
};
const NetworkParameters kCifar = {{"channels", 3}, {"size", 32}};

Network read(const std::string& name, const NetworkParameters& parameters = {}) {
  return read_network(std::string(WIDTHWISE_SOURCE_DIR) + "/workloads/" + name + ".yaml",
                      parameters);
}

}  // namespace

TEST_CASE("the shipped networks have the published numbers of MACs and weights") {
  for (const Count& count : kCounts) {
    INFO(count.network << ": " << count.source);
    const Network network = read(count.network);
    CHECK(network.name() == count.network);
    CHECK(network.macs() == count.macs);
    CHECK(network.weights() == count.weights);
  }
}

TEST_CASE("networks for training fit images of CIFAR too") {
  for (const Count& count : kCifarCounts) {
    INFO(count.network << ": " << count.source);
    const Network network = read(count.network, kCifar);
    CHECK(network.macs() == count.macs);
    CHECK(network.weights() == count.weights);
  }
}

TEST_CASE("networks for training make classes of images, whatever the numbers of both") {
  using Shape = std::vector<std::int64_t>;
  for (const Count& count : kCifarCounts) {
    INFO(count.network);
    const Network network =
        read(count.network, {{"batch", 4}, {"channels", 2}, {"size", 24}, {"classes", 100}});
    std::vector<Shape> inputs;
    std::vector<Shape> outputs;
    for (const Tensor& tensor : network.tensors()) {
      if (!tensor.producer) inputs.push_back(tensor.shape);
      if (tensor.is_output) outputs.push_back(tensor.shape);
    }
    CHECK(inputs == std::vector<Shape>{{4, 2, 24, 24}});
    CHECK(outputs == std::vector<Shape>{{4, 100}});
    CHECK(network.biases() >= 100);
  }
}

TEST_CASE("the small MobileNet has a filter for every channel in its depthwise layers") {
  const Network network = read("mobilenet_small");
  int depthwise = 0;
  for (const Layer& layer : network.layers()) {
    if (!layer.name.ends_with(".depthwise")) continue;
    ++depthwise;
    CHECK(layer.compute->groups > 1);
    CHECK(layer.compute->in_channels == 1);
    CHECK(layer.compute->out_channels == 1);
  }
  CHECK(depthwise == 5);
}

TEST_CASE("twice the batch is twice the work on the same weights") {
  for (const Count& count : kCounts) {
    INFO(count.network);
    const Network once = read(count.network, {{"batch", 1}});
    const Network twice = read(count.network, {{"batch", 2}});
    CHECK(twice.macs() == 2 * once.macs());
    CHECK(twice.weights() == once.weights());
  }
}

TEST_CASE("BERT's attention grows with the square of the sequence") {
  const auto macs = [](std::int64_t sequence) {
    return read("bert_base", {{"sequence_length", sequence}}).macs();
  };
  const std::int64_t blocks = 12;
  const std::int64_t projections = blocks * 12 * 768 * 768;
  for (const std::int64_t sequence : {1, 128, 512}) {
    CHECK(macs(sequence) == sequence * projections + blocks * 2 * sequence * sequence * 768);
  }
}
