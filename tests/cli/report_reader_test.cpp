#include "cli/report_reader.hpp"

#include <functional>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/report_json.hpp"
#include "models/base/error.hpp"
#include "tests/cli/sample_report.hpp"

using namespace widthwise;
using Json = nlohmann::ordered_json;

namespace {

/// What is wrong with the sample's report after `change`: "layers[0].macs: ..." per line, without
/// places.
std::string mistakes(const std::function<void(Json&)>& change) {
  Json json = Json::parse(json_report(sample_report()));
  change(json);
  try {
    parse_report(json.dump(1), "r.json");
    return "none";
  } catch (const InputError& error) {
    std::string text;
    for (const Diagnostic& diagnostic : error.diagnostics()) {
      CHECK(diagnostic.place.file == "r.json");
      CHECK(diagnostic.place.line > 0);
      text += (text.empty() ? "" : "\n") + diagnostic.key + ": " + diagnostic.message;
    }
    return text;
  }
}

}  // namespace

TEST_CASE("a report reads back as it was written") {
  CostReport report = sample_report();
  report.layers[0].phases = {{"load", Cycles(600)}, {"compute", Cycles(24'000)}};
  report.layers[0].energy.compute = Picojoules(0.1 + 0.2);
  report.layers[2].utilization = 1e-7;
  report.network = "r\u00e9seau \"1\"";
  report.assignment = "";
  const CostReport read = parse_report(json_report(report), "r.json");
  CHECK(json_report(read) == json_report(report));
  CHECK(read.accelerator == "tiny_array");
  CHECK(read.resolved_accelerator == report.resolved_accelerator);
  CHECK(read.layers[0].tile == report.layers[0].tile);
}

TEST_CASE("a report on one line reads as well") {
  const std::string line = Json::parse(json_report(sample_report())).dump();
  CHECK(json_report(parse_report(line, "r.json")) == json_report(sample_report()));
}

TEST_CASE("keys that a report does not have to have are passed over") {
  CHECK(mistakes([](Json& j) { j["more"] = 1; }) == "none");
  CHECK(mistakes([](Json& j) { j["layers"][0]["more"] = Json::array({1}); }) == "none");
}

TEST_CASE("what is no report of a run is refused") {
  CHECK(mistakes([](Json& j) { j["schema"] = "diff/1"; }) ==
        "schema: expected schema 'report/1', got 'diff/1'");
  CHECK(mistakes([](Json& j) { j.erase("schema"); }) ==
        ": missing key 'schema'; the file must start with 'schema: report/1'");
  CHECK(mistakes([](Json& j) { j = Json::array(); }) ==
        ": expected a mapping that starts with 'schema: report/1', got a list");
  CHECK_THROWS_WITH(parse_report("", "r.json"), Catch::Contains("r.json:1:1: error: expected a "));
  const std::string whole = json_report(sample_report());
  CHECK_THROWS_AS(parse_report(whole.substr(0, whole.size() / 2), "r.json"), InputError);
  CHECK_THROWS_AS(read_report("/nowhere/r.json"), InputError);
}

TEST_CASE("what is wrong with a report is named by its key, all at once") {
  CHECK(mistakes([](Json& j) { j.erase("network"); }) == ": missing key 'network'");
  CHECK(mistakes([](Json& j) { j["network"] = 5; }) == "network: expected text, got '5'");
  CHECK(mistakes([](Json& j) { j["assignment"] = nullptr; }) ==
        "assignment: expected text, got nothing");
  CHECK(mistakes([](Json& j) { j["fidelity"] = "exact"; }) ==
        "fidelity: expected one of 'analytic', 'tile', 'cycle', got 'exact'");
  CHECK(mistakes([](Json& j) { j["clock_hz"] = "fast"; }) ==
        "clock_hz: expected a number, at least 1, got 'fast'");
  CHECK(mistakes([](Json& j) { j["batch"] = 0; }) == "batch: expected at least 1, got 0");
  CHECK(mistakes([](Json& j) { j["layers"] = 1; }) ==
        "layers: expected a list of mappings, got '1'");
  CHECK(mistakes([](Json& j) { j["layers"][1] = "pool"; }) ==
        "layers[1]: expected a mapping, got 'pool'");
  CHECK(mistakes([](Json& j) { j["layers"][0].erase("macs"); }) == "layers[0]: missing key 'macs'");
  CHECK(mistakes([](Json& j) { j["layers"][0]["macs"] = 1.5; }) ==
        "layers[0].macs: expected a whole number, at least 0, got '1.5'");
  CHECK(mistakes([](Json& j) { j["layers"][0]["macs"] = "10"; }) ==
        "layers[0].macs: expected a whole number, at least 0, got '10'");
  CHECK(mistakes([](Json& j) { j["layers"][0]["macs"] = 9'007'199'254'740'993; }) ==
        "layers[0].macs: expected at least 0, got 9007199254740993");
  CHECK(mistakes([](Json& j) {
          j["layers"][0]["kind"] = "konvolution";
        }).ends_with("got 'konvolution'; did you mean 'convolution'?"));
  CHECK(mistakes([](Json& j) { j["layers"][0]["weight_bits"] = 65; }) ==
        "layers[0].weight_bits: expected 0..64, got 65");
  CHECK(mistakes([](Json& j) { j["layers"][0]["tiling"]["order"] = "abc"; }) ==
        "layers[0].tiling.order: expected one of 'mnk', 'nmk', 'mkn', 'nkm', 'kmn', 'knm', got "
        "'abc'");
  CHECK(mistakes([](Json& j) { j["layers"][2]["fused"] = Json::array({1}); }) ==
        "layers[2].fused[0]: expected text, got '1'");
  CHECK(mistakes([](Json& j) { j["layers"][0]["energy_pj"]["dram"] = -1; }) ==
        "layers[0].energy_pj.dram: expected at least 0, got -1");
  CHECK(mistakes([](Json& j) {
          j.erase("network");
          j["layers"][0]["cycles"].erase("busy");
          j["layers"][2]["energy_pj"] = nullptr;
          j["total"].erase("area_um2");
        }) ==
        ": missing key 'network'\n"
        "layers[0].cycles: missing key 'busy'\n"
        "layers[2].energy_pj: expected a mapping, got nothing\n"
        "total: missing key 'area_um2'");
}

TEST_CASE("cycles have to sum to the latency, and layers to the totals") {
  CHECK(mistakes([](Json& j) { j["layers"][0]["cycles"]["busy"] = 24'001; }) ==
        "layers[0].latency_cycles: expected the sum of its cycles, 30001, got 30000");
  CHECK(mistakes([](Json& j) { j["total"]["latency_cycles"] = 39'999; }) ==
        "total.latency_cycles: expected the sum over the layers, 40000, got 39999");
  CHECK(mistakes([](Json& j) { j["total"]["energy_pj"] = 1; }) ==
        "total.energy_pj: expected the sum over the layers, 20000000, got 1");
  CHECK(mistakes([](Json& j) {
          for (int i = 0; i < 1200; ++i) {
            j["layers"].push_back(j["layers"][0]);
            j["layers"].back()["macs"] = 9'007'199'254'740'992;
          }
        }) == "layers: the figures are too great to be added up");
}
