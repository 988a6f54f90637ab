// Losses from files: what each rule makes of its figures, and what is refused with which message.
#include "search/sensitivity.hpp"

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"
#include "models/network/network_yaml.hpp"
#include "models/table/table_csv.hpp"
#include "tests/config/reading.hpp"

using namespace widthwise;

namespace {

const std::string kSource = WIDTHWISE_SOURCE_DIR;

/// Three layers with multiply-accumulates: two with weights, and a product of activations.
Network small_network() {
  return parse_network(R"(schema: network/1
name: small
inputs: {x: [1, 4, 4]}
layers:
  - {name: first, kind: fully_connected, out_features: 4, activation: relu}
  - {name: second, kind: fully_connected, inputs: [first], out_features: 4}
  - {name: product, kind: matmul, inputs: [first, second]}
)",
                       "small.yaml");
}

/// Losses of a file with this text; messages name it "f.csv".
class FileLosses {
 public:
  explicit FileLosses(LossRule rule) { request.rule = rule; }

  CostTable of(const std::string& text) {
    request.file = folder_.write("f.csv", text);
    return losses(small_network(), nullptr, request);
  }

  std::string complaint(const std::string& text) {
    std::string all = complaints([&] { of(text); });
    const std::string path = folder_.path() + "/";
    for (std::size_t at = all.find(path); at != std::string::npos; at = all.find(path)) {
      all.erase(at, path.size());
    }
    return all;
  }

  SensitivityRequest request;

 private:
  TemporaryFolder folder_{"sensitivity_test"};
};

using Place = std::pair<int, int>;  // weight and activation bits

std::map<Place, double> of_layer(const CostTable& table, const std::string& layer) {
  std::map<Place, double> losses;
  for (const TableRow& row : table.rows) {
    if (table.layers[row.layer] != layer) continue;
    losses[{static_cast<int>(row.at[index_of(Axis::weight_bits)]),
            static_cast<int>(row.at[index_of(Axis::activation_bits)])}] = row.values.front();
  }
  return losses;
}

void check_close(const std::map<Place, double>& found, const std::map<Place, double>& expected) {
  REQUIRE(found.size() == expected.size());
  for (const auto& [place, value] : expected) {
    INFO("w" << place.first << "a" << place.second);
    REQUIRE(found.count(place) == 1);
    CHECK(found.at(place) == Approx(value).margin(1e-15));
  }
}

}  // namespace

TEST_CASE("rules, calibrations and the like are called by name") {
  for (const std::string name :
       {"quantization_error", "hessian_trace", "learned_scales", "orthogonality", "measured"}) {
    CHECK(to_string(parse_loss_rule(name)) == name);
  }
  for (const std::string name : {"max_abs", "mean_square", "percentile"}) {
    CHECK(to_string(parse_calibration(name)) == name);
  }
  CHECK(parse_granularity("per_channel") == Granularity::per_channel);
  CHECK(parse_weighting("macs") == Weighting::macs);
  CHECK(parse_decay("noise") == Decay::noise);
  CHECK(complaints([] { parse_loss_rule("hesian_trace"); }) ==
        "error: rule: expected one of 'quantization_error', 'hessian_trace', 'learned_scales', "
        "'orthogonality', 'measured', got 'hesian_trace'; did you mean 'hessian_trace'?");
}

TEST_CASE("a rule says what it lacks before it reads a file") {
  SensitivityRequest request;
  request.beta = -1;
  request.weight_bits = {4, 2};
  CHECK(complaints([&] { losses(small_network(), nullptr, request); }) ==
        "error: weight_bits: expected widths of 1..16 in ascending order, got 2\n"
        "error: activation_bits: expected the widths that the rule 'quantization_error' is to be "
        "computed at\n"
        "error: beta: expected a number of at least 0");
  request = {};
  request.weight_bits = request.activation_bits = {2, 4};
  CHECK(complaints([&] { losses(small_network(), nullptr, request); }) ==
        "error: rule: expected an ONNX file, which the rule 'quantization_error' takes the weights "
        "from; this network has no values");
  request.file = "f.csv";
  CHECK(complaints([&] { losses(small_network(), nullptr, request); }) ==
        "error: file: expected no file for the rule 'quantization_error', got 'f.csv'");
  request.file.clear();
  request.rule = LossRule::measured;
  CHECK(complaints([&] { losses(small_network(), nullptr, request); }) ==
        "error: file: expected a CSV file for the rule 'measured', got none");
}

