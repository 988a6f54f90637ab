#include "cli/report_json.hpp"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "tests/cli/sample_report.hpp"

using namespace widthwise;
using Json = nlohmann::ordered_json;

namespace {

Json sample_json() { return Json::parse(json_report(sample_report())); }

std::vector<std::string> keys_of(const Json& json) {
  std::vector<std::string> keys;
  for (const auto& item : json.items()) {
    keys.push_back(item.key());
  }
  return keys;
}

}  // namespace

TEST_CASE("the JSON report has its keys in a fixed order") {
  const Json json = sample_json();
  CHECK(json["schema"] == "report/1");
  CHECK(keys_of(json) == std::vector<std::string>{"schema", "accelerator", "network", "assignment",
                                                  "fidelity", "clock_hz", "batch", "layers",
                                                  "total", "ignored", "leaves_out"});
  CHECK(keys_of(json["layers"][0]) == std::vector<std::string>{"name",
                                                               "kind",
                                                               "macs",
                                                               "weight_bits",
                                                               "activation_bits",
                                                               "computed_weight_bits",
                                                               "computed_activation_bits",
                                                               "stored_input_bits",
                                                               "stored_output_bits",
                                                               "accumulator_bits",
                                                               "safe_accumulator_bits",
                                                               "latency_cycles",
                                                               "cycles",
                                                               "utilization",
                                                               "bottleneck",
                                                               "dram_read_bytes",
                                                               "dram_write_bytes",
                                                               "bitops",
                                                               "parameter_bits",
                                                               "tiling",
                                                               "energy_pj",
                                                               "numerics",
                                                               "fused"});
  CHECK(keys_of(json["total"]) ==
        std::vector<std::string>{"latency_cycles", "latency_s", "cycles", "bottleneck", "energy_pj",
                                 "energy_by_component_pj", "edp_js", "macs", "bitops",
                                 "weight_bytes", "dram_read_bytes", "dram_write_bytes",
                                 "dram_bytes", "frames_per_s", "tops_per_w", "area_um2"});
}

TEST_CASE("every figure of a layer reads back from the JSON report") {
  const CostReport report = sample_report();
  const Json json = sample_json();
  REQUIRE(json["layers"].size() == report.layers.size());
  for (std::size_t i = 0; i < report.layers.size(); ++i) {
    const LayerCost& layer = report.layers[i];
    const Json& read = json["layers"][i];
    CHECK(read["name"] == layer.name);
    CHECK(read["kind"] == std::string(to_string(layer.kind)));
    CHECK(read["macs"] == layer.macs);
    CHECK(read["weight_bits"] == layer.widths.weight);
    CHECK(read["activation_bits"] == layer.widths.activation);
    CHECK(read["computed_weight_bits"] == layer.computed.weight);
    CHECK(read["stored_input_bits"] == layer.stored_input);
    CHECK(read["stored_output_bits"] == layer.stored_output);
    CHECK(read["accumulator_bits"] ==
          (layer.accumulator_bits ? Json(*layer.accumulator_bits) : Json(nullptr)));
    CHECK(read["safe_accumulator_bits"] ==
          (layer.safe_accumulator_bits ? Json(*layer.safe_accumulator_bits) : Json(nullptr)));
    CHECK(read["latency_cycles"] == layer.latency.count());
    CHECK(read["cycles"]["busy"] == layer.cycles.busy.count());
    CHECK(read["cycles"]["stall_weight"] == layer.cycles.stall_weight.count());
    CHECK(read["utilization"].get<double>() == layer.utilization);
    CHECK(read["dram_read_bytes"] == layer.activity.dram_read.count());
    CHECK(read["dram_write_bytes"] == layer.activity.dram_write.count());
    CHECK(read["energy_pj"]["dram"].get<double>() == layer.energy.dram.count());
    CHECK(read["bottleneck"] == layer.bottleneck);
    CHECK(read["numerics"].is_null() == !layer.numerics);
    CHECK(read["fused"].get<std::vector<std::string>>() == layer.fused);
  }
  CHECK(json["layers"][2]["numerics"] ==
        Json::parse(R"({"outputs":1000,"wrong_outputs":3,"overflows":4,"least":-70000,
                        "greatest":65000,"weights":"network"})"));
  CHECK(json["layers"][0]["tiling"] ==
        Json::parse(R"({"batch":1,"out_h":14,"out_w":28,"out_channels":64,"in_channels":32,
                        "groups":1,"order":"nmk","tiles":12})"));
  CHECK(json["layers"][1]["tiling"].is_null());
}

