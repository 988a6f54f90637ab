// Tables of costs as CSV files: what is read, what is refused with which message, and that writing
// and reading lose nothing.
#include "models/table/table_csv.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "models/base/error.hpp"

using namespace widthwise;

namespace {

CostTable parsed(const std::string& text) { return parse_cost_table(text, "t.csv"); }

/// The messages about a text, or nothing if it is read.
std::string errors_of(const std::string& text) {
  try {
    parsed(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

double at(const TableRow& row, Axis axis) { return row.at[index_of(axis)]; }

const std::string kHeader = "layer,weight_bits,activation_bits,latency_ms\n";

/// All that a file says; places and the file's name are not part of it.
void check_same(const CostTable& a, const CostTable& b) {
  CHECK(a.provenance == b.provenance);
  CHECK(a.layers == b.layers);
  CHECK(a.kinds == b.kinds);
  CHECK(a.leaves_out == b.leaves_out);
  CHECK(a.axes == b.axes);
  CHECK(a.metrics == b.metrics);
  REQUIRE(a.rows.size() == b.rows.size());
  for (std::size_t i = 0; i < a.rows.size(); ++i) {
    INFO("row " << i);
    CHECK(a.rows[i].layer == b.rows[i].layer);
    CHECK(a.rows[i].at == b.rows[i].at);
    CHECK(a.rows[i].values == b.rows[i].values);
  }
}

template <class Engine>
std::string random_text(Engine& random, const std::string& alphabet) {
  std::string text;
  std::uniform_int_distribution<std::size_t> letter(0, alphabet.size() - 1);
  const std::size_t length = std::uniform_int_distribution<std::size_t>(1, 8)(random);
  for (std::size_t i = 0; i < length; ++i) text += alphabet[letter(random)];
  return text;
}

/// A value that the axis may have.
template <class Engine>
double random_place(Engine& random, Axis axis) {
  const auto whole = [&](int least, int most) {
    return static_cast<double>(std::uniform_int_distribution<int>(least, most)(random));
  };
  switch (axis) {
    case Axis::weight_bits:
    case Axis::activation_bits:
    case Axis::stored_output_bits:
      return whole(1, 64);
    case Axis::stored_second_bits:
      return whole(0, 64);
    case Axis::stored_input_bits:
      return std::uniform_real_distribution<double>(1, 64)(random);
    case Axis::input_on_chip:
      return std::uniform_real_distribution<double>(0, 1)(random);
    case Axis::second_on_chip:
    case Axis::output_on_chip:
      return whole(0, 1);
    case Axis::input_share:
    case Axis::output_share:
      return 1 - std::uniform_real_distribution<double>(0, 1)(random);
  }
  return 0;
}

template <class Engine>
CostTable random_table(Engine& random) {
  const auto up_to = [&](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
  CostTable table;
  std::set<std::string> names;
  const std::string odd = "aZ09_.,\"\n\r #:;/\xC3\xA4'*";
  while (names.size() < 1 + static_cast<std::size_t>(up_to(4))) {
    const std::string name = random_text(random, odd);
    if (name != kWholeNetwork) names.insert(name);
  }
  table.layers.assign(names.begin(), names.end());
  std::shuffle(table.layers.begin(), table.layers.end(), random);
  const bool has_kinds = up_to(1) == 1;
  for (std::size_t i = 0; i < table.layers.size(); ++i) {
    const std::array kinds{"", "pool", "convolution"};
    table.kinds.emplace_back(has_kinds ? kinds.at(static_cast<std::size_t>(up_to(2))) : "");
  }
  for (int i = up_to(2); i > 0; --i) {
    const std::string name = random_text(random, odd) + "left out";
    table.leaves_out.push_back(name + std::to_string(i));
  }
  for (int i = up_to(3); i > 0; --i) {
    table.provenance.emplace_back("key" + std::to_string(i), random_text(random, "a,:#\"\xC3\xA4"));
  }
  for (std::size_t axis = 0; axis < kAxes; ++axis) {
    if (axis < 2 || up_to(1) == 1) table.axes.push_back(static_cast<Axis>(axis));
  }
  for (int i = 1 + up_to(3); i > 0; --i) {
    table.metrics.push_back(random_text(random, "a_,\"#") + std::to_string(i));
  }
  for (std::size_t layer = 0; layer < table.layers.size(); ++layer) {
    std::set<AxisValues> places;
    for (int i = 1 + up_to(5); i > 0; --i) {
      AxisValues place{};
      for (const Axis axis : table.axes) place[index_of(axis)] = random_place(random, axis);
      places.insert(place);
    }
    for (const AxisValues& place : places) {
      TableRow row{layer, place, {}, {}};
      for (std::size_t i = 0; i < table.metrics.size(); ++i) {
        const double scale = std::pow(10.0, std::uniform_int_distribution<int>(-20, 20)(random));
        row.values.push_back(up_to(4) == 0
                                 ? up_to(100)
                                 : scale * std::uniform_real_distribution<double>(0, 1)(random));
      }
      table.rows.push_back(row);
    }
  }
  return table;
}

}  // namespace

TEST_CASE("a table of costs is read with its provenance, layers, axes and metrics") {
  const CostTable table = parsed(
      "# accelerator: bitfusion_16x32\n"
      "# source: a paper: page 3, \"table\" 2\n"
      "#clock_hz:500000000\n"
      "# nothing:\n"
      "layer,weight_bits,activation_bits,stored_output_bits,latency_cycles,energy_pj,kind\n"
      "conv,4,8,8,115200,5.1e8,convolution\n"
      "conv,2,8,8,60000,3.25,convolution\n"
      "pool,8,8,4,10,0,pool\n");
  CHECK(table.provenance ==
        std::vector<std::pair<std::string, std::string>>{{"accelerator", "bitfusion_16x32"},
                                                         {"source", "a paper: page 3, \"table\" 2"},
                                                         {"clock_hz", "500000000"},
                                                         {"nothing", ""}});
  CHECK(table.source == "t.csv");
  CHECK(table.layers == std::vector<std::string>{"conv", "pool"});
  CHECK(table.kinds == std::vector<std::string>{"convolution", "pool"});
  CHECK(table.leaves_out.empty());
  CHECK(table.axes ==
        std::vector{Axis::weight_bits, Axis::activation_bits, Axis::stored_output_bits});
  CHECK(table.metrics == std::vector<std::string>{"latency_cycles", "energy_pj"});
  REQUIRE(table.rows.size() == 3);
  CHECK(table.rows[0].layer == 0);
  CHECK(at(table.rows[0], Axis::weight_bits) == 2);
  CHECK(table.rows[0].values == std::vector<double>{60000, 3.25});
  CHECK(at(table.rows[1], Axis::weight_bits) == 4);
  CHECK(at(table.rows[1], Axis::stored_output_bits) == 8);
  CHECK(table.rows[1].values == std::vector<double>{115200, 5.1e8});
  CHECK(table.rows[2].layer == 1);
  CHECK(to_string(table.rows[2].place) == "t.csv:8:1");
}

TEST_CASE("rows and columns of a table may stand in any order") {
  const CostTable table = parsed(
      "energy_pj,activation_bits,layer,latency_ms,weight_bits\n"
      "5,8,b,1,8\n"
      "6,4,a,2,4\n"
      "7,4,b,3,4\n");
  CHECK(table.layers == std::vector<std::string>{"b", "a"});
  CHECK(table.kinds == std::vector<std::string>{"", ""});
  CHECK(table.metrics == std::vector<std::string>{"energy_pj", "latency_ms"});
  REQUIRE(table.rows.size() == 3);
  CHECK(table.rows[0].values == std::vector<double>{7, 3});
  CHECK(table.rows[1].values == std::vector<double>{5, 1});
  CHECK(table.rows[2].values == std::vector<double>{6, 2});
}

TEST_CASE(
    "lines of a table may end in CRLF, the last one in nothing, and a byte order mark begin it") {
  const CostTable table = parsed(
      "\xEF\xBB\xBF# batch: 8\r\nlayer,weight_bits,activation_bits,cost\r\n"
      "a,4,4,1\r\na,8,8,2");
  CHECK(table.provenance == std::vector<std::pair<std::string, std::string>>{{"batch", "8"}});
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[1].values == std::vector<double>{2});
  CHECK(table.rows[1].place.line == 4);
}

TEST_CASE("fields in quotes may have commas, quotes and line ends") {
  const CostTable table = parsed(
      "layer,weight_bits,activation_bits,\"cost, total\"\n"
      "\"x,\"\"y\"\"\nz\",4,\"4\",1\n"
      "\"#\",4,4,2\n");
  CHECK(table.metrics == std::vector<std::string>{"cost, total"});
  CHECK(table.layers == std::vector<std::string>{"x,\"y\"\nz", "#"});
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0].place.line == 2);
  CHECK(table.rows[1].place.line == 4);
}

TEST_CASE("layers that were left out are a list") {
  CHECK(parsed("# leaves_out: conv1, fc\n" + kHeader + "a,4,4,1\n").leaves_out ==
        std::vector<std::string>{"conv1", "fc"});
  CHECK(parsed("# leaves_out:\n" + kHeader + "a,4,4,1\n").leaves_out.empty());
  CHECK(parsed("# leaves_out: \"a,b\" , c d ,\"e\"\"f\"\r\n" + kHeader + "a,4,4,1\n").leaves_out ==
        std::vector<std::string>{"a,b", "c d", "e\"f"});
}

TEST_CASE("every mistake of a table's text has its message") {
  struct Case {
    std::string name, text, message;
  };
  const std::vector<Case> cases{
      {"nothing", "",
       "t.csv:1:1: error: expected a header such as 'layer,weight_bits,activation_bits,"
       "latency_cycles', got the end of the file"},
      {"no header", "# batch: 8\n",
       "t.csv:2:1: error: expected a header such as 'layer,weight_bits,activation_bits,"
       "latency_cycles', got the end of the file"},
      {"no rows", kHeader,
       "t.csv:2:1: error: expected rows below the header, got the end of the file"},
      {"a comment without a key", "# The table of page 3\n" + kHeader + "a,4,4,1\n",
       "t.csv:1:1: error: expected '# key: value' with a key of lower-case letters, digits and "
       "'_', "
       "got '# The table of page 3'"},
      {"a comment with a bad key", "# Clock rate: 3\n" + kHeader + "a,4,4,1\n",
       "t.csv:1:1: error: expected '# key: value' with a key of lower-case letters, digits and "
       "'_', "
       "got '# Clock rate: 3'"},
      {"a key twice", "# batch: 8\n# batch: 8\n" + kHeader + "a,4,4,1\n",
       "t.csv:2:1: error: batch: expected each key once, got that of line 1 again"},
      {"a control character", "# batch: 8\t\n" + kHeader + "a,4,4,1\n",
       "t.csv:1:1: error: batch: expected text without control characters, got '8 '"},
      {"a comment below the header", kHeader + "# batch: 8\na,4,4,1\n",
       "t.csv:2:1: error: expected lines of provenance only before the header, got '# batch: 8'"},
      {"a layer left out twice", "# leaves_out: a, b, a\n" + kHeader + "c,4,4,1\n",
       "t.csv:1:21: error: leaves_out: expected each layer once, got 'a' again"},
      {"a layer left out without a name", "# leaves_out: a,,b\n" + kHeader + "c,4,4,1\n",
       "t.csv:1:17: error: leaves_out: expected a layer's name, got nothing"},
      {"a layer left out that has rows", "# leaves_out: b, a\n" + kHeader + "a,4,4,1\n",
       "t.csv:1:18: error: leaves_out: expected layers without rows, got 'a'"},
      {"a column missing", "layer,weight_bits,latency_ms\na,4,1\n",
       "t.csv:1:1: error: activation_bits: expected this column, got none"},
      {"a column misspelt", "layer,weight_bits,activation_bit,latency_ms\na,4,4,1\n",
       "t.csv:1:1: error: activation_bits: expected this column, got none; is it "
       "'activation_bit'?"},
      {"a column twice", "layer,weight_bits,activation_bits,cost,cost\na,4,4,1,1\n",
       "t.csv:1:40: error: cost: expected each column once, got that of field 4 again"},
      {"no metric", "layer,weight_bits,activation_bits,kind\na,4,4,pool\n",
       "t.csv:1:1: error: expected a column of costs such as 'latency_cycles' or 'latency_ms', got "
       "none"},
      {"a column in spaces", "layer,weight_bits,activation_bits, kind,cost\na,4,4,pool,1\n",
       "t.csv:1:35: error: expected a column's name without spaces around it, got ' kind'; did you "
       "mean 'kind'?"},
      {"a column without name", "layer,weight_bits,activation_bits,cost,\na,4,4,1,1\n",
       "t.csv:1:40: error: expected a column's name without spaces around it, got ''"},
      {"a column of text that is nearly known",
       "layer,weight_bits,activation_bits,cost,knd\na,4,4,1,pool\nb,4,4,1,add\n",
       "t.csv:1:40: error: knd: expected numbers in an unknown column, got text such as 'pool'; "
       "did "
       "you mean 'kind'?"},
      {"a column of text", "layer,weight_bits,activation_bits,cost,comment\na,4,4,1,fast\n",
       "t.csv:1:40: error: comment: expected numbers in an unknown column, got text such as "
       "'fast'; "
       "only 'layer', 'kind' and what 'widthwise run --csv' writes may be text"},
      {"a row too short", kHeader + "a,4,4\n",
       "t.csv:2:1: error: expected 4 fields as in the header, got 3"},
      {"a row too long", kHeader + "a,4,4,1,2\n",
       "t.csv:2:1: error: expected 4 fields as in the header, got 5"},
      {"an empty line", kHeader + "a,4,4,1\n\n",
       "t.csv:3:1: error: expected 4 fields as in the header, got an empty line"},
      {"a layer without name", kHeader + ",4,4,1\n",
       "t.csv:2:1: error: layer: expected a layer's name, got nothing"},
      {"a width of 0", kHeader + "a,0,4,1\n",
       "t.csv:2:3: error: weight_bits: expected a whole number of 1..64, got '0'"},
      {"a width of 65", kHeader + "a,4,65,1\n",
       "t.csv:2:5: error: activation_bits: expected a whole number of 1..64, got '65'"},
      {"half a bit", kHeader + "a,3.5,4,1\n",
       "t.csv:2:3: error: weight_bits: expected a whole number of 1..64, got '3.5'"},
      {"a number in spaces", kHeader + "a, 4,4,1\n",
       "t.csv:2:3: error: weight_bits: expected a whole number of 1..64, got ' 4'"},
      {"a negative cost", kHeader + "a,4,4,-1\n",
       "t.csv:2:7: error: latency_ms: expected a number of at least 0, got '-1'"},
      {"no number", kHeader + "a,4,4,1\na,8,8,fast\n",
       "t.csv:3:7: error: latency_ms: expected a number of at least 0, got 'fast'"},
      {"not a number", kHeader + "a,4,4,nan\n",
       "t.csv:2:7: error: latency_ms: expected a number of at least 0, got 'nan'"},
      {"an infinite number", kHeader + "a,4,4,inf\n",
       "t.csv:2:7: error: latency_ms: expected a number of at least 0, got 'inf'"},
      {"a number beyond all doubles", kHeader + "a,4,4,1e999\n",
       "t.csv:2:7: error: latency_ms: expected a number of at least 0, got '1e999'"},
      {"an empty cell", kHeader + "a,4,4,\n",
       "t.csv:2:7: error: latency_ms: expected a number of at least 0, got ''"},
      {"a place twice", kHeader + "a,4,4,1\na,8,8,1\na,4,4,2\n",
       "t.csv:4:1: error: a: expected each place once, got that of line 2 again"},
      {"an unknown kind", "layer,weight_bits,activation_bits,cost,kind\na,4,4,1,convolutoin\n",
       "t.csv:2:9: error: kind: expected a kind of layer such as 'convolution', got 'convolutoin'; "
       "did you mean 'convolution'?"},
      {"a layer of two kinds",
       "layer,weight_bits,activation_bits,cost,kind\na,4,4,1,pool\na,8,8,1,add\n",
       "t.csv:3:9: error: kind: expected 'pool' as in line 2, got 'add'"},
      {"a layer beside the whole network", kHeader + "*,4,4,1\nfc,4,4,1\n",
       "t.csv:3:1: error: layer: expected no layer beside '*', which stands for the whole network, "
       "got 'fc'"},
      {"a quote inside a field", kHeader + "a\"b,4,4,1\n",
       "t.csv:2:1: error: expected a quote only around a whole field, with doubled ones inside"},
      {"text behind a quote", kHeader + "\"a\"b,4,4,1\n",
       "t.csv:2:1: error: expected a comma or the line's end behind the closing quote"},
      {"a quote that is never closed", kHeader + "a,4,4,1\nb,4,4,\"1\nc,4,4,1\n",
       "t.csv:3:7: error: expected a closing quote, got the end of the file"},
      {"a carriage return alone", kHeader + "a,4,4,1\rb,4,4,1\n",
       "t.csv:2:1: error: expected 4 fields as in the header, got 7\n"
       "t.csv:2:7: error: expected a line feed behind the carriage return"},
  };
  for (const Case& one : cases) {
    INFO(one.name);
    CHECK(errors_of(one.text) == one.message);
  }
}

TEST_CASE(
    "columns of messages count characters, not bytes, and begin anew behind a field of lines") {
  CHECK(errors_of(kHeader + "\xC3\xA4\xE2\x82\xAC,4,x,1\n") ==
        "t.csv:2:6: error: activation_bits: expected a whole number of 1..64, got 'x'");
  CHECK(errors_of(kHeader + "\"a\nbc\",4,x,1\n") ==
        "t.csv:3:7: error: activation_bits: expected a whole number of 1..64, got 'x'");
  CHECK(errors_of("\xEF\xBB\xBFlayer,weight_bits,activation_bits,cost,cost\na,1,1,1,1\n") ==
        "t.csv:1:40: error: cost: expected each column once, got that of field 4 again");
}

TEST_CASE("places of further axes are in their ranges") {
  const auto message = [](const std::string& axis, const std::string& cell) {
    return errors_of("layer,weight_bits,activation_bits," + axis + ",cost\na,4,4," + cell + ",1\n");
  };
  const auto expected = [](const std::string& axis, const std::string& range,
                           const std::string& cell) {
    return "t.csv:2:7: error: " + axis + ": expected " + range + ", got '" + cell + "'";
  };
  for (const std::string axis : {"stored_input_bits", "stored_output_bits", "stored_second_bits"}) {
    CHECK(message(axis, "1").empty());
    CHECK(message(axis, "64").empty());
  }
  CHECK(message("stored_input_bits", "1.5").empty());
  CHECK(message("stored_input_bits", "0.99") ==
        expected("stored_input_bits", "a number of 1..64", "0.99"));
  CHECK(message("stored_input_bits", "64.5") ==
        expected("stored_input_bits", "a number of 1..64", "64.5"));
  CHECK(message("stored_second_bits", "0").empty());
  CHECK(message("stored_second_bits", "1.5") ==
        expected("stored_second_bits", "a whole number of 1..64, or 0 for none", "1.5"));
  CHECK(message("stored_output_bits", "0") ==
        expected("stored_output_bits", "a whole number of 1..64", "0"));
  CHECK(message("input_on_chip", "0").empty());
  CHECK(message("input_on_chip", "0.25").empty());
  CHECK(message("input_on_chip", "1").empty());
  CHECK(message("input_on_chip", "1.01") == expected("input_on_chip", "a number of 0..1", "1.01"));
  for (const std::string axis : {"second_on_chip", "output_on_chip"}) {
    CHECK(message(axis, "0").empty());
    CHECK(message(axis, "1").empty());
    CHECK(message(axis, "0.5") == expected(axis, "0 or 1", "0.5"));
    CHECK(message(axis, "2") == expected(axis, "0 or 1", "2"));
  }
  for (const std::string axis : {"input_share", "output_share"}) {
    CHECK(message(axis, "1").empty());
    CHECK(message(axis, "1e-9").empty());
    CHECK(message(axis, "0") == expected(axis, "a number above 0 and at most 1", "0"));
    CHECK(message(axis, "1.5") == expected(axis, "a number above 0 and at most 1", "1.5"));
  }
}

TEST_CASE("rows that differ along a further axis alone are different places") {
  const std::string header = "layer,weight_bits,activation_bits,stored_output_bits,cost\n";
  CHECK(parsed(header + "a,4,4,4,1\na,4,4,8,2\n").rows.size() == 2);
  CHECK(errors_of(header + "a,4,4,8,1\na,4,4,8,2\n") ==
        "t.csv:3:1: error: a: expected each place once, got that of line 2 again");
}

TEST_CASE("all mistakes of a table are said at once, in their order") {
  CHECK(
      errors_of("layer,weight_bits,activation_bits,cost,note\n"
                "a,4,99,1,x\n"
                "a,4\n"
                "a,8,8,-3,y\n"
                ",8,8,?,z\n"
                "b,2,2,1,x\n"
                "b,2,2,1,x\n") ==
      "t.csv:1:40: error: note: expected numbers in an unknown column, got text such as 'x'; only "
      "'layer', 'kind' and what 'widthwise run --csv' writes may be text\n"
      "t.csv:2:5: error: activation_bits: expected a whole number of 1..64, got '99'\n"
      "t.csv:3:1: error: expected 5 fields as in the header, got 2\n"
      "t.csv:4:7: error: cost: expected a number of at least 0, got '-3'\n"
      "t.csv:5:1: error: layer: expected a layer's name, got nothing\n"
      "t.csv:5:6: error: cost: expected a number of at least 0, got '?'\n"
      "t.csv:7:1: error: b: expected each place once, got that of line 6 again");
}

TEST_CASE("of very many mistakes the first hundred are said") {
  const auto mistakes = [](int count) {
    std::string text = kHeader;
    for (int i = 0; i < count; ++i) text += "a,0,4,1\n";
    try {
      parsed(text);
    } catch (const InputError& error) {
      return error.diagnostics();
    }
    return std::vector<Diagnostic>{};
  };
  CHECK(mistakes(99).size() == 99);
  REQUIRE(mistakes(100).size() == 101);
  REQUIRE(mistakes(5000).size() == 101);
  CHECK(to_string(mistakes(5000).front()) ==
        "t.csv: error: expected fewer mistakes, got these 100; the rest of the file was not looked "
        "at");
  CHECK(mistakes(5000).back().place.line == 101);
}

TEST_CASE("a table has at most a thousand columns") {
  const auto columns = [](int count) {
    std::string header = "layer,weight_bits,activation_bits";
    std::string row = "a,4,4";
    for (int i = 3; i < count; ++i) {
      header += ",m" + std::to_string(i);
      row += ",1";
    }
    return header + '\n' + row + '\n';
  };
  CHECK(parsed(columns(1000)).metrics.size() == 997);
  CHECK(errors_of(columns(1001)) == "t.csv:1:1: error: expected at most 1000 columns, got 1001");
}

TEST_CASE("the CSV of a run is a table of costs") {
  // Written by the program: -a bitfusion_16x32 --bits w4a8 --csv, a network of three layers.
  const std::string run =
      "layer,weight_bits,activation_bits,latency_cycles,energy_pj,dram_bytes,kind,macs,bitops,"
      "parameter_bits,computed_weight_bits,computed_activation_bits,stored_input_bits,"
      "stored_output_bits,busy_cycles,fill_cycles,drain_cycles,stall_input_cycles,"
      "stall_weight_cycles,stall_output_cycles,post_cycles,utilization,bottleneck,dram_read_bytes,"
      "dram_write_bytes,compute_pj,array_pj,input_buffer_pj,weight_buffer_pj,output_buffer_pj,"
      "scratchpad_pj,dram_pj,post_pj,leakage_pj,tile_batch,tile_out_h,tile_out_w,"
      "tile_out_channels,tile_in_channels,tile_groups,tile_order,tiles,accumulator_bits,"
      "safe_accumulator_bits,wrong_outputs,overflows,fused,phases\n"
      "conv,4,8,181,619965.854592,3744,convolution,10368,331776,1152,4,8,8,8,72,15,32,48,0,8,6,"
      "0.05593922651933702,DRAM,2592,1152,14601.254399999998,60701.347839999995,1795.4784,"
      "919.401984,1652.6499840000001,0,449280,950.4,90065.32198400001,1,6,1,8,4,1,mnk,6,32,18,,,"
      "relu,\n"
      "pool,8,8,28,57852.146432,360,pool,0,0,0,8,8,8,8,0,0,0,12,0,3,13,0,DRAM,288,72,0,0,"
      "398.99519999999995,0,61.19424,0,43200,259.2,13932.756992,,,,,,,,1,,,,,,\n"
      "fc,4,8,78,131905.368832,552,fully_connected,720,23040,3200,4,8,8,8,3,15,32,22,0,1,5,"
      "0.009014423076923076,fill,512,40,1013.9759999999999,25504.768,99.74879999999999,144.81216,"
      "57.38368,0,66240,32,38812.680192,1,1,1,10,72,1,mnk,1,32,19,,,,\n";
  const CostTable table = parsed(run);
  CHECK(table.layers == std::vector<std::string>{"conv", "pool", "fc"});
  CHECK(table.kinds == std::vector<std::string>{"convolution", "pool", "fully_connected"});
  CHECK(table.axes == std::vector{Axis::weight_bits, Axis::activation_bits, Axis::stored_input_bits,
                                  Axis::stored_output_bits});
  CHECK(table.metrics == std::vector<std::string>{"latency_cycles",
                                                  "energy_pj",
                                                  "dram_bytes",
                                                  "macs",
                                                  "bitops",
                                                  "parameter_bits",
                                                  "busy_cycles",
                                                  "fill_cycles",
                                                  "drain_cycles",
                                                  "stall_input_cycles",
                                                  "stall_weight_cycles",
                                                  "stall_output_cycles",
                                                  "post_cycles",
                                                  "dram_read_bytes",
                                                  "dram_write_bytes",
                                                  "compute_pj",
                                                  "array_pj",
                                                  "input_buffer_pj",
                                                  "weight_buffer_pj",
                                                  "output_buffer_pj",
                                                  "scratchpad_pj",
                                                  "dram_pj",
                                                  "post_pj",
                                                  "leakage_pj"});
  REQUIRE(table.rows.size() == 3);
  CHECK(table.rows[0].values[0] == 181);
  CHECK(table.rows[0].values[1] == 619965.854592);
  CHECK(at(table.rows[1], Axis::weight_bits) == 8);
  CHECK(at(table.rows[2], Axis::stored_input_bits) == 8);
  CHECK(table.rows[2].values.back() == 38812.680192);
}

TEST_CASE("a table is written with its axes, metrics and, if any is known, kinds in their order") {
  CostTable table;
  table.provenance = {{"accelerator", "x: 1"}, {"note", " two\nlines "}};
  table.leaves_out = {"conv1", "a,b"};
  table.layers = {"conv", "#1"};
  table.kinds = {"convolution", ""};
  table.axes = {Axis::weight_bits, Axis::activation_bits, Axis::output_share};
  table.metrics = {"latency_cycles", "energy_pj"};
  TableRow row;
  row.at[index_of(Axis::weight_bits)] = 4;
  row.at[index_of(Axis::activation_bits)] = 8;
  row.at[index_of(Axis::stored_input_bits)] = 7;  // not an axis of the table
  row.at[index_of(Axis::output_share)] = 0.1;
  row.values = {115200, 5.1e20};
  table.rows = {row, row};
  table.rows[1].layer = 1;
  const std::string csv =
      "# accelerator: x: 1\n"
      "# note: two lines\n"
      "# leaves_out: conv1, \"a,b\"\n"
      "layer,weight_bits,activation_bits,output_share,latency_cycles,energy_pj,kind\n"
      "conv,4,8,0.1,115200,5.1e+20,convolution\n"
      "\"#1\",4,8,0.1,115200,5.1e+20,\n";
  CHECK(cost_table_csv(table) == csv);
  CHECK(cost_table_csv(parsed(csv)) == csv);

  table.kinds = {"", ""};
  table.leaves_out.clear();
  table.provenance.clear();
  CHECK(cost_table_csv(table).starts_with(
      "layer,weight_bits,activation_bits,output_share,latency_cycles,energy_pj\nconv,4,8,"));
}

TEST_CASE("a table can not be written with names that the file could not tell apart") {
  CostTable table;
  table.axes = {Axis::weight_bits, Axis::activation_bits};
  table.metrics = {"kind"};
  CHECK_THROWS_AS(cost_table_csv(table), InternalError);
  table.metrics = {"cost"};
  table.provenance = {{"leaves_out", "a"}};
  CHECK_THROWS_AS(cost_table_csv(table), InternalError);
  table.provenance = {{"two words", "a"}};
  CHECK_THROWS_AS(cost_table_csv(table), InternalError);
  table.provenance.clear();
  CHECK(cost_table_csv(table) == "layer,weight_bits,activation_bits,cost\n");
}

TEST_CASE("random tables are the same after writing and reading them") {
  std::mt19937 random(7);
  for (int trial = 0; trial < 300; ++trial) {
    const CostTable table = random_table(random);
    const std::string csv = cost_table_csv(table);
    INFO(csv);
    check_same(parsed(csv), table);
    CHECK(cost_table_csv(parsed("\xEF\xBB\xBF" + csv)) == csv);
  }
}

TEST_CASE("files of tables that can not be read say so") {
  const auto message = [](const std::string& path) -> std::string {
    try {
      read_cost_table(path);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message("no_such_table.csv") == "no_such_table.csv: error: no such file");
  CHECK(message(WIDTHWISE_SOURCE_DIR "/workloads/tables") == WIDTHWISE_SOURCE_DIR
        "/workloads/tables: error: is a directory, not a file");
}
