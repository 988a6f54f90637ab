// The shipped measured tables: they belong to their networks and have the published figures.
//
// HAWQ-V3: arXiv 2011.10680 and its repository. PrecisionBatching: arXiv 2003.00822 and its
// repository, whose figures tests/validation/precisionbatching_t4.csv has in seconds.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include <catch2/catch.hpp>

#include "models/network/network_yaml.hpp"
#include "models/table/table_csv.hpp"
#include "models/table/table_model.hpp"

using namespace widthwise;

namespace {

const std::string kSource = WIDTHWISE_SOURCE_DIR;

CostTable shipped(const std::string& name) {
  return read_cost_table(kSource + "/workloads/tables/" + name + ".csv");
}

Network workload(const std::string& name) {
  return read_network(kSource + "/workloads/" + name + ".yaml");
}

std::vector<std::string> shipped_names() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(kSource + "/workloads/tables")) {
    names.push_back(file.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Latency of the whole network where layer i has the i-th width for both operands.
double latency(TableCostModel& model, const Network& network,
               const std::vector<std::pair<std::string, LayerWidths>>& widths) {
  std::vector<LayerPoint> points;
  for (const auto& [name, of_layer] : widths) {
    LayerPoint point;
    point.layer = network.find_layer(name).value();
    point.widths = of_layer;
    points.push_back(point);
  }
  return total_cost(model, points).at(metric_index(model.metrics(), "latency_ms"));
}

struct HawqLayer {
  const char* name;
  std::int64_t macs, weights;  // as the repository of HAWQ-V3 counts them
};

/// In the order of the repository's arrays.
constexpr HawqLayer kHawqLayers[] = {
    {"layer1.0.conv1", 115605504, 36864},       {"layer1.0.conv2", 115605504, 36864},
    {"layer1.1.conv1", 115605504, 36864},       {"layer1.1.conv2", 115605504, 36864},
    {"layer2.0.conv1", 57802752, 73728},        {"layer2.0.conv2", 115605504, 147456},
    {"layer2.0.downsample.0", 6422528, 8192},   {"layer2.1.conv1", 115605504, 147456},
    {"layer2.1.conv2", 115605504, 147456},      {"layer3.0.conv1", 57802752, 294912},
    {"layer3.0.conv2", 115605504, 589824},      {"layer3.0.downsample.0", 6422528, 32768},
    {"layer3.1.conv1", 115605504, 589824},      {"layer3.1.conv2", 115605504, 589824},
    {"layer4.0.conv1", 57802752, 1179648},      {"layer4.0.conv2", 115605504, 2359296},
    {"layer4.0.downsample.0", 6422528, 131072}, {"layer4.1.conv1", 115605504, 2359296},
    {"layer4.1.conv2", 115605504, 2359296}};
constexpr std::size_t kHawqCount = std::size(kHawqLayers);

}  // namespace

TEST_CASE(
    "every shipped table names its network, source and fidelity, and belongs to the network") {
  const std::vector<std::string> names = shipped_names();
  CHECK(names == std::vector<std::string>{"cutlass_lm_t4", "cutlass_mlp_t4", "hawqv3_resnet18_t4",
                                          "pbatch_lm_t4", "pbatch_mlp_t4"});
  for (const std::string& name : names) {
    INFO(name);
    const CostTable table = shipped(name);
    CHECK(table.said("fidelity") == "measured");
    CHECK(table.said("source"));
    CHECK(table.said("measured"));
    CHECK(table.said("not_known"));
    CHECK(table.metrics == std::vector<std::string>{"latency_ms"});
    REQUIRE(table.said("network"));
    CHECK_NOTHROW(TableCostModel(workload(*table.said("network")), table));
  }
}

TEST_CASE("shipped tables stand in the form that tables are written in") {
  for (const std::string& name : shipped_names()) {
    INFO(name);
    const CostTable table = shipped(name);
    std::ifstream stream(table.source);
    std::stringstream text;
    text << stream.rdbuf();
    CHECK(cost_table_csv(table) == text.str());
  }
}

TEST_CASE("HAWQ-V3's layers are those of ResNet-18 by MACs and weights, in their order") {
  const Network network = workload("resnet18");
  const CostTable table = shipped("hawqv3_resnet18_t4");
  REQUIRE(table.layers.size() == kHawqCount);
  for (std::size_t i = 0; i < kHawqCount; ++i) {
    INFO(kHawqLayers[i].name);
    CHECK(table.layers[i] == kHawqLayers[i].name);
    CHECK(table.kinds[i] == "convolution");
    const auto id = network.find_layer(table.layers[i]);
    REQUIRE(id);
    CHECK(network.layers()[*id].macs() == kHawqLayers[i].macs);
    CHECK(network.layers()[*id].weights == kHawqLayers[i].weights);
  }
  CHECK(table.leaves_out == std::vector<std::string>{"conv1", "fc"});
  TableCostModel model(network, table);
  CHECK(model.unpriced() == std::vector<std::string>{"conv1", "maxpool", "layer1.0.add",
                                                     "layer1.1.add", "layer2.0.add", "layer2.1.add",
                                                     "layer3.0.add", "layer3.1.add", "layer4.0.add",
                                                     "layer4.1.add", "avgpool", "fc"});
}

TEST_CASE("HAWQ-V3's latencies of ResNet-18 are those of its repository") {
  const Network network = workload("resnet18");
  TableCostModel model(network, shipped("hawqv3_resnet18_t4"));
  const auto at = [&](const std::string& bits) {  // one digit per layer
    std::vector<std::pair<std::string, LayerWidths>> widths;
    for (std::size_t i = 0; i < kHawqCount; ++i) {
      const int width = bits.at(i) - '0';
      widths.emplace_back(kHawqLayers[i].name, LayerWidths{width, width});
    }
    return Approx(latency(model, network, widths)).epsilon(1e-12);
  };
  CHECK(3.14867227 == at(std::string(kHawqCount, '4')));
  CHECK(5.34368732 == at(std::string(kHawqCount, '8')));
  // Published assignments for three quarters, half and a quarter of the model size, the BitOPs and
  // the latency between the two.
  CHECK(5.05505399 == at("8888888888888488884"));
  CHECK(4.89067271 == at("8888888888888884844"));
  CHECK(4.80028515 == at("8888888888888844444"));
  CHECK(4.70630924 == at("8888888848888484884"));
  CHECK(4.23384561 == at("8884888848884444444"));
  CHECK(3.61470712 == at("8884848444444444444"));
  CHECK(4.22009509 == at("8888848848884484844"));
}

TEST_CASE("PrecisionBatching's tables have its measured times") {
  // network, weight and activation bits -> seconds
  std::map<std::tuple<std::string, int, int>, double> seconds;
  std::ifstream stream(kSource + "/tests/validation/precisionbatching_t4.csv");
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with('#') || line.starts_with("network,")) continue;
    std::istringstream fields(line);
    std::string network, weight, activation, time;
    std::getline(fields, network, ',');
    std::getline(fields, weight, ',');
    std::getline(fields, activation, ',');
    std::getline(fields, time, ',');
    seconds[{network, std::stoi(weight), std::stoi(activation)}] = std::stod(time);
  }
  REQUIRE(seconds.size() == 18);
  for (const auto& [name, key] : {std::pair{"pbatch_mlp_t4", "mnist"}, {"pbatch_lm_t4", "lm"}}) {
    INFO(name);
    const CostTable table = shipped(name);
    CHECK(table.layers == std::vector<std::string>{"*"});
    REQUIRE(table.rows.size() == 9);
    for (const TableRow& row : table.rows) {
      const auto w = static_cast<int>(row.at[index_of(Axis::weight_bits)]);
      const auto a = static_cast<int>(row.at[index_of(Axis::activation_bits)]);
      INFO("w" << w << "a" << a);
      CHECK(row.values.at(0) == Approx(1000 * seconds.at({key, w, a})).epsilon(1e-12));
    }
  }
}