TEST_CASE("the trace counts the squared change of the weights, activations as wide as them") {
  FileLosses file(LossRule::hessian_trace);
  const std::string text =
      "# source: by hand\n"
      "# leaves_out: product\n"
      "layer,weight_bits,trace,delta_squared\n"
      "second,4,0.5,3\n"
      "first,4,2,1.5\n"
      "first,8,2,0.25\n"
      "second,8,0.5,0\n";
  const CostTable table = file.of(text);
  CHECK(table.layers == std::vector<std::string>{"first", "second"});
  CHECK(table.leaves_out == std::vector<std::string>{"product"});
  CHECK(table.metrics == std::vector<std::string>{"loss"});
  CHECK(table.said("rule") == "hessian_trace");
  CHECK(table.said("source") == "by hand");
  check_close(of_layer(table, "first"), {{{4, 4}, 3}, {{8, 8}, 0.5}});
  check_close(of_layer(table, "second"), {{{4, 4}, 1.5}, {{8, 8}, 0}});

  SECTION("or at all widths of activations that are asked for, which change nothing") {
    file.request.weight_bits = {8};
    file.request.activation_bits = {2, 4};
    check_close(of_layer(file.of(text), "first"), {{{8, 2}, 0.5}, {{8, 4}, 0.5}});
  }
  SECTION("and what is asked for has to be there") {
    file.request.weight_bits = {2, 8};
    CHECK(file.complaint(text) ==
          "f.csv: error: first: expected a row at 2 bits of weights, got none\n"
          "f.csv: error: second: expected a row at 2 bits of weights, got none");
  }
}

TEST_CASE("traces alone need widths and weights") {
  FileLosses file(LossRule::hessian_trace);
  const std::string text = "# leaves_out: product\nlayer,trace\nfirst,1\nsecond,2\n";
  CHECK(file.complaint(text) ==
        "error: weight_bits: expected the widths that the weights are to be quantized to");
  file.request.weight_bits = {4};
  CHECK(file.complaint(text) ==
        "error: rule: expected an ONNX file, which the rule 'hessian_trace' takes the weights "
        "from; this network has no values");
}

TEST_CASE("mistakes in a file of traces are reported at once, where they stand") {
  FileLosses file(LossRule::hessian_trace);
  CHECK(
      file.complaint("# what is this\n"
                     "layer,weight_bits,trace,delta_squared\n"
                     "firs,4,1,1\n"
                     "first,4,-1,nan\n"
                     "\"second\",17,1,1\n"
                     "product,4,1,1\n"
                     "second,4,1\n"
                     "second,4,1,1\n"
                     "second,5,2,1\n"
                     "second,4,1,1\n"
                     "se\"cond,5,1,1\n") ==
      "f.csv:1:1: error: expected '# key: value' with a key of lower-case letters, digits and "
      "'_', got '# what is this'\n"
      "f.csv:3:1: error: layer: expected a layer of small, got 'firs'; did you mean 'first'?\n"
      "f.csv:4:9: error: trace: expected a number of at least 0, got '-1'\n"
      "f.csv:4:12: error: delta_squared: expected a number of at least 0, got 'nan'\n"
      "f.csv:5:10: error: weight_bits: expected a whole number of 1..16, got '17'\n"
      "f.csv:6:11: error: product: expected a layer with weights; name this one in leaves_out and "
      "pin it\n"
      "f.csv:7:1: error: expected 4 fields as in the header, got 3\n"
      "f.csv:9:10: error: trace: expected 1 as in line 8, got '2'\n"
      "f.csv:10:1: error: weight_bits: expected each width of a layer once, got 4 again\n"
      "f.csv:11:1: error: expected a quote only around a whole field, with doubled ones inside");
  CHECK(file.complaint("layer,trase\nfirst,1\n") ==
        "f.csv: error: second: expected rows of this layer of small, got none; leaves_out names "
        "what was not measured\n"
        "f.csv: error: product: expected rows of this layer of small, got none; leaves_out names "
        "what was not measured\n"
        "f.csv:1:1: error: trace: expected this column, got none\n"
        "f.csv:1:7: error: trase: expected one of the columns 'layer', 'trace'; did you mean "
        "'trace'?");
  file.request.weight_bits = {4};
  CHECK(file.complaint("# leaves_out: product\nlayer,trace\nfirst,1\nsecond,1\nfirst,2\n") ==
        "f.csv:5:1: error: layer: expected each once, got that of line 3 again");
}

