#include "cli/experiment.hpp"

#include <catch2/catch.hpp>

using namespace widthwise;

namespace {

constexpr const char* kHead = "schema: experiment/1\naccelerator: tiny\nnetwork: net\n";

RunRequest parsed(const std::string& more) { return parse_experiment(kHead + more, "e.yaml"); }

std::string mistakes(const std::string& text) {
  try {
    parse_experiment(text, "e.yaml");
    return "none";
  } catch (const InputError& error) {
    return error.what();
  }
}

std::vector<std::string> texts(const std::vector<Given>& given) {
  std::vector<std::string> all;
  for (const Given& one : given) {
    all.push_back(one.text);
  }
  return all;
}

}  // namespace

TEST_CASE("an experiment needs an accelerator and a network, and nothing else") {
  const RunRequest request = parsed("");
  CHECK(request.accelerator->text == "tiny");
  CHECK(request.network->text == "net");
  CHECK(request.network->place.line == 3);
  CHECK_FALSE(request.bits);
  CHECK_FALSE(request.fidelity);
  CHECK_FALSE(request.batch);
  CHECK_FALSE(request.ideal_memory);
  CHECK_FALSE(request.json);
  CHECK(request.overrides.empty());
}

TEST_CASE("an experiment says all that the options say") {
  const RunRequest request = parsed(R"(
name: all keys
description: every key once
parameters: {sequence_length: 256, layers: 2}
bits: w4a4
fidelity: analytic
set: {engine.rows: 8, memory.dram.bandwidth: 25.6 GB/s, engine.supported_bits: [2, 4], name: '16'}
batch: 4
ignore: [Dropout, Identity]
ideal_memory: true
outputs: {json: a.json, csv: b.csv, trace: c.json, vcd: d.vcd, report: e.html}
)");
  CHECK(texts(request.parameters) == std::vector<std::string>{"sequence_length=256", "layers=2"});
  CHECK(request.bits->text == "w4a4");
  CHECK(request.fidelity->text == "analytic");
  CHECK(request.overrides == std::vector<std::string>{"engine.rows=8",
                                                      "memory.dram.bandwidth=25.6 GB/s",
                                                      "engine.supported_bits=[2, 4]", "name='16'"});
  CHECK(request.batch->text == "4");
  CHECK(request.ignore == std::vector<std::string>{"Dropout", "Identity"});
  CHECK(request.ideal_memory == true);
  CHECK(request.json->text == "a.json");
  CHECK(request.csv->text == "b.csv");
  CHECK(request.trace->text == "c.json");
  CHECK(request.vcd->text == "d.vcd");
  CHECK(request.report->text == "e.html");
}

TEST_CASE("options win over the experiment, and their list items come last") {
  RunRequest options;
  options.bits = Given{"w2a2", {"--bits"}, ""};
  options.overrides = {"engine.rows=4"};
  options.fill_from(parsed("bits: w4a4\nfidelity: analytic\nset: {engine.rows: 8}\n"));
  CHECK(options.bits->text == "w2a2");
  CHECK(options.fidelity->text == "analytic");
  CHECK(options.overrides == std::vector<std::string>{"engine.rows=8", "engine.rows=4"});
}

TEST_CASE("all mistakes of an experiment are reported at once") {
  const std::string text = mistakes(
      "schema: experiment/1\n"
      "acelerator: tiny\n"
      "network: net\n"
      "batch: 0\n"
      "ideal_memory: yes\n"
      "set: {engine: {rows: 8}}\n"
      "outputs: {jsn: a}\n");
  CHECK(text ==
        "e.yaml:1:1: error: missing key 'accelerator'\n"
        "e.yaml:2:1: error: unknown key 'acelerator'; did you mean 'accelerator'?\n"
        "e.yaml:4:1: error: batch: expected 1..1000000, got 0\n"
        "e.yaml:5:1: error: ideal_memory: expected true or false, got 'yes'\n"
        "e.yaml:6:7: error: set.engine: expected a value or a list of values, got a mapping\n"
        "e.yaml:7:11: error: outputs: unknown key 'jsn'; did you mean 'json'?");
}

TEST_CASE("a file of another kind is no experiment") {
  CHECK(mistakes("schema: network/1\n") ==
        "e.yaml:1:1: error: schema: expected schema 'experiment/1', got 'network/1'");
}