TEST_CASE("a table of a whole network serves its network at uniform widths, wide ones too") {
  const Network mlp = workload("pbatch_mlp");
  const auto all = [&](LayerWidths widths) {
    std::vector<std::pair<std::string, LayerWidths>> layers;
    for (const Layer& layer : mlp.layers()) layers.emplace_back(layer.name, widths);
    return layers;
  };
  TableCostModel pbatch(mlp, shipped("pbatch_mlp_t4"));
  CHECK(latency(pbatch, mlp, all({1, 16})) == 8.429);
  CHECK(latency(pbatch, mlp, all({4, 8})) == 15.071);
  CHECK(latency(pbatch, mlp, all({8, 32})) == 41.513);
  CHECK_THROWS_WITH(latency(pbatch, mlp, all({2, 8})),
                    Catch::EndsWith("error: fc1: expected weight_bits of 1, 4, 8, got 2"));

  // CUTLASS has one width for both operands.
  TableCostModel cutlass(mlp, shipped("cutlass_mlp_t4"));
  CHECK(latency(cutlass, mlp, all({4, 4})) == 19.495);
  CHECK(latency(cutlass, mlp, all({4, 8})) == 24.866);
  CHECK(latency(cutlass, mlp, all({32, 16})) == 189.317);

  const Network lstm = workload("pbatch_lstm_2048");
  TableCostModel language_model(lstm, shipped("cutlass_lm_t4"));
  CHECK(latency(language_model, lstm, {{"lstm/input", {16, 16}}, {"lstm/recurrent", {16, 16}}}) ==
        281.656);
}

TEST_CASE("the tables in the document of file formats are tables") {
  std::ifstream stream(kSource + "/docs/file_formats.md");
  std::stringstream text;
  text << stream.rdbuf();
  const std::string document = text.str();
  const std::string fence = "```\n";
  std::size_t examples = 0;
  for (std::size_t at = document.find("## Cost tables\n"); at < document.size();) {
    const std::size_t begin = document.find(fence, at);
    if (begin == std::string::npos) break;
    const std::size_t end = document.find(fence, begin + fence.size());
    REQUIRE(end != std::string::npos);
    const std::string example = document.substr(begin + fence.size(), end - begin - fence.size());
    CHECK_NOTHROW(parse_cost_table(example, "docs/file_formats.md"));
    ++examples;
    at = end + fence.size();
  }
  CHECK(examples == 2);
}
