#include "cli/report_csv.hpp"

#include <cstdlib>
#include <map>

#include <catch2/catch.hpp>

#include "tests/cli/sample_report.hpp"

using namespace widthwise;

namespace {

/// Reads as RFC 4180 says.
std::vector<std::vector<std::string>> parsed_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows{{""}};
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string& field = rows.back().back();
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      field += c;
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == ',') {
      rows.back().emplace_back();
    } else if (!quoted && c == '\n') {
      rows.push_back({""});
    } else {
      field += c;
    }
  }
  rows.pop_back();  // after the last line feed
  return rows;
}

std::map<std::string, std::string> row_of(const CostReport& report, std::size_t layer) {
  const auto rows = parsed_csv(csv_report(report));
  std::map<std::string, std::string> row;
  for (std::size_t c = 0; c < rows[0].size(); ++c) {
    row[rows[0][c]] = rows.at(layer + 1).at(c);
  }
  return row;
}

}  // namespace

TEST_CASE("a CSV report begins with the columns of an exchanged cost table") {
  const std::string csv = csv_report(sample_report());
  CHECK(csv.starts_with(
      "layer,weight_bits,activation_bits,latency_cycles,energy_pj,dram_bytes,kind,macs,"));
  CHECK(csv.find("\nlayer1.0.conv1,3,4,30000,15000000,1750000,convolution,1000000,") !=
        std::string::npos);
  CHECK(csv.find("\npool,4,4,8000,4000000,250999,pool,0,") != std::string::npos);
}

TEST_CASE("a CSV report has one row per layer, all of one length") {
  const auto rows = parsed_csv(csv_report(sample_report()));
  REQUIRE(rows.size() == 4);
  for (const auto& row : rows) {
    CHECK(row.size() == rows[0].size());
  }
}

TEST_CASE("the cycles and energies of a CSV row sum to the row's") {
  for (std::size_t layer = 0; layer < 3; ++layer) {
    const auto row = row_of(sample_report(), layer);
    long cycles = 0;
    for (const char* part :
         {"busy", "fill", "drain", "stall_input", "stall_weight", "stall_output", "post"}) {
      cycles += std::stol(row.at(std::string(part) + "_cycles"));
    }
    CHECK(cycles == std::stol(row.at("latency_cycles")));
    double energy = 0;
    for (const char* part : {"compute", "array", "input_buffer", "weight_buffer", "output_buffer",
                             "scratchpad", "dram", "post", "leakage"}) {
      energy += std::stod(row.at(std::string(part) + "_pj"));
    }
    CHECK(energy == Approx(std::stod(row.at("energy_pj"))));
    CHECK(std::stol(row.at("dram_read_bytes")) + std::stol(row.at("dram_write_bytes")) ==
          std::stol(row.at("dram_bytes")));
  }
}

TEST_CASE("a layer off the engine has no tile and no accumulator in CSV") {
  CHECK(row_of(sample_report(), 0).at("accumulator_bits") == "20");
  CHECK(row_of(sample_report(), 1).at("accumulator_bits").empty());
  CHECK(row_of(sample_report(), 2).at("safe_accumulator_bits") == "26");
  CHECK(row_of(sample_report(), 1).at("safe_accumulator_bits").empty());
  CHECK(row_of(sample_report(), 0).at("tile_out_channels") == "64");
  CHECK(row_of(sample_report(), 0).at("tile_order") == "nmk");
  CHECK(row_of(sample_report(), 1).at("tile_out_channels").empty());
  CHECK(row_of(sample_report(), 1).at("tile_order").empty());
}

TEST_CASE("commas, quotes and line ends in a layer name survive CSV") {
  CostReport report = sample_report();
  report.layers[0].name = "a,\"b\"\r\nc";
  CHECK(csv_report(report).find("\n\"a,\"\"b\"\"\r\nc\",3,4,") != std::string::npos);
  CHECK(row_of(report, 0).at("layer") == "a,\"b\"\r\nc");
  CHECK(row_of(report, 1).at("layer") == "pool");
}

TEST_CASE("doubles read back from CSV bit by bit") {
  CostReport report = sample_report();
  report.layers[0].energy = {};
  report.layers[0].energy.compute = Picojoules(0.1 + 0.2);
  report.layers[0].utilization = 1.0 / 3;
  CHECK(std::strtod(row_of(report, 0).at("energy_pj").c_str(), nullptr) == 0.1 + 0.2);
  CHECK(std::strtod(row_of(report, 0).at("utilization").c_str(), nullptr) == 1.0 / 3);
}

TEST_CASE("phases of a layer are one field of CSV") {
  CostReport report = sample_report();
  report.layers[0].phases = {{"load", Cycles(600)}, {"compute", Cycles(24'000)}};
  CHECK(row_of(report, 0).at("phases") == "load=600;compute=24000");
  CHECK(row_of(report, 1).at("phases").empty());
}