TEST_CASE("a file about layers has a header, rows and each column once") {
  FileLosses file(LossRule::hessian_trace);
  file.request.weight_bits = {4};
  CHECK(file.complaint("# leaves_out: product\n") ==
        "f.csv:2:1: error: expected a header such as 'layer,trace', got the end of the file");
  CHECK(file.complaint("layer,trace,trace\nfirst,1,1\n") ==
        "f.csv:1:13: error: trace: expected each column once, got it again");
  CHECK(file.complaint("name,trace\nfirst,1\n") ==
        "f.csv:1:1: error: layer: expected this column, got none");
  CHECK(file.complaint("# leaves_out: first, second, product\nlayer,trace\n") ==
        "f.csv:3:1: error: expected rows below the header, got the end of the file");
  CHECK(file.complaint("# leaves_out: product, prodct\nlayer,trace\nfirst,1\nsecond,1\n# more: "
                       "1\n") ==
        "f.csv: error: leaves_out: expected a layer of small, got 'prodct'; did you mean "
        "'product'?\n"
        "f.csv:5:1: error: expected lines of provenance only before the header, got '# more: 1'");
}

TEST_CASE("lines may end in CRLF, fields be quoted and a byte order mark come first") {
  FileLosses file(LossRule::orthogonality);
  file.request.weight_bits = file.request.activation_bits = {4};
  file.request.beta = 0;
  const CostTable table = file.of(
      "\xEF\xBB\xBF# note: a, b\r\nlayer,\"orm_sum\"\r\n\"first\",1\r\nsecond,2\r\nproduct,3\r\n");
  CHECK(table.said("note") == "a, b");
  CHECK(table.rows.size() == 3);
}

TEST_CASE("learned scales: alpha times that of the weights and that of the activations") {
  FileLosses file(LossRule::learned_scales);
  const std::string text =
      "layer,weight_bits,activation_bits,weight_scale,activation_scale\n"
      "first,2,2,0.5,0.25\n"
      "first,4,4,0.125,0.0625\n"
      "second,2,2,1,2\n"
      "second,4,4,0.5,1\n"
      "product,2,2,8,4\n"
      "product,4,4,2,1\n";
  const CostTable table = file.of(text);
  CHECK(table.said("alpha") == "2");
  // All pairs, though the file has equal widths only; a layer without weights has no others.
  check_close(of_layer(table, "first"), {{{2, 2}, 2 * 0.5 + 0.25},
                                         {{2, 4}, 2 * 0.5 + 0.0625},
                                         {{4, 2}, 2 * 0.125 + 0.25},
                                         {{4, 4}, 2 * 0.125 + 0.0625}});
  check_close(of_layer(table, "product"), {{{2, 2}, 2 * 8 + 4}, {{4, 4}, 2 * 2 + 1}});

  SECTION("with another alpha, at the widths that are asked for") {
    file.request.alpha = 1;
    file.request.weight_bits = {4};
    check_close(of_layer(file.of(text), "second"), {{{4, 2}, 0.5 + 2}, {{4, 4}, 0.5 + 1}});
  }
  SECTION("which the file has to have") {
    file.request.activation_bits = {1, 4};
    CHECK(file.complaint("# leaves_out: second, product\n" + text.substr(0, text.find("second"))) ==
          "f.csv: error: first: expected a row at 1 bit of activations, got none");
  }
}

TEST_CASE("a scale that differs between rows of the same width is refused") {
  FileLosses file(LossRule::learned_scales);
  CHECK(file.complaint("# leaves_out: second\n"
                       "layer,weight_bits,activation_bits,weight_scale,activation_scale\n"
                       "first,2,2,0.5,0.25\n"
                       "first,2,4,0.75,0.125\n"
                       "first,4,4,0.5,0.25\n"
                       "product,4,4,1,1\n") ==
        "f.csv:4:1: error: weight_scale: expected 0.5 as in line 3 at the same width, got 0.75\n"
        "f.csv:5:1: error: activation_scale: expected 0.125 as in line 4 at the same width, got "
        "0.25");
}

