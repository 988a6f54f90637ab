// The shipped networks, against counts from elsewhere.
#include <string>

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
    {"mobilenet_v1", 568740352, 4209088, "FracBits, arXiv 2007.02017"},
    {"mobilenet_v2", 300774272, 3469760, "FracBits, arXiv 2007.02017"},
    {"pbatch_lstm_2048", 33554432, 33554432, "8 2048^2"},
    {"pbatch_lstm_3072", 75497472, 75497472, "8 3072^2"},
    {"pbatch_mlp", 20029440, 20029440, "784 4096 + 4096^2 + 4096 10"},
    {"resnet18", 1814073344, 11678912, "FracBits, arXiv 2007.02017"},
    {"resnet18_cifar", 555422720, 11164352, "11,173,962 parameters with batch normalization"},
    {"tiny_cnn", 20816, 620, "64 4 27 + 64 4 36 + 16 8 36 + 8 10"},
    {"tiny_mlp", 1536, 768, "2 (16 32 + 32 8)"},
    {"tiny_transformer", 8704, 2048, "4 16^2 4 + 2 4^2 16 + 2 4 16 32"},
    {"vgg16", 15470264320, 138344128, "torchvision vgg16: 138,357,544 parameters, 13,416 biases"},
    {"vgg16_cifar", 313201664, 14715584, "BMPQ, arXiv 2112.13843"},
};

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