TEST_CASE("in the JSON report parts sum to their layers and layers to the total") {
  const Json json = sample_json();
  std::int64_t latency = 0;
  double energy = 0;
  std::int64_t dram = 0;
  for (const Json& layer : json["layers"]) {
    std::int64_t cycles = 0;
    for (const Json& part : layer["cycles"]) {
      cycles += part.get<std::int64_t>();
    }
    CHECK(cycles == layer["latency_cycles"]);
    latency += cycles;
    for (const Json& part : layer["energy_pj"]) {
      energy += part.get<double>();
    }
    dram += layer["dram_read_bytes"].get<std::int64_t>() +
            layer["dram_write_bytes"].get<std::int64_t>();
  }
  const Json& total = json["total"];
  CHECK(total["latency_cycles"] == latency);
  CHECK(total["energy_pj"].get<double>() == Approx(energy));
  CHECK(total["dram_bytes"] == dram);
  CHECK(total["latency_s"].get<double>() == Approx(80e-6));
  CHECK(total["edp_js"].get<double>() == Approx(20e-6 * 80e-6));
  CHECK(total["frames_per_s"].get<double>() == Approx(12500));
  CHECK(total["area_um2"] ==
        Json::parse(R"({"array":600000.0,"input_buffer":100000.0,"weight_buffer":200000.0,
                        "output_buffer":50000.0,"scratchpad":0.0,"post":50000.0,
                        "total":1000000.0})"));
  CHECK(total["tops_per_w"].get<double>() == Approx(2 * 1.01e6 / 20e-6 / 1e12));
  CHECK(total["weight_bytes"] == (27'648 + 80'320) / 8);
  CHECK(total["bitops"].get<double>() == 12e6 + 640e3);
}

TEST_CASE("the JSON report gives the accelerator as a file gives it") {
  CHECK(sample_json()["accelerator"] ==
        Json::parse(R"({"schema": "accelerator/1", "name": "tiny_array", "clock": "500 MHz",
                        "engine": {"rows": 16, "supported_bits": [2, 4, 8]},
                        "memory": {"keep_on_chip": true},
                        "tiling": {"fixed": {"layer1.0.conv1": {"batch": 1}}}})"));
}

TEST_CASE("doubles read back from JSON bit by bit") {
  CostReport report = sample_report();
  report.layers[0].energy.compute = Picojoules(0.1 + 0.2);
  report.layers[0].bitops = 1e300 / 3;
  report.layers[0].utilization = std::numeric_limits<double>::denorm_min();
  const Json json = Json::parse(json_report(report));
  CHECK(json["layers"][0]["energy_pj"]["compute"].get<double>() == 0.1 + 0.2);
  CHECK(json["layers"][0]["bitops"].get<double>() == 1e300 / 3);
  CHECK(json["layers"][0]["utilization"].get<double>() ==
        std::numeric_limits<double>::denorm_min());
}

TEST_CASE("a figure that is not finite is our mistake, never in the JSON report") {
  CostReport report = sample_report();
  report.layers[0].utilization = std::nan("");
  CHECK_THROWS_AS(json_report(report), InternalError);
  report.layers[0].utilization = std::numeric_limits<double>::infinity();
  CHECK_THROWS_AS(json_report(report), InternalError);
}

TEST_CASE("hostile layer names make valid JSON") {
  CostReport report = sample_report();
  report.layers[0].name = "a\"b\\c\n\x01\xff";
  const Json json = Json::parse(json_report(report));
  CHECK(json["layers"][0]["name"] == "a\"b\\c\n\x01\xef\xbf\xbd");
}

TEST_CASE("the same report gives the same JSON bytes") {
  CHECK(json_report(sample_report()) == json_report(sample_report()));
}

TEST_CASE("phases stand last in JSON, and only where a machine has them") {
  CostReport report = sample_report();
  CHECK_FALSE(Json::parse(json_report(report))["layers"][0].contains("phases"));
  CHECK_FALSE(Json::parse(json_report(report))["total"].contains("phases"));
  report.layers[0].phases = {{"load", Cycles(600)}, {"compute", Cycles(24'000)}};
  report.layers[2].phases = {{"load", Cycles(100)}, {"compute", Cycles(400)}};
  const Json json = Json::parse(json_report(report));
  CHECK(json["layers"][0]["phases"].dump() == R"({"load":600,"compute":24000})");
  CHECK_FALSE(json["layers"][1].contains("phases"));
  CHECK(json["total"]["phases"].dump() == R"({"load":700,"compute":24400})");
  CHECK(keys_of(json["layers"][0]).back() == "phases");
  CHECK(keys_of(json["total"]).back() == "phases");
}