TEST_CASE("orthogonality: importance is the mean over a layer and all that follow") {
  FileLosses file(LossRule::orthogonality);
  file.request.weight_bits = {2, 4};
  file.request.activation_bits = {3, 8};
  file.request.beta = 2;
  const double first = std::exp(-2 * 0.5);
  const double second = std::exp(-2 * 0.75);
  const double product = std::exp(-2 * 0.25);
  const std::string text = "layer,orm_sum\nproduct,0.25\nfirst,0.5\nsecond,0.75\n";
  const double mean = (first + second + product) / 3;
  SECTION("it falls by as much with every bit") {
    const CostTable table = file.of(text);
    check_close(of_layer(table, "first"),
                {{{2, 3}, mean * (2 + 5)}, {{2, 8}, mean * 2}, {{4, 3}, mean * 5}, {{4, 8}, 0}});
    check_close(of_layer(table, "second"), {{{2, 3}, (second + product) / 2 * 7},
                                            {{2, 8}, (second + product) / 2 * 2},
                                            {{4, 3}, (second + product) / 2 * 5},
                                            {{4, 8}, 0}});
    check_close(of_layer(table, "product"), {{{3, 3}, product * 10}, {{8, 8}, 0}});
  }
  SECTION("or to a quarter") {
    file.request.decay = Decay::noise;
    const CostTable table = file.of(text);
    CHECK(table.said("decay") == "noise");
    CHECK(of_layer(table, "first").at({2, 3}) == Approx(mean * (1.0 / 16 + 1.0 / 64)));
    CHECK(of_layer(table, "product").at({3, 3}) == Approx(product * 2 / 64));
  }
  SECTION("the sums may be those of a matrix, without its diagonal") {
    const CostTable of_sums = file.of(text);
    const CostTable of_matrix = file.of(
        "layer,second,first,product\n"
        "first,0.5,1,0\n"
        "second,1,0.5,0.25\n"
        "product,0.25,0,1\n");
    for (const std::string layer : {"first", "second", "product"}) {
      check_close(of_layer(of_matrix, layer), of_layer(of_sums, layer));
    }
  }
}

TEST_CASE("a matrix of orthogonality is square, symmetric, of 0..1 and has 1 on its diagonal") {
  FileLosses file(LossRule::orthogonality);
  file.request.weight_bits = file.request.activation_bits = {4};
  const std::string left_out = "# leaves_out: product\n";
  CHECK(file.complaint(left_out + "layer,first,secnd\nfirst,1,0\nsecond,0,1\n") ==
        "f.csv:2:13: error: secnd: expected 'orm_sum' or the name of a row as the name of a "
        "column; did you mean 'second'?\n"
        "f.csv:4:1: error: second: expected a column of this layer too, the matrix being square");
  CHECK(file.complaint(left_out + "layer,first,second\nfirst,0.9,1.5\nsecond,x,1\n") ==
        "f.csv:3:7: error: first: expected 1 on the diagonal, got '0.9'\n"
        "f.csv:3:11: error: second: expected a number of 0..1, got '1.5'\n"
        "f.csv:4:8: error: first: expected a number of 0..1, got 'x'");
  CHECK(file.complaint(left_out + "layer,first,second\nfirst,1,0.5\nsecond,0.25,1\n") ==
        "f.csv:4:8: error: first: expected a symmetric matrix with 0.5 as in line 3, got '0.25'");
  CHECK(file.complaint(left_out + "layer,orm_sum\nfirst,1\nsecond,0\nfirst,1\n") ==
        "f.csv:5:1: error: layer: expected each once, got that of line 3 again");
}

TEST_CASE("measured losses are taken as they stand and can be saved and read again") {
  FileLosses file(LossRule::measured);
  const std::string text =
      "# network: small\n# source: by hand\n# leaves_out: second\n"
      "layer,weight_bits,activation_bits,loss\n"
      "first,4,8,0.5\nfirst,8,2,0\nproduct,4,4,1e-9\n";
  const CostTable table = file.of(text);
  check_close(of_layer(table, "first"), {{{4, 8}, 0.5}, {{8, 2}, 0}});
  CHECK(table.said("rule") == "measured");
  CHECK(cost_table_csv(file.of(cost_table_csv(table))) == cost_table_csv(table));
}

TEST_CASE("a table of losses has losses by layer and nothing else") {
  FileLosses file(LossRule::measured);
  CHECK(file.complaint("layer,weight_bits,activation_bits,losses\nfirst,4,4,1\nproduct,4,8,1\n") ==
        "f.csv: error: loss: expected this column, got none\n"
        "f.csv: error: losses: expected no columns of figures but 'loss'; did you mean 'loss'?\n"
        "f.csv: error: second: expected rows of this layer of small, got none; leaves_out names "
        "what was not measured\n"
        "f.csv:3:1: error: product: expected equal widths of a layer without weights, got 4 and 8");
  CHECK(file.complaint("layer,weight_bits,activation_bits,loss\n*,4,4,1\n") ==
        "f.csv: error: layer: expected losses by layer, got those of the whole network");
  CHECK(file.complaint(
            "layer,weight_bits,activation_bits,stored_output_bits,loss\nfirst,4,4,4,1\nsecond,4,4,"
            "4,1\nproduct,4,4,4,1\n") ==
        "f.csv: error: stored_output_bits: expected no columns of widths but 'weight_bits' and "
        "'activation_bits'");
}

TEST_CASE("layers without multiply-accumulates have no losses") {
  const Network network = read_network(kSource + "/workloads/tiny_cnn.yaml");
  TemporaryFolder folder("sensitivity_pool");
  std::string text = "layer,weight_bits,activation_bits,loss\n";
  std::string pool;
  for (const Layer& layer : network.layers()) {
    if (!layer.compute && !pool.empty()) continue;
    if (!layer.compute) pool = layer.name;
    text += layer.name + ",4,4,1\n";
  }
  SensitivityRequest request;
  request.rule = LossRule::measured;
  request.file = folder.write("f.csv", text);
  REQUIRE(!pool.empty());
  CHECK_THAT(complaints([&] { losses(network, nullptr, request); }),
             Catch::Contains("error: layer: expected a layer with multiply-accumulates, got '" +
                             pool + "'"));
}

TEST_CASE("HAWQ-V3's losses of ResNet18 are those of its arrays and give its objectives") {
  // arXiv 2011.10680 and its repository: average traces, squared changes at 4 and 8 bits.
  struct Published {
    const char* layer;
    const char* trace;
    const char* at_4;
    const char* at_8;
  };
  constexpr Published kPublished[] = {
      {"layer1.0.conv1", "0.06857826", "6.743", "0.0235"},
      {"layer1.0.conv2", "0.03162379", "3.9691", "0.0125"},
      {"layer1.1.conv1", "0.03298575", "3.3281", "0.0102"},
      {"layer1.1.conv2", "0.01205663", "2.6796", "0.0082"},
      {"layer2.0.conv1", "0.02222431", "4.7277", "0.0145"},
      {"layer2.0.conv2", "0.00596336", "10.5966", "0.0344"},
      {"layer2.0.downsample.0", "0.06931772", "0.6827", "0.0023"},
      {"layer2.1.conv1", "0.00807129", "9.0942", "0.0287"},
      {"layer2.1.conv2", "0.00372905", "4.8857", "0.0148"},
      {"layer3.0.conv1", "0.00530698", "10.7599", "0.0333"},
      {"layer3.0.conv2", "0.00209011", "21.7546", "0.0682"},
      {"layer3.0.downsample.0", "0.00737569", "0.8603", "0.0027"},
      {"layer3.1.conv1", "0.00210454", "14.5324", "0.0448"},
      {"layer3.1.conv2", "0.00151197", "10.9651", "0.0336"},
      {"layer4.0.conv1", "0.00158041", "18.7706", "0.0576"},
      {"layer4.0.conv2", "0.00078146", "36.4044", "0.113"},
      {"layer4.0.downsample.0", "0.00451841", "3.1572", "0.0102"},
      {"layer4.1.conv1", "0.00098745", "29.6994", "0.0947"},
      {"layer4.1.conv2", "0.00072944", "17.4016", "0.0532"},
  };
  const Network network = read_network(kSource + "/workloads/resnet18.yaml");
  SensitivityRequest request;
  request.rule = LossRule::measured;
  request.file = kSource + "/workloads/sensitivities/hawqv3_resnet18.csv";
  const CostTable shipped = losses(network, nullptr, request);
  CHECK(shipped.leaves_out == std::vector<std::string>{"conv1", "fc"});
  CHECK(shipped.said("source").has_value());

  TemporaryFolder folder("sensitivity_hawq");
  std::string text = "# leaves_out: conv1, fc\nlayer,weight_bits,trace,delta_squared\n";
  for (const Published& row : kPublished) {
    text += std::string(row.layer) + ",4," + row.trace + "," + row.at_4 + "\n";
    text += std::string(row.layer) + ",8," + row.trace + "," + row.at_8 + "\n";
  }
  request.rule = LossRule::hessian_trace;
  request.file = folder.write("f.csv", text);
  const CostTable computed = losses(network, nullptr, request);
  CHECK(computed.layers == shipped.layers);
  std::vector<std::map<Place, double>> by_layer;
  for (const Published& row : kPublished) {
    INFO(row.layer);
    by_layer.push_back(of_layer(shipped, row.layer));
    check_close(of_layer(computed, row.layer), by_layer.back());
  }

  // Published widths (modelsize 0.75, bops 0.5, latency 0.5) and their sums of losses.
  const std::vector<std::pair<std::string, double>> answers = {
      {"8888888888888488884", 0.033440591234},
      {"8884888848884444444", 0.215689323024},
      {"8888848848884484844", 0.20267379403400004}};
  for (const auto& [widths, sum] : answers) {
    double found = 0;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const int bits = widths[i] - '0';
      found += by_layer[i].at({bits, bits});
    }
    CHECK(found == Approx(sum).epsilon(1e-9));
  }
}
